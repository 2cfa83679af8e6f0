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
