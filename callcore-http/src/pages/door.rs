//! Signing in and out.

use askama::Template;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};

use super::assets::Assets;
use super::form::Form;
use super::frame::{
    Answer, Trouble, UNSENT, back_of, is_local, page_with, set_cookie, to_the_door,
};
use super::kept::{Kept, resume};
use crate::auth::check_origin;
use crate::problem::Problem;
use crate::sign_in::{self, SignedIn};
use crate::state::ApiState;
use crate::throttle::Source;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct DoorPage {
    assets: Assets,
    banner: Option<String>,
    trouble: Option<String>,
    /// A link's secret that can be redeemed.
    link: Option<String>,
    name: String,
    /// Where the person wanted to go.
    next: String,
    kept: Option<Kept>,
}

impl DoorPage {
    fn new(state: &ApiState) -> Self {
        Self {
            assets: Assets::here(),
            banner: state.banner().map(str::to_owned),
            trouble: None,
            link: None,
            name: String::new(),
            next: String::new(),
            kept: None,
        }
    }

    fn with_trouble(mut self, trouble: impl Into<String>) -> Self {
        self.trouble = Some(trouble.into());
        self
    }
}

/// What stands in the address.
type Wanted = Result<Query<Vec<(String, String)>>, QueryRejection>;

const WAS_UNSENT: &str = "You were signed out meanwhile, so what you just sent was not taken, and nothing was changed. Sign in to get back to where you were, and send it again.";

const IS_KEPT: &str = "You were signed out meanwhile, so what you just sent was not taken yet, and nothing was changed. It is kept on this page: sign in, and you can send it.";

const LINK_IS_OVER: &str = "This sign-in link was used already, or its 15 minutes are over. A restart of the server prints a new one.";

/// The door. Opening a sign-in link does not use it up: its button does.
pub(super) async fn show(State(state): State<ApiState>, query: Wanted) -> Response {
    // An address that was mangled on its way still leads to the door.
    let wanted = query.map(|Query(pairs)| pairs).unwrap_or_default();
    let value = |key: &str| wanted.iter().find(|(name, _)| name == key).map(|(_, it)| it.clone());
    let mut door = DoorPage { next: value("next").unwrap_or_default(), ..DoorPage::new(&state) };
    if wanted.iter().any(|(name, _)| name == UNSENT) {
        door.trouble = Some(WAS_UNSENT.to_owned());
    }
    let Some(link) = value("link").filter(|link| !link.is_empty()) else {
        return page_with(StatusCode::OK, &door);
    };
    match sign_in::link_is_good(&state, &link).await {
        Ok(true) => {
            door.link = Some(link);
            page_with(StatusCode::OK, &door)
        }
        Ok(false) => page_with(StatusCode::GONE, &door.with_trouble(LINK_IS_OVER)),
        Err(error) => {
            let trouble = Trouble::from(error);
            page_with(trouble.status(), &door.with_trouble(trouble.sentence()))
        }
    }
}

/// Signs in by link, or by name and password.
pub(super) async fn enter(State(state): State<ApiState>, request: Request) -> Response {
    match try_enter(&state, request).await {
        Ok(response) => response,
        Err(trouble) => closed(&state, &trouble),
    }
}

async fn try_enter(state: &ApiState, request: Request) -> Answer {
    // Nobody is signed in whose token could be asked for: the origin keeps other sites from
    // signing somebody in under a name they don't know.
    check_origin(state, request.headers())?;
    let source = Source::of(request.extensions());
    let form = Form::unguarded(request, state).await?;
    let mut door = DoorPage {
        next: form.text("next").to_owned(),
        kept: Kept::carried(&form),
        ..DoorPage::new(state)
    };
    if let Some(link) = form.some("link") {
        return Ok(match sign_in::redeem_link(state, link).await? {
            Some(signed_in) => welcome(&signed_in, &door.next),
            None => page_with(StatusCode::GONE, &door.with_trouble(LINK_IS_OVER)),
        });
    }
    let name = form.text("name").to_owned();
    let password = form.raw("password").to_owned();
    if let Some(signed_in) = sign_in::with_password(state, &name, password, source.as_ref()).await?
    {
        return Ok(match door.kept {
            Some(kept) => resume(state, &signed_in, kept, &door.next),
            None => welcome(&signed_in, &door.next),
        });
    }
    door.name = name;
    let trouble = "That name and password don't belong together.";
    Ok(page_with(StatusCode::UNAUTHORIZED, &door.with_trouble(trouble)))
}

pub(super) fn welcome(signed_in: &SignedIn, next: &str) -> Response {
    let to = if is_local(next) { next } else { "/dashboard" };
    let mut response = Redirect::to(to).into_response();
    set_cookie(&mut response, signed_in.cookie.clone());
    response
}

/// The door for somebody who is not signed in, or not any more: with what they had written, if that
/// can be kept.
pub(super) async fn turned_away(state: &ApiState, parts: Parts, body: Body) -> Response {
    let (next, door) = (back_of(&parts.headers), to_the_door(&parts));
    match Kept::of(state, parts, body).await {
        Some(kept) => {
            let page = DoorPage {
                next: next.unwrap_or_default(),
                kept: Some(kept),
                ..DoorPage::new(state).with_trouble(IS_KEPT)
            };
            page_with(StatusCode::UNAUTHORIZED, &page)
        }
        None => door,
    }
}

/// Ends the session.
pub(super) async fn leave(State(state): State<ApiState>, headers: HeaderMap, _: Form) -> Answer {
    let cookie = sign_in::sign_out(&state, &headers).await.map_err(Problem::from)?;
    let mut response = Redirect::to("/sign-in").into_response();
    set_cookie(&mut response, cookie);
    Ok(response)
}

/// The door with the reason why it stays closed.
pub(super) fn closed(state: &ApiState, trouble: &Trouble) -> Response {
    let door = DoorPage::new(state).with_trouble(trouble.sentence());
    let mut response = page_with(trouble.status(), &door);
    if let Some(seconds) = trouble.retry_after() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
