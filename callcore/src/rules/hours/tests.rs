use chrono::{DateTime, NaiveDate, TimeDelta, Utc, Weekday};
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::rules::{FieldError, Refused};

const EVERY_DAY: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

fn zone(name: &str) -> Zone {
    name.parse().unwrap()
}

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn week(json: &str) -> WeeklyHours {
    serde_json::from_str(json).unwrap()
}

fn daily(start: &str, end: &str) -> WeeklyHours {
    let day = |day| format!(r#""{day}": [["{start}", "{end}"]]"#);
    week(&format!("{{{}}}", EVERY_DAY.map(day).join(",")))
}

fn hours(week: WeeklyHours) -> CallingHours {
    CallingHours::new(week, BTreeSet::new(), None, None).unwrap()
}

fn closed_on(week: WeeklyHours, dates: &[&str]) -> CallingHours {
    CallingHours::new(week, dates.iter().map(|d| date(d)).collect(), None, None).unwrap()
}

fn refused(json: &str) -> Refused<HoursError> {
    let document: WeekDocument = serde_json::from_str(json).unwrap();
    WeeklyHours::try_from(document).unwrap_err()
}

/// The instants at which `hours` open and close from `from` on.
fn stretches(hours: &CallingHours, from: &str, zones: &[Zone], count: usize) -> Vec<[String; 2]> {
    let mut at = utc(from);
    let mut found = Vec::new();
    while let (NextAllowed::At(open), true) = (hours.next_allowed(at, zones), found.len() < count) {
        let end = hours.window_end(open, zones).unwrap();
        found.push([open, end].map(|at| at.format("%m-%d %H:%M").to_string()));
        at = end;
    }
    found
}

#[test]
fn a_window_holds_its_start_and_not_its_end() {
    let hours = hours(daily("09:00", "17:00"));
    let zones = [zone("America/New_York")];
    for (at, allowed) in [
        ("2026-01-05T13:59:59.999999999Z", false),
        ("2026-01-05T14:00:00Z", true),
        ("2026-01-05T21:59:59.999999999Z", true),
        ("2026-01-05T22:00:00Z", false),
    ] {
        assert_eq!(hours.allowed(utc(at), &zones), allowed, "{at}");
    }
    let early = utc("2026-01-05T13:59:59.999Z");
    assert_eq!(hours.next_allowed(early, &zones), NextAllowed::At(utc("2026-01-05T14:00:00Z")));
    let late = utc("2026-01-05T21:59:59.999Z");
    assert_eq!(hours.next_allowed(late, &zones), NextAllowed::At(late));
    assert_eq!(hours.window_end(late, &zones), Some(utc("2026-01-05T22:00:00Z")));
    assert_eq!(hours.window_end(early, &zones), None);
}

#[test]
fn twenty_four_is_the_days_end() {
    let hours = hours(week(r#"{"mon": [["22:00", "24:00"]], "tue": [["00:00", "24:00"]]}"#));
    assert_eq!(
        stretches(&hours, "2026-01-05T00:00:00Z", &[Zone::utc()], 1),
        [["01-05 22:00", "01-07 00:00"]]
    );
}

#[test]
fn a_window_that_ends_before_it_starts_runs_past_midnight() {
    let hours = hours(week(r#"{"sun": [["22:00", "02:00"]]}"#));
    assert_eq!(
        stretches(&hours, "2026-01-05T01:30:00Z", &[Zone::utc()], 2),
        [["01-05 01:30", "01-05 02:00"], ["01-11 22:00", "01-12 02:00"]]
    );
}

#[test]
fn the_tail_of_a_window_belongs_to_the_date_it_falls_on() {
    let overnight = || week(r#"{"fri": [["22:00", "02:00"]]}"#);
    let from = "2026-01-09T00:00:00Z";
    let saturday_closed = closed_on(overnight(), &["2026-01-10"]);
    assert_eq!(
        stretches(&saturday_closed, from, &[Zone::utc()], 1),
        [["01-09 22:00", "01-10 00:00"]]
    );
    let friday_closed = closed_on(overnight(), &["2026-01-09"]);
    assert_eq!(
        stretches(&friday_closed, from, &[Zone::utc()], 1),
        [["01-10 00:00", "01-10 02:00"]]
    );
}

#[test]
fn a_closed_date_is_closed_by_the_local_calendar() {
    let hours = closed_on(daily("00:00", "24:00"), &["2026-12-25"]);
    assert_eq!(
        stretches(&hours, "2026-12-25T05:30:00Z", &[zone("America/New_York")], 1)[0][0],
        "12-26 05:00"
    );
    assert!(hours.allowed(utc("2026-12-25T04:59:59Z"), &[zone("America/New_York")]));
}

#[test]
fn the_first_and_last_date_are_inclusive_and_local() {
    let hours = CallingHours::new(
        daily("09:00", "10:00"),
        BTreeSet::new(),
        Some(date("2026-06-10")),
        Some(date("2026-06-11")),
    )
    .unwrap();
    assert_eq!(
        stretches(&hours, "2025-12-01T00:00:00Z", &[zone("Asia/Kathmandu")], 5),
        [["06-10 03:15", "06-10 04:15"], ["06-11 03:15", "06-11 04:15"]]
    );
}

#[test]
fn every_candidate_zone_must_allow_by_its_own_date() {
    let hours = closed_on(daily("09:00", "20:00"), &["2026-03-05"]);
    // Los Angeles opens at 17:00 UTC, New York closes at 01:00 UTC, which is the day before.
    let zones = [zone("America/New_York"), zone("America/Los_Angeles")];
    assert_eq!(
        stretches(&hours, "2026-03-04T00:00:00Z", &zones, 3),
        [
            ["03-04 00:00", "03-04 01:00"],
            ["03-04 17:00", "03-05 01:00"],
            ["03-06 17:00", "03-07 01:00"]
        ]
    );
    let apart = closed_on(daily("00:00", "24:00"), &["2026-03-05"]);
    let zones = [zone("Asia/Tokyo"), zone("America/New_York")];
    assert_eq!(
        stretches(&apart, "2026-03-04T00:00:00Z", &zones, 1),
        [["03-04 00:00", "03-04 15:00"]]
    );
    assert_eq!(stretches(&apart, "2026-03-04T15:00:00Z", &zones, 1)[0][0], "03-06 05:00");
}

#[test]
fn a_window_that_starts_in_a_gap_opens_after_it() {
    let hours = hours(week(r#"{"sun": [["02:30", "04:00"]]}"#));
    assert_eq!(
        stretches(&hours, "2026-03-08T00:00:00Z", &[zone("America/New_York")], 1),
        [["03-08 07:00", "03-08 08:00"]]
    );
}

#[test]
fn a_window_wholly_inside_a_gap_gives_nothing() {
    let hours = hours(week(r#"{"sun": [["02:00", "03:00"]]}"#));
    assert_eq!(
        stretches(&hours, "2026-03-07T00:00:00Z", &[zone("America/New_York")], 1),
        [["03-15 06:00", "03-15 07:00"]]
    );
    // Samoa had no 30 December 2011 at all, a Friday.
    let friday = self::hours(week(r#"{"fri": [["00:00", "24:00"]]}"#));
    assert_eq!(
        stretches(&friday, "2011-12-25T00:00:00Z", &[zone("Pacific/Apia")], 1)[0][0],
        "01-05 10:00"
    );
}

#[test]
fn wall_times_that_repeat_count_both_times() {
    let hours = hours(week(r#"{"sun": [["01:00", "01:30"]]}"#));
    assert_eq!(
        stretches(&hours, "2026-11-01T00:00:00Z", &[zone("America/New_York")], 2),
        [["11-01 05:00", "11-01 05:30"], ["11-01 06:00", "11-01 06:30"]]
    );
    // Half an hour of daylight saving: 01:30 to 02:00 comes twice.
    let lord_howe = self::hours(week(r#"{"sun": [["01:40", "01:50"]]}"#));
    assert_eq!(
        stretches(&lord_howe, "2026-04-04T12:00:00Z", &[zone("Australia/Lord_Howe")], 2),
        [["04-04 14:40", "04-04 14:50"], ["04-04 15:10", "04-04 15:20"]]
    );
}

#[test]
fn an_offset_with_seconds_is_kept_to_the_second() {
    // Liberia was 44 minutes and 30 seconds behind UTC until 1972.
    let opening = utc("1971-06-01T09:44:30Z");
    let hours = hours(daily("09:00", "17:00"));
    let from = utc("1971-06-01T00:00:00Z");
    assert_eq!(hours.next_allowed(from, &[zone("Africa/Monrovia")]), NextAllowed::At(opening));
}

#[test]
fn never_is_the_answer_beyond_400_days() {
    let from = utc("2026-01-01T12:00:00Z");
    let opens = |start_on: &str| {
        let week = daily("12:00", "13:00");
        CallingHours::new(week, BTreeSet::new(), Some(date(start_on)), None)
            .unwrap()
            .next_allowed(from, &[Zone::utc()])
    };
    assert_eq!(opens("2027-02-05"), NextAllowed::At(utc("2027-02-05T12:00:00Z")));
    assert_eq!(from + HORIZON, utc("2027-02-05T12:00:00Z"));
    assert_eq!(opens("2027-02-06"), NextAllowed::Never);

    let ended =
        CallingHours::new(daily("12:00", "13:00"), BTreeSet::new(), None, Some(date("2025-12-31")))
            .unwrap();
    assert_eq!(ended.next_allowed(from, &[Zone::utc()]), NextAllowed::Never);

    let gone = hours(week(r#"{"mon": [["09:00", "10:00"]]}"#));
    let mondays = date("2026-01-05").iter_weeks().take(60).collect();
    let closed = CallingHours::new(gone.week().clone(), mondays, None, None).unwrap();
    assert_eq!(closed.next_allowed(from, &[Zone::utc()]), NextAllowed::Never);
}

#[test]
fn zones_whose_hours_never_meet_never_allow() {
    let hours = hours(daily("09:00", "10:00"));
    let zones = [zone("Asia/Tokyo"), zone("America/New_York")];
    assert_eq!(hours.next_allowed(utc("2026-01-01T00:00:00Z"), &zones), NextAllowed::Never);
}

#[test]
fn hours_that_never_close_end_at_the_horizon() {
    let from = utc("2026-01-01T00:00:00Z");
    let always = hours(daily("00:00", "24:00"));
    assert_eq!(always.window_end(from, &[zone("Europe/London")]), Some(from + HORIZON));
}

#[test]
fn without_a_zone_or_a_layer_nothing_is_allowed() {
    let always = hours(daily("00:00", "24:00"));
    let at = utc("2026-01-01T00:00:00Z");
    let utc_zone = [Zone::utc()];
    let open = Layer { hours: &always, zones: &utc_zone };
    let nowhere = Layer { hours: &always, zones: &[] };
    assert!(Layers(&[open]).allowed(at));
    for layers in [&[][..], &[nowhere], &[open, nowhere]] {
        let layers = Layers(layers);
        assert!(!layers.allowed(at));
        assert_eq!(layers.next_allowed(at), NextAllowed::Never);
        assert_eq!(layers.next_allowed_on_later_date(at), NextAllowed::Never);
        assert_eq!(layers.window_end(at), None);
    }
}

#[test]
fn layers_only_tighten() {
    let campaign = closed_on(daily("08:00", "21:00"), &["2026-01-06"]);
    let legal = closed_on(daily("09:00", "22:00"), &["2026-01-05"]);
    let [here, there] = [[zone("America/New_York")], [zone("America/Chicago")]];
    let layers = [
        Layer { hours: &campaign, zones: &here },
        Layer { hours: &legal, zones: &there },
    ];
    let layers = Layers(&layers);
    let open = utc("2026-01-07T15:00:00Z");
    assert_eq!(layers.next_allowed(utc("2026-01-05T12:00:00Z")), NextAllowed::At(open));
    assert_eq!(layers.window_end(open), Some(utc("2026-01-08T02:00:00Z")));
}

#[test]
fn a_later_date_is_later_in_every_zone() {
    let always = hours(daily("00:00", "24:00"));
    let zones = [zone("Asia/Tokyo"), zone("America/New_York")];
    let layer = [Layer { hours: &always, zones: &zones }];
    // Already Tuesday in Tokyo, still Monday in New York: Wednesday in the one, then Tuesday.
    assert_eq!(
        Layers(&layer).next_allowed_on_later_date(utc("2026-01-06T03:00:00Z")),
        NextAllowed::At(utc("2026-01-06T15:00:00Z"))
    );
    assert_eq!(
        Layers(&layer).next_allowed_on_later_date(utc("2026-01-06T14:00:00Z")),
        NextAllowed::At(utc("2026-01-07T05:00:00Z"))
    );
}

#[test]
fn a_date_that_comes_back_is_not_a_later_one() {
    // On 2010-11-07 at 00:01 the clocks of Newfoundland went back to 23:01 of the sixth.
    let late = hours(daily("23:30", "24:00"));
    let zones = [zone("America/St_Johns")];
    let layer = [Layer { hours: &late, zones: &zones }];
    let ended = utc("2010-11-07T02:10:00Z");
    assert_eq!(zones[0].date(ended), date("2010-11-06"));
    assert_eq!(late.next_allowed(utc("2010-11-07T02:31:00Z"), &zones),
        NextAllowed::At(utc("2010-11-07T03:00:00Z")));
    assert_eq!(
        Layers(&layer).next_allowed_on_later_date(ended),
        NextAllowed::At(utc("2010-11-08T03:00:00Z"))
    );
}

#[test]
fn the_ends_of_time_are_never_allowed_rather_than_a_panic() {
    let hours = hours(daily("00:00", "24:00"));
    for at in [DateTime::<Utc>::MAX_UTC, DateTime::<Utc>::MIN_UTC] {
        for name in ["Asia/Tokyo", "America/New_York", "UTC"] {
            let zones = [zone(name)];
            let layer = [Layer { hours: &hours, zones: &zones }];
            let _ = hours.window_end(at, &zones);
            let _ = Layers(&layer).next_allowed_on_later_date(at);
            if let NextAllowed::At(next) = hours.next_allowed(at, &zones) {
                assert!(next >= at && hours.allowed(next, &zones));
            }
        }
    }
}

#[test]
fn hours_serialise_as_they_were_written() {
    let written = r#"{"sun":[["22:00","02:00"],["01:00","03:00"]],"mon":[["13:00","17:00"],["09:00","24:00"]],"tue":[]}"#;
    let kept = r#"{"mon":[["13:00","17:00"],["09:00","24:00"]],"sun":[["22:00","02:00"],["01:00","03:00"]]}"#;
    assert_eq!(serde_json::to_string(&week(written)).unwrap(), kept);
    // Overlaps apply as one window.
    assert_eq!(
        stretches(&hours(week(written)), "2026-01-04T03:00:00Z", &[Zone::utc()], 3),
        [
            ["01-04 22:00", "01-05 02:00"],
            ["01-05 09:00", "01-06 00:00"],
            ["01-11 01:00", "01-11 03:00"]
        ]
    );
}

#[test]
fn every_bad_window_is_refused_by_name() {
    let refused = refused(
        r#"{"mon": [["9:00", "12:00"], ["09:00", "12:00"], ["13:00", "24:01"]],
            "wed": [["12:00", "12:00"]], "sun": [["24:00", "02:00"], ["24:00", "24:00"]]}"#,
    );
    let errors: Vec<_> = refused.errors().iter().map(|e| (e.field(), e.code())).collect();
    let expected = [
        ("hours.mon[0]", "malformed_time"),
        ("hours.mon[2]", "malformed_time"),
        ("hours.wed[0]", "empty_window"),
        ("hours.sun[0]", "starts_at_day_end"),
        ("hours.sun[1]", "starts_at_day_end"),
    ];
    assert_eq!(errors, expected.map(|(field, code)| (field.to_owned(), code)));
    assert!(refused.to_string().starts_with(r#"hours.mon[0]: "9:00" is not a time of day"#));

    for text in ["", "25:00", "09:60", "0900", "09:00:00", "+9:00", "-1:00", "٠٩:00", "aa:bb"] {
        let json = format!(r#"{{"fri": [["{text}", "10:00"]]}}"#);
        assert_eq!(self::refused(&json).errors()[0].field(), "hours.fri[0]", "{text}");
    }
}

#[test]
fn hours_that_never_open_are_refused() {
    for json in ["{}", r#"{"mon": [], "sun": []}"#] {
        let refused = refused(json);
        assert_eq!(refused.errors(), [HoursError::NoOpenWindow]);
        assert_eq!(refused.errors()[0].field(), "hours");
    }
    let monday = || week(r#"{"mon": [["09:00", "10:00"]]}"#);
    let [tuesday, sunday] = [date("2026-01-06"), date("2026-01-11")];
    let between = |closed: &[&str], from, to| {
        let closed = closed.iter().map(|d| date(d)).collect();
        CallingHours::new(monday(), closed, Some(from), Some(to)).map_err(|e| e.field())
    };
    assert_eq!(between(&[], tuesday, sunday), Err("hours".to_owned()));
    assert_eq!(between(&[], sunday, tuesday), Err("end_on".to_owned()));
    assert!(between(&[], tuesday, date("2026-01-12")).is_ok());
    assert!(between(&["2026-01-12"], tuesday, date("2026-01-12")).is_err());
}

#[test]
fn an_unknown_weekday_is_refused_by_name() {
    let error = serde_json::from_str::<WeeklyHours>(r#"{"monday": [["09:00", "10:00"]]}"#);
    assert!(error.unwrap_err().to_string().contains("`monday`"));
}

// What follows states the meaning a second time, on what jiff says the wall clock shows and on
// the windows as they were written, and compares it minute by minute.

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
        self.zones.iter().map(|name| zone(name)).collect()
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
    (prop::collection::vec(window(), 1..12), zones, from)
        .prop_flat_map(move |(windows, zones, (second, beside_change, shift, millis))| {
            let any = DateTime::from_timestamp(second, millis * 1_000_000).unwrap();
            let from = zone(zones[0])
                .next_transition(any)
                .filter(|_| beside_change)
                .map_or(any, |at| at + TimeDelta::seconds(shift) + TimeDelta::milliseconds(millis.into()));
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
        })
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
            let later = |(clock, before)| wall(clock, *at).0 > *before;
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
