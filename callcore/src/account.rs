//! The account as a whole: its settings, its limits, and the switch that stops all dialling.

mod mail;
mod meter;
mod money;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

pub use mail::{Mail, SummaryAt};
pub use meter::{Day, Meter, Reading, Room};
pub use money::{Money, MoneyError, SpendPerDay};

use crate::actor::Actor;
use crate::campaign::{Fields, SettingsError};
use crate::time::Zone;

/// The most dials a second, and calls at once, that may be asked for.
const MAX_LIMIT: u32 = 10_000;
/// The longest time for which history is kept on request, in days.
const MAX_RETENTION_DAYS: u32 = 36_500;

/// The settings of the account. Everything has a default, and the default of a limit is none.
///
/// ```
/// use callcore::account::AccountSettings;
/// let settings = AccountSettings::from_json(&serde_json::json!({
///     "calls_per_second": 5,
///     "spend_per_day": {"amount": "25.00", "per_call": "0.01", "per_minute": "0.014"},
///     "mail": {"to": ["team@example.com"], "summary_at": "18:00"},
/// }))?;
/// assert_eq!(settings.calls_per_second, Some(5));
/// assert_eq!(settings.calls_at_once, None);
/// # Ok::<(), callcore::campaign::SettingsError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccountSettings {
    /// Dials a second over all campaigns; none leaves it to the campaigns.
    pub calls_per_second: Option<u32>,
    /// Outbound calls at once over all campaigns; none leaves it to the campaigns.
    pub calls_at_once: Option<u32>,
    /// What a local day may cost.
    pub spend_per_day: Option<SpendPerDay>,
    /// For how many days what was said and heard is kept; none keeps it.
    pub retention_days: Option<u32>,
    /// The zone of the account's days; none takes the server's.
    pub time_zone: Option<Zone>,
    /// Who is written to, and what.
    pub mail: Mail,
}

impl AccountSettings {
    /// Reads a settings document. A field that is absent or null has its default.
    ///
    /// # Errors
    ///
    /// Every bad or unknown field.
    pub fn from_json(document: &Value) -> Result<Self, SettingsError> {
        let mut fields = Fields::of(document);
        let calls_per_second = limit(&mut fields, "calls_per_second", MAX_LIMIT);
        let calls_at_once = limit(&mut fields, "calls_at_once", MAX_LIMIT);
        let spend_per_day = SpendPerDay::read(&mut fields);
        let retention_days = limit(&mut fields, "retention_days", MAX_RETENTION_DAYS);
        let time_zone = fields.optional("time_zone");
        let mail = Mail::read(&mut fields);
        let errors = fields.finish();
        if !errors.is_empty() {
            return Err(SettingsError(errors));
        }
        Ok(Self { calls_per_second, calls_at_once, spend_per_day, retention_days, time_zone, mail })
    }

    /// The document, complete: reading it back gives equal settings.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "calls_per_second": self.calls_per_second,
            "calls_at_once": self.calls_at_once,
            "spend_per_day": self.spend_per_day.map(SpendPerDay::to_json),
            "retention_days": self.retention_days,
            "time_zone": self.time_zone,
            "mail": self.mail.to_json(),
        })
    }
}

fn limit(fields: &mut Fields, field: &str, most: u32) -> Option<u32> {
    let value: u32 = fields.optional(field)?;
    if !(1..=most).contains(&value) {
        fields.out_of_range(field, &format!("must be from 1 to {most}, or null"));
    }
    Some(value)
}

/// Who stopped all dialling, when and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// When, on the campaign clock.
    pub at: DateTime<Utc>,
    /// Who.
    pub by: Actor,
    /// Why, in that person's words.
    pub reason: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(document: &Value) -> Vec<String> {
        let errors = AccountSettings::from_json(document).unwrap_err().0;
        errors.into_iter().map(|error| error.field).collect()
    }

    #[test]
    fn settings_read_back_as_they_were_written() {
        let settings = AccountSettings::from_json(&json!({
            "calls_per_second": 3, "calls_at_once": 40, "retention_days": 90,
            "spend_per_day": {"amount": "25", "per_call": "0.01", "per_minute": "0.0145"},
            "time_zone": "America/New_York",
            "mail": {"to": ["a@example.com", "b@example.com"], "summary_at": "off",
                "details": false},
        }))
        .unwrap();
        assert_eq!(AccountSettings::from_json(&settings.to_json()), Ok(settings));
        let none = AccountSettings::from_json(&json!({})).unwrap();
        assert_eq!(none, AccountSettings::default());
        assert_eq!(AccountSettings::from_json(&none.to_json()), Ok(none));
    }

    #[test]
    fn every_bad_field_is_named_at_once() {
        let document = json!({
            "calls_per_second": 0, "calls_at_once": "many",
            "spend_per_day": {"amount": 25, "per_call": "0.0000001", "a": 1},
            "time_zone": "Mars/Olympus",
            "mail": {"to": ["nobody", "a@example.com"], "summary_at": "25:00", "cc": []},
            "colour": "red",
        });
        assert_eq!(
            fields(&document),
            [
                "calls_per_second",
                "calls_at_once",
                "spend_per_day.amount",
                "spend_per_day.per_call",
                "spend_per_day.a",
                "time_zone",
                "mail.to[0]",
                "mail.summary_at",
                "mail.cc",
                "colour"
            ]
        );
        assert_eq!(fields(&json!([])), [""]);
        assert_eq!(fields(&json!({"mail": 1, "spend_per_day": "1"})), ["spend_per_day", "mail"]);
    }
}
