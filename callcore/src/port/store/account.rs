use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::By;
use crate::account::{AccountSettings, Stopped};
use crate::port::{ActError, StoreError};
use crate::time::Zone;

/// The account's side: what holds over all campaigns.
///
/// - **T1** Settings are versioned; the first version is all defaults. A change names the version it
///   was made from, and an older one is refused as stale.
/// - **T2** The server's zone is the last one that was kept; UTC before.
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
}

impl AccountView {
    /// The zone of the account's days: its own, else the server's.
    #[must_use]
    pub fn zone(&self) -> &Zone {
        self.settings.time_zone.as_ref().unwrap_or(&self.server_zone)
    }
}
