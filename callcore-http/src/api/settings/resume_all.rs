//! `POST /api/resume-all`: puts the switch back that `stop-all` threw. Only that: campaigns people
//! paused stay paused. Whoever may dial may stop; starting again is an admin's.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::port::Effect;

use crate::act::{Act, Early};
use crate::auth::Admin;
use crate::request::Change;
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Admin(principal): Admin,
    change: Change,
) -> Result<Response, Early> {
    let act = Act::begin(&state, principal, &change, StatusCode::OK).await?;
    change.fields()?.finish()?;
    let resumed = state.store().resume_all(act.by()).await;
    act.finish(resumed.map(|view| Effect::Account(Box::new(view)))).await
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use callcore::actor::Role;
    use serde_json::json;

    use crate::testing::World;

    #[tokio::test]
    async fn what_people_paused_stays_paused() {
        let world = World::new();
        let id = world.loaded(1).await;
        world.post(&format!("/api/campaigns/{id}/start"), json!({})).await;
        world.post(&format!("/api/campaigns/{id}/pause"), json!({})).await;
        world.post("/api/stop-all", json!({})).await;
        world.post("/api/resume-all", json!({})).await;
        let campaign = world.get(&format!("/api/campaigns/{id}")).await;
        assert_eq!(campaign.json["state"], "paused");
        assert_eq!(campaign.json["paused_by"], "token:admin");
        assert_eq!(campaign.json["pause_reason"], json!(null));
    }

    #[tokio::test]
    async fn resuming_what_runs_changes_nothing_and_takes_an_admin() {
        let world = World::new();
        assert_eq!(world.post("/api/resume-all", json!({})).await.status, StatusCode::OK);
        let operator = world.request("POST", "/api/resume-all").role(Role::Operator).send().await;
        assert_eq!(operator.status, StatusCode::FORBIDDEN);
        let answer = world.post("/api/resume-all", json!({"campaigns": []})).await;
        assert_eq!((answer.status, answer.fields()), (StatusCode::BAD_REQUEST, vec!["campaigns"]));
    }
}
