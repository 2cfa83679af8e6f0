//! What the driver makes of a carrier's answers.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use callcore::actor::Actor;
use callcore::call::{AnsweredBy, CallEvent, CallStatus, Ending, EventKind, Report};
use callcore::campaign::{RunState, Transition};
use callcore::desk::Desk;
use callcore::dnc::{DncEntry, DncScope};
use callcore::driver::Driver;
use callcore::engine::Ticket;
use callcore::id::CallId;
use callcore::memory::MemoryStore;
use callcore::opt_outs::{HeldOptOut, JournalError, OptOutJournal, PendingOptOuts};
use callcore::phone::PhoneNumber;
use callcore::port::{
    Audio, By, Calls, Dnc, Fault, Found, OpenCall, Placement, Telephony, TelephonyError,
};
use callcore::testing::fixtures::{Scene, monday};
use callcore::time::{Clock, ManualClock, SeededEntropy};
use chrono::TimeDelta;
use serde_json::{Value, json};

/// Says the same to every dial, and writes down who was asked for.
#[derive(Debug)]
struct Carrier {
    says: Mutex<Placement>,
    asked: Mutex<Vec<(CallId, PhoneNumber)>>,
    /// What it was asked to hang up, by its own id.
    hung_up: Mutex<Vec<String>>,
    /// Its id for any call it is asked about, if it shows it.
    shows: Mutex<Option<String>>,
}

impl Carrier {
    fn saying(says: Placement) -> Arc<Self> {
        Arc::new(Self {
            says: Mutex::new(says),
            asked: Mutex::default(),
            hung_up: Mutex::default(),
            shows: Mutex::default(),
        })
    }

    fn refusing(fault: Fault) -> Arc<Self> {
        Self::saying(Placement::Refused { reason: "carrier_7".to_owned(), fault })
    }

    fn takes(&self) {
        *self.says.lock().unwrap_or_else(PoisonError::into_inner) =
            Placement::Placed { carrier_call_id: "C1".to_owned() };
    }

    fn shows(&self, id: &str) {
        *self.shows.lock().unwrap_or_else(PoisonError::into_inner) = Some(id.to_owned());
    }

    fn hung_up(&self) -> Vec<String> {
        self.hung_up.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

#[async_trait]
impl Telephony for Carrier {
    fn kind(&self) -> &'static str {
        "scripted"
    }

    fn is_simulated(&self) -> bool {
        true
    }

    async fn place_call(&self, ticket: Ticket) -> Placement {
        let asked = (ticket.call(), ticket.to());
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
        self.says.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn hang_up(&self, _: CallId, id: Option<&str>) -> Result<(), TelephonyError> {
        let id = id.ok_or(TelephonyError::new("hang up"))?;
        self.hung_up.lock().unwrap_or_else(PoisonError::into_inner).push(id.to_owned());
        Ok(())
    }

    async fn find_call(&self, open: &OpenCall) -> Result<Found, TelephonyError> {
        let shown = self.shows.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let placed = |carrier_call_id| EventKind::Placed { carrier_call_id };
        let event = |id| CallEvent { at: open.begun_at, kind: placed(id) };
        Ok(shown.map_or(Found::Nothing, |id| Found::Events(vec![event(id)])))
    }

    async fn check(&self) -> Result<(), TelephonyError> {
        Ok(())
    }

    async fn recording(&self, _: &str) -> Result<Option<Audio>, TelephonyError> {
        Ok(None)
    }

    async fn delete_recording(&self, _: &str) -> Result<(), TelephonyError> {
        Ok(())
    }
}

/// A driver of a scene's store, on clocks of its own that start with the scene's.
struct Stand {
    store: Arc<MemoryStore>,
    clock: Arc<ManualClock>,
}

impl Stand {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::new(monday()));
        Self { store: Arc::new(MemoryStore::default()), clock }
    }

    fn scene(&self) -> Scene<'_> {
        Scene::new(&*self.store)
    }

    fn driver(&self, carrier: &Arc<Carrier>) -> Driver {
        let clock = || Arc::<ManualClock>::clone(&self.clock);
        Driver::new(self.store.clone(), carrier.clone(), clock(), clock())
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_account_pauses_the_campaign_and_costs_nobody_an_attempt() {
    for (fault, why) in
        [(Fault::Configuration, "account or its settings"), (Fault::Request, "a defect of this")]
    {
        let stand = Stand::new();
        let scene = stand.scene();
        let (campaign, seeds) = scene.running(Value::Null, 3).await;
        let carrier = Carrier::refusing(fault);
        let driver = stand.driver(&carrier);
        let tick = driver.tick().await.expect("a tick");
        assert_eq!((tick.claimed, tick.placed), (3, 0));
        let view = scene.campaign(campaign).await;
        assert_eq!(view.campaign.state, RunState::Paused);
        let reason = view.campaign.pause.and_then(|pause| pause.reason).expect("a reason is shown");
        assert!(reason.contains(why) && reason.contains("carrier_7"), "{reason}");
        for seed in &seeds {
            let call = scene.call(seed.call).await.call;
            assert_eq!((call.status(), call.attempt), (CallStatus::Scheduled, 1));
            assert_eq!(scene.client(seed.client).await.client.standing.attempts, 0);
        }
        driver.tick().await.expect("a tick");
        assert_eq!(carrier.asked(), 3, "paused: nobody is asked for again");
        // Mended and resumed, each is dialled once.
        carrier.takes();
        scene.change(campaign, Transition::Resume).await;
        let tick = driver.tick().await.expect("a tick");
        assert_eq!((tick.placed, carrier.asked()), (3, 6));
        scene.check().await;
    }
}

#[tokio::test]
async fn a_person_who_asked_for_a_call_hears_that_the_account_is_refused() {
    let stand = Stand::new();
    let scene = stand.scene();
    let (campaign, seed) = scene.running_one(Value::Null).await;
    stand.store.call_now(scene.by(), seed.call).await.expect("a person asks for the call");
    let carrier = Carrier::refusing(Fault::Configuration);
    let tick = stand.driver(&carrier).tick().await.expect("a tick");
    assert_eq!(tick.placed, 1);
    let call = scene.call(seed.call).await.call;
    assert_eq!(call.end_reason(), Some("carrier_7"), "the call itself says why");
    assert_eq!(scene.campaign(campaign).await.campaign.state, RunState::Paused);
    scene.check().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_number_stops_nobody_else() {
    let stand = Stand::new();
    let scene = stand.scene();
    let (campaign, seed) = scene.running_one(Value::Null).await;
    let carrier = Carrier::refusing(Fault::Number { permanent: true });
    stand.driver(&carrier).tick().await.expect("a tick");
    assert_eq!(scene.call(seed.call).await.call.end_reason(), Some("carrier_7"));
    assert_eq!(scene.client(seed.client).await.client.standing.attempts, 1);
    assert_ne!(scene.campaign(campaign).await.campaign.state, RunState::Paused);
}

/// A journal in memory, which may be full.
#[derive(Debug, Default)]
struct Journal {
    lines: Mutex<Vec<HeldOptOut>>,
    is_full: Mutex<bool>,
}

impl Journal {
    fn lines(&self) -> Vec<HeldOptOut> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl OptOutJournal for Journal {
    fn append(&self, opt_out: &HeldOptOut) -> Result<(), JournalError> {
        if *self.is_full.lock().unwrap_or_else(PoisonError::into_inner) {
            return Err(JournalError("full".into()));
        }
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(opt_out.clone());
        Ok(())
    }

    fn clear(&self) -> Result<(), JournalError> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(())
    }
}

/// An opt-out in a call that was dialled, heard at the instant a test begins.
fn opt_out(call: CallId, phone: PhoneNumber, seconds: i64) -> HeldOptOut {
    let at = monday() + TimeDelta::seconds(seconds);
    HeldOptOut { phone: Some(phone), reports: vec![Report::ours(call, at, EventKind::OptOut)] }
}

#[tokio::test]
async fn whose_opt_out_waits_is_not_dialled_until_it_is_stored_and_then_never() {
    let stand = Stand::new();
    let scene = stand.scene();
    // One person in two campaigns: called in the first, due in the second.
    let phone = scene.number();
    let (_, first) = scene.running_with(json!({"name": "First"}), &[phone]).await;
    scene.dial_due().await;
    scene.answer(first[0].call, AnsweredBy::Human).await;
    let (_, second) = scene.running_with(json!({"name": "Second"}), &[phone]).await;
    stand.clock.advance_to(scene.now());
    let carrier = Carrier::saying(Placement::Placed { carrier_call_id: "C1".to_owned() });
    let journal = Arc::new(Journal::default());
    let pending = PendingOptOuts::new(journal.clone(), Vec::new());
    let driver = stand.driver(&carrier).with_opt_outs(pending.clone());
    // The key was pressed while the store was away.
    for second in 5..9 {
        pending.keep(opt_out(first[0].call, phone, second)).expect("kept");
    }
    assert_eq!((pending.len(), journal.lines().len()), (1, 1), "one wish, said several times");
    assert!(pending.is_blocked(phone) && !pending.is_blocked(scene.number()));

    for _ in 0..3 {
        let tick = driver.tick().await.expect("a tick");
        assert_eq!((tick.claimed, tick.placed, carrier.asked()), (1, 0, 0));
        let waits = scene.call(second[0].call).await.call;
        assert_eq!(waits.due_at, stand.clock.now() + TimeDelta::minutes(1));
        assert_eq!(scene.client(second[0].client).await.client.standing.attempts, 0);
        assert_eq!(driver.tick().await.expect("a tick").claimed, 0, "not before its minute");
        stand.clock.advance(TimeDelta::minutes(1));
    }

    // The store is back: the person is on the list, and nothing waits any more.
    driver.sweep().await.expect("a sweep");
    assert!(pending.is_empty() && journal.lines().is_empty() && !pending.is_blocked(phone));
    assert_eq!(stand.store.listed(DncScope::Global, &[phone]).await.expect("read"), [true]);
    let canceled = scene.call(second[0].call).await.call;
    assert_eq!(canceled.end_reason(), Some("on_dnc"));
    driver.tick().await.expect("a tick");
    assert_eq!(carrier.asked(), 0);
    scene.check().await;
}

#[tokio::test]
async fn what_the_journal_kept_holds_numbers_back_from_the_start() {
    let stand = Stand::new();
    let scene = stand.scene();
    let phone = scene.number();
    let (_, seeds) = scene.running_with(Value::Null, &[phone]).await;
    let journal = Arc::new(Journal::default());
    let kept = vec![opt_out(seeds[0].call, phone, 0)];
    let pending = PendingOptOuts::new(journal.clone(), kept);
    let carrier = Carrier::saying(Placement::Placed { carrier_call_id: "C1".to_owned() });
    let driver = stand.driver(&carrier).with_opt_outs(pending.clone());
    driver.tick().await.expect("a tick");
    assert_eq!((carrier.asked(), pending.is_blocked(phone)), (0, true));
    // The database is one of before the call, as a backup is: the person opted out all the same.
    driver.sweep().await.expect("a sweep");
    assert_eq!(stand.store.listed(DncScope::Global, &[phone]).await.expect("read"), [true]);
    assert!(pending.is_empty() && journal.lines().is_empty());
    stand.clock.advance(TimeDelta::minutes(2));
    driver.tick().await.expect("a tick");
    assert_eq!(carrier.asked(), 0);
}

#[test]
fn a_journal_that_is_full_is_told_and_the_number_is_held_back_all_the_same() {
    let journal = Arc::new(Journal::default());
    let pending = PendingOptOuts::new(journal.clone(), Vec::new());
    let phone: PhoneNumber = "+12125550100".parse().expect("a number");
    let call = CallId::new(monday(), &SeededEntropy::new(1));
    *journal.is_full.lock().unwrap_or_else(PoisonError::into_inner) = true;
    pending.keep(opt_out(call, phone, 0)).expect_err("full");
    assert!(pending.is_blocked(phone) && journal.lines().is_empty());
    // Whoever waits says it again, and there is room now.
    *journal.is_full.lock().unwrap_or_else(PoisonError::into_inner) = false;
    pending.keep(opt_out(call, phone, 2)).expect("kept");
    assert_eq!((pending.len(), journal.lines().len()), (1, 1));
    let line = serde_json::to_string(&journal.lines()[0]).expect("JSON");
    let back: HeldOptOut = serde_json::from_str(&line).expect("the same");
    assert_eq!(back, journal.lines()[0]);
}

#[test]
fn a_number_is_held_back_while_its_opt_out_is_being_stored() {
    let pending = PendingOptOuts::default();
    let phone: PhoneNumber = "+12125550100".parse().expect("a number");
    let (one, two) = (pending.block(phone), pending.block(phone));
    drop(one);
    assert!(pending.is_blocked(phone));
    drop(two);
    assert!(!pending.is_blocked(phone));
}

/// A call of which nobody knows what the carrier calls it, to somebody who is put on the list.
async fn listed_while_unclear(stand: &Stand, carrier: &Arc<Carrier>) -> CallId {
    let scene = stand.scene();
    let (_, seed) = scene.running_one(Value::Null).await;
    stand.driver(carrier).tick().await.expect("a tick");
    let desk = Desk::new(stand.store.clone(), carrier.clone(), Arc::new(SeededEntropy::new(5)));
    let entry = scene.dnc_entry(seed.phone, DncScope::Global);
    let added = desk.add_dnc(scene.by(), entry).await.expect("listed");
    assert_eq!((added.in_flight, carrier.hung_up()), (vec![seed.call], vec![]));
    seed.call
}

#[tokio::test]
async fn a_call_is_hung_up_once_its_name_is_heard_also_after_a_restart() {
    let stand = Stand::new();
    let carrier = Carrier::saying(Placement::Unknown);
    let call = listed_while_unclear(&stand, &carrier).await;
    let placed = EventKind::Placed { carrier_call_id: "C7".to_owned() };
    stand.scene().hear(call, [placed]).await;
    let driver = stand.driver(&carrier);
    driver.tick().await.expect("a tick");
    assert_eq!(carrier.hung_up(), ["C7"]);
    driver.tick().await.expect("a tick");
    assert_eq!(carrier.hung_up().len(), 1, "it has a while to end");
    // It does not: perhaps the answer was lost on the way.
    stand.clock.advance(TimeDelta::minutes(11));
    driver.tick().await.expect("a tick");
    assert_eq!(carrier.hung_up().len(), 2);
    stand.scene().end(call, Ending::Canceled).await;
    stand.clock.advance(TimeDelta::minutes(11));
    driver.tick().await.expect("a tick");
    assert_eq!(carrier.hung_up().len(), 2, "it is over");
}

#[tokio::test]
async fn a_call_that_is_to_be_hung_up_is_looked_for() {
    let stand = Stand::new();
    let carrier = Carrier::saying(Placement::Unknown);
    let call = listed_while_unclear(&stand, &carrier).await;
    let driver = stand.driver(&carrier);
    for _ in 0..3 {
        driver.tick().await.expect("a tick");
        stand.clock.advance(TimeDelta::seconds(4));
    }
    assert_eq!(carrier.hung_up(), [""; 0]);
    carrier.shows("C8");
    stand.clock.advance(TimeDelta::minutes(11));
    driver.tick().await.expect("a tick");
    assert_eq!(carrier.hung_up(), ["C8"]);
    let progress = stand.scene().call(call).await.call.progress;
    assert_eq!(progress.carrier_call_id.as_deref(), Some("C8"));
}

#[tokio::test]
async fn a_dial_answered_after_its_person_was_listed_is_hung_up_in_the_same_tick() {
    // The entry comes between intent and answer; the driver records the answer itself.
    let stand = Stand::new();
    let scene = stand.scene();
    let (_, seed) = scene.running_one(Value::Null).await;
    let carrier = Carrier::saying(Placement::Placed { carrier_call_id: "C9".to_owned() });
    let entry = scene.dnc_entry(seed.phone, DncScope::Global);
    let carrier = Arc::new(Listing { carrier, store: stand.store.clone(), entry });
    let clock = || Arc::<ManualClock>::clone(&stand.clock);
    let driver = Driver::new(stand.store.clone(), carrier.clone(), clock(), clock());
    driver.tick().await.expect("a tick");
    assert_eq!(carrier.carrier.hung_up(), ["C9"]);
}

/// Puts somebody on the list while it is asked for a dial.
#[derive(Debug)]
struct Listing {
    carrier: Arc<Carrier>,
    store: Arc<MemoryStore>,
    entry: DncEntry,
}

#[async_trait]
impl Telephony for Listing {
    fn kind(&self) -> &'static str {
        self.carrier.kind()
    }

    fn is_simulated(&self) -> bool {
        true
    }

    async fn place_call(&self, ticket: Ticket) -> Placement {
        let by = By::new(&Actor::System, monday());
        self.store.add_dnc(by, self.entry.clone()).await.expect("listed");
        self.carrier.place_call(ticket).await
    }

    async fn hang_up(&self, call: CallId, id: Option<&str>) -> Result<(), TelephonyError> {
        self.carrier.hang_up(call, id).await
    }

    async fn find_call(&self, open: &OpenCall) -> Result<Found, TelephonyError> {
        self.carrier.find_call(open).await
    }

    async fn check(&self) -> Result<(), TelephonyError> {
        self.carrier.check().await
    }

    async fn recording(&self, reference: &str) -> Result<Option<Audio>, TelephonyError> {
        self.carrier.recording(reference).await
    }

    async fn delete_recording(&self, reference: &str) -> Result<(), TelephonyError> {
        self.carrier.delete_recording(reference).await
    }
}
