//! `POST /api/calls/bulk`: one act on up to 500 calls. The good ones are done, in one transaction,
//! and each id has its own result.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::call::{Review, Skip};
use callcore::desk::{ManyActs, NewTime};
use callcore::id::CallId;
use callcore::port::Effect;
use chrono::{DateTime, TimeDelta, Utc};

use super::{due_at, skip};
use crate::act::{Act, Early};
use crate::api::clients::tags;
use crate::auth::Operator;
use crate::problem::Problem;
use crate::request::{Change, Fields};
use crate::state::ApiState;

/// How many calls one request may be about.
const MAX_IDS: usize = 500;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Operator(principal): Operator,
    change: Change,
) -> Result<Response, Early> {
    let act = Act::begin(&state, principal, &change, StatusCode::OK).await?;
    let (calls, wanted) = wanted(change.fields()?, act.now())?;
    let acted = state.desk().change_calls(act.by(), &calls, &wanted).await;
    act.finish(acted.map(Effect::Calls)).await
}

/// What is to be done to which calls.
pub(crate) fn wanted(
    mut fields: Fields,
    now: DateTime<Utc>,
) -> Result<(Vec<CallId>, ManyActs), Problem> {
    let action: Option<String> = fields.required("action");
    let calls = ids(&mut fields);
    let wanted = match action.as_deref() {
        Some("skip") => {
            skip::reason(&mut fields).map(|(reason, note)| ManyActs::Skip(Skip { reason, note }))
        }
        Some("reschedule") => new_time(&mut fields, now).map(ManyActs::Reschedule),
        Some("review") => {
            let status: Option<Review> = fields.required("status");
            status.map(ManyActs::Review)
        }
        Some("tag") => match tags(&mut fields, "tags") {
            Some(tags) if !tags.is_empty() => Some(ManyActs::Tag(tags)),
            Some(_) => None,
            None => {
                if !fields.is_refused("tags") {
                    fields.refuse("tags", "required", "is required");
                }
                None
            }
        },
        Some(_) => {
            fields.refuse("action", "invalid", "must be skip, reschedule, review or tag");
            // What goes with which action can't be told.
            return Err(fields.finish().err().unwrap_or_else(Problem::not_found));
        }
        None => None,
    };
    fields.finish()?;
    let wanted = wanted.ok_or_else(|| Problem::field("tags", "required", "is empty"))?;
    Ok((calls, wanted))
}

/// The calls, each once, in the order they were first named.
fn ids(fields: &mut Fields) -> Vec<CallId> {
    let texts: Vec<String> = fields.required("ids").unwrap_or_default();
    let mut calls = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match text.parse() {
            Ok(call) if !calls.contains(&call) => calls.push(call),
            Ok(_) => {}
            Err(_) => fields.refuse(&format!("ids.{index}"), "invalid", "is no id"),
        }
    }
    if texts.is_empty() && !fields.is_refused("ids") {
        fields.refuse("ids", "required", "is empty");
    }
    if texts.len() > MAX_IDS {
        fields.refuse("ids", "too_many", format!("at most {MAX_IDS}"));
    }
    calls
}

fn new_time(fields: &mut Fields, now: DateTime<Utc>) -> Option<NewTime> {
    let due_at = due_at(fields, now);
    let shift: Option<i64> = fields.optional("shift_seconds");
    let shift = shift.and_then(|seconds| {
        let shift = TimeDelta::try_seconds(seconds);
        if shift.is_none() {
            fields.refuse("shift_seconds", "invalid", "is too large");
        }
        shift
    });
    match (due_at, shift) {
        (Some(due_at), None) => Some(NewTime::At(due_at)),
        (None, Some(shift)) => Some(NewTime::Later(shift)),
        (Some(_), Some(_)) => {
            fields.refuse("shift_seconds", "invalid", "goes without due_at");
            None
        }
        (None, None) => {
            if !fields.is_refused("due_at") && !fields.is_refused("shift_seconds") {
                fields.refuse("due_at", "required", "is required, or shift_seconds");
            }
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use serde_json::{Value, json};

    use crate::testing::{Answer, World};

    const NOBODY: &str = "0199aaaa-0000-7000-8000-000000000000";

    async fn bulk(world: &World, body: Value) -> Answer {
        world.post("/api/calls/bulk", body).await
    }

    fn statuses(answer: &Answer) -> Vec<(u64, &str)> {
        let results = answer.json["results"].as_array().unwrap().iter();
        let status = |it: &Value| it["status"].as_u64().unwrap();
        results.map(|it| (status(it), it["code"].as_str().unwrap_or_default())).collect()
    }

    #[tokio::test]
    async fn the_good_ones_are_skipped_and_each_has_its_result() {
        let world = World::new();
        world.loaded(2).await;
        let calls = world.calls().await;
        let body = json!({
            "action": "skip", "reason": "other", "note": "moved", "ids": [calls[0], NOBODY, calls[0]]
        });
        let send = || {
            world
                .request("POST", "/api/calls/bulk")
                .header("idempotency-key", "b")
                .json(body.clone())
                .send()
        };
        let (first, twin) = (send().await, send().await);
        assert_eq!((first.status, &first.json), (StatusCode::OK, &twin.json));
        assert_eq!(statuses(&first), [(200, ""), (404, "not_found")]);
        assert_eq!((&first.json["done"], &first.json["refused"]), (&json!(1), &json!(1)));
        let skip = json!({"reason": "other", "note": "moved"});
        assert_eq!(first.json["results"][0]["call"]["skip"], skip);
        let again = bulk(
            &world,
            json!({"action": "skip", "reason": "duplicate", "ids": [calls[0], calls[1]]}),
        );
        assert_eq!(statuses(&again.await), [(409, "call_state"), (200, "")]);
    }

    #[tokio::test]
    async fn calls_move_each_within_its_own_hours() {
        let world = World::new();
        world.loaded(2).await;
        let calls = world.calls().await;
        let one = json!({"due_at": "2026-11-23T20:00:00Z"});
        world.post(&format!("/api/calls/{}/reschedule", calls[0]), one).await;
        let shift = json!({"action": "reschedule", "shift_seconds": 7200, "ids": calls});
        let answer = bulk(&world, shift).await;
        assert_eq!(statuses(&answer), [(422, "outside_hours"), (200, "")]);
        let problem = &answer.json["results"][0]["problem"];
        assert_eq!(problem["next_allowed"], "2026-11-24T14:00:00Z");
        assert_eq!(answer.json["results"][1]["call"]["due_at"], "2026-11-23T17:00:00Z");
        let at = json!({"action": "reschedule", "due_at": "2026-11-24T15:00:00Z", "ids": calls});
        assert_eq!(statuses(&bulk(&world, at).await), [(200, ""), (200, "")]);
        let back = json!({"action": "reschedule", "shift_seconds": -9_999_999, "ids": calls});
        let back = bulk(&world, back).await;
        assert_eq!(
            back.json["results"][0]["call"]["due_at"], "2026-11-23T15:00:00Z",
            "not before now"
        );
        let far = json!({"action": "reschedule", "shift_seconds": 99_999_999, "ids": calls});
        assert_eq!(statuses(&bulk(&world, far).await)[0], (422, "too_far"));
    }

    #[tokio::test]
    async fn calls_are_reviewed_and_their_clients_tagged() {
        let world = World::new();
        let call = world.talked().await;
        let review = json!({"action": "review", "status": "reviewed", "ids": [call]});
        let answer = bulk(&world, review).await;
        assert_eq!(answer.json["results"][0]["call"]["review"], "reviewed");
        let tag = json!({"action": "tag", "tags": ["vip"], "ids": [call]});
        let answer = bulk(&world, tag).await;
        assert_eq!(answer.json["results"][0]["call"]["tags"], json!(["even", "vip"]));
        let found = world.get("/api/calls/history?tag=vip").await.json;
        assert_eq!(found["items"].as_array().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn every_bad_field_is_named_at_once() {
        let world = World::new();
        for (body, fields) in [
            (json!({}), vec!["action", "ids"]),
            (json!({"action": "skip", "ids": []}), vec!["ids", "reason"]),
            (json!({"action": "skip", "ids": ["x", 7], "reason": "other"}), vec!["ids", "note"]),
            (
                json!({"action": "skip", "ids": ["x", NOBODY, "y"], "reason": "other", "tags": []}),
                vec!["ids.0", "ids.2", "note", "tags"],
            ),
            (json!({"action": "reschedule", "ids": [NOBODY]}), vec!["due_at"]),
            (
                json!({"action": "reschedule", "ids": [NOBODY], "due_at": "soon", "shift_seconds": "x"}),
                vec!["due_at", "shift_seconds"],
            ),
            (json!({"action": "review", "ids": [NOBODY], "status": "ok"}), vec!["status"]),
            (json!({"action": "tag", "ids": [NOBODY]}), vec!["tags"]),
            (json!({"action": "tag", "ids": [NOBODY], "tags": []}), vec!["tags"]),
            (
                json!({"action": "tag", "ids": [NOBODY], "tags": [" ", "a\nb"]}),
                vec!["tags.0", "tags.1"],
            ),
        ] {
            let answer = bulk(&world, body.clone()).await;
            assert_eq!(
                (answer.status, answer.fields()),
                (StatusCode::BAD_REQUEST, fields),
                "{body}"
            );
        }
        let action = bulk(&world, json!({"action": "explode", "ids": [NOBODY]})).await;
        assert_eq!(action.status, StatusCode::BAD_REQUEST);
        assert!(action.fields().contains(&"action"));
        let many = vec![NOBODY; 501];
        let many =
            bulk(&world, json!({"action": "skip", "reason": "duplicate", "ids": many})).await;
        assert_eq!((many.status, many.fields()), (StatusCode::UNPROCESSABLE_ENTITY, vec!["ids"]));
    }
}
