use callcore::dnc::DncEntry;
use callcore::port::DncAdded;
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
