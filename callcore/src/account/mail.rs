use std::fmt;
use std::str::FromStr;

use chrono::NaiveTime;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::campaign::Fields;

/// The most receivers of mail.
const MAX_RECEIVERS: usize = 50;
/// The longest mail address, in characters (RFC 5321, section 4.5.3.1).
const MAX_ADDRESS_CHARS: usize = 254;

/// Who is written to, and what.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mail {
    /// The receivers; without one the server's own are written to.
    pub to: Vec<String>,
    /// When the daily summary is sent; none leaves it to the server.
    pub summary_at: Option<SummaryAt>,
    /// Whether mails show names and numbers; none leaves it to the server.
    pub details: Option<bool>,
}

/// When the daily summary is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum SummaryAt {
    /// Never.
    Off,
    /// At this time of the account's local day.
    At(NaiveTime),
}

/// A text is no time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a time of day such as \"18:00\", or \"off\"")]
pub struct SummaryAtError;

impl FromStr for SummaryAt {
    type Err = SummaryAtError;

    fn from_str(text: &str) -> Result<Self, SummaryAtError> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let five = text.len() == 5;
        let time = NaiveTime::parse_from_str(text, "%H:%M").ok().filter(|_| five);
        time.map(Self::At).ok_or(SummaryAtError)
    }
}

impl fmt::Display for SummaryAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::At(time) => write!(f, "{}", time.format("%H:%M")),
        }
    }
}

impl TryFrom<String> for SummaryAt {
    type Error = SummaryAtError;

    fn try_from(text: String) -> Result<Self, SummaryAtError> {
        text.parse()
    }
}

impl From<SummaryAt> for String {
    fn from(at: SummaryAt) -> Self {
        at.to_string()
    }
}

impl Mail {
    pub(super) fn read(fields: &mut Fields) -> Self {
        let Some(mut mail) = fields.nested("mail") else { return Self::default() };
        let to: Vec<String> = mail.or_default("to");
        if to.len() > MAX_RECEIVERS {
            mail.out_of_range("to", &format!("at most {MAX_RECEIVERS} addresses"));
        }
        for (index, address) in to.iter().enumerate().take(MAX_RECEIVERS) {
            if !is_address(address) {
                mail.refuse_field(&format!("to[{index}]"), "invalid", "is no mail address");
            }
        }
        let summary_at = mail.optional("summary_at");
        let details = mail.optional("details");
        fields.end_nested(mail);
        Self { to, summary_at, details }
    }

    pub(super) fn to_json(&self) -> Value {
        json!({"to": self.to, "summary_at": self.summary_at, "details": self.details})
    }
}

/// Whether a text can be a mail address. What a mail server makes of it shows when it is written to.
fn is_address(text: &str) -> bool {
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && !"<>,;:\"()[]\\".contains(c);
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    text.chars().count() <= MAX_ADDRESS_CHARS
        && text.chars().all(plain)
        && !local.is_empty()
        && !local.contains('@')
        && !domain.is_empty()
        && !domain.starts_with('.')
        && !domain.ends_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_no_address_is_refused() {
        for good in ["a@example.com", "first.last+tag@mail.example", "ü@example.org", "a@localhost"]
        {
            assert!(is_address(good), "{good}");
        }
        for bad in ["", "a", "@b", "a@", "a b@c.d", "a@b@c", "a@b\r\nBcc: c@d", "A <a@b.c>", "a@.b"]
        {
            assert!(!is_address(bad), "{bad:?}");
        }
    }

    #[test]
    fn the_summarys_time_is_read_and_written_alike() {
        for text in ["off", "00:00", "18:00", "23:59"] {
            assert_eq!(text.parse::<SummaryAt>().unwrap().to_string(), text);
        }
        for bad in ["24:00", "6:00", "18:00:00", "noon", ""] {
            assert_eq!(bad.parse::<SummaryAt>(), Err(SummaryAtError), "{bad:?}");
        }
    }
}
