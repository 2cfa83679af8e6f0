pub(crate) mod add;
pub(crate) mod import;
pub(crate) mod list;
pub(crate) mod read_import;
pub(crate) mod remove;

use callcore::dnc::{DncEntry, DncScope, DncSource};
use callcore::phone::PhoneNumber;

use crate::act::Act;
use crate::request::Fields;

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

/// Why a number is listed, as a request says it.
pub(crate) fn reason(fields: &mut Fields) -> String {
    let reason: String = fields.optional("reason").unwrap_or_default();
    if reason.chars().count() > MAX_REASON_CHARS {
        fields.refuse("reason", "too_long", format!("at most {MAX_REASON_CHARS} characters"));
    }
    reason.trim().to_owned()
}

/// An entry that the person who acts adds by hand.
pub(crate) fn entry(act: &Act, phone: PhoneNumber, scope: DncScope, reason: String) -> DncEntry {
    DncEntry {
        phone,
        scope,
        reason,
        source: DncSource::Manual,
        added_by: act.by().actor.clone(),
        created_at: act.now(),
    }
}
