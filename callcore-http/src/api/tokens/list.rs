//! `GET /api/tokens`: the tokens there are, newest first. Those of the application's own settings
//! are not among them.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::auth::Admin;
use crate::dto::{self, ListDto, TokenDto};
use crate::problem::Problem;
use crate::query::Query;
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Admin(_): Admin,
    query: Query,
) -> Result<Response, Problem> {
    let (after, limit) = query.only_paging()?;
    let page = state.store().tokens(after, limit).await?;
    Ok(dto::json(StatusCode::OK, &ListDto::of(&page, |token| TokenDto::from(token))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::World;

    #[tokio::test]
    async fn tokens_come_newest_first_and_in_pages() {
        let world = World::new();
        for name in ["a", "b", "c"] {
            world.post("/api/tokens", json!({"name": name, "role": "viewer"})).await;
            world.clock.advance(chrono::TimeDelta::seconds(1));
        }
        let first = world.get("/api/tokens?limit=2").await;
        assert_eq!(first.json["items"][0]["name"], "c");
        let cursor = first.json["next_cursor"].as_str().unwrap();
        let rest = world.get(&format!("/api/tokens?cursor={cursor}")).await;
        assert_eq!(rest.json["items"][0]["name"], "a");
        assert!(rest.json["next_cursor"].is_null());
    }
}
