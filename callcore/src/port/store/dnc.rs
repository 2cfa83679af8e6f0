use std::fmt;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{By, Cursor, ImportStatus, Page};
use crate::actor::Actor;
use crate::dnc::{DncEntry, DncReport, DncScope};
use crate::id::{CallId, CampaignId, ImportId};
use crate::phone::PhoneNumber;
use crate::port::{ActError, StoreError};

/// The Do-Not-Call side.
///
/// - **N1** When `add_dnc` has returned, no `begin` for the number succeeds in its scope.
/// - **N2** `add_dnc` cancels what is scheduled for the number in its scope, each with a row in the
///   history, and names the calls that are live.
/// - **N3** A number has one entry in a scope; adding it again keeps the first.
/// - **N4** `remove_dnc` removes the entry of that scope only.
/// - **N5** `add_dnc_batch` does for each entry what `add_dnc` does, in one transaction, and says in
///   order which ones were new.
/// - **N6** A list comes in under an import of its own: while it runs it takes batches, its end
///   leaves one audit row with the counts, also if the process that read it died.
#[async_trait]
pub trait Dnc: fmt::Debug + Send + Sync + 'static {
    /// Puts a number on the list.
    ///
    /// # Errors
    ///
    /// The scope's campaign does not exist, or the store failed.
    async fn add_dnc(&self, by: By<'_>, entry: DncEntry) -> Result<DncAdded, ActError>;

    /// Begins to put a list of numbers on the list; they come in batches.
    ///
    /// # Errors
    ///
    /// The scope's campaign does not exist, or the store failed.
    async fn begin_dnc_import(
        &self,
        by: By<'_>,
        new: BeginDncImport,
    ) -> Result<DncImport, ActError>;

    /// Puts a batch of an import's numbers on the list, each with why it is there.
    ///
    /// # Errors
    ///
    /// The import is not running, or the store failed: nothing of the batch was added.
    async fn add_dnc_batch(
        &self,
        by: By<'_>,
        import: ImportId,
        numbers: &[(PhoneNumber, String)],
    ) -> Result<DncBatch, ActError>;

    /// Stores an import's report, so far or at its end.
    ///
    /// # Errors
    ///
    /// There is no such import.
    async fn report_dnc_import(
        &self,
        by: By<'_>,
        import: ImportId,
        status: ImportStatus,
        report: &DncReport,
    ) -> Result<DncImport, ActError>;

    /// An import of numbers with its report.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn dnc_import(&self, id: ImportId) -> Result<Option<DncImport>, StoreError>;

    /// Marks every import of numbers as failed that a process left running when it died.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn fail_running_dnc_imports(&self, by: By<'_>) -> Result<u64, StoreError>;

    /// Which of some numbers have an entry in a scope, in order.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn listed(
        &self,
        scope: DncScope,
        numbers: &[PhoneNumber],
    ) -> Result<Vec<bool>, StoreError>;

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

/// A list of numbers to be put on the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BeginDncImport {
    /// The import's id.
    pub id: ImportId,
    /// Where its entries hold.
    pub scope: DncScope,
    /// What the file is called.
    pub file_name: String,
}

/// An import of numbers with its report.
#[derive(Debug, Clone, PartialEq)]
pub struct DncImport {
    /// Its id.
    pub id: ImportId,
    /// Where its entries hold.
    pub scope: DncScope,
    /// What the file was called.
    pub file_name: String,
    /// Who brought it.
    pub added_by: Actor,
    /// How far it is.
    pub status: ImportStatus,
    /// What came in and what did not.
    pub report: DncReport,
}

impl DncImport {
    /// What the audit log says of it.
    #[must_use]
    pub fn audited(&self) -> Value {
        json!({
            "scope": self.scope.as_str(),
            "campaign": self.scope.campaign(),
            "file_name": self.file_name,
            "status": self.status.as_str(),
            "accepted": self.report.accepted,
            "duplicates": self.report.duplicates,
            "rejected": self.report.rejected,
            "canceled": self.report.canceled,
        })
    }
}

/// What adding a batch did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DncBatch {
    /// For each number whether it is new on the list, in order.
    pub added: Vec<bool>,
    /// Scheduled calls that were cancelled.
    pub canceled: Vec<CallId>,
    /// Calls already begun, to be hung up.
    pub in_flight: Vec<CallId>,
}

/// Which DNC entries are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DncQuery {
    /// Digits of the number: under 3 its beginning, else any part. What has none finds nothing.
    pub q: Option<String>,
    /// Only global ones (`Some(false)`), only those of campaigns (`Some(true)`), or both.
    pub of_campaigns: Option<bool>,
    /// Only those of these campaigns; none is no bound.
    pub campaigns: Vec<CampaignId>,
    /// After this place.
    pub after: Option<Cursor>,
    /// At most so many.
    pub limit: u32,
}
