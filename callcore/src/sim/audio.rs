//! Recordings: a ring-back tone, then two voices as soft tones, in a WAV file.

use std::f64::consts::TAU;

use crate::id::{CallId, splitmix};
use crate::port::Audio;

const RATE: u32 = 8_000;
/// Longer calls are cut: the file stays under 160 KB.
const MAX_SECONDS: u32 = 10;
const RING_SECONDS: u32 = 1;
/// The US ring-back tone.
const RING_BACK: [f64; 2] = [440.0, 480.0];
const AGENT: [f64; 2] = [220.0, 331.0];
const CLIENT: [f64; 2] = [165.0, 247.0];
/// A soft tone: a fifth of full scale.
const LOUDNESS: f64 = 6_500.0;

/// The reference of a call's recording.
pub(super) fn reference(call: CallId, talk_seconds: u32) -> String {
    format!("sim-{}-{talk_seconds}", call.uuid().simple())
}

/// The recording of a reference, as a WAV file of at most 10 seconds (PCM, 16 bits, 8 kHz, mono);
/// none if the reference is none of the simulated carrier's.
#[must_use]
pub fn recording(reference: &str) -> Option<Audio> {
    let (call, talk) = reference.strip_prefix("sim-")?.split_once('-')?;
    let call: CallId = call.parse().ok()?;
    let talk: u32 = talk.parse().ok()?;
    let seconds = RING_SECONDS + talk.clamp(1, MAX_SECONDS - RING_SECONDS);
    let samples = samples(call, seconds);
    Some(Audio { content_type: "audio/wav".to_owned(), bytes: wav(&samples) })
}

fn samples(call: CallId, seconds: u32) -> Vec<i16> {
    let mut samples = Vec::with_capacity((RATE * seconds) as usize);
    tone(&mut samples, RING_BACK, RATE * RING_SECONDS);
    let (high, low) = call.uuid().as_u64_pair();
    let mut state = high ^ low;
    let mut voices = [AGENT, CLIENT].into_iter().cycle();
    let whole = (RATE * seconds) as usize;
    while samples.len() < whole {
        state = splitmix(state);
        // Bursts of 0.4 to 1.2 s with a pause between, like two people taking turns.
        let burst = RATE * 2 / 5 + u32::try_from(state % u64::from(RATE * 4 / 5)).unwrap_or(0);
        tone(&mut samples, voices.next().unwrap_or(AGENT), burst);
        samples.resize(samples.len() + (RATE / 5) as usize, 0);
    }
    samples.truncate(whole);
    samples
}

fn tone(samples: &mut Vec<i16>, pitches: [f64; 2], count: u32) {
    let fade = f64::from(RATE / 50);
    samples.extend((0..count).map(|sample| {
        let at = f64::from(sample) / f64::from(RATE);
        let wave: f64 = pitches.iter().map(|pitch| (at * pitch * TAU).sin()).sum();
        // Without fading in and out every burst would click.
        let edge = f64::from(sample.min(count - sample)) / fade;
        #[expect(clippy::cast_possible_truncation, reason = "at most 6,500 by construction")]
        let value = (wave / 2.0 * edge.min(1.0) * LOUDNESS) as i16;
        value
    }));
}

fn wav(samples: &[i16]) -> Vec<u8> {
    const PCM: u16 = 1;
    const CHANNELS: u16 = 1;
    const BYTES: u16 = 2;
    let data = u32::try_from(samples.len() * usize::from(BYTES)).unwrap_or(0);
    let mut file = Vec::with_capacity(44 + data as usize);
    file.extend(b"RIFF");
    file.extend((36 + data).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16_u32.to_le_bytes());
    file.extend(PCM.to_le_bytes());
    file.extend(CHANNELS.to_le_bytes());
    file.extend(RATE.to_le_bytes());
    file.extend((RATE * u32::from(BYTES)).to_le_bytes());
    file.extend(BYTES.to_le_bytes());
    file.extend((BYTES * 8).to_le_bytes());
    file.extend(b"data");
    file.extend(data.to_le_bytes());
    file.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: &str = "0197b5c0f0007000800000000000abcd";

    #[test]
    fn a_recording_is_a_valid_audible_and_bounded_wav() {
        for talk in [0, 3, 900] {
            let wav = recording(&format!("sim-{CALL}-{talk}")).unwrap().bytes;
            let word = |at: usize| u32::from_le_bytes(wav[at..at + 4].try_into().unwrap());
            assert_eq!(
                (&wav[..4], &wav[8..16], &wav[36..40]),
                (&b"RIFF"[..], &b"WAVEfmt "[..], &b"data"[..])
            );
            assert_eq!((word(4) as usize, word(40) as usize), (wav.len() - 8, wav.len() - 44));
            assert_eq!((word(24), word(28)), (8_000, 16_000));
            assert!(wav.len() <= 44 + 160_000);
            let samples = wav[44..].chunks(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]]));
            let loudest = samples.map(i16::unsigned_abs).max().unwrap();
            assert!((2_000..12_000).contains(&loudest), "soft, not silent: {loudest}");
        }
    }

    #[test]
    fn one_reference_is_one_recording() {
        let one = format!("sim-{CALL}-9");
        assert_eq!(recording(&one), recording(&one));
        assert_ne!(recording(&one), recording(&one.replace("abcd", "abce")));
        assert_eq!(recording("RE123"), None);
        assert_eq!(recording("sim-nonsense-9"), None);
    }
}
