use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use chrono::TimeDelta;
use serde_json::json;
use tokio::time::Instant;

use super::*;
use crate::actor::Actor;
use crate::call::{CallRef, CallStatus, EventKind, Report};
use crate::campaign::{RunState, Settings, Transition};
use crate::engine::{Facts, Permit, Settlement, Ticket};
use crate::id::{CallId, CampaignId, ClientId, ImportId};
use crate::import::DuplicatePolicy;
use crate::memory::MemoryStore;
use crate::phone::PhoneNumber;
use crate::port::{
    BeginImport, By, Calls, Campaigns, ClaimRequest, Dispatch, Found, NewCampaign, NewClient,
    OpenCall, Placement, Recorded, Refusals, StoreErrorKind, TakeBack, TelephonyError,
};
use crate::sim::{Mischief, SimCarrier, SimModel};
use crate::time::{FastClock, ManualClock, SeededEntropy};

fn start() -> DateTime<Utc> {
    "2026-11-23T15:00:00Z".parse().unwrap()
}

/// Follows tokio's clock, which tests pause: hours of a campaign pass in no time.
#[derive(Debug)]
struct PausedClock(Instant);

impl Clock for PausedClock {
    fn now(&self) -> DateTime<Utc> {
        start() + TimeDelta::from_std(self.0.elapsed()).unwrap()
    }
}

fn clocks() -> (Arc<dyn Clock>, Arc<dyn Clock>) {
    let wall: Arc<dyn Clock> = Arc::new(PausedClock(Instant::now()));
    (Arc::new(FastClock::new(Arc::clone(&wall), start(), 60)), wall)
}

/// A running campaign with so many clients, all of them due.
async fn campaign(store: &MemoryStore, clients: u64) -> CampaignId {
    let (entropy, actor) = (SeededEntropy::new(1), Actor::System);
    let by = By::new(&actor, start());
    let id = CampaignId::new(start(), &entropy);
    let day = json!([["00:00", "24:00"]]);
    let settings = Settings::from_json(&json!({
        "name": "Renewals",
        "hours": {"mon": day, "tue": day, "wed": day, "thu": day, "fri": day, "sat": day, "sun": day},
        "pacing": {"max_concurrent": 20, "calls_per_second": 5},
        "script": {"steps": [{"say": "Hello {{name}}."}], "keys": {"1": {"tag": "yes"}, "9": "opt_out"}},
    }));
    let new = NewCampaign { id, settings: Arc::new(settings.unwrap()) };
    store.create_campaign(by, new).await.unwrap();
    let import = ImportId::new(start(), &entropy);
    let new = BeginImport {
        id: import,
        campaign: id,
        file_name: "a.csv".to_owned(),
        columns: vec![],
        duplicates: DuplicatePolicy::default(),
    };
    store.begin_import(by, new).await.unwrap();
    let clients: Vec<NewClient> = (0..clients)
        .map(|index| NewClient {
            id: ClientId::new(start(), &entropy),
            call: CallId::new(start(), &entropy),
            due_at: start(),
            line: index + 2,
            phone: PhoneNumber::from_digits(12_125_550_100 + index).unwrap(),
            name: "Ada".to_owned(),
            external_id: None,
            email: None,
            zones: vec![],
            fields: vec![],
            tags: std::collections::BTreeSet::new(),
            note: None,
            consent: None,
            says_consent: true,
            person_key: None,
            debt_key: None,
        })
        .collect();
    store.add_clients(by, import, &clients).await.unwrap();
    store.change_state(by, id, Transition::Start).await.unwrap();
    id
}

async fn until_finished(store: &MemoryStore, id: CampaignId) {
    for _ in 0..100_000 {
        let view = store.campaign(id).await.unwrap().unwrap();
        if view.campaign.state == RunState::Finished {
            return;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    panic!("the campaign never finished");
}

fn dialled_once(carrier: &SimCarrier) -> bool {
    let mut calls: Vec<CallId> = carrier.dial_log().iter().map(|dial| dial.call).collect();
    calls.sort();
    calls.windows(2).all(|pair| pair[0] != pair[1])
}

#[tokio::test(start_paused = true)]
async fn a_whole_campaign_runs_to_its_end() {
    let (clock, wall) = clocks();
    let store = Arc::new(MemoryStore::default());
    let id = campaign(&store, 80).await;
    let carrier = SimTelephony::new(7, SimModel::default(), Arc::clone(&clock));
    let runtime = Runtime::builder(store.clone(), Arc::new(carrier.clone()), clock, wall)
        .simulated(carrier.clone())
        .start();
    until_finished(&store, id).await;
    assert!(runtime.handle().health().is_ready());
    runtime.shutdown().await;

    let view = store.campaign(id).await.unwrap().unwrap();
    assert_eq!((view.progress.final_count(), view.progress.live), (80, 0));
    let carrier = carrier.carrier();
    assert!(carrier.dial_log().len() > 80, "some are retried");
    assert!(dialled_once(&carrier));
}

#[tokio::test(start_paused = true)]
async fn lost_events_are_asked_for() {
    let (clock, wall) = clocks();
    let store = Arc::new(MemoryStore::default());
    let id = campaign(&store, 10).await;
    let mischief = Mischief { lost: 1_000, ..Mischief::NONE };
    let model = SimModel { mischief, call_back: 0, ..SimModel::default() };
    let carrier = SimTelephony::new(7, model, Arc::clone(&clock));
    let runtime = Runtime::builder(store.clone(), Arc::new(carrier.clone()), clock, wall)
        .simulated(carrier.clone())
        .start();
    until_finished(&store, id).await;
    runtime.shutdown().await;
    assert!(dialled_once(&carrier.carrier()));
}

#[tokio::test(start_paused = true)]
async fn a_restart_in_the_middle_forgets_nobody_and_dials_nobody_twice() {
    let (clock, wall) = clocks();
    let store = Arc::new(MemoryStore::default());
    let id = campaign(&store, 40).await;
    let mut dialled = Vec::new();
    for restart in 0..8 {
        let carrier = SimTelephony::new(7, SimModel::default(), Arc::clone(&clock));
        let live = store.live(1_000).await.unwrap().len();
        assert_eq!(carrier.take_up(store.as_ref()).await.unwrap(), live);
        let runtime = Runtime::builder(
            store.clone(),
            Arc::new(carrier.clone()),
            Arc::clone(&clock),
            Arc::clone(&wall),
        )
        .simulated(carrier.clone())
        .start();
        if restart < 7 {
            tokio::time::sleep(Duration::from_millis(700)).await;
        } else {
            until_finished(&store, id).await;
        }
        runtime.shutdown().await;
        dialled.extend(carrier.carrier().dial_log().iter().map(|dial| dial.call));
    }
    let all = dialled.len();
    dialled.sort();
    dialled.dedup();
    assert_eq!(dialled.len(), all);
    let view = store.campaign(id).await.unwrap().unwrap();
    assert_eq!(view.progress.final_count(), 40);
    for call in dialled {
        let call = store.call(call).await.unwrap().unwrap().call;
        if call.progress.recording.is_some() && call.progress.transcript.len() > 1 {
            assert_eq!(call.progress.transcript[1].text, "Hello Ada.");
        }
        assert_eq!(call.status(), CallStatus::Ended);
        assert_ne!(call.end_reason(), Some("unknown"), "every call was taken up");
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_dispatcher_wakes_when_told() {
    let (clock, wall) = clocks();
    let store = Arc::new(MemoryStore::default());
    let carrier = SimTelephony::new(7, SimModel::instant(), Arc::clone(&clock));
    let runtime = Runtime::builder(store.clone(), Arc::new(carrier.clone()), clock, wall)
        .simulated(carrier.clone())
        .start();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    campaign(&store, 1).await;
    runtime.handle().wake();
    // Without the wake the next tick would be half a second away.
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(carrier.carrier().dial_log().len(), 1);
    runtime.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_free_slot_is_used_at_once() {
    let (clock, wall) = clocks();
    let store = Arc::new(MemoryStore::default());
    campaign(&store, 30).await;
    let carrier = SimTelephony::new(7, SimModel::default(), Arc::clone(&clock));
    let runtime = Runtime::builder(store, Arc::new(carrier.clone()), clock, wall).start();
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(carrier.carrier().dial_log().len(), 20, "every slot is taken");
    runtime.handle().recorder().record(carrier.advance()).await.unwrap();
    // Without news of the ended calls the next tick would be up to a second away.
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert!(carrier.carrier().dial_log().len() > 20);
    runtime.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn shutdown_loses_no_event_that_was_handed_in() {
    let (clock, wall) = clocks();
    let store = Arc::new(MemoryStore::default());
    campaign(&store, 20).await;
    let carrier = SimTelephony::new(7, SimModel::default(), Arc::clone(&clock));
    // Without the pump: events come as a webhook would bring them.
    let runtime =
        Runtime::builder(store.clone(), Arc::new(carrier.clone()), Arc::clone(&clock), wall)
            .start();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let reports = carrier.advance();
    assert!(reports.len() > 20);
    let handle = runtime.handle();
    let senders: Vec<_> = reports
        .into_iter()
        .map(|report| {
            let handle = handle.clone();
            let sent = report.clone();
            (report, tokio::spawn(async move { handle.recorder().record(vec![sent]).await }))
        })
        .collect();
    tokio::task::yield_now().await;
    runtime.shutdown().await;
    let mut stored = 0;
    for (report, sender) in senders {
        let crate::call::CallRef::Ours(call) = report.call else { continue };
        let known = store.events(call).await.unwrap().contains(&report.event);
        assert_eq!(known, sender.await.unwrap().is_ok(), "acknowledged and stored are one");
        stored += u32::from(known);
    }
    assert!(stored > 20);
    let late = handle.recorder().record(vec![Report::ours(
        CallId::new(start(), &SeededEntropy::new(9)),
        start(),
        EventKind::Ringing,
    )]);
    assert!(matches!(late.await, Err(RecordError::Closed)));
    assert!(handle.health().draining && !handle.health().is_ready());
}

#[tokio::test(start_paused = true)]
async fn senders_that_wait_share_one_commit_and_are_answered_after_it() {
    let store = Arc::new(SlowStore::default());
    let clock = Arc::new(ManualClock::new(start()));
    let (recorder, task) = recorder::start(store.clone(), clock, Arc::default());
    let entropy = SeededEntropy::new(3);
    let send = |recorder: &Recorder| {
        let recorder = recorder.clone();
        let call = CallId::new(start(), &entropy);
        tokio::spawn(async move {
            recorder.record(vec![Report::ours(call, start(), EventKind::Ringing)]).await
        })
    };
    let first = send(&recorder);
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    let rest: Vec<_> = (0..100).map(|_| send(&recorder)).collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!first.is_finished() && rest.iter().all(|sender| !sender.is_finished()));
    assert_eq!(first.await.unwrap().unwrap(), [Recorded::NoSuchCall]);
    for sender in rest {
        assert_eq!(sender.await.unwrap().unwrap(), [Recorded::NoSuchCall]);
    }
    assert_eq!(*store.groups.lock().unwrap(), [1, 100]);

    store.fails.store(true, Ordering::Relaxed);
    assert!(matches!(send(&recorder).await.unwrap(), Err(RecordError::Store(_))));
    recorder.close();
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_row_is_damaged_keeps_nobody_elses_events_out() {
    let store = Arc::new(SlowStore::default());
    let clock = Arc::new(ManualClock::new(start()));
    let (recorder, task) = recorder::start(store.clone(), clock, Arc::default());
    let entropy = SeededEntropy::new(4);
    let calls: Vec<CallId> = (0..3).map(|_| CallId::new(start(), &entropy)).collect();
    *store.damaged.lock().unwrap() = Some(calls[1]);
    let send = |call: CallId| {
        let recorder = recorder.clone();
        let report = Report::ours(call, start(), EventKind::Ringing);
        tokio::spawn(async move { recorder.record(vec![report]).await })
    };
    let sent: Vec<_> = calls.into_iter().map(send).collect();
    let mut stored = Vec::new();
    for sender in sent {
        stored.push(sender.await.unwrap().is_ok());
    }
    assert_eq!(stored, [true, false, true]);
    recorder.close();
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_dispatcher_that_died_is_not_ready() {
    let (clock, wall) = clocks();
    let store = Arc::new(MemoryStore::default());
    let carrier = Arc::new(DeafCarrier::default());
    let runtime = Runtime::builder(store.clone(), carrier.clone(), clock, wall).start();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(runtime.handle().health().is_ready());
    carrier.panics.store(true, Ordering::Relaxed);
    campaign(&store, 1).await;
    runtime.handle().wake();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(!runtime.handle().health().is_ready());
    runtime.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_carrier_that_is_away_halts_the_dispatcher_and_its_return_goes_on() {
    let (clock, wall) = clocks();
    let store = Arc::new(MemoryStore::default());
    campaign(&store, 30).await;
    let carrier = Arc::new(DeafCarrier::default());
    let runtime = Runtime::builder(store.clone(), carrier.clone(), clock, wall).batch(3).start();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let halted = runtime.handle().health();
    assert_eq!(halted.halted, Some(Halt::CarrierAway));
    assert!(!halted.is_ready());
    let asked = carrier.asked.load(Ordering::Relaxed);
    assert!((3..=5).contains(&asked), "an outage must not burn the list: {asked}");
    carrier.answers.store(true, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(1_001)).await;
    runtime.handle().wake();
    assert!(carrier.asked.load(Ordering::Relaxed) > asked, "dials again");
    runtime.shutdown().await;
}

/// Takes a second for each commit, knows no call, and fails when told.
#[derive(Debug, Default)]
struct SlowStore {
    groups: Mutex<Vec<usize>>,
    fails: AtomicBool,
    damaged: Mutex<Option<CallId>>,
    inner: MemoryStore,
}

#[async_trait]
impl Dispatch for SlowStore {
    async fn record(&self, by: By<'_>, reports: &[Report]) -> Result<Vec<Recorded>, StoreError> {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if self.fails.load(Ordering::Relaxed) {
            return Err(StoreError::new(StoreErrorKind::Unavailable, "record"));
        }
        let damaged = self.damaged.lock().unwrap().map(CallRef::Ours);
        if reports.iter().any(|report| Some(&report.call) == damaged.as_ref()) {
            return Err(StoreError::new(StoreErrorKind::Corrupt, "record"));
        }
        self.groups.lock().unwrap().push(reports.len());
        self.inner.record(by, reports).await
    }

    async fn server_time(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.inner.server_time().await
    }

    async fn claim_due(&self, request: ClaimRequest) -> Result<Vec<Facts>, StoreError> {
        self.inner.claim_due(request).await
    }

    async fn begin(
        &self,
        by: By<'_>,
        wall: DateTime<Utc>,
        permits: &[Permit],
    ) -> Result<Refusals, StoreError> {
        self.inner.begin(by, wall, permits).await
    }

    async fn take_back(&self, by: By<'_>, calls: &[TakeBack]) -> Result<(), StoreError> {
        self.inner.take_back(by, calls).await
    }

    async fn halt_campaign(
        &self,
        by: By<'_>,
        id: CampaignId,
        reason: &str,
    ) -> Result<(), StoreError> {
        self.inner.halt_campaign(by, id, reason).await
    }

    async fn settle(&self, by: By<'_>, settlements: &[Settlement]) -> Result<(), StoreError> {
        self.inner.settle(by, settlements).await
    }

    async fn next_due(&self, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.inner.next_due(now).await
    }

    async fn unsettled(
        &self,
        now: DateTime<Utc>,
        wall: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<OpenCall>, StoreError> {
        self.inner.unsettled(now, wall, limit).await
    }

    async fn hang_ups(&self, wall: DateTime<Utc>, limit: u32) -> Result<Vec<OpenCall>, StoreError> {
        self.inner.hang_ups(wall, limit).await
    }

    async fn live(&self, limit: u32) -> Result<Vec<OpenCall>, StoreError> {
        self.inner.live(limit).await
    }

    async fn latest_instant(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.inner.latest_instant().await
    }
}

/// Never gives a clear answer to a dial, and answers nothing else unless told.
#[derive(Debug, Default)]
struct DeafCarrier {
    answers: AtomicBool,
    panics: AtomicBool,
    asked: AtomicU32,
}

#[async_trait]
impl Telephony for DeafCarrier {
    fn kind(&self) -> &'static str {
        "deaf"
    }

    fn is_simulated(&self) -> bool {
        true
    }

    async fn place_call(&self, _: Ticket) -> Placement {
        assert!(!self.panics.load(Ordering::Relaxed), "an adapter's bug");
        self.asked.fetch_add(1, Ordering::Relaxed);
        Placement::Unknown
    }

    async fn hang_up(&self, _: CallId, _: Option<&str>) -> Result<(), TelephonyError> {
        self.check().await
    }

    async fn find_call(&self, _: &OpenCall) -> Result<Found, TelephonyError> {
        self.check().await.map(|()| Found::Nothing)
    }

    async fn check(&self) -> Result<(), TelephonyError> {
        let answers = self.answers.load(Ordering::Relaxed);
        if answers { Ok(()) } else { Err(TelephonyError::new("check")) }
    }

    async fn recording(&self, _: &str) -> Result<Option<crate::port::Audio>, TelephonyError> {
        Ok(None)
    }

    async fn delete_recording(&self, _: &str) -> Result<(), TelephonyError> {
        self.check().await
    }
}
