use std::io::{self, Read};

use proptest::prelude::*;

use super::*;

fn importer(file: &[u8]) -> Result<Importer<&[u8]>, ImportError> {
    Importer::new(file, Region::US, &Mapping::default())
}

fn all(file: &[u8]) -> Vec<Parsed> {
    importer(file).unwrap().map(Result::unwrap).collect()
}

fn accepted(file: &str) -> Vec<Row> {
    let accepted = |parsed| match parsed {
        Parsed::Accepted(row) => Some(row),
        Parsed::Duplicate(..) | Parsed::Rejected(..) => None,
    };
    all(file.as_bytes()).into_iter().filter_map(accepted).collect()
}

fn rejections(file: &str) -> Vec<Rejection> {
    let rejected = |parsed| match parsed {
        Parsed::Rejected(reject) => Some(reject.rejection),
        Parsed::Accepted(_) | Parsed::Duplicate(..) => None,
    };
    all(file.as_bytes()).into_iter().filter_map(rejected).collect()
}

fn report(file: &[u8]) -> ImportReport {
    let mut report = ImportReport::default();
    for parsed in all(file) {
        match parsed {
            Parsed::Accepted(row) => report.count_accepted(&row),
            Parsed::Duplicate(duplicate, _) => report.count_duplicate(duplicate),
            Parsed::Rejected(reject) => report.count_rejected(reject.rejection),
        }
    }
    report
}

fn code(file: &[u8]) -> &'static str {
    match importer(file) {
        Err(error) => error.code(),
        Ok(importer) => importer.filter_map(Result::err).map(|e| e.code()).next().unwrap(),
    }
}

#[test]
fn a_clean_list_imports_whole() {
    let report = report(include_bytes!("../../tests/data/clients.csv"));
    assert_eq!((report.rows_read, report.accepted), (2_000, 2_000));
    assert_eq!(report.time_zones.values().sum::<u64>(), 2_000);
    assert!(!report.time_zones.contains_key("unknown"));
}

#[test]
fn a_list_that_went_through_excel_gives_what_is_expected() {
    let report = report(include_bytes!("../../tests/data/clients-excel.csv"));
    let expected: serde_json::Value =
        serde_json::from_str(include_str!("../../tests/data/clients-excel.expected.json")).unwrap();
    let expected = &expected["clients-excel.csv"];
    assert_eq!(expected["rows"], report.rows_read);
    assert_eq!(expected["accepted"], report.accepted);
    assert_eq!(expected["duplicate"], report.duplicates);
    assert_eq!(expected["rejected"], serde_json::to_value(&report.rejected_by_code).unwrap());
    assert_eq!(report.duplicate_of.len(), 23);
    assert!(report.duplicate_of.iter().all(|d| d.of_line.is_some_and(|of| of < d.line)));
}

#[test]
fn every_field_is_read_and_every_column_kept() {
    let file = "Balance;First Name;Last Name;Phone;Time Zone;Tags;Notes;E-Mail;External ID;\
        Opt-in;;Balance\n\
        1,50;Ada;Lovelace;(212) 555-0123;europe/rome;\
        \"vip; a | b ,vip\";x;a@b.example;K-1;web form;;2\n";
    let rows = accepted(file);
    let row = &rows[0];
    assert_eq!(row.name, "Ada Lovelace");
    assert_eq!(row.phone.to_string(), "+12125550123");
    assert_eq!(row.time_zone.as_ref().unwrap().name(), "Europe/Rome");
    assert_eq!(row.tags, ["vip", "a", "b"]);
    assert_eq!(row.notes.as_deref(), Some("x"));
    assert_eq!(row.email.as_deref(), Some("a@b.example"));
    assert_eq!(row.external_id.as_deref(), Some("K-1"));
    assert_eq!(row.consent.as_ref().map(|consent| &*consent.basis), Some("web form"));
    assert_eq!(row.fields.len(), 12);
    assert_eq!((row.fields[0].as_str(), row.fields[11].as_str()), ("1,50", "2"));
    assert_eq!(importer(file.as_bytes()).unwrap().columns()[10..], ["", "Balance"]);
}

#[test]
fn a_mapping_overrules_the_names() {
    let mapping = Mapping {
        phone: Some("evening".to_owned()),
        name: Some("Phone".to_owned()),
        ..Mapping::default()
    };
    let file = "Phone,Evening\nAda,2125550123\n".as_bytes();
    let mut importer = Importer::new(file, Region::US, &mapping).unwrap();
    let Some(Ok(Parsed::Accepted(row))) = importer.next() else { panic!() };
    assert_eq!((row.name.as_str(), row.phone.digits()), ("Ada", 12_125_550_123));
}

#[test]
fn a_no_is_no_consent() {
    let file = "Phone,Consent\n2125550123,No\n2125550124,0\n2125550125, \n2125550126,written\n";
    let consents: Vec<_> =
        accepted(file).into_iter().map(|row| row.consent.map(|it| it.basis)).collect();
    assert_eq!(consents, [None, None, None, Some("written".to_owned())]);
}

#[test]
fn an_abbreviation_that_lists_misuse_is_no_time_zone() {
    let file = "Phone,TZ\n2125550123,EST\n2125550124,mst\n2125550125,Nowhere\n2125550126,UTC\n";
    let rejected = rejections(file);
    assert_eq!(rejected.len(), 3);
    assert!(rejected.iter().all(|r| r.code == RejectCode::InvalidTimeZone && r.column == "TZ"));
    assert!(rejected[0].message.contains("America/New_York"));
}

#[test]
fn any_line_ending_ends_a_row_and_counts_once() {
    for end in ["\n", "\r", "\r\n"] {
        let file = format!(
            "Phone,Notes{end}{end}2125550123,\"one{end}two{end}\"{end}x,y{end}2125550124,z"
        );
        let lines: Vec<u64> = all(file.as_bytes())
            .iter()
            .map(|parsed| match parsed {
                Parsed::Accepted(row) | Parsed::Duplicate(_, row) => row.line,
                Parsed::Rejected(reject) => reject.rejection.line,
            })
            .collect();
        assert_eq!(lines, [3, 6, 7], "{end:?}");
        assert_eq!(accepted(&file)[0].fields[1], format!("one{end}two{end}"));
    }
}

#[test]
fn a_duplicate_names_the_line_it_repeats() {
    let file =
        b"Phone,Notes\n2125550123,\"a\nb\"\n2125550124,\n+1 212 555 0123,\n(212) 555-0124,\n";
    assert_eq!(
        report(file).duplicate_of,
        [Duplicate { line: 5, of_line: Some(2) }, Duplicate { line: 6, of_line: Some(4) }]
    );
}

#[test]
fn a_rejected_row_does_not_make_a_later_good_one_its_duplicate() {
    let file = b"Phone,Time zone\n2125550123,Mars/Olympus\n2125550123,\n";
    let report = report(file);
    assert_eq!((report.accepted, report.rejected, report.duplicates), (1, 1, 0));
}

#[test]
fn ragged_rows_lose_nothing() {
    let file = "Phone,Name,City\n2125550123\n2125550124,Ada,Rome,,\n2125550125,Ada,Rome,,x\n,,\n";
    let rows = accepted(file);
    assert_eq!(rows[0].fields, ["2125550123", "", ""]);
    assert_eq!(rows[1].fields, ["2125550124", "Ada", "Rome"]);
    let rejected = rejections(file);
    assert_eq!(rejected.len(), 1, "the blank row is none");
    assert_eq!(
        (rejected[0].code, rejected[0].column.as_str(), rejected[0].value.as_str()),
        (RejectCode::TooManyCells, "column 5", "x")
    );
    let cells = all(file.as_bytes()).into_iter().find_map(|parsed| match parsed {
        Parsed::Rejected(reject) => Some(reject.cells),
        Parsed::Accepted(_) | Parsed::Duplicate(..) => None,
    });
    assert_eq!(cells.unwrap(), ["2125550125", "Ada", "Rome", "", "x"]);
}

#[test]
fn a_nul_costs_one_row_and_says_where() {
    let file = "Phone,Name\n2125550123,A\0da\n2125550124,Bob\n";
    assert_eq!(accepted(file).len(), 1);
    let rejected = rejections(file);
    assert_eq!((rejected[0].line, rejected[0].code), (2, RejectCode::NulCharacter));
    assert_eq!(rejected[0].column, "Name");
}

#[test]
fn what_is_too_long_is_refused_with_its_column() {
    let file = format!(
        "Phone,Name,Tags\n2125550123,{},\n2125550124,,{}\n2125550125,{},\n",
        "x".repeat(501),
        "t".repeat(65),
        "é".repeat(500)
    );
    let columns: Vec<_> = rejections(&file).into_iter().map(|r| (r.code, r.column)).collect();
    assert_eq!(
        columns,
        [(RejectCode::TooLong, "Name".to_owned()), (RejectCode::TooLong, "Tags".to_owned())]
    );
    assert!(rejections(&file)[0].value.len() == 200);
    assert_eq!(accepted(&file).len(), 1);
}

#[test]
fn lost_digits_are_explained() {
    let rejected = rejections("Phone\n1.2125550E+10\n");
    assert_eq!(rejected[0].code, RejectCode::InvalidPhone);
    assert!(rejected[0].message.contains("cut digits off"));
}

#[test]
fn one_defusing_quote_is_taken_away_and_only_that() {
    let file = "Phone,'=Column\n'+12125550123,'=1+1\n2125550124,''=1\n2125550125,'tis\n\
        2125550126,'\ta\n2125550127,\"'\ra\"\n";
    assert_eq!(importer(file.as_bytes()).unwrap().columns()[1], "=Column");
    let cells: Vec<_> = accepted(file).into_iter().map(|row| row.fields[1].clone()).collect();
    assert_eq!(cells, ["=1+1", "'=1", "'tis", "\ta", "\ra"]);
}

#[test]
fn excels_own_first_line_is_no_row() {
    let file = "sep=;\r\nPhone;Name\r\n2125550123;Ada\r\n";
    assert_eq!(accepted(file)[0].line, 3);
}

#[test]
fn a_file_that_cannot_be_imported_says_why() {
    for (file, expected) in [
        (&b""[..], "empty_file"),
        (b"\n\r\n  \n", "empty_file"),
        (b"\xef\xbb\xbf", "empty_file"),
        (b"Name,City\nAda,Rome\n", "no_phone_column"),
        (b"2125550123,Ada\n2125550124,Bob\n", "no_header"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "not_text"),
        (b"PK\x03\x04\x14\0\0\0\x08\0", "not_text"),
        (b"Phone\0,Name\n2125550123,Ada\n", "not_text"),
        (b"Phone,Name\n2125550123,\"Ada\n2125550124,Bob\n", "unclosed_quote"),
    ] {
        assert_eq!(code(file), expected, "{}", String::from_utf8_lossy(file));
    }
    let columns = format!("Phone{}\n", ",".repeat(MAX_COLUMNS));
    assert_eq!(code(columns.as_bytes()), "too_many_columns");
    let error = importer(b"Name,City\nAda,Rome\n").unwrap_err().to_string();
    assert_eq!(error, "no column holds phone numbers; the columns are \"Name\", \"City\"");
}

#[test]
fn an_error_never_repeats_a_number() {
    let error = importer(b"2125550123,Ada\n").unwrap_err();
    assert!(!format!("{error} {error:?}").contains("2125550123"));
}

/// `start`, then one letter over and over; counts what was read.
struct Endless {
    start: &'static [u8],
    read: u64,
    len: u64,
}

impl Read for &mut Endless {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = self.len.saturating_sub(self.read);
        let len = out.len().min(usize::try_from(left).unwrap());
        for byte in &mut out[..len] {
            let at = usize::try_from(self.read).unwrap();
            *byte = self.start.get(at).copied().unwrap_or(b'x');
            self.read += 1;
        }
        Ok(len)
    }
}

#[test]
fn an_endless_line_is_refused_after_a_bounded_number_of_bytes() {
    for (start, in_quotes) in [
        (&b"Phone,Name\n2125550123,Ada\n"[..], false),
        (b"Phone,Name\n2125550123,Ada\n2125550124,\"", true),
    ] {
        let mut source = Endless { start, read: 0, len: 200 << 20 };
        let mut importer = Importer::new(&mut source, Region::US, &Mapping::default()).unwrap();
        assert!(matches!(importer.next(), Some(Ok(Parsed::Accepted(_)))));
        let Some(Err(error)) = importer.next() else { panic!() };
        assert!(
            matches!(error, ImportError::RowTooLong { line: 3, in_quotes: q } if q == in_quotes),
            "{error}"
        );
        assert!(importer.next().is_none());
        drop(importer);
        assert!(source.read < 2 << 20, "{} bytes read", source.read);
    }
    let mut source = Endless { start: b"", read: 0, len: 200 << 20 };
    let error = Importer::new(&mut source, Region::US, &Mapping::default()).unwrap_err();
    assert_eq!(error.code(), "row_too_long");
    assert!(source.read < 2 << 20);
}

#[test]
fn a_row_of_just_the_limit_is_read() {
    let rest = MAX_ROW_BYTES - "2125550123,".len();
    for (len, accepted) in [(rest, 1), (rest + 1, 0)] {
        let file = format!("Phone,Other\n2125550123,{}\n", "x".repeat(len));
        let parsed = importer(file.as_bytes()).unwrap().filter_map(Result::ok).count();
        assert_eq!(parsed, accepted);
    }
}

#[test]
fn an_upload_that_breaks_off_is_an_error_after_the_rows_before_it() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
    let start = format!("Phone,Name\n{}", "2125550123,Ada\n".repeat(10_000));
    let mut parsed =
        Importer::new(start.as_bytes().chain(Broken), Region::US, &Mapping::default()).unwrap();
    assert!(matches!(parsed.next(), Some(Ok(Parsed::Accepted(_)))));
    assert_eq!(parsed.filter_map(Result::err).next().unwrap().code(), "unreadable");
}

fn cell() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,12}",
        "[a-zé€\"',;|\t\r\n ]{0,12}",
        Just("'=1".to_owned()),
        Just(String::new()),
    ]
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_or_run_on(bytes: Vec<u8>, header in any::<bool>()) {
        let mut file = if header { b"Phone,Name\n".to_vec() } else { Vec::new() };
        file.extend(&bytes);
        if let Ok(importer) = importer(&file) {
            prop_assert!(importer.take(file.len() + 2).count() <= file.len() + 1);
        }
    }

    #[test]
    fn no_text_with_quotes_and_breaks_makes_it_panic(text in "[\"',;|\r\n\t0-9a=]{0,200}") {
        let file = format!("Phone;Name\n{text}");
        prop_assert!(importer(file.as_bytes()).unwrap().count() <= file.len());
    }

    /// What is written by a CSV writer comes back cell by cell, on the line where it began.
    #[test]
    fn cells_come_back_as_uploaded_with_their_line(
        rows in prop::collection::vec(prop::collection::vec(cell(), 3), 1..30),
        crlf in any::<bool>(),
    ) {
        let terminator = if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
        let mut writer = csv::WriterBuilder::new().terminator(terminator).from_writer(Vec::new());
        writer.write_record(["Phone", "A", "B", "C"]).unwrap();
        let mut expected = Vec::new();
        let mut line = 2;
        for (index, cells) in rows.iter().enumerate() {
            let phone = format!("212555{:04}", 100 + index);
            let record: Vec<&str> = std::iter::once(phone.as_str())
                .chain(cells.iter().map(String::as_str))
                .collect();
            writer.write_record(&record).unwrap();
            let fields: Vec<String> =
                record.iter().map(|cell| undefused(cell).to_owned()).collect();
            expected.push((line, fields));
            let joined = cells.join(" ").replace("\r\n", "\n");
            line += 1 + joined.matches(['\r', '\n']).count() as u64;
        }
        let file = writer.into_inner().unwrap();
        let read: Vec<(u64, Vec<String>)> = all(&file)
            .into_iter()
            .map(|parsed| match parsed {
                Parsed::Accepted(row) => (row.line, row.fields),
                other => panic!("{other:?}"),
            })
            .collect();
        prop_assert_eq!(read, expected);
    }
}

#[test]
fn duplicates_left_to_the_store_come_as_rows_with_their_lines() {
    let file = b"Phone\n2125550123\n2125550124\n+1 212 555 0123\n";
    let lines: Vec<u64> = importer(file)
        .unwrap()
        .leaving_duplicates_to_store()
        .map(|parsed| match parsed.unwrap() {
            Parsed::Accepted(row) => row.line,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(lines, [2, 3, 4]);
}
