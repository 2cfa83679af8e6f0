//! Small charts as SVG: a stacked bar, a donut, bars over time. Each comes with its numbers.

use std::collections::BTreeMap;

use callcore::analytics::{Bucket, Totals, over_time};
use callcore::call::Outcome;
use callcore::client::ClientStatus;
use callcore::port::{CampaignProgress, TallyRow};
use callcore::time::Zone;
use chrono::{NaiveDateTime, TimeDelta, Timelike};

use super::when::{count, percent};
use super::words::{self, Word};

/// The most bars a chart has; of more, the latest are shown.
const MAX_BARS: usize = 60;

/// Beyond so many hours a chart counts by day.
const HOURS_SHOWN: i64 = 48;

/// A bar as wide as all clients, with a part for each status.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) label: String,
    pub(super) parts: Vec<Part>,
}

#[derive(Debug)]
pub(super) struct Part {
    pub(super) key: &'static str,
    pub(super) tone: &'static str,
    pub(super) label: String,
    pub(super) from: String,
    pub(super) width: String,
}

impl Progress {
    pub(super) fn of(progress: &CampaignProgress) -> Self {
        let all = progress.client_count();
        let mut from = 0;
        // What is done comes first, so that the bar fills from its start.
        let order = ClientStatus::ALL.iter().filter(|status| status.is_final()).chain(&[
            ClientStatus::InProgress,
            ClientStatus::Scheduled,
            ClientStatus::Pending,
        ]);
        let parts = order
            .filter_map(|status| {
                let clients = *progress.clients.get(status).filter(|clients| **clients > 0)?;
                let word = words::client(*status);
                let part = Part {
                    key: status.as_str(),
                    tone: word.tone,
                    label: format!("{} {}", count(clients), word.label),
                    from: hundredth(from, all),
                    width: hundredth(clients, all),
                };
                from += clients;
                Some(part)
            })
            .collect();
        let label = format!("{} of {} clients done", count(progress.final_count()), count(all));
        Self { label, parts }
    }
}

/// The outcomes of ended calls.
#[derive(Debug)]
pub(super) struct Donut {
    pub(super) title: &'static str,
    pub(super) desc: String,
    pub(super) total: String,
    pub(super) unit: &'static str,
    pub(super) slices: Vec<Slice>,
}

#[derive(Debug)]
pub(super) struct Slice {
    pub(super) word: Word,
    pub(super) count: String,
    pub(super) share: String,
    pub(super) length: String,
    pub(super) gap: String,
    pub(super) offset: String,
}

impl Donut {
    /// None without calls.
    pub(super) fn of(totals: &Totals) -> Option<Self> {
        let all: u64 = totals.outcomes.values().sum();
        if all == 0 {
            return None;
        }
        let mut before = 0;
        let mut told = Vec::new();
        let slices = Outcome::ALL
            .iter()
            .filter_map(|outcome| {
                let calls = *totals.outcomes.get(outcome)?;
                let word = words::outcome(*outcome);
                told.push(format!("{} {}", count(calls), word.label));
                let slice = Slice {
                    word,
                    count: count(calls),
                    share: percent(Some(share(calls, all))),
                    length: hundredth(calls, all),
                    gap: hundredth(all - calls, all),
                    offset: format!("-{}", hundredth(before, all)),
                };
                before += calls;
                Some(slice)
            })
            .collect();
        Some(Self {
            title: "Outcomes of ended calls",
            desc: told.join(", "),
            total: count(all),
            unit: if all == 1 { "call" } else { "calls" },
            slices,
        })
    }
}

/// Calls over time.
#[derive(Debug)]
pub(super) struct Bars {
    pub(super) title: String,
    pub(super) desc: String,
    pub(super) unit: &'static str,
    pub(super) width: usize,
    pub(super) first: String,
    pub(super) last: String,
    /// What is not shown, if something is not.
    pub(super) note: Option<String>,
    pub(super) bars: Vec<Bar>,
}

#[derive(Debug)]
pub(super) struct Bar {
    pub(super) label: String,
    pub(super) attempted: u64,
    pub(super) answered: u64,
    pub(super) x: usize,
    pub(super) rest_y: String,
    pub(super) rest_height: String,
    pub(super) good_y: String,
    pub(super) good_height: String,
}

impl Bars {
    /// None without calls.
    pub(super) fn of(rows: &[TallyRow], zone: &Zone, bucket: Option<Bucket>) -> Option<Self> {
        let first = zone.local(rows.first()?.quarter);
        let last = zone.local(rows.last()?.quarter);
        let few_hours = (last - first).num_hours() <= HOURS_SHOWN;
        let bucket = bucket.unwrap_or(if few_hours { Bucket::Hour } else { Bucket::Day });
        let by_hour = bucket == Bucket::Hour;
        let (step, unit, format) = if by_hour {
            (TimeDelta::hours(1), "Hour", "%a %-d %b, %H:00")
        } else {
            (TimeDelta::days(1), "Day", "%a %-d %b")
        };
        let start = |local: NaiveDateTime| {
            let hour = if by_hour { local.hour() } else { 0 };
            local.date().and_hms_opt(hour, 0, 0).unwrap_or(local)
        };
        let mut series: BTreeMap<NaiveDateTime, (u64, u64)> = BTreeMap::new();
        let (mut at, end) = (start(first), start(last));
        while at <= end {
            series.insert(at, (0, 0));
            at += step;
        }
        for (from, totals) in over_time(rows, bucket, zone) {
            let sums = series.entry(start(zone.local(from))).or_default();
            sums.0 += totals.attempted();
            sums.1 += totals.answered();
        }
        let cut = series.len().saturating_sub(MAX_BARS);
        let series: Vec<(NaiveDateTime, (u64, u64))> = series.into_iter().skip(cut).collect();
        let most = series.iter().map(|(_, (attempted, _))| *attempted).max().filter(|n| *n > 0)?;
        let bars: Vec<Bar> = series
            .iter()
            .enumerate()
            .map(|(index, (at, (attempted, answered)))| Bar {
                label: at.format(format).to_string(),
                attempted: *attempted,
                answered: *answered,
                x: index * 10 + 1,
                rest_y: hundredth(most - attempted, most),
                rest_height: hundredth(attempted - answered, most),
                good_y: hundredth(most - answered, most),
                good_height: hundredth(*answered, most),
            })
            .collect();
        let (attempted, answered) =
            series.iter().fold((0, 0), |sums, (_, (attempted, answered))| {
                (sums.0 + attempted, sums.1 + answered)
            });
        Some(Self {
            title: format!("Calls by {}", unit.to_lowercase()),
            desc: format!(
                "{} calls, {} reached a person; at most {} in one {}",
                count(attempted),
                count(answered),
                count(most),
                unit.to_lowercase()
            ),
            note: (cut > 0)
                .then(|| format!("Only the latest {MAX_BARS} {}s are shown.", unit.to_lowercase())),
            unit,
            // One lonely bar should not fill the whole width.
            width: bars.len().max(24) * 10,
            first: bars.first().map(|bar| bar.label.clone()).unwrap_or_default(),
            last: bars
                .last()
                .filter(|_| bars.len() > 23)
                .map(|bar| bar.label.clone())
                .unwrap_or_default(),
            bars,
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "a chart needs no 52 bits")]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// A share in percent, as a coordinate.
fn hundredth(part: u64, whole: u64) -> String {
    format!("{:.2}", share(part, whole) * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(quarter: &str, outcome: Outcome, calls: u64) -> TallyRow {
        TallyRow { quarter: quarter.parse().unwrap(), outcome, calls, talk_seconds: 0 }
    }

    #[test]
    fn the_slices_of_a_donut_close_the_circle() {
        let rows = [
            row("2026-11-23T10:00:00Z", Outcome::Answered, 1),
            row("2026-11-23T10:00:00Z", Outcome::Busy, 1),
            row("2026-11-23T10:00:00Z", Outcome::Failed, 2),
        ];
        let donut = Donut::of(&Totals::of(&rows)).unwrap();
        let lengths: f64 = donut.slices.iter().map(|it| it.length.parse::<f64>().unwrap()).sum();
        assert!((lengths - 100.0).abs() < 0.1);
        assert_eq!(donut.slices[2].offset, "-50.00");
        assert_eq!(donut.desc, "1 answered, 1 busy, 2 failed");
        assert!(Donut::of(&Totals::default()).is_none());
    }

    #[test]
    fn hours_without_calls_leave_a_gap() {
        let rows = [
            row("2026-11-23T10:45:00Z", Outcome::Answered, 1),
            row("2026-11-23T13:00:00Z", Outcome::Busy, 4),
        ];
        let bars = Bars::of(&rows, &Zone::utc(), None).unwrap();
        let attempted: Vec<u64> = bars.bars.iter().map(|bar| bar.attempted).collect();
        assert_eq!(attempted, [1, 0, 0, 4]);
        assert_eq!(bars.bars[0].good_height, "25.00");
    }

    #[test]
    fn a_long_campaign_counts_by_day_and_shows_the_latest() {
        let mut rows = Vec::new();
        let start: chrono::DateTime<chrono::Utc> = "2026-01-01T12:00:00Z".parse().unwrap();
        for day in 0..100 {
            let quarter = start + TimeDelta::days(day);
            rows.push(TallyRow { quarter, outcome: Outcome::Busy, calls: 1, talk_seconds: 0 });
        }
        let bars = Bars::of(&rows, &Zone::utc(), None).unwrap();
        assert_eq!((bars.unit, bars.bars.len()), ("Day", MAX_BARS));
        assert_eq!(bars.last, "Fri 10 Apr");
        assert_eq!(bars.note.as_deref(), Some("Only the latest 60 days are shown."));
    }
}
