//! What voice agents report of their calls.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::actor::Actor;
use crate::call::{
    AgentResult, AnsweredBy, CallStatus, EventKind, Outcome, Speaker, Utterance, When,
};
use crate::client::ClientStatus;
use crate::port::{AuditQuery, By, Effect, Idempotency, Refused, SavedReply, Store};
use crate::testing::fixtures::{Scene, refused};

fn result(opt_out: bool) -> AgentResult {
    let line = |speaker, second, text: &str| Utterance {
        speaker,
        when: When::Offset(second),
        text: text.to_owned(),
    };
    AgentResult {
        transcript: vec![
            line(Speaker::Agent, 3, "Shall we go on?"),
            line(Speaker::Client, 6, "Yes."),
        ],
        disposition: Some("won".to_owned()),
        tags: BTreeSet::from(["agent".to_owned()]),
        opt_out,
        note: Some("call in May".to_owned()),
    }
}

pub async fn r1_a_result_is_recorded_with_its_call_and_repeats_change_nothing(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, seed) = scene.running_one(Value::Null).await;
    scene.dial_due().await;
    scene.answer(seed.call, AnsweredBy::Human).await;
    let by = By::new(&Actor::Agent, scene.now());
    let first = store.report_result(by, seed.call, &result(false)).await.expect("recorded");
    assert_eq!(first.call.label(), Some("won"));
    assert_eq!(first.call.progress.transcript.len(), 2);
    assert_eq!(first.call.all_notes().len(), 1);
    assert!(first.tags.contains("agent"), "the client has the tag");
    let events = store.events(seed.call).await.expect("read");
    scene.advance(TimeDelta::minutes(5));
    let by = By::new(&Actor::Agent, scene.now());
    let again = store.report_result(by, seed.call, &result(false)).await.expect("recorded");
    assert_eq!(again, first);
    assert_eq!(store.events(seed.call).await.expect("read"), events);
    assert!(
        store
            .audit(&AuditQuery { limit: 10, ..AuditQuery::default() })
            .await
            .expect("read")
            .items
            .is_empty(),
        "no person did it"
    );
    assert_eq!(scene.history(campaign).await[0].call.label(), Some("won"));
    scene.check().await;
}

pub async fn r1_an_opt_out_the_agent_heard_blocks_the_number_at_once(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seed) = scene.running_one(json!({"retry": {"voicemail": ["PT2H"]}})).await;
    let (_, elsewhere) = scene.running_with(Value::Null, &[seed.phone]).await;
    assert!(scene.dial_due().await.contains(&seed.call));
    scene.hear(seed.call, [EventKind::Answered]).await;
    let by = By::new(&Actor::Agent, scene.now());
    store.report_result(by, seed.call, &result(true)).await.expect("recorded");
    assert!(scene.client(seed.client).await.on_dnc);
    assert_eq!(scene.status(elsewhere[0].client).await, ClientStatus::OnDnc);
    assert!(scene.claim(10).await.is_empty());
    scene.answer(seed.call, AnsweredBy::Human).await;
    assert_eq!(scene.call(seed.call).await.call.outcome(), Some(Outcome::OptedOut));
    assert_eq!(scene.status(seed.client).await, ClientStatus::OptedOut);
    scene.check().await;
}

pub async fn r1_a_call_that_never_began_has_no_result(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seed) = scene.running_one(Value::Null).await;
    let by = By::new(&Actor::Agent, scene.now());
    let waiting = store.report_result(by, seed.call, &result(true)).await;
    assert_eq!(refused(waiting), Refused::Call(CallStatus::Scheduled));
    let nowhere = crate::id::CallId::new(scene.now(), scene.entropy());
    let unknown = store.report_result(by, nowhere, &result(true)).await;
    assert_eq!(refused(unknown), Refused::NotFound);
    scene.block(seed.phone, crate::dnc::DncScope::Global).await;
    let canceled = store.report_result(by, seed.call, &result(false)).await;
    assert_eq!(refused(canceled), Refused::Call(CallStatus::Ended));
    assert!(store.events(seed.call).await.expect("read").is_empty());
    scene.check().await;
}

pub async fn r1_the_answer_to_a_result_is_stored_with_it(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seed) = scene.running_one(Value::Null).await;
    scene.dial_due().await;
    let record = Idempotency {
        scope: "agent POST result".to_owned(),
        key: "k".to_owned(),
        body_hash: [7; 32],
        wall: scene.wall(),
        reply: Arc::new(|effect| match effect {
            Effect::Result(view) => SavedReply { status: 200, body: view.call.id.to_string() },
            other => panic!("a result, not {other:?}"),
        }),
    };
    let by = By { idempotency: Some(&record), ..By::new(&Actor::Agent, scene.now()) };
    store.report_result(by, seed.call, &result(false)).await.expect("recorded");
    let saved = store.saved_reply(&record.scope, "k", scene.wall()).await.expect("read");
    let (hash, reply) = saved.expect("a saved reply");
    assert_eq!((hash, reply.body), ([7; 32], seed.call.to_string()));
    let twin = store.report_result(by, seed.call, &result(true)).await;
    assert_eq!(refused(twin), Refused::InProgress);
    assert!(!scene.client(seed.client).await.on_dnc, "the second did nothing");
}
