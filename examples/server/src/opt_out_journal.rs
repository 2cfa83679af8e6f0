//! Opt-outs that the database could not keep yet, in a file beside it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use callcore::opt_outs::{HeldOptOut, JournalError, OptOutJournal};

/// One line of JSON for each opt-out. It is empty but for the minutes in which the database is away.
#[derive(Debug)]
pub(crate) struct FileJournal(Mutex<File>);

impl FileJournal {
    /// Opens a journal, with what an earlier process left in it. Lines that can't be read, such as one
    /// that was never written whole, are moved to a file of their own beside it.
    ///
    /// # Errors
    ///
    /// The file can't be read or written.
    pub(crate) fn open(path: &Path) -> io::Result<(Self, Vec<HeldOptOut>)> {
        let options =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).to_owned();
        let mut file = options.open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let (mut kept, mut unreadable) = (Vec::new(), Vec::new());
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice(line) {
                Ok(opt_out) => kept.push(opt_out),
                Err(_) => unreadable.push(line),
            }
        }
        if !unreadable.is_empty() {
            let aside = aside(path);
            let mut moved = OpenOptions::new().create(true).append(true).open(&aside)?;
            for line in &unreadable {
                moved.write_all(line)?;
                moved.write_all(b"\n")?;
            }
            moved.sync_all()?;
            let lines = unreadable.len();
            tracing::error!(lines, file = %aside.display(), "opt-outs that can't be read were set aside");
            rewrite(&mut file, &kept)?;
        }
        file.seek(SeekFrom::End(0))?;
        // The file's name has to outlive a crash as well.
        if let Some(directory) = path.parent().filter(|it| !it.as_os_str().is_empty()) {
            File::open(directory)?.sync_all()?;
        }
        Ok((Self(Mutex::new(file)), kept))
    }

    fn with(&self, change: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), JournalError> {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut file).map_err(|error| JournalError(error.into()))
    }
}

impl OptOutJournal for FileJournal {
    fn append(&self, opt_out: &HeldOptOut) -> Result<(), JournalError> {
        let mut line = serde_json::to_vec(opt_out).map_err(|error| JournalError(error.into()))?;
        line.push(b'\n');
        self.with(|file| {
            let begin = file.seek(SeekFrom::End(0))?;
            // Half a line would make the next one unreadable.
            let written = file.write_all(&line).and_then(|()| file.sync_all());
            written.inspect_err(|_| drop(file.set_len(begin)))
        })
    }

    fn clear(&self) -> Result<(), JournalError> {
        self.with(|file| {
            file.set_len(0)?;
            file.sync_all()
        })
    }
}

fn rewrite(file: &mut File, kept: &[HeldOptOut]) -> io::Result<()> {
    let mut text = Vec::new();
    for opt_out in kept {
        serde_json::to_writer(&mut text, opt_out)?;
        text.push(b'\n');
    }
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&text)?;
    file.set_len(text.len() as u64)?;
    file.sync_all()
}

fn aside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".unreadable");
    name.into()
}

#[cfg(test)]
mod tests {
    use callcore::call::{EventKind, Report};
    use callcore::id::CallId;
    use callcore::runtime::{OsEntropy, SystemClock};
    use callcore::time::Clock;

    use super::*;

    fn opt_out() -> HeldOptOut {
        let now = SystemClock.now();
        let call = CallId::new(now, &OsEntropy);
        let phone = Some("+12125550101".parse().unwrap());
        HeldOptOut { phone, reports: vec![Report::ours(call, now, EventKind::OptOut)] }
    }

    #[test]
    fn what_was_kept_is_read_back_until_it_is_cleared() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("opt-outs");
        let (journal, kept) = FileJournal::open(&path).unwrap();
        assert_eq!(kept, []);
        let (one, two) = (opt_out(), opt_out());
        journal.append(&one).unwrap();
        journal.append(&two).unwrap();
        let (journal, kept) = FileJournal::open(&path).unwrap();
        assert_eq!(kept, [one, two.clone()]);
        journal.clear().unwrap();
        journal.append(&two).unwrap();
        assert_eq!(FileJournal::open(&path).unwrap().1, [two]);
    }

    #[test]
    fn half_a_line_is_set_aside_and_spoils_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("opt-outs");
        let one = opt_out();
        FileJournal::open(&path).unwrap().0.append(&one).unwrap();
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"phone\":\"+1212").unwrap();
        let (journal, kept) = FileJournal::open(&path).unwrap();
        assert_eq!(kept, std::slice::from_ref(&one));
        let two = opt_out();
        journal.append(&two).unwrap();
        assert_eq!(FileJournal::open(&path).unwrap().1, [one, two]);
        let set_aside = std::fs::read(aside(&path)).unwrap();
        assert_eq!(set_aside, b"{\"phone\":\"+1212\n");
    }
}
