//! A client: one row of an uploaded list, one person in one campaign.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::actor::Actor;
use crate::call::Outcome;
use crate::id::{CallId, CampaignId, ClientId, ImportId};
use crate::phone::PhoneNumber;
use crate::port::NewClient;
use crate::time::Zone;

/// The most tags a client may have.
pub const MAX_TAGS: usize = 50;

/// One person in one campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its id.
    pub id: ClientId,
    /// The campaign it is called in.
    pub campaign: CampaignId,
    /// The import that brought it; its columns name [`fields`](Self::fields).
    pub import: ImportId,
    /// The line of the file on which its row starts; 1 is the header.
    pub line: u64,
    /// The number that is dialled; none once the person was erased.
    pub phone: Option<PhoneNumber>,
    /// What the person is called, as uploaded; may be empty.
    pub name: String,
    /// The uploader's own id.
    pub external_id: Option<String>,
    /// Where the person reads mail.
    pub email: Option<String>,
    /// Every zone the person may be in, and how we know.
    pub zones: Vec<ClientZone>,
    /// Every uploaded cell, in the order of the import's columns.
    pub fields: Vec<String>,
    /// Labels for filters and reports.
    pub tags: BTreeSet<String>,
    /// What people wrote down, oldest first.
    pub notes: Vec<Note>,
    /// Whether the client may be called at all.
    pub active: bool,
    /// The consent to be called, where there is one.
    pub consent: Option<Consent>,
    /// One key for one person with several numbers, where a law counts calls by person.
    pub person_key: Option<String>,
    /// One key for one debt, where a law counts calls by debt (12 CFR 1006.14(b)(2)).
    pub debt_key: Option<String>,
    /// Where the client stands.
    pub standing: Standing,
    /// Set once the person was erased: all that was known of it is gone, and it is never called.
    pub erased: Option<Erasure>,
}

/// That a person was erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erasure {
    /// When, on the campaign clock.
    pub at: DateTime<Utc>,
    /// Whether a DNC entry covered the number then: where the client stands goes on following
    /// from it, though nobody can tell the number any more.
    pub on_dnc: bool,
}

impl Client {
    /// Becomes what a row says that repeats it: its columns, name, zones, e-mail, external id and
    /// consent; its tags are added. What the row leaves empty stays as it is, but for consent where
    /// the row speaks of it. Its number, its calls and where it stands stay in any case.
    pub fn follow(&mut self, import: ImportId, new: &NewClient) {
        self.import = import;
        self.line = new.line;
        self.fields.clone_from(&new.fields);
        if !new.name.is_empty() {
            self.name.clone_from(&new.name);
        }
        for (own, new) in [
            (&mut self.external_id, &new.external_id),
            (&mut self.email, &new.email),
            (&mut self.person_key, &new.person_key),
            (&mut self.debt_key, &new.debt_key),
        ] {
            if new.is_some() {
                own.clone_from(new);
            }
        }
        if new.says_consent {
            self.consent.clone_from(&new.consent);
        }
        self.tags.extend(new.tags.iter().cloned());
        let told = |zone: &ClientZone| zone.source == ZoneSource::File;
        let told_before = self.zones.iter().find(|zone| told(zone)).cloned();
        let keeps = told_before.filter(|_| !new.zones.iter().any(told));
        self.zones = keeps.into_iter().chain(new.zones.iter().cloned()).collect();
    }
}

/// Where a client stands: a function of its calls, its number's DNC entries and what it allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// In one word.
    pub status: ClientStatus,
    /// Dials so far.
    pub attempts: u32,
    /// Dials that ended at a voicemail.
    pub voicemails: u32,
    /// How the last dial ended.
    pub last_outcome: Option<Outcome>,
    /// When the last dial ended.
    pub last_call_at: Option<DateTime<Utc>>,
    /// The call to come.
    pub next_call: Option<NextCall>,
}

impl Default for Standing {
    fn default() -> Self {
        Self {
            status: ClientStatus::Pending,
            attempts: 0,
            voicemails: 0,
            last_outcome: None,
            last_call_at: None,
            next_call: None,
        }
    }
}

/// The call to come for a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextCall {
    /// The call.
    pub call: CallId,
    /// When it is due.
    pub due_at: DateTime<Utc>,
}

/// A zone a client may be in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientZone {
    /// The zone.
    pub zone: Zone,
    /// How we know.
    pub source: ZoneSource,
}

/// How a client's zone is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ZoneSource {
    /// A person who knows the client said so; it takes the place of what the file says.
    Person,
    /// The uploaded file says so.
    File,
    /// The number's prefix belongs there; a ported or moved mobile may be elsewhere.
    Number,
    /// The number only tells the country.
    Country,
}

/// Something a person wrote down. Entries are added, never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The words.
    pub text: String,
    /// Who wrote them.
    pub by: Actor,
    /// When.
    pub at: DateTime<Utc>,
}

/// A person's consent to be called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// On what it rests, in the uploader's words.
    pub basis: String,
    /// When it was given, where known.
    pub at: Option<DateTime<Utc>>,
    /// Where it was recorded.
    pub source: String,
    /// What proves it.
    pub evidence: Option<String>,
}

/// Where a client stands, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientStatus {
    /// In a draft, or waiting for the first dial.
    Pending,
    /// Dialled before, with another dial to come.
    Scheduled,
    /// Being called.
    InProgress,
    /// Answered.
    Reached,
    /// Only the voicemail was reached, and no retry is left.
    Voicemail,
    /// No answer, and no retry is left.
    Exhausted,
    /// Taken out of the queue by a person, or by stopping the campaign.
    Skipped,
    /// On a Do-Not-Call list.
    OnDnc,
    /// Asked in a call not to be called again.
    OptedOut,
    /// The number can't be reached: the carrier said so for good, or no zone is known.
    Unreachable,
    /// Something a person has to look at, such as a dial whose fate stayed unknown.
    NeedsFollowUp,
    /// Switched off.
    Inactive,
    /// Consent is required and there is none.
    NoConsent,
}

impl ClientStatus {
    /// Every status, in the order pages list them.
    pub const ALL: [Self; 13] = [
        Self::Pending,
        Self::Scheduled,
        Self::InProgress,
        Self::Reached,
        Self::Voicemail,
        Self::Exhausted,
        Self::Skipped,
        Self::OnDnc,
        Self::OptedOut,
        Self::Unreachable,
        Self::NeedsFollowUp,
        Self::Inactive,
        Self::NoConsent,
    ];

    /// Whether no further dial will follow by itself.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Pending | Self::Scheduled | Self::InProgress)
    }

    /// The word stores, JSON and pages use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Scheduled => "scheduled",
            Self::InProgress => "in_progress",
            Self::Reached => "reached",
            Self::Voicemail => "voicemail",
            Self::Exhausted => "exhausted",
            Self::Skipped => "skipped",
            Self::OnDnc => "on_dnc",
            Self::OptedOut => "opted_out",
            Self::Unreachable => "unreachable",
            Self::NeedsFollowUp => "needs_follow_up",
            Self::Inactive => "inactive",
            Self::NoConsent => "no_consent",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}
