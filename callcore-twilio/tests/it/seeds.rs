//! Never two dials for one call, whatever Twilio answers and wherever the driver dies.
//!
//! Each seed has a store, some drivers, the carrier and a fake with troubles of its own, over real
//! connections; so a seed says what is tried, and the network in which order it comes.
//! `CALLCORE_TWILIO_SEEDS=n` runs more, `CALLCORE_TWILIO_SEED=n` one.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use callcore::actor::Actor;
use callcore::call::EventKind;
use callcore::campaign::Transition;
use callcore::driver::Driver;
use callcore::id::CallId;
use callcore::memory::MemoryStore;
use callcore::performance::Performance;
use callcore::port::{
    By, Calls, Campaigns, Dispatch, Telephony, WebhookAnswer, WebhookDecoder, WebhookRequest,
};
use callcore::runtime::SystemClock;
use callcore::testing::fixtures::Scene;
use callcore::time::{Clock, Entropy, SeededEntropy};
use callcore_twilio::Twilio;
use callcore_twilio::testing::{FakeTwilio, Fate, Trouble};
use chrono::{DateTime, TimeDelta, Utc};
use hyper::StatusCode;
use serde_json::json;
use tokio::net::TcpListener;

use crate::line::{Behind, impatient, refused, serve};

/// How many seeds run where nothing else is said.
const SEEDS: u64 = 60;
/// How long an answer is waited for: a slow one costs each seed that much.
const PATIENCE: Duration = Duration::from_millis(120);

/// The machine's clock, moved forward.
#[derive(Debug, Default)]
struct Shifted(AtomicI64);

impl Shifted {
    fn advance(&self, by: TimeDelta) {
        self.0.fetch_add(by.num_milliseconds(), Ordering::Relaxed);
    }
}

impl Clock for Shifted {
    fn now(&self) -> DateTime<Utc> {
        SystemClock.now() + TimeDelta::milliseconds(self.0.load(Ordering::Relaxed))
    }
}

struct Dice(SeededEntropy);

impl Dice {
    fn below(&self, end: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes) % end
    }

    fn chance(&self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Copy>(&self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }
}

/// Stores what Twilio tells: at once, late, or not at all.
#[derive(Clone)]
struct Moody {
    store: Arc<MemoryStore>,
    clock: Arc<Shifted>,
    dice: Arc<Dice>,
    /// In percent.
    silent: u64,
    late: u64,
}

#[async_trait]
impl Behind for Moody {
    async fn answer(&self, twilio: &Twilio, request: &WebhookRequest<'_>) -> (StatusCode, String) {
        if self.dice.chance(self.silent) {
            return (StatusCode::SERVICE_UNAVAILABLE, String::new());
        }
        if self.dice.chance(self.late) {
            tokio::time::sleep(Duration::from_millis(self.dice.below(40))).await;
        }
        let reply = match twilio.decode(request) {
            Ok(reply) => reply,
            Err(error) => return refused(error),
        };
        let by = By::new(&Actor::System, self.clock.now());
        self.store.record(by, &reply.reports).await.unwrap();
        let text = match reply.answer {
            WebhookAnswer::Fixed(body) => body.text,
            WebhookAnswer::Script { call, cue } => {
                let performance = Performance::of(&*self.store, &call, self.clock.now(), None);
                twilio.perform(&cue, performance.await.unwrap().as_ref()).await.text
            }
        };
        (StatusCode::OK, text)
    }
}

/// Turns a future so many times and drops it where it is then.
async fn cut<T>(future: impl Future<Output = T>, mut turns: u64) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if turns == 0 => Poll::Ready(None),
        Poll::Pending => {
            turns -= 1;
            Poll::Pending
        }
    })
    .await
}

/// What was met over all seeds.
#[derive(Debug, Default)]
struct Met {
    dials: AtomicU64,
    cut: AtomicU64,
    ended: AtomicU64,
    unknown: AtomicU64,
}

struct World {
    dice: Arc<Dice>,
    clock: Arc<Shifted>,
    store: Arc<MemoryStore>,
    fake: FakeTwilio,
    drivers: Vec<Driver>,
}

impl World {
    async fn new(seed: u64) -> Self {
        let dice = Arc::new(Dice(SeededEntropy::new(seed)));
        let (clock, store) = (Arc::new(Shifted::default()), Arc::new(MemoryStore::default()));
        let fake = FakeTwilio::start().await.unwrap();
        fake.live_by_itself(false);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let public = format!("http://{}", listener.local_addr().unwrap());
        let carrier = || impatient(&fake.url(), &fake.token(), &public, PATIENCE, clock.clone());
        let moody = Moody {
            store: store.clone(),
            clock: clock.clone(),
            dice: dice.clone(),
            silent: dice.pick(&[0, 10, 50, 100]),
            late: dice.pick(&[0, 30]),
        };
        tokio::spawn(serve(moody, listener, carrier()));
        // Two processes, each with a carrier of its own.
        let drivers = (0..2)
            .map(|_| {
                let carrier: Arc<dyn Telephony> = Arc::new(carrier());
                Driver::new(store.clone(), carrier, clock.clone(), clock.clone()).with_batch(3)
            })
            .collect();
        Self { dice, clock, store, fake, drivers }
    }

    fn set_troubles(&self) {
        let common = [Trouble::None, Trouble::None, Trouble::LosesAnswer, Trouble::LosesRequest];
        for _ in 0..self.dice.below(6) {
            let all = self.dice.chance(70);
            let trouble = if all { self.dice.pick(&Trouble::ALL) } else { self.dice.pick(&common) };
            self.fake.trouble(trouble);
        }
        self.fake.blind(u32::try_from(self.dice.below(4)).unwrap());
        let fates = [
            Fate::Busy,
            Fate::NoAnswer,
            Fate::Failed(404),
            Fate::Machine,
            Fate::Person { presses: None },
            Fate::Person { presses: Some('9') },
            Fate::Silent,
        ];
        self.fake.usual_fate(self.dice.pick(&fates));
    }

    /// Both drivers turn at once; each may die anywhere.
    async fn turn(&self, met: &Met) {
        let turn = async |driver: &Driver| {
            let sweeps = self.dice.chance(30);
            let turns = if self.dice.chance(60) { self.dice.below(7) } else { u64::MAX };
            let work = async {
                if sweeps { driver.sweep().await.map(drop) } else { driver.tick().await.map(drop) }
            };
            match cut(work, turns).await {
                Some(result) => result.unwrap(),
                None => drop(met.cut.fetch_add(1, Ordering::Relaxed)),
            }
        };
        tokio::join!(turn(&self.drivers[0]), turn(&self.drivers[1]));
    }

    /// Some of the calls live on, some are never heard of again.
    async fn live(&self, lived: &mut BTreeSet<String>) {
        for dial in self.fake.dials() {
            if !lived.contains(&dial.sid) && self.dice.chance(60) {
                self.fake.live(&dial.sid).await;
                lived.insert(dial.sid);
            }
        }
    }
}

async fn run(seed: u64, met: &Met) {
    let world = World::new(seed).await;
    let scene = Scene::new(&*world.store);
    scene.advance(SystemClock.now() - scene.now());
    scene.advance_wall(SystemClock.now() - scene.wall());
    let retry = json!({"connect": ["PT1M"], "voicemail": ["PT1M"], "max_attempts": 4});
    let script = json!({
        "notice": "This call is recorded.",
        "steps": [{"say": "Hello {{name}}."}],
        "keys": {"9": "opt_out"},
    });
    let recording = world.dice.chance(50);
    let settings =
        json!({"breaker": null, "recording": recording, "retry": retry, "script": script});
    let clients = 2 + usize::try_from(world.dice.below(5)).unwrap();
    let (campaign, _) = scene.running(settings, clients).await;
    let mut lived = BTreeSet::new();
    for _ in 0..6 {
        world.set_troubles();
        world.turn(met).await;
        world.live(&mut lived).await;
        // Never far from the fake's clock, by which calls are found.
        world.clock.advance(TimeDelta::seconds(i64::try_from(world.dice.below(45)).unwrap()));
        let by = By::new(&Actor::System, world.clock.now());
        // It pauses itself where the account is refused; somebody mends that.
        drop(world.store.change_state(by, campaign, Transition::Resume).await);
    }
    world.fake.blind(0);
    for wait in [20, 40, 80, 160, 320, 640, 1440, 1440] {
        world.clock.advance(TimeDelta::minutes(wait));
        world.drivers[0].sweep().await.unwrap();
    }
    judge(&world, met).await;
}

async fn judge(world: &World, met: &Met) {
    let dials = world.fake.dials();
    let mut seen = BTreeSet::new();
    for dial in &dials {
        let call: CallId = dial.call().unwrap().parse().unwrap();
        assert!(seen.insert(call), "call {call} was dialled twice");
        let view = world.store.call(call).await.unwrap().expect("dialled without an intent");
        assert!(view.call.begun_at.is_some(), "call {call} went back although it was dialled");
        let events = world.store.events(call).await.unwrap();
        let refused = |kind: &EventKind| matches!(kind, EventKind::NotPlaced { .. });
        let is_refused = events.iter().any(|event| refused(&event.kind));
        assert!(!is_refused, "call {call} was dialled and said to be refused");
        assert!(view.call.ended_at().is_some(), "call {call} never ends");
        let is_unknown = view.call.end_reason() == Some("unknown");
        let count = if is_unknown { &met.unknown } else { &met.ended };
        count.fetch_add(1, Ordering::Relaxed);
    }
    met.dials.fetch_add(dials.len() as u64, Ordering::Relaxed);
}

#[test]
fn no_call_is_dialled_twice_whatever_twilio_answers_and_wherever_the_driver_dies() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seeds = match number("CALLCORE_TWILIO_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("CALLCORE_TWILIO_SEEDS").unwrap_or(SEEDS),
    };
    let count = seeds.end - seeds.start;
    let met = Met::default();
    for seed in seeds {
        // A runtime of its own: with it go the seed's servers and connections.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            runtime.block_on(run(seed, &met));
        }));
        assert!(result.is_ok(), "seed {seed}");
    }
    println!("{count} seeds: {met:?}");
    if count >= SEEDS {
        let met = [&met.dials, &met.cut, &met.ended, &met.unknown];
        assert!(met.iter().all(|met| met.load(Ordering::Relaxed) >= count / 4));
    }
}
