//! Erasing people, and forgetting what was kept long enough: every place where a person shows.

use std::collections::BTreeSet;

use async_trait::async_trait;
use callcore::call::{CancelReason, Progress};
use callcore::client::Erasure;
use callcore::dnc::DncScope;
use callcore::erase::{
    ERASED, Traces, erased_reply, impersonal, recording_of, redacted, strip_call, strip_rejections,
};
use callcore::id::{CallId, ClientId};
use callcore::phone::PhoneNumber;
use callcore::port::{ActError, By, Effect, Erased, Privacy, Refused, Retained, StoreError};
use callcore::rules::caps::LONGEST_WINDOW;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::Row;
use uuid::Uuid;

use super::fail::Fail;
use super::open::SqliteStore;
use super::row::{ErasedCall, digits, document, ids, micros};
use super::work::{KEPT, Work};

/// The wait before the carrier is asked a second time to delete a recording; it doubles.
const FIRST_WAIT: TimeDelta = TimeDelta::seconds(30);
/// The longest wait.
const LONGEST_WAIT: TimeDelta = TimeDelta::hours(1);

#[async_trait]
impl Privacy for SqliteStore {
    async fn erase(&self, by: By<'_>, client: ClientId, reason: &str) -> Result<Erased, ActError> {
        let erased = self.erase_person(by, client, reason).await;
        erased.map_err(|fail| fail.act("erase"))
    }

    async fn retain(
        &self,
        by: By<'_>,
        before: DateTime<Utc>,
        limit: u32,
    ) -> Result<Retained, StoreError> {
        self.retain_since(by, before, limit).await.map_err(|fail| fail.store("retain"))
    }

    async fn prune(&self, by: By<'_>, wall: DateTime<Utc>) -> Result<(), StoreError> {
        self.prune_all(by, wall).await.map_err(|fail| fail.store("prune"))
    }

    async fn recordings_to_delete(
        &self,
        wall: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<String>, StoreError> {
        self.deletions(wall, limit).await.map_err(|fail| fail.store("recordings_to_delete"))
    }

    async fn recordings_deleted(&self, references: &[String]) -> Result<(), StoreError> {
        let done = async {
            let mut work = self.write().await?;
            sqlx::query(
                "delete from recording_deletions where reference in (select value from json_each(?1))",
            )
            .bind(serde_json::to_string(references)?)
            .execute(work.conn())
            .await?;
            work.commit().await
        };
        done.await.map_err(|fail: Fail| fail.store("recordings_deleted"))
    }
}

impl SqliteStore {
    async fn erase_person(
        &self,
        by: By<'_>,
        client: ClientId,
        reason: &str,
    ) -> Result<Erased, Fail> {
        let mut work = self.write().await?;
        work.enter(by).await?;
        work.load_clients([client]).await?;
        let phone = work.clients.get(&client).ok_or(Refused::NotFound)?.phone;
        let erased = match phone {
            Some(phone) => work.erase_number(by, client, phone, reason).await?,
            None => Erased::default(),
        };
        work.leave(by, &Effect::Erased(erased.clone())).await?;
        work.commit().await?;
        if phone.is_some() {
            self.empty_log().await;
        }
        Ok(erased)
    }

    async fn retain_since(
        &self,
        by: By<'_>,
        before: DateTime<Utc>,
        limit: u32,
    ) -> Result<Retained, Fail> {
        let mut work = self.write().await?;
        work.at(by.now);
        let (seen, clients) = work.clients_over(before, limit).await?;
        work.erase_clients(by, &clients).await?;
        let left = limit.saturating_sub(seen);
        let (seen, calls) = work.calls_over(before, left).await?;
        // A number goes with its client; that of a stranger goes now.
        let (strangers, known): (BTreeSet<CallId>, BTreeSet<CallId>) = calls
            .iter()
            .copied()
            .partition(|id| work.calls.get(id).is_some_and(|row| row.call.client.is_none()));
        work.erase_calls(&strangers, true).await?;
        work.erase_calls(&known, false).await?;
        let of_clients = work.calls_of(&clients).await?;
        let ids = clients.iter().map(ToString::to_string);
        let ids = ids.chain(calls.iter().chain(&of_clients).map(ToString::to_string)).collect();
        work.redact_acts(&ids, &Traces::default()).await?;
        let rejects = work.forget_rejects(before).await?;
        work.commit().await?;
        let (clients, calls) = (count(clients.len()), count(calls.len()));
        Ok(Retained { clients, calls, more: seen >= left || rejects })
    }

    async fn prune_all(&self, by: By<'_>, wall: DateTime<Utc>) -> Result<(), Fail> {
        let mut work = self.write().await?;
        for (sql, until) in [
            ("delete from idempotency where wall <= ?1", wall - KEPT),
            ("delete from sessions where expires <= ?1", wall),
            ("delete from sign_in_links where expires <= ?1", wall),
            (
                "delete from number_dials where (phone, at, call) in (
                     select phone, dialled_at, call from erased_calls where dialled_at < ?1)",
                by.now - LONGEST_WINDOW,
            ),
            (
                "update erased_calls set phone = null, dialled_at = null where dialled_at < ?1",
                by.now - LONGEST_WINDOW,
            ),
        ] {
            sqlx::query(sql).bind(micros(until)).execute(work.conn()).await?;
        }
        work.commit().await
    }

    async fn deletions(&self, wall: DateTime<Utc>, limit: u32) -> Result<Vec<String>, Fail> {
        let none: bool = {
            let mut conn = self.read().await?;
            sqlx::query_scalar(
                "select not exists (select 1 from recording_deletions where next_try <= ?1)",
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
        let rows = sqlx::query(
            "update recording_deletions set tries = tries + 1,
                 next_try = ?1 + min(?3, ?4 << min(tries, 7))
             where reference in (
                 select reference from recording_deletions where next_try <= ?1
                 order by reference limit ?2)
             returning reference",
        )
        .bind(micros(wall))
        .bind(limit)
        .bind(LONGEST_WAIT.num_microseconds())
        .bind(FIRST_WAIT.num_microseconds())
        .fetch_all(work.conn())
        .await?;
        let due = rows.iter().map(|row| Ok(row.try_get("reference")?)).collect::<Result<_, Fail>>();
        work.commit().await?;
        due
    }
}

impl Work<'_> {
    async fn erase_number(
        &mut self,
        by: By<'_>,
        asked_of: ClientId,
        phone: PhoneNumber,
        reason: &str,
    ) -> Result<Erased, Fail> {
        let clients = self.clients_of(&BTreeSet::from([phone]), DncScope::Global).await?;
        let traces = self.traces(phone, &clients).await?;
        let mut calls = self.calls_of(&clients).await?;
        let phones = BTreeSet::from([phone]);
        let (scope, why) = (DncScope::Global, CancelReason::Erased);
        let tests = self.retire_tests(&phones, scope, by.now, by.actor, why).await?;
        calls.extend(&tests);
        // Also calls that nobody's row stands for.
        let strangers: Vec<Uuid> = sqlx::query_scalar(
            "select id from history where phone = ?1 and client is null
             union all select id from in_flight where phone = ?1 and client is null",
        )
        .bind(digits(phone))
        .fetch_all(self.conn())
        .await?;
        calls.extend(strangers.into_iter().map(CallId::from_uuid));
        self.erase_mails(phone).await?;
        let recordings = self.erase_calls(&calls, true).await?;
        let is_live = |id: &CallId| self.calls.get(id).is_some_and(|row| row.call.is_live());
        let in_flight: Vec<CallId> = calls.iter().copied().filter(is_live).collect();
        self.ask_to_hang_up(&in_flight).await?;
        let canceled = [self.erase_clients(by, &clients).await?, tests].concat();
        self.erase_elsewhere(phone, &traces).await?;
        self.erase_mails(phone).await?;
        let mut acts: BTreeSet<String> = clients.iter().map(ToString::to_string).collect();
        acts.extend(calls.iter().map(ToString::to_string));
        acts.insert(phone.to_string());
        self.redact_acts(&acts, &traces).await?;
        let (clients, calls) = (count(clients.len()), count(calls.len()));
        let reason = if traces.show_in(reason) { ERASED } else { reason };
        let new = json!({"clients": clients, "calls": calls, "reason": reason});
        self.audit(by, "client.erase", asked_of.to_string(), None, Some(new)).await?;
        Ok(Erased { clients, calls, canceled, in_flight, recordings })
    }

    /// What shows a person, by all that its rows say.
    async fn traces(&mut self, phone: PhoneNumber, clients: &[ClientId]) -> Result<Traces, Fail> {
        let mut traces = Traces::of_number(phone);
        let rows = sqlx::query(
            "select name, external_id, email, person_key, debt_key from clients
             where id in (select unhex(value, '-') from json_each(?1))",
        )
        .bind(ids(clients))
        .fetch_all(self.conn())
        .await?;
        for row in rows {
            for column in ["name", "external_id", "email", "person_key", "debt_key"] {
                let word: Option<&str> = row.try_get(column)?;
                traces.also(word.unwrap_or_default());
            }
        }
        Ok(traces)
    }

    /// Every call of some clients, in either direction.
    async fn calls_of(&mut self, clients: &[ClientId]) -> Result<BTreeSet<CallId>, Fail> {
        let calls: Vec<Uuid> = sqlx::query_scalar(
            "select id from calls where client in (select unhex(value, '-') from json_each(?1))",
        )
        .bind(ids(clients))
        .fetch_all(self.conn())
        .await?;
        Ok(calls.into_iter().map(CallId::from_uuid).collect())
    }

    /// Takes everything from some clients and their calls that says who they are; the calls that
    /// were to come.
    async fn erase_clients(
        &mut self,
        by: By<'_>,
        clients: &[ClientId],
    ) -> Result<Vec<CallId>, Fail> {
        self.load_clients(clients.iter().copied()).await?;
        let calls = self.calls_of(clients).await?;
        self.erase_calls(&calls, true).await?;
        let mut rows = Vec::new();
        for id in clients {
            let Some(row) = self.clients.get(id) else { continue };
            let erasure = Erasure { at: by.now, on_dnc: self.covers(row) };
            let Some(row) = self.clients.get_mut(id) else { continue };
            (row.phone, row.erased) = (None, Some(erasure));
            row.zones.clear();
            row.tags.clear();
            rows.push(json!([id, erasure.on_dnc]));
        }
        let canceled = self.retire_waiting(clients, by.now, by.actor, CancelReason::Erased).await?;
        sqlx::query(
            "update clients set phone = -place, name = '', name_key = '', external_id = null,
                 email = null, zones = '[]', fields = '[]', tags = '[]', consent = null,
                 person_key = null, debt_key = null, erased_at = ?2, erased_on_dnc = erased.on_dnc
             from (select unhex(value ->> 0, '-') as id, value ->> 1 as on_dnc from json_each(?1))
                 as erased
             where clients.id = erased.id",
        )
        .bind(Value::from(rows).to_string())
        .bind(micros(by.now))
        .execute(self.conn())
        .await?;
        sqlx::query(
            "delete from notes where client in (select unhex(value, '-') from json_each(?1))",
        )
        .bind(ids(clients))
        .execute(self.conn())
        .await?;
        Ok(canceled)
    }

    /// Takes every word from some calls, and their numbers if these are to go too; how many
    /// recordings the carrier has to delete.
    async fn erase_calls(&mut self, calls: &BTreeSet<CallId>, number: bool) -> Result<u32, Fail> {
        self.load_calls(calls.iter().copied()).await?;
        let (mut erased_calls, mut recordings) = (Vec::new(), BTreeSet::new());
        for id in calls {
            let script = self.script(*id).await?;
            let Some(row) = self.calls.get(id) else { continue };
            let dialled = row.call.phone.zip(row.call.begun_at);
            recordings.extend(row.events.iter().filter_map(recording_of).map(str::to_owned));
            let left = impersonal(&row.events, &script);
            for event in &left {
                self.out.events.push((*id, serde_json::to_string(event)?));
            }
            let known = row.erased.and_then(|known| known.dialled);
            let dialled_at = dialled.map(|(_, at)| micros(at));
            let dialled = known.or(dialled.map(|(phone, _)| phone));
            erased_calls.push(json!([id, number, dialled.map(digits), dialled_at]));
            self.change(*id, |row| {
                row.erased = Some(ErasedCall { number, dialled });
                row.call.progress = Progress::of(&left, &script);
                row.events = left;
                strip_call(&mut row.call);
                row.changed = true;
            });
        }
        for sql in [
            "delete from call_events where call in (select unhex(value, '-') from json_each(?1))",
            "delete from notes where call in (select unhex(value, '-') from json_each(?1))",
        ] {
            sqlx::query(sql).bind(ids(calls)).execute(self.conn()).await?;
        }
        self.apply(
            "insert into erased_calls (call, number, phone, dialled_at)
             select unhex(value ->> 0, '-'), value ->> 1, value ->> 2, value ->> 3
             from json_each(?1) where true
             on conflict do update set number = excluded.number",
            erased_calls,
        )
        .await?;
        let found = count(recordings.len());
        self.out.recordings.extend(recordings);
        Ok(found)
    }

    /// Takes a person out of what is not its own: reports, and reasons of DNC entries.
    async fn erase_elsewhere(&mut self, phone: PhoneNumber, traces: &Traces) -> Result<(), Fail> {
        self.erase_rejects(phone, traces).await?;
        for (select, update) in [
            (
                "select id, report from imports where report like '%\"rejections\":[{%'",
                "update imports set report = ?2 where id = ?1",
            ),
            (
                "select id, report from dnc_imports where report like '%\"rejections\":[{%'",
                "update dnc_imports set report = ?2 where id = ?1",
            ),
        ] {
            for row in sqlx::query(select).fetch_all(self.conn()).await? {
                let id: Uuid = row.try_get("id")?;
                let mut report: Value = document(row.try_get("report")?, "import report")?;
                let mut rejections: Vec<_> = serde_json::from_value(report["rejections"].take())?;
                if strip_rejections(&mut rejections, traces) {
                    report["rejections"] = json!(rejections);
                    let report = report.to_string();
                    sqlx::query(update).bind(id).bind(report).execute(self.conn()).await?;
                }
            }
        }
        let entries = sqlx::query("select campaign, reason from dnc where phone = ?1")
            .bind(digits(phone))
            .fetch_all(self.conn())
            .await?;
        for row in entries {
            let (campaign, reason): (Vec<u8>, &str) =
                (row.try_get("campaign")?, row.try_get("reason")?);
            if traces.show_in(reason) {
                sqlx::query("update dnc set reason = ?3 where phone = ?1 and campaign = ?2")
                    .bind(digits(phone))
                    .bind(campaign)
                    .bind(ERASED)
                    .execute(self.conn())
                    .await?;
            }
        }
        Ok(())
    }

    /// Takes people out of what was written down about acts: everything where they were the object,
    /// and what shows them where something else was.
    async fn redact_acts(&mut self, own: &BTreeSet<String>, traces: &Traces) -> Result<(), Fail> {
        let (own_list, needles) = (serde_json::to_string(own)?, traces.needles());
        let mut rows = sqlx::query(
            "select id, object, old, new from audit
             where object in (select value from json_each(?1))",
        )
        .bind(&own_list)
        .fetch_all(self.conn())
        .await?;
        if !needles.is_empty() {
            let elsewhere = sqlx::query(
                "select id, object, old, new from audit
                 where object not in (select value from json_each(?1))
                     and exists (select 1 from json_each(?2) as needle
                         where instr(object, needle.value) or instr(old, needle.value)
                             or instr(new, needle.value))",
            )
            .bind(&own_list)
            .bind(serde_json::to_string(&needles)?)
            .fetch_all(self.conn())
            .await?;
            rows.extend(elsewhere);
        }
        for row in rows {
            let object: &str = row.try_get("object")?;
            let is_own = own.contains(object);
            let take = |column| -> Result<Option<String>, Fail> {
                let Some(text) = row.try_get::<Option<&str>, _>(column)? else { return Ok(None) };
                let value: Value = document(text, "audited value")?;
                let taken = if is_own { Some(redacted(&value)) } else { traces.taken_from(&value) };
                Ok(Some(taken.map_or_else(|| text.to_owned(), |taken| taken.to_string())))
            };
            let (old, new) = (take("old")?, take("new")?);
            let object = if traces.show_in(object) { ERASED } else { object };
            sqlx::query("update audit set object = ?2, old = ?3, new = ?4 where id = ?1")
                .bind(row.try_get::<Uuid, _>("id")?)
                .bind(object)
                .bind(old)
                .bind(new)
                .execute(self.conn())
                .await?;
        }
        self.redact_replies(own, traces).await
    }

    async fn redact_replies(
        &mut self,
        own: &BTreeSet<String>,
        traces: &Traces,
    ) -> Result<(), Fail> {
        let needles: Vec<String> = own.iter().cloned().chain(traces.needles()).collect();
        let rows = sqlx::query(
            "select scope, key, body from idempotency
             where exists (select 1 from json_each(?1) as needle where instr(body, needle.value))",
        )
        .bind(serde_json::to_string(&needles)?)
        .fetch_all(self.conn())
        .await?;
        for row in rows {
            let body: &str = row.try_get("body")?;
            if own.iter().any(|id| body.contains(id)) || traces.show_in(body) {
                sqlx::query("update idempotency set body = ?3 where scope = ?1 and key = ?2")
                    .bind(row.try_get::<&str, _>("scope")?)
                    .bind(row.try_get::<&str, _>("key")?)
                    .bind(erased_reply())
                    .execute(self.conn())
                    .await?;
            }
        }
        Ok(())
    }

    /// The next clients of campaigns that ended before an instant, noted as retained: how many were
    /// looked at, and those that have anything to take.
    async fn clients_over(
        &mut self,
        before: DateTime<Utc>,
        limit: u32,
    ) -> Result<(u32, Vec<ClientId>), Fail> {
        let rows = sqlx::query(
            "select clients.id, clients.campaign, clients.place, clients.erased_at is null as whole
             from campaigns left join retained_clients on retained_clients.campaign = campaigns.id
                 join clients on clients.campaign = campaigns.id
                     and clients.place > coalesce(retained_clients.place, -1)
             where campaigns.ended_at < ?1
             order by campaigns.id, clients.place limit ?2",
        )
        .bind(micros(before))
        .bind(limit)
        .fetch_all(self.conn())
        .await?;
        let (seen, mut clients) = (count(rows.len()), Vec::new());
        for row in rows {
            let (campaign, place): (Uuid, i64) = (row.try_get("campaign")?, row.try_get("place")?);
            sqlx::query(
                "insert into retained_clients (campaign, place) values (?1, ?2)
                 on conflict do update set place = excluded.place",
            )
            .bind(campaign)
            .bind(place)
            .execute(self.conn())
            .await?;
            if row.try_get("whole")? {
                clients.push(ClientId::from_uuid(row.try_get("id")?));
            }
        }
        Ok((seen, clients))
    }

    /// The same of calls that ended before an instant, which are loaded.
    async fn calls_over(
        &mut self,
        before: DateTime<Utc>,
        limit: u32,
    ) -> Result<(u32, Vec<CallId>), Fail> {
        let rows = sqlx::query(
            "select id, ended_at, exists (select 1 from erased_calls where call = history.id) as gone
             from history
             where ended_at < ?1 and (ended_at, id) > (
                 select coalesce(max(ended_at), 0), coalesce(max(call), x'') from retained_calls)
             order by ended_at, id limit ?2",
        )
        .bind(micros(before))
        .bind(limit)
        .fetch_all(self.conn())
        .await?;
        if let Some(last) = rows.last() {
            sqlx::query(
                "insert into retained_calls (id, ended_at, call) values (1, ?1, ?2)
                 on conflict do update set ended_at = excluded.ended_at, call = excluded.call",
            )
            .bind(last.try_get::<i64, _>("ended_at")?)
            .bind(last.try_get::<Uuid, _>("id")?)
            .execute(self.conn())
            .await?;
        }
        let (seen, mut calls) = (count(rows.len()), Vec::new());
        for row in rows {
            if !row.try_get::<bool, _>("gone")? {
                calls.push(CallId::from_uuid(row.try_get("id")?));
            }
        }
        self.load_calls(calls.iter().copied()).await?;
        Ok((seen, calls))
    }
}

fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
