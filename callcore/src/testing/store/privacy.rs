//! Erasing people, and forgetting what was kept long enough.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::inbound::{ring, rings};
use crate::actor::Actor;
use crate::call::{
    AnsweredBy, CallEvent, CallRef, CallStatus, Ending, EventKind, InboundRing, Outcome, Report,
    Skip, SkipReason, Speaker,
};
use crate::campaign::Transition;
use crate::client::{ClientStatus, Consent};
use crate::dnc::DncScope;
use crate::erase::ERASED;
use crate::id::{CallId, CampaignId, ClientId, ImportId};
use crate::import::{ImportReport, Reject, RejectCode, Rejection};
use crate::phone::PhoneNumber;
use crate::port::{
    ActError, AuditEntry, AuditQuery, By, CallQuery, ClientQuery, DncQuery, Erased, Idempotency,
    ImportStatus, NewClient, Refused, SavedReply, SkipThen, Store, TakeBack,
};
use crate::testing::fixtures::{Scene, Seed, ended, person, refused};
use crate::testing::recount::{campaigns, clients, history};

/// What nobody else in a scene is called, says or has.
const MARKS: [&str; 9] = [
    "Zebulon Quist",
    "zq@example.org",
    "CRM-77301",
    "Quistville",
    "vip-quist",
    "quist was away",
    "quist speaking",
    "quist asked",
    "key-quist",
];

fn marked(client: NewClient) -> NewClient {
    NewClient {
        name: "Zebulon Quist".to_owned(),
        external_id: Some("CRM-77301".to_owned()),
        email: Some("zq@example.org".to_owned()),
        fields: vec!["Zebulon Quist".to_owned(), "Quistville".to_owned()],
        tags: ["vip-quist".to_owned()].into(),
        note: Some("quist was away".to_owned()),
        consent: Some(Consent {
            basis: "quist asked".to_owned(),
            at: None,
            source: "list".to_owned(),
            evidence: None,
        }),
        person_key: Some("key-quist".to_owned()),
        ..client
    }
}

/// A running campaign with a client that has everything, and one that has not.
async fn with_marked(scene: &Scene<'_>, phone: PhoneNumber) -> (CampaignId, Seed, Seed) {
    let campaign = scene.draft(Value::Null).await;
    let import = scene.begin_import(campaign).await;
    let marked = marked(scene.new_client(phone, 2));
    let other = scene.new_client(scene.number(), 3);
    let both = [marked.clone(), other.clone()];
    scene.store.add_clients(scene.by(), import, &both).await.expect("added");
    let rejection = |value: &str| Rejection {
        line: 4,
        column: "Phone".to_owned(),
        value: value.to_owned(),
        code: RejectCode::InvalidPhone,
        message: "not a valid phone number".to_owned(),
    };
    let mut report = ImportReport::default();
    let national = phone.national_digits();
    let (area, rest) = national.split_at(3);
    report.count_rejected(rejection(&format!("({area}) {rest} x5")));
    report.count_rejected(rejection("n/a"));
    let done = ImportStatus::Done;
    scene.store.report_import(scene.by(), import, done, &report).await.expect("reported");
    scene.change(campaign, Transition::Start).await;
    let seed = |new: &NewClient| Seed { client: new.id, call: new.call, phone: new.phone };
    (campaign, seed(&marked), seed(&other))
}

fn line(text: &str) -> EventKind {
    EventKind::Line { index: 0, speaker: Speaker::Client, offset_seconds: 1, text: text.to_owned() }
}

/// A whole conversation with a tag, a line and a recording.
async fn talk(scene: &Scene<'_>, call: CallId) {
    let key = EventKind::Key { digit: '1', press: 0 };
    let recorded = EventKind::Recorded { reference: format!("R-{call}") };
    scene.hear(call, [EventKind::Answered, key, line("quist speaking"), recorded]).await;
    scene.answer(call, AnsweredBy::Human).await;
}

async fn erase(scene: &Scene<'_>, client: ClientId) -> Erased {
    let admin = person();
    let by = By::new(&admin, scene.now());
    scene.store.erase(by, client, "asked for in writing").await.expect("erased")
}

/// Everything a store tells, as one text.
async fn everything(store: &dyn Store) -> String {
    let mut all = Vec::new();
    let mut calls = history(store).await;
    for campaign in campaigns(store).await {
        let id = campaign.campaign.id;
        let query = CallQuery { campaigns: vec![id], limit: 200, ..CallQuery::default() };
        calls.extend(store.upcoming(&query).await.expect("read").items);
        for view in clients(store, id).await {
            all.push(format!("{view:?} {:?}", view.client.phone.map(|it| it.to_string())));
        }
        for row in store.export_clients(id, None, 200).await.expect("read") {
            all.push(format!("{row:?}"));
        }
        for import in store.imports(id).await.expect("read") {
            let report = serde_json::to_string(&import.report).expect("JSON");
            all.push(format!("{import:?} {report}"));
        }
    }
    for view in calls {
        let events = store.events(view.call.id).await.expect("read");
        all.push(format!("{view:?} {events:?} {:?}", view.call.phone.map(|it| it.to_string())));
    }
    for open in store.live(200).await.expect("read") {
        all.push(format!("{open:?}"));
    }
    for row in store.audit(&AuditQuery::newest(200)).await.expect("read").items {
        all.push(format!("{row:?}"));
    }
    all.push(format!("{:?}", store.notices(200).await.expect("read")));
    all.join("\n")
}

async fn assert_unknown(store: &dyn Store, phone: PhoneNumber) {
    let all = everything(store).await;
    let number = phone.national_digits();
    let shown = |mark: &&str| all.contains(*mark);
    let found: Vec<&str> = MARKS.into_iter().chain([&*number]).filter(shown).collect();
    assert!(found.is_empty(), "{found:?} in\n{all}");
}

pub async fn e1_nothing_a_store_tells_shows_whoever_was_erased(store: &dyn Store) {
    let scene = Scene::new(store);
    let phone = scene.number();
    let (one, a, other) = with_marked(&scene, phone).await;
    let (two, b, _) = with_marked(&scene, phone).await;
    let operator = person();
    let by = By::new(&operator, scene.now());
    let skip = Skip { reason: SkipReason::Other, note: Some("quist asked".to_owned()) };
    store.skip(by, b.call, skip, SkipThen::End).await.expect("skipped");
    scene.dial_due().await;
    talk(&scene, a.call).await;
    // From outside of every campaign, and in acts about something else.
    let ring = InboundRing {
        carrier_call_id: "in-1".to_owned(),
        from: Some(phone),
        new_id: CallId::new(scene.now(), scene.entropy()),
    };
    let event = CallEvent { at: scene.now(), kind: line("quist speaking") };
    scene.record(vec![Report { call: CallRef::Inbound(ring.clone()), event }]).await;
    let over = CallEvent { at: scene.now(), kind: ended(Ending::Completed, 3) };
    scene.record(vec![Report { call: CallRef::Inbound(ring), event: over }]).await;
    let entry = AuditEntry {
        action: "calls.export",
        object: "calls".to_owned(),
        old: None,
        new: Some(json!({"q": phone.to_string(), "name": "Zebulon Quist", "limit": 5})),
    };
    store.append_audit(by, entry).await.expect("written");
    let before = everything(store).await;
    for mark in MARKS {
        assert!(before.contains(mark), "{mark} is somewhere before");
    }
    let kept = [scene.campaign(one).await.progress, scene.campaign(two).await.progress];
    let whole = scene.client(other.client).await;

    let erased = erase(&scene, a.client).await;
    assert_eq!((erased.clients, erased.calls, erased.recordings), (2, 3, 1));
    assert_unknown(store, phone).await;
    let progress = [scene.campaign(one).await.progress, scene.campaign(two).await.progress];
    assert_eq!(progress, kept, "bare counts stay");
    assert_eq!(scene.client(other.client).await, whole, "and so does everybody else");
    let call = scene.call(a.call).await.call;
    assert_eq!((call.phone, call.outcome()), (None, Some(Outcome::Answered)));
    assert!(call.decision.iter().all(|heard| heard.passed && heard.words.is_empty()));
    let client = scene.client(a.client).await.client;
    assert_eq!((client.phone, client.standing.status), (None, ClientStatus::Reached));
    assert_eq!(client.erased.map(|erased| erased.at), Some(scene.now()));
    let rows = store.audit(&AuditQuery::newest(50)).await.expect("read").items;
    let export = rows.iter().find(|row| row.action == "calls.export").expect("the row stays");
    assert_eq!(export.new, Some(json!({"q": ERASED, "name": ERASED, "limit": 5})));
    assert!(rows.iter().any(|row| row.action == "client.erase"));
    scene.check().await;
}

pub async fn e1_searches_find_no_one_who_was_erased(store: &dyn Store) {
    let scene = Scene::new(store);
    let phone = scene.number();
    let (campaign, seed, _) = with_marked(&scene, phone).await;
    scene.dial_due().await;
    talk(&scene, seed.call).await;
    let found = async |q: String| {
        let query = ClientQuery {
            campaign,
            q: Some(q.clone()),
            statuses: Vec::new(),
            tags: Vec::new(),
            after: None,
            limit: 10,
        };
        let clients = store.clients(&query).await.expect("read").items.len();
        let query = CallQuery { q: Some(q), limit: 10, ..CallQuery::default() };
        clients + store.history(&query).await.expect("read").items.len()
    };
    for q in [phone.national_digits(), "zebul".to_owned()] {
        assert_eq!(found(q.clone()).await, 2, "{q} before");
    }
    erase(&scene, seed.client).await;
    for q in [phone.national_digits(), "zebul".to_owned(), "ze".to_owned()] {
        assert_eq!(found(q.clone()).await, 0, "{q} afterwards");
    }
    // The list of numbers not to call stays, and the number with it.
    scene.block(phone, DncScope::Global).await;
    let query = DncQuery { q: Some(phone.national_digits()), limit: 5, ..DncQuery::default() };
    assert_eq!(store.dnc(&query).await.expect("read").items.len(), 1);
}

pub async fn e1_answers_under_idempotency_keys_no_longer_show_the_person(store: &dyn Store) {
    let scene = Scene::new(store);
    let phone = scene.number();
    let (_, seed, other) = with_marked(&scene, phone).await;
    let operator = person();
    let keyed = async |key: &str, phone: PhoneNumber| {
        let number = phone.to_string();
        let record = Idempotency {
            scope: "POST /api/dnc".to_owned(),
            key: key.to_owned(),
            body_hash: [0; 32],
            wall: scene.wall(),
            reply: std::sync::Arc::new(move |_| SavedReply { status: 201, body: number.clone() }),
        };
        let by = By { idempotency: Some(&record), ..By::new(&operator, scene.now()) };
        let entry = scene.dnc_entry(phone, DncScope::Global);
        store.add_dnc(by, entry).await.expect("blocked");
    };
    keyed("theirs", phone).await;
    keyed("another's", other.phone).await;
    erase(&scene, seed.client).await;
    let reply = async |key: &str| {
        let saved = store.saved_reply("POST /api/dnc", key, scene.wall()).await.expect("read");
        saved.expect("it stays").1
    };
    let theirs = reply("theirs").await;
    assert!(theirs.status == 201 && !theirs.body.contains(&phone.national_digits()));
    assert_eq!(reply("another's").await.body, other.phone.to_string());
}

pub async fn e2_what_is_scheduled_is_cancelled_and_what_is_live_is_named(store: &dyn Store) {
    let scene = Scene::new(store);
    let phone = scene.number();
    let (one, a, _) = with_marked(&scene, phone).await;
    let (two, b, _) = with_marked(&scene, phone).await;
    let live = scene.dial_due().await;
    let (on_the_line, waiting) = if live.contains(&a.call) { (a, b) } else { (b, a) };
    let erased = erase(&scene, a.client).await;
    assert_eq!(
        (&erased.in_flight, &erased.canceled),
        (&vec![on_the_line.call], &vec![waiting.call])
    );
    let call = scene.call(waiting.call).await.call;
    assert_eq!((call.status(), call.end_reason()), (CallStatus::Ended, Some("erased")));
    assert_eq!((call.phone, call.ended_at()), (None, Some(scene.now())));
    assert_eq!(scene.status(waiting.client).await, ClientStatus::Inactive);
    assert_eq!(scene.status(on_the_line.client).await, ClientStatus::InProgress);
    scene.check().await;
    // What was busy would be retried, if anybody could tell whom to call.
    scene.end(on_the_line.call, Ending::Busy).await;
    assert_eq!(scene.call(on_the_line.call).await.call.phone, None);
    assert_eq!(scene.status(on_the_line.client).await, ClientStatus::Exhausted);
    assert!(scene.upcoming(one).await.is_empty() && scene.upcoming(two).await.is_empty());
    assert_unknown(store, phone).await;
    let operator = person();
    let by = By::new(&operator, scene.now());
    let again = store.retry(by, on_the_line.call, scene.new_call(scene.now())).await;
    assert_eq!(refused(again), Refused::Erased);
    scene.check().await;
}

pub async fn e2_a_call_claimed_before_is_not_begun_after(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, seeds) = scene.running(Value::Null, 2).await;
    let facts = scene.claim(10).await;
    let permits: Vec<_> = facts.into_iter().map(|facts| scene.permit(facts)).collect();
    let erased = erase(&scene, seeds[0].client).await;
    assert_eq!(erased.canceled, [seeds[0].call]);
    for (permit, answer) in permits.iter().zip(scene.begin(&permits).await) {
        assert_eq!(answer.is_ok(), permit.client() == Some(seeds[1].client), "{answer:?}");
    }
    assert_eq!(scene.campaign(campaign).await.progress.live, 1);
    scene.check().await;
}

pub async fn e2_a_call_taken_back_after_an_erasure_ends(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seed) = scene.running_one(Value::Null).await;
    let facts = scene.claim(1).await.remove(0);
    let lease = facts.lease;
    let permit = scene.permit(facts);
    scene.begin_one(permit).await.expect("begun");
    erase(&scene, seed.client).await;
    let back = TakeBack { call: seed.call, lease, due_at: None };
    store.take_back(scene.by(), &[back]).await.expect("taken back");
    let call = scene.call(seed.call).await.call;
    assert_eq!((call.status(), call.end_reason()), (CallStatus::Ended, Some("erased")));
    assert_eq!(call.phone, None);
    assert_eq!(scene.status(seed.client).await, ClientStatus::Inactive);
    scene.check().await;
}

pub async fn e3_words_that_come_late_are_dropped_and_the_end_is_kept(store: &dyn Store) {
    let scene = Scene::new(store);
    let phone = scene.number();
    let (campaign, seed, _) = with_marked(&scene, phone).await;
    scene.dial_due().await;
    scene.hear(seed.call, [EventKind::Answered]).await;
    erase(&scene, seed.client).await;
    talk(&scene, seed.call).await;
    let call = scene.call(seed.call).await.call;
    assert_eq!((call.outcome(), call.progress.talk_seconds), (Some(Outcome::Answered), 30));
    assert!(call.progress.transcript.is_empty() && call.progress.recording.is_none());
    assert!(scene.client(seed.client).await.client.tags.is_empty());
    assert_unknown(store, phone).await;
    let due = store.recordings_to_delete(scene.wall(), 10).await.expect("read");
    assert_eq!(due, [format!("R-{}", seed.call)], "a recording made meanwhile goes too");
    let words = store.events(seed.call).await.expect("read");
    assert!(!words.iter().any(|event| matches!(event.kind, EventKind::Key { .. })));
    // Told once more, they still change nothing.
    talk(&scene, seed.call).await;
    assert_unknown(store, phone).await;
    assert_eq!(scene.campaign(campaign).await.progress.totals.outcomes[&Outcome::Answered], 1);
    scene.check().await;
}

pub async fn e3_whoever_opts_out_after_being_erased_is_on_the_list(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seeds) = scene.running(Value::Null, 2).await;
    scene.dial_due().await;
    erase(&scene, seeds[0].client).await;
    erase(&scene, seeds[1].client).await;
    let key = EventKind::Key { digit: '9', press: 0 };
    scene.hear(seeds[0].call, [EventKind::Answered, key]).await;
    scene.hear(seeds[0].call, [ended(Ending::Completed, 9)]).await;
    scene.end(seeds[1].call, Ending::NoAnswer).await;
    scene.hear(seeds[1].call, [EventKind::OptOut]).await;
    let query = DncQuery { limit: 10, ..DncQuery::default() };
    let listed = store.dnc(&query).await.expect("read").items;
    let mut listed: Vec<PhoneNumber> = listed.iter().map(|entry| entry.phone).collect();
    listed.sort();
    let mut wanted = vec![seeds[0].phone, seeds[1].phone];
    wanted.sort();
    assert_eq!(listed, wanted);
    assert_eq!(scene.status(seeds[0].client).await, ClientStatus::OptedOut);
    assert_eq!(scene.call(seeds[0].call).await.call.outcome(), Some(Outcome::OptedOut));
    scene.check().await;
}

pub async fn e3_whoever_called_in_and_opts_out_after_being_erased_is_on_the_list(
    store: &dyn Store,
) {
    let scene = Scene::new(store);
    let inbound = json!({"inbound": {"keys": {"8": "opt_out"}}});
    let (_, seed) = scene.running_one(inbound).await;
    let ring = ring(&scene, "late", Some(seed.phone));
    let id = rings(&scene, &ring, [EventKind::Answered, ended(Ending::Completed, 9)]).await;
    erase(&scene, seed.client).await;
    // It was pressed before, and held back while the store was away.
    rings(&scene, &ring, [EventKind::Key { digit: '8', press: 0 }]).await;
    let query = DncQuery { limit: 10, ..DncQuery::default() };
    let listed = store.dnc(&query).await.expect("read").items;
    assert_eq!(listed.iter().map(|entry| entry.phone).collect::<Vec<_>>(), [seed.phone]);
    assert_eq!(scene.call(id).await.call.outcome(), Some(Outcome::OptedOut));
    scene.check().await;
}

pub async fn e1_dials_to_an_erased_number_count_on(store: &dyn Store) {
    let scene = Scene::new(store);
    let phone = scene.number();
    let caps = json!({"caps": [{"max": 1, "per": "PT24H"}]});
    let (_, seeds) = scene.running_with(caps.clone(), &[phone]).await;
    scene.dial_due().await;
    scene.end(seeds[0].call, Ending::Busy).await;
    let dialled = scene.now();
    erase(&scene, seeds[0].client).await;
    // Somebody uploads the number anew: another client, under the same cap.
    let (_, again) = scene.running_with(caps, &[phone]).await;
    let facts = scene.claim(10).await;
    assert_eq!((facts.len(), facts[0].call), (1, again[0].call));
    assert_eq!(facts[0].number_dials.len(), 1, "dialled before {dialled}");
    // Nobody who rings from it is linked to whoever was erased.
    let ring = InboundRing {
        carrier_call_id: "in-2".to_owned(),
        from: Some(phone),
        new_id: CallId::new(scene.now(), scene.entropy()),
    };
    let id = ring.new_id;
    let event = CallEvent { at: scene.now(), kind: EventKind::Ringing };
    scene.record(vec![Report { call: CallRef::Inbound(ring), event }]).await;
    assert_eq!(scene.call(id).await.call.client, Some(again[0].client));
}

pub async fn e4_erasing_again_changes_nothing(store: &dyn Store) {
    let scene = Scene::new(store);
    let phone = scene.number();
    let (_, seed, _) = with_marked(&scene, phone).await;
    scene.dial_due().await;
    talk(&scene, seed.call).await;
    erase(&scene, seed.client).await;
    let (client, call) = (scene.client(seed.client).await, scene.call(seed.call).await);
    let rows = store.audit(&AuditQuery::newest(50)).await.expect("read").items.len();
    scene.advance(TimeDelta::hours(1));
    assert_eq!(erase(&scene, seed.client).await, Erased::default());
    assert_eq!(scene.client(seed.client).await, client);
    assert_eq!(scene.call(seed.call).await, call);
    assert_eq!(store.audit(&AuditQuery::newest(50)).await.expect("read").items.len(), rows);
    let nobody = ClientId::new(scene.now(), scene.entropy());
    let admin = person();
    let refused = store.erase(By::new(&admin, scene.now()), nobody, "").await;
    assert!(matches!(refused, Err(ActError::Refused(Refused::NotFound))), "{refused:?}");
    scene.check().await;
}

pub async fn e5_a_recording_is_to_be_deleted_until_the_carrier_confirms(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seed, _) = with_marked(&scene, scene.number()).await;
    scene.dial_due().await;
    talk(&scene, seed.call).await;
    let due = async || store.recordings_to_delete(scene.wall(), 10).await.expect("read");
    assert!(due().await.is_empty());
    erase(&scene, seed.client).await;
    let reference = format!("R-{}", seed.call);
    assert_eq!(due().await, std::slice::from_ref(&reference));
    let (mut waits, mut waited) = (Vec::new(), TimeDelta::zero());
    while waits.len() < 9 {
        scene.advance_wall(TimeDelta::seconds(15));
        waited += TimeDelta::seconds(15);
        if !due().await.is_empty() {
            waits.push(waited.num_seconds());
            waited = TimeDelta::zero();
        }
    }
    assert_eq!(waits, [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]);
    store.recordings_deleted(&[reference]).await.expect("noted");
    scene.advance_wall(TimeDelta::days(1));
    assert!(due().await.is_empty());
}

pub async fn e6_words_are_kept_as_long_as_allowed_and_no_longer(store: &dyn Store) {
    let scene = Scene::new(store);
    let (old, past) = (scene.number(), scene.number());
    let (ended_campaign, a, _) = with_marked(&scene, old).await;
    let (goes_on, b, waiting) = with_marked(&scene, past).await;
    scene.dial_due().await;
    for seed in [a, b] {
        talk(&scene, seed.call).await;
    }
    scene.change(ended_campaign, Transition::Stop).await;
    let others: Vec<CallId> =
        scene.store.live(10).await.expect("read").iter().map(|open| open.call).collect();
    for call in others {
        scene.end(call, Ending::Busy).await;
    }
    let stood = scene.status(a.client).await;
    scene.advance(TimeDelta::hours(1));
    let limit = scene.now();
    scene.advance(TimeDelta::days(90));
    let nothing = store.retain(scene.by(), limit - TimeDelta::days(1), 100).await.expect("done");
    assert_eq!((nothing.clients, nothing.calls, nothing.more), (0, 0, false));
    assert_eq!(scene.client(a.client).await.client.name, "Zebulon Quist");

    let mut rounds = 0;
    while store.retain(scene.by(), limit, 1).await.expect("done").more {
        rounds += 1;
        assert!(rounds < 20, "it comes to an end");
    }
    assert!(rounds >= 2, "at most so many at a time");
    let client = scene.client(a.client).await.client;
    assert!(client.erased.is_some() && client.phone.is_none() && client.name.is_empty());
    assert_eq!(client.standing.status, stood);
    // A campaign that goes on needs its clients; what was said long ago it does not need.
    let kept = scene.client(b.client).await.client;
    assert_eq!((kept.name.as_str(), kept.phone), ("Zebulon Quist", Some(past)));
    let call = scene.call(b.call).await.call;
    assert!(call.progress.transcript.is_empty() && call.progress.recording.is_none());
    assert_eq!((call.phone, call.outcome()), (Some(past), Some(Outcome::Answered)));
    assert_eq!(scene.client(waiting.client).await.client.phone, Some(waiting.phone));
    let due = store.recordings_to_delete(scene.wall(), 10).await.expect("read");
    assert_eq!(due.len(), 2, "recordings of both");
    scene.hear(b.call, [line("quist speaking")]).await;
    assert!(scene.call(b.call).await.call.progress.transcript.is_empty());
    scene.check().await;
    // And whoever is erased later loses the number too.
    erase(&scene, b.client).await;
    assert_eq!(scene.call(b.call).await.call.phone, None);
    assert_unknown(store, past).await;
    assert!(!scene.upcoming(goes_on).await.iter().any(|view| view.call.client == Some(b.client)));
    scene.check().await;
}

pub async fn e6_refused_rows_are_kept_no_longer_than_the_others(store: &dyn Store) {
    let scene = Scene::new(store);
    let (over, goes_on) = (scene.number(), scene.number());
    let (mut kept, mut ends) = (Vec::new(), None);
    for phone in [over, goes_on] {
        let (campaign, ..) = with_marked(&scene, phone).await;
        let import = scene.begin_import(campaign).await;
        let rejection = Rejection {
            line: 2,
            column: "Phone".to_owned(),
            value: "12".to_owned(),
            code: RejectCode::InvalidPhone,
            message: "not a valid phone number".to_owned(),
        };
        let mut report = ImportReport::default();
        report.count_rejected(rejection.clone());
        let cells = vec!["Eve".to_owned(), "12".to_owned()];
        let reject = Reject { rejection, cells, digits: "12".to_owned() };
        store.add_rejects(scene.by(), import, &[reject]).await.expect("kept");
        let done = ImportStatus::Done;
        store.report_import(scene.by(), import, done, &report).await.expect("reported");
        kept.push(import);
        ends.get_or_insert(campaign);
    }
    scene.change(ends.expect("the first"), Transition::Stop).await;
    scene.advance(TimeDelta::days(2));
    let rounds = async |before: DateTime<Utc>| {
        while store.retain(scene.by(), before, 10).await.expect("done").more {}
    };
    let left = async |import: ImportId| {
        let value = store.import(import).await.expect("read").expect("it stays").report.rejections;
        let rows = store.rejects(import, None, 9).await.expect("read").len();
        (value[0].value.clone(), rows)
    };
    rounds(scene.now() - TimeDelta::days(3)).await;
    assert_eq!(left(kept[0]).await, ("12".to_owned(), 1), "not yet");
    rounds(scene.now() - TimeDelta::days(1)).await;
    assert_eq!(left(kept[0]).await, (String::new(), 0));
    assert_eq!(left(kept[1]).await, ("12".to_owned(), 1), "its campaign goes on");
}

pub async fn e6_clients_that_come_in_after_a_round_have_theirs_later(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, seed) = scene.running_one(Value::Null).await;
    scene.dial_due().await;
    scene.answer(seed.call, AnsweredBy::Human).await;
    scene.advance(TimeDelta::days(1));
    store.retain(scene.by(), scene.now(), 100).await.expect("done");
    assert!(scene.client(seed.client).await.client.erased.is_some());
    let late = scene.import(campaign, &[scene.number()]).await[0];
    store.retain(scene.by(), scene.now(), 100).await.expect("done");
    assert!(scene.client(late.client).await.client.erased.is_none(), "it runs again");
    scene.dial_due().await;
    scene.answer(late.call, AnsweredBy::Human).await;
    scene.advance(TimeDelta::days(1));
    let done = store.retain(scene.by(), scene.now(), 100).await.expect("done");
    assert_eq!((done.clients, done.more), (1, false));
    scene.check().await;
}

pub async fn e7_what_ran_out_is_forgotten_and_nothing_else(store: &dyn Store) {
    let scene = Scene::new(store);
    let operator = person();
    let keyed = async |key: &str| {
        let record = Idempotency {
            scope: "POST".to_owned(),
            key: key.to_owned(),
            body_hash: [0; 32],
            wall: scene.wall(),
            reply: std::sync::Arc::new(|_| SavedReply { status: 201, body: String::new() }),
        };
        let by = By { idempotency: Some(&record), ..By::new(&operator, scene.now()) };
        let entry = scene.dnc_entry(scene.number(), DncScope::Global);
        store.add_dnc(by, entry).await.expect("blocked");
    };
    let (_, seed) = scene.running_one(Value::Null).await;
    scene.dial_due().await;
    scene.end(seed.call, Ending::NoAnswer).await;
    erase(&scene, seed.client).await;
    keyed("old").await;
    let began = scene.wall();
    scene.advance(TimeDelta::hours(23));
    keyed("young").await;
    scene.advance(TimeDelta::hours(2));
    store.prune(scene.by(), scene.wall()).await.expect("pruned");
    let saved = async |key: &str| store.saved_reply("POST", key, began).await.expect("read");
    assert!(saved("old").await.is_none(), "whatever the time that is asked for");
    assert!(saved("young").await.is_some());
    // Caps look back for 90 days at most.
    let dials = async || {
        let (_, again) = scene.running_with(Value::Null, &[seed.phone]).await;
        let facts = store.facts(again[0].call).await.expect("read").expect("it waits");
        facts.number_dials.len()
    };
    assert_eq!(dials().await, 1);
    scene.advance(TimeDelta::days(91));
    store.prune(By::new(&Actor::System, scene.now()), scene.wall()).await.expect("pruned");
    assert_eq!(dials().await, 0);
}
