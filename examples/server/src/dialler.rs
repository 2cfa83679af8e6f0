//! Which carrier dials: Twilio, or the simulated one in this process or in its own.

use std::error::Error;
use std::sync::Arc;

use callcore::port::{Store, Telephony};
use callcore::runtime::Builder;
use callcore::sim::{SimModel, SimTelephony};
use callcore::time::{Clock, Entropy};
use callcore_http::ApiState;
use callcore_twilio::Twilio;

use crate::carrier::{RemoteSim, SimWebhook};
use crate::config::{Carrier, Config};

/// The fact a database keeps about the carrier that lives in the server: with the same seed, calls
/// in progress end after a restart as they would have.
const SEED: &str = "sim_seed";

type Failure = Box<dyn Error + Send + Sync>;

/// The carrier the settings chose.
pub(crate) enum Dialler {
    /// In this process.
    InProcess(SimTelephony),
    /// In a process of its own, which sends what happens as webhooks.
    Process(Arc<RemoteSim>, Arc<SimWebhook>),
    /// Phones ring.
    Twilio(Twilio),
}

impl Dialler {
    /// Makes ready to dial.
    ///
    /// # Errors
    ///
    /// The store failed, or the settings have another seed than the database.
    pub(crate) async fn new(
        config: &Config,
        store: &Arc<dyn Store>,
        clock: &Arc<dyn Clock>,
        wall: &Arc<dyn Clock>,
        entropy: &Arc<dyn Entropy>,
    ) -> Result<Self, Failure> {
        match &config.carrier {
            Carrier::Twilio(twilio) => {
                tracing::info!("Twilio dials: phones ring");
                Ok(Self::Twilio(twilio.carrier(Arc::clone(clock), Arc::clone(entropy))?))
            }
            Carrier::InProcess { seed } => {
                let seed = settled_seed(store, *seed, &**entropy).await?;
                tracing::info!(seed, "the simulated carrier dials: nobody's phone rings");
                let model = SimModel::default();
                Ok(Self::InProcess(SimTelephony::new(seed, model, Arc::clone(clock))))
            }
            Carrier::Process { url, secret } => {
                tracing::info!(url, "a simulated carrier's process dials: nobody's phone rings");
                let (clock, wall) = (Arc::clone(clock), Arc::clone(wall));
                let remote = RemoteSim::new(url, secret.reveal(), clock, wall, config.speed)?;
                let webhook = SimWebhook::new(secret.reveal());
                Ok(Self::Process(Arc::new(remote), Arc::new(webhook)))
            }
        }
    }

    pub(crate) fn telephony(&self) -> Arc<dyn Telephony> {
        match self {
            Self::InProcess(sim) => Arc::new(sim.clone()),
            Self::Process(remote, _) => Arc::<RemoteSim>::clone(remote),
            Self::Twilio(twilio) => Arc::new(twilio.clone()),
        }
    }

    /// Takes calls up again that were in progress when the server ended, where they ended with it.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub(crate) async fn take_up(&self, store: &Arc<dyn Store>) -> Result<(), Failure> {
        match self {
            Self::InProcess(sim) => {
                let calls = sim.take_up(&**store).await?;
                if calls > 0 {
                    tracing::info!(calls, "calls in progress were taken up again");
                }
            }
            Self::Twilio(twilio) => {
                if let Err(error) = twilio.check().await {
                    tracing::warn!(error = &error as &dyn Error, "Twilio does not answer yet");
                }
            }
            // The carrier's first request sets its clock going again.
            Self::Process(remote, _) => {
                if let Err(error) = remote.check().await {
                    tracing::warn!(error = &error as &dyn Error, "the carrier does not answer yet");
                }
            }
        }
        Ok(())
    }

    /// Gives the loops what they need of this carrier.
    pub(crate) fn join(&self, loops: Builder) -> Builder {
        match self {
            Self::InProcess(sim) => loops.simulated(sim.clone()),
            Self::Process(..) | Self::Twilio(_) => loops,
        }
    }

    /// Lets in the events that this carrier sends.
    pub(crate) fn webhooks(&self, state: ApiState) -> ApiState {
        match self {
            Self::InProcess(_) => state,
            Self::Process(_, webhook) => state.with_webhooks(Arc::<SimWebhook>::clone(webhook)),
            Self::Twilio(twilio) => state.with_webhooks(Arc::new(twilio.clone())),
        }
    }
}

/// The seed the database was begun with; a new one gets the one given, or a random one.
async fn settled_seed(
    store: &Arc<dyn Store>,
    given: Option<u64>,
    entropy: &dyn Entropy,
) -> Result<u64, Failure> {
    let mut random = [0; 8];
    entropy.fill(&mut random);
    let wanted = given.unwrap_or(u64::from_le_bytes(random));
    let stored = store.put_fact(SEED, &wanted.to_string()).await?;
    let seed = stored
        .parse()
        .map_err(|_| format!("the database's {SEED} is {stored:?}, which is no number"))?;
    match given {
        Some(given) if given != seed => Err(format!(
            "this database was begun with the seed {seed}: unset CALLCORE_SIM_SEED, or set it to \
             that"
        )
        .into()),
        _ => Ok(seed),
    }
}
