//! The event recorder: groups what comes in into one commit, and answers after it.

use std::sync::Arc;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::actor::Actor;
use crate::call::Report;
use crate::port::{By, Dispatch, Recorded, StoreError, StoreErrorKind};
use crate::time::Clock;

/// How many senders share one commit at most.
const GROUP: usize = 500;
/// How many senders wait at most before the next one has to wait for a place.
const WAITING: usize = 4_096;

/// Stores events. Senders that come while a commit is under way share the next one, which is
/// worth more than tenfold; each is answered once its events are durable, never before.
#[derive(Debug, Clone)]
pub struct Recorder {
    senders: mpsc::Sender<Job>,
    closed: CancellationToken,
}

/// Events were not stored, or nobody knows whether they were: the sender sends them again.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RecordError {
    /// The store failed.
    #[error("the store could not record events")]
    Store(#[source] Arc<StoreError>),
    /// The recorder has ended.
    #[error("the recorder has ended")]
    Closed,
}

#[derive(Debug)]
struct Job {
    reports: Vec<Report>,
    answer: oneshot::Sender<Result<Vec<Recorded>, RecordError>>,
}

impl Recorder {
    /// Stores events; one answer for each, in order, once they are durable.
    ///
    /// # Errors
    ///
    /// The store failed or the recorder has ended. The same events may be recorded again.
    pub async fn record(&self, reports: Vec<Report>) -> Result<Vec<Recorded>, RecordError> {
        if reports.is_empty() {
            return Ok(Vec::new());
        }
        let (answer, answered) = oneshot::channel();
        let sent = self.senders.send(Job { reports, answer }).await;
        sent.map_err(|_| RecordError::Closed)?;
        answered.await.unwrap_or(Err(RecordError::Closed))
    }

    /// Takes no more events; those handed in already are still stored.
    pub(super) fn close(&self) {
        self.closed.cancel();
    }
}

/// Starts a recorder; its task ends once it is closed and everything handed in is stored.
/// `wake` hears of calls that ended: their slots are free.
pub(super) fn start(
    store: Arc<dyn Dispatch>,
    clock: Arc<dyn Clock>,
    wake: Arc<Notify>,
) -> (Recorder, JoinHandle<()>) {
    let (senders, jobs) = mpsc::channel(WAITING);
    let recorder = Recorder { senders, closed: CancellationToken::new() };
    let task = tokio::spawn(run(jobs, recorder.closed.clone(), store, clock, wake));
    (recorder, task)
}

async fn run(
    mut jobs: mpsc::Receiver<Job>,
    closed: CancellationToken,
    store: Arc<dyn Dispatch>,
    clock: Arc<dyn Clock>,
    wake: Arc<Notify>,
) {
    let mut group = Vec::with_capacity(GROUP);
    loop {
        tokio::select! {
            biased;
            () = closed.cancelled(), if !jobs.is_closed() => jobs.close(),
            taken = jobs.recv_many(&mut group, GROUP) => {
                if taken == 0 {
                    return;
                }
                if commit(&mut group, store.as_ref(), clock.as_ref()).await {
                    wake.notify_one();
                }
            }
        }
    }
}

/// Stores a group; returns whether a call ended with it.
async fn commit(group: &mut Vec<Job>, store: &dyn Dispatch, clock: &dyn Clock) -> bool {
    let jobs = std::mem::take(group);
    let reports: Vec<Report> = jobs.iter().flat_map(|job| job.reports.iter().cloned()).collect();
    match store.record(By::new(&Actor::System, clock.now()), &reports).await {
        Ok(recorded) => {
            let mut recorded = recorded.into_iter();
            let mut ended = false;
            for job in jobs {
                let count = job.reports.len();
                ended |= answer(job, Ok(recorded.by_ref().take(count).collect()));
            }
            ended
        }
        // A call whose row can't be read must not keep the others' events out: each by itself.
        Err(error) if error.kind() != StoreErrorKind::Unavailable && jobs.len() > 1 => {
            let mut ended = false;
            for job in jobs {
                let by = By::new(&Actor::System, clock.now());
                let result = store.record(by, &job.reports).await;
                ended |= answer(job, result.map_err(Arc::new));
            }
            ended
        }
        Err(error) => {
            let error = Arc::new(error);
            for job in jobs {
                answer(job, Err(Arc::clone(&error)));
            }
            false
        }
    }
}

/// Tells a sender what became of its events; returns whether a call ended with them.
fn answer(job: Job, result: Result<Vec<Recorded>, Arc<StoreError>>) -> bool {
    let ended = match &result {
        Ok(recorded) => recorded.iter().any(|one| matches!(one, Recorded::New { ended: true, .. })),
        Err(error) => {
            tracing::warn!(error = &**error as &dyn std::error::Error, "events were not stored");
            false
        }
    };
    // Whoever no longer waits for the answer asks again, and hears that the events are known.
    job.answer.send(result.map_err(RecordError::Store)).ok();
    ended
}
