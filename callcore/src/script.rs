//! What the person hears and does in a call: steps to hear, keys to press, and `{{field|default}}`
//! templates.

mod fields;
mod message;
pub mod phrases;
mod read;
mod template;

use std::collections::{BTreeMap, BTreeSet};

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

pub use fields::{ClientFields, STANDARD_FIELDS, field_key};
pub use message::Message;
pub use template::{Place, Template, TemplateError};

use crate::campaign::FieldError;
use crate::id::AudioId;
use crate::phone::PhoneNumber;

/// The language of a text that does not say its own, as a BCP 47 tag.
pub const DEFAULT_LANGUAGE: &str = "en-US";

/// What a person hears and may press.
///
/// ```
/// use callcore::script::{Rendered, Script};
/// let script: Script = serde_json::from_str(
///     r#"{"steps": [{"say": "Hello {{first_name|there}}."}], "keys": {"9": "opt_out"}}"#,
/// )?;
/// let fields = |name: &str| (name == "first_name").then(|| "Ada".to_owned());
/// let said = Rendered::Say { text: "Hello Ada.".to_owned(), language: "en-US".to_owned() };
/// assert_eq!(script.rendered(fields), [said]);
/// assert_eq!(script.fields().into_iter().collect::<Vec<_>>(), ["first_name"]);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Value")]
pub struct Script {
    /// What is said before all else, such as that the call is recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notice: Option<Template>,
    /// What is heard, in order.
    pub steps: Vec<Step>,
    /// What a key press does.
    pub keys: BTreeMap<Key, KeyAction>,
}

/// One thing the person hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A text is spoken.
    Say {
        /// The text.
        say: Template,
        /// Its language as a BCP 47 tag.
        language: String,
    },
    /// An uploaded audio is played.
    Play(AudioId),
    /// The call is handed to a voice agent; always the last step.
    Connect(Connect),
    /// The call is handed to a person at this number; always the last step.
    Transfer(PhoneNumber),
    /// The caller leaves a message after a beep; only where somebody calls in.
    Record(Record),
}

/// A message that the caller leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Record {
    /// How long it may be.
    pub max_seconds: u32,
}

impl Record {
    /// How long a message may be where nothing is said of it, in seconds.
    pub const USUAL_SECONDS: u32 = 120;
    /// How long a message may be at most, in seconds.
    pub const MOST_SECONDS: u32 = 600;
}

/// A voice agent that talks to the person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Connect {
    /// Where it listens: `wss://...`.
    pub url: String,
    /// What it is told about the call.
    pub params: BTreeMap<String, Template>,
}

impl Serialize for Step {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        match self {
            Self::Say { say, language } => {
                map.serialize_entry("say", say)?;
                map.serialize_entry("language", language)?;
            }
            Self::Play(audio) => map.serialize_entry("play", audio)?,
            Self::Connect(connect) => map.serialize_entry("connect", connect)?,
            Self::Transfer(number) => map.serialize_entry("transfer", number)?,
            Self::Record(record) => map.serialize_entry("record", record)?,
        }
        map.end()
    }
}

/// A step with every place filled in, as a carrier plays it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rendered {
    /// A text is spoken.
    Say {
        /// The words.
        text: String,
        /// Their language as a BCP 47 tag.
        language: String,
    },
    /// An uploaded audio is played.
    Play(AudioId),
    /// The call is handed to a voice agent.
    Connect {
        /// Where it listens.
        url: String,
        /// What it is told about the call.
        params: BTreeMap<String, String>,
    },
    /// The call is handed to a person at this number.
    Transfer(PhoneNumber),
    /// The caller leaves a message after a beep.
    Record(Record),
}

impl Rendered {
    /// The audio it plays.
    #[must_use]
    pub const fn audio(&self) -> Option<AudioId> {
        match self {
            Self::Play(audio) => Some(*audio),
            _ => None,
        }
    }
}

impl Step {
    /// Whether the caller leaves a message in it.
    #[must_use]
    pub const fn is_record(&self) -> bool {
        matches!(self, Self::Record(_))
    }

    /// The templates in it.
    fn templates(&self) -> impl Iterator<Item = &Template> {
        let (say, params) = match self {
            Self::Say { say, .. } => (Some(say), None),
            Self::Play(_) | Self::Transfer(_) | Self::Record(_) => (None, None),
            Self::Connect(connect) => (None, Some(connect.params.values())),
        };
        say.into_iter().chain(params.into_iter().flatten())
    }

    /// The step as a carrier plays it; `fill` fills its templates.
    pub(crate) fn rendered(&self, fill: &dyn Fn(&Template) -> String) -> Rendered {
        match self {
            Self::Say { say, language } => {
                Rendered::Say { text: fill(say), language: language.clone() }
            }
            Self::Play(audio) => Rendered::Play(*audio),
            Self::Connect(Connect { url, params }) => {
                let params = params.iter().map(|(name, value)| (name.clone(), fill(value)));
                Rendered::Connect { url: url.clone(), params: params.collect() }
            }
            Self::Transfer(number) => Rendered::Transfer(*number),
            Self::Record(record) => Rendered::Record(*record),
        }
    }
}

impl Script {
    /// Reads a script that stands at a path of a document.
    ///
    /// # Errors
    ///
    /// Every bad, missing or unknown part under its path, such as `script.steps[2].play`.
    pub fn read(document: &Value, path: &str) -> Result<Self, Vec<FieldError>> {
        read::script(document, path)
    }

    /// The language of its first text, as a BCP 47 tag; none if it has no text.
    #[must_use]
    pub fn language(&self) -> Option<&str> {
        self.steps.iter().find_map(|step| match step {
            Step::Say { language, .. } => Some(&**language),
            _ => None,
        })
    }

    /// All that is heard, in order: the notice, in the language of the first text, and the steps.
    pub fn heard(&self) -> impl Iterator<Item = Step> {
        let notice = self.notice.as_ref().map(|say| {
            let language = self.language().unwrap_or(DEFAULT_LANGUAGE).to_owned();
            Step::Say { say: say.clone(), language }
        });
        notice.into_iter().chain(self.steps.iter().cloned())
    }

    /// What a client hears, filled in from its fields.
    #[must_use]
    pub fn rendered(&self, field: impl Fn(&str) -> Option<String>) -> Vec<Rendered> {
        let fill = |template: &Template| template.fill(&field);
        self.heard().map(|step| step.rendered(&fill)).collect()
    }

    /// The texts that are spoken to a client, filled in from its fields.
    #[must_use]
    pub fn spoken(&self, field: impl Fn(&str) -> Option<String>) -> Vec<String> {
        let spoken = self.rendered(field).into_iter().filter_map(|step| match step {
            Rendered::Say { text, .. } => Some(text),
            _ => None,
        });
        spoken.collect()
    }

    /// The names of the fields that its places ask for, as they were written.
    #[must_use]
    pub fn fields(&self) -> BTreeSet<&str> {
        self.places().map(|place| place.field).collect()
    }

    /// The fields that its places ask for and that no client has: they are no column of the list
    /// and nothing that every client has, and no default stands in for them.
    #[must_use]
    pub fn missing_fields<C: AsRef<str>>(&self, columns: &[C]) -> BTreeSet<&str> {
        missing(self.places(), columns)
    }

    /// The places of all its templates.
    pub fn places(&self) -> impl Iterator<Item = Place<'_>> {
        let steps = self.steps.iter().flat_map(Step::templates);
        self.notice.iter().chain(steps).flat_map(Template::places)
    }

    /// The audio it plays, with the number of the step.
    pub fn audio(&self) -> impl Iterator<Item = (usize, AudioId)> {
        self.steps.iter().enumerate().filter_map(|(index, step)| match step {
            Step::Play(audio) => Some((index, *audio)),
            _ => None,
        })
    }

    /// Whether the caller can leave a message.
    #[must_use]
    pub fn records(&self) -> bool {
        self.steps.iter().any(Step::is_record)
    }

    /// What a key press does, if anything.
    #[must_use]
    pub fn key(&self, digit: char) -> Option<&KeyAction> {
        Key::try_from(digit).ok().and_then(|key| self.keys.get(&key))
    }
}

/// Of these places, the fields that no client of a list with these columns has.
pub(crate) fn missing<'a, C: AsRef<str>>(
    places: impl Iterator<Item = Place<'a>>,
    columns: &[C],
) -> BTreeSet<&'a str> {
    let known: BTreeSet<String> = columns
        .iter()
        .map(|column| field_key(column.as_ref()))
        .chain(STANDARD_FIELDS.map(str::to_owned))
        .collect();
    places
        .filter(|place| place.default.is_none() && !known.contains(&field_key(place.field)))
        .map(|place| place.field)
        .collect()
}

impl TryFrom<Value> for Script {
    type Error = String;

    fn try_from(document: Value) -> Result<Self, String> {
        Self::read(&document, "").map_err(|errors| {
            let words = errors.iter().map(|error| format!("{} {}", error.field, error.message));
            words.collect::<Vec<_>>().join("; ")
        })
    }
}

/// A key of a telephone: `0` to `9`, `*` or `#`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key(char);

impl Key {
    /// The key as it stands on the telephone.
    #[must_use]
    pub const fn digit(self) -> char {
        self.0
    }
}

impl TryFrom<char> for Key {
    type Error = String;

    fn try_from(key: char) -> Result<Self, String> {
        if key.is_ascii_digit() || key == '*' || key == '#' {
            Ok(Self(key))
        } else {
            Err(format!("{key:?} is no telephone key"))
        }
    }
}

impl TryFrom<String> for Key {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(key), None) => key.try_into(),
            _ => Err(format!("{text:?} is no telephone key")),
        }
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.0.to_string()
    }
}

/// What pressing a key does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyAction {
    /// Puts a tag on the client.
    Tag(String),
    /// Hands the call to a person at this number.
    Transfer(PhoneNumber),
    /// Puts the number on the global DNC list (47 CFR 64.1200(b)(3) wants such a key in a
    /// recorded message).
    OptOut,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_reads_back_as_it_was_written() {
        let text = concat!(
            r#"{"steps":[{"say":"Hello {{name|you}}","language":"en-US"},"#,
            r#"{"play":"0199aaaa-0000-7000-8000-000000000000"},"#,
            r#"{"connect":{"url":"wss://agent.example","params":{"name":"{{name}}"}}}],"#,
            r##""keys":{"#":{"tag":"yes"},"0":{"transfer":"+12125550100"},"9":"opt_out"}}"##,
        );
        let script: Script = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&script).unwrap(), text);
        assert_eq!(script.key('9'), Some(&KeyAction::OptOut));
        assert!(serde_json::from_str::<Script>(r#"{"keys":{"A":"opt_out"}}"#).is_err());
        let text = concat!(
            r#"{"steps":[{"say":"After the beep.","language":"en-US"},"#,
            r#"{"record":{"max_seconds":90}},{"transfer":"+12125550100"}],"keys":{}}"#,
        );
        let script: Script = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&script).unwrap(), text);
        assert!(script.records());
    }

    #[test]
    fn a_field_without_column_or_default_is_missing() {
        let script: Script = serde_json::from_str(
            r#"{"steps": [
                {"say": "{{First Name}}, {{Renewal Date}}, {{city|}}, {{plan|basic}}, {{rate}}"},
                {"connect": {"url": "wss://agent.example", "params": {"id": "{{account no}}"}}}
            ]}"#,
        )
        .unwrap();
        let missing = script.missing_fields(&["renewal_date", "Rate"]);
        assert_eq!(missing.into_iter().collect::<Vec<_>>(), ["account no"]);
        assert_eq!(script.fields().len(), 6);
        assert_eq!(script.missing_fields::<&str>(&[]).len(), 3);
    }

    #[test]
    fn an_agent_is_told_what_its_parameters_ask_for() {
        let script: Script = serde_json::from_str(
            r#"{"steps": [{"connect": {"url": "wss://a.example", "params": {"who": "{{name}}!"}}}]}"#,
        )
        .unwrap();
        let rendered = script.rendered(|_| Some("Ada".to_owned()));
        let params = BTreeMap::from([("who".to_owned(), "Ada!".to_owned())]);
        assert_eq!(rendered, [Rendered::Connect { url: "wss://a.example".to_owned(), params }]);
        assert!(script.spoken(|_| None).is_empty());
    }
}
