use std::collections::BTreeSet;
use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{By, Cursor, Page};
use crate::call::{AgentResult, Call, CallEvent, Direction, Outcome, Review, Skip};
use crate::client::ClientZone;
use crate::engine::Facts;
use crate::id::{CallId, CampaignId, ClientId};
use crate::phone::PhoneNumber;
use crate::port::{ActError, Refused, StoreError};
use crate::time::Zone;

/// The calls' side: reading them, and what people do to scheduled and ended ones.
///
/// - **L1** A call is read under its one id in every state. `calls` reads many in the order asked for,
///   and leaves out what is no call.
/// - **L2** `history` has every ended call, skips included, and inbound ones; `upcoming` every
///   scheduled one of running and paused campaigns. Keyset pages: rows that arrive meanwhile are
///   neither repeated nor lost.
/// - **L3** `call_now`, `skip` and `reschedule` refuse a call that is claimed, live or ended, and
///   one of a stopped campaign; `call_now` refuses one of a draft too, and one whose client lacks a
///   consent that is required.
/// - **L4** A client has at most one call to come: `retry` refuses while there is one, or one is live.
/// - **L5** A call that `retry` adds to a finished campaign makes it run again.
/// - **L6** `add_note` appends to a call in whatever state; no entry is ever changed. `review` takes
///   an ended call only. A call given up as unknown needs follow-up by itself, until a late word
///   settles it or a person looked.
/// - **L7** `change_calls` does each act as its single method would, in order, in one transaction:
///   what is refused changes nothing and leaves no audit row, and the others are done.
/// - **X1** A test call passes the same gate as every dial, on a draft too; none is made on a stopped
///   campaign or to a number that a DNC entry covers, and an entry or a stop cancels one that waits.
/// - **X2** A test call is in no count: neither its client's nor its campaign's, and no cap sees it.
///   While it is live it holds a slot and its number. It stands in the history, not in `upcoming`.
/// - **R1** `report_result` records what a voice agent reports in one transaction with all that
///   follows, as events of its call: repeats change nothing. A call that never began has no result.
#[async_trait]
pub trait Calls: fmt::Debug + Send + Sync + 'static {
    /// A call.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn call(&self, id: CallId) -> Result<Option<CallView>, StoreError>;

    /// Calls, in the order asked for; what is no call is left out.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn calls(&self, ids: &[CallId]) -> Result<Vec<CallView>, StoreError>;

    /// The call that an inbound call of the carrier's became; none until an event of it is recorded.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn inbound_call(&self, carrier_call_id: &str) -> Result<Option<CallId>, StoreError>;

    /// Every event of a call, in order.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn events(&self, id: CallId) -> Result<Vec<CallEvent>, StoreError>;

    /// What the rules would be asked about a scheduled call; none once it began or ended.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn facts(&self, id: CallId) -> Result<Option<Facts>, StoreError>;

    /// Calls that ended.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn history(&self, query: &CallQuery) -> Result<Page<CallView>, StoreError>;

    /// Calls to come, in order of their due time.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn upcoming(&self, query: &CallQuery) -> Result<Page<CallView>, StoreError>;

    /// Makes a scheduled call due now, by a person's wish.
    ///
    /// # Errors
    ///
    /// There is no such call, its state or its campaign's does not allow it, a consent that is
    /// required is missing, or all dialling is stopped.
    async fn call_now(&self, by: By<'_>, id: CallId) -> Result<CallView, ActError>;

    /// Takes a scheduled call out of the queue.
    ///
    /// # Errors
    ///
    /// There is no such call, or its state does not allow it.
    async fn skip(
        &self,
        by: By<'_>,
        id: CallId,
        skip: Skip,
        then: SkipThen,
    ) -> Result<CallView, ActError>;

    /// Moves a scheduled call to another instant; whether the hours allow it was asked before.
    ///
    /// # Errors
    ///
    /// There is no such call, or its state does not allow it.
    async fn reschedule(
        &self,
        by: By<'_>,
        id: CallId,
        due_at: DateTime<Utc>,
    ) -> Result<CallView, ActError>;

    /// Schedules a new call to an ended call's client, by a person's wish.
    ///
    /// # Errors
    ///
    /// There is no such call, it has not ended, it has no client, a DNC entry covers the number,
    /// the client is switched off, lacks a consent that is required or has a call to come, the
    /// campaign is a draft or stopped, or the call is due at once and all dialling is stopped.
    async fn retry(&self, by: By<'_>, id: CallId, new: NewCall) -> Result<CallView, ActError>;

    /// Schedules a call to a person's own number, due at once, that plays the campaign's script.
    ///
    /// # Errors
    ///
    /// There is no such campaign or client of it, the campaign or all dialling is stopped, or a DNC
    /// entry covers the number.
    async fn test_call(&self, by: By<'_>, new: NewTestCall) -> Result<CallView, ActError>;

    /// Records what the voice agent of a call reports.
    ///
    /// # Errors
    ///
    /// There is no such call, or it never began.
    async fn report_result(
        &self,
        by: By<'_>,
        id: CallId,
        result: &AgentResult,
    ) -> Result<CallView, ActError>;

    /// Writes something down about a call.
    ///
    /// # Errors
    ///
    /// There is no such call.
    async fn add_note(&self, by: By<'_>, id: CallId, text: &str) -> Result<CallView, ActError>;

    /// Says what a person made of an ended call. A disposition that is given takes the place of the
    /// one there is; none in it takes it away.
    ///
    /// # Errors
    ///
    /// There is no such call, or it has not ended.
    async fn review(
        &self,
        by: By<'_>,
        id: CallId,
        review: Review,
        disposition: Option<Option<String>>,
    ) -> Result<CallView, ActError>;

    /// Does something to each of many calls, or keeps the refusal it comes with.
    ///
    /// # Errors
    ///
    /// The store failed, or the idempotency key is taken. What one call does not allow is in its
    /// own answer.
    async fn change_calls(
        &self,
        by: By<'_>,
        acts: &[(CallId, Result<CallAct, Refused>)],
    ) -> Result<Vec<Acted>, ActError>;
}

/// What is done to one of many calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallAct {
    /// Take it out of the queue, as [`Calls::skip`] does.
    Skip(Skip),
    /// Move it, as [`Calls::reschedule`] does.
    Reschedule(DateTime<Utc>),
    /// Say what a person made of it, as [`Calls::review`] does; its disposition stays.
    Review(Review),
    /// Add tags to its client.
    Tag(BTreeSet<String>),
}

/// What became of one of many calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acted {
    /// The call.
    pub call: CallId,
    /// It as it now is, or why nothing was done to it.
    pub done: Result<Box<CallView>, Refused>,
}

/// A call with what pages show beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallView {
    /// The call.
    pub call: Call,
    /// Its campaign's name.
    pub campaign_name: Option<String>,
    /// Its client's name.
    pub client_name: Option<String>,
    /// Its client's tags.
    pub tags: BTreeSet<String>,
    /// Where its client may be, as it is known now; a call that was dialled has the zone of then.
    pub client_zones: Vec<ClientZone>,
}

impl CallView {
    /// The clock its client lives by: the one it was dialled under, else the client's own, if it
    /// can only be one.
    #[must_use]
    pub fn client_zone(&self) -> Option<&Zone> {
        match (&self.call.zone, &*self.client_zones) {
            (Some(zone), _) => Some(zone),
            (None, [only]) => Some(&only.zone),
            (None, _) => None,
        }
    }
}

/// A call a person schedules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewCall {
    /// Its id.
    pub id: CallId,
    /// When it is due.
    pub due_at: DateTime<Utc>,
}

/// A test call to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewTestCall {
    /// Its id.
    pub id: CallId,
    /// The campaign whose script is played.
    pub campaign: CampaignId,
    /// The number.
    pub phone: PhoneNumber,
    /// The client whose fields the script is filled with; without one the names of the fields are
    /// heard.
    pub sample: Option<ClientId>,
}

/// What follows a skipped call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipThen {
    /// Nothing: the client is done.
    End,
    /// The client's next attempt.
    Next(NewCall),
}

/// Which calls are wanted. Values of one filter are alternatives; an empty filter lets all pass.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CallQuery {
    /// Name or number: under 3 characters its beginning, else any part.
    pub q: Option<String>,
    /// Of these campaigns.
    pub campaigns: Vec<CampaignId>,
    /// Of this client.
    pub client: Option<ClientId>,
    /// With this number, in whatever campaign, inbound ones included.
    pub phone: Option<PhoneNumber>,
    /// Whose clients have one of these tags.
    pub tags: Vec<String>,
    /// With these outcomes.
    pub outcomes: Vec<Outcome>,
    /// With these review statuses.
    pub reviews: Vec<Review>,
    /// In these directions.
    pub directions: Vec<Direction>,
    /// At or after this instant.
    pub from: Option<DateTime<Utc>>,
    /// Before this instant.
    pub to: Option<DateTime<Utc>>,
    /// In which order; none is the list's own: a history's latest first, of calls to come the
    /// earliest.
    pub order: Option<CallOrder>,
    /// After this place.
    pub after: Option<Cursor>,
    /// At most so many; 0 gives none.
    pub limit: u32,
}

/// How a list of calls is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallOrder {
    /// By what; calls that are alike in it go by their ids.
    pub by: CallSort,
    /// Whether the greatest comes first.
    pub descending: bool,
}

impl CallOrder {
    /// The latest first.
    pub const NEWEST_FIRST: Self = Self { by: CallSort::Date, descending: true };
    /// The earliest first.
    pub const OLDEST_FIRST: Self = Self { by: CallSort::Date, descending: false };
}

/// By what a list of calls is sorted. Calls to come are only sorted by their date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallSort {
    /// When they ended, or are due.
    Date,
    /// The [`name_order`] of their clients; calls of strangers come before all.
    Name,
    /// How long somebody was on the line.
    Duration,
}

/// What a client's name is sorted by: the first hundred characters, in lower case.
#[must_use]
pub fn name_order(name: &str) -> String {
    name.to_lowercase().chars().take(100).collect()
}
