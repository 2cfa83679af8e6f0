//! What people do to scheduled and ended calls.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::call::{AnsweredBy, CallStatus, Ending, EventKind, Intent, Outcome, Skip, SkipReason};
use crate::campaign::{RunState, Transition};
use crate::client::ClientStatus;
use crate::dnc::DncScope;
use crate::id::CallId;
use crate::port::{By, CallView, Refused, SkipThen, Store};
use crate::testing::fixtures::{Scene, person, refused};

const HOUR: TimeDelta = TimeDelta::hours(1);

fn ids(views: &[CallView]) -> Vec<CallId> {
    views.iter().map(|view| view.call.id).collect()
}

fn no_reason() -> Skip {
    Skip { reason: SkipReason::AlreadyHandled, note: None }
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

pub async fn l3_who_was_reached_stays_so_when_a_re_call_is_skipped(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seed) = scene.running_one(Value::Null).await;
    scene.dial_due().await;
    scene.answer(seed.call, AnsweredBy::Human).await;
    let new = scene.new_call(scene.now());
    let again = store.retry(scene.by(), seed.call, new).await.expect("re-called").call.id;
    assert_eq!(scene.status(seed.client).await, ClientStatus::Scheduled);
    store.skip(scene.by(), again, no_reason(), SkipThen::End).await.expect("skipped");
    assert_eq!(scene.status(seed.client).await, ClientStatus::Reached);
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
