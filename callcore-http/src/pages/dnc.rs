//! The Do-Not-Call list.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use callcore::actor::Role;
use callcore::dnc::{DncEntry, DncScope, DncSource};
use callcore::id::CampaignId;
use callcore::phone::{PhoneNumber, Region};
use callcore::port::{Cursor, DncAdded, DncQuery};

use super::ROWS;
use super::form::{Choice, Form};
use super::frame::{Answer, Shell, Trouble, Visit, done, encoded, is_local, page, page_with};
use super::rows::{campaign_choices, shown};
use super::when::{When, counted};
use super::words;
use crate::problem::Problem;
use crate::query::Query;
use crate::state::ApiState;

/// The longest reason, in characters.
const MAX_REASON: usize = 500;

#[derive(Template)]
#[template(path = "dnc.html")]
struct DncPage {
    shell: Shell,
    q: String,
    entries: Vec<EntryRow>,
    next: Option<String>,
    form: Draft,
    campaigns: Vec<Choice>,
}

struct EntryRow {
    phone: String,
    reason: String,
    added_by: String,
    at: When,
    campaign: Option<String>,
    remove_href: String,
}

/// What somebody filled in, and what is wrong with it.
#[derive(Default)]
struct Draft {
    phone: String,
    reason: String,
    campaign: Option<CampaignId>,
    wrong: Option<&'static str>,
}

pub(super) async fn show(State(state): State<ApiState>, visit: Visit, mut query: Query) -> Answer {
    let (q, after) = (query.q(), query.cursor());
    query.finish()?;
    let page_of = list(&state, &visit, q, after, Draft::default()).await?;
    Ok(page(&page_of))
}

async fn list(
    state: &ApiState,
    visit: &Visit,
    q: Option<String>,
    after: Option<Cursor>,
    form: Draft,
) -> Result<DncPage, Trouble> {
    let digits = q.as_deref().map(digits).filter(|digits| !digits.is_empty());
    let query = DncQuery { q: digits, after, limit: ROWS, ..DncQuery::default() };
    let found = state.store().dnc(&query).await?;
    let mut entries = Vec::new();
    for entry in &found.items {
        entries.push(EntryRow {
            phone: entry.phone.to_string(),
            reason: match entry.source {
                DncSource::OptOut if entry.reason.is_empty() => "asked for it in a call".to_owned(),
                _ => shown_reason(&entry.reason),
            },
            added_by: words::actor(&entry.added_by),
            at: visit.when(entry.created_at),
            campaign: campaign_name(state, entry.scope).await?,
            remove_href: format!(
                "/dnc/remove?phone={}&scope={}",
                encoded(&entry.phone.to_string()),
                scope_value(entry.scope)
            ),
        });
    }
    let text = q.unwrap_or_default();
    Ok(DncPage {
        shell: visit.shell(state, "Do not call", "/dnc"),
        entries,
        next: found.next.map(|cursor| format!("/dnc?q={}&cursor={cursor}", encoded(&text))),
        q: text,
        campaigns: campaign_choices(state, form.campaign).await?,
        form,
    })
}

/// The digits of what people type for a number.
fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

fn shown_reason(reason: &str) -> String {
    match reason.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", &reason[..end]),
        None => reason.to_owned(),
    }
}

async fn campaign_name(state: &ApiState, scope: DncScope) -> Result<Option<String>, Trouble> {
    let Some(id) = scope.campaign() else { return Ok(None) };
    let view = state.store().campaign(id).await?;
    Ok(Some(view.map_or_else(|| id.to_string(), |view| shown(&view.campaign.settings.name))))
}

/// How a scope stands in forms and links: nothing is every campaign.
fn scope_value(scope: DncScope) -> String {
    scope.campaign().map(|id| id.to_string()).unwrap_or_default()
}

fn read_scope(text: &str) -> Result<DncScope, Trouble> {
    if text.is_empty() {
        return Ok(DncScope::Global);
    }
    let id = text.parse().map_err(|_| Problem::not_found())?;
    Ok(DncScope::Campaign(id))
}

pub(super) async fn add(State(state): State<ApiState>, visit: Visit, form: Form) -> Answer {
    visit.require(Role::Operator)?;
    let (typed, reason) = (form.text("phone"), form.text("reason"));
    let scope = read_scope(form.text("scope"))?;
    let wrong = match PhoneNumber::parse(typed, &Region::US) {
        Ok(_) if reason.chars().count() > MAX_REASON => "The reason is longer than 500 characters.",
        Err(_) => "This is not a phone number that can be dialled. Write it with its country code.",
        Ok(phone) => {
            let entry = DncEntry {
                phone,
                scope,
                reason: reason.to_owned(),
                source: DncSource::Manual,
                added_by: visit.principal.actor.clone(),
                created_at: visit.now,
            };
            let added = state.desk().add_dnc(visit.by(), entry).await?;
            state.wake();
            let back = form.some("back").filter(|path| is_local(path)).unwrap_or("/dnc");
            return Ok(done(back, said(&added)));
        }
    };
    let draft = Draft {
        phone: typed.to_owned(),
        reason: reason.to_owned(),
        campaign: scope.campaign(),
        wrong: Some(wrong),
    };
    let page = list(&state, &visit, None, None, draft).await?;
    Ok(page_with(StatusCode::UNPROCESSABLE_ENTITY, &page))
}

fn said(added: &DncAdded) -> String {
    let mut text = format!("{} is on the Do-Not-Call list.", added.entry.phone);
    let canceled = added.canceled.len() as u64;
    if canceled > 0 {
        text.push_str(&format!(
            " {} cancelled.",
            counted(canceled, "scheduled call is", "scheduled calls are")
        ));
    }
    let in_flight = added.in_flight.len() as u64;
    if in_flight > 0 {
        text.push_str(&format!(
            " {} begun already and is being hung up.",
            counted(in_flight, "call had", "calls had")
        ));
    }
    text
}

#[derive(Template)]
#[template(path = "dnc_remove.html")]
struct RemovePage {
    shell: Shell,
    phone: String,
    scope: String,
    campaign: Option<String>,
}

/// Asks first, and for the reason that the audit log keeps.
pub(super) async fn confirm_remove(
    State(state): State<ApiState>,
    visit: Visit,
    mut query: Query,
) -> Answer {
    visit.require(Role::Admin)?;
    let phone: Option<PhoneNumber> = query.one("phone", |text| text.parse().ok());
    let scope = read_scope(&query.text("scope").unwrap_or_default())?;
    query.finish()?;
    let phone = phone.ok_or_else(Problem::not_found)?;
    Ok(page(&RemovePage {
        shell: visit.shell(&state, "Remove a number", "/dnc"),
        phone: phone.to_string(),
        scope: scope_value(scope),
        campaign: campaign_name(&state, scope).await?,
    }))
}

pub(super) async fn remove(State(state): State<ApiState>, visit: Visit, form: Form) -> Answer {
    visit.require(Role::Admin)?;
    let phone: PhoneNumber = form.read("phone").ok_or_else(Problem::not_found)?;
    let scope = read_scope(form.text("scope"))?;
    let reason: String = form.text("reason").chars().take(MAX_REASON).collect();
    if reason.is_empty() {
        return Err(Problem::field("reason", "required", "say why it is removed").into());
    }
    state.store().remove_dnc(visit.by(), phone, scope, &reason).await?;
    state.wake();
    Ok(done("/dnc", format!("{phone} is off the list.")))
}
