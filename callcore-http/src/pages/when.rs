//! Instants, durations and counts as people read them.

use callcore::time::Zone;
use chrono::{DateTime, Datelike, Utc};

use super::locale::Locale;

/// An instant on the viewer's wall clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct When {
    /// For programs.
    pub(super) iso: String,
    /// As lists show it.
    pub(super) short: String,
    /// With everything there is to say.
    pub(super) full: String,
    /// Only the time of day, to the second.
    pub(super) clock: String,
}

impl When {
    pub(super) fn new(at: DateTime<Utc>, now: DateTime<Utc>, zone: &Zone) -> Self {
        let (local, today) = (zone.local(at), zone.local(now));
        let locale = Locale::here();
        let day = if local.date() == today.date() {
            "today"
        } else if local.year() == today.year() {
            "%a %-d %b"
        } else {
            "%-d %b %Y"
        };
        let clock = local.format(locale.clock_to_the_second()).to_string();
        Self {
            iso: at.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
            short: format!("{} {}", local.format(day), local.format(locale.clock())),
            full: format!("{}, {clock} ({})", local.format("%A %-d %B %Y"), zone.name()),
            clock,
        }
    }
}

/// Words in which the rules name instants, with those told as the viewer reads them.
pub(super) fn told(words: &str, tell: impl Fn(DateTime<Utc>) -> String) -> String {
    let word = |word: &str| {
        let bare = word.trim_end_matches([';', ',', '.', ':']);
        match DateTime::parse_from_rfc3339(bare) {
            Ok(at) => format!("{}{}", tell(at.with_timezone(&Utc)), &word[bare.len()..]),
            Err(_) => word.to_owned(),
        }
    };
    words.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// `3:07`, or `1:02:03`.
pub(super) fn duration(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

/// `12,345`, as the viewer's language groups it.
pub(super) fn count(number: u64) -> String {
    let (digits, group) = (number.to_string(), Locale::here().group());
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push_str(group);
        }
        text.push(digit);
    }
    text
}

/// `1 call`, `12,345 calls`.
pub(super) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// A share from 0 to 1 as a percentage; a dash where there is none.
pub(super) fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "–".to_owned(), |share| format!("{:.0} %", share * 100.0))
}

/// Seconds that are a mean; a dash where there is none.
pub(super) fn mean_duration(seconds: Option<f64>) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a mean of durations is neither negative nor huge"
    )]
    seconds.map_or_else(|| "–".to_owned(), |mean| duration(mean.round() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn an_instant_shows_the_viewers_wall_clock() {
        let zone: Zone = "America/New_York".parse().unwrap();
        let now = at("2026-11-23T14:00:00Z");
        let when = |text| When::new(at(text), now, &zone);
        assert_eq!(when("2026-11-23T13:05:09Z").short, "today 08:05");
        assert_eq!(when("2026-11-23T03:05:09Z").short, "Sun 22 Nov 22:05");
        assert_eq!(when("2025-12-31T23:00:00Z").short, "31 Dec 2025 18:00");
        assert_eq!(
            when("2026-11-23T13:05:09Z").full,
            "Monday 23 November 2026, 08:05:09 (America/New_York)"
        );
    }

    #[test]
    fn instants_in_words_are_told_on_the_viewers_clock() {
        let tell = |at: DateTime<Utc>| at.format("<%H:%M>").to_string();
        let words = "a call is due at 2026-11-24T14:00:00Z; the rule hours, at 9:00, allows none";
        let read = "a call is due at <14:00>; the rule hours, at 9:00, allows none";
        assert_eq!(told(words, tell), read);
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(duration(3_723), "1:02:03");
        assert_eq!(duration(67), "1:07");
    }
}
