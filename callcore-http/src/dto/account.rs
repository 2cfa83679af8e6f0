use callcore::account::Stopped;
use callcore::port::AccountView;
use serde::Serialize;
use serde_json::Value;

use super::instant;

/// The account: its settings, and what holds it back.
#[derive(Debug, Serialize)]
pub(crate) struct AccountDto {
    settings_version: u32,
    settings: Value,
    /// The zone in force: that of the settings, else the server's.
    time_zone: String,
    stopped: Option<StoppedDto>,
}

/// Who stopped all dialling, when and why.
#[derive(Debug, Serialize)]
pub(crate) struct StoppedDto {
    at: String,
    by: String,
    reason: Option<String>,
}

impl From<&AccountView> for AccountDto {
    fn from(view: &AccountView) -> Self {
        Self {
            settings_version: view.settings_version,
            settings: view.settings.to_json(),
            time_zone: view.zone().name().to_owned(),
            stopped: view.stopped.as_ref().map(StoppedDto::from),
        }
    }
}

impl From<&Stopped> for StoppedDto {
    fn from(stopped: &Stopped) -> Self {
        Self { at: instant(stopped.at), by: stopped.by.to_string(), reason: stopped.reason.clone() }
    }
}
