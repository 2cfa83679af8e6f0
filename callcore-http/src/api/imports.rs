pub(crate) mod list;
pub(crate) mod read;
pub(crate) mod rejects;
pub(crate) mod undo;
pub(crate) mod upload;

use axum::http::StatusCode;
use axum::response::Response;
use callcore::import::ImportReport;
use callcore::port::{ActError, CampaignView, Import, ImportStatus, Refused, SavedReply};
use serde_json::{Value, json};

use crate::act::{Act, Early};
use crate::dto::{self, ImportDto};
use crate::importing::{List, check, import};
use crate::problem::Problem;
use crate::state::ApiState;

/// Refuses clients for a campaign that takes none. It is asked after the idempotency key: what came in
/// before the campaign was stopped did so, and is told again.
pub(crate) fn takes_clients(campaign: &CampaignView) -> Result<(), ActError> {
    let state = campaign.campaign.state;
    if state.takes_clients() { Ok(()) } else { Err(Refused::Campaign(state).into()) }
}

/// Imports a list, or only tells what that would come to.
pub(crate) async fn take(
    state: &ApiState,
    act: Act,
    campaign: &CampaignView,
    list: List,
    dry_run: bool,
) -> Result<Response, Early> {
    if !dry_run {
        let imported = import(state, act, campaign, list).await?;
        return Ok(answer(imported.status, &imported.report, &ImportDto::from(&imported))?);
    }
    let (id, name) = (campaign.campaign.id, list.name().to_owned());
    let (status, report) = check(state, id, list, |_| Ok(())).await?;
    let dto = ImportDto::dry_run(id, &name, status, report.clone());
    Ok(answer(status, &report, &dto)?)
}

/// What a request under the same key is answered: the import of the first, as far as it is now.
pub(crate) async fn replayed(state: &ApiState, early: Early) -> Result<Response, Early> {
    let Early::Replay(reply) = early else { return Err(early) };
    let import = first(state, &reply).await?;
    Ok(answer(import.status, &import.report, &ImportDto::from(&import))?)
}

async fn first(state: &ApiState, reply: &SavedReply) -> Result<Import, Problem> {
    let body: Value = serde_json::from_str(&reply.body).unwrap_or_default();
    let id = body["id"].as_str().and_then(|id| id.parse().ok()).ok_or_else(Problem::not_found)?;
    state.store().import(id).await?.ok_or_else(Problem::not_found)
}

/// The answer to clients that were sent: the report, or where to ask for it.
fn answer(
    status: ImportStatus,
    report: &ImportReport,
    dto: &ImportDto,
) -> Result<Response, Problem> {
    match status {
        ImportStatus::Running => Ok(dto::json(StatusCode::ACCEPTED, dto)),
        ImportStatus::Done | ImportStatus::Undone => Ok(dto::json(StatusCode::OK, dto)),
        ImportStatus::Failed => {
            let (code, message) = match &report.failure {
                Some(failure) => (failure.code.clone(), failure.message.clone()),
                None => ("interrupted".to_owned(), "the server ended meanwhile".to_owned()),
            };
            let detail = format!("{message}; {} clients came in before", report.accepted);
            let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail);
            Err(problem.with("import", json!(dto)))
        }
    }
}
