//! The fake's API.

use std::convert::Infallible;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use callcore::runtime::SystemClock;
use callcore::time::Clock;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{Dialled, FakeTwilio, Fate, Trouble};

type Body = BoxBody<Bytes, std::io::Error>;

/// The query of a request that was sent on.
const SENT_ON: &str = "sent_on";
/// How long a slow answer takes: longer than anybody waits.
const SLOW: Duration = Duration::from_secs(60);

pub(super) async fn serve(listener: TcpListener, fake: FakeTwilio) {
    while let Ok((stream, _)) = listener.accept().await {
        let fake = fake.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(fake.clone(), request));
            // A connection that is broken off on purpose ends in an error.
            let connection = Builder::new(TokioExecutor::new());
            drop(connection.serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

async fn answer(
    fake: FakeTwilio,
    request: Request<Incoming>,
) -> Result<Response<Body>, std::io::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
    let wanted = format!("{}:{}", FakeTwilio::ACCOUNT, fake.token());
    let wanted = format!("Basic {}", STANDARD.encode(wanted));
    let sent = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if sent != Some(&*wanted) {
        return Ok(error(StatusCode::UNAUTHORIZED, 20003));
    }
    if let Some(country) = parts.uri.path().strip_prefix("/v1/DialingPermissions/Countries/") {
        let enabled = country == "US";
        return Ok(ok(&json!({"iso_code": country, "low_risk_numbers_enabled": enabled})));
    }
    if let Some(file) = parts.uri.path().strip_prefix("/media/") {
        return Ok(recording(&fake, file));
    }
    let root = format!("/2010-04-01/Accounts/{}", FakeTwilio::ACCOUNT);
    let Some(path) = parts.uri.path().strip_prefix(&root) else {
        return Ok(error(StatusCode::NOT_FOUND, 20404));
    };
    let query = parts.uri.query().unwrap_or_default();
    let segments: Vec<&str> = path.split('/').collect();
    match (&parts.method, &segments[..]) {
        (&Method::GET, [".json"]) => Ok(ok(&json!({
            "sid": FakeTwilio::ACCOUNT, "status": "active", "type": "Full"
        }))),
        (&Method::POST, ["", "Calls.json"]) => create(&fake, &body, query == SENT_ON).await,
        (&Method::GET, ["", "Calls.json"]) => Ok(list(&fake, query)),
        (&Method::GET, ["", "Calls", sid, "Events.json"]) => Ok(log(&fake, sid)),
        (&Method::GET, ["", "Calls", file]) => Ok(show(&fake, file)),
        (&Method::POST, ["", "Calls", file]) => Ok(update(&fake, file, &body).await),
        (&Method::GET, ["", "Recordings", file]) => Ok(media(&fake, file)),
        (&Method::DELETE, ["", "Recordings", file]) => Ok(delete(&fake, file)),
        (&Method::GET, ["", "IncomingPhoneNumbers.json"]) => {
            let [voice, fallback, status] = fake.lock().addresses.clone();
            Ok(ok(&json!({
                "incoming_phone_numbers": [{"phone_number": "+12125550100",
                    "capabilities": {"voice": true}, "voice_url": voice,
                    "voice_fallback_url": fallback, "status_callback": status}],
                "next_page_uri": null
            })))
        }
        (&Method::GET, ["", "OutgoingCallerIds.json"]) => Ok(ok(&json!({
            "outgoing_caller_ids": [{"phone_number": "+12125550101"}], "next_page_uri": null
        }))),
        _ => Ok(error(StatusCode::NOT_FOUND, 20404)),
    }
}

async fn create(
    fake: &FakeTwilio,
    body: &[u8],
    sent_on: bool,
) -> Result<Response<Body>, std::io::Error> {
    let form: Vec<(String, String)> = form_urlencoded::parse(body).into_owned().collect();
    let field = |name: &str| form.iter().find(|(field, _)| field == name);
    if ["To", "From", "Url"].iter().any(|name| field(name).is_none()) {
        return Ok(error(StatusCode::BAD_REQUEST, 21205));
    }
    let trouble = {
        let mut state = fake.lock();
        // Whoever follows is taken.
        if sent_on {
            Trouble::None
        } else if state.troubles.is_empty() {
            state.always
        } else {
            state.troubles.remove(0)
        }
    };
    let lost = || Err(std::io::Error::other("the connection breaks"));
    let document = trouble.takes_call().then(|| take(fake, form));
    match trouble {
        Trouble::None => Ok(json_of(StatusCode::CREATED, &document.unwrap_or_default())),
        Trouble::LosesAnswer | Trouble::LosesRequest => lost(),
        Trouble::Truncates => Ok(broken()),
        Trouble::AnswersNonsense => Ok(text(StatusCode::OK, "<html>Please sign in.</html>")),
        Trouble::Redirects => {
            let mut answer = text(StatusCode::TEMPORARY_REDIRECT, "");
            let path = format!("/2010-04-01/Accounts/{}/Calls.json?{SENT_ON}", FakeTwilio::ACCOUNT);
            let location = format!("{}{path}", fake.url());
            if let Ok(location) = location.parse() {
                answer.headers_mut().insert(header::LOCATION, location);
            }
            Ok(answer)
        }
        Trouble::TooMany => Ok(error(StatusCode::TOO_MANY_REQUESTS, 20429)),
        Trouble::FailsAfterwards => Ok(error(StatusCode::INTERNAL_SERVER_ERROR, 20500)),
        Trouble::FailsAtOnce => Ok(error(StatusCode::SERVICE_UNAVAILABLE, 20503)),
        Trouble::IsSlow => {
            tokio::time::sleep(SLOW).await;
            lost()
        }
        Trouble::RefusesNumber => Ok(error(StatusCode::BAD_REQUEST, 21211)),
        Trouble::RefusesAccount => Ok(error(StatusCode::UNAUTHORIZED, 20003)),
        Trouble::RefusesRequest => Ok(error(StatusCode::BAD_REQUEST, 21205)),
    }
}

/// Takes a call: from here on somebody would be rung.
fn take(fake: &FakeTwilio, form: Vec<(String, String)>) -> Value {
    let sid = fake.sid("CA");
    let to = form.iter().find(|(name, _)| name == "To").map(|(_, to)| to.clone());
    let call = Dialled {
        sid: sid.clone(),
        form,
        to: to.unwrap_or_default(),
        at: SystemClock.now(),
        status: "queued".to_owned(),
        duration: 0,
        answered_by: None,
        heard: Vec::new(),
        requests: Vec::new(),
    };
    let document = document(&call);
    let lives = {
        let mut state = fake.lock();
        state.calls.push(call);
        state.lives
    };
    if lives {
        let fake = fake.clone();
        tokio::spawn(async move { fake.live(&sid).await });
    }
    document
}

fn document(call: &Dialled) -> Value {
    let ended = call.is_over();
    json!({
        "sid": call.sid, "status": call.status, "to": call.to, "direction": "outbound-api",
        "date_created": call.at.to_rfc2822(),
        "start_time": (call.status != "queued").then(|| call.at.to_rfc2822()),
        "end_time": ended.then(|| call.at.to_rfc2822()),
        "duration": ended.then(|| call.duration.to_string()),
        "answered_by": call.answered_by,
    })
}

/// Whether a question is answered as if the call were not known yet.
fn is_blind(fake: &FakeTwilio) -> bool {
    let mut state = fake.lock();
    let blind = state.blind > 0;
    state.blind = state.blind.saturating_sub(1);
    blind
}

fn list(fake: &FakeTwilio, query: &str) -> Response<Body> {
    let to = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "To");
    let to = to.map(|(_, to)| to.into_owned());
    let blind = is_blind(fake);
    let state = fake.lock();
    let wanted = state.calls.iter().rev().filter(|call| !blind && to.as_ref() == Some(&call.to));
    ok(&json!({"calls": wanted.map(document).collect::<Vec<_>>(), "next_page_uri": null}))
}

fn log(fake: &FakeTwilio, sid: &str) -> Response<Body> {
    let state = fake.lock();
    let Some(call) = state.calls.iter().find(|call| call.sid == sid) else {
        return error(StatusCode::NOT_FOUND, 20404);
    };
    let events: Vec<Value> =
        call.requests.iter().map(|(url, _)| json!({"request": {"url": url}})).collect();
    ok(&json!({"events": events}))
}

fn show(fake: &FakeTwilio, file: &str) -> Response<Body> {
    let blind = is_blind(fake);
    let state = fake.lock();
    let sid = file.strip_suffix(".json").unwrap_or(file);
    match state.calls.iter().find(|call| call.sid == sid && !blind) {
        Some(call) => ok(&document(call)),
        None => error(StatusCode::NOT_FOUND, 20404),
    }
}

/// The most characters of a document in a request.
const MAX_TWIML: usize = 4_000;

async fn update(fake: &FakeTwilio, file: &str, body: &[u8]) -> Response<Body> {
    let sid = file.strip_suffix(".json").unwrap_or(file);
    let form: Vec<(String, String)> = form_urlencoded::parse(body).into_owned().collect();
    let Some(call) = fake.change(sid, |call| call.clone()) else {
        return error(StatusCode::NOT_FOUND, 20404);
    };
    if call.is_over() {
        return error(StatusCode::BAD_REQUEST, 21220);
    }
    for (name, value) in &form {
        match &**name {
            "Status" if value == "completed" => super::line::hang_up(fake, &call),
            "Twiml" if value.chars().count() > MAX_TWIML => {
                return error(StatusCode::BAD_REQUEST, 32018);
            }
            // Only a call that talks can be told to say something else.
            "Twiml" | "Url" if call.status != "in-progress" => {
                return error(StatusCode::BAD_REQUEST, 21220);
            }
            "Twiml" => {
                let said = super::line::said(value);
                fake.change(sid, |call| call.heard.extend(said));
            }
            "Url" => super::line::go_on(fake, &call, value).await,
            "Method" if value == "POST" => {}
            _ => return error(StatusCode::BAD_REQUEST, 20001),
        }
    }
    let changed = fake.change(sid, |call| document(call));
    changed.map_or_else(|| error(StatusCode::NOT_FOUND, 20404), |document| ok(&document))
}

fn media(fake: &FakeTwilio, file: &str) -> Response<Body> {
    let Some(elsewhere) = fake.lock().media.clone() else { return recording(fake, file) };
    let mut answer = text(StatusCode::FOUND, "");
    if let Ok(location) = format!("{elsewhere}/{file}").parse() {
        answer.headers_mut().insert(header::LOCATION, location);
    }
    answer
}

fn recording(fake: &FakeTwilio, file: &str) -> Response<Body> {
    let sid = file.strip_suffix(".wav").unwrap_or(file);
    if fake.lock().deleted.iter().any(|deleted| deleted == sid) {
        return error(StatusCode::NOT_FOUND, 20404);
    }
    let mut answer = text(StatusCode::OK, "RIFF....WAVE");
    let wav = header::HeaderValue::from_static("audio/x-wav");
    answer.headers_mut().insert(header::CONTENT_TYPE, wav);
    answer
}

fn delete(fake: &FakeTwilio, file: &str) -> Response<Body> {
    let sid = file.strip_suffix(".json").unwrap_or(file).to_owned();
    let mut state = fake.lock();
    if state.deleted.contains(&sid) {
        return error(StatusCode::NOT_FOUND, 20404);
    }
    state.deleted.push(sid);
    text(StatusCode::NO_CONTENT, "")
}

fn ok(document: &Value) -> Response<Body> {
    json_of(StatusCode::OK, document)
}

fn error(status: StatusCode, code: u32) -> Response<Body> {
    json_of(status, &json!({"code": code, "message": "no", "status": status.as_u16()}))
}

fn json_of(status: StatusCode, document: &Value) -> Response<Body> {
    let mut answer = text(status, &document.to_string());
    let json = header::HeaderValue::from_static("application/json");
    answer.headers_mut().insert(header::CONTENT_TYPE, json);
    answer
}

fn text(status: StatusCode, text: &str) -> Response<Body> {
    let body = Full::new(Bytes::from(text.to_owned()));
    let mut answer = Response::new(body.map_err(|never: Infallible| match never {}).boxed());
    *answer.status_mut() = status;
    answer
}

/// An answer that breaks off in its middle.
fn broken() -> Response<Body> {
    let parts = [
        Ok(Frame::data(Bytes::from_static(b"{\"sid\": \"CA00"))),
        Err(std::io::Error::other("the connection breaks")),
    ];
    let mut answer =
        Response::new(BodyExt::boxed(StreamBody::new(futures_util::stream::iter(parts))));
    *answer.status_mut() = StatusCode::CREATED;
    answer
}

impl FakeTwilio {
    /// How a call ends.
    pub(super) fn fate_of(&self, to: &str) -> Fate {
        let state = self.lock();
        state.fates.get(to).copied().unwrap_or(state.usual)
    }
}
