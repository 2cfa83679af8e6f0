//! What Twilio's answer to "dial this" means: placed, certainly not, or nobody knows.
//!
//! A wrong "certainly not" rings a person twice, so everything that is not proven is unclear. The
//! codes are those of Twilio's error dictionary (<https://www.twilio.com/docs/api/errors>); new ones
//! appear unannounced, so the HTTP status decides where the code is unknown.

use std::time::Duration;

use callcore::port::Fault;
use serde_json::{Map, Value};

/// What came of a request to create a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Twilio took it, under this id.
    Placed(String),
    /// Twilio certainly did not take it and may later; after this wait, if it says so.
    Later(Option<Duration>),
    /// Twilio certainly did not take it.
    Refused(Refusal),
    /// It may have taken it.
    Unclear,
}

/// Why Twilio did not take a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Twilio's code, where it gave one.
    pub(crate) code: Option<u32>,
    /// What is at fault.
    pub(crate) fault: Fault,
}

/// Reads an answer: its status, how long it asks to wait, and its body.
pub(crate) fn read(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Answer {
    // One broken character somewhere in an answer is no reason to lose what else it says.
    let words = String::from_utf8_lossy(body);
    let document: Map<String, Value> = serde_json::from_str(&words).unwrap_or_default();
    let code = document.get("code").and_then(Value::as_u64).and_then(|it| u32::try_from(it).ok());
    let sid = document.get("sid").and_then(Value::as_str).filter(|sid| is_call(sid));
    if let Some(sid) = sid {
        // What names a call is no refusal, whatever its status says.
        let took = (200..=299).contains(&status);
        return if took { Answer::Placed(sid.to_owned()) } else { Answer::Unclear };
    }
    match status {
        // Truncated, or not from Twilio: the call may well ring.
        200..=299 => Answer::Unclear,
        // 20429: never processed and always safe to send again.
        429 => Answer::Later(retry_after),
        // The request was cut short, or may yet be carried out.
        408 | 425 | 499 => Answer::Unclear,
        400..=498 => match code {
            // Too many calls at once, on trial and new accounts.
            Some(10004 | 20429) => Answer::Later(retry_after),
            _ => Answer::Refused(Refusal { code, fault: fault(status, code) }),
        },
        _ => Answer::Unclear,
    }
}

fn fault(status: u16, code: Option<u32>) -> Fault {
    match code {
        // Missing, malformed, invalid, on Twilio's own block list.
        Some(21201 | 21211 | 21216 | 21217 | 13223 | 13225) => Fault::Number { permanent: true },
        // Not routable: it can be an outage of the carrier behind.
        Some(21214 | 13224) => Fault::Number { permanent: false },
        // A trial account reaches verified numbers only, geography is a setting, and so is `From`.
        Some(21215 | 13227 | 21219 | 573_005 | 21210 | 21212 | 21213 | 13247) => {
            Fault::Configuration
        }
        Some(20003 | 20005 | 20008 | 10001 | 20403 | 70051) => Fault::Configuration,
        Some(21205 | 21206 | 21208 | 21209 | 21218 | 21234 | 21263 | 11100) => Fault::Request,
        _ if matches!(status, 401..=405) => Fault::Configuration,
        // Unknown: this call fails, and a breaker ends it if every other does too.
        _ => Fault::Number { permanent: false },
    }
}

/// Whether a text is the id of a call: `CA` and 32 hexadecimal digits.
pub(crate) fn is_call(sid: &str) -> bool {
    sid.strip_prefix("CA")
        .is_some_and(|rest| rest.len() == 32 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SID: &str = "CA0123456789abcdef0123456789ABCDEF";

    fn said(status: u16, code: u32) -> Answer {
        let body = format!("{{\"code\":{code},\"message\":\"x\",\"status\":{status}}}");
        read(status, None, body.as_bytes())
    }

    fn refused(code: u32, fault: Fault) -> Answer {
        Answer::Refused(Refusal { code: Some(code), fault })
    }

    #[test]
    fn only_a_whole_answer_with_a_call_id_is_placed() {
        let body = format!("{{\"sid\":\"{SID}\",\"status\":\"queued\"}}");
        assert_eq!(read(201, None, body.as_bytes()), Answer::Placed(SID.to_owned()));
        assert_eq!(read(201, None, &body.as_bytes()[..20]), Answer::Unclear);
        assert_eq!(read(201, None, b"{\"sid\":\"SM0123\"}"), Answer::Unclear);
        assert_eq!(read(201, None, b""), Answer::Unclear);
        assert_eq!(read(200, None, b"<html>a proxy says hello</html>"), Answer::Unclear);
    }

    #[test]
    fn what_was_never_processed_may_be_sent_again_later() {
        let wait = Some(Duration::from_secs(3));
        assert_eq!(read(429, wait, b"slow down"), Answer::Later(wait));
        assert_eq!(said(429, 20429), Answer::Later(None));
        assert_eq!(said(400, 10004), Answer::Later(None));
    }

    #[test]
    fn the_number_the_account_and_our_own_defects_are_told_apart() {
        assert_eq!(said(400, 21211), refused(21211, Fault::Number { permanent: true }));
        assert_eq!(said(400, 13224), refused(13224, Fault::Number { permanent: false }));
        assert_eq!(said(400, 21215), refused(21215, Fault::Configuration));
        assert_eq!(said(401, 20003), refused(20003, Fault::Configuration));
        assert_eq!(said(400, 21205), refused(21205, Fault::Request));
        assert_eq!(said(400, 99999), refused(99999, Fault::Number { permanent: false }));
        let bare = Refusal { code: None, fault: Fault::Configuration };
        assert_eq!(read(404, None, b"not found"), Answer::Refused(bare));
    }

    #[test]
    fn a_failure_of_the_server_and_a_redirect_are_unclear() {
        for status in [300, 301, 302, 307, 308, 408, 500, 502, 503, 504] {
            assert_eq!(read(status, None, b"{\"code\":20500}"), Answer::Unclear, "{status}");
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_nothing_but_a_4xx_is_certain_not_to_ring(
            status in 100_u16..=999, body: Vec<u8>,
        ) {
            let answer = read(status, None, &body);
            let certain = matches!(answer, Answer::Later(_) | Answer::Refused(_));
            prop_assert!(!certain || (400..499).contains(&status));
        }
    }
}
