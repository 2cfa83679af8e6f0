use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

use super::By;
use crate::call::{CallEvent, Report};
use crate::engine::{BeginRefusal, Facts, Lease, Permit, Settlement};
use crate::id::{CallId, CampaignId};
use crate::phone::PhoneNumber;
use crate::port::StoreError;

/// The dispatcher's side: due calls, intents, events.
///
/// - **D1** `claim_due` returns only due calls of running campaigns (and calls a person asked for,
///   also of paused and finished ones, test calls also of drafts): people's wishes first; then by
///   priority, the campaigns of one priority taking turns; within a campaign by due time and id. At
///   most as many per campaign as its free slots and its pace allow now.
/// - **D2** A claimed call is not claimed again until its lease ends on the wall clock; then with a
///   higher epoch. Whoever has an older epoch can't begin or settle.
/// - **D3** `begin` asks [`admit`](crate::engine::admit()) with what it reads under its locks and stores the
///   intent, the decision and the attempt of every permit it accepts, in one transaction. From then
///   on the call is live: it counts in every cap and slot, also after a crash.
/// - **D4** `begin` and DNC entries, pause and stop take turns: after one of those has returned, no
///   `begin` succeeds that it forbids.
/// - **D5** `record` is idempotent, and a call's row is a function of the set of its events: order
///   and repeats change nothing. What follows (client, counters, the retry planned or withdrawn,
///   DNC entry of an opt-out, campaign finished) is in the same transaction.
/// - **D6** `settle` ends a claim: deferred calls wait until the given instant, retired ones end.
///   A settlement under a lost lease changes nothing.
/// - **D7** `take_back` undoes a `begin` whose ticket was never placed: the call waits again and the
///   attempt does not count.
/// - **I1** An inbound call is its number's client's: of the client that was dialled last under that
///   number, else of the one that came in last. A withheld number is nobody's.
/// - **I2** What a caller presses does what the inbound script says that was in force when the call
///   came in; who opts out is blocked like everybody.
/// - **I3** A message that a caller left by that script is told of in a notice, once.
/// - **I4** Whoever is on the line with a call of its own is not dialled: no `begin` to a number
///   succeeds while a call from it is live.
/// - **D8** A call begun and not ended is returned by `unsettled` until it has ended, and so is an
///   inbound call that should have ended.
/// - **D9** `halt_campaign` pauses a running campaign with its reason and a notice, told anew each
///   time; of one that doesn't run it changes nothing.
/// - **D10** A live call that is to be hung up, because [`add_dnc`](super::Dnc::add_dnc),
///   [`add_dnc_batch`](super::Dnc::add_dnc_batch), [`erase`](super::Privacy::erase) or a
///   [`stop_all`](super::Account::stop_all) that says so named it, or because its number opted out in
///   another call, is returned by `hang_ups` until it has ended or went back to the queue: at once
///   when the carrier's id for it is heard, and else after waits.
#[async_trait]
pub trait Dispatch: fmt::Debug + Send + Sync + 'static {
    /// The wall clock of the machine the store runs on: the one place where a store's time is
    /// asked. An embedded store runs where its caller does and has no clock of its own: none.
    ///
    /// # Errors
    ///
    /// The store is away.
    async fn server_time(&self) -> Result<Option<DateTime<Utc>>, StoreError>;

    /// Leases due calls and brings every fact the rules need.
    ///
    /// # Errors
    ///
    /// The store failed; no call is leased, or leases run out by themselves.
    async fn claim_due(&self, request: ClaimRequest) -> Result<Vec<Facts>, StoreError>;

    /// Stores the intent to dial of every permit that [`admit`](crate::engine::admit()) lets pass; one answer
    /// for each permit, in order. `wall` starts the wait after which an intent that was never
    /// heard of again is looked up.
    ///
    /// # Errors
    ///
    /// The store failed. Whether intents were stored is unknown; the sweep finds those that were.
    async fn begin(
        &self,
        by: By<'_>,
        wall: DateTime<Utc>,
        permits: &[Permit],
    ) -> Result<Refusals, StoreError>;

    /// Gives begun calls back to the queue whose tickets were never placed, or that the carrier
    /// certainly did not take and may take later.
    ///
    /// # Errors
    ///
    /// The store failed; the sweep settles what stayed begun.
    async fn take_back(&self, by: By<'_>, calls: &[TakeBack]) -> Result<(), StoreError>;

    /// Pauses a running campaign that can't go on, with the reason, as its breaker would: the
    /// carrier refuses its calls whatever the number. One that doesn't run stays as it is.
    ///
    /// # Errors
    ///
    /// The store failed, and the campaign may run on.
    async fn halt_campaign(
        &self,
        by: By<'_>,
        id: CampaignId,
        reason: &str,
    ) -> Result<(), StoreError>;

    /// Ends claims without a dial.
    ///
    /// # Errors
    ///
    /// The store failed; the leases run out by themselves.
    async fn settle(&self, by: By<'_>, settlements: &[Settlement]) -> Result<(), StoreError>;

    /// Stores events and everything that follows from them; one answer for each, in order.
    ///
    /// # Errors
    ///
    /// The store failed. The same events may be recorded again.
    async fn record(&self, by: By<'_>, reports: &[Report]) -> Result<Vec<Recorded>, StoreError>;

    /// The earliest instant at which a call of a running campaign is due and the account lets it
    /// through; a campaign that has no free slot does not count, and nothing does while the account
    /// has none or is stopped.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn next_due(&self, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, StoreError>;

    /// Live calls somebody has to ask the carrier about: of which nothing was heard since they
    /// began, whose fate is unknown, or that should have ended. Each is returned again only after a
    /// wait on the wall clock that doubles, up to ten minutes.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn unsettled(
        &self,
        now: DateTime<Utc>,
        wall: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<OpenCall>, StoreError>;

    /// Live calls that are to be hung up, the carrier's id for them known or not. Whoever wanted it
    /// asks the carrier first, so each is returned some seconds after it was first seen here, and
    /// again after a wait on the wall clock that doubles, up to ten minutes; and at once when the
    /// carrier's id for it comes.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn hang_ups(&self, wall: DateTime<Utc>, limit: u32) -> Result<Vec<OpenCall>, StoreError>;

    /// Every live call, inbound ones included: the simulated carrier takes them up again after a restart, and people see
    /// them.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn live(&self, limit: u32) -> Result<Vec<OpenCall>, StoreError>;

    /// The latest instant of the campaign clock that any change was made at.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn latest_instant(&self) -> Result<Option<DateTime<Utc>>, StoreError>;
}

/// Which due calls a worker wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimRequest {
    /// The instant it is on the campaign clock.
    pub now: DateTime<Utc>,
    /// The instant it is on the wall clock.
    pub wall: DateTime<Utc>,
    /// How long the lease holds, on the wall clock: far longer than clocks may differ.
    pub lease_for: TimeDelta,
    /// At most so many.
    pub limit: u32,
}

/// One answer for each permit given to `begin`: `Ok`, or why not.
pub type Refusals = Vec<Result<(), BeginRefusal>>;

/// A begun call that was not placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TakeBack {
    /// The call.
    pub call: CallId,
    /// The lease it was begun under.
    pub lease: Lease,
    /// When it is due again; none keeps its due time.
    pub due_at: Option<DateTime<Utc>>,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It was new.
    New {
        /// The call it belongs to.
        call: CallId,
        /// Whether the call ended with it.
        ended: bool,
    },
    /// It was known already.
    Known {
        /// The call it belongs to.
        call: CallId,
    },
    /// There is no such call, or it never began.
    NoSuchCall,
}

impl Recorded {
    /// The call the event belongs to, if there is one.
    #[must_use]
    pub const fn call(self) -> Option<CallId> {
        match self {
            Self::New { call, .. } | Self::Known { call } => Some(call),
            Self::NoSuchCall => None,
        }
    }
}

/// A live call, for whoever asks the carrier about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenCall {
    /// The call.
    pub call: CallId,
    /// The number that was, or may have been, dialled; who rings, of an inbound call.
    pub phone: Option<PhoneNumber>,
    /// When its intent was stored, on the campaign clock; the first event, of an inbound call.
    pub begun_at: DateTime<Utc>,
    /// The carrier's id, if it was heard.
    pub carrier_call_id: Option<String>,
    /// What is known of it.
    pub events: Vec<CallEvent>,
}
