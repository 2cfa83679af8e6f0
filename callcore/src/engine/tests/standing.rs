use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::call::{CancelReason, Intent, Outcome};
use crate::campaign::{RunState, Settings};
use crate::client::ClientStatus;
use crate::engine::{CallBrief, Case, Outlook, Stage, outlook};
use crate::id::CallId;
use crate::time::SeededEntropy;

fn settings(changes: &Value) -> Settings {
    let day = json!([["09:00", "17:00"]]);
    let mut document = json!({
        "name": "Renewals",
        "hours": {"mon": day, "tue": day, "wed": day, "thu": day, "fri": day},
        "zone_policy": "campaign",
    });
    document.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    Settings::from_json(&document).unwrap()
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn case<'a>(calls: &'a [CallBrief], settings: &'a Settings) -> Case<'a> {
    let (active, on_dnc, run_state) = (true, false, RunState::Running);
    Case { calls, zones: &[], active, erased: false, on_dnc, run_state, settings }
}

fn first(stage: Stage) -> CallBrief {
    let id = CallId::new(at("2026-03-02T09:00:00Z"), &SeededEntropy::new(1));
    CallBrief { id, attempt: 1, retry_of: None, intent: Intent::Plan, stage }
}

fn dialled(outcome: Outcome, at: DateTime<Utc>) -> Stage {
    Stage::Dialled { outcome, at, permanent: false, unknown: false }
}

/// Puts into the calls what an outlook asks for.
fn follow(calls: &mut Vec<CallBrief>, outlook: &Outlook) {
    calls.retain(|call| Some(call.id) != outlook.withdraw);
    calls.extend(outlook.plan.map(|plan| CallBrief {
        id: plan.id,
        attempt: plan.attempt,
        retry_of: Some(plan.retry_of),
        intent: Intent::Plan,
        stage: Stage::Scheduled { due_at: plan.due_at },
    }));
}

/// Dials a client until nothing follows any more: each dial begins when it is due and ends 20
/// seconds later, the last of the outcomes repeating. Gives the instants at which it was dialled,
/// and where the client then stands.
fn walk(settings: &Settings, outcomes: &[Outcome]) -> (Vec<String>, ClientStatus) {
    let mut calls = vec![first(Stage::Scheduled { due_at: at("2026-03-02T10:00:00Z") })];
    let mut dials = Vec::new();
    loop {
        let found = outlook(&case(&calls, settings));
        follow(&mut calls, &found);
        let waiting = |call: &&mut CallBrief| matches!(call.stage, Stage::Scheduled { .. });
        let Some(call) = calls.iter_mut().find(waiting) else {
            return (dials, outlook(&case(&calls, settings)).standing.status);
        };
        let Stage::Scheduled { due_at } = call.stage else { unreachable!("it waits") };
        let outcome = outcomes[dials.len().min(outcomes.len() - 1)];
        call.stage = dialled(outcome, due_at + TimeDelta::seconds(20));
        dials.push(due_at.format("%a %H:%M:%S").to_string());
    }
}

#[test]
fn no_answer_busy_failed_are_two_dials_in_all_two_hours_apart() {
    let outcomes = [Outcome::NoAnswer, Outcome::Busy, Outcome::Failed];
    let (dials, status) = walk(&settings(&json!({})), &outcomes);
    assert_eq!(dials, ["Mon 10:00:00", "Mon 12:00:20"]);
    assert_eq!(status, ClientStatus::Exhausted);
}

#[test]
fn a_retry_too_late_for_today_is_due_when_the_hours_next_open() {
    let short = json!({"hours": {"mon": [["09:00", "11:00"]], "wed": [["09:30", "17:00"]]}});
    let (dials, _) = walk(&settings(&short), &[Outcome::Busy]);
    assert_eq!(dials, ["Mon 10:00:00", "Wed 09:30:00"]);
}

#[test]
fn voicemail_is_tried_three_times() {
    let (dials, status) = walk(&settings(&json!({})), &[Outcome::Voicemail]);
    assert_eq!(dials, ["Mon 10:00:00", "Mon 14:00:20", "Tue 09:00:00"]);
    assert_eq!(status, ClientStatus::Voicemail);
}

#[test]
fn a_mix_of_endings_stops_at_max_attempts() {
    let outcomes = [Outcome::Voicemail, Outcome::Busy, Outcome::Voicemail, Outcome::NoAnswer];
    let (dials, status) = walk(&settings(&json!({})), &outcomes);
    assert_eq!((dials.len(), status), (4, ClientStatus::Exhausted));
}

#[test]
fn whoever_is_reached_or_opts_out_is_not_called_again() {
    let settings = settings(&json!({}));
    for (outcome, status) in
        [(Outcome::Answered, ClientStatus::Reached), (Outcome::OptedOut, ClientStatus::OptedOut)]
    {
        let (dials, found) = walk(&settings, &[Outcome::NoAnswer, outcome]);
        assert_eq!((dials.len(), found), (2, status));
    }
}

#[test]
fn a_number_ruled_out_and_a_fate_unknown_are_not_retried() {
    let settings = settings(&json!({}));
    for (permanent, unknown, status) in
        [(true, false, ClientStatus::Unreachable), (false, true, ClientStatus::NeedsFollowUp)]
    {
        let ended = at("2026-03-02T10:00:00Z");
        let stage = Stage::Dialled { outcome: Outcome::Failed, at: ended, permanent, unknown };
        let found = outlook(&case(&[first(stage)], &settings));
        assert_eq!((found.plan, found.standing.status), (None, status));
    }
}

#[test]
fn a_withdrawn_retry_leaves_its_client_in_a_final_state() {
    let settings = settings(&json!({}));
    let ended = at("2026-03-02T10:00:00Z");
    let mut calls = vec![first(dialled(Outcome::Voicemail, ended))];
    let planned = outlook(&case(&calls, &settings));
    follow(&mut calls, &planned);
    calls[0].stage = dialled(Outcome::Answered, ended);
    let found = outlook(&case(&calls, &settings));
    assert_eq!(found.withdraw, planned.plan.map(|plan| plan.id));
    assert_eq!((found.standing.status, found.standing.next_call), (ClientStatus::Reached, None));
}

#[test]
fn a_retry_somebody_moved_or_asked_for_is_not_withdrawn() {
    let settings = settings(&json!({}));
    let ended = at("2026-03-02T10:00:00Z");
    for intent in [Intent::Rescheduled, Intent::Person] {
        let mut calls = vec![first(dialled(Outcome::Voicemail, ended))];
        let planned = outlook(&case(&calls, &settings));
        follow(&mut calls, &planned);
        calls[1].intent = intent;
        calls[0].stage = dialled(Outcome::Answered, ended);
        let found = outlook(&case(&calls, &settings));
        assert_eq!((found.withdraw, found.plan), (None, None));
        assert_eq!(found.standing.status, ClientStatus::Scheduled);
    }
}

#[test]
fn a_re_call_that_came_to_nothing_leaves_its_client_where_the_last_dial_did() {
    let settings = settings(&json!({}));
    let ended = at("2026-03-02T10:00:00Z");
    let later = ended + TimeDelta::hours(3);
    let dial = |outcome, permanent, unknown| {
        first(Stage::Dialled { outcome, at: ended, permanent, unknown })
    };
    let re_call = |of: &CallBrief, reason| CallBrief {
        id: of.id.successor(later),
        attempt: of.attempt + 1,
        retry_of: Some(of.id),
        intent: Intent::Person,
        stage: Stage::Retired { reason, at: later, due_at: later },
    };
    for (dial, status) in [
        (dial(Outcome::Answered, false, false), ClientStatus::Reached),
        (dial(Outcome::Failed, true, false), ClientStatus::Unreachable),
        (dial(Outcome::Failed, false, true), ClientStatus::NeedsFollowUp),
    ] {
        for reason in [
            None,
            Some(CancelReason::CampaignStopped),
            Some(CancelReason::HoursOver),
            Some(CancelReason::NoConsent),
            Some(CancelReason::OnDnc),
        ] {
            let calls = [dial.clone(), re_call(&dial, reason)];
            let found = outlook(&case(&calls, &settings));
            assert_eq!((found.standing.status, found.plan), (status, None), "{reason:?}");
        }
    }
    // A retry that was owed and taken out of the queue is another thing.
    let busy = dial(Outcome::Busy, false, false);
    let mut skipped = re_call(&busy, None);
    skipped.intent = Intent::Plan;
    let found = outlook(&case(&[busy, skipped], &settings));
    assert_eq!(found.standing.status, ClientStatus::Skipped);
}

#[test]
fn nothing_is_planned_for_who_may_not_be_called() {
    let settings = settings(&json!({}));
    let calls = [first(dialled(Outcome::Busy, at("2026-03-02T10:00:00Z")))];
    let open = case(&calls, &settings);
    assert!(outlook(&open).plan.is_some());
    let case = |on_dnc, active, run_state| Case { on_dnc, active, run_state, ..open.clone() };
    for (case, status) in [
        (case(true, true, RunState::Running), ClientStatus::OnDnc),
        (case(false, false, RunState::Running), ClientStatus::Inactive),
        (case(false, true, RunState::Stopped), ClientStatus::Exhausted),
    ] {
        let found = outlook(&case);
        assert_eq!((found.plan, found.standing.status), (None, status));
    }
}

#[derive(Debug, Clone)]
struct Life {
    calls: Vec<CallBrief>,
    on_dnc: bool,
    active: bool,
    run_state: RunState,
}

/// What may stand in a client's rows: ended dials, then perhaps a live, scheduled or retired call.
fn some_life() -> impl Strategy<Value = Life> {
    let outcome = prop::sample::select(vec![
        Outcome::Answered,
        Outcome::Voicemail,
        Outcome::NoAnswer,
        Outcome::Busy,
        Outcome::Failed,
        Outcome::OptedOut,
        Outcome::Canceled,
    ]);
    let rarely = || prop::bool::weighted(0.1);
    let ended = prop::collection::vec((outcome, rarely(), rarely()), 0..5);
    let intent = prop::sample::select(Intent::ALL.to_vec());
    let reason = prop::option::of(prop::sample::select(CancelReason::ALL.to_vec()));
    (ended, 0..4_u8, intent, reason, rarely(), rarely(), any::<bool>()).prop_map(
        |(ended, tail, intent, reason, on_dnc, inactive, paused)| {
            let start = at("2026-03-02T10:00:00Z");
            let mut calls: Vec<CallBrief> = Vec::new();
            let mut add = |stage: Stage, intent: Intent| {
                let last = calls.last();
                let id = match last.map(|last| (last.id, &last.stage)) {
                    // A retry that was planned has the id its call gives it.
                    Some((id, Stage::Dialled { at, .. })) => id.successor(*at),
                    Some((id, _)) => id,
                    None => first(Stage::Live).id,
                };
                let attempt = u32::try_from(calls.len()).unwrap() + 1;
                let retry_of = calls.last().map(|call| call.id);
                calls.push(CallBrief { id, attempt, retry_of, intent, stage });
            };
            for (hours, (outcome, permanent, unknown)) in (0..).step_by(5).zip(ended) {
                let at = start + TimeDelta::hours(hours);
                add(Stage::Dialled { outcome, at, permanent, unknown }, Intent::Plan);
            }
            let later = start + TimeDelta::days(2);
            match tail {
                0 => add(Stage::Live, intent),
                1 => add(Stage::Scheduled { due_at: later }, intent),
                2 => add(Stage::Retired { reason, at: later, due_at: later }, intent),
                _ => {}
            }
            let run_state = if paused { RunState::Paused } else { RunState::Running };
            Life { calls, on_dnc, active: !inactive, run_state }
        },
    )
}

fn outlook_of(life: &Life, calls: &[CallBrief], settings: &Settings) -> Outlook {
    outlook(&Case {
        calls,
        zones: &[],
        active: life.active,
        erased: false,
        on_dnc: life.on_dnc,
        run_state: life.run_state,
        settings,
    })
}

proptest! {
    #[test]
    fn a_client_is_final_or_has_a_call_to_come_or_live(life in some_life()) {
        let settings = settings(&json!({}));
        let Outlook { standing, .. } = outlook_of(&life, &life.calls, &settings);
        let live = life.calls.iter().any(|call| call.stage == Stage::Live);
        prop_assert_eq!(standing.status.is_final(), standing.next_call.is_none() && !live);
        prop_assert_eq!(standing.status == ClientStatus::InProgress, live);
    }

    #[test]
    fn what_an_outlook_asks_for_is_enough(life in some_life()) {
        let settings = settings(&json!({}));
        let found = outlook_of(&life, &life.calls, &settings);
        let mut calls = life.calls.clone();
        follow(&mut calls, &found);
        let again = outlook_of(&life, &calls, &settings);
        prop_assert_eq!((again.withdraw, again.plan), (None, None), "nothing more is asked for");
        prop_assert_eq!(again.standing, found.standing, "and it stands where it was said to");
        let waiting = |call: &&CallBrief| matches!(call.stage, Stage::Scheduled { .. });
        prop_assert!(calls.iter().filter(waiting).count() <= 1, "one call to come at most");
    }

    #[test]
    fn the_order_of_the_rows_does_not_matter(life in some_life(), turn in 0..5_usize) {
        let settings = settings(&json!({}));
        let mut calls = life.calls.clone();
        calls.reverse();
        let turn = turn.min(calls.len());
        calls.rotate_left(turn);
        let found = outlook_of(&life, &life.calls, &settings);
        prop_assert_eq!(outlook_of(&life, &calls, &settings), found);
    }

    #[test]
    fn nobody_is_dialled_more_often_than_max_attempts(
        outcomes in prop::collection::vec(prop::sample::select(Outcome::ALL.to_vec()), 1..12),
        most in 1..8_u32,
    ) {
        let retry = json!({"retry": {
            "connect": ["PT1H", "PT1H", "PT1H", "PT1H"], "voicemail": ["PT1H", "PT1H", "PT1H"],
            "max_attempts": most,
        }});
        let (dials, status) = walk(&settings(&retry), &outcomes);
        prop_assert!(dials.len() <= most as usize);
        prop_assert!(status.is_final());
    }
}
