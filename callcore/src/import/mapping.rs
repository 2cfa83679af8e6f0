//! Which column is which: guessed from the names, overruled by the person.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ImportError;
use super::headers::{Field, guess, named};
use crate::campaign::FieldError;
use crate::export::OURS;

/// Names the columns that hold a client's fields, where a guess from their names would be wrong.
///
/// A field left out is guessed. Naming any of `name`, `first_name` and `last_name` settles all
/// three. Columns are found by their exact name, else without regard to case, accents and
/// punctuation; of several with one name it is the first.
///
/// ```
/// let mapping: callcore::import::Mapping =
///     serde_json::from_str(r#"{"phone": "Evening contact", "notes": "Remarks"}"#)?;
/// assert_eq!(mapping.phone.as_deref(), Some("Evening contact"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mapping {
    /// The number to call.
    pub phone: Option<String>,
    /// The whole name.
    pub name: Option<String>,
    /// The first name, joined with the last.
    pub first_name: Option<String>,
    /// The last name.
    pub last_name: Option<String>,
    /// An IANA time zone.
    pub time_zone: Option<String>,
    /// Tags, separated by comma, semicolon or bar.
    pub tags: Option<String>,
    /// A note.
    pub notes: Option<String>,
    /// An e-mail address.
    pub email: Option<String>,
    /// The client's key in the system that the list comes from.
    pub external_id: Option<String>,
    /// On what ground the client may be called.
    pub consent: Option<String>,
    /// Whether a field that is left out is in no column, instead of guessed: for a mapping that a
    /// person went through field by field.
    #[serde(skip)]
    pub exact: bool,
}

impl Mapping {
    /// Reads a mapping's JSON.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, each by its name: keys that are not known, and columns that
    /// are no names.
    pub fn parse(json: &str) -> Result<Self, Vec<FieldError>> {
        let whole = |message: &str| vec![FieldError::new("mapping", "invalid", message)];
        let document: Value = serde_json::from_str(json)
            .map_err(|error| whole(&format!("not JSON: column {}", error.column())))?;
        let Value::Object(keys) = document else {
            return Err(whole("must be an object"));
        };
        let (mut mapping, mut errors) = (Self::default(), Vec::new());
        for (key, value) in keys {
            let mut refuse = |code: &str, message: &str| {
                errors.push(FieldError::new(format!("mapping.{key}"), code, message));
            };
            match (mapping.place(&key), value) {
                (None, _) => refuse("unknown_field", "is not known here"),
                (Some(_), Value::Null) => {}
                (Some(place), Value::String(column)) if !column.trim().is_empty() => {
                    *place = Some(column);
                }
                (Some(_), _) => refuse("invalid", "must be the name of a column"),
            }
        }
        if errors.is_empty() { Ok(mapping) } else { Err(errors) }
    }

    fn place(&mut self, key: &str) -> Option<&mut Option<String>> {
        Some(match key {
            "phone" => &mut self.phone,
            "name" => &mut self.name,
            "first_name" => &mut self.first_name,
            "last_name" => &mut self.last_name,
            "time_zone" => &mut self.time_zone,
            "tags" => &mut self.tags,
            "notes" => &mut self.notes,
            "email" => &mut self.email,
            "external_id" => &mut self.external_id,
            "consent" => &mut self.consent,
            _ => return None,
        })
    }
}

/// The column of each field.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) phone: usize,
    pub(super) name: Option<usize>,
    pub(super) first_name: Option<usize>,
    pub(super) last_name: Option<usize>,
    pub(super) time_zone: Option<usize>,
    pub(super) tags: Option<usize>,
    pub(super) notes: Option<usize>,
    pub(super) email: Option<usize>,
    pub(super) external_id: Option<usize>,
    pub(super) consent: Option<usize>,
}

impl Layout {
    /// The columns that `mapping` names, and a guess of the others.
    pub(super) fn new(headers: &[String], mapping: &Mapping) -> Result<Self, ImportError> {
        let (taken, unknown) = (Vec::new(), Vec::new());
        let mut finder = Finder { headers, taken, unknown, guesses: !mapping.exact };
        // What is named goes first: a guess must not take its column.
        let phone = finder.named("phone", &mapping.phone);
        let name = finder.named("name", &mapping.name);
        let first_name = finder.named("first_name", &mapping.first_name);
        let last_name = finder.named("last_name", &mapping.last_name);
        let time_zone = finder.named("time_zone", &mapping.time_zone);
        let tags = finder.named("tags", &mapping.tags);
        let notes = finder.named("notes", &mapping.notes);
        let email = finder.named("email", &mapping.email);
        let external_id = finder.named("external_id", &mapping.external_id);
        let consent = finder.named("consent", &mapping.consent);

        if !finder.unknown.is_empty() {
            let headers = headers.to_vec();
            return Err(ImportError::UnknownColumn { unknown: finder.unknown, headers });
        }
        let (tags, notes) = (tags.or(finder.ours("tags")), notes.or(finder.ours("notes")));

        let phone = finder
            .or_guess(phone, Field::Phone)
            .ok_or_else(|| ImportError::NoPhoneColumn { headers: headers.to_vec() })?;
        let mut layout = Self { phone, name, first_name, last_name, ..Self::default() };
        if name.or(first_name).or(last_name).is_none() {
            layout.name = finder.or_guess(None, Field::Name);
            layout.first_name = finder.or_guess(None, Field::FirstName);
            layout.last_name = finder.or_guess(None, Field::LastName);
            layout.settle_names();
        }
        layout.time_zone = finder.or_guess(time_zone, Field::TimeZone);
        layout.tags = finder.or_guess(tags, Field::Tags);
        layout.notes = finder.or_guess(notes, Field::Notes);
        layout.email = finder.or_guess(email, Field::Email);
        layout.external_id = finder.or_guess(external_id, Field::ExternalId);
        layout.consent = finder.or_guess(consent, Field::Consent);
        Ok(layout)
    }

    /// In several languages the word for a whole name also stands for one half of it, when the
    /// other half has its own column: `Name, Vorname` and `Nombre, Apellidos`.
    const fn settle_names(&mut self) {
        match (self.name, self.first_name, self.last_name) {
            (Some(_), Some(_), None) => self.last_name = self.name.take(),
            (Some(_), None, Some(_)) => self.first_name = self.name.take(),
            _ => {}
        }
    }
}

struct Finder<'a> {
    headers: &'a [String],
    taken: Vec<usize>,
    unknown: Vec<(&'static str, String)>,
    /// Whether what is not named may be guessed.
    guesses: bool,
}

impl Finder<'_> {
    fn named(&mut self, key: &'static str, column: &Option<String>) -> Option<usize> {
        let column = column.as_ref()?;
        let index = named(self.headers, column);
        match index {
            Some(index) => self.taken.push(index),
            None => self.unknown.push((key, column.clone())),
        }
        index
    }

    /// A column that an export added: it has what the client came to have since it was uploaded.
    fn ours(&mut self, name: &str) -> Option<usize> {
        if !self.guesses {
            return None;
        }
        let start = self.headers.windows(OURS.len()).rposition(|headers| headers == OURS)?;
        let index = start + OURS.iter().position(|ours| *ours == name)?;
        if self.taken.contains(&index) {
            return None;
        }
        self.taken.push(index);
        Some(index)
    }

    fn or_guess(&mut self, named: Option<usize>, field: Field) -> Option<usize> {
        let guessed = || self.guesses.then(|| guess(self.headers, field, &self.taken)).flatten();
        let found = named.or_else(guessed);
        self.taken.extend(found);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(headers: &str, mapping: &Mapping) -> Result<Layout, ImportError> {
        let headers: Vec<String> = headers.split(',').map(str::to_owned).collect();
        Layout::new(&headers, mapping)
    }

    #[test]
    fn a_named_column_is_not_guessed_again() {
        let mapping = Mapping { notes: Some("phone".to_owned()), ..Mapping::default() };
        let layout = layout("Phone,Mobile", &mapping).unwrap();
        assert_eq!((layout.phone, layout.notes), (1, Some(0)));
    }

    #[test]
    fn an_exact_mapping_guesses_nothing() {
        let phone = Some("Mobile".to_owned());
        let exact = Mapping { phone, exact: true, ..Mapping::default() };
        let found = layout("Name,Mobile,Tags", &exact).unwrap();
        assert_eq!(found, Layout { phone: 1, ..Layout::default() });
        let nothing = Mapping { exact: true, ..Mapping::default() };
        assert_eq!(layout("Name,Mobile", &nothing).unwrap_err().code(), "no_phone_column");
    }

    #[test]
    fn naming_a_column_that_is_not_there_names_it() {
        let mapping = Mapping { phone: Some("Handset".to_owned()), ..Mapping::default() };
        let error = layout("Phone,Name", &mapping).unwrap_err();
        assert_eq!(error.code(), "unknown_column");
        assert_eq!(
            error.to_string(),
            "there is no column \"Handset\" for `phone`; the columns are \"Phone\", \"Name\""
        );
        let mapping = Mapping { tags: Some("Labels".to_owned()), ..mapping };
        let ImportError::UnknownColumn { unknown, .. } =
            layout("Phone,Name", &mapping).unwrap_err()
        else {
            panic!()
        };
        let keys: Vec<&str> = unknown.iter().map(|(key, _)| *key).collect();
        assert_eq!(keys, ["phone", "tags"], "all at once");
    }

    #[test]
    fn everything_wrong_with_a_mapping_is_told_at_once() {
        let json = r#"{"fone": "A", "phone": 3, "tags": "", "name": "B", "notes": null}"#;
        let errors = Mapping::parse(json).unwrap_err();
        let fields: Vec<&str> = errors.iter().map(|error| &*error.field).collect();
        assert_eq!(fields, ["mapping.fone", "mapping.phone", "mapping.tags"]);
        assert_eq!(Mapping::parse("[]").unwrap_err()[0].field, "mapping");
        assert_eq!(Mapping::parse("{").unwrap_err()[0].field, "mapping");
        assert_eq!(Mapping::parse("{}").unwrap(), Mapping::default());
    }

    #[test]
    fn half_names_are_found_in_either_order() {
        for (headers, name, first, last) in [
            ("Phone,First Name,Last Name", None, Some(1), Some(2)),
            ("Phone,Name,Vorname", None, Some(2), Some(1)),
            ("Phone,Nombre,Apellidos", None, Some(1), Some(2)),
            ("Phone,Full name,First name,Last name", Some(1), Some(2), Some(3)),
        ] {
            let layout = layout(headers, &Mapping::default()).unwrap();
            assert_eq!(
                (layout.name, layout.first_name, layout.last_name),
                (name, first, last),
                "{headers}"
            );
        }
    }

    #[test]
    fn an_unknown_key_in_a_mapping_is_refused() {
        assert!(serde_json::from_str::<Mapping>(r#"{"fone": "A"}"#).is_err());
    }
}
