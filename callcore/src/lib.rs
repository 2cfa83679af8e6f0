//! Call campaigns as a library: a list of clients goes in, each is called when the rules allow it,
//! and what happened comes out.
//!
//! The core decides and remembers; it does no I/O and reads no clock. A [`Store`](port::Store)
//! keeps everything, a [`Telephony`](port::Telephony) dials, and a [`Driver`](driver::Driver)
//! joins them:
//!
//! 1. [`import`] turns a CSV into clients, each with a scheduled call;
//! 2. [`Driver::tick`](driver::Driver::tick) claims the calls that are due, asks
//!    [`decide`](engine::decide()) about each, stores the intent of those that may be dialled, and only
//!    then asks the carrier;
//! 3. what the carrier says comes back as events, and a call is a function of the set of them;
//! 4. [`analytics`] adds up, [`engine::explain`] says why.
//!
//! ```
//! use std::sync::Arc;
//! use callcore::campaign::{Settings, Transition};
//! use callcore::memory::MemoryStore;
//! use callcore::port::{By, Campaigns, NewCampaign};
//! use callcore::{actor::Actor, id::CampaignId, time::SeededEntropy};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = MemoryStore::default();
//! let settings = Settings::from_json(&serde_json::json!({
//!     "name": "Renewals",
//!     "hours": {"mon": [["09:00", "17:00"]]},
//!     "time_zone": "America/New_York",
//! }))?;
//!
//! let now = "2026-11-23T15:00:00Z".parse()?;
//! let by = By::new(&Actor::System, now);
//! let id = CampaignId::new(now, &SeededEntropy::new(1));
//! store.create_campaign(by, NewCampaign { id, settings: Arc::new(settings) }).await?;
//!
//! // A campaign without clients does not start.
//! assert!(store.change_state(by, id, Transition::Start).await.is_err());
//! # Ok(())
//! # }
//! ```
//!
//! Features: `sim` has a simulated carrier, `tokio` the loops around the driver, `testing` the
//! conformance suite for stores and the simulation with faults.

pub mod account;
pub mod actor;
pub mod analytics;
pub mod audio;
pub mod call;
pub mod campaign;
pub mod client;
pub mod desk;
pub mod dnc;
pub mod driver;
pub mod engine;
pub mod erase;
pub mod export;
mod formula;
pub mod id;
pub mod import;
pub mod mail;
pub mod mailer;
pub mod memory;
pub mod opt_outs;
pub mod performance;
pub mod phone;
pub mod port;
pub mod preview;
pub mod rules;
#[cfg(feature = "tokio")]
pub mod runtime;
pub mod script;
pub mod seal;
#[cfg(feature = "sim")]
pub mod sim;
pub mod summary;
#[cfg(feature = "testing")]
pub mod testing;
pub mod text;
pub mod time;
pub mod zones;
