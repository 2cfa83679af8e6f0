//! Bringing clients in.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::Desk;
use crate::campaign::{RunState, Settings};
use crate::client::{ClientZone, Consent, ZoneSource};
use crate::id::{CallId, CampaignId, ClientId, ImportId};
use crate::import::{
    Duplicate, DuplicatePolicy, ImportError, ImportReport, Importer, Known, Mapping, Parsed,
    Reject, RejectCode, Rejection, Roll, Row, Verdict,
};
use crate::phone::PhoneNumber;
use crate::port::{ActError, Added, BeginImport, By, Import, ImportStatus, NewClient};
use crate::rules::hours::NextAllowed;
use crate::zones::number_zones;

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

impl Desk {
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
            duplicates: DuplicatePolicy {
                guessed_external_ids: importer.guessed_external_ids(),
                ..DuplicatePolicy::default()
            },
        };
        let import = self.store.begin_import(by, new).await?;
        // The key is spent: what follows belongs to the same request.
        let by = By { idempotency: None, ..by };
        let mut report = ImportReport::default();
        let (mut rows, mut rejects) = (Vec::new(), Vec::new());
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
                Some(Parsed::Rejected(reject)) => rejects.push(reject),
                None => {}
            }
            if last || rows.len() >= ROWS_AT_ONCE || rejects.len() >= ROWS_AT_ONCE {
                self.add_rows(by, &import, settings, &rows, &mut report).await?;
                self.refuse_rows(by, &import, std::mem::take(&mut rejects), &mut report).await?;
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
        if rows.is_empty() {
            return Ok(());
        }
        let source = &import.file_name;
        let campaign = self.store.campaign(import.campaign).await?;
        let is_draft = campaign.is_some_and(|view| view.campaign.state == RunState::Draft);
        // The hours of a draft are often set after its list has come in: its calls are put to the
        // rules when it starts, under the hours it then has.
        let hours = (!is_draft).then_some(settings);
        let clients: Vec<NewClient> =
            rows.iter().map(|row| self.new_client(row, hours, source, by.now)).collect();
        let added = self.store.add_clients(by, import.id, &clients).await?;
        let mut rejects = Vec::new();
        for (row, added) in rows.iter().zip(added) {
            rejects.extend(count(report, row, added));
        }
        self.refuse_rows(by, import, rejects, report).await
    }

    /// Keeps a batch of refused rows of an import, and counts them in the report.
    ///
    /// # Errors
    ///
    /// The import is over, or the store failed.
    pub async fn refuse_rows(
        &self,
        by: By<'_>,
        import: &Import,
        rejects: Vec<Reject>,
        report: &mut ImportReport,
    ) -> Result<(), ActError> {
        if rejects.is_empty() {
            return Ok(());
        }
        self.store.add_rejects(by, import.id, &rejects).await?;
        for reject in rejects {
            report.count_rejected(reject.rejection);
        }
        Ok(())
    }

    /// Counts in a report what would become of a batch of rows, and changes nothing; those that would
    /// be refused come back. `roll` has the rows before it, and grows by some hundred bytes for each
    /// accepted row.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub async fn check_rows(
        &self,
        campaign: CampaignId,
        duplicates: DuplicatePolicy,
        rows: &[Row],
        roll: &mut Roll,
        report: &mut ImportReport,
    ) -> Result<Vec<Reject>, ActError> {
        let phones: BTreeSet<PhoneNumber> = rows.iter().map(|row| row.phone).collect();
        let external_ids = rows.iter().filter_map(|row| row.external_id.clone()).collect();
        let known = self.store.known_clients(campaign, &phones, &external_ids).await?;
        for client in known.clients {
            // One that an earlier row would change is newer there.
            if !roll.has(client.client) {
                roll.put(client);
            }
        }
        let mut refused = Vec::new();
        for row in rows {
            let external_id = row.external_id.as_deref();
            let verdict = roll.judge(duplicates, row.phone, &row.name, external_id);
            let put = |client: ClientId, line, without: bool| Known {
                client,
                line,
                phone: row.phone,
                name: row.name.clone(),
                external_id: row.external_id.clone().filter(|_| !without),
            };
            let added = match verdict {
                Verdict::New { without_external_id } => {
                    let id = ClientId::new(DateTime::UNIX_EPOCH, &*self.entropy);
                    roll.put(put(id, row.line, without_external_id));
                    Added::Accepted { on_dnc: known.on_dnc.contains(&row.phone) }
                }
                Verdict::Update { client, without_external_id } => {
                    roll.follow(put(client, row.line, without_external_id));
                    Added::Updated
                }
                Verdict::Duplicate { of_line } => Added::Duplicate { of_line: Some(of_line) },
                Verdict::Refused(code) => Added::Refused(code),
            };
            if let Some(reject) = count(report, row, added) {
                report.count_rejected(reject.rejection.clone());
                refused.push(reject);
            }
        }
        Ok(refused)
    }

    fn new_client(
        &self,
        row: &Row,
        hours: Option<&Settings>,
        source: &str,
        now: DateTime<Utc>,
    ) -> NewClient {
        let zones = zones_of(row);
        let allowed = hours.map(|it| it.hours.next_allowed(now, &it.zones_of(&zones)));
        let due_at = match allowed {
            Some(NextAllowed::At(at)) => at,
            // The first decision says why nothing is ever allowed, and retires the call with it.
            Some(NextAllowed::Never) | None => now,
        };
        self.client_due(row, zones, source, now, due_at)
    }

    fn client_due(
        &self,
        row: &Row,
        zones: Vec<ClientZone>,
        source: &str,
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
            consent: row.consent.clone().map(|consent| Consent {
                source: Some(consent.source)
                    .filter(|told| !told.is_empty())
                    .unwrap_or_else(|| source.to_owned()),
                ..consent
            }),
            says_consent: row.says_consent,
            person_key: None,
            debt_key: None,
        }
    }
}

/// Counts what became of a row; what was refused only now is still to be counted.
fn count(report: &mut ImportReport, row: &Row, added: Added) -> Option<Reject> {
    match added {
        Added::Accepted { on_dnc } => {
            report.count_accepted(row);
            if on_dnc {
                report.count_on_dnc();
            }
        }
        Added::Updated => report.count_updated(),
        Added::Duplicate { of_line } => {
            report.count_duplicate(Duplicate { line: row.line, of_line });
        }
        Added::Refused(code) => return Some(refusal(row, code)),
    }
    if !row.cleaned.is_empty() {
        report.count_cleaned(row.line, &row.cleaned);
    }
    None
}

/// A row that the store has refused.
fn refusal(row: &Row, code: RejectCode) -> Reject {
    Reject {
        rejection: Rejection {
            line: row.line,
            column: "external_id".to_owned(),
            value: row.external_id.clone().unwrap_or_default(),
            code,
            message: "a client with another number has this external id".to_owned(),
        },
        cells: row.fields.clone(),
        digits: row.phone.digits().to_string(),
    }
}

/// Every zone a row's person may be in: what the file says, and what the number says.
fn zones_of(row: &Row) -> Vec<ClientZone> {
    let file = row
        .time_zone
        .iter()
        .map(|zone| ClientZone { zone: zone.clone(), source: ZoneSource::File });
    file.chain(number_zones(row.phone)).collect()
}
