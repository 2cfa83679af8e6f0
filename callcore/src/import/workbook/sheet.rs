//! From a workbook that was checked to rows of text.

use std::io::{BufReader, ErrorKind, Read, Seek, Write};

use calamine::{DataRef, Reader, SheetType, SheetVisible, Xlsx, XlsxError};

use super::number_format::{NumberFormat, date_text, plain};
use crate::import::{ImportError, MAX_COLUMNS, MAX_ROW_BYTES};

/// The most that a sheet may be written down in, in bytes: a text that stands in the workbook once
/// may be shown in a million cells.
const MAX_BYTES: usize = 1024 * 1024 * 1024;

/// The last row that a sheet can have.
const MAX_ROWS: u32 = 1_048_576;

/// Writes the first visible sheet as CSV, blank rows left out, the row's number after its cells.
pub(super) fn write_rows<W: Read + Seek, S: Write>(
    workbook: &mut W,
    spool: &mut S,
) -> Result<(), ImportError> {
    let mut workbook = Xlsx::new(BufReader::new(workbook)).map_err(damaged)?;
    let sheets = workbook.sheets_metadata().iter();
    let name = sheets
        .filter(|sheet| sheet.typ == SheetType::WorkSheet && sheet.visible == SheetVisible::Visible)
        .map(|sheet| sheet.name.clone())
        .next()
        .ok_or(ImportError::NoSheet)?;
    let mut cells = workbook.worksheet_cells_reader(&name).map_err(damaged)?;
    let formats: Vec<NumberFormat> = cells
        .styles()
        .iter()
        .map(|style| match &style.number_format {
            Some(format) => NumberFormat::parse(&format.format_code),
            None => NumberFormat::default(),
        })
        .collect();
    let mut rows = Rows::new(spool);
    while let Some((cell, style)) = cells.next_cell_with_style_id().map_err(damaged)? {
        let (row, column) = cell.get_position();
        rows.put(row, column, text(cell.get_value(), formats.get(style)))?;
    }
    rows.end()
}

/// What a person sees in a cell.
fn text(value: &DataRef<'_>, format: Option<&NumberFormat>) -> String {
    let number = |number: f64| match format {
        Some(format) => format.show(number),
        None => plain(number),
    };
    match value {
        DataRef::Empty => String::new(),
        DataRef::String(text) => text.clone(),
        DataRef::SharedString(text) => (*text).to_owned(),
        DataRef::Float(value) => number(*value),
        #[expect(clippy::cast_precision_loss, reason = "workbooks have floating-point numbers")]
        DataRef::Int(value) => number(*value as f64),
        DataRef::Bool(true) => "TRUE".to_owned(),
        DataRef::Bool(false) => "FALSE".to_owned(),
        DataRef::DateTime(at) => date_text(at),
        DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => {
            text.strip_suffix("T00:00:00").unwrap_or(text).to_owned()
        }
        DataRef::Error(error) => error.to_string(),
    }
}

/// Rows as their cells come in.
struct Rows<'a, S: Write> {
    csv: csv::Writer<&'a mut S>,
    row: u32,
    cells: Vec<String>,
    /// Of the row's cells.
    bytes: usize,
    written: usize,
}

impl<'a, S: Write> Rows<'a, S> {
    fn new(spool: &'a mut S) -> Self {
        let csv = csv::WriterBuilder::new().has_headers(false).flexible(true).from_writer(spool);
        Self { csv, row: 0, cells: Vec::new(), bytes: 0, written: 0 }
    }

    fn put(&mut self, row: u32, column: u32, text: String) -> Result<(), ImportError> {
        if row >= MAX_ROWS || row < self.row {
            return Err(ImportError::DamagedWorkbook);
        }
        if row > self.row {
            self.write()?;
            self.row = row;
        }
        if text.is_empty() {
            return Ok(());
        }
        let column = column as usize;
        if column >= MAX_COLUMNS {
            return Err(ImportError::TooManyColumns { count: column + 1 });
        }
        self.bytes += text.len();
        if self.bytes > MAX_ROW_BYTES {
            return Err(ImportError::RowTooLong { line: u64::from(row) + 1, in_quotes: false });
        }
        if self.cells.len() <= column {
            self.cells.resize(column + 1, String::new());
        }
        self.cells[column] = text;
        Ok(())
    }

    fn write(&mut self) -> Result<(), ImportError> {
        let is_blank = self.cells.iter().all(|cell| cell.trim().is_empty());
        if !is_blank {
            self.written += self.bytes + self.cells.len();
            if self.written > MAX_BYTES {
                return Err(ImportError::WorkbookTooLarge { what: "a sheet of more than 1 GiB" });
            }
            let number = (u64::from(self.row) + 1).to_string();
            let cells = self.cells.iter().chain([&number]);
            self.csv.write_record(cells).map_err(|error| match error.into_kind() {
                csv::ErrorKind::Io(error) => ImportError::Unreadable(error),
                _ => ImportError::DamagedWorkbook,
            })?;
        }
        self.cells.clear();
        self.bytes = 0;
        Ok(())
    }

    fn end(mut self) -> Result<(), ImportError> {
        self.write()?;
        self.csv.flush().map_err(ImportError::Unreadable)
    }
}

/// The library's errors name parts of the file, which say nothing to whoever made it in a
/// spreadsheet.
fn damaged(error: XlsxError) -> ImportError {
    match error {
        XlsxError::Io(error)
            if !matches!(
                error.kind(),
                ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::UnexpectedEof
            ) =>
        {
            ImportError::Unreadable(error)
        }
        XlsxError::WorksheetNotFound(_) | XlsxError::NotAWorksheet(_) => ImportError::NoSheet,
        _ => ImportError::DamagedWorkbook,
    }
}
