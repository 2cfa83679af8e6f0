use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::campaigns::page;
use super::{MemoryStore, State, call_to, is_waiting, matches};
use crate::call::{AgentResult, Call, CallEvent, Intent, Report, Retirement, Review, Skip};
use crate::campaign::RunState;
use crate::client::{Client, MAX_TAGS, Note};
use crate::engine::Facts;
use crate::id::{CallId, ClientId};
use crate::port::{
    ActError, Acted, By, CallAct, CallOrder, CallQuery, CallSort, CallView, Calls, Cursor, Effect,
    NewCall, NewTestCall, Page, Refused, SkipThen, SortKey, StoreError, name_order,
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

    async fn inbound_call(&self, carrier_call_id: &str) -> Result<Option<CallId>, StoreError> {
        Ok(self.lock().inbound.get(carrier_call_id).copied())
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
            is_waiting(call) && !call.is_test() && serves
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
        self.do_one(by, |state| state.call_now(by, id))
    }

    async fn skip(
        &self,
        by: By<'_>,
        id: CallId,
        skip: Skip,
        then: SkipThen,
    ) -> Result<CallView, ActError> {
        self.do_one(by, |state| state.skip(by, id, skip, then))
    }

    async fn reschedule(
        &self,
        by: By<'_>,
        id: CallId,
        due_at: DateTime<Utc>,
    ) -> Result<CallView, ActError> {
        self.do_one(by, |state| state.reschedule(by, id, due_at))
    }

    async fn retry(&self, by: By<'_>, id: CallId, new: NewCall) -> Result<CallView, ActError> {
        self.do_one(by, |state| {
            let call = &state.calls.get(&id).ok_or(Refused::NotFound)?.call;
            if call.ended_at().is_none() {
                return Err(Refused::Call(call.status()));
            }
            let client = state.client_of(id)?.id;
            state.call_again(by, client, Some(id), new)
        })
    }

    async fn add_note(&self, by: By<'_>, id: CallId, text: &str) -> Result<CallView, ActError> {
        self.do_one(by, |state| {
            let row = state.calls.get(&id).ok_or(Refused::NotFound)?;
            let erased = row.call.client.and_then(|client| state.clients.get(&client));
            if erased.is_some_and(|row| row.client.erased.is_some()) {
                return Err(Refused::Erased);
            }
            let note = Note { text: text.to_owned(), by: by.actor.clone(), at: by.now };
            state.notes.entry(id).or_default().push(note);
            // The words stand where notes are kept, from where they can be erased.
            let new = json!({"characters": text.chars().count()});
            Ok(Change { action: "call.note", id, old: None, new: Some(new) })
        })
    }

    async fn review(
        &self,
        by: By<'_>,
        id: CallId,
        review: Review,
        disposition: Option<Option<String>>,
    ) -> Result<CallView, ActError> {
        self.do_one(by, |state| state.review(id, review, disposition))
    }

    async fn change_calls(
        &self,
        by: By<'_>,
        acts: &[(CallId, Result<CallAct, Refused>)],
    ) -> Result<Vec<Acted>, ActError> {
        let mut state = self.lock();
        state.enter(by)?;
        let mut done = Vec::new();
        for (id, act) in acts {
            let change = match act.clone() {
                Err(refused) => Err(refused),
                Ok(CallAct::Skip(skip)) => state.skip(by, *id, skip, SkipThen::End),
                Ok(CallAct::Reschedule(due_at)) => state.reschedule(by, *id, due_at),
                Ok(CallAct::Review(review)) => state.review(*id, review, None),
                Ok(CallAct::Tag(tags)) => state.tag(*id, tags),
            };
            done.push((*id, change.map(|change| state.changed(by, change))));
        }
        // Views at the end: one act may be about the client of another.
        let acted = done.into_iter().map(|(call, done)| {
            let done = done.and_then(|()| state.call_view(call).ok_or(Refused::NotFound));
            Acted { call, done: done.map(Box::new) }
        });
        let acted: Vec<Acted> = acted.collect();
        state.leave(by, &Effect::Calls(acted.clone()));
        Ok(acted)
    }

    async fn test_call(&self, by: By<'_>, new: NewTestCall) -> Result<CallView, ActError> {
        self.do_one(by, |state| {
            let run_state = state.campaign_row(new.campaign)?.campaign.state;
            if !Intent::Test.dials_while(run_state) {
                return Err(Refused::Campaign(run_state));
            }
            let of_campaign = |id| {
                let row = state.clients.get(&id);
                row.is_some_and(|row| row.client.campaign == new.campaign)
            };
            if new.sample.is_some_and(|sample| !of_campaign(sample)) {
                return Err(Refused::NotFound);
            }
            if state.on_dnc(new.phone, new.campaign).is_some() {
                return Err(Refused::OnDnc);
            }
            state.not_stopped()?;
            let number = (new.campaign, new.phone);
            state.schedule(Call::test(new.id, number, new.sample, by.actor.clone(), by.now));
            let body = json!({"campaign": new.campaign, "client": new.sample});
            Ok(Change { action: "call.test", id: new.id, old: None, new: Some(body) })
        })
    }

    async fn report_result(
        &self,
        by: By<'_>,
        id: CallId,
        result: &AgentResult,
    ) -> Result<CallView, ActError> {
        let mut state = self.lock();
        state.enter(by)?;
        let call = &state.calls.get(&id).ok_or(Refused::NotFound)?.call;
        if is_waiting(call) || call.retired.is_some() {
            return Err(Refused::Call(call.status()).into());
        }
        for event in result.events(call.began()) {
            state.record(by.now, &Report::ours(id, event.at, event.kind));
        }
        let view = state.call_view(id).ok_or(Refused::NotFound)?;
        state.leave(by, &Effect::Result(Box::new(view.clone())));
        Ok(view)
    }
}

/// What was done to a call, for its audit row.
pub(super) struct Change {
    pub(super) action: &'static str,
    pub(super) id: CallId,
    pub(super) old: Option<Value>,
    pub(super) new: Option<Value>,
}

impl MemoryStore {
    pub(super) fn do_one(
        &self,
        by: By<'_>,
        act: impl FnOnce(&mut State) -> Result<Change, Refused>,
    ) -> Result<CallView, ActError> {
        let mut state = self.lock();
        state.enter(by)?;
        let change = act(&mut state)?;
        let id = change.id;
        state.changed(by, change);
        let view = state.call_view(id).ok_or(Refused::NotFound)?;
        state.leave(by, &Effect::Call(Box::new(view.clone())));
        Ok(view)
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
        // A test call is nobody's: moved by a wish, it would be a client's call without a client.
        let client = call.client.ok_or(Refused::NoClient)?;
        let campaign = call.campaign.ok_or(Refused::NotFound)?;
        let campaign = &self.campaign_row(campaign)?.campaign;
        let state = campaign.state;
        if state == RunState::Stopped || (dials && state == RunState::Draft) {
            return Err(Refused::Campaign(state));
        }
        let consents = self.clients.get(&client).is_some_and(|row| row.client.consent.is_some());
        if dials && campaign.settings.consent_required && !consents {
            return Err(Refused::NoConsent);
        }
        Ok(call)
    }

    fn client_of(&self, id: CallId) -> Result<Client, Refused> {
        let client = self.calls.get(&id).and_then(|row| row.call.client);
        let row = client.and_then(|client| self.clients.get(&client));
        Ok(row.ok_or(Refused::NoClient)?.client.clone())
    }

    pub(super) fn call_now(&mut self, by: By<'_>, id: CallId) -> Result<Change, Refused> {
        let old = self.waiting(id, true)?.due_at;
        self.not_stopped()?;
        self.move_call(by, id, Intent::Person, by.now);
        let old = Some(json!({"due_at": old}));
        Ok(Change { action: "call.call_now", id, old, new: None })
    }

    fn skip(
        &mut self,
        by: By<'_>,
        id: CallId,
        skip: Skip,
        then: SkipThen,
    ) -> Result<Change, Refused> {
        let attempt = self.waiting(id, false)?.attempt;
        let client = self.client_of(id)?;
        let new = json!({"reason": skip.reason, "note": skip.note});
        self.retire(id, by.now, by.actor, Retirement::Skipped(skip));
        if let SkipThen::Next(next) = then {
            self.schedule(Call {
                retry_of: Some(id),
                intent: Intent::Rescheduled,
                by: by.actor.clone(),
                ..call_to(&client, next.id, attempt, next.due_at)
            });
        }
        Ok(Change { action: "call.skip", id, old: None, new: Some(new) })
    }

    fn reschedule(
        &mut self,
        by: By<'_>,
        id: CallId,
        due_at: DateTime<Utc>,
    ) -> Result<Change, Refused> {
        let old = json!({"due_at": self.waiting(id, false)?.due_at});
        self.move_call(by, id, Intent::Rescheduled, due_at);
        let new = json!({"due_at": due_at});
        Ok(Change { action: "call.reschedule", id, old: Some(old), new: Some(new) })
    }

    fn move_call(&mut self, by: By<'_>, id: CallId, intent: Intent, due_at: DateTime<Utc>) {
        self.dequeue(id);
        self.change(id, |row| {
            row.call.intent = intent;
            row.call.by = by.actor.clone();
            row.call.due_at = due_at;
        });
        self.enqueue(id);
    }

    /// Schedules a call to a client that has none to come.
    pub(super) fn call_again(
        &mut self,
        by: By<'_>,
        id: ClientId,
        retry_of: Option<CallId>,
        new: NewCall,
    ) -> Result<Change, Refused> {
        let row = self.clients.get(&id).ok_or(Refused::NotFound)?;
        let client = row.client.clone();
        let campaign = &self.campaign_row(client.campaign)?.campaign;
        if client.erased.is_some() {
            return Err(Refused::Erased);
        }
        if matches!(campaign.state, RunState::Draft | RunState::Stopped) {
            return Err(Refused::Campaign(campaign.state));
        }
        if self.covers(&client) {
            return Err(Refused::OnDnc);
        }
        if !client.active {
            return Err(Refused::Inactive);
        }
        if campaign.settings.consent_required && client.consent.is_none() {
            return Err(Refused::NoConsent);
        }
        if let Some(open) = self.open_call(id) {
            return Err(Refused::AlreadyScheduled(open));
        }
        if new.due_at <= by.now {
            self.not_stopped()?;
        }
        self.schedule(Call {
            retry_of,
            intent: Intent::Person,
            by: by.actor.clone(),
            ..call_to(&client, new.id, client.standing.attempts + 1, new.due_at)
        });
        let body = json!({"retry_of": retry_of, "due_at": new.due_at});
        Ok(Change { action: "call.retry", id: new.id, old: None, new: Some(body) })
    }

    /// A client's call that is to come or live.
    pub(super) fn open_call(&self, client: ClientId) -> Option<CallId> {
        let open = |id: &&CallId| {
            let call = &self.calls[*id].call;
            is_waiting(call) || (call.begun_at.is_some() && call.is_live())
        };
        self.clients.get(&client)?.calls.iter().find(open).copied()
    }

    fn review(
        &mut self,
        id: CallId,
        review: Review,
        disposition: Option<Option<String>>,
    ) -> Result<Change, Refused> {
        let call = &self.calls.get(&id).ok_or(Refused::NotFound)?.call;
        if call.ended_at().is_none() {
            return Err(Refused::Call(call.status()));
        }
        let old = json!({"status": call.review, "disposition": call.disposition});
        self.change(id, |row| {
            row.call.review = review;
            if let Some(disposition) = disposition {
                row.call.disposition = disposition;
            }
        });
        let call = &self.calls[&id].call;
        let new = json!({"status": call.review, "disposition": call.disposition});
        Ok(Change { action: "call.review", id, old: Some(old), new: Some(new) })
    }

    fn tag(&mut self, id: CallId, tags: BTreeSet<String>) -> Result<Change, Refused> {
        let call = &self.calls.get(&id).ok_or(Refused::NotFound)?.call;
        let client = call.client.ok_or(Refused::NoClient)?;
        let client = &mut self.clients.get_mut(&client).ok_or(Refused::NoClient)?.client;
        if client.erased.is_some() {
            return Err(Refused::Erased);
        }
        let old = client.tags.clone();
        let new: BTreeSet<String> = old.union(&tags).cloned().collect();
        if new.len() > MAX_TAGS {
            return Err(Refused::TooManyTags);
        }
        client.tags = new.clone();
        let (old, new) = (json!({"tags": old}), json!({"tags": new}));
        Ok(Change { action: "call.tag", id, old: Some(old), new: Some(new) })
    }

    /// What follows a change of a call: its client's standing, and the audit row.
    fn changed(&mut self, by: By<'_>, change: Change) {
        if let Some(client) = self.calls.get(&change.id).and_then(|row| row.call.client) {
            self.follow_up(client, by.now);
        }
        self.write_audit(by, change.action, change.id, change.old, change.new);
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
