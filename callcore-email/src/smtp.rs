//! Mails through an SMTP server, one connection a mail.
//!
//! SMTP has no idempotency: a mail whose fate stayed unknown and that is sent again may arrive twice,
//! both times with one `Message-ID`, by which most mailboxes show it once.
//!
//! The server's address is a URL:
//!
//! - `smtps://user:password@mail.example.com`: TLS from the start, on port 465;
//! - `smtp://user:password@mail.example.com`: STARTTLS, which has to succeed, on port 587;
//! - `smtp://127.0.0.1:1025`: without TLS on this machine, on port 25 unless another is given;
//! - `?tls=none` or `?tls=required` say otherwise.
//!
//! User and password are percent-encoded where they hold `@`, `:` or `/`.

mod url;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use callcore::port::{Mail, MailAddress, Notifier, NotifyError, NotifyErrorKind};
use lettre::address::Envelope;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use lettre::{Address, Message};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use tokio::time::timeout;

use self::url::{Encryption, Server};
use crate::one_line;

pub use self::url::SmtpUrlError;

/// How long it may take until the server waits for the mail's words.
const PREPARING: Duration = Duration::from_secs(30);
/// How long the server may take to accept them.
const ACCEPTING: Duration = Duration::from_secs(60);

/// The way through an SMTP server.
pub struct Smtp {
    server: Server,
    from: MailAddress,
}

impl Smtp {
    /// A way through the server of a URL.
    ///
    /// # Errors
    ///
    /// The URL names no SMTP server, or asks for something that is not known.
    pub fn new(url: &str, from: MailAddress) -> Result<Self, SmtpUrlError> {
        Ok(Self { server: Server::parse(url)?, from })
    }

    fn message(&self, mail: &Mail) -> Result<(Vec<u8>, Envelope), NotifyError> {
        let refused = |reason| NotifyError::new(NotifyErrorKind::Refused, reason);
        let mailbox = |address: &MailAddress| -> Option<Mailbox> {
            let email: Address = address.mailbox().parse().ok()?;
            Some(Mailbox::new(address.name().map(str::to_owned), email))
        };
        let sender = NotifyError::new(NotifyErrorKind::Misconfigured, "sender_address");
        let from = mailbox(&self.from).ok_or(sender)?;
        let id = format!("<{}@{}>", fingerprint(&mail.key), from.email.domain());
        let mut message = Message::builder()
            .from(from)
            .subject(one_line(&mail.subject))
            .message_id(Some(id))
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ));
        for address in &mail.to {
            message = message.to(mailbox(address).ok_or_else(|| refused("receiver_address"))?);
        }
        let parts = MultiPart::alternative_plain_html(mail.text.clone(), mail.html.clone());
        let message = message.multipart(parts).map_err(|_| refused("message"))?;
        Ok((message.formatted(), message.envelope().clone()))
    }

    /// Everything up to the point from which on the server may take the mail.
    async fn prepare(&self, envelope: &Envelope) -> Result<AsyncSmtpConnection, NotifyError> {
        let mut connection = self.connect().await?;
        if let Some((user, password)) = &self.server.credentials {
            let credentials = Credentials::new(user.clone(), password.expose_secret().to_owned());
            let signed_in = connection.auth(DEFAULT_MECHANISMS, &credentials).await;
            signed_in.map_err(|error| match error.status() {
                // RFC 4954, section 6: 454 is the one that may pass.
                Some(_) if error.is_transient() => judge(&error, "sign_in"),
                _ if error.is_permanent() || error.is_client() => {
                    NotifyError::new(NotifyErrorKind::Misconfigured, "sign_in")
                }
                _ => judge(&error, "sign_in"),
            })?;
        }
        let mut options = Vec::new();
        if envelope.to().iter().any(|address| !AsRef::<str>::as_ref(address).is_ascii()) {
            if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
                return Err(NotifyError::new(NotifyErrorKind::Refused, "receiver_address"));
            }
            options.push(MailParameter::SmtpUtfEight);
        }
        let from = MailFrom::new(envelope.from().cloned(), options);
        connection.command(from).await.map_err(|error| {
            // A server that does not let us send as this sender takes no mail of ours.
            if error.is_permanent() {
                return NotifyError::new(NotifyErrorKind::Misconfigured, "sender_refused");
            }
            judge(&error, "sender")
        })?;
        self.name_receivers(&mut connection, envelope).await?;
        connection.command(Data).await.map_err(|error| judge(&error, "data"))?;
        Ok(connection)
    }

    /// One bad address does not keep the others from their mail.
    async fn name_receivers(
        &self,
        connection: &mut AsyncSmtpConnection,
        envelope: &Envelope,
    ) -> Result<(), NotifyError> {
        let mut taken = 0;
        for address in envelope.to() {
            match connection.command(Rcpt::new(address.clone(), Vec::new())).await {
                Ok(_) => taken += 1,
                Err(error) if error.is_permanent() => {}
                Err(error) => return Err(judge(&error, "receiver")),
            }
        }
        if taken == 0 {
            return Err(NotifyError::new(NotifyErrorKind::Refused, "receiver_refused"));
        }
        Ok(())
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, NotifyError> {
        let server = &self.server;
        let tls = || {
            let parameters = TlsParameters::new_rustls(server.host.clone());
            parameters.map_err(|_| NotifyError::new(NotifyErrorKind::Misconfigured, "tls"))
        };
        let implicit = match server.encryption {
            Encryption::Implicit => Some(tls()?),
            _ => None,
        };
        let hello = ClientId::default();
        let address = (server.host.as_str(), server.port);
        let connected =
            AsyncSmtpConnection::connect_tokio1(address, Some(PREPARING), &hello, implicit, None);
        let mut connection = connected.await.map_err(|error| judge(&error, "connect"))?;
        if server.encryption == Encryption::StartTls {
            if !connection.can_starttls() {
                return Err(NotifyError::new(NotifyErrorKind::Misconfigured, "no_starttls"));
            }
            let upgraded = connection.starttls(tls()?, &hello).await;
            upgraded.map_err(|error| judge(&error, "starttls"))?;
        }
        Ok(connection)
    }
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Smtp").field("host", &self.server.host).finish_non_exhaustive()
    }
}

#[async_trait]
impl Notifier for Smtp {
    fn kind(&self) -> &'static str {
        "smtp"
    }

    async fn send(&self, mail: &Mail) -> Result<(), NotifyError> {
        let (message, envelope) = self.message(mail)?;
        let slow = NotifyError::new(NotifyErrorKind::Temporary, "slow");
        let prepared = timeout(PREPARING, self.prepare(&envelope)).await;
        let mut connection = prepared.unwrap_or(Err(slow))?;
        let unclear = |reason| NotifyError::new(NotifyErrorKind::Unknown, reason);
        match timeout(ACCEPTING, connection.message(&message)).await {
            Ok(Ok(_)) => {}
            // Only a clear no is one: the server may have taken what broke off.
            Ok(Err(error)) if error.is_permanent() || error.is_transient() => {
                return Err(judge(&error, "message"));
            }
            Ok(Err(_)) => return Err(unclear("no_answer")),
            Err(_) => return Err(unclear("slow")),
        }
        // The mail is taken, whether the server hears the goodbye or not.
        drop(timeout(Duration::from_secs(5), connection.quit()).await);
        Ok(())
    }
}

/// What the server, or the network before it took anything, said. The words it said are left out:
/// they may name the receiver.
fn judge(error: &Error, step: &str) -> NotifyError {
    let code = error.status().map(u16::from);
    let (kind, what) = match code {
        // RFC 5321, section 4.5.3.2.x and common use: too many, or too full.
        Some(421 | 450 | 452) => (NotifyErrorKind::RateLimited, "busy"),
        Some(_) if error.is_permanent() => (NotifyErrorKind::Refused, "refused"),
        Some(_) => (NotifyErrorKind::Temporary, "later"),
        None if error.is_tls() => (NotifyErrorKind::Misconfigured, "tls"),
        None => (NotifyErrorKind::Temporary, "broken"),
    };
    let code = code.map(|code| format!("_{code}")).unwrap_or_default();
    NotifyError::new(kind, &format!("{step}_{what}{code}"))
}

/// A mail's id from its key: the same key gives the same id.
fn fingerprint(key: &str) -> String {
    let digest = Sha256::digest(key.as_bytes());
    digest[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}
