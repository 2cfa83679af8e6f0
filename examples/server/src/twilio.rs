//! Twilio's settings, and what `check` says about them.

use std::error::Error;
use std::io::Write;
use std::sync::Arc;

use callcore::phone::PhoneNumber;
use callcore::time::{Clock, Entropy};
use callcore_twilio::Twilio;
use callcore_twilio::config::{self, BASE_URL, Credentials};
use clap::Args;

use crate::config::{CheckArgs, Secret, public_url};
use crate::http_client;

#[derive(Debug, Clone, Args)]
pub(crate) struct TwilioArgs {
    /// The Twilio account: with it, phones ring.
    #[arg(long, env = "TWILIO_ACCOUNT_SID", value_name = "AC...")]
    twilio_account_sid: Option<String>,
    /// The account's auth token; it also signs what Twilio sends.
    #[arg(long, env = "TWILIO_AUTH_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    twilio_auth_token: Option<Secret>,
    /// An API key to dial with, beside the auth token.
    #[arg(long, env = "TWILIO_API_KEY", value_name = "SK...")]
    twilio_api_key: Option<String>,
    /// The API key's secret.
    #[arg(long, env = "TWILIO_API_SECRET", hide_env_values = true, value_name = "SECRET")]
    twilio_api_secret: Option<Secret>,
    /// The numbers to call from, with commas between them.
    #[arg(long, env = "TWILIO_FROM", value_name = "NUMBERS", value_delimiter = ',')]
    twilio_from: Vec<String>,
    /// Twilio's address, for another region or edge [default: api.twilio.com]
    #[arg(long, env = "TWILIO_API_BASE_URL", value_name = "URL")]
    twilio_api_base_url: Option<String>,
}

/// Settings of Twilio that go together.
#[derive(Debug)]
pub(crate) struct TwilioConfig {
    account: String,
    auth_token: Secret,
    api_key: Option<(String, Secret)>,
    from: Vec<PhoneNumber>,
    base_url: String,
    public_url: String,
}

/// What is missing or wrong.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TwilioError {
    #[error("to call through Twilio, also set {0}")]
    Missing(String),
    #[error("TWILIO_API_KEY and TWILIO_API_SECRET go together: set both or neither")]
    HalfAKey,
    #[error("TWILIO_FROM: {0:?} is no number in E.164, such as +12125550100")]
    From(String),
    #[error("{0}")]
    Refused(String),
}

impl TwilioConfig {
    /// The settings; none if Twilio is not meant.
    pub(crate) fn new(
        args: TwilioArgs,
        public_url: Option<&str>,
    ) -> Result<Option<Self>, TwilioError> {
        let from: Vec<&str> =
            args.twilio_from.iter().map(|it| it.trim()).filter(|it| !it.is_empty()).collect();
        let meant = args.twilio_account_sid.is_some()
            || args.twilio_auth_token.is_some()
            || args.twilio_api_key.is_some()
            || args.twilio_api_secret.is_some()
            || !from.is_empty();
        if !meant {
            return Ok(None);
        }
        let missing: Vec<&str> = [
            (args.twilio_account_sid.is_none(), "TWILIO_ACCOUNT_SID"),
            (args.twilio_auth_token.is_none(), "TWILIO_AUTH_TOKEN (it signs what Twilio sends)"),
            (from.is_empty(), "TWILIO_FROM"),
            (public_url.is_none(), "CALLCORE_PUBLIC_URL (where Twilio reaches this server)"),
        ]
        .into_iter()
        .filter_map(|(is_missing, name)| is_missing.then_some(name))
        .collect();
        let (Some(account), Some(auth_token), Some(public_url), true) =
            (args.twilio_account_sid, args.twilio_auth_token, public_url, missing.is_empty())
        else {
            return Err(TwilioError::Missing(missing.join(", ")));
        };
        let number = |text: &&str| text.parse().map_err(|_| TwilioError::From((*text).to_owned()));
        let config = Self {
            account,
            auth_token,
            api_key: match (args.twilio_api_key, args.twilio_api_secret) {
                (Some(key), Some(secret)) => Some((key, secret)),
                (None, None) => None,
                _ => return Err(TwilioError::HalfAKey),
            },
            from: from.iter().map(number).collect::<Result<_, _>>()?,
            base_url: args.twilio_api_base_url.unwrap_or_else(|| BASE_URL.to_owned()),
            public_url: public_url.to_owned(),
        };
        config.settings().map_err(|error| TwilioError::Refused(error.to_string()))?;
        Ok(Some(config))
    }

    fn settings(&self) -> Result<config::Config, config::ConfigError> {
        let secret = |secret: &Secret| secret.reveal().to_owned().into();
        let credentials = match &self.api_key {
            Some((key, api_secret)) => {
                Credentials::ApiKey { key: key.clone(), secret: secret(api_secret) }
            }
            None => Credentials::AuthToken(secret(&self.auth_token)),
        };
        let config =
            config::Config::new(&self.account, credentials, self.from.clone(), &self.public_url)?;
        let config = match self.api_key {
            Some(_) => config.signed_by(secret(&self.auth_token)),
            None => config,
        };
        config.base_url(&self.base_url)
    }

    /// The carrier.
    ///
    /// # Errors
    ///
    /// No HTTP client can be made.
    pub(crate) fn carrier(
        &self,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Twilio, config::ConfigError> {
        let is_plain = self.base_url.starts_with("http://");
        let config = self.settings()?.http(move |builder| http_client::shaped(builder, is_plain));
        http_client::ready();
        Twilio::new(config, clock, entropy)
    }
}

/// Asks Twilio, prints what it says, and whether campaigns could run.
///
/// # Errors
///
/// A setting is missing, Twilio does not answer, or something keeps campaigns from running.
pub(crate) async fn check(
    args: CheckArgs,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let public = args.public_url.as_deref().map(public_url).transpose()?;
    let config = TwilioConfig::new(args.twilio, public.as_deref())?
        .ok_or("nothing of Twilio is set: TWILIO_ACCOUNT_SID and the others, see --help")?;
    let twilio = config.carrier(clock, entropy)?;
    let countries: Vec<&str> = args.countries.iter().map(|it| it.trim()).collect();
    let found = twilio.inspect(&countries).await?;
    let (obstacles, warnings) = (found.obstacles(), found.warnings());
    let mut out = std::io::stdout().lock();
    let kind = if found.is_trial { "a trial account" } else { "an account" };
    writeln!(out, "Twilio answers: {kind}, {}.", found.status)?;
    for caller in &found.callers {
        writeln!(out, "Calls from {}.", caller.number)?;
    }
    writeln!(out, "Twilio starts one call a second unless it raised your rate; it does not say.")?;
    writeln!(out, "\nSet these at each number (Voice, by POST), so that calls back arrive:")?;
    for (name, url) in twilio.number_urls() {
        writeln!(out, "  {name}: {url}")?;
    }
    for (title, lines) in [("\nGood to know:", &warnings), ("\nIn the way:", &obstacles)] {
        if !lines.is_empty() {
            writeln!(out, "{title}")?;
        }
        for line in lines {
            writeln!(out, "  {line}")?;
        }
    }
    writeln!(out)?;
    if obstacles.is_empty() {
        writeln!(out, "Campaigns could run.")?;
        return Ok(());
    }
    Err("campaigns could not run".into())
}
