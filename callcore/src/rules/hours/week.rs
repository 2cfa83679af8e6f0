//! The windows of a week, as they are written and as they apply.

use chrono::{Datelike, NaiveDate};
use serde::{Deserialize, Serialize};

use crate::rules::{FieldError, Refused, excerpt};

/// Minutes of a day; as the end of a window it is written `24:00`.
pub(super) const DAY_END: u16 = 24 * 60;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// The windows of each weekday, to the minute.
///
/// A window is half-open: its start is in it, its end is not. `24:00` is the day's end. An end
/// before the start runs past midnight, and what comes after midnight belongs to the date it falls
/// on. Windows may overlap: a wall time is open if any of them holds it. They serialise as they
/// were written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WeekDocument", into = "WeekDocument")]
pub struct WeeklyHours {
    written: [Vec<Window>; 7],
    /// By date: cut at midnight, sorted, merged.
    open: [Vec<Window>; 7],
}

/// The JSON shape of [`WeeklyHours`]: `{"mon": [["09:00", "12:00"], ["13:00", "17:00"]]}`.
///
/// A weekday left out is closed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WeekDocument {
    /// Monday's windows, each a start and an end.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mon: Vec<[String; 2]>,
    /// Tuesday's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tue: Vec<[String; 2]>,
    /// Wednesday's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub wed: Vec<[String; 2]>,
    /// Thursday's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub thu: Vec<[String; 2]>,
    /// Friday's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fri: Vec<[String; 2]>,
    /// Saturday's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sat: Vec<[String; 2]>,
    /// Sunday's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sun: Vec<[String; 2]>,
}

/// Why calling hours are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HoursError {
    /// A start or end is not a time of day.
    #[error("hours.{day}[{window}]: {text:?} is not a time of day such as 09:00, up to 24:00")]
    MalformedTime {
        /// The weekday, such as `mon`.
        day: &'static str,
        /// Which of its windows, from 0.
        window: usize,
        /// What was written (its start).
        text: String,
    },
    /// A window starts where the day ends.
    #[error("hours.{day}[{window}]: a window can end at 24:00 but not start there")]
    StartsAtDayEnd {
        /// The weekday, such as `mon`.
        day: &'static str,
        /// Which of its windows, from 0.
        window: usize,
    },
    /// A window starts and ends at the same time.
    #[error("hours.{day}[{window}]: starts and ends at {at}; a whole day is 00:00 to 24:00")]
    EmptyWindow {
        /// The weekday, such as `mon`.
        day: &'static str,
        /// Which of its windows, from 0.
        window: usize,
        /// The time.
        at: String,
    },
    /// No weekday has a window.
    #[error("hours: no weekday has a window, so nobody could ever be called")]
    NoOpenWindow,
    /// The last date is before the first.
    #[error("end_on: {end_on} is before start_on, {start_on}")]
    EndsBeforeStart {
        /// The first date.
        start_on: NaiveDate,
        /// The last date.
        end_on: NaiveDate,
    },
    /// The first and last date span no date on which the hours open.
    #[error("hours: closed on every date from {start_on} to {end_on}")]
    NoOpenDate {
        /// The first date.
        start_on: NaiveDate,
        /// The last date.
        end_on: NaiveDate,
    },
}

impl FieldError for HoursError {
    fn field(&self) -> String {
        match self {
            Self::MalformedTime { day, window, .. }
            | Self::StartsAtDayEnd { day, window }
            | Self::EmptyWindow { day, window, .. } => format!("hours.{day}[{window}]"),
            Self::NoOpenWindow | Self::NoOpenDate { .. } => "hours".to_owned(),
            Self::EndsBeforeStart { .. } => "end_on".to_owned(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::MalformedTime { .. } => "malformed_time",
            Self::StartsAtDayEnd { .. } => "starts_at_day_end",
            Self::EmptyWindow { .. } => "empty_window",
            Self::NoOpenWindow => "no_open_window",
            Self::EndsBeforeStart { .. } => "ends_before_start",
            Self::NoOpenDate { .. } => "no_open_date",
        }
    }
}

/// Minutes since midnight, from `start` to just before `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Window {
    pub(super) start: u16,
    pub(super) end: u16,
}

impl WeeklyHours {
    /// The windows that hold on a date: sorted, apart from each other, none past midnight.
    pub(super) fn on(&self, date: NaiveDate) -> &[Window] {
        &self.open[date.weekday().num_days_from_monday() as usize % 7]
    }
}

impl TryFrom<WeekDocument> for WeeklyHours {
    type Error = Refused<HoursError>;

    fn try_from(week: WeekDocument) -> Result<Self, Refused<HoursError>> {
        let days = [week.mon, week.tue, week.wed, week.thu, week.fri, week.sat, week.sun];
        let mut errors = Vec::new();
        if days.iter().all(Vec::is_empty) {
            errors.push(HoursError::NoOpenWindow);
        }
        let mut written: [Vec<Window>; 7] = Default::default();
        for ((windows, day), texts) in written.iter_mut().zip(DAYS).zip(&days) {
            for (index, text) in texts.iter().enumerate() {
                match window(day, index, text) {
                    Ok(window) => windows.push(window),
                    Err(error) => errors.push(error),
                }
            }
        }
        let open = by_date(&written);
        Refused::unless(errors, Self { written, open })
    }
}

impl From<WeeklyHours> for WeekDocument {
    fn from(hours: WeeklyHours) -> Self {
        let [mon, tue, wed, thu, fri, sat, sun] = hours.written.map(|windows| {
            windows.iter().map(|window| [clock(window.start), clock(window.end)]).collect()
        });
        Self { mon, tue, wed, thu, fri, sat, sun }
    }
}

fn window(day: &'static str, window: usize, texts: &[String; 2]) -> Result<Window, HoursError> {
    let minute = |text: &String| {
        minutes(text).ok_or_else(|| HoursError::MalformedTime { day, window, text: excerpt(text) })
    };
    let [start, end] = [minute(&texts[0])?, minute(&texts[1])?];
    if start == DAY_END {
        return Err(HoursError::StartsAtDayEnd { day, window });
    }
    if start == end {
        return Err(HoursError::EmptyWindow { day, window, at: clock(start) });
    }
    Ok(Window { start, end })
}

/// Reads `HH:MM`, up to `24:00`.
fn minutes(text: &str) -> Option<u16> {
    let [h1, h2, b':', m1, m2] = *text.as_bytes() else { return None };
    let pair = |tens: u8, ones: u8| {
        let digits = tens.is_ascii_digit() && ones.is_ascii_digit();
        digits.then(|| u16::from(tens - b'0') * 10 + u16::from(ones - b'0'))
    };
    let (hour, minute) = (pair(h1, h2)?, pair(m1, m2)?);
    let minutes = hour * 60 + minute;
    (minute < 60 && minutes <= DAY_END).then_some(minutes)
}

fn clock(minutes: u16) -> String {
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

fn by_date(written: &[Vec<Window>; 7]) -> [Vec<Window>; 7] {
    let mut open: [Vec<Window>; 7] = Default::default();
    for (day, windows) in written.iter().enumerate() {
        for &Window { start, end } in windows {
            if start < end {
                open[day].push(Window { start, end });
            } else {
                open[day].push(Window { start, end: DAY_END });
                if end > 0 {
                    open[(day + 1) % 7].push(Window { start: 0, end });
                }
            }
        }
    }
    open.map(merged)
}

fn merged(mut windows: Vec<Window>) -> Vec<Window> {
    windows.sort_unstable();
    windows.dedup_by(|next, kept| {
        let touches = next.start <= kept.end;
        if touches {
            kept.end = kept.end.max(next.end);
        }
        touches
    });
    windows
}
