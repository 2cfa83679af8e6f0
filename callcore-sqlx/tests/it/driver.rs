//! The driver over a store whose statements fail in the middle of a tick, and a carrier in doubt.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use callcore::call::CallStatus;
use callcore::driver::{Driver, Halt};
use callcore::engine::Ticket;
use callcore::id::CallId;
use callcore::port::{Audio, Calls, Found, OpenCall, Placement, Telephony, TelephonyError};
use callcore::testing::fixtures::Scene;
use callcore::time::ManualClock;
use callcore_sqlx::sqlite::SqliteStore;
use chrono::TimeDelta;
use serde_json::json;
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;

use crate::sqlite::{fresh, url};

/// A carrier that says what it is told to, and remembers whom it was asked to dial.
#[derive(Debug, Default)]
struct Scripted {
    answers: Mutex<Vec<Placement>>,
    asked: Mutex<Vec<CallId>>,
    is_deaf: AtomicBool,
}

impl Scripted {
    fn asked(&self) -> Vec<CallId> {
        self.asked.lock().expect("unpoisoned").clone()
    }
}

#[async_trait]
impl Telephony for Scripted {
    fn kind(&self) -> &'static str {
        "scripted"
    }

    fn is_simulated(&self) -> bool {
        true
    }

    async fn place_call(&self, ticket: Ticket) -> Placement {
        self.asked.lock().expect("unpoisoned").push(ticket.call());
        self.answers.lock().expect("unpoisoned").pop().unwrap_or(Placement::Unknown)
    }

    async fn hang_up(&self, _: CallId, _: Option<&str>) -> Result<(), TelephonyError> {
        Ok(())
    }

    async fn find_call(&self, _: &OpenCall) -> Result<Found, TelephonyError> {
        Ok(Found::Nothing)
    }

    async fn check(&self) -> Result<(), TelephonyError> {
        match self.is_deaf.load(Ordering::Relaxed) {
            true => Err(TelephonyError::new("check")),
            false => Ok(()),
        }
    }

    async fn recording(&self, _: &str) -> Result<Option<Audio>, TelephonyError> {
        Ok(None)
    }

    async fn delete_recording(&self, _: &str) -> Result<(), TelephonyError> {
        Ok(())
    }
}

fn placed(id: &str) -> Placement {
    Placement::Placed { carrier_call_id: id.to_owned() }
}

fn driver(scene: &Scene<'_>, store: &Arc<SqliteStore>, carrier: &Arc<Scripted>) -> Driver {
    let clock = Arc::new(ManualClock::new(scene.now()));
    let wall = Arc::new(ManualClock::new(scene.wall()));
    Driver::new(store.clone(), carrier.clone(), clock, wall)
}

/// Makes every insert into a table fail.
async fn break_table(directory: &TempDir, table: &str) {
    let mut raw = SqliteConnection::connect(&url(directory)).await.expect("the file is a database");
    let sql = format!(
        "create trigger broken before insert on {table} begin select raise(abort, 'broken'); end"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut raw).await.expect("a trigger");
    raw.close().await.expect("closed");
}

#[tokio::test]
async fn an_intent_is_dialled_also_if_other_claims_can_not_be_settled() {
    let (directory, store) = fresh().await;
    let store = Arc::new(store);
    let scene = Scene::new(&*store);
    // Two campaigns with one number: the second call is refused at its begin, and deferred.
    let phone = scene.number();
    scene.running_with(json!({"priority": 1}), &[phone]).await;
    scene.running_with(json!({}), &[phone]).await;
    let carrier = Arc::new(Scripted::default());
    carrier.answers.lock().unwrap().push(placed("c1"));
    break_table(&directory, "due").await;
    let ticked = driver(&scene, &store, &carrier).tick().await;
    assert!(ticked.is_err(), "a claim could not be settled: {ticked:?}");
    assert_eq!(carrier.asked().len(), 1);
    let call = store.call(carrier.asked()[0]).await.unwrap().unwrap().call;
    assert_eq!(call.progress.carrier_call_id.as_deref(), Some("c1"));
}

#[tokio::test]
async fn what_was_not_dialled_waits_again_also_if_an_event_can_not_be_stored() {
    let (directory, store) = fresh().await;
    let store = Arc::new(store);
    let scene = Scene::new(&*store);
    scene.running(json!({}), 2).await;
    let carrier = Arc::new(Scripted::default());
    let later = Placement::Later { at: scene.now() + TimeDelta::minutes(1) };
    carrier.answers.lock().unwrap().extend([placed("c1"), later]);
    break_table(&directory, "call_events").await;
    let ticked = driver(&scene, &store, &carrier).tick().await;
    assert!(ticked.is_err(), "an event could not be stored: {ticked:?}");
    let asked = carrier.asked();
    assert_eq!(asked.len(), 2);
    let call = store.call(asked[0]).await.unwrap().unwrap().call;
    assert_eq!(call.status(), CallStatus::Scheduled, "the carrier said that it did not dial");
}

#[tokio::test]
async fn a_carrier_that_answers_reads_and_loses_dials_does_not_burn_the_list() {
    let (_directory, store) = fresh().await;
    let store = Arc::new(store);
    let scene = Scene::new(&*store);
    scene.running(json!({}), 100).await;
    let carrier = Arc::new(Scripted::default());
    let driver = driver(&scene, &store, &carrier).with_batch(5);
    driver.tick().await.unwrap();
    assert_eq!(carrier.asked().len(), 3, "three unclear answers in a row stop placing");
    // From then on each read that is answered costs one dial, not a batch.
    for tick in 1..=4 {
        driver.tick().await.unwrap();
        assert_eq!(carrier.asked().len(), 3 + tick);
    }
    carrier.is_deaf.store(true, Ordering::Relaxed);
    assert_eq!(driver.tick().await.unwrap().halted, Some(Halt::CarrierAway));
    assert_eq!(carrier.asked().len(), 7);
    // One that is placed ends the doubt.
    carrier.is_deaf.store(false, Ordering::Relaxed);
    carrier.answers.lock().unwrap().extend((0..5).map(|id| placed(&id.to_string())));
    assert_eq!(driver.tick().await.unwrap().placed, 5);
    assert_eq!(carrier.asked().len(), 12);
    let mut asked = carrier.asked();
    asked.sort_unstable();
    asked.dedup();
    assert_eq!(asked.len(), 12, "nobody is dialled twice");
}
