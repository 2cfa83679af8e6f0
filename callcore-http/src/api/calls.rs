pub(crate) mod bulk;
pub(crate) mod call_now;
pub(crate) mod export;
pub(crate) mod history;
pub(crate) mod notes;
pub(crate) mod read;
pub(crate) mod recording;
pub(crate) mod reschedule;
pub(crate) mod result;
pub(crate) mod retry;
pub(crate) mod review;
pub(crate) mod skip;
pub(crate) mod transcript;
pub(crate) mod upcoming;

use callcore::id::CallId;
use callcore::port::{ActError, AuditEntry, By, CallView};
use chrono::{DateTime, Utc};

use crate::auth::Principal;
use crate::problem::Problem;
use crate::request::Fields;
use crate::state::ApiState;

/// A call, or a 404.
pub(crate) async fn existing(state: &ApiState, id: CallId) -> Result<CallView, Problem> {
    state.store().call(id).await?.ok_or_else(Problem::not_found)
}

/// Writes down who read what was said in a call.
pub(crate) async fn audit_read(
    state: &ApiState,
    principal: &Principal,
    id: CallId,
    action: &'static str,
) -> Result<(), ActError> {
    let entry = AuditEntry { action, object: id.to_string(), old: None, new: None };
    state.store().append_audit(By::new(&principal.actor, state.now()), entry).await
}

/// An instant to come, under `due_at`.
fn due_at(fields: &mut Fields, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let due_at: DateTime<Utc> = fields.optional("due_at")?;
    if due_at < now {
        fields.refuse("due_at", "past", "is over");
    }
    Some(due_at)
}
