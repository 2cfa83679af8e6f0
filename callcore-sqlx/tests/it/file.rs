//! What is true of a store because it is a file.

use std::path::Path;
use std::sync::Arc;

use callcore::call::{CallEvent, CallRef, CallStatus, Ending, EventKind, InboundRing, Report};
use callcore::id::CallId;
use callcore::port::{
    Access, Added, AuditEntry, CallOrder, CallQuery, CallSort, Calls, Campaigns, ClaimRequest,
    ClientQuery, Dispatch, NewClient, Recorded, StoreErrorKind,
};
use callcore::testing::fixtures::{Scene, ended, number, person};
use callcore_sqlx::sqlite::{OpenOptions, SqliteStore};
use chrono::TimeDelta;
use serde_json::json;
use sqlx::{Connection, Row, SqliteConnection};
use tempfile::TempDir;

use crate::sqlite::{fresh, url};

/// The error's whole story.
fn story(error: &dyn std::error::Error) -> String {
    let source = error.source().map(|source| format!(": {}", story(source))).unwrap_or_default();
    format!("{error}{source}")
}

async fn refusal(url: &str) -> String {
    let error = SqliteStore::open(OpenOptions::new(url)).await.err();
    story(&error.expect("it can't be opened"))
}

async fn raw(directory: &TempDir) -> SqliteConnection {
    SqliteConnection::connect(&url(directory)).await.expect("the file is a database")
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_reopening() {
    let directory = TempDir::new().unwrap();
    let store = SqliteStore::open(OpenOptions::new(url(&directory))).await.unwrap();
    let scene = Scene::new(&store);
    let (campaign, _) = scene.running(json!({}), 3).await;
    let live = scene.dial_due().await;
    let ringing = Report::ours(live[0], scene.now(), EventKind::Ringing);
    store.record(scene.by(), &[ringing]).await.unwrap();
    let (view, now) = (store.campaign(campaign).await.unwrap(), scene.now());
    let call = store.call(live[0]).await.unwrap();
    store.close().await.unwrap();

    let store = SqliteStore::open(OpenOptions::new(url(&directory))).await.unwrap();
    assert_eq!(store.campaign(campaign).await.unwrap(), view);
    assert_eq!(store.call(live[0]).await.unwrap(), call);
    assert_eq!(store.live(10).await.unwrap().len(), live.len());
    assert_eq!(store.latest_instant().await.unwrap(), Some(now));
}

#[tokio::test]
async fn a_kill_before_closing_loses_nothing_acknowledged() {
    let directory = TempDir::new().unwrap();
    let store = SqliteStore::open(OpenOptions::new(url(&directory))).await.unwrap();
    let scene = Scene::new(&store);
    let (campaign, _) = scene.running(json!({}), 3).await;
    let view = store.campaign(campaign).await.unwrap();
    // A process that is killed closes nothing: its files are as they are in this moment.
    let copy = TempDir::new().unwrap();
    for file in std::fs::read_dir(directory.path()).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    let survivor = SqliteStore::open(OpenOptions::new(url(&copy))).await.unwrap();
    assert_eq!(survivor.campaign(campaign).await.unwrap(), view);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_by_name_and_left_as_it_is() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("callcore.db");
    let text = "Name,Phone\nAda,+12125550100\n".repeat(100);
    std::fs::write(&file, &text).unwrap();
    let words = refusal(&url(&directory)).await;
    assert!(words.contains("callcore.db is not a SQLite database"), "{words}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
}

#[tokio::test]
async fn a_place_where_no_file_can_be_is_refused_by_name() {
    let missing = Path::new("no/such/directory/callcore.db");
    let words = refusal(&format!("sqlite://{}", missing.display())).await;
    assert!(words.contains("no/such/directory/callcore.db can't be opened"), "{words}");
}

#[tokio::test]
async fn a_database_in_memory_is_refused() {
    let words = refusal("sqlite::memory:").await;
    assert!(words.contains("name a file"), "{words}");
}

#[tokio::test]
async fn a_row_that_callcore_did_not_write_is_an_error_of_its_own_kind() {
    let (directory, store) = fresh().await;
    let scene = Scene::new(&store);
    let (campaign, _) = scene.running(json!({}), 1).await;
    let sql = "update campaigns set state = 'asleep'";
    sqlx::query(sql).execute(&mut raw(&directory).await).await.unwrap();
    let error = store.campaign(campaign).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt);
}

#[tokio::test]
async fn audit_rows_can_be_neither_changed_nor_deleted() {
    let (directory, store) = fresh().await;
    let scene = Scene::new(&store);
    let (operator, now) = (person(), scene.now());
    let entry = AuditEntry { action: "test", object: "it".to_owned(), old: None, new: None };
    store.append_audit(callcore::port::By::new(&operator, now), entry).await.unwrap();
    for sql in ["update audit set action = 'other'", "delete from audit"] {
        let done = sqlx::query(sql).execute(&mut raw(&directory).await).await;
        assert!(done.unwrap_err().to_string().contains("audit rows are not"));
    }
}

#[tokio::test]
async fn events_that_come_at_once_are_each_answered_as_if_alone() {
    let (_directory, store) = fresh().await;
    let store = Arc::new(store);
    let scene = Scene::new(&*store);
    scene.running(json!({"pacing": {"max_concurrent": 50, "calls_per_second": 50}}), 20).await;
    let live = scene.dial_due().await;
    assert_eq!(live.len(), 20);
    let now = scene.now();
    let tasks = live.iter().copied().chain([CallId::new(now, scene.entropy())]).map(|call| {
        let store = store.clone();
        tokio::spawn(async move {
            let ringing = Report::ours(call, now, EventKind::Ringing);
            let by = callcore::port::By::new(&callcore::testing::fixtures::SYSTEM, now);
            let twice = [ringing.clone(), ringing];
            (call, store.record(by, &twice).await.unwrap())
        })
    });
    let tasks: Vec<_> = tasks.collect();
    for (task, known) in tasks.into_iter().zip(live.iter().map(Some).chain([None])) {
        let (call, answer) = task.await.unwrap();
        let expected = match known {
            Some(_) => [Recorded::New { call, ended: false }, Recorded::Known { call }],
            None => [Recorded::NoSuchCall, Recorded::NoSuchCall],
        };
        assert_eq!(answer, expected);
    }
    for call in live {
        assert_eq!(store.events(call).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn events_survive_callers_that_gave_up_waiting() {
    let (_directory, store) = fresh().await;
    let scene = Scene::new(&store);
    scene.running(json!({}), 1).await;
    let call = scene.dial_due().await[0];
    for second in 0..20 {
        let at = scene.now() + chrono::TimeDelta::seconds(second);
        let line = Report::ours(call, at, EventKind::Ringing);
        let reports = [line];
        let record = store.record(scene.by(), &reports);
        // Polled once and dropped, wherever that leaves it.
        drop(tokio::time::timeout(std::time::Duration::from_micros(50), record).await);
    }
    let last = Report::ours(call, scene.now(), EventKind::Answered);
    let answer = store.record(scene.by(), &[last]).await.unwrap();
    assert_eq!(answer, [Recorded::New { call, ended: false }]);
}

#[tokio::test]
async fn searches_find_any_part_of_a_name_or_number_and_take_everything_as_text() {
    let (_directory, store) = fresh().await;
    let scene = Scene::new(&store);
    let campaign = scene.draft(json!({})).await;
    let import = scene.begin_import(campaign).await;
    let names = ["Ada Lovelace", "ADALBERT", "Zoë Ünal", "100% \"Quoted\" O'Hara", "a_b*c NEAR(x)"];
    let clients: Vec<NewClient> = (0..)
        .zip(names)
        .map(|(n, name)| NewClient { name: name.to_owned(), ..scene.new_client(number(n), n + 2) })
        .collect();
    store.add_clients(scene.by(), import, &clients).await.unwrap();
    let found = async |q: &str| -> Vec<String> {
        let query = ClientQuery {
            campaign,
            q: Some(q.to_owned()),
            statuses: Vec::new(),
            tags: Vec::new(),
            after: None,
            limit: 10,
        };
        let page = store.clients(&query).await.unwrap();
        page.items.into_iter().map(|view| view.client.name).collect()
    };
    assert_eq!(found("lovel").await, ["Ada Lovelace"]);
    assert_eq!(found("ad").await, ["Ada Lovelace", "ADALBERT"]);
    assert_eq!(found("LO").await, Vec::<String>::new(), "two characters are a beginning");
    assert_eq!(found("ünal").await, ["Zoë Ünal"]);
    assert_eq!(found("555-01").await.len(), names.len());
    assert_eq!(found("5550103").await, ["100% \"Quoted\" O'Hara"]);
    assert_eq!(found("\"quo").await, ["100% \"Quoted\" O'Hara"]);
    assert_eq!(found("near(").await, ["a_b*c NEAR(x)"]);
    for hostile in
        ["%%%", "a%b", "' or 1=1 --", "\" OR \"", "***", "\0\0\0", "ada\0", "^ada", "(((("]
    {
        assert_eq!(found(hostile).await, Vec::<String>::new(), "{hostile:?}");
    }
}

#[tokio::test]
async fn a_strangers_call_is_found_by_its_number() {
    let (_directory, store) = fresh().await;
    let scene = Scene::new(&store);
    let ring = InboundRing {
        carrier_call_id: "in-1".to_owned(),
        from: Some(number(77)),
        new_id: CallId::new(scene.now(), scene.entropy()),
    };
    let kind = EventKind::Ended { ending: callcore::call::Ending::Completed, talk_seconds: 3 };
    let event = CallEvent { at: scene.now(), kind };
    let report = Report { call: CallRef::Inbound(ring.clone()), event };
    store.record(scene.by(), &[report]).await.unwrap();
    for (q, there) in [("5550177", true), ("+12", true), ("1", true), ("5550178", false)] {
        let query = CallQuery { q: Some(q.to_owned()), limit: 10, ..CallQuery::default() };
        let page = store.history(&query).await.unwrap();
        let ids: Vec<CallId> = page.items.iter().map(|view| view.call.id).collect();
        assert_eq!(ids.contains(&ring.new_id), there, "{q}");
    }
}

#[tokio::test]
async fn a_batch_of_two_thousand_clients_is_counted_once_each() {
    let (_directory, store) = fresh().await;
    let scene = Scene::new(&store);
    let campaign = scene.draft(json!({})).await;
    let import = scene.begin_import(campaign).await;
    let clients: Vec<NewClient> = (0..2_000).map(|n| scene.new_client(number(n), n + 2)).collect();
    let added = store.add_clients(scene.by(), import, &clients).await.unwrap();
    assert!(added.iter().all(|added| *added == Added::Accepted { on_dnc: false }));
    let again = store.add_clients(scene.by(), import, &clients).await.unwrap();
    let repeats = (0..2_000).map(|n| Added::Duplicate { of_line: Some(n + 2) });
    assert_eq!(again, repeats.collect::<Vec<_>>());
    let view = store.campaign(campaign).await.unwrap().unwrap();
    assert_eq!(view.progress.client_count(), 2_000);
}

/// Reading a call looks into three tables through one view: it must not walk any of them.
#[tokio::test]
async fn a_call_is_found_by_its_keys_in_whatever_table_it_is() {
    let (directory, _store) = fresh().await;
    let mut conn = raw(&directory).await;
    for sql in [
        "explain query plan select * from calls
         where id in (select unhex(value, '-') from json_each(?1))",
        "explain query plan select * from calls
         where client in (select unhex(value, '-') from json_each(?1))",
    ] {
        let plan = sqlx::query(sql).fetch_all(&mut conn).await.unwrap();
        let steps: Vec<String> = plan.iter().map(|row| row.get("detail")).collect();
        for table in ["due", "in_flight", "history"] {
            let walks = |step: &String| *step == format!("SCAN {table}");
            assert!(!steps.iter().any(walks), "{steps:#?}");
        }
    }
}

#[tokio::test]
async fn two_processes_on_one_file_never_hold_or_begin_one_call_twice() {
    let (directory, first) = fresh().await;
    let second = SqliteStore::open(OpenOptions::new(url(&directory))).await.unwrap();
    let scene = Scene::new(&first);
    // As many slots as half of the clients, so that they compete for those too.
    scene.running(json!({"pacing": {"max_concurrent": 20, "calls_per_second": 1000}}), 40).await;
    let (now, wall) = (scene.now(), scene.wall());
    let request = ClaimRequest { now, wall, lease_for: TimeDelta::seconds(60), limit: 3 };
    let work = async |store: &SqliteStore| {
        let mut begun = Vec::new();
        loop {
            let facts = store.claim_due(request).await.unwrap();
            if facts.is_empty() {
                return begun;
            }
            let permits: Vec<_> = facts.into_iter().map(|facts| scene.permit(facts)).collect();
            let answers = store.begin(scene.by(), wall, &permits).await.unwrap();
            let taken = permits.iter().zip(answers).filter(|(_, answer)| answer.is_ok());
            begun.extend(taken.map(|(permit, _)| permit.call()));
        }
    };
    let (of_first, of_second) = tokio::join!(work(&first), work(&second));
    let mut begun = [of_first, of_second].concat();
    assert_eq!(begun.len(), 20, "every slot is taken once");
    begun.sort_unstable();
    begun.dedup();
    assert_eq!(begun.len(), 20, "no call was begun twice");
    assert_eq!(second.live(100).await.unwrap().len(), 20);
    // What one was told, the other knows.
    let ended = Report::ours(begun[0], now, ended(Ending::Busy, 0));
    first.record(scene.by(), std::slice::from_ref(&ended)).await.unwrap();
    let again = second.record(scene.by(), &[ended]).await.unwrap();
    assert_eq!(again, [Recorded::Known { call: begun[0] }]);
}

#[tokio::test]
async fn a_mutation_that_is_dropped_half_way_happened_whole_or_not_at_all() {
    let (_directory, store) = fresh().await;
    let scene = Scene::new(&store);
    let (campaign, _) = scene.running(json!({}), 150).await;
    let (now, wall) = (scene.now(), scene.wall());
    for patience in 0..60_u64 {
        let request = ClaimRequest { now, wall, lease_for: TimeDelta::seconds(60), limit: 1 };
        // The last ones have all the time a busy machine may need.
        let wait = if patience < 55 { 40 * patience } else { 60_000_000 };
        let wait = std::time::Duration::from_micros(wait);
        drop(tokio::time::timeout(wait, store.claim_due(request)).await);
        let Some(facts) = store.claim_due(request).await.unwrap().pop() else { break };
        let call = facts.call;
        let permits = [scene.permit(facts)];
        drop(tokio::time::timeout(wait, store.begin(scene.by(), wall, &permits)).await);
        let live = store.live(100).await.unwrap().iter().any(|open| open.call == call);
        let status = store.call(call).await.unwrap().unwrap().call.status();
        assert_eq!(status == CallStatus::Dialing, live, "{status:?}");
        if live {
            let end = [Report::ours(call, now, ended(Ending::NoAnswer, 0))];
            drop(tokio::time::timeout(wait, store.record(scene.by(), &end)).await);
            store.record(scene.by(), &end).await.unwrap();
        }
    }
    let view = store.campaign(campaign).await.unwrap().unwrap();
    assert!(view.progress.totals.attempted() > 0, "some got as far as their end");
    // Counters equal a recount, also after mutations that came to nothing.
    scene.check().await;
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_reads_the_file_and_its_companions() {
    use std::os::unix::fs::PermissionsExt;
    let directory = TempDir::new().unwrap();
    let store = SqliteStore::open(OpenOptions::new(url(&directory))).await.unwrap();
    Scene::new(&store).running(json!({}), 1).await;
    let files: Vec<_> = std::fs::read_dir(directory.path()).unwrap().map(Result::unwrap).collect();
    assert!(files.len() >= 2, "the database and its log");
    for file in files {
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", file.path().display());
    }
}

#[tokio::test]
async fn a_campaign_whose_settings_can_not_be_read_stops_no_other() {
    let directory = TempDir::new().unwrap();
    let store = SqliteStore::open(OpenOptions::new(url(&directory))).await.unwrap();
    let scene = Scene::new(&store);
    let (broken, _) = scene.running(json!({}), 1).await;
    let (whole, seed) = scene.running_one(json!({})).await;
    let now = scene.now();
    store.close().await.unwrap();
    sqlx::query("update campaign_settings set document = '{}' where campaign = ?1")
        .bind(broken.uuid())
        .execute(&mut raw(&directory).await)
        .await
        .unwrap();

    let store = SqliteStore::open(OpenOptions::new(url(&directory))).await.unwrap();
    let request = ClaimRequest { now, wall: now, lease_for: TimeDelta::seconds(30), limit: 10 };
    assert!(store.next_due(now).await.unwrap().is_some());
    let claimed = store.claim_due(request).await.unwrap();
    let calls: Vec<_> = claimed.iter().map(|facts| (facts.campaign, facts.call)).collect();
    assert_eq!(calls, [(whole, seed.call)]);
}

#[tokio::test]
async fn a_file_from_before_sorted_histories_gets_what_they_are_sorted_by() {
    let directory = TempDir::new().unwrap();
    let store = SqliteStore::open(OpenOptions::new(url(&directory))).await.unwrap();
    let scene = Scene::new(&store);
    let campaign = scene.draft(json!({})).await;
    let import = scene.begin_import(campaign).await;
    let client = |name: &str, line| NewClient {
        name: name.to_owned(),
        tags: [format!("tag {line}")].into(),
        ..scene.new_client(scene.number(), line)
    };
    let clients = [client("Zoe", 2), client("ada", 3), client("Émile", 4)];
    store.add_clients(scene.by(), import, &clients).await.unwrap();
    scene.change(campaign, callcore::campaign::Transition::Start).await;
    for (seconds, call) in (5..).zip(scene.dial_due().await) {
        scene.hear(call, [EventKind::Answered, ended(Ending::Completed, seconds)]).await;
    }
    let lists = async |store: &SqliteStore| {
        let mut lists = Vec::new();
        for by in [CallSort::Name, CallSort::Duration] {
            let order = Some(CallOrder { by, descending: true });
            let query = CallQuery { order, limit: 9, ..CallQuery::default() };
            lists.push(store.history(&query).await.unwrap().items);
        }
        let tagged = CallQuery { tags: vec!["tag 3".to_owned()], limit: 9, ..CallQuery::default() };
        lists.push(store.history(&tagged).await.unwrap().items);
        lists
    };
    let before = lists(&store).await;
    store.close().await.unwrap();

    let mut raw = raw(&directory).await;
    for undo in [
        "drop trigger history_follows_names",
        "drop index history_by_name",
        "drop index history_by_duration",
        "drop index history_by_campaign_and_name",
        "drop index history_by_campaign_and_duration",
        "drop index history_by_number",
        "drop index clients_by_status",
        "alter table history drop column name_key",
        "alter table history drop column talk_seconds",
        "drop trigger client_tags_insert",
        "drop trigger client_tags_delete",
        "drop trigger client_tags_update",
        "drop table client_tags",
        "delete from _sqlx_migrations where version = 2",
    ] {
        sqlx::query(undo).execute(&mut raw).await.expect(undo);
    }
    raw.close().await.unwrap();
    let store = SqliteStore::open(OpenOptions::new(url(&directory))).await.unwrap();
    assert_eq!(lists(&store).await, before);
    // Whoever is renamed is found where the new name belongs.
    let mut raw = SqliteConnection::connect(&url(&directory)).await.unwrap();
    sqlx::query("update clients set name = 'Bo', name_key = 'bo' where name = 'Zoe'")
        .execute(&mut raw)
        .await
        .unwrap();
    let names: Vec<_> =
        lists(&store).await[0].iter().filter_map(|view| view.client_name.clone()).collect();
    assert_eq!(names, ["Émile", "Bo", "ada"]);
}
