//! Uploading a list, and what came of it.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect};
use callcore::actor::Role;
use callcore::id::{CampaignId, ImportId};
use callcore::import::{Duplicate, Mapping, Rejection};
use callcore::port::{ImportStatus, Refused};

use super::campaign::{MappingField, existing};
use super::form::CSRF_FIELD;
use super::frame::{Answer, Shell, Trouble, Visit, page};
use super::rows::shown;
use super::when::count;
use super::words::plain;
use crate::act::{Act, Early};
use crate::importing::{self, List};
use crate::problem::Problem;
use crate::request::Id;
use crate::state::ApiState;
use crate::upload::{OPTIONS, receive};

/// The longest cell that a report shows, in characters.
const MAX_VALUE: usize = 60;

/// The fields of which a person can say which column holds them.
pub(super) const MAPPING_FIELDS: [MappingField; 6] = [
    MappingField { key: "phone", label: "Phone number" },
    MappingField { key: "name", label: "Name" },
    MappingField { key: "first_name", label: "First name" },
    MappingField { key: "last_name", label: "Last name" },
    MappingField { key: "time_zone", label: "Time zone" },
    MappingField { key: "external_id", label: "Your own id" },
];

/// The fields of the form beside the file.
const FORM_FIELDS: [&str; 7] = [
    CSRF_FIELD,
    "map_phone",
    "map_name",
    "map_first_name",
    "map_last_name",
    "map_time_zone",
    "map_external_id",
];

/// Takes a list and goes to its report, which may still be growing.
pub(super) async fn upload(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CampaignId>,
    request: Request,
) -> Answer {
    visit.require(Role::Operator)?;
    let campaign = existing(&state, id).await?;
    if !campaign.campaign.state.takes_clients() {
        return Err(Refused::Campaign(campaign.campaign.state).into());
    }
    let mut upload = receive(&state, request, &OPTIONS, &FORM_FIELDS).await?;
    visit.principal.check_csrf(upload.others.get(CSRF_FIELD).map(String::as_str))?;
    upload.mapping = mapping(&upload.others);
    let list = List::open(upload, &campaign.campaign.settings).await?;
    // A form has no idempotency key: a list sent twice finds its people there already.
    let (principal, keyless) = (visit.principal.clone(), HeaderMap::new());
    let act =
        Act::under(&state, principal, String::new(), &keyless, &[], StatusCode::ACCEPTED).await;
    let imported = match act {
        Ok(act) => importing::import(&state, act, &campaign, list).await,
        Err(early) => Err(early),
    };
    let import = imported.map_err(|early| match early {
        Early::Problem(problem) => Trouble::from(problem),
        Early::Replay(_) => Refused::InProgress.into(),
    })?;
    Ok(Redirect::to(&format!("/campaigns/{id}/imports/{}", import.id)).into_response())
}

fn mapping(fields: &BTreeMap<String, String>) -> Mapping {
    let column = |name: &str| {
        let text = fields.get(name).map(|text| text.trim().to_owned());
        text.filter(|text| !text.is_empty())
    };
    Mapping {
        phone: column("map_phone"),
        name: column("map_name"),
        first_name: column("map_first_name"),
        last_name: column("map_last_name"),
        time_zone: column("map_time_zone"),
        external_id: column("map_external_id"),
        ..Mapping::default()
    }
}

#[derive(Template)]
#[template(path = "import.html")]
struct ImportPage {
    shell: Shell,
    campaign_id: CampaignId,
    campaign: String,
    file_name: String,
    running: bool,
    failed: bool,
    failure: String,
    rows_read: String,
    accepted: String,
    duplicates: String,
    rejected: String,
    on_dnc: String,
    by_code: String,
    rejections: Vec<Rejection>,
    rejections_cut: bool,
    duplicate_of: Vec<(u64, String)>,
    duplicates_cut: bool,
    zones: Vec<(String, String)>,
}

pub(super) async fn show(
    State(state): State<ApiState>,
    visit: Visit,
    Path((campaign, import)): Path<(String, String)>,
) -> Answer {
    let campaign: CampaignId = campaign.parse().map_err(|_| Problem::not_found())?;
    let import: ImportId = import.parse().map_err(|_| Problem::not_found())?;
    let view = existing(&state, campaign).await?;
    let import = state.store().import(import).await?;
    let import = import.filter(|import| import.campaign == campaign);
    let import = import.ok_or_else(Problem::not_found)?;
    let report = import.report;
    let running = import.status == ImportStatus::Running;
    let shell = visit.shell(&state, "Upload report", "/campaigns");
    let by_code = report.rejected_by_code.iter();
    let by_code: Vec<String> =
        by_code.map(|(code, rows)| format!("{} {}", count(*rows), plain(code))).collect();
    Ok(page(&ImportPage {
        shell: if running { shell.live() } else { shell },
        campaign_id: campaign,
        campaign: shown(&view.campaign.settings.name),
        file_name: shown(&import.file_name),
        running,
        failed: import.status == ImportStatus::Failed,
        failure: report.failure.map(|failure| failure.message).unwrap_or_default(),
        rows_read: count(report.rows_read),
        accepted: count(report.accepted),
        duplicates: count(report.duplicates),
        rejected: count(report.rejected),
        on_dnc: count(report.on_dnc),
        by_code: by_code.join(", "),
        rejections_cut: report.rejected > report.rejections.len() as u64,
        duplicates_cut: report.duplicates > report.duplicate_of.len() as u64,
        rejections: report.rejections.into_iter().map(cut).collect(),
        duplicate_of: report.duplicate_of.iter().map(|it| (it.line, repeated(it))).collect(),
        zones: by_size(report.time_zones),
    }))
}

/// What a row repeats. A line at or below its own can only be an earlier file's.
fn repeated(duplicate: &Duplicate) -> String {
    match duplicate.of_line {
        Some(of) if of < duplicate.line => format!("line {of}"),
        Some(of) => format!("line {of} of an earlier file"),
        None => "a client added before".to_owned(),
    }
}

fn cut(mut rejection: Rejection) -> Rejection {
    for text in [&mut rejection.value, &mut rejection.column] {
        if let Some((end, _)) = text.char_indices().nth(MAX_VALUE) {
            text.truncate(end);
            text.push('…');
        }
    }
    rejection
}

/// Zones with the most clients first.
fn by_size(zones: BTreeMap<String, u64>) -> Vec<(String, String)> {
    let mut zones: Vec<(String, u64)> = zones.into_iter().collect();
    zones.sort_by_key(|(_, clients)| std::cmp::Reverse(*clients));
    let named = |zone: String| match &*zone {
        "several" => "several possible".to_owned(),
        "unknown" => "not known".to_owned(),
        _ => zone,
    };
    zones.into_iter().take(100).map(|(zone, clients)| (named(zone), count(clients))).collect()
}
