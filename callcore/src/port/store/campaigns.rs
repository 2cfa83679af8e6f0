use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{By, Cursor, Page};
use crate::analytics::Totals;
use crate::call::Outcome;
use crate::campaign::{Campaign, RunState, Settings, Transition};
use crate::client::{Client, ClientStatus, ClientZone, Consent};
use crate::id::{CallId, CampaignId, ClientId, ImportId};
use crate::import::{DuplicatePolicy, ImportReport, RejectCode};
use crate::phone::PhoneNumber;
use crate::port::{ActError, StoreError};

/// The campaigns' side: settings, run states, imports, clients, counters.
///
/// - **C1** Settings are versioned; a change names the version it was made from, and an older one
///   is refused as stale.
/// - **C2** `change_state` allows what [`RunState::after`] allows. Starting needs at least one
///   client. Stopping cancels every scheduled call, each with a row in the history.
/// - **C3** Unless an import says otherwise, a number is in a campaign once. `add_clients` answers for each row, in order, whether it
///   was taken or which line it repeats; a taken client has one scheduled call, unless a DNC entry
///   covers its number: then it is `on_dnc` and has none.
/// - **C4** A finished campaign that gets a client runs again; a stopped one takes none.
/// - **C5** Counters equal a recount of the rows at every commit, whatever bounds `tallies` is given:
///   a part of a quarter counts only the calls that ended within it.
/// - **C6** A running campaign whose clients are all in a final state is finished, in the
///   transaction that made the last one so.
/// - **C7** Every version of a campaign's settings stays readable: a call in progress plays what it
///   began under.
#[async_trait]
pub trait Campaigns: fmt::Debug + Send + Sync + 'static {
    /// Creates a draft.
    ///
    /// # Errors
    ///
    /// The settings play an audio that is not there, the idempotency key is taken, or the store
    /// failed.
    async fn create_campaign(&self, by: By<'_>, new: NewCampaign)
    -> Result<CampaignView, ActError>;

    /// Puts new settings in force as the next version.
    ///
    /// # Errors
    ///
    /// There is no such campaign, `version` is not the current one, or the settings play an audio
    /// that is not there.
    async fn change_settings(
        &self,
        by: By<'_>,
        id: CampaignId,
        version: u32,
        settings: Arc<Settings>,
    ) -> Result<CampaignView, ActError>;

    /// Starts, pauses, resumes or stops a campaign.
    ///
    /// # Errors
    ///
    /// There is no such campaign, its state does not allow it, or it starts without clients.
    async fn change_state(
        &self,
        by: By<'_>,
        id: CampaignId,
        transition: Transition,
    ) -> Result<CampaignView, ActError>;

    /// A campaign with its progress.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn campaign(&self, id: CampaignId) -> Result<Option<CampaignView>, StoreError>;

    /// A version of a campaign's settings, whether or not it is in force.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn settings(
        &self,
        id: CampaignId,
        version: u32,
    ) -> Result<Option<Arc<Settings>>, StoreError>;

    /// Campaigns, newest first; of the given states, or of all if none is given.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn campaigns(
        &self,
        states: &[RunState],
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<Page<CampaignView>, StoreError>;

    /// Begins an import; its clients come in batches.
    ///
    /// # Errors
    ///
    /// There is no such campaign, or it is stopped.
    async fn begin_import(&self, by: By<'_>, new: BeginImport) -> Result<Import, ActError>;

    /// Adds a batch of clients of an import; one answer for each, in order.
    ///
    /// # Errors
    ///
    /// The import is not running, or the campaign was stopped meanwhile. Nothing of the batch was
    /// added.
    async fn add_clients(
        &self,
        by: By<'_>,
        import: ImportId,
        clients: &[NewClient],
    ) -> Result<Vec<Added>, ActError>;

    /// Stores an import's report, so far or at its end.
    ///
    /// # Errors
    ///
    /// There is no such import.
    async fn report_import(
        &self,
        by: By<'_>,
        import: ImportId,
        status: ImportStatus,
        report: &ImportReport,
    ) -> Result<Import, ActError>;

    /// Marks every import as failed that a process left running when it died.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn fail_running_imports(&self, by: By<'_>) -> Result<u64, StoreError>;

    /// An import with its report.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn import(&self, id: ImportId) -> Result<Option<Import>, StoreError>;

    /// A client.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn client(&self, id: ClientId) -> Result<Option<ClientView>, StoreError>;

    /// Clients of a campaign in the order they came in.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn clients(&self, query: &ClientQuery) -> Result<Page<ClientView>, StoreError>;

    /// The next clients of a campaign for its export, in the order they came in, after the given
    /// place.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn export_clients(
        &self,
        campaign: CampaignId,
        after: Option<u64>,
        limit: u32,
    ) -> Result<Vec<ExportRow>, StoreError>;

    /// The imports of a campaign, oldest first: their columns are the export's.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn imports(&self, campaign: CampaignId) -> Result<Vec<Import>, StoreError>;

    /// Counters of ended outbound calls by quarter of an hour, of one campaign or of all, from
    /// (inclusive) to (exclusive), in order of time.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn tallies(
        &self,
        campaign: Option<CampaignId>,
        from: Option<DateTime<Utc>>,
        to: Option<DateTime<Utc>>,
    ) -> Result<Vec<TallyRow>, StoreError>;
}

/// A campaign to be created.
#[derive(Debug, Clone)]
pub struct NewCampaign {
    /// Its id.
    pub id: CampaignId,
    /// Its settings.
    pub settings: Arc<Settings>,
}

/// A campaign and how far it is.
#[derive(Debug, Clone, PartialEq)]
pub struct CampaignView {
    /// The campaign.
    pub campaign: Campaign,
    /// How far it is.
    pub progress: CampaignProgress,
}

/// How far a campaign is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CampaignProgress {
    /// Clients by status; statuses nobody has are absent.
    pub clients: BTreeMap<ClientStatus, u64>,
    /// Ended outbound calls.
    pub totals: Totals,
    /// Calls begun and not ended.
    pub live: u64,
}

impl CampaignProgress {
    /// All clients.
    #[must_use]
    pub fn client_count(&self) -> u64 {
        self.clients.values().sum()
    }

    /// Clients in a final state.
    #[must_use]
    pub fn final_count(&self) -> u64 {
        self.clients.iter().filter(|(status, _)| status.is_final()).map(|(_, count)| count).sum()
    }

    /// Clients in a final state, of all, in percent; 0 without clients.
    #[must_use]
    pub fn percent(&self) -> f64 {
        let all = self.client_count();
        #[expect(clippy::cast_precision_loss, reason = "a percentage needs no 52 bits")]
        if all == 0 { 0.0 } else { self.final_count() as f64 * 100.0 / all as f64 }
    }
}

/// An import to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BeginImport {
    /// Its id.
    pub id: ImportId,
    /// The campaign the clients go into.
    pub campaign: CampaignId,
    /// What the file is called.
    pub file_name: String,
    /// The file's headers, in order.
    pub columns: Vec<String>,
    /// What is done with rows about people who are in already.
    pub duplicates: DuplicatePolicy,
}

/// An import with its report.
#[derive(Debug, Clone, PartialEq)]
pub struct Import {
    /// Its id.
    pub id: ImportId,
    /// The campaign the clients went into.
    pub campaign: CampaignId,
    /// What the file was called.
    pub file_name: String,
    /// The file's headers, in order.
    pub columns: Vec<String>,
    /// What is done with rows about people who are in already.
    pub duplicates: DuplicatePolicy,
    /// How far it is.
    pub status: ImportStatus,
    /// What came in and what did not.
    pub report: ImportReport,
}

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportStatus {
    /// Rows are coming in.
    Running,
    /// All rows were read.
    Done,
    /// It ended before the file did; what came in stays in.
    Failed,
    /// It was taken back.
    Undone,
}

impl ImportStatus {
    /// The word stores, JSON and pages use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Undone => "undone",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let all = [Self::Running, Self::Done, Self::Failed, Self::Undone];
        all.into_iter().find(|it| it.as_str() == text)
    }
}

/// A client to be added, with the call that is scheduled for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewClient {
    /// Its id.
    pub id: ClientId,
    /// The id of its first call.
    pub call: CallId,
    /// When that call is due.
    pub due_at: DateTime<Utc>,
    /// The line of the file on which its row starts.
    pub line: u64,
    /// The number.
    pub phone: PhoneNumber,
    /// What the person is called.
    pub name: String,
    /// The uploader's own id.
    pub external_id: Option<String>,
    /// Where the person reads mail.
    pub email: Option<String>,
    /// Every zone the person may be in.
    pub zones: Vec<ClientZone>,
    /// Every uploaded cell, in the order of the import's columns.
    pub fields: Vec<String>,
    /// Its tags.
    pub tags: BTreeSet<String>,
    /// The first note.
    pub note: Option<String>,
    /// The recorded consent.
    pub consent: Option<Consent>,
    /// Whether the row speaks of consent at all: if not, an update leaves it as it is.
    pub says_consent: bool,
    /// One key for one person with several numbers.
    pub person_key: Option<String>,
    /// One key for one debt.
    pub debt_key: Option<String>,
}

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// It is in.
    Accepted {
        /// Whether a DNC entry covers its number: then it will not be called.
        on_dnc: bool,
    },
    /// It changed a client that was in.
    Updated,
    /// It can't come in.
    Refused(RejectCode),
    /// Its client is in already.
    Duplicate {
        /// The line on which it came in, in its own file, if a file brought it.
        of_line: Option<u64>,
    },
}

/// Which clients are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientQuery {
    /// Of this campaign.
    pub campaign: CampaignId,
    /// Name or number: under 3 characters its beginning, else any part.
    pub q: Option<String>,
    /// Of one of these statuses; of all if empty.
    pub statuses: Vec<ClientStatus>,
    /// With one of these tags; of all if empty.
    pub tags: Vec<String>,
    /// After this place.
    pub after: Option<Cursor>,
    /// At most so many.
    pub limit: u32,
}

/// A client and what the lists say of its number.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientView {
    /// The client.
    pub client: Client,
    /// Whether a DNC entry covers its number in its campaign.
    pub on_dnc: bool,
}

/// A client of an export.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportRow {
    /// Its place in the order the clients came in.
    pub place: u64,
    /// The client.
    pub client: Client,
    /// Whether a DNC entry covers its number in its campaign.
    pub on_dnc: bool,
}

/// Ended outbound calls of one quarter of an hour and one outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TallyRow {
    /// The quarter's start.
    pub quarter: DateTime<Utc>,
    /// How they ended.
    pub outcome: Outcome,
    /// How many.
    pub calls: u64,
    /// Seconds of talk, of those that reached a person.
    pub talk_seconds: u64,
}
