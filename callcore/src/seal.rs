//! Short-lived tokens for those who don't sign in: a voice agent that reports the result of its
//! call, a carrier that fetches an audio.
//!
//! A token names its object and the instant it ends, sealed with HMAC-SHA-256 (RFC 2104) under a
//! secret that the database keeps: nothing has to be stored for it, and every node of one database
//! takes the tokens of the others. An agent's token also carries whose call it is, for the moment
//! when the database is away; only the secret reads it.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use uuid::Uuid;

use crate::engine::SLOT_HOLD;
use crate::id::{AudioId, CallId};
use crate::phone::PhoneNumber;
use crate::port::{Access, StoreError, StoreErrorKind};
use crate::time::Entropy;

/// How long after the latest end of its call an agent may report the result: one hour.
pub const RESULT_GRACE: TimeDelta = TimeDelta::hours(1);

/// How long a carrier may fetch an audio: longer than any call lasts.
pub const AUDIO_LIFE: TimeDelta = TimeDelta::hours(1);

/// The fact a database keeps its secret under.
const FACT: &str = "token_secret";
/// Of the 32 bytes of a seal a token carries 16 (RFC 2104, section 5).
const SEAL_LEN: usize = 16;
/// What every token names: an object and an instant.
const BODY_LEN: usize = 16 + 8;
/// A number as a token hides it.
const PHONE_LEN: usize = 8;

/// Makes tokens and knows its own.
#[derive(Clone)]
pub struct Sealer([u8; 32]);

/// Whose result an agent may report.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AgentsCall {
    /// The call.
    pub call: CallId,
    /// The other party's number; a withheld caller ID is none.
    pub phone: Option<PhoneNumber>,
}

impl fmt::Debug for AgentsCall {
    /// Leaves the number out: it doesn't belong in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentsCall").field("call", &self.call).finish_non_exhaustive()
    }
}

/// A token lets nobody in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is none of ours, or one for something else.
    #[error("not a token")]
    Forged,
    /// Its time is over.
    #[error("the token ended")]
    Expired,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer")
    }
}

impl Sealer {
    /// A sealer with a secret.
    #[must_use]
    pub const fn new(secret: [u8; 32]) -> Self {
        Self(secret)
    }

    /// The sealer of a database, which gets a secret of its own the first time.
    ///
    /// # Errors
    ///
    /// The store failed, or what it keeps is no secret.
    pub async fn of<S: Access + ?Sized>(
        store: &S,
        entropy: &dyn Entropy,
    ) -> Result<Self, StoreError> {
        let stored = match store.fact(FACT).await? {
            Some(stored) => stored,
            None => {
                let mut secret = [0; 32];
                entropy.fill(&mut secret);
                store.put_fact(FACT, &hex(&secret)).await?
            }
        };
        let secret = unhex(&stored).and_then(|bytes| bytes.try_into().ok());
        secret.map(Self).ok_or(StoreError::new(StoreErrorKind::Corrupt, "token_secret"))
    }

    /// The token with which the agent of a call that begins now on the wall clock reports its
    /// result, until [`RESULT_GRACE`] after the call must have ended. Nobody else reads the number in
    /// it.
    #[must_use]
    pub fn result(&self, call: CallId, phone: Option<PhoneNumber>, wall: DateTime<Utc>) -> String {
        let mut body = body(call.uuid(), wall + SLOT_HOLD + RESULT_GRACE);
        let digits = phone.map_or(0, PhoneNumber::digits).to_be_bytes();
        body.extend(self.masked(digits, &body));
        self.seal(Use::Result, body)
    }

    /// The call whose result a token may report, and the number it was made for.
    ///
    /// # Errors
    ///
    /// It is no such token, or it ended.
    pub fn call_of(&self, token: &str, wall: DateTime<Utc>) -> Result<AgentsCall, TokenError> {
        let (call, rest) = self.open(Use::Result, token, wall)?;
        let call = CallId::from_uuid(call);
        let Ok(masked) = <[u8; PHONE_LEN]>::try_from(&rest[BODY_LEN..]) else {
            // One of before tokens carried the number.
            return Ok(AgentsCall { call, phone: None });
        };
        let digits = u64::from_be_bytes(self.masked(masked, &rest[..BODY_LEN]));
        Ok(AgentsCall { call, phone: PhoneNumber::from_digits(digits).ok() })
    }

    /// The token under which a carrier fetches an audio for [`AUDIO_LIFE`] on the wall clock.
    #[must_use]
    pub fn audio(&self, audio: AudioId, wall: DateTime<Utc>) -> String {
        self.seal(Use::Audio, body(audio.uuid(), wall + AUDIO_LIFE))
    }

    /// The audio a token lets fetch.
    ///
    /// # Errors
    ///
    /// It is no such token, or it ended.
    pub fn audio_of(&self, token: &str, wall: DateTime<Utc>) -> Result<AudioId, TokenError> {
        self.open(Use::Audio, token, wall).map(|(audio, _)| AudioId::from_uuid(audio))
    }

    fn seal(&self, what: Use, mut body: Vec<u8>) -> String {
        let seal = self.mac(what, &body).finalize().into_bytes();
        body.extend(&seal[..SEAL_LEN]);
        hex(&body)
    }

    /// The object of a token that is good, and all that it says.
    fn open(
        &self,
        what: Use,
        token: &str,
        wall: DateTime<Utc>,
    ) -> Result<(Uuid, Vec<u8>), TokenError> {
        let forged = TokenError::Forged;
        let mut bytes = unhex(token).ok_or(forged)?;
        let len = bytes.len().checked_sub(SEAL_LEN).ok_or(forged)?;
        let is_known = match what {
            Use::Result => len == BODY_LEN || len == BODY_LEN + PHONE_LEN,
            Use::Audio => len == BODY_LEN,
            Use::Phone => false,
        };
        if !is_known {
            return Err(forged);
        }
        let seal = bytes.split_off(len);
        self.mac(what, &bytes).verify_truncated_left(&seal).map_err(|_| forged)?;
        let object = Uuid::from_slice(&bytes[..16]).map_err(|_| forged)?;
        let until: [u8; 8] = bytes[16..BODY_LEN].try_into().map_err(|_| forged)?;
        if wall.timestamp() < i64::from_be_bytes(until) {
            Ok((object, bytes))
        } else {
            Err(TokenError::Expired)
        }
    }

    /// A number under a mask, or out of it. The mask is a pseudorandom function of what the token
    /// names, and one call has one number: no mask hides two.
    fn masked(&self, number: [u8; PHONE_LEN], body: &[u8]) -> [u8; PHONE_LEN] {
        let mask = self.mac(Use::Phone, body).finalize().into_bytes();
        let mut masked = number;
        masked.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
        masked
    }

    fn mac(&self, what: Use, body: &[u8]) -> Hmac<Sha256> {
        let mut mac = match Hmac::<Sha256>::new_from_slice(&self.0) {
            Ok(mac) => mac,
            Err(_) => unreachable!("HMAC takes keys of any length"),
        };
        // A token for one thing must not open another with the same id.
        mac.update(&[what as u8]);
        mac.update(body);
        mac
    }
}

#[derive(Debug, Clone, Copy)]
enum Use {
    Result = 1,
    Audio = 2,
    /// No token: what hides a number within one.
    Phone = 3,
}

fn body(object: Uuid, until: DateTime<Utc>) -> Vec<u8> {
    let mut body = object.as_bytes().to_vec();
    body.extend(until.timestamp().to_be_bytes());
    body
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit()) && text.len().is_multiple_of(2);
    let pair = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    if digits { (0..text.len()).step_by(2).map(pair).collect() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryStore;
    use crate::time::SeededEntropy;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn a_token_opens_its_own_object_until_it_ends_and_nothing_else() {
        let entropy = SeededEntropy::new(3);
        let (call, audio) = (CallId::new(at(0), &entropy), AudioId::new(at(0), &entropy));
        let sealer = Sealer::new([7; 32]);
        let phone: PhoneNumber = "+12125550123".parse().unwrap();
        let agents = AgentsCall { call, phone: Some(phone) };
        let (result, fetch) =
            (sealer.result(call, Some(phone), at(100)), sealer.audio(audio, at(100)));
        assert_eq!(sealer.call_of(&result, at(100)), Ok(agents));
        assert_eq!(sealer.audio_of(&fetch, at(100)), Ok(audio));
        let ends = at(100) + SLOT_HOLD + RESULT_GRACE;
        let last = ends - TimeDelta::seconds(1);
        assert_eq!(sealer.call_of(&result, last), Ok(agents));
        assert_eq!(sealer.call_of(&result, ends), Err(TokenError::Expired));
        let forged = Err(TokenError::Forged);
        assert_eq!(sealer.audio_of(&result, at(100)), forged.map(|call: AudioId| call));
        assert_eq!(sealer.call_of(&fetch, at(100)), Err(TokenError::Forged));
        assert_eq!(Sealer::new([8; 32]).call_of(&result, at(100)), Err(TokenError::Forged));
        for (place, digit) in result.char_indices() {
            let mut changed = result.clone();
            changed.replace_range(place..=place, if digit == '0' { "1" } else { "0" });
            assert_eq!(sealer.call_of(&changed, at(100)), Err(TokenError::Forged));
        }
        for text in ["", "0", "é", &result[2..], &result[..result.len() - 2]] {
            assert_eq!(sealer.call_of(text, at(100)), Err(TokenError::Forged), "{text}");
        }
    }

    #[test]
    fn nobody_reads_the_number_in_a_token_without_the_secret() {
        let (entropy, sealer) = (SeededEntropy::new(3), Sealer::new([7; 32]));
        let phone: PhoneNumber = "+12125550123".parse().unwrap();
        let digits = hex(&phone.digits().to_be_bytes());
        let hidden = |call| {
            let token = sealer.result(call, Some(phone), at(100));
            token[2 * BODY_LEN..2 * (BODY_LEN + PHONE_LEN)].to_owned()
        };
        let (one, two) = (CallId::new(at(0), &entropy), CallId::new(at(0), &entropy));
        assert_ne!(hidden(one), digits);
        assert_ne!(hidden(one), hidden(two), "two calls to one person look like two people's");
        assert_eq!(hidden(one), hidden(one));
    }

    #[test]
    fn a_token_of_before_it_carried_a_number_is_still_taken() {
        let sealer = Sealer::new([7; 32]);
        let call = CallId::new(at(0), &SeededEntropy::new(3));
        let token = sealer.seal(Use::Result, body(call.uuid(), at(200)));
        assert_eq!(sealer.call_of(&token, at(100)), Ok(AgentsCall { call, phone: None }));
        assert_eq!(sealer.call_of(&token, at(200)), Err(TokenError::Expired));
    }

    #[tokio::test]
    async fn every_node_of_a_database_has_one_secret() {
        let store = MemoryStore::default();
        let first = Sealer::of(&store, &SeededEntropy::new(1)).await.unwrap();
        let second = Sealer::of(&store, &SeededEntropy::new(2)).await.unwrap();
        let call = CallId::new(at(0), &SeededEntropy::new(3));
        let token = first.result(call, None, at(0));
        assert_eq!(second.call_of(&token, at(0)), Ok(AgentsCall { call, phone: None }));
        assert_eq!(format!("{first:?}"), "Sealer");
    }
}
