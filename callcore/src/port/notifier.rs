//! The way a mail takes to people.

use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use chrono::TimeDelta;

/// Something that sends mails.
///
/// - **P1** One `send` hands a mail over at most once: an implementation never repeats a request by
///   itself.
/// - **P2** Every kind of error but [`Unknown`](NotifyErrorKind::Unknown) means that the mail
///   certainly was not taken. Every doubt is `Unknown`.
/// - **P3** A mail sent again under its key, unchanged, reaches nobody twice where the route can
///   promise that; where it can't, both copies bear the same id, by which mailboxes tell them.
/// - **P4** Nothing in a mail can become a header, a receiver or a command.
/// - **P5** An error shows neither the mail nor a secret, in `Display`, `Debug` and `reason` alike.
#[async_trait]
pub trait Notifier: fmt::Debug + Send + Sync + 'static {
    /// The kind of route, in one word, for logs and pages.
    fn kind(&self) -> &'static str;

    /// Hands one mail over.
    ///
    /// # Errors
    ///
    /// The mail was not taken, or nobody knows.
    async fn send(&self, mail: &Mail) -> Result<(), NotifyError>;
}

/// A mail, whole.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// Who gets it; at least one.
    pub to: Vec<MailAddress>,
    /// One line.
    pub subject: String,
    /// For those who read text.
    pub text: String,
    /// For those who read HTML.
    pub html: String,
    /// The same mail sent again has the same key: 1 to 256 characters of printable ASCII.
    pub key: String,
}

impl fmt::Debug for Mail {
    /// Leaves the words out: they may name people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail").field("key", &self.key).finish_non_exhaustive()
    }
}

/// Where a mail goes, or comes from: `ops@example.com` or `Acme Calls <calls@example.com>`.
///
/// ```
/// use callcore::port::MailAddress;
/// let address: MailAddress = "Acme Calls <calls@example.com>".parse()?;
/// assert_eq!((address.name(), address.mailbox()), (Some("Acme Calls"), "calls@example.com"));
/// assert!("calls@example.com\r\nBcc: all@example.com".parse::<MailAddress>().is_err());
/// # Ok::<(), callcore::port::MailAddressError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MailAddress {
    name: Option<String>,
    mailbox: String,
}

/// The text is no mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a mail address: write `name@example.com` or `Name <name@example.com>`")]
pub struct MailAddressError;

impl MailAddress {
    /// What the mailbox is called.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The address alone.
    #[must_use]
    pub fn mailbox(&self) -> &str {
        &self.mailbox
    }

    /// Reads addresses that commas part. Empty places are passed over.
    ///
    /// # Errors
    ///
    /// One of them is none.
    pub fn list(text: &str) -> Result<Vec<Self>, MailAddressError> {
        text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::parse).collect()
    }
}

impl FromStr for MailAddress {
    type Err = MailAddressError;

    fn from_str(text: &str) -> Result<Self, MailAddressError> {
        let text = text.trim();
        let (name, mailbox) = match text.strip_suffix('>').and_then(|it| it.rsplit_once('<')) {
            Some((name, mailbox)) => (Some(name.trim()).filter(|it| !it.is_empty()), mailbox),
            None => (None, text),
        };
        let name = name.map(|name| name.trim_matches('"'));
        // What could end a header, or begin another address.
        let is_plain = |c: char| !c.is_control() && !"<>\",;:\\".contains(c);
        if !name.unwrap_or_default().chars().all(is_plain) || !is_mailbox(mailbox) {
            return Err(MailAddressError);
        }
        Ok(Self { name: name.map(str::to_owned), mailbox: mailbox.to_owned() })
    }
}

/// The addresses people have: what a quoted local part or a literal host may hold beyond that is not
/// worth its risks.
fn is_mailbox(text: &str) -> bool {
    let Some((local, host)) = text.rsplit_once('@') else { return false };
    let is_atom = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    (1..=64).contains(&local.len())
        && local.chars().all(is_atom)
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && (1..=253).contains(&host.len())
        && host.split('.').all(is_label)
}

impl fmt::Display for MailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} <{}>", self.mailbox),
            None => f.write_str(&self.mailbox),
        }
    }
}

impl fmt::Debug for MailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MailAddress")
    }
}

/// A mail was not taken, or nobody knows.
#[derive(Debug, thiserror::Error)]
#[error("the mail was not sent: {reason}")]
pub struct NotifyError {
    kind: NotifyErrorKind,
    reason: String,
    wait: Option<TimeDelta>,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What kept a mail from being sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotifyErrorKind {
    /// This mail will never be taken, such as for a bad address.
    Refused,
    /// No mail will be taken until somebody changes the settings, such as for a bad key.
    Misconfigured,
    /// Too many at once; the next may go after a wait.
    RateLimited,
    /// The day's mails are used up.
    DailyQuota,
    /// The month's mails are used up.
    MonthlyQuota,
    /// It may be taken later.
    Temporary,
    /// It may have been sent; sent again under its key it does no harm.
    Unknown,
}

impl NotifyError {
    /// An error with its reason as a stable code: lower case letters, digits and underscores.
    /// Anything else in it is dropped, for it may be what the other side says about the mail.
    #[must_use]
    pub fn new(kind: NotifyErrorKind, reason: &str) -> Self {
        let is_code = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '_';
        let reason: String = reason.chars().filter(is_code).take(64).collect();
        let reason = if reason.is_empty() { "unnamed".to_owned() } else { reason };
        Self { kind, reason, wait: None, source: None }
    }

    /// The error with how long to wait before the next mail.
    #[must_use]
    pub const fn after(mut self, wait: TimeDelta) -> Self {
        self.wait = Some(wait);
        self
    }

    /// The error with what caused it, which must show neither the mail nor a secret.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What kept the mail.
    #[must_use]
    pub const fn kind(&self) -> NotifyErrorKind {
        self.kind
    }

    /// Why, as a stable code, for people to look up.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// How long the other side asks to wait.
    #[must_use]
    pub const fn wait(&self) -> Option<TimeDelta> {
        self.wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_holds_nothing_that_could_be_a_header() {
        for good in ["a@b.co", "o'hara+x@mail.example.com", "Ada L. <ada@localhost>", " a@b.co "] {
            assert!(good.parse::<MailAddress>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "a",
            "@b.co",
            "a@",
            "a@b..co",
            ".a@b.co",
            "a..b@c.co",
            "a b@c.co",
            "a@-b.co",
            "a@b.co\r\nBcc: x@y.co",
            "A\nB <a@b.co>",
            "A, B <a@b.co>",
            "a@b.co>, <c@d.co",
            "\"a b\"@c.co",
            "a@[127.0.0.1]",
            "A <a@b.co> <c@d.co>",
            "a@b.co\0",
        ] {
            assert!(bad.parse::<MailAddress>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_list_is_parted_by_commas() {
        let list = MailAddress::list("a@b.co, Ops <c@d.co>,").unwrap();
        let list: Vec<String> = list.iter().map(ToString::to_string).collect();
        assert_eq!(list, ["a@b.co", "Ops <c@d.co>"]);
        assert!(MailAddress::list("a@b.co, nobody").is_err());
    }

    #[test]
    fn a_reason_is_a_code_whatever_the_other_side_said() {
        let error = NotifyError::new(NotifyErrorKind::Refused, "bad <ada@example.com>\r\n");
        assert_eq!(error.reason(), "badadaexamplecom");
        assert_eq!(NotifyError::new(NotifyErrorKind::Refused, "\n").reason(), "unnamed");
    }
}
