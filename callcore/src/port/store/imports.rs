use std::collections::BTreeSet;
use std::fmt;

use async_trait::async_trait;

use super::{By, Cursor, Import, Page};
use crate::id::{CampaignId, ImportId};
use crate::import::{Known, Reject};
use crate::phone::PhoneNumber;
use crate::port::{ActError, StoreError};

/// The imports' side, beside what brings clients in: what was refused, and taking back.
///
/// - **I1** Rows are told from clients by [`Roll::judge`](crate::import::Roll::judge) under the
///   policy that their import began with. A number may be in a campaign more than once where the
///   policy tells people by their names; its calls, caps and DNC entries are the number's.
/// - **I2** An updated client is what [`Client::follow`](crate::client::Client::follow) makes of it;
///   its calls and where it stands stay.
/// - **I3** An external id is in a campaign once.
/// - **I4** `known_clients` tells what `add_clients` would judge by, and changes nothing.
/// - **I5** Every refused row that was added comes back, in the order they were added, until its
///   import is taken back or whoever has its number is erased.
/// - **I6** `undo_import` removes every client that the import brought and that had no call which
///   began or came in, with its calls, notes and counts, as if it had never been there, and keeps the
///   others. It refuses as [`Refused::Called`](crate::port::Refused::Called) if there are such and
///   they may not be kept. What the import updated stays updated. It may go in steps: whatever a
///   crash left over goes with `finish_undos`, or with asking again.
/// - **I7** Taking back leaves a campaign in its run state, but for one that runs and has nobody left
///   to call among the clients it still has: that one is finished. One without clients waits for some.
/// - **I8** `delete_campaign` removes a draft with its clients, their calls that never began, its
///   imports and the DNC entries of its scope; calls that came in stay, as those of strangers. It
///   may go in steps: a crash leaves a draft with fewer clients, and asking again goes on.
#[async_trait]
pub trait Imports: fmt::Debug + Send + Sync + 'static {
    /// The clients of a campaign with one of these numbers or external ids, and which of the numbers
    /// a DNC entry covers.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn known_clients(
        &self,
        campaign: CampaignId,
        phones: &BTreeSet<PhoneNumber>,
        external_ids: &BTreeSet<String>,
    ) -> Result<KnownClients, StoreError>;

    /// Keeps refused rows of an import.
    ///
    /// # Errors
    ///
    /// The import is not running.
    async fn add_rejects(
        &self,
        by: By<'_>,
        import: ImportId,
        rejects: &[Reject],
    ) -> Result<(), ActError>;

    /// The next refused rows of an import after the given place, each with its own.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn rejects(
        &self,
        import: ImportId,
        after: Option<u64>,
        limit: u32,
    ) -> Result<Vec<(u64, Reject)>, StoreError>;

    /// Imports of a campaign, newest first.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn import_page(
        &self,
        campaign: CampaignId,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<Page<Import>, StoreError>;

    /// Takes an import back. One that was taken back already has nothing more to give.
    ///
    /// # Errors
    ///
    /// There is no such import, it is still running, or clients of it were called and `partial` does
    /// not allow to keep them.
    async fn undo_import(
        &self,
        by: By<'_>,
        import: ImportId,
        partial: bool,
    ) -> Result<Undone, ActError>;

    /// Removes what a crash kept `undo_import` from removing; how many clients.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn finish_undos(&self, by: By<'_>) -> Result<u64, StoreError>;

    /// Removes a draft.
    ///
    /// # Errors
    ///
    /// There is no such campaign, or it is no draft any more.
    async fn delete_campaign(&self, by: By<'_>, id: CampaignId) -> Result<(), ActError>;
}

/// Clients that rows may repeat.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KnownClients {
    /// The clients, the oldest first.
    pub clients: Vec<Known>,
    /// Of the numbers asked for, those that a DNC entry covers in the campaign.
    pub on_dnc: BTreeSet<PhoneNumber>,
}

/// What taking an import back did.
#[derive(Debug, Clone, PartialEq)]
pub struct Undone {
    /// The import.
    pub import: Import,
    /// Clients that went.
    pub removed: u64,
    /// Clients that stay, because they were called or called in.
    pub kept: u64,
}
