//! Resend, played by a small server.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use callcore::port::{Mail, MailAddress, Notifier, NotifyError, NotifyErrorKind};
use callcore::testing::notifier::{Play, Route, RouteFactory};
use callcore_email::resend::{self, Resend, ResendError};
use chrono::TimeDelta;
use serde_json::{Value, json};
use tokio::net::TcpListener;

const SECRET: &str = "re_secret_password";

/// What the far side answers, and what it saw.
#[derive(Default)]
struct Far {
    status: u16,
    name: &'static str,
    message: &'static str,
    headers: Vec<(&'static str, String)>,
    drops: bool,
    seen: Mutex<Vec<(HeaderMap, Value)>>,
    /// Keys that were used, with the body that used them.
    keys: Mutex<BTreeMap<String, Value>>,
}

impl Far {
    fn answer(status: u16, name: &'static str) -> Self {
        Self { status, name, ..Self::default() }
    }
}

async fn serve(State(far): State<Arc<Far>>, request: Request) -> Response {
    assert_eq!((request.method().as_str(), request.uri().path()), ("POST", "/emails"));
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(parts.headers["authorization"], format!("Bearer {SECRET}"));
    let key = parts.headers["idempotency-key"].to_str().unwrap().to_owned();
    far.seen.lock().unwrap().push((parts.headers, body.clone()));
    if far.drops {
        // The answer breaks off after its first byte was promised.
        let broken = futures_error();
        return Response::builder()
            .status(200)
            .header("content-length", "10")
            .body(broken)
            .unwrap();
    }
    let mut status = StatusCode::from_u16(far.status).unwrap();
    let mut name = far.name;
    if status.is_success() {
        let mut keys = far.keys.lock().unwrap();
        if keys.entry(key).or_insert_with(|| body.clone()) != &body {
            (status, name) = (StatusCode::CONFLICT, "invalid_idempotent_request");
        }
    }
    let body = match status.is_success() {
        true => json!({"id": "49a3999c-0ce1-4ea6-ab68-afcd6dc2e794"}),
        false => json!({"statusCode": far.status, "name": name, "message": far.message}),
    };
    let mut response = (status, body.to_string()).into_response();
    for (header, value) in &far.headers {
        response.headers_mut().insert(*header, value.parse().unwrap());
    }
    response
}

/// A body that is cut off.
fn futures_error() -> Body {
    Body::from_stream(futures_util::stream::iter([
        Ok(vec![b'{']),
        Err(std::io::Error::other("cut off")),
    ]))
}

struct Line {
    far: Arc<Far>,
    route: Resend,
}

fn client() -> reqwest::Client {
    // Another crate of the build may have asked for TLS without saying whose.
    drop(rustls::crypto::ring::default_provider().install_default());
    resend::client().build().unwrap()
}

fn from() -> MailAddress {
    "Acme Calls <calls@example.com>".parse().unwrap()
}

async fn line(far: Far) -> Line {
    let far = Arc::new(far);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(serve).with_state(Arc::clone(&far));
    tokio::spawn(axum::serve(listener, router).into_future());
    let route = Resend::new(client(), &base, SECRET, from()).unwrap();
    Line { far, route }
}

#[async_trait]
impl Route for Line {
    fn notifier(&self) -> &dyn Notifier {
        &self.route
    }

    async fn seen(&self) -> Vec<String> {
        let seen = self.far.seen.lock().unwrap();
        let show = |(headers, body): &(HeaderMap, Value)| {
            format!("{}\n{body}", headers["idempotency-key"].to_str().unwrap())
        };
        seen.iter().map(show).collect()
    }

    fn id_of(&self, seen: &str) -> String {
        seen.lines().next().unwrap_or_default().to_owned()
    }
}

struct Lines;

#[async_trait]
impl RouteFactory for Lines {
    async fn build(&self, play: Play) -> Box<dyn Route> {
        let far = match play {
            Play::Take => Far::answer(200, ""),
            Play::Refuse => Far::answer(422, "validation_error"),
            Play::Misconfigured => Far::answer(403, "invalid_api_key"),
            Play::TooMany => Far::answer(429, "rate_limit_exceeded"),
            // A far side that fails may have taken the mail: only one that is not there has not.
            Play::Busy | Play::Away => {
                let route = Resend::new(client(), "http://127.0.0.1:1", SECRET, from()).unwrap();
                return Box::new(Line { far: Arc::default(), route });
            }
            Play::TakeAndDrop => Far { drops: true, ..Far::default() },
        };
        Box::new(line(far).await)
    }
}

callcore::notifier_conformance!(Lines);

fn mail() -> Mail {
    Mail {
        to: MailAddress::list("ada@example.com, Ops <ops@example.com>").unwrap(),
        subject: "Calls".to_owned(),
        text: "words".to_owned(),
        html: "<p>words</p>".to_owned(),
        key: "callcore-1".to_owned(),
    }
}

async fn answered(far: Far) -> NotifyError {
    line(far).await.route.send(&mail()).await.unwrap_err()
}

#[tokio::test]
async fn a_mail_is_one_post_with_its_key() {
    let line = line(Far::answer(200, "")).await;
    line.route.send(&mail()).await.unwrap();
    let seen = line.far.seen.lock().unwrap();
    let (headers, body) = &seen[0];
    assert_eq!(headers["idempotency-key"], "callcore-1");
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(
        *body,
        json!({
            "from": "Acme Calls <calls@example.com>",
            "to": ["ada@example.com", "Ops <ops@example.com>"],
            "subject": "Calls", "text": "words", "html": "<p>words</p>",
        })
    );
}

#[tokio::test]
async fn each_of_resends_errors_has_its_kind() {
    use NotifyErrorKind as Kind;
    for (status, name, kind) in [
        (400, "invalid_idempotency_key", Kind::Refused),
        (400, "validation_error", Kind::Refused),
        (401, "missing_api_key", Kind::Misconfigured),
        (401, "restricted_api_key", Kind::Misconfigured),
        (401, "validation_error", Kind::Misconfigured),
        (403, "invalid_api_key", Kind::Misconfigured),
        (403, "validation_error", Kind::Misconfigured),
        (404, "not_found", Kind::Misconfigured),
        (405, "method_not_allowed", Kind::Misconfigured),
        (409, "invalid_idempotent_request", Kind::Refused),
        (409, "concurrent_idempotent_requests", Kind::Unknown),
        (422, "invalid_from_address", Kind::Misconfigured),
        (422, "missing_required_field", Kind::Refused),
        (422, "invalid_parameter", Kind::Refused),
        (429, "rate_limit_exceeded", Kind::RateLimited),
        (429, "daily_quota_exceeded", Kind::DailyQuota),
        (429, "monthly_quota_exceeded", Kind::MonthlyQuota),
        (451, "security_error", Kind::Refused),
        (500, "application_error", Kind::Unknown),
        (500, "internal_server_error", Kind::Unknown),
        (503, "", Kind::Unknown),
    ] {
        let error = answered(Far::answer(status, name)).await;
        assert_eq!(error.kind(), kind, "{status} {name}");
        let reason = if name.is_empty() { "http_503" } else { name };
        assert_eq!(error.reason(), reason);
    }
    let bad_key = Far { message: "API key is invalid", ..Far::answer(400, "validation_error") };
    assert_eq!(answered(bad_key).await.kind(), Kind::Misconfigured);
}

#[tokio::test]
async fn a_limit_says_how_long_to_wait() {
    let asked = |headers| async move {
        let far = Far { headers, ..Far::answer(429, "rate_limit_exceeded") };
        answered(far).await.wait()
    };
    let reset = ("ratelimit-reset", "9".to_owned());
    assert_eq!(asked(vec![reset.clone()]).await, Some(TimeDelta::seconds(9)));
    let both = vec![reset, ("retry-after", "2".to_owned())];
    assert_eq!(asked(both).await, Some(TimeDelta::seconds(2)));
    assert_eq!(asked(vec![("retry-after", "soon".to_owned())]).await, None);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = line(Far::answer(200, "")).await;
    let target = "http://127.0.0.1:9/emails".to_owned();
    for status in [301, 302, 307, 308] {
        let far = Far { headers: vec![("location", target.clone())], ..Far::answer(status, "") };
        let error = answered(far).await;
        assert_eq!((error.kind(), error.reason()), (NotifyErrorKind::Misconfigured, "redirected"));
    }
    assert!(elsewhere.far.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_far_side_that_does_not_answer_leaves_doubt() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    drop(rustls::crypto::ring::default_provider().install_default());
    let client = resend::client().read_timeout(std::time::Duration::from_millis(50)).build();
    let route = Resend::new(client.unwrap(), &base, SECRET, from()).unwrap();
    let error = route.send(&mail()).await.unwrap_err();
    assert_eq!((error.kind(), error.reason()), (NotifyErrorKind::Unknown, "no_answer"));
}

#[test]
fn settings_that_make_no_route_are_refused() {
    let made = |base: &str, key: &str| Resend::new(client(), base, key, from()).err();
    for base in ["api.resend.com", "ftp://a", "http://", "http://u:p@a", "http://a?b", "http://a#b"]
    {
        assert_eq!(made(base, SECRET), Some(ResendError::BaseUrl), "{base}");
    }
    for key in ["", "re 1", "re\n1", "ré"] {
        assert_eq!(made("http://a", key), Some(ResendError::Key), "{key:?}");
    }
    assert_eq!(made("http://127.0.0.1:9/mail/", SECRET), None);
}
