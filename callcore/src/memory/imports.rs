use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::json;

use super::campaigns::page;
use super::{ClientRow, MemoryStore, State, call_to, is_waiting};
use crate::call::{Call, Direction};
use crate::campaign::RunState;
use crate::client::{Client, ClientStatus, Note, Standing};
use crate::dnc::DncScope;
use crate::erase::Traces;
use crate::id::{CallId, CampaignId, ClientId, ImportId};
use crate::import::{Known, Reject, Roll, Verdict};
use crate::phone::PhoneNumber;
use crate::port::{
    ActError, Added, By, Cursor, Effect, Import, ImportStatus, Imports, KnownClients, NewClient,
    Page, Refused, StoreError, Undone,
};

#[async_trait]
impl Imports for MemoryStore {
    async fn known_clients(
        &self,
        campaign: CampaignId,
        phones: &BTreeSet<PhoneNumber>,
        external_ids: &BTreeSet<String>,
    ) -> Result<KnownClients, StoreError> {
        Ok(self.lock().known_clients(campaign, phones, external_ids))
    }

    async fn add_rejects(
        &self,
        by: By<'_>,
        import: ImportId,
        rejects: &[Reject],
    ) -> Result<(), ActError> {
        let mut state = self.lock();
        state.enter(by)?;
        let running = state.imports.get(&import).filter(|it| it.status == ImportStatus::Running);
        running.ok_or(Refused::NotFound)?;
        let last = state.rejects.range((import, 0)..=(import, u64::MAX)).next_back();
        let next = last.map_or(0, |((_, place), _)| place + 1);
        let rows = (next..).zip(rejects).map(|(place, reject)| ((import, place), reject.clone()));
        state.rejects.extend(rows);
        state.at(by.now);
        Ok(())
    }

    async fn rejects(
        &self,
        import: ImportId,
        after: Option<u64>,
        limit: u32,
    ) -> Result<Vec<(u64, Reject)>, StoreError> {
        let state = self.lock();
        let first = after.map_or(0, |after| after.saturating_add(1));
        let rows = state.rejects.range((import, first)..=(import, u64::MAX)).take(limit as usize);
        Ok(rows.map(|((_, place), reject)| (*place, reject.clone())).collect())
    }

    async fn import_page(
        &self,
        campaign: CampaignId,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<Page<Import>, StoreError> {
        let state = self.lock();
        let mut rows: Vec<&Import> = state
            .imports
            .values()
            .filter(|import| import.campaign == campaign)
            .filter(|import| after.as_ref().is_none_or(|after| import.id.uuid() < after.id))
            .collect();
        rows.reverse();
        let cursor = |row: &&Import| Cursor::number(0, row.id.uuid());
        Ok(page(rows, limit, cursor).map(|import| Some(import.clone())))
    }

    async fn undo_import(
        &self,
        by: By<'_>,
        import: ImportId,
        partial: bool,
    ) -> Result<Undone, ActError> {
        let mut state = self.lock();
        state.enter(by)?;
        let row = state.imports.get(&import).ok_or(Refused::NotFound)?;
        let (campaign, old) = (row.campaign, row.status);
        if old == ImportStatus::Running {
            return Err(Refused::ImportRunning.into());
        }
        let brought = state.clients.values().filter(|row| row.added_in == import);
        let (called, uncalled): (Vec<ClientId>, Vec<ClientId>) =
            brought.map(|row| row.client.id).partition(|id| state.was_called(*id));
        let (kept, removed) = (called.len() as u64, uncalled.len() as u64);
        if kept > 0 && !partial && old != ImportStatus::Undone {
            return Err(Refused::Called { called: kept, uncalled: removed }.into());
        }
        for client in uncalled {
            state.remove_client(client);
        }
        state.check_finished(campaign, by.now);
        state.rejects.retain(|(of, _), _| *of != import);
        let row = state.imports.get_mut(&import).ok_or(Refused::NotFound)?;
        row.status = ImportStatus::Undone;
        row.report.forget_all();
        let undone = Undone { import: row.clone(), removed, kept };
        let new = json!({"status": "undone", "removed": removed, "kept": kept});
        state.write_audit(
            by,
            "import.undo",
            import,
            Some(json!({"status": old.as_str()})),
            Some(new),
        );
        state.leave(by, &Effect::Undone(Box::new(undone.clone())));
        Ok(undone)
    }

    async fn finish_undos(&self, by: By<'_>) -> Result<u64, StoreError> {
        // Here no step of one can be missing.
        self.lock().at(by.now);
        Ok(0)
    }

    async fn delete_campaign(&self, by: By<'_>, id: CampaignId) -> Result<(), ActError> {
        let mut state = self.lock();
        state.enter(by)?;
        let campaign = &state.campaign_row(id)?.campaign;
        if campaign.state != RunState::Draft {
            return Err(Refused::Campaign(campaign.state).into());
        }
        let old = campaign.settings.to_json();
        let of_campaign = state.clients.values().filter(|row| row.client.campaign == id);
        let clients: Vec<ClientId> = of_campaign.map(|row| row.client.id).collect();
        state.orphan_calls(id);
        for client in clients {
            state.remove_client(client);
        }
        state.drop_calls(id);
        let imports: BTreeSet<ImportId> =
            state.imports.values().filter(|it| it.campaign == id).map(|it| it.id).collect();
        state.imports.retain(|_, import| import.campaign != id);
        state.rejects.retain(|(import, _), _| !imports.contains(import));
        state.dnc.retain(|(_, scope), _| *scope != DncScope::Campaign(id));
        state.dnc_imports.retain(|_, import| import.scope != DncScope::Campaign(id));
        state.tallies.retain(|(campaign, ..), _| *campaign != id);
        state.campaigns.remove(&id);
        state.write_audit(by, "campaign.delete", id, Some(old), None);
        state.leave(by, &Effect::CampaignDeleted);
        Ok(())
    }
}

impl State {
    fn known_clients(
        &self,
        campaign: CampaignId,
        phones: &BTreeSet<PhoneNumber>,
        external_ids: &BTreeSet<String>,
    ) -> KnownClients {
        let of_number = phones.iter().flat_map(|phone| self.of_number(*phone));
        let of_number = of_number.filter(|(of, _)| *of == campaign).map(|(_, client)| client);
        let of_id = external_ids
            .iter()
            .filter_map(|id| self.by_external_id.get(&(campaign, id.clone())).copied());
        let wanted: BTreeSet<ClientId> = of_number.chain(of_id).collect();
        let mut rows: Vec<&ClientRow> = wanted.iter().map(|id| &self.clients[id]).collect();
        rows.sort_unstable_by_key(|row| row.place);
        KnownClients {
            clients: rows.into_iter().filter_map(|row| known(&row.client)).collect(),
            on_dnc: phones
                .iter()
                .copied()
                .filter(|phone| self.on_dnc(*phone, campaign).is_some())
                .collect(),
        }
    }

    pub(super) fn add_clients(
        &mut self,
        by: By<'_>,
        import: &Import,
        clients: &[NewClient],
    ) -> Vec<Added> {
        let phones = clients.iter().map(|new| new.phone).collect();
        let external_ids = clients.iter().filter_map(|new| new.external_id.clone()).collect();
        let mut roll = Roll::default();
        for known in self.known_clients(import.campaign, &phones, &external_ids).clients {
            roll.put(known);
        }
        clients.iter().map(|new| self.add_one(by, import, new, &mut roll)).collect()
    }

    fn add_one(&mut self, by: By<'_>, import: &Import, new: &NewClient, roll: &mut Roll) -> Added {
        let external_id = new.external_id.as_deref();
        let mut new = new.clone();
        let verdict = roll.judge(import.duplicates, new.phone, &new.name, external_id);
        if let Verdict::New { without_external_id: true }
        | Verdict::Update { without_external_id: true, .. } = verdict
        {
            new.external_id = None;
        }
        let client = match verdict {
            Verdict::Duplicate { of_line } => return Added::Duplicate { of_line: Some(of_line) },
            Verdict::Refused(code) => return Added::Refused(code),
            Verdict::New { .. } => {
                let added = self.add_client(by, import, &new);
                known(&self.clients[&new.id].client).into_iter().for_each(|known| roll.put(known));
                return added;
            }
            Verdict::Update { client, .. } => client,
        };
        if let Some(row) = self.clients.get_mut(&client) {
            if let Some(old) = row.client.external_id.clone() {
                self.by_external_id.remove(&(import.campaign, old));
            }
            row.client.follow(import.id, &new);
            let note = new.note.filter(|text| row.client.notes.iter().all(|it| it.text != *text));
            row.client.notes.extend(note.map(|text| note_of(by, text)));
            known(&row.client).into_iter().for_each(|known| roll.put(known));
            if let Some(now) = row.client.external_id.clone() {
                self.by_external_id.insert((import.campaign, now), client);
            }
        }
        Added::Updated
    }

    fn add_client(&mut self, by: By<'_>, import: &Import, new: &NewClient) -> Added {
        let campaign = import.campaign;
        let on_dnc = self.on_dnc(new.phone, campaign).is_some();
        self.places += 1;
        let client = Client {
            id: new.id,
            campaign,
            import: import.id,
            line: new.line,
            phone: Some(new.phone),
            name: new.name.clone(),
            external_id: new.external_id.clone(),
            email: new.email.clone(),
            zones: new.zones.clone(),
            fields: new.fields.clone(),
            tags: new.tags.clone(),
            notes: new.note.clone().map(|text| note_of(by, text)).into_iter().collect(),
            active: true,
            consent: new.consent.clone(),
            person_key: new.person_key.clone(),
            debt_key: new.debt_key.clone(),
            standing: Standing::default(),
            erased: None,
        };
        let call = call_to(&client, new.call, 1, new.due_at);
        self.by_number.insert((new.phone, campaign, new.id));
        if let Some(external_id) = new.external_id.clone() {
            self.by_external_id.insert((campaign, external_id), new.id);
        }
        let (added_in, calls) = (import.id, BTreeSet::new());
        let row = ClientRow { client, place: self.places, added_in, calls };
        self.clients.insert(new.id, row);
        self.move_client(campaign, None, ClientStatus::Pending);
        if !on_dnc {
            self.schedule(call);
        }
        self.follow_up(new.id, by.now);
        Added::Accepted { on_dnc }
    }

    /// Removes the refused rows of campaigns that ended before an instant.
    pub(super) fn forget_rejects(&mut self, before: DateTime<Utc>) {
        let Self { campaigns, imports, rejects, .. } = self;
        for import in imports.values_mut() {
            let campaign = campaigns.get(&import.campaign).map(|row| &row.campaign);
            if campaign.and_then(|it| it.ended_at).is_some_and(|ended| ended < before) {
                import.report.forget_all();
                rejects.retain(|(id, _), _| *id != import.id);
            }
        }
    }

    /// Removes every refused row that has this number or tells of the person: it is erased.
    pub(super) fn erase_rejects(&mut self, phone: PhoneNumber, traces: &Traces) {
        let digits = Reject::digits_of(phone);
        self.rejects.retain(|_, reject| {
            !digits.contains(&reject.digits) && !traces.tell_of_row(&reject.cells)
        });
    }

    /// Whether a call of the client began or came in.
    fn was_called(&self, client: ClientId) -> bool {
        let calls = self.clients.get(&client).into_iter().flat_map(|row| &row.calls);
        calls.map(|id| &self.calls[id].call).any(happened)
    }

    /// Makes a campaign's calls that began or came in those of strangers.
    fn orphan_calls(&mut self, campaign: CampaignId) {
        let of_campaign = self.calls.values().map(|row| &row.call);
        let orphans: Vec<(CallId, Option<ClientId>)> = of_campaign
            .filter(|call| call.campaign == Some(campaign) && happened(call))
            .map(|call| (call.id, call.client))
            .collect();
        for (id, client) in orphans {
            if let Some(row) = client.and_then(|client| self.clients.get_mut(&client)) {
                row.calls.remove(&id);
            }
            self.change(id, |row| {
                let call = &mut row.call;
                (call.client, call.campaign, call.sample) = (None, None, None);
            });
        }
    }

    /// Drops what is left of a campaign's calls: test calls that never began.
    fn drop_calls(&mut self, campaign: CampaignId) {
        let of_campaign = self.calls.values().filter(|row| row.call.campaign == Some(campaign));
        let left: Vec<CallId> = of_campaign.map(|row| row.call.id).collect();
        for id in left {
            self.dequeue(id);
            self.change(id, |row| row.call.retired = None);
            self.calls.remove(&id);
        }
    }

    /// Removes a client of whom no call began, as if it had never been there.
    fn remove_client(&mut self, id: ClientId) {
        let Some(row) = self.clients.remove(&id) else { return };
        let client = row.client;
        for call in row.calls {
            if is_waiting(&self.calls[&call].call) {
                self.dequeue(call);
            }
            // It ended without a dial, and no counter may remember it.
            self.change(call, |row| row.call.retired = None);
            self.calls.remove(&call);
            self.erased_calls.remove(&call);
        }
        if let Some(phone) = client.phone {
            self.by_number.remove(&(phone, client.campaign, id));
        }
        if let Some(external_id) = client.external_id {
            self.by_external_id.remove(&(client.campaign, external_id));
        }
        if let Some(campaign) = self.campaigns.get_mut(&client.campaign) {
            if let Some(count) = campaign.clients.get_mut(&client.standing.status) {
                *count -= 1;
            }
            campaign.clients.retain(|_, count| *count > 0);
        }
    }
}

/// Whether a call began, or came in.
fn happened(call: &Call) -> bool {
    call.begun_at.is_some() || call.direction == Direction::Inbound
}

fn known(client: &Client) -> Option<Known> {
    // Nobody is the duplicate of somebody who was erased.
    let phone = client.phone?;
    Some(Known {
        client: client.id,
        line: client.line,
        phone,
        name: client.name.clone(),
        external_id: client.external_id.clone(),
    })
}

fn note_of(by: By<'_>, text: String) -> Note {
    Note { text, by: by.actor.clone(), at: by.now }
}
