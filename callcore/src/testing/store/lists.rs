//! Reading calls: by id, the history, what is to come, who called in.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::actor::Actor;
use crate::call::{
    AnsweredBy, CallEvent, CallRef, CallStatus, Direction, Ending, EventKind, InboundRing, Outcome,
    Report, Review, Skip, SkipReason,
};
use crate::campaign::Transition;
use crate::client::ClientStatus;
use crate::id::CallId;
use crate::phone::PhoneNumber;
use crate::port::{CallOrder, CallQuery, CallView, OpenCall, Recorded, SkipThen, Store};
use crate::testing::fixtures::{Scene, ended};

const HOUR: TimeDelta = TimeDelta::hours(1);

fn ids(views: &[CallView]) -> Vec<CallId> {
    views.iter().map(|view| view.call.id).collect()
}

fn no_reason() -> Skip {
    Skip { reason: SkipReason::AlreadyHandled, note: None }
}

fn ring(scene: &Scene<'_>, carrier_call_id: &str, from: Option<PhoneNumber>) -> InboundRing {
    InboundRing {
        carrier_call_id: carrier_call_id.to_owned(),
        from,
        new_id: CallId::new(scene.now(), scene.entropy()),
    }
}

fn report(scene: &Scene<'_>, ring: &InboundRing, kind: EventKind) -> Report {
    report_at(scene.now(), ring, kind)
}

fn report_at(at: DateTime<Utc>, ring: &InboundRing, kind: EventKind) -> Report {
    Report { call: CallRef::Inbound(ring.clone()), event: CallEvent { at, kind } }
}

pub async fn l1_a_call_has_one_id_from_scheduled_to_ended(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, seed) = scene.running_one(json!({"name": "Life"})).await;
    let view = scene.call(seed.call).await;
    assert_eq!(view.call.status(), CallStatus::Scheduled);
    assert_eq!(
        (view.campaign_name.as_deref(), view.client_name.as_deref()),
        (Some("Life"), Some("Client 2"))
    );
    let facts = scene.claim(1).await.remove(0);
    assert_eq!(scene.call(seed.call).await.call.status(), CallStatus::Claimed);
    let permit = scene.permit(facts);
    assert_eq!(scene.begin_one(permit).await, Ok(()));
    let steps = [
        (EventKind::Placed { carrier_call_id: "C1".to_owned() }, CallStatus::Dialing),
        (EventKind::Ringing, CallStatus::Ringing),
        (EventKind::Answered, CallStatus::InProgress),
        (EventKind::Recorded { reference: "R1".to_owned() }, CallStatus::InProgress),
        (ended(Ending::Completed, 30), CallStatus::Ended),
    ];
    for (kind, status) in steps {
        scene.advance(TimeDelta::seconds(3));
        scene.hear(seed.call, [kind]).await;
        assert_eq!(scene.call(seed.call).await.call.status(), status);
    }
    let call = scene.call(seed.call).await.call;
    let end = scene.now();
    assert_eq!(
        (call.campaign, call.client, call.phone),
        (Some(campaign), Some(seed.client), Some(seed.phone))
    );
    assert_eq!((call.direction, call.attempt, call.retry_of), (Direction::Outbound, 1, None));
    assert_eq!((call.review, call.outcome()), (Review::Unreviewed, Some(Outcome::Answered)));
    assert_eq!(call.progress.started_at, Some(end - TimeDelta::seconds(9)));
    assert_eq!(call.progress.answered_at, Some(end - TimeDelta::seconds(6)));
    assert_eq!((call.ended_at(), call.progress.talk_seconds), (Some(end), 30));
    assert_eq!(call.progress.carrier_call_id.as_deref(), Some("C1"));
    assert_eq!(call.progress.recording.as_deref(), Some("R1"));
    let events = store.events(seed.call).await.expect("read");
    assert!(events.len() == 5 && events.is_sorted());
    let nobody = CallId::new(scene.now(), scene.entropy());
    assert_eq!(store.call(nobody).await.expect("read"), None);
    assert!(store.events(nobody).await.expect("read").is_empty());
    scene.check().await;
}

pub async fn l1_many_calls_are_read_in_the_order_asked_for(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seeds) = scene.running(Value::Null, 3).await;
    store.skip(scene.by(), seeds[0].call, no_reason(), SkipThen::End).await.expect("skipped");
    let nobody = CallId::new(scene.now(), scene.entropy());
    let read = store.calls(&[seeds[2].call, nobody, seeds[0].call]).await.expect("read");
    assert_eq!(read, [scene.call(seeds[2].call).await, scene.call(seeds[0].call).await]);
    assert!(store.calls(&[]).await.expect("read").is_empty());
}

pub async fn l1_a_transcript_keeps_its_lines_in_their_order(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seed) = scene.running_one(Value::Null).await;
    scene.dial_due().await;
    let line = |index: u32, text: &str| EventKind::Line {
        index,
        speaker: crate::call::Speaker::Client,
        offset_seconds: index * 2,
        text: text.to_owned(),
    };
    let lines = [line(2, "Olá, \"João\"\n"), line(0, "Hello?"), line(1, "'; --")];
    scene.hear(seed.call, lines).await;
    let transcript = scene.call(seed.call).await.call.progress.transcript;
    let texts: Vec<&str> = transcript.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(texts, ["Hello?", "'; --", "Olá, \"João\"\n"]);
}

pub async fn l2_upcoming_has_every_scheduled_call_of_running_and_paused_campaigns(
    store: &dyn Store,
) {
    let scene = Scene::new(store);
    let draft = scene.draft(Value::Null).await;
    scene.import(draft, &[scene.number()]).await;
    let (one, a) = scene.running(Value::Null, 3).await;
    let (two, b) = scene.running(json!({"name": "Other"}), 1).await;
    scene.change(two, Transition::Pause).await;
    let (stopped, _) = scene.running_one(Value::Null).await;
    scene.change(stopped, Transition::Stop).await;
    for (seed, minutes) in a.iter().chain(&b).zip([30, 10, 20, 5]) {
        let due_at = scene.now() + TimeDelta::minutes(minutes);
        store.reschedule(scene.by(), seed.call, due_at).await.expect("moved");
    }
    let listed = async |query: CallQuery| {
        ids(&store.upcoming(&CallQuery { limit: 50, ..query }).await.expect("read").items)
    };
    let all = [b[0].call, a[1].call, a[2].call, a[0].call];
    assert_eq!(listed(CallQuery::default()).await, all, "in order of the due time");
    let query = CallQuery { campaigns: vec![one], ..CallQuery::default() };
    assert_eq!(listed(query).await, all[1..]);
    let query = CallQuery { campaigns: vec![one, two], ..CallQuery::default() };
    assert_eq!(listed(query).await, all);
    let query = CallQuery { q: Some(a[2].phone.to_string()), ..CallQuery::default() };
    assert_eq!(listed(query).await, [a[2].call]);
    let query = CallQuery { client: Some(b[0].client), ..CallQuery::default() };
    assert_eq!(listed(query).await, [b[0].call]);
    let within = CallQuery {
        from: Some(scene.now() + TimeDelta::minutes(10)),
        to: Some(scene.now() + TimeDelta::minutes(30)),
        ..CallQuery::default()
    };
    assert_eq!(listed(within).await, all[1..3], "from is inclusive, to is exclusive");
    scene.advance(TimeDelta::minutes(10));
    let live = scene.dial_due().await;
    assert_eq!(live, [a[1].call]);
    assert!(!listed(CallQuery::default()).await.contains(&a[1].call), "what began is not to come");
    scene.check().await;
}

pub async fn l2_history_has_ended_skipped_and_inbound_calls(store: &dyn Store) {
    let scene = Scene::new(store);
    let (one, a) = scene.running(json!({"name": "One"}), 3).await;
    let (two, b) = scene.running(json!({"name": "Two"}), 1).await;
    store.skip(scene.by(), a[1].call, no_reason(), SkipThen::End).await.expect("skipped");
    scene.advance(TimeDelta::minutes(1));
    scene.dial_due().await;
    scene.answer(a[0].call, AnsweredBy::Human).await;
    scene.end(b[0].call, Ending::Busy).await;
    scene.advance(TimeDelta::minutes(1));
    let stranger = ring(&scene, "IN-1", None);
    scene.record(vec![report(&scene, &stranger, EventKind::Answered)]).await;
    scene.record(vec![report(&scene, &stranger, ended(Ending::Completed, 4))]).await;
    let listed = async |query: CallQuery| {
        ids(&store.history(&CallQuery { limit: 50, ..query }).await.expect("read").items)
    };
    let all = [stranger.new_id, b[0].call, a[0].call, a[1].call];
    assert_eq!(listed(CallQuery::default()).await, all, "newest first; live ones are not there");
    let mut oldest = all;
    oldest.reverse();
    let query = CallQuery { order: Some(CallOrder::OLDEST_FIRST), ..CallQuery::default() };
    assert_eq!(listed(query).await, oldest);
    let query = CallQuery { campaigns: vec![one], ..CallQuery::default() };
    assert_eq!(listed(query).await, all[2..]);
    let outcomes = vec![Outcome::Busy, Outcome::Skipped];
    assert_eq!(
        listed(CallQuery { outcomes, ..CallQuery::default() }).await,
        [b[0].call, a[1].call]
    );
    let directions = vec![Direction::Inbound];
    assert_eq!(listed(CallQuery { directions, ..CallQuery::default() }).await, all[..1]);
    let reviews = vec![Review::NeedsFollowUp];
    assert!(listed(CallQuery { reviews, ..CallQuery::default() }).await.is_empty());
    let reviews = vec![Review::Unreviewed];
    assert_eq!(listed(CallQuery { reviews, ..CallQuery::default() }).await, all);
    let query = CallQuery { client: Some(a[0].client), ..CallQuery::default() };
    assert_eq!(listed(query).await, [a[0].call]);
    let query = CallQuery { q: Some("client 2".to_owned()), ..CallQuery::default() };
    assert_eq!(listed(query).await, [b[0].call, a[0].call]);
    let ended_at = scene.call(b[0].call).await.call.ended_at();
    let query = CallQuery { from: ended_at, ..CallQuery::default() };
    assert_eq!(listed(query).await, all[..2]);
    let query = CallQuery { to: ended_at, campaigns: vec![one, two], ..CallQuery::default() };
    assert_eq!(listed(query).await, all[2..]);
    assert!(store.history(&CallQuery::default()).await.expect("read").items.is_empty(), "limit 0");
    scene.check().await;
}

pub async fn l2_pages_of_a_history_neither_repeat_nor_lose_while_calls_end(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seeds) = scene.running(Value::Null, 24).await;
    scene.dial_due().await;
    let (first, rest) = seeds.split_at(12);
    let mut wanted = Vec::new();
    for pair in first.chunks(3) {
        // Three of one instant: the id tells them apart.
        scene.advance(TimeDelta::seconds(1));
        for seed in pair {
            scene.hear(seed.call, [ended(Ending::Completed, 1)]).await;
            wanted.push((scene.now(), seed.call));
        }
    }
    wanted.sort();
    let mut others = rest.iter();
    for order in [CallOrder::NEWEST_FIRST, CallOrder::OLDEST_FIRST] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let query = CallQuery { order: Some(order), after, limit: 2, ..CallQuery::default() };
            let page = store.history(&query).await.expect("read");
            seen.extend(ids(&page.items));
            if let Some(seed) = others.next() {
                scene.advance(TimeDelta::seconds(1));
                scene.hear(seed.call, [ended(Ending::Completed, 1)]).await;
            }
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        let mut here: Vec<CallId> = wanted.iter().map(|(_, call)| *call).collect();
        if order == CallOrder::NEWEST_FIRST {
            here.reverse();
            assert!(seen.ends_with(&here), "each of the first twelve once, newest first");
        } else {
            assert!(seen.starts_with(&here), "each of the first twelve once, oldest first");
        }
        let mut once = seen.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), seen.len(), "none twice");
    }
    scene.check().await;
}

pub async fn l2_pages_of_upcoming_calls_neither_repeat_nor_lose(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, seeds) = scene.running(Value::Null, 9).await;
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let query =
            CallQuery { after, limit: 2, campaigns: vec![campaign], ..CallQuery::default() };
        let page = store.upcoming(&query).await.expect("read");
        seen.extend(ids(&page.items));
        // The first ones are being dialled meanwhile.
        let claimed = scene.claim(1).await;
        let permits: Vec<_> = claimed.into_iter().map(|facts| scene.permit(facts)).collect();
        scene.begin(&permits).await;
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    let mut wanted: Vec<CallId> = seeds.iter().map(|seed| seed.call).collect();
    wanted.sort();
    assert_eq!(seen, wanted);
}

pub async fn l2_a_call_that_comes_in_is_its_clients_and_recorded_once(store: &dyn Store) {
    let scene = Scene::new(store);
    let phone = scene.number();
    let (_, older) = scene.running_with(Value::Null, &[phone]).await;
    let (newer, _) = scene.running_with(Value::Null, &[phone]).await;
    scene.change(newer, Transition::Pause).await;
    scene.dial_due().await;
    scene.end(older[0].call, Ending::NoAnswer).await;
    let (first, again) = (ring(&scene, "IN-7", Some(phone)), ring(&scene, "IN-7", Some(phone)));
    let new = scene.record(vec![report(&scene, &first, EventKind::Ringing)]).await;
    assert_eq!(new, [Recorded::New { call: first.new_id, ended: false }]);
    // A repeat under another id of ours is the same call all the same.
    let known = scene.record(vec![report(&scene, &again, EventKind::Ringing)]).await;
    assert_eq!(known, [Recorded::Known { call: first.new_id }]);
    assert_eq!(store.call(again.new_id).await.expect("read"), None);
    scene.record(vec![report(&scene, &again, ended(Ending::Completed, 12))]).await;
    let call = scene.call(first.new_id).await.call;
    assert_eq!((call.direction, call.attempt), (Direction::Inbound, 0));
    assert_eq!((call.client, call.phone), (Some(older[0].client), Some(phone)), "dialled last");
    assert_eq!((&call.by, call.outcome()), (&Actor::Client, Some(Outcome::Answered)));
    let standing = scene.client(older[0].client).await.client.standing;
    assert_eq!((standing.attempts, standing.last_outcome), (1, Some(Outcome::NoAnswer)));
    let notices = store.notices(10).await.expect("notices");
    let rang = crate::port::NoticeKind::InboundCall(first.new_id);
    assert_eq!(notices.iter().filter(|notice| notice.kind == rang).count(), 1);
    scene.check().await;
}

pub async fn d8_an_inbound_call_is_live_until_it_ends_and_asked_about_when_it_should_have(
    store: &dyn Store,
) {
    let scene = Scene::new(store);
    let (campaign, seed) = scene.running_one(Value::Null).await;
    let (known, stranger) = (ring(&scene, "IN-1", Some(seed.phone)), ring(&scene, "IN-2", None));
    let mut wanted = vec![(known.new_id, Some(seed.phone)), (stranger.new_id, None)];
    wanted.sort();
    for ring in [&known, &stranger] {
        scene.record(vec![report(&scene, ring, EventKind::Answered)]).await;
    }
    let began = scene.now();
    let sorted = |open: Vec<OpenCall>| {
        assert!(open.iter().all(|open| open.begun_at == began && open.events.len() == 1));
        let mut calls: Vec<_> = open.into_iter().map(|open| (open.call, open.phone)).collect();
        calls.sort();
        calls
    };
    assert_eq!(sorted(store.live(10).await.expect("read")), wanted);
    assert_eq!(scene.campaign(campaign).await.progress.live, 0, "it takes no slot");
    let asked = async || store.unsettled(scene.now(), scene.wall(), 10).await.expect("read");
    assert!(asked().await.is_empty(), "it is heard of");
    scene.advance(crate::engine::SLOT_HOLD);
    assert_eq!(sorted(asked().await), wanted, "it should have ended by now");
    for ring in [&known, &stranger] {
        scene.record(vec![report(&scene, ring, ended(Ending::Completed, 60))]).await;
    }
    assert_eq!(scene.dial_due().await, [seed.call], "who rang may be called now");
    scene.end(seed.call, Ending::Busy).await;
    scene.advance(HOUR);
    assert!(asked().await.is_empty() && store.live(10).await.expect("read").is_empty());
    scene.check().await;
}

pub async fn l2_calls_of_strangers_and_withheld_numbers_are_recorded(store: &dyn Store) {
    let scene = Scene::new(store);
    for (id, from) in [("IN-1", None), ("IN-2", Some(scene.number()))] {
        let ring = ring(&scene, id, from);
        // Events may overtake each other: the end comes first.
        let end = report_at(scene.now() + HOUR, &ring, ended(Ending::Completed, 3));
        scene.record(vec![end, report(&scene, &ring, EventKind::Answered)]).await;
        let call = scene.call(ring.new_id).await.call;
        assert_eq!((call.campaign, call.client, call.phone), (None, None, from));
        assert_eq!((call.outcome(), call.due_at), (Some(Outcome::Answered), scene.now()));
    }
    scene.check().await;
}

pub async fn l2_whoever_opts_out_while_calling_in_is_not_called(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seed) = scene.running_one(Value::Null).await;
    let ring = ring(&scene, "IN-9", Some(seed.phone));
    scene.record(vec![report(&scene, &ring, EventKind::OptOut)]).await;
    assert!(scene.client(seed.client).await.on_dnc);
    assert!(scene.claim(10).await.is_empty());
    assert_eq!(scene.status(seed.client).await, ClientStatus::OnDnc);
    scene.check().await;
}
