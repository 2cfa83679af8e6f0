//! Claims: which calls a worker gets, in what order, and for how long.

use chrono::TimeDelta;
use futures_util::future::join;
use serde_json::{Value, json};

use crate::call::{CallStatus, CancelReason, Ending, Intent};
use crate::campaign::{RunState, Transition};
use crate::engine::{BeginRefusal, Defer, Facts, Lease, Permit, Rule, Settlement, Verdict};
use crate::id::CallId;
use crate::port::{ClaimRequest, Store};
use crate::testing::fixtures::{LEASE, Scene, settings};

const HOUR: TimeDelta = TimeDelta::hours(1);

fn calls(facts: &[Facts]) -> Vec<CallId> {
    facts.iter().map(|facts| facts.call).collect()
}

pub async fn d1_only_due_calls_of_running_campaigns_are_claimed(store: &dyn Store) {
    let scene = Scene::new(store);
    let draft = scene.draft(Value::Null).await;
    scene.import(draft, &[scene.number()]).await;
    let (paused, _) = scene.running_one(Value::Null).await;
    scene.change(paused, Transition::Pause).await;
    let (stopped, _) = scene.running_one(Value::Null).await;
    scene.change(stopped, Transition::Stop).await;
    let (_, seeds) = scene.running(Value::Null, 2).await;
    let later = scene.now() + HOUR;
    store.reschedule(scene.by(), seeds[1].call, later).await.expect("moved");
    assert_eq!(calls(&scene.claim(50).await), [seeds[0].call]);
    scene.advance(HOUR);
    assert!(calls(&scene.claim(50).await).contains(&seeds[1].call), "due at its instant");
    scene.check().await;
}

pub async fn d1_a_claim_brings_every_fact(store: &dyn Store) {
    let scene = Scene::new(store);
    let changes = json!({"name": "Facts", "zone_policy": "client"});
    let campaign = scene.draft(changes.clone()).await;
    let import = scene.begin_import(campaign).await;
    let mut new = scene.new_client(scene.number(), 2);
    new.zones = vec![crate::client::ClientZone {
        zone: "America/New_York".parse().expect("a zone"),
        source: crate::client::ZoneSource::File,
    }];
    store.add_clients(scene.by(), import, std::slice::from_ref(&new)).await.expect("added");
    scene.change(campaign, Transition::Start).await;
    let asked = store.facts(new.call).await.expect("read").expect("a scheduled call has facts");
    let claimed = scene.claim(1).await;
    let facts = &claimed[0];
    assert_eq!((facts.call, facts.campaign, facts.client), (new.call, campaign, Some(new.id)));
    assert_eq!((facts.phone, facts.attempt, facts.intent), (new.phone, 1, Intent::Plan));
    assert_eq!((facts.run_state, facts.settings_version), (RunState::Running, 1));
    assert_eq!(*facts.settings, *settings(&changes));
    assert_eq!((&facts.zones, facts.due_at), (&new.zones, new.due_at));
    assert!(facts.active && !facts.consent && facts.dnc.is_none() && !facts.number_live);
    assert_eq!((facts.number_dials.len(), facts.client_dials), (0, 0));
    let fields =
        [("Name".to_owned(), new.fields[0].clone()), ("Phone".to_owned(), new.fields[1].clone())];
    assert_eq!(
        (facts.person.name.as_str(), &facts.person.columns[..]),
        (new.name.as_str(), &fields[..])
    );
    assert_eq!(Facts { lease: facts.lease, ..asked }, *facts, "facts() says the same");
}

pub async fn d1_a_call_a_person_asked_for_is_claimed_while_paused(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, seeds) = scene.running(Value::Null, 2).await;
    scene.change(campaign, Transition::Pause).await;
    store.call_now(scene.by(), seeds[1].call).await.expect("allowed while paused");
    let claimed = scene.claim(50).await;
    assert_eq!(calls(&claimed), [seeds[1].call]);
    assert_eq!((claimed[0].intent, claimed[0].run_state), (Intent::Person, RunState::Paused));
    let permit = scene.permit(claimed[0].clone());
    assert_eq!(scene.begin_one(permit).await, Ok(()));
    scene.check().await;
}

pub async fn d1_claims_come_by_wish_priority_due_time_and_id(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, low) = scene.running(Value::Null, 2).await;
    let (_, high) = scene.running(json!({"priority": 5}), 3).await;
    scene.advance(HOUR);
    let earlier = scene.now() - TimeDelta::minutes(90);
    store.reschedule(scene.by(), high[2].call, earlier).await.expect("moved");
    store.call_now(scene.by(), low[1].call).await.expect("now");
    store.call_now(scene.by(), high[1].call).await.expect("now");
    let wanted = [high[1], low[1], high[2], high[0], low[0]].map(|seed| seed.call);
    assert_eq!(calls(&scene.claim(50).await), wanted);
}

pub async fn d1_a_limit_takes_the_first_of_the_order(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seeds) = scene.running(Value::Null, 5).await;
    let mut wanted: Vec<CallId> = seeds.iter().map(|seed| seed.call).collect();
    wanted.sort();
    assert_eq!(calls(&scene.claim(2).await), wanted[..2]);
    assert_eq!(calls(&scene.claim(50).await), wanted[2..]);
    assert!(scene.claim(50).await.is_empty());
}

pub async fn d1_free_slots_hold_over_several_claimers(store: &dyn Store) {
    let scene = Scene::new(store);
    let changes = json!({"pacing": {"max_concurrent": 3, "calls_per_second": 1000}});
    let (campaign, _) = scene.running(changes, 8).await;
    let (one, two) = join(scene.claim(50), scene.claim(50)).await;
    let (held, third) = (one.len() + two.len(), scene.claim(50).await.len());
    assert!(held + third <= 3, "claims and live calls together hold at most the slots");
    assert!(held > 0, "free slots are given");
    let permits: Vec<Permit> = one.into_iter().chain(two).map(|f| scene.permit(f)).collect();
    let live: Vec<CallId> = permits.iter().map(Permit::call).collect();
    assert!(scene.begin(&permits).await.iter().all(Result::is_ok));
    assert_eq!(scene.campaign(campaign).await.progress.live, held as u64);
    assert!(scene.claim(50).await.len() + held <= 3);
    scene.advance(LEASE);
    scene.end(live[0], Ending::Busy).await;
    assert_eq!(scene.claim(50).await.len() + held - 1, 3, "an ended call frees its slot");
    scene.check().await;
}

pub async fn d1_the_pace_holds_over_several_claimers(store: &dyn Store) {
    let scene = Scene::new(store);
    let changes = json!({"pacing": {"max_concurrent": 100, "calls_per_second": 4}});
    let (_, _) = scene.running(changes, 60).await;
    let (mut dials, started) = (Vec::new(), scene.now());
    for step in 0..100 {
        let (one, two) = join(scene.claim(50), scene.claim(50)).await;
        assert!(one.len() <= 4 && two.len() <= 4, "the pace allows one second's dials at once");
        for worker in [one, two] {
            let permits: Vec<Permit> = worker.into_iter().map(|f| scene.permit(f)).collect();
            let mut back = Vec::new();
            let (calls, now) = (permits.iter().map(|p| (p.call(), p.lease())), scene.now());
            let calls: Vec<(CallId, Lease)> = calls.collect();
            for ((call, lease), answer) in calls.into_iter().zip(scene.begin(&permits).await) {
                match answer {
                    Ok(()) => dials.push(step),
                    Err(BeginRefusal::TooFast { until }) => {
                        assert!(until > now, "too fast until later");
                        let defer = Defer { until, why: Rule::Begin };
                        back.push(Settlement { call, lease, verdict: Verdict::Defer(defer) });
                    }
                    Err(refusal) => panic!("{refusal:?}"),
                }
            }
            store.settle(scene.by(), &back).await.expect("settled");
        }
        scene.advance(TimeDelta::milliseconds(100));
    }
    let seconds = (scene.now() - started).num_seconds();
    let most = usize::try_from(seconds).expect("ten") * 4 + 4;
    assert!((most - 8..=most).contains(&dials.len()), "{} dials in {seconds} s", dials.len());
    for window in dials.windows(9) {
        assert!(window[8] - window[0] >= 10, "more than eight dials in a second");
    }
    scene.check().await;
}

pub async fn d1_the_next_due_instant_is_that_of_running_campaigns_with_free_slots(
    store: &dyn Store,
) {
    let scene = Scene::new(store);
    let next = async || store.next_due(scene.now()).await.expect("read");
    assert_eq!(next().await, None, "nothing is scheduled");
    let changes = json!({"pacing": {"max_concurrent": 1, "calls_per_second": 1000}});
    let (campaign, seeds) = scene.running(changes, 2).await;
    let later = scene.now() + HOUR;
    for seed in &seeds {
        store.reschedule(scene.by(), seed.call, later).await.expect("moved");
    }
    assert_eq!(next().await, Some(later));
    scene.change(campaign, Transition::Pause).await;
    assert_eq!(next().await, None, "a paused campaign has nothing due");
    scene.change(campaign, Transition::Resume).await;
    scene.advance(HOUR);
    assert_eq!(scene.dial_due().await.len(), 1);
    assert_eq!(next().await, None, "its one slot is taken");
}

pub async fn d2_a_claimed_call_is_not_claimed_again_until_its_lease_ends(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seed) = scene.running_one(Value::Null).await;
    let first = scene.claim(50).await;
    assert!(scene.call(seed.call).await.call.claimed);
    assert_eq!(scene.call(seed.call).await.call.status(), CallStatus::Claimed);
    scene.advance_wall(LEASE - TimeDelta::seconds(1));
    assert!(scene.claim(50).await.is_empty(), "the lease holds");
    scene.advance_wall(TimeDelta::seconds(1));
    let second = scene.claim(50).await;
    assert_eq!(calls(&second), [seed.call]);
    assert!(second[0].lease.epoch > first[0].lease.epoch, "a later claim has a higher epoch");
    scene.check().await;
}

pub async fn d2_leases_end_on_the_wall_clock_not_on_the_campaign_clock(store: &dyn Store) {
    let scene = Scene::new(store);
    scene.running_one(Value::Null).await;
    assert_eq!(scene.claim(50).await.len(), 1);
    let request = ClaimRequest {
        now: scene.now() + TimeDelta::days(1),
        wall: scene.wall(),
        lease_for: LEASE,
        limit: 50,
    };
    assert!(store.claim_due(request).await.expect("claimed").is_empty());
}

pub async fn d2_whoever_lost_a_lease_can_neither_begin_nor_settle(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seed) = scene.running_one(Value::Null).await;
    let old = scene.claim(50).await.remove(0);
    scene.advance(LEASE);
    let new = scene.claim(50).await.remove(0);
    let (old_lease, old_permit) = (old.lease, scene.permit(old));
    assert_eq!(scene.begin_one(old_permit).await, Err(BeginRefusal::LeaseLost));
    let settlement = Settlement {
        call: seed.call,
        lease: old_lease,
        verdict: Verdict::Retire(CancelReason::NoConsent),
    };
    store.settle(scene.by(), &[settlement]).await.expect("settled");
    assert_eq!(scene.call(seed.call).await.call.status(), CallStatus::Claimed, "nothing changed");
    let permit = scene.permit(new);
    assert_eq!(scene.begin_one(permit).await, Ok(()), "the new lease holds");
    scene.check().await;
}

pub async fn d2_an_ended_lease_nobody_took_over_still_loses_to_the_next(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seed) = scene.running_one(Value::Null).await;
    let stale = scene.claim(50).await.remove(0);
    let again = stale.clone();
    let first = scene.permit(stale);
    assert_eq!(scene.begin_one(first).await, Ok(()));
    let second = scene.permit(again);
    assert_eq!(scene.begin_one(second).await, Err(BeginRefusal::LeaseLost), "begun once");
    assert_eq!(scene.client(seed.client).await.client.standing.attempts, 1);
    scene.check().await;
}

pub async fn d2_of_two_claimers_at_once_one_gets_each_call(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seeds) = scene.running(Value::Null, 20).await;
    let (one, two) = join(scene.claim(50), scene.claim(50)).await;
    let mut claimed = calls(&one);
    claimed.extend(calls(&two));
    claimed.sort();
    let mut wanted: Vec<CallId> = seeds.iter().map(|seed| seed.call).collect();
    wanted.sort();
    assert_eq!(claimed, wanted);
}
