//! The carrier itself: dials in, events out, on the campaign clock.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::dial::{AgentPost, SimDial};
use super::dice::{Dice, WEEK};
use super::model::{Mischief, SimModel};
use super::plan::Plan;
use crate::call::{CallEvent, CallRef, Ending, EventKind, InboundRing, Report};
use crate::id::CallId;
use crate::phone::PhoneNumber;
use crate::port::{Audio, Found};

/// How long the carrier answers for a call: longer than anybody asks about an unknown one.
const MEMORY: TimeDelta = TimeDelta::days(3);

/// The chances of deliveries are rolled apart from those of the call itself.
const DELIVERIES: u64 = 1;

/// A dial the carrier accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dial {
    /// The call it was for.
    pub call: CallId,
    /// The number that rang.
    pub to: PhoneNumber,
    /// When, on the campaign clock.
    pub at: DateTime<Utc>,
}

/// The simulated carrier. What becomes of a dial is worked out from the seed when it is placed.
#[derive(Debug)]
pub struct SimCarrier {
    seed: u64,
    model: SimModel,
    legs: BTreeMap<CallId, Vec<Leg>>,
    /// Calls that ring in: what happens to them is settled when the call they answer is placed.
    inbound: BTreeMap<CallId, RingIn>,
    queue: BTreeMap<(DateTime<Utc>, u64), Delivery>,
    /// Deliveries to come, by the call we dialled; also those of its ring back.
    pending: BTreeMap<CallId, usize>,
    delivered: u64,
    log: Vec<Dial>,
    /// Results of voice agents whose time has come.
    posts: Vec<AgentPost>,
    /// Recordings that are no more.
    deleted: BTreeSet<String>,
}

/// One ringing of one call id: a correct dispatcher causes one at most.
#[derive(Debug)]
struct Leg {
    dial: SimDial,
    placed_at: DateTime<Utc>,
    hung_up_at: Option<DateTime<Utc>>,
}

/// A call that rings in.
#[derive(Debug)]
struct RingIn {
    ring: InboundRing,
    /// The call it answers.
    dialled: CallId,
    events: Vec<CallEvent>,
}

#[derive(Debug)]
struct Delivery {
    dialled: CallId,
    what: Delivered,
}

#[derive(Debug)]
enum Delivered {
    Event(Report),
    Result(AgentPost),
}

impl Delivery {
    /// Whether it is about something that has not happened yet.
    fn is_ahead(&self, at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        match &self.what {
            Delivered::Event(report) => report.event.at > now,
            Delivered::Result(_) => at > now,
        }
    }
}

impl SimCarrier {
    /// A carrier with nothing to do.
    #[must_use]
    pub const fn new(seed: u64, model: SimModel) -> Self {
        Self {
            seed,
            model,
            legs: BTreeMap::new(),
            inbound: BTreeMap::new(),
            queue: BTreeMap::new(),
            pending: BTreeMap::new(),
            delivered: 0,
            log: Vec::new(),
            posts: Vec::new(),
            deleted: BTreeSet::new(),
        }
    }

    /// Dials, always: a call id that was dialled before rings a second time, as it would at a real
    /// carrier. Returns the carrier's id for the call.
    pub fn place(&mut self, dial: SimDial, now: DateTime<Utc>) -> String {
        self.restore(dial, now, false)
    }

    /// Takes up a dial of the carrier's own log after a restart. What was not `delivered` whole is
    /// delivered again from the start.
    pub fn restore(&mut self, dial: SimDial, at: DateTime<Utc>, delivered: bool) -> String {
        self.log.push(Dial { call: dial.call, to: dial.to, at });
        let id = carrier_id(dial.call, at);
        self.ring(dial, at, delivered, &[]);
        id
    }

    /// Takes up a call again that rang before the carrier's memory was lost, from what is `known`
    /// of it: its unheard events are delivered when they would have been. It is no new dial.
    pub fn resume(
        &mut self,
        dial: SimDial,
        begun_at: DateTime<Utc>,
        carrier_call_id: Option<&str>,
        known: &[CallEvent],
    ) {
        let placed_at = carrier_call_id
            .and_then(placed_at)
            .or_else(|| self.placed_at_by_events(&dial, begun_at, known))
            .unwrap_or(begun_at);
        self.ring(dial, placed_at, false, known);
    }

    /// Ends a call that rang in before the carrier's memory was lost: its line dropped.
    pub fn drop_inbound(&mut self, ring: InboundRing, known: &[CallEvent], now: DateTime<Utc>) {
        let end = ended_at(known, now);
        let mut events = known.to_vec();
        events.push(end.clone());
        let call = ring.new_id;
        self.inbound.insert(call, RingIn { ring: ring.clone(), dialled: call, events });
        self.deliver(call, now, Report { call: CallRef::Inbound(ring), event: end });
    }

    /// The events whose delivery has come, in the order they are delivered.
    pub fn advance(&mut self, now: DateTime<Utc>) -> Vec<Report> {
        let mut reports = Vec::new();
        while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= now) {
            let Delivery { dialled, what } = entry.remove();
            match what {
                Delivered::Event(report) => reports.push(report),
                Delivered::Result(post) => self.posts.push(post),
            }
            self.settle(dialled, 1);
        }
        self.forget(now);
        reports
    }

    /// What voice agents report of calls they talked in, as far as [`advance`](Self::advance) came.
    /// Whoever takes it must see to it that it arrives: it comes once.
    pub fn take_posts(&mut self) -> Vec<AgentPost> {
        std::mem::take(&mut self.posts)
    }

    /// When the next event is delivered.
    #[must_use]
    pub fn next_delivery(&self) -> Option<DateTime<Utc>> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }

    /// Whether nothing of a call, nor of the ring back it caused, is left to deliver.
    #[must_use]
    pub fn is_delivered(&self, call: CallId) -> bool {
        !self.pending.contains_key(&call)
    }

    /// What happened to a call so far, whatever was delivered.
    #[must_use]
    pub fn find(&self, call: CallId, now: DateTime<Utc>) -> Found {
        let mut events: Vec<CallEvent> = match (self.legs.get(&call), self.inbound.get(&call)) {
            (Some(legs), _) => {
                (0..).zip(legs).flat_map(|(repeat, leg)| self.told(leg, repeat)).collect()
            }
            (None, Some(ring)) => ring.events.clone(),
            (None, None) => return Found::Nothing,
        };
        events.retain(|event| event.at <= now);
        events.sort_by_key(|event| event.at);
        Found::Events(events)
    }

    /// Ends a call, whether it rings or talks. One that is over, or unknown, stays as it is.
    pub fn hang_up(&mut self, call: CallId, now: DateTime<Utc>) {
        if let Some(mut ring) = self.inbound.remove(&call) {
            self.hang_up_inbound(&mut ring, now);
            self.inbound.insert(call, ring);
        }
        let Some(mut legs) = self.legs.remove(&call) else { return };
        for (repeat, leg) in (0..).zip(&mut legs) {
            if self.told(leg, repeat).iter().any(|event| is_end(event) && event.at <= now) {
                continue;
            }
            leg.hung_up_at = Some(now);
            self.drop_after(call, now);
            let mut rest = self.told(leg, repeat);
            rest.retain(|event| event.at > now || is_end(event));
            for event in rest {
                self.deliver(call, event.at, Report { call: CallRef::Ours(call), event });
            }
        }
        self.legs.insert(call, legs);
    }

    fn hang_up_inbound(&mut self, ring: &mut RingIn, now: DateTime<Utc>) {
        let over = ring.events.iter().any(|event| is_end(event) && event.at <= now);
        if over || ring.events.first().is_none_or(|first| first.at > now) {
            return;
        }
        self.drop_after(ring.dialled, now);
        ring.events.retain(|event| event.at <= now);
        let event = ended_at(&ring.events, now);
        ring.events.push(event.clone());
        let call = CallRef::Inbound(ring.ring.clone());
        self.deliver(ring.dialled, now, Report { call, event });
    }

    /// A recording by the reference an event brought; none if it is none of this carrier's.
    #[must_use]
    pub fn recording(&self, reference: &str) -> Option<Audio> {
        super::audio::recording(reference).filter(|_| !self.deleted.contains(reference))
    }

    /// Deletes a recording. What is made from its reference is forgotten by remembering that.
    pub fn delete_recording(&mut self, reference: &str) {
        if super::audio::recording(reference).is_some() {
            self.deleted.insert(reference.to_owned());
        }
    }

    /// Every dial that was accepted, in order: the evidence that no call id rang twice.
    #[must_use]
    pub fn dial_log(&self) -> &[Dial] {
        &self.log
    }

    fn ring(&mut self, dial: SimDial, at: DateTime<Utc>, delivered: bool, known: &[CallEvent]) {
        let call = dial.call;
        let repeat = self.legs.get(&call).map_or(0, Vec::len) as u64;
        if !delivered {
            let plan = Plan::of(self.seed, &self.model, &dial, repeat, at);
            let ours = |event| Report { call: CallRef::Ours(call), event };
            for report in &plan.call_back {
                if let CallRef::Inbound(ring) = &report.call {
                    let known = self.inbound.entry(ring.new_id).or_insert_with(|| RingIn {
                        ring: ring.clone(),
                        dialled: call,
                        events: Vec::new(),
                    });
                    known.events.push(report.event.clone());
                }
            }
            let told: Vec<Report> =
                plan.events.into_iter().map(ours).chain(plan.call_back).collect();
            self.schedule(call, repeat, &told, known);
            if let Some((at, post)) = plan.post {
                // Agents that hear no answer send again.
                if plan.post_twice {
                    let again = at + TimeDelta::seconds(30);
                    self.put(call, again, Delivered::Result(post.clone()));
                }
                self.put(call, at, Delivered::Result(post));
            }
        }
        self.legs.entry(call).or_default().push(Leg { dial, placed_at: at, hung_up_at: None });
    }

    /// Rolls when, how often and whether each event is delivered.
    fn schedule(&mut self, call: CallId, repeat: u64, told: &[Report], known: &[CallEvent]) {
        let Mischief { latency_seconds, late, late_seconds, twice, out_of_order, lost } =
            self.model.mischief;
        let mut dice = Dice::new(self.seed, call, (repeat << 8) | DELIVERIES);
        for (place, report) in told.iter().enumerate() {
            let mut at = report.event.at + seconds(dice.spread(latency_seconds));
            let (is_late, late_by) = (dice.hit(late), dice.spread(late_seconds));
            if is_late {
                at += seconds(late_by);
            }
            let overtaken = dice.hit(out_of_order);
            // A ring back comes hours later; it overtakes nothing.
            let next = told.get(place + 1).filter(|next| overtaken && next.call == report.call);
            if let Some(next) = next {
                at = at.max(next.event.at + seconds(latency_seconds.to.min(WEEK) + 1));
            }
            let (is_twice, again) = (dice.hit(twice), dice.spread(late_seconds));
            let is_lost = dice.hit(lost);
            if is_lost || known.contains(&report.event) {
                continue;
            }
            self.deliver(call, at, report.clone());
            if is_twice {
                self.deliver(call, at + seconds(again), report.clone());
            }
        }
    }

    fn deliver(&mut self, dialled: CallId, at: DateTime<Utc>, report: Report) {
        self.put(dialled, at, Delivered::Event(report));
    }

    fn put(&mut self, dialled: CallId, at: DateTime<Utc>, what: Delivered) {
        self.delivered += 1;
        self.queue.insert((at, self.delivered), Delivery { dialled, what });
        *self.pending.entry(dialled).or_default() += 1;
    }

    /// Takes back what will not happen now that a call was hung up.
    fn drop_after(&mut self, call: CallId, now: DateTime<Utc>) {
        let before = self.queue.len();
        self.queue
            .retain(|(at, _), delivery| delivery.dialled != call || !delivery.is_ahead(*at, now));
        self.settle(call, before - self.queue.len());
    }

    fn settle(&mut self, dialled: CallId, count: usize) {
        if let Some(left) = self.pending.get_mut(&dialled) {
            *left = left.saturating_sub(count);
            if *left == 0 {
                self.pending.remove(&dialled);
            }
        }
    }

    /// Everything that happens to a leg, with what a hang-up changes.
    fn told(&self, leg: &Leg, repeat: u64) -> Vec<CallEvent> {
        let mut events = Plan::of(self.seed, &self.model, &leg.dial, repeat, leg.placed_at).events;
        let carrier_call_id = carrier_id(leg.dial.call, leg.placed_at);
        events.insert(
            0,
            CallEvent { at: leg.placed_at, kind: EventKind::Placed { carrier_call_id } },
        );
        let Some(hung_up_at) = leg.hung_up_at else { return events };
        let is_recorded =
            events.iter().any(|event| matches!(event.kind, EventKind::Recorded { .. }));
        events.retain(|event| event.at <= hung_up_at);
        let end = ended_at(&events, hung_up_at);
        if let EventKind::Ended { ending: Ending::Completed, talk_seconds } = end.kind
            && is_recorded
        {
            let reference = super::audio::reference(leg.dial.call, talk_seconds);
            let at = hung_up_at + TimeDelta::seconds(1);
            events.push(CallEvent { at, kind: EventKind::Recorded { reference } });
        }
        events.push(end);
        events
    }

    /// When a call must have been placed for one of its known events to happen when it did.
    fn placed_at_by_events(
        &self,
        dial: &SimDial,
        begun_at: DateTime<Utc>,
        known: &[CallEvent],
    ) -> Option<DateTime<Utc>> {
        let plan = Plan::of(self.seed, &self.model, dial, 0, begun_at);
        known.iter().find_map(|known| {
            let planned = plan.events.iter().find(|event| event.kind == known.kind)?;
            Some(begun_at + (known.at - planned.at))
        })
    }

    /// Call ids sort by the instant they were made, so the oldest calls stand first.
    fn forget(&mut self, now: DateTime<Utc>) {
        while let Some(entry) = self.legs.first_entry() {
            let old = entry.get().iter().all(|leg| leg.placed_at + MEMORY < now);
            if !old || self.pending.contains_key(entry.key()) {
                break;
            }
            entry.remove();
        }
        let is_old = |ring: &RingIn| ring.events.last().is_none_or(|event| event.at + MEMORY < now);
        while let Some(entry) = self.inbound.first_entry().filter(|entry| is_old(entry.get())) {
            entry.remove();
        }
    }
}

/// The end of a call that is cut off, after what happened to it so far.
fn ended_at(events: &[CallEvent], at: DateTime<Utc>) -> CallEvent {
    let answered = events.iter().find(|event| event.kind == EventKind::Answered);
    let (ending, talk_seconds) = answered.map_or((Ending::Canceled, 0), |answered| {
        (Ending::Completed, limit((at - answered.at).num_seconds()))
    });
    CallEvent { at, kind: EventKind::Ended { ending, talk_seconds } }
}

/// The carrier's id carries the instant of the dial, so that it can be rebuilt from the id.
fn carrier_id(call: CallId, at: DateTime<Utc>) -> String {
    format!("sim-{:x}-{}", at.timestamp_micros(), call.uuid().simple())
}

fn placed_at(carrier_call_id: &str) -> Option<DateTime<Utc>> {
    let (micros, _) = carrier_call_id.strip_prefix("sim-")?.split_once('-')?;
    DateTime::from_timestamp_micros(i64::from_str_radix(micros, 16).ok()?)
}

const fn is_end(event: &CallEvent) -> bool {
    matches!(event.kind, EventKind::Ended { .. })
}

fn seconds(count: u32) -> TimeDelta {
    TimeDelta::seconds(i64::from(count))
}

pub(super) fn limit(seconds: i64) -> u32 {
    u32::try_from(seconds).unwrap_or(0)
}
