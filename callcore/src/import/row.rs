//! One record of the file to one client.

use std::fmt;

use csv::StringRecord;

use super::clean::clean;
use super::mapping::Layout;
use super::phone_cell::{self, PhoneCellError};
use super::report::{Reject, RejectCode, Rejection};
use crate::client::Consent;
use crate::formula::undefused;
use crate::phone::{PhoneNumber, Region};
use crate::text::{MAX_NOTE, MAX_TAG, harmless};
use crate::time::Zone;

const MAX_NAME: usize = 500;
const MAX_EMAIL: usize = 320;
const MAX_EXTERNAL_ID: usize = 200;
pub(super) const MAX_CONSENT: usize = 1_000;
const MAX_TAGS: usize = 50;
/// Of a value shown in a rejection.
const SHOWN: usize = 200;
/// Of a cell that holds no number, kept to find the row by.
const DIGITS: usize = 40;

/// A row of the file that can be a client. Lengths are in characters.
#[derive(Clone, PartialEq, Eq)]
pub struct Row {
    /// The line on which the row begins; the file's first line, the one with the column names,
    /// is 1.
    pub line: u64,
    /// The number to call.
    pub phone: PhoneNumber,
    /// The whole name, at most 500 long; may be empty.
    pub name: String,
    /// The time zone that the row names.
    pub time_zone: Option<Zone>,
    /// Tags, each once, at most 50 of at most 50.
    pub tags: Vec<String>,
    /// A note, at most 10,000 long.
    pub notes: Option<String>,
    /// An e-mail address as it was written, at most 320 long.
    pub email: Option<String>,
    /// The client's key in another system, at most 200 long.
    pub external_id: Option<String>,
    /// On what ground the client may be called, in the list's words, at most 1,000 long. None if
    /// the cell is empty or says no. An empty source stands for the list itself.
    pub consent: Option<Consent>,
    /// Whether the row speaks of consent at all.
    pub says_consent: bool,
    /// All cells as uploaded, one for each column, but for characters that mislead.
    pub fields: Vec<String>,
    /// The columns of which such characters were taken out.
    pub cleaned: Vec<String>,
}

impl fmt::Debug for Row {
    /// Leaves out all that is known of the person.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row")
            .field("line", &self.line)
            .field("phone", &self.phone)
            .finish_non_exhaustive()
    }
}

/// Checks a record. The first thing wrong with it is the one reported; the phone comes first.
///
/// Refusals are boxed: they are rare, and rows go through `Result` by the million.
pub(super) fn read(
    record: &StringRecord,
    line: u64,
    columns: &[String],
    layout: &Layout,
    region: &Region,
) -> Result<Row, Box<Reject>> {
    let mut cleaned = Vec::new();
    let cells = record.iter().take(columns.len()).enumerate().map(|(column, cell)| {
        let cell = undefused(cell);
        let clean = clean(cell);
        if clean.len() < cell.len() {
            cleaned.push(column_name(columns, column));
        }
        clean.into_owned()
    });
    let mut fields: Vec<String> = Vec::with_capacity(columns.len());
    fields.extend(cells);
    fields.resize(columns.len(), String::new());
    let checked = whole(record, columns)
        .and_then(|()| Cells { fields: &fields }.client(line, layout, region));
    match checked {
        Ok(row) => Ok(Row { fields, cleaned, ..row }),
        Err(Fault { column, code, message }) => {
            let value = record.get(column).unwrap_or_default().chars().take(SHOWN).collect();
            let column = column_name(columns, column);
            let rejection = Rejection { line, column, value, code, message };
            Err(Box::new(reject(record, columns, layout, region, rejection)))
        }
    }
}

fn reject(
    record: &StringRecord,
    columns: &[String],
    layout: &Layout,
    region: &Region,
    rejection: Rejection,
) -> Reject {
    let mut cells: Vec<String> = record.iter().map(|cell| undefused(cell).to_owned()).collect();
    if cells.len() < columns.len() {
        cells.resize(columns.len(), String::new());
    }
    let phone = cells.get(layout.phone).map_or("", String::as_str);
    let digits = match phone_cell::read(phone, region) {
        Ok(phone) => phone.digits().to_string(),
        Err(_) => phone.chars().filter(char::is_ascii_digit).take(DIGITS).collect(),
    };
    Reject { rejection, cells, digits }
}

/// What a column is called in a report: one without a name by its place.
pub(super) fn column_name(columns: &[String], column: usize) -> String {
    match columns.get(column) {
        Some(name) if !name.trim().is_empty() => name.clone(),
        _ => format!("column {}", column + 1),
    }
}

struct Fault {
    column: usize,
    code: RejectCode,
    message: String,
}

/// Whether every cell has a column and can be stored.
fn whole(record: &StringRecord, columns: &[String]) -> Result<(), Fault> {
    if let Some(column) = record.iter().position(|cell| cell.contains('\0')) {
        let message = "the cell holds a NUL character".to_owned();
        return Err(Fault { column, code: RejectCode::NulCharacter, message });
    }
    let extra = record.iter().skip(columns.len()).position(|cell| !cell.trim().is_empty());
    if let Some(extra) = extra {
        return Err(Fault {
            column: columns.len() + extra,
            code: RejectCode::TooManyCells,
            message: format!(
                "the row has {} cells, but there are {} columns",
                record.len(),
                columns.len()
            ),
        });
    }
    Ok(())
}

struct Cells<'a> {
    fields: &'a [String],
}

impl Cells<'_> {
    /// The client, still without its fields.
    fn client(&self, line: u64, layout: &Layout, region: &Region) -> Result<Row, Fault> {
        Ok(Row {
            line,
            phone: self.phone(layout.phone, region)?,
            time_zone: self.time_zone(layout.time_zone)?,
            name: self.name(layout)?,
            tags: self.tags(layout.tags)?,
            notes: self.text(layout.notes, MAX_NOTE)?,
            email: self.line(layout.email, MAX_EMAIL)?,
            external_id: self.line(layout.external_id, MAX_EXTERNAL_ID)?,
            consent: self.consent(layout.consent)?,
            says_consent: layout.consent.is_some(),
            fields: Vec::new(),
            cleaned: Vec::new(),
        })
    }

    fn cell(&self, column: usize) -> &str {
        self.fields.get(column).map_or("", |cell| cell.trim())
    }

    fn phone(&self, column: usize, region: &Region) -> Result<PhoneNumber, Fault> {
        phone_cell::read(self.cell(column), region).map_err(|error| Fault {
            column,
            code: match error {
                PhoneCellError::Missing => RejectCode::MissingPhone,
                PhoneCellError::DigitsLost | PhoneCellError::Invalid => RejectCode::InvalidPhone,
            },
            message: error.to_string(),
        })
    }

    fn time_zone(&self, column: Option<usize>) -> Result<Option<Zone>, Fault> {
        let Some(column) = column else { return Ok(None) };
        let name = self.cell(column);
        if name.is_empty() {
            return Ok(None);
        }
        let fault = |message: &str| Fault {
            column,
            code: RejectCode::InvalidTimeZone,
            message: message.to_owned(),
        };
        // The database has these two for places without daylight saving time; lists mean New York
        // and Denver by them, where a call at 20:30 by the database's clock would be late.
        if name.eq_ignore_ascii_case("EST") || name.eq_ignore_ascii_case("MST") {
            return Err(fault(
                "an ambiguous time zone: write America/New_York or America/Denver, \
                or America/Phoenix where clocks don't change",
            ));
        }
        name.parse()
            .map(Some)
            .map_err(|_| fault("no time zone of the IANA database, such as America/New_York"))
    }

    fn name(&self, layout: &Layout) -> Result<String, Fault> {
        if let Some(name) = self.line(layout.name, MAX_NAME)? {
            return Ok(name);
        }
        let first = self.line(layout.first_name, MAX_NAME / 2)?;
        let last = self.line(layout.last_name, MAX_NAME / 2 - 1)?;
        Ok(match (first, last) {
            (Some(first), Some(last)) => format!("{first} {last}"),
            (first, last) => first.or(last).unwrap_or_default(),
        })
    }

    fn tags(&self, column: Option<usize>) -> Result<Vec<String>, Fault> {
        let Some(column) = column else { return Ok(Vec::new()) };
        let mut tags: Vec<String> = Vec::new();
        for tag in self.cell(column).split([';', ',', '|', '\r', '\n']).map(str::trim) {
            if tag.is_empty() || tags.iter().any(|known| known == tag) {
                continue;
            }
            if tags.len() == MAX_TAGS {
                let message = format!("more than {MAX_TAGS} tags");
                return Err(Fault { column, code: RejectCode::TooLong, message });
            }
            within(tag, column, MAX_TAG)?;
            tags.push(harmless(tag).into_owned());
        }
        Ok(tags)
    }

    fn consent(&self, column: Option<usize>) -> Result<Option<Consent>, Fault> {
        let basis = self.line(column, MAX_CONSENT)?.filter(|text| !says_no(text));
        let of = |basis| Consent { basis, at: None, source: String::new(), evidence: None };
        Ok(basis.map(of))
    }

    /// A text on one line.
    fn line(&self, column: Option<usize>, max: usize) -> Result<Option<String>, Fault> {
        Ok(self.text(column, max)?.map(|text| harmless(&text).into_owned()))
    }

    fn text(&self, column: Option<usize>, max: usize) -> Result<Option<String>, Fault> {
        let Some(column) = column else { return Ok(None) };
        let text = self.cell(column);
        within(text, column, max)?;
        Ok(Some(text).filter(|text| !text.is_empty()).map(str::to_owned))
    }
}

fn within(text: &str, column: usize, max: usize) -> Result<(), Fault> {
    // The bytes are at least as many as the characters, and are known without counting.
    if text.len() > max && text.chars().count() > max {
        let message = format!("longer than {max} characters");
        return Err(Fault { column, code: RejectCode::TooLong, message });
    }
    Ok(())
}

fn says_no(text: &str) -> bool {
    const NO: &str = "\
        no|n|false|f|0|none|nein|non|não|nao|off|-|n/a|opt out|opt-out|opted out|opted-out|\
        unsubscribed|revoked|withdrawn|denied|refused|unknown|pending";
    let text = text.to_lowercase();
    NO.split('|').any(|no| no == text)
}
