//! Phone numbers in E.164 (ITU-T E.164: a country code and a national number, 15 digits at most).

use std::fmt;
use std::str::FromStr;

use rlibphonenumber::PhoneNumberFormat;
use serde::{Deserialize, Serialize};

/// A valid phone number.
///
/// Parsing is the only door, so a value of this type can be dialled. `Debug` masks all but the
/// last two digits: numbers don't belong in logs. `Display` shows the number.
///
/// ```
/// use callcore::phone::{PhoneNumber, Region};
/// let us: Region = "US".parse()?;
/// let number = PhoneNumber::parse("(212) 555-0123", &us)?;
/// assert_eq!(number.to_string(), "+12125550123");
/// assert_eq!(format!("{number:?}"), "PhoneNumber(+1********23)");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PhoneNumber(u64);

/// The text is no phone number that could be dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid phone number")]
pub struct PhoneNumberError;

impl PhoneNumber {
    /// Reads a number as people write it; one without a country code is of `region`.
    ///
    /// # Errors
    ///
    /// The text is not a number that its country's numbering plan allows. Extensions are refused,
    /// because a dial could not honour them.
    pub fn parse(text: &str, region: &Region) -> Result<Self, PhoneNumberError> {
        let region = rlibphonenumber::Region::from_str(region.as_str()).ok();
        let parsed =
            rlibphonenumber::PhoneNumber::parse(text, region).map_err(|_| PhoneNumberError)?;
        if !parsed.extension().is_empty() || !parsed.is_valid() {
            return Err(PhoneNumberError);
        }
        let text = parsed.format_as(PhoneNumberFormat::E164);
        text.strip_prefix('+')
            .and_then(|digits| digits.parse().ok())
            .map(Self)
            .ok_or(PhoneNumberError)
    }

    /// Reads a number as [`parse`](Self::parse) does, and passes over an extension: for a list of
    /// numbers not to call, where the line it belongs to is the one that must not ring.
    ///
    /// # Errors
    ///
    /// The text is not a number that its country's numbering plan allows.
    pub fn parse_line(text: &str, region: &Region) -> Result<Self, PhoneNumberError> {
        let code = rlibphonenumber::Region::from_str(region.as_str()).ok();
        let parsed =
            rlibphonenumber::PhoneNumber::parse(text, code).map_err(|_| PhoneNumberError)?;
        Self::parse(&parsed.format_as(PhoneNumberFormat::E164), &Region::NONE)
    }

    /// The digits without the country's code, as they are dialled within it.
    #[must_use]
    pub fn national_digits(self) -> String {
        let whole = self.0.to_string();
        let parsed = rlibphonenumber::PhoneNumber::parse(self.to_string(), None);
        parsed.map_or(whole, |parsed| parsed.get_national_significant_number())
    }

    /// The digits as one number, without the plus: how stores keep it.
    #[must_use]
    pub const fn digits(self) -> u64 {
        self.0
    }

    /// The number a store read back.
    ///
    /// # Errors
    ///
    /// The digits can't be an E.164 number: fewer than 7 or more than 15 of them.
    pub const fn from_digits(digits: u64) -> Result<Self, PhoneNumberError> {
        if digits < 1_000_000 || digits > 999_999_999_999_999 {
            return Err(PhoneNumberError);
        }
        Ok(Self(digits))
    }
}

/// What carriers send in place of a number that is withheld or not known, beside words such as
/// `anonymous`: the words as they are spelt on a keypad.
const WITHHELD: [&str; 5] = [
    "266696687",   // ANONYMOUS
    "7378742833",  // RESTRICTED
    "2562533",     // BLOCKED
    "8656696",     // UNKNOWN
    "86282452253", // UNAVAILABLE
];

/// Who rings, by the caller ID a carrier sends. Withheld and odd ones (`anonymous`, `Restricted`,
/// the keypad spellings of such words, `client:` and `sip:` addresses, nothing at all) are nobody's
/// number: they are never a key, and never called back.
///
/// ```
/// use callcore::phone::caller_id;
/// assert_eq!(caller_id("+12125550123").map(|it| it.to_string()).as_deref(), Some("+12125550123"));
/// assert_eq!(caller_id("+266696687"), None);
/// ```
#[must_use]
pub fn caller_id(text: &str) -> Option<PhoneNumber> {
    let digits = text.trim().strip_prefix('+')?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    if !plain || WITHHELD.contains(&digits) {
        return None;
    }
    text.trim().parse().ok()
}

impl FromStr for PhoneNumber {
    type Err = PhoneNumberError;

    /// Reads E.164: `+` and digits.
    fn from_str(text: &str) -> Result<Self, PhoneNumberError> {
        if !text.starts_with('+') {
            return Err(PhoneNumberError);
        }
        Self::parse(text, &Region::NONE)
    }
}

impl TryFrom<String> for PhoneNumber {
    type Error = PhoneNumberError;

    fn try_from(text: String) -> Result<Self, PhoneNumberError> {
        text.parse()
    }
}

impl From<PhoneNumber> for String {
    fn from(number: PhoneNumber) -> Self {
        number.to_string()
    }
}

impl fmt::Display for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{}", self.0)
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let masked = "*".repeat(digits.len().saturating_sub(3));
        write!(f, "PhoneNumber(+{}{masked}{})", &digits[..1], &digits[digits.len() - 2..])
    }
}

/// A country by its ISO 3166-1 code, where numbers without a country code are taken to be.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Region([u8; 2]);

/// The text is no country that has phone numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a two-letter country code (ISO 3166-1) with phone numbers")]
pub struct RegionError;

impl Region {
    /// No country: only numbers with a country code can be read.
    pub(crate) const NONE: Self = Self(*b"ZZ");

    /// The United States.
    pub const US: Self = Self(*b"US");

    /// The two letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Both bytes are ASCII letters: `from_str` is the only door.
        std::str::from_utf8(&self.0).unwrap_or("ZZ")
    }
}

impl FromStr for Region {
    type Err = RegionError;

    fn from_str(text: &str) -> Result<Self, RegionError> {
        let upper = text.trim().to_ascii_uppercase();
        let bytes: [u8; 2] = upper.as_bytes().try_into().map_err(|_| RegionError)?;
        let region = rlibphonenumber::Region::from_str(&upper).map_err(|_| RegionError)?;
        // The library reads any two letters as a code; it has numbers for these only.
        let known =
            rlibphonenumber::PHONE_NUMBER_UTIL.get_supported_regions().any(|it| it == region);
        if known { Ok(Self(bytes)) } else { Err(RegionError) }
    }
}

impl TryFrom<String> for Region {
    type Error = RegionError;

    fn try_from(text: String) -> Result<Self, RegionError> {
        text.parse()
    }
}

impl From<Region> for String {
    fn from(region: Region) -> Self {
        region.as_str().to_owned()
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Region({})", self.as_str())
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_reads_the_same_in_every_usual_spelling() {
        for text in
            ["2125550123", "(212) 555-0123", "212.555.0123", "12125550123", "+1 212 555 0123"]
        {
            assert_eq!(
                PhoneNumber::parse(text, &Region::US).unwrap().digits(),
                12_125_550_123,
                "{text}"
            );
        }
    }

    #[test]
    fn what_cannot_be_dialled_is_no_number() {
        for text in ["", "555-0167", "n/a", "+1 212 555", "212 555 0123 x5", "1.2125550E+10", "911"]
        {
            assert_eq!(PhoneNumber::parse(text, &Region::US), Err(PhoneNumberError), "{text}");
        }
    }

    #[test]
    fn a_region_is_a_country_that_has_phone_numbers() {
        for text in ["US", "gb", " DE ", "JM"] {
            assert!(text.parse::<Region>().is_ok(), "{text}");
        }
        for text in ["XX", "ZZ", "QQ", "UK", "USA", "U", "", "1A"] {
            assert_eq!(text.parse::<Region>(), Err(RegionError), "{text}");
        }
    }

    #[test]
    fn withheld_and_odd_caller_ids_are_nobodys_number() {
        for text in [
            "",
            " ",
            "anonymous",
            "Anonymous",
            "unknown",
            "Restricted",
            "unavailable",
            "+266696687",
            "+7378742833",
            "+2562533",
            "+8656696",
            "+86282452253",
            "client:ada",
            "+client:ada",
            "sip:+12125550123@example.com",
            "sips:ada@example.com",
            "tel:+12125550123",
            "+",
            "12125550123",
            "2125550123",
            "+0000000000",
            "+1 212 555 0123",
            "+12125550123;ext=5",
            "911",
            "+1911",
        ] {
            assert_eq!(caller_id(text), None, "{text}");
        }
        let number = "+12125550123".parse().ok();
        assert_eq!((caller_id("+12125550123"), caller_id(" +12125550123 ")), (number, number));
        assert!(caller_id("+862824522530").is_some() || caller_id("+8613800138000").is_some());
    }

    #[test]
    fn debug_masks_the_digits() {
        let number: PhoneNumber = "+12125550123".parse().unwrap();
        assert_eq!(format!("{number:?}"), "PhoneNumber(+1********23)");
    }
}
