//! SIGTERM and SIGINT: the first drains, the second exits at once.

use std::io;

use tokio_util::sync::CancellationToken;

/// What a process exits with that a second signal ended.
const EXIT_AT_ONCE: i32 = 130;

/// A token that the first signal cancels; the second ends the process.
///
/// # Errors
///
/// The signals can't be listened to.
pub(crate) fn drain_token() -> io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let draining = token.clone();
    let mut signals = Signals::new()?;
    tokio::spawn(async move {
        signals.next().await;
        tracing::info!("draining: no new calls are started; a second signal exits at once");
        draining.cancel();
        signals.next().await;
        tracing::warn!("exiting at once");
        std::process::exit(EXIT_AT_ONCE);
    });
    Ok(token)
}

#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    #[expect(clippy::unnecessary_wraps, reason = "the Unix one can fail")]
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
