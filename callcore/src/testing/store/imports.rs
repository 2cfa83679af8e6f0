//! Rows about people who are in already, what was refused, and taking back.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use futures_util::future::join;
use serde_json::{Value, json};

use crate::call::{AnsweredBy, CallRef, Ending, EventKind, InboundRing, Report, Skip, SkipReason};
use crate::campaign::{RunState, Transition};
use crate::client::{ClientStatus, ClientZone, Consent, ZoneSource};
use crate::dnc::DncScope;
use crate::engine::{BeginRefusal, Permit};
use crate::id::{CallId, CampaignId, ClientId, ImportId};
use crate::import::{
    Dedupe, DuplicatePolicy, ImportReport, OnDuplicate, Reject, RejectCode, Rejection,
};
use crate::phone::PhoneNumber;
use crate::port::{
    Added, AuditQuery, BeginImport, ClientQuery, ImportStatus, NewClient, NewTestCall, Refused,
    SkipThen, Store,
};
use crate::testing::fixtures::{LEASE, Scene, person, refused};
use crate::testing::recount;

const TAKEN: Added = Added::Accepted { on_dnc: false };

fn update() -> DuplicatePolicy {
    DuplicatePolicy { on_duplicate: OnDuplicate::Update, ..DuplicatePolicy::default() }
}

fn by_name() -> DuplicatePolicy {
    DuplicatePolicy { dedupe: Dedupe::PhoneAndName, ..DuplicatePolicy::default() }
}

/// An import that runs, with columns of its own.
async fn begin(
    scene: &Scene<'_>,
    campaign: CampaignId,
    duplicates: DuplicatePolicy,
    columns: &[&str],
) -> ImportId {
    // Ids sort by the time they were made.
    scene.advance(TimeDelta::seconds(1));
    let new = BeginImport {
        id: ImportId::new(scene.now(), scene.entropy()),
        campaign,
        file_name: "more.csv".to_owned(),
        columns: columns.iter().map(|&column| column.to_owned()).collect(),
        duplicates,
    };
    scene.store.begin_import(scene.by(), new).await.expect("an import begins").id
}

async fn add(scene: &Scene<'_>, import: ImportId, rows: &[NewClient]) -> Vec<Added> {
    scene.store.add_clients(scene.by(), import, rows).await.expect("added")
}

async fn done(scene: &Scene<'_>, import: ImportId) {
    let report = ImportReport::default();
    let done = scene.store.report_import(scene.by(), import, ImportStatus::Done, &report);
    done.await.expect("reported");
}

fn named(row: NewClient, name: &str) -> NewClient {
    NewClient { name: name.to_owned(), ..row }
}

pub async fn i1_a_household_may_share_a_number_where_names_tell_people_apart(store: &dyn Store) {
    let scene = Scene::new(store);
    let campaign = scene.draft(Value::Null).await;
    let phone = scene.number();
    let import = begin(&scene, campaign, by_name(), &["Name", "Phone"]).await;
    let rows = [
        named(scene.new_client(phone, 2), "Ada Byron"),
        named(scene.new_client(phone, 3), "Ann Byron"),
        named(scene.new_client(phone, 4), "ada  BYRON"),
    ];
    let added = add(&scene, import, &rows).await;
    assert_eq!(added, [TAKEN, TAKEN, Added::Duplicate { of_line: Some(2) }]);
    let plain = begin(&scene, campaign, DuplicatePolicy::default(), &["Name", "Phone"]).await;
    let rows_again = [named(scene.new_client(phone, 2), "Bob Byron")];
    let added = add(&scene, plain, &rows_again).await;
    assert_eq!(added, [Added::Duplicate { of_line: Some(2) }], "the number alone is in already");
    scene.change(campaign, Transition::Start).await;
    assert_eq!(scene.upcoming(campaign).await.len(), 2, "each of them has a call");
    scene.check().await;
    let permits: Vec<Permit> =
        scene.claim(10).await.into_iter().map(|facts| scene.permit(facts)).collect();
    let first = permits[0].call();
    let begun = [Ok(()), Err(BeginRefusal::DecideAgain)];
    assert_eq!(scene.begin(&permits).await, begun, "one number has one live call");
    scene.answer(first, AnsweredBy::Human).await;
    let reached = scene.call(first).await.call.client.expect("a client");
    scene.advance(LEASE);
    let second = scene.dial_due().await;
    assert_eq!(second.len(), 1, "then comes the other's turn");
    scene.end(second[0], Ending::Busy).await;
    assert_eq!(scene.status(reached).await, ClientStatus::Reached);
    let blocked = scene.block(phone, DncScope::Global).await;
    assert_eq!(blocked.canceled.len(), 1, "an entry is about the number, whoever has it");
    scene.check().await;
}

pub async fn i1_a_dnc_entry_cancels_the_calls_of_a_whole_household(store: &dyn Store) {
    let scene = Scene::new(store);
    let campaign = scene.draft(Value::Null).await;
    let phone = scene.number();
    let import = begin(&scene, campaign, by_name(), &["Name", "Phone"]).await;
    let rows = [scene.new_client(phone, 2), scene.new_client(phone, 3)];
    assert_eq!(add(&scene, import, &rows).await, [TAKEN, TAKEN]);
    assert_eq!(scene.block(phone, DncScope::Campaign(campaign)).await.canceled.len(), 2);
    for row in &rows {
        assert_eq!(scene.status(row.id).await, ClientStatus::OnDnc);
    }
    scene.check().await;
}

pub async fn i2_an_update_follows_the_row_and_its_columns(store: &dyn Store) {
    let scene = Scene::new(store);
    let campaign = scene.draft(Value::Null).await;
    let first = begin(&scene, campaign, DuplicatePolicy::default(), &["Name", "Phone"]).await;
    let zone = |name: &str, source| ClientZone { zone: name.parse().expect("a zone"), source };
    let consent = |basis: &str| {
        let (basis, source) = (basis.to_owned(), "a.csv".to_owned());
        Some(Consent { basis, at: None, source, evidence: None })
    };
    let old = NewClient {
        email: Some("old@example.com".to_owned()),
        tags: BTreeSet::from(["old".to_owned()]),
        note: Some("first".to_owned()),
        consent: consent("form"),
        zones: vec![
            zone("America/Chicago", ZoneSource::File),
            zone("America/New_York", ZoneSource::Number),
        ],
        ..scene.new_client(scene.number(), 2)
    };
    add(&scene, first, std::slice::from_ref(&old)).await;
    let second = begin(&scene, campaign, update(), &["Phone", "City", "Who"]).await;
    let row = NewClient {
        name: "New Name".to_owned(),
        external_id: Some("X-1".to_owned()),
        fields: vec![old.phone.to_string(), "Rome".to_owned(), "New Name".to_owned()],
        tags: BTreeSet::from(["new".to_owned()]),
        note: Some("second".to_owned()),
        says_consent: false,
        zones: vec![zone("America/New_York", ZoneSource::Number)],
        ..scene.new_client(old.phone, 7)
    };
    let again = NewClient { note: Some("second".to_owned()), ..row.clone() };
    assert_eq!(add(&scene, second, &[row.clone(), again]).await, [Added::Updated, Added::Updated]);
    let client = scene.client(old.id).await.client;
    assert_eq!((client.import, client.line, &*client.name), (second, 7, "New Name"));
    assert_eq!((client.fields, client.external_id), (row.fields, row.external_id));
    assert_eq!(client.email, old.email, "what a row leaves empty stays");
    assert_eq!(client.zones, old.zones, "a zone that a file told stays until another tells one");
    assert_eq!(client.consent, old.consent, "the second file does not speak of consent");
    assert_eq!(client.tags, BTreeSet::from(["old".to_owned(), "new".to_owned()]));
    let notes: Vec<&str> = client.notes.iter().map(|note| &*note.text).collect();
    assert_eq!(notes, ["first", "second"], "a note is added once");
    assert_eq!(client.standing.next_call.expect("its call stays").call, old.call);
    let third = begin(&scene, campaign, update(), &["Phone", "Consent"]).await;
    let row = NewClient {
        zones: vec![zone("America/Denver", ZoneSource::File)],
        name: String::new(),
        ..scene.new_client(old.phone, 2)
    };
    assert_eq!(add(&scene, third, &[row]).await, [Added::Updated]);
    let client = scene.client(old.id).await.client;
    assert_eq!(client.consent, None, "the third file says that there is none");
    assert_eq!(client.name, "New Name");
    assert_eq!(client.zones, [zone("America/Denver", ZoneSource::File)]);
    let query = ClientQuery { q: Some("New Na".to_owned()), ..all(campaign) };
    assert_eq!(store.clients(&query).await.expect("read").items.len(), 1, "searches find it");
    scene.check().await;
}

pub async fn i2_an_updated_client_that_is_final_stays_so(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, seed) = scene.running_one(Value::Null).await;
    let live = scene.dial_due().await;
    scene.answer(live[0], AnsweredBy::Human).await;
    assert_eq!(scene.campaign(campaign).await.campaign.state, RunState::Finished);
    let before = scene.client(seed.client).await.client.standing;
    let import = begin(&scene, campaign, update(), &["Phone"]).await;
    let row = named(scene.new_client(seed.phone, 2), "Another");
    assert_eq!(add(&scene, import, &[row]).await, [Added::Updated]);
    let client = scene.client(seed.client).await.client;
    assert_eq!((&*client.name, client.standing), ("Another", before));
    assert_eq!(scene.campaign(campaign).await.campaign.state, RunState::Finished);
    assert_eq!(scene.history(campaign).await.len(), 1, "its calls stay");
    scene.check().await;
}

pub async fn i2_a_row_may_update_one_that_came_in_just_before(store: &dyn Store) {
    let scene = Scene::new(store);
    let campaign = scene.draft(Value::Null).await;
    let phone = scene.number();
    scene.block(phone, DncScope::Global).await;
    let import = begin(&scene, campaign, update(), &["Name", "Phone"]).await;
    let tag = |tag: &str| BTreeSet::from([tag.to_owned()]);
    let first = NewClient { tags: tag("a"), ..scene.new_client(phone, 2) };
    let second = NewClient { tags: tag("b"), ..named(scene.new_client(phone, 3), "Later") };
    let added = add(&scene, import, &[first.clone(), second]).await;
    assert_eq!(added, [Added::Accepted { on_dnc: true }, Added::Updated]);
    let client = scene.client(first.id).await.client;
    assert_eq!((&*client.name, client.line), ("Later", 3));
    assert_eq!(client.tags, BTreeSet::from(["a".to_owned(), "b".to_owned()]));
    scene.check().await;
}

pub async fn i3_an_external_id_is_in_a_campaign_once(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, other) = (scene.draft(Value::Null).await, scene.draft(Value::Null).await);
    let with = |line, id: &str| NewClient {
        external_id: Some(id.to_owned()),
        ..scene.new_client(scene.number(), line)
    };
    let import = begin(&scene, campaign, DuplicatePolicy::default(), &[]).await;
    let rows = [with(2, "A"), with(3, "B"), with(4, "A")];
    let added = add(&scene, import, &rows).await;
    assert_eq!(added, [TAKEN, TAKEN, Added::Duplicate { of_line: Some(2) }]);
    let elsewhere = begin(&scene, other, DuplicatePolicy::default(), &[]).await;
    assert_eq!(add(&scene, elsewhere, &[with(2, "A")]).await, [TAKEN], "in that campaign");
    let second = begin(&scene, campaign, update(), &[]).await;
    let taken = Added::Refused(RejectCode::ExternalIdTaken);
    assert_eq!(add(&scene, second, &[with(2, "A")]).await, [taken], "no update changes a number");
    let own = NewClient { external_id: Some("C".to_owned()), ..scene.new_client(rows[0].phone, 3) };
    assert_eq!(add(&scene, second, &[own, with(4, "A")]).await, [Added::Updated, TAKEN]);
    let guessed = DuplicatePolicy { guessed_external_ids: true, ..update() };
    let third = begin(&scene, campaign, guessed, &[]).await;
    let row = with(2, "C");
    assert_eq!(add(&scene, third, std::slice::from_ref(&row)).await, [TAKEN]);
    assert_eq!(scene.client(row.id).await.client.external_id, None, "it comes in without");
    scene.check().await;
}

pub async fn i4_known_clients_are_those_that_rows_may_repeat(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, other) = (scene.draft(Value::Null).await, scene.draft(Value::Null).await);
    let import = begin(&scene, campaign, by_name(), &[]).await;
    let phone = scene.number();
    let mut rows = [2, 3, 4, 5]
        .map(|line| scene.new_client(if line < 4 { phone } else { scene.number() }, line));
    rows[2].external_id = Some("K".to_owned());
    add(&scene, import, &rows).await;
    scene.import(other, &[phone]).await;
    scene.block(phone, DncScope::Campaign(campaign)).await;
    scene.block(rows[3].phone, DncScope::Campaign(other)).await;
    let before = recount::clients(store, campaign).await;
    let phones = BTreeSet::from([phone, rows[3].phone, scene.number()]);
    let ids = BTreeSet::from(["K".to_owned(), "L".to_owned()]);
    let known = store.known_clients(campaign, &phones, &ids).await.expect("read");
    let found: Vec<ClientId> = known.clients.iter().map(|known| known.client).collect();
    assert_eq!(found, rows.each_ref().map(|row| row.id), "the oldest first");
    assert_eq!(known.clients[2].external_id.as_deref(), Some("K"));
    assert_eq!((known.clients[0].line, known.clients[0].phone), (2, phone));
    assert_eq!(known.on_dnc, BTreeSet::from([phone]));
    let none = store.known_clients(campaign, &BTreeSet::new(), &BTreeSet::new()).await;
    assert_eq!(none.expect("read"), crate::port::KnownClients::default());
    assert_eq!(recount::clients(store, campaign).await, before, "nothing was changed");
}

fn reject(line: u64, cell: &str) -> Reject {
    Reject {
        rejection: Rejection {
            line,
            column: "Phone".to_owned(),
            value: cell.to_owned(),
            code: RejectCode::InvalidPhone,
            message: "not a valid phone number".to_owned(),
        },
        cells: vec![cell.to_owned(), "=1+1\"\n".to_owned(), "a\0b".to_owned()],
        digits: cell.chars().filter(char::is_ascii_digit).collect(),
    }
}

pub async fn i5_refused_rows_come_back_in_their_order_until_taken_back(store: &dyn Store) {
    let scene = Scene::new(store);
    let campaign = scene.draft(Value::Null).await;
    let import = scene.begin_import(campaign).await;
    let other = scene.begin_import(campaign).await;
    let rows: Vec<Reject> = (2..9).map(|line| reject(line, &format!("555-01{line}"))).collect();
    for part in rows.chunks(3) {
        store.add_rejects(scene.by(), import, part).await.expect("kept");
        store.add_rejects(scene.by(), other, &[reject(1, "")]).await.expect("kept");
    }
    let (mut read, mut after) = (Vec::new(), None);
    loop {
        let part = store.rejects(import, after, 2).await.expect("read");
        let Some((place, _)) = part.last() else { break };
        after = Some(*place);
        read.extend(part.into_iter().map(|(_, reject)| reject));
    }
    assert_eq!(read, rows);
    let report = ImportReport {
        rejected: 7,
        rejections: vec![rows[0].rejection.clone()],
        ..ImportReport::default()
    };
    let status = ImportStatus::Done;
    store.report_import(scene.by(), import, status, &report).await.expect("reported");
    let late = store.add_rejects(scene.by(), import, &rows).await;
    assert_eq!(refused(late), Refused::NotFound, "a running import keeps rows");
    let undone = store.undo_import(scene.by(), import, false).await.expect("taken back");
    assert_eq!(undone.import.report.rejected, 7);
    assert_eq!(undone.import.report.rejections[0].value, "", "what stood there is forgotten");
    assert_eq!(store.rejects(import, None, 10).await.expect("read"), []);
    assert_eq!(store.rejects(other, None, 10).await.expect("read").len(), 3);
}

pub async fn i5_refused_rows_go_with_whoever_has_their_number(store: &dyn Store) {
    let scene = Scene::new(store);
    let campaign = scene.draft(Value::Null).await;
    let seeds = scene.import(campaign, &[scene.number(), scene.number()]).await;
    let import = scene.begin_import(campaign).await;
    let digits = seeds[0].phone.digits().to_string();
    let cells = [&digits[..], &digits[1..], &digits[4..], &digits[5..], "", "911"];
    let rows: Vec<Reject> = (2..).zip(cells).map(|(line, cell)| reject(line, cell)).collect();
    let other = reject(9, &seeds[1].phone.to_string());
    store.add_rejects(scene.by(), import, &rows).await.expect("kept");
    store.add_rejects(scene.by(), import, std::slice::from_ref(&other)).await.expect("kept");
    store.erase(scene.by(), seeds[0].client, "asked").await.expect("erased");
    let left = store.rejects(import, None, 20).await.expect("read");
    let left: Vec<u64> = left.into_iter().map(|(_, reject)| reject.rejection.line).collect();
    assert_eq!(left, [5, 6, 7, 9], "six digits may be anybody's, and the others are not hers");
    scene.check().await;
}

pub async fn i5_refused_rows_go_with_whoever_they_name(store: &dyn Store) {
    let scene = Scene::new(store);
    let campaign = scene.draft(Value::Null).await;
    let import = scene.begin_import(campaign).await;
    let client = NewClient {
        name: "Ada Lovelace".to_owned(),
        email: Some("ada@example.org".to_owned()),
        ..scene.new_client(scene.number(), 2)
    };
    store.add_clients(scene.by(), import, std::slice::from_ref(&client)).await.expect("added");
    let national = client.phone.national_digits();
    let spaced = format!("home: ({}) {}", &national[..3], &national[3..]);
    let cells = [
        "ADA Lovelace",
        " ada@example.org",
        &spaced,
        // Of these nobody can say that they are about her.
        "Lovelace",
        "Ada Lovelace Street",
        "bob@example.org",
    ];
    let row = |(line, cell): (u64, &str)| {
        let mut row = reject(line, "12");
        row.cells.push(cell.to_owned());
        row
    };
    let rows: Vec<Reject> = (2..).zip(cells).map(row).collect();
    store.add_rejects(scene.by(), import, &rows).await.expect("kept");
    store.erase(scene.by(), client.id, "asked").await.expect("erased");
    let left = store.rejects(import, None, 20).await.expect("read");
    let left: Vec<u64> = left.into_iter().map(|(_, reject)| reject.rejection.line).collect();
    assert_eq!(left, [5, 6, 7]);
}

pub async fn i5_imports_come_newest_first(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, other) = (scene.draft(Value::Null).await, scene.draft(Value::Null).await);
    let mut wanted = Vec::new();
    for _ in 0..5 {
        wanted.insert(0, begin(&scene, campaign, update(), &["Phone"]).await);
        begin(&scene, other, update(), &["Phone"]).await;
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = store.import_page(campaign, after.clone(), 2).await.expect("read");
        assert!(page.items.iter().all(|import| import.duplicates == update()));
        seen.extend(page.items.into_iter().map(|import| import.id));
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, wanted);
}

fn all(campaign: CampaignId) -> ClientQuery {
    ClientQuery { campaign, q: None, statuses: vec![], tags: vec![], after: None, limit: 200 }
}

pub async fn i6_taking_back_removes_whoever_was_not_called(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, seeds) = scene.running(Value::Null, 1).await;
    let before = scene.campaign(campaign).await.progress;
    let import = begin(&scene, campaign, by_name(), &["Name", "Phone"]).await;
    let later = scene.now() + TimeDelta::days(1);
    let row = |line| NewClient {
        due_at: later,
        note: Some("a note".to_owned()),
        external_id: Some(format!("E-{line}")),
        ..scene.new_client(scene.number(), line)
    };
    let rows = [row(2), row(3), row(4), named(row(5), "Zebra")];
    add(&scene, import, &rows).await;
    let skip = Skip { reason: SkipReason::BadTiming, note: None };
    store.skip(scene.by(), rows[1].call, skip, SkipThen::End).await.expect("skipped");
    scene.block(rows[2].phone, DncScope::Global).await;
    let running = store.undo_import(scene.by(), import, true).await;
    assert_eq!(refused(running), Refused::ImportRunning);
    done(&scene, import).await;
    let nobody = ImportId::new(scene.now(), scene.entropy());
    assert_eq!(refused(store.undo_import(scene.by(), nobody, true).await), Refused::NotFound);
    let operator = person();
    let by = crate::port::By::new(&operator, scene.now());
    let undone = store.undo_import(by, import, false).await.expect("taken back");
    assert_eq!((undone.removed, undone.kept), (4, 0));
    assert_eq!(undone.import.status, ImportStatus::Undone);
    assert_eq!(store.import(import).await.expect("read"), Some(undone.import));
    let audit =
        store.audit(&AuditQuery { limit: 10, ..AuditQuery::default() }).await.expect("read").items;
    assert_eq!(audit[0].action, "import.undo");
    assert_eq!(scene.campaign(campaign).await.progress, before, "as if they had never been there");
    for row in &rows {
        assert_eq!(store.client(row.id).await.expect("read"), None);
        assert_eq!(store.call(row.call).await.expect("read"), None);
    }
    assert!(scene.history(campaign).await.is_empty());
    let query = ClientQuery { q: Some("zebra".to_owned()), ..all(campaign) };
    assert!(store.clients(&query).await.expect("read").items.is_empty());
    assert!(store.client(seeds[0].client).await.expect("read").is_some(), "others stay");
    let again = store.undo_import(by, import, false).await.expect("it is taken back");
    assert_eq!((again.removed, again.kept), (0, 0));
    let second = begin(&scene, campaign, DuplicatePolicy::default(), &["Name"]).await;
    let rows: Vec<NewClient> = rows
        .iter()
        .map(|row| NewClient {
            external_id: row.external_id.clone(),
            ..scene.new_client(row.phone, row.line)
        })
        .collect();
    let added = add(&scene, second, &rows).await;
    assert!(added.iter().all(|added| matches!(added, Added::Accepted { .. })), "{added:?}");
    scene.check().await;
}

pub async fn i6_who_was_called_or_called_in_stays(store: &dyn Store) {
    let scene = Scene::new(store);
    let campaign =
        scene.draft(json!({"pacing": {"max_concurrent": 1, "calls_per_second": 1}})).await;
    let import = begin(&scene, campaign, update(), &["Name", "Phone"]).await;
    let rows = [2, 3, 4, 5].map(|line| scene.new_client(scene.number(), line));
    add(&scene, import, &rows).await;
    done(&scene, import).await;
    scene.change(campaign, Transition::Start).await;
    let live = scene.dial_due().await;
    assert_eq!(live.len(), 1);
    let called = scene.call(live[0]).await.call.client.expect("a client");
    let ring = InboundRing {
        carrier_call_id: "IN-1".to_owned(),
        from: rows.iter().find(|row| row.id != called).map(|row| row.phone),
        new_id: CallId::new(scene.now(), scene.entropy()),
    };
    let event = crate::call::CallEvent { at: scene.now(), kind: EventKind::Ringing };
    scene.record(vec![Report { call: CallRef::Inbound(ring), event }]).await;
    let both = Refused::Called { called: 2, uncalled: 2 };
    assert_eq!(refused(store.undo_import(scene.by(), import, false).await), both);
    assert_eq!(recount::clients(store, campaign).await.len(), 4, "refused, so nothing is done");
    let undone = store.undo_import(scene.by(), import, true).await.expect("taken back");
    assert_eq!((undone.removed, undone.kept), (2, 2));
    let left = recount::clients(store, campaign).await;
    assert_eq!(left.len(), 2);
    assert!(left.iter().any(|view| view.client.id == called));
    scene.check().await;
    scene.end(live[0], Ending::Busy).await;
    scene.check().await;
}

pub async fn i6_what_an_import_updated_is_not_taken_back(store: &dyn Store) {
    let scene = Scene::new(store);
    let campaign = scene.draft(Value::Null).await;
    let first = begin(&scene, campaign, DuplicatePolicy::default(), &["Name"]).await;
    let row = scene.new_client(scene.number(), 2);
    add(&scene, first, std::slice::from_ref(&row)).await;
    let second = begin(&scene, campaign, update(), &["Name"]).await;
    let rows = [named(scene.new_client(row.phone, 2), "New"), scene.new_client(scene.number(), 3)];
    add(&scene, second, &rows).await;
    done(&scene, first).await;
    done(&scene, second).await;
    let undone = store.undo_import(scene.by(), second, false).await.expect("taken back");
    assert_eq!((undone.removed, undone.kept), (1, 0));
    let client = scene.client(row.id).await.client;
    assert_eq!((&*client.name, client.import), ("New", second));
    let undone = store.undo_import(scene.by(), first, false).await.expect("taken back");
    assert_eq!(undone.removed, 1, "whoever updated it since, it came with the first");
    assert_eq!(store.client(row.id).await.expect("read"), None);
    scene.check().await;
}

pub async fn i6_many_clients_go_and_lists_neither_repeat_nor_lose(store: &dyn Store) {
    const MANY: u64 = 2_300;
    let scene = Scene::new(store);
    let campaign = scene.draft(Value::Null).await;
    let kept = scene.import(campaign, &[scene.number()]).await;
    let import = begin(&scene, campaign, by_name(), &["Name", "Phone"]).await;
    let rows: Vec<NewClient> = (0..MANY)
        .map(|line| scene.new_client(crate::testing::fixtures::number(1 + line % 2_000), line + 2))
        .collect();
    for rows in rows.chunks(500) {
        add(&scene, import, rows).await;
    }
    done(&scene, import).await;
    let page = ClientQuery { limit: 2, ..all(campaign) };
    let first = store.clients(&page).await.expect("read");
    let undone = store.undo_import(scene.by(), import, false).await.expect("taken back");
    assert_eq!(undone.removed, MANY);
    assert_eq!(store.finish_undos(scene.by()).await.expect("nothing is left"), 0);
    let late = scene.import(campaign, &[scene.number()]).await;
    let rest = store.clients(&ClientQuery { after: first.next, ..page }).await.expect("read");
    let rest: Vec<ClientId> = rest.items.into_iter().map(|view| view.client.id).collect();
    assert_eq!(rest, [late[0].client], "whoever comes now comes after all who were there");
    let left = recount::clients(store, campaign).await;
    assert_eq!(left[0].client.id, kept[0].client);
    assert_eq!(left.len(), 2);
    scene.check().await;
}

pub async fn i7_an_empty_campaign_waits_and_finishes_nothing(store: &dyn Store) {
    let scene = Scene::new(store);
    for transitions in [&[][..], &[Transition::Start], &[Transition::Start, Transition::Pause]] {
        let campaign = scene.draft(Value::Null).await;
        let import = begin(&scene, campaign, update(), &["Name"]).await;
        let row = scene.new_client(scene.number(), 2);
        add(&scene, import, std::slice::from_ref(&row)).await;
        done(&scene, import).await;
        for transition in transitions {
            scene.change(campaign, *transition).await;
        }
        let state = scene.campaign(campaign).await.campaign.state;
        store.undo_import(scene.by(), import, false).await.expect("taken back");
        let view = scene.campaign(campaign).await;
        assert_eq!((view.campaign.state, view.progress.client_count()), (state, 0));
        assert!(store.notices(100).await.expect("read").is_empty(), "nobody is told of an end");
        scene.check().await;
    }
}

pub async fn i7_a_campaign_that_only_waited_for_the_removed_is_finished(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, _) = scene.running_one(Value::Null).await;
    let import = begin(&scene, campaign, update(), &["Name"]).await;
    let row = NewClient {
        due_at: scene.now() + TimeDelta::days(2),
        ..scene.new_client(scene.number(), 2)
    };
    add(&scene, import, &[row]).await;
    done(&scene, import).await;
    let live = scene.dial_due().await;
    scene.answer(live[0], AnsweredBy::Human).await;
    assert_eq!(scene.campaign(campaign).await.campaign.state, RunState::Running);
    store.undo_import(scene.by(), import, false).await.expect("taken back");
    assert_eq!(scene.campaign(campaign).await.campaign.state, RunState::Finished);
    scene.check().await;
}

pub async fn i8_a_draft_is_deleted_with_everything_that_is_its_own(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, other) = (scene.draft(Value::Null).await, scene.draft(Value::Null).await);
    let seeds = scene.import(campaign, &[scene.number(), scene.number(), scene.number()]).await;
    let import = scene.begin_import(campaign).await;
    store.add_rejects(scene.by(), import, &[reject(2, "x")]).await.expect("kept");
    let kept = scene.import(other, &[seeds[0].phone]).await;
    scene.block(seeds[1].phone, DncScope::Campaign(campaign)).await;
    scene.block(seeds[2].phone, DncScope::Global).await;
    let ring = InboundRing {
        carrier_call_id: "IN-1".to_owned(),
        from: Some(seeds[1].phone),
        new_id: CallId::new(scene.now(), scene.entropy()),
    };
    let event = crate::call::CallEvent { at: scene.now(), kind: EventKind::Ringing };
    let inbound = ring.new_id;
    scene.record(vec![Report { call: CallRef::Inbound(ring), event }]).await;
    let operator = person();
    let by = crate::port::By::new(&operator, scene.now());
    store.delete_campaign(by, campaign).await.expect("deleted");
    assert_eq!(
        store.audit(&AuditQuery { limit: 10, ..AuditQuery::default() }).await.expect("read").items
            [0]
        .action,
        "campaign.delete"
    );
    assert_eq!(store.campaign(campaign).await.expect("read"), None);
    assert_eq!(store.import(import).await.expect("read"), None);
    assert!(store.rejects(import, None, 10).await.expect("read").is_empty());
    for seed in &seeds {
        assert_eq!(store.client(seed.client).await.expect("read"), None);
        assert_eq!(store.call(seed.call).await.expect("read"), None);
    }
    let call = scene.call(inbound).await.call;
    assert_eq!((call.client, call.campaign, call.phone), (None, None, Some(seeds[1].phone)));
    let listed = store.dnc(&crate::port::DncQuery { limit: 10, ..Default::default() }).await;
    let listed: Vec<_> = listed.expect("read").items.iter().map(|entry| entry.phone).collect();
    assert_eq!(listed, [seeds[2].phone], "what holds everywhere stays");
    assert!(store.client(kept[0].client).await.expect("read").is_some());
    let again = store.delete_campaign(scene.by(), campaign).await;
    assert_eq!(refused(again), Refused::NotFound);
    scene.check().await;
}

pub async fn i8_a_draft_goes_as_a_whole_or_not_at_all(store: &dyn Store) {
    let scene = Scene::new(store);
    let campaign = scene.draft(Value::Null).await;
    let number = |n: u64| PhoneNumber::from_digits(12_125_550_000 + n).expect("E.164");
    let phones: Vec<PhoneNumber> = (0..2_500_u64).map(number).collect();
    scene.import(campaign, &phones).await;
    let (deleted, started) = join(
        store.delete_campaign(scene.by(), campaign),
        store.change_state(scene.by(), campaign, Transition::Start),
    )
    .await;
    let left = store.campaign(campaign).await.expect("read");
    let acts = store.audit(&AuditQuery::newest(10)).await.expect("read").items;
    let told = acts.iter().any(|row| row.action == "campaign.delete");
    match left {
        None => {
            deleted.expect("it is gone");
            assert_eq!(refused(started), Refused::NotFound);
            assert!(recount::clients(store, campaign).await.is_empty());
        }
        Some(_) => {
            assert_eq!(refused(deleted), Refused::Campaign(RunState::Running));
            started.expect("it runs");
            assert_eq!(recount::clients(store, campaign).await.len(), phones.len());
            assert!(!told, "nothing was deleted");
        }
    }
}

pub async fn i8_test_calls_of_a_deleted_draft_are_nobodys(store: &dyn Store) {
    let scene = Scene::new(store);
    let campaign = scene.draft(Value::Null).await;
    let seeds = scene.import(campaign, &[scene.number()]).await;
    let own = scene.number();
    let test = async |sample| {
        let new = NewTestCall {
            id: CallId::new(scene.now(), scene.entropy()),
            campaign,
            phone: own,
            sample,
        };
        store.test_call(scene.by(), new).await.expect("a test call").call.id
    };
    let begun = test(Some(seeds[0].client)).await;
    assert_eq!(scene.dial_due().await, [begun]);
    scene.end(begun, Ending::Busy).await;
    let waiting = test(None).await;
    store.delete_campaign(scene.by(), campaign).await.expect("deleted");
    assert_eq!(store.call(waiting).await.expect("read"), None);
    let call = scene.call(begun).await.call;
    assert_eq!((call.campaign, call.client, call.sample), (None, None, None));
    assert!(scene.claim(10).await.is_empty(), "nothing is left to dial");
    scene.check().await;
}

pub async fn i8_only_a_draft_is_deleted(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, _) = scene.running_one(Value::Null).await;
    for (transition, state) in [
        (None, RunState::Running),
        (Some(Transition::Pause), RunState::Paused),
        (Some(Transition::Stop), RunState::Stopped),
    ] {
        if let Some(transition) = transition {
            scene.change(campaign, transition).await;
        }
        let deleted = store.delete_campaign(scene.by(), campaign).await;
        assert_eq!(refused(deleted), Refused::Campaign(state));
    }
    scene.check().await;
}
