//! Reading a script: every bad field at once, each under its path.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Connect, DEFAULT_LANGUAGE, Key, KeyAction, Record, Script, Step, Template};
use crate::campaign::FieldError;
use crate::phone::PhoneNumber;
use crate::text::{self, MAX_TAG};

/// The most steps of a script.
const MAX_STEPS: usize = 20;
/// The most parameters an agent is given.
const MAX_PARAMS: usize = 20;
/// The longest name of a parameter, in characters.
const MAX_PARAM_CHARS: usize = 64;
/// The longest address of an agent, in characters.
const MAX_URL_CHARS: usize = 2_000;

/// Reads the script at a path of a document.
pub(super) fn script(document: &Value, path: &str) -> Result<Script, Vec<FieldError>> {
    let mut reader = Reader { errors: Vec::new() };
    let script = reader.script(document, path);
    if reader.errors.is_empty() { Ok(script.unwrap_or_default()) } else { Err(reader.errors) }
}

struct Reader {
    errors: Vec<FieldError>,
}

impl Reader {
    fn script(&mut self, document: &Value, path: &str) -> Option<Script> {
        let mut fields = self.object(document, path)?;
        let notice = fields.shift_remove("notice").filter(|notice| !notice.is_null());
        let notice = notice.and_then(|notice| self.template(&notice, &join(path, "notice")));
        let steps = fields.shift_remove("steps").filter(|steps| !steps.is_null());
        let keys = fields.shift_remove("keys").filter(|keys| !keys.is_null());
        let steps = steps.map_or_else(Vec::new, |steps| self.steps(&steps, &join(path, "steps")));
        let keys = keys.map_or_else(BTreeMap::new, |keys| self.keys(&keys, &join(path, "keys")));
        self.nothing_left(&fields, path);
        Some(Script { notice, steps, keys })
    }

    fn steps(&mut self, document: &Value, path: &str) -> Vec<Step> {
        let Value::Array(list) = document else {
            self.refuse(path, "invalid", "must be a list of steps");
            return Vec::new();
        };
        if list.len() > MAX_STEPS {
            self.refuse(path, "too_many", format!("at most {MAX_STEPS} steps"));
            return Vec::new();
        }
        let mut steps = Vec::new();
        for (index, document) in list.iter().enumerate() {
            let path = format!("{path}[{index}]");
            let step = self.step(document, &path);
            let is_last = index + 1 == list.len();
            match step {
                Some(Step::Connect(_)) if !is_last => {
                    let words = "must be the last step: what follows an agent is never heard";
                    self.refuse(join(&path, "connect"), "not_last", words);
                }
                Some(Step::Transfer(_)) if !is_last => {
                    let words = "must be the last step: what follows a transfer is never heard";
                    self.refuse(join(&path, "transfer"), "not_last", words);
                }
                Some(Step::Record(_)) => self.place_of_record(&list[..index], &path),
                _ => {}
            }
            steps.extend(step);
        }
        steps
    }

    /// What comes before a message that is recorded: something that says so, and no other one.
    fn place_of_record(&mut self, before: &[Value], path: &str) {
        let has = |kinds: &[&str]| {
            before.iter().any(|step| kinds.iter().any(|kind| step.get(*kind).is_some()))
        };
        if !has(&["say", "play"]) {
            let words = "must come after a text or an audio: nobody is recorded without being told";
            self.refuse(join(path, "record"), "not_told", words);
        }
        if has(&["record"]) {
            self.refuse(join(path, "record"), "too_many", "at most one message is recorded");
        }
    }

    fn step(&mut self, document: &Value, path: &str) -> Option<Step> {
        let mut fields = self.object(document, path)?;
        let kinds = ["say", "play", "connect", "transfer", "record"];
        let mut named = kinds.into_iter().filter(|kind| fields.contains_key(*kind));
        let (kind, more) = (named.next(), named.next());
        let (Some(kind), None) = (kind, more) else {
            self.refuse(
                path,
                "invalid",
                "must have one of say, play, connect, transfer and record",
            );
            return None;
        };
        let value = fields.shift_remove(kind).unwrap_or_default();
        let at = join(path, kind);
        let step = match kind {
            "say" => {
                let language = self.language(fields.shift_remove("language"), path);
                let say = self.template(&value, &at);
                Some(Step::Say { say: say?, language: language? })
            }
            "play" => self.audio(&value, &at),
            "connect" => self.connect(&value, &at).map(Step::Connect),
            "transfer" => self.number(&value, &at).map(Step::Transfer),
            _ => self.record(&value, &at).map(Step::Record),
        };
        self.nothing_left(&fields, path);
        step
    }

    fn language(&mut self, value: Option<Value>, path: &str) -> Option<String> {
        let tag = match value {
            None | Some(Value::Null) => return Some(DEFAULT_LANGUAGE.to_owned()),
            Some(Value::String(tag)) => tag,
            Some(_) => String::new(),
        };
        // BCP 47: subtags of up to eight letters and digits, the first of them letters.
        let is_subtag = |tag: &str| {
            (1..=8).contains(&tag.len()) && tag.bytes().all(|byte| byte.is_ascii_alphanumeric())
        };
        let primary = tag.split('-').next().unwrap_or_default();
        let is_primary = primary.len() > 1 && primary.bytes().all(|it| it.is_ascii_alphabetic());
        if is_primary && tag.len() <= 35 && tag.split('-').all(is_subtag) {
            return Some(tag);
        }
        self.refuse(join(path, "language"), "bad_language", "must be a tag such as en-US");
        None
    }

    fn audio(&mut self, value: &Value, path: &str) -> Option<Step> {
        let id = value.as_str().and_then(|id| id.parse().ok());
        if id.is_none() {
            self.refuse(path, "unknown_audio", "is no audio that was uploaded");
        }
        id.map(Step::Play)
    }

    fn connect(&mut self, value: &Value, path: &str) -> Option<Connect> {
        let mut fields = self.object(value, path)?;
        let url = self.url(fields.shift_remove("url"), &join(path, "url"));
        let params = fields.shift_remove("params").filter(|params| !params.is_null());
        let path_of_params = join(path, "params");
        let params = params.map(|params| self.params(&params, &path_of_params));
        self.nothing_left(&fields, path);
        Some(Connect { url: url?, params: params.unwrap_or_default() })
    }

    fn record(&mut self, value: &Value, path: &str) -> Option<Record> {
        let mut fields = self.object(value, path)?;
        let seconds = fields.shift_remove("max_seconds").filter(|seconds| !seconds.is_null());
        self.nothing_left(&fields, path);
        let Some(seconds) = seconds else {
            return Some(Record { max_seconds: Record::USUAL_SECONDS });
        };
        let seconds = seconds.as_u64().and_then(|seconds| u32::try_from(seconds).ok());
        let allowed = 1..=Record::MOST_SECONDS;
        let max_seconds = seconds.filter(|seconds| allowed.contains(seconds));
        if max_seconds.is_none() {
            let words = format!("must be from 1 to {}", Record::MOST_SECONDS);
            self.refuse(join(path, "max_seconds"), "out_of_range", words);
        }
        max_seconds.map(|max_seconds| Record { max_seconds })
    }

    fn number(&mut self, value: &Value, path: &str) -> Option<PhoneNumber> {
        let number = value.as_str().and_then(|number| number.parse().ok());
        if number.is_none() {
            self.refuse(path, "invalid_phone", "must be a phone number in E.164: + and digits");
        }
        number
    }

    fn url(&mut self, value: Option<Value>, path: &str) -> Option<String> {
        let Some(Value::String(url)) = value else {
            self.refuse(path, "required", "is required");
            return None;
        };
        let host = url.strip_prefix("wss://").map(|rest| {
            let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            &rest[..end]
        });
        // Credentials in an address end up in logs, and a fragment is never sent.
        let host = host.filter(|host| !host.is_empty() && !host.contains('@'));
        let plain = url.bytes().all(|byte| byte.is_ascii_graphic()) && !url.contains('#');
        if host.is_some() && plain && url.len() <= MAX_URL_CHARS {
            return Some(url);
        }
        let words = "must be an address that begins with wss://, without credentials";
        self.refuse(path, "bad_url", words);
        None
    }

    fn params(&mut self, value: &Value, path: &str) -> BTreeMap<String, Template> {
        let Some(fields) = self.object(value, path) else { return BTreeMap::new() };
        if fields.len() > MAX_PARAMS {
            self.refuse(path, "too_many", format!("at most {MAX_PARAMS} parameters"));
        }
        let mut params = BTreeMap::new();
        for (name, value) in &fields {
            let at = join(path, name);
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
            if name.is_empty() || name.len() > MAX_PARAM_CHARS || !name.chars().all(plain) {
                let words =
                    format!("a name has 1 to {MAX_PARAM_CHARS} of letters, digits, _ and -");
                self.refuse(&at, "bad_name", words);
            }
            if let Some(template) = self.template(value, &at) {
                params.insert(name.clone(), template);
            }
        }
        params
    }

    fn keys(&mut self, document: &Value, path: &str) -> BTreeMap<Key, KeyAction> {
        let Some(fields) = self.object(document, path) else { return BTreeMap::new() };
        let mut keys = BTreeMap::new();
        for (name, value) in &fields {
            let at = join(path, name);
            let key = Key::try_from(name.clone());
            if let Err(words) = &key {
                self.refuse(&at, "no_key", words.clone());
            }
            if let (Some(action), Ok(key)) = (self.action(value, &at), key) {
                keys.insert(key, action);
            }
        }
        keys
    }

    fn action(&mut self, value: &Value, path: &str) -> Option<KeyAction> {
        if value.as_str() == Some("opt_out") {
            return Some(KeyAction::OptOut);
        }
        let only = value.as_object().filter(|fields| fields.len() == 1);
        match only.and_then(|fields| fields.iter().next()).map(|(name, value)| (&**name, value)) {
            Some(("tag", Value::String(tag))) => self.tag(tag.trim(), &join(path, "tag")),
            Some(("transfer", number @ Value::String(_))) => {
                self.number(number, &join(path, "transfer")).map(KeyAction::Transfer)
            }
            _ => {
                let words = "must be {\"tag\": \"...\"}, {\"transfer\": \"+...\"} or \"opt_out\"";
                self.refuse(path, "no_meaning", words);
                None
            }
        }
    }

    fn tag(&mut self, tag: &str, path: &str) -> Option<KeyAction> {
        match text::line(tag, MAX_TAG) {
            Ok(tag) if !tag.is_empty() => return Some(KeyAction::Tag(tag)),
            Ok(_) | Err(_) => {}
        }
        let words = format!("1 to {MAX_TAG} characters, none that can't be seen");
        self.refuse(path, "bad_tag", words);
        None
    }

    fn template(&mut self, value: &Value, path: &str) -> Option<Template> {
        let Some(source) = value.as_str() else {
            self.refuse(path, "invalid", "must be a text");
            return None;
        };
        Template::parse(source)
            .map_err(|error| self.refuse(path, error.code(), error.to_string()))
            .ok()
    }

    fn object(&mut self, value: &Value, path: &str) -> Option<Map<String, Value>> {
        if let Value::Object(fields) = value {
            return Some(fields.clone());
        }
        self.refuse(path, "invalid", "must be an object");
        None
    }

    fn nothing_left(&mut self, fields: &Map<String, Value>, path: &str) {
        for name in fields.keys() {
            self.refuse(join(path, name), "unknown_field", "is not known here");
        }
    }

    fn refuse(&mut self, field: impl Into<String>, code: &str, message: impl Into<String>) {
        self.errors.push(FieldError::new(field, code, message));
    }
}

fn join(path: &str, field: &str) -> String {
    if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn errors(document: &Value) -> Vec<(String, String)> {
        let errors = script(document, "script").unwrap_err();
        errors.into_iter().map(|error| (error.field, error.code)).collect()
    }

    #[test]
    fn every_bad_part_is_named_at_once() {
        let errors = errors(&json!({
            "steps": [
                {"say": "Hi {{name"}, {"say": ""}, {"say": 7}, {"play": "nope"}, {"sing": "la"},
                {"say": "a", "play": "b"}, {"say": "a", "language": "english!"},
                {"say": "a", "voice": "x"}, {"connect": {"url": "http://agent.example"}}, 5,
            ],
            "keys": {
                "A": "opt_out", "1": {"tag": ""}, "2": {"transfer": "911"}, "3": "hang_up",
                "4": {"tag": "a", "transfer": "+12125550100"}, "10": {"tag": "x"},
                "5": {"tag": "yes\u{202e}on"},
            },
            "colour": "red",
        }));
        let errors: Vec<_> = errors.iter().map(|(field, code)| (&**field, &**code)).collect();
        assert_eq!(
            errors,
            [
                ("script.steps[0].say", "bad_template"),
                ("script.steps[1].say", "empty"),
                ("script.steps[2].say", "invalid"),
                ("script.steps[3].play", "unknown_audio"),
                ("script.steps[4]", "invalid"),
                ("script.steps[5]", "invalid"),
                ("script.steps[6].language", "bad_language"),
                ("script.steps[7].voice", "unknown_field"),
                ("script.steps[8].connect.url", "bad_url"),
                ("script.steps[9]", "invalid"),
                ("script.keys.A", "no_key"),
                ("script.keys.1.tag", "bad_tag"),
                ("script.keys.2.transfer", "invalid_phone"),
                ("script.keys.3", "no_meaning"),
                ("script.keys.4", "no_meaning"),
                ("script.keys.10", "no_key"),
                ("script.keys.5.tag", "bad_tag"),
                ("script.colour", "unknown_field"),
            ]
        );
    }

    #[test]
    fn an_agent_comes_last_and_over_an_encrypted_line() {
        let connect = |url: &str| json!({"connect": {"url": url, "params": {"name": "{{name}}"}}});
        let agent = connect("wss://agent.example/talk?x=1");
        assert!(script(&json!({"steps": [{"say": "Hi."}, agent]}), "").is_ok());
        let first = json!({"steps": [agent, {"say": "Hi."}]});
        assert_eq!(errors(&first)[0], ("script.steps[0].connect".into(), "not_last".into()));
        for url in
            ["ws://a.example", "https://a.example", "wss://", "wss://u:p@a.example", "wss://a b"]
        {
            let errors = errors(&json!({"steps": [connect(url)]}));
            assert_eq!(errors[0].1, "bad_url", "{url}");
        }
        let params = json!({"steps": [{"connect": {"url": "wss://a.example",
            "params": {"a b": "x", "ok": "{{", "n": 1}}}]});
        let fields: Vec<_> = errors(&params).into_iter().map(|(field, _)| field).collect();
        assert_eq!(fields.len(), 3, "{fields:?}");
    }

    #[test]
    fn a_transfer_comes_last_and_goes_to_a_number() {
        let transfer = json!({"transfer": "+12125550100"});
        assert!(script(&json!({"steps": [{"say": "Hi."}, transfer]}), "").is_ok());
        assert!(script(&json!({"steps": [transfer]}), "").is_ok());
        let first = json!({"steps": [transfer, {"say": "Hi."}]});
        assert_eq!(errors(&first), [("script.steps[0].transfer".into(), "not_last".into())]);
        for number in [json!("911"), json!(12_125_550_100_u64), json!({}), json!(null)] {
            let errors = errors(&json!({"steps": [{"transfer": number}]}));
            assert_eq!(errors, [("script.steps[0].transfer".into(), "invalid_phone".into())]);
        }
        let both = json!({"steps": [{"transfer": "+12125550100", "record": {}}]});
        assert_eq!(errors(&both), [("script.steps[0]".into(), "invalid".into())]);
    }

    #[test]
    fn a_message_is_recorded_once_and_of_nobody_who_was_not_told() {
        let record = |record: Value| json!({"steps": [{"say": "Hi."}, {"record": record}]});
        for (document, seconds) in [
            (json!({}), 120),
            (json!({"max_seconds": null}), 120),
            (json!({"max_seconds": 1}), 1),
            (json!({"max_seconds": 600}), 600),
        ] {
            let script = script(&record(document), "").unwrap();
            assert_eq!(script.steps[1], Step::Record(Record { max_seconds: seconds }));
        }
        for seconds in [json!(0), json!(601), json!(-1), json!(1.5), json!("60")] {
            let errors = errors(&record(json!({"max_seconds": seconds})));
            let field = "script.steps[1].record.max_seconds".to_owned();
            assert_eq!(errors, [(field, "out_of_range".into())], "{seconds}");
        }
        let errors_of = |steps: Value| errors(&json!({"steps": steps}));
        assert_eq!(
            errors_of(json!([{"record": {"seconds": 5}}, {"say": "Hi."}])),
            [
                ("script.steps[0].record.seconds".into(), "unknown_field".into()),
                ("script.steps[0].record".into(), "not_told".into())
            ]
        );
        assert_eq!(
            errors_of(json!([{"say": "Hi."}, {"record": {}}, {"say": "Ho."}, {"record": {}}])),
            [("script.steps[3].record".into(), "too_many".into())]
        );
        // A text that is wrong is a text: its own trouble is named, and no other.
        let broken = errors_of(json!([{"say": "{{"}, {"record": {}}]));
        assert_eq!(broken, [("script.steps[0].say".into(), "bad_template".into())]);
    }

    #[test]
    fn too_many_steps_are_refused() {
        let steps = vec![json!({"say": "Hi."}); MAX_STEPS + 1];
        assert_eq!(errors(&json!({"steps": steps})), [("script.steps".into(), "too_many".into())]);
    }
}
