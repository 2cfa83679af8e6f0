use std::collections::BTreeSet;

use async_trait::async_trait;
use callcore::call::Direction;
use callcore::dnc::{DncEntry, DncReport, DncScope, DncSource};
use callcore::id::{CallId, ImportId};
use callcore::phone::PhoneNumber;
use callcore::port::{
    ActError, BeginDncImport, By, Cursor, Dnc, DncAdded, DncBatch, DncImport, DncQuery, Effect,
    ImportStatus, Page, Refused, StoreError,
};
use serde_json::json;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};
use uuid::Uuid;

use super::fail::Fail;
use super::open::SqliteStore;
use super::read::{self, scope_key};
use super::row::{self, digits, ids, instant, micros, numbers, word};
use super::search::{cut, digits_of, number_ranges, push_key, push_listed};
use super::work::Work;

#[async_trait]
impl Dnc for SqliteStore {
    async fn add_dnc(&self, by: By<'_>, entry: DncEntry) -> Result<DncAdded, ActError> {
        self.add(by, entry).await.map_err(|fail| fail.act("add_dnc"))
    }

    async fn begin_dnc_import(
        &self,
        by: By<'_>,
        new: BeginDncImport,
    ) -> Result<DncImport, ActError> {
        self.add_dnc_import(by, new).await.map_err(|fail| fail.act("begin_dnc_import"))
    }

    async fn add_dnc_batch(
        &self,
        by: By<'_>,
        import: ImportId,
        numbers: &[(PhoneNumber, String)],
    ) -> Result<DncBatch, ActError> {
        self.add_numbers(by, import, numbers).await.map_err(|fail| fail.act("add_dnc_batch"))
    }

    async fn report_dnc_import(
        &self,
        by: By<'_>,
        import: ImportId,
        status: ImportStatus,
        report: &DncReport,
    ) -> Result<DncImport, ActError> {
        let done = self.store_dnc_report(by, import, status, report).await;
        done.map_err(|fail| fail.act("report_dnc_import"))
    }

    async fn dnc_import(&self, id: ImportId) -> Result<Option<DncImport>, StoreError> {
        self.read_dnc_import(id).await.map_err(|fail| fail.store("dnc_import"))
    }

    async fn fail_running_dnc_imports(&self, by: By<'_>) -> Result<u64, StoreError> {
        let failed = self.fail_dnc_imports(by).await;
        failed.map_err(|fail| fail.store("fail_running_dnc_imports"))
    }

    async fn listed(
        &self,
        scope: DncScope,
        numbers: &[PhoneNumber],
    ) -> Result<Vec<bool>, StoreError> {
        self.which_are_listed(scope, numbers).await.map_err(|fail| fail.store("listed"))
    }

    async fn remove_dnc(
        &self,
        by: By<'_>,
        phone: PhoneNumber,
        scope: DncScope,
        reason: &str,
    ) -> Result<(), ActError> {
        self.remove(by, phone, scope, reason).await.map_err(|fail| fail.act("remove_dnc"))
    }

    async fn dnc(&self, query: &DncQuery) -> Result<Page<DncEntry>, StoreError> {
        self.entries(query).await.map_err(|fail| fail.store("dnc"))
    }
}

impl SqliteStore {
    async fn add(&self, by: By<'_>, entry: DncEntry) -> Result<DncAdded, Fail> {
        let mut work = self.write().await?;
        work.enter(by).await?;
        if let DncScope::Campaign(id) = entry.scope {
            work.load_campaigns([id]).await?;
            work.campaign(id)?;
        }
        if insert_dnc(&mut work, &entry).await? {
            let new = json!({"scope": entry.scope.as_str(), "reason": entry.reason});
            work.audit(by, "dnc.add", entry.phone.to_string(), None, Some(new)).await?;
        }
        let canceled = work.cancel_number(entry.phone, entry.scope, by.now, by.actor).await?;
        let in_flight = live_calls(&mut work, &BTreeSet::from([entry.phone]), entry.scope).await?;
        work.ask_to_hang_up(&in_flight).await?;
        let row = sqlx::query("select * from dnc where phone = ?1 and campaign = ?2")
            .bind(digits(entry.phone))
            .bind(scope_key(entry.scope))
            .fetch_one(work.conn())
            .await?;
        let added = DncAdded { entry: entry_of(&row)?, canceled, in_flight };
        work.leave(by, &Effect::DncAdded(added.clone())).await?;
        work.commit().await?;
        Ok(added)
    }

    async fn remove(
        &self,
        by: By<'_>,
        phone: PhoneNumber,
        scope: DncScope,
        reason: &str,
    ) -> Result<(), Fail> {
        let mut work = self.write().await?;
        work.enter(by).await?;
        let old: Option<String> = sqlx::query_scalar(
            "delete from dnc where phone = ?1 and campaign = ?2 returning reason",
        )
        .bind(digits(phone))
        .bind(scope_key(scope))
        .fetch_optional(work.conn())
        .await?;
        let old = json!({"scope": scope.as_str(), "reason": old.ok_or(Refused::NotFound)?});
        let new = json!({"reason": reason});
        work.audit(by, "dnc.remove", phone.to_string(), Some(old), Some(new)).await?;
        work.leave(by, &Effect::DncRemoved).await?;
        work.commit().await
    }

    async fn entries(&self, query: &DncQuery) -> Result<Page<DncEntry>, Fail> {
        let mut sql = QueryBuilder::<Sqlite>::new("select * from dnc where true");
        if let Some(of_campaigns) = query.of_campaigns {
            sql.push(if of_campaigns { " and campaign <> x''" } else { " and campaign = x''" });
        }
        if !query.campaigns.is_empty() {
            sql.push(" and campaign in (select unhex(value, '-') from json_each(");
            sql.push_bind(ids(&query.campaigns)).push("))");
        }
        match query.q.as_deref().map(digits_of) {
            Some(digits) if digits.is_empty() => drop(sql.push(" and false")),
            Some(digits) if digits.len() < 3 => {
                sql.push(" and (");
                number_ranges(&mut sql, "phone", &digits);
                sql.push(")");
            }
            Some(digits) => push_listed(&mut sql, digits),
            None => {}
        }
        if let Some(after) = &query.after {
            let (number, campaign) = after.id.as_u64_pair();
            // A global entry has no campaign, which sorts before every one.
            let campaign = if campaign == 0 { Vec::new() } else { campaign.to_be_bytes().to_vec() };
            sql.push(" and (created_at, phone, substr(campaign, 9)) < (");
            push_key(&mut sql, &after.key);
            sql.push(", ").push_bind(number.cast_signed());
            sql.push(", ").push_bind(campaign).push(")");
        }
        sql.push(" order by created_at desc, phone desc, substr(campaign, 9) desc limit ");
        sql.push_bind(i64::from(query.limit) + 1);
        let mut conn = self.read().await?;
        let rows = sql.build().fetch_all(&mut *conn).await?;
        let entries = rows.iter().map(entry_of).collect::<Result<Vec<_>, _>>()?;
        Ok(cut(entries, query.limit, |entry| {
            let campaign = entry.scope.campaign().map_or(0, |id| id.uuid().as_u64_pair().1);
            let id = Uuid::from_u64_pair(entry.phone.digits(), campaign);
            Cursor::at(entry.created_at, id)
        }))
    }
}

/// Adds an entry unless there is one in its scope; says whether it did.
pub(super) async fn insert_dnc(work: &mut Work<'_>, entry: &DncEntry) -> Result<bool, Fail> {
    let done = sqlx::query(
        "insert or ignore into dnc (phone, campaign, reason, source, added_by, created_at)
         values (?1, ?2, ?3, ?4, ?5, ?6)",
    )
    .bind(digits(entry.phone))
    .bind(scope_key(entry.scope))
    .bind(&entry.reason)
    .bind(entry.source.as_str())
    .bind(entry.added_by.to_string())
    .bind(micros(entry.created_at))
    .execute(work.conn())
    .await?;
    work.dnc.insert((entry.phone, entry.scope));
    Ok(done.rows_affected() > 0)
}

/// The calls to some numbers in a scope that have begun and not ended.
pub(super) async fn live_calls(
    work: &mut Work<'_>,
    phones: &BTreeSet<PhoneNumber>,
    scope: DncScope,
) -> Result<Vec<CallId>, Fail> {
    let rows = sqlx::query(
        "select id, campaign from in_flight
         where phone in (select value from json_each(?1)) and begun_at is not null
             and direction = ?2 order by id",
    )
    .bind(numbers(phones))
    .bind(Direction::Outbound.as_str())
    .fetch_all(work.conn())
    .await?;
    let mut live = Vec::new();
    for row in rows {
        let campaign: Option<Uuid> = row.try_get("campaign")?;
        let campaign = campaign.map(callcore::id::CampaignId::from_uuid);
        if campaign.is_some_and(|campaign| scope.covers(campaign)) {
            live.push(CallId::from_uuid(row.try_get("id")?));
        }
    }
    Ok(live)
}

fn entry_of(row: &SqliteRow) -> Result<DncEntry, Fail> {
    Ok(DncEntry {
        phone: row::phone(row.try_get("phone")?)?,
        scope: read::scope(row.try_get("campaign")?)?,
        reason: row.try_get("reason")?,
        source: word(row.try_get("source")?, DncSource::parse, "DNC source")?,
        added_by: read::actor_of(row, "added_by")?,
        created_at: instant(row.try_get("created_at")?)?,
    })
}
