use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use callcore::campaign::FieldError;
use callcore::port::{CallOrder, CallSort, Cursor, SortKey};
use callcore::time::Zone;
use chrono::{DateTime, NaiveDate, Utc};

use crate::problem::Problem;
use crate::state::ApiState;

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;

/// The longest text that is searched for, in characters.
const MAX_Q_CHARS: usize = 200;

/// The keys of a query string, taken out one by one; what nobody takes is unknown. Every bad key is
/// named at once.
#[derive(Debug)]
pub struct Query {
    pairs: Vec<(String, String)>,
    errors: Vec<FieldError>,
}

/// A stretch of time, half-open; an end that is none is not bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Instants {
    /// Its first instant.
    pub from: Option<DateTime<Utc>>,
    /// The first instant after it.
    pub to: Option<DateTime<Utc>>,
}

impl FromRequestParts<ApiState> for Query {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &ApiState) -> Result<Self, Problem> {
        let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|_| Problem::field("", "invalid", "the query can't be read"))?;
        let mut query = Self { pairs: pairs.0, errors: Vec::new() };
        // No database keeps a NUL, so none is looked for.
        let with_nul =
            |(key, value): &&(String, String)| key.contains('\0') || value.contains('\0');
        let bad: Vec<String> =
            query.pairs.iter().filter(with_nul).map(|(key, _)| key.replace('\0', " ")).collect();
        for key in bad {
            query.refuse(&key, "holds a NUL character");
        }
        Ok(query)
    }
}

impl Query {
    /// The keys that are left, each once.
    pub(crate) fn keys(&self) -> BTreeSet<String> {
        self.pairs.iter().map(|(key, _)| key.clone()).collect()
    }

    /// Every value of a key that may repeat; empty ones don't count.
    pub fn texts(&mut self, key: &str) -> Vec<String> {
        let (taken, rest) =
            std::mem::take(&mut self.pairs).into_iter().partition(|(k, _)| k == key);
        self.pairs = rest;
        let taken: Vec<(String, String)> = taken;
        taken.into_iter().map(|(_, value)| value).filter(|value| !value.is_empty()).collect()
    }

    /// The value of a key that may be there once.
    pub fn text(&mut self, key: &str) -> Option<String> {
        let mut values = self.texts(key);
        if values.len() > 1 {
            self.refuse(key, "may be there only once");
        }
        values.pop()
    }

    /// Every value of a key that may repeat, read.
    pub fn many<T>(&mut self, key: &str, read: impl Fn(&str) -> Option<T>) -> Vec<T> {
        let texts = self.texts(key);
        let values: Vec<T> = texts.iter().filter_map(|text| read(text)).collect();
        if values.len() < texts.len() {
            self.refuse(key, "has a value that is not known");
        }
        values
    }

    /// The value of a key that may be there once, read.
    pub fn one<T>(&mut self, key: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        let text = self.text(key)?;
        let value = read(&text);
        if value.is_none() {
            self.refuse(key, "has a value that is not known");
        }
        value
    }

    /// What is searched for, under `q`.
    pub fn q(&mut self) -> Option<String> {
        let q = self.text("q")?;
        if q.chars().count() > MAX_Q_CHARS {
            self.refuse("q", format!("at most {MAX_Q_CHARS} characters"));
        }
        Some(q.trim().to_owned()).filter(|q| !q.is_empty())
    }

    /// How many rows are wanted: 1 to 200, 50 if it isn't said.
    pub fn limit(&mut self) -> u32 {
        let Some(text) = self.text("limit") else { return DEFAULT_LIMIT };
        let limit = text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
        limit.unwrap_or_else(|| {
            self.refuse("limit", format!("must be from 1 to {MAX_LIMIT}"));
            DEFAULT_LIMIT
        })
    }

    /// The whole query of a list that is sorted by instants and has no filters: where it goes on, and
    /// how many rows are wanted.
    ///
    /// # Errors
    ///
    /// A 400 that names every bad and unknown key.
    pub fn only_paging(mut self) -> Result<(Option<Cursor>, u32), Problem> {
        let paging = (self.cursor(), self.limit());
        self.finish()?;
        Ok(paging)
    }

    /// Where a list goes on that is sorted by instants.
    pub fn cursor(&mut self) -> Option<Cursor> {
        self.cursor_by(|key| matches!(key, SortKey::At(_)))
    }

    /// Where a list goes on whose keys are of a certain kind.
    pub fn cursor_by(&mut self, of_list: impl Fn(&SortKey) -> bool) -> Option<Cursor> {
        self.one("cursor", |text| Cursor::from_str(text).ok().filter(|cursor| of_list(&cursor.key)))
    }

    /// In which order calls are listed, of those the list has, and where it goes on.
    pub fn call_order(&mut self, sorts: &[CallSort]) -> (Option<CallOrder>, Option<Cursor>) {
        let order = self.one("sort", |text| {
            let (descending, name) = match text.strip_prefix('-') {
                Some(name) => (true, name),
                None => (false, text),
            };
            let by = match name {
                "date" => CallSort::Date,
                "name" => CallSort::Name,
                "duration" => CallSort::Duration,
                _ => return None,
            };
            sorts.contains(&by).then_some(CallOrder { by, descending })
        });
        let cursor = self.cursor_by(|key| match order.map_or(CallSort::Date, |order| order.by) {
            CallSort::Date => matches!(key, SortKey::At(_)),
            CallSort::Name => matches!(key, SortKey::Text(_)),
            CallSort::Duration => matches!(key, SortKey::Number(_)),
        });
        (order, cursor)
    }

    /// The viewer's zone, under `zone`.
    pub fn zone(&mut self, default: &Zone) -> Zone {
        self.one("zone", |text| text.parse().ok()).unwrap_or_else(|| default.clone())
    }

    /// The stretch under `from` and `to`: dates of the viewer's zone, `to` inclusive, or instants.
    pub fn instants(&mut self, zone: &Zone) -> Instants {
        let from = self.one("from", |text| instant(text, zone, false));
        let to = self.one("to", |text| instant(text, zone, true));
        if from.zip(to).is_some_and(|(from, to)| to <= from) {
            self.refuse("to", "must be after from");
        }
        Instants { from, to }
    }

    /// Says what is wrong with a key.
    pub fn refuse(&mut self, key: &str, message: impl fmt::Display) {
        self.errors.push(FieldError::new(key, "invalid", message.to_string()));
    }

    /// The end: nothing may be wrong, and nothing may be left.
    ///
    /// # Errors
    ///
    /// A 400 that names every bad and unknown key.
    pub fn finish(mut self) -> Result<(), Problem> {
        for (key, _) in &self.pairs {
            if !self.errors.iter().any(|error| error.field == *key) {
                self.errors.push(FieldError::new(key, "unknown_field", "is not known here"));
            }
        }
        if self.errors.is_empty() { Ok(()) } else { Err(Problem::fields(self.errors)) }
    }
}

fn instant(text: &str, zone: &Zone, ends: bool) -> Option<DateTime<Utc>> {
    if let Ok(date) = text.parse::<NaiveDate>() {
        let date = if ends { date.succ_opt()? } else { date };
        return Some(zone.start_of(date));
    }
    DateTime::parse_from_rfc3339(text).ok().map(|at| at.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        let uri = format!("/?{text}").parse().unwrap();
        let pairs = axum::extract::Query::try_from_uri(&uri).unwrap();
        Query { pairs: pairs.0, errors: Vec::new() }
    }

    #[test]
    fn dates_are_the_viewers_and_the_last_one_counts_whole() {
        let zone: Zone = "America/New_York".parse().unwrap();
        let mut query = query("from=2026-11-23&to=2026-11-23");
        let Instants { from, to } = query.instants(&zone);
        assert_eq!(from, Some("2026-11-23T05:00:00Z".parse().unwrap()));
        assert_eq!(to, Some("2026-11-24T05:00:00Z".parse().unwrap()));
        assert!(query.finish().is_ok());
    }

    #[test]
    fn instants_are_taken_as_they_are() {
        let mut query = query("from=2026-11-23T08:00:00%2B01:00&to=2026-11-23T09:00:00Z");
        let Instants { from, to } = query.instants(&Zone::utc());
        assert_eq!(from, Some("2026-11-23T07:00:00Z".parse().unwrap()));
        assert_eq!(to, Some("2026-11-23T09:00:00Z".parse().unwrap()));
    }

    #[test]
    fn a_stretch_that_ends_before_it_begins_is_refused() {
        for (text, good) in [
            ("from=2026-11-24&to=2026-11-23", false),
            ("from=2026-11-23T09:00:00Z&to=2026-11-23T08:00:00Z", false),
            ("from=2026-11-23&to=2026-11-23", true),
        ] {
            let mut query = query(text);
            query.instants(&Zone::utc());
            assert_eq!(query.finish().is_ok(), good, "{text}");
        }
    }

    #[test]
    fn every_bad_key_is_named_at_once() {
        let mut query = query("limit=0&cursor=x&from=yesterday&colour=red&q=a&q=b");
        query.limit();
        query.cursor();
        query.q();
        query.instants(&Zone::utc());
        let problem = query.finish().unwrap_err();
        let fields: Vec<&str> = problem.errors().iter().map(|error| &*error.field).collect();
        assert_eq!(fields, ["limit", "cursor", "q", "from", "colour"]);
    }
}
