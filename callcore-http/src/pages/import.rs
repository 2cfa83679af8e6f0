//! What came of an upload.

use askama::Template;
use axum::extract::{Path, State};
use callcore::id::{CampaignId, ImportId};
use callcore::import::Rejection;
use callcore::port::ImportStatus;

use super::campaign::{MappingField, existing};
use super::frame::{Answer, Shell, Visit, page};
use super::rows::shown;
use super::when::count;
use super::words::plain;
use crate::problem::Problem;
use crate::state::ApiState;

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

#[derive(Template)]
#[template(path = "import.html")]
struct ImportPage {
    shell: Shell,
    campaign_id: CampaignId,
    campaign: String,
    file_name: String,
    running: bool,
    failed: bool,
    rows_read: String,
    accepted: String,
    duplicates: String,
    rejected: String,
    on_dnc: String,
    by_code: String,
    rejections: Vec<Rejection>,
    rejections_cut: bool,
    duplicate_of: Vec<(u64, Option<u64>)>,
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
        rows_read: count(report.rows_read),
        accepted: count(report.accepted),
        duplicates: count(report.duplicates),
        rejected: count(report.rejected),
        on_dnc: count(report.on_dnc),
        by_code: by_code.join(", "),
        rejections_cut: report.rejected > report.rejections.len() as u64,
        duplicates_cut: report.duplicates > report.duplicate_of.len() as u64,
        rejections: report.rejections.into_iter().map(cut).collect(),
        duplicate_of: report.duplicate_of.iter().map(|it| (it.line, it.of_line)).collect(),
        zones: by_size(report.time_zones),
    }))
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
fn by_size(zones: std::collections::BTreeMap<String, u64>) -> Vec<(String, String)> {
    let mut zones: Vec<(String, u64)> = zones.into_iter().collect();
    zones.sort_by_key(|(_, clients)| std::cmp::Reverse(*clients));
    let named = |zone: String| match &*zone {
        "several" => "several possible".to_owned(),
        "unknown" => "not known".to_owned(),
        _ => zone,
    };
    zones.into_iter().take(100).map(|(zone, clients)| (named(zone), count(clients))).collect()
}
