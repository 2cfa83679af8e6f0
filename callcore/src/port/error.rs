//! Errors of the ports: a kind to branch on, a chain to report.

use std::error::Error;
use std::fmt;

use chrono::{DateTime, Utc};

use crate::call::CallStatus;
use crate::campaign::{InvalidTransition, RunState};
use crate::id::{AudioId, CallId, CampaignId};

/// A store could not do its work.
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    operation: &'static str,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What kind of trouble a store has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// It is away, or too busy: the same call may succeed later. Whether it took effect is unknown.
    Unavailable,
    /// A row can't be what callcore wrote.
    Corrupt,
    /// Anything else.
    Other,
}

impl StoreError {
    /// An error of one operation.
    #[must_use]
    pub const fn new(kind: StoreErrorKind, operation: &'static str) -> Self {
        Self { kind, operation, source: None }
    }

    /// The error with what caused it.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What kind of trouble it is.
    #[must_use]
    pub const fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            StoreErrorKind::Unavailable => "unavailable",
            StoreErrorKind::Corrupt => "corrupt",
            StoreErrorKind::Other => "failed",
        };
        write!(f, "store {kind} in {}", self.operation)
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// Something a person asked for was not done.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// The state of things does not allow it.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The store could not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why the state of things does not allow what a person asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no such object.
    #[error("not found")]
    NotFound,
    /// The campaign's run state does not allow the transition.
    #[error(transparent)]
    Transition(#[from] InvalidTransition),
    /// The campaign's run state does not allow it.
    #[error("the campaign is {}", .0.as_str())]
    Campaign(RunState),
    /// The call's status does not allow it.
    #[error("the call is {}", .0.as_str())]
    Call(CallStatus),
    /// Somebody changed the settings in between.
    #[error("the settings are at version {current}")]
    Stale {
        /// The version they are at now.
        current: u32,
    },
    /// The client already has a call to come.
    #[error("the client already has a scheduled call")]
    AlreadyScheduled(CallId),
    /// A DNC entry covers the number.
    #[error("the number is on a do-not-call list")]
    OnDnc,
    /// The settings play an audio that is not there.
    #[error("the settings play an audio that is not there")]
    UnknownAudio(AudioId),
    /// A campaign that is not over plays the audio.
    #[error("a campaign plays the audio")]
    AudioInUse(CampaignId),
    /// The import is still running.
    #[error("the import is still running")]
    ImportRunning,
    /// Clients of the import were called.
    #[error("{called} of its clients were called already")]
    Called {
        /// How many.
        called: u64,
        /// How many were not.
        uncalled: u64,
    },
    /// The person was erased: there is nobody to call, and nothing to be written down.
    #[error("the person was erased")]
    Erased,
    /// There is nobody to call.
    #[error("the campaign has no clients")]
    NoClients,
    /// The calling hours don't allow the instant.
    #[error("outside the calling hours")]
    OutsideHours {
        /// The next instant they allow.
        next_allowed: Option<DateTime<Utc>>,
    },
    /// The instant is further ahead than hours are looked for.
    #[error("more than {} days ahead", crate::rules::hours::HORIZON.num_days())]
    TooFar,
    /// Somebody or something else has the name.
    #[error("the name is taken")]
    NameTaken,
    /// No enabled admin would be left.
    #[error("the last enabled admin can't be disabled or demoted")]
    LastAdmin,
    /// The password is another one.
    #[error("the password is another one")]
    WrongPassword,
    /// The user may not sign in.
    #[error("the user is disabled")]
    UserDisabled,
    /// The client is switched off.
    #[error("the client is switched off")]
    Inactive,
    /// Somebody stopped all dialling.
    #[error("all dialling is stopped")]
    DiallingStopped,
    /// Consent is required and there is none.
    #[error("consent is required, and none is recorded")]
    NoConsent,
    /// A stranger's call has no client.
    #[error("the call has no client")]
    NoClient,
    /// The client would have more tags than it may.
    #[error("a client has at most {} tags", crate::client::MAX_TAGS)]
    TooManyTags,
    /// A request under the same idempotency key is being carried out.
    #[error("a request with this idempotency key is in progress")]
    InProgress,
}
