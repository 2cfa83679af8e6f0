use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use proptest::prelude::*;

use super::*;
use crate::rules::hours::{CallingHours, Layer, WeeklyHours};
use crate::time::Zone;

use Ending::{NotADial, Permanent, Reached, Unconnected, Voicemail};

const WORK_WEEK: &str = r#"{"mon": [["09:00", "17:00"]], "tue": [["09:00", "17:00"]],
    "wed": [["09:00", "12:00"], ["13:00", "17:00"]], "thu": [["09:00", "17:00"]],
    "fri": [["09:00", "17:00"]]}"#;

const ALWAYS: &str = r#"{"mon": [["00:00", "24:00"]], "tue": [["00:00", "24:00"]],
    "wed": [["00:00", "24:00"]], "thu": [["00:00", "24:00"]], "fri": [["00:00", "24:00"]],
    "sat": [["00:00", "24:00"]], "sun": [["00:00", "24:00"]]}"#;

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn hours(week: &str) -> CallingHours {
    let week: WeeklyHours = serde_json::from_str(week).unwrap();
    CallingHours::new(week, BTreeSet::new(), None, None).unwrap()
}

fn policy(json: &str) -> RetryPolicy {
    serde_json::from_str(json).unwrap()
}

/// Under the working week of New York.
fn plan(policy: &RetryPolicy, endings: &[Ending], ended_at: &str) -> Plan {
    let zones = ["America/New_York".parse::<Zone>().unwrap()];
    let hours = hours(WORK_WEEK);
    policy.plan(endings, utc(ended_at), Layers(&[Layer { hours: &hours, zones: &zones }]))
}

/// Dials until the plan has no further one; answers how many there were, and what ended them.
fn walk(policy: &RetryPolicy, endings: impl IntoIterator<Item = Ending>) -> (usize, Plan) {
    let zones = [Zone::utc()];
    let hours = hours(ALWAYS);
    let layers = [Layer { hours: &hours, zones: &zones }];
    let mut now = utc("2026-01-05T12:00:00Z");
    let mut so_far = Vec::new();
    for ending in endings {
        so_far.push(ending);
        match policy.plan(&so_far, now, Layers(&layers)) {
            Plan::At(at) => now = at,
            end => return (so_far.len(), end),
        }
    }
    panic!("the plan never ended");
}

#[test]
fn no_answer_busy_and_failed_share_one_retry_so_there_are_two_dials() {
    let [no_answer, busy, failed] = [Unconnected; 3];
    assert_eq!(
        walk(&RetryPolicy::default(), [no_answer, busy, failed]),
        (2, Plan::Exhausted(Exhausted::Connect))
    );
}

#[test]
fn voicemail_is_retried_twice_by_default() {
    assert_eq!(
        walk(&RetryPolicy::default(), [Voicemail; 5]),
        (3, Plan::Exhausted(Exhausted::Voicemail))
    );
}

#[test]
fn the_lists_are_used_up_apart_and_max_attempts_bounds_both() {
    let default = RetryPolicy::default();
    assert_eq!(
        walk(&default, [Voicemail, Unconnected, Unconnected]),
        (3, Plan::Exhausted(Exhausted::Connect))
    );
    assert_eq!(
        walk(&default, [Unconnected, Voicemail, Voicemail, Voicemail]),
        (4, Plan::Exhausted(Exhausted::MaxAttempts))
    );
    let twice = policy(r#"{"max_attempts": 2}"#);
    assert_eq!(walk(&twice, [Voicemail; 5]), (2, Plan::Exhausted(Exhausted::MaxAttempts)));
    let once = policy(r#"{"connect": [], "voicemail": []}"#);
    assert_eq!(walk(&once, [Unconnected]), (1, Plan::Exhausted(Exhausted::Connect)));
}

#[test]
fn whoever_was_reached_or_cannot_be_is_not_called_again() {
    for last in [Reached, Permanent, NotADial] {
        assert_eq!(walk(&RetryPolicy::default(), [Unconnected, last]), (2, Plan::NotRetried));
    }
    assert_eq!(plan(&RetryPolicy::default(), &[], "2026-01-05T15:00:00Z"), Plan::NotRetried);
}

#[test]
fn a_call_that_was_not_dialled_uses_no_attempt() {
    let once = policy(r#"{"max_attempts": 2}"#);
    let endings = [NotADial, NotADial, Unconnected];
    assert!(matches!(plan(&once, &endings, "2026-01-05T15:00:00Z"), Plan::At(_)));
}

#[test]
fn later_the_same_day_is_two_hours_later_or_the_next_window() {
    let default = RetryPolicy::default();
    for (ended_at, due) in [
        // Monday 10:00 in New York.
        ("2026-01-05T15:00:00.5Z", "2026-01-05T17:00:00.5Z"),
        // 14:59:59 leaves a second of the day, 15:00 nothing.
        ("2026-01-05T19:59:59Z", "2026-01-05T21:59:59Z"),
        ("2026-01-05T20:00:00Z", "2026-01-06T14:00:00Z"),
        // Wednesday 10:30: two hours later is the midday break.
        ("2026-01-07T15:30:00Z", "2026-01-07T18:00:00Z"),
        // Friday 16:00, over the weekend on which daylight time begins.
        ("2026-03-06T21:00:00Z", "2026-03-09T13:00:00Z"),
    ] {
        assert_eq!(plan(&default, &[Unconnected], ended_at), Plan::At(utc(due)), "{ended_at}");
    }
}

#[test]
fn the_next_day_is_the_first_window_of_a_later_date() {
    let next_day = policy(r#"{"connect": ["next_day"]}"#);
    for (ended_at, due) in [
        ("2026-01-05T15:00:00Z", "2026-01-06T14:00:00Z"),
        // A quarter past midnight, by a person's own dial: the same date's hours don't count.
        ("2026-01-06T05:15:00Z", "2026-01-07T14:00:00Z"),
        ("2026-01-09T15:00:00Z", "2026-01-12T14:00:00Z"),
    ] {
        assert_eq!(plan(&next_day, &[Unconnected], ended_at), Plan::At(utc(due)), "{ended_at}");
    }
}

#[test]
fn each_retry_takes_the_next_step_of_its_list() {
    let policy = policy(r#"{"connect": ["PT30M", "P1D"], "voicemail": ["PT1H"]}"#);
    let ended_at = "2026-01-05T15:00:00Z";
    let due = |endings: &[Ending]| plan(&policy, endings, ended_at);
    assert_eq!(due(&[Unconnected]), Plan::At(utc("2026-01-05T15:30:00Z")));
    assert_eq!(due(&[Unconnected, Voicemail]), Plan::At(utc("2026-01-05T16:00:00Z")));
    let endings = [Unconnected, Voicemail, Unconnected];
    assert_eq!(due(&endings), Plan::At(utc("2026-01-06T15:00:00Z")));
}

#[test]
fn a_retry_that_no_instant_allows_is_never() {
    let week: WeeklyHours = serde_json::from_str(WORK_WEEK).unwrap();
    let last = Some("2026-01-05".parse().unwrap());
    let hours = CallingHours::new(week, BTreeSet::new(), None, last).unwrap();
    let zones = [Zone::utc()];
    let layers = [Layer { hours: &hours, zones: &zones }];
    let plan = |at: &str| RetryPolicy::default().plan(&[Unconnected], utc(at), Layers(&layers));
    assert_eq!(plan("2026-01-05T14:00:00Z"), Plan::At(utc("2026-01-05T16:00:00Z")));
    assert_eq!(plan("2026-01-05T16:00:00Z"), Plan::Never);
}

#[test]
fn a_policy_survives_its_document_and_fills_in_defaults() {
    let json = r#"{"connect":["later_same_day"],"voicemail":["PT4H","next_day"],"max_attempts":4}"#;
    assert_eq!(serde_json::to_string(&RetryPolicy::default()).unwrap(), json);
    assert_eq!(policy(json), RetryPolicy::default());
    assert_eq!(policy("{}"), RetryPolicy::default());
    assert_eq!(policy(r#"{"connect": []}"#).voicemail(), RetryPolicy::default().voicemail());
}

#[test]
fn every_bad_field_is_named() {
    let many = vec![r#""P1D""#; 21].join(",");
    let json = format!(
        r#"{{"connect": ["P1D", "tomorrow", "P31D", "PT0S"], "voicemail": [{many}],
            "max_attempts": 10000}}"#
    );
    let document: RetryDocument = serde_json::from_str(&json).unwrap();
    let refused = RetryPolicy::try_from(document).unwrap_err();
    let fields: Vec<String> = refused.errors().iter().map(FieldError::field).collect();
    assert_eq!(
        fields,
        [
            "retry.connect[1]",
            "retry.connect[2]",
            "retry.connect[3]",
            "retry.voicemail",
            "retry.max_attempts"
        ]
    );
    assert!(refused.to_string().ends_with("retry.max_attempts: from 1 to 20, not 10000"));

    for attempts in ["0", "21", "-1", "99999999999"] {
        let json = format!(r#"{{"max_attempts": {attempts}}}"#);
        let error = serde_json::from_str::<RetryPolicy>(&json).unwrap_err().to_string();
        assert!(error.contains("retry.max_attempts"), "{error}");
    }
    let unknown = serde_json::from_str::<RetryPolicy>(r#"{"busy": []}"#).unwrap_err();
    assert!(unknown.to_string().contains("`busy`"));
}

fn ending() -> impl Strategy<Value = Ending> {
    prop::sample::select(vec![Unconnected, Unconnected, Voicemail, Voicemail, Reached, Permanent])
}

fn step() -> impl Strategy<Value = RetryStep> {
    prop_oneof![
        Just(RetryStep::LaterSameDay),
        Just(RetryStep::NextDay),
        (1_u16..720).prop_map(|hours| RetryStep::After(IsoDuration::hours(hours))),
    ]
}

fn any_policy() -> impl Strategy<Value = RetryPolicy> {
    let steps = || prop::collection::vec(step(), 0..=MAX_STEPS);
    (steps(), steps(), 1..=MAX_ATTEMPTS).prop_map(|(connect, voicemail, max_attempts)| {
        RetryPolicy { connect, voicemail, max_attempts }
    })
}

proptest! {
    #[test]
    fn there_are_never_more_dials_than_max_attempts(
        policy in any_policy(),
        endings in prop::collection::vec(ending(), 21),
    ) {
        let (dials, _) = walk(&policy, endings.iter().copied());
        prop_assert!(dials <= policy.max_attempts() as usize);
        let retried = |ending| endings[..dials - 1].iter().filter(|e| **e == ending).count();
        prop_assert!(retried(Unconnected) <= policy.connect().len());
        prop_assert!(retried(Voicemail) <= policy.voicemail().len());
    }

    #[test]
    fn a_planned_instant_is_allowed_and_late_enough(
        step in step(),
        second in 1_700_000_000_i64..1_900_000_000,
        two_zones in any::<bool>(),
    ) {
        let hours = hours(WORK_WEEK);
        let zones: Vec<Zone> = ["America/New_York", "America/Denver"]
            .iter()
            .take(1 + usize::from(two_zones))
            .map(|name| name.parse().unwrap())
            .collect();
        let layers = [Layer { hours: &hours, zones: &zones }];
        let ended_at = DateTime::from_timestamp(second, 0).unwrap();
        let policy = RetryPolicy { connect: vec![step], ..RetryPolicy::default() };
        let Plan::At(due) = policy.plan(&[Unconnected], ended_at, Layers(&layers)) else {
            return Err(TestCaseError::fail("working weeks always go on"));
        };
        prop_assert!(hours.allowed(due, &zones));
        match step {
            RetryStep::LaterSameDay => prop_assert!(due >= ended_at + TimeDelta::hours(2)),
            RetryStep::After(wait) => prop_assert!(due >= ended_at + wait.delta()),
            RetryStep::NextDay => {
                prop_assert!(zones.iter().all(|zone| zone.date(due) > zone.date(ended_at)));
            }
        }
    }

    #[test]
    fn policies_survive_their_document(policy in any_policy()) {
        let json = serde_json::to_string(&policy).unwrap();
        prop_assert_eq!(serde_json::from_str::<RetryPolicy>(&json).unwrap(), policy);
    }
}
