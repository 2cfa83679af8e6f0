//! Nobody uploads audio while a simulation runs: these pass through.

use async_trait::async_trait;

use super::FaultyStore;
use crate::audio::Audio;
use crate::id::AudioId;
use crate::port::{ActError, By, Cursor, Media, NewAudio, Page, StoreError};

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Media for FaultyStore {
    async fn add_audio(&self, by: By<'_>, new: NewAudio) -> Result<Audio, ActError> {
        self.inner.add_audio(by, new).await
    }

    async fn audio(&self, id: AudioId) -> Result<Option<Audio>, StoreError> {
        self.inner.audio(id).await
    }

    async fn audio_bytes(&self, id: AudioId) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.audio_bytes(id).await
    }

    async fn audios(&self, after: Option<Cursor>, limit: u32) -> Result<Page<Audio>, StoreError> {
        self.inner.audios(after, limit).await
    }

    async fn remove_audio(&self, by: By<'_>, id: AudioId) -> Result<(), ActError> {
        self.inner.remove_audio(by, id).await
    }
}
