//! Taking imports back and deleting drafts: clients go as if they had never been there.

use std::collections::{BTreeMap, BTreeSet};

use callcore::campaign::RunState;
use callcore::client::ClientStatus;
use callcore::engine::Tally;
use callcore::id::{CallId, CampaignId, ClientId, ImportId};
use callcore::port::{By, Effect, Import, ImportStatus, Refused, Undone};
use serde_json::json;
use sqlx::Row;
use uuid::Uuid;

use super::fail::Fail;
use super::import::import_of;
use super::open::SqliteStore;
use super::row::{ids, word};
use super::work::Work;

/// How many clients go in one transaction: nobody's call waits longer than for so many.
const AT_ONCE: u32 = 2_000;

/// Clients of an import of whom a call began or came in.
const CALLED: &str = "
select count(*) from clients where added_in = ?1
    and (exists (select 1 from in_flight where in_flight.client = clients.id)
        or exists (select 1 from history where history.client = clients.id
            and (begun_at is not null or direction = 'inbound')))";

const UNCALLED: &str = "
select id, status, place from clients where added_in = ?1 and place > ?3
    and not exists (select 1 from in_flight where in_flight.client = clients.id)
    and not exists (select 1 from history where history.client = clients.id
        and (begun_at is not null or direction = 'inbound'))
order by place limit ?2";

impl SqliteStore {
    pub(super) async fn undo(
        &self,
        by: By<'_>,
        id: ImportId,
        partial: bool,
    ) -> Result<Undone, Fail> {
        let mut work = self.write().await?;
        work.enter(by).await?;
        let import = work.import(id).await?.ok_or(Refused::NotFound)?;
        if import.status == ImportStatus::Running {
            return Err(Refused::ImportRunning.into());
        }
        let kept: u64 = sqlx::query_scalar::<_, i64>(CALLED)
            .bind(id.uuid())
            .fetch_one(work.conn())
            .await?
            .cast_unsigned();
        let brought: i64 = sqlx::query_scalar("select count(*) from clients where added_in = ?1")
            .bind(id.uuid())
            .fetch_one(work.conn())
            .await?;
        let removed = brought.cast_unsigned() - kept;
        if kept > 0 && !partial && import.status != ImportStatus::Undone {
            return Err(Refused::Called { called: kept, uncalled: removed }.into());
        }
        let old = import.status;
        let undone = Undone { import: work.mark_undone(import).await?, removed, kept };
        let new = json!({"status": "undone", "removed": removed, "kept": kept});
        let old = json!({"status": old.as_str()});
        work.audit(by, "import.undo", id.to_string(), Some(old), Some(new)).await?;
        work.leave(by, &Effect::Undone(Box::new(undone.clone()))).await?;
        let campaign = undone.import.campaign;
        let (mut next, _) = work.remove_brought(by, (campaign, id), 0).await?;
        work.commit().await?;
        while let Some(after) = next {
            let mut work = self.write().await?;
            (next, _) = work.remove_brought(by, (campaign, id), after).await?;
            work.commit().await?;
        }
        Ok(undone)
    }

    /// Removes what an undo that a crash ended has left.
    pub(super) async fn go_on_undoing(&self, by: By<'_>) -> Result<u64, Fail> {
        let (mut removed, mut after) = (0, 0);
        // It is asked every few seconds, and nearly always there is nothing to wait a turn for.
        let left: bool = sqlx::query_scalar("select exists (select 1 from undoing)")
            .fetch_one(&mut *self.read().await?)
            .await?;
        if !left {
            return Ok(0);
        }
        loop {
            let mut work = self.write().await?;
            let next = sqlx::query(
                "select imports.id, imports.campaign from undoing
                 join imports on imports.id = undoing.import order by undoing.import limit 1",
            )
            .fetch_optional(work.conn())
            .await?;
            let Some(next) = next else { return Ok(removed) };
            let campaign = CampaignId::from_uuid(next.try_get("campaign")?);
            let import = ImportId::from_uuid(next.try_get("id")?);
            let (next, count) = work.remove_brought(by, (campaign, import), after).await?;
            removed += count;
            after = next.unwrap_or_default();
            work.commit().await?;
        }
    }

    pub(super) async fn delete_draft(&self, by: By<'_>, id: CampaignId) -> Result<(), Fail> {
        // In one piece, however long it takes: of a draft that is half gone somebody could start the
        // rest.
        let mut work = self.write().await?;
        work.enter(by).await?;
        work.load_campaigns([id]).await?;
        let campaign = work.campaign(id)?;
        if campaign.state != RunState::Draft {
            return Err(Refused::Campaign(campaign.state).into());
        }
        let old = campaign.settings.to_json();
        work.audit(by, "campaign.delete", id.to_string(), Some(old), None).await?;
        work.orphan_calls(id).await?;
        loop {
            let clients = sqlx::query(
                "select id, status from clients where campaign = ?1 order by place limit ?2",
            )
            .bind(id.uuid())
            .bind(AT_ONCE)
            .fetch_all(work.conn())
            .await?;
            let last = clients.len() < AT_ONCE as usize;
            work.remove_clients(id, &clients).await?;
            if last {
                break;
            }
        }
        work.remove_campaign(id).await?;
        work.leave(by, &Effect::CampaignDeleted).await?;
        work.commit().await
    }
}

impl Work<'_> {
    async fn import(&mut self, id: ImportId) -> Result<Option<Import>, Fail> {
        let row = sqlx::query("select * from imports where id = ?1")
            .bind(id.uuid())
            .fetch_optional(self.conn())
            .await?;
        row.as_ref().map(import_of).transpose()
    }

    /// Marks an import as taken back; its refused rows go with it.
    async fn mark_undone(&mut self, mut import: Import) -> Result<Import, Fail> {
        import.status = ImportStatus::Undone;
        import.report.forget_all();
        sqlx::query("update imports set status = ?2, report = ?3 where id = ?1")
            .bind(import.id.uuid())
            .bind(import.status.as_str())
            .bind(serde_json::to_string(&import.report)?)
            .execute(self.conn())
            .await?;
        sqlx::query("delete from import_rejects where import = ?1")
            .bind(import.id.uuid())
            .execute(self.conn())
            .await?;
        sqlx::query("insert or ignore into undoing (import) values (?1)")
            .bind(import.id.uuid())
            .execute(self.conn())
            .await?;
        Ok(import)
    }

    /// Removes the next clients of an import that is taken back: the place to go on after, and how
    /// many they were.
    async fn remove_brought(
        &mut self,
        by: By<'_>,
        (campaign, import): (CampaignId, ImportId),
        after: i64,
    ) -> Result<(Option<i64>, u64), Fail> {
        self.at(by.now);
        self.load_campaigns([campaign]).await?;
        let clients = sqlx::query(UNCALLED)
            .bind(import.uuid())
            .bind(AT_ONCE)
            .bind(after)
            .fetch_all(self.conn())
            .await?;
        let more = clients.len() == AT_ONCE as usize;
        let last: Option<i64> = match clients.last().filter(|_| more) {
            Some(row) => Some(row.try_get("place")?),
            None => None,
        };
        self.remove_clients(campaign, &clients).await?;
        if last.is_none() {
            sqlx::query("delete from undoing where import = ?1")
                .bind(import.uuid())
                .execute(self.conn())
                .await?;
            self.check_finished(campaign, by.now);
        }
        Ok((last, clients.len() as u64))
    }

    /// Removes clients of whom no call began, with everything that is theirs.
    async fn remove_clients(
        &mut self,
        campaign: CampaignId,
        rows: &[sqlx::sqlite::SqliteRow],
    ) -> Result<(), Fail> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut clients: Vec<ClientId> = Vec::new();
        let mut gone: BTreeMap<ClientStatus, i64> = BTreeMap::new();
        for row in rows {
            clients.push(ClientId::from_uuid(row.try_get("id")?));
            let status = word(row.try_get("status")?, ClientStatus::parse, "client status")?;
            *gone.entry(status).or_default() += 1;
        }
        if let Some(campaign) = self.campaigns.get_mut(&campaign) {
            for (status, count) in gone {
                *campaign.clients.entry(status).or_default() -= count;
                *campaign.moved.entry(status).or_default() -= count;
            }
        }
        let clients = ids(clients);
        self.forget_ended_calls(&clients).await?;
        for sql in [
            "delete from due where client in (select unhex(value, '-') from json_each(?1))",
            "delete from notes where client in (select unhex(value, '-') from json_each(?1))",
            "delete from clients where id in (select unhex(value, '-') from json_each(?1))",
        ] {
            sqlx::query(sql).bind(&clients).execute(self.conn()).await?;
        }
        Ok(())
    }

    /// Removes calls of clients that ended without a dial, and takes them out of the counters.
    async fn forget_ended_calls(&mut self, clients: &str) -> Result<(), Fail> {
        let ended: Vec<Uuid> = sqlx::query_scalar(
            "select id from history where client in (select unhex(value, '-') from json_each(?1))",
        )
        .bind(clients)
        .fetch_all(self.conn())
        .await?;
        if ended.is_empty() {
            return Ok(());
        }
        let ended: BTreeSet<CallId> = ended.into_iter().map(CallId::from_uuid).collect();
        self.load_calls(ended.iter().copied()).await?;
        for id in &ended {
            let Some(row) = self.calls.remove(id) else { continue };
            if let (Some(campaign), Some(tally)) = (row.call.campaign, Tally::of(&row.call)) {
                let key = (campaign, tally.quarter, tally.outcome);
                let cell = self.out.tallies.entry(key).or_default();
                *cell = (cell.0 - 1, cell.1 - i64::from(tally.talk_seconds));
            }
        }
        let ended = ids(ended);
        for sql in [
            "delete from notes where call in (select unhex(value, '-') from json_each(?1))",
            "delete from erased_calls where call in (select unhex(value, '-') from json_each(?1))",
            "delete from call_events where call in (select unhex(value, '-') from json_each(?1))",
            "delete from history where id in (select unhex(value, '-') from json_each(?1))",
        ] {
            sqlx::query(sql).bind(&ended).execute(self.conn()).await?;
        }
        Ok(())
    }

    /// Makes a campaign's calls that began or came in those of strangers.
    async fn orphan_calls(&mut self, campaign: CampaignId) -> Result<(), Fail> {
        for sql in [
            "update in_flight set campaign = null, client = null, sample = null where campaign = ?1",
            "update history set campaign = null, client = null, sample = null
             where campaign = ?1 and (begun_at is not null or direction = 'inbound')",
        ] {
            sqlx::query(sql).bind(campaign.uuid()).execute(self.conn()).await?;
        }
        Ok(())
    }

    /// Removes a campaign that has no clients left.
    async fn remove_campaign(&mut self, id: CampaignId) -> Result<(), Fail> {
        // What was moved so far belongs to rows that go now.
        self.flush().await?;
        self.campaigns.remove(&id);
        for sql in [
            // Test calls that never began are nobody's.
            "delete from due where campaign = ?1",
            "delete from history where campaign = ?1",
            "delete from dial_meters where campaign = ?1",
            "delete from import_rejects
             where import in (select id from imports where campaign = ?1)",
            "delete from undoing where import in (select id from imports where campaign = ?1)",
            "delete from imports where campaign = ?1",
            "delete from client_counts where campaign = ?1",
            "delete from tallies where campaign = ?1",
            "delete from totals where campaign = ?1",
            "delete from dnc where campaign = ?1",
            "delete from dnc_imports where campaign = ?1",
            "delete from retained_clients where campaign = ?1",
            "delete from campaign_settings where campaign = ?1",
            "delete from campaigns where id = ?1",
        ] {
            sqlx::query(sql).bind(id.uuid()).execute(self.conn()).await?;
        }
        Ok(())
    }
}
