//! Bytes to text, a chunk at a time.
//!
//! Few files say what encoding they are in. UTF-16 shows by its byte order mark or its zeros.
//! Between UTF-8 and Windows-1252 the bytes themselves decide: text in the one is hardly ever
//! valid in the other. A file that mixes both (rows pasted from two sources) is read by the
//! majority of its neighbourhood, and where that is UTF-8, each stray byte stands for its
//! Windows-1252 character. So no byte is dropped, and no late surprise turns the rows before it
//! to mojibake.

use std::io::{ErrorKind, Read};

use encoding_rs::{CoderResult, DecoderResult, UTF_16BE, UTF_16LE, WINDOWS_1252};

use super::ImportError;

/// How many bytes are decoded at a time; what is known of a file before its first row is read.
const CHUNK: usize = 64 * 1024;

pub(super) struct Decoder<R> {
    source: R,
    /// Bytes not yet decoded: after a chunk, the beginning of a character that it cut.
    raw: Vec<u8>,
    encoding: Option<Encoding>,
    at_end: bool,
}

enum Encoding {
    /// The file says so by its mark.
    Utf8,
    /// UTF-8 or Windows-1252, with the evidence seen for each.
    Guessed {
        utf8: usize,
        windows: usize,
    },
    Utf16(Box<encoding_rs::Decoder>),
}

impl<R: Read> Decoder<R> {
    pub(super) const fn new(source: R) -> Self {
        Self { source, raw: Vec::new(), encoding: None, at_end: false }
    }

    /// Replaces `text` by the next chunk, which is empty only at the end.
    pub(super) fn next(&mut self, text: &mut String) -> Result<(), ImportError> {
        text.clear();
        while text.is_empty() && !(self.at_end && self.raw.is_empty()) {
            self.fill()?;
            if self.encoding.is_none() {
                let (encoding, mark) = identify(&self.raw)?;
                self.raw.drain(..mark);
                self.encoding = Some(encoding);
            }
            self.decode(text)?;
        }
        Ok(())
    }

    fn fill(&mut self) -> Result<(), ImportError> {
        let mut len = self.raw.len();
        self.raw.resize(CHUNK, 0);
        while len < CHUNK && !self.at_end {
            match self.source.read(&mut self.raw[len..]) {
                Ok(0) => self.at_end = true,
                Ok(read) => len += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(ImportError::Unreadable(error)),
            }
        }
        self.raw.truncate(len);
        Ok(())
    }

    fn decode(&mut self, text: &mut String) -> Result<(), ImportError> {
        match &mut self.encoding {
            Some(Encoding::Utf16(decoder)) => {
                let room = decoder.max_utf8_buffer_length_without_replacement(self.raw.len());
                text.reserve(room.unwrap_or(CHUNK * 2));
                let (result, read) =
                    decoder.decode_to_string_without_replacement(&self.raw, text, self.at_end);
                self.raw.drain(..read);
                if matches!(result, DecoderResult::Malformed(..)) {
                    return Err(ImportError::Undecodable);
                }
            }
            Some(Encoding::Guessed { utf8, windows }) => {
                let whole = whole_characters(&self.raw, self.at_end);
                let (valid, invalid) = evidence(&self.raw[..whole]);
                if valid + invalid > 0 {
                    // Older evidence fades: a file may be pasted together from two.
                    *utf8 = *utf8 / 2 + valid;
                    *windows = *windows / 2 + invalid;
                }
                if *windows > *utf8 {
                    windows_1252(&self.raw[..whole], text);
                } else {
                    mixed(&self.raw[..whole], text);
                }
                self.raw.drain(..whole);
            }
            Some(Encoding::Utf8) | None => {
                let whole = whole_characters(&self.raw, self.at_end);
                mixed(&self.raw[..whole], text);
                self.raw.drain(..whole);
            }
        }
        Ok(())
    }
}

/// The encoding of a file by its first chunk, and the length of its byte order mark.
fn identify(start: &[u8]) -> Result<(Encoding, usize), ImportError> {
    const FILES: [(&[u8], &str); 9] = [
        (b"PK\x03\x04", "an Excel workbook or another ZIP file"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
            "an old Excel workbook (.xls), a workbook with a password or another Office file",
        ),
        (b"\x89PNG", "a picture"),
        (b"\xff\xd8\xff", "a picture"),
        (b"GIF8", "a picture"),
        (b"%PDF-", "a PDF"),
        (b"\x1f\x8b", "a compressed file"),
        (b"{\\rtf", "a word processor's file"),
        (b"SQLite format 3\0", "a database"),
    ];
    for (magic, kind) in FILES {
        if start.starts_with(magic) {
            return Err(ImportError::NotText { kind });
        }
    }
    let utf16 = |encoding: &'static encoding_rs::Encoding, mark| {
        let decoder = encoding.new_decoder_without_bom_handling();
        Ok((Encoding::Utf16(Box::new(decoder)), mark))
    };
    match start {
        [0xef, 0xbb, 0xbf, ..] => return Ok((Encoding::Utf8, 3)),
        // UTF-32, which nothing writes but which would pass for UTF-16 with NULs.
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => return Err(ImportError::Undecodable),
        [0xff, 0xfe, ..] => return utf16(UTF_16LE, 2),
        [0xfe, 0xff, ..] => return utf16(UTF_16BE, 2),
        _ => {}
    }
    let zeros = |parity: usize| start.iter().skip(parity).step_by(2).filter(|b| **b == 0).count();
    match (zeros(0), zeros(1)) {
        // Half of the bytes of western text; no other text has zeros on one side alone.
        (0, odd) if start.len() >= 8 && odd * 6 > start.len() => return utf16(UTF_16LE, 0),
        (even, 0) if start.len() >= 8 && even * 6 > start.len() => return utf16(UTF_16BE, 0),
        _ => {}
    }
    // 0x0b and 0x0c break lines and pages, 0x1a ended files under DOS; the others mean nothing in
    // text. A few of them are damage to a few rows, many are no text.
    let controls =
        start.iter().filter(|byte| **byte < 0x20 && !matches!(byte, b'\t'..=b'\r' | 0x1a)).count();
    if controls >= 4 && controls * 33 > start.len() {
        return Err(ImportError::NotText { kind: "a binary file" });
    }
    Ok((Encoding::Guessed { utf8: 0, windows: 0 }, 0))
}

/// How many of the bytes to decode now: all but a character that the chunk cut.
fn whole_characters(bytes: &[u8], at_end: bool) -> usize {
    if at_end {
        return bytes.len();
    }
    let tail = bytes.len().saturating_sub(3);
    (tail..bytes.len())
        .rev()
        .find(|&start| bytes[start] >= 0xc0)
        .filter(|&start| {
            std::str::from_utf8(&bytes[start..]).is_err_and(|error| error.error_len().is_none())
        })
        .unwrap_or(bytes.len())
}

/// How many characters beyond ASCII are UTF-8, and how many bytes can't be.
fn evidence(bytes: &[u8]) -> (usize, usize) {
    if bytes.is_ascii() {
        return (0, 0);
    }
    bytes.utf8_chunks().fold((0, 0), |(valid, invalid), chunk| {
        let characters = chunk.valid().bytes().filter(|byte| *byte >= 0xc0).count();
        (valid + characters, invalid + chunk.invalid().len())
    })
}

fn mixed(bytes: &[u8], text: &mut String) {
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        windows_1252(chunk.invalid(), text);
    }
}

fn windows_1252(bytes: &[u8], text: &mut String) {
    if bytes.is_empty() {
        return;
    }
    let mut decoder = WINDOWS_1252.new_decoder_without_bom_handling();
    text.reserve(decoder.max_utf8_buffer_length(bytes.len()).unwrap_or(bytes.len() * 3));
    let (result, ..) = decoder.decode_to_string(bytes, text, true);
    debug_assert_eq!(result, CoderResult::InputEmpty, "the room reserved is enough");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Hands out `step` bytes at a time, as a slow network does.
    struct Drip<'a>(&'a [u8], usize);

    impl Read for Drip<'_> {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let len = self.1.min(out.len()).min(self.0.len());
            out[..len].copy_from_slice(&self.0[..len]);
            self.0 = &self.0[len..];
            Ok(len)
        }
    }

    fn decoded(bytes: &[u8], step: usize) -> Result<String, ImportError> {
        let mut decoder = Decoder::new(Drip(bytes, step));
        let (mut all, mut chunk) = (String::new(), String::new());
        loop {
            decoder.next(&mut chunk)?;
            if chunk.is_empty() {
                return Ok(all);
            }
            all.push_str(&chunk);
        }
    }

    fn utf16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(to_bytes).collect()
    }

    const TEXT: &str = "Phone;Name\r\n2125550123;Zoë Müller – “Zoë”\r\n";

    #[test]
    fn the_same_text_comes_out_of_every_encoding() {
        let (windows, ..) = WINDOWS_1252.encode(TEXT);
        let with_mark = format!("\u{feff}{TEXT}");
        for bytes in [
            TEXT.as_bytes().to_vec(),
            with_mark.as_bytes().to_vec(),
            windows.into_owned(),
            utf16(TEXT, u16::to_le_bytes),
            utf16(TEXT, u16::to_be_bytes),
            utf16(&with_mark, u16::to_le_bytes),
            utf16(&with_mark, u16::to_be_bytes),
        ] {
            for step in [1, 7, CHUNK] {
                assert_eq!(decoded(&bytes, step).unwrap(), TEXT);
            }
        }
    }

    #[test]
    fn a_late_windows_byte_costs_no_character_before_or_after_it() {
        let line = "2125550123;Łukasz Żółć\n";
        let mut bytes = line.repeat(5_000).into_bytes();
        bytes.extend_from_slice(b"2125550124;Zo\xeb\n");
        bytes.extend_from_slice(line.as_bytes());
        let expected = format!("{}2125550124;Zoë\n{line}", line.repeat(5_000));
        assert_eq!(decoded(&bytes, CHUNK).unwrap(), expected);
    }

    #[test]
    fn a_windows_file_is_not_taken_for_utf8_where_two_letters_look_like_it() {
        // É and a closing quote are C9 BB: a valid UTF-8 sequence by accident.
        let text = "Name\nJosé\nCAFÉ»\nGruß\n";
        let (bytes, ..) = WINDOWS_1252.encode(text);
        assert_eq!(decoded(&bytes, CHUNK).unwrap(), text);
    }

    #[test]
    fn a_file_that_is_no_text_says_what_it_is() {
        for (bytes, kind) in [
            (b"PK\x03\x04\x14\0\x06\0".to_vec(), "Excel"),
            (b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec(), "picture"),
            ((0..=255).cycle().take(5_000).collect(), "binary"),
            (vec![0; 5_000], "binary"),
        ] {
            let error = decoded(&bytes, CHUNK).unwrap_err();
            assert_eq!(error.code(), "not_text");
            assert!(error.to_string().contains(kind), "{error}");
            assert!(error.to_string().contains("save it as CSV"), "{error}");
        }
    }

    #[test]
    fn half_a_utf16_character_is_an_error_not_a_guess() {
        let mut bytes = utf16("\u{feff}Phone\n", u16::to_le_bytes);
        bytes.extend_from_slice(&[0x00, 0xd8, 0x41, 0x00]);
        assert_eq!(decoded(&bytes, CHUNK).unwrap_err().code(), "undecodable");
    }

    proptest! {
        #[test]
        fn utf8_comes_out_as_it_went_in(
            text in "[^\u{0}-\u{1f}\u{feff}]{0,400}",
            times in 1usize..400,
        ) {
            let text = text.repeat(times);
            prop_assume!(identify(text.as_bytes()).is_ok());
            prop_assert_eq!(decoded(text.as_bytes(), CHUNK).unwrap(), text);
        }

        #[test]
        fn how_the_bytes_arrive_changes_nothing(bytes: Vec<u8>, step in 1usize..50) {
            let (slow, fast) = (decoded(&bytes, step), decoded(&bytes, CHUNK));
            prop_assert_eq!(slow.ok(), fast.ok());
        }
    }
}
