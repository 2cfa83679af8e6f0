use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{ErasedCall, MemoryStore, State, is_waiting};
use crate::call::{CallEvent, CancelReason, Progress, Retirement};
use crate::client::Erasure;
use crate::dnc::DncScope;
use crate::erase::{
    ERASED, Traces, erased_reply, impersonal, recording_of, redacted, strip_call, strip_client,
    strip_rejections,
};
use crate::id::{CallId, CampaignId, ClientId};
use crate::phone::PhoneNumber;
use crate::port::{
    ActError, AuditRow, By, Effect, Erased, Privacy, Refused, Retained, SavedReply, StoreError,
};
use crate::rules::caps::LONGEST_WINDOW;

/// The wait before the carrier is asked a second time to delete a recording; it doubles.
const FIRST_WAIT: TimeDelta = TimeDelta::seconds(30);
/// The longest wait.
const LONGEST_WAIT: TimeDelta = TimeDelta::hours(1);

#[async_trait]
impl Privacy for MemoryStore {
    async fn erase(&self, by: By<'_>, client: ClientId, reason: &str) -> Result<Erased, ActError> {
        let mut state = self.lock();
        state.enter(by)?;
        let phone = state.clients.get(&client).ok_or(Refused::NotFound)?.client.phone;
        let erased = match phone {
            Some(phone) => state.erase_number(by, client, phone, reason),
            None => Erased::default(),
        };
        state.leave(by, &Effect::Erased(erased.clone()));
        Ok(erased)
    }

    async fn retain(
        &self,
        by: By<'_>,
        before: DateTime<Utc>,
        limit: u32,
    ) -> Result<Retained, StoreError> {
        let mut state = self.lock();
        state.at(by.now);
        let over = |id: &CampaignId| {
            state.campaigns[id].campaign.ended_at.is_some_and(|ended| ended < before)
        };
        let clients: Vec<ClientId> = state
            .clients
            .values()
            .filter(|row| row.client.erased.is_none() && over(&row.client.campaign))
            .map(|row| row.client.id)
            .take(limit as usize)
            .collect();
        let mut ids = BTreeSet::new();
        for client in &clients {
            ids.insert(client.to_string());
            ids.extend(state.clients[client].calls.iter().map(ToString::to_string));
            state.erase_client(by, *client);
        }
        let calls: Vec<CallId> = state
            .ended
            .iter()
            .filter(|(at, id)| *at < before && !state.erased_calls.contains_key(id))
            .map(|(_, id)| *id)
            .take(limit as usize - clients.len())
            .collect();
        for call in &calls {
            let keeps_number = state.calls[call].call.client.is_some();
            state.erase_call(*call, !keeps_number);
            ids.insert(call.to_string());
        }
        state.redact_acts(&ids, &Traces::default());
        state.forget_rejects(before);
        let (clients, calls) = (count(clients.len()), count(calls.len()));
        Ok(Retained { clients, calls, more: clients + calls >= limit })
    }

    async fn prune(&self, by: By<'_>, wall: DateTime<Utc>) -> Result<(), StoreError> {
        let mut state = self.lock();
        state.replies.retain(|_, (at, ..)| wall - *at < TimeDelta::hours(24));
        state.sessions.retain(|_, (_, expires)| wall < *expires);
        state.links.retain(|_, (_, expires)| wall < *expires);
        let State { erased_calls, dials, .. } = &mut *state;
        for (call, erased) in erased_calls {
            let Some((phone, at)) = erased.dialled else { continue };
            if at < by.now - LONGEST_WINDOW {
                erased.dialled = None;
                if let Some(dials) = dials.get_mut(&phone) {
                    dials.remove(&(at, *call));
                }
            }
        }
        dials.retain(|_, dials| !dials.is_empty());
        Ok(())
    }

    async fn recordings_to_delete(
        &self,
        wall: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<String>, StoreError> {
        let mut state = self.lock();
        let due = state.deletions.iter_mut().filter(|(_, (_, next))| *next <= wall);
        let due = due.take(limit as usize).map(|(reference, (tries, next))| {
            let wait = FIRST_WAIT * i32::try_from(1_u32 << (*tries).min(7)).unwrap_or(128);
            *tries += 1;
            *next = wall + wait.min(LONGEST_WAIT);
            reference.clone()
        });
        Ok(due.collect())
    }

    async fn recordings_deleted(&self, references: &[String]) -> Result<(), StoreError> {
        let mut state = self.lock();
        for reference in references {
            state.deletions.remove(reference);
        }
        Ok(())
    }
}

impl State {
    fn erase_number(
        &mut self,
        by: By<'_>,
        asked_of: ClientId,
        phone: PhoneNumber,
        reason: &str,
    ) -> Erased {
        let clients: Vec<ClientId> = self.of_number(phone).map(|(_, client)| client).collect();
        let mut traces = Traces::of_number(phone);
        let mut ids: BTreeSet<String> = clients.iter().map(ToString::to_string).collect();
        ids.insert(phone.to_string());
        // Also calls that nobody's row stands for.
        let strangers = self.calls.values().filter(|row| row.call.phone == Some(phone));
        let mut calls: BTreeSet<CallId> = strangers.map(|row| row.call.id).collect();
        for client in &clients {
            let row = &self.clients[client];
            traces.also_of(&row.client);
            calls.extend(&row.calls);
        }
        ids.extend(calls.iter().map(ToString::to_string));
        let in_flight = |id: &CallId| self.calls[id].call.is_live();
        let mut erased = Erased {
            clients: count(clients.len()),
            calls: count(calls.len()),
            in_flight: calls.iter().copied().filter(in_flight).collect(),
            ..Erased::default()
        };
        self.ask_to_hang_up(&erased.in_flight);
        let (scope, why) = (DncScope::Global, CancelReason::Erased);
        let tests = self.retire_tests(phone, scope, by.now, by.actor, why);
        self.erase_mails(phone);
        for call in calls {
            erased.recordings += self.erase_call(call, true);
        }
        for client in clients {
            erased.canceled.extend(self.erase_client(by, client));
        }
        erased.canceled.extend(tests);
        self.erase_elsewhere(phone, &traces);
        self.erase_mails(phone);
        self.redact_acts(&ids, &traces);
        let reason = if traces.show_in(reason) { ERASED } else { reason };
        let new = json!({"clients": erased.clients, "calls": erased.calls, "reason": reason});
        self.write_audit(by, "client.erase", asked_of, None, Some(new));
        erased
    }

    /// Takes everything from a client and its calls that says who it is; the calls that were to
    /// come.
    fn erase_client(&mut self, by: By<'_>, id: ClientId) -> Vec<CallId> {
        let Some(row) = self.clients.get(&id) else { return Vec::new() };
        let erasure = Erasure { at: by.now, on_dnc: self.covers(&row.client) };
        let (number, campaign) = (row.client.phone, row.client.campaign);
        let calls = row.calls.clone();
        if let Some(phone) = number {
            self.by_number.remove(&(phone, campaign, id));
        }
        if let Some(external_id) = row.client.external_id.clone() {
            self.by_external_id.remove(&(campaign, external_id));
        }
        for call in &calls {
            self.erase_call(*call, true);
        }
        if let Some(row) = self.clients.get_mut(&id) {
            strip_client(&mut row.client, erasure);
        }
        let waits = |call: &CallId| is_waiting(&self.calls[call].call);
        let waiting: Vec<CallId> = calls.into_iter().filter(waits).collect();
        for call in &waiting {
            self.retire(*call, by.now, by.actor, Retirement::Canceled(CancelReason::Erased));
        }
        self.follow_up(id, by.now);
        waiting
    }

    /// Takes every word from a call, and its number if that is to go too; how many recordings the
    /// carrier has to delete for it.
    fn erase_call(&mut self, id: CallId, number: bool) -> u32 {
        self.notes.remove(&id);
        let script = self.script_of(id);
        let Some(row) = self.calls.get(&id) else { return 0 };
        let dialled = row.call.phone.zip(row.call.begun_at);
        let recordings: BTreeSet<String> =
            row.events.iter().filter_map(recording_of).map(str::to_owned).collect();
        let left = impersonal(&row.events, &script);
        let known = self.erased_calls.get(&id).and_then(|known| known.dialled);
        let erased = ErasedCall { number, dialled: known.or(dialled) };
        self.erased_calls.insert(id, erased);
        self.change(id, |row| {
            row.call.progress = Progress::of(&left, &script);
            row.events = left;
            strip_call(&mut row.call);
        });
        let count = count(recordings.len());
        self.have_deleted(recordings);
        count
    }

    /// What of an event is news for a call: of one that was erased, only what is nobody's.
    pub(super) fn news(&mut self, id: CallId, event: &CallEvent) -> Vec<CallEvent> {
        let script = self.script_of(id);
        let Some(row) = self.calls.get(&id) else { return Vec::new() };
        let known = &row.events;
        if !self.erased_calls.contains_key(&id) {
            let is_new = !known.contains(event);
            return is_new.then(|| event.clone()).into_iter().collect();
        }
        let mut all = known.clone();
        all.insert(event.clone());
        let left = impersonal(&all, &script);
        let news = left.difference(known).cloned().collect();
        self.have_deleted(recording_of(event).map(str::to_owned));
        news
    }

    fn have_deleted(&mut self, recordings: impl IntoIterator<Item = String>) {
        for reference in recordings {
            self.deletions.entry(reference).or_insert((0, DateTime::UNIX_EPOCH));
        }
    }

    /// Takes a person out of what is not its own: reports, and reasons of DNC entries.
    fn erase_elsewhere(&mut self, phone: PhoneNumber, traces: &Traces) {
        self.erase_rejects(phone, traces);
        for import in self.imports.values_mut() {
            strip_rejections(&mut import.report.rejections, traces);
        }
        for import in self.dnc_imports.values_mut() {
            strip_rejections(&mut import.report.rejections, traces);
        }
        let entries = self.dnc.values_mut().filter(|entry| entry.phone == phone);
        for entry in entries.filter(|entry| traces.show_in(&entry.reason)) {
            ERASED.clone_into(&mut entry.reason);
        }
    }

    /// Takes a person out of what was written down about acts: everything where it was the object,
    /// and what shows it where something else was.
    fn redact_acts(&mut self, ids: &BTreeSet<String>, traces: &Traces) {
        for row in &mut self.audit {
            let AuditRow { object, old, new, .. } = row;
            let is_own = ids.contains(object);
            for value in [old, new].into_iter().flatten() {
                if let Some(without) = taken(value, is_own, traces) {
                    *value = without;
                }
            }
            if traces.show_in(object) {
                ERASED.clone_into(object);
            }
        }
        for (_, _, reply) in self.replies.values_mut() {
            if ids.iter().any(|id| reply.body.contains(id)) || traces.show_in(&reply.body) {
                *reply = SavedReply { body: erased_reply(), ..*reply };
            }
        }
    }
}

fn taken(value: &Value, is_own: bool, traces: &Traces) -> Option<Value> {
    if is_own { Some(redacted(value)) } else { traces.taken_from(value) }
}

fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
