//! Erasing people, and forgetting in time.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::FaultyStore;
use crate::id::ClientId;
use crate::port::{ActError, By, Erased, Privacy, Retained, StoreError};

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Privacy for FaultyStore {
    async fn erase(&self, by: By<'_>, client: ClientId, reason: &str) -> Result<Erased, ActError> {
        self.commit("erase", async {
            let erased = self.inner.erase(by, client, reason).await?;
            self.stage.lock().judge.erased(client);
            Ok(erased)
        })
        .await
    }

    async fn retain(
        &self,
        by: By<'_>,
        before: DateTime<Utc>,
        limit: u32,
    ) -> Result<Retained, StoreError> {
        self.commit("retain", self.inner.retain(by, before, limit)).await
    }

    async fn prune(&self, by: By<'_>, wall: DateTime<Utc>) -> Result<(), StoreError> {
        self.commit("prune", self.inner.prune(by, wall)).await
    }

    async fn recordings_to_delete(
        &self,
        wall: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<String>, StoreError> {
        self.inner.recordings_to_delete(wall, limit).await
    }

    async fn recordings_deleted(&self, references: &[String]) -> Result<(), StoreError> {
        self.inner.recordings_deleted(references).await
    }
}
