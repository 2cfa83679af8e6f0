//! What carriers send: let in by their signature alone, answered once it is durable.

use std::sync::atomic::Ordering;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, OriginalUri, Path, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use callcore::opt_outs::HeldOptOut;
use callcore::performance::Performance;
use callcore::port::{Hold, WebhookAnswer, WebhookBody, WebhookError, WebhookRequest};

use crate::holding::{STORE_PATIENCE, keep};
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
        match decoder.hold(&request) {
            Some(Hold { phone, answer }) => {
                if !store_opt_out(&state, HeldOptOut { phone, reports: reply.reports }).await {
                    return Ok(written(answer));
                }
            }
            None => state.events().record(reply.reports).await?,
        }
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
    Ok(written(body))
}

fn written(body: WebhookBody) -> Response {
    ([(header::CONTENT_TYPE, body.content_type)], body.text).into_response()
}

/// Stores somebody's wish not to be called again; whether that is done. If it is not, the wish is
/// kept beside the store and the number is not dialled.
async fn store_opt_out(state: &ApiState, opt_out: HeldOptOut) -> bool {
    // A store that is away takes its time to say so: nobody is dialled meanwhile either.
    let _blocked = opt_out.phone.map(|phone| state.opt_outs().block(phone));
    let stored = async {
        state.events().record(opt_out.reports.clone()).await?;
        // Also of a call that the store does not know.
        opt_out.store(&**state.store(), state.now()).await
    };
    if let Ok(Ok(_)) = tokio::time::timeout(STORE_PATIENCE, stored).await {
        return true;
    }
    // The caller waits in the call, and each round tries anew.
    keep(state, opt_out).await;
    false
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::sync::{Arc, Mutex};

    use callcore::call::{EventKind, Report};
    use callcore::opt_outs::{JournalError, OptOutJournal, PendingOptOuts};
    use callcore::port::{StoreError, StoreErrorKind, WebhookDecoder, WebhookReply};
    use serde_json::json;

    use super::*;
    use crate::testing::World;

    /// Takes `ringing CALL` and `stop CALL` signed with `x-signature: good`.
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
            let (kind, call) = match body.split_once(' ') {
                Some(("ringing", call)) => (EventKind::Ringing, call),
                Some(("stop", call)) => (EventKind::OptOut, call),
                _ => return Err(WebhookError::Malformed),
            };
            let call = call.parse().map_err(|_| WebhookError::Malformed)?;
            let reports = vec![Report::ours(call, request.now, kind)];
            let body = WebhookBody { content_type: "text/xml", text: request.query.to_owned() };
            Ok(WebhookReply { reports, answer: WebhookAnswer::Fixed(body) })
        }

        fn hold(&self, request: &WebhookRequest<'_>) -> Option<Hold> {
            let answer = WebhookBody { content_type: "text/xml", text: "wait".to_owned() };
            let stops = request.body.starts_with(b"stop ");
            stops.then(|| Hold { phone: Some(PERSON.parse().unwrap()), answer })
        }
    }

    const PERSON: &str = "+12125550101";

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

    /// Stores nothing while it is away, and may not even say so.
    #[derive(Debug)]
    struct Moody {
        is_away: AtomicBool,
        is_silent: AtomicBool,
        stored: Mutex<Vec<Report>>,
    }

    #[async_trait::async_trait]
    impl crate::EventSink for Moody {
        async fn record(&self, reports: Vec<Report>) -> Result<(), StoreError> {
            if self.is_silent.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            if self.is_away.load(Ordering::Relaxed) {
                return Err(StoreError::new(StoreErrorKind::Unavailable, "record"));
            }
            self.stored.lock().unwrap().extend(reports);
            Ok(())
        }
    }

    #[derive(Debug, Default)]
    struct Journal(Mutex<Vec<HeldOptOut>>);

    impl OptOutJournal for Journal {
        fn append(&self, opt_out: &HeldOptOut) -> Result<(), JournalError> {
            self.0.lock().unwrap().push(opt_out.clone());
            Ok(())
        }

        fn clear(&self) -> Result<(), JournalError> {
            self.0.lock().unwrap().clear();
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_opts_out_while_the_store_is_away_waits_and_is_held_back_and_journalled() {
        for is_silent in [false, true] {
            let sink = Arc::new(Moody {
                is_away: true.into(),
                is_silent: is_silent.into(),
                stored: Mutex::default(),
            });
            let journal = Arc::new(Journal::default());
            let pending = PendingOptOuts::new(journal.clone(), Vec::new());
            let world = World::with(|state| {
                let state = state.with_webhooks(Arc::new(Decoder)).with_events(sink.clone());
                state.with_opt_outs(pending.clone())
            });
            world.loaded(1).await;
            let call = world.calls().await.remove(0);
            let person = PERSON.parse().unwrap();
            let press = || {
                let request = world.request("POST", PATH).anonymous();
                let request = request.header("x-signature", "good");
                request.body(format!("stop {call}").into_bytes()).send()
            };
            assert!(!pending.is_blocked(person));
            for _ in 0..3 {
                let answer = press().await;
                assert_eq!((answer.status, answer.text().as_str()), (StatusCode::OK, "wait"));
                assert!(pending.is_blocked(person));
                assert_eq!(journal.0.lock().unwrap().len(), 1, "one line for one wish");
            }
            sink.is_silent.store(false, Ordering::Relaxed);
            sink.is_away.store(false, Ordering::Relaxed);
            let answer = press().await;
            assert_eq!((answer.status, answer.text().as_str()), (StatusCode::OK, "a=%2B1"));
            assert_eq!(sink.stored.lock().unwrap().len(), 1);
            // Lifted by the sweep alone, which stores what waits and clears the journal.
            assert!(pending.is_blocked(person));
            pending.store(&**world.state.store(), world.state.now()).await.unwrap();
            assert!(!pending.is_blocked(person) && journal.0.lock().unwrap().is_empty());
        }
    }

    #[tokio::test]
    async fn who_opts_out_of_a_call_that_the_store_does_not_know_is_listed() {
        let world = world();
        world.loaded(1).await;
        // It never began, for the database is one of before.
        let call = world.calls().await.remove(0);
        let request = world.request("POST", PATH).anonymous().header("x-signature", "good");
        let answer = request.body(format!("stop {call}").into_bytes()).send().await;
        assert_eq!((answer.status, answer.text().as_str()), (StatusCode::OK, "a=%2B1"));
        let listed = world.get("/api/dnc").await.json;
        assert_eq!(
            (&listed["items"][0]["phone"], &listed["items"][0]["source"]),
            (&json!(PERSON), &json!("opt_out"))
        );
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
