//! Clients as JSON, checked as rows of a file are.

use std::collections::{BTreeMap, BTreeSet};

use csv::StringRecord;
use serde_json::{Map, Value};

use super::mapping::Layout;
use super::row;
use super::{Parsed, Row};
use crate::campaign::FieldError;
use crate::client::Consent;
use crate::formula::defused;
use crate::phone::Region;

/// The most clients in one request.
pub const MAX_JSON_CLIENTS: usize = 1_000;

/// What a client may be said of, in the order of its columns.
const KEYS: [&str; 7] = ["phone", "name", "external_id", "email", "time_zone", "tags", "notes"];

/// The most errors that are told at once.
const MAX_ERRORS: usize = 100;

/// Clients read from a JSON array.
///
/// The line of each is its index in the array, from 0. What it holds beside the known keys goes
/// under `fields`, whose names become columns beside those of the known keys that are used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonClients {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The clients, and those that can't be one.
    pub parsed: Vec<Parsed>,
}

impl JsonClients {
    /// Reads clients. Numbers without a country code are of `region`.
    ///
    /// # Errors
    ///
    /// There are none or too many, or their form is wrong: unknown keys and values of the wrong
    /// type, each by its place, such as `clients[3].phone`. A number that is none is no error; it
    /// comes back as a rejection.
    pub fn read(clients: &[Value], region: &Region) -> Result<Self, Vec<FieldError>> {
        if clients.is_empty() || clients.len() > MAX_JSON_CLIENTS {
            let message = format!("1 to {MAX_JSON_CLIENTS} of them");
            return Err(vec![FieldError::new("clients", "out_of_range", message)]);
        }
        let mut reader = Reader::default();
        let drafts: Vec<Draft> =
            clients.iter().enumerate().map(|(index, client)| reader.draft(index, client)).collect();
        if !reader.errors.is_empty() {
            return Err(reader.errors);
        }
        let used = |key: &&str| drafts.iter().any(|draft| draft.says(key));
        let known: Vec<&str> = KEYS.into_iter().filter(used).collect();
        let columns: Vec<String> = known
            .iter()
            .map(|key| (*key).to_owned())
            .chain(reader.columns.iter().cloned())
            .collect();
        if columns.len() > super::MAX_COLUMNS {
            let message = format!("more than {} columns in all", super::MAX_COLUMNS);
            return Err(vec![FieldError::new("clients", "out_of_range", message)]);
        }
        let place = |key: &str| known.iter().position(|known| *known == key);
        let layout = Layout {
            phone: place("phone").unwrap_or(columns.len()),
            name: place("name"),
            external_id: place("external_id"),
            email: place("email"),
            time_zone: place("time_zone"),
            tags: place("tags"),
            notes: place("notes"),
            ..Layout::default()
        };
        let parse = |(line, draft): (u64, Draft)| {
            let cells: StringRecord = known
                .iter()
                .map(|key| draft.cell(key))
                .chain(reader.columns.iter().map(|name| draft.field(name)))
                // What is JSON went through no spreadsheet: a quote in it stays.
                .map(defused)
                .collect();
            match row::read(&cells, line, &columns, &layout, region) {
                Ok(row) => {
                    let says_consent = draft.consent.is_some();
                    let consent = draft.consent.flatten();
                    Parsed::Accepted(Row { consent, says_consent, ..row })
                }
                Err(reject) => Parsed::Rejected(*reject),
            }
        };
        let parsed = (0..).zip(drafts).map(parse).collect();
        Ok(Self { columns, parsed })
    }
}

/// A client as it was sent.
#[derive(Default)]
struct Draft {
    cells: Vec<(&'static str, String)>,
    fields: BTreeMap<String, String>,
    /// None if nothing was said of it.
    consent: Option<Option<Consent>>,
}

impl Draft {
    fn says(&self, key: &str) -> bool {
        key == "phone" || self.cells.iter().any(|(known, _)| *known == key)
    }

    fn cell(&self, key: &str) -> &str {
        self.cells.iter().find(|(known, _)| *known == key).map_or("", |(_, cell)| cell)
    }

    fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

#[derive(Default)]
struct Reader {
    errors: Vec<FieldError>,
    /// The names under `fields`, in the order they are first met.
    columns: Vec<String>,
    known: BTreeSet<String>,
}

impl Reader {
    fn refuse(&mut self, index: usize, key: &str, code: &str, message: &str) {
        if self.errors.len() < MAX_ERRORS {
            let dot = if key.is_empty() { "" } else { "." };
            self.errors.push(FieldError::new(format!("clients[{index}]{dot}{key}"), code, message));
        }
    }

    fn draft(&mut self, index: usize, client: &Value) -> Draft {
        let mut draft = Draft::default();
        let Value::Object(client) = client else {
            self.refuse(index, "", "invalid", "must be an object");
            return draft;
        };
        for (key, value) in client {
            match (&**key, value) {
                ("fields", Value::Object(fields)) => self.fields(index, fields, &mut draft),
                ("consent", value) => draft.consent = self.consent(index, value),
                ("tags", Value::Array(tags)) => self.tags(index, tags, &mut draft),
                (key, value) => match KEYS.into_iter().find(|known| *known == key) {
                    None if key != "fields" => {
                        self.refuse(index, key, "unknown_field", "is not known here");
                    }
                    Some(_) | None if value.is_null() => {}
                    Some("tags") => self.refuse(index, key, "invalid", "must be an array"),
                    Some(known) => match value {
                        Value::String(text) => draft.cells.push((known, text.clone())),
                        _ => self.refuse(index, key, "invalid", "must be a text"),
                    },
                    None => self.refuse(index, key, "invalid", "must be an object"),
                },
            }
        }
        draft
    }

    fn tags(&mut self, index: usize, tags: &[Value], draft: &mut Draft) {
        let texts: Vec<&str> = tags.iter().filter_map(Value::as_str).collect();
        if texts.len() < tags.len() || texts.iter().any(|tag| tag.contains([',', ';', '|'])) {
            let message = "must be texts without comma, semicolon and bar";
            self.refuse(index, "tags", "invalid", message);
        }
        draft.cells.push(("tags", texts.join(";")));
    }

    fn fields(&mut self, index: usize, fields: &Map<String, Value>, draft: &mut Draft) {
        for (name, value) in fields {
            let cell = match value {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                Value::Bool(_) | Value::Number(_) => value.to_string(),
                Value::Array(_) | Value::Object(_) => {
                    let message = "must be a text, a number or a boolean";
                    self.refuse(index, &format!("fields.{name}"), "invalid", message);
                    continue;
                }
            };
            if self.known.insert(name.clone()) {
                self.columns.push(name.clone());
            }
            draft.fields.insert(name.clone(), cell);
        }
    }

    fn consent(&mut self, index: usize, value: &Value) -> Option<Option<Consent>> {
        let Value::Object(keys) = value else {
            match value {
                Value::Null => return Some(None),
                Value::String(basis) if !basis.trim().is_empty() => {
                    let basis = basis.trim().to_owned();
                    let consent =
                        Consent { basis, at: None, source: String::new(), evidence: None };
                    return Some(Some(consent));
                }
                _ => self.refuse(index, "consent", "invalid", "must be an object with a basis"),
            }
            return None;
        };
        let mut consent =
            Consent { basis: String::new(), at: None, source: String::new(), evidence: None };
        for (key, value) in keys {
            let field = format!("consent.{key}");
            match (&**key, value) {
                ("basis" | "source" | "evidence" | "at", Value::Null) => {}
                ("basis", Value::String(text)) => text.trim().clone_into(&mut consent.basis),
                ("source", Value::String(text)) => text.trim().clone_into(&mut consent.source),
                ("evidence", Value::String(text)) => consent.evidence = Some(text.clone()),
                ("at", Value::String(text)) => match text.parse() {
                    Ok(at) => consent.at = Some(at),
                    Err(_) => self.refuse(index, &field, "invalid", "must be an instant"),
                },
                ("basis" | "source" | "evidence" | "at", _) => {
                    self.refuse(index, &field, "invalid", "must be a text");
                }
                _ => self.refuse(index, &field, "unknown_field", "is not known here"),
            }
        }
        let texts = [Some(&consent.basis), Some(&consent.source), consent.evidence.as_ref()];
        let longest = texts.into_iter().flatten().map(|text| text.chars().count()).max();
        if consent.basis.is_empty() {
            self.refuse(index, "consent.basis", "required", "is required");
        } else if longest > Some(row::MAX_CONSENT) {
            let message = format!("texts of at most {} characters", row::MAX_CONSENT);
            self.refuse(index, "consent", "too_long", &message);
        }
        Some(Some(consent))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::import::RejectCode;

    fn read(clients: &Value) -> Result<JsonClients, Vec<FieldError>> {
        JsonClients::read(clients.as_array().unwrap(), &Region::US)
    }

    #[test]
    fn a_client_has_every_key_and_its_fields_are_columns() {
        let clients = json!([
            {"phone": "212-555-0100", "name": "Ada\u{202e}", "external_id": "A-1", "email": "a@b.example",
             "time_zone": "America/New_York", "tags": ["vip", "new"], "notes": "x\ny",
             "consent": {"basis": "form", "at": "2026-01-02T03:04:05Z"},
             "fields": {"balance": 12.5, "paid": false, "city": "Rome"}},
            {"phone": "+12125550101", "fields": {"zip": "02139", "sum": "'=1"}, "consent": null, "tags": null},
        ]);
        let read = read(&clients).unwrap();
        assert_eq!(
            read.columns,
            [
                "phone",
                "name",
                "external_id",
                "email",
                "time_zone",
                "tags",
                "notes",
                "balance",
                "paid",
                "city",
                "zip",
                "sum"
            ]
        );
        let Parsed::Accepted(ada) = &read.parsed[0] else { panic!() };
        assert_eq!((ada.line, &*ada.name, ada.phone.digits()), (0, "Ada", 12_125_550_100));
        assert_eq!(ada.cleaned, ["name"]);
        assert_eq!(ada.tags, ["vip", "new"]);
        assert_eq!(ada.fields[7..], ["12.5", "false", "Rome", "", ""]);
        assert_eq!(ada.consent.as_ref().unwrap().at.unwrap().timestamp(), 1_767_323_045);
        let Parsed::Accepted(second) = &read.parsed[1] else { panic!() };
        assert!(second.says_consent && second.consent.is_none() && second.tags.is_empty());
        assert_eq!(second.fields[10..], ["02139", "'=1"]);
    }

    #[test]
    fn what_a_row_may_not_be_is_a_rejection_with_its_index_and_key() {
        let read = read(&json!([
            {"phone": "+12125550100"},
            {"name": "Bob"},
            {"phone": "911"},
            {"phone": "+12125550101", "time_zone": "Mars"},
        ]));
        let rejections: Vec<_> = read
            .unwrap()
            .parsed
            .into_iter()
            .filter_map(|parsed| match parsed {
                Parsed::Rejected(Reject { rejection, .. }) => Some(rejection),
                _ => None,
            })
            .map(|it| (it.line, it.column, it.code))
            .collect();
        assert_eq!(
            rejections,
            [
                (1, "phone".to_owned(), RejectCode::MissingPhone),
                (2, "phone".to_owned(), RejectCode::InvalidPhone),
                (3, "time_zone".to_owned(), RejectCode::InvalidTimeZone),
            ]
        );
    }

    use crate::import::Reject;

    #[test]
    fn a_wrong_form_is_told_whole_and_by_place() {
        let errors = read(&json!([
            {"phone": 12_125_550_100_u64, "fone": "x", "tags": "a", "fields": {"a": {}}},
            7,
            {"phone": "+12125550100", "consent": {"at": "then", "by": "me"}, "fields": []},
        ]));
        let fields: Vec<String> = errors.unwrap_err().into_iter().map(|it| it.field).collect();
        assert_eq!(
            fields,
            [
                "clients[0].phone",
                "clients[0].fone",
                "clients[0].tags",
                "clients[0].fields.a",
                "clients[1]",
                "clients[2].consent.at",
                "clients[2].consent.by",
                "clients[2].consent.basis",
                "clients[2].fields",
            ]
        );
        assert_eq!(read(&json!([])).unwrap_err()[0].code, "out_of_range");
        let many = Value::from(vec![json!({"phone": "+12125550100"}); MAX_JSON_CLIENTS + 1]);
        assert_eq!(read(&many).unwrap_err()[0].code, "out_of_range");
    }
}
