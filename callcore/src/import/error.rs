//! What makes a whole file unreadable.

use std::fmt;

/// The file as a whole can't be imported.
///
/// The messages are for the person who uploaded it. A row that can't be imported is no error:
/// it is a [`Rejection`](super::Rejection), and the rows after it go on.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The upload broke off.
    #[error("the file could not be read to its end")]
    Unreadable(#[source] std::io::Error),
    /// There is no row at all, not even one with column names.
    #[error("the file is empty")]
    Empty,
    /// The bytes are no text.
    #[error(
        "this is {kind}, not a list that can be read: open it in the program it comes from and save it as CSV"
    )]
    NotText {
        /// What the bytes look like.
        kind: &'static str,
    },
    /// The bytes are damaged UTF-16, or an encoding that is not supported.
    #[error("the text is damaged or in an unknown encoding: save the file as CSV in UTF-8")]
    Undecodable,
    /// A row is longer than [`MAX_ROW_BYTES`](super::MAX_ROW_BYTES).
    #[error(
        "the row that begins on line {line} is longer than 1 MiB{}",
        if *.in_quotes { ": a quoted cell in it is not closed" } else { "" }
    )]
    RowTooLong {
        /// The line on which the row begins.
        line: u64,
        /// Whether it broke off within a quoted cell, the usual cause.
        in_quotes: bool,
    },
    /// The file ends within a quoted cell: all rows after the quote would be one cell.
    #[error("a quoted cell in the row that begins on line {line} is not closed")]
    UnclosedQuote {
        /// The line on which the row begins.
        line: u64,
    },
    /// There are more than [`MAX_COLUMNS`](super::MAX_COLUMNS) columns.
    #[error(
        "the file has {count} columns; the most that can be imported is {}",
        super::MAX_COLUMNS
    )]
    TooManyColumns {
        /// How many there are.
        count: usize,
    },
    /// The file is a workbook of which something can't be read.
    #[error(
        "the workbook is damaged or was not written by a spreadsheet: \
        open it in one and save it anew, or as CSV"
    )]
    DamagedWorkbook,
    /// No sheet of the workbook is shown, or none that has cells.
    #[error("the workbook has no sheet with cells that is not hidden")]
    NoSheet,
    /// The workbook would take too much memory, time or room.
    #[error("the workbook holds {what}, more than can be read: save its first sheet as CSV")]
    WorkbookTooLarge {
        /// What it has too much of.
        what: &'static str,
    },
    /// The first row already is a client.
    #[error("the first row holds a phone number: put a row with column names above it")]
    NoHeader,
    /// No column looks like phone numbers, and no mapping names one.
    #[error("no column holds phone numbers; the columns are {}", Quoted(.headers))]
    NoPhoneColumn {
        /// The columns there are.
        headers: Vec<String>,
    },
    /// The mapping names columns that the file has not.
    #[error("{}; the columns are {}", Unknown(.unknown), Quoted(.headers))]
    UnknownColumn {
        /// The mapping's keys, each with the column it names.
        unknown: Vec<(&'static str, String)>,
        /// The columns there are.
        headers: Vec<String>,
    },
}

impl ImportError {
    /// A name for the kind of trouble that stays the same, for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "unreadable",
            Self::Empty => "empty_file",
            Self::NotText { .. } => "not_text",
            Self::Undecodable => "undecodable",
            Self::RowTooLong { .. } => "row_too_long",
            Self::UnclosedQuote { .. } => "unclosed_quote",
            Self::TooManyColumns { .. } => "too_many_columns",
            Self::DamagedWorkbook => "damaged_workbook",
            Self::NoSheet => "no_sheet",
            Self::WorkbookTooLarge { .. } => "workbook_too_large",
            Self::NoHeader => "no_header",
            Self::NoPhoneColumn { .. } => "no_phone_column",
            Self::UnknownColumn { .. } => "unknown_column",
        }
    }
}

/// The columns that a mapping names and that are not there.
struct Unknown<'a>(&'a [(&'static str, String)]);

impl fmt::Display for Unknown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (key, column)) in self.0.iter().enumerate() {
            let start = if index == 0 { "there is no column" } else { " and none" };
            let column: String = column.chars().take(60).collect();
            write!(f, "{start} {column:?} for `{key}`")?;
        }
        Ok(())
    }
}

/// Column names in quotes, as many and as much of each as a reader of an error can take in.
struct Quoted<'a>(&'a [String]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 30;
        for (index, name) in self.0.iter().take(SHOWN).enumerate() {
            let name: String = name.chars().take(60).collect();
            write!(f, "{}{name:?}", if index == 0 { "" } else { ", " })?;
        }
        match self.0.len().checked_sub(SHOWN) {
            Some(more @ 1..) => write!(f, " and {more} more"),
            _ => Ok(()),
        }
    }
}
