//! The calls' side.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::actor::Actor;
use crate::call::{
    AnsweredBy, CallEvent, CallRef, CallStatus, Direction, Ending, EventKind, InboundRing, Intent,
    Outcome, Report, Review, Skip, SkipReason,
};
use crate::campaign::{RunState, Transition};
use crate::client::ClientStatus;
use crate::dnc::DncScope;
use crate::id::CallId;
use crate::phone::PhoneNumber;
use crate::port::{
    ActError, By, CallQuery, CallView, HistoryOrder, Recorded, Refused, SkipThen, Store,
};
use crate::testing::fixtures::{Scene, ended, person};

const HOUR: TimeDelta = TimeDelta::hours(1);

fn refused<T: std::fmt::Debug>(result: Result<T, ActError>) -> Refused {
    match result {
        Err(ActError::Refused(refused)) => refused,
        other => panic!("it is refused: {other:?}"),
    }
}

fn ids(views: &[CallView]) -> Vec<CallId> {
    views.iter().map(|view| view.call.id).collect()
}

fn no_reason() -> Skip {
    Skip { reason: SkipReason::AlreadyHandled, note: None }
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
    let query = CallQuery { order: HistoryOrder::OldestFirst, ..CallQuery::default() };
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
    for order in [HistoryOrder::NewestFirst, HistoryOrder::OldestFirst] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let query = CallQuery { order, after, limit: 2, ..CallQuery::default() };
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
        if order == HistoryOrder::NewestFirst {
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

pub async fn l3_call_now_is_due_at_once_by_a_persons_wish(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seed) = scene.running_one(Value::Null).await;
    store.reschedule(scene.by(), seed.call, scene.now() + HOUR).await.expect("moved");
    let operator = person();
    let view = store.call_now(By::new(&operator, scene.now()), seed.call).await.expect("now");
    assert_eq!((view.call.intent, view.call.due_at), (Intent::Person, scene.now()));
    assert_eq!(view.call.by, operator);
    assert_eq!(view, scene.call(seed.call).await);
    assert_eq!(scene.claim(1).await[0].intent, Intent::Person);
    scene.check().await;
}

pub async fn l3_reschedule_moves_a_call_and_keeps_the_rules(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seed) = scene.running_one(Value::Null).await;
    let due_at = scene.now() + HOUR;
    let view = store.reschedule(scene.by(), seed.call, due_at).await.expect("moved");
    assert_eq!((view.call.intent, view.call.due_at), (Intent::Rescheduled, due_at));
    let next = scene.client(seed.client).await.client.standing.next_call.expect("to come");
    assert_eq!((next.call, next.due_at), (seed.call, due_at));
    scene.check().await;
}

pub async fn l3_a_claimed_live_or_ended_call_is_left_alone(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seed) = scene.running_one(Value::Null).await;
    let all_refuse = async |status: CallStatus| {
        let by = scene.by();
        let now = store.call_now(by, seed.call).await;
        assert_eq!(refused(now), Refused::Call(status));
        let skip = store.skip(by, seed.call, no_reason(), SkipThen::End).await;
        assert_eq!(refused(skip), Refused::Call(status));
        let moved = store.reschedule(by, seed.call, scene.now() + HOUR).await;
        assert_eq!(refused(moved), Refused::Call(status));
    };
    let facts = scene.claim(1).await.remove(0);
    all_refuse(CallStatus::Claimed).await;
    let permit = scene.permit(facts);
    assert_eq!(scene.begin_one(permit).await, Ok(()));
    all_refuse(CallStatus::Dialing).await;
    scene.hear(seed.call, [EventKind::Unclear]).await;
    all_refuse(CallStatus::Unknown).await;
    scene.answer(seed.call, AnsweredBy::Human).await;
    all_refuse(CallStatus::Ended).await;
    let nobody = CallId::new(scene.now(), scene.entropy());
    assert_eq!(refused(store.call_now(scene.by(), nobody).await), Refused::NotFound);
    scene.check().await;
}

pub async fn l3_a_draft_is_not_called_now_and_a_stopped_campaign_not_at_all(store: &dyn Store) {
    let scene = Scene::new(store);
    let draft = scene.draft(Value::Null).await;
    let seed = scene.import(draft, &[scene.number()]).await[0];
    let now = store.call_now(scene.by(), seed.call).await;
    assert_eq!(refused(now), Refused::Campaign(RunState::Draft));
    store.reschedule(scene.by(), seed.call, scene.now() + HOUR).await.expect("a draft is arranged");
    let (stopped, seed) = scene.running_one(Value::Null).await;
    scene.change(stopped, Transition::Stop).await;
    // Stopping cancelled the call: it has ended as well.
    for result in [
        store.call_now(scene.by(), seed.call).await,
        store.reschedule(scene.by(), seed.call, scene.now()).await,
        store.skip(scene.by(), seed.call, no_reason(), SkipThen::End).await,
        store.retry(scene.by(), seed.call, scene.new_call(scene.now())).await,
    ] {
        refused(result);
    }
    scene.check().await;
}

pub async fn l3_a_skipped_call_stands_in_the_history_and_ends_its_client(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, seed) = scene.running_one(Value::Null).await;
    let operator = person();
    let skip = Skip { reason: SkipReason::Other, note: Some("on holiday".to_owned()) };
    let by = By::new(&operator, scene.now());
    let view = store.skip(by, seed.call, skip.clone(), SkipThen::End).await.expect("skipped");
    assert_eq!(
        (view.call.status(), view.call.outcome()),
        (CallStatus::Ended, Some(Outcome::Skipped))
    );
    let retired = view.call.retired.clone().expect("it ended without a dial");
    assert_eq!((retired.at, &retired.by), (scene.now(), &operator));
    assert_eq!(retired.how, crate::call::Retirement::Skipped(skip));
    assert_eq!(scene.history(campaign).await, [view]);
    let standing = scene.client(seed.client).await.client.standing;
    assert_eq!((standing.status, standing.attempts), (ClientStatus::Skipped, 0));
    assert_eq!(scene.campaign(campaign).await.campaign.state, RunState::Finished);
    let totals = scene.campaign(campaign).await.progress.totals;
    assert_eq!((totals.attempted(), totals.outcomes[&Outcome::Skipped]), (0, 1));
    scene.check().await;
}

pub async fn l3_a_skipped_call_may_be_followed_by_the_next_attempt(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, seed) = scene.running_one(Value::Null).await;
    let next = scene.new_call(scene.now() + HOUR * 2);
    let then = SkipThen::Next(next);
    store.skip(scene.by(), seed.call, no_reason(), then).await.expect("skipped");
    let call = scene.call(next.id).await.call;
    assert_eq!((call.due_at, call.status()), (next.due_at, CallStatus::Scheduled));
    assert_eq!(call.attempt, 1, "a call that was not dialled was no attempt");
    assert_eq!(scene.status(seed.client).await, ClientStatus::Pending);
    assert_eq!(scene.campaign(campaign).await.campaign.state, RunState::Running);
    assert_eq!(ids(&scene.upcoming(campaign).await), [next.id]);
    scene.check().await;
    assert_eq!(scene.dial_next(seed.client).await, next.id);
    scene.end(next.id, Ending::Busy).await;
    assert_eq!(scene.status(seed.client).await, ClientStatus::Scheduled, "and its retry is owed");
    scene.check().await;
}

pub async fn l4_retry_makes_a_new_call_by_a_persons_wish(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, seed) = scene.running_one(json!({"retry": {"max_attempts": 1}})).await;
    scene.dial_due().await;
    scene.end(seed.call, Ending::Busy).await;
    assert_eq!(scene.status(seed.client).await, ClientStatus::Exhausted);
    let operator = person();
    let new = scene.new_call(scene.now() + HOUR);
    let by = By::new(&operator, scene.now());
    let view = store.retry(by, seed.call, new).await.expect("again");
    assert_eq!((view.call.id, view.call.due_at), (new.id, new.due_at));
    assert_eq!((view.call.retry_of, view.call.attempt), (Some(seed.call), 2));
    assert_eq!((view.call.intent, &view.call.by), (Intent::Person, &operator));
    assert_eq!(scene.status(seed.client).await, ClientStatus::Scheduled);
    scene.check().await;
    assert_eq!(scene.dial_next(seed.client).await, new.id, "beyond max_attempts");
    scene.answer(new.id, AnsweredBy::Human).await;
    assert_eq!(scene.status(seed.client).await, ClientStatus::Reached);
    assert_eq!(scene.campaign(campaign).await.campaign.state, RunState::Finished);
    scene.check().await;
}

pub async fn l4_retry_refuses_while_a_call_is_to_come_or_live(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seed) = scene.running_one(Value::Null).await;
    let again =
        async |id: CallId| refused(store.retry(scene.by(), id, scene.new_call(scene.now())).await);
    assert_eq!(again(seed.call).await, Refused::Call(CallStatus::Scheduled), "it has not ended");
    scene.dial_due().await;
    assert_eq!(again(seed.call).await, Refused::Call(CallStatus::Dialing));
    scene.end(seed.call, Ending::Busy).await;
    let planned = scene.client(seed.client).await.client.standing.next_call.expect("a retry").call;
    assert_eq!(again(seed.call).await, Refused::AlreadyScheduled(planned));
    scene.dial_next(seed.client).await;
    assert!(matches!(again(seed.call).await, Refused::AlreadyScheduled(_) | Refused::Call(_)));
    scene.answer(planned, AnsweredBy::Human).await;
    let nobody = CallId::new(scene.now(), scene.entropy());
    assert_eq!(again(nobody).await, Refused::NotFound);
    scene.block(seed.phone, DncScope::Global).await;
    assert_eq!(again(planned).await, Refused::OnDnc);
    let draft = scene.draft(Value::Null).await;
    let drafted = scene.import(draft, &[scene.number()]).await[0];
    store.skip(scene.by(), drafted.call, no_reason(), SkipThen::End).await.expect("skipped");
    assert_eq!(again(drafted.call).await, Refused::Campaign(RunState::Draft));
    scene.check().await;
}

pub async fn l5_a_retry_makes_a_finished_campaign_run_again(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, seed) = scene.running_one(Value::Null).await;
    scene.dial_due().await;
    scene.answer(seed.call, AnsweredBy::Human).await;
    assert_eq!(scene.campaign(campaign).await.campaign.state, RunState::Finished);
    let new = scene.new_call(scene.now());
    store.retry(scene.by(), seed.call, new).await.expect("again");
    let view = scene.campaign(campaign).await.campaign;
    assert_eq!((view.state, view.ended_at), (RunState::Running, None));
    assert_eq!(scene.dial_due().await, [new.id]);
    scene.check().await;
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
