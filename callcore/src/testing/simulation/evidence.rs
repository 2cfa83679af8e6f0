//! What events prove, written down a second time and apart from the code that is judged.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use crate::call::{AnsweredBy, CallEvent, Ending, EventKind, Outcome};

/// How a call ended, as its events say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    pub(super) outcome: Outcome,
    pub(super) at: DateTime<Utc>,
    pub(super) permanent: bool,
    pub(super) unknown: bool,
}

/// What a set of events says about a call's end.
pub(super) fn end_of(events: &BTreeSet<CallEvent>) -> Option<End> {
    let find = |wanted: &dyn Fn(&EventKind) -> bool| events.iter().find(|it| wanted(&it.kind));
    let heaviest = events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::Ended { ending, .. } => Some((weight(ending), event.at, ending)),
            _ => None,
        })
        .min_by_key(|(weight, at, _)| (std::cmp::Reverse(*weight), *at));
    let refused = events.iter().find_map(|event| match &event.kind {
        EventKind::NotPlaced { permanent, .. } => Some((event.at, *permanent)),
        _ => None,
    });
    let exists = events.iter().any(|event| {
        !matches!(event.kind, EventKind::NotPlaced { .. } | EventKind::Unclear | EventKind::GivenUp)
    });
    let given_up = find(&|kind| matches!(kind, EventKind::GivenUp)).map(|event| event.at);
    let (at, outcome, permanent, unknown) = match (heaviest, refused, given_up) {
        (Some((_, at, ending)), _, _) => match ending {
            Ending::Completed => (at, Outcome::Answered, false, false),
            Ending::Busy => (at, Outcome::Busy, false, false),
            Ending::NoAnswer => (at, Outcome::NoAnswer, false, false),
            Ending::Failed { permanent, .. } => (at, Outcome::Failed, *permanent, false),
            Ending::Canceled => (at, Outcome::Canceled, false, false),
        },
        (None, Some((at, permanent)), _) if !exists => (at, Outcome::Failed, permanent, false),
        (None, _, Some(at)) => (at, Outcome::Failed, false, true),
        _ => return None,
    };
    let end = |outcome, permanent| End { outcome, at, permanent, unknown: false };
    let pressed = find(&|kind| matches!(kind, EventKind::Key { .. })).is_some();
    let heard = |by: AnsweredBy| find(&move |kind| *kind == EventKind::Detected { by }).is_some();
    let answered =
        outcome == Outcome::Answered || find(&|kind| *kind == EventKind::Answered).is_some();
    Some(if find(&opts_out).is_some() {
        end(Outcome::OptedOut, false)
    } else if !answered {
        End { outcome, at, permanent, unknown }
    } else if pressed || heard(AnsweredBy::Human) {
        end(Outcome::Answered, false)
    } else if heard(AnsweredBy::Machine) {
        end(Outcome::Voicemail, false)
    } else if heard(AnsweredBy::Fax) {
        end(Outcome::Failed, true)
    } else {
        end(Outcome::Answered, false)
    })
}

/// Whether an event is somebody's wish not to be called again.
pub(super) fn opts_out(kind: &EventKind) -> bool {
    matches!(kind, EventKind::OptOut | EventKind::Key { digit: '9', .. })
}

/// The first instant at which the person asked not to be called again.
pub(super) fn opted_out_at(events: &BTreeSet<CallEvent>) -> Option<DateTime<Utc>> {
    events.iter().find(|event| opts_out(&event.kind)).map(|event| event.at)
}

const fn weight(ending: &Ending) -> u8 {
    match ending {
        Ending::Canceled => 0,
        Ending::Failed { .. } => 1,
        Ending::NoAnswer => 2,
        Ending::Busy => 3,
        Ending::Completed => 4,
    }
}
