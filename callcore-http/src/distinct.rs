//! How many different numbers there are among any many, in bounded memory: what does not fit is kept
//! sorted in nameless temporary files, and these are merged at the end.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};

use tokio::task::spawn_blocking;

/// How many numbers are in memory at once: 32 MiB of them.
const IN_MEMORY: usize = 4 * 1024 * 1024;

/// Numbers to be counted, each once.
#[derive(Debug)]
pub(crate) struct Distinct {
    numbers: Vec<u64>,
    /// Each sorted, without repeats.
    files: Vec<File>,
    in_memory: usize,
}

impl Distinct {
    /// None so far.
    pub(crate) const fn new() -> Self {
        Self::with(IN_MEMORY)
    }

    const fn with(in_memory: usize) -> Self {
        Self { numbers: Vec::new(), files: Vec::new(), in_memory }
    }

    /// Takes more numbers.
    ///
    /// # Errors
    ///
    /// There is no room on the disk.
    pub(crate) async fn extend(&mut self, more: impl IntoIterator<Item = u64>) -> io::Result<()> {
        self.numbers.extend(more);
        if self.numbers.len() < self.in_memory {
            return Ok(());
        }
        let numbers = std::mem::take(&mut self.numbers);
        self.files.push(spawn_blocking(move || write(numbers)).await??);
        Ok(())
    }

    /// How many different ones were taken.
    ///
    /// # Errors
    ///
    /// What was written could not be read.
    pub(crate) async fn count(self) -> io::Result<u64> {
        spawn_blocking(move || merge(self.numbers, self.files)).await?
    }
}

fn write(mut numbers: Vec<u64>) -> io::Result<File> {
    numbers.sort_unstable();
    numbers.dedup();
    let mut file = BufWriter::new(tempfile::tempfile()?);
    for number in numbers {
        file.write_all(&number.to_le_bytes())?;
    }
    let mut file = file.into_inner()?;
    file.rewind()?;
    Ok(file)
}

fn merge(mut numbers: Vec<u64>, files: Vec<File>) -> io::Result<u64> {
    numbers.sort_unstable();
    let mut numbers = numbers.into_iter();
    let mut files: Vec<_> = files.into_iter().map(BufReader::new).collect();
    // The next number of each source; the numbers in memory come after the files.
    let mut next = BinaryHeap::new();
    for (source, file) in files.iter_mut().enumerate() {
        next.extend(read(file)?.map(|number| Reverse((number, source))));
    }
    let memory = files.len();
    next.extend(numbers.next().map(|number| Reverse((number, memory))));
    let (mut count, mut last) = (0, None);
    while let Some(Reverse((number, source))) = next.pop() {
        count += u64::from(last.replace(number) != Some(number));
        let following = match files.get_mut(source) {
            Some(file) => read(file)?,
            None => numbers.next(),
        };
        next.extend(following.map(|number| Reverse((number, source))));
    }
    Ok(count)
}

fn read(file: &mut impl Read) -> io::Result<Option<u64>> {
    let mut bytes = [0; 8];
    match file.read_exact(&mut bytes) {
        Ok(()) => Ok(Some(u64::from_le_bytes(bytes))),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_count_once_whether_they_fit_in_memory_or_not(
            batches in prop::collection::vec(prop::collection::vec(0..60_u64, 0..9), 0..12),
            in_memory in 1..40_usize,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let count = runtime.block_on(async {
                let mut distinct = Distinct::with(in_memory);
                for batch in &batches {
                    distinct.extend(batch.iter().copied()).await.unwrap();
                }
                distinct.count().await.unwrap()
            });
            let all: BTreeSet<u64> = batches.into_iter().flatten().collect();
            prop_assert_eq!(count, all.len() as u64);
        }
    }
}
