//! Who changed what of a campaign: its settings and its run state, from the audit log.

use askama::Template;
use axum::extract::State;
use callcore::campaign::Settings;
use callcore::id::CampaignId;
use callcore::port::{AuditQuery, AuditRow};
use serde_json::Value;

use super::super::frame::{Answer, Shell, Visit, page};
use super::super::rows::shown;
use super::super::when::When;
use super::super::words;
use super::existing;
use crate::query::Query;
use crate::request::Id;
use crate::state::ApiState;

/// How many changes a page has: each may tell of a whole script, before and after.
const CHANGES: u32 = 10;

/// The longest text that a change shows, in characters.
const MAX_TEXT: usize = 1_000;

#[derive(Template)]
#[template(path = "campaign_changes.html")]
struct ChangesPage {
    shell: Shell,
    id: CampaignId,
    name: String,
    version: u32,
    changes: Vec<ChangeRow>,
    next: Option<String>,
}

struct ChangeRow {
    what: &'static str,
    who: String,
    at: When,
    /// Each part that changed, before and after.
    parts: Vec<(&'static str, String, String)>,
}

pub(in super::super) async fn show(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CampaignId>,
    mut query: Query,
) -> Answer {
    let after = query.cursor();
    query.finish()?;
    let view = existing(&state, id).await?;
    let verbs = ["create", "change", "start", "pause", "resume", "stop"];
    let query = AuditQuery {
        objects: vec![id.to_string()],
        actions: verbs.map(|verb| format!("campaign.{verb}")).into(),
        after,
        limit: CHANGES,
        ..AuditQuery::default()
    };
    let rows = state.store().audit(&query).await?;
    Ok(page(&ChangesPage {
        shell: visit.shell(&state, "Changes", "/campaigns"),
        id,
        name: shown(&view.campaign.settings.name),
        version: view.campaign.settings_version,
        changes: rows.items.iter().map(|row| change(row, &visit)).collect(),
        next: rows.next.map(|cursor| format!("/campaigns/{id}/changes?cursor={cursor}")),
    }))
}

fn change(row: &AuditRow, visit: &Visit) -> ChangeRow {
    let what = match row.action.strip_prefix("campaign.").unwrap_or_default() {
        "create" => "created the draft",
        "change" => "changed the settings",
        "start" => "started the campaign",
        "pause" => "paused the campaign",
        "resume" => "resumed the campaign",
        _ => "stopped the campaign",
    };
    let parts = match (&row.old, &row.new) {
        (Some(old), Some(new)) if row.action == "campaign.change" => parts(old, new),
        _ => Vec::new(),
    };
    ChangeRow { what, who: words::actor(&row.actor), at: visit.when(row.at), parts }
}

/// What differs between two versions of the settings, in words.
fn parts(old: &Value, new: &Value) -> Vec<(&'static str, String, String)> {
    let told = |document: &Value| -> Vec<(&'static str, String)> {
        let Ok(settings) = Settings::from_json(document) else { return Vec::new() };
        let mut lines = vec![
            ("Name", settings.name.clone()),
            ("Country of local numbers", settings.default_region.to_string()),
        ];
        lines.extend(words::settings(&settings));
        lines
    };
    let (old, new) = (told(old), told(new));
    let of = |lines: &[(&'static str, String)], label: &str| {
        lines.iter().find(|(it, _)| *it == label).map(|(_, text)| cut(text)).unwrap_or_default()
    };
    let mut labels: Vec<&'static str> = new.iter().map(|(label, _)| *label).collect();
    labels.extend(old.iter().map(|(label, _)| *label));
    let mut seen = Vec::new();
    labels.retain(|label| {
        !seen.contains(label) && {
            seen.push(*label);
            true
        }
    });
    let parts = labels.into_iter().map(|label| (label, of(&old, label), of(&new, label)));
    parts.filter(|(_, before, after)| before != after).collect()
}

/// Settings in words, no part longer than a page should be.
pub(in super::super) fn short(lines: Vec<(&'static str, String)>) -> Vec<(&'static str, String)> {
    lines.into_iter().map(|(label, text)| (label, cut(&text))).collect()
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
