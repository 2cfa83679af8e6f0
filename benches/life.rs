//! Calls a second through their whole life: claim, decide, begin, place, answered, ended; with
//! simulated answers that come at once.

use std::sync::Arc;

use async_trait::async_trait;
use callcore::actor::Actor;
use callcore::call::{Ending, EventKind, Report};
use callcore::campaign::Transition;
use callcore::desk::Desk;
use callcore::driver::Driver;
use callcore::engine::Ticket;
use callcore::id::{CallId, CampaignId, ImportId};
use callcore::import::{DuplicatePolicy, ImportReport, Importer, Mapping, Parsed};
use callcore::memory::MemoryStore;
use callcore::phone::Region;
use callcore::port::{
    Audio, BeginImport, By, Found, NewCampaign, OpenCall, Placement, Store, Telephony,
    TelephonyError,
};
use callcore::time::{Clock, ManualClock, SeededEntropy};
use callcore_benches::{csv, settings, start};
use callcore_sqlx::sqlite::{Durability, OpenOptions, SqliteStore};
use chrono::TimeDelta;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::sync::Mutex;
use tokio::runtime::Runtime;

const CALLS: u32 = 2_000;
const BATCH: u32 = 500;

/// Takes every call and remembers it until its events are asked for.
#[derive(Debug, Default)]
struct Instant(Mutex<Vec<CallId>>);

#[async_trait]
impl Telephony for Instant {
    fn kind(&self) -> &'static str {
        "instant"
    }

    fn is_simulated(&self) -> bool {
        true
    }

    async fn place_call(&self, ticket: Ticket) -> Placement {
        let call = ticket.call();
        self.0.lock().expect("no bench thread panics").push(call);
        Placement::Placed { carrier_call_id: call.to_string() }
    }

    async fn hang_up(&self, _: CallId, _: Option<&str>) -> Result<(), TelephonyError> {
        Ok(())
    }

    async fn find_call(&self, _: &OpenCall) -> Result<Found, TelephonyError> {
        Ok(Found::Nothing)
    }

    async fn check(&self) -> Result<(), TelephonyError> {
        Ok(())
    }

    async fn recording(&self, _: &str) -> Result<Option<Audio>, TelephonyError> {
        Ok(None)
    }

    async fn delete_recording(&self, _: &str) -> Result<(), TelephonyError> {
        Ok(())
    }
}

struct World {
    store: Arc<dyn Store>,
    carrier: Arc<Instant>,
    clock: Arc<ManualClock>,
    driver: Driver,
    /// Keeps the database's folder until the run is over.
    _folder: Option<tempfile::TempDir>,
}

async fn world(store: Arc<dyn Store>, folder: Option<tempfile::TempDir>) -> World {
    let entropy = Arc::new(SeededEntropy::new(1));
    let carrier = Arc::new(Instant::default());
    let clock = Arc::new(ManualClock::new(start()));
    let by = By::new(&Actor::System, start());
    let settings = Arc::new(settings());
    let campaign = CampaignId::new(start(), &*entropy);
    let new = NewCampaign { id: campaign, settings: settings.clone() };
    store.create_campaign(by, new).await.expect("a new campaign");
    let bytes = csv(CALLS);
    let importer = Importer::new(bytes.as_bytes(), Region::US, &Mapping::default())
        .expect("the bench's CSV has a phone column");
    let new = BeginImport {
        id: ImportId::new(start(), &*entropy),
        campaign,
        file_name: "bench.csv".to_owned(),
        columns: importer.columns().to_vec(),
        duplicates: DuplicatePolicy::default(),
    };
    let import = store.begin_import(by, new).await.expect("a draft takes clients");
    let rows: Vec<_> = importer
        .filter_map(|row| match row {
            Ok(Parsed::Accepted(row)) => Some(row),
            _ => None,
        })
        .collect();
    let desk = Desk::new(store.clone(), carrier.clone(), entropy);
    let mut report = ImportReport::default();
    for rows in rows.chunks(1_000) {
        desk.add_rows(by, &import, &settings, rows, &mut report).await.expect("rows go in");
    }
    store.change_state(by, campaign, Transition::Start).await.expect("a draft starts");
    let driver = Driver::new(store.clone(), carrier.clone(), clock.clone(), clock.clone());
    World { store, carrier, clock, driver: driver.with_batch(BATCH), _folder: folder }
}

async fn live(world: World) {
    let mut ended = 0;
    while ended < CALLS {
        world.clock.advance(TimeDelta::seconds(1));
        world.driver.tick().await.expect("the store is there");
        let calls = std::mem::take(&mut *world.carrier.0.lock().expect("no bench thread panics"));
        let now = world.clock.now();
        let ending = EventKind::Ended { ending: Ending::Completed, talk_seconds: 30 };
        let reports: Vec<Report> = calls
            .iter()
            .flat_map(|call| {
                [EventKind::Answered, ending.clone()].map(|kind| Report::ours(*call, now, kind))
            })
            .collect();
        world.store.record(By::new(&Actor::System, now), &reports).await.expect("events go in");
        ended += u32::try_from(calls.len()).unwrap_or(u32::MAX);
    }
}

async fn sqlite(durability: Durability) -> World {
    let folder = tempfile::tempdir().expect("a folder for the database");
    let url = format!("sqlite://{}", folder.path().join("bench.db").display());
    let store = SqliteStore::open(OpenOptions::new(url).durability(durability))
        .await
        .expect("a new database");
    world(Arc::new(store), Some(folder)).await
}

fn bench(c: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let mut group = c.benchmark_group("life");
    group.throughput(Throughput::Elements(u64::from(CALLS))).sample_size(10);
    group.bench_function(BenchmarkId::from_parameter("memory"), |b| {
        let setup = || runtime.block_on(world(Arc::new(MemoryStore::default()), None));
        b.iter_batched(setup, |world| runtime.block_on(live(world)), BatchSize::PerIteration);
    });
    for (name, durability) in
        [("sqlite_full", Durability::Full), ("sqlite_normal", Durability::Normal)]
    {
        group.bench_function(BenchmarkId::from_parameter(name), |b| {
            let setup = || runtime.block_on(sqlite(durability));
            b.iter_batched(setup, |world| runtime.block_on(live(world)), BatchSize::PerIteration);
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
