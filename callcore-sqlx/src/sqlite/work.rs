//! A unit of work: the rows a mutation is about, in memory, and what follows when they change.
//!
//! The core's functions speak over what was loaded; [`flush`](super::flush) writes what became of
//! it, and nothing is seen by anybody before the commit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use callcore::account::Reading;
use callcore::actor::Actor;
use callcore::call::{Call, CancelReason, Intent, Outcome, Retired, Retirement};
use callcore::campaign::{Pause, RunState, Settings};
use callcore::client::{ClientStatus, ClientZone, Erasure, Standing};
use callcore::dnc::DncScope;
use callcore::engine::{CallBrief, Case, PlannedCall, Stage, Tally, outlook};
use callcore::id::{AuditId, CallId, CampaignId, ClientId};
use callcore::phone::PhoneNumber;
use callcore::port::{By, Effect, NoticeKind, Refused};
use callcore::script::Script;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use sqlx::{Row, Sqlite, SqliteConnection, Transaction};

use super::fail::Fail;
use super::open::{Machine, SettingsCache};
use super::row::{self, CallRow, Table, micros};

/// How long an idempotency record is kept, on the wall clock.
pub(super) const KEPT: TimeDelta = TimeDelta::hours(24);

pub(super) struct Work<'s> {
    // First, so that it forgets before the next writer gets its turn.
    uncommitted: Uncommitted<'s>,
    tx: Transaction<'static, Sqlite>,
    pub(super) settings: &'s SettingsCache,
    pub(super) latest: Option<DateTime<Utc>>,
    pub(super) campaigns: BTreeMap<CampaignId, CampaignRow>,
    pub(super) clients: BTreeMap<ClientId, ClientRow>,
    pub(super) calls: BTreeMap<CallId, CallRow>,
    /// The entries of every number whose clients were loaded.
    pub(super) dnc: BTreeSet<(PhoneNumber, DncScope)>,
    pub(super) out: Out,
}

/// What a unit of work adds, beside the rows it changes.
#[derive(Default)]
pub(super) struct Out {
    /// Retries that are no longer owed, and where they are stored: one that was taken back is still
    /// in flight there.
    pub(super) withdrawn: Vec<(CallId, Table)>,
    pub(super) events: Vec<(CallId, String)>,
    /// Live calls whose id at the carrier came: those that are to be hung up can be now.
    pub(super) named: Vec<CallId>,
    /// Recordings the carrier has to delete.
    pub(super) recordings: BTreeSet<String>,
    pub(super) tallies: BTreeMap<(CampaignId, DateTime<Utc>, Outcome), (i64, i64)>,
    pub(super) notices: Vec<(DateTime<Utc>, NoticeKind)>,
    /// What the meters move by, of each campaign and, under none, of the account.
    pub(super) meters: BTreeMap<(Option<CampaignId>, DateTime<Utc>), Moved>,
    /// The earliest instant of the account's next dial, if dials began.
    pub(super) next_dial_at: Option<DateTime<Utc>>,
}

/// By how much a meter moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Moved {
    pub(super) begun: i64,
    pub(super) live: i64,
    pub(super) minutes: i64,
}

impl Out {
    fn move_meter(&mut self, scope: Option<CampaignId>, reading: Option<Reading>, sign: i64) {
        let Some(reading) = reading else { return };
        let moved = self.meters.entry((scope, reading.quarter)).or_default();
        moved.begun += sign;
        moved.live += sign * i64::from(reading.live);
        moved.minutes += sign * reading.minutes.cast_signed();
    }
}

pub(super) struct CampaignRow {
    pub(super) state: RunState,
    pub(super) settings_version: u32,
    pub(super) settings: Arc<Settings>,
    pub(super) next_dial_at: DateTime<Utc>,
    pub(super) started_at: Option<DateTime<Utc>>,
    pub(super) ended_at: Option<DateTime<Utc>>,
    pub(super) pause: Option<Pause>,
    /// Dials that ended since count for the breaker.
    pub(super) counted_from: DateTime<Utc>,
    /// Clients by status, with what this unit of work moved.
    pub(super) clients: BTreeMap<ClientStatus, i64>,
    pub(super) moved: BTreeMap<ClientStatus, i64>,
    pub(super) changed: bool,
}

pub(super) struct ClientRow {
    pub(super) campaign: CampaignId,
    pub(super) phone: Option<PhoneNumber>,
    pub(super) erased: Option<Erasure>,
    pub(super) zones: Vec<ClientZone>,
    pub(super) active: bool,
    /// Whether a consent is recorded.
    pub(super) consent: bool,
    pub(super) tags: BTreeSet<String>,
    pub(super) standing: Standing,
    /// Every outbound call of the client.
    pub(super) calls: BTreeMap<CallId, CallBrief>,
    pub(super) changed: bool,
}

/// Forgets settings that this unit of work may have shown and that never came to be.
struct Uncommitted<'s>(Option<&'s SettingsCache>);

impl Drop for Uncommitted<'_> {
    fn drop(&mut self) {
        if let Some(settings) = self.0 {
            settings.clear();
        }
    }
}

impl<'s> Work<'s> {
    pub(super) fn new(tx: Transaction<'static, Sqlite>, settings: &'s SettingsCache) -> Self {
        Self {
            uncommitted: Uncommitted(Some(settings)),
            tx,
            settings,
            latest: None,
            campaigns: BTreeMap::new(),
            clients: BTreeMap::new(),
            calls: BTreeMap::new(),
            dnc: BTreeSet::new(),
            out: Out::default(),
        }
    }

    pub(super) fn conn(&mut self) -> &mut SqliteConnection {
        &mut self.tx
    }

    /// Writes what changed and makes it last.
    pub(super) async fn commit(mut self) -> Result<(), Fail> {
        self.flush().await?;
        let Self { mut uncommitted, tx, .. } = self;
        tx.commit().await?;
        uncommitted.0 = None;
        Ok(())
    }

    /// Notes the instant of a change.
    pub(super) fn at(&mut self, now: DateTime<Utc>) {
        self.latest = self.latest.max(Some(now));
    }

    /// Begins what a person or the system asked for: nothing happens twice under one idempotency
    /// key.
    pub(super) async fn enter(&mut self, by: By<'_>) -> Result<(), Fail> {
        self.at(by.now);
        let Some(record) = by.idempotency else { return Ok(()) };
        let taken: bool = sqlx::query_scalar(
            "select exists (select 1 from idempotency where scope = ?1 and key = ?2 and wall > ?3)",
        )
        .bind(&record.scope)
        .bind(&record.key)
        .bind(micros(record.wall - KEPT))
        .fetch_one(self.conn())
        .await?;
        if taken { Err(Refused::InProgress.into()) } else { Ok(()) }
    }

    /// Stores the answer to what was done.
    pub(super) async fn leave(&mut self, by: By<'_>, effect: &Effect) -> Result<(), Fail> {
        let Some(record) = by.idempotency else { return Ok(()) };
        let reply = (record.reply)(effect);
        sqlx::query("delete from idempotency where wall <= ?1")
            .bind(micros(record.wall - KEPT))
            .execute(self.conn())
            .await?;
        sqlx::query(
            "insert into idempotency (scope, key, wall, body_hash, status, body)
             values (?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .bind(&record.scope)
        .bind(&record.key)
        .bind(micros(record.wall))
        .bind(&record.body_hash[..])
        .bind(reply.status)
        .bind(reply.body)
        .execute(self.conn())
        .await?;
        Ok(())
    }

    /// Writes an audit row, if a person or a token did it.
    pub(super) async fn audit(
        &mut self,
        by: By<'_>,
        action: &str,
        object: String,
        old: Option<Value>,
        new: Option<Value>,
    ) -> Result<(), Fail> {
        if !matches!(by.actor, Actor::User(_) | Actor::Token(_)) {
            return Ok(());
        }
        sqlx::query(
            "insert into audit (id, at, actor, action, object, old, new)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )
        .bind(AuditId::new(by.now, &Machine).uuid())
        .bind(micros(by.now))
        .bind(by.actor.to_string())
        .bind(action)
        .bind(object)
        .bind(old.map(|old| old.to_string()))
        .bind(new.map(|new| new.to_string()))
        .execute(self.conn())
        .await?;
        Ok(())
    }

    pub(super) fn campaign(&self, id: CampaignId) -> Result<&CampaignRow, Refused> {
        self.campaigns.get(&id).ok_or(Refused::NotFound)
    }

    /// Whether a DNC entry covers a client's number, or did when it was erased.
    pub(super) fn covers(&self, client: &ClientRow) -> bool {
        client.erased.map_or_else(
            || client.phone.is_some_and(|phone| self.on_dnc(phone, client.campaign).is_some()),
            |erased| erased.on_dnc,
        )
    }

    /// The entry that covers a number in a campaign.
    pub(super) fn on_dnc(&self, phone: PhoneNumber, campaign: CampaignId) -> Option<DncScope> {
        [DncScope::Global, DncScope::Campaign(campaign)]
            .into_iter()
            .find(|scope| self.dnc.contains(&(phone, *scope)))
    }

    pub(super) fn notify(&mut self, at: DateTime<Utc>, kind: NoticeKind) {
        self.out.notices.push((at, kind));
    }

    /// Puts a new call into the queue, or wherever else it belongs.
    pub(super) fn add_call(&mut self, row: CallRow) {
        let id = row.call.id;
        let client = row.call.client.and_then(|client| self.clients.get_mut(&client));
        if let (Some(client), Some(brief)) = (client, CallBrief::of(&row.call)) {
            client.calls.insert(id, brief);
        }
        self.calls.insert(id, row);
    }

    /// Changes a call, and moves every counter that follows from it.
    pub(super) fn change(&mut self, id: CallId, change: impl FnOnce(&mut CallRow)) {
        let Some(row) = self.calls.get_mut(&id) else { return };
        let (old, read) = (Tally::of(&row.call), Reading::of(&row.call));
        change(row);
        if Table::of(&row.call) != Table::Due {
            row.lease_until = None;
        }
        row.call.claimed = row.lease_until.is_some();
        let goes = row.erased.is_some_and(|erased| erased.number);
        if goes && Table::of(&row.call) == Table::History && row.call.phone.is_some() {
            // While it was live, it kept others from dialling the number.
            (row.call.phone, row.call.zone) = (None, None);
            row.changed = true;
        }
        let (new, reads) = (Tally::of(&row.call), Reading::of(&row.call));
        let client = row.call.client.and_then(|client| self.clients.get_mut(&client));
        if let (Some(client), Some(brief)) = (client, CallBrief::of(&row.call)) {
            client.calls.insert(id, brief);
        }
        if read != reads {
            // A test call has its price, and stands outside its campaign's counts.
            let campaign = row.call.campaign.filter(|_| !row.call.is_test());
            for scope in [None, campaign].into_iter().take(1 + usize::from(campaign.is_some())) {
                self.out.move_meter(scope, read, -1);
                self.out.move_meter(scope, reads, 1);
            }
        }
        if let Some(campaign) = row.call.campaign
            && old != new
        {
            for (tally, sign) in [(old, -1), (new, 1)] {
                let Some(tally) = tally else { continue };
                let key = (campaign, tally.quarter, tally.outcome);
                let cell = self.out.tallies.entry(key).or_default();
                *cell = (cell.0 + sign, cell.1 + sign * i64::from(tally.talk_seconds));
            }
        }
    }

    /// Ends a scheduled call without a dial.
    pub(super) fn retire(&mut self, id: CallId, at: DateTime<Utc>, by: &Actor, how: Retirement) {
        self.change(id, |row| {
            row.call.retired = Some(Retired { at, by: by.clone(), how });
            row.changed = true;
        });
    }

    /// Brings a client's standing up to date after any change to its calls, and what follows: the
    /// retry that is owed or no longer owed, and the campaign's end.
    pub(super) fn follow_up(&mut self, id: ClientId, now: DateTime<Utc>) {
        let Some(outlook) = self.case(id, |_, case| outlook(case)) else { return };
        if let Some(withdrawn) = outlook.withdraw {
            self.withdraw(id, withdrawn);
        }
        if let Some(planned) = outlook.plan {
            self.plan(id, planned);
        }
        let Some(client) = self.clients.get_mut(&id) else { return };
        let (old, new) = (client.standing.status, outlook.standing.status);
        let standing = Standing { next_call: None, ..outlook.standing };
        client.changed |= client.standing != standing;
        client.standing = standing;
        let campaign = client.campaign;
        self.move_client(campaign, Some(old), new);
        if !new.is_final() {
            self.reopen(campaign);
        }
        self.check_finished(campaign, now);
    }

    /// Asks the core about a client and all its calls.
    pub(super) fn case<T>(
        &self,
        id: ClientId,
        ask: impl FnOnce(&ClientRow, &Case<'_>) -> T,
    ) -> Option<T> {
        let client = self.clients.get(&id)?;
        let campaign = self.campaigns.get(&client.campaign)?;
        let calls: Vec<CallBrief> = client.calls.values().cloned().collect();
        let case = Case {
            calls: &calls,
            zones: &client.zones,
            active: client.active,
            erased: client.erased.is_some(),
            on_dnc: self.covers(client),
            run_state: campaign.state,
            settings: &campaign.settings,
        };
        Some(ask(client, &case))
    }

    fn withdraw(&mut self, client: ClientId, id: CallId) {
        let stored = match self.calls.remove(&id) {
            Some(row) => row.stored.map(|(table, _)| table),
            None => Some(Table::Due),
        };
        self.out.withdrawn.extend(stored.map(|table| (id, table)));
        if let Some(row) = self.clients.get_mut(&client) {
            row.calls.remove(&id);
        }
    }

    fn plan(&mut self, client: ClientId, planned: PlannedCall) {
        let (retry_of, due_at) = (Some(planned.retry_of), planned.due_at);
        let next = Next { id: planned.id, attempt: planned.attempt, retry_of, due_at };
        self.schedule(client, next, Intent::Plan, Actor::System);
    }

    /// Schedules a call for a client, whose standing has to follow.
    pub(super) fn schedule(&mut self, client: ClientId, next: Next, intent: Intent, by: Actor) {
        let Some(row) = self.clients.get(&client) else { return };
        let Some(phone) = row.phone else { return };
        let number = (row.campaign, client, phone);
        let planned = Call::scheduled(next.id, number, next.attempt, next.due_at);
        let call = Call { retry_of: next.retry_of, intent, by, ..planned };
        self.add_call(CallRow::new(call));
    }

    /// A finished campaign that has somebody to call runs again.
    fn reopen(&mut self, campaign: CampaignId) {
        if let Some(row) = self.campaigns.get_mut(&campaign)
            && row.state == RunState::Finished
        {
            row.state = RunState::Running;
            row.ended_at = None;
            row.changed = true;
        }
    }

    pub(super) fn move_client(
        &mut self,
        campaign: CampaignId,
        old: Option<ClientStatus>,
        new: ClientStatus,
    ) {
        let Some(row) = self.campaigns.get_mut(&campaign) else { return };
        if old == Some(new) {
            return;
        }
        for (status, by) in old.map(|old| (old, -1)).into_iter().chain([(new, 1)]) {
            *row.clients.entry(status).or_default() += by;
            *row.moved.entry(status).or_default() += by;
        }
    }

    pub(super) fn check_finished(&mut self, campaign: CampaignId, now: DateTime<Utc>) {
        let Some(row) = self.campaigns.get_mut(&campaign) else { return };
        let mut present = row.clients.iter().filter(|(_, count)| **count > 0).peekable();
        let over = present.peek().is_some() && present.all(|(status, _)| status.is_final());
        if row.state == RunState::Running && over {
            row.state = RunState::Finished;
            row.ended_at = Some(now);
            row.changed = true;
            self.notify(now, NoticeKind::CampaignFinished(campaign));
        }
    }

    /// Cancels every scheduled call to a number in a scope, because of a DNC entry.
    pub(super) async fn cancel_number(
        &mut self,
        phone: PhoneNumber,
        scope: DncScope,
        at: DateTime<Utc>,
        by: &Actor,
    ) -> Result<Vec<CallId>, Fail> {
        self.cancel_numbers(&BTreeSet::from([phone]), scope, at, by).await
    }

    /// Cancels every scheduled call to some numbers in a scope, because of DNC entries.
    pub(super) async fn cancel_numbers(
        &mut self,
        phones: &BTreeSet<PhoneNumber>,
        scope: DncScope,
        at: DateTime<Utc>,
        by: &Actor,
    ) -> Result<Vec<CallId>, Fail> {
        let clients = self.clients_of(phones, scope).await?;
        let waiting = self.retire_waiting(&clients, at, by, CancelReason::OnDnc).await?;
        let tests = self.retire_tests(phones, scope, at, by, CancelReason::OnDnc).await?;
        Ok([waiting, tests].concat())
    }

    /// The clients of some numbers in a scope.
    pub(super) async fn clients_of(
        &mut self,
        phones: &BTreeSet<PhoneNumber>,
        scope: DncScope,
    ) -> Result<Vec<ClientId>, Fail> {
        let rows = sqlx::query(
            "select id, campaign from clients
             where phone in (select value from json_each(?1)) order by phone, campaign",
        )
        .bind(row::numbers(phones))
        .fetch_all(self.conn())
        .await?;
        let mut clients = Vec::new();
        for row in rows {
            if scope.covers(CampaignId::from_uuid(row.try_get("campaign")?)) {
                clients.push(ClientId::from_uuid(row.try_get("id")?));
            }
        }
        Ok(clients)
    }

    /// Cancels every scheduled call of some clients, and brings these up to date.
    pub(super) async fn retire_waiting(
        &mut self,
        clients: &[ClientId],
        at: DateTime<Utc>,
        by: &Actor,
        reason: CancelReason,
    ) -> Result<Vec<CallId>, Fail> {
        self.load_clients(clients.iter().copied()).await?;
        let waits = |brief: &CallBrief| matches!(brief.stage, Stage::Scheduled { .. });
        let waiting: Vec<CallId> = clients
            .iter()
            .flat_map(|client| self.clients.get(client).into_iter().flat_map(|row| &row.calls))
            .filter(|(_, brief)| waits(brief))
            .map(|(id, _)| *id)
            .collect();
        self.load_calls(waiting.iter().copied()).await?;
        for id in &waiting {
            self.retire(*id, at, by, Retirement::Canceled(reason));
        }
        for client in clients {
            self.follow_up(*client, at);
        }
        Ok(waiting)
    }

    /// Cancels every test call to some numbers in a scope that waits: no client leads to them.
    pub(super) async fn retire_tests(
        &mut self,
        phones: &BTreeSet<PhoneNumber>,
        scope: DncScope,
        at: DateTime<Utc>,
        by: &Actor,
        reason: CancelReason,
    ) -> Result<Vec<CallId>, Fail> {
        let rows = sqlx::query(
            "select id, campaign from due
             where phone in (select value from json_each(?1)) and client is null order by id",
        )
        .bind(row::numbers(phones))
        .fetch_all(self.conn())
        .await?;
        let mut tests = Vec::new();
        for row in rows {
            if scope.covers(CampaignId::from_uuid(row.try_get("campaign")?)) {
                tests.push(CallId::from_uuid(row.try_get("id")?));
            }
        }
        self.load_calls(tests.iter().copied()).await?;
        for id in &tests {
            self.retire(*id, at, by, Retirement::Canceled(reason));
        }
        Ok(tests)
    }

    /// The script that a call ran under.
    pub(super) async fn script(&mut self, id: CallId) -> Result<Script, Fail> {
        let Some(call) = self.calls.get(&id).map(|row| &row.call) else {
            return Ok(Script::default());
        };
        let Some(campaign) = call.campaign else { return Ok(Script::default()) };
        let (version, direction) = (call.settings_version, call.direction);
        let settings = self.settings.load(&mut self.tx, campaign, version).await?;
        let script = settings.as_ref().and_then(|settings| settings.script_of(direction));
        Ok(script.cloned().unwrap_or_default())
    }
}

/// A call to be scheduled.
pub(super) struct Next {
    pub(super) id: CallId,
    pub(super) attempt: u32,
    pub(super) retry_of: Option<CallId>,
    pub(super) due_at: DateTime<Utc>,
}
