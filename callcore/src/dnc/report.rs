//! What came of a list of numbers not to call.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::CallId;
use crate::import::{ImportFailure, Rejection};

/// How many refused rows a report lists; all are counted.
const LISTED: usize = 100;

/// How many calls hung up a report names: more than any capacity has at once.
const NAMED: usize = 10_000;

/// The counts of an import of numbers. `rows_read` is the sum of `accepted`, `duplicates` and
/// `rejected`, unless the list was refused as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DncReport {
    /// Rows of the file, without column names and blank rows.
    pub rows_read: u64,
    /// Numbers that are new on the list.
    pub accepted: u64,
    /// Numbers that stand earlier in the file, or have been on the list.
    pub duplicates: u64,
    /// Rows refused.
    pub rejected: u64,
    /// Rows refused, by [`RejectCode`](crate::import::RejectCode).
    pub rejected_by_code: BTreeMap<String, u64>,
    /// The first 100 rows refused.
    pub rejections: Vec<Rejection>,
    /// Scheduled calls that were cancelled.
    pub canceled: u64,
    /// Calls that had begun and were hung up.
    pub in_flight: Vec<CallId>,
    /// What ended the import before the file's end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<ImportFailure>,
}

impl DncReport {
    /// Counts a number that is new on the list, or has been on it.
    pub const fn count_number(&mut self, is_new: bool) {
        self.rows_read += 1;
        if is_new {
            self.accepted += 1;
        } else {
            self.duplicates += 1;
        }
    }

    /// Counts a row refused.
    pub fn count_rejected(&mut self, rejection: Rejection) {
        self.rows_read += 1;
        self.rejected += 1;
        *self.rejected_by_code.entry(rejection.code.to_string()).or_default() += 1;
        if self.rejections.len() < LISTED {
            self.rejections.push(rejection);
        }
    }

    /// Counts calls that were cancelled, and names those that were hung up.
    pub fn count_calls(&mut self, canceled: usize, in_flight: &[CallId]) {
        self.canceled += canceled as u64;
        let room = NAMED - self.in_flight.len().min(NAMED);
        self.in_flight.extend(in_flight.iter().take(room));
    }

    /// Whether more rows were refused than a share of all, in percent. Such a file is not what it
    /// was taken for, and half of it on the list would look like all of it.
    #[must_use]
    pub fn rejects_more_than(&self, percent: u8) -> bool {
        u128::from(self.rejected) * 100 > u128::from(self.rows_read) * u128::from(percent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_of_all_rows_and_reached_is_not_passed() {
        let report = DncReport { rows_read: 10, rejected: 1, ..DncReport::default() };
        assert!(!report.rejects_more_than(10));
        assert!(report.rejects_more_than(9));
        assert!(!DncReport::default().rejects_more_than(0));
    }
}
