//! Workbooks as lists of clients: of the first sheet that is shown, each cell as a person sees it.
//!
//! A workbook comes from a stranger, and is a ZIP of XML: a few bytes may unpack to gigabytes, and
//! a count written in it may ask for any amount of memory. So [`guard`] reads it first, within bounds,
//! and what it refuses is never handed to the library that understands workbooks. Then the sheet is
//! written down as plain rows before the first of them is imported: a workbook that is damaged in its
//! middle brings nobody in.

mod guard;
mod number_format;
mod sheet;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom, Write};

use csv::StringRecord;

use super::ImportError;

/// What every ZIP begins with, and so every workbook.
const MAGIC: &[u8; 4] = b"PK\x03\x04";

/// The rows of a workbook's first sheet, to be imported with
/// [`Importer::of_sheet`](super::Importer::of_sheet).
pub struct Sheet<S> {
    rows: S,
}

impl<S: Read + Write + Seek> Sheet<S> {
    /// Writes the rows of a workbook's first visible sheet into `spool`, which is empty. It grows to
    /// a GiB at most; memory grows with the workbook's distinct texts, to half of that at worst. This
    /// may take seconds.
    ///
    /// Cells are what a person sees: dates are `2026-01-31`, numbers and shares have the
    /// decimals of their format but no signs between thousands, and formulas have the value they had
    /// when the workbook was saved.
    ///
    /// # Errors
    ///
    /// It is no workbook of the kind `.xlsx`, it is damaged, has nothing in it, or is too large.
    pub fn unpack<W: Read + Seek>(mut workbook: W, mut spool: S) -> Result<Self, ImportError> {
        workbook.seek(SeekFrom::Start(0)).map_err(ImportError::Unreadable)?;
        guard::check(&mut workbook)?;
        workbook.seek(SeekFrom::Start(0)).map_err(ImportError::Unreadable)?;
        sheet::write_rows(&mut workbook, &mut spool)?;
        spool.flush().map_err(ImportError::Unreadable)?;
        spool.seek(SeekFrom::Start(0)).map_err(ImportError::Unreadable)?;
        Ok(Self { rows: spool })
    }

    pub(super) fn records(self) -> SheetRecords<S> {
        let mut reader = csv::ReaderBuilder::new();
        reader.has_headers(false).flexible(true);
        SheetRecords { reader: reader.from_reader(self.rows), line: 1 }
    }
}

impl<S> fmt::Debug for Sheet<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sheet").finish_non_exhaustive()
    }
}

/// Whether a file begins as a workbook does. It is left at its start.
///
/// # Errors
///
/// The file could not be read.
pub fn may_be_workbook<F: Read + Seek>(file: &mut F) -> io::Result<bool> {
    file.seek(SeekFrom::Start(0))?;
    let mut start = Vec::with_capacity(MAGIC.len());
    file.by_ref().take(MAGIC.len() as u64).read_to_end(&mut start)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(start == MAGIC)
}

/// The rows that [`sheet::write_rows`] wrote, each with its number at its end.
pub(super) struct SheetRecords<S> {
    reader: csv::Reader<S>,
    line: u64,
}

impl<S: Read> SheetRecords<S> {
    pub(super) fn next(&mut self, record: &mut StringRecord) -> Result<bool, ImportError> {
        let read = self.reader.read_record(record).map_err(|error| match error.into_kind() {
            csv::ErrorKind::Io(error) => ImportError::Unreadable(error),
            _ => ImportError::Undecodable,
        })?;
        if read {
            let cells = record.len().saturating_sub(1);
            self.line = record.get(cells).and_then(|line| line.parse().ok()).unwrap_or(self.line);
            record.truncate(cells);
        }
        Ok(read)
    }

    pub(super) const fn line(&self) -> u64 {
        self.line
    }
}
