//! Uploaded audio that scripts play: WAV or MP3, known by its content.

use chrono::{DateTime, Utc};

use crate::actor::Actor;
use crate::id::AudioId;

/// The largest audio, in bytes.
pub const MAX_BYTES: usize = 10 * 1024 * 1024;

/// An uploaded audio; its bytes are read apart from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audio {
    /// Its id.
    pub id: AudioId,
    /// What people call it.
    pub name: String,
    /// What its bytes are.
    pub format: AudioFormat,
    /// How many there are.
    pub size: u64,
    /// When it was uploaded.
    pub created_at: DateTime<Utc>,
    /// By whom.
    pub created_by: Actor,
}

/// What the bytes of an audio are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AudioFormat {
    /// RIFF WAVE.
    Wav,
    /// MPEG audio, layer III.
    Mp3,
}

impl AudioFormat {
    /// Tells the format by the content; none if it is neither.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        if is_wav(bytes) {
            Some(Self::Wav)
        } else if is_mp3(bytes) {
            Some(Self::Mp3)
        } else {
            None
        }
    }

    /// The media type it is served under.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Wav => "audio/wav",
            Self::Mp3 => "audio/mpeg",
        }
    }

    /// The word stores use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wav => "wav",
            Self::Mp3 => "mp3",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Wav, Self::Mp3].into_iter().find(|format| format.as_str() == text)
    }
}

/// A RIFF file of type WAVE that says how its samples are to be read, and has some.
fn is_wav(bytes: &[u8]) -> bool {
    if bytes.get(..4) != Some(b"RIFF") || bytes.get(8..12) != Some(b"WAVE") {
        return false;
    }
    let (mut rest, mut has_format) = (&bytes[12..], false);
    while let Some((head, body)) = rest.split_at_checked(8) {
        let length = head[4..].iter().rev().fold(0_usize, |sum, byte| (sum << 8) | *byte as usize);
        match &head[..4] {
            b"fmt " => has_format = length >= 16 && body.len() >= 16,
            b"data" => return has_format && length > 0 && !body.is_empty(),
            _ => {}
        }
        // Chunks begin at even bytes.
        let Some(next) = body.get(length.saturating_add(length % 2)..) else { return false };
        rest = next;
    }
    false
}

/// Two frames of MPEG layer III one after the other, or one that ends the file; tags before them
/// are passed over.
fn is_mp3(bytes: &[u8]) -> bool {
    let start = match bytes.get(..10) {
        Some([b'I', b'D', b'3', _, _, _, size @ ..]) => {
            // ID3v2, section 3.1: seven bits a byte.
            10 + size.iter().fold(0, |sum, byte| (sum << 7) | usize::from(byte & 0x7f))
        }
        _ => 0,
    };
    let Some(first) = bytes.get(start..).and_then(frame_length) else { return false };
    match bytes.get(start + first..) {
        Some([]) | None => bytes.len() >= start + first,
        Some(next) => frame_length(next).is_some(),
    }
}

/// The length of the layer III frame that begins here (ISO/IEC 11172-3, 2.4.2.3).
fn frame_length(bytes: &[u8]) -> Option<usize> {
    const BIT_RATES: [[usize; 14]; 2] = [
        [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
        [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
    ];
    let [0xff, second, third, _, ..] = *bytes else { return None };
    let (version, layer) = ((second >> 3) & 3, (second >> 1) & 3);
    if second & 0xe0 != 0xe0 || version == 1 || layer != 1 {
        return None;
    }
    let is_first = version == 3;
    let bit_rate =
        *BIT_RATES[usize::from(!is_first)].get(usize::from(third >> 4).checked_sub(1)?)?;
    let rate: usize = *[44_100, 48_000, 32_000].get(usize::from((third >> 2) & 3))?;
    let (rate, per_bit) = match version {
        3 => (rate, 144_000),
        2 => (rate / 2, 72_000),
        _ => (rate / 4, 72_000),
    };
    Some(per_bit * bit_rate / rate + usize::from((third >> 1) & 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mp3(frames: usize) -> Vec<u8> {
        // MPEG-1 layer III, 128 kbit/s, 44.1 kHz: 417 bytes a frame.
        let mut frame = vec![0xff, 0xfb, 0x90, 0x00];
        frame.resize(417, 0);
        frame.repeat(frames)
    }

    fn wav() -> Vec<u8> {
        let mut file = b"RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00".to_vec();
        file.extend([1, 0, 1, 0, 0x40, 0x1f, 0, 0, 0x80, 0x3e, 0, 0, 2, 0, 16, 0]);
        file.extend(b"data\x04\x00\x00\x00\x00\x00\x01\x00");
        file
    }

    #[test]
    fn wav_and_mp3_are_known_by_their_content() {
        assert_eq!(AudioFormat::of(&wav()), Some(AudioFormat::Wav));
        assert_eq!(AudioFormat::of(&mp3(3)), Some(AudioFormat::Mp3));
        assert_eq!(AudioFormat::of(&mp3(1)), Some(AudioFormat::Mp3));
        let mut tagged = b"ID3\x04\x00\x00\x00\x00\x01\x00".to_vec();
        tagged.resize(10 + 128, 0);
        tagged.extend(mp3(2));
        assert_eq!(AudioFormat::of(&tagged), Some(AudioFormat::Mp3));
    }

    #[test]
    fn whatever_else_is_neither() {
        let wav = wav();
        let no_samples = [&wav[..36], b"data\x00\x00\x00\x00"].concat();
        let page = b"<html><script>alert(1)</script></html>".to_vec();
        let broken = [mp3(1), b"and then something else".to_vec()].concat();
        let huge = b"RIFF\x00\x00\x00\x00WAVELIST\xff\xff\xff\xff".to_vec();
        let cases =
            [Vec::new(), wav[..12].to_vec(), no_samples, page, broken, huge, vec![0xff; 64]];
        for bytes in cases {
            assert_eq!(AudioFormat::of(&bytes), None, "{bytes:02x?}");
        }
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let mut state = 1_u64;
        for length in 0..2_000 {
            let bytes: Vec<u8> = (0..length % 97)
                .map(|_| {
                    state = crate::id::splitmix(state);
                    state.to_le_bytes()[0]
                })
                .collect();
            for start in [&b"RIFF\x00\x00\x00\x00WAVE"[..], b"ID3", b"\xff\xfb", b""] {
                let _ = AudioFormat::of(&[start, &bytes].concat());
            }
        }
    }
}
