//! The form of a new campaign.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use callcore::actor::Role;
use callcore::campaign::{FieldError, Settings, SettingsError};
use callcore::id::CampaignId;
use callcore::port::NewCampaign;
use serde_json::{Map, Value, json};

use super::form::{Choice, Errors, Form};
use super::frame::{Answer, Shell, Visit, done, page, page_with};
use crate::state::ApiState;

/// Zones that are offered; any other can be typed.
const ZONES: [&str; 24] = [
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Phoenix",
    "America/Los_Angeles",
    "America/Anchorage",
    "Pacific/Honolulu",
    "America/Toronto",
    "America/Vancouver",
    "America/Mexico_City",
    "America/Bogota",
    "America/Sao_Paulo",
    "Europe/London",
    "Europe/Dublin",
    "Europe/Madrid",
    "Europe/Paris",
    "Europe/Berlin",
    "Europe/Rome",
    "Europe/Warsaw",
    "Asia/Kolkata",
    "Asia/Singapore",
    "Asia/Tokyo",
    "Australia/Sydney",
    "UTC",
];

const DAYS: [(&str, &str); 7] = [
    ("mon", "Monday"),
    ("tue", "Tuesday"),
    ("wed", "Wednesday"),
    ("thu", "Thursday"),
    ("fri", "Friday"),
    ("sat", "Saturday"),
    ("sun", "Sunday"),
];

/// The fields that have a place on the page where their trouble is told.
const PLACED: [&str; 13] = [
    "name",
    "time_zone",
    "default_region",
    "zone_policy",
    "hours",
    "start_on",
    "end_on",
    "closed_dates",
    "script",
    "pacing.max_concurrent",
    "pacing.calls_per_second",
    "retry.max_attempts",
    "voicemail.message",
];

#[derive(Template)]
#[template(path = "campaign_new.html")]
struct NewPage {
    shell: Shell,
    form: Draft,
    errors: Errors,
    zones: &'static [&'static str],
}

/// What somebody filled in, as they wrote it.
#[derive(Debug)]
struct Draft {
    name: String,
    time_zone: String,
    default_region: String,
    zone_policy: String,
    /// From, to, and again from, to: of each day.
    hours: [[String; 4]; 7],
    start_on: String,
    end_on: String,
    closed_dates: String,
    say: String,
    language: String,
    opt_out_key: String,
    max_concurrent: String,
    calls_per_second: String,
    max_attempts: String,
    voicemail: String,
    voicemail_message: String,
    consent_required: bool,
}

/// A day of the week with its windows.
#[derive(Debug)]
struct Day {
    key: &'static str,
    label: &'static str,
    /// Where the settings name its troubles.
    path: String,
    from: String,
    to: String,
    from2: String,
    to2: String,
}

impl Errors {
    /// What has no place of its own on the page.
    fn rest(&self) -> Vec<String> {
        let rest = self
            .0
            .iter()
            .filter(|error| !PLACED.contains(&&*error.field) && !error.field.starts_with("hours."));
        rest.map(|error| format!("{}: {}.", error.field, error.message)).collect()
    }
}

impl Draft {
    /// The form as it is offered: working hours, and an opt-out key.
    fn offered(zone: &str) -> Self {
        let text = str::to_owned;
        let open = || [text("09:00"), text("17:00"), String::new(), String::new()];
        let mut hours: [[String; 4]; 7] = Default::default();
        hours[..5].fill_with(open);
        Self {
            name: String::new(),
            time_zone: text(zone),
            default_region: text("US"),
            zone_policy: text("client"),
            hours,
            start_on: String::new(),
            end_on: String::new(),
            closed_dates: String::new(),
            say: text(
                "Hello {{first_name|there}}, this is … Press 9 if you don't want to be called again.",
            ),
            language: text("en-US"),
            opt_out_key: text("9"),
            max_concurrent: text("10"),
            calls_per_second: text("1"),
            max_attempts: text("4"),
            voicemail: text("hang_up_and_retry"),
            voicemail_message: String::new(),
            consent_required: false,
        }
    }

    fn read(form: &Form) -> Self {
        let text = |name: &str| form.text(name).to_owned();
        Self {
            name: text("name"),
            time_zone: text("time_zone"),
            default_region: text("default_region"),
            zone_policy: text("zone_policy"),
            hours: DAYS.map(|(key, _)| {
                ["from", "to", "from2", "to2"].map(|end| text(&format!("{key}_{end}")))
            }),
            start_on: text("start_on"),
            end_on: text("end_on"),
            closed_dates: text("closed_dates"),
            say: text("say"),
            language: text("language"),
            opt_out_key: text("opt_out_key"),
            max_concurrent: text("max_concurrent"),
            calls_per_second: text("calls_per_second"),
            max_attempts: text("max_attempts"),
            voicemail: text("voicemail"),
            voicemail_message: text("voicemail_message"),
            consent_required: form.some("consent_required").is_some(),
        }
    }

    fn days(&self) -> Vec<Day> {
        let days = DAYS.iter().zip(&self.hours);
        days.map(|((key, label), [from, to, from2, to2])| Day {
            key,
            label,
            path: format!("hours.{key}"),
            from: from.clone(),
            to: to.clone(),
            from2: from2.clone(),
            to2: to2.clone(),
        })
        .collect()
    }

    fn zone_policies(&self) -> Vec<Choice> {
        choices(
            &self.zone_policy,
            &[
                ("client", "the client: the file's zone, else the number's"),
                ("number", "every zone the number may be in"),
                ("campaign", "the campaign, for everybody"),
            ],
        )
    }

    fn keys(&self) -> Vec<Choice> {
        let mut keys = choices(&self.opt_out_key, &[("", "none")]);
        for key in "1234567890*#".chars() {
            let key = key.to_string();
            keys.push(Choice::new(&key, &key, key == self.opt_out_key));
        }
        keys
    }

    fn voicemails(&self) -> Vec<Choice> {
        choices(
            &self.voicemail,
            &[
                ("hang_up_and_retry", "hang up and call again later"),
                ("leave_message", "leave a message; the client is done"),
                ("mark_and_move_on", "hang up; the client is done"),
            ],
        )
    }

    /// The settings document, with what can't even be put into one.
    fn document(&self) -> (Value, Vec<FieldError>) {
        let mut errors = Vec::new();
        let mut number = |field: &str, text: &str| {
            text.parse::<u32>().map_or_else(
                |_| {
                    errors.push(FieldError::new(field, "invalid", "is not a whole number"));
                    Value::from(1)
                },
                Value::from,
            )
        };
        let max_concurrent = number("pacing.max_concurrent", &self.max_concurrent);
        let calls_per_second = number("pacing.calls_per_second", &self.calls_per_second);
        let max_attempts = number("retry.max_attempts", &self.max_attempts);
        let keys: Map<String, Value> = Some(self.opt_out_key.clone())
            .filter(|key| !key.is_empty())
            .map(|key| (key, json!("opt_out")))
            .into_iter()
            .collect();
        let language = if self.language.is_empty() { "en-US" } else { &self.language };
        let message = Some(&self.voicemail_message).filter(|message| !message.is_empty());
        let mut document = json!({
            "name": self.name,
            "hours": self.week(&mut errors),
            "time_zone": self.time_zone,
            "zone_policy": self.zone_policy,
            "default_region": self.default_region,
            "closed_dates": self.closed(),
            "retry": {"max_attempts": max_attempts},
            "voicemail": {"policy": self.voicemail, "message": message},
            "pacing": {"max_concurrent": max_concurrent, "calls_per_second": calls_per_second},
            "script": {"steps": [{"say": self.say, "language": language}], "keys": keys},
            "consent_required": self.consent_required,
        });
        for (field, text) in [("start_on", &self.start_on), ("end_on", &self.end_on)] {
            if !text.is_empty() {
                document[field] = json!(text);
            }
        }
        (document, errors)
    }

    fn week(&self, errors: &mut Vec<FieldError>) -> Value {
        let mut week = Map::new();
        for ((key, _), [from, to, from2, to2]) in DAYS.iter().zip(&self.hours) {
            let mut windows = Vec::new();
            for (from, to) in [(from, to), (from2, to2)] {
                match (from.is_empty(), to.is_empty()) {
                    (true, true) => {}
                    // A browser's clock ends at 23:59: midnight as an end is the day's.
                    (false, false) if to == "00:00" => windows.push(json!([from, "24:00"])),
                    (false, false) => windows.push(json!([from, to])),
                    _ => {
                        let message = "a window needs both its start and its end";
                        errors.push(FieldError::new(format!("hours.{key}"), "required", message));
                    }
                }
            }
            if !windows.is_empty() {
                week.insert((*key).to_owned(), Value::from(windows));
            }
        }
        Value::Object(week)
    }

    fn closed(&self) -> Vec<&str> {
        let dates = self.closed_dates.split([',', ';', ' ', '\n']);
        dates.map(str::trim).filter(|date| !date.is_empty()).collect()
    }
}

fn choices(chosen: &str, all: &[(&str, &str)]) -> Vec<Choice> {
    all.iter().map(|(value, label)| Choice::new(value, *label, *value == chosen)).collect()
}

pub(super) async fn show(State(state): State<ApiState>, visit: Visit) -> Answer {
    visit.require(Role::Admin)?;
    let form = Draft::offered(visit.zone.name());
    Ok(page(&NewPage {
        shell: visit.shell(&state, "New campaign", "/campaigns"),
        form,
        errors: Errors::default(),
        zones: &ZONES,
    }))
}

pub(super) async fn create(State(state): State<ApiState>, visit: Visit, form: Form) -> Answer {
    visit.require(Role::Admin)?;
    let draft = Draft::read(&form);
    let (document, mut errors) = draft.document();
    let read = Settings::from_json(&document)
        .and_then(|settings| settings.opens_after(visit.now).map(|()| settings));
    let settings = match read {
        Ok(settings) if errors.is_empty() => settings,
        Ok(_) => return Ok(refused(&state, &visit, draft, errors)),
        Err(SettingsError(more)) => {
            errors.extend(more);
            return Ok(refused(&state, &visit, draft, errors));
        }
    };
    let id = CampaignId::new(visit.now, state.entropy());
    let new = NewCampaign { id, settings: Arc::new(settings) };
    state.store().create_campaign(visit.by(), new).await?;
    state.wake();
    Ok(done(
        &format!("/campaigns/{id}"),
        "The draft is there. Add the people to call, then start it.",
    ))
}

fn refused(
    state: &ApiState,
    visit: &Visit,
    form: Draft,
    errors: Vec<FieldError>,
) -> axum::response::Response {
    let shell = visit.shell(state, "New campaign", "/campaigns");
    let shell =
        shell.with_trouble("The campaign was not created. What is wrong stands at the fields.");
    let page = NewPage { shell, form, errors: Errors(errors), zones: &ZONES };
    page_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}
