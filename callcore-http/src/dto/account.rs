use callcore::account::{Day, Money, Room, SpendPerDay, Stopped};
use callcore::port::{AccountView, StoppedAll};
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
    calls_in_progress: u64,
}

/// The account after the stop, and the calls that go on.
#[derive(Debug, Serialize)]
pub(crate) struct StoppedAllDto {
    #[serde(flatten)]
    account: AccountDto,
    in_flight: Vec<String>,
}

/// What the account's local day has cost, as far as it is estimated.
#[derive(Debug, Serialize)]
pub(crate) struct SpendDto {
    amount: Money,
    spent: Money,
    /// The most that calls in progress may cost.
    reserved: Money,
    /// Whether dialling waits for the next local day.
    reached: bool,
    day_ends_at: String,
}

impl SpendDto {
    pub(crate) fn new(spend: SpendPerDay, today: &Day) -> Self {
        Self {
            amount: spend.amount,
            spent: spend.spent(&today.dials),
            reserved: spend.reserved(&today.dials),
            reached: spend.room(&today.dials) == Room::Spent,
            day_ends_at: instant(today.ends),
        }
    }
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
            calls_in_progress: view.live,
        }
    }
}

impl From<&StoppedAll> for StoppedAllDto {
    fn from(stopped: &StoppedAll) -> Self {
        let in_flight = stopped.in_flight.iter();
        Self {
            account: AccountDto::from(&stopped.account),
            in_flight: in_flight.map(ToString::to_string).collect(),
        }
    }
}

impl From<&Stopped> for StoppedDto {
    fn from(stopped: &Stopped) -> Self {
        Self { at: instant(stopped.at), by: stopped.by.to_string(), reason: stopped.reason.clone() }
    }
}
