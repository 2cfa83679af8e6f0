//! Imports and clients.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use serde_json::Value;

use crate::call::CallStatus;
use crate::client::{ClientStatus, Consent};
use crate::dnc::DncScope;
use crate::id::{CampaignId, ClientId, ImportId};
use crate::import::ImportReport;
use crate::port::{Added, ClientQuery, ImportStatus, NewClient, Refused, Store};
use crate::testing::fixtures::{Scene, refused};
use crate::testing::recount;

const HOUR: TimeDelta = TimeDelta::hours(1);

fn query(campaign: CampaignId) -> ClientQuery {
    ClientQuery { campaign, q: None, statuses: vec![], tags: vec![], after: None, limit: 100 }
}

pub async fn c3_each_row_is_answered_in_order_and_duplicates_name_their_line(store: &dyn Store) {
    let scene = Scene::new(store);
    let campaign = scene.draft(Value::Null).await;
    let phones = [scene.number(), scene.number(), scene.number()];
    let import = scene.begin_import(campaign).await;
    let rows = [
        scene.new_client(phones[0], 2),
        scene.new_client(phones[1], 5),
        scene.new_client(phones[0], 9),
    ];
    let taken = Added::Accepted { on_dnc: false };
    let added = store.add_clients(scene.by(), import, &rows).await.expect("added");
    assert_eq!(added, [taken, taken, Added::Duplicate { of_line: Some(2) }]);
    let rows = [scene.new_client(phones[1], 11), scene.new_client(phones[2], 12)];
    let added = store.add_clients(scene.by(), import, &rows).await.expect("added");
    assert_eq!(added, [Added::Duplicate { of_line: Some(5) }, taken], "earlier batches count");
    let second = scene.begin_import(campaign).await;
    let rows = [scene.new_client(phones[2], 3), scene.new_client(phones[0], 4)];
    let added = store.add_clients(scene.by(), second, &rows).await.expect("added");
    let lines = [12, 2].map(|line| Added::Duplicate { of_line: Some(line) });
    assert_eq!(added, lines, "earlier files count");
    let other = scene.draft(Value::Null).await;
    assert_eq!(scene.import(other, &phones).await.len(), 3, "another campaign may have them");
    assert_eq!(scene.campaign(campaign).await.progress.client_count(), 3);
    scene.check().await;
}

pub async fn c3_a_taken_client_is_kept_whole_and_has_one_scheduled_call(store: &dyn Store) {
    let scene = Scene::new(store);
    let campaign = scene.draft(Value::Null).await;
    let import = scene.begin_import(campaign).await;
    let new = NewClient {
        name: "Zoë \"Z\" O'Neill, Jr.\n#2".to_owned(),
        external_id: Some("A-1".to_owned()),
        email: Some("zoe@example.com".to_owned()),
        zones: vec![crate::client::ClientZone {
            zone: "America/Los_Angeles".parse().expect("a zone"),
            source: crate::client::ZoneSource::Number,
        }],
        fields: vec!["=1+1".to_owned(), String::new()],
        tags: BTreeSet::from(["vip".to_owned(), "Überfällig".to_owned()]),
        note: Some("Speaks Portuguese".to_owned()),
        consent: Some(Consent {
            basis: "form".to_owned(),
            at: Some(scene.now() - HOUR),
            source: "clients.csv".to_owned(),
            evidence: None,
        }),
        person_key: Some("P1".to_owned()),
        debt_key: Some("D1".to_owned()),
        due_at: scene.now() + HOUR,
        ..scene.new_client(scene.number(), 2)
    };
    store.add_clients(scene.by(), import, std::slice::from_ref(&new)).await.expect("added");
    let client = scene.client(new.id).await.client;
    assert_eq!((client.campaign, client.import, client.line), (campaign, import, 2));
    assert_eq!((client.phone, client.name), (Some(new.phone), new.name));
    assert_eq!((client.external_id, client.email), (new.external_id, new.email));
    assert_eq!((client.zones, client.fields, client.tags), (new.zones, new.fields, new.tags));
    assert_eq!(client.notes.len(), 1);
    assert_eq!(
        (client.notes[0].text.as_str(), client.notes[0].at),
        ("Speaks Portuguese", scene.now())
    );
    assert_eq!((client.consent, client.active), (new.consent, true));
    assert_eq!((client.person_key, client.debt_key), (new.person_key, new.debt_key));
    let next = client.standing.next_call.expect("a call to come");
    assert_eq!((next.call, next.due_at), (new.call, new.due_at));
    assert_eq!(client.standing.status, ClientStatus::Pending);
    let call = scene.call(new.call).await.call;
    assert_eq!((call.attempt, call.due_at, call.status()), (1, new.due_at, CallStatus::Scheduled));
    assert_eq!(
        (call.campaign, call.client, call.phone),
        (Some(campaign), Some(new.id), Some(new.phone))
    );
    scene.check().await;
}

pub async fn c3_a_client_on_a_dnc_list_is_taken_and_has_no_call(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, other) = (scene.draft(Value::Null).await, scene.draft(Value::Null).await);
    let phones = [scene.number(), scene.number(), scene.number(), scene.number()];
    scene.block(phones[0], DncScope::Global).await;
    scene.block(phones[1], DncScope::Campaign(campaign)).await;
    scene.block(phones[2], DncScope::Campaign(other)).await;
    let import = scene.begin_import(campaign).await;
    let rows: Vec<NewClient> =
        phones.iter().zip(2..).map(|(phone, line)| scene.new_client(*phone, line)).collect();
    let added = store.add_clients(scene.by(), import, &rows).await.expect("added");
    let wanted = [true, true, false, false].map(|on_dnc| Added::Accepted { on_dnc });
    assert_eq!(added, wanted);
    for row in &rows[..2] {
        let view = scene.client(row.id).await;
        assert!(view.on_dnc);
        assert_eq!(view.client.standing.status, ClientStatus::OnDnc);
        assert_eq!(view.client.standing.next_call, None);
        assert!(store.call(row.call).await.expect("read").is_none(), "no call was made");
    }
    assert!(!scene.client(rows[2].id).await.on_dnc, "another campaign's entry says nothing here");
    scene.check().await;
}

pub async fn c3_an_import_takes_rows_while_it_runs_and_keeps_its_report(store: &dyn Store) {
    let scene = Scene::new(store);
    let campaign = scene.draft(Value::Null).await;
    let import = scene.begin_import(campaign).await;
    let begun = store.import(import).await.expect("read").expect("it is there");
    assert_eq!((begun.campaign, begun.status), (campaign, ImportStatus::Running));
    assert_eq!((begun.file_name.as_str(), begun.columns.len()), ("clients.csv", 2));
    assert_eq!(begun.report, ImportReport::default());
    let report = ImportReport {
        rows_read: 3,
        accepted: 2,
        duplicates: 1,
        duplicate_of: vec![crate::import::Duplicate { line: 4, of_line: Some(2) }],
        ..ImportReport::default()
    };
    let so_far = store.report_import(scene.by(), import, ImportStatus::Running, &report).await;
    assert_eq!(so_far.expect("reported").report, report);
    let rows = [scene.new_client(scene.number(), 2)];
    store.add_clients(scene.by(), import, &rows).await.expect("it still runs");
    let done = store.report_import(scene.by(), import, ImportStatus::Done, &report).await;
    assert_eq!(done.expect("reported").status, ImportStatus::Done);
    let rows = [scene.new_client(scene.number(), 3)];
    refused(store.add_clients(scene.by(), import, &rows).await);
    let nobody = ImportId::new(scene.now(), scene.entropy());
    let result = store.report_import(scene.by(), nobody, ImportStatus::Done, &report).await;
    assert_eq!(refused(result), Refused::NotFound);
    assert_eq!(store.import(nobody).await.expect("read"), None);
    scene.advance(HOUR);
    let second = scene.begin_import(campaign).await;
    assert_eq!(store.fail_running_imports(scene.by()).await.expect("failed"), 1);
    let imports = store.imports(campaign).await.expect("read");
    let states: Vec<_> = imports.iter().map(|import| (import.id, import.status)).collect();
    assert_eq!(states, [(import, ImportStatus::Done), (second, ImportStatus::Failed)]);
    assert_eq!(imports[0].report, report, "the oldest first, each with its report");
    scene.check().await;
}

pub async fn c3_clients_are_found_by_part_of_name_or_number(store: &dyn Store) {
    let scene = Scene::new(store);
    let campaign = scene.draft(Value::Null).await;
    let import = scene.begin_import(campaign).await;
    let mut rows: Vec<NewClient> = (0..4)
        .map(|n| scene.new_client(crate::testing::fixtures::number(n * 100), n + 2))
        .collect();
    for (row, name) in rows.iter_mut().zip(["Ada Lovelace", "Grace Hopper", "Zoë Adams", "50%_\\"])
    {
        name.clone_into(&mut row.name);
    }
    rows[1].tags.insert("vip".to_owned());
    store.add_clients(scene.by(), import, &rows).await.expect("added");
    let found = async |q: &str| -> Vec<ClientId> {
        let query = ClientQuery { q: Some(q.to_owned()), ..query(campaign) };
        let page = store.clients(&query).await.expect("read");
        page.items.into_iter().map(|view| view.client.id).collect()
    };
    let ids: Vec<ClientId> = rows.iter().map(|row| row.id).collect();
    assert_eq!(found("ada").await, [ids[0], ids[2]], "any part of a name, whatever its case");
    assert_eq!(found("ad").await, [ids[0]], "under three characters only its beginning");
    assert_eq!(found("Zoë").await, [ids[2]]);
    assert_eq!(found("lace").await, [ids[0]]);
    assert_eq!(found("5550100").await, ids, "part of a number");
    assert_eq!(found("+1213").await, [ids[1]]);
    assert_eq!(found("213").await, [ids[1]]);
    assert_eq!(found("12").await, ids[..2], "under three digits only its beginning");
    assert_eq!(found("0%_").await, [ids[3]], "nothing in a search is a wildcard");
    assert!(found("%").await.is_empty() && found("___").await.is_empty());
    assert!(found("\"").await.is_empty() && found("a*").await.is_empty());
    assert!(found("ada OR grace").await.is_empty(), "nor an operator");
    let tagged = ClientQuery { tags: vec!["vip".to_owned(), "x".to_owned()], ..query(campaign) };
    assert_eq!(store.clients(&tagged).await.expect("read").items[0].client.id, ids[1]);
    let pending = ClientQuery { statuses: vec![ClientStatus::Pending], ..query(campaign) };
    assert_eq!(store.clients(&pending).await.expect("read").items.len(), 4);
    let reached = ClientQuery { statuses: vec![ClientStatus::Reached], ..query(campaign) };
    assert!(store.clients(&reached).await.expect("read").items.is_empty());
}

pub async fn c3_pages_of_clients_neither_repeat_nor_lose_while_rows_arrive(store: &dyn Store) {
    let scene = Scene::new(store);
    let campaign = scene.draft(Value::Null).await;
    let phones: Vec<_> = (0..10).map(|_| scene.number()).collect();
    let mut wanted: Vec<ClientId> =
        scene.import(campaign, &phones).await.iter().map(|seed| seed.client).collect();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = ClientQuery { after, limit: 3, ..query(campaign) };
        let page = store.clients(&page).await.expect("read");
        seen.extend(page.items.iter().map(|view| view.client.id));
        if wanted.len() < 16 {
            wanted.extend(scene.import(campaign, &[scene.number()]).await.iter().map(|s| s.client));
        }
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(seen[..10], wanted[..10], "in the order they came in");
    assert_eq!(seen, wanted[..seen.len()], "those that came meanwhile follow");
}

pub async fn c3_the_export_has_every_client_in_the_order_they_came_in(store: &dyn Store) {
    let scene = Scene::new(store);
    let campaign = scene.draft(Value::Null).await;
    let other = scene.draft(Value::Null).await;
    let mut wanted = Vec::new();
    for _ in 0..3 {
        let phones: Vec<_> = (0..4).map(|_| scene.number()).collect();
        wanted.extend(scene.import(campaign, &phones).await);
        scene.import(other, &[scene.number()]).await;
    }
    scene.block(wanted[5].phone, DncScope::Campaign(campaign)).await;
    let (mut rows, mut after) = (Vec::new(), None);
    loop {
        let part = store.export_clients(campaign, after, 5).await.expect("read");
        let Some(last) = part.last() else { break };
        after = Some(last.place);
        rows.extend(part);
    }
    let ids: Vec<ClientId> = rows.iter().map(|row| row.client.id).collect();
    assert_eq!(ids, wanted.iter().map(|seed| seed.client).collect::<Vec<_>>());
    let on_dnc: Vec<usize> =
        rows.iter().enumerate().filter(|(_, row)| row.on_dnc).map(|(index, _)| index).collect();
    assert_eq!(on_dnc, [5]);
    let listed = recount::clients(store, campaign).await;
    let listed: Vec<_> = listed.into_iter().map(|view| view.client).collect();
    assert_eq!(rows.into_iter().map(|row| row.client).collect::<Vec<_>>(), listed);
}
