//! What can be done with a scheduled call, as the forms for it.

use callcore::call::SkipReason;
use callcore::id::CallId;
use callcore::port::CallView;

use super::Tried;
use crate::pages::form::Choice;
use crate::pages::frame::{Trouble, Visit};
use crate::pages::times::{self, DayTimes};
use crate::pages::words;
use crate::state::ApiState;

/// The forms for one scheduled call.
#[derive(Debug)]
pub(in crate::pages) struct Offer {
    pub(in crate::pages) id: CallId,
    /// Tells its fields from those of other forms on the page.
    pub(in crate::pages) key: String,
    pub(in crate::pages) days: Vec<DayTimes>,
    pub(in crate::pages) reasons: Vec<Choice>,
    pub(in crate::pages) note: String,
    pub(in crate::pages) next_attempt: bool,
    /// Where the forms lead back to; where nothing is said, each knows a place of its own.
    pub(in crate::pages) back: String,
}

impl Offer {
    pub(in crate::pages) async fn of(
        state: &ApiState,
        visit: &Visit,
        view: &CallView,
        tried: &Tried,
        back: String,
    ) -> Result<Self, Trouble> {
        let id = view.call.id;
        // It may be claimed by now: then no time is offered, and the next look shows why.
        let times = match state.desk().allowed_times(visit.now, &[id]).await {
            Ok(times) => times,
            Err(callcore::port::ActError::Refused(_)) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        Ok(Self {
            id,
            key: if back.is_empty() { id.to_string() } else { "next".to_owned() },
            days: times::by_day(&times, visit, view.client_zone(), &tried.due),
            reasons: reasons(tried.reason),
            note: tried.note.clone(),
            next_attempt: tried.next_attempt,
            back,
        })
    }
}

/// Why a call may be skipped, to choose from.
pub(in crate::pages) fn reasons(chosen: Option<SkipReason>) -> Vec<Choice> {
    let choice = |it: &SkipReason| Choice::new(it, words::skip_reason(*it), Some(*it) == chosen);
    SkipReason::ALL.iter().map(choice).collect()
}
