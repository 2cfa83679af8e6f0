//! A campaign: a list of clients, the settings they are called under, and its run state.

mod fields;
mod settings;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub(crate) use fields::Fields;
pub use settings::{
    Budget, FieldError, Pacing, Recording, Settings, SettingsError, Voicemail, VoicemailPolicy,
    ZoneFallback, ZonePolicy,
};

use crate::actor::Actor;
use crate::id::CampaignId;

/// A campaign as a store keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct Campaign {
    /// Its id.
    pub id: CampaignId,
    /// Where it stands.
    pub state: RunState,
    /// Which version its settings are; the first is 1.
    pub settings_version: u32,
    /// The settings now in force.
    pub settings: Arc<Settings>,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// Who created it.
    pub created_by: Actor,
    /// When it was first started.
    pub started_at: Option<DateTime<Utc>>,
    /// When it finished or was stopped.
    pub ended_at: Option<DateTime<Utc>>,
    /// Who paused it, while it is paused.
    pub pause: Option<Pause>,
}

/// Who paused a campaign, when and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// When.
    pub at: DateTime<Utc>,
    /// Who; the system, if the campaign paused itself.
    pub by: Actor,
    /// Why, in words, if the campaign paused itself.
    pub reason: Option<String>,
}

/// Where a campaign stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Being put together; nobody is called.
    Draft,
    /// Clients are called when they may be.
    Running,
    /// Calls in progress end; no more start.
    Paused,
    /// Over before its end: what was scheduled is cancelled.
    Stopped,
    /// Every client is in a final state.
    Finished,
}

/// What people do to a campaign's run state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    /// A draft starts.
    Start,
    /// A running campaign pauses.
    Pause,
    /// A paused campaign goes on.
    Resume,
    /// A running or paused campaign ends for good.
    Stop,
}

/// The run state does not allow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a {} campaign can't {}", from.as_str(), transition.as_str())]
pub struct InvalidTransition {
    /// Where the campaign stands.
    pub from: RunState,
    /// What was asked.
    pub transition: Transition,
}

impl Transition {
    /// The word JSON, audit rows and pages use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Stop => "stop",
        }
    }
}

impl RunState {
    /// Every state.
    pub const ALL: [Self; 5] =
        [Self::Draft, Self::Running, Self::Paused, Self::Stopped, Self::Finished];

    /// The state after a transition.
    ///
    /// # Errors
    ///
    /// The state does not allow it; asking for a state the campaign already has is refused too.
    pub const fn after(self, transition: Transition) -> Result<Self, InvalidTransition> {
        match (self, transition) {
            (Self::Draft, Transition::Start) | (Self::Paused, Transition::Resume) => {
                Ok(Self::Running)
            }
            (Self::Running, Transition::Pause) => Ok(Self::Paused),
            (Self::Running | Self::Paused, Transition::Stop) => Ok(Self::Stopped),
            (from, transition) => Err(InvalidTransition { from, transition }),
        }
    }

    /// Whether clients may be added and calls scheduled: everything but a stopped campaign.
    #[must_use]
    pub const fn takes_clients(self) -> bool {
        !matches!(self, Self::Stopped)
    }

    /// The word stores, JSON and pages use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
            Self::Finished => "finished",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_campaign_is_never_left() {
        for transition in
            [Transition::Start, Transition::Pause, Transition::Resume, Transition::Stop]
        {
            assert!(RunState::Stopped.after(transition).is_err());
        }
    }

    #[test]
    fn a_campaign_runs_pauses_and_goes_on() {
        let running = RunState::Draft.after(Transition::Start).unwrap();
        let paused = running.after(Transition::Pause).unwrap();
        assert_eq!(paused.after(Transition::Resume), Ok(RunState::Running));
        assert_eq!(
            paused.after(Transition::Start).unwrap_err().to_string(),
            "a paused campaign can't start"
        );
    }
}
