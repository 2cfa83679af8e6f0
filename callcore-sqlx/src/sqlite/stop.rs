//! Stopping a campaign: what is scheduled is cancelled in bulk.

use callcore::call::{CancelReason, Outcome, Retired, Retirement};
use callcore::client::ClientStatus;
use callcore::engine::Tally;
use callcore::id::CampaignId;
use callcore::port::By;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::fail::Fail;
use super::row::{CallRow, micros, word};
use super::work::Work;

impl Work<'_> {
    /// Cancels every scheduled call of a campaign that stops, however many there are: in bulk, to
    /// the effect that each was retired by itself.
    pub(super) async fn cancel_all(&mut self, by: By<'_>, id: CampaignId) -> Result<(), Fail> {
        let Some(one) = self.a_waiting_call(id).await? else { return Ok(()) };
        let how = Retirement::Canceled(CancelReason::CampaignStopped);
        let retired = Retired { at: by.now, by: by.actor.clone(), how };
        let document = serde_json::to_string(&retired)?;
        let mut call = CallRow::read(&one)?.call;
        call.retired = Some(retired);

        // A client with a call to come is over with it, as the core's outlook says of a call
        // cancelled by a stop: skipped, unless it opted out before.
        let moves = sqlx::query(
            "select clients.status as old, case
                 when exists (select 1 from in_flight where in_flight.client = clients.id
                     and begun_at is not null) then clients.status
                 when exists (select 1 from history where history.client = clients.id
                     and outcome = 'opted_out' and direction = 'outbound') then 'opted_out'
                 else 'skipped' end as new, count(*) as clients
             from clients where id in (select client from due where campaign = ?1)
             group by 1, 2",
        )
        .bind(id.uuid())
        .fetch_all(self.conn())
        .await?;
        for row in moves {
            let old = word(row.try_get("old")?, ClientStatus::parse, "client status")?;
            let new = word(row.try_get("new")?, ClientStatus::parse, "client status")?;
            let count: i64 = row.try_get("clients")?;
            if let Some(campaign) = self.campaigns.get_mut(&id) {
                for (status, by) in [(old, -count), (new, count)] {
                    *campaign.clients.entry(status).or_default() += by;
                    *campaign.moved.entry(status).or_default() += by;
                }
            }
        }
        sqlx::query(
            "update clients set status = case
                 when exists (select 1 from in_flight where in_flight.client = clients.id
                     and begun_at is not null) then clients.status
                 when exists (select 1 from history where history.client = clients.id
                     and outcome = 'opted_out' and direction = 'outbound') then 'opted_out'
                 else 'skipped' end
             where id in (select client from due where campaign = ?1)",
        )
        .bind(id.uuid())
        .execute(self.conn())
        .await?;
        // Test calls are in no count.
        let tests: i64 = sqlx::query_scalar(
            "select count(*) from due where campaign = ?1 and planned = 0 and intent = 'test'",
        )
        .bind(id.uuid())
        .fetch_one(self.conn())
        .await?;
        let canceled = sqlx::query(
            "insert into history (id, campaign, client, sample, phone, direction, attempt, retry_of,
                 intent, by, due_at, zone, begun_at, settings_version, decision, ended_at, outcome,
                 end_reason, permanent, retired, name_key)
             select id, campaign, client, sample, phone, 'outbound', attempt, retry_of,
                 intent, by, due_at, zone, null, 0, '[]', ?2, ?3,
                 ?4, 0, ?5,
                 coalesce((select substr(clients.name_key, 1, 100) from clients
                     where clients.id = due.client), '')
             from due where campaign = ?1",
        )
        .bind(id.uuid())
        .bind(micros(by.now))
        .bind(call.outcome().map(Outcome::as_str))
        .bind(call.end_reason())
        .bind(document)
        .execute(self.conn())
        .await?
        .rows_affected();
        sqlx::query("delete from due where campaign = ?1")
            .bind(id.uuid())
            .execute(self.conn())
            .await?;
        if let Some(tally) = Tally::of(&call) {
            let cell = self.out.tallies.entry((id, tally.quarter, tally.outcome)).or_default();
            cell.0 += canceled.cast_signed() - tests;
        }
        Ok(())
    }

    /// Any scheduled call of a campaign; a test call only if there is no other.
    async fn a_waiting_call(&mut self, id: CampaignId) -> Result<Option<SqliteRow>, Fail> {
        for sql in [
            "select * from calls where campaign = ?1 and stage = 'due' and intent <> 'test' limit 1",
            "select * from calls where campaign = ?1 and stage = 'due' limit 1",
        ] {
            let row = sqlx::query(sql).bind(id.uuid()).fetch_optional(self.conn()).await?;
            if row.is_some() {
                return Ok(row);
            }
        }
        Ok(None)
    }
}
