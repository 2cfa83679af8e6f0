//! What a voicemail hears after the beep.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{DEFAULT_LANGUAGE, Place, Rendered, Template};
use crate::campaign::FieldError;
use crate::id::AudioId;

/// What a voicemail hears after the beep: a text, or `{"play": AUDIO_ID}`.
///
/// ```
/// use callcore::script::Message;
/// let said: Message = serde_json::from_str(r#""Please call us back, {{first_name|}}.""#)?;
/// let played: Message = serde_json::from_str(r#"{"play": "0199aaaa-0000-7000-8000-000000000000"}"#)?;
/// assert_eq!((said.audio(), played.audio().is_some()), (None, true));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value", untagged)]
pub enum Message {
    /// A text is spoken, in the script's language.
    Say(Template),
    /// An uploaded audio is played.
    Play {
        /// Which.
        play: AudioId,
    },
}

impl Message {
    /// Reads a message that stands at a path of a document.
    ///
    /// # Errors
    ///
    /// What is wrong with it, under its path.
    pub(crate) fn read(document: &Value, path: &str) -> Result<Self, FieldError> {
        let refused = |path: &str, code, words: &str| Err(FieldError::new(path, code, words));
        match document {
            Value::String(source) => Template::parse(source)
                .map(Self::Say)
                .map_err(|error| FieldError::new(path, error.code(), error.to_string())),
            Value::Object(fields) if fields.keys().eq(["play"]) => {
                let play = fields["play"].as_str().and_then(|id| id.parse().ok());
                match play {
                    Some(play) => Ok(Self::Play { play }),
                    None => refused(
                        &format!("{path}.play"),
                        "unknown_audio",
                        "is no audio that was uploaded",
                    ),
                }
            }
            _ => refused(path, "invalid", "must be a text, or an object with play"),
        }
    }

    /// The places of its text.
    pub fn places(&self) -> impl Iterator<Item = Place<'_>> {
        let text = match self {
            Self::Say(text) => Some(text),
            Self::Play { .. } => None,
        };
        text.into_iter().flat_map(Template::places)
    }

    /// The audio it plays.
    #[must_use]
    pub const fn audio(&self) -> Option<AudioId> {
        match self {
            Self::Say(_) => None,
            Self::Play { play } => Some(*play),
        }
    }

    /// The message as a carrier plays it, in the language of its script; `fill` fills its text.
    #[must_use]
    pub fn rendered(&self, language: Option<&str>, fill: &dyn Fn(&Template) -> String) -> Rendered {
        match self {
            Self::Say(text) => {
                let language = language.unwrap_or(DEFAULT_LANGUAGE).to_owned();
                Rendered::Say { text: fill(text), language }
            }
            Self::Play { play } => Rendered::Play(*play),
        }
    }
}

impl TryFrom<Value> for Message {
    type Error = String;

    fn try_from(document: Value) -> Result<Self, String> {
        Self::read(&document, "message").map_err(|error| error.message)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_message_reads_back_as_it_was_written() {
        let id = "0199aaaa-0000-7000-8000-000000000001";
        for document in [json!("Call us, {{name}}."), json!({"play": id})] {
            let message: Message = serde_json::from_value(document.clone()).unwrap();
            assert_eq!(serde_json::to_value(message).unwrap(), document);
        }
    }

    #[test]
    fn what_is_wrong_with_a_message_is_told_under_its_path() {
        for (document, field, code) in [
            (json!(""), "m", "empty"),
            (json!("}}"), "m", "bad_template"),
            (json!(1), "m", "invalid"),
            (json!({}), "m", "invalid"),
            (json!({"play": "x"}), "m.play", "unknown_audio"),
            (json!({"play": null}), "m.play", "unknown_audio"),
            (json!({"play": "x", "say": "y"}), "m", "invalid"),
        ] {
            let error = Message::read(&document, "m").unwrap_err();
            assert_eq!((&*error.field, &*error.code), (field, code), "{document}");
        }
    }
}
