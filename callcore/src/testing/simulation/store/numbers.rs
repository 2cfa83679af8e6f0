//! What is added up.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::FaultyStore;
use crate::id::CampaignId;
use crate::port::{Attention, Numbers, StoreError, Tagged, Waiting};

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Numbers for FaultyStore {
    async fn tagged(
        &self,
        campaign: CampaignId,
        tags: &[String],
        from: Option<DateTime<Utc>>,
        to: Option<DateTime<Utc>>,
    ) -> Result<Tagged, StoreError> {
        self.inner.tagged(campaign, tags, from, to).await
    }

    async fn attention(&self, since: DateTime<Utc>, limit: u32) -> Result<Attention, StoreError> {
        self.inner.attention(since, limit).await
    }

    async fn waiting(
        &self,
        campaign: CampaignId,
        after: Option<u64>,
        limit: u32,
    ) -> Result<Waiting, StoreError> {
        self.inner.waiting(campaign, after, limit).await
    }
}
