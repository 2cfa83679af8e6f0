use callcore::audio::Audio;
use serde::Serialize;

use super::instant;

/// An uploaded audio.
#[derive(Debug, Serialize)]
pub(crate) struct AudioDto {
    id: String,
    name: String,
    media_type: &'static str,
    size_bytes: u64,
    created_at: String,
    created_by: String,
}

impl From<&Audio> for AudioDto {
    fn from(audio: &Audio) -> Self {
        Self {
            id: audio.id.to_string(),
            name: audio.name.clone(),
            media_type: audio.format.media_type(),
            size_bytes: audio.size,
            created_at: instant(audio.created_at),
            created_by: audio.created_by.to_string(),
        }
    }
}
