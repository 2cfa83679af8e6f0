//! What a carrier sends by itself.

use std::fmt;

use chrono::{DateTime, Utc};

use crate::call::Report;
use crate::time::Entropy;

/// Turns a carrier's raw request into events. Knows no web framework and does no I/O.
///
/// - **W1** A request whose sender is not proven gives [`WebhookError::Forbidden`] and no events.
/// - **W2** The same request gives the same events.
pub trait WebhookDecoder: fmt::Debug + Send + Sync + 'static {
    /// The carrier's name in the path: `/webhooks/{provider}/...`.
    fn provider(&self) -> &'static str;

    /// Decodes a request.
    ///
    /// # Errors
    ///
    /// The sender is not proven, or the request makes no sense.
    fn decode(&self, request: &WebhookRequest<'_>) -> Result<WebhookReply, WebhookError>;
}

/// A request as it came in.
#[derive(Debug)]
pub struct WebhookRequest<'a> {
    /// The method.
    pub method: &'a str,
    /// The path below `/webhooks/{provider}/`, undecoded.
    pub path: &'a str,
    /// The query, undecoded, without the question mark.
    pub query: &'a str,
    /// Header names in lower case, with their values.
    pub headers: &'a [(String, String)],
    /// The body.
    pub body: &'a [u8],
    /// The instant it is on the campaign clock, for carriers that send none.
    pub now: DateTime<Utc>,
    /// For the ids of inbound calls.
    pub entropy: &'a dyn Entropy,
}

/// What a request means, and what the carrier hears once its events are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookReply {
    /// The events.
    pub reports: Vec<Report>,
    /// The answer's media type.
    pub content_type: &'static str,
    /// The answer.
    pub body: String,
}

/// A webhook is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// The sender is not proven.
    #[error("the signature does not match")]
    Forbidden,
    /// The request makes no sense.
    #[error("the request is malformed")]
    Malformed,
}
