//! What follows from how calls end: retries, counters, corrections.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::call::{AnsweredBy, CallStatus, Ending, EventKind, Intent, Outcome, Report};
use crate::campaign::RunState;
use crate::client::ClientStatus;
use crate::dnc::DncScope;
use crate::engine::UNKNOWN_LIMIT;
use crate::port::{NoticeKind, Recorded, Store};
use crate::testing::fixtures::{Scene, ended};

const HOUR: TimeDelta = TimeDelta::hours(1);

pub async fn d5_no_answer_then_busy_are_two_dials_in_all(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, seed) = scene.running_one(Value::Null).await;
    scene.dial_due().await;
    scene.end(seed.call, Ending::NoAnswer).await;
    let ended_at = scene.now();
    let standing = scene.client(seed.client).await.client.standing;
    assert_eq!((standing.status, standing.attempts), (ClientStatus::Scheduled, 1));
    assert_eq!(
        (standing.last_outcome, standing.last_call_at),
        (Some(Outcome::NoAnswer), Some(ended_at))
    );
    let next = standing.next_call.expect("one retry");
    assert_eq!(next.due_at, ended_at + HOUR * 2, "later the same day, two hours at least");
    let retry = scene.call(next.call).await.call;
    assert_eq!((retry.attempt, retry.retry_of), (2, Some(seed.call)));
    assert_eq!((retry.intent, retry.status()), (Intent::Plan, CallStatus::Scheduled));
    scene.check().await;
    assert_eq!(scene.dial_next(seed.client).await, next.call);
    scene.end(next.call, Ending::Busy).await;
    let standing = scene.client(seed.client).await.client.standing;
    assert_eq!((standing.status, standing.attempts), (ClientStatus::Exhausted, 2));
    assert_eq!(scene.campaign(campaign).await.campaign.state, RunState::Finished);
    assert_eq!(scene.campaign(campaign).await.progress.totals.attempted(), 2);
    scene.check().await;
}

pub async fn d5_voicemail_is_tried_thrice(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, seed) = scene.running_one(Value::Null).await;
    for dial in 1..=3 {
        let call = scene.dial_next(seed.client).await;
        scene.answer(call, AnsweredBy::Machine).await;
        let standing = scene.client(seed.client).await.client.standing;
        assert_eq!((standing.attempts, standing.voicemails), (dial, dial));
        scene.check().await;
    }
    assert_eq!(scene.status(seed.client).await, ClientStatus::Voicemail);
    assert_eq!(scene.campaign(campaign).await.campaign.state, RunState::Finished);
    assert_eq!(scene.campaign(campaign).await.progress.totals.answered(), 0);
}

pub async fn d5_a_voicemail_with_a_message_is_the_end(store: &dyn Store) {
    let scene = Scene::new(store);
    for policy in ["leave_message", "mark_and_move_on"] {
        let voicemail = json!({"voicemail": {"policy": policy, "message": "Call us."}});
        let (_, seed) = scene.running_one(voicemail).await;
        scene.dial_due().await;
        scene.answer(seed.call, AnsweredBy::Machine).await;
        assert_eq!(scene.status(seed.client).await, ClientStatus::Voicemail);
    }
    scene.check().await;
}

pub async fn d5_a_permanent_failure_is_not_retried(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seeds) = scene.running(Value::Null, 3).await;
    scene.dial_due().await;
    let reason = || "out_of_service".to_owned();
    scene.end(seeds[0].call, Ending::Failed { reason: reason(), permanent: true }).await;
    scene.hear(seeds[1].call, [EventKind::NotPlaced { reason: reason(), permanent: true }]).await;
    scene.end(seeds[2].call, Ending::Failed { reason: reason(), permanent: false }).await;
    for (seed, status) in seeds.iter().zip([
        ClientStatus::Unreachable,
        ClientStatus::Unreachable,
        ClientStatus::Scheduled,
    ]) {
        let call = scene.call(seed.call).await.call;
        assert_eq!(
            (call.outcome(), call.end_reason()),
            (Some(Outcome::Failed), Some("out_of_service"))
        );
        assert_eq!(scene.status(seed.client).await, status);
    }
    scene.check().await;
}

pub async fn d5_who_is_reached_is_not_called_again(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seed) = scene.running_one(Value::Null).await;
    let first = scene.dial_next(seed.client).await;
    scene.end(first, Ending::Busy).await;
    let second = scene.dial_next(seed.client).await;
    let key = EventKind::Key { digit: '1', press: 0 };
    scene.hear(second, [EventKind::Answered, key]).await;
    scene.hear(second, [ended(Ending::Completed, 41)]).await;
    let view = scene.client(seed.client).await.client;
    assert_eq!(view.standing.status, ClientStatus::Reached);
    assert!(view.tags.contains("confirmed"), "a key tags the client");
    assert_eq!(scene.call(second).await.call.progress.talk_seconds, 41);
    scene.check().await;
}

pub async fn d5_a_late_verdict_plans_the_retry_and_reopens_the_campaign(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, seed) = scene.running_one(Value::Null).await;
    scene.dial_due().await;
    scene.hear(seed.call, [EventKind::Answered, ended(Ending::Completed, 30)]).await;
    let ended_at = scene.now();
    let view = scene.campaign(campaign).await;
    assert_eq!((view.campaign.state, view.progress.totals.answered()), (RunState::Finished, 1));
    assert_eq!(view.progress.totals.talk_seconds, 30);
    scene.advance(TimeDelta::seconds(40));
    let late = scene.hear(seed.call, [EventKind::Detected { by: AnsweredBy::Machine }]).await;
    assert_eq!(late, [Recorded::New { call: seed.call, ended: false }], "it had ended before");
    let view = scene.campaign(campaign).await;
    assert_eq!((view.campaign.state, view.campaign.ended_at), (RunState::Running, None));
    assert_eq!((view.progress.totals.answered(), view.progress.totals.talk_seconds), (0, 0));
    assert_eq!(view.progress.totals.outcomes[&Outcome::Voicemail], 1);
    let standing = scene.client(seed.client).await.client.standing;
    assert_eq!((standing.status, standing.voicemails), (ClientStatus::Scheduled, 1));
    assert_eq!(standing.next_call.expect("a retry").due_at, ended_at + HOUR * 4);
    scene.check().await;
}

pub async fn d5_later_evidence_withdraws_a_retry_that_has_not_begun(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, seed) = scene.running_one(Value::Null).await;
    scene.dial_due().await;
    scene.hear(seed.call, [EventKind::Answered, ended(Ending::Completed, 30)]).await;
    scene.hear(seed.call, [EventKind::Detected { by: AnsweredBy::Machine }]).await;
    let retry = scene.client(seed.client).await.client.standing.next_call.expect("a retry").call;
    scene.hear(seed.call, [EventKind::Detected { by: AnsweredBy::Human }]).await;
    assert_eq!(scene.status(seed.client).await, ClientStatus::Reached);
    assert_eq!(store.call(retry).await.expect("read"), None, "it never was");
    assert_eq!(scene.campaign(campaign).await.campaign.state, RunState::Finished);
    scene.check().await;
}

pub async fn d5_a_withdrawn_retry_is_not_begun_by_whoever_claimed_it(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seed) = scene.running_one(Value::Null).await;
    scene.dial_due().await;
    scene.end(seed.call, Ending::NoAnswer).await;
    scene.advance(HOUR * 3);
    let facts = scene.claim(10).await.remove(0);
    let permit = scene.permit(facts);
    let late = [EventKind::Answered, EventKind::Key { digit: '1', press: 0 }];
    scene.hear(seed.call, late).await;
    assert_eq!(scene.status(seed.client).await, ClientStatus::Reached);
    assert!(scene.begin_one(permit).await.is_err());
    scene.check().await;
}

pub async fn d5_a_retry_that_began_stays_whatever_is_heard_of_the_first_call(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seed) = scene.running_one(Value::Null).await;
    scene.dial_due().await;
    scene.end(seed.call, Ending::NoAnswer).await;
    let retry = scene.dial_next(seed.client).await;
    scene.hear(seed.call, [EventKind::Answered]).await;
    assert_eq!(scene.call(seed.call).await.call.outcome(), Some(Outcome::Answered));
    assert!(scene.call(retry).await.call.is_live());
    assert_eq!(scene.status(seed.client).await, ClientStatus::InProgress);
    scene.check().await;
    scene.end(retry, Ending::Busy).await;
    scene.check().await;
}

pub async fn d5_an_unknown_call_is_given_up_and_a_late_word_corrects_it(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, seed) = scene.running_one(Value::Null).await;
    scene.dial_due().await;
    let began = scene.now();
    scene.hear(seed.call, [EventKind::Unclear]).await;
    assert_eq!(scene.call(seed.call).await.call.status(), CallStatus::Unknown);
    assert_eq!(scene.status(seed.client).await, ClientStatus::InProgress);
    scene.advance(UNKNOWN_LIMIT);
    assert!(scene.claim(10).await.is_empty(), "it is never dialled again by itself");
    scene.hear(seed.call, [EventKind::GivenUp]).await;
    let call = scene.call(seed.call).await.call;
    assert_eq!((call.outcome(), call.end_reason()), (Some(Outcome::Failed), Some("unknown")));
    assert_eq!(scene.status(seed.client).await, ClientStatus::NeedsFollowUp);
    assert_eq!(scene.campaign(campaign).await.campaign.state, RunState::Finished);
    let notices = store.notices(10).await.expect("notices");
    let given_up = NoticeKind::CallGivenUp(seed.call);
    assert!(notices.iter().any(|notice| notice.kind == given_up), "people hear of it");
    scene.check().await;
    let busy = ended(Ending::Busy, 0);
    scene.record(vec![Report::ours(seed.call, began + TimeDelta::seconds(9), busy)]).await;
    let call = scene.call(seed.call).await.call;
    assert_eq!(
        (call.outcome(), call.ended_at()),
        (Some(Outcome::Busy), Some(began + TimeDelta::seconds(9)))
    );
    assert_eq!(scene.status(seed.client).await, ClientStatus::Scheduled, "now a retry is owed");
    assert_eq!(scene.campaign(campaign).await.campaign.state, RunState::Running);
    scene.check().await;
}

pub async fn d5_a_call_that_turns_out_to_live_makes_its_campaign_run_again(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, seed) = scene.running_one(Value::Null).await;
    scene.dial_due().await;
    let reason = "invalid".to_owned();
    scene.hear(seed.call, [EventKind::NotPlaced { reason, permanent: true }]).await;
    assert_eq!(scene.campaign(campaign).await.campaign.state, RunState::Finished);
    scene.hear(seed.call, [EventKind::Ringing]).await;
    assert_eq!(scene.call(seed.call).await.call.status(), CallStatus::Ringing);
    assert_eq!(scene.status(seed.client).await, ClientStatus::InProgress);
    assert_eq!(scene.campaign(campaign).await.campaign.state, RunState::Running);
    scene.check().await;
    scene.hear(seed.call, [ended(Ending::NoAnswer, 0)]).await;
    assert_eq!(scene.status(seed.client).await, ClientStatus::Scheduled);
    scene.check().await;
}

pub async fn d5_no_retry_is_planned_where_the_hours_never_open_again(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seed) = scene.running_one(json!({"end_on": "2026-03-02"})).await;
    scene.advance(HOUR * 7);
    scene.dial_due().await;
    scene.end(seed.call, Ending::Busy).await;
    assert_eq!(scene.status(seed.client).await, ClientStatus::Exhausted);
    scene.check().await;
}

pub async fn d5_max_attempts_bounds_all_dials(store: &dyn Store) {
    let scene = Scene::new(store);
    let many = json!({"retry": {
        "connect": ["PT1M", "PT1M", "PT1M"], "voicemail": ["PT1M", "PT1M"], "max_attempts": 3
    }});
    let (_, seed) = scene.running_one(many).await;
    for (dial, by) in [None, Some(AnsweredBy::Machine), None].into_iter().enumerate() {
        assert!(!scene.status(seed.client).await.is_final(), "dial {dial}");
        let call = scene.dial_next(seed.client).await;
        match by {
            Some(by) => scene.answer(call, by).await,
            None => scene.end(call, Ending::Busy).await,
        }
        scene.check().await;
    }
    assert_eq!(scene.status(seed.client).await, ClientStatus::Exhausted);
}

pub async fn d5_one_batch_may_be_about_many_calls(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, seeds) = scene.running(Value::Null, 30).await;
    scene.dial_due().await;
    let now = scene.now();
    let mut reports: Vec<Report> = Vec::new();
    for seed in &seeds {
        reports.push(Report::ours(seed.call, now, EventKind::Answered));
        reports.push(Report::ours(seed.call, now, ended(Ending::Completed, 10)));
        reports.push(Report::ours(seed.call, now, EventKind::Answered));
    }
    let answers = scene.record(reports).await;
    for (seed, answers) in seeds.iter().zip(answers.chunks(3)) {
        let call = seed.call;
        let wanted = [
            Recorded::New { call, ended: false },
            Recorded::New { call, ended: true },
            Recorded::Known { call },
        ];
        assert_eq!(answers, wanted);
    }
    assert_eq!(scene.campaign(campaign).await.campaign.state, RunState::Finished);
    scene.check().await;
}

pub async fn d5_retries_of_a_number_that_was_blocked_meanwhile_are_not_planned(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, seed) = scene.running_one(Value::Null).await;
    scene.dial_due().await;
    scene.end(seed.call, Ending::Busy).await;
    let retry = scene.client(seed.client).await.client.standing.next_call.expect("a retry").call;
    let added = scene.block(seed.phone, DncScope::Campaign(campaign)).await;
    assert_eq!(added.canceled, [retry]);
    // Another word on the ended call must not bring the retry back.
    scene.hear(seed.call, [EventKind::Recorded { reference: "R".to_owned() }]).await;
    scene.hear(seed.call, [ended(Ending::NoAnswer, 0)]).await;
    assert_eq!(scene.status(seed.client).await, ClientStatus::OnDnc);
    assert_eq!(scene.call(retry).await.call.outcome(), Some(Outcome::Canceled));
    scene.check().await;
}
