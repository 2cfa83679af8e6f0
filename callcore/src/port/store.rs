//! Where everything is kept.
//!
//! [`Store`] is many traits, one for each side it is seen from; an implementation provides all.

mod access;
mod account;
mod calls;
mod campaigns;
mod clients;
mod cursor;
mod dispatch;
mod dnc;
mod imports;
mod media;
mod numbers;
mod outbox;
mod people;
mod privacy;

use std::fmt;
use std::sync::Arc;

pub use access::{Access, AuditEntry, AuditQuery, AuditRow, Gauges, Notice, NoticeDay, NoticeKind};
pub use account::{Account, AccountView, StoppedAll};
pub use calls::{
    Acted, CallAct, CallOrder, CallQuery, CallSort, CallView, Calls, NewCall, NewTestCall,
    SkipThen, name_order,
};
pub use campaigns::{
    Added, BeginImport, CampaignProgress, CampaignView, Campaigns, ClientQuery, ClientView,
    ExportRow, Import, ImportStatus, NewCampaign, NewClient, TallyRow,
};
use chrono::{DateTime, Utc};
pub use clients::{ClientChange, ClientDetail, Clients};
pub use cursor::{Cursor, SortKey};
pub use dispatch::{ClaimRequest, Dispatch, OpenCall, Recorded, Refusals, TakeBack};
pub use dnc::{BeginDncImport, Dnc, DncAdded, DncBatch, DncImport, DncQuery};
pub use imports::{Imports, KnownClients, Undone};
pub use media::{Media, NewAudio};
pub use numbers::{Attention, Numbers, Rejects, Tagged, Waiting};
pub use outbox::{
    Body, CampaignDay, ClaimedMail, Day, MailFate, MailSettlement, MailState, MailedNotice,
    NewMail, NoticeGroup, Outbox, QueuedMail, TakenNotices,
};
pub use people::{Invitation, NewPassword, NewToken, Session, Token, User, UserChange, UserView};
pub use privacy::{Erased, Privacy, Retained};

use crate::actor::Actor;
use crate::audio::Audio;

/// Everything callcore keeps.
///
/// One store is one tenant with one carrier account: there is no tenant to forget in a query.
pub trait Store:
    Dispatch
    + Campaigns
    + Imports
    + Clients
    + Calls
    + Dnc
    + Privacy
    + Access
    + Account
    + Media
    + Numbers
    + Outbox
{
}

impl<T> Store for T where
    T: Dispatch
        + Campaigns
        + Imports
        + Clients
        + Calls
        + Dnc
        + Privacy
        + Access
        + Account
        + Media
        + Numbers
        + Outbox
{
}

/// Who changes something, when, and under which idempotency key.
///
/// Clauses for every mutating method: **B1** it writes its audit row in its own transaction when
/// the actor is a person or a token. **B2** With an idempotency record, it stores the record with
/// the reply in the same transaction, and does nothing at all (`Refused::InProgress`) if a record
/// under that scope and key exists already.
#[derive(Debug, Clone, Copy)]
pub struct By<'a> {
    /// Who.
    pub actor: &'a Actor,
    /// When, on the campaign clock.
    pub now: DateTime<Utc>,
    /// The request's idempotency record, if it has one.
    pub idempotency: Option<&'a Idempotency>,
}

impl<'a> By<'a> {
    /// Somebody, at an instant, without an idempotency key.
    #[must_use]
    pub const fn new(actor: &'a Actor, now: DateTime<Utc>) -> Self {
        Self { actor, now, idempotency: None }
    }
}

/// A request's idempotency record.
#[derive(Clone)]
pub struct Idempotency {
    /// Principal, method and path, as one text.
    pub scope: String,
    /// The key the client chose.
    pub key: String,
    /// SHA-256 of the request's body.
    pub body_hash: [u8; 32],
    /// When it was made, on the wall clock; records are kept 24 hours.
    pub wall: DateTime<Utc>,
    /// Makes the answer from what was done, so that effect and answer are stored as one.
    pub reply: Reply,
}

/// Makes an answer from an effect.
pub type Reply = Arc<dyn Fn(&Effect) -> SavedReply + Send + Sync>;

impl fmt::Debug for Idempotency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idempotency").field("scope", &self.scope).finish_non_exhaustive()
    }
}

/// What a mutation did.
#[derive(Debug, Clone)]
pub enum Effect {
    /// A campaign was created or changed.
    Campaign(Box<CampaignView>),
    /// A call was created or changed.
    Call(Box<CallView>),
    /// A voice agent's result was recorded with its call.
    Result(Box<CallView>),
    /// An audio was uploaded.
    Audio(Box<Audio>),
    /// An audio was removed.
    AudioRemoved,
    /// The account was changed, stopped or resumed.
    Account(Box<AccountView>),
    /// Many calls were to be changed.
    Calls(Vec<Acted>),
    /// A client was changed.
    Client(Box<ClientDetail>),
    /// All dialling was stopped.
    Stopped(Box<StoppedAll>),
    /// These campaigns were paused.
    Paused(Vec<CampaignView>),
    /// An import began.
    Import(Box<Import>),
    /// An import was taken back.
    Undone(Box<Undone>),
    /// A campaign was deleted.
    CampaignDeleted,
    /// A DNC entry was added.
    DncAdded(DncAdded),
    /// DNC entries were removed.
    DncRemoved,
    /// A list of numbers not to call began to come in.
    DncImport(Box<DncImport>),
    /// A person was erased.
    Erased(Erased),
    /// A mail was queued.
    Mail(Box<QueuedMail>),
    /// A user was invited or changed.
    User(Box<UserView>),
    /// A token was made.
    Token(Box<Token>),
    /// Something was read, and the audit log says so.
    Read,
}

/// An answer as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedReply {
    /// The HTTP status.
    pub status: u16,
    /// The JSON body.
    pub body: String,
}

/// Part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Where the next part begins; none at the end.
    pub next: Option<Cursor>,
}
