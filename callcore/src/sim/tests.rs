use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::*;
use crate::call::{AnsweredBy, CallEvent, CallRef, Ending, EventKind, Outcome, Progress, Report};
use crate::id::CallId;
use crate::phone::PhoneNumber;
use crate::port::Found;
use crate::script::{KeyAction, Script};
use crate::time::SeededEntropy;

const SCRIPT: &str = r#"{"steps": [{"say": "Good day, this is a reminder of your appointment."},
    {"say": "Press 1 to confirm, or 9 and we will not call again."}],
    "keys": {"1": {"tag": "confirmed"}, "2": {"tag": "moved"}, "9": "opt_out"}}"#;

fn start() -> DateTime<Utc> {
    "2026-11-23T15:00:00Z".parse().unwrap()
}

fn number(last: u64) -> PhoneNumber {
    PhoneNumber::from_digits(12_125_550_100 + last % 100).unwrap()
}

fn script() -> Script {
    serde_json::from_str(SCRIPT).unwrap()
}

fn dial(entropy: &SeededEntropy, index: u64) -> SimDial {
    SimDial {
        lines: script().spoken(|_| None),
        keys: script().keys,
        ..SimDial::new(CallId::new(start(), entropy), number(index))
    }
}

fn dials(count: u64) -> Vec<SimDial> {
    let entropy = SeededEntropy::new(5);
    (0..count).map(|index| dial(&entropy, index)).collect()
}

fn run(seed: u64, model: SimModel, dials: &[SimDial]) -> Vec<Report> {
    let mut carrier = SimCarrier::new(seed, model);
    for dial in dials {
        carrier.place(dial.clone(), start());
    }
    carrier.advance(start() + TimeDelta::days(1))
}

fn by_call(reports: &[Report]) -> BTreeMap<CallId, BTreeSet<CallEvent>> {
    let mut calls: BTreeMap<CallId, BTreeSet<CallEvent>> = BTreeMap::new();
    for report in reports {
        if let CallRef::Ours(call) = report.call {
            calls.entry(call).or_default().insert(report.event.clone());
        }
    }
    calls
}

fn progress(reports: &[Report]) -> Vec<Progress> {
    by_call(reports).values().map(|events| Progress::of(events, &script())).collect()
}

#[test]
fn one_seed_tells_one_story() {
    let dials = dials(200);
    let told = run(3, SimModel::default(), &dials);
    assert_eq!(told, run(3, SimModel::default(), &dials));
    assert_ne!(told, run(4, SimModel::default(), &dials));
}

#[test]
fn mischief_changes_deliveries_and_no_call() {
    let dials = dials(500);
    let calm = SimModel { mischief: Mischief::NONE, ..SimModel::default() };
    let (wild, calm) = (run(3, SimModel::default(), &dials), run(3, calm, &dials));
    assert_ne!(wild, calm);
    assert_eq!(by_call(&wild), by_call(&calm));
}

#[test]
fn the_shares_of_many_calls_are_near_the_model() {
    let model = SimModel { verdict_wrong: 0, ..SimModel::default() };
    let calls = progress(&run(11, model, &dials(10_000)));
    assert_eq!(calls.len(), 10_000);
    let count = |is: &dyn Fn(&Progress) -> bool| calls.iter().filter(|call| is(call)).count();
    let near = |count: usize, expected: usize| {
        assert!(count.abs_diff(expected) < expected / 20 + 60, "{count} is not near {expected}");
    };
    let outcome = |outcome| count(&|call: &Progress| call.outcome == Some(outcome));
    near(outcome(Outcome::Answered) + outcome(Outcome::OptedOut), 4_500);
    near(outcome(Outcome::Voicemail), 2_200);
    near(outcome(Outcome::NoAnswer), 2_000);
    near(outcome(Outcome::Busy), 800);
    near(count(&|call| call.permanent), 150);
    near(outcome(Outcome::Failed), 500);
    near(outcome(Outcome::OptedOut), 67);
    near(count(&|call| !call.tags.is_empty()), 1_773);
}

#[test]
fn every_call_ends_once_and_within_its_limits() {
    let model = SimModel {
        ring_seconds: Spread::new(0, 90),
        unanswered_seconds: Spread::new(0, 90),
        talk_seconds: Spread::new(0, 2_000),
        ..SimModel::default()
    };
    for events in by_call(&run(13, model, &dials(3_000))).values() {
        let ends = events.iter().filter(|event| matches!(event.kind, EventKind::Ended { .. }));
        assert_eq!(ends.count(), 1);
        let call = Progress::of(events, &script());
        let (ended, talked) = (call.ended_at.unwrap(), call.talk_seconds);
        assert!(talked <= 900, "talked {talked} s");
        let rang_until = call.answered_at.unwrap_or(ended);
        assert!(rang_until - start() <= TimeDelta::seconds(3 + 60));
        for event in events {
            let after_end =
                matches!(event.kind, EventKind::Recorded { .. } | EventKind::Detected { .. });
            assert!(event.at <= ended || after_end, "{event:?} after the end");
        }
    }
}

#[test]
fn an_answered_call_has_a_transcript_and_a_recording_that_plays() {
    let person = SimModel::default().with_fates(number(0), &[Fate::Person]);
    let model = SimModel { verdict_wrong: 0, ..person };
    let calls = progress(&run(1, model.clone(), &dials(1)));
    let call = &calls[0];
    assert!(call.transcript.len() >= 3, "{:?}", call.transcript);
    assert_eq!(call.transcript[1].text, script().spoken(|_| None)[0]);
    let reference = call.recording.as_deref().unwrap();
    assert!(SimCarrier::new(1, model).recording(reference).is_some());
}

#[test]
fn a_voicemail_gets_the_message_only_if_there_is_one() {
    let model = SimModel { verdict_wrong: 0, verdict_late: 0, ..SimModel::default() }
        .with_fates(number(0), &[Fate::Voicemail]);
    let mut dials = dials(1);
    let silent = &progress(&run(1, model.clone(), &dials))[0];
    assert_eq!((silent.outcome, silent.transcript.len()), (Some(Outcome::Voicemail), 1));
    dials[0].voicemail_message = Some("Please call us.".to_owned());
    let left = &progress(&run(1, model, &dials))[0];
    assert_eq!(left.transcript[1].text, "Please call us.");
    assert!(left.talk_seconds > silent.talk_seconds);
}

#[test]
fn a_number_can_be_told_how_its_attempts_end() {
    let fates = [Fate::NoAnswer, Fate::Busy, Fate::Unreachable];
    let model = SimModel::default().with_fates(number(0), &fates);
    let mut dials = dials(1);
    let mut outcome = |attempt| {
        dials[0].attempt = attempt;
        let call = progress(&run(1, model.clone(), &dials)).remove(0);
        (call.outcome.unwrap(), call.permanent)
    };
    assert_eq!(outcome(1), (Outcome::NoAnswer, false));
    assert_eq!(outcome(2), (Outcome::Busy, false));
    assert_eq!(outcome(3), (Outcome::Failed, true));
    assert_eq!(outcome(4), (Outcome::Failed, true));
}

#[test]
fn events_come_twice_late_and_out_of_order() {
    let told = run(3, SimModel::default(), &dials(500));
    let distinct: usize = by_call(&told).values().map(BTreeSet::len).sum();
    let ours = told.iter().filter(|report| matches!(report.call, CallRef::Ours(_))).count();
    assert!(ours > distinct, "some come twice");
    let mut last: BTreeMap<CallId, DateTime<Utc>> = BTreeMap::new();
    let overtaken = told.iter().filter(|report| {
        let CallRef::Ours(call) = report.call else { return false };
        let before = last.insert(call, report.event.at);
        before.is_some_and(|before| report.event.at < before)
    });
    assert!(overtaken.count() > 20, "some come out of order");
    let after_end = by_call(&told).values().any(|events| {
        let ended = Progress::of(events, &script()).ended_at.unwrap();
        events
            .iter()
            .any(|event| event.at > ended && matches!(event.kind, EventKind::Detected { .. }))
    });
    assert!(after_end, "some verdicts come after the end");
}

#[test]
fn no_delivery_is_later_than_the_model_says() {
    let model = SimModel { call_back: 1_000, ..SimModel::default() };
    let mischief = Mischief { out_of_order: 1_000, ..model.mischief };
    let mut carrier = SimCarrier::new(3, SimModel { mischief, ..model });
    for dial in dials(500) {
        carrier.place(dial, start());
    }
    // Late, overtaken by what follows within a call, and repeated.
    let longest = TimeDelta::seconds(120 + 120 + 120);
    while let Some(now) = carrier.next_delivery() {
        for report in carrier.advance(now) {
            assert!(now - report.event.at <= longest, "{:?} came at {now}", report.event);
        }
    }
}

#[test]
fn a_lost_event_is_told_when_the_carrier_is_asked() {
    let mischief = Mischief { lost: 1_000, ..Mischief::NONE };
    let model = SimModel { mischief, call_back: 0, ..SimModel::default() };
    let mut carrier = SimCarrier::new(9, model);
    let dial = dials(1).remove(0);
    carrier.place(dial.clone(), start());
    let later = start() + TimeDelta::hours(1);
    assert_eq!(carrier.advance(later), []);
    assert_eq!(carrier.find(dial.call, start() - TimeDelta::seconds(1)), Found::Events(vec![]));
    let Found::Events(events) = carrier.find(dial.call, later) else { panic!("unknown call") };
    assert!(events.iter().any(|event| matches!(event.kind, EventKind::Ended { .. })));
    let stranger = CallId::new(later, &SeededEntropy::new(77));
    assert_eq!(carrier.find(stranger, later), Found::Nothing);
}

#[test]
fn some_who_missed_a_call_ring_back() {
    let told = run(3, SimModel::default(), &dials(2_000));
    let mut rings: BTreeMap<String, Vec<&CallEvent>> = BTreeMap::new();
    for report in &told {
        if let CallRef::Inbound(ring) = &report.call {
            assert!(ring.from.is_some());
            rings.entry(ring.carrier_call_id.clone()).or_default().push(&report.event);
        }
    }
    assert!((20..100).contains(&rings.len()), "{} of about 50", rings.len());
    for events in rings.values() {
        assert!(events.iter().any(|event| event.kind == EventKind::Answered));
        assert!(events.iter().any(|event| matches!(event.kind, EventKind::Ended { .. })));
    }
}

#[test]
fn a_script_that_ends_in_a_transfer_hands_people_over_who_stay_on_the_line() {
    let model = SimModel { verdict_wrong: 0, ..SimModel::default() };
    let mut dials = dials(300);
    let handed_over = |dials: &[SimDial]| -> Vec<Progress> {
        let calls = progress(&run(3, model.clone(), dials));
        calls.into_iter().filter(|call| call.end_reason.as_deref() == Some("transferred")).collect()
    };
    assert_eq!(handed_over(&dials), [], "no key of this script hands anybody over");
    for dial in &mut dials {
        dial.transfer = Some(number(99));
    }
    let calls = handed_over(&dials);
    assert!(calls.len() > 90, "{} of about 130", calls.len());
    for call in calls {
        let last = script().spoken(|_| None).pop().unwrap();
        assert!(call.transcript.iter().any(|line| line.text == last), "it is heard before");
        assert_eq!(call.opted_out_at, None);
    }
}

#[test]
fn whoever_calls_back_leaves_a_message_where_they_are_asked_for_one() {
    let model = SimModel { call_back: 1_000, mischief: Mischief::NONE, ..SimModel::default() }
        .with_fates(number(0), &[Fate::NoAnswer]);
    let mut dial = dials(1).remove(0);
    dial.recorded = false;
    dial.inbound = Some(SimInbound {
        lines: vec!["After the beep, please.".to_owned(), "Thank you.".to_owned()],
        keys: BTreeMap::new(),
        record: Some(SimRecord { after_lines: 1, max_seconds: 2 }),
        transfer: Some(number(99)),
    });
    let call_back = |leave_message| {
        let told = run(1, SimModel { leave_message, ..model.clone() }, std::slice::from_ref(&dial));
        let inbound = told.into_iter().filter(|told| matches!(told.call, CallRef::Inbound(_)));
        let events: BTreeSet<CallEvent> = inbound.map(|told| told.event).collect();
        Progress::of(&events, &Script::default())
    };
    let texts = |call: &Progress| -> Vec<String> {
        call.transcript.iter().map(|line| line.text.clone()).collect()
    };
    let left = call_back(1_000);
    let [_, asked, message, thanks] = &texts(&left)[..] else { panic!("{:?}", left.transcript) };
    assert_eq!((&**asked, &**thanks), ("After the beep, please.", "Thank you."));
    assert!(!message.is_empty());
    let offsets: Vec<u32> = left.transcript.iter().map(|line| line.offset_seconds).collect();
    assert_eq!(offsets[3] - offsets[2], 2, "no message is longer than it may be");
    let reference = left.recording.as_deref().unwrap();
    assert!(SimCarrier::new(1, model.clone()).recording(reference).is_some());
    assert_eq!(left.end_reason.as_deref(), Some("transferred"));
    let none = call_back(0);
    assert_eq!((none.recording.as_deref(), none.end_reason.as_deref()), (None, Some("completed")));
    assert_eq!(texts(&none)[1..], ["After the beep, please."], "they hang up at the beep");
}

#[test]
fn a_call_id_placed_twice_rings_twice_and_the_log_shows_it() {
    let mut carrier = SimCarrier::new(1, SimModel::default());
    let dial = dials(1).remove(0);
    let first = carrier.place(dial.clone(), start());
    let second = carrier.place(dial.clone(), start() + TimeDelta::seconds(5));
    assert_ne!(first, second);
    let calls: Vec<CallId> = carrier.dial_log().iter().map(|entry| entry.call).collect();
    assert_eq!(calls, [dial.call, dial.call]);
    let later = start() + TimeDelta::hours(1);
    let Found::Events(events) = carrier.find(dial.call, later) else { panic!("unknown call") };
    let placed = |event: &&CallEvent| matches!(event.kind, EventKind::Placed { .. });
    assert_eq!(events.iter().filter(placed).count(), 2);
}

#[test]
fn a_call_that_is_hung_up_ends_then() {
    let person = SimModel { verdict_wrong: 0, call_back: 0, ..SimModel::default() }
        .with_fates(number(0), &[Fate::Person]);
    let dial = dials(1).remove(0);
    let answered = progress(&run(1, person.clone(), &dials(1)))[0].answered_at.unwrap();
    for (after, ending) in [(-1, Ending::Canceled), (7, Ending::Completed)] {
        let mut carrier = SimCarrier::new(1, person.clone());
        carrier.place(dial.clone(), start());
        let at = answered + TimeDelta::seconds(after);
        let mut told = carrier.advance(at);
        carrier.hang_up(dial.call, at);
        carrier.hang_up(dial.call, at + TimeDelta::seconds(2));
        told.extend(carrier.advance(at + TimeDelta::hours(1)));
        let events = &by_call(&told)[&dial.call];
        let talk_seconds = u32::try_from(after).unwrap_or(0);
        let end = CallEvent { at, kind: EventKind::Ended { ending, talk_seconds } };
        let ends: Vec<&CallEvent> =
            events.iter().filter(|event| matches!(event.kind, EventKind::Ended { .. })).collect();
        assert_eq!(ends, [&end]);
        let Found::Events(found) = carrier.find(dial.call, at + TimeDelta::hours(1)) else {
            panic!("unknown call")
        };
        assert!(events.iter().all(|event| found.contains(event)));
        assert!(carrier.is_delivered(dial.call));
    }
}

#[test]
fn a_call_that_rings_in_can_be_looked_up_and_hung_up() {
    let model = SimModel { call_back: 1_000, mischief: Mischief::NONE, ..SimModel::default() }
        .with_fates(number(0), &[Fate::NoAnswer]);
    let mut carrier = SimCarrier::new(1, model);
    carrier.place(dials(1).remove(0), start());
    let (ring, at) = loop {
        let now = carrier.next_delivery().unwrap();
        let reports = carrier.advance(now);
        let answered = reports.iter().find_map(|report| match &report.call {
            CallRef::Inbound(ring) if report.event.kind == EventKind::Answered => Some(ring),
            _ => None,
        });
        if let Some(ring) = answered {
            break (ring.clone(), now + TimeDelta::seconds(1));
        }
    };
    carrier.hang_up(ring.new_id, at);
    let kind = EventKind::Ended { ending: Ending::Completed, talk_seconds: 1 };
    let end = CallEvent { at, kind };
    let later = at + TimeDelta::hours(1);
    let told: Vec<CallEvent> = carrier.advance(later).into_iter().map(|told| told.event).collect();
    assert_eq!(told, std::slice::from_ref(&end));
    let Found::Events(events) = carrier.find(ring.new_id, later) else { panic!("unknown call") };
    assert_eq!(events.last(), Some(&end));
}

#[test]
fn a_model_of_absurd_numbers_still_ends_every_call() {
    let ever = Spread::new(u32::MAX, u32::MAX);
    let all = u16::MAX;
    let endings = Endings {
        person: all,
        voicemail: all,
        busy: all,
        no_answer: all,
        failed: all,
        unreachable: all,
    };
    let model = SimModel {
        endings,
        setup_seconds: ever,
        ring_seconds: ever,
        talk_seconds: ever,
        verdict_seconds: ever,
        call_back_seconds: ever,
        mischief: Mischief { latency_seconds: ever, late_seconds: ever, ..Mischief::default() },
        ..SimModel::default()
    };
    let mut carrier = SimCarrier::new(1, model);
    for dial in dials(200) {
        carrier.place(dial, start());
    }
    let calls = progress(&carrier.advance(start() + TimeDelta::days(365)));
    assert_eq!(calls.len(), 200);
    assert!(calls.iter().all(|call| call.outcome.is_some()));
}

#[test]
fn a_call_taken_up_again_ends_as_if_never_interrupted() {
    let dials = dials(300);
    let whole = by_call(&run(21, SimModel::default(), &dials));
    for (stop, heard_placed) in [(0, true), (9, true), (9, false), (40, true)] {
        let stop = start() + TimeDelta::seconds(stop);
        let mut before = SimCarrier::new(21, SimModel::default());
        let ids: Vec<String> =
            dials.iter().map(|dial| before.place(dial.clone(), start())).collect();
        let heard = by_call(&before.advance(stop));
        drop(before);

        let mut after = SimCarrier::new(21, SimModel::default());
        for (dial, id) in dials.iter().zip(&ids) {
            let known: Vec<CallEvent> =
                heard.get(&dial.call).into_iter().flatten().cloned().collect();
            let id = heard_placed.then_some(id.as_str());
            after.resume(dial.clone(), start(), id, &known);
        }
        let mut told = heard.clone();
        for (call, events) in by_call(&after.advance(start() + TimeDelta::days(1))) {
            told.entry(call).or_default().extend(events);
        }
        assert_eq!(told, whole);
        assert_eq!(after.dial_log(), [], "taking up a call is no dial");
    }
}

#[test]
fn a_call_is_rebuilt_from_its_events_when_its_placing_was_never_heard() {
    let dial = dials(1).remove(0);
    let placed_at = start() + TimeDelta::seconds(17);
    let mut before = SimCarrier::new(2, SimModel::default());
    before.place(dial.clone(), placed_at);
    let known = by_call(&before.advance(placed_at + TimeDelta::seconds(6)));
    let known: Vec<CallEvent> = known.into_values().flatten().collect();
    assert!(!known.is_empty());
    let mut after = SimCarrier::new(2, SimModel::default());
    after.resume(dial.clone(), start(), None, &known);
    let later = start() + TimeDelta::hours(1);
    assert_eq!(after.find(dial.call, later), before.find(dial.call, later));
}

#[test]
fn only_what_was_not_delivered_is_delivered_after_a_restart_of_the_carrier() {
    let [first, second] = <[SimDial; 2]>::try_from(dials(2)).unwrap();
    let mut carrier = SimCarrier::new(2, SimModel::default());
    carrier.restore(first.clone(), start(), true);
    carrier.restore(second.clone(), start(), false);
    assert!(carrier.is_delivered(first.call) && !carrier.is_delivered(second.call));
    let told = by_call(&carrier.advance(start() + TimeDelta::hours(1)));
    assert_eq!(told.keys().collect::<Vec<_>>(), [&second.call]);
    assert_eq!(carrier.dial_log().len(), 2);
}

#[test]
fn an_instant_model_ends_every_call_where_it_begins() {
    let mut carrier = SimCarrier::new(1, SimModel::instant());
    for dial in dials(500) {
        carrier.place(dial, start());
    }
    let told = carrier.advance(start());
    let calls = progress(&told);
    assert_eq!(calls.iter().filter(|call| call.outcome.is_some()).count(), 500);
    let machine = |call: &&Progress| call.answered_by == Some(AnsweredBy::Machine);
    assert!(calls.iter().any(|call| machine(&call)));
}

#[test]
fn a_model_reads_back_as_it_was_written() {
    let model = SimModel::default().with_fates(number(7), &[Fate::NoAnswer, Fate::Person]);
    let text = serde_json::to_string(&model).unwrap();
    assert_eq!(serde_json::from_str::<SimModel>(&text).unwrap(), model);
    assert_eq!(serde_json::from_str::<SimModel>("{}").unwrap(), SimModel::default());
    assert!(serde_json::from_str::<SimModel>(r#"{"people": 3}"#).is_err());
    assert!(script().keys.values().any(|action| *action == KeyAction::OptOut));
}
