//! The driver: claim, decide, begin, place, record. It asks ports and does nothing else that waits.
//!
//! [`Driver::tick`] never sleeps and never spawns: the embedder's loop does (feature `tokio` has
//! one). It may die at any await and loses nothing: a claim runs out, an intent without news is
//! looked up by [`Driver::sweep`].

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;

use crate::actor::Actor;
use crate::call::{CallEvent, EventKind, Intent, Report};
use crate::engine::{
    BeginRefusal, Command, Defer, Lease, Permit, Rule, Settlement, Ticket, UNKNOWN_LIMIT, Verdict,
    decide,
};
use crate::id::{CallId, CampaignId};
use crate::opt_outs::PendingOptOuts;
use crate::port::{
    By, ClaimRequest, Fault, Found, OpenCall, Placement, Retained, Store, StoreError, TakeBack,
    Telephony,
};
use crate::seal::Sealer;
use crate::time::Clock;

/// How far a dispatcher's clock may be off the store's before it dispatches nothing.
const MAX_SKEW: TimeDelta = TimeDelta::seconds(2);

/// After so many unclear answers in a row nothing is placed until the carrier answers a read-only
/// request: an outage must not burn the list.
const MAX_DOUBT: u32 = 3;

/// How many clients and calls lose their words in one transaction.
const RETAINED_AT_ONCE: u32 = 200;

/// When a call is due again whose number's opt-out waits to be stored: by then it is, or the store
/// is away and nothing is claimed.
const BLOCKED: TimeDelta = TimeDelta::minutes(1);

/// How long a claim holds, on the wall clock.
const LEASE: TimeDelta = TimeDelta::seconds(30);

/// Turns due calls into dials.
pub struct Driver {
    store: Arc<dyn Store>,
    carrier: Arc<dyn Telephony>,
    clock: Arc<dyn Clock>,
    wall: Arc<dyn Clock>,
    batch: u32,
    doubt: AtomicU32,
    sealer: Option<Sealer>,
    opt_outs: PendingOptOuts,
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("batch", &self.batch).finish_non_exhaustive()
    }
}

/// What a tick did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tick {
    /// Calls claimed.
    pub claimed: u32,
    /// Calls the carrier was asked to dial.
    pub placed: u32,
    /// Claims that ended without a dial.
    pub settled: u32,
    /// When the next tick has work, on the campaign clock; none if nothing is scheduled.
    pub next_due_at: Option<DateTime<Utc>>,
    /// Why nothing was dispatched at all.
    pub halted: Option<Halt>,
}

/// Why a dispatcher dispatches nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halt {
    /// Its wall clock is off the store's by more than two seconds.
    ClockSkew,
    /// The carrier gave unclear answers and does not answer now.
    CarrierAway,
}

impl Driver {
    /// A driver. `clock` is the campaign clock, `wall` the one for leases and tickets; outside of
    /// simulations they are the same.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        carrier: Arc<dyn Telephony>,
        clock: Arc<dyn Clock>,
        wall: Arc<dyn Clock>,
    ) -> Self {
        Self {
            store,
            carrier,
            clock,
            wall,
            batch: 50,
            doubt: AtomicU32::new(0),
            sealer: None,
            opt_outs: PendingOptOuts::default(),
        }
    }

    /// How many calls a tick claims at most. More are more efficient; fewer are placed sooner.
    #[must_use]
    pub const fn with_batch(mut self, batch: u32) -> Self {
        self.batch = batch;
        self
    }

    /// With which tickets get the tokens of voice agents and of audio; without it they have none.
    #[must_use]
    pub fn with_sealer(mut self, sealer: Sealer) -> Self {
        self.sealer = Some(sealer);
        self
    }

    /// The opt-outs that the webhooks hold while the store is away: their numbers are not dialled,
    /// and sweeps store them.
    #[must_use]
    pub fn with_opt_outs(mut self, opt_outs: PendingOptOuts) -> Self {
        self.opt_outs = opt_outs;
        self
    }

    /// Claims due calls, decides about each, and dials those that every rule lets pass. Calls that
    /// are to be hung up and are not over are asked for again.
    ///
    /// # Errors
    ///
    /// The store failed. What the carrier does is no error of a tick: it is recorded with its call.
    pub async fn tick(&self) -> Result<Tick, StoreError> {
        if let Some(halt) = self.halted().await? {
            self.hang_up().await?;
            return Ok(Tick { halted: Some(halt), ..Tick::default() });
        }
        let now = self.clock.now();
        let facts = self
            .store
            .claim_due(ClaimRequest {
                now,
                wall: self.wall.now(),
                lease_for: LEASE,
                limit: self.batch,
            })
            .await?;
        let claimed = count(facts.len());
        let (mut permits, mut settlements) = (Vec::new(), Vec::new());
        for facts in facts {
            match decide(facts, now) {
                Command::Dial(permit) => permits.push(*permit),
                Command::Settle(settlement) => settlements.push(settlement),
            }
        }
        let tickets = self.begin(permits, &mut settlements).await?;
        // Dials first, whatever becomes of the rest: a ticket lasts for seconds, and an intent whose
        // ticket is lost is a call that nobody hears of for a day.
        let placed = self.place(tickets).await;
        if !settlements.is_empty() {
            self.store.settle(By::new(&Actor::System, now), &settlements).await?;
        }
        // Also what was placed just now for somebody who was put on a list meanwhile.
        self.hang_up().await?;
        Ok(Tick {
            claimed,
            placed: placed?,
            settled: count(settlements.len()),
            next_due_at: self.store.next_due(self.clock.now()).await?,
            halted: None,
        })
    }

    /// Stores the opt-outs that wait. Asks the carrier about calls whose fate is unclear, and gives up those that stayed unknown
    /// for a day; and to delete the recordings of people who were erased. What an import that was taken
    /// back has left goes, too: nobody of it may be called. Returns how many calls it asked about.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub async fn sweep(&self) -> Result<u32, StoreError> {
        let (now, wall) = (self.clock.now(), self.wall.now());
        // What the store can't take yet is held back until it can; nothing else waits for that.
        let kept = self.opt_outs.store(&*self.store, now).await;
        let open = self.store.unsettled(now, wall, self.batch).await?;
        let found = join_all(open.iter().map(|call| self.look_up(call, now))).await;
        let reports: Vec<Report> = found.into_iter().flatten().collect();
        if !reports.is_empty() {
            self.store.record(By::new(&Actor::System, now), &reports).await?;
        }
        self.delete_recordings().await?;
        self.store.finish_undos(By::new(&Actor::System, now)).await?;
        kept.map(|()| count(open.len()))
    }

    /// One round of keeping nothing longer than allowed: forgets what has run out, and takes the
    /// words of some hundred clients and calls that ended before the account's limit, if it has
    /// one. Whoever it is called by goes on while there is more.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub async fn retain(&self) -> Result<Retained, StoreError> {
        let by = By::new(&Actor::System, self.clock.now());
        self.store.prune(by, self.wall.now()).await?;
        match self.store.account().await?.settings.retention_days {
            Some(days) => {
                let before = by.now - TimeDelta::days(days.into());
                self.store.retain(by, before, RETAINED_AT_ONCE).await
            }
            None => Ok(Retained::default()),
        }
    }

    /// Asks the carrier to delete the recordings of people who were erased, until it confirms.
    async fn delete_recordings(&self) -> Result<(), StoreError> {
        let due = self.store.recordings_to_delete(self.wall.now(), self.batch).await?;
        let mut deleted = Vec::new();
        for reference in due {
            if self.carrier.delete_recording(&reference).await.is_ok() {
                deleted.push(reference);
            }
        }
        if deleted.is_empty() { Ok(()) } else { self.store.recordings_deleted(&deleted).await }
    }

    /// Hangs up the calls that are to be and are not over: whoever wanted it may have been told no,
    /// or may have asked before the carrier's id for the call was known.
    async fn hang_up(&self) -> Result<(), StoreError> {
        let wanted = self.store.hang_ups(self.wall.now(), self.batch).await?;
        if wanted.is_empty() {
            return Ok(());
        }
        let found = join_all(wanted.iter().map(|call| self.hang_up_one(call))).await;
        let reports: Vec<Report> = found.into_iter().flatten().collect();
        if !reports.is_empty() {
            self.store.record(By::new(&Actor::System, self.clock.now()), &reports).await?;
        }
        Ok(())
    }

    /// Hangs up one call, which is looked for first if the carrier's id for it is not known; what
    /// was heard of it so. Best effort: the store brings the call again until it is over.
    async fn hang_up_one(&self, call: &OpenCall) -> Vec<Report> {
        let found = match call.carrier_call_id {
            Some(_) => Vec::new(),
            None => self.find(call).await,
        };
        let named = found.iter().find_map(|report| match &report.event.kind {
            EventKind::Placed { carrier_call_id } => Some(&**carrier_call_id),
            _ => None,
        });
        let carrier_call_id = call.carrier_call_id.as_deref().or(named);
        drop(self.carrier.hang_up(call.call, carrier_call_id).await);
        found
    }

    async fn halted(&self) -> Result<Option<Halt>, StoreError> {
        if let Some(time) = self.store.server_time().await?
            && (time - self.wall.now()).abs() > MAX_SKEW
        {
            return Ok(Some(Halt::ClockSkew));
        }
        if self.doubt.load(Ordering::Relaxed) >= MAX_DOUBT {
            if self.carrier.check().await.is_err() {
                return Ok(Some(Halt::CarrierAway));
            }
            self.carrier_reads();
        }
        Ok(None)
    }

    /// Stores intents; what the store does not take goes back to the queue.
    async fn begin(
        &self,
        permits: Vec<Permit>,
        settlements: &mut Vec<Settlement>,
    ) -> Result<Vec<Ticket>, StoreError> {
        if permits.is_empty() {
            return Ok(Vec::new());
        }
        // Tickets age from before the intents are stored: a slow commit must not lengthen them.
        let (now, wall) = (self.clock.now(), self.wall.now());
        let answers = self.store.begin(By::new(&Actor::System, now), wall, &permits).await?;
        let mut tickets = Vec::new();
        for (permit, answer) in permits.into_iter().zip(answers) {
            let until = match answer {
                Ok(()) => {
                    tickets.push(Ticket::issue(permit, wall, self.sealer.as_ref()));
                    continue;
                }
                Err(BeginRefusal::LeaseLost) => continue,
                Err(BeginRefusal::TooFast { until }) => until,
                Err(BeginRefusal::DecideAgain | BeginRefusal::NoCapacity) => now,
            };
            let verdict = Verdict::Defer(Defer { until, why: Rule::Begin });
            settlements.push(Settlement { call: permit.call(), lease: permit.lease(), verdict });
        }
        Ok(tickets)
    }

    async fn place(&self, tickets: Vec<Ticket>) -> Result<u32, StoreError> {
        let mut tickets = tickets.into_iter();
        let mut answers = Vec::new();
        // A carrier in doubt gets one dial at a time: one that answers reads and loses dials would
        // else burn a batch after each read.
        while self.doubt.load(Ordering::Relaxed) > 0
            && let Some(ticket) = tickets.next()
        {
            answers.push(self.place_one(ticket).await);
        }
        answers.extend(join_all(tickets.map(|ticket| self.place_one(ticket))).await);
        let now = self.clock.now();
        let (mut reports, mut back, mut placed) = (Vec::new(), Vec::new(), 0);
        let mut halts: BTreeMap<CampaignId, String> = BTreeMap::new();
        for Placed { call, lease, campaign, intent, answer } in answers {
            if let Answer::Carrier(Placement::Refused { reason, fault }) = &answer
                && let Some(words) = refusal(*fault, reason)
            {
                halts.insert(campaign, words);
                // Nobody's attempt is spent on what is wrong with the account. A person who asked
                // for the call hears of it instead: no campaign's pause would hold it back.
                if intent == Intent::Plan {
                    back.push(TakeBack { call, lease, due_at: None });
                    continue;
                }
            }
            let kind = match answer {
                Answer::NotAsked { due_at } => {
                    back.push(TakeBack { call, lease, due_at });
                    continue;
                }
                Answer::Carrier(Placement::Later { at }) => {
                    back.push(TakeBack { call, lease, due_at: Some(at) });
                    continue;
                }
                Answer::Carrier(Placement::Placed { carrier_call_id }) => {
                    EventKind::Placed { carrier_call_id }
                }
                Answer::Carrier(Placement::Refused { reason, fault }) => EventKind::NotPlaced {
                    reason,
                    permanent: fault == Fault::Number { permanent: true },
                },
                Answer::Carrier(Placement::Unknown) => EventKind::Unclear,
            };
            placed += 1;
            reports.push(Report::ours(call, now, kind));
        }
        let by = By::new(&Actor::System, now);
        // Before what was not dialled goes back: else the campaign would dial it again at once.
        let mut halted = Ok(());
        for (campaign, reason) in &halts {
            halted = halted.and(self.store.halt_campaign(by, *campaign, reason).await);
        }
        let mut recorded = Ok(Vec::new());
        if !reports.is_empty() {
            recorded = self.store.record(by, &reports).await;
        }
        if recorded.is_err() {
            // A refusal is heard only here: lost, it would be a call that nobody knows of for a day.
            // Events are a set, so that saying them again changes nothing.
            recorded = self.store.record(by, &reports).await;
        }
        // What was not dialled goes back also if what was could not be stored.
        if !back.is_empty() {
            self.store.take_back(by, &back).await?;
        }
        halted.and(recorded).map(|_| placed)
    }

    async fn place_one(&self, ticket: Ticket) -> Placed {
        let (call, lease) = (ticket.call(), ticket.lease());
        let (campaign, intent) = (ticket.campaign(), ticket.intent());
        let placed = |answer| Placed { call, lease, campaign, intent, answer };
        let now = self.clock.now();
        let is_good = ticket.is_good(now, self.wall.now());
        if !is_good || self.doubt.load(Ordering::Relaxed) >= MAX_DOUBT {
            return placed(Answer::NotAsked { due_at: None });
        }
        if self.opt_outs.is_blocked(ticket.to()) {
            return placed(Answer::NotAsked { due_at: Some(now + BLOCKED) });
        }
        let placement = self.carrier.place_call(ticket).await;
        match placement {
            Placement::Placed { .. } | Placement::Refused { .. } => {
                self.doubt.store(0, Ordering::Relaxed);
            }
            Placement::Unknown => {
                self.doubt.fetch_add(1, Ordering::Relaxed);
            }
            Placement::Later { .. } => {}
        }
        placed(Answer::Carrier(placement))
    }

    /// The carrier answered a read-only request: it may be asked for a dial again, but one more
    /// unclear answer stops placing once more.
    fn carrier_reads(&self) {
        self.doubt.fetch_min(MAX_DOUBT - 1, Ordering::Relaxed);
    }

    /// What the carrier tells of a call.
    async fn find(&self, call: &OpenCall) -> Vec<Report> {
        match self.carrier.find_call(call).await {
            Ok(Found::Events(events)) => {
                self.carrier_reads();
                let report = |event: CallEvent| Report::ours(call.call, event.at, event.kind);
                events.into_iter().map(report).collect()
            }
            // Not heard of is no proof that it was not dialled.
            Ok(Found::Nothing) | Err(_) => Vec::new(),
        }
    }

    async fn look_up(&self, call: &OpenCall, now: DateTime<Utc>) -> Vec<Report> {
        let mut reports = self.find(call).await;
        if reports.is_empty() && call.events.is_empty() {
            reports.push(Report::ours(call.call, call.begun_at, EventKind::Unclear));
        }
        let ended = |kind: &EventKind| matches!(kind, EventKind::Ended { .. });
        let limit = call.begun_at + UNKNOWN_LIMIT;
        if now >= limit && !reports.iter().any(|report| ended(&report.event.kind)) {
            reports.push(Report::ours(call.call, limit, EventKind::GivenUp));
        }
        reports
    }
}

struct Placed {
    call: CallId,
    lease: Lease,
    campaign: CampaignId,
    intent: Intent,
    answer: Answer,
}

enum Answer {
    Carrier(Placement),
    /// The ticket was no longer good, the carrier is in doubt, or the person just opted out; when
    /// the call is due again, if not as it was.
    NotAsked {
        due_at: Option<DateTime<Utc>>,
    },
}

/// Why a campaign can't go on after a refusal; none if only the number is at fault.
fn refusal(fault: Fault, reason: &str) -> Option<String> {
    match fault {
        Fault::Number { .. } => None,
        Fault::Configuration => Some(format!(
            "the carrier refuses calls because of the account or its settings ({reason})"
        )),
        Fault::Request => Some(format!(
            "the carrier does not understand what it is asked: a defect of this program ({reason})"
        )),
    }
}

fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
