//! What people do to the account as a whole.

use std::sync::Arc;

use async_trait::async_trait;

use super::FaultyStore;
use crate::account::AccountSettings;
use crate::port::{Account, AccountView, ActError, By, StoreError};
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

    async fn keep_server_zone(&self, zone: &Zone) -> Result<(), StoreError> {
        self.inner.keep_server_zone(zone).await
    }
}
