use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::people::{
    Invitation, NewPassword, NewToken, Session, Token, User, UserChange, UserView,
};
use super::{By, Cursor, Page, SavedReply};
use crate::actor::Actor;
use crate::analytics::Totals;
use crate::id::{AuditId, CallId, CampaignId, NoticeId, TokenId, UserId};
use crate::port::{ActError, StoreError};

/// Who may use the store, and what was done: users, sessions, tokens, idempotency, audit, notices,
/// and the facts a database keeps about itself.
///
/// - **A1** A sign-in link is redeemed once, and not after it ended.
/// - **A2** A session that ended, by itself or by sign-out, is gone.
/// - **A3** Audit rows are only added.
/// - **A4** Secrets are kept as SHA-256: the store can't tell what they were.
/// - **A5** `put_fact` keeps the first value: two processes that start at once agree.
/// - **A6** An invitation is accepted once, not after it ended, and not once a newer one was given
///   out. Whoever accepts has the new password and no other session.
/// - **A7** Disabling a user ends their sessions, links and tokens at once; enabling brings none
///   back. There is always an enabled admin: the last one is neither disabled nor demoted.
/// - **A8** A token lets in until it ends or is revoked. It belongs to the user who made it, by
///   themselves or with another token of theirs, and never may more than they may now.
/// - **A9** `change_version` gives another number after every change that anybody may read, whoever
///   made it, and the same while nobody changes anything; what a number is says nothing.
/// - **A10** `gauges` agrees with what the lists say.
/// - **A11** `change_password` puts a password in the place of the one it was asked for, and of no
///   other. The session it was asked from stays; every other one of the user's ends, and so do links.
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

    /// A user by id.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn user_view(&self, id: UserId) -> Result<Option<UserView>, StoreError>;

    /// Users in the order they came.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn users(&self, after: Option<Cursor>, limit: u32) -> Result<Page<UserView>, StoreError>;

    /// Creates a user who chooses a password under an invitation.
    ///
    /// # Errors
    ///
    /// The name is taken.
    async fn invite_user(
        &self,
        by: By<'_>,
        user: User,
        invitation: Invitation,
    ) -> Result<UserView, ActError>;

    /// Changes what a user may do.
    ///
    /// # Errors
    ///
    /// There is no such user, a disabled one is invited, or no enabled admin would be left.
    async fn change_user(
        &self,
        by: By<'_>,
        id: UserId,
        change: UserChange,
    ) -> Result<UserView, ActError>;

    /// Whom an invitation is for, if it could be accepted.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn invited(
        &self,
        secret: [u8; 32],
        wall: DateTime<Utc>,
    ) -> Result<Option<User>, StoreError>;

    /// Gives the invited user a password, and uses the invitation up. It is the user who does so:
    /// `by` is who [`invited`](Self::invited) named.
    ///
    /// # Errors
    ///
    /// There is no such invitation, or it ended.
    async fn accept_invitation(
        &self,
        by: By<'_>,
        secret: [u8; 32],
        password_hash: String,
        wall: DateTime<Utc>,
    ) -> Result<UserView, ActError>;

    /// Gives a user another password, which they chose: `by` is the user.
    ///
    /// # Errors
    ///
    /// There is no such user, they are disabled, or the password is another one by now.
    async fn change_password(
        &self,
        by: By<'_>,
        id: UserId,
        new: NewPassword,
    ) -> Result<UserView, ActError>;

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

    /// Makes a token.
    ///
    /// # Errors
    ///
    /// The name is taken.
    async fn add_token(&self, by: By<'_>, new: NewToken) -> Result<Token, ActError>;

    /// The token of a secret, if it lets in.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn token(
        &self,
        secret: [u8; 32],
        wall: DateTime<Utc>,
    ) -> Result<Option<Token>, StoreError>;

    /// Tokens that were not revoked, newest first.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn tokens(&self, after: Option<Cursor>, limit: u32) -> Result<Page<Token>, StoreError>;

    /// Notes that a token was used; whoever asks does so rarely.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn token_used(&self, id: TokenId, wall: DateTime<Utc>) -> Result<(), StoreError>;

    /// Ends a token for good.
    ///
    /// # Errors
    ///
    /// There is no such token.
    async fn revoke_token(&self, by: By<'_>, id: TokenId) -> Result<(), ActError>;

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
    async fn audit(&self, query: &AuditQuery) -> Result<Page<AuditRow>, StoreError>;

    /// Notices, newest first.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn notices(&self, limit: u32) -> Result<Vec<Notice>, StoreError>;

    /// A number that is another one after every change: who watches reads again when it moved. It
    /// costs next to nothing to ask. Numbers have no order, and those of two stores over one
    /// database have nothing to do with each other.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn change_version(&self) -> Result<u64, StoreError>;

    /// How much there is of what somebody watches over.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn gauges(&self, now: DateTime<Utc>) -> Result<Gauges, StoreError>;
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

/// Which audit rows are wanted. Values of one filter are alternatives; an empty filter lets all
/// pass.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditQuery {
    /// Of these actors.
    pub actors: Vec<Actor>,
    /// On these objects.
    pub objects: Vec<String>,
    /// With these actions.
    pub actions: Vec<String>,
    /// At or after this instant.
    pub from: Option<DateTime<Utc>>,
    /// Before this instant.
    pub to: Option<DateTime<Utc>>,
    /// After this place.
    pub after: Option<Cursor>,
    /// At most so many; 0 gives none.
    pub limit: u32,
}

impl AuditQuery {
    /// The newest rows of all.
    #[must_use]
    pub fn newest(limit: u32) -> Self {
        Self { limit, ..Self::default() }
    }
}

/// How much there is of what somebody watches over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Gauges {
    /// Ended outbound calls of all campaigns.
    pub totals: Totals,
    /// Calls of running campaigns that are due, counted up to [`Gauges::MOST_DUE`].
    pub due: u64,
    /// Calls begun and not ended, inbound ones included.
    pub live: u64,
    /// Live calls whose fate nobody knows, or of which nothing was heard.
    pub doubtful: u64,
    /// Imports that run.
    pub imports: u64,
    /// Mails to be sent.
    pub mails_waiting: u64,
    /// Mails that were given up.
    pub mails_failed: u64,
}

impl Gauges {
    /// How many due calls are counted: a list of a million is as late as one of a hundred thousand.
    pub const MOST_DUE: u32 = 100_000;
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
    /// Somebody who called left a message.
    MessageLeft(CallId) "message_left";
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
