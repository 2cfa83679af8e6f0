//! What a set of events adds up to.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::event::{AnsweredBy, CallEvent, Ending, EventKind, Speaker};
use super::{CallStatus, Outcome};
use crate::script::{KeyAction, Script};

/// What happened on the line: a function of the set of a call's events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Where the call stands; never one of the states before the dial.
    pub status: CallStatus,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Why it ended so, in one word; finer than the outcome.
    pub end_reason: Option<String>,
    /// Whether the carrier, or the line, ruled the number out for good.
    pub permanent: bool,
    /// When it first rang, or was answered.
    pub started_at: Option<DateTime<Utc>>,
    /// When it was answered.
    pub answered_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// Seconds somebody was on the line.
    pub talk_seconds: u32,
    /// What answered.
    pub answered_by: Option<AnsweredBy>,
    /// The carrier's id for it.
    pub carrier_call_id: Option<String>,
    /// How the carrier finds the recording.
    pub recording: Option<String>,
    /// When the person asked not to be called again.
    pub opted_out_at: Option<DateTime<Utc>>,
    /// Tags that key presses and the voice agent put on the client.
    pub tags: BTreeSet<String>,
    /// The voice agent's own label; the latest counts.
    pub disposition: Option<String>,
    /// What the voice agent wrote down, oldest first.
    pub notes: Vec<(DateTime<Utc>, String)>,
    /// What was said, in order.
    pub transcript: Vec<Line>,
}

/// One line of a transcript.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Who spoke.
    pub speaker: Speaker,
    /// Seconds since the call was answered.
    pub offset_seconds: u32,
    /// The words.
    pub text: String,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            status: CallStatus::Dialing,
            outcome: None,
            end_reason: None,
            permanent: false,
            started_at: None,
            answered_at: None,
            ended_at: None,
            talk_seconds: 0,
            answered_by: None,
            carrier_call_id: None,
            recording: None,
            opted_out_at: None,
            tags: BTreeSet::new(),
            disposition: None,
            notes: Vec::new(),
            transcript: Vec::new(),
        }
    }
}

impl Progress {
    /// Adds up a set of events, with the script the call ran under.
    ///
    /// Evidence weighs in this order: an opt-out, an answer, the carrier's word on how the call
    /// ended (answered over busy over no answer over failed over cancelled), a refusal to place it,
    /// and last that it was given up. So a late webhook corrects an earlier verdict, and the order
    /// of arrival changes nothing.
    #[must_use]
    pub fn of(events: &BTreeSet<CallEvent>, script: &Script) -> Self {
        let mut progress = Self::default();
        let mut seen = Evidence::default();
        let (mut lines, mut said) = (Vec::new(), Vec::new());
        for CallEvent { at, kind } in events {
            seen.placed |= kind.proves_placed();
            match kind {
                EventKind::Placed { carrier_call_id } => {
                    progress.carrier_call_id.get_or_insert_with(|| carrier_call_id.clone());
                }
                EventKind::NotPlaced { reason, permanent } => {
                    seen.not_placed.get_or_insert((*at, reason, *permanent));
                }
                EventKind::Unclear => seen.unclear = true,
                EventKind::Ringing => {
                    seen.ringing = true;
                    earliest(&mut progress.started_at, *at);
                }
                EventKind::Answered => {
                    earliest(&mut progress.started_at, *at);
                    earliest(&mut progress.answered_at, *at);
                }
                EventKind::Detected { by } => {
                    progress.answered_by = progress.answered_by.max(Some(*by));
                }
                EventKind::Key { digit, .. } => {
                    // A machine presses no keys.
                    progress.answered_by = Some(AnsweredBy::Human);
                    match script.key(*digit) {
                        Some(KeyAction::Tag(tag)) => {
                            progress.tags.insert(tag.clone());
                        }
                        Some(KeyAction::OptOut) => earliest(&mut progress.opted_out_at, *at),
                        // That it was handed on, the carrier says.
                        Some(KeyAction::Transfer(_)) | None => {}
                    }
                }
                EventKind::OptOut => earliest(&mut progress.opted_out_at, *at),
                EventKind::Line { index, speaker, offset_seconds, text } => lines.push((
                    *index,
                    Line { speaker: *speaker, offset_seconds: *offset_seconds, text: text.clone() },
                )),
                EventKind::Recorded { reference } => {
                    progress.recording.get_or_insert_with(|| reference.clone());
                }
                EventKind::Ended { ending, talk_seconds } => {
                    progress.talk_seconds = progress.talk_seconds.max(*talk_seconds);
                    seen.end(*at, ending);
                }
                EventKind::GivenUp => earliest(&mut seen.given_up, *at),
                EventKind::Transferred => seen.transferred = true,
                EventKind::Said { index, speaker, text } => {
                    said.push((*at, *index, *speaker, text));
                }
                EventKind::Tag { tag } => {
                    progress.tags.insert(tag.clone());
                }
                // Events come in order of time: the latest is the last.
                EventKind::Disposition { label } => progress.disposition = Some(label.clone()),
                EventKind::Note { text } => {
                    if progress.notes.iter().all(|(_, known)| known != text) {
                        progress.notes.push((*at, text.clone()));
                    }
                }
            }
        }
        let start = progress.answered_at.or(said.first().map(|(at, ..)| *at));
        lines.extend(said.into_iter().map(|(at, index, speaker, text)| {
            let offset = start.map_or(0, |start| (at - start).num_seconds());
            let offset_seconds = u32::try_from(offset).unwrap_or(0);
            (index, Line { speaker, offset_seconds, text: text.clone() })
        }));
        lines.sort_by_key(|(index, line)| (line.offset_seconds, *index));
        // Whoever tells a line again may tell another instant with it.
        lines.dedup();
        progress.transcript = lines.into_iter().map(|(_, line)| line).collect();
        progress.conclude(&seen);
        progress
    }

    fn conclude(&mut self, seen: &Evidence<'_>) {
        let answered = self.answered_at.is_some()
            || self.opted_out_at.is_some()
            || matches!(seen.ended, Some((_, Ending::Completed)));
        let over = match (&seen.ended, &seen.not_placed, seen.given_up) {
            (Some((at, ending)), _, _) => Some((*at, end_words(ending))),
            (None, Some((at, reason, permanent)), _) if !seen.placed => {
                Some((*at, (Outcome::Failed, (*reason).clone(), *permanent)))
            }
            (None, _, Some(at)) => Some((at, (Outcome::Failed, "unknown".to_owned(), false))),
            _ => None,
        };
        let Some((at, (outcome, reason, permanent))) = over else {
            self.status = if self.answered_at.is_some() {
                CallStatus::InProgress
            } else if seen.ringing {
                CallStatus::Ringing
            } else if seen.unclear && !seen.placed {
                CallStatus::Unknown
            } else {
                CallStatus::Dialing
            };
            return;
        };
        self.status = CallStatus::Ended;
        self.ended_at = Some(at);
        (self.outcome, self.end_reason, self.permanent) = if self.opted_out_at.is_some() {
            (Some(Outcome::OptedOut), Some("opted_out".to_owned()), false)
        } else if answered {
            match self.answered_by {
                Some(AnsweredBy::Machine) => {
                    (Some(Outcome::Voicemail), Some("machine".into()), false)
                }
                Some(AnsweredBy::Fax) => (Some(Outcome::Failed), Some("fax".to_owned()), true),
                _ => {
                    let reason = if seen.transferred { "transferred" } else { "completed" };
                    (Some(Outcome::Answered), Some(reason.to_owned()), false)
                }
            }
        } else {
            (Some(outcome), Some(reason), permanent)
        };
    }
}

#[derive(Default)]
struct Evidence<'a> {
    placed: bool,
    ringing: bool,
    unclear: bool,
    transferred: bool,
    not_placed: Option<(DateTime<Utc>, &'a String, bool)>,
    ended: Option<(DateTime<Utc>, &'a Ending)>,
    given_up: Option<DateTime<Utc>>,
}

impl<'a> Evidence<'a> {
    fn end(&mut self, at: DateTime<Utc>, ending: &'a Ending) {
        if self.ended.is_none_or(|(_, known)| ending > known) {
            self.ended = Some((at, ending));
        }
    }
}

fn earliest(slot: &mut Option<DateTime<Utc>>, at: DateTime<Utc>) {
    *slot = Some(slot.map_or(at, |known| known.min(at)));
}

fn end_words(ending: &Ending) -> (Outcome, String, bool) {
    match ending {
        Ending::Completed => (Outcome::Answered, "completed".to_owned(), false),
        Ending::Busy => (Outcome::Busy, "busy".to_owned(), false),
        Ending::NoAnswer => (Outcome::NoAnswer, "no_answer".to_owned(), false),
        Ending::Failed { reason, permanent } => (Outcome::Failed, reason.clone(), *permanent),
        Ending::Canceled => (Outcome::Canceled, "canceled".to_owned(), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(second: i64, kind: EventKind) -> CallEvent {
        CallEvent { at: DateTime::from_timestamp(second, 0).unwrap(), kind }
    }

    fn fold(events: impl IntoIterator<Item = CallEvent>) -> Progress {
        let script = serde_json::from_str(r#"{"keys":{"1":{"tag":"yes"},"9":"opt_out"}}"#).unwrap();
        Progress::of(&events.into_iter().collect(), &script)
    }

    fn ended(ending: Ending) -> EventKind {
        EventKind::Ended { ending, talk_seconds: 20 }
    }

    #[test]
    fn a_late_verdict_turns_an_answer_into_a_voicemail() {
        let mut events = vec![event(5, EventKind::Answered), event(25, ended(Ending::Completed))];
        assert_eq!(fold(events.clone()).outcome, Some(Outcome::Answered));
        events.push(event(30, EventKind::Detected { by: AnsweredBy::Machine }));
        assert_eq!(fold(events.clone()).outcome, Some(Outcome::Voicemail));
        events.push(event(9, EventKind::Key { digit: '1', press: 0 }));
        assert_eq!(fold(events).outcome, Some(Outcome::Answered), "machines press no keys");
    }

    #[test]
    fn a_webhook_after_unknown_corrects_it() {
        let mut events = vec![event(1, EventKind::Unclear)];
        assert_eq!(fold(events.clone()).status, CallStatus::Unknown);
        events.push(event(90_000, EventKind::GivenUp));
        let given_up = fold(events.clone());
        assert_eq!(given_up.outcome, Some(Outcome::Failed));
        assert_eq!(given_up.end_reason.as_deref(), Some("unknown"));
        events.push(event(40, ended(Ending::Busy)));
        assert_eq!(fold(events).outcome, Some(Outcome::Busy));
    }

    #[test]
    fn a_refusal_counts_only_while_nothing_shows_that_the_call_exists() {
        let refused = EventKind::NotPlaced { reason: "bad_number".to_owned(), permanent: true };
        let alone = fold([event(1, refused.clone())]);
        assert_eq!((alone.outcome, alone.permanent), (Some(Outcome::Failed), true));
        let contradicted = fold([event(1, refused), event(2, EventKind::Ringing)]);
        assert_eq!(contradicted.status, CallStatus::Ringing);
    }

    #[test]
    fn a_call_that_was_handed_on_says_so() {
        let out = fold([
            event(5, EventKind::Answered),
            event(8, EventKind::Transferred),
            event(30, ended(Ending::Completed)),
        ]);
        assert_eq!(out.outcome, Some(Outcome::Answered));
        assert_eq!(out.end_reason.as_deref(), Some("transferred"));
    }

    #[test]
    fn a_line_told_by_its_instant_stands_where_it_was_said_whenever_the_answer_is_heard_of() {
        let said = |second, index, text: &str| {
            let speaker = Speaker::Agent;
            event(second, EventKind::Said { index, speaker, text: text.to_owned() })
        };
        let line = EventKind::Line {
            index: 0,
            speaker: Speaker::Client,
            offset_seconds: 3,
            text: "Hello?".to_owned(),
        };
        let mut events = vec![said(12, 1, "Two."), said(12, 0, "One."), event(5, line)];
        let offsets = |events: &[CallEvent]| -> Vec<(u32, String)> {
            let lines = fold(events.iter().cloned()).transcript;
            lines.into_iter().map(|line| (line.offset_seconds, line.text)).collect()
        };
        let text = |offset: u32, text: &str| (offset, text.to_owned());
        assert_eq!(offsets(&events), [text(0, "One."), text(0, "Two."), text(3, "Hello?")]);
        events.push(event(5, EventKind::Answered));
        assert_eq!(offsets(&events), [text(3, "Hello?"), text(7, "One."), text(7, "Two.")]);
    }

    #[test]
    fn the_agents_latest_label_counts_and_its_tags_and_notes_add_up() {
        let label = |label: &str| EventKind::Disposition { label: label.to_owned() };
        let tag = |tag: &str| EventKind::Tag { tag: tag.to_owned() };
        let note = EventKind::Note { text: "call in May".to_owned() };
        let out = fold([
            event(9, label("won")),
            event(7, label("undecided")),
            event(7, tag("b")),
            event(8, tag("a")),
            event(8, note),
        ]);
        assert_eq!(out.disposition.as_deref(), Some("won"));
        assert_eq!(out.tags.into_iter().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(out.notes.len(), 1);
    }

    #[test]
    fn an_opt_out_outweighs_every_ending() {
        let out = fold([
            event(5, EventKind::Answered),
            event(7, EventKind::Key { digit: '9', press: 0 }),
            event(9, ended(Ending::Failed { reason: "dropped".to_owned(), permanent: true })),
        ]);
        assert_eq!((out.outcome, out.permanent), (Some(Outcome::OptedOut), false));
    }
}
