use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use callcore::account::Day;
use callcore::actor::Actor;
use callcore::call::{CancelReason, Intent, Report, Retirement};
use callcore::campaign::RunState;
use callcore::engine::{
    AccountFacts, AdmitFacts, BeginRefusal, Facts, Permit, SLOT_HOLD, Settlement, Verdict, admit,
    next_dial_at,
};
use callcore::id::{CallId, CampaignId};
use callcore::phone::PhoneNumber;
use callcore::port::{
    By, ClaimRequest, Dispatch, OpenCall, Recorded, Refusals, StoreError, TakeBack,
};
use callcore::rules::cool_downs::NumberEnd;
use callcore::zones::number_zones;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use sqlx::{Row, SqliteConnection};

use super::account::{account_facts, campaign_day};
use super::facts::{number_dials, number_ends};
use super::fail::Fail;
use super::open::SqliteStore;
use super::read;
use super::row::{self, CallRow, digits, ids, micros, numbers};
use super::work::Work;

/// How long after its intent a call without any news is first looked up, on the wall clock.
const FIRST_LOOK: TimeDelta = TimeDelta::seconds(30);
/// The longest wait between two look-ups.
const LONGEST_LOOK: TimeDelta = TimeDelta::minutes(10);

#[async_trait]
impl Dispatch for SqliteStore {
    async fn server_time(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        // The file lives where its caller does.
        Ok(None)
    }

    async fn claim_due(&self, request: ClaimRequest) -> Result<Vec<Facts>, StoreError> {
        self.claim(request).await.map_err(|fail| fail.store("claim_due"))
    }

    async fn begin(
        &self,
        by: By<'_>,
        wall: DateTime<Utc>,
        permits: &[Permit],
    ) -> Result<Refusals, StoreError> {
        self.begin_all(by, wall, permits).await.map_err(|fail| fail.store("begin"))
    }

    async fn take_back(&self, by: By<'_>, calls: &[TakeBack]) -> Result<(), StoreError> {
        self.take_all_back(by, calls).await.map_err(|fail| fail.store("take_back"))
    }

    async fn halt_campaign(
        &self,
        by: By<'_>,
        id: CampaignId,
        reason: &str,
    ) -> Result<(), StoreError> {
        let halt = async {
            let mut work = self.write().await?;
            work.at(by.now);
            work.load_campaigns([id]).await?;
            work.halt(id, by.now, reason.to_owned());
            work.commit().await
        };
        halt.await.map_err(|fail: Fail| fail.store("halt_campaign"))
    }

    async fn settle(&self, by: By<'_>, settlements: &[Settlement]) -> Result<(), StoreError> {
        self.settle_all(by, settlements).await.map_err(|fail| fail.store("settle"))
    }

    async fn record(&self, by: By<'_>, reports: &[Report]) -> Result<Vec<Recorded>, StoreError> {
        self.record_grouped(by.now, reports).await
    }

    async fn next_due(&self, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.next_due_at(now).await.map_err(|fail| fail.store("next_due"))
    }

    async fn unsettled(
        &self,
        now: DateTime<Utc>,
        wall: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<OpenCall>, StoreError> {
        self.look_at(now, wall, limit).await.map_err(|fail| fail.store("unsettled"))
    }

    async fn hang_ups(&self, wall: DateTime<Utc>, limit: u32) -> Result<Vec<OpenCall>, StoreError> {
        self.hang_ups_due(wall, limit).await.map_err(|fail| fail.store("hang_ups"))
    }

    async fn live(&self, limit: u32) -> Result<Vec<OpenCall>, StoreError> {
        self.live_calls(limit).await.map_err(|fail| fail.store("live"))
    }

    async fn latest_instant(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.latest().await.map_err(|fail| fail.store("latest_instant"))
    }
}

impl SqliteStore {
    async fn begin_all(
        &self,
        by: By<'_>,
        wall: DateTime<Utc>,
        permits: &[Permit],
    ) -> Result<Refusals, Fail> {
        let mut work = self.write().await?;
        work.at(by.now);
        work.load_calls(permits.iter().map(Permit::call)).await?;
        work.load_clients(permits.iter().filter_map(Permit::client)).await?;
        work.load_campaigns(permits.iter().map(Permit::campaign)).await?;
        work.load_dnc(&permits.iter().map(Permit::phone).collect()).await?;
        let phones: BTreeSet<PhoneNumber> = permits.iter().map(Permit::phone).collect();
        let cooling = permits.iter().filter(|it| !it.settings().cool_downs.is_empty());
        let cooling: BTreeSet<PhoneNumber> = cooling.map(Permit::phone).collect();
        let mut gate = Gate {
            now: by.now,
            wall,
            dials: number_dials(work.conn(), &phones).await?,
            live: live_numbers(work.conn(), &phones).await?,
            held: slots_held(work.conn(), by.now, permits.iter().map(Permit::campaign)).await?,
            ends: number_ends(work.conn(), &cooling).await?,
            days: days(work.conn(), by.now, permits).await?,
            account: account_facts(work.conn(), by.now).await?,
            begun: Vec::new(),
        };
        let answers = permits.iter().map(|permit| gate.begin(&mut work, permit)).collect();
        work.apply(
            "insert into number_dials (phone, at, call)
             select value ->> 0, value ->> 1, unhex(value ->> 2, '-') from json_each(?1)",
            gate.begun,
        )
        .await?;
        work.commit().await?;
        Ok(answers)
    }

    async fn take_all_back(&self, by: By<'_>, calls: &[TakeBack]) -> Result<(), Fail> {
        let mut work = self.write().await?;
        work.at(by.now);
        work.load_calls(calls.iter().map(|back| back.call)).await?;
        let clients: Vec<_> = work.calls.values().filter_map(|row| row.call.client).collect();
        work.load_clients(clients).await?;
        // A test call has no client that brings them.
        let tests = || work.calls.values().map(|row| &row.call).filter(|call| call.is_test());
        let campaigns: Vec<_> = tests().filter_map(|call| call.campaign).collect();
        let phones = tests().filter_map(|call| call.phone).collect();
        work.load_campaigns(campaigns).await?;
        work.load_dnc(&phones).await?;
        let back: Vec<(PhoneNumber, CallId)> = calls
            .iter()
            .filter_map(|back| Some((take_back(&mut work, by, back)?, back.call)))
            .collect();
        sqlx::query(
            "delete from number_dials
             where phone in (select value from json_each(?1))
                 and call in (select unhex(value, '-') from json_each(?2))",
        )
        .bind(numbers(back.iter().map(|(phone, _)| phone)))
        .bind(ids(back.iter().map(|(_, call)| call)))
        .execute(work.conn())
        .await?;
        work.commit().await
    }

    async fn settle_all(&self, by: By<'_>, settlements: &[Settlement]) -> Result<(), Fail> {
        let mut work = self.write().await?;
        work.at(by.now);
        work.load_calls(settlements.iter().map(|settlement| settlement.call)).await?;
        let clients: Vec<_> = work.calls.values().filter_map(|row| row.call.client).collect();
        work.load_clients(clients).await?;
        for settlement in settlements {
            settle(&mut work, by, settlement);
        }
        work.commit().await
    }

    async fn look_at(
        &self,
        now: DateTime<Utc>,
        wall: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<OpenCall>, Fail> {
        // As a rule there is none, and that is said without taking a turn from the writers.
        let mut conn = self.read().await?;
        if open_ids(&mut conn, now, wall, 1).await?.is_empty() {
            return Ok(Vec::new());
        }
        drop(conn);
        let mut work = self.write().await?;
        let calls = open_ids(work.conn(), now, wall, limit).await?;
        work.load_calls(calls.iter().copied()).await?;
        for id in &calls {
            work.change(*id, |row| {
                row.looks += 1;
                let wait = FIRST_LOOK * i32::try_from(1_u32 << row.looks.min(5)).unwrap_or(32);
                row.look_at = micros(wall + wait.min(LONGEST_LOOK));
                row.changed = true;
            });
        }
        let open = calls.iter().filter_map(|id| work.calls.get(id)).map(open_call).collect();
        work.commit().await?;
        Ok(open)
    }

    async fn live_calls(&self, limit: u32) -> Result<Vec<OpenCall>, Fail> {
        let mut conn = self.read().await?;
        let rows: Vec<uuid::Uuid> =
            sqlx::query_scalar("select id from in_flight order by id limit ?1")
                .bind(limit)
                .fetch_all(&mut *conn)
                .await?;
        let wanted = rows.into_iter().map(CallId::from_uuid).collect();
        let mut rows = read::call_rows(&mut conn, &self.settings, &wanted).await?;
        rows.sort_unstable_by_key(|row| row.call.id);
        Ok(rows.iter().map(open_call).collect())
    }

    async fn latest(&self) -> Result<Option<DateTime<Utc>>, Fail> {
        let mut conn = self.read().await?;
        read::latest_instant(&mut conn).await
    }
}

/// The live calls the carrier has to be asked about.
async fn open_ids(
    conn: &mut SqliteConnection,
    now: DateTime<Utc>,
    wall: DateTime<Utc>,
    limit: u32,
) -> Result<Vec<CallId>, Fail> {
    let rows: Vec<uuid::Uuid> = sqlx::query_scalar(
        // Inbound calls have no stored intent: they began when they came.
        "select id from in_flight where look_at <= ?1
             and (doubtful = 1 or coalesce(begun_at, due_at) <= ?2) order by id limit ?3",
    )
    .bind(micros(wall))
    .bind(micros(now - SLOT_HOLD))
    .bind(limit)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(CallId::from_uuid).collect())
}

pub(super) fn open_call(row: &CallRow) -> OpenCall {
    OpenCall {
        call: row.call.id,
        phone: row.call.phone,
        begun_at: row.call.began(),
        carrier_call_id: row.call.progress.carrier_call_id.clone(),
        events: row.events.iter().cloned().collect(),
    }
}

/// Which of these numbers have a live call, in either direction.
async fn live_numbers(
    conn: &mut SqliteConnection,
    phones: &BTreeSet<PhoneNumber>,
) -> Result<BTreeSet<PhoneNumber>, Fail> {
    let rows: Vec<i64> = sqlx::query_scalar(
        "select distinct phone from in_flight
         where phone in (select value from json_each(?1))",
    )
    .bind(numbers(phones))
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(row::phone).collect()
}

/// How many slots of these campaigns are taken.
async fn slots_held(
    conn: &mut SqliteConnection,
    now: DateTime<Utc>,
    campaigns: impl Iterator<Item = CampaignId>,
) -> Result<BTreeMap<CampaignId, u32>, Fail> {
    let campaigns: BTreeSet<CampaignId> = campaigns.collect();
    let rows = sqlx::query(
        "select campaign, count(*) as held from in_flight
         where campaign in (select unhex(value, '-') from json_each(?1)) and begun_at > ?2
         group by campaign",
    )
    .bind(ids(&campaigns))
    .bind(micros(now - SLOT_HOLD))
    .fetch_all(conn)
    .await?;
    let read = |row: sqlx::sqlite::SqliteRow| {
        Ok((CampaignId::from_uuid(row.try_get("campaign")?), row.try_get("held")?))
    };
    rows.into_iter().map(read).collect()
}

/// The dials of the local days of campaigns that have a budget.
async fn days(
    conn: &mut SqliteConnection,
    now: DateTime<Utc>,
    permits: &[Permit],
) -> Result<BTreeMap<CampaignId, Day>, Fail> {
    let bounded = permits.iter().filter(|it| it.settings().budget.calls_per_day.is_some());
    let bounded: BTreeMap<CampaignId, &Permit> =
        bounded.map(|permit| (permit.campaign(), permit)).collect();
    let mut days = BTreeMap::new();
    for (id, permit) in bounded {
        days.insert(id, campaign_day(conn, id, permit.settings(), now).await?);
    }
    Ok(days)
}

/// What `begin` reads under its locks, kept up to date while one permit after the other passes.
struct Gate {
    now: DateTime<Utc>,
    wall: DateTime<Utc>,
    dials: BTreeMap<PhoneNumber, Vec<DateTime<Utc>>>,
    live: BTreeSet<PhoneNumber>,
    held: BTreeMap<CampaignId, u32>,
    ends: BTreeMap<PhoneNumber, Vec<NumberEnd>>,
    days: BTreeMap<CampaignId, Day>,
    account: AccountFacts,
    begun: Vec<serde_json::Value>,
}

impl Gate {
    fn begin(&mut self, work: &mut Work<'_>, permit: &Permit) -> Result<(), BeginRefusal> {
        let lost = BeginRefusal::LeaseLost;
        let row = work.calls.get(&permit.call()).ok_or(lost)?;
        let campaign = work.campaigns.get(&permit.campaign()).ok_or(lost)?;
        let client = match permit.client() {
            Some(client) => Some(work.clients.get(&client).ok_or(lost)?),
            None => None,
        };
        let facts = AdmitFacts {
            lease_held: row.call.claimed && row.epoch == permit.lease().epoch,
            run_state: campaign.state,
            settings_version: campaign.settings_version,
            active: client.is_none_or(|client| client.active),
            on_dnc: work.on_dnc(permit.phone(), permit.campaign()).is_some(),
            number_live: self.live.contains(&permit.phone()),
            number_dials: self.dials.get(&permit.phone()).cloned().unwrap_or_default(),
            in_flight: self.held.get(&permit.campaign()).copied().unwrap_or_default(),
            next_dial_at: campaign.next_dial_at,
            number_ends: self.ends.get(&permit.phone()).cloned().unwrap_or_default(),
            campaign_day: self.days.get(&permit.campaign()).copied().unwrap_or_default(),
            account: self.account.clone(),
        };
        admit(permit, &facts, self.now)?;

        let zones = client.map_or_else(|| number_zones(permit.phone()), |it| it.zones.clone());
        let zone = permit.settings().zones_of(&zones).into_iter().next();
        work.change(permit.call(), |row| {
            row.call.begun_at = Some(self.now);
            row.call.settings_version = permit.settings_version();
            row.call.decision = permit.decision().to_vec();
            row.call.zone = zone;
            row.looks = 0;
            row.look_at = micros(self.wall + FIRST_LOOK);
            row.changed = true;
        });
        if let Some(campaign) = work.campaigns.get_mut(&permit.campaign()) {
            let pace = permit.settings().pacing.calls_per_second;
            campaign.next_dial_at = next_dial_at(campaign.next_dial_at, self.now, pace);
            campaign.changed = true;
        }
        if permit.intent() != Intent::Test {
            let dials = self.dials.entry(permit.phone()).or_default();
            dials.push(self.now);
            dials.sort_unstable();
            self.begun.push(json!([digits(permit.phone()), micros(self.now), permit.call()]));
        }
        self.live.insert(permit.phone());
        *self.held.entry(permit.campaign()).or_default() += 1;
        if let Some(day) = self.days.get_mut(&permit.campaign())
            && permit.intent() != Intent::Test
        {
            day.dials.begun += 1;
        }
        self.account.count(self.now);
        work.out.next_dial_at = Some(self.account.next_dial_at);
        if let Some(client) = permit.client() {
            work.follow_up(client, self.now);
        }
        Ok(())
    }
}

/// Undoes a begin whose ticket was never placed; the number, if it did.
fn take_back(work: &mut Work<'_>, by: By<'_>, back: &TakeBack) -> Option<PhoneNumber> {
    let row = work.calls.get(&back.call)?;
    if row.call.begun_at.is_none() || row.epoch != back.lease.epoch || !row.events.is_empty() {
        return None;
    }
    let (client, campaign, phone) = (row.call.client, row.call.campaign, row.call.phone);
    work.change(back.call, |row| {
        row.call.begun_at = None;
        row.call.settings_version = 0;
        row.call.decision.clear();
        row.call.due_at = back.due_at.unwrap_or(row.call.due_at);
        row.changed = true;
    });
    // What happened while the call was begun had to spare it; now it no longer does.
    let state = campaign.and_then(|id| work.campaigns.get(&id)).map(|campaign| campaign.state);
    let on_dnc = phone.zip(campaign).and_then(|(phone, id)| work.on_dnc(phone, id)).is_some();
    let row = client.and_then(|id| work.clients.get(&id));
    let reason = match row.is_some_and(|row| row.erased.is_some()) {
        true => Some(CancelReason::Erased),
        false if state == Some(RunState::Stopped) => Some(CancelReason::CampaignStopped),
        false if on_dnc => Some(CancelReason::OnDnc),
        false if row.is_some_and(|row| !row.active) => Some(CancelReason::Inactive),
        false => None,
    };
    if let Some(reason) = reason {
        work.retire(back.call, by.now, &Actor::System, Retirement::Canceled(reason));
    }
    if let Some(client) = client {
        work.follow_up(client, by.now);
    }
    phone
}

fn settle(work: &mut Work<'_>, by: By<'_>, settlement: &Settlement) {
    let Some(row) = work.calls.get(&settlement.call) else { return };
    if !row.call.claimed || row.epoch != settlement.lease.epoch {
        return;
    }
    let client = row.call.client;
    match settlement.verdict {
        Verdict::Retire(reason) => {
            let how = Retirement::Canceled(reason);
            work.retire(settlement.call, by.now, &Actor::System, how);
        }
        Verdict::Defer(_) | Verdict::Dial { .. } => work.change(settlement.call, |row| {
            if let Verdict::Defer(defer) = settlement.verdict {
                row.call.due_at = row.call.due_at.max(defer.until);
            }
            row.lease_until = None;
            row.changed = true;
        }),
    }
    if let Some(client) = client {
        work.follow_up(client, by.now);
    }
}
