//! Imports, their rejects, and taking one back.

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::FaultyStore;
use crate::id::{CampaignId, ImportId};
use crate::import::Reject;
use crate::phone::PhoneNumber;
use crate::port::{ActError, By, Cursor, Import, Imports, KnownClients, Page, StoreError, Undone};

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Imports for FaultyStore {
    async fn known_clients(
        &self,
        campaign: CampaignId,
        phones: &BTreeSet<PhoneNumber>,
        external_ids: &BTreeSet<String>,
    ) -> Result<KnownClients, StoreError> {
        self.inner.known_clients(campaign, phones, external_ids).await
    }

    async fn add_rejects(
        &self,
        by: By<'_>,
        import: ImportId,
        rejects: &[Reject],
    ) -> Result<(), ActError> {
        self.commit("add_rejects", self.inner.add_rejects(by, import, rejects)).await
    }

    async fn rejects(
        &self,
        import: ImportId,
        after: Option<u64>,
        limit: u32,
    ) -> Result<Vec<(u64, Reject)>, StoreError> {
        self.inner.rejects(import, after, limit).await
    }

    async fn import_page(
        &self,
        campaign: CampaignId,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<Page<Import>, StoreError> {
        self.inner.import_page(campaign, after, limit).await
    }

    async fn undo_import(
        &self,
        by: By<'_>,
        import: ImportId,
        partial: bool,
    ) -> Result<Undone, ActError> {
        self.commit("undo_import", self.inner.undo_import(by, import, partial)).await
    }

    async fn finish_undos(&self, by: By<'_>) -> Result<u64, StoreError> {
        self.inner.finish_undos(by).await
    }

    async fn delete_campaign(&self, by: By<'_>, id: CampaignId) -> Result<(), ActError> {
        self.commit("delete_campaign", self.inner.delete_campaign(by, id)).await
    }
}
