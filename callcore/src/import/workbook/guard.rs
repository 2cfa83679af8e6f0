//! What a workbook may not hold, so that reading it takes bounded memory and time.
//!
//! The library that reads workbooks reserves room for as many texts as the file says there are, keeps
//! whole elements in memory, copies each style's fonts and formats, and trusts cell references. So all
//! parts that it may read are read here before, by the same ZIP and XML readers, and measured.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::rc::Rc;

use quick_xml::Reader as XmlReader;
use quick_xml::events::{BytesStart, Event};
use zip::ZipArchive;

use crate::import::{ImportError, MAX_ROW_BYTES};

/// The most entries of the ZIP: sheets, pictures, charts.
const MAX_ENTRIES: u64 = 20_000;
/// The most that all parts unpack to, in bytes.
const MAX_UNPACKED: u64 = 1024 * 1024 * 1024;
/// The same, of the distinct texts.
const MAX_TEXTS_UNPACKED: u64 = 256 * 1024 * 1024;
/// The same, of a part that describes others.
const MAX_PART: u64 = 16 * 1024 * 1024;
/// Up to here the share of packed bytes says nothing: small files of zeros are common.
const UNSUSPICIOUS: u64 = 64 * 1024 * 1024;
/// What spreadsheets write shrinks to a twentieth; to a thousandth at most.
const MAX_RATIO: u64 = 200;
/// The longest element, text or comment, in bytes: no row may be longer either.
const MAX_EVENT: u64 = MAX_ROW_BYTES as u64;
/// The most distinct texts.
const MAX_TEXTS: u64 = 4_000_000;
/// The most cells of all sheets, empty ones that are only coloured included.
const MAX_CELLS: u64 = 50_000_000;
/// Styles times the longest element that describes one, in bytes.
const MAX_STYLES: u64 = 64 * 1024 * 1024;
/// The end of the grid.
const MAX_ROW: u32 = 1_048_576;
const MAX_COLUMN: u32 = 16_384;

/// Parts that are read under fixed names, in whatever folder the workbook is.
const TEXTS: &str = "sharedstrings.xml";
const STYLES: &str = "styles.xml";
const OTHERS: [&str; 2] = ["workbook.xml", "theme1.xml"];

/// Whether a file is a workbook that can be read without harm.
pub(super) fn check<W: Read + Seek>(file: &mut W) -> Result<(), ImportError> {
    check_directory(file)?;
    file.seek(SeekFrom::Start(0)).map_err(ImportError::Unreadable)?;
    let mut zip =
        ZipArchive::new(BufReader::new(file)).map_err(|_| ImportError::DamagedWorkbook)?;
    let mut names = Vec::with_capacity(zip.len());
    for index in 0..zip.len() {
        let entry = zip.by_index_raw(index).map_err(|_| ImportError::DamagedWorkbook)?;
        let name = entry.name().map_err(|_| ImportError::DamagedWorkbook)?;
        names.push(name.replace('\\', "/").to_lowercase());
    }
    if let Some(kind) = other_kind(&names) {
        return Err(ImportError::NotText { kind });
    }
    let mut survey = Survey::default();
    let is_link = |name: &String| file_name(name).ends_with(".rels");
    for index in (0..names.len()).filter(|&index| is_link(&names[index])) {
        survey.part(&mut zip, index, MAX_PART)?;
    }
    for (index, name) in names.iter().enumerate() {
        let name = file_name(name);
        let max = if name == TEXTS {
            MAX_TEXTS_UNPACKED
        } else if name == STYLES || OTHERS.contains(&name) || survey.workbooks.contains(name) {
            MAX_PART
        } else if survey.sheets.contains(name) {
            MAX_UNPACKED
        } else {
            continue;
        };
        survey.in_styles = name == STYLES;
        survey.part(&mut zip, index, max)?;
    }
    Ok(())
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// What a ZIP is that is no workbook of the kind that can be read.
fn other_kind(names: &[String]) -> Option<&'static str> {
    const KINDS: [(&str, &str); 5] = [
        ("xl/workbook.bin", "a binary Excel workbook (.xlsb)"),
        ("content.xml", "an OpenDocument file (.ods)"),
        ("word/document.xml", "a word processor's file"),
        ("ppt/presentation.xml", "a presentation"),
        ("index/document.iwa", "a Numbers spreadsheet"),
    ];
    let has = |wanted: &str| names.iter().any(|name| name == wanted);
    let kind = KINDS.into_iter().find(|(name, _)| has(name)).map(|(_, kind)| kind);
    let is_office = has("[content_types].xml") && has("_rels/.rels");
    kind.or_else(|| (!is_office).then_some("a ZIP file"))
}

/// Counts the headers of entries, and reads what an archive of more than 65,535 says of itself: the
/// ZIP reader makes room for all of them at once.
fn check_directory<W: Read + Seek>(file: &mut W) -> Result<(), ImportError> {
    const ENTRY: &[u8] = b"PK\x01\x02";
    const END: &[u8] = b"PK\x06\x06";
    const END_LEN: usize = 40;
    let len = file.seek(SeekFrom::End(0)).map_err(ImportError::Unreadable)?;
    file.seek(SeekFrom::Start(0)).map_err(ImportError::Unreadable)?;
    let mut window = Vec::new();
    let mut entries: u64 = 0;
    loop {
        let read = file.by_ref().take(64 * 1024).read_to_end(&mut window);
        let at_end = read.map_err(ImportError::Unreadable)? == 0;
        // What may be the beginning of a record is looked at with what follows.
        let whole = if at_end { window.len() } else { window.len().saturating_sub(END_LEN) };
        for at in (0..whole).filter(|&at| window[at] == b'P') {
            let record = &window[at..];
            entries += u64::from(record.starts_with(ENTRY));
            if let (true, Some(size), Some(count)) =
                (record.starts_with(END), number_at(record, 4), number_at(record, 32))
                && (44..len).contains(&size)
            {
                entries = entries.max(count);
            }
        }
        if entries > MAX_ENTRIES {
            return Err(ImportError::WorkbookTooLarge { what: "too many parts" });
        }
        if at_end {
            return Ok(());
        }
        window.drain(..whole);
    }
}

fn number_at(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u64::from_le_bytes(*bytes))
}

/// What was seen of all parts so far.
#[derive(Default)]
struct Survey {
    meter: Rc<Meter>,
    /// File names that links give to workbooks and to sheets.
    workbooks: BTreeSet<String>,
    sheets: BTreeSet<String>,
    texts: u64,
    cells: u64,
    in_styles: bool,
    styles: u64,
    longest_of_styles: u64,
}

impl Survey {
    fn part<W: Read + Seek>(
        &mut self,
        zip: &mut ZipArchive<W>,
        index: usize,
        max: u64,
    ) -> Result<(), ImportError> {
        let entry = zip.by_index(index).map_err(|_| ImportError::DamagedWorkbook)?;
        self.meter.begin(entry.compressed_size(), max);
        let metered = Metered { source: entry, meter: self.meter.clone() };
        let mut xml = XmlReader::from_reader(BufReader::new(metered));
        let config = xml.config_mut();
        // As the library has it: what is measured must be what it reads.
        config.check_end_names = false;
        config.check_comments = false;
        config.expand_empty_elements = true;
        let mut buffer = Vec::new();
        let mut inside = Inside::default();
        loop {
            buffer.clear();
            self.meter.event.set(0);
            let event = xml.read_event_into(&mut buffer);
            if let Some(what) = self.meter.refused.get() {
                return Err(ImportError::WorkbookTooLarge { what });
            }
            match event.map_err(|_| ImportError::DamagedWorkbook)? {
                Event::Eof => return Ok(()),
                Event::Start(start) => {
                    inside.enter(start.local_name().as_ref());
                    self.start(&start)?;
                }
                Event::End(end) => inside.leave(end.local_name().as_ref()),
                Event::Text(part) => inside.count(part.len())?,
                Event::CData(part) => inside.count(part.len())?,
                Event::GeneralRef(part) => inside.count(part.len())?,
                _ => {}
            }
        }
    }

    fn start(&mut self, start: &BytesStart<'_>) -> Result<(), ImportError> {
        let too_large = |what| Err(ImportError::WorkbookTooLarge { what });
        match start.local_name().as_ref() {
            "sst" => {
                let count = values(start, "uniqueCount")?.into_iter().map(|it| it.parse::<u64>());
                if count.into_iter().any(|count| count.is_ok_and(|count| count > MAX_TEXTS)) {
                    return too_large("more than 4,000,000 texts");
                }
            }
            "si" => {
                self.texts += 1;
                if self.texts > MAX_TEXTS {
                    return too_large("more than 4,000,000 texts");
                }
            }
            "c" => {
                self.cells += 1;
                if self.cells > MAX_CELLS {
                    return too_large("more than 50,000,000 cells");
                }
                check_all(values(start, "r")?, is_cell)?;
            }
            "row" => check_all(values(start, "r")?, is_row)?,
            "dimension" => check_all(values(start, "ref")?, is_range)?,
            "Relationship" => self.link(start)?,
            name if self.in_styles => {
                self.styles += u64::from(name == "xf");
                self.longest_of_styles = self.longest_of_styles.max(start.len() as u64);
                if self.styles.saturating_mul(self.longest_of_styles) > MAX_STYLES {
                    return too_large("too many styles");
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Notes what will be read because a link leads there.
    fn link(&mut self, start: &BytesStart<'_>) -> Result<(), ImportError> {
        let of = |kind: &str| {
            Ok::<_, ImportError>(values(start, "Type")?.iter().any(|it| it.ends_with(kind)))
        };
        let target = if of("/officeDocument")? {
            &mut self.workbooks
        } else if of("/worksheet")? {
            &mut self.sheets
        } else {
            return Ok(());
        };
        for path in values(start, "Target")? {
            // A name that is not what it looks like would be measured under another.
            if path.contains('&') {
                return Err(ImportError::DamagedWorkbook);
            }
            let path = path.replace('\\', "/").to_lowercase();
            target.insert(file_name(&path).to_owned());
        }
        Ok(())
    }
}

/// The text of an element that the library puts together from its pieces.
#[derive(Default)]
struct Inside {
    element: Option<&'static str>,
    depth: u64,
    text: u64,
}

impl Inside {
    fn enter(&mut self, name: &str) {
        match self.element {
            Some(element) => self.depth += u64::from(element == name),
            None => {
                self.element = ["c", "si", "definedName"].into_iter().find(|it| *it == name);
                (self.depth, self.text) = (1, 0);
            }
        }
    }

    fn leave(&mut self, name: &str) {
        if self.element == Some(name) {
            self.depth -= 1;
            self.element = self.element.filter(|_| self.depth > 0);
        }
    }

    fn count(&mut self, bytes: usize) -> Result<(), ImportError> {
        self.text += bytes as u64;
        if self.element.is_some() && self.text > MAX_EVENT {
            return Err(ImportError::WorkbookTooLarge { what: "a text of more than 1 MiB" });
        }
        Ok(())
    }
}

/// The values of an attribute, which may stand there more than once in a forged file.
fn values(start: &BytesStart<'_>, name: &str) -> Result<Vec<String>, ImportError> {
    let mut values = Vec::new();
    for attribute in start.attributes().with_checks(false) {
        let attribute = attribute.map_err(|_| ImportError::DamagedWorkbook)?;
        if attribute.key.as_ref() == name {
            values.push(attribute.value.as_ref().to_owned());
        }
    }
    Ok(values)
}

fn check_all(values: Vec<String>, is_good: impl Fn(&str) -> bool) -> Result<(), ImportError> {
    if values.iter().all(|value| is_good(value)) {
        Ok(())
    } else {
        Err(ImportError::DamagedWorkbook)
    }
}

fn is_row(text: &str) -> bool {
    text.len() <= 7 && text.parse().is_ok_and(|row| (1..=MAX_ROW).contains(&row))
}

fn is_cell(text: &str) -> bool {
    place(text).is_some()
}

fn is_range(text: &str) -> bool {
    match text.split_once(':') {
        None => is_cell(text),
        Some((from, to)) => match (place(from), place(to)) {
            (Some(from), Some(to)) => from.0 <= to.0 && from.1 <= to.1,
            _ => false,
        },
    }
}

/// Row and column of a reference such as `B12`.
fn place(text: &str) -> Option<(u32, u32)> {
    let letters = text.bytes().take_while(u8::is_ascii_alphabetic).count();
    if !(1..=3).contains(&letters) {
        return None;
    }
    let (column, row) = text.split_at(letters);
    let of = |byte: u8| u32::from(byte.to_ascii_uppercase() - b'A') + 1;
    let column = column.bytes().fold(0, |column, byte| column * 26 + of(byte));
    let is_good = is_row(row) && row.bytes().all(|byte| byte.is_ascii_digit());
    (is_good && column <= MAX_COLUMN).then(|| (row.parse().unwrap_or(0), column))
}

/// How much was unpacked, of all parts, of this one, and since the last event.
#[derive(Default)]
struct Meter {
    total: Cell<u64>,
    part: Cell<u64>,
    event: Cell<u64>,
    packed: Cell<u64>,
    max: Cell<u64>,
    refused: Cell<Option<&'static str>>,
}

impl Meter {
    fn begin(&self, packed: u64, max: u64) {
        self.packed.set(packed);
        self.max.set(max);
        self.part.set(0);
    }

    fn count(&self, bytes: u64) -> Result<(), &'static str> {
        for counter in [&self.total, &self.part, &self.event] {
            counter.set(counter.get() + bytes);
        }
        let part = self.part.get();
        if self.total.get() > MAX_UNPACKED {
            return Err("more than 1 GiB");
        }
        if part > self.max.get() {
            return Err("a part that is too large");
        }
        if part > UNSUSPICIOUS && part > self.packed.get().saturating_mul(MAX_RATIO) {
            return Err("more than 200 times its size");
        }
        // Of a buffer, up to all may be of the event before.
        if self.event.get() > MAX_EVENT + 16 * 1024 {
            return Err("a text of more than 1 MiB");
        }
        Ok(())
    }
}

struct Metered<R> {
    source: R,
    meter: Rc<Meter>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(out)?;
        self.meter.count(read as u64).map_err(|what| {
            self.meter.refused.set(Some(what));
            io::Error::other(what)
        })?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_beyond_the_grid_are_none() {
        for good in ["A1", "XFD1048576", "a1", "Z99"] {
            assert!(is_cell(good), "{good}");
        }
        for bad in ["", "A", "1", "A0", "XFE1", "A1048577", "AAAA1", "A+1", "A99999999999", "Ä1"] {
            assert!(!is_cell(bad), "{bad}");
        }
        assert!(is_range("A1:XFD1048576") && is_range("C7"));
        assert!(!is_range("B2:A1") && !is_range("A1:B2:C3") && !is_range("A1:"));
    }

    #[test]
    fn an_archive_that_claims_more_parts_than_it_can_have_is_not_opened() {
        let mut end = b"PK\x03\x04".repeat(100);
        let start = end.len();
        end.extend(b"PK\x06\x06");
        end.extend(44_u64.to_le_bytes());
        end.extend([0; 12]);
        end.extend(u64::MAX.to_le_bytes());
        end.extend(u64::MAX.to_le_bytes());
        assert_eq!(number_at(&end[start..], 32), Some(u64::MAX));
        end.extend([0; 64]);
        let error = check_directory(&mut io::Cursor::new(end)).unwrap_err();
        assert_eq!(error.code(), "workbook_too_large");
        let headers = b"PK\x01\x02".repeat(20_001);
        assert!(check_directory(&mut io::Cursor::new(headers)).is_err());
        let headers = b"PK\x01\x02".repeat(20_000);
        assert!(check_directory(&mut io::Cursor::new(headers)).is_ok());
    }
}
