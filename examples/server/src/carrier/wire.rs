//! What the server and the simulated carrier's process say to each other.
//!
//! Every message is sealed with HMAC-SHA-256 under a secret both know, and every request to the
//! carrier tells how the campaign clock runs, so that both judge by the same one.

use callcore::call::{CallEvent, CallRef, InboundRing, Report};
use callcore::id::CallId;
use callcore::phone::PhoneNumber;
use callcore::time::Clock;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// The carrier's name in the path of its webhooks.
pub(crate) const PROVIDER: &str = "simulated";
/// Where below `/webhooks/simulated/` events go.
pub(crate) const EVENTS: &str = "events";
/// The header with a message's seal, in hex.
pub(crate) const SEAL: &str = "x-callcore-seal";
/// The header that tells how the campaign clock runs.
pub(crate) const CLOCK: &str = "x-callcore-clock";

/// The seal of a message made of parts.
pub(crate) fn seal(secret: &str, parts: &[&[u8]]) -> String {
    mac(secret, parts).finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a seal is that of the message, told in a time that does not depend on where it differs.
pub(crate) fn is_sealed(secret: &str, parts: &[&[u8]], seal: &str) -> bool {
    unhex(seal).is_some_and(|seal| mac(secret, parts).verify_slice(&seal).is_ok())
}

fn mac(secret: &str, parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = match Hmac::<Sha256>::new_from_slice(secret.as_bytes()) {
        Ok(mac) => mac,
        Err(_) => unreachable!("HMAC takes keys of any length"),
    };
    for part in parts {
        // With its length before it, no part can be moved into its neighbour.
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pair = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(pair).collect()
}

/// How the campaign clock runs: at an instant of the wall clock it showed another one, and so many
/// of its seconds pass in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClockLine {
    /// The wall clock's instant.
    pub(crate) wall: DateTime<Utc>,
    /// What the campaign clock showed then.
    pub(crate) campaign: DateTime<Utc>,
    /// Campaign seconds in a second.
    pub(crate) speed: u32,
}

impl ClockLine {
    /// How the clocks of this process run now.
    pub(crate) fn of(campaign: &dyn Clock, wall: &dyn Clock, speed: u32) -> Self {
        Self { wall: wall.now(), campaign: campaign.now(), speed }
    }

    /// What the campaign clock shows when the wall clock shows `wall`.
    pub(crate) fn at(&self, wall: DateTime<Utc>) -> DateTime<Utc> {
        let passed = (wall - self.wall).max(TimeDelta::zero()).num_milliseconds();
        self.campaign + TimeDelta::milliseconds(passed.saturating_mul(i64::from(self.speed)))
    }

    /// How long to sleep from `wall` on until the campaign clock shows `at`.
    pub(crate) fn until(&self, at: DateTime<Utc>, wall: DateTime<Utc>) -> std::time::Duration {
        (at - self.at(wall)).to_std().unwrap_or_default() / self.speed.max(1)
    }

    /// The line as a header.
    pub(crate) fn header(&self) -> String {
        let text = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Micros, true);
        format!("{} {} {}", text(self.wall), text(self.campaign), self.speed)
    }

    /// Reads the header.
    pub(crate) fn parse(header: &str) -> Option<Self> {
        let mut parts = header.split(' ');
        let mut next = || parts.next();
        Some(Self {
            wall: next()?.parse().ok()?,
            campaign: next()?.parse().ok()?,
            speed: next()?.parse().ok()?,
        })
    }
}

/// The carrier took a dial.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Placed {
    pub(crate) carrier_call_id: String,
}

/// What became of a call so far.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CallEvents {
    pub(crate) events: Vec<CallEvent>,
}

/// Events on their way to the server.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Delivery {
    pub(crate) events: Vec<Message>,
}

/// One event of one call.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Message {
    call: About,
    event: CallEvent,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum About {
    Ours(CallId),
    Inbound { carrier_call_id: String, from: Option<PhoneNumber>, new_id: CallId },
}

impl From<Report> for Message {
    fn from(report: Report) -> Self {
        let call = match report.call {
            CallRef::Ours(call) => About::Ours(call),
            CallRef::Inbound(InboundRing { carrier_call_id, from, new_id }) => {
                About::Inbound { carrier_call_id, from, new_id }
            }
        };
        Self { call, event: report.event }
    }
}

impl From<Message> for Report {
    fn from(message: Message) -> Self {
        let call = match message.call {
            About::Ours(call) => CallRef::Ours(call),
            About::Inbound { carrier_call_id, from, new_id } => {
                CallRef::Inbound(InboundRing { carrier_call_id, from, new_id })
            }
        };
        Self { call, event: message.event }
    }
}
