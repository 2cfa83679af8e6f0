//! Seeded chance. Integers only, so that every machine rolls the same.

use super::model::Spread;
use crate::id::{CallId, splitmix};

/// The longest time anything takes, in seconds: sums of such can't overflow.
pub(super) const WEEK: u32 = 7 * 86_400;

/// The chances of one call, for one purpose: rolling more for one purpose moves no other.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64, call: CallId, purpose: u64) -> Self {
        let (high, low) = call.uuid().as_u64_pair();
        Self([high, low, purpose].iter().fold(splitmix(seed), |state, part| splitmix(state ^ part)))
    }

    pub(super) fn roll(&mut self) -> u64 {
        let rolled = splitmix(self.0);
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        rolled
    }

    /// A number under `limit`; 0 if `limit` is 0.
    pub(super) fn below(&mut self, limit: u32) -> u32 {
        let scaled = u64::from(limit) * (self.roll() >> 32);
        u32::try_from(scaled >> 32).unwrap_or(0)
    }

    /// True so many times in a thousand.
    pub(super) fn hit(&mut self, per_mille: u32) -> bool {
        self.below(1000) < per_mille
    }

    /// A number from the spread, the middle most often.
    pub(super) fn spread(&mut self, spread: Spread) -> u32 {
        let from = spread.from.min(WEEK);
        let width = spread.to.min(WEEK).saturating_sub(from);
        // Each half rolled evenly: their sum peaks in the middle.
        let half = width / 2;
        from + self.below(half.saturating_add(1)) + self.below((width - half).saturating_add(1))
    }

    pub(super) fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.get(self.below(u32::try_from(of.len()).unwrap_or(u32::MAX)) as usize)
    }
}
