//! Mail: which way it takes, to whom, and how much of it.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use callcore::account::SummaryAt;
use callcore::mail::Links;
use callcore::mailer::{MailLimits, MailSettings, Mailer};
use callcore::port::{MailAddress, Notifier, Store};
use callcore::time::{Clock, Entropy, Zone};
use callcore_email::resend::{BASE_URL, FREE_PER_DAY, FREE_PER_MONTH, Resend};
use callcore_email::smtp::Smtp;
use clap::Args;

use crate::config::{Secret, Switch};
use crate::http_client;

/// The most receivers: what Resend takes in one mail.
const MAX_RECEIVERS: usize = 50;

#[derive(Debug, Args)]
pub(crate) struct MailArgs {
    /// Send mail through Resend, with this API key.
    #[arg(long, env = "RESEND_API_KEY", hide_env_values = true, value_name = "KEY")]
    resend_api_key: Option<Secret>,
    /// Where Resend's API is [default: Resend's own]
    #[arg(long, env = "RESEND_BASE_URL", value_name = "URL")]
    resend_base_url: Option<String>,
    /// Send mail through an SMTP server instead: smtps://USER:PASSWORD@HOST, or smtp://... for
    /// STARTTLS (`?tls=none` goes without)
    #[arg(long, env = "SMTP_URL", hide_env_values = true, value_name = "URL")]
    smtp_url: Option<Secret>,
    /// The sender of mail, such as "Acme Calls <calls@example.com>".
    #[arg(long, env = "CALLCORE_MAIL_FROM", value_name = "ADDRESS")]
    mail_from: Option<String>,
    /// The receivers of mail, parted by commas.
    #[arg(long, env = "CALLCORE_MAIL_TO", value_name = "ADDRESSES")]
    mail_to: Option<String>,
    /// Whether people's names and numbers may stand in mails; else they have counts and links.
    #[arg(long, env = "CALLCORE_MAIL_DETAILS", default_value = "off", value_name = "on|off")]
    mail_details: Switch,
    /// How many mails may be sent in a day, each receiver as one [default: 100 with Resend, which
    /// is its free tier, else off]
    #[arg(long, env = "CALLCORE_MAIL_PER_DAY", value_name = "N|off")]
    mail_per_day: Option<Limit>,
    /// The same for a month [default: 3000 with Resend, else off]
    #[arg(long, env = "CALLCORE_MAIL_PER_MONTH", value_name = "N|off")]
    mail_per_month: Option<Limit>,
    /// When the daily summary is mailed, in the time zone.
    #[arg(long, env = "CALLCORE_SUMMARY_AT", default_value = "18:00", value_name = "HH:MM|off")]
    summary_at: SummaryAt,
}

/// A number of mails, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Limit(Option<u32>);

impl std::str::FromStr for Limit {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "off" => Ok(Self(None)),
            _ => match text.parse() {
                Ok(limit) if limit > 0 => Ok(Self(Some(limit))),
                _ => Err("say a number above 0, or `off`"),
            },
        }
    }
}

/// The mail settings do not go together.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MailError {
    #[error("RESEND_API_KEY and SMTP_URL are two ways for mail: set one of them")]
    TwoRoutes,
    #[error("{0} is set, but neither RESEND_API_KEY nor SMTP_URL: no mail would go out")]
    NoRoute(&'static str),
    #[error("mail needs {0} too: set it, or unset RESEND_API_KEY and SMTP_URL")]
    Missing(&'static str),
    #[error("RESEND_BASE_URL is for Resend: it has no meaning with SMTP_URL")]
    BaseWithSmtp,
    #[error("{0}: {1}")]
    Bad(&'static str, String),
}

/// Mail that is sent.
pub(crate) struct MailConfig {
    route: Arc<dyn Notifier>,
    to: Vec<MailAddress>,
    details: bool,
    limits: MailLimits,
    summary_at: SummaryAt,
}

impl fmt::Debug for MailConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailConfig").field("route", &self.route).finish_non_exhaustive()
    }
}

impl MailConfig {
    /// Mail as it was set, or none if nothing of it was.
    pub(crate) fn new(args: MailArgs) -> Result<Option<Self>, MailError> {
        let has_route = args.resend_api_key.is_some() || args.smtp_url.is_some();
        if !has_route {
            let idle = [
                ("CALLCORE_MAIL_FROM", args.mail_from.is_some()),
                ("CALLCORE_MAIL_TO", args.mail_to.is_some()),
                ("RESEND_BASE_URL", args.resend_base_url.is_some()),
                ("CALLCORE_MAIL_PER_DAY", args.mail_per_day.is_some()),
                ("CALLCORE_MAIL_PER_MONTH", args.mail_per_month.is_some()),
            ];
            let idle = idle.into_iter().find(|(_, is_set)| *is_set);
            return idle.map_or(Ok(None), |(name, _)| Err(MailError::NoRoute(name)));
        }
        let from = args.mail_from.ok_or(MailError::Missing("CALLCORE_MAIL_FROM"))?;
        let from: MailAddress = bad("CALLCORE_MAIL_FROM", from.parse())?;
        let to = args.mail_to.ok_or(MailError::Missing("CALLCORE_MAIL_TO"))?;
        let to = bad("CALLCORE_MAIL_TO", MailAddress::list(&to))?;
        if !(1..=MAX_RECEIVERS).contains(&to.len()) {
            let count = format!("name 1 to {MAX_RECEIVERS} addresses");
            return Err(MailError::Bad("CALLCORE_MAIL_TO", count));
        }
        let (route, free): (Arc<dyn Notifier>, _) = match (args.resend_api_key, args.smtp_url) {
            (Some(_), Some(_)) => return Err(MailError::TwoRoutes),
            (Some(key), None) => {
                let free = (Some(FREE_PER_DAY), Some(FREE_PER_MONTH));
                (Arc::new(resend(&key, args.resend_base_url.as_deref(), from)?), free)
            }
            (None, _) if args.resend_base_url.is_some() => return Err(MailError::BaseWithSmtp),
            (None, url) => {
                let url = url.unwrap_or_else(|| String::new().into());
                (Arc::new(bad("SMTP_URL", Smtp::new(url.reveal(), from))?), (None, None))
            }
        };
        Ok(Some(Self {
            route,
            to,
            details: args.mail_details.is_on(),
            limits: MailLimits {
                per_day: args.mail_per_day.map_or(free.0, |limit| limit.0),
                per_month: args.mail_per_month.map_or(free.1, |limit| limit.0),
            },
            summary_at: args.summary_at,
        }))
    }

    /// The mailer, whose links go to `base`.
    pub(crate) fn mailer(
        self,
        store: Arc<dyn Store>,
        clocks: (Arc<dyn Clock>, Arc<dyn Clock>),
        entropy: Arc<dyn Entropy>,
        base: &str,
        zone: Zone,
    ) -> Mailer {
        let summary_at = match self.summary_at {
            SummaryAt::Off => None,
            SummaryAt::At(at) => Some(at),
        };
        let settings = MailSettings {
            to: self.to,
            details: self.details,
            links: Links::new(base),
            zone,
            summary_at,
            limits: self.limits,
        };
        Mailer::new(store, self.route, clocks.0, clocks.1, entropy, settings)
    }
}

fn resend(key: &Secret, base: Option<&str>, from: MailAddress) -> Result<Resend, MailError> {
    let base = base.unwrap_or(BASE_URL);
    let client =
        if base.starts_with("http://") { http_client::plain() } else { http_client::encrypted() };
    let client = bad("RESEND_BASE_URL", client.build())?;
    Resend::new(client, base, key.reveal(), from).map_err(|error| match error {
        callcore_email::resend::ResendError::Key => {
            MailError::Bad("RESEND_API_KEY", error.to_string())
        }
        _ => MailError::Bad("RESEND_BASE_URL", error.to_string()),
    })
}

fn bad<T, E: Error>(name: &'static str, result: Result<T, E>) -> Result<T, MailError> {
    result.map_err(|error| MailError::Bad(name, error.to_string()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        mail: MailArgs,
    }

    fn config(args: &[&str]) -> Result<Option<MailConfig>, MailError> {
        let args = std::iter::once("test").chain(args.iter().copied());
        MailConfig::new(Cli::try_parse_from(args).unwrap().mail)
    }

    const FROM: [&str; 2] = ["--mail-from", "Acme <calls@example.com>"];
    const TO: [&str; 2] = ["--mail-to", "ada@example.com,ops@example.com"];
    const KEY: [&str; 2] = ["--resend-api-key", "re_123"];
    const SMTP: [&str; 2] = ["--smtp-url", "smtp://127.0.0.1:1025"];

    #[test]
    fn mail_is_off_until_there_is_a_way_for_it() {
        assert!(config(&[]).unwrap().is_none());
        assert!(config(&["--summary-at", "off"]).unwrap().is_none());
        for (args, name) in [
            (&FROM, "CALLCORE_MAIL_FROM"),
            (&TO, "CALLCORE_MAIL_TO"),
            (&["--resend-base-url", "http://a"], "RESEND_BASE_URL"),
            (&["--mail-per-month", "5"], "CALLCORE_MAIL_PER_MONTH"),
        ] {
            assert_eq!(config(args).unwrap_err(), MailError::NoRoute(name));
        }
    }

    #[test]
    fn a_way_needs_a_sender_and_receivers() {
        for way in [KEY, SMTP] {
            let missing = config(&[way, FROM].concat()).unwrap_err();
            assert_eq!(missing, MailError::Missing("CALLCORE_MAIL_TO"));
            let missing = config(&[way, TO].concat()).unwrap_err();
            assert_eq!(missing, MailError::Missing("CALLCORE_MAIL_FROM"));
            assert!(config(&[way, FROM, TO].concat()).unwrap().is_some());
        }
        assert_eq!(config(&[KEY, SMTP, FROM, TO].concat()).unwrap_err(), MailError::TwoRoutes);
    }

    #[test]
    fn resends_free_tier_is_the_limit_unless_told() {
        let limits = |args: &[[&str; 2]]| config(&args.concat()).unwrap().unwrap().limits;
        let free = MailLimits { per_day: Some(100), per_month: Some(3_000) };
        assert_eq!(limits(&[KEY, FROM, TO]), free);
        assert_eq!(limits(&[SMTP, FROM, TO]), MailLimits::default());
        let told = limits(&[KEY, FROM, TO, ["--mail-per-month", "9"], ["--mail-per-day", "off"]]);
        assert_eq!(told, MailLimits { per_day: None, per_month: Some(9) });
    }

    #[test]
    fn what_can_not_be_used_is_said_by_name_and_shows_no_secret() {
        let with = |more: &[&'static str]| {
            let args = [&KEY[..], &FROM, &TO, more].concat();
            config(&args).unwrap_err().to_string()
        };
        assert!(with(&["--resend-base-url", "api.resend.com"]).starts_with("RESEND_BASE_URL: "));
        let args = [&["--resend-api-key", "re 1"], &FROM[..], &TO].concat();
        assert!(config(&args).unwrap_err().to_string().starts_with("RESEND_API_KEY: "));
        let url = "http://ada:hush@mail.example.com";
        let args = [&["--smtp-url", url], &FROM[..], &TO].concat();
        let said = config(&args).unwrap_err().to_string();
        assert!(said.starts_with("SMTP_URL: ") && !said.contains("hush"), "{said}");
        let args = [&KEY[..], &FROM, &["--mail-to", "nobody"]].concat();
        assert!(config(&args).unwrap_err().to_string().starts_with("CALLCORE_MAIL_TO: "));
        let args = [&KEY[..], &FROM, &["--mail-to", ","]].concat();
        assert!(config(&args).unwrap_err().to_string().contains("1 to 50"));
    }
}
