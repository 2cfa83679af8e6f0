//! Everything there is in a run, and the scheduler that decides what goes on next.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;

use super::carrier::UnreliableCarrier;
use super::dice::Dice;
use super::evidence::opts_out;
use super::stage::{Stage, Troubles};
use super::store::FaultyStore;
use super::{Options, Stats};
use crate::actor::Actor;
use crate::call::{AgentResult, CallRef, EventKind, Report};
use crate::campaign::Transition;
use crate::desk::Desk;
use crate::driver::{Driver, Tick};
use crate::id::{CallId, CampaignId, ClientId, ImportId};
use crate::memory::MemoryStore;
use crate::opt_outs::{HeldOptOut, PendingOptOuts};
use crate::phone::PhoneNumber;
use crate::port::{ActError, By, CallQuery, Calls, Campaigns, Dispatch, StoreError};
use crate::time::SeededEntropy;

/// Two dispatchers are enough to disagree.
const DISPATCHERS: usize = 2;

/// More steps than any run takes that comes to rest.
const MAX_STEPS: u64 = 400_000;

/// How long after the trouble ended everything must have come to rest: candidate zones may have no
/// common window until a clock changes, hours are looked up 400 days ahead, and each of a client's
/// dials, five at most, may have to wait so long.
const REST: TimeDelta = TimeDelta::days(5 * 400 + 50);

/// Weeks before clocks change: in autumn in Lord Howe, Europe, Egypt and America, in spring in
/// America and Europe.
const STARTS: [&str; 5] = [
    "2026-09-29T08:00:00Z",
    "2026-10-20T05:00:00Z",
    "2026-10-27T12:00:00Z",
    "2027-03-08T20:00:00Z",
    "2027-03-22T01:00:00Z",
];

pub(super) struct World {
    pub(super) stage: Arc<Stage>,
    pub(super) inner: Arc<MemoryStore>,
    pub(super) store: Arc<FaultyStore>,
    pub(super) carrier: Arc<UnreliableCarrier>,
    pub(super) desk: Desk,
    /// The dispatchers are of one process, whose journal outlives them.
    pending: PendingOptOuts,
    pub(super) entropy: Arc<SeededEntropy>,
    pub(super) imports: BTreeMap<CampaignId, ImportId>,
    pub(super) options: Options,
    pub(super) acts_left: u32,
    dispatchers: Vec<Dispatcher>,
    tasks: Vec<Task>,
    agenda: BTreeMap<(DateTime<Utc>, u64), Item>,
    filed: u64,
    /// How many campaign seconds a second of the wall clock has.
    speed: i32,
    trouble_until: DateTime<Utc>,
    calm: bool,
}

struct Dispatcher {
    driver: Arc<Driver>,
    ticking: bool,
    sweeping: bool,
    next_tick: DateTime<Utc>,
    next_sweep: DateTime<Utc>,
    in_vain: u32,
}

/// Something that will happen.
pub(super) enum Item {
    /// The carrier tells something, the how-manieth time it tries.
    Post(Report, u32),
    /// A voice agent reports, the how-manieth time it tries.
    Result(CallId, AgentResult, u32),
    /// Somebody does something.
    Person,
    /// The carrier goes away, or comes back.
    Outage(bool),
    /// Somebody starts a campaign.
    Start(CampaignId),
    /// Somebody wants a number to be called now.
    Wish(PhoneNumber),
    /// Somebody resumes a campaign, should it be paused.
    Resume(CampaignId),
    SwitchOn(ClientId),
    /// Somebody lets dialling go on, should it be stopped.
    ResumeAll,
}

struct Task {
    who: Who,
    future: Pin<Box<dyn Future<Output = Done> + Send>>,
}

#[derive(Clone)]
enum Who {
    Tick(usize),
    Sweep(usize),
    Post(Report, u32),
    Agent(CallId, AgentResult, u32),
    Person,
}

pub(super) enum Done {
    Ticked(Result<Tick, StoreError>),
    Swept(Result<u32, StoreError>),
    Posted(bool),
    /// What somebody did, and whether it was done.
    Acted(&'static str, bool),
}

impl World {
    pub(super) fn new(mut dice: Dice, options: &Options) -> Self {
        let start = STARTS[dice.index(STARTS.len())].parse().unwrap_or_default();
        let speed = [1, 1, 20, 60][dice.index(4)];
        let entropy = Arc::new(SeededEntropy::new(dice.roll()));
        let stage = Arc::new(Stage::new(start, dice, options.whole_trace));
        let inner = Arc::new(MemoryStore::default());
        let store = Arc::new(FaultyStore::new(inner.clone(), stage.clone()));
        let carrier = Arc::new(UnreliableCarrier::new(stage.clone()));
        let desk = Desk::new(store.clone(), carrier.clone(), entropy.clone());
        let mut world = Self {
            stage,
            inner,
            store,
            carrier,
            desk,
            pending: PendingOptOuts::default(),
            entropy,
            imports: BTreeMap::new(),
            options: options.clone(),
            acts_left: options.acts,
            dispatchers: Vec::new(),
            tasks: Vec::new(),
            agenda: BTreeMap::new(),
            filed: 0,
            speed,
            trouble_until: start + TimeDelta::days(options.days.into()),
            calm: false,
        };
        world.dispatchers = (0..DISPATCHERS).map(|_| world.dispatcher(start)).collect();
        world.found();
        world.stage.lock().troubles = Troubles {
            store: options.failing_commits.into(),
            death: options.deaths.into(),
            carrier: options.carrier_trouble.into(),
        };
        world
    }

    /// Runs until everything has come to rest.
    pub(super) fn run(&mut self) -> Result<(), String> {
        for step in 0..MAX_STEPS {
            if let Some(broken) = self.stage.lock().judge.broken() {
                return Err(broken.clone());
            }
            self.stage.lock().stats.steps = step;
            for (at, report) in self.carrier.post() {
                self.file(at, Item::Post(report, 0));
            }
            for (at, call, result) in self.carrier.results() {
                self.file(at, Item::Result(call, result, 0));
            }
            let now = self.now();
            self.mend(now);
            if now >= self.trouble_until && !self.calm {
                self.end_trouble();
            }
            self.start_due(now);
            if !self.tasks.is_empty() {
                self.go_on()?;
            } else if self.calm && self.at_rest() {
                return Ok(());
            } else if now > self.trouble_until + REST {
                return Err(self.why_no_rest());
            } else {
                self.jump();
            }
        }
        Err(self.why_no_rest())
    }

    /// What a run comes to.
    pub(super) fn end(self, held: Result<(), String>) -> Result<Stats, (String, Vec<String>)> {
        let mut stage = self.stage.lock();
        match held {
            Ok(()) => Ok(stage.stats.clone()),
            Err(what) => Err((what, stage.tail())),
        }
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.stage.now()
    }

    pub(super) fn dice<T>(&self, roll: impl FnOnce(&mut Dice) -> T) -> T {
        roll(&mut self.stage.lock().dice)
    }

    pub(super) fn file(&mut self, at: DateTime<Utc>, item: Item) {
        self.filed += 1;
        self.agenda.insert((at, self.filed), item);
    }

    pub(super) fn start(&mut self, act: impl Future<Output = Done> + Send + 'static) {
        self.tasks.push(Task { who: Who::Person, future: Box::pin(act) });
    }

    /// Does something at once, before the run begins.
    pub(super) fn at_once<T>(&self, act: impl Future<Output = T>) -> T {
        let mut act = std::pin::pin!(act);
        loop {
            if let Poll::Ready(done) = act.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return done;
            }
        }
    }

    fn dispatcher(&self, from: DateTime<Utc>) -> Dispatcher {
        let driver = Driver::new(
            self.store.clone(),
            self.carrier.clone(),
            self.stage.clock.clone(),
            self.stage.wall.clone(),
        );
        let (batch, wait) = self.dice(|dice| (1 + dice.below(12), dice.between(0, 30_000)));
        let at = from + TimeDelta::milliseconds(wait);
        Dispatcher {
            driver: Arc::new(
                driver
                    .with_batch(u32::try_from(batch).unwrap_or(1))
                    .with_opt_outs(self.pending.clone()),
            ),
            ticking: false,
            sweeping: false,
            next_tick: at,
            next_sweep: at,
            in_vain: 0,
        }
    }

    fn start_due(&mut self, now: DateTime<Utc>) {
        for index in 0..self.dispatchers.len() {
            let dispatcher = &mut self.dispatchers[index];
            let driver = dispatcher.driver.clone();
            if !dispatcher.ticking && dispatcher.next_tick <= now {
                dispatcher.ticking = true;
                let driver = driver.clone();
                let future = Box::pin(async move { Done::Ticked(driver.tick().await) });
                self.tasks.push(Task { who: Who::Tick(index), future });
            }
            if !dispatcher.sweeping && dispatcher.next_sweep <= now {
                dispatcher.sweeping = true;
                let future = Box::pin(async move { Done::Swept(driver.sweep().await) });
                self.tasks.push(Task { who: Who::Sweep(index), future });
            }
        }
        while let Some(entry) = self.agenda.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let item = entry.remove();
            self.begin_item(item, now);
        }
    }

    fn begin_item(&mut self, item: Item, now: DateTime<Utc>) {
        match item {
            Item::Post(report, tries) => {
                if let CallRef::Ours(id) = report.call
                    && !self.carrier.stands_by(id, &report.event)
                {
                    return;
                }
                let (store, copy) = (self.store.clone(), report.clone());
                let (stage, pending) = (self.stage.clone(), self.pending.clone());
                // As webhooks do it: whoever opts out is held back from before the store is asked.
                let person = opts_out(&report.event.kind).then(|| self.phone_of(&report.call));
                // Rare moments that matter: the store is away just then.
                let away = person.is_some() && !self.calm && self.dice(|dice| dice.chance(700));
                if let Some(person) = person
                    && !self.calm
                {
                    self.storm(person);
                }
                let future = Box::pin(async move {
                    let by = By::new(&Actor::System, now);
                    let phone = person.flatten();
                    let _blocked = phone.map(|phone| pending.block(phone));
                    let stored =
                        !away && store.record(by, std::slice::from_ref(&copy)).await.is_ok();
                    if !stored && person.is_some() {
                        let kept = pending.keep(HeldOptOut { phone, reports: vec![copy] });
                        kept.expect("there is no journal");
                        let mut stage = stage.lock();
                        stage.stats.held_opt_outs += 1;
                        phone.into_iter().for_each(|phone| stage.judge.held(phone));
                    }
                    Done::Posted(stored)
                });
                self.tasks.push(Task { who: Who::Post(report, tries), future });
            }
            Item::Result(call, result, tries) => {
                let (store, copy) = (self.store.clone(), result.clone());
                let future = Box::pin(async move {
                    let by = By::new(&Actor::Agent, now);
                    let done = store.report_result(by, call, &copy).await;
                    Done::Posted(!matches!(done, Err(ActError::Store(_))))
                });
                self.tasks.push(Task { who: Who::Agent(call, result, tries), future });
            }
            Item::Person if !self.calm => self.meddle(),
            Item::Person => {}
            Item::Outage(away) => {
                self.stage.trace(format_args!("the carrier is away: {away}"));
                self.carrier.set_away(away && !self.calm);
            }
            Item::Start(id) => self.transition(id, Transition::Start, "start"),
            Item::Wish(phone) => self.wish(phone),
            Item::Resume(id) => self.transition(id, Transition::Resume, "resume"),
            Item::SwitchOn(id) => self.change_client(id, true),
            Item::ResumeAll => self.resume_all(),
        }
    }

    /// Who is at the other end of a call.
    fn phone_of(&self, call: &CallRef) -> Option<PhoneNumber> {
        match call {
            CallRef::Ours(id) => self.stage.lock().judge.calls.get(id).map(|call| call.phone),
            CallRef::Inbound(ring) => ring.from,
        }
    }

    /// One step of somebody, or of time.
    fn go_on(&mut self) -> Result<(), String> {
        let (troubled, dying) = (!self.calm, self.stage.lock().troubles.death);
        let ticks = self.tasks.iter().any(|task| matches!(task.who, Who::Tick(_)));
        let (roll, victim) = self.dice(|dice| (dice.below(1000), dice.index(self.tasks.len())));
        if troubled && roll < 3 {
            let wall = self.dice(|dice| dice.between(3_000, 90_000));
            self.stage.lock().stats.stalls += 1;
            self.stage.trace(format_args!("everything stands still for {wall} ms"));
            self.pass(TimeDelta::milliseconds(wall));
            return Ok(());
        }
        if roll < 130 {
            let wall = self.dice(|dice| dice.between(1, 250));
            self.pass(TimeDelta::milliseconds(wall));
            return Ok(());
        }
        if troubled && ticks && roll >= 985 {
            self.meddle();
            return if self.dice(|dice| dice.chance(100)) { self.recount() } else { Ok(()) };
        }
        if troubled && self.dice(|dice| dice.chance(dying)) {
            self.die(victim);
            return Ok(());
        }
        let task = &mut self.tasks[victim];
        let polled = task.future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        if let Poll::Ready(done) = polled {
            let who = self.tasks.swap_remove(victim).who;
            self.finish(who, done);
        }
        Ok(())
    }

    fn pass(&self, wall: TimeDelta) {
        self.stage.advance(wall * self.speed, wall);
    }

    /// Nobody has anything to do: on to the next instant at which somebody has.
    fn jump(&mut self) {
        let items = self.agenda.keys().next().map(|(at, _)| *at);
        let wakes = self.dispatchers.iter().flat_map(|it| [it.next_tick, it.next_sweep]);
        let Some(at) = items.into_iter().chain(wakes).min() else { return };
        let ahead = (at - self.now()).max(TimeDelta::zero());
        self.stage.advance(ahead, ahead / self.speed);
    }

    /// Somebody dies in the middle of something. A dispatcher starts again.
    fn die(&mut self, victim: usize) {
        let now = self.now();
        match self.tasks[victim].who.clone() {
            Who::Tick(index) | Who::Sweep(index) => {
                self.stage.trace(format_args!("dispatcher {index} dies"));
                self.stage.lock().stats.deaths += 1;
                let theirs =
                    |who: &Who| matches!(who, Who::Tick(it) | Who::Sweep(it) if *it == index);
                self.tasks.retain(|task| !theirs(&task.who));
                self.dispatchers[index] = self.dispatcher(now);
            }
            Who::Post(report, tries) => {
                self.tasks.swap_remove(victim);
                self.file(now + TimeDelta::seconds(20), Item::Post(report, tries + 1));
            }
            Who::Agent(call, result, tries) => {
                self.tasks.swap_remove(victim);
                self.file(now + TimeDelta::seconds(20), Item::Result(call, result, tries + 1));
            }
            Who::Person => {
                self.tasks.swap_remove(victim);
            }
        }
    }

    fn finish(&mut self, who: Who, done: Done) {
        let now = self.now();
        match (who, done) {
            (Who::Tick(index), Done::Ticked(ticked)) => self.ticked(index, ticked, now),
            (Who::Sweep(index), Done::Swept(swept)) => {
                let live = read(self.inner.live(1)).is_none_or(|calls| !calls.is_empty());
                let wait = self.dice(|dice| dice.between(60, 1800)) * if live { 1 } else { 10 };
                let dispatcher = &mut self.dispatchers[index];
                dispatcher.sweeping = false;
                let wait = match swept {
                    Ok(_) => wait,
                    // A storm lasts: it is not asked about every few seconds.
                    Err(_) if self.stage.refuses_opt_outs() => {
                        self.stage.lock().weather.between(60, 600)
                    }
                    Err(_) => 5,
                };
                self.dispatchers[index].next_sweep = now + TimeDelta::seconds(wait);
            }
            (Who::Post(report, tries), Done::Posted(false)) if tries < 5 => {
                let wait = self.dice(|dice| dice.between(1, 300));
                self.file(now + TimeDelta::seconds(wait), Item::Post(report, tries + 1));
            }
            (Who::Agent(call, result, tries), Done::Posted(false)) if tries < 5 => {
                let wait = self.dice(|dice| dice.between(1, 300));
                let again = Item::Result(call, result, tries + 1);
                self.file(now + TimeDelta::seconds(wait), again);
            }
            (Who::Post(report, _), _) => {
                if matches!(report.event.kind, EventKind::Ended { .. }) {
                    self.wake(now);
                }
            }
            (_, Done::Acted(what, done)) => {
                self.stage.trace(format_args!("somebody did {what}: {done}"));
                self.stage.lock().stats.acts += u64::from(done);
                self.wake(now);
            }
            _ => {}
        }
    }

    fn ticked(&mut self, index: usize, ticked: Result<Tick, StoreError>, now: DateTime<Utc>) {
        let (beat, idle) = self.dice(|dice| (dice.between(5, 400), dice.between(2400, 9000)));
        let beat = TimeDelta::milliseconds(beat) * self.speed;
        // Once nobody dies any more, nothing comes back unannounced.
        let idle = TimeDelta::seconds(if self.calm { 20 * idle } else { idle });
        let dispatcher = &mut self.dispatchers[index];
        dispatcher.ticking = false;
        let claimed = ticked.as_ref().map_or(0, |tick| tick.claimed);
        dispatcher.in_vain = if claimed > 0 { 0 } else { (dispatcher.in_vain + 1).min(12) };
        let patience = beat * (1 << dispatcher.in_vain);
        let next = match ticked {
            Ok(Tick { halted: None, next_due_at: Some(at), .. }) => at.max(now + patience),
            Ok(Tick { halted: None, .. }) => now + idle,
            Ok(_) | Err(_) => now + patience,
        };
        // A claim of somebody who died comes back unannounced.
        dispatcher.next_tick = next.min(now + idle);
        let look = now + TimeDelta::seconds(200);
        if claimed > 0 && dispatcher.next_sweep > look {
            dispatcher.next_sweep = look;
        }
    }

    fn wake(&mut self, now: DateTime<Utc>) {
        for dispatcher in &mut self.dispatchers {
            dispatcher.in_vain = 0;
            dispatcher.next_tick = dispatcher.next_tick.min(now);
        }
    }

    /// Somebody looks after campaigns that paused themselves.
    fn mend(&mut self, now: DateTime<Utc>) {
        let tripped = std::mem::take(&mut self.stage.lock().judge.tripped);
        for id in tripped {
            self.stage.lock().stats.tripped += 1;
            let minutes = self.dice(|dice| dice.between(1, 600));
            self.file(now + TimeDelta::minutes(minutes), Item::Resume(id));
        }
    }

    fn end_trouble(&mut self) {
        self.calm = true;
        self.carrier.set_away(false);
        let now = self.now();
        {
            let mut stage = self.stage.lock();
            stage.troubles = Troubles::default();
            stage.refuses_opt_outs_until = None;
            stage.trace(now, format_args!("all trouble ends"));
        }
        let campaigns: Vec<CampaignId> =
            self.stage.lock().judge.campaigns.keys().copied().collect();
        for id in campaigns {
            self.file(now + TimeDelta::hours(2), Item::Resume(id));
        }
        self.file(now + TimeDelta::hours(2), Item::ResumeAll);
    }

    fn why_no_rest(&self) -> String {
        let mut what = "it never comes to rest".to_owned();
        let query = CallQuery { limit: 1, ..CallQuery::default() };
        for view in read(self.inner.upcoming(&query)).into_iter().flat_map(|page| page.items) {
            let state = view.call.campaign.and_then(|id| read(self.inner.campaign(id)).flatten());
            let state = state.map(|view| view.campaign.state);
            let name = self.stage.lock().judge.name(view.call.id);
            let due_at = view.call.due_at;
            let status = view.call.status();
            what += &format!(", call {name} is {status}, due at {due_at}, its campaign {state:?}");
        }
        for call in read(self.inner.live(1)).unwrap_or_default() {
            let name = self.stage.lock().judge.name(call.call);
            what += &format!(", call {name} is live since {}", call.begun_at);
        }
        what
    }

    fn at_rest(&self) -> bool {
        let posts =
            self.agenda.values().any(|item| !matches!(item, Item::Person | Item::Outage(_)));
        let query = CallQuery { limit: 1, ..CallQuery::default() };
        let waiting = read(self.inner.upcoming(&query)).is_none_or(|page| !page.items.is_empty());
        let live = read(self.inner.live(1)).is_none_or(|calls| !calls.is_empty());
        let tests: Vec<CallId> = self.stage.lock().judge.tests.iter().copied().collect();
        let over = |id| {
            let view = read(self.inner.call(id)).flatten();
            view.is_some_and(|view| view.call.ended_at().is_some())
        };
        !posts && !waiting && !live && self.pending.is_empty() && tests.into_iter().all(over)
    }
}

/// What the store says, apart from all trouble: a memory never keeps anybody waiting.
pub(super) fn read<T, E>(ask: impl Future<Output = Result<T, E>>) -> Option<T> {
    ask.now_or_never().and_then(Result::ok)
}
