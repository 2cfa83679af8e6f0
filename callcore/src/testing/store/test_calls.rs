//! Test calls: a campaign's script on a person's own number.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::call::{AnsweredBy, CallStatus, EventKind, Intent, Outcome};
use crate::campaign::Transition;
use crate::dnc::DncScope;
use crate::engine::{BeginRefusal, Command, decide};
use crate::id::{CallId, CampaignId, ClientId};
use crate::phone::PhoneNumber;
use crate::port::{ActError, By, CallView, NewTestCall, Refused, Store};
use crate::testing::fixtures::{Scene, person, refused};

async fn test_call(
    scene: &Scene<'_>,
    campaign: CampaignId,
    phone: PhoneNumber,
    sample: Option<ClientId>,
) -> Result<CallView, ActError> {
    let id = CallId::new(scene.now(), scene.entropy());
    let (tester, now) = (person(), scene.now());
    let new = NewTestCall { id, campaign, phone, sample };
    scene.store.test_call(By::new(&tester, now), new).await
}

async fn tested(scene: &Scene<'_>, campaign: CampaignId, phone: PhoneNumber) -> CallId {
    test_call(scene, campaign, phone, None).await.expect("a test call is made").call.id
}

pub async fn x1_a_test_call_is_dialled_on_a_draft_and_while_paused(store: &dyn Store) {
    let scene = Scene::new(store);
    let own = scene.number();
    let campaign = scene.draft(json!({"consent_required": true})).await;
    let seeds = scene.import(campaign, &[scene.number()]).await;
    let view = test_call(&scene, campaign, own, None).await.expect("made");
    let call = &view.call;
    assert_eq!((call.intent, call.client, call.phone), (Intent::Test, None, Some(own)));
    assert_eq!((call.status(), &call.by), (CallStatus::Scheduled, &person()));
    assert_eq!(store.next_due(scene.now()).await.expect("read"), Some(scene.now()));
    assert_eq!(scene.dial_due().await, [call.id], "and no client of the draft");
    scene.answer(call.id, AnsweredBy::Human).await;
    assert_eq!(scene.call(call.id).await.call.outcome(), Some(Outcome::Answered));
    scene.change(campaign, Transition::Start).await;
    scene.change(campaign, Transition::Pause).await;
    let paused = tested(&scene, campaign, own).await;
    assert_eq!(scene.dial_due().await, [paused]);
    assert_eq!(scene.client(seeds[0].client).await.client.standing.attempts, 0);
    scene.check().await;
}

pub async fn x1_a_test_call_brings_the_fields_of_its_sample(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, seed) = scene.running_one(Value::Null).await;
    let (other, stranger) = scene.running_one(Value::Null).await;
    let wrong = test_call(&scene, campaign, scene.number(), Some(stranger.client)).await;
    assert_eq!(refused(wrong), Refused::NotFound);
    let nowhere = CampaignId::new(scene.now(), scene.entropy());
    assert_eq!(refused(test_call(&scene, nowhere, scene.number(), None).await), Refused::NotFound);
    let view = test_call(&scene, campaign, scene.number(), Some(seed.client)).await.expect("made");
    assert_eq!((view.call.client, view.call.sample), (None, Some(seed.client)));
    let facts = store.facts(view.call.id).await.expect("read").expect("it waits");
    assert_eq!((facts.client, &*facts.person.name), (None, "Client 2"));
    assert_eq!(facts.person.columns[0], ("Name".to_owned(), "Client 2".to_owned()));
    assert!(!facts.zones.is_empty(), "judged by where its number may be");
    let nobody = tested(&scene, other, scene.number()).await;
    let facts = store.facts(nobody).await.expect("read").expect("it waits");
    assert_eq!(facts.person, crate::engine::Person::default());
}

pub async fn x1_a_listed_number_and_a_stopped_campaign_get_no_test_call(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, _) = scene.running_one(Value::Null).await;
    let (listed, blocked, last) = (scene.number(), scene.number(), scene.number());
    scene.block(listed, DncScope::Global).await;
    assert_eq!(refused(test_call(&scene, campaign, listed, None).await), Refused::OnDnc);
    // An entry cancels what waits, and wins against what was claimed.
    let waits = tested(&scene, campaign, blocked).await;
    let added = scene.block(blocked, DncScope::Campaign(campaign)).await;
    assert_eq!(added.canceled, [waits]);
    assert_eq!(scene.call(waits).await.call.outcome(), Some(Outcome::Canceled));
    let claimed = tested(&scene, campaign, last).await;
    let facts = scene.claim(10).await.into_iter().find(|facts| facts.call == claimed);
    let Command::Dial(permit) = decide(facts.expect("claimed"), scene.now()) else {
        panic!("the rules let it pass")
    };
    scene.block(last, DncScope::Global).await;
    assert_eq!(scene.begin_one(*permit).await, Err(BeginRefusal::LeaseLost));
    // So does a stop.
    let waits = tested(&scene, campaign, scene.number()).await;
    let view = scene.change(campaign, Transition::Stop).await;
    let call = scene.call(waits).await.call;
    assert_eq!(
        (call.outcome(), call.end_reason()),
        (Some(Outcome::Canceled), Some("campaign_stopped"))
    );
    assert_eq!(
        view.progress.totals.outcomes.get(&Outcome::Canceled),
        Some(&1),
        "the client's only"
    );
    let state = Refused::Campaign(view.campaign.state);
    assert_eq!(refused(test_call(&scene, campaign, scene.number(), None).await), state);
    scene.check().await;
}

pub async fn x1_a_test_call_takes_a_slot_and_its_number(store: &dyn Store) {
    let scene = Scene::new(store);
    let changes = json!({"pacing": {"max_concurrent": 1, "calls_per_second": 1000}});
    let (campaign, seed) = scene.running_one(changes).await;
    let test = tested(&scene, campaign, seed.phone).await;
    assert_eq!(scene.dial_due().await, [test], "a wish comes first");
    assert!(scene.claim(10).await.is_empty(), "the only slot is taken");
    let (_, elsewhere) = scene.running_with(Value::Null, &[seed.phone]).await;
    let facts = scene.claim(10).await.remove(0);
    assert!(facts.call == elsewhere[0].call && facts.number_live, "its number is live");
    scene.end(test, crate::call::Ending::Busy).await;
    assert_eq!(scene.dial_due().await, [seed.call]);
    scene.check().await;
}

pub async fn x2_a_test_call_is_in_no_count_and_stands_in_the_history(store: &dyn Store) {
    let scene = Scene::new(store);
    let changes = json!({"caps": [{"max": 1, "per": "PT24H"}]});
    let (campaign, seed) = scene.running_one(changes).await;
    let before = scene.campaign(campaign).await.progress;
    for _ in 0..3 {
        let test = tested(&scene, campaign, seed.phone).await;
        let waiting: Vec<CallId> =
            scene.upcoming(campaign).await.iter().map(|view| view.call.id).collect();
        assert_eq!(waiting, [seed.call], "a test call is not to come for anybody");
        let facts = scene.claim(10).await.into_iter().find(|facts| facts.call == test);
        let permit = scene.permit(facts.expect("claimed"));
        scene.begin_one(permit).await.expect("begun");
        assert_eq!(scene.campaign(campaign).await.progress, before, "live, and not shown");
        scene.answer(test, AnsweredBy::Human).await;
        let history = scene.history(campaign).await;
        assert_eq!((history[0].call.id, history[0].call.is_test()), (test, true));
        scene.advance(TimeDelta::minutes(2));
        scene.check().await;
    }
    assert_eq!(scene.campaign(campaign).await.progress, before);
    assert!(store.tallies(None, None, None).await.expect("read").is_empty());
    let standing = scene.client(seed.client).await.client.standing;
    assert_eq!((standing.attempts, standing.last_outcome), (0, None));
    assert_eq!(scene.dial_due().await, [seed.call], "no cap saw the test calls");
    scene.answer(seed.call, AnsweredBy::Human).await;
    // What was dialled for real counts for the next test.
    tested(&scene, campaign, seed.phone).await;
    assert!(scene.claim(10).await[0].number_dials.len() == 1);
    scene.check().await;
}

pub async fn x2_a_key_that_opts_out_in_a_test_call_blocks_the_number(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, _) = scene.running_one(Value::Null).await;
    let own = scene.number();
    let test = tested(&scene, campaign, own).await;
    assert!(scene.dial_due().await.contains(&test));
    scene.hear(test, [EventKind::Answered, EventKind::Key { digit: '9', press: 0 }]).await;
    assert_eq!(refused(test_call(&scene, campaign, own, None).await), Refused::OnDnc);
    scene.check().await;
}

pub async fn x1_a_test_call_that_is_taken_back_waits_again(store: &dyn Store) {
    let scene = Scene::new(store);
    let campaign = scene.draft(Value::Null).await;
    let own = scene.number();
    let test = tested(&scene, campaign, own).await;
    let facts = scene.claim(1).await.remove(0);
    let lease = facts.lease;
    scene.begin_one(scene.permit(facts)).await.expect("begun");
    let back = crate::port::TakeBack { call: test, lease, due_at: None };
    store.take_back(scene.by(), &[back]).await.expect("taken back");
    assert_eq!(scene.call(test).await.call.status(), CallStatus::Scheduled);
    let facts = scene.claim(1).await.remove(0);
    let lease = facts.lease;
    scene.begin_one(scene.permit(facts)).await.expect("begun again");
    scene.block(own, DncScope::Global).await;
    let back = crate::port::TakeBack { call: test, lease, due_at: None };
    store.take_back(scene.by(), &[back]).await.expect("taken back");
    assert_eq!(scene.call(test).await.call.outcome(), Some(Outcome::Canceled));
    scene.check().await;
}

pub async fn x1_a_test_call_that_waits_is_neither_moved_nor_skipped(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, _) = scene.running_one(Value::Null).await;
    let test = tested(&scene, campaign, scene.number()).await;
    let none = Refused::NoClient;
    assert_eq!(refused(store.call_now(scene.by(), test).await), none);
    let later = scene.now() + TimeDelta::hours(1);
    assert_eq!(refused(store.reschedule(scene.by(), test, later).await), none);
    let skip = crate::call::Skip { reason: crate::call::SkipReason::BadTiming, note: None };
    let skipped = store.skip(scene.by(), test, skip, crate::port::SkipThen::End).await;
    assert_eq!(refused(skipped), none);
    assert_eq!(scene.call(test).await.call.intent, Intent::Test);
    assert!(scene.dial_due().await.contains(&test));
    scene.check().await;
}
