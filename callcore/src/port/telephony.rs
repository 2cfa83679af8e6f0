//! The carrier.

use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::call::CallEvent;
use crate::engine::Ticket;
use crate::id::CallId;
use crate::port::OpenCall;

/// A carrier that places calls.
///
/// - **T1** One ticket is at most one dial, whatever the network does: an implementation never
///   repeats a request by itself.
/// - **T2** `Placement::NotPlaced` means that the carrier certainly did not and will not dial. Every
///   doubt is `Placement::Unknown`.
/// - **T3** What happens to a call comes as events that carry our call id, possibly late, twice and
///   out of order.
/// - **T4** `find_call` proves a match by our call id, never by number and time alone.
/// - **T5** `check` and `find_call` never dial.
/// - **T6** When `delete_recording` has returned, the carrier no longer has the recording.
/// - **T7** A call that is over may be hung up, and so may one that was hung up. One that can't be
///   addressed yet is an error: it is asked for again, with the carrier's id once that is known.
#[async_trait]
pub trait Telephony: fmt::Debug + Send + Sync + 'static {
    /// The kind of carrier, in one word: a database belongs to the kind it was first used with.
    fn kind(&self) -> &'static str;

    /// Whether nobody's phone rings.
    fn is_simulated(&self) -> bool;

    /// Asks the carrier to dial.
    async fn place_call(&self, ticket: Ticket) -> Placement;

    /// Ends a call as soon as possible, whether it rings or talks. A call that is over already is no error.
    ///
    /// # Errors
    ///
    /// The carrier could not be asked.
    async fn hang_up(
        &self,
        call: CallId,
        carrier_call_id: Option<&str>,
    ) -> Result<(), TelephonyError>;

    /// Asks what became of a call.
    ///
    /// # Errors
    ///
    /// The carrier could not be asked.
    async fn find_call(&self, call: &OpenCall) -> Result<Found, TelephonyError>;

    /// Asks the carrier anything that changes nothing: whether it answers.
    ///
    /// # Errors
    ///
    /// It does not.
    async fn check(&self) -> Result<(), TelephonyError>;

    /// Fetches a recording by the reference an event brought; none if the carrier has it no more.
    ///
    /// # Errors
    ///
    /// The carrier could not be asked.
    async fn recording(&self, reference: &str) -> Result<Option<Audio>, TelephonyError>;

    /// Deletes a recording for good. One the carrier does not have is no error: it may be asked
    /// twice.
    ///
    /// # Errors
    ///
    /// The carrier could not be asked, or did not confirm.
    async fn delete_recording(&self, reference: &str) -> Result<(), TelephonyError>;
}

/// What came of asking a carrier to dial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placement {
    /// It took the call.
    Placed {
        /// Its id for it.
        carrier_call_id: String,
    },
    /// It certainly did not, and would not if asked again.
    Refused {
        /// Why, as a stable code.
        reason: String,
        /// What is at fault.
        fault: Fault,
    },
    /// It certainly did not, and may be asked again at this instant of the campaign clock.
    Later {
        /// When.
        at: DateTime<Utc>,
    },
    /// The request may have reached it, and no clear answer came.
    Unknown,
}

/// What is at fault when a carrier does not take a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The number.
    Number {
        /// Whether it can never be reached.
        permanent: bool,
    },
    /// The account at the carrier or its settings: every other call would meet the same, so the
    /// campaign pauses.
    Configuration,
    /// What was asked: a defect of the program. The campaign pauses, and somebody hears of it.
    Request,
}

/// What a carrier knows of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// It has, or had, the call: what happened to it so far.
    Events(Vec<CallEvent>),
    /// It knows of no such call. That is no proof: carriers are eventually consistent.
    Nothing,
}

/// A recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audio {
    /// Its media type.
    pub content_type: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A carrier could not be asked.
#[derive(Debug, thiserror::Error)]
#[error("the carrier could not be asked to {operation}")]
pub struct TelephonyError {
    operation: &'static str,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl TelephonyError {
    /// An error of one operation.
    #[must_use]
    pub const fn new(operation: &'static str) -> Self {
        Self { operation, source: None }
    }

    /// The error with what caused it.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}
