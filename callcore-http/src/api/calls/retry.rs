//! `POST /api/calls/{id}/retry`: schedules a new call to an ended call's client.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::id::CallId;
use callcore::port::Effect;

use super::due_at;
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
    let mut fields = change.fields()?;
    let due_at = due_at(&mut fields, act.now());
    fields.finish()?;
    let again = state.desk().retry(act.by(), id, due_at).await;
    act.finish(again.map(|view| Effect::Call(Box::new(view)))).await
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use serde_json::json;

    use crate::testing::World;

    #[tokio::test]
    async fn an_ended_call_is_followed_by_a_new_one_and_only_one() {
        let world = World::new();
        let call = world.talked().await;
        let path = format!("/api/calls/{call}/retry");
        let send = || world.request("POST", &path).header("idempotency-key", "r").send();
        let (first, twin) = (send().await, send().await);
        assert_eq!((first.status, &first.json), (StatusCode::ACCEPTED, &twin.json));
        assert_eq!(first.json["retry_of"], call);
        assert_eq!(first.json["status"], "scheduled");
        let again = world.post(&path, json!({})).await;
        assert_eq!((again.status, again.code()), (StatusCode::CONFLICT, "already_scheduled"));
        assert_eq!(again.json["call_id"], first.json["id"]);
    }

    #[tokio::test]
    async fn a_number_on_the_list_and_a_call_not_ended_are_refused() {
        let world = World::new();
        let call = world.talked().await;
        world.post("/api/dnc", json!({"phone": "+12125550100"})).await;
        let answer = world.post(&format!("/api/calls/{call}/retry"), json!({})).await;
        assert_eq!((answer.status, answer.code()), (StatusCode::UNPROCESSABLE_ENTITY, "on_dnc"));
        let world = World::new();
        world.loaded(1).await;
        let path = format!("/api/calls/{}/retry", world.calls().await.remove(0));
        assert_eq!(world.post(&path, json!({})).await.status, StatusCode::CONFLICT);
        let nowhere = "/api/calls/0199aaaa-0000-7000-8000-000000000000/retry";
        assert_eq!(world.post(nowhere, json!({})).await.status, StatusCode::NOT_FOUND);
    }
}
