//! The JSON API: one operation a file.

pub(crate) mod calls;
pub(crate) mod campaigns;
pub(crate) mod clients;
pub(crate) mod dashboard;
pub(crate) mod dnc;
pub(crate) mod imports;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post};

use crate::auth;
use crate::state::ApiState;

pub(crate) fn routes(state: &ApiState) -> Router<ApiState> {
    Router::new()
        .route("/api/campaigns", post(campaigns::create::handle).get(campaigns::list::handle))
        .route("/api/campaigns/{id}", get(campaigns::read::handle).patch(campaigns::change::handle))
        .route("/api/campaigns/{id}/start", post(campaigns::run::start))
        .route("/api/campaigns/{id}/pause", post(campaigns::run::pause))
        .route("/api/campaigns/{id}/resume", post(campaigns::run::resume))
        .route("/api/campaigns/{id}/stop", post(campaigns::run::stop))
        .route("/api/campaigns/{id}/import", post(imports::upload::handle))
        .route("/api/campaigns/{id}/analytics", get(campaigns::analytics::handle))
        .route("/api/campaigns/{id}/export", get(campaigns::export::handle))
        .route("/api/campaigns/{id}/clients", get(clients::list::handle))
        .route("/api/clients/{id}", get(clients::read::handle))
        .route("/api/imports/{id}", get(imports::read::handle))
        .route("/api/calls/history", get(calls::history::handle))
        .route("/api/calls/upcoming", get(calls::upcoming::handle))
        .route("/api/calls/{id}", get(calls::read::handle))
        .route("/api/calls/{id}/transcript.txt", get(calls::transcript::handle))
        .route("/api/calls/{id}/recording", get(calls::recording::handle))
        .route("/api/calls/{id}/call-now", post(calls::call_now::handle))
        .route("/api/calls/{id}/skip", post(calls::skip::handle))
        .route("/api/calls/{id}/reschedule", post(calls::reschedule::handle))
        .route("/api/calls/{id}/retry", post(calls::retry::handle))
        .route("/api/dnc", get(dnc::list::handle).post(dnc::add::handle))
        .route("/api/dnc/{phone}", delete(dnc::remove::handle))
        .route("/api/dashboard", get(dashboard::handle))
        // Each handler has a limit of its own, said in words.
        .layer(DefaultBodyLimit::disable())
        .route_layer(from_fn_with_state(state.clone(), auth::guard))
}
