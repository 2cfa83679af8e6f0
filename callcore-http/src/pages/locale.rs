//! How the viewer's language writes numbers and the time of day, as the browser's first language
//! says (RFC 9110, section 12.5.4). The conventions are those of Unicode's CLDR.

use std::future::Future;

use axum::http::{HeaderMap, header};

tokio::task_local! {
    static HERE: Locale;
}

/// Conventions of writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Locale {
    /// What stands between each three digits.
    group: &'static str,
    /// Whether the day has twice twelve hours.
    twelve: bool,
}

impl Default for Locale {
    fn default() -> Self {
        Self { group: ",", twelve: false }
    }
}

/// A space that does not break a number.
const SPACE: &str = "\u{a0}";
/// The narrow one that French uses.
const NARROW: &str = "\u{202f}";

impl Locale {
    /// That of whoever asks; without a language, commas and twenty-four hours.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let wanted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let first = wanted.and_then(|it| it.split([',', ';']).next()).unwrap_or_default();
        let tag = first.trim().to_ascii_lowercase();
        let mut parts = tag.split('-');
        let language = parts.next().unwrap_or_default();
        let region = parts.find(|part| part.len() == 2 || part.len() == 3);
        Self { group: group(language, region), twelve: twelve(language, region) }
    }

    /// That of the page being made.
    pub(super) fn here() -> Self {
        HERE.try_with(|locale| *locale).unwrap_or_default()
    }

    /// Makes a page as this viewer reads it.
    pub(super) async fn within<T>(self, page: impl Future<Output = T>) -> T {
        HERE.scope(self, page).await
    }

    /// What stands between each three digits.
    pub(super) const fn group(self) -> &'static str {
        self.group
    }

    /// The time of day as chrono formats it.
    pub(super) const fn clock(self) -> &'static str {
        if self.twelve { "%-I:%M\u{a0}%p" } else { "%H:%M" }
    }

    /// The same with the day of the week.
    pub(super) const fn day_and_clock(self) -> &'static str {
        if self.twelve { "%a %-I:%M\u{a0}%p" } else { "%a %H:%M" }
    }

    /// The time of day to the second.
    pub(super) const fn clock_to_the_second(self) -> &'static str {
        if self.twelve { "%-I:%M:%S\u{a0}%p" } else { "%H:%M:%S" }
    }
}

fn group(language: &str, region: Option<&str>) -> &'static str {
    match (language, region) {
        ("de" | "it", Some("ch")) => "’",
        ("de", Some("at")) | ("es", Some("cr")) | ("fr", Some("ca")) | ("pt", Some("pt")) => SPACE,
        ("es", Some("mx" | "us" | "pr" | "gt" | "hn" | "ni" | "pa" | "sv" | "pe" | "do")) => ",",
        ("fr", _) => NARROW,
        (
            "de" | "es" | "it" | "nl" | "pt" | "id" | "tr" | "da" | "el" | "hr" | "ro" | "sl"
            | "vi" | "ca" | "gl" | "is",
            _,
        ) => ".",
        (
            "sv" | "nb" | "nn" | "no" | "fi" | "cs" | "pl" | "ru" | "uk" | "sk" | "hu" | "bg"
            | "et" | "lv" | "lt",
            _,
        ) => SPACE,
        _ => ",",
    }
}

fn twelve(language: &str, region: Option<&str>) -> bool {
    match (language, region) {
        ("en", Some("us" | "ca" | "au" | "nz" | "in" | "ph" | "pk" | "sg" | "my")) => true,
        // English without a country is the American one.
        ("en", None) => true,
        ("es", Some("us" | "pr" | "co" | "do" | "pa" | "ve")) => true,
        ("hi" | "bn" | "ur" | "ko" | "ar", _) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(languages: &str) -> Locale {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_LANGUAGE, languages.parse().unwrap());
        Locale::of(&headers)
    }

    #[test]
    fn the_first_language_says_how_numbers_and_times_are_written() {
        for (languages, group, twelve) in [
            ("en-US,en;q=0.9", ",", true),
            ("en-GB", ",", false),
            ("en", ",", true),
            ("de-DE,de;q=0.9,en;q=0.8", ".", false),
            ("de-CH", "’", false),
            ("fr;q=0.5", NARROW, false),
            ("zh-Hant-TW", ",", false),
            ("pl", SPACE, false),
            ("*", ",", false),
            ("", ",", false),
            ("ü-%", ",", false),
        ] {
            let mut headers = HeaderMap::new();
            let value = axum::http::HeaderValue::from_bytes(languages.as_bytes()).unwrap();
            headers.insert(header::ACCEPT_LANGUAGE, value);
            assert_eq!(Locale::of(&headers), Locale { group, twelve }, "{languages}");
        }
        assert_eq!(Locale::of(&HeaderMap::new()), Locale::default());
    }

    #[tokio::test]
    async fn a_page_is_made_as_its_viewer_reads() {
        let group = of("de-DE").within(async { Locale::here().group() }).await;
        assert_eq!((group, Locale::here().group()), (".", ","));
    }
}
