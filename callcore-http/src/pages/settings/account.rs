//! The account's limits, and the switch that stops all dialling.

use askama::Template;
use axum::extract::State;
use callcore::account::{Day, Room};
use callcore::actor::Role;
use callcore::port::AccountView;
use serde_json::{Value, json};

use super::super::form::{Errors, Form};
use super::super::frame::{Answer, NavItem, Shell, Trouble, Visit, done, page, page_with};
use super::super::when::{When, count};
use super::super::words::actor;
use super::{number, save as save_settings, tabs};
use crate::query::Query;
use crate::state::ApiState;

/// The fields of the form, each under its path in the settings.
const FIELDS: [(&str, &str); 7] = [
    ("calls_per_second", "calls_per_second"),
    ("calls_at_once", "calls_at_once"),
    ("retention_days", "retention_days"),
    ("time_zone", "time_zone"),
    ("amount", "spend_per_day.amount"),
    ("per_call", "spend_per_day.per_call"),
    ("per_minute", "spend_per_day.per_minute"),
];

#[derive(Template)]
#[template(path = "settings/account.html")]
struct AccountPage {
    shell: Shell,
    tabs: Vec<NavItem>,
    version: u32,
    fields: Fields,
    errors: Errors,
    server_zone: String,
    live: String,
    stopped: Option<Stopped>,
    spend: Option<Spend>,
}

/// The form as it stands: what is in force, or what somebody wrote.
#[derive(Debug)]
struct Fields(Vec<(&'static str, String)>);

struct Stopped {
    by: String,
    at: When,
    reason: Option<String>,
}

struct Spend {
    spent: String,
    reserved: String,
    amount: String,
    reached: bool,
    ends: When,
}

impl Fields {
    fn of(account: &AccountView) -> Self {
        let document = account.settings.to_json();
        let text = |path: &str| match path.split('.').fold(&document, |at, key| &at[key]) {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        };
        Self(FIELDS.map(|(name, path)| (name, text(path))).into())
    }

    fn written(form: &Form) -> Self {
        Self(FIELDS.map(|(name, _)| (name, form.text(name).to_owned())).into())
    }

    fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(field, _)| *field == name).map_or("", |(_, text)| text)
    }

    /// A field for those who only read.
    fn told(&self, name: &str, none: &'static str) -> String {
        Some(self.get(name)).filter(|it| !it.is_empty()).unwrap_or(none).to_owned()
    }

    fn put_into(&self, document: &mut Value) {
        for name in ["calls_per_second", "calls_at_once", "retention_days"] {
            document[name] = number(self.get(name));
        }
        document["time_zone"] = text(self.get("time_zone"));
        let prices = ["amount", "per_call", "per_minute"];
        let spend = prices.map(|name| (name.to_owned(), text(self.get(name))));
        let is_set = spend.iter().any(|(_, value)| !value.is_null());
        document["spend_per_day"] = if is_set { spend.into_iter().collect() } else { Value::Null };
    }
}

fn text(written: &str) -> Value {
    if written.is_empty() { Value::Null } else { json!(written) }
}

pub(in crate::pages) async fn show(
    State(state): State<ApiState>,
    visit: Visit,
    query: Query,
) -> Answer {
    query.finish()?;
    let account = state.store().account().await?;
    let fields = Fields::of(&account);
    let shell = visit.shell(&state, "Settings", "/settings");
    Ok(page(&account_page(&state, &visit, shell, &account, (fields, Errors::default())).await?))
}

pub(in crate::pages) async fn save(
    State(state): State<ApiState>,
    visit: Visit,
    form: Form,
) -> Answer {
    visit.require(Role::Admin)?;
    let account = state.store().account().await?;
    let fields = Fields::written(&form);
    let saved = save_settings(&state, &visit, &form, &account, |it| fields.put_into(it)).await?;
    let Err(unsaved) = saved else {
        return Ok(done("/settings", "The settings are saved and in force."));
    };
    let (status, trouble) = (unsaved.status(), unsaved.trouble());
    let shell = visit.shell(&state, "Settings", "/settings").with_trouble(trouble);
    let written = (fields, unsaved.errors());
    Ok(page_with(status, &account_page(&state, &visit, shell, &account, written).await?))
}

async fn account_page(
    state: &ApiState,
    visit: &Visit,
    shell: Shell,
    account: &AccountView,
    (fields, errors): (Fields, Errors),
) -> Result<AccountPage, Trouble> {
    let spend = match account.settings.spend_per_day {
        Some(spend) => {
            let (from, ends) = account.zone().day(visit.now);
            let dials = state.store().meter(None, from, ends).await?;
            let day = Day { ends, dials };
            Some(Spend {
                spent: spend.spent(&day.dials).to_string(),
                reserved: spend.reserved(&day.dials).to_string(),
                amount: spend.amount.to_string(),
                reached: spend.room(&day.dials) == Room::Spent,
                ends: visit.when(ends),
            })
        }
        None => None,
    };
    Ok(AccountPage {
        shell,
        tabs: tabs(visit, "/settings"),
        version: account.settings_version,
        fields,
        errors,
        server_zone: account.server_zone.name().to_owned(),
        live: count(account.live),
        stopped: account.stopped.as_ref().map(|stopped| Stopped {
            by: actor(&stopped.by),
            at: visit.when(stopped.at),
            reason: stopped.reason.clone(),
        }),
        spend,
    })
}
