//! The quick way to campaigns, clients and live calls: fictional numbers, hours that are always
//! open, and a clock that stands still until it is moved.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::account::AccountSettings;
use crate::actor::Actor;
use crate::call::{AnsweredBy, Ending, EventKind, Report};
use crate::campaign::{Settings, Transition};
use crate::client::ClientStatus;
use crate::dnc::{DncEntry, DncScope, DncSource};
use crate::engine::{BeginRefusal, Command, Facts, Permit, decide};
use crate::id::{CallId, CampaignId, ClientId, ImportId};
use crate::import::DuplicatePolicy;
use crate::phone::PhoneNumber;
use crate::port::{
    ActError, Added, BeginImport, By, CallQuery, CallView, CampaignView, ClaimRequest, ClientView,
    NewCall, NewCampaign, NewClient, Recorded, Refusals, Refused, Store,
};
use crate::time::{Clock, Entropy, ManualClock, SeededEntropy};

/// How long the claims of a [`Scene`] hold.
pub const LEASE: TimeDelta = TimeDelta::seconds(60);

const AREAS: [u64; 24] = [
    212, 213, 303, 305, 312, 404, 415, 503, 512, 602, 612, 617, 702, 713, 718, 202, 206, 214, 215,
    314, 510, 513, 615, 816,
];

/// The `n`-th fictional number: 555-0100 to 555-0199 in each of 24 areas.
///
/// # Panics
///
/// There are 2,400 of them.
#[must_use]
pub fn number(n: u64) -> PhoneNumber {
    let area = AREAS[usize::try_from(n / 100).expect("a small number")];
    PhoneNumber::from_digits(10_000_000_000 + area * 10_000_000 + 5_550_100 + n % 100)
        .expect("eleven digits")
}

/// The monday on which every [`Scene`] begins.
#[must_use]
pub fn monday() -> DateTime<Utc> {
    DateTime::from_timestamp(1_772_463_600, 0).expect("within chrono's range")
}

/// A settings document that is open around the clock in UTC and calls fast; `changes` replace its
/// fields.
#[must_use]
pub fn document(changes: &Value) -> Value {
    let day = json!([["00:00", "24:00"]]);
    let mut document = json!({
        "name": "Renewals",
        "hours": {
            "mon": day, "tue": day, "wed": day, "thu": day, "fri": day, "sat": day, "sun": day
        },
        "zone_policy": "campaign",
        "pacing": {"max_concurrent": 100, "calls_per_second": 1000},
        "script": {
            "steps": [{"say": "Hello {{name}}."}],
            "keys": {"1": {"tag": "confirmed"}, "9": "opt_out"}
        },
    });
    if let (Some(fields), Some(changes)) = (document.as_object_mut(), changes.as_object()) {
        fields.extend(changes.clone());
    }
    document
}

/// The settings of [`document`].
///
/// # Panics
///
/// The changes make no valid document.
#[must_use]
pub fn settings(changes: &Value) -> Arc<Settings> {
    Arc::new(Settings::from_json(&document(changes)).expect("valid settings"))
}

/// A person who does things in tests.
#[must_use]
pub fn person() -> Actor {
    Actor::User("operator".to_owned())
}

/// A client that was added, with its first call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed {
    /// The client.
    pub client: ClientId,
    /// Its first call.
    pub call: CallId,
    /// Its number.
    pub phone: PhoneNumber,
}

/// A store, a clock and the ids of one seed. Its methods panic where a store errs, because a test
/// can't go on from there.
pub struct Scene<'a> {
    /// The store under test.
    pub store: &'a dyn Store,
    clock: ManualClock,
    wall: ManualClock,
    entropy: SeededEntropy,
    numbers: AtomicU64,
}

impl fmt::Debug for Scene<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scene").field("now", &self.now()).finish_non_exhaustive()
    }
}

/// The system, which writes no audit rows.
pub static SYSTEM: Actor = Actor::System;

impl<'a> Scene<'a> {
    /// A scene over a fresh store.
    #[must_use]
    pub fn new(store: &'a dyn Store) -> Self {
        Self {
            store,
            clock: ManualClock::new(monday()),
            wall: ManualClock::new(monday()),
            entropy: SeededEntropy::new(1),
            numbers: AtomicU64::new(0),
        }
    }

    /// The instant it is.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// The instant it is on the wall clock.
    pub fn wall(&self) -> DateTime<Utc> {
        self.wall.now()
    }

    /// Moves both clocks.
    pub fn advance(&self, by: TimeDelta) {
        self.clock.advance(by);
        self.wall.advance(by);
    }

    /// Moves the wall clock only.
    pub fn advance_wall(&self, by: TimeDelta) {
        self.wall.advance(by);
    }

    /// The system, now.
    pub fn by(&self) -> By<'static> {
        By::new(&SYSTEM, self.now())
    }

    /// Where ids come from.
    pub fn entropy(&self) -> &dyn Entropy {
        &self.entropy
    }

    /// A number nobody has yet.
    pub fn number(&self) -> PhoneNumber {
        number(self.numbers.fetch_add(1, Ordering::Relaxed))
    }

    /// A call to be scheduled.
    pub fn new_call(&self, due_at: DateTime<Utc>) -> NewCall {
        NewCall { id: CallId::new(self.now(), &self.entropy), due_at }
    }

    /// A client to be added, due now.
    pub fn new_client(&self, phone: PhoneNumber, line: u64) -> NewClient {
        NewClient {
            id: ClientId::new(self.now(), &self.entropy),
            call: CallId::new(self.now(), &self.entropy),
            due_at: self.now(),
            line,
            phone,
            name: format!("Client {line}"),
            external_id: None,
            email: None,
            zones: Vec::new(),
            fields: vec![format!("Client {line}"), phone.to_string()],
            tags: BTreeSet::new(),
            note: None,
            consent: None,
            says_consent: true,
            person_key: None,
            debt_key: None,
        }
    }

    /// A draft.
    pub async fn draft(&self, changes: Value) -> CampaignId {
        let id = CampaignId::new(self.now(), &self.entropy);
        let new = NewCampaign { id, settings: settings(&changes) };
        self.store.create_campaign(self.by(), new).await.expect("a draft is created");
        id
    }

    /// An import that runs.
    pub async fn begin_import(&self, campaign: CampaignId) -> ImportId {
        let id = ImportId::new(self.now(), &self.entropy);
        let new = BeginImport {
            id,
            campaign,
            file_name: "clients.csv".to_owned(),
            columns: vec!["Name".to_owned(), "Phone".to_owned()],
            duplicates: DuplicatePolicy::default(),
        };
        self.store.begin_import(self.by(), new).await.expect("an import begins").id
    }

    /// Adds clients of the given numbers, on lines 2 and following.
    pub async fn import(&self, campaign: CampaignId, phones: &[PhoneNumber]) -> Vec<Seed> {
        let import = self.begin_import(campaign).await;
        let clients: Vec<NewClient> =
            phones.iter().zip(2..).map(|(phone, line)| self.new_client(*phone, line)).collect();
        let added = self.store.add_clients(self.by(), import, &clients).await.expect("added");
        assert_eq!(added.len(), clients.len(), "one answer for each client");
        let taken = clients.iter().zip(added);
        taken
            .filter(|(_, added)| matches!(added, Added::Accepted { .. }))
            .map(|(new, _)| Seed { client: new.id, call: new.call, phone: new.phone })
            .collect()
    }

    /// A running campaign with so many clients of new numbers.
    pub async fn running(&self, changes: Value, clients: usize) -> (CampaignId, Vec<Seed>) {
        let phones: Vec<PhoneNumber> = (0..clients).map(|_| self.number()).collect();
        self.running_with(changes, &phones).await
    }

    /// A running campaign with one client of a new number.
    pub async fn running_one(&self, changes: Value) -> (CampaignId, Seed) {
        let (campaign, seeds) = self.running(changes, 1).await;
        (campaign, seeds[0])
    }

    /// A running campaign with clients of the given numbers.
    pub async fn running_with(
        &self,
        changes: Value,
        phones: &[PhoneNumber],
    ) -> (CampaignId, Vec<Seed>) {
        let campaign = self.draft(changes).await;
        let seeds = self.import(campaign, phones).await;
        self.change(campaign, Transition::Start).await;
        (campaign, seeds)
    }

    /// Puts settings of the account in force.
    ///
    /// # Panics
    ///
    /// The document is not valid.
    pub async fn limit_account(&self, document: &Value) {
        let version = self.store.account().await.expect("read").settings_version;
        let settings = AccountSettings::from_json(document).expect("valid settings");
        let change = self.store.change_account(self.by(), version, Arc::new(settings));
        change.await.expect("the account changes");
    }

    /// Changes a campaign's run state.
    pub async fn change(&self, campaign: CampaignId, transition: Transition) -> CampaignView {
        let change = self.store.change_state(self.by(), campaign, transition);
        change.await.expect("the state changes")
    }

    /// Claims due calls.
    pub async fn claim(&self, limit: u32) -> Vec<Facts> {
        let request = ClaimRequest { now: self.now(), wall: self.wall(), lease_for: LEASE, limit };
        self.store.claim_due(request).await.expect("claimed")
    }

    /// Begins permits.
    pub async fn begin(&self, permits: &[Permit]) -> Refusals {
        let answers = self.store.begin(self.by(), self.wall(), permits).await.expect("begun");
        assert_eq!(answers.len(), permits.len(), "one answer for each permit");
        answers
    }

    /// Begins one permit.
    ///
    /// # Errors
    ///
    /// The store's own refusal.
    pub async fn begin_one(&self, permit: Permit) -> Result<(), BeginRefusal> {
        self.begin(std::slice::from_ref(&permit)).await[0]
    }

    /// Claims everything due, asks the rules and begins what they let pass; the calls that are
    /// live now.
    pub async fn dial_due(&self) -> Vec<CallId> {
        let permits: Vec<Permit> =
            self.claim(1000).await.into_iter().map(|facts| self.permit(facts)).collect();
        let calls: Vec<CallId> = permits.iter().map(Permit::call).collect();
        let answers = self.begin(&permits).await;
        calls.into_iter().zip(answers).filter(|(_, ok)| ok.is_ok()).map(|(call, _)| call).collect()
    }

    /// Waits for a client's next call and dials it.
    pub async fn dial_next(&self, client: ClientId) -> CallId {
        let view = self.client(client).await;
        let next = view.client.standing.next_call.expect("a call to come");
        self.clock.advance_to(next.due_at);
        self.wall.advance_to(next.due_at);
        let live = self.dial_due().await;
        assert!(live.contains(&next.call), "the call that was due is live: {live:?}");
        next.call
    }

    /// The permit of claimed facts.
    ///
    /// # Panics
    ///
    /// The rules don't let the call pass.
    pub fn permit(&self, facts: Facts) -> Permit {
        match decide(facts, self.now()) {
            Command::Dial(permit) => *permit,
            Command::Settle(settlement) => panic!("the rules let no call pass: {settlement:?}"),
        }
    }

    /// Records events of one call, now.
    pub async fn hear(
        &self,
        call: CallId,
        kinds: impl IntoIterator<Item = EventKind>,
    ) -> Vec<Recorded> {
        let now = self.now();
        self.record(kinds.into_iter().map(|kind| Report::ours(call, now, kind)).collect()).await
    }

    /// Records reports.
    pub async fn record(&self, reports: Vec<Report>) -> Vec<Recorded> {
        let answers = self.store.record(self.by(), &reports).await.expect("recorded");
        assert_eq!(answers.len(), reports.len(), "one answer for each report");
        answers
    }

    /// A call rings and ends in a way, 20 seconds after it began.
    pub async fn end(&self, call: CallId, ending: Ending) {
        let carrier_call_id = format!("C-{call}");
        self.hear(call, [EventKind::Placed { carrier_call_id }, EventKind::Ringing]).await;
        self.advance(TimeDelta::seconds(20));
        self.hear(call, [ended(ending, 0)]).await;
    }

    /// A call is answered by somebody or something, and over after 30 seconds of talk.
    pub async fn answer(&self, call: CallId, by: AnsweredBy) {
        let carrier_call_id = format!("C-{call}");
        self.hear(call, [EventKind::Placed { carrier_call_id }, EventKind::Answered]).await;
        self.hear(call, [EventKind::Detected { by }]).await;
        self.advance(TimeDelta::seconds(30));
        self.hear(call, [ended(Ending::Completed, 30)]).await;
    }

    /// Puts a number on the DNC list.
    pub async fn block(&self, phone: PhoneNumber, scope: DncScope) -> crate::port::DncAdded {
        self.store.add_dnc(self.by(), self.dnc_entry(phone, scope)).await.expect("blocked")
    }

    /// An entry that a person makes.
    pub fn dnc_entry(&self, phone: PhoneNumber, scope: DncScope) -> DncEntry {
        DncEntry {
            phone,
            scope,
            reason: "asked in writing".to_owned(),
            source: DncSource::Manual,
            added_by: person(),
            created_at: self.now(),
        }
    }

    /// A client.
    pub async fn client(&self, id: ClientId) -> ClientView {
        self.store.client(id).await.expect("read").expect("the client is there")
    }

    /// Where a client stands.
    pub async fn status(&self, id: ClientId) -> ClientStatus {
        self.client(id).await.client.standing.status
    }

    /// A call.
    pub async fn call(&self, id: CallId) -> CallView {
        self.store.call(id).await.expect("read").expect("the call is there")
    }

    /// A campaign.
    pub async fn campaign(&self, id: CampaignId) -> CampaignView {
        self.store.campaign(id).await.expect("read").expect("the campaign is there")
    }

    /// The history of a campaign, newest first.
    pub async fn history(&self, campaign: CampaignId) -> Vec<CallView> {
        let query = CallQuery { campaigns: vec![campaign], limit: 200, ..CallQuery::default() };
        self.store.history(&query).await.expect("read").items
    }

    /// The calls to come of a campaign.
    pub async fn upcoming(&self, campaign: CampaignId) -> Vec<CallView> {
        let query = CallQuery { campaigns: vec![campaign], limit: 200, ..CallQuery::default() };
        self.store.upcoming(&query).await.expect("read").items
    }

    /// Asserts what holds at every commit; cases end with it.
    pub async fn check(&self) {
        super::recount(self.store).await;
    }
}

/// Why a person's act was refused.
///
/// # Panics
///
/// It was not, or the store failed.
pub fn refused<T: fmt::Debug>(result: Result<T, ActError>) -> Refused {
    match result {
        Err(ActError::Refused(refused)) => refused,
        other => panic!("it is refused: {other:?}"),
    }
}

/// The end of a call.
#[must_use]
pub const fn ended(ending: Ending, talk_seconds: u32) -> EventKind {
    EventKind::Ended { ending, talk_seconds }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_valid_and_another_one() {
        let numbers: BTreeSet<PhoneNumber> = (0..2400).map(number).collect();
        assert_eq!(numbers.len(), 2400);
        for phone in numbers {
            assert_eq!(phone.to_string().parse(), Ok(phone));
        }
    }
}
