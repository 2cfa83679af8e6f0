use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::json;

use super::{MemoryStore, State};
use crate::account::{AccountSettings, Day, Meter, Reading, Stopped};
use crate::actor::Actor;
use crate::call::Call;
use crate::campaign::{Pause, RunState, Settings, Transition};
use crate::engine::{AccountFacts, SLOT_HOLD, next_dial_at};
use crate::id::{CallId, CampaignId};
use crate::phone::PhoneNumber;
use crate::port::{
    Account, AccountView, ActError, By, CampaignView, Effect, NoticeKind, Refused, StoppedAll,
    StoreError,
};
use crate::rules::cool_downs::NumberEnd;
use crate::time::Zone;

/// What audit rows about the account name as their object.
const OBJECT: &str = "account";

#[derive(Debug)]
pub(super) struct AccountRow {
    version: u32,
    settings: Arc<AccountSettings>,
    server_zone: Zone,
    stopped: Option<Stopped>,
    next_dial_at: DateTime<Utc>,
}

impl AccountRow {
    pub(super) fn new() -> Self {
        Self {
            version: 1,
            settings: Arc::new(AccountSettings::default()),
            server_zone: Zone::utc(),
            stopped: None,
            next_dial_at: DateTime::UNIX_EPOCH,
        }
    }
}

#[async_trait]
impl Account for MemoryStore {
    async fn account(&self) -> Result<AccountView, StoreError> {
        Ok(self.lock().account_view())
    }

    async fn change_account(
        &self,
        by: By<'_>,
        version: u32,
        settings: Arc<AccountSettings>,
    ) -> Result<AccountView, ActError> {
        let mut state = self.lock();
        state.enter(by)?;
        let current = state.account.version;
        if current != version {
            return Err(Refused::Stale { current }.into());
        }
        let (old, new) = (state.account.settings.to_json(), settings.to_json());
        state.account.version += 1;
        state.account.settings = settings;
        state.write_audit(by, "account.change", OBJECT, Some(old), Some(new));
        Ok(state.account_changed(by))
    }

    async fn stop_all(
        &self,
        by: By<'_>,
        reason: Option<String>,
        hang_up: bool,
    ) -> Result<StoppedAll, ActError> {
        let mut state = self.lock();
        state.enter(by)?;
        let new = json!({"reason": reason});
        let stopped = Stopped { at: by.now, by: by.actor.clone(), reason };
        state.account.stopped.get_or_insert(stopped);
        state.write_audit(by, "account.stop", OBJECT, None, Some(new));
        let mut in_flight: Vec<CallId> = state.live_dials().map(|(_, call)| call).collect();
        in_flight.sort_unstable();
        if hang_up {
            state.ask_to_hang_up(&in_flight);
        }
        let done = StoppedAll { account: state.account_view(), in_flight };
        state.leave(by, &Effect::Stopped(Box::new(done.clone())));
        Ok(done)
    }

    async fn resume_all(&self, by: By<'_>) -> Result<AccountView, ActError> {
        let mut state = self.lock();
        state.enter(by)?;
        state.account.stopped = None;
        state.write_audit(by, "account.resume", OBJECT, None, None);
        Ok(state.account_changed(by))
    }

    async fn pause_all(&self, by: By<'_>) -> Result<Vec<CampaignView>, ActError> {
        let mut state = self.lock();
        state.enter(by)?;
        let running = state.campaigns.values().map(|row| &row.campaign);
        let running = running.filter(|campaign| campaign.state == RunState::Running);
        let mut ids: Vec<_> = running.map(|campaign| (campaign.created_at, campaign.id)).collect();
        ids.sort_unstable();
        for (_, id) in &ids {
            state.change_state(by, *id, Transition::Pause)?;
        }
        let paused: Vec<_> = ids.iter().filter_map(|(_, id)| state.campaign_view(*id)).collect();
        state.leave(by, &Effect::Paused(paused.clone()));
        Ok(paused)
    }

    async fn meter(
        &self,
        campaign: Option<CampaignId>,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Result<Meter, StoreError> {
        Ok(self.lock().meter(campaign, from, to))
    }

    async fn keep_server_zone(&self, zone: &Zone) -> Result<(), StoreError> {
        self.lock().account.server_zone = zone.clone();
        Ok(())
    }
}

impl State {
    fn account_view(&self) -> AccountView {
        AccountView {
            settings_version: self.account.version,
            settings: self.account.settings.clone(),
            server_zone: self.account.server_zone.clone(),
            stopped: self.account.stopped.clone(),
            live: self.live_dials().count() as u64,
        }
    }

    /// Nobody is told that a call is dialled at once while all dialling is stopped.
    pub(super) fn not_stopped(&self) -> Result<(), Refused> {
        if self.account.stopped.is_some() { Err(Refused::DiallingStopped) } else { Ok(()) }
    }

    /// The zone of the account's days.
    pub(super) fn account_zone(&self) -> &Zone {
        self.account.settings.time_zone.as_ref().unwrap_or(&self.account.server_zone)
    }

    fn account_changed(&mut self, by: By<'_>) -> AccountView {
        let view = self.account_view();
        self.leave(by, &Effect::Account(Box::new(view.clone())));
        view
    }

    /// Outbound calls begun and not ended, with the instant they began.
    fn live_dials(&self) -> impl Iterator<Item = (DateTime<Utc>, CallId)> {
        self.campaigns.values().flat_map(|row| &row.live).copied()
    }

    /// The account as a gate sees it.
    pub(super) fn account_facts(&self, now: DateTime<Utc>) -> AccountFacts {
        let settings = self.account.settings.clone();
        let held = self.live_dials().filter(|(begun, _)| *begun + SLOT_HOLD > now).count();
        let in_flight =
            settings.calls_at_once.map_or(0, |_| u32::try_from(held).unwrap_or(u32::MAX));
        let today = settings.spend_per_day.map(|_| self.day(None, self.account_zone(), now));
        AccountFacts {
            stopped: self.account.stopped.is_some(),
            today: today.unwrap_or_default(),
            in_flight,
            next_dial_at: self.account.next_dial_at,
            settings,
        }
    }

    /// The dials of a campaign's local day; empty if it has no budget.
    pub(super) fn campaign_day(&self, id: CampaignId, now: DateTime<Utc>) -> Day {
        let settings = self.campaigns.get(&id).map(|row| &row.campaign.settings);
        let settings = settings.filter(|settings| settings.budget.calls_per_day.is_some());
        settings.map(|settings| self.day(Some(id), &settings.time_zone, now)).unwrap_or_default()
    }

    fn day(&self, campaign: Option<CampaignId>, zone: &Zone, now: DateTime<Utc>) -> Day {
        let (from, ends) = zone.day(now);
        Day { ends, dials: self.meter(campaign, from, ends) }
    }

    fn meter(&self, campaign: Option<CampaignId>, from: DateTime<Utc>, to: DateTime<Utc>) -> Meter {
        let calls = self.calls.values().map(|row| &row.call);
        // A test call has its price, and stands outside its campaign's counts.
        let counts = |call: &&Call| call.campaign == campaign && !call.is_test();
        let calls = calls.filter(|call| campaign.is_none() || counts(call));
        let mut meter = Meter::default();
        for reading in calls.filter_map(Reading::of) {
            if from <= reading.quarter && reading.quarter < to {
                meter.add(reading);
            }
        }
        meter
    }

    /// How dials to a number ended, as far as a campaign has cool-downs.
    pub(super) fn number_ends(&self, phone: PhoneNumber, settings: &Settings) -> Vec<NumberEnd> {
        if settings.cool_downs.is_empty() {
            return Vec::new();
        }
        let calls =
            self.dials.get(&phone).into_iter().flatten().map(|(_, id)| &self.calls[id].call);
        let end = |call: &Call| Some(NumberEnd { at: call.ended_at()?, outcome: call.outcome()? });
        let mut ends: Vec<NumberEnd> = calls.filter_map(end).collect();
        ends.sort_unstable();
        ends
    }

    /// The account's next dial after one now.
    pub(super) fn count_dial(&mut self, now: DateTime<Utc>) {
        if let Some(pace) = self.account.settings.calls_per_second {
            self.account.next_dial_at = next_dial_at(self.account.next_dial_at, now, pace);
        }
    }

    /// A dial of a campaign turned out to have failed: perhaps one too many.
    pub(super) fn check_breaker(&mut self, id: CampaignId, now: DateTime<Utc>) {
        let Some(row) = self.campaigns.get(&id) else { return };
        let Some(breaker) = row.campaign.settings.breaker else { return };
        if row.campaign.state != RunState::Running {
            return;
        }
        let since = row.counted_from;
        let calls = self.ended.iter().rev().take_while(|(at, _)| *at > since);
        let calls = calls.map(|(_, call)| &self.calls[call].call);
        let dials = calls
            .filter(|call| call.campaign == Some(id) && call.begun_at.is_some() && !call.is_test());
        let ends = dials.filter_map(Call::outcome).filter(|outcome| outcome.attempted());
        if !breaker.trips(ends) {
            return;
        }
        self.halt(id, now, breaker.reason());
    }

    /// A running campaign pauses itself.
    pub(super) fn halt(&mut self, id: CampaignId, now: DateTime<Utc>, reason: String) {
        let row = self.campaigns.get_mut(&id);
        let Some(row) = row.filter(|row| row.campaign.state == RunState::Running) else { return };
        row.campaign.state = RunState::Paused;
        row.campaign.pause = Some(Pause { at: now, by: Actor::System, reason: Some(reason) });
        let kind = NoticeKind::BreakerTripped(id);
        self.notices.retain(|notice| notice.kind != kind);
        self.notify(now, kind);
    }
}
