use std::collections::BTreeSet;

use callcore::call::{CallEvent, CallStatus, EventKind, Line, Retirement};
use callcore::client::Note;
use callcore::engine::Heard;
use callcore::id::CampaignId;
use callcore::port::CallView;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use super::instant;

/// A call.
#[derive(Debug, Serialize)]
pub(crate) struct CallDto {
    id: String,
    campaign_id: Option<String>,
    campaign_name: Option<String>,
    client_id: Option<String>,
    name: Option<String>,
    phone: Option<String>,
    direction: &'static str,
    attempt: u32,
    retry_of: Option<String>,
    status: &'static str,
    outcome: Option<&'static str>,
    end_reason: Option<String>,
    due_at: String,
    client_time_zone: Option<String>,
    started_at: Option<String>,
    answered_at: Option<String>,
    ended_at: Option<String>,
    duration_seconds: Option<u32>,
    answered_by: Option<&'static str>,
    review: &'static str,
    disposition: Option<String>,
    notes: Vec<NoteDto>,
    tags: BTreeSet<String>,
    skip: Option<SkipDto>,
    by: String,
    transcript: Option<Vec<LineDto>>,
    has_recording: bool,
    carrier: CarrierDto,
    settings_version: Option<u32>,
    test: bool,
}

#[derive(Debug, Serialize)]
struct SkipDto {
    reason: &'static str,
    note: Option<String>,
}

#[derive(Debug, Serialize)]
struct CarrierDto {
    name: &'static str,
    call_id: Option<String>,
}

/// Something a person wrote down.
#[derive(Debug, Serialize)]
pub(crate) struct NoteDto {
    text: String,
    by: String,
    at: String,
}

impl From<&Note> for NoteDto {
    fn from(note: &Note) -> Self {
        Self { text: note.text.clone(), by: note.by.to_string(), at: instant(note.at) }
    }
}

/// One line of a transcript.
#[derive(Debug, Serialize)]
struct LineDto {
    speaker: &'static str,
    at: Option<String>,
    offset_seconds: u32,
    text: String,
}

impl LineDto {
    fn new(line: &Line, answered_at: Option<DateTime<Utc>>) -> Self {
        let offset = TimeDelta::seconds(i64::from(line.offset_seconds));
        Self {
            speaker: line.speaker.as_str(),
            at: answered_at.map(|at| instant(at + offset)),
            offset_seconds: line.offset_seconds,
            text: line.text.clone(),
        }
    }
}

impl CallDto {
    /// The call as the contract shows it; `carrier` is the kind of carrier the store belongs to.
    pub(crate) fn new(view: &CallView, carrier: &'static str) -> Self {
        let (call, progress) = (&view.call, &view.call.progress);
        let skip = call.retired.as_ref().and_then(|retired| match &retired.how {
            Retirement::Skipped(skip) => {
                Some(SkipDto { reason: skip.reason.as_str(), note: skip.note.clone() })
            }
            Retirement::Canceled(_) => None,
        });
        let line = |line| LineDto::new(line, progress.answered_at);
        let ended = call.status() == CallStatus::Ended;
        Self {
            id: call.id.to_string(),
            campaign_id: call.campaign.map(|id| id.to_string()),
            campaign_name: view.campaign_name.clone(),
            client_id: call.client.map(|id| id.to_string()),
            name: view.client_name.clone(),
            phone: call.phone.map(|phone| phone.to_string()),
            direction: call.direction.as_str(),
            attempt: call.attempt,
            retry_of: call.retry_of.map(|id| id.to_string()),
            status: call.status().as_str(),
            outcome: call.outcome().map(callcore::call::Outcome::as_str),
            end_reason: call.end_reason().map(str::to_owned),
            due_at: instant(call.due_at),
            client_time_zone: view.client_zone().map(|zone| zone.name().to_owned()),
            started_at: progress.started_at.map(instant),
            answered_at: progress.answered_at.map(instant),
            ended_at: call.ended_at().map(instant),
            duration_seconds: ended.then_some(progress.talk_seconds),
            answered_by: progress.answered_by.map(callcore::call::AnsweredBy::as_str),
            review: call.review.as_str(),
            disposition: call.label().map(str::to_owned),
            notes: call.all_notes().iter().map(NoteDto::from).collect(),
            tags: view.tags.clone(),
            skip,
            by: call.by.to_string(),
            transcript: (!progress.transcript.is_empty())
                .then(|| progress.transcript.iter().map(line).collect()),
            has_recording: progress.recording.is_some(),
            carrier: CarrierDto { name: carrier, call_id: progress.carrier_call_id.clone() },
            settings_version: call.begun_at.map(|_| call.settings_version),
            test: call.is_test(),
        }
    }

    /// The call as lists show it: what was said is read with the call itself.
    pub(crate) fn brief(view: &CallView, carrier: &'static str) -> Self {
        Self { transcript: None, ..Self::new(view, carrier) }
    }
}

/// A call as its voice agent is told of it: nothing it did not know or say.
#[derive(Debug, Serialize)]
pub(crate) struct ResultDto {
    id: String,
    status: &'static str,
    disposition: Option<String>,
    opted_out: bool,
    lines: usize,
}

impl From<&CallView> for ResultDto {
    fn from(view: &CallView) -> Self {
        let progress = &view.call.progress;
        Self {
            id: view.call.id.to_string(),
            status: view.call.status().as_str(),
            disposition: progress.disposition.clone(),
            opted_out: progress.opted_out_at.is_some(),
            lines: progress.transcript.len(),
        }
    }
}

/// The calls of a number, over all campaigns.
#[derive(Debug, Serialize)]
pub(crate) struct TimelineDto {
    /// Those under way, then those to come by their due time.
    pub(crate) upcoming: Vec<TimelineCall>,
    /// Those that ended, the latest first.
    pub(crate) items: Vec<TimelineCall>,
    pub(crate) next_cursor: Option<String>,
}

/// A call among those of its number.
#[derive(Debug, Serialize)]
pub(crate) struct TimelineCall {
    #[serde(flatten)]
    call: CallDto,
    /// Whether it belongs to another campaign than the client whose timeline it stands in.
    other_campaign: bool,
}

impl TimelineCall {
    pub(crate) fn new(view: &CallView, campaign: CampaignId, carrier: &'static str) -> Self {
        Self {
            call: CallDto::brief(view, carrier),
            other_campaign: view.call.campaign.is_some_and(|its| its != campaign),
        }
    }
}

/// A call with all that is known of it.
#[derive(Debug, Serialize)]
pub(crate) struct CallDetail {
    #[serde(flatten)]
    call: CallDto,
    events: Vec<EventDto>,
    decision: Vec<Heard>,
}

#[derive(Debug, Serialize)]
struct EventDto {
    at: String,
    #[serde(flatten)]
    kind: Value,
}

impl From<&CallEvent> for EventDto {
    fn from(event: &CallEvent) -> Self {
        let mut kind = json!(event.kind);
        // Where the carrier keeps a recording is nobody's business outside.
        if let (EventKind::Recorded { .. }, Value::Object(fields)) = (&event.kind, &mut kind) {
            fields.shift_remove("reference");
        }
        Self { at: instant(event.at), kind }
    }
}

impl CallDetail {
    pub(crate) fn new(
        view: &CallView,
        carrier: &'static str,
        events: &[CallEvent],
        decision: Vec<Heard>,
    ) -> Self {
        let events = events.iter().map(EventDto::from).collect();
        Self { call: CallDto::new(view, carrier), events, decision }
    }
}
