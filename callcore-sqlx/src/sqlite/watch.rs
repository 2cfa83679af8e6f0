//! What somebody who watches asks: the audit log, whether anything changed, and how much there is.

use callcore::analytics::Totals;
use callcore::call::Outcome;
use callcore::id::AuditId;
use callcore::port::{AuditQuery, AuditRow, Cursor, Gauges, Page};
use chrono::{DateTime, Utc};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};

use super::fail::Fail;
use super::open::SqliteStore;
use super::read;
use super::row::{document, instant, micros, word};
use super::search::{cut, push_place};

impl SqliteStore {
    /// A page of the audit log. Each value of the narrowest filter reads its own stretch of its own
    /// index and no further than the page, so that a page costs the same wherever it begins.
    pub(super) async fn audit_page(&self, query: &AuditQuery) -> Result<Page<AuditRow>, Fail> {
        let actors: Vec<String> = query.actors.iter().map(ToString::to_string).collect();
        let filters = [("object", &query.objects), ("actor", &actors), ("action", &query.actions)];
        let led = filters.iter().position(|(_, values)| !values.is_empty());
        let stretches = match led {
            Some(led) => filters[led].1.iter().map(Some).collect(),
            None => vec![None],
        };
        let mut sql = QueryBuilder::<Sqlite>::new("select * from (");
        for (index, value) in stretches.into_iter().enumerate() {
            sql.push(if index > 0 { ") union select * from (" } else { "" });
            sql.push("select * from audit where true");
            if let (Some(led), Some(value)) = (led, value) {
                sql.push(" and ").push(filters[led].0).push(" = ").push_bind(value.clone());
            }
            push_rest(&mut sql, query, &filters, led);
            sql.push(" order by at desc, id desc limit ").push_bind(i64::from(query.limit) + 1);
        }
        sql.push(") order by at desc, id desc limit ").push_bind(i64::from(query.limit) + 1);
        let mut conn = self.read().await?;
        let rows = sql.build().fetch_all(&mut *conn).await?;
        let rows = rows.iter().map(audit_of).collect::<Result<Vec<_>, _>>()?;
        Ok(cut(rows, query.limit, |row| Cursor::at(row.at, row.id.uuid())))
    }

    /// SQLite's own word on whether anybody changed the file: a connection hears it of all others,
    /// so this one has to be always the same.
    pub(super) async fn data_version(&self) -> Result<u64, Fail> {
        let mut watcher = self.watcher.acquire().await?;
        let version: i64 =
            sqlx::query_scalar("pragma data_version").fetch_one(&mut *watcher).await?;
        Ok(version.cast_unsigned())
    }

    pub(super) async fn count_all(&self, now: DateTime<Utc>) -> Result<Gauges, Fail> {
        let mut conn = self.read().await?;
        let mut totals = Totals::default();
        let rows = sqlx::query(
            "select outcome, sum(calls) as calls, sum(talk_seconds) as talk_seconds
             from totals group by outcome",
        )
        .fetch_all(&mut *conn)
        .await?;
        for row in rows {
            let outcome = word(row.try_get("outcome")?, Outcome::parse, "outcome")?;
            let (calls, talk): (i64, i64) = (row.try_get("calls")?, row.try_get("talk_seconds")?);
            totals.add(outcome, calls.unsigned_abs(), talk.unsigned_abs());
        }
        let row = sqlx::query(
            "select
                 (select count(*) from (select 1 from campaigns
                     join due on due.campaign = campaigns.id
                     where campaigns.state = 'running' and due_at <= ?1
                     limit ?2)) as due,
                 (select count(*) from in_flight) as live,
                 (select count(*) from in_flight
                     where doubtful = 1 and direction = 'outbound') as doubtful,
                 (select count(*) from imports where status = 'running') as imports,
                 (select count(*) from mails where state = 'waiting') as mails_waiting,
                 (select count(*) from mails where state = 'failed') as mails_failed",
        )
        .bind(micros(now))
        .bind(Gauges::MOST_DUE)
        .fetch_one(&mut *conn)
        .await?;
        let count =
            |column| -> Result<u64, Fail> { Ok(row.try_get::<i64, _>(column)?.unsigned_abs()) };
        Ok(Gauges {
            totals,
            due: count("due")?,
            live: count("live")?,
            doubtful: count("doubtful")?,
            imports: count("imports")?,
            mails_waiting: count("mails_waiting")?,
            mails_failed: count("mails_failed")?,
        })
    }
}

/// What is left of a query once one filter leads. The plus keeps SQLite from another index than
/// that filter's.
fn push_rest(
    sql: &mut QueryBuilder<Sqlite>,
    query: &AuditQuery,
    filters: &[(&'static str, &Vec<String>)],
    led: Option<usize>,
) {
    for (index, (column, values)) in filters.iter().enumerate() {
        if values.is_empty() || led == Some(index) {
            continue;
        }
        sql.push(" and +").push(*column).push(" in (");
        let mut list = sql.separated(", ");
        for value in *values {
            list.push_bind(value.clone());
        }
        sql.push(")");
    }
    if let Some(from) = query.from {
        sql.push(" and at >= ").push_bind(micros(from));
    }
    if let Some(to) = query.to {
        sql.push(" and at < ").push_bind(micros(to));
    }
    if let Some(after) = &query.after {
        push_place(sql, "(at, id) <", after);
    }
}

fn audit_of(row: &SqliteRow) -> Result<AuditRow, Fail> {
    let (old, new): (Option<&str>, Option<&str>) = (row.try_get("old")?, row.try_get("new")?);
    Ok(AuditRow {
        id: AuditId::from_uuid(row.try_get("id")?),
        actor: read::actor_of(row, "actor")?,
        at: instant(row.try_get("at")?)?,
        action: row.try_get("action")?,
        object: row.try_get("object")?,
        old: old.map(|text| document(text, "audited value")).transpose()?,
        new: new.map(|text| document(text, "audited value")).transpose()?,
    })
}
