use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use url::{Host, Url};

/// Where an SMTP server is and how it is spoken to.
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) encryption: Encryption,
    pub(super) credentials: Option<(String, SecretString)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encryption {
    /// From the first byte on.
    Implicit,
    /// From STARTTLS on, before anything is told.
    StartTls,
    None,
}

/// A URL names no SMTP server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SmtpUrlError {
    /// It is no URL of the kind.
    #[error(
        "write smtp://HOST or smtps://HOST, with USER:PASSWORD@ before the host if it needs them"
    )]
    Url,
    /// It has something that is not known.
    #[error("after the host nothing may follow but ?tls=none or ?tls=required")]
    Option,
    /// A user without password, or the other way round.
    #[error("user and password go together")]
    HalfCredentials,
    /// Percent-encoded text that is none.
    #[error("user and password must be UTF-8, percent-encoded where they hold @, : or /")]
    Encoding,
    /// `smtps` without TLS.
    #[error("smtps:// is with TLS: write smtp:// for a server without")]
    Contradiction,
}

impl Server {
    pub(super) fn parse(text: &str) -> Result<Self, SmtpUrlError> {
        let url = Url::parse(text).map_err(|_| SmtpUrlError::Url)?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(SmtpUrlError::Url)?;
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err(SmtpUrlError::Option);
        }
        let asked = match url.query() {
            None => None,
            Some("tls=none") => Some(false),
            Some("tls=required") => Some(true),
            Some(_) => return Err(SmtpUrlError::Option),
        };
        let encryption = match (url.scheme(), asked) {
            ("smtps", Some(false)) => return Err(SmtpUrlError::Contradiction),
            ("smtps", _) => Encryption::Implicit,
            ("smtp", Some(true)) => Encryption::StartTls,
            ("smtp", Some(false)) => Encryption::None,
            ("smtp", None) if is_loopback(host) => Encryption::None,
            ("smtp", None) => Encryption::StartTls,
            _ => return Err(SmtpUrlError::Url),
        };
        let port = url.port().unwrap_or(match encryption {
            Encryption::Implicit => 465,
            Encryption::StartTls => 587,
            Encryption::None => 25,
        });
        let credentials = match (url.username(), url.password()) {
            ("", None) => None,
            ("", Some(_)) | (_, None) => return Err(SmtpUrlError::HalfCredentials),
            (user, Some(password)) => Some((decoded(user)?, decoded(password)?.into())),
        };
        let host = host.trim_matches(['[', ']']).to_owned();
        Ok(Self { host, port, encryption, credentials })
    }
}

fn decoded(text: &str) -> Result<String, SmtpUrlError> {
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| SmtpUrlError::Encoding)?;
    if decoded.chars().any(char::is_control) {
        return Err(SmtpUrlError::Encoding);
    }
    Ok(decoded.into_owned())
}

fn is_loopback(host: &str) -> bool {
    match Host::parse(host) {
        Ok(Host::Ipv4(ip)) => ip.is_loopback(),
        Ok(Host::Ipv6(ip)) => ip.is_loopback(),
        Ok(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn read(text: &str) -> (String, u16, Encryption) {
        let server = Server::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        (server.host, server.port, server.encryption)
    }

    #[test]
    fn words_go_unencrypted_on_this_machine_only_unless_told() {
        let mail = |port, encryption| ("mail.example.com".to_owned(), port, encryption);
        assert_eq!(read("smtp://mail.example.com"), mail(587, Encryption::StartTls));
        assert_eq!(read("smtps://mail.example.com/"), mail(465, Encryption::Implicit));
        assert_eq!(read("smtp://mail.example.com:25?tls=none"), mail(25, Encryption::None));
        for host in ["127.0.0.1", "localhost", "[::1]"] {
            let (_, port, encryption) = read(&format!("smtp://{host}:1025"));
            assert_eq!((port, encryption), (1025, Encryption::None), "{host}");
            let (_, _, encryption) = read(&format!("smtp://{host}?tls=required"));
            assert_eq!(encryption, Encryption::StartTls);
        }
    }

    #[test]
    fn user_and_password_may_hold_anything() {
        let server = Server::parse("smtps://a%40b.co:p%3Ass%2F%40@mail.example.com");
        let (user, password) = server.ok().and_then(|server| server.credentials).unwrap();
        assert_eq!((user.as_str(), password.expose_secret()), ("a@b.co", "p:ss/@"));
    }

    #[test]
    fn what_is_not_understood_is_refused_in_words() {
        for (text, error) in [
            ("mail.example.com", SmtpUrlError::Url),
            ("http://mail.example.com", SmtpUrlError::Url),
            ("smtp://", SmtpUrlError::Url),
            ("smtp://mail.example.com/inbox", SmtpUrlError::Option),
            ("smtp://mail.example.com?tls=maybe", SmtpUrlError::Option),
            ("smtps://mail.example.com?tls=none", SmtpUrlError::Contradiction),
            ("smtp://ada@mail.example.com", SmtpUrlError::HalfCredentials),
            ("smtp://a:%ff@mail.example.com", SmtpUrlError::Encoding),
            ("smtp://a:b%0d%0aQUIT@mail.example.com", SmtpUrlError::Encoding),
        ] {
            assert_eq!(Server::parse(text).err(), Some(error), "{text}");
        }
    }
}
