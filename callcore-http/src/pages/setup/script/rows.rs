//! The rows of the form: steps and keys as somebody wrote them, and the document they make.

use std::collections::BTreeSet;

use callcore::campaign::{FieldError, Settings};
use callcore::phone::PhoneNumber;
use callcore::script::{DEFAULT_LANGUAGE, KeyAction, Record, Step as Heard};
use serde_json::{Map, Value, json};

use super::super::super::form::{Choice, Form};
use super::super::hours::choices;
use super::Which;

/// How many steps, and parameters of one, a form may have; and how many keys there are.
const MOST: usize = 24;

/// What a step can be.
const KINDS: [&str; 5] = ["say", "play", "connect", "transfer", "record"];

/// A step, as somebody wrote it.
#[derive(Debug, Clone, Default)]
pub(super) struct StepRow {
    pub(super) kind: String,
    pub(super) say: String,
    pub(super) language: String,
    pub(super) play: String,
    pub(super) audios: Vec<Choice>,
    pub(super) url: String,
    pub(super) params: Vec<[String; 2]>,
    pub(super) number: String,
    pub(super) seconds: String,
    /// Where the settings name its troubles.
    pub(super) path: String,
    /// Its place, from 0.
    pub(super) at: usize,
}

/// What a key does, as somebody wrote it.
#[derive(Debug, Clone, Default)]
pub(super) struct KeyRow {
    pub(super) key: String,
    pub(super) action: String,
    pub(super) value: String,
    pub(super) path: String,
}

/// A whole form.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) notice: String,
    /// `off`, `mono` or `dual`.
    pub(super) recording: String,
    pub(super) transcription: bool,
    pub(super) steps: Vec<StepRow>,
    pub(super) keys: Vec<KeyRow>,
    pub(super) sample: String,
}

impl StepRow {
    pub(super) fn kind(kind: &str) -> Self {
        let language = DEFAULT_LANGUAGE.to_owned();
        let seconds = Record::USUAL_SECONDS.to_string();
        Self { kind: kind.to_owned(), language, seconds, ..Self::default() }
    }

    pub(super) fn of(step: &Heard) -> Self {
        match step {
            Heard::Say { say, language } => Self {
                say: say.source().to_owned(),
                language: language.clone(),
                ..Self::kind("say")
            },
            Heard::Play(audio) => Self { play: audio.to_string(), ..Self::kind("play") },
            Heard::Connect(connect) => Self {
                url: connect.url.clone(),
                params: connect
                    .params
                    .iter()
                    .map(|(name, value)| [name.clone(), value.source().to_owned()])
                    .collect(),
                ..Self::kind("connect")
            },
            Heard::Transfer(number) => {
                Self { number: number.to_string(), ..Self::kind("transfer") }
            }
            Heard::Record(record) => {
                Self { seconds: record.max_seconds.to_string(), ..Self::kind("record") }
            }
        }
    }

    pub(super) fn read(form: &Form, index: usize) -> Option<Self> {
        // Browsers send line breaks their own way.
        let text = |name: &str| form.text(&format!("step_{index}_{name}")).replace("\r\n", "\n");
        let kind = text("kind");
        if !KINDS.contains(&&*kind) {
            return None;
        }
        let param =
            |at: usize| [text(&format!("param_{at}_name")), text(&format!("param_{at}_value"))];
        let params =
            (0..MOST).map(param).filter(|[name, value]| !(name.is_empty() && value.is_empty()));
        Some(Self {
            say: text("say"),
            language: text("language"),
            play: text("play"),
            url: text("url"),
            params: params.collect(),
            number: text("number"),
            seconds: text("seconds"),
            ..Self::kind(&kind)
        })
    }

    pub(super) fn json(&self, settings: &Settings) -> Value {
        match &*self.kind {
            "say" => {
                let language = Some(&self.language).filter(|language| !language.is_empty());
                json!({"say": self.say, "language": language})
            }
            "play" => json!({"play": self.play}),
            "transfer" => json!({"transfer": e164(&self.number, settings)}),
            "record" => {
                // What is no number is refused as it was written.
                let seconds = match &*self.seconds {
                    "" => Value::Null,
                    text => text.parse::<u32>().map_or_else(|_| json!(text), |it| json!(it)),
                };
                json!({"record": {"max_seconds": seconds}})
            }
            _ => {
                let params: Map<String, Value> =
                    self.params.iter().map(|[name, value]| (name.clone(), json!(value))).collect();
                json!({"connect": {"url": self.url, "params": params}})
            }
        }
    }
}

impl KeyRow {
    pub(super) fn of(key: char, action: &KeyAction) -> Self {
        let (action, value) = match action {
            KeyAction::OptOut => ("opt_out", String::new()),
            KeyAction::Tag(tag) => ("tag", tag.clone()),
            KeyAction::Transfer(number) => ("transfer", number.to_string()),
        };
        Self { key: key.to_string(), action: action.to_owned(), value, path: String::new() }
    }

    pub(super) fn read(form: &Form, index: usize) -> Option<Self> {
        let key = form.some(&format!("key_{index}"))?.to_owned();
        let text = |name: &str| form.text(&format!("key_{index}_{name}")).to_owned();
        Some(Self { key, action: text("action"), value: text("value"), path: String::new() })
    }

    pub(super) fn keys(&self) -> Vec<Choice> {
        let mut keys = choices(&self.key, &[("", "no key")]);
        for key in "1234567890*#".chars() {
            let key = key.to_string();
            keys.push(Choice::new(&key, &key, key == self.key));
        }
        keys
    }

    pub(super) fn actions(&self) -> Vec<Choice> {
        choices(
            &self.action,
            &[
                ("opt_out", "opts out for good"),
                ("tag", "puts on this tag:"),
                ("transfer", "hands over to:"),
            ],
        )
    }

    pub(super) fn json(&self, settings: &Settings) -> Value {
        match &*self.action {
            "opt_out" => json!("opt_out"),
            "tag" => json!({"tag": self.value}),
            _ => json!({"transfer": e164(&self.value, settings)}),
        }
    }
}

/// However people write numbers, settings keep them in E.164.
fn e164(number: &str, settings: &Settings) -> String {
    let parsed = PhoneNumber::parse(number, &settings.default_region);
    parsed.map_or_else(|_| number.to_owned(), |it| it.to_string())
}

impl Written {
    pub(super) fn of(settings: &Settings, which: Which) -> Self {
        let written = Self {
            recording: settings.recording.channels().unwrap_or("off").to_owned(),
            transcription: settings.transcription,
            ..Self::default()
        };
        let Some(script) = which.of(settings) else { return written };
        let notice = script.notice.as_ref().map(|notice| notice.source().to_owned());
        Self {
            notice: notice.unwrap_or_default(),
            steps: script.steps.iter().map(StepRow::of).collect(),
            keys: script.keys.iter().map(|(key, action)| KeyRow::of(key.digit(), action)).collect(),
            ..written
        }
    }

    pub(super) fn read(form: &Form) -> Self {
        Self {
            notice: form.text("notice").to_owned(),
            recording: form.text("recording").to_owned(),
            transcription: form.has("transcription"),
            steps: (0..MOST).filter_map(|index| StepRow::read(form, index)).collect(),
            keys: (0..MOST).filter_map(|index| KeyRow::read(form, index)).collect(),
            sample: form.text("sample").to_owned(),
        }
    }

    /// The document of the script, with what can't even be put into it.
    pub(super) fn json(
        &self,
        settings: &Settings,
        path: &str,
        errors: &mut Vec<FieldError>,
    ) -> Value {
        let steps: Vec<Value> = self.steps.iter().map(|step| step.json(settings)).collect();
        for (index, step) in self.steps.iter().enumerate() {
            if step.kind == "play" && step.play.is_empty() {
                let field = format!("{path}.steps[{index}].play");
                errors.push(FieldError::new(field, "required", "choose an audio, or upload one"));
            }
            let names: BTreeSet<&String> = step.params.iter().map(|[name, _]| name).collect();
            if names.len() < step.params.len() {
                let field = format!("{path}.steps[{index}].connect.params");
                errors.push(FieldError::new(field, "twice", "two parameters have one name"));
            }
        }
        let mut keys = Map::new();
        for row in &self.keys {
            if keys.insert(row.key.clone(), row.json(settings)).is_some() {
                let field = format!("{path}.keys.{}", row.key);
                errors.push(FieldError::new(field, "twice", "the key is there twice"));
            }
        }
        let notice = Some(&self.notice).filter(|notice| !notice.is_empty());
        json!({"notice": notice, "steps": steps, "keys": keys})
    }

    pub(super) fn is_empty(&self) -> bool {
        self.notice.is_empty() && self.steps.is_empty() && self.keys.is_empty()
    }

    /// Does what a button of the form says, other than saving. False if it says nothing of the kind.
    pub(super) fn edit(&mut self, act: &str) -> bool {
        let index = |prefix: &str| act.strip_prefix(prefix)?.parse::<usize>().ok();
        if let Some(kind) = act.strip_prefix("add_") {
            self.steps.push(StepRow::kind(kind));
        } else if let Some(index) = index("up_") {
            if (1..self.steps.len()).contains(&index) {
                self.steps.swap(index, index - 1);
            }
        } else if let Some(index) = index("remove_") {
            if index < self.steps.len() {
                self.steps.remove(index);
            }
        } else {
            return matches!(act, "more" | "preview");
        }
        true
    }
}
