//! What the rules are told about a waiting call.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use callcore::account::Day;
use callcore::call::{Intent, Outcome};
use callcore::campaign::{RunState, Settings};
use callcore::dnc::DncScope;
use callcore::engine::{AccountFacts, Facts, Lease, Person};
use callcore::id::{AudioId, CallId, CampaignId, ClientId};
use callcore::phone::PhoneNumber;
use callcore::rules::cool_downs::NumberEnd;
use callcore::zones::number_zones;
use chrono::{DateTime, Utc};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use uuid::Uuid;

use super::account::campaign_day;
use super::fail::Fail;
use super::open::SettingsCache;
use super::row::{self, document, ids, instant, micros, numbers, word};

/// What the rules are asked about waiting calls, in the order asked for; others are left out.
pub(super) async fn facts(
    conn: &mut SqliteConnection,
    settings: &SettingsCache,
    wanted: &[CallId],
    account: &Arc<AccountFacts>,
    now: DateTime<Utc>,
) -> Result<Vec<Facts>, Fail> {
    let rows = sqlx::query(
        "select due.id, due.campaign, due.client, due.phone, due.attempt, due.intent, due.due_at,
             due.epoch, clients.name, clients.email, clients.external_id, clients.fields,
             clients.zones, clients.active, clients.consent is not null as consent,
             clients.attempts, clients.import,
             campaigns.state, campaigns.settings_version,
             exists (select 1 from in_flight where in_flight.phone = due.phone) as number_live,
             exists (select 1 from dnc
                 where dnc.phone = due.phone and dnc.campaign = x'') as dnc_global,
             exists (select 1 from dnc
                 where dnc.phone = due.phone and dnc.campaign = due.campaign) as dnc_campaign
         from due
         left join clients on clients.id = coalesce(due.client, due.sample)
         join campaigns on campaigns.id = due.campaign
         where due.id in (select unhex(value, '-') from json_each(?1))",
    )
    .bind(ids(wanted))
    .fetch_all(&mut *conn)
    .await?;
    let mut facts = facts_of_rows(conn, settings, &rows, account, now).await?;
    Ok(wanted.iter().filter_map(|id| facts.remove(id)).collect())
}

/// What the rules would be asked about a dial to a client that has no call to come: one with the
/// nil id, planned for now.
pub(super) async fn would_be(
    conn: &mut SqliteConnection,
    settings: &SettingsCache,
    client: ClientId,
    account: &Arc<AccountFacts>,
    now: DateTime<Utc>,
) -> Result<Option<Facts>, Fail> {
    let row = sqlx::query(
        "select zeroblob(16) as id, clients.campaign, clients.id as client, clients.phone,
             clients.attempts + 1 as attempt, ?2 as intent,
             ?3 as due_at, 0 as epoch,
             clients.name, clients.email, clients.external_id, clients.fields, clients.zones,
             clients.active, clients.consent is not null as consent, clients.attempts, clients.import,
             campaigns.state, campaigns.settings_version,
             exists (select 1 from in_flight
                 where in_flight.phone = clients.phone) as number_live,
             exists (select 1 from dnc
                 where dnc.phone = clients.phone and dnc.campaign = x'') as dnc_global,
             exists (select 1 from dnc where dnc.phone = clients.phone
                 and dnc.campaign = clients.campaign) as dnc_campaign
         from clients join campaigns on campaigns.id = clients.campaign
         where clients.id = ?1 and erased_at is null",
    )
    .bind(client.uuid())
    .bind(Intent::Plan.as_str())
    .bind(micros(now))
    .fetch_optional(&mut *conn)
    .await?;
    let facts = facts_of_rows(conn, settings, row.as_slice(), account, now).await?;
    Ok(facts.into_values().next())
}

async fn facts_of_rows(
    conn: &mut SqliteConnection,
    settings: &SettingsCache,
    rows: &[SqliteRow],
    account: &Arc<AccountFacts>,
    now: DateTime<Utc>,
) -> Result<BTreeMap<CallId, Facts>, Fail> {
    let mut columns: BTreeMap<Uuid, Vec<String>> = BTreeMap::new();
    let mut facts: BTreeMap<CallId, Facts> = BTreeMap::new();
    for row in rows {
        // A test call without a client has none.
        let import: Option<Uuid> = row.try_get("import")?;
        if let Some(import) = import
            && let Entry::Vacant(unknown) = columns.entry(import)
        {
            let names: Option<String> =
                sqlx::query_scalar("select columns from imports where id = ?1")
                    .bind(import)
                    .fetch_optional(&mut *conn)
                    .await?;
            unknown.insert(names.map_or(Ok(Vec::new()), |text| document(&text, "columns"))?);
        }
        let names = import.and_then(|import| columns.get(&import));
        let names = names.map(Vec::as_slice).unwrap_or_default();
        let read = facts_of(conn, settings, row, names, account).await?;
        facts.insert(read.call, read);
    }
    let phones: BTreeSet<PhoneNumber> = facts.values().map(|facts| facts.phone).collect();
    let dials = number_dials(conn, &phones).await?;
    let cooling = facts.values().filter(|facts| !facts.settings.cool_downs.is_empty());
    let cooling: BTreeSet<PhoneNumber> = cooling.map(|facts| facts.phone).collect();
    let ends = number_ends(conn, &cooling).await?;
    let mut days: BTreeMap<CampaignId, Day> = BTreeMap::new();
    let names = audio_names(conn, facts.values().map(|facts| &*facts.settings)).await?;
    for facts in facts.values_mut() {
        let audio = facts.settings.audio();
        facts.audio = audio.filter_map(|(_, id)| Some((id, names.get(&id)?.clone()))).collect();
        facts.number_dials = dials.get(&facts.phone).cloned().unwrap_or_default();
        if !facts.settings.cool_downs.is_empty() {
            facts.number_ends = ends.get(&facts.phone).cloned().unwrap_or_default();
        }
        facts.campaign_day = match days.entry(facts.campaign) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(unknown) => {
                *unknown.insert(campaign_day(conn, facts.campaign, &facts.settings, now).await?)
            }
        };
    }
    Ok(facts)
}

async fn facts_of(
    conn: &mut SqliteConnection,
    settings: &SettingsCache,
    row: &SqliteRow,
    columns: &[String],
    account: &Arc<AccountFacts>,
) -> Result<Facts, Fail> {
    let campaign = CampaignId::from_uuid(row.try_get("campaign")?);
    let settings_version = row.try_get("settings_version")?;
    let settings = settings.load(conn, campaign, settings_version).await?;
    let phone = row::phone(row.try_get("phone")?)?;
    let client: Option<Uuid> = row.try_get("client")?;
    let dnc = match (row.try_get("dnc_global")?, row.try_get("dnc_campaign")?) {
        (true, _) => Some(DncScope::Global),
        (false, true) => Some(DncScope::Campaign(campaign)),
        (false, false) => None,
    };
    Ok(Facts {
        call: CallId::from_uuid(row.try_get("id")?),
        campaign,
        client: client.map(ClientId::from_uuid),
        phone,
        attempt: row.try_get("attempt")?,
        intent: word(row.try_get("intent")?, Intent::parse, "intent")?,
        due_at: instant(row.try_get("due_at")?)?,
        lease: Lease { epoch: row.try_get::<i64, _>("epoch")?.cast_unsigned() },
        run_state: word(row.try_get("state")?, RunState::parse, "run state")?,
        settings_version,
        settings: settings.ok_or(Fail::Corrupt("settings"))?,
        zones: match client {
            Some(_) => document(row.try_get("zones")?, "zones")?,
            None => number_zones(phone),
        },
        active: client.is_none() || row.try_get("active")?,
        consent: client.is_some() && row.try_get("consent")?,
        dnc,
        number_live: row.try_get("number_live")?,
        number_dials: Vec::new(),
        number_ends: Vec::new(),
        campaign_day: Day::default(),
        account: account.clone(),
        client_dials: if client.is_some() { row.try_get("attempts")? } else { 0 },
        person: person_of(row, columns)?,
        audio: Vec::new(),
    })
}

/// What the script's places are filled from; nothing for a test call without a client.
fn person_of(row: &SqliteRow, columns: &[String]) -> Result<Person, Fail> {
    let Some(name) = row.try_get("name")? else { return Ok(Person::default()) };
    let fields: Vec<String> = document(row.try_get("fields")?, "fields")?;
    Ok(Person {
        name,
        email: row.try_get("email")?,
        external_id: row.try_get("external_id")?,
        columns: columns.iter().cloned().zip(fields).collect(),
    })
}

/// The names of the audio that settings play, as far as it is there.
async fn audio_names(
    conn: &mut SqliteConnection,
    settings: impl Iterator<Item = &Settings>,
) -> Result<BTreeMap<AudioId, String>, Fail> {
    let wanted: BTreeSet<AudioId> =
        settings.flat_map(|settings| settings.audio().map(|(_, audio)| audio)).collect();
    if wanted.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows = sqlx::query(
        "select id, name from audio where id in (select unhex(value, '-') from json_each(?1))",
    )
    .bind(ids(wanted))
    .fetch_all(conn)
    .await?;
    let read = |row: SqliteRow| Ok((AudioId::from_uuid(row.try_get("id")?), row.try_get("name")?));
    rows.into_iter().map(read).collect()
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

/// How dials to numbers ended, over all campaigns.
pub(super) async fn number_ends(
    conn: &mut SqliteConnection,
    phones: &BTreeSet<PhoneNumber>,
) -> Result<BTreeMap<PhoneNumber, Vec<NumberEnd>>, Fail> {
    let mut ends: BTreeMap<PhoneNumber, Vec<NumberEnd>> = BTreeMap::new();
    if phones.is_empty() {
        return Ok(ends);
    }
    let rows = sqlx::query(
        "select number_dials.phone, outcome, ended_at
         from number_dials join history on history.id = number_dials.call
         where number_dials.phone in (select value from json_each(?1))",
    )
    .bind(numbers(phones))
    .fetch_all(conn)
    .await?;
    for row in rows {
        let phone = row::phone(row.try_get("phone")?)?;
        let outcome = word(row.try_get("outcome")?, Outcome::parse, "outcome")?;
        let end = NumberEnd { at: instant(row.try_get("ended_at")?)?, outcome };
        ends.entry(phone).or_default().push(end);
    }
    for ends in ends.values_mut() {
        ends.sort_unstable();
    }
    Ok(ends)
}
