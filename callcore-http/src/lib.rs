//! callcore over HTTP: the JSON API, provider webhooks and health checks as one axum router.
//!
//! An application makes an [`ApiState`] from its ports and mounts [`router`] wherever it likes.
//! Nothing answers without a bearer token, a session or a sign-in of the application's own, but
//! the health checks, webhooks, which their signature lets in, and what comes with a token of its own:
//! the result of a call, and the audio of a script under `/media`.
//!
//! ```
//! use std::sync::Arc;
//!
//! use axum::Router;
//! use callcore::actor::Role;
//! use callcore::port::{Store, Telephony};
//! use callcore::time::{Clock, Entropy};
//! use callcore_http::{ApiState, Ports, router};
//!
//! fn mount(
//!     store: Arc<dyn Store>,
//!     carrier: Arc<dyn Telephony>,
//!     clock: Arc<dyn Clock>,
//!     entropy: Arc<dyn Entropy>,
//! ) -> Router {
//!     let ports = Ports { store, carrier, clock: clock.clone(), wall: clock, entropy };
//!     let state = ApiState::new(ports).with_token("reports", "a long random secret", Role::Viewer);
//!     Router::new().nest("/calls", router(state))
//! }
//! # let _ = mount;
//! ```
//!
//! Time limits, TLS, rate limits and the like are layers of the application's own.
//!
//! # Bringing one's own sign-in
//!
//! A layer around the router that puts a [`Principal`] into the request's extensions is believed:
//!
//! ```
//! use axum::extract::Request;
//! use axum::middleware::Next;
//! use axum::response::Response;
//! use callcore::actor::{Actor, Role};
//! use callcore_http::Principal;
//!
//! async fn sign_in_by_proxy(mut request: Request, next: Next) -> Response {
//!     let name = request.headers().get("x-user").and_then(|name| name.to_str().ok());
//!     if let Some(name) = name.map(str::to_owned) {
//!         request.extensions_mut().insert(Principal::new(Actor::User(name), Role::Operator));
//!     }
//!     next.run(request).await
//! }
//! # let _ = axum::middleware::from_fn::<_, (Request,)>(sign_in_by_proxy);
//! ```

mod act;
mod api;
pub mod auth;
mod distinct;
mod dnc_importing;
mod download;
mod dto;
mod events;
mod feed;
mod health;
mod holding;
mod importing;
mod known_tokens;
mod media;
mod metrics;
#[cfg(feature = "pages")]
mod pages;
mod problem;
mod query;
mod ranged;
mod request;
pub mod sign_in;
mod state;
mod throttle;
mod upload;
#[cfg(feature = "pages")]
mod waiting_lists;
mod webhooks;

#[cfg(test)]
mod testing;

pub use api::{ROUTES, Route};
pub use auth::Principal;
pub use events::EventSink;
pub use problem::Problem;
pub use query::{Instants, Query};
pub use state::{ApiState, Ports};
pub use throttle::Source;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::trace::TraceLayer;

/// Everything callcore serves: the API under `/api`, `/media`, `/webhooks`, `/healthz` and `/readyz`, and with
/// the feature `pages` the web pages, whose links take it that the router is mounted at the root.
pub fn router(state: ApiState) -> Router {
    let header = |name: HeaderName, value: &'static str| {
        SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
    };
    let router = Router::new();
    #[cfg(feature = "pages")]
    let router = router.merge(pages::routes(&state));
    router
        .merge(api::routes(&state))
        .merge(health::routes())
        .merge(metrics::routes())
        .merge(media::routes())
        .merge(webhooks::routes())
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(header(header::CACHE_CONTROL, "no-store"))
        .layer(header(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(TraceLayer::new_for_http().make_span_with(span))
        .with_state(state)
}

/// The span of a request carries the route it matched, never its URI: paths and queries hold ids
/// and phone numbers.
fn span(request: &Request) -> tracing::Span {
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    tracing::info_span!("request", method = %request.method(), route)
}

/// Strangers don't learn which paths exist.
async fn unknown(State(state): State<ApiState>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    #[cfg(feature = "pages")]
    if let Some(page) = pages::nowhere(&state, &parts, &Problem::not_found()).await {
        return page;
    }
    match auth::authenticate(&state, &parts).await {
        Ok(_) => Problem::not_found().into_response(),
        Err(problem) => problem.into_response(),
    }
}

/// The same holds for what a path takes.
async fn wrong_method(State(state): State<ApiState>, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    // Nothing is done, so it does not matter where the request comes from.
    parts.method = Method::GET;
    let problem =
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "not with this method");
    #[cfg(feature = "pages")]
    if let Some(page) = pages::nowhere(&state, &parts, &problem).await {
        return page;
    }
    match auth::authenticate(&state, &parts).await {
        Ok(_) => problem.into_response(),
        Err(problem) => problem.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use serde_json::json;

    use crate::testing::World;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn logs_have_routes_and_neither_numbers_nor_secrets() {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
            .with_writer(move || writer.clone())
            .finish();
        let guard = tracing::subscriber::set_default(subscriber);
        let world = World::new();
        world.loaded(1).await;
        world.post("/api/dnc", json!({"phone": "+12125550101"})).await;
        world.delete("/api/dnc/12125550101?reason=hush").await;
        world.get("/api/calls/history?q=5550101").await;
        drop(guard);
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert!(text.contains("/api/dnc/{phone}"), "{text}");
        for secret in ["5550101", "5550100", "hush", "Bearer", "Client 0"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }
}
