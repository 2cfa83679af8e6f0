use chrono::{DateTime, Utc};

use super::{Money, SpendPerDay};
use crate::call::{Call, Direction};
use crate::engine::TALK_LIMIT;

/// Dials of a stretch of time, by the instant they began, and the talk that came of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Meter {
    /// Dials begun, those taken back left out.
    pub begun: u64,
    /// Those of them that have not ended.
    pub live: u64,
    /// Started minutes of talk of those that have.
    pub minutes: u64,
}

/// What one call adds to the meters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The start of the quarter of an hour in which the call began.
    pub quarter: DateTime<Utc>,
    /// Whether it has not ended.
    pub live: bool,
    /// Started minutes of talk, once it ended.
    pub minutes: u64,
}

impl Reading {
    /// What a call adds: nothing before it began, and nothing for an inbound one.
    #[must_use]
    pub fn of(call: &Call) -> Option<Self> {
        let begun_at = call.begun_at.filter(|_| call.direction == Direction::Outbound)?;
        let quarter = DateTime::from_timestamp(begun_at.timestamp().div_euclid(900) * 900, 0)?;
        let live = call.ended_at().is_none();
        let talk = if live { 0 } else { call.progress.talk_seconds };
        Some(Self { quarter, live, minutes: talk.div_ceil(60).into() })
    }
}

impl Meter {
    /// Adds a call.
    pub fn add(&mut self, reading: Reading) {
        self.begun += 1;
        self.live += u64::from(reading.live);
        self.minutes += reading.minutes;
    }
}

/// The dials of a local day, up to now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Day {
    /// When the next day begins.
    pub ends: DateTime<Utc>,
    /// Its dials.
    pub dials: Meter,
}

impl Day {
    /// The dials of the day it is at an instant: once this one is over, none are known.
    #[must_use]
    pub fn at(&self, now: DateTime<Utc>) -> Meter {
        if now < self.ends { self.dials } else { Meter::default() }
    }
}

/// What is left of a day's money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// So many dials can be paid for, however long people talk.
    Dials(u64),
    /// One could, once calls in progress turn out to cost less than the most they may.
    Reserved,
    /// Not one more, whatever the calls in progress cost.
    Spent,
}

impl SpendPerDay {
    /// The most a dial can cost: a call is hung up at the talk limit.
    #[must_use]
    pub const fn most(self) -> Money {
        let minutes = TALK_LIMIT.num_seconds().unsigned_abs().div_ceil(60);
        self.per_call.plus(self.per_minute.times(minutes))
    }

    /// What dials that ended are estimated to have cost.
    #[must_use]
    pub const fn spent(self, dials: &Meter) -> Money {
        let ended = dials.begun.saturating_sub(dials.live);
        self.per_call.times(ended).plus(self.per_minute.times(dials.minutes))
    }

    /// What calls in progress may cost at most.
    #[must_use]
    pub const fn reserved(self, dials: &Meter) -> Money {
        self.most().times(dials.live)
    }

    /// How many more dials of the day can be paid for.
    #[must_use]
    pub fn room(self, dials: &Meter) -> Room {
        let most = self.most();
        let spent = self.spent(dials);
        if spent.plus(most) > self.amount {
            return Room::Spent;
        }
        let left = self.amount.micros().saturating_sub(spent.plus(self.reserved(dials)).micros());
        match left.checked_div(most.micros()) {
            None => Room::Dials(u64::MAX),
            Some(0) => Room::Reserved,
            Some(dials) => Room::Dials(dials),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spend(amount: &str) -> SpendPerDay {
        SpendPerDay {
            amount: amount.parse().unwrap(),
            per_call: "0.01".parse().unwrap(),
            per_minute: "0.02".parse().unwrap(),
        }
    }

    #[test]
    fn a_live_call_counts_with_the_most_it_may_cost() {
        let day = spend("1.00");
        assert_eq!(day.most().to_string(), "0.31");
        assert_eq!(day.room(&Meter::default()), Room::Dials(3));
        assert_eq!(day.room(&Meter { begun: 2, live: 2, minutes: 0 }), Room::Dials(1));
        assert_eq!(day.room(&Meter { begun: 3, live: 3, minutes: 0 }), Room::Reserved);
        // Ten dials that nobody took have cost 0.10.
        assert_eq!(day.room(&Meter { begun: 10, live: 0, minutes: 0 }), Room::Dials(2));
    }

    #[test]
    fn a_day_is_spent_when_what_ended_leaves_no_room_for_one_more() {
        let day = spend("1.00");
        let dials = |minutes| Meter { begun: 1, live: 0, minutes };
        assert_eq!(day.spent(&dials(34)).to_string(), "0.69");
        assert_eq!(day.room(&dials(34)), Room::Dials(1), "exactly the amount may be reached");
        assert_eq!(day.room(&dials(35)), Room::Spent);
        assert_eq!(spend("0.30").room(&Meter::default()), Room::Spent, "not one can be paid for");
    }

    #[test]
    fn what_a_day_may_cost_is_never_passed() {
        // Every call talks to the limit, begun one by one while there is room.
        let day = spend("2.00");
        let mut dials = Meter::default();
        while let Room::Dials(_) = day.room(&dials) {
            dials.begun += 1;
            dials.live += 1;
            if dials.live == 2 {
                dials.live = 0;
                dials.minutes += 30;
            }
        }
        let all = Meter { live: 0, minutes: dials.minutes + 15 * dials.live, ..dials };
        assert!(day.spent(&all) <= day.amount, "{all:?}");
    }
}
