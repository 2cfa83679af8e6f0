//! Calls that are to be hung up.

use chrono::TimeDelta;
use serde_json::Value;

use crate::call::{CallEvent, CallRef, Ending, EventKind, InboundRing, Report};
use crate::dnc::DncScope;
use crate::id::{CallId, ImportId};
use crate::port::{BeginDncImport, Store, TakeBack};
use crate::testing::fixtures::{Scene, ended};

/// Longer than the first wait and shorter than the second.
const SOON: TimeDelta = TimeDelta::seconds(4);
/// Longer than any wait.
const LONG: TimeDelta = TimeDelta::minutes(11);

async fn wanted(scene: &Scene<'_>) -> Vec<CallId> {
    let calls = scene.store.hang_ups(scene.wall(), 50).await.expect("read");
    calls.into_iter().map(|open| open.call).collect()
}

/// Those that are wanted once whoever asked for it had its time.
async fn wanted_later(scene: &Scene<'_>) -> Vec<CallId> {
    assert_eq!(wanted(scene).await, [], "whoever asked comes first");
    scene.advance_wall(SOON);
    wanted(scene).await
}

fn placed() -> EventKind {
    EventKind::Placed { carrier_call_id: "C1".to_owned() }
}

pub async fn d10_whoever_is_put_on_the_list_is_hung_up_until_the_call_is_over(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seeds) = scene.running(Value::Null, 3).await;
    scene.dial_due().await;
    scene.hear(seeds[0].call, [placed(), EventKind::Ringing]).await;
    scene.advance_wall(LONG);
    assert_eq!(wanted(&scene).await, [], "nobody asked for it");
    scene.block(seeds[0].phone, DncScope::Global).await;
    scene.block(seeds[1].phone, DncScope::Global).await;
    let mut both = vec![seeds[0].call, seeds[1].call];
    both.sort_unstable();
    assert_eq!(wanted_later(&scene).await, both);
    scene.advance_wall(LONG);
    let open = store.hang_ups(scene.wall(), 50).await.expect("read");
    let first = open.iter().find(|open| open.call == seeds[0].call).expect("still live");
    assert_eq!(first.carrier_call_id.as_deref(), Some("C1"));
    assert_eq!((first.phone, first.events.len()), (Some(seeds[0].phone), 2));
    scene.advance_wall(LONG);
    let one = store.hang_ups(scene.wall(), 1).await.expect("read");
    assert_eq!(one.len(), 1);
    let other = store.hang_ups(scene.wall(), 1).await.expect("read");
    assert!(other.len() == 1 && other[0].call != one[0].call, "the others are next");
    scene.end(seeds[0].call, Ending::Canceled).await;
    scene.advance_wall(LONG);
    assert_eq!(wanted(&scene).await, [seeds[1].call]);
    // What comes late of a call that is over does not bring it back.
    scene.hear(seeds[0].call, [EventKind::Answered]).await;
    scene.end(seeds[1].call, Ending::Canceled).await;
    scene.advance_wall(LONG);
    assert_eq!(wanted(&scene).await, []);
    scene.check().await;
}

pub async fn d10_a_list_an_erasure_and_a_stop_that_says_so_ask_for_it_too(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seeds) = scene.running(Value::Null, 3).await;
    scene.dial_due().await;
    store.stop_all(scene.by(), None, false).await.expect("stopped");
    scene.advance_wall(LONG);
    assert_eq!(wanted(&scene).await, [], "calls in progress go on unless told");
    let import = ImportId::new(scene.now(), scene.entropy());
    let scope = DncScope::Global;
    let begun = BeginDncImport { id: import, scope, file_name: "stop.csv".to_owned() };
    store.begin_dnc_import(scene.by(), begun).await.expect("begun");
    let numbers = [(seeds[0].phone, String::new())];
    store.add_dnc_batch(scene.by(), import, &numbers).await.expect("added");
    assert_eq!(wanted_later(&scene).await, [seeds[0].call]);
    scene.end(seeds[0].call, Ending::Canceled).await;
    scene.advance_wall(LONG);
    store.erase(scene.by(), seeds[1].client, "asked").await.expect("erased");
    let open = {
        assert_eq!(wanted(&scene).await, []);
        scene.advance_wall(SOON);
        store.hang_ups(scene.wall(), 50).await.expect("read")
    };
    let named: Vec<_> = open.iter().map(|open| (open.call, open.phone)).collect();
    assert_eq!(named, [(seeds[1].call, Some(seeds[1].phone))], "it can still be looked for");
    scene.end(seeds[1].call, Ending::Canceled).await;
    store.stop_all(scene.by(), None, true).await.expect("stopped");
    assert_eq!(wanted_later(&scene).await, [seeds[2].call]);
    scene.check().await;
}

pub async fn d10_a_call_is_returned_at_once_when_its_id_is_heard(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seed) = scene.running_one(Value::Null).await;
    scene.dial_due().await;
    scene.hear(seed.call, [EventKind::Unclear]).await;
    scene.block(seed.phone, DncScope::Global).await;
    assert_eq!(wanted_later(&scene).await, [seed.call]);
    scene.hear(seed.call, [EventKind::Ringing]).await;
    assert_eq!(wanted(&scene).await, [], "it is still not known by what it can be hung up");
    scene.hear(seed.call, [placed()]).await;
    let open = store.hang_ups(scene.wall(), 50).await.expect("read");
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].carrier_call_id.as_deref(), Some("C1"));
    assert_eq!(wanted(&scene).await, [], "and then it waits again");
    scene.check().await;
}

pub async fn d10_waits_double_up_to_ten_minutes(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seed) = scene.running_one(Value::Null).await;
    scene.dial_due().await;
    scene.block(seed.phone, DncScope::Global).await;
    assert_eq!(wanted(&scene).await, []);
    let second = TimeDelta::seconds(1);
    for wait in [3, 6, 12, 24, 48, 96, 192, 384, 600, 600] {
        scene.advance_wall(TimeDelta::seconds(wait) - second);
        assert_eq!(wanted(&scene).await, [], "{wait}");
        scene.advance_wall(second);
        assert_eq!(wanted(&scene).await, [seed.call], "{wait}");
    }
}

pub async fn d10_a_call_that_goes_back_is_not_hung_up_later(store: &dyn Store) {
    let scene = Scene::new(store);
    scene.running(Value::Null, 1).await;
    let facts = scene.claim(1).await.remove(0);
    let (call, lease) = (facts.call, facts.lease);
    assert_eq!(scene.begin_one(scene.permit(facts)).await, Ok(()));
    store.stop_all(scene.by(), None, true).await.expect("stopped");
    store.take_back(scene.by(), &[TakeBack { call, lease, due_at: None }]).await.expect("back");
    store.resume_all(scene.by()).await.expect("resumed");
    assert_eq!(scene.dial_due().await, [call]);
    scene.hear(call, [placed()]).await;
    scene.advance_wall(LONG);
    assert_eq!(wanted(&scene).await, [], "nobody wanted this dial hung up");
    scene.check().await;
}

pub async fn d10_who_opts_out_in_one_call_is_not_rung_on_by_another(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seeds) = scene.running(Value::Null, 2).await;
    scene.dial_due().await;
    // In a call of its own: it hears that confirmed there.
    scene.hear(seeds[1].call, [EventKind::Answered, EventKind::OptOut]).await;
    scene.advance_wall(LONG);
    assert_eq!(wanted(&scene).await, []);
    let ring = InboundRing {
        carrier_call_id: "ring-1".to_owned(),
        from: Some(seeds[0].phone),
        new_id: CallId::new(scene.now(), scene.entropy()),
    };
    let report = |kind| Report {
        call: CallRef::Inbound(ring.clone()),
        event: CallEvent { at: scene.now(), kind },
    };
    let told = vec![report(EventKind::Ringing), report(EventKind::OptOut)];
    scene.record(told).await;
    assert_eq!(wanted_later(&scene).await, [seeds[0].call]);
    scene.hear(seeds[0].call, [ended(Ending::Canceled, 0)]).await;
    scene.advance_wall(LONG);
    assert_eq!(wanted(&scene).await, []);
    scene.check().await;
}
