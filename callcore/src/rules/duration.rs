//! Durations as settings write them: a subset of ISO 8601.

use std::fmt;
use std::str::FromStr;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

const DAY: u32 = 86_400;

/// A positive duration of whole seconds, written `PnDTnHnMnS`: `PT30M`, `PT24H`, `P7D`.
///
/// A day is always 24 hours. Days stay days and hours stay hours, so `PT24H` is shown as `PT24H`
/// and differs from `P1D` as a value, though not in length.
///
/// ```
/// use callcore::rules::IsoDuration;
/// let step: IsoDuration = "PT90M".parse()?;
/// assert_eq!(step.seconds(), 5_400);
/// assert_eq!(step.to_string(), "PT1H30M");
/// # Ok::<(), callcore::rules::DurationError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IsoDuration {
    days: u32,
    /// May exceed a day: `PT48H` stays 172,800 seconds.
    seconds: u32,
}

/// The text is not a positive duration of the form `PnDTnHnMnS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a positive ISO 8601 duration such as PT30M, PT4H or P1D")]
pub struct DurationError;

impl IsoDuration {
    /// A duration of whole hours.
    #[must_use]
    pub const fn hours(hours: u16) -> Self {
        Self { days: 0, seconds: hours as u32 * 3600 }
    }

    /// Its length in seconds.
    #[must_use]
    pub const fn seconds(self) -> u32 {
        self.days * DAY + self.seconds
    }

    /// Its length as what instants are moved by.
    #[must_use]
    pub const fn delta(self) -> TimeDelta {
        TimeDelta::seconds(self.seconds() as i64)
    }
}

impl FromStr for IsoDuration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        let body = text.strip_prefix('P').ok_or(DurationError)?;
        let (date, time) = match body.split_once('T') {
            // A `T` announces a part that must then come.
            Some((_, "")) => return Err(DurationError),
            Some(parts) => parts,
            None => (body, ""),
        };
        let days = total(date, &[('D', 1)])?;
        let seconds = total(time, &[('H', 3600), ('M', 60), ('S', 1)])?;
        let whole = days.checked_mul(DAY).and_then(|days| days.checked_add(seconds));
        match whole {
            None | Some(0) => Err(DurationError),
            Some(_) => Ok(Self { days, seconds }),
        }
    }
}

/// Adds up parts such as `4H30M`; the units come in the order given, each at most once.
fn total(mut text: &str, units: &[(char, u32)]) -> Result<u32, DurationError> {
    let mut sum = 0_u32;
    let mut units = units.iter();
    while !text.is_empty() {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = text.split_at(digits);
        let number: u32 = number.parse().map_err(|_| DurationError)?;
        let letter = rest.chars().next().ok_or(DurationError)?;
        let (_, size) = units.find(|(unit, _)| *unit == letter).ok_or(DurationError)?;
        let part = number.checked_mul(*size).ok_or(DurationError)?;
        sum = sum.checked_add(part).ok_or(DurationError)?;
        text = &rest[letter.len_utf8()..];
    }
    Ok(sum)
}

impl fmt::Display for IsoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("P")?;
        let parts =
            [(self.seconds / 3600, 'H'), (self.seconds / 60 % 60, 'M'), (self.seconds % 60, 'S')];
        if self.days > 0 {
            write!(f, "{}D", self.days)?;
        }
        if self.seconds > 0 {
            f.write_str("T")?;
        }
        for (number, unit) in parts.into_iter().filter(|(number, _)| *number > 0) {
            write!(f, "{number}{unit}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for IsoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for IsoDuration {
    type Error = DurationError;

    fn try_from(text: String) -> Result<Self, DurationError> {
        text.parse()
    }
}

impl From<IsoDuration> for String {
    fn from(duration: IsoDuration) -> Self {
        duration.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_duration_is_read_and_shown_as_written() {
        for (text, seconds) in
            [("PT30M", 1_800), ("PT24H", DAY), ("P1D", DAY), ("P1DT2H3M4S", DAY + 7_384)]
        {
            let duration: IsoDuration = text.parse().unwrap();
            assert_eq!((duration.seconds(), duration.to_string()), (seconds, text.to_owned()));
        }
    }

    #[test]
    fn what_is_no_positive_duration_is_refused() {
        for text in [
            "",
            "P",
            "PT",
            "P1DT",
            "PT0S",
            "P0D",
            "1D",
            "P1",
            "P-1D",
            "PT-1H",
            "P1H",
            "PT1D",
            "PT1M1H",
            "PT1H1H",
            "PT1.5H",
            "P1M",
            "P1Y",
            "P1W",
            "pt1h",
            " PT1H",
            "PT1H ",
            "P+1D",
            "PT١H",
            "P99999999999D",
            "P49711D",
            "PT4294967295H",
        ] {
            assert_eq!(text.parse::<IsoDuration>(), Err(DurationError), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_duration_survives_its_text(days in 0_u32..49_000, seconds in 1_u32..50_000_000) {
            let duration = IsoDuration { days, seconds };
            prop_assert_eq!(duration.to_string().parse(), Ok(duration));
        }
    }
}
