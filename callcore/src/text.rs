//! Texts that people write: names, tags, notes, labels, reasons.
//!
//! Every script is welcome. What a text may not have is what nobody meant to write and what makes
//! it look like another text: control characters, and the marks that turn the direction of what
//! follows (Unicode's "Trojan Source" characters, UTR 36 section 2.5). Marks that only help a
//! right-to-left text along, such as U+200F, stay.

use std::borrow::Cow;

/// The longest note, in characters.
pub const MAX_NOTE: usize = 10_000;
/// The longest tag, in characters.
pub const MAX_TAG: usize = 50;
/// The longest name or label, in characters.
pub const MAX_LABEL: usize = 200;

/// Why a text is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// It has more characters than this.
    #[error("at most {0} characters")]
    TooLong(usize),
    /// It has a control character.
    #[error("holds a control character")]
    Control,
    /// It has a mark that turns the direction of what follows.
    #[error("holds a mark that disguises other text")]
    Disguise,
}

impl TextError {
    /// The word problem documents use.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooLong(_) => "too_long",
            Self::Control | Self::Disguise => "invalid",
        }
    }
}

/// A text of one line, trimmed; it may be empty.
///
/// # Errors
///
/// It is longer than `max` characters, or holds what no text may.
pub fn line(text: &str, max: usize) -> Result<String, TextError> {
    check(text, max, is_control)
}

/// A text that may have several lines and tabs, trimmed; it may be empty. Lines end as they do on
/// Unix, however they were sent.
///
/// # Errors
///
/// It is longer than `max` characters, or holds what no text may.
pub fn lines(text: &str, max: usize) -> Result<String, TextError> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    check(&text, max, |c| is_control(c) && c != '\n' && c != '\t')
}

fn check(text: &str, max: usize, is_control: impl Fn(char) -> bool) -> Result<String, TextError> {
    let text = text.trim();
    if text.chars().any(is_control) {
        return Err(TextError::Control);
    }
    if text.chars().any(turns_direction) {
        return Err(TextError::Disguise);
    }
    if text.chars().count() > max {
        return Err(TextError::TooLong(max));
    }
    Ok(text.to_owned())
}

/// A text without what no text of one line may have: control characters become spaces, marks go.
/// For texts that come in a file, of which no row should be lost for a stray mark.
#[must_use]
pub fn harmless(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    if !text.chars().any(|c| is_control(c) || turns_direction(c)) {
        return Cow::Borrowed(text);
    }
    let kept = text.chars().filter(|c| !turns_direction(*c));
    let spaced: String = kept.map(|c| if is_control(c) { ' ' } else { c }).collect();
    Cow::Owned(spaced.trim().to_owned())
}

/// A text without the marks that turn the direction of what follows, for words that a program wrote
/// down and must not lose.
#[must_use]
pub fn undisguised(text: &str) -> String {
    text.chars().filter(|c| !turns_direction(*c)).collect()
}

/// A control character, or one that ends a line.
fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// An embedding, override or isolate, or the end of one.
const fn turns_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_script_is_kept_as_it_is() {
        for text in
            ["Zoë", "אבג דהו", "\u{200f}שלום (a)", "محمد\u{200c}علی", "李小龍", "👩‍👧", "a\u{301}"]
        {
            assert_eq!(line(text, 50).as_deref(), Ok(text));
            assert_eq!(harmless(text), text);
        }
    }

    #[test]
    fn what_disguises_a_text_is_refused() {
        for mark in ('\u{202a}'..='\u{202e}').chain('\u{2066}'..='\u{2069}') {
            let text = format!("paid {mark}5 \u{5d0}");
            assert_eq!(line(&text, 50), Err(TextError::Disguise), "{mark:?}");
            assert_eq!(lines(&text, 50), Err(TextError::Disguise), "{mark:?}");
            assert_eq!(harmless(&text), "paid 5 \u{5d0}");
        }
    }

    #[test]
    fn lines_are_for_notes_and_end_as_on_unix() {
        assert_eq!(lines(" a\r\nb\rc\td \n", 50).as_deref(), Ok("a\nb\nc\td"));
        for control in ['\0', '\u{7}', '\u{1b}', '\u{7f}', '\u{85}', '\u{2028}'] {
            assert_eq!(lines(&format!("a{control}b"), 50), Err(TextError::Control), "{control:?}");
        }
        for control in ['\n', '\t', '\r', '\u{2029}'] {
            assert_eq!(line(&format!("a{control}b"), 50), Err(TextError::Control), "{control:?}");
            assert_eq!(harmless(&format!("a{control}b{control}")), "a b");
        }
    }

    #[test]
    fn length_is_counted_in_characters_of_what_is_kept() {
        assert_eq!(line("  éé  ", 2).as_deref(), Ok("éé"));
        assert_eq!(line("ééé", 2), Err(TextError::TooLong(2)));
        assert_eq!(lines("a\r\nb", 3).as_deref(), Ok("a\nb"));
    }

    proptest! {
        #[test]
        fn what_was_made_harmless_is_taken(text in any::<String>()) {
            let made = harmless(&text).into_owned();
            prop_assert_eq!(line(&made, usize::MAX), Ok(made));
        }
    }
}
