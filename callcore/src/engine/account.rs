//! What the account lets through, over all campaigns.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::admit::{dials_allowed, next_dial_at};
use crate::account::{AccountSettings, Day, Room};

/// The account as a gate sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountFacts {
    /// Whether somebody stopped all dialling.
    pub stopped: bool,
    /// The settings in force.
    pub settings: Arc<AccountSettings>,
    /// The dials of the account's local day; empty where its settings set no amount.
    pub today: Day,
    /// Outbound calls that hold a slot; 0 where the settings set no limit.
    pub in_flight: u32,
    /// The earliest instant of the next dial, by the account's pace.
    pub next_dial_at: DateTime<Utc>,
}

impl AccountFacts {
    /// What is left of the day's money; none where no amount is set.
    #[must_use]
    pub fn room(&self, now: DateTime<Utc>) -> Option<Room> {
        Some(self.settings.spend_per_day?.room(&self.today.at(now)))
    }

    /// Whether the day's money is used up.
    #[must_use]
    pub fn is_spent(&self, now: DateTime<Utc>) -> bool {
        self.room(now) == Some(Room::Spent)
    }

    /// Whether every slot is taken.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.settings.calls_at_once.is_some_and(|most| self.in_flight >= most)
    }

    /// How many dials may begin now, where so many calls are claimed already: what a claim may
    /// bring at most.
    #[must_use]
    pub fn dials_free(&self, now: DateTime<Utc>, leased: u32) -> u32 {
        if self.stopped {
            return 0;
        }
        let slots = match self.settings.calls_at_once {
            Some(most) => most.saturating_sub(self.in_flight).saturating_sub(leased),
            None => u32::MAX,
        };
        let paid = match self.room(now) {
            None => u32::MAX,
            Some(Room::Dials(dials)) => {
                u32::try_from(dials).unwrap_or(u32::MAX).saturating_sub(leased)
            }
            Some(Room::Reserved | Room::Spent) => 0,
        };
        let pace = match self.settings.calls_per_second {
            Some(pace) => dials_allowed(self.next_dial_at, now, pace),
            None => u32::MAX,
        };
        slots.min(paid).min(pace)
    }

    /// The instant before which the account lets no dial through; none if only the end of a call,
    /// or somebody, can let one through.
    #[must_use]
    pub fn opens_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if self.stopped || self.is_full() {
            return None;
        }
        let paid = match self.room(now) {
            Some(Room::Reserved) => return None,
            Some(Room::Spent) => self.today.ends,
            Some(Room::Dials(_)) | None => DateTime::UNIX_EPOCH,
        };
        let pace =
            self.settings.calls_per_second.map_or(DateTime::UNIX_EPOCH, |_| self.next_dial_at);
        Some(paid.max(pace))
    }

    /// Counts one more dial, begun now.
    pub fn count(&mut self, now: DateTime<Utc>) {
        self.in_flight += 1;
        self.today.dials.begun += 1;
        self.today.dials.live += 1;
        if let Some(pace) = self.settings.calls_per_second {
            self.next_dial_at = next_dial_at(self.next_dial_at, now, pace);
        }
    }
}
