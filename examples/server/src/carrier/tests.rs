mod conformance;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use callcore::call::{CallEvent, CallRef, EventKind, Report};
use callcore::id::CallId;
use callcore::phone::PhoneNumber;
use callcore::port::{
    Found, OpenCall, Placement, Telephony, WebhookDecoder, WebhookError, WebhookRequest,
};
use callcore::runtime::SystemClock;
use callcore::sim::{SimDial, SimModel};
use callcore::time::{Clock, FastClock, SeededEntropy};
use chrono::{DateTime, Utc};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::dial_log::{DialLog, Entry};
use super::process::{self, CarrierError, Options};
use super::remote::{RemoteSim, SimWebhook};
use super::wire::{ClockLine, SEAL, is_sealed, seal};

const SECRET: &str = "a shared secret";
const SPEED: u32 = 5_000;

fn start() -> DateTime<Utc> {
    "2026-11-23T15:00:00Z".parse().unwrap()
}

fn dials(count: u64) -> Vec<SimDial> {
    let entropy = SeededEntropy::new(5);
    let number = |index| PhoneNumber::from_digits(12_125_550_100 + index).unwrap();
    let dial = |index| SimDial {
        lines: vec!["Good day.".to_owned()],
        ..SimDial::new(CallId::new(start(), &entropy), number(index))
    };
    (0..count).map(dial).collect()
}

fn remote_at(url: &str, secret: &str) -> RemoteSim {
    let clock: Arc<dyn Clock> = Arc::new(FastClock::new(SystemClock, start(), SPEED));
    RemoteSim::new(url, secret, clock, Arc::new(SystemClock), SPEED).unwrap()
}

/// A carrier's process, but for the process.
struct Running {
    url: String,
    stop: CancellationToken,
    ended: JoinHandle<Result<(), CarrierError>>,
}

impl Running {
    async fn start(log: &Path, server_url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let options = Options {
            dial_log: log.to_owned(),
            server_url: server_url.to_owned(),
            secret: SECRET.to_owned(),
            seed: 7,
            model: SimModel { call_back: 0, ..SimModel::default() },
        };
        let ended = tokio::spawn(process::run(listener, options, stop.clone().cancelled_owned()));
        Self { url, stop, ended }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.ended.await.unwrap().unwrap();
    }
}

/// The server's side of webhooks: takes what is sealed, unless it is out of order.
#[derive(Default)]
struct Sink {
    broken: AtomicBool,
    taken: Mutex<Vec<Report>>,
}

impl Sink {
    async fn start(self: &Arc<Self>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new()
            .route("/webhooks/simulated/events", post(take))
            .with_state(Arc::clone(self));
        tokio::spawn(axum::serve(listener, app).into_future());
        url
    }

    fn by_call(&self) -> BTreeMap<CallId, BTreeSet<CallEvent>> {
        let mut calls: BTreeMap<CallId, BTreeSet<CallEvent>> = BTreeMap::new();
        for report in self.taken.lock().unwrap().iter() {
            let CallRef::Ours(call) = report.call else { panic!("nobody rings back") };
            calls.entry(call).or_default().insert(report.event.clone());
        }
        calls
    }

    fn ended(&self) -> usize {
        let is_end = |event: &CallEvent| matches!(event.kind, EventKind::Ended { .. });
        self.by_call().values().filter(|events| events.iter().any(is_end)).count()
    }
}

async fn take(State(sink): State<Arc<Sink>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    if sink.broken.load(Ordering::Relaxed) {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let mark = headers[SEAL].to_str().unwrap().to_owned();
    match decode("POST", "events", &[(SEAL.to_owned(), mark)], &body) {
        Ok(reports) => {
            sink.taken.lock().unwrap().extend(reports);
            StatusCode::OK
        }
        Err(_) => StatusCode::FORBIDDEN,
    }
}

fn decode(
    method: &str,
    path: &str,
    headers: &[(String, String)],
    body: &[u8],
) -> Result<Vec<Report>, WebhookError> {
    let entropy = SeededEntropy::new(1);
    let now = start();
    let request = WebhookRequest { method, path, query: "", headers, body, now, entropy: &entropy };
    SimWebhook::new(SECRET).decode(&request).map(|reply| reply.reports)
}

async fn until(what: &str, done: impl Fn() -> bool) {
    for _ in 0..3_000 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}

async fn entries(log: &Path) -> Vec<Entry> {
    DialLog::open(log).await.unwrap().1
}

fn open(call: CallId) -> OpenCall {
    OpenCall { call, phone: None, begun_at: start(), carrier_call_id: None, events: Vec::new() }
}

async fn found(remote: &RemoteSim, call: CallId) -> Vec<CallEvent> {
    match remote.find_call(&open(call)).await.unwrap() {
        Found::Events(events) => events,
        Found::Nothing => panic!("the carrier forgot a call"),
    }
}

#[tokio::test]
async fn a_call_is_dialled_told_looked_up_and_heard() {
    let folder = TempDir::new().unwrap();
    let sink = Arc::new(Sink::default());
    let carrier = Running::start(&folder.path().join("log"), &sink.start().await).await;
    let remote = remote_at(&carrier.url, SECRET);
    remote.check().await.unwrap();
    let dials = dials(30);
    for dial in &dials {
        assert!(matches!(remote.dial(dial).await, Placement::Placed { .. }));
    }
    until("every call ends", || sink.ended() == 30).await;
    let by_call = sink.by_call();
    let mut recordings = 0;
    for dial in &dials {
        let known = found(&remote, dial.call).await;
        for event in &by_call[&dial.call] {
            assert!(known.contains(event));
        }
        for event in &known {
            if let EventKind::Recorded { reference } = &event.kind {
                let audio = remote.recording(reference).await.unwrap().unwrap();
                assert_eq!((&*audio.content_type, &audio.bytes[..4]), ("audio/wav", &b"RIFF"[..]));
                recordings += 1;
            }
        }
    }
    assert!(recordings > 0);
    assert_eq!(remote.recording("RE12").await.unwrap(), None);
    assert_eq!(remote.recording("../calls").await.unwrap(), None);
    let stranger = CallId::new(start(), &SeededEntropy::new(99));
    assert_eq!(remote.find_call(&open(stranger)).await.unwrap(), Found::Nothing);
    carrier.stop().await;
}

#[tokio::test]
async fn events_wait_for_a_server_that_is_away_and_outlive_the_carrier() {
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("log");
    let sink = Arc::new(Sink::default());
    sink.broken.store(true, Ordering::Relaxed);
    let server = sink.start().await;
    let dials = dials(12);
    let carrier = Running::start(&log, &server).await;
    let remote = remote_at(&carrier.url, SECRET);
    for dial in &dials {
        assert!(matches!(remote.dial(dial).await, Placement::Placed { .. }));
    }
    carrier.stop().await;

    let carrier = Running::start(&log, &server).await;
    let remote = remote_at(&carrier.url, SECRET);
    // The clock went on from the log alone; the calls end unheard.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(sink.ended(), 0);
    sink.broken.store(false, Ordering::Relaxed);
    until("every call ends", || sink.ended() == 12).await;
    let delivered = |entries: &[Entry]| {
        entries.iter().filter(|entry| matches!(entry, Entry::Delivered { .. })).count()
    };
    for _ in 0..3_000 {
        if delivered(&entries_of(&log)) == 12 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let before = found(&remote, dials[0].call).await;
    carrier.stop().await;

    let heard = sink.taken.lock().unwrap().len();
    let carrier = Running::start(&log, &server).await;
    let remote = remote_at(&carrier.url, SECRET);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(found(&remote, dials[0].call).await, before, "the same life after a restart");
    assert_eq!(sink.taken.lock().unwrap().len(), heard, "nothing is left to deliver");
    carrier.stop().await;
    let entries = entries(&log).await;
    let dialled: Vec<CallId> = entries
        .iter()
        .filter_map(|entry| match entry {
            Entry::Dial { dial, .. } => Some(dial.call),
            _ => None,
        })
        .collect();
    assert_eq!(dialled, dials.iter().map(|dial| dial.call).collect::<Vec<_>>());
    assert_eq!(delivered(&entries), 12);
}

/// Reads the log while a carrier writes it, so that opening it must not cut anything off.
fn entries_of(log: &Path) -> Vec<Entry> {
    let text = std::fs::read_to_string(log).unwrap();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[tokio::test]
async fn a_second_dial_of_one_call_is_a_second_line_of_the_log() {
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("log");
    let carrier = Running::start(&log, "http://127.0.0.1:9").await;
    let remote = remote_at(&carrier.url, SECRET);
    let dial = dials(1).remove(0);
    remote.dial(&dial).await;
    remote.dial(&dial).await;
    carrier.stop().await;
    let is_dial =
        |entry: &&Entry| matches!(entry, Entry::Dial { dial: logged, .. } if **logged == dial);
    assert_eq!(entries(&log).await.iter().filter(is_dial).count(), 2);
}

#[tokio::test]
async fn a_call_that_is_hung_up_stays_so_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("log");
    let carrier = Running::start(&log, "http://127.0.0.1:9").await;
    let clock: Arc<dyn Clock> = Arc::new(FastClock::new(SystemClock, start(), 1));
    let wall: Arc<dyn Clock> = Arc::new(SystemClock);
    let slow = RemoteSim::new(&carrier.url, SECRET, clock.clone(), wall.clone(), 1).unwrap();
    let dial = dials(1).remove(0);
    slow.dial(&dial).await;
    slow.hang_up(dial.call, None).await.unwrap();
    let before = found(&slow, dial.call).await;
    assert!(before.iter().any(|event| matches!(event.kind, EventKind::Ended { .. })));
    carrier.stop().await;
    let carrier = Running::start(&log, "http://127.0.0.1:9").await;
    let slow = RemoteSim::new(&carrier.url, SECRET, clock, wall, 1).unwrap();
    assert_eq!(found(&slow, dial.call).await, before);
    carrier.stop().await;
}

#[tokio::test]
async fn only_what_certainly_did_not_reach_the_carrier_is_tried_again() {
    let dial = dials(1).remove(0);
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let placement = remote_at(&nobody, SECRET).dial(&dial).await;
    assert!(matches!(placement, Placement::Later { .. }), "nobody listens: {placement:?}");
    assert!(remote_at(&nobody, SECRET).check().await.is_err());

    // It reads the whole request and hangs up: nobody knows what it did.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("http://{}", listener.local_addr().unwrap());
    let requests = tokio::spawn(async move {
        let mut requests = 0;
        while let Ok(Ok((mut stream, _))) =
            tokio::time::timeout(Duration::from_secs(1), listener.accept()).await
        {
            let mut buffer = [0; 8_192];
            requests += u32::from(stream.read(&mut buffer).await.unwrap() > 0);
        }
        requests
    });
    assert_eq!(remote_at(&silent, SECRET).dial(&dial).await, Placement::Unknown);
    assert_eq!(requests.await.unwrap(), 1, "a dial is sent once");
}

#[tokio::test]
async fn whoever_does_not_know_the_secret_dials_nobody() {
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("log");
    let carrier = Running::start(&log, "http://127.0.0.1:9").await;
    let stranger = remote_at(&carrier.url, "a guess");
    let dial = dials(1).remove(0);
    assert!(matches!(stranger.dial(&dial).await, Placement::Later { .. }));
    assert!(stranger.find_call(&open(dial.call)).await.is_err());
    assert!(stranger.hang_up(dial.call, None).await.is_err());
    carrier.stop().await;
    assert_eq!(entries(&log).await, []);
}

#[tokio::test]
async fn a_line_that_was_not_written_whole_is_cut_off() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("log");
    let call = dials(1)[0].call;
    let (mut log, _) = DialLog::open(&path).await.unwrap();
    log.append_durably(&Entry::Delivered { call }).await.unwrap();
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, [&whole[..], br#"{"kind":"dial","ca"#].concat()).unwrap();
    let (mut log, entries) = DialLog::open(&path).await.unwrap();
    assert_eq!(entries, [Entry::Delivered { call }]);
    log.append_durably(&Entry::HungUp { call, at: start() }).await.unwrap();
    let (_, entries) = DialLog::open(&path).await.unwrap();
    assert_eq!(entries, [Entry::Delivered { call }, Entry::HungUp { call, at: start() }]);
    std::fs::write(&path, b"nonsense\n").unwrap();
    assert!(DialLog::open(&path).await.is_err(), "a damaged log is no empty one");
}

#[test]
fn only_sealed_events_are_taken() {
    let call = dials(1)[0].call;
    let body = format!(
        r#"{{"events": [{{"call": {{"ours": "{call}"}},
            "event": {{"at": "2026-11-23T15:00:03Z", "kind": {{"kind": "ringing"}}}}}}]}}"#
    );
    let sealed = |body: &str| vec![(SEAL.to_owned(), seal(SECRET, &[body.as_bytes()]))];
    let ringing = Report::ours(call, "2026-11-23T15:00:03Z".parse().unwrap(), EventKind::Ringing);
    let good = decode("POST", "events", &sealed(&body), body.as_bytes());
    assert_eq!(good, Ok(vec![ringing]));
    assert_eq!(decode("POST", "events", &sealed(&body), body.as_bytes()), good);

    let forbidden = Err(WebhookError::Forbidden);
    assert_eq!(decode("POST", "events", &[], body.as_bytes()), forbidden);
    assert_eq!(decode("POST", "events", &sealed("{}"), body.as_bytes()), forbidden);
    let odd = vec![(SEAL.to_owned(), "zé".to_owned())];
    assert_eq!(decode("POST", "events", &odd, body.as_bytes()), forbidden);
    let other = vec![(SEAL.to_owned(), seal("a guess", &[body.as_bytes()]))];
    assert_eq!(decode("POST", "events", &other, body.as_bytes()), forbidden);

    let malformed = Err(WebhookError::Malformed);
    assert_eq!(decode("POST", "elsewhere", &sealed(&body), body.as_bytes()), malformed);
    assert_eq!(decode("POST", "events", &sealed("{}"), b"{}"), malformed);
}

#[test]
fn a_seal_holds_each_part_in_its_place() {
    let mark = seal(SECRET, &[b"GET", b"/calls"]);
    assert!(is_sealed(SECRET, &[b"GET", b"/calls"], &mark));
    assert!(!is_sealed(SECRET, &[b"GET/", b"calls"], &mark));
    assert!(!is_sealed(SECRET, &[b"GET", b"/calls"], &mark[2..]));
}

#[test]
fn both_sides_read_one_campaign_clock() {
    let wall: DateTime<Utc> = "2026-11-23T08:00:00.5Z".parse().unwrap();
    let line = ClockLine { wall, campaign: start(), speed: 60 };
    assert_eq!(ClockLine::parse(&line.header()), Some(line));
    assert_eq!(
        line.at(wall + chrono::TimeDelta::seconds(2)),
        start() + chrono::TimeDelta::minutes(2)
    );
    let at = start() + chrono::TimeDelta::minutes(3);
    assert_eq!(line.until(at, wall + chrono::TimeDelta::seconds(2)), Duration::from_secs(1));
    assert_eq!(line.until(start(), wall + chrono::TimeDelta::seconds(2)), Duration::ZERO);
    assert_eq!(ClockLine::parse("yesterday"), None);
}
