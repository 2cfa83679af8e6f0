//! What imports leave behind: the rows they refused, and the way back.

use std::collections::BTreeSet;

use async_trait::async_trait;
use callcore::erase::Traces;
use callcore::id::{CampaignId, ImportId};
use callcore::import::{ImportReport, Reject, Rejection};
use callcore::phone::PhoneNumber;
use callcore::port::{
    ActError, By, Cursor, Import, ImportStatus, Imports, KnownClients, Page, Refused, StoreError,
    Undone,
};
use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::{Row, SqliteConnection};
use uuid::Uuid;

use super::fail::Fail;
use super::import::{import_of, known_clients};
use super::open::SqliteStore;
use super::row::{document, micros, numbers, phone};
use super::search::cut;
use super::work::Work;

#[async_trait]
impl Imports for SqliteStore {
    async fn known_clients(
        &self,
        campaign: CampaignId,
        phones: &BTreeSet<PhoneNumber>,
        external_ids: &BTreeSet<String>,
    ) -> Result<KnownClients, StoreError> {
        let read = async {
            let mut conn = self.read().await?;
            let external_ids = external_ids.iter().map(String::as_str).collect();
            Ok(KnownClients {
                clients: known_clients(&mut conn, campaign, phones, &external_ids).await?,
                on_dnc: on_dnc(&mut conn, campaign, phones).await?,
            })
        };
        read.await.map_err(|fail: Fail| fail.store("known_clients"))
    }

    async fn add_rejects(
        &self,
        by: By<'_>,
        import: ImportId,
        rejects: &[Reject],
    ) -> Result<(), ActError> {
        self.keep_rejects(by, import, rejects).await.map_err(|fail| fail.act("add_rejects"))
    }

    async fn rejects(
        &self,
        import: ImportId,
        after: Option<u64>,
        limit: u32,
    ) -> Result<Vec<(u64, Reject)>, StoreError> {
        let rows = self.read_rejects(import, after, limit).await;
        rows.map_err(|fail| fail.store("rejects"))
    }

    async fn import_page(
        &self,
        campaign: CampaignId,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<Page<Import>, StoreError> {
        let page = self.read_imports(campaign, after, limit).await;
        page.map_err(|fail| fail.store("import_page"))
    }

    async fn undo_import(
        &self,
        by: By<'_>,
        import: ImportId,
        partial: bool,
    ) -> Result<Undone, ActError> {
        self.undo(by, import, partial).await.map_err(|fail| fail.act("undo_import"))
    }

    async fn finish_undos(&self, by: By<'_>) -> Result<u64, StoreError> {
        self.go_on_undoing(by).await.map_err(|fail| fail.store("finish_undos"))
    }

    async fn delete_campaign(&self, by: By<'_>, id: CampaignId) -> Result<(), ActError> {
        self.delete_draft(by, id).await.map_err(|fail| fail.act("delete_campaign"))
    }
}

/// How many refused rows a round of retention removes.
const FORGOTTEN_AT_ONCE: u32 = 10_000;

const INSERT_REJECTS: &str = "
insert into import_rejects (import, line, rejection, cells, digits)
select unhex(?2, '-'), value ->> 'line', value -> 'rejection', value -> 'cells', value ->> 'digits'
from json_each(?1)";

impl SqliteStore {
    async fn keep_rejects(
        &self,
        by: By<'_>,
        import: ImportId,
        rejects: &[Reject],
    ) -> Result<(), Fail> {
        let mut work = self.write().await?;
        work.enter(by).await?;
        let running: bool = sqlx::query_scalar(
            "select exists (select 1 from imports where id = ?1 and status = ?2)",
        )
        .bind(import.uuid())
        .bind(ImportStatus::Running.as_str())
        .fetch_one(work.conn())
        .await?;
        if !running {
            return Err(Refused::NotFound.into());
        }
        // Documents within the document: a NUL in a cell would end a text that is taken out of it.
        let row = |reject: &Reject| {
            json!({
                "line": reject.rejection.line,
                "rejection": reject.rejection,
                "cells": reject.cells,
                "digits": reject.digits,
            })
        };
        let rows: Vec<_> = rejects.iter().map(row).collect();
        sqlx::query(INSERT_REJECTS)
            .bind(serde_json::Value::from(rows).to_string())
            .bind(import.to_string())
            .execute(work.conn())
            .await?;
        work.commit().await
    }

    async fn read_rejects(
        &self,
        import: ImportId,
        after: Option<u64>,
        limit: u32,
    ) -> Result<Vec<(u64, Reject)>, Fail> {
        let mut conn = self.read().await?;
        let rows = sqlx::query(
            "select place, rejection, cells, digits from import_rejects
             where import = ?1 and place > ?2 order by place limit ?3",
        )
        .bind(import.uuid())
        .bind(after.map_or(-1, u64::cast_signed))
        .bind(limit)
        .fetch_all(&mut *conn)
        .await?;
        let read = |row: sqlx::sqlite::SqliteRow| {
            let rejection: Rejection = document(row.try_get("rejection")?, "rejection")?;
            let cells = document(row.try_get("cells")?, "cells")?;
            let reject = Reject { rejection, cells, digits: row.try_get("digits")? };
            Ok((row.try_get::<i64, _>("place")?.cast_unsigned(), reject))
        };
        rows.into_iter().map(read).collect()
    }

    async fn read_imports(
        &self,
        campaign: CampaignId,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<Page<Import>, Fail> {
        let mut conn = self.read().await?;
        // Ids sort by the time they were made.
        let rows = sqlx::query(
            "select * from imports where campaign = ?1 and id < ?2 order by id desc limit ?3",
        )
        .bind(campaign.uuid())
        .bind(after.map_or(uuid::Uuid::max(), |after| after.id))
        .bind(i64::from(limit) + 1)
        .fetch_all(&mut *conn)
        .await?;
        let imports = rows.iter().map(import_of).collect::<Result<Vec<_>, _>>()?;
        let cursor = |import: &Import| Cursor::number(0, import.id.uuid());
        Ok(cut(imports, limit, cursor))
    }
}

impl Work<'_> {
    /// Removes the next refused rows of campaigns that ended before an instant; whether there may be
    /// more.
    pub(super) async fn forget_rejects(&mut self, before: DateTime<Utc>) -> Result<bool, Fail> {
        let removed = sqlx::query(
            "delete from import_rejects where place in (
                 select import_rejects.place from campaigns
                     join imports on imports.campaign = campaigns.id
                     join import_rejects on import_rejects.import = imports.id
                 where campaigns.ended_at < ?1 limit ?2)",
        )
        .bind(micros(before))
        .bind(FORGOTTEN_AT_ONCE)
        .execute(self.conn())
        .await?
        .rows_affected();
        let rows = sqlx::query(
            "select imports.id, report from campaigns
                 join imports on imports.campaign = campaigns.id
             where campaigns.ended_at < ?1 and report like '%\"rejections\":[{%'",
        )
        .bind(micros(before))
        .fetch_all(self.conn())
        .await?;
        for row in rows {
            let mut report: ImportReport = document(row.try_get("report")?, "import report")?;
            if report.rejections.iter().all(|rejection| rejection.value.is_empty()) {
                continue;
            }
            report.forget_all();
            sqlx::query("update imports set report = ?2 where id = ?1")
                .bind(row.try_get::<Uuid, _>("id")?)
                .bind(serde_json::to_string(&report)?)
                .execute(self.conn())
                .await?;
        }
        Ok(removed >= FORGOTTEN_AT_ONCE.into())
    }

    /// Removes every refused row that has this number or tells of the person: it is erased.
    pub(super) async fn erase_rejects(
        &mut self,
        number: PhoneNumber,
        traces: &Traces,
    ) -> Result<(), Fail> {
        sqlx::query(
            "delete from import_rejects
             where digits <> '' and digits in (select value from json_each(?1))",
        )
        .bind(serde_json::to_string(&Reject::digits_of(number))?)
        .execute(self.conn())
        .await?;
        // Whatever the case, for the core to look at closely.
        let rows = sqlx::query(
            "select place, cells from import_rejects
             where exists (select 1 from json_each(?1) as needle
                 where instr(cells, needle.value) or instr(lower(cells), needle.value))",
        )
        .bind(serde_json::to_string(&traces.needles_of_row())?)
        .fetch_all(self.conn())
        .await?;
        for row in rows {
            let cells: Vec<String> = document(row.try_get("cells")?, "cells")?;
            if traces.tell_of_row(&cells) {
                sqlx::query("delete from import_rejects where place = ?1")
                    .bind(row.try_get::<i64, _>("place")?)
                    .execute(self.conn())
                    .await?;
            }
        }
        Ok(())
    }
}

async fn on_dnc(
    conn: &mut SqliteConnection,
    campaign: CampaignId,
    phones: &BTreeSet<PhoneNumber>,
) -> Result<BTreeSet<PhoneNumber>, Fail> {
    let rows: Vec<i64> = sqlx::query_scalar(
        "select distinct phone from dnc
         where phone in (select value from json_each(?1)) and campaign in (x'', ?2)",
    )
    .bind(numbers(phones))
    .bind(campaign.uuid())
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(phone).collect()
}
