//! What the server is told: flags, environment variables, and which of them go together.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use callcore::time::Zone;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::mail::{MailArgs, MailConfig, MailError};
use crate::twilio::{TwilioArgs, TwilioConfig, TwilioError};

/// The shortest bearer token: below this, guessing is a matter of patience.
const MIN_TOKEN_CHARS: usize = 16;
/// The shortest password.
const MIN_PASSWORD_CHARS: usize = 8;
/// Campaign seconds in a real one, on a simulated carrier.
const SIM_SPEED: u32 = 60;
const DEFAULT_DATABASE: &str = "sqlite://callcore.db";

/// Call campaigns: upload a CSV of clients; they are called when they may be.
///
/// Without any setting it keeps its data in callcore.db, calls through a simulated carrier (nobody's
/// phone rings), shows a demo campaign on http://127.0.0.1:3000 and prints a sign-in link.
#[derive(Debug, Parser)]
#[command(name = "callcore-server", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) serve: ServeArgs,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the simulated carrier as a process of its own, which outlives the server.
    SimCarrier(SimCarrierArgs),
    /// Ask Twilio whether campaigns could run, and say what is missing. Nobody is called.
    Check(CheckArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Where to listen; anything but loopback needs a password or a token.
    #[arg(long, env = "CALLCORE_BIND", default_value = "127.0.0.1:3000", value_name = "ADDRESS")]
    bind: SocketAddr,
    /// The database: sqlite://FILE [default: sqlite://callcore.db]
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database_url: Option<String>,
    /// A bearer token for the API, with the role admin.
    #[arg(long, env = "CALLCORE_API_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    api_token: Option<Secret>,
    /// The password of the user `admin`.
    #[arg(long, env = "CALLCORE_ADMIN_PASSWORD", hide_env_values = true, value_name = "PASSWORD")]
    admin_password: Option<Secret>,
    /// Whether an empty database gets the demo campaign [default: only if database, carrier, token
    /// and password are all unset]
    #[arg(long, env = "CALLCORE_DEMO", value_name = "on|off")]
    demo: Option<Switch>,
    /// Campaign seconds that pass in one second, on a simulated carrier [default: 60]
    #[arg(long, env = "CALLCORE_SIM_SPEED", value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    sim_speed: Option<u32>,
    /// The simulated carrier's seed [default: random at the first start, then kept]
    #[arg(long, env = "CALLCORE_SIM_SEED", value_name = "N")]
    sim_seed: Option<u64>,
    /// Call through a simulated carrier that runs as its own process (see `sim-carrier`).
    #[arg(long, env = "CALLCORE_SIM_CARRIER_URL", value_name = "URL")]
    sim_carrier_url: Option<String>,
    /// The secret shared with that process.
    #[arg(
        long,
        env = "CALLCORE_SIM_CARRIER_SECRET",
        hide_env_values = true,
        value_name = "SECRET"
    )]
    sim_carrier_secret: Option<Secret>,
    /// The zone of "today" on the dashboard.
    #[arg(long, env = "CALLCORE_TIME_ZONE", default_value = "UTC", value_name = "ZONE")]
    time_zone: Zone,
    #[command(flatten)]
    twilio: TwilioArgs,
    #[command(flatten)]
    mail: MailArgs,
    /// Where people reach this server, for the links in mails [default: where it listens]
    #[arg(long, env = "CALLCORE_PUBLIC_URL", value_name = "URL")]
    public_url: Option<String>,
    /// What lets a scheduler in to /api/cron/*; without it there is no such path.
    #[arg(long, env = "CRON_SECRET", hide_env_values = true, value_name = "SECRET")]
    cron_secret: Option<Secret>,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SimCarrierArgs {
    /// Where to listen; loopback only.
    #[arg(long, env = "CALLCORE_SIM_CARRIER_BIND", value_name = "ADDRESS")]
    pub(crate) bind: SocketAddr,
    /// The file of the dial log; it is appended to, and read again at the start.
    #[arg(long, env = "CALLCORE_SIM_CARRIER_LOG", value_name = "FILE")]
    pub(crate) dial_log: PathBuf,
    /// Where the server takes events: the address it listens on.
    #[arg(long, env = "CALLCORE_SIM_CARRIER_SERVER_URL", value_name = "URL")]
    pub(crate) server_url: String,
    /// The secret shared with the server.
    #[arg(
        long,
        env = "CALLCORE_SIM_CARRIER_SECRET",
        hide_env_values = true,
        value_name = "SECRET"
    )]
    pub(crate) secret: Secret,
    /// The seed of everything that happens; the same at every start on one log.
    #[arg(long, env = "CALLCORE_SIM_SEED", value_name = "N")]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The countries to be called, by their two letters.
    #[arg(long, value_name = "COUNTRIES", value_delimiter = ',', default_value = "US")]
    pub(crate) countries: Vec<String>,
    /// Where Twilio reaches the server.
    #[arg(long, env = "CALLCORE_PUBLIC_URL", value_name = "URL")]
    pub(crate) public_url: Option<String>,
    #[command(flatten)]
    pub(crate) twilio: TwilioArgs,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// What is logged, as in `info` or `callcore=debug`.
    #[arg(long, env = "RUST_LOG", default_value = "info", value_name = "FILTER")]
    pub(crate) log: String,
    /// How it is logged.
    #[arg(long, env = "CALLCORE_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    pub(crate) log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Switch(bool);

impl Switch {
    pub(crate) const fn is_on(self) -> bool {
        self.0
    }
}

impl std::str::FromStr for Switch {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "on" | "true" | "yes" | "1" => Ok(Self(true)),
            "off" | "false" | "no" | "0" => Ok(Self(false)),
            _ => Err("say `on` or `off`"),
        }
    }
}

/// A text that must not be shown.
#[derive(Clone)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// Settings that go together.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) bind: SocketAddr,
    /// `sqlite://FILE`.
    pub(crate) database: String,
    pub(crate) api_token: Option<Secret>,
    pub(crate) admin_password: Option<Secret>,
    pub(crate) demo: bool,
    /// Campaign seconds in a real one: 1 wherever phones ring.
    pub(crate) speed: u32,
    pub(crate) carrier: Carrier,
    pub(crate) time_zone: Zone,
    pub(crate) mail: Option<MailConfig>,
    /// Without a slash at its end.
    pub(crate) public_url: Option<String>,
    pub(crate) cron_secret: Option<Secret>,
}

/// Which carrier calls.
#[derive(Debug)]
pub(crate) enum Carrier {
    /// The simulated one, inside the server.
    InProcess { seed: Option<u64> },
    /// The simulated one, as a process of its own.
    Process { url: String, secret: Secret },
    /// Twilio: phones ring.
    Twilio(TwilioConfig),
}

/// The settings do not go together, or name something this version does not have.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error(
        "listening on {0} lets others reach this server: set CALLCORE_ADMIN_PASSWORD or \
         CALLCORE_API_TOKEN, or bind to 127.0.0.1"
    )]
    Exposed(SocketAddr),
    #[error("this version keeps its data in SQLite only: set DATABASE_URL to sqlite://FILE")]
    PostgresNotYet,
    #[error("DATABASE_URL must be sqlite://FILE")]
    Database,
    #[error("CALLCORE_API_TOKEN is too short: give it at least {MIN_TOKEN_CHARS} characters")]
    ShortToken,
    #[error(
        "CALLCORE_ADMIN_PASSWORD is too short: give it at least {MIN_PASSWORD_CHARS} characters"
    )]
    ShortPassword,
    #[error(
        "CALLCORE_SIM_CARRIER_URL and CALLCORE_SIM_CARRIER_SECRET go together: set both or neither"
    )]
    HalfACarrier,
    #[error("the simulated carrier listens on loopback only, not on {0}")]
    CarrierExposed(SocketAddr),
    #[error("CALLCORE_SIM_CARRIER_SECRET is empty")]
    EmptySecret,
    #[error(
        "CALLCORE_SIM_SEED is the seed of the carrier inside the server: with \
         CALLCORE_SIM_CARRIER_URL give it to the carrier's process instead"
    )]
    SeedElsewhere,
    #[error(transparent)]
    Mail(#[from] MailError),
    #[error("CALLCORE_PUBLIC_URL must be http://HOST or https://HOST, with nothing behind it")]
    PublicUrl,
    #[error(
        "CRON_SECRET must have at least {MIN_TOKEN_CHARS} characters, printable ASCII without spaces"
    )]
    CronSecret,
    #[error("there is no setting {0}: see --help for those there are")]
    UnknownVariable(String),
    #[error(transparent)]
    Twilio(#[from] TwilioError),
    #[error("{0} is for the simulated carrier and Twilio is set: unset one of them")]
    SimulatedToo(&'static str),
}

impl Config {
    pub(crate) fn new(args: ServeArgs) -> Result<Self, ConfigError> {
        if args.api_token.as_ref().is_some_and(|it| it.0.chars().count() < MIN_TOKEN_CHARS) {
            return Err(ConfigError::ShortToken);
        }
        if args.admin_password.as_ref().is_some_and(|it| it.0.chars().count() < MIN_PASSWORD_CHARS)
        {
            return Err(ConfigError::ShortPassword);
        }
        let open = args.api_token.is_none() && args.admin_password.is_none();
        if open && !args.bind.ip().is_loopback() {
            return Err(ConfigError::Exposed(args.bind));
        }
        let public_url = args.public_url.map(|url| public_url(&url)).transpose()?;
        let twilio = TwilioConfig::new(args.twilio, public_url.as_deref())?;
        if twilio.is_some() {
            for (is_set, name) in [
                (args.sim_speed.is_some(), "CALLCORE_SIM_SPEED"),
                (args.sim_seed.is_some(), "CALLCORE_SIM_SEED"),
                (args.sim_carrier_url.is_some(), "CALLCORE_SIM_CARRIER_URL"),
                (args.demo.is_some(), "CALLCORE_DEMO"),
            ] {
                if is_set {
                    return Err(ConfigError::SimulatedToo(name));
                }
            }
        }
        let chosen = args.sim_carrier_url.is_some() || twilio.is_some();
        let unset = open && args.database_url.is_none() && !chosen;
        Ok(Self {
            bind: args.bind,
            database: sqlite_url(args.database_url.unwrap_or_else(|| DEFAULT_DATABASE.to_owned()))?,
            demo: args.demo.map_or(unset, |it| it.0),
            api_token: args.api_token,
            admin_password: args.admin_password,
            speed: if twilio.is_some() { 1 } else { args.sim_speed.unwrap_or(SIM_SPEED) },
            carrier: match twilio {
                Some(twilio) => Carrier::Twilio(twilio),
                None => carrier(args.sim_carrier_url, args.sim_carrier_secret, args.sim_seed)?,
            },
            time_zone: args.time_zone,
            mail: MailConfig::new(args.mail)?,
            public_url,
            cron_secret: args.cron_secret.map(cron_secret).transpose()?,
        })
    }
}

fn carrier(
    url: Option<String>,
    secret: Option<Secret>,
    seed: Option<u64>,
) -> Result<Carrier, ConfigError> {
    match (url, secret) {
        (None, None) => Ok(Carrier::InProcess { seed }),
        (Some(_), Some(_)) if seed.is_some() => Err(ConfigError::SeedElsewhere),
        (Some(_), Some(secret)) if secret.0.is_empty() => Err(ConfigError::EmptySecret),
        (Some(url), Some(secret)) => Ok(Carrier::Process { url, secret }),
        _ => Err(ConfigError::HalfACarrier),
    }
}

/// The address as links begin with it.
pub(crate) fn public_url(url: &str) -> Result<String, ConfigError> {
    let parsed = reqwest::Url::parse(url).map_err(|_| ConfigError::PublicUrl)?;
    let is_plain = matches!(parsed.scheme(), "http" | "https")
        && parsed.has_host()
        && parsed.username().is_empty()
        && parsed.password().is_none()
        && parsed.path() == "/"
        && parsed.query().is_none()
        && parsed.fragment().is_none();
    if is_plain { Ok(parsed.origin().ascii_serialization()) } else { Err(ConfigError::PublicUrl) }
}

fn cron_secret(secret: Secret) -> Result<Secret, ConfigError> {
    let is_sendable = secret.0.chars().all(|c| c.is_ascii_graphic());
    if secret.0.len() < MIN_TOKEN_CHARS || !is_sendable {
        return Err(ConfigError::CronSecret);
    }
    Ok(secret)
}

fn sqlite_url(url: String) -> Result<String, ConfigError> {
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Err(ConfigError::PostgresNotYet);
    }
    let file = url.strip_prefix("sqlite://").ok_or(ConfigError::Database)?;
    // SQLite's own options (`?mode=memory`) could undo what the store promises about durability.
    if file.is_empty() || file.contains(['?', '#']) || file == ":memory:" {
        return Err(ConfigError::Database);
    }
    Ok(url)
}

/// Refuses variables that look like settings and are none: a setting with a typing error would
/// otherwise be ignored in silence.
pub(crate) fn check_environment(
    names: impl Iterator<Item = String>,
    known: &[String],
) -> Result<(), ConfigError> {
    for name in names {
        let is_ours = name.starts_with("CALLCORE_") && !name.starts_with("CALLCORE_TEST_")
            || name.starts_with("TWILIO_");
        if is_ours && !known.contains(&name) {
            return Err(ConfigError::UnknownVariable(name));
        }
    }
    Ok(())
}

/// The environment variable of every flag, of the server and of its subcommands.
pub(crate) fn known_variables(command: &clap::Command) -> Vec<String> {
    let own = command.get_arguments().filter_map(clap::Arg::get_env);
    let mut names: Vec<String> = own.map(|name| name.to_string_lossy().into_owned()).collect();
    names.extend(command.get_subcommands().flat_map(known_variables));
    names
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn config(args: &[&str]) -> Result<Config, ConfigError> {
        let args = std::iter::once("callcore-server").chain(args.iter().copied());
        Config::new(Cli::try_parse_from(args).unwrap().serve)
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_demo_is_on_only_where_nothing_was_chosen() {
        assert!(config(&[]).unwrap().demo);
        assert!(!config(&["--database-url", "sqlite://a.db"]).unwrap().demo);
        assert!(!config(&["--api-token", "0123456789abcdef"]).unwrap().demo);
        assert!(!config(&["--admin-password", "long enough"]).unwrap().demo);
        assert!(!config(&["--demo", "off"]).unwrap().demo);
        assert!(config(&["--database-url", "sqlite://a.db", "--demo", "on"]).unwrap().demo);
    }

    #[test]
    fn nobody_else_reaches_a_server_without_a_secret() {
        let error = config(&["--bind", "0.0.0.0:3000"]).unwrap_err();
        assert_eq!(error, ConfigError::Exposed("0.0.0.0:3000".parse().unwrap()));
        assert!(config(&["--bind", "[::1]:3000"]).is_ok());
        assert!(config(&["--bind", "0.0.0.0:80", "--admin-password", "long enough"]).is_ok());
    }

    #[test]
    fn only_a_sqlite_file_is_a_database() {
        for url in ["postgres://db/callcore", "postgresql://db/callcore"] {
            assert_eq!(config(&["--database-url", url]).unwrap_err(), ConfigError::PostgresNotYet);
        }
        for url in ["callcore.db", "sqlite://", "sqlite://a?mode=memory", "sqlite://:memory:"] {
            assert_eq!(config(&["--database-url", url]).unwrap_err(), ConfigError::Database);
        }
        assert!(config(&["--database-url", "sqlite:///var/lib/callcore.db"]).is_ok());
    }

    #[test]
    fn half_a_carrier_is_refused() {
        let url = ["--sim-carrier-url", "http://127.0.0.1:4000"];
        assert_eq!(config(&url).unwrap_err(), ConfigError::HalfACarrier);
        let both = [&url[..], &["--sim-carrier-secret", "s"]].concat();
        assert!(matches!(config(&both).unwrap().carrier, Carrier::Process { .. }));
        let seeded = [&both[..], &["--sim-seed", "1"]].concat();
        assert_eq!(config(&seeded).unwrap_err(), ConfigError::SeedElsewhere);
    }

    #[test]
    fn a_real_carrier_and_a_simulated_one_exclude_each_other() {
        let twilio = [
            "--twilio-account-sid",
            "AC0123456789abcdef0123456789abcdef",
            "--twilio-auth-token",
            "0123456789abcdef",
            "--twilio-from",
            "+12125550100,+12125550101",
            "--public-url",
            "https://calls.example.com",
        ];
        let real = config(&twilio).unwrap();
        assert!(matches!(real.carrier, Carrier::Twilio(_)));
        assert_eq!((real.demo, real.speed), (false, 1));
        for sim in [["--sim-speed", "60"], ["--demo", "off"], ["--sim-seed", "1"]] {
            let both = [&twilio[..], &sim].concat();
            assert!(matches!(config(&both), Err(ConfigError::SimulatedToo(_))), "{sim:?}");
        }
        for missing in [0, 2, 4, 6] {
            let mut part = twilio.to_vec();
            part.drain(missing..missing + 2);
            assert!(matches!(config(&part), Err(ConfigError::Twilio(_))), "{part:?}");
        }
    }

    #[test]
    fn a_variable_that_is_no_setting_is_named() {
        let known = known_variables(&Cli::command());
        let check = |name: &str| check_environment([name.to_owned()].into_iter(), &known);
        assert_eq!(check("CALLCORE_SIM_SPEED"), Ok(()));
        assert_eq!(check("CALLCORE_TEST_POSTGRES_URL"), Ok(()));
        assert_eq!(check("PATH"), Ok(()));
        let typo = "CALLCORE_SIM_SPED".to_owned();
        assert_eq!(check(&typo), Err(ConfigError::UnknownVariable(typo)));
        assert_eq!(check("TWILIO_ACCOUNT_SID"), Ok(()));
        let other = "TWILIO_ACOUNT_SID".to_owned();
        assert_eq!(check(&other), Err(ConfigError::UnknownVariable(other)));
    }

    #[test]
    fn links_and_schedulers_have_settings_that_can_be_used() {
        let public = |url: &str| config(&["--public-url", url]).map(|it| it.public_url);
        for url in ["https://calls.example.com", "https://CALLS.example.com/"] {
            assert_eq!(public(url).unwrap().as_deref(), Some("https://calls.example.com"));
        }
        for url in ["calls.example.com", "ftp://a", "https://a/b", "https://a?b", "https://u:p@a"] {
            assert_eq!(public(url).unwrap_err(), ConfigError::PublicUrl, "{url}");
        }
        assert!(config(&["--cron-secret", "0123456789abcdef"]).is_ok());
        for secret in ["short", "0123456789 abcdef", "0123456789abcdé f"] {
            let refused = config(&["--cron-secret", secret]).unwrap_err();
            assert_eq!(refused, ConfigError::CronSecret);
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let cli = Cli::parse_from(["callcore-server", "--api-token", "0123456789abcdef"]);
        assert!(!format!("{cli:?}").contains("0123456789abcdef"));
    }
}
