//! Documents people send, taken apart field by field.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::FieldError;
use crate::rules;
use crate::script::{Message, Script};

/// Takes a document apart field by field, so that one bad field does not hide the others.
#[derive(Debug)]
pub(crate) struct Fields {
    /// What stands before each field's name: empty, or the object's own path and a dot.
    path: String,
    object: Map<String, Value>,
    errors: Vec<FieldError>,
}

impl Fields {
    pub(crate) fn of(document: &Value) -> Self {
        let mut fields = Self { path: String::new(), object: Map::new(), errors: Vec::new() };
        match document {
            Value::Object(object) => fields.object = object.clone(),
            _ => fields.refuse_field("", "invalid", "must be an object"),
        }
        fields
    }

    /// The fields of an object that stands at a path.
    pub(crate) fn at(document: &Value, path: &str) -> Self {
        let mut fields = Self { path: String::new(), object: Map::new(), errors: Vec::new() };
        match document {
            Value::Object(object) => fields.object = object.clone(),
            _ => fields.refuse_field(path, "invalid", "must be an object"),
        }
        fields.path = format!("{path}.");
        fields
    }

    /// The fields of an object that is itself a field; none if it is absent, null or no object.
    pub(crate) fn nested(&mut self, field: &str) -> Option<Self> {
        let value = self.object.shift_remove(field).filter(|value| !value.is_null())?;
        let Value::Object(object) = value else {
            self.refuse_field(field, "invalid", "must be an object");
            return None;
        };
        Some(Self { path: format!("{}{field}.", self.path), object, errors: Vec::new() })
    }

    /// Takes over what was found wrong with a nested object.
    pub(crate) fn end_nested(&mut self, nested: Self) {
        self.errors.extend(nested.finish());
    }

    /// A field that may be absent or null.
    pub(crate) fn optional<T: DeserializeOwned>(&mut self, field: &str) -> Option<T> {
        let value = self.object.shift_remove(field).filter(|value| !value.is_null())?;
        match serde_json::from_value(value) {
            Ok(value) => Some(value),
            Err(error) => {
                self.refuse_field(field, "invalid", &error.to_string());
                None
            }
        }
    }

    /// A field that must be there.
    pub(crate) fn required<T: DeserializeOwned>(&mut self, field: &str) -> Option<T> {
        if self.has(field) {
            return self.optional(field);
        }
        self.refuse_field(field, "required", "is required");
        None
    }

    /// A field with a default.
    pub(crate) fn or_default<T: DeserializeOwned + Default>(&mut self, field: &str) -> T {
        self.optional(field).unwrap_or_default()
    }

    /// Reads a document of `rules` and turns it into its rule; each bad part has its own path.
    pub(crate) fn rule<D, T, E>(&mut self, field: &str) -> Option<T>
    where
        D: DeserializeOwned,
        T: TryFrom<D, Error = rules::Refused<E>>,
        E: rules::FieldError,
    {
        T::try_from(self.optional::<D>(field)?)
            .map_err(|refused| refused.into_iter().for_each(|error| self.refuse(&error)))
            .ok()
    }

    /// A script; each bad part of it has its own path.
    pub(crate) fn script(&mut self, field: &str) -> Option<Script> {
        let document = self.object.shift_remove(field).filter(|value| !value.is_null())?;
        let path = format!("{}{field}", self.path);
        Script::read(&document, &path).map_err(|errors| self.errors.extend(errors)).ok()
    }

    /// What a voicemail hears.
    pub(crate) fn message(&mut self, field: &str) -> Option<Message> {
        let document = self.object.shift_remove(field).filter(|value| !value.is_null())?;
        let path = format!("{}{field}", self.path);
        Message::read(&document, &path).map_err(|error| self.errors.push(error)).ok()
    }

    /// Says what a rule has against one of its fields.
    pub(crate) fn refuse(&mut self, error: &impl rules::FieldError) {
        let (field, message) = (error.field(), error.to_string());
        // The path is a field of its own here; in words it would stand there twice.
        let message = message.strip_prefix(&format!("{field}: ")).unwrap_or(&message).to_owned();
        self.errors.push(FieldError::new(field, error.code(), message));
    }

    /// Says what is wrong with a field.
    pub(crate) fn refuse_field(&mut self, field: &str, code: &str, message: &str) {
        let field = format!("{}{field}", self.path);
        self.errors.push(FieldError::new(field, code, message));
    }

    /// Says what values a field may have.
    pub(crate) fn out_of_range(&mut self, field: &str, message: &str) {
        self.refuse_field(field, "out_of_range", message);
    }

    /// Whether a field is there and not null.
    pub(crate) fn has(&mut self, field: &str) -> bool {
        if self.object.get(field).is_none_or(Value::is_null) {
            self.object.shift_remove(field);
            return false;
        }
        true
    }

    /// Whether a field is there and null, which is taken.
    pub(crate) fn is_null(&mut self, field: &str) -> bool {
        let null = self.object.get(field).is_some_and(Value::is_null);
        if null {
            self.object.shift_remove(field);
        }
        null
    }

    /// Whether something is known to be wrong with a field.
    pub(crate) fn is_refused(&self, field: &str) -> bool {
        let field = format!("{}{field}", self.path);
        self.errors.iter().any(|error| error.field == field)
    }

    /// The end: what was wrong, and every field that nobody took.
    pub(crate) fn finish(mut self) -> Vec<FieldError> {
        for field in self.object.keys() {
            let field = format!("{}{field}", self.path);
            self.errors.push(FieldError::new(field, "unknown_field", "is not a setting"));
        }
        self.errors
    }
}
