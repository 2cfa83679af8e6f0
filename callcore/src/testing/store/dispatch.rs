//! From the intent to the end of a claim.

use chrono::TimeDelta;
use futures_util::future::join;
use serde_json::{Value, json};

use crate::call::{AnsweredBy, CallStatus, CancelReason, Ending, EventKind, Outcome};
use crate::campaign::{RunState, Transition};
use crate::client::ClientStatus;
use crate::dnc::DncScope;
use crate::engine::{BeginRefusal, Defer, Facts, Permit, Rule, Settlement, Verdict};
use crate::id::CallId;
use crate::port::{Recorded, Store, TakeBack};
use crate::testing::fixtures::{LEASE, Scene, person, settings};

const HOUR: TimeDelta = TimeDelta::hours(1);

fn calls(facts: &[Facts]) -> Vec<CallId> {
    facts.iter().map(|facts| facts.call).collect()
}

pub async fn d3_begin_stores_the_intent_the_decision_and_the_attempt(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, seed) = scene.running_one(Value::Null).await;
    let facts = scene.claim(50).await.remove(0);
    scene.advance(TimeDelta::seconds(2));
    let permit = scene.permit(facts);
    let decision = permit.decision().to_vec();
    assert_eq!(scene.begin_one(permit).await, Ok(()));
    let call = scene.call(seed.call).await.call;
    assert_eq!((call.begun_at, call.status()), (Some(scene.now()), CallStatus::Dialing));
    assert!(!decision.is_empty());
    assert_eq!((call.decision, call.settings_version, call.claimed), (decision, 1, false));
    let standing = scene.client(seed.client).await.client.standing;
    assert_eq!((standing.status, standing.attempts), (ClientStatus::InProgress, 1));
    assert_eq!(scene.campaign(campaign).await.progress.live, 1);
    assert_eq!(store.facts(seed.call).await.expect("read"), None, "it began");
    let live = store.live(10).await.expect("read");
    assert_eq!((live.len(), live[0].call, live[0].phone), (1, seed.call, Some(seed.phone)));
    assert_eq!((live[0].begun_at, live[0].events.len()), (scene.now(), 0));
    scene.check().await;
}

pub async fn d3_a_batch_is_answered_permit_by_permit_in_order(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seeds) = scene.running(Value::Null, 3).await;
    let facts = scene.claim(50).await;
    let wanted: Vec<bool> = facts.iter().map(|facts| facts.call != seeds[1].call).collect();
    let permits: Vec<Permit> = facts.into_iter().map(|f| scene.permit(f)).collect();
    scene.block(seeds[1].phone, DncScope::Global).await;
    let answers: Vec<bool> = scene.begin(&permits).await.iter().map(Result::is_ok).collect();
    assert_eq!(answers, wanted, "one that is refused does not hold up the others");
    scene.check().await;
}

pub async fn d3_one_number_has_one_live_call_over_all_campaigns(store: &dyn Store) {
    let scene = Scene::new(store);
    let phone = scene.number();
    scene.running_with(Value::Null, &[phone]).await;
    scene.running_with(Value::Null, &[phone]).await;
    let facts = scene.claim(50).await;
    let permits: Vec<Permit> = facts.into_iter().map(|f| scene.permit(f)).collect();
    let second = permits[1].call();
    assert_eq!(scene.begin(&permits).await, [Ok(()), Err(BeginRefusal::DecideAgain)]);
    let facts = store.facts(second).await.expect("read").expect("it waits");
    assert!(facts.number_live && facts.number_dials.len() == 1);
    scene.check().await;
}

pub async fn d3_dials_in_another_campaign_count_in_caps_at_begin(store: &dyn Store) {
    let scene = Scene::new(store);
    let phone = scene.number();
    let capped = json!({"caps": [{"max": 1, "per": "PT24H"}]});
    let (_, one) = scene.running_with(Value::Null, &[phone]).await;
    let (_, two) = scene.running_with(capped, &[phone]).await;
    let facts = scene.claim(50).await;
    let permits: Vec<Permit> = facts.into_iter().map(|f| scene.permit(f)).collect();
    let (first, second): (Vec<Permit>, Vec<Permit>) =
        permits.into_iter().partition(|permit| permit.call() == one[0].call);
    assert_eq!(scene.begin(&first).await, [Ok(())]);
    scene.end(one[0].call, Ending::Failed { reason: "x".to_owned(), permanent: true }).await;
    assert_eq!(scene.begin(&second).await, [Err(BeginRefusal::DecideAgain)]);
    let facts = store.facts(two[0].call).await.expect("read").expect("it waits");
    assert_eq!((facts.number_live, facts.number_dials.len(), facts.client_dials), (false, 1, 0));
    scene.check().await;
}

pub async fn d3_a_permit_is_refused_once_its_window_closed(store: &dyn Store) {
    let scene = Scene::new(store);
    let until_four = json!([["00:00", "16:00"]]);
    scene.running_one(json!({"hours": {"mon": until_four}})).await;
    let facts = scene.claim(50).await.remove(0);
    let permit = scene.permit(facts);
    assert_eq!(permit.window_end(), Some(scene.now() + HOUR));
    scene.advance(HOUR);
    assert!(scene.begin_one(permit).await.is_err());
    scene.check().await;
}

pub async fn d3_a_live_call_counts_after_every_lease_is_over(store: &dyn Store) {
    let scene = Scene::new(store);
    let changes = json!({"pacing": {"max_concurrent": 1, "calls_per_second": 1000}});
    let (_, seeds) = scene.running(changes, 2).await;
    assert_eq!(scene.dial_due().await.len(), 1);
    let live = store.live(10).await.expect("read");
    // The worker dies here: the intent is stored, and nobody knows whether it was dialled.
    scene.advance(TimeDelta::minutes(15));
    assert!(scene.claim(50).await.is_empty(), "it holds its slot");
    scene.advance(HOUR);
    let other = seeds.iter().find(|seed| seed.call != live[0].call).expect("two clients");
    assert_eq!(scene.dial_due().await, [other.call], "the slot is free, the call is never dialled");
    assert!(store.live(10).await.expect("read").contains(&live[0]), "it is live all the same");
    scene.check().await;
}

pub async fn d4_a_dnc_entry_between_claim_and_begin_wins(store: &dyn Store) {
    let scene = Scene::new(store);
    for in_campaign in [false, true] {
        let (campaign, seed) = scene.running_one(Value::Null).await;
        let facts = scene.claim(50).await.remove(0);
        let permit = scene.permit(facts);
        let scope = if in_campaign { DncScope::Campaign(campaign) } else { DncScope::Global };
        scene.block(seed.phone, scope).await;
        assert!(scene.begin_one(permit).await.is_err(), "{scope:?}");
        assert_eq!(scene.status(seed.client).await, ClientStatus::OnDnc);
    }
    scene.check().await;
}

pub async fn d4_a_pause_between_claim_and_begin_wins(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, seed) = scene.running_one(Value::Null).await;
    let facts = scene.claim(50).await.remove(0);
    let permit = scene.permit(facts);
    scene.change(campaign, Transition::Pause).await;
    assert_eq!(scene.begin_one(permit).await, Err(BeginRefusal::DecideAgain));
    assert!(!scene.call(seed.call).await.call.is_live());
    scene.change(campaign, Transition::Resume).await;
    scene.advance(LEASE);
    assert_eq!(scene.dial_due().await, [seed.call], "it is called once the campaign goes on");
    scene.check().await;
}

pub async fn d4_a_stop_between_claim_and_begin_wins(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, seed) = scene.running_one(Value::Null).await;
    let facts = scene.claim(50).await.remove(0);
    let permit = scene.permit(facts);
    scene.change(campaign, Transition::Stop).await;
    assert!(scene.begin_one(permit).await.is_err());
    assert_eq!(scene.call(seed.call).await.call.end_reason(), Some("campaign_stopped"));
    scene.check().await;
}

pub async fn d4_new_settings_between_claim_and_begin_win(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, seed) = scene.running_one(Value::Null).await;
    let facts = scene.claim(50).await.remove(0);
    let permit = scene.permit(facts);
    let changed = settings(&json!({"name": "Changed"}));
    store.change_settings(scene.by(), campaign, 1, changed).await.expect("changed");
    assert_eq!(scene.begin_one(permit).await, Err(BeginRefusal::DecideAgain));
    scene.advance(LEASE);
    assert_eq!(scene.dial_due().await, [seed.call]);
    assert_eq!(scene.call(seed.call).await.call.settings_version, 2);
    scene.check().await;
}

pub async fn d4_begin_and_a_dnc_entry_at_once_take_turns(store: &dyn Store) {
    let scene = Scene::new(store);
    for _ in 0..8 {
        let (_, seed) = scene.running_one(Value::Null).await;
        let facts = scene.claim(50).await.remove(0);
        let permit = [scene.permit(facts)];
        let (answers, blocked) =
            join(scene.begin(&permit), scene.block(seed.phone, DncScope::Global)).await;
        let began = answers[0].is_ok();
        assert_eq!(blocked.in_flight.contains(&seed.call), began, "a begun call is named");
        assert_eq!(blocked.canceled.contains(&seed.call), !began, "another one is cancelled");
        assert_eq!(scene.call(seed.call).await.call.is_live(), began);
    }
    scene.check().await;
}

pub async fn d5_an_event_of_no_call_is_no_event(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seed) = scene.running_one(Value::Null).await;
    assert_eq!(scene.hear(seed.call, [EventKind::Ringing]).await, [Recorded::NoSuchCall]);
    let stranger = CallId::new(scene.now(), scene.entropy());
    assert_eq!(scene.hear(stranger, [EventKind::Ringing]).await, [Recorded::NoSuchCall]);
    assert_eq!(scene.call(seed.call).await.call.status(), CallStatus::Scheduled);
    scene.check().await;
}

pub async fn d5_a_repeat_is_known_and_changes_nothing(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, seed) = scene.running_one(Value::Null).await;
    scene.dial_due().await;
    let ring = scene.hear(seed.call, [EventKind::Ringing, EventKind::Ringing]).await;
    let (new, known) =
        (Recorded::New { call: seed.call, ended: false }, Recorded::Known { call: seed.call });
    assert_eq!(ring, [new, known]);
    let over = EventKind::Ended { ending: Ending::Busy, talk_seconds: 0 };
    let ended = scene.hear(seed.call, [over.clone()]).await;
    assert_eq!(ended, [Recorded::New { call: seed.call, ended: true }]);
    let before = (scene.campaign(campaign).await, scene.client(seed.client).await);
    assert_eq!(scene.hear(seed.call, [over]).await, [known]);
    assert_eq!((scene.campaign(campaign).await, scene.client(seed.client).await), before);
    assert_eq!(store.events(seed.call).await.expect("read").len(), 2);
    scene.check().await;
}

pub async fn d6_a_deferred_call_waits_until_the_given_instant(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seed) = scene.running_one(Value::Null).await;
    let facts = scene.claim(50).await.remove(0);
    let until = scene.now() + HOUR;
    let defer = Verdict::Defer(Defer { until, why: Rule::Hours });
    let settlement = Settlement { call: facts.call, lease: facts.lease, verdict: defer };
    store.settle(scene.by(), &[settlement]).await.expect("settled");
    let call = scene.call(seed.call).await.call;
    assert_eq!((call.due_at, call.claimed), (until, false));
    assert!(scene.claim(50).await.is_empty());
    scene.advance(HOUR);
    let again = scene.claim(50).await;
    assert_eq!(calls(&again), [seed.call]);
    assert!(again[0].lease.epoch > facts.lease.epoch);
    store.settle(scene.by(), &[settlement]).await.expect("settled");
    assert!(scene.call(seed.call).await.call.claimed, "the old lease settles nothing any more");
    scene.check().await;
}

pub async fn d6_a_retired_call_ends_with_its_reason(store: &dyn Store) {
    let scene = Scene::new(store);
    let reasons = [
        (CancelReason::NoConsent, ClientStatus::NoConsent),
        (CancelReason::NoZone, ClientStatus::Unreachable),
        (CancelReason::HoursOver, ClientStatus::Exhausted),
        (CancelReason::MaxAttempts, ClientStatus::Exhausted),
    ];
    for (reason, status) in reasons {
        let (campaign, seed) = scene.running_one(Value::Null).await;
        let facts = scene.claim(50).await.remove(0);
        let verdict = Verdict::Retire(reason);
        let settlement = Settlement { call: facts.call, lease: facts.lease, verdict };
        store.settle(scene.by(), &[settlement]).await.expect("settled");
        let call = scene.call(seed.call).await.call;
        assert_eq!((call.status(), call.outcome()), (CallStatus::Ended, Some(Outcome::Canceled)));
        assert_eq!((call.end_reason(), call.begun_at), (Some(reason.as_str()), None));
        assert_eq!(scene.status(seed.client).await, status);
        assert_eq!(scene.campaign(campaign).await.campaign.state, RunState::Finished);
        assert_eq!(scene.history(campaign).await.len(), 1);
    }
    scene.check().await;
}

pub async fn d7_a_call_taken_back_waits_again_and_does_not_count(store: &dyn Store) {
    let scene = Scene::new(store);
    let changes = json!({"caps": [{"max": 1, "per": "PT24H"}]});
    let (campaign, seed) = scene.running_one(changes).await;
    let facts = scene.claim(50).await.remove(0);
    let (lease, due_at) = (facts.lease, facts.due_at);
    let permit = scene.permit(facts);
    assert_eq!(scene.begin_one(permit).await, Ok(()));
    let back = TakeBack { call: seed.call, lease, due_at: None };
    store.take_back(scene.by(), &[back]).await.expect("taken back");
    let call = scene.call(seed.call).await.call;
    assert_eq!((call.status(), call.begun_at), (CallStatus::Scheduled, None));
    assert_eq!(call.due_at, due_at, "it keeps its due time");
    let standing = scene.client(seed.client).await.client.standing;
    assert_eq!((standing.status, standing.attempts), (ClientStatus::Pending, 0));
    assert_eq!(scene.campaign(campaign).await.progress.live, 0);
    let facts = store.facts(seed.call).await.expect("read").expect("it waits");
    assert_eq!((facts.number_dials.len(), facts.number_live), (0, false));
    scene.check().await;
    scene.advance(TimeDelta::seconds(1));
    assert_eq!(scene.dial_due().await, [seed.call], "the cap is not used up");
    scene.check().await;
}

pub async fn d7_a_call_taken_back_may_wait_for_the_carrier(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seed) = scene.running_one(Value::Null).await;
    let facts = scene.claim(50).await.remove(0);
    let lease = facts.lease;
    let permit = scene.permit(facts);
    assert_eq!(scene.begin_one(permit).await, Ok(()));
    let later = scene.now() + HOUR;
    let back = TakeBack { call: seed.call, lease, due_at: Some(later) };
    store.take_back(scene.by(), &[back]).await.expect("taken back");
    assert_eq!(scene.call(seed.call).await.call.due_at, later);
    assert!(scene.claim(50).await.is_empty());
    scene.advance(HOUR);
    assert_eq!(scene.dial_due().await, [seed.call]);
    scene.check().await;
    // The first worker wakes up and tries again: the call is another worker's dial now.
    store.take_back(scene.by(), &[back]).await.expect("ignored");
    assert!(scene.call(seed.call).await.call.is_live(), "an old lease takes nothing back");
    scene.check().await;
}

pub async fn d7_a_call_the_carrier_told_of_is_not_taken_back(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seed) = scene.running_one(Value::Null).await;
    let facts = scene.claim(50).await.remove(0);
    let lease = facts.lease;
    let permit = scene.permit(facts);
    assert_eq!(scene.begin_one(permit).await, Ok(()));
    scene.hear(seed.call, [EventKind::Ringing]).await;
    let back = TakeBack { call: seed.call, lease, due_at: None };
    store.take_back(scene.by(), &[back]).await.expect("ignored");
    assert_eq!(scene.call(seed.call).await.call.status(), CallStatus::Ringing);
    scene.check().await;
}

pub async fn d7_a_call_taken_back_after_a_stop_or_a_dnc_entry_ends(store: &dyn Store) {
    let scene = Scene::new(store);
    for by_dnc in [false, true] {
        let (campaign, seed) = scene.running_one(Value::Null).await;
        let facts = scene.claim(50).await.remove(0);
        let lease = facts.lease;
        let permit = scene.permit(facts);
        assert_eq!(scene.begin_one(permit).await, Ok(()));
        if by_dnc {
            scene.block(seed.phone, DncScope::Global).await;
        } else {
            scene.change(campaign, Transition::Stop).await;
        }
        let back = TakeBack { call: seed.call, lease, due_at: None };
        store.take_back(scene.by(), &[back]).await.expect("taken back");
        let call = scene.call(seed.call).await.call;
        let reason = if by_dnc { CancelReason::OnDnc } else { CancelReason::CampaignStopped };
        assert_eq!(call.end_reason(), Some(reason.as_str()), "nothing waits where nothing may");
        scene.check().await;
    }
}

pub async fn d8_a_begun_call_without_news_is_asked_about_until_it_ends(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seed) = scene.running_one(Value::Null).await;
    scene.dial_due().await;
    let asked = async || store.unsettled(scene.now(), scene.wall(), 10).await.expect("read");
    scene.advance(TimeDelta::minutes(10));
    let open = asked().await;
    assert_eq!((open.len(), open[0].call, open[0].phone), (1, seed.call, Some(seed.phone)));
    assert!(asked().await.is_empty(), "it is asked about again only after a wait");
    for _ in 0..20 {
        scene.advance(TimeDelta::minutes(10));
        assert_eq!(asked().await.len(), 1, "the wait is never longer than ten minutes");
    }
    scene.end(seed.call, Ending::Busy).await;
    scene.advance(TimeDelta::days(1));
    assert!(asked().await.is_empty(), "it ended");
    scene.check().await;
}

pub async fn d8_the_wait_between_two_questions_doubles(store: &dyn Store) {
    let scene = Scene::new(store);
    scene.running_one(Value::Null).await;
    scene.dial_due().await;
    let mut asked = Vec::new();
    for second in 0..3600_i64 {
        if !store.unsettled(scene.now(), scene.wall(), 10).await.expect("read").is_empty() {
            asked.push(second);
        }
        scene.advance(TimeDelta::seconds(1));
    }
    let waits: Vec<i64> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(waits.len() >= 5, "{asked:?}");
    for pair in waits.windows(2) {
        assert!(pair[1] == 600 || pair[1] == 2 * pair[0], "each wait doubles, to 600: {waits:?}");
    }
}

pub async fn d8_an_unknown_call_and_one_that_should_be_over_are_asked_about(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seeds) = scene.running(Value::Null, 3).await;
    scene.dial_due().await;
    let [unknown, rings, over] = [seeds[0].call, seeds[1].call, seeds[2].call];
    scene.hear(unknown, [EventKind::Unclear]).await;
    scene.hear(rings, [EventKind::Ringing]).await;
    scene.answer(over, AnsweredBy::Human).await;
    let asked = async || {
        let open = store.unsettled(scene.now(), scene.wall(), 10).await.expect("read");
        open.into_iter().map(|open| open.call).collect::<Vec<_>>()
    };
    scene.advance(TimeDelta::minutes(10));
    assert_eq!(asked().await, [unknown], "one that rings is heard of");
    scene.advance(crate::engine::SLOT_HOLD);
    let mut open = asked().await;
    open.sort();
    let mut wanted = [unknown, rings];
    wanted.sort();
    assert_eq!(open, wanted, "it should have ended by now");
    scene.check().await;
}

pub async fn d8_the_latest_instant_of_a_change_is_kept(store: &dyn Store) {
    let scene = Scene::new(store);
    assert_eq!(store.latest_instant().await.expect("read"), None);
    scene.advance(HOUR);
    scene.draft(Value::Null).await;
    assert_eq!(store.latest_instant().await.expect("read"), Some(scene.now()));
    let earlier = crate::port::By { now: scene.now() - HOUR, ..scene.by() };
    let operator = person();
    let entry = scene.dnc_entry(scene.number(), DncScope::Global);
    let by = crate::port::By { actor: &operator, ..earlier };
    store.add_dnc(by, entry).await.expect("blocked");
    assert_eq!(store.latest_instant().await.expect("read"), Some(scene.now()), "never back");
}
