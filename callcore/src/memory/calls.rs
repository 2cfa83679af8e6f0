use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::json;

use super::campaigns::page;
use super::{MemoryStore, State, call_to, is_waiting, matches};
use crate::call::{Call, CallEvent, Intent, Retirement, Skip};
use crate::campaign::RunState;
use crate::client::Client;
use crate::engine::Facts;
use crate::id::CallId;
use crate::port::{
    ActError, By, CallOrder, CallQuery, CallSort, CallView, Calls, Cursor, Effect, NewCall, Page,
    Refused, SkipThen, SortKey, StoreError, name_order,
};

#[async_trait]
impl Calls for MemoryStore {
    async fn call(&self, id: CallId) -> Result<Option<CallView>, StoreError> {
        Ok(self.lock().call_view(id))
    }

    async fn calls(&self, ids: &[CallId]) -> Result<Vec<CallView>, StoreError> {
        let state = self.lock();
        Ok(ids.iter().filter_map(|id| state.call_view(*id)).collect())
    }

    async fn events(&self, id: CallId) -> Result<Vec<CallEvent>, StoreError> {
        let state = self.lock();
        let events = state.calls.get(&id).into_iter().flat_map(|row| &row.events);
        Ok(events.cloned().collect())
    }

    async fn facts(&self, id: CallId) -> Result<Option<Facts>, StoreError> {
        let state = self.lock();
        let waiting = state.calls.get(&id).filter(|row| is_waiting(&row.call));
        let now = state.latest.unwrap_or(DateTime::UNIX_EPOCH);
        let account = std::sync::Arc::new(state.account_facts(now));
        Ok(waiting.and_then(|row| state.facts_of(row, &account, now)))
    }

    async fn history(&self, query: &CallQuery) -> Result<Page<CallView>, StoreError> {
        let state = self.lock();
        let order = query.order.unwrap_or(CallOrder::NEWEST_FIRST);
        let wanted = state.ended.iter().filter(|(at, id)| state.wanted(query, *at, *id));
        let keys = wanted.map(|(at, id)| (state.sort_key(order.by, *at, *id), *id)).collect();
        Ok(state.call_page(query, order, keys))
    }

    async fn upcoming(&self, query: &CallQuery) -> Result<Page<CallView>, StoreError> {
        let state = self.lock();
        let waits = |call: &Call| {
            let campaign = call.campaign.and_then(|id| state.campaigns.get(&id));
            let serves = campaign.is_some_and(|row| {
                matches!(
                    row.campaign.state,
                    RunState::Running | RunState::Paused | RunState::Finished
                )
            });
            is_waiting(call) && serves
        };
        let keys = state
            .calls
            .values()
            .filter(|row| waits(&row.call))
            .map(|row| (row.call.due_at, row.call.id))
            .filter(|(at, id)| state.wanted(query, *at, *id))
            .map(|(at, id)| (SortKey::At(at), id))
            .collect();
        Ok(state.call_page(query, query.order.unwrap_or(CallOrder::OLDEST_FIRST), keys))
    }

    async fn call_now(&self, by: By<'_>, id: CallId) -> Result<CallView, ActError> {
        let mut state = self.lock();
        state.enter(by)?;
        let old = state.waiting(id, true)?.due_at;
        state.dequeue(id);
        state.change(id, |row| {
            row.call.intent = Intent::Person;
            row.call.by = by.actor.clone();
            row.call.due_at = by.now;
        });
        state.enqueue(id);
        state.call_changed(by, "call.call_now", id, Some(json!({"due_at": old})), None)
    }

    async fn skip(
        &self,
        by: By<'_>,
        id: CallId,
        skip: Skip,
        then: SkipThen,
    ) -> Result<CallView, ActError> {
        let mut state = self.lock();
        state.enter(by)?;
        let attempt = state.waiting(id, false)?.attempt;
        let client = state.client_of(id)?;
        let new = json!({"reason": skip.reason, "note": skip.note});
        state.retire(id, by.now, by.actor, Retirement::Skipped(skip));
        if let SkipThen::Next(next) = then {
            state.schedule(Call {
                retry_of: Some(id),
                intent: Intent::Rescheduled,
                by: by.actor.clone(),
                ..call_to(&client, next.id, attempt, next.due_at)
            });
        }
        state.call_changed(by, "call.skip", id, None, Some(new))
    }

    async fn reschedule(
        &self,
        by: By<'_>,
        id: CallId,
        due_at: DateTime<Utc>,
    ) -> Result<CallView, ActError> {
        let mut state = self.lock();
        state.enter(by)?;
        let old = json!({"due_at": state.waiting(id, false)?.due_at});
        state.dequeue(id);
        state.change(id, |row| {
            row.call.intent = Intent::Rescheduled;
            row.call.by = by.actor.clone();
            row.call.due_at = due_at;
        });
        state.enqueue(id);
        let new = json!({"due_at": due_at});
        state.call_changed(by, "call.reschedule", id, Some(old), Some(new))
    }

    async fn retry(&self, by: By<'_>, id: CallId, new: NewCall) -> Result<CallView, ActError> {
        let mut state = self.lock();
        state.enter(by)?;
        let call = &state.calls.get(&id).ok_or(Refused::NotFound)?.call;
        if call.ended_at().is_none() {
            return Err(Refused::Call(call.status()).into());
        }
        let client = state.client_of(id)?;
        let run_state = state.campaign_row(client.campaign)?.campaign.state;
        if matches!(run_state, RunState::Draft | RunState::Stopped) {
            return Err(Refused::Campaign(run_state).into());
        }
        if client.erased.is_some() {
            return Err(Refused::Erased.into());
        }
        if state.covers(&client) {
            return Err(Refused::OnDnc.into());
        }
        let open = |id: &&CallId| {
            let call = &state.calls[*id].call;
            is_waiting(call) || (call.begun_at.is_some() && call.is_live())
        };
        if let Some(open) = state.clients[&client.id].calls.iter().find(open) {
            return Err(Refused::AlreadyScheduled(*open).into());
        }
        let attempt = client.standing.attempts + 1;
        let call = Call {
            retry_of: Some(id),
            intent: Intent::Person,
            by: by.actor.clone(),
            ..call_to(&client, new.id, attempt, new.due_at)
        };
        state.schedule(call);
        let body = json!({"retry_of": id, "due_at": new.due_at});
        state.call_changed(by, "call.retry", new.id, None, Some(body))
    }
}

impl State {
    fn sort_key(&self, by: CallSort, at: DateTime<Utc>, id: CallId) -> SortKey {
        let call = &self.calls[&id].call;
        match by {
            CallSort::Date => SortKey::At(at),
            CallSort::Duration => SortKey::Number(call.progress.talk_seconds.into()),
            CallSort::Name => {
                let client = call.client.and_then(|client| self.clients.get(&client));
                SortKey::Text(client.map(|row| name_order(&row.client.name)).unwrap_or_default())
            }
        }
    }

    fn call_page(
        &self,
        query: &CallQuery,
        order: CallOrder,
        keys: Vec<(SortKey, CallId)>,
    ) -> Page<CallView> {
        let mut places: Vec<Cursor> =
            keys.into_iter().map(|(key, id)| Cursor { key, id: id.uuid() }).collect();
        places.sort_unstable();
        if order.descending {
            places.reverse();
        }
        places.retain(|place| {
            let ordering = query.after.as_ref().map(|after| place.cmp(after));
            ordering.is_none_or(|it| if order.descending { it.is_lt() } else { it.is_gt() })
        });
        page(places, query.limit, Cursor::clone)
            .map(|place| self.call_view(CallId::from_uuid(place.id)))
    }

    /// A scheduled call that a person may still change.
    fn waiting(&self, id: CallId, dials: bool) -> Result<&Call, Refused> {
        let call = &self.calls.get(&id).ok_or(Refused::NotFound)?.call;
        if !is_waiting(call) || call.claimed {
            return Err(Refused::Call(call.status()));
        }
        let campaign = call.campaign.ok_or(Refused::NotFound)?;
        let state = self.campaign_row(campaign)?.campaign.state;
        if state == RunState::Stopped || (dials && state == RunState::Draft) {
            return Err(Refused::Campaign(state));
        }
        Ok(call)
    }

    fn client_of(&self, id: CallId) -> Result<Client, Refused> {
        let client = self.calls.get(&id).and_then(|row| row.call.client);
        let row = client.and_then(|client| self.clients.get(&client));
        Ok(row.ok_or(Refused::NotFound)?.client.clone())
    }

    fn call_changed(
        &mut self,
        by: By<'_>,
        action: &str,
        id: CallId,
        old: Option<serde_json::Value>,
        new: Option<serde_json::Value>,
    ) -> Result<CallView, ActError> {
        if let Some(client) = self.calls.get(&id).and_then(|row| row.call.client) {
            self.follow_up(client, by.now);
        }
        self.write_audit(by, action, id, old, new);
        let view = self.call_view(id).ok_or(Refused::NotFound)?;
        self.leave(by, &Effect::Call(Box::new(view.clone())));
        Ok(view)
    }

    fn wanted(&self, query: &CallQuery, at: DateTime<Utc>, id: CallId) -> bool {
        fn among<T: PartialEq>(wanted: &[T], value: Option<&T>) -> bool {
            wanted.is_empty() || value.is_some_and(|value| wanted.contains(value))
        }
        let call = &self.calls[&id].call;
        let name = || {
            let client = call.client.and_then(|client| self.clients.get(&client));
            client.map(|row| row.client.name.clone()).unwrap_or_default()
        };
        let tagged = || {
            let client = call.client.and_then(|client| self.clients.get(&client));
            client.is_some_and(|row| query.tags.iter().any(|tag| row.client.tags.contains(tag)))
        };
        among(&query.campaigns, call.campaign.as_ref())
            && (query.tags.is_empty() || tagged())
            && query.phone.is_none_or(|phone| call.phone == Some(phone))
            && query.client.is_none_or(|client| call.client == Some(client))
            && among(&query.outcomes, call.outcome().as_ref())
            && among(&query.reviews, Some(&call.review))
            && among(&query.directions, Some(&call.direction))
            && query.from.is_none_or(|from| at >= from)
            && query.to.is_none_or(|to| at < to)
            && query.q.as_ref().is_none_or(|q| matches(q, &name(), call.phone))
    }
}
