//! `GET /api/calls/upcoming`: calls to come, in order of their due time.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::port::{CallQuery, CallSort};

use crate::auth::Viewer;
use crate::dto::{self, CallDto, ListDto};
use crate::problem::Problem;
use crate::query::Query;
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Viewer(_): Viewer,
    mut query: Query,
) -> Result<Response, Problem> {
    let (order, after) = query.call_order(&[CallSort::Date]);
    let wanted = CallQuery {
        q: query.q(),
        campaigns: query.many("campaign", |text| text.parse().ok()),
        order,
        after,
        limit: query.limit(),
        ..CallQuery::default()
    };
    query.finish()?;
    let page = state.store().upcoming(&wanted).await?;
    let carrier = state.carrier().kind();
    let list = ListDto::of(&page, |view| CallDto::brief(view, carrier));
    Ok(dto::json(StatusCode::OK, &list))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::World;

    #[tokio::test]
    async fn calls_of_a_running_campaign_are_upcoming_and_those_of_a_draft_are_not() {
        let world = World::new();
        let id = world.loaded(3).await;
        let items = async |query: &str| {
            let answer = world.get(&format!("/api/calls/upcoming?{query}")).await;
            answer.json["items"].as_array().unwrap().len()
        };
        assert_eq!(items("").await, 0);
        world.post(&format!("/api/campaigns/{id}/start"), json!({})).await;
        assert_eq!(items("").await, 3);
        assert_eq!(items("q=client%201&limit=10").await, 1);
        assert_eq!(items(&format!("campaign={id}&limit=2")).await, 2);
        let first = world.get("/api/calls/upcoming?limit=1").await.json["items"][0].clone();
        assert_eq!(first["client_time_zone"], "America/New_York", "also before it is dialled");
        assert_eq!(world.get("/api/calls/upcoming?outcome=busy").await.fields(), ["outcome"]);
    }
}
