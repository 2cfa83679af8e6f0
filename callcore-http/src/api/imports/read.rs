//! `GET /api/imports/{id}`: how far an import is, and its report.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::id::ImportId;

use crate::auth::Viewer;
use crate::dto::{self, ImportDto};
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
    let import = state.store().import(id).await?.ok_or_else(Problem::not_found)?;
    Ok(dto::json(StatusCode::OK, &ImportDto::from(&import)))
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use crate::testing::World;

    #[tokio::test]
    async fn an_import_is_read_with_its_report() {
        let world = World::new();
        let campaign = world.draft().await;
        let report = world.upload(&campaign, "Phone\n+12125550100\n".as_bytes()).await;
        let id = report.json["id"].as_str().unwrap();
        let answer = world.get(&format!("/api/imports/{id}")).await;
        assert_eq!((answer.status, &answer.json), (StatusCode::OK, &report.json));
        let nowhere = "/api/imports/0199aaaa-0000-7000-8000-000000000000";
        assert_eq!(world.get(nowhere).await.status, StatusCode::NOT_FOUND);
    }
}
