//! Calling hours: at which instants a client may be called.
//!
//! An instant is judged by the wall clock it shows in a zone. It is allowed when the local date is
//! open and the local time lies in a window of that weekday; with several candidate zones it must
//! be allowed in each of them, by that zone's own date. So skipped wall times never happen (a
//! window that starts in a gap opens after it, one wholly inside a gap gives nothing) and repeated
//! wall times count both times.
//!
//! [`Layers`] joins the hours of a campaign with those of a jurisdiction or a client: all must
//! allow, so a layer can only tighten.

mod week;

#[cfg(test)]
mod brute;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike, Utc};

pub use week::{HoursError, WeekDocument, WeeklyHours};

use crate::time::Zone;
use week::Window;

/// How far ahead an allowed instant is looked for.
pub const HORIZON: TimeDelta = TimeDelta::days(400);

/// How far ahead the end of a window is looked for: nobody asks further, and hours that never close
/// would be walked through day by day.
pub const LONGEST_WINDOW: TimeDelta = TimeDelta::days(7);

/// The hours of one party: weekly windows, dates without calls, first and last date.
///
/// ```
/// use callcore::rules::hours::{CallingHours, NextAllowed, WeeklyHours};
/// use callcore::time::Zone;
///
/// let week: WeeklyHours = serde_json::from_str(r#"{"mon": [["09:00", "17:00"]]}"#)?;
/// let hours = CallingHours::new(week, ["2026-03-09".parse()?].into(), None, None)?;
/// let zones = ["America/New_York".parse::<Zone>()?];
/// // The second Monday of March is closed, and the third one has daylight time.
/// let friday = "2026-03-06T12:00:00Z".parse()?;
/// let opening = "2026-03-16T13:00:00Z".parse()?;
/// assert!(!hours.allowed(friday, &zones));
/// assert_eq!(hours.next_allowed(friday, &zones), NextAllowed::At(opening));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallingHours {
    week: WeeklyHours,
    closed: BTreeSet<NaiveDate>,
    start_on: Option<NaiveDate>,
    end_on: Option<NaiveDate>,
}

/// When calling is allowed next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextAllowed {
    /// The earliest allowed instant.
    At(DateTime<Utc>),
    /// No instant within [`HORIZON`] is allowed.
    Never,
}

/// Hours, and the candidate zones whose wall clocks they are read from.
#[derive(Debug, Clone, Copy)]
pub struct Layer<'a> {
    /// The hours that must allow a call.
    pub hours: &'a CallingHours,
    /// The zones the client may be in. With none at all nothing is ever allowed: whose clock can't
    /// be read can't be called.
    pub zones: &'a [Zone],
}

/// Layers of hours that must all allow a call, in all of their zones.
///
/// No layer at all allows nothing, rather than everything.
#[derive(Debug, Clone, Copy)]
pub struct Layers<'a>(pub &'a [Layer<'a>]);

impl CallingHours {
    /// Hours that hold from `start_on` to `end_on`, both inclusive local dates, but not on the
    /// dates in `closed`.
    ///
    /// # Errors
    ///
    /// `end_on` is before `start_on`, or no date from the one to the other is open.
    pub fn new(
        week: WeeklyHours,
        closed: BTreeSet<NaiveDate>,
        start_on: Option<NaiveDate>,
        end_on: Option<NaiveDate>,
    ) -> Result<Self, HoursError> {
        let hours = Self { week, closed, start_on, end_on };
        if let (Some(start_on), Some(end_on)) = (start_on, end_on) {
            if end_on < start_on {
                return Err(HoursError::EndsBeforeStart { start_on, end_on });
            }
            let mut dates = start_on.iter_days().take_while(|date| *date <= end_on);
            if dates.all(|date| hours.windows_on(date).is_empty()) {
                return Err(HoursError::NoOpenDate { start_on, end_on });
            }
        }
        Ok(hours)
    }

    /// The windows of the week, as they were written.
    #[must_use]
    pub const fn week(&self) -> &WeeklyHours {
        &self.week
    }

    /// The local dates on which nobody is called.
    #[must_use]
    pub const fn closed_dates(&self) -> &BTreeSet<NaiveDate> {
        &self.closed
    }

    /// The first local date of these hours.
    #[must_use]
    pub const fn start_on(&self) -> Option<NaiveDate> {
        self.start_on
    }

    /// The last local date of these hours.
    #[must_use]
    pub const fn end_on(&self) -> Option<NaiveDate> {
        self.end_on
    }

    /// [`Layers::allowed`] with these hours alone.
    #[must_use]
    pub fn allowed(&self, at: DateTime<Utc>, zones: &[Zone]) -> bool {
        Layers(&[Layer { hours: self, zones }]).allowed(at)
    }

    /// [`Layers::next_allowed`] with these hours alone.
    #[must_use]
    pub fn next_allowed(&self, at: DateTime<Utc>, zones: &[Zone]) -> NextAllowed {
        Layers(&[Layer { hours: self, zones }]).next_allowed(at)
    }

    /// [`Layers::window_end`] with these hours alone.
    #[must_use]
    pub fn window_end(&self, at: DateTime<Utc>, zones: &[Zone]) -> Option<DateTime<Utc>> {
        Layers(&[Layer { hours: self, zones }]).window_end(at)
    }

    fn windows_on(&self, date: NaiveDate) -> &[Window] {
        let off = self.start_on.is_some_and(|start| date < start)
            || self.end_on.is_some_and(|end| date > end)
            || self.closed.contains(&date);
        if off { &[] } else { self.week.on(date) }
    }

    /// The end of the window that `local` lies in.
    fn open_until(&self, local: NaiveDateTime) -> Option<NaiveDateTime> {
        let minute = minute_of(local);
        let window =
            self.windows_on(local.date()).iter().find(|w| w.start <= minute && minute < w.end)?;
        Some(at_minute(local.date(), window.end))
    }

    /// A wall time before which these hours can't open, given that they are closed at `local`.
    fn closed_until(&self, local: NaiveDateTime) -> NaiveDateTime {
        let mut date = local.date();
        if self.end_on.is_some_and(|end| date > end) {
            return NaiveDateTime::MAX;
        }
        if let Some(start) = self.start_on.filter(|start| date < *start) {
            return at_minute(start, 0);
        }
        let minute = minute_of(local);
        if let Some(window) = self.windows_on(date).iter().find(|w| w.start > minute) {
            return at_minute(date, window.start);
        }
        for _ in 0..7 {
            let Some(next) = date.succ_opt() else { return NaiveDateTime::MAX };
            date = next;
            if let Some(window) = self.windows_on(date).first() {
                return at_minute(date, window.start);
            }
        }
        at_minute(date, week::DAY_END)
    }
}

impl<'a> Layers<'a> {
    /// Whether a call may be placed at an instant.
    #[must_use]
    pub fn allowed(&self, at: DateTime<Utc>) -> bool {
        self.can_be_judged()
            && self.clocks().all(|(hours, zone)| {
                Reading::of(zone, at).is_some_and(|wall| hours.open_until(wall.local).is_some())
            })
    }

    /// The earliest allowed instant that is not before `at`.
    #[must_use]
    pub fn next_allowed(&self, at: DateTime<Utc>) -> NextAllowed {
        self.search(at, horizon(at))
    }

    /// The earliest allowed instant at which every candidate zone shows a later date than it
    /// showed at `at`.
    #[must_use]
    pub fn next_allowed_on_later_date(&self, at: DateTime<Utc>) -> NextAllowed {
        let mut candidate = at;
        loop {
            let NextAllowed::At(allowed) = self.search(candidate, horizon(at)) else {
                return NextAllowed::Never;
            };
            let same_day_until = self
                .clocks()
                .filter_map(|(_, zone)| {
                    let wall = Reading::of(zone, allowed)?;
                    let before = Reading::of(zone, at)?.local.date();
                    let midnight = at_minute(wall.local.date(), week::DAY_END);
                    (wall.local.date() <= before).then(|| wall.instant_of(midnight))
                })
                .max();
            match same_day_until {
                None => return NextAllowed::At(allowed),
                Some(until) if until > allowed => candidate = until,
                Some(_) => return NextAllowed::Never,
            }
        }
    }

    /// The first later instant that is not allowed, at most [`LONGEST_WINDOW`] ahead; `None` if
    /// `at` is not allowed itself.
    #[must_use]
    pub fn window_end(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if !self.allowed(at) {
            return None;
        }
        let limit = ahead(at, LONGEST_WINDOW);
        let mut end = at;
        while end < limit && self.allowed(end) {
            let open_until = self
                .clocks()
                .filter_map(|(hours, zone)| {
                    let wall = Reading::of(zone, end)?;
                    Some(wall.instant_of(hours.open_until(wall.local)?))
                })
                .min();
            match open_until {
                Some(until) if until > end => end = until,
                _ => break,
            }
        }
        Some(end.min(limit))
    }

    /// Allowed instants for people to choose from: where a window opens, and in it each whole `step`
    /// of the clock, from the first one at or after `at` on over so many days, at most `most`.
    #[must_use]
    pub fn times(
        &self,
        at: DateTime<Utc>,
        step: TimeDelta,
        days: TimeDelta,
        most: usize,
    ) -> Vec<DateTime<Utc>> {
        let NextAllowed::At(first) = self.next_allowed(whole_step(at, step)) else {
            return Vec::new();
        };
        let (mut times, mut next, end) = (Vec::new(), first, ahead(first, days));
        while times.len() < most
            && let NextAllowed::At(time) = self.search(next, end)
            && time < end
        {
            times.push(time);
            next = whole_step(time + TimeDelta::seconds(1), step);
        }
        times
    }

    /// Jumps from one closed stretch to its end until nothing is closed.
    fn search(&self, from: DateTime<Utc>, limit: DateTime<Utc>) -> NextAllowed {
        if !self.can_be_judged() {
            return NextAllowed::Never;
        }
        let mut at = from;
        while at <= limit {
            let closed_until = self
                .clocks()
                .filter_map(|(hours, zone)| match Reading::of(zone, at) {
                    None => Some(DateTime::<Utc>::MAX_UTC),
                    Some(wall) if hours.open_until(wall.local).is_some() => None,
                    Some(wall) => Some(wall.instant_of(hours.closed_until(wall.local))),
                })
                .max();
            match closed_until {
                None => return NextAllowed::At(at),
                Some(until) if until > at => at = until,
                // The end of representable time.
                Some(_) => break,
            }
        }
        NextAllowed::Never
    }

    fn clocks(&self) -> impl Iterator<Item = (&'a CallingHours, &'a Zone)> {
        self.0.iter().flat_map(|layer| layer.zones.iter().map(|zone| (layer.hours, zone)))
    }

    fn can_be_judged(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(|layer| !layer.zones.is_empty())
    }
}

/// What a zone's wall clock shows at an instant.
struct Reading<'a> {
    zone: &'a Zone,
    at: DateTime<Utc>,
    offset: TimeDelta,
    local: NaiveDateTime,
}

impl<'a> Reading<'a> {
    /// `None` at the ends of representable time.
    fn of(zone: &'a Zone, at: DateTime<Utc>) -> Option<Self> {
        let offset = TimeDelta::seconds(i64::from(zone.offset_seconds(at)));
        let local = at.naive_utc().checked_add_signed(offset)?;
        Some(Self { zone, at, offset, local })
    }

    /// The instant at which the clock reaches a later wall time, or its offset changes: up to then
    /// wall time runs in step with the instant, so nothing between the two can be missed.
    fn instant_of(&self, local: NaiveDateTime) -> DateTime<Utc> {
        let reached = local.checked_sub_signed(self.offset).map(|utc| utc.and_utc());
        let changed = self.zone.next_transition(self.at);
        reached.into_iter().chain(changed).min().unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

fn horizon(at: DateTime<Utc>) -> DateTime<Utc> {
    ahead(at, HORIZON)
}

fn ahead(at: DateTime<Utc>, by: TimeDelta) -> DateTime<Utc> {
    at.checked_add_signed(by).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// The first instant at or after `at` that is a whole number of steps.
fn whole_step(at: DateTime<Utc>, step: TimeDelta) -> DateTime<Utc> {
    let step = step.num_seconds().max(1);
    let seconds = at.timestamp() + i64::from(at.timestamp_subsec_nanos() > 0);
    let rest = seconds.rem_euclid(step);
    let whole = if rest == 0 { seconds } else { seconds + step - rest };
    DateTime::from_timestamp(whole, 0).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

fn minute_of(local: NaiveDateTime) -> u16 {
    let minute = local.time().num_seconds_from_midnight() / 60;
    u16::try_from(minute).unwrap_or(week::DAY_END)
}

/// A wall time of a date; minute 1440 is the next date's midnight.
fn at_minute(date: NaiveDate, minute: u16) -> NaiveDateTime {
    let midnight = date.and_time(NaiveTime::MIN);
    midnight.checked_add_signed(TimeDelta::minutes(i64::from(minute))).unwrap_or(NaiveDateTime::MAX)
}
