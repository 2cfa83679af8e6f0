//! What a carrier sends by itself.

use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::call::{CallRef, Report};
use crate::performance::Performance;
use crate::phone::PhoneNumber;
use crate::time::Entropy;

/// Turns a carrier's raw request into events, and writes what the carrier hears. Knows no web
/// framework.
///
/// - **W1** A request whose sender is not proven gives [`WebhookError::Forbidden`] and no events.
/// - **W2** The same request gives the same events.
/// - **W3** `decode` does no I/O.
#[async_trait]
pub trait WebhookDecoder: fmt::Debug + Send + Sync + 'static {
    /// The carrier's name in the path: `/webhooks/{provider}/...`.
    fn provider(&self) -> &'static str;

    /// Decodes a request.
    ///
    /// # Errors
    ///
    /// The sender is not proven, or the request makes no sense.
    fn decode(&self, request: &WebhookRequest<'_>) -> Result<WebhookReply, WebhookError>;

    /// Writes the answer to a request whose reply is [`WebhookAnswer::Script`], once its events are
    /// stored. It may ask the carrier for more; `performance` is none if the call is not known. A
    /// carrier whose answers never depend on a script leaves it out.
    async fn perform(&self, _cue: &str, _performance: Option<&Performance>) -> WebhookBody {
        WebhookBody::default()
    }

    /// Says of a request that is somebody's wish not to be called again whose it is, and what they
    /// hear while that can't be stored: something that makes the carrier send the same request again
    /// soon. None for every other request: the carrier hears of the failure.
    fn hold(&self, _request: &WebhookRequest<'_>) -> Option<Hold> {
        None
    }
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
    /// The answer.
    pub answer: WebhookAnswer,
}

/// What the carrier hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookAnswer {
    /// Always the same.
    Fixed(WebhookBody),
    /// What the call's own script says at this point; [`WebhookDecoder::perform`] writes it.
    Script {
        /// The call.
        call: CallRef,
        /// The point, in the carrier's own words.
        cue: String,
    },
}

/// An answer's body. The default one is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookBody {
    /// Its media type.
    pub content_type: &'static str,
    /// Its text.
    pub text: String,
}

impl Default for WebhookBody {
    fn default() -> Self {
        Self { content_type: "text/plain", text: String::new() }
    }
}

/// A caller who asked not to be called again, while that can't be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The caller's number, which must not be dialled meanwhile; a withheld one is none.
    pub phone: Option<PhoneNumber>,
    /// What the carrier hears.
    pub answer: WebhookBody,
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
