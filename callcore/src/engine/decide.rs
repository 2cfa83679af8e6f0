//! The rules speak: facts in, a command out. Pure and total.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::account::AccountFacts;
use super::permit::Permit;
use crate::account::{Day, Room};
use crate::call::{CancelReason, Intent};
use crate::campaign::{RunState, Settings};
use crate::client::ClientZone;
use crate::dnc::DncScope;
use crate::id::{AudioId, CallId, CampaignId, ClientId};
use crate::phone::PhoneNumber;
use crate::rules::cool_downs::NumberEnd;
use crate::rules::hours::NextAllowed;
use crate::time::Zone;

/// How long a call waits when another call to its number, or one from it, is live.
const NUMBER_BUSY_WAIT: TimeDelta = TimeDelta::minutes(2);

/// How long a person's wish passes the campaign's hours. Whoever asks for a call looks at the clock;
/// nobody does when it is dialled hours later, after an outage or once a cap is free again.
const WISH_LIFE: TimeDelta = TimeDelta::minutes(30);

/// Everything the rules need to know about a claimed call, as the store saw it when it leased it.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// The call.
    pub call: CallId,
    /// Its campaign.
    pub campaign: CampaignId,
    /// Its client; a test call has none.
    pub client: Option<ClientId>,
    /// The number to dial.
    pub phone: PhoneNumber,
    /// Which number of dial it would be, from 1.
    pub attempt: u32,
    /// Whether a person asked for it.
    pub intent: Intent,
    /// When it was due.
    pub due_at: DateTime<Utc>,
    /// The lease under which it was claimed.
    pub lease: Lease,
    /// Where the campaign stands.
    pub run_state: RunState,
    /// Which version the settings are.
    pub settings_version: u32,
    /// The campaign's settings.
    pub settings: Arc<Settings>,
    /// Every zone the client may be in.
    pub zones: Vec<ClientZone>,
    /// Whether the client may be called at all.
    pub active: bool,
    /// Whether a consent is recorded.
    pub consent: bool,
    /// A DNC entry that covers the number in this campaign.
    pub dnc: Option<DncScope>,
    /// Whether another call to the number, or one from it, is live, in whatever campaign.
    pub number_live: bool,
    /// When the number was dialled before, over all campaigns, oldest first, as far back as any
    /// cap looks.
    pub number_dials: Vec<DateTime<Utc>>,
    /// How often this client was dialled.
    pub client_dials: u32,
    /// How dials to the number ended, over all campaigns; empty where the campaign has no cool-downs.
    pub number_ends: Vec<NumberEnd>,
    /// The dials of the campaign's local day; empty where it has no budget.
    pub campaign_day: Day,
    /// The account as a whole.
    pub account: Arc<AccountFacts>,
    /// What the script's places are filled from.
    pub person: Person,
    /// The audio that the script plays and that is still there, by name.
    pub audio: Vec<(AudioId, String)>,
}

/// What the places of a script are filled from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Person {
    /// The client's name.
    pub name: String,
    /// Where the client reads mail.
    pub email: Option<String>,
    /// The uploader's own id.
    pub external_id: Option<String>,
    /// The uploaded columns and their cells.
    pub columns: Vec<(String, String)>,
}

/// A worker's hold on a claimed call. Whoever has an older epoch lost it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Lease {
    /// Grows with every claim of the call, also when the call vanished in between and came back.
    pub epoch: u64,
}

/// What is to be done with a claimed call.
#[derive(Debug)]
pub enum Command {
    /// Dial it.
    Dial(Box<Permit>),
    /// End its claim without a dial.
    Settle(Settlement),
}

/// A claim ends without a dial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settlement {
    /// The call.
    pub call: CallId,
    /// The lease it was claimed under.
    pub lease: Lease,
    /// How.
    pub verdict: Verdict,
}

/// What the rules say together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Every rule says yes. The calling window closes at this instant, if one counts.
    Dial {
        /// The first instant at which the hours no longer allow it.
        window_end: Option<DateTime<Utc>>,
    },
    /// Not now.
    Defer(Defer),
    /// Never: the call ends.
    Retire(CancelReason),
}

/// Not now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Defer {
    /// When to ask again.
    pub until: DateTime<Utc>,
    /// The rule that asks for the latest instant.
    pub why: Rule,
}

/// A rule of the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Nobody stopped all dialling.
    StopAll,
    /// The campaign runs.
    RunState,
    /// No DNC entry covers the number.
    Dnc,
    /// The client is switched on.
    Active,
    /// Consent is recorded where it is required.
    Consent,
    /// A zone is known.
    Zone,
    /// The client was dialled less often than `max_attempts`.
    MaxAttempts,
    /// No other call to the number is live, and none from it.
    NumberFree,
    /// The caps on the number hold.
    Caps,
    /// The number is not left alone after how a dial to it ended.
    CoolDowns,
    /// The campaign has dials left today.
    Budget,
    /// The account has money left today.
    Spend,
    /// The hours allow it in every zone.
    Hours,
    /// Asked again when the intent is stored: capacity, pace, lease, settings version.
    Begin,
}

impl Rule {
    /// The word JSON, logs and pages use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StopAll => "stop_all",
            Self::RunState => "run_state",
            Self::Dnc => "dnc",
            Self::Active => "active",
            Self::Consent => "consent",
            Self::Zone => "zone",
            Self::MaxAttempts => "max_attempts",
            Self::NumberFree => "number_free",
            Self::Caps => "caps",
            Self::CoolDowns => "cool_downs",
            Self::Budget => "budget",
            Self::Spend => "spend",
            Self::Hours => "hours",
            Self::Begin => "begin",
        }
    }
}

/// What one rule answered, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// The rule.
    pub rule: Rule,
    /// Whether it says yes.
    pub passed: bool,
    /// Its inputs and its answer.
    pub words: String,
}

/// Decides what is to be done with a claimed call.
#[must_use]
pub fn decide(facts: Facts, now: DateTime<Utc>) -> Command {
    match evaluate(&facts, now, &mut Silent) {
        Verdict::Dial { window_end } => {
            let (_, decision) = explain(&facts, now);
            Command::Dial(Box::new(Permit::issue(facts, now, window_end, decision)))
        }
        verdict => Command::Settle(Settlement { call: facts.call, lease: facts.lease, verdict }),
    }
}

/// Why: every rule that was asked, with its inputs and its answer. It runs the same evaluation as
/// [`decide`], so an explanation can't differ from a decision.
#[must_use]
pub fn explain(facts: &Facts, now: DateTime<Utc>) -> (Verdict, Vec<Heard>) {
    let mut heard = Vec::new();
    let verdict = evaluate(facts, now, &mut heard);
    (verdict, heard)
}

/// Where rules say what they answered. The words are only put together for a sink that keeps them.
pub(super) trait Sink {
    fn hear(&mut self, rule: Rule, passed: bool, words: impl FnOnce() -> String);
}

pub(super) struct Silent;

impl Sink for Silent {
    fn hear(&mut self, _: Rule, _: bool, _: impl FnOnce() -> String) {}
}

impl Sink for Vec<Heard> {
    fn hear(&mut self, rule: Rule, passed: bool, words: impl FnOnce() -> String) {
        self.push(Heard { rule, passed, words: words() });
    }
}

pub(super) fn evaluate(facts: &Facts, now: DateTime<Utc>, sink: &mut impl Sink) -> Verdict {
    let settings = &*facts.settings;
    let (person, test) = (facts.intent.is_wish(), facts.intent == Intent::Test);
    let mut answer = Answer::default();

    let stopped = facts.account.stopped;
    sink.hear(Rule::StopAll, !stopped, || {
        if stopped { "all dialling is stopped" } else { "dialling is not stopped" }.to_owned()
    });
    if stopped {
        // Whoever claimed it in the moment of the stop gives it back as it was.
        answer.defer(now, Rule::StopAll);
    }

    let runs = facts.intent.dials_while(facts.run_state);
    sink.hear(Rule::RunState, runs, || format!("the campaign is {}", facts.run_state.as_str()));
    match facts.run_state {
        _ if runs => {}
        RunState::Stopped => answer.retire(CancelReason::CampaignStopped),
        // The claim does not bring such calls; whoever claimed one in the moment of a pause gives it
        // back as it was.
        _ => answer.defer(now, Rule::RunState),
    }

    sink.hear(Rule::Dnc, facts.dnc.is_none(), || match facts.dnc {
        None => "no entry covers the number".to_owned(),
        Some(scope) => format!("a {} entry covers the number", scope.as_str()),
    });
    if facts.dnc.is_some() {
        answer.retire(CancelReason::OnDnc);
    }

    sink.hear(Rule::Active, facts.active, || {
        if facts.active { "the client is active" } else { "the client is switched off" }.to_owned()
    });
    if !facts.active {
        answer.retire(CancelReason::Inactive);
    }

    let consent = facts.consent || test || !settings.consent_required;
    sink.hear(Rule::Consent, consent, || {
        match (settings.consent_required, facts.consent) {
            (true, false) if test => "a test call to one's own number needs none",
            (false, _) => "the campaign requires none",
            (true, true) => "required, and recorded",
            (true, false) => "required, and not recorded",
        }
        .to_owned()
    });
    if !consent {
        answer.retire(CancelReason::NoConsent);
    }

    let tries_left = person || facts.client_dials < settings.retry.max_attempts();
    sink.hear(Rule::MaxAttempts, tries_left, || {
        format!("{} of {} dials made", facts.client_dials, settings.retry.max_attempts())
    });
    if !tries_left {
        answer.retire(CancelReason::MaxAttempts);
    }

    sink.hear(Rule::NumberFree, !facts.number_live, || {
        if facts.number_live {
            "another call to or from the number is live"
        } else {
            "no other call to or from the number is live"
        }
        .to_owned()
    });
    if facts.number_live {
        answer.defer(now + NUMBER_BUSY_WAIT, Rule::NumberFree);
    }

    let free_at = settings.caps.next_free(&facts.number_dials, now);
    sink.hear(Rule::Caps, free_at <= now, || {
        format!(
            "{} cap(s), {} earlier dial(s)",
            settings.caps.as_slice().len(),
            facts.number_dials.len()
        )
    });
    if free_at > now {
        answer.defer(free_at, Rule::Caps);
    }

    cool_downs(facts, now, &mut answer, sink);
    days(facts, now, &mut answer, sink);

    let fresh_wish = person && now - facts.due_at <= WISH_LIFE;
    let window_end = hours(facts, now, fresh_wish, &mut answer, sink);
    answer.verdict(window_end)
}

/// After some outcomes the number is left alone for a while, also by people.
fn cool_downs(facts: &Facts, now: DateTime<Utc>, answer: &mut Answer, sink: &mut impl Sink) {
    let rules = &facts.settings.cool_downs;
    if rules.is_empty() {
        return;
    }
    let free_at = rules.next_free(&facts.number_ends, now);
    sink.hear(Rule::CoolDowns, free_at <= now, || {
        let ends = facts.number_ends.len();
        format!("{} cool-down(s), {ends} dial(s) to the number ended", rules.len())
    });
    if free_at > now {
        answer.defer(free_at, Rule::CoolDowns);
    }
}

/// What a local day may hold: the campaign's dials, and the account's money.
fn days(facts: &Facts, now: DateTime<Utc>, answer: &mut Answer, sink: &mut impl Sink) {
    if let Some(most) = facts.settings.budget.calls_per_day {
        let allows = facts.settings.budget.allows(&facts.campaign_day, now);
        sink.hear(Rule::Budget, allows, || {
            format!("{} of {most} dials of the day begun", facts.campaign_day.at(now).begun)
        });
        if !allows {
            answer.defer(facts.campaign_day.ends, Rule::Budget);
        }
    }
    if let (Some(spend), Some(room)) =
        (facts.account.settings.spend_per_day, facts.account.room(now))
    {
        sink.hear(Rule::Spend, matches!(room, Room::Dials(_)), || {
            let today = facts.account.today.at(now);
            format!(
                "of {} a day {} are spent and {} reserved for calls in progress; one more may cost {}",
                spend.amount,
                spend.spent(&today),
                spend.reserved(&today),
                spend.most()
            )
        });
        match room {
            Room::Dials(_) => {}
            // A call that ends makes room: the claim brings none until then.
            Room::Reserved => answer.defer(now, Rule::Spend),
            Room::Spent => answer.defer(facts.account.today.ends, Rule::Spend),
        }
    }
}

/// The zone and hours rules; they come last, so that a later instant asked by another rule is put
/// into the window after it.
fn hours(
    facts: &Facts,
    now: DateTime<Utc>,
    fresh_wish: bool,
    answer: &mut Answer,
    sink: &mut impl Sink,
) -> Option<DateTime<Utc>> {
    let settings = &*facts.settings;
    let zones = settings.zones_of(&facts.zones);
    sink.hear(Rule::Zone, !zones.is_empty(), || names(&zones));
    if zones.is_empty() {
        answer.retire(CancelReason::NoZone);
        return None;
    }
    if fresh_wish {
        // What a person's dial may pass is in the HTTP contract; the campaign's own hours are.
        sink.hear(Rule::Hours, true, || "a person asked for the call".to_owned());
        // Not so a dial that is put off for long: it waits for the window after that.
        if let Some(from) = answer.until()
            && from > now + NUMBER_BUSY_WAIT
            && let NextAllowed::At(at) = settings.hours.next_allowed(from, &zones)
            && at > from
        {
            answer.defer(at, Rule::Hours);
        }
        return None;
    }
    let open_now = settings.hours.next_allowed(now, &zones);
    let passed = open_now == NextAllowed::At(now);
    sink.hear(Rule::Hours, passed, || match open_now {
        _ if passed => format!("open in {}", names(&zones)),
        NextAllowed::At(at) => format!("in {} next open at {}", names(&zones), stamp(at)),
        NextAllowed::Never => format!("never open again in {}", names(&zones)),
    });
    // Another rule may ask for a later instant: the window that counts is the one after it.
    let from = answer.until().unwrap_or(now);
    let next = if from > now { settings.hours.next_allowed(from, &zones) } else { open_now };
    match next {
        NextAllowed::At(at) if at > from => answer.defer(at, Rule::Hours),
        NextAllowed::At(_) => {}
        NextAllowed::Never => answer.retire(CancelReason::HoursOver),
    }
    if answer.is_yes() { settings.hours.window_end(now, &zones) } else { None }
}

fn names(zones: &[Zone]) -> String {
    if zones.is_empty() {
        return "no zone is known".to_owned();
    }
    zones.iter().map(Zone::name).collect::<Vec<_>>().join(", ")
}

fn stamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// Rules speak in order: the first that says never wins, else the one that asks for the latest
/// instant.
#[derive(Default)]
struct Answer {
    retire: Option<CancelReason>,
    defer: Option<Defer>,
}

impl Answer {
    fn retire(&mut self, reason: CancelReason) {
        self.retire.get_or_insert(reason);
    }

    fn defer(&mut self, until: DateTime<Utc>, why: Rule) {
        if self.defer.is_none_or(|known| until > known.until) {
            self.defer = Some(Defer { until, why });
        }
    }

    const fn is_yes(&self) -> bool {
        self.retire.is_none() && self.defer.is_none()
    }

    fn until(&self) -> Option<DateTime<Utc>> {
        self.defer.map(|defer| defer.until)
    }

    fn verdict(self, window_end: Option<DateTime<Utc>>) -> Verdict {
        match (self.retire, self.defer) {
            (Some(reason), _) => Verdict::Retire(reason),
            (None, Some(defer)) => Verdict::Defer(defer),
            (None, None) => Verdict::Dial { window_end },
        }
    }
}
