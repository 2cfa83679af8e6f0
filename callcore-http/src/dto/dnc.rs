use callcore::dnc::{DncEntry, DncReport};
use callcore::port::{DncAdded, DncImport, Erased};
use serde::Serialize;

use super::instant;

/// A DNC entry.
#[derive(Debug, Serialize)]
pub(crate) struct DncDto {
    phone: String,
    reason: String,
    source: &'static str,
    added_by: String,
    created_at: String,
    scope: &'static str,
    campaign_id: Option<String>,
}

impl From<&DncEntry> for DncDto {
    fn from(entry: &DncEntry) -> Self {
        Self {
            phone: entry.phone.to_string(),
            reason: entry.reason.clone(),
            source: entry.source.as_str(),
            added_by: entry.added_by.to_string(),
            created_at: instant(entry.created_at),
            scope: entry.scope.as_str(),
            campaign_id: entry.scope.campaign().map(|id| id.to_string()),
        }
    }
}

/// What adding a number did.
#[derive(Debug, Serialize)]
pub(crate) struct DncAddedDto {
    #[serde(flatten)]
    entry: DncDto,
    canceled: Vec<String>,
    in_flight: Vec<String>,
}

impl From<&DncAdded> for DncAddedDto {
    fn from(added: &DncAdded) -> Self {
        Self {
            entry: (&added.entry).into(),
            canceled: added.canceled.iter().map(ToString::to_string).collect(),
            in_flight: added.in_flight.iter().map(ToString::to_string).collect(),
        }
    }
}

/// A list of numbers and what came of it.
#[derive(Debug, Serialize)]
pub(crate) struct DncImportDto {
    id: String,
    status: &'static str,
    file_name: String,
    added_by: String,
    scope: &'static str,
    campaign_id: Option<String>,
    #[serde(flatten)]
    report: DncReport,
}

impl From<&DncImport> for DncImportDto {
    fn from(import: &DncImport) -> Self {
        Self {
            id: import.id.to_string(),
            status: import.status.as_str(),
            file_name: import.file_name.clone(),
            added_by: import.added_by.to_string(),
            scope: import.scope.as_str(),
            campaign_id: import.scope.campaign().map(|id| id.to_string()),
            report: import.report.clone(),
        }
    }
}

/// What erasing a person did; `recordings` are those the carrier deletes now.
#[derive(Debug, Serialize)]
pub(crate) struct ErasedDto {
    clients: u32,
    calls: u32,
    canceled: Vec<String>,
    in_flight: Vec<String>,
    recordings: u32,
}

impl From<&Erased> for ErasedDto {
    fn from(erased: &Erased) -> Self {
        Self {
            clients: erased.clients,
            calls: erased.calls,
            canceled: erased.canceled.iter().map(ToString::to_string).collect(),
            in_flight: erased.in_flight.iter().map(ToString::to_string).collect(),
            recordings: erased.recordings,
        }
    }
}
