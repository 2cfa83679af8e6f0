//! callcore's carrier on Twilio Programmable Voice.

mod answer;
mod api;
pub mod config;
mod events;
mod fields;
mod hook;
pub mod signature;
pub mod twiml;
