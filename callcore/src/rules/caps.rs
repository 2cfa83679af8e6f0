//! Caps: how many attempts on a number a stretch of time may hold.
//!
//! A cap's window rolls with the instant that is judged. An attempt counts from its own instant to
//! just before that instant plus the window's length (half-open): with three per `PT24H`, a fourth
//! may follow exactly 24 hours after the first. All caps hold at once.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{FieldError, IsoDuration, Refused, excerpt};

/// The most attempts a cap may allow.
pub const MAX_ATTEMPTS: u32 = 1000;

/// The most caps there may be.
pub const MAX_CAPS: usize = 16;

const MAX_WINDOW_SECONDS: u32 = 90 * 86_400;

/// As far as any cap looks back.
pub const LONGEST_WINDOW: TimeDelta = TimeDelta::seconds(MAX_WINDOW_SECONDS as i64);

/// At most so many attempts on one number in a rolling window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cap {
    max: u32,
    per: IsoDuration,
}

/// Caps that all hold.
///
/// ```
/// use callcore::rules::caps::Caps;
/// let caps: Caps = serde_json::from_str(r#"[{"max": 1, "per": "PT24H"}]"#)?;
/// let first = "2026-03-02T15:00:00Z".parse()?;
/// let later = "2026-03-02T18:00:00Z".parse()?;
/// assert_eq!(caps.next_free(&[first], later).to_rfc3339(), "2026-03-03T15:00:00+00:00");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<CapDocument>", into = "Vec<CapDocument>")]
pub struct Caps(Vec<Cap>);

/// The JSON shape of a cap: `{"max": 3, "per": "PT24H", "count": "attempts", "key": "number"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CapDocument {
    /// How many the window may hold, from 1.
    pub max: i64,
    /// The window's length, an ISO 8601 duration.
    pub per: String,
    /// What is counted: `attempts`.
    #[serde(default = "attempts")]
    pub count: String,
    /// What it is counted for: `number`.
    #[serde(default = "number")]
    pub key: String,
}

/// Why caps are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CapError {
    /// How many is out of range.
    #[error("caps[{cap}].max: from 1 to {MAX_ATTEMPTS}, not {max}")]
    Max {
        /// Which cap, from 0.
        cap: usize,
        /// What was asked for.
        max: i64,
    },
    /// The window's length is none, or out of range.
    #[error("caps[{cap}].per: {text:?} is not an ISO 8601 duration from PT1S to P90D")]
    Per {
        /// Which cap, from 0.
        cap: usize,
        /// What was written (its start).
        text: String,
    },
    /// It would count something that isn't known.
    #[error("caps[{cap}].count: {text:?} is not known; use attempts")]
    Count {
        /// Which cap, from 0.
        cap: usize,
        /// What was written (its start).
        text: String,
    },
    /// It would count for something that isn't known.
    #[error("caps[{cap}].key: {text:?} is not known; use number")]
    Key {
        /// Which cap, from 0.
        cap: usize,
        /// What was written (its start).
        text: String,
    },
    /// There are too many.
    #[error("caps: at most {MAX_CAPS}, not {0}")]
    TooMany(usize),
}

impl Cap {
    /// How many attempts the window may hold.
    #[must_use]
    pub const fn max(self) -> u32 {
        self.max
    }

    /// The window's length.
    #[must_use]
    pub const fn per(self) -> IsoDuration {
        self.per
    }

    fn next_free(self, attempts: &[DateTime<Utc>], now: DateTime<Utc>) -> DateTime<Utc> {
        // One more fits as soon as the `max`-th latest attempt has left the window.
        let Some(index) = attempts.len().checked_sub(self.max as usize) else { return now };
        let Some(attempt) = attempts.get(index) else { return now };
        let leaves = attempt.checked_add_signed(self.per.delta());
        leaves.unwrap_or(DateTime::<Utc>::MAX_UTC).max(now)
    }
}

impl Caps {
    /// The single caps.
    #[must_use]
    pub fn as_slice(&self) -> &[Cap] {
        &self.0
    }

    /// The longest window: attempts at least this old no longer matter. `None` without caps.
    #[must_use]
    pub fn longest(&self) -> Option<TimeDelta> {
        self.0.iter().map(|cap| cap.per.delta()).max()
    }

    /// The earliest instant, not before `now`, at which one more attempt breaks no cap.
    ///
    /// `attempts` are those on the number, earliest first. One after `now` counts too, as a clock
    /// that is a little ahead may have stored it.
    #[must_use]
    pub fn next_free(&self, attempts: &[DateTime<Utc>], now: DateTime<Utc>) -> DateTime<Utc> {
        debug_assert!(attempts.is_sorted(), "attempts come earliest first");
        self.0.iter().map(|cap| cap.next_free(attempts, now)).fold(now, DateTime::max)
    }
}

impl TryFrom<Vec<CapDocument>> for Caps {
    type Error = Refused<CapError>;

    fn try_from(documents: Vec<CapDocument>) -> Result<Self, Refused<CapError>> {
        let mut errors = Vec::new();
        if documents.len() > MAX_CAPS {
            errors.push(CapError::TooMany(documents.len()));
        }
        let documents = documents.iter().take(MAX_CAPS).enumerate();
        let caps = documents.filter_map(|(index, cap)| parse(index, cap, &mut errors)).collect();
        Refused::unless(errors, Self(caps))
    }
}

fn parse(cap: usize, document: &CapDocument, errors: &mut Vec<CapError>) -> Option<Cap> {
    let max = u32::try_from(document.max).ok().filter(|max| (1..=MAX_ATTEMPTS).contains(max));
    if max.is_none() {
        errors.push(CapError::Max { cap, max: document.max });
    }
    let per: Option<IsoDuration> = document.per.parse().ok();
    let per = per.filter(|per| per.seconds() <= MAX_WINDOW_SECONDS);
    if per.is_none() {
        errors.push(CapError::Per { cap, text: excerpt(&document.per) });
    }
    if document.count != attempts() {
        errors.push(CapError::Count { cap, text: excerpt(&document.count) });
    }
    if document.key != number() {
        errors.push(CapError::Key { cap, text: excerpt(&document.key) });
    }
    Some(Cap { max: max?, per: per? })
}

impl From<Caps> for Vec<CapDocument> {
    fn from(caps: Caps) -> Self {
        let document = |cap: Cap| CapDocument {
            max: cap.max.into(),
            per: cap.per.to_string(),
            count: attempts(),
            key: number(),
        };
        caps.0.into_iter().map(document).collect()
    }
}

fn attempts() -> String {
    "attempts".to_owned()
}

fn number() -> String {
    "number".to_owned()
}

impl FieldError for CapError {
    fn field(&self) -> String {
        match self {
            Self::Max { cap, .. } => format!("caps[{cap}].max"),
            Self::Per { cap, .. } => format!("caps[{cap}].per"),
            Self::Count { cap, .. } => format!("caps[{cap}].count"),
            Self::Key { cap, .. } => format!("caps[{cap}].key"),
            Self::TooMany(_) => "caps".to_owned(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Max { .. } => "out_of_range",
            Self::Per { .. } => "malformed_duration",
            Self::Count { .. } => "unknown_count",
            Self::Key { .. } => "unknown_key",
            Self::TooMany(_) => "too_many_caps",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    fn caps(json: &str) -> Result<Caps, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn an_attempt_leaves_the_window_exactly_its_length_later() {
        let caps = caps(r#"[{"max": 3, "per": "PT24H"}]"#).unwrap();
        let attempts = [at(0), at(60), at(3600)];
        assert_eq!(caps.next_free(&attempts, at(7200)), at(86_400));
        assert_eq!(caps.next_free(&attempts, at(86_400)), at(86_400));
        assert_eq!(caps.next_free(&attempts[1..], at(7200)), at(7200));
    }

    #[test]
    fn all_caps_hold_at_once() {
        let caps = caps(r#"[{"max": 1, "per": "PT1H"}, {"max": 2, "per": "P7D"}]"#).unwrap();
        assert_eq!(caps.next_free(&[at(0)], at(60)), at(3600));
        assert_eq!(caps.next_free(&[at(0), at(7200)], at(7300)), at(7 * 86_400));
        assert_eq!(caps.longest(), Some(TimeDelta::days(7)));
    }

    #[test]
    fn without_caps_every_instant_is_free() {
        assert_eq!(Caps::default().next_free(&[at(0); 50], at(0)), at(0));
    }

    #[test]
    fn caps_survive_their_document() {
        let json = r#"[{"max":3,"per":"PT24H","count":"attempts","key":"number"}]"#;
        assert_eq!(serde_json::to_string(&caps(json).unwrap()).unwrap(), json);
    }

    #[test]
    fn every_bad_field_is_named() {
        let bad = r#"[{"max": 1, "per": "P1D"},
            {"max": 0, "per": "P91D", "count": "calls", "key": "person"}]"#;
        let documents: Vec<CapDocument> = serde_json::from_str(bad).unwrap();
        let refused = Caps::try_from(documents).unwrap_err();
        let fields: Vec<String> = refused.errors().iter().map(FieldError::field).collect();
        assert_eq!(fields, ["caps[1].max", "caps[1].per", "caps[1].count", "caps[1].key"]);
        assert!(refused.to_string().contains(r#"caps[1].count: "calls""#));

        assert!(caps(r#"[{"max": 1001, "per": "P1D"}]"#).unwrap_err().contains("caps[0].max"));
        assert!(caps(r#"[{"max": -1, "per": "P1D"}]"#).unwrap_err().contains("caps[0].max"));
        assert!(caps(r#"[{"max": 1, "per": "P1D", "scope": "x"}]"#).unwrap_err().contains("scope"));
        let many = format!("[{}]", vec![r#"{"max": 1, "per": "P1D"}"#; 17].join(","));
        assert!(caps(&many).unwrap_err().contains("caps: at most 16"));
    }

    proptest! {
        #[test]
        fn the_next_free_instant_is_the_first_that_breaks_no_cap(
            rules in prop::collection::vec((1_u32..5, 1_u32..80), 0..3),
            mut attempts in prop::collection::vec(0_i64..100, 0..12),
            now in 0_i64..120,
        ) {
            attempts.sort_unstable();
            let documents: Vec<CapDocument> = rules
                .iter()
                .map(|(max, per)| CapDocument {
                    max: (*max).into(),
                    per: format!("PT{per}S"),
                    count: super::attempts(),
                    key: super::number(),
                })
                .collect();
            let caps = Caps::try_from(documents).unwrap();
            let free = |t: i64| {
                rules.iter().all(|(max, per)| {
                    let counting = |a: &&i64| t < **a + i64::from(*per);
                    attempts.iter().filter(counting).count() < *max as usize
                })
            };
            let expected = (now..).find(|t| free(*t)).unwrap();
            let instants: Vec<_> = attempts.iter().map(|a| at(*a)).collect();
            prop_assert_eq!(caps.next_free(&instants, at(now)), at(expected));
        }
    }
}
