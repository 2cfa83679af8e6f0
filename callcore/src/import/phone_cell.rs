//! A phone number as a spreadsheet leaves it.

use crate::phone::{PhoneNumber, PhoneNumberError, Region};

/// Why a cell holds no number to call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum PhoneCellError {
    #[error("no phone number")]
    Missing,
    #[error(
        "a spreadsheet has cut digits off this number: \
        format the column as text and export it again"
    )]
    DigitsLost,
    #[error("not a valid phone number")]
    Invalid,
}

/// Reads a cell, undoing what spreadsheets do to numbers where every digit is still there.
pub(super) fn read(cell: &str, region: &Region) -> Result<PhoneNumber, PhoneCellError> {
    read_as(cell, |text| PhoneNumber::parse(text, region))
}

/// Reads a cell of a list not to call: an extension is passed over.
pub(super) fn read_line(cell: &str, region: &Region) -> Result<PhoneNumber, PhoneCellError> {
    read_as(cell, |text| PhoneNumber::parse_line(text, region))
}

fn read_as(
    cell: &str,
    parse: impl Fn(&str) -> Result<PhoneNumber, PhoneNumberError>,
) -> Result<PhoneNumber, PhoneCellError> {
    let text: String = cell.chars().filter_map(visible).collect();
    let text = unwrapped(text.trim());
    if text.is_empty() {
        return Err(PhoneCellError::Missing);
    }
    let parse = |text: &str| parse(text).map_err(|_| PhoneCellError::Invalid);
    match without_exponent(text) {
        Some(Some(digits)) => parse(&digits),
        Some(None) => Err(PhoneCellError::DigitsLost),
        None => parse(without_decimals(text)),
    }
}

/// The character as a phone keypad has it; none for what can't be seen.
const fn visible(character: char) -> Option<char> {
    Some(match character {
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' => return None,
        '\u{2060}'..='\u{206f}' | '\u{feff}' => return None,
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => ' ',
        // Full-width forms keep ASCII's order.
        '\u{ff01}'..='\u{ff5e}' => match char::from_u32(character as u32 - 0xfee0) {
            Some(plain) => plain,
            None => character,
        },
        other => other,
    })
}

/// Without the `'` that keeps a cell from being a number, and the `="..."` that does the same.
fn unwrapped(text: &str) -> &str {
    let text = text.trim_start_matches(['\'', '’']).trim();
    let text = text
        .strip_prefix("=\"")
        .or_else(|| text.strip_prefix('"'))
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(text);
    text.trim()
}

/// `12125550123.0` without its zeros.
fn without_decimals(text: &str) -> &str {
    match text.split_once(['.', ',']) {
        Some((whole, zeros))
            if !zeros.is_empty()
                && zeros.bytes().all(|byte| byte == b'0')
                && is_digits(whole.strip_prefix('+').unwrap_or(whole)) =>
        {
            whole
        }
        _ => text,
    }
}

/// The digits of `1.2125550123E+10`; none of it if the text is not of that form, none within if
/// digits are missing. Zeros that were rounded away can't be told from digits that were.
fn without_exponent(text: &str) -> Option<Option<String>> {
    let (mantissa, exponent) = text.split_once(['e', 'E'])?;
    let exponent = exponent.strip_prefix('+').unwrap_or(exponent);
    let mantissa = mantissa.strip_prefix('+').unwrap_or(mantissa);
    let (whole, decimals) = mantissa.split_once(['.', ',']).unwrap_or((mantissa, ""));
    if !is_digits(whole) || !is_digits(exponent) || !(decimals.is_empty() || is_digits(decimals)) {
        return None;
    }
    let places: usize = exponent.parse().unwrap_or(usize::MAX);
    let complete = decimals
        .get(..places)
        .filter(|_| decimals.get(places..).is_some_and(|rest| rest.bytes().all(|b| b == b'0')));
    Some(complete.map(|decimals| format!("{whole}{decimals}")))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_that_keeps_every_digit_is_undone() {
        for cell in [
            "'2125550123",
            "''2125550123",
            "12125550123.0",
            "+12125550123.00",
            "12125550123,0",
            "'12125550123.0",
            "1.2125550123E+10",
            "1,2125550123e10",
            "1.21255501230E+10",
            "\u{feff}2125550123\u{a0}",
            "\u{200e}(212)\u{a0}555-0123\u{202c}",
            "２１２５５５０１２３",
            "＋１２１２５５５０１２３",
            "=\"2125550123\"",
            "\"2125550123\"",
            "212.555.0123",
        ] {
            let number = read(cell, &Region::US).unwrap();
            assert_eq!(number.to_string(), "+12125550123", "{cell}");
        }
    }

    #[test]
    fn lost_digits_are_told_apart_from_no_number_and_from_nothing() {
        for (cell, error) in [
            ("1.2125550E+10", PhoneCellError::DigitsLost),
            ("1.21256E+10", PhoneCellError::DigitsLost),
            ("1E+10", PhoneCellError::DigitsLost),
            ("2E+99999999999999999999", PhoneCellError::DigitsLost),
            ("1.21255501239E+10", PhoneCellError::DigitsLost),
            ("555-0167", PhoneCellError::Invalid),
            ("n/a", PhoneCellError::Invalid),
            ("see notes", PhoneCellError::Invalid),
            ("", PhoneCellError::Missing),
            ("' ", PhoneCellError::Missing),
            ("\u{200b}\u{a0}", PhoneCellError::Missing),
        ] {
            assert_eq!(read(cell, &Region::US), Err(error), "{cell}");
        }
    }
}
