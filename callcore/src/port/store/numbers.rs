use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::TallyRow;
use crate::client::ClientStatus;
use crate::engine::Facts;
use crate::id::{CallId, CampaignId, ImportId};
use crate::port::StoreError;

/// The side of whoever adds up: reports by tag, what needs attention, what is to come.
///
/// - **M1** `tagged` is counted from the rows: each client with one of the tags once, and each of its
///   outbound calls that ended, from (inclusive) to (exclusive). It costs as much as those clients
///   and their calls are many.
/// - **M2** `attention` equals a recount of the rows, and costs the same however many calls and
///   clients there are: it reads as many rows as are asked for of each kind.
/// - **M3** `waiting` walks a campaign's clients in the order they came in and gives, of each that has
///   a call to come, what the rules would be asked about it. Whatever changes meanwhile, no client
///   comes twice.
#[async_trait]
pub trait Numbers: fmt::Debug + Send + Sync + 'static {
    /// The numbers of a campaign's clients with one of these tags.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn tagged(
        &self,
        campaign: CampaignId,
        tags: &[String],
        from: Option<DateTime<Utc>>,
        to: Option<DateTime<Utc>>,
    ) -> Result<Tagged, StoreError>;

    /// What somebody should look at; of imports those that began at `since` or later. Of each kind
    /// at most so many.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn attention(&self, since: DateTime<Utc>, limit: u32) -> Result<Attention, StoreError>;

    /// The calls to come of the next clients of a campaign, after the client of the given place. So
    /// many clients are looked at, whether or not they have a call to come.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn waiting(
        &self,
        campaign: CampaignId,
        after: Option<u64>,
        limit: u32,
    ) -> Result<Waiting, StoreError>;
}

/// The numbers of clients with a tag.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tagged {
    /// Clients by status; statuses nobody has are absent.
    pub clients: BTreeMap<ClientStatus, u64>,
    /// Their ended outbound calls, in order of time.
    pub tallies: Vec<TallyRow>,
}

/// What somebody should look at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attention {
    /// Campaigns with clients that need follow-up, the newest first, and how many they are.
    pub clients_to_follow_up: Vec<(CampaignId, u64)>,
    /// Ended calls that somebody marked for follow-up, the latest first.
    pub calls_to_follow_up: Vec<CallId>,
    /// Calls nobody knows the fate of, in the order they were made.
    pub unknown_calls: Vec<CallId>,
    /// Imports that ended and refused rows, the newest first.
    pub rejects: Vec<Rejects>,
}

/// An import that refused rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rejects {
    /// The import.
    pub import: ImportId,
    /// Its campaign.
    pub campaign: CampaignId,
    /// How many rows it refused.
    pub rows: u64,
}

/// A part of a campaign's calls to come.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Waiting {
    /// What the rules would be asked.
    pub facts: Vec<Facts>,
    /// The place after which the next part begins; none at the end.
    pub next: Option<u64>,
}
