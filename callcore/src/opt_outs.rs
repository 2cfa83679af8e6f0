//! Opt-outs that were heard while the store could not keep them: nobody is dialled meanwhile.
//!
//! A person who asked not to be called again must not hear "yes" before it is stored, and must not
//! be dialled before it is stored either. [`PendingOptOuts`] is what the webhooks and the
//! [`Driver`](crate::driver::Driver) share for that: it holds numbers back in memory, has an
//! [`OptOutJournal`] keep each opt-out beyond the process, and stores them once the store is back.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::actor::Actor;
use crate::call::{CallRef, EventKind, Report};
use crate::dnc::{DncEntry, DncScope, DncSource};
use crate::phone::PhoneNumber;
use crate::port::{ActError, By, Recorded, Store, StoreError, StoreErrorKind};

/// An opt-out that is not stored yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldOptOut {
    /// Who must not be dialled; a withheld number is none.
    pub phone: Option<PhoneNumber>,
    /// What the store has to be told.
    pub reports: Vec<Report>,
}

impl HeldOptOut {
    /// Stores it; whether it is stored. Whoever opted out is put on the list also where the store
    /// knows no such call, as one that was restored from a backup may not; only of a withheld number
    /// nothing is left to store then.
    ///
    /// # Errors
    ///
    /// The store failed. Storing it again changes nothing.
    pub async fn store(&self, store: &dyn Store, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let recorded = store.record(By::new(&Actor::System, now), &self.reports).await?;
        let heard = |(report, recorded): (&Report, &Recorded)| {
            let is_known = *recorded != Recorded::NoSuchCall;
            (report.event.kind == EventKind::OptOut).then_some((report.event.at, is_known))
        };
        let heard: Vec<_> = self.reports.iter().zip(&recorded).filter_map(heard).collect();
        if heard.iter().any(|(_, is_known)| *is_known) {
            return Ok(true);
        }
        let (Some(at), Some(phone)) = (heard.iter().map(|(at, _)| *at).min(), self.phone) else {
            return Ok(false);
        };
        let entry = DncEntry {
            phone,
            scope: DncScope::Global,
            reason: String::new(),
            source: DncSource::OptOut,
            added_by: Actor::Client,
            created_at: at,
        };
        match store.add_dnc(By::new(&Actor::Client, now), entry).await {
            Ok(_) => Ok(true),
            Err(ActError::Store(error)) => Err(error),
            // The list of the whole account refuses nobody: whatever this is, the wish still waits.
            Err(ActError::Refused(_)) => Err(StoreError::new(StoreErrorKind::Corrupt, "add_dnc")),
        }
    }
}

/// Keeps opt-outs where they outlive the process.
///
/// - **J1** When `append` has returned, the opt-out is read back after any crash.
/// - **J2** `append` and `clear` are never called at once. They may block.
pub trait OptOutJournal: fmt::Debug + Send + Sync + 'static {
    /// Adds an opt-out.
    ///
    /// # Errors
    ///
    /// It is not kept.
    fn append(&self, opt_out: &HeldOptOut) -> Result<(), JournalError>;

    /// Forgets them all: each is stored.
    ///
    /// # Errors
    ///
    /// They may still be there. Storing one again changes nothing.
    fn clear(&self) -> Result<(), JournalError>;
}

/// An opt-out could not be kept outside of the store.
#[derive(Debug, thiserror::Error)]
#[error("the journal of opt-outs could not be written")]
pub struct JournalError(#[source] pub Box<dyn Error + Send + Sync>);

/// The opt-outs that are not stored yet. Clones are the same.
#[derive(Clone, Default)]
pub struct PendingOptOuts(Arc<Inner>);

#[derive(Default)]
struct Inner {
    numbers: Numbers,
    kept: Mutex<Kept>,
    journal: Option<Arc<dyn OptOutJournal>>,
}

#[derive(Default)]
struct Kept {
    opt_outs: Vec<Entry>,
    /// Whether the journal may have lines.
    is_written: bool,
}

struct Entry {
    opt_out: HeldOptOut,
    is_journalled: bool,
    _blocked: Option<Blocked>,
}

type Numbers = Arc<Mutex<BTreeMap<PhoneNumber, u32>>>;

/// Holds a number back until it is dropped.
#[must_use = "the number is held back for as long as this lives"]
pub struct Blocked {
    numbers: Numbers,
    phone: PhoneNumber,
}

impl fmt::Debug for PendingOptOuts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingOptOuts").field("waiting", &self.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Blocked")
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        let mut numbers = locked(&self.numbers);
        if let Some(count) = numbers.get_mut(&self.phone) {
            *count -= 1;
            if *count == 0 {
                numbers.remove(&self.phone);
            }
        }
    }
}

impl PendingOptOuts {
    /// With a journal, and what it had kept when it was opened. Without a journal, as the default
    /// has it, what is not stored yet is lost with the process.
    #[must_use]
    pub fn new(journal: Arc<dyn OptOutJournal>, kept: Vec<HeldOptOut>) -> Self {
        let numbers = Numbers::default();
        let entry = |opt_out: HeldOptOut| Entry {
            _blocked: opt_out.phone.map(|phone| block(&numbers, phone)),
            opt_out,
            is_journalled: true,
        };
        let opt_outs: Vec<Entry> = kept.into_iter().map(entry).collect();
        let kept = Mutex::new(Kept { is_written: !opt_outs.is_empty(), opt_outs });
        Self(Arc::new(Inner { numbers, kept, journal: Some(journal) }))
    }

    /// Whether a number may not be dialled now.
    #[must_use]
    pub fn is_blocked(&self, phone: PhoneNumber) -> bool {
        locked(&self.0.numbers).contains_key(&phone)
    }

    /// Holds a number back for as long as the answer lives: while its opt-out is being stored.
    pub fn block(&self, phone: PhoneNumber) -> Blocked {
        block(&self.0.numbers, phone)
    }

    /// Keeps an opt-out that the store did not take: its number is held back from now on, and the
    /// journal has it when this returns. Blocks while the journal is written.
    ///
    /// # Errors
    ///
    /// The journal could not be written. The number is held back all the same, and kept again when
    /// the same opt-out is heard again.
    pub fn keep(&self, opt_out: HeldOptOut) -> Result<(), JournalError> {
        let blocked = opt_out.phone.map(|phone| self.block(phone));
        let mut kept = locked(&self.0.kept);
        // A caller who waits presses the same key every other second.
        let known = kept.opt_outs.iter().position(|entry| is_same(&entry.opt_out, &opt_out));
        let at = known.unwrap_or_else(|| {
            kept.opt_outs.push(Entry { opt_out, is_journalled: false, _blocked: blocked });
            kept.opt_outs.len() - 1
        });
        if let Some(journal) = &self.0.journal
            && !kept.opt_outs[at].is_journalled
        {
            kept.is_written = true;
            journal.append(&kept.opt_outs[at].opt_out)?;
            kept.opt_outs[at].is_journalled = true;
        }
        Ok(())
    }

    /// How many opt-outs wait to be stored.
    #[must_use]
    pub fn len(&self) -> usize {
        locked(&self.0.kept).opt_outs.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Stores what waits, as far as the store takes it; what is stored is held back no longer: it
    /// is on the do-not-call list. [`Driver::sweep`](crate::driver::Driver::sweep) does so.
    ///
    /// # Errors
    ///
    /// The store did not take all of them. Those still wait.
    pub async fn store(&self, store: &dyn Store, now: DateTime<Utc>) -> Result<(), StoreError> {
        let waiting: Vec<HeldOptOut> =
            locked(&self.0.kept).opt_outs.iter().map(|entry| entry.opt_out.clone()).collect();
        let mut failed = Ok(());
        for opt_out in waiting {
            // Each by itself: one that the store can't take must not keep the others out.
            match opt_out.store(store, now).await {
                Ok(_) => {
                    locked(&self.0.kept).opt_outs.retain(|entry| entry.opt_out != opt_out);
                }
                Err(error) if error.kind() == StoreErrorKind::Unavailable => return Err(error),
                Err(error) => failed = Err(error),
            }
        }
        self.forget_stored();
        failed
    }

    /// Clears the journal once everything in it is stored.
    fn forget_stored(&self) {
        let mut kept = locked(&self.0.kept);
        if kept.is_written
            && kept.opt_outs.is_empty()
            && let Some(journal) = &self.0.journal
        {
            // What could not be cleared is stored again after the next start: nothing changes.
            kept.is_written = journal.clear().is_err();
        }
    }
}

fn block(numbers: &Numbers, phone: PhoneNumber) -> Blocked {
    *locked(numbers).entry(phone).or_default() += 1;
    Blocked { numbers: Arc::clone(numbers), phone }
}

/// Whether two say the same: of one call, by one person.
fn is_same(one: &HeldOptOut, other: &HeldOptOut) -> bool {
    let calls = |opt_out: &HeldOptOut| -> Vec<String> {
        let named = |report: &Report| match &report.call {
            CallRef::Ours(call) => call.to_string(),
            CallRef::Inbound(ring) => ring.carrier_call_id.clone(),
        };
        opt_out.reports.iter().map(named).collect()
    };
    one.phone == other.phone && calls(one) == calls(other)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
