//! Ids: one type for each kind of thing, so that a client's id can't be passed for a call's.
//!
//! Every id is a UUID version 7 (RFC 9562) made from an instant and entropy that are passed in:
//! the core reads no clock and rolls no dice, so a seed replays exactly.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::time::Entropy;

/// The text was not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id")]
pub struct IdError;

fn v7(now: DateTime<Utc>, random: [u8; 10]) -> Uuid {
    // Instants before 1970 don't occur in a call's life; they sort first rather than wrap.
    let millis = u64::try_from(now.timestamp_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

macro_rules! typed_id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id; ids made later sort later, to the millisecond.
            #[must_use]
            pub fn new(now: DateTime<Utc>, entropy: &dyn Entropy) -> Self {
                let mut random = [0; 10];
                entropy.fill(&mut random);
                Self(v7(now, random))
            }

            /// The id a store read back.
            #[must_use]
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The id as a store keeps it.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Uuid::try_parse(text).map(Self).map_err(|_| IdError)
            }
        }
    )*};
}

typed_id! {
    /// A campaign.
    CampaignId;
    /// A client: one row of an uploaded list, one person in one campaign.
    ClientId;
    /// A call: one dial or one inbound ring, from `scheduled` to `ended`.
    CallId;
    /// An import of clients.
    ImportId;
    /// An entry of the audit log.
    AuditId;
    /// A person who signs in.
    UserId;
    /// A named token.
    TokenId;
    /// A notice waiting in the outbox.
    NoticeId;
    /// A mail.
    MailId;
    /// An uploaded audio.
    AudioId;
}

impl ImportId {
    /// The first id of an instant, whether or not there is such an import.
    #[must_use]
    pub fn earliest(at: DateTime<Utc>) -> Self {
        Self(v7(at, [0; 10]))
    }
}

impl CallId {
    /// A new id among many of one instant: they sort in their `order`, so that calls due at one
    /// instant are made in the order of the uploaded list.
    #[must_use]
    pub fn in_order(now: DateTime<Utc>, order: u32, entropy: &dyn Entropy) -> Self {
        let mut random = [0; 10];
        entropy.fill(&mut random);
        let [first, second, third, fourth] = order.to_be_bytes();
        // RFC 9562, section 6.2, method 1: a counter in the bits that follow the instant. Version
        // and variant take four bits before it and two within.
        random[0] = first >> 4;
        random[1] = (first << 4) | (second >> 4);
        random[2] = ((second << 2) | (third >> 6)) & 0x3f;
        random[3] = (third << 2) | (fourth >> 6);
        random[4] = (fourth << 2) | (random[4] & 0x03);
        Self(v7(now, random))
    }

    /// The id of the retry that follows a call.
    ///
    /// It is derived, not rolled: a call's events may come in any order, and each order must
    /// plan the same retry under the same id.
    #[must_use]
    pub fn successor(self, ended_at: DateTime<Utc>) -> Self {
        let mut state = fold(self.0.as_bytes());
        let mut random = [0; 10];
        for chunk in random.chunks_mut(8) {
            state = splitmix(state);
            let bytes = state.to_le_bytes();
            let len = chunk.len();
            chunk.copy_from_slice(&bytes[..len]);
        }
        Self(v7(ended_at, random))
    }
}

fn fold(bytes: &[u8; 16]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

pub(crate) const fn splitmix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SeededEntropy;

    #[test]
    fn later_ids_sort_later_and_carry_their_version() {
        let entropy = SeededEntropy::new(1);
        let early = CallId::new(DateTime::from_timestamp_millis(1_000).unwrap(), &entropy);
        let late = CallId::new(DateTime::from_timestamp_millis(2_000).unwrap(), &entropy);
        assert!(early < late);
        assert_eq!(early.uuid().get_version_num(), 7);
    }

    #[test]
    fn ids_of_one_instant_sort_in_their_order() {
        let entropy = SeededEntropy::new(3);
        let at = DateTime::from_timestamp_millis(5_000).unwrap();
        let orders = [0, 1, 63, 64, 0x3fff, 0x4000, 0x000f_ffff, 0x0010_0000, u32::MAX];
        let ids = orders.map(|order| CallId::in_order(at, order, &entropy));
        assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
        assert_ne!(CallId::in_order(at, 7, &entropy), CallId::in_order(at, 7, &entropy));
        assert_eq!(ids[8].uuid().get_version_num(), 7);
    }

    #[test]
    fn a_successor_is_the_same_however_often_it_is_derived() {
        let entropy = SeededEntropy::new(2);
        let at = DateTime::from_timestamp_millis(5_000).unwrap();
        let (a, b) = (CallId::new(at, &entropy), CallId::new(at, &entropy));
        assert_eq!(a.successor(at), a.successor(at));
        assert_ne!(a.successor(at), b.successor(at));
        assert_ne!(a.successor(at), a);
    }
}
