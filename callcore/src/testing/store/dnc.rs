//! The Do-Not-Call side.

use chrono::TimeDelta;
use serde_json::Value;

use crate::call::{
    CallEvent, CallRef, CallStatus, Ending, EventKind, InboundRing, Outcome, Report,
};
use crate::campaign::{RunState, Transition};
use crate::client::ClientStatus;
use crate::dnc::{DncEntry, DncReport, DncScope, DncSource};
use crate::id::{CallId, CampaignId, ImportId};
use crate::phone::PhoneNumber;
use crate::port::{
    ActError, AuditQuery, BeginDncImport, By, DncQuery, ImportStatus, Refused, Store,
};
use crate::testing::fixtures::{Scene, number, person};

async fn entries(store: &dyn Store, query: DncQuery) -> Vec<DncEntry> {
    store.dnc(&DncQuery { limit: 100, ..query }).await.expect("read").items
}

pub async fn n1_a_listed_number_is_never_begun_in_its_scope(store: &dyn Store) {
    let scene = Scene::new(store);
    let phone = scene.number();
    let (one, _) = scene.running_with(Value::Null, &[phone]).await;
    let (_, two) = scene.running_with(Value::Null, &[phone]).await;
    let facts = scene.claim(50).await;
    let permits: Vec<_> = facts.into_iter().map(|facts| scene.permit(facts)).collect();
    let (inside, outside): (Vec<_>, Vec<_>) =
        permits.into_iter().partition(|permit| permit.campaign() == one);
    scene.block(phone, DncScope::Campaign(one)).await;
    assert!(scene.begin(&inside).await[0].is_err(), "in its campaign");
    assert_eq!(scene.begin(&outside).await, [Ok(())], "another campaign may");
    scene.end(two[0].call, Ending::Busy).await;
    assert_eq!(scene.status(two[0].client).await, ClientStatus::Scheduled);
    scene.block(phone, DncScope::Global).await;
    assert_eq!(scene.status(two[0].client).await, ClientStatus::OnDnc);
    scene.advance(TimeDelta::days(2));
    assert!(scene.claim(50).await.is_empty());
    scene.check().await;
}

pub async fn n1_nothing_follows_a_live_call_of_a_listed_number(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, seed) = scene.running_one(Value::Null).await;
    scene.dial_due().await;
    let added = scene.block(seed.phone, DncScope::Global).await;
    assert_eq!((added.in_flight, added.canceled), (vec![seed.call], vec![]));
    scene.check().await;
    scene.end(seed.call, Ending::Busy).await;
    assert_eq!(scene.status(seed.client).await, ClientStatus::OnDnc);
    assert_eq!(scene.campaign(campaign).await.campaign.state, RunState::Finished);
    scene.check().await;
}

pub async fn n2_an_entry_cancels_what_is_scheduled_in_its_scope_only(store: &dyn Store) {
    let scene = Scene::new(store);
    let phone = scene.number();
    let (one, a) = scene.running_with(Value::Null, &[phone, scene.number()]).await;
    let (two, b) = scene.running_with(Value::Null, &[phone]).await;
    let added = scene.block(phone, DncScope::Campaign(one)).await;
    assert_eq!((added.canceled, added.in_flight), (vec![a[0].call], vec![]));
    let call = scene.call(a[0].call).await.call;
    assert_eq!((call.status(), call.outcome()), (CallStatus::Ended, Some(Outcome::Canceled)));
    assert_eq!((call.end_reason(), call.ended_at()), (Some("on_dnc"), Some(scene.now())));
    assert_eq!(scene.history(one).await.len(), 1, "with a row in the history");
    assert_eq!(scene.status(a[0].client).await, ClientStatus::OnDnc);
    assert_eq!(scene.status(a[1].client).await, ClientStatus::Pending, "another number");
    assert_eq!(scene.status(b[0].client).await, ClientStatus::Pending, "another campaign");
    assert!(scene.history(two).await.is_empty());
    let added = scene.block(phone, DncScope::Global).await;
    assert_eq!(added.canceled, [b[0].call]);
    assert_eq!(scene.campaign(two).await.campaign.state, RunState::Finished);
    scene.check().await;
}

pub async fn n2_drafts_and_paused_campaigns_are_in_scope_too(store: &dyn Store) {
    let scene = Scene::new(store);
    let phone = scene.number();
    let draft = scene.draft(Value::Null).await;
    let drafted = scene.import(draft, &[phone]).await[0];
    let (paused, waiting) = scene.running_with(Value::Null, &[phone, scene.number()]).await;
    scene.change(paused, Transition::Pause).await;
    let mut canceled = scene.block(phone, DncScope::Global).await.canceled;
    canceled.sort();
    let mut wanted: Vec<CallId> = vec![drafted.call, waiting[0].call];
    wanted.sort();
    assert_eq!(canceled, wanted);
    assert_eq!(scene.status(drafted.client).await, ClientStatus::OnDnc);
    scene.check().await;
}

pub async fn n2_a_key_that_opts_out_blocks_the_number_everywhere(store: &dyn Store) {
    let scene = Scene::new(store);
    let phone = scene.number();
    let (one, a) = scene.running_with(Value::Null, &[phone]).await;
    scene.dial_due().await;
    let (two, b) = scene.running_with(Value::Null, &[phone]).await;
    scene.advance(TimeDelta::seconds(5));
    let key = EventKind::Key { digit: '9', press: 0 };
    scene.hear(a[0].call, [EventKind::Answered, key]).await;
    let blocked = entries(store, DncQuery::default()).await;
    assert_eq!((blocked.len(), blocked[0].phone, blocked[0].scope), (1, phone, DncScope::Global));
    assert_eq!((blocked[0].source, blocked[0].created_at), (DncSource::OptOut, scene.now()));
    assert_eq!(scene.status(b[0].client).await, ClientStatus::OnDnc, "in force at once");
    assert_eq!(scene.call(b[0].call).await.call.end_reason(), Some("on_dnc"));
    assert_eq!(scene.campaign(two).await.campaign.state, RunState::Finished);
    scene.check().await;
    scene.hear(a[0].call, [crate::testing::fixtures::ended(Ending::Completed, 9)]).await;
    assert_eq!(scene.status(a[0].client).await, ClientStatus::OptedOut);
    assert_eq!(scene.call(a[0].call).await.call.outcome(), Some(Outcome::OptedOut));
    assert_eq!(scene.campaign(one).await.campaign.state, RunState::Finished);
    scene.check().await;
}

pub async fn n2_an_opt_out_counts_even_after_the_call_ended(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seed) = scene.running_one(Value::Null).await;
    scene.dial_due().await;
    scene.end(seed.call, Ending::NoAnswer).await;
    assert_eq!(scene.status(seed.client).await, ClientStatus::Scheduled);
    scene.hear(seed.call, [EventKind::OptOut]).await;
    assert_eq!(scene.status(seed.client).await, ClientStatus::OptedOut);
    assert!(scene.client(seed.client).await.on_dnc);
    scene.check().await;
}

pub async fn n3_a_number_has_one_entry_in_a_scope_and_the_first_stays(store: &dyn Store) {
    let scene = Scene::new(store);
    let phone = scene.number();
    let campaign = scene.draft(Value::Null).await;
    let first = scene.block(phone, DncScope::Global).await.entry;
    scene.advance(TimeDelta::hours(1));
    let again = DncEntry {
        reason: "another reason".to_owned(),
        ..scene.dnc_entry(phone, DncScope::Global)
    };
    let added = store.add_dnc(scene.by(), again).await.expect("blocked");
    assert_eq!(added.entry, first, "the first one holds");
    scene.block(phone, DncScope::Campaign(campaign)).await;
    let all = entries(store, DncQuery::default()).await;
    assert_eq!(all.len(), 2, "each scope has its own");
    assert!(all.contains(&first));
    let nowhere = CampaignId::new(scene.now(), scene.entropy());
    let entry = scene.dnc_entry(phone, DncScope::Campaign(nowhere));
    let refused = store.add_dnc(scene.by(), entry).await;
    assert!(matches!(refused, Err(ActError::Refused(Refused::NotFound))), "{refused:?}");
}

pub async fn n3_a_second_entry_cancels_what_came_in_between(store: &dyn Store) {
    let scene = Scene::new(store);
    let phone = scene.number();
    scene.block(phone, DncScope::Global).await;
    let operator = person();
    let by = By::new(&operator, scene.now());
    store.remove_dnc(by, phone, DncScope::Global, "asked to be called").await.expect("removed");
    let (_, seeds) = scene.running_with(Value::Null, &[phone]).await;
    let added = scene.block(phone, DncScope::Global).await;
    assert_eq!(added.canceled, [seeds[0].call]);
    scene.check().await;
}

pub async fn n4_removing_takes_the_entry_of_that_scope_only(store: &dyn Store) {
    let scene = Scene::new(store);
    let phone = scene.number();
    let (one, two) = (scene.draft(Value::Null).await, scene.draft(Value::Null).await);
    let scopes = [DncScope::Global, DncScope::Campaign(one), DncScope::Campaign(two)];
    for scope in scopes {
        scene.block(phone, scope).await;
    }
    let operator = person();
    let by = By::new(&operator, scene.now());
    store.remove_dnc(by, phone, scopes[1], "a mistake").await.expect("removed");
    let left: Vec<DncScope> =
        entries(store, DncQuery::default()).await.iter().map(|entry| entry.scope).collect();
    assert!(left.len() == 2 && !left.contains(&scopes[1]));
    let seed = scene.import(one, &[phone]).await[0];
    assert!(scene.client(seed.client).await.on_dnc, "the global entry still covers it");
    let again = store.remove_dnc(by, phone, scopes[1], "").await;
    assert!(matches!(again, Err(ActError::Refused(Refused::NotFound))), "{again:?}");
    store.remove_dnc(by, phone, DncScope::Global, "a mistake").await.expect("removed");
    assert!(!scene.client(seed.client).await.on_dnc);
    scene.check().await;
}

pub async fn n4_an_entry_removed_does_not_bring_calls_back(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, seed) = scene.running_one(Value::Null).await;
    scene.block(seed.phone, DncScope::Global).await;
    let operator = person();
    let by = By::new(&operator, scene.now());
    store.remove_dnc(by, seed.phone, DncScope::Global, "").await.expect("removed");
    assert!(scene.upcoming(campaign).await.is_empty());
    scene.check().await;
    let new = scene.new_call(scene.now());
    store.retry(by, seed.call, new).await.expect("a person may");
    assert_eq!(scene.dial_due().await, [new.id]);
    scene.check().await;
}

pub async fn n4_whoever_came_in_while_listed_stays_out_after_removal(store: &dyn Store) {
    let scene = Scene::new(store);
    let phone = scene.number();
    scene.block(phone, DncScope::Global).await;
    let (campaign, seeds) = scene.running_with(Value::Null, &[phone]).await;
    let operator = person();
    let by = By::new(&operator, scene.now());
    store.remove_dnc(by, phone, DncScope::Global, "").await.expect("removed");
    scene.check().await;
    // A call that comes in looks at its client again.
    let ring = InboundRing {
        carrier_call_id: "IN-1".to_owned(),
        from: Some(phone),
        new_id: CallId::new(scene.now(), scene.entropy()),
    };
    let event = CallEvent { at: scene.now(), kind: EventKind::Answered };
    scene.record(vec![Report { call: CallRef::Inbound(ring), event }]).await;
    assert_eq!(scene.status(seeds[0].client).await, ClientStatus::OnDnc);
    assert_eq!(scene.campaign(campaign).await.campaign.state, RunState::Finished);
    scene.check().await;
}

pub async fn n3_entries_come_newest_first_and_are_found(store: &dyn Store) {
    let scene = Scene::new(store);
    let campaign = scene.draft(Value::Null).await;
    for n in 0..10 {
        let scope = if n % 3 == 0 { DncScope::Campaign(campaign) } else { DncScope::Global };
        scene.block(number(n), scope).await;
        scene.advance(TimeDelta::seconds(i64::try_from(n % 2).expect("small")));
    }
    scene.block(number(0), DncScope::Global).await;
    let mut seen: Vec<DncEntry> = Vec::new();
    let mut after = None;
    loop {
        let query = DncQuery { after, limit: 3, ..DncQuery::default() };
        let page = store.dnc(&query).await.expect("read");
        seen.extend(page.items);
        // Rows that arrive are newer than what was read.
        scene.advance(TimeDelta::seconds(1));
        scene.block(number(100 + seen.len() as u64), DncScope::Global).await;
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(seen.len(), 11, "each once");
    assert!(seen.is_sorted_by(|a, b| a.created_at >= b.created_at));
    let of = async |query: DncQuery| -> Vec<PhoneNumber> {
        let mut found: Vec<_> =
            entries(store, query).await.into_iter().map(|entry| entry.phone).collect();
        found.sort();
        found
    };
    let in_campaign = [0, 3, 6, 9].map(number);
    let query = DncQuery { of_campaigns: Some(true), ..DncQuery::default() };
    assert_eq!(of(query).await, in_campaign);
    let query = DncQuery { campaigns: vec![campaign], ..DncQuery::default() };
    assert_eq!(of(query).await, in_campaign);
    let query =
        DncQuery { of_campaigns: Some(false), q: Some("0105".into()), ..DncQuery::default() };
    assert_eq!(of(query).await, [number(5)], "by part of the number");
    let query = DncQuery { q: Some("05".into()), ..DncQuery::default() };
    assert!(of(query).await.is_empty(), "under three digits by its beginning");
    let query = DncQuery { q: Some("Ada".into()), ..DncQuery::default() };
    assert!(of(query).await.is_empty(), "a name is no number");
}

async fn a_list(scene: &Scene<'_>, by: By<'_>, scope: DncScope) -> ImportId {
    let id = ImportId::new(scene.now(), scene.entropy());
    let new = BeginDncImport { id, scope, file_name: "list.csv".to_owned() };
    let begun = scene.store.begin_dnc_import(by, new).await.expect("begun");
    assert_eq!((begun.id, begun.scope, begun.status), (id, scope, ImportStatus::Running));
    id
}

fn batch(phones: &[PhoneNumber]) -> Vec<(PhoneNumber, String)> {
    phones.iter().map(|phone| (*phone, "on a register".to_owned())).collect()
}

pub async fn n5_a_batch_does_what_each_entry_would(store: &dyn Store) {
    let scene = Scene::new(store);
    let operator = person();
    let by = By::new(&operator, scene.now());
    let (known, a, b) = (scene.number(), scene.number(), scene.number());
    let first = scene.block(known, DncScope::Global).await.entry;
    let list = a_list(&scene, by, DncScope::Global).await;
    let numbers = batch(&[a, known, b, a]);
    let added = store.add_dnc_batch(by, list, &numbers).await.expect("added").added;
    assert_eq!(added, [true, false, true, false], "in order, and each number once");
    let all = entries(store, DncQuery::default()).await;
    assert_eq!(all.len(), 3);
    assert!(all.contains(&first), "the first entry stays");
    let entry = all.iter().find(|entry| entry.phone == a).expect("it is there");
    assert_eq!((entry.source, &entry.added_by), (DncSource::Import, &operator));
    assert_eq!((entry.reason.as_str(), entry.created_at), ("on a register", scene.now()));
    let asked = [b, scene.number(), known];
    assert_eq!(store.listed(DncScope::Global, &asked).await.expect("read"), [true, false, true]);
    let draft = scene.draft(Value::Null).await;
    let elsewhere = store.listed(DncScope::Campaign(draft), &asked).await.expect("read");
    assert_eq!(elsewhere, [false; 3], "each scope has its own");
    let seeds = scene.import(draft, &[a]).await;
    assert!(scene.client(seeds[0].client).await.on_dnc);
    let nobody = ImportId::new(scene.now(), scene.entropy());
    let refused = store.add_dnc_batch(by, nobody, &numbers).await;
    assert!(matches!(refused, Err(ActError::Refused(Refused::NotFound))), "{refused:?}");
    scene.check().await;
}

pub async fn n5_a_batch_cancels_and_names_calls_in_its_scope_only(store: &dyn Store) {
    let scene = Scene::new(store);
    let phones = [scene.number(), scene.number(), scene.number()];
    let (one, seeds) = scene.running_with(Value::Null, &phones[..1]).await;
    let live = scene.dial_due().await;
    assert_eq!(live, [seeds[0].call]);
    let waiting = scene.import(one, &phones[1..]).await;
    let (_, others) = scene.running_with(Value::Null, &phones[1..]).await;
    // Whoever claimed one of them is too late.
    let claimed = scene.claim(50).await;
    let permits: Vec<_> = claimed.into_iter().map(|facts| scene.permit(facts)).collect();
    let list = a_list(&scene, scene.by(), DncScope::Campaign(one)).await;
    let added = store.add_dnc_batch(scene.by(), list, &batch(&phones)).await.expect("added");
    let mut wanted: Vec<CallId> = waiting.iter().map(|seed| seed.call).collect();
    wanted.sort();
    assert_eq!((added.canceled, added.in_flight), (wanted, vec![seeds[0].call]));
    for (permit, answer) in permits.iter().zip(scene.begin(&permits).await) {
        assert_eq!(answer.is_ok(), permit.campaign() != one, "{answer:?}");
    }
    assert_eq!(scene.status(waiting[0].client).await, ClientStatus::OnDnc);
    assert_eq!(scene.status(others[0].client).await, ClientStatus::InProgress);
    scene.end(seeds[0].call, Ending::Busy).await;
    assert_eq!(scene.status(seeds[0].client).await, ClientStatus::OnDnc);
    scene.check().await;
}

pub async fn n6_a_list_takes_batches_while_it_runs_and_leaves_one_audit_row(store: &dyn Store) {
    let scene = Scene::new(store);
    let operator = person();
    let by = By::new(&operator, scene.now());
    let list = a_list(&scene, by, DncScope::Global).await;
    let numbers = batch(&[scene.number(), scene.number()]);
    store.add_dnc_batch(by, list, &numbers).await.expect("added");
    let mut report = DncReport { rows_read: 2, accepted: 2, ..DncReport::default() };
    let running = store.report_dnc_import(by, list, ImportStatus::Running, &report).await;
    assert_eq!(running.expect("reported").report, report);
    let audited = async || {
        let rows = store.audit(&AuditQuery::newest(50)).await.expect("read").items;
        rows.into_iter().filter(|row| row.action == "dnc.import").collect::<Vec<_>>()
    };
    assert!(audited().await.is_empty(), "not yet");
    report.rows_read = 3;
    report.duplicates = 1;
    for _ in 0..2 {
        let done = store.report_dnc_import(by, list, ImportStatus::Done, &report).await;
        assert_eq!(done.expect("reported").status, ImportStatus::Done);
    }
    let rows = audited().await;
    assert_eq!(rows.len(), 1, "one row for the list, none for each number");
    assert_eq!((&rows[0].actor, &rows[0].object), (&operator, &list.to_string()));
    assert_eq!(rows[0].new.as_ref().expect("counts")["accepted"], 2);
    let kept = store.dnc_import(list).await.expect("read").expect("it is there");
    assert_eq!((kept.report, kept.status, kept.added_by), (report, ImportStatus::Done, operator));
    let late = store.add_dnc_batch(scene.by(), list, &numbers).await;
    assert!(matches!(late, Err(ActError::Refused(Refused::NotFound))), "{late:?}");
    let nowhere = DncScope::Campaign(CampaignId::new(scene.now(), scene.entropy()));
    let id = ImportId::new(scene.now(), scene.entropy());
    let new = BeginDncImport { id, scope: nowhere, file_name: String::new() };
    let refused = store.begin_dnc_import(scene.by(), new).await;
    assert!(matches!(refused, Err(ActError::Refused(Refused::NotFound))), "{refused:?}");
}

pub async fn n6_a_list_whose_reader_died_has_failed(store: &dyn Store) {
    let scene = Scene::new(store);
    let operator = person();
    let by = By::new(&operator, scene.now());
    let list = a_list(&scene, by, DncScope::Global).await;
    let phone = scene.number();
    store.add_dnc_batch(by, list, &batch(&[phone])).await.expect("added");
    let report = DncReport { rows_read: 1, accepted: 1, ..DncReport::default() };
    store.report_dnc_import(by, list, ImportStatus::Running, &report).await.expect("reported");
    assert_eq!(store.fail_running_dnc_imports(scene.by()).await.expect("marked"), 1);
    assert_eq!(store.fail_running_dnc_imports(scene.by()).await.expect("marked"), 0);
    let failed = store.dnc_import(list).await.expect("read").expect("it is there");
    assert_eq!((failed.status, failed.report), (ImportStatus::Failed, report));
    assert_eq!(store.listed(DncScope::Global, &[phone]).await.expect("read"), [true]);
    let rows = store.audit(&AuditQuery::newest(50)).await.expect("read").items;
    let row = rows.iter().find(|row| row.action == "dnc.import").expect("what came in is audited");
    assert_eq!((&row.actor, &row.object), (&operator, &list.to_string()));
}
