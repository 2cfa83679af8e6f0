//! CSV and transcripts out, as pure text: whoever serves them streams.

mod audit;
mod clients;
mod csv_row;
mod transcript;

pub use audit::{AUDIT_COLUMNS, audit_header, audit_row};
pub use clients::ClientExport;
pub use transcript::transcript;
