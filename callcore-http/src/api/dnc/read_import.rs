//! `GET /api/dnc/imports/{id}`: how far a list of numbers is, and its report.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::id::ImportId;
use callcore::port::{DncImport, ImportStatus};
use serde_json::json;

use crate::auth::Viewer;
use crate::dto::{self, DncImportDto};
use crate::problem::Problem;
use crate::query::Query;
use crate::request::Id;
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Viewer(_): Viewer,
    Id(id): Id<ImportId>,
    query: Query,
) -> Result<Response, Problem> {
    query.finish()?;
    let import = state.store().dnc_import(id).await?.ok_or_else(Problem::not_found)?;
    Ok(dto::json(StatusCode::OK, &DncImportDto::from(&import)))
}

/// The answer to an upload: the report, or where to ask for it.
pub(super) fn answer(import: &DncImport) -> Result<Response, Problem> {
    let dto = DncImportDto::from(import);
    match (import.status, &import.report.failure) {
        (ImportStatus::Running, _) => Ok(dto::json(StatusCode::ACCEPTED, &dto)),
        (ImportStatus::Failed, failure) => {
            let (code, detail) = match failure {
                Some(failure) => (failure.code.clone(), failure.message.clone()),
                None => ("interrupted".to_owned(), "the server ended meanwhile".to_owned()),
            };
            let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail);
            Err(problem.with("import", json!(dto)))
        }
        _ => Ok(dto::json(StatusCode::OK, &dto)),
    }
}
