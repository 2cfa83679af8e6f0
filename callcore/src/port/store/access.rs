use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::{By, Cursor, Page, SavedReply};
use crate::actor::{Actor, Role};
use crate::id::{AuditId, CallId, CampaignId, NoticeId, UserId};
use crate::port::{ActError, StoreError};

/// Who may use the store, and what was done: users, sessions, idempotency, audit, notices, and the
/// facts a database keeps about itself.
///
/// - **A1** A sign-in link is redeemed once, and not after it ended.
/// - **A2** A session that ended, by itself or by sign-out, is gone.
/// - **A3** Audit rows are only added.
/// - **A4** Secrets are kept as SHA-256: the store can't tell what they were.
/// - **A5** `put_fact` keeps the first value: two processes that start at once agree.
#[async_trait]
pub trait Access: fmt::Debug + Send + Sync + 'static {
    /// A fact the database keeps about itself, such as the kind of carrier it belongs to.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn fact(&self, name: &str) -> Result<Option<String>, StoreError>;

    /// Sets a fact unless it is set, and returns the one that holds.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn put_fact(&self, name: &str, value: &str) -> Result<String, StoreError>;

    /// Creates a user, or gives the one of that name a new role and password.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn save_user(&self, by: By<'_>, user: User) -> Result<User, ActError>;

    /// A user by name.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn user(&self, name: &str) -> Result<Option<User>, StoreError>;

    /// Stores a sign-in link; `expires` is on the wall clock.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn add_link(
        &self,
        secret: [u8; 32],
        user: UserId,
        expires: DateTime<Utc>,
    ) -> Result<(), StoreError>;

    /// Redeems a sign-in link.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn redeem_link(
        &self,
        secret: [u8; 32],
        wall: DateTime<Utc>,
    ) -> Result<Option<User>, StoreError>;

    /// Whether a sign-in link could be redeemed: opening it must not use it up.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn link_is_good(&self, secret: [u8; 32], wall: DateTime<Utc>)
    -> Result<bool, StoreError>;

    /// Stores a session; `expires` is on the wall clock.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn add_session(
        &self,
        secret: [u8; 32],
        user: UserId,
        expires: DateTime<Utc>,
    ) -> Result<(), StoreError>;

    /// The session of a secret.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn session(
        &self,
        secret: [u8; 32],
        wall: DateTime<Utc>,
    ) -> Result<Option<Session>, StoreError>;

    /// Ends a session.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn end_session(&self, secret: [u8; 32]) -> Result<(), StoreError>;

    /// The answer given under an idempotency key, with the hash of the body it answered, if it was
    /// given less than 24 hours before `wall`.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn saved_reply(
        &self,
        scope: &str,
        key: &str,
        wall: DateTime<Utc>,
    ) -> Result<Option<([u8; 32], SavedReply)>, StoreError>;

    /// Writes an audit row of its own: reads of transcripts, recordings and exports have one.
    ///
    /// # Errors
    ///
    /// The store failed, or the idempotency key is taken.
    async fn append_audit(&self, by: By<'_>, entry: AuditEntry) -> Result<(), ActError>;

    /// Audit rows, newest first.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn audit(&self, after: Option<Cursor>, limit: u32) -> Result<Page<AuditRow>, StoreError>;

    /// Notices, newest first.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn notices(&self, limit: u32) -> Result<Vec<Notice>, StoreError>;
}

/// Somebody who may sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The id.
    pub id: UserId,
    /// The name, unique.
    pub name: String,
    /// What the user may do.
    pub role: Role,
    /// The password's hash in PHC form; none for a user who only signs in by link.
    pub password_hash: Option<String>,
}

/// A signed-in user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Who.
    pub user: User,
    /// Until when, on the wall clock.
    pub expires: DateTime<Utc>,
}

/// What was done, for the audit log.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    /// What, as `object.verb`: `campaign.start`.
    pub action: &'static str,
    /// On which object.
    pub object: String,
    /// What it was.
    pub old: Option<Value>,
    /// What it became.
    pub new: Option<Value>,
}

/// A row of the audit log.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditRow {
    /// Its id.
    pub id: AuditId,
    /// Who.
    pub actor: Actor,
    /// When, on the campaign clock.
    pub at: DateTime<Utc>,
    /// What.
    pub action: String,
    /// On which object.
    pub object: String,
    /// What it was.
    pub old: Option<Value>,
    /// What it became.
    pub new: Option<Value>,
}

/// Something people should hear about. It is written by the transaction that caused it, so that a
/// crash loses none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Its id.
    pub id: NoticeId,
    /// When, on the campaign clock.
    pub at: DateTime<Utc>,
    /// What.
    pub kind: NoticeKind,
}

/// Makes the kinds of notices, with the word stores, JSON and pages use for each, from one list.
macro_rules! notice_kinds {
    ($($(#[$doc:meta])* $variant:ident($object:ty) $word:literal;)*) => {
        /// What people should hear about.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum NoticeKind {
            $($(#[$doc])* $variant($object),)*
        }

        impl NoticeKind {
            /// Every kind's word.
            pub const WORDS: &[&'static str] = &[$($word),*];

            /// The word stores, JSON and pages use.
            #[must_use]
            pub const fn word(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $word,)*
                }
            }

            /// What it is about, as a store keeps it: there is one notice of a kind about an object.
            #[must_use]
            pub const fn object(&self) -> Uuid {
                match self {
                    $(Self::$variant(object) => object.uuid(),)*
                }
            }

            /// The kind a store read back.
            #[must_use]
            pub fn parse(word: &str, object: Uuid) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant(<$object>::from_uuid(object))),)*
                    _ => None,
                }
            }
        }
    };
}

notice_kinds! {
    /// A campaign finished.
    CampaignFinished(CampaignId) "campaign_finished";
    /// Somebody called.
    InboundCall(CallId) "inbound_call";
    /// A dial's fate stayed unknown for so long that it counts as failed.
    CallGivenUp(CallId) "call_given_up";
    /// A campaign paused itself because its dials failed; told anew each time.
    BreakerTripped(CampaignId) "breaker_tripped";
    /// The money of the account's local day is used up, and calls wait for the next one.
    SpendReached(NoticeDay) "spend_reached";
    /// Mails of a day did not go out.
    MailFailing(NoticeDay) "mail_failing";
    /// Most of the mails of the month that began on a day are used up.
    MailRunsShort(NoticeDay) "mail_runs_short";
}

impl NoticeKind {
    /// Whether a mail tells of it: that mails fail is not told by one.
    #[must_use]
    pub fn is_mailed(word: &str) -> bool {
        word != "mail_failing"
    }
}

/// A date that a notice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NoticeDay(pub NaiveDate);

impl NoticeDay {
    /// The date as a store keeps it, in the place of an id.
    #[must_use]
    pub const fn uuid(self) -> Uuid {
        Uuid::from_u128(self.0.to_epoch_days().cast_unsigned() as u128)
    }

    /// The date a store read back.
    #[must_use]
    pub fn from_uuid(uuid: Uuid) -> Self {
        let days = u32::try_from(uuid.as_u128()).unwrap_or_default().cast_signed();
        Self(NaiveDate::from_epoch_days(days).unwrap_or_default())
    }
}
