//! callcore's [`Store`](callcore::port::Store) on SQL databases.
//!
//! With the feature `sqlite` (the default) there is [`sqlite::SqliteStore`]: one file, no server,
//! everything acknowledged survives a kill and a power cut.

#[cfg(feature = "sqlite")]
pub mod sqlite;
