//! Posted forms: read whole, believed only with the session's CSRF token.

use std::fmt;
use std::str::FromStr;

use axum::extract::{FromRequest, Multipart, Request};
use axum::http::StatusCode;
use callcore::campaign::FieldError;

use super::frame::{Trouble, Visit, is_local};
use crate::api::audio;
use crate::problem::Problem;
use crate::state::ApiState;
use crate::upload::{broken, check_media_type, text, unreadable};

/// The field that carries the CSRF token.
pub(super) const CSRF_FIELD: &str = "csrf";

/// The name and the bytes of a file.
pub(super) type SentFile = (String, Vec<u8>);

/// The fields of a form whose CSRF token is the session's.
pub(super) struct Form(Vec<(String, String)>);

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl FromRequest<ApiState> for Form {
    type Rejection = Trouble;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, Trouble> {
        let visit = request.extensions().get::<Visit>().cloned();
        let form = Self::unguarded(request, state).await?;
        let visit = visit.ok_or_else(Problem::not_found)?;
        visit.principal.check_csrf(Some(form.text(CSRF_FIELD)))?;
        Ok(form)
    }
}

impl Form {
    /// The fields of a form that nobody who signed in has sent.
    pub(super) async fn unguarded(request: Request, state: &ApiState) -> Result<Self, Problem> {
        let fields = axum::Form::<Vec<(String, String)>>::from_request(request, state).await;
        let fields = fields.map_err(|rejection| {
            let status = rejection.status();
            let code = if status == StatusCode::PAYLOAD_TOO_LARGE { "too_large" } else { "form" };
            Problem::new(status, code, "the form could not be read")
        })?;
        // No database keeps a NUL.
        match fields.0.iter().find(|(name, value)| name.contains('\0') || value.contains('\0')) {
            Some((name, _)) => {
                let name = name.replace('\0', " ");
                Err(Problem::field(&name, "invalid", "holds a NUL character"))
            }
            None => Ok(Self(fields.0)),
        }
    }

    /// A field without the white space around it; empty if it is not there.
    pub(super) fn text(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// A field as it was sent.
    pub(super) fn raw(&self, name: &str) -> &str {
        self.given(name).unwrap_or_default()
    }

    /// A field as it was sent; none if it was not.
    pub(super) fn given(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| &**value)
    }

    /// A field that is not empty.
    pub(super) fn some(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// Every value of a field that may repeat.
    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        let fields = self.0.iter().filter(|(field, _)| field == name);
        fields.map(|(_, value)| value.trim()).collect()
    }

    /// The page of ours that the form wants to go back to, or else another.
    pub(super) fn back(&self, otherwise: impl Into<String>) -> String {
        let back = self.some("back").filter(|path| is_local(path));
        back.map_or_else(|| otherwise.into(), str::to_owned)
    }

    /// Reads a form with a file in its last field, `file`: none if nothing was chosen. What is wrong
    /// with the file comes back instead of it, so that the rest is not lost.
    pub(super) async fn with_file(
        request: Request,
        state: &ApiState,
    ) -> Result<(Self, Option<Result<SentFile, Problem>>), Trouble> {
        let visit = request.extensions().get::<Visit>().cloned().ok_or_else(Problem::not_found)?;
        check_media_type(request.headers())?;
        let parts = Multipart::from_request(request, state).await;
        let mut parts = parts.map_err(|_| unreadable("no boundary"))?;
        let (mut fields, mut file) = (Vec::new(), None);
        while let Some(field) = parts.next_field().await.map_err(|error| broken(&error))? {
            let name = field.name().unwrap_or_default().to_owned();
            if name == "file" {
                file = Some(audio::upload::read(field).await);
                // Of a body that broke off there is no more to read.
                if matches!(file, Some(Err(_))) {
                    break;
                }
            } else {
                fields.push((name, text(field).await?));
            }
        }
        let form = Self(fields);
        visit.principal.check_csrf(Some(form.text(CSRF_FIELD)))?;
        let chosen =
            |file: &Result<SentFile, Problem>| !matches!(file, Ok((_, bytes)) if bytes.is_empty());
        Ok((form, file.filter(chosen)))
    }

    /// Every field, in the order it was sent.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Whether a field was sent at all.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(field, _)| field == name)
    }

    /// A field as a value; none if it is empty or not there.
    pub(super) fn read<T: FromStr>(&self, name: &str) -> Option<T> {
        self.some(name)?.parse().ok()
    }
}

/// An entry of a choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) value: String,
    pub(super) label: String,
    pub(super) chosen: bool,
}

impl Choice {
    pub(super) fn new(value: impl ToString, label: impl Into<String>, chosen: bool) -> Self {
        Self { value: value.to_string(), label: label.into(), chosen }
    }
}

/// What is wrong with the fields of a form; each message is shown at its field.
#[derive(Debug, Default)]
pub(super) struct Errors(pub(super) Vec<FieldError>);

impl Errors {
    /// The messages of a field, and of what lies within it: `script.steps[0]` is shown at `script`.
    pub(super) fn of(&self, field: &str) -> Vec<String> {
        let mine = self.0.iter().filter(|error| error.field == field);
        mine.map(|error| told(&error.message)).collect()
    }

    pub(super) fn has(&self, field: &str) -> bool {
        self.0.iter().any(|error| error.field == field)
    }

    /// What has no place of its own on a page that tells what begins with these.
    pub(super) fn beside(&self, placed: &[&str]) -> Vec<String> {
        let rest =
            self.0.iter().filter(|error| !placed.iter().any(|it| error.field.starts_with(it)));
        rest.map(|error| format!("{}: {}", error.field, told(&error.message))).collect()
    }

    /// The messages of everything below a field.
    pub(super) fn under(&self, path: &str) -> Vec<String> {
        let mine = self.0.iter().filter(|error| error.field.starts_with(path));
        mine.map(|error| told(&error.message)).collect()
    }
}

/// A message as a sentence.
fn told(message: &str) -> String {
    let mut text = message.to_owned();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text + "."
}
