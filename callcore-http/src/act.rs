//! A change a person or token makes, at most once under an idempotency key.

use std::sync::Arc;

use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use callcore::port::{ActError, By, Effect, Idempotency, Refused, SavedReply};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::auth::Principal;
use crate::dto;
use crate::problem::Problem;
use crate::request::Change;
use crate::state::ApiState;

/// The header that a request is told by when it is sent again.
pub(crate) const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The longest idempotency key, in characters.
const MAX_KEY_CHARS: usize = 255;

/// Why a handler ends before its end.
#[derive(Debug)]
pub(crate) enum Early {
    Problem(Problem),
    /// The request was answered before, under its idempotency key.
    Replay(SavedReply),
}

impl<E: Into<Problem>> From<E> for Early {
    fn from(error: E) -> Self {
        Self::Problem(error.into())
    }
}

impl IntoResponse for Early {
    fn into_response(self) -> Response {
        match self {
            Self::Problem(problem) => problem.into_response(),
            Self::Replay(reply) => saved(&reply),
        }
    }
}

/// A change that has not been made under its key yet.
#[derive(Debug)]
pub(crate) struct Act {
    state: ApiState,
    principal: Principal,
    status: StatusCode,
    now: chrono::DateTime<chrono::Utc>,
    record: Option<Idempotency>,
}

impl Act {
    /// Looks whether the change was made before. `status` is what a successful answer has.
    pub(crate) async fn begin(
        state: &ApiState,
        principal: Principal,
        change: &Change,
        status: StatusCode,
    ) -> Result<Self, Early> {
        let scope = format!("{} {} {}", principal.actor, change.method, change.path);
        Self::under(state, principal, scope, &change.headers, &change.body, status).await
    }

    /// The same, of a request whose body is not at hand as a whole: `fingerprint` stands for it.
    pub(crate) async fn under(
        state: &ApiState,
        principal: Principal,
        scope: String,
        headers: &HeaderMap,
        fingerprint: &[u8],
        status: StatusCode,
    ) -> Result<Self, Early> {
        let record = match key(headers)? {
            Some(key) => {
                let carrier = state.carrier().kind();
                Some(Idempotency {
                    scope,
                    key,
                    body_hash: Sha256::digest(fingerprint).into(),
                    wall: state.wall_now(),
                    reply: Arc::new(move |effect| reply(status, effect, carrier)),
                })
            }
            None => None,
        };
        let act = Self { state: state.clone(), principal, status, now: state.now(), record };
        match act.before().await? {
            Some(reply) => Err(Early::Replay(reply)),
            None => Ok(act),
        }
    }

    /// Who makes the change, when, under which key.
    pub(crate) fn by(&self) -> By<'_> {
        By { actor: &self.principal.actor, now: self.now, idempotency: self.record.as_ref() }
    }

    /// The instant of the change, on the campaign clock.
    pub(crate) const fn now(&self) -> chrono::DateTime<chrono::Utc> {
        self.now
    }

    /// The answer to what was done.
    pub(crate) async fn finish(self, effect: Result<Effect, ActError>) -> Result<Response, Early> {
        match effect {
            Ok(effect) => {
                self.state.wake();
                Ok(saved(&reply(self.status, &effect, self.state.carrier().kind())))
            }
            Err(error) => Err(self.refused(error).await),
        }
    }

    /// The answer to what was done, with a secret in it that is kept nowhere: whoever repeats the
    /// request gets the answer without.
    pub(crate) async fn finish_showing(
        self,
        effect: Result<Effect, ActError>,
        show: impl FnOnce(&mut Value),
    ) -> Result<Response, Early> {
        match effect {
            Ok(effect) => {
                self.state.wake();
                let mut body = dto::effect(&effect, self.state.carrier().kind());
                show(&mut body);
                Ok(dto::json(self.status, &body))
            }
            Err(error) => Err(self.refused(error).await),
        }
    }

    /// Why it was not done: perhaps because a twin of the request was quicker.
    pub(crate) async fn refused(&self, error: ActError) -> Early {
        if matches!(error, ActError::Refused(Refused::InProgress)) {
            match self.before().await {
                Ok(Some(reply)) => return Early::Replay(reply),
                Ok(None) => {}
                Err(early) => return early,
            }
        }
        error.into()
    }

    async fn before(&self) -> Result<Option<SavedReply>, Early> {
        let Some(record) = &self.record else { return Ok(None) };
        let saved = self.state.store().saved_reply(&record.scope, &record.key, record.wall).await?;
        match saved {
            None => Ok(None),
            Some((hash, reply)) if hash == record.body_hash => Ok(Some(reply)),
            Some(_) => Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency_key_reused",
                "the idempotency key was used with another body",
            )
            .into()),
        }
    }
}

fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(key) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let good = key.to_str().ok().filter(|key| (1..=MAX_KEY_CHARS).contains(&key.len()));
    good.map(|key| Some(key.to_owned())).ok_or_else(|| {
        let message = format!("1 to {MAX_KEY_CHARS} printable ASCII characters");
        Problem::field("Idempotency-Key", "invalid", message)
    })
}

fn reply(status: StatusCode, effect: &Effect, carrier: &'static str) -> SavedReply {
    let body = dto::effect(effect, carrier);
    // An answer without a body: what was asked to be gone is gone.
    let body = if status == StatusCode::NO_CONTENT { String::new() } else { body.to_string() };
    SavedReply { status: status.as_u16(), body }
}

fn saved(reply: &SavedReply) -> Response {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
    dto::json_text(status, reply.body.clone())
}
