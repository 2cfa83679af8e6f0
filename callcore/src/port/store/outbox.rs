use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::{By, Cursor, Notice, NoticeKind, Page};
use crate::analytics::Totals;
use crate::id::{CampaignId, MailId, NoticeId};
use crate::phone::PhoneNumber;
use crate::port::{ActError, StoreError};

/// The mails' side: what people are told by mail, and what became of it.
///
/// Mails wait by the wall clock, as all do who deal with the world; notices and days are the campaign
/// clock's.
///
/// - **O1** A notice goes into one mail at most, in the transaction that queues the mail. While a
///   mail of a kind of notice waits, no second one of it is made: its notices gather.
/// - **O2** A key is queued once: a second mail under it changes nothing and returns the first.
/// - **O3** A waiting mail is claimed by one worker at a time, until its lease ends on the wall
///   clock; then again, as it was, with a higher epoch. Whoever lost it can't settle it.
/// - **O4** A mail that was sent or given up is never claimed again, and its words are forgotten.
/// - **O5** What was sent is counted by day of the wall clock in UTC, each receiver as one mail.
/// - **O6** `erase_mails` takes a person out of every mail that waits: one that was never tried goes
///   with its bare words, one that may have been sent is given up.
/// - **O7** `day` counts what analytics and the dashboard count over the same stretch.
#[async_trait]
pub trait Outbox: fmt::Debug + Send + Sync + 'static {
    /// Notices that go into no mail yet and are to be mailed, by their kind's word: those whose
    /// first one is not after `until`, with all that came since.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn unmailed(
        &self,
        until: DateTime<Utc>,
        shown: u32,
    ) -> Result<Vec<NoticeGroup>, StoreError>;

    /// Queues a mail. Returns it with `true`, or with `false` the mail that was queued before under
    /// its key; none if its notices are not the ones it was made from any more.
    ///
    /// # Errors
    ///
    /// The store failed, or the idempotency key is taken.
    async fn queue_mail(
        &self,
        by: By<'_>,
        new: NewMail,
    ) -> Result<Option<(QueuedMail, bool)>, ActError>;

    /// Leases mails that wait and are due, the oldest first.
    ///
    /// # Errors
    ///
    /// The store failed; leases run out by themselves.
    async fn claim_mails(
        &self,
        wall: DateTime<Utc>,
        lease_for: TimeDelta,
        limit: u32,
    ) -> Result<Vec<ClaimedMail>, StoreError>;

    /// Stores what became of a claimed mail, and the notices that follow. Returns whether the lease
    /// still held; if not, nothing is stored.
    ///
    /// # Errors
    ///
    /// The store failed. The mail is claimed again when its lease ends.
    async fn settle_mail(
        &self,
        by: By<'_>,
        wall: DateTime<Utc>,
        settlement: &MailSettlement,
    ) -> Result<bool, StoreError>;

    /// Ends every lease, for a process that knows that whoever held one is dead. Returns how many
    /// there were.
    ///
    /// # Errors
    ///
    /// The store failed; the leases end by themselves.
    async fn release_mails(&self) -> Result<u64, StoreError>;

    /// How many mails were sent from a day on, up to and with another.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn mails_sent(&self, from: NaiveDate, to: NaiveDate) -> Result<u64, StoreError>;

    /// Takes a person out of every mail that waits. Returns how many had them.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn erase_mails(&self, by: By<'_>, phone: PhoneNumber) -> Result<u64, StoreError>;

    /// Mails, newest first.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn mails(
        &self,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<Page<QueuedMail>, StoreError>;

    /// The mail queued under a key.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn mail(&self, key: &str) -> Result<Option<QueuedMail>, StoreError>;

    /// Notices with their mails, newest first.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn mailed_notices(
        &self,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<Page<MailedNotice>, StoreError>;

    /// What happened from an instant on, before another.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn day(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Result<Day, StoreError>;
}

/// Notices of one kind that are to be one mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeGroup {
    /// The kind's word.
    pub word: &'static str,
    /// How many there are.
    pub count: u64,
    /// The first of them.
    pub first: Notice,
    /// The last ones, the newest first: as many as were asked for, at least one.
    pub last: Vec<Notice>,
}

/// A mail to be queued.
#[derive(Clone, PartialEq, Eq)]
pub struct NewMail {
    /// Its id.
    pub id: MailId,
    /// What it is queued under: once.
    pub key: String,
    /// What it tells of, in a word: a notice kind's, or `daily_summary`.
    pub kind: String,
    /// Who gets it.
    pub to: Vec<String>,
    /// One line, without anybody's name or number.
    pub subject: String,
    /// Its words.
    pub body: Body,
    /// The same without anybody's name or number, where `body` has one.
    pub bare: Option<Body>,
    /// Whose names or numbers `body` has.
    pub people: Vec<PhoneNumber>,
    /// When it was queued, on the wall clock.
    pub queued_at: DateTime<Utc>,
    /// The notices it tells of, which are of the kind its own `kind` names.
    pub notices: Option<TakenNotices>,
}

/// The notices a mail was made from: those of its kind that went into no mail, up to one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TakenNotices {
    /// How many there were.
    pub count: u64,
    /// The last of them.
    pub through: NoticeId,
}

impl fmt::Debug for NewMail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewMail").field("key", &self.key).finish_non_exhaustive()
    }
}

/// A mail's words.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Body {
    /// For those who read text.
    pub text: String,
    /// For those who read HTML.
    pub html: String,
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").finish_non_exhaustive()
    }
}

/// A mail as it stands, without its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedMail {
    /// Its id.
    pub id: MailId,
    /// What it was queued under.
    pub key: String,
    /// What it tells of, in a word.
    pub kind: String,
    /// One line.
    pub subject: String,
    /// How many get it.
    pub receivers: u32,
    /// How it stands.
    pub state: MailState,
    /// Why it still waits, or was given up, as a stable code.
    pub reason: Option<String>,
    /// How often it was handed over.
    pub attempts: u32,
    /// When it was queued, on the wall clock.
    pub queued_at: DateTime<Utc>,
    /// When it is tried next, or was settled, on the wall clock.
    pub at: DateTime<Utc>,
}

/// How a mail stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailState {
    /// It is to be sent.
    Waiting,
    /// It was sent.
    Sent,
    /// It was given up.
    Failed,
}

impl MailState {
    /// The word stores and JSON use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Failed => "failed",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Waiting, Self::Sent, Self::Failed].into_iter().find(|it| it.as_str() == text)
    }
}

/// A mail a worker holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedMail {
    /// How it stands, this attempt counted.
    pub mail: QueuedMail,
    /// Which lease this is.
    pub epoch: u64,
    /// Who gets it.
    pub to: Vec<String>,
    /// Its words.
    pub body: Body,
    /// Since when it may have been sent already, on the wall clock, before this lease.
    pub doubt_since: Option<DateTime<Utc>>,
}

/// What became of a claimed mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailSettlement {
    /// The mail.
    pub mail: MailId,
    /// The lease it was tried under.
    pub epoch: u64,
    /// What became of it.
    pub fate: MailFate,
    /// What people should hear about it.
    pub notices: Vec<NoticeKind>,
}

/// What became of a claimed mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailFate {
    /// It was sent.
    Sent,
    /// It waits.
    Wait {
        /// Until when, on the wall clock.
        until: DateTime<Utc>,
        /// Why, as a stable code.
        reason: String,
        /// Since when it may have been sent, if so.
        doubt_since: Option<DateTime<Utc>>,
        /// Whether it was handed over at all; if not, the attempt does not count.
        tried: bool,
    },
    /// It is given up.
    Failed {
        /// Why, as a stable code.
        reason: String,
    },
}

/// A notice and the mail that tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailedNotice {
    /// The notice.
    pub notice: Notice,
    /// Its mail; none while there is none.
    pub mail: Option<QueuedMail>,
}

/// What happened in a stretch of the campaign clock.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Day {
    /// Campaigns in which an outbound call ended, the oldest first.
    pub campaigns: Vec<CampaignDay>,
    /// Campaigns that finished and still are.
    pub finished: Vec<(CampaignId, String)>,
    /// Calls that came in and ended.
    pub inbound: u64,
    /// Calls that ended and need somebody's follow-up.
    pub follow_ups: u64,
    /// Notices, by their kind's word.
    pub notices: BTreeMap<&'static str, u64>,
}

impl Day {
    /// Whether nothing happened.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// All campaigns together.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for campaign in &self.campaigns {
            for (outcome, calls) in &campaign.totals.outcomes {
                totals.add(*outcome, *calls, 0);
            }
            totals.talk_seconds += campaign.totals.talk_seconds;
        }
        totals
    }
}

/// What a campaign did in a stretch of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CampaignDay {
    /// The campaign.
    pub id: CampaignId,
    /// Its name.
    pub name: String,
    /// Outbound calls that ended.
    pub totals: Totals,
}
