//! Live calls that are to be hung up, until they are over.

use std::collections::BTreeSet;

use callcore::engine::{HANG_UP_FIRST_WAIT, HANG_UP_LONGEST_WAIT};
use callcore::id::CallId;
use callcore::port::OpenCall;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::dispatch::open_call;
use super::fail::Fail;
use super::open::SqliteStore;
use super::read;
use super::row::{ids, micros};
use super::work::Work;

impl SqliteStore {
    pub(super) async fn hang_ups_due(
        &self,
        wall: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<OpenCall>, Fail> {
        let none: bool = {
            let mut conn = self.read().await?;
            sqlx::query_scalar(
                "select not exists (select 1 from hang_ups where coalesce(due_at, 0) <= ?1)",
            )
            .bind(micros(wall))
            .fetch_one(&mut *conn)
            .await?
        };
        // As a rule there is nothing: the writer has better things to do.
        if none {
            return Ok(Vec::new());
        }
        let mut work = self.write().await?;
        let due: Vec<Uuid> = sqlx::query_scalar(
            "select call from hang_ups where due_at <= ?1 order by call limit ?2",
        )
        .bind(micros(wall))
        .bind(limit)
        .fetch_all(work.conn())
        .await?;
        let due: BTreeSet<CallId> = due.into_iter().map(CallId::from_uuid).collect();
        sqlx::query(
            "update hang_ups set waits = waits + 1, due_at = ?1 + min(?2, ?3 << min(waits, 8))
             where due_at is null or call in (select unhex(value, '-') from json_each(?4))",
        )
        .bind(micros(wall))
        .bind(HANG_UP_LONGEST_WAIT.num_microseconds())
        .bind(HANG_UP_FIRST_WAIT.num_microseconds())
        .bind(ids(&due))
        .execute(work.conn())
        .await?;
        work.commit().await?;
        let mut conn = self.read().await?;
        let mut rows = read::call_rows(&mut conn, &self.settings, &due).await?;
        rows.sort_unstable_by_key(|row| row.call.id);
        Ok(rows.iter().map(open_call).collect())
    }
}

impl Work<'_> {
    /// Notes that live calls are to be hung up.
    pub(super) async fn ask_to_hang_up(&mut self, calls: &[CallId]) -> Result<(), Fail> {
        if calls.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "insert or ignore into hang_ups (call, waits, due_at)
             select unhex(value, '-'), 0, null from json_each(?1)",
        )
        .bind(ids(calls))
        .execute(self.conn())
        .await?;
        Ok(())
    }
}
