//! What one decision costs, inside and outside the calling hours.

use std::hint::black_box;
use std::sync::Arc;

use callcore::account::Day;
use callcore::call::Intent;
use callcore::campaign::{RunState, Settings};
use callcore::client::{ClientZone, ZoneSource};
use callcore::engine::{AccountFacts, Facts, Lease, Person, decide};
use callcore::id::{CallId, CampaignId, ClientId};
use callcore::time::SeededEntropy;
use callcore_benches::start;
use chrono::{DateTime, Utc};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

fn facts() -> Facts {
    let week = serde_json::json!([["09:00", "12:00"], ["13:00", "17:00"]]);
    let settings = Settings::from_json(&serde_json::json!({
        "name": "Bench",
        "hours": {"mon": week, "tue": week, "wed": week, "thu": week, "fri": week},
        "caps": [{"max": 3, "per": "PT24H"}, {"max": 7, "per": "P7D"}],
    }))
    .expect("the bench's settings are valid");
    let entropy = SeededEntropy::new(7);
    let zone = |name: &str| ClientZone {
        zone: name.parse().expect("a literal zone"),
        source: ZoneSource::Number,
    };
    Facts {
        call: CallId::new(start(), &entropy),
        campaign: CampaignId::new(start(), &entropy),
        client: Some(ClientId::new(start(), &entropy)),
        phone: "+12125550123".parse().expect("a literal number"),
        attempt: 2,
        intent: Intent::Plan,
        due_at: start(),
        lease: Lease { epoch: 1 },
        run_state: RunState::Running,
        settings_version: 1,
        settings: Arc::new(settings),
        zones: vec![zone("America/New_York"), zone("America/Chicago")],
        active: true,
        consent: true,
        dnc: None,
        number_live: false,
        number_dials: vec![start() - chrono::TimeDelta::hours(30)],
        number_ends: Vec::new(),
        campaign_day: Day::default(),
        account: Arc::new(AccountFacts {
            stopped: false,
            settings: Arc::default(),
            today: Day::default(),
            in_flight: 0,
            next_dial_at: start(),
        }),
        client_dials: 1,
        person: Person {
            name: "Ada Lovelace".to_owned(),
            columns: vec![("Phone".to_owned(), "(212) 555-0123".to_owned())],
            ..Person::default()
        },
        audio: Vec::new(),
    }
}

fn bench(c: &mut Criterion) {
    let mut group = c.benchmark_group("decide");
    // 10:00 in New York and 9:00 in Chicago; 5:30 and 4:30; Saturday.
    for (name, now) in [
        ("inside_hours", "2026-11-23T15:00:00Z"),
        ("before_hours", "2026-11-23T10:30:00Z"),
        ("weekend", "2026-11-28T15:00:00Z"),
    ] {
        let now: DateTime<Utc> = now.parse().expect("a literal instant");
        let facts = facts();
        group.bench_function(name, |b| {
            b.iter_batched(
                || facts.clone(),
                |facts| decide(black_box(facts), black_box(now)),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
