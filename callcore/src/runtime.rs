//! The loops around [`Driver::tick`]: dispatch, sweep, the event recorder, drain on shutdown.
//!
//! ```no_run
//! use std::sync::Arc;
//! use callcore::memory::MemoryStore;
//! use callcore::runtime::{Runtime, SystemClock};
//! use callcore::sim::{SimModel, SimTelephony};
//!
//! # async fn run() {
//! let clock = Arc::new(SystemClock);
//! let carrier = SimTelephony::new(7, SimModel::default(), clock.clone());
//! let store = Arc::new(MemoryStore::default());
//! let runtime = Runtime::builder(store, Arc::new(carrier.clone()), clock.clone(), clock)
//!     .simulated(carrier)
//!     .start();
//! // ... start campaigns; `runtime.handle()` is for everybody who changes something ...
//! runtime.shutdown().await;
//! # }
//! ```

mod machine;
mod recorder;

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

#[cfg(feature = "sim")]
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use machine::{OsEntropy, SystemClock};
pub use recorder::{RecordError, Recorder};

#[cfg(feature = "sim")]
use crate::actor::Actor;
use crate::driver::{Driver, Halt, Tick};
use crate::mailer::Mailer;
use crate::opt_outs::PendingOptOuts;
#[cfg(feature = "sim")]
use crate::port::{ActError, By};
use crate::port::{Store, StoreError, Telephony};
use crate::seal::Sealer;
#[cfg(feature = "sim")]
use crate::sim::{AgentPost, SimTelephony};
use crate::time::Clock;

/// The longest sleep between two ticks: work may appear that nobody woke us for, such as another
/// node's.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
/// The shortest sleep after a tick that dialled nothing, so that a due call that may not be dialled
/// yet does not spin the loop.
const SHORTEST_SLEEP: Duration = Duration::from_millis(10);
/// How often is looked for mails: they are not urgent, and notices gather for longer.
const POST_EVERY: Duration = Duration::from_secs(1);
/// How often what is kept too long is looked for, on the wall clock, and how soon after a failure.
const RETAIN_EVERY: TimeDelta = TimeDelta::hours(1);
const RETAIN_AGAIN: TimeDelta = TimeDelta::minutes(1);
/// How long a loop waits after a failure at most; it starts at the shortest sleep and doubles.
const LONGEST_BACKOFF: Duration = Duration::from_secs(10);

/// The running loops. Dropping it does not end them; [`shutdown`](Self::shutdown) does.
pub struct Runtime {
    shared: Arc<Shared>,
    /// In the order in which they must end: whoever produces events before the recorder.
    tasks: Vec<JoinHandle<()>>,
    recorder: JoinHandle<()>,
}

/// What everybody beside the loops may do with them: wake, record, ask.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

/// How the loops are, for readiness probes and pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// When the last tick ended, on the wall clock; none before the first, and once the loop died.
    pub ticked_at: Option<DateTime<Utc>>,
    /// Whether the store answered in the last tick.
    pub store_answers: bool,
    /// Why nothing is dispatched.
    pub halted: Option<Halt>,
    /// Whether the loops are ending.
    pub draining: bool,
    /// Ticks so far.
    pub ticks: u64,
    /// Those of them that the store failed.
    pub failed_ticks: u64,
}

impl Health {
    /// Whether calls are being dispatched.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        self.ticked_at.is_some() && self.store_answers && self.halted.is_none() && !self.draining
    }
}

/// A runtime to be started.
pub struct Builder {
    store: Arc<dyn Store>,
    carrier: Arc<dyn Telephony>,
    clock: Arc<dyn Clock>,
    wall: Arc<dyn Clock>,
    batch: u32,
    sweep_every: Duration,
    mailer: Option<Arc<Mailer>>,
    sealer: Option<Sealer>,
    opt_outs: PendingOptOuts,
    #[cfg(feature = "sim")]
    simulated: Option<SimTelephony>,
    #[cfg(feature = "sim")]
    agents: Option<Arc<dyn ResultSink>>,
}

/// Where simulated voice agents send their results, as real ones do.
#[cfg(feature = "sim")]
#[async_trait]
pub trait ResultSink: fmt::Debug + Send + Sync + 'static {
    /// Sends a result; whether it arrived, or never will.
    async fn send(&self, post: &AgentPost) -> bool;
}

impl Builder {
    /// How many calls a tick claims at most; 50 unless told.
    #[must_use]
    pub const fn batch(mut self, batch: u32) -> Self {
        self.batch = batch;
        self
    }

    /// How often the carrier is asked about unclear calls; every 5 seconds unless told.
    #[must_use]
    pub const fn sweep_every(mut self, period: Duration) -> Self {
        self.sweep_every = period;
        self
    }

    /// Tells people by mail what they should hear about.
    #[must_use]
    pub fn mailer(mut self, mailer: Arc<Mailer>) -> Self {
        self.mailer = Some(mailer);
        self
    }

    /// A simulated carrier in the same process, whose events are stored as they come.
    #[cfg(feature = "sim")]
    #[must_use]
    pub fn simulated(mut self, carrier: SimTelephony) -> Self {
        self.simulated = Some(carrier);
        self
    }

    /// Where the results of the simulated carrier's voice agents are sent. Without it they are put
    /// into the store as they are.
    #[cfg(feature = "sim")]
    #[must_use]
    pub fn agents(mut self, sink: Arc<dyn ResultSink>) -> Self {
        self.agents = Some(sink);
        self
    }

    /// With which tickets get the tokens of voice agents and of audio.
    #[must_use]
    pub fn sealer(mut self, sealer: Sealer) -> Self {
        self.sealer = Some(sealer);
        self
    }

    /// The opt-outs that the webhooks hold while the store is away: nobody of them is dialled, and
    /// sweeps store them.
    #[must_use]
    pub fn opt_outs(mut self, opt_outs: PendingOptOuts) -> Self {
        self.opt_outs = opt_outs;
        self
    }

    /// Starts the loops on the tokio runtime this is called in.
    #[must_use]
    pub fn start(self) -> Runtime {
        let wake = Arc::new(Notify::new());
        let (recorder, recording) =
            recorder::start(self.store.clone(), Arc::clone(&self.clock), Arc::clone(&wake));
        let (clock, wall) = (Arc::clone(&self.clock), Arc::clone(&self.wall));
        #[cfg(feature = "sim")]
        let store = Arc::clone(&self.store);
        let driver = Driver::new(self.store, self.carrier, self.clock, self.wall);
        let driver = driver.with_batch(self.batch).with_opt_outs(self.opt_outs);
        let shared = Arc::new(Shared {
            driver: Arc::new(match self.sealer {
                Some(sealer) => driver.with_sealer(sealer),
                None => driver,
            }),
            clock,
            wall,
            recorder,
            stop: CancellationToken::new(),
            wake,
            #[cfg(feature = "sim")]
            placed: Notify::new(),
            health: Mutex::new(Health {
                ticked_at: None,
                store_answers: true,
                halted: None,
                draining: false,
                ticks: 0,
                failed_ticks: 0,
            }),
            failures: AtomicU32::new(0),
        });
        let loops = [
            tokio::spawn(dispatch(Arc::clone(&shared))),
            tokio::spawn(sweep(Arc::clone(&shared), self.sweep_every)),
        ];
        #[cfg(feature = "sim")]
        let agents = Agents { store, sink: self.agents };
        #[cfg(feature = "sim")]
        let pumps =
            self.simulated.map(|carrier| tokio::spawn(pump(Arc::clone(&shared), carrier, agents)));
        #[cfg(not(feature = "sim"))]
        let pumps = None;
        let post = self.mailer.map(|mailer| tokio::spawn(post(Arc::clone(&shared), mailer)));
        let tasks = loops.into_iter().chain(pumps).chain(post).collect();
        Runtime { shared, tasks, recorder: recording }
    }
}

impl Runtime {
    /// A runtime that claims from `store` and dials through `carrier`. `clock` is the campaign
    /// clock, `wall` the one for leases and tickets.
    #[must_use]
    pub fn builder(
        store: Arc<dyn Store>,
        carrier: Arc<dyn Telephony>,
        clock: Arc<dyn Clock>,
        wall: Arc<dyn Clock>,
    ) -> Builder {
        Builder {
            store,
            carrier,
            clock,
            wall,
            batch: 50,
            sweep_every: Duration::from_secs(5),
            mailer: None,
            sealer: None,
            opt_outs: PendingOptOuts::default(),
            #[cfg(feature = "sim")]
            simulated: None,
            #[cfg(feature = "sim")]
            agents: None,
        }
    }

    /// A handle for everybody who changes something.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle { shared: Arc::clone(&self.shared) }
    }

    /// Drains: nothing more is claimed, the tick under way ends, events that were handed in are
    /// stored. Calls in progress go on at the carrier and are taken up after the next start.
    pub async fn shutdown(self) {
        self.shared.health(|health| health.draining = true);
        self.shared.stop.cancel();
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a loop of the runtime died");
            }
        }
        self.shared.recorder.close();
        if let Err(error) = self.recorder.await {
            tracing::error!(%error, "the event recorder died");
        }
    }
}

impl Handle {
    /// Tells the dispatcher that something changed: a campaign was started, a call moved. Without
    /// it the change shows within a second.
    pub fn wake(&self) {
        self.shared.wake.notify_one();
    }

    /// The recorder, for webhooks.
    #[must_use]
    pub fn recorder(&self) -> &Recorder {
        &self.shared.recorder
    }

    /// The driver of the loops, for whoever turns it besides them, such as a scheduler.
    #[must_use]
    pub fn driver(&self) -> Arc<Driver> {
        Arc::clone(&self.shared.driver)
    }

    /// How the loops are.
    #[must_use]
    pub fn health(&self) -> Health {
        *self.shared.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").finish_non_exhaustive()
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("batch", &self.batch).finish_non_exhaustive()
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("health", &self.health()).finish_non_exhaustive()
    }
}

struct Shared {
    driver: Arc<Driver>,
    clock: Arc<dyn Clock>,
    wall: Arc<dyn Clock>,
    recorder: Recorder,
    stop: CancellationToken,
    wake: Arc<Notify>,
    /// A tick dialled: the simulated carrier may have events sooner than it thought.
    #[cfg(feature = "sim")]
    placed: Notify,
    health: Mutex<Health>,
    /// Ticks that failed in a row.
    failures: AtomicU32,
}

impl Shared {
    fn health(&self, change: impl FnOnce(&mut Health)) -> Health {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *health;
        change(&mut health);
        before
    }

    /// Notes how a tick went; returns how long to sleep.
    fn after_tick(&self, result: &Result<Tick, StoreError>) -> Duration {
        let halted = result.as_ref().ok().and_then(|tick| tick.halted);
        let ticked_at = Some(self.wall.now());
        let before = self.health(|health| {
            health.ticked_at = ticked_at;
            health.store_answers = result.is_ok();
            health.halted = halted;
            health.ticks += 1;
            health.failed_ticks += u64::from(result.is_err());
        });
        match result {
            Ok(tick) => {
                self.failures.store(0, Ordering::Relaxed);
                match (before.halted, halted) {
                    (was, Some(halt)) if was != Some(halt) => {
                        tracing::warn!(?halt, "nothing is dispatched");
                    }
                    (Some(_), None) => tracing::info!("dispatching again"),
                    _ => {}
                }
                self.sleep_after(tick)
            }
            Err(error) => {
                tracing::warn!(error = error as &dyn std::error::Error, "a tick failed");
                backoff(self.failures.fetch_add(1, Ordering::Relaxed))
            }
        }
    }

    fn sleep_after(&self, tick: &Tick) -> Duration {
        if tick.halted.is_some() {
            return LONGEST_SLEEP;
        }
        let least = if tick.placed > 0 { Duration::ZERO } else { SHORTEST_SLEEP };
        let next = tick.next_due_at.map_or(LONGEST_SLEEP, |at| self.clock.until(at));
        next.clamp(least, LONGEST_SLEEP)
    }
}

/// Says that nothing is dispatched any more should the loop die: a server that looks ready and
/// calls nobody would be found out by its clients.
struct DeathNotice(Arc<Shared>);

impl Drop for DeathNotice {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("the dispatcher died: nothing is dispatched until a restart");
            self.0.health(|health| health.ticked_at = None);
        }
    }
}

/// A tick is never cut off: draining waits for it.
async fn dispatch(shared: Arc<Shared>) {
    let _notice = DeathNotice(Arc::clone(&shared));
    while !shared.stop.is_cancelled() {
        let result = shared.driver.tick().await;
        #[cfg(feature = "sim")]
        if result.as_ref().is_ok_and(|tick| tick.placed > 0) {
            shared.placed.notify_one();
        }
        let sleep = shared.after_tick(&result);
        if sleep.is_zero() {
            tokio::task::yield_now().await;
            continue;
        }
        tokio::select! {
            () = tokio::time::sleep(sleep) => {}
            () = shared.wake.notified() => {}
            () = shared.stop.cancelled() => {}
        }
    }
}

async fn sweep(shared: Arc<Shared>, every: Duration) {
    let mut retain_at = shared.wall.now();
    loop {
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            () = shared.stop.cancelled() => return,
        }
        match shared.driver.sweep().await {
            Ok(0) => {}
            Ok(asked) => {
                tracing::debug!(asked, "asked the carrier about unclear calls");
                shared.wake.notify_one();
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a sweep failed");
            }
        }
        if shared.wall.now() >= retain_at {
            retain_at = retain(&shared).await;
        }
    }
}

/// One round of retention; when the next one is, on the wall clock.
async fn retain(shared: &Shared) -> DateTime<Utc> {
    let now = shared.wall.now();
    match shared.driver.retain().await {
        Ok(retained) if retained.more => now,
        Ok(_) => now + RETAIN_EVERY,
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "retention failed");
            now + RETAIN_AGAIN
        }
    }
}

/// A mail under way is never cut off: draining waits for it, as long as its route takes to answer.
async fn post(shared: Arc<Shared>, mailer: Arc<Mailer>) {
    let mut failures = 0;
    while !shared.stop.is_cancelled() {
        let stop = &shared.stop;
        let mut sleep = POST_EVERY;
        match mailer.pass_while(&|| !stop.is_cancelled()).await {
            Ok(pass) => {
                failures = 0;
                if pass.failed > 0 {
                    tracing::warn!(mails = pass.failed, "mails were not sent");
                }
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "no mails went out");
                sleep = sleep.max(backoff(failures));
                failures += 1;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(sleep) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Carries the simulated carrier's events into the store. The carrier gives each away once, so they
/// are held until they are stored.
#[cfg(feature = "sim")]
async fn pump(shared: Arc<Shared>, carrier: SimTelephony, agents: Agents) {
    loop {
        let reports = carrier.advance();
        let mut tries = 0;
        while !reports.is_empty() && shared.recorder.record(reports.clone()).await.is_err() {
            // What is lost by giving up here is delivered again after the next start.
            if shared.stop.is_cancelled() {
                return;
            }
            tokio::time::sleep(backoff(tries)).await;
            tries += 1;
        }
        for post in carrier.take_posts() {
            agents.hand_in(&shared, &post).await;
        }
        if shared.stop.is_cancelled() {
            return;
        }
        let next = carrier.next_delivery().map_or(LONGEST_SLEEP, |at| shared.clock.until(at));
        tokio::select! {
            // A clock may round down and ask for no sleep at all, a moment too early.
            () = tokio::time::sleep(next.clamp(Duration::from_millis(1), LONGEST_SLEEP)) => {}
            () = shared.placed.notified() => {}
            () = shared.stop.cancelled() => {}
        }
    }
}

/// The way of simulated voice agents' results.
#[cfg(feature = "sim")]
struct Agents {
    store: Arc<dyn Store>,
    sink: Option<Arc<dyn ResultSink>>,
}

#[cfg(feature = "sim")]
impl Agents {
    /// How often a result is tried to be handed in.
    const TRIES: u32 = 8;

    async fn hand_in(&self, shared: &Shared, post: &AgentPost) {
        for tries in 0..Self::TRIES {
            let arrived = match &self.sink {
                // A call that was taken up after a restart has no token any more.
                Some(sink) if post.token.is_some() => sink.send(post).await,
                _ => {
                    let by = By::new(&Actor::Agent, shared.clock.now());
                    match self.store.report_result(by, post.call, &post.result).await {
                        Ok(_) | Err(ActError::Refused(_)) => true,
                        Err(ActError::Store(_)) => false,
                    }
                }
            };
            if arrived {
                shared.wake.notify_one();
                return;
            }
            tokio::time::sleep(backoff(tries)).await;
        }
        tracing::warn!(call = %post.call, "a simulated agent's result did not arrive");
    }
}

fn backoff(failures: u32) -> Duration {
    SHORTEST_SLEEP.saturating_mul(1_u32 << failures.min(16)).min(LONGEST_BACKOFF)
}

#[cfg(test)]
mod tests;
