use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};

use super::csv_row::csv_row;
use crate::id::ImportId;
use crate::port::{ExportRow, Import};

/// The columns that follow the uploaded ones.
pub(crate) const OURS: [&str; 11] = [
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
/// file has follow those of the earlier ones. Clients of an import that is not among them have no
/// row: its columns are not in the header.
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

    /// A client's row; none if its import began after the export did.
    #[must_use]
    pub fn row(&self, row: &ExportRow) -> Option<String> {
        let (client, standing) = (&row.client, &row.client.standing);
        let mut cells = vec![""; self.columns.len()];
        let places = self.places.get(&client.import)?;
        for (place, cell) in places.iter().zip(&client.fields) {
            cells[*place] = cell;
        }
        let ours: [String; OURS.len()] = [
            client.id.to_string(),
            client.phone.map(|phone| phone.to_string()).unwrap_or_default(),
            standing.status.as_str().to_owned(),
            standing.last_outcome.map(|outcome| outcome.as_str().to_owned()).unwrap_or_default(),
            standing.attempts.to_string(),
            standing.voicemails.to_string(),
            instant(standing.last_call_at),
            instant(standing.next_call.map(|next| next.due_at)),
            joined(&client.tags, ";"),
            joined(client.notes.iter().map(|note| &note.text), "\n"),
            row.on_dnc.to_string(),
        ];
        Some(csv_row(cells.into_iter().chain(ours.iter().map(String::as_str))))
    }
}

/// Texts as one cell.
pub(super) fn joined<'a>(texts: impl IntoIterator<Item = &'a String>, sign: &str) -> String {
    texts.into_iter().map(String::as_str).collect::<Vec<_>>().join(sign)
}

/// An instant as a cell; none is empty.
pub(super) fn instant(at: Option<DateTime<Utc>>) -> String {
    at.map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true)).unwrap_or_default()
}
