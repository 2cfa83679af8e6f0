//! What the benches share: a campaign that is always open, and clients with fictional numbers.

use std::fmt::Write as _;

use callcore::campaign::Settings;
use chrono::{DateTime, Utc};

/// A campaign that is open around the clock in UTC and as fast as settings allow.
#[must_use]
pub fn settings() -> Settings {
    let day = serde_json::json!([["00:00", "24:00"]]);
    let document = serde_json::json!({
        "name": "Bench",
        "hours": {"mon": day, "tue": day, "wed": day, "thu": day, "fri": day, "sat": day, "sun": day},
        "zone_policy": "campaign",
        "pacing": {"max_concurrent": 10_000, "calls_per_second": 10_000},
        "caps": [{"max": 3, "per": "PT24H"}],
    });
    Settings::from_json(&document).expect("the bench's settings are valid")
}

/// The instant the benches begin at: a Monday.
#[must_use]
pub fn start() -> DateTime<Utc> {
    "2026-11-23T15:00:00Z".parse().expect("a literal instant")
}

/// A CSV of `rows` clients, each with a number of its own in a form people write.
#[must_use]
pub fn csv(rows: u32) -> String {
    let mut csv = String::from("First Name,Last Name,Phone,Email,Balance Due,Tags\n");
    // Exchanges 200 to 999 of four area codes, lines 0000 to 9999: more numbers than any bench asks
    // for. They are only parsed, never dialled.
    for row in 0..rows {
        let area = [212, 303, 415, 617][(row % 4) as usize];
        let (exchange, line) = (200 + row / 40_000, (row / 4) % 10_000);
        let _ = writeln!(
            csv,
            "Ada{row},Lovelace,({area}) {exchange}-{line:04},c{row}@example.com,12.50,renewal"
        );
    }
    csv
}
