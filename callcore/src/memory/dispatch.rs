use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

use super::{CallRow, CampaignRow, MemoryStore, State, due_key};
use crate::actor::Actor;
use crate::call::{
    Call, CallRef, CallStatus, CancelReason, Direction, InboundRing, Intent, Outcome, Progress,
    Report, Retirement,
};
use crate::campaign::RunState;
use crate::dnc::{DncEntry, DncScope, DncSource};
use crate::engine::{
    AccountFacts, AdmitFacts, BeginRefusal, Facts, Permit, SLOT_HOLD, Settlement, Verdict, admit,
    dials_allowed, next_dial_at,
};
use crate::id::{CallId, CampaignId, ClientId};
use crate::phone::PhoneNumber;
use crate::port::{
    By, ClaimRequest, Dispatch, NoticeDay, NoticeKind, OpenCall, Recorded, Refusals, StoreError,
    TakeBack,
};
use crate::zones::number_zones;

/// How long after its intent a call without any news is first looked up, on the wall clock.
const FIRST_LOOK: TimeDelta = TimeDelta::seconds(30);
/// The longest wait between two look-ups.
const LONGEST_LOOK: TimeDelta = TimeDelta::minutes(10);

#[async_trait]
impl Dispatch for MemoryStore {
    async fn server_time(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        Ok(None)
    }

    async fn claim_due(&self, request: ClaimRequest) -> Result<Vec<Facts>, StoreError> {
        let mut state = self.lock();
        let account = Arc::new(state.account_facts(request.now));
        let ids = state.due(request, &account);
        let mut facts = Vec::new();
        for id in ids {
            state.claims += 1;
            let epoch = state.claims;
            let Some(row) = state.calls.get_mut(&id) else { continue };
            row.epoch = epoch;
            row.lease_until = Some(request.wall + request.lease_for);
            row.call.claimed = true;
            let key = due_key(&row.call);
            if let Some(campaign) = row.call.campaign.and_then(|id| state.campaigns.get_mut(&id)) {
                campaign.due.remove(&key);
                campaign.leased.insert(id);
                let (planned, ..) = key;
                campaign.turn = if planned { epoch } else { campaign.turn };
            }
            let row = state.calls.get(&id);
            facts.extend(row.and_then(|row| state.facts_of(row, &account, request.now)));
        }
        Ok(facts)
    }

    async fn begin(
        &self,
        by: By<'_>,
        wall: DateTime<Utc>,
        permits: &[Permit],
    ) -> Result<Refusals, StoreError> {
        let mut state = self.lock();
        state.at(by.now);
        Ok(permits.iter().map(|permit| state.begin(by.now, wall, permit)).collect())
    }

    async fn take_back(&self, by: By<'_>, calls: &[TakeBack]) -> Result<(), StoreError> {
        let mut state = self.lock();
        state.at(by.now);
        for back in calls {
            state.take_back(by, back);
        }
        Ok(())
    }

    async fn halt_campaign(
        &self,
        by: By<'_>,
        id: CampaignId,
        reason: &str,
    ) -> Result<(), StoreError> {
        let mut state = self.lock();
        state.at(by.now);
        state.halt(id, by.now, reason.to_owned());
        Ok(())
    }

    async fn settle(&self, by: By<'_>, settlements: &[Settlement]) -> Result<(), StoreError> {
        let mut state = self.lock();
        state.at(by.now);
        for settlement in settlements {
            state.settle(by, settlement);
        }
        Ok(())
    }

    async fn record(&self, by: By<'_>, reports: &[Report]) -> Result<Vec<Recorded>, StoreError> {
        let mut state = self.lock();
        state.at(by.now);
        Ok(reports.iter().map(|report| state.record(by.now, report)).collect())
    }

    async fn next_due(&self, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, StoreError> {
        let state = self.lock();
        let Some(open) = state.account_facts(now).opens_at(now) else { return Ok(None) };
        let next = state.campaigns.values().filter_map(|row| {
            let settings = &row.campaign.settings;
            if state.slots_held(row.campaign.id, now) >= settings.pacing.max_concurrent {
                return None;
            }
            let first = |person: bool| {
                let rank = row.due.iter().filter(move |(plan, ..)| *plan != person);
                rank.map(|(_, due_at, _)| *due_at).next()
            };
            let planned = first(false).map(|due_at| due_at.max(row.next_dial_at));
            let next = match row.campaign.state {
                RunState::Running => planned.into_iter().chain(first(true)).min(),
                // A draft has test calls only.
                RunState::Paused | RunState::Finished | RunState::Draft => first(true),
                RunState::Stopped => None,
            };
            let day = state.campaign_day(row.campaign.id, now);
            let from = if settings.budget.allows(&day, now) { open } else { open.max(day.ends) };
            next.map(|due_at| due_at.max(from))
        });
        Ok(next.min())
    }

    async fn unsettled(
        &self,
        now: DateTime<Utc>,
        wall: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<OpenCall>, StoreError> {
        let mut state = self.lock();
        let due: Vec<CallId> = state
            .live
            .iter()
            .copied()
            .filter(|id| {
                let row = &state.calls[id];
                let overdue = row.call.began() + SLOT_HOLD <= now;
                let silent = row.events.is_empty();
                let unknown = row.call.status() == CallStatus::Unknown;
                row.look_at <= wall && (silent || unknown || overdue)
            })
            .take(limit as usize)
            .collect();
        for id in &due {
            if let Some(row) = state.calls.get_mut(id) {
                row.looks += 1;
                let wait = FIRST_LOOK * i32::try_from(1_u32 << row.looks.min(5)).unwrap_or(32);
                row.look_at = wall + wait.min(LONGEST_LOOK);
            }
        }
        Ok(due.iter().map(|id| open_call(&state.calls[id])).collect())
    }

    async fn hang_ups(&self, wall: DateTime<Utc>, limit: u32) -> Result<Vec<OpenCall>, StoreError> {
        // As a rule there is none, and looking changes nothing.
        if self.lock().hang_ups.is_empty() {
            return Ok(Vec::new());
        }
        let mut state = self.lock();
        let due = state.hang_ups_due(wall, limit);
        Ok(due.iter().map(|id| open_call(&state.calls[id])).collect())
    }

    async fn live(&self, limit: u32) -> Result<Vec<OpenCall>, StoreError> {
        let state = self.lock();
        let rows = state.live.iter().map(|id| open_call(&state.calls[id]));
        Ok(rows.take(limit as usize).collect())
    }

    async fn latest_instant(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        Ok(self.lock().latest)
    }
}

fn open_call(row: &CallRow) -> OpenCall {
    OpenCall {
        call: row.call.id,
        phone: row.call.phone,
        begun_at: row.call.began(),
        carrier_call_id: row.call.progress.carrier_call_id.clone(),
        events: row.events.iter().cloned().collect(),
    }
}

impl State {
    fn slots_held(&self, campaign: CampaignId, now: DateTime<Utc>) -> u32 {
        let Some(row) = self.campaigns.get(&campaign) else { return 0 };
        let given_up = row.live.iter().take_while(|(begun, _)| *begun + SLOT_HOLD <= now).count();
        u32::try_from(row.live.len() - given_up).unwrap_or(u32::MAX)
    }

    /// The calls a claim gets, in order; leases that ran out come back into the queue first.
    fn due(&mut self, request: ClaimRequest, account: &AccountFacts) -> Vec<CallId> {
        let lost: Vec<CallId> = self
            .campaigns
            .values()
            .flat_map(|row| &row.leased)
            .copied()
            .filter(|id| self.calls[id].lease_until.is_none_or(|until| until <= request.wall))
            .collect();
        for id in lost {
            self.enqueue(id);
        }
        self.tell_if_spent(request.now, account);
        let leased: usize = self.campaigns.values().map(|row| row.leased.len()).sum();
        let free = account.dials_free(request.now, u32::try_from(leased).unwrap_or(u32::MAX));
        let limit = free.min(request.limit) as usize;
        let mut found = Vec::new();
        for row in self.campaigns.values() {
            let settings = &row.campaign.settings;
            let pacing = settings.pacing;
            let held = self.slots_held(row.campaign.id, request.now) as usize + row.leased.len();
            let slots = (pacing.max_concurrent as usize).saturating_sub(held);
            let mut slots = slots.min(limit);
            if let Some(most) = settings.budget.calls_per_day {
                let begun = self.campaign_day(row.campaign.id, request.now).dials.begun;
                let left = u64::from(most).saturating_sub(begun + row.leased.len() as u64);
                slots = slots.min(usize::try_from(left).unwrap_or(usize::MAX));
            }
            let mut pace =
                dials_allowed(row.next_dial_at, request.now, pacing.calls_per_second) as usize;
            let planned = row.campaign.state == RunState::Running;
            let asked = row.campaign.state != RunState::Stopped;
            let rank = -i64::from(settings.priority);
            let mut round = 0_u32;
            for (plan, due_at, id) in &row.due {
                let wanted = if *plan { planned && pace > 0 } else { asked };
                if slots == 0 {
                    break;
                }
                if wanted && *due_at <= request.now {
                    // Wishes take no turns.
                    let turn = if *plan { (round, row.turn) } else { (0, 0) };
                    found.push((*plan, rank, turn, *due_at, *id));
                    slots -= 1;
                    pace -= usize::from(*plan);
                    round += u32::from(*plan);
                } else if *plan {
                    break;
                }
            }
        }
        found.sort_unstable();
        found.into_iter().map(|(.., id)| id).take(limit).collect()
    }

    /// Says once a day that calls wait because the account's money is used up.
    fn tell_if_spent(&mut self, now: DateTime<Utc>, account: &AccountFacts) {
        let due = |row: &CampaignRow| {
            let first = |person| row.due.iter().find(|(plan, ..)| *plan != person);
            let waits = [first(true), first(false)].into_iter().flatten();
            row.campaign.state == RunState::Running
                && waits.into_iter().any(|(_, at, _)| *at <= now)
        };
        if account.is_spent(now) && self.campaigns.values().any(due) {
            let date = self.account_zone().date(now);
            self.notify(now, NoticeKind::SpendReached(NoticeDay(date)));
        }
    }

    fn begin(
        &mut self,
        now: DateTime<Utc>,
        wall: DateTime<Utc>,
        permit: &Permit,
    ) -> Result<(), BeginRefusal> {
        let lost = BeginRefusal::LeaseLost;
        let row = self.calls.get(&permit.call()).ok_or(lost)?;
        let campaign = self.campaigns.get(&permit.campaign()).ok_or(lost)?;
        let client = match permit.client() {
            Some(client) => Some(&self.clients.get(&client).ok_or(lost)?.client),
            None => None,
        };
        let facts = AdmitFacts {
            lease_held: row.call.claimed && row.epoch == permit.lease().epoch,
            run_state: campaign.campaign.state,
            settings_version: campaign.campaign.settings_version,
            active: client.is_none_or(|client| client.active),
            on_dnc: self.on_dnc(permit.phone(), permit.campaign()).is_some(),
            number_live: self.number_live(permit.phone()),
            number_dials: self.number_dials(permit.phone()),
            in_flight: self.slots_held(permit.campaign(), now),
            next_dial_at: campaign.next_dial_at,
            number_ends: self.number_ends(permit.phone(), permit.settings()),
            campaign_day: self.campaign_day(permit.campaign(), now),
            account: self.account_facts(now),
        };
        admit(permit, &facts, now)?;

        let zones = client.map_or_else(|| number_zones(permit.phone()), |it| it.zones.clone());
        let zone = permit.settings().zones_of(&zones);
        self.dequeue(permit.call());
        self.change(permit.call(), |row| {
            row.call.begun_at = Some(now);
            row.call.settings_version = permit.settings_version();
            row.call.decision = permit.decision().to_vec();
            row.call.zone = zone.into_iter().next();
            row.looks = 0;
            row.look_at = wall + FIRST_LOOK;
        });
        if permit.intent() != Intent::Test {
            self.dials.entry(permit.phone()).or_default().insert((now, permit.call()));
        }
        if let Some(row) = self.campaigns.get_mut(&permit.campaign()) {
            let pace = permit.settings().pacing.calls_per_second;
            row.next_dial_at = next_dial_at(row.next_dial_at, now, pace);
        }
        self.count_dial(now);
        if let Some(client) = permit.client() {
            self.follow_up(client, now);
        }
        Ok(())
    }

    fn take_back(&mut self, by: By<'_>, back: &TakeBack) {
        let Some(row) = self.calls.get(&back.call) else { return };
        let Some(begun_at) = row.call.begun_at else { return };
        if row.epoch != back.lease.epoch || !row.events.is_empty() {
            return;
        }
        let (client, campaign, phone) = (row.call.client, row.call.campaign, row.call.phone);
        self.change(back.call, |row| {
            row.call.begun_at = None;
            row.call.settings_version = 0;
            row.call.decision.clear();
            row.call.due_at = back.due_at.unwrap_or(row.call.due_at);
        });
        if let Some(dials) = phone.and_then(|phone| self.dials.get_mut(&phone)) {
            dials.remove(&(begun_at, back.call));
        }
        self.enqueue(back.call);
        // What happened while the call was begun had to spare it; now it no longer does.
        let stopped = campaign
            .and_then(|id| self.campaigns.get(&id))
            .is_some_and(|row| row.campaign.state == RunState::Stopped);
        let on_dnc = phone.zip(campaign).and_then(|(phone, id)| self.on_dnc(phone, id)).is_some();
        let row = client.and_then(|id| self.clients.get(&id));
        let reason = match row.is_some_and(|row| row.client.erased.is_some()) {
            true => Some(CancelReason::Erased),
            false if stopped => Some(CancelReason::CampaignStopped),
            false if on_dnc => Some(CancelReason::OnDnc),
            false if row.is_some_and(|row| !row.client.active) => Some(CancelReason::Inactive),
            false => None,
        };
        if let Some(reason) = reason {
            self.retire(back.call, by.now, &Actor::System, Retirement::Canceled(reason));
        }
        if let Some(client) = client {
            self.follow_up(client, by.now);
        }
    }

    fn settle(&mut self, by: By<'_>, settlement: &Settlement) {
        let Some(row) = self.calls.get_mut(&settlement.call) else { return };
        if !row.call.claimed || row.epoch != settlement.lease.epoch {
            return;
        }
        let client = row.call.client;
        match settlement.verdict {
            Verdict::Retire(reason) => {
                let how = Retirement::Canceled(reason);
                self.retire(settlement.call, by.now, &Actor::System, how);
            }
            Verdict::Defer(defer) => {
                row.call.due_at = row.call.due_at.max(defer.until);
                self.enqueue(settlement.call);
            }
            Verdict::Dial { .. } => self.enqueue(settlement.call),
        }
        if let Some(client) = client {
            self.follow_up(client, by.now);
        }
    }

    pub(super) fn record(&mut self, now: DateTime<Utc>, report: &Report) -> Recorded {
        let (id, caller) = match &report.call {
            CallRef::Ours(id) => (*id, None),
            CallRef::Inbound(ring) => (self.inbound_call(now, ring, report.event.at), ring.from),
        };
        let Some(row) = self.calls.get(&id) else { return Recorded::NoSuchCall };
        if row.call.direction == Direction::Outbound && row.call.begun_at.is_none() {
            return Recorded::NoSuchCall;
        }
        let was_ended = row.call.ended_at().is_some();
        let news = self.news(id, &report.event);
        if news.is_empty() {
            return Recorded::Known { call: id };
        }
        if let Some(row) = self.calls.get_mut(&id) {
            row.events.extend(news);
        }
        self.add_up(id, caller, now);
        let ended = self.calls[&id].call.ended_at().is_some();
        Recorded::New { call: id, ended: ended && !was_ended }
    }

    /// Makes a call's row what its events say, with everything that follows. Whoever called in and
    /// was erased since is known by the report alone.
    fn add_up(&mut self, id: CallId, caller: Option<PhoneNumber>, now: DateTime<Utc>) {
        let script = self.script_of(id);
        let row = &self.calls[&id];
        let progress = Progress::of(&row.events, &script);
        let first = row.events.first().map(|event| event.at);
        let was_unknown = row.call.end_reason() == Some("unknown");
        let dialled = self.erased_calls.get(&id).and_then(|erased| erased.dialled);
        let phone = row.call.phone.or(dialled.map(|(phone, _)| phone)).or(caller);
        let client = row.call.client;
        // Only news: an entry that people removed since must not come back with the next event.
        let known = row.call.progress.opted_out_at;
        let was_named = row.call.progress.carrier_call_id.is_some();
        let is_named = progress.carrier_call_id.is_some();
        let failed_before = row.call.outcome() == Some(Outcome::Failed);
        let opted_out = progress.opted_out_at.filter(|at| known != Some(*at));
        let tags = progress.tags.clone();
        self.change(id, |row| {
            if row.call.direction == Direction::Inbound {
                row.call.due_at = first.unwrap_or(row.call.due_at);
            }
            row.call.progress = progress;
            row.call.follow_up_review(was_unknown);
        });
        if let Some(row) = client.and_then(|client| self.clients.get_mut(&client)) {
            row.client.tags.extend(tags);
        }
        if let (Some(at), Some(phone)) = (opted_out, phone) {
            self.opt_out(id, client, phone, (at, now));
        }
        if is_named && !was_named {
            self.hang_up_now(id);
        }
        if self.calls[&id].call.end_reason() == Some("unknown") {
            self.notify(now, NoticeKind::CallGivenUp(id));
        }
        if script.records() && self.calls[&id].call.has_message() {
            self.notify(now, NoticeKind::MessageLeft(id));
        }
        if let Some(client) = client {
            self.follow_up(client, now);
        }
        let call = &self.calls[&id].call;
        let failed =
            call.begun_at.is_some() && !call.is_test() && call.outcome() == Some(Outcome::Failed);
        if let Some(campaign) = call.campaign.filter(|_| failed && !failed_before) {
            self.check_breaker(campaign, now);
        }
    }

    fn opt_out(
        &mut self,
        call: CallId,
        client: Option<ClientId>,
        phone: PhoneNumber,
        (at, now): (DateTime<Utc>, DateTime<Utc>),
    ) {
        let key = (phone, DncScope::Global);
        if let Some(entry) = self.dnc.get_mut(&key) {
            // The press that is heard of first need not be the first one.
            if entry.source == DncSource::OptOut {
                entry.created_at = entry.created_at.min(at);
            }
            return;
        }
        let entry = DncEntry {
            phone,
            scope: DncScope::Global,
            reason: String::new(),
            source: DncSource::OptOut,
            added_by: Actor::Client,
            created_at: at,
        };
        self.dnc.insert(key, entry);
        // A retry that this call had planned is withdrawn, as if the opt-out had been heard of
        // first; what others scheduled is cancelled.
        if let Some(client) = client {
            self.follow_up(client, now);
        }
        let why = CancelReason::OnDnc;
        self.cancel_number(phone, DncScope::Global, now, &Actor::Client, why);
        // Whoever opts out in a call hears it confirmed there; another call is not to ring on.
        let live = self.live_numbers.get(&phone).cloned().unwrap_or_default();
        let others: Vec<CallId> = live.into_iter().filter(|other| *other != call).collect();
        self.ask_to_hang_up(&others);
    }

    /// The row of an inbound call, made by whichever of its events comes first.
    fn inbound_call(
        &mut self,
        now: DateTime<Utc>,
        ring: &InboundRing,
        at: DateTime<Utc>,
    ) -> CallId {
        if let Some(id) = self.inbound.get(&ring.carrier_call_id) {
            return *id;
        }
        let last_dial = ring.from.and_then(|from| self.dials.get(&from)?.last().copied());
        let dialled = last_dial.and_then(|(_, id)| self.calls.get(&id)?.call.client);
        // Nobody may learn from a new call which of the erased had this number.
        let dialled = dialled.filter(|id| self.clients[id].client.erased.is_none());
        let client = dialled.or_else(|| {
            let from = ring.from?;
            let rows = self.clients.values().filter(|row| row.client.phone == Some(from));
            rows.max_by_key(|row| row.place).map(|row| row.client.id)
        });
        let campaign = client.map(|client| self.clients[&client].client.campaign);
        let id = ring.new_id;
        let version = campaign.and_then(|id| self.campaigns.get(&id));
        let settings_version = version.map_or(0, |row| row.campaign.settings_version);
        let new = Call::inbound(id, ring.from, at);
        let call = Call { campaign, client, settings_version, ..new };
        self.inbound.insert(ring.carrier_call_id.clone(), id);
        self.live.insert(id);
        if let Some(from) = ring.from {
            self.callers.entry(from).or_default().insert(id);
        }
        if let Some(row) = client.and_then(|client| self.clients.get_mut(&client)) {
            row.calls.insert(id);
        }
        let events = std::collections::BTreeSet::new();
        let look_at = DateTime::UNIX_EPOCH;
        let row = CallRow { call, events, epoch: 0, lease_until: None, looks: 0, look_at };
        self.calls.insert(id, row);
        self.notify(now, NoticeKind::InboundCall(id));
        id
    }
}
