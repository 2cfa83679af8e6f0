//! The account as a whole: its settings, limits and switches.

use std::sync::Arc;

use chrono::TimeDelta;
use futures_util::future::join;
use serde_json::{Value, json};

use crate::account::{AccountSettings, Stopped};
use crate::call::{AnsweredBy, CallStatus, Ending};
use crate::campaign::{RunState, Transition};
use crate::engine::{
    BeginRefusal, Command, Defer, Facts, Permit, Rule, SLOT_HOLD, Verdict, decide,
};
use crate::id::CallId;
use crate::port::{AuditQuery, By, NewTestCall, Refused, Store};
use crate::testing::fixtures::{LEASE, Scene, person, refused};
use crate::time::Zone;

fn settings(document: &Value) -> Arc<AccountSettings> {
    Arc::new(AccountSettings::from_json(document).expect("valid settings"))
}

pub async fn t1_account_settings_are_versioned_and_stale_changes_refused(store: &dyn Store) {
    let scene = Scene::new(store);
    let first = store.account().await.expect("read");
    assert_eq!((first.settings_version, &*first.settings), (1, &AccountSettings::default()));
    let new = settings(&json!({
        "calls_per_second": 7, "calls_at_once": 9, "retention_days": 30,
        "spend_per_day": {"amount": "12.50", "per_minute": "0.014"},
        "time_zone": "Europe/Berlin",
        "mail": {"to": ["team@example.com"], "summary_at": "18:00", "details": true},
    }));
    let admin = person();
    let by = By::new(&admin, scene.now());
    let changed = store.change_account(by, 1, new.clone()).await.expect("changed");
    assert_eq!((changed.settings_version, &changed.settings), (2, &new));
    assert_eq!(store.account().await.expect("read"), changed);
    let stale = store.change_account(by, 1, settings(&json!({}))).await;
    assert_eq!(refused(stale), Refused::Stale { current: 2 });
    assert_eq!(store.account().await.expect("read"), changed);
    let audit = store.audit(&AuditQuery::newest(10)).await.expect("read").items;
    assert_eq!(
        (audit.len(), &*audit[0].action, &*audit[0].object),
        (1, "account.change", "account")
    );
    assert_eq!(audit[0].old, Some(AccountSettings::default().to_json()));
    assert_eq!(audit[0].new, Some(new.to_json()));
}

pub async fn t2_the_servers_zone_holds_while_the_settings_name_none(store: &dyn Store) {
    let scene = Scene::new(store);
    let zone = async || store.account().await.expect("read").zone().name().to_owned();
    assert_eq!(zone().await, "UTC");
    for name in ["America/New_York", "Europe/Berlin"] {
        let server: Zone = name.parse().expect("a zone");
        store.keep_server_zone(&server).await.expect("kept");
        assert_eq!(zone().await, name);
    }
    let own = settings(&json!({"time_zone": "Asia/Tokyo"}));
    store.change_account(scene.by(), 1, own).await.expect("changed");
    assert_eq!(zone().await, "Asia/Tokyo");
    store.change_account(scene.by(), 2, settings(&json!({}))).await.expect("changed");
    assert_eq!(zone().await, "Europe/Berlin");
}

pub async fn t3_a_stop_between_claim_and_begin_wins_for_people_too(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seeds) = scene.running(Value::Null, 2).await;
    store.call_now(scene.by(), seeds[1].call).await.expect("now");
    let permits: Vec<Permit> =
        scene.claim(50).await.into_iter().map(|facts| scene.permit(facts)).collect();
    assert_eq!(permits.len(), 2);
    let operator = person();
    let by = By::new(&operator, scene.now());
    let stopped = store.stop_all(by, Some("a fire".to_owned()), false).await.expect("stopped");
    let shown = Stopped { at: scene.now(), by: person(), reason: Some("a fire".to_owned()) };
    assert_eq!((stopped.account.stopped.as_ref(), &stopped.in_flight), (Some(&shown), &vec![]));
    let again = store.stop_all(scene.by(), None, false).await.expect("stopped");
    assert_eq!(again.account.stopped, Some(shown.clone()), "whoever stopped first is shown");
    assert_eq!(store.account().await.expect("read").stopped, Some(shown));
    assert_eq!(scene.begin(&permits).await, [Err(BeginRefusal::DecideAgain); 2]);
    scene.check().await;
}

pub async fn t3_nothing_is_claimed_while_stopped_and_calls_are_given_back(store: &dyn Store) {
    let scene = Scene::new(store);
    let pacing = json!({"pacing": {"max_concurrent": 2, "calls_per_second": 100}});
    scene.running(pacing, 4).await;
    let live = scene.dial_due().await;
    assert_eq!(live.len(), 2);
    scene.end(live[0], Ending::Busy).await;
    let claimed = scene.claim(50).await;
    let (call, due_at) = (claimed[0].call, claimed[0].due_at);
    let stopped = store.stop_all(scene.by(), None, false).await.expect("stopped");
    assert_eq!(stopped.in_flight, [live[1]], "calls in progress go on");
    let facts = store.facts(call).await.expect("read").expect("it waits");
    assert!(facts.account.stopped);
    let Command::Settle(settlement) = decide(facts, scene.now()) else { panic!("it is stopped") };
    let wait = Defer { until: scene.now(), why: Rule::StopAll };
    assert_eq!(settlement.verdict, Verdict::Defer(wait));
    store.settle(scene.by(), &[settlement]).await.expect("settled");
    let back = scene.call(call).await.call;
    assert_eq!((back.status(), back.due_at), (CallStatus::Scheduled, due_at.max(scene.now())));
    scene.advance(LEASE);
    assert!(scene.claim(50).await.is_empty());
    assert_eq!(store.next_due(scene.now()).await.expect("read"), None);
    let resumed = store.resume_all(scene.by()).await.expect("resumed");
    assert_eq!((resumed.stopped, resumed.live), (None, 1));
    assert!(store.next_due(scene.now()).await.expect("read").is_some());
    assert_eq!(scene.dial_due().await.len(), 1);
    scene.check().await;
}

pub async fn t3_nobody_is_promised_a_dial_at_once_while_all_is_stopped(store: &dyn Store) {
    let scene = Scene::new(store);
    let pacing = json!({"pacing": {"max_concurrent": 1, "calls_per_second": 100}});
    let (campaign, seeds) = scene.running(pacing, 2).await;
    let ended = scene.dial_due().await[0];
    scene.answer(ended, AnsweredBy::Human).await;
    let waiting = seeds.iter().find(|seed| seed.call != ended).expect("two clients");
    let reached = seeds.iter().find(|seed| seed.call == ended).expect("two clients");
    store.stop_all(scene.by(), None, false).await.expect("stopped");
    let phone = scene.number();
    let test = NewTestCall { id: scene.new_call(scene.now()).id, campaign, phone, sample: None };
    let refusals = [
        store.call_now(scene.by(), waiting.call).await,
        store.call_client(scene.by(), waiting.client, scene.new_call(scene.now())).await,
        store.call_client(scene.by(), reached.client, scene.new_call(scene.now())).await,
        store.retry(scene.by(), ended, scene.new_call(scene.now())).await,
        store.test_call(scene.by(), test).await,
    ];
    for refusal in refusals {
        assert_eq!(refused(refusal), Refused::DiallingStopped);
    }
    // One for later is a plan like those that wait.
    let later = scene.new_call(scene.now() + TimeDelta::days(1));
    store.retry(scene.by(), ended, later).await.expect("planned");
    scene.check().await;
}

pub async fn t3_begin_and_a_stop_at_once_take_turns(store: &dyn Store) {
    let scene = Scene::new(store);
    scene.running(Value::Null, 3).await;
    for _ in 0..3 {
        let facts = scene.claim(1).await.remove(0);
        let (call, permit) = (facts.call, scene.permit(facts));
        let (begun, stopped) =
            join(scene.begin_one(permit), store.stop_all(scene.by(), None, false)).await;
        let in_flight = stopped.expect("stopped").in_flight;
        // A begin that came first is named by the stop, one that came second is none.
        assert_eq!(begun.is_ok(), in_flight.contains(&call), "{begun:?}");
        store.resume_all(scene.by()).await.expect("resumed");
    }
    scene.check().await;
}

pub async fn t4_pause_all_pauses_what_runs_and_says_which(store: &dyn Store) {
    let scene = Scene::new(store);
    scene.draft(Value::Null).await;
    let (one, _) = scene.running_one(Value::Null).await;
    let (paused, _) = scene.running_one(Value::Null).await;
    scene.change(paused, Transition::Pause).await;
    scene.advance(TimeDelta::seconds(1));
    let (two, _) = scene.running_one(Value::Null).await;
    let operator = person();
    let by = By::new(&operator, scene.now());
    let done = store.pause_all(by).await.expect("paused");
    assert_eq!(done.iter().map(|view| view.campaign.id).collect::<Vec<_>>(), [one, two]);
    for view in &done {
        let pause = view.campaign.pause.as_ref().expect("who paused it");
        assert_eq!((view.campaign.state, &pause.by), (RunState::Paused, &person()));
        assert_eq!((pause.at, &pause.reason), (scene.now(), &None));
        assert_eq!(scene.campaign(view.campaign.id).await, *view);
    }
    assert_eq!(store.pause_all(by).await.expect("paused"), []);
    let rows = store.audit(&AuditQuery::newest(10)).await.expect("read").items;
    let rows: Vec<_> = rows.iter().map(|row| (&*row.action, row.actor == person())).collect();
    assert_eq!(rows, [("campaign.pause", true); 2], "one row for each");
    assert!(scene.claim(50).await.is_empty());
    let resumed = scene.change(one, Transition::Resume).await;
    assert_eq!((resumed.campaign.state, resumed.campaign.pause), (RunState::Running, None));
    scene.check().await;
}

pub async fn t5_the_accounts_slots_hold_over_campaigns_and_claimers(store: &dyn Store) {
    let scene = Scene::new(store);
    scene.limit_account(&json!({"calls_at_once": 3})).await;
    for _ in 0..2 {
        scene.running(Value::Null, 4).await;
    }
    let (one, two) = join(scene.claim(2), scene.claim(50)).await;
    assert_eq!(one.len() + two.len(), 3, "a claim brings what is free");
    assert!(scene.claim(50).await.is_empty());
    let late: Vec<Permit> = one.into_iter().chain(two).map(|f| scene.permit(f)).collect();
    // Their leases end, and others claim anew.
    scene.advance(LEASE);
    let permits: Vec<Permit> = scene.claim(50).await.into_iter().map(|f| scene.permit(f)).collect();
    assert_eq!(scene.begin(&permits).await, [Ok(()); 3]);
    assert!(scene.begin(&late).await.iter().all(Result::is_err));
    assert_eq!(store.account().await.expect("read").live, 3);
    scene.end(permits[0].call(), Ending::Busy).await;
    let next: Vec<Permit> = scene.claim(50).await.into_iter().map(|f| scene.permit(f)).collect();
    assert_eq!(next.len(), 1, "an ended call frees its slot");
    scene.limit_account(&json!({"calls_at_once": 2})).await;
    assert_eq!(scene.begin(&next).await, [Err(BeginRefusal::NoCapacity)]);
    // A call nobody hears of gives its slot back after a while.
    scene.advance(SLOT_HOLD);
    assert_eq!(scene.claim(50).await.len(), 2);
    scene.check().await;
}

pub async fn t5_the_accounts_pace_holds_and_people_come_first(store: &dyn Store) {
    let scene = Scene::new(store);
    scene.limit_account(&json!({"calls_per_second": 2})).await;
    let (_, low) = scene.running(Value::Null, 5).await;
    scene.running(json!({"priority": 9}), 5).await;
    store.call_now(scene.by(), low[4].call).await.expect("now");
    let claimed = scene.claim(50).await;
    assert_eq!((claimed.len(), claimed[0].call), (2, low[4].call), "a person's dial comes first");
    let permits: Vec<Permit> = claimed.into_iter().map(|facts| scene.permit(facts)).collect();
    assert_eq!(scene.begin(&permits).await, [Ok(()); 2], "one second's dials may be saved up");
    let half = TimeDelta::milliseconds(500);
    assert!(scene.claim(50).await.is_empty());
    assert_eq!(store.next_due(scene.now()).await.expect("read"), Some(scene.now() + half));
    store.call_now(scene.by(), low[3].call).await.expect("now");
    assert!(scene.claim(50).await.is_empty(), "not for a person either");
    scene.advance(half);
    let (first, second) = (scene.claim(50).await, scene.claim(50).await);
    let of = |facts: &[Facts]| facts.iter().map(|it| it.call).collect::<Vec<CallId>>();
    assert_eq!((of(&first), second.len()), (vec![low[3].call], 1));
    let both: Vec<Permit> =
        first.into_iter().chain(second).map(|facts| scene.permit(facts)).collect();
    let until = scene.now() + half;
    assert_eq!(scene.begin(&both).await, [Ok(()), Err(BeginRefusal::TooFast { until })]);
    scene.check().await;
}

pub async fn t5_nothing_is_due_while_the_account_is_full(store: &dyn Store) {
    let scene = Scene::new(store);
    scene.limit_account(&json!({"calls_at_once": 1})).await;
    scene.running(Value::Null, 3).await;
    assert_eq!(store.next_due(scene.now()).await.expect("read"), Some(scene.now()));
    let live = scene.dial_due().await;
    assert_eq!((live.len(), store.next_due(scene.now()).await.expect("read")), (1, None));
    scene.end(live[0], Ending::Busy).await;
    assert!(store.next_due(scene.now()).await.expect("read").is_some());
}
