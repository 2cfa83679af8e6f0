//! The demo: a campaign of fictional people that is worth watching, put together as a person would
//! do it, with an uploaded list.

mod people;

use std::sync::Arc;

use callcore::actor::Actor;
use callcore::campaign::{Settings, Transition};
use callcore::desk::Desk;
use callcore::dnc::{DncEntry, DncScope, DncSource};
use callcore::id::CampaignId;
use callcore::port::{By, NewCampaign, Store};
use callcore::time::{Entropy, Zone};
use chrono::{DateTime, Datelike, TimeDelta, Utc, Weekday};
use serde_json::{Value, json};

const ZONE: &str = "America/New_York";
const FILE: &str = "appointments.csv";

type Error = Box<dyn std::error::Error + Send + Sync>;

/// The next weekday's ten o'clock in New York: the demo is inside its hours from its first second,
/// and the zones further west open while one watches.
pub(crate) fn opening(now: DateTime<Utc>) -> DateTime<Utc> {
    let Ok(zone) = ZONE.parse::<Zone>() else { return now };
    let is_workday =
        |at: &DateTime<Utc>| !matches!(zone.date(*at).weekday(), Weekday::Sat | Weekday::Sun);
    zone.date(now)
        .iter_days()
        .map(|date| zone.start_of(date) + TimeDelta::hours(10))
        .filter(is_workday)
        .find(|at| *at >= now)
        .unwrap_or(now)
}

/// Puts the demo into an empty store and starts it.
///
/// # Errors
///
/// The store failed.
pub(crate) async fn create(
    store: &Arc<dyn Store>,
    desk: &Desk,
    entropy: &dyn Entropy,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let by = By::new(&Actor::System, now);
    for phone in people::do_not_call() {
        let entry = DncEntry {
            phone,
            scope: DncScope::Global,
            reason: "asked not to be called".to_owned(),
            source: DncSource::Manual,
            added_by: Actor::System,
            created_at: now,
        };
        desk.add_dnc(by, entry).await?;
    }
    let settings = Arc::new(Settings::from_json(&settings())?);
    let id = CampaignId::new(now, entropy);
    store.create_campaign(by, NewCampaign { id, settings: Arc::clone(&settings) }).await?;
    desk.import_csv(by, id, &settings, FILE, people::csv().as_bytes()).await?;
    store.change_state(by, id, Transition::Start).await?;
    Ok(())
}

fn settings() -> Value {
    let day = json!([["09:00", "18:00"]]);
    json!({
        "name": "Appointment reminders (demo)",
        "subject": "Appointments",
        "hours": {"mon": day, "tue": day, "wed": day, "thu": day, "fri": day},
        "time_zone": ZONE,
        "retry": {"connect": ["later_same_day"], "voicemail": ["PT1H", "next_day"], "max_attempts": 3},
        "voicemail": {"policy": "hang_up_and_retry"},
        "pacing": {"max_concurrent": 4, "calls_per_second": 1},
        "recording": true,
        "transcription": true,
        "script": {
            "notice": "This call is recorded.",
            "steps": [
                {"say": "Hello {{name|there}}, this is the Harbor Street practice."},
                {"say": "We look forward to seeing you tomorrow at {{Appointment|your usual time}}."},
                {"say": "Press 1 to confirm, 0 to talk to us, or 9 if you do not want such calls."}
            ],
            "keys": {
                "1": {"tag": "confirmed"}, "0": {"transfer": "+12125550100"}, "9": "opt_out"
            }
        },
        "inbound": {
            "notice": "This call is recorded.",
            "steps": [
                {"say": "Thank you for calling the Harbor Street practice back."},
                {"say": "Press 1 to confirm your appointment, or 9 if you do not want such calls."},
                {"say": "To leave us a message, speak after the beep."},
                {"record": {}},
                {"say": "Thank you, we will listen to it today. Goodbye."}
            ],
            "keys": {"1": {"tag": "confirmed"}, "9": "opt_out"}
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn the_demo_opens_on_the_next_weekday_at_ten_in_new_york() {
        // A Friday at nine, ten and eleven; New York is four hours behind in summer, five in winter.
        assert_eq!(opening(at("2026-06-05T13:00:00Z")), at("2026-06-05T14:00:00Z"));
        assert_eq!(opening(at("2026-06-05T14:00:00Z")), at("2026-06-05T14:00:00Z"));
        assert_eq!(opening(at("2026-06-05T15:00:00Z")), at("2026-06-08T14:00:00Z"));
        assert_eq!(opening(at("2026-12-06T00:00:00Z")), at("2026-12-07T15:00:00Z"));
    }

    #[test]
    fn the_demo_is_inside_its_hours_when_it_opens() {
        let settings = Settings::from_json(&settings()).unwrap();
        let opening = opening(at("2026-11-28T03:00:00Z"));
        let zone = std::slice::from_ref(&settings.time_zone);
        let next = settings.hours.next_allowed(opening, zone);
        assert_eq!(next, callcore::rules::hours::NextAllowed::At(opening));
    }
}
