//! The web pages: server-rendered, real links and forms first.
//!
//! Everything but live updates works without script. Nothing is loaded from elsewhere, and no page
//! has script or style in itself, so that the content security policy can forbid both. Paths are
//! absolute: an application that shows the pages mounts the router at its root.

mod assets;
mod call;
mod calls;
mod campaign;
mod campaign_form;
mod campaigns;
mod charts;
mod client;
mod dashboard;
mod dnc;
mod door;
mod form;
mod frame;
mod import;
mod invitation;
mod rows;
mod when;
mod words;

#[cfg(test)]
mod tests;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::from_fn_with_state;
use axum::response::{Redirect, Response};
use axum::routing::{get, post};
use tower_http::set_header::SetResponseHeaderLayer;

use crate::state::ApiState;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; media-src 'self'; connect-src 'self'; form-action 'self'; \
    frame-ancestors 'none'; base-uri 'none'";

/// How many rows a page of a list has.
const ROWS: u32 = 50;

pub(crate) fn routes(state: &ApiState) -> Router<ApiState> {
    let header = |name: HeaderName, value: &'static str| {
        SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
    };
    inside()
        .route_layer(from_fn_with_state(state.clone(), frame::frame))
        .route("/sign-in", get(door::show).post(door::enter))
        .route("/invitation", get(invitation::show).post(invitation::accept))
        .route("/assets/{hash}/{name}", get(assets::serve))
        .layer(header(header::CONTENT_SECURITY_POLICY, POLICY))
        .layer(header(header::REFERRER_POLICY, "same-origin"))
        .layer(header(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
}

/// The page for a path that leads nowhere, for browsers.
pub(crate) async fn nowhere(state: &ApiState, parts: &Parts) -> Option<Response> {
    let mut response = frame::nowhere(state, parts).await?;
    let policy = HeaderValue::from_static(POLICY);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    Some(response)
}

/// What only shows to people who signed in.
fn inside() -> Router<ApiState> {
    Router::new()
        .route("/", get(async || Redirect::to("/dashboard")))
        .route("/sign-out", post(door::leave))
        .route("/dashboard", get(dashboard::show))
        .route("/campaigns", get(campaigns::show).post(campaign_form::create))
        .route("/campaigns/new", get(campaign_form::show))
        .route("/campaigns/{id}", get(campaign::show))
        .route("/campaigns/{id}/start", post(campaign::start))
        .route("/campaigns/{id}/pause", post(campaign::pause))
        .route("/campaigns/{id}/resume", post(campaign::resume))
        .route("/campaigns/{id}/stop", get(campaign::confirm_stop).post(campaign::stop))
        .route(
            "/campaigns/{id}/import",
            // The upload's own limit is said in words.
            post(import::upload).layer(DefaultBodyLimit::disable()),
        )
        .route("/campaigns/{id}/imports/{import}", get(import::show))
        .route("/campaigns/{id}/clients/{client}", get(client::show))
        .route("/calls/history", get(calls::history))
        .route("/calls/upcoming", get(calls::upcoming))
        .route("/calls/{id}", get(call::show))
        .route("/calls/{id}/call-now", post(call::call_now))
        .route("/calls/{id}/skip", post(call::skip))
        .route("/calls/{id}/reschedule", post(call::reschedule))
        .route("/calls/{id}/retry", post(call::retry))
        .route("/dnc", get(dnc::show).post(dnc::add))
        .route("/dnc/remove", get(dnc::confirm_remove).post(dnc::remove))
}
