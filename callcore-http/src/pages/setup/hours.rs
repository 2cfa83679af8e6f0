//! When people may be called: the week, by whose clock, and the dates.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use callcore::actor::Role;
use callcore::campaign::{FieldError, Settings};
use callcore::id::CampaignId;
use callcore::port::CampaignView;
use callcore::rules::hours::WeekDocument;
use serde_json::{Map, Value, json};

use super::super::campaign::existing;
use super::super::form::{Choice, Errors, Form};
use super::super::frame::{Answer, Shell, Visit, page, page_with};
use super::{Saved, Setup, Step, go_on, not_saved, put};
use crate::request::Id;
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

/// How many windows of a day a form may have.
const MOST_WINDOWS: usize = 24;

/// Minutes of a day.
const DAY: u32 = 1_440;

/// Where troubles have a place on the page.
const PLACED: [&str; 8] = [
    "hours",
    "time_zone",
    "zone_policy",
    "zone_fallback",
    "start_on",
    "end_on",
    "closed_dates",
    super::STALE,
];

#[derive(Template)]
#[template(path = "setup/hours.html")]
struct HoursPage {
    shell: Shell,
    setup: Setup,
    form: Hours,
    days: Vec<Day>,
    errors: Errors,
    beside: Vec<String>,
    zones: &'static [&'static str],
}

/// What somebody filled in, as they wrote it.
#[derive(Debug, Default)]
struct Hours {
    week: [Vec<[String; 2]>; 7],
    time_zone: String,
    zone_policy: String,
    zone_fallback: String,
    start_on: String,
    end_on: String,
    closed_dates: String,
}

/// A day of the week, to be edited and to be seen.
#[derive(Debug)]
struct Day {
    key: &'static str,
    label: &'static str,
    /// Where the settings name its troubles.
    path: String,
    windows: Vec<[String; 2]>,
    /// In words.
    told: String,
    /// The minutes in which it is open, each from and how many.
    open: Vec<(u32, u32)>,
}

impl Hours {
    fn of(settings: &Settings) -> Self {
        let hours = &settings.hours;
        let week = WeekDocument::from(hours.week().clone());
        let date =
            |date: Option<chrono::NaiveDate>| date.map(|it| it.to_string()).unwrap_or_default();
        let word = |value: Value| value.as_str().unwrap_or_default().to_owned();
        let closed: Vec<String> = hours.closed_dates().iter().map(ToString::to_string).collect();
        Self {
            week: [week.mon, week.tue, week.wed, week.thu, week.fri, week.sat, week.sun],
            time_zone: settings.time_zone.name().to_owned(),
            zone_policy: word(json!(settings.zone_policy)),
            zone_fallback: word(json!(settings.zone_fallback)),
            start_on: date(hours.start_on()),
            end_on: date(hours.end_on()),
            closed_dates: closed.join(", "),
        }
    }

    fn read(form: &Form) -> Self {
        let text = |name: &str| form.text(name).to_owned();
        let window = |key: &str, index: usize| {
            let ends = ["from", "to"].map(|end| text(&format!("{key}_{index}_{end}")));
            ends.iter().any(|end| !end.is_empty()).then_some(ends)
        };
        Self {
            week: DAYS
                .map(|(key, _)| (0..MOST_WINDOWS).filter_map(|index| window(key, index)).collect()),
            time_zone: text("time_zone"),
            zone_policy: text("zone_policy"),
            zone_fallback: text("zone_fallback"),
            start_on: text("start_on"),
            end_on: text("end_on"),
            closed_dates: text("closed_dates"),
        }
    }

    fn policies(&self) -> Vec<Choice> {
        choices(
            &self.zone_policy,
            &[
                ("client", "where the person is"),
                ("number", "of the number's zones"),
                ("campaign", "of the campaign"),
            ],
        )
    }

    fn fallbacks(&self) -> Vec<Choice> {
        choices(
            &self.zone_fallback,
            &[
                ("campaign", "the campaign's counts"),
                ("all_of_country", "all of the country count"),
                ("refuse", "nobody is called"),
            ],
        )
    }

    /// The fields of the settings, with what can't even be put into them.
    fn fields(&self, errors: &mut Vec<FieldError>) -> Map<String, Value> {
        let mut week = Map::new();
        for ((key, _), windows) in DAYS.iter().zip(&self.week) {
            let mut written = Vec::new();
            for (index, [from, to]) in windows.iter().enumerate() {
                if from.is_empty() || to.is_empty() {
                    let words = "a window needs both its start and its end";
                    errors.push(FieldError::new(
                        format!("hours.{key}[{index}]"),
                        "required",
                        words,
                    ));
                }
                // A browser's clock ends at 23:59: midnight as an end is the day's.
                let to = if to == "00:00" { "24:00" } else { to };
                written.push(json!([from, to]));
            }
            if !written.is_empty() {
                week.insert((*key).to_owned(), Value::from(written));
            }
        }
        let date = |text: &str| if text.is_empty() { Value::Null } else { json!(text) };
        let closed = self.closed_dates.split([',', ';', ' ', '\n', '\r']);
        let closed: Vec<&str> = closed.filter(|date| !date.is_empty()).collect();
        Map::from_iter([
            ("hours".to_owned(), Value::Object(week)),
            ("time_zone".to_owned(), json!(self.time_zone)),
            ("zone_policy".to_owned(), json!(self.zone_policy)),
            ("zone_fallback".to_owned(), json!(self.zone_fallback)),
            ("start_on".to_owned(), date(&self.start_on)),
            ("end_on".to_owned(), date(&self.end_on)),
            ("closed_dates".to_owned(), json!(closed)),
        ])
    }

    fn days(&self) -> Vec<Day> {
        let open = open(&self.week);
        DAYS.iter()
            .zip(&self.week)
            .zip(open)
            .map(|(((key, label), windows), open)| {
                let told: Vec<String> =
                    windows.iter().map(|[from, to]| format!("{from}–{to}")).collect();
                // There is always room for one more.
                let with_room = windows.iter().cloned().chain([<[String; 2]>::default()]);
                let at_midnight = |[from, to]: [String; 2]| {
                    [from, if to == "24:00" { "00:00".to_owned() } else { to }]
                };
                Day {
                    key,
                    label,
                    path: format!("hours.{key}"),
                    windows: with_room.map(at_midnight).collect(),
                    told: if told.is_empty() { "closed".to_owned() } else { told.join(", ") },
                    open,
                }
            })
            .collect()
    }
}

/// The minutes in which each day is open; what runs past midnight is the next day's.
fn open(week: &[Vec<[String; 2]>; 7]) -> [Vec<(u32, u32)>; 7] {
    let mut open: [Vec<(u32, u32)>; 7] = Default::default();
    for (day, windows) in week.iter().enumerate() {
        for [from, to] in windows {
            let (Some(from), Some(to)) = (minute(from), minute(to)) else { continue };
            if from < to {
                open[day].push((from, to - from));
            } else if from > to {
                open[day].push((from, DAY.saturating_sub(from)));
                open[(day + 1) % 7].push((0, to));
            }
        }
    }
    open
}

fn minute(text: &str) -> Option<u32> {
    let (hours, minutes) = text.split_once(':')?;
    let minute = hours.parse::<u32>().ok()?.checked_mul(60)? + minutes.parse::<u32>().ok()?;
    (minute <= DAY).then_some(minute)
}

pub(super) fn choices(chosen: &str, all: &[(&str, &str)]) -> Vec<Choice> {
    all.iter().map(|(value, label)| Choice::new(value, *label, *value == chosen)).collect()
}

pub(super) async fn show(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CampaignId>,
) -> Answer {
    visit.require(Role::Admin)?;
    let view = existing(&state, id).await?;
    let form = Hours::of(&view.campaign.settings);
    Ok(page(&hours_page(&state, &visit, &view, form, Vec::new())))
}

fn hours_page(
    state: &ApiState,
    visit: &Visit,
    view: &CampaignView,
    form: Hours,
    errors: Vec<FieldError>,
) -> HoursPage {
    let setup = Setup::new(state, visit, view, Step::Hours);
    let shell = setup.shell(state, visit);
    let shell = if errors.is_empty() { shell } else { shell.with_trouble(not_saved(&errors)) };
    let errors = Errors(errors);
    HoursPage {
        shell,
        setup,
        days: form.days(),
        form,
        beside: errors.beside(&PLACED),
        errors,
        zones: &ZONES,
    }
}

pub(super) async fn save(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CampaignId>,
    form: Form,
) -> Answer {
    visit.require(Role::Admin)?;
    let view = existing(&state, id).await?;
    let mut hours = Hours::read(&form);
    // Without a script, these buttons are how windows are copied and room is made for more.
    let days = match form.text("do") {
        "copy_weekdays" => Some(1..5),
        "copy_all" => Some(1..7),
        "more" => Some(0..0),
        _ => None,
    };
    if let Some(days) = days {
        let monday = hours.week[0].clone();
        hours.week[days].fill(monday);
        return Ok(page(&hours_page(&state, &visit, &view, hours, Vec::new())));
    }
    let mut errors = Vec::new();
    let fields = hours.fields(&mut errors);
    let saved = if errors.is_empty() {
        put(&state, &visit, &view, &form, fields).await?
    } else {
        Saved::Wrong(errors)
    };
    match saved {
        Saved::Done => Ok(go_on(&view, &form, "hours", Step::Rules)),
        Saved::Wrong(errors) => {
            let page = hours_page(&state, &visit, &view, hours, errors);
            Ok(page_with(StatusCode::UNPROCESSABLE_ENTITY, &page))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_past_midnight_is_drawn_on_the_next_day() {
        let mut week: [Vec<[String; 2]>; 7] = Default::default();
        week[6] = vec![["22:00".to_owned(), "02:00".to_owned()]];
        week[1] = vec![["09:00".to_owned(), "24:00".to_owned()], ["x".to_owned(), String::new()]];
        let open = open(&week);
        assert_eq!((&open[6], &open[0]), (&vec![(1_320, 120)], &vec![(0, 120)]));
        assert_eq!(open[1], [(540, 900)]);
    }
}
