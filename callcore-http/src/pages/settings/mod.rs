//! The settings of the account, and who and what gets in.

pub(super) mod account;
pub(super) mod audio;
pub(super) mod mail;
pub(super) mod password;
pub(super) mod tokens;
pub(super) mod users;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::{get, post};
use callcore::account::AccountSettings;
use callcore::actor::Role;
use callcore::campaign::{FieldError, SettingsError};
use callcore::port::{AccountView, ActError, Refused};
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::form::{Choice, Errors, Form};
use super::frame::{NavItem, Trouble, Visit};
use super::setup::AUDIO_FORM;
use super::when::When;
use crate::state::ApiState;

pub(super) fn routes() -> Router<ApiState> {
    Router::new()
        .route("/settings", get(account::show).post(account::save))
        .route("/settings/mail", get(mail::show).post(mail::save))
        .route("/settings/mail/summary", post(mail::send_summary))
        .route(
            "/settings/audio",
            get(audio::show).post(audio::upload).layer(DefaultBodyLimit::max(AUDIO_FORM)),
        )
        .route("/settings/audio/{id}/delete", post(audio::delete))
        .route("/settings/password", get(password::show).post(password::save))
        .route("/settings/users", get(users::show).post(users::invite))
        .route("/settings/users/{id}", get(users::one).post(users::change))
        .route("/settings/users/{id}/invite", post(users::invite_again))
        .route("/settings/tokens", get(tokens::show).post(tokens::create))
        .route("/settings/tokens/{id}/revoke", post(tokens::revoke))
}

/// The pages of settings somebody may open.
fn tabs(visit: &Visit, at: &str) -> Vec<NavItem> {
    let pages = [
        ("/settings", "Account", Role::Viewer),
        ("/settings/mail", "Mail", Role::Viewer),
        ("/settings/audio", "Audio", Role::Viewer),
        ("/settings/password", "Your password", Role::Viewer),
        ("/settings/users", "Users", Role::Admin),
        ("/settings/tokens", "Tokens", Role::Admin),
    ];
    let mine = pages.into_iter().filter(|(_, _, role)| visit.principal.role >= *role);
    mine.map(|(href, label, _)| NavItem { href, label, current: href == at }).collect()
}

/// Why changed settings were not saved.
enum Unsaved {
    Fields(Vec<FieldError>),
    /// Somebody else changed them meanwhile.
    Stale,
}

impl Unsaved {
    const fn status(&self) -> StatusCode {
        match self {
            Self::Fields(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Stale => StatusCode::PRECONDITION_FAILED,
        }
    }

    fn trouble(&self) -> &'static str {
        match self {
            Self::Fields(_) => "Nothing was saved yet: see below what is wrong.",
            Self::Stale => {
                "Somebody else changed the settings meanwhile, so nothing was saved yet. What you wrote stands below; save again to put it in place of theirs."
            }
        }
    }

    fn errors(self) -> Errors {
        match self {
            Self::Fields(errors) => Errors(errors),
            Self::Stale => Errors::default(),
        }
    }
}

/// Puts changed settings in force, made from the version the form was made from.
async fn save(
    state: &ApiState,
    visit: &Visit,
    form: &Form,
    account: &AccountView,
    change: impl FnOnce(&mut Value),
) -> Result<Result<(), Unsaved>, Trouble> {
    let mut document = account.settings.to_json();
    change(&mut document);
    let settings = match AccountSettings::from_json(&document) {
        Ok(settings) => settings,
        Err(SettingsError(errors)) => return Ok(Err(Unsaved::Fields(errors))),
    };
    let version = form.read("version").unwrap_or_default();
    match state.store().change_account(visit.by(), version, Arc::new(settings)).await {
        Ok(_) => {
            state.wake();
            Ok(Ok(()))
        }
        Err(ActError::Refused(Refused::Stale { .. })) => Ok(Err(Unsaved::Stale)),
        Err(error) => Err(error.into()),
    }
}

/// What was written into a field of a document: a number where it is one, nothing where it is
/// empty, and else the text, so that the settings say what is wrong with it.
fn number(text: &str) -> Value {
    match text {
        "" => Value::Null,
        text => text.parse::<u32>().map_or_else(|_| text.into(), Value::from),
    }
}

/// The roles somebody may give, with what each may do.
fn roles(chosen: Role) -> Vec<Choice> {
    let roles = [
        (Role::Viewer, "viewer: reads"),
        (Role::Operator, "operator: also calls, reviews, edits clients"),
        (Role::Admin, "admin: everything"),
    ];
    roles.map(|(role, words)| Choice::new(role.as_str(), words, role == chosen)).into()
}

/// An instant of the wall clock, where that and the campaign clock may differ.
fn wall(state: &ApiState, visit: &Visit, at: DateTime<Utc>) -> When {
    When::new(at, state.wall_now(), &visit.zone)
}

/// A link as somebody can pass it on: whole, also where only the browser knows where we are.
fn whole(link: String, headers: &HeaderMap) -> String {
    let origin = headers.get(header::ORIGIN).and_then(|it| it.to_str().ok());
    match origin.filter(|origin| link.starts_with('/') && origin.starts_with("http")) {
        Some(origin) => format!("{origin}{link}"),
        None => link,
    }
}
