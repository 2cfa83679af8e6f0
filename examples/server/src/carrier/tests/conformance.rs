//! The simulated carrier's process and the server's side of it keep what carriers promise, through a
//! network between them that loses answers.

use async_trait::async_trait;
use axum::body::Body;
use axum::http::{Request, Response};
use callcore::testing::carrier::{Line, LineFactory, Play};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use super::*;

callcore::carrier_conformance!(ThroughANetwork);

struct ThroughANetwork;

struct ProcessLine {
    remote: RemoteSim,
    _carrier: Running,
    network: Arc<Network>,
    sink: Arc<Sink>,
    folder: TempDir,
    clock: Arc<dyn Clock>,
}

/// Passes requests on, and plays something to dials.
struct Network {
    to: String,
    plays: Mutex<Play>,
    client: reqwest::Client,
}

#[derive(Debug, thiserror::Error)]
#[error("the connection breaks")]
struct Broken;

impl Network {
    async fn start(to: &str, play: Play) -> (Arc<Self>, String) {
        let client = crate::http_client::plain().no_proxy().build().unwrap();
        let network = Arc::new(Self { to: to.to_owned(), plays: Mutex::new(play), client });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = Arc::clone(&network);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let network = Arc::clone(&serving);
                tokio::spawn(async move {
                    let service = service_fn(move |request| Arc::clone(&network).carry(request));
                    let http = hyper::server::conn::http1::Builder::new();
                    drop(http.serve_connection(TokioIo::new(stream), service).await);
                });
            }
        });
        (network, url)
    }

    async fn carry(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Body>, Broken> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Broken)?.to_bytes();
        let is_dial = parts.method == "POST" && parts.uri.path() == "/calls";
        let play = if is_dial { *self.plays.lock().unwrap() } else { Play::Take };
        let answer = |status: u16, text: &'static str| {
            Ok(Response::builder().status(status).body(Body::from(text)).unwrap())
        };
        match play {
            Play::Drop => return Err(Broken),
            Play::Fail => return answer(503, "not now"),
            Play::TooMany => return answer(429, "slower"),
            Play::RefuseAccount => return answer(403, "who are you"),
            Play::Redirect => {
                let target = format!("{}/calls", self.to);
                let redirect = Response::builder().status(307).header("location", target);
                return Ok(redirect.body(Body::empty()).unwrap());
            }
            _ => {}
        }
        let url = format!("{}{}", self.to, parts.uri.path());
        let mut sent = self.client.request(parts.method, url).body(body);
        for name in [SEAL, super::super::wire::CLOCK] {
            if let Some(value) = parts.headers.get(name) {
                sent = sent.header(name, value);
            }
        }
        let response = sent.send().await.map_err(|_| Broken)?;
        let (status, media_type) = (response.status(), response.headers().get("content-type"));
        let media_type = media_type.cloned();
        let whole = response.bytes().await.map_err(|_| Broken)?;
        match play {
            Play::TakeAndDrop => Err(Broken),
            Play::TakeAndFail => answer(500, "failed"),
            Play::TakeAndBabble => answer(200, "<html>Please sign in.</html>"),
            Play::TakeAndSleep => {
                tokio::time::sleep(Duration::from_secs(60)).await;
                Err(Broken)
            }
            Play::TakeAndTruncate => {
                let half = whole.slice(..whole.len() / 2);
                let parts = [Ok(half), Err(Broken)];
                let stream = futures_util::stream::iter(parts);
                Ok(Response::new(Body::from_stream(stream)))
            }
            _ => {
                let mut answer = Response::builder().status(status);
                if let Some(media_type) = media_type {
                    answer = answer.header("content-type", media_type);
                }
                Ok(answer.body(Body::from(whole)).unwrap())
            }
        }
    }
}

#[async_trait]
impl LineFactory for ThroughANetwork {
    async fn build(&self, play: Play) -> Option<Box<dyn Line>> {
        // Every number is one to it.
        if play == Play::RefuseNumber {
            return None;
        }
        let folder = TempDir::new().unwrap();
        let sink = Arc::new(Sink::default());
        let carrier = Running::start(&folder.path().join("log"), &sink.start().await).await;
        // It is there once it answers.
        remote_at(&carrier.url, SECRET).check().await.unwrap();
        let (network, mut url) = Network::start(&carrier.url, play).await;
        if play == Play::Away {
            let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
            url = format!("http://{}", closed.local_addr().unwrap());
        }
        let clock: Arc<dyn Clock> = Arc::new(FastClock::new(SystemClock, start(), SPEED));
        let wall = Arc::new(SystemClock);
        let remote = RemoteSim::new(&url, SECRET, Arc::clone(&clock), wall, SPEED).unwrap();
        Some(Box::new(ProcessLine { remote, _carrier: carrier, network, sink, folder, clock }))
    }
}

impl ProcessLine {
    fn entries(&self) -> Vec<Entry> {
        entries_of(&self.folder.path().join("log"))
    }
}

#[async_trait]
impl Line for ProcessLine {
    fn carrier(&self) -> &dyn Telephony {
        &self.remote
    }

    fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    async fn dials(&self) -> Vec<(CallId, PhoneNumber)> {
        let dial = |entry| match entry {
            Entry::Dial { dial, .. } => Some((dial.call, dial.to)),
            _ => None,
        };
        self.entries().into_iter().filter_map(dial).collect()
    }

    async fn live(&self) -> Vec<Report> {
        let dials = self.dials().await.len();
        until("everything is told", || {
            let delivered = |entry: &Entry| matches!(entry, Entry::Delivered { .. });
            self.entries().iter().filter(|entry| delivered(entry)).count() == dials
        })
        .await;
        self.sink.taken.lock().unwrap().clone()
    }

    async fn mend(&self) {
        *self.network.plays.lock().unwrap() = Play::Take;
    }
}
