//! What people do to calls, in a unit of work.

use std::collections::BTreeSet;

use callcore::call::{Intent, Retirement, Review, Skip};
use callcore::campaign::RunState;
use callcore::client::MAX_TAGS;
use callcore::engine::{CallBrief, Stage};
use callcore::id::{CallId, ClientId};
use callcore::port::{By, NewCall, Refused, SkipThen};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::account::account_view;
use super::fail::Fail;
use super::row::{Table, micros};
use super::work::{Next, Work};

/// What was done to a call, for its audit row.
pub(super) struct Change {
    pub(super) action: &'static str,
    pub(super) id: CallId,
    pub(super) old: Option<Value>,
    pub(super) new: Option<Value>,
}

impl Work<'_> {
    /// Gives a scheduled call another due time, by a person's wish.
    pub(super) async fn move_call(
        &mut self,
        by: By<'_>,
        id: CallId,
        intent: Intent,
        due_at: DateTime<Utc>,
    ) -> Result<Change, Fail> {
        let dials = intent == Intent::Person;
        self.waiting(id, dials).await?;
        if dials {
            self.not_stopped().await?;
        }
        let old = self.calls.get(&id).map(|row| json!({"due_at": row.call.due_at}));
        self.change(id, |row| {
            row.call.intent = intent;
            row.call.by = by.actor.clone();
            row.call.due_at = due_at;
            row.changed = true;
        });
        let (action, new) = if dials {
            ("call.call_now", None)
        } else {
            ("call.reschedule", Some(json!({"due_at": due_at})))
        };
        Ok(Change { action, id, old, new })
    }

    pub(super) async fn skip(
        &mut self,
        by: By<'_>,
        id: CallId,
        skip: Skip,
        then: SkipThen,
    ) -> Result<Change, Fail> {
        let (client, attempt) = self.waiting(id, false).await?;
        let new = json!({"reason": skip.reason, "note": skip.note});
        self.retire(id, by.now, by.actor, Retirement::Skipped(skip));
        if let SkipThen::Next(next) = then {
            let next = Next { id: next.id, attempt, retry_of: Some(id), due_at: next.due_at };
            self.schedule(client, next, Intent::Rescheduled, by.actor.clone());
        }
        Ok(Change { action: "call.skip", id, old: None, new: Some(new) })
    }

    pub(super) async fn retry(
        &mut self,
        by: By<'_>,
        id: CallId,
        new: NewCall,
    ) -> Result<Change, Fail> {
        self.load_calls([id]).await?;
        let call = &self.calls.get(&id).ok_or(Refused::NotFound)?.call;
        if call.ended_at().is_none() {
            return Err(Refused::Call(call.status()).into());
        }
        let client = call.client.ok_or(Refused::NoClient)?;
        self.call_again(by, client, Some(id), new).await
    }

    /// Schedules a call to a client that has none to come.
    pub(super) async fn call_again(
        &mut self,
        by: By<'_>,
        id: ClientId,
        retry_of: Option<CallId>,
        new: NewCall,
    ) -> Result<Change, Fail> {
        self.load_clients([id]).await?;
        let client = self.clients.get(&id).ok_or(Refused::NotFound)?;
        let campaign = self.campaign(client.campaign)?;
        if client.erased.is_some() {
            return Err(Refused::Erased.into());
        }
        if matches!(campaign.state, RunState::Draft | RunState::Stopped) {
            return Err(Refused::Campaign(campaign.state).into());
        }
        if self.covers(client) {
            return Err(Refused::OnDnc.into());
        }
        if !client.active {
            return Err(Refused::Inactive.into());
        }
        if campaign.settings.consent_required && !client.consent {
            return Err(Refused::NoConsent.into());
        }
        if let Some(open) = self.open_call(id) {
            return Err(Refused::AlreadyScheduled(open).into());
        }
        let attempt = client.standing.attempts + 1;
        if new.due_at <= by.now {
            self.not_stopped().await?;
        }
        let next = Next { id: new.id, attempt, retry_of, due_at: new.due_at };
        self.schedule(id, next, Intent::Person, by.actor.clone());
        let body = json!({"retry_of": retry_of, "due_at": new.due_at});
        Ok(Change { action: "call.retry", id: new.id, old: None, new: Some(body) })
    }

    /// Nobody is told that a call is dialled at once while all dialling is stopped.
    pub(super) async fn not_stopped(&mut self) -> Result<(), Fail> {
        match account_view(self.conn()).await?.stopped {
            Some(_) => Err(Refused::DiallingStopped.into()),
            None => Ok(()),
        }
    }

    /// A client's call that is to come or live.
    pub(super) fn open_call(&self, client: ClientId) -> Option<CallId> {
        let open =
            |brief: &&CallBrief| matches!(brief.stage, Stage::Scheduled { .. } | Stage::Live);
        self.clients.get(&client)?.calls.values().find(open).map(|brief| brief.id)
    }

    pub(super) async fn add_note(
        &mut self,
        by: By<'_>,
        id: CallId,
        text: &str,
    ) -> Result<Change, Fail> {
        self.load_calls([id]).await?;
        let client = self.calls.get(&id).ok_or(Refused::NotFound)?.call.client;
        self.load_clients(client).await?;
        let client = client.and_then(|client| self.clients.get(&client));
        if client.is_some_and(|row| row.erased.is_some()) {
            return Err(Refused::Erased.into());
        }
        sqlx::query("insert into notes (call, text, by, at) values (?1, ?2, ?3, ?4)")
            .bind(id.uuid())
            .bind(text)
            .bind(by.actor.to_string())
            .bind(micros(by.now))
            .execute(self.conn())
            .await?;
        // The words stand where notes are kept, from where they can be erased.
        let new = json!({"characters": text.chars().count()});
        Ok(Change { action: "call.note", id, old: None, new: Some(new) })
    }

    pub(super) async fn review(
        &mut self,
        id: CallId,
        review: Review,
        disposition: Option<Option<String>>,
    ) -> Result<Change, Fail> {
        self.load_calls([id]).await?;
        let call = &self.calls.get(&id).ok_or(Refused::NotFound)?.call;
        if Table::of(call) != Table::History {
            return Err(Refused::Call(call.status()).into());
        }
        self.load_clients(call.client).await?;
        let (mut old, mut new) = (None, None);
        self.change(id, |row| {
            let call = &mut row.call;
            old = Some(json!({"status": call.review, "disposition": call.disposition}));
            call.review = review;
            if let Some(disposition) = disposition {
                call.disposition = disposition;
            }
            new = Some(json!({"status": call.review, "disposition": call.disposition}));
            row.changed = true;
        });
        Ok(Change { action: "call.review", id, old, new })
    }

    pub(super) async fn tag(&mut self, id: CallId, tags: BTreeSet<String>) -> Result<Change, Fail> {
        self.load_calls([id]).await?;
        let call = &self.calls.get(&id).ok_or(Refused::NotFound)?.call;
        let client = call.client.ok_or(Refused::NoClient)?;
        self.load_clients([client]).await?;
        let client = self.clients.get_mut(&client).ok_or(Refused::NoClient)?;
        if client.erased.is_some() {
            return Err(Refused::Erased.into());
        }
        let old = client.tags.clone();
        let new: BTreeSet<String> = old.union(&tags).cloned().collect();
        if new.len() > MAX_TAGS {
            return Err(Refused::TooManyTags.into());
        }
        client.tags = new.clone();
        client.changed = true;
        let (old, new) = (json!({"tags": old}), json!({"tags": new}));
        Ok(Change { action: "call.tag", id, old: Some(old), new: Some(new) })
    }

    /// What follows a change of a call: its client's standing, and the audit row.
    pub(super) async fn changed(&mut self, by: By<'_>, change: Change) -> Result<(), Fail> {
        let Change { action, id, old, new } = change;
        if let Some(client) = self.calls.get(&id).and_then(|row| row.call.client) {
            self.follow_up(client, by.now);
        }
        self.audit(by, action, id.to_string(), old, new).await
    }

    /// Loads a scheduled call that a person may still change; its client and its attempt.
    pub(super) async fn waiting(
        &mut self,
        id: CallId,
        dials: bool,
    ) -> Result<(ClientId, u32), Fail> {
        self.load_calls([id]).await?;
        let call = &self.calls.get(&id).ok_or(Refused::NotFound)?.call;
        if Table::of(call) != Table::Due || call.claimed {
            return Err(Refused::Call(call.status()).into());
        }
        let attempt = call.attempt;
        let client = call.client.ok_or(Refused::NoClient)?;
        let campaign = call.campaign.ok_or(Refused::NotFound)?;
        self.load_clients([client]).await?;
        let campaign = self.campaign(campaign)?;
        let state = campaign.state;
        if state == RunState::Stopped || (dials && state == RunState::Draft) {
            return Err(Refused::Campaign(state).into());
        }
        let consents = self.clients.get(&client).is_some_and(|row| row.consent);
        if dials && campaign.settings.consent_required && !consents {
            return Err(Refused::NoConsent.into());
        }
        Ok((client, attempt))
    }
}
