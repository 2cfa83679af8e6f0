//! The one integration test binary: against a fake of Twilio on the loopback.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod carrier;
mod fuzz;
mod hang_up;
mod inspect;
mod line;
mod seeds;
mod webhooks;
