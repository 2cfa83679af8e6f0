use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::account::{AccountSettings, Day, Meter};
use crate::call::{CancelReason, Intent, Outcome};
use crate::campaign::{RunState, Settings};
use crate::client::{ClientZone, ZoneSource};
use crate::dnc::DncScope;
use crate::engine::{
    AccountFacts, AdmitFacts, BeginRefusal, Command, Defer, Facts, Lease, Permit, Person, Rule,
    Verdict, admit, decide, explain,
};
use crate::id::{CallId, CampaignId, ClientId};
use crate::phone::PhoneNumber;
use crate::rules::cool_downs::NumberEnd;
use crate::time::SeededEntropy;

/// A Monday, inside the hours.
const NOW: &str = "2026-03-02T15:00:00Z";

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn settings(changes: &Value) -> Arc<Settings> {
    let day = json!([["09:00", "17:00"]]);
    let mut document = json!({
        "name": "Renewals",
        "hours": {"mon": day, "tue": day, "wed": day, "thu": day, "fri": day},
        "zone_policy": "campaign",
    });
    document.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    Arc::new(Settings::from_json(&document).unwrap())
}

fn facts(changes: &Value) -> Facts {
    let (entropy, now) = (SeededEntropy::new(1), at(NOW));
    Facts {
        call: CallId::new(now, &entropy),
        campaign: CampaignId::new(now, &entropy),
        client: Some(ClientId::new(now, &entropy)),
        phone: PhoneNumber::from_digits(12_125_550_123).unwrap(),
        attempt: 1,
        intent: Intent::Plan,
        due_at: now,
        lease: Lease { epoch: 1 },
        run_state: RunState::Running,
        settings_version: 1,
        settings: settings(changes),
        zones: Vec::new(),
        active: true,
        consent: false,
        dnc: None,
        number_live: false,
        number_dials: Vec::new(),
        number_ends: Vec::new(),
        campaign_day: Day::default(),
        account: Arc::new(account()),
        client_dials: 0,
        person: Person::default(),
        audio: Vec::new(),
    }
}

/// An account that sets no limit.
fn account() -> AccountFacts {
    AccountFacts {
        stopped: false,
        settings: Arc::default(),
        today: Day::default(),
        in_flight: 0,
        next_dial_at: at(NOW),
    }
}

/// An account with limits.
fn limited(document: &Value) -> AccountFacts {
    let settings = AccountSettings::from_json(document).unwrap();
    AccountFacts { settings: Arc::new(settings), ..account() }
}

/// The dials of a day that ends in the night after `NOW`.
fn day(begun: u64, live: u64, minutes: u64) -> Day {
    Day { ends: at("2026-03-03T00:00:00Z"), dials: Meter { begun, live, minutes } }
}

fn plain() -> Facts {
    facts(&json!({}))
}

fn by_person(facts: Facts) -> Facts {
    Facts { intent: Intent::Person, ..facts }
}

/// The command as a verdict.
fn verdict(facts: Facts, now: DateTime<Utc>) -> Verdict {
    match decide(facts, now) {
        Command::Dial(permit) => Verdict::Dial { window_end: permit.window_end() },
        Command::Settle(settlement) => settlement.verdict,
    }
}

fn defer(until: &str, why: Rule) -> Verdict {
    Verdict::Defer(Defer { until: at(until), why })
}

#[track_caller]
fn check(facts: Facts, expected: Verdict) {
    assert_eq!(verdict(facts, at(NOW)), expected);
}

const UNTIL_FIVE: &str = "2026-03-02T17:00:00Z";

fn dial() -> Verdict {
    Verdict::Dial { window_end: Some(at(UNTIL_FIVE)) }
}

/// A person's dial is bound to no window.
const PERSONS_DIAL: Verdict = Verdict::Dial { window_end: None };

#[test]
fn when_every_rule_says_yes_a_permit_is_issued_until_the_window_closes() {
    let facts = plain();
    let (call, lease) = (facts.call, facts.lease);
    let Command::Dial(permit) = decide(facts, at(NOW)) else { panic!("every rule says yes") };
    assert_eq!((permit.call(), permit.lease()), (call, lease));
    assert_eq!((permit.decided_at(), permit.window_end()), (at(NOW), Some(at(UNTIL_FIVE))));
    let heard: Vec<Rule> = permit.decision().iter().map(|heard| heard.rule).collect();
    let all = [
        Rule::StopAll,
        Rule::RunState,
        Rule::Dnc,
        Rule::Active,
        Rule::Consent,
        Rule::MaxAttempts,
        Rule::NumberFree,
        Rule::Caps,
        Rule::Zone,
        Rule::Hours,
    ];
    assert_eq!(heard, all, "and the decision says that each was asked");
    assert!(permit.decision().iter().all(|heard| heard.passed));
}

#[test]
fn run_state_only_a_running_campaign_dials_and_a_person_also_while_paused_or_finished() {
    let later = defer(NOW, Rule::RunState);
    let stopped = Verdict::Retire(CancelReason::CampaignStopped);
    for (state, plan, person) in [
        (RunState::Draft, later, later),
        (RunState::Running, dial(), PERSONS_DIAL),
        (RunState::Paused, later, PERSONS_DIAL),
        (RunState::Finished, later, PERSONS_DIAL),
        (RunState::Stopped, stopped, stopped),
    ] {
        let facts = Facts { run_state: state, ..plain() };
        check(facts.clone(), plan);
        check(by_person(facts), person);
    }
}

#[test]
fn dnc_an_entry_ends_the_call_whoever_asked_for_it() {
    for scope in [DncScope::Global, DncScope::Campaign(plain().campaign)] {
        let facts = Facts { dnc: Some(scope), ..plain() };
        check(facts.clone(), Verdict::Retire(CancelReason::OnDnc));
        check(by_person(facts), Verdict::Retire(CancelReason::OnDnc));
    }
}

#[test]
fn active_a_client_switched_off_is_not_called() {
    let facts = Facts { active: false, ..plain() };
    check(facts.clone(), Verdict::Retire(CancelReason::Inactive));
    check(by_person(facts), Verdict::Retire(CancelReason::Inactive));
}

#[test]
fn consent_is_needed_where_the_campaign_requires_it() {
    let required = facts(&json!({"consent_required": true}));
    check(required.clone(), Verdict::Retire(CancelReason::NoConsent));
    check(by_person(required.clone()), Verdict::Retire(CancelReason::NoConsent));
    check(Facts { consent: true, ..required }, dial());
    check(plain(), dial());
}

#[test]
fn zone_a_number_without_a_zone_is_refused_where_the_campaign_says_so() {
    let refusing = facts(&json!({"zone_policy": "number", "zone_fallback": "refuse"}));
    check(refusing.clone(), Verdict::Retire(CancelReason::NoZone));
    check(by_person(refusing.clone()), Verdict::Retire(CancelReason::NoZone));
    let zone = ClientZone { zone: "Etc/UTC".parse().unwrap(), source: ZoneSource::Number };
    check(Facts { zones: vec![zone], ..refusing }, dial());
}

#[test]
fn max_attempts_ends_the_plan_but_not_a_persons_wish() {
    let most = facts(&json!({"retry": {"max_attempts": 3}}));
    check(Facts { client_dials: 2, ..most.clone() }, dial());
    let used_up = Facts { client_dials: 3, ..most };
    check(used_up.clone(), Verdict::Retire(CancelReason::MaxAttempts));
    let rescheduled = Facts { intent: Intent::Rescheduled, ..used_up.clone() };
    check(rescheduled, Verdict::Retire(CancelReason::MaxAttempts));
    check(by_person(used_up), PERSONS_DIAL);
}

#[test]
fn number_free_a_second_call_to_a_number_waits_two_minutes() {
    let facts = Facts { number_live: true, ..plain() };
    let wait = defer("2026-03-02T15:02:00Z", Rule::NumberFree);
    let (_, heard) = explain(&facts, at(NOW));
    let said = heard.iter().find(|it| it.rule == Rule::NumberFree).unwrap();
    assert!(!said.passed && said.words == "another call to or from the number is live");
    check(facts.clone(), wait);
    check(by_person(facts), wait);
}

#[test]
fn caps_hold_for_the_plan_and_for_people() {
    let capped = facts(&json!({"caps": [{"max": 2, "per": "PT6H"}]}));
    let dials = |times: &[&str]| times.iter().map(|time| at(time)).collect::<Vec<_>>();
    let one = Facts { number_dials: dials(&["2026-03-02T10:00:00Z"]), ..capped.clone() };
    check(one, dial());
    let two = dials(&["2026-03-02T10:00:00Z", "2026-03-02T14:00:00Z"]);
    let full = Facts { number_dials: two, ..capped };
    let wait = defer("2026-03-02T16:00:00Z", Rule::Caps);
    check(full.clone(), wait);
    check(by_person(full), wait);
}

#[test]
fn hours_closed_hours_wait_for_the_next_window_and_people_do_not() {
    let early = at("2026-03-02T08:59:59Z");
    let opens = defer("2026-03-02T09:00:00Z", Rule::Hours);
    assert_eq!(verdict(plain(), early), opens);
    assert_eq!(verdict(by_person(plain()), early), PERSONS_DIAL);
    let rescheduled = Facts { intent: Intent::Rescheduled, ..plain() };
    assert_eq!(verdict(rescheduled, early), opens, "a chosen time is bound to the hours");
    let friday = defer("2026-03-09T09:00:00Z", Rule::Hours);
    assert_eq!(verdict(plain(), at("2026-03-06T17:00:00Z")), friday, "the end is outside");
}

#[test]
fn hours_bind_a_persons_wish_that_is_no_longer_fresh() {
    let night = at("2026-03-03T03:00:00Z");
    let asked = |due_at: &str| Facts { due_at: at(due_at), ..by_person(plain()) };
    assert_eq!(verdict(asked("2026-03-03T02:30:00Z"), night), PERSONS_DIAL);
    let opens = defer("2026-03-03T09:00:00Z", Rule::Hours);
    assert_eq!(verdict(asked("2026-03-03T02:29:59Z"), night), opens, "the server was down");
    // A cap is free again at night: the dial waits for the morning after.
    let capped = facts(&json!({"caps": [{"max": 1, "per": "PT12H"}]}));
    let number_dials = vec![at(NOW)];
    let wait = verdict(Facts { number_dials, ..by_person(capped) }, at(NOW));
    assert_eq!(wait, opens);
}

#[test]
fn hours_that_never_open_again_end_the_call() {
    let over = facts(&json!({"end_on": "2026-03-01"}));
    check(over.clone(), Verdict::Retire(CancelReason::HoursOver));
    check(by_person(over), PERSONS_DIAL);
}

#[test]
fn hours_must_be_open_in_every_zone_the_person_may_be_in() {
    let policy = json!({"zone_policy": "number"});
    let zone = |name: &str| ClientZone { zone: name.parse().unwrap(), source: ZoneSource::Number };
    let coasts = vec![zone("America/New_York"), zone("America/Los_Angeles")];
    // 15:00 UTC is 10:00 in New York and 07:00 in Los Angeles.
    let both = Facts { zones: coasts, ..facts(&policy) };
    check(both, defer("2026-03-02T17:00:00Z", Rule::Hours));
    let east = Facts { zones: vec![zone("America/New_York")], ..facts(&policy) };
    check(east, Verdict::Dial { window_end: Some(at("2026-03-02T22:00:00Z")) });
}

#[test]
fn the_latest_instant_wins_and_is_put_into_an_open_window() {
    let capped = facts(&json!({"caps": [{"max": 1, "per": "PT6H"}]}));
    let dialled = Facts { number_dials: vec![at("2026-03-02T14:00:00Z")], ..capped };
    // The cap is free at 20:00, when the hours are closed.
    check(dialled.clone(), defer("2026-03-03T09:00:00Z", Rule::Hours));
    let live = Facts { number_live: true, ..dialled };
    check(live, defer("2026-03-03T09:00:00Z", Rule::Hours));
}

#[test]
fn stop_all_gives_every_call_back_as_it_was() {
    let stopped = Arc::new(AccountFacts { stopped: true, ..account() });
    let facts = Facts { account: stopped, ..plain() };
    check(facts.clone(), defer(NOW, Rule::StopAll));
    check(by_person(facts), defer(NOW, Rule::StopAll));
    let permit = permit(by_person(plain()));
    let admitted =
        AdmitFacts { account: AccountFacts { stopped: true, ..account() }, ..admitted() };
    assert_eq!(admit(&permit, &admitted, at(NOW)), Err(BeginRefusal::DecideAgain));
}

#[test]
fn cool_downs_bind_people_too_and_are_asked_again_at_begin() {
    let rest = facts(&json!({"cool_downs": [{"after": "answered", "for": "P7D"}]}));
    let end = |outcome| vec![NumberEnd { at: at("2026-03-01T12:00:00Z"), outcome }];
    let answered = Facts { number_ends: end(Outcome::Answered), ..rest.clone() };
    // Seven days later is a Sunday.
    check(answered.clone(), defer("2026-03-09T09:00:00Z", Rule::Hours));
    let person = verdict(by_person(answered), at(NOW));
    assert!(matches!(person, Verdict::Defer(_)), "{person:?}");
    check(Facts { number_ends: end(Outcome::Busy), ..rest.clone() }, dial());
    let permit = permit(rest);
    let now_answered = AdmitFacts { number_ends: end(Outcome::Answered), ..admitted() };
    assert_eq!(admit(&permit, &now_answered, at(NOW)), Err(BeginRefusal::DecideAgain));
}

#[test]
fn a_campaigns_budget_lasts_to_the_end_of_its_day() {
    let budget = facts(&json!({"budget": {"calls_per_day": 3}}));
    check(Facts { campaign_day: day(2, 0, 0), ..budget.clone() }, dial());
    let full = Facts { campaign_day: day(3, 0, 0), ..budget.clone() };
    check(full.clone(), defer("2026-03-03T09:00:00Z", Rule::Hours));
    let person = verdict(by_person(full), at(NOW));
    assert!(matches!(person, Verdict::Defer(_)), "{person:?}");
    let yesterday = Day { ends: at(NOW), ..day(3, 0, 0) };
    check(Facts { campaign_day: yesterday, ..budget.clone() }, dial());
    let permit = permit(budget);
    let full = AdmitFacts { campaign_day: day(3, 1, 0), ..admitted() };
    assert_eq!(admit(&permit, &full, at(NOW)), Err(BeginRefusal::DecideAgain));
}

#[test]
fn money_that_is_spent_waits_for_the_next_day_and_reserved_money_for_calls_to_end() {
    let spend = json!({"spend_per_day": {"amount": "1.00", "per_call": "0.10"}});
    let with = |today| AccountFacts { today, ..limited(&spend) };
    let facts = |today| Facts { account: Arc::new(with(today)), ..plain() };
    check(facts(day(9, 0, 0)), dial());
    check(facts(day(10, 1, 0)), defer(NOW, Rule::Spend));
    check(facts(day(10, 0, 0)), defer("2026-03-03T09:00:00Z", Rule::Hours));
    let (_, heard) = explain(&facts(day(10, 0, 0)), at(NOW));
    let said = heard.iter().find(|heard| heard.rule == Rule::Spend).unwrap();
    assert!(!said.passed && said.words.contains("1.00"), "{}", said.words);

    let permit = permit(facts(day(0, 0, 0)));
    for (today, answer) in [
        (day(9, 0, 0), Ok(())),
        (day(10, 1, 0), Err(BeginRefusal::NoCapacity)),
        (day(10, 0, 0), Err(BeginRefusal::DecideAgain)),
    ] {
        let facts = AdmitFacts { account: with(today), ..admitted() };
        assert_eq!(admit(&permit, &facts, at(NOW)), answer, "{today:?}");
    }
}

#[test]
fn the_accounts_slots_and_pace_bind_people_too() {
    let limits = limited(&json!({"calls_at_once": 2, "calls_per_second": 1}));
    let permits = [permit(plain()), permit(by_person(plain()))];
    let until = at(NOW) + TimeDelta::milliseconds(1);
    for permit in &permits {
        let with = |account| AdmitFacts { account, ..admitted() };
        assert_eq!(
            admit(permit, &with(AccountFacts { in_flight: 1, ..limits.clone() }), at(NOW)),
            Ok(())
        );
        let full = with(AccountFacts { in_flight: 2, ..limits.clone() });
        assert_eq!(admit(permit, &full, at(NOW)), Err(BeginRefusal::NoCapacity));
        let fast = with(AccountFacts { next_dial_at: until, ..limits.clone() });
        assert_eq!(admit(permit, &fast, at(NOW)), Err(BeginRefusal::TooFast { until }));
    }
}

#[test]
fn a_claim_brings_what_the_account_has_free() {
    let now = at(NOW);
    let free = |account: &AccountFacts, leased| account.dials_free(now, leased);
    assert_eq!(free(&account(), 7), u32::MAX);
    assert_eq!(free(&AccountFacts { stopped: true, ..account() }, 0), 0);
    let slots = AccountFacts { in_flight: 3, ..limited(&json!({"calls_at_once": 10})) };
    assert_eq!((free(&slots, 0), free(&slots, 5), free(&slots, 9)), (7, 2, 0));
    let pace = limited(&json!({"calls_per_second": 4}));
    assert_eq!(
        free(&AccountFacts { next_dial_at: now - TimeDelta::hours(1), ..pace.clone() }, 0),
        4
    );
    assert_eq!(free(&AccountFacts { next_dial_at: now + TimeDelta::seconds(1), ..pace }, 0), 0);
    let spend = limited(&json!({"spend_per_day": {"amount": "1.00", "per_call": "0.10"}}));
    let some = AccountFacts { today: day(6, 0, 0), ..spend.clone() };
    assert_eq!((free(&some, 1), some.opens_at(now)), (3, Some(DateTime::UNIX_EPOCH)));
    let spent = AccountFacts { today: day(10, 0, 0), ..spend.clone() };
    assert_eq!((free(&spent, 0), spent.opens_at(now)), (0, Some(day(0, 0, 0).ends)));
    let reserved = AccountFacts { today: day(10, 10, 0), ..spend };
    assert_eq!((free(&reserved, 0), reserved.opens_at(now)), (0, None));
}

#[test]
fn never_outweighs_not_now_and_the_first_never_is_the_reason() {
    let facts = Facts { number_live: true, active: false, ..plain() };
    check(facts.clone(), Verdict::Retire(CancelReason::Inactive));
    let blocked = Facts { dnc: Some(DncScope::Global), ..facts };
    check(blocked.clone(), Verdict::Retire(CancelReason::OnDnc));
    let stopped = Facts { run_state: RunState::Stopped, ..blocked };
    check(stopped, Verdict::Retire(CancelReason::CampaignStopped));
}

fn permit(facts: Facts) -> Permit {
    match decide(facts, at(NOW)) {
        Command::Dial(permit) => *permit,
        Command::Settle(settlement) => panic!("{settlement:?}"),
    }
}

fn admitted() -> AdmitFacts {
    AdmitFacts {
        lease_held: true,
        run_state: RunState::Running,
        settings_version: 1,
        active: true,
        on_dnc: false,
        number_live: false,
        number_dials: Vec::new(),
        in_flight: 0,
        next_dial_at: at(NOW),
        number_ends: Vec::new(),
        campaign_day: Day::default(),
        account: account(),
    }
}

#[test]
fn a_permit_is_admitted_until_its_window_closes() {
    let permit = permit(plain());
    let last = at(UNTIL_FIVE) - TimeDelta::milliseconds(1);
    assert_eq!(admit(&permit, &admitted(), last), Ok(()));
    let closed = admit(&permit, &admitted(), at(UNTIL_FIVE));
    assert_eq!(closed, Err(BeginRefusal::DecideAgain));
}

#[test]
fn whatever_changed_since_the_rules_spoke_sends_the_call_back_to_them() {
    let permit = permit(facts(&json!({"caps": [{"max": 1, "per": "PT6H"}]})));
    let changes: [fn(&mut AdmitFacts); 6] = [
        |facts| facts.run_state = RunState::Paused,
        |facts| facts.settings_version = 2,
        |facts| facts.active = false,
        |facts| facts.on_dnc = true,
        |facts| facts.number_live = true,
        |facts| facts.number_dials = vec![at("2026-03-02T14:59:59Z")],
    ];
    for change in changes {
        let mut changed = admitted();
        change(&mut changed);
        let refusal = admit(&permit, &changed, at(NOW));
        assert_eq!(refusal, Err(BeginRefusal::DecideAgain), "{changed:?}");
    }
    let lost = AdmitFacts { lease_held: false, ..admitted() };
    assert_eq!(admit(&permit, &lost, at(NOW)), Err(BeginRefusal::LeaseLost));
}

#[test]
fn capacity_binds_everybody_and_pace_only_the_plan() {
    let (plan, person) = (permit(plain()), permit(by_person(plain())));
    let full = AdmitFacts { in_flight: 10, ..admitted() };
    for permit in [&plan, &person] {
        assert_eq!(admit(permit, &full, at(NOW)), Err(BeginRefusal::NoCapacity));
        let last = AdmitFacts { in_flight: 9, ..admitted() };
        assert_eq!(admit(permit, &last, at(NOW)), Ok(()));
    }
    let until = at(NOW) + TimeDelta::milliseconds(400);
    let fast = AdmitFacts { next_dial_at: until, ..admitted() };
    assert_eq!(admit(&plan, &fast, at(NOW)), Err(BeginRefusal::TooFast { until }));
    assert_eq!(admit(&person, &fast, at(NOW)), Ok(()));
}

fn some_facts() -> impl Strategy<Value = (Facts, DateTime<Utc>)> {
    let documents = prop::sample::select(vec![
        json!({}),
        json!({"consent_required": true}),
        json!({"caps": [{"max": 1, "per": "PT6H"}, {"max": 3, "per": "P7D"}]}),
        json!({"zone_policy": "number", "zone_fallback": "refuse"}),
        json!({"zone_policy": "number", "retry": {"max_attempts": 2}}),
        json!({"end_on": "2026-03-04"}),
        json!({"hours": {"mon": [["22:00", "02:00"]]}, "closed_dates": ["2026-03-03"]}),
    ]);
    let zones = prop::sample::subsequence(
        vec!["America/New_York", "America/Los_Angeles", "Pacific/Auckland"],
        0..=3,
    );
    let dials = prop::collection::vec(0..14 * 24 * 60_i64, 0..5);
    let yes = || prop::bool::weighted(0.85);
    (
        (documents, zones, dials, 0..10 * 24 * 60_i64),
        (prop::sample::select(RunState::ALL.to_vec()), prop::sample::select(Intent::ALL.to_vec())),
        (yes(), yes(), yes(), yes(), 0_u32..6, any::<bool>()),
    )
        .prop_map(|((document, zones, dials, minute), (state, intent), rest)| {
            let (active, consent, no_dnc, free, client_dials, running) = rest;
            let now = at("2026-02-27T00:00:00Z") + TimeDelta::minutes(minute);
            let zone =
                |name: &str| ClientZone { zone: name.parse().unwrap(), source: ZoneSource::Number };
            let mut number_dials: Vec<DateTime<Utc>> =
                dials.iter().map(|ago| now - TimeDelta::minutes(*ago)).collect();
            number_dials.sort();
            let facts = Facts {
                zones: zones.into_iter().map(zone).collect(),
                number_dials,
                client_dials,
                intent,
                run_state: if running { RunState::Running } else { state },
                active,
                consent,
                dnc: (!no_dnc).then_some(DncScope::Global),
                number_live: !free,
                ..facts(&document)
            };
            (facts, now)
        })
}

proptest! {
    #[test]
    fn an_explanation_is_the_decision((facts, now) in some_facts()) {
        let (explained, heard) = explain(&facts, now);
        prop_assert_eq!(verdict(facts.clone(), now), explained);
        let dials = matches!(explained, Verdict::Dial { .. });
        prop_assert_eq!(dials, heard.iter().all(|heard| heard.passed), "{:?}", heard);
        if let Command::Dial(permit) = decide(facts, now) {
            prop_assert_eq!(permit.decision(), &heard[..]);
        }
    }

    /// The rules stated a second time, as plainly as can be.
    #[test]
    fn a_dial_is_what_every_rule_allows((facts, now) in some_facts()) {
        let settings = &facts.settings;
        let test = facts.intent == Intent::Test;
        let person = facts.intent == Intent::Person || test;
        let runs = match facts.run_state {
            RunState::Running => true,
            RunState::Paused | RunState::Finished => person,
            RunState::Draft => test,
            RunState::Stopped => false,
        };
        let zones = settings.zones_of(&facts.zones);
        let caps = settings.caps.as_slice().iter().all(|cap| {
            let counts = |dial: &&DateTime<Utc>| **dial + cap.per().delta() > now;
            facts.number_dials.iter().filter(counts).count() < cap.max() as usize
        });
        let allowed = runs
            && facts.dnc.is_none()
            && facts.active
            && (facts.consent || test || !settings.consent_required)
            && (person || facts.client_dials < settings.retry.max_attempts())
            && !facts.number_live
            && caps
            && !zones.is_empty()
            && ((person && now <= facts.due_at + TimeDelta::minutes(30))
                || settings.hours.allowed(now, &zones));
        let dials = matches!(verdict(facts.clone(), now), Verdict::Dial { .. });
        prop_assert_eq!(dials, allowed);
    }

    #[test]
    fn a_deferred_call_waits_for_an_instant_the_hours_allow((facts, now) in some_facts()) {
        if let Verdict::Defer(Defer { until, .. }) = verdict(facts.clone(), now) {
            prop_assert!(until >= now);
            let zones = facts.settings.zones_of(&facts.zones);
            let open = facts.settings.hours.allowed(until, &zones);
            let soon = until <= now + TimeDelta::minutes(2);
            let person = matches!(facts.intent, Intent::Person | Intent::Test);
            prop_assert!(open || (person && soon), "{until}");
        }
    }

    #[test]
    fn a_permit_ends_with_its_window((facts, now) in some_facts()) {
        if let Verdict::Dial { window_end: Some(end) } = verdict(facts.clone(), now) {
            let zones = facts.settings.zones_of(&facts.zones);
            prop_assert!(end > now);
            prop_assert!(!facts.settings.hours.allowed(end, &zones));
            let middle = now + (end - now) / 2;
            prop_assert!(facts.settings.hours.allowed(middle, &zones));
        }
    }
}
