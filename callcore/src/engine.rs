//! The gate every dial passes.
//!
//! ```text
//! claim -> Facts -> decide -> Command::Settle(..)  deferred or retired, with the reason
//!                          -> Command::Dial(Permit)
//!                                 -> Store::begin (admit: the same rules once more, in the
//!                                    transaction that stores the intent) -> Ticket -> place_call
//! ```
//!
//! A [`Permit`] proves that every rule said yes, a [`Ticket`] that the intent is stored. Neither
//! can be cloned, deserialised or built outside the core, so neither a dial without rules nor a
//! dial without a stored intent compiles.

mod account;
mod admit;
mod decide;
mod foresee;
mod permit;
mod standing;
#[cfg(test)]
mod tests;
mod why;

pub use account::AccountFacts;
pub use admit::{AdmitFacts, BeginRefusal, admit, dials_allowed, next_dial_at};
pub use decide::{
    Command, Defer, Facts, Heard, Lease, Person, Rule, Settlement, Verdict, decide, explain,
};
pub use foresee::{Foreseen, foresee};
pub(crate) use permit::fill;
pub use permit::{Permit, Ticket};
pub use standing::{
    CallBrief, Case, Outlook, PlannedCall, Resumed, Stage, Tally, moved_into_hours, outlook,
    resumed,
};
pub use why::{Why, why};

use chrono::TimeDelta;

/// How long a call may ring; Twilio's default `Timeout` is 60 s.
pub const RING_LIMIT: TimeDelta = TimeDelta::seconds(60);

/// How long a call may last once it is answered.
pub const TALK_LIMIT: TimeDelta = TimeDelta::minutes(15);

/// How long a begun call holds its slot if nothing more is heard of it: ring time, talk limit and
/// a margin.
pub const SLOT_HOLD: TimeDelta = TimeDelta::seconds(60 + 15 * 60 + 60);

/// How long a call may stay unknown before it counts as failed and its client needs follow-up.
pub const UNKNOWN_LIMIT: TimeDelta = TimeDelta::days(1);

/// How long whoever wants a call hung up has to ask the carrier, before a store brings the call up
/// again; the wait doubles.
pub const HANG_UP_FIRST_WAIT: TimeDelta = TimeDelta::seconds(3);

/// The longest wait between two times that a carrier is asked to hang up one call.
pub const HANG_UP_LONGEST_WAIT: TimeDelta = TimeDelta::minutes(10);

/// How long a ticket is good, on the wall clock.
pub const TICKET_LIFE: TimeDelta = TimeDelta::seconds(5);
