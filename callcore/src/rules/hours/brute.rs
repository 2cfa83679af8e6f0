//! The meaning of calling hours stated a second time, on what jiff says the wall clock shows and on
//! the windows as they were written, and compared with the rules minute by minute.

use chrono::Weekday;
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
struct Case {
    windows: Vec<(usize, u16, u16)>,
    closed: BTreeSet<NaiveDate>,
    start_on: Option<NaiveDate>,
    end_on: Option<NaiveDate>,
    zones: Vec<&'static str>,
    from: DateTime<Utc>,
}

impl Case {
    fn hours(&self) -> CallingHours {
        let mut document = WeekDocument::default();
        let WeekDocument { mon, tue, wed, thu, fri, sat, sun } = &mut document;
        let days = [mon, tue, wed, thu, fri, sat, sun];
        for (day, texts) in days.into_iter().enumerate() {
            for (_, start, end) in self.windows.iter().filter(|window| window.0 == day) {
                texts.push([start, end].map(|m| format!("{:02}:{:02}", m / 60, m % 60)));
            }
        }
        let week = WeeklyHours::try_from(document).unwrap();
        // Straight into the fields: ranges without an open date have an answer, too.
        CallingHours {
            week,
            closed: self.closed.clone(),
            start_on: self.start_on,
            end_on: self.end_on,
        }
    }

    fn zones(&self) -> Vec<Zone> {
        self.zones.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn clocks(&self) -> Vec<TimeZone> {
        self.zones.iter().map(|name| TimeZone::get(name).unwrap()).collect()
    }

    fn allows(&self, clocks: &[TimeZone], at: DateTime<Utc>) -> bool {
        clocks.iter().all(|clock| {
            let (date, minute) = wall(clock, at);
            let [today, yesterday] = [date, date.pred_opt().unwrap()].map(day_index);
            !self.closed.contains(&date)
                && self.start_on.is_none_or(|start| start <= date)
                && self.end_on.is_none_or(|end| date <= end)
                && self.windows.iter().any(|&(day, start, end)| {
                    if start < end {
                        day == today && (start..end).contains(&minute)
                    } else {
                        day == today && minute >= start || day == yesterday && minute < end
                    }
                })
        })
    }
}

fn day_index(date: NaiveDate) -> usize {
    use chrono::Datelike;
    let days = [
        Weekday::Mon,
        Weekday::Tue,
        Weekday::Wed,
        Weekday::Thu,
        Weekday::Fri,
        Weekday::Sat,
        Weekday::Sun,
    ];
    days.iter().position(|day| *day == date.weekday()).unwrap()
}

fn wall(clock: &TimeZone, at: DateTime<Utc>) -> (NaiveDate, u16) {
    let nanos = i32::try_from(at.timestamp_subsec_nanos()).unwrap();
    let shown = jiff::Timestamp::new(at.timestamp(), nanos).unwrap().to_zoned(clock.clone());
    let (year, month, day) = (shown.year(), shown.month(), shown.day());
    let date = NaiveDate::from_ymd_opt(
        year.into(),
        u32::try_from(month).unwrap(),
        u32::try_from(day).unwrap(),
    );
    let minute = i16::from(shown.hour()) * 60 + i16::from(shown.minute());
    (date.unwrap(), u16::try_from(minute).unwrap())
}

/// `at` and the whole minutes after it. Every offset since 1972 is one of whole minutes, so
/// nothing changes in between.
fn minutes_from(at: DateTime<Utc>, count: i64) -> impl Iterator<Item = DateTime<Utc>> {
    let first = DateTime::from_timestamp(at.timestamp().div_euclid(60) * 60, 0).unwrap();
    std::iter::once(at).chain((1..=count).map(move |n| first + TimeDelta::minutes(n)))
}

const ZONES: [&str; 12] = [
    "America/New_York",
    "Europe/London",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "Asia/Kathmandu",
    "Africa/Casablanca",
    "Pacific/Apia",
    "America/Vancouver",
    "America/Sao_Paulo",
    "Africa/Cairo",
    "Pacific/Chatham",
    "UTC",
];

fn window() -> impl Strategy<Value = (usize, u16, u16)> {
    // Around midnight and the hours in which clocks change as well as anywhere.
    let minute = || prop_oneof![0_u16..240, 0_u16..1440, Just(0_u16), 1380_u16..1440];
    let end = prop_oneof![minute(), Just(1440_u16)];
    (0_usize..7, minute(), end).prop_filter("not empty", |(_, start, end)| start != end)
}

fn case() -> impl Strategy<Value = Case> {
    let near = |date: NaiveDate| (-3_i64..6).prop_map(move |days| date + TimeDelta::days(days));
    let zones = prop::collection::vec(prop::sample::select(&ZONES[..]), 1..3);
    // Half of the cases sit within two days of a change of the first zone's offset.
    let from = (315_532_800_i64..2_051_222_400, any::<bool>(), -172_800_i64..172_800, 0..1_000_u32);
    (prop::collection::vec(window(), 1..12), zones, from).prop_flat_map(
        move |(windows, zones, (second, beside_change, shift, millis))| {
            let any = DateTime::from_timestamp(second, millis * 1_000_000).unwrap();
            let from = zones[0]
                .parse::<Zone>()
                .unwrap()
                .next_transition(any)
                .filter(|_| beside_change)
                .map_or(any, |at| {
                    at + TimeDelta::seconds(shift) + TimeDelta::milliseconds(millis.into())
                });
            let date = from.date_naive();
            let closed = prop::collection::btree_set(near(date), 0..3);
            let edge = || prop::option::weighted(0.2, near(date));
            (closed, edge(), edge()).prop_map(move |(closed, start_on, end_on)| Case {
                windows: windows.clone(),
                closed,
                start_on,
                end_on,
                zones: zones.clone(),
                from,
            })
        },
    )
}

/// Four days.
const SCANNED: i64 = 4 * 24 * 60;

proptest! {
    #[test]
    fn every_minute_is_judged_as_by_the_wall_clock(case in case()) {
        let (hours, zones, clocks) = (case.hours(), case.zones(), case.clocks());
        for at in minutes_from(case.from, SCANNED / 2) {
            prop_assert_eq!(hours.allowed(at, &zones), case.allows(&clocks, at), "{}", at);
        }
    }

    #[test]
    fn the_next_allowed_instant_is_the_first_that_a_scan_finds(case in case()) {
        let (hours, zones, clocks) = (case.hours(), case.zones(), case.clocks());
        let found = minutes_from(case.from, SCANNED).find(|at| case.allows(&clocks, *at));
        match (hours.next_allowed(case.from, &zones), found) {
            (NextAllowed::At(next), Some(found)) => prop_assert_eq!(next, found),
            (NextAllowed::At(next), None) => {
                prop_assert!(next > case.from + TimeDelta::minutes(SCANNED - 1));
                prop_assert!(case.allows(&clocks, next));
                prop_assert!(!case.allows(&clocks, next - TimeDelta::milliseconds(1)));
            }
            (NextAllowed::Never, found) => prop_assert_eq!(found, None),
        }
    }

    #[test]
    fn a_window_ends_where_a_scan_finds_the_first_closed_minute(case in case()) {
        let (hours, zones, clocks) = (case.hours(), case.zones(), case.clocks());
        let NextAllowed::At(open) = hours.next_allowed(case.from, &zones) else {
            return Ok(());
        };
        let closed = minutes_from(open, SCANNED).find(|at| !case.allows(&clocks, *at));
        match (hours.window_end(open, &zones), closed) {
            (Some(end), Some(closed)) => prop_assert_eq!(end, closed),
            (end, None) => prop_assert!(end > Some(open + TimeDelta::minutes(SCANNED - 1))),
            (None, Some(_)) => prop_assert!(false, "{open} is allowed"),
        }
    }

    #[test]
    fn a_later_date_begins_where_a_scan_finds_it(case in case()) {
        let (hours, zones, clocks) = (case.hours(), case.zones(), case.clocks());
        let layer = [Layer { hours: &hours, zones: &zones }];
        let before: Vec<_> = clocks.iter().map(|clock| wall(clock, case.from).0).collect();
        let found = minutes_from(case.from, SCANNED).find(|at| {
            let later = |(clock, before): (_, &NaiveDate)| wall(clock, *at).0 > *before;
            case.allows(&clocks, *at) && clocks.iter().zip(&before).all(later)
        });
        match (Layers(&layer).next_allowed_on_later_date(case.from), found) {
            (NextAllowed::At(next), Some(found)) => prop_assert_eq!(next, found),
            (NextAllowed::At(next), None) => {
                prop_assert!(next > case.from + TimeDelta::minutes(SCANNED - 1));
            }
            (NextAllowed::Never, found) => prop_assert_eq!(found, None),
        }
    }

    #[test]
    fn two_layers_allow_what_both_allow(one in case(), other in case()) {
        let parts = [&one, &other].map(|case| (case.hours(), case.zones(), case.clocks()));
        let layers = [
            Layer { hours: &parts[0].0, zones: &parts[0].1 },
            Layer { hours: &parts[1].0, zones: &parts[1].1 },
        ];
        let both = |at| one.allows(&parts[0].2, at) && other.allows(&parts[1].2, at);
        let found = minutes_from(one.from, SCANNED).find(|at| both(*at));
        match (Layers(&layers).next_allowed(one.from), found) {
            (NextAllowed::At(next), Some(found)) => prop_assert_eq!(next, found),
            (NextAllowed::At(next), None) => prop_assert!(both(next)),
            (NextAllowed::Never, found) => prop_assert_eq!(found, None),
        }
    }

    #[test]
    fn hours_survive_their_document(case in case()) {
        let week = case.hours().week().clone();
        let json = serde_json::to_string(&week).unwrap();
        prop_assert_eq!(serde_json::from_str::<WeeklyHours>(&json).unwrap(), week);
    }
}
