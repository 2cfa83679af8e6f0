//! `POST /api/calls/{id}/reschedule`: moves a scheduled call to an instant the hours allow.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::id::CallId;
use callcore::port::Effect;

use super::due_at;
use crate::act::{Act, Early};
use crate::auth::Operator;
use crate::problem::Problem;
use crate::request::{Change, Id};
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Operator(principal): Operator,
    Id(id): Id<CallId>,
    change: Change,
) -> Result<Response, Early> {
    let act = Act::begin(&state, principal, &change, StatusCode::OK).await?;
    let mut fields = change.fields()?;
    let due_at = due_at(&mut fields, act.now());
    fields.finish()?;
    let due_at = due_at.ok_or_else(|| Problem::field("due_at", "required", "is required"))?;
    let moved = state.desk().reschedule(act.by(), id, due_at).await;
    act.finish(moved.map(|view| Effect::Call(Box::new(view)))).await
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use serde_json::json;

    use crate::testing::World;

    #[tokio::test]
    async fn a_call_moves_into_the_hours_and_not_out_of_them() {
        let world = World::new();
        world.loaded(1).await;
        let path = format!("/api/calls/{}/reschedule", world.calls().await.remove(0));
        let due_at = "2026-11-24T16:00:00Z";
        let answer = world.post(&path, json!({"due_at": due_at})).await;
        assert_eq!((answer.status, &answer.json["due_at"]), (StatusCode::OK, &json!(due_at)));
        let night = world.post(&path, json!({"due_at": "2026-11-24T06:00:00Z"})).await;
        assert_eq!(night.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(night.code(), "outside_hours");
        assert_eq!(night.json["next_allowed"], "2026-11-24T14:00:00Z");
    }

    #[tokio::test]
    async fn the_past_and_bad_fields_are_refused() {
        let world = World::new();
        world.loaded(1).await;
        let path = format!("/api/calls/{}/reschedule", world.calls().await.remove(0));
        let far = world.post(&path, json!({"due_at": "2099-01-05T16:00:00Z"})).await;
        assert_eq!((far.status, far.code()), (StatusCode::UNPROCESSABLE_ENTITY, "too_far"));
        let past = world.post(&path, json!({"due_at": "2026-01-01T16:00:00Z"})).await;
        assert_eq!(
            (past.status, past.fields()),
            (StatusCode::UNPROCESSABLE_ENTITY, vec!["due_at"])
        );
        assert_eq!(world.post(&path, json!({})).await.fields(), ["due_at"]);
        assert_eq!(
            world.post(&path, json!({"due_at": "soon", "a": 1})).await.fields(),
            ["due_at", "a"]
        );
        let nowhere = "/api/calls/0199aaaa-0000-7000-8000-000000000000/reschedule";
        let answer = world.post(nowhere, json!({"due_at": "2026-11-24T16:00:00Z"})).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
    }
}
