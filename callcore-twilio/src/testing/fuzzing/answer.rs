//! Twilio's answers to "dial this".

use std::io;

use bytes::Bytes;
use callcore::id::CallId;
use callcore::port::{Fault, Placement};
use callcore::time::SeededEntropy;
use chrono::TimeDelta;
use futures_util::{FutureExt, stream};
use http_body_util::StreamBody;
use hyper::body::Frame;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::{is_call_sid, now, parts, twilio};
use crate::Twilio;
use crate::api;

/// The longest wait that may come of any answer, jitter included.
const LONGEST: TimeDelta = TimeDelta::minutes(16);

/// The codes that say for good that nobody can be rung at a number.
const NO_NUMBER: [u64; 6] = [21201, 21211, 21216, 21217, 13223, 13225];

thread_local! {
    static TWILIO: Twilio = twilio();
}

/// An answer to a request to dial: its status on the first line, `Retry-After` on the second, `cut`
/// on the third if the body breaks off, and the body.
///
/// A call counts as placed only by its id in a whole answer that says so, and as certainly not
/// placed only where Twilio refuses.
///
/// # Panics
///
/// That does not hold.
pub fn answer(input: &[u8]) {
    let (lines, body) = parts(input);
    let line = |at: usize| lines.get(at).map_or("", |line| &**line);
    let Ok(status) = line(0).parse::<u16>() else { return };
    let (retry_after, is_cut) = (line(1), line(2) == "cut");
    let Some(response) = response(status, retry_after, is_cut, body) else { return };
    let read = api::created(response).now_or_never().expect("nothing to wait for");
    let call = CallId::new(now(), &SeededEntropy::new(1));
    let placement = TWILIO.with(|twilio| {
        twilio.pace().took();
        twilio.placement(call, read)
    });

    // Twilio's words may be anything; what counts is told from them all the same.
    let words = String::from_utf8_lossy(body);
    let pairs = (!is_cut).then(|| serde_json::from_str::<Pairs>(&words).ok()).flatten();
    let is_read = pairs.is_some();
    let all = |wanted: &str| -> Vec<&Value> {
        let pairs = pairs.iter().flat_map(|pairs| &pairs.0);
        pairs.filter(|(name, _)| name == wanted).map(|(_, value)| value).collect()
    };
    let names_a_call = |value: &&Value| value.as_str().is_some_and(is_call_sid);
    let (sids, codes) = (all("sid"), all("code"));
    let took = (200..=299).contains(&status);
    let refuses = (400..=498).contains(&status) && status != 408 && status != 425;
    match &placement {
        Placement::Placed { carrier_call_id } => {
            assert!(took, "{status} is no success");
            let named = sids.iter().any(|sid| sid.as_str() == Some(carrier_call_id));
            let named = named || !is_read && words.trim_start().starts_with('{');
            assert!(named && is_call_sid(carrier_call_id), "no call is named {carrier_call_id}");
        }
        Placement::Unknown => {
            let plain = sids.len() == 1 && codes.is_empty();
            assert!(!(took && plain && sids.iter().any(names_a_call)), "a call is lost");
        }
        Placement::Later { .. } | Placement::Refused { .. } => {
            assert!(refuses, "{status} proves nothing");
            assert!(!sids.iter().any(names_a_call), "it names a call");
        }
    }
    match placement {
        Placement::Later { at } => {
            assert!(now() < at && at <= now() + LONGEST, "{at}");
            if let Ok(seconds @ 0..=600) = retry_after.trim().parse::<i64>() {
                assert!(at >= now() + TimeDelta::seconds(seconds), "{at} is too soon");
            }
        }
        Placement::Refused { reason, fault } => {
            assert!(status != 429, "too many requests are no refusal");
            let codes: Vec<u64> = codes.iter().filter_map(|code| code.as_u64()).collect();
            let said = |code: &u64| reason == format!("twilio_{code}");
            assert!(reason == "twilio_http" || !is_read || codes.iter().any(said), "{reason}");
            if fault == (Fault::Number { permanent: true }) && is_read {
                assert!(codes.iter().any(|code| NO_NUMBER.contains(code)), "{reason} is for good");
            }
        }
        Placement::Placed { .. } | Placement::Unknown => {}
    }
}

fn response(
    status: u16,
    retry_after: &str,
    is_cut: bool,
    body: &[u8],
) -> Option<reqwest::Response> {
    let mut chunks = vec![Ok(Frame::data(Bytes::copy_from_slice(body)))];
    if is_cut {
        chunks.push(Err(io::Error::from(io::ErrorKind::ConnectionReset)));
    }
    let body = reqwest::Body::wrap(StreamBody::new(stream::iter(chunks)));
    let mut response = hyper::Response::builder().status(status);
    if !retry_after.is_empty() {
        response = response.header("retry-after", retry_after);
    }
    response.body(body).ok().map(reqwest::Response::from)
}

/// An object with every name it has, also those that come twice.
struct Pairs(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Pairs;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Pairs, M::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        from.deserialize_map(Object)
    }
}
