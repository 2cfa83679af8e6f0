//! What keeps an account and a campaign from doing harm: turns, money, budgets, breakers, cool-downs.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::account::Meter;
use crate::actor::Actor;
use crate::call::{AnsweredBy, Ending, EventKind, Outcome};
use crate::campaign::{RunState, Transition};
use crate::engine::{
    BeginRefusal, Command, Defer, Facts, Permit, Rule, Settlement, Verdict, decide,
};
use crate::id::CampaignId;
use crate::port::{NoticeDay, NoticeKind, Store, TakeBack};
use crate::testing::fixtures::{LEASE, Scene, ended};
use crate::time::Zone;

const DAY: TimeDelta = TimeDelta::days(1);

fn failed() -> Ending {
    Ending::Failed { reason: "rejected".to_owned(), permanent: true }
}

async fn notices(store: &dyn Store, kind: NoticeKind) -> usize {
    let all = store.notices(1_000).await.expect("read");
    all.iter().filter(|notice| notice.kind == kind).count()
}

/// Why and until when a waiting call is put off, now.
fn put_off(scene: &Scene<'_>, facts: Facts) -> Defer {
    match decide(facts, scene.now()) {
        Command::Settle(Settlement { verdict: Verdict::Defer(defer), .. }) => defer,
        command => panic!("it is put off: {command:?}"),
    }
}

pub async fn t6_a_big_campaign_starves_no_other(store: &dyn Store) {
    let scene = Scene::new(store);
    scene.limit_account(&json!({"calls_at_once": 2})).await;
    let (big, _) = scene.running(Value::Null, 20).await;
    scene.advance(TimeDelta::hours(1));
    let (small, _) = scene.running(Value::Null, 3).await;
    let (low, _) = scene.running(json!({"priority": -1}), 3).await;
    let mut served: Vec<CampaignId> = Vec::new();
    for _ in 0..2 {
        for facts in scene.claim(50).await {
            served.push(facts.campaign);
            let (call, permit) = (facts.call, scene.permit(facts));
            assert_eq!(scene.begin_one(permit).await, Ok(()));
            scene.answer(call, AnsweredBy::Human).await;
        }
    }
    // One call a claim: whose turn it is outlasts it.
    for _ in 0..2 {
        served.extend(scene.claim(1).await.iter().map(|facts| facts.campaign));
    }
    assert_eq!(served, [big, small, big, small, big, small], "they take turns");
    scene.advance(LEASE * 2);
    let rest: Vec<CampaignId> = scene.claim(50).await.iter().map(|facts| facts.campaign).collect();
    assert!(rest.len() == 2 && !rest.contains(&low), "a lower priority waits");
    scene.check().await;
}

pub async fn t7_money_is_reserved_for_calls_in_progress_and_never_passed(store: &dyn Store) {
    let scene = Scene::new(store);
    let spend = json!({"amount": "1.00", "per_call": "0.10", "per_minute": "0.02"});
    scene.limit_account(&json!({"spend_per_day": spend})).await;
    scene.running(Value::Null, 12).await;
    // A dial may cost 0.40 at most: two fit, and what a third might cost is not there.
    let live = scene.dial_due().await;
    assert_eq!(live.len(), 2);
    assert!(scene.claim(50).await.is_empty());
    assert_eq!(store.next_due(scene.now()).await.expect("read"), None, "an end makes room");
    scene.answer(live[0], AnsweredBy::Human).await;
    // 0.12 are spent and 0.40 reserved.
    let live = [live[1], scene.dial_due().await[0]];
    assert!(scene.claim(50).await.is_empty());
    let today = store.meter(None, scene.now() - DAY, scene.now() + DAY).await.expect("read");
    assert_eq!(today, Meter { begun: 3, live: 2, minutes: 1 });
    for call in live {
        scene.end(call, Ending::Busy).await;
    }
    // 0.32 are spent.
    let permits: Vec<Permit> =
        scene.claim(50).await.into_iter().map(|facts| scene.permit(facts)).collect();
    assert_eq!(permits.len(), 1);
    let less = json!({"amount": "0.71", "per_call": "0.10", "per_minute": "0.02"});
    scene.limit_account(&json!({"spend_per_day": less})).await;
    assert_eq!(scene.begin(&permits).await, [Err(BeginRefusal::DecideAgain)]);
    let just = json!({"amount": "0.72", "per_call": "0.10", "per_minute": "0.02"});
    scene.limit_account(&json!({"spend_per_day": just})).await;
    assert_eq!(scene.begin(&permits).await, [Ok(())], "the amount itself may be reached");
    scene.check().await;
}

pub async fn t7_a_spent_day_waits_for_the_next_and_is_told_once(store: &dyn Store) {
    let scene = Scene::new(store);
    let (spend, zone) = (json!({"amount": "0.30", "per_call": "0.10"}), "America/New_York");
    scene.limit_account(&json!({"spend_per_day": spend, "time_zone": zone})).await;
    let (_, seeds) = scene.running(Value::Null, 8).await;
    let zone: Zone = zone.parse().expect("a zone");
    let (_, midnight) = zone.day(scene.now());
    let reached = NoticeKind::SpendReached(NoticeDay(zone.date(scene.now())));
    let live = scene.dial_due().await;
    assert_eq!(live.len(), 3);
    for call in &live {
        scene.answer(*call, AnsweredBy::Human).await;
    }
    assert_eq!(notices(store, reached).await, 0);
    for _ in 0..2 {
        assert!(scene.claim(50).await.is_empty());
        assert_eq!(notices(store, reached).await, 1, "told once");
    }
    assert_eq!(store.next_due(scene.now()).await.expect("read"), Some(midnight));
    let waiting: Vec<_> =
        seeds.iter().map(|seed| seed.call).filter(|call| !live.contains(call)).collect();
    for call in &waiting {
        let facts = store.facts(*call).await.expect("read").expect("it waits");
        let wait = Defer { until: midnight, why: Rule::Spend };
        assert_eq!(put_off(&scene, facts), wait);
    }
    store.call_now(scene.by(), waiting[0]).await.expect("now");
    assert!(scene.claim(50).await.is_empty(), "not for a person either");
    scene.advance(midnight - scene.now() - TimeDelta::seconds(1));
    assert!(scene.claim(50).await.is_empty());
    scene.advance(TimeDelta::seconds(1));
    assert_eq!(scene.claim(50).await.len(), 3, "a new day");
    scene.check().await;
}

pub async fn t8_a_budget_holds_in_the_campaigns_own_day(store: &dyn Store) {
    let scene = Scene::new(store);
    let zone: Zone = "Asia/Tokyo".parse().expect("a zone");
    let changes = json!({"budget": {"calls_per_day": 2}, "time_zone": zone});
    let (campaign, seeds) = scene.running(changes, 6).await;
    let (_, midnight) = zone.day(scene.now());
    scene.running(Value::Null, 1).await;
    let claimed = scene.claim(50).await;
    assert_eq!(claimed.len(), 3, "two of the budget, and another campaign's");
    assert!(scene.claim(50).await.is_empty(), "claims count");
    let late: Vec<Permit> = claimed.into_iter().map(|facts| scene.permit(facts)).collect();
    scene.advance(LEASE);
    let live = scene.dial_due().await;
    assert_eq!(live.len(), 3);
    assert!(scene.begin(&late).await.iter().all(Result::is_err));
    for call in &live {
        scene.answer(*call, AnsweredBy::Human).await;
    }
    let waiting = seeds.iter().map(|seed| seed.call).find(|call| !live.contains(call));
    let waiting = waiting.expect("a call to come");
    store.call_now(scene.by(), waiting).await.expect("now");
    assert!(scene.claim(50).await.is_empty(), "not for a person either");
    let facts = store.facts(waiting).await.expect("read").expect("it waits");
    assert_eq!(facts.campaign_day.dials.begun, 2);
    assert_eq!(put_off(&scene, facts), Defer { until: midnight, why: Rule::Budget });
    assert_eq!(store.next_due(scene.now()).await.expect("read"), Some(midnight));
    scene.advance(midnight - scene.now());
    let claimed = scene.claim(50).await;
    assert_eq!(claimed.len(), 2, "a new day");
    assert!(claimed.iter().all(|facts| facts.campaign == campaign));
    scene.check().await;
}

pub async fn t9_meters_follow_what_is_begun_taken_back_and_ended(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, _) = scene.running(Value::Null, 3).await;
    let (from, to) = (scene.now() - DAY, scene.now() + DAY);
    let meters = async || {
        let account = store.meter(None, from, to).await.expect("read");
        assert_eq!(store.meter(Some(campaign), from, to).await.expect("read"), account);
        (account.begun, account.live, account.minutes)
    };
    let facts = scene.claim(50).await;
    let leases: Vec<_> = facts.iter().map(|facts| (facts.call, facts.lease)).collect();
    let permits: Vec<Permit> = facts.into_iter().map(|facts| scene.permit(facts)).collect();
    assert_eq!(scene.begin(&permits).await, [Ok(()); 3]);
    assert_eq!(meters().await, (3, 3, 0));
    let (call, lease) = leases[0];
    let back = TakeBack { call, lease, due_at: Some(scene.now() + DAY * 2) };
    store.take_back(scene.by(), &[back]).await.expect("taken back");
    assert_eq!(meters().await, (2, 2, 0));
    scene.hear(leases[1].0, [EventKind::Answered, ended(Ending::Completed, 61)]).await;
    assert_eq!(meters().await, (2, 1, 2), "a started minute is a minute");
    scene.hear(leases[2].0, [EventKind::GivenUp]).await;
    assert_eq!(meters().await, (2, 0, 2));
    // What nobody knew of turns out to have been talk.
    scene.hear(leases[2].0, [EventKind::Answered, ended(Ending::Completed, 30)]).await;
    assert_eq!(meters().await, (2, 0, 3));
    assert_eq!(store.meter(None, to, to + DAY).await.expect("read"), Meter::default());
    scene.check().await;
}

pub async fn t10_a_campaign_whose_dials_fail_pauses_itself(store: &dyn Store) {
    let scene = Scene::new(store);
    let changes = json!({
        "breaker": {"failed_share": 0.5, "of_last": 4},
        "retry": {"connect": [], "max_attempts": 1},
    });
    let (campaign, _) = scene.running(changes.clone(), 9).await;
    let calls = scene.dial_due().await;
    let (other, _) = scene.running(changes, 1).await;
    let tripped = NoticeKind::BreakerTripped(campaign);
    let state = async || scene.campaign(campaign).await.campaign.state;
    scene.end(calls[0], failed()).await;
    for call in &calls[1..4] {
        scene.end(*call, Ending::Busy).await;
    }
    scene.end(calls[4], failed()).await;
    assert_eq!(state().await, RunState::Running, "one of the last four");
    assert_eq!(notices(store, tripped).await, 0);
    scene.end(calls[5], failed()).await;
    let paused = scene.campaign(campaign).await.campaign;
    let pause = paused.pause.expect("who paused it");
    assert_eq!((paused.state, pause.by, pause.at), (RunState::Paused, Actor::System, scene.now()));
    assert_eq!(pause.reason.as_deref(), Some("2 of the last 4 dials failed"));
    assert_eq!(notices(store, tripped).await, 1);
    assert_eq!(scene.campaign(other).await.campaign.state, RunState::Running);
    // What ends now is recorded as ever.
    scene.end(calls[6], failed()).await;
    assert_eq!(scene.call(calls[6]).await.call.outcome(), Some(Outcome::Failed));
    scene.check().await;
}

pub async fn t10_resuming_begins_a_new_count(store: &dyn Store) {
    let scene = Scene::new(store);
    let changes = json!({
        "breaker": {"failed_share": 1, "of_last": 2},
        "retry": {"connect": [], "max_attempts": 1},
    });
    let (campaign, _) = scene.running(changes, 6).await;
    let calls = scene.dial_due().await;
    let state = async || scene.campaign(campaign).await.campaign.state;
    scene.end(calls[0], failed()).await;
    scene.end(calls[1], failed()).await;
    assert_eq!(state().await, RunState::Paused);
    scene.advance(TimeDelta::seconds(1));
    let resumed = scene.change(campaign, Transition::Resume).await.campaign;
    assert_eq!((resumed.state, resumed.pause), (RunState::Running, None));
    scene.end(calls[2], failed()).await;
    assert_eq!(state().await, RunState::Running, "the first failure of a new count");
    // A failure that turns out to be none no longer counts.
    scene.hear(calls[2], [EventKind::Answered, ended(Ending::Completed, 5)]).await;
    scene.end(calls[3], failed()).await;
    assert_eq!(state().await, RunState::Running);
    scene.end(calls[4], failed()).await;
    assert_eq!(state().await, RunState::Paused);
    assert_eq!(notices(store, NoticeKind::BreakerTripped(campaign)).await, 1, "the latest");
    scene.check().await;
}

pub async fn t11_a_cool_down_holds_over_campaigns_and_for_people(store: &dyn Store) {
    let scene = Scene::new(store);
    let phone = scene.number();
    scene.running_with(Value::Null, &[phone]).await;
    let call = scene.dial_due().await[0];
    scene.answer(call, AnsweredBy::Human).await;
    let ended_at = scene.now();
    let changes = json!({"cool_downs": [{"after": "answered", "for": "P7D"}]});
    let (_, seeds) = scene.running_with(changes, &[phone]).await;
    let facts = scene.claim(50).await.remove(0);
    assert_eq!((facts.call, facts.number_ends.len()), (seeds[0].call, 1));
    let lease = facts.lease;
    let wait = Defer { until: ended_at + DAY * 7, why: Rule::CoolDowns };
    assert_eq!(put_off(&scene, facts), wait);
    let settlement = Settlement { call: seeds[0].call, lease, verdict: Verdict::Defer(wait) };
    store.settle(scene.by(), &[settlement]).await.expect("settled");
    store.call_now(scene.by(), seeds[0].call).await.expect("now");
    let facts = scene.claim(50).await.remove(0);
    assert_eq!(put_off(&scene, facts), wait, "for a person too");
    scene.check().await;
}

pub async fn t11_a_cool_down_is_asked_again_at_begin_and_follows_late_evidence(store: &dyn Store) {
    let scene = Scene::new(store);
    let phone = scene.number();
    scene.running_with(Value::Null, &[phone]).await;
    let call = scene.dial_due().await[0];
    scene.hear(call, [EventKind::Answered, ended(Ending::Completed, 30)]).await;
    scene.hear(call, [EventKind::Detected { by: AnsweredBy::Machine }]).await;
    let changes = json!({"cool_downs": [{"after": "answered", "for": "P7D"}]});
    let (_, seeds) = scene.running_with(changes, &[phone]).await;
    let facts = scene.claim(50).await.into_iter().find(|facts| facts.call == seeds[0].call);
    let permit = scene.permit(facts.expect("a voicemail cools nothing down"));
    // A key is pressed by a person: the voicemail was none.
    scene.hear(call, [EventKind::Key { digit: '1', press: 0 }]).await;
    assert_eq!(scene.call(call).await.call.outcome(), Some(Outcome::Answered));
    assert_eq!(scene.begin_one(permit).await, Err(BeginRefusal::DecideAgain));
    scene.check().await;
}

pub async fn d9_a_halted_campaign_is_paused_with_its_reason_and_a_notice(store: &dyn Store) {
    let scene = Scene::new(store);
    let (id, seeds) = scene.running(Value::Null, 2).await;
    let halt = async |why| store.halt_campaign(scene.by(), id, why).await.expect("halted");
    halt("the account is suspended").await;
    let campaign = scene.campaign(id).await.campaign;
    assert_eq!(campaign.state, RunState::Paused);
    let pause = campaign.pause.expect("a pause");
    assert_eq!((pause.at, pause.by), (scene.now(), Actor::System));
    assert_eq!(pause.reason.as_deref(), Some("the account is suspended"));
    assert!(scene.claim(50).await.is_empty(), "nothing is dialled");
    assert_eq!(notices(store, NoticeKind::BreakerTripped(id)).await, 1);
    scene.advance(TimeDelta::seconds(1));
    halt("another word").await;
    let still = scene.campaign(id).await.campaign.pause.expect("a pause");
    assert_eq!(still.reason.as_deref(), Some("the account is suspended"), "it does not run");
    scene.change(id, Transition::Resume).await;
    assert_eq!(scene.dial_due().await.len(), seeds.len());
    halt("again").await;
    assert_eq!(notices(store, NoticeKind::BreakerTripped(id)).await, 1, "told anew, once");
    scene.check().await;
}
