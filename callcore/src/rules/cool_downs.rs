//! Cool-downs: after some outcomes a number is left alone for a while.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{FieldError, IsoDuration, Refused, excerpt};
use crate::call::Outcome;

/// The most cool-downs there may be.
pub const MAX_COOL_DOWNS: usize = 16;

const MAX_SECONDS: u32 = 400 * 86_400;

/// How a dial to a number ended, over all campaigns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NumberEnd {
    /// When.
    pub at: DateTime<Utc>,
    /// How.
    pub outcome: Outcome,
}

/// After one outcome, no dial to the number for so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoolDown {
    after: Outcome,
    lasts: IsoDuration,
}

/// Cool-downs that all hold.
///
/// ```
/// use callcore::call::Outcome;
/// use callcore::rules::cool_downs::{CoolDowns, NumberEnd};
/// let rest: CoolDowns = serde_json::from_str(r#"[{"after": "answered", "for": "P7D"}]"#)?;
/// let now = "2026-03-04T15:00:00Z".parse()?;
/// let end = NumberEnd { at: "2026-03-02T15:00:00Z".parse()?, outcome: Outcome::Answered };
/// assert_eq!(rest.next_free(&[end], now).to_rfc3339(), "2026-03-09T15:00:00+00:00");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<CoolDownDocument>", into = "Vec<CoolDownDocument>")]
pub struct CoolDowns(Vec<CoolDown>);

/// The JSON shape of a cool-down: `{"after": "answered", "for": "P7D"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoolDownDocument {
    /// The outcome it follows.
    pub after: String,
    /// How long it lasts, an ISO 8601 duration.
    pub r#for: String,
}

/// Why cool-downs are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CoolDownError {
    /// No dial ends so.
    #[error("cool_downs[{index}].after: {text:?} is no outcome of a dial")]
    After {
        /// Which, from 0.
        index: usize,
        /// What was written (its start).
        text: String,
    },
    /// The length is none, or out of range.
    #[error("cool_downs[{index}].for: {text:?} is not an ISO 8601 duration from PT1S to P400D")]
    For {
        /// Which, from 0.
        index: usize,
        /// What was written (its start).
        text: String,
    },
    /// There are too many.
    #[error("cool_downs: at most {MAX_COOL_DOWNS}, not {0}")]
    TooMany(usize),
}

impl CoolDowns {
    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// The earliest instant, not before `now`, at which the number is left alone no longer.
    #[must_use]
    pub fn next_free(&self, ends: &[NumberEnd], now: DateTime<Utc>) -> DateTime<Utc> {
        let over = |rule: &CoolDown| {
            let ends = ends.iter().filter(|end| end.outcome == rule.after);
            let last = ends.map(|end| end.at).max()?;
            Some(last.checked_add_signed(rule.lasts.delta()).unwrap_or(DateTime::<Utc>::MAX_UTC))
        };
        self.0.iter().filter_map(over).fold(now, DateTime::max)
    }
}

impl TryFrom<Vec<CoolDownDocument>> for CoolDowns {
    type Error = Refused<CoolDownError>;

    fn try_from(documents: Vec<CoolDownDocument>) -> Result<Self, Refused<CoolDownError>> {
        let mut errors = Vec::new();
        if documents.len() > MAX_COOL_DOWNS {
            errors.push(CoolDownError::TooMany(documents.len()));
        }
        let documents = documents.iter().take(MAX_COOL_DOWNS).enumerate();
        let rules = documents.filter_map(|(index, rule)| parse(index, rule, &mut errors)).collect();
        Refused::unless(errors, Self(rules))
    }
}

fn parse(
    index: usize,
    document: &CoolDownDocument,
    errors: &mut Vec<CoolDownError>,
) -> Option<CoolDown> {
    let after = Outcome::parse(&document.after).filter(|outcome| outcome.attempted());
    if after.is_none() {
        errors.push(CoolDownError::After { index, text: excerpt(&document.after) });
    }
    let lasts: Option<IsoDuration> = document.r#for.parse().ok();
    let lasts = lasts.filter(|lasts| lasts.seconds() <= MAX_SECONDS);
    if lasts.is_none() {
        errors.push(CoolDownError::For { index, text: excerpt(&document.r#for) });
    }
    Some(CoolDown { after: after?, lasts: lasts? })
}

impl From<CoolDowns> for Vec<CoolDownDocument> {
    fn from(rules: CoolDowns) -> Self {
        let document = |rule: CoolDown| CoolDownDocument {
            after: rule.after.as_str().to_owned(),
            r#for: rule.lasts.to_string(),
        };
        rules.0.into_iter().map(document).collect()
    }
}

impl FieldError for CoolDownError {
    fn field(&self) -> String {
        match self {
            Self::After { index, .. } => format!("cool_downs[{index}].after"),
            Self::For { index, .. } => format!("cool_downs[{index}].for"),
            Self::TooMany(_) => "cool_downs".to_owned(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::After { .. } => "unknown_outcome",
            Self::For { .. } => "malformed_duration",
            Self::TooMany(_) => "too_many",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    fn rules(json: &str) -> Result<CoolDowns, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn the_last_such_outcome_counts_to_the_second() {
        let rules = rules(r#"[{"after": "busy", "for": "PT1H"}]"#).unwrap();
        let end = |seconds, outcome| NumberEnd { at: at(seconds), outcome };
        let ends = [end(0, Outcome::Busy), end(600, Outcome::Busy), end(900, Outcome::Answered)];
        assert_eq!(rules.next_free(&ends, at(1000)), at(4200));
        assert_eq!(rules.next_free(&ends, at(4200)), at(4200));
        assert_eq!(rules.next_free(&ends[2..], at(1000)), at(1000));
        assert_eq!(rules.next_free(&[], at(1000)), at(1000));
    }

    #[test]
    fn all_of_them_hold() {
        let both = r#"[{"after": "busy", "for": "PT1H"}, {"after": "answered", "for": "P1D"}]"#;
        let ends = [
            NumberEnd { at: at(0), outcome: Outcome::Answered },
            NumberEnd { at: at(50), outcome: Outcome::Busy },
        ];
        assert_eq!(rules(both).unwrap().next_free(&ends, at(60)), at(86_400));
    }

    #[test]
    fn every_bad_field_is_named() {
        let bad = r#"[{"after": "answered", "for": "P7D"}, {"after": "skipped", "for": "P401D"}]"#;
        let documents: Vec<CoolDownDocument> = serde_json::from_str(bad).unwrap();
        let refused = CoolDowns::try_from(documents).unwrap_err();
        let fields: Vec<String> = refused.errors().iter().map(FieldError::field).collect();
        assert_eq!(fields, ["cool_downs[1].after", "cool_downs[1].for"]);
        let many = format!("[{}]", vec![r#"{"after": "busy", "for": "P1D"}"#; 17].join(","));
        assert!(rules(&many).unwrap_err().contains("at most 16"));
        let json = r#"[{"after":"answered","for":"P7D"}]"#;
        assert_eq!(serde_json::to_string(&rules(json).unwrap()).unwrap(), json);
    }
}
