//! Old and new values side by side, cut so that a page of them stays small.

use std::collections::BTreeMap;

use serde_json::Value;

/// The longest value that is shown, in characters.
const MAX_VALUE: usize = 120;
/// How many values a row shows.
const MAX_FIELDS: usize = 24;
/// How many bytes of values a page has.
const PAGE: usize = 56_000;
/// What the table around a value takes, in bytes.
const AROUND: usize = 60;

/// What is different between two states of an object.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changed {
    pub(super) fields: Vec<Field>,
    /// Values that there was no room for.
    pub(super) more: usize,
    /// Whether there was something before.
    pub(super) had_old: bool,
    /// What stands in the row for those who don't look closer.
    pub(super) summary: String,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) old: String,
    pub(super) new: String,
}

/// The room for values that is left on a page.
#[derive(Debug)]
pub(super) struct Room(usize);

impl Room {
    pub(super) const fn of_a_page() -> Self {
        Self(PAGE)
    }

    /// The fields in which two states differ, as far as there is room.
    pub(super) fn changed(&mut self, old: Option<&Value>, new: Option<&Value>) -> Changed {
        let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
        flatten("", old.unwrap_or(&Value::Null), &mut before);
        flatten("", new.unwrap_or(&Value::Null), &mut after);
        let names: std::collections::BTreeSet<&String> =
            before.keys().chain(after.keys()).collect();
        let mut changed =
            Changed { had_old: old.is_some_and(|it| !it.is_null()), ..Changed::default() };
        for name in names {
            let (old, new) = (before.get(name), after.get(name));
            if old == new {
                continue;
            }
            let field =
                Field { name: cut(&name.replace('_', " ")), old: text(old), new: text(new) };
            let takes =
                [&field.name, &field.old, &field.new].map(|it| escaped(it)).iter().sum::<usize>()
                    + AROUND;
            if changed.fields.len() == MAX_FIELDS || takes > self.0 {
                changed.more += 1;
                continue;
            }
            self.0 -= takes;
            changed.fields.push(field);
        }
        let count = changed.fields.len() + changed.more;
        changed.summary = if count == 1 { "1 value".to_owned() } else { format!("{count} values") };
        changed
    }
}

/// Every leaf of a document under its path; lists of plain values are leaves.
fn flatten(path: &str, value: &Value, into: &mut BTreeMap<String, String>) {
    let below =
        |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path} › {key}") };
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            fields.iter().for_each(|(key, value)| flatten(&below(key), value, into));
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            let numbered = items.iter().enumerate();
            numbered
                .for_each(|(index, value)| flatten(&below(&(index + 1).to_string()), value, into));
        }
        Value::Null => {}
        Value::Object(_) => {}
        Value::Array(items) if items.is_empty() => {}
        _ => {
            into.insert(
                if path.is_empty() { "value".to_owned() } else { path.to_owned() },
                plain(value),
            );
        }
    }
}

/// A value as people write it.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        Value::Array(items) => match items.iter().any(Value::is_array) {
            // Windows: from and to.
            true => {
                items.iter().map(|it| plain(it).replace(", ", "–")).collect::<Vec<_>>().join(", ")
            }
            false => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        },
        Value::Null => "nothing".to_owned(),
        other => other.to_string(),
    }
}

fn text(value: Option<&String>) -> String {
    value.map(|value| cut(value)).unwrap_or_default()
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_VALUE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// How many bytes a text has on a page.
fn escaped(text: &str) -> usize {
    text.chars().map(|c| if "<>&\"'".contains(c) { 5 } else { c.len_utf8() }).sum()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_changed_is_shown_under_its_path() {
        let old =
            json!({"name": "A", "pacing": {"calls_per_second": 1}, "to": ["a", "b"], "on": true});
        let new = json!({"name": "A", "pacing": {"calls_per_second": 2}, "to": ["a"], "on": null});
        let changed = Room::of_a_page().changed(Some(&old), Some(&new));
        let told: Vec<[&str; 3]> =
            changed.fields.iter().map(|it| [&*it.name, &*it.old, &*it.new]).collect();
        assert_eq!(
            told,
            [["on", "yes", ""], ["pacing › calls per second", "1", "2"], ["to", "a, b", "a"]]
        );
        assert_eq!((&*changed.summary, changed.more), ("3 values", 0));
    }

    #[test]
    fn windows_and_steps_are_readable() {
        let new = json!({"hours": {"mon": [["09:00", "12:00"], ["13:00", "17:00"]]},
            "steps": [{"say": "Hello."}, {"play": "x"}]});
        let changed = Room::of_a_page().changed(None, Some(&new));
        let told: Vec<[&str; 2]> = changed.fields.iter().map(|it| [&*it.name, &*it.new]).collect();
        assert_eq!(
            told,
            [
                ["hours › mon", "09:00–12:00, 13:00–17:00"],
                ["steps › 1 › say", "Hello."],
                ["steps › 2 › play", "x"]
            ]
        );
        assert!(!changed.had_old);
    }

    #[test]
    fn a_page_of_long_values_stays_small() {
        let long = json!({"notes": "<".repeat(10_000), "more": (0..500).map(|n| (n.to_string(), json!("&&&&"))).collect::<serde_json::Map<_, _>>()});
        let mut room = Room::of_a_page();
        let rows: Vec<Changed> = (0..200).map(|_| room.changed(None, Some(&long))).collect();
        assert_eq!(rows[0].fields.len() + rows[0].more, 501);
        let shown: usize = rows.iter().flat_map(|it| &it.fields).map(|it| escaped(&it.new)).sum();
        assert!(shown < PAGE, "{shown}");
        assert!(rows[199].fields.is_empty());
    }
}
