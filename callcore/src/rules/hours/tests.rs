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
fn british_columbia_keeps_daylight_time_from_november_2026_on() {
    let opening = utc("2026-12-01T16:00:00Z");
    let from = utc("2026-12-01T12:00:00Z");
    let hours = hours(daily("09:00", "17:00"));
    assert_eq!(hours.next_allowed(from, &[zone("America/Vancouver")]), NextAllowed::At(opening));
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
fn a_window_that_never_closes_ends_as_far_ahead_as_anybody_asks() {
    let from = utc("2026-01-01T12:34:56Z");
    let always = hours(daily("00:00", "24:00"));
    assert_eq!(always.window_end(from, &[zone("Europe/London")]), Some(from + LONGEST_WINDOW));
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
    let layers = [Layer { hours: &campaign, zones: &here }, Layer { hours: &legal, zones: &there }];
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
    assert_eq!(
        late.next_allowed(utc("2010-11-07T02:31:00Z"), &zones),
        NextAllowed::At(utc("2010-11-07T03:00:00Z"))
    );
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

#[test]
fn times_to_choose_from_are_openings_and_whole_steps_that_are_allowed() {
    let hours = hours(week(r#"{"mon": [["09:10", "10:30"]], "tue": [["09:00", "09:20"]]}"#));
    let zones = [zone("Asia/Kathmandu")];
    let layers = [Layer { hours: &hours, zones: &zones }];
    let times = |from: &str, most| {
        let found =
            Layers(&layers).times(utc(from), TimeDelta::minutes(30), TimeDelta::days(7), most);
        assert!(found.iter().all(|at| hours.allowed(*at, &zones)), "{found:?}");
        let told = |at: &DateTime<Utc>| zones[0].local(*at).format("%a %H:%M").to_string();
        found.iter().map(told).collect::<Vec<_>>()
    };
    // The clocks of Nepal are 5:45 hours ahead, so whole half-hours are at a quarter there.
    let week = ["Mon 09:10", "Mon 09:15", "Mon 09:45", "Mon 10:15", "Tue 09:00", "Tue 09:15"];
    assert_eq!(times("2026-01-01T00:00:00Z", 99), week);
    assert_eq!(times("2026-01-01T00:00:00Z", 2), week[..2]);
    assert_eq!(times("2026-01-05T03:30:00.5Z", 2), ["Mon 09:45", "Mon 10:15"]);
    assert_eq!(times("2026-01-05T04:31:00Z", 1), ["Tue 09:00"]);
}

#[test]
fn without_a_clock_there_is_no_time_to_choose() {
    let hours = hours(daily("09:00", "17:00"));
    let step = TimeDelta::minutes(30);
    let layers = [Layer { hours: &hours, zones: &[] }];
    let from = utc("2026-01-05T00:00:00Z");
    assert!(Layers(&layers).times(from, step, TimeDelta::days(7), 9).is_empty());
    assert!(Layers(&[]).times(from, step, TimeDelta::days(7), 9).is_empty());
}
