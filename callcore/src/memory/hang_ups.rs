//! Live calls that are to be hung up, until they are over.

use chrono::{DateTime, Utc};

use super::State;
use crate::engine::{HANG_UP_FIRST_WAIT, HANG_UP_LONGEST_WAIT};
use crate::id::CallId;

/// A call that is to be hung up.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct HangUp {
    waits: u32,
    /// When the carrier is asked next, on the wall clock; none before anybody looked.
    due_at: Option<DateTime<Utc>>,
}

impl State {
    /// Notes that live calls are to be hung up.
    pub(super) fn ask_to_hang_up(&mut self, calls: &[CallId]) {
        for call in calls {
            self.hang_ups.entry(*call).or_default();
        }
    }

    /// The carrier's id for a call came: if it is to be hung up, that can be asked for now.
    pub(super) fn hang_up_now(&mut self, call: CallId) {
        if let Some(wanted) = self.hang_ups.get_mut(&call) {
            wanted.due_at = Some(DateTime::UNIX_EPOCH);
        }
    }

    /// The calls the carrier is to be asked about now.
    pub(super) fn hang_ups_due(&mut self, wall: DateTime<Utc>, limit: u32) -> Vec<CallId> {
        let mut due = Vec::new();
        for (call, wanted) in &mut self.hang_ups {
            match wanted.due_at {
                Some(at) if wall < at || due.len() >= limit as usize => continue,
                Some(_) => due.push(*call),
                None => {}
            }
            let wait =
                HANG_UP_FIRST_WAIT * i32::try_from(1_u32 << wanted.waits.min(8)).unwrap_or(256);
            wanted.waits += 1;
            wanted.due_at = Some(wall + wait.min(HANG_UP_LONGEST_WAIT));
        }
        due
    }
}
