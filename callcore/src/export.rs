//! CSV and transcripts out, as pure text: whoever serves them streams.

mod audit;
mod calls;
mod clients;
mod csv_row;
mod rejects;
#[cfg(test)]
mod tests;
mod transcript;

pub use audit::{AUDIT_COLUMNS, audit_header, audit_row};
pub use calls::CallExport;
pub use clients::ClientExport;
pub(crate) use clients::OURS;
pub use rejects::RejectExport;
pub use transcript::transcript;
