//! Adding up.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use callcore::call::Outcome;
use callcore::client::ClientStatus;
use callcore::engine::Tally;
use callcore::id::{CallId, CampaignId, ImportId};
use callcore::port::{Attention, Numbers, Rejects, StoreError, Tagged, TallyRow, Waiting};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};

use super::account::account_facts;
use super::fail::Fail;
use super::open::SqliteStore;
use super::row::{instant, micros, word};
use super::{facts, read};

/// The length of a quarter of an hour, as instants are kept.
const QUARTER: TimeDelta = TimeDelta::minutes(15);

#[async_trait]
impl Numbers for SqliteStore {
    async fn tagged(
        &self,
        campaign: CampaignId,
        tags: &[String],
        from: Option<DateTime<Utc>>,
        to: Option<DateTime<Utc>>,
    ) -> Result<Tagged, StoreError> {
        let read = self.count_tagged(campaign, tags, (from, to)).await;
        read.map_err(|fail| fail.store("tagged"))
    }

    async fn attention(&self, since: DateTime<Utc>, limit: u32) -> Result<Attention, StoreError> {
        let read = async {
            let mut conn = self.read().await?;
            Ok(Attention {
                clients_to_follow_up: clients_to_follow_up(&mut conn, limit).await?,
                calls_to_follow_up: calls(&mut conn, CALLS_TO_FOLLOW_UP, limit).await?,
                unknown_calls: calls(&mut conn, UNKNOWN_CALLS, limit).await?,
                rejects: rejects(&mut conn, since, limit).await?,
            })
        };
        read.await.map_err(|fail: Fail| fail.store("attention"))
    }

    async fn waiting(
        &self,
        campaign: CampaignId,
        after: Option<u64>,
        limit: u32,
    ) -> Result<Waiting, StoreError> {
        let read = self.walk_waiting(campaign, after, limit).await;
        read.map_err(|fail| fail.store("waiting"))
    }
}

/// Bounds of a stretch of time, from inclusive, to exclusive.
type Bounds = (Option<DateTime<Utc>>, Option<DateTime<Utc>>);

impl SqliteStore {
    /// Counters of a stretch. Those of whole quarters are kept; what is less at its ends is counted
    /// from the rows, at most half an hour of them.
    pub(super) async fn tally(
        &self,
        campaign: Option<CampaignId>,
        (from, to): Bounds,
    ) -> Result<Vec<TallyRow>, Fail> {
        let mut conn = self.read().await?;
        let first = from.map(|from| {
            let quarter = Tally::quarter_of(from);
            if quarter == from { from } else { quarter + QUARTER }
        });
        let last = to.map(Tally::quarter_of);
        let mut sums = Sums::default();
        if let (Some(first), Some(last)) = (first, last)
            && first >= last
        {
            count_rows(&mut conn, &mut sums, campaign, (from, to)).await?;
            return sums.rows();
        }
        if from < first {
            count_rows(&mut conn, &mut sums, campaign, (from, first)).await?;
        }
        if last < to {
            count_rows(&mut conn, &mut sums, campaign, (last, to)).await?;
        }
        let mut sql = QueryBuilder::<Sqlite>::new(
            "select quarter, outcome, sum(calls) as calls, sum(talk_seconds) as talk_seconds
             from tallies where true",
        );
        push_campaign(&mut sql, campaign);
        push_bounds(&mut sql, "quarter", (first, last));
        sql.push(" group by quarter, outcome having sum(calls) > 0");
        for row in sql.build().fetch_all(&mut *conn).await? {
            sums.add(&row)?;
        }
        sums.rows()
    }

    async fn count_tagged(
        &self,
        campaign: CampaignId,
        tags: &[String],
        bounds: Bounds,
    ) -> Result<Tagged, Fail> {
        let mut conn = self.read().await?;
        let tags = serde_json::to_string(tags)?;
        let rows = sqlx::query(
            "select status, count(*) as clients from clients where place in (
                 select client from client_tags
                 where campaign = ?1 and tag in (select value from json_each(?2)))
             group by status",
        )
        .bind(campaign.uuid())
        .bind(&tags)
        .fetch_all(&mut *conn)
        .await?;
        let mut clients = BTreeMap::new();
        for row in rows {
            let status = word(row.try_get("status")?, ClientStatus::parse, "client status")?;
            clients.insert(status, row.try_get::<i64, _>("clients")?.cast_unsigned());
        }
        let mut sql = QueryBuilder::<Sqlite>::new(COUNT);
        sql.push(" and client in (select clients.id from clients where place in (");
        sql.push("select client from client_tags where campaign = ").push_bind(campaign.uuid());
        sql.push(" and tag in (select value from json_each(").push_bind(tags).push("))))");
        push_bounds(&mut sql, "ended_at", bounds);
        let mut sums = Sums::default();
        sums.add_all(&mut conn, sql).await?;
        Ok(Tagged { clients, tallies: sums.rows()? })
    }

    async fn walk_waiting(
        &self,
        campaign: CampaignId,
        after: Option<u64>,
        limit: u32,
    ) -> Result<Waiting, Fail> {
        let mut conn = self.read().await?;
        let rows = sqlx::query(
            "select place, (select due.id from due where due.client = clients.id limit 1) as call
             from clients where campaign = ?1 and place > ?2 order by place limit ?3",
        )
        .bind(campaign.uuid())
        .bind(after.map_or(-1, u64::cast_signed))
        .bind(limit)
        .fetch_all(&mut *conn)
        .await?;
        let (mut calls, mut next) = (Vec::new(), None);
        for row in &rows {
            next = Some(row.try_get::<i64, _>("place")?.cast_unsigned());
            calls.extend(row.try_get::<Option<uuid::Uuid>, _>("call")?.map(CallId::from_uuid));
        }
        let next = next.filter(|_| rows.len() == limit as usize);
        let now = read::latest_instant(&mut conn).await?.unwrap_or(DateTime::UNIX_EPOCH);
        let account = Arc::new(account_facts(&mut conn, now).await?);
        let facts = facts::facts(&mut conn, &self.settings, &calls, &account, now).await?;
        Ok(Waiting { facts, next })
    }
}

/// Ended outbound calls by the quarter of an hour and the outcome, counted from the rows.
const COUNT: &str = "
select ended_at - (ended_at % 900000000 + 900000000) % 900000000 as quarter, outcome,
    count(*) as calls,
    sum(case when outcome in ('answered', 'opted_out') then talk_seconds else 0 end) as talk_seconds
from history where direction = 'outbound'";

async fn count_rows(
    conn: &mut SqliteConnection,
    sums: &mut Sums,
    campaign: Option<CampaignId>,
    bounds: Bounds,
) -> Result<(), Fail> {
    let mut sql = QueryBuilder::<Sqlite>::new(COUNT);
    push_campaign(&mut sql, campaign);
    push_bounds(&mut sql, "ended_at", bounds);
    sums.add_all(conn, sql).await
}

fn push_campaign(sql: &mut QueryBuilder<Sqlite>, campaign: Option<CampaignId>) {
    if let Some(campaign) = campaign {
        sql.push(" and campaign = ").push_bind(campaign.uuid());
    }
}

fn push_bounds(sql: &mut QueryBuilder<Sqlite>, column: &'static str, (from, to): Bounds) {
    if let Some(from) = from {
        sql.push(" and ").push(column).push(" >= ").push_bind(micros(from));
    }
    if let Some(to) = to {
        sql.push(" and ").push(column).push(" < ").push_bind(micros(to));
    }
}

#[derive(Default)]
struct Sums(BTreeMap<(i64, Outcome), (u64, u64)>);

impl Sums {
    async fn add_all(
        &mut self,
        conn: &mut SqliteConnection,
        mut sql: QueryBuilder<Sqlite>,
    ) -> Result<(), Fail> {
        sql.push(" group by 1, 2");
        for row in sql.build().fetch_all(conn).await? {
            self.add(&row)?;
        }
        Ok(())
    }

    fn add(&mut self, row: &SqliteRow) -> Result<(), Fail> {
        let outcome = word(row.try_get("outcome")?, Outcome::parse, "outcome")?;
        let cell = self.0.entry((row.try_get("quarter")?, outcome)).or_default();
        cell.0 += row.try_get::<i64, _>("calls")?.cast_unsigned();
        cell.1 += row.try_get::<i64, _>("talk_seconds")?.cast_unsigned();
        Ok(())
    }

    fn rows(self) -> Result<Vec<TallyRow>, Fail> {
        let row = |((quarter, outcome), (calls, talk_seconds))| {
            Ok(TallyRow { quarter: instant(quarter)?, outcome, calls, talk_seconds })
        };
        self.0.into_iter().map(row).collect()
    }
}

const CALLS_TO_FOLLOW_UP: &str = "
select id from history where review = 'needs_follow_up' order by ended_at desc, id desc limit ?1";

/// A call in doubt of which something was heard: that nobody knows.
const UNKNOWN_CALLS: &str = "
select id from in_flight
where doubtful = 1 and exists (select 1 from call_events where call_events.call = in_flight.id)
order by coalesce(begun_at, due_at), id limit ?1";

async fn calls(
    conn: &mut SqliteConnection,
    sql: &'static str,
    limit: u32,
) -> Result<Vec<CallId>, Fail> {
    let ids: Vec<uuid::Uuid> = sqlx::query_scalar(sql).bind(limit).fetch_all(conn).await?;
    Ok(ids.into_iter().map(CallId::from_uuid).collect())
}

async fn clients_to_follow_up(
    conn: &mut SqliteConnection,
    limit: u32,
) -> Result<Vec<(CampaignId, u64)>, Fail> {
    let rows = sqlx::query(
        "select campaign, clients from client_counts
         where status = 'needs_follow_up' and clients > 0 order by campaign desc limit ?1",
    )
    .bind(limit)
    .fetch_all(conn)
    .await?;
    let read = |row: SqliteRow| {
        let clients = row.try_get::<i64, _>("clients")?.cast_unsigned();
        Ok((CampaignId::from_uuid(row.try_get("campaign")?), clients))
    };
    rows.into_iter().map(read).collect()
}

async fn rejects(
    conn: &mut SqliteConnection,
    since: DateTime<Utc>,
    limit: u32,
) -> Result<Vec<Rejects>, Fail> {
    let rows = sqlx::query(
        "select id, campaign, report ->> '$.rejected' as rejected from imports
         where report ->> '$.rejected' > 0 and status in ('done', 'failed') and id >= ?1
         order by id desc limit ?2",
    )
    .bind(ImportId::earliest(since).uuid())
    .bind(limit)
    .fetch_all(conn)
    .await?;
    let read = |row: SqliteRow| {
        Ok(Rejects {
            import: ImportId::from_uuid(row.try_get("id")?),
            campaign: CampaignId::from_uuid(row.try_get("campaign")?),
            rows: row.try_get::<i64, _>("rejected")?.cast_unsigned(),
        })
    };
    rows.into_iter().map(read).collect()
}
