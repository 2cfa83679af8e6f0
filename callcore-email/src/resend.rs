//! Mails through Resend's API: one `POST /emails` a mail, with an `Idempotency-Key`.
//!
//! Resend knows a key for 24 hours: a mail sent again under it within that time is answered as the
//! first was, and reaches nobody twice.
//!
//! ```no_run
//! use callcore_email::resend::{self, Resend};
//! # fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let from = "Acme Calls <calls@example.com>".parse()?;
//! let client = resend::client().build()?;
//! let route = Resend::new(client, resend::BASE_URL, "re_secret", from)?;
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use callcore::port::{Mail, MailAddress, Notifier, NotifyError, NotifyErrorKind};
use chrono::TimeDelta;
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Client, ClientBuilder, Response, StatusCode, redirect, retry};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use crate::one_line;

/// Where Resend's API is.
pub const BASE_URL: &str = "https://api.resend.com";
/// The mails a month that cost nothing.
pub const FREE_PER_MONTH: u32 = 3_000;
/// The mails a day that cost nothing.
pub const FREE_PER_DAY: u32 = 100;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The largest answer that is read, in bytes: errors are short.
const MAX_ANSWER: usize = 64 * 1024;

/// The way through Resend.
pub struct Resend {
    client: Client,
    emails: Url,
    key: SecretString,
    from: MailAddress,
}

/// The settings make no way through Resend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ResendError {
    /// The base URL is none.
    #[error("the base URL must begin with http:// or https:// and have neither query nor password")]
    BaseUrl,
    /// The key can't be sent.
    #[error("the API key must be printable ASCII")]
    Key,
}

/// A client that follows no redirects: a mail that was sent elsewhere would be a mail lost, and its
/// words and the key told to whoever is there.
pub fn client() -> ClientBuilder {
    Client::builder()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .connect_timeout(Duration::from_secs(10))
        .timeout(PATIENCE)
}

impl Resend {
    /// A way through Resend with a client of one's own, which must follow no redirects, as that of
    /// [`client`].
    ///
    /// # Errors
    ///
    /// The base URL or the key can't be used.
    pub fn new(
        client: Client,
        base: &str,
        key: &str,
        from: MailAddress,
    ) -> Result<Self, ResendError> {
        let base = Url::parse(&format!("{}/", base.trim_end_matches('/')));
        let base = base.map_err(|_| ResendError::BaseUrl)?;
        let is_plain = base.password().is_none()
            && base.username().is_empty()
            && base.query().is_none()
            && base.fragment().is_none();
        if !matches!(base.scheme(), "http" | "https") || !base.has_host() || !is_plain {
            return Err(ResendError::BaseUrl);
        }
        let emails = base.join("emails").map_err(|_| ResendError::BaseUrl)?;
        if key.is_empty() || !key.chars().all(|c| c.is_ascii_graphic()) {
            return Err(ResendError::Key);
        }
        Ok(Self { client, emails, key: key.into(), from })
    }

    fn headers(&self, mail: &Mail) -> Result<HeaderMap, NotifyError> {
        let unusable = |reason| NotifyError::new(NotifyErrorKind::Refused, reason);
        let bearer = format!("Bearer {}", self.key.expose_secret());
        let mut bearer = HeaderValue::from_str(&bearer).map_err(|_| unusable("invalid_api_key"))?;
        bearer.set_sensitive(true);
        let key = HeaderValue::from_str(&mail.key);
        let key = key.map_err(|_| unusable("invalid_idempotency_key"))?;
        let mut headers = HeaderMap::new();
        headers.insert("authorization", bearer);
        headers.insert("idempotency-key", key);
        Ok(headers)
    }
}

impl fmt::Debug for Resend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resend").field("host", &self.emails.host_str()).finish_non_exhaustive()
    }
}

#[async_trait]
impl Notifier for Resend {
    fn kind(&self) -> &'static str {
        "resend"
    }

    async fn send(&self, mail: &Mail) -> Result<(), NotifyError> {
        let to: Vec<String> = mail.to.iter().map(ToString::to_string).collect();
        let body = json!({
            "from": self.from.to_string(),
            "to": to,
            "subject": one_line(&mail.subject),
            "text": mail.text,
            "html": mail.html,
        });
        let request = self.client.post(self.emails.clone()).headers(self.headers(mail)?);
        match request.timeout(PATIENCE).json(&body).send().await {
            Ok(answer) => judge(answer).await,
            Err(error) => Err(unanswered(error)),
        }
    }
}

/// No answer came: was the mail handed over?
fn unanswered(error: reqwest::Error) -> NotifyError {
    let (kind, reason) = if error.is_builder() {
        (NotifyErrorKind::Misconfigured, "request")
    } else if error.is_connect() {
        (NotifyErrorKind::Temporary, "connect")
    } else if error.is_redirect() {
        (NotifyErrorKind::Misconfigured, "redirected")
    } else {
        (NotifyErrorKind::Unknown, "no_answer")
    };
    NotifyError::new(kind, reason).because(error.without_url())
}

/// Resend's error: <https://resend.com/docs/api-reference/errors>.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Refusal {
    name: String,
    message: String,
}

async fn judge(answer: Response) -> Result<(), NotifyError> {
    let status = answer.status();
    let wait = wait_of(answer.headers());
    if status.is_redirection() {
        return Err(NotifyError::new(NotifyErrorKind::Misconfigured, "redirected"));
    }
    let body = body_of(answer).await;
    if status.is_success() {
        // An answer that broke off may be any answer's beginning.
        return body
            .map(drop)
            .ok_or_else(|| NotifyError::new(NotifyErrorKind::Unknown, "no_answer"));
    }
    let refusal: Refusal =
        body.and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or_default();
    let name = if refusal.name.is_empty() {
        format!("http_{}", status.as_u16())
    } else {
        refusal.name.to_ascii_lowercase()
    };
    let error = NotifyError::new(kind_of(status, &name, &refusal.message), &name);
    Err(match wait {
        Some(wait) => error.after(wait),
        None => error,
    })
}

fn kind_of(status: StatusCode, name: &str, message: &str) -> NotifyErrorKind {
    match (status.as_u16(), name) {
        (_, "daily_quota_exceeded") => NotifyErrorKind::DailyQuota,
        (_, "monthly_quota_exceeded") => NotifyErrorKind::MonthlyQuota,
        (429, _) => NotifyErrorKind::RateLimited,
        // The first request under the key is still under way, and may succeed.
        (_, "concurrent_idempotent_requests") => NotifyErrorKind::Unknown,
        // Of the key, the sender's domain or the address of the API: no mail will pass.
        (401 | 403 | 404 | 405, _) | (_, "invalid_from_address" | "invalid_api_key") => {
            NotifyErrorKind::Misconfigured
        }
        (400, "validation_error") if message.contains("API key") => NotifyErrorKind::Misconfigured,
        (408, _) => NotifyErrorKind::Unknown,
        (400..=499, _) => NotifyErrorKind::Refused,
        // What failed inside may have failed after the mail went out.
        _ => NotifyErrorKind::Unknown,
    }
}

/// The whole answer; none if it broke off or is no answer of Resend's by its size.
async fn body_of(mut answer: Response) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.ok()? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    Some(body)
}

/// How long the answer asks to wait: <https://resend.com/docs/api-reference/rate-limit>.
fn wait_of(headers: &HeaderMap) -> Option<TimeDelta> {
    let seconds = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u32>().ok();
    let seconds = seconds("retry-after").or_else(|| seconds("ratelimit-reset"))?;
    Some(TimeDelta::seconds(i64::from(seconds)))
}
