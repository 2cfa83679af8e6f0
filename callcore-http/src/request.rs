//! Request bodies and path ids: parsed at the edge, every bad field named at once.

use std::str::FromStr;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, OriginalUri, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use callcore::campaign::FieldError;
use callcore::text::{self, TextError};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::problem::{Problem, chain};
use crate::query::Query;
use crate::state::ApiState;

/// The largest JSON body, in bytes.
const MAX_BODY: usize = 1024 * 1024;

/// How many times what is allowed is read of a larger body before it is refused.
const MAX_DROPPED_TIMES: usize = 8;

/// An id in the path. One that can't be an id names nothing: 404.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Id<T>(pub(crate) T);

impl<T: FromStr> FromRequestParts<ApiState> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        let Path(text): Path<String> =
            Path::from_request_parts(parts, state).await.map_err(|_| Problem::not_found())?;
        text.parse().map(Self).map_err(|_| Problem::not_found())
    }
}

/// A change somebody asks for: where, under which key, and the whole body.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl FromRequest<ApiState> for Change {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, Problem> {
        Self::read(request, state, MAX_BODY).await
    }
}

impl Change {
    /// Reads a change whose body has at most so many bytes.
    pub(crate) async fn read(
        request: Request,
        state: &ApiState,
        max_body: usize,
    ) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        Query::from_request_parts(&mut parts, state).await?.finish()?;
        let body = whole(body, max_body).await?;
        Ok(Self {
            method: parts.method.clone(),
            path: path_of(&parts),
            headers: parts.headers,
            body,
        })
    }

    /// The fields of the JSON object in the body. An empty body is an object without fields.
    pub(crate) fn fields(&self) -> Result<Fields, Problem> {
        Fields::of(self.json()?)
    }

    /// The version of the settings that were changed, from `If-Match`.
    pub(crate) fn settings_version(&self) -> Result<u32, Problem> {
        let Some(tag) = self.headers.get(header::IF_MATCH) else {
            let detail = "send the settings_version you changed as If-Match";
            let status = StatusCode::PRECONDITION_REQUIRED;
            return Err(Problem::new(status, "if_match_required", detail));
        };
        let tag = tag.to_str().unwrap_or_default().trim_start_matches("W/").trim_matches('"');
        tag.parse().map_err(|_| Problem::field("If-Match", "invalid", "must be a settings_version"))
    }

    /// A document with the body laid over it, which is a JSON Merge Patch (RFC 7386): objects are
    /// merged at every depth, lists and values are taken whole, and `null` takes a field out, which
    /// gives it its default.
    pub(crate) fn over(&self, mut document: Value) -> Result<Value, Problem> {
        let (Value::Object(fields), Value::Object(change)) = (&mut document, self.json()?) else {
            return Err(Problem::field("", "invalid", "must be an object"));
        };
        for (field, value) in change {
            if value.is_null() {
                // Kept: it reads as the default, but where it has a meaning, as the breaker's has.
                fields.insert(field, value);
            } else {
                merge(fields.entry(field).or_insert(Value::Null), value);
            }
        }
        Ok(document)
    }

    /// The JSON document in the body; an empty body is `{}`.
    pub(crate) fn json(&self) -> Result<Value, Problem> {
        if self.body.is_empty() {
            return Ok(Value::Object(Map::new()));
        }
        let media_type = self.headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
        let essence = media_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            let detail = "send the body as application/json";
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                detail,
            ));
        }
        // serde_json goes 128 levels deep and no further.
        let json: Value = serde_json::from_slice(&self.body).map_err(|error| {
            let detail = format!("not JSON: line {}, column {}", error.line(), error.column());
            Problem::new(StatusCode::BAD_REQUEST, "malformed_json", detail)
        })?;
        let nul: Vec<FieldError> = json
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(field, value)| field.contains('\0') || has_nul(value))
            .map(|(field, _)| {
                FieldError::new(field.replace('\0', " "), "invalid", "holds a NUL character")
            })
            .collect();
        if nul.is_empty() { Ok(json) } else { Err(Problem::fields(nul)) }
    }
}

/// Lays a JSON Merge Patch over a document. It goes no deeper than what was read: 128 levels.
fn merge(document: &mut Value, change: Value) {
    let Value::Object(change) = change else {
        *document = change;
        return;
    };
    if !document.is_object() {
        *document = Value::Object(Map::new());
    }
    let Value::Object(fields) = document else { return };
    for (field, value) in change {
        if value.is_null() {
            fields.shift_remove(&field);
        } else {
            merge(fields.entry(field).or_insert(Value::Null), value);
        }
    }
}

/// A body as a whole. Of one that is too large some more is read and dropped: whoever is hung up on
/// while sending does not get to read why.
async fn whole(body: Body, max_body: usize) -> Result<Bytes, Problem> {
    let (mut body, mut kept, mut len) = (body.into_data_stream(), Vec::new(), 0);
    while let Some(bytes) = body.next().await {
        let bytes = bytes.map_err(|_| broken_off())?;
        len += bytes.len();
        if len > MAX_DROPPED_TIMES * max_body {
            break;
        }
        if len <= max_body {
            kept.extend_from_slice(&bytes);
        }
    }
    if len > max_body { Err(too_large_body()) } else { Ok(kept.into()) }
}

/// Whether a text in it holds a NUL, which no database keeps.
fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(has_nul),
        Value::Object(fields) => {
            fields.iter().any(|(name, value)| name.contains('\0') || has_nul(value))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The request's path with whatever prefix the router is mounted under.
pub(crate) fn path_of(parts: &Parts) -> String {
    let original = parts.extensions.get::<OriginalUri>();
    original.map_or_else(|| parts.uri.path(), |uri| uri.0.path()).to_owned()
}

pub(crate) fn too_large_body() -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "the body is too large")
}

pub(crate) fn broken_off() -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "broken_off", "the body broke off")
}

/// Something that should not happen: it goes to the log.
pub(crate) fn internal(error: &(dyn std::error::Error + 'static)) -> Problem {
    tracing::error!(error = %chain(error), "a request failed");
    Problem::internal()
}

/// The fields of a JSON object, taken out one by one; what nobody takes is unknown.
#[derive(Debug)]
pub(crate) struct Fields {
    object: Map<String, Value>,
    errors: Vec<FieldError>,
}

impl Fields {
    /// The fields of a document that must be an object.
    pub(crate) fn of(document: Value) -> Result<Self, Problem> {
        match document {
            Value::Object(object) => Ok(Self { object, errors: Vec::new() }),
            _ => Err(Problem::field("", "invalid", "must be an object")),
        }
    }

    /// A field that may be absent or null.
    pub(crate) fn optional<T: DeserializeOwned>(&mut self, field: &str) -> Option<T> {
        let value = self.object.shift_remove(field).filter(|value| !value.is_null())?;
        serde_json::from_value(value)
            .map_err(|error| self.refuse(field, "invalid", error.to_string()))
            .ok()
    }

    /// A field that must be there.
    pub(crate) fn required<T: DeserializeOwned>(&mut self, field: &str) -> Option<T> {
        if self.object.get(field).is_none_or(Value::is_null) {
            self.object.shift_remove(field);
            self.refuse(field, "required", "is required");
            return None;
        }
        self.optional(field)
    }

    /// A field that may be absent; null is an answer of its own.
    pub(crate) fn nullable<T: DeserializeOwned>(&mut self, field: &str) -> Option<Option<T>> {
        if self.object.get(field)?.is_null() {
            self.object.shift_remove(field);
            return Some(None);
        }
        self.optional(field).map(Some)
    }

    /// A text of one line, trimmed, that may be absent or null; none if nothing is left of it.
    pub(crate) fn line(&mut self, field: &str, max: usize) -> Option<String> {
        let text: String = self.optional(field)?;
        self.text(field, text::line(&text, max))
    }

    /// A text of several lines, trimmed, that may be absent or null; none if nothing is left of it.
    pub(crate) fn lines(&mut self, field: &str, max: usize) -> Option<String> {
        let text: String = self.optional(field)?;
        self.text(field, text::lines(&text, max))
    }

    /// Takes a text, or says what is wrong with it.
    pub(crate) fn text(&mut self, field: &str, read: Result<String, TextError>) -> Option<String> {
        match read {
            Ok(text) => Some(text).filter(|text| !text.is_empty()),
            Err(error) => {
                self.refuse(field, error.code(), error.to_string());
                None
            }
        }
    }

    /// Reads an object that stands in a field; its fields are named after both.
    pub(crate) fn object<T>(
        &mut self,
        field: &str,
        object: Map<String, Value>,
        read: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let mut inner = Self { object, errors: Vec::new() };
        let value = read(&mut inner);
        for unknown in inner.object.keys() {
            inner.errors.push(FieldError::new(unknown, "unknown_field", "is not known here"));
        }
        for error in inner.errors {
            self.refuse(&format!("{field}.{}", error.field), &error.code, &*error.message);
        }
        value
    }

    /// Says what is wrong with a field.
    pub(crate) fn refuse(&mut self, field: &str, code: &str, message: impl Into<String>) {
        self.errors.push(FieldError::new(field, code, message));
    }

    /// Whether something is known to be wrong with a field.
    pub(crate) fn is_refused(&self, field: &str) -> bool {
        self.errors.iter().any(|error| error.field == field)
    }

    /// The end: nothing may be wrong, and nothing may be left.
    pub(crate) fn finish(mut self) -> Result<(), Problem> {
        for field in self.object.keys() {
            self.errors.push(FieldError::new(field, "unknown_field", "is not known here"));
        }
        if self.errors.is_empty() { Ok(()) } else { Err(Problem::fields(self.errors)) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_merge_patch_does_what_the_examples_of_its_rfc_say() {
        // Appendix A of RFC 7386.
        for (original, patch, result) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a": "b"}), json!(["c"]), json!(["c"])),
            (json!({"a": "foo"}), json!(null), json!(null)),
            (json!({"a": "foo"}), json!("bar"), json!("bar")),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            let mut document = original.clone();
            merge(&mut document, patch.clone());
            assert_eq!(document, result, "{original} {patch}");
        }
    }
}
