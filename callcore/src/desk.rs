//! What people do: import, call now, skip, reschedule, re-call, put on the DNC list.
//!
//! The desk joins a store and a carrier where an act needs both, or needs a rule asked first; what
//! a store does alone, people reach through the store.

mod import;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;

pub use import::ImportCsvError;

use crate::call::{Review, Skip};
use crate::campaign::Settings;
use crate::dnc::{DncEntry, DncReport};
use crate::id::{CallId, CampaignId, ClientId, ImportId};
use crate::phone::PhoneNumber;
use crate::port::{
    ActError, Acted, By, CallAct, CallView, DncAdded, Erased, NewCall, NewTestCall, Refused,
    SkipThen, StoppedAll, Store, Telephony,
};
use crate::rules::hours::{HORIZON, Layer, Layers, NextAllowed};
use crate::rules::retry::RetryStep;
use crate::time::Entropy;

/// A person's side of callcore.
#[derive(Clone)]
pub struct Desk {
    store: Arc<dyn Store>,
    carrier: Arc<dyn Telephony>,
    entropy: Arc<dyn Entropy>,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

/// How many calls the carrier is asked to hang up at the same time.
const HANG_UPS_AT_ONCE: usize = 20;

/// What is asked to follow a skipped call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterSkip {
    /// Nothing: the client is done.
    End,
    /// The client's next attempt, later the same day or when the hours next allow it.
    NextAttempt,
}

/// What is done to each of many calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ManyActs {
    /// Take it out of the queue.
    Skip(Skip),
    /// Move it, if its own hours allow the instant.
    Reschedule(NewTime),
    /// Say what a person made of it.
    Review(Review),
    /// Add tags to its client.
    Tag(BTreeSet<String>),
}

/// When many calls are due from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewTime {
    /// All of them at this instant.
    At(DateTime<Utc>),
    /// Each so much later than it was, or earlier, but not before now.
    Later(TimeDelta),
}

impl Desk {
    /// A desk over a store and a carrier.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        carrier: Arc<dyn Telephony>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self { store, carrier, entropy }
    }

    /// Takes a scheduled call out of the queue, with what is to follow.
    ///
    /// # Errors
    ///
    /// There is no such call, its state does not allow it, or the next attempt was asked for and
    /// the hours never open again.
    pub async fn skip(
        &self,
        by: By<'_>,
        id: CallId,
        skip: Skip,
        after: AfterSkip,
    ) -> Result<CallView, ActError> {
        let then = match after {
            AfterSkip::End => SkipThen::End,
            AfterSkip::NextAttempt => {
                let (settings, zones) = self.hours_of(id).await?;
                let layers = [Layer { hours: &settings.hours, zones: &zones }];
                match RetryStep::LaterSameDay.earliest(by.now, Layers(&layers)) {
                    NextAllowed::At(due_at) => SkipThen::Next(self.new_call(by.now, due_at)),
                    NextAllowed::Never => {
                        return Err(Refused::OutsideHours { next_allowed: None }.into());
                    }
                }
            }
        };
        self.store.skip(by, id, skip, then).await
    }

    /// Moves a scheduled call to an instant the calling hours allow.
    ///
    /// # Errors
    ///
    /// There is no such call, its state does not allow it, or the hours don't allow the instant:
    /// then the error has the next one they allow.
    pub async fn reschedule(
        &self,
        by: By<'_>,
        id: CallId,
        due_at: DateTime<Utc>,
    ) -> Result<CallView, ActError> {
        self.may_move(by.now, id, due_at).await?;
        self.store.reschedule(by, id, due_at).await
    }

    /// Instants that the hours of all these scheduled calls allow, for a person to choose from;
    /// [`reschedule`](Self::reschedule) takes each of them, as long as nothing changes.
    ///
    /// # Errors
    ///
    /// One of them is no call, or not scheduled any more.
    pub async fn allowed_times(
        &self,
        now: DateTime<Utc>,
        ids: &[CallId],
    ) -> Result<Vec<DateTime<Utc>>, ActError> {
        let mut hours: Vec<(Arc<Settings>, Vec<crate::time::Zone>)> = Vec::new();
        for id in ids {
            let its = self.hours_of(*id).await?;
            // Calls of one campaign mostly live by few clocks.
            if !hours.contains(&its) {
                hours.push(its);
            }
        }
        let layers: Vec<Layer<'_>> =
            hours.iter().map(|(its, zones)| Layer { hours: &its.hours, zones }).collect();
        Ok(choice(Layers(&layers), now))
    }

    /// The same for a client that may have no call to come.
    ///
    /// # Errors
    ///
    /// There is no such client, or it was erased.
    pub async fn allowed_times_of(
        &self,
        now: DateTime<Utc>,
        client: ClientId,
    ) -> Result<Vec<DateTime<Utc>>, ActError> {
        let facts = self.store.client_facts(client).await?.ok_or(Refused::NotFound)?;
        let zones = facts.settings.zones_of(&facts.zones);
        let layer = Layer { hours: &facts.settings.hours, zones: &zones };
        Ok(choice(Layers(&[layer]), now))
    }

    async fn may_move(
        &self,
        now: DateTime<Utc>,
        id: CallId,
        due_at: DateTime<Utc>,
    ) -> Result<(), ActError> {
        not_too_far(now, due_at)?;
        let (settings, zones) = self.hours_of(id).await?;
        match settings.hours.next_allowed(due_at, &zones) {
            NextAllowed::At(at) if at == due_at => Ok(()),
            NextAllowed::At(at) => Err(Refused::OutsideHours { next_allowed: Some(at) }.into()),
            NextAllowed::Never => Err(Refused::OutsideHours { next_allowed: None }.into()),
        }
    }

    /// Schedules a new call to an ended call's client, now or at a given instant.
    ///
    /// # Errors
    ///
    /// See [`Calls::retry`](crate::port::Calls::retry).
    pub async fn retry(
        &self,
        by: By<'_>,
        id: CallId,
        due_at: Option<DateTime<Utc>>,
    ) -> Result<CallView, ActError> {
        let due_at = due_at.unwrap_or(by.now);
        not_too_far(by.now, due_at)?;
        let new = self.new_call(by.now, due_at);
        self.store.retry(by, id, new).await
    }

    /// Schedules a call to a person's own number, due at once, that plays a campaign's script.
    ///
    /// # Errors
    ///
    /// See [`Calls::test_call`](crate::port::Calls::test_call).
    pub async fn test_call(
        &self,
        by: By<'_>,
        campaign: CampaignId,
        phone: PhoneNumber,
        sample: Option<ClientId>,
    ) -> Result<CallView, ActError> {
        let id = CallId::new(by.now, &*self.entropy);
        self.store.test_call(by, NewTestCall { id, campaign, phone, sample }).await
    }

    /// Does something to each of many calls; what one of them does not allow is in its own answer.
    ///
    /// # Errors
    ///
    /// The store failed, or the idempotency key is taken.
    pub async fn change_calls(
        &self,
        by: By<'_>,
        ids: &[CallId],
        act: &ManyActs,
    ) -> Result<Vec<Acted>, ActError> {
        let mut acts = Vec::with_capacity(ids.len());
        for id in ids {
            let act = match act {
                ManyActs::Skip(skip) => Ok(CallAct::Skip(skip.clone())),
                ManyActs::Review(review) => Ok(CallAct::Review(*review)),
                ManyActs::Tag(tags) => Ok(CallAct::Tag(tags.clone())),
                ManyActs::Reschedule(to) => match self.moved(by.now, *id, *to).await {
                    Ok(due_at) => Ok(CallAct::Reschedule(due_at)),
                    Err(ActError::Refused(refused)) => Err(refused),
                    Err(error) => return Err(error),
                },
            };
            acts.push((*id, act));
        }
        self.store.change_calls(by, &acts).await
    }

    /// Where one of many calls moves, if its own hours allow it.
    async fn moved(
        &self,
        now: DateTime<Utc>,
        id: CallId,
        to: NewTime,
    ) -> Result<DateTime<Utc>, ActError> {
        let due_at = match to {
            NewTime::At(due_at) => due_at,
            NewTime::Later(by) => {
                let view = self.store.call(id).await?.ok_or(Refused::NotFound)?;
                let due_at = view.call.due_at.checked_add_signed(by).ok_or(Refused::TooFar)?;
                due_at.max(now)
            }
        };
        self.may_move(now, id, due_at).await?;
        Ok(due_at)
    }

    /// Puts a number on the DNC list and hangs up the calls to it that have begun. The entry holds
    /// even if the carrier can't be asked to hang up.
    ///
    /// # Errors
    ///
    /// The scope's campaign does not exist, or the store failed.
    pub async fn add_dnc(&self, by: By<'_>, entry: DncEntry) -> Result<DncAdded, ActError> {
        let added = self.store.add_dnc(by, entry).await?;
        self.hang_up_all(&added.in_flight).await;
        Ok(added)
    }

    /// Puts a batch of an import's numbers on the DNC list, hangs up the calls to them that have
    /// begun, and counts all of it in the report.
    ///
    /// # Errors
    ///
    /// The import is not running, or the store failed: nothing of the batch was added or counted.
    pub async fn add_numbers(
        &self,
        by: By<'_>,
        import: ImportId,
        numbers: &[(PhoneNumber, String)],
        report: &mut DncReport,
    ) -> Result<(), ActError> {
        let batch = self.store.add_dnc_batch(by, import, numbers).await?;
        for is_new in batch.added {
            report.count_number(is_new);
        }
        report.count_calls(batch.canceled.len(), &batch.in_flight);
        self.hang_up_all(&batch.in_flight).await;
        Ok(())
    }

    /// Erases the person behind a client everywhere, and hangs up the calls to it that have begun.
    /// The carrier deletes its recordings when [`Driver::sweep`](crate::driver::Driver::sweep) asks
    /// it to, until it confirms.
    ///
    /// # Errors
    ///
    /// There is no such client, or the store failed.
    pub async fn erase(
        &self,
        by: By<'_>,
        client: ClientId,
        reason: &str,
    ) -> Result<Erased, ActError> {
        let erased = self.store.erase(by, client, reason).await?;
        self.hang_up_all(&erased.in_flight).await;
        Ok(erased)
    }

    /// Stops all dialling, and hangs up the calls that have begun if that is asked for. The stop
    /// holds even if the carrier can't be asked to hang up.
    ///
    /// # Errors
    ///
    /// The store failed, or the idempotency key is taken.
    pub async fn stop_all(
        &self,
        by: By<'_>,
        reason: Option<String>,
        hang_up: bool,
    ) -> Result<StoppedAll, ActError> {
        let stopped = self.store.stop_all(by, reason, hang_up).await?;
        if hang_up {
            self.hang_up_all(&stopped.in_flight).await;
        }
        Ok(stopped)
    }

    async fn hang_up_all(&self, calls: &[CallId]) {
        for some in calls.chunks(HANG_UPS_AT_ONCE) {
            join_all(some.iter().map(|call| self.hang_up(*call))).await;
        }
    }

    /// At once, and best effort: the store knows of each, and the driver asks again until it is over.
    async fn hang_up(&self, call: CallId) {
        let view = self.store.call(call).await.ok().flatten();
        let carrier_call_id = view.and_then(|view| view.call.progress.carrier_call_id);
        drop(self.carrier.hang_up(call, carrier_call_id.as_deref()).await);
    }

    /// Has a client called at once, by a person's wish.
    ///
    /// # Errors
    ///
    /// See [`Clients::call_client`](crate::port::Clients::call_client).
    pub async fn call_client(&self, by: By<'_>, id: ClientId) -> Result<CallView, ActError> {
        self.store.call_client(by, id, self.new_call(by.now, by.now)).await
    }

    async fn hours_of(
        &self,
        id: CallId,
    ) -> Result<(Arc<Settings>, Vec<crate::time::Zone>), ActError> {
        let Some(facts) = self.store.facts(id).await? else {
            let view = self.store.call(id).await?.ok_or(Refused::NotFound)?;
            return Err(Refused::Call(view.call.status()).into());
        };
        let zones = facts.settings.zones_of(&facts.zones);
        Ok((facts.settings, zones))
    }

    fn new_call(&self, now: DateTime<Utc>, due_at: DateTime<Utc>) -> NewCall {
        NewCall { id: CallId::new(now, &*self.entropy), due_at }
    }
}

/// A week of half-hours, or of hours where that would be too many to look through.
fn choice(layers: Layers<'_>, now: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    const MOST: usize = 200;
    let of = |minutes| layers.times(now, TimeDelta::minutes(minutes), TimeDelta::days(7), MOST);
    let half_hours = of(30);
    if half_hours.len() < MOST { half_hours } else { of(60) }
}

/// A call in the far future would keep its client from ever being done.
fn not_too_far(now: DateTime<Utc>, due_at: DateTime<Utc>) -> Result<(), Refused> {
    if due_at - now > HORIZON { Err(Refused::TooFar) } else { Ok(()) }
}
