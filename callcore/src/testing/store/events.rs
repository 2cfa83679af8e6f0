//! A call's row is a function of the set of its events: every order, one by one or all at once, with
//! repeats, leads to the same place.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::StoreFactory;
use crate::call::{AnsweredBy, CallEvent, CallRef, Ending, EventKind, Report, Speaker};
use crate::campaign::RunState;
use crate::client::Client;
use crate::dnc::DncEntry;
use crate::port::{AuditQuery, AuditRow, CallView, CampaignProgress, DncQuery, Store, TallyRow};
use crate::testing::fixtures::{Scene, ended};

/// Everything that follows from the events of one call.
#[derive(Debug, PartialEq)]
struct Consequences {
    calls: Vec<CallView>,
    events: Vec<CallEvent>,
    client: Client,
    state: RunState,
    progress: CampaignProgress,
    tallies: Vec<TallyRow>,
    dnc: Vec<DncEntry>,
    audit: Vec<AuditRow>,
}

/// How the events reach the store.
#[derive(Debug, Clone, Copy)]
enum Delivery {
    OneByOne,
    AtOnce,
    EachTwice,
}

async fn consequences(
    store: &dyn Store,
    events: &[(i64, EventKind)],
    order: &[usize],
    delivery: Delivery,
) -> Consequences {
    let scene = Scene::new(store);
    let changes = json!({"retry": {"connect": ["PT3H", "PT5H"], "max_attempts": 5}});
    let (campaign, seed) = scene.running_one(changes).await;
    scene.dial_due().await;
    let began: DateTime<Utc> = scene.now();
    let report = |index: &usize| {
        let (second, kind) = &events[*index];
        let event = CallEvent { at: began + TimeDelta::seconds(*second), kind: kind.clone() };
        Report { call: CallRef::Ours(seed.call), event }
    };
    let reports: Vec<Report> = order.iter().map(report).collect();
    scene.advance(TimeDelta::days(2));
    match delivery {
        Delivery::AtOnce => drop(scene.record(reports).await),
        Delivery::OneByOne => {
            for report in reports {
                scene.record(vec![report]).await;
            }
        }
        Delivery::EachTwice => {
            for report in reports.iter().chain(reports.iter().rev()) {
                scene.record(vec![report.clone(), report.clone()]).await;
            }
        }
    }
    scene.check().await;
    let mut calls = vec![scene.call(seed.call).await];
    calls.extend(scene.upcoming(campaign).await);
    let view = scene.campaign(campaign).await;
    Consequences {
        calls,
        events: store.events(seed.call).await.expect("read"),
        client: scene.client(seed.client).await.client,
        state: view.campaign.state,
        progress: view.progress,
        tallies: store.tallies(None, None, None).await.expect("read"),
        dnc: store.dnc(&DncQuery { limit: 10, ..DncQuery::default() }).await.expect("read").items,
        audit: store.audit(&AuditQuery::newest(10)).await.expect("read").items,
    }
}

/// Plays the events in every order, or in as many as the factory allows.
async fn every_order<F: StoreFactory>(factory: &F, events: &[(i64, EventKind)]) {
    let orders = permutations(events.len());
    let step = orders.len().div_ceil(factory.orders().max(1));
    let mut first: Option<Consequences> = None;
    for (index, order) in orders.iter().step_by(step).enumerate() {
        let delivery = [Delivery::OneByOne, Delivery::AtOnce, Delivery::EachTwice][index % 3];
        let (guard, store) = factory.build().await;
        let found = consequences(&store, events, order, delivery).await;
        drop(store);
        drop(guard);
        match &first {
            None => first = Some(found),
            Some(first) => assert_eq!(&found, first, "in the order {order:?}, {delivery:?}"),
        }
    }
}

/// Every order of so many things, in lexicographic order.
fn permutations(len: usize) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    for _ in 0..len {
        all = all
            .into_iter()
            .flat_map(|start: Vec<usize>| {
                let rest: Vec<usize> = (0..len).filter(|index| !start.contains(index)).collect();
                rest.into_iter().map(move |next| {
                    let mut longer = start.clone();
                    longer.push(next);
                    longer
                })
            })
            .collect();
    }
    all
}

fn placed() -> EventKind {
    EventKind::Placed { carrier_call_id: "C1".to_owned() }
}

fn not_placed(permanent: bool) -> EventKind {
    EventKind::NotPlaced { reason: "bad_number".to_owned(), permanent }
}

const MACHINE: EventKind = EventKind::Detected { by: AnsweredBy::Machine };

pub async fn d5_the_order_of_a_voicemails_events_does_not_matter<F: StoreFactory>(factory: &F) {
    let events = [
        (0, placed()),
        (1, EventKind::Ringing),
        (6, EventKind::Answered),
        (9, MACHINE),
        (12, ended(Ending::Completed, 6)),
        (13, EventKind::Recorded { reference: "R1".to_owned() }),
    ];
    every_order(factory, &events).await;
}

pub async fn d5_the_order_of_an_unknown_calls_events_does_not_matter<F: StoreFactory>(factory: &F) {
    let events = [
        (0, EventKind::Unclear),
        (86_400, EventKind::GivenUp),
        (14, ended(Ending::Busy, 0)),
        (2, EventKind::Ringing),
        (15, ended(Ending::Busy, 0)),
    ];
    every_order(factory, &events).await;
}

pub async fn d5_the_order_of_a_refusal_and_its_denial_does_not_matter<F: StoreFactory>(
    factory: &F,
) {
    for permanent in [false, true] {
        every_order(factory, &[(0, not_placed(permanent)), (3, EventKind::Ringing)]).await;
        let denied = [
            (0, not_placed(permanent)),
            (3, EventKind::Ringing),
            (30, ended(Ending::NoAnswer, 0)),
            (1, placed()),
        ];
        every_order(factory, &denied).await;
    }
}

pub async fn d5_the_order_of_an_opt_outs_events_does_not_matter<F: StoreFactory>(factory: &F) {
    let events = [
        (4, EventKind::Answered),
        (9, EventKind::Key { digit: '9', press: 0 }),
        (11, EventKind::Key { digit: '9', press: 1 }),
        (8, EventKind::Key { digit: '1', press: 0 }),
        (12, MACHINE),
        (14, ended(Ending::Completed, 10)),
    ];
    every_order(factory, &events).await;
}

pub async fn d5_the_order_of_contradicting_endings_does_not_matter<F: StoreFactory>(factory: &F) {
    let failed = |permanent| Ending::Failed { reason: "dropped".to_owned(), permanent };
    let events = [
        (20, ended(Ending::NoAnswer, 0)),
        (22, ended(Ending::Busy, 0)),
        (25, ended(failed(true), 0)),
        (18, ended(Ending::Canceled, 0)),
        (24, ended(failed(false), 0)),
    ];
    every_order(factory, &events).await;
    let events = [
        (20, ended(Ending::NoAnswer, 0)),
        (5, EventKind::Answered),
        (7, MACHINE),
        (8, EventKind::Detected { by: AnsweredBy::Human }),
        (25, ended(Ending::Completed, 20)),
        (26, ended(Ending::Completed, 21)),
    ];
    every_order(factory, &events).await;
}

pub async fn d5_the_order_of_an_agents_result_does_not_matter<F: StoreFactory>(factory: &F) {
    let said = |index, text: &str| EventKind::Said {
        index,
        speaker: Speaker::Client,
        text: text.to_owned(),
    };
    let label = |label: &str| EventKind::Disposition { label: label.to_owned() };
    let events = [
        (9, said(0, "Not today.")),
        (4, EventKind::Answered),
        (12, label("won")),
        (10, label("undecided")),
        (12, EventKind::Transferred),
        (40, ended(Ending::Completed, 36)),
    ];
    every_order(factory, &events).await;
    let line = EventKind::Line {
        index: 0,
        speaker: Speaker::Agent,
        offset_seconds: 2,
        text: "Hello.".to_owned(),
    };
    let events = [
        (6, line),
        (4, EventKind::Answered),
        (8, EventKind::Tag { tag: "agent".to_owned() }),
        (8, EventKind::Note { text: "call in May".to_owned() }),
        (8, EventKind::OptOut),
        (9, MACHINE),
    ];
    every_order(factory, &events).await;
}
