//! What the person hears: steps to say, keys to press, and `{{field|default}}` templates.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest text of one step, in characters: Twilio's basic `<Say>` takes 4,096 (error 13521),
/// and a template may grow when it is filled in.
const MAX_STEP_CHARS: usize = 3_000;
/// The most steps of a script.
const MAX_STEPS: usize = 20;

/// What a person hears and may press.
///
/// ```
/// use callcore::script::Script;
/// let script: Script = serde_json::from_str(
///     r#"{"steps": [{"say": "Hello {{first_name|there}}."}], "keys": {"9": "opt_out"}}"#,
/// )?;
/// let fields = |name: &str| (name == "first_name").then(|| "Ada".to_owned());
/// assert_eq!(script.spoken(fields), ["Hello Ada."]);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, try_from = "ScriptDocument")]
pub struct Script {
    /// What is said, in order.
    pub steps: Vec<Step>,
    /// What a key press does.
    #[serde(default)]
    pub keys: BTreeMap<Key, KeyAction>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScriptDocument {
    #[serde(default)]
    steps: Vec<Step>,
    #[serde(default)]
    keys: BTreeMap<Key, KeyAction>,
}

impl TryFrom<ScriptDocument> for Script {
    type Error = String;

    fn try_from(document: ScriptDocument) -> Result<Self, String> {
        if document.steps.len() > MAX_STEPS {
            return Err(format!("at most {MAX_STEPS} steps"));
        }
        Ok(Self { steps: document.steps, keys: document.keys })
    }
}

/// One thing the person hears.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The text to speak.
    pub say: Template,
    /// Its language as a BCP 47 tag.
    #[serde(default = "english")]
    pub language: String,
}

fn english() -> String {
    "en-US".to_owned()
}

impl Script {
    /// The texts a client hears, filled in from its fields.
    #[must_use]
    pub fn spoken(&self, field: impl Fn(&str) -> Option<String>) -> Vec<String> {
        self.steps.iter().map(|step| step.say.fill(&field)).collect()
    }

    /// What a key press does, if anything.
    #[must_use]
    pub fn key(&self, digit: char) -> Option<&KeyAction> {
        Key::try_from(digit).ok().and_then(|key| self.keys.get(&key))
    }
}

/// A key of a telephone: `0` to `9`, `*` or `#`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key(char);

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
    /// Puts the number on the global DNC list (47 CFR 64.1200(b)(3) wants such a key in a
    /// recorded message).
    OptOut,
}

/// A text with `{{field|default}}` places.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Template {
    source: String,
    parts: Vec<Part>,
}

#[derive(Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Field { name: String, default: String },
}

/// A text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A `{{` without its `}}`.
    #[error("a {{{{ is never closed")]
    Unclosed,
    /// `{{}}` names no field.
    #[error("a place names no field")]
    NoField,
    /// Nothing would be said.
    #[error("the text is empty")]
    Empty,
    /// The text is too long to be spoken in one step.
    #[error("the text is longer than {MAX_STEP_CHARS} characters")]
    TooLong,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    ///
    /// The text is empty or too long, or a place is not closed or names no field.
    pub fn parse(source: &str) -> Result<Self, TemplateError> {
        if source.trim().is_empty() {
            return Err(TemplateError::Empty);
        }
        if source.chars().count() > MAX_STEP_CHARS {
            return Err(TemplateError::TooLong);
        }
        let mut parts = Vec::new();
        let mut rest = source;
        while let Some((before, after)) = rest.split_once("{{") {
            let (place, after) = after.split_once("}}").ok_or(TemplateError::Unclosed)?;
            let (name, default) = place.split_once('|').unwrap_or((place, ""));
            if name.trim().is_empty() {
                return Err(TemplateError::NoField);
            }
            parts.push(Part::Text(before.to_owned()));
            parts.push(Part::Field { name: name.trim().to_owned(), default: default.to_owned() });
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self { source: source.to_owned(), parts })
    }

    /// The text with every place filled in; an absent or blank field gives its default.
    #[must_use]
    pub fn fill(&self, field: impl Fn(&str) -> Option<String>) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(words) => text.push_str(words),
                Part::Field { name, default } => {
                    let value = field(name).filter(|value| !value.trim().is_empty());
                    text.push_str(value.as_deref().unwrap_or(default));
                }
            }
        }
        text
    }
}

impl TryFrom<String> for Template {
    type Error = TemplateError;

    fn try_from(source: String) -> Result<Self, TemplateError> {
        Self::parse(&source)
    }
}

impl From<Template> for String {
    fn from(template: Template) -> Self {
        template.source
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({:?})", self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_or_blank_field_gives_its_default() {
        let template = Template::parse("Hi {{name|there}}, {{ city }}!").unwrap();
        assert_eq!(template.fill(|_| None), "Hi there, !");
        assert_eq!(template.fill(|name| (name == "name").then(|| " ".to_owned())), "Hi there, !");
        assert_eq!(template.fill(|name| Some(name.to_uppercase())), "Hi NAME, CITY!");
    }

    #[test]
    fn a_broken_template_is_refused() {
        assert_eq!(Template::parse("Hi {{name"), Err(TemplateError::Unclosed));
        assert_eq!(Template::parse("Hi {{|x}}"), Err(TemplateError::NoField));
        assert_eq!(Template::parse("  "), Err(TemplateError::Empty));
    }

    #[test]
    fn a_script_reads_back_as_it_was_written() {
        let text = r##"{"steps":[{"say":"Hello {{name|you}}","language":"en-US"}],"keys":{"#":{"tag":"yes"},"9":"opt_out"}}"##;
        let script: Script = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&script).unwrap(), text);
        assert_eq!(script.key('9'), Some(&KeyAction::OptOut));
        assert!(serde_json::from_str::<Script>(r#"{"keys":{"A":"opt_out"}}"#).is_err());
    }
}
