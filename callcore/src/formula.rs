//! Cells that a spreadsheet would run.
//!
//! An export puts one `'` before them, an import takes exactly that one away again. So that the two
//! undo each other whatever a cell holds, a cell that already has such quotes before its sign gets
//! one more.

use std::borrow::Cow;

/// What a formula begins with: OWASP's list ("CSV Injection"), the full-width forms included,
/// which spreadsheets for Japanese read as the plain ones.
const SIGNS: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

/// The cell as a spreadsheet leaves it alone. A phone number of digits alone only looks like a
/// formula.
pub(crate) fn defused(cell: &str) -> Cow<'_, str> {
    let runs = cell.trim_start_matches('\'').starts_with(SIGNS) && !is_e164(cell);
    if runs { Cow::Owned(format!("'{cell}")) } else { Cow::Borrowed(cell) }
}

/// The cell without the one `'` that [`defused`] put there.
pub(crate) fn undefused(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if rest.trim_start_matches('\'').starts_with(SIGNS) => rest,
        _ => cell,
    }
}

fn is_e164(cell: &str) -> bool {
    cell.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_spreadsheet_would_run_gets_one_quote_and_a_number_none() {
        for cell in ["=1+1", "+1-2", "-5", "@x", "\tx", "\rx", "\nx", "＝1", "+1", "'=y", "''-"] {
            assert_eq!(defused(cell), format!("'{cell}"));
        }
        for cell in ["+12125550123", "plain", "it's", "'plain", "1-2", "", "'"] {
            assert_eq!(defused(cell), cell);
        }
    }

    proptest! {
        #[test]
        fn defusing_is_undone_whatever_the_cell_holds(cell in "['=+@\t\r\n＝ a0-]{0,6}|\\PC{0,8}") {
            let safe = defused(&cell);
            prop_assert_eq!(undefused(&safe), &cell);
        }
    }
}
