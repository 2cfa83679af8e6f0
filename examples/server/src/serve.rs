//! The server: store, carrier, clocks, loops and router put together, and taken down again.

use std::error::Error;
use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use callcore::account::AccountSettings;
use callcore::actor::{Actor, Role};
use callcore::call::Report;
use callcore::id::UserId;
use callcore::opt_outs::PendingOptOuts;
use callcore::port::{By, Store, StoreError, StoreErrorKind, User};
use callcore::runtime::{OsEntropy, RecordError, Recorder, Runtime, SystemClock};
use callcore::time::{Clock, Entropy, FastClock};
use callcore_http::sign_in::{hash_password, issue_link};
use callcore_http::{ApiState, EventSink, Ports, router};
use callcore_sqlx::sqlite::{OpenOptions, SqliteStore};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::agents::HttpAgents;
use crate::config::{Carrier, Config, Secret};
use crate::dialler::Dialler;
use crate::http::{self, Patience};
use crate::opt_out_journal::FileJournal;
use crate::{chain, clock, demo, signal};

const ADMIN: &str = "admin";
/// The fact a database keeps about the carrier it belongs to.
const CARRIER: &str = "carrier";
/// How long requests under way may take to end once the server drains.
const LAST_REQUESTS: Duration = Duration::from_secs(10);

type Failure = Box<dyn Error + Send + Sync>;

/// Serves until the first signal, then drains.
///
/// # Errors
///
/// The database, the address or the carrier is not to be had, or contradicts the settings.
pub(crate) async fn run(mut config: Config) -> Result<(), Failure> {
    let drain = signal::drain_token()?;
    // Before the database is touched: of two servers started by mistake, the second ends here.
    let listener = TcpListener::bind(config.bind).await.map_err(|error| {
        format!("can't listen on {}: {error}; CALLCORE_BIND chooses another address", config.bind)
    })?;
    let address = listener.local_addr()?;
    let _alone = alone_with(&config.database)?;
    let pending = opt_outs(&config.database)?;
    let database = open(&config.database).await?;
    let store: Arc<dyn Store> = Arc::<SqliteStore>::clone(&database);
    let wall: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);

    let is_empty = store.campaigns(&[], None, 1).await?.items.is_empty();
    let wants_demo = config.demo && is_empty;
    let origin = clock::origin(&store, wall.now()).await?;
    let origin = if wants_demo { demo::opening(origin) } else { origin };
    let clock: Arc<dyn Clock> = match &config.carrier {
        // Where phones ring there is one time.
        Carrier::Twilio(_) => Arc::new(SystemClock),
        Carrier::InProcess { .. } | Carrier::Process { .. } => {
            Arc::new(FastClock::new(SystemClock, origin, config.speed))
        }
    };
    let dialler = Dialler::new(&config, &store, &clock, &wall, &entropy).await?;
    let is_new = store.fact(CARRIER).await?.is_none();
    belong_to(&store, dialler.telephony().kind()).await?;
    if let (true, Carrier::Twilio(_)) = (is_new, &config.carrier) {
        keep_twilios_pace(&store, clock.now()).await?;
    }
    store.fail_running_imports(By::new(&Actor::System, clock.now())).await?;
    store.finish_undos(By::new(&Actor::System, clock.now())).await?;
    store.fail_running_dnc_imports(By::new(&Actor::System, clock.now())).await?;
    store.keep_server_zone(&config.time_zone).await?;
    // The lock says that nobody else lives who could hold one.
    store.release_mails().await?;

    let ports = Ports {
        store: Arc::clone(&store),
        carrier: dialler.telephony(),
        clock: Arc::clone(&clock),
        wall: Arc::clone(&wall),
        entropy: Arc::clone(&entropy),
    };
    let speed = config.speed;
    let banner = dialler.telephony().is_simulated().then(|| {
        format!("Simulated carrier: nobody's phone rings. Time passes {speed} times as fast.")
    });
    let mut state = ApiState::new(ports).with_zone(config.time_zone.clone()).with_banner(banner);
    if let Some(token) = &config.api_token {
        state = state.with_token("CALLCORE_API_TOKEN", token.reveal(), Role::Admin);
    }
    if wants_demo {
        demo::create(&store, state.desk(), &*entropy, clock.now()).await?;
    }
    dialler.take_up(&store).await?;
    // Before anything is dialled. Should the store be away again, they are held back in memory.
    if let Err(error) = pending.store(&*store, clock.now()).await {
        tracing::warn!(error = &error as &dyn Error, "opt-outs wait for the database");
    }
    let base =
        config.public_url.clone().unwrap_or_else(|| format!("http://{}", reachable(address)));
    let mailer = config.mail.take().map(|mail| {
        let clocks = (Arc::clone(&clock), Arc::clone(&wall));
        let (store, zone) = (Arc::clone(&store), config.time_zone.clone());
        Arc::new(mail.mailer(store, clocks, Arc::clone(&entropy), &base, zone))
    });
    let agents = HttpAgents::new(&format!("http://{}", reachable(address)))?;
    let mut loops = Runtime::builder(Arc::clone(&store), dialler.telephony(), clock, wall)
        .sealer(state.sealer().await?.clone())
        .opt_outs(pending.clone())
        .agents(Arc::new(agents));
    if let Some(mailer) = mailer {
        state = state.with_mailer(Arc::clone(&mailer));
        loops = loops.mailer(mailer);
    }
    let loops = dialler.join(loops).start();
    if let Some(secret) = &config.cron_secret {
        state = state.with_cron(secret.reveal(), loops.handle().driver());
    }
    if let Some(url) = &config.public_url {
        state = state.with_origin(url);
        if url.starts_with("https://") {
            state = state.with_secure_cookies();
        }
    }
    let (waker, health, draining) = (loops.handle(), loops.handle(), drain.clone());
    state = dialler
        .webhooks(state)
        .with_opt_outs(pending)
        .with_wake(move || waker.wake())
        .with_draining(move || draining.is_cancelled())
        .with_loops(move || health.health())
        .with_events(Arc::new(GroupedCommits(loops.handle().recorder().clone())));

    let admin = admin(&store, config.admin_password.as_ref(), &*entropy, state.now()).await?;
    announce(&state, address, admin.id).await?;
    let served = serve_until_drained(listener, state, loops, drain).await;
    database.close().await?;
    served
}

/// Answers requests until the server drains; then ends the loops, and last the answering.
async fn serve_until_drained(
    listener: TcpListener,
    state: ApiState,
    loops: Runtime,
    drain: CancellationToken,
) -> Result<(), Failure> {
    let stop = CancellationToken::new();
    let served = http::serve(listener, router(state), Patience::default(), stop.clone());
    let mut http = tokio::spawn(served);
    tokio::select! {
        () = drain.cancelled() => {}
        ended = &mut http => return ended.map_err(Failure::from),
    }
    // The loops go first: what the carrier sends meanwhile is still taken, or sent again.
    loops.shutdown().await;
    stop.cancel();
    if let Ok(ended) = tokio::time::timeout(LAST_REQUESTS, http).await {
        ended?;
    }
    Ok(())
}

/// Keeps a second server off the same file, as long as the answer lives: each would take the other's
/// imports for failed and claim from one queue by its own clock.
fn alone_with(url: &str) -> Result<File, Failure> {
    let lock = format!("{}.lock", file_of(url));
    let held = File::create(&lock).map_err(|error| format!("can't create {lock}: {error}"))?;
    match held.try_lock() {
        Ok(()) => Ok(held),
        Err(TryLockError::WouldBlock) => Err(format!(
            "another callcore server uses {url}: stop it, or set DATABASE_URL to another file"
        )
        .into()),
        Err(TryLockError::Error(error)) => Err(format!("can't lock {lock}: {error}").into()),
    }
}

/// The file of a database.
fn file_of(url: &str) -> &str {
    url.trim_start_matches("sqlite://").split('?').next().unwrap_or_default()
}

/// The opt-outs that the database could not keep yet, with the file that does meanwhile.
fn opt_outs(url: &str) -> Result<PendingOptOuts, Failure> {
    let file = format!("{}.opt-outs", file_of(url));
    let (journal, kept) = FileJournal::open(file.as_ref())
        .map_err(|error| format!("can't keep opt-outs in {file}: {error}"))?;
    Ok(PendingOptOuts::new(Arc::new(journal), kept))
}

async fn open(url: &str) -> Result<Arc<SqliteStore>, Failure> {
    let opened = SqliteStore::open(OpenOptions::new(url)).await;
    opened.map(Arc::new).map_err(|error| format!("can't open {url}: {}", chain(&error)).into())
}

/// Binds a new database to the kind of carrier; an old one must be of the same kind.
async fn belong_to(store: &Arc<dyn Store>, kind: &str) -> Result<(), Failure> {
    let bound = store.put_fact(CARRIER, kind).await?;
    if bound == kind {
        return Ok(());
    }
    Err(format!(
        "this database belongs to the carrier {bound:?} and would now be used with {kind:?}: \
         set DATABASE_URL to another file, or go back to {bound:?}"
    )
    .into())
}

/// An account of Twilio's starts one call a second unless Twilio raised its rate, and queues what is
/// beyond. There no rule and no Do-Not-Call list counts any more: calls wait here instead.
async fn keep_twilios_pace(
    store: &Arc<dyn Store>,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<(), Failure> {
    let account = store.account().await?;
    if account.settings.calls_per_second.is_none() {
        let settings = AccountSettings { calls_per_second: Some(1), ..(*account.settings).clone() };
        let by = By::new(&Actor::System, now);
        store.change_account(by, account.settings_version, Arc::new(settings)).await?;
    }
    Ok(())
}

/// The user `admin`, with the password of the settings; without one it keeps the one it has.
async fn admin(
    store: &Arc<dyn Store>,
    password: Option<&Secret>,
    entropy: &dyn Entropy,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<User, Failure> {
    let known = store.user(ADMIN).await?;
    if let (Some(user), None) = (&known, password) {
        return Ok(user.clone());
    }
    let password_hash = match password {
        Some(password) => {
            let hash = hash_password(password.reveal(), entropy);
            Some(hash.ok_or("CALLCORE_ADMIN_PASSWORD is too long")?)
        }
        None => None,
    };
    let id = known.map_or_else(|| UserId::new(now, entropy), |user| user.id);
    let name = ADMIN.to_owned();
    let user = User { id, name, role: Role::Admin, password_hash, disabled: false };
    Ok(store.save_user(By::new(&Actor::System, now), user).await?)
}

/// Prints where the server is and a link that signs in.
async fn announce(state: &ApiState, address: SocketAddr, user: UserId) -> Result<(), Failure> {
    let url = format!("http://{}", reachable(address));
    let link = issue_link(state, user).await?;
    let mut out = io::stdout().lock();
    writeln!(out, "callcore is at {url}")?;
    writeln!(out, "sign in once, within 15 minutes: {url}/sign-in?link={link}")?;
    Ok(out.flush()?)
}

/// An address a browser on this machine can open.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Webhook events share commits with each other.
#[derive(Debug)]
struct GroupedCommits(Recorder);

#[async_trait]
impl EventSink for GroupedCommits {
    async fn record(&self, reports: Vec<Report>) -> Result<(), StoreError> {
        self.0.record(reports).await.map(drop).map_err(|error| {
            let kind = match &error {
                RecordError::Store(error) => error.kind(),
                RecordError::Closed => StoreErrorKind::Unavailable,
            };
            StoreError::new(kind, "record").because(error)
        })
    }
}

#[cfg(test)]
mod tests {
    use callcore::memory::MemoryStore;

    use super::*;

    #[tokio::test]
    async fn a_database_stays_with_the_kind_of_carrier_it_was_begun_with() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
        belong_to(&store, "simulated").await.unwrap();
        belong_to(&store, "simulated").await.unwrap();
        let refusal = belong_to(&store, "real").await.unwrap_err().to_string();
        assert!(refusal.contains("set DATABASE_URL to another file"), "{refusal}");
        belong_to(&store, "simulated").await.unwrap();
    }

    #[tokio::test]
    async fn the_admin_keeps_password_and_id_where_no_new_one_is_given() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
        let password = Secret::from("correct horse".to_owned());
        let now = SystemClock.now();
        let first = admin(&store, Some(&password), &OsEntropy, now).await.unwrap();
        assert!(first.password_hash.is_some());
        assert_eq!(admin(&store, None, &OsEntropy, now).await.unwrap(), first);
        let changed = Secret::from("battery staple".to_owned());
        let second = admin(&store, Some(&changed), &OsEntropy, now).await.unwrap();
        assert_eq!(second.id, first.id);
        assert_ne!(second.password_hash, first.password_hash);
    }

    #[test]
    fn a_browser_on_this_machine_can_open_what_is_printed() {
        let shown = |address: &str| reachable(address.parse().unwrap()).to_string();
        assert_eq!(shown("0.0.0.0:3000"), "127.0.0.1:3000");
        assert_eq!(shown("[::]:3000"), "[::1]:3000");
        assert_eq!(shown("192.0.2.7:3000"), "192.0.2.7:3000");
    }
}
