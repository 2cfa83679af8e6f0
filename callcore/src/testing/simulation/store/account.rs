//! What people do to the account as a whole.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::FaultyStore;
use crate::account::{AccountSettings, Meter};
use crate::id::CampaignId;
use crate::port::{Account, AccountView, ActError, By, CampaignView, StoppedAll, StoreError};
use crate::time::Zone;

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Account for FaultyStore {
    async fn account(&self) -> Result<AccountView, StoreError> {
        self.inner.account().await
    }

    async fn change_account(
        &self,
        by: By<'_>,
        version: u32,
        settings: Arc<AccountSettings>,
    ) -> Result<AccountView, ActError> {
        self.commit("change_account", self.inner.change_account(by, version, settings)).await
    }

    async fn stop_all(&self, by: By<'_>, reason: Option<String>) -> Result<StoppedAll, ActError> {
        self.commit("stop_all", self.inner.stop_all(by, reason)).await
    }

    async fn resume_all(&self, by: By<'_>) -> Result<AccountView, ActError> {
        self.commit("resume_all", self.inner.resume_all(by)).await
    }

    async fn pause_all(&self, by: By<'_>) -> Result<Vec<CampaignView>, ActError> {
        self.commit("pause_all", self.inner.pause_all(by)).await
    }

    async fn meter(
        &self,
        campaign: Option<CampaignId>,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Result<Meter, StoreError> {
        self.inner.meter(campaign, from, to).await
    }

    async fn keep_server_zone(&self, zone: &Zone) -> Result<(), StoreError> {
        self.inner.keep_server_zone(zone).await
    }
}
