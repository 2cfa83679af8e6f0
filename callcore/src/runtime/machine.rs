//! The machine: the one place where its clock and its entropy are read.

use chrono::{DateTime, Utc};

use crate::time::{Clock, Entropy};

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "every other clock is fed from this one")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

/// The operating system's entropy, fit for ids and secrets.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    /// # Panics
    ///
    /// The system has no entropy: nothing that must not be guessed could be made.
    #[expect(clippy::disallowed_methods, reason = "everything else asks Entropy")]
    fn fill(&self, dest: &mut [u8]) {
        let filled = getrandom::fill(dest);
        assert!(filled.is_ok(), "the operating system gives no entropy");
    }
}
