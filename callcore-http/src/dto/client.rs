use std::collections::BTreeSet;

use callcore::client::{ClientZone, Consent, NextCall};
use callcore::port::ClientView;
use serde::Serialize;
use serde_json::{Map, Value};

use super::call::NoteDto;
use super::instant;

/// A client.
#[derive(Debug, Serialize)]
pub(crate) struct ClientDto {
    id: String,
    campaign_id: String,
    name: String,
    phone: Option<String>,
    external_id: Option<String>,
    email: Option<String>,
    zones: Vec<ClientZone>,
    fields: Map<String, Value>,
    tags: BTreeSet<String>,
    notes: Vec<NoteDto>,
    active: bool,
    status: &'static str,
    attempts: u32,
    voicemails: u32,
    last_outcome: Option<&'static str>,
    last_call_at: Option<String>,
    next_call: Option<NextCallDto>,
    on_dnc: bool,
    consent: Option<Consent>,
    erased_at: Option<String>,
}

/// The call to come for a client.
#[derive(Debug, Serialize)]
pub(crate) struct NextCallDto {
    id: String,
    due_at: String,
}

impl From<&NextCall> for NextCallDto {
    fn from(next: &NextCall) -> Self {
        Self { id: next.call.to_string(), due_at: instant(next.due_at) }
    }
}

impl ClientDto {
    /// A client with the columns of the import that brought it.
    pub(crate) fn new(view: &ClientView, columns: &[String]) -> Self {
        let (client, standing) = (&view.client, &view.client.standing);
        Self {
            id: client.id.to_string(),
            campaign_id: client.campaign.to_string(),
            name: client.name.clone(),
            phone: client.phone.map(|phone| phone.to_string()),
            external_id: client.external_id.clone(),
            email: client.email.clone(),
            zones: client.zones.clone(),
            fields: named(columns, &client.fields),
            tags: client.tags.clone(),
            notes: client.notes.iter().map(NoteDto::from).collect(),
            active: client.active,
            status: standing.status.as_str(),
            attempts: standing.attempts,
            voicemails: standing.voicemails,
            last_outcome: standing.last_outcome.map(callcore::call::Outcome::as_str),
            last_call_at: standing.last_call_at.map(instant),
            next_call: standing.next_call.as_ref().map(NextCallDto::from),
            on_dnc: view.on_dnc,
            consent: client.consent.clone(),
            erased_at: client.erased.map(|erased| instant(erased.at)),
        }
    }
}

/// Cells under their columns' names. A column without a name, or with one that is taken, is called
/// by its place, so that no cell is lost.
fn named(columns: &[String], cells: &[String]) -> Map<String, Value> {
    let mut fields = Map::new();
    for (index, cell) in cells.iter().enumerate() {
        let name = columns.get(index).map(|name| name.trim()).unwrap_or_default();
        let name = if name.is_empty() || fields.contains_key(name) {
            format!("column {}", index + 1)
        } else {
            name.to_owned()
        };
        fields.insert(name, Value::String(cell.clone()));
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_lost_to_a_column_of_the_same_name() {
        let columns = ["Name", "Note", "Note", ""].map(str::to_owned);
        let cells = ["Ada", "a", "b", "c"].map(str::to_owned);
        let fields = named(&columns, &cells);
        let names: Vec<&str> = fields.keys().map(String::as_str).collect();
        assert_eq!(names, ["Name", "Note", "column 3", "column 4"]);
    }
}
