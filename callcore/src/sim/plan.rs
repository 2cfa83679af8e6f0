//! The life of one dial, worked out when it is placed: a function of seed, call and dial alone.

use chrono::{DateTime, TimeDelta, Utc};

use super::carrier::SimDial;
use super::dice::Dice;
use super::model::{Fate, SimModel};
use crate::call::{
    AnsweredBy, CallEvent, CallRef, Ending, EventKind, InboundRing, Report, Speaker,
};
use crate::id::CallId;
use crate::script::KeyAction;
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

/// A dial's events in the order they happen, and those of the ring back it may cause.
pub(super) struct Plan {
    pub(super) events: Vec<CallEvent>,
    pub(super) call_back: Vec<Report>,
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
        let mut life = Life { model, dial, dice, events: Vec::new(), placed_at: at };
        let ended = life.live(fate);
        let Life { mut events, mut dice, .. } = life;
        // Stable: what happens in one second stays in the order it was told.
        events.sort_by_key(|event| event.at);
        let missed = matches!(fate, Fate::NoAnswer | Fate::Voicemail);
        let rings_back = dice.hit(model.call_back) && missed;
        let after = dice.spread(model.call_back_seconds);
        let call_back = if rings_back {
            call_back(dial, at + seconds(ended.saturating_add(after)), &mut dice)
        } else {
            Vec::new()
        };
        Self { events, call_back }
    }
}

struct Life<'a> {
    model: &'a SimModel,
    dial: &'a SimDial,
    dice: Dice,
    events: Vec<CallEvent>,
    placed_at: DateTime<Utc>,
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
        offset
    }

    fn with_person(&mut self, answered: u32) -> u32 {
        let mut stays = self.dice.spread(self.model.talk_seconds);
        let pressed = self.key();
        let pressed_at = stays * 2 / 3;
        if let Some((digit, opts_out)) = pressed {
            self.tell(answered + pressed_at, EventKind::Key { digit, press: 0 });
            if opts_out {
                stays = stays.min(pressed_at + 3);
            }
        }
        let greeting = self.dice.pick(&GREETINGS).copied().unwrap_or_default();
        self.say(answered, 0, 0, Speaker::Client, greeting);
        let mut offset = 1;
        for (turn, line) in (0..).zip(&self.dial.lines) {
            self.say(answered, 1 + 2 * turn, offset, Speaker::Agent, line);
            offset += spoken_seconds(line);
            let answer = self.dice.pick(&ANSWERS).copied().unwrap_or_default();
            self.say(answered, 2 + 2 * turn, offset, Speaker::Client, answer);
            offset += spoken_seconds(answer);
        }
        stays
    }

    /// The key the person presses, and whether it opts out. Rolls the same whatever the script.
    fn key(&mut self) -> Option<(char, bool)> {
        let (opts_out, tags) =
            (self.dice.hit(self.model.opt_out), self.dice.hit(self.model.key_press));
        let which = self.dice.roll();
        let wanted: Vec<char> = self
            .dial
            .keys
            .iter()
            .filter(|(_, action)| match action {
                KeyAction::OptOut => opts_out,
                KeyAction::Tag(_) => tags && !opts_out,
                KeyAction::Transfer(_) => false,
            })
            .filter_map(|(key, _)| String::from(*key).chars().next())
            .collect();
        let place = usize::try_from(which % wanted.len().max(1) as u64).ok()?;
        wanted.get(place).map(|digit| (*digit, opts_out))
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

fn call_back(dial: &SimDial, at: DateTime<Utc>, dice: &mut Dice) -> Vec<Report> {
    let new_id = CallId::new(at, &SeededEntropy::new(dice.roll()));
    let carrier_call_id = format!("sim-in-{}", new_id.uuid().simple());
    let ring = InboundRing { carrier_call_id, from: Some(dial.to), new_id };
    let talk = 8 + dice.below(40);
    let line = |index, speaker, offset_seconds, text: &str| EventKind::Line {
        index,
        speaker,
        offset_seconds,
        text: text.to_owned(),
    };
    let asks = dice.pick(&CALL_BACKS).copied().unwrap_or_default();
    let thanks = dice.pick(&ANSWERS).copied().unwrap_or_default();
    let told = [
        (0, EventKind::Ringing),
        (2, EventKind::Answered),
        (2, line(0, Speaker::Agent, 0, "Hello, thank you for calling back.")),
        (4, line(1, Speaker::Client, 2, asks)),
        (2 + talk.min(7), line(2, Speaker::Agent, talk.min(7), "We will call you again.")),
        (2 + talk, line(3, Speaker::Client, talk, thanks)),
        (2 + talk, EventKind::Ended { ending: Ending::Completed, talk_seconds: talk }),
    ];
    told.into_iter()
        .map(|(second, kind)| Report {
            call: CallRef::Inbound(ring.clone()),
            event: CallEvent { at: at + seconds(second), kind },
        })
        .collect()
}

fn spoken_seconds(text: &str) -> u32 {
    1 + u32::try_from(text.chars().count()).unwrap_or(u32::MAX) / PACE
}

fn seconds(count: u32) -> TimeDelta {
    TimeDelta::seconds(i64::from(count))
}
