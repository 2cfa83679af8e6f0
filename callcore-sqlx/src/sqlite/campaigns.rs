use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use callcore::campaign::{Pause, RunState, Settings, Transition};
use callcore::client::ClientStatus;
use callcore::id::{CampaignId, ClientId, ImportId};
use callcore::import::ImportReport;
use callcore::port::{
    ActError, Added, BeginImport, By, CampaignView, Campaigns, ClientQuery, ClientView, Cursor,
    Effect, ExportRow, Import, ImportStatus, NewCampaign, NewClient, Page, Refused, StoreError,
    TallyRow,
};
use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};

use super::fail::Fail;
use super::import::import_of;
use super::open::SqliteStore;
use super::read;
use super::row::{instant, micros};
use super::search::{Needle, cut, push_key, push_place};
use super::work::Work;

#[async_trait]
impl Campaigns for SqliteStore {
    async fn create_campaign(
        &self,
        by: By<'_>,
        new: NewCampaign,
    ) -> Result<CampaignView, ActError> {
        self.create(by, new).await.map_err(|fail| fail.act("create_campaign"))
    }

    async fn change_settings(
        &self,
        by: By<'_>,
        id: CampaignId,
        version: u32,
        settings: Arc<Settings>,
    ) -> Result<CampaignView, ActError> {
        let changed = self.change_version(by, id, version, &settings).await;
        changed.map_err(|fail| fail.act("change_settings"))
    }

    async fn change_state(
        &self,
        by: By<'_>,
        id: CampaignId,
        transition: Transition,
    ) -> Result<CampaignView, ActError> {
        self.change_run_state(by, id, transition).await.map_err(|fail| fail.act("change_state"))
    }

    async fn campaign(&self, id: CampaignId) -> Result<Option<CampaignView>, StoreError> {
        let read = async {
            let mut conn = self.read().await?;
            read::campaign_view(&mut conn, &self.settings, id).await
        };
        read.await.map_err(|fail: Fail| fail.store("campaign"))
    }

    async fn settings(
        &self,
        id: CampaignId,
        version: u32,
    ) -> Result<Option<Arc<Settings>>, StoreError> {
        let read = async {
            let mut conn = self.read().await?;
            self.settings.load(&mut conn, id, version).await
        };
        read.await.map_err(|fail: Fail| fail.store("settings"))
    }

    async fn campaigns(
        &self,
        states: &[RunState],
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<Page<CampaignView>, StoreError> {
        self.campaign_page(states, after, limit).await.map_err(|fail| fail.store("campaigns"))
    }

    async fn begin_import(&self, by: By<'_>, new: BeginImport) -> Result<Import, ActError> {
        self.add_import(by, new).await.map_err(|fail| fail.act("begin_import"))
    }

    async fn add_clients(
        &self,
        by: By<'_>,
        import: ImportId,
        clients: &[NewClient],
    ) -> Result<Vec<Added>, ActError> {
        self.add_batch(by, import, clients).await.map_err(|fail| fail.act("add_clients"))
    }

    async fn report_import(
        &self,
        by: By<'_>,
        import: ImportId,
        status: ImportStatus,
        report: &ImportReport,
    ) -> Result<Import, ActError> {
        let done = self.store_report(by, import, status, report).await;
        done.map_err(|fail| fail.act("report_import"))
    }

    async fn fail_running_imports(&self, by: By<'_>) -> Result<u64, StoreError> {
        self.fail_imports(by).await.map_err(|fail| fail.store("fail_running_imports"))
    }

    async fn import(&self, id: ImportId) -> Result<Option<Import>, StoreError> {
        let read = async {
            let mut conn = self.read().await?;
            let row = sqlx::query("select * from imports where id = ?1")
                .bind(id.uuid())
                .fetch_optional(&mut *conn)
                .await?;
            row.as_ref().map(import_of).transpose()
        };
        read.await.map_err(|fail: Fail| fail.store("import"))
    }

    async fn client(&self, id: ClientId) -> Result<Option<ClientView>, StoreError> {
        let read = async {
            let mut conn = self.read().await?;
            let place: Option<i64> = sqlx::query_scalar("select place from clients where id = ?1")
                .bind(id.uuid())
                .fetch_optional(&mut *conn)
                .await?;
            let Some(place) = place else { return Ok(None) };
            Ok(read::client_views(&mut conn, &[place]).await?.pop().map(|(_, view)| view))
        };
        read.await.map_err(|fail: Fail| fail.store("client"))
    }

    async fn clients(&self, query: &ClientQuery) -> Result<Page<ClientView>, StoreError> {
        self.client_page(query).await.map_err(|fail| fail.store("clients"))
    }

    async fn export_clients(
        &self,
        campaign: CampaignId,
        after: Option<u64>,
        limit: u32,
    ) -> Result<Vec<ExportRow>, StoreError> {
        let rows = self.export(campaign, after, limit).await;
        rows.map_err(|fail| fail.store("export_clients"))
    }

    async fn imports(&self, campaign: CampaignId) -> Result<Vec<Import>, StoreError> {
        let read = async {
            let mut conn = self.read().await?;
            let rows = sqlx::query("select * from imports where campaign = ?1 order by id")
                .bind(campaign.uuid())
                .fetch_all(&mut *conn)
                .await?;
            rows.iter().map(import_of).collect::<Result<Vec<_>, Fail>>()
        };
        read.await.map_err(|fail: Fail| fail.store("imports"))
    }

    async fn tallies(
        &self,
        campaign: Option<CampaignId>,
        from: Option<DateTime<Utc>>,
        to: Option<DateTime<Utc>>,
    ) -> Result<Vec<TallyRow>, StoreError> {
        self.tally(campaign, (from, to)).await.map_err(|fail| fail.store("tallies"))
    }
}

impl SqliteStore {
    async fn create(&self, by: By<'_>, new: NewCampaign) -> Result<CampaignView, Fail> {
        let mut work = self.write().await?;
        work.enter(by).await?;
        work.check_audio(&new.settings).await?;
        sqlx::query(
            "insert into campaigns (id, state, settings_version, created_at, created_by)
             values (?1, ?2, 1, ?3, ?4)",
        )
        .bind(new.id.uuid())
        .bind(RunState::Draft.as_str())
        .bind(micros(by.now))
        .bind(by.actor.to_string())
        .execute(work.conn())
        .await?;
        let document = new.settings.to_json();
        work.add_version(new.id, 1, &document).await?;
        work.audit(by, "campaign.create", new.id.to_string(), None, Some(document)).await?;
        work.campaign_changed(by, new.id).await
    }

    async fn change_version(
        &self,
        by: By<'_>,
        id: CampaignId,
        version: u32,
        settings: &Settings,
    ) -> Result<CampaignView, Fail> {
        let mut work = self.write().await?;
        work.enter(by).await?;
        work.load_campaigns([id]).await?;
        let campaign = work.campaign(id)?;
        let current = campaign.settings_version;
        if current != version {
            return Err(Refused::Stale { current }.into());
        }
        let (old, new) = (campaign.settings.to_json(), settings.to_json());
        work.check_audio(settings).await?;
        work.add_version(id, current + 1, &new).await?;
        sqlx::query("update campaigns set settings_version = ?2 where id = ?1")
            .bind(id.uuid())
            .bind(current + 1)
            .execute(work.conn())
            .await?;
        work.audit(by, "campaign.change", id.to_string(), Some(old), Some(new)).await?;
        work.campaign_changed(by, id).await
    }

    async fn change_run_state(
        &self,
        by: By<'_>,
        id: CampaignId,
        transition: Transition,
    ) -> Result<CampaignView, Fail> {
        let mut work = self.write().await?;
        work.enter(by).await?;
        work.load_campaigns([id]).await?;
        work.transit(by, id, transition).await?;
        work.campaign_changed(by, id).await
    }

    async fn campaign_page(
        &self,
        states: &[RunState],
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<Page<CampaignView>, Fail> {
        let mut sql =
            QueryBuilder::<Sqlite>::new("select id, created_at from campaigns where true");
        if !states.is_empty() {
            let words: Vec<&str> = states.iter().map(|state| state.as_str()).collect();
            sql.push(" and state in (select value from json_each(");
            sql.push_bind(serde_json::to_string(&words)?).push("))");
        }
        if let Some(after) = after {
            push_place(&mut sql, "(created_at, id) <", &after);
        }
        sql.push(" order by created_at desc, id desc limit ");
        sql.push_bind(i64::from(limit) + 1);
        let mut conn = self.read().await?;
        let rows = sql.build().fetch_all(&mut *conn).await?;
        let keys = rows.iter().map(|row| key(row, "created_at")).collect::<Result<Vec<_>, _>>()?;
        let page = cut(keys, limit, Cursor::clone);
        let wanted: Vec<_> = page.items.iter().map(|key| CampaignId::from_uuid(key.id)).collect();
        let items = read::campaign_views(&mut conn, &self.settings, &wanted).await?;
        Ok(Page { items, next: page.next })
    }

    async fn client_page(&self, query: &ClientQuery) -> Result<Page<ClientView>, Fail> {
        let mut conn = self.read().await?;
        let mut places: BTreeSet<i64> = BTreeSet::new();
        // One walk in the order of places for each alternative of the filter that has an index:
        // what is first in all of them is first in one of them.
        let walks: Vec<Walk<'_>> = if !query.tags.is_empty() {
            query.tags.iter().map(|tag| Walk::Tag(tag)).collect()
        } else if !query.statuses.is_empty() {
            query.statuses.iter().map(|status| Walk::Status(*status)).collect()
        } else {
            vec![Walk::All]
        };
        for walk in walks {
            let found: Vec<i64> =
                walk.sql(query)?.build_query_scalar().fetch_all(&mut *conn).await?;
            places.extend(found);
        }
        let places: Vec<i64> = places.into_iter().take(query.limit as usize + 1).collect();
        let views = read::client_views(&mut conn, &places).await?;
        let page =
            cut(views, query.limit, |(place, view)| Cursor::number(*place, view.client.id.uuid()));
        let items = page.items.into_iter().map(|(_, view)| view).collect();
        Ok(Page { items, next: page.next })
    }

    async fn export(
        &self,
        campaign: CampaignId,
        after: Option<u64>,
        limit: u32,
    ) -> Result<Vec<ExportRow>, Fail> {
        let mut conn = self.read().await?;
        let places: Vec<i64> = sqlx::query_scalar(
            "select place from clients where campaign = ?1 and place > ?2 order by place limit ?3",
        )
        .bind(campaign.uuid())
        .bind(after.map_or(-1, u64::cast_signed))
        .bind(limit)
        .fetch_all(&mut *conn)
        .await?;
        let views = read::client_views(&mut conn, &places).await?;
        let row = |(place, view): (u64, ClientView)| {
            let ClientView { client, on_dnc } = view;
            ExportRow { place, client, on_dnc }
        };
        Ok(views.into_iter().map(row).collect())
    }
}

/// Which clients of a campaign are walked over, in the order they came in.
enum Walk<'a> {
    All,
    Status(ClientStatus),
    Tag(&'a str),
}

impl Walk<'_> {
    /// The places of the first clients that are wanted, one more than asked for.
    fn sql(&self, query: &ClientQuery) -> Result<QueryBuilder<Sqlite>, Fail> {
        let mut sql = QueryBuilder::<Sqlite>::new("select place from ");
        let place = match self {
            Self::Tag(tag) => {
                sql.push(
                    "client_tags cross join clients on place = client_tags.client where tag = ",
                );
                sql.push_bind((*tag).to_owned()).push(" and client_tags.campaign = ");
                sql.push_bind(query.campaign.uuid());
                "client_tags.client"
            }
            Self::Status(status) => {
                sql.push("clients where campaign = ").push_bind(query.campaign.uuid());
                sql.push(" and status = ").push_bind(status.as_str());
                "place"
            }
            Self::All => {
                sql.push("clients where campaign = ").push_bind(query.campaign.uuid());
                "place"
            }
        };
        if let Some(after) = &query.after {
            sql.push(" and ").push(place).push(" > ");
            push_key(&mut sql, &after.key);
        }
        if matches!(self, Self::Tag(_)) && !query.statuses.is_empty() {
            sql.push(" and status in (select value from json_each(");
            sql.push_bind(serde_json::to_string(&query.statuses)?).push("))");
        }
        if let Some(q) = &query.q {
            sql.push(" and ");
            Needle::new(q).push_clients(&mut sql);
        }
        sql.push(" order by ").push(place).push(" limit ");
        sql.push_bind(i64::from(query.limit) + 1);
        Ok(sql)
    }
}

/// The place of a row in a list.
fn key(row: &SqliteRow, at: &str) -> Result<Cursor, Fail> {
    Ok(Cursor::at(instant(row.try_get(at)?)?, row.try_get("id")?))
}

impl Work<'_> {
    async fn add_version(
        &mut self,
        campaign: CampaignId,
        version: u32,
        document: &serde_json::Value,
    ) -> Result<(), Fail> {
        sqlx::query(
            "insert into campaign_settings (campaign, version, document) values (?1, ?2, ?3)",
        )
        .bind(campaign.uuid())
        .bind(version)
        .bind(document.to_string())
        .execute(self.conn())
        .await?;
        Ok(())
    }

    /// Changes the run state of a campaign that is loaded.
    pub(super) async fn transit(
        &mut self,
        by: By<'_>,
        id: CampaignId,
        transition: Transition,
    ) -> Result<(), Fail> {
        let Some(campaign) = self.campaigns.get_mut(&id) else {
            return Err(Refused::NotFound.into());
        };
        let old = campaign.state;
        campaign.state = old.after(transition).map_err(Refused::from)?;
        campaign.changed = true;
        let new = campaign.state;
        let pause = || Pause { at: by.now, by: by.actor.clone(), reason: None };
        campaign.pause = (transition == Transition::Pause).then(pause);
        match transition {
            Transition::Start => {
                if campaign.clients.values().sum::<i64>() == 0 {
                    return Err(Refused::NoClients.into());
                }
                campaign.started_at = Some(by.now);
                // What was due before the campaign started is due now.
                sqlx::query(
                    "update due set due_at = max(due_at, ?2), serving = 1
                     where campaign = ?1 and intent <> 'test'",
                )
                .bind(id.uuid())
                .bind(micros(by.now))
                .execute(self.conn())
                .await?;
            }
            Transition::Stop => {
                campaign.ended_at = Some(by.now);
                self.cancel_all(by, id).await?;
            }
            Transition::Resume => campaign.counted_from = by.now,
            Transition::Pause => {}
        }
        self.check_finished(id, by.now);
        let action = format!("campaign.{}", transition.as_str());
        let (old, new) = (json!(old.as_str()), json!(new.as_str()));
        self.audit(by, &action, id.to_string(), Some(old), Some(new)).await
    }

    /// Ends a change of a campaign: the view as it now is, the saved answer, the commit.
    async fn campaign_changed(mut self, by: By<'_>, id: CampaignId) -> Result<CampaignView, Fail> {
        self.flush().await?;
        let settings = self.settings;
        let view = read::campaign_view(self.conn(), settings, id).await?;
        let view = view.ok_or(Refused::NotFound)?;
        self.leave(by, &Effect::Campaign(Box::new(view.clone()))).await?;
        self.commit().await?;
        Ok(view)
    }
}
