//! For tests: what a store has to show before it may be trusted with calls (feature `testing`).
//!
//! [`store_conformance!`](crate::store_conformance) makes one test for each clause of the ports, and
//! [`compare()`] plays one random history to two stores and compares everything they say.
//!
//! The names and the number of cases are exempt from semantic versioning: a new case that a store
//! fails is a bug found, not a break.

pub mod carrier;
mod compare;
pub mod fixtures;
pub mod notifier;
pub(crate) mod recount;
pub mod simulation;
pub mod store;

pub use compare::compare;
pub use recount::recount;
pub use store::StoreFactory;
