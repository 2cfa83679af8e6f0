//! Loading the rows a unit of work is about.

use std::collections::{BTreeMap, BTreeSet};

use callcore::campaign::RunState;
use callcore::client::ClientStatus;
use callcore::engine::CallBrief;
use callcore::id::{CallId, CampaignId, ClientId};
use callcore::phone::PhoneNumber;
use sqlx::Row;

use super::fail::Fail;
use super::read;
use super::row::{self, ErasedCall, ids, instant, numbers, word};
use super::work::{CampaignRow, ClientRow, Work};

impl Work<'_> {
    /// Loads campaigns with their clients by status.
    pub(super) async fn load_campaigns(
        &mut self,
        wanted: impl IntoIterator<Item = CampaignId>,
    ) -> Result<(), Fail> {
        let missing: BTreeSet<CampaignId> =
            wanted.into_iter().filter(|id| !self.campaigns.contains_key(id)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let (wanted, cache) = (ids(&missing), self.settings);
        let rows = sqlx::query(
            "select id, state, settings_version, next_dial_at, started_at, ended_at, paused_at,
                 paused_by, pause_reason, counted_from
             from campaigns where id in (select unhex(value, '-') from json_each(?1))",
        )
        .bind(&wanted)
        .fetch_all(self.conn())
        .await?;
        for row in rows {
            let id = CampaignId::from_uuid(row.try_get("id")?);
            let settings_version = row.try_get("settings_version")?;
            let settings = cache.load(self.conn(), id, settings_version).await?;
            let started_at: Option<i64> = row.try_get("started_at")?;
            let ended_at: Option<i64> = row.try_get("ended_at")?;
            let campaign = CampaignRow {
                state: word(row.try_get("state")?, RunState::parse, "run state")?,
                settings_version,
                settings: settings.ok_or(Fail::Corrupt("settings"))?,
                next_dial_at: instant(row.try_get("next_dial_at")?)?,
                started_at: started_at.map(instant).transpose()?,
                ended_at: ended_at.map(instant).transpose()?,
                pause: row::pause(&row)?,
                counted_from: instant(row.try_get("counted_from")?)?,
                clients: BTreeMap::new(),
                moved: BTreeMap::new(),
                changed: false,
            };
            self.campaigns.insert(id, campaign);
        }
        let counts = sqlx::query(
            "select campaign, status, clients from client_counts
             where campaign in (select unhex(value, '-') from json_each(?1))",
        )
        .bind(&wanted)
        .fetch_all(self.conn())
        .await?;
        for row in counts {
            let id = CampaignId::from_uuid(row.try_get("campaign")?);
            let status = word(row.try_get("status")?, ClientStatus::parse, "client status")?;
            if let Some(campaign) = self.campaigns.get_mut(&id) {
                campaign.clients.insert(status, row.try_get("clients")?);
            }
        }
        Ok(())
    }

    /// Loads clients with what their standing follows from: their calls, their campaigns, and the
    /// DNC entries of their numbers.
    pub(super) async fn load_clients(
        &mut self,
        wanted: impl IntoIterator<Item = ClientId>,
    ) -> Result<(), Fail> {
        let missing: BTreeSet<ClientId> =
            wanted.into_iter().filter(|id| !self.clients.contains_key(id)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let wanted = ids(&missing);
        let rows = sqlx::query(
            "select id, campaign, phone, erased_at, erased_on_dnc, zones, active,
                 consent is not null as consent, tags, status, attempts, voicemails, last_outcome,
                 last_call_at
             from clients where id in (select unhex(value, '-') from json_each(?1))",
        )
        .bind(&wanted)
        .fetch_all(self.conn())
        .await?;
        let (mut campaigns, mut phones) = (BTreeSet::new(), BTreeSet::new());
        for row in rows {
            let campaign = CampaignId::from_uuid(row.try_get("campaign")?);
            let (phone, erased) = row::phone_or_erasure(&row)?;
            campaigns.insert(campaign);
            phones.extend(phone);
            let client = ClientRow {
                campaign,
                phone,
                erased,
                zones: row::document(row.try_get("zones")?, "zones")?,
                active: row.try_get("active")?,
                consent: row.try_get("consent")?,
                tags: row::document(row.try_get("tags")?, "tags")?,
                standing: row::standing(&row)?,
                calls: BTreeMap::new(),
                changed: false,
            };
            self.clients.insert(ClientId::from_uuid(row.try_get("id")?), client);
        }
        let briefs = sqlx::query(
            "select client, id, attempt, retry_of, intent, direction, due_at, stage, outcome,
                 ended_at, permanent, end_reason, retired
             from calls where client in (select unhex(value, '-') from json_each(?1))",
        )
        .bind(&wanted)
        .fetch_all(self.conn())
        .await?;
        for row in briefs {
            let client = self.clients.get_mut(&ClientId::from_uuid(row.try_get("client")?));
            if let (Some(client), Some(brief)) = (client, row::brief(&row)?) {
                client.calls.insert(brief.id, brief);
            }
        }
        // Calls that changed before their client was loaded are newer here than in the database.
        for call in self.calls.values().map(|row| &row.call) {
            let client = call.client.and_then(|id| self.clients.get_mut(&id));
            if let (Some(client), Some(brief)) = (client, CallBrief::of(call)) {
                client.calls.insert(brief.id, brief);
            }
        }
        self.load_dnc(&phones).await?;
        self.load_campaigns(campaigns).await
    }

    pub(super) async fn load_dnc(&mut self, phones: &BTreeSet<PhoneNumber>) -> Result<(), Fail> {
        let rows = sqlx::query(
            "select phone, campaign from dnc where phone in (select value from json_each(?1))",
        )
        .bind(numbers(phones))
        .fetch_all(self.conn())
        .await?;
        for row in rows {
            let scope = read::scope(row.try_get("campaign")?)?;
            self.dnc.insert((row::phone(row.try_get("phone")?)?, scope));
        }
        Ok(())
    }

    /// Loads calls with their events.
    pub(super) async fn load_calls(
        &mut self,
        wanted: impl IntoIterator<Item = CallId>,
    ) -> Result<(), Fail> {
        let missing: BTreeSet<CallId> =
            wanted.into_iter().filter(|id| !self.calls.contains_key(id)).collect();
        let settings = self.settings;
        let rows = read::call_rows(self.conn(), settings, &missing).await?;
        self.calls.extend(rows.into_iter().map(|row| (row.call.id, row)));
        self.load_erased(&missing).await
    }

    /// Which calls lost their words.
    async fn load_erased(&mut self, wanted: &BTreeSet<CallId>) -> Result<(), Fail> {
        if wanted.is_empty() {
            return Ok(());
        }
        let rows = sqlx::query(
            "select call, number, phone from erased_calls
             where call in (select unhex(value, '-') from json_each(?1))",
        )
        .bind(ids(wanted))
        .fetch_all(self.conn())
        .await?;
        for row in rows {
            let dialled: Option<i64> = row.try_get("phone")?;
            let dialled = dialled.map(row::phone).transpose()?;
            let erased = ErasedCall { number: row.try_get("number")?, dialled };
            if let Some(call) = self.calls.get_mut(&CallId::from_uuid(row.try_get("call")?)) {
                call.erased = Some(erased);
            }
        }
        Ok(())
    }
}
