//! Taking back an import of more clients than go at once, and something happens in between.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use callcore::id::{CampaignId, ImportId};
use callcore::import::ImportReport;
use callcore::port::{ActError, Campaigns, ImportStatus, Imports, NewClient};
use callcore::testing::fixtures::{Scene, number};
use callcore_sqlx::sqlite::{OpenOptions, SqliteStore};
use serde_json::Value;
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;

use crate::sqlite::{fresh, url};

const MANY: u64 = 2_300;

async fn execute(directory: &TempDir, sql: &'static str) {
    let mut conn = SqliteConnection::connect(&url(directory)).await.unwrap();
    sqlx::query(sql).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
}

/// A store in which an undo broke off after its first step.
async fn half_undone() -> (TempDir, SqliteStore, CampaignId, ImportId) {
    let (directory, store) = fresh().await;
    let scene = Scene::new(&store);
    let campaign = scene.draft(Value::Null).await;
    let import = scene.begin_import(campaign).await;
    let rows: Vec<NewClient> =
        (0..MANY).map(|line| scene.new_client(number(line), line + 2)).collect();
    for rows in rows.chunks(500) {
        store.add_clients(scene.by(), import, rows).await.unwrap();
    }
    let (done, report) = (ImportStatus::Done, ImportReport::default());
    store.report_import(scene.by(), import, done, &report).await.unwrap();
    let broken = "create trigger broken before delete on clients when old.place > 2000 begin
        select raise(abort, 'the disk is gone'); end";
    execute(&directory, broken).await;
    let broken = store.undo_import(scene.by(), import, false).await;
    assert!(matches!(broken, Err(ActError::Store(_))), "{broken:?}");
    assert_eq!(left(&store, campaign).await, MANY - 2_000);
    assert_eq!(store.import(import).await.unwrap().unwrap().status, ImportStatus::Undone);
    scene.check().await;
    execute(&directory, "drop trigger broken").await;
    (directory, store, campaign, import)
}

async fn left(store: &SqliteStore, campaign: CampaignId) -> u64 {
    store.campaign(campaign).await.unwrap().unwrap().progress.clients.values().sum()
}

async fn assert_gone(store: &SqliteStore, campaign: CampaignId) {
    assert_eq!(left(store, campaign).await, 0);
    let scene = Scene::new(store);
    scene.check().await;
    assert_eq!(store.finish_undos(scene.by()).await.unwrap(), 0, "nothing is left to do");
}

#[tokio::test]
async fn an_undo_that_broke_off_ends_after_a_restart() {
    let (directory, store, campaign, _) = half_undone().await;
    store.close().await.unwrap();
    let store = SqliteStore::open(OpenOptions::new(url(&directory))).await.unwrap();
    let by = Scene::new(&store).by();
    assert_eq!(store.finish_undos(by).await.unwrap(), MANY - 2_000);
    assert_gone(&store, campaign).await;
}

#[tokio::test]
async fn an_undo_that_broke_off_ends_when_it_is_asked_for_again() {
    let (_directory, store, campaign, import) = half_undone().await;
    let by = Scene::new(&store).by();
    let undone = store.undo_import(by, import, false).await.unwrap();
    assert_eq!((undone.removed, undone.kept), (MANY - 2_000, 0));
    assert_gone(&store, campaign).await;
}
