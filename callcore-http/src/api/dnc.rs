pub(crate) mod add;
pub(crate) mod import;
pub(crate) mod list;
pub(crate) mod read_import;
pub(crate) mod remove;

use callcore::phone::PhoneNumber;

/// The longest reason, in characters.
pub(crate) const MAX_REASON_CHARS: usize = 1_000;

/// The longest text of a number that is looked at, in bytes.
const MAX_NUMBER: usize = 64;

/// A number as people paste it: E.164, with or without the plus, however grouped.
pub(crate) fn number(text: &str) -> Option<PhoneNumber> {
    let text = text.trim();
    if text.len() > MAX_NUMBER {
        return None;
    }
    let plus = if text.starts_with('+') { "" } else { "+" };
    format!("{plus}{text}").parse().ok()
}
