//! The server's side of a simulated carrier in a process of its own.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use callcore::call::Report;
use callcore::engine::Ticket;
use callcore::id::CallId;
use callcore::port::{
    Audio, Fault, Found, OpenCall, Placement, Telephony, TelephonyError, WebhookAnswer,
    WebhookBody, WebhookDecoder, WebhookError, WebhookReply, WebhookRequest,
};
use callcore::sim::SimDial;
use callcore::time::Clock;
use chrono::TimeDelta;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};

use super::wire::{
    CLOCK, CallEvents, ClockLine, Delivery, EVENTS, PROVIDER, Placed, SEAL, is_sealed, seal,
};

/// How long the carrier may take to answer, within a ticket's life.
const PATIENCE: Duration = Duration::from_secs(4);
/// When a dial that certainly did not reach the carrier is tried again, on the campaign clock.
const TRY_AGAIN: TimeDelta = TimeDelta::seconds(30);

/// A simulated carrier in a process of its own.
pub(crate) struct RemoteSim {
    client: Client,
    url: String,
    secret: String,
    clock: Arc<dyn Clock>,
    wall: Arc<dyn Clock>,
    speed: u32,
}

impl fmt::Debug for RemoteSim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteSim").field("url", &self.url).finish_non_exhaustive()
    }
}

impl RemoteSim {
    /// The carrier at `url`. The campaign clock passes `speed` seconds in one of `wall`.
    ///
    /// # Errors
    ///
    /// No HTTP client can be made.
    pub(crate) fn new(
        url: &str,
        secret: &str,
        clock: Arc<dyn Clock>,
        wall: Arc<dyn Clock>,
        speed: u32,
    ) -> Result<Self, reqwest::Error> {
        let client = crate::http_client::plain()
            .timeout(PATIENCE)
            // A dial is sent once: no retries, and no pooled connection that may turn out closed
            // after the request was written, when nobody knows whether it was read.
            .retry(reqwest::retry::never())
            .pool_max_idle_per_host(0)
            .no_proxy()
            .build()?;
        let url = url.trim_end_matches('/').to_owned();
        Ok(Self { client, url, secret: secret.to_owned(), clock, wall, speed })
    }

    fn request(&self, method: Method, path: &str, body: Vec<u8>) -> RequestBuilder {
        let line = ClockLine::of(self.clock.as_ref(), self.wall.as_ref(), self.speed).header();
        let parts: [&[u8]; 4] =
            [method.as_str().as_bytes(), path.as_bytes(), line.as_bytes(), &body];
        let mark = seal(&self.secret, &parts);
        self.client
            .request(method, format!("{}{path}", self.url))
            .header(CLOCK, line)
            .header(SEAL, mark)
            .body(body)
    }

    async fn ask(
        &self,
        operation: &'static str,
        method: Method,
        path: &str,
    ) -> Result<Option<Response>, TelephonyError> {
        let response = self.request(method, path, Vec::new()).send().await;
        let failed =
            |error: reqwest::Error| TelephonyError::new(operation).because(error.without_url());
        match response {
            Ok(response) if response.status() == StatusCode::NOT_FOUND => Ok(None),
            Ok(response) => response.error_for_status().map(Some).map_err(failed),
            Err(error) => Err(failed(error)),
        }
    }

    pub(super) async fn dial(&self, dial: &SimDial) -> Placement {
        let Ok(body) = serde_json::to_vec(dial) else {
            return Placement::Refused { reason: "not_json".to_owned(), fault: Fault::Request };
        };
        let sent = self.request(Method::POST, "/calls", body).send().await;
        self.placement(sent).await
    }

    async fn placement(&self, sent: Result<Response, reqwest::Error>) -> Placement {
        let later = || Placement::Later { at: self.clock.now() + TRY_AGAIN };
        let response = match sent {
            Ok(response) => response,
            // Nothing of the request was written.
            Err(error) if error.is_connect() => return later(),
            Err(_) => return Placement::Unknown,
        };
        let status = response.status();
        if status.is_success() {
            return match response.json::<Placed>().await {
                Ok(Placed { carrier_call_id }) => Placement::Placed { carrier_call_id },
                Err(_) => Placement::Unknown,
            };
        }
        match status {
            // A wrong secret is the operator's to mend; it must not burn the list.
            StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS => {
                tracing::warn!(%status, "the carrier takes no dials");
                later()
            }
            _ if status.is_client_error() => {
                let fault = Fault::Number { permanent: false };
                Placement::Refused { reason: "refused".to_owned(), fault }
            }
            _ => Placement::Unknown,
        }
    }
}

#[async_trait]
impl Telephony for RemoteSim {
    fn kind(&self) -> &'static str {
        PROVIDER
    }

    fn is_simulated(&self) -> bool {
        true
    }

    async fn place_call(&self, ticket: Ticket) -> Placement {
        self.dial(&SimDial::of(&ticket)).await
    }

    async fn hang_up(&self, call: CallId, _: Option<&str>) -> Result<(), TelephonyError> {
        self.ask("hang up", Method::POST, &format!("/calls/{call}/hang-up")).await.map(drop)
    }

    async fn find_call(&self, call: &OpenCall) -> Result<Found, TelephonyError> {
        let found = self.ask("find a call", Method::GET, &format!("/calls/{}", call.call)).await?;
        let Some(response) = found else { return Ok(Found::Nothing) };
        let known: CallEvents = response
            .json()
            .await
            .map_err(|error| TelephonyError::new("find a call").because(error.without_url()))?;
        Ok(Found::Events(known.events))
    }

    async fn check(&self) -> Result<(), TelephonyError> {
        self.ask("check", Method::GET, "/health").await.map(drop)
    }

    async fn recording(&self, reference: &str) -> Result<Option<Audio>, TelephonyError> {
        const WHAT: &str = "fetch a recording";
        if !is_plain(reference) {
            return Ok(None);
        }
        let path = format!("/recordings/{reference}");
        let Some(response) = self.ask(WHAT, Method::GET, &path).await? else { return Ok(None) };
        let bytes = response.bytes().await;
        let bytes =
            bytes.map_err(|error| TelephonyError::new(WHAT).because(error.without_url()))?;
        Ok(Some(Audio { content_type: "audio/wav".to_owned(), bytes: bytes.to_vec() }))
    }

    async fn delete_recording(&self, reference: &str) -> Result<(), TelephonyError> {
        if !is_plain(reference) {
            return Ok(());
        }
        let path = format!("/recordings/{reference}");
        self.ask("delete a recording", Method::DELETE, &path).await.map(drop)
    }
}

/// References of this carrier are plain; what is not can be none of them.
fn is_plain(reference: &str) -> bool {
    reference.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Takes the events the carrier's process delivers.
pub(crate) struct SimWebhook {
    secret: String,
}

impl SimWebhook {
    /// A decoder that trusts whoever knows the secret.
    pub(crate) fn new(secret: &str) -> Self {
        Self { secret: secret.to_owned() }
    }
}

impl fmt::Debug for SimWebhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimWebhook")
    }
}

#[async_trait]
impl WebhookDecoder for SimWebhook {
    fn provider(&self) -> &'static str {
        PROVIDER
    }

    fn decode(&self, request: &WebhookRequest<'_>) -> Result<WebhookReply, WebhookError> {
        let mark = request.headers.iter().find(|(name, _)| name == SEAL);
        let (_, mark) = mark.ok_or(WebhookError::Forbidden)?;
        if !is_sealed(&self.secret, &[request.body], mark) {
            return Err(WebhookError::Forbidden);
        }
        if request.method != "POST" || request.path != EVENTS {
            return Err(WebhookError::Malformed);
        }
        let delivery: Delivery =
            serde_json::from_slice(request.body).map_err(|_| WebhookError::Malformed)?;
        Ok(WebhookReply {
            reports: delivery.events.into_iter().map(Report::from).collect(),
            answer: WebhookAnswer::Fixed(WebhookBody {
                content_type: "application/json",
                text: "{}".to_owned(),
            }),
        })
    }
}
