//! What people do: import, call now, skip, reschedule, re-call, put on the DNC list.
//!
//! The desk joins a store and a carrier where an act needs both, or needs a rule asked first; what
//! a store does alone, people reach through the store.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::future::join_all;

use crate::call::Skip;
use crate::campaign::Settings;
use crate::client::{ClientZone, Consent, ZoneSource};
use crate::dnc::{DncEntry, DncReport};
use crate::id::{CallId, CampaignId, ClientId, ImportId};
use crate::import::{Duplicate, ImportError, ImportReport, Importer, Mapping, Parsed, Row};
use crate::phone::PhoneNumber;
use crate::port::{
    ActError, Added, BeginImport, By, CallView, DncAdded, Erased, Import, ImportStatus, NewCall,
    NewClient, Refused, Retained, SkipThen, StoppedAll, Store, StoreError, Telephony,
};
use crate::rules::hours::{HORIZON, Layer, Layers, NextAllowed};
use crate::rules::retry::RetryStep;
use crate::time::Entropy;
use crate::zones::{Candidates, candidate_zones};

/// A person's side of callcore.
#[derive(Clone)]
pub struct Desk {
    store: Arc<dyn Store>,
    carrier: Arc<dyn Telephony>,
    entropy: Arc<dyn Entropy>,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

/// A CSV could not be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportCsvError {
    /// The file is at fault.
    #[error(transparent)]
    File(#[from] ImportError),
    /// The campaign or the store is.
    #[error(transparent)]
    Act(#[from] ActError),
}

/// How many rows go into the store in one transaction.
const ROWS_AT_ONCE: usize = 500;

/// How many clients and calls lose their words in one transaction.
const RETAINED_AT_ONCE: u32 = 200;
/// How many calls the carrier is asked to hang up at the same time.
const HANG_UPS_AT_ONCE: usize = 20;

/// What is asked to follow a skipped call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterSkip {
    /// Nothing: the client is done.
    End,
    /// The client's next attempt, later the same day or when the hours next allow it.
    NextAttempt,
}

impl Desk {
    /// A desk over a store and a carrier.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        carrier: Arc<dyn Telephony>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self { store, carrier, entropy }
    }

    /// Imports a whole CSV that is at hand. A service that takes uploads reads its rows apart from
    /// the async runtime instead, and hands them to [`add_rows`](Self::add_rows) in batches.
    ///
    /// # Errors
    ///
    /// The file is no CSV with a phone column, the campaign takes no clients, or the store failed.
    pub async fn import_csv(
        &self,
        by: By<'_>,
        campaign: CampaignId,
        settings: &Settings,
        file_name: &str,
        csv: &[u8],
    ) -> Result<ImportReport, ImportCsvError> {
        let mapping = Mapping::default();
        let importer = Importer::new(csv, settings.default_region, &mapping)?;
        // The store knows them anyway, and a set of all numbers would grow with the file.
        let mut importer = importer.leaving_duplicates_to_store();
        let new = BeginImport {
            id: ImportId::new(by.now, &*self.entropy),
            campaign,
            file_name: file_name.to_owned(),
            columns: importer.columns().to_vec(),
        };
        let import = self.store.begin_import(by, new).await?;
        // The key is spent: what follows belongs to the same request.
        let by = By { idempotency: None, ..by };
        let mut report = ImportReport::default();
        let mut rows = Vec::new();
        loop {
            let parsed = match importer.next().transpose() {
                Ok(parsed) => parsed,
                Err(error) => {
                    let failed = ImportStatus::Failed;
                    self.store.report_import(by, import.id, failed, &report).await?;
                    return Err(error.into());
                }
            };
            let last = parsed.is_none();
            match parsed {
                Some(Parsed::Accepted(row)) => rows.push(row),
                Some(Parsed::Duplicate(duplicate, _)) => report.count_duplicate(duplicate),
                Some(Parsed::Rejected(rejection, _)) => report.count_rejected(rejection),
                None => {}
            }
            if rows.len() >= ROWS_AT_ONCE || (last && !rows.is_empty()) {
                self.add_rows(by, &import, settings, &rows, &mut report).await?;
                rows.clear();
            }
            if last {
                let done = ImportStatus::Done;
                return Ok(self.store.report_import(by, import.id, done, &report).await?.report);
            }
        }
    }

    /// Adds a batch of an import's rows to its campaign, each with its first call, and counts them
    /// in the report.
    ///
    /// # Errors
    ///
    /// The campaign was stopped, or the store failed: nothing of the batch was added or counted.
    pub async fn add_rows(
        &self,
        by: By<'_>,
        import: &Import,
        settings: &Settings,
        rows: &[Row],
        report: &mut ImportReport,
    ) -> Result<(), ActError> {
        let clients: Vec<NewClient> =
            rows.iter().map(|row| self.new_client(row, settings, import, by.now)).collect();
        let added = self.store.add_clients(by, import.id, &clients).await?;
        for (row, added) in rows.iter().zip(added) {
            match added {
                Added::Accepted { on_dnc } => {
                    report.count_accepted(row);
                    if on_dnc {
                        report.count_on_dnc();
                    }
                }
                Added::Duplicate { of_line } => {
                    report.count_duplicate(Duplicate { line: row.line, of_line });
                }
            }
        }
        Ok(())
    }

    fn new_client(
        &self,
        row: &Row,
        settings: &Settings,
        import: &Import,
        now: DateTime<Utc>,
    ) -> NewClient {
        let zones = zones_of(row);
        let NextAllowed::At(due_at) = settings.hours.next_allowed(now, &settings.zones_of(&zones))
        else {
            // The first decision says why nothing is ever allowed, and retires the call with it.
            return self.client_due(row, zones, import, now, now);
        };
        self.client_due(row, zones, import, now, due_at)
    }

    fn client_due(
        &self,
        row: &Row,
        zones: Vec<ClientZone>,
        import: &Import,
        now: DateTime<Utc>,
        due_at: DateTime<Utc>,
    ) -> NewClient {
        NewClient {
            id: ClientId::new(now, &*self.entropy),
            call: CallId::in_order(
                now,
                u32::try_from(row.line).unwrap_or(u32::MAX),
                &*self.entropy,
            ),
            due_at,
            line: row.line,
            phone: row.phone,
            name: row.name.clone(),
            external_id: row.external_id.clone(),
            email: row.email.clone(),
            zones,
            fields: row.fields.clone(),
            tags: row.tags.iter().cloned().collect(),
            note: row.notes.clone(),
            consent: row.consent.as_ref().map(|basis| Consent {
                basis: basis.clone(),
                at: None,
                source: import.file_name.clone(),
                evidence: None,
            }),
            person_key: None,
            debt_key: None,
        }
    }

    /// Takes a scheduled call out of the queue, with what is to follow.
    ///
    /// # Errors
    ///
    /// There is no such call, its state does not allow it, or the next attempt was asked for and
    /// the hours never open again.
    pub async fn skip(
        &self,
        by: By<'_>,
        id: CallId,
        skip: Skip,
        after: AfterSkip,
    ) -> Result<CallView, ActError> {
        let then = match after {
            AfterSkip::End => SkipThen::End,
            AfterSkip::NextAttempt => {
                let (settings, zones) = self.hours_of(id).await?;
                let layers = [Layer { hours: &settings.hours, zones: &zones }];
                match RetryStep::LaterSameDay.earliest(by.now, Layers(&layers)) {
                    NextAllowed::At(due_at) => SkipThen::Next(self.new_call(by.now, due_at)),
                    NextAllowed::Never => {
                        return Err(Refused::OutsideHours { next_allowed: None }.into());
                    }
                }
            }
        };
        self.store.skip(by, id, skip, then).await
    }

    /// Moves a scheduled call to an instant the calling hours allow.
    ///
    /// # Errors
    ///
    /// There is no such call, its state does not allow it, or the hours don't allow the instant:
    /// then the error has the next one they allow.
    pub async fn reschedule(
        &self,
        by: By<'_>,
        id: CallId,
        due_at: DateTime<Utc>,
    ) -> Result<CallView, ActError> {
        not_too_far(by.now, due_at)?;
        let (settings, zones) = self.hours_of(id).await?;
        match settings.hours.next_allowed(due_at, &zones) {
            NextAllowed::At(at) if at == due_at => self.store.reschedule(by, id, due_at).await,
            NextAllowed::At(at) => Err(Refused::OutsideHours { next_allowed: Some(at) }.into()),
            NextAllowed::Never => Err(Refused::OutsideHours { next_allowed: None }.into()),
        }
    }

    /// Schedules a new call to an ended call's client, now or at a given instant.
    ///
    /// # Errors
    ///
    /// See [`Calls::retry`](crate::port::Calls::retry).
    pub async fn retry(
        &self,
        by: By<'_>,
        id: CallId,
        due_at: Option<DateTime<Utc>>,
    ) -> Result<CallView, ActError> {
        let due_at = due_at.unwrap_or(by.now);
        not_too_far(by.now, due_at)?;
        let new = self.new_call(by.now, due_at);
        self.store.retry(by, id, new).await
    }

    /// Puts a number on the DNC list and hangs up the calls to it that have begun. The entry holds
    /// even if the carrier can't be asked to hang up.
    ///
    /// # Errors
    ///
    /// The scope's campaign does not exist, or the store failed.
    pub async fn add_dnc(&self, by: By<'_>, entry: DncEntry) -> Result<DncAdded, ActError> {
        let added = self.store.add_dnc(by, entry).await?;
        self.hang_up_all(&added.in_flight).await;
        Ok(added)
    }

    /// Puts a batch of an import's numbers on the DNC list, hangs up the calls to them that have
    /// begun, and counts all of it in the report.
    ///
    /// # Errors
    ///
    /// The import is not running, or the store failed: nothing of the batch was added or counted.
    pub async fn add_numbers(
        &self,
        by: By<'_>,
        import: ImportId,
        numbers: &[(PhoneNumber, String)],
        report: &mut DncReport,
    ) -> Result<(), ActError> {
        let batch = self.store.add_dnc_batch(by, import, numbers).await?;
        for is_new in batch.added {
            report.count_number(is_new);
        }
        report.count_calls(batch.canceled.len(), &batch.in_flight);
        self.hang_up_all(&batch.in_flight).await;
        Ok(())
    }

    /// Erases the person behind a client everywhere, and hangs up the calls to it that have begun.
    /// The carrier deletes its recordings when [`Driver::sweep`](crate::driver::Driver::sweep) asks
    /// it to, until it confirms.
    ///
    /// # Errors
    ///
    /// There is no such client, or the store failed.
    pub async fn erase(
        &self,
        by: By<'_>,
        client: ClientId,
        reason: &str,
    ) -> Result<Erased, ActError> {
        let erased = self.store.erase(by, client, reason).await?;
        self.hang_up_all(&erased.in_flight).await;
        Ok(erased)
    }

    /// One round of keeping nothing longer than allowed: forgets what has run out on the wall
    /// clock, and, where words are kept for so long only, takes those of some hundred clients and
    /// calls that ended before `before`. Whoever it is called by goes on while there is more.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub async fn retain(
        &self,
        by: By<'_>,
        wall: DateTime<Utc>,
        before: Option<DateTime<Utc>>,
    ) -> Result<Retained, StoreError> {
        self.store.prune(by, wall).await?;
        match before {
            Some(before) => self.store.retain(by, before, RETAINED_AT_ONCE).await,
            None => Ok(Retained::default()),
        }
    }

    /// Stops all dialling, and hangs up the calls that have begun if that is asked for. The stop
    /// holds even if the carrier can't be asked to hang up.
    ///
    /// # Errors
    ///
    /// The store failed, or the idempotency key is taken.
    pub async fn stop_all(
        &self,
        by: By<'_>,
        reason: Option<String>,
        hang_up: bool,
    ) -> Result<StoppedAll, ActError> {
        let stopped = self.store.stop_all(by, reason).await?;
        if hang_up {
            self.hang_up_all(&stopped.in_flight).await;
        }
        Ok(stopped)
    }

    async fn hang_up_all(&self, calls: &[CallId]) {
        for some in calls.chunks(HANG_UPS_AT_ONCE) {
            join_all(some.iter().map(|call| self.hang_up(*call))).await;
        }
    }

    /// Best effort: what it is for holds whether or not the carrier hears of it.
    async fn hang_up(&self, call: CallId) {
        let view = self.store.call(call).await.ok().flatten();
        let carrier_call_id = view.and_then(|view| view.call.progress.carrier_call_id);
        drop(self.carrier.hang_up(call, carrier_call_id.as_deref()).await);
    }

    async fn hours_of(
        &self,
        id: CallId,
    ) -> Result<(Arc<Settings>, Vec<crate::time::Zone>), ActError> {
        let Some(facts) = self.store.facts(id).await? else {
            let view = self.store.call(id).await?.ok_or(Refused::NotFound)?;
            return Err(Refused::Call(view.call.status()).into());
        };
        let zones = facts.settings.zones_of(&facts.zones);
        Ok((facts.settings, zones))
    }

    fn new_call(&self, now: DateTime<Utc>, due_at: DateTime<Utc>) -> NewCall {
        NewCall { id: CallId::new(now, &*self.entropy), due_at }
    }
}

/// A call in the far future would keep its client from ever being done.
fn not_too_far(now: DateTime<Utc>, due_at: DateTime<Utc>) -> Result<(), Refused> {
    if due_at - now > HORIZON { Err(Refused::TooFar) } else { Ok(()) }
}

/// Every zone a row's person may be in: what the file says, and what the number says.
fn zones_of(row: &Row) -> Vec<ClientZone> {
    let (zones, source) = match candidate_zones(row.phone) {
        Candidates::Known(zones) => (zones, ZoneSource::Number),
        Candidates::CountryWide(zones) => (zones, ZoneSource::Country),
        Candidates::Unknown => (&[][..], ZoneSource::Number),
    };
    let file = row
        .time_zone
        .iter()
        .map(|zone| ClientZone { zone: zone.clone(), source: ZoneSource::File });
    file.chain(zones.iter().map(|zone| ClientZone { zone: zone.clone(), source })).collect()
}
