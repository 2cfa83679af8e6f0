//! Texts with `{{field|default}}` places.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest text of one step, in characters: Twilio's basic `<Say>` takes 4,096 (error 13521),
/// and a template may grow when it is filled in.
const MAX_TEXT_CHARS: usize = 3_000;
/// The longest name of a field, in characters.
const MAX_FIELD_CHARS: usize = 100;

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
    Field { name: String, default: Option<String> },
}

/// A place of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The field that fills it, as it was written.
    pub field: &'a str,
    /// What stands there where the field is absent or blank, if that was said.
    pub default: Option<&'a str>,
}

/// A text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A `{{` without its `}}`.
    #[error("a {{{{ is never closed")]
    Unclosed,
    /// A `}}` without its `{{`.
    #[error("a }}}} closes nothing")]
    Unopened,
    /// A place within a place.
    #[error("a place stands within a place")]
    Nested,
    /// `{{}}` names no field.
    #[error("a place names no field")]
    NoField,
    /// The name of a field is too long.
    #[error("a field's name is longer than {MAX_FIELD_CHARS} characters")]
    FieldTooLong,
    /// Nothing would be said.
    #[error("the text is empty")]
    Empty,
    /// The text is too long to be spoken in one step.
    #[error("the text is longer than {MAX_TEXT_CHARS} characters")]
    TooLong,
    /// A control character, which no voice can say.
    #[error("the text has a control character")]
    Control,
}

impl TemplateError {
    /// A stable word for programs to branch on.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLong | Self::FieldTooLong => "too_long",
            Self::Control => "control_character",
            Self::Unclosed | Self::Unopened | Self::Nested | Self::NoField => "bad_template",
        }
    }
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
        if source.chars().count() > MAX_TEXT_CHARS {
            return Err(TemplateError::TooLong);
        }
        if source.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            return Err(TemplateError::Control);
        }
        let mut parts = Vec::new();
        let mut rest = source;
        while let Some((before, after)) = rest.split_once("{{") {
            let (place, after) = after.split_once("}}").ok_or(TemplateError::Unclosed)?;
            parts.push(Part::Text(text(before)?));
            parts.push(field(place)?);
            rest = after;
        }
        parts.push(Part::Text(text(rest)?));
        Ok(Self { source: source.to_owned(), parts })
    }

    /// The text with every place filled in; an absent or blank field gives its default.
    #[must_use]
    pub fn fill(&self, field: impl Fn(&str) -> Option<String>) -> String {
        self.fill_or(field, |_| String::new())
    }

    /// The same, with a word of `missing` for a field that is absent and has no default.
    pub(crate) fn fill_or(
        &self,
        field: impl Fn(&str) -> Option<String>,
        missing: impl Fn(&str) -> String,
    ) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(words) => text.push_str(words),
                Part::Field { name, default } => {
                    let value = field(name).filter(|value| !value.trim().is_empty());
                    let value = value.or_else(|| default.clone()).unwrap_or_else(|| missing(name));
                    text.push_str(&value);
                }
            }
        }
        text
    }

    /// Its places, in order.
    pub fn places(&self) -> impl Iterator<Item = Place<'_>> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Field { name, default } => {
                Some(Place { field: name, default: default.as_deref() })
            }
        })
    }

    /// The text as it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }
}

fn text(words: &str) -> Result<String, TemplateError> {
    if words.contains("}}") { Err(TemplateError::Unopened) } else { Ok(words.to_owned()) }
}

fn field(place: &str) -> Result<Part, TemplateError> {
    if place.contains("{{") {
        return Err(TemplateError::Nested);
    }
    let (name, default) = match place.split_once('|') {
        Some((name, default)) => (name.trim(), Some(default.to_owned())),
        None => (place.trim(), None),
    };
    if name.is_empty() {
        return Err(TemplateError::NoField);
    }
    if name.chars().count() > MAX_FIELD_CHARS {
        return Err(TemplateError::FieldTooLong);
    }
    Ok(Part::Field { name: name.to_owned(), default })
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
        let long = format!("{{{{{}}}}}", "x".repeat(MAX_FIELD_CHARS + 1));
        for (text, error) in [
            ("Hi {{name", TemplateError::Unclosed),
            ("Hi name}}", TemplateError::Unopened),
            ("Hi {{a {{b}} }}", TemplateError::Nested),
            ("Hi {{|x}}", TemplateError::NoField),
            ("Hi {{  }}", TemplateError::NoField),
            (&long, TemplateError::FieldTooLong),
            ("  ", TemplateError::Empty),
            (&"x".repeat(MAX_TEXT_CHARS + 1), TemplateError::TooLong),
            ("Hi \u{7}", TemplateError::Control),
        ] {
            assert_eq!(Template::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn places_tell_whether_they_have_a_default() {
        let template = Template::parse("{{a}} {{b|}} {{ c | d }}").unwrap();
        let places: Vec<_> = template.places().map(|place| (place.field, place.default)).collect();
        assert_eq!(places, [("a", None), ("b", Some("")), ("c", Some(" d "))]);
    }
}
