//! `PATCH /api/calls/{id}/notes`: writes something down about a call, in whatever state it is. An
//! entry is added to those there are; none is ever changed.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::id::CallId;
use callcore::port::Effect;
use callcore::text::MAX_NOTE;

use crate::act::{Act, Early};
use crate::auth::Operator;
use crate::problem::Problem;
use crate::request::{Change, Fields, Id};
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Operator(principal): Operator,
    Id(id): Id<CallId>,
    change: Change,
) -> Result<Response, Early> {
    let act = Act::begin(&state, principal, &change, StatusCode::OK).await?;
    let text = wanted(change.fields()?)?;
    let noted = state.store().add_note(act.by(), id, &text).await;
    act.finish(noted.map(|view| Effect::Call(Box::new(view)))).await
}

/// What is to be written down.
pub(crate) fn wanted(mut fields: Fields) -> Result<String, Problem> {
    let text = fields.lines("notes", MAX_NOTE);
    if text.is_none() && !fields.is_refused("notes") {
        fields.refuse("notes", "required", "is required");
    }
    fields.finish()?;
    text.ok_or_else(|| Problem::field("notes", "required", "is required"))
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use serde_json::json;

    use crate::testing::World;

    #[tokio::test]
    async fn entries_are_added_with_who_and_when() {
        let world = World::new();
        world.loaded(1).await;
        let call = world.calls().await.remove(0);
        let path = format!("/api/calls/{call}/notes");
        let first = world.patch(&path, json!({"notes": "wants a\ncall back"})).await;
        assert_eq!(first.status, StatusCode::OK);
        world.patch(&path, json!({"notes": "שלום"})).await;
        let notes = world.get(&format!("/api/calls/{call}")).await.json["notes"].clone();
        assert_eq!(
            notes,
            json!([
                {"text": "wants a\ncall back", "by": "token:admin", "at": "2026-11-23T15:00:00Z"},
                {"text": "שלום", "by": "token:admin", "at": "2026-11-23T15:00:00Z"},
            ])
        );
        assert!(world.audited("call.note").await);
    }

    #[tokio::test]
    async fn a_note_that_is_none_is_refused() {
        let world = World::new();
        world.loaded(1).await;
        let path = format!("/api/calls/{}/notes", world.calls().await.remove(0));
        for bad in [json!({}), json!({"notes": "  "}), json!({"notes": ["a"]})] {
            let answer = world.patch(&path, bad).await;
            assert_eq!((answer.status, answer.fields()), (StatusCode::BAD_REQUEST, vec!["notes"]));
        }
        let long = world.patch(&path, json!({"notes": "x".repeat(10_001), "by": "me"})).await;
        assert_eq!(long.fields(), ["notes", "by"]);
        let nowhere = "/api/calls/0199aaaa-0000-7000-8000-000000000000/notes";
        let gone = world.patch(nowhere, json!({"notes": "x"})).await;
        assert_eq!(gone.status, StatusCode::NOT_FOUND);
    }
}
