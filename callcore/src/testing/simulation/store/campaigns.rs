//! What people do with campaigns.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::FaultyStore;
use crate::campaign::{RunState, Settings, Transition};
use crate::id::{CampaignId, ClientId, ImportId};
use crate::import::ImportReport;
use crate::port::{
    ActError, Added, BeginImport, By, CampaignView, Campaigns, ClientQuery, ClientView, Cursor,
    ExportRow, Import, ImportStatus, NewCampaign, NewClient, Page, StoreError, TallyRow,
};
use crate::testing::simulation::judge::Person;
use crate::testing::simulation::spec::Spec;

impl FaultyStore {
    /// Puts a version of a campaign's settings in force, as the judge has to know it.
    pub(in crate::testing::simulation) async fn change_spec(
        &self,
        by: By<'_>,
        id: CampaignId,
        version: u32,
        spec: &Spec,
        settings: Arc<Settings>,
    ) -> Result<(), ActError> {
        self.commit("change_settings", async {
            self.inner.change_settings(by, id, version, settings).await?;
            self.stage.lock().judge.settings_changed(id, spec.clone(), by.now);
            Ok(())
        })
        .await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Campaigns for FaultyStore {
    async fn create_campaign(
        &self,
        by: By<'_>,
        new: NewCampaign,
    ) -> Result<CampaignView, ActError> {
        self.inner.create_campaign(by, new).await
    }

    async fn change_settings(
        &self,
        by: By<'_>,
        id: CampaignId,
        version: u32,
        settings: Arc<Settings>,
    ) -> Result<CampaignView, ActError> {
        self.inner.change_settings(by, id, version, settings).await
    }

    async fn change_state(
        &self,
        by: By<'_>,
        id: CampaignId,
        transition: Transition,
    ) -> Result<CampaignView, ActError> {
        self.commit("change_state", async {
            let view = self.inner.change_state(by, id, transition).await?;
            let mut stage = self.stage.lock();
            if let Some(campaign) = stage.judge.campaigns.get_mut(&id) {
                campaign.state = match transition {
                    Transition::Start | Transition::Resume => RunState::Running,
                    Transition::Pause => RunState::Paused,
                    Transition::Stop => RunState::Stopped,
                };
                if transition == Transition::Resume {
                    campaign.counted_from = by.now;
                }
            }
            drop(stage);
            Ok(view)
        })
        .await
    }

    async fn campaign(&self, id: CampaignId) -> Result<Option<CampaignView>, StoreError> {
        self.inner.campaign(id).await
    }

    async fn settings(
        &self,
        id: CampaignId,
        version: u32,
    ) -> Result<Option<Arc<Settings>>, StoreError> {
        self.inner.settings(id, version).await
    }

    async fn campaigns(
        &self,
        states: &[RunState],
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<Page<CampaignView>, StoreError> {
        self.inner.campaigns(states, after, limit).await
    }

    async fn begin_import(&self, by: By<'_>, new: BeginImport) -> Result<Import, ActError> {
        self.commit("begin_import", self.inner.begin_import(by, new)).await
    }

    async fn add_clients(
        &self,
        by: By<'_>,
        import: ImportId,
        clients: &[NewClient],
    ) -> Result<Vec<Added>, ActError> {
        self.commit("add_clients", async {
            let added = self.inner.add_clients(by, import, clients).await?;
            let campaign = self.inner.import(import).await?.map(|import| import.campaign);
            let mut stage = self.stage.lock();
            for (client, added) in clients.iter().zip(&added) {
                if let (Some(campaign), Added::Accepted { .. }) = (campaign, added) {
                    let (zones, consent) = (client.zones.clone(), client.consent.is_some());
                    let person = Person::new(campaign, client.phone, zones, consent);
                    stage.judge.clients.insert(client.id, person);
                }
            }
            drop(stage);
            Ok(added)
        })
        .await
    }

    async fn report_import(
        &self,
        by: By<'_>,
        import: ImportId,
        status: ImportStatus,
        report: &ImportReport,
    ) -> Result<Import, ActError> {
        self.commit("report_import", self.inner.report_import(by, import, status, report)).await
    }

    async fn fail_running_imports(&self, by: By<'_>) -> Result<u64, StoreError> {
        self.inner.fail_running_imports(by).await
    }

    async fn import(&self, id: ImportId) -> Result<Option<Import>, StoreError> {
        self.inner.import(id).await
    }

    async fn client(&self, id: ClientId) -> Result<Option<ClientView>, StoreError> {
        self.inner.client(id).await
    }

    async fn clients(&self, query: &ClientQuery) -> Result<Page<ClientView>, StoreError> {
        self.inner.clients(query).await
    }

    async fn export_clients(
        &self,
        campaign: CampaignId,
        after: Option<u64>,
        limit: u32,
    ) -> Result<Vec<ExportRow>, StoreError> {
        self.inner.export_clients(campaign, after, limit).await
    }

    async fn imports(&self, campaign: CampaignId) -> Result<Vec<Import>, StoreError> {
        self.inner.imports(campaign).await
    }

    async fn tallies(
        &self,
        campaign: Option<CampaignId>,
        from: Option<DateTime<Utc>>,
        to: Option<DateTime<Utc>>,
    ) -> Result<Vec<TallyRow>, StoreError> {
        self.inner.tallies(campaign, from, to).await
    }
}
