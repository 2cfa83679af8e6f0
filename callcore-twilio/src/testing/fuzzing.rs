//! What must hold whatever comes in: each function reads an input of any bytes and panics where a
//! promise is broken.
//!
//! The fuzz targets in `fuzz/` run them on inputs that a fuzzer makes up, and the tests on those that
//! were kept. Inputs are texts, so that the kept ones can be read: lines up to an empty one, most of
//! them fields as a form has them, and the body of a request or an answer after it.

mod answer;
mod document;
mod twiml;
mod webhook;

use std::borrow::Cow;
use std::sync::Arc;

use callcore::time::{ManualClock, SeededEntropy};
use chrono::{DateTime, Utc};

pub use answer::answer;
pub use twiml::twiml;
pub use webhook::webhook;

use super::FakeTwilio;
use crate::Twilio;
use crate::config::{Config, Credentials};

/// Where the service is reached: below a path, so that nothing takes the host for all of it.
const PUBLIC: &str = "https://calls.example.com/voice/";
const TOKEN: &str = "fake-token";

/// The instant everything happens at.
fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_618_800, 0).expect("an instant")
}

fn twilio() -> Twilio {
    let token = Credentials::AuthToken(TOKEN.to_owned().into());
    let from = "+12125550100".parse().expect("a number");
    let config = Config::new(FakeTwilio::ACCOUNT, token, [from], PUBLIC).expect("a configuration");
    let (clock, entropy) = (ManualClock::new(now()), SeededEntropy::new(1));
    Twilio::new(config, Arc::new(clock), Arc::new(entropy)).expect("an HTTP client")
}

/// The lines up to the first empty one, and all that follows it.
fn parts(input: &[u8]) -> (Vec<Cow<'_, str>>, &[u8]) {
    let empty = input.windows(2).position(|two| two == b"\n\n");
    let (head, body) = match empty {
        Some(at) => (&input[..at], &input[at + 2..]),
        None => (input.strip_suffix(b"\n").unwrap_or(input), &[][..]),
    };
    (head.split(|byte| *byte == b'\n').map(String::from_utf8_lossy).collect(), body)
}

/// The fields of a line or a body, in order.
fn fields(encoded: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(encoded).into_owned().collect()
}

/// The first value of a name; none if it is empty.
fn first<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = fields.iter().find(|(field, _)| field == name);
    found.map(|(_, value)| &**value).filter(|value| !value.is_empty())
}

/// A text of a line, `times` over if the line says so: long ones need no long input.
fn text(line: &[(String, String)], name: &str) -> String {
    let text = first(line, name).unwrap_or_default();
    let most = 80_000 / text.len().max(1);
    let times = first(line, "times").and_then(|times| times.parse().ok()).unwrap_or(1);
    text.repeat(most.min(times))
}

/// Whether a text is the id of a call, by Twilio's own words: `^CA[0-9a-fA-F]{32}$`.
fn is_call_sid(text: &str) -> bool {
    let hex = text.strip_prefix("CA").unwrap_or_default();
    hex.len() == 32 && hex.chars().all(|digit| digit.is_ascii_hexdigit())
}
