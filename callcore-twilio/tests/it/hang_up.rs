//! Somebody is put on the list while nobody knows what Twilio calls the call to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use callcore::actor::Actor;
use callcore::desk::Desk;
use callcore::dnc::DncScope;
use callcore::driver::Driver;
use callcore::memory::MemoryStore;
use callcore::port::{By, Dispatch, WebhookDecoder, WebhookRequest};
use callcore::runtime::{OsEntropy, SystemClock};
use callcore::testing::fixtures::Scene;
use callcore::time::{Clock, ManualClock};
use callcore_twilio::Twilio;
use callcore_twilio::testing::{Dialled, FakeTwilio, Trouble};
use chrono::TimeDelta;
use hyper::StatusCode;
use tokio::net::TcpListener;

use crate::line::{Behind, refused, serve, twilio};

/// Stores what Twilio tells, unless it is away.
#[derive(Clone)]
struct Recording {
    store: Arc<MemoryStore>,
    is_away: Arc<AtomicBool>,
}

#[async_trait]
impl Behind for Recording {
    async fn answer(&self, twilio: &Twilio, request: &WebhookRequest<'_>) -> (StatusCode, String) {
        if self.is_away.load(Ordering::Relaxed) {
            return (StatusCode::SERVICE_UNAVAILABLE, String::new());
        }
        match twilio.decode(request) {
            Ok(reply) => {
                let by = By::new(&Actor::System, request.now);
                self.store.record(by, &reply.reports).await.unwrap();
                (StatusCode::OK, String::new())
            }
            Err(error) => refused(error),
        }
    }
}

struct World {
    fake: FakeTwilio,
    store: Arc<MemoryStore>,
    clock: Arc<ManualClock>,
    twilio: Arc<Twilio>,
    behind: Recording,
}

impl World {
    async fn new() -> Self {
        let fake = FakeTwilio::start().await.unwrap();
        fake.live_by_itself(false);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let public = format!("http://{}", listener.local_addr().unwrap());
        let twilio = twilio(&fake.url(), &fake.token(), &public);
        let store = Arc::new(MemoryStore::default());
        let behind = Recording { store: store.clone(), is_away: Arc::default() };
        tokio::spawn(serve(behind.clone(), listener, twilio.clone()));
        let clock = Arc::new(ManualClock::new(SystemClock.now()));
        Self { fake, store, clock, twilio: Arc::new(twilio), behind }
    }

    fn driver(&self) -> Driver {
        let (store, carrier) = (self.store.clone(), self.twilio.clone());
        Driver::new(store, carrier, self.clock.clone(), self.clock.clone())
    }

    fn dial(&self) -> Dialled {
        let mut dials = self.fake.dials();
        assert_eq!(dials.len(), 1);
        dials.remove(0)
    }

    /// Dials somebody and never hears whether Twilio took it; then puts them on the list.
    async fn lists_somebody_whose_call_is_unclear(&self) {
        let scene = Scene::new(&*self.store);
        scene.advance(self.clock.now() - scene.now());
        scene.advance_wall(self.clock.now() - scene.wall());
        let (_, seed) = scene.running_one(serde_json::Value::Null).await;
        self.fake.trouble(Trouble::LosesAnswer);
        assert_eq!(self.driver().tick().await.unwrap().placed, 1);
        let (store, carrier) = (self.store.clone(), self.twilio.clone());
        let desk = Desk::new(store, carrier, Arc::new(OsEntropy));
        let entry = scene.dnc_entry(seed.phone, DncScope::Global);
        let added = desk.add_dnc(scene.by(), entry).await.unwrap();
        assert_eq!(added.in_flight, [seed.call]);
        assert_eq!(self.dial().status, "queued", "nobody knows its name yet");
    }
}

#[tokio::test]
async fn a_call_is_hung_up_as_soon_as_a_callback_names_it() {
    let world = World::new().await;
    world.lists_somebody_whose_call_is_unclear().await;
    world.fake.ring(&world.dial().sid).await;
    assert_eq!(world.dial().status, "ringing");
    // Another process, which was not there when it was asked for.
    world.driver().tick().await.unwrap();
    assert_eq!(world.dial().status, "canceled");
    world.fake.live(&world.dial().sid).await;
    assert_eq!(world.dial().status, "canceled", "nobody is rung on");
}

#[tokio::test]
async fn a_call_whose_callbacks_are_lost_is_looked_for_and_hung_up() {
    let world = World::new().await;
    world.behind.is_away.store(true, Ordering::Relaxed);
    world.lists_somebody_whose_call_is_unclear().await;
    world.fake.ring(&world.dial().sid).await;
    let driver = world.driver();
    driver.tick().await.unwrap();
    assert_eq!(world.dial().status, "ringing", "whoever asked for it comes first");
    world.fake.blind(1);
    for status in ["ringing", "canceled"] {
        world.clock.advance(TimeDelta::seconds(6));
        driver.tick().await.unwrap();
        assert_eq!(world.dial().status, status, "Twilio shows it only after a while");
    }
}
