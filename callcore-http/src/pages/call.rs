//! One call: what happened, why it was or is to be dialled, and what can be done with it.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::actor::Role;
use callcore::call::{AnsweredBy, CallEvent, CallStatus, EventKind, Retirement, Skip, SkipReason};
use callcore::desk::AfterSkip;
use callcore::engine::{Heard, explain};
use callcore::id::CallId;
use callcore::port::{ActError, CallView, Refused};
use chrono::{DateTime, NaiveDateTime, Utc};

use super::form::{Choice, Form};
use super::frame::{Answer, Shell, Trouble, Visit, done, page_with};
use super::rows::CallRow;
use super::when::{When, duration, instant};
use super::words::{self, Word};
use crate::api::calls::audit_read;
use crate::problem::Problem;
use crate::request::Id;
use crate::state::ApiState;

/// How many lines of a transcript a page shows; the file has all.
const LINES: usize = 200;

/// How many events a page shows.
const EVENTS: usize = 100;

/// The longest line of a transcript that a page shows, in characters.
const MAX_LINE: usize = 1_000;

#[derive(Template)]
#[template(path = "call.html")]
struct CallPage {
    shell: Shell,
    live: bool,
    list_href: &'static str,
    list_label: &'static str,
    call: CallDetail,
    lines: Vec<LineRow>,
    lines_cut: usize,
    rules_title: &'static str,
    rules: Vec<RuleRow>,
    facts: Vec<(&'static str, String)>,
    client_href: Option<String>,
    events: Vec<EventRow>,
    recall: bool,
    reasons: Vec<Choice>,
    note: String,
    due_value: String,
}

struct CallDetail {
    row: CallRow,
    stands: Word,
}

impl std::ops::Deref for CallDetail {
    type Target = CallRow;

    fn deref(&self) -> &CallRow {
        &self.row
    }
}

struct LineRow {
    who: &'static str,
    speaker: &'static str,
    at: String,
    text: String,
}

struct RuleRow {
    about: &'static str,
    passed: bool,
    words: String,
}

impl From<Heard> for RuleRow {
    fn from(heard: Heard) -> Self {
        Self { about: words::rule(heard.rule), passed: heard.passed, words: heard.words }
    }
}

struct EventRow {
    at: When,
    words: String,
}

/// What somebody tried to do with the call, to stand in its form again, and why it failed.
#[derive(Default)]
struct Tried {
    trouble: Option<Trouble>,
    reason: Option<SkipReason>,
    note: String,
    due: String,
}

pub(super) async fn show(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CallId>,
) -> Answer {
    let view = existing(&state, id).await?;
    show_with(&state, &visit, view, Tried::default()).await
}

async fn existing(state: &ApiState, id: CallId) -> Result<CallView, Trouble> {
    Ok(state.store().call(id).await?.ok_or_else(Problem::not_found)?)
}

async fn show_with(state: &ApiState, visit: &Visit, view: CallView, tried: Tried) -> Answer {
    let call = &view.call;
    let ended = call.status() == CallStatus::Ended;
    let lines = lines(state, visit, &view).await?;
    let (rules_title, rules) = rules(state, visit, &view).await?;
    let events = state.store().events(call.id).await?;
    let events = events
        .iter()
        .filter(|event| !matches!(event.kind, EventKind::Line { .. } | EventKind::Said { .. }));
    let row = CallRow::of(&view, visit);
    let shell = visit.shell(state, format!("Call to {}", row.name), "");
    let shell = if ended { shell } else { shell.live() };
    let status = tried.trouble.as_ref().map_or(StatusCode::OK, Trouble::status);
    let due_value = if tried.due.is_empty() {
        visit.zone.local(call.due_at).format("%Y-%m-%dT%H:%M").to_string()
    } else {
        tried.due
    };
    let page = CallPage {
        shell: match &tried.trouble {
            Some(trouble) => shell.with_trouble(trouble.sentence()),
            None => shell,
        },
        live: !ended,
        list_href: if ended { "/calls/history" } else { "/calls/upcoming" },
        list_label: if ended { "Call history" } else { "Upcoming calls" },
        facts: facts(&view, &row, visit),
        client_href: call
            .client
            .zip(call.campaign)
            .map(|(client, campaign)| format!("/campaigns/{campaign}/clients/{client}")),
        lines_cut: call.progress.transcript.len().saturating_sub(LINES),
        lines,
        rules_title,
        rules: rules.into_iter().map(RuleRow::from).collect(),
        events: events.take(EVENTS).map(|event| event_row(event, visit)).collect(),
        recall: call.client.is_some(),
        reasons: SkipReason::ALL
            .iter()
            .map(|it| Choice::new(it, words::skip_reason(*it), Some(*it) == tried.reason))
            .collect(),
        note: tried.note,
        due_value,
        call: CallDetail { stands: row.outcome, row },
    };
    Ok(page_with(status, &page))
}

/// The transcript of an ended call. Who reads one stands in the audit log.
async fn lines(state: &ApiState, visit: &Visit, view: &CallView) -> Result<Vec<LineRow>, Trouble> {
    let transcript = &view.call.progress.transcript;
    if transcript.is_empty() || view.call.status() != CallStatus::Ended {
        return Ok(Vec::new());
    }
    audit_read(state, &visit.principal, view.call.id, "transcript.read").await?;
    let rows = transcript.iter().take(LINES).map(|line| LineRow {
        who: line.speaker.as_str(),
        speaker: words::speaker(line.speaker),
        at: duration(u64::from(line.offset_seconds)),
        text: match line.text.char_indices().nth(MAX_LINE) {
            Some((end, _)) => format!("{}…", &line.text[..end]),
            None => line.text.clone(),
        },
    });
    Ok(rows.collect())
}

/// Every rule that was asked, as it answered: when it was dialled, or now if it is still to come.
async fn rules(
    state: &ApiState,
    visit: &Visit,
    view: &CallView,
) -> Result<(&'static str, Vec<Heard>), Trouble> {
    if !view.call.decision.is_empty() {
        return Ok(("Why it was dialled", view.call.decision.clone()));
    }
    let heard = match state.store().facts(view.call.id).await? {
        Some(facts) if view.call.status() == CallStatus::Scheduled => explain(&facts, visit.now).1,
        _ => Vec::new(),
    };
    Ok(("What the rules say right now", heard))
}

fn event_row(event: &CallEvent, visit: &Visit) -> EventRow {
    EventRow { at: visit.when(event.at), words: words::event(&event.kind) }
}

fn facts(view: &CallView, row: &CallRow, visit: &Visit) -> Vec<(&'static str, String)> {
    let call = &view.call;
    let progress = &call.progress;
    let mut facts = Vec::new();
    let mut say = |label, words: String| {
        if !words.is_empty() {
            facts.push((label, words));
        }
    };
    if call.begun_at.is_none() && call.retired.is_none() {
        say("Due", row.due.full.clone());
        say("Client's time", row.client_time.clone());
    }
    for (label, at) in
        [("Dialled", call.begun_at), ("Answered", progress.answered_at), ("Ended", call.ended_at())]
    {
        say(label, at.map(|at| visit.when(at).full).unwrap_or_default());
    }
    say("Talked", row.duration.clone());
    say(
        "Answered by",
        match progress.answered_by {
            None => "",
            Some(AnsweredBy::Human) => "a person",
            Some(AnsweredBy::Machine) => "a voicemail",
            Some(AnsweredBy::Fax) => "a fax",
            Some(AnsweredBy::Unknown) => "could not be told",
        }
        .to_owned(),
    );
    match &call.retired {
        None => say("Because", call.end_reason().map(words::plain).unwrap_or_default()),
        Some(retired) => {
            say(
                "Because",
                match &retired.how {
                    Retirement::Canceled(reason) => words::cancel_reason(*reason).to_owned(),
                    Retirement::Skipped(skip) if skip.reason == SkipReason::Other => String::new(),
                    Retirement::Skipped(skip) => words::skip_reason(skip.reason).to_owned(),
                },
            );
            if let Retirement::Skipped(skip) = &retired.how {
                say("Note", skip.note.clone().unwrap_or_default());
            }
            say("By", words::actor(&retired.by));
        }
    }
    if call.retired.is_none() {
        say("Caused by", words::actor(&call.by));
    }
    say("Tags", view.tags.iter().cloned().collect::<Vec<_>>().join(", "));
    say("Review", row.review.to_owned());
    say("Label", call.disposition.clone().unwrap_or_default());
    if call.settings_version > 0 {
        say("Settings", format!("version {}", call.settings_version));
    }
    say("Carrier's id", progress.carrier_call_id.clone().unwrap_or_default());
    facts
}

/// Shows the call again with what went wrong, or goes on.
async fn settle(
    state: &ApiState,
    visit: &Visit,
    id: CallId,
    result: Result<CallView, ActError>,
    tried: Tried,
    to: &str,
    said: &str,
) -> Answer {
    match result {
        Ok(_) => {
            state.wake();
            Ok(done(to, said))
        }
        Err(error) => {
            let trouble = match error {
                ActError::Refused(Refused::NotFound) => return Err(error.into()),
                ActError::Refused(Refused::OutsideHours { next_allowed }) => {
                    outside_hours(next_allowed, visit)
                }
                error => error.into(),
            };
            again(state, visit, id, Tried { trouble: Some(trouble), ..tried }).await
        }
    }
}

/// The hours don't allow it; when they do, on the viewer's own clock.
fn outside_hours(next: Option<DateTime<Utc>>, visit: &Visit) -> Trouble {
    let words = match next {
        Some(at) => format!("the next time they allow is {}", visit.when(at).short),
        None => "they never open again".to_owned(),
    };
    let sentence = format!("The calling hours of this person don't allow that: {words}");
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "hours", sentence).into()
}

async fn again(state: &ApiState, visit: &Visit, id: CallId, tried: Tried) -> Answer {
    let view = existing(state, id).await?;
    show_with(state, visit, view, tried).await
}

pub(super) async fn call_now(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CallId>,
    _: Form,
) -> Answer {
    visit.require(Role::Operator)?;
    let result = state.store().call_now(visit.by(), id).await;
    let (to, said) = (format!("/calls/{id}"), "The call goes out as soon as a line is free.");
    settle(&state, &visit, id, result, Tried::default(), &to, said).await
}

pub(super) async fn skip(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CallId>,
    form: Form,
) -> Answer {
    visit.require(Role::Operator)?;
    let reason = SkipReason::parse(form.text("reason"));
    let note = form.text("note").to_owned();
    let tried = Tried { reason, note: note.clone(), ..Tried::default() };
    let Some(reason) = reason else {
        return wrong(&state, &visit, id, tried, "Choose a reason for skipping the call").await;
    };
    if reason == SkipReason::Other && note.is_empty() {
        return wrong(&state, &visit, id, tried, "Say in the note why the call is skipped").await;
    }
    let after = match form.text("then") {
        "next_attempt" => AfterSkip::NextAttempt,
        _ => AfterSkip::End,
    };
    let skip = Skip { reason, note: Some(note).filter(|note| !note.is_empty()) };
    let result = state.desk().skip(visit.by(), id, skip, after).await;
    let said = "The call is skipped; it stands in the history with its reason.";
    settle(&state, &visit, id, result, tried, "/calls/upcoming", said).await
}

pub(super) async fn reschedule(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CallId>,
    form: Form,
) -> Answer {
    visit.require(Role::Operator)?;
    let due = form.text("due").to_owned();
    let read = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"];
    let local = read.iter().find_map(|it| NaiveDateTime::parse_from_str(&due, it).ok());
    let tried = Tried { due, ..Tried::default() };
    let Some(local) = local else {
        return wrong(&state, &visit, id, tried, "Choose a date and a time for the call").await;
    };
    let due_at = instant(local, &visit.zone);
    if due_at < visit.now {
        return wrong(&state, &visit, id, tried, "That time is over; choose a later one").await;
    }
    let result = state.desk().reschedule(visit.by(), id, due_at).await;
    let said = format!("The call is moved to {}.", visit.when(due_at).short);
    settle(&state, &visit, id, result, tried, &format!("/calls/{id}"), &said).await
}

pub(super) async fn retry(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CallId>,
    _: Form,
) -> Answer {
    visit.require(Role::Operator)?;
    let result = state.desk().retry(visit.by(), id, None).await;
    let to = match &result {
        Ok(new) => format!("/calls/{}", new.call.id),
        Err(_) => String::new(),
    };
    let said = "The person is called again as soon as the rules allow it.";
    settle(&state, &visit, id, result, Tried::default(), &to, said).await
}

async fn wrong(
    state: &ApiState,
    visit: &Visit,
    id: CallId,
    tried: Tried,
    sentence: &str,
) -> Result<Response, Trouble> {
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    let trouble = Problem::new(status, "invalid", sentence).into();
    again(state, visit, id, Tried { trouble: Some(trouble), ..tried }).await
}
