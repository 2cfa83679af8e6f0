//! Lists of numbers not to call: batches of them, and the report of each list.

use std::collections::BTreeSet;

use callcore::dnc::{DncReport, DncScope, DncSource};
use callcore::id::ImportId;
use callcore::phone::PhoneNumber;
use callcore::port::{BeginDncImport, By, DncBatch, DncImport, Effect, ImportStatus, Refused};
use serde_json::{Value, json};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::dnc::live_calls;
use super::fail::Fail;
use super::open::SqliteStore;
use super::read::{self, scope_key};
use super::row::{digits, document, micros, numbers, word};
use super::work::Work;

/// A number that comes twice in a batch is taken once.
const INSERT_NUMBERS: &str = "
insert or ignore into dnc (phone, campaign, reason, source, added_by, created_at)
select value ->> 0, ?2, value ->> 1, ?3, ?4, ?5 from json_each(?1) order by key
returning phone";

impl SqliteStore {
    pub(super) async fn add_dnc_import(
        &self,
        by: By<'_>,
        new: BeginDncImport,
    ) -> Result<DncImport, Fail> {
        let mut work = self.write().await?;
        work.enter(by).await?;
        if let DncScope::Campaign(id) = new.scope {
            work.load_campaigns([id]).await?;
            work.campaign(id)?;
        }
        let import = DncImport {
            id: new.id,
            scope: new.scope,
            file_name: new.file_name,
            added_by: by.actor.clone(),
            status: ImportStatus::Running,
            report: DncReport::default(),
        };
        sqlx::query(
            "insert into dnc_imports (id, campaign, file_name, added_by, status, report)
             values (?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .bind(import.id.uuid())
        .bind(scope_key(import.scope))
        .bind(&import.file_name)
        .bind(import.added_by.to_string())
        .bind(import.status.as_str())
        .bind(serde_json::to_string(&import.report)?)
        .execute(work.conn())
        .await?;
        work.leave(by, &Effect::DncImport(Box::new(import.clone()))).await?;
        work.commit().await?;
        Ok(import)
    }

    pub(super) async fn add_numbers(
        &self,
        by: By<'_>,
        import: ImportId,
        batch: &[(PhoneNumber, String)],
    ) -> Result<DncBatch, Fail> {
        let mut work = self.write().await?;
        work.enter(by).await?;
        let row =
            sqlx::query("select campaign, added_by from dnc_imports where id = ?1 and status = ?2")
                .bind(import.uuid())
                .bind(ImportStatus::Running.as_str())
                .fetch_optional(work.conn())
                .await?
                .ok_or(Refused::NotFound)?;
        let scope = read::scope(row.try_get("campaign")?)?;
        let rows: Vec<Value> =
            batch.iter().map(|(phone, reason)| json!([digits(*phone), reason])).collect();
        let new = sqlx::query(INSERT_NUMBERS)
            .bind(Value::from(rows).to_string())
            .bind(scope_key(scope))
            .bind(DncSource::Import.as_str())
            .bind(row.try_get::<&str, _>("added_by")?)
            .bind(micros(by.now))
            .fetch_all(work.conn())
            .await?;
        let new = new.iter().map(|row| Ok(row.try_get("phone")?));
        let mut new = new.collect::<Result<BTreeSet<i64>, Fail>>()?;
        let added = batch.iter().map(|(phone, _)| new.remove(&digits(*phone))).collect();
        let phones: BTreeSet<PhoneNumber> = batch.iter().map(|(phone, _)| *phone).collect();
        let mut canceled = work.cancel_numbers(&phones, scope, by.now, by.actor).await?;
        canceled.sort_unstable();
        let in_flight = live_calls(&mut work, &phones, scope).await?;
        work.ask_to_hang_up(&in_flight).await?;
        work.commit().await?;
        Ok(DncBatch { added, canceled, in_flight })
    }

    pub(super) async fn store_dnc_report(
        &self,
        by: By<'_>,
        import: ImportId,
        status: ImportStatus,
        report: &DncReport,
    ) -> Result<DncImport, Fail> {
        let mut work = self.write().await?;
        work.enter(by).await?;
        let was: Option<String> =
            sqlx::query_scalar("select status from dnc_imports where id = ?1")
                .bind(import.uuid())
                .fetch_optional(work.conn())
                .await?;
        let was = was.ok_or(Refused::NotFound)?;
        let row = sqlx::query(
            "update dnc_imports set status = ?2, report = ?3 where id = ?1 returning *",
        )
        .bind(import.uuid())
        .bind(status.as_str())
        .bind(serde_json::to_string(report)?)
        .fetch_one(work.conn())
        .await?;
        let import = dnc_import_of(&row)?;
        if was == ImportStatus::Running.as_str() && status != ImportStatus::Running {
            work.audit_dnc_import(by, &import).await?;
        }
        work.leave(by, &Effect::DncImport(Box::new(import.clone()))).await?;
        work.commit().await?;
        Ok(import)
    }

    pub(super) async fn read_dnc_import(&self, id: ImportId) -> Result<Option<DncImport>, Fail> {
        let mut conn = self.read().await?;
        let row = sqlx::query("select * from dnc_imports where id = ?1")
            .bind(id.uuid())
            .fetch_optional(&mut *conn)
            .await?;
        row.as_ref().map(dnc_import_of).transpose()
    }

    pub(super) async fn fail_dnc_imports(&self, by: By<'_>) -> Result<u64, Fail> {
        let mut work = self.write().await?;
        work.enter(by).await?;
        let rows = sqlx::query(
            "update dnc_imports set status = 'failed' where status = 'running' returning *",
        )
        .fetch_all(work.conn())
        .await?;
        for row in &rows {
            let import = dnc_import_of(row)?;
            // Whoever began it did what it did.
            work.audit_dnc_import(By::new(&import.added_by, by.now), &import).await?;
        }
        work.commit().await?;
        Ok(rows.len() as u64)
    }

    pub(super) async fn which_are_listed(
        &self,
        scope: DncScope,
        phones: &[PhoneNumber],
    ) -> Result<Vec<bool>, Fail> {
        let mut conn = self.read().await?;
        let listed: Vec<i64> = sqlx::query_scalar(
            "select phone from dnc
             where campaign = ?1 and phone in (select value from json_each(?2))",
        )
        .bind(scope_key(scope))
        .bind(numbers(phones))
        .fetch_all(&mut *conn)
        .await?;
        let listed: BTreeSet<i64> = listed.into_iter().collect();
        Ok(phones.iter().map(|phone| listed.contains(&digits(*phone))).collect())
    }
}

impl Work<'_> {
    async fn audit_dnc_import(&mut self, by: By<'_>, import: &DncImport) -> Result<(), Fail> {
        let (id, what) = (import.id.to_string(), import.audited());
        self.audit(by, "dnc.import", id, None, Some(what)).await
    }
}

fn dnc_import_of(row: &SqliteRow) -> Result<DncImport, Fail> {
    Ok(DncImport {
        id: ImportId::from_uuid(row.try_get("id")?),
        scope: read::scope(row.try_get("campaign")?)?,
        file_name: row.try_get("file_name")?,
        added_by: read::actor_of(row, "added_by")?,
        status: word(row.try_get("status")?, ImportStatus::parse, "import status")?,
        report: document(row.try_get("report")?, "import report")?,
    })
}
