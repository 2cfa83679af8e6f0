//! A campaign's settings: the JSON document people write, parsed into types that can't be wrong.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::fields::Fields;
use crate::account::Day;
use crate::call::Direction;
use crate::client::{ClientZone, ZoneSource};
use crate::id::AudioId;
use crate::phone::{PhoneNumber, Region};
use crate::rules::breaker::{Breaker, BreakerDocument};
use crate::rules::caps::{CapDocument, Caps};
use crate::rules::cool_downs::{CoolDownDocument, CoolDowns};
use crate::rules::hours::{CallingHours, HoursError, NextAllowed, WeekDocument, WeeklyHours};
use crate::rules::retry::{RetryDocument, RetryPolicy};
use crate::script::{Message, Script, missing};
use crate::text;
use crate::time::Zone;

/// The longest name of a campaign, in characters.
const MAX_NAME_CHARS: usize = 200;
/// The most calls at once, and calls a second, that a campaign may ask for.
const MAX_PACING: u32 = 10_000;
/// The most numbers that a campaign may call from.
const MAX_CALLER_IDS: usize = 1_000;
/// The largest budget of dials a day.
const MAX_CALLS_PER_DAY: u32 = 10_000_000;

/// The settings of a campaign.
///
/// ```
/// use callcore::campaign::Settings;
/// let settings = Settings::from_json(&serde_json::json!({
///     "name": "Renewals",
///     "hours": {"mon": [["09:00", "17:00"]]},
///     "time_zone": "America/New_York",
/// }))?;
/// assert_eq!(settings.pacing.max_concurrent, 10);
///
/// let errors = Settings::from_json(&serde_json::json!({"name": "", "retry": {"max_attempts": 10000}}));
/// let fields: Vec<_> = errors.unwrap_err().0.into_iter().map(|e| e.field).collect();
/// assert_eq!(fields, ["name", "hours", "retry.max_attempts"]);
/// # Ok::<(), callcore::campaign::SettingsError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// What people call the campaign.
    pub name: String,
    /// What calls are about; campaigns with one subject share the caps that some laws count by it.
    pub subject: Option<String>,
    /// Calling hours, closed dates, and the campaign's first and last day.
    pub hours: CallingHours,
    /// The campaign's own zone.
    pub time_zone: Zone,
    /// Whose zone the hours are judged in.
    pub zone_policy: ZonePolicy,
    /// Which zone counts for a client without a known one.
    pub zone_fallback: ZoneFallback,
    /// The country of numbers without a country code.
    pub default_region: Region,
    /// What happens after a call that reached nobody.
    pub retry: RetryPolicy,
    /// What happens when a voicemail answers.
    pub voicemail: Voicemail,
    /// How fast, and how many at once.
    pub pacing: Pacing,
    /// What the person hears.
    pub script: Script,
    /// What a client hears who calls in; none has the call only recorded.
    pub inbound: Option<Script>,
    /// The numbers of ours that people may see; the carrier's own choice if there are none.
    pub caller_ids: Vec<PhoneNumber>,
    /// Whether calls are recorded.
    pub recording: Recording,
    /// Whether what is said is written down by the carrier.
    pub transcription: bool,
    /// How often one number may be dialled, over all campaigns.
    pub caps: Caps,
    /// How long a number is left alone after how a dial to it ended, over all campaigns.
    pub cool_downs: CoolDowns,
    /// When the campaign pauses itself because dials fail; none if never.
    pub breaker: Option<Breaker>,
    /// How much a local day may hold.
    pub budget: Budget,
    /// Whether a client without a recorded consent is left alone.
    pub consent_required: bool,
    /// Campaigns with a higher one are served first.
    pub priority: i32,
}

/// Whose zone the calling hours are judged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ZonePolicy {
    /// The client's, from the file; else every zone its number may be in.
    #[default]
    Client,
    /// Every zone the number may be in.
    Number,
    /// The campaign's, for everybody.
    Campaign,
}

/// Which zone counts where none is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ZoneFallback {
    /// The campaign's.
    #[default]
    Campaign,
    /// Every zone of the number's country must allow.
    AllOfCountry,
    /// None: the client is not called.
    Refuse,
}

/// What happens when a voicemail answers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Voicemail {
    /// What to do.
    #[serde(default)]
    pub policy: VoicemailPolicy,
    /// What is heard after the beep, with [`VoicemailPolicy::LeaveMessage`].
    #[serde(default)]
    pub message: Option<Message>,
}

/// What to do when a voicemail answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VoicemailPolicy {
    /// Hang up, and try again as `retry.voicemail` says.
    #[default]
    HangUpAndRetry,
    /// Leave the message after the beep; the client is done.
    LeaveMessage,
    /// Hang up; the client is done.
    MarkAndMoveOn,
}

/// Whether calls are recorded: `false`, `true` (each side on a channel of its own), or `"mono"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Recording {
    /// They are not.
    #[default]
    Off,
    /// Both sides on one channel.
    Mono,
    /// Each side on its own.
    Dual,
}

impl Recording {
    /// The word for its channels; none if nothing is recorded.
    #[must_use]
    pub const fn channels(self) -> Option<&'static str> {
        match self {
            Self::Off => None,
            Self::Mono => Some("mono"),
            Self::Dual => Some("dual"),
        }
    }
}

impl Serialize for Recording {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Off => to.serialize_bool(false),
            Self::Mono => to.serialize_str("mono"),
            Self::Dual => to.serialize_bool(true),
        }
    }
}

impl<'de> Deserialize<'de> for Recording {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match Value::deserialize(from)? {
            Value::Bool(false) => Ok(Self::Off),
            Value::Bool(true) => Ok(Self::Dual),
            Value::String(word) if word == "dual" => Ok(Self::Dual),
            Value::String(word) if word == "mono" => Ok(Self::Mono),
            _ => Err(serde::de::Error::custom("must be false, true, \"mono\" or \"dual\"")),
        }
    }
}

/// How fast a campaign dials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pacing {
    /// Calls at once.
    #[serde(default = "ten")]
    pub max_concurrent: u32,
    /// Dials a second; Twilio's default is 1.
    #[serde(default = "one")]
    pub calls_per_second: u32,
}

/// How much a local day of a campaign may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Dials begun in a day of the campaign's zone; none is no bound.
    #[serde(default)]
    pub calls_per_day: Option<u32>,
}

impl Budget {
    /// Whether one more dial fits into the day it is.
    #[must_use]
    pub fn allows(self, day: &Day, now: DateTime<Utc>) -> bool {
        self.calls_per_day.is_none_or(|most| day.at(now).begun < u64::from(most))
    }
}

const fn ten() -> u32 {
    10
}

const fn one() -> u32 {
    1
}

impl Default for Pacing {
    fn default() -> Self {
        Self { max_concurrent: ten(), calls_per_second: one() }
    }
}

/// What is wrong with one field of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// The field, with dots: `retry.max_attempts`.
    pub field: String,
    /// A stable code.
    pub code: String,
    /// The trouble, in words.
    pub message: String,
}

impl FieldError {
    /// An error of one field.
    pub fn new(field: impl Into<String>, code: &str, message: impl Into<String>) -> Self {
        Self { field: field.into(), code: code.to_owned(), message: message.into() }
    }
}

/// A settings document is wrong: every bad field at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the settings have {} bad field(s)", .0.len())]
pub struct SettingsError(pub Vec<FieldError>);

impl Settings {
    /// Reads a settings document (its shape is in the HTTP contract). Only `name` and `hours` have
    /// no default.
    ///
    /// # Errors
    ///
    /// Every bad, missing or unknown field.
    pub fn from_json(document: &Value) -> Result<Self, SettingsError> {
        let mut fields = Fields::of(document);
        let name = fields.name();
        let hours = fields.hours();
        let subject = fields.optional("subject");
        let time_zone = fields.optional("time_zone").unwrap_or_else(Zone::utc);
        let zone_policy = fields.or_default("zone_policy");
        let zone_fallback = fields.or_default("zone_fallback");
        let default_region = fields.optional("default_region").unwrap_or(Region::US);
        let retry = fields.rule::<RetryDocument, _, _>("retry").unwrap_or_default();
        let voicemail = voicemail(&mut fields);
        let pacing: Pacing = fields.or_default("pacing");
        for (field, value) in [
            ("pacing.max_concurrent", pacing.max_concurrent),
            ("pacing.calls_per_second", pacing.calls_per_second),
        ] {
            if !(1..=MAX_PACING).contains(&value) {
                fields.out_of_range(field, &format!("must be from 1 to {MAX_PACING}"));
            }
        }
        let script = fields.script("script").unwrap_or_default();
        for (step, _) in script.steps.iter().enumerate().filter(|(_, it)| it.is_record()) {
            let field = format!("script.steps[{step}].record");
            let words = "belongs into the inbound script: only who calls in leaves a message";
            fields.refuse_field(&field, "only_inbound", words);
        }
        let inbound = fields.script("inbound");
        let caller_ids: Vec<PhoneNumber> = fields.or_default("caller_ids");
        if caller_ids.len() > MAX_CALLER_IDS {
            fields.out_of_range("caller_ids", &format!("at most {MAX_CALLER_IDS} numbers"));
        }
        let recording: Recording = fields.or_default("recording");
        let transcription = fields.or_default("transcription");
        let heard = recording != Recording::Off || transcription;
        for (field, heard_by) in [("script", Some(&script)), ("inbound", inbound.as_ref())] {
            if heard && heard_by.is_some_and(|script| script.notice.is_none()) {
                let field = format!("{field}.notice");
                let words = "is required where calls are recorded or written down: say so";
                fields.refuse_field(&field, "required", words);
            }
        }
        let caps = fields.rule::<Vec<CapDocument>, _, _>("caps").unwrap_or_default();
        let cool_downs =
            fields.rule::<Vec<CoolDownDocument>, _, _>("cool_downs").unwrap_or_default();
        // Here null is not the default: it switches the breaker off.
        let breaker = if fields.is_null("breaker") {
            None
        } else {
            Some(fields.rule::<BreakerDocument, _, _>("breaker").unwrap_or_default())
        };
        let budget: Budget = fields.or_default("budget");
        if budget.calls_per_day.is_some_and(|most| !(1..=MAX_CALLS_PER_DAY).contains(&most)) {
            let message = format!("must be from 1 to {MAX_CALLS_PER_DAY}, or null");
            fields.out_of_range("budget.calls_per_day", &message);
        }
        let consent_required = fields.or_default("consent_required");
        let priority = fields.or_default("priority");
        match (hours, fields.finish()) {
            (Some(hours), errors) if errors.is_empty() => Ok(Self {
                name,
                subject,
                hours,
                time_zone,
                zone_policy,
                zone_fallback,
                default_region,
                retry,
                voicemail,
                pacing,
                script,
                inbound,
                caller_ids,
                recording,
                transcription,
                caps,
                cool_downs,
                breaker,
                budget,
                consent_required,
                priority,
            }),
            (_, errors) => Err(SettingsError(errors)),
        }
    }

    /// Whether the hours open at all from an instant on, in the campaign's own zone.
    ///
    /// # Errors
    ///
    /// They don't within 400 days: the error names `hours`.
    pub fn opens_after(&self, now: DateTime<Utc>) -> Result<(), SettingsError> {
        match self.hours.next_allowed(now, std::slice::from_ref(&self.time_zone)) {
            NextAllowed::At(_) => Ok(()),
            NextAllowed::Never => Err(SettingsError(vec![FieldError::new(
                "hours",
                "never_open",
                "with these closed, first and last dates the hours never open",
            )])),
        }
    }

    /// The document, complete: reading it back gives equal settings.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "subject": self.subject,
            "hours": self.hours.week(),
            "time_zone": self.time_zone,
            "zone_policy": self.zone_policy,
            "zone_fallback": self.zone_fallback,
            "default_region": self.default_region,
            "closed_dates": self.hours.closed_dates(),
            "start_on": self.hours.start_on(),
            "end_on": self.hours.end_on(),
            "retry": self.retry,
            "voicemail": self.voicemail,
            "pacing": self.pacing,
            "script": self.script,
            "inbound": self.inbound,
            "caller_ids": self.caller_ids,
            "recording": self.recording,
            "transcription": self.transcription,
            "caps": self.caps,
            "cool_downs": self.cool_downs,
            "breaker": self.breaker,
            "budget": self.budget,
            "consent_required": self.consent_required,
            "priority": self.priority,
        })
    }

    /// The fields that what a client hears asks for and that no client of a list with these columns
    /// has: script, voicemail message and inbound script together.
    #[must_use]
    pub fn missing_fields<C: AsRef<str>>(&self, columns: &[C]) -> BTreeSet<&str> {
        let message = self.voicemail.message.iter().flat_map(Message::places);
        let inbound = self.inbound.iter().flat_map(Script::places);
        missing(self.script.places().chain(message).chain(inbound), columns)
    }

    /// The audio that script, inbound script and voicemail message play, each with the field that
    /// names it.
    pub fn audio(&self) -> impl Iterator<Item = (String, AudioId)> {
        let scripts =
            [Some(("script", &self.script)), self.inbound.as_ref().map(|it| ("inbound", it))];
        let steps = scripts.into_iter().flatten().flat_map(|(field, script)| {
            script.audio().map(move |(step, audio)| (format!("{field}.steps[{step}].play"), audio))
        });
        let message = self.voicemail.message.as_ref().and_then(Message::audio);
        steps.chain(message.map(|audio| ("voicemail.message.play".to_owned(), audio)))
    }

    /// The script of calls in one direction.
    #[must_use]
    pub fn script_of(&self, direction: Direction) -> Option<&Script> {
        match direction {
            Direction::Outbound => Some(&self.script),
            Direction::Inbound => self.inbound.as_ref(),
        }
    }

    /// The zones in which the hours must all allow a call; empty means that none is known and the
    /// campaign refuses such clients.
    #[must_use]
    pub fn zones_of(&self, client: &[ClientZone]) -> Vec<Zone> {
        let from = |source: ZoneSource| -> Vec<Zone> {
            let zones = client.iter().filter(|zone| zone.source == source);
            zones.map(|zone| zone.zone.clone()).collect()
        };
        let known = match self.zone_policy {
            ZonePolicy::Campaign => return vec![self.time_zone.clone()],
            _ if client.iter().any(|zone| zone.source == ZoneSource::Person) => {
                from(ZoneSource::Person)
            }
            ZonePolicy::Client => {
                let file = from(ZoneSource::File);
                if file.is_empty() { from(ZoneSource::Number) } else { file }
            }
            ZonePolicy::Number => from(ZoneSource::Number),
        };
        if !known.is_empty() {
            return known;
        }
        match self.zone_fallback {
            ZoneFallback::Campaign => vec![self.time_zone.clone()],
            ZoneFallback::AllOfCountry => from(ZoneSource::Country),
            ZoneFallback::Refuse => Vec::new(),
        }
    }
}

/// What happens when a voicemail answers; a bad message has its own path.
fn voicemail(fields: &mut Fields) -> Voicemail {
    let Some(mut nested) = fields.nested("voicemail") else { return Voicemail::default() };
    let (policy, message) = (nested.or_default("policy"), nested.message("message"));
    let is_broken = nested.is_refused("message") || nested.is_refused("message.play");
    fields.end_nested(nested);
    if policy == VoicemailPolicy::LeaveMessage && message.is_none() && !is_broken {
        fields.out_of_range("voicemail.message", "is needed to leave a message");
    }
    Voicemail { policy, message }
}

impl Fields {
    fn hours(&mut self) -> Option<CallingHours> {
        if !self.has("hours") {
            self.refuse_field("hours", "required", "is required");
        }
        let week = self.rule::<WeekDocument, WeeklyHours, _>("hours");
        let closed: BTreeSet<NaiveDate> = self.or_default("closed_dates");
        let (start_on, end_on) = (self.optional("start_on"), self.optional("end_on"));
        CallingHours::new(week?, closed, start_on, end_on)
            .map_err(|error: HoursError| self.refuse(&error))
            .ok()
    }

    fn name(&mut self) -> String {
        let name: String = self.optional("name").unwrap_or_default();
        let name = name.trim();
        if name.is_empty() && !self.is_refused("name") {
            self.refuse_field("name", "required", "is required");
        }
        if let Err(error) = text::line(name, MAX_NAME_CHARS) {
            self.refuse_field("name", "invalid", &error.to_string());
        }
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(document: &Value) -> Vec<String> {
        let errors = Settings::from_json(document).unwrap_err().0;
        errors.into_iter().map(|error| error.field).collect()
    }

    #[test]
    fn a_name_looks_like_no_other() {
        for name in ["Renewals \u{202e}slawener", "Renew\u{0}als", "a\nb", &"x".repeat(201)] {
            let document = json!({"name": name, "hours": {"mon": [["09:00", "10:00"]]}});
            assert_eq!(fields(&document), ["name"], "{name:?}");
        }
    }

    #[test]
    fn settings_read_back_as_they_were_written() {
        let settings = Settings::from_json(&json!({
            "name": "Renewals", "hours": {"mon": [["09:00", "12:00"], ["22:00", "02:00"]]},
            "time_zone": "America/New_York", "closed_dates": ["2026-12-25"],
            "caps": [{"max": 3, "per": "PT24H", "count": "attempts", "key": "number"}],
            "cool_downs": [{"after": "answered", "for": "P7D"}],
            "breaker": {"failed_share": 0.3, "of_last": 20}, "budget": {"calls_per_day": 500},
            "script": {"steps": [{"say": "Hello {{name|there}}"}], "keys": {"9": "opt_out"}},
            "voicemail": {"policy": "leave_message", "message": "Call us."},
        }))
        .unwrap();
        assert_eq!(Settings::from_json(&settings.to_json()), Ok(settings));
    }

    #[test]
    fn only_whoever_calls_in_leaves_a_message() {
        let steps = json!({"steps": [{"say": "After the beep, please."}, {"record": {}}]});
        let with = |script: &str| {
            let mut document = json!({"name": "x", "hours": {"mon": [["09:00", "10:00"]]}});
            document[script] = steps.clone();
            document
        };
        assert_eq!(fields(&with("script")), ["script.steps[1].record"]);
        let settings = Settings::from_json(&with("inbound")).unwrap();
        assert_eq!(Settings::from_json(&settings.to_json()), Ok(settings));
    }

    #[test]
    fn the_breaker_is_on_unless_it_is_switched_off() {
        let with = |breaker: Option<Value>| {
            let mut document = json!({"name": "x", "hours": {"mon": [["09:00", "17:00"]]}});
            document.as_object_mut().unwrap().extend(breaker.map(|it| ("breaker".to_owned(), it)));
            let settings = Settings::from_json(&document).unwrap();
            assert_eq!(Settings::from_json(&settings.to_json()).as_ref(), Ok(&settings));
            settings.breaker
        };
        assert_eq!(with(None), Some(Breaker::default()));
        assert_eq!(with(Some(Value::Null)), None);
    }

    #[test]
    fn every_bad_field_is_named_at_once() {
        let document = json!({
            "hours": {}, "time_zone": "Mars/Olympus", "pacing": {"max_concurrent": 0},
            "retry": {"max_attempts": 10_000}, "colour": "red",
            "cool_downs": [{"after": "skipped", "for": "P7D"}],
            "breaker": {"failed_share": 2, "of_last": 50}, "budget": {"calls_per_day": 0},
        });
        assert_eq!(
            fields(&document),
            [
                "name",
                "hours",
                "time_zone",
                "retry.max_attempts",
                "pacing.max_concurrent",
                "cool_downs[0].after",
                "breaker.failed_share",
                "budget.calls_per_day",
                "colour"
            ]
        );
    }

    #[test]
    fn a_campaign_without_hours_is_refused() {
        assert_eq!(fields(&json!({"name": "x"})), ["hours"]);
        assert_eq!(fields(&json!({"name": "x", "hours": {"mon": []}})), ["hours"]);
        assert_eq!(fields(&json!([])), ["", "name", "hours"]);
    }

    #[test]
    fn hours_that_never_open_are_refused() {
        let with = |start: &str, end: &str| {
            Settings::from_json(&json!({
                "name": "x", "hours": {"mon": [["09:00", "17:00"]]},
                "start_on": start, "end_on": end,
            }))
        };
        let no_monday = with("2026-11-24", "2026-11-29").unwrap_err();
        assert_eq!(no_monday.0[0].field, "hours");
        let over = with("2026-11-02", "2026-11-09").unwrap();
        let error = over.opens_after("2026-11-20T00:00:00Z".parse().unwrap()).unwrap_err();
        assert_eq!((&*error.0[0].field, &*error.0[0].code), ("hours", "never_open"));
    }

    #[test]
    fn the_zone_policy_chooses_whose_clock_counts() {
        let zone = |name: &str, source| ClientZone { zone: name.parse().unwrap(), source };
        let zones = [
            zone("America/Denver", ZoneSource::File),
            zone("America/Chicago", ZoneSource::Number),
            zone("America/New_York", ZoneSource::Number),
        ];
        let with = |policy: &str| {
            let document = json!({"name": "x", "hours": {"mon": [["09:00", "17:00"]]},
                "zone_policy": policy, "zone_fallback": "refuse"});
            let zones = Settings::from_json(&document).unwrap().zones_of(&zones);
            zones.iter().map(|zone| zone.name().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(with("client"), ["America/Denver"]);
        assert_eq!(with("number"), ["America/Chicago", "America/New_York"]);
        assert_eq!(with("campaign"), ["UTC"]);
    }
}
