//! What [`text`](crate::text) takes out of texts of one line, taken out of cells that may have several.

use std::borrow::Cow;

/// Without control characters, and without the marks that turn the direction of the text after
/// them (U+202A to U+202E, U+2066 to U+2069). Tabs and line breaks stay.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    // The bytes that such a character begins with; hardly any text has one.
    let suspect = |byte: u8| matches!(byte, 0..=0x1f | 0x7f | 0xc2 | 0xe2) && !is_space(byte);
    if text.bytes().any(suspect) && text.chars().any(misleads) {
        Cow::Owned(text.chars().filter(|c| !misleads(*c)).collect())
    } else {
        Cow::Borrowed(text)
    }
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\r' | b'\n')
}

fn misleads(character: char) -> bool {
    let turns = matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || (character.is_control() && !matches!(character, '\t' | '\r' | '\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_misleads_is_taken_out() {
        assert_eq!(clean("A\u{7}d\u{202e}a\u{2066}\u{9b}"), "Ada");
        for kept in ["Zoë\u{a0}—“quoted”\t\r\n", "שלום\u{200f} x", "日本語", "", "a\u{200d}b"]
        {
            assert!(matches!(clean(kept), Cow::Borrowed(text) if text == kept), "{kept:?}");
        }
    }
}
