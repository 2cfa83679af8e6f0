//! The times to which a call may be moved, to choose from: only those its hours allow.

use callcore::time::Zone;
use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};

use super::form::Choice;
use super::frame::Visit;
use super::locale::Locale;

/// A day on the viewer's calendar with the times it offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DayTimes {
    pub(super) label: String,
    pub(super) times: Vec<Choice>,
}

/// Times by their days. Where the client lives by another clock than the viewer, each says that too.
pub(super) fn by_day(
    times: &[DateTime<Utc>],
    visit: &Visit,
    client: Option<&Zone>,
    chosen: &str,
) -> Vec<DayTimes> {
    let (today, locale) = (visit.zone.date(visit.now), Locale::here());
    let mut days: Vec<(NaiveDate, DayTimes)> = Vec::new();
    for at in times {
        let local = visit.zone.local(*at);
        let mut label = local.format(locale.clock()).to_string();
        if let Some(there) = client.map(|zone| zone.local(*at)).filter(|there| *there != local) {
            let same_day = there.date() == local.date();
            let format = if same_day { locale.clock() } else { locale.day_and_clock() };
            label = format!("{label} (there {})", there.format(format));
        }
        let value = at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let chosen = value == chosen;
        let choice = Choice::new(value, label, chosen);
        match days.last_mut() {
            Some((date, day)) if *date == local.date() => day.times.push(choice),
            _ => {
                let is_today = if local.date() == today { "Today, " } else { "" };
                let label = format!("{is_today}{}", local.format("%A %-d %B"));
                days.push((local.date(), DayTimes { label, times: vec![choice] }));
            }
        }
    }
    days.into_iter().map(|(_, day)| day).collect()
}

/// What a form sent: one of the times.
pub(super) fn read(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|at| at.with_timezone(&Utc))
}
