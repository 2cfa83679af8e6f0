//! The event recorder: groups what comes in into one commit, and answers after it.

use std::sync::Arc;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::actor::Actor;
use crate::call::Report;
use crate::port::{By, Dispatch, Recorded, StoreError};
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
    let mut reports: Vec<Report> = Vec::new();
    let mut waiting = Vec::with_capacity(group.len());
    for job in group.drain(..) {
        waiting.push((job.reports.len(), job.answer));
        reports.extend(job.reports);
    }
    let result = store.record(By::new(&Actor::System, clock.now()), &reports).await;
    // Whoever no longer waits for the answer asks again, and hears that the events are known.
    match result {
        Ok(recorded) => {
            let ended = recorded.iter().any(|one| matches!(one, Recorded::New { ended: true, .. }));
            let mut recorded = recorded.into_iter();
            for (count, answer) in waiting {
                answer.send(Ok(recorded.by_ref().take(count).collect())).ok();
            }
            ended
        }
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "events were not stored");
            let error = Arc::new(error);
            for (_, answer) in waiting {
                answer.send(Err(RecordError::Store(Arc::clone(&error)))).ok();
            }
            false
        }
    }
}
