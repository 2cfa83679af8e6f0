use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::id::IdError;

/// A place in a list: after the row with this key. Rows that arrive meanwhile are neither repeated
/// nor lost.
///
/// A cursor goes on in the list and order it came from; one with another kind of key names no place
/// there that anybody should count on, and whoever reads cursors from outside refuses it first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// What the list is sorted by, of that row.
    pub key: SortKey,
    /// The row's id, which tells apart what is alike in the key.
    pub id: Uuid,
}

/// What a list is sorted by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SortKey {
    /// An instant, to the microsecond.
    At(DateTime<Utc>),
    /// A place, a number of seconds, or any other number.
    Number(u64),
    /// A text, such as a name.
    Text(String),
}

impl Cursor {
    /// After a row of an instant.
    #[must_use]
    pub const fn at(at: DateTime<Utc>, id: Uuid) -> Self {
        Self { key: SortKey::At(at), id }
    }

    /// After a row with a number.
    #[must_use]
    pub const fn number(number: u64, id: Uuid) -> Self {
        Self { key: SortKey::Number(number), id }
    }

    /// After a row with a text.
    #[must_use]
    pub const fn text(text: String, id: Uuid) -> Self {
        Self { key: SortKey::Text(text), id }
    }
}

/// A letter for the kind of key, the key in hexadecimal, and the id; instants go without a letter.
impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            SortKey::At(at) => write!(f, "{:x}", at.timestamp_micros())?,
            SortKey::Number(number) => write!(f, "n{number:x}")?,
            SortKey::Text(text) => {
                f.write_str("t")?;
                text.bytes().try_for_each(|byte| write!(f, "{byte:02x}"))?;
            }
        }
        write!(f, ".{}", self.id.simple())
    }
}

impl FromStr for Cursor {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let parse = || {
            let (key, id) = text.split_once('.')?;
            let key = match key.split_at_checked(1)? {
                ("n", number) => SortKey::Number(u64::from_str_radix(number, 16).ok()?),
                ("t", hex) => SortKey::Text(text_of(hex)?),
                _ => {
                    let micros = u64::from_str_radix(key, 16).ok()?.cast_signed();
                    SortKey::At(DateTime::from_timestamp_micros(micros)?)
                }
            };
            Some(Self { key, id: Uuid::try_parse(id).ok()? })
        };
        parse().ok_or(IdError)
    }
}

fn text_of(hex: &str) -> Option<String> {
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = |pair: &[u8; 2]| u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok();
    let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
    // No database keeps a NUL, so none is looked for.
    let text = String::from_utf8(bytes?).ok().filter(|text| !text.contains('\0'));
    text.filter(|_| rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_of_every_kind_is_read_as_it_was_written() {
        let id = Uuid::from_u128(7);
        for cursor in [
            Cursor::at(DateTime::from_timestamp_micros(1_795_000_000_123_456).unwrap(), id),
            Cursor::at(DateTime::from_timestamp_micros(-1).unwrap(), id),
            Cursor::number(0, id),
            Cursor::number(u64::MAX, id),
            Cursor::text(String::new(), id),
            Cursor::text("zoë, \u{5d0}.b".to_owned(), id),
        ] {
            let text = cursor.to_string();
            assert_eq!(text.parse(), Ok(cursor), "{text}");
            assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte)));
        }
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        let id = Uuid::from_u128(7).simple();
        for key in
            ["", "x", "n", "n-1", "t1", "tzz", "tff", "t00", "t+1", "7fffffffffffffffff", "é"]
        {
            assert_eq!(format!("{key}.{id}").parse::<Cursor>(), Err(IdError), "{key}");
        }
        assert_eq!("1".parse::<Cursor>(), Err(IdError));
        assert_eq!("1.2".parse::<Cursor>(), Err(IdError));
    }
}
