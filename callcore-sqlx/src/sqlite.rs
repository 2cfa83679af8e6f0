//! The store in one SQLite file.
//!
//! ```no_run
//! use callcore::port::Campaigns;
//! use callcore_sqlx::sqlite::{OpenOptions, SqliteStore};
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let store = SqliteStore::open(OpenOptions::new("sqlite://callcore.db")).await?;
//! assert!(store.campaigns(&[], None, 10).await?.items.is_empty());
//! store.close().await?;
//! # Ok(())
//! # }
//! ```
//!
//! Writers take turns on one connection, readers go on beside them. A mutation is a unit of work: it
//! loads the rows it is about, lets the core's pure functions speak over them in memory, and
//! writes what changed with one statement a table. Calls to
//! [`record`](callcore::port::Dispatch::record) that wait at the same time are committed together.

mod access;
mod account;
mod acts;
mod breaker;
mod calls;
mod campaigns;
mod claim;
mod clients;
mod dispatch;
mod dnc;
mod dnc_import;
mod facts;
mod fail;
mod flush;
mod hang_ups;
mod import;
mod imports;
mod load;
mod media;
mod numbers;
mod open;
mod outbox;
mod people;
mod privacy;
mod read;
mod record;
mod result;
mod row;
mod search;
mod stop;
mod test_call;
mod tokens;
mod undo;
mod watch;
mod work;

pub use open::{Durability, OpenOptions, SqliteStore};
