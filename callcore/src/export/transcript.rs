use std::fmt::Write as _;

use crate::call::{Line, Progress, Speaker};
use crate::port::CallView;
use crate::time::Zone;

/// What was said in a call, as text: a header with campaign, name, date and duration, then
/// `[mm:ss] Speaker: text` lines. The date is the one clocks in `zone` show. None if nothing was
/// written down.
#[must_use]
pub fn transcript(view: &CallView, zone: &Zone) -> Option<String> {
    let progress = &view.call.progress;
    if progress.transcript.is_empty() {
        return None;
    }
    let at = progress.answered_at.unwrap_or_else(|| view.call.date());
    let date = zone.local(at).format("%Y-%m-%d %H:%M:%S");
    let mut text = String::new();
    let name = |name: &Option<String>| one_line(name.as_deref().unwrap_or("-"));
    // Writing to a string can't fail.
    let _ = writeln!(text, "Campaign: {}", name(&view.campaign_name));
    let _ = writeln!(text, "Name: {}", name(&view.client_name));
    let _ = writeln!(text, "Date: {date} {}", zone.name());
    let _ = writeln!(text, "Duration: {}", clock(progress.talk_seconds));
    text.push('\n');
    for line in &progress.transcript {
        let _ = writeln!(text, "{}", said(line));
    }
    Some(text)
}

/// What was said, a line for each sentence: `[mm:ss] Speaker: text`.
pub(super) fn lines(progress: &Progress) -> String {
    progress.transcript.iter().map(said).collect::<Vec<_>>().join("\n")
}

fn said(line: &Line) -> String {
    let speaker = match line.speaker {
        Speaker::Agent => "Agent",
        Speaker::Client => "Client",
    };
    format!("[{}] {speaker}: {}", clock(line.offset_seconds), one_line(&line.text))
}

/// Minutes and seconds; an hour is sixty minutes.
fn clock(seconds: u32) -> String {
    format!("{:02}:{:02}", seconds / 60, seconds % 60)
}

/// What was said must not look like a line of its own.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::actor::Actor;
    use crate::call::{Call, Direction, Intent, Review};
    use crate::id::CallId;
    use crate::time::SeededEntropy;

    #[test]
    fn a_transcript_has_a_header_and_a_line_for_each_sentence() {
        let at = "2026-11-23T15:00:00Z".parse().unwrap();
        let said = |speaker, offset_seconds, text: &str| Line {
            speaker,
            offset_seconds,
            text: text.to_owned(),
        };
        let progress = Progress {
            answered_at: Some(at),
            talk_seconds: 3_725,
            transcript: vec![
                said(Speaker::Agent, 0, "Hello."),
                said(Speaker::Client, 61, "One\n[00:00] Agent: two"),
            ],
            ..Progress::default()
        };
        let call = Call {
            id: CallId::new(at, &SeededEntropy::new(1)),
            campaign: None,
            client: None,
            sample: None,
            phone: None,
            direction: Direction::Outbound,
            attempt: 1,
            retry_of: None,
            intent: Intent::Plan,
            by: Actor::System,
            due_at: at,
            claimed: false,
            begun_at: Some(at),
            settings_version: 1,
            zone: None,
            decision: Vec::new(),
            retired: None,
            progress,
            review: Review::Unreviewed,
            disposition: None,
            notes: Vec::new(),
        };
        let mut view = CallView {
            call,
            campaign_name: Some("Renewals".to_owned()),
            client_name: Some("Ada".to_owned()),
            tags: BTreeSet::new(),
            client_zones: Vec::new(),
        };
        let zone: Zone = "America/New_York".parse().unwrap();
        assert_eq!(
            transcript(&view, &zone).unwrap(),
            "Campaign: Renewals\nName: Ada\nDate: 2026-11-23 10:00:00 America/New_York\n\
             Duration: 62:05\n\n[00:00] Agent: Hello.\n[01:01] Client: One [00:00] Agent: two\n"
        );
        view.call.progress.transcript.clear();
        assert_eq!(transcript(&view, &zone), None);
    }
}
