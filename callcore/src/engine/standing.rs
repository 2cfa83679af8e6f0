//! What a call's ending means for its client: status, counts, and the retry that is owed.
//!
//! It is computed from all calls of the client each time, never patched: so late evidence, whatever
//! its order, leads to the same place.

use chrono::{DateTime, Utc};

use crate::call::{Call, CancelReason, Direction, Intent, Outcome, Retirement};
use crate::campaign::{RunState, Settings, VoicemailPolicy};
use crate::client::{ClientStatus, ClientZone, NextCall, Standing};
use crate::id::CallId;
use crate::rules::hours::{Layer, Layers, NextAllowed};
use crate::rules::retry::{Ending, Plan};

/// What of a call counts for its client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallBrief {
    /// The call.
    pub id: CallId,
    /// Which number of dial it is, or would be.
    pub attempt: u32,
    /// The call it retries.
    pub retry_of: Option<CallId>,
    /// Whether a person asked for it.
    pub intent: Intent,
    /// Where it stands.
    pub stage: Stage,
}

/// Where a call stands, as far as its client is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// Waiting, claimed or not.
    Scheduled {
        /// When it is due.
        due_at: DateTime<Utc>,
    },
    /// Begun and not ended.
    Live,
    /// Ended after a dial.
    Dialled {
        /// How.
        outcome: Outcome,
        /// When.
        at: DateTime<Utc>,
        /// Whether the number was ruled out for good.
        permanent: bool,
        /// Whether its fate stayed unknown.
        unknown: bool,
    },
    /// Ended without a dial.
    Retired {
        /// The reason; none for a call a person skipped.
        reason: Option<CancelReason>,
        /// When.
        at: DateTime<Utc>,
        /// When it had been due.
        due_at: DateTime<Utc>,
    },
}

impl CallBrief {
    /// The brief of an outbound call; inbound calls say nothing about retries.
    #[must_use]
    pub fn of(call: &Call) -> Option<Self> {
        if call.direction == Direction::Inbound {
            return None;
        }
        let stage = match (&call.retired, call.outcome(), call.ended_at()) {
            (Some(retired), _, _) => Stage::Retired {
                reason: match retired.how {
                    Retirement::Skipped(_) => None,
                    Retirement::Canceled(reason) => Some(reason),
                },
                at: retired.at,
                due_at: call.due_at,
            },
            (None, Some(outcome), Some(at)) => Stage::Dialled {
                outcome,
                at,
                permanent: call.progress.permanent,
                unknown: call.end_reason() == Some("unknown"),
            },
            _ if call.begun_at.is_some() => Stage::Live,
            _ => Stage::Scheduled { due_at: call.due_at },
        };
        Some(Self {
            id: call.id,
            attempt: call.attempt,
            retry_of: call.retry_of,
            intent: call.intent,
            stage,
        })
    }
}

/// A client with everything its standing follows from.
#[derive(Debug, Clone, PartialEq)]
pub struct Case<'a> {
    /// Every outbound call of the client.
    pub calls: &'a [CallBrief],
    /// Every zone the client may be in.
    pub zones: &'a [ClientZone],
    /// Whether the client may be called at all.
    pub active: bool,
    /// Whether the person was erased: then nothing is owed any more.
    pub erased: bool,
    /// Whether a DNC entry covers its number in this campaign, or did when it was erased.
    pub on_dnc: bool,
    /// Where the campaign stands.
    pub run_state: RunState,
    /// The campaign's settings.
    pub settings: &'a Settings,
}

/// What follows for a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlook {
    /// Where it stands, the planned call included.
    pub standing: Standing,
    /// A retry that is no longer owed: it vanishes, for it never began.
    pub withdraw: Option<CallId>,
    /// A retry that is owed and not yet there.
    pub plan: Option<PlannedCall>,
}

/// A call to be put into the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedCall {
    /// Its id.
    pub id: CallId,
    /// Which number of dial it will be.
    pub attempt: u32,
    /// The call it retries.
    pub retry_of: CallId,
    /// When it is due.
    pub due_at: DateTime<Utc>,
}

/// What follows for a client from all of its calls.
#[must_use]
pub fn outlook(case: &Case<'_>) -> Outlook {
    let mut dials: Vec<&CallBrief> = case
        .calls
        .iter()
        .filter(|call| matches!(call.stage, Stage::Live | Stage::Dialled { .. }))
        .collect();
    dials.sort_by_key(|call| (call.attempt, call.id));
    let scheduled = case.calls.iter().find(|call| matches!(call.stage, Stage::Scheduled { .. }));
    let last = dials.last().copied();

    let owed = last.and_then(|last| owed_after(case, &dials, last));
    let waits = |call: &&CallBrief| matches!(call.stage, Stage::Scheduled { .. });
    let follower = last.and_then(|last| {
        let mut followers = case.calls.iter().filter(|call| call.retry_of == Some(last.id));
        // One that was cancelled and is owed again has its successor beside it.
        followers.clone().find(waits).or_else(|| followers.next())
    });
    let follower_is_ours = follower.is_some_and(|call| call.intent == Intent::Plan && waits(&call));
    let known = |id: CallId| case.calls.iter().any(|call| call.id == id);
    let (withdraw, plan) = match (owed, follower) {
        (Some(planned), None) => (None, Some(planned)),
        (Some(planned), Some(follower)) if follower_is_ours && !known(planned.id) => {
            (Some(follower.id), Some(planned))
        }
        (None, Some(follower)) if follower_is_ours => (Some(follower.id), None),
        _ => (None, None),
    };
    // A second call for a client that has one to come, such as a re-call, would be one too many.
    let plan = plan.filter(|_| scheduled.is_none_or(|call| Some(call.id) == withdraw));
    let waiting = scheduled.filter(|call| Some(call.id) != withdraw);
    let next_call = plan
        .map(|planned| NextCall { call: planned.id, due_at: planned.due_at })
        .or_else(|| match waiting.map(|call| (call.id, &call.stage)) {
            Some((call, Stage::Scheduled { due_at })) => Some(NextCall { call, due_at: *due_at }),
            _ => None,
        });
    Outlook { standing: standing(case, &dials, next_call), withdraw, plan }
}

fn owed_after(case: &Case<'_>, dials: &[&CallBrief], last: &CallBrief) -> Option<PlannedCall> {
    let Stage::Dialled { at, .. } = last.stage else { return None };
    if case.erased || case.on_dnc || !case.active || !case.run_state.takes_clients() {
        return None;
    }
    let due_at = retried_at(case, dials, at)?;
    Some(PlannedCall {
        id: last.id.successor(due_at),
        attempt: last.attempt + 1,
        retry_of: last.id,
        due_at,
    })
}

/// When the retry is due that the dials call for, whoever may be called; the last one ended at an
/// instant.
fn retried_at(
    case: &Case<'_>,
    dials: &[&CallBrief],
    ended_at: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let zones = case.settings.zones_of(case.zones);
    let endings: Vec<Ending> =
        dials.iter().filter_map(|call| ending(call, case.settings)).collect();
    let layers = [Layer { hours: &case.settings.hours, zones: &zones }];
    match case.settings.retry.plan(&endings, ended_at, Layers(&layers)) {
        Plan::At(due_at) => Some(due_at),
        Plan::Exhausted(_) | Plan::NotRetried | Plan::Never => None,
    }
}

/// A call that is owed again after it was cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resumed {
    /// Which number of dial it will be.
    pub attempt: u32,
    /// The call it retries.
    pub retry_of: Option<CallId>,
    /// Whether a person had chosen its time.
    pub intent: Intent,
    /// When it is due.
    pub due_at: DateTime<Utc>,
}

/// What is owed again to a client that may be called again: the call that was cancelled because it
/// was switched off, had no consent, or no zone was known, when that no longer holds. A call that a
/// dial's ending owed is owed again only if it still is.
#[must_use]
pub fn resumed(case: &Case<'_>, consent: bool, now: DateTime<Utc>) -> Option<Resumed> {
    if case.erased || case.on_dnc || !case.active || !case.run_state.takes_clients() {
        return None;
    }
    if case.calls.iter().any(|call| matches!(call.stage, Stage::Scheduled { .. } | Stage::Live)) {
        return None;
    }
    let zones = case.settings.zones_of(case.zones);
    let call = latest_ended(case, |_| true)?;
    let Stage::Retired { reason: Some(reason), due_at, .. } = call.stage else { return None };
    let no_longer = match reason {
        CancelReason::Inactive => true,
        CancelReason::NoConsent => consent || !case.settings.consent_required,
        CancelReason::NoZone => !zones.is_empty(),
        _ => false,
    };
    let mut dials: Vec<&CallBrief> =
        case.calls.iter().filter(|call| matches!(call.stage, Stage::Dialled { .. })).collect();
    dials.sort_by_key(|call| (call.attempt, call.id));
    let owed = match dials.last() {
        Some(last) if call.intent == Intent::Plan => owed_after(case, &dials, last)?.due_at,
        _ => due_at,
    };
    let earliest = owed.max(due_at).max(now);
    match case.settings.hours.next_allowed(earliest, &zones) {
        NextAllowed::At(due_at) if no_longer => Some(Resumed {
            attempt: call.attempt,
            retry_of: call.retry_of,
            // Nobody who asked for a call at once waits at the telephone any more.
            intent: if call.intent == Intent::Plan { Intent::Plan } else { Intent::Rescheduled },
            due_at,
        }),
        _ => None,
    }
}

/// Where a scheduled call moves whose client turns out to live by another clock; none if the hours
/// allow its instant there too, or never open again.
#[must_use]
pub fn moved_into_hours(
    settings: &Settings,
    zones: &[ClientZone],
    due_at: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    match settings.hours.next_allowed(due_at, &settings.zones_of(zones)) {
        NextAllowed::At(at) if at != due_at => Some(at),
        _ => None,
    }
}

fn ending(call: &CallBrief, settings: &Settings) -> Option<Ending> {
    let Stage::Dialled { outcome, permanent, unknown, .. } = call.stage else { return None };
    let retries_voicemail = settings.voicemail.policy == VoicemailPolicy::HangUpAndRetry;
    Some(match outcome {
        // An unknown dial may have reached the person: never dialled again by itself.
        _ if permanent || unknown => Ending::Permanent,
        Outcome::Voicemail if retries_voicemail => Ending::Voicemail,
        Outcome::Busy | Outcome::NoAnswer | Outcome::Failed => Ending::Unconnected,
        Outcome::Canceled | Outcome::Skipped => Ending::Permanent,
        Outcome::Answered | Outcome::OptedOut | Outcome::Voicemail => Ending::Reached,
    })
}

fn standing(case: &Case<'_>, dials: &[&CallBrief], next_call: Option<NextCall>) -> Standing {
    let ended = dials.iter().rev().find_map(|call| match call.stage {
        Stage::Dialled { outcome, at, .. } => Some((outcome, at)),
        _ => None,
    });
    let voicemails = dials
        .iter()
        .filter(|call| matches!(call.stage, Stage::Dialled { outcome: Outcome::Voicemail, .. }));
    let status = if dials.iter().any(|call| call.stage == Stage::Live) {
        ClientStatus::InProgress
    } else if next_call.is_some() {
        if dials.is_empty() { ClientStatus::Pending } else { ClientStatus::Scheduled }
    } else {
        final_status(case, dials)
    };
    Standing {
        status,
        attempts: u32::try_from(dials.len()).unwrap_or(u32::MAX),
        voicemails: u32::try_from(voicemails.count()).unwrap_or(u32::MAX),
        last_outcome: ended.map(|(outcome, _)| outcome),
        last_call_at: ended.map(|(_, at)| at),
        next_call,
    }
}

/// The state of a client with nothing to come: its latest call decides, unless it may not be
/// called at all. A call that was not dialled decides nothing if the last dial called for none: then
/// a person had wished for it.
fn final_status(case: &Case<'_>, dials: &[&CallBrief]) -> ClientStatus {
    let opted_out =
        |call: &CallBrief| matches!(call.stage, Stage::Dialled { outcome: Outcome::OptedOut, .. });
    if case.calls.iter().any(opted_out) {
        return ClientStatus::OptedOut;
    }
    if case.on_dnc {
        return ClientStatus::OnDnc;
    }
    if !case.active {
        return ClientStatus::Inactive;
    }
    // What was cancelled while it was switched off says nothing once it is on again.
    let says = |call: &CallBrief| {
        !matches!(call.stage, Stage::Retired { reason: Some(CancelReason::Inactive), .. })
    };
    let stands = dials.last().copied().filter(|last| match last.stage {
        Stage::Dialled { at, .. } => retried_at(case, dials, at).is_none(),
        _ => false,
    });
    match stands.or_else(|| latest_ended(case, says)).map(|call| &call.stage) {
        Some(Stage::Dialled { unknown: true, .. }) => ClientStatus::NeedsFollowUp,
        Some(Stage::Dialled { permanent: true, .. }) => ClientStatus::Unreachable,
        Some(Stage::Dialled { outcome, .. }) => match outcome {
            Outcome::Answered => ClientStatus::Reached,
            Outcome::Voicemail => ClientStatus::Voicemail,
            Outcome::OptedOut => ClientStatus::OptedOut,
            Outcome::Skipped => ClientStatus::Skipped,
            Outcome::NoAnswer | Outcome::Busy | Outcome::Failed | Outcome::Canceled => {
                ClientStatus::Exhausted
            }
        },
        Some(Stage::Retired { reason, .. }) => match reason {
            None | Some(CancelReason::CampaignStopped) => ClientStatus::Skipped,
            Some(CancelReason::OnDnc) => ClientStatus::OnDnc,
            Some(CancelReason::Inactive | CancelReason::Erased) => ClientStatus::Inactive,
            Some(CancelReason::NoConsent) => ClientStatus::NoConsent,
            Some(CancelReason::NoZone) => ClientStatus::Unreachable,
            Some(CancelReason::HoursOver | CancelReason::MaxAttempts) => ClientStatus::Exhausted,
        },
        // Only a client that came in while its number was on a list has no call at all, and it
        // stays what it was when the entry is removed.
        Some(Stage::Scheduled { .. } | Stage::Live) | None if case.calls.is_empty() => {
            ClientStatus::OnDnc
        }
        Some(Stage::Scheduled { .. } | Stage::Live) | None => ClientStatus::Skipped,
    }
}

/// The call that says where a client with nothing to come stands.
fn latest_ended<'a>(case: &Case<'a>, counts: impl Fn(&CallBrief) -> bool) -> Option<&'a CallBrief> {
    // A retry that is being withdrawn is still among the calls: it says nothing.
    let calls = case.calls.iter().filter(|call| counts(call));
    let ended = calls.filter_map(|call| match call.stage {
        Stage::Dialled { at, .. } | Stage::Retired { at, .. } => {
            Some(((call.attempt, at, call.id), call))
        }
        Stage::Scheduled { .. } | Stage::Live => None,
    });
    ended.max_by_key(|(key, _)| *key).map(|(_, call)| call)
}

/// What one ended call adds to its campaign's counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// The start of the quarter of an hour in which the call ended. Quarters, because every zone's
    /// days and hours are made of whole ones.
    pub quarter: DateTime<Utc>,
    /// How it ended.
    pub outcome: Outcome,
    /// Seconds somebody was on the line; 0 unless a person was reached.
    pub talk_seconds: u32,
}

impl Tally {
    /// The start of the quarter of an hour that an instant is in.
    #[must_use]
    pub fn quarter_of(at: DateTime<Utc>) -> DateTime<Utc> {
        DateTime::from_timestamp(at.timestamp().div_euclid(900) * 900, 0).unwrap_or(at)
    }

    /// What a call adds: nothing before it ended, and nothing for an inbound or a test call.
    #[must_use]
    pub fn of(call: &Call) -> Option<Self> {
        let (outcome, at) = (call.outcome()?, call.ended_at()?);
        if call.direction == Direction::Inbound || call.is_test() {
            return None;
        }
        let quarter = Self::quarter_of(at);
        let talk_seconds = if outcome.reached() { call.progress.talk_seconds } else { 0 };
        Some(Self { quarter, outcome, talk_seconds })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings::from_json(
            &serde_json::json!({"name": "Any", "hours": {"mon": [["09:00", "17:00"]]}}),
        )
        .unwrap()
    }

    fn brief(id: u128, attempt: u32, retry_of: Option<u128>, stage: Stage) -> CallBrief {
        let id_of = |id| CallId::from_uuid(uuid::Uuid::from_u128(id));
        let intent = Intent::Plan;
        CallBrief { id: id_of(id), attempt, retry_of: retry_of.map(id_of), intent, stage }
    }

    fn status(calls: &[CallBrief]) -> ClientStatus {
        let (settings, zones, active, on_dnc) = (settings(), &[][..], true, false);
        let run_state = RunState::Running;
        outlook(&Case {
            calls,
            zones,
            active,
            erased: false,
            on_dnc,
            run_state,
            settings: &settings,
        })
        .standing
        .status
    }

    #[test]
    fn a_retry_that_is_withdrawn_leaves_its_client_where_the_last_dial_did() {
        let at = DateTime::from_timestamp(1_000, 0).unwrap();
        let answered =
            Stage::Dialled { outcome: Outcome::Answered, at, permanent: false, unknown: false };
        let calls = [
            brief(1, 1, None, answered),
            brief(2, 2, Some(1), Stage::Scheduled { due_at: at + chrono::TimeDelta::hours(4) }),
        ];
        assert_eq!(status(&calls), ClientStatus::Reached);
    }

    #[test]
    fn a_client_that_never_had_a_call_waits_for_none() {
        assert_eq!(status(&[]), ClientStatus::OnDnc);
    }
}
