//! A whole list of numbers: looked at first, then put on the list, with a report either way.

use askama::Template;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect};
use callcore::actor::Role;
use callcore::dnc::{DncReport, DncScope};
use callcore::id::ImportId;
use callcore::import::Rejection;
use callcore::phone::Region;
use callcore::port::{ImportStatus, Refused};

use super::super::form::{CSRF_FIELD, Choice};
use super::super::frame::{Answer, Shell, Trouble, Visit, page, page_with};
use super::super::rows::{campaign_choices, shown};
use super::super::when::count;
use super::super::words::{actor, plain};
use super::campaign_name;
use crate::act::{Act, Early};
use crate::api::dnc::import::{FIELDS, MAX_REJECTED_PERCENT, list_of};
use crate::dnc_importing::{dry_run, import};
use crate::problem::Problem;
use crate::query::Query;
use crate::request::Id;
use crate::state::ApiState;
use crate::upload::{Upload, receive};

/// The longest cell that a report shows, in characters.
const MAX_VALUE: usize = 60;

#[derive(Template)]
#[template(path = "dnc_import.html")]
struct FormPage {
    shell: Shell,
    draft: Draft,
    campaigns: Vec<Choice>,
    /// What a list that was only looked at would do.
    report: Option<Report>,
    /// Whether the list would be refused whole.
    too_many: bool,
}

#[derive(Template)]
#[template(path = "dnc_imported.html")]
struct ReportPage {
    shell: Shell,
    file_name: String,
    campaign: Option<String>,
    added_by: String,
    running: bool,
    failure: Option<String>,
    report: Report,
}

/// What somebody filled in beside the file.
#[derive(Debug)]
struct Draft {
    scope: DncScope,
    reason: String,
    region: String,
    percent: String,
    column: String,
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            scope: DncScope::Global,
            reason: String::new(),
            region: Region::US.to_string(),
            percent: MAX_REJECTED_PERCENT.to_string(),
            column: String::new(),
        }
    }
}

/// A report in words.
struct Report {
    rows_read: String,
    accepted: String,
    duplicates: String,
    rejected: String,
    canceled: String,
    hung_up: String,
    by_code: String,
    rejections: Vec<Rejection>,
    cut: bool,
    /// Whether nothing was changed by it.
    is_dry: bool,
}

impl Report {
    fn of(report: DncReport, is_dry: bool) -> Self {
        let by_code = report.rejected_by_code.iter();
        let by_code: Vec<String> =
            by_code.map(|(code, rows)| format!("{} {}", count(*rows), plain(code))).collect();
        Self {
            rows_read: count(report.rows_read),
            accepted: count(report.accepted),
            duplicates: count(report.duplicates),
            rejected: count(report.rejected),
            canceled: count(report.canceled),
            hung_up: count(report.in_flight.len() as u64),
            by_code: by_code.join(", "),
            cut: report.rejected > report.rejections.len() as u64,
            rejections: report.rejections.into_iter().map(short).collect(),
            is_dry,
        }
    }
}

fn short(mut rejection: Rejection) -> Rejection {
    for text in [&mut rejection.value, &mut rejection.column] {
        if let Some((end, _)) = text.char_indices().nth(MAX_VALUE) {
            text.truncate(end);
            text.push('…');
        }
    }
    rejection
}

pub(in crate::pages) async fn form(
    State(state): State<ApiState>,
    visit: Visit,
    query: Query,
) -> Answer {
    visit.require(Role::Operator)?;
    query.finish()?;
    Ok(page(&form_page(&state, &visit, Draft::default()).await?))
}

async fn form_page(state: &ApiState, visit: &Visit, draft: Draft) -> Result<FormPage, Trouble> {
    Ok(FormPage {
        shell: visit.shell(state, "Import numbers", "/dnc"),
        campaigns: campaign_choices(state, draft.scope.campaign()).await?,
        draft,
        report: None,
        too_many: false,
    })
}

/// Takes a list: looks at it only, or puts it on the list and goes to its report, which may still be
/// growing.
pub(in crate::pages) async fn upload(
    State(state): State<ApiState>,
    visit: Visit,
    request: Request,
) -> Answer {
    visit.require(Role::Operator)?;
    let others: Vec<&str> = FIELDS.into_iter().chain([CSRF_FIELD, "column"]).collect();
    let mut upload = receive(&state, request, &[], &others).await?;
    visit.principal.check_csrf(upload.others.get(CSRF_FIELD).map(String::as_str))?;
    let draft = draft_of(&mut upload)?;
    if let Some(id) = draft.scope.campaign() {
        state.store().campaign(id).await?.ok_or_else(Problem::not_found)?;
    }
    let taken = match list_of(upload) {
        Ok((list, true)) => {
            let percent = list.max_rejected_percent;
            dry_run(&state, list).await.map(|report| Taken::LookedAt(report, percent))
        }
        Ok((list, false)) => {
            // A form has no idempotency key: a list sent twice finds its numbers there already.
            let (principal, keyless) = (visit.principal.clone(), HeaderMap::new());
            let status = StatusCode::ACCEPTED;
            let act = Act::under(&state, principal, String::new(), &keyless, &[], status).await;
            let begun = match act {
                Ok(act) => import(&state, act, list).await,
                Err(early) => Err(early),
            };
            match begun {
                Ok(import) => Ok(Taken::Begun(import.id)),
                Err(Early::Problem(problem)) => Err(problem),
                Err(Early::Replay(_)) => Err(Refused::InProgress.into()),
            }
        }
        Err(problem) => Err(problem),
    };
    let mut page_of = form_page(&state, &visit, draft).await?;
    match taken {
        Ok(Taken::Begun(id)) => Ok(Redirect::to(&format!("/dnc/imports/{id}")).into_response()),
        Ok(Taken::LookedAt(report, percent)) => {
            page_of.too_many = report.rejects_more_than(percent);
            page_of.report = Some(Report::of(report, true));
            Ok(page(&page_of))
        }
        Err(problem) if problem.status().is_client_error() => {
            let trouble = Trouble::from(problem);
            page_of.shell = page_of.shell.with_trouble(trouble.sentence());
            Ok(page_with(trouble.status(), &page_of))
        }
        Err(problem) => Err(problem.into()),
    }
}

enum Taken {
    LookedAt(DncReport, u8),
    Begun(ImportId),
}

/// What was filled in, with the scope as the API's form has it.
fn draft_of(upload: &mut Upload) -> Result<Draft, Trouble> {
    let text = |name: &str| upload.others.get(name).map(|it| it.trim().to_owned());
    let scope = super::read_scope(&text("scope").unwrap_or_default())?;
    let draft = Draft {
        scope,
        reason: text("reason").unwrap_or_default(),
        region: text("default_region").unwrap_or_default(),
        percent: text("max_rejected_percent").unwrap_or_default(),
        column: text("column").unwrap_or_default(),
    };
    upload.others.insert("scope".to_owned(), scope.as_str().to_owned());
    if let Some(id) = scope.campaign() {
        upload.others.insert("campaign_id".to_owned(), id.to_string());
    }
    upload.mapping.phone = Some(draft.column.clone()).filter(|column| !column.is_empty());
    Ok(draft)
}

pub(in crate::pages) async fn show(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<ImportId>,
    query: Query,
) -> Answer {
    query.finish()?;
    let import = state.store().dnc_import(id).await?.ok_or_else(Problem::not_found)?;
    let running = import.status == ImportStatus::Running;
    let shell = visit.shell(&state, "Import report", "/dnc");
    let failure = import.report.failure.as_ref().map(|failure| failure.message.clone());
    let interrupted = || "the server ended meanwhile".to_owned();
    Ok(page(&ReportPage {
        shell: if running { shell.live() } else { shell },
        file_name: shown(&import.file_name),
        campaign: campaign_name(&state, import.scope).await?,
        added_by: actor(&import.added_by),
        running,
        failure: (import.status == ImportStatus::Failed)
            .then(|| failure.unwrap_or_else(interrupted)),
        report: Report::of(import.report, false),
    }))
}
