//! `GET /api/users`: users in the order they came.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::auth::Admin;
use crate::dto::{self, ListDto, UserDto};
use crate::problem::Problem;
use crate::query::Query;
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Admin(_): Admin,
    query: Query,
) -> Result<Response, Problem> {
    let (after, limit) = query.only_paging()?;
    let page = state.store().users(after, limit).await?;
    Ok(dto::json(StatusCode::OK, &ListDto::of(&page, |view| UserDto::from(view))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::World;

    #[tokio::test]
    async fn pages_of_users_join_without_a_gap_and_show_no_secret() {
        let world = World::new();
        for name in ["ana", "bob", "cy"] {
            world.post("/api/users", json!({"name": name, "role": "viewer"})).await;
            world.clock.advance(chrono::TimeDelta::seconds(1));
        }
        let first = world.get("/api/users?limit=2").await;
        let cursor = first.json["next_cursor"].as_str().unwrap();
        let rest = world.get(&format!("/api/users?limit=2&cursor={cursor}")).await;
        let names = |answer: &crate::testing::Answer| -> Vec<String> {
            let items = answer.json["items"].as_array().unwrap();
            items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!([names(&first), names(&rest)].concat(), ["ana", "bob", "cy"]);
        assert!(rest.json["next_cursor"].is_null());
        assert!(!first.text().contains("link="));
        assert_eq!(world.get("/api/users?name=ana").await.fields(), ["name"]);
    }
}
