//! When a call would be dialled, by the rules as they are.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::decide::{Facts, Rule, Silent, Verdict, evaluate};
use crate::call::CancelReason;

/// How often a call may be put off before nobody can say when it is dialled. Each time puts it off
/// to a later instant; two or three are what caps and hours come to.
const ROUNDS: u32 = 1_000;

/// What the rules would do with a call in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreseen {
    /// They would let it pass.
    Dial {
        /// The first instant at which they do.
        at: DateTime<Utc>,
        /// When the calling window closes, if one counts.
        window_end: Option<DateTime<Utc>>,
    },
    /// They would take it out of the queue.
    Retire(CancelReason),
}

/// Asks the rules of [`decide`](super::decide()) when they would first let a call pass, from an instant
/// on, if nothing else happened: calls in progress are over once they ask again, and nobody stops
/// all dialling.
#[must_use]
pub fn foresee(facts: &mut Facts, from: DateTime<Utc>) -> Foreseen {
    let mut at = from;
    for _ in 0..ROUNDS {
        match evaluate(facts, at, &mut Silent) {
            Verdict::Dial { window_end } => return Foreseen::Dial { at, window_end },
            Verdict::Retire(reason) => return Foreseen::Retire(reason),
            Verdict::Defer(defer) => {
                facts.number_live = false;
                if defer.until > at {
                    at = defer.until;
                } else if defer.why == Rule::RunState {
                    break;
                } else {
                    let account = Arc::make_mut(&mut facts.account);
                    (account.stopped, account.today.dials.live) = (false, 0);
                }
            }
        }
    }
    Foreseen::Retire(CancelReason::HoursOver)
}
