//! Do-Not-Call: numbers that are not dialled, everywhere or in one campaign.

mod report;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::actor::Actor;
use crate::id::CampaignId;
use crate::phone::PhoneNumber;

pub use self::report::DncReport;

/// A number that must not be dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DncEntry {
    /// The number.
    pub phone: PhoneNumber,
    /// Where it holds.
    pub scope: DncScope,
    /// Why, in the words of whoever added it; may be empty.
    pub reason: String,
    /// How it came in.
    pub source: DncSource,
    /// Who added it.
    pub added_by: Actor,
    /// When, on the campaign clock.
    pub created_at: DateTime<Utc>,
}

/// Where a DNC entry holds. A number has at most one entry in each scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DncScope {
    /// In every campaign.
    Global,
    /// In one campaign.
    Campaign(CampaignId),
}

impl DncScope {
    /// The word stores, JSON and pages use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Campaign(_) => "campaign",
        }
    }

    /// The campaign, where there is one.
    #[must_use]
    pub const fn campaign(self) -> Option<CampaignId> {
        match self {
            Self::Global => None,
            Self::Campaign(id) => Some(id),
        }
    }

    /// Whether an entry of this scope stops a dial of a campaign.
    #[must_use]
    pub fn covers(self, campaign: CampaignId) -> bool {
        self.campaign().is_none_or(|id| id == campaign)
    }
}

/// How a DNC entry came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DncSource {
    /// A person or token added it.
    Manual,
    /// It came in with a list.
    Import,
    /// The person on the phone asked for it.
    OptOut,
}

impl DncSource {
    /// The word stores, JSON and pages use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Import => "import",
            Self::OptOut => "opt_out",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Manual, Self::Import, Self::OptOut]
            .into_iter()
            .find(|source| source.as_str() == text)
    }
}
