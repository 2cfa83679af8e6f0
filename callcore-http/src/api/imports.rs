pub(crate) mod read;
pub(crate) mod upload;

use axum::http::StatusCode;
use axum::response::Response;
use callcore::port::{Import, ImportStatus};
use serde_json::json;

use crate::dto::{self, ImportDto};
use crate::problem::Problem;

/// The answer to an upload: the report, or where to ask for it.
fn answer(import: &Import) -> Result<Response, Problem> {
    let dto = ImportDto::from(import);
    match (import.status, &import.report.failure) {
        (ImportStatus::Running, _) => Ok(dto::json(StatusCode::ACCEPTED, &dto)),
        (ImportStatus::Done, _) => Ok(dto::json(StatusCode::OK, &dto)),
        (ImportStatus::Failed, failure) => {
            let (code, message) = match failure {
                Some(failure) => (failure.code.clone(), failure.message.clone()),
                None => ("interrupted".to_owned(), "the server ended meanwhile".to_owned()),
            };
            let detail = format!("{message}; {} clients came in before", import.report.accepted);
            let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail);
            Err(problem.with("import", json!(dto)))
        }
    }
}
