//! What everything in a run shares: clocks, chances, the trace and the judge.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use chrono::{DateTime, TimeDelta, Utc};

use super::Stats;
use super::dice::Dice;
use super::judge::Judge;
use crate::time::{Clock, ManualClock};

/// How many lines a failure shows.
const TAIL: usize = 80;

pub(super) struct Stage {
    pub(super) clock: Arc<ManualClock>,
    pub(super) wall: Arc<ManualClock>,
    inner: Mutex<Inner>,
}

pub(super) struct Inner {
    pub(super) dice: Dice,
    pub(super) judge: Judge,
    pub(super) stats: Stats,
    pub(super) troubles: Troubles,
    /// Whether there are storms in this run at all.
    pub(super) is_stormy: bool,
    /// The chances of storms.
    pub(super) weather: Dice,
    /// Until when the store takes no opt-out, whatever else it takes.
    pub(super) refuses_opt_outs_until: Option<DateTime<Utc>>,
    trace: VecDeque<String>,
    verbose: bool,
}

/// What goes wrong, in so many of a thousand cases.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Troubles {
    pub(super) store: u64,
    pub(super) death: u64,
    pub(super) carrier: u64,
}

impl Stage {
    pub(super) fn new(start: DateTime<Utc>, dice: Dice, verbose: bool) -> Self {
        let mut weather = dice.apart();
        Self {
            clock: Arc::new(ManualClock::new(start)),
            wall: Arc::new(ManualClock::new(start)),
            inner: Mutex::new(Inner {
                is_stormy: weather.chance(500),
                weather,
                refuses_opt_outs_until: None,
                dice,
                judge: Judge::default(),
                stats: Stats::default(),
                troubles: Troubles::default(),
                trace: VecDeque::new(),
                verbose,
            }),
        }
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    pub(super) fn wall(&self) -> DateTime<Utc> {
        self.wall.now()
    }

    pub(super) fn advance(&self, campaign: TimeDelta, wall: TimeDelta) {
        self.clock.advance(campaign);
        self.wall.advance(wall);
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the store takes no opt-out now.
    pub(super) fn refuses_opt_outs(&self) -> bool {
        let now = self.now();
        self.lock().refuses_opt_outs_until.is_some_and(|until| now < until)
    }

    pub(super) fn trace(&self, line: fmt::Arguments<'_>) {
        let now = self.now();
        self.lock().trace(now, line);
    }

    /// Lets others go first: the place where a task can be overtaken, or die.
    pub(super) async fn pause(&self) {
        let times = {
            let dice = &mut self.lock().dice;
            if dice.chance(250) { 1 + dice.below(6) } else { 1 }
        };
        for _ in 0..times {
            Yield::default().await;
        }
    }
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage").finish_non_exhaustive()
    }
}

impl Inner {
    pub(super) fn trace(&mut self, now: DateTime<Utc>, line: fmt::Arguments<'_>) {
        let line = format!("{} {line}", now.format("%m-%d %H:%M:%S%.3f"));
        // FNV-1a: the hash is what two runs of one seed are compared by.
        for byte in line.as_bytes() {
            self.stats.trace_hash =
                (self.stats.trace_hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        if self.trace.len() == TAIL && !self.verbose {
            self.trace.pop_front();
        }
        self.trace.push_back(line);
    }

    pub(super) fn tail(&mut self) -> Vec<String> {
        self.trace.drain(..).collect()
    }
}

#[derive(Default)]
struct Yield {
    yielded: bool,
}

impl Future for Yield {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.yielded {
            return Poll::Ready(());
        }
        self.yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}
