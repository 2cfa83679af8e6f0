//! What is left of an erased person in the file itself, and what the audit log lets change.

use std::collections::BTreeSet;

use callcore::call::{AnsweredBy, EventKind, Speaker};
use callcore::dnc::DncScope;
use callcore::id::ImportId;
use callcore::phone::PhoneNumber;
use callcore::port::{BeginDncImport, By, Dnc, DncQuery, NewClient, Privacy};
use callcore::testing::fixtures::{Scene, number, person};
use callcore_sqlx::sqlite::{OpenOptions, SqliteStore};
use serde_json::json;
use sqlx::{Connection, Row, SqliteConnection};
use tempfile::TempDir;

use crate::sqlite::{fresh, url};

/// Where the number may stand after an erasure: what caps count, and the list not to call.
const KEEP_NUMBERS: [&str; 3] = ["number_dials", "erased_calls", "dnc"];

/// Every cell of every table, shadow tables included, as `table: text`.
async fn cells(directory: &TempDir) -> Vec<(String, String)> {
    let mut raw = SqliteConnection::connect(&url(directory)).await.expect("the file is a database");
    let tables: Vec<String> =
        sqlx::query_scalar("select name from sqlite_schema where type = 'table'")
            .fetch_all(&mut raw)
            .await
            .expect("tables");
    let mut cells = Vec::new();
    for table in tables {
        let columns: Vec<String> = sqlx::query_scalar("select name from pragma_table_info(?1)")
            .bind(&table)
            .fetch_all(&mut raw)
            .await
            .expect("columns");
        for column in columns {
            let sql = format!(
                "select case typeof(\"{column}\") when 'blob' then hex(\"{column}\")
                     else cast(\"{column}\" as text) end as cell
                 from \"{table}\" where \"{column}\" is not null"
            );
            // Tables without contents have columns that can't be read.
            let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&mut raw).await;
            for row in rows.unwrap_or_default() {
                cells.push((
                    table.clone(),
                    row.get::<Option<String>, _>("cell").unwrap_or_default(),
                ));
            }
        }
    }
    cells
}

fn tables_with(cells: &[(String, String)], mark: &str) -> BTreeSet<String> {
    let hex: String = mark.bytes().map(|byte| format!("{byte:02X}")).collect();
    let shows = |cell: &&(String, String)| cell.1.contains(mark) || cell.1.contains(&hex);
    cells.iter().filter(shows).map(|(table, _)| table.clone()).collect()
}

async fn a_conversation(scene: &Scene<'_>, phone: PhoneNumber) -> callcore::id::ClientId {
    let campaign = scene.draft(json!({})).await;
    let import = scene.begin_import(campaign).await;
    let client = NewClient {
        name: "Zebulon Quist".to_owned(),
        note: Some("quist was away".to_owned()),
        fields: vec!["Zebulon Quist".to_owned(), phone.to_string()],
        tags: ["vip-quist".to_owned()].into(),
        ..scene.new_client(phone, 2)
    };
    let (id, call) = (client.id, client.call);
    scene.store.add_clients(scene.by(), import, &[client]).await.expect("added");
    scene.change(campaign, callcore::campaign::Transition::Start).await;
    scene.dial_due().await;
    let text = "quist speaking".to_owned();
    let line = EventKind::Line { index: 0, speaker: Speaker::Client, offset_seconds: 1, text };
    scene.hear(call, [line]).await;
    scene.answer(call, AnsweredBy::Human).await;
    id
}

#[tokio::test]
async fn no_table_holds_anything_of_an_erased_person_but_what_caps_count() {
    let (directory, store) = fresh().await;
    let scene = Scene::new(&store);
    let phone = number(77);
    let client = a_conversation(&scene, phone).await;
    a_conversation(&scene, number(78)).await;
    let operator = person();
    let by = By::new(&operator, scene.now());
    store.add_dnc(by, scene.dnc_entry(phone, DncScope::Global)).await.unwrap();
    let digits = phone.digits().to_string();
    let before = cells(&directory).await;
    for mark in ["Zebulon Quist", "quist was away", "quist speaking", "vip-quist", &digits] {
        assert!(!tables_with(&before, mark).is_empty(), "{mark} is somewhere before");
    }
    store.erase(by, client, "asked for").await.unwrap();
    let after = cells(&directory).await;
    // The other person of that name has another number.
    assert_eq!(tables_with(&after, "quist speaking"), BTreeSet::from(["call_events".to_owned()]));
    let kept = KEEP_NUMBERS.map(str::to_owned).into();
    assert_eq!(tables_with(&after, &digits), kept);
    store.close().await.unwrap();
}

#[tokio::test]
async fn the_file_itself_forgets_whoever_was_erased() {
    let directory = TempDir::new().unwrap();
    let store = SqliteStore::open(OpenOptions::new(url(&directory))).await.unwrap();
    let scene = Scene::new(&store);
    let client = a_conversation(&scene, number(77)).await;
    let operator = person();
    store.erase(By::new(&operator, scene.now()), client, "asked for").await.unwrap();
    store.close().await.unwrap();
    let mut bytes = Vec::new();
    for file in std::fs::read_dir(directory.path()).unwrap() {
        bytes.extend(std::fs::read(file.unwrap().path()).unwrap());
    }
    for mark in ["Zebulon Quist", "zebulon quist", "quist was away", "quist speaking", "vip-quist"]
    {
        let found = bytes.windows(mark.len()).any(|window| window == mark.as_bytes());
        assert!(!found, "{mark} stands in a gap of the file");
    }
}

#[tokio::test]
async fn an_audit_row_may_lose_texts_and_nothing_else() {
    let (directory, store) = fresh().await;
    let mut raw = SqliteConnection::connect(&url(&directory)).await.unwrap();
    sqlx::raw_sql(
        r#"insert into audit (id, at, actor, action, object, old, new) values
           (x'01', 1, 'user:a', 'it.happened', '+12125550177', '{"a":"b","n":1,"l":["x",null]}', null)"#,
    )
    .execute(&mut raw)
    .await
    .unwrap();
    for (change, allowed) in [
        (r#"old = '{"a":"other","n":1,"l":["x",null]}'"#, false),
        (r#"old = '{"a":"b","n":2,"l":["x",null]}'"#, false),
        (r#"old = '{"a":"b","n":"[erased]","l":["x",null]}'"#, false),
        (r#"old = '{"a":"b","l":["x",null]}'"#, false),
        (r#"old = '{"a":"b","n":1,"l":["x",null,"[erased]"]}'"#, false),
        (r#"old = '"[erased]"'"#, false),
        ("old = null", false),
        (r#"new = '"[erased]"'"#, false),
        ("object = 'nobody'", false),
        ("actor = '[erased]'", false),
        ("action = '[erased]'", false),
        ("at = 2", false),
        (r#"old = '{"a":"[erased]","n":1,"l":["[erased]",null]}'"#, true),
        (r#"old = '{"a":"b","n":1,"l":["x",null]}'"#, false),
        ("object = '[erased]'", true),
    ] {
        let sql = format!("update audit set {change}");
        let done = sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut raw).await;
        assert_eq!(done.is_ok(), allowed, "{change}: {done:?}");
    }
    store.close().await.unwrap();
}

#[tokio::test]
async fn any_part_of_a_listed_number_is_found_by_the_index_until_its_last_entry_goes() {
    let (directory, store) = fresh().await;
    let scene = Scene::new(&store);
    let campaign = scene.draft(json!({})).await;
    let scopes = [DncScope::Global, DncScope::Campaign(campaign)];
    for scope in scopes {
        scene.block(number(5), scope).await;
    }
    let id = ImportId::new(scene.now(), scene.entropy());
    let new = BeginDncImport { id, scope: DncScope::Global, file_name: String::new() };
    store.begin_dnc_import(scene.by(), new).await.unwrap();
    let numbers: Vec<_> = (0..100).map(|n| (number(n), String::new())).collect();
    store.add_dnc_batch(scene.by(), id, &numbers).await.unwrap();
    let found = async |q: &str| {
        let query = DncQuery { q: Some(q.to_owned()), limit: 200, ..DncQuery::default() };
        store.dnc(&query).await.unwrap().items.len()
    };
    assert_eq!((found("5550105").await, found("0105").await, found("555").await), (2, 2, 101));
    let operator = person();
    for (scope, left) in scopes.into_iter().zip([1, 0]) {
        let by = By::new(&operator, scene.now());
        store.remove_dnc(by, number(5), scope, "").await.unwrap();
        assert_eq!(found("5550105").await, left);
    }
    let mut raw = SqliteConnection::connect(&url(&directory)).await.unwrap();
    let plan = sqlx::query(
        "explain query plan select * from dnc where true
             and phone in (select rowid from dnc_search where dnc_search match '\"555\"')
             and instr(cast(phone as text), '5550105') > 0
         order by created_at desc, phone desc, substr(campaign, 9) desc limit 51",
    )
    .fetch_all(&mut raw)
    .await
    .unwrap();
    let steps: Vec<String> = plan.iter().map(|row| row.get("detail")).collect();
    assert!(
        !steps.iter().any(|step| step.starts_with("SCAN dnc") && !step.contains("VIRTUAL")),
        "{steps:#?}"
    );
    store.close().await.unwrap();
}
