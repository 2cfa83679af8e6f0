//! Claiming due calls, and when the next one is due.

use std::collections::BTreeSet;
use std::sync::Arc;

use callcore::campaign::RunState;
use callcore::engine::{AccountFacts, Facts, SLOT_HOLD, dials_allowed};
use callcore::id::{CallId, CampaignId};
use callcore::port::{ClaimRequest, NoticeDay, NoticeKind};
use chrono::{DateTime, Utc};
use sqlx::{Row, SqliteConnection};

use super::account::{account_facts, account_view, campaign_day};
use super::facts::facts;
use super::fail::Fail;
use super::open::{SettingsCache, SqliteStore};
use super::row::{ids, instant, micros};
use super::work::Work;

impl SqliteStore {
    pub(super) async fn claim(&self, request: ClaimRequest) -> Result<Vec<Facts>, Fail> {
        let mut work = self.write().await?;
        sqlx::query("update due set lease_until = null where lease_until <= ?1")
            .bind(micros(request.wall))
            .execute(work.conn())
            .await?;
        let account = Arc::new(account_facts(work.conn(), request.now).await?);
        work.tell_if_spent(request.now, &account).await?;
        let calls = claimable(work.conn(), &self.settings, request, &account).await?;
        if calls.is_empty() {
            work.commit().await?;
            return Ok(Vec::new());
        }
        let claims: i64 = sqlx::query_scalar(
            "update claims set latest = latest + json_array_length(?1) returning latest",
        )
        .bind(ids(&calls))
        .fetch_one(work.conn())
        .await?;
        sqlx::query(
            "update due set epoch = ?2 + claimed.key, lease_until = ?3
             from json_each(?1) as claimed where due.id = unhex(claimed.value, '-')",
        )
        .bind(ids(&calls))
        .bind(claims + 1 - i64::try_from(calls.len()).unwrap_or(i64::MAX))
        .bind(micros(request.wall + request.lease_for))
        .execute(work.conn())
        .await?;
        // Of one priority, whoever was served longest ago is served next.
        sqlx::query(
            "update campaigns set turn = served.epoch
             from (select campaign, max(epoch) as epoch from due
                 where planned = 1 and id in (select unhex(value, '-') from json_each(?1))
                 group by campaign) as served
             where campaigns.id = served.campaign",
        )
        .bind(ids(&calls))
        .execute(work.conn())
        .await?;
        let facts = facts(work.conn(), &self.settings, &calls, &account, request.now).await?;
        work.commit().await?;
        Ok(facts)
    }

    pub(super) async fn next_due_at(
        &self,
        now: DateTime<Utc>,
    ) -> Result<Option<DateTime<Utc>>, Fail> {
        let mut conn = self.read().await?;
        let Some(open) = account_facts(&mut conn, now).await?.opens_at(now) else {
            return Ok(None);
        };
        let rows = sqlx::query(
            "select id, state, settings_version, next_dial_at,
                 (select count(*) from in_flight
                     where in_flight.campaign = campaigns.id and begun_at > ?1) as held,
                 (select due_at from due where due.campaign = campaigns.id and planned = 1
                     and lease_until is null order by due_at limit 1) as planned_at,
                 (select due_at from due where due.campaign = campaigns.id and planned = 0
                     and lease_until is null order by due_at limit 1) as asked_at
             from campaigns where (state in ('running', 'paused', 'finished')
                     and exists (select 1 from due where due.campaign = campaigns.id))
                 -- A draft has test calls only.
                 or (state = 'draft' and exists (select 1 from due
                     where due.campaign = campaigns.id and planned = 0))",
        )
        .bind(micros(now - SLOT_HOLD))
        .fetch_all(&mut *conn)
        .await?;
        let mut next: Option<DateTime<Utc>> = None;
        for row in rows {
            let id = CampaignId::from_uuid(row.try_get("id")?);
            let version = row.try_get("settings_version")?;
            let readable = self.settings.load_readable(&mut conn, id, version).await?;
            let Some(settings) = readable else { continue };
            let held: i64 = row.try_get("held")?;
            if held >= i64::from(settings.pacing.max_concurrent) {
                continue;
            }
            let running = row.try_get::<&str, _>("state")? == RunState::Running.as_str();
            let planned: Option<i64> = row.try_get("planned_at")?;
            let pace: i64 = row.try_get("next_dial_at")?;
            let planned = planned.filter(|_| running).map(|due_at| due_at.max(pace));
            let asked: Option<i64> = row.try_get("asked_at")?;
            if planned.is_none() && asked.is_none() {
                continue;
            }
            let day = campaign_day(&mut conn, id, &settings, now).await?;
            let from = if settings.budget.allows(&day, now) { open } else { open.max(day.ends) };
            for at in planned.into_iter().chain(asked) {
                let at = instant(at)?.max(from);
                next = Some(next.map_or(at, |next| next.min(at)));
            }
        }
        Ok(next)
    }
}

impl Work<'_> {
    /// Says once a day that calls wait because the account's money is used up.
    async fn tell_if_spent(
        &mut self,
        now: DateTime<Utc>,
        account: &AccountFacts,
    ) -> Result<(), Fail> {
        if !account.is_spent(now) {
            return Ok(());
        }
        let waiting: bool = sqlx::query_scalar(
            "select exists (select 1 from campaigns where state = ?1
                 and (exists (select 1 from due where due.campaign = campaigns.id
                         and planned = 1 and due_at <= ?2 and lease_until is null)
                     or exists (select 1 from due where due.campaign = campaigns.id
                         and planned = 0 and due_at <= ?2 and lease_until is null)))",
        )
        .bind(RunState::Running.as_str())
        .bind(micros(now))
        .fetch_one(self.conn())
        .await?;
        if waiting {
            let date = account_view(self.conn()).await?.zone().date(now);
            self.notify(now, NoticeKind::SpendReached(NoticeDay(date)));
        }
        Ok(())
    }
}

/// A call's place in a claim: whether it is planned, its campaign's rank and turn, due time and id.
type Place = (bool, i64, (u32, i64), i64, CallId);

/// The calls a claim gets, in order.
async fn claimable(
    conn: &mut SqliteConnection,
    settings: &SettingsCache,
    request: ClaimRequest,
    account: &AccountFacts,
) -> Result<Vec<CallId>, Fail> {
    let leased: u32 = sqlx::query_scalar("select count(*) from due where lease_until is not null")
        .fetch_one(&mut *conn)
        .await?;
    let limit = account.dials_free(request.now, leased).min(request.limit);
    if limit == 0 {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(
        "select id, state, settings_version, next_dial_at, turn,
             (select count(*) from in_flight
                 where in_flight.campaign = campaigns.id and begun_at > ?1) as held,
             (select count(*) from due
                 where due.campaign = campaigns.id and lease_until is not null) as leased
         from campaigns where (state in ('running', 'paused', 'finished')
                 and exists (select 1 from due where due.campaign = campaigns.id
                     and planned = 1 and due_at <= ?2))
             or (state <> 'stopped' and exists (select 1 from due
                 where due.campaign = campaigns.id and planned = 0 and due_at <= ?2))",
    )
    .bind(micros(request.now - SLOT_HOLD))
    .bind(micros(request.now))
    .fetch_all(&mut *conn)
    .await?;
    let mut found: BTreeSet<Place> = BTreeSet::new();
    for row in rows {
        let id = CampaignId::from_uuid(row.try_get("id")?);
        let version = row.try_get("settings_version")?;
        let Some(settings) = settings.load_readable(conn, id, version).await? else { continue };
        let (held, leased): (i64, i64) = (row.try_get("held")?, row.try_get("leased")?);
        let mut slots = i64::from(settings.pacing.max_concurrent) - held - leased;
        if let Some(most) = settings.budget.calls_per_day {
            let day = campaign_day(conn, id, &settings, request.now).await?;
            slots = slots.min(i64::from(most) - day.dials.begun.cast_signed() - leased);
        }
        let mut slots = slots.clamp(0, i64::from(limit));
        let running = row.try_get::<&str, _>("state")? == RunState::Running.as_str();
        let next_dial = instant(row.try_get("next_dial_at")?)?;
        let pace = dials_allowed(next_dial, request.now, settings.pacing.calls_per_second);
        for planned in [false, true] {
            let most = match planned {
                false => slots,
                true if running => slots.min(i64::from(pace)),
                true => 0,
            };
            if most == 0 {
                continue;
            }
            let calls = sqlx::query(
                "select id, due_at from due where campaign = ?1 and planned = ?2
                     and due_at <= ?3 and lease_until is null order by due_at, id limit ?4",
            )
            .bind(id.uuid())
            .bind(planned)
            .bind(micros(request.now))
            .bind(most)
            .fetch_all(&mut *conn)
            .await?;
            let (rank, turn) = (-i64::from(settings.priority), row.try_get("turn")?);
            for (call, round) in calls.into_iter().zip(0_u32..) {
                let (due_at, call) = (call.try_get("due_at")?, call.try_get("id")?);
                // Wishes take no turns.
                let turn = if planned { (round, turn) } else { (0, 0) };
                found.insert((planned, rank, turn, due_at, CallId::from_uuid(call)));
                slots -= 1;
            }
        }
    }
    Ok(found.into_iter().map(|(.., id)| id).take(limit as usize).collect())
}
