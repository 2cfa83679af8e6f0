//! Clocks, entropy and time zones.
//!
//! `now` is a value here: it comes in through [`Clock`], never from the machine. This is also the
//! one module that computes local time, with jiff and the zone rules it bundles; instants travel
//! as chrono's `DateTime<Utc>`.

use std::fmt;
use std::str::FromStr;
use std::sync::Mutex;

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta, Utc};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::id::splitmix;

/// Where instants come from.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The instant it is.
    fn now(&self) -> DateTime<Utc>;

    /// How long somebody has to sleep until this clock shows `at`; zero if it does.
    fn until(&self, at: DateTime<Utc>) -> std::time::Duration {
        (at - self.now()).to_std().unwrap_or_default()
    }
}

impl<C: Clock + ?Sized> Clock for std::sync::Arc<C> {
    fn now(&self) -> DateTime<Utc> {
        (**self).now()
    }

    fn until(&self, at: DateTime<Utc>) -> std::time::Duration {
        (**self).until(at)
    }
}

/// Where randomness comes from.
pub trait Entropy: fmt::Debug + Send + Sync + 'static {
    /// Fills `dest` with random bytes.
    fn fill(&self, dest: &mut [u8]);
}

/// Entropy that replays: the same seed gives the same bytes. For tests and simulation, never for
/// secrets.
#[derive(Debug)]
pub struct SeededEntropy(Mutex<u64>);

impl SeededEntropy {
    /// Starts the sequence of `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, dest: &mut [u8]) {
        let mut state = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for chunk in dest.chunks_mut(8) {
            *state = state.wrapping_add(1);
            let bytes = splitmix(*state).to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
    }
}

/// A clock that stands still until it is moved. For tests and simulation.
#[derive(Debug)]
pub struct ManualClock(Mutex<DateTime<Utc>>);

impl ManualClock {
    /// A clock standing at `now`.
    #[must_use]
    pub const fn new(now: DateTime<Utc>) -> Self {
        Self(Mutex::new(now))
    }

    /// Moves the clock forward by `by`.
    pub fn advance(&self, by: TimeDelta) {
        let mut now = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *now += by;
    }

    /// Moves the clock to `to`; a clock never goes back, so an earlier instant changes nothing.
    pub fn advance_to(&self, to: DateTime<Utc>) {
        let mut now = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *now = to.max(*now);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// A clock that runs `speed` times as fast as another one: the campaign clock of a simulation.
#[derive(Debug)]
pub struct FastClock<C> {
    base: C,
    base_origin: DateTime<Utc>,
    origin: DateTime<Utc>,
    speed: u32,
}

impl<C: Clock> FastClock<C> {
    /// A clock that shows `origin` now and passes `speed` seconds in one second of `base`.
    pub fn new(base: C, origin: DateTime<Utc>, speed: u32) -> Self {
        let base_origin = base.now();
        Self { base, base_origin, origin, speed }
    }
}

impl<C: Clock> Clock for FastClock<C> {
    fn now(&self) -> DateTime<Utc> {
        let passed = (self.base.now() - self.base_origin).max(TimeDelta::zero());
        // Milliseconds: in nanoseconds 60 years at speed 60 would overflow.
        let fast = passed.num_milliseconds().saturating_mul(i64::from(self.speed));
        self.origin + TimeDelta::milliseconds(fast)
    }

    fn until(&self, at: DateTime<Utc>) -> std::time::Duration {
        (at - self.now()).to_std().unwrap_or_default() / self.speed.max(1)
    }
}

/// The name of a time zone is not in the IANA database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown time zone {0:?}")]
pub struct UnknownZone(pub String);

/// A time zone of the IANA database, by name.
///
/// ```
/// use callcore::time::Zone;
/// let zone: Zone = "America/New_York".parse()?;
/// assert_eq!(zone.name(), "America/New_York");
/// assert!("Mars/Olympus".parse::<Zone>().is_err());
/// # Ok::<(), callcore::time::UnknownZone>(())
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(TimeZone);

impl Zone {
    /// Coordinated Universal Time.
    #[must_use]
    pub const fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// The zone's IANA name, in the database's own spelling.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// What a wall clock in this zone shows at an instant.
    #[must_use]
    pub fn local(&self, at: DateTime<Utc>) -> NaiveDateTime {
        let offset = TimeDelta::seconds(i64::from(self.offset_seconds(at)));
        // Instants come from requests: the last hours of representable time must not panic.
        at.naive_utc().checked_add_signed(offset).unwrap_or(at.naive_utc())
    }

    /// The date a calendar on the wall shows at an instant.
    #[must_use]
    pub fn date(&self, at: DateTime<Utc>) -> NaiveDate {
        self.local(at).date()
    }

    /// Seconds by which this zone is ahead of UTC at an instant.
    #[must_use]
    pub fn offset_seconds(&self, at: DateTime<Utc>) -> i32 {
        self.0.to_offset(timestamp(at)).seconds()
    }

    /// The first instant after `at` at which the zone's offset may change.
    #[must_use]
    pub fn next_transition(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let next = self.0.following(timestamp(at)).next()?.timestamp();
        DateTime::from_timestamp(next.as_second(), 0)
    }

    /// The instant at which a date begins here: its first instant, also where midnight is skipped.
    #[must_use]
    pub fn start_of(&self, date: NaiveDate) -> DateTime<Utc> {
        let midnight = date.and_time(chrono::NaiveTime::MIN).and_utc();
        let civil = timestamp(midnight).to_zoned(TimeZone::UTC).datetime();
        let at = self.0.to_ambiguous_timestamp(civil).compatible();
        at.ok().and_then(|at| DateTime::from_timestamp(at.as_second(), 0)).unwrap_or(midnight)
    }

    /// The first instant of the local day it is at an instant, and of the next one.
    #[must_use]
    pub fn day(&self, at: DateTime<Utc>) -> (DateTime<Utc>, DateTime<Utc>) {
        let date = self.date(at);
        (
            self.start_of(date),
            date.succ_opt().map_or(DateTime::<Utc>::MAX_UTC, |it| self.start_of(it)),
        )
    }
}

fn timestamp(at: DateTime<Utc>) -> jiff::Timestamp {
    // jiff spans the years -9999 to 9999, chrono more: what lies beyond is held at the end.
    jiff::Timestamp::new(at.timestamp(), 0).unwrap_or(if at.timestamp() < 0 {
        jiff::Timestamp::MIN
    } else {
        jiff::Timestamp::MAX
    })
}

impl FromStr for Zone {
    type Err = UnknownZone;

    fn from_str(name: &str) -> Result<Self, UnknownZone> {
        TimeZone::get(name.trim())
            .ok()
            .filter(|zone| zone.iana_name().is_some() && !zone.is_unknown())
            .map(Self)
            .ok_or_else(|| UnknownZone(name.to_owned()))
    }
}

impl TryFrom<String> for Zone {
    type Error = UnknownZone;

    fn try_from(name: String) -> Result<Self, UnknownZone> {
        name.parse()
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.name().to_owned()
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({})", self.name())
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundled_rules_know_the_changes_of_2026() {
        // British Columbia stays on permanent daylight time from 2026-11-01 on; older rules don't.
        let zone: Zone = "America/Vancouver".parse().unwrap();
        let december: DateTime<Utc> = "2026-12-01T12:00:00Z".parse().unwrap();
        assert_eq!(zone.offset_seconds(december), -7 * 3600);
    }

    #[test]
    fn the_ends_of_representable_time_have_a_local_time() {
        for zone in ["Pacific/Kiritimati", "Pacific/Pago_Pago"] {
            let zone: Zone = zone.parse().unwrap();
            for at in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
                assert!((zone.local(at) - at.naive_utc()).abs() <= TimeDelta::hours(14));
            }
        }
    }

    #[test]
    fn a_fast_clock_keeps_its_speed() {
        let base = ManualClock::new(DateTime::from_timestamp(1_000, 0).unwrap());
        let origin = DateTime::from_timestamp(9_000, 0).unwrap();
        let fast = FastClock::new(std::sync::Arc::new(base), origin, 60);
        fast.base.advance(TimeDelta::seconds(2));
        assert_eq!(fast.now(), origin + TimeDelta::seconds(120));
    }
}
