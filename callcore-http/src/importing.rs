//! From an uploaded list to clients: read on a thread of its own, added batch by batch, so that
//! neither the file's size nor its rows' length shows in memory.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use callcore::actor::Actor;
use callcore::campaign::Settings;
use callcore::id::ImportId;
use callcore::import::{
    ImportError, ImportFailure, ImportReport, Importer, Parsed, Rejection, Row,
};
use callcore::port::{
    ActError, BeginImport, By, CampaignView, Import, ImportStatus, StoreErrorKind,
};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

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

/// Begins an import and waits a while for its end. What is returned may still be running.
pub(crate) async fn import(
    state: &ApiState,
    act: Act,
    campaign: &CampaignView,
    upload: Upload,
) -> Result<Import, Early> {
    let settings = campaign.campaign.settings.clone();
    let Upload { file, name, mapping, .. } = upload;
    let region = settings.default_region;
    let opened = spawn_blocking(move || Importer::new(file, region, &mapping)).await;
    let importer = opened.map_err(|error| internal(&error))?.map_err(|error| unreadable(&error))?;
    let new = BeginImport {
        id: ImportId::new(act.now(), state.entropy()),
        campaign: campaign.campaign.id,
        file_name: name,
        columns: importer.columns().to_vec(),
    };
    let begun = match state.store().begin_import(act.by(), new).await {
        Ok(begun) => begun,
        Err(error) => return Err(act.refused(error).await),
    };
    let job = Job {
        state: state.clone(),
        actor: act.by().actor.clone(),
        settings,
        import: begun.clone(),
    };
    // A task of its own, so that a reader who goes away does not stop it.
    let running = tokio::spawn(job.run(importer.leaving_duplicates_to_store()));
    let patience = state.import_patience();
    if patience.is_zero() {
        return Ok(begun);
    }
    match tokio::time::timeout(patience, running).await {
        Ok(ended) => Ok(ended.map_err(|error| internal(&error))??),
        Err(_) => Ok(state.store().import(begun.id).await?.unwrap_or(begun)),
    }
}

struct Job {
    state: ApiState,
    actor: Actor,
    settings: Arc<Settings>,
    import: Import,
}

/// Rows as they come off the file; what is wrong with a row is kept without its cells.
#[derive(Default)]
struct Batch {
    rows: Vec<Row>,
    rejections: Vec<Rejection>,
    bytes: usize,
}

impl Job {
    async fn run(self, importer: Importer<File>) -> Result<Import, Problem> {
        let (sender, batches) = mpsc::channel(1);
        let reader = spawn_blocking(move || read(importer, &sender));
        let mut report = ImportReport::default();
        let added = self.add_all(batches, &mut report).await;
        let failure = match (added, reader.await) {
            (Err(error), _) => Some(failure(error)),
            (Ok(()), Ok(Ok(()))) => None,
            (Ok(()), Ok(Err(error))) => {
                Some(ImportFailure { code: error.code().to_owned(), message: error.to_string() })
            }
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
        while let Some(Batch { rows, rejections, .. }) = batches.recv().await {
            for rejection in rejections {
                report.count_rejected(rejection);
            }
            let by = By::new(&self.actor, self.state.now());
            self.state.desk().add_rows(by, &self.import, &self.settings, &rows, report).await?;
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

/// Reads the file to its end, or until nobody takes its rows any more.
fn read(importer: Importer<File>, batches: &mpsc::Sender<Batch>) -> Result<(), ImportError> {
    let mut batch = Batch::default();
    for parsed in importer {
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
                // An empty cell is a string too, and a row may have 2,000 of them.
                let cell = |cell: &String| size_of::<String>() + cell.len();
                batch.bytes += row.fields.iter().map(cell).sum::<usize>();
                batch.rows.push(row);
            }
            Parsed::Rejected(rejection, _) => batch.rejections.push(rejection),
        }
        let full = batch.rows.len() >= BATCH || batch.rejections.len() >= BATCH;
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
    let field = match error {
        ImportError::UnknownColumn { .. } => "mapping",
        _ => "file",
    };
    Problem::of_field(error.code(), field, error.to_string())
}

fn failure(error: impl Into<Problem>) -> ImportFailure {
    let problem = error.into();
    ImportFailure { code: problem.code().to_owned(), message: problem.detail().to_owned() }
}
