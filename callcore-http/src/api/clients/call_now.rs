//! `POST /api/clients/{id}/call-now`: dials a client at once: its scheduled call, or a new one if none
//! is to come. It goes through the same decision as every dial.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::id::ClientId;
use callcore::port::Effect;

use crate::act::{Act, Early};
use crate::auth::Operator;
use crate::request::{Change, Id};
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Operator(principal): Operator,
    Id(id): Id<ClientId>,
    change: Change,
) -> Result<Response, Early> {
    let act = Act::begin(&state, principal, &change, StatusCode::ACCEPTED).await?;
    change.fields()?.finish()?;
    let called = state.desk().call_client(act.by(), id).await;
    act.finish(called.map(|view| Effect::Call(Box::new(view)))).await
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use serde_json::json;

    use crate::testing::World;

    #[tokio::test]
    async fn a_client_is_called_by_its_scheduled_call_and_then_by_a_new_one() {
        let world = World::new();
        let campaign = world.loaded(1).await;
        let (client, call) = (world.client(&campaign).await, world.calls().await.remove(0));
        let path = format!("/api/clients/{client}/call-now");
        let draft = world.post(&path, json!({})).await;
        assert_eq!((draft.status, draft.code()), (StatusCode::CONFLICT, "campaign_state"));
        world.post(&format!("/api/campaigns/{campaign}/start"), json!({})).await;
        let send = || world.request("POST", &path).header("idempotency-key", "now").send();
        let (first, twin) = (send().await, send().await);
        assert_eq!((first.status, &first.json["id"]), (StatusCode::ACCEPTED, &json!(call)));
        assert_eq!(first.json, twin.json);
        world.answer_all().await;
        let again = world.post(&path, json!({})).await;
        assert_eq!((again.status, &again.json["retry_of"]), (StatusCode::ACCEPTED, &json!(call)));
        assert_eq!(again.json["attempt"], 2);
        world.dial_all().await;
        let live = world.post(&path, json!({})).await;
        assert_eq!((live.status, live.code()), (StatusCode::CONFLICT, "call_state"));
    }

    #[tokio::test]
    async fn who_may_not_be_called_is_refused_by_name() {
        let world = World::new();
        let call = world.talked().await;
        let client = world.get(&format!("/api/calls/{call}")).await.json["client_id"].clone();
        let client = client.as_str().unwrap();
        let path = format!("/api/clients/{client}/call-now");
        let hours = world.post(&path, json!({"override_hours": true, "reason": "x"})).await;
        assert_eq!(
            (hours.status, hours.fields()),
            (StatusCode::BAD_REQUEST, vec!["override_hours", "reason"])
        );
        world.patch(&format!("/api/clients/{client}"), json!({"active": false})).await;
        let off = world.post(&path, json!({})).await;
        assert_eq!((off.status, off.code()), (StatusCode::CONFLICT, "inactive"));
        world.post("/api/dnc", json!({"phone": "+12125550100"})).await;
        let listed = world.post(&path, json!({})).await;
        assert_eq!((listed.status, listed.code()), (StatusCode::UNPROCESSABLE_ENTITY, "on_dnc"));
        let nowhere = "/api/clients/0199aaaa-0000-7000-8000-000000000000/call-now";
        assert_eq!(world.post(nowhere, json!({})).await.status, StatusCode::NOT_FOUND);
    }
}
