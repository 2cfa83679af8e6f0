//! The ports: what callcore asks of a store, a carrier and a webhook decoder.
//!
//! Every method of [`Store`] is one atomic unit; no transaction type crosses the port. The clauses
//! of each trait are numbered; those of the store's have a case each in the conformance suite
//! (feature `testing`).

mod error;
mod store;
mod telephony;
mod webhook;

pub use error::{ActError, Refused, StoreError, StoreErrorKind};
pub use store::{
    Access, Account, AccountView, Added, AuditEntry, AuditQuery, AuditRow, BeginDncImport,
    BeginImport, By, CallOrder, CallQuery, CallSort, CallView, Calls, CampaignProgress,
    CampaignView, Campaigns, ClaimRequest, ClientQuery, ClientView, Cursor, Dispatch, Dnc,
    DncAdded, DncBatch, DncImport, DncQuery, Effect, Erased, ExportRow, Gauges, Idempotency,
    Import, ImportStatus, Invitation, NewCall, NewCampaign, NewClient, NewToken, Notice,
    NoticeKind, OpenCall, Page, Privacy, Recorded, Refusals, Reply, Retained, SavedReply, Session,
    SkipThen, SortKey, Store, TakeBack, TallyRow, Token, User, UserChange, UserView, name_order,
};
pub use telephony::{Audio, Found, Placement, Telephony, TelephonyError};
pub use webhook::{WebhookDecoder, WebhookError, WebhookReply, WebhookRequest};
