//! The chances of one run: everything that is not decided by the code under test is rolled here,
//! so that one seed is one run.

use crate::id::splitmix;

/// Rolls that replay.
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        // Neighbouring seeds must not give shifted copies of one sequence.
        Self(splitmix(seed))
    }

    /// Rolls of their own for something else: what is added there leaves the rest of a seed as it was.
    pub(super) const fn apart(&self) -> Self {
        Self(splitmix(!self.0))
    }

    pub(super) const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        splitmix(self.0)
    }

    /// From 0 to just below `n`.
    pub(super) const fn below(&mut self, n: u64) -> u64 {
        if n == 0 { 0 } else { self.roll() % n }
    }

    /// From `low` to `high`, both included.
    pub(super) const fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1).unsigned_abs()).cast_signed()
    }

    /// Whether something comes true that does so `per_mille` times in a thousand.
    pub(super) const fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    /// A place in a list of `len`, which must not be empty.
    pub(super) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or(0)
    }

    pub(super) fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        if of.is_empty() { None } else { of.get(self.index(of.len())) }
    }

    pub(super) fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            list.swap(last, self.index(last + 1));
        }
    }
}
