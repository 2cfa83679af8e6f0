//! The simulated carrier as a process of its own: it outlives the server, keeps its dial log on
//! disk, and goes on delivering events until the server has taken them.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Path, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use callcore::call::Report;
use callcore::id::CallId;
use callcore::port::Found;
use callcore::runtime::{ResultSink, SystemClock};
use callcore::sim::{AgentPost, SimCarrier, SimDial, SimModel};
use callcore::time::Clock;
use chrono::{DateTime, Utc};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, MutexGuard, Notify};

use super::dial_log::{DialLog, Entry};
use super::wire::{
    CLOCK, CallEvents, ClockLine, Delivery, EVENTS, Message, PROVIDER, Placed, SEAL, is_sealed,
    seal,
};
use crate::agents::HttpAgents;

/// The most events, and about the most bytes, of one delivery: well below what servers take.
const BATCH: usize = 100;
const BATCH_BYTES: usize = 64 * 1024;
/// How long the server may take to answer a delivery.
const PATIENCE: Duration = Duration::from_secs(10);
const SHORTEST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// How long deliveries sleep when nothing is to come and nobody wakes them.
const IDLE: Duration = Duration::from_secs(3600);

/// What the carrier is told at its start.
pub(crate) struct Options {
    /// The file of its dial log.
    pub(crate) dial_log: PathBuf,
    /// Where the server listens: `http://127.0.0.1:3000`.
    pub(crate) server_url: String,
    /// What server and carrier both know.
    pub(crate) secret: String,
    /// The seed of everything that happens; the same at every start on one log.
    pub(crate) seed: u64,
    /// How people and lines behave.
    pub(crate) model: SimModel,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("dial_log", &self.dial_log).finish_non_exhaustive()
    }
}

/// The carrier can't run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CarrierError {
    /// The dial log can't be read.
    #[error("the dial log {0:?} can't be read")]
    Log(PathBuf, #[source] io::Error),
    /// Nothing can be sent.
    #[error("no HTTP client can be made")]
    Client(#[from] reqwest::Error),
    /// Nobody can be listened to.
    #[error("the carrier can't listen")]
    Listen(#[source] io::Error),
}

/// Serves until `stop` is ready. What is not delivered by then is delivered after the next start.
///
/// # Errors
///
/// The log can't be read, or nobody can be listened to.
pub(crate) async fn run(
    listener: TcpListener,
    options: Options,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), CarrierError> {
    let client = crate::http_client::plain().timeout(PATIENCE).no_proxy().build()?;
    let carrier = Arc::new(Carrier::open(options).await?);
    let deliveries = tokio::spawn(deliver(Arc::clone(&carrier), client));
    let app = Router::new()
        .route("/calls", post(dial))
        .route("/calls/{call}", get(look_up))
        .route("/calls/{call}/hang-up", post(hang_up))
        .route("/recordings/{reference}", get(recording).delete(delete_recording))
        .route("/health", get(health))
        .with_state(carrier);
    let served = axum::serve(listener, app).with_graceful_shutdown(stop).await;
    deliveries.abort();
    served.map_err(CarrierError::Listen)
}

struct Carrier {
    secret: String,
    events_url: String,
    agents: HttpAgents,
    state: Mutex<Memory>,
    changed: Notify,
}

struct Memory {
    sim: SimCarrier,
    log: DialLog,
    /// None before the first request of a server: nobody dialled yet.
    clock: Option<ClockLine>,
    /// Dials of which the server may not have every event.
    open: BTreeSet<CallId>,
}

impl Carrier {
    async fn open(options: Options) -> Result<Self, CarrierError> {
        let Options { dial_log, server_url, secret, seed, model } = options;
        let (log, entries) = match DialLog::open(&dial_log).await {
            Ok(opened) => opened,
            Err(error) => return Err(CarrierError::Log(dial_log, error)),
        };
        let mut memory =
            Memory { sim: SimCarrier::new(seed, model), log, clock: None, open: BTreeSet::new() };
        memory.restore(entries);
        let events_url =
            format!("{}/webhooks/{PROVIDER}/{EVENTS}", server_url.trim_end_matches('/'));
        let agents = HttpAgents::new(&server_url)?;
        Ok(Self { secret, events_url, agents, state: Mutex::new(memory), changed: Notify::new() })
    }

    /// The memory, with the instant it is on the campaign clock of this request.
    async fn at(&self, clock: ClockLine) -> (MutexGuard<'_, Memory>, DateTime<Utc>) {
        let mut memory = self.state.lock().await;
        memory.clock = Some(clock);
        (memory, clock.at(SystemClock.now()))
    }
}

impl Memory {
    fn restore(&mut self, entries: Vec<Entry>) {
        let delivered: BTreeSet<CallId> = entries
            .iter()
            .filter_map(|entry| match entry {
                Entry::Delivered { call } => Some(*call),
                _ => None,
            })
            .collect();
        for entry in entries {
            match entry {
                Entry::Dial { dial, at, clock } => {
                    let is_delivered = delivered.contains(&dial.call);
                    if !is_delivered {
                        self.open.insert(dial.call);
                    }
                    self.sim.restore(*dial, at, is_delivered);
                    self.clock = Some(clock);
                }
                Entry::HungUp { call, at } => self.sim.hang_up(call, at),
                Entry::Delivered { .. } => {}
            }
        }
    }

    fn now(&self) -> Option<DateTime<Utc>> {
        self.clock.map(|clock| clock.at(SystemClock.now()))
    }

    /// How long until the next event is delivered.
    fn idle(&self) -> Duration {
        let next = self.sim.next_delivery().zip(self.clock);
        next.map_or(IDLE, |(at, clock)| clock.until(at, SystemClock.now()))
    }

    /// Notes of which calls the server has every event now.
    async fn note_delivered(&mut self) {
        let done: Vec<CallId> =
            self.open.iter().copied().filter(|call| self.sim.is_delivered(*call)).collect();
        for call in done {
            self.open.remove(&call);
            if let Err(error) = self.log.append(&Entry::Delivered { call }).await {
                // Then its events are delivered once more after the next start.
                tracing::warn!(%error, "the dial log could not be written");
            }
        }
    }
}

/// Sends events in order, each again until the server has taken it, however long that is.
async fn deliver(carrier: Arc<Carrier>, client: reqwest::Client) {
    let mut outbox: VecDeque<Report> = VecDeque::new();
    let mut results: VecDeque<AgentPost> = VecDeque::new();
    let mut wait = SHORTEST_WAIT;
    loop {
        let idle = {
            let mut memory = carrier.state.lock().await;
            if let Some(now) = memory.now() {
                outbox.extend(memory.sim.advance(now));
                results.extend(memory.sim.take_posts());
            }
            if outbox.is_empty() && results.is_empty() {
                memory.note_delivered().await;
            }
            memory.idle()
        };
        if outbox.is_empty() && results.is_empty() {
            tokio::select! {
                () = tokio::time::sleep(idle.max(Duration::from_millis(1))) => {}
                () = carrier.changed.notified() => {}
            }
            continue;
        }
        // Events first: a result is about a call that the server may not have heard of yet.
        let (body, count) = batch(&outbox);
        let sent = if let (0, Some(post)) = (count, results.front()) {
            let arrived = carrier.agents.send(post).await;
            results.drain(..usize::from(arrived));
            arrived
        } else {
            let taken = send(&client, &carrier, body).await;
            outbox.drain(..if taken { count } else { 0 });
            taken
        };
        if sent {
            wait = SHORTEST_WAIT;
        } else {
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }
}

/// The next delivery and how many events it carries; at least one.
fn batch(outbox: &VecDeque<Report>) -> (Vec<u8>, usize) {
    let mut events: Vec<Message> = Vec::new();
    let mut bytes = 0;
    for report in outbox.iter().take(BATCH) {
        let message = Message::from(report.clone());
        bytes += serde_json::to_vec(&message).map_or(0, |text| text.len());
        if bytes > BATCH_BYTES && !events.is_empty() {
            break;
        }
        events.push(message);
    }
    let count = events.len();
    let body = serde_json::to_vec(&Delivery { events });
    (body.unwrap_or_default(), count)
}

async fn send(client: &reqwest::Client, carrier: &Carrier, body: Vec<u8>) -> bool {
    let request = client
        .post(&carrier.events_url)
        .header(CONTENT_TYPE, "application/json")
        .header(SEAL, seal(&carrier.secret, &[&body]))
        .body(body);
    match request.send().await {
        Ok(response) if response.status().is_success() => true,
        Ok(response) => {
            tracing::warn!(status = %response.status(), "the server did not take events");
            false
        }
        Err(error) => {
            tracing::debug!(error = %error.without_url(), "the server is away");
            false
        }
    }
}

/// A request whose seal proves that it comes from the server.
struct Sealed {
    clock: ClockLine,
    body: Bytes,
}

impl FromRequest<Arc<Carrier>> for Sealed {
    type Rejection = StatusCode;

    async fn from_request(
        request: Request,
        carrier: &Arc<Carrier>,
    ) -> Result<Self, Self::Rejection> {
        let clock = header(&request, CLOCK).ok_or(StatusCode::FORBIDDEN)?;
        let mark = header(&request, SEAL).ok_or(StatusCode::FORBIDDEN)?;
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let body = Bytes::from_request(request, carrier)
            .await
            .map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
        let parts: [&[u8]; 4] =
            [method.as_str().as_bytes(), path.as_bytes(), clock.as_bytes(), &body];
        if !is_sealed(&carrier.secret, &parts, &mark) {
            return Err(StatusCode::FORBIDDEN);
        }
        let clock = ClockLine::parse(&clock).ok_or(StatusCode::BAD_REQUEST)?;
        Ok(Self { clock, body })
    }
}

fn header(request: &Request, name: &str) -> Option<String> {
    request.headers().get(name)?.to_str().ok().map(str::to_owned)
}

async fn dial(State(carrier): State<Arc<Carrier>>, sealed: Sealed) -> Response {
    let Ok(dial) = serde_json::from_slice::<SimDial>(&sealed.body) else {
        return StatusCode::UNPROCESSABLE_ENTITY.into_response();
    };
    // In a task of its own: a server that dies now must not leave a dial half logged.
    let task = tokio::spawn(async move {
        let clock = sealed.clock;
        let (mut memory, now) = carrier.at(clock).await;
        let entry = Entry::Dial { dial: Box::new(dial.clone()), at: now, clock };
        memory.log.append_durably(&entry).await?;
        memory.open.insert(dial.call);
        let carrier_call_id = memory.sim.place(dial, now);
        carrier.changed.notify_one();
        Ok::<_, io::Error>(Placed { carrier_call_id })
    });
    match task.await {
        Ok(Ok(placed)) => Json(placed).into_response(),
        Ok(Err(error)) => {
            tracing::error!(%error, "the dial log could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn look_up(
    State(carrier): State<Arc<Carrier>>,
    Path(call): Path<CallId>,
    sealed: Sealed,
) -> Response {
    let (memory, now) = carrier.at(sealed.clock).await;
    match memory.sim.find(call, now) {
        Found::Events(events) => Json(CallEvents { events }).into_response(),
        Found::Nothing => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn hang_up(
    State(carrier): State<Arc<Carrier>>,
    Path(call): Path<CallId>,
    sealed: Sealed,
) -> StatusCode {
    let (mut memory, now) = carrier.at(sealed.clock).await;
    if let Err(error) = memory.log.append_durably(&Entry::HungUp { call, at: now }).await {
        tracing::error!(%error, "the dial log could not be written");
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    memory.sim.hang_up(call, now);
    carrier.changed.notify_one();
    StatusCode::NO_CONTENT
}

async fn recording(
    State(carrier): State<Arc<Carrier>>,
    Path(reference): Path<String>,
    sealed: Sealed,
) -> Response {
    let (memory, _) = carrier.at(sealed.clock).await;
    match memory.sim.recording(&reference) {
        Some(audio) => ([(CONTENT_TYPE, audio.content_type)], audio.bytes).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Recordings are made from their references: after a restart one that was deleted can be made
/// again, by somebody who still knows its reference.
async fn delete_recording(
    State(carrier): State<Arc<Carrier>>,
    Path(reference): Path<String>,
    sealed: Sealed,
) -> StatusCode {
    let (mut memory, _) = carrier.at(sealed.clock).await;
    memory.sim.delete_recording(&reference);
    StatusCode::NO_CONTENT
}

/// Open to anybody; a sealed request also sets the clock.
async fn health(
    State(carrier): State<Arc<Carrier>>,
    sealed: Result<Sealed, StatusCode>,
) -> StatusCode {
    if let Ok(sealed) = sealed {
        drop(carrier.at(sealed.clock).await);
        carrier.changed.notify_one();
    }
    StatusCode::NO_CONTENT
}
