//! `POST /api/calls/{id}/call-now`: dials a scheduled call at once. It goes through the same
//! decision as every dial.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::id::CallId;
use callcore::port::Effect;

use crate::act::{Act, Early};
use crate::auth::Operator;
use crate::request::{Change, Id};
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Operator(principal): Operator,
    Id(id): Id<CallId>,
    change: Change,
) -> Result<Response, Early> {
    let act = Act::begin(&state, principal, &change, StatusCode::ACCEPTED).await?;
    change.fields()?.finish()?;
    let called = state.store().call_now(act.by(), id).await;
    act.finish(called.map(|view| Effect::Call(Box::new(view)))).await
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use serde_json::json;

    use crate::testing::World;

    #[tokio::test]
    async fn a_call_is_due_at_once_by_a_persons_wish_also_while_paused() {
        let world = World::new();
        let id = world.loaded(1).await;
        let call = world.calls().await.remove(0);
        let path = format!("/api/calls/{call}/call-now");
        let draft = world.post(&path, json!({})).await;
        assert_eq!((draft.status, draft.code()), (StatusCode::CONFLICT, "campaign_state"));
        world.post(&format!("/api/campaigns/{id}/start"), json!({})).await;
        world.post(&format!("/api/campaigns/{id}/pause"), json!({})).await;
        let send = || world.request("POST", &path).header("idempotency-key", "now").send();
        let (first, again) = (send().await, send().await);
        assert_eq!(first.status, StatusCode::ACCEPTED);
        assert_eq!(first.json["id"], call);
        assert_eq!(first.json, again.json);
        world.dial_all().await;
        let live = world.post(&path, json!({})).await;
        assert_eq!((live.status, live.code()), (StatusCode::CONFLICT, "call_state"));
    }

    #[tokio::test]
    async fn what_is_not_there_yet_is_refused_by_name() {
        let world = World::new();
        world.loaded(1).await;
        let call = world.calls().await.remove(0);
        let path = format!("/api/calls/{call}/call-now");
        let answer = world.post(&path, json!({"override_hours": true})).await;
        assert_eq!(
            (answer.status, answer.fields()),
            (StatusCode::BAD_REQUEST, vec!["override_hours"])
        );
        let nowhere = "/api/calls/0199aaaa-0000-7000-8000-000000000000/call-now";
        assert_eq!(world.post(nowhere, json!({})).await.status, StatusCode::NOT_FOUND);
    }
}
