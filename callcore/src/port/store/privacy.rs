use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::By;
use crate::id::{CallId, ClientId};
use crate::port::{ActError, StoreError};

/// The side of the people who are called: erasing a person, keeping nothing longer than allowed.
///
/// - **E1** After `erase` no method returns the person's name, number or words, in any campaign.
///   What stays: where its clients stand, outcomes and times of its calls, counters, DNC entries
///   of the number, and when it was dialled for as long as a cap may look back.
/// - **E2** `erase` cancels what is scheduled for the number, each with a row in the history, and
///   names the calls that are live. No `begin` for one of its clients succeeds afterwards, and
///   nothing more is planned for them.
/// - **E3** An event that comes afterwards counts as it would have, without what was said, pressed
///   or recorded; whoever opts out is put on the list.
/// - **E4** Erasing again changes nothing.
/// - **E5** Every recording of an erased call is among `recordings_to_delete` until
///   `recordings_deleted` says so, each time after a wait on the wall clock that doubles, up to an
///   hour.
/// - **E6** `retain` takes the words of at most `limit` clients and calls at a time: of clients
///   whose campaign ended before an instant, and of calls that ended before it. Whoever is still
///   to be called keeps its row. Refused rows go with their campaign's clients. It says whether
///   there may be more.
/// - **E7** `prune` forgets what has run out by itself: answers under idempotency keys, sessions,
///   links, and the dials to erased people's numbers that no cap looks back to.
#[async_trait]
pub trait Privacy: fmt::Debug + Send + Sync + 'static {
    /// Erases the person behind a client, in every campaign that has its number.
    ///
    /// # Errors
    ///
    /// There is no such client, or the store failed.
    async fn erase(&self, by: By<'_>, client: ClientId, reason: &str) -> Result<Erased, ActError>;

    /// Erases the words of clients and calls that ended before an instant of the campaign clock.
    ///
    /// # Errors
    ///
    /// The store failed; what it erased before stays erased.
    async fn retain(
        &self,
        by: By<'_>,
        before: DateTime<Utc>,
        limit: u32,
    ) -> Result<Retained, StoreError>;

    /// Forgets what has run out: `wall` is the instant on the wall clock.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn prune(&self, by: By<'_>, wall: DateTime<Utc>) -> Result<(), StoreError>;

    /// References of recordings that the carrier still has to delete; each is returned again only
    /// after a wait.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn recordings_to_delete(
        &self,
        wall: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<String>, StoreError>;

    /// The carrier confirmed that it no longer has these recordings.
    ///
    /// # Errors
    ///
    /// The store failed; deleting them again does no harm.
    async fn recordings_deleted(&self, references: &[String]) -> Result<(), StoreError>;
}

/// What erasing a person did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Erased {
    /// Its rows in campaigns.
    pub clients: u32,
    /// Its calls, in either direction.
    pub calls: u32,
    /// Scheduled calls that were cancelled.
    pub canceled: Vec<CallId>,
    /// Calls already begun, to be hung up.
    pub in_flight: Vec<CallId>,
    /// Recordings the carrier has to delete.
    pub recordings: u32,
}

/// What a round of retention did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retained {
    /// Clients whose campaign ended long ago.
    pub clients: u32,
    /// Other calls that did.
    pub calls: u32,
    /// Whether the limit was reached.
    pub more: bool,
}
