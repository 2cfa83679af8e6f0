use super::clients::{instant, joined};
use super::csv_row::csv_row;
use super::transcript::lines;
use crate::call::Retirement;
use crate::port::CallView;

const COLUMNS: [&str; 14] = [
    "call_id",
    "date",
    "campaign",
    "name",
    "phone",
    "direction",
    "duration_seconds",
    "outcome",
    "review_status",
    "attempt",
    "tags",
    "notes",
    "skip_reason",
    "transcript",
];

/// Calls as CSV, what was said in each included.
#[derive(Debug, Clone, Copy)]
pub struct CallExport;

impl CallExport {
    /// The row of column names.
    #[must_use]
    pub fn header() -> String {
        csv_row(COLUMNS)
    }

    /// A call's row. The date is in UTC; what a call does not have yet is empty.
    #[must_use]
    pub fn row(view: &CallView) -> String {
        let call = &view.call;
        let ended = call.ended_at().is_some();
        let skip = call.retired.as_ref().and_then(|retired| match &retired.how {
            Retirement::Skipped(skip) => Some(skip.reason.as_str()),
            Retirement::Canceled(_) => None,
        });
        let cells: [String; COLUMNS.len()] = [
            call.id.to_string(),
            instant(Some(call.date())),
            view.campaign_name.clone().unwrap_or_default(),
            view.client_name.clone().unwrap_or_default(),
            call.phone.map(|phone| phone.to_string()).unwrap_or_default(),
            call.direction.as_str().to_owned(),
            if ended { call.progress.talk_seconds.to_string() } else { String::new() },
            call.outcome().map(|outcome| outcome.as_str().to_owned()).unwrap_or_default(),
            call.review.as_str().to_owned(),
            call.attempt.to_string(),
            joined(&view.tags, ";"),
            joined(call.notes.iter().map(|note| &note.text), "\n"),
            skip.unwrap_or_default().to_owned(),
            lines(&call.progress),
        ];
        csv_row(cells)
    }
}
