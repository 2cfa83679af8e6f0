//! What people do through the store, and what pages read of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::FaultyStore;
use crate::call::{AgentResult, CallEvent, Intent, Review, Skip};
use crate::campaign::{RunState, Settings, Transition};
use crate::dnc::{DncEntry, DncReport, DncScope};
use crate::engine::Facts;
use crate::id::{CallId, CampaignId, ClientId, ImportId, TokenId, UserId};
use crate::import::{ImportReport, Reject};
use crate::phone::PhoneNumber;
use crate::port::{
    Access, ActError, Acted, Added, AuditEntry, AuditQuery, AuditRow, BeginDncImport, BeginImport,
    By, CallAct, CallQuery, CallView, Calls, CampaignView, Campaigns, ClaimedMail, ClientQuery,
    ClientView, Cursor, Day, Dnc, DncAdded, DncBatch, DncImport, DncQuery, Erased, ExportRow,
    Gauges, Import, ImportStatus, Imports, Invitation, KnownClients, MailSettlement, MailedNotice,
    NewCall, NewCampaign, NewClient, NewMail, NewTestCall, NewToken, Notice, NoticeGroup, Outbox,
    Page, Privacy, QueuedMail, Refused, Retained, SavedReply, Session, SkipThen, StoreError,
    TallyRow, Token, Undone, User, UserChange, UserView,
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

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Calls for FaultyStore {
    async fn call(&self, id: CallId) -> Result<Option<CallView>, StoreError> {
        self.commit("call", self.inner.call(id)).await
    }

    async fn calls(&self, ids: &[CallId]) -> Result<Vec<CallView>, StoreError> {
        self.inner.calls(ids).await
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

    async fn test_call(&self, by: By<'_>, new: NewTestCall) -> Result<CallView, ActError> {
        self.commit("test_call", async {
            let view = self.inner.test_call(by, new).await?;
            self.wished(new.id, Intent::Test);
            Ok(view)
        })
        .await
    }

    async fn report_result(
        &self,
        by: By<'_>,
        id: CallId,
        result: &AgentResult,
    ) -> Result<CallView, ActError> {
        self.commit("report_result", async {
            let view = self.inner.report_result(by, id, result).await?;
            let mut stage = self.stage.lock();
            stage.stats.results += 1;
            for event in result.events(view.call.began()) {
                stage.judge.recorded(id, &event, true);
            }
            drop(stage);
            Ok(view)
        })
        .await
    }

    async fn add_note(&self, by: By<'_>, id: CallId, text: &str) -> Result<CallView, ActError> {
        self.commit("add_note", self.inner.add_note(by, id, text)).await
    }

    async fn review(
        &self,
        by: By<'_>,
        id: CallId,
        review: Review,
        disposition: Option<Option<String>>,
    ) -> Result<CallView, ActError> {
        self.commit("review", self.inner.review(by, id, review, disposition)).await
    }

    async fn change_calls(
        &self,
        by: By<'_>,
        acts: &[(CallId, Result<CallAct, Refused>)],
    ) -> Result<Vec<Acted>, ActError> {
        self.commit("change_calls", async {
            let acted = self.inner.change_calls(by, acts).await?;
            for ((id, act), acted) in acts.iter().zip(&acted) {
                if matches!((act, &acted.done), (Ok(CallAct::Reschedule(_)), Ok(_))) {
                    self.wished(*id, Intent::Rescheduled);
                }
            }
            Ok(acted)
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

    async fn user_view(&self, id: UserId) -> Result<Option<UserView>, StoreError> {
        self.inner.user_view(id).await
    }

    async fn users(&self, after: Option<Cursor>, limit: u32) -> Result<Page<UserView>, StoreError> {
        self.inner.users(after, limit).await
    }

    async fn invite_user(
        &self,
        by: By<'_>,
        user: User,
        invitation: Invitation,
    ) -> Result<UserView, ActError> {
        self.inner.invite_user(by, user, invitation).await
    }

    async fn change_user(
        &self,
        by: By<'_>,
        id: UserId,
        change: UserChange,
    ) -> Result<UserView, ActError> {
        self.inner.change_user(by, id, change).await
    }

    async fn invited(
        &self,
        secret: [u8; 32],
        wall: DateTime<Utc>,
    ) -> Result<Option<User>, StoreError> {
        self.inner.invited(secret, wall).await
    }

    async fn accept_invitation(
        &self,
        by: By<'_>,
        secret: [u8; 32],
        password_hash: String,
        wall: DateTime<Utc>,
    ) -> Result<UserView, ActError> {
        self.inner.accept_invitation(by, secret, password_hash, wall).await
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

    async fn add_token(&self, by: By<'_>, new: NewToken) -> Result<Token, ActError> {
        self.inner.add_token(by, new).await
    }

    async fn token(
        &self,
        secret: [u8; 32],
        wall: DateTime<Utc>,
    ) -> Result<Option<Token>, StoreError> {
        self.inner.token(secret, wall).await
    }

    async fn tokens(&self, after: Option<Cursor>, limit: u32) -> Result<Page<Token>, StoreError> {
        self.inner.tokens(after, limit).await
    }

    async fn token_used(&self, id: TokenId, wall: DateTime<Utc>) -> Result<(), StoreError> {
        self.inner.token_used(id, wall).await
    }

    async fn revoke_token(&self, by: By<'_>, id: TokenId) -> Result<(), ActError> {
        self.inner.revoke_token(by, id).await
    }

    async fn saved_reply(
        &self,
        scope: &str,
        key: &str,
        wall: DateTime<Utc>,
    ) -> Result<Option<([u8; 32], SavedReply)>, StoreError> {
        self.inner.saved_reply(scope, key, wall).await
    }

    async fn append_audit(&self, by: By<'_>, entry: AuditEntry) -> Result<(), ActError> {
        self.inner.append_audit(by, entry).await
    }

    async fn audit(&self, query: &AuditQuery) -> Result<Page<AuditRow>, StoreError> {
        self.inner.audit(query).await
    }

    async fn notices(&self, limit: u32) -> Result<Vec<Notice>, StoreError> {
        self.inner.notices(limit).await
    }

    async fn change_version(&self) -> Result<u64, StoreError> {
        self.inner.change_version().await
    }

    async fn gauges(&self, now: DateTime<Utc>) -> Result<Gauges, StoreError> {
        self.inner.gauges(now).await
    }
}

/// Mails are no part of what the simulation judges: they go through as they are.
#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Outbox for FaultyStore {
    async fn unmailed(
        &self,
        until: DateTime<Utc>,
        shown: u32,
    ) -> Result<Vec<NoticeGroup>, StoreError> {
        self.inner.unmailed(until, shown).await
    }

    async fn queue_mail(
        &self,
        by: By<'_>,
        new: NewMail,
    ) -> Result<Option<(QueuedMail, bool)>, ActError> {
        self.inner.queue_mail(by, new).await
    }

    async fn claim_mails(
        &self,
        wall: DateTime<Utc>,
        lease_for: TimeDelta,
        limit: u32,
    ) -> Result<Vec<ClaimedMail>, StoreError> {
        self.inner.claim_mails(wall, lease_for, limit).await
    }

    async fn settle_mail(
        &self,
        by: By<'_>,
        wall: DateTime<Utc>,
        settlement: &MailSettlement,
    ) -> Result<bool, StoreError> {
        self.inner.settle_mail(by, wall, settlement).await
    }

    async fn release_mails(&self) -> Result<u64, StoreError> {
        self.inner.release_mails().await
    }

    async fn mails_sent(&self, from: NaiveDate, to: NaiveDate) -> Result<u64, StoreError> {
        self.inner.mails_sent(from, to).await
    }

    async fn erase_mails(&self, by: By<'_>, phone: PhoneNumber) -> Result<u64, StoreError> {
        self.inner.erase_mails(by, phone).await
    }

    async fn mails(
        &self,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<Page<QueuedMail>, StoreError> {
        self.inner.mails(after, limit).await
    }

    async fn mail(&self, key: &str) -> Result<Option<QueuedMail>, StoreError> {
        self.inner.mail(key).await
    }

    async fn mailed_notices(
        &self,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<Page<MailedNotice>, StoreError> {
        self.inner.mailed_notices(after, limit).await
    }

    async fn day(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Result<Day, StoreError> {
        self.inner.day(from, to).await
    }
}
