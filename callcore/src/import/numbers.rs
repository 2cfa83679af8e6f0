//! Lists of numbers not to call, as registries, diallers and spreadsheets write them.
//!
//! With column names, one of them is the phone's, as in a list of clients. Without, each row is a
//! number, or an area code and the rest of a number: the flat files of the registries of the United
//! States and Canada. A row of another kind, such as a title or a sum, is refused by itself.

use std::fmt;
use std::io::Read;

use csv::StringRecord;

use super::decode::Decoder;
use super::headers::{Field, guess, named};
use super::mapping::Mapping;
use super::phone_cell::{self, PhoneCellError};
use super::report::{RejectCode, Rejection};
use super::rows::Rows;
use super::{ImportError, MAX_COLUMNS, delimiter, is_blank, read_record};
use crate::formula::undefused;
use crate::phone::{PhoneNumber, Region};

/// How many rows tell where the numbers of a file without column names are.
const SAMPLE: usize = 50;
/// How many columns may hold them there.
const SAMPLED_COLUMNS: usize = 20;
/// The longest reason, in characters; the rest of a longer one is left out.
const MAX_REASON: usize = 1_000;
/// Of a value shown in a rejection.
const SHOWN: usize = 200;

/// A number of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedNumber {
    /// The line on which the row begins; the file's first line is 1.
    pub line: u64,
    /// The number.
    pub phone: PhoneNumber,
    /// Why it is not to be called, where a column says so.
    pub reason: Option<String>,
}

/// Reads numbers not to call, one row at a time, in constant memory. After an error there is nothing
/// more to read.
///
/// ```
/// use callcore::import::{Mapping, NumberList};
/// use callcore::phone::Region;
///
/// let registry = "212,5550100\n212,5550101\n";
/// let list = NumberList::new(registry.as_bytes(), Region::US, &Mapping::default())?;
/// let numbers: Vec<String> =
///     list.map(|row| row.unwrap().unwrap().phone.to_string()).collect();
/// assert_eq!(numbers, ["+12125550100", "+12125550101"]);
/// # Ok::<(), callcore::import::ImportError>(())
/// ```
pub struct NumberList<R> {
    reader: csv::Reader<Rows<R>>,
    record: StringRecord,
    /// The first row, if it is none of column names.
    first: Option<(StringRecord, u64)>,
    shape: Shape,
    region: Region,
    failed: bool,
}

/// Where a row has what.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Shape {
    Named {
        columns: Vec<String>,
        phone: usize,
        area: Option<usize>,
        reason: Option<usize>,
        change: Option<usize>,
    },
    /// No column names: the number, or its area code, is in this column.
    Flat { column: usize },
}

impl<R> fmt::Debug for NumberList<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NumberList").field("failed", &self.failed).finish_non_exhaustive()
    }
}

impl<R: Read> NumberList<R> {
    /// Reads the beginning of a list. Numbers without a country code are of `region`; a
    /// [`Mapping`] may name the phone's column.
    ///
    /// # Errors
    ///
    /// The file is empty or no text, or nothing in it looks like phone numbers.
    pub fn new(source: R, region: Region, mapping: &Mapping) -> Result<Self, ImportError> {
        let mut decoder = Decoder::new(source);
        let mut start = String::new();
        decoder.next(&mut start)?;
        let (delimiter, sampled) = cut_of(&start, mapping, &region);
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .from_reader(Rows::new(decoder, start, delimiter));
        let mut record = StringRecord::new();
        loop {
            if !read_record(&mut reader, &mut record)? {
                return Err(ImportError::Empty);
            }
            let is_sep =
                record.get(0).is_some_and(|it| it.to_ascii_lowercase().starts_with("sep="));
            if !is_blank(&record) && !is_sep {
                break;
            }
        }
        if record.len() > MAX_COLUMNS {
            return Err(ImportError::TooManyColumns { count: record.len() });
        }
        let line = reader.get_ref().began_on();
        let shape = Shape::of(&record, mapping, sampled, &region)?;
        let is_flat = matches!(shape, Shape::Flat { .. });
        let first = is_flat.then(|| (record.clone(), line));
        Ok(Self { reader, record, first, shape, region, failed: false })
    }

    fn read(&mut self) -> Result<Option<Result<ListedNumber, Rejection>>, ImportError> {
        if let Some((record, line)) = self.first.take() {
            return Ok(Some(self.shape.read(&record, line, &self.region)));
        }
        loop {
            if !read_record(&mut self.reader, &mut self.record)? {
                return Ok(None);
            }
            if !is_blank(&self.record) {
                break;
            }
        }
        let line = self.reader.get_ref().began_on();
        Ok(Some(self.shape.read(&self.record, line, &self.region)))
    }
}

impl<R: Read> Iterator for NumberList<R> {
    type Item = Result<Result<ListedNumber, Rejection>, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let item = self.read().transpose();
        self.failed = matches!(item, None | Some(Err(_)));
        item
    }
}

impl Shape {
    fn of(
        first: &StringRecord,
        mapping: &Mapping,
        sampled: Option<usize>,
        region: &Region,
    ) -> Result<Self, ImportError> {
        let columns: Vec<String> = first.iter().map(|cell| undefused(cell).to_owned()).collect();
        if let Some(name) = &mapping.phone {
            let phone = named(&columns, name).ok_or_else(|| ImportError::UnknownColumn {
                unknown: vec![("phone", name.clone())],
                headers: columns.clone(),
            })?;
            return Ok(Self::named(columns, phone));
        }
        let holds_number = (0..first.len().min(SAMPLED_COLUMNS))
            .any(|column| number_at(first, column, region).is_ok());
        match (guess(&columns, Field::Phone, &[]), sampled) {
            (Some(phone), _) if !holds_number => Ok(Self::named(columns, phone)),
            (_, Some(column)) => Ok(Self::Flat { column }),
            // What stands there may be somebody's number, cut short: an error must not carry it.
            (_, None) if columns.iter().any(|cell| cell.bytes().any(|b| b.is_ascii_digit())) => {
                Err(ImportError::NoPhoneColumn { headers: Vec::new() })
            }
            (_, None) => Err(ImportError::NoPhoneColumn { headers: columns }),
        }
    }

    fn named(columns: Vec<String>, phone: usize) -> Self {
        let taken = [phone];
        let area = guess(&columns, Field::Area, &taken);
        let reason = guess(&columns, Field::Reason, &taken);
        let change = guess(&columns, Field::Change, &taken);
        Self::Named { columns, phone, area, reason, change }
    }

    fn read(
        &self,
        record: &StringRecord,
        line: u64,
        region: &Region,
    ) -> Result<ListedNumber, Rejection> {
        let cell = |column: usize| record.get(column).unwrap_or_default().trim();
        let refuse = |column: usize, code, message: String| Rejection {
            line,
            column: self.name_of(column),
            value: cell(column).chars().take(SHOWN).collect(),
            code,
            message,
        };
        let nul = record.iter().position(|cell| cell.contains('\0'));
        if let Some(column) = nul {
            let message = "the cell holds a NUL character".to_owned();
            return Err(refuse(column, RejectCode::NulCharacter, message));
        }
        let (column, number) = match self {
            Self::Flat { column } => (*column, number_at(record, *column, region)),
            Self::Named { phone, area, .. } => {
                let whole = area.and_then(|area| joined(cell(area), cell(*phone)));
                let number = match whole {
                    Some(whole) => nanp(&whole),
                    None => phone_cell::read_line(cell(*phone), region),
                };
                (*phone, number)
            }
        };
        let phone = number.map_err(|error| {
            let code = match error {
                PhoneCellError::Missing => RejectCode::MissingPhone,
                PhoneCellError::DigitsLost | PhoneCellError::Invalid => RejectCode::InvalidPhone,
            };
            let digits = plain_digits(cell(column)).map_or(0, |digits| digits.len());
            let message = match error {
                PhoneCellError::Invalid if digits == 7 => "the number has no area code".to_owned(),
                error => error.to_string(),
            };
            refuse(column, code, message)
        })?;
        let removal = self.change_of(record).filter(|column| is_removal(cell(*column)));
        if let Some(column) = removal {
            let message =
                "the row takes a number off the list, which is done one by one".to_owned();
            return Err(refuse(column, RejectCode::Removal, message));
        }
        let reason = match self {
            Self::Named { reason: Some(column), .. } => Some(cell(*column)),
            _ => None,
        };
        let reason = reason.filter(|reason| !reason.is_empty());
        let reason = reason.map(|reason| undefused(reason).chars().take(MAX_REASON).collect());
        Ok(ListedNumber { line, phone, reason })
    }

    /// The column that says whether a row adds a number or takes it off: named so, or the fourth of
    /// a registry's list of changes (area, number, date, A or D).
    fn change_of(&self, record: &StringRecord) -> Option<usize> {
        match self {
            Self::Named { change, .. } => *change,
            Self::Flat { column } => Some(column + 3).filter(|column| *column < record.len()),
        }
    }

    fn name_of(&self, column: usize) -> String {
        match self {
            Self::Named { columns, .. } => columns.get(column).cloned(),
            Self::Flat { .. } => None,
        }
        .filter(|name| !name.trim().is_empty())
        .unwrap_or_else(|| format!("column {}", column + 1))
    }
}

fn is_removal(cell: &str) -> bool {
    ["d", "del", "delete", "deleted", "remove", "removed"]
        .contains(&cell.to_ascii_lowercase().as_str())
}

/// The number in a column, or of the area code there and the rest of it in the next one.
fn number_at(
    record: &StringRecord,
    column: usize,
    region: &Region,
) -> Result<PhoneNumber, PhoneCellError> {
    let cell = |column: usize| record.get(column).unwrap_or_default().trim();
    match joined(cell(column), cell(column + 1)) {
        Some(whole) => nanp(&whole),
        None => phone_cell::read_line(cell(column), region),
    }
}

/// An area code and the seven digits after it as one.
fn joined(area: &str, rest: &str) -> Option<String> {
    let area = plain_digits(area).filter(|area| area.len() == 3)?;
    let rest = plain_digits(rest).filter(|rest| rest.len() == 7)?;
    Some(format!("+1{area}{rest}"))
}

/// Area codes and seven digits are of the North American Numbering Plan, wherever the list is read.
fn nanp(whole: &str) -> Result<PhoneNumber, PhoneCellError> {
    whole.parse().map_err(|_| PhoneCellError::Invalid)
}

/// The digits of a cell that has nothing else but what groups them.
fn plain_digits(cell: &str) -> Option<String> {
    let cell = cell.trim_start_matches(['\'', '’']).trim_matches('"');
    let rest: String = cell.chars().filter(|c| !" -.()".contains(*c)).collect();
    (!rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit())).then_some(rest)
}

/// The sign between cells, and the column in which most rows of a file's start have a number: a
/// title above the rows says nothing about them.
fn cut_of(start: &str, mapping: &Mapping, region: &Region) -> (u8, Option<usize>) {
    let guessed = delimiter::find(start, mapping);
    let others = [b',', b';', b'\t', b'|'].into_iter().filter(|sign| *sign != guessed);
    let mut best = (guessed, sampled_column(start, guessed, region));
    for sign in others {
        let sampled = sampled_column(start, sign, region);
        let more = |a: Option<(usize, usize)>, b: Option<(usize, usize)>| {
            a.map(|(rows, _)| rows) > b.map(|(rows, _)| rows)
        };
        if more(sampled, best.1) {
            best = (sign, sampled);
        }
    }
    (best.0, best.1.map(|(_, column)| column))
}

/// How many rows of a file's start have a number in the column that has most, and which it is.
fn sampled_column(start: &str, delimiter: u8, region: &Region) -> Option<(usize, usize)> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(start.as_bytes());
    let rows: Vec<StringRecord> = reader.records().filter_map(Result::ok).take(SAMPLE).collect();
    let count =
        |column: usize| rows.iter().filter(|row| number_at(row, column, region).is_ok()).count();
    let best = (0..SAMPLED_COLUMNS)
        .map(|column| (count(column), std::cmp::Reverse(column)))
        .max()
        .filter(|(rows, _)| *rows > 0);
    best.map(|(rows, std::cmp::Reverse(column))| (rows, column))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers, and the refused rows as `line code`.
    fn read(bytes: &[u8]) -> Result<(Vec<String>, Vec<String>), ImportError> {
        let (mut numbers, mut refused) = (Vec::new(), Vec::new());
        for row in NumberList::new(bytes, Region::US, &Mapping::default())? {
            match row? {
                Ok(number) => numbers.push(number.phone.to_string()),
                Err(rejection) => refused.push(format!("{} {}", rejection.line, rejection.code)),
            }
        }
        Ok((numbers, refused))
    }

    #[test]
    fn the_same_two_numbers_are_read_from_every_kind_of_list() {
        let utf16: Vec<u8> = [0xff, 0xfe]
            .into_iter()
            .chain(
                "Phone\r\n2125550100\r\n2125550101\r\n".encode_utf16().flat_map(u16::to_le_bytes),
            )
            .collect();
        let lists: [&[u8]; 17] = [
            b"2125550100\n2125550101\n",
            b"+12125550100\r\n1 (212) 555-0101\r\n",
            b"212,5550100\n212,5550101\n",
            b"\xef\xbb\xbf212,5550100\r\n212,5550101\r\n",
            b"212;555-0100\n212;555-0101\n",
            b"212,5550100,2026-01-02,A\n212,5550101,2026-01-02,A\n",
            b"Phone,Reason\n2125550100,asked\n2125550101,\n",
            b"Name,Mobile\nAda,2125550100\nBob,2125550101\n",
            b"Area code,Phone number\n212,5550100\n212,5550101\n",
            b"2125550100,W\n2125550101,P\n",
            b"1.2125550100E+10\n'2125550101\n",
            b"2125550100 x5\n(212) 555-0101 ext. 7\n",
            b"'212,'5550100\n\"212\",\"5550101\"\n",
            b"x1,2125550100\nx2,2125550101\n",
            "Téléphone;Motif\n2125550100;x\n2125550101;y\n".as_bytes(),
            "２１２５５５０１００\n٢١٢٥٥٥٠١٠١\n".as_bytes(),
            &utf16,
        ];
        for list in lists {
            let name = String::from_utf8_lossy(list);
            let read = read(list).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(read.0, ["+12125550100", "+12125550101"], "{name}");
            assert!(read.1.is_empty(), "{name}: {:?}", read.1);
        }
    }

    #[test]
    fn rows_of_another_kind_are_refused_by_themselves() {
        let list = b"National registry 2026\n212,5550100\n5550101\n212,5550102,x,D\n\
                     2125550103 / 2125550104\nTotal: 2\n";
        let (numbers, refused) = read(list).unwrap();
        assert_eq!(numbers, ["+12125550100"]);
        let codes = ["1 invalid_phone", "3 invalid_phone", "4 removal", "5 invalid_phone"];
        assert_eq!(refused[..4], codes);
        assert_eq!(refused[4], "6 invalid_phone");
    }

    #[test]
    fn a_row_that_takes_a_number_off_adds_none() {
        let list = b"Phone,Action\n2125550100,A\n2125550101,Delete\n";
        assert_eq!(read(list).unwrap(), (vec!["+12125550100".into()], vec!["3 removal".into()]));
    }

    #[test]
    fn a_seven_digit_number_is_told_what_it_lacks() {
        let list = b"Phone\n555-0100\n";
        let mut list = NumberList::new(&list[..], Region::US, &Mapping::default()).unwrap();
        let rejection = list.next().unwrap().unwrap().unwrap_err();
        assert_eq!(rejection.message, "the number has no area code");
        assert_eq!((rejection.line, rejection.column.as_str()), (2, "Phone"));
    }

    #[test]
    fn what_holds_no_numbers_is_no_list() {
        for (list, code) in [
            (&b""[..], "empty_file"),
            (b"Name,City\nAda,Rome\n", "no_phone_column"),
            (b"%PDF-1.7\n", "not_text"),
            (b"5550100\n5550101\n", "no_phone_column"),
        ] {
            let error = read(list).unwrap_err();
            assert_eq!(error.code(), code);
            assert!(!error.to_string().contains("5550100"), "{error}");
        }
    }

    #[test]
    fn a_named_column_overrules_the_guess() {
        let list = b"Phone,Evening\nx,2125550100\n";
        let mapping = Mapping { phone: Some("evening".to_owned()), ..Mapping::default() };
        let mut list = NumberList::new(&list[..], Region::US, &mapping).unwrap();
        assert_eq!(list.next().unwrap().unwrap().unwrap().phone.to_string(), "+12125550100");
        let mapping = Mapping { phone: Some("Handset".to_owned()), ..Mapping::default() };
        let error = NumberList::new(&b"Phone\n1\n"[..], Region::US, &mapping).unwrap_err();
        assert_eq!(error.code(), "unknown_column");
    }
}
