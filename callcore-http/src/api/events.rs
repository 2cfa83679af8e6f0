//! `GET /api/events`: server-sent events. A `snapshot` has everything that is watched; after it each
//! `account`, `dashboard`, `campaign` and `call` event has one object's whole state and a version.
//! Versions only go up while one listens, and every connection begins with a snapshot, whatever `Last-Event-ID`
//! says: nobody has to know what was missed.
//!
//! Watched are the account with its stop, today's numbers, the running and paused campaigns and the newest ones, the oldest calls in progress and
//! those that ended last. What leaves that circle is told a last time, with `"last": true`.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use callcore::actor::Role;
use futures_util::stream;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::auth::{Viewer, authenticate};
use crate::feed::{Feed, Listener};
use crate::problem::Problem;
use crate::query::Query;
use crate::state::ApiState;

/// How often a comment tells that the line is not dead.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How often it is asked whether the listener may still listen.
const RECHECK: Duration = Duration::from_secs(2);

/// How long a listener may take to take what it is sent.
const SEND: Duration = Duration::from_secs(10);

/// How long somebody listens whom a sign-in of the application's own let in: then it is asked again.
const UNCHECKED: Duration = Duration::from_secs(15 * 60);

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Viewer(_): Viewer,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    query.finish()?;
    let credentials = Credentials::of(&state, headers).await;
    let listener = Feed::listen(&state).await?;
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(tell(state, listener, credentials, sender));
    let body = stream::unfold(receiver, |mut receiver| async move {
        let bytes: Bytes = receiver.recv().await?;
        Some((Ok::<_, Infallible>(bytes), receiver))
    });
    let headers = [
        (header::CONTENT_TYPE.as_str(), "text/event-stream"),
        // Proxies that gather answers would keep events from coming.
        ("x-accel-buffering", "no"),
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}

/// Tells a listener what there is until it leaves, is too slow, or may no longer listen.
async fn tell(
    state: ApiState,
    mut listener: Listener,
    credentials: Credentials,
    sender: mpsc::Sender<Bytes>,
) {
    let (start, mut heartbeat, mut recheck) =
        (Instant::now(), interval(HEARTBEAT), interval(RECHECK));
    recheck.set_missed_tick_behavior(MissedTickBehavior::Delay);
    heartbeat.reset();
    recheck.reset();
    let snapshot = std::mem::take(&mut listener.snapshot);
    let mut text = Bytes::from(format!("retry: 1000\n{snapshot}"));
    loop {
        match timeout(SEND, sender.send(text)).await {
            Ok(Ok(())) => {}
            _ => return,
        }
        text = loop {
            tokio::select! {
                batch = listener.batches.recv() => match batch {
                    Ok(batch) => break Bytes::from(batch.to_string()),
                    // Too slow, or the server is about to end: a new connection begins anew.
                    Err(_) => return,
                },
                _ = heartbeat.tick() => break Bytes::from_static(b":\n\n"),
                _ = recheck.tick() => {
                    if !credentials.are_good(&state, start.elapsed()).await {
                        return;
                    }
                }
                () = sender.closed() => return,
            }
        };
    }
}

/// By what somebody was let in, to be asked again as long as they listen.
enum Credentials {
    /// A token or a session.
    Ours(Box<Parts>),
    /// A sign-in of the application's own.
    Theirs,
}

impl Credentials {
    async fn of(state: &ApiState, headers: HeaderMap) -> Self {
        // Without what the guard, or the application, has put beside the headers.
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.headers = headers;
        match authenticate(state, &parts).await {
            Ok(_) => Self::Ours(Box::new(parts)),
            Err(_) => Self::Theirs,
        }
    }

    async fn are_good(&self, state: &ApiState, listened: Duration) -> bool {
        let Self::Ours(parts) = self else { return listened < UNCHECKED };
        match authenticate(state, parts).await {
            Ok(principal) => principal.role >= Role::Viewer,
            // A store that is away says nothing about anybody.
            Err(problem) => problem.status() != StatusCode::UNAUTHORIZED,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use futures_util::StreamExt;
    use serde_json::{Value, json};
    use tower::ServiceExt;

    use super::*;
    use crate::auth::COOKIE;
    use crate::sign_in;
    use crate::testing::World;

    /// A connection, what came over it and was not read, and the last event of each kind.
    struct Line(axum::body::BodyDataStream, String, BTreeMap<String, Value>);

    impl Line {
        async fn open(world: &World, name: &str, value: &str) -> Self {
            let request = axum::http::Request::builder().uri("/api/events").header(name, value);
            let request = request.body(Body::empty()).unwrap();
            let response = world.router.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(response.headers()["content-type"], "text/event-stream");
            Self(response.into_body().into_data_stream(), String::new(), BTreeMap::new())
        }

        async fn of_a_viewer(world: &World) -> Self {
            Self::open(world, "authorization", "Bearer viewer").await
        }

        /// The next event; none once the connection ended.
        async fn event(&mut self) -> Option<(String, Value)> {
            loop {
                if let Some((event, rest)) = self.1.split_once("\n\n") {
                    let field = |name: &str| {
                        event.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned)
                    };
                    let told = (field("event: "), field("data: "));
                    self.1 = rest.to_owned();
                    if let (Some(name), Some(data)) = told {
                        return Some((name, serde_json::from_str(&data).unwrap()));
                    }
                    continue;
                }
                let bytes = self.0.next().await?.unwrap();
                self.1.push_str(std::str::from_utf8(&bytes).unwrap());
            }
        }

        /// Waits until what was heard last of a kind passes.
        async fn until(&mut self, kind: &str, passes: impl Fn(&Value) -> bool) -> Value {
            loop {
                if let Some(data) = self.2.get(kind).filter(|data| passes(&data["state"])) {
                    return data.clone();
                }
                let (name, data) = self.event().await.expect("the line is open");
                self.2.insert(name, data);
            }
        }
    }

    fn campaign(snapshot: &Value) -> &Value {
        let objects = snapshot["objects"].as_array().unwrap();
        &objects.iter().find(|object| object["kind"] == "campaign").unwrap()["state"]
    }

    #[tokio::test]
    async fn every_listener_hears_whole_states_and_converges() {
        let world = World::new();
        let id = world.loaded(1).await;
        let mut early = Line::of_a_viewer(&world).await;
        let (name, snapshot) = early.event().await.unwrap();
        assert_eq!((&*name, &campaign(&snapshot)["state"]), ("snapshot", &json!("draft")));
        world.post(&format!("/api/campaigns/{id}/start"), json!({})).await;
        let started = early.until("campaign", |state| state["state"] == "running").await;
        assert!(started["version"].as_u64() > snapshot["version"].as_u64());
        assert_eq!((&started["id"], &started["last"]), (&json!(id), &json!(false)));
        world.dial_all().await;
        early.until("call", |state| state["status"] == "dialing").await;
        world.answer_all().await;
        early.until("call", |state| state["outcome"] == "answered").await;
        let done = early.until("campaign", |state| state["state"] == "finished").await;
        early.until("dashboard", |state| state["today"]["answered"] == 1).await;
        // Whoever comes later, or back, begins with what there is.
        let mut late = Line::open(&world, "authorization", "Bearer admin").await;
        let (name, snapshot) = late.event().await.unwrap();
        assert_eq!((&*name, campaign(&snapshot)), ("snapshot", &done["state"]));
        assert_eq!(world.state.feed().listeners(), 2);
        drop(early);
        world.post("/api/campaigns", crate::testing::settings()).await;
        late.until("campaign", |state| state["state"] == "draft").await;
    }

    #[tokio::test]
    async fn a_session_that_ended_hears_nothing_more() {
        let world = World::new();
        let ana = world.user("ana", Role::Viewer, None).await;
        world.user("root", Role::Admin, None).await;
        let secret = sign_in::issue_link(&world.state, ana.id).await.unwrap();
        let signed_in = sign_in::redeem_link(&world.state, &secret).await.unwrap().unwrap();
        let cookie = format!("{COOKIE}={}", signed_in.cookie.value());
        let mut line = Line::open(&world, "cookie", &cookie).await;
        assert_eq!(line.event().await.unwrap().0, "snapshot");
        let path = format!("/api/users/{}", ana.id);
        world.request("PATCH", &path).json(json!({"disabled": true})).send().await;
        while line.event().await.is_some() {}
        while world.state.feed().listeners() > 0 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_server_about_to_end_lets_its_listeners_go() {
        use std::sync::Arc;
        use std::sync::atomic::{AtomicBool, Ordering};
        let draining = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&draining);
        let world = World::with(|state| state.with_draining(move || asked.load(Ordering::Relaxed)));
        let mut line = Line::of_a_viewer(&world).await;
        assert_eq!(line.event().await.unwrap().0, "snapshot");
        draining.store(true, Ordering::Relaxed);
        assert!(line.event().await.is_none());
    }

    #[tokio::test]
    async fn only_so_many_listen() {
        let world = World::new();
        let mut lines = Vec::new();
        loop {
            let request = world.request("GET", "/api/events?x=1").send().await;
            assert_eq!(request.fields(), ["x"]);
            let request = axum::http::Request::builder().uri("/api/events");
            let request = request.header("authorization", "Bearer viewer");
            let response =
                world.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
            if response.status() != StatusCode::OK {
                assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
                assert!(response.headers().contains_key("retry-after"));
                break;
            }
            lines.push(response);
        }
        assert_eq!(lines.len(), 100);
    }
}
