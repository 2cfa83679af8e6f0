//! What Twilio's callbacks say, as events. Pure: fields in, events out.

use callcore::call::{AnsweredBy, CallEvent, Ending, EventKind, Speaker};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

use crate::api::Call;
use crate::fields::Fields;

/// The SIP answers that rule a number out for good: not found, gone, does not exist anywhere.
const NO_SUCH_NUMBER: [&str; 3] = ["404", "410", "604"];

/// How a call goes on, from a status callback or from the call as the API shows it. Child legs, such
/// as a transfer's, are calls of their own and end nothing of ours.
pub(crate) fn status(fields: &Fields, now: DateTime<Utc>) -> Vec<CallEvent> {
    if fields.text("ParentCallSid").is_some() {
        return Vec::new();
    }
    let at = timestamp(fields).unwrap_or(now);
    let mut kinds = Vec::new();
    if let Some(sid) = fields.text("CallSid") {
        kinds.push(EventKind::Placed { carrier_call_id: sid.to_owned() });
    }
    // Not documented for these callbacks, and seen there.
    kinds.extend(detected(fields));
    let (sip, talk) = (fields.text("SipResponseCode"), fields.number("CallDuration"));
    // `Duration` beside it is billed minutes.
    kinds.extend(fields.text("CallStatus").and_then(|it| stage(it, sip, talk.unwrap_or(0))));
    kinds.into_iter().map(|kind| CallEvent { at, kind }).collect()
}

/// What a status says. `completed` is an answered call, whoever or whatever answered.
fn stage(status: &str, sip: Option<&str>, talk_seconds: u32) -> Option<EventKind> {
    let ending = match status {
        "ringing" => return Some(EventKind::Ringing),
        "in-progress" => return Some(EventKind::Answered),
        "completed" => Ending::Completed,
        "busy" => Ending::Busy,
        "no-answer" => Ending::NoAnswer,
        "canceled" => Ending::Canceled,
        "failed" => {
            let permanent = sip.is_some_and(|code| NO_SUCH_NUMBER.contains(&code));
            let reason = sip.map_or_else(|| "failed".to_owned(), |code| format!("sip_{code}"));
            Ending::Failed { reason, permanent }
        }
        _ => return None,
    };
    Some(EventKind::Ended { ending, talk_seconds })
}

/// What answered, as answering machine detection says.
pub(crate) fn detection(fields: &Fields, now: DateTime<Utc>) -> Vec<CallEvent> {
    detected(fields).map(|kind| CallEvent { at: now, kind }).into_iter().collect()
}

fn detected(fields: &Fields) -> Option<EventKind> {
    verdict(fields).map(|by| EventKind::Detected { by })
}

/// What answered, if the request says so.
pub(crate) fn verdict(fields: &Fields) -> Option<AnsweredBy> {
    fields.text("AnsweredBy").map(answered_by)
}

/// What Twilio's word for what answered means.
pub(crate) fn answered_by(word: &str) -> AnsweredBy {
    match word {
        "human" => AnsweredBy::Human,
        "fax" => AnsweredBy::Fax,
        machine if machine.starts_with("machine") => AnsweredBy::Machine,
        _ => AnsweredBy::Unknown,
    }
}

/// A recording that can be fetched. Its URL is input and is not kept: the id is.
pub(crate) fn recording(fields: &Fields, now: DateTime<Utc>) -> Vec<CallEvent> {
    let is_ready = fields.text("RecordingStatus").is_none_or(|status| status == "completed");
    let reference = fields.text("RecordingSid").filter(|sid| is_recording(sid));
    let event = |reference: &str| CallEvent {
        at: now,
        kind: EventKind::Recorded { reference: reference.to_owned() },
    };
    reference.filter(|_| is_ready).map(event).into_iter().collect()
}

/// Whether a text is the id of a recording: `RE` and 32 hexadecimal digits.
pub(crate) fn is_recording(sid: &str) -> bool {
    sid.strip_prefix("RE")
        .is_some_and(|rest| rest.len() == 32 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// What was said, as it is said. Of every call the inbound track is the other side. Sequence ids
/// are ordered within a track only: where a line stands follows from its instant.
pub(crate) fn transcript(fields: &Fields, now: DateTime<Utc>) -> Vec<CallEvent> {
    let content = fields.text("TranscriptionEvent") == Some("transcription-content");
    let is_final = fields.text("Final").is_none_or(|last| last == "true");
    if !content || !is_final {
        return Vec::new();
    }
    let at = fields
        .text("Timestamp")
        .and_then(|text| DateTime::parse_from_rfc3339(text).ok())
        .map_or(now, |at| at.to_utc());
    let data: Option<Said> =
        fields.text("TranscriptionData").and_then(|text| serde_json::from_str(text).ok());
    let speaker = match fields.text("Track") {
        Some("inbound_track") => Speaker::Client,
        Some("outbound_track") => Speaker::Agent,
        _ => return Vec::new(),
    };
    let (Some(data), Some(sequence)) = (data, fields.number("SequenceId")) else {
        return Vec::new();
    };
    let text = data.transcript.trim();
    if text.is_empty() {
        return Vec::new();
    }
    let kind = EventKind::Said { index: sequence, speaker, text: text.to_owned() };
    vec![CallEvent { at, kind }]
}

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    transcript: String,
}

/// A call as the API shows it. Instants that it leaves out are taken from when the call began, so
/// that two looks at one state tell the same.
pub(crate) fn looked_up(call: &Call, begun_at: DateTime<Utc>) -> Vec<CallEvent> {
    let instant = |text: &Option<String>| text.as_deref().and_then(rfc2822);
    let started = instant(&call.start_time).or_else(|| instant(&call.date_created));
    let started = started.unwrap_or(begun_at);
    let talk_seconds = call.duration.as_deref().and_then(|text| text.parse().ok()).unwrap_or(0);
    let ended = instant(&call.end_time).unwrap_or(started);
    let mut events = vec![CallEvent {
        at: begun_at,
        kind: EventKind::Placed { carrier_call_id: call.sid.clone() },
    }];
    let Some(status) = &call.status else { return events };
    let Some(kind) = stage(status, None, talk_seconds) else { return events };
    match &kind {
        EventKind::Ended { ending: Ending::Completed, .. } => {
            let answered_at = ended - TimeDelta::seconds(talk_seconds.into());
            events.push(CallEvent { at: answered_at, kind: EventKind::Answered });
            events.push(CallEvent { at: ended, kind });
        }
        EventKind::Ended { .. } => events.push(CallEvent { at: ended, kind }),
        _ => events.push(CallEvent { at: started, kind }),
    }
    let by = call.answered_by.as_deref().map(answered_by);
    events.extend(by.map(|by| CallEvent { at: ended, kind: EventKind::Detected { by } }));
    events
}

/// When it happened.
fn timestamp(fields: &Fields) -> Option<DateTime<Utc>> {
    fields.text("Timestamp").and_then(rfc2822)
}

pub(crate) fn rfc2822(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc2822(text).ok().map(|at| at.to_utc())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SID: &str = "CA0123456789abcdef0123456789abcdef";

    fn now() -> DateTime<Utc> {
        "2026-11-23T15:00:00Z".parse().unwrap()
    }

    fn kinds(encoded: &str) -> Vec<EventKind> {
        let events = status(&Fields::parse(encoded.as_bytes()), now());
        events.into_iter().map(|event| event.kind).collect()
    }

    #[test]
    fn every_status_is_what_it_says() {
        let placed = EventKind::Placed { carrier_call_id: SID.to_owned() };
        let ended = |ending, talk_seconds| Some(EventKind::Ended { ending, talk_seconds });
        let failed = |reason: &str, permanent| Ending::Failed { reason: reason.into(), permanent };
        for (query, kind) in [
            ("CallStatus=queued", None),
            ("CallStatus=initiated", None),
            ("CallStatus=ringing", Some(EventKind::Ringing)),
            ("CallStatus=in-progress", Some(EventKind::Answered)),
            ("CallStatus=completed&CallDuration=42&Duration=1", ended(Ending::Completed, 42)),
            ("CallStatus=busy&SipResponseCode=486&CallDuration=0", ended(Ending::Busy, 0)),
            ("CallStatus=no-answer&SipResponseCode=487", ended(Ending::NoAnswer, 0)),
            ("CallStatus=canceled", ended(Ending::Canceled, 0)),
            ("CallStatus=failed&SipResponseCode=404", ended(failed("sip_404", true), 0)),
            ("CallStatus=failed&SipResponseCode=503", ended(failed("sip_503", false), 0)),
            ("CallStatus=failed", ended(failed("failed", false), 0)),
            ("CallStatus=something-new", None),
        ] {
            let expected: Vec<EventKind> = [placed.clone()].into_iter().chain(kind).collect();
            assert_eq!(kinds(&format!("CallSid={SID}&{query}")), expected, "{query}");
        }
    }

    #[test]
    fn an_event_happened_when_the_carrier_says() {
        let fields =
            Fields::parse(b"CallStatus=ringing&Timestamp=Mon%2C+23+Nov+2026+14%3A59%3A58+%2B0000");
        let at = status(&fields, now())[0].at;
        assert_eq!(at, "2026-11-23T14:59:58Z".parse::<DateTime<Utc>>().unwrap());
        assert_eq!(status(&Fields::parse(b"CallStatus=ringing&Timestamp=x"), now())[0].at, now());
    }

    #[test]
    fn a_child_leg_is_no_news_of_the_call() {
        assert_eq!(kinds("CallSid=x&ParentCallSid=y&CallStatus=completed"), []);
    }

    #[test]
    fn a_verdict_that_is_none_counts_as_unknown_and_so_as_a_person() {
        for (word, by) in [
            ("human", AnsweredBy::Human),
            ("machine_start", AnsweredBy::Machine),
            ("machine_end_beep", AnsweredBy::Machine),
            ("machine_end_other", AnsweredBy::Machine),
            ("fax", AnsweredBy::Fax),
            ("unknown", AnsweredBy::Unknown),
            ("robot", AnsweredBy::Unknown),
        ] {
            let fields = Fields::parse(format!("AnsweredBy={word}").as_bytes());
            assert_eq!(detection(&fields, now())[0].kind, EventKind::Detected { by });
        }
        assert_eq!(detection(&Fields::parse(b"AnsweredBy="), now()), []);
    }

    #[test]
    fn a_recording_is_known_by_its_id_once_it_is_ready() {
        let said = |query: &str| recording(&Fields::parse(query.as_bytes()), now()).len();
        let id = "RecordingSid=RE0123456789abcdef0123456789abcdef";
        assert_eq!(said(&format!("{id}&RecordingStatus=completed&RecordingUrl=http://evil")), 1);
        assert_eq!(said(&format!("{id}&RecordingStatus=in-progress")), 0);
        assert_eq!(said(&format!("{id}&RecordingStatus=absent")), 0);
        assert_eq!(said("RecordingSid=../../x&RecordingStatus=completed"), 0);
    }

    #[test]
    fn lines_have_their_speaker_and_their_place() {
        let said = |query: &str| {
            let start = "TranscriptionEvent=transcription-content&Timestamp=2026-11-23T15%3A00%3A07.123456Z";
            transcript(&Fields::parse(format!("{start}&{query}").as_bytes()), now())
        };
        let data =
            "TranscriptionData=%7B%22transcript%22%3A%22Hi+there.%22%2C%22confidence%22%3A0.9%7D";
        let lines = said(&format!("{data}&Track=inbound_track&SequenceId=3&Final=true"));
        let text = "Hi there.".to_owned();
        let line = EventKind::Said { index: 3, speaker: Speaker::Client, text };
        assert_eq!(lines[0].kind, line);
        assert_eq!(said(&format!("{data}&Track=inbound_track&SequenceId=3&Final=false")), []);
        assert_eq!(said("TranscriptionData=nonsense&Track=inbound_track&SequenceId=3"), []);
        assert_eq!(said(&format!("{data}&Track=sideways&SequenceId=3")), []);
    }

    proptest! {
        #[test]
        fn no_callback_makes_it_panic(bytes: Vec<u8>) {
            let fields = Fields::parse(&bytes);
            status(&fields, now());
            detection(&fields, now());
            recording(&fields, now());
            transcript(&fields, now());
        }
    }
}
