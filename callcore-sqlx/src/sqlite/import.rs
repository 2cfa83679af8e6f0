//! Imports: the file's report, and its clients with their first calls.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use callcore::actor::Actor;
use callcore::call::Intent;
use callcore::client::{Client, ClientStatus, Note, Standing};
use callcore::id::{CampaignId, ClientId, ImportId};
use callcore::import::{DuplicatePolicy, ImportReport, Known, Roll, Verdict};
use callcore::phone::PhoneNumber;
use callcore::port::{Added, BeginImport, By, Effect, Import, ImportStatus, NewClient, Refused};
use serde_json::json;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::fail::Fail;
use super::open::SqliteStore;
use super::read;
use super::row::{self, document, micros, numbers, word};
use super::search::name_key;
use super::work::{ClientRow, Next, Work};

impl SqliteStore {
    pub(super) async fn add_import(&self, by: By<'_>, new: BeginImport) -> Result<Import, Fail> {
        let mut work = self.write().await?;
        work.enter(by).await?;
        work.load_campaigns([new.campaign]).await?;
        let state = work.campaign(new.campaign)?.state;
        if !state.takes_clients() {
            return Err(Refused::Campaign(state).into());
        }
        let import = Import {
            id: new.id,
            campaign: new.campaign,
            file_name: new.file_name,
            columns: new.columns,
            duplicates: new.duplicates,
            status: ImportStatus::Running,
            report: ImportReport::default(),
        };
        sqlx::query(
            "insert into imports (id, campaign, file_name, columns, status, report, duplicates)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )
        .bind(import.id.uuid())
        .bind(import.campaign.uuid())
        .bind(&import.file_name)
        .bind(serde_json::to_string(&import.columns)?)
        .bind(import.status.as_str())
        .bind(serde_json::to_string(&import.report)?)
        .bind(serde_json::to_string(&import.duplicates)?)
        .execute(work.conn())
        .await?;
        let file = json!({"campaign": import.campaign, "file_name": import.file_name});
        work.audit(by, "import.begin", import.id.to_string(), None, Some(file)).await?;
        work.leave(by, &Effect::Import(Box::new(import.clone()))).await?;
        work.commit().await?;
        Ok(import)
    }

    pub(super) async fn add_batch(
        &self,
        by: By<'_>,
        import: ImportId,
        clients: &[NewClient],
    ) -> Result<Vec<Added>, Fail> {
        let mut work = self.write().await?;
        work.enter(by).await?;
        let running =
            sqlx::query("select campaign, duplicates from imports where id = ?1 and status = ?2")
                .bind(import.uuid())
                .bind(ImportStatus::Running.as_str())
                .fetch_optional(work.conn())
                .await?
                .ok_or(Refused::NotFound)?;
        let campaign = CampaignId::from_uuid(running.try_get("campaign")?);
        let duplicates = document(running.try_get("duplicates")?, "duplicate policy")?;
        work.load_campaigns([campaign]).await?;
        let state = work.campaign(campaign)?.state;
        if !state.takes_clients() {
            return Err(Refused::Campaign(state).into());
        }
        let added = work.add_clients(by, (campaign, import), duplicates, clients).await?;
        work.commit().await?;
        Ok(added)
    }

    pub(super) async fn store_report(
        &self,
        by: By<'_>,
        import: ImportId,
        status: ImportStatus,
        report: &ImportReport,
    ) -> Result<Import, Fail> {
        let mut work = self.write().await?;
        work.enter(by).await?;
        let row =
            sqlx::query("update imports set status = ?2, report = ?3 where id = ?1 returning *")
                .bind(import.uuid())
                .bind(status.as_str())
                .bind(serde_json::to_string(report)?)
                .fetch_optional(work.conn())
                .await?;
        let import = import_of(&row.ok_or(Refused::NotFound)?)?;
        work.leave(by, &Effect::Import(Box::new(import.clone()))).await?;
        work.commit().await?;
        Ok(import)
    }

    pub(super) async fn fail_imports(&self, by: By<'_>) -> Result<u64, Fail> {
        let mut work = self.write().await?;
        work.enter(by).await?;
        let done = sqlx::query("update imports set status = 'failed' where status = 'running'")
            .execute(work.conn())
            .await?;
        work.commit().await?;
        Ok(done.rows_affected())
    }
}

/// Reads an import.
pub(super) fn import_of(row: &SqliteRow) -> Result<Import, Fail> {
    Ok(Import {
        id: ImportId::from_uuid(row.try_get("id")?),
        campaign: CampaignId::from_uuid(row.try_get("campaign")?),
        file_name: row.try_get("file_name")?,
        columns: document(row.try_get("columns")?, "columns")?,
        duplicates: document(row.try_get("duplicates")?, "duplicate policy")?,
        status: word(row.try_get("status")?, ImportStatus::parse, "import status")?,
        report: document(row.try_get("report")?, "import report")?,
    })
}

// Materialized, as in `flush.rs`: each value is rendered once.

const INSERT_CLIENTS: &str = "
with rows as materialized (select value from json_each(?1))
insert into clients (place, id, campaign, import, added_in, line, phone, name, name_key, external_id, email,
    zones, fields, tags, active, consent, person_key, debt_key, status)
select value ->> 'place', unhex(value ->> 'id', '-'), unhex(?2, '-'), unhex(?3, '-'),
    unhex(?3, '-'), value ->> 'line', value ->> 'phone', value ->> 'name', value ->> 'name_key',
    value ->> 'external_id', value ->> 'email', value ->> 'zones', value ->> 'fields',
    value ->> 'tags', 1, value ->> 'consent', value ->> 'person_key', value ->> 'debt_key',
    'pending'
from rows";

const UPDATE_CLIENTS: &str = "
with rows as materialized (select value from json_each(?1))
update clients set import = unhex(?2, '-'), line = new.line, name = new.name,
    name_key = new.name_key, external_id = new.external_id, email = new.email, zones = new.zones,
    fields = new.fields, tags = new.tags, consent = new.consent, person_key = new.person_key,
    debt_key = new.debt_key
from (
    select unhex(value ->> 'id', '-') as id, value ->> 'line' as line, value ->> 'name' as name,
        value ->> 'name_key' as name_key, value ->> 'external_id' as external_id,
        value ->> 'email' as email, value ->> 'zones' as zones, value ->> 'fields' as fields,
        value ->> 'tags' as tags, value ->> 'consent' as consent,
        value ->> 'person_key' as person_key, value ->> 'debt_key' as debt_key
    from rows
) as new
where clients.id = new.id";

const INSERT_NOTES: &str = "
insert into notes (client, text, by, at)
select unhex(value ->> 0, '-'), value ->> 1, ?2, ?3 from json_each(?1)";

impl Work<'_> {
    async fn add_clients(
        &mut self,
        by: By<'_>,
        (campaign, import): (CampaignId, ImportId),
        duplicates: DuplicatePolicy,
        clients: &[NewClient],
    ) -> Result<Vec<Added>, Fail> {
        let phones: BTreeSet<PhoneNumber> = clients.iter().map(|client| client.phone).collect();
        let external_ids = clients.iter().filter_map(|new| new.external_id.as_deref()).collect();
        self.load_dnc(&phones).await?;
        let mut roll = Roll::default();
        for known in known_clients(self.conn(), campaign, &phones, &external_ids).await? {
            roll.put(known);
        }
        // Of the sequence, as the latest client may have been removed.
        let mut place: i64 = sqlx::query_scalar(
            "select coalesce((select seq from sqlite_sequence where name = 'clients'), 0)",
        )
        .fetch_one(self.conn())
        .await?;
        let (mut added, mut rows, mut notes, mut updates) = (vec![], vec![], vec![], vec![]);
        for new in clients {
            let mut new = Cow::Borrowed(new);
            let external_id = new.external_id.as_deref();
            let verdict = roll.judge(duplicates, new.phone, &new.name, external_id);
            if let Verdict::New { without_external_id: true }
            | Verdict::Update { without_external_id: true, .. } = verdict
            {
                new.to_mut().external_id = None;
            }
            added.push(match verdict {
                Verdict::New { .. } => {
                    place += 1;
                    rows.push(client_record(&new, place));
                    notes.extend(new.note.as_ref().map(|note| json!([new.id, note])));
                    let on_dnc = self.on_dnc(new.phone, campaign).is_some();
                    self.add_client(by, campaign, &new, on_dnc);
                    roll.put(known_as(new.id, &new));
                    Added::Accepted { on_dnc }
                }
                Verdict::Update { client, .. } => {
                    roll.follow(known_as(client, &new));
                    updates.push((client, new));
                    Added::Updated
                }
                Verdict::Duplicate { of_line } => Added::Duplicate { of_line: Some(of_line) },
                Verdict::Refused(code) => Added::Refused(code),
            });
        }
        if !rows.is_empty() {
            sqlx::query(INSERT_CLIENTS)
                .bind(serde_json::Value::from(rows).to_string())
                .bind(campaign.to_string())
                .bind(import.to_string())
                .execute(self.conn())
                .await?;
        }
        self.add_notes(by, notes).await?;
        self.update_clients(by, import, updates).await?;
        Ok(added)
    }

    /// Makes clients what rows say of them, in the rows' order.
    async fn update_clients(
        &mut self,
        by: By<'_>,
        import: ImportId,
        updates: Vec<(ClientId, Cow<'_, NewClient>)>,
    ) -> Result<(), Fail> {
        if updates.is_empty() {
            return Ok(());
        }
        let places: Vec<i64> = sqlx::query_scalar(
            "select place from clients where id in (select unhex(value, '-') from json_each(?1))",
        )
        .bind(row::ids(updates.iter().map(|(id, _)| id)))
        .fetch_all(self.conn())
        .await?;
        let views = read::client_views(self.conn(), &places).await?;
        let clients = views.into_iter().map(|(_, view)| (view.client.id, view.client));
        let mut clients: BTreeMap<ClientId, Client> = clients.collect();
        let mut notes = Vec::new();
        for (id, new) in updates {
            let Some(client) = clients.get_mut(&id) else { continue };
            client.follow(import, &new);
            let note = new.note.clone();
            if let Some(text) = note.filter(|text| client.notes.iter().all(|it| it.text != *text)) {
                notes.push(json!([id, text]));
                client.notes.push(Note { text, by: by.actor.clone(), at: by.now });
            }
            if let Some(row) = self.clients.get_mut(&id) {
                row.tags.clone_from(&client.tags);
                row.zones.clone_from(&client.zones);
            }
        }
        let rows: Vec<_> = clients.values().map(changed_record).collect();
        sqlx::query(UPDATE_CLIENTS)
            .bind(serde_json::Value::from(rows).to_string())
            .bind(import.to_string())
            .execute(self.conn())
            .await?;
        self.add_notes(by, notes).await
    }

    async fn add_notes(&mut self, by: By<'_>, notes: Vec<serde_json::Value>) -> Result<(), Fail> {
        if !notes.is_empty() {
            sqlx::query(INSERT_NOTES)
                .bind(serde_json::Value::from(notes).to_string())
                .bind(by.actor.to_string())
                .bind(micros(by.now))
                .execute(self.conn())
                .await?;
        }
        Ok(())
    }

    fn add_client(&mut self, by: By<'_>, campaign: CampaignId, new: &NewClient, on_dnc: bool) {
        self.clients.insert(
            new.id,
            ClientRow {
                campaign,
                phone: Some(new.phone),
                erased: None,
                zones: new.zones.clone(),
                active: true,
                consent: new.consent.is_some(),
                tags: new.tags.clone(),
                standing: Standing::default(),
                calls: BTreeMap::new(),
                changed: false,
            },
        );
        self.move_client(campaign, None, ClientStatus::Pending);
        if !on_dnc {
            let next = Next { id: new.call, attempt: 1, retry_of: None, due_at: new.due_at };
            self.schedule(new.id, next, Intent::Plan, Actor::System);
        }
        self.follow_up(new.id, by.now);
    }
}

fn client_record(new: &NewClient, place: i64) -> serde_json::Value {
    json!({
        "place": place,
        "id": new.id,
        "line": new.line,
        "phone": new.phone.digits(),
        "name": new.name,
        "name_key": name_key(&new.name),
        "external_id": new.external_id,
        "email": new.email,
        "zones": new.zones,
        "fields": new.fields,
        "tags": new.tags,
        "consent": new.consent,
        "person_key": new.person_key,
        "debt_key": new.debt_key,
    })
}

fn changed_record(client: &Client) -> serde_json::Value {
    json!({
        "id": client.id,
        "line": client.line,
        "name": client.name,
        "name_key": name_key(&client.name),
        "external_id": client.external_id,
        "email": client.email,
        "zones": client.zones,
        "fields": client.fields,
        "tags": client.tags,
        "consent": client.consent,
        "person_key": client.person_key,
        "debt_key": client.debt_key,
    })
}

fn known_as(client: ClientId, new: &NewClient) -> Known {
    Known {
        client,
        line: new.line,
        phone: new.phone,
        name: new.name.clone(),
        external_id: new.external_id.clone(),
    }
}

/// The clients of a campaign with one of these numbers or external ids, the oldest first.
pub(super) async fn known_clients(
    conn: &mut SqliteConnection,
    campaign: CampaignId,
    phones: &BTreeSet<PhoneNumber>,
    external_ids: &BTreeSet<&str>,
) -> Result<Vec<Known>, Fail> {
    let rows = sqlx::query(
        "select place, id, line, phone, name, external_id from clients
         where campaign = ?1 and phone in (select value from json_each(?2))
         union
         select place, id, line, phone, name, external_id from clients
         where campaign = ?1 and external_id in (select value from json_each(?3))
         order by place",
    )
    .bind(campaign.uuid())
    .bind(numbers(phones))
    .bind(serde_json::to_string(external_ids)?)
    .fetch_all(conn)
    .await?;
    let read = |row: SqliteRow| {
        Ok(Known {
            client: ClientId::from_uuid(row.try_get("id")?),
            line: row.try_get::<i64, _>("line")?.cast_unsigned(),
            phone: row::phone(row.try_get("phone")?)?,
            name: row.try_get("name")?,
            external_id: row.try_get("external_id")?,
        })
    };
    rows.into_iter().map(read).collect()
}
