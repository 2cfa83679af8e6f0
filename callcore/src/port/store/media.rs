use std::fmt;

use async_trait::async_trait;

use super::{By, Cursor, Page};
use crate::audio::{Audio, AudioFormat};
use crate::id::AudioId;
use crate::port::{ActError, StoreError};

/// The audio that scripts play.
///
/// - **P1** An audio keeps its bytes as they were uploaded.
/// - **P2** An audio that the settings now in force of a campaign play which is neither finished nor
///   stopped is not removed.
/// - **P3** Settings that play an audio which is not there are refused, by the campaigns' side.
#[async_trait]
pub trait Media: fmt::Debug + Send + Sync + 'static {
    /// Keeps an audio.
    ///
    /// # Errors
    ///
    /// The store failed, or the idempotency key is taken.
    async fn add_audio(&self, by: By<'_>, new: NewAudio) -> Result<Audio, ActError>;

    /// An audio, without its bytes.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn audio(&self, id: AudioId) -> Result<Option<Audio>, StoreError>;

    /// The bytes of an audio.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn audio_bytes(&self, id: AudioId) -> Result<Option<Vec<u8>>, StoreError>;

    /// Audio, newest first.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn audios(&self, after: Option<Cursor>, limit: u32) -> Result<Page<Audio>, StoreError>;

    /// Removes an audio.
    ///
    /// # Errors
    ///
    /// There is no such audio, or a campaign plays it.
    async fn remove_audio(&self, by: By<'_>, id: AudioId) -> Result<(), ActError>;
}

/// An audio to be kept.
#[derive(Clone, PartialEq, Eq)]
pub struct NewAudio {
    /// Its id.
    pub id: AudioId,
    /// What people call it.
    pub name: String,
    /// What its bytes are.
    pub format: AudioFormat,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for NewAudio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewAudio").field("id", &self.id).finish_non_exhaustive()
    }
}
