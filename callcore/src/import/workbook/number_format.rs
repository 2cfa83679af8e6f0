//! Numbers as a spreadsheet shows them.
//!
//! Of a number format (ECMA-376, part 1, section 18.8.31) it takes what changes the digits that
//! are read: decimals, leading zeros, shares in a hundred, currencies and other signs around or between
//! them. Signs between thousands are left out, because a phone number must stay one, and formats
//! with conditions, exponents and fractions show the plain number.

use std::fmt::Write as _;

use calamine::ExcelDateTime;

/// How many digits of a number a spreadsheet keeps.
const SIGNIFICANT: usize = 15;
/// The most decimals that a format may ask for, as in spreadsheets.
const MAX_DECIMALS: usize = 30;
/// From here on a number is written with an exponent.
const LARGE: f64 = 1e21;
const SMALL: f64 = 1e-9;
/// The first day after 9999-12-31, as the two date systems count.
const AFTER_LAST_DAY: f64 = 2_958_466.0;

/// A cell's number format.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct NumberFormat {
    /// For numbers above 0, below 0 and 0; none shows the plain number. Without a section of their
    /// own, the others follow the first.
    sections: Vec<Option<Section>>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Section {
    before: String,
    /// From the left.
    whole: Vec<Token>,
    /// Decimals that are always shown, and that are if there are any.
    decimals: usize,
    more_decimals: usize,
    after: String,
    percent: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    /// A digit, or 0 in its place.
    Zero,
    /// A digit, or nothing.
    Digit,
    Sign(char),
}

impl NumberFormat {
    pub(super) fn parse(code: &str) -> Self {
        Self {
            sections: sections(code).into_iter().map(|section| Section::parse(&section)).collect(),
        }
    }

    /// The number as it is shown.
    pub(super) fn show(&self, number: f64) -> String {
        let section = |at: usize| self.sections.get(at).filter(|_| at < 3);
        let is_negative = number < 0.0;
        let (section, is_signed) = match (number, section(1), section(2)) {
            (0.0, _, Some(zero)) => (Some(zero), false),
            (_, Some(negative), _) if is_negative => (Some(negative), false),
            _ => (section(0), is_negative),
        };
        let shown = section.and_then(Option::as_ref).and_then(|section| section.show(number.abs()));
        match shown {
            Some(shown) if is_signed && shown.contains(|c| matches!(c, '1'..='9')) => {
                format!("-{shown}")
            }
            Some(shown) => shown,
            None => plain(number),
        }
    }
}

/// The parts between semicolons that are none of a text.
fn sections(code: &str) -> Vec<String> {
    let mut sections = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for sign in code.chars() {
        let ends = sign == ';' && !quoted && !escaped;
        quoted ^= sign == '"' && !escaped;
        escaped = !escaped && !quoted && matches!(sign, '\\' | '_' | '*');
        match sections.last_mut() {
            Some(last) if !ends => last.push(sign),
            _ => sections.push(String::new()),
        }
    }
    sections
}

impl Section {
    /// None if it is of a kind that shows the plain number.
    fn parse(code: &str) -> Option<Self> {
        let mut section = Self::default();
        let mut place = Place::Before;
        let mut thousands = false;
        let mut signs = code.chars();
        while let Some(sign) = signs.next() {
            match sign {
                '0' | '#' | '?' => {
                    // A comma that is not followed by a digit divides by a thousand.
                    thousands = false;
                    section.digit(sign, &mut place)?;
                }
                '.' if place != Place::Decimals && place != Place::After => place = Place::Decimals,
                ',' if place == Place::Whole => thousands = true,
                '%' => {
                    section.percent += 1;
                    section.sign('%', &mut place);
                }
                '"' => {
                    for sign in signs.by_ref().take_while(|sign| *sign != '"') {
                        section.sign(sign, &mut place);
                    }
                }
                '\\' => section.sign(signs.next()?, &mut place),
                '_' | '*' => {
                    signs.next()?;
                }
                '[' => {
                    let bracket: String = signs.by_ref().take_while(|sign| *sign != ']').collect();
                    match bracket.strip_prefix('$') {
                        Some(currency) => {
                            let currency = currency.split('-').next().unwrap_or_default();
                            currency.chars().for_each(|sign| section.sign(sign, &mut place));
                        }
                        None if bracket.chars().all(char::is_alphabetic) => {}
                        None => return None,
                    }
                }
                ' '
                | '$'
                | '-'
                | '+'
                | '('
                | ')'
                | ':'
                | '!'
                | '^'
                | '&'
                | '\''
                | '~'
                | '{'
                | '}'
                | '<'
                | '>'
                | '='
                | '\u{a0}'..='\u{ff}'
                | '\u{20a0}'..='\u{20cf}' => {
                    section.sign(sign, &mut place);
                }
                _ => return None,
            }
        }
        let is_text_only = section.whole.is_empty() && place != Place::Decimals;
        let shows = section.decimals + section.more_decimals > 0 || !is_text_only;
        // A section of signs alone, such as a dash for 0, shows them.
        let has_signs = !section.before.is_empty();
        (!thousands && (shows || has_signs) && section.percent < 3).then_some(section)
    }

    fn digit(&mut self, sign: char, place: &mut Place) -> Option<()> {
        match place {
            Place::Before | Place::Whole => {
                *place = Place::Whole;
                // Signs that stand between digits wait in `after` until a digit follows.
                let between = std::mem::take(&mut self.after);
                self.whole.extend(between.chars().map(Token::Sign));
                self.whole.push(if sign == '0' { Token::Zero } else { Token::Digit });
            }
            Place::Decimals if self.after.is_empty() => {
                let decimals =
                    if sign == '0' { &mut self.decimals } else { &mut self.more_decimals };
                *decimals += 1;
                if self.decimals + self.more_decimals > MAX_DECIMALS {
                    return None;
                }
            }
            Place::Decimals | Place::After => return None,
        }
        Some(())
    }

    fn sign(&mut self, sign: char, place: &mut Place) {
        match place {
            Place::Before => self.before.push(sign),
            Place::Whole | Place::Decimals | Place::After => self.after.push(sign),
        }
        if *place == Place::Decimals {
            *place = Place::After;
        }
    }

    /// A number that is not below 0; none if it is too large to be shown so.
    fn show(&self, number: f64) -> Option<String> {
        let number = if self.percent > 0 {
            number * 100_f64.powi(self.percent.cast_signed())
        } else {
            number
        };
        if !number.is_finite() || number >= LARGE {
            return None;
        }
        let mut text = self.before.clone();
        if !self.whole.is_empty() || self.decimals + self.more_decimals > 0 {
            let all = rounded(number, self.decimals + self.more_decimals);
            let (whole, decimals) = all.split_once('.').unwrap_or((&all, ""));
            text.push_str(&self.whole_part(whole));
            let shown = decimals.trim_end_matches('0').len().max(self.decimals);
            if self.decimals > 0 || shown > 0 {
                text.push('.');
                text.push_str(decimals.get(..shown).unwrap_or(decimals));
            }
        }
        text.push_str(&self.after);
        Some(text.trim().to_owned())
    }

    /// Digits in their places, from the right; what has no place stands before the first.
    fn whole_part(&self, digits: &str) -> String {
        let mut left: Vec<char> = digits.trim_start_matches('0').chars().collect();
        let mut reversed = String::new();
        let places = self.whole.iter().filter(|token| !matches!(token, Token::Sign(_))).count();
        let mut seen = 0;
        for token in self.whole.iter().rev() {
            match token {
                Token::Sign(sign) => reversed.push(*sign),
                Token::Zero | Token::Digit => {
                    seen += 1;
                    match left.pop() {
                        Some(digit) => reversed.push(digit),
                        None if *token == Token::Zero => reversed.push('0'),
                        None => {}
                    }
                    if seen == places {
                        while let Some(digit) = left.pop() {
                            reversed.push(digit);
                        }
                    }
                }
            }
        }
        if self.whole.is_empty() {
            reversed.extend(left.iter().rev());
        }
        reversed.chars().rev().collect()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Before,
    Whole,
    Decimals,
    After,
}

/// A number without a format: its 15 digits, and no more of them than it needs.
pub(super) fn plain(number: f64) -> String {
    let kept: f64 = format!("{number:.*e}", SIGNIFICANT - 1).parse().unwrap_or(number);
    match kept.abs() {
        0.0 => "0".to_owned(),
        size if !(SMALL..LARGE).contains(&size) => format!("{kept:E}"),
        _ => kept.to_string(),
    }
}

/// A number that is not below 0 with so many decimals, halves up by its decimal digits, as
/// spreadsheets round.
fn rounded(number: f64, decimals: usize) -> String {
    // More decimals than digits mean nothing, but their zeros are shown.
    let exact = format!("{number:.*e}", SIGNIFICANT - 1);
    let (mantissa, exponent) = exact.split_once('e').unwrap_or((&exact, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let digits: Vec<u8> =
        mantissa.bytes().filter(u8::is_ascii_digit).map(|digit| digit - b'0').collect();
    // The digit at 10^place, 0 beyond both ends.
    let digit = |place: i32| {
        let at = usize::try_from(exponent - place).ok();
        at.and_then(|at| digits.get(at)).copied().unwrap_or(0)
    };
    let last = -i32::try_from(decimals).unwrap_or(0);
    let mut shown: Vec<u8> = (last..=exponent.max(0)).map(digit).collect();
    if digit(last - 1) >= 5 {
        let mut carries = true;
        for digit in &mut shown {
            *digit += 1;
            carries = *digit == 10;
            if !carries {
                break;
            }
            *digit = 0;
        }
        if carries {
            shown.push(1);
        }
    }
    let mut text = String::new();
    for (at, digit) in shown.iter().enumerate().rev() {
        text.push(char::from(b'0' + digit));
        if at == decimals && at > 0 {
            text.push('.');
        }
    }
    text
}

/// A date, a time of day, both, or a time that passed, as ISO 8601 has them.
pub(super) fn date_text(at: &ExcelDateTime) -> String {
    let value = at.as_f64();
    if at.is_duration() {
        return duration_text(value);
    }
    if !(0.0..AFTER_LAST_DAY).contains(&value) {
        return plain(value);
    }
    let (year, month, day, hour, minute, second, milli) = at.to_ymd_hms_milli();
    let mut text = String::new();
    if value >= 1.0 {
        let _ = write!(text, "{year:04}-{month:02}-{day:02}");
    }
    if value < 1.0 || (hour, minute, second, milli) != (0, 0, 0, 0) {
        let space = if text.is_empty() { "" } else { " " };
        let _ = write!(text, "{space}{hour:02}:{minute:02}:{second:02}");
    }
    text
}

fn duration_text(days: f64) -> String {
    let seconds = (days * 86_400.0).round();
    if seconds.is_nan() || seconds.abs() >= 1e15 {
        return plain(days);
    }
    #[expect(clippy::cast_possible_truncation, reason = "it was just compared")]
    let seconds = seconds as i64;
    let sign = if seconds < 0 { "-" } else { "" };
    let seconds = seconds.unsigned_abs();
    format!("{sign}{}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use calamine::ExcelDateTimeType;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_shown_as_in_a_spreadsheet() {
        for (code, number, shown) in [
            ("General", 1.0, "1"),
            ("General", 12_125_550_123.0, "12125550123"),
            ("General", 0.1 + 0.2, "0.3"),
            ("General", -0.0, "0"),
            ("General", 1e22, "1E22"),
            ("0.00E+00", 2_125_550_123.0, "2125550123"),
            ("@", 2_125_550_123.0, "2125550123"),
            ("0", 2.5, "3"),
            ("0.00", 1.005, "1.01"),
            ("0.00", 999.999, "1000.00"),
            ("0.##", 1.5, "1.5"),
            ("#,##0.00", 1234.5, "1234.50"),
            ("#,##0", 2_125_550_123.0, "2125550123"),
            ("00000", 2139.0, "02139"),
            ("000\\-00\\-0000", 12_345_678.0, "012-34-5678"),
            ("\\(###\\)\\ ###\\-####", 2_125_550_123.0, "(212) 555-0123"),
            ("[<=9999999]###-####;(###) ###-####", 2_125_550_123.0, "2125550123"),
            ("0%", 0.5, "50%"),
            ("0.0%", 0.1234, "12.3%"),
            ("\"$\"#,##0.00", 1234.5, "$1234.50"),
            ("[$€-407] 0.00", 3.0, "€ 3.00"),
            ("#,##0.00\\ [$€-407]", 3.0, "3.00 €"),
            ("0.00", -3.0, "-3.00"),
            ("0.00", -0.001, "0.00"),
            ("#,##0.00;(#,##0.00)", -3.0, "(3.00)"),
            ("#,##0.00;[Red]-#,##0.00", -3.0, "-3.00"),
            ("_($* #,##0.00_);_($* (#,##0.00);_($* \"-\"??_);_(@_)", 0.0, "$-"),
            ("0,", 12_345.0, "12345"),
            ("# ?/?", 0.5, "0.5"),
            ("0 \"pieces; or so\"", 3.0, "3 pieces; or so"),
            (".00", 0.5, ".50"),
        ] {
            assert_eq!(NumberFormat::parse(code).show(number), shown, "{code}");
        }
    }

    #[test]
    fn dates_and_times_are_iso_in_both_date_systems() {
        let at = |value, is_1904| {
            date_text(&ExcelDateTime::new(value, ExcelDateTimeType::DateTime, is_1904))
        };
        assert_eq!(at(46_053.0, false), "2026-01-31");
        assert_eq!(at(46_053.5, false), "2026-01-31 12:00:00");
        assert_eq!(at(44_591.0, true), "2026-01-31");
        assert_eq!(at(0.75, false), "18:00:00");
        assert_eq!(at(-3.0, false), "-3");
        assert_eq!(at(1e300, false), "1E300");
        let passed =
            |value| date_text(&ExcelDateTime::new(value, ExcelDateTimeType::TimeDelta, false));
        assert_eq!((passed(1.5), passed(-0.5)), ("36:00:00".to_owned(), "-12:00:00".to_owned()));
    }

    proptest! {
        #[test]
        fn no_format_and_no_number_is_too_odd(
            code in "[0#?.,%\"\\\\_*\\[\\]$;@Ea-z() -]{0,20}|\\PC{0,12}",
            bits: u64,
            days in -1e7..1e7_f64,
        ) {
            let format = NumberFormat::parse(&code);
            for number in [f64::from_bits(bits), days] {
                prop_assert!(format.show(number).len() < 500);
                for kind in [ExcelDateTimeType::DateTime, ExcelDateTimeType::TimeDelta] {
                    date_text(&ExcelDateTime::new(number, kind, bits % 2 == 0));
                }
            }
        }

        #[test]
        fn whole_numbers_keep_every_digit(number in 0..999_999_999_999_999_u64) {
            let written = number.to_string();
            #[expect(clippy::cast_precision_loss, reason = "15 digits fit")]
            let number = number as f64;
            prop_assert_eq!(plain(number), written.clone());
            for code in ["0", "#,##0", "General"] {
                let shown = NumberFormat::parse(code).show(number);
                prop_assert_eq!(shown, written.clone());
            }
        }
    }
}
