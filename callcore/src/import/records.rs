//! Where an importer's records come from, and the line each is on.

use std::io::Read;

use csv::StringRecord;

use super::ImportError;
use super::rows::Rows;

/// Records of a text file, or of a sheet that was unpacked.
pub(super) enum Records<R> {
    Text(csv::Reader<Rows<R>>),
    #[cfg(feature = "xlsx")]
    Sheet(super::workbook::SheetRecords<R>),
}

impl<R: Read> Records<R> {
    /// Replaces `record` by the next one; false if there is none.
    pub(super) fn next(&mut self, record: &mut StringRecord) -> Result<bool, ImportError> {
        match self {
            Self::Text(reader) => super::read_record(reader, record),
            #[cfg(feature = "xlsx")]
            Self::Sheet(sheet) => sheet.next(record),
        }
    }

    /// The line on which the record handed out last began; the first line is 1.
    pub(super) fn line(&self) -> u64 {
        match self {
            Self::Text(reader) => reader.get_ref().began_on(),
            #[cfg(feature = "xlsx")]
            Self::Sheet(sheet) => sheet.line(),
        }
    }
}
