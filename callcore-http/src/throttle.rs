//! How often a password may be guessed.
//!
//! Guesses are counted for each user name, whether or not anybody has it, and for each place they
//! come from. The counts live in memory: a restart forgives, and every node counts for itself.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use axum::extract::ConnectInfo;
use axum::http::Extensions;
use chrono::{DateTime, TimeDelta, Utc};

use crate::auth::digest;

/// How long a guess counts, on the wall clock.
const WINDOW: TimeDelta = TimeDelta::minutes(15);

/// How many wrong passwords a name bears within the window.
const GUESSES_OF_A_NAME: u32 = 10;

/// How many wrong passwords may come from one place within the window: more, for an office shares an
/// address.
const GUESSES_FROM_A_PLACE: u32 = 50;

/// How many names, and how many places, are remembered.
const REMEMBERED: usize = 10_000;

/// Where a request comes from, as a layer of the application's tells it: behind a proxy, the address
/// the proxy names. Without one it is the address of the connection, if the server was told to keep
/// it; else guesses are counted by name alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source(pub String);

impl Source {
    pub(crate) fn of(extensions: &Extensions) -> Option<Self> {
        if let Some(source) = extensions.get::<Self>() {
            return Some(source.clone());
        }
        let ConnectInfo(address) = extensions.get::<ConnectInfo<SocketAddr>>()?;
        Some(Self(match address.ip().to_canonical() {
            IpAddr::V4(ip) => ip.to_string(),
            // Whoever has one address of IPv6 has the 2^64 beside it too.
            IpAddr::V6(ip) => format!("{:x}", ip.to_bits() >> 64),
        }))
    }
}

#[derive(Debug, Default)]
pub(crate) struct Throttle(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    names: Table,
    places: Table,
}

/// Counts by the digest of what they are for, so that long names take no more than short ones.
type Table = BTreeMap<[u8; 32], Count>;

#[derive(Debug, Clone, Copy)]
struct Count {
    since: DateTime<Utc>,
    guesses: u32,
}

impl Throttle {
    /// Counts a guess before it is looked at, so that many at once are counted as many; or says how
    /// long to wait.
    pub(crate) fn admit(
        &self,
        name: &str,
        source: Option<&Source>,
        wall: DateTime<Utc>,
    ) -> Result<(), TimeDelta> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (name, place) = (digest(name), source.map(|source| digest(&source.0)));
        let waits = [
            wait(&counts.names, name, GUESSES_OF_A_NAME, wall),
            place.and_then(|place| wait(&counts.places, place, GUESSES_FROM_A_PLACE, wall)),
        ];
        if let Some(wait) = waits.into_iter().flatten().max() {
            return Err(wait);
        }
        count(&mut counts.names, name, wall);
        if let Some(place) = place {
            count(&mut counts.places, place, wall);
        }
        Ok(())
    }

    /// The password was right: the guesses before it were a person's own.
    pub(crate) fn forgive(&self, name: &str, source: Option<&Source>) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.names.remove(&digest(name));
        // Only this one: else whoever has one password could guess others' without end.
        let place = source.and_then(|source| counts.places.get_mut(&digest(&source.0)));
        if let Some(place) = place {
            place.guesses = place.guesses.saturating_sub(1);
        }
    }
}

fn is_over(count: &Count, wall: DateTime<Utc>) -> bool {
    (wall - count.since).abs() >= WINDOW
}

fn wait(table: &Table, key: [u8; 32], most: u32, wall: DateTime<Utc>) -> Option<TimeDelta> {
    let count = table.get(&key).filter(|count| !is_over(count, wall))?;
    (count.guesses >= most).then(|| count.since + WINDOW - wall)
}

fn count(table: &mut Table, key: [u8; 32], wall: DateTime<Utc>) {
    if table.len() >= REMEMBERED && !table.contains_key(&key) {
        table.retain(|_, count| !is_over(count, wall));
        let oldest = table.iter().min_by_key(|(_, count)| count.since).map(|(key, _)| *key);
        if let Some(oldest) = oldest.filter(|_| table.len() >= REMEMBERED) {
            table.remove(&oldest);
        }
    }
    let count = table.entry(key).or_insert(Count { since: wall, guesses: 0 });
    if is_over(count, wall) {
        *count = Count { since: wall, guesses: 0 };
    }
    count.guesses += 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    fn place(name: &str) -> Option<Source> {
        Some(Source(name.to_owned()))
    }

    #[test]
    fn a_name_is_guessed_at_so_often_and_then_rests_until_the_window_is_over() {
        let throttle = Throttle::default();
        for guess in 0..GUESSES_OF_A_NAME {
            // From everywhere: it is the name that counts.
            let from = place(&guess.to_string());
            assert_eq!(throttle.admit("ada", from.as_ref(), at(0)), Ok(()));
        }
        assert_eq!(throttle.admit("ada", None, at(60)), Err(TimeDelta::minutes(14)));
        assert_eq!(throttle.admit("bob", None, at(60)), Ok(()), "another name");
        assert_eq!(throttle.admit("ada", None, at(900)), Ok(()));
    }

    #[test]
    fn a_place_guesses_so_often_whoever_it_guesses_at() {
        let throttle = Throttle::default();
        let from = place("192.0.2.1");
        for guess in 0..GUESSES_FROM_A_PLACE {
            let name = format!("user {guess}");
            assert_eq!(throttle.admit(&name, from.as_ref(), at(0)), Ok(()));
        }
        assert!(throttle.admit("one more", from.as_ref(), at(0)).is_err());
        assert_eq!(throttle.admit("one more", place("192.0.2.2").as_ref(), at(0)), Ok(()));
        throttle.forgive("user 0", from.as_ref());
        assert_eq!(throttle.admit("one more", from.as_ref(), at(0)), Ok(()));
        assert!(throttle.admit("two more", from.as_ref(), at(0)).is_err(), "one was forgiven");
    }

    #[test]
    fn the_right_password_forgives_the_wrong_ones_before_it() {
        let throttle = Throttle::default();
        for _ in 0..5 {
            for _ in 1..GUESSES_OF_A_NAME {
                assert_eq!(throttle.admit("ada", None, at(0)), Ok(()));
            }
            throttle.forgive("ada", None);
        }
    }

    #[test]
    fn however_many_names_are_tried_only_so_many_are_remembered() {
        let throttle = Throttle::default();
        for index in 0..REMEMBERED + 100 {
            let name = format!("user {index}");
            assert_eq!(throttle.admit(&name, None, at(index as i64 / 1_000)), Ok(()));
        }
        assert_eq!(throttle.0.lock().unwrap().names.len(), REMEMBERED);
    }
}
