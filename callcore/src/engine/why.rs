//! Why a client is, or is not, called: what every rule says now, in words.

use chrono::{DateTime, Utc};

use super::decide::{Facts, Heard, Rule, Verdict, explain};
use crate::call::CancelReason;
use crate::campaign::RunState;
use crate::client::{ClientStatus, Standing};

/// What the rules say of a dial to a client now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// All of them together.
    pub verdict: Verdict,
    /// Each of them, with its inputs.
    pub heard: Vec<Heard>,
    /// The first instant at which they would allow a dial, as far as is known now; none if never.
    pub next_allowed: Option<DateTime<Utc>>,
    /// What comes of it, in a sentence.
    pub words: String,
}

/// Explains a client from what the rules would be asked about its next dial.
#[must_use]
pub fn why(facts: &Facts, standing: &Standing, now: DateTime<Utc>) -> Why {
    let (verdict, heard) = explain(facts, now);
    let next_allowed = match verdict {
        Verdict::Dial { .. } => Some(now),
        Verdict::Defer(defer) => Some(defer.until),
        Verdict::Retire(_) => None,
    };
    let words = match standing.next_call {
        Some(next) => to_come(verdict, next.due_at, now),
        None => nothing_to_come(standing.status, facts).to_owned(),
    };
    Why { verdict, heard, next_allowed, words }
}

fn to_come(verdict: Verdict, due_at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let due = if due_at > now {
        format!("a call is due at {}", stamp(due_at))
    } else {
        "a call is due".to_owned()
    };
    match verdict {
        Verdict::Dial { .. } if due_at > now => format!("{due}; the rules would allow one now"),
        Verdict::Dial { .. } => format!("{due}, and the rules allow it now"),
        Verdict::Defer(defer) if defer.why == Rule::RunState => {
            format!("{due}, but the campaign does not run")
        }
        Verdict::Defer(defer) => format!(
            "{due}; the rule {} allows none before {}",
            defer.why.as_str(),
            stamp(defer.until)
        ),
        Verdict::Retire(reason) => format!("{due}, but it will be cancelled: {}", never(reason)),
    }
}

const fn never(reason: CancelReason) -> &'static str {
    match reason {
        CancelReason::OnDnc => "the number is on a do-not-call list",
        CancelReason::Inactive => "the client is switched off",
        CancelReason::NoConsent => "consent is required, and none is recorded",
        CancelReason::NoZone => "no time zone is known",
        CancelReason::HoursOver => "the calling hours never open again",
        CancelReason::MaxAttempts => "it was dialled as often as the campaign allows",
        CancelReason::CampaignStopped => "the campaign is stopped",
        CancelReason::Erased => "the person was erased",
    }
}

const fn nothing_to_come(status: ClientStatus, facts: &Facts) -> &'static str {
    match status {
        ClientStatus::InProgress => "a call is under way",
        ClientStatus::Reached => "no call is to come: somebody answered",
        ClientStatus::Voicemail => {
            "no call is to come: a voicemail was reached, and no retry is left"
        }
        ClientStatus::Exhausted => "no call is to come: nobody answered, and no retry is left",
        ClientStatus::Skipped if matches!(facts.run_state, RunState::Stopped) => {
            "no call is to come: the campaign is stopped"
        }
        ClientStatus::Skipped => "no call is to come: a person took it out of the queue",
        ClientStatus::OnDnc if facts.dnc.is_none() => {
            "no call is to come: the number was on a do-not-call list, and a removed entry brings no \
             call back"
        }
        ClientStatus::OnDnc => "no call is to come: the number is on a do-not-call list",
        ClientStatus::OptedOut => "no call is to come: the person asked not to be called again",
        ClientStatus::Unreachable => {
            "no call is to come: the number can't be reached, or no time zone is known"
        }
        ClientStatus::NeedsFollowUp => {
            "no call is to come: nobody knows what became of the last one; somebody has to look"
        }
        ClientStatus::Inactive => "no call is to come: the client is switched off",
        ClientStatus::NoConsent => {
            "no call is to come: consent was required, and none was recorded"
        }
        ClientStatus::Pending | ClientStatus::Scheduled => "no call is to come",
    }
}

fn stamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}
