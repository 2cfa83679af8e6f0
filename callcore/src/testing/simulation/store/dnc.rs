//! Entries of the list, one by one and in batches.

use async_trait::async_trait;

use super::FaultyStore;
use crate::dnc::{DncEntry, DncReport, DncScope};
use crate::id::ImportId;
use crate::phone::PhoneNumber;
use crate::port::{
    ActError, BeginDncImport, By, Dnc, DncAdded, DncBatch, DncImport, DncQuery, ImportStatus, Page,
    StoreError,
};

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Dnc for FaultyStore {
    async fn add_dnc(&self, by: By<'_>, entry: DncEntry) -> Result<DncAdded, ActError> {
        self.commit("add_dnc", async {
            let key = (entry.phone, entry.scope);
            let added = self.inner.add_dnc(by, entry).await?;
            self.stage.lock().judge.listed(key.0, key.1);
            Ok(added)
        })
        .await
    }

    async fn remove_dnc(
        &self,
        by: By<'_>,
        phone: PhoneNumber,
        scope: DncScope,
        reason: &str,
    ) -> Result<(), ActError> {
        self.commit("remove_dnc", async {
            self.inner.remove_dnc(by, phone, scope, reason).await?;
            self.stage.lock().judge.dnc.remove(&(phone, scope));
            Ok(())
        })
        .await
    }

    async fn dnc(&self, query: &DncQuery) -> Result<Page<DncEntry>, StoreError> {
        self.inner.dnc(query).await
    }

    async fn begin_dnc_import(
        &self,
        by: By<'_>,
        new: BeginDncImport,
    ) -> Result<DncImport, ActError> {
        self.commit("begin_dnc_import", self.inner.begin_dnc_import(by, new)).await
    }

    async fn add_dnc_batch(
        &self,
        by: By<'_>,
        import: ImportId,
        numbers: &[(PhoneNumber, String)],
    ) -> Result<DncBatch, ActError> {
        self.commit("add_dnc_batch", async {
            let batch = self.inner.add_dnc_batch(by, import, numbers).await?;
            let scope = self.inner.dnc_import(import).await?.map(|import| import.scope);
            let mut stage = self.stage.lock();
            for (phone, _) in numbers {
                if let Some(scope) = scope {
                    stage.judge.listed(*phone, scope);
                }
            }
            drop(stage);
            Ok(batch)
        })
        .await
    }

    async fn report_dnc_import(
        &self,
        by: By<'_>,
        import: ImportId,
        status: ImportStatus,
        report: &DncReport,
    ) -> Result<DncImport, ActError> {
        let done = self.inner.report_dnc_import(by, import, status, report);
        self.commit("report_dnc_import", done).await
    }

    async fn dnc_import(&self, id: ImportId) -> Result<Option<DncImport>, StoreError> {
        self.inner.dnc_import(id).await
    }

    async fn fail_running_dnc_imports(&self, by: By<'_>) -> Result<u64, StoreError> {
        self.inner.fail_running_dnc_imports(by).await
    }

    async fn listed(
        &self,
        scope: DncScope,
        numbers: &[PhoneNumber],
    ) -> Result<Vec<bool>, StoreError> {
        self.inner.listed(scope, numbers).await
    }
}
