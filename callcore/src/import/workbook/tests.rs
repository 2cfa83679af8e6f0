use std::io::{Cursor, Write as _};
use std::sync::LazyLock;

use proptest::prelude::*;
use rust_xlsxwriter::{ExcelDateTime, Format, Formula, Workbook};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::*;
use crate::import::{ImportReport, Importer, Mapping, Parsed, Row};
use crate::phone::Region;

type Spool = Cursor<Vec<u8>>;

fn open(workbook: &[u8]) -> Result<Importer<Spool>, ImportError> {
    let sheet = Sheet::unpack(Cursor::new(workbook), Spool::default())?;
    Importer::of_sheet(sheet, Region::US, &Mapping::default())
}

fn code(workbook: &[u8]) -> &'static str {
    open(workbook).err().map_or("none", |error| error.code())
}

/// The rows taken, and the report of all.
fn read<R: Read>(importer: Importer<R>) -> (Vec<Row>, ImportReport) {
    let (mut rows, mut report) = (Vec::new(), ImportReport::default());
    for parsed in importer {
        match parsed.unwrap() {
            Parsed::Accepted(row) => {
                report.count_accepted(&row);
                rows.push(row);
            }
            Parsed::Duplicate(duplicate, _) => report.count_duplicate(duplicate),
            Parsed::Rejected(reject) => report.count_rejected(reject.rejection),
        }
    }
    (rows, report)
}

/// A workbook as a spreadsheet program writes it, with all that cells may hold.
static WRITTEN: LazyLock<Vec<u8>> = LazyLock::new(written);

fn written() -> Vec<u8> {
    let mut workbook = Workbook::new();
    let hidden = workbook.add_worksheet();
    hidden.set_hidden(true).write(0, 0, "Phone").unwrap().write(1, 0, "911").unwrap();
    let sheet = workbook.add_worksheet().set_name("Clients").unwrap();
    sheet.set_active(true);
    let bold = Format::new().set_bold();
    sheet.merge_range(2, 0, 2, 1, "Name", &bold).unwrap();
    for (column, name) in [(2, "Phone"), (3, "Due"), (4, "Share"), (5, "Zip"), (6, "Vip")] {
        sheet.write_with_format(2, column, name, &bold).unwrap();
    }
    sheet.write(2, 7, "Balance").unwrap();
    let of = |code: &str| Format::new().set_num_format(code);
    sheet.write(4, 0, " Ada ").unwrap().write(4, 2, 12_125_550_123_f64).unwrap();
    let due = ExcelDateTime::parse_from_str("2026-01-31").unwrap();
    sheet.write_with_format(4, 3, &due, &of("d mmm yyyy")).unwrap();
    sheet.write_with_format(4, 4, 0.25, &of("0%")).unwrap();
    sheet.write_with_format(4, 5, 2139, &of("00000")).unwrap();
    sheet.write(4, 6, true).unwrap();
    sheet.write_with_format(4, 7, 1234.5, &of("$#,##0.00")).unwrap();
    sheet.write(5, 0, "Bob & \"Co\",\nx").unwrap().write(5, 2, "'+12125550124").unwrap();
    let due = ExcelDateTime::parse_from_str("2026-01-31T13:05:00").unwrap();
    sheet.write_with_format(5, 3, &due, &of("yyyy-mm-dd hh:mm")).unwrap();
    sheet.write(5, 5, "=1+1").unwrap();
    sheet.write(5, 7, Formula::new("1+1").set_result("2")).unwrap();
    sheet.write(6, 0, "Cy").unwrap().write(6, 2, Formula::new("NA()").set_result("#N/A")).unwrap();
    sheet.write(6, 3, 1.0).unwrap();
    workbook.save_to_buffer().unwrap()
}

#[test]
fn cells_are_what_a_person_sees_and_lines_are_the_sheets_rows() {
    let importer = open(&WRITTEN).unwrap();
    let columns = ["Name", "", "Phone", "Due", "Share", "Zip", "Vip", "Balance"];
    assert_eq!(importer.columns(), columns, "a merged cell's text is its first's");
    let (rows, report) = read(importer);
    assert_eq!((rows[0].line, rows[0].phone.digits()), (5, 12_125_550_123));
    let ada = [" Ada ", "", "12125550123", "2026-01-31", "25%", "02139", "TRUE", "$1234.50"];
    assert_eq!(rows[0].fields, ada);
    let bob = ["Bob & \"Co\",\nx", "", "+12125550124", "2026-01-31 13:05:00", "", "=1+1", "", "2"];
    assert_eq!((rows[1].line, &rows[1].fields[..]), (6, &bob.map(str::to_owned)[..]));
    let refused = &report.rejections[0];
    assert_eq!((refused.line, &*refused.value, &*refused.column), (7, "#N/A", "Phone"));
    assert_eq!(report.rows_read, 3);
}

#[test]
fn a_sheet_and_the_same_rows_as_csv_are_the_same_clients() {
    let file = "Name,Phone,Note\nAda,212-555-0100,\"a,b\"\n\nBob,n/a,\n'=Cy,2125550101,'tis\n";
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    let rows =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(file.as_bytes());
    for (row, record) in [0, 1, 3, 4].into_iter().zip(rows.into_records()) {
        for (column, cell) in (0..).zip(record.unwrap().iter()) {
            sheet.write_string(row, column, cell).unwrap();
        }
    }
    let sheet = read(open(&workbook.save_to_buffer().unwrap()).unwrap());
    let text = Importer::new(file.as_bytes(), Region::US, &Mapping::default()).unwrap();
    assert_eq!(sheet, read(text));
}

const HEAD: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>"#;
const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";

/// A workbook with one part replaced or added.
#[derive(Clone)]
struct Forged(Vec<(String, Vec<u8>)>);

impl Forged {
    /// Of a sheet's `sheetData`, and the texts that it may point to.
    fn new(rows: &str, texts: &str) -> Self {
        let relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
        let package = "http://schemas.openxmlformats.org/package/2006/relationships";
        let link = |id: &str, kind: &str, target: &str| {
            format!(r#"<Relationship Id="{id}" Type="{relations}/{kind}" Target="{target}"/>"#)
        };
        let links = |links: &str| {
            format!(r#"{HEAD}<Relationships xmlns="{package}">{links}</Relationships>"#)
        };
        Self(Vec::new())
            .with("[Content_Types].xml", HEAD)
            .with("_rels/.rels", &links(&link("r1", "officeDocument", "xl/workbook.xml")))
            .with(
                "xl/_rels/workbook.xml.rels",
                &links(&link("r1", "worksheet", "worksheets/sheet1.xml")),
            )
            .with("xl/sharedStrings.xml", &format!(r#"{HEAD}<sst xmlns="{MAIN}">{texts}</sst>"#))
            .with("xl/worksheets/sheet1.xml", &sheet(rows))
            .workbook("", r#"<sheet name="A" sheetId="1" r:id="r1"/>"#)
    }

    fn with(mut self, name: &str, part: &str) -> Self {
        self.0.retain(|(known, _)| known != name);
        self.0.push((name.to_owned(), part.as_bytes().to_vec()));
        self
    }

    fn workbook(self, properties: &str, sheets: &str) -> Self {
        let relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
        let part = format!(
            r#"{HEAD}<workbook xmlns="{MAIN}" xmlns:r="{relations}"><workbookPr {properties}/><sheets>{sheets}</sheets></workbook>"#
        );
        self.with("xl/workbook.xml", &part)
    }

    fn zip(&self) -> Vec<u8> {
        self.packed(CompressionMethod::Deflated)
    }

    fn packed(&self, method: CompressionMethod) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().compression_method(method);
        for (name, part) in &self.0 {
            zip.start_file(name.as_str(), options).unwrap();
            zip.write_all(part).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    /// The parts of a workbook.
    fn of(workbook: &[u8]) -> Self {
        let mut zip = ZipArchive::new(Cursor::new(workbook)).unwrap();
        let parts = (0..zip.len()).map(|index| {
            let mut entry = zip.by_index(index).unwrap();
            let mut part = Vec::new();
            entry.read_to_end(&mut part).unwrap();
            (entry.name().unwrap().into_owned(), part)
        });
        Self(parts.collect())
    }
}

fn sheet(rows: &str) -> String {
    format!(r#"{HEAD}<worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData></worksheet>"#)
}

fn cell(place: &str, text: &str) -> String {
    format!(r#"<c r="{place}" t="inlineStr"><is><t>{text}</t></is></c>"#)
}

/// A column of phones with one client.
fn phones() -> String {
    let (name, number) = (cell("B1", "Phone"), r#"<c r="B2"><v>2125550100</v></c>"#);
    format!(r#"<row r="1">{name}</row><row r="2">{number}</row>"#)
}

fn accepted(workbook: &[u8]) -> u64 {
    read(open(workbook).unwrap()).1.accepted
}

#[test]
fn a_forged_count_of_texts_reserves_nothing() {
    let part = |count: &str| {
        let texts = format!(r#"{HEAD}<sst xmlns="{MAIN}" {count}><si><t>Phone</t></si></sst>"#);
        Forged::new(&phones(), "").with("xl/sharedStrings.xml", &texts).zip()
    };
    assert_eq!(accepted(&part(r#"uniqueCount="1""#)), 1);
    assert_eq!(accepted(&part(r#"uniqueCount="3000000""#)), 1);
    for count in [
        r#"uniqueCount="4294967295""#,
        r#"uniqueCount="18446744073709551615""#,
        r#"uniqueCount="1" uniqueCount="4294967295""#,
    ] {
        assert_eq!(code(&part(count)), "workbook_too_large", "{count}");
    }
}

#[test]
fn a_sheet_that_says_it_is_full_costs_what_is_in_it() {
    let part = |dimension: &str| {
        let data = format!("<sheetData>{}</sheetData>", phones());
        let sheet = format!(
            r#"<worksheet xmlns="{MAIN}"><dimension ref="{dimension}"/>{data}</worksheet>"#
        );
        Forged::new("", "").with("xl/worksheets/sheet1.xml", &sheet).zip()
    };
    assert_eq!(accepted(&part("A1:XFD1048576")), 1);
    for dimension in ["B2:A1", "A1:ZZZZZZZZZ9", "A99999999999", "", "A1:B2:C3"] {
        assert_eq!(code(&part(dimension)), "damaged_workbook", "{dimension}");
    }
}

#[test]
fn cells_beyond_the_grid_or_out_of_order_are_damage_and_no_panic() {
    for rows in [
        r#"<row r="99999999999"><c r="A1"><v>1</v></c></row>"#,
        r#"<row r="0"/>"#,
        r#"<row r="1"><c r="ZZZZZZZZZZ1"><v>1</v></c></row>"#,
        r#"<row r="1"><c r="A99999999999999"><v>1</v></c></row>"#,
        r#"<row r="3"><c r="A3"><v>1</v></c></row><row r="2"><c r="A2"><v>1</v></c></row>"#,
        r#"<row r="1"><c r="A1" t="s"><v>7</v></c></row>"#,
        r#"<row r="1"><c r="A1" t="odd"><v>7</v></c></row>"#,
        r#"<row r="1"><c r="A1"><v>"#,
        "&odd;<row",
    ] {
        assert_eq!(code(&Forged::new(rows, "").zip()), "damaged_workbook", "{rows}");
    }
    let far = format!(r#"<row r="1">{}</row>"#, cell("XFD1", "Phone"));
    assert_eq!(code(&Forged::new(&far, "").zip()), "too_many_columns");
    let empty = phones().replace("<c r=\"B2\">", "<c r=\"XFD2\" s=\"3\"/><c r=\"B2\">");
    assert_eq!(accepted(&Forged::new(&empty, "").zip()), 1, "it is only coloured");
}

#[test]
fn a_few_bytes_that_unpack_to_many_are_not_unpacked() {
    let spaces = " ".repeat(1024 * 1024);
    let bomb = Forged::new(&phones(), &format!("<si><t>{}</t></si>", "x".repeat(70_000_000)));
    assert_eq!(code(&bomb.zip()), "workbook_too_large");
    let bomb = Forged::new(&phones(), &"<si/>".repeat(4_000_001));
    assert_eq!(code(&bomb.zip()), "workbook_too_large");
    let bomb = Forged::new(&format!("{}{}", phones(), format!("<v/>{spaces}").repeat(80)), "");
    assert_eq!(code(&bomb.zip()), "workbook_too_large");
    let pieces = Forged::new(&phones(), &format!("<si><t>{}</t></si>", "x&#120;".repeat(300_000)));
    assert_eq!(code(&pieces.zip()), "workbook_too_large", "none of its pieces is long");
    let rules = "<formula>TRUE</formula>".repeat(300_000);
    let rules = sheet(&phones()).replace("</worksheet>", &format!("{rules}</worksheet>"));
    let rules = Forged::new("", "").with("xl/worksheets/sheet1.xml", &rules);
    assert_eq!(accepted(&rules.zip()), 1, "these are many texts and not one");
    let styles = format!(
        r#"<styleSheet><numFmts><numFmt numFmtId="200" formatCode="{}"/></numFmts><cellXfs>{}</cellXfs></styleSheet>"#,
        "0".repeat(1_000_000),
        r#"<xf numFmtId="200"/>"#.repeat(1_000)
    );
    let bomb = Forged::new(&phones(), "").with("xl/styles.xml", &styles);
    assert_eq!(code(&bomb.zip()), "workbook_too_large");
    let shown = format!(r#"<row r="1">{}</row>"#, r#"<c t="s"><v>0</v></c>"#.repeat(1_500));
    let bomb = Forged::new(&shown, &format!("<si><t>{}</t></si>", "x".repeat(1_000)));
    assert_eq!(code(&bomb.zip()), "row_too_long");
}

#[test]
fn a_workbook_without_a_sheet_to_see_says_so() {
    let whole = Forged::new(&phones(), "");
    let hidden = r#"<sheet name="A" sheetId="1" state="hidden" r:id="r1"/>"#;
    for sheets in ["", hidden] {
        assert_eq!(code(&whole.clone().workbook("", sheets).zip()), "no_sheet");
    }
    assert_eq!(code(&Forged::new("", "").zip()), "empty_file");
    let mut gone = whole.clone();
    gone.0.retain(|(name, _)| !name.contains("sheet1"));
    assert_eq!(code(&gone.zip()), "no_sheet");
}

#[test]
fn days_are_counted_from_1904_where_the_workbook_says_so() {
    let styles =
        r#"<styleSheet><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>"#;
    let row =
        format!(r#"{}<c r="C2" s="1"><v>44591</v></c></row>"#, phones().trim_end_matches("</row>"));
    let row = row.replacen("</row>", &format!("{}</row>", cell("C1", "Due")), 1);
    let workbook = Forged::new(&row, "").with("xl/styles.xml", styles);
    let sheets = r#"<sheet name="A" sheetId="1" r:id="r1"/>"#;
    let due = |workbook: &Forged| read(open(&workbook.zip()).unwrap()).0[0].fields[2].clone();
    assert_eq!(due(&workbook), "2022-01-30");
    assert_eq!(due(&workbook.workbook(r#"date1904="1""#, sheets)), "2026-01-31");
}

#[test]
fn links_to_other_workbooks_are_not_followed() {
    let link = r#"<Relationships><Relationship Id="r1" Type="x/externalLinkPath" Target="http://example.com/x.xlsx" TargetMode="External"/></Relationships>"#;
    let row = r#"<row r="2"><c r="B2"><f>[1]Sheet1!A1</f><v>2125550100</v></c></row>"#;
    let workbook = Forged::new(&format!(r#"<row r="1">{}</row>{row}"#, cell("B1", "Phone")), "")
        .with("xl/externalLinks/_rels/externalLink1.xml.rels", link)
        .with("xl/externalLinks/externalLink1.xml", "<externalLink/>");
    assert_eq!(accepted(&workbook.zip()), 1);
}

#[test]
fn what_is_another_kind_of_file_is_named() {
    let named = |name: &str| Forged(Vec::new()).with(name, "x").zip();
    for (file, kind) in [
        (named("xl/workbook.bin"), ".xlsb"),
        (Forged(Vec::new()).with("mimetype", "x").with("content.xml", "x").zip(), ".ods"),
        (named("word/document.xml"), "word processor"),
        (named("ppt/presentation.xml"), "presentation"),
        (named("Index/Document.iwa"), "Numbers"),
        (named("a.txt"), "a ZIP file"),
    ] {
        let error = open(&file).unwrap_err();
        assert_eq!(error.code(), "not_text");
        assert!(error.to_string().contains(kind), "{error}");
        assert!(error.to_string().contains("save it as CSV"), "{error}");
    }
    let mut old = Cursor::new(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec());
    assert!(!may_be_workbook(&mut old).unwrap());
    let error = Importer::new(old, Region::US, &Mapping::default()).unwrap_err();
    assert!(error.to_string().contains("with a password"), "{error}");
}

#[test]
fn a_workbook_that_is_cut_off_anywhere_is_damaged() {
    let whole = &*WRITTEN;
    for len in (4..whole.len()).step_by(97) {
        assert_eq!(code(&whole[..len]), "damaged_workbook", "{len} of {}", whole.len());
    }
}

/// Whatever the bytes are: no panic, and no row that is nowhere.
fn survives(workbook: &[u8]) {
    let Ok(importer) = open(workbook) else { return };
    let mut lines = Vec::new();
    for parsed in importer {
        lines.push(match parsed.unwrap() {
            Parsed::Accepted(row) | Parsed::Duplicate(_, row) => row.line,
            Parsed::Rejected(reject) => reject.rejection.line,
        });
    }
    assert!(lines.is_sorted());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_bytes_are_too_odd(bytes: Vec<u8>) {
        survives(&bytes);
        survives(&[MAGIC, &bytes[..]].concat());
    }

    #[test]
    fn no_damage_to_a_workbook_is_too_odd(
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        for mut workbook in [WRITTEN.clone(), Forged::of(&WRITTEN).packed(CompressionMethod::Stored)] {
            for (place, byte) in &hits {
                let at = place.index(workbook.len());
                workbook[at] = *byte;
            }
            survives(&workbook);
        }
    }

    #[test]
    fn no_damage_to_a_part_is_too_odd(
        part: prop::sample::Index,
        hits in prop::collection::vec(
            (any::<prop::sample::Index>(), prop_oneof![
                "[<>/\"=& a-zA-Z0-9:!-]{0,4}".prop_map(String::into_bytes),
                prop::collection::vec(any::<u8>(), 0..4),
                Just(b"99999999999".to_vec()),
                Just(b"<c r=\"A1\" t=\"s\"><v>0</v></c>".to_vec()),
            ]),
            1..6,
        ),
        cut in 0..6_usize,
    ) {
        let mut workbook = Forged::of(&WRITTEN);
        let at = part.index(workbook.0.len());
        let bytes = &mut workbook.0[at].1;
        for (place, piece) in hits {
            let from = place.index(bytes.len() + 1);
            let to = (from + cut).min(bytes.len());
            bytes.splice(from..to, piece);
        }
        survives(&workbook.packed(CompressionMethod::Stored));
    }
}
