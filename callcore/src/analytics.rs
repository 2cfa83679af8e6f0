//! Numbers for dashboards, campaign pages and summaries: one meaning, wherever they are shown.
//!
//! `attempted` are outbound calls that ended, skipped and cancelled ones left out; `answered` those
//! that reached a person, opt-outs included. Inbound calls never count.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDateTime, Timelike, Utc};

use crate::call::Outcome;
use crate::port::TallyRow;
use crate::time::Zone;

/// Ended outbound calls, added up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Totals {
    /// How many ended in which way; ways none ended in are absent.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// Seconds of talk, of those that reached a person.
    pub talk_seconds: u64,
}

impl Totals {
    /// Adds up rows.
    #[must_use]
    pub fn of<'a>(rows: impl IntoIterator<Item = &'a TallyRow>) -> Self {
        let mut totals = Self::default();
        for row in rows {
            totals.add(row.outcome, row.calls, row.talk_seconds);
        }
        totals
    }

    /// Adds calls of one outcome.
    pub fn add(&mut self, outcome: Outcome, calls: u64, talk_seconds: u64) {
        if calls > 0 {
            *self.outcomes.entry(outcome).or_default() += calls;
        }
        self.talk_seconds += talk_seconds;
    }

    /// Dials that ended.
    #[must_use]
    pub fn attempted(&self) -> u64 {
        self.sum(Outcome::attempted)
    }

    /// Dials that reached a person.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.sum(Outcome::reached)
    }

    /// `answered` of `attempted`, from 0 to 1; none without attempts.
    #[must_use]
    pub fn success_rate(&self) -> Option<f64> {
        ratio(self.answered(), self.attempted())
    }

    /// Mean seconds of the answered calls; none without any.
    #[must_use]
    pub fn average_duration_seconds(&self) -> Option<f64> {
        ratio(self.talk_seconds, self.answered())
    }

    fn sum(&self, wanted: impl Fn(Outcome) -> bool) -> u64 {
        self.outcomes.iter().filter(|(outcome, _)| wanted(**outcome)).map(|(_, n)| n).sum()
    }
}

#[expect(clippy::cast_precision_loss, reason = "a ratio for people needs no 52 bits")]
fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// How fine a chart of calls over time is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bucket {
    /// By the hour the wall clock shows.
    Hour,
    /// By the date the wall clock shows.
    Day,
}

/// Calls over time as a wall clock in `zone` shows it, in order; stretches without calls are
/// absent. Each bucket is named by the instant it begins, whether there was a call then or not.
#[must_use]
pub fn over_time(rows: &[TallyRow], bucket: Bucket, zone: &Zone) -> Vec<(DateTime<Utc>, Totals)> {
    let mut buckets: BTreeMap<(NaiveDateTime, i32), (DateTime<Utc>, Totals)> = BTreeMap::new();
    for row in rows {
        let local = zone.local(row.quarter);
        let start = match bucket {
            Bucket::Hour => local.date().and_hms_opt(local.hour(), 0, 0).unwrap_or(local),
            Bucket::Day => local.date().into(),
        };
        // An hour the clock shows twice is two hours.
        let offset = match bucket {
            Bucket::Hour => -zone.offset_seconds(row.quarter),
            Bucket::Day => 0,
        };
        let begins = match bucket {
            Bucket::Hour => row.quarter - (local - start),
            Bucket::Day => zone.start_of(local.date()),
        };
        let (_, totals) =
            buckets.entry((start, offset)).or_insert_with(|| (begins, Totals::default()));
        totals.add(row.outcome, row.calls, row.talk_seconds);
    }
    buckets.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(quarter: &str, outcome: Outcome, calls: u64) -> TallyRow {
        TallyRow { quarter: quarter.parse().unwrap(), outcome, calls, talk_seconds: calls * 30 }
    }

    #[test]
    fn skipped_and_cancelled_calls_are_no_attempts_and_opt_outs_are_answers() {
        let totals = Totals::of(&[
            row("2026-11-23T10:00:00Z", Outcome::Answered, 3),
            row("2026-11-23T10:00:00Z", Outcome::OptedOut, 1),
            row("2026-11-23T10:00:00Z", Outcome::Busy, 4),
            row("2026-11-23T10:00:00Z", Outcome::Skipped, 9),
            row("2026-11-23T10:00:00Z", Outcome::Canceled, 9),
        ]);
        assert_eq!((totals.attempted(), totals.answered()), (8, 4));
        assert_eq!(totals.success_rate(), Some(0.5));
        assert_eq!(Totals::default().success_rate(), None);
    }

    #[test]
    fn a_day_is_the_viewers_day() {
        let rows = [
            row("2026-11-23T04:45:00Z", Outcome::Answered, 1),
            row("2026-11-23T05:00:00Z", Outcome::Answered, 2),
        ];
        let zone: Zone = "America/New_York".parse().unwrap();
        let days = over_time(&rows, Bucket::Day, &zone);
        let counts: Vec<u64> = days.iter().map(|(_, totals)| totals.answered()).collect();
        assert_eq!(counts, [1, 2]);
        let begins: Vec<String> = days.iter().map(|(at, _)| at.to_rfc3339()).collect();
        assert_eq!(begins, ["2026-11-22T05:00:00+00:00", "2026-11-23T05:00:00+00:00"]);
    }

    #[test]
    fn an_hour_that_comes_twice_is_two_hours() {
        let rows = [
            row("2026-11-01T05:30:00Z", Outcome::Answered, 1),
            row("2026-11-01T06:30:00Z", Outcome::Answered, 2),
        ];
        let zone: Zone = "America/New_York".parse().unwrap();
        let hours = over_time(&rows, Bucket::Hour, &zone);
        let begins: Vec<String> = hours.iter().map(|(at, _)| at.to_rfc3339()).collect();
        assert_eq!(begins, ["2026-11-01T05:00:00+00:00", "2026-11-01T06:00:00+00:00"]);
    }
}
