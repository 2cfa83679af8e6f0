//! Twilio's REST API: the few requests that are made, and what makes a request safe to believe.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::answer::{self, Answer};
use crate::config::{Config, ConfigError, Credentials};

/// How long a request may take; a ticket is good for little longer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(3);
/// How long a recording may take to come: it is as long as its call.
const RECORDING_PATIENCE: Duration = Duration::from_secs(60);
/// The most bytes of a recording: two channels of twice the longest call.
const MAX_RECORDING: usize = 64 * 1024 * 1024;
/// How often a recording may be sent on.
const MAX_MOVES: u32 = 3;
/// The most bytes of an answer that are read.
const MAX_ANSWER: usize = 4 * 1024 * 1024;

/// A client of one account.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    client: Client,
    user: String,
    secret: SecretString,
    /// `{base}/2010-04-01/Accounts/{account}/`.
    root: Url,
}

/// Where a call gets the document it goes on with.
#[derive(Debug)]
pub(crate) enum Rewrite {
    /// Here: at most [`MAX_SENT`](crate::twiml::MAX_SENT) characters.
    Twiml(String),
    /// Twilio asks this URL for it.
    Url(String),
}

/// A request that did not bring what was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// The answer did not come.
    #[error("no answer from Twilio")]
    Transport(#[source] reqwest::Error),
    /// The answer says no.
    #[error("Twilio answered {status}{}", .code.map(|code| format!(", error {code}")).unwrap_or_default())]
    Status {
        /// The HTTP status.
        status: u16,
        /// Twilio's own code.
        code: Option<u32>,
    },
    /// The answer is not what is documented.
    #[error("Twilio's answer can't be read")]
    Unreadable,
}

impl ApiError {
    /// Whether Twilio says that there is no such thing.
    pub(crate) const fn is_not_found(&self) -> bool {
        matches!(self, Self::Status { status: 404 | 410, .. })
    }

    /// Whether Twilio says that the call is over: 21220, or that it is gone.
    pub(crate) const fn is_over(&self) -> bool {
        self.is_not_found() || matches!(self, Self::Status { code: Some(21220), .. })
    }
}

impl Api {
    pub(crate) fn new(config: &mut Config) -> Result<Self, ConfigError> {
        let hook = std::mem::replace(
            &mut config.http,
            crate::config::HttpHook(Box::new(|builder| builder)),
        );
        let builder = Client::builder().timeout(PATIENCE).connect_timeout(CONNECT);
        let client = (hook.0)(builder)
            // A 307 or 308 repeats the POST, and a repeated POST rings a person twice; so does a
            // retry. A pooled connection may turn out closed after the request was written, when
            // nobody knows whether it was read.
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .pool_max_idle_per_host(0)
            .build()?;
        let (user, secret) = match &config.credentials {
            Credentials::AuthToken(token) => (config.account.clone(), token.clone()),
            Credentials::ApiKey { key, secret } => (key.clone(), secret.clone()),
        };
        let root = config
            .base_url
            .join(&format!("2010-04-01/Accounts/{}/", config.account))
            .map_err(|_| ConfigError::Address("the base address"))?;
        Ok(Self { client, user, secret, root })
    }

    /// Asks for a call, once.
    pub(crate) async fn create_call(&self, form: &[(&str, String)]) -> Answer {
        let Ok(request) = self.request(Method::POST, "Calls.json") else { return Answer::Unclear };
        match request.form_body(form).send().await {
            Ok(response) => created(response).await,
            // Names that don't resolve, connections that are refused, TLS that fails: nothing of the
            // request was written.
            Err(error) if error.is_connect() || error.is_builder() => Answer::Later(None),
            Err(_) => Answer::Unclear,
        }
    }

    /// A call by Twilio's id.
    pub(crate) async fn call(&self, sid: &str) -> Result<Call, ApiError> {
        self.get(&format!("Calls/{sid}.json")).await
    }

    /// Ends a call: one that is not answered yet, or one that is.
    pub(crate) async fn end_call(&self, sid: &str) -> Result<(), ApiError> {
        // `completed` ends calls that wait or ring as well.
        self.post(&format!("Calls/{sid}.json"), &[("Status", "completed".to_owned())]).await
    }

    /// Gives a call that goes on another document.
    pub(crate) async fn rewrite_call(&self, sid: &str, document: Rewrite) -> Result<(), ApiError> {
        let form = match document {
            Rewrite::Twiml(twiml) => vec![("Twiml", twiml)],
            Rewrite::Url(url) => vec![("Url", url), ("Method", "POST".to_owned())],
        };
        self.post(&format!("Calls/{sid}.json"), &form).await
    }

    /// Calls to a number, the newest first. Not narrowed by `StartTime`: a call that waits has none
    /// and would be hidden.
    pub(crate) async fn calls(&self, to: &str) -> Result<Vec<Call>, ApiError> {
        let mut url = self.url("Calls.json")?;
        url.query_pairs_mut().append_pair("To", to).append_pair("PageSize", "50");
        let page: Calls = read(self.authorized(Method::GET, url).send().await).await?;
        Ok(page.calls)
    }

    /// The requests that Twilio made about a call, with the URLs it called.
    pub(crate) async fn requested_urls(&self, sid: &str) -> Result<Vec<String>, ApiError> {
        let log: Events = self.get(&format!("Calls/{sid}/Events.json")).await?;
        Ok(log.events.into_iter().filter_map(|event| event.request?.url).collect())
    }

    /// A recording's audio. Only its id is used: an address from a callback is input. Twilio may
    /// send on to where it keeps its media, which is followed to hosts of its own alone.
    pub(crate) async fn recording(&self, sid: &str) -> Result<Option<(String, Vec<u8>)>, ApiError> {
        let request = self.request(Method::GET, &format!("Recordings/{sid}.wav"))?;
        let mut response = request.timeout(RECORDING_PATIENCE).send().await.map_err(transport)?;
        for _ in 0..MAX_MOVES {
            if !response.status().is_redirection() {
                break;
            }
            let request = self.moved(&response).ok_or(ApiError::Unreadable)?;
            response = request.timeout(RECORDING_PATIENCE).send().await.map_err(transport)?;
        }
        if response.status() == StatusCode::NOT_FOUND || response.status() == StatusCode::GONE {
            return Ok(None);
        }
        if response.status() != StatusCode::OK {
            return Err(refusal(response).await);
        }
        let media_type = response.headers().get(header::CONTENT_TYPE);
        let media_type = media_type.and_then(|value| value.to_str().ok()).unwrap_or("audio/wav");
        let media_type = media_type.to_owned();
        Ok(Some((media_type, at_most(response, MAX_RECORDING).await?)))
    }

    /// The request that a redirect asks for, if its address is Twilio's. Who asks is told to the
    /// API's own address alone.
    fn moved(&self, response: &Response) -> Option<RequestBuilder> {
        let location = response.headers().get(header::LOCATION)?.to_str().ok()?;
        let url = response.url().join(location).ok()?;
        if url.origin() == self.root.origin() {
            return Some(self.authorized(Method::GET, url));
        }
        is_twilios(&url).then(|| self.client.get(url))
    }

    /// Deletes a recording; one that is gone is no error.
    pub(crate) async fn delete_recording(&self, sid: &str) -> Result<(), ApiError> {
        let request = self.request(Method::DELETE, &format!("Recordings/{sid}.json"))?;
        let response = request.send().await.map_err(transport)?;
        match response.status() {
            status if status.is_success() => Ok(()),
            StatusCode::NOT_FOUND | StatusCode::GONE => Ok(()),
            _ => Err(refusal(response).await),
        }
    }

    /// The account: its state, and whether it is a trial.
    pub(crate) async fn account(&self) -> Result<Account, ApiError> {
        // The root without its slash, as a file beside its children.
        let mut url = self.root.clone();
        let path = format!("{}.json", url.path().trim_end_matches('/'));
        url.set_path(&path);
        read(self.authorized(Method::GET, url).send().await).await
    }

    /// Whether the account's dialling permissions let it call a country, by its two letters
    /// (<https://www.twilio.com/docs/voice/api/dialingpermissions-country-resource>).
    pub(crate) async fn may_call(&self, country: &str) -> Result<bool, ApiError> {
        #[derive(Deserialize)]
        struct Country {
            #[serde(default)]
            low_risk_numbers_enabled: bool,
        }
        let mut url = self.root.clone();
        // A product of its own, beside `api`; whatever else is configured serves both.
        let host = url.host_str().and_then(|host| host.strip_prefix("api."));
        if let Some(host) = host.map(|rest| format!("voice.{rest}")) {
            url.set_host(Some(&host)).map_err(|_| ApiError::Unreadable)?;
        }
        url.set_path(&format!("/v1/DialingPermissions/Countries/{country}"));
        let answer: Country = read(self.authorized(Method::GET, url).send().await).await?;
        Ok(answer.low_risk_numbers_enabled)
    }

    /// Anything below the account, read-only.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ApiError> {
        read(self.request(Method::GET, path)?.send().await).await
    }

    async fn post(&self, path: &str, form: &[(&str, String)]) -> Result<(), ApiError> {
        let request = self.request(Method::POST, path)?.form_body(form);
        let response = request.send().await.map_err(transport)?;
        if response.status().is_success() { Ok(()) } else { Err(refusal(response).await) }
    }

    fn url(&self, path: &str) -> Result<Url, ApiError> {
        self.root.join(path).map_err(|_| ApiError::Unreadable)
    }

    fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, ApiError> {
        Ok(self.authorized(method, self.url(path)?))
    }

    fn authorized(&self, method: Method, url: Url) -> RequestBuilder {
        self.client.request(method, url).basic_auth(&self.user, Some(self.secret.expose_secret()))
    }
}

/// Whether an address is one of Twilio's own.
fn is_twilios(url: &Url) -> bool {
    let below = |host: &str, domain: &str| {
        host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    let host = url.host_str().unwrap_or_default();
    url.scheme() == "https" && ["twilio.com", "twiliocdn.com"].iter().any(|it| below(host, it))
}

trait FormBody {
    fn form_body(self, form: &[(&str, String)]) -> Self;
}

impl FormBody for RequestBuilder {
    /// A name may stand there more than once, as `StatusCallbackEvent` must.
    fn form_body(self, form: &[(&str, String)]) -> Self {
        let encoded = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        self.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(encoded)
    }
}

/// A call as Twilio shows it. Every field may be absent.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Call {
    pub(crate) sid: String,
    #[serde(default)]
    pub(crate) status: Option<String>,
    #[serde(default)]
    pub(crate) start_time: Option<String>,
    #[serde(default)]
    pub(crate) end_time: Option<String>,
    /// Seconds, as a text.
    #[serde(default)]
    pub(crate) duration: Option<String>,
    #[serde(default)]
    pub(crate) answered_by: Option<String>,
    #[serde(default)]
    pub(crate) date_created: Option<String>,
}

/// An account as Twilio shows it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Account {
    /// `active`, `suspended` or `closed`.
    #[serde(default)]
    pub(crate) status: Option<String>,
    /// `Trial` or `Full`.
    #[serde(default, rename = "type")]
    pub(crate) kind: Option<String>,
}

#[derive(Deserialize)]
struct Calls {
    #[serde(default)]
    calls: Vec<Call>,
}

#[derive(Deserialize)]
struct Events {
    #[serde(default)]
    events: Vec<LoggedEvent>,
}

#[derive(Deserialize)]
struct LoggedEvent {
    #[serde(default)]
    request: Option<LoggedRequest>,
}

#[derive(Deserialize)]
struct LoggedRequest {
    #[serde(default)]
    url: Option<String>,
}

/// What came of a request to create a call.
pub(crate) async fn created(response: Response) -> Answer {
    let status = response.status().as_u16();
    let wait = retry_after(&response);
    match body(response).await {
        Ok(bytes) => answer::read(status, wait, &bytes),
        // The status came, the body did not: what a refusal says of itself holds all the same.
        Err(_) => answer::read(status, wait, &[]),
    }
}

async fn read<T: DeserializeOwned>(sent: Result<Response, reqwest::Error>) -> Result<T, ApiError> {
    let response = sent.map_err(transport)?;
    if response.status() != StatusCode::OK {
        return Err(refusal(response).await);
    }
    let bytes = body(response).await?;
    serde_json::from_slice(&bytes).map_err(|_| ApiError::Unreadable)
}

async fn body(response: Response) -> Result<Vec<u8>, ApiError> {
    at_most(response, MAX_ANSWER).await
}

/// A body, if it is no longer than that.
async fn at_most(mut response: Response, most: usize) -> Result<Vec<u8>, ApiError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(transport)? {
        if bytes.len() + chunk.len() > most {
            return Err(ApiError::Unreadable);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

async fn refusal(response: Response) -> ApiError {
    #[derive(Deserialize)]
    struct Document {
        code: Option<u32>,
    }
    let status = response.status().as_u16();
    let bytes = body(response).await.unwrap_or_default();
    let code = serde_json::from_slice(&bytes).ok().and_then(|document: Document| document.code);
    ApiError::Status { status, code }
}

/// The URL holds numbers and ids: it stays out of the error.
fn transport(error: reqwest::Error) -> ApiError {
    ApiError::Transport(error.without_url())
}

/// Seconds that Twilio asks to wait; it documents no such header, and may send one.
fn retry_after(response: &Response) -> Option<Duration> {
    let seconds =
        response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_is_fetched_from_twilios_own_hosts_alone() {
        let is_own = |url: &str| is_twilios(&Url::parse(url).unwrap());
        assert!(is_own("https://api.twilio.com/x") && is_own("https://media.us1.twilio.com/x"));
        assert!(is_own("https://media.twiliocdn.com/x"));
        for other in [
            "http://api.twilio.com/x",
            "https://eviltwilio.com/x",
            "https://twilio.com.evil.example/x",
            "https://api.twilio.com@evil.example/x",
            "https://169.254.169.254/x",
        ] {
            assert!(!is_own(other), "{other}");
        }
    }
}
