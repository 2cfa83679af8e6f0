use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};

use super::csv_row::csv_row;
use crate::id::ImportId;
use crate::port::{ExportRow, Import};

/// The columns that follow the uploaded ones.
const OURS: [&str; 11] = [
    "callcore_client_id",
    "callcore_phone",
    "status",
    "last_outcome",
    "attempts",
    "voicemails",
    "last_call_at",
    "next_due_at",
    "tags",
    "notes",
    "on_dnc",
];

/// A campaign's clients as CSV: the uploaded columns, unchanged and in their order, then ours.
///
/// Where several files were imported, columns of one name are one column; those that only a later
/// file has follow those of the earlier ones.
#[derive(Debug, Clone)]
pub struct ClientExport {
    columns: Vec<String>,
    /// Where each import's columns stand.
    places: BTreeMap<ImportId, Vec<usize>>,
}

impl ClientExport {
    /// An export of the clients of these imports, oldest first.
    #[must_use]
    pub fn new(imports: &[Import]) -> Self {
        let mut columns: Vec<String> = Vec::new();
        let mut index: BTreeMap<(String, usize), usize> = BTreeMap::new();
        let mut places = BTreeMap::new();
        for import in imports {
            let mut count: BTreeMap<&str, usize> = BTreeMap::new();
            let mut of_import = Vec::with_capacity(import.columns.len());
            for name in &import.columns {
                // The second column of a name is another one than the first.
                let nth = count.entry(name).or_default();
                let place = *index.entry((name.clone(), *nth)).or_insert_with(|| {
                    columns.push(name.clone());
                    columns.len() - 1
                });
                *nth += 1;
                of_import.push(place);
            }
            places.insert(import.id, of_import);
        }
        Self { columns, places }
    }

    /// The row of column names.
    #[must_use]
    pub fn header(&self) -> String {
        csv_row(self.columns.iter().map(String::as_str).chain(OURS))
    }

    /// A client's row.
    #[must_use]
    pub fn row(&self, row: &ExportRow) -> String {
        let (client, standing) = (&row.client, &row.client.standing);
        let mut cells = vec![""; self.columns.len()];
        let places = self.places.get(&client.import).map(Vec::as_slice).unwrap_or_default();
        for (place, cell) in places.iter().zip(&client.fields) {
            cells[*place] = cell;
        }
        let join = |texts: &mut dyn Iterator<Item = &String>, sign: &str| {
            texts.map(String::as_str).collect::<Vec<_>>().join(sign)
        };
        let ours: [String; OURS.len()] = [
            client.id.to_string(),
            client.phone.map(|phone| phone.to_string()).unwrap_or_default(),
            standing.status.as_str().to_owned(),
            standing.last_outcome.map(|outcome| outcome.as_str().to_owned()).unwrap_or_default(),
            standing.attempts.to_string(),
            standing.voicemails.to_string(),
            instant(standing.last_call_at),
            instant(standing.next_call.map(|next| next.due_at)),
            join(&mut client.tags.iter(), ";"),
            join(&mut client.notes.iter().map(|note| &note.text), "\n"),
            row.on_dnc.to_string(),
        ];
        csv_row(cells.into_iter().chain(ours.iter().map(String::as_str)))
    }
}

fn instant(at: Option<DateTime<Utc>>) -> String {
    at.map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actor::Actor;
    use crate::call::Outcome;
    use crate::client::{Client, ClientStatus, NextCall, Note, Standing};
    use crate::id::{CallId, CampaignId, ClientId};
    use crate::import::{DuplicatePolicy, ImportReport, Importer, Mapping, Parsed};
    use crate::phone::Region;
    use crate::port::ImportStatus;
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
            duplicates: DuplicatePolicy::default(),
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
    fn an_export_is_what_the_golden_file_has() {
        let entropy = SeededEntropy::new(1);
        let first = import(&entropy, &["Name", "Mobile", "Note", "Note"]);
        let second = import(&entropy, &["Mobile", "Note", "City, State"]);
        let export = ClientExport::new(&[first.clone(), second.clone()]);
        let mut text = export.header();
        let cells = ["Ada \"A\"", "+1 212 555 0123", "=HYPERLINK(1)", "zwölf"];
        text.push_str(&export.row(&client(&first, &entropy, &cells)));
        let cells = ["+12125550123", "-5", "Line\nbreak"];
        text.push_str(&export.row(&client(&second, &entropy, &cells)));
        assert_eq!(text, include_str!("../../tests/data/export.golden.csv"));
    }

    #[test]
    fn an_export_imports_with_the_cells_it_was_made_from() {
        let entropy = SeededEntropy::new(2);
        let cells = ["=1+1", "+12125550123", "-x", "'=y", "a,b;c\t\"d\"\ne", "@z", "'plain", ""];
        let columns = ["Formula", "Phone", "-minus", "D", "E", "F", "G", "H"];
        let import = import(&entropy, &columns);
        let export = ClientExport::new(std::slice::from_ref(&import));
        let row = client(&import, &entropy, &cells);
        let file = export.header() + &export.row(&row);
        let mut importer = Importer::new(file.as_bytes(), Region::US, &Mapping::default()).unwrap();
        assert_eq!(importer.columns()[..columns.len()], columns);
        let Parsed::Accepted(back) = importer.next().unwrap().unwrap() else { panic!() };
        // An uploaded `'=y` is kept as `=y`, so that no kept cell begins with `'=`.
        let kept = ["=1+1", "+12125550123", "-x", "=y", "a,b;c\t\"d\"\ne", "@z", "'plain", ""];
        assert_eq!(back.fields[..cells.len()], kept);
        assert_eq!(Some(back.phone), row.client.phone);
        assert_eq!(back.notes.as_deref(), Some("first\n=second"));
        assert_eq!(back.tags, ["a", "vip"]);
    }
}
