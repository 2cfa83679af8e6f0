//! What people do with one call. What fails is said on the call's page, with what was typed.

use axum::extract::State;
use axum::http::StatusCode;
use callcore::actor::Role;
use callcore::call::{Review, SkipReason};
use callcore::id::CallId;
use callcore::port::{ActError, CallView, Refused};
use chrono::{DateTime, Utc};
use serde_json::json;

use super::{Tried, existing, show_with};
use crate::api::calls::{bulk, notes, review, skip};
use crate::pages::form::Form;
use crate::pages::frame::{Answer, Trouble, Visit, done};
use crate::pages::times;
use crate::pages::words;
use crate::problem::Problem;
use crate::request::{Fields, Id};
use crate::state::ApiState;

/// Shows the call again with what went wrong, or goes on.
async fn settle(
    state: &ApiState,
    visit: &Visit,
    id: CallId,
    result: Result<CallView, Trouble>,
    tried: Tried,
    (to, said): (String, &str),
) -> Answer {
    match result {
        Ok(_) => {
            state.wake();
            Ok(done(&to, said))
        }
        Err(trouble) => again(state, visit, id, trouble, tried).await,
    }
}

async fn again(
    state: &ApiState,
    visit: &Visit,
    id: CallId,
    trouble: Trouble,
    tried: Tried,
) -> Answer {
    if trouble.status() == StatusCode::NOT_FOUND {
        return Err(trouble);
    }
    let view = existing(state, id).await?;
    show_with(state, visit, view, None, Tried { trouble: Some(trouble), ..tried }).await
}

/// What went wrong, with instants on the viewer's own clock.
pub(in crate::pages) fn trouble_of(error: ActError, visit: &Visit) -> Trouble {
    match error {
        ActError::Refused(refused @ Refused::OutsideHours { .. }) => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            Problem::new(status, "hours", refusal(refused, visit)).into()
        }
        error => error.into(),
    }
}

/// Why something was refused, without its full stop.
pub(in crate::pages) fn refusal(refused: Refused, visit: &Visit) -> String {
    match refused {
        Refused::OutsideHours { next_allowed } => {
            let next = match next_allowed {
                Some(at) => format!("the next time they allow is {}", visit.when(at).short),
                None => "they never open again".to_owned(),
            };
            format!("the calling hours of this person don't allow that: {next}")
        }
        Refused::Call(status) => format!("the call is {}", words::stands(status)),
        Refused::NotFound => "there is no such call any more".to_owned(),
        refused => refused.to_string(),
    }
}

/// A form that says too little.
pub(in crate::pages) fn incomplete(sentence: &str) -> Trouble {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "incomplete", sentence).into()
}

/// A time that is still to come, as a form of ours sent it.
pub(in crate::pages) fn time_to_come(text: &str, visit: &Visit) -> Result<DateTime<Utc>, Trouble> {
    match times::read(text) {
        None => Err(incomplete("choose a day and a time for the call")),
        Some(at) if at < visit.now => Err(incomplete("that time is over; choose a later one")),
        Some(at) => Ok(at),
    }
}

/// Says what is missing of a reason for skipping.
pub(in crate::pages) fn skip_reason(form: &Form) -> Result<SkipReason, Trouble> {
    let Some(reason) = SkipReason::parse(form.text("reason")) else {
        return Err(incomplete("choose a reason for skipping"));
    };
    if reason == SkipReason::Other && form.text("note").is_empty() {
        return Err(incomplete("say in the note why it is skipped"));
    }
    Ok(reason)
}

/// The form for skipping a call, as the API reads it.
pub(in crate::pages) fn skip_fields(form: &Form) -> Result<Fields, Problem> {
    let then = form.some("then").unwrap_or("end");
    let (reason, note) = (form.text("reason"), form.raw("note"));
    Fields::of(json!({"reason": reason, "note": note, "then": then}))
}

pub(in crate::pages) async fn call_now(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CallId>,
    form: Form,
) -> Answer {
    visit.require(Role::Operator)?;
    let result = state.store().call_now(visit.by(), id).await.map_err(Trouble::from);
    let said = "The call goes out as soon as a line is free.";
    let to = (form.back(format!("/calls/{id}")), said);
    settle(&state, &visit, id, result, Tried::default(), to).await
}

pub(in crate::pages) async fn skip(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CallId>,
    form: Form,
) -> Answer {
    visit.require(Role::Operator)?;
    let tried = Tried {
        reason: SkipReason::parse(form.text("reason")),
        note: form.raw("note").to_owned(),
        next_attempt: form.text("then") == "next_attempt",
        ..Tried::default()
    };
    let result = async {
        skip_reason(&form)?;
        let (skip, after) = skip::wanted(skip_fields(&form)?)?;
        let skipped = state.desk().skip(visit.by(), id, skip, after).await;
        skipped.map_err(|error| trouble_of(error, &visit))
    };
    let result = result.await;
    let said = "The call is skipped; it stands in the history with its reason.";
    let to = (form.back("/calls/upcoming"), said);
    settle(&state, &visit, id, result, tried, to).await
}

pub(in crate::pages) async fn reschedule(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CallId>,
    form: Form,
) -> Answer {
    visit.require(Role::Operator)?;
    let due = form.text("due").to_owned();
    let result = async {
        let due_at = time_to_come(&due, &visit)?;
        let moved = state.desk().reschedule(visit.by(), id, due_at).await;
        moved.map_err(|error| trouble_of(error, &visit))
    };
    let result = result.await;
    let said = match &result {
        Ok(view) => format!("The call is moved to {}.", visit.when(view.call.due_at).short),
        Err(_) => String::new(),
    };
    let tried = Tried { due, ..Tried::default() };
    let to = form.back(format!("/calls/{id}"));
    settle(&state, &visit, id, result, tried, (to, &said)).await
}

pub(in crate::pages) async fn retry(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CallId>,
    form: Form,
) -> Answer {
    visit.require(Role::Operator)?;
    let due = form.text("due").to_owned();
    let result = async {
        let due_at = if due.is_empty() { None } else { Some(time_to_come(&due, &visit)?) };
        let added = state.desk().retry(visit.by(), id, due_at).await;
        added.map_err(|error| trouble_of(error, &visit))
    };
    let result = result.await;
    let (to, said) = match &result {
        Ok(new) if due.is_empty() => (
            format!("/calls/{}", new.call.id),
            "The person is called again as soon as the rules allow it.".to_owned(),
        ),
        Ok(new) => (
            format!("/calls/{}", new.call.id),
            format!("The person is called again {}.", visit.when(new.call.due_at).short),
        ),
        Err(_) => (String::new(), String::new()),
    };
    let tried = Tried { due, ..Tried::default() };
    settle(&state, &visit, id, result, tried, (form.back(to), &said)).await
}

pub(in crate::pages) async fn note(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CallId>,
    form: Form,
) -> Answer {
    visit.require(Role::Operator)?;
    let text = form.raw("text").to_owned();
    let result = async {
        if text.trim().is_empty() {
            return Err(incomplete("write something first"));
        }
        let text = notes::wanted(Fields::of(json!({"notes": text}))?)?;
        Ok(state.store().add_note(visit.by(), id, &text).await?)
    };
    let result = result.await;
    let to = (form.back(format!("/calls/{id}")), "The note is added.");
    settle(&state, &visit, id, result, Tried { text, ..Tried::default() }, to).await
}

pub(in crate::pages) async fn review(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CallId>,
    form: Form,
) -> Answer {
    visit.require(Role::Operator)?;
    let status = form.text("status");
    let label = form.given("label").map(str::to_owned);
    let result = async {
        let mut document = json!({"status": status});
        if let Some(label) = &label {
            let label = Some(label.trim()).filter(|label| !label.is_empty());
            document["disposition"] = json!(label);
        }
        let (status, label) = review::wanted(Fields::of(document)?)?;
        Ok(state.store().review(visit.by(), id, status, label).await?)
    };
    let result = result.await;
    let said = match Review::parse(status) {
        Some(Review::NeedsFollowUp) => "The call needs follow-up.",
        Some(Review::Unreviewed) => "The call counts as unreviewed again.",
        _ => "The call is reviewed.",
    };
    let to = (form.back(format!("/calls/{id}")), said);
    settle(&state, &visit, id, result, Tried { label, ..Tried::default() }, to).await
}

pub(in crate::pages) async fn tag(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CallId>,
    form: Form,
) -> Answer {
    visit.require(Role::Operator)?;
    let tag = form.text("tag").to_owned();
    let result = async {
        if tag.is_empty() {
            return Err(incomplete("write the tag first"));
        }
        let document = json!({"action": "tag", "ids": [id], "tags": [tag]});
        let (calls, act) = bulk::wanted(Fields::of(document)?, visit.now)?;
        let acted = state.desk().change_calls(visit.by(), &calls, &act).await?;
        let acted = acted.into_iter().next().ok_or_else(Problem::not_found)?;
        Ok(*acted.done.map_err(ActError::from)?)
    };
    let result = result.await;
    let said = format!("The client has the tag “{tag}”.");
    let to = form.back(format!("/calls/{id}"));
    settle(&state, &visit, id, result, Tried { tag, ..Tried::default() }, (to, &said)).await
}
