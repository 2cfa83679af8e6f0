//! What the stored words are called on pages, and how pages colour them. The words always stand
//! there too: nothing is told by colour alone.

use callcore::actor::Actor;
use callcore::call::{
    AnsweredBy, CallStatus, CancelReason, Direction, Ending, EventKind, Outcome, Review,
    SkipReason, Speaker,
};
use callcore::campaign::{RunState, Settings, VoicemailPolicy, ZoneFallback, ZonePolicy};
use callcore::client::{ClientStatus, ZoneSource};
use callcore::engine::Rule;
use callcore::rules::IsoDuration;
use callcore::rules::cool_downs::CoolDownDocument;
use callcore::rules::hours::WeekDocument;
use callcore::rules::retry::RetryStep;
use callcore::script::{KeyAction, Message, Record, Script, Step};

/// A word and the tone a page gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) label: &'static str,
    pub(super) tone: &'static str,
}

const fn word(label: &'static str, tone: &'static str) -> Word {
    Word { label, tone }
}

pub(super) const fn outcome(outcome: Outcome) -> Word {
    match outcome {
        Outcome::Answered => word("answered", "good"),
        Outcome::Voicemail => word("voicemail", "warm"),
        Outcome::NoAnswer => word("no answer", "cool"),
        Outcome::Busy => word("busy", "busy"),
        Outcome::Failed => word("failed", "bad"),
        Outcome::Canceled => word("cancelled", "mute"),
        Outcome::Skipped => word("skipped", "mute"),
        Outcome::OptedOut => word("opted out", "out"),
    }
}

pub(super) const fn status(status: CallStatus) -> Word {
    match status {
        CallStatus::Scheduled => word("scheduled", "mute"),
        CallStatus::Claimed => word("about to be dialled", "cool"),
        CallStatus::Dialing => word("dialling", "cool"),
        CallStatus::Ringing => word("ringing", "warm"),
        CallStatus::InProgress => word("talking", "live"),
        CallStatus::Unknown => word("unknown", "bad"),
        CallStatus::Ended => word("ended", "mute"),
    }
}

/// How a call stands, to be read after "the call is".
pub(super) const fn stands(status: CallStatus) -> &'static str {
    match status {
        CallStatus::Scheduled => "still to come",
        CallStatus::Claimed => "about to be dialled",
        CallStatus::Dialing => "being dialled",
        CallStatus::Ringing => "ringing",
        CallStatus::InProgress => "going on right now",
        CallStatus::Unknown => "one whose fate nobody knows yet",
        CallStatus::Ended => "over",
    }
}

pub(super) const fn run_state(state: RunState) -> Word {
    match state {
        RunState::Draft => word("draft", "mute"),
        RunState::Running => word("running", "good"),
        RunState::Paused => word("paused", "warm"),
        RunState::Stopped => word("stopped", "bad"),
        RunState::Finished => word("finished", "cool"),
    }
}

pub(super) const fn client(status: ClientStatus) -> Word {
    match status {
        ClientStatus::Pending => word("waiting for the first call", "none"),
        ClientStatus::Scheduled => word("to be called again", "wait"),
        ClientStatus::InProgress => word("being called", "live"),
        ClientStatus::Reached => word("reached", "good"),
        ClientStatus::Voicemail => word("only voicemail", "warm"),
        ClientStatus::Exhausted => word("not reached", "cool"),
        ClientStatus::Skipped => word("skipped", "mute"),
        ClientStatus::OnDnc => word("on Do-Not-Call", "out"),
        ClientStatus::OptedOut => word("opted out", "out"),
        ClientStatus::Unreachable => word("unreachable", "bad"),
        ClientStatus::NeedsFollowUp => word("needs follow-up", "busy"),
        ClientStatus::Inactive => word("switched off", "mute"),
        ClientStatus::NoConsent => word("no consent", "mute"),
    }
}

pub(super) const fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Outbound => "outbound",
        Direction::Inbound => "inbound",
    }
}

pub(super) const fn review(review: Review) -> &'static str {
    match review {
        Review::Unreviewed => "unreviewed",
        Review::Reviewed => "reviewed",
        Review::NeedsFollowUp => "needs follow-up",
    }
}

/// The button that gives a call a review status.
pub(super) const fn to_review(status: Review) -> &'static str {
    match status {
        Review::Unreviewed => "Unreviewed",
        Review::Reviewed => "Reviewed",
        Review::NeedsFollowUp => "Needs follow-up",
    }
}

/// [`review`] with its tone.
pub(super) const fn reviewed(status: Review) -> Word {
    let tone = match status {
        Review::Unreviewed => "mute",
        Review::Reviewed => "good",
        Review::NeedsFollowUp => "busy",
    };
    word(review(status), tone)
}

pub(super) const fn skip_reason(reason: SkipReason) -> &'static str {
    match reason {
        SkipReason::WrongNumber => "it is the wrong number",
        SkipReason::AlreadyHandled => "it is handled already",
        SkipReason::ClientRequest => "the client asked for it",
        SkipReason::BadTiming => "the time is bad",
        SkipReason::Duplicate => "the person is on the list twice",
        SkipReason::Other => "another reason (say which)",
    }
}

pub(super) const fn cancel_reason(reason: CancelReason) -> &'static str {
    match reason {
        CancelReason::OnDnc => "the number is on the Do-Not-Call list",
        CancelReason::Inactive => "the client is switched off",
        CancelReason::NoConsent => "no consent is recorded",
        CancelReason::NoZone => "the client's time zone is not known",
        CancelReason::HoursOver => "the calling hours never open again",
        CancelReason::MaxAttempts => "the client was dialled as often as allowed",
        CancelReason::CampaignStopped => "the campaign was stopped",
        CancelReason::Erased => "the person was erased",
    }
}

pub(super) const fn zone_source(source: ZoneSource) -> &'static str {
    match source {
        ZoneSource::Person => "told by a person",
        ZoneSource::File => "from the file",
        ZoneSource::Number => "from the number",
        ZoneSource::Country => "one of the country's",
    }
}

pub(super) const fn speaker(speaker: Speaker) -> &'static str {
    match speaker {
        Speaker::Agent => "Campaign",
        Speaker::Client => "Client",
    }
}

/// What a rule is about.
pub(super) const fn rule(rule: Rule) -> &'static str {
    match rule {
        Rule::StopAll => "Account",
        Rule::RunState => "Campaign",
        Rule::Dnc => "Do not call",
        Rule::Active => "Client",
        Rule::Consent => "Consent",
        Rule::Zone => "Time zone",
        Rule::MaxAttempts => "Dials",
        Rule::NumberFree => "Number",
        Rule::Caps => "Caps",
        Rule::CoolDowns => "Cool-downs",
        Rule::Budget => "Budget",
        Rule::Spend => "Money",
        Rule::Hours => "Hours",
        Rule::Begin => "Capacity",
    }
}

/// Who did something.
pub(super) fn actor(actor: &Actor) -> String {
    match actor {
        Actor::User(name) => name.clone(),
        Actor::Token(name) => format!("{name} (token)"),
        Actor::System => "callcore, by the rules".to_owned(),
        Actor::Client => "the person, in a call".to_owned(),
        Actor::Agent => "the voice agent".to_owned(),
    }
}

/// What an event says.
pub(super) fn event(kind: &EventKind) -> String {
    match kind {
        EventKind::Placed { .. } => "the carrier took the call".to_owned(),
        EventKind::NotPlaced { reason, .. } => {
            format!("the carrier refused the call: {}", plain(reason))
        }
        EventKind::Unclear => "no clear answer from the carrier".to_owned(),
        EventKind::Ringing => "it rings".to_owned(),
        EventKind::Answered => "answered".to_owned(),
        EventKind::Detected { by } => match by {
            AnsweredBy::Human => "a person is on the line",
            AnsweredBy::Machine => "a voicemail is on the line",
            AnsweredBy::Fax => "a fax is on the line",
            AnsweredBy::Unknown => "who is on the line could not be told",
        }
        .to_owned(),
        EventKind::Key { digit, .. } => format!("the client pressed {digit}"),
        EventKind::OptOut => "the client asked not to be called again".to_owned(),
        EventKind::Line { speaker: who, .. } => match who {
            Speaker::Agent => "the campaign spoke".to_owned(),
            Speaker::Client => "the client spoke".to_owned(),
        },
        EventKind::Recorded { .. } => "the recording is ready".to_owned(),
        EventKind::Ended { ending, .. } => match ending {
            Ending::Completed => "hung up".to_owned(),
            Ending::Busy => "the line was busy".to_owned(),
            Ending::NoAnswer => "nobody answered".to_owned(),
            Ending::Failed { reason, .. } => format!("failed: {}", plain(reason)),
            Ending::Canceled => "called off before anybody answered".to_owned(),
        },
        EventKind::GivenUp => "given up: nobody could say what became of it".to_owned(),
        EventKind::Transferred => "handed on to the script's number".to_owned(),
        EventKind::Said { speaker: who, .. } => match who {
            Speaker::Agent => "the agent said something".to_owned(),
            Speaker::Client => "the client said something".to_owned(),
        },
        EventKind::Tag { tag } => format!("the agent put on the tag “{tag}”"),
        EventKind::Disposition { label } => format!("the agent's verdict: {label}"),
        EventKind::Note { .. } => "the agent wrote something down".to_owned(),
    }
}

/// What a field of the API is called where people fill it in.
pub(super) fn field(field: &str) -> &str {
    match field {
        "notes" => "note",
        "due_at" => "time",
        "time_zone" => "time zone",
        "disposition" => "label",
        "consent.basis" => "basis of the consent",
        "consent.source" => "source of the consent",
        "consent.at" => "date of the consent",
        "consent.evidence" => "proof of the consent",
        field if field.contains("tags.") => "tag",
        field => field,
    }
}

/// A code in plain words.
pub(super) fn plain(code: &str) -> String {
    code.replace('_', " ")
}

/// A campaign's settings as sentences, each with what it is about.
pub(super) fn settings(settings: &Settings) -> Vec<(&'static str, String)> {
    let mut lines = vec![("Hours", hours(settings)), ("Judged by", whose_clock(settings))];
    let dates = dates(settings);
    if !dates.is_empty() {
        lines.push(("Dates", dates));
    }
    lines.push(("Pace", pace(settings)));
    lines.push(("Calls again", retry(settings)));
    lines.push(("Voicemail", voicemail(settings)));
    if settings.consent_required {
        lines.push(("Consent", "only people with a recorded consent are called".to_owned()));
    }
    let caps = settings.caps.as_slice().iter();
    let caps: Vec<String> = caps
        .map(|cap| {
            let seconds = u64::from(cap.per().seconds());
            format!("at most {} dials to one number in {}", cap.max(), span(seconds))
        })
        .collect();
    if !caps.is_empty() {
        lines.push(("Caps", caps.join("\n")));
    }
    let cool_downs = Vec::<CoolDownDocument>::from(settings.cool_downs.clone());
    if !cool_downs.is_empty() {
        lines.push(("Cool-downs", cool_downs.iter().map(cool_down).collect::<Vec<_>>().join("\n")));
    }
    lines.push(("Pauses itself", brake(settings)));
    if let Some(most) = settings.budget.calls_per_day {
        lines.push(("Budget", format!("at most {} a day", counted(most, "dial"))));
    }
    if settings.priority != 0 {
        lines.push(("Priority", settings.priority.to_string()));
    }
    if let Some(subject) = &settings.subject {
        lines.push(("Subject", subject.clone()));
    }
    if !settings.caller_ids.is_empty() {
        let numbers: Vec<String> = settings.caller_ids.iter().map(ToString::to_string).collect();
        lines.push(("Caller ids", numbers.join(", ")));
    }
    let kept = match (settings.recording.channels(), settings.transcription) {
        (None, false) => None,
        (None, true) => Some("what is said is written down"),
        (Some(_), false) => Some("calls are recorded"),
        (Some(_), true) => Some("calls are recorded, and what is said is written down"),
    };
    lines.extend(kept.map(|kept| ("Kept of a call", kept.to_owned())));
    script(&mut lines, ("Script", "Keys"), &settings.script);
    if let Some(inbound) = &settings.inbound {
        script(&mut lines, ("Who calls in hears", "Keys then"), inbound);
    }
    lines
}

/// What is heard, and what keys do.
fn script(
    lines: &mut Vec<(&'static str, String)>,
    (heard, pressed): (&'static str, &'static str),
    script: &Script,
) {
    let steps: Vec<String> = script.heard().map(|step| heard_step(&step)).collect();
    if !steps.is_empty() {
        lines.push((heard, steps.join("\n")));
    }
    let keys: Vec<String> = script
        .keys
        .iter()
        .map(|(key, action)| {
            let key = key.digit();
            match action {
                KeyAction::Tag(tag) => format!("{key} tags the client “{tag}”"),
                KeyAction::Transfer(number) => format!("{key} hands the call to {number}"),
                KeyAction::OptOut => format!("{key} opts out"),
            }
        })
        .collect();
    if !keys.is_empty() {
        lines.push((pressed, keys.join("\n")));
    }
}

fn heard_step(step: &Step) -> String {
    match step {
        Step::Say { say, .. } => say.source().to_owned(),
        Step::Play(audio) => format!("plays the audio {audio}"),
        Step::Connect(connect) => format!("connects to the agent at {}", connect.url),
        Step::Transfer(number) => format!("hands the call to {number}"),
        Step::Record(record) => format!("records {}", message(*record)),
    }
}

/// A message that a caller leaves.
pub(super) fn message(record: Record) -> String {
    format!("a message of at most {}", counted(record.max_seconds, "second"))
}

fn hours(settings: &Settings) -> String {
    let week = WeekDocument::from(settings.hours.week().clone());
    let days = [
        ("Mon", week.mon),
        ("Tue", week.tue),
        ("Wed", week.wed),
        ("Thu", week.thu),
        ("Fri", week.fri),
        ("Sat", week.sat),
        ("Sun", week.sun),
    ];
    let mut lines: Vec<(&str, &str, &Vec<[String; 2]>)> = Vec::new();
    for (name, windows) in &days {
        match lines.last_mut() {
            Some((_, last, same)) if *same == windows => *last = name,
            _ => lines.push((name, name, windows)),
        }
    }
    let lines = lines.into_iter().filter(|(_, _, windows)| !windows.is_empty());
    let lines = lines.map(|(first, last, windows)| {
        let days = if first == last { first.to_owned() } else { format!("{first}–{last}") };
        let windows: Vec<String> =
            windows.iter().map(|[from, to]| format!("{from}–{to}")).collect();
        format!("{days} {}", windows.join(", "))
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn whose_clock(settings: &Settings) -> String {
    let zone = settings.time_zone.name();
    let fallback = match settings.zone_fallback {
        ZoneFallback::Campaign => format!("where none is known, {zone}"),
        ZoneFallback::AllOfCountry => "where none is known, every zone of the country".to_owned(),
        ZoneFallback::Refuse => "where none is known, nobody is called".to_owned(),
    };
    match settings.zone_policy {
        ZonePolicy::Client => {
            format!("the client's clock: the file's zone, else the number's; {fallback}")
        }
        ZonePolicy::Number => format!("every zone the number may be in; {fallback}"),
        ZonePolicy::Campaign => format!("the clock in {zone}, for everybody"),
    }
}

fn dates(settings: &Settings) -> String {
    let mut parts = Vec::new();
    if let Some(date) = settings.hours.start_on() {
        parts.push(format!("from {date}"));
    }
    if let Some(date) = settings.hours.end_on() {
        parts.push(format!("to {date}"));
    }
    let closed = settings.hours.closed_dates();
    if !closed.is_empty() {
        let shown: Vec<String> = closed.iter().take(5).map(ToString::to_string).collect();
        let more = if closed.len() > shown.len() { " and others" } else { "" };
        parts.push(format!("closed on {}{more}", shown.join(", ")));
    }
    parts.join("; ")
}

fn pace(settings: &Settings) -> String {
    let pacing = settings.pacing;
    format!(
        "at most {} at once, {} a second",
        counted(pacing.max_concurrent, "call"),
        pacing.calls_per_second
    )
}

fn cool_down(rule: &CoolDownDocument) -> String {
    let seconds = rule.r#for.parse::<IsoDuration>().map_or(0, IsoDuration::seconds);
    let after = Outcome::parse(&rule.after).map_or("", |it| outcome(it).label);
    format!("after {after} a number is left alone for {}", span(u64::from(seconds)))
}

fn brake(settings: &Settings) -> String {
    match settings.breaker {
        None => "never, however many dials fail".to_owned(),
        Some(breaker) => format!(
            "when {} of its last {} failed",
            breaker.needed(),
            counted(breaker.of_last(), "dial")
        ),
    }
}

fn counted(number: u32, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn retry(settings: &Settings) -> String {
    let steps = |steps: &[RetryStep]| {
        if steps.is_empty() {
            return "not again".to_owned();
        }
        steps.iter().map(step).collect::<Vec<_>>().join(", then ")
    };
    format!(
        "after busy, no answer or a failure: {}\nafter voicemail: {}\nnever more than {} in all",
        steps(settings.retry.connect()),
        steps(settings.retry.voicemail()),
        counted(settings.retry.max_attempts(), "dial"),
    )
}

fn step(step: &RetryStep) -> String {
    match step {
        RetryStep::LaterSameDay => "later the same day, at least 2 hours later".to_owned(),
        RetryStep::NextDay => "on a later day".to_owned(),
        RetryStep::After(wait) => format!("{} later", span(u64::from(wait.seconds()))),
    }
}

/// A stretch of time in its largest whole unit.
fn span(seconds: u64) -> String {
    let (number, unit) = match seconds {
        s if s >= 172_800 && s.is_multiple_of(86_400) => (s / 86_400, "day"),
        s if s >= 3_600 && s.is_multiple_of(3_600) => (s / 3_600, "hour"),
        s if s >= 60 && s.is_multiple_of(60) => (s / 60, "minute"),
        s => (s, "second"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

fn voicemail(settings: &Settings) -> String {
    match settings.voicemail.policy {
        VoicemailPolicy::HangUpAndRetry => "hang up and call again".to_owned(),
        VoicemailPolicy::MarkAndMoveOn => "hang up; the client is done".to_owned(),
        VoicemailPolicy::LeaveMessage => match &settings.voicemail.message {
            Some(Message::Say(text)) => format!("leave a message: “{}”", text.source()),
            Some(Message::Play { .. }) => "leave a message: play an audio".to_owned(),
            None => "leave a message".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_told_in_words() {
        let read = Settings::from_json(&serde_json::json!({
            "name": "x",
            "hours": {
                "mon": [["09:00", "17:00"]], "tue": [["09:00", "17:00"]],
                "wed": [["09:00", "12:00"], ["13:00", "17:00"]],
            },
            "closed_dates": ["2026-12-25"],
            "retry": {"connect": ["PT30M", "next_day"], "voicemail": [], "max_attempts": 3},
            "caps": [{"max": 3, "per": "PT24H", "count": "attempts", "key": "number"}],
            "script": {"steps": [{"say": "Hello."}], "keys": {"9": "opt_out"}},
        }))
        .unwrap();
        let lines = settings(&read);
        let of = |label: &str| lines.iter().find(|(it, _)| *it == label).unwrap().1.clone();
        assert_eq!(of("Hours"), "Mon–Tue 09:00–17:00\nWed 09:00–12:00, 13:00–17:00");
        assert_eq!(of("Dates"), "closed on 2026-12-25");
        assert!(of("Calls again").starts_with(
            "after busy, no answer or a failure: 30 minutes later, then on a later day"
        ));
        assert_eq!(of("Caps"), "at most 3 dials to one number in 24 hours");
        assert_eq!(of("Keys"), "9 opts out");
    }
}
