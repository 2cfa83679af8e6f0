//! What people change about clients, and about many calls at once.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::call::{
    AnsweredBy, CallStatus, CancelReason, Ending, EventKind, Intent, Outcome, Retirement, Review,
    Skip, SkipReason,
};
use crate::campaign::{RunState, Transition};
use crate::client::{ClientStatus, ClientZone, Consent, MAX_TAGS, ZoneSource};
use crate::dnc::DncScope;
use crate::engine::{BeginRefusal, Verdict, explain, why};
use crate::id::{CallId, CampaignId, ClientId};
use crate::port::{
    AuditQuery, By, CallAct, CallQuery, ClientChange, ClientDetail, NewClient, Refused, Store,
};
use crate::testing::fixtures::{Scene, Seed, ended, person, refused};

const HOUR: TimeDelta = TimeDelta::hours(1);

fn no_change(scene: &Scene<'_>) -> ClientChange {
    ClientChange::new(CallId::new(scene.now(), scene.entropy()))
}

async fn change(
    scene: &Scene<'_>,
    client: ClientId,
    fill: impl FnOnce(&mut ClientChange),
) -> ClientDetail {
    let mut change = no_change(scene);
    fill(&mut change);
    scene.store.change_client(scene.by(), client, &change).await.expect("changed")
}

async fn switch(scene: &Scene<'_>, client: ClientId, active: bool) -> ClientDetail {
    change(scene, client, |change| change.active = Some(active)).await
}

fn signed() -> Consent {
    Consent { basis: "signed".to_owned(), at: None, source: "a form".to_owned(), evidence: None }
}

fn zone(name: &str, source: ZoneSource) -> ClientZone {
    ClientZone { zone: name.parse().expect("a zone"), source }
}

/// A running campaign with one client of the given zones.
async fn running_in(
    scene: &Scene<'_>,
    changes: Value,
    zones: Vec<ClientZone>,
    due_at: DateTime<Utc>,
) -> (CampaignId, Seed) {
    let campaign = scene.draft(changes).await;
    let import = scene.begin_import(campaign).await;
    let phone = scene.number();
    let client = NewClient { zones, due_at, ..scene.new_client(phone, 2) };
    let seed = Seed { client: client.id, call: client.call, phone };
    scene.store.add_clients(scene.by(), import, &[client]).await.expect("added");
    scene.change(campaign, Transition::Start).await;
    (campaign, seed)
}

pub async fn p1_a_change_changes_what_is_given_and_notes_are_only_added(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seed) = scene.running_one(Value::Null).await;
    let before = scene.client(seed.client).await.client;
    let operator = person();
    for text in ["first", "second\nline"] {
        scene.advance(TimeDelta::seconds(1));
        let note = ClientChange { note: Some(text.to_owned()), ..no_change(&scene) };
        let by = By::new(&operator, scene.now());
        store.change_client(by, seed.client, &note).await.expect("noted");
    }
    let detail = change(&scene, seed.client, |change| {
        change.tags = Some(BTreeSet::from(["a".to_owned(), "A".to_owned()]));
    })
    .await;
    assert_eq!(detail.columns.len(), before.fields.len());
    let after = detail.view.client;
    assert_eq!(after, scene.client(seed.client).await.client, "as it is kept");
    let notes: Vec<&str> = after.notes.iter().map(|note| &*note.text).collect();
    assert_eq!(notes, ["first", "second\nline"]);
    assert!(after.notes.iter().all(|note| note.by == operator));
    assert_eq!(after.notes[1].at, scene.now());
    assert_eq!(after.tags, BTreeSet::from(["a".to_owned(), "A".to_owned()]));
    let same = crate::client::Client { notes: vec![], tags: BTreeSet::new(), ..after };
    assert_eq!(same, before, "and nothing else");
    let rows = store
        .audit(&AuditQuery { limit: 10, ..AuditQuery::default() })
        .await
        .expect("audit rows")
        .items;
    assert!(rows.iter().all(|row| !format!("{row:?}").contains("second")), "{rows:?}");
    let nobody = ClientId::new(scene.now(), scene.entropy());
    let gone = store.change_client(scene.by(), nobody, &no_change(&scene)).await;
    assert_eq!(refused(gone), Refused::NotFound);
    scene.check().await;
}

pub async fn p1_two_who_change_tags_at_once_lose_none(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seed) = scene.running_one(Value::Null).await;
    let set = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect::<BTreeSet<_>>();
    change(&scene, seed.client, |change| change.tags = Some(set(&["old", "even"]))).await;
    let add = change(&scene, seed.client, |change| change.add_tags = set(&["vip"]));
    let also = change(&scene, seed.client, |change| change.add_tags = set(&["late", "old"]));
    let off = change(&scene, seed.client, |change| change.remove_tags = set(&["even", "none"]));
    futures_util::future::join3(add, also, off).await;
    let after = scene.client(seed.client).await.client.tags;
    assert_eq!(after, set(&["late", "old", "vip"]));
    let all = (0..MAX_TAGS).map(|n| n.to_string()).collect::<BTreeSet<_>>();
    let full = change(&scene, seed.client, |change| change.tags = Some(all.clone())).await;
    let one_more = ClientChange { add_tags: set(&["one more"]), ..no_change(&scene) };
    let changed = store.change_client(scene.by(), seed.client, &one_more).await;
    assert_eq!(refused(changed), Refused::TooManyTags);
    assert_eq!(scene.client(seed.client).await, full.view, "nothing was changed");
    let in_place = ClientChange { remove_tags: set(&["0"]), ..one_more };
    store.change_client(scene.by(), seed.client, &in_place).await.expect("changed");
    let tags = scene.client(seed.client).await.client.tags;
    assert!(tags.contains("one more") && !tags.contains("0") && tags.len() == MAX_TAGS);
    scene.check().await;
}

pub async fn p1_clients_of_one_number_stay_two(store: &dyn Store) {
    let scene = Scene::new(store);
    let phone = scene.number();
    let (_, one) = scene.running_with(Value::Null, &[phone]).await;
    let (_, other) = scene.running_with(Value::Null, &[phone]).await;
    switch(&scene, one[0].client, false).await;
    change(&scene, one[0].client, |change| change.note = Some("here".to_owned())).await;
    let other = scene.client(other[0].client).await.client;
    assert!(other.active && other.notes.is_empty());
    assert_eq!(other.standing.status, ClientStatus::Pending);
    scene.check().await;
}

pub async fn p2_switching_off_cancels_what_is_scheduled(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, seeds) = scene.running(Value::Null, 2).await;
    let claimed = scene.claim(10).await;
    let detail = switch(&scene, seeds[0].client, false).await;
    assert_eq!(detail.view.client.standing.status, ClientStatus::Inactive);
    assert_eq!(detail.view.client.standing.next_call, None);
    let canceled = scene.call(seeds[0].call).await.call;
    let how = canceled.retired.clone().expect("it is over").how;
    assert_eq!(how, Retirement::Canceled(CancelReason::Inactive));
    assert_eq!(canceled.outcome(), Some(Outcome::Canceled));
    assert_eq!(scene.history(campaign).await.len(), 1);
    scene.check().await;
    // Whoever had it in its hands has lost it.
    for facts in claimed {
        let wanted = facts.call != seeds[0].call;
        let begun = scene.begin_one(scene.permit(facts)).await;
        assert_eq!(begun.is_ok(), wanted, "{begun:?}");
    }
    switch(&scene, seeds[0].client, false).await;
    assert_eq!(scene.history(campaign).await.len(), 1, "once is enough");
    scene.check().await;
}

pub async fn p2_nothing_follows_a_live_call_of_a_client_switched_off(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, seed) = scene.running_one(Value::Null).await;
    scene.dial_due().await;
    let detail = switch(&scene, seed.client, false).await;
    assert_eq!(detail.view.client.standing.status, ClientStatus::InProgress);
    scene.end(seed.call, Ending::Busy).await;
    assert_eq!(scene.status(seed.client).await, ClientStatus::Inactive);
    assert_eq!(scene.campaign(campaign).await.campaign.state, RunState::Finished);
    scene.check().await;
    // On again, the retry is owed as it was.
    let standing = switch(&scene, seed.client, true).await.view.client.standing;
    assert_eq!(standing.status, ClientStatus::Scheduled);
    assert_eq!(scene.campaign(campaign).await.campaign.state, RunState::Running);
    let retry = scene.call(standing.next_call.expect("a retry").call).await.call;
    assert_eq!((retry.retry_of, retry.attempt), (Some(seed.call), 2));
    scene.check().await;
}

pub async fn p2_a_call_taken_back_from_a_client_switched_off_ends(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seed) = scene.running_one(Value::Null).await;
    let facts = scene.claim(1).await.remove(0);
    let lease = facts.lease;
    scene.begin_one(scene.permit(facts)).await.expect("begun");
    switch(&scene, seed.client, false).await;
    let back = crate::port::TakeBack { call: seed.call, lease, due_at: None };
    store.take_back(scene.by(), &[back]).await.expect("taken back");
    assert_eq!(scene.call(seed.call).await.call.status(), CallStatus::Ended);
    assert_eq!(scene.status(seed.client).await, ClientStatus::Inactive);
    scene.check().await;
}

pub async fn p2_switching_on_schedules_what_is_still_owed(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, seed) = scene.running_one(Value::Null).await;
    switch(&scene, seed.client, false).await;
    assert_eq!(scene.campaign(campaign).await.campaign.state, RunState::Finished);
    scene.advance(HOUR);
    let standing = switch(&scene, seed.client, true).await.view.client.standing;
    let next = standing.next_call.expect("its first call");
    assert_eq!((standing.status, next.due_at), (ClientStatus::Pending, scene.now()));
    assert_ne!(next.call, seed.call, "what stands in the history stays there");
    assert_eq!(scene.campaign(campaign).await.campaign.state, RunState::Running);
    scene.check().await;
    assert_eq!(scene.dial_due().await, [next.call]);
    scene.end(next.call, Ending::Busy).await;
    let retry = scene.client(seed.client).await.client.standing.next_call.expect("a retry");
    // A retry cancelled and owed again is due when it was, and once.
    switch(&scene, seed.client, false).await;
    scene.advance(TimeDelta::minutes(1));
    let again = switch(&scene, seed.client, true).await.view.client.standing.next_call;
    let again = again.expect("the retry");
    assert_eq!(again.due_at, retry.due_at);
    let call = scene.call(again.call).await.call;
    assert_eq!((call.attempt, call.retry_of, call.intent), (2, Some(next.call), Intent::Plan));
    assert_eq!(switch(&scene, seed.client, true).await.view.client.standing.next_call, Some(again));
    scene.check().await;
    // And it goes when later evidence says that nothing is owed.
    scene.hear(next.call, [EventKind::Answered, ended(Ending::Completed, 9)]).await;
    assert_eq!(scene.status(seed.client).await, ClientStatus::Reached);
    scene.check().await;
}

pub async fn p2_what_is_not_owed_does_not_come_back(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seeds) = scene.running(Value::Null, 4).await;
    let skip = Skip { reason: SkipReason::AlreadyHandled, note: None };
    store.skip(scene.by(), seeds[0].call, skip, crate::port::SkipThen::End).await.expect("skipped");
    scene.dial_due().await;
    scene.answer(seeds[1].call, AnsweredBy::Human).await;
    scene.end(seeds[2].call, Ending::Busy).await;
    scene.end(seeds[3].call, Ending::Busy).await;
    for seed in &seeds {
        switch(&scene, seed.client, false).await;
    }
    scene.block(seeds[2].phone, DncScope::Global).await;
    scene.hear(seeds[3].call, [EventKind::Answered, ended(Ending::Completed, 9)]).await;
    let on = async |seed: &Seed| {
        let standing = switch(&scene, seed.client, true).await.view.client.standing;
        assert_eq!(standing.next_call, None);
        standing.status
    };
    assert_eq!(on(&seeds[0]).await, ClientStatus::Skipped);
    assert_eq!(on(&seeds[1]).await, ClientStatus::Reached);
    assert_eq!(on(&seeds[2]).await, ClientStatus::OnDnc);
    assert_eq!(on(&seeds[3]).await, ClientStatus::Reached);
    scene.check().await;
    let (campaign, seeds) = scene.running(Value::Null, 2).await;
    switch(&scene, seeds[0].client, false).await;
    scene.change(campaign, Transition::Stop).await;
    assert_eq!(on(&seeds[0]).await, ClientStatus::Skipped);
    scene.check().await;
}

pub async fn p3_a_persons_zone_counts_before_the_files(store: &dyn Store) {
    let scene = Scene::new(store);
    let settings = json!({
        "zone_policy": "client",
        "hours": {"mon": [["09:00", "17:00"]], "tue": [["09:00", "17:00"]]},
    });
    let new_york = zone("America/New_York", ZoneSource::File);
    // Tuesday, nine in the morning in New York.
    let due_at: DateTime<Utc> = (scene.now() + TimeDelta::days(1))
        .date_naive()
        .and_hms_opt(14, 0, 0)
        .expect("an instant")
        .and_utc();
    let (_, seed) = running_in(&scene, settings, vec![new_york.clone()], due_at).await;
    let set = async |name: Option<&str>| {
        let zone = name.map(|name| name.parse().expect("a zone"));
        let client = change(&scene, seed.client, |it| it.time_zone = Some(zone)).await.view.client;
        (client.zones, client.standing.next_call.expect("a call").due_at)
    };
    let (zones, moved) = set(Some("America/Los_Angeles")).await;
    assert_eq!(zones, [zone("America/Los_Angeles", ZoneSource::Person), new_york.clone()]);
    assert_eq!(moved, due_at + HOUR * 3, "nine in the morning there");
    let (zones, moved) = set(Some("America/Chicago")).await;
    assert_eq!(zones.len(), 2, "the latest word counts");
    assert_eq!(moved, due_at + HOUR * 3, "inside the hours: it stays");
    let facts = store.facts(seed.call).await.expect("read").expect("facts");
    assert_eq!(facts.zones, zones);
    let (zones, moved) = set(None).await;
    assert_eq!((zones, moved), (vec![new_york], due_at + HOUR * 3));
    scene.check().await;
}

pub async fn p4_a_change_of_zone_or_consent_takes_a_claimed_call_back(store: &dyn Store) {
    let scene = Scene::new(store);
    let changes = json!({"consent_required": true, "zone_policy": "client"});
    let campaign = scene.draft(changes).await;
    let import = scene.begin_import(campaign).await;
    let clients: Vec<NewClient> = (2..5)
        .map(|line| NewClient { consent: Some(signed()), ..scene.new_client(scene.number(), line) })
        .collect();
    store.add_clients(scene.by(), import, &clients).await.expect("added");
    scene.change(campaign, Transition::Start).await;
    let claimed = scene.claim(10).await;
    assert_eq!(claimed.len(), 3);
    change(&scene, clients[0].id, |change| change.consent = Some(None)).await;
    change(&scene, clients[1].id, |change| {
        change.time_zone = Some(Some("Asia/Tokyo".parse().expect("a zone")));
    })
    .await;
    change(&scene, clients[2].id, |change| change.note = Some("nothing".to_owned())).await;
    for facts in claimed {
        let client = facts.client;
        let begun = scene.begin_one(scene.permit(facts)).await;
        if client == Some(clients[2].id) {
            begun.expect("nothing was changed that the rules ask");
        } else {
            assert_eq!(begun, Err(BeginRefusal::LeaseLost));
        }
    }
    let claimed = scene.claim(10).await;
    assert_eq!(claimed.len(), 2, "they are claimed anew");
    for facts in claimed {
        let verdict = explain(&facts, scene.now()).0;
        if facts.client == Some(clients[0].id) {
            assert_eq!(verdict, Verdict::Retire(CancelReason::NoConsent));
        } else {
            assert!(matches!(verdict, Verdict::Dial { .. }), "{verdict:?}");
        }
    }
    scene.check().await;
}

pub async fn p4_a_consent_schedules_again_what_lacked_it(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seed) = scene.running_one(json!({"consent_required": true})).await;
    let facts = scene.claim(1).await.remove(0);
    let crate::engine::Command::Settle(settlement) = crate::engine::decide(facts, scene.now())
    else {
        panic!("there is no consent");
    };
    store.settle(scene.by(), &[settlement]).await.expect("settled");
    assert_eq!(scene.status(seed.client).await, ClientStatus::NoConsent);
    change(&scene, seed.client, |change| change.note = Some("asked".to_owned())).await;
    assert_eq!(scene.status(seed.client).await, ClientStatus::NoConsent);
    let client = change(&scene, seed.client, |change| change.consent = Some(Some(signed()))).await;
    let client = client.view.client;
    assert_eq!(client.consent, Some(signed()));
    let next = client.standing.next_call.expect("it is owed again").call;
    scene.check().await;
    assert_eq!(scene.dial_due().await, [next]);
}

pub async fn p5_a_client_is_called_by_its_scheduled_call_or_a_new_one(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seed) = scene.running_one(json!({"retry": {"max_attempts": 1}})).await;
    let operator = person();
    let call = async || {
        let by = By::new(&operator, scene.now());
        store.call_client(by, seed.client, scene.new_call(scene.now())).await
    };
    let first = call().await.expect("called").call;
    assert_eq!((first.id, first.intent, &first.by), (seed.call, Intent::Person, &operator));
    assert_eq!(first.due_at, scene.now());
    scene.dial_due().await;
    assert_eq!(refused(call().await), Refused::Call(CallStatus::Dialing));
    scene.end(seed.call, Ending::Busy).await;
    assert_eq!(scene.status(seed.client).await, ClientStatus::Exhausted);
    let second = call().await.expect("a new one").call;
    assert_eq!((second.retry_of, second.attempt), (Some(seed.call), 2));
    scene.check().await;
    assert_eq!(scene.claim(1).await.len(), 1);
    assert_eq!(refused(call().await), Refused::Call(CallStatus::Claimed));
}

pub async fn p5_who_may_not_be_called_is_not_called_by_a_person_either(store: &dyn Store) {
    let scene = Scene::new(store);
    let call = async |client: ClientId| {
        refused(store.call_client(scene.by(), client, scene.new_call(scene.now())).await)
    };
    let nobody = ClientId::new(scene.now(), scene.entropy());
    assert_eq!(call(nobody).await, Refused::NotFound);
    let (campaign, seeds) = scene.running(Value::Null, 2).await;
    switch(&scene, seeds[0].client, false).await;
    assert_eq!(call(seeds[0].client).await, Refused::Inactive);
    scene.block(seeds[0].phone, DncScope::Global).await;
    assert_eq!(call(seeds[0].client).await, Refused::OnDnc);
    scene.change(campaign, Transition::Stop).await;
    assert_eq!(call(seeds[1].client).await, Refused::Campaign(RunState::Stopped));
    let draft = scene.draft(Value::Null).await;
    let drafted = scene.import(draft, &[scene.number()]).await[0];
    assert_eq!(call(drafted.client).await, Refused::Campaign(RunState::Draft));
    let (_, strict) = scene.running_one(json!({"consent_required": true})).await;
    switch(&scene, strict.client, false).await;
    change(&scene, strict.client, |change| {
        change.active = Some(true);
    })
    .await;
    let canceled = scene.client(strict.client).await.client.standing;
    assert!(canceled.next_call.is_some(), "its next decision will say no");
    let again = store.retry(scene.by(), strict.call, scene.new_call(scene.now())).await;
    assert_eq!(refused(again), Refused::NoConsent);
    assert_eq!(call(strict.client).await, Refused::NoConsent, "though its call waits");
    let waiting = canceled.next_call.expect("it waits").call;
    assert_eq!(refused(store.call_now(scene.by(), waiting).await), Refused::NoConsent);
    scene.check().await;
}

pub async fn p6_a_client_without_a_call_is_explained_like_one_with(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seed) = scene.running_one(json!({"retry": {"max_attempts": 1}})).await;
    let facts = async || store.client_facts(seed.client).await.expect("read").expect("facts");
    let waiting = facts().await;
    assert_eq!(Some(&waiting), store.facts(seed.call).await.expect("read").as_ref());
    scene.dial_due().await;
    scene.end(seed.call, Ending::Busy).await;
    let would_be = facts().await;
    assert_eq!((would_be.attempt, would_be.client_dials), (2, 1));
    assert_eq!(would_be.number_dials.len(), 1);
    let standing = scene.client(seed.client).await.client.standing;
    let told = why(&would_be, &standing, scene.now());
    assert_eq!(told.verdict, Verdict::Retire(CancelReason::MaxAttempts));
    assert_eq!(told.next_allowed, None);
    assert!(told.words.contains("no retry is left"), "{}", told.words);
    scene.block(seed.phone, DncScope::Global).await;
    assert_eq!(facts().await.dnc, Some(DncScope::Global));
    switch(&scene, seed.client, false).await;
    assert!(!facts().await.active);
    let nobody = ClientId::new(scene.now(), scene.entropy());
    assert_eq!(store.client_facts(nobody).await.expect("read"), None);
}

pub async fn p7_the_open_calls_of_a_number_are_those_of_every_campaign(store: &dyn Store) {
    let scene = Scene::new(store);
    let phone = scene.number();
    let (_, one) = scene.running_with(Value::Null, &[phone]).await;
    scene.dial_due().await;
    let (_, other) = scene.running_with(Value::Null, &[phone, scene.number()]).await;
    let open = store.open_calls(phone).await.expect("read");
    let ids: Vec<CallId> = open.iter().map(|view| view.call.id).collect();
    assert_eq!(ids, [one[0].call, other[0].call], "the one under way comes first");
    scene.answer(one[0].call, AnsweredBy::Human).await;
    let open = store.open_calls(phone).await.expect("read");
    assert_eq!(open.len(), 1);
    assert!(store.open_calls(scene.number()).await.expect("read").is_empty());
}

pub async fn l6_notes_are_added_to_a_call_in_every_state(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seed) = scene.running_one(Value::Null).await;
    let operator = person();
    let note = async |text: &str| {
        let by = By::new(&operator, scene.now());
        store.add_note(by, seed.call, text).await.expect("noted").call.notes
    };
    assert_eq!(note("waits").await.len(), 1);
    scene.claim(1).await;
    note("claimed").await;
    scene.advance_wall(HOUR);
    scene.dial_due().await;
    note("rings").await;
    scene.answer(seed.call, AnsweredBy::Human).await;
    let notes = note("over").await;
    let texts: Vec<&str> = notes.iter().map(|note| &*note.text).collect();
    assert_eq!(texts, ["waits", "claimed", "rings", "over"]);
    assert!(notes.iter().all(|note| note.by == operator));
    assert_eq!(scene.call(seed.call).await.call.notes, notes, "as they are kept");
    let rows = store
        .audit(&AuditQuery { limit: 10, ..AuditQuery::default() })
        .await
        .expect("audit rows")
        .items;
    assert!(rows.iter().all(|row| !format!("{row:?}").contains("claimed")), "{rows:?}");
    let nobody = CallId::new(scene.now(), scene.entropy());
    assert_eq!(refused(store.add_note(scene.by(), nobody, "x").await), Refused::NotFound);
}

pub async fn l6_an_ended_call_is_reviewed_and_labelled(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seed) = scene.running_one(Value::Null).await;
    let review = async |status: Review, label: Option<Option<&str>>| {
        let label = label.map(|label| label.map(str::to_owned));
        let done = store.review(scene.by(), seed.call, status, label).await;
        done.map(|view| (view.call.review, view.call.disposition))
    };
    let early = review(Review::Reviewed, None).await;
    assert_eq!(refused(early), Refused::Call(CallStatus::Scheduled));
    scene.dial_due().await;
    scene.answer(seed.call, AnsweredBy::Human).await;
    let sold = review(Review::NeedsFollowUp, Some(Some("sold"))).await.expect("reviewed");
    assert_eq!(sold, (Review::NeedsFollowUp, Some("sold".to_owned())));
    let kept = review(Review::Reviewed, None).await.expect("reviewed");
    assert_eq!(kept, (Review::Reviewed, Some("sold".to_owned())));
    let found = CallQuery { reviews: vec![Review::Reviewed], limit: 9, ..CallQuery::default() };
    assert_eq!(store.history(&found).await.expect("read").items.len(), 1);
    // A late event is about the call, not about what a person made of it.
    scene.hear(seed.call, [EventKind::Recorded { reference: "R".to_owned() }]).await;
    let call = scene.call(seed.call).await.call;
    assert_eq!((call.review, call.disposition.as_deref()), (Review::Reviewed, Some("sold")));
    let bare = review(Review::Unreviewed, Some(None)).await.expect("reviewed");
    assert_eq!(bare, (Review::Unreviewed, None));
}

pub async fn l6_a_call_given_up_needs_follow_up_until_a_late_word(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seeds) = scene.running(Value::Null, 2).await;
    scene.dial_due().await;
    for seed in &seeds {
        scene.hear(seed.call, [EventKind::Unclear, EventKind::GivenUp]).await;
        assert_eq!(scene.call(seed.call).await.call.review, Review::NeedsFollowUp);
        assert_eq!(scene.status(seed.client).await, ClientStatus::NeedsFollowUp);
    }
    let done = Review::Reviewed;
    store.review(scene.by(), seeds[1].call, done, None).await.expect("reviewed");
    for (seed, review) in seeds.iter().zip([Review::Unreviewed, Review::Reviewed]) {
        scene.hear(seed.call, [EventKind::Answered, ended(Ending::Completed, 9)]).await;
        assert_eq!(scene.call(seed.call).await.call.review, review);
    }
    scene.check().await;
}

pub async fn l7_of_many_calls_the_good_ones_are_done(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, seeds) = scene.running(Value::Null, 4).await;
    let claimed = scene.claim(1).await[0].call;
    let free: Vec<CallId> =
        seeds.iter().map(|seed| seed.call).filter(|call| *call != claimed).collect();
    let nobody = CallId::new(scene.now(), scene.entropy());
    let skip = || Ok(CallAct::Skip(Skip { reason: SkipReason::Duplicate, note: None }));
    let later = scene.now() + HOUR * 5;
    let hours = Refused::OutsideHours { next_allowed: Some(later) };
    let acts = [
        (free[0], skip()),
        (claimed, skip()),
        (nobody, skip()),
        (free[1], Ok(CallAct::Reschedule(later))),
        (free[2], Err(hours)),
    ];
    let operator = person();
    let acted = store.change_calls(By::new(&operator, scene.now()), &acts).await.expect("acted");
    let calls: Vec<CallId> = acted.iter().map(|acted| acted.call).collect();
    assert_eq!(calls, acts.clone().map(|(call, _)| call), "each its own answer, in order");
    let refusals: Vec<Option<Refused>> =
        acted.iter().map(|acted| acted.done.as_ref().err().copied()).collect();
    let is_claimed = Refused::Call(CallStatus::Claimed);
    assert_eq!(refusals, [None, Some(is_claimed), Some(Refused::NotFound), None, Some(hours)]);
    let skipped = acted[0].done.as_ref().expect("done");
    assert_eq!(**skipped, scene.call(free[0]).await, "as it is kept");
    assert_eq!(skipped.call.outcome(), Some(Outcome::Skipped));
    let moved = scene.call(free[1]).await.call;
    assert_eq!((moved.due_at, moved.intent), (later, Intent::Rescheduled));
    assert_eq!(scene.call(free[2]).await.call.intent, Intent::Plan);
    let rows = store
        .audit(&AuditQuery { limit: 10, ..AuditQuery::default() })
        .await
        .expect("audit rows")
        .items;
    assert_eq!(rows.len(), 2, "a row for each that was done");
    assert_eq!(scene.history(campaign).await.len(), 1);
    scene.check().await;
}

pub async fn l7_many_calls_are_reviewed_and_their_clients_tagged(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, seeds) = scene.running(Value::Null, 2).await;
    scene.dial_due().await;
    for seed in &seeds {
        scene.answer(seed.call, AnsweredBy::Human).await;
    }
    let all = async |act: CallAct| {
        let acts: Vec<_> = seeds.iter().map(|seed| (seed.call, Ok(act.clone()))).collect();
        let acted = store.change_calls(scene.by(), &acts).await.expect("acted");
        acted.into_iter().map(|acted| acted.done).collect::<Vec<_>>()
    };
    let tags = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    for done in all(CallAct::Review(Review::Reviewed)).await {
        assert_eq!(done.expect("done").call.review, Review::Reviewed);
    }
    let some: BTreeSet<String> = tags(&["vip"]);
    for done in all(CallAct::Tag(some.clone())).await {
        assert_eq!(done.expect("done").tags, some);
    }
    for done in all(CallAct::Tag(tags(&["late"]))).await {
        assert_eq!(done.expect("done").tags, tags(&["vip", "late"]), "added to what there is");
    }
    let many = (0..MAX_TAGS).map(|n| n.to_string()).collect();
    for done in all(CallAct::Tag(many)).await {
        assert_eq!(done.expect_err("too many"), Refused::TooManyTags);
    }
    let tagged = CallQuery { tags: vec!["late".to_owned()], limit: 9, ..CallQuery::default() };
    assert_eq!(store.history(&tagged).await.expect("read").items.len(), 2);
    assert_eq!(scene.campaign(campaign).await.campaign.state, RunState::Finished);
    scene.check().await;
}

pub async fn l6_an_erased_persons_calls_keep_and_take_no_notes(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seed) = scene.running_one(Value::Null).await;
    scene.dial_due().await;
    scene.answer(seed.call, AnsweredBy::Human).await;
    store.add_note(scene.by(), seed.call, "a secret").await.expect("noted");
    store.erase(scene.by(), seed.client, "asked for").await.expect("erased");
    assert!(scene.call(seed.call).await.call.notes.is_empty());
    assert_eq!(refused(store.add_note(scene.by(), seed.call, "more").await), Refused::Erased);
    let tag = [(seed.call, Ok(CallAct::Tag(BTreeSet::from(["vip".to_owned()]))))];
    let tagged = store.change_calls(scene.by(), &tag).await.expect("acted").remove(0);
    assert_eq!(tagged.done.expect_err("nobody to tag"), Refused::Erased);
    let noted = ClientChange { note: Some("more".to_owned()), ..no_change(&scene) };
    let changed = store.change_client(scene.by(), seed.client, &noted).await;
    assert_eq!(refused(changed), Refused::Erased);
    let called = store.call_client(scene.by(), seed.client, scene.new_call(scene.now())).await;
    assert_eq!(refused(called), Refused::Erased);
    assert_eq!(store.client_facts(seed.client).await.expect("read"), None);
    scene.check().await;
}
