use std::sync::Arc;

use async_trait::async_trait;
use callcore::account::{AccountSettings, Day, Meter, Stopped};
use callcore::campaign::{RunState, Settings, Transition};
use callcore::engine::{AccountFacts, SLOT_HOLD};
use callcore::id::{CallId, CampaignId};
use callcore::port::{
    Account, AccountView, ActError, By, CampaignView, Effect, Refused, StoppedAll, StoreError,
};
use callcore::time::Zone;
use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::{Row, SqliteConnection};
use uuid::Uuid;

use super::fail::Fail;
use super::open::SqliteStore;
use super::read;
use super::row::{actor, document, instant, micros};
use super::work::Work;

/// What audit rows about the account name as their object.
const OBJECT: &str = "account";

#[async_trait]
impl Account for SqliteStore {
    async fn account(&self) -> Result<AccountView, StoreError> {
        let read = async {
            let mut conn = self.read().await?;
            account_view(&mut conn).await
        };
        read.await.map_err(|fail: Fail| fail.store("account"))
    }

    async fn change_account(
        &self,
        by: By<'_>,
        version: u32,
        settings: Arc<AccountSettings>,
    ) -> Result<AccountView, ActError> {
        let changed = self.change_account_version(by, version, &settings).await;
        changed.map_err(|fail| fail.act("change_account"))
    }

    async fn stop_all(
        &self,
        by: By<'_>,
        reason: Option<String>,
        hang_up: bool,
    ) -> Result<StoppedAll, ActError> {
        self.throw_switch(by, reason, hang_up).await.map_err(|fail| fail.act("stop_all"))
    }

    async fn resume_all(&self, by: By<'_>) -> Result<AccountView, ActError> {
        self.put_switch_back(by).await.map_err(|fail| fail.act("resume_all"))
    }

    async fn pause_all(&self, by: By<'_>) -> Result<Vec<CampaignView>, ActError> {
        self.pause_running(by).await.map_err(|fail| fail.act("pause_all"))
    }

    async fn meter(
        &self,
        campaign: Option<CampaignId>,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Result<Meter, StoreError> {
        let read = async {
            let mut conn = self.read().await?;
            meter(&mut conn, campaign, from, to).await
        };
        read.await.map_err(|fail: Fail| fail.store("meter"))
    }

    async fn keep_server_zone(&self, zone: &Zone) -> Result<(), StoreError> {
        let keep = async {
            let mut work = self.write().await?;
            sqlx::query("update account set server_zone = ?1")
                .bind(zone.name())
                .execute(work.conn())
                .await?;
            work.commit().await
        };
        keep.await.map_err(|fail: Fail| fail.store("keep_server_zone"))
    }
}

impl SqliteStore {
    async fn change_account_version(
        &self,
        by: By<'_>,
        version: u32,
        settings: &AccountSettings,
    ) -> Result<AccountView, Fail> {
        let mut work = self.write().await?;
        work.enter(by).await?;
        let account = account_view(work.conn()).await?;
        let current = account.settings_version;
        if current != version {
            return Err(Refused::Stale { current }.into());
        }
        let (old, new) = (account.settings.to_json(), settings.to_json());
        sqlx::query("insert into account_settings (version, document) values (?1, ?2)")
            .bind(current + 1)
            .bind(new.to_string())
            .execute(work.conn())
            .await?;
        sqlx::query("update account set settings_version = ?1")
            .bind(current + 1)
            .execute(work.conn())
            .await?;
        work.audit(by, "account.change", OBJECT.to_owned(), Some(old), Some(new)).await?;
        work.account_changed(by).await
    }
}

impl SqliteStore {
    async fn throw_switch(
        &self,
        by: By<'_>,
        reason: Option<String>,
        hang_up: bool,
    ) -> Result<StoppedAll, Fail> {
        let mut work = self.write().await?;
        work.enter(by).await?;
        // Whoever stopped first is shown.
        sqlx::query(
            "update account set stopped_at = ?1, stopped_by = ?2, stop_reason = ?3
             where stopped_at is null",
        )
        .bind(micros(by.now))
        .bind(by.actor.to_string())
        .bind(&reason)
        .execute(work.conn())
        .await?;
        let new = json!({"reason": reason});
        work.audit(by, "account.stop", OBJECT.to_owned(), None, Some(new)).await?;
        let live: Vec<Uuid> =
            sqlx::query_scalar("select id from in_flight where begun_at is not null order by id")
                .fetch_all(work.conn())
                .await?;
        let in_flight: Vec<CallId> = live.into_iter().map(CallId::from_uuid).collect();
        if hang_up {
            work.ask_to_hang_up(&in_flight).await?;
        }
        let account = account_view(work.conn()).await?;
        let done = StoppedAll { account, in_flight };
        work.leave(by, &Effect::Stopped(Box::new(done.clone()))).await?;
        work.commit().await?;
        Ok(done)
    }

    async fn put_switch_back(&self, by: By<'_>) -> Result<AccountView, Fail> {
        let mut work = self.write().await?;
        work.enter(by).await?;
        sqlx::query("update account set stopped_at = null, stopped_by = null, stop_reason = null")
            .execute(work.conn())
            .await?;
        work.audit(by, "account.resume", OBJECT.to_owned(), None, None).await?;
        work.account_changed(by).await
    }

    async fn pause_running(&self, by: By<'_>) -> Result<Vec<CampaignView>, Fail> {
        let mut work = self.write().await?;
        work.enter(by).await?;
        let running: Vec<Uuid> =
            sqlx::query_scalar("select id from campaigns where state = ?1 order by created_at, id")
                .bind(RunState::Running.as_str())
                .fetch_all(work.conn())
                .await?;
        let running: Vec<CampaignId> = running.into_iter().map(CampaignId::from_uuid).collect();
        work.load_campaigns(running.iter().copied()).await?;
        for id in &running {
            work.transit(by, *id, Transition::Pause).await?;
        }
        work.flush().await?;
        let settings = work.settings;
        let paused = read::campaign_views(work.conn(), settings, &running).await?;
        work.leave(by, &Effect::Paused(paused.clone())).await?;
        work.commit().await?;
        Ok(paused)
    }
}

impl Work<'_> {
    /// Ends a change of the account: the view as it now is, the saved answer, the commit.
    async fn account_changed(mut self, by: By<'_>) -> Result<AccountView, Fail> {
        self.flush().await?;
        let view = account_view(self.conn()).await?;
        self.leave(by, &Effect::Account(Box::new(view.clone()))).await?;
        self.commit().await?;
        Ok(view)
    }
}

/// The account as it is.
pub(super) async fn account_view(conn: &mut SqliteConnection) -> Result<AccountView, Fail> {
    let row = sqlx::query(
        "select account.*, document from account
         join account_settings on account_settings.version = account.settings_version",
    )
    .fetch_one(conn)
    .await?;
    let settings = document(row.try_get("document")?, "account settings")?;
    let settings = AccountSettings::from_json(&settings);
    let zone: &str = row.try_get("server_zone")?;
    let stopped_at: Option<i64> = row.try_get("stopped_at")?;
    let stopped_by: Option<&str> = row.try_get("stopped_by")?;
    let stopped = match (stopped_at, stopped_by) {
        (Some(at), Some(by)) => {
            let reason = row.try_get("stop_reason")?;
            Some(Stopped { at: instant(at)?, by: actor(by)?, reason })
        }
        _ => None,
    };
    Ok(AccountView {
        settings_version: row.try_get("settings_version")?,
        settings: Arc::new(settings.map_err(|_| Fail::Corrupt("account settings"))?),
        server_zone: zone.parse().map_err(|_| Fail::Corrupt("time zone"))?,
        stopped,
        live: row.try_get::<i64, _>("live")?.cast_unsigned(),
    })
}

/// The account as a gate sees it.
pub(super) async fn account_facts(
    conn: &mut SqliteConnection,
    now: DateTime<Utc>,
) -> Result<AccountFacts, Fail> {
    let view = account_view(conn).await?;
    let next_dial_at: i64 =
        sqlx::query_scalar("select next_dial_at from account").fetch_one(&mut *conn).await?;
    let in_flight = match view.settings.calls_at_once {
        Some(_) => slots_held(conn, view.live, now).await?,
        None => 0,
    };
    let today = match view.settings.spend_per_day {
        Some(_) => day(conn, None, view.zone(), now).await?,
        None => Day::default(),
    };
    Ok(AccountFacts {
        stopped: view.stopped.is_some(),
        settings: view.settings,
        today,
        in_flight,
        next_dial_at: instant(next_dial_at)?,
    })
}

/// How many of the live calls hold a slot: those that are not older than one is held.
async fn slots_held(
    conn: &mut SqliteConnection,
    live: u64,
    now: DateTime<Utc>,
) -> Result<u32, Fail> {
    let given_up: i64 = sqlx::query_scalar("select count(*) from in_flight where begun_at <= ?1")
        .bind(micros(now - SLOT_HOLD))
        .fetch_one(conn)
        .await?;
    Ok(u32::try_from(live.saturating_sub(given_up.cast_unsigned())).unwrap_or(u32::MAX))
}

/// The dials of a local day, of a campaign or of the account.
pub(super) async fn day(
    conn: &mut SqliteConnection,
    campaign: Option<CampaignId>,
    zone: &Zone,
    now: DateTime<Utc>,
) -> Result<Day, Fail> {
    let (from, ends) = zone.day(now);
    Ok(Day { ends, dials: meter(conn, campaign, from, ends).await? })
}

/// The dials of a campaign's local day; empty if it has no budget.
pub(super) async fn campaign_day(
    conn: &mut SqliteConnection,
    campaign: CampaignId,
    settings: &Settings,
    now: DateTime<Utc>,
) -> Result<Day, Fail> {
    match settings.budget.calls_per_day {
        Some(_) => day(conn, Some(campaign), &settings.time_zone, now).await,
        None => Ok(Day::default()),
    }
}

/// Whose dials a row of `dial_meters` counts: an empty campaign is the account.
pub(super) fn meter_key(campaign: Option<CampaignId>) -> Vec<u8> {
    campaign.map(|id| id.uuid().as_bytes().to_vec()).unwrap_or_default()
}

async fn meter(
    conn: &mut SqliteConnection,
    campaign: Option<CampaignId>,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Meter, Fail> {
    let row = sqlx::query(
        "select coalesce(sum(begun), 0) as begun, coalesce(sum(live), 0) as live,
             coalesce(sum(minutes), 0) as minutes
         from dial_meters where campaign = ?1 and quarter >= ?2 and quarter < ?3",
    )
    .bind(meter_key(campaign))
    .bind(micros(from))
    .bind(micros(to))
    .fetch_one(conn)
    .await?;
    let sum = |column| -> Result<u64, Fail> { Ok(row.try_get::<i64, _>(column)?.cast_unsigned()) };
    Ok(Meter { begun: sum("begun")?, live: sum("live")?, minutes: sum("minutes")? })
}
