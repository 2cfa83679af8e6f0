//! One call: what happened, why it was or is to be dialled, and what can be done with it.

mod acts;
mod offer;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use callcore::call::{
    AnsweredBy, CallEvent, CallStatus, Direction, EventKind, Retirement, Review, SkipReason,
};
use callcore::engine::{Heard, explain};
use callcore::id::CallId;
use callcore::port::{ActError, CallView};

use super::campaign;
use super::form::Choice;
use super::frame::{Answer, Shell, Trouble, Visit, encoded, page_with};
use super::notes::Notes;
use super::rows::CallRow;
use super::times::{self, DayTimes};
use super::when::{When, duration, told};
use super::words::{self, Word};
use crate::api::calls::audit_read;
use crate::problem::Problem;
use crate::query::Query;
use crate::request::Id;
use crate::state::ApiState;

pub(super) use acts::{
    call_now, incomplete, note, refusal, reschedule, retry, review, skip, skip_fields, skip_reason,
    tag, time_to_come, trouble_of,
};
pub(super) use offer::{Offer, reasons};

/// How many lines of a transcript a page shows; the file has all.
const LINES: usize = 200;

/// How many bytes of a transcript a page shows.
const MAX_TALK: usize = 24_000;

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
    transcript_href: String,
    rules_title: &'static str,
    rules: Vec<RuleRow>,
    facts: Vec<(&'static str, String)>,
    events: Vec<EventRow>,
    events_cut: usize,
    offer: Option<Offer>,
    again: Option<Vec<DayTimes>>,
    reviews: Vec<Choice>,
    label: String,
    notes: Notes,
    note_text: String,
    tags: Vec<String>,
    tag: String,
    /// Whether its client was erased, of whom nothing is written down any more.
    erased: bool,
}

struct CallDetail {
    row: CallRow,
    href: String,
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

/// What a rule said.
#[derive(Debug)]
pub(super) struct RuleRow {
    pub(super) about: &'static str,
    pub(super) passed: bool,
    pub(super) words: String,
}

impl RuleRow {
    /// What rules said, with instants as the viewer reads them.
    pub(super) fn all(heard: &[Heard], visit: &Visit) -> Vec<Self> {
        let row = |heard: &Heard| Self {
            about: words::rule(heard.rule),
            passed: heard.passed,
            words: told(&heard.words, |at| visit.when(at).short),
        };
        heard.iter().map(row).collect()
    }
}

struct EventRow {
    at: When,
    words: String,
}

/// What somebody tried to do with the call, to stand in its form again, and why it failed.
#[derive(Default)]
pub(super) struct Tried {
    trouble: Option<Trouble>,
    reason: Option<SkipReason>,
    note: String,
    next_attempt: bool,
    due: String,
    text: String,
    label: Option<String>,
    tag: String,
}

pub(super) async fn show(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CallId>,
    mut query: Query,
) -> Answer {
    let notes_before = query.one("notes", |text| text.parse().ok());
    query.finish()?;
    let view = existing(&state, id).await?;
    show_with(&state, &visit, view, notes_before, Tried::default()).await
}

async fn existing(state: &ApiState, id: CallId) -> Result<CallView, Trouble> {
    Ok(state.store().call(id).await?.ok_or_else(Problem::not_found)?)
}

async fn show_with(
    state: &ApiState,
    visit: &Visit,
    view: CallView,
    notes_before: Option<usize>,
    tried: Tried,
) -> Answer {
    let call = &view.call;
    let ended = call.status() == CallStatus::Ended;
    let lines = lines(state, visit, &view).await?;
    let (rules_title, heard) = rules(state, visit, &view).await?;
    let events = state.store().events(call.id).await?;
    let events: Vec<&CallEvent> = events
        .iter()
        .filter(|event| !matches!(event.kind, EventKind::Line { .. } | EventKind::Said { .. }))
        .collect();
    let row = CallRow::of(&view, visit);
    let client = match call.client {
        Some(id) => state.store().client(id).await?,
        None => None,
    };
    let erased = client.is_some_and(|view| view.client.erased.is_some());
    let shell = visit.shell(state, title(call.direction, &row.name), "");
    let shell = if ended { shell } else { shell.live() };
    let status = tried.trouble.as_ref().map_or(StatusCode::OK, Trouble::status);
    let offer = match row.scheduled && shell.operator {
        true => Some(Offer::of(state, visit, &view, &tried, String::new()).await?),
        false => None,
    };
    let again = match ended && shell.operator {
        true => again_at(state, visit, &view, &tried.due).await?,
        false => None,
    };
    let page = CallPage {
        shell: match &tried.trouble {
            Some(trouble) => {
                shell.at(format!("/calls/{}", call.id)).with_trouble(trouble.sentence())
            }
            None => shell,
        },
        live: !ended,
        list_href: if ended { "/calls/history" } else { "/calls/upcoming" },
        list_label: if ended { "Call history" } else { "Upcoming calls" },
        facts: facts(&view, &row, visit),
        transcript_href: format!(
            "/api/calls/{}/transcript.txt?zone={}",
            call.id,
            encoded(visit.zone.name())
        ),
        lines_cut: match lines.len() {
            0 => 0,
            shown => call.progress.transcript.len() - shown,
        },
        lines,
        rules_title,
        rules: RuleRow::all(&heard, visit),
        events_cut: events.len().saturating_sub(EVENTS),
        events: events.into_iter().take(EVENTS).map(|event| event_row(event, visit)).collect(),
        offer,
        again,
        reviews: [Review::Reviewed, Review::NeedsFollowUp, Review::Unreviewed]
            .iter()
            .map(|it| Choice::new(it, words::to_review(*it), *it == call.review))
            .collect(),
        label: tried.label.or_else(|| call.disposition.clone()).unwrap_or_default(),
        notes: Notes::new(&call.all_notes(), notes_before, visit),
        note_text: tried.text,
        tags: view.tags.iter().cloned().collect(),
        tag: tried.tag,
        erased,
        call: CallDetail { href: format!("/calls/{}", row.id), stands: row.outcome, row },
    };
    Ok(page_with(status, &page))
}

fn title(direction: Direction, name: &str) -> String {
    match direction {
        Direction::Outbound => format!("Call to {name}"),
        Direction::Inbound => format!("Call from {name}"),
    }
}

/// When an ended call's client may be called again; none where there is nobody to call.
async fn again_at(
    state: &ApiState,
    visit: &Visit,
    view: &CallView,
    chosen: &str,
) -> Result<Option<Vec<DayTimes>>, Trouble> {
    let Some(client) = view.call.client.filter(|_| view.call.phone.is_some()) else {
        return Ok(None);
    };
    let campaign = match view.call.campaign {
        Some(id) => state.store().campaign(id).await?,
        None => None,
    };
    if !campaign.is_some_and(|view| campaign::dials(view.campaign.state)) {
        return Ok(None);
    }
    match state.desk().allowed_times_of(visit.now, client).await {
        Ok(times) => Ok(Some(times::by_day(&times, visit, view.client_zone(), chosen))),
        Err(ActError::Refused(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The transcript of an ended call. Who reads one stands in the audit log.
async fn lines(state: &ApiState, visit: &Visit, view: &CallView) -> Result<Vec<LineRow>, Trouble> {
    let transcript = &view.call.progress.transcript;
    if transcript.is_empty() || view.call.status() != CallStatus::Ended {
        return Ok(Vec::new());
    }
    audit_read(state, &visit.principal, view.call.id, "transcript.read").await?;
    let (mut rows, mut room) = (Vec::new(), MAX_TALK);
    for line in transcript.iter().take(LINES) {
        let text = match line.text.char_indices().nth(MAX_LINE) {
            Some((end, _)) => format!("{}…", &line.text[..end]),
            None => line.text.clone(),
        };
        if text.len() > room {
            break;
        }
        room -= text.len();
        rows.push(LineRow {
            who: line.speaker.as_str(),
            speaker: words::speaker(line.speaker),
            at: duration(u64::from(line.offset_seconds)),
            text,
        });
    }
    Ok(rows)
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
    if call.begun_at.is_none() && call.retired.is_none() && call.direction == Direction::Outbound {
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
    say("Label", call.label().unwrap_or_default().to_owned());
    if call.settings_version > 0 {
        say("Settings", format!("version {}", call.settings_version));
    }
    say("Carrier's id", progress.carrier_call_id.clone().unwrap_or_default());
    facts
}
