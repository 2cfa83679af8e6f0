//! A store that fails: before a commit, or after it, so that the caller can't know; and one that
//! lets others go first on both sides of each commit. What was committed, it tells the judge.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

use super::spec::Spec;
use super::stage::Stage;
use crate::call::{CallEvent, CallRef, Intent, Report, Skip};
use crate::campaign::{RunState, Settings, Transition};
use crate::dnc::{DncEntry, DncScope};
use crate::engine::{Facts, Permit, Settlement};
use crate::id::{CallId, CampaignId, ClientId, ImportId, UserId};
use crate::import::ImportReport;
use crate::memory::MemoryStore;
use crate::phone::PhoneNumber;
use crate::port::{
    Access, ActError, Added, AuditEntry, AuditRow, BeginImport, By, CallQuery, CallView, Calls,
    CampaignView, Campaigns, ClaimRequest, ClientQuery, ClientView, Cursor, Dispatch, Dnc,
    DncAdded, DncQuery, ExportRow, Import, ImportStatus, NewCall, NewCampaign, NewClient, Notice,
    OpenCall, Page, Recorded, Refusals, SavedReply, Session, SkipThen, StoreError, StoreErrorKind,
    TakeBack, TallyRow, User,
};

pub(super) struct FaultyStore {
    inner: Arc<MemoryStore>,
    stage: Arc<Stage>,
}

impl fmt::Debug for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyStore").finish_non_exhaustive()
    }
}

impl FaultyStore {
    pub(super) const fn new(inner: Arc<MemoryStore>, stage: Arc<Stage>) -> Self {
        Self { inner, stage }
    }

    /// One commit, with all that may befall it.
    async fn commit<T, E>(
        &self,
        operation: &'static str,
        act: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, E>
    where
        T: Send,
        E: From<StoreError> + Send,
    {
        self.stage.pause().await;
        self.fails(operation, "before", true)?;
        let done = act.await;
        self.stage.pause().await;
        self.fails(operation, "after", done.is_ok())?;
        done
    }

    fn fails(&self, operation: &'static str, when: &str, can: bool) -> Result<(), StoreError> {
        let mut stage = self.stage.lock();
        let per_mille = stage.troubles.store;
        if !can || !stage.dice.chance(per_mille) {
            return Ok(());
        }
        stage.stats.failed_commits += 1;
        stage.trace(self.stage.now(), format_args!("the store fails {when} {operation}"));
        Err(StoreError::new(StoreErrorKind::Unavailable, operation))
    }

    async fn took_back(&self, calls: &[TakeBack]) -> Result<(), StoreError> {
        for back in calls {
            let view = self.inner.call(back.call).await?;
            let waits = view.is_none_or(|view| view.call.begun_at.is_none());
            let mut stage = self.stage.lock();
            let name = stage.judge.name(back.call);
            let now = self.stage.now();
            stage.trace(now, format_args!("call {name} is given back (waits again: {waits})"));
            if waits {
                stage.stats.taken_back += 1;
                stage.judge.taken_back(back.call, back.lease.epoch);
            }
        }
        Ok(())
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Dispatch for FaultyStore {
    async fn server_time(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        let wall = self.stage.wall();
        let mut stage = self.stage.lock();
        let per_mille = stage.troubles.store / 4;
        let skewed = stage.dice.chance(per_mille);
        Ok(Some(if skewed { wall + TimeDelta::seconds(3) } else { wall }))
    }

    async fn claim_due(&self, request: ClaimRequest) -> Result<Vec<Facts>, StoreError> {
        self.commit("claim_due", async {
            let facts = self.inner.claim_due(request).await?;
            let mut stage = self.stage.lock();
            for facts in &facts {
                stage.stats.claims += 1;
                let name = stage.judge.name(facts.call);
                stage.judge.claimed(facts.call, facts.lease.epoch);
                let epoch = facts.lease.epoch;
                stage
                    .trace(self.stage.now(), format_args!("call {name} is claimed, epoch {epoch}"));
            }
            drop(stage);
            Ok(facts)
        })
        .await
    }

    async fn begin(
        &self,
        by: By<'_>,
        wall: DateTime<Utc>,
        permits: &[Permit],
    ) -> Result<Refusals, StoreError> {
        self.commit("begin", async {
            let answers = self.inner.begin(by, wall, permits).await?;
            let mut stage = self.stage.lock();
            for (permit, answer) in permits.iter().zip(&answers) {
                let name = stage.judge.name(permit.call());
                stage.trace(self.stage.now(), format_args!("begin call {name}: {answer:?}"));
                if answer.is_ok() {
                    stage.stats.begun += 1;
                    stage.judge.begun(permit, by.now, wall);
                } else {
                    stage.stats.refused_begins += 1;
                }
            }
            drop(stage);
            Ok(answers)
        })
        .await
    }

    async fn take_back(&self, by: By<'_>, calls: &[TakeBack]) -> Result<(), StoreError> {
        self.commit("take_back", async {
            self.inner.take_back(by, calls).await?;
            self.took_back(calls).await
        })
        .await
    }

    async fn settle(&self, by: By<'_>, settlements: &[Settlement]) -> Result<(), StoreError> {
        self.commit("settle", async {
            self.inner.settle(by, settlements).await?;
            let mut stage = self.stage.lock();
            for settled in settlements {
                let name = stage.judge.name(settled.call);
                let verdict = settled.verdict;
                stage.trace(self.stage.now(), format_args!("settle call {name}: {verdict:?}"));
            }
            drop(stage);
            Ok(())
        })
        .await
    }

    async fn record(&self, by: By<'_>, reports: &[Report]) -> Result<Vec<Recorded>, StoreError> {
        self.commit("record", async {
            let answers = self.inner.record(by, reports).await?;
            let mut stage = self.stage.lock();
            for (report, answer) in reports.iter().zip(&answers) {
                let CallRef::Ours(id) = report.call else { continue };
                stage.stats.events += 1;
                let name = stage.judge.name(id);
                stage.judge.recorded(id, &report.event, *answer != Recorded::NoSuchCall);
                let event = &report.event;
                stage.trace(
                    self.stage.now(),
                    format_args!("record call {name}: {:?} at {}", event.kind, event.at),
                );
            }
            drop(stage);
            Ok(answers)
        })
        .await
    }

    async fn next_due(&self, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.commit("next_due", self.inner.next_due(now)).await
    }

    async fn unsettled(
        &self,
        now: DateTime<Utc>,
        wall: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<OpenCall>, StoreError> {
        self.commit("unsettled", self.inner.unsettled(now, wall, limit)).await
    }

    async fn live(&self, limit: u32) -> Result<Vec<OpenCall>, StoreError> {
        self.inner.live(limit).await
    }

    async fn latest_instant(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.inner.latest_instant().await
    }
}

impl FaultyStore {
    /// Puts a version of a campaign's settings in force, as the judge has to know it.
    pub(super) async fn change_spec(
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

    fn wished(&self, id: CallId, intent: Intent) {
        self.stage.lock().judge.wished(id, intent);
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
            }
            drop(stage);
            Ok(view)
        })
        .await
    }

    async fn campaign(&self, id: CampaignId) -> Result<Option<CampaignView>, StoreError> {
        self.inner.campaign(id).await
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
                    let person = super::judge::Person {
                        campaign,
                        phone: client.phone,
                        zones: client.zones.clone(),
                        consent: client.consent.is_some(),
                    };
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

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Calls for FaultyStore {
    async fn call(&self, id: CallId) -> Result<Option<CallView>, StoreError> {
        self.commit("call", self.inner.call(id)).await
    }

    async fn events(&self, id: CallId) -> Result<Vec<CallEvent>, StoreError> {
        self.inner.events(id).await
    }

    async fn facts(&self, id: CallId) -> Result<Option<Facts>, StoreError> {
        self.commit("facts", self.inner.facts(id)).await
    }

    async fn history(&self, query: &CallQuery) -> Result<Page<CallView>, StoreError> {
        self.inner.history(query).await
    }

    async fn upcoming(&self, query: &CallQuery) -> Result<Page<CallView>, StoreError> {
        self.inner.upcoming(query).await
    }

    async fn call_now(&self, by: By<'_>, id: CallId) -> Result<CallView, ActError> {
        self.commit("call_now", async {
            let view = self.inner.call_now(by, id).await?;
            self.wished(id, Intent::Person);
            Ok(view)
        })
        .await
    }

    async fn skip(
        &self,
        by: By<'_>,
        id: CallId,
        skip: Skip,
        then: SkipThen,
    ) -> Result<CallView, ActError> {
        self.commit("skip", async {
            let view = self.inner.skip(by, id, skip, then).await?;
            if let SkipThen::Next(next) = then {
                self.wished(next.id, Intent::Rescheduled);
            }
            Ok(view)
        })
        .await
    }

    async fn reschedule(
        &self,
        by: By<'_>,
        id: CallId,
        due_at: DateTime<Utc>,
    ) -> Result<CallView, ActError> {
        self.commit("reschedule", async {
            let view = self.inner.reschedule(by, id, due_at).await?;
            self.wished(id, Intent::Rescheduled);
            Ok(view)
        })
        .await
    }

    async fn retry(&self, by: By<'_>, id: CallId, new: NewCall) -> Result<CallView, ActError> {
        self.commit("retry", async {
            let view = self.inner.retry(by, id, new).await?;
            self.wished(new.id, Intent::Person);
            Ok(view)
        })
        .await
    }
}

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
}

/// Nobody signs in while a simulation runs: these pass through.
#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Access for FaultyStore {
    async fn fact(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.inner.fact(name).await
    }

    async fn put_fact(&self, name: &str, value: &str) -> Result<String, StoreError> {
        self.inner.put_fact(name, value).await
    }

    async fn save_user(&self, by: By<'_>, user: User) -> Result<User, ActError> {
        self.inner.save_user(by, user).await
    }

    async fn user(&self, name: &str) -> Result<Option<User>, StoreError> {
        self.inner.user(name).await
    }

    async fn add_link(
        &self,
        secret: [u8; 32],
        user: UserId,
        expires: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.inner.add_link(secret, user, expires).await
    }

    async fn redeem_link(
        &self,
        secret: [u8; 32],
        wall: DateTime<Utc>,
    ) -> Result<Option<User>, StoreError> {
        self.inner.redeem_link(secret, wall).await
    }

    async fn link_is_good(
        &self,
        secret: [u8; 32],
        wall: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        self.inner.link_is_good(secret, wall).await
    }

    async fn add_session(
        &self,
        secret: [u8; 32],
        user: UserId,
        expires: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.inner.add_session(secret, user, expires).await
    }

    async fn session(
        &self,
        secret: [u8; 32],
        wall: DateTime<Utc>,
    ) -> Result<Option<Session>, StoreError> {
        self.inner.session(secret, wall).await
    }

    async fn end_session(&self, secret: [u8; 32]) -> Result<(), StoreError> {
        self.inner.end_session(secret).await
    }

    async fn saved_reply(
        &self,
        scope: &str,
        key: &str,
        wall: DateTime<Utc>,
    ) -> Result<Option<([u8; 32], SavedReply)>, StoreError> {
        self.inner.saved_reply(scope, key, wall).await
    }

    async fn append_audit(&self, by: By<'_>, entry: AuditEntry) -> Result<(), StoreError> {
        self.inner.append_audit(by, entry).await
    }

    async fn audit(&self, after: Option<Cursor>, limit: u32) -> Result<Page<AuditRow>, StoreError> {
        self.inner.audit(after, limit).await
    }

    async fn notices(&self, limit: u32) -> Result<Vec<Notice>, StoreError> {
        self.inner.notices(limit).await
    }
}
