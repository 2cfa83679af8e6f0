//! The audio that a form offers.

use callcore::id::AudioId;

use super::super::form::Choice;
use super::super::frame::Trouble;
use super::super::rows::shown;
use crate::state::ApiState;

/// How many audios are offered, the newest: in one place, and in all places of a page together.
const IN_ONE: usize = 100;
const IN_ALL: usize = 300;

/// The newest audio there is, and what is chosen already.
#[derive(Debug)]
pub(super) struct Audios(Vec<(String, String)>);

impl Audios {
    /// What is offered where these are chosen.
    pub(super) async fn read(state: &ApiState, chosen: &[&str]) -> Result<Self, Trouble> {
        if chosen.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let most = u32::try_from(IN_ONE.min(IN_ALL / chosen.len())).unwrap_or(1);
        let newest = state.store().audios(None, most).await?.items;
        let mut audios: Vec<(String, String)> =
            newest.into_iter().map(|audio| (audio.id.to_string(), audio.name)).collect();
        for chosen in chosen {
            if let Ok(id) = chosen.parse::<AudioId>()
                && !audios.iter().any(|(known, _)| known == chosen)
                && let Some(audio) = state.store().audio(id).await?
            {
                audios.push((audio.id.to_string(), audio.name));
            }
        }
        Ok(Self(audios))
    }

    /// A choice among them, or none.
    pub(super) fn choices(&self, chosen: &str, none: &str) -> Vec<Choice> {
        let choice = |(id, name): &(String, String)| Choice::new(id, shown(name), id == chosen);
        let none = Choice::new("", none, !self.0.iter().any(|(id, _)| id == chosen));
        std::iter::once(none).chain(self.0.iter().map(choice)).collect()
    }
}
