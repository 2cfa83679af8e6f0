//! The routes against far sides on this machine.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(all(feature = "resend", feature = "smtp"))]

mod resend;
mod smtp;
