//! Uploading a list, what came of it, and taking it back.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect};
use callcore::actor::Role;
use callcore::id::{CampaignId, ImportId};
use callcore::import::{Duplicate, ImportReport, Rejection};
use callcore::port::{ActError, CampaignView, Import, ImportStatus, Refused, SortKey};

use super::ROWS;
use super::campaign::existing;
use super::form::{CSRF_FIELD, Form};
use super::frame::{Answer, Shell, Trouble, Visit, done, page};
use super::rows::shown;
use super::when::{count, counted};
use super::words::plain;
use crate::act::{Act, Early};
use crate::importing::{self, List};
use crate::problem::Problem;
use crate::query::Query;
use crate::request::Id;
use crate::state::ApiState;
use crate::upload::{OPTIONS, receive};

/// The longest cell that a report shows, in characters.
const MAX_VALUE: usize = 60;

/// How many imports a campaign's page lists, the latest.
const LATEST: u32 = 8;

/// Takes a list at once, its columns guessed, and goes to its report, which may still be growing.
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
    let upload = receive(&state, request, &OPTIONS, &[CSRF_FIELD]).await?;
    visit.principal.check_csrf(upload.others.get(CSRF_FIELD).map(String::as_str))?;
    let list = List::open(upload, &campaign.campaign.settings).await?;
    let import = take_in(&state, &visit, &campaign, list).await?;
    Ok(Redirect::to(&format!("/campaigns/{id}/imports/{}", import.id)).into_response())
}

/// Imports a list. A form has no idempotency key: a list sent twice finds its people there already.
pub(super) async fn take_in(
    state: &ApiState,
    visit: &Visit,
    view: &CampaignView,
    list: List,
) -> Result<Import, Trouble> {
    let (principal, keyless) = (visit.principal.clone(), HeaderMap::new());
    let act =
        Act::under(state, principal, String::new(), &keyless, &[], StatusCode::ACCEPTED).await;
    let imported = match act {
        Ok(act) => importing::import(state, act, view, list).await,
        Err(early) => Err(early),
    };
    imported.map_err(|early| match early {
        Early::Problem(problem) => Trouble::from(problem),
        Early::Replay(_) => Refused::InProgress.into(),
    })
}

/// An import in a list.
#[derive(Debug)]
pub(super) struct ImportRow {
    pub(super) id: ImportId,
    pub(super) file_name: String,
    pub(super) summary: String,
}

impl ImportRow {
    fn of(import: &Import) -> Self {
        let report = &import.report;
        let mut parts = vec![format!("{} added", count(report.accepted))];
        if report.updated > 0 {
            parts.push(format!("{} changed", count(report.updated)));
        }
        if report.rejected > 0 {
            parts.push(format!("{} refused", count(report.rejected)));
        }
        let summary = match import.status {
            ImportStatus::Running => format!("{} so far", parts.join(", ")),
            ImportStatus::Failed => format!("{}, broken off", parts.join(", ")),
            ImportStatus::Undone => "taken back".to_owned(),
            ImportStatus::Done => parts.join(", "),
        };
        Self { id: import.id, file_name: shown(&import.file_name), summary }
    }
}

/// The latest imports of a campaign.
pub(super) async fn import_rows(
    state: &ApiState,
    campaign: CampaignId,
) -> Result<Vec<ImportRow>, Trouble> {
    let imports = state.store().import_page(campaign, None, LATEST).await?;
    Ok(imports.items.iter().map(ImportRow::of).collect())
}

#[derive(Template)]
#[template(path = "imports.html")]
struct ImportsPage {
    shell: Shell,
    campaign_id: CampaignId,
    campaign: String,
    takes: bool,
    imports: Vec<ImportRow>,
    next: Option<String>,
}

/// Every import of a campaign.
pub(super) async fn list(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CampaignId>,
    mut query: Query,
) -> Answer {
    let after = query.cursor_by(|key| matches!(key, SortKey::Number(_)));
    query.finish()?;
    let view = existing(&state, id).await?;
    let imports = state.store().import_page(id, after, ROWS).await?;
    Ok(page(&ImportsPage {
        shell: visit.shell(&state, "Uploads", "/campaigns"),
        campaign_id: id,
        campaign: shown(&view.campaign.settings.name),
        takes: view.campaign.state.takes_clients() && visit.principal.role >= Role::Operator,
        imports: imports.items.iter().map(ImportRow::of).collect(),
        next: imports.next.map(|cursor| format!("/campaigns/{id}/imports?cursor={cursor}")),
    }))
}

/// What came of a list, or would.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) failure: Option<String>,
    pub(super) rows_read: String,
    pub(super) accepted: String,
    pub(super) updated: Option<String>,
    pub(super) duplicates: String,
    pub(super) rejected: String,
    pub(super) on_dnc: String,
    pub(super) cleaned: Option<String>,
    pub(super) by_code: String,
    pub(super) rejections: Vec<Rejection>,
    pub(super) rejections_cut: bool,
    pub(super) duplicate_of: Vec<(u64, String)>,
    pub(super) duplicates_cut: bool,
    pub(super) zones: Vec<(String, String)>,
}

impl Report {
    pub(super) fn of(status: ImportStatus, report: ImportReport) -> Self {
        let by_code = report.rejected_by_code.iter();
        let by_code: Vec<String> =
            by_code.map(|(code, rows)| format!("{} {}", count(*rows), plain(code))).collect();
        let some = |number: u64| (number > 0).then(|| count(number));
        let failed = status == ImportStatus::Failed;
        let failure = report.failure.map(|failure| failure.message).unwrap_or_default();
        Self {
            failure: failed.then_some(failure),
            rows_read: count(report.rows_read),
            accepted: count(report.accepted),
            updated: some(report.updated),
            duplicates: count(report.duplicates),
            rejected: count(report.rejected),
            on_dnc: count(report.on_dnc),
            cleaned: some(report.cleaned),
            by_code: by_code.join(", "),
            rejections_cut: report.rejected > report.rejections.len() as u64,
            duplicates_cut: report.duplicates > report.duplicate_of.len() as u64,
            rejections: report.rejections.into_iter().map(cut).collect(),
            duplicate_of: report.duplicate_of.iter().map(|it| (it.line, repeated(it))).collect(),
            zones: by_size(report.time_zones),
        }
    }
}

#[derive(Template)]
#[template(path = "import.html")]
struct ImportPage {
    shell: Shell,
    id: ImportId,
    campaign_id: CampaignId,
    campaign: String,
    is_draft: bool,
    file_name: String,
    running: bool,
    undone: bool,
    can_undo: bool,
    rejects_href: String,
    report: Report,
}

pub(super) async fn show(
    State(state): State<ApiState>,
    visit: Visit,
    Path(path): Path<(String, String)>,
) -> Answer {
    let (view, import) = found(&state, path).await?;
    let running = import.status == ImportStatus::Running;
    let undone = import.status == ImportStatus::Undone;
    let shell = visit.shell(&state, "Upload report", "/campaigns");
    Ok(page(&ImportPage {
        shell: if running { shell.live() } else { shell },
        id: import.id,
        campaign_id: import.campaign,
        campaign: shown(&view.campaign.settings.name),
        is_draft: view.campaign.state == callcore::campaign::RunState::Draft
            && visit.principal.role >= Role::Operator,
        file_name: shown(&import.file_name),
        running,
        undone,
        can_undo: !running && !undone && visit.principal.role >= Role::Operator,
        rejects_href: format!("/api/imports/{}/rejects.csv", import.id),
        report: Report::of(import.status, import.report),
    }))
}

/// An import of a campaign by their ids.
async fn found(
    state: &ApiState,
    (campaign, import): (String, String),
) -> Result<(CampaignView, Import), Trouble> {
    let campaign: CampaignId = campaign.parse().map_err(|_| Problem::not_found())?;
    let import: ImportId = import.parse().map_err(|_| Problem::not_found())?;
    let view = existing(state, campaign).await?;
    let import = state.store().import(import).await?;
    let import = import.filter(|import| import.campaign == campaign);
    Ok((view, import.ok_or_else(Problem::not_found)?))
}

#[derive(Template)]
#[template(path = "import_undo.html")]
struct UndoPage {
    shell: Shell,
    id: ImportId,
    campaign_id: CampaignId,
    campaign: String,
    file_name: String,
    accepted: String,
    updated: Option<String>,
    /// How many of its people were called and would stay, once that is known.
    called: Option<(String, String)>,
}

/// Asks before an import is taken back.
pub(super) async fn confirm_undo(
    State(state): State<ApiState>,
    visit: Visit,
    Path(path): Path<(String, String)>,
) -> Answer {
    visit.require(Role::Operator)?;
    let (view, import) = found(&state, path).await?;
    Ok(page(&undo_page(&state, &visit, &view, &import, None)))
}

fn undo_page(
    state: &ApiState,
    visit: &Visit,
    view: &CampaignView,
    import: &Import,
    called: Option<(String, String)>,
) -> UndoPage {
    let updated = import.report.updated;
    UndoPage {
        shell: visit.shell(state, "Take an upload back", "/campaigns"),
        id: import.id,
        campaign_id: import.campaign,
        campaign: shown(&view.campaign.settings.name),
        file_name: shown(&import.file_name),
        accepted: counted(import.report.accepted, "person", "people"),
        updated: (updated > 0).then(|| counted(updated, "person", "people")),
        called,
    }
}

/// Takes an import back: those who were called stay, if somebody said that they may.
pub(super) async fn undo(
    State(state): State<ApiState>,
    visit: Visit,
    Path(path): Path<(String, String)>,
    form: Form,
) -> Answer {
    visit.require(Role::Operator)?;
    let (view, import) = found(&state, path).await?;
    let partial = form.some("partial").is_some();
    match state.store().undo_import(visit.by(), import.id, partial).await {
        Ok(undone) => {
            state.wake();
            let mut said =
                format!("{} gone again.", counted(undone.removed, "person is", "people are"));
            if undone.kept > 0 {
                let kept = counted(undone.kept, "person who was", "people who were");
                said.push_str(&format!(" {kept} called stay."));
            }
            Ok(done(&format!("/campaigns/{}", import.campaign), said))
        }
        Err(ActError::Refused(Refused::Called { called, uncalled })) => {
            let called = counted(called, "person of it was", "people of it were");
            let rest = counted(uncalled, "other", "others");
            let mut asked = undo_page(&state, &visit, &view, &import, Some((called, rest)));
            asked.shell = asked.shell.with_trouble("Nothing was taken back yet.");
            Ok(super::frame::page_with(StatusCode::CONFLICT, &asked))
        }
        Err(error) => Err(error.into()),
    }
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
