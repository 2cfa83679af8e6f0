//! `GET /api/campaigns`: campaigns, newest first.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::campaign::RunState;

use crate::auth::Viewer;
use crate::dto::{self, CampaignDto, ListDto};
use crate::problem::Problem;
use crate::query::Query;
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Viewer(_): Viewer,
    mut query: Query,
) -> Result<Response, Problem> {
    let states = query.many("state", RunState::parse);
    let (limit, after) = (query.limit(), query.cursor());
    query.finish()?;
    let page = state.store().campaigns(&states, after, limit).await?;
    Ok(dto::json(StatusCode::OK, &ListDto::of(&page, |view| CampaignDto::from(view))))
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use crate::testing::World;

    #[tokio::test]
    async fn pages_of_a_list_join_without_a_gap() {
        let world = World::new();
        for _ in 0..3 {
            world.draft().await;
        }
        let first = world.get("/api/campaigns?limit=2").await;
        let cursor = first.json["next_cursor"].as_str().unwrap();
        let rest = world.get(&format!("/api/campaigns?limit=2&cursor={cursor}")).await;
        let ids = |answer: &crate::testing::Answer| -> Vec<String> {
            let items = answer.json["items"].as_array().unwrap();
            items.iter().map(|item| item["id"].to_string()).collect()
        };
        assert_eq!(ids(&first).len() + ids(&rest).len(), 3);
        assert!(rest.json["next_cursor"].is_null());
        assert!(ids(&rest).iter().all(|id| !ids(&first).contains(id)));
    }

    #[tokio::test]
    async fn a_filter_lets_only_its_states_pass_and_bad_keys_are_named() {
        let world = World::new();
        world.draft().await;
        let running = world.get("/api/campaigns?state=running&state=paused").await;
        assert!(running.json["items"].as_array().unwrap().is_empty());
        let bad = world.get("/api/campaigns?state=asleep&colour=red").await;
        assert_eq!(bad.status, StatusCode::BAD_REQUEST);
        assert_eq!(bad.fields(), ["state", "colour"]);
    }
}
