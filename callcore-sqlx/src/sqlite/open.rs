use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use callcore::campaign::Settings;
use callcore::id::CampaignId;
use callcore::port::StoreError;
use callcore::time::Entropy;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Sqlite, SqliteConnection, Transaction};

use super::fail::Fail;
use super::record::Job;
use super::work::Work;

/// What a commit survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// `synchronous=FULL`: what was acknowledged survives a kill and a power cut.
    #[default]
    Full,
    /// `synchronous=NORMAL`: it survives a kill, but a power cut may take the latest commits, and
    /// with them intents to dial. For benches and simulation, never with a real carrier.
    Normal,
}

/// Where a store is, and how it is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenOptions {
    url: String,
    durability: Durability,
    readers: u32,
}

impl OpenOptions {
    /// Opens, and creates if it is missing, the file of a URL such as `sqlite://callcore.db`
    /// (relative) or `sqlite:///var/lib/callcore.db`.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), durability: Durability::Full, readers: 4 }
    }

    /// What a commit survives.
    #[must_use]
    pub const fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How many connections read at once, at least one; 4 unless told.
    #[must_use]
    pub const fn readers(mut self, readers: u32) -> Self {
        self.readers = if readers == 0 { 1 } else { readers };
        self
    }
}

/// A [`Store`](callcore::port::Store) in one SQLite file.
///
/// Several processes may open one file, but they wait for each other's commits: one server with
/// its file is what this is for.
pub struct SqliteStore {
    writer: SqlitePool,
    readers: SqlitePool,
    /// One connection that only ever asks whether the others changed anything.
    pub(super) watcher: SqlitePool,
    pub(super) settings: SettingsCache,
    /// Events that wait for the next commit.
    pub(super) queue: Mutex<VecDeque<Job>>,
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// Opens a store, and brings its tables up to date.
    ///
    /// # Errors
    ///
    /// The URL names no SQLite file, the file is no database or one of a newer version, or it
    /// can't be written.
    pub async fn open(options: OpenOptions) -> Result<Self, StoreError> {
        Self::connect(options).await.map_err(|fail| fail.store("open"))
    }

    async fn connect(options: OpenOptions) -> Result<Self, Fail> {
        if options.url.contains(":memory:") || options.url.contains("mode=memory") {
            let trouble = "a database in memory has no readers beside its writer: name a file";
            return Err(Fail::Unusable(trouble.to_owned()));
        }
        let connect = SqliteConnectOptions::from_str(&options.url)?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(match options.durability {
                Durability::Full => SqliteSynchronous::Full,
                Durability::Normal => SqliteSynchronous::Normal,
            })
            .foreign_keys(true)
            // What is deleted is overwritten: a person who was erased is not in the file's gaps.
            .pragma("secure_delete", "on")
            .busy_timeout(Duration::from_secs(5))
            .statement_cache_capacity(256);
        keep_private(connect.get_filename());
        let file = connect.get_filename().display().to_string();
        let pool = |connections| {
            SqlitePoolOptions::new()
                .max_connections(connections)
                .min_connections(1)
                .idle_timeout(None)
                .max_lifetime(None)
                // A file does not hang up.
                .test_before_acquire(false)
        };
        let writer =
            pool(1).connect_with(connect.clone()).await.map_err(|error| unusable(&file, error))?;
        sqlx::migrate!("migrations/sqlite").run(&writer).await?;
        // Only the writer creates and migrates, so that no reader can take a turn from it.
        let read_only = connect.create_if_missing(false).read_only(true);
        let readers = pool(options.readers).connect_with(read_only.clone()).await?;
        let watcher = pool(1).connect_with(read_only).await?;
        Ok(Self {
            writer,
            readers,
            watcher,
            settings: SettingsCache::default(),
            queue: Mutex::new(VecDeque::new()),
        })
    }

    /// Waits for what is under way and closes the file.
    ///
    /// # Errors
    ///
    /// None today: a store that is closed twice is closed.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.watcher.close().await;
        self.readers.close().await;
        self.writer.close().await;
        Ok(())
    }

    /// Begins a mutation. Writers take turns here.
    pub(super) async fn write(&self) -> Result<Work<'_>, Fail> {
        let tx = self.writer.begin_with("begin immediate").await?;
        Ok(Work::new(tx, &self.settings))
    }

    /// Moves the log into the file and empties it, so that what was overwritten in the one does not
    /// stand in the other. Best effort: with a reader in the way it happens at a later commit.
    pub(super) async fn empty_log(&self) {
        let done = sqlx::query("pragma wal_checkpoint(truncate)").execute(&self.writer).await;
        if let Err(error) = done {
            tracing::debug!(%error, "the log was not emptied");
        }
    }

    /// Begins a read that sees one state of things, however many statements it takes.
    pub(super) async fn read(&self) -> Result<Transaction<'static, Sqlite>, Fail> {
        Ok(self.readers.begin().await?)
    }
}

fn unusable(file: &str, error: sqlx::Error) -> Fail {
    let code = match &error {
        sqlx::Error::Database(error) => error.code().map(std::borrow::Cow::into_owned),
        _ => None,
    };
    match code.as_deref() {
        Some("26") => Fail::Unusable(format!("{file} is not a SQLite database")),
        Some("14") => Fail::Unusable(format!("{file} can't be opened or created")),
        _ => error.into(),
    }
}

/// Settings by version. A version never changes once it is committed, so nothing here gets old.
#[derive(Debug, Default)]
pub(super) struct SettingsCache {
    known: Mutex<BTreeMap<(CampaignId, u32), Arc<Settings>>>,
    /// Campaigns whose settings were found to be unreadable, each told once.
    unreadable: Mutex<BTreeSet<CampaignId>>,
}

impl SettingsCache {
    /// The settings of a version; none if there is no such version.
    pub(super) async fn load(
        &self,
        conn: &mut SqliteConnection,
        campaign: CampaignId,
        version: u32,
    ) -> Result<Option<Arc<Settings>>, Fail> {
        let key = (campaign, version);
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if known.is_some() {
            return Ok(known);
        }
        let document: Option<String> = sqlx::query_scalar(
            "select document from campaign_settings where campaign = ?1 and version = ?2",
        )
        .bind(campaign.uuid())
        .bind(version)
        .fetch_optional(conn)
        .await?;
        let Some(document) = document else { return Ok(None) };
        let document = serde_json::from_str(&document).map_err(|_| Fail::Corrupt("settings"))?;
        let settings = Settings::from_json(&document).map_err(|_| Fail::Corrupt("settings"))?;
        let settings = Arc::new(settings);
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(key, settings.clone());
        Ok(Some(settings))
    }

    /// The settings of a version, for a loop over campaigns: one that can't be read, such as by an
    /// older program, is passed over and told once, so that the others are called.
    pub(super) async fn load_readable(
        &self,
        conn: &mut SqliteConnection,
        campaign: CampaignId,
        version: u32,
    ) -> Result<Option<Arc<Settings>>, Fail> {
        match self.load(conn, campaign, version).await {
            Ok(Some(settings)) => Ok(Some(settings)),
            Ok(None) | Err(Fail::Corrupt(_)) => {
                let mut told = self.unreadable.lock().unwrap_or_else(PoisonError::into_inner);
                if told.insert(campaign) {
                    tracing::error!(%campaign, version, "unreadable settings: nobody is called");
                }
                Ok(None)
            }
            Err(fail) => Err(fail),
        }
    }

    /// Forgets everything: a unit of work that did not commit may have shown a version that never
    /// came to be.
    pub(super) fn clear(&self) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// The machine's randomness, for the ids that the store itself makes.
#[derive(Debug)]
pub(super) struct Machine;

impl Entropy for Machine {
    fn fill(&self, dest: &mut [u8]) {
        // Ids also hold the time and are unique keys: without entropy a clash is an error of the
        // mutation, not a wrong row.
        let _: Result<(), getrandom::Error> = getrandom::fill(dest);
    }
}

/// Creates a missing file for its owner alone: it will hold people's numbers. SQLite gives its
/// companions the same mode. A file that can't be created is reported by opening it.
#[cfg(unix)]
fn keep_private(file: &std::path::Path) {
    use std::os::unix::fs::OpenOptionsExt;
    drop(std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file));
}

#[cfg(not(unix))]
fn keep_private(_: &std::path::Path) {}

#[cfg(test)]
mod tests {
    use super::*;

    async fn pragma(store: &SqliteStore, name: &'static str) -> String {
        let mut work = store.write().await.expect("a turn to write");
        let row = sqlx::query(name).fetch_one(work.conn()).await.expect("a pragma");
        sqlx::Row::try_get_unchecked::<String, _>(&row, 0).expect("its value")
    }

    #[tokio::test]
    async fn the_writer_syncs_every_commit_unless_told_not_to() {
        const FULL: &str = "2";
        const NORMAL: &str = "1";
        let directory = tempfile::TempDir::new().expect("a directory");
        let url = format!("sqlite://{}", directory.path().join("callcore.db").display());
        let options = OpenOptions::new(&url);
        let store = SqliteStore::open(options.clone()).await.expect("a store");
        assert_eq!(pragma(&store, "pragma synchronous").await, FULL);
        assert_eq!(pragma(&store, "pragma journal_mode").await, "wal");
        let store = SqliteStore::open(options.durability(Durability::Normal)).await;
        assert_eq!(pragma(&store.expect("a store"), "pragma synchronous").await, NORMAL);
    }
}
