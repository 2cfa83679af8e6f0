//! What carriers send: let in by their signature alone, answered once it is durable.

use std::sync::atomic::Ordering;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, OriginalUri, Path, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use callcore::performance::Performance;
use callcore::port::{WebhookAnswer, WebhookError, WebhookRequest};

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
        let count = reply.reports.len() as u64;
        state.events().record(reply.reports).await?;
        state.webhook_events().fetch_add(count, Ordering::Relaxed);
        state.wake();
    }
    let body = match reply.answer {
        WebhookAnswer::Fixed(body) => body,
        WebhookAnswer::Script { call, cue } => {
            let (store, sealer) = (state.store(), state.sealer().await?);
            let wall = state.wall_now();
            let performance = Performance::of(&**store, &call, wall, Some(sealer)).await?;
            decoder.perform(&cue, performance.as_ref()).await
        }
    };
    Ok(([(header::CONTENT_TYPE, body.content_type)], body.text).into_response())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use callcore::call::{EventKind, Report};
    use callcore::port::{StoreError, StoreErrorKind, WebhookBody, WebhookDecoder, WebhookReply};
    use serde_json::json;

    use super::*;
    use crate::testing::World;

    /// Takes `ringing CALL` signed with `x-signature: good`.
    #[derive(Debug)]
    struct Decoder;

    impl WebhookDecoder for Decoder {
        fn provider(&self) -> &'static str {
            "acme"
        }

        fn decode(&self, request: &WebhookRequest<'_>) -> Result<WebhookReply, WebhookError> {
            let good = ("x-signature".to_owned(), "good".to_owned());
            if !request.headers.contains(&good) {
                return Err(WebhookError::Forbidden);
            }
            assert_eq!((request.method, request.path), ("POST", "voice/a%20b"));
            let body = std::str::from_utf8(request.body).map_err(|_| WebhookError::Malformed)?;
            let call = body.strip_prefix("ringing ").ok_or(WebhookError::Malformed)?;
            let call = call.parse().map_err(|_| WebhookError::Malformed)?;
            let reports = vec![Report::ours(call, request.now, EventKind::Ringing)];
            let body = WebhookBody { content_type: "text/xml", text: request.query.to_owned() };
            Ok(WebhookReply { reports, answer: WebhookAnswer::Fixed(body) })
        }
    }

    const PATH: &str = "/webhooks/acme/voice/a%20b?a=%2B1";

    fn world() -> World {
        World::with(|state| state.with_webhooks(Arc::new(Decoder)))
    }

    #[tokio::test]
    async fn a_signed_event_is_stored_before_it_is_answered() {
        let world = world();
        let id = world.loaded(1).await;
        let call = world.calls().await.remove(0);
        world.post(&format!("/api/campaigns/{id}/start"), json!({})).await;
        world.dial_all().await;
        let body = format!("ringing {call}").into_bytes();
        let request = world.request("POST", PATH).anonymous().header("x-signature", "good");
        let answer = request.body(body).send().await;
        assert_eq!((answer.status, answer.text().as_str()), (StatusCode::OK, "a=%2B1"));
        assert_eq!(answer.headers["content-type"], "text/xml");
        assert_eq!(world.get(&format!("/api/calls/{call}")).await.json["status"], "ringing");
    }

    #[derive(Debug)]
    struct Away;

    #[async_trait::async_trait]
    impl crate::EventSink for Away {
        async fn record(&self, _: Vec<Report>) -> Result<(), StoreError> {
            Err(StoreError::new(StoreErrorKind::Unavailable, "record"))
        }
    }

    #[tokio::test]
    async fn an_event_that_is_not_stored_is_asked_for_again() {
        let world =
            World::with(|state| state.with_webhooks(Arc::new(Decoder)).with_events(Arc::new(Away)));
        world.loaded(1).await;
        let body = format!("ringing {}", world.calls().await.remove(0)).into_bytes();
        let request = world.request("POST", PATH).anonymous().header("x-signature", "good");
        let answer = request.body(body).send().await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.headers.contains_key("retry-after"));
    }

    #[tokio::test]
    async fn what_is_not_signed_not_sense_or_too_large_is_refused() {
        let world = world();
        let send = |signature: &str, body: Vec<u8>| {
            let request = world.request("POST", PATH).header("x-signature", signature);
            request.body(body).send()
        };
        assert_eq!(send("forged", b"ringing".to_vec()).await.status, StatusCode::FORBIDDEN);
        assert_eq!(send("good", b"ringing".to_vec()).await.status, StatusCode::BAD_REQUEST);
        let large = send("good", vec![b'x'; MAX_BODY + 1]).await;
        assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
        let other = world.request("POST", "/webhooks/other/voice").send().await;
        assert_eq!(other.status, StatusCode::NOT_FOUND);
    }
}
