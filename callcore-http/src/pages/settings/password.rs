//! Somebody's own password: the one they have, and twice the one they choose.

use askama::Template;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use callcore::actor::Actor;
use callcore::port::{ActError, Refused, StoreError};

use super::super::form::{CSRF_FIELD, Form};
use super::super::frame::{Answer, NavItem, Shell, Trouble, Visit, done, page_with};
use super::tabs;
use crate::query::Query;
use crate::sign_in::{self, MIN_PASSWORD_CHARS, Unconfirmed};
use crate::state::ApiState;
use crate::throttle::Source;

const PATH: &str = "/settings/password";

#[derive(Template)]
#[template(path = "settings/password.html")]
struct PasswordPage {
    shell: Shell,
    tabs: Vec<NavItem>,
    name: String,
    has_one: bool,
    least: usize,
}

/// Whether somebody who is signed in has a password: whoever else could change one.
async fn has_password(state: &ApiState, actor: &Actor) -> Result<bool, StoreError> {
    let Actor::User(name) = actor else { return Ok(false) };
    Ok(state.store().user(name).await?.is_some_and(|user| user.password_hash.is_some()))
}

async fn password_page(
    state: &ApiState,
    visit: &Visit,
    wrong: Option<(StatusCode, String)>,
) -> Answer {
    let actor = &visit.principal.actor;
    let (status, shell) = (StatusCode::OK, visit.shell(state, "Your password", "/settings"));
    let (status, shell) = match wrong {
        Some((status, words)) => (status, shell.at(PATH).with_trouble(words)),
        None => (status, shell),
    };
    let page = PasswordPage {
        name: shell.user.clone(),
        shell,
        tabs: tabs(visit, PATH),
        has_one: has_password(state, actor).await?,
        least: MIN_PASSWORD_CHARS,
    };
    Ok(page_with(status, &page))
}

pub(in crate::pages) async fn show(
    State(state): State<ApiState>,
    visit: Visit,
    query: Query,
) -> Answer {
    query.finish()?;
    password_page(&state, &visit, None).await
}

pub(in crate::pages) async fn save(
    State(state): State<ApiState>,
    visit: Visit,
    request: Request,
) -> Answer {
    let (headers, source) = (request.headers().clone(), Source::of(request.extensions()));
    let form = Form::unguarded(request, &state).await?;
    visit.principal.check_csrf(Some(form.text(CSRF_FIELD)))?;
    let wrong = |words: String| Some((StatusCode::UNPROCESSABLE_ENTITY, words));
    let not_yours = "The current password is not the one you gave, so nothing was changed.";
    let actor = &visit.principal.actor;
    let name = match actor {
        Actor::User(name) => name,
        _ => "",
    };
    let new = form.raw("password").to_owned();
    if let Err(rule) = sign_in::check_new_password(name, &new) {
        let words = format!("The new password won't do: {rule}.");
        return password_page(&state, &visit, wrong(words)).await;
    }
    if form.raw("again") != new {
        let words = "The two new passwords are not the same.".to_owned();
        return password_page(&state, &visit, wrong(words)).await;
    }
    let current = form.raw("current").to_owned();
    let confirmed = match sign_in::confirm(&state, actor, current, source.as_ref()).await {
        Ok(confirmed) => confirmed,
        Err(Unconfirmed::Wrong) => {
            return password_page(&state, &visit, wrong(not_yours.to_owned())).await;
        }
        Err(Unconfirmed::NoPassword) => return password_page(&state, &visit, None).await,
        Err(Unconfirmed::Problem(problem)) => return Err(Trouble::from(problem)),
    };
    let new = sign_in::replacement(&state, &headers, &confirmed, new).await?;
    match state.store().change_password(visit.by(), confirmed.user.id, new).await {
        Ok(_) => {
            let said = "Your password is changed. Wherever else you were signed in, you are out.";
            Ok(done(PATH, said))
        }
        Err(ActError::Refused(Refused::WrongPassword)) => {
            password_page(&state, &visit, wrong(not_yours.to_owned())).await
        }
        Err(error) => Err(error.into()),
    }
}
