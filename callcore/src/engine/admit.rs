//! The gate's second look, inside the transaction that stores the intent.

use chrono::{DateTime, TimeDelta, Utc};

use super::account::AccountFacts;
use super::permit::Permit;
use crate::account::{Day, Room};
use crate::campaign::RunState;
use crate::rules::cool_downs::NumberEnd;

/// What the store reads again, under its locks, when it is about to store an intent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdmitFacts {
    /// Whether the call still waits under the permit's lease.
    pub lease_held: bool,
    /// Where the campaign stands.
    pub run_state: RunState,
    /// Which version its settings are.
    pub settings_version: u32,
    /// Whether the client may be called at all.
    pub active: bool,
    /// Whether a DNC entry covers the number in this campaign.
    pub on_dnc: bool,
    /// Whether another call to the number, or one from it, is live.
    pub number_live: bool,
    /// When the number was dialled before, oldest first.
    pub number_dials: Vec<DateTime<Utc>>,
    /// Calls of the campaign that hold a slot.
    pub in_flight: u32,
    /// The earliest instant of the campaign's next dial, by its pace.
    pub next_dial_at: DateTime<Utc>,
    /// How dials to the number ended; empty where the campaign has no cool-downs.
    pub number_ends: Vec<NumberEnd>,
    /// The dials of the campaign's local day; empty where it has no budget.
    pub campaign_day: Day,
    /// The account as a whole.
    pub account: AccountFacts,
}

/// Why a store did not take an intent. The claim stays the worker's, except when it was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BeginRefusal {
    /// Another worker has the call, or it is gone.
    LeaseLost,
    /// Something changed since the rules spoke: decide again.
    DecideAgain,
    /// Every slot of the campaign or of the account is taken, or what is left of the account's money
    /// is reserved for calls in progress.
    NoCapacity,
    /// The campaign's or the account's pace allows the next dial at this instant.
    TooFast {
        /// When.
        until: DateTime<Utc>,
    },
}

/// Whether an intent may be stored now. Stores call it for each permit, in order, with what they
/// read under their locks; it takes the place of each store's own opinion.
///
/// # Errors
///
/// Something no longer holds.
pub fn admit(permit: &Permit, facts: &AdmitFacts, now: DateTime<Utc>) -> Result<(), BeginRefusal> {
    if !facts.lease_held {
        return Err(BeginRefusal::LeaseLost);
    }
    let person = permit.intent().is_wish();
    let runs = permit.intent().dials_while(facts.run_state);
    let window_open = permit.window_end().is_none_or(|end| now < end);
    let caps_hold = permit.settings().caps.next_free(&facts.number_dials, now) <= now;
    let cooled = permit.settings().cool_downs.next_free(&facts.number_ends, now) <= now;
    let in_budget = permit.settings().budget.allows(&facts.campaign_day, now);
    let room = facts.account.room(now);
    if !runs
        || facts.account.stopped
        || room == Some(Room::Spent)
        || facts.settings_version != permit.settings_version()
        || !facts.active
        || facts.on_dnc
        || facts.number_live
        || !window_open
        || !caps_hold
        || !cooled
        || !in_budget
    {
        return Err(BeginRefusal::DecideAgain);
    }
    if facts.in_flight >= permit.settings().pacing.max_concurrent
        || facts.account.is_full()
        || room == Some(Room::Reserved)
    {
        return Err(BeginRefusal::NoCapacity);
    }
    // A person's dial comes before all others, but the account's pace is the carrier's.
    let account = facts.account.settings.calls_per_second.map(|_| facts.account.next_dial_at);
    if let Some(until) = account.filter(|next| now < *next) {
        return Err(BeginRefusal::TooFast { until });
    }
    if !person && now < facts.next_dial_at {
        return Err(BeginRefusal::TooFast { until: facts.next_dial_at });
    }
    Ok(())
}

/// The earliest instant of the dial after one at `now`: a campaign that was idle for a while has
/// no more than one second's dials saved up.
#[must_use]
pub fn next_dial_at(
    previous: DateTime<Utc>,
    now: DateTime<Utc>,
    calls_per_second: u32,
) -> DateTime<Utc> {
    let gap = TimeDelta::microseconds(1_000_000 / i64::from(calls_per_second.max(1)));
    let saved = TimeDelta::seconds(1) - gap;
    previous.max(now - saved) + gap
}

/// How many dials the pace allows at an instant: what a claim may bring at most.
#[must_use]
pub fn dials_allowed(next: DateTime<Utc>, now: DateTime<Utc>, calls_per_second: u32) -> u32 {
    let mut next = next;
    let mut allowed = 0;
    while next <= now && allowed < calls_per_second {
        next = next_dial_at(next, now, calls_per_second);
        allowed += 1;
    }
    allowed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_second_sees_more_than_twice_the_pace_and_no_minute_more_than_its_share() {
        let start = DateTime::from_timestamp(1_000, 0).unwrap();
        let mut next = start - TimeDelta::hours(1);
        let mut dials = Vec::new();
        for step in 0..60_000 {
            let now = start + TimeDelta::milliseconds(step);
            if now >= next {
                next = next_dial_at(next, now, 5);
                dials.push(step);
            }
        }
        assert!(dials.len() <= 60 * 5 + 5, "{}", dials.len());
        assert!(dials.len() >= 60 * 5, "{}", dials.len());
        for window in dials.windows(11) {
            assert!(window[10] - window[0] >= 1_000, "more than ten dials in a second");
        }
    }
}
