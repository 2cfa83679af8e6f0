//! What carriers send: let in by their signature alone, answered once it is durable.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, OriginalUri, Path, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use callcore::port::{WebhookError, WebhookRequest};

use crate::problem::Problem;
use crate::state::ApiState;

/// The largest webhook, in bytes.
const MAX_BODY: usize = 256 * 1024;

pub(crate) fn routes() -> Router<ApiState> {
    Router::new()
        .route("/webhooks/{provider}/{*path}", any(take))
        .layer(DefaultBodyLimit::max(MAX_BODY))
}

async fn take(
    State(state): State<ApiState>,
    Path((provider, _)): Path<(String, String)>,
    OriginalUri(uri): OriginalUri,
    method: Method,
    headers: HeaderMap,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<Response, Problem> {
    let decoder = state.decoder(&provider).ok_or_else(Problem::not_found)?.clone();
    let body = body.map_err(|error| {
        let status = error.status();
        Problem::new(status, "unreadable", "the body is too large or broke off")
    })?;
    let headers: Vec<(String, String)> = headers
        .iter()
        .map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect();
    let below = format!("/webhooks/{provider}/");
    let path = uri.path().split_once(&below).map_or("", |(_, path)| path);
    let request = WebhookRequest {
        method: method.as_str(),
        path,
        query: uri.query().unwrap_or_default(),
        headers: &headers,
        body: &body,
        now: state.now(),
        entropy: state.entropy(),
    };
    let reply = decoder.decode(&request).map_err(|error| match error {
        WebhookError::Forbidden => {
            Problem::new(StatusCode::FORBIDDEN, "bad_signature", "the signature does not match")
        }
        WebhookError::Malformed => {
            Problem::new(StatusCode::BAD_REQUEST, "malformed", "the request makes no sense")
        }
    })?;
    if !reply.reports.is_empty() {
        state.events().record(reply.reports).await?;
        state.wake();
    }
    Ok(([(header::CONTENT_TYPE, reply.content_type)], reply.body).into_response())
}
