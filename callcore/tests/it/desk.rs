//! What people do at the desk, over the reference store.

use std::sync::Arc;

use callcore::actor::Actor;
use callcore::campaign::Transition;
use callcore::desk::Desk;
use callcore::memory::MemoryStore;
use callcore::port::{Access, By, CallQuery, Calls, Campaigns, Effect, Idempotency, SavedReply};
use callcore::sim::{SimModel, SimTelephony};
use callcore::testing::fixtures::{Scene, person, settings};
use callcore::time::{ManualClock, SeededEntropy};
use serde_json::json;

#[tokio::test]
async fn a_list_comes_in_whole_under_an_idempotency_key() {
    let store = Arc::new(MemoryStore::default());
    let scene = Scene::new(&*store);
    let campaign = scene.draft(json!({})).await;
    let clock = Arc::new(ManualClock::new(scene.now()));
    let carrier = Arc::new(SimTelephony::new(1, SimModel::default(), clock));
    let desk = Desk::new(store.clone(), carrier, Arc::new(SeededEntropy::new(2)));
    let record = Idempotency {
        scope: "user:operator POST /import".to_owned(),
        key: "upload".to_owned(),
        body_hash: [7; 32],
        wall: scene.wall(),
        reply: Arc::new(|effect| {
            let is_import = matches!(effect, Effect::Import(_));
            SavedReply { status: 202, body: is_import.to_string() }
        }),
    };
    let operator = person();
    let by = By { actor: &operator, now: scene.now(), idempotency: Some(&record) };
    let csv = "Phone\n2125550101\n2125550102\n212-555-0101\n";
    let settings = settings(&json!({}));
    let import = || desk.import_csv(by, campaign, &settings, "clients.csv", csv.as_bytes());
    let report = import().await.expect("the list comes in");
    assert_eq!((report.accepted, report.duplicates), (2, 1));
    assert_eq!((report.duplicate_of[0].line, report.duplicate_of[0].of_line), (4, Some(2)));
    assert!(import().await.is_err(), "the same request does nothing a second time");
    let saved = store.saved_reply(&record.scope, "upload", scene.wall()).await.unwrap();
    assert_eq!(saved.map(|(_, reply)| reply.body).as_deref(), Some("true"));
}

#[tokio::test]
async fn a_list_is_called_in_its_own_order() {
    let store = Arc::new(MemoryStore::default());
    let scene = Scene::new(&*store);
    let campaign = scene.draft(json!({})).await;
    let clock = Arc::new(ManualClock::new(scene.now()));
    let carrier = Arc::new(SimTelephony::new(1, SimModel::default(), clock));
    let desk = Desk::new(store.clone(), carrier, Arc::new(SeededEntropy::new(2)));
    let csv = (0..100).fold("Phone\n".to_owned(), |csv, n| format!("{csv}21255501{n:02}\n"));
    let settings = settings(&json!({}));
    let by = By::new(&Actor::System, scene.now());
    desk.import_csv(by, campaign, &settings, "clients.csv", csv.as_bytes()).await.unwrap();
    store.change_state(by, campaign, Transition::Start).await.unwrap();
    let query = CallQuery { limit: 200, ..CallQuery::default() };
    let due = store.upcoming(&query).await.unwrap().items;
    let numbers: Vec<u64> = due.iter().filter_map(|view| Some(view.call.phone?.digits())).collect();
    assert_eq!(numbers.len(), 100);
    assert!(numbers.is_sorted(), "{numbers:?}");
}

#[tokio::test]
async fn a_list_that_came_before_the_hours_is_called_by_the_hours() {
    let store = Arc::new(MemoryStore::default());
    let scene = Scene::new(&*store);
    // It is monday, and the draft begins with tuesdays only.
    let tuesdays = json!({"hours": {"tue": [["09:00", "17:00"]]}});
    let campaign = scene.draft(tuesdays.clone()).await;
    let clock = Arc::new(ManualClock::new(scene.now()));
    let carrier = Arc::new(SimTelephony::new(1, SimModel::default(), clock));
    let desk = Desk::new(store.clone(), carrier, Arc::new(SeededEntropy::new(2)));
    let by = By::new(&Actor::System, scene.now());
    let before = settings(&tuesdays);
    desk.import_csv(by, campaign, &before, "clients.csv", b"Phone\n2125550101\n").await.unwrap();
    store.change_settings(by, campaign, 1, settings(&json!({}))).await.unwrap();
    store.change_state(by, campaign, Transition::Start).await.unwrap();
    assert_eq!(scene.dial_due().await.len(), 1, "mondays are open now");
    // Whoever joins while it runs is planned by its hours at once.
    let closed = settings(&tuesdays);
    store.change_settings(by, campaign, 2, closed.clone()).await.unwrap();
    desk.import_csv(by, campaign, &closed, "more.csv", b"Phone\n2125550102\n").await.unwrap();
    let query = CallQuery { limit: 200, ..CallQuery::default() };
    let due = store.upcoming(&query).await.unwrap().items[0].call.due_at;
    assert!(due > scene.now() + chrono::TimeDelta::hours(12), "{due}");
}
