//! Where somebody who was invited chooses a password. Opening the link does not use it up: the form
//! does.

use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use callcore::port::User;

use super::assets::Assets;
use super::door::{closed, welcome};
use super::form::Form;
use super::frame::{Answer, page_with};
use crate::auth::check_origin;
use crate::problem::Problem;
use crate::sign_in::{self, MIN_PASSWORD_CHARS};
use crate::state::ApiState;

#[derive(Template)]
#[template(path = "invitation.html")]
struct InvitationPage {
    assets: Assets,
    banner: Option<String>,
    trouble: Option<String>,
    link: String,
    /// Who was invited; none if the invitation is over.
    name: Option<String>,
    least: usize,
}

const IS_OVER: &str = "This invitation was used already, a newer one was made, or its three days are over. Ask an admin for another.";

impl InvitationPage {
    fn new(state: &ApiState, link: &str, user: Option<User>) -> Self {
        Self {
            assets: Assets::here(),
            banner: state.banner().map(str::to_owned),
            trouble: user.is_none().then(|| IS_OVER.to_owned()),
            link: link.to_owned(),
            name: user.map(|user| user.name),
            least: MIN_PASSWORD_CHARS,
        }
    }
}

pub(super) async fn show(
    State(state): State<ApiState>,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Response {
    // An address that was mangled on its way is one that is over.
    let wanted = query.map(|Query(pairs)| pairs).unwrap_or_default();
    let link = wanted.iter().find(|(name, _)| name == "link").map_or("", |(_, link)| link);
    match sign_in::invited(&state, link).await {
        Ok(user) => {
            let status = if user.is_some() { StatusCode::OK } else { StatusCode::GONE };
            page_with(status, &InvitationPage::new(&state, link, user))
        }
        Err(error) => closed(&state, &Problem::from(error).into()),
    }
}

pub(super) async fn accept(State(state): State<ApiState>, request: Request) -> Response {
    match try_accept(&state, request).await {
        Ok(response) => response,
        Err(trouble) => closed(&state, &trouble),
    }
}

async fn try_accept(state: &ApiState, request: Request) -> Answer {
    // Nobody is signed in whose token could be asked for; the link is a secret of its own.
    check_origin(state, request.headers())?;
    let form = Form::unguarded(request, state).await?;
    let (link, password) = (form.text("link").to_owned(), form.raw("password").to_owned());
    let Some(user) = sign_in::invited(state, &link).await? else {
        return Ok(page_with(StatusCode::GONE, &InvitationPage::new(state, &link, None)));
    };
    let trouble = match sign_in::check_new_password(&user.name, &password) {
        Err(rule) => Some(format!("That password won't do: {rule}.")),
        Ok(()) if form.raw("again") != password => Some("The two are not the same.".to_owned()),
        Ok(()) => None,
    };
    if trouble.is_some() {
        let page = InvitationPage { trouble, ..InvitationPage::new(state, &link, Some(user)) };
        return Ok(page_with(StatusCode::UNPROCESSABLE_ENTITY, &page));
    }
    Ok(match sign_in::accept_invitation(state, &link, password).await? {
        Some(signed_in) => welcome(&signed_in, ""),
        None => page_with(StatusCode::GONE, &InvitationPage::new(state, &link, None)),
    })
}
