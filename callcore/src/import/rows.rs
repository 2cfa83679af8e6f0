//! The text of a file, handed to the CSV parser one record at a time.
//!
//! The parser alone would grow a record without limit, count lines by line feeds only, and read a
//! quote that is never closed as one cell with the rest of the file in it. This reader walks the
//! same grammar ahead of it: it ends each record with one line feed, drops blank lines, hands out
//! no byte of the next record before it is asked for, and knows the line each began on.

use std::io::{self, Read};

use super::decode::Decoder;
use super::{ImportError, MAX_ROW_BYTES};

pub(super) struct Rows<R> {
    source: Decoder<R>,
    chunk: String,
    at: usize,
    delimiter: u8,
    place: Place,
    /// The line that the next byte is on.
    line: u64,
    after_cr: bool,
    /// Of the record being handed out.
    began_on: u64,
    bytes: usize,
}

/// Where in a record the next byte is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    CellStart,
    Bare,
    Quoted,
    /// After a quote within a quoted cell, which may end the cell or stand for itself.
    Quote,
}

impl<R: Read> Rows<R> {
    /// Goes on from `chunk`, the text that `source` gave so far.
    pub(super) const fn new(source: Decoder<R>, chunk: String, delimiter: u8) -> Self {
        Self {
            source,
            chunk,
            at: 0,
            delimiter,
            place: Place::CellStart,
            line: 1,
            after_cr: false,
            began_on: 1,
            bytes: 0,
        }
    }

    /// The line on which the record handed out last began; the first line is 1.
    pub(super) const fn began_on(&self) -> u64 {
        self.began_on
    }

    /// Hands out what it can of one record. 0 is the end of the file, or of this chunk.
    fn copy(&mut self, out: &mut [u8]) -> Result<usize, ImportError> {
        let mut len = 0;
        while len < out.len() {
            let Some(&byte) = self.chunk.as_bytes().get(self.at) else { break };
            self.at += 1;
            let breaks = matches!(byte, b'\r' | b'\n');
            let second_half = byte == b'\n' && self.after_cr;
            self.after_cr = byte == b'\r';
            if breaks && self.place != Place::Quoted {
                self.line += u64::from(!second_half);
                self.place = Place::CellStart;
                if self.bytes == 0 {
                    continue;
                }
                self.bytes = 0;
                out[len] = b'\n';
                return Ok(len + 1);
            }
            if self.bytes == 0 {
                self.began_on = self.line;
            }
            self.line += u64::from(breaks && !second_half);
            self.bytes += 1;
            if self.bytes > MAX_ROW_BYTES {
                let in_quotes = self.place == Place::Quoted;
                return Err(ImportError::RowTooLong { line: self.began_on, in_quotes });
            }
            self.place = self.place.after(byte, self.delimiter);
            out[len] = byte;
            len += 1;
        }
        Ok(len)
    }
}

impl Place {
    const fn after(self, byte: u8, delimiter: u8) -> Self {
        match (self, byte) {
            (Self::CellStart | Self::Quote, b'"') => Self::Quoted,
            (Self::Quoted, b'"') => Self::Quote,
            (Self::Quoted, _) => Self::Quoted,
            (_, byte) if byte == delimiter => Self::CellStart,
            _ => Self::Bare,
        }
    }
}

impl<R: Read> Read for Rows<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let len = self.copy(out).map_err(io::Error::other)?;
            if len > 0 || out.is_empty() {
                return Ok(len);
            }
            self.at = 0;
            self.source.next(&mut self.chunk).map_err(io::Error::other)?;
            if !self.chunk.is_empty() {
                continue;
            }
            if self.place == Place::Quoted {
                let line = self.began_on;
                return Err(io::Error::other(ImportError::UnclosedQuote { line }));
            }
            if self.bytes == 0 {
                return Ok(0);
            }
            // The last line may lack its line feed.
            (self.bytes, self.place) = (0, Place::CellStart);
            out[0] = b'\n';
            return Ok(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use csv::StringRecord;
    use proptest::prelude::*;

    use super::*;

    /// The records of `text`, and whether they end in an error.
    fn records(reader: impl Read) -> (Vec<StringRecord>, bool) {
        let mut reader =
            csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(reader);
        let (mut records, mut failed) = (Vec::new(), false);
        for record in reader.records() {
            match record {
                Ok(record) => records.push(record),
                Err(_) => failed = true,
            }
        }
        (records, failed)
    }

    proptest! {
        /// The two walk one grammar: with this reader between, the parser sees the same records.
        /// The exception is a quote that is not closed, which the parser alone takes for closed.
        #[test]
        fn the_parser_sees_the_same_records_with_and_without_it(
            text in "[\",\r\nab ]{0,60}",
        ) {
            let rows = Rows::new(Decoder::new(text.as_bytes()), String::new(), b',');
            let (with, failed) = records(rows);
            let (without, _) = records(text.as_bytes());
            if failed {
                prop_assert_eq!(&with[..], &without[..without.len() - 1]);
            } else {
                prop_assert_eq!(with, without);
            }
        }
    }

    #[test]
    fn a_quote_within_a_bare_cell_opens_nothing() {
        let rows = Rows::new(Decoder::new(&b"a\"b,c\nd,\"e\"\"\nf\"g\n"[..]), String::new(), b',');
        let (records, failed) = records(rows);
        assert!(!failed);
        assert_eq!(records, [vec!["a\"b", "c"], vec!["d", "e\"\nfg"]]);
    }
}
