//! CSV and transcripts out, as pure text: whoever serves them streams.

mod clients;
mod csv_row;
mod rejects;
mod transcript;

pub use clients::ClientExport;
pub use rejects::RejectExport;
pub use transcript::transcript;
