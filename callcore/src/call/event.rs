//! What a carrier, or the driver, says about a call.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::id::CallId;
use crate::phone::PhoneNumber;

/// One event of one call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The call it is about.
    pub call: CallRef,
    /// What happened.
    pub event: CallEvent,
}

impl Report {
    /// An event of one of our own dials.
    #[must_use]
    pub const fn ours(call: CallId, at: DateTime<Utc>, kind: EventKind) -> Self {
        Self { call: CallRef::Ours(call), event: CallEvent { at, kind } }
    }
}

/// Which call an event is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallRef {
    /// A call we dialled; carriers hand our id back in every callback.
    Ours(CallId),
    /// A call that came in, by the carrier's id.
    Inbound(InboundRing),
}

/// An inbound call as the carrier names it. Every event of it carries this whole, so that the
/// first to arrive, whichever it is, can make the row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboundRing {
    /// The carrier's id for the call.
    pub carrier_call_id: String,
    /// Who rings; withheld and odd caller IDs are none.
    pub from: Option<PhoneNumber>,
    /// The id the call gets if it is new.
    pub new_id: CallId,
}

/// One thing that happened to a call. Two equal events are one: carriers repeat themselves.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CallEvent {
    /// When, on the campaign clock, as the carrier says.
    pub at: DateTime<Utc>,
    /// What.
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum EventKind {
    /// The carrier took the call.
    Placed {
        /// The carrier's id for it.
        carrier_call_id: String,
    },
    /// The carrier certainly did not take it.
    NotPlaced {
        /// Why, as a stable code.
        reason: String,
        /// Whether the number can never be reached.
        permanent: bool,
    },
    /// The carrier may have taken it: no clear answer came.
    Unclear,
    /// It rings.
    Ringing,
    /// Something answered.
    Answered,
    /// What answered, as detection says.
    Detected {
        /// The verdict.
        by: AnsweredBy,
    },
    /// A key was pressed.
    Key {
        /// The key.
        digit: char,
        /// The how-manieth press it is, so that two presses of one key in one instant are two.
        press: u32,
    },
    /// The person asked not to be called again, other than by a key of the script.
    OptOut,
    /// Somebody said something.
    Line {
        /// The line's place in the conversation.
        index: u32,
        /// Who spoke.
        speaker: Speaker,
        /// Seconds since the call was answered.
        offset_seconds: u32,
        /// The words.
        text: String,
    },
    /// A recording is ready.
    Recorded {
        /// How the carrier finds it again.
        reference: String,
    },
    /// The call is over.
    Ended {
        /// How.
        ending: Ending,
        /// Seconds somebody was on the line.
        talk_seconds: u32,
    },
    /// Nobody could say what became of it for so long that it counts as failed.
    GivenUp,
    /// The call was handed to a number of the script.
    Transferred,
    /// Somebody said something, told by its instant: where it stands in the conversation follows
    /// from when the call was answered, whichever of the two is heard of first.
    Said {
        /// The line's place among those of one instant.
        index: u32,
        /// Who spoke.
        speaker: Speaker,
        /// The words.
        text: String,
    },
    /// The voice agent puts a tag on the client.
    Tag {
        /// The tag.
        tag: String,
    },
    /// The voice agent's own label for the call.
    Disposition {
        /// The label.
        label: String,
    },
    /// The voice agent wrote something down.
    Note {
        /// The words.
        text: String,
    },
}

impl EventKind {
    /// Whether the event proves that the carrier has, or had, the call.
    #[must_use]
    pub const fn proves_placed(&self) -> bool {
        !matches!(self, Self::NotPlaced { .. } | Self::Unclear | Self::GivenUp)
    }
}

/// How a call ended on the line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    // In order of weight: when a carrier says two things, the later one here counts.
    /// It was called off before anybody answered.
    Canceled,
    /// It could not be connected.
    Failed {
        /// Why, as a stable code.
        reason: String,
        /// Whether the number can never be reached.
        permanent: bool,
    },
    /// It rang and nobody came.
    NoAnswer,
    /// The line was busy.
    Busy,
    /// It was answered and hung up.
    Completed,
}

/// What answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnsweredBy {
    // In order of weight, should verdicts differ: taking a machine for a person costs a retry,
    // taking a person for a machine rings them once more.
    /// Detection could not tell; counts as a person.
    Unknown,
    /// A fax.
    Fax,
    /// A voicemail.
    Machine,
    /// A person.
    Human,
}

impl AnsweredBy {
    /// The word JSON and pages use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Fax => "fax",
            Self::Machine => "machine",
            Self::Human => "human",
        }
    }
}

/// Who spoke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Speaker {
    /// The campaign's side.
    Agent,
    /// The other side.
    Client,
}

impl Speaker {
    /// The word JSON and pages use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Client => "client",
        }
    }
}
