use std::sync::Arc;

use async_trait::async_trait;
use chrono::DateTime;

use super::{MemoryStore, State, call_to, is_waiting};
use crate::call::{Call, CancelReason, Intent, Retirement};
use crate::engine::{Facts, Lease, moved_into_hours, resumed};
use crate::id::{CallId, ClientId};
use crate::phone::PhoneNumber;
use crate::port::{
    ActError, By, CallView, ClientChange, ClientDetail, Clients, Effect, NewCall, Refused,
    StoreError,
};

#[async_trait]
impl Clients for MemoryStore {
    async fn change_client(
        &self,
        by: By<'_>,
        id: ClientId,
        change: &ClientChange,
    ) -> Result<ClientDetail, ActError> {
        let mut state = self.lock();
        state.enter(by)?;
        let row = state.clients.get_mut(&id).ok_or(Refused::NotFound)?;
        if row.client.erased.is_some() {
            return Err(Refused::Erased.into());
        }
        let (old, new) = change.put(&mut row.client, by)?;
        if change.active == Some(false) {
            state.cancel_of(by, id);
        }
        if change.decides_again() {
            state.decide_again(id, change.time_zone.is_some());
        }
        if change.may_resume() {
            state.resume(by, id, change.resumed);
        }
        state.follow_up(id, by.now);
        state.write_audit(by, "client.change", id, Some(old), Some(new));
        let detail = state.client_detail(id).ok_or(Refused::NotFound)?;
        state.leave(by, &Effect::Client(Box::new(detail.clone())));
        Ok(detail)
    }

    async fn call_client(
        &self,
        by: By<'_>,
        id: ClientId,
        new: NewCall,
    ) -> Result<CallView, ActError> {
        self.do_one(by, |state| {
            let Some(row) = state.clients.get(&id) else { return Err(Refused::NotFound) };
            let last = row.calls.iter().map(|id| &state.calls[id].call);
            let last = last.filter(|call| call.attempt > 0 && call.ended_at().is_some());
            let last = last.max_by_key(|call| (call.attempt, call.ended_at(), call.id));
            let last = last.map(|call| call.id);
            match state.open_call(id) {
                Some(call) => state.call_now(by, call),
                None => state.call_again(by, id, last, new),
            }
        })
    }

    async fn client_facts(&self, id: ClientId) -> Result<Option<Facts>, StoreError> {
        Ok(self.lock().client_facts(id))
    }

    async fn open_calls(&self, phone: PhoneNumber) -> Result<Vec<CallView>, StoreError> {
        let state = self.lock();
        let calls = state.calls.values().map(|row| &row.call);
        let mut open: Vec<&Call> =
            calls.filter(|call| call.phone == Some(phone) && call.ended_at().is_none()).collect();
        open.sort_by_key(|call| (is_waiting(call), call.due_at, call.id));
        Ok(open.into_iter().filter_map(|call| state.call_view(call.id)).collect())
    }
}

impl State {
    fn waiting_of(&self, client: ClientId) -> Vec<CallId> {
        let calls = self.clients.get(&client).into_iter().flat_map(|row| &row.calls);
        calls.copied().filter(|id| is_waiting(&self.calls[id].call)).collect()
    }

    /// Cancels what is scheduled for a client that was switched off.
    fn cancel_of(&mut self, by: By<'_>, client: ClientId) {
        for call in self.waiting_of(client) {
            let how = Retirement::Canceled(CancelReason::Inactive);
            self.retire(call, by.now, by.actor, how);
        }
    }

    /// Has the rules asked again about what is scheduled for a client, also by a worker that has it
    /// in its hands.
    fn decide_again(&mut self, client: ClientId, moved: bool) {
        let Some(row) = self.clients.get(&client) else { return };
        let Some(campaign) = self.campaigns.get(&row.client.campaign) else { return };
        let (settings, zones) = (campaign.campaign.settings.clone(), row.client.zones.clone());
        for id in self.waiting_of(client) {
            let call = &self.calls[&id].call;
            let wish = call.intent == Intent::Person;
            let due_at = moved_into_hours(&settings, &zones, call.due_at);
            let due_at = due_at.filter(|_| moved && !wish);
            self.dequeue(id);
            self.change(id, |row| row.call.due_at = due_at.unwrap_or(row.call.due_at));
            self.enqueue(id);
        }
    }

    /// Schedules what is owed again to a client.
    fn resume(&mut self, by: By<'_>, client: ClientId, id: CallId) {
        let owed = self.case(client, |client, case| {
            let resumed = resumed(case, client.consent.is_some(), by.now)?;
            let call = call_to(client, id, resumed.attempt, resumed.due_at);
            Some(Call {
                retry_of: resumed.retry_of,
                intent: resumed.intent,
                by: by.actor.clone(),
                ..call
            })
        });
        if let Some(call) = owed.flatten() {
            self.schedule(call);
        }
    }

    pub(super) fn client_detail(&self, id: ClientId) -> Option<ClientDetail> {
        let row = self.clients.get(&id)?;
        let import = self.imports.get(&row.client.import);
        let columns = import.map(|import| import.columns.clone()).unwrap_or_default();
        Some(ClientDetail { view: self.client_view(row), columns })
    }

    fn client_facts(&self, id: ClientId) -> Option<Facts> {
        let now = self.latest.unwrap_or(DateTime::UNIX_EPOCH);
        let account = Arc::new(self.account_facts(now));
        if let Some(call) = self.waiting_of(id).first() {
            return self.facts_of(self.calls.get(call)?, &account, now);
        }
        let client = &self.clients.get(&id)?.client;
        // The dial that would be next, as it would be planned.
        let attempt = client.standing.attempts + 1;
        let call = call_to(client, CallId::from_uuid(uuid::Uuid::nil()), attempt, now);
        self.facts_about(&call, Lease { epoch: 0 }, &account, now)
    }
}
