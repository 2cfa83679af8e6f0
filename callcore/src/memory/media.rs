use async_trait::async_trait;
use serde_json::json;

use super::campaigns::page;
use super::{MemoryStore, State};
use crate::audio::Audio;
use crate::campaign::{RunState, Settings};
use crate::id::AudioId;
use crate::port::{ActError, By, Cursor, Effect, Media, NewAudio, Page, Refused, StoreError};

#[async_trait]
impl Media for MemoryStore {
    async fn add_audio(&self, by: By<'_>, new: NewAudio) -> Result<Audio, ActError> {
        let mut state = self.lock();
        state.enter(by)?;
        let audio = Audio {
            id: new.id,
            name: new.name,
            format: new.format,
            size: new.bytes.len() as u64,
            created_at: by.now,
            created_by: by.actor.clone(),
        };
        state.audio.insert(new.id, (audio.clone(), new.bytes));
        let body = json!({"name": audio.name, "size": audio.size});
        state.write_audit(by, "audio.add", new.id, None, Some(body));
        state.leave(by, &Effect::Audio(Box::new(audio.clone())));
        Ok(audio)
    }

    async fn audio(&self, id: AudioId) -> Result<Option<Audio>, StoreError> {
        Ok(self.lock().audio.get(&id).map(|(audio, _)| audio.clone()))
    }

    async fn audio_bytes(&self, id: AudioId) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.lock().audio.get(&id).map(|(_, bytes)| bytes.clone()))
    }

    async fn audios(&self, after: Option<Cursor>, limit: u32) -> Result<Page<Audio>, StoreError> {
        let state = self.lock();
        let key = |audio: &&Audio| Cursor::at(audio.created_at, audio.id.uuid());
        let mut rows: Vec<&Audio> = state
            .audio
            .values()
            .map(|(audio, _)| audio)
            .filter(|audio| after.as_ref().is_none_or(|after| key(audio) < *after))
            .collect();
        rows.sort_unstable_by_key(|audio| std::cmp::Reverse(key(audio)));
        Ok(page(rows, limit, key).map(|audio| Some(audio.clone())))
    }

    async fn remove_audio(&self, by: By<'_>, id: AudioId) -> Result<(), ActError> {
        let mut state = self.lock();
        state.enter(by)?;
        let (audio, _) = state.audio.get(&id).ok_or(Refused::NotFound)?;
        let old = json!({"name": audio.name, "size": audio.size});
        let plays = state.campaigns.values().find(|row| {
            let over = matches!(row.campaign.state, RunState::Finished | RunState::Stopped);
            !over && row.campaign.settings.audio().any(|(_, audio)| audio == id)
        });
        if let Some(row) = plays {
            return Err(Refused::AudioInUse(row.campaign.id).into());
        }
        state.audio.remove(&id);
        state.write_audit(by, "audio.remove", id, Some(old), None);
        state.leave(by, &Effect::AudioRemoved);
        Ok(())
    }
}

impl State {
    /// Refuses settings that play an audio which is not there.
    pub(super) fn check_audio(&self, settings: &Settings) -> Result<(), Refused> {
        match settings.audio().find(|(_, audio)| !self.audio.contains_key(audio)) {
            Some((_, audio)) => Err(Refused::UnknownAudio(audio)),
            None => Ok(()),
        }
    }
}
