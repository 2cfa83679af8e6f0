//! From an uploaded list to DNC entries: read once to judge it as a whole, and again to put it on
//! the list, batch by batch. Neither the file's size nor its rows' length shows in memory.

use std::fs::File;
use std::io::Seek;
use std::time::Duration;

use callcore::actor::Actor;
use callcore::dnc::{DncReport, DncScope};
use callcore::id::ImportId;
use callcore::import::{ImportError, ImportFailure, ListedNumber, Mapping, NumberList, Rejection};
use callcore::phone::{PhoneNumber, Region};
use callcore::port::{ActError, BeginDncImport, By, DncImport, ImportStatus, StoreErrorKind};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use crate::act::{Act, Early};
use crate::distinct::Distinct;
use crate::problem::{Problem, chain};
use crate::request::internal;
use crate::state::ApiState;

/// Numbers put on the list in one transaction.
const BATCH: usize = 1_000;

/// The pauses between tries to store an import's last report: they double.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LAST_PAUSE: Duration = Duration::from_secs(32);

/// An uploaded list and what is to be done with it.
#[derive(Debug)]
pub(crate) struct List {
    pub(crate) file: File,
    pub(crate) name: String,
    pub(crate) mapping: Mapping,
    pub(crate) region: Region,
    pub(crate) scope: DncScope,
    pub(crate) reason: String,
    /// The file is refused if more of its rows are, in percent.
    pub(crate) max_rejected_percent: u8,
}

/// Rows as they come off the file.
#[derive(Default)]
struct Batch {
    numbers: Vec<(PhoneNumber, String)>,
    rejections: Vec<Rejection>,
}

impl List {
    /// Reads the whole list from its start, into batches, until nobody takes them any more.
    fn read(&self, mut take: impl FnMut(Batch) -> bool) -> Result<(), ImportError> {
        let mut file = &self.file;
        file.rewind().map_err(ImportError::Unreadable)?;
        let mut batch = Batch::default();
        for row in NumberList::new(file, self.region, &self.mapping)? {
            match row? {
                Ok(ListedNumber { phone, reason, .. }) => {
                    let reason = reason.unwrap_or_else(|| self.reason.clone());
                    batch.numbers.push((phone, reason));
                }
                Err(rejection) => batch.rejections.push(rejection),
            }
            let full = batch.numbers.len() >= BATCH || batch.rejections.len() >= BATCH;
            if full && !take(std::mem::take(&mut batch)) {
                return Ok(());
            }
        }
        take(batch);
        Ok(())
    }

    /// What is in the list, before anything is done with it.
    fn survey(&self) -> Result<DncReport, ImportError> {
        let mut report = DncReport::default();
        self.read(|batch| {
            for _ in &batch.numbers {
                report.count_number(true);
            }
            batch.rejections.into_iter().for_each(|rejection| report.count_rejected(rejection));
            true
        })?;
        Ok(report)
    }

    fn too_many(&self, report: &DncReport) -> Option<ImportFailure> {
        report.rejects_more_than(self.max_rejected_percent).then(|| ImportFailure {
            code: "too_many_rejected".to_owned(),
            message: format!(
                "{} of {} rows were refused, more than {} percent: nothing was added",
                report.rejected, report.rows_read, self.max_rejected_percent
            ),
        })
    }
}

/// What a list would do: nothing is changed.
pub(crate) async fn dry_run(state: &ApiState, list: List) -> Result<DncReport, Problem> {
    let scope = list.scope;
    let (sender, mut batches) = mpsc::channel(1);
    let reader = spawn_blocking(move || list.read(|batch| sender.blocking_send(batch).is_ok()));
    let (mut report, mut new) = (DncReport::default(), Distinct::new());
    let mut all: u64 = 0;
    while let Some(Batch { numbers, rejections }) = batches.recv().await {
        rejections.into_iter().for_each(|rejection| report.count_rejected(rejection));
        let numbers: Vec<PhoneNumber> = numbers.into_iter().map(|(phone, _)| phone).collect();
        let listed = state.store().listed(scope, &numbers).await?;
        all += numbers.len() as u64;
        let unlisted = numbers.iter().zip(listed).filter(|(_, listed)| !listed);
        let unlisted = unlisted.map(|(phone, _)| phone.digits());
        new.extend(unlisted).await.map_err(|error| internal(&error))?;
    }
    let read = reader.await.map_err(|error| internal(&error))?;
    read.map_err(|error| unreadable(&error))?;
    let new = new.count().await.map_err(|error| internal(&error))?;
    report.rows_read += all;
    report.accepted += new;
    report.duplicates += all - new;
    Ok(report)
}

/// Begins to put a list on the list and waits a while for its end. What is returned may still be
/// running.
pub(crate) async fn import(state: &ApiState, act: Act, list: List) -> Result<DncImport, Early> {
    let opened = spawn_blocking(move || {
        let mut file = &list.file;
        file.rewind().map_err(ImportError::Unreadable)?;
        NumberList::new(file, list.region, &list.mapping)?;
        Ok(list)
    });
    let list = opened.await.map_err(|error| internal(&error))?;
    let list: List = list.map_err(|error: ImportError| unreadable(&error))?;
    let new = BeginDncImport {
        id: ImportId::new(act.now(), state.entropy()),
        scope: list.scope,
        file_name: list.name.clone(),
    };
    let begun = match state.store().begin_dnc_import(act.by(), new).await {
        Ok(begun) => begun,
        Err(error) => return Err(act.refused(error).await),
    };
    let job = Job { state: state.clone(), actor: act.by().actor.clone(), import: begun.id };
    // A task of its own, so that a reader who goes away does not stop it.
    let running = tokio::spawn(job.run(list));
    let patience = state.import_patience();
    if patience.is_zero() {
        return Ok(begun);
    }
    match tokio::time::timeout(patience, running).await {
        Ok(ended) => Ok(ended.map_err(|error| internal(&error))??),
        Err(_) => Ok(state.store().dnc_import(begun.id).await?.unwrap_or(begun)),
    }
}

struct Job {
    state: ApiState,
    actor: Actor,
    import: ImportId,
}

impl Job {
    async fn run(self, list: List) -> Result<DncImport, ActError> {
        let mut report = DncReport::default();
        let failure = self.put(list, &mut report).await;
        let status = if failure.is_some() { ImportStatus::Failed } else { ImportStatus::Done };
        report.failure = failure;
        let ended = self.conclude(status, &report).await;
        self.state.wake();
        ended
    }

    /// Puts the list on the list; why it ended before its end.
    async fn put(&self, list: List, report: &mut DncReport) -> Option<ImportFailure> {
        let surveyed = spawn_blocking(move || (list.survey(), list)).await;
        let (surveyed, list) = match surveyed {
            Ok(surveyed) => surveyed,
            Err(error) => return Some(failure(internal(&error))),
        };
        match surveyed {
            Ok(survey) => {
                if let Some(failure) = list.too_many(&survey) {
                    *report = DncReport { accepted: 0, ..survey };
                    return Some(failure);
                }
            }
            Err(error) => return Some(of_file(&error)),
        }
        let (sender, batches) = mpsc::channel(1);
        let reader = spawn_blocking(move || list.read(|batch| sender.blocking_send(batch).is_ok()));
        let added = self.add_all(batches, report).await;
        match (added, reader.await) {
            (Err(error), _) => Some(failure(error)),
            (Ok(()), Ok(Ok(()))) => None,
            (Ok(()), Ok(Err(error))) => Some(of_file(&error)),
            (Ok(()), Err(error)) => Some(failure(internal(&error))),
        }
    }

    async fn add_all(
        &self,
        mut batches: mpsc::Receiver<Batch>,
        report: &mut DncReport,
    ) -> Result<(), ActError> {
        while let Some(Batch { numbers, rejections }) = batches.recv().await {
            rejections.into_iter().for_each(|rejection| report.count_rejected(rejection));
            let by = By::new(&self.actor, self.state.now());
            self.state.desk().add_numbers(by, self.import, &numbers, report).await?;
            self.report(ImportStatus::Running, report).await?;
        }
        Ok(())
    }

    /// Stores the last report. A store that is away for a moment must not leave the import running
    /// for ever.
    async fn conclude(
        &self,
        status: ImportStatus,
        report: &DncReport,
    ) -> Result<DncImport, ActError> {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.report(status, report).await {
                Err(ActError::Store(error))
                    if error.kind() == StoreErrorKind::Unavailable && pause <= LAST_PAUSE =>
                {
                    tracing::warn!(error = %chain(&error), "a list's report waits for the store");
                }
                ended => return ended,
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    async fn report(
        &self,
        status: ImportStatus,
        report: &DncReport,
    ) -> Result<DncImport, ActError> {
        let by = By::new(&self.actor, self.state.now());
        self.state.store().report_dnc_import(by, self.import, status, report).await
    }
}

/// A file that is no list at all: nothing was begun.
fn unreadable(error: &ImportError) -> Problem {
    let field = match error {
        ImportError::UnknownColumn { .. } => "mapping",
        _ => "file",
    };
    Problem::of_field(error.code(), field, error.to_string())
}

fn of_file(error: &ImportError) -> ImportFailure {
    ImportFailure { code: error.code().to_owned(), message: error.to_string() }
}

fn failure(error: impl Into<Problem>) -> ImportFailure {
    let problem = error.into();
    ImportFailure { code: problem.code().to_owned(), message: problem.detail().to_owned() }
}
