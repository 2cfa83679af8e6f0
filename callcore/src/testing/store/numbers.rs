//! Adding up: counters and their bounds, numbers by tag, what needs attention, what is to come.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::analytics::Totals;
use crate::call::{AnsweredBy, Ending, EventKind, Outcome, Report};
use crate::campaign::Transition;
use crate::client::ClientStatus;
use crate::dnc::DncScope;
use crate::engine::UNKNOWN_LIMIT;
use crate::id::{CallId, CampaignId};
use crate::import::{ImportReport, RejectCode, Rejection};
use crate::port::{ImportStatus, NewClient, Rejects, Store, Tagged};
use crate::testing::fixtures::{Scene, Seed, ended};

/// A running campaign with a client for each set of tags; key 1 tags as `confirmed`.
async fn tagged(scene: &Scene<'_>, tags: &[&[&str]]) -> (CampaignId, Vec<Seed>) {
    let script = json!({"steps": [{"say": "Hello."}], "keys": {"1": {"tag": "confirmed"}}});
    let campaign = scene.draft(json!({"script": script})).await;
    let import = scene.begin_import(campaign).await;
    let clients: Vec<NewClient> = tags
        .iter()
        .zip(2..)
        .map(|(tags, line)| NewClient {
            tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
            ..scene.new_client(scene.number(), line)
        })
        .collect();
    scene.store.add_clients(scene.by(), import, &clients).await.expect("added");
    scene.change(campaign, Transition::Start).await;
    let seed = |new: &NewClient| Seed { client: new.id, call: new.call, phone: new.phone };
    (campaign, clients.iter().map(seed).collect())
}

async fn of(scene: &Scene<'_>, campaign: CampaignId, tags: &[&str]) -> Tagged {
    let tags: Vec<String> = tags.iter().map(|&tag| tag.to_owned()).collect();
    scene.store.tagged(campaign, &tags, None, None).await.expect("numbers")
}

fn outcomes(tagged: &Tagged) -> BTreeMap<Outcome, u64> {
    Totals::of(&tagged.tallies).outcomes
}

pub async fn c5_tallies_count_no_more_than_their_bounds_hold(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, seeds) = scene.running(Value::Null, 9).await;
    scene.dial_due().await;
    let mut ends = Vec::new();
    for seed in &seeds {
        scene.advance(TimeDelta::minutes(4));
        scene.end(seed.call, Ending::Busy).await;
        ends.push(scene.now());
    }
    // From within one quarter to within another, to the second and off it.
    for (first, last) in [(0, 9), (1, 8), (2, 3), (4, 4), (0, 1)] {
        for shift in [0, 1] {
            let shift = TimeDelta::seconds(shift);
            let bound = |index: usize| {
                ends.get(index).map_or(scene.now() + TimeDelta::minutes(1), |at| *at + shift)
            };
            let (from, to) = (bound(first), bound(last));
            let wanted = ends.iter().filter(|at| **at >= from && **at < to).count() as u64;
            for of in [Some(campaign), None] {
                let rows = store.tallies(of, Some(from), Some(to)).await.expect("tallies");
                assert_eq!(Totals::of(&rows).attempted(), wanted, "{from} to {to}");
            }
        }
    }
    scene.check().await;
}

pub async fn m1_numbers_of_a_tag_are_those_of_its_clients_each_once(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, seeds) = tagged(&scene, &[&["a"], &["a", "b"], &["b"], &[]]).await;
    let (other, _) = tagged(&scene, &[&["a"]]).await;
    scene.dial_due().await;
    scene.answer(seeds[0].call, AnsweredBy::Human).await;
    let between = scene.now() + TimeDelta::seconds(5);
    scene.end(seeds[1].call, Ending::Busy).await;
    scene.answer(seeds[2].call, AnsweredBy::Human).await;
    let both = of(&scene, campaign, &["a", "b"]).await;
    let counted = [(Outcome::Answered, 2), (Outcome::Busy, 1)];
    assert_eq!(outcomes(&both), counted.into(), "who has both tags counts once");
    assert_eq!(Totals::of(&both.tallies).talk_seconds, 60);
    let statuses = [(ClientStatus::Scheduled, 1), (ClientStatus::Reached, 2)];
    assert_eq!(both.clients, statuses.into());
    assert_eq!(outcomes(&of(&scene, campaign, &["b"]).await).values().sum::<u64>(), 2);
    assert_eq!(of(&scene, campaign, &["c"]).await, Tagged::default());
    assert_eq!(of(&scene, campaign, &[]).await, Tagged::default());
    assert!(outcomes(&of(&scene, other, &["a"]).await).is_empty(), "another campaign's");
    let a = ["a".to_owned()];
    let later = store.tagged(campaign, &a, Some(between), None).await.expect("numbers");
    assert_eq!(outcomes(&later), [(Outcome::Busy, 1)].into());
    let before = store.tagged(campaign, &a, None, Some(between)).await.expect("numbers");
    assert_eq!(outcomes(&before), [(Outcome::Answered, 1)].into());
    scene.check().await;
}

pub async fn m1_numbers_of_a_tag_follow_late_news_and_new_tags(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, seeds) = tagged(&scene, &[&["a"], &[]]).await;
    scene.dial_due().await;
    for seed in &seeds {
        scene.answer(seed.call, AnsweredBy::Human).await;
    }
    assert!(of(&scene, campaign, &["confirmed"]).await.clients.is_empty());
    scene.hear(seeds[1].call, [EventKind::Key { digit: '1', press: 0 }]).await;
    let confirmed = of(&scene, campaign, &["confirmed"]).await;
    assert_eq!(outcomes(&confirmed), [(Outcome::Answered, 1)].into());
    // It was a machine after all.
    scene.hear(seeds[0].call, [EventKind::Detected { by: AnsweredBy::Machine }]).await;
    let first = of(&scene, campaign, &["a"]).await;
    let outcome = scene.call(seeds[0].call).await.call.outcome().expect("it ended");
    assert_eq!(outcomes(&first), [(outcome, 1)].into());
    scene.check().await;
}

pub async fn m2_attention_names_what_nobody_has_seen_to(store: &dyn Store) {
    let scene = Scene::new(store);
    let since = scene.now();
    let asked = async |limit| store.attention(since, limit).await.expect("attention");
    assert_eq!(asked(10).await, Default::default());
    let (campaign, seeds) = scene.running(Value::Null, 4).await;
    scene.dial_due().await;
    for seed in &seeds[..3] {
        scene.hear(seed.call, [EventKind::Unclear]).await;
    }
    let mut unknown: Vec<CallId> = seeds[..3].iter().map(|seed| seed.call).collect();
    unknown.sort();
    assert_eq!(asked(10).await.unknown_calls, unknown);
    assert_eq!(asked(2).await.unknown_calls, unknown[..2]);
    scene.advance(UNKNOWN_LIMIT);
    scene.hear(seeds[0].call, [EventKind::GivenUp]).await;
    scene.hear(seeds[1].call, [EventKind::GivenUp]).await;
    assert_eq!(asked(10).await.clients_to_follow_up, [(campaign, 2)]);
    // The carrier knew after all.
    let began = scene.now() - UNKNOWN_LIMIT;
    let busy = Report::ours(seeds[0].call, began, ended(Ending::Busy, 0));
    scene.record(vec![busy]).await;
    assert_eq!(asked(10).await.clients_to_follow_up, [(campaign, 1)]);
    let rejected = |rows: u64| {
        let mut report = ImportReport::default();
        for line in 0..rows {
            report.count_rejected(Rejection {
                line: line + 2,
                column: "Phone".to_owned(),
                value: String::new(),
                code: RejectCode::MissingPhone,
                message: String::new(),
            });
        }
        report
    };
    let mut wanted = Vec::new();
    for rows in [3, 0, 5] {
        scene.advance(TimeDelta::minutes(1));
        let import = scene.begin_import(campaign).await;
        let report = rejected(rows);
        let running = ImportStatus::Running;
        store.report_import(scene.by(), import, running, &report).await.expect("reported");
        assert!(asked(10).await.rejects.iter().all(|it| it.import != import), "it runs");
        let done = ImportStatus::Done;
        store.report_import(scene.by(), import, done, &report).await.expect("reported");
        if rows > 0 {
            wanted.insert(0, Rejects { import, campaign, rows });
        }
    }
    assert_eq!(asked(10).await.rejects, wanted);
    assert_eq!(asked(1).await.rejects, wanted[..1]);
    let later = store.attention(scene.now(), 10).await.expect("attention");
    assert_eq!(later.rejects, wanted[..1], "only what began since");
    scene.check().await;
}

pub async fn m3_every_waiting_call_comes_once_in_the_order_of_the_list(store: &dyn Store) {
    let scene = Scene::new(store);
    let draft = scene.draft(Value::Null).await;
    let numbers: Vec<_> = (0..7).map(|_| scene.number()).collect();
    scene.block(numbers[2], DncScope::Global).await;
    let seeds = scene.import(draft, &numbers).await;
    scene.running_one(Value::Null).await;
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let part = store.waiting(draft, after, 2).await.expect("a part");
        for facts in part.facts {
            assert_eq!(Some(&facts), store.facts(facts.call).await.expect("read").as_ref());
            seen.push(facts.call);
        }
        // What was given does not come again, whenever it is due now.
        if let Some(last) = seen.last() {
            let due_at = scene.now() + TimeDelta::hours(seen.len() as i64);
            store.reschedule(scene.by(), *last, due_at).await.expect("moved");
        }
        match part.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    let wanted: Vec<CallId> =
        seeds.iter().enumerate().filter(|(at, _)| *at != 2).map(|(_, seed)| seed.call).collect();
    assert_eq!(seen, wanted, "nobody on a list has a call to come");
    scene.check().await;
}
