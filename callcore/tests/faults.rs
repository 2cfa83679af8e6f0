//! The simulation with faults, over many seeds.
//!
//! `CALLCORE_SIM_SEED=7` replays one seed with its whole trace; `CALLCORE_SIM_SEEDS=10000` runs
//! that many.

use std::panic::{AssertUnwindSafe, catch_unwind};

use callcore::testing::simulation::{Options, Stats, run};

const SEEDS: u64 = 100;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect(name))
}

fn held(seed: u64, options: &Options) -> Stats {
    match catch_unwind(AssertUnwindSafe(|| run(seed, options))) {
        Ok(Ok(stats)) => stats,
        Ok(Err(failure)) => panic!("{failure}\nreplay it with CALLCORE_SIM_SEED={seed}"),
        Err(_) => panic!("it panicked; replay it with CALLCORE_SIM_SEED={seed}"),
    }
}

#[test]
fn every_invariant_holds_whatever_fails() {
    if let Some(seed) = number("CALLCORE_SIM_SEED") {
        let options = Options { whole_trace: true, ..Options::default() };
        println!("{:#?}", held(seed, &options));
        return;
    }
    let seeds = number("CALLCORE_SIM_SEEDS").unwrap_or(SEEDS);
    let mut all = Stats::default();
    for seed in 0..seeds {
        all += &held(seed, &Options::default());
    }
    println!("{all:#?}");
    if seeds < 50 {
        return;
    }
    // A simulation in which nothing goes wrong shows nothing.
    for (what, count) in [
        ("dials", all.dials),
        ("intents taken back", all.taken_back),
        ("intents refused", all.refused_begins),
        ("failed commits", all.failed_commits),
        ("deaths", all.deaths),
        ("acts of people", all.acts),
        ("unclear answers", all.unclear),
        ("campaigns that paused themselves", all.tripped),
        ("calls that stayed unknown", all.given_up),
        ("stalls", all.stalls),
    ] {
        assert!(count >= seeds, "only {count} {what} in {seeds} seeds");
    }
    // Somebody opts out, and the store is away in that moment: that is rare.
    let held = all.held_opt_outs;
    assert!(held * 20 >= seeds, "only {held} opt-outs held in {seeds} seeds");
    let back = all.held_back;
    assert!(back * 4 >= seeds, "only {back} dials held back in {seeds} seeds");
    // So is somebody who is listed or erased while nobody knows the call's name at the carrier.
    let late = all.asked_to_hang_up_again;
    assert!(late * 50 >= seeds, "only {late} calls asked to be hung up again in {seeds} seeds");
}

#[test]
fn a_seed_replays_exactly() {
    for seed in [3, 14] {
        let first = held(seed, &Options::default());
        assert_eq!(held(seed, &Options::default()), first);
        assert_ne!(held(seed + 1, &Options::default()).trace_hash, first.trace_hash);
    }
}
