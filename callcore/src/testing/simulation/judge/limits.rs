//! What the judge knows of limits over campaigns and days, and of brakes: its own arithmetic, over
//! the dials themselves.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::super::spec::{AccountSpec, Spec};
use super::{HOLD, Judge, Record};
use crate::call::{CallRef, EventKind, Intent, Outcome, Report};
use crate::campaign::RunState;
use crate::engine::Permit;
use crate::id::{CallId, CampaignId};
use crate::time::Zone;

/// The longest a call talks, in minutes.
const MINUTES: u64 = 15;

/// The account.
#[derive(Debug, Default)]
pub(in crate::testing::simulation) struct Account {
    pub(in crate::testing::simulation) stopped: bool,
    spec: AccountSpec,
    changed_at: DateTime<Utc>,
    pub(super) dials: Vec<DateTime<Utc>>,
}

impl Judge {
    pub(in crate::testing::simulation) fn account_changed(
        &mut self,
        spec: AccountSpec,
        now: DateTime<Utc>,
    ) {
        (self.account.spec, self.account.changed_at) = (spec, now);
    }

    /// A campaign was paused with all others.
    pub(in crate::testing::simulation) fn paused(&mut self, id: CampaignId) {
        if let Some(campaign) = self.campaigns.get_mut(&id) {
            campaign.state = RunState::Paused;
        }
    }

    /// A campaign was paused because the carrier refuses its calls; somebody resumes it.
    pub(in crate::testing::simulation) fn halted(&mut self, id: CampaignId) {
        if let Some(campaign) = self.campaigns.get_mut(&id)
            && campaign.state == RunState::Running
        {
            campaign.state = RunState::Paused;
            self.tripped.push(id);
        }
    }

    /// What the account as a whole lets through now.
    pub(super) fn account_allows(&self, now: DateTime<Utc>) -> Result<(), String> {
        let spec = &self.account.spec;
        let holds = self
            .standing()
            .filter(|(_, call, begun)| call.end().is_none() && now < begun.at + HOLD)
            .count();
        if spec.calls_at_once.is_some_and(|most| holds >= most) {
            return Err(format!("{holds} calls of the account are in progress"));
        }
        for (seconds, most) in [(1, 2), (10, 11)] {
            let since = (now - TimeDelta::seconds(seconds)).max(self.account.changed_at);
            let dials = self.account.dials.iter().rev().take(200);
            let recent = dials.filter(|at| since < **at && **at <= now).count();
            if spec.calls_per_second.is_some_and(|pace| recent >= most * pace) {
                return Err(format!("the account began {recent} dials in {seconds} s"));
            }
        }
        let Some((amount, per_call, per_minute)) = spec.spend else { return Ok(()) };
        let zone = spec.zone.clone().unwrap_or_else(Zone::utc);
        let date = |at| zone.local(at).date();
        let today = self.standing().filter(|(.., begun)| date(begun.at) == date(now));
        let costs = today.map(|(_, call, _)| per_call + per_minute * call.minutes());
        let cost = costs.sum::<u64>() + per_call + per_minute * MINUTES;
        if cost > amount {
            return Err(format!("the day might cost {cost} of {amount}"));
        }
        Ok(())
    }

    /// What the campaign lets a day hold, and how long it leaves a number alone.
    pub(super) fn within_days(
        &self,
        permit: &Permit,
        spec: &Spec,
        now: DateTime<Utc>,
    ) -> Result<(), String> {
        let counts = |call: &Record| call.intent != Intent::Test;
        let of_campaign = self
            .standing()
            .filter(|(_, call, _)| call.campaign == permit.campaign() && counts(call));
        let today = of_campaign.filter(|(.., begun)| spec.same_day(begun.at, now)).count();
        if spec.calls_per_day.is_some_and(|most| today >= most) {
            return Err(format!("its campaign has begun {today} dials today"));
        }
        let Some(rest) = spec.rest else { return Ok(()) };
        // Whoever answered a test call is one of the campaign's own people.
        let to_number =
            self.standing().filter(|(_, call, _)| call.phone == permit.phone() && counts(call));
        let mut ends = to_number.filter_map(|(_, call, _)| call.end());
        let recent = |at: DateTime<Utc>| now < at + TimeDelta::seconds(rest);
        if ends.any(|end| end.outcome == Outcome::Answered && recent(end.at)) {
            return Err(format!("somebody was reached there less than {rest} s ago"));
        }
        Ok(())
    }

    /// A dial of a campaign turned out to have failed.
    pub(super) fn failed(&mut self, id: CampaignId) {
        let Some(campaign) = self.campaigns.get(&id) else { return };
        let Some((needed, of_last)) = campaign.versions.last().and_then(|spec| spec.breaker) else {
            return;
        };
        let since = campaign.counted_from;
        let calls = self
            .standing()
            .filter(|(_, call, _)| call.campaign == id && call.intent != Intent::Test);
        let ends = calls.filter_map(|(id, call, _)| Some((call.end()?, id)));
        let mut ends: Vec<(DateTime<Utc>, CallId, Outcome)> = ends
            .filter(|(end, _)| end.at > since && end.outcome != Outcome::Canceled)
            .map(|(end, id)| (end.at, id, end.outcome))
            .collect();
        ends.sort_unstable();
        let last = ends.iter().rev().take(of_last);
        let failed = last.filter(|(.., outcome)| *outcome == Outcome::Failed).count();
        if let Some(campaign) = self.campaigns.get_mut(&id)
            && failed >= needed
            && campaign.state == RunState::Running
        {
            campaign.due_to_pause = true;
        }
    }

    /// The campaigns of the calls that were told of.
    pub(in crate::testing::simulation) fn campaigns_of(
        &self,
        reports: &[Report],
    ) -> BTreeSet<CampaignId> {
        let call = |report: &Report| match &report.call {
            CallRef::Ours(id) => self.calls.get(id),
            CallRef::Inbound(_) => None,
        };
        reports.iter().filter_map(call).map(|record| record.campaign).collect()
    }

    /// Where the store says a campaign stands after it was told of its calls.
    pub(in crate::testing::simulation) fn heard_of(&mut self, id: CampaignId, state: RunState) {
        let Some(campaign) = self.campaigns.get_mut(&id) else { return };
        let due = std::mem::take(&mut campaign.due_to_pause);
        let runs = campaign.state == RunState::Running;
        match (state, due) {
            (RunState::Paused, true) => {
                campaign.state = RunState::Paused;
                self.tripped.push(id);
            }
            (RunState::Paused, false) if runs => {
                self.accuse("a campaign paused itself without a cause".to_owned());
            }
            (RunState::Running, true) => {
                self.accuse("a campaign went on although its dials fail".to_owned());
            }
            _ => {}
        }
    }
}

impl Record {
    /// The minutes of talk it has to be paid for: of one in progress, the most there may be.
    fn minutes(&self) -> u64 {
        if self.end().is_none() {
            return MINUTES;
        }
        let talk = self.events.iter().filter_map(|event| match event.kind {
            EventKind::Ended { talk_seconds, .. } => Some(u64::from(talk_seconds)),
            _ => None,
        });
        talk.max().unwrap_or(0).div_ceil(60)
    }
}
