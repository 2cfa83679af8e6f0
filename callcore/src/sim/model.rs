//! How the simulated world behaves.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::phone::PhoneNumber;

/// How people, machines and lines behave. Chances are in thousandths, times in seconds of the
/// campaign clock; what is longer than a week counts as a week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimModel {
    /// How dials end.
    pub endings: Endings,
    /// From the dial to the first ring, to the busy tone, or to the failure.
    pub setup_seconds: Spread,
    /// From the first ring to the answer; never past the ring limit.
    pub ring_seconds: Spread,
    /// How long it rings where nobody comes; never past the ring limit.
    pub unanswered_seconds: Spread,
    /// How long a person stays on the line; never past the talk limit.
    pub talk_seconds: Spread,
    /// From the answer to the verdict on what answered.
    pub verdict_seconds: Spread,
    /// How often the verdict takes a person for a machine, or a machine for a person.
    pub verdict_wrong: u32,
    /// How often the verdict comes after the call's end.
    pub verdict_late: u32,
    /// How often a person presses a key that puts on a tag, if the script has one.
    pub key_press: u32,
    /// How often a person presses the key that opts out, if the script has one.
    pub opt_out: u32,
    /// How often a person presses the key that hands the call on, if the script has one.
    pub transfer: u32,
    /// How often somebody who missed a call rings back.
    pub call_back: u32,
    /// How long after the missed call.
    pub call_back_seconds: Spread,
    /// How often whoever calls in leaves a message, if the script asks for one; the others hang up.
    pub leave_message: u32,
    /// What goes wrong between an event and its delivery.
    pub mischief: Mischief,
    /// Numbers whose dials end as written, by attempt; the last one stands for all that follow.
    pub scripted: BTreeMap<PhoneNumber, Vec<Fate>>,
}

/// How dials end, as weights: only their ratio counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Endings {
    /// A person answers.
    pub person: u16,
    /// A voicemail answers.
    pub voicemail: u16,
    /// The line is busy.
    pub busy: u16,
    /// It rings and nobody comes.
    pub no_answer: u16,
    /// It can't be connected this time.
    pub failed: u16,
    /// The number is out of service.
    pub unreachable: u16,
}

/// How one dial ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// A person answers.
    Person,
    /// A voicemail answers.
    Voicemail,
    /// The line is busy.
    Busy,
    /// It rings and nobody comes.
    NoAnswer,
    /// It can't be connected this time.
    Failed,
    /// The number is out of service.
    Unreachable,
}

/// What goes wrong between an event and its delivery. No event is lost unless a test wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mischief {
    /// What a delivery takes when all is well.
    pub latency_seconds: Spread,
    /// How often a delivery is late.
    pub late: u32,
    /// By how much.
    pub late_seconds: Spread,
    /// How often an event is delivered twice.
    pub twice: u32,
    /// How often an event is delivered after the one that followed it.
    pub out_of_order: u32,
    /// How often an event is never delivered; asking for the call still tells.
    pub lost: u32,
}

/// Numbers from one end to the other, both included; the middle comes most often. In JSON it is
/// `[from, to]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "[u32; 2]", into = "[u32; 2]")]
pub struct Spread {
    /// The least.
    pub from: u32,
    /// The most; less than `from` counts as `from`.
    pub to: u32,
}

impl Spread {
    /// Numbers from `from` to `to`.
    #[must_use]
    pub const fn new(from: u32, to: u32) -> Self {
        Self { from, to }
    }

    const ZERO: Self = Self::new(0, 0);
}

impl From<[u32; 2]> for Spread {
    fn from([from, to]: [u32; 2]) -> Self {
        Self { from, to }
    }
}

impl From<Spread> for [u32; 2] {
    fn from(spread: Spread) -> Self {
        [spread.from, spread.to]
    }
}

impl Default for SimModel {
    fn default() -> Self {
        Self {
            endings: Endings::default(),
            setup_seconds: Spread::new(1, 3),
            ring_seconds: Spread::new(2, 22),
            unanswered_seconds: Spread::new(25, 60),
            talk_seconds: Spread::new(15, 110),
            verdict_seconds: Spread::new(2, 5),
            verdict_wrong: 20,
            verdict_late: 15,
            key_press: 400,
            opt_out: 15,
            transfer: 150,
            call_back: 60,
            call_back_seconds: Spread::new(120, 5_400),
            leave_message: 800,
            mischief: Mischief::default(),
            scripted: BTreeMap::new(),
        }
    }
}

impl Default for Endings {
    fn default() -> Self {
        Self { person: 450, voicemail: 220, busy: 80, no_answer: 200, failed: 35, unreachable: 15 }
    }
}

impl Default for Mischief {
    fn default() -> Self {
        Self {
            latency_seconds: Spread::new(0, 1),
            late: 30,
            late_seconds: Spread::new(5, 120),
            twice: 30,
            out_of_order: 30,
            lost: 0,
        }
    }
}

impl Mischief {
    /// Every event is delivered once, at once and in order.
    pub const NONE: Self = Self {
        latency_seconds: Spread::ZERO,
        late: 0,
        late_seconds: Spread::ZERO,
        twice: 0,
        out_of_order: 0,
        lost: 0,
    };
}

impl SimModel {
    /// The default endings, but a whole call takes no time: for measuring everything else.
    #[must_use]
    pub fn instant() -> Self {
        Self {
            setup_seconds: Spread::ZERO,
            ring_seconds: Spread::ZERO,
            unanswered_seconds: Spread::ZERO,
            talk_seconds: Spread::ZERO,
            verdict_seconds: Spread::ZERO,
            call_back: 0,
            mischief: Mischief::NONE,
            ..Self::default()
        }
    }

    /// The model with a number whose dials end as written, by attempt.
    #[must_use]
    pub fn with_fates(mut self, number: PhoneNumber, fates: &[Fate]) -> Self {
        self.scripted.insert(number, fates.to_vec());
        self
    }

    /// How a dial was decided to end, if it was.
    pub(super) fn scripted_fate(&self, number: PhoneNumber, attempt: u32) -> Option<Fate> {
        let fates = self.scripted.get(&number)?;
        let place = (attempt.max(1) as usize - 1).min(fates.len().checked_sub(1)?);
        fates.get(place).copied()
    }
}

impl Endings {
    /// The ending at a place on the scale of all weights.
    pub(super) fn at(self, place: u32) -> Fate {
        let mut end = 0;
        for (weight, fate) in self.weights() {
            end += u32::from(weight);
            if place < end {
                return fate;
            }
        }
        Fate::Person
    }

    /// All weights together.
    pub(super) fn total(self) -> u32 {
        self.weights().iter().map(|(weight, _)| u32::from(*weight)).sum()
    }

    const fn weights(self) -> [(u16, Fate); 6] {
        [
            (self.person, Fate::Person),
            (self.voicemail, Fate::Voicemail),
            (self.busy, Fate::Busy),
            (self.no_answer, Fate::NoAnswer),
            (self.failed, Fate::Failed),
            (self.unreachable, Fate::Unreachable),
        ]
    }
}
