//! What is exported, byte for byte, and that it comes in again as it was.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;

use super::{CallExport, ClientExport};
use crate::actor::Actor;
use crate::call::{
    Call, CallStatus, Line, Outcome, Progress, Retired, Retirement, Review, Skip, SkipReason,
    Speaker,
};
use crate::client::{Client, ClientStatus, NextCall, Note, Standing};
use crate::id::{CallId, CampaignId, ClientId, ImportId};
use crate::import::{ImportReport, Importer, Mapping, Parsed, Row};
use crate::phone::Region;
use crate::port::{CallView, ExportRow, Import, ImportStatus};
use crate::time::SeededEntropy;

fn at() -> DateTime<Utc> {
    "2026-11-23T15:00:00Z".parse().unwrap()
}

fn import(entropy: &SeededEntropy, columns: &[&str]) -> Import {
    Import {
        id: ImportId::new(at(), entropy),
        campaign: CampaignId::new(at(), &SeededEntropy::new(9)),
        file_name: "list.csv".to_owned(),
        columns: columns.iter().map(|&column| column.to_owned()).collect(),
        duplicates: crate::import::DuplicatePolicy::default(),
        status: ImportStatus::Done,
        report: ImportReport::default(),
    }
}

fn client(import: &Import, entropy: &SeededEntropy, fields: &[&str]) -> ExportRow {
    let client = Client {
        id: ClientId::new(at(), entropy),
        campaign: import.campaign,
        import: import.id,
        line: 2,
        phone: Some("+12125550123".parse().unwrap()),
        name: String::new(),
        external_id: None,
        email: None,
        zones: Vec::new(),
        fields: fields.iter().map(|&cell| cell.to_owned()).collect(),
        tags: ["vip", "a"].map(str::to_owned).into(),
        notes: ["first", "=second"].map(note).into(),
        active: true,
        consent: None,
        person_key: None,
        debt_key: None,
        standing: Standing {
            status: ClientStatus::Scheduled,
            attempts: 2,
            voicemails: 1,
            last_outcome: Some(Outcome::Voicemail),
            last_call_at: Some(at()),
            next_call: Some(NextCall { call: CallId::new(at(), entropy), due_at: at() }),
        },
        erased: None,
    };
    ExportRow { place: 1, client, on_dnc: false }
}

fn note(text: &str) -> Note {
    Note { text: text.to_owned(), by: Actor::System, at: at() }
}

#[test]
fn an_export_of_clients_is_what_the_golden_file_has() {
    let entropy = SeededEntropy::new(1);
    let first = import(&entropy, &["Name", "Mobile", "Note", "Note"]);
    let second = import(&entropy, &["Mobile", "Note", "City, State"]);
    let export = ClientExport::new(&[first.clone(), second.clone()]);
    let mut text = export.header();
    let cells = ["Ada \"A\"", "+1 212 555 0123", "=HYPERLINK(1)", "zwölf"];
    text.push_str(&export.row(&client(&first, &entropy, &cells)).unwrap());
    let cells = ["+12125550123", "-5", "Line\nbreak"];
    text.push_str(&export.row(&client(&second, &entropy, &cells)).unwrap());
    assert_eq!(text, include_str!("../../tests/data/export.golden.csv"));
    let third = import(&entropy, &["Mobile"]);
    assert_eq!(export.row(&client(&third, &entropy, &["1"])), None, "it began later");
}

fn ended(entropy: &SeededEntropy, minutes: i64, progress: Progress) -> CallView {
    let due_at = at() + TimeDelta::minutes(minutes);
    let phone = "+12125550123".parse().unwrap();
    let ids = (CampaignId::new(at(), entropy), ClientId::new(at(), entropy), phone);
    let call = Call {
        begun_at: Some(due_at),
        progress: Progress { status: CallStatus::Ended, ended_at: Some(due_at), ..progress },
        ..Call::scheduled(CallId::new(due_at, entropy), ids, 1, due_at)
    };
    CallView {
        call,
        campaign_name: Some("Renewals, \"autumn\"".to_owned()),
        client_name: Some("=Ada".to_owned()),
        tags: ["vip", "a"].map(str::to_owned).into(),
        client_zones: Vec::new(),
    }
}

#[test]
fn an_export_of_calls_is_what_the_golden_file_has() {
    let entropy = SeededEntropy::new(3);
    let said = |speaker, offset_seconds, text: &str| Line {
        speaker,
        offset_seconds,
        text: text.to_owned(),
    };
    let progress = Progress {
        outcome: Some(Outcome::Answered),
        talk_seconds: 75,
        transcript: vec![
            said(Speaker::Agent, 0, "Hello; \"Ada\"?"),
            said(Speaker::Client, 61, "Yes\n[00:00] Agent: no"),
        ],
        ..Progress::default()
    };
    let mut talked = ended(&entropy, 0, progress);
    talked.call.review = Review::NeedsFollowUp;
    talked.call.notes = ["@one", "two"].map(note).into();
    let busy = Progress { outcome: Some(Outcome::Busy), ..Progress::default() };
    let busy = CallView { client_name: None, tags: BTreeSet::new(), ..ended(&entropy, 1, busy) };
    let mut skipped = ended(&entropy, 2, Progress::default());
    skipped.call.begun_at = None;
    skipped.call.retired = Some(Retired {
        at: at(),
        by: Actor::System,
        how: Retirement::Skipped(Skip { reason: SkipReason::BadTiming, note: None }),
    });
    let withheld = CallView {
        call: Call::inbound(CallId::new(at(), &entropy), None, at()),
        campaign_name: None,
        client_name: None,
        tags: BTreeSet::new(),
        client_zones: Vec::new(),
    };
    let rows = [&talked, &busy, &skipped, &withheld].map(CallExport::row);
    let text = CallExport::header() + &rows.concat();
    assert_eq!(text, include_str!("../../tests/data/calls.golden.csv"));
}

/// The rows of a file, all of which are clients.
fn read(file: &str) -> (Vec<String>, Vec<Row>) {
    let importer = Importer::new(file.as_bytes(), Region::US, &Mapping::default()).unwrap();
    let columns = importer.columns().to_vec();
    let row = |parsed| match parsed {
        Ok(Parsed::Accepted(row)) => row,
        other => panic!("{other:?} of {file:?}"),
    };
    (columns, importer.map(row).collect())
}

/// The row as the client it becomes, and that client as it is exported.
fn exported(import: &Import, entropy: &SeededEntropy, row: &Row) -> ExportRow {
    let cells: Vec<&str> = row.fields.iter().map(String::as_str).collect();
    let mut exported = client(import, entropy, &cells);
    exported.client.phone = Some(row.phone);
    exported.client.name.clone_from(&row.name);
    exported.client.tags = row.tags.iter().cloned().collect();
    exported.client.notes = row.notes.iter().map(|text| note(text)).collect();
    exported
}

fn assert_comes_in_again(file: &str) {
    let entropy = SeededEntropy::new(2);
    let (columns, rows) = read(file);
    let names: Vec<&str> = columns.iter().map(String::as_str).collect();
    let import = import(&entropy, &names);
    let export = ClientExport::new(std::slice::from_ref(&import));
    let out: Vec<String> =
        rows.iter().map(|row| export.row(&exported(&import, &entropy, row)).unwrap()).collect();
    let text = export.header() + &out.concat();
    let (again, back) = read(&text);
    assert_eq!(again[..columns.len()], columns, "{text:?}");
    assert_eq!(back.len(), rows.len(), "{text:?}");
    let sorted = |tags: &[String]| tags.iter().cloned().collect::<BTreeSet<_>>();
    for (row, back) in rows.iter().zip(&back) {
        assert_eq!(back.fields[..columns.len()], row.fields, "{text:?}");
        assert_eq!((back.phone, &back.name), (row.phone, &row.name), "{text:?}");
        assert_eq!((&back.email, &back.external_id), (&row.email, &row.external_id));
        assert_eq!((sorted(&back.tags), &back.notes), (sorted(&row.tags), &row.notes), "{text:?}");
    }
}

#[test]
fn cells_that_were_defused_come_in_as_they_were() {
    let uploaded = "Formula,Phone,-minus,,D,D\r\n=1+1,+12125550123,-x,\"'=y\",\"''=z\",'plain\r\n";
    let (_, rows) = read(uploaded);
    // One `'` is taken away, and put there again.
    assert_eq!(rows[0].fields, ["=1+1", "+12125550123", "-x", "=y", "'=z", "'plain"]);
    assert_comes_in_again(uploaded);
}

#[test]
fn what_was_added_since_an_import_comes_in_with_its_export() {
    let entropy = SeededEntropy::new(4);
    let import = import(&entropy, &["Handset", "Fax phone", "Tags", "Notes"]);
    let export = ClientExport::new(std::slice::from_ref(&import));
    let row = client(&import, &entropy, &["2125550123", "2125550199", "old", ""]);
    let (_, back) = read(&(export.header() + &export.row(&row).unwrap()));
    assert_eq!(Some(back[0].phone), row.client.phone);
    assert_eq!(back[0].tags, ["a", "vip"]);
    assert_eq!(back[0].notes.as_deref(), Some("first\n=second"));
    assert_eq!(back[0].fields[..4], row.client.fields);
}

/// A cell with whatever spreadsheets, parsers and people do to it.
fn nasty() -> impl Strategy<Value = String> {
    prop_oneof![
        "['=+@\t\r\n,;|\" a-]{0,6}",
        "'{0,3}[=+@\t\r-]\\PC{0,5}",
        "[\u{feff}\u{200b}é漢🎉\u{202e}＝＠]{0,3}",
        Just("+12125550199".to_owned()),
        Just(String::new()),
        "\\PC{0,12}",
    ]
}

/// A file as a careful program writes it: every cell quoted.
fn file(headers: &[String], rows: &[Vec<String>]) -> String {
    let mut text = String::new();
    let mut line = |cells: &mut dyn Iterator<Item = &String>| {
        let quoted = cells.map(|cell| format!("\"{}\"", cell.replace('"', "\"\"")));
        text.push_str(&quoted.collect::<Vec<_>>().join(","));
        text.push_str("\r\n");
    };
    line(&mut headers.iter());
    for row in rows {
        line(&mut row.iter());
    }
    text
}

proptest! {
    #[test]
    fn an_export_imports_as_the_clients_it_was_made_from(
        (headers, rows) in (1_usize..5).prop_flat_map(|width| (
            prop::collection::vec(prop_oneof![nasty(), "(Tags|Notes|E-mail|Name|D|)"], width),
            prop::collection::vec(prop::collection::vec(nasty(), width), 1..4),
        ))
    ) {
        // The phone comes first, so that no header can be taken for a `sep=` line.
        let with_first = |first: String, rest: &[String]| [&[first], rest].concat();
        let headers = with_first("Phone".to_owned(), &headers);
        let rows: Vec<Vec<String>> = rows
            .iter()
            .enumerate()
            .map(|(index, row)| with_first(format!("+1212555010{index}"), row))
            .collect();
        let text = file(&headers, &rows);
        // What an import refuses, such as tags without end, is no client.
        let importer = Importer::new(text.as_bytes(), Region::US, &Mapping::default()).unwrap();
        prop_assume!(importer.flatten().all(|row| matches!(row, Parsed::Accepted(_))));
        assert_comes_in_again(&text);
    }
}
