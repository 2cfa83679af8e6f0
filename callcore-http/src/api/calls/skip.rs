//! `POST /api/calls/{id}/skip`: takes a scheduled call out of the queue; it stands in the history.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::call::{Skip, SkipReason};
use callcore::desk::AfterSkip;
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
    let (skip, after) = wanted(change.fields()?)?;
    let skipped = state.desk().skip(act.by(), id, skip, after).await;
    act.finish(skipped.map(|view| Effect::Call(Box::new(view)))).await
}

/// Why a call is skipped, and what is to follow it.
pub(crate) fn wanted(mut fields: Fields) -> Result<(Skip, AfterSkip), Problem> {
    let why = reason(&mut fields);
    let then: Option<String> = fields.optional("then");
    let after = match then.as_deref() {
        None | Some("end") => AfterSkip::End,
        Some("next_attempt") => AfterSkip::NextAttempt,
        Some(_) => {
            fields.refuse("then", "invalid", "must be end or next_attempt");
            AfterSkip::End
        }
    };
    fields.finish()?;
    let (reason, note) = why.ok_or_else(|| Problem::field("reason", "required", "is required"))?;
    Ok((Skip { reason, note }, after))
}

/// Why a call is skipped, under `reason` and `note`.
pub(crate) fn reason(fields: &mut Fields) -> Option<(SkipReason, Option<String>)> {
    let reason: Option<SkipReason> = fields.required("reason");
    let note = fields.lines("note", MAX_NOTE);
    if reason == Some(SkipReason::Other) && note.is_none() && !fields.is_refused("note") {
        fields.refuse("note", "required", "is required with the reason other");
    }
    Some((reason?, note))
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use serde_json::json;

    use crate::testing::World;

    #[tokio::test]
    async fn a_skipped_call_stands_in_the_history_with_its_reason() {
        let world = World::new();
        world.loaded(1).await;
        let call = world.calls().await.remove(0);
        let path = format!("/api/calls/{call}/skip");
        let skip = json!({"reason": "other", "note": "moved away"});
        let answer = world.post(&path, skip.clone()).await;
        assert_eq!((answer.status, &answer.json["outcome"]), (StatusCode::OK, &json!("skipped")));
        assert_eq!(answer.json["skip"], skip);
        let history = world.get("/api/calls/history?outcome=skipped").await;
        assert_eq!(history.json["items"][0]["id"], call);
        let again = world.post(&path, skip).await;
        assert_eq!((again.status, again.code()), (StatusCode::CONFLICT, "call_state"));
    }

    #[tokio::test]
    async fn the_next_attempt_may_follow() {
        let world = World::new();
        let id = world.loaded(1).await;
        let call = world.calls().await.remove(0);
        let skip = json!({"reason": "bad_timing", "then": "next_attempt"});
        world.post(&format!("/api/calls/{call}/skip"), skip).await;
        let clients = world.get(&format!("/api/campaigns/{id}/clients")).await;
        assert!(clients.json["items"][0]["next_call"]["id"].is_string());
    }

    #[tokio::test]
    async fn every_bad_field_is_named_at_once() {
        let world = World::new();
        world.loaded(1).await;
        let path = format!("/api/calls/{}/skip", world.calls().await.remove(0));
        let bare = world.post(&path, json!({"reason": "other", "then": "later", "x": 1})).await;
        assert_eq!(
            (bare.status, bare.fields()),
            (StatusCode::BAD_REQUEST, vec!["note", "then", "x"])
        );
        assert_eq!(world.post(&path, json!({"reason": "bored"})).await.fields(), ["reason"]);
        let nul = world.post(&path, json!({"reason": "other", "note": "a\0b"})).await;
        assert_eq!((nul.status, nul.fields()), (StatusCode::BAD_REQUEST, vec!["note"]));
        let nowhere = "/api/calls/0199aaaa-0000-7000-8000-000000000000/skip";
        let answer = world.post(nowhere, json!({"reason": "duplicate"})).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
    }
}
