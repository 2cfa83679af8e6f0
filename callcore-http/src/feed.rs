//! What goes on, told as it happens: one watcher for all who listen.
//!
//! The watcher asks the store for its change version, which costs next to nothing, and only where
//! that moved does it read what is watched and tell what became different. It runs while somebody
//! listens. Nobody can make it remember more: what is watched is bounded, a batch is one text shared
//! by all, and whoever is too slow for [`BATCHES`] of them is dropped and begins anew.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use callcore::analytics::Totals;
use callcore::campaign::RunState;
use callcore::id::{CallId, CampaignId};
use callcore::port::{CallQuery, CampaignView, StoreError};
use serde_json::{Value, json};
use tokio::sync::{Mutex, broadcast};
use tokio::time::Instant;

use crate::dto::{AccountDto, CallDto, CampaignDto, NumbersDto};
use crate::problem::{Problem, chain};
use crate::state::ApiState;

/// How often the change version is asked for.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How often everything is read although nothing changed: midnight comes without a commit.
const LOOK_ANYWAY: Duration = Duration::from_secs(10);

/// How many batches a listener may be behind.
const BATCHES: usize = 16;

/// How many listen at most.
const LISTENERS: usize = 100;

/// How many running and paused campaigns are watched, and how many of the newest in whatever state.
const ACTIVE_CAMPAIGNS: u32 = 200;
const NEWEST_CAMPAIGNS: u32 = 20;

/// How many calls in progress are watched, and how many of those that ended last.
const LIVE_CALLS: u32 = 50;
const ENDED_CALLS: u32 = 50;

/// Something that is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Account,
    Dashboard,
    Campaign(CampaignId),
    Call(CallId),
}

impl Key {
    const fn kind(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Dashboard => "dashboard",
            Self::Campaign(_) => "campaign",
            Self::Call(_) => "call",
        }
    }

    fn id(self) -> String {
        match self {
            Self::Account | Self::Dashboard => self.kind().to_owned(),
            Self::Campaign(id) => id.to_string(),
            Self::Call(id) => id.to_string(),
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Feed {
    watch: Mutex<Watch>,
    listeners: AtomicUsize,
}

#[derive(Debug, Default)]
struct Watch {
    /// What was told of each thing, and under which version.
    told: BTreeMap<Key, (u64, Value)>,
    version: u64,
    /// The store's change version before the last look.
    seen: Option<u64>,
    looked_at: Option<Instant>,
    /// Where batches go. The watcher holds the channel: it ends with it.
    batches: Option<broadcast::WeakSender<Arc<str>>>,
}

/// Somebody who listens. Their place is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Listener {
    /// What there is now.
    pub(crate) snapshot: String,
    /// What becomes different from now on.
    pub(crate) batches: broadcast::Receiver<Arc<str>>,
    _place: Place,
}

/// A place among those who listen.
#[derive(Debug)]
struct Place(Arc<Feed>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.listeners.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Feed {
    pub(crate) fn listeners(&self) -> usize {
        self.listeners.load(Ordering::Relaxed)
    }

    /// Begins to listen.
    pub(crate) async fn listen(state: &ApiState) -> Result<Listener, Problem> {
        let feed = state.feed();
        let place = feed.place()?;
        let mut watch = feed.watch.lock().await;
        let running = watch.batches.as_ref().and_then(broadcast::WeakSender::upgrade);
        let batches = match running {
            Some(sender) => sender.subscribe(),
            None => {
                *watch = Watch { version: watch.version, ..Watch::default() };
                watch.look(state).await?;
                let (sender, batches) = broadcast::channel(BATCHES);
                watch.batches = Some(sender.downgrade());
                tokio::spawn(keep_looking(state.clone(), sender));
                batches
            }
        };
        Ok(Listener { snapshot: watch.snapshot(), batches, _place: place })
    }

    fn place(self: &Arc<Self>) -> Result<Place, Problem> {
        let more = |now| (now < LISTENERS).then_some(now + 1);
        match self.listeners.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
            Ok(_) => Ok(Place(Arc::clone(self))),
            Err(_) => {
                let detail = format!("{LISTENERS} listen already");
                Err(Problem::too_many("too_many_listeners", detail, 5))
            }
        }
    }
}

/// The watcher. It ends with the last listener, and before the server does.
async fn keep_looking(state: ApiState, batches: broadcast::Sender<Arc<str>>) {
    let mut pause = LOOK_EVERY;
    loop {
        tokio::time::sleep(pause).await;
        let mut watch = state.feed().watch.lock().await;
        if batches.receiver_count() == 0 || state.is_draining() {
            // While nobody can begin to listen to what is about to end.
            drop(batches);
            return;
        }
        let start = Instant::now();
        match watch.look(&state).await {
            // Whoever left in the meantime misses nothing.
            Ok(Some(batch)) => drop(batches.send(batch.into())),
            Ok(None) => {}
            Err(error) => tracing::warn!(error = %chain(&error), "nobody hears what changes"),
        }
        // However slow the store is, it is left alone for most of the time.
        pause = LOOK_EVERY.max(start.elapsed() * 2);
    }
}

impl Watch {
    /// Looks whether anything changed; the batch that tells it.
    async fn look(&mut self, state: &ApiState) -> Result<Option<String>, StoreError> {
        // Asked before the reading: what changes meanwhile is read again.
        let version = state.store().change_version().await?;
        let rested = self.looked_at.is_some_and(|at| at.elapsed() < LOOK_ANYWAY);
        if self.seen == Some(version) && rested {
            return Ok(None);
        }
        let now = read(state).await?;
        let left = self.read_what_left(state, &now).await?;
        (self.seen, self.looked_at) = (Some(version), Some(Instant::now()));
        // Versions go up over restarts too, as far as the clock does.
        let wall = u64::try_from(state.wall_now().timestamp_micros()).unwrap_or_default();
        let version = wall.max(self.version + 1);
        let mut batch = String::new();
        for (key, value) in &now {
            if self.told.get(key).is_none_or(|(_, told)| told != value) {
                batch.push_str(&change(*key, version, value, false));
                self.told.insert(*key, (version, value.clone()));
            }
        }
        for (key, value) in left {
            batch.push_str(&change(key, version, &value, true));
            self.told.remove(&key);
        }
        if batch.is_empty() {
            return Ok(None);
        }
        self.version = version;
        Ok(Some(batch))
    }

    /// How those things are now that are no longer watched, for the last time.
    async fn read_what_left(
        &self,
        state: &ApiState,
        now: &BTreeMap<Key, Value>,
    ) -> Result<Vec<(Key, Value)>, StoreError> {
        let (store, carrier) = (state.store(), state.carrier().kind());
        let mut left = Vec::new();
        for key in self.told.keys().filter(|key| !now.contains_key(key)) {
            let value = match *key {
                Key::Account | Key::Dashboard => Value::Null,
                Key::Campaign(id) => {
                    json!(store.campaign(id).await?.as_ref().map(CampaignDto::from))
                }
                Key::Call(id) => {
                    json!(store.call(id).await?.map(|view| CallDto::brief(&view, carrier)))
                }
            };
            left.push((*key, value));
        }
        Ok(left)
    }

    /// Everything that is watched, as one event.
    fn snapshot(&self) -> String {
        let object = |(key, (version, value)): (&Key, &(u64, Value))| object(*key, *version, value);
        let objects: Vec<Value> = self.told.iter().map(object).collect();
        event("snapshot", self.version, &json!({"version": self.version, "objects": objects}))
    }
}

/// What is watched, as it is now.
async fn read(state: &ApiState) -> Result<BTreeMap<Key, Value>, StoreError> {
    let (store, carrier) = (state.store(), state.carrier().kind());
    let mut now = BTreeMap::new();
    let active = [RunState::Running, RunState::Paused];
    let mut campaigns: Vec<CampaignView> =
        store.campaigns(&active, None, ACTIVE_CAMPAIGNS).await?.items;
    campaigns.extend(store.campaigns(&[], None, NEWEST_CAMPAIGNS).await?.items);
    let mut in_progress = BTreeMap::new();
    for view in &campaigns {
        let key = Key::Campaign(view.campaign.id);
        in_progress.insert(key, view.progress.live);
        now.insert(key, json!(CampaignDto::from(view)));
    }
    let recent = CallQuery { limit: ENDED_CALLS, ..CallQuery::default() };
    let mut calls = store.history(&recent).await?.items;
    for open in store.live(LIVE_CALLS).await? {
        calls.extend(store.call(open.call).await?);
    }
    for view in &calls {
        now.insert(Key::Call(view.call.id), json!(CallDto::brief(view, carrier)));
    }
    now.insert(Key::Account, json!(AccountDto::from(&store.account().await?)));
    let midnight = state.zone().start_of(state.zone().date(state.now()));
    let today = Totals::of(&store.tallies(None, Some(midnight), None).await?);
    let dashboard = json!({
        "today": NumbersDto::from(&today),
        "time_zone": state.zone().name(),
        "calls_in_progress": in_progress.values().sum::<u64>(),
    });
    now.insert(Key::Dashboard, dashboard);
    Ok(now)
}

fn object(key: Key, version: u64, value: &Value) -> Value {
    json!({"kind": key.kind(), "id": key.id(), "version": version, "state": value})
}

/// An event that something is different; `last` if it is no longer watched.
fn change(key: Key, version: u64, value: &Value, last: bool) -> String {
    let mut object = object(key, version, value);
    object["last"] = json!(last);
    event(key.kind(), version, &object)
}

/// An event in the text of server-sent events; JSON has no line breaks.
fn event(name: &str, id: u64, data: &Value) -> String {
    format!("event: {name}\nid: {id}\ndata: {data}\n\n")
}
