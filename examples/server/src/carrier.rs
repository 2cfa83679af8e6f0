//! The simulated carrier as a process of its own, and the server's side of it.

mod dial_log;
mod process;
mod remote;
#[cfg(test)]
mod tests;
mod wire;

pub(crate) use process::{Options, run};
pub(crate) use remote::{RemoteSim, SimWebhook};
