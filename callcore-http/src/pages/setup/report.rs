//! What an import of the list that waits would come to, the rows it would refuse, and the import.

use std::io::{BufWriter, Write};

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use callcore::actor::Role;
use callcore::export::RejectExport;
use callcore::id::CampaignId;
use callcore::import::{ImportReport, Reject};
use callcore::port::{AuditEntry, ImportStatus, Refused};
use futures_util::stream;
use serde_json::json;
use tokio::io::AsyncReadExt;

use super::super::campaign::existing;
use super::super::form::Form;
use super::super::frame::{Answer, Shell, Visit, done, page};
use super::super::import::{Report, take_in};
use super::super::rows::shown;
use super::super::when::{count, counted};
use super::columns::gone;
use super::{Setup, Step};
use crate::importing;
use crate::request::{Id, internal};
use crate::state::ApiState;

/// What is read of the refused rows at once, in bytes.
const CHUNK: usize = 64 * 1024;

#[derive(Template)]
#[template(path = "setup/report.html")]
struct ReportPage {
    shell: Shell,
    setup: Setup,
    file_name: String,
    report: Report,
    rejects_href: String,
    /// What the forms name the list by.
    mark: String,
    /// What the import would do, if it would do anything.
    brings: Option<String>,
}

pub(super) async fn show(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CampaignId>,
) -> Answer {
    visit.require(Role::Operator)?;
    let view = existing(&state, id).await?;
    let Some(waiting) = state.waiting_lists().of(id, state.wall_now()) else {
        return Ok(gone(id));
    };
    let list = match waiting.open(&view.campaign.settings).await {
        Ok(list) => list,
        // Which column holds the numbers has to be said first.
        Err(problem) if matches!(problem.code(), "no_phone_column" | "unknown_column") => {
            return Ok(Redirect::to(&Step::Columns.path(id)).into_response());
        }
        Err(problem) => return Err(problem.into()),
    };
    let (status, report) = importing::check(&state, id, list, |_| Ok(())).await?;
    let setup = Setup::new(&state, &visit, &view, Step::Report);
    Ok(page(&ReportPage {
        shell: setup.shell(&state, &visit),
        setup,
        file_name: shown(&waiting.name),
        rejects_href: format!("/campaigns/{id}/setup/refused.csv"),
        mark: waiting.mark(),
        brings: brings(&report),
        report: Report::of(status, report),
    }))
}

fn brings(report: &ImportReport) -> Option<String> {
    let added = || counted(report.accepted, "person", "people");
    match (report.accepted, report.updated) {
        (0, 0) => None,
        (_, 0) => Some(format!("Add {}", added())),
        (0, updated) => Some(format!("Change {}", counted(updated, "person", "people"))),
        (_, updated) => Some(format!("Add {} and change {}", added(), count(updated))),
    }
}

/// The rows that would be refused, to be mended and uploaded again.
pub(super) async fn refused(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CampaignId>,
) -> Answer {
    visit.require(Role::Operator)?;
    let view = existing(&state, id).await?;
    let Some(waiting) = state.waiting_lists().of(id, state.wall_now()) else {
        return Ok(gone(id));
    };
    let list = waiting.open(&view.campaign.settings).await?;
    let file = tempfile::tempfile().map_err(|error| internal(&error))?;
    let mut rows = BufWriter::new(file);
    let mut write =
        |text: String| rows.write_all(text.as_bytes()).map_err(|error| internal(&error));
    write(RejectExport::header(list.columns()))?;
    importing::check(&state, id, list, |reject: &Reject| write(RejectExport::row(reject))).await?;
    let mut file = rows.into_inner().map_err(|error| internal(error.error()))?;
    std::io::Seek::rewind(&mut file).map_err(|error| internal(&error))?;
    let entry = AuditEntry {
        action: "import.rejects",
        object: id.to_string(),
        old: None,
        new: Some(json!({"dry_run": true})),
    };
    state.store().append_audit(visit.by(), entry).await?;
    let body = stream::try_unfold(tokio::fs::File::from_std(file), async |mut file| {
        let mut chunk = vec![0; CHUNK];
        let len = file.read(&mut chunk).await?;
        chunk.truncate(len);
        Ok::<_, std::io::Error>((len > 0).then_some((chunk, file)))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"refused-{id}.csv\"")),
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}

/// Imports the list that waits.
pub(super) async fn import(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CampaignId>,
    form: Form,
) -> Answer {
    visit.require(Role::Operator)?;
    let view = existing(&state, id).await?;
    if !view.campaign.state.takes_clients() {
        return Err(Refused::Campaign(view.campaign.state).into());
    }
    let Some(waiting) = state.waiting_lists().of(id, state.wall_now()) else {
        return Ok(gone(id));
    };
    if form.text("list") != waiting.mark() {
        return Ok(another(id));
    }
    let list = waiting.open(&view.campaign.settings).await?;
    let import = take_in(&state, &visit, &view, list).await?;
    state.waiting_lists().drop_same(id, &waiting);
    let path = format!("/campaigns/{id}/imports/{}", import.id);
    Ok(match import.status {
        ImportStatus::Done => done(&path, "The list is in."),
        _ => Redirect::to(&path).into_response(),
    })
}

/// Where somebody goes whose page was about another list, or about the same one read differently.
fn another(id: CampaignId) -> Response {
    done(
        &Step::Report.path(id),
        "Nothing was done: another list took the place of the one you saw, or its columns were changed, in another window or by somebody else. This is what would come in now.",
    )
}

/// Drops the list that waits.
pub(super) async fn discard(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CampaignId>,
    form: Form,
) -> Answer {
    visit.require(Role::Operator)?;
    if let Some(waiting) = state.waiting_lists().of(id, state.wall_now()) {
        if form.text("list") != waiting.mark() {
            return Ok(another(id));
        }
        state.waiting_lists().drop_same(id, &waiting);
    }
    Ok(done(&Step::List.path(id), "The list is dropped: nobody of it came in."))
}
