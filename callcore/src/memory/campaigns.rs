use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::json;

use super::{CampaignRow, ClientRow, MemoryStore, State, is_waiting, matches};
use crate::analytics::Totals;
use crate::call::{CancelReason, Retirement};
use crate::campaign::{Campaign, Pause, RunState, Settings, Transition};
use crate::engine::Tally;
use crate::id::{CallId, CampaignId, ClientId, ImportId};
use crate::import::ImportReport;
use crate::port::{
    ActError, Added, BeginImport, By, CampaignView, Campaigns, ClientQuery, ClientView, Cursor,
    Effect, ExportRow, Import, ImportStatus, NewCampaign, NewClient, Page, Refused, StoreError,
    TallyRow,
};

#[async_trait]
impl Campaigns for MemoryStore {
    async fn create_campaign(
        &self,
        by: By<'_>,
        new: NewCampaign,
    ) -> Result<CampaignView, ActError> {
        let mut state = self.lock();
        state.enter(by)?;
        state.check_audio(&new.settings)?;
        let row = CampaignRow {
            campaign: Campaign {
                id: new.id,
                state: RunState::Draft,
                settings_version: 1,
                settings: new.settings.clone(),
                created_at: by.now,
                created_by: by.actor.clone(),
                started_at: None,
                ended_at: None,
                pause: None,
            },
            versions: BTreeMap::from([(1, new.settings.clone())]),
            next_dial_at: DateTime::UNIX_EPOCH,
            turn: 0,
            counted_from: DateTime::UNIX_EPOCH,
            clients: BTreeMap::new(),
            totals: Totals::default(),
            due: BTreeSet::new(),
            leased: BTreeSet::new(),
            live: BTreeSet::new(),
        };
        state.campaigns.insert(new.id, row);
        state.write_audit(by, "campaign.create", new.id, None, Some(new.settings.to_json()));
        state.campaign_changed(by, new.id)
    }

    async fn change_settings(
        &self,
        by: By<'_>,
        id: CampaignId,
        version: u32,
        settings: Arc<Settings>,
    ) -> Result<CampaignView, ActError> {
        let mut state = self.lock();
        state.enter(by)?;
        let row = state.campaigns.get_mut(&id).ok_or(Refused::NotFound)?;
        if row.campaign.settings_version != version {
            return Err(Refused::Stale { current: row.campaign.settings_version }.into());
        }
        state.check_audio(&settings)?;
        let row = state.campaigns.get_mut(&id).ok_or(Refused::NotFound)?;
        let old = row.campaign.settings.to_json();
        row.campaign.settings_version += 1;
        row.campaign.settings = settings.clone();
        row.versions.insert(row.campaign.settings_version, settings.clone());
        state.write_audit(by, "campaign.change", id, Some(old), Some(settings.to_json()));
        state.campaign_changed(by, id)
    }

    async fn change_state(
        &self,
        by: By<'_>,
        id: CampaignId,
        transition: Transition,
    ) -> Result<CampaignView, ActError> {
        let mut state = self.lock();
        state.enter(by)?;
        state.change_state(by, id, transition)?;
        state.campaign_changed(by, id)
    }

    async fn campaign(&self, id: CampaignId) -> Result<Option<CampaignView>, StoreError> {
        Ok(self.lock().campaign_view(id))
    }

    async fn settings(
        &self,
        id: CampaignId,
        version: u32,
    ) -> Result<Option<Arc<Settings>>, StoreError> {
        let state = self.lock();
        Ok(state.campaigns.get(&id).and_then(|row| row.versions.get(&version).cloned()))
    }

    async fn campaigns(
        &self,
        states: &[RunState],
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<Page<CampaignView>, StoreError> {
        let state = self.lock();
        let mut keys: Vec<(DateTime<Utc>, CampaignId)> = state
            .campaigns
            .values()
            .filter(|row| states.is_empty() || states.contains(&row.campaign.state))
            .map(|row| (row.campaign.created_at, row.campaign.id))
            .filter(|(at, id)| {
                after.as_ref().is_none_or(|after| Cursor::at(*at, id.uuid()) < *after)
            })
            .collect();
        keys.sort_unstable_by(|a, b| b.cmp(a));
        Ok(page(keys, limit, |(at, id)| Cursor::at(*at, id.uuid()))
            .map(|(_, id)| state.campaign_view(id)))
    }

    async fn begin_import(&self, by: By<'_>, new: BeginImport) -> Result<Import, ActError> {
        let mut state = self.lock();
        state.enter(by)?;
        let campaign = &state.campaign_row(new.campaign)?.campaign;
        if !campaign.state.takes_clients() {
            return Err(Refused::Campaign(campaign.state).into());
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
        state.imports.insert(new.id, import.clone());
        let file = json!({"campaign": new.campaign, "file_name": import.file_name});
        state.write_audit(by, "import.begin", new.id, None, Some(file));
        state.leave(by, &Effect::Import(Box::new(import.clone())));
        Ok(import)
    }

    async fn add_clients(
        &self,
        by: By<'_>,
        import: ImportId,
        clients: &[NewClient],
    ) -> Result<Vec<Added>, ActError> {
        let mut state = self.lock();
        state.enter(by)?;
        let running = state.imports.get(&import).filter(|it| it.status == ImportStatus::Running);
        let import = running.ok_or(Refused::NotFound)?.clone();
        let campaign = import.campaign;
        let run_state = state.campaign_row(campaign)?.campaign.state;
        if !run_state.takes_clients() {
            return Err(Refused::Campaign(run_state).into());
        }
        state.at(by.now);
        Ok(state.add_clients(by, &import, clients))
    }

    async fn report_import(
        &self,
        by: By<'_>,
        import: ImportId,
        status: ImportStatus,
        report: &ImportReport,
    ) -> Result<Import, ActError> {
        let mut state = self.lock();
        state.enter(by)?;
        let row = state.imports.get_mut(&import).ok_or(Refused::NotFound)?;
        row.status = status;
        row.report = report.clone();
        let import = row.clone();
        state.leave(by, &Effect::Import(Box::new(import.clone())));
        Ok(import)
    }

    async fn fail_running_imports(&self, by: By<'_>) -> Result<u64, StoreError> {
        let mut state = self.lock();
        state.at(by.now);
        let running = state.imports.values_mut().filter(|it| it.status == ImportStatus::Running);
        Ok(running.map(|import| import.status = ImportStatus::Failed).count() as u64)
    }

    async fn import(&self, id: ImportId) -> Result<Option<Import>, StoreError> {
        Ok(self.lock().imports.get(&id).cloned())
    }

    async fn client(&self, id: ClientId) -> Result<Option<ClientView>, StoreError> {
        let state = self.lock();
        Ok(state.clients.get(&id).map(|row| state.client_view(row)))
    }

    async fn clients(&self, query: &ClientQuery) -> Result<Page<ClientView>, StoreError> {
        let state = self.lock();
        let place = |row: &&ClientRow| Cursor::number(row.place, row.client.id.uuid());
        let mut rows: Vec<&ClientRow> = state
            .clients
            .values()
            .filter(|row| row.client.campaign == query.campaign)
            .filter(|row| query.after.as_ref().is_none_or(|after| place(row) > *after))
            .filter(|row| wanted(query, row))
            .collect();
        rows.sort_unstable_by_key(|row| row.place);
        Ok(page(rows, query.limit, place).map(|row| Some(state.client_view(row))))
    }

    async fn export_clients(
        &self,
        campaign: CampaignId,
        after: Option<u64>,
        limit: u32,
    ) -> Result<Vec<ExportRow>, StoreError> {
        let state = self.lock();
        let mut rows: Vec<&ClientRow> = state
            .clients
            .values()
            .filter(|row| row.client.campaign == campaign)
            .filter(|row| after.is_none_or(|after| row.place > after))
            .collect();
        rows.sort_unstable_by_key(|row| row.place);
        let export = |row: &ClientRow| {
            let ClientView { client, on_dnc } = state.client_view(row);
            ExportRow { place: row.place, client, on_dnc }
        };
        Ok(rows.into_iter().take(limit as usize).map(export).collect())
    }

    async fn imports(&self, campaign: CampaignId) -> Result<Vec<Import>, StoreError> {
        let state = self.lock();
        // Ids sort by the time they were made.
        let rows = state.imports.values().filter(|import| import.campaign == campaign);
        Ok(rows.cloned().collect())
    }

    async fn tallies(
        &self,
        campaign: Option<CampaignId>,
        from: Option<DateTime<Utc>>,
        to: Option<DateTime<Utc>>,
    ) -> Result<Vec<TallyRow>, StoreError> {
        let state = self.lock();
        // A counter is a quarter of an hour: what is less is counted from the rows.
        let whole = |at: Option<DateTime<Utc>>| at.is_none_or(|at| Tally::quarter_of(at) == at);
        if !whole(from) || !whole(to) {
            return Ok(state.recounted(campaign, from, to));
        }
        let mut sums: BTreeMap<_, (u64, u64)> = BTreeMap::new();
        for ((id, quarter, outcome), (calls, talk_seconds)) in &state.tallies {
            let inside = from.is_none_or(|from| *quarter >= from)
                && to.is_none_or(|to| *quarter < to)
                && campaign.is_none_or(|campaign| *id == campaign);
            if inside {
                let sum = sums.entry((*quarter, *outcome)).or_default();
                *sum = (sum.0 + calls, sum.1 + talk_seconds);
            }
        }
        let row = |((quarter, outcome), (calls, talk_seconds))| TallyRow {
            quarter,
            outcome,
            calls,
            talk_seconds,
        };
        Ok(sums.into_iter().map(row).collect())
    }
}

fn wanted(query: &ClientQuery, row: &ClientRow) -> bool {
    let client = &row.client;
    query.q.as_ref().is_none_or(|q| matches(q, &client.name, client.phone))
        && (query.statuses.is_empty() || query.statuses.contains(&client.standing.status))
        && (query.tags.is_empty() || query.tags.iter().any(|tag| client.tags.contains(tag)))
}

/// The first rows of what is left of a list, and where the rest begins.
pub(super) struct Cut<K> {
    rows: Vec<K>,
    next: Option<Cursor>,
}

pub(super) fn page<K>(mut rows: Vec<K>, limit: u32, cursor: impl Fn(&K) -> Cursor) -> Cut<K> {
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next = rows.last().filter(|_| more).map(cursor);
    Cut { rows, next }
}

impl<K> Cut<K> {
    pub(super) fn map<T>(self, read: impl Fn(K) -> Option<T>) -> Page<T> {
        Page { items: self.rows.into_iter().filter_map(read).collect(), next: self.next }
    }
}

impl State {
    fn campaign_changed(&mut self, by: By<'_>, id: CampaignId) -> Result<CampaignView, ActError> {
        let view = self.campaign_view(id).ok_or(Refused::NotFound)?;
        self.leave(by, &Effect::Campaign(Box::new(view.clone())));
        Ok(view)
    }

    pub(super) fn change_state(
        &mut self,
        by: By<'_>,
        id: CampaignId,
        transition: Transition,
    ) -> Result<(), ActError> {
        let row = self.campaigns.get_mut(&id).ok_or(Refused::NotFound)?;
        let old = row.campaign.state;
        let new = old.after(transition).map_err(Refused::from)?;
        if transition == Transition::Start {
            if row.clients.is_empty() {
                return Err(Refused::NoClients.into());
            }
            row.campaign.started_at = Some(by.now);
        }
        row.campaign.state = new;
        let pause = || Pause { at: by.now, by: by.actor.clone(), reason: None };
        row.campaign.pause = (transition == Transition::Pause).then(pause);
        if transition == Transition::Resume {
            row.counted_from = by.now;
        }
        match transition {
            Transition::Start => self.bring_forward(by, id),
            Transition::Stop => self.cancel_all(by, id),
            Transition::Pause | Transition::Resume => {}
        }
        self.check_finished(id, by.now);
        let action = format!("campaign.{}", transition.as_str());
        let (old, new) = (json!(old.as_str()), json!(new.as_str()));
        self.write_audit(by, &action, id, Some(old), Some(new));
        Ok(())
    }

    /// What was due before the campaign started is due now.
    fn bring_forward(&mut self, by: By<'_>, id: CampaignId) {
        let waiting = self.campaigns[&id].due.iter().map(|(_, _, call)| *call);
        let waiting: Vec<CallId> =
            waiting.filter(|call| !self.calls[call].call.is_test()).collect();
        for call in waiting {
            self.dequeue(call);
            self.change(call, |row| row.call.due_at = row.call.due_at.max(by.now));
            self.enqueue(call);
            if let Some(client) = self.calls[&call].call.client {
                self.follow_up(client, by.now);
            }
        }
    }

    fn cancel_all(&mut self, by: By<'_>, id: CampaignId) {
        if let Some(row) = self.campaigns.get_mut(&id) {
            row.campaign.ended_at = Some(by.now);
        }
        let clients: Vec<(ClientId, Vec<CallId>)> = self
            .clients
            .values()
            .filter(|row| row.client.campaign == id)
            .map(|row| {
                let waits = |call: &&CallId| is_waiting(&self.calls[*call].call);
                (row.client.id, row.calls.iter().filter(waits).copied().collect())
            })
            // Whoever had nothing to come stays what it is.
            .filter(|(_, calls): &(ClientId, Vec<CallId>)| !calls.is_empty())
            .collect();
        for test in self.waiting_tests(|call| call.campaign == Some(id)) {
            let how = Retirement::Canceled(CancelReason::CampaignStopped);
            self.retire(test, by.now, by.actor, how);
        }
        for (client, calls) in clients {
            for call in calls {
                let how = Retirement::Canceled(CancelReason::CampaignStopped);
                self.retire(call, by.now, by.actor, how);
            }
            self.follow_up(client, by.now);
        }
    }
}
