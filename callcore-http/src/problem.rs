use std::borrow::Cow;
use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use callcore::campaign::{FieldError, SettingsError};
use callcore::port::{ActError, Refused, StoreError, StoreErrorKind, TelephonyError};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// How often a store could not do its work for a request, in this process.
static STORE_ERRORS: AtomicU64 = AtomicU64::new(0);

/// See [`STORE_ERRORS`].
pub(crate) fn store_errors() -> u64 {
    STORE_ERRORS.load(Ordering::Relaxed)
}

/// An error as people and programs get it: a problem document (RFC 9457).
///
/// What caused it goes to the log only.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Problem(Box<Document>);

#[derive(Debug, Clone, Serialize)]
struct Document {
    r#type: &'static str,
    title: &'static str,
    #[serde(serialize_with = "as_number")]
    status: StatusCode,
    detail: String,
    code: Cow<'static, str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    #[serde(flatten)]
    more: Map<String, Value>,
}

fn as_number<S: serde::Serializer>(status: &StatusCode, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u16(status.as_u16())
}

impl Problem {
    /// A problem with a stable code, and the trouble in words.
    #[must_use]
    pub fn new(
        status: StatusCode,
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<String>,
    ) -> Self {
        Self(Box::new(Document {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status,
            detail: detail.into(),
            code: code.into(),
            errors: Vec::new(),
            more: Map::new(),
        }))
    }

    /// There is no such thing.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "there is no such thing")
    }

    /// Bad fields, all of them at once. Fields that break a rule make it a 422, malformed ones a 400.
    #[must_use]
    pub fn fields(errors: Vec<FieldError>) -> Self {
        const MALFORMED: [&str; 3] = ["invalid", "required", "unknown_field"];
        let malformed = errors.iter().any(|error| MALFORMED.contains(&&*error.code));
        let status =
            if malformed { StatusCode::BAD_REQUEST } else { StatusCode::UNPROCESSABLE_ENTITY };
        let name = |error: &'_ FieldError| match &*error.field {
            "" => "the document as a whole".to_owned(),
            field => field.to_owned(),
        };
        let names: Vec<String> = errors.iter().map(name).collect();
        let detail = format!("bad fields: {}", names.join(", "));
        Self::new(status, "invalid_fields", detail).naming(errors)
    }

    /// One bad field.
    #[must_use]
    pub fn field(field: &str, code: &str, message: impl Into<String>) -> Self {
        Self::fields(vec![FieldError::new(field, code, message)])
    }

    /// One field that breaks a rule with a code of its own.
    pub(crate) fn of_field(code: &'static str, field: &str, message: String) -> Self {
        let errors = vec![FieldError::new(field, code, message.clone())];
        Self::of_fields(code, message, errors)
    }

    /// The same of several.
    pub(crate) fn of_fields(code: &'static str, detail: String, errors: Vec<FieldError>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail).naming(errors)
    }

    /// The problem with one more member.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.more.insert(name.to_owned(), value.into());
        self
    }

    /// Its status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// Its stable code.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// The trouble in words.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// Too much at once: to be tried again after so many seconds.
    pub(crate) fn too_many(
        code: &'static str,
        detail: impl Into<String>,
        retry_after: u64,
    ) -> Self {
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, code, detail);
        problem.with("retry_after_seconds", retry_after)
    }

    /// After how many seconds to try again, if that is known.
    #[must_use]
    pub fn retry_after(&self) -> Option<u64> {
        match self.0.status {
            StatusCode::SERVICE_UNAVAILABLE => Some(5),
            _ => self.0.more.get("retry_after_seconds").and_then(Value::as_u64),
        }
    }

    /// The bad fields.
    #[must_use]
    pub fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    fn naming(mut self, errors: Vec<FieldError>) -> Self {
        self.0.errors = errors;
        self
    }

    pub(crate) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "something went wrong")
    }

    fn away(what: &str) -> Self {
        let detail = format!("the {what} is away; try again");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!(self).to_string();
        let media_type = [(header::CONTENT_TYPE, "application/problem+json")];
        let mut response = (self.0.status, media_type, body).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.0.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        STORE_ERRORS.fetch_add(1, Ordering::Relaxed);
        tracing::error!(error = %chain(&error), "the store could not do its work");
        match error.kind() {
            StoreErrorKind::Unavailable => Self::away("store"),
            _ => Self::internal(),
        }
    }
}

impl From<TelephonyError> for Problem {
    fn from(error: TelephonyError) -> Self {
        tracing::warn!(error = %chain(&error), "the carrier could not be asked");
        Self::away("carrier")
    }
}

impl From<ActError> for Problem {
    fn from(error: ActError) -> Self {
        match error {
            ActError::Refused(refused) => refused.into(),
            ActError::Store(error) => error.into(),
        }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let (status, code) = match refused {
            Refused::NotFound => return Self::not_found(),
            Refused::Transition(_) => (StatusCode::CONFLICT, "invalid_transition"),
            Refused::Campaign(_) => (StatusCode::CONFLICT, "campaign_state"),
            Refused::Call(_) => (StatusCode::CONFLICT, "call_state"),
            Refused::Stale { .. } => (StatusCode::PRECONDITION_FAILED, "stale"),
            Refused::AlreadyScheduled(_) => (StatusCode::CONFLICT, "already_scheduled"),
            Refused::UnknownAudio(_) => (StatusCode::UNPROCESSABLE_ENTITY, "unknown_audio"),
            Refused::AudioInUse(_) => (StatusCode::CONFLICT, "audio_in_use"),
            Refused::ImportRunning => (StatusCode::CONFLICT, "import_running"),
            Refused::Called { .. } => (StatusCode::CONFLICT, "clients_called"),
            Refused::OnDnc => (StatusCode::UNPROCESSABLE_ENTITY, "on_dnc"),
            Refused::NoClients => (StatusCode::CONFLICT, "no_clients"),
            Refused::OutsideHours { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "outside_hours"),
            Refused::Erased => (StatusCode::CONFLICT, "erased"),
            Refused::Inactive => (StatusCode::CONFLICT, "inactive"),
            Refused::DiallingStopped => (StatusCode::CONFLICT, "all_dialling_stopped"),
            Refused::NoConsent => (StatusCode::UNPROCESSABLE_ENTITY, "no_consent"),
            Refused::NoClient => (StatusCode::CONFLICT, "no_client"),
            Refused::TooManyTags => (StatusCode::UNPROCESSABLE_ENTITY, "too_many_tags"),
            Refused::TooFar => (StatusCode::UNPROCESSABLE_ENTITY, "too_far"),
            Refused::InProgress => (StatusCode::CONFLICT, "in_progress"),
            Refused::NameTaken => (StatusCode::CONFLICT, "name_taken"),
            Refused::LastAdmin => (StatusCode::CONFLICT, "last_admin"),
            Refused::UserDisabled => (StatusCode::CONFLICT, "user_disabled"),
            Refused::WrongPassword => (StatusCode::UNPROCESSABLE_ENTITY, "wrong_password"),
        };
        let problem = Self::new(status, code, refused.to_string());
        match refused {
            Refused::Campaign(state) => problem.with("state", state.as_str()),
            Refused::Transition(error) => problem.with("state", error.from.as_str()),
            Refused::Call(state) => problem.with("state", state.as_str()),
            Refused::Stale { current } => problem.with("settings_version", current),
            Refused::AudioInUse(campaign) => problem.with("campaign_id", campaign.to_string()),
            Refused::Called { called, uncalled } => {
                problem.with("called", called).with("uncalled", uncalled)
            }
            Refused::AlreadyScheduled(call) => problem.with("call_id", call.to_string()),
            Refused::OutsideHours { next_allowed } => {
                problem.with("next_allowed", json!(next_allowed.map(crate::dto::instant)))
            }
            _ => problem,
        }
    }
}

impl From<SettingsError> for Problem {
    fn from(error: SettingsError) -> Self {
        Self::fields(error.0)
    }
}

/// An error with its causes, for the log.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_store_error_shows_neither_its_operation_nor_its_cause() {
        let error = StoreError::new(StoreErrorKind::Other, "claim_due").because("SELECT secret");
        let problem = Problem::from(error);
        let body = json!(problem).to_string();
        assert_eq!(problem.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!body.contains("SELECT") && !body.contains("claim_due"), "{body}");
    }

    #[test]
    fn a_store_that_is_away_says_when_to_come_back() {
        let away = Problem::from(StoreError::new(StoreErrorKind::Unavailable, "call"));
        let response = away.into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(response.headers().contains_key(header::RETRY_AFTER));
    }

    #[test]
    fn the_document_has_the_members_of_the_contract() {
        let problem = Problem::field("phone", "required", "is required");
        assert_eq!(
            json!(problem),
            json!({
                "type": "about:blank", "title": "Bad Request", "status": 400,
                "detail": "bad fields: phone", "code": "invalid_fields",
                "errors": [{"field": "phone", "code": "required", "message": "is required"}],
            })
        );
    }
}
