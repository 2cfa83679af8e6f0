//! Nothing is lost and nobody is called twice, whatever moment the server is killed at.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Server, TOKEN};
use crate::job::{any_hour, assert_counts_agree, ended_calls, started};

const LIST: &[u8] = include_bytes!("../../../../callcore/tests/data/clients.csv");
const KILLS: u32 = 50;
const DIAL_LOG: &str = "dials.jsonl";
/// A day, after which a call that nobody knows of is given up, has to pass before the store asks
/// the carrier about it for the first time, half a minute after its intent was stored.
const SPEED: &str = "3600";

#[tokio::test]
async fn a_server_killed_fifty_times_forgets_nobody_and_dials_nobody_twice() {
    let mut dice = Dice::from_environment();
    let directory = tempfile::tempdir().unwrap();
    let address = free_address();
    let server_url = format!("http://{address}");
    let secret = ("CALLCORE_SIM_CARRIER_SECRET", "known to both");
    let carrier = Server::carrier(
        directory.path(),
        &[
            secret,
            ("CALLCORE_SIM_CARRIER_LOG", DIAL_LOG),
            ("CALLCORE_SIM_CARRIER_SERVER_URL", &server_url),
            ("CALLCORE_SIM_SEED", "11"),
        ],
    );
    let settings = [
        secret,
        ("CALLCORE_SIM_CARRIER_URL", carrier.url()),
        ("CALLCORE_API_TOKEN", TOKEN),
        ("CALLCORE_SIM_SPEED", SPEED),
        ("RUST_LOG", "error"),
    ];
    let start = || Server::start_on(directory.path(), &address, &settings);

    // The list comes in pieces, so that there is fresh work for every kill to strike. A claim holds
    // its slot for a minute after the claimant died, so there have to be many slots.
    let mut pieces = pieces().into_iter();
    let mut server = start();
    let first = pieces.next().unwrap();
    let mut settings = any_hour("Killed", 5000);
    // Calls that a kill leaves unknown count as failed, and here there are many.
    settings["breaker"] = serde_json::Value::Null;
    let (id, report) = started(&server.api(), &settings, first).await;
    let mut accepted = report["accepted"].as_u64().unwrap();
    let mut struck = 0;
    for kill in 1..=KILLS {
        tokio::time::sleep(Duration::from_millis(dice.below(300))).await;
        server.kill();
        server = start();
        let api = server.api();
        let campaign = api.get(&format!("/api/campaigns/{id}")).await;
        let in_progress = campaign["calls_in_progress"].as_u64().unwrap();
        println!("kill {kill}: {} calls ended, {in_progress} in progress", campaign["attempted"]);
        struck += u32::from(in_progress > 0);
        if let Some(piece) = pieces.next() {
            accepted += api.imported(&id, piece).await["accepted"].as_u64().unwrap();
        }
    }
    assert!(struck > KILLS / 2, "only {struck} kills struck calls in progress");
    let api = server.api();
    assert_counts_agree(&api, &id, accepted).await;

    let dialled = dialled_once(&directory.path().join(DIAL_LOG));
    let ended = ended_calls(&api, &id).await;
    let unheard_of: Vec<&String> = dialled.iter().filter(|id| !ended.contains_key(*id)).collect();
    assert!(unheard_of.is_empty(), "dialled and not in the history: {unheard_of:?}");
    let lost = ended.iter().filter(|(call, how)| *how == "failed" && !dialled.contains(*call));
    let lost = lost.count() as u64;
    println!("{lost} of {accepted} intents were stored and never dialled");
    assert!(lost * 2 < accepted, "a kill loses the tickets of a moment, not the campaign");
    for (call, outcome) in &ended {
        let needs_a_dial =
            matches!(outcome.as_str(), "answered" | "voicemail" | "no_answer" | "busy");
        assert!(!needs_a_dial || dialled.contains(call), "{call} was never dialled: {outcome}");
    }
}

/// The list in as many pieces as there are kills.
fn pieces() -> Vec<Vec<u8>> {
    let mut lines = LIST.split_inclusive(|byte| *byte == b'\n');
    let header = lines.next().unwrap();
    let rows: Vec<&[u8]> = lines.collect();
    let rows = rows.chunks(rows.len().div_ceil(KILLS as usize));
    rows.map(|rows| [header, &rows.concat()].concat()).collect()
}

/// The calls of the carrier's log, each of which stands there once.
fn dialled_once(log: &Path) -> BTreeSet<String> {
    let mut calls = BTreeSet::new();
    for line in std::fs::read_to_string(log).unwrap().lines() {
        let entry: Value = serde_json::from_str(line).unwrap();
        if entry["kind"] == "dial" {
            let call = entry["call"].as_str().unwrap().to_owned();
            assert!(calls.insert(call), "dialled twice: {line}");
        }
    }
    assert!(!calls.is_empty());
    calls
}

/// An address to listen on again after every kill, so that the carrier finds the server.
fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// The moments of the kills.
struct Dice(u64);

impl Dice {
    /// `CALLCORE_TEST_CRASH_SEED` chooses other moments.
    fn from_environment() -> Self {
        let seed = std::env::var("CALLCORE_TEST_CRASH_SEED");
        let seed = seed.map_or(1, |seed| seed.parse().expect("a number"));
        println!("CALLCORE_TEST_CRASH_SEED={seed}");
        Self(seed)
    }

    /// From 0 up to, not including, `limit`: splitmix64.
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}
