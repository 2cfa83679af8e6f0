//! From an uploaded list to clients: read on a thread of its own, added batch by batch, so that
//! neither the file's size nor its rows' length shows in memory.

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
use crate::upload::{Reader, Upload};

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
    File(Box<Importer<Reader>>),
    Read(Vec<Parsed>),
}

impl List {
    /// Opens an uploaded file and reads its column names.
    pub(crate) async fn open(upload: Upload, settings: &Settings) -> Result<Self, Problem> {
        let Upload { file, name, mapping, duplicates, .. } = upload;
        Self::of_file(Reader::new(file), name, mapping, duplicates, settings).await
    }

    /// The same of a file that was kept.
    pub(crate) async fn of_file(
        file: Reader,
        name: String,
        mapping: Mapping,
        duplicates: DuplicatePolicy,
        settings: &Settings,
    ) -> Result<Self, Problem> {
        let region = settings.default_region;
        let importer = reading(file, move |file| importer(file, region, &mapping)).await?;
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

    /// The names of its columns.
    #[cfg(feature = "pages")]
    pub(crate) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// What the list is called.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// The one workbook that is unpacked at a time, because each may take some hundred MiB.
#[cfg(feature = "xlsx")]
static WORKBOOKS: Semaphore = Semaphore::const_new(1);

/// Does something with a list on a thread where it may wait.
async fn reading<T: Send + 'static>(
    #[cfg_attr(not(feature = "xlsx"), expect(unused_mut, reason = "only a workbook is tried"))]
    mut file: Reader,
    read: impl FnOnce(Reader) -> Result<T, ImportError> + Send + 'static,
) -> Result<T, Problem> {
    #[cfg(feature = "xlsx")]
    let turn = {
        let is_workbook = may_be_workbook(&mut file).map_err(|error| internal(&error))?;
        if is_workbook { WORKBOOKS.acquire().await.ok() } else { None }
    };
    let read = spawn_blocking(move || {
        let read = read(file);
        #[cfg(feature = "xlsx")]
        drop(turn);
        read
    });
    let read = read.await.map_err(|error| internal(&error))?;
    read.map_err(|error| unreadable(&error))
}

/// Reads the beginning of a list, of a workbook the whole: what is wrong with it is known before
/// the first of its clients comes in.
fn importer(
    #[cfg_attr(not(feature = "xlsx"), expect(unused_mut, reason = "only a workbook is tried"))]
    mut file: Reader,
    region: Region,
    mapping: &Mapping,
) -> Result<Importer<Reader>, ImportError> {
    #[cfg(feature = "xlsx")]
    if may_be_workbook(&mut file).map_err(ImportError::Unreadable)? {
        let spool = Reader::new(tempfile::tempfile().map_err(ImportError::Unreadable)?);
        return Importer::of_sheet(Sheet::unpack(file, spool)?, region, mapping);
    }
    Importer::new(file, region, mapping)
}

/// How a file begins, for people to see what its columns hold.
#[cfg(feature = "pages")]
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) columns: Vec<String>,
    /// The column of each field, guessed where nobody named it; of no field if no column holds
    /// phone numbers.
    pub(crate) mapping: Mapping,
    /// The cells of the first rows.
    pub(crate) rows: Vec<Vec<String>>,
}

#[cfg(feature = "pages")]
impl Sample {
    /// Reads at most so many rows of a file's beginning.
    pub(crate) async fn read(
        file: impl Fn() -> Reader + Send + 'static,
        mapping: Mapping,
        settings: &Settings,
        most: usize,
    ) -> Result<Self, Problem> {
        let region = settings.default_region;
        let again = file();
        reading(file(), move |file| {
            let (importer, mapping) = match importer(file, region, &mapping) {
                Ok(importer) => {
                    let mapping = importer.mapping();
                    (importer, mapping)
                }
                // Any column will do to see the others by.
                Err(ImportError::NoPhoneColumn { headers }) => {
                    let phone = headers.into_iter().find(|name| !name.trim().is_empty());
                    let any = Mapping { phone, exact: true, ..Mapping::default() };
                    (importer(again, region, &any)?, Mapping::default())
                }
                Err(error) => return Err(error),
            };
            let columns = importer.columns().to_vec();
            let cells = |parsed| match parsed {
                Parsed::Accepted(row) | Parsed::Duplicate(_, row) => row.fields,
                Parsed::Rejected(reject) => reject.cells,
            };
            let rows = importer.leaving_duplicates_to_store().map_while(Result::ok);
            let rows = rows.take(most).map(cells).collect();
            Ok(Self { columns, mapping, rows })
        })
        .await
    }
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
///
/// `refused` gets every row that would be.
pub(crate) async fn check(
    state: &ApiState,
    campaign: CampaignId,
    list: List,
    mut refused: impl FnMut(&Reject) -> Result<(), Problem> + Send,
) -> Result<(ImportStatus, ImportReport), Problem> {
    let (mut report, mut roll) = (ImportReport::default(), Roll::default());
    let (mut batches, reader) = list.rows.read();
    let desk = state.desk();
    while let Some(Batch { rows, rejects, .. }) = batches.recv().await {
        for reject in rejects {
            refused(&reject)?;
            report.count_rejected(reject.rejection);
        }
        let policy = list.duplicates;
        for reject in desk.check_rows(campaign, policy, &rows, &mut roll, &mut report).await? {
            refused(&reject)?;
        }
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
    // It was all received: what fails now is this machine's disk.
    if let ImportError::Unreadable(_) = error {
        return internal(error);
    }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use crate::testing::{Answer, World};

    /// Uploads a file; its report, which is none if nothing was begun.
    async fn report_of(world: &World, file: &[u8], fields: &[(&str, &[u8])]) -> Option<Value> {
        let id = world.draft().await;
        world.upload(&id, b"Name,Phone\nAda,2125550100\nBob,2125550101\n").await;
        world.post("/api/dnc", serde_json::json!({"phone": "+12125550102"})).await;
        let parts: Vec<_> = [("file", file)].into_iter().chain(fields.iter().copied()).collect();
        let Answer { status, json, .. } = world.upload_parts(&id, &parts).await;
        assert!(status.is_success() || status.is_client_error(), "{status} {json}");
        let report = if status.is_success() { json } else { json["import"].clone() };
        report.is_object().then_some(report)
    }

    /// That every row is somewhere, and every refused one in the file to mend.
    async fn assert_whole(world: &World, report: &Value) {
        let count = |key: &str| report[key].as_u64().unwrap_or_else(|| panic!("{key}: {report}"));
        let rejected = count("rejected");
        let known = count("accepted") + count("updated") + count("duplicates");
        assert_eq!(known + rejected, count("rows_read"), "{report}");
        assert!(count("on_dnc") <= count("accepted"), "{report}");
        let by_code = report["rejected_by_code"].as_object().unwrap().values();
        assert_eq!(by_code.map(|it| it.as_u64().unwrap()).sum::<u64>(), rejected, "{report}");
        let path = format!("/api/imports/{}/rejects.csv", report["id"].as_str().unwrap());
        let file = world.get(&path).await.text();
        let mut rows = csv::ReaderBuilder::new().flexible(true).from_reader(file.as_bytes());
        let lines: Vec<u64> = rows.records().map(|row| row.unwrap()[0].parse().unwrap()).collect();
        assert_eq!(lines.len() as u64, rejected, "{file}");
        let shown = report["rejections"].as_array().unwrap().iter();
        let shown: Vec<u64> = shown.map(|it| it["line"].as_u64().unwrap()).collect();
        assert_eq!(shown, lines[..shown.len()], "{file}");
    }

    fn on_a_runtime<T>(test: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
    }

    fn cell() -> impl Strategy<Value = String> {
        prop_oneof![
            "[ -~]{0,6}",
            "\\PC{0,6}",
            "[0-9+() -]{0,14}",
            (0..9_u8).prop_map(|n| format!("212-555-010{n}")),
            Just("'=1+1".to_owned()),
            Just("a\nb\r\n\"c\"".to_owned()),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn whatever_rows_a_list_has_none_of_them_is_lost(
            rows in prop::collection::vec(prop::collection::vec(cell(), 0..6), 0..30),
            update: bool,
            by_name: bool,
        ) {
            let mut list = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
            list.write_record(["Name", "Phone", "Time zone", "External id"]).unwrap();
            for row in &rows {
                list.write_record(row).unwrap();
            }
            let list = list.into_inner().unwrap();
            let is_blank = |row: &&Vec<String>| row.iter().all(|cell| cell.trim().is_empty());
            let told = (rows.len() - rows.iter().filter(is_blank).count()) as u64;
            let on_duplicate: &[u8] = if update { b"update" } else { b"skip" };
            let dedupe: &[u8] = if by_name { b"phone_and_name" } else { b"phone" };
            on_a_runtime(async {
                let world = World::new();
                let fields = [("on_duplicate", on_duplicate), ("dedupe", dedupe)];
                let report = report_of(&world, &list, &fields).await.expect("it is a list");
                assert_eq!(report["rows_read"], told, "{report}");
                assert_whole(&world, &report).await;
            });
        }

        #[test]
        fn whatever_bytes_are_uploaded_no_row_is_lost(
            start in prop_oneof![
                Just(&b""[..]), Just(&b"Name,Phone\n"[..]), Just(&b"\xff\xfe"[..]),
                Just(&b"Phone;Name\r\n2125550103;x\r\n"[..]), Just(&b"PK\x03\x04"[..]),
            ],
            bytes in prop::collection::vec(
                prop_oneof![any::<u8>(), prop::sample::select(&b",;\"\n\r0123456789"[..])], 0..400,
            ),
        ) {
            on_a_runtime(async {
                let world = World::new();
                let file = [start, &bytes[..]].concat();
                if let Some(report) = report_of(&world, &file, &[]).await {
                    assert_whole(&world, &report).await;
                }
            });
        }
    }
}
