//! A database that an earlier version made is brought up to date with all that is in it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;

use callcore::call::{AnsweredBy, Ending};
use callcore::dnc::DncScope;
use callcore::id::CampaignId;
use callcore::import::ImportReport;
use callcore::port::{
    Account, CallQuery, Calls, Campaigns, ClientQuery, Dispatch, Dnc, DncQuery, ImportStatus,
    Imports,
};
use callcore::testing::fixtures::{Scene, ended, number};
use callcore_sqlx::sqlite::{OpenOptions, SqliteStore};
use serde_json::json;
use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;

use crate::sqlite::{fresh, url};

/// The database's rows in the tables of an earlier version, as that would have kept them.
async fn as_of(version: i64, current: &TempDir) -> TempDir {
    let directory = TempDir::new().unwrap();
    let mut migrator =
        Migrator::new(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/sqlite")))
            .await
            .unwrap();
    let earlier = migrator.migrations.iter().filter(|it| it.version <= version).cloned();
    migrator.migrations = Cow::Owned(earlier.collect());
    assert_eq!(i64::try_from(migrator.migrations.len()).unwrap(), version);
    let options = SqliteConnectOptions::new()
        .filename(directory.path().join("callcore.db"))
        .create_if_missing(true)
        .foreign_keys(false);
    let mut conn = SqliteConnection::connect_with(&options).await.unwrap();
    migrator.run(&mut conn).await.unwrap();
    let attach = format!("attach '{}' as current", current.path().join("callcore.db").display());
    sqlx::query(sqlx::AssertSqlSafe(attach)).execute(&mut conn).await.unwrap();
    for table in tables(&mut conn, "main").await {
        let columns = columns(&mut conn, "main", &table).await;
        let now = self::columns(&mut conn, "current", &table).await;
        let kept: Vec<&str> = columns.intersection(&now).map(String::as_str).collect();
        let kept = kept.join(", ");
        let copy = format!(
            "insert or replace into main.{table} ({kept}) select {kept} from current.{table}"
        );
        sqlx::query(sqlx::AssertSqlSafe(copy)).execute(&mut conn).await.unwrap();
    }
    conn.close().await.unwrap();
    directory
}

/// Tables that hold rows of their own: what indexes words is filled by triggers.
async fn tables(conn: &mut SqliteConnection, schema: &str) -> Vec<String> {
    let sql = format!(
        "select name from {schema}.sqlite_master where type = 'table' and name not like '%\\_search%' escape '\\'
         and name not like 'sqlite%' and name not like '\\_sqlx%' escape '\\' and name <> 'client_tags'"
    );
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_all(conn).await.unwrap()
}

async fn columns(conn: &mut SqliteConnection, schema: &str, table: &str) -> BTreeSet<String> {
    let sql = format!("select '\"' || name || '\"' from pragma_table_info('{table}', '{schema}')");
    let names = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_all(conn).await.unwrap();
    names.into_iter().collect()
}

/// Clients, calls that wait, run and are over, imports, notes, and numbers not to call.
async fn fill(store: &SqliteStore) -> CampaignId {
    let scene = Scene::new(store);
    let (campaign, seeds) = scene.running(json!({}), 12).await;
    scene.block(number(2_000), DncScope::Global).await;
    scene.block(number(2_001), DncScope::Campaign(campaign)).await;
    scene.block(seeds[11].phone, DncScope::Global).await;
    let calls = scene.dial_due().await;
    let (first, rest) = calls.split_first().unwrap();
    scene.answer(*first, AnsweredBy::Human).await;
    scene.end(rest[0], Ending::Busy).await;
    scene.end(rest[1], Ending::NoAnswer).await;
    scene.hear(rest[2], [ended(Ending::Completed, 61)]).await;
    let import = scene.begin_import(campaign).await;
    let rows = [scene.new_client(number(2_100), 2)];
    store.add_clients(scene.by(), import, &rows).await.unwrap();
    let (done, report) =
        (ImportStatus::Done, ImportReport { accepted: 1, ..ImportReport::default() });
    store.report_import(scene.by(), import, done, &report).await.unwrap();
    scene.draft(json!({})).await;
    campaign
}

/// All that a person can see of it.
async fn seen(store: &SqliteStore, campaign: CampaignId) -> Vec<String> {
    let calls = CallQuery { limit: 200, ..CallQuery::default() };
    let clients = ClientQuery {
        campaign,
        q: None,
        statuses: Vec::new(),
        tags: Vec::new(),
        after: None,
        limit: 200,
    };
    let found = ClientQuery { q: Some("client 7".to_owned()), ..clients.clone() };
    let by_number = ClientQuery { q: Some("5550100".to_owned()), ..clients.clone() };
    vec![
        format!("{:#?}", store.campaigns(&[], None, 10).await.unwrap().items),
        format!("{:#?}", store.history(&calls).await.unwrap().items),
        format!("{:#?}", store.upcoming(&calls).await.unwrap().items),
        format!("{:#?}", store.live(200).await.unwrap()),
        format!("{:#?}", store.clients(&found).await.unwrap().items),
        format!("{:#?}", store.clients(&by_number).await.unwrap().items),
        format!("{:#?}", store.import_page(campaign, None, 10).await.unwrap().items),
        format!("{:#?}", store.dnc(&DncQuery { limit: 50, ..DncQuery::default() }).await.unwrap()),
        format!("{:#?}", store.account().await.unwrap()),
        format!("{:#?}", store.clients(&clients).await.unwrap().items),
    ]
}

#[tokio::test]
async fn nothing_is_lost_on_the_way_from_any_earlier_version() {
    let (current, store) = fresh().await;
    let campaign = fill(&store).await;
    let before = seen(&store, campaign).await;
    assert!(before[4].contains("ClientView") && before[5].contains("ClientView"), "they are found");
    store.close().await.unwrap();
    for version in 1..11 {
        let directory = as_of(version, &current).await;
        let store = SqliteStore::open(OpenOptions::new(url(&directory))).await.unwrap();
        for (was, is) in before.iter().zip(seen(&store, campaign).await) {
            assert_eq!(&is, was, "from version {version}");
        }
        let scene = Scene::new(&store);
        scene.check().await;
        store.close().await.unwrap();
    }
}
