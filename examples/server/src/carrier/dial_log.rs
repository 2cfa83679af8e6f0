//! The carrier's log on disk: one line of JSON for each dial, synced before the dial is answered.
//!
//! It is the carrier's whole memory, rebuilt from it at the start, and the evidence of who was
//! dialled: whatever the server believes, two lines of kind `dial` with one `call` are two dials.

use std::io::{self, ErrorKind};
use std::path::Path;

use callcore::id::CallId;
use callcore::sim::SimDial;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

use super::wire::ClockLine;

/// One line of the log.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Entry {
    /// A call was dialled at an instant of the campaign clock.
    Dial {
        #[serde(flatten)]
        dial: Box<SimDial>,
        at: DateTime<Utc>,
        clock: ClockLine,
    },
    /// A call was hung up.
    HungUp { call: CallId, at: DateTime<Utc> },
    /// The server has every event of a call.
    Delivered { call: CallId },
}

/// The log, open at its end.
#[derive(Debug)]
pub(crate) struct DialLog(File);

impl DialLog {
    /// Opens a log, creating it if it is not there, and reads what it holds. A last line that was
    /// not written whole was never answered: it is cut off.
    pub(crate) async fn open(path: &Path) -> io::Result<(Self, Vec<Entry>)> {
        let options =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).clone();
        let mut file = options.open(path).await?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).await?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        file.set_len(whole as u64).await?;
        file.seek(io::SeekFrom::End(0)).await?;
        let entries: Result<Vec<Entry>, serde_json::Error> = bytes[..whole]
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(serde_json::from_slice)
            .collect();
        let entries = entries.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        Ok((Self(file), entries))
    }

    /// Appends a line and waits until it survives a power loss.
    pub(crate) async fn append_durably(&mut self, entry: &Entry) -> io::Result<()> {
        self.append(entry).await?;
        self.0.sync_data().await
    }

    /// Appends a line whose loss does no harm.
    pub(crate) async fn append(&mut self, entry: &Entry) -> io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        self.0.write_all(&line).await?;
        self.0.flush().await
    }
}
