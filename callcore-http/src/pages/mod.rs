//! The web pages: server-rendered, real links and forms first.
//!
//! Everything but live updates works without script. Nothing is loaded from elsewhere, and no page
//! has script or style in itself, so that the content security policy can forbid both. Paths are
//! absolute: an application that shows the pages mounts the router at its root.

mod account;
mod assets;
mod audit;
mod call;
mod campaign;
mod campaigns;
mod charts;
mod client;
mod dashboard;
mod dnc;
mod door;
mod form;
mod frame;
mod history;
mod import;
mod invitation;
mod kept;
mod list;
mod locale;
mod notes;
mod rows;
mod settings;
mod setup;
mod times;
mod upcoming;
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

use crate::problem::Problem;
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

/// The page for a path that leads nowhere or takes only forms, for browsers.
pub(crate) async fn nowhere(
    state: &ApiState,
    parts: &Parts,
    problem: &Problem,
) -> Option<Response> {
    let mut response = frame::nowhere(state, parts, problem).await?;
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
        .merge(setup::routes())
        .route("/pause-all", post(account::pause_all))
        .route("/stop-all", get(account::confirm_stop).post(account::stop))
        .route("/resume-all", post(account::resume))
        .route(
            "/campaigns",
            // The upload's own limit is said in words.
            get(campaigns::show).post(setup::list::create).layer(DefaultBodyLimit::disable()),
        )
        .route("/campaigns/{id}", get(campaign::show))
        .route("/campaigns/{id}/changes", get(campaign::changes::show))
        .route("/campaigns/{id}/start", post(campaign::run::start))
        .route("/campaigns/{id}/pause", post(campaign::run::pause))
        .route("/campaigns/{id}/resume", post(campaign::run::resume))
        .route("/campaigns/{id}/stop", get(campaign::run::confirm_stop).post(campaign::run::stop))
        .route(
            "/campaigns/{id}/delete",
            get(campaign::run::confirm_delete).post(campaign::run::delete),
        )
        .route("/campaigns/{id}/import", post(import::upload).layer(DefaultBodyLimit::disable()))
        .route("/campaigns/{id}/imports", get(import::list))
        .route("/campaigns/{id}/imports/{import}", get(import::show))
        .route(
            "/campaigns/{id}/imports/{import}/undo",
            get(import::confirm_undo).post(import::undo),
        )
        .route("/campaigns/{id}/clients/{client}", get(client::show))
        .route("/campaigns/{id}/clients/{client}/note", post(client::note))
        .route("/campaigns/{id}/clients/{client}/tags", post(client::tags))
        .route("/campaigns/{id}/clients/{client}/active", post(client::active))
        .route("/campaigns/{id}/clients/{client}/zone", post(client::zone))
        .route("/campaigns/{id}/clients/{client}/consent", post(client::consent))
        .route("/campaigns/{id}/clients/{client}/call-now", post(client::call_now))
        .route(
            "/campaigns/{id}/clients/{client}/erase",
            get(client::confirm_erase).post(client::erase),
        )
        .route("/calls/history", get(history::show))
        .route("/calls/history/many", post(history::many))
        .route("/calls/upcoming", get(upcoming::show))
        .route("/calls/upcoming/skip", get(upcoming::confirm_skip).post(upcoming::skip_all))
        .route("/calls/upcoming/reschedule", get(upcoming::choose_time).post(upcoming::reschedule))
        .route("/calls/{id}", get(call::show))
        .route("/calls/{id}/call-now", post(call::call_now))
        .route("/calls/{id}/skip", post(call::skip))
        .route("/calls/{id}/reschedule", post(call::reschedule))
        .route("/calls/{id}/retry", post(call::retry))
        .route("/calls/{id}/note", post(call::note))
        .route("/calls/{id}/review", post(call::review))
        .route("/calls/{id}/tag", post(call::tag))
        .merge(settings::routes())
        .route("/audit", get(audit::show))
        .route("/dnc", get(dnc::show).post(dnc::add))
        .route(
            "/dnc/import",
            // The upload's own limit is said in words.
            get(dnc::import::form).post(dnc::import::upload).layer(DefaultBodyLimit::disable()),
        )
        .route("/dnc/imports/{id}", get(dnc::import::show))
        .route("/dnc/remove", get(dnc::confirm_remove).post(dnc::remove))
}
