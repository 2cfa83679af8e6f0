//! The SQLite store passes the suite that every store is held to, and says what the reference store
//! says.

use callcore::memory::MemoryStore;
use callcore::testing::StoreFactory;
use callcore_sqlx::sqlite::{Durability, OpenOptions, SqliteStore};
use tempfile::TempDir;

struct Fresh;

pub(crate) fn url(directory: &TempDir) -> String {
    format!("sqlite://{}", directory.path().join("callcore.db").display())
}

pub(crate) async fn fresh() -> (TempDir, SqliteStore) {
    let directory = TempDir::new().expect("a directory");
    // What a commit survives is not what these tests ask.
    let options = OpenOptions::new(url(&directory)).durability(Durability::Normal);
    let store = SqliteStore::open(options).await.expect("a fresh store");
    (directory, store)
}

#[async_trait::async_trait]
impl StoreFactory for Fresh {
    type Store = SqliteStore;
    type Guard = TempDir;

    async fn build(&self) -> (TempDir, SqliteStore) {
        fresh().await
    }

    fn orders(&self) -> usize {
        24
    }
}

callcore::store_conformance!(Fresh);

#[tokio::test]
async fn random_histories_go_as_in_the_reference_store() {
    // In 59 a retry is taken back and withdrawn by one act.
    for seed in [0, 1, 2, 59] {
        let (_directory, store) = fresh().await;
        callcore::testing::compare(&MemoryStore::default(), &store, seed).await;
    }
}
