//! The breaker: a campaign whose dials fail pauses itself.

use serde::{Deserialize, Serialize};

use super::{FieldError, Refused};
use crate::call::Outcome;

/// The most dials a breaker may look back on.
pub const MAX_OF_LAST: u32 = 1_000;

/// Shares are kept in ten-thousandths, so that none is rounded by a binary fraction.
const WHOLE: u32 = 10_000;

/// Pauses a campaign as soon as so large a share of its last ended dials failed.
///
/// Failed are those that ended `failed`: the carrier refused them or gave them up, the number is out
/// of service, or nobody ever learned what became of them. Busy lines and calls nobody answers are
/// no failures. The share is of `of_last`, also while fewer have ended: what the rest would have
/// to say could no longer change it. By default half of the last 50 dials.
///
/// ```
/// use callcore::call::Outcome::{Busy, Failed};
/// use callcore::rules::breaker::Breaker;
/// let breaker: Breaker = serde_json::from_str(r#"{"failed_share": 0.5, "of_last": 4}"#)?;
/// assert!(breaker.trips([Failed, Failed]));
/// assert!(!breaker.trips([Failed, Busy, Busy, Busy, Failed]));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BreakerDocument", into = "BreakerDocument")]
pub struct Breaker {
    share: u32,
    of_last: u32,
}

/// The JSON shape of a breaker: `{"failed_share": 0.5, "of_last": 50}`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakerDocument {
    /// The share that must have failed, from above 0 to 1.
    pub failed_share: f64,
    /// Of how many.
    pub of_last: i64,
}

/// Why a breaker is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BreakerError {
    /// The share is no share.
    #[error("breaker.failed_share: from 0.0001 to 1, not {0}")]
    Share(f64),
    /// How many is out of range.
    #[error("breaker.of_last: from 1 to {MAX_OF_LAST}, not {0}")]
    OfLast(i64),
}

impl Default for Breaker {
    fn default() -> Self {
        Self { share: WHOLE / 2, of_last: 50 }
    }
}

impl Breaker {
    /// How many ended dials are looked back on.
    #[must_use]
    pub const fn of_last(self) -> u32 {
        self.of_last
    }

    /// How many of them must have failed.
    #[must_use]
    pub const fn needed(self) -> u32 {
        (self.share * self.of_last).div_ceil(WHOLE)
    }

    /// Whether the campaign is to pause, by how its dials ended, the latest first.
    #[must_use]
    pub fn trips(self, latest_first: impl IntoIterator<Item = Outcome>) -> bool {
        let last = latest_first.into_iter().take(self.of_last as usize);
        last.filter(|outcome| *outcome == Outcome::Failed).count() >= self.needed() as usize
    }

    /// Why the campaign paused, in words.
    #[must_use]
    pub fn reason(self) -> String {
        format!("{} of the last {} dials failed", self.needed(), self.of_last)
    }
}

impl TryFrom<BreakerDocument> for Breaker {
    type Error = Refused<BreakerError>;

    fn try_from(document: BreakerDocument) -> Result<Self, Refused<BreakerError>> {
        let mut errors = Vec::new();
        let share = (document.failed_share * f64::from(WHOLE)).round();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "what is no share is refused; a cast from float saturates"
        )]
        let share = share as u32;
        if document.failed_share.is_nan() || !(1..=WHOLE).contains(&share) {
            errors.push(BreakerError::Share(document.failed_share));
        }
        let of_last = u32::try_from(document.of_last).unwrap_or(0);
        if !(1..=MAX_OF_LAST).contains(&of_last) {
            errors.push(BreakerError::OfLast(document.of_last));
        }
        Refused::unless(errors, Self { share, of_last })
    }
}

impl From<Breaker> for BreakerDocument {
    fn from(breaker: Breaker) -> Self {
        Self {
            failed_share: f64::from(breaker.share) / f64::from(WHOLE),
            of_last: breaker.of_last.into(),
        }
    }
}

impl FieldError for BreakerError {
    fn field(&self) -> String {
        match self {
            Self::Share(_) => "breaker.failed_share".to_owned(),
            Self::OfLast(_) => "breaker.of_last".to_owned(),
        }
    }

    fn code(&self) -> &'static str {
        "out_of_range"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker(failed_share: f64, of_last: i64) -> Result<Breaker, Refused<BreakerError>> {
        Breaker::try_from(BreakerDocument { failed_share, of_last })
    }

    #[test]
    fn it_trips_with_the_failure_that_makes_the_share_full() {
        let half = breaker(0.5, 5).unwrap();
        assert_eq!(half.needed(), 3);
        let last = |failed: usize, busy: usize| {
            let failed = std::iter::repeat_n(Outcome::Failed, failed);
            half.trips(failed.chain(std::iter::repeat_n(Outcome::Busy, busy)))
        };
        assert!(!last(2, 0) && !last(2, 100));
        assert!(last(3, 0) && last(3, 2) && last(3, 100));
        let busy_first = std::iter::repeat_n(Outcome::Busy, 3).chain([Outcome::Failed; 50]);
        assert!(!half.trips(busy_first), "older dials no longer count");
    }

    #[test]
    fn only_failures_count() {
        let one = breaker(1.0, 1).unwrap();
        for outcome in Outcome::ALL {
            assert_eq!(one.trips([*outcome]), *outcome == Outcome::Failed, "{outcome}");
        }
    }

    #[test]
    fn shares_are_not_rounded_up_by_their_binary_fraction() {
        assert_eq!(breaker(0.07, 100).unwrap().needed(), 7);
        assert_eq!(breaker(0.1, 50).unwrap().needed(), 5);
        assert_eq!(breaker(0.0001, 1).unwrap().needed(), 1);
        assert_eq!(breaker(1.0, 1_000).unwrap().needed(), 1_000);
    }

    #[test]
    fn every_bad_field_is_named() {
        for (share, of_last) in [(0.0, 0), (-0.5, 1_001), (1.1, -1), (f64::NAN, i64::MAX)] {
            let refused = breaker(share, of_last).unwrap_err();
            let fields: Vec<String> = refused.errors().iter().map(FieldError::field).collect();
            assert_eq!(fields, ["breaker.failed_share", "breaker.of_last"], "{share} {of_last}");
        }
        let json = r#"{"failed_share":0.25,"of_last":20}"#;
        let read: Breaker = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), json);
    }
}
