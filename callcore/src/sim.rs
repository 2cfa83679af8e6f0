//! The simulated carrier: people, machines and busy lines out of a seed.
//!
//! [`SimCarrier`] is the carrier itself, a pure state machine over the campaign clock: the same
//! seed and the same dials give the same events, so a run replays and a restart picks up where it
//! left. [`SimTelephony`] is the port in front of it. Nobody's phone rings.
//!
//! ```
//! use callcore::call::EventKind;
//! use callcore::id::CallId;
//! use callcore::sim::{SimCarrier, SimDial, SimModel};
//! use callcore::time::SeededEntropy;
//! use chrono::{DateTime, TimeDelta};
//!
//! let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
//! let mut carrier = SimCarrier::new(7, SimModel::default());
//! let call = CallId::new(now, &SeededEntropy::new(1));
//! carrier.place(SimDial::new(call, "+12125550123".parse()?), now);
//! let reports = carrier.advance(now + TimeDelta::hours(1));
//! assert!(reports.iter().any(|report| matches!(report.event.kind, EventKind::Ended { .. })));
//! # Ok::<(), callcore::phone::PhoneNumberError>(())
//! ```

mod agent;
mod audio;
mod carrier;
mod dial;
mod dice;
mod model;
mod plan;
mod telephony;

pub use audio::recording;
pub use carrier::{Dial, SimCarrier};
pub use dial::{AgentPost, SimAgent, SimDial, SimInbound, SimRecord};
pub use model::{Endings, Fate, Mischief, SimModel, Spread};
pub use telephony::SimTelephony;

#[cfg(test)]
mod tests;
