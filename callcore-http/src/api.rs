//! The JSON API: one operation a file.

mod campaigns;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

use crate::auth;
use crate::state::ApiState;

pub(crate) fn routes(state: &ApiState) -> Router<ApiState> {
    Router::new()
        .route("/api/campaigns", post(campaigns::create::handle).get(campaigns::list::handle))
        .route("/api/campaigns/{id}", get(campaigns::read::handle))
        .route_layer(from_fn_with_state(state.clone(), auth::guard))
}
