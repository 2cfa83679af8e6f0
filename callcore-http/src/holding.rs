//! Opt-outs that the store does not take yet: kept beside it until it does.

use std::time::Duration;

use callcore::opt_outs::HeldOptOut;

use crate::state::ApiState;

/// How long an opt-out waits for the store before it is kept beside it: carriers hang up on whoever
/// answers late.
pub(crate) const STORE_PATIENCE: Duration = Duration::from_secs(4);

/// Keeps somebody's wish not to be called again; the number is not dialled from now on. Whether the
/// wish outlives this process, if it has a journal.
pub(crate) async fn keep(state: &ApiState, opt_out: HeldOptOut) -> bool {
    tracing::warn!("an opt-out could not be stored yet: it is kept beside the store");
    let pending = state.opt_outs().clone();
    match tokio::task::spawn_blocking(move || pending.keep(opt_out)).await {
        Ok(Ok(())) => true,
        // Whoever sends it again has it tried anew.
        Ok(Err(error)) => {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "an opt-out is kept in memory alone");
            false
        }
        Err(error) => {
            tracing::error!(%error, "an opt-out could not be kept");
            false
        }
    }
}
