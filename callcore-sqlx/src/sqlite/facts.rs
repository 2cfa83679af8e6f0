//! What the rules are told about a waiting call.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use callcore::call::Intent;
use callcore::campaign::RunState;
use callcore::dnc::DncScope;
use callcore::engine::{Facts, Lease};
use callcore::id::{CallId, CampaignId, ClientId};
use callcore::phone::PhoneNumber;
use chrono::{DateTime, Utc};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use uuid::Uuid;

use super::fail::Fail;
use super::open::SettingsCache;
use super::row::{self, document, ids, instant, numbers, word};

/// What the rules are asked about waiting calls, in the order asked for; others are left out.
pub(super) async fn facts(
    conn: &mut SqliteConnection,
    settings: &SettingsCache,
    wanted: &[CallId],
) -> Result<Vec<Facts>, Fail> {
    let rows = sqlx::query(
        "select due.id, due.campaign, due.client, due.phone, due.attempt, due.intent, due.due_at,
             due.epoch, clients.name, clients.fields, clients.zones, clients.active,
             clients.consent is not null as consent, clients.attempts, clients.import,
             campaigns.state, campaigns.settings_version,
             exists (select 1 from in_flight
                 where in_flight.phone = due.phone and begun_at is not null) as number_live,
             exists (select 1 from dnc
                 where dnc.phone = due.phone and dnc.campaign = x'') as dnc_global,
             exists (select 1 from dnc
                 where dnc.phone = due.phone and dnc.campaign = due.campaign) as dnc_campaign
         from due
         join clients on clients.id = due.client
         join campaigns on campaigns.id = due.campaign
         where due.id in (select unhex(value, '-') from json_each(?1))",
    )
    .bind(ids(wanted))
    .fetch_all(&mut *conn)
    .await?;
    let mut facts = facts_of_rows(conn, settings, &rows).await?;
    Ok(wanted.iter().filter_map(|id| facts.remove(id)).collect())
}

/// What the rules would be asked about a dial to a client that has no call to come: one with the
/// nil id, planned at the latest instant there is.
pub(super) async fn would_be(
    conn: &mut SqliteConnection,
    settings: &SettingsCache,
    client: ClientId,
) -> Result<Option<Facts>, Fail> {
    let row = sqlx::query(
        "select zeroblob(16) as id, clients.campaign, clients.id as client, clients.phone,
             clients.attempts + 1 as attempt, ?2 as intent,
             (select latest from campaign_clock) as due_at, 0 as epoch,
             clients.name, clients.fields, clients.zones, clients.active,
             clients.consent is not null as consent, clients.attempts, clients.import,
             campaigns.state, campaigns.settings_version,
             exists (select 1 from in_flight
                 where in_flight.phone = clients.phone and begun_at is not null) as number_live,
             exists (select 1 from dnc
                 where dnc.phone = clients.phone and dnc.campaign = x'') as dnc_global,
             exists (select 1 from dnc where dnc.phone = clients.phone
                 and dnc.campaign = clients.campaign) as dnc_campaign
         from clients join campaigns on campaigns.id = clients.campaign
         where clients.id = ?1 and erased_at is null",
    )
    .bind(client.uuid())
    .bind(Intent::Plan.as_str())
    .fetch_optional(&mut *conn)
    .await?;
    Ok(facts_of_rows(conn, settings, row.as_slice()).await?.into_values().next())
}

async fn facts_of_rows(
    conn: &mut SqliteConnection,
    settings: &SettingsCache,
    rows: &[SqliteRow],
) -> Result<BTreeMap<CallId, Facts>, Fail> {
    let mut columns: BTreeMap<Uuid, Vec<String>> = BTreeMap::new();
    let mut facts: BTreeMap<CallId, Facts> = BTreeMap::new();
    for row in rows {
        let import: Uuid = row.try_get("import")?;
        if let Entry::Vacant(unknown) = columns.entry(import) {
            let names: Option<String> =
                sqlx::query_scalar("select columns from imports where id = ?1")
                    .bind(import)
                    .fetch_optional(&mut *conn)
                    .await?;
            unknown.insert(names.map_or(Ok(Vec::new()), |text| document(&text, "columns"))?);
        }
        let names = columns.get(&import).map(Vec::as_slice).unwrap_or_default();
        let read = facts_of(conn, settings, row, names).await?;
        facts.insert(read.call, read);
    }
    let phones: BTreeSet<PhoneNumber> = facts.values().map(|facts| facts.phone).collect();
    let dials = number_dials(conn, &phones).await?;
    for facts in facts.values_mut() {
        facts.number_dials = dials.get(&facts.phone).cloned().unwrap_or_default();
    }
    Ok(facts)
}

async fn facts_of(
    conn: &mut SqliteConnection,
    settings: &SettingsCache,
    row: &SqliteRow,
    columns: &[String],
) -> Result<Facts, Fail> {
    let campaign = CampaignId::from_uuid(row.try_get("campaign")?);
    let settings_version = row.try_get("settings_version")?;
    let settings = settings.load(conn, campaign, settings_version).await?;
    let fields: Vec<String> = document(row.try_get("fields")?, "fields")?;
    let dnc = match (row.try_get("dnc_global")?, row.try_get("dnc_campaign")?) {
        (true, _) => Some(DncScope::Global),
        (false, true) => Some(DncScope::Campaign(campaign)),
        (false, false) => None,
    };
    Ok(Facts {
        call: CallId::from_uuid(row.try_get("id")?),
        campaign,
        client: ClientId::from_uuid(row.try_get("client")?),
        phone: row::phone(row.try_get("phone")?)?,
        attempt: row.try_get("attempt")?,
        intent: word(row.try_get("intent")?, Intent::parse, "intent")?,
        due_at: instant(row.try_get("due_at")?)?,
        lease: Lease { epoch: row.try_get::<i64, _>("epoch")?.cast_unsigned() },
        run_state: word(row.try_get("state")?, RunState::parse, "run state")?,
        settings_version,
        settings: settings.ok_or(Fail::Corrupt("settings"))?,
        zones: document(row.try_get("zones")?, "zones")?,
        active: row.try_get("active")?,
        consent: row.try_get("consent")?,
        dnc,
        number_live: row.try_get("number_live")?,
        number_dials: Vec::new(),
        client_dials: row.try_get("attempts")?,
        name: row.try_get("name")?,
        fields: columns.iter().cloned().zip(fields).collect(),
    })
}

/// When numbers were dialled, over all campaigns, oldest first.
pub(super) async fn number_dials(
    conn: &mut SqliteConnection,
    phones: &BTreeSet<PhoneNumber>,
) -> Result<BTreeMap<PhoneNumber, Vec<DateTime<Utc>>>, Fail> {
    let rows = sqlx::query(
        "select phone, at from number_dials
         where phone in (select value from json_each(?1)) order by phone, at",
    )
    .bind(numbers(phones))
    .fetch_all(conn)
    .await?;
    let mut dials: BTreeMap<PhoneNumber, Vec<DateTime<Utc>>> = BTreeMap::new();
    for row in rows {
        let phone = row::phone(row.try_get("phone")?)?;
        dials.entry(phone).or_default().push(instant(row.try_get("at")?)?);
    }
    Ok(dials)
}
