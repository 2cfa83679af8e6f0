//! Writing what became of a unit of work: one statement a table, however many rows.

use callcore::call::Outcome;
use callcore::id::{CallId, NoticeId};
use serde::Serialize;
use serde_json::{Value, json};

use super::fail::Fail;
use super::open::Machine;
use super::row::{CallRow, Table, ids, micros};
use super::work::{Moved, Work};

// `json_each` renders its value anew wherever it is named: `materialized` has it do so once a row.

const INSERT_DUE: &str = "
with rows as materialized (select value from json_each(?1))
insert or replace into due (id, campaign, client, sample, phone, attempt, retry_of, intent, by,
    due_at, zone, planned, serving, epoch, lease_until)
select unhex(value ->> 'id', '-'), unhex(value ->> 'campaign', '-'),
    unhex(value ->> 'client', '-'), unhex(value ->> 'sample', '-'), value ->> 'phone',
    value ->> 'attempt',
    unhex(value ->> 'retry_of', '-'), value ->> 'intent', value ->> 'by', value ->> 'due_at',
    value ->> 'zone', value ->> 'intent' not in ('person', 'test'),
    value ->> 'intent' <> 'test' and coalesce((select state <> 'draft' from campaigns where id = unhex(value ->> 'campaign', '-')), 1),
    value ->> 'epoch', value ->> 'lease_until'
from rows";

const INSERT_IN_FLIGHT: &str = "
with rows as materialized (select value from json_each(?1))
insert or replace into in_flight (id, campaign, client, sample, phone, direction, attempt, retry_of, intent,
    by, due_at, zone, epoch, begun_at, settings_version, decision, doubtful, looks, look_at)
select unhex(value ->> 'id', '-'), unhex(value ->> 'campaign', '-'),
    unhex(value ->> 'client', '-'), unhex(value ->> 'sample', '-'), value ->> 'phone', value ->> 'direction', value ->> 'attempt',
    unhex(value ->> 'retry_of', '-'), value ->> 'intent', value ->> 'by', value ->> 'due_at',
    value ->> 'zone', value ->> 'epoch', value ->> 'begun_at', value ->> 'settings_version',
    value ->> 'decision', value ->> 'doubtful', value ->> 'looks', value ->> 'look_at'
from rows";

const INSERT_HISTORY: &str = "
with rows as materialized (select value from json_each(?1))
insert or replace into history (id, campaign, client, sample, phone, direction, attempt, retry_of, intent,
    by, due_at, zone, begun_at, settings_version, decision, ended_at, outcome, end_reason,
    permanent, retired, review, disposition, talk_seconds, name_key)
select unhex(value ->> 'id', '-'), unhex(value ->> 'campaign', '-'),
    unhex(value ->> 'client', '-'), unhex(value ->> 'sample', '-'), value ->> 'phone', value ->> 'direction', value ->> 'attempt',
    unhex(value ->> 'retry_of', '-'), value ->> 'intent', value ->> 'by', value ->> 'due_at',
    value ->> 'zone', value ->> 'begun_at', value ->> 'settings_version', value ->> 'decision',
    value ->> 'ended_at', value ->> 'outcome', value ->> 'end_reason', value ->> 'permanent',
    value ->> 'retired', value ->> 'review', value ->> 'disposition', value ->> 'talk_seconds',
    coalesce((select substr(clients.name_key, 1, 100) from clients
        where clients.id = unhex(value ->> 'client', '-')), '')
from rows";

const DELETE_DUE: &str =
    "delete from due where id in (select unhex(value, '-') from json_each(?1))";
const DELETE_IN_FLIGHT: &str =
    "delete from in_flight where id in (select unhex(value, '-') from json_each(?1))";
const DELETE_HANG_UPS: &str =
    "delete from hang_ups where call in (select unhex(value, '-') from json_each(?1))";
const DELETE_HISTORY: &str =
    "delete from history where id in (select unhex(value, '-') from json_each(?1))";

const INSERT_EVENTS: &str = "
with rows as materialized (select value from json_each(?1))
insert or ignore into call_events (call, body)
select unhex(value ->> 0, '-'), value ->> 1 from rows";

const DELETE_RECORDINGS: &str = "
insert or ignore into recording_deletions (reference, tries, next_try)
select value, 0, 0 from json_each(?1)";

const HANG_UP_NOW: &str = "
update hang_ups set due_at = 0
where call in (select unhex(value, '-') from json_each(?1))";

const UPDATE_CLIENTS: &str = "
with rows as materialized (select value from json_each(?1))
update clients set status = new.status, attempts = new.attempts, voicemails = new.voicemails,
    last_outcome = new.last_outcome, last_call_at = new.last_call_at, tags = new.tags
from (
    select unhex(value ->> 'id', '-') as id, value ->> 'status' as status,
        value ->> 'attempts' as attempts, value ->> 'voicemails' as voicemails,
        value ->> 'last_outcome' as last_outcome, value ->> 'last_call_at' as last_call_at,
        value ->> 'tags' as tags
    from rows
) as new
where clients.id = new.id";

const MOVE_CLIENTS: &str = "
insert into client_counts (campaign, status, clients)
select unhex(value ->> 0, '-'), value ->> 1, value ->> 2 from json_each(?1) where true
on conflict do update set clients = clients + excluded.clients";

const COUNT_QUARTERS: &str = "
insert into tallies (campaign, quarter, outcome, calls, talk_seconds)
select unhex(value ->> 0, '-'), value ->> 1, value ->> 2, value ->> 3, value ->> 4
from json_each(?1) where true
on conflict do update set calls = calls + excluded.calls,
    talk_seconds = talk_seconds + excluded.talk_seconds";

const COUNT_TOTALS: &str = "
insert into totals (campaign, outcome, calls, talk_seconds)
select unhex(value ->> 0, '-'), value ->> 2, sum(value ->> 3), sum(value ->> 4)
from json_each(?1) where true group by 1, 2
on conflict do update set calls = calls + excluded.calls,
    talk_seconds = talk_seconds + excluded.talk_seconds";

const MOVE_METERS: &str = "
insert into dial_meters (campaign, quarter, begun, live, minutes)
select unhex(value ->> 0, '-'), value ->> 1, value ->> 2, value ->> 3, value ->> 4
from json_each(?1) where true
on conflict do update set begun = begun + excluded.begun, live = live + excluded.live,
    minutes = minutes + excluded.minutes";

const UPDATE_ACCOUNT: &str =
    "update account set live = live + ?1, next_dial_at = coalesce(?2, next_dial_at)";

const UPDATE_CAMPAIGNS: &str = "
update campaigns set state = new.state, next_dial_at = new.next_dial_at,
    started_at = new.started_at, ended_at = new.ended_at, paused_at = new.paused_at,
    paused_by = new.paused_by, pause_reason = new.pause_reason, counted_from = new.counted_from
from (
    select unhex(value ->> 'id', '-') as id, value ->> 'state' as state,
        value ->> 'next_dial_at' as next_dial_at, value ->> 'started_at' as started_at,
        value ->> 'ended_at' as ended_at, value ->> 'paused_at' as paused_at,
        value ->> 'paused_by' as paused_by, value ->> 'pause_reason' as pause_reason,
        value ->> 'counted_from' as counted_from
    from json_each(?1)
) as new
where campaigns.id = new.id";

/// What is told anew each time takes the place of what was told before.
const DELETE_NOTICES: &str = "
delete from outbox where kind = 'breaker_tripped' and (kind, object) in (
    select value ->> 2, unhex(value ->> 3, '-') from json_each(?1))";

const INSERT_NOTICES: &str = "
insert or ignore into outbox (id, at, kind, object)
select unhex(value ->> 0, '-'), value ->> 1, value ->> 2, unhex(value ->> 3, '-')
from json_each(?1)";

const MOVE_CLOCK: &str = "
insert into campaign_clock (id, latest) values (1, ?1)
on conflict do update set latest = max(latest, excluded.latest)";

/// A call as the statements above read it.
#[derive(Serialize)]
struct Record<'a> {
    id: CallId,
    campaign: Option<callcore::id::CampaignId>,
    client: Option<callcore::id::ClientId>,
    sample: Option<callcore::id::ClientId>,
    phone: Option<u64>,
    direction: &'static str,
    attempt: u32,
    retry_of: Option<CallId>,
    intent: &'static str,
    by: &'a callcore::actor::Actor,
    due_at: i64,
    zone: Option<&'a str>,
    epoch: u64,
    lease_until: Option<i64>,
    begun_at: Option<i64>,
    settings_version: u32,
    decision: &'a [callcore::engine::Heard],
    doubtful: bool,
    looks: u32,
    look_at: i64,
    ended_at: Option<i64>,
    outcome: Option<&'static str>,
    end_reason: Option<&'a str>,
    permanent: bool,
    retired: &'a Option<callcore::call::Retired>,
    review: &'static str,
    disposition: &'a Option<String>,
    talk_seconds: u32,
}

impl<'a> Record<'a> {
    fn of(row: &'a CallRow) -> Self {
        let call = &row.call;
        Self {
            id: call.id,
            campaign: call.campaign,
            client: call.client,
            sample: call.sample,
            phone: call.phone.map(callcore::phone::PhoneNumber::digits),
            direction: call.direction.as_str(),
            attempt: call.attempt,
            retry_of: call.retry_of,
            intent: call.intent.as_str(),
            by: &call.by,
            due_at: micros(call.due_at),
            zone: call.zone.as_ref().map(callcore::time::Zone::name),
            epoch: row.epoch,
            lease_until: row.lease_until,
            begun_at: call.begun_at.map(micros),
            settings_version: call.settings_version,
            decision: &call.decision,
            doubtful: row.doubtful(),
            looks: row.looks,
            look_at: row.look_at,
            ended_at: call.ended_at().map(micros),
            outcome: call.outcome().map(Outcome::as_str),
            end_reason: call.end_reason(),
            permanent: call.progress.permanent,
            retired: &call.retired,
            review: call.review.as_str(),
            disposition: &call.disposition,
            talk_seconds: call.progress.talk_seconds,
        }
    }
}

impl Work<'_> {
    /// Writes what changed.
    pub(super) async fn flush(&mut self) -> Result<(), Fail> {
        self.flush_calls().await?;
        let events: Vec<_> =
            self.out.events.drain(..).map(|(call, body)| json!([call, body])).collect();
        self.apply(INSERT_EVENTS, events).await?;
        let recordings: Vec<_> =
            std::mem::take(&mut self.out.recordings).into_iter().map(Value::from).collect();
        self.apply(DELETE_RECORDINGS, recordings).await?;
        let named = std::mem::take(&mut self.out.named);
        if !named.is_empty() {
            sqlx::query(HANG_UP_NOW).bind(ids(named)).execute(self.conn()).await?;
        }
        self.flush_clients().await?;
        self.flush_campaigns().await?;
        self.flush_counters().await?;
        let notices = self.out.notices.drain(..).map(|(at, kind)| {
            json!([NoticeId::new(at, &Machine), micros(at), kind.word(), kind.object()])
        });
        let notices: Vec<_> = notices.collect();
        self.apply(DELETE_NOTICES, notices.clone()).await?;
        self.apply(INSERT_NOTICES, notices).await?;
        if let Some(latest) = self.latest {
            sqlx::query(MOVE_CLOCK).bind(micros(latest)).execute(self.conn()).await?;
        }
        Ok(())
    }

    pub(super) async fn flush_calls(&mut self) -> Result<(), Fail> {
        let (mut leave, mut enter) = ([vec![], vec![], vec![]], [vec![], vec![], vec![]]);
        for row in self.calls.values_mut() {
            let table = Table::of(&row.call);
            let stored = (table, row.doubtful());
            if let Some((old, _)) = row.stored
                && old != table
            {
                leave[old as usize].push(row.call.id);
            }
            if row.changed || row.stored != Some(stored) {
                enter[table as usize].push(serde_json::to_value(Record::of(row))?);
            }
            row.stored = Some(stored);
            row.changed = false;
        }
        for (call, table) in self.out.withdrawn.drain(..) {
            leave[table as usize].push(call);
        }
        let [_, over, _] = &leave;
        if !over.is_empty() {
            sqlx::query(DELETE_HANG_UPS).bind(ids(over)).execute(self.conn()).await?;
        }
        for (sql, calls) in [DELETE_DUE, DELETE_IN_FLIGHT, DELETE_HISTORY].into_iter().zip(leave) {
            if !calls.is_empty() {
                sqlx::query(sql).bind(ids(calls)).execute(self.conn()).await?;
            }
        }
        for (sql, rows) in [INSERT_DUE, INSERT_IN_FLIGHT, INSERT_HISTORY].into_iter().zip(enter) {
            self.apply(sql, rows).await?;
        }
        Ok(())
    }

    async fn flush_clients(&mut self) -> Result<(), Fail> {
        let changed = self.clients.iter_mut().filter(|(_, row)| row.changed);
        let rows = changed.map(|(id, row)| {
            row.changed = false;
            json!({
                "id": id,
                "status": row.standing.status,
                "attempts": row.standing.attempts,
                "voicemails": row.standing.voicemails,
                "last_outcome": row.standing.last_outcome,
                "last_call_at": row.standing.last_call_at.map(micros),
                "tags": row.tags,
            })
        });
        let rows: Vec<_> = rows.collect();
        self.apply(UPDATE_CLIENTS, rows).await
    }

    pub(super) async fn flush_campaigns(&mut self) -> Result<(), Fail> {
        let (mut rows, mut moves) = (Vec::new(), Vec::new());
        for (id, row) in &mut self.campaigns {
            if std::mem::take(&mut row.changed) {
                rows.push(json!({
                    "id": id,
                    "state": row.state,
                    "next_dial_at": micros(row.next_dial_at),
                    "started_at": row.started_at.map(micros),
                    "ended_at": row.ended_at.map(micros),
                    "paused_at": row.pause.as_ref().map(|pause| micros(pause.at)),
                    "paused_by": row.pause.as_ref().map(|pause| &pause.by),
                    "pause_reason": row.pause.as_ref().and_then(|pause| pause.reason.as_ref()),
                    "counted_from": micros(row.counted_from),
                }));
            }
            let moved = std::mem::take(&mut row.moved);
            let moved = moved.into_iter().filter(|(_, count)| *count != 0);
            moves.extend(moved.map(|(status, count)| json!([id, status, count])));
        }
        self.apply(UPDATE_CAMPAIGNS, rows).await?;
        self.apply(MOVE_CLIENTS, moves).await
    }

    async fn flush_counters(&mut self) -> Result<(), Fail> {
        let tallies = std::mem::take(&mut self.out.tallies);
        let moved = tallies.into_iter().filter(|(_, cell)| *cell != (0, 0));
        let rows: Vec<_> = moved
            .map(|((campaign, quarter, outcome), (calls, talk_seconds))| {
                json!([campaign, micros(quarter), outcome, calls, talk_seconds])
            })
            .collect();
        self.apply(COUNT_QUARTERS, rows.clone()).await?;
        self.apply(COUNT_TOTALS, rows).await?;
        self.flush_meters().await
    }

    async fn flush_meters(&mut self) -> Result<(), Fail> {
        let meters = std::mem::take(&mut self.out.meters);
        let next_dial_at = self.out.next_dial_at.take().map(micros);
        let account = meters.iter().filter(|((scope, _), _)| scope.is_none());
        let live: i64 = account.map(|(_, moved)| moved.live).sum();
        let moved = meters.into_iter().filter(|(_, moved)| *moved != Moved::default());
        let rows = moved.map(|((scope, quarter), moved)| {
            let campaign = scope.map(|id| id.to_string()).unwrap_or_default();
            json!([campaign, micros(quarter), moved.begun, moved.live, moved.minutes])
        });
        let rows: Vec<_> = rows.collect();
        self.apply(MOVE_METERS, rows).await?;
        if live != 0 || next_dial_at.is_some() {
            sqlx::query(UPDATE_ACCOUNT).bind(live).bind(next_dial_at).execute(self.conn()).await?;
        }
        Ok(())
    }

    /// Runs a statement over rows given as one JSON document, if there are any.
    pub(super) async fn apply(&mut self, sql: &'static str, rows: Vec<Value>) -> Result<(), Fail> {
        if !rows.is_empty() {
            let rows = Value::from(rows).to_string();
            sqlx::query(sql).bind(rows).execute(self.conn()).await?;
        }
        Ok(())
    }
}
