//! Reading what pages and rules are shown, on whichever connection asks.

use std::collections::{BTreeMap, BTreeSet};

use callcore::actor::Actor;
use callcore::analytics::Totals;
use callcore::call::{Call, Outcome, Progress};
use callcore::campaign::{Campaign, RunState};
use callcore::client::{ClientStatus, ClientZone, Note};
use callcore::dnc::DncScope;
use callcore::id::{CallId, CampaignId, ClientId};
use callcore::phone::PhoneNumber;
use callcore::port::{CallView, CampaignProgress, CampaignView, ClientView};
use callcore::script::Script;
use chrono::{DateTime, Utc};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use uuid::Uuid;

use super::fail::Fail;
use super::open::SettingsCache;
use super::row::{self, CallRow, Table, actor, digits, document, ids, instant, word};

/// The scope of a DNC row: an empty campaign is everywhere.
pub(super) fn scope(campaign: &[u8]) -> Result<DncScope, Fail> {
    if campaign.is_empty() {
        return Ok(DncScope::Global);
    }
    let id = Uuid::from_slice(campaign).map_err(|_| Fail::Corrupt("campaign id"))?;
    Ok(DncScope::Campaign(CampaignId::from_uuid(id)))
}

/// A scope as the DNC table keeps it.
pub(super) fn scope_key(scope: DncScope) -> Vec<u8> {
    scope.campaign().map(|id| id.uuid().as_bytes().to_vec()).unwrap_or_default()
}

/// Calls with their events, in no particular order.
pub(super) async fn call_rows(
    conn: &mut SqliteConnection,
    settings: &SettingsCache,
    wanted: &BTreeSet<CallId>,
) -> Result<Vec<CallRow>, Fail> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(
        "select * from calls where id in (select unhex(value, '-') from json_each(?1))",
    )
    .bind(ids(wanted))
    .fetch_all(&mut *conn)
    .await?;
    let mut calls = rows.iter().map(CallRow::read).collect::<Result<Vec<_>, _>>()?;
    let begun = |row: &&CallRow| !matches!(row.stored, Some((Table::Due, _)));
    let begun: Vec<CallId> = calls.iter().filter(begun).map(|row| row.call.id).collect();
    if begun.is_empty() {
        return Ok(calls);
    }
    let rows = sqlx::query(
        "select call, body from call_events
         where call in (select unhex(value, '-') from json_each(?1))",
    )
    .bind(ids(begun))
    .fetch_all(&mut *conn)
    .await?;
    let mut events: BTreeMap<CallId, BTreeSet<_>> = BTreeMap::new();
    for row in rows {
        let call = CallId::from_uuid(row.try_get("call")?);
        events.entry(call).or_default().insert(document(row.try_get("body")?, "event")?);
    }
    for row in &mut calls {
        let Some(events) = events.remove(&row.call.id) else { continue };
        let version = row.call.settings_version;
        let ran_under = match row.call.campaign {
            Some(campaign) => settings.load(conn, campaign, version).await?,
            None => None,
        };
        let quiet = Script::default();
        let script = ran_under.as_ref().and_then(|it| it.script_of(row.call.direction));
        let script = script.unwrap_or(&quiet);
        row.call.progress = Progress::of(&events, script);
        row.events = events;
    }
    Ok(calls)
}

/// What pages show of a call's client.
struct Person {
    name: String,
    tags: BTreeSet<String>,
    zones: Vec<ClientZone>,
}

/// Calls with what pages show beside them, in the order asked for; unknown ones are left out.
pub(super) async fn call_views(
    conn: &mut SqliteConnection,
    settings: &SettingsCache,
    wanted: &[CallId],
) -> Result<Vec<CallView>, Fail> {
    let rows = call_rows(conn, settings, &wanted.iter().copied().collect()).await?;
    let mut calls: BTreeMap<CallId, Call> =
        rows.into_iter().map(|row| (row.call.id, row.call)).collect();
    let clients: BTreeSet<ClientId> = calls.values().filter_map(|call| call.client).collect();
    let rows = sqlx::query(
        "select id, name, tags, zones from clients
         where id in (select unhex(value, '-') from json_each(?1))",
    )
    .bind(ids(clients))
    .fetch_all(&mut *conn)
    .await?;
    let mut people: BTreeMap<ClientId, Person> = BTreeMap::new();
    for row in rows {
        let person = Person {
            name: row.try_get("name")?,
            tags: document(row.try_get("tags")?, "tags")?,
            zones: document(row.try_get("zones")?, "zones")?,
        };
        people.insert(ClientId::from_uuid(row.try_get("id")?), person);
    }
    let campaigns: BTreeSet<CampaignId> = calls.values().filter_map(|call| call.campaign).collect();
    let names = campaign_names(conn, settings, &campaigns).await?;
    for row in notes(conn, "call", &ids(calls.keys())).await? {
        if let Some(call) = calls.get_mut(&CallId::from_uuid(row.0)) {
            call.notes.push(row.1);
        }
    }
    let views = wanted.iter().filter_map(|id| calls.remove(id)).map(|call| {
        let person = call.client.and_then(|client| people.get(&client));
        CallView {
            campaign_name: call.campaign.and_then(|campaign| names.get(&campaign).cloned()),
            client_name: person.map(|person| person.name.clone()),
            tags: person.map(|person| person.tags.clone()).unwrap_or_default(),
            client_zones: person.map(|person| person.zones.clone()).unwrap_or_default(),
            call,
        }
    });
    Ok(views.collect())
}

async fn campaign_names(
    conn: &mut SqliteConnection,
    settings: &SettingsCache,
    wanted: &BTreeSet<CampaignId>,
) -> Result<BTreeMap<CampaignId, String>, Fail> {
    let rows = sqlx::query(
        "select id, settings_version from campaigns
         where id in (select unhex(value, '-') from json_each(?1))",
    )
    .bind(ids(wanted))
    .fetch_all(&mut *conn)
    .await?;
    let mut names = BTreeMap::new();
    for row in rows {
        let id = CampaignId::from_uuid(row.try_get("id")?);
        if let Some(settings) = settings.load(conn, id, row.try_get("settings_version")?).await? {
            names.insert(id, settings.name.clone());
        }
    }
    Ok(names)
}

/// Notes of clients or of calls, oldest first, each with the id of what it is about.
async fn notes(
    conn: &mut SqliteConnection,
    about: &'static str,
    wanted: &str,
) -> Result<Vec<(Uuid, Note)>, Fail> {
    let sql = match about {
        "call" => {
            "select call as about, text, by, at from notes
             where call in (select unhex(value, '-') from json_each(?1)) order by place"
        }
        _ => {
            "select client as about, text, by, at from notes
             where client in (select unhex(value, '-') from json_each(?1)) order by place"
        }
    };
    let rows = sqlx::query(sql).bind(wanted).fetch_all(conn).await?;
    let read = |row: SqliteRow| {
        let note = Note {
            text: row.try_get("text")?,
            by: actor(row.try_get("by")?)?,
            at: instant(row.try_get("at")?)?,
        };
        Ok((row.try_get("about")?, note))
    };
    rows.into_iter().map(read).collect()
}

/// The latest instant of the campaign clock at which anything changed.
pub(super) async fn latest_instant(
    conn: &mut SqliteConnection,
) -> Result<Option<DateTime<Utc>>, Fail> {
    let latest: Option<i64> =
        sqlx::query_scalar("select latest from campaign_clock").fetch_optional(conn).await?;
    latest.map(instant).transpose()
}

/// A call, if there is one.
pub(super) async fn call_view(
    conn: &mut SqliteConnection,
    settings: &SettingsCache,
    id: CallId,
) -> Result<Option<CallView>, Fail> {
    Ok(call_views(conn, settings, &[id]).await?.pop())
}

/// Campaigns with their progress, in the order asked for; unknown ones are left out.
pub(super) async fn campaign_views(
    conn: &mut SqliteConnection,
    settings: &SettingsCache,
    wanted: &[CampaignId],
) -> Result<Vec<CampaignView>, Fail> {
    let ids = ids(wanted);
    let rows = sqlx::query(
        "select *, (select count(*) from in_flight
             where in_flight.campaign = campaigns.id and begun_at is not null
                 and intent <> 'test') as live
         from campaigns where id in (select unhex(value, '-') from json_each(?1))",
    )
    .bind(&ids)
    .fetch_all(&mut *conn)
    .await?;
    let mut views = BTreeMap::new();
    for row in rows {
        let id = CampaignId::from_uuid(row.try_get("id")?);
        let settings_version = row.try_get("settings_version")?;
        let settings = settings.load(conn, id, settings_version).await?;
        let started_at: Option<i64> = row.try_get("started_at")?;
        let ended_at: Option<i64> = row.try_get("ended_at")?;
        let campaign = Campaign {
            id,
            state: word(row.try_get("state")?, RunState::parse, "run state")?,
            settings_version,
            settings: settings.ok_or(Fail::Corrupt("settings"))?,
            created_at: instant(row.try_get("created_at")?)?,
            created_by: actor(row.try_get("created_by")?)?,
            started_at: started_at.map(instant).transpose()?,
            ended_at: ended_at.map(instant).transpose()?,
            pause: row::pause(&row)?,
        };
        let live = row.try_get::<i64, _>("live")?.cast_unsigned();
        let progress = CampaignProgress { live, ..CampaignProgress::default() };
        views.insert(id, CampaignView { campaign, progress });
    }
    count(conn, &ids, &mut views).await?;
    Ok(wanted.iter().filter_map(|id| views.remove(id)).collect())
}

async fn count(
    conn: &mut SqliteConnection,
    ids: &str,
    views: &mut BTreeMap<CampaignId, CampaignView>,
) -> Result<(), Fail> {
    let rows = sqlx::query(
        "select campaign, status, clients from client_counts
         where clients > 0 and campaign in (select unhex(value, '-') from json_each(?1))",
    )
    .bind(ids)
    .fetch_all(&mut *conn)
    .await?;
    for row in rows {
        let status = word(row.try_get("status")?, ClientStatus::parse, "client status")?;
        let clients = row.try_get::<i64, _>("clients")?.cast_unsigned();
        if let Some(view) = views.get_mut(&CampaignId::from_uuid(row.try_get("campaign")?)) {
            view.progress.clients.insert(status, clients);
        }
    }
    let rows = sqlx::query(
        "select campaign, outcome, calls, talk_seconds from totals
         where calls > 0 and campaign in (select unhex(value, '-') from json_each(?1))",
    )
    .bind(ids)
    .fetch_all(&mut *conn)
    .await?;
    for row in rows {
        let outcome = word(row.try_get("outcome")?, Outcome::parse, "outcome")?;
        let calls = row.try_get::<i64, _>("calls")?.cast_unsigned();
        let talk_seconds = row.try_get::<i64, _>("talk_seconds")?.cast_unsigned();
        if let Some(view) = views.get_mut(&CampaignId::from_uuid(row.try_get("campaign")?)) {
            let totals: &mut Totals = &mut view.progress.totals;
            totals.add(outcome, calls, talk_seconds);
        }
    }
    Ok(())
}

/// A campaign with its progress, if there is one.
pub(super) async fn campaign_view(
    conn: &mut SqliteConnection,
    settings: &SettingsCache,
    id: CampaignId,
) -> Result<Option<CampaignView>, Fail> {
    Ok(campaign_views(conn, settings, &[id]).await?.pop())
}

/// Clients by the order they came in, each with its place. `places` is a JSON array of them.
pub(super) async fn client_views(
    conn: &mut SqliteConnection,
    places: &[i64],
) -> Result<Vec<(u64, ClientView)>, Fail> {
    let rows = sqlx::query(
        "select clients.*, due.id as next_call, due.due_at as next_due_at,
             erased_on_dnc or exists (select 1 from dnc where dnc.phone = clients.phone
                 and dnc.campaign in (x'', clients.campaign)) as on_dnc
         from clients left join due on due.client = clients.id
         where place in (select value from json_each(?1))
         order by place, due.id desc",
    )
    .bind(serde_json::Value::from(places).to_string())
    .fetch_all(&mut *conn)
    .await?;
    let mut views: BTreeMap<u64, ClientView> = BTreeMap::new();
    let mut place_of: BTreeMap<ClientId, u64> = BTreeMap::new();
    for row in &rows {
        let view = ClientView { client: row::client(row)?, on_dnc: row.try_get("on_dnc")? };
        let place = row.try_get::<i64, _>("place")?.cast_unsigned();
        place_of.insert(view.client.id, place);
        views.insert(place, view);
    }
    for (client, note) in notes(conn, "client", &ids(place_of.keys())).await? {
        let place = place_of.get(&ClientId::from_uuid(client));
        if let Some(view) = place.and_then(|place| views.get_mut(place)) {
            view.client.notes.push(note);
        }
    }
    Ok(views.into_iter().collect())
}

/// The client whom a number most recently stood for: the one last dialled, else the latest row.
pub(super) async fn client_of_number(
    conn: &mut SqliteConnection,
    phone: PhoneNumber,
) -> Result<Option<ClientId>, Fail> {
    // Nobody may learn from a new call which of the erased had this number.
    let dialled: Option<Option<Uuid>> = sqlx::query_scalar(
        "select client from calls where id = (
             select call from number_dials where phone = ?1 order by at desc, call desc limit 1)
             and exists (select 1 from clients
                 where clients.id = calls.client and erased_at is null)",
    )
    .bind(digits(phone))
    .fetch_optional(&mut *conn)
    .await?;
    if let Some(client) = dialled.flatten() {
        return Ok(Some(ClientId::from_uuid(client)));
    }
    let latest: Option<Uuid> =
        sqlx::query_scalar("select id from clients where phone = ?1 order by place desc limit 1")
            .bind(digits(phone))
            .fetch_optional(conn)
            .await?;
    Ok(latest.map(ClientId::from_uuid))
}

/// Who did something, for rows that name an actor.
pub(super) fn actor_of(row: &SqliteRow, column: &str) -> Result<Actor, Fail> {
    actor(row.try_get(column)?)
}
