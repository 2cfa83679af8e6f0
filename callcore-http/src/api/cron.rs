//! What a scheduler asks for, where no loop runs.

pub(crate) mod daily_summary;
pub(crate) mod tick;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use callcore::driver::Driver;
use callcore::mailer::Mailer;
use subtle::ConstantTimeEq;

use crate::auth;
use crate::problem::{Problem, chain};
use crate::state::ApiState;

/// How long an answer waits for mails to go out; they go on without it.
const MAIL_PATIENCE: Duration = Duration::from_secs(20);

/// Somebody who brought the scheduler's secret. No session, token or sign-in of the application lets
/// in here.
#[derive(Debug)]
pub(crate) struct Scheduler {
    pub(crate) driver: Arc<Driver>,
}

/// Why a scheduler is not let in.
#[derive(Debug)]
pub(crate) enum Refusal {
    Problem(Problem),
    /// It asks with HEAD, which must change nothing.
    Head,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Problem(problem) => problem.into_response(),
            Self::Head => {
                let mut response = StatusCode::METHOD_NOT_ALLOWED.into_response();
                let allowed = HeaderValue::from_static("GET, POST");
                response.headers_mut().insert(header::ALLOW, allowed);
                response
            }
        }
    }
}

impl FromRequestParts<ApiState> for Scheduler {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Refusal> {
        let Some(cron) = state.cron() else { return Err(Refusal::Problem(Problem::not_found())) };
        let mut sent = parts.headers.get_all(header::AUTHORIZATION).iter();
        let secret = match (sent.next(), sent.next()) {
            (Some(value), None) => auth::bearer(value.as_bytes()),
            _ => None,
        };
        let digest = secret.map(auth::digest);
        let is_right = digest.is_some_and(|digest| bool::from(digest.ct_eq(&cron.secret)));
        if !is_right {
            return Err(Refusal::Problem(auth::not_signed_in()));
        }
        if parts.method == Method::HEAD {
            return Err(Refusal::Head);
        }
        Ok(Self { driver: cron.driver.clone() })
    }
}

/// Sends what waits to be sent, to its end also if whoever asked hangs up.
pub(crate) async fn send_mails(mailer: Arc<Mailer>) {
    let pass = tokio::spawn(async move {
        if let Err(error) = mailer.pass().await {
            tracing::error!(error = %chain(&error), "no mails went out");
        }
    });
    if tokio::time::timeout(MAIL_PATIENCE, pass).await.is_err() {
        tracing::warn!("mails still go out after the scheduler's request was answered");
    }
}
