//! Which account, which numbers, and where Twilio and this service find each other.

use std::fmt;

use callcore::phone::PhoneNumber;
use secrecy::SecretString;
use url::Url;

use crate::twiml::ConnectKind;

/// Twilio's own address; other regions and edges have theirs, as
/// `https://api.dublin.ie1.twilio.com`.
pub const BASE_URL: &str = "https://api.twilio.com";

/// What an account is reached with.
#[derive(Debug)]
pub struct Config {
    pub(crate) account: String,
    pub(crate) credentials: Credentials,
    pub(crate) signing_tokens: Vec<SecretString>,
    pub(crate) caller_ids: Vec<PhoneNumber>,
    pub(crate) base_url: Url,
    pub(crate) public_url: Url,
    pub(crate) http: HttpHook,
    pub(crate) detection: Detection,
    pub(crate) agents: ConnectKind,
}

/// Whether a person hears the script while answering machine detection still listens
/// (<https://www.twilio.com/docs/voice/answering-machine-detection>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Detection {
    /// At once, except where the campaign leaves a message on machines: that has to wait for the
    /// end of the greeting.
    #[default]
    Auto,
    /// Only after detection spoke: some four seconds of silence for a person.
    Blocking,
    /// At once, always: a message begins when the greeting is over, if the call still goes on.
    Async,
}

impl Detection {
    pub(crate) const fn blocks(self, leaves_message: bool) -> bool {
        match self {
            Self::Auto => leaves_message,
            Self::Blocking => true,
            Self::Async => false,
        }
    }
}

/// How requests to Twilio are let in.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// The account's auth token, which also signs webhooks.
    AuthToken(SecretString),
    /// An API key. It signs nothing, so webhooks need [`Config::signed_by`] as well.
    ApiKey {
        /// Its id: `SK` and 32 hexadecimal digits.
        key: String,
        /// Its secret.
        secret: SecretString,
    },
}

/// Changes the HTTP client's builder before it is built.
pub(crate) struct HttpHook(
    pub(crate) Box<dyn FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder + Send>,
);

impl fmt::Debug for HttpHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpHook")
    }
}

/// A configuration that can't work.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The account's id is none.
    #[error("an account's id is AC and 32 hexadecimal digits")]
    Account,
    /// The API key's id is none.
    #[error("an API key's id is SK and 32 hexadecimal digits")]
    ApiKey,
    /// An address is none, or has a query, a fragment or a user.
    #[error("{0} is no address: https://host, perhaps with a port and a path")]
    Address(&'static str),
    /// Twilio takes no callbacks to a host with an underscore.
    #[error("the public address has an underscore in its host, which Twilio refuses")]
    Underscore,
    /// There is no number to call from.
    #[error("there is no number to call from")]
    NoCallerId,
    /// With an API key and no auth token no webhook could ever be believed.
    #[error("webhooks are signed with the auth token: give it beside the API key")]
    NoSigningToken,
    /// No HTTP client can be made.
    #[error("no HTTP client")]
    Http(#[from] reqwest::Error),
}

impl Config {
    /// An account, called from these numbers, whose callbacks come to `public_url`.
    ///
    /// # Errors
    ///
    /// The account's id, the key's id or the address can't be one, or there is no number.
    pub fn new(
        account: &str,
        credentials: Credentials,
        caller_ids: impl IntoIterator<Item = PhoneNumber>,
        public_url: &str,
    ) -> Result<Self, ConfigError> {
        if !is_id(account, "AC") {
            return Err(ConfigError::Account);
        }
        let mut signing_tokens = Vec::new();
        match &credentials {
            Credentials::AuthToken(token) => signing_tokens.push(token.clone()),
            Credentials::ApiKey { key, .. } if is_id(key, "SK") => {}
            Credentials::ApiKey { .. } => return Err(ConfigError::ApiKey),
        }
        let caller_ids: Vec<PhoneNumber> = caller_ids.into_iter().collect();
        if caller_ids.is_empty() {
            return Err(ConfigError::NoCallerId);
        }
        let public_url = address(public_url, "the public address")?;
        if public_url.host_str().is_some_and(|host| host.contains('_')) {
            return Err(ConfigError::Underscore);
        }
        Ok(Self {
            account: account.to_owned(),
            credentials,
            signing_tokens,
            caller_ids,
            base_url: address(BASE_URL, "the base address")?,
            public_url,
            http: HttpHook(Box::new(|builder| builder)),
            detection: Detection::default(),
            agents: ConnectKind::Stream,
        })
    }

    /// Another region or edge, or a fake.
    ///
    /// # Errors
    ///
    /// It is no address.
    pub fn base_url(mut self, url: &str) -> Result<Self, ConfigError> {
        self.base_url = address(url, "the base address")?;
        Ok(self)
    }

    /// Also believes webhooks signed with this auth token: beside an API key, or while the account's
    /// token is being changed.
    #[must_use]
    pub fn signed_by(mut self, token: SecretString) -> Self {
        self.signing_tokens.push(token);
        self
    }

    /// How answering machines are told from people.
    #[must_use]
    pub const fn detection(mut self, detection: Detection) -> Self {
        self.detection = detection;
        self
    }

    /// How the agents that scripts connect to are spoken to; as raw audio, if nothing is said.
    #[must_use]
    pub const fn agents(mut self, kind: ConnectKind) -> Self {
        self.agents = kind;
        self
    }

    /// Shapes the HTTP client: proxies, TLS, resolvers, time-outs. Redirects, retries and pooled
    /// connections are switched off afterwards whatever is done here, since each of them could
    /// dial twice.
    #[must_use]
    pub fn http(
        mut self,
        shape: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder + Send + 'static,
    ) -> Self {
        self.http = HttpHook(Box::new(shape));
        self
    }
}

/// An address without query, fragment and user, with a path that ends in a slash.
fn address(text: &str, what: &'static str) -> Result<Url, ConfigError> {
    let mut url = Url::parse(text.trim()).map_err(|_| ConfigError::Address(what))?;
    let is_bare = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    if !matches!(url.scheme(), "https" | "http") || !is_bare || url.password().is_some() {
        return Err(ConfigError::Address(what));
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

/// Whether a text is an id of Twilio's: two letters and 32 hexadecimal digits.
fn is_id(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix)
        .is_some_and(|rest| rest.len() == 32 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";

    fn token() -> Credentials {
        Credentials::AuthToken(SecretString::from("secret".to_owned()))
    }

    fn from() -> Vec<PhoneNumber> {
        vec!["+12125550100".parse().unwrap()]
    }

    #[test]
    fn a_configuration_that_cant_work_is_refused_in_words() {
        let new = |account, url| Config::new(account, token(), from(), url);
        assert!(new(ACCOUNT, "https://calls.example.com/voice").is_ok());
        assert!(matches!(new("AC1", "https://c.example"), Err(ConfigError::Account)));
        for url in [
            "calls.example.com",
            "ftp://c.example",
            "https://a:b@c.example",
            "https://c.example?x=1",
        ] {
            assert!(matches!(new(ACCOUNT, url), Err(ConfigError::Address(_))), "{url}");
        }
        assert!(matches!(new(ACCOUNT, "https://a_b.example"), Err(ConfigError::Underscore)));
        let nobody = Config::new(ACCOUNT, token(), [], "https://c.example");
        assert!(matches!(nobody, Err(ConfigError::NoCallerId)));
        let key = Credentials::ApiKey { key: "SK1".to_owned(), secret: "x".to_owned().into() };
        let bad = Config::new(ACCOUNT, key, from(), "https://c.example");
        assert!(matches!(bad, Err(ConfigError::ApiKey)));
    }

    #[test]
    fn no_secret_shows_in_a_log() {
        let config = Config::new(ACCOUNT, token(), from(), "https://c.example").unwrap();
        let shown = format!("{config:?}");
        assert!(!shown.contains("secret\""), "{shown}");
        assert!(!shown.contains("5550100"), "{shown}");
    }
}
