//! The life of one dial, worked out when it is placed: a function of seed, call and dial alone.

use chrono::{DateTime, TimeDelta, Utc};

use super::agent;
use super::dial::{AgentPost, SimDial, SimInbound};
use super::dice::Dice;
use super::model::{Fate, SimModel};
use crate::call::{
    AnsweredBy, CallEvent, CallRef, Ending, EventKind, InboundRing, Report, Speaker,
};
use crate::id::CallId;
use crate::script::KeyAction;
use crate::script::phrases::{Phrase, phrase};
use crate::time::SeededEntropy;

/// Characters a voice says in a second.
const PACE: u32 = 15;

const GREETINGS: [&str; 5] =
    ["Hello?", "Yes, hello?", "Hi, who's calling?", "Speaking.", "Good day, hello."];
const ANSWERS: [&str; 10] = [
    "Okay.",
    "Yes, that's right.",
    "I see.",
    "Could you say that again?",
    "Sure, go on.",
    "Thanks for letting me know.",
    "That works for me.",
    "I was wondering about that.",
    "Let me write that down.",
    "All right, thank you.",
];
const MACHINES: [&str; 3] = [
    "You've reached my voicemail. Please leave a message after the tone.",
    "Sorry I missed you. Leave your name and number and I'll call you back.",
    "The person you are calling is not available. Please leave a message after the tone.",
];
const CALL_BACKS: [&str; 3] = [
    "Hi, I have a missed call from this number.",
    "Hello, somebody rang me earlier?",
    "I'm returning your call.",
];
const MESSAGES: [&str; 3] = [
    "Please call me again, I am at home in the evening.",
    "It's about the call I missed. You can reach me on this number all day.",
    "Hello, I would like to talk to somebody about it. Thank you, goodbye.",
];

/// The chances of what came later than the first scripts are rolled apart: calls without it stay
/// what they were under a seed.
const EXTRAS: u64 = 2;

/// A dial's events in the order they happen, those of the ring back it may cause, and what its
/// voice agent reports.
pub(super) struct Plan {
    pub(super) events: Vec<CallEvent>,
    pub(super) call_back: Vec<Report>,
    pub(super) post: Option<(DateTime<Utc>, AgentPost)>,
    pub(super) post_twice: bool,
}

impl Plan {
    /// Works out what becomes of a dial placed at an instant. `repeat` counts the dials of this
    /// call id before it.
    pub(super) fn of(
        seed: u64,
        model: &SimModel,
        dial: &SimDial,
        repeat: u64,
        at: DateTime<Utc>,
    ) -> Self {
        let mut dice = Dice::new(seed, dial.call, repeat << 8);
        let rolled = model.endings.at(dice.below(model.endings.total()));
        let fate = model.scripted_fate(dial.to, dial.attempt).unwrap_or(rolled);
        let extras = Dice::new(seed, dial.call, (repeat << 8) | EXTRAS);
        let events = Vec::new();
        let mut life = Life { model, dial, dice, extras, events, placed_at: at, post: None };
        let ended = life.live(fate);
        let Life { mut events, mut dice, mut extras, post, .. } = life;
        events.retain(|event| is_kept(dial, &event.kind));
        // Stable: what happens in one second stays in the order it was told.
        events.sort_by_key(|event| event.at);
        let missed = matches!(fate, Fate::NoAnswer | Fate::Voicemail);
        let rings_back = dice.hit(model.call_back) && missed;
        let after = dice.spread(model.call_back_seconds);
        let call_back = if rings_back {
            let at = at + seconds(ended.saturating_add(after));
            let caller = Caller::of(model, dial, &mut extras);
            let mut told = call_back(dial, at, &mut dice, caller);
            // A message is recorded whether calls are or not.
            let is_message = |kind: &EventKind| matches!(kind, EventKind::Recorded { .. });
            told.retain(|Report { event: CallEvent { kind, .. }, .. }| {
                is_message(kind) || is_kept(dial, kind)
            });
            told
        } else {
            Vec::new()
        };
        let post_twice = extras.hit(model.mischief.twice);
        Self { events, call_back, post, post_twice }
    }
}

/// Whether the carrier tells an event: what was said and heard only where the campaign wants it. Left
/// out at the end, so that the rest of a call is the same under a seed.
const fn is_kept(dial: &SimDial, kind: &EventKind) -> bool {
    match kind {
        EventKind::Line { .. } | EventKind::Said { .. } => dial.transcribed,
        EventKind::Recorded { .. } => dial.recorded,
        _ => true,
    }
}

struct Life<'a> {
    model: &'a SimModel,
    dial: &'a SimDial,
    dice: Dice,
    extras: Dice,
    events: Vec<CallEvent>,
    placed_at: DateTime<Utc>,
    /// What the voice agent reports, and when.
    post: Option<(DateTime<Utc>, AgentPost)>,
}

/// What pressing a key does to the rest of a call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pressed {
    Tag,
    Transfer,
    OptOut,
}

impl Life<'_> {
    /// Tells the whole life; returns the second in which the call ends.
    fn live(&mut self, fate: Fate) -> u32 {
        let setup = self.dice.spread(self.model.setup_seconds);
        let failed =
            |reason: &str, permanent| Ending::Failed { reason: reason.to_owned(), permanent };
        match fate {
            Fate::Busy => self.end(setup, Ending::Busy, 0),
            Fate::Failed => self.end(setup, failed("network_error", false), 0),
            Fate::Unreachable => self.end(setup, failed("not_in_service", true), 0),
            Fate::NoAnswer => {
                self.tell(setup, EventKind::Ringing);
                let rings = self.dice.spread(self.model.unanswered_seconds);
                self.end(setup + rings.min(self.dial.ring_limit_seconds), Ending::NoAnswer, 0)
            }
            Fate::Person | Fate::Voicemail => {
                self.tell(setup, EventKind::Ringing);
                let rings = self.dice.spread(self.model.ring_seconds);
                let answered = setup + rings.min(self.dial.ring_limit_seconds);
                self.tell(answered, EventKind::Answered);
                self.answered(answered, fate == Fate::Person)
            }
        }
    }

    fn answered(&mut self, answered: u32, person: bool) -> u32 {
        let verdict_at = self.dice.spread(self.model.verdict_seconds);
        let wrong = self.dice.hit(self.model.verdict_wrong);
        let late = self.dice.hit(self.model.verdict_late);
        let late_by = 1 + self.dice.below(30);
        let verdict = if person == wrong { AnsweredBy::Machine } else { AnsweredBy::Human };
        let mut talk = if verdict == AnsweredBy::Machine && !late {
            self.leave_message(answered, person, verdict_at)
        } else if person {
            self.with_person(answered)
        } else {
            self.play_to_machine(answered)
        };
        // An instant model has no time for a message.
        let longest = self.model.talk_seconds.to.max(verdict_at);
        talk = talk.min(longest).min(self.dial.talk_limit_seconds);
        self.forget_after(answered + talk);
        self.agent_reports(answered, talk);
        let verdict_after = if late { talk + late_by } else { verdict_at.min(talk) };
        self.tell(answered + verdict_after, EventKind::Detected { by: verdict });
        let ended = self.end(answered + talk, Ending::Completed, talk);
        if person {
            let delay = self.dice.spread(self.model.setup_seconds);
            let reference = super::audio::reference(self.dial.call, talk);
            self.tell(ended + delay, EventKind::Recorded { reference });
        }
        ended
    }

    /// Detection says machine in time: the campaign leaves its message or hangs up.
    fn leave_message(&mut self, answered: u32, person: bool, verdict_at: u32) -> u32 {
        let greeting = self.dice.pick(if person { &GREETINGS } else { &MACHINES[..] }).copied();
        self.say(answered, 0, 0, Speaker::Client, greeting.unwrap_or_default());
        let Some(message) = self.dial.voicemail_message.clone() else { return verdict_at };
        let starts = verdict_at + 1;
        self.say(answered, 1, starts, Speaker::Agent, &message);
        starts + spoken_seconds(&message)
    }

    /// Detection took the machine for a person, or said nothing in time: it hears the script.
    fn play_to_machine(&mut self, answered: u32) -> u32 {
        let greeting = self.dice.pick(&MACHINES).copied().unwrap_or_default();
        self.say(answered, 0, 0, Speaker::Client, greeting);
        let mut offset = 0;
        for (index, line) in (1..).zip(&self.dial.lines) {
            self.say(answered, index, offset, Speaker::Agent, line);
            offset += spoken_seconds(line);
        }
        self.hand_over(answered, offset);
        offset
    }

    /// The script ends with a transfer.
    fn hand_over(&mut self, answered: u32, offset: u32) {
        if self.dial.transfer.is_some() {
            self.tell(answered.saturating_add(offset), EventKind::Transferred);
        }
    }

    fn with_person(&mut self, answered: u32) -> u32 {
        let mut stays = self.dice.spread(self.model.talk_seconds);
        let pressed = self.key();
        let pressed_at = stays * 2 / 3;
        // Whoever is handed on or opts out no longer hears the script.
        let mut heard_until = u32::MAX;
        if let Some((digit, pressed)) = pressed {
            self.tell(answered + pressed_at, EventKind::Key { digit, press: 0 });
            match pressed {
                Pressed::Tag => {}
                Pressed::OptOut => {
                    stays = stays.min(pressed_at + 3);
                    heard_until = pressed_at;
                }
                Pressed::Transfer => {
                    self.tell(answered + pressed_at, EventKind::Transferred);
                    heard_until = pressed_at;
                }
            }
        }
        let greeting = self.dice.pick(&GREETINGS).copied().unwrap_or_default();
        self.say(answered, 0, 0, Speaker::Client, greeting);
        let mut offset = 1;
        for (turn, line) in (0..).zip(&self.dial.lines) {
            let answer = self.dice.pick(&ANSWERS).copied().unwrap_or_default();
            if offset <= heard_until {
                self.say(answered, 1 + 2 * turn, offset, Speaker::Agent, line);
                offset += spoken_seconds(line);
                self.say(answered, 2 + 2 * turn, offset, Speaker::Client, answer);
                offset += spoken_seconds(answer);
            }
        }
        // Before an agent takes over, as behind the last step: it is said to whoever is still there.
        let mut next = 1 + 2 * u32::try_from(self.dial.lines.len()).unwrap_or(0);
        if let Some(announcement) = self.dial.announcement.clone()
            && offset <= heard_until
        {
            self.say(answered, next, offset, Speaker::Agent, &announcement);
            offset += spoken_seconds(&announcement);
            next += 1;
        }
        if matches!(pressed, Some((_, Pressed::OptOut))) {
            let confirmed = phrase(Phrase::OptedOut, &self.dial.language).text;
            self.say(answered, next, pressed_at + 1, Speaker::Agent, &confirmed);
        }
        let tags_or_nothing = matches!(pressed, None | Some((_, Pressed::Tag)));
        if self.dial.transfer.is_some() && tags_or_nothing {
            self.hand_over(answered, offset);
            stays = stays.max(offset + 1);
        }
        if self.dial.agent.is_some() && !matches!(pressed, Some((_, Pressed::Transfer))) {
            let talk = agent::conversation(&mut self.extras, self.model.opt_out, offset);
            stays = if pressed.is_some_and(|(_, pressed)| pressed == Pressed::OptOut) {
                stays
            } else {
                stays.max(talk.seconds)
            };
            let (call, token) = (self.dial.call, self.dial.agent.as_ref());
            let token = token.and_then(|agent| agent.token.clone());
            let post = AgentPost { call, token, result: talk.result };
            self.post = Some((self.placed_at, post));
        }
        stays
    }

    /// The agent reports what it heard until the call ended; nothing if the call did not come to it.
    fn agent_reports(&mut self, answered: u32, talk: u32) {
        let Some((_, post)) = &mut self.post else { return };
        if !agent::cut(&mut post.result, talk) {
            self.post = None;
            return;
        }
        let wraps_up = 1 + self.extras.below(5);
        let at = self.placed_at + seconds((answered + talk).saturating_add(wraps_up));
        self.post = self.post.take().map(|(_, post)| (at, post));
    }

    /// The key the person presses, and what it does. Rolls the same whatever the script.
    fn key(&mut self) -> Option<(char, Pressed)> {
        let (opts_out, tags) =
            (self.dice.hit(self.model.opt_out), self.dice.hit(self.model.key_press));
        let which = self.dice.roll();
        let keys = |wanted: fn(&KeyAction) -> bool| -> Vec<char> {
            let keys = self.dial.keys.iter().filter(|(_, action)| wanted(action));
            keys.map(|(key, _)| key.digit()).collect()
        };
        let pick = |keys: &[char]| {
            let place = usize::try_from(which % keys.len().max(1) as u64).ok()?;
            keys.get(place).copied()
        };
        if opts_out {
            let key = pick(&keys(|action| *action == KeyAction::OptOut));
            return key.map(|key| (key, Pressed::OptOut));
        }
        let transfers = keys(|action| matches!(action, KeyAction::Transfer(_)));
        if !transfers.is_empty() && self.extras.hit(self.model.transfer) {
            return pick(&transfers).map(|key| (key, Pressed::Transfer));
        }
        let tagging = keys(|action| matches!(action, KeyAction::Tag(_)));
        pick(&tagging).filter(|_| tags).map(|key| (key, Pressed::Tag))
    }

    fn say(&mut self, answered: u32, index: u32, offset: u32, speaker: Speaker, text: &str) {
        let text = text.to_owned();
        let kind = EventKind::Line { index, speaker, offset_seconds: offset, text };
        self.tell(answered.saturating_add(offset), kind);
    }

    /// Whoever hung up heard and pressed nothing after that.
    fn forget_after(&mut self, second: u32) {
        let end = self.placed_at + seconds(second);
        self.events.retain(|event| event.at <= end);
    }

    fn end(&mut self, second: u32, ending: Ending, talk_seconds: u32) -> u32 {
        self.tell(second, EventKind::Ended { ending, talk_seconds });
        second
    }

    fn tell(&mut self, second: u32, kind: EventKind) {
        self.events.push(CallEvent { at: self.placed_at + seconds(second), kind });
    }
}

/// What somebody does who calls back.
struct Caller {
    /// The key they press, if the campaign has a script for callers.
    pressed: Option<char>,
    /// Whether that key opts out.
    opts_out: bool,
    /// The message they leave, if they are asked for one: its words, and for how long.
    message: Option<(&'static str, u32)>,
}

impl Caller {
    fn of(model: &SimModel, dial: &SimDial, extras: &mut Dice) -> Self {
        let (opts_out, tags) = (extras.hit(model.opt_out), extras.hit(model.key_press));
        let Some(inbound) = &dial.inbound else {
            return Self { pressed: None, opts_out: false, message: None };
        };
        let mut wanted = inbound.keys.iter().filter(|(_, action)| match action {
            KeyAction::OptOut => opts_out,
            KeyAction::Tag(_) => tags && !opts_out,
            KeyAction::Transfer(_) => false,
        });
        let pressed = wanted.next().map(|(key, _)| key.digit());
        let opts_out = opts_out && pressed.is_some();
        let message = inbound.record.and_then(|record| {
            let leaves = extras.hit(model.leave_message);
            let words = extras.pick(&MESSAGES).copied().unwrap_or_default();
            let seconds = spoken_seconds(words).min(record.max_seconds);
            leaves.then_some((words, seconds))
        });
        Self { pressed, opts_out, message }
    }
}

fn call_back(dial: &SimDial, at: DateTime<Utc>, dice: &mut Dice, caller: Caller) -> Vec<Report> {
    let new_id = CallId::new(at, &SeededEntropy::new(dice.roll()));
    let carrier_call_id = format!("sim-in-{}", new_id.uuid().simple());
    let ring = InboundRing { carrier_call_id, from: Some(dial.to), new_id };
    let talk = 8 + dice.below(40);
    let asks = dice.pick(&CALL_BACKS).copied().unwrap_or_default();
    let told = match &dial.inbound {
        Some(inbound) => script_for_caller(inbound, new_id, talk, asks, &caller),
        None => talk_with_caller(talk, asks, &phrase(Phrase::CalledBack, &dial.language).text),
    };
    told.into_iter()
        .map(|(second, kind)| Report {
            call: CallRef::Inbound(ring.clone()),
            event: CallEvent { at: at + seconds(second), kind },
        })
        .collect()
}

/// What is told of a call that rings in, up to a second of it.
struct Told {
    events: Vec<(u32, EventKind)>,
    /// Seconds since it was answered.
    offset: u32,
    /// Lines so far.
    lines: u32,
}

impl Told {
    /// When a call that rings in is answered.
    const ANSWERED: u32 = 2;

    fn tell(&mut self, kind: EventKind) {
        self.events.push((Self::ANSWERED + self.offset, kind));
    }

    fn say(&mut self, speaker: Speaker, text: &str) {
        self.tell(line(self.lines, speaker, self.offset, text));
        self.lines += 1;
        self.offset += spoken_seconds(text);
    }

    fn end(mut self, talk_seconds: u32) -> Vec<(u32, EventKind)> {
        self.offset = talk_seconds;
        self.tell(EventKind::Ended { ending: Ending::Completed, talk_seconds });
        self.events
    }
}

/// Somebody calls back and hears the campaign's script for callers.
fn script_for_caller(
    inbound: &SimInbound,
    call: CallId,
    talk: u32,
    asks: &str,
    caller: &Caller,
) -> Vec<(u32, EventKind)> {
    let events = vec![(0, EventKind::Ringing), (Told::ANSWERED, EventKind::Answered)];
    let mut told = Told { events, offset: 0, lines: 0 };
    told.say(Speaker::Client, asks);
    let all = inbound.lines.len();
    let beep = inbound.record.map_or(all, |record| record.after_lines.min(all));
    let (before, after) = inbound.lines.split_at(beep);
    before.iter().for_each(|text| told.say(Speaker::Agent, text));
    if inbound.record.is_some() {
        let Some((words, seconds)) = caller.message else {
            // Whoever wants to leave none hangs up at the beep.
            let talk_seconds = told.offset + 1;
            return told.end(talk_seconds);
        };
        let begun = told.offset;
        told.say(Speaker::Client, words);
        told.offset = begun + seconds;
        told.tell(EventKind::Recorded { reference: super::audio::reference(call, seconds) });
    }
    after.iter().for_each(|text| told.say(Speaker::Agent, text));
    if let Some(digit) = caller.pressed {
        told.tell(EventKind::Key { digit, press: 0 });
    }
    if inbound.transfer.is_some() && !caller.opts_out {
        told.tell(EventKind::Transferred);
    }
    let talk_seconds = talk.max(told.offset + 1);
    told.end(talk_seconds)
}

/// Somebody calls back a campaign that has no script for callers.
fn talk_with_caller(talk: u32, asks: &str, thanks: &str) -> Vec<(u32, EventKind)> {
    let heard = spoken_seconds(asks);
    let talk = talk.max(heard + spoken_seconds(thanks));
    vec![
        (0, EventKind::Ringing),
        (2, EventKind::Answered),
        (2, line(0, Speaker::Client, 0, asks)),
        (2 + heard, line(1, Speaker::Agent, heard, thanks)),
        (2 + talk, EventKind::Ended { ending: Ending::Completed, talk_seconds: talk }),
    ]
}

fn line(index: u32, speaker: Speaker, offset_seconds: u32, text: &str) -> EventKind {
    EventKind::Line { index, speaker, offset_seconds, text: text.to_owned() }
}

pub(super) fn spoken_seconds(text: &str) -> u32 {
    1 + u32::try_from(text.chars().count()).unwrap_or(u32::MAX) / PACE
}

fn seconds(count: u32) -> TimeDelta {
    TimeDelta::seconds(i64::from(count))
}
