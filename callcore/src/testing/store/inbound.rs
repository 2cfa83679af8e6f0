//! Calls that come in: whose they are, and what callers press.

use serde_json::{Value, json};

use crate::call::{CallRef, Ending, EventKind, InboundRing, Report};
use crate::campaign::Transition;
use crate::dnc::DncScope;
use crate::engine::BeginRefusal;
use crate::id::{CallId, CampaignId, ClientId};
use crate::phone::PhoneNumber;
use crate::port::{NoticeKind, Store};
use crate::testing::fixtures::{Scene, ended, settings};

pub(super) fn ring(scene: &Scene<'_>, name: &str, from: Option<PhoneNumber>) -> InboundRing {
    let carrier_call_id = name.to_owned();
    InboundRing { carrier_call_id, from, new_id: CallId::new(scene.now(), scene.entropy()) }
}

pub(super) async fn rings(
    scene: &Scene<'_>,
    ring: &InboundRing,
    kinds: impl IntoIterator<Item = EventKind>,
) -> CallId {
    let event = |kind| crate::call::CallEvent { at: scene.now(), kind };
    let call = || CallRef::Inbound(ring.clone());
    let reports = kinds.into_iter().map(|kind| Report { call: call(), event: event(kind) });
    scene.record(reports.collect()).await;
    ring.new_id
}

async fn linked(scene: &Scene<'_>, phone: PhoneNumber, name: &str) -> (CampaignId, ClientId) {
    let ring = ring(scene, name, Some(phone));
    let id = rings(scene, &ring, [EventKind::Ringing, ended(Ending::Completed, 9)]).await;
    let call = scene.call(id).await.call;
    (call.campaign.expect("a campaign"), call.client.expect("a client"))
}

pub async fn i1_an_inbound_call_is_found_by_the_carriers_id_for_it(store: &dyn Store) {
    let scene = Scene::new(store);
    assert_eq!(store.inbound_call("a").await.expect("read"), None);
    let ring = ring(&scene, "a", None);
    let id = rings(&scene, &ring, [EventKind::Ringing]).await;
    assert_eq!(store.inbound_call("a").await.expect("read"), Some(id));
    assert_eq!(store.inbound_call("b").await.expect("read"), None);
}

pub async fn i1_of_several_clients_the_one_dialled_last_is_meant_else_the_latest(
    store: &dyn Store,
) {
    let scene = Scene::new(store);
    let phone = scene.number();
    let (first, one) = scene.running_with(Value::Null, &[phone]).await;
    scene.change(first, Transition::Pause).await;
    assert_eq!(linked(&scene, phone, "a").await, (first, one[0].client), "it has no other");
    let (second, two) = scene.running_with(Value::Null, &[phone]).await;
    scene.change(second, Transition::Pause).await;
    assert_eq!(linked(&scene, phone, "b").await, (second, two[0].client), "the latest");
    scene.change(first, Transition::Resume).await;
    assert_eq!(scene.dial_due().await, [one[0].call]);
    scene.end(one[0].call, Ending::Busy).await;
    assert_eq!(linked(&scene, phone, "c").await, (first, one[0].client), "dialled last");
    let (third, _) = scene.running_with(Value::Null, &[phone]).await;
    scene.change(third, Transition::Pause).await;
    assert_eq!(linked(&scene, phone, "d").await, (first, one[0].client), "still");
    scene.change(second, Transition::Resume).await;
    assert_eq!(scene.dial_due().await, [two[0].call]);
    scene.end(two[0].call, Ending::Busy).await;
    assert_eq!(linked(&scene, phone, "e").await, (second, two[0].client), "dialled last");
    scene.check().await;
}

pub async fn i1_a_withheld_number_is_nobodys(store: &dyn Store) {
    let scene = Scene::new(store);
    scene.running_one(Value::Null).await;
    for (name, from) in [("w", None), ("s", Some(scene.number()))] {
        let ring = ring(&scene, name, from);
        let id = rings(&scene, &ring, [EventKind::Answered, ended(Ending::Completed, 9)]).await;
        let call = scene.call(id).await.call;
        assert_eq!((call.client, call.campaign, call.phone), (None, None, from));
    }
    scene.check().await;
}

pub async fn i2_what_a_caller_presses_means_what_the_inbound_script_says(store: &dyn Store) {
    let scene = Scene::new(store);
    let inbound = json!({"inbound": {"keys": {"5": {"tag": "called"}, "8": "opt_out"}}});
    let (campaign, seed) = scene.running_one(inbound.clone()).await;
    let key = |digit| EventKind::Key { digit, press: 0 };
    let first = ring(&scene, "f", Some(seed.phone));
    // Keys of the script for calls we place mean nothing here.
    let id = rings(&scene, &first, [EventKind::Answered, key('1'), key('5'), key('9')]).await;
    let client = scene.client(seed.client).await;
    assert!(client.client.tags.contains("called") && !client.client.tags.contains("confirmed"));
    assert!(!client.on_dnc);
    // Settings of later change nothing for a call that came in before.
    store.change_settings(scene.by(), campaign, 1, settings(&Value::Null)).await.expect("changed");
    rings(&scene, &first, [key('8'), ended(Ending::Completed, 20)]).await;
    assert!(scene.client(seed.client).await.on_dnc);
    assert!(scene.claim(10).await.is_empty());
    assert_eq!(scene.call(id).await.call.progress.tags.len(), 1);
    scene.check().await;
}

pub async fn i2_a_campaign_without_a_script_for_callers_hears_no_keys(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seed) = scene.running_one(Value::Null).await;
    let ring = ring(&scene, "n", Some(seed.phone));
    let key = EventKind::Key { digit: '9', press: 0 };
    rings(&scene, &ring, [EventKind::Answered, key, ended(Ending::Completed, 20)]).await;
    assert!(!scene.client(seed.client).await.on_dnc);
    assert_eq!(scene.dial_due().await, [seed.call]);
    scene.check().await;
}

pub async fn i3_a_message_that_a_caller_left_is_told_of_once(store: &dyn Store) {
    let scene = Scene::new(store);
    let recorded = |name: &str| EventKind::Recorded { reference: name.to_owned() };
    let steps = json!([{"say": "After the beep, please."}, {"record": {}}]);
    let (_, seed) = scene.running_one(json!({"inbound": {"steps": steps}})).await;
    let (_, other) = scene.running_one(json!({"inbound": {"steps": [{"say": "Hi."}]}})).await;
    let first = ring(&scene, "m", Some(seed.phone));
    let id = rings(&scene, &first, [EventKind::Answered]).await;
    let left = NoticeKind::MessageLeft(id);
    let told = async |kind| {
        let notices = store.notices(50).await.expect("notices");
        notices.iter().filter(|notice| notice.kind == kind).count()
    };
    assert_eq!(told(left).await, 0);
    rings(&scene, &first, [recorded("RE1"), ended(Ending::Completed, 9)]).await;
    assert_eq!(told(left).await, 1);
    rings(&scene, &first, [recorded("RE1"), recorded("RE2")]).await;
    assert_eq!(told(left).await, 1);
    assert_eq!(scene.call(id).await.call.progress.recording.as_deref(), Some("RE1"));
    // Nobody was asked for one, nor is a recording of a call that we placed a message.
    let second = ring(&scene, "o", Some(other.phone));
    let over = ended(Ending::Completed, 9);
    let id = rings(&scene, &second, [EventKind::Answered, recorded("RE3"), over]).await;
    scene.dial_due().await;
    scene.hear(seed.call, [recorded("RE4")]).await;
    for call in [id, seed.call] {
        assert_eq!(told(NoticeKind::MessageLeft(call)).await, 0);
    }
    scene.check().await;
}

pub async fn i4_whoever_calls_in_is_not_dialled_until_that_call_ended(store: &dyn Store) {
    let scene = Scene::new(store);
    let phone = scene.number();
    let (_, one) = scene.running_with(Value::Null, &[phone]).await;
    let (_, two) = scene.running_with(Value::Null, &[phone]).await;
    let facts = scene.claim(10).await;
    assert!(facts.iter().all(|facts| !facts.number_live));
    let permits = facts.into_iter().map(|facts| scene.permit(facts)).collect::<Vec<_>>();
    let ring = ring(&scene, "r", Some(phone));
    rings(&scene, &ring, [EventKind::Ringing, EventKind::Answered]).await;
    let again = Err(BeginRefusal::DecideAgain);
    assert_eq!(scene.begin(&permits).await, [again, again]);
    for seed in [one[0], two[0]] {
        assert!(store.facts(seed.call).await.expect("read").expect("it waits").number_live);
    }
    rings(&scene, &ring, [ended(Ending::Completed, 9)]).await;
    assert!(!store.facts(one[0].call).await.expect("read").expect("it waits").number_live);
    assert_eq!(scene.begin(&permits).await, [Ok(()), again], "the other call is live now");
    scene.check().await;
}

pub async fn i4_a_call_of_somebody_else_or_one_that_is_over_puts_nothing_off(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seed) = scene.running_one(Value::Null).await;
    rings(&scene, &ring(&scene, "w", None), [EventKind::Answered]).await;
    rings(&scene, &ring(&scene, "s", Some(scene.number())), [EventKind::Answered]).await;
    // Its end is heard of first.
    let over = ring(&scene, "o", Some(seed.phone));
    rings(&scene, &over, [ended(Ending::Completed, 9), EventKind::Answered]).await;
    assert_eq!(scene.dial_due().await, [seed.call]);
    scene.check().await;
}

pub async fn i4_a_call_that_came_in_is_none_that_a_dnc_entry_hangs_up(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seed) = scene.running_one(Value::Null).await;
    rings(&scene, &ring(&scene, "r", Some(seed.phone)), [EventKind::Answered]).await;
    let added = scene.block(seed.phone, DncScope::Global).await;
    assert!(added.in_flight.is_empty(), "{added:?}");
    scene.check().await;
}
