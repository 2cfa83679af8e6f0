//! The port in front of a simulated carrier in the same process.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::carrier::SimCarrier;
use super::dial::{AgentPost, Playing, SimDial};
use super::model::SimModel;
use crate::call::{Direction, InboundRing, Report};
use crate::engine::{Person, Ticket, fill};

use crate::id::CallId;
use crate::performance::{audio_names, person};
use crate::port::{
    Audio, Found, OpenCall, Placement, Store, StoreError, Telephony, TelephonyError,
};
use crate::time::Clock;

/// How many live calls are taken up again after a restart: more than any capacity.
const MANY: u32 = 100_000;

/// A simulated carrier in the same process, on the campaign clock.
#[derive(Debug, Clone)]
pub struct SimTelephony {
    carrier: Arc<Mutex<SimCarrier>>,
    clock: Arc<dyn Clock>,
}

impl SimTelephony {
    /// A carrier with nothing to do. `clock` is the campaign clock.
    #[must_use]
    pub fn new(seed: u64, model: SimModel, clock: Arc<dyn Clock>) -> Self {
        Self { carrier: Arc::new(Mutex::new(SimCarrier::new(seed, model))), clock }
    }

    /// The carrier, for tests that look into it.
    pub fn carrier(&self) -> MutexGuard<'_, SimCarrier> {
        self.carrier.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The events whose delivery has come. Whoever takes them must store them: they come once.
    pub fn advance(&self) -> Vec<Report> {
        let now = self.clock.now();
        self.carrier().advance(now)
    }

    /// What voice agents report of their calls, as far as [`advance`](Self::advance) came. Whoever
    /// takes it must see to it that it arrives: it comes once.
    #[must_use]
    pub fn take_posts(&self) -> Vec<AgentPost> {
        self.carrier().take_posts()
    }

    /// When the next event is delivered, on the campaign clock.
    #[must_use]
    pub fn next_delivery(&self) -> Option<DateTime<Utc>> {
        self.carrier().next_delivery()
    }

    /// Takes up every live call of a store again, after a restart of the process that was the
    /// carrier too: with the same seed and model each ends as it would have. An intent the carrier
    /// may never have seen is taken as dialled when it was stored. Returns how many.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub async fn take_up(&self, store: &dyn Store) -> Result<usize, StoreError> {
        let open = store.live(MANY).await?;
        let mut count = 0;
        for call in &open {
            let id = call.carrier_call_id.as_deref();
            match came_from(store, call).await? {
                Some(Origin::Dialled(dial)) => {
                    self.carrier().resume(*dial, call.begun_at, id, &call.events);
                }
                Some(Origin::RangIn(ring)) => {
                    let now = self.clock.now();
                    self.carrier().drop_inbound(ring, &call.events, now);
                }
                None => continue,
            }
            count += 1;
        }
        Ok(count)
    }
}

enum Origin {
    Dialled(Box<SimDial>),
    RangIn(InboundRing),
}

/// The dial of a call as its ticket asked for it, as far as the store still knows.
async fn came_from(store: &dyn Store, open: &OpenCall) -> Result<Option<Origin>, StoreError> {
    let Some(call) = store.call(open.call).await?.map(|view| view.call) else { return Ok(None) };
    if call.direction == Direction::Inbound {
        let carrier_call_id = open.carrier_call_id.clone();
        return Ok(carrier_call_id.map(|carrier_call_id| {
            Origin::RangIn(InboundRing { carrier_call_id, from: call.phone, new_id: call.id })
        }));
    }
    let (Some(campaign), Some(phone)) = (call.campaign, call.phone) else { return Ok(None) };
    let Some(settings) = store.settings(campaign, call.settings_version).await? else {
        return Ok(None);
    };
    let person = match call.client.or(call.sample) {
        Some(client) => person(store, client).await?,
        None => Person::default(),
    };
    let audio = audio_names(store, &settings).await?;
    let is_client = call.client.is_some();
    let playing = Playing {
        settings: &settings,
        fill: &|template| fill(template, &person, phone, &settings.name, is_client),
        audio: &|wanted| audio.get(&wanted).cloned(),
        // The token of then is gone with the ticket.
        token: None,
    };
    let dial = SimDial { attempt: call.attempt, ..SimDial::new(open.call, phone) };
    Ok(Some(Origin::Dialled(Box::new(dial.playing(&playing)))))
}

#[async_trait]
impl Telephony for SimTelephony {
    fn kind(&self) -> &'static str {
        "simulated"
    }

    fn is_simulated(&self) -> bool {
        true
    }

    async fn place_call(&self, ticket: Ticket) -> Placement {
        let now = self.clock.now();
        let carrier_call_id = self.carrier().place(SimDial::of(&ticket), now);
        Placement::Placed { carrier_call_id }
    }

    async fn hang_up(&self, call: CallId, _: Option<&str>) -> Result<(), TelephonyError> {
        let now = self.clock.now();
        self.carrier().hang_up(call, now);
        Ok(())
    }

    async fn find_call(&self, call: &OpenCall) -> Result<Found, TelephonyError> {
        let now = self.clock.now();
        Ok(self.carrier().find(call.call, now))
    }

    async fn check(&self) -> Result<(), TelephonyError> {
        Ok(())
    }

    async fn recording(&self, reference: &str) -> Result<Option<Audio>, TelephonyError> {
        Ok(self.carrier().recording(reference))
    }

    async fn delete_recording(&self, reference: &str) -> Result<(), TelephonyError> {
        self.carrier().delete_recording(reference);
        Ok(())
    }
}
