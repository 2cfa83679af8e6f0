//! Calling again, voicemail, pace and bounds.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use callcore::actor::Role;
use callcore::campaign::{FieldError, Settings};
use callcore::id::CampaignId;
use callcore::phone::PhoneNumber;
use callcore::port::CampaignView;
use callcore::rules::IsoDuration;
use callcore::rules::breaker::BreakerDocument;
use callcore::rules::cool_downs::CoolDownDocument;
use callcore::rules::retry::RetryStep;
use callcore::script::Message;
use serde_json::{Map, Value, json};

use super::super::campaign::existing;
use super::super::form::{Choice, Errors, Form};
use super::super::frame::{Answer, Shell, Trouble, Visit, page, page_with};
use super::super::words;
use super::audios::Audios;
use super::hours::choices;
use super::wait::Wait;
use super::{Saved, Setup, Step, go_on, not_saved, put};
use crate::request::Id;
use crate::state::ApiState;

/// How many rows of one kind a form may have.
const MOST: usize = 40;

/// Where troubles have a place on the page.
const PLACED: [&str; 11] = [
    "retry",
    "voicemail",
    "pacing",
    "caps",
    "cool_downs",
    "breaker",
    "budget",
    "priority",
    "subject",
    "caller_ids",
    super::STALE,
];

#[derive(Template)]
#[template(path = "setup/rules.html")]
struct RulesPage {
    shell: Shell,
    setup: Setup,
    form: Rules,
    audios: Vec<Choice>,
    errors: Errors,
    beside: Vec<String>,
}

/// What somebody filled in, as they wrote it.
#[derive(Debug)]
struct Rules {
    connect: Vec<Again>,
    again: Vec<Again>,
    max_attempts: String,
    voicemail: String,
    message: String,
    /// The audio that is played instead.
    audio: String,
    max_concurrent: String,
    calls_per_second: String,
    caps: Vec<CapRow>,
    cool_downs: Vec<CoolDownRow>,
    breaker: bool,
    failed_percent: String,
    of_last: String,
    calls_per_day: String,
    consent_required: bool,
    priority: String,
    subject: String,
    caller_ids: String,
}

/// When to call again.
#[derive(Debug, Clone)]
struct Again {
    kind: String,
    wait: Wait,
    row: Row,
}

#[derive(Debug, Clone)]
struct CapRow {
    max: String,
    per: Wait,
    row: Row,
}

#[derive(Debug, Clone)]
struct CoolDownRow {
    after: String,
    lasts: Wait,
    row: Row,
}

/// What a row of a form is called.
#[derive(Debug, Clone, Default)]
struct Row {
    /// Its fields.
    name: String,
    /// To somebody who does not see it.
    label: String,
    /// Where the settings name its troubles.
    path: String,
}

impl Row {
    fn new(list: &str, path: &str, label: &str, index: usize) -> Self {
        Self {
            name: format!("{list}_{index}"),
            label: format!("{label} {}", index + 1),
            path: format!("{path}[{index}]"),
        }
    }
}

impl Again {
    fn none() -> Self {
        Self { kind: String::new(), wait: Wait::none("hours"), row: Row::default() }
    }

    fn of(step: &RetryStep) -> Self {
        let (kind, wait) = match step {
            RetryStep::LaterSameDay => ("later_same_day", Wait::none("hours")),
            RetryStep::NextDay => ("next_day", Wait::none("hours")),
            RetryStep::After(wait) => ("after", Wait::of(wait.seconds())),
        };
        Self { kind: kind.to_owned(), wait, row: Row::default() }
    }

    fn kinds(&self) -> Vec<Choice> {
        choices(
            &self.kind,
            &[
                ("", "no further call"),
                ("later_same_day", "later the same day, 2 hours or more"),
                ("next_day", "on a later day"),
                ("after", "after a time:"),
            ],
        )
    }

    fn written(&self, field: &str, errors: &mut Vec<FieldError>) -> String {
        if self.kind == "after" { self.wait.iso(field, errors) } else { self.kind.clone() }
    }
}

impl CoolDownRow {
    fn outcomes(&self) -> Vec<Choice> {
        use callcore::call::Outcome as O;
        let ends = [O::Answered, O::Voicemail, O::NoAnswer, O::Busy, O::Failed, O::OptedOut];
        let mut all = choices(&self.after, &[("", "no cool-down")]);
        all.extend(ends.map(|outcome| {
            let label = format!("after {}", words::outcome(outcome).label);
            Choice::new(outcome.as_str(), label, outcome.as_str() == self.after)
        }));
        all
    }
}

impl Rules {
    fn of(settings: &Settings) -> Self {
        let retry = &settings.retry;
        let seconds = |text: &str| text.parse::<IsoDuration>().map_or(0, IsoDuration::seconds);
        let cool_downs = Vec::<CoolDownDocument>::from(settings.cool_downs.clone());
        let breaker = BreakerDocument::from(settings.breaker.unwrap_or_default());
        let word = json!(settings.voicemail.policy);
        let message = settings.voicemail.message.as_ref();
        let audio = message.and_then(Message::audio);
        let message = match message {
            Some(Message::Say(text)) => text.source().to_owned(),
            Some(Message::Play { .. }) | None => String::new(),
        };
        Self {
            connect: retry.connect().iter().map(Again::of).collect(),
            again: retry.voicemail().iter().map(Again::of).collect(),
            max_attempts: retry.max_attempts().to_string(),
            voicemail: word.as_str().unwrap_or_default().to_owned(),
            message,
            audio: audio.map(|audio| audio.to_string()).unwrap_or_default(),
            max_concurrent: settings.pacing.max_concurrent.to_string(),
            calls_per_second: settings.pacing.calls_per_second.to_string(),
            caps: settings
                .caps
                .as_slice()
                .iter()
                .map(|cap| CapRow {
                    max: cap.max().to_string(),
                    per: Wait::of(cap.per().seconds()),
                    row: Row::default(),
                })
                .collect(),
            cool_downs: cool_downs
                .into_iter()
                .map(|it| CoolDownRow {
                    lasts: Wait::of(seconds(&it.r#for)),
                    after: it.after,
                    row: Row::default(),
                })
                .collect(),
            breaker: settings.breaker.is_some(),
            failed_percent: percent(breaker.failed_share),
            of_last: breaker.of_last.to_string(),
            calls_per_day: settings
                .budget
                .calls_per_day
                .map(|it| it.to_string())
                .unwrap_or_default(),
            consent_required: settings.consent_required,
            priority: settings.priority.to_string(),
            subject: settings.subject.clone().unwrap_or_default(),
            caller_ids: settings
                .caller_ids
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", "),
        }
    }

    fn read(form: &Form) -> Self {
        let text = |name: &str| form.text(name).to_owned();
        let again = |list: &str| -> Vec<Again> {
            let row = |index: usize| {
                let name = format!("{list}_{index}");
                Again { kind: text(&name), wait: Wait::read(form, &name), row: Row::default() }
            };
            (0..MOST).map(row).filter(|again| !again.kind.is_empty()).collect()
        };
        let caps = (0..MOST).map(|index| CapRow {
            max: text(&format!("cap_{index}")),
            per: Wait::read(form, &format!("cap_{index}")),
            row: Row::default(),
        });
        let cool_downs = (0..MOST).map(|index| CoolDownRow {
            after: text(&format!("cool_{index}")),
            lasts: Wait::read(form, &format!("cool_{index}")),
            row: Row::default(),
        });
        Self {
            connect: again("connect"),
            again: again("again"),
            max_attempts: text("max_attempts"),
            voicemail: text("voicemail"),
            // The words of a message keep their line breaks.
            message: text("message").replace("\r\n", "\n"),
            audio: text("audio"),
            max_concurrent: text("max_concurrent"),
            calls_per_second: text("calls_per_second"),
            caps: caps.filter(|row| !row.max.is_empty() || !row.per.is_empty()).collect(),
            cool_downs: cool_downs.filter(|row| !row.after.is_empty()).collect(),
            breaker: form.has("breaker"),
            failed_percent: text("failed_percent"),
            of_last: text("of_last"),
            calls_per_day: text("calls_per_day"),
            consent_required: form.has("consent_required"),
            priority: text("priority"),
            subject: text("subject"),
            caller_ids: text("caller_ids"),
        }
    }

    /// Room for one more of each, and every row with its name.
    fn with_room(mut self) -> Self {
        let row = Row::default;
        self.connect.push(Again::none());
        self.again.push(Again::none());
        self.caps.push(CapRow { max: String::new(), per: Wait::none("hours"), row: row() });
        let (after, lasts) = (String::new(), Wait::none("days"));
        self.cool_downs.push(CoolDownRow { after, lasts, row: row() });
        for (index, again) in self.connect.iter_mut().enumerate() {
            again.row =
                Row::new("connect", "retry.connect", "After no answer, further call", index);
        }
        for (index, again) in self.again.iter_mut().enumerate() {
            again.row =
                Row::new("again", "retry.voicemail", "After a voicemail, further call", index);
        }
        for (index, cap) in self.caps.iter_mut().enumerate() {
            cap.row = Row::new("cap", "caps", "Bound", index);
        }
        for (index, rule) in self.cool_downs.iter_mut().enumerate() {
            rule.row = Row::new("cool", "cool_downs", "Cool-down", index);
        }
        self
    }

    fn voicemails(&self) -> Vec<Choice> {
        choices(
            &self.voicemail,
            &[
                ("hang_up_and_retry", "hang up, and call again as said below"),
                ("leave_message", "leave a message; the person is done"),
                ("mark_and_move_on", "hang up; the person is done"),
            ],
        )
    }

    /// The fields of the settings, with what can't even be put into them.
    fn fields(&self, errors: &mut Vec<FieldError>) -> Map<String, Value> {
        let steps = |list: &str, rows: &[Again], errors: &mut Vec<FieldError>| {
            let row = |(index, again): (usize, &Again)| {
                again.written(&format!("retry.{list}[{index}]"), errors)
            };
            rows.iter().enumerate().map(row).collect::<Vec<_>>()
        };
        let (connect, again) =
            (steps("connect", &self.connect, errors), steps("voicemail", &self.again, errors));
        let mut caps = Vec::new();
        for (index, row) in self.caps.iter().enumerate() {
            let max = whole(&format!("caps[{index}].max"), &row.max, errors);
            let per = row.per.iso(&format!("caps[{index}].per"), errors);
            caps.push(json!({"max": max, "per": per}));
        }
        let mut cool_downs = Vec::new();
        for (index, row) in self.cool_downs.iter().enumerate() {
            let lasts = row.lasts.iso(&format!("cool_downs[{index}].for"), errors);
            cool_downs.push(json!({"after": row.after, "for": lasts}));
        }
        let breaker = self.breaker.then(|| {
            json!({
                "failed_share": share("breaker.failed_share", &self.failed_percent, errors),
                "of_last": whole("breaker.of_last", &self.of_last, errors),
            })
        });
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let per_day =
            some(&self.calls_per_day).map(|text| whole("budget.calls_per_day", &text, errors));
        let numbers = self.caller_ids.split([',', ';', '\n']).map(str::trim);
        let mut caller_ids = Vec::new();
        for number in numbers.filter(|number| !number.is_empty()) {
            let digits = number.replace([' ', '-', '(', ')', '.'], "");
            match digits.parse::<PhoneNumber>() {
                Ok(number) => caller_ids.push(number.to_string()),
                Err(_) => {
                    let words = format!("{number:?} is no number with its country code");
                    errors.push(FieldError::new("caller_ids", "invalid_phone", words));
                }
            }
        }
        if !self.audio.is_empty() && !self.message.trim().is_empty() {
            let words = "is either a text or an audio";
            errors.push(FieldError::new("voicemail.message", "invalid", words));
        }
        let message = match &*self.audio {
            "" => json!(some(&self.message)),
            audio => json!({"play": audio}),
        };
        let fields = json!({
            "caller_ids": caller_ids,
            "retry": {
                "connect": connect,
                "voicemail": again,
                "max_attempts": whole("retry.max_attempts", &self.max_attempts, errors),
            },
            "voicemail": {"policy": self.voicemail, "message": message},
            "pacing": {
                "max_concurrent": whole("pacing.max_concurrent", &self.max_concurrent, errors),
                "calls_per_second": whole("pacing.calls_per_second", &self.calls_per_second, errors),
            },
            "caps": caps,
            "cool_downs": cool_downs,
            "breaker": breaker,
            "budget": {"calls_per_day": per_day},
            "consent_required": self.consent_required,
            "priority": signed("priority", &self.priority, errors),
            "subject": some(&self.subject),
        });
        match fields {
            Value::Object(fields) => fields,
            _ => Map::new(),
        }
    }
}

/// A share as a percentage, without a rest that binary fractions leave.
fn percent(share: f64) -> String {
    let text = format!("{:.2}", share * 100.0);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn share(field: &str, percent: &str, errors: &mut Vec<FieldError>) -> f64 {
    match percent.parse::<f64>() {
        Ok(percent) if percent.is_finite() => (percent * 100.0).round() / 10_000.0,
        _ => {
            errors.push(FieldError::new(field, "invalid", "is not a number"));
            1.0
        }
    }
}

fn whole(field: &str, text: &str, errors: &mut Vec<FieldError>) -> u32 {
    text.parse().unwrap_or_else(|_| {
        errors.push(FieldError::new(field, "invalid", "is not a whole number"));
        1
    })
}

fn signed(field: &str, text: &str, errors: &mut Vec<FieldError>) -> i32 {
    text.parse().unwrap_or_else(|_| {
        errors.push(FieldError::new(field, "invalid", "is not a whole number"));
        0
    })
}

pub(super) async fn show(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CampaignId>,
) -> Answer {
    visit.require(Role::Admin)?;
    let view = existing(&state, id).await?;
    let form = Rules::of(&view.campaign.settings);
    Ok(page(&rules_page(&state, &visit, &view, form, Vec::new()).await?))
}

async fn rules_page(
    state: &ApiState,
    visit: &Visit,
    view: &CampaignView,
    form: Rules,
    errors: Vec<FieldError>,
) -> Result<RulesPage, Trouble> {
    let setup = Setup::new(state, visit, view, Step::Rules);
    let shell = setup.shell(state, visit);
    let shell = if errors.is_empty() { shell } else { shell.with_trouble(not_saved(&errors)) };
    let errors = Errors(errors.into_iter().map(plainly).collect());
    let audios = Audios::read(state, &[&form.audio]).await?;
    let audios = audios.choices(&form.audio, "no audio: the message is said");
    let (form, beside) = (form.with_room(), errors.beside(&PLACED));
    Ok(RulesPage { shell, setup, form, audios, beside, errors })
}

/// What is said of stretches of time in their notation, in the words of the form.
fn plainly(mut error: FieldError) -> FieldError {
    let most = if error.field.ends_with(".per") {
        "90 days"
    } else if error.field.ends_with(".for") {
        "400 days"
    } else if error.field.starts_with("retry.") && error.field.ends_with(']') {
        "30 days"
    } else {
        return error;
    };
    if error.message.contains("ISO 8601") {
        error.message = format!("must be at most {most}");
    }
    error
}

pub(super) async fn save(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CampaignId>,
    form: Form,
) -> Answer {
    visit.require(Role::Admin)?;
    let view = existing(&state, id).await?;
    let rules = Rules::read(&form);
    let mut errors = Vec::new();
    let fields = rules.fields(&mut errors);
    // Room for another row, without a script.
    if form.text("do") == "more" {
        return Ok(page(&rules_page(&state, &visit, &view, rules, Vec::new()).await?));
    }
    let saved = if errors.is_empty() {
        put(&state, &visit, &view, &form, fields).await?
    } else {
        Saved::Wrong(errors)
    };
    match saved {
        Saved::Done => Ok(go_on(&view, &form, "rules", Step::Script)),
        Saved::Wrong(errors) => {
            let page = rules_page(&state, &visit, &view, rules, errors).await?;
            Ok(page_with(StatusCode::UNPROCESSABLE_ENTITY, &page))
        }
    }
}
