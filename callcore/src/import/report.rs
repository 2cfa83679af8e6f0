//! What came of an import, in numbers and examples.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Row;
use crate::phone::PhoneNumber;
use crate::zones::{Candidates, candidate_zones};

/// How many rejections and duplicates a report lists; all are counted.
const LISTED: usize = 100;

/// Why a row was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectCode {
    /// The phone cell is empty.
    MissingPhone,
    /// The phone cell holds no number that could be dialled.
    InvalidPhone,
    /// The time zone is not in the IANA database.
    InvalidTimeZone,
    /// A cell is longer than its field may be, or holds too many tags.
    TooLong,
    /// The row has more cells than there are columns, so that it is unknown what they hold.
    TooManyCells,
    /// A cell holds a NUL, which no database keeps.
    NulCharacter,
    /// A client with another number has the row's external id.
    ExternalIdTaken,
    /// The row of a list not to call takes a number off it.
    Removal,
}

impl RejectCode {
    /// The code's name, as in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MissingPhone => "missing_phone",
            Self::InvalidPhone => "invalid_phone",
            Self::InvalidTimeZone => "invalid_time_zone",
            Self::TooLong => "too_long",
            Self::TooManyCells => "too_many_cells",
            Self::NulCharacter => "nul_character",
            Self::ExternalIdTaken => "external_id_taken",
            Self::Removal => "removal",
        }
    }
}

impl fmt::Display for RejectCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A row that can't be imported, and what is wrong with it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// The line on which the row begins; the file's first line is 1.
    pub line: u64,
    /// The name of the column at fault.
    pub column: String,
    /// What stands there, cut to 200 characters.
    pub value: String,
    /// What is wrong, for programs.
    pub code: RejectCode,
    /// What is wrong, for people.
    pub message: String,
}

impl fmt::Debug for Rejection {
    /// Leaves the value out: as a rule it is a phone number, mistyped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejection")
            .field("line", &self.line)
            .field("column", &self.column)
            .field("code", &self.code)
            .finish_non_exhaustive()
    }
}

/// A refused row as it was, kept to be mended and uploaded again.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// What is wrong with it.
    pub rejection: Rejection,
    /// All of its cells, at least one for each column.
    pub cells: Vec<String>,
    /// The digits of its number, so that the row is found when the person is erased: those of E.164
    /// if it is a number, else whatever digits stand in its cell.
    pub digits: String,
}

impl fmt::Debug for Reject {
    /// Leaves out all that is known of the person.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reject").field("rejection", &self.rejection).finish_non_exhaustive()
    }
}

impl Reject {
    /// How few digits may stand for a number, when a person's rows are looked for.
    const FEWEST_DIGITS: usize = 7;

    /// Everything that may stand in [`digits`](Self::digits) of a row about the person with this
    /// number: the number, and as much of its end as people write without the codes before it.
    pub fn digits_of(phone: PhoneNumber) -> Vec<String> {
        let digits = phone.digits().to_string();
        (0..=digits.len().saturating_sub(Self::FEWEST_DIGITS))
            .map(|start| digits[start..].to_owned())
            // As dialled within a country.
            .flat_map(|end| [format!("0{end}"), end])
            .collect()
    }
}

/// Characters that were taken out of a cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cleaning {
    /// The line on which the row begins.
    pub line: u64,
    /// The name of the column.
    pub column: String,
}

/// A row whose number is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Duplicate {
    /// The line on which the row begins.
    pub line: u64,
    /// The line of the row that it repeats: of this file, or of the earlier file that brought the
    /// number into the campaign; none if the number came in some other way.
    pub of_line: Option<u64>,
}

/// The counts of an import. `rows_read` is the sum of `accepted`, `updated`, `duplicates` and
/// `rejected`.
///
/// Each row read is counted by one of the four `count_` methods that add to `rows_read`. Only the
/// store knows which numbers the campaign already has, so accepted rows are counted when it has
/// spoken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReport {
    /// Rows of the file, without the column names and without blank rows.
    pub rows_read: u64,
    /// Rows that became clients.
    pub accepted: u64,
    /// Rows that changed a client the campaign had.
    #[serde(default)]
    pub updated: u64,
    /// Rows whose number stands earlier in the file, or is in the campaign.
    pub duplicates: u64,
    /// Accepted rows that won't be called, because their number is on a DNC list.
    pub on_dnc: u64,
    /// Rows refused.
    pub rejected: u64,
    /// Rows refused, by [`RejectCode`].
    pub rejected_by_code: BTreeMap<String, u64>,
    /// The first 100 rows refused.
    pub rejections: Vec<Rejection>,
    /// The first 100 duplicates.
    pub duplicate_of: Vec<Duplicate>,
    /// Cells that lost characters nobody can see and that would mislead whoever reads the rest:
    /// control characters, and marks that reverse the direction of text.
    #[serde(default)]
    pub cleaned: u64,
    /// The first 100 of them.
    #[serde(default)]
    pub cleanings: Vec<Cleaning>,
    /// Accepted rows by time zone: the one in the row, else the number's; `several` where the
    /// number has more than one candidate, `unknown` where it has none.
    pub time_zones: BTreeMap<String, u64>,
    /// What ended the import before the file's end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<ImportFailure>,
}

/// What ended an import before the file's end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportFailure {
    /// For programs: [`ImportError::code`](super::ImportError::code), or what the importing
    /// application calls its own trouble.
    pub code: String,
    /// For people.
    pub message: String,
}

impl ImportReport {
    /// Counts a row that became a client.
    pub fn count_accepted(&mut self, row: &Row) {
        self.rows_read += 1;
        self.accepted += 1;
        let zone = match &row.time_zone {
            Some(zone) => zone.name(),
            None => match candidate_zones(row.phone) {
                Candidates::Known([zone]) => zone.name(),
                Candidates::Known(_) | Candidates::CountryWide(_) => "several",
                Candidates::Unknown => "unknown",
            },
        };
        match self.time_zones.get_mut(zone) {
            Some(count) => *count += 1,
            None => {
                self.time_zones.insert(zone.to_owned(), 1);
            }
        }
    }

    /// Counts a row that changed a client.
    pub const fn count_updated(&mut self) {
        self.rows_read += 1;
        self.updated += 1;
    }

    /// Counts what was taken out of a row's cells.
    pub fn count_cleaned(&mut self, line: u64, columns: &[String]) {
        self.cleaned += columns.len() as u64;
        let room = LISTED.saturating_sub(self.cleanings.len());
        let cleaned = columns.iter().take(room).cloned();
        self.cleanings.extend(cleaned.map(|column| Cleaning { line, column }));
    }

    /// Blanks what stands in all listed rejections.
    pub fn forget_all(&mut self) {
        for rejection in &mut self.rejections {
            rejection.value.clear();
        }
    }

    /// Counts that an accepted row's number is on a DNC list.
    pub const fn count_on_dnc(&mut self) {
        self.on_dnc += 1;
    }

    /// Counts a row whose number stands earlier in the file, or which the store found in the
    /// campaign.
    pub fn count_duplicate(&mut self, duplicate: Duplicate) {
        self.rows_read += 1;
        self.duplicates += 1;
        if self.duplicate_of.len() < LISTED {
            self.duplicate_of.push(duplicate);
        }
    }

    /// Counts a row refused.
    pub fn count_rejected(&mut self, rejection: Rejection) {
        self.rows_read += 1;
        self.rejected += 1;
        *self.rejected_by_code.entry(rejection.code.to_string()).or_default() += 1;
        if self.rejections.len() < LISTED {
            self.rejections.push(rejection);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejection(line: u64) -> Rejection {
        Rejection {
            line,
            column: "Phone".to_owned(),
            value: "555-0123".to_owned(),
            code: RejectCode::InvalidPhone,
            message: "not a valid phone number".to_owned(),
        }
    }

    #[test]
    fn a_report_lists_the_first_hundred_and_counts_all() {
        let mut report = ImportReport::default();
        for line in 2..252 {
            report.count_rejected(rejection(line));
            report.count_duplicate(Duplicate { line, of_line: Some(1) });
        }
        assert_eq!((report.rows_read, report.rejected, report.duplicates), (500, 250, 250));
        assert_eq!((report.rejections.len(), report.duplicate_of.len()), (100, 100));
        assert_eq!(report.rejections[99].line, 101);
        assert_eq!(report.rejected_by_code["invalid_phone"], 250);
    }

    #[test]
    fn every_code_is_called_in_json_as_in_the_counts() {
        for code in [
            RejectCode::MissingPhone,
            RejectCode::InvalidPhone,
            RejectCode::InvalidTimeZone,
            RejectCode::TooLong,
            RejectCode::TooManyCells,
            RejectCode::NulCharacter,
            RejectCode::ExternalIdTaken,
            RejectCode::Removal,
        ] {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }

    #[test]
    fn a_mistyped_number_does_not_show_in_debug_output() {
        assert!(!format!("{:?}", rejection(2)).contains("0123"));
    }
}
