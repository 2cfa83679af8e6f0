//! What a voice agent reports of a call it talked in.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::event::{CallEvent, EventKind, Speaker};
use crate::campaign::{FieldError, Fields};
use crate::text::{MAX_TAG, undisguised};

/// The most lines of one report.
const MAX_LINES: usize = 2_000;
/// The longest line, and the longest note, in characters.
const MAX_TEXT_CHARS: usize = 4_000;
/// The longest disposition, in characters.
const MAX_LABEL_CHARS: usize = 100;
/// The most tags of one report.
const MAX_TAGS: usize = 20;
/// The latest second of a conversation that a line may be told for: far more than any call lasts.
const MAX_OFFSET: u32 = 86_400;

/// What a voice agent reports: what was said, and what it made of it. Reports add up; the same one
/// twice is one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct AgentResult {
    /// What was said, in order.
    pub transcript: Vec<Utterance>,
    /// The agent's own label for the call.
    pub disposition: Option<String>,
    /// Tags to put on the client.
    pub tags: BTreeSet<String>,
    /// Whether the person asked not to be called again.
    pub opt_out: bool,
    /// Something to be written down.
    pub note: Option<String>,
}

/// One line of a conversation.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Utterance {
    /// Who spoke.
    pub speaker: Speaker,
    /// When.
    #[serde(flatten)]
    pub when: When,
    /// The words.
    pub text: String,
}

impl std::fmt::Debug for Utterance {
    /// Leaves the words out: they don't belong in logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Utterance").field("when", &self.when).finish_non_exhaustive()
    }
}

/// When something was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum When {
    /// So many seconds after the call was answered.
    #[serde(rename = "offset_seconds")]
    Offset(u32),
    /// At this instant of the campaign clock.
    #[serde(rename = "at")]
    At(DateTime<Utc>),
}

impl AgentResult {
    /// Reads a report.
    ///
    /// # Errors
    ///
    /// Every bad, missing or unknown field, such as `transcript[3].speaker`.
    pub fn read(document: &Value) -> Result<Self, Vec<FieldError>> {
        let mut fields = Fields::of(document);
        let transcript = transcript(&mut fields);
        let disposition = text(&mut fields, "disposition", MAX_LABEL_CHARS);
        let tags = tags(&mut fields);
        let opt_out = fields.or_default("opt_out");
        let note = text(&mut fields, "note", MAX_TEXT_CHARS);
        let errors = fields.finish();
        if errors.is_empty() {
            Ok(Self { transcript, disposition, tags, opt_out, note })
        } else {
            Err(errors)
        }
    }

    /// What a report that can't be read as a whole still says for certain: that the person asked not
    /// to be called again. That word must not be lost to a mistake beside it.
    #[must_use]
    pub fn opt_out_of(document: &Value) -> Option<Self> {
        let opt_out = document.get("opt_out")?.as_bool()?;
        opt_out.then(|| Self { opt_out, ..Self::default() })
    }

    /// The report as events of a call that began at an instant. The same report of the same call
    /// gives the same events, so that repeating it changes nothing.
    #[must_use]
    pub fn events(&self, began: DateTime<Utc>) -> Vec<CallEvent> {
        let mut events = Vec::new();
        let mut last = began;
        for (index, line) in (0..).zip(&self.transcript) {
            let (speaker, text) = (line.speaker, line.text.clone());
            let (at, kind) = match line.when {
                When::Offset(offset_seconds) => {
                    let at = began + TimeDelta::seconds(i64::from(offset_seconds));
                    (at, EventKind::Line { index, speaker, offset_seconds, text })
                }
                When::At(at) => (at, EventKind::Said { index, speaker, text }),
            };
            last = last.max(at);
            events.push(CallEvent { at, kind });
        }
        let tags = self.tags.iter().map(|tag| EventKind::Tag { tag: tag.clone() });
        let label =
            self.disposition.iter().map(|label| EventKind::Disposition { label: label.clone() });
        let note = self.note.iter().map(|text| EventKind::Note { text: text.clone() });
        let opt_out = self.opt_out.then_some(EventKind::OptOut);
        let verdicts = tags.chain(label).chain(note).chain(opt_out);
        events.extend(verdicts.map(|kind| CallEvent { at: last, kind }));
        events
    }
}

fn transcript(fields: &mut Fields) -> Vec<Utterance> {
    let Some(lines) = fields.optional::<Vec<Value>>("transcript") else { return Vec::new() };
    if lines.len() > MAX_LINES {
        fields.refuse_field("transcript", "too_many", &format!("at most {MAX_LINES} lines"));
        return Vec::new();
    }
    let mut read = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let mut of_line = Fields::at(line, &format!("transcript[{index}]"));
        let speaker: Option<Speaker> = of_line.required("speaker");
        let (offset, at) = (of_line.optional("offset_seconds"), of_line.optional("at"));
        let when = match (offset, at) {
            (Some(offset), None) if offset <= MAX_OFFSET => Some(When::Offset(offset)),
            (Some(_), None) => {
                of_line.out_of_range("offset_seconds", &format!("at most {MAX_OFFSET}"));
                None
            }
            (None, Some(at)) => Some(When::At(at)),
            _ => {
                let words = "either offset_seconds or at is required";
                of_line.refuse_field("offset_seconds", "required", words);
                None
            }
        };
        let said = text(&mut of_line, "text", MAX_TEXT_CHARS);
        if said.is_none() && !of_line.is_refused("text") {
            of_line.refuse_field("text", "required", "is required");
        }
        fields.end_nested(of_line);
        if let (Some(speaker), Some(when), Some(text)) = (speaker, when, said) {
            read.push(Utterance { speaker, when, text });
        }
    }
    read
}

fn tags(fields: &mut Fields) -> BTreeSet<String> {
    let tags: Vec<String> = fields.or_default("tags");
    if tags.len() > MAX_TAGS {
        fields.refuse_field("tags", "too_many", &format!("at most {MAX_TAGS} tags"));
    }
    let tags: BTreeSet<String> =
        tags.iter().map(|tag| undisguised(tag).trim().to_owned()).collect();
    let is_bad = |tag: &String| {
        !(1..=MAX_TAG).contains(&tag.chars().count()) || tag.chars().any(char::is_control)
    };
    if tags.iter().any(is_bad) {
        let words = format!("each has 1 to {MAX_TAG} characters, none of them a control");
        fields.refuse_field("tags", "bad_tag", &words);
    }
    tags
}

/// A text of at most so many characters; a blank one is none.
fn text(fields: &mut Fields, field: &str, most: usize) -> Option<String> {
    let text: String = fields.optional(field)?;
    if text.chars().count() > most {
        fields.refuse_field(field, "too_long", &format!("at most {most} characters"));
        return None;
    }
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        fields.refuse_field(field, "control_character", "has a control character");
        return None;
    }
    let text = undisguised(&text).trim().to_owned();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_report_reads_back_as_it_was_sent() {
        let document = json!({
            "transcript": [
                {"speaker": "agent", "offset_seconds": 2, "text": "Hello."},
                {"speaker": "client", "at": "2026-11-23T15:00:09Z", "text": "Hi."},
            ],
            "disposition": "won", "tags": ["vip"], "opt_out": true, "note": "call in May",
        });
        let result = AgentResult::read(&document).unwrap();
        assert_eq!(AgentResult::read(&json!(result)), Ok(result.clone()));
        assert!(!format!("{result:?}").contains("Hello"), "transcripts don't belong in logs");
        let began = "2026-11-23T15:00:00Z".parse().unwrap();
        let events = result.events(began);
        assert_eq!(events.len(), 6);
        assert!(events.iter().all(|event| event.at >= began));
        assert_eq!(events, result.events(began));
        assert!(AgentResult::read(&json!({})).unwrap().events(began).is_empty());
    }

    #[test]
    fn what_an_agent_writes_disguises_nothing() {
        let document = json!({
            "transcript": [{"speaker": "agent", "offset_seconds": 1, "text": "a\u{202e}b"}],
            "disposition": "w\u{2066}on", "tags": ["v\u{202d}ip"], "note": "\u{202a}x",
        });
        let result = AgentResult::read(&document).unwrap();
        assert_eq!(result.transcript[0].text, "ab");
        assert_eq!(
            (result.disposition.as_deref(), result.note.as_deref()),
            (Some("won"), Some("x"))
        );
        assert!(result.tags.contains("vip"));
    }

    #[test]
    fn every_bad_field_is_named_at_once() {
        let document = json!({
            "transcript": [
                {"speaker": "robot", "offset_seconds": 2, "text": "Hello."},
                {"speaker": "agent", "text": " "},
                {"speaker": "agent", "offset_seconds": 1, "at": "2026-11-23T15:00:09Z", "text": "a"},
                {"speaker": "agent", "offset_seconds": 999_999, "text": "a", "mood": "good"},
                "hello",
            ],
            "disposition": "x".repeat(101), "tags": [""], "opt_out": "yes", "note": "\u{7}",
            "phone": "+12125550100",
        });
        let errors = AgentResult::read(&document).unwrap_err();
        let fields: Vec<_> = errors.iter().map(|error| &*error.field).collect();
        assert_eq!(
            fields,
            [
                "transcript[0].speaker",
                "transcript[1].offset_seconds",
                "transcript[1].text",
                "transcript[2].offset_seconds",
                "transcript[3].offset_seconds",
                "transcript[3].mood",
                "transcript[4]",
                "transcript[4].speaker",
                "transcript[4].offset_seconds",
                "transcript[4].text",
                "disposition",
                "tags",
                "opt_out",
                "note",
                "phone",
            ]
        );
    }
}
