//! What was done, in words.

use super::super::form::Choice;
use super::super::words::plain;

/// Every action the log knows, with its words.
const ACTIONS: [(&str, &str); 41] = [
    ("campaign.create", "created a campaign"),
    ("campaign.change", "changed a campaign's settings"),
    ("campaign.start", "started a campaign"),
    ("campaign.pause", "paused a campaign"),
    ("campaign.resume", "resumed a campaign"),
    ("campaign.stop", "stopped a campaign"),
    ("campaign.delete", "deleted a draft"),
    ("campaign.export", "exported a campaign"),
    ("import.begin", "uploaded a list of clients"),
    ("import.undo", "took an upload back"),
    ("import.rejects", "downloaded refused rows"),
    ("client.change", "changed a client"),
    ("client.erase", "erased a person"),
    ("call.call_now", "called at once"),
    ("call.skip", "skipped a call"),
    ("call.reschedule", "moved a call"),
    ("call.retry", "called somebody again"),
    ("call.review", "reviewed a call"),
    ("call.note", "wrote a note on a call"),
    ("call.tag", "tagged a call's client"),
    ("call.test", "made a test call"),
    ("calls.export", "exported calls"),
    ("transcript.read", "read a transcript"),
    ("recording.read", "heard a recording"),
    ("dnc.add", "put a number on Do-Not-Call"),
    ("dnc.remove", "took a number off Do-Not-Call"),
    ("dnc.import", "imported Do-Not-Call numbers"),
    ("account.change", "changed the account's settings"),
    ("account.stop", "stopped all dialling"),
    ("account.resume", "resumed dialling"),
    ("mail.queue", "had a mail sent"),
    ("user.save", "set up a user"),
    ("user.invite", "invited somebody"),
    ("user.change", "changed a user"),
    ("user.accept", "accepted an invitation"),
    ("user.password", "changed their password"),
    ("token.create", "made a token"),
    ("token.revoke", "revoked a token"),
    ("audio.add", "uploaded audio"),
    ("audio.remove", "deleted audio"),
    ("audit.export", "exported this log"),
];

pub(super) fn is_action(action: &str) -> bool {
    ACTIONS.iter().any(|(known, _)| *known == action)
}

/// What somebody did; an action without words of its own says itself.
pub(super) fn action(action: &str) -> String {
    let known = ACTIONS.iter().find(|(known, _)| *known == action);
    known.map_or_else(|| plain(&action.replace('.', " ")), |(_, words)| (*words).to_owned())
}

pub(super) fn choices(chosen: Option<&str>) -> Vec<Choice> {
    ACTIONS.iter().map(|(key, words)| Choice::new(key, *words, chosen == Some(key))).collect()
}
