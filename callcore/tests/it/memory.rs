//! The reference store passes the suite that every other store is held to.

use callcore::memory::MemoryStore;
use callcore::testing::StoreFactory;

struct Fresh;

#[async_trait::async_trait]
impl StoreFactory for Fresh {
    type Store = MemoryStore;
    type Guard = ();

    async fn build(&self) -> ((), MemoryStore) {
        ((), MemoryStore::default())
    }
}

callcore::store_conformance!(Fresh);

/// Two of one kind always agree; what this shows is that the recount holds through random
/// histories, and that a seed plays the same history again.
#[tokio::test]
async fn random_histories_keep_every_count_right() {
    for seed in 0..10 {
        callcore::testing::compare(&MemoryStore::default(), &MemoryStore::default(), seed).await;
    }
}
