//! What people do to the account as a whole.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::FaultyStore;
use crate::account::{AccountSettings, Meter};
use crate::id::CampaignId;
use crate::port::{Account, AccountView, ActError, By, CampaignView, StoppedAll, StoreError};
use crate::testing::simulation::spec::AccountSpec;
use crate::time::Zone;

impl FaultyStore {
    /// Puts a version of the account's settings in force, as the judge has to know it.
    pub(in crate::testing::simulation) async fn change_account_spec(
        &self,
        by: By<'_>,
        spec: &AccountSpec,
        settings: Arc<AccountSettings>,
    ) -> Result<(), ActError> {
        let version = self.inner.account().await?.settings_version;
        self.commit("change_account", async {
            self.inner.change_account(by, version, settings).await?;
            self.stage.lock().judge.account_changed(spec.clone(), by.now);
            Ok(())
        })
        .await
    }
}

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

    async fn stop_all(
        &self,
        by: By<'_>,
        reason: Option<String>,
        hang_up: bool,
    ) -> Result<StoppedAll, ActError> {
        self.commit("stop_all", async {
            let stopped = self.inner.stop_all(by, reason, hang_up).await?;
            self.stage.lock().judge.account.stopped = true;
            Ok(stopped)
        })
        .await
    }

    async fn resume_all(&self, by: By<'_>) -> Result<AccountView, ActError> {
        self.commit("resume_all", async {
            let resumed = self.inner.resume_all(by).await?;
            self.stage.lock().judge.account.stopped = false;
            Ok(resumed)
        })
        .await
    }

    async fn pause_all(&self, by: By<'_>) -> Result<Vec<CampaignView>, ActError> {
        self.commit("pause_all", async {
            let paused = self.inner.pause_all(by).await?;
            let mut stage = self.stage.lock();
            for view in &paused {
                stage.judge.paused(view.campaign.id);
            }
            drop(stage);
            Ok(paused)
        })
        .await
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
