//! The one integration test binary: against a fake of Twilio on the loopback.

mod carrier;
mod line;
mod webhooks;
