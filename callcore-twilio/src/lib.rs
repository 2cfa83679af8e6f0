//! callcore's carrier on Twilio Programmable Voice.

mod answer;
pub mod signature;
pub mod twiml;
