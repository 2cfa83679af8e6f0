//! One client: who it is, what is known, every call with the number in this campaign.

use askama::Template;
use axum::extract::{Path, State};
use callcore::id::{CampaignId, ClientId};
use callcore::port::{CallQuery, ClientView};

use super::ROWS;
use super::campaign::{NextCall, existing};
use super::frame::{Answer, Shell, Visit, page};
use super::rows::{CallRow, shown};
use super::when::When;
use super::words::{self, Word};
use crate::problem::Problem;
use crate::state::ApiState;

/// The longest cell or note that the page shows, in characters.
const MAX_TEXT: usize = 2_000;

/// How many columns of the file are shown.
const MAX_FIELDS: usize = 60;

/// How many notes are shown, the latest.
const NOTES: usize = 20;

#[derive(Template)]
#[template(path = "client.html")]
struct ClientPage {
    shell: Shell,
    campaign_id: CampaignId,
    campaign: String,
    id: ClientId,
    name: String,
    phone: String,
    status: Word,
    on_dnc: bool,
    next_call: Option<NextCall>,
    calls: Vec<CallRow>,
    notes: Vec<NoteRow>,
    facts: Vec<(&'static str, String)>,
    tags: Vec<String>,
    fields: Vec<(String, String)>,
    line: u64,
}

struct NoteRow {
    text: String,
    by: String,
    at: When,
}

pub(super) async fn show(
    State(state): State<ApiState>,
    visit: Visit,
    Path((campaign, client)): Path<(String, String)>,
) -> Answer {
    let campaign: CampaignId = campaign.parse().map_err(|_| Problem::not_found())?;
    let id: ClientId = client.parse().map_err(|_| Problem::not_found())?;
    let store = state.store();
    let of = existing(&state, campaign).await?;
    let view = store.client(id).await?.filter(|view| view.client.campaign == campaign);
    let view = view.ok_or_else(Problem::not_found)?;
    let client = &view.client;
    let calls = CallQuery { client: Some(id), limit: ROWS, ..CallQuery::default() };
    let calls = store.history(&calls).await?;
    let columns = store.import(client.import).await?.map(|it| it.columns).unwrap_or_default();
    let fields = columns.iter().zip(&client.fields).filter(|(_, cell)| !cell.trim().is_empty());
    let notes = client.notes.iter().rev().take(NOTES);
    Ok(page(&ClientPage {
        shell: visit.shell(&state, shown(&client.name), "/campaigns"),
        campaign_id: campaign,
        campaign: shown(&of.campaign.settings.name),
        id,
        name: shown(&client.name),
        phone: client.phone.map_or_else(|| "erased".to_owned(), |phone| phone.to_string()),
        status: words::client(client.standing.status),
        on_dnc: view.on_dnc,
        next_call: client
            .standing
            .next_call
            .map(|it| NextCall { id: it.call, at: visit.when(it.due_at) }),
        calls: CallRow::all(&calls.items, &visit),
        notes: notes
            .map(|note| NoteRow {
                text: cut(&note.text),
                by: words::actor(&note.by),
                at: visit.when(note.at),
            })
            .collect(),
        facts: facts(&view, &visit),
        tags: client.tags.iter().cloned().collect(),
        fields: fields.take(MAX_FIELDS).map(|(column, cell)| (shown(column), cut(cell))).collect(),
        line: client.line,
    }))
}

fn facts(view: &ClientView, visit: &Visit) -> Vec<(&'static str, String)> {
    let (client, standing) = (&view.client, &view.client.standing);
    let zones = client.zones.iter().take(10);
    let zones = zones.map(|it| format!("{} ({})", it.zone, words::zone_source(it.source)));
    let mut facts = vec![
        ("Full name", client.name.trim().to_owned()),
        ("Dials", standing.attempts.to_string()),
        (
            "Last outcome",
            standing.last_outcome.map_or("", |it| words::outcome(it).label).to_owned(),
        ),
        ("Last call", standing.last_call_at.map(|at| visit.when(at).full).unwrap_or_default()),
        ("Time zones", zones.collect::<Vec<_>>().join("\n")),
        ("Email", client.email.clone().unwrap_or_default()),
        ("Your own id", client.external_id.clone().unwrap_or_default()),
        ("Consent", client.consent.as_ref().map(|it| it.basis.clone()).unwrap_or_default()),
    ];
    if view.on_dnc {
        facts.push(("Do not call", "the number is on the list".to_owned()));
    }
    if !client.active {
        facts.push(("Switched off", "this person is not called".to_owned()));
    }
    // The heading has the name already, unless it is too long for it.
    facts.retain(|(label, words)| {
        !words.is_empty() && (*label != "Full name" || shown(&client.name) != *words)
    });
    facts.into_iter().map(|(label, words)| (label, cut(&words))).collect()
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
