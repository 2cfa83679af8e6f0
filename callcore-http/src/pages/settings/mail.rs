//! Who is written to, the daily summary, and what became of the mails.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use callcore::actor::Role;
use callcore::mailer::DAILY_SUMMARY;
use callcore::port::{AccountView, Cursor, MailState, QueuedMail};
use serde_json::{Value, json};

use super::super::ROWS;
use super::super::form::{Choice, Errors, Form};
use super::super::frame::{Answer, NavItem, Shell, Trouble, Visit, done, page, page_with};
use super::super::when::{When, counted};
use super::super::words::{Word, plain};
use super::{save as save_settings, tabs, wall};
use crate::api::cron::send_mails;
use crate::problem::Problem;
use crate::query::Query;
use crate::state::ApiState;

const PATH: &str = "/settings/mail";

#[derive(Template)]
#[template(path = "settings/mail.html")]
struct MailPage {
    shell: Shell,
    tabs: Vec<NavItem>,
    /// Whether this server has a way for mails at all.
    sends: bool,
    version: u32,
    fields: Fields,
    errors: Errors,
    mails: Vec<MailRow>,
    paged: bool,
    next: Option<String>,
}

/// The form as it stands: what is in force, or what somebody wrote.
#[derive(Debug)]
struct Fields {
    to: String,
    /// `server`, `at` or `off`.
    summary: String,
    at: String,
    /// `server`, `on` or `off`.
    details: String,
}

struct MailRow {
    subject: String,
    kind: String,
    receivers: String,
    state: Word,
    why: String,
    queued: When,
    /// When it was settled, or is tried next.
    at: When,
}

impl Fields {
    fn of(account: &AccountView) -> Self {
        let mail = &account.settings.mail;
        let at = mail.summary_at.map(|at| at.to_string());
        let summary = match at.as_deref() {
            None => "server",
            Some("off") => "off",
            Some(_) => "at",
        };
        let details = match mail.details {
            None => "server",
            Some(true) => "on",
            Some(false) => "off",
        };
        Self {
            to: mail.to.join("\n"),
            summary: summary.to_owned(),
            at: at.filter(|at| at != "off").unwrap_or_default(),
            details: details.to_owned(),
        }
    }

    fn written(form: &Form) -> Self {
        let text = |name: &str| form.text(name).to_owned();
        Self { to: text("to"), summary: text("summary"), at: text("at"), details: text("details") }
    }

    fn summaries(&self) -> Vec<Choice> {
        let choices =
            [("server", "as the server is set"), ("at", "every day at"), ("off", "never")];
        choices.map(|(value, label)| Choice::new(value, label, value == self.summary)).into()
    }

    fn details(&self) -> Vec<Choice> {
        let choices = [
            ("server", "as the server is set"),
            ("off", "counts and links only"),
            ("on", "names and numbers too"),
        ];
        choices.map(|(value, label)| Choice::new(value, label, value == self.details)).into()
    }

    fn put_into(&self, document: &mut Value) {
        let to = self.to.split([',', ';', '\n']).map(str::trim).filter(|it| !it.is_empty());
        document["mail"] = json!({
            "to": to.collect::<Vec<_>>(),
            "summary_at": match &*self.summary {
                "at" => json!(self.at),
                "off" => json!("off"),
                _ => Value::Null,
            },
            "details": match &*self.details {
                "on" => json!(true),
                "off" => json!(false),
                _ => Value::Null,
            },
        });
    }
}

pub(in crate::pages) async fn show(
    State(state): State<ApiState>,
    visit: Visit,
    mut query: Query,
) -> Answer {
    let after = query.cursor();
    query.finish()?;
    let account = state.store().account().await?;
    let (shell, fields) = (visit.shell(&state, "Mail", "/settings"), Fields::of(&account));
    let written = (fields, Errors::default());
    Ok(page(&mail_page(&state, &visit, shell, &account, written, after).await?))
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
    let Err(unsaved) = saved else { return Ok(done(PATH, "The mail settings are saved.")) };
    let status = unsaved.status();
    let shell = visit.shell(&state, "Mail", "/settings").with_trouble(unsaved.trouble());
    let written = (fields, unsaved.errors());
    Ok(page_with(status, &mail_page(&state, &visit, shell, &account, written, None).await?))
}

/// Sends the summary of the day so far.
pub(in crate::pages) async fn send_summary(
    State(state): State<ApiState>,
    visit: Visit,
    _: Form,
) -> Answer {
    visit.require(Role::Admin)?;
    let Some(mailer) = state.mailer() else {
        let detail = "there are no mail settings, so that no summary can be sent";
        return Err(Problem::new(StatusCode::CONFLICT, "no_mail_settings", detail).into());
    };
    let (_, mail) = mailer.summary_now(visit.by()).await?;
    send_mails(mailer.clone()).await;
    let sent = state.store().mail(&mail.key).await?.unwrap_or(mail);
    let said = match sent.state {
        MailState::Sent => {
            let people = counted(sent.receivers.into(), "receiver", "receivers");
            format!("The summary was sent to {people}.")
        }
        MailState::Waiting => "The summary waits to be sent; the list below says why.".to_owned(),
        MailState::Failed => "The summary was not sent; the list below says why.".to_owned(),
    };
    Ok(done(PATH, said))
}

async fn mail_page(
    state: &ApiState,
    visit: &Visit,
    shell: Shell,
    account: &AccountView,
    (fields, errors): (Fields, Errors),
    after: Option<Cursor>,
) -> Result<MailPage, Trouble> {
    let paged = after.is_some();
    let mails = state.store().mails(after, ROWS).await?;
    Ok(MailPage {
        shell,
        tabs: tabs(visit, PATH),
        sends: state.mailer().is_some(),
        version: account.settings_version,
        fields,
        errors,
        mails: mails.items.iter().map(|mail| row(state, visit, mail)).collect(),
        paged,
        next: mails.next.map(|cursor| format!("{PATH}?cursor={cursor}")),
    })
}

fn row(state: &ApiState, visit: &Visit, mail: &QueuedMail) -> MailRow {
    let (label, tone) = match mail.state {
        MailState::Waiting => ("waiting", "warm"),
        MailState::Sent => ("sent", "good"),
        MailState::Failed => ("not sent", "bad"),
    };
    let why = mail.reason.as_deref().filter(|_| mail.state != MailState::Sent);
    let tries = counted(mail.attempts.into(), "try", "tries");
    MailRow {
        subject: mail.subject.clone(),
        kind: if mail.kind == DAILY_SUMMARY { "summary".to_owned() } else { plain(&mail.kind) },
        receivers: counted(mail.receivers.into(), "receiver", "receivers"),
        state: Word { label, tone },
        why: why.map(|why| format!("{}, {tries}", told(why))).unwrap_or_default(),
        queued: wall(state, visit, mail.queued_at),
        at: wall(state, visit, mail.at),
    }
}

/// Why a mail waits or was given up.
fn told(reason: &str) -> String {
    let known = match reason {
        "connect" | "host" | "no_answer" | "broken" => "the mail service can't be reached",
        "slow" => "the mail service does not answer in time",
        "sign_in" | "invalid_api_key" => "the mail service does not know the password or key",
        "tls" | "starttls" | "no_starttls" => "the mail service has no secure connection",
        "receiver_refused" | "receiver_address" => "the mail service refuses the receiver",
        "sender_refused" | "sender_address" | "invalid_from_address" => {
            "the mail service refuses the sender"
        }
        "daily_quota_exceeded" | "daily_limit" => "the day's mails are used up",
        "monthly_quota_exceeded" | "monthly_limit" => "the month's mails are used up",
        other => return plain(other),
    };
    known.to_owned()
}
