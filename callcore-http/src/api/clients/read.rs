//! `GET /api/clients/{id}`: a client.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::id::ClientId;

use crate::auth::Viewer;
use crate::dto::{self, ClientDto};
use crate::problem::Problem;
use crate::query::Query;
use crate::request::Id;
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Viewer(_): Viewer,
    Id(id): Id<ClientId>,
    query: Query,
) -> Result<Response, Problem> {
    query.finish()?;
    let view = state.store().client(id).await?.ok_or_else(Problem::not_found)?;
    let import = state.store().import(view.client.import).await?;
    let columns = import.map(|import| import.columns).unwrap_or_default();
    Ok(dto::json(StatusCode::OK, &ClientDto::new(&view, &columns)))
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use crate::testing::World;

    #[tokio::test]
    async fn a_client_is_read_with_its_uploaded_cells() {
        let world = World::new();
        let id = world.loaded(1).await;
        let list = world.get(&format!("/api/campaigns/{id}/clients")).await;
        let client = list.json["items"][0]["id"].as_str().unwrap();
        let answer = world.get(&format!("/api/clients/{client}")).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.json["fields"]["Name"], "Client 0");
        assert_eq!(answer.json["status"], "pending");
        assert!(answer.json["next_call"]["id"].is_string());
        assert_eq!(world.get("/api/clients/nobody").await.status, StatusCode::NOT_FOUND);
    }
}
