//! Erasing a person: what is taken from each row, and what stays because it is nobody's.
//!
//! Each function takes its type apart field by field. A field that is added later does not compile
//! until somebody has said here whether it may stay.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::call::{AnsweredBy, Call, CallEvent, EventKind, Retirement};
use crate::client::{Client, Erasure};
use crate::import::Rejection;
use crate::phone::PhoneNumber;
use crate::script::{KeyAction, Script};

/// What stands where a person's words or number stood.
pub const ERASED: &str = "[erased]";

/// The shortest name that is looked for in texts about something else: shorter ones are found in
/// every second word.
const MIN_NAME_CHARS: usize = 3;

/// Takes everything from a client that says who it is. Where it stands stays.
pub fn strip_client(client: &mut Client, erasure: Erasure) {
    let Client {
        id: _,
        campaign: _,
        import: _,
        line: _,
        phone,
        name,
        external_id,
        email,
        zones,
        fields,
        tags,
        notes,
        active: _,
        consent,
        person_key,
        debt_key,
        standing: _,
        erased,
    } = client;
    *phone = None;
    name.clear();
    (*external_id, *email) = (None, None);
    zones.clear();
    fields.clear();
    tags.clear();
    notes.clear();
    *consent = None;
    (*person_key, *debt_key) = (None, None);
    *erased = Some(erasure);
}

/// Takes every word from a call that is somebody's. How it ended stays, and why it was dialled, but
/// for what the rules said of the person. Its events are [`impersonal`] apart; its number is its
/// client's.
pub fn strip_call(call: &mut Call) {
    let Call {
        id: _,
        campaign: _,
        client: _,
        sample: _,
        phone: _,
        direction: _,
        attempt: _,
        retry_of: _,
        intent: _,
        by: _,
        due_at: _,
        claimed: _,
        begun_at: _,
        settings_version: _,
        zone: _,
        decision,
        retired,
        // What its events add up to.
        progress: _,
        review: _,
        disposition,
        notes,
    } = call;
    for heard in decision {
        heard.words.clear();
    }
    if let Some(retired) = retired
        && let Retirement::Skipped(skip) = &mut retired.how
    {
        skip.note = None;
    }
    *disposition = None;
    notes.clear();
}

/// What events still say of a call whose person was erased: everything that its outcome follows
/// from, and nothing that was said, pressed or recorded.
#[must_use]
pub fn impersonal(events: &BTreeSet<CallEvent>, script: &Script) -> BTreeSet<CallEvent> {
    let mut left: BTreeSet<CallEvent> =
        events.iter().flat_map(|event| what_stays(event, script)).collect();
    // Also a line is proof that the carrier has the call, sometimes the only one.
    let proof = |event: &&CallEvent| event.kind.proves_placed();
    if let Some(first) = events.iter().find(proof)
        && !left.iter().any(|event| proof(&event))
    {
        let kind = EventKind::Detected { by: AnsweredBy::Unknown };
        left.insert(CallEvent { at: first.at, kind });
    }
    left
}

fn what_stays(event: &CallEvent, script: &Script) -> Vec<CallEvent> {
    let at = |kind: EventKind| CallEvent { at: event.at, kind };
    match &event.kind {
        EventKind::Placed { .. }
        | EventKind::NotPlaced { .. }
        | EventKind::Unclear
        | EventKind::Ringing
        | EventKind::Answered
        | EventKind::Detected { .. }
        | EventKind::OptOut
        | EventKind::Ended { .. }
        | EventKind::GivenUp
        | EventKind::Transferred => vec![event.clone()],
        // Whoever pressed a key was a person, and may have opted out by it.
        EventKind::Key { digit, .. } => {
            let human = at(EventKind::Detected { by: AnsweredBy::Human });
            match script.key(*digit) {
                Some(KeyAction::OptOut) => vec![human, at(EventKind::OptOut)],
                Some(KeyAction::Tag(_) | KeyAction::Transfer(_)) | None => vec![human],
            }
        }
        EventKind::Line { .. }
        | EventKind::Said { .. }
        | EventKind::Recorded { .. }
        | EventKind::Tag { .. }
        | EventKind::Disposition { .. }
        | EventKind::Note { .. } => Vec::new(),
    }
}

/// How the carrier finds a recording that an event told of.
#[must_use]
pub fn recording_of(event: &CallEvent) -> Option<&str> {
    match &event.kind {
        EventKind::Recorded { reference } => Some(reference),
        _ => None,
    }
}

/// Takes a person's cells from a report's list of refused rows; says whether there were any.
pub fn strip_rejections(rejections: &mut [Rejection], traces: &Traces) -> bool {
    let mut found = false;
    for rejection in rejections {
        if traces.show_in(&rejection.value) {
            rejection.value = ERASED.to_owned();
            found = true;
        }
    }
    found
}

/// What a request that is sent again gets where its answer showed the person.
#[must_use]
pub fn erased_reply() -> String {
    serde_json::json!({"erased": true}).to_string()
}

/// Every text in a document replaced.
#[must_use]
pub fn redacted(document: &Value) -> Value {
    replaced(document, &|_| true)
}

fn replaced(document: &Value, goes: &impl Fn(&str) -> bool) -> Value {
    match document {
        Value::String(text) if goes(text) => Value::from(ERASED),
        Value::Array(values) => values.iter().map(|value| replaced(value, goes)).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), replaced(value, goes)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

/// What shows a person in texts that are about something else: its number, however it is grouped,
/// its names, and what else it is told by.
#[derive(Clone, Default)]
pub struct Traces {
    /// The number's digits as they are dialled within its country.
    numbers: Vec<String>,
    /// Lower case.
    words: Vec<String>,
    /// The same as they were written.
    written: Vec<String>,
}

impl std::fmt::Debug for Traces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Traces").finish_non_exhaustive()
    }
}

impl Traces {
    /// What shows the holder of a number.
    #[must_use]
    pub fn of_number(phone: PhoneNumber) -> Self {
        Self { numbers: vec![phone.national_digits()], ..Self::default() }
    }

    /// Also by a name, an address, an id of the uploader's.
    pub fn also(&mut self, word: &str) {
        let written = word.trim();
        if written.chars().count() >= MIN_NAME_CHARS && !self.written.iter().any(|it| it == written)
        {
            self.words.push(written.to_lowercase());
            self.written.push(written.to_owned());
        }
    }

    /// Also by what a client is told by.
    pub fn also_of(&mut self, client: &Client) {
        self.also(&client.name);
        for word in [&client.external_id, &client.email, &client.person_key, &client.debt_key] {
            self.also(word.as_deref().unwrap_or_default());
        }
    }

    /// Texts of which one stands in each JSON document that shows the person, its number ungrouped
    /// and its name as it was written: for a store that finds candidates before it looks closely.
    #[must_use]
    pub fn needles(&self) -> Vec<String> {
        let texts = self.numbers.iter().chain(&self.words).chain(&self.written);
        let escaped = texts.map(|text| Value::from(text.as_str()).to_string());
        escaped.map(|text| text.trim_matches('"').to_owned()).collect()
    }

    /// Whether a text shows the person.
    #[must_use]
    pub fn show_in(&self, text: &str) -> bool {
        let lower = text.to_lowercase();
        self.words.iter().any(|word| has_word(&lower, word)) || self.number_in(text)
    }

    /// A document without the texts that show the person; none if there are none.
    #[must_use]
    pub fn taken_from(&self, document: &Value) -> Option<Value> {
        let without = replaced(document, &|text| self.show_in(text));
        (without != *document).then_some(without)
    }

    /// Whether a row of a file is about the person, whose number may be mistyped in it: one of its cells
    /// has the number, or is as a whole the person's mail address, or a name of several words. A
    /// shorter name may be anybody's.
    #[must_use]
    pub fn tell_of_row(&self, cells: &[String]) -> bool {
        let is_own = |cell: &str| {
            let cell = cell.trim().to_lowercase();
            tells_alone(&cell) && self.words.contains(&cell)
        };
        cells.iter().any(|cell| is_own(cell) || self.number_in(cell))
    }

    /// Texts of which one stands in the JSON of each such row, as it was written or in lower case. Of
    /// the number the last two digits, for nobody groups digits by less.
    #[must_use]
    pub fn needles_of_row(&self) -> Vec<String> {
        let ends = self.numbers.iter().map(|number| &number[number.len().saturating_sub(2)..]);
        let words = self.words.iter().chain(&self.written).map(String::as_str);
        let words = words.filter(|word| tells_alone(word));
        let escaped = ends.chain(words).map(|text| Value::from(text).to_string());
        escaped.map(|text| text.trim_matches('"').to_owned()).collect()
    }

    fn number_in(&self, text: &str) -> bool {
        let groups = text.split(|c: char| !c.is_ascii_digit() && !"+-(). /\u{a0}".contains(c));
        groups
            .map(|group| group.chars().filter(char::is_ascii_digit).collect::<String>())
            .any(|digits| self.numbers.iter().any(|number| digits.contains(number)))
    }
}

/// Whether a text says who somebody is, wherever it stands: a mail address, a name of several words.
fn tells_alone(text: &str) -> bool {
    text.contains(|c: char| c == '@' || c.is_whitespace())
}

/// Whether a word stands in a text by itself and not within another word.
fn has_word(text: &str, word: &str) -> bool {
    let outside = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
    text.match_indices(word).any(|(at, _)| {
        outside(text[..at].chars().next_back()) && outside(text[at + word.len()..].chars().next())
    })
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::call::{Ending, Progress, Speaker};

    fn script() -> Script {
        serde_json::from_value(json!({"keys": {"1": {"tag": "yes"}, "9": "opt_out"}})).unwrap()
    }

    fn a_kind() -> impl Strategy<Value = EventKind> {
        let by = prop::sample::select(vec![
            AnsweredBy::Unknown,
            AnsweredBy::Fax,
            AnsweredBy::Machine,
            AnsweredBy::Human,
        ]);
        let ending = prop_oneof![
            Just(Ending::Canceled),
            Just(Ending::NoAnswer),
            Just(Ending::Busy),
            Just(Ending::Completed),
            any::<bool>().prop_map(|permanent| Ending::Failed { reason: "f".into(), permanent }),
        ];
        prop_oneof![
            Just(EventKind::Unclear),
            Just(EventKind::NotPlaced { reason: "n".into(), permanent: true }),
            Just(EventKind::Ringing),
            Just(EventKind::Answered),
            Just(EventKind::OptOut),
            Just(EventKind::GivenUp),
            Just(EventKind::Transferred),
            Just(EventKind::Tag { tag: "vip".into() }),
            Just(EventKind::Disposition { label: "won".into() }),
            Just(EventKind::Note { text: "wife is Eve".into() }),
            Just(EventKind::Said { index: 0, speaker: Speaker::Agent, text: "Hi Ada".into() }),
            by.prop_map(|by| EventKind::Detected { by }),
            Just(EventKind::Placed { carrier_call_id: "c".into() }),
            Just(EventKind::Recorded { reference: "r".into() }),
            prop::sample::select(vec!['1', '5', '9'])
                .prop_map(|digit| EventKind::Key { digit, press: 0 }),
            (0..3_u32).prop_map(|index| EventKind::Line {
                index,
                speaker: Speaker::Client,
                offset_seconds: 1,
                text: "Ada speaking".into(),
            }),
            (ending, 0..60_u32)
                .prop_map(|(ending, talk_seconds)| EventKind::Ended { ending, talk_seconds }),
        ]
    }

    proptest! {
        /// Otherwise counters would move by an erasure, or by what comes after it.
        #[test]
        fn what_is_left_of_events_adds_up_to_the_same_end(
            kinds in prop::collection::vec((0..100_i64, a_kind()), 0..12),
        ) {
            let events: BTreeSet<CallEvent> = kinds
                .into_iter()
                .map(|(second, kind)| CallEvent {
                    at: DateTime::from_timestamp(second, 0).unwrap(),
                    kind,
                })
                .collect();
            let script = script();
            let left = impersonal(&events, &script);
            let (before, after) = (Progress::of(&events, &script), Progress::of(&left, &script));
            let bare = Progress {
                answered_by: after.answered_by,
                tags: BTreeSet::new(),
                disposition: None,
                notes: Vec::new(),
                recording: None,
                transcript: Vec::new(),
                ..before
            };
            prop_assert_eq!(bare, after);
            prop_assert_eq!(&impersonal(&left, &script), &left);
        }
    }

    #[test]
    fn a_person_is_found_in_a_text_by_number_and_name() {
        let mut traces = Traces::of_number("+12125550123".parse().unwrap());
        traces.also("Ada Lovelace");
        traces.also("Al");
        for text in [
            "+12125550123",
            "(212) 555-0123 x5",
            "call 212.555.0123 back",
            "ada lovelace asked",
            "Ada Lovelace",
        ] {
            assert!(traces.show_in(text), "{text}");
        }
        for text in ["", "5550123", "212 555 0124", "Canada Lovelaces", "Al", "Adalovelace"] {
            assert!(!traces.show_in(text), "{text}");
        }
    }

    #[test]
    fn a_document_loses_the_texts_that_show_the_person_and_keeps_its_shape() {
        let traces = Traces::of_number("+12125550123".parse().unwrap());
        let document = json!({"q": "2125550123", "limit": 5, "more": ["x", "+12125550123"]});
        assert_eq!(
            traces.taken_from(&document),
            Some(json!({"q": ERASED, "limit": 5, "more": ["x", ERASED]}))
        );
        assert_eq!(traces.taken_from(&json!({"q": "x"})), None);
        assert_eq!(redacted(&json!({"a": ["b", 1, null]})), json!({"a": [ERASED, 1, null]}));
    }
}
