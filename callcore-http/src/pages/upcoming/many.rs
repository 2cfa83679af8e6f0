//! Skipping and moving calls that were ticked in the queue, or one of them: a page that says what
//! will happen and asks how, and the act.

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use callcore::actor::Role;
use callcore::call::{CallStatus, SkipReason};
use callcore::id::CallId;
use callcore::port::{ActError, CallView};
use serde_json::json;

use crate::api::calls::{bulk, skip};
use crate::pages::call::{incomplete, reasons, skip_fields, skip_reason, time_to_come, trouble_of};
use crate::pages::form::{Choice, Form};
use crate::pages::frame::{Answer, Shell, Trouble, Visit, done, is_local, page_with};
use crate::pages::list::{ids, outcome_of};
use crate::pages::rows::CallRow;
use crate::pages::times::{self, DayTimes};
use crate::problem::Problem;
use crate::query::Query;
use crate::request::Fields;
use crate::state::ApiState;

/// How many calls may be ticked: a list has no more.
const MOST: usize = 200;

/// How many of them the page names.
const NAMED: usize = 50;

/// By how much all of them may be moved, in seconds.
const SHIFTS: [(i64, &str); 5] = [
    (3_600, "1 hour later"),
    (7_200, "2 hours later"),
    (86_400, "1 day later"),
    (172_800, "2 days later"),
    (604_800, "1 week later"),
];

#[derive(Template)]
#[template(path = "skip.html")]
struct SkipPage {
    shell: Shell,
    picked: Picked,
    reasons: Vec<Choice>,
    note: String,
    next_attempt: bool,
}

#[derive(Template)]
#[template(path = "reschedule.html")]
struct MovePage {
    shell: Shell,
    picked: Picked,
    days: Vec<DayTimes>,
    shifts: Vec<Choice>,
}

/// The calls a page is about.
struct Picked {
    rows: Vec<CallRow>,
    ids: Vec<CallId>,
    /// How many are not named.
    more: usize,
    /// How many of those ticked are not scheduled any more.
    gone: usize,
    back: String,
}

impl Picked {
    /// The ticked calls that are still scheduled.
    async fn read(
        state: &ApiState,
        visit: &Visit,
        ids: &[CallId],
        back: &str,
    ) -> Result<(Self, Vec<CallView>), Trouble> {
        let back = if is_local(back) { back } else { "/calls/upcoming" };
        let nothing = |why: &str| incomplete(why).told_on(back);
        if ids.is_empty() {
            return Err(nothing("tick at least one call first"));
        }
        if ids.len() > MOST {
            return Err(nothing(&format!("tick at most {MOST} calls at once")));
        }
        let mut views = state.store().calls(ids).await?;
        views.retain(|view| view.call.status() == CallStatus::Scheduled);
        let picked = Self {
            rows: CallRow::all(&views[..views.len().min(NAMED)], visit),
            ids: views.iter().map(|view| view.call.id).collect(),
            more: views.len().saturating_sub(NAMED),
            gone: ids.len() - views.len(),
            back: back.to_owned(),
        };
        if views.is_empty() {
            return Err(nothing("these calls are not scheduled any more"));
        }
        Ok((picked, views))
    }
}

/// What was ticked, by the address or by the form that comes after it.
fn asked(mut query: Query, visit: &Visit) -> Result<(Vec<CallId>, String), Problem> {
    let ids: Vec<CallId> = query.many("id", |text| text.parse().ok());
    // A row's own link does not say from which part of the queue it was opened.
    let came_from = || visit.came_from().filter(|path| path.starts_with("/calls/upcoming?"));
    let back = query.text("back").or_else(|| came_from().map(str::to_owned)).unwrap_or_default();
    query.finish()?;
    Ok((each_once(ids), back))
}

fn sent(form: &Form) -> Vec<CallId> {
    each_once(form.all("id").iter().filter_map(|text| text.parse().ok()).collect())
}

fn each_once(ids: Vec<CallId>) -> Vec<CallId> {
    let mut seen = BTreeSet::new();
    ids.into_iter().filter(|id| seen.insert(*id)).collect()
}

pub(in crate::pages) async fn confirm_skip(
    State(state): State<ApiState>,
    visit: Visit,
    query: Query,
) -> Answer {
    visit.require(Role::Operator)?;
    let (ids, back) = asked(query, &visit)?;
    ask_skip(&state, &visit, (&ids, &back), None, Tried::default()).await
}

async fn ask_skip(
    state: &ApiState,
    visit: &Visit,
    (ids, back): (&[CallId], &str),
    trouble: Option<Trouble>,
    tried: Tried<'_>,
) -> Answer {
    let (picked, _) = Picked::read(state, visit, ids, back).await?;
    let (status, shell) = framed(state, visit, "Skip calls", trouble);
    let Tried { reason, note, next_attempt } = tried;
    let (reasons, note) = (reasons(reason), note.to_owned());
    Ok(page_with(status, &SkipPage { shell, picked, reasons, note, next_attempt }))
}

/// What somebody chose, to stand in the form again.
#[derive(Default)]
struct Tried<'a> {
    reason: Option<SkipReason>,
    note: &'a str,
    next_attempt: bool,
}

fn framed(
    state: &ApiState,
    visit: &Visit,
    title: &str,
    trouble: Option<Trouble>,
) -> (StatusCode, Shell) {
    let shell = visit.shell(state, title, "/calls/upcoming");
    match trouble {
        Some(trouble) => (trouble.status(), shell.with_trouble(trouble.sentence())),
        None => (StatusCode::OK, shell),
    }
}

pub(in crate::pages) async fn skip_all(
    State(state): State<ApiState>,
    visit: Visit,
    form: Form,
) -> Answer {
    visit.require(Role::Operator)?;
    let (reason, note) = (form.text("reason"), form.raw("note"));
    let picked = sent(&form);
    let act = async {
        skip_reason(&form)?;
        if let [only] = *picked {
            let (skip, after) = skip::wanted(skip_fields(&form)?)?;
            let skipped = state.desk().skip(visit.by(), only, skip, after).await;
            skipped.map_err(|error| trouble_of(error, &visit))?;
            return Ok("The call is skipped; it stands in the history with its reason.".to_owned());
        }
        let document = json!({"action": "skip", "ids": ids(&form), "reason": reason, "note": note});
        let (calls, act) = bulk::wanted(Fields::of(document)?, visit.now)?;
        let acted = state.desk().change_calls(visit.by(), &calls, &act).await?;
        outcome_of(&state, &visit, &acted, ("call is skipped", "calls are skipped")).await
    };
    match act.await {
        Ok(said) => {
            state.wake();
            Ok(done(&form.back("/calls/upcoming"), said))
        }
        Err(trouble) => {
            let next_attempt = form.text("then") == "next_attempt";
            let tried = Tried { reason: SkipReason::parse(reason), note, next_attempt };
            let picked = (&*picked, form.text("back"));
            ask_skip(&state, &visit, picked, Some(trouble), tried).await
        }
    }
}

pub(in crate::pages) async fn choose_time(
    State(state): State<ApiState>,
    visit: Visit,
    query: Query,
) -> Answer {
    visit.require(Role::Operator)?;
    let (ids, back) = asked(query, &visit)?;
    ask_time(&state, &visit, (&ids, &back), None, "").await
}

async fn ask_time(
    state: &ApiState,
    visit: &Visit,
    (ids, back): (&[CallId], &str),
    trouble: Option<Trouble>,
    chosen: &str,
) -> Answer {
    let (picked, views) = Picked::read(state, visit, ids, back).await?;
    let times = match state.desk().allowed_times(visit.now, &picked.ids).await {
        Ok(times) => times,
        // One of them was claimed meanwhile: the others may still be moved by a stretch of time.
        Err(ActError::Refused(_)) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let zone = match &*views {
        [only] => only.client_zone(),
        _ => None,
    };
    let (status, shell) = framed(state, visit, "Reschedule calls", trouble);
    let shifts = SHIFTS.map(|(seconds, label)| {
        let value = format!("{seconds:+}");
        let is_chosen = value == chosen;
        Choice::new(value, label, is_chosen)
    });
    let days = times::by_day(&times, visit, zone, chosen);
    Ok(page_with(status, &MovePage { shell, picked, days, shifts: shifts.into() }))
}

pub(in crate::pages) async fn reschedule(
    State(state): State<ApiState>,
    visit: Visit,
    form: Form,
) -> Answer {
    visit.require(Role::Operator)?;
    let to = form.text("to");
    let act = async {
        let mut document = json!({"action": "reschedule", "ids": ids(&form)});
        let shift = to.strip_prefix('+').and_then(|seconds| seconds.parse::<i64>().ok());
        match shift {
            Some(seconds) => document["shift_seconds"] = json!(seconds),
            None => document["due_at"] = json!(time_to_come(to, &visit)?),
        }
        let (calls, act) = bulk::wanted(Fields::of(document)?, visit.now)?;
        let acted = state.desk().change_calls(visit.by(), &calls, &act).await?;
        if let [only] = &*acted
            && let Err(refused) = only.done
        {
            return Err(trouble_of(refused.into(), &visit));
        }
        outcome_of(&state, &visit, &acted, ("call is moved", "calls are moved")).await
    };
    match act.await {
        Ok(said) => {
            state.wake();
            Ok(done(&form.back("/calls/upcoming"), said))
        }
        Err(trouble) => {
            let picked = (&*sent(&form), form.text("back"));
            ask_time(&state, &visit, picked, Some(trouble), to).await
        }
    }
}
