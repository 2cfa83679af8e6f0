//! `PATCH /api/calls/{id}/review`: what a person made of an ended call. Without a `disposition` the
//! label stays; `null` takes it away.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::call::Review;
use callcore::id::CallId;
use callcore::port::Effect;
use callcore::text::{MAX_LABEL, line};

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
    let (status, label) = wanted(change.fields()?)?;
    let reviewed = state.store().review(act.by(), id, status, label).await;
    act.finish(reviewed.map(|view| Effect::Call(Box::new(view)))).await
}

/// What a person made of a call, and the label they gave it.
pub(crate) fn wanted(mut fields: Fields) -> Result<(Review, Option<Option<String>>), Problem> {
    let status: Option<Review> = fields.required("status");
    let label: Option<Option<String>> = fields.nullable("disposition");
    let label =
        label.map(|text| text.and_then(|text| fields.text("disposition", line(&text, MAX_LABEL))));
    fields.finish()?;
    let status = status.ok_or_else(|| Problem::field("status", "required", "is required"))?;
    Ok((status, label))
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use serde_json::{Value, json};

    use crate::testing::World;

    #[tokio::test]
    async fn an_ended_call_is_reviewed_with_a_label() {
        let world = World::new();
        let path = format!("/api/calls/{}/review", world.talked().await);
        let body = json!({"status": "needs_follow_up", "disposition": " call back "});
        let first = world.patch(&path, body).await;
        assert_eq!(
            (first.status, &first.json["review"]),
            (StatusCode::OK, &json!("needs_follow_up"))
        );
        assert_eq!(first.json["disposition"], "call back");
        let kept = world.patch(&path, json!({"status": "reviewed"})).await.json;
        assert_eq!(
            (&kept["review"], &kept["disposition"]),
            (&json!("reviewed"), &json!("call back"))
        );
        let bare = world.patch(&path, json!({"status": "reviewed", "disposition": null})).await;
        assert_eq!(bare.json["disposition"], Value::Null);
        let found = world.get("/api/calls/history?review=reviewed").await.json;
        assert_eq!(found["items"].as_array().unwrap().len(), 1);
        assert!(world.audited("call.review").await);
    }

    #[tokio::test]
    async fn what_has_not_ended_and_bad_fields_are_refused() {
        let world = World::new();
        world.loaded(1).await;
        let path = format!("/api/calls/{}/review", world.calls().await.remove(0));
        let early = world.patch(&path, json!({"status": "reviewed"})).await;
        assert_eq!((early.status, early.code()), (StatusCode::CONFLICT, "call_state"));
        let bad = json!({"status": "fine", "disposition": "a\u{202e}b", "notes": "x"});
        let bad = world.patch(&path, bad).await;
        assert_eq!(bad.status, StatusCode::BAD_REQUEST);
        assert_eq!(bad.fields(), ["status", "disposition", "notes"]);
        let nowhere = "/api/calls/0199aaaa-0000-7000-8000-000000000000/review";
        let gone = world.patch(nowhere, json!({"status": "reviewed"})).await;
        assert_eq!(gone.status, StatusCode::NOT_FOUND);
    }
}
