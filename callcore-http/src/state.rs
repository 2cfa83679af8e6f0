use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use callcore::actor::{Actor, Role};
use callcore::desk::Desk;
use callcore::driver::Driver;
use callcore::mailer::Mailer;
use callcore::opt_outs::PendingOptOuts;
use callcore::port::{Store, StoreError, Telephony, WebhookDecoder};
use callcore::runtime::Health;
use callcore::seal::Sealer;
use callcore::time::{Clock, Entropy, Zone};
use chrono::{DateTime, Utc};
use tokio::sync::{OnceCell, Semaphore};

use crate::auth::{Principal, digest};
use crate::events::{EventSink, StraightToStore};
use crate::feed::Feed;
use crate::known_tokens::KnownTokens;
use crate::throttle::Throttle;
#[cfg(feature = "pages")]
use crate::waiting_lists::WaitingLists;

/// How many passwords are checked at once: each check takes 19 MiB.
const PASSWORD_CHECKS: usize = 2;

/// The largest upload that is read, in bytes.
const MAX_UPLOAD: u64 = 1024 * 1024 * 1024;

/// How long an upload waits for the end of its import before it is answered.
const IMPORT_PATIENCE: Duration = Duration::from_secs(5);

/// What the router stands on.
#[derive(Debug, Clone)]
pub struct Ports {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// The carrier.
    pub carrier: Arc<dyn Telephony>,
    /// The campaign clock.
    pub clock: Arc<dyn Clock>,
    /// The wall clock: sessions, links and idempotency records live by it.
    pub wall: Arc<dyn Clock>,
    /// Where ids and secrets come from: unpredictable, outside of tests.
    pub entropy: Arc<dyn Entropy>,
}

/// What the router's handlers share. Clones are cheap and equal.
#[derive(Clone)]
pub struct ApiState(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    ports: Ports,
    desk: Desk,
    events: Arc<dyn EventSink>,
    opt_outs: PendingOptOuts,
    decoders: Vec<Arc<dyn WebhookDecoder>>,
    tokens: Vec<Token>,
    zone: Zone,
    secure_cookies: bool,
    origins: Vec<String>,
    max_upload: u64,
    import_patience: Duration,
    banner: Option<String>,
    wake: Arc<dyn Fn() + Send + Sync>,
    draining: Arc<dyn Fn() -> bool + Send + Sync>,
    password_checks: Arc<Semaphore>,
    mailer: Option<Arc<Mailer>>,
    cron: Option<Cron>,
    throttle: Arc<Throttle>,
    known_tokens: Arc<KnownTokens>,
    feed: Arc<Feed>,
    webhook_events: Arc<AtomicU64>,
    loops: Option<Arc<dyn Fn() -> Health + Send + Sync>>,
    sealer: OnceCell<Sealer>,
    #[cfg(feature = "pages")]
    waiting_lists: Arc<WaitingLists>,
}

/// What a scheduler may do, and the digest of the secret that lets it in.
#[derive(Clone)]
pub(crate) struct Cron {
    pub(crate) secret: [u8; 32],
    pub(crate) driver: Arc<Driver>,
}

#[derive(Clone)]
struct Token {
    digest: [u8; 32],
    name: String,
    role: Role,
}

impl ApiState {
    /// A state over ports: no tokens, no webhooks, UTC, cookies for plain HTTP. On a simulated
    /// carrier the banner says so.
    #[must_use]
    pub fn new(ports: Ports) -> Self {
        let desk = Desk::new(ports.store.clone(), ports.carrier.clone(), ports.entropy.clone());
        let simulated = "Simulated carrier: nobody's phone rings.";
        let banner = ports.carrier.is_simulated().then(|| simulated.to_owned());
        let events = StraightToStore::new(ports.store.clone(), ports.clock.clone());
        Self(Arc::new(Inner {
            ports,
            desk,
            events: Arc::new(events),
            opt_outs: PendingOptOuts::default(),
            decoders: Vec::new(),
            tokens: Vec::new(),
            zone: Zone::utc(),
            secure_cookies: false,
            origins: Vec::new(),
            max_upload: MAX_UPLOAD,
            import_patience: IMPORT_PATIENCE,
            banner,
            wake: Arc::new(|| ()),
            draining: Arc::new(|| false),
            password_checks: Arc::new(Semaphore::new(PASSWORD_CHECKS)),
            mailer: None,
            cron: None,
            throttle: Arc::default(),
            known_tokens: Arc::default(),
            feed: Arc::default(),
            webhook_events: Arc::default(),
            loops: None,
            sealer: OnceCell::new(),
            #[cfg(feature = "pages")]
            waiting_lists: Arc::default(),
        }))
    }

    fn with(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// Lets in whoever sends `Authorization: Bearer SECRET`. Only the secret's SHA-256 is kept.
    #[must_use]
    pub fn with_token(self, name: &str, secret: &str, role: Role) -> Self {
        let token = Token { digest: digest(secret), name: name.to_owned(), role };
        self.with(|inner| inner.tokens.push(token))
    }

    /// Takes a provider's webhooks under `/webhooks/{provider}/`.
    #[must_use]
    pub fn with_webhooks(self, decoder: Arc<dyn WebhookDecoder>) -> Self {
        self.with(|inner| inner.decoders.push(decoder))
    }

    /// Hands webhook events to a sink of the application's, such as one that groups commits,
    /// instead of straight to the store.
    #[must_use]
    pub fn with_events(self, events: Arc<dyn EventSink>) -> Self {
        self.with(|inner| inner.events = events)
    }

    /// Where opt-outs wait that are heard while the store is away. The driver has to have the same.
    #[must_use]
    pub fn with_opt_outs(self, opt_outs: PendingOptOuts) -> Self {
        self.with(|inner| inner.opt_outs = opt_outs)
    }

    /// The zone that "today" and dates without a zone are read in.
    #[must_use]
    pub fn with_zone(self, zone: Zone) -> Self {
        self.with(|inner| inner.zone = zone)
    }

    /// Sends session cookies over HTTPS only.
    #[must_use]
    pub fn with_secure_cookies(self) -> Self {
        self.with(|inner| inner.secure_cookies = true)
    }

    /// Also takes forms from this origin, such as `https://calls.example.com`: for proxies that
    /// don't pass the `Host` on.
    #[must_use]
    pub fn with_origin(self, origin: &str) -> Self {
        let origin = origin.trim_end_matches('/').to_ascii_lowercase();
        self.with(|inner| inner.origins.push(origin))
    }

    /// The largest upload that is read, in bytes; 1 GiB if it isn't set.
    #[must_use]
    pub fn with_max_upload(self, bytes: u64) -> Self {
        self.with(|inner| inner.max_upload = bytes)
    }

    /// How long an upload waits for the end of its import before it is answered with a 202; five
    /// seconds if it isn't set; zero does not wait at all.
    #[must_use]
    pub fn with_import_patience(self, patience: Duration) -> Self {
        self.with(|inner| inner.import_patience = patience)
    }

    /// What every page says at its top; none says nothing.
    #[must_use]
    pub fn with_banner(self, banner: Option<String>) -> Self {
        self.with(|inner| inner.banner = banner)
    }

    /// Called after every change, so that a dispatcher that sleeps looks again.
    #[must_use]
    pub fn with_wake(self, wake: impl Fn() + Send + Sync + 'static) -> Self {
        self.with(|inner| inner.wake = Arc::new(wake))
    }

    /// Asked by `/readyz`: whether the application is about to end.
    #[must_use]
    pub fn with_draining(self, draining: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        self.with(|inner| inner.draining = Arc::new(draining))
    }

    /// Lets in a scheduler that sends `Authorization: Bearer SECRET`: it turns the driver with
    /// `/api/cron/tick`. Only the secret's SHA-256 is kept. The driver may be turned by a loop as
    /// well.
    #[must_use]
    pub fn with_cron(self, secret: &str, driver: Arc<Driver>) -> Self {
        let cron = Cron { secret: digest(secret), driver };
        self.with(|inner| inner.cron = Some(cron))
    }

    /// Sends mails with `/api/cron/*`, and shows that mails are sent. The mailer may be turned by a
    /// loop as well.
    #[must_use]
    pub fn with_mailer(self, mailer: Arc<Mailer>) -> Self {
        self.with(|inner| inner.mailer = Some(mailer))
    }

    /// Asked by `/metrics`: how the loops around the driver are.
    #[must_use]
    pub fn with_loops(self, health: impl Fn() -> Health + Send + Sync + 'static) -> Self {
        self.with(|inner| inner.loops = Some(Arc::new(health)))
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.0.ports.store
    }

    /// What people do.
    #[must_use]
    pub fn desk(&self) -> &Desk {
        &self.0.desk
    }

    /// What makes and knows the tokens of voice agents and of audio.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub async fn sealer(&self) -> Result<&Sealer, StoreError> {
        let entropy = self.entropy();
        self.0.sealer.get_or_try_init(|| Sealer::of(&**self.store(), entropy)).await
    }

    /// The carrier.
    #[must_use]
    pub fn carrier(&self) -> &Arc<dyn Telephony> {
        &self.0.ports.carrier
    }

    /// The instant on the campaign clock.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.0.ports.clock.now()
    }

    /// The instant on the wall clock.
    #[must_use]
    pub fn wall_now(&self) -> DateTime<Utc> {
        self.0.ports.wall.now()
    }

    /// Where ids and secrets come from.
    #[must_use]
    pub fn entropy(&self) -> &dyn Entropy {
        &*self.0.ports.entropy
    }

    /// The zone that "today" and dates without a zone are read in.
    #[must_use]
    pub fn zone(&self) -> &Zone {
        &self.0.zone
    }

    /// What every page says at its top.
    #[must_use]
    pub fn banner(&self) -> Option<&str> {
        self.0.banner.as_deref()
    }

    /// Tells the application that something changed.
    pub fn wake(&self) {
        (self.0.wake)();
    }

    pub(crate) fn events(&self) -> &dyn EventSink {
        &*self.0.events
    }

    pub(crate) fn opt_outs(&self) -> &PendingOptOuts {
        &self.0.opt_outs
    }

    pub(crate) fn decoder(&self, provider: &str) -> Option<&Arc<dyn WebhookDecoder>> {
        self.0.decoders.iter().find(|decoder| decoder.provider() == provider)
    }

    pub(crate) fn token(&self, secret: &str) -> Option<Principal> {
        // The digest is looked up, not the secret: what a comparison's time tells is of no use.
        let digest = digest(secret);
        let token = self.0.tokens.iter().find(|token| token.digest == digest)?;
        Some(Principal::new(Actor::Token(token.name.clone()), token.role))
    }

    pub(crate) fn secure_cookies(&self) -> bool {
        self.0.secure_cookies
    }

    pub(crate) fn has_origin(&self, origin: &str) -> bool {
        self.0.origins.iter().any(|known| known.eq_ignore_ascii_case(origin))
    }

    pub(crate) fn max_upload(&self) -> u64 {
        self.0.max_upload
    }

    pub(crate) fn import_patience(&self) -> Duration {
        self.0.import_patience
    }

    pub(crate) fn is_draining(&self) -> bool {
        (self.0.draining)()
    }

    pub(crate) fn mailer(&self) -> Option<&Arc<Mailer>> {
        self.0.mailer.as_ref()
    }

    pub(crate) fn cron(&self) -> Option<&Cron> {
        self.0.cron.as_ref()
    }

    /// Whether one of the application's own tokens has a name.
    pub(crate) fn has_token_named(&self, name: &str) -> bool {
        self.0.tokens.iter().any(|token| token.name == name)
    }

    /// An address of the application's: whole where its origin is known, else within it.
    pub(crate) fn address_of(&self, path: &str) -> String {
        format!("{}{path}", self.0.origins.first().map_or("", String::as_str))
    }

    pub(crate) fn known_tokens(&self) -> &KnownTokens {
        &self.0.known_tokens
    }

    pub(crate) fn throttle(&self) -> &Throttle {
        &self.0.throttle
    }

    pub(crate) fn feed(&self) -> &Arc<Feed> {
        &self.0.feed
    }

    /// How many events webhooks brought, in this process.
    pub(crate) fn webhook_events(&self) -> &AtomicU64 {
        &self.0.webhook_events
    }

    #[cfg(feature = "pages")]
    pub(crate) fn waiting_lists(&self) -> &WaitingLists {
        &self.0.waiting_lists
    }

    pub(crate) fn loops(&self) -> Option<Health> {
        self.0.loops.as_ref().map(|health| health())
    }

    pub(crate) fn password_checks(&self) -> Arc<Semaphore> {
        self.0.password_checks.clone()
    }
}

impl fmt::Debug for ApiState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiState").field("zone", &self.0.zone).finish_non_exhaustive()
    }
}
