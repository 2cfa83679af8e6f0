//! callcore's carrier on Twilio Programmable Voice: at most one dial per call, whatever the network
//! does.
//!
//! [`Twilio`] is a [`Telephony`](callcore::port::Telephony) and, since Twilio asks what a call is to
//! do once it is answered, a [`WebhookDecoder`](callcore::port::WebhookDecoder):
//!
//! ```no_run
//! use std::sync::Arc;
//! use callcore::runtime::{OsEntropy, SystemClock};
//! use callcore_twilio::Twilio;
//! use callcore_twilio::config::{Config, Credentials};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let token = Credentials::AuthToken("the account's auth token".to_owned().into());
//! let account = "AC0123456789abcdef0123456789abcdef";
//! let numbers = ["+12125550100".parse()?];
//! let config = Config::new(account, token, numbers, "https://calls.example.com")?;
//! let twilio = Arc::new(Twilio::new(config, Arc::new(SystemClock), Arc::new(OsEntropy))?);
//! # let _ = twilio;
//! # Ok(())
//! # }
//! ```
//!
//! Facts about Twilio are those of its documentation, named where they are used.

mod answer;
mod api;
mod caller_id;
pub mod config;
mod decoder;
mod events;
mod fields;
mod hook;
pub mod inspect;
mod pace;
pub mod signature;
mod telephony;
#[cfg(feature = "testing")]
pub mod testing;
pub mod twiml;
mod voice;

pub use telephony::Twilio;
pub use voice::{CALL_ID, RESULT_TOKEN, RESULT_URL};
