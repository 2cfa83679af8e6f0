//! From an uploaded list to clients: read on a thread of its own, added batch by batch, so that
//! neither the file's size nor its rows' length shows in memory.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use callcore::actor::Actor;
use callcore::campaign::{FieldError, Settings};
use callcore::id::{CampaignId, ImportId};
use callcore::import::{
    DuplicatePolicy, ImportError, ImportFailure, ImportReport, Importer, JsonClients, Mapping,
    Parsed, Reject, Roll, Row,
};
#[cfg(feature = "xlsx")]
use callcore::import::{Sheet, may_be_workbook};
use callcore::phone::Region;
use callcore::port::{
    ActError, BeginImport, By, CampaignView, Import, ImportStatus, StoreErrorKind,
};
#[cfg(feature = "xlsx")]
use tokio::sync::Semaphore;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::act::{Act, Early};
use crate::problem::{Problem, chain};
use crate::request::internal;
use crate::state::ApiState;
use crate::upload::Upload;

/// Rows added in one transaction.
const BATCH: usize = 500;

/// Where a batch ends earlier, in bytes of its cells: rows may be a MiB long.
const BATCH_BYTES: usize = 1024 * 1024;

/// The pauses between tries to store an import's last report: they double.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LAST_PAUSE: Duration = Duration::from_secs(32);

/// What clients sent as JSON are said to come from.
const JSON_NAME: &str = "api";

/// Clients that were sent, of which nothing has come in yet.
pub(crate) struct List {
    name: String,
    columns: Vec<String>,
    duplicates: DuplicatePolicy,
    rows: Rows,
}

enum Rows {
    File(Box<Importer<File>>),
    Read(Vec<Parsed>),
}

impl List {
    /// Opens an uploaded file and reads its column names.
    pub(crate) async fn open(upload: Upload, settings: &Settings) -> Result<Self, Problem> {
        let Upload { file, name, mapping, duplicates, .. } = upload;
        let region = settings.default_region;
        let importer = importer(file, region, mapping).await?;
        Ok(Self {
            name,
            columns: importer.columns().to_vec(),
            duplicates: DuplicatePolicy {
                guessed_external_ids: importer.guessed_external_ids(),
                ..duplicates
            },
            rows: Rows::File(Box::new(importer.leaving_duplicates_to_store())),
        })
    }

    /// Clients that came as JSON.
    pub(crate) fn of_json(clients: JsonClients, duplicates: DuplicatePolicy) -> Self {
        let JsonClients { columns, parsed } = clients;
        Self { name: JSON_NAME.to_owned(), columns, duplicates, rows: Rows::Read(parsed) }
    }

    /// What the list is called.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// Reads the beginning of a list, of a workbook the whole: what is wrong with it is known before
/// the first of its clients comes in.
#[cfg(feature = "xlsx")]
async fn importer(
    mut file: File,
    region: Region,
    mapping: Mapping,
) -> Result<Importer<File>, Problem> {
    // One after the other, because each may take some hundred MiB.
    static WORKBOOKS: Semaphore = Semaphore::const_new(1);
    let is_workbook = may_be_workbook(&mut file).map_err(|error| internal(&error))?;
    let turn = if is_workbook { WORKBOOKS.acquire().await.ok() } else { None };
    let opened = spawn_blocking(move || {
        let opened = if is_workbook {
            let spool = tempfile::tempfile().map_err(|error| internal(&error))?;
            let sheet = Sheet::unpack(file, spool);
            sheet.and_then(|sheet| Importer::of_sheet(sheet, region, &mapping))
        } else {
            Importer::new(file, region, &mapping)
        };
        drop(turn);
        opened.map_err(|error| unreadable(&error))
    });
    opened.await.map_err(|error| internal(&error))?
}

/// Reads the beginning of a list.
#[cfg(not(feature = "xlsx"))]
async fn importer(file: File, region: Region, mapping: Mapping) -> Result<Importer<File>, Problem> {
    let opened = spawn_blocking(move || Importer::new(file, region, &mapping)).await;
    let opened = opened.map_err(|error| internal(&error))?;
    opened.map_err(|error| unreadable(&error))
}

impl Rows {
    /// Reads all rows on a thread of its own. Whoever takes no more batches ends it.
    fn read(self) -> (mpsc::Receiver<Batch>, JoinHandle<Result<(), ImportError>>) {
        let (sender, batches) = mpsc::channel(1);
        let reader = spawn_blocking(move || match self {
            Self::File(importer) => read(*importer, &sender),
            Self::Read(rows) => read(rows.into_iter().map(Ok), &sender),
        });
        (batches, reader)
    }
}

/// Begins an import and waits a while for its end. What is returned may still be running.
pub(crate) async fn import(
    state: &ApiState,
    act: Act,
    campaign: &CampaignView,
    list: List,
) -> Result<Import, Early> {
    let new = BeginImport {
        id: ImportId::new(act.now(), state.entropy()),
        campaign: campaign.campaign.id,
        file_name: list.name,
        columns: list.columns,
        duplicates: list.duplicates,
    };
    let begun = match state.store().begin_import(act.by(), new).await {
        Ok(begun) => begun,
        Err(error) => return Err(act.refused(error).await),
    };
    let job = Job {
        state: state.clone(),
        actor: act.by().actor.clone(),
        settings: campaign.campaign.settings.clone(),
        import: begun.clone(),
    };
    // A task of its own, so that a reader who goes away does not stop it.
    let running = tokio::spawn(job.run(list.rows));
    let patience = state.import_patience();
    if patience.is_zero() {
        return Ok(begun);
    }
    match tokio::time::timeout(patience, running).await {
        Ok(ended) => Ok(ended.map_err(|error| internal(&error))??),
        Err(_) => Ok(state.store().import(begun.id).await?.unwrap_or(begun)),
    }
}

/// What an import of the list would come to. Nothing is changed, and the report is whole however
/// long it takes: there is nothing that could be asked for later.
pub(crate) async fn check(
    state: &ApiState,
    campaign: CampaignId,
    list: List,
) -> Result<(ImportStatus, ImportReport), Problem> {
    let (mut report, mut roll) = (ImportReport::default(), Roll::default());
    let (mut batches, reader) = list.rows.read();
    let desk = state.desk();
    while let Some(Batch { rows, rejects, .. }) = batches.recv().await {
        for reject in rejects {
            report.count_rejected(reject.rejection);
        }
        desk.check_rows(campaign, list.duplicates, &rows, &mut roll, &mut report).await?;
    }
    let ended = reader.await.map_err(|error| internal(&error))?;
    report.failure = ended.err().map(|error| failure_of(&error));
    let status = if report.failure.is_some() { ImportStatus::Failed } else { ImportStatus::Done };
    Ok((status, report))
}

struct Job {
    state: ApiState,
    actor: Actor,
    settings: Arc<Settings>,
    import: Import,
}

/// Rows as they come off the file.
#[derive(Default)]
struct Batch {
    rows: Vec<Row>,
    rejects: Vec<Reject>,
    bytes: usize,
}

impl Job {
    async fn run(self, rows: Rows) -> Result<Import, Problem> {
        let (batches, reader) = rows.read();
        let mut report = ImportReport::default();
        let added = self.add_all(batches, &mut report).await;
        let failure = match (added, reader.await) {
            (Err(error), _) => Some(failure(error)),
            (Ok(()), Ok(Ok(()))) => None,
            (Ok(()), Ok(Err(error))) => Some(failure_of(&error)),
            (Ok(()), Err(error)) => Some(failure(internal(&error))),
        };
        let status = if failure.is_some() { ImportStatus::Failed } else { ImportStatus::Done };
        report.failure = failure;
        let ended = self.conclude(status, &report).await;
        self.state.wake();
        Ok(ended?)
    }

    /// Stores the last report. A store that is away for a moment must not leave the import running
    /// for ever.
    async fn conclude(
        &self,
        status: ImportStatus,
        report: &ImportReport,
    ) -> Result<Import, ActError> {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.report(status, report).await {
                Err(ActError::Store(error))
                    if error.kind() == StoreErrorKind::Unavailable && pause <= LAST_PAUSE =>
                {
                    tracing::warn!(error = %chain(&error), "an import's report waits for the store");
                }
                ended => return ended,
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    async fn add_all(
        &self,
        mut batches: mpsc::Receiver<Batch>,
        report: &mut ImportReport,
    ) -> Result<(), ActError> {
        while let Some(Batch { rows, rejects, .. }) = batches.recv().await {
            let by = By::new(&self.actor, self.state.now());
            let desk = self.state.desk();
            desk.add_rows(by, &self.import, &self.settings, &rows, report).await?;
            desk.refuse_rows(by, &self.import, rejects, report).await?;
            self.report(ImportStatus::Running, report).await?;
        }
        Ok(())
    }

    async fn report(
        &self,
        status: ImportStatus,
        report: &ImportReport,
    ) -> Result<Import, ActError> {
        let by = By::new(&self.actor, self.state.now());
        self.state.store().report_import(by, self.import.id, status, report).await
    }
}

/// Reads a list to its end, or until nobody takes its rows any more.
fn read(
    list: impl Iterator<Item = Result<Parsed, ImportError>>,
    batches: &mpsc::Sender<Batch>,
) -> Result<(), ImportError> {
    // An empty cell is a string too, and a row may have 2,000 of them.
    let size =
        |cells: &[String]| cells.iter().map(|cell| size_of::<String>() + cell.len()).sum::<usize>();
    let mut batch = Batch::default();
    for parsed in list {
        let parsed = match parsed {
            Ok(parsed) => parsed,
            Err(error) => {
                // What stands before the trouble comes in.
                let _ = batches.blocking_send(batch);
                return Err(error);
            }
        };
        match parsed {
            Parsed::Accepted(row) | Parsed::Duplicate(_, row) => {
                batch.bytes += size(&row.fields);
                batch.rows.push(row);
            }
            Parsed::Rejected(reject) => {
                batch.bytes += size(&reject.cells);
                batch.rejects.push(reject);
            }
        }
        let full = batch.rows.len() >= BATCH || batch.rejects.len() >= BATCH;
        if (full || batch.bytes >= BATCH_BYTES)
            && batches.blocking_send(std::mem::take(&mut batch)).is_err()
        {
            return Ok(());
        }
    }
    let _ = batches.blocking_send(batch);
    Ok(())
}

/// A file that can't be imported at all: nothing was begun.
fn unreadable(error: &ImportError) -> Problem {
    let code = error.code();
    let ImportError::UnknownColumn { unknown, .. } = error else {
        return Problem::of_field(code, "file", error.to_string());
    };
    let field = |(key, column): &(&str, String)| {
        let message = format!("there is no column {column:?}");
        FieldError::new(format!("mapping.{key}"), code, message)
    };
    Problem::of_fields(code, error.to_string(), unknown.iter().map(field).collect())
}

fn failure_of(error: &ImportError) -> ImportFailure {
    ImportFailure { code: error.code().to_owned(), message: error.to_string() }
}

fn failure(error: impl Into<Problem>) -> ImportFailure {
    let problem = error.into();
    ImportFailure { code: problem.code().to_owned(), message: problem.detail().to_owned() }
}
