//! A carrier, the fake it dials through, and a server for its webhooks.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use callcore::call::{CallRef, Direction, Report};
use callcore::campaign::VoicemailPolicy;
use callcore::id::CallId;
use callcore::performance::Performance;
use callcore::phone::PhoneNumber;
use callcore::port::{Telephony, WebhookAnswer, WebhookDecoder, WebhookError, WebhookRequest};
use callcore::runtime::{OsEntropy, SystemClock};
use callcore::script::Rendered;
use callcore::testing::carrier::{Line, LineFactory, Play};
use callcore::time::{Clock, SeededEntropy};
use callcore_twilio::Twilio;
use callcore_twilio::config::{Config, Credentials};
use callcore_twilio::testing::{FakeTwilio, Fate, Trouble};
use chrono::{DateTime, Utc};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpListener;

pub(crate) struct TwilioLine {
    pub(crate) twilio: Twilio,
    pub(crate) fake: FakeTwilio,
    pub(crate) server: Server,
}

/// Where the webhooks come in: they are decoded, kept, and answered from one performance.
#[derive(Clone)]
pub(crate) struct Server(Arc<Inner>);

struct Inner {
    address: SocketAddr,
    reports: Mutex<Vec<Report>>,
    performance: Mutex<Performance>,
    /// So many requests for documents, and so many key presses, find the store away.
    away: Mutex<[u32; 2]>,
    /// Whose opt-outs found it away.
    held: Mutex<Vec<PhoneNumber>>,
}

impl TwilioLine {
    pub(crate) async fn new() -> Self {
        let fake = FakeTwilio::start().await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let twilio = twilio(&fake.url(), &fake.token(), &format!("http://{address}"));
        let server = Server(Arc::new(Inner {
            address,
            reports: Mutex::default(),
            performance: Mutex::new(performance()),
            away: Mutex::default(),
            held: Mutex::default(),
        }));
        tokio::spawn(serve(server.clone(), listener, twilio.clone()));
        Self { twilio, fake, server }
    }
}

/// A carrier that waits no longer than a test may.
pub(crate) fn twilio(base: &str, token: &str, public: &str) -> Twilio {
    impatient(base, token, public, Duration::from_millis(700), Arc::new(SystemClock))
}

/// A carrier on a clock that waits so long for an answer.
pub(crate) fn impatient(
    base: &str,
    token: &str,
    public: &str,
    patience: Duration,
    clock: Arc<dyn Clock>,
) -> Twilio {
    let token = Credentials::AuthToken(token.to_owned().into());
    let numbers = ["+12125550100".parse().unwrap()];
    let config = Config::new(FakeTwilio::ACCOUNT, token, numbers, public).unwrap();
    let config = config.base_url(base).unwrap();
    let config = config.http(move |http| http.no_proxy().timeout(patience));
    // Whoever builds the whole workspace has TLS without a provider of its own.
    drop(rustls::crypto::ring::default_provider().install_default());
    Twilio::new(config, clock, Arc::new(OsEntropy)).unwrap()
}

/// A script of one sentence and an opt-out key.
pub(crate) fn performance() -> Performance {
    let call = CallId::new(SystemClock.now(), &SeededEntropy::new(1));
    Performance {
        call,
        carrier_call_id: None,
        direction: Direction::Outbound,
        phone: None,
        steps: vec![Rendered::Say { text: "Hello.".to_owned(), language: "en-US".to_owned() }],
        language: "en-US".to_owned(),
        keys: [('9'.try_into().unwrap(), callcore::script::KeyAction::OptOut)].into(),
        voicemail: VoicemailPolicy::HangUpAndRetry,
        voicemail_message: None,
        audio: [].into(),
        result_token: None,
        transcribed: false,
        answered_by: None,
        opted_out: false,
    }
}

impl Server {
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.0.address)
    }

    pub(crate) fn reports(&self) -> Vec<Report> {
        self.0.reports.lock().unwrap().clone()
    }

    pub(crate) fn performance(&self) -> Performance {
        self.0.performance.lock().unwrap().clone()
    }

    pub(crate) fn play(&self, change: impl FnOnce(&mut Performance)) {
        change(&mut self.0.performance.lock().unwrap());
    }

    /// The next so many requests for a document find the store away, and so many key presses.
    pub(crate) fn away(&self, documents: u32, presses: u32) {
        *self.0.away.lock().unwrap() = [documents, presses];
    }

    /// Whose opt-outs found the store away.
    pub(crate) fn held(&self) -> Vec<PhoneNumber> {
        self.0.held.lock().unwrap().clone()
    }
}

#[async_trait]
impl Behind for Server {
    async fn answer(&self, twilio: &Twilio, request: &WebhookRequest<'_>) -> (StatusCode, String) {
        let reply = match twilio.decode(request) {
            Ok(reply) => reply,
            Err(error) => return refused(error),
        };
        let is_away = {
            let mut away = self.0.away.lock().unwrap();
            let is_key = request.path.ends_with("/key");
            let left = &mut away[usize::from(is_key)];
            let is_away = *left > 0 && (is_key || !reply.reports.is_empty());
            *left = left.saturating_sub(u32::from(is_away));
            is_away
        };
        if is_away {
            return match twilio.hold(request) {
                Some(held) => {
                    self.0.held.lock().unwrap().extend(held.phone);
                    (StatusCode::OK, held.answer.text)
                }
                None => (StatusCode::SERVICE_UNAVAILABLE, String::new()),
            };
        }
        self.0.reports.lock().unwrap().extend(reply.reports);
        let body = match reply.answer {
            WebhookAnswer::Fixed(body) => body,
            WebhookAnswer::Script { call, cue } => {
                let mut performance = self.0.performance.lock().unwrap().clone();
                if let CallRef::Ours(call) = call {
                    performance.call = call;
                }
                twilio.perform(&cue, Some(&performance)).await
            }
        };
        (StatusCode::OK, body.text)
    }
}

/// What stands behind the address on which Twilio reaches us.
#[async_trait]
pub(crate) trait Behind: Clone + Send + Sync + 'static {
    async fn answer(&self, twilio: &Twilio, request: &WebhookRequest<'_>) -> (StatusCode, String);
}

/// How a request that is not taken is answered.
pub(crate) fn refused(error: WebhookError) -> (StatusCode, String) {
    let status = match error {
        WebhookError::Forbidden => StatusCode::FORBIDDEN,
        WebhookError::Malformed => StatusCode::BAD_REQUEST,
    };
    (status, String::new())
}

/// Serves webhooks for as long as the runtime lives.
pub(crate) async fn serve(behind: impl Behind, listener: TcpListener, twilio: Twilio) {
    while let Ok((stream, _)) = listener.accept().await {
        let (behind, twilio) = (behind.clone(), twilio.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request| asked(behind.clone(), twilio.clone(), request));
            let connection = Builder::new(TokioExecutor::new());
            drop(connection.serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

async fn asked(
    behind: impl Behind,
    twilio: Twilio,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let headers: Vec<(String, String)> = parts
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    let request = WebhookRequest {
        method: parts.method.as_str(),
        path: parts.uri.path().strip_prefix("/webhooks/twilio/").unwrap_or_default(),
        query: parts.uri.query().unwrap_or_default(),
        headers: &headers,
        body: &body,
        now: SystemClock.now(),
        entropy: &OsEntropy,
    };
    let (status, text) = behind.answer(&twilio, &request).await;
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    Ok(response)
}

/// Makes lines to fakes.
pub(crate) struct ThroughFakes;

#[async_trait]
impl LineFactory for ThroughFakes {
    async fn build(&self, play: Play) -> Option<Box<dyn Line>> {
        let mut line = TwilioLine::new().await;
        line.fake.usual_fate(Fate::Person { presses: None });
        line.fake.live_by_itself(false);
        line.fake.always(match play {
            Play::Take => Trouble::None,
            Play::TakeAndDrop => Trouble::LosesAnswer,
            Play::Drop => Trouble::LosesRequest,
            Play::TakeAndTruncate => Trouble::Truncates,
            Play::TakeAndBabble => Trouble::AnswersNonsense,
            Play::TakeAndFail => Trouble::FailsAfterwards,
            Play::TakeAndSleep => Trouble::IsSlow,
            Play::Fail => Trouble::FailsAtOnce,
            Play::Redirect => Trouble::Redirects,
            Play::TooMany => Trouble::TooMany,
            Play::RefuseNumber => Trouble::RefusesNumber,
            Play::RefuseAccount => Trouble::RefusesAccount,
            Play::Away => {
                let nowhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let url = format!("http://{}", nowhere.local_addr().unwrap());
                line.twilio = twilio(&url, &line.fake.token(), &line.server.url());
                Trouble::None
            }
        });
        Some(Box::new(line))
    }
}

#[async_trait]
impl Line for TwilioLine {
    fn carrier(&self) -> &dyn Telephony {
        &self.twilio
    }

    fn now(&self) -> DateTime<Utc> {
        SystemClock.now()
    }

    async fn dials(&self) -> Vec<(CallId, PhoneNumber)> {
        let dials = self.fake.dials();
        dials
            .iter()
            .map(|it| (it.call().unwrap().parse().unwrap(), it.to.parse().unwrap()))
            .collect()
    }

    async fn live(&self) -> Vec<Report> {
        for call in self.fake.dials() {
            self.fake.live(&call.sid).await;
        }
        self.server.reports()
    }

    async fn mend(&self) {
        self.fake.always(Trouble::None);
    }
}
