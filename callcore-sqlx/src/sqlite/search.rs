//! Searching names and numbers: under three characters by their beginning, else by any part.
//!
//! The trigram index says which clients hold all of a text's three-character pieces somewhere; the
//! row itself says whether it holds the text. What people type is only ever bound, never part of
//! a statement.

use callcore::port::{Cursor, Page, SortKey};
use sqlx::{QueryBuilder, Sqlite};

use super::row::micros;

/// What a person searches for.
pub(super) struct Needle {
    /// As names are compared.
    text: String,
    /// The digits, if it may be a number.
    digits: Option<String>,
}

/// A name as searches compare it.
pub(super) fn name_key(name: &str) -> String {
    name.to_lowercase()
}

pub(super) fn digits_of(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

impl Needle {
    pub(super) fn new(q: &str) -> Self {
        let text = name_key(q.trim());
        let digits = digits_of(&text);
        let is_number =
            !digits.is_empty() && text.chars().all(|c| c.is_ascii_digit() || "+-(). ".contains(c));
        Self { text, digits: is_number.then_some(digits) }
    }

    fn is_short(&self) -> bool {
        self.text.chars().count() < 3
    }

    /// Adds a condition that `clients` matches.
    pub(super) fn push_clients(&self, sql: &mut QueryBuilder<Sqlite>) {
        if self.is_short() {
            sql.push("(name_key >= ").push_bind(self.text.clone());
            if let Some(end) = after_prefix(&self.text) {
                sql.push(" and name_key < ").push_bind(end);
            }
            if let Some(digits) = &self.digits {
                sql.push(" or ");
                number_ranges(sql, "phone", digits);
            }
            sql.push(")");
            return;
        }
        if let Some(pieces) = self.pieces() {
            sql.push("place in (select rowid from client_search where client_search match ");
            sql.push_bind(pieces).push(") and ");
        }
        sql.push("(instr(name_key, ").push_bind(self.text.clone()).push(") > 0");
        if let Some(digits) = &self.digits {
            sql.push(" or instr(cast(phone as text), ").push_bind(digits.clone()).push(") > 0");
        }
        sql.push(")");
    }

    /// Adds a condition that a number matches.
    pub(super) fn push_number(&self, sql: &mut QueryBuilder<Sqlite>, column: &'static str) {
        match &self.digits {
            None => {
                sql.push("false");
            }
            Some(digits) if self.is_short() => {
                sql.push("(");
                number_ranges(sql, column, digits);
                sql.push(")");
            }
            Some(digits) => {
                sql.push("instr(cast(").push(column).push(" as text), ");
                sql.push_bind(digits.clone()).push(") > 0");
            }
        }
    }

    /// The pieces a match must hold, in the index's own language; none if the index can't tell.
    fn pieces(&self) -> Option<String> {
        let name = pieces(&self.text)?;
        match &self.digits {
            None => Some(name),
            Some(digits) => Some(format!("({name}) OR ({})", pieces(digits)?)),
        }
    }
}

fn pieces(text: &str) -> Option<String> {
    let chars: Vec<char> = text.chars().collect();
    // The index's language ends at a NUL, and so would what it finds.
    if chars.len() < 3 || chars.contains(&'\0') {
        return None;
    }
    let quoted = chars.windows(3).map(|piece| {
        let piece: String = piece.iter().collect();
        format!("\"{}\"", piece.replace('"', "\"\""))
    });
    Some(quoted.collect::<Vec<_>>().join(" AND "))
}

/// Adds a condition that a number on the DNC list holds some digits, three of them or more.
pub(super) fn push_listed(sql: &mut QueryBuilder<Sqlite>, digits: String) {
    if let Some(pieces) = pieces(&digits) {
        sql.push(" and phone in (select rowid from dnc_search where dnc_search match ");
        sql.push_bind(pieces).push(")");
    }
    sql.push(" and instr(cast(phone as text), ").push_bind(digits).push(") > 0");
}

/// The first text that no longer begins with a prefix; none if there is no such text.
fn after_prefix(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        let next = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32);
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

/// Adds a condition that a number begins with some digits: one range for each length of E.164, so
/// that an index serves it.
pub(super) fn number_ranges(sql: &mut QueryBuilder<Sqlite>, column: &'static str, digits: &str) {
    let start: i64 = digits.parse().unwrap_or(i64::MAX);
    let mut first = true;
    for length in 7..=15_usize {
        let zeros = u32::try_from(length.saturating_sub(digits.len())).unwrap_or_default();
        let scale = 10_i64.pow(zeros);
        sql.push(if std::mem::take(&mut first) { "" } else { " or " });
        sql.push(column).push(" between ").push_bind(start.saturating_mul(scale));
        sql.push(" and ").push_bind(start.saturating_add(1).saturating_mul(scale) - 1);
    }
}

/// Adds a condition that rows lie beyond a place: `compared` has the columns and the comparison.
pub(super) fn push_place(sql: &mut QueryBuilder<Sqlite>, compared: &'static str, after: &Cursor) {
    sql.push(" and ").push(compared).push(" (");
    push_key(sql, &after.key);
    sql.push(", ").push_bind(after.id).push(")");
}

/// Adds what a list is sorted by, as its column holds it.
pub(super) fn push_key(sql: &mut QueryBuilder<Sqlite>, key: &SortKey) {
    match key {
        SortKey::At(at) => sql.push_bind(micros(*at)),
        SortKey::Number(number) => sql.push_bind(i64::try_from(*number).unwrap_or(i64::MAX)),
        SortKey::Text(text) => sql.push_bind(text.clone()),
    };
}

/// The first rows of what is left of a list, read with one row to spare, and where the rest begins.
pub(super) fn cut<T>(mut rows: Vec<T>, limit: u32, cursor: impl Fn(&T) -> Cursor) -> Page<T> {
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next = rows.last().filter(|_| more).map(cursor);
    Page { items: rows, next }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_is_data_whatever_is_typed() {
        assert_eq!(pieces("a\"b").as_deref(), Some("\"a\"\"b\""));
        assert_eq!(pieces("o or").as_deref(), Some("\"o o\" AND \" or\""));
        assert_eq!(pieces("ab"), None);
    }

    #[test]
    fn the_end_of_a_prefix_is_the_next_text_that_lacks_it() {
        assert_eq!(after_prefix("an").as_deref(), Some("ao"));
        assert_eq!(after_prefix("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(after_prefix("\u{d7ff}").as_deref(), Some("\u{e000}"));
        assert_eq!(after_prefix(""), None);
    }
}
