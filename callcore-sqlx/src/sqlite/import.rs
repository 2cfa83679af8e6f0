//! Imports: the file's report, and its clients with their first calls.

use std::collections::{BTreeMap, BTreeSet};

use callcore::actor::Actor;
use callcore::call::Intent;
use callcore::client::{ClientStatus, Standing};
use callcore::id::{CampaignId, ImportId};
use callcore::import::ImportReport;
use callcore::phone::PhoneNumber;
use callcore::port::{Added, BeginImport, By, Effect, Import, ImportStatus, NewClient, Refused};
use serde_json::json;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::fail::Fail;
use super::open::SqliteStore;
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
            status: ImportStatus::Running,
            report: ImportReport::default(),
        };
        sqlx::query(
            "insert into imports (id, campaign, file_name, columns, status, report)
             values (?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .bind(import.id.uuid())
        .bind(import.campaign.uuid())
        .bind(&import.file_name)
        .bind(serde_json::to_string(&import.columns)?)
        .bind(import.status.as_str())
        .bind(serde_json::to_string(&import.report)?)
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
        let campaign: Option<Uuid> =
            sqlx::query_scalar("select campaign from imports where id = ?1 and status = ?2")
                .bind(import.uuid())
                .bind(ImportStatus::Running.as_str())
                .fetch_optional(work.conn())
                .await?;
        let campaign = CampaignId::from_uuid(campaign.ok_or(Refused::NotFound)?);
        work.load_campaigns([campaign]).await?;
        let state = work.campaign(campaign)?.state;
        if !state.takes_clients() {
            return Err(Refused::Campaign(state).into());
        }
        let added = work.add_clients(by, campaign, import, clients).await?;
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
        status: word(row.try_get("status")?, ImportStatus::parse, "import status")?,
        report: document(row.try_get("report")?, "import report")?,
    })
}

const INSERT_CLIENTS: &str = "
insert into clients (place, id, campaign, import, line, phone, name, name_key, external_id, email,
    zones, fields, tags, active, consent, person_key, debt_key, status)
select value ->> 'place', unhex(value ->> 'id', '-'), unhex(?2, '-'), unhex(?3, '-'),
    value ->> 'line', value ->> 'phone', value ->> 'name', value ->> 'name_key',
    value ->> 'external_id', value ->> 'email', value ->> 'zones', value ->> 'fields',
    value ->> 'tags', 1, value ->> 'consent', value ->> 'person_key', value ->> 'debt_key',
    'pending'
from json_each(?1)";

impl Work<'_> {
    async fn add_clients(
        &mut self,
        by: By<'_>,
        campaign: CampaignId,
        import: ImportId,
        clients: &[NewClient],
    ) -> Result<Vec<Added>, Fail> {
        let phones: BTreeSet<PhoneNumber> = clients.iter().map(|client| client.phone).collect();
        self.load_dnc(&phones).await?;
        let mut lines = self.known_lines(campaign, &phones).await?;
        let mut place: i64 = sqlx::query_scalar("select coalesce(max(place), 0) from clients")
            .fetch_one(self.conn())
            .await?;
        let (mut added, mut rows, mut notes) = (Vec::new(), Vec::new(), Vec::new());
        for new in clients {
            if let Some(line) = lines.get(&new.phone) {
                added.push(Added::Duplicate { of_line: Some(*line) });
                continue;
            }
            lines.insert(new.phone, new.line);
            place += 1;
            rows.push(client_record(new, place));
            notes.extend(new.note.as_ref().map(|note| json!([new.id, note])));
            let on_dnc = self.on_dnc(new.phone, campaign).is_some();
            self.add_client(by, campaign, new, on_dnc);
            added.push(Added::Accepted { on_dnc });
        }
        if !rows.is_empty() {
            sqlx::query(INSERT_CLIENTS)
                .bind(serde_json::Value::from(rows).to_string())
                .bind(campaign.to_string())
                .bind(import.to_string())
                .execute(self.conn())
                .await?;
        }
        if !notes.is_empty() {
            sqlx::query(
                "insert into notes (client, text, by, at)
                 select unhex(value ->> 0, '-'), value ->> 1, ?2, ?3 from json_each(?1)",
            )
            .bind(serde_json::Value::from(notes).to_string())
            .bind(by.actor.to_string())
            .bind(micros(by.now))
            .execute(self.conn())
            .await?;
        }
        Ok(added)
    }

    /// The lines on which these numbers came into a campaign before.
    async fn known_lines(
        &mut self,
        campaign: CampaignId,
        phones: &BTreeSet<PhoneNumber>,
    ) -> Result<BTreeMap<PhoneNumber, u64>, Fail> {
        let rows = sqlx::query(
            "select phone, line from clients
             where campaign = ?1 and phone in (select value from json_each(?2))",
        )
        .bind(campaign.uuid())
        .bind(numbers(phones))
        .fetch_all(self.conn())
        .await?;
        let read = |row: SqliteRow| {
            let line: i64 = row.try_get("line")?;
            Ok((row::phone(row.try_get("phone")?)?, line.cast_unsigned()))
        };
        rows.into_iter().map(read).collect()
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
