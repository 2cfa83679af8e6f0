//! A call: one dial or one inbound ring, under one id from `scheduled` to `ended`.
//!
//! What happened on the line is a [`Progress`], a function of the *set* of the call's events: any
//! order, with repeats, gives the same outcome.

mod event;
mod progress;
mod result;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use event::{AnsweredBy, CallEvent, CallRef, Ending, EventKind, InboundRing, Report, Speaker};
pub use progress::{Line, Progress};
pub use result::{AgentResult, Utterance, When};

use crate::actor::Actor;
use crate::campaign::RunState;
use crate::client::Note;
use crate::engine::Heard;
use crate::id::{CallId, CampaignId, ClientId};
use crate::phone::PhoneNumber;
use crate::time::Zone;

/// One call, in whatever state it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// One id for life.
    pub id: CallId,
    /// The campaign it belongs to; an inbound call of a stranger has none.
    pub campaign: Option<CampaignId>,
    /// The client it is for; an inbound call of a stranger has none.
    pub client: Option<ClientId>,
    /// The client whose fields a test call is filled with; it is no call of that client.
    pub sample: Option<ClientId>,
    /// The other party's number; a withheld caller ID is none.
    pub phone: Option<PhoneNumber>,
    /// Who rang whom.
    pub direction: Direction,
    /// Which number of dial this is for the client, from 1; 0 for an inbound call.
    pub attempt: u32,
    /// The call this one retries.
    pub retry_of: Option<CallId>,
    /// Whether it goes by the campaign's plan or by a person's wish.
    pub intent: Intent,
    /// Who caused it.
    pub by: Actor,
    /// When it is due, on the campaign clock.
    pub due_at: DateTime<Utc>,
    /// Whether a worker holds it right now.
    pub claimed: bool,
    /// When its intent was stored; from then on the carrier may have been asked.
    pub begun_at: Option<DateTime<Utc>>,
    /// The settings it ran under; 0 before it begins.
    pub settings_version: u32,
    /// The zone whose hours were asked last: the client's own, for pages.
    pub zone: Option<Zone>,
    /// Why it was dialled: every rule that was asked, as it answered. Empty until it begins.
    pub decision: Vec<Heard>,
    /// Whether it ended without a dial, and how.
    pub retired: Option<Retired>,
    /// What happened on the line.
    pub progress: Progress,
    /// What a person made of it.
    pub review: Review,
    /// A person's own label.
    pub disposition: Option<String>,
    /// What people wrote down, oldest first.
    pub notes: Vec<Note>,
}

/// A call that ended without a dial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retired {
    /// When.
    pub at: DateTime<Utc>,
    /// By whom.
    pub by: Actor,
    /// Skipped by a person, or cancelled by a rule.
    pub how: Retirement,
}

/// How a call ended without a dial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retirement {
    /// A person took it out of the queue.
    Skipped(Skip),
    /// A rule, or the end of the campaign, took it out; the word says which.
    Canceled(CancelReason),
}

/// Why a person skipped a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skip {
    /// In one word.
    pub reason: SkipReason,
    /// In the person's own words; [`SkipReason::Other`] needs some.
    pub note: Option<String>,
}

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// Every value.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The word stores, JSON and pages use.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// Reads the word.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($word => Some(Self::$variant),)* _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )*};
}

words! {
    /// Why a person skipped a call.
    SkipReason {
        /// Somebody else's number.
        WrongNumber = "wrong_number",
        /// Nothing is left to say.
        AlreadyHandled = "already_handled",
        /// The client asked for it.
        ClientRequest = "client_request",
        /// Not now.
        BadTiming = "bad_timing",
        /// The person is on the list twice.
        Duplicate = "duplicate",
        /// Anything else; needs a note.
        Other = "other",
    }
    /// Why a scheduled call ended without a dial.
    CancelReason {
        /// The number is on a Do-Not-Call list.
        OnDnc = "on_dnc",
        /// The client is switched off.
        Inactive = "inactive",
        /// Consent is required and there is none.
        NoConsent = "no_consent",
        /// No zone is known and the campaign refuses such numbers.
        NoZone = "no_zone",
        /// The calling hours never open again.
        HoursOver = "hours_over",
        /// The client was dialled as often as the campaign allows.
        MaxAttempts = "max_attempts",
        /// The campaign was stopped.
        CampaignStopped = "campaign_stopped",
        /// The person was erased.
        Erased = "erased",
    }
    /// Who rang whom.
    Direction {
        /// callcore dialled.
        Outbound = "outbound",
        /// The other party rang.
        Inbound = "inbound",
    }
    /// Whether a call goes by the campaign's plan or by a person's wish.
    Intent {
        /// The campaign's plan.
        Plan = "plan",
        /// The campaign's plan, at a time a person chose: every rule holds.
        Rescheduled = "rescheduled",
        /// A person asked for it: call now or re-call.
        Person = "person",
        /// A person tries the script on a number of their own: outside of all counts.
        Test = "test",
    }
    /// What a person made of a call.
    Review {
        /// Nobody looked yet.
        Unreviewed = "unreviewed",
        /// Looked at.
        Reviewed = "reviewed",
        /// Somebody has to do something.
        NeedsFollowUp = "needs_follow_up",
    }
    /// How a call ended.
    Outcome {
        /// A person was reached.
        Answered = "answered",
        /// A machine was reached.
        Voicemail = "voicemail",
        /// It rang and nobody came.
        NoAnswer = "no_answer",
        /// The line was busy.
        Busy = "busy",
        /// It could not be connected, or its fate stayed unknown.
        Failed = "failed",
        /// It ended before a dial, or before anybody could answer.
        Canceled = "canceled",
        /// A person took it out of the queue.
        Skipped = "skipped",
        /// A person was reached and asked not to be called again.
        OptedOut = "opted_out",
    }
    /// Where a call stands.
    CallStatus {
        /// Waiting for its due time.
        Scheduled = "scheduled",
        /// A worker holds it.
        Claimed = "claimed",
        /// The intent is stored; the carrier is being asked, or was.
        Dialing = "dialing",
        /// The carrier says it rings.
        Ringing = "ringing",
        /// Somebody, or something, answered.
        InProgress = "in_progress",
        /// Nobody knows whether the carrier dialled: never dialled again by itself.
        Unknown = "unknown",
        /// Over.
        Ended = "ended",
    }
}

impl Intent {
    /// Whether a person asked for the call at once: it passes the campaign's plan.
    #[must_use]
    pub const fn is_wish(self) -> bool {
        matches!(self, Self::Person | Self::Test)
    }

    /// Whether such a call may be dialled while its campaign is in this state.
    #[must_use]
    pub const fn dials_while(self, state: RunState) -> bool {
        match state {
            RunState::Running => true,
            RunState::Paused | RunState::Finished => self.is_wish(),
            RunState::Draft => matches!(self, Self::Test),
            RunState::Stopped => false,
        }
    }
}

impl Outcome {
    /// Whether a person was reached: the numerator of the success rate.
    #[must_use]
    pub const fn reached(self) -> bool {
        matches!(self, Self::Answered | Self::OptedOut)
    }

    /// Whether it counts as attempted: the denominator of the success rate.
    #[must_use]
    pub const fn attempted(self) -> bool {
        !matches!(self, Self::Skipped | Self::Canceled)
    }
}

impl Call {
    /// A call of the campaign's plan, to a client's number.
    #[must_use]
    pub fn scheduled(
        id: CallId,
        (campaign, client, phone): (CampaignId, ClientId, PhoneNumber),
        attempt: u32,
        due_at: DateTime<Utc>,
    ) -> Self {
        Self {
            campaign: Some(campaign),
            client: Some(client),
            direction: Direction::Outbound,
            attempt,
            intent: Intent::Plan,
            by: Actor::System,
            ..Self::inbound(id, Some(phone), due_at)
        }
    }

    /// A call of a campaign to a person's own number, due at once.
    #[must_use]
    pub fn test(
        id: CallId,
        (campaign, phone): (CampaignId, PhoneNumber),
        sample: Option<ClientId>,
        by: Actor,
        at: DateTime<Utc>,
    ) -> Self {
        Self {
            campaign: Some(campaign),
            sample,
            direction: Direction::Outbound,
            intent: Intent::Test,
            by,
            ..Self::inbound(id, Some(phone), at)
        }
    }

    /// Whether a person tries the script: such a call is in no count.
    #[must_use]
    pub const fn is_test(&self) -> bool {
        matches!(self.intent, Intent::Test)
    }

    /// Whether a caller left something that was recorded.
    #[must_use]
    pub fn has_message(&self) -> bool {
        self.direction == Direction::Inbound && self.progress.recording.is_some()
    }

    /// A call that came in, of nobody known yet; a withheld caller ID is none.
    #[must_use]
    pub fn inbound(id: CallId, phone: Option<PhoneNumber>, at: DateTime<Utc>) -> Self {
        Self {
            id,
            campaign: None,
            client: None,
            sample: None,
            phone,
            direction: Direction::Inbound,
            attempt: 0,
            retry_of: None,
            intent: Intent::Person,
            by: Actor::Client,
            due_at: at,
            claimed: false,
            begun_at: None,
            settings_version: 0,
            zone: None,
            decision: Vec::new(),
            retired: None,
            progress: Progress::default(),
            review: Review::Unreviewed,
            disposition: None,
            notes: Vec::new(),
        }
    }

    /// Where the call stands.
    #[must_use]
    pub const fn status(&self) -> CallStatus {
        if self.retired.is_some() {
            return CallStatus::Ended;
        }
        match (self.begun_at, self.direction) {
            (None, Direction::Outbound) if self.claimed => CallStatus::Claimed,
            (None, Direction::Outbound) => CallStatus::Scheduled,
            _ => self.progress.status,
        }
    }

    /// How the call ended, once it has.
    #[must_use]
    pub const fn outcome(&self) -> Option<Outcome> {
        match &self.retired {
            Some(Retired { how: Retirement::Skipped(_), .. }) => Some(Outcome::Skipped),
            Some(Retired { how: Retirement::Canceled(_), .. }) => Some(Outcome::Canceled),
            None => self.progress.outcome,
        }
    }

    /// Why the call ended as it did, in one word; finer than the outcome.
    #[must_use]
    pub fn end_reason(&self) -> Option<&str> {
        match &self.retired {
            Some(Retired { how: Retirement::Skipped(skip), .. }) => Some(skip.reason.as_str()),
            Some(Retired { how: Retirement::Canceled(reason), .. }) => Some(reason.as_str()),
            None => self.progress.end_reason.as_deref(),
        }
    }

    /// When the call ended.
    #[must_use]
    pub fn ended_at(&self) -> Option<DateTime<Utc>> {
        self.retired.as_ref().map_or(self.progress.ended_at, |retired| Some(retired.at))
    }

    /// Keeps what a person made of the call in step with what its events add up to. One whose fate
    /// stayed unknown is for somebody to look at, until a later word settles it; one that turns out
    /// not to be over has not been looked at.
    pub fn follow_up_review(&mut self, was_unknown: bool) {
        let is_unknown = self.end_reason() == Some("unknown");
        match (was_unknown, is_unknown, self.review) {
            _ if self.ended_at().is_none() => {
                self.review = Review::Unreviewed;
                self.disposition = None;
            }
            (false, true, Review::Unreviewed) => self.review = Review::NeedsFollowUp,
            (true, false, Review::NeedsFollowUp) => self.review = Review::Unreviewed,
            _ => {}
        }
    }

    /// Whether the intent is stored and the call has not ended: it may be ringing right now.
    #[must_use]
    pub fn is_live(&self) -> bool {
        !matches!(self.status(), CallStatus::Scheduled | CallStatus::Claimed | CallStatus::Ended)
    }

    /// What the voice agent and people wrote down, oldest first.
    #[must_use]
    pub fn all_notes(&self) -> Vec<Note> {
        let agents = self.progress.notes.iter().map(|(at, text)| Note {
            text: text.clone(),
            by: Actor::Agent,
            at: *at,
        });
        let mut notes: Vec<Note> = agents.chain(self.notes.iter().cloned()).collect();
        notes.sort_by_key(|note| note.at);
        notes
    }

    /// The label people see: a person's own, else the voice agent's.
    #[must_use]
    pub fn label(&self) -> Option<&str> {
        self.disposition.as_deref().or(self.progress.disposition.as_deref())
    }

    /// When the call began: its stored intent, or the first thing heard of an inbound call.
    #[must_use]
    pub fn began(&self) -> DateTime<Utc> {
        self.begun_at.unwrap_or(self.due_at)
    }

    /// The instant a history sorts by: the end, or what comes nearest to it.
    #[must_use]
    pub fn date(&self) -> DateTime<Utc> {
        self.ended_at().or(self.progress.started_at).or(self.begun_at).unwrap_or(self.due_at)
    }
}
