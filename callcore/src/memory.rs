//! The reference [`Store`](crate::port::Store): everything in memory, one lock, nothing survives the process.
//!
//! It is written to be read: every clause of the ports is met in the plainest way, and other
//! stores are compared with it.

mod access;
mod account;
mod calls;
mod campaigns;
mod clients;
mod dispatch;
mod dnc;
mod guard;
mod hang_ups;
mod imports;
mod media;
mod numbers;
mod outbox;
mod privacy;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use guard::Guard;
use serde_json::Value;

use crate::actor::Actor;
use crate::analytics::Totals;
use crate::audio::Audio;
use crate::call::{Call, CallEvent, CancelReason, Direction, Intent, Retired, Retirement};
use crate::campaign::{Campaign, RunState, Settings};
use crate::client::{Client, ClientStatus, Note};
use crate::dnc::{DncEntry, DncScope};
use crate::engine::{
    AccountFacts, CallBrief, Case, Facts, Lease, Outlook, Person, PlannedCall, Tally, outlook,
};
use crate::id::{
    AudioId, AuditId, CallId, CampaignId, ClientId, ImportId, MailId, NoticeId, TokenId, UserId,
};
use crate::import::Reject;
use crate::phone::PhoneNumber;
use crate::port::{
    AuditRow, By, CallView, CampaignProgress, CampaignView, ClientView, DncImport, Effect, Import,
    Invitation, Notice, NoticeKind, Refused, SavedReply, Token, User,
};
use crate::script::Script;
use crate::time::SeededEntropy;
use crate::zones::number_zones;

/// A store in memory.
///
/// ```
/// use callcore::memory::MemoryStore;
/// use callcore::port::Store;
/// let store: std::sync::Arc<dyn Store> = std::sync::Arc::new(MemoryStore::default());
/// ```
pub struct MemoryStore(Mutex<State>);

impl fmt::Debug for MemoryStore {
    /// Leaves the rows out: names and numbers don't belong in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self(Mutex::new(State::new()))
    }
}

impl MemoryStore {
    fn lock(&self) -> Guard<'_> {
        Guard(self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[derive(Debug)]
struct State {
    entropy: SeededEntropy,
    latest: Option<DateTime<Utc>>,
    facts: BTreeMap<String, String>,
    account: account::AccountRow,
    campaigns: BTreeMap<CampaignId, CampaignRow>,
    imports: BTreeMap<ImportId, Import>,
    clients: BTreeMap<ClientId, ClientRow>,
    by_number: BTreeSet<(PhoneNumber, CampaignId, ClientId)>,
    by_external_id: BTreeMap<(CampaignId, String), ClientId>,
    /// Refused rows, by their place.
    rejects: BTreeMap<(ImportId, u64), Reject>,
    calls: BTreeMap<CallId, CallRow>,
    /// What people wrote down about calls. A retry that is withdrawn and planned again has the
    /// same id, and what was written about it.
    notes: BTreeMap<CallId, Vec<Note>>,
    inbound: BTreeMap<String, CallId>,
    /// Every dial to a number, over all campaigns.
    dials: BTreeMap<PhoneNumber, BTreeSet<(DateTime<Utc>, CallId)>>,
    live: BTreeSet<CallId>,
    live_numbers: BTreeMap<PhoneNumber, BTreeSet<CallId>>,
    /// Live calls that came in: nobody is dialled who is on the line.
    callers: BTreeMap<PhoneNumber, BTreeSet<CallId>>,
    ended: BTreeSet<(DateTime<Utc>, CallId)>,
    dnc: BTreeMap<(PhoneNumber, DncScope), DncEntry>,
    audio: BTreeMap<AudioId, (Audio, Vec<u8>)>,
    dnc_imports: BTreeMap<ImportId, DncImport>,
    /// Calls whose words were erased: what comes late is dropped.
    erased_calls: BTreeMap<CallId, ErasedCall>,
    /// Live calls that are to be hung up.
    hang_ups: BTreeMap<CallId, hang_ups::HangUp>,
    /// Recordings the carrier has to delete, how often it was asked, and when it is next.
    deletions: BTreeMap<String, (u32, DateTime<Utc>)>,
    tallies: BTreeMap<(CampaignId, DateTime<Utc>, crate::call::Outcome), (u64, u64)>,
    audit: Vec<AuditRow>,
    notices: Vec<Notice>,
    mails: BTreeMap<MailId, outbox::MailRow>,
    /// The mail that tells of a notice.
    noticed: BTreeMap<NoticeId, MailId>,
    /// Mails sent, by day.
    sent: BTreeMap<chrono::NaiveDate, u64>,
    replies: BTreeMap<(String, String), Saved>,
    users: BTreeMap<UserId, User>,
    links: BTreeMap<[u8; 32], (UserId, DateTime<Utc>)>,
    invitations: BTreeMap<UserId, Invitation>,
    sessions: BTreeMap<[u8; 32], (UserId, DateTime<Utc>)>,
    tokens: BTreeMap<TokenId, TokenRow>,
    /// Counts changes, and looks that might have been some.
    version: u64,
    places: u64,
    /// Counts claims, of all calls together: a retry that is withdrawn and planned again has the
    /// same id, and whoever claimed it in its first life must have lost it.
    claims: u64,
}

#[derive(Debug)]
struct CampaignRow {
    campaign: Campaign,
    versions: BTreeMap<u32, Arc<Settings>>,
    next_dial_at: DateTime<Utc>,
    /// The epoch of the planned call that was claimed last: whoever's is lowest is next.
    turn: u64,
    /// Dials that ended since count for the breaker.
    counted_from: DateTime<Utc>,
    clients: BTreeMap<ClientStatus, u64>,
    totals: Totals,
    due: BTreeSet<DueKey>,
    leased: BTreeSet<CallId>,
    /// Calls begun and not ended, the oldest first.
    live: BTreeSet<(DateTime<Utc>, CallId)>,
}

/// A call whose words were erased.
#[derive(Debug, Clone, Copy)]
struct ErasedCall {
    /// Whether its number goes too, once it has ended.
    number: bool,
    /// The number that was dialled, and when: what caps look back to.
    dialled: Option<(PhoneNumber, DateTime<Utc>)>,
}

#[derive(Debug)]
struct TokenRow {
    token: Token,
    secret: [u8; 32],
    /// The user it belongs to; none if no user made it.
    owner: Option<UserId>,
}

/// An answer, when it was given on the wall clock, and the hash of the body it answered.
type Saved = (DateTime<Utc>, [u8; 32], SavedReply);

/// The queue's order within a campaign: a person's wish, due time, id.
type DueKey = (bool, DateTime<Utc>, CallId);

#[derive(Debug)]
struct ClientRow {
    client: Client,
    place: u64,
    /// The import that brought it; another one may have updated it since.
    added_in: ImportId,
    calls: BTreeSet<CallId>,
}

#[derive(Debug)]
struct CallRow {
    call: Call,
    events: BTreeSet<CallEvent>,
    epoch: u64,
    /// Until when, on the wall clock, a worker holds it.
    lease_until: Option<DateTime<Utc>>,
    looks: u32,
    look_at: DateTime<Utc>,
}

impl State {
    fn new() -> Self {
        Self {
            entropy: SeededEntropy::new(0),
            latest: None,
            facts: BTreeMap::new(),
            account: account::AccountRow::new(),
            campaigns: BTreeMap::new(),
            imports: BTreeMap::new(),
            clients: BTreeMap::new(),
            by_number: BTreeSet::new(),
            by_external_id: BTreeMap::new(),
            rejects: BTreeMap::new(),
            calls: BTreeMap::new(),
            notes: BTreeMap::new(),
            inbound: BTreeMap::new(),
            dials: BTreeMap::new(),
            live: BTreeSet::new(),
            live_numbers: BTreeMap::new(),
            callers: BTreeMap::new(),
            ended: BTreeSet::new(),
            dnc: BTreeMap::new(),
            audio: BTreeMap::new(),
            dnc_imports: BTreeMap::new(),
            erased_calls: BTreeMap::new(),
            hang_ups: BTreeMap::new(),
            deletions: BTreeMap::new(),
            tallies: BTreeMap::new(),
            audit: Vec::new(),
            notices: Vec::new(),
            mails: BTreeMap::new(),
            noticed: BTreeMap::new(),
            sent: BTreeMap::new(),
            replies: BTreeMap::new(),
            users: BTreeMap::new(),
            links: BTreeMap::new(),
            invitations: BTreeMap::new(),
            sessions: BTreeMap::new(),
            tokens: BTreeMap::new(),
            version: 0,
            places: 0,
            claims: 0,
        }
    }

    /// Begins a mutation: nothing may happen twice under one idempotency key.
    fn enter(&mut self, by: By<'_>) -> Result<(), Refused> {
        if let Some(record) = by.idempotency {
            let key = (record.scope.clone(), record.key.clone());
            let day = chrono::TimeDelta::hours(24);
            if self.replies.get(&key).is_some_and(|(wall, ..)| record.wall - *wall < day) {
                return Err(Refused::InProgress);
            }
        }
        Ok(())
    }

    /// Notes the instant of a change.
    fn at(&mut self, now: DateTime<Utc>) {
        self.latest = self.latest.max(Some(now));
    }

    /// Ends a mutation: its audit row and its saved answer.
    fn leave(&mut self, by: By<'_>, effect: &Effect) {
        self.at(by.now);
        if let Some(record) = by.idempotency {
            let key = (record.scope.clone(), record.key.clone());
            let reply = (record.reply)(effect);
            self.replies.insert(key, (record.wall, record.body_hash, reply));
        }
    }

    fn write_audit(
        &mut self,
        by: By<'_>,
        action: &str,
        object: impl ToString,
        old: Option<Value>,
        new: Option<Value>,
    ) {
        if matches!(by.actor, Actor::User(_) | Actor::Token(_)) {
            self.audit.push(AuditRow {
                id: AuditId::new(by.now, &self.entropy),
                actor: by.actor.clone(),
                at: by.now,
                action: action.to_owned(),
                object: object.to_string(),
                old,
                new,
            });
        }
    }

    fn notify(&mut self, at: DateTime<Utc>, kind: NoticeKind) {
        if !self.notices.iter().any(|notice| notice.kind == kind) {
            let id = NoticeId::new(at, &self.entropy);
            self.notices.push(Notice { id, at, kind });
        }
    }

    fn campaign_row(&self, id: CampaignId) -> Result<&CampaignRow, Refused> {
        self.campaigns.get(&id).ok_or(Refused::NotFound)
    }

    fn campaign_view(&self, id: CampaignId) -> Option<CampaignView> {
        let row = self.campaigns.get(&id)?;
        Some(CampaignView {
            campaign: row.campaign.clone(),
            progress: CampaignProgress {
                clients: row.clients.clone(),
                totals: row.totals.clone(),
                live: row.live.iter().filter(|(_, id)| !self.calls[id].call.is_test()).count()
                    as u64,
            },
        })
    }

    fn client_view(&self, row: &ClientRow) -> ClientView {
        let client = row.client.clone();
        ClientView { on_dnc: self.covers(&client), client }
    }

    fn call_view(&self, id: CallId) -> Option<CallView> {
        let notes = self.notes.get(&id).cloned().unwrap_or_default();
        let call = Call { notes, ..self.calls.get(&id)?.call.clone() };
        let client = call.client.and_then(|id| self.clients.get(&id)).map(|row| &row.client);
        let campaign = call.campaign.and_then(|id| self.campaigns.get(&id));
        Some(CallView {
            campaign_name: campaign.map(|row| row.campaign.settings.name.clone()),
            client_name: client.map(|client| client.name.clone()),
            tags: client.map(|client| client.tags.clone()).unwrap_or_default(),
            client_zones: client.map(|client| client.zones.clone()).unwrap_or_default(),
            call,
        })
    }

    /// Whether a DNC entry covers a client's number, or did when it was erased.
    fn covers(&self, client: &Client) -> bool {
        client.erased.map_or_else(
            || client.phone.is_some_and(|phone| self.on_dnc(phone, client.campaign).is_some()),
            |erased| erased.on_dnc,
        )
    }

    fn on_dnc(&self, phone: PhoneNumber, campaign: CampaignId) -> Option<DncScope> {
        [DncScope::Global, DncScope::Campaign(campaign)]
            .into_iter()
            .find(|scope| self.dnc.contains_key(&(phone, *scope)))
    }

    fn number_live(&self, phone: PhoneNumber) -> bool {
        let live = [self.live_numbers.get(&phone), self.callers.get(&phone)];
        live.into_iter().flatten().any(|calls| !calls.is_empty())
    }

    fn number_dials(&self, phone: PhoneNumber) -> Vec<DateTime<Utc>> {
        self.dials.get(&phone).into_iter().flatten().map(|(at, _)| *at).collect()
    }

    fn facts_of(
        &self,
        row: &CallRow,
        account: &Arc<AccountFacts>,
        now: DateTime<Utc>,
    ) -> Option<Facts> {
        self.facts_about(&row.call, Lease { epoch: row.epoch }, account, now)
    }

    fn facts_about(
        &self,
        call: &Call,
        lease: Lease,
        account: &Arc<AccountFacts>,
        now: DateTime<Utc>,
    ) -> Option<Facts> {
        let (campaign, phone) = (call.campaign?, call.phone?);
        let campaign_row = self.campaigns.get(&campaign)?;
        let client = call.client.and_then(|client| self.clients.get(&client)).map(|it| &it.client);
        if client.is_none() && !call.is_test() {
            return None;
        }
        let settings = &campaign_row.campaign.settings;
        let audio = settings
            .audio()
            .filter_map(|(_, id)| self.audio.get(&id).map(|(audio, _)| (id, audio.name.clone())));
        let whose = call.client.or(call.sample).and_then(|client| self.clients.get(&client));
        Some(Facts {
            call: call.id,
            campaign,
            client: call.client,
            phone,
            attempt: call.attempt,
            intent: call.intent,
            due_at: call.due_at,
            lease,
            run_state: campaign_row.campaign.state,
            settings_version: campaign_row.campaign.settings_version,
            settings: settings.clone(),
            zones: client.map_or_else(|| number_zones(phone), |client| client.zones.clone()),
            active: client.is_none_or(|client| client.active),
            consent: client.is_some_and(|client| client.consent.is_some()),
            dnc: self.on_dnc(phone, campaign),
            number_live: self.number_live(phone),
            number_dials: self.number_dials(phone),
            number_ends: self.number_ends(phone, &campaign_row.campaign.settings),
            campaign_day: self.campaign_day(campaign, now),
            account: account.clone(),
            client_dials: client.map_or(0, |client| client.standing.attempts),
            person: whose.map(|row| self.person(&row.client)).unwrap_or_default(),
            audio: audio.collect(),
        })
    }

    /// What a script's places are filled from.
    fn person(&self, client: &Client) -> Person {
        let columns = self.imports.get(&client.import).map(|import| &import.columns[..]);
        let columns = columns.unwrap_or_default().iter().cloned();
        Person {
            name: client.name.clone(),
            email: client.email.clone(),
            external_id: client.external_id.clone(),
            columns: columns.zip(client.fields.clone()).collect(),
        }
    }

    /// Test calls that wait, claimed or not.
    fn waiting_tests(&self, wanted: impl Fn(&Call) -> bool) -> Vec<CallId> {
        let of = |row: &CampaignRow| -> Vec<CallId> {
            // Wishes come first in the queue.
            let wishes = row.due.iter().take_while(|(plan, ..)| !plan).map(|(.., id)| *id);
            wishes.chain(row.leased.iter().copied()).collect()
        };
        let waiting = self.campaigns.values().flat_map(of);
        let test = |id: &CallId| self.calls[id].call.is_test() && wanted(&self.calls[id].call);
        waiting.filter(test).collect()
    }

    /// Puts a new call into the queue.
    fn schedule(&mut self, call: Call) {
        let id = call.id;
        if let Some(client) = call.client.and_then(|id| self.clients.get_mut(&id)) {
            client.calls.insert(id);
        }
        self.calls.insert(
            id,
            CallRow {
                call,
                events: BTreeSet::new(),
                epoch: 0,
                lease_until: None,
                looks: 0,
                look_at: DateTime::UNIX_EPOCH,
            },
        );
        self.enqueue(id);
    }

    fn enqueue(&mut self, id: CallId) {
        let Some(row) = self.calls.get_mut(&id) else { return };
        row.call.claimed = false;
        row.lease_until = None;
        let key = due_key(&row.call);
        if let Some(campaign) = row.call.campaign.and_then(|id| self.campaigns.get_mut(&id)) {
            campaign.leased.remove(&id);
            campaign.due.insert(key);
        }
    }

    /// Takes a call out of the queue, claimed or not.
    fn dequeue(&mut self, id: CallId) {
        let Some(row) = self.calls.get_mut(&id) else { return };
        row.call.claimed = false;
        row.lease_until = None;
        let key = due_key(&row.call);
        if let Some(campaign) = row.call.campaign.and_then(|id| self.campaigns.get_mut(&id)) {
            campaign.leased.remove(&id);
            campaign.due.remove(&key);
        }
    }

    /// Changes a call and moves every counter that follows from it.
    fn change(&mut self, id: CallId, change: impl FnOnce(&mut CallRow)) {
        let Some(row) = self.calls.get_mut(&id) else { return };
        let (tally, ended, live) = (Tally::of(&row.call), row.call.ended_at(), row.call.is_live());
        let begun_at = row.call.begun_at;
        change(row);
        let begun_at = begun_at.or(row.call.begun_at);
        let (new_tally, new_ended) = (Tally::of(&row.call), row.call.ended_at());
        let (campaign, phone) = (row.call.campaign, row.call.phone);
        if new_ended.is_some() && self.erased_calls.get(&id).is_some_and(|erased| erased.number) {
            // While it was live, it kept others from dialling the number.
            (row.call.phone, row.call.zone) = (None, None);
        }
        let outbound = row.call.direction == Direction::Outbound;
        let now_live = row.call.is_live();
        if ended != new_ended {
            if let Some(at) = ended {
                self.ended.remove(&(at, id));
            }
            if let Some(at) = new_ended {
                self.ended.insert((at, id));
            }
        }
        if !now_live {
            self.hang_ups.remove(&id);
        }
        if live != now_live {
            let numbers = if outbound { &mut self.live_numbers } else { &mut self.callers };
            let numbers = phone.map(|phone| numbers.entry(phone).or_default());
            for set in [Some(&mut self.live), numbers].into_iter().flatten() {
                if now_live {
                    set.insert(id)
                } else {
                    set.remove(&id)
                };
            }
            // Somebody who calls in takes no slot.
            let campaign = campaign.filter(|_| outbound).and_then(|id| self.campaigns.get_mut(&id));
            if let (Some(row), Some(at)) = (campaign, begun_at) {
                if now_live {
                    row.live.insert((at, id))
                } else {
                    row.live.remove(&(at, id))
                };
            }
        }
        if tally != new_tally
            && let Some(campaign) = campaign
        {
            self.count(campaign, tally, new_tally);
        }
    }

    fn count(&mut self, campaign: CampaignId, old: Option<Tally>, new: Option<Tally>) {
        let Some(row) = self.campaigns.get_mut(&campaign) else { return };
        if let Some(tally) = old {
            let cell = self.tallies.entry((campaign, tally.quarter, tally.outcome)).or_default();
            *cell = (cell.0 - 1, cell.1 - u64::from(tally.talk_seconds));
            if *cell == (0, 0) {
                self.tallies.remove(&(campaign, tally.quarter, tally.outcome));
            }
            if let Some(calls) = row.totals.outcomes.get_mut(&tally.outcome) {
                *calls -= 1;
                if *calls == 0 {
                    row.totals.outcomes.remove(&tally.outcome);
                }
            }
            row.totals.talk_seconds -= u64::from(tally.talk_seconds);
        }
        if let Some(tally) = new {
            let cell = self.tallies.entry((campaign, tally.quarter, tally.outcome)).or_default();
            *cell = (cell.0 + 1, cell.1 + u64::from(tally.talk_seconds));
            row.totals.add(tally.outcome, 1, u64::from(tally.talk_seconds));
        }
    }

    /// Ends a scheduled call without a dial.
    fn retire(&mut self, id: CallId, at: DateTime<Utc>, by: &Actor, how: Retirement) {
        self.dequeue(id);
        self.change(id, |row| row.call.retired = Some(Retired { at, by: by.clone(), how }));
    }

    /// Brings a client's standing up to date after any change to its calls, and what follows: the
    /// retry that is owed or no longer owed, and the campaign's end.
    fn follow_up(&mut self, client: ClientId, now: DateTime<Utc>) {
        let Some(outlook) = self.outlook(client) else { return };
        if let Some(id) = outlook.withdraw {
            self.dequeue(id);
            self.calls.remove(&id);
            if let Some(row) = self.clients.get_mut(&client) {
                row.calls.remove(&id);
            }
        }
        if let Some(planned) = outlook.plan {
            self.plan(client, planned);
        }
        let Some(row) = self.clients.get_mut(&client) else { return };
        let (old, new) = (row.client.standing.status, outlook.standing.status);
        row.client.standing = outlook.standing;
        let campaign = row.client.campaign;
        self.move_client(campaign, Some(old), new);
        if !new.is_final() {
            self.reopen(campaign);
        }
        self.check_finished(campaign, now);
    }

    /// The script that a call ran under.
    fn script_of(&self, id: CallId) -> Script {
        let call = self.calls.get(&id).map(|row| &row.call);
        let versions = call.and_then(|call| self.campaigns.get(&call.campaign?));
        let settings = call
            .zip(versions)
            .and_then(|(call, campaign)| campaign.versions.get(&call.settings_version));
        let script =
            settings.zip(call).and_then(|(settings, call)| settings.script_of(call.direction));
        script.cloned().unwrap_or_default()
    }

    fn outlook(&self, client: ClientId) -> Option<Outlook> {
        self.case(client, |_, case| outlook(case))
    }

    /// Asks the core about a client and all its calls.
    fn case<T>(&self, client: ClientId, ask: impl FnOnce(&Client, &Case<'_>) -> T) -> Option<T> {
        let row = self.clients.get(&client)?;
        let campaign = &self.campaigns.get(&row.client.campaign)?.campaign;
        let calls: Vec<CallBrief> = row
            .calls
            .iter()
            .filter_map(|id| self.calls.get(id))
            .filter_map(|row| CallBrief::of(&row.call))
            .collect();
        let case = Case {
            calls: &calls,
            zones: &row.client.zones,
            active: row.client.active,
            erased: row.client.erased.is_some(),
            on_dnc: self.covers(&row.client),
            run_state: campaign.state,
            settings: &campaign.settings,
        };
        Some(ask(&row.client, &case))
    }

    fn plan(&mut self, client: ClientId, planned: PlannedCall) {
        let Some(row) = self.clients.get(&client) else { return };
        let call = Call {
            retry_of: Some(planned.retry_of),
            ..call_to(&row.client, planned.id, planned.attempt, planned.due_at)
        };
        self.schedule(call);
    }

    /// A finished campaign that has somebody to call runs again.
    fn reopen(&mut self, campaign: CampaignId) {
        if let Some(row) = self.campaigns.get_mut(&campaign)
            && row.campaign.state == RunState::Finished
        {
            row.campaign.state = RunState::Running;
            row.campaign.ended_at = None;
        }
    }

    fn move_client(&mut self, campaign: CampaignId, old: Option<ClientStatus>, new: ClientStatus) {
        let Some(row) = self.campaigns.get_mut(&campaign) else { return };
        if let Some(count) = old.and_then(|old| row.clients.get_mut(&old)) {
            *count -= 1;
        }
        *row.clients.entry(new).or_default() += 1;
        row.clients.retain(|_, count| *count > 0);
    }

    fn check_finished(&mut self, campaign: CampaignId, now: DateTime<Utc>) {
        let Some(row) = self.campaigns.get_mut(&campaign) else { return };
        let all_final = row.clients.keys().all(|status| status.is_final());
        if row.campaign.state == RunState::Running && all_final && !row.clients.is_empty() {
            row.campaign.state = RunState::Finished;
            row.campaign.ended_at = Some(now);
            self.notify(now, NoticeKind::CampaignFinished(campaign));
        }
    }

    /// The clients with a number, by campaign.
    fn of_number(
        &self,
        phone: PhoneNumber,
    ) -> impl Iterator<Item = (CampaignId, ClientId)> + use<'_> {
        let nobody = uuid::Uuid::nil();
        let first = (phone, CampaignId::from_uuid(nobody), ClientId::from_uuid(nobody));
        let rows = self.by_number.range(first..).take_while(move |(number, ..)| *number == phone);
        rows.map(|(_, campaign, client)| (*campaign, *client))
    }

    /// Cancels every scheduled call to a number in a scope.
    fn cancel_number(
        &mut self,
        phone: PhoneNumber,
        scope: DncScope,
        at: DateTime<Utc>,
        by: &Actor,
        reason: CancelReason,
    ) -> Vec<CallId> {
        let clients: Vec<ClientId> = self
            .of_number(phone)
            .filter(|(campaign, _)| scope.covers(*campaign))
            .map(|(_, client)| client)
            .collect();
        let mut canceled = Vec::new();
        for client in clients {
            let scheduled: Vec<CallId> = self.clients[&client]
                .calls
                .iter()
                .copied()
                .filter(|id| is_waiting(&self.calls[id].call))
                .collect();
            for id in scheduled {
                self.retire(id, at, by, Retirement::Canceled(reason));
                canceled.push(id);
            }
            self.follow_up(client, at);
        }
        canceled.extend(self.retire_tests(phone, scope, at, by, reason));
        canceled
    }

    /// Cancels every test call to a number in a scope that waits.
    fn retire_tests(
        &mut self,
        phone: PhoneNumber,
        scope: DncScope,
        at: DateTime<Utc>,
        by: &Actor,
        reason: CancelReason,
    ) -> Vec<CallId> {
        let mut tests = self.waiting_tests(|call| {
            call.phone == Some(phone) && call.campaign.is_some_and(|id| scope.covers(id))
        });
        tests.sort_unstable();
        for id in &tests {
            self.retire(*id, at, by, Retirement::Canceled(reason));
        }
        tests
    }
}

fn due_key(call: &Call) -> DueKey {
    (!call.intent.is_wish(), call.due_at, call.id)
}

/// Whether a call waits in the queue, claimed or not.
fn is_waiting(call: &Call) -> bool {
    call.direction == Direction::Outbound && call.begun_at.is_none() && call.retired.is_none()
}

/// A call to a client; its intent is the plan's unless whoever schedules it says otherwise.
fn call_to(client: &Client, id: CallId, attempt: u32, due_at: DateTime<Utc>) -> Call {
    Call {
        campaign: Some(client.campaign),
        client: Some(client.id),
        direction: Direction::Outbound,
        attempt,
        by: Actor::System,
        intent: Intent::Plan,
        ..Call::inbound(id, client.phone, due_at)
    }
}

/// Whether a name or number matches a search: under 3 characters by its beginning, else by any
/// part.
fn matches(q: &str, name: &str, phone: Option<PhoneNumber>) -> bool {
    let q = q.trim().to_lowercase();
    let name = name.to_lowercase();
    let digits: String = q.chars().filter(char::is_ascii_digit).collect();
    let is_number =
        !digits.is_empty() && q.chars().all(|c| c.is_ascii_digit() || "+-(). ".contains(c));
    let number = phone.map(|phone| phone.digits().to_string()).unwrap_or_default();
    if q.chars().count() < 3 {
        name.starts_with(&q) || (is_number && number.starts_with(&digits))
    } else {
        name.contains(&q) || (is_number && number.contains(&digits))
    }
}
