//! Retry: whether and when a client is called again after a dial ended.
//!
//! Busy, no answer and a failure that may pass share one list of steps, voicemail has its own. The
//! first unconnected dial takes the first step of its list, the second one the second, and a list
//! that is used up ends the calling. So the default calls twice if nobody picks up (no answer,
//! busy: two dials in all) and thrice if voicemail does. `max_attempts` bounds all dials together.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::hours::{Layers, NextAllowed};
use super::{FieldError, IsoDuration, Refused, excerpt};

/// What [`RetryStep::LaterSameDay`] leaves between the end of a dial and the next one.
pub const LATER: TimeDelta = TimeDelta::hours(2);

/// The most that `max_attempts` may be.
pub const MAX_ATTEMPTS: u32 = 20;

/// The most steps a list may have.
pub const MAX_STEPS: usize = 20;

const MAX_WAIT_SECONDS: u32 = 30 * 86_400;

/// When to call again, and how often in all.
///
/// ```
/// use callcore::rules::retry::RetryPolicy;
/// let policy: RetryPolicy = serde_json::from_str(r#"{"connect": ["PT30M", "next_day"]}"#)?;
/// assert_eq!(policy.max_attempts(), 4);
/// let refused = serde_json::from_str::<RetryPolicy>(r#"{"max_attempts": 10000}"#).unwrap_err();
/// assert!(refused.to_string().contains("retry.max_attempts"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RetryDocument", into = "RetryDocument")]
pub struct RetryPolicy {
    connect: Vec<RetryStep>,
    voicemail: Vec<RetryStep>,
    max_attempts: u32,
}

/// How long to wait for the next dial; it is then placed at the first allowed instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryStep {
    /// At least [`LATER`] after the call ended: the same day if hours allow, else when they do.
    LaterSameDay,
    /// On a later local date than the call ended, in every zone the client may be in.
    NextDay,
    /// A time after the call ended, at most 30 days.
    After(IsoDuration),
}

/// The JSON shape of [`RetryPolicy`]; what is left out has its default:
/// `{"connect": ["later_same_day"], "voicemail": ["PT4H", "next_day"], "max_attempts": 4}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetryDocument {
    /// Steps after busy, no answer and failures that may pass: `later_same_day`, `next_day` or an
    /// ISO 8601 duration such as `PT4H`.
    pub connect: Vec<String>,
    /// Steps after voicemail.
    pub voicemail: Vec<String>,
    /// How many dials a client gets in all.
    pub max_attempts: i64,
}

/// Why a retry policy is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RetryError {
    /// A step is none that is known.
    #[error(
        "retry.{list}[{step}]: {text:?} is neither later_same_day nor next_day nor an ISO 8601 \
         duration from PT1S to P30D"
    )]
    UnknownStep {
        /// `connect` or `voicemail`.
        list: &'static str,
        /// Which of its steps, from 0.
        step: usize,
        /// What was written (its start).
        text: String,
    },
    /// A list has too many steps.
    #[error("retry.{list}: at most {MAX_STEPS} steps, not {steps}")]
    TooManySteps {
        /// `connect` or `voicemail`.
        list: &'static str,
        /// How many it has.
        steps: usize,
    },
    /// The bound of all dials is out of range.
    #[error("retry.max_attempts: from 1 to {MAX_ATTEMPTS}, not {0}")]
    MaxAttempts(i64),
}

/// How a call of the client ended, as far as retry cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Busy, no answer, or a failure that may pass.
    Unconnected,
    /// Voicemail answered, under a voicemail policy that calls again.
    Voicemail,
    /// The client was reached or opted out, or the call is one that needs no other.
    Reached,
    /// A failure that calling again would not mend, such as a number out of service.
    Permanent,
    /// It ended before it was dialled: no attempt, and nothing that retry follows.
    NotADial,
}

/// What follows a call that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// Another dial is due at this instant, which is an allowed one.
    At(DateTime<Utc>),
    /// The policy allows no further dial.
    Exhausted(Exhausted),
    /// The way the call ended isn't retried.
    NotRetried,
    /// A step is left, but no instant is allowed that is late enough and within 400 days.
    Never,
}

/// What ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exhausted {
    /// The bound of all dials.
    MaxAttempts,
    /// The steps after busy, no answer and failures that may pass.
    Connect,
    /// The steps after voicemail.
    Voicemail,
}

impl RetryPolicy {
    /// How many dials a client gets in all.
    #[must_use]
    pub const fn max_attempts(&self) -> u32 {
        self.max_attempts
    }

    /// The steps after busy, no answer and failures that may pass.
    #[must_use]
    pub fn connect(&self) -> &[RetryStep] {
        &self.connect
    }

    /// The steps after voicemail.
    #[must_use]
    pub fn voicemail(&self) -> &[RetryStep] {
        &self.voicemail
    }

    /// What follows the last of a client's calls.
    ///
    /// `endings` are those of all its calls that ended, oldest first; `ended_at` is when the last
    /// one ended. The plan depends on nothing else, so the same calls always give the same one.
    #[must_use]
    pub fn plan(&self, endings: &[Ending], ended_at: DateTime<Utc>, hours: Layers<'_>) -> Plan {
        match self.step(endings) {
            Ok(Some(step)) => match step.earliest(ended_at, hours) {
                NextAllowed::At(at) => Plan::At(at),
                NextAllowed::Never => Plan::Never,
            },
            Ok(None) => Plan::NotRetried,
            Err(exhausted) => Plan::Exhausted(exhausted),
        }
    }

    /// The step that the last of a client's endings calls for; `None` if it isn't retried.
    fn step(&self, endings: &[Ending]) -> Result<Option<RetryStep>, Exhausted> {
        let (steps, last, spent) = match endings.last() {
            Some(Ending::Unconnected) => (&self.connect, Ending::Unconnected, Exhausted::Connect),
            Some(Ending::Voicemail) => (&self.voicemail, Ending::Voicemail, Exhausted::Voicemail),
            Some(Ending::Reached | Ending::Permanent | Ending::NotADial) | None => return Ok(None),
        };
        let dials = endings.iter().filter(|ending| **ending != Ending::NotADial).count();
        if dials >= self.max_attempts as usize {
            return Err(Exhausted::MaxAttempts);
        }
        let same = endings.iter().filter(|ending| **ending == last).count();
        steps.get(same - 1).copied().map(Some).ok_or(spent)
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            connect: vec![RetryStep::LaterSameDay],
            voicemail: vec![RetryStep::After(IsoDuration::hours(4)), RetryStep::NextDay],
            max_attempts: 4,
        }
    }
}

impl RetryStep {
    /// The first allowed instant that this step leaves for a dial after a call that ended.
    #[must_use]
    pub fn earliest(self, ended_at: DateTime<Utc>, hours: Layers<'_>) -> NextAllowed {
        let wait = match self {
            Self::LaterSameDay => LATER,
            Self::After(wait) => wait.delta(),
            Self::NextDay => return hours.next_allowed_on_later_date(ended_at),
        };
        ended_at.checked_add_signed(wait).map_or(NextAllowed::Never, |at| hours.next_allowed(at))
    }
}

impl FromStr for RetryStep {
    type Err = super::DurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "later_same_day" => Ok(Self::LaterSameDay),
            "next_day" => Ok(Self::NextDay),
            _ => Ok(Self::After(
                text.parse::<IsoDuration>()
                    .ok()
                    .filter(|wait| wait.seconds() <= MAX_WAIT_SECONDS)
                    .ok_or(super::DurationError)?,
            )),
        }
    }
}

impl fmt::Display for RetryStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LaterSameDay => f.write_str("later_same_day"),
            Self::NextDay => f.write_str("next_day"),
            Self::After(wait) => wait.fmt(f),
        }
    }
}

impl Default for RetryDocument {
    fn default() -> Self {
        RetryPolicy::default().into()
    }
}

impl TryFrom<RetryDocument> for RetryPolicy {
    type Error = Refused<RetryError>;

    fn try_from(document: RetryDocument) -> Result<Self, Refused<RetryError>> {
        let mut errors = Vec::new();
        let connect = steps("connect", &document.connect, &mut errors);
        let voicemail = steps("voicemail", &document.voicemail, &mut errors);
        let max_attempts = u32::try_from(document.max_attempts).unwrap_or(0);
        if !(1..=MAX_ATTEMPTS).contains(&max_attempts) {
            errors.push(RetryError::MaxAttempts(document.max_attempts));
        }
        Refused::unless(errors, Self { connect, voicemail, max_attempts })
    }
}

impl From<RetryPolicy> for RetryDocument {
    fn from(policy: RetryPolicy) -> Self {
        let texts = |steps: Vec<RetryStep>| steps.iter().map(RetryStep::to_string).collect();
        Self {
            connect: texts(policy.connect),
            voicemail: texts(policy.voicemail),
            max_attempts: policy.max_attempts.into(),
        }
    }
}

fn steps(list: &'static str, texts: &[String], errors: &mut Vec<RetryError>) -> Vec<RetryStep> {
    if texts.len() > MAX_STEPS {
        errors.push(RetryError::TooManySteps { list, steps: texts.len() });
        return Vec::new();
    }
    let mut steps = Vec::with_capacity(texts.len());
    for (step, text) in texts.iter().enumerate() {
        match text.parse() {
            Ok(parsed) => steps.push(parsed),
            Err(_) => errors.push(RetryError::UnknownStep { list, step, text: excerpt(text) }),
        }
    }
    steps
}

impl FieldError for RetryError {
    fn field(&self) -> String {
        match self {
            Self::UnknownStep { list, step, .. } => format!("retry.{list}[{step}]"),
            Self::TooManySteps { list, .. } => format!("retry.{list}"),
            Self::MaxAttempts(_) => "retry.max_attempts".to_owned(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::UnknownStep { .. } => "unknown_step",
            Self::TooManySteps { .. } => "too_many_steps",
            Self::MaxAttempts(_) => "out_of_range",
        }
    }
}

#[cfg(test)]
mod tests;
