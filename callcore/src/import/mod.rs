//! CSV in: rows become clients, duplicates or rejections, and nothing is lost in between.
//!
//! An [`Importer`] streams. It keeps one row (at most [`MAX_ROW_BYTES`]) and a decoding buffer,
//! whatever the file's size, and one thing that grows: some 30 bytes for each accepted number, to
//! tell the line that a duplicate repeats. Where a store tells duplicates anyway,
//! [`Importer::leaving_duplicates_to_store`] does without it.
//!
//! The encoding, the delimiter and the columns are found from the file; a [`Mapping`] overrules
//! the guess of columns. Blank rows don't count. Cells missing at a row's end are empty; cells
//! beyond the last column are dropped if they are empty, and otherwise the row is rejected, as
//! their meaning is unknown. A cell that starts with `'` and, after it and perhaps more of them,
//! a sign that spreadsheets take for the start of a formula loses that one `'`: exports put it there.
//! Control characters and marks that turn the direction of text are taken out of cells, and the
//! report says so; a row is not lost for them.
//!
//! ```
//! use callcore::import::{Importer, ImportReport, Mapping, Parsed};
//! use callcore::phone::Region;
//!
//! let file = "Name;Mobile No.;City\nAda;'2125550123;Rome\nBob;555-0167;Oslo\n";
//! let importer = Importer::new(file.as_bytes(), Region::US, &Mapping::default())?;
//! assert_eq!(importer.columns(), ["Name", "Mobile No.", "City"]);
//! let mut report = ImportReport::default();
//! for parsed in importer {
//!     match parsed? {
//!         Parsed::Accepted(row) => {
//!             assert_eq!((row.line, row.name.as_str()), (2, "Ada"));
//!             assert_eq!(row.fields, ["Ada", "'2125550123", "Rome"]);
//!             report.count_accepted(&row);
//!         }
//!         Parsed::Duplicate(duplicate, _row) => report.count_duplicate(duplicate),
//!         Parsed::Rejected(reject) => report.count_rejected(reject.rejection),
//!     }
//! }
//! assert_eq!(report.rejected_by_code["invalid_phone"], 1);
//! # Ok::<(), callcore::import::ImportError>(())
//! ```

mod clean;
mod decode;
mod dedupe;
mod delimiter;
mod error;
mod headers;
mod json;
mod mapping;
mod numbers;
mod phone_cell;
mod records;
mod report;
mod row;
mod rows;
#[cfg(test)]
mod tests;
#[cfg(feature = "xlsx")]
mod workbook;

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;

use csv::StringRecord;

pub use self::dedupe::{Dedupe, DuplicatePolicy, Known, OnDuplicate, Roll, Verdict};
pub use self::error::ImportError;
pub use self::json::{JsonClients, MAX_JSON_CLIENTS};
pub use self::mapping::Mapping;
pub use self::numbers::{ListedNumber, NumberList};
pub use self::report::{
    Cleaning, Duplicate, ImportFailure, ImportReport, Reject, RejectCode, Rejection,
};
pub use self::row::Row;
#[cfg(feature = "xlsx")]
pub use self::workbook::{Sheet, may_be_workbook};

use self::decode::Decoder;
use self::mapping::Layout;
use self::records::Records;
use self::rows::Rows;
use crate::formula::undefused;
use crate::phone::{PhoneNumber, Region};

/// The longest row, in bytes of UTF-8. A longer one ends the import, because what follows it
/// can't be trusted: as a rule a quote was not closed, or the file is no CSV.
pub const MAX_ROW_BYTES: usize = 1024 * 1024;

/// The most columns. Each row is padded to them, so they bound what a row of two bytes can cost.
pub const MAX_COLUMNS: usize = 2_000;

/// The columns that a list of refused rows has beside its own: on which line of the first file a row
/// began, and why it was refused. They are ignored when the list comes back.
pub const OURS: [&str; 2] = ["callcore_line", "callcore_reason"];

/// What one row of the file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed {
    /// A client, unless the campaign has the number already.
    Accepted(Row),
    /// A client whose number stands earlier in the file.
    Duplicate(Duplicate, Row),
    /// No client.
    Rejected(Reject),
}

/// Reads clients from CSV, one row at a time. After an error there is nothing more to read.
pub struct Importer<R> {
    records: Records<R>,
    record: StringRecord,
    columns: Vec<String>,
    layout: Layout,
    /// The cells of a record that are no client's: see [`OURS`].
    ours: Vec<usize>,
    /// Whether the external ids were only guessed to be such.
    guessed_external_ids: bool,
    region: Region,
    delimiter: u8,
    /// The line of each number; none if the store tells duplicates.
    seen: Option<BTreeMap<PhoneNumber, u64>>,
    failed: bool,
}

impl<R: Read> Importer<R> {
    /// Reads the beginning of a file and its column names. Numbers without a country code are of
    /// `region`.
    ///
    /// # Errors
    ///
    /// The file is empty or no CSV, has no column of phone numbers, or not the columns that
    /// `mapping` names; see [`ImportError`].
    pub fn new(source: R, region: Region, mapping: &Mapping) -> Result<Self, ImportError> {
        let mut decoder = Decoder::new(source);
        let mut start = String::new();
        decoder.next(&mut start)?;
        let delimiter = delimiter::find(&start, mapping);
        let rows = Rows::new(decoder, start, delimiter);
        let reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .from_reader(rows);
        Self::of(Records::Text(reader), delimiter, region, mapping)
    }

    /// The same of a workbook's sheet. Lines are the sheet's rows.
    ///
    /// # Errors
    ///
    /// The sheet is empty, has no column of phone numbers, or not the columns that `mapping` names.
    #[cfg(feature = "xlsx")]
    pub fn of_sheet(sheet: Sheet<R>, region: Region, mapping: &Mapping) -> Result<Self, ImportError>
    where
        R: std::io::Write + std::io::Seek,
    {
        Self::of(Records::Sheet(sheet.records()), b',', region, mapping)
    }

    fn of(
        mut records: Records<R>,
        delimiter: u8,
        region: Region,
        mapping: &Mapping,
    ) -> Result<Self, ImportError> {
        let mut columns = read_columns(&mut records)?;
        let ours = take_ours(&mut columns);
        let layout = Layout::new(&columns, mapping).map_err(|error| match error {
            // An error must not carry the first client's number for a column's name.
            ImportError::NoPhoneColumn { .. } | ImportError::UnknownColumn { .. }
                if columns.iter().any(|name| phone_cell::read(name, &region).is_ok()) =>
            {
                ImportError::NoHeader
            }
            other => other,
        })?;
        Ok(Self {
            records,
            record: StringRecord::new(),
            columns,
            guessed_external_ids: mapping.external_id.is_none() && layout.external_id.is_some(),
            layout,
            ours,
            region,
            delimiter,
            seen: Some(BTreeMap::new()),
            failed: false,
        })
    }

    /// Doesn't look for numbers that come twice, so that memory does not grow with the file: no row
    /// is a [`Parsed::Duplicate`]. A store knows the numbers of a campaign and the line each came
    /// in on, those of the same file included.
    #[must_use]
    pub fn leaving_duplicates_to_store(mut self) -> Self {
        self.seen = None;
        self
    }

    /// The names of all columns as uploaded, in order; some may be equal or empty.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The column that each field is read from, guessed or named: what a person may mend.
    #[must_use]
    pub fn mapping(&self) -> Mapping {
        let name = |index: usize| self.columns.get(index).cloned();
        let layout = &self.layout;
        Mapping {
            phone: name(layout.phone),
            name: layout.name.and_then(name),
            first_name: layout.first_name.and_then(name),
            last_name: layout.last_name.and_then(name),
            time_zone: layout.time_zone.and_then(name),
            tags: layout.tags.and_then(name),
            notes: layout.notes.and_then(name),
            email: layout.email.and_then(name),
            external_id: layout.external_id.and_then(name),
            consent: layout.consent.and_then(name),
            exact: true,
        }
    }

    /// Whether external ids are only taken for such because of their column's name; see
    /// [`DuplicatePolicy::guessed_external_ids`].
    #[must_use]
    pub const fn guessed_external_ids(&self) -> bool {
        self.guessed_external_ids
    }

    /// The sign between cells: comma, semicolon, tab or bar, unless a `sep=` line names another.
    #[must_use]
    pub const fn delimiter(&self) -> char {
        self.delimiter as char
    }

    fn read(&mut self) -> Result<Option<Parsed>, ImportError> {
        loop {
            if !self.records.next(&mut self.record)? {
                return Ok(None);
            }
            if !self.ours.is_empty() {
                let cells = self.record.iter().enumerate();
                self.record =
                    cells.filter(|(at, _)| !self.ours.contains(at)).map(|(_, cell)| cell).collect();
            }
            if !is_blank(&self.record) {
                break;
            }
        }
        let line = self.records.line();
        let parsed = row::read(&self.record, line, &self.columns, &self.layout, &self.region);
        let row = match parsed {
            Ok(row) => row,
            Err(reject) => return Ok(Some(Parsed::Rejected(*reject))),
        };
        if let Some(seen) = &mut self.seen {
            if let Some(first) = seen.get(&row.phone) {
                let duplicate = Duplicate { line, of_line: Some(*first) };
                return Ok(Some(Parsed::Duplicate(duplicate, row)));
            }
            seen.insert(row.phone, line);
        }
        Ok(Some(Parsed::Accepted(row)))
    }
}

impl<R: Read> Iterator for Importer<R> {
    type Item = Result<Parsed, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let item = self.read().transpose();
        self.failed = matches!(item, None | Some(Err(_)));
        item
    }
}

impl<R> fmt::Debug for Importer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Importer")
            .field("columns", &self.columns)
            .field("layout", &self.layout)
            .field("seen", &self.seen.as_ref().map(BTreeMap::len))
            .finish_non_exhaustive()
    }
}

fn read_columns<R: Read>(records: &mut Records<R>) -> Result<Vec<String>, ImportError> {
    let mut record = StringRecord::new();
    loop {
        if !records.next(&mut record)? {
            return Err(ImportError::Empty);
        }
        // Excel's own line, which names the delimiter.
        let is_sep =
            record.get(0).is_some_and(|cell| cell.to_ascii_lowercase().starts_with("sep="));
        if !is_blank(&record) && !is_sep {
            break;
        }
    }
    if record.len() > MAX_COLUMNS {
        return Err(ImportError::TooManyColumns { count: record.len() });
    }
    if record.iter().any(|cell| cell.contains('\0')) {
        return Err(ImportError::NotText { kind: "a binary file" });
    }
    Ok(record.iter().map(|cell| undefused(cell).to_owned()).collect())
}

/// Takes our own columns out of a file of refused rows that were mended; where they stood.
fn take_ours(columns: &mut Vec<String>) -> Vec<usize> {
    let is_ours = |name: &String| OURS.contains(&name.trim());
    let ours = (0..columns.len()).filter(|&index| is_ours(&columns[index])).collect();
    columns.retain(|name| !is_ours(name));
    ours
}

fn read_record<R: Read>(
    reader: &mut csv::Reader<Rows<R>>,
    record: &mut StringRecord,
) -> Result<bool, ImportError> {
    reader.read_record(record).map_err(|error| match error.into_kind() {
        csv::ErrorKind::Io(error) => match error.downcast() {
            Ok(error) => error,
            Err(error) => ImportError::Unreadable(error),
        },
        // The reader takes rows of any length, and text is UTF-8 by now.
        _ => ImportError::Undecodable,
    })
}

fn is_blank(record: &StringRecord) -> bool {
    record.iter().all(|cell| cell.trim().is_empty())
}
