use std::fmt;

use async_trait::async_trait;

use super::{By, Cursor, Page};
use crate::dnc::{DncEntry, DncScope};
use crate::id::{CallId, CampaignId};
use crate::phone::PhoneNumber;
use crate::port::{ActError, StoreError};

/// The Do-Not-Call side.
///
/// - **N1** When `add_dnc` has returned, no `begin` for the number succeeds in its scope.
/// - **N2** `add_dnc` cancels what is scheduled for the number in its scope, each with a row in the
///   history, and names the calls that are live.
/// - **N3** A number has one entry in a scope; adding it again keeps the first.
/// - **N4** `remove_dnc` removes the entry of that scope only.
#[async_trait]
pub trait Dnc: fmt::Debug + Send + Sync + 'static {
    /// Puts a number on the list.
    ///
    /// # Errors
    ///
    /// The scope's campaign does not exist, or the store failed.
    async fn add_dnc(&self, by: By<'_>, entry: DncEntry) -> Result<DncAdded, ActError>;

    /// Takes a number off the list of one scope; the reason goes into the audit log.
    ///
    /// # Errors
    ///
    /// There is no such entry.
    async fn remove_dnc(
        &self,
        by: By<'_>,
        phone: PhoneNumber,
        scope: DncScope,
        reason: &str,
    ) -> Result<(), ActError>;

    /// Entries, newest first.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn dnc(&self, query: &DncQuery) -> Result<Page<DncEntry>, StoreError>;
}

/// What adding a number did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DncAdded {
    /// The entry that now holds: the first one, if there was one.
    pub entry: DncEntry,
    /// Scheduled calls that were cancelled.
    pub canceled: Vec<CallId>,
    /// Calls already begun, to be hung up.
    pub in_flight: Vec<CallId>,
}

/// Which DNC entries are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DncQuery {
    /// Digits of the number: under 3 its beginning, else any part.
    pub q: Option<String>,
    /// Only global ones (`Some(false)`), only those of campaigns (`Some(true)`), or both.
    pub of_campaigns: Option<bool>,
    /// Only those of this campaign.
    pub campaign: Option<CampaignId>,
    /// After this place.
    pub after: Option<Cursor>,
    /// At most so many.
    pub limit: u32,
}
