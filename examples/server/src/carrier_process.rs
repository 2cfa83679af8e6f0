//! `callcore-server sim-carrier`: the simulated carrier as a process of its own.

use std::error::Error;
use std::io::Write;

use callcore::sim::SimModel;
use tokio::net::TcpListener;

use crate::carrier::{Options, run as carry};
use crate::config::{ConfigError, SimCarrierArgs};
use crate::signal;

/// Carries calls until the first signal.
///
/// # Errors
///
/// The settings are wrong, the address is taken, or the dial log can't be read.
pub(crate) async fn run(args: SimCarrierArgs) -> Result<(), Box<dyn Error + Send + Sync>> {
    if !args.bind.ip().is_loopback() {
        return Err(ConfigError::CarrierExposed(args.bind).into());
    }
    if args.secret.reveal().is_empty() {
        return Err(ConfigError::EmptySecret.into());
    }
    let stop = signal::drain_token()?;
    let listener = TcpListener::bind(args.bind)
        .await
        .map_err(|error| format!("can't listen on {}: {error}", args.bind))?;
    writeln!(std::io::stdout(), "the carrier is at http://{}", listener.local_addr()?)?;
    let options = Options {
        dial_log: args.dial_log,
        server_url: args.server_url,
        secret: args.secret.reveal().to_owned(),
        seed: args.seed,
        model: SimModel::default(),
    };
    Ok(carry(listener, options, stop.cancelled_owned()).await?)
}
