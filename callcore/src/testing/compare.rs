//! One random history, played to two stores at once.

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::fixtures::{LEASE, SYSTEM, document, ended, monday, number, person};
use super::recount;
use super::recount::{PAGE, campaigns, clients, history, pages};
use crate::actor::Actor;
use crate::call::{
    AnsweredBy, CallEvent, CallRef, Ending, EventKind, InboundRing, Report, Review, Skip,
    SkipReason,
};
use crate::campaign::{Settings, Transition};
use crate::dnc::{DncEntry, DncScope, DncSource};
use crate::engine::{Command, Facts, Permit, Settlement, decide};
use crate::id::{CallId, CampaignId, ClientId, ImportId, splitmix};
use crate::import::{Dedupe, DuplicatePolicy, OnDuplicate};
use crate::port::{
    AuditQuery, BeginImport, By, CallAct, CallOrder, CallQuery, CallSort, ClaimRequest,
    ClientChange, DncQuery, NewCall, NewCampaign, NewClient, NoticeKind, SkipThen, Store, TakeBack,
};
use crate::time::SeededEntropy;

/// How many things happen in one history.
const STEPS: u32 = 400;
/// How many numbers there are: few, so that campaigns share them.
const NUMBERS: u64 = 40;

/// Plays the history of a seed to two fresh stores and compares every answer, and now and then
/// everything they can be asked.
///
/// # Panics
///
/// They differ, or one of them fails its recount. The message has the seed and the step: the same
/// seed plays the same history again.
pub async fn compare(a: &dyn Store, b: &dyn Store, seed: u64) {
    let mut history = History::new(a, b, seed);
    for step in 0..STEPS {
        history.step = step;
        history.act().await;
        if step % 25 == 24 {
            history.compare_all().await;
        }
    }
    history.compare_all().await;
}

struct History<'a> {
    a: &'a dyn Store,
    b: &'a dyn Store,
    seed: u64,
    step: u32,
    random: u64,
    now: DateTime<Utc>,
    entropy: SeededEntropy,
    campaigns: Vec<CampaignId>,
    calls: Vec<CallId>,
    /// Permits somebody is slow to begin, one for each store.
    permits: Vec<(Permit, Permit)>,
    begun: Vec<TakeBack>,
}

impl Drop for History<'_> {
    fn drop(&mut self) {
        // A recount does not know which history it is part of.
        if std::thread::panicking() {
            eprintln!("in the history of seed {}, step {}", self.seed, self.step);
        }
    }
}

impl<'a> History<'a> {
    fn new(a: &'a dyn Store, b: &'a dyn Store, seed: u64) -> Self {
        Self {
            a,
            b,
            seed,
            step: 0,
            random: splitmix(seed),
            now: monday(),
            entropy: SeededEntropy::new(seed),
            campaigns: Vec::new(),
            calls: Vec::new(),
            permits: Vec::new(),
            begun: Vec::new(),
        }
    }

    /// A number from 0 to just under `below`.
    fn roll(&mut self, below: u64) -> u64 {
        self.random = splitmix(self.random);
        self.random % below.max(1)
    }

    fn roll_signed(&mut self, below: u64) -> i64 {
        i64::try_from(self.roll(below)).unwrap_or(0)
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        let index = self.roll(all.len() as u64);
        all.get(usize::try_from(index).unwrap_or(0)).copied()
    }

    fn same<T: PartialEq + Debug>(&self, a: T, b: T, what: &str) -> T {
        assert!(a == b, "seed {}, step {}: {what} differs\n{a:#?}\n{b:#?}", self.seed, self.step);
        a
    }

    /// Asks both stores and compares their answers, refusals included.
    async fn both<T, E, F>(&self, what: &str, ask: impl Fn(&'a dyn Store) -> F) -> Option<T>
    where
        T: Debug,
        E: Debug,
        F: Future<Output = Result<T, E>>,
    {
        let (a, b) = (ask(self.a).await, ask(self.b).await);
        self.same(format!("{a:?}"), format!("{b:?}"), what);
        a.ok()
    }

    async fn act(&mut self) {
        // Rows of one instant have no order among themselves.
        let pause = TimeDelta::milliseconds(1 + self.roll_signed(20_000));
        self.now += pause;
        if self.campaigns.is_empty() {
            return self.create().await;
        }
        match self.roll(40) {
            0 if self.campaigns.len() < 6 => self.create().await,
            1 | 2 => self.import().await,
            3..6 => self.change_state().await,
            6 => self.change_settings().await,
            7..15 => self.dial().await,
            15 => self.begin_late().await,
            16 => self.take_back().await,
            17..29 => self.hear().await,
            29 => self.ring().await,
            30 => self.block().await,
            31 => self.unblock().await,
            32..35 => self.desk().await,
            35 => self.look().await,
            _ => {
                let pause = TimeDelta::minutes(self.roll_signed(400));
                self.now += pause;
            }
        }
    }

    fn settings(&mut self) -> Arc<Settings> {
        let slots = 1 + self.roll(8);
        let changes = json!({
            "name": format!("Campaign {}", self.roll(100)),
            "priority": self.roll(3),
            "pacing": {"max_concurrent": slots, "calls_per_second": 1 + self.roll(20)},
            "caps": if self.roll(2) == 0 { json!([{"max": 2, "per": "PT24H"}]) } else { json!([]) },
            "voicemail": {"policy": if self.roll(3) == 0 { "mark_and_move_on" } else { "hang_up_and_retry" }},
        });
        Arc::new(Settings::from_json(&document(&changes)).expect("valid settings"))
    }

    async fn create(&mut self) {
        let id = CampaignId::new(self.now, &self.entropy);
        let (now, settings) = (self.now, self.settings());
        let operator = person();
        self.both("create_campaign", |store| {
            let new = NewCampaign { id, settings: settings.clone() };
            store.create_campaign(By::new(&operator, now), new)
        })
        .await;
        self.campaigns.push(id);
        self.import_into(id).await;
    }

    async fn import(&mut self) {
        if let Some(campaign) = self.pick(&self.campaigns.clone()) {
            self.import_into(campaign).await;
        }
    }

    async fn import_into(&mut self, campaign: CampaignId) {
        let (now, id) = (self.now, ImportId::new(self.now, &self.entropy));
        let duplicates = DuplicatePolicy {
            dedupe: if self.roll(2) == 0 { Dedupe::Phone } else { Dedupe::PhoneAndName },
            on_duplicate: if self.roll(2) == 0 { OnDuplicate::Skip } else { OnDuplicate::Update },
            guessed_external_ids: self.roll(2) == 0,
        };
        let begun = self.both("begin_import", |store| {
            let new = BeginImport {
                id,
                campaign,
                file_name: "clients.csv".to_owned(),
                columns: vec!["Phone".to_owned()],
                duplicates,
            };
            store.begin_import(By::new(&SYSTEM, now), new)
        });
        if begun.await.is_none() {
            return;
        }
        let count = 1 + self.roll(6);
        let clients: Vec<NewClient> = (0..count).map(|line| self.new_client(line + 2)).collect();
        self.both("add_clients", |store| store.add_clients(By::new(&SYSTEM, now), id, &clients))
            .await;
        self.calls.extend(clients.iter().map(|client| client.call));
    }

    fn new_client(&mut self, line: u64) -> NewClient {
        let phone = number(self.roll(NUMBERS));
        let wait = TimeDelta::minutes(self.roll_signed(90));
        NewClient {
            id: ClientId::new(self.now, &self.entropy),
            call: CallId::new(self.now, &self.entropy),
            due_at: self.now + wait,
            line,
            phone,
            name: format!("Person {}", self.roll(50)),
            external_id: (self.roll(3) == 0).then(|| format!("E-{}", self.roll(20))),
            email: None,
            zones: Vec::new(),
            fields: vec![phone.to_string()],
            tags: (0..self.roll(3)).map(|tag| format!("tag {tag}")).collect(),
            note: (self.roll(4) == 0).then(|| "a note".to_owned()),
            consent: None,
            says_consent: true,
            person_key: None,
            debt_key: None,
        }
    }

    async fn change_state(&mut self) {
        let Some(id) = self.pick(&self.campaigns.clone()) else { return };
        // Starting and going on outweigh the rest, so that something happens.
        let transition = match self.roll(24) {
            0 => Transition::Stop,
            1..6 => Transition::Pause,
            6..14 => Transition::Resume,
            _ => Transition::Start,
        };
        let (now, operator) = (self.now, person());
        let by = By::new(&operator, now);
        self.both("change_state", |store| store.change_state(by, id, transition)).await;
    }

    async fn change_settings(&mut self) {
        let Some(id) = self.pick(&self.campaigns.clone()) else { return };
        let (now, settings, version) = (self.now, self.settings(), 1 + self.roll(2));
        let (operator, version) = (person(), u32::try_from(version).unwrap_or(1));
        self.both("change_settings", |store| {
            store.change_settings(By::new(&operator, now), id, version, settings.clone())
        })
        .await;
    }

    async fn dial(&mut self) {
        let limit = u32::try_from(1 + self.roll(10)).unwrap_or(1);
        let request = ClaimRequest { now: self.now, wall: self.now, lease_for: LEASE, limit };
        let a = self.a.claim_due(request).await.expect("claimed");
        let b = self.b.claim_due(request).await.expect("claimed");
        let relevant = |facts: &[Facts]| -> Vec<Facts> {
            facts.iter().map(|facts| relevant(facts.clone(), self.now)).collect()
        };
        self.same(relevant(&a), relevant(&b), "claim_due");
        let (mut permits, mut settlements) = (Vec::new(), Vec::new());
        for facts in a {
            match (decide(facts.clone(), self.now), decide(facts, self.now)) {
                (Command::Dial(a), Command::Dial(b)) => match self.roll(5) {
                    // This worker is slow: the lease may be over when it goes on.
                    0 => self.permits.push((*a, *b)),
                    _ => permits.push((*a, *b)),
                },
                (Command::Settle(settlement), _) => settlements.push(settlement),
                (Command::Dial(_), Command::Settle(_)) => unreachable!("decide is a function"),
            }
        }
        self.settle(&settlements).await;
        self.begin(permits).await;
    }

    async fn settle(&self, settlements: &[Settlement]) {
        let now = self.now;
        self.both("settle", |store| store.settle(By::new(&SYSTEM, now), settlements)).await;
    }

    async fn begin(&mut self, permits: Vec<(Permit, Permit)>) {
        let (a, b): (Vec<Permit>, Vec<Permit>) = permits.into_iter().unzip();
        let by = By::new(&SYSTEM, self.now);
        let accepted = self.a.begin(by, self.now, &a).await.expect("begun");
        let others = self.b.begin(by, self.now, &b).await.expect("begun");
        let accepted = self.same(accepted, others, "begin");
        for (permit, answer) in a.iter().zip(accepted) {
            if answer.is_ok() {
                let (call, lease) = (permit.call(), permit.lease());
                self.begun.push(TakeBack { call, lease, due_at: None });
            }
        }
    }

    async fn begin_late(&mut self) {
        let permits = std::mem::take(&mut self.permits);
        self.begin(permits).await;
    }

    async fn take_back(&mut self) {
        let Some(back) = self.pick(&self.begun.clone()) else { return };
        let wait = TimeDelta::minutes(self.roll_signed(30));
        let due_at = (self.roll(2) == 0).then(|| self.now + wait);
        let (now, back) = (self.now, [TakeBack { due_at, ..back }]);
        self.both("take_back", |store| store.take_back(By::new(&SYSTEM, now), &back)).await;
    }

    async fn hear(&mut self) {
        let begun = self.begun.clone();
        // Calls that began lately are heard of most.
        let lately = begun.len().saturating_sub(6);
        let among = if self.roll(4) == 0 { &begun[..] } else { &begun[lately..] };
        let mut reports = Vec::new();
        for _ in 0..=self.roll(4) {
            let Some(back) = self.pick(among) else { return };
            let kind = self.event();
            // A carrier's clock is a little off, and news may be old.
            let at = self.now - TimeDelta::seconds(self.roll_signed(90));
            reports.push(Report::ours(back.call, at, kind));
        }
        self.record(&reports).await;
        if self.roll(5) == 0 {
            self.record(&reports).await;
        }
    }

    fn event(&mut self) -> EventKind {
        let permanent = self.roll(3) == 0;
        let failed = Ending::Failed { reason: "network".to_owned(), permanent };
        match self.roll(24) {
            0 | 1 => EventKind::Placed { carrier_call_id: format!("C{}", self.roll(50)) },
            2..5 => EventKind::Ringing,
            5..8 => EventKind::Answered,
            8 | 9 => EventKind::Detected { by: AnsweredBy::Machine },
            10 => EventKind::Detected { by: AnsweredBy::Human },
            11 => EventKind::Key { digit: '1', press: 0 },
            12 if self.roll(3) == 0 => EventKind::Key { digit: '9', press: 0 },
            13 => EventKind::NotPlaced { reason: "rejected".to_owned(), permanent },
            14 => EventKind::Unclear,
            15 => EventKind::GivenUp,
            16 => EventKind::Recorded { reference: "R1".to_owned() },
            17 | 18 => ended(Ending::NoAnswer, 0),
            19 => ended(Ending::Busy, 0),
            20 => ended(failed, 0),
            21 => ended(Ending::Canceled, 0),
            _ => ended(Ending::Completed, u32::try_from(self.roll(200)).unwrap_or(0)),
        }
    }

    async fn ring(&mut self) {
        let ring = InboundRing {
            carrier_call_id: format!("IN{}", self.roll(6)),
            from: (self.roll(4) > 0).then(|| number(self.roll(NUMBERS + 3))),
            new_id: CallId::new(self.now, &self.entropy),
        };
        self.calls.push(ring.new_id);
        let kind = if self.roll(20) == 0 { EventKind::OptOut } else { self.event() };
        let event = CallEvent { at: self.now, kind };
        self.record(&[Report { call: CallRef::Inbound(ring), event }]).await;
    }

    async fn record(&self, reports: &[Report]) {
        let now = self.now;
        self.both("record", |store| store.record(By::new(&SYSTEM, now), reports)).await;
    }

    fn scope(&mut self) -> DncScope {
        match (self.roll(2), self.pick(&self.campaigns.clone())) {
            (0, Some(campaign)) => DncScope::Campaign(campaign),
            _ => DncScope::Global,
        }
    }

    async fn block(&mut self) {
        let (now, operator) = (self.now, person());
        let entry = DncEntry {
            phone: number(self.roll(NUMBERS)),
            scope: self.scope(),
            reason: "asked".to_owned(),
            source: DncSource::Manual,
            added_by: operator.clone(),
            created_at: now,
        };
        self.both("add_dnc", async |store: &'a dyn Store| {
            let added = store.add_dnc(By::new(&operator, now), entry.clone()).await;
            added.map(|mut added| {
                added.canceled.sort();
                added.in_flight.sort();
                added
            })
        })
        .await;
    }

    async fn unblock(&mut self) {
        let (now, operator) = (self.now, person());
        let (phone, scope) = (number(self.roll(NUMBERS)), self.scope());
        self.both("remove_dnc", |store| {
            store.remove_dnc(By::new(&operator, now), phone, scope, "a mistake")
        })
        .await;
    }

    async fn desk(&mut self) {
        let mut calls = self.calls.clone();
        calls.extend(self.begun.iter().map(|begun| begun.call));
        let Some(id) = self.pick(&calls) else { return };
        let new = NewCall { id: CallId::new(self.now, &self.entropy), due_at: self.now + LEASE };
        let actor = Actor::Token("crm".to_owned());
        let by = By::new(&actor, self.now);
        match self.roll(10) {
            5.. => self.change(by, id).await,
            0 => drop(self.both("call_now", |store| store.call_now(by, id)).await),
            1 => {
                drop(self.both("reschedule", |store| store.reschedule(by, id, new.due_at)).await);
            }
            2 => {
                let then = if self.roll(2) == 0 { SkipThen::End } else { SkipThen::Next(new) };
                let skip = Skip { reason: SkipReason::ClientRequest, note: None };
                drop(self.both("skip", |store| store.skip(by, id, skip.clone(), then)).await);
                self.calls.push(new.id);
            }
            _ => {
                drop(self.both("retry", |store| store.retry(by, id, new)).await);
                self.calls.push(new.id);
            }
        }
    }

    /// What people change about a call, its client, or many calls.
    async fn change(&mut self, by: By<'_>, id: CallId) {
        let client = self.a.call(id).await.ok().flatten().and_then(|view| view.call.client);
        let resumed = CallId::new(self.now, &self.entropy);
        match (self.roll(5), client) {
            (0, _) => drop(self.both("add_note", |store| store.add_note(by, id, "a note")).await),
            (1, _) => {
                let review = [Review::Reviewed, Review::NeedsFollowUp][self.roll(2) as usize];
                let label = Some(Some("sold".to_owned()));
                drop(
                    self.both("review", |store| store.review(by, id, review, label.clone())).await,
                );
            }
            (2, Some(client)) => {
                let new = NewCall { id: resumed, due_at: self.now };
                drop(self.both("call_client", |store| store.call_client(by, client, new)).await);
            }
            (3, Some(client)) => {
                let mut change = ClientChange::new(resumed);
                match self.roll(6) {
                    0 => change.consent = Some(None),
                    1 => change.tags = Some(["tag 1".to_owned()].into()),
                    2 => change.add_tags = ["tag 2".to_owned()].into(),
                    3 => change.remove_tags = ["tag 1".to_owned()].into(),
                    off => change.active = Some(off == 4),
                }
                let change =
                    self.both("change_client", |store| store.change_client(by, client, &change));
                drop(change.await);
            }
            _ => {
                let others: Vec<CallId> =
                    (0..3).filter_map(|_| self.pick(&self.calls.clone())).collect();
                let at = self.now + LEASE;
                let acts: Vec<_> = std::collections::BTreeSet::from_iter(others)
                    .into_iter()
                    .map(|id| (id, Ok(CallAct::Reschedule(at))))
                    .collect();
                drop(self.both("change_calls", |store| store.change_calls(by, &acts)).await);
            }
        }
        self.calls.push(resumed);
    }

    async fn look(&self) {
        self.both("unsettled", async |store: &'a dyn Store| {
            let open = store.unsettled(self.now, self.now, 1000).await;
            open.map(|mut open| {
                open.sort_by_key(|open| open.call);
                open
            })
        })
        .await;
    }

    /// Everything the stores can be asked.
    async fn compare_all(&self) {
        let (a, b) = (self.a, self.b);
        recount(a).await;
        recount(b).await;
        // A batch may finish a campaign and open it again. Whether a store sees that in between is
        // its own affair, and with it the instant of the end and the notice of it.
        let listed = async |store: &'a dyn Store| {
            let mut all = campaigns(store).await;
            for view in &mut all {
                view.campaign.ended_at = view.campaign.ended_at.map(|_| monday());
            }
            all
        };
        let all = self.same(listed(a).await, listed(b).await, "campaigns");
        for view in &all {
            let id = view.campaign.id;
            self.same(clients(a, id).await, clients(b, id).await, "clients");
            self.both("imports", |store| store.imports(id)).await;
            self.both("tallies", |store| store.tallies(Some(id), None, None)).await;
            // An hour and a bit: bounds that cut quarters.
            let (from, to) = (Some(self.now - TimeDelta::seconds(4_321)), Some(self.now));
            self.both("tallies of late", |store| store.tallies(Some(id), from, to)).await;
            let tags = ["tag 0".to_owned(), "tag 1".to_owned()];
            self.both("tagged", |store| store.tagged(id, &tags, None, None)).await;
            self.both("tagged of late", |store| store.tagged(id, &tags[..1], from, to)).await;
            self.both("waiting", async |store: &'a dyn Store| {
                let waiting = store.waiting(id, None, 1_000).await;
                let relevant = |facts: Facts| relevant(facts, self.now);
                waiting.map(|part| part.facts.into_iter().map(relevant).collect::<Vec<_>>())
            })
            .await;
            self.both("export_clients", |store| store.export_clients(id, None, 1000)).await;
        }
        let ended = self.same(history(a).await, history(b).await, "history");
        for view in ended.iter().take(30) {
            self.both("events", |store| store.events(view.call.id)).await;
        }
        for id in &self.calls {
            self.both("call", |store| store.call(*id)).await;
        }
        self.both("upcoming", async |store: &'a dyn Store| upcoming(store).await).await;
        for q in ["per", "Person 1", "5550", "12", "p"] {
            let query = CallQuery {
                q: Some(q.to_owned()),
                order: Some(CallOrder::OLDEST_FIRST),
                limit: 50,
                ..CallQuery::default()
            };
            self.both("search", |store| store.history(&query)).await;
        }
        for by in [CallSort::Date, CallSort::Name, CallSort::Duration] {
            for descending in [false, true] {
                let order = Some(CallOrder { by, descending });
                let tags = if descending { vec!["tag 1".to_owned()] } else { Vec::new() };
                let query = CallQuery { order, tags, limit: PAGE, ..CallQuery::default() };
                self.both("sorted history", async |store: &'a dyn Store| {
                    let pages = pages(async |after| {
                        store.history(&CallQuery { after, ..query.clone() }).await
                    });
                    Ok::<_, ()>(pages.await)
                })
                .await;
            }
        }
        self.both("live", async |store: &'a dyn Store| {
            let live = store.live(1000).await;
            live.map(|mut live| {
                live.sort_by_key(|open| open.call);
                live
            })
        })
        .await;
        let query = DncQuery { limit: 200, ..DncQuery::default() };
        self.both("dnc", async |store: &'a dyn Store| {
            let page = store.dnc(&query).await;
            page.map(|mut page| {
                page.items.sort_by_key(|entry| (entry.phone, entry.scope));
                page.items
            })
        })
        .await;
        self.both("audit", async |store: &'a dyn Store| {
            let rows = store.audit(&AuditQuery::newest(200)).await;
            rows.map(|page| {
                let row = |row: crate::port::AuditRow| (row.at, row.actor, row.action, row.object);
                let mut rows: Vec<_> = page.items.into_iter().map(row).collect();
                // Of one act on many calls, the rows have no order among themselves.
                rows.sort();
                rows
            })
        })
        .await;
        self.both("notices", async |store: &'a dyn Store| {
            let notices = store.notices(1000).await;
            notices.map(|notices| {
                let mut kinds: Vec<String> = notices
                    .iter()
                    .filter(|it| !matches!(it.kind, NoticeKind::CampaignFinished(_)))
                    .map(|notice| format!("{:?}", (notice.at, notice.kind)))
                    .collect();
                kinds.sort();
                kinds
            })
        })
        .await;
        self.both("latest_instant", |store| store.latest_instant()).await;
    }
}

async fn upcoming(store: &dyn Store) -> Result<Vec<crate::port::CallView>, Value> {
    let query = CallQuery { limit: PAGE, ..CallQuery::default() };
    Ok(pages(async |after| store.upcoming(&CallQuery { after, ..query.clone() }).await).await)
}

/// Without the dials that no cap looks at: how many of those a store brings is its own affair.
fn relevant(mut facts: Facts, now: DateTime<Utc>) -> Facts {
    let longest = facts.settings.caps.longest();
    facts.number_dials.retain(|at| longest.is_some_and(|longest| *at + longest > now));
    facts
}
