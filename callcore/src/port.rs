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
    Access, Account, AccountView, Acted, Added, Attention, AuditEntry, AuditQuery, AuditRow,
    BeginDncImport, BeginImport, Body, By, CallAct, CallOrder, CallQuery, CallSort, CallView,
    Calls, CampaignDay, CampaignProgress, CampaignView, Campaigns, ClaimRequest, ClaimedMail,
    ClientChange, ClientDetail, ClientQuery, ClientView, Clients, Cursor, Day, Dispatch, Dnc,
    DncAdded, DncBatch, DncImport, DncQuery, Effect, Erased, ExportRow, Gauges, Idempotency,
    Import, ImportStatus, Imports, Invitation, KnownClients, MailFate, MailSettlement, MailState,
    MailedNotice, Media, NewAudio, NewCall, NewCampaign, NewClient, NewMail, NewPassword,
    NewTestCall, NewToken, Notice, NoticeDay, NoticeGroup, NoticeKind, Numbers, OpenCall, Outbox,
    Page, Privacy, QueuedMail, Recorded, Refusals, Rejects, Reply, Retained, SavedReply, Session,
    SkipThen, SortKey, StoppedAll, Store, Tagged, TakeBack, TakenNotices, TallyRow, Token, Undone,
    User, UserChange, UserView, Waiting, name_order,
};
pub use telephony::{Audio, Fault, Found, Placement, Telephony, TelephonyError};
pub use webhook::{
    Hold, WebhookAnswer, WebhookBody, WebhookDecoder, WebhookError, WebhookReply, WebhookRequest,
};
