//! A carrier that can't be relied on: it takes calls and loses the answer, tells things late,
//! twice, out of order or never, and does not know its own calls for a while.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

use super::dice::Dice;
use super::stage::{Inner, Stage};
use crate::call::{
    AgentResult, AnsweredBy, CallEvent, CallRef, Ending, EventKind, InboundRing, Report, Speaker,
    Utterance, When,
};
use crate::engine::Ticket;
use crate::id::CallId;
use crate::phone::PhoneNumber;
use crate::port::{Audio, Fault, Found, OpenCall, Placement, Telephony, TelephonyError};

/// Why calls of a suspended account are refused.
pub(super) const SUSPENDED: &str = "suspended";

pub(super) struct UnreliableCarrier {
    stage: Arc<Stage>,
    line: Mutex<Line>,
}

#[derive(Default)]
struct Line {
    calls: BTreeMap<CallId, Dialled>,
    /// What it will tell, and when it will arrive.
    outbox: Vec<(DateTime<Utc>, Report)>,
    /// What voice agents will report of their calls, and when.
    results: Vec<(DateTime<Utc>, CallId, AgentResult)>,
    /// Calls that it could not hang up when it was asked to.
    not_hung_up: BTreeSet<CallId>,
    away: bool,
}

struct Dialled {
    /// When a look-up begins to find it.
    known_from: DateTime<Utc>,
    events: Vec<CallEvent>,
}

impl fmt::Debug for UnreliableCarrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnreliableCarrier").finish_non_exhaustive()
    }
}

impl UnreliableCarrier {
    pub(super) fn new(stage: Arc<Stage>) -> Self {
        Self { stage, line: Mutex::default() }
    }

    /// An outage begins or ends.
    pub(super) fn set_away(&self, away: bool) {
        self.lock().away = away;
    }

    /// What was put into the post since the last time.
    pub(super) fn post(&self) -> Vec<(DateTime<Utc>, Report)> {
        std::mem::take(&mut self.lock().outbox)
    }

    /// What voice agents report since the last time.
    pub(super) fn results(&self) -> Vec<(DateTime<Utc>, CallId, AgentResult)> {
        std::mem::take(&mut self.lock().results)
    }

    /// Whether something in the post did happen: a call that was hung up since has another end.
    pub(super) fn stands_by(&self, call: CallId, event: &CallEvent) -> bool {
        self.lock().calls.get(&call).is_some_and(|dialled| dialled.events.contains(event))
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, call: CallId, answer: &Placement) {
        let mut stage = self.stage.lock();
        let name = stage.judge.name(call);
        stage.trace(self.stage.now(), format_args!("the carrier says of call {name}: {answer:?}"));
        stage.stats.unclear += u64::from(*answer == Placement::Unknown);
    }

    fn dial(&self, call: CallId, to: PhoneNumber) -> String {
        let now = self.stage.now();
        let mut stage = self.stage.lock();
        let name = stage.judge.name(call);
        stage.trace(now, format_args!("the carrier dials call {name}"));
        stage.stats.dials += 1;
        stage.judge.dialled(call);
        let trouble = stage.troubles.carrier;
        let carrier_call_id = format!("line-{name}");
        let Inner { dice, weather, is_stormy, .. } = &mut *stage;
        let mut events = life(dice, is_stormy.then_some(weather), now);
        let placed = EventKind::Placed { carrier_call_id: carrier_call_id.clone() };
        events.push(CallEvent { at: now, kind: placed });
        let slow = TimeDelta::minutes(stage.dice.between(0, 90));
        let known_from = if stage.dice.chance(trouble) { now + slow } else { now };
        let never = stage.dice.chance(trouble);
        let post = if never { Vec::new() } else { post(&mut stage.dice, trouble, call, &events) };
        let results = results(&mut stage.dice, &events);
        let rings = ring_back(&mut stage.dice, call, to, now);
        drop(stage);
        let mut line = self.lock();
        line.outbox.extend(post);
        line.outbox.extend(rings);
        line.results.extend(results.into_iter().map(|(at, result)| (at, call, result)));
        line.calls.insert(call, Dialled { known_from, events });
        carrier_call_id
    }
}

#[async_trait]
impl Telephony for UnreliableCarrier {
    fn kind(&self) -> &'static str {
        "simulated"
    }

    fn is_simulated(&self) -> bool {
        true
    }

    async fn place_call(&self, ticket: Ticket) -> Placement {
        let (call, to) = (ticket.call(), ticket.to());
        let (now, wall) = (self.stage.now(), self.stage.wall());
        self.stage.lock().judge.asked(call, to, now, wall);
        self.stage.pause().await;
        let away = self.lock().away;
        let (trouble, mood, later) = {
            let mut stage = self.stage.lock();
            let trouble = stage.troubles.carrier;
            (stage.dice.chance(2 * trouble), stage.dice.below(11), stage.dice.between(1, 7200))
        };
        let answer = match mood {
            0..=5 if away => Placement::Unknown,
            _ if away => {
                self.dial(call, to);
                Placement::Unknown
            }
            0..=3 if trouble => {
                self.dial(call, to);
                Placement::Unknown
            }
            4 if trouble => Placement::Unknown,
            5 | 6 if trouble => {
                let at = self.stage.now() + TimeDelta::seconds(later);
                Placement::Later { at }
            }
            7 if trouble => refused("bad_number", Fault::Number { permanent: true }),
            8 if trouble => refused("limit", Fault::Number { permanent: false }),
            9 if trouble => {
                self.stage.lock().judge.account_refused(call);
                refused(SUSPENDED, Fault::Configuration)
            }
            _ => Placement::Placed { carrier_call_id: self.dial(call, to) },
        };
        self.say(call, &answer);
        self.stage.pause().await;
        answer
    }

    async fn hang_up(&self, call: CallId, id: Option<&str>) -> Result<(), TelephonyError> {
        self.stage.pause().await;
        let now = self.stage.now();
        let mut line = self.lock();
        // It addresses its calls by its own ids alone.
        if line.away || id.is_none() {
            line.not_hung_up.insert(call);
            return Err(TelephonyError::new("hang up"));
        }
        let was_in_vain = line.not_hung_up.remove(&call);
        self.stage.lock().stats.asked_to_hang_up_again += u64::from(was_in_vain);
        let Some(dialled) = line.calls.get_mut(&call) else { return Ok(()) };
        let over = dialled
            .events
            .iter()
            .any(|event| event.at <= now && matches!(event.kind, EventKind::Ended { .. }));
        if over {
            return Ok(());
        }
        dialled.events.retain(|event| event.at <= now);
        let answered = dialled.events.iter().any(|event| event.kind == EventKind::Answered);
        let ending = if answered { Ending::Completed } else { Ending::Canceled };
        let end = CallEvent { at: now, kind: EventKind::Ended { ending, talk_seconds: 1 } };
        dialled.events.push(end.clone());
        line.outbox.push((now, Report::ours(call, end.at, end.kind)));
        Ok(())
    }

    async fn find_call(&self, call: &OpenCall) -> Result<Found, TelephonyError> {
        self.stage.pause().await;
        let now = self.stage.now();
        let line = self.lock();
        if line.away {
            return Err(TelephonyError::new("find a call"));
        }
        let found = line.calls.get(&call.call).filter(|dialled| dialled.known_from <= now);
        Ok(found.map_or(Found::Nothing, |dialled| {
            let happened = dialled.events.iter().filter(|event| event.at <= now);
            Found::Events(happened.cloned().collect())
        }))
    }

    async fn check(&self) -> Result<(), TelephonyError> {
        self.stage.pause().await;
        if self.lock().away { Err(TelephonyError::new("answer")) } else { Ok(()) }
    }

    async fn recording(&self, _: &str) -> Result<Option<Audio>, TelephonyError> {
        Ok(None)
    }

    async fn delete_recording(&self, _: &str) -> Result<(), TelephonyError> {
        self.check().await
    }
}

/// What will happen on the line of a call that is dialled now.
fn life(dice: &mut Dice, weather: Option<&mut Dice>, dialled: DateTime<Utc>) -> Vec<CallEvent> {
    let mut at = dialled;
    let mut events = Vec::new();
    let mut push = |wait: i64, kind: EventKind| {
        at += TimeDelta::seconds(wait);
        events.push(CallEvent { at, kind });
    };
    let ended = |ending: Ending| EventKind::Ended { ending, talk_seconds: 0 };
    let luck = dice.below(100);
    if luck < 12 {
        push(dice.between(1, 8), ended(Ending::Busy));
        return events;
    }
    if luck < 20 {
        let permanent = dice.chance(300);
        let reason = if permanent { "unallocated" } else { "congestion" }.to_owned();
        push(dice.between(1, 8), ended(Ending::Failed { reason, permanent }));
        return events;
    }
    push(dice.between(1, 4), EventKind::Ringing);
    if luck < 45 {
        push(dice.between(20, 58), ended(Ending::NoAnswer));
        return events;
    }
    push(dice.between(2, 40), EventKind::Answered);
    if luck < 65 {
        // The verdict may come after the call is over: it is told, like everything, when it comes.
        push(dice.between(2, 9), EventKind::Detected { by: AnsweredBy::Machine });
    } else if luck < 68 {
        push(dice.between(2, 9), EventKind::Detected { by: AnsweredBy::Fax });
    } else {
        if luck < 80 {
            push(dice.between(2, 9), EventKind::Detected { by: AnsweredBy::Human });
        }
        for press in 0..u32::try_from(dice.below(3)).unwrap_or(0) {
            let digit = if dice.chance(300) { '9' } else { '1' };
            push(dice.between(1, 20), EventKind::Key { digit, press });
        }
        if dice.chance(150) {
            push(dice.between(1, 20), EventKind::Key { digit: '0', press: 9 });
            push(dice.between(0, 2), EventKind::Transferred);
        }
        // Detection that runs beside the call may speak last, and wrongly.
        if let Some(weather) = weather
            && weather.chance(200)
        {
            push(weather.between(1, 9), EventKind::Detected { by: AnsweredBy::Machine });
        }
    }
    let talk_seconds = dice.between(1, 700);
    push(
        talk_seconds,
        EventKind::Ended {
            ending: Ending::Completed,
            talk_seconds: u32::try_from(talk_seconds).unwrap_or(0),
        },
    );
    events
}

/// What the voice agent of an answered call reports: at its end or long after it, at times twice.
fn results(dice: &mut Dice, events: &[CallEvent]) -> Vec<(DateTime<Utc>, AgentResult)> {
    let answered = events.iter().any(|event| event.kind == EventKind::Answered);
    let Some(ended) = events.iter().map(|event| event.at).max().filter(|_| answered) else {
        return Vec::new();
    };
    if !dice.chance(350) {
        return Vec::new();
    }
    let line = |second: u32| {
        let text = format!("Line at {second}.");
        Utterance { speaker: Speaker::Agent, when: When::Offset(second), text }
    };
    let last = u32::try_from(dice.below(40)).unwrap_or(0);
    let result = AgentResult {
        transcript: vec![line(1), line(2 + last)],
        disposition: dice.chance(500).then(|| "won".to_owned()),
        tags: dice.chance(500).then(|| "agent".to_owned()).into_iter().collect(),
        opt_out: dice.chance(150),
        note: None,
    };
    let wait = if dice.chance(200) { dice.between(60, 20_000) } else { dice.between(0, 20) };
    let first = (ended + TimeDelta::seconds(wait), result.clone());
    let again = (first.0 + TimeDelta::seconds(dice.between(1, 90)), result);
    if dice.chance(250) { vec![first, again] } else { vec![first] }
}

/// Somebody who was dialled calls back, and may opt out.
fn ring_back(
    dice: &mut Dice,
    call: CallId,
    from: PhoneNumber,
    now: DateTime<Utc>,
) -> Vec<(DateTime<Utc>, Report)> {
    if !dice.chance(60) {
        return Vec::new();
    }
    let at = now + TimeDelta::seconds(dice.between(600, 90_000));
    let ring = InboundRing {
        carrier_call_id: format!("ring-{call}"),
        from: (!dice.chance(100)).then_some(from),
        new_id: call.successor(at),
    };
    let pressed = if dice.chance(300) { '9' } else { '1' };
    let told = [
        (0, EventKind::Ringing),
        (2, EventKind::Answered),
        (9, EventKind::Key { digit: pressed, press: 0 }),
        (20, EventKind::Ended { ending: Ending::Completed, talk_seconds: 18 }),
    ];
    let mut post = Vec::new();
    for (second, kind) in told {
        let event = CallEvent { at: at + TimeDelta::seconds(second), kind };
        let late = TimeDelta::seconds(dice.between(0, 40));
        post.push((event.at + late, Report { call: CallRef::Inbound(ring.clone()), event }));
    }
    post
}

/// When each event arrives: soon, late, twice, or never.
fn post(
    dice: &mut Dice,
    trouble: u64,
    call: CallId,
    events: &[CallEvent],
) -> Vec<(DateTime<Utc>, Report)> {
    let mut post = Vec::new();
    for event in events {
        if dice.chance(trouble) {
            continue;
        }
        let copies = 1 + u64::from(dice.chance(2 * trouble));
        for _ in 0..copies {
            let delay = match dice.below(1000) {
                odd if odd < trouble / 4 => dice.between(3600, 30 * 3600),
                odd if odd < trouble => dice.between(30, 1200),
                odd if odd < 3 * trouble => dice.between(2, 40),
                _ => 0,
            };
            let at = event.at + TimeDelta::seconds(delay);
            post.push((at, Report::ours(call, event.at, event.kind.clone())));
        }
    }
    post
}

fn refused(reason: &str, fault: Fault) -> Placement {
    Placement::Refused { reason: reason.to_owned(), fault }
}
