//! The simulated voice agent: what it talks about, and what it reports.

use std::collections::BTreeSet;

use super::dice::Dice;
use super::plan::spoken_seconds;
use crate::call::{AgentResult, Speaker, Utterance, When};

const QUESTIONS: [&str; 5] = [
    "Do you have a minute to go over it?",
    "Is everything still as we have it on file?",
    "Would you like us to send you the details?",
    "Shall we put you down for another year?",
    "Is there anything that changed since last time?",
];
const REPLIES: [&str; 5] = [
    "Yes, go ahead.",
    "Let me think about it.",
    "I would rather talk about it next week.",
    "Sounds good to me.",
    "What would that cost me?",
];
const VERDICTS: [&str; 3] = ["interested", "callback", "not-interested"];
const FAREWELL: &str = "Thank you, goodbye.";
const STOP: &str = "Please don't call me again.";

/// A conversation, and the second in which it is over.
pub(super) struct Conversation {
    pub(super) result: AgentResult,
    pub(super) seconds: u32,
}

/// Rolls what is talked about from a second of the call on. `opt_out` is how often in a thousand
/// the person asks not to be called again.
pub(super) fn conversation(dice: &mut Dice, opt_out: u32, from: u32) -> Conversation {
    let (mut offset, mut transcript) = (from, Vec::new());
    let mut say = |speaker, text: &str| {
        let when = When::Offset(offset);
        transcript.push(Utterance { speaker, when, text: text.to_owned() });
        offset += spoken_seconds(text);
    };
    for _ in 0..=dice.below(3) {
        say(Speaker::Agent, dice.pick(&QUESTIONS).copied().unwrap_or_default());
        say(Speaker::Client, dice.pick(&REPLIES).copied().unwrap_or_default());
    }
    let opts_out = dice.hit(opt_out);
    if opts_out {
        say(Speaker::Client, STOP);
    }
    say(Speaker::Agent, FAREWELL);
    let verdict = dice.pick(&VERDICTS).copied().unwrap_or_default();
    let verdict = if opts_out { "opted-out" } else { verdict };
    let note = dice.hit(300).then(|| "The line was clear.".to_owned());
    let result = AgentResult {
        transcript,
        disposition: Some(verdict.to_owned()),
        tags: BTreeSet::from([verdict.to_owned()]),
        opt_out: opts_out,
        note,
    };
    Conversation { result, seconds: offset }
}

/// Leaves out what was not said because the call ended in this second; whether anything was.
pub(super) fn cut(result: &mut AgentResult, ended: u32) -> bool {
    let before = result.transcript.len();
    result.transcript.retain(|line| match line.when {
        When::Offset(offset) => offset <= ended,
        When::At(_) => true,
    });
    if result.transcript.len() < before {
        let asked = result.transcript.iter().any(|line| line.text == STOP);
        let verdict = if asked { "opted-out" } else { "hung-up" };
        result.opt_out = asked;
        result.disposition = Some(verdict.to_owned());
        result.tags = BTreeSet::from([verdict.to_owned()]);
    }
    !result.transcript.is_empty()
}
