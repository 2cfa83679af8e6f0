use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use callcore::actor::Actor;
use callcore::call::Report;
use callcore::port::{By, Store, StoreError, StoreErrorKind};
use callcore::runtime::{RecordError, Recorder};
use callcore::time::Clock;

/// Where webhook events go.
#[async_trait]
pub trait EventSink: fmt::Debug + Send + Sync + 'static {
    /// Stores events. When it has returned, they are durable: only then does the carrier get its
    /// answer.
    ///
    /// # Errors
    ///
    /// They may not be stored; the carrier will send them again.
    async fn record(&self, reports: Vec<Report>) -> Result<(), StoreError>;
}

/// One commit for each webhook.
pub(crate) struct StraightToStore {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
}

impl StraightToStore {
    pub(crate) fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }
}

impl fmt::Debug for StraightToStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StraightToStore").finish_non_exhaustive()
    }
}

#[async_trait]
impl EventSink for StraightToStore {
    async fn record(&self, reports: Vec<Report>) -> Result<(), StoreError> {
        let by = By::new(&Actor::System, self.clock.now());
        self.store.record(by, &reports).await.map(drop)
    }
}

/// The recorder that groups commits.
#[async_trait]
impl EventSink for Recorder {
    async fn record(&self, reports: Vec<Report>) -> Result<(), StoreError> {
        Self::record(self, reports).await.map(drop).map_err(|error| {
            let kind = match &error {
                RecordError::Store(error) => error.kind(),
                RecordError::Closed => StoreErrorKind::Unavailable,
            };
            StoreError::new(kind, "record").because(error)
        })
    }
}
