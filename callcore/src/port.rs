//! The ports: what callcore asks of a store, a carrier, a webhook decoder and a way for mails.
//!
//! Every method of [`Store`] is one atomic unit; no transaction type crosses the port. The clauses
//! of each trait are numbered; those of the store's have a case each in the conformance suite
//! (feature `testing`).

mod error;
mod notifier;
mod store;
mod telephony;
mod webhook;

pub use error::{ActError, Refused, StoreError, StoreErrorKind};
pub use notifier::{Mail, MailAddress, MailAddressError, Notifier, NotifyError, NotifyErrorKind};
pub use store::{
    Access, Account, AccountView, Added, AuditEntry, AuditQuery, AuditRow, BeginDncImport,
    BeginImport, Body, By, CallOrder, CallQuery, CallSort, CallView, Calls, CampaignDay,
    CampaignProgress, CampaignView, Campaigns, ClaimRequest, ClaimedMail, ClientQuery, ClientView,
    Cursor, Day, Dispatch, Dnc, DncAdded, DncBatch, DncImport, DncQuery, Effect, Erased, ExportRow,
    Gauges, Idempotency, Import, ImportStatus, Invitation, MailFate, MailSettlement, MailState,
    MailedNotice, NewCall, NewCampaign, NewClient, NewMail, NewToken, Notice, NoticeDay,
    NoticeGroup, NoticeKind, OpenCall, Outbox, Page, Privacy, QueuedMail, Recorded, Refusals,
    Reply, Retained, SavedReply, Session, SkipThen, SortKey, StoppedAll, Store, TakeBack,
    TakenNotices, TallyRow, Token, User, UserChange, UserView, name_order,
};
pub use telephony::{Audio, Found, Placement, Telephony, TelephonyError};
pub use webhook::{WebhookDecoder, WebhookError, WebhookReply, WebhookRequest};
