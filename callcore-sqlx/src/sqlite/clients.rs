use std::sync::Arc;

use async_trait::async_trait;
use callcore::call::{CancelReason, Intent, Retirement};
use callcore::engine::{CallBrief, Facts, Stage, moved_into_hours, resumed};
use callcore::id::{CallId, ClientId};
use callcore::phone::PhoneNumber;
use callcore::port::{
    ActError, By, CallView, ClientChange, ClientDetail, Clients, Effect, NewCall, Refused,
    StoreError,
};
use chrono::DateTime;
use sqlx::SqliteConnection;
use uuid::Uuid;

use super::account::account_facts;
use super::fail::Fail;
use super::open::SqliteStore;
use super::row::{digits, document, micros};
use super::work::{Next, Work};
use super::{facts, read};

#[async_trait]
impl Clients for SqliteStore {
    async fn change_client(
        &self,
        by: By<'_>,
        id: ClientId,
        change: &ClientChange,
    ) -> Result<ClientDetail, ActError> {
        self.change(by, id, change).await.map_err(|fail| fail.act("change_client"))
    }

    async fn call_client(
        &self,
        by: By<'_>,
        id: ClientId,
        new: NewCall,
    ) -> Result<CallView, ActError> {
        let done = self.do_one(by, async |work| {
            work.load_clients([id]).await?;
            let client = work.clients.get(&id).ok_or(Refused::NotFound)?;
            let ended = client.calls.values().filter_map(|call| match call.stage {
                Stage::Dialled { at, .. } | Stage::Retired { at, .. } => {
                    Some((call.attempt, at, call.id))
                }
                Stage::Scheduled { .. } | Stage::Live => None,
            });
            let last = ended.max().map(|(.., id)| id);
            match work.open_call(id) {
                Some(call) => work.move_call(by, call, Intent::Person, by.now).await,
                None => work.call_again(by, id, last, new).await,
            }
        });
        done.await.map_err(|fail| fail.act("call_client"))
    }

    async fn client_facts(&self, id: ClientId) -> Result<Option<Facts>, StoreError> {
        self.facts_about(id).await.map_err(|fail| fail.store("client_facts"))
    }

    async fn open_calls(&self, phone: PhoneNumber) -> Result<Vec<CallView>, StoreError> {
        self.open_calls_to(phone).await.map_err(|fail| fail.store("open_calls"))
    }
}

impl SqliteStore {
    async fn change(
        &self,
        by: By<'_>,
        id: ClientId,
        change: &ClientChange,
    ) -> Result<ClientDetail, Fail> {
        let mut work = self.write().await?;
        work.enter(by).await?;
        let mut client = detail(work.conn(), id).await?.ok_or(Refused::NotFound)?.view.client;
        if client.erased.is_some() {
            return Err(Refused::Erased.into());
        }
        let (old, new) = change.put(&mut client, by)?;
        sqlx::query(
            "update clients set active = ?2, zones = ?3, consent = ?4, tags = ?5 where id = ?1",
        )
        .bind(id.uuid())
        .bind(client.active)
        .bind(serde_json::to_string(&client.zones)?)
        .bind(client.consent.as_ref().map(serde_json::to_string).transpose()?)
        .bind(serde_json::to_string(&client.tags)?)
        .execute(work.conn())
        .await?;
        if let Some(text) = &change.note {
            sqlx::query("insert into notes (client, text, by, at) values (?1, ?2, ?3, ?4)")
                .bind(id.uuid())
                .bind(text)
                .bind(by.actor.to_string())
                .bind(micros(by.now))
                .execute(work.conn())
                .await?;
        }
        work.load_clients([id]).await?;
        if change.active == Some(false) {
            work.cancel_of(by, id).await?;
        }
        if change.decides_again() {
            work.decide_again(id, change.time_zone.is_some()).await?;
        }
        if change.may_resume() {
            work.resume(by, id, change.resumed);
        }
        work.follow_up(id, by.now);
        work.audit(by, "client.change", id.to_string(), Some(old), Some(new)).await?;
        work.flush().await?;
        let detail = detail(work.conn(), id).await?.ok_or(Refused::NotFound)?;
        work.leave(by, &Effect::Client(Box::new(detail.clone()))).await?;
        work.commit().await?;
        Ok(detail)
    }

    async fn facts_about(&self, id: ClientId) -> Result<Option<Facts>, Fail> {
        let mut conn = self.read().await?;
        let now = read::latest_instant(&mut conn).await?.unwrap_or(DateTime::UNIX_EPOCH);
        let account = Arc::new(account_facts(&mut conn, now).await?);
        let waiting: Option<Uuid> =
            sqlx::query_scalar("select id from due where client = ?1 order by id limit 1")
                .bind(id.uuid())
                .fetch_optional(&mut *conn)
                .await?;
        match waiting {
            Some(call) => {
                let wanted = [CallId::from_uuid(call)];
                let facts = facts::facts(&mut conn, &self.settings, &wanted, &account, now);
                Ok(facts.await?.pop())
            }
            None => facts::would_be(&mut conn, &self.settings, id, &account, now).await,
        }
    }

    async fn open_calls_to(&self, phone: PhoneNumber) -> Result<Vec<CallView>, Fail> {
        let mut conn = self.read().await?;
        let calls: Vec<Uuid> = sqlx::query_scalar(
            "select id from (
                 select id, 0 as waits, due_at from in_flight where phone = ?1
                 union all
                 select due.id, 1, due.due_at from clients join due on due.client = clients.id
                 where clients.phone = ?1
             ) order by waits, due_at, id",
        )
        .bind(digits(phone))
        .fetch_all(&mut *conn)
        .await?;
        let wanted: Vec<CallId> = calls.into_iter().map(CallId::from_uuid).collect();
        read::call_views(&mut conn, &self.settings, &wanted).await
    }
}

/// A client with the columns of the file that brought it.
async fn detail(conn: &mut SqliteConnection, id: ClientId) -> Result<Option<ClientDetail>, Fail> {
    let found: Option<(i64, String)> = sqlx::query_as(
        "select place, columns from clients join imports on imports.id = clients.import
         where clients.id = ?1",
    )
    .bind(id.uuid())
    .fetch_optional(&mut *conn)
    .await?;
    let Some((place, columns)) = found else { return Ok(None) };
    let columns = document(&columns, "columns")?;
    let view = read::client_views(conn, &[place]).await?.pop();
    Ok(view.map(|(_, view)| ClientDetail { view, columns }))
}

impl Work<'_> {
    async fn waiting_of(&mut self, client: ClientId) -> Result<Vec<CallId>, Fail> {
        let calls = self.clients.get(&client).into_iter().flat_map(|row| row.calls.values());
        let waits = |call: &&CallBrief| matches!(call.stage, Stage::Scheduled { .. });
        let waiting: Vec<CallId> = calls.filter(waits).map(|call| call.id).collect();
        self.load_calls(waiting.iter().copied()).await?;
        Ok(waiting)
    }

    /// Cancels what is scheduled for a client that was switched off.
    async fn cancel_of(&mut self, by: By<'_>, client: ClientId) -> Result<(), Fail> {
        for call in self.waiting_of(client).await? {
            let how = Retirement::Canceled(CancelReason::Inactive);
            self.retire(call, by.now, by.actor, how);
        }
        Ok(())
    }

    /// Has the rules asked again about what is scheduled for a client, also by a worker that has it
    /// in its hands.
    async fn decide_again(&mut self, client: ClientId, moved: bool) -> Result<(), Fail> {
        let waiting = self.waiting_of(client).await?;
        let Some(row) = self.clients.get(&client) else { return Ok(()) };
        let (zones, settings) = (row.zones.clone(), self.campaign(row.campaign)?.settings.clone());
        for id in waiting {
            self.change(id, |row| {
                if moved && row.call.intent != Intent::Person {
                    let due_at = moved_into_hours(&settings, &zones, row.call.due_at);
                    row.call.due_at = due_at.unwrap_or(row.call.due_at);
                }
                row.lease_until = None;
                row.changed = true;
            });
        }
        Ok(())
    }

    /// Schedules what is owed again to a client.
    fn resume(&mut self, by: By<'_>, client: ClientId, id: CallId) {
        let owed = self.case(client, |row, case| resumed(case, row.consent, by.now));
        if let Some(owed) = owed.flatten() {
            let (retry_of, due_at) = (owed.retry_of, owed.due_at);
            let next = Next { id, attempt: owed.attempt, retry_of, due_at };
            self.schedule(client, next, owed.intent, by.actor.clone());
        }
    }
}
