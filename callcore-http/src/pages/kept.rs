//! What somebody wrote into a form whose session ended meanwhile. It stands in the page they sign in
//! on and in the one after, from which they send it: nothing of it is kept on the server.

use askama::Template;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::Response;

use super::assets::Assets;
use super::form::{CSRF_FIELD, Form};
use super::frame::{is_local, page_with, set_cookie};
use crate::auth::{check_origin, csrf_of, session_secret};
use crate::sign_in::SignedIn;
use crate::state::ApiState;

/// The largest form that is kept, in bytes: a note of the greatest length, encoded.
const MAX_KEPT: usize = 128 * 1024;

/// What the fields begin with while the door's own form carries them.
const PREFIX: &str = "kept-";

/// The field in which the door's own form carries where it was to go.
const ACTION: &str = "kept";

/// Forms that are not kept: a password stands in no page, and who signs in is not to be signed out.
const LEFT: [&str; 2] = ["/settings/password", "/sign-out"];

/// A form that was not taken.
#[derive(Debug)]
pub(super) struct Kept {
    /// Where it was to go.
    pub(super) action: String,
    /// Its fields under the names that the door's form gives them, without the token of the session
    /// that ended.
    pub(super) fields: Vec<(String, String)>,
}

#[derive(Template)]
#[template(path = "resume.html")]
struct ResumePage {
    assets: Assets,
    banner: Option<String>,
    action: String,
    csrf: String,
    fields: Vec<(String, String)>,
    /// What people wrote or chose, to be looked at.
    told: Vec<String>,
    next: String,
}

impl Kept {
    /// The form in a request whose session ended. Only one that our own page sent is kept: another
    /// site's must not wait behind the door for whoever signs in.
    pub(super) async fn of(state: &ApiState, parts: Parts, body: Body) -> Option<Self> {
        let headers = &parts.headers;
        let action = parts.uri.path_and_query()?.to_string();
        let ours = session_secret(headers).is_some() && check_origin(state, headers).is_ok();
        let is_left = LEFT.iter().any(|path| parts.uri.path().ends_with(path));
        if parts.method != Method::POST
            || !ours
            || !is_form(headers)
            || is_left
            || !is_local(&action)
        {
            return None;
        }
        let bytes = to_bytes(body, MAX_KEPT).await.ok()?;
        let request = Request::from_parts(parts, Body::from(bytes));
        let form = Form::unguarded(request, state).await.ok()?;
        let fields = form.fields().filter(|(name, _)| *name != CSRF_FIELD);
        let fields = fields.map(|(name, value)| (format!("{PREFIX}{name}"), value.to_owned()));
        Some(Self { action, fields: fields.collect() })
    }

    /// The form that the door's own form carries.
    pub(super) fn carried(form: &Form) -> Option<Self> {
        let action = form.some(ACTION).filter(|path| is_local(path))?.to_owned();
        let fields = form.fields().filter(|(name, _)| name.starts_with(PREFIX));
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Some(Self { action, fields: fields.collect() })
    }
}

/// Whether a browser sent a form as such: what a script sent has nobody who looks at an answer.
fn is_form(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let media_type = text(header::CONTENT_TYPE.as_str()).unwrap_or_default();
    media_type.starts_with("application/x-www-form-urlencoded")
        && text("sec-fetch-mode").is_none_or(|mode| mode == "navigate")
}

/// The page on which somebody who signed in again sees what was not sent, and sends it.
pub(super) fn resume(state: &ApiState, signed_in: &SignedIn, kept: Kept, next: &str) -> Response {
    let own = |name: &str| name.strip_prefix(PREFIX).unwrap_or(name).to_owned();
    let fields: Vec<(String, String)> =
        kept.fields.into_iter().map(|(name, value)| (own(&name), value)).collect();
    let unseen = |name: &str| ["id", "back", "version"].contains(&name);
    let told = fields.iter().filter(|(name, value)| !unseen(name) && !value.trim().is_empty());
    let page = ResumePage {
        assets: Assets::here(),
        banner: state.banner().map(str::to_owned),
        action: kept.action,
        csrf: csrf_of(signed_in.cookie.value()),
        told: told.map(|(_, value)| value.clone()).collect(),
        fields,
        next: if is_local(next) { next } else { "/dashboard" }.to_owned(),
    };
    let mut response = page_with(StatusCode::OK, &page);
    set_cookie(&mut response, signed_in.cookie.clone());
    response
}
