//! How long nobody asks Twilio for a dial after it said "not now".

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use callcore::time::Entropy;
use chrono::{DateTime, TimeDelta, Utc};

/// The first wait; each refusal in a row doubles it.
const FIRST: TimeDelta = TimeDelta::seconds(1);
/// The longest wait of our own.
const LONGEST: TimeDelta = TimeDelta::seconds(60);
/// The longest wait that Twilio may ask for: a wrong header must not stop a campaign for a day.
const LONGEST_ASKED: TimeDelta = TimeDelta::minutes(10);

/// Remembers refusals. One answer of "too many" holds for every call, not only for the one it was
/// about.
#[derive(Debug, Default)]
pub(crate) struct Pace(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    refusals: u32,
    until: Option<DateTime<Utc>>,
}

impl Pace {
    /// Until when no dial may be asked for; none if one may.
    pub(crate) fn held(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.lock().until.filter(|until| now < *until)
    }

    /// Twilio did not take a call, and may later. Returns when to try again: with jitter, so that
    /// several dispatchers don't come back in one instant.
    pub(crate) fn refused(
        &self,
        now: DateTime<Utc>,
        asked: Option<Duration>,
        entropy: &dyn Entropy,
    ) -> DateTime<Utc> {
        let mut state = self.lock();
        // What was asked together is refused together: it is one refusal.
        if let Some(until) = state.until.filter(|until| now < *until) {
            return until;
        }
        state.refusals = state.refusals.saturating_add(1);
        let own = (FIRST * (1_i32 << (state.refusals - 1).min(6))).min(LONGEST);
        let asked = asked.and_then(|wait| TimeDelta::from_std(wait).ok()).unwrap_or_default();
        let wait = own.max(asked.min(LONGEST_ASKED));
        let mut roll = [0; 2];
        entropy.fill(&mut roll);
        let share = i32::from(u16::from_le_bytes(roll));
        let until = now + wait + wait * share / 65_536 / 2;
        state.until = Some(until);
        until
    }

    /// Twilio took a call.
    pub(crate) fn took(&self) {
        *self.lock() = State::default();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use callcore::time::SeededEntropy;

    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-11-23T15:00:00Z".parse().unwrap()
    }

    #[test]
    fn waits_grow_up_to_a_minute_and_a_half_and_end_with_the_first_success() {
        let (pace, entropy) = (Pace::default(), SeededEntropy::new(1));
        let (mut at, mut last) = (now(), TimeDelta::zero());
        for _ in 0..10 {
            let until = pace.refused(at, None, &entropy);
            let wait = until - at;
            assert!(wait >= last.min(LONGEST) && wait <= LONGEST * 3 / 2, "{wait}");
            assert_eq!(pace.refused(at, None, &entropy), until, "refused together");
            assert_eq!(pace.held(at), Some(until));
            assert_eq!(pace.held(until), None);
            (at, last) = (until, wait * 2 / 3);
        }
        pace.took();
        assert!(pace.refused(at, None, &entropy) - at < FIRST * 2);
    }

    #[test]
    fn a_wait_that_twilio_asks_for_is_kept_within_reason() {
        let entropy = SeededEntropy::new(1);
        let wait = |seconds| {
            let asked = Some(Duration::from_secs(seconds));
            Pace::default().refused(now(), asked, &entropy) - now()
        };
        assert!(wait(30) >= TimeDelta::seconds(30));
        assert!(wait(u64::MAX) <= LONGEST_ASKED * 3 / 2);
    }
}
