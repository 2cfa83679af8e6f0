//! `POST /api/campaigns/pause-all`: pauses every campaign that runs, and answers which. Each goes on
//! when it is resumed by itself.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::port::Effect;

use crate::act::{Act, Early};
use crate::auth::Operator;
use crate::request::Change;
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Operator(principal): Operator,
    change: Change,
) -> Result<Response, Early> {
    let act = Act::begin(&state, principal, &change, StatusCode::OK).await?;
    change.fields()?.finish()?;
    let paused = state.store().pause_all(act.by()).await;
    act.finish(paused.map(Effect::Paused)).await
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use serde_json::json;

    use crate::testing::World;

    const PATH: &str = "/api/campaigns/pause-all";

    #[tokio::test]
    async fn every_running_campaign_is_paused_and_named() {
        let world = World::new();
        world.draft().await;
        let id = world.loaded(1).await;
        world.post(&format!("/api/campaigns/{id}/start"), json!({})).await;
        let send = || world.request("POST", PATH).header("idempotency-key", "all").send();
        let (first, again) = (send().await, send().await);
        assert_eq!((first.status, &first.json), (StatusCode::OK, &again.json));
        let paused = first.json["paused"].as_array().unwrap();
        assert_eq!(paused.len(), 1);
        assert_eq!((&paused[0]["id"], &paused[0]["state"]), (&json!(id), &json!("paused")));
        assert_eq!(world.post(PATH, json!({})).await.json, json!({"paused": []}));
        assert!(world.audited("campaign.pause").await);
        let answer = world.post(PATH, json!({"why": 1})).await;
        assert_eq!((answer.status, answer.fields()), (StatusCode::BAD_REQUEST, vec!["why"]));
    }
}
