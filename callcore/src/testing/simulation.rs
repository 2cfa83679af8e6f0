//! The simulation with faults: the real [`Driver`](crate::driver::Driver) over the real
//! [`MemoryStore`](crate::memory::MemoryStore), one thread, one seed.
//!
//! Commits fail before or after they take effect, dispatchers die at any await, the carrier takes
//! calls and loses the answer, opt-outs are heard while they can't be stored, and people put numbers
//! on the DNC list, pause campaigns and change settings between one step of a dispatcher and the
//! next, over weeks in which the clocks change.
//! A judge that shares no rule with the code it judges sees only what was committed, what the
//! carrier was asked, and which events came in; at the end everything is recounted.
//!
//! ```
//! use callcore::testing::simulation::{Options, run};
//! let stats = run(1, &Options::default()).unwrap();
//! assert_eq!(run(1, &Options::default()).unwrap(), stats);
//! ```

mod audit;
mod carrier;
mod dice;
mod evidence;
mod judge;
mod people;
mod spec;
mod stage;
mod store;
mod storm;
mod world;

use std::fmt;
use std::ops::AddAssign;

use dice::Dice;
use world::World;

/// How large and how rough a run is. What happens in so many of a thousand cases is a chance for
/// each single operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How many days of the campaign clock trouble lasts; then everything comes to rest.
    pub days: u32,
    /// How many campaigns share the numbers.
    pub campaigns: u32,
    /// How many clients each campaign begins with, about.
    pub clients: u32,
    /// How many things people do, at most.
    pub acts: u32,
    /// Of a thousand commits, how many fail before and how many after taking effect.
    pub failing_commits: u32,
    /// Of a thousand steps of a dispatcher, at how many it dies.
    pub deaths: u32,
    /// Of a thousand requests to the carrier, how many go wrong in some way.
    pub carrier_trouble: u32,
    /// Keeps the whole trace for a failure, rather than its end.
    pub whole_trace: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            days: 10,
            campaigns: 4,
            clients: 16,
            acts: 80,
            failing_commits: 20,
            deaths: 8,
            carrier_trouble: 120,
            whole_trace: false,
        }
    }
}

/// What happened in a run that held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Steps of the scheduler.
    pub steps: u64,
    /// Calls claimed.
    pub claims: u64,
    /// Intents stored.
    pub begun: u64,
    /// Intents that stores refused.
    pub refused_begins: u64,
    /// Intents taken back.
    pub taken_back: u64,
    /// Dials.
    pub dials: u64,
    /// Answers of the carrier that said nothing.
    pub unclear: u64,
    /// Events recorded, repeats included.
    pub events: u64,
    /// Commits that failed before or after taking effect.
    pub failed_commits: u64,
    /// Dispatchers that died in the middle of something.
    pub deaths: u64,
    /// Times at which a task stood still for seconds.
    pub stalls: u64,
    /// Things people did that were done.
    pub acts: u64,
    /// Campaigns that paused themselves.
    pub tripped: u64,
    /// Opt-outs that were held because the store failed.
    pub held_opt_outs: u64,
    /// Dials that were not made because an opt-out of their number waited to be stored.
    pub held_back: u64,
    /// Calls that the carrier was asked to hang up again, after it could not the first time.
    pub asked_to_hang_up_again: u64,
    /// Calls that stayed unknown.
    pub given_up: u64,
    /// Results that voice agents reported, repeats included.
    pub results: u64,
    /// A hash of everything that happened, in order.
    pub trace_hash: u64,
}

impl AddAssign<&Self> for Stats {
    /// Adds up what happened in several runs.
    fn add_assign(&mut self, run: &Self) {
        self.steps += run.steps;
        self.claims += run.claims;
        self.begun += run.begun;
        self.refused_begins += run.refused_begins;
        self.taken_back += run.taken_back;
        self.held_opt_outs += run.held_opt_outs;
        self.held_back += run.held_back;
        self.asked_to_hang_up_again += run.asked_to_hang_up_again;
        self.dials += run.dials;
        self.unclear += run.unclear;
        self.events += run.events;
        self.failed_commits += run.failed_commits;
        self.deaths += run.deaths;
        self.stalls += run.stalls;
        self.acts += run.acts;
        self.tripped += run.tripped;
        self.given_up += run.given_up;
        self.results += run.results;
        self.trace_hash ^= run.trace_hash;
    }
}

/// A run in which an invariant broke. Its `Display` has the seed, which replays it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// What broke.
    pub what: String,
    /// What happened before, the last line last.
    pub trace: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.trace {
            writeln!(f, "  {line}")?;
        }
        write!(f, "seed {}: {}", self.seed, self.what)
    }
}

impl std::error::Error for Failure {}

/// Runs one seed until everything has come to rest.
///
/// # Errors
///
/// An invariant broke.
pub fn run(seed: u64, options: &Options) -> Result<Stats, Box<Failure>> {
    let mut world = World::new(Dice::new(seed), options);
    let held = world.run().and_then(|()| world.audit());
    world.end(held).map_err(|(what, trace)| Box::new(Failure { seed, what, trace }))
}
