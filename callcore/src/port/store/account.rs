use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{By, CampaignView};
use crate::account::{AccountSettings, Meter, Stopped};
use crate::id::{CallId, CampaignId};
use crate::port::{ActError, StoreError};
use crate::time::Zone;

/// The account's side: what holds over all campaigns.
///
/// - **T1** Settings are versioned; the first version is all defaults. A change names the version it
///   was made from, and an older one is refused as stale.
/// - **T2** The server's zone is the last one that was kept; UTC before.
/// - **T3** After `stop_all` has returned no `begin` succeeds, a person's wish included, and no claim
///   brings a call, until `resume_all`; meanwhile who wants a dial at once is refused. Whoever stopped
///   first is shown; a second stop changes nothing. Neither touches a campaign's run state: what
///   people paused stays paused.
/// - **T4** `pause_all` pauses every running campaign, each with its audit row, and answers which.
/// - **T5** The account's calls at once and its pace hold over all campaigns and dispatchers: a
///   claim brings at most what is free, `begin` takes no more. A person's dial counts, and takes
///   the account's next token first.
/// - **T6** Campaigns of one priority take turns: each claim serves first the one whose turn is
///   longest ago, so that none starves while an account's limit binds.
/// - **T7** No dial begins that the account's money of the local day might not pay for. Once it is
///   used up calls wait for the next local day, and a notice says so, once a day.
/// - **T8** A campaign's budget holds in the local day of its zone, a person's dials included.
/// - **T9** Meters and the count of live calls equal a recount of the rows at every commit.
/// - **T10** A campaign pauses itself in the transaction that recorded the failure which fills its
///   breaker, with the reason and a notice. Dials that ended before it was resumed no longer count.
/// - **T11** A cool-down holds over all campaigns, for a person's dial too, and follows late
///   evidence.
#[async_trait]
pub trait Account: fmt::Debug + Send + Sync + 'static {
    /// The account as it is.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn account(&self) -> Result<AccountView, StoreError>;

    /// Puts new settings in force as the next version.
    ///
    /// # Errors
    ///
    /// `version` is not the current one.
    async fn change_account(
        &self,
        by: By<'_>,
        version: u32,
        settings: Arc<AccountSettings>,
    ) -> Result<AccountView, ActError>;

    /// Throws the switch that stops all dialling. The answer names the outbound calls that go on, or
    /// that are to be hung up if that is asked for (D10).
    ///
    /// # Errors
    ///
    /// The store failed, or the idempotency key is taken.
    async fn stop_all(
        &self,
        by: By<'_>,
        reason: Option<String>,
        hang_up: bool,
    ) -> Result<StoppedAll, ActError>;

    /// Puts the switch back.
    ///
    /// # Errors
    ///
    /// The store failed, or the idempotency key is taken.
    async fn resume_all(&self, by: By<'_>) -> Result<AccountView, ActError>;

    /// Pauses every running campaign; those that it paused, oldest first.
    ///
    /// # Errors
    ///
    /// The store failed, or the idempotency key is taken.
    async fn pause_all(&self, by: By<'_>) -> Result<Vec<CampaignView>, ActError>;

    /// The dials that began from (inclusive) to (exclusive), of one campaign or of all. Both are
    /// starts of quarters of an hour.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn meter(
        &self,
        campaign: Option<CampaignId>,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Result<Meter, StoreError>;

    /// Keeps the zone the server was started with: that of the account's days while its settings
    /// name none.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn keep_server_zone(&self, zone: &Zone) -> Result<(), StoreError>;
}

/// The account: its settings, and what holds it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountView {
    /// Which version the settings are; the first is 1.
    pub settings_version: u32,
    /// The settings now in force.
    pub settings: Arc<AccountSettings>,
    /// The zone the server was started with: UTC until one was.
    pub server_zone: Zone,
    /// The switch that stops all dialling, if somebody threw it.
    pub stopped: Option<Stopped>,
    /// Outbound calls begun and not ended.
    pub live: u64,
}

/// All dialling was stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoppedAll {
    /// The account as it now is.
    pub account: AccountView,
    /// The outbound calls that had begun and go on.
    pub in_flight: Vec<CallId>,
}

impl AccountView {
    /// The zone of the account's days: its own, else the server's.
    #[must_use]
    pub fn zone(&self) -> &Zone {
        self.settings.time_zone.as_ref().unwrap_or(&self.server_zone)
    }
}
