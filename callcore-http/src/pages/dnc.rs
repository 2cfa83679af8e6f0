//! The Do-Not-Call list.

pub(super) mod import;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use callcore::actor::Role;
use callcore::dnc::{DncEntry, DncScope, DncSource};
use callcore::id::CampaignId;
use callcore::phone::{PhoneNumber, Region};
use callcore::port::{Cursor, DncAdded, DncQuery, Page};

use super::ROWS;
use super::form::{Choice, Form};
use super::frame::{Answer, Shell, Trouble, Visit, done, encoded, is_local, page, page_with};
use super::rows::{campaign_choices, shown};
use super::when::{When, counted};
use super::words;
use crate::api::dnc::MAX_REASON_CHARS;
use crate::problem::Problem;
use crate::query::Query;
use crate::state::ApiState;

#[derive(Template)]
#[template(path = "dnc.html")]
struct DncPage {
    shell: Shell,
    filter: Filter,
    scopes: Vec<Choice>,
    entries: Vec<EntryRow>,
    first: String,
    next: Option<String>,
    paged: bool,
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
    wrong: Option<String>,
    wrong_reason: Option<String>,
}

/// What somebody looks for.
#[derive(Debug, Default)]
struct Filter {
    q: String,
    scope: Scope,
}

/// Where entries hold that somebody looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Scope {
    #[default]
    Any,
    Global,
    OfCampaigns,
    Of(CampaignId),
}

impl Scope {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "global" => Some(Self::Global),
            "campaign" => Some(Self::OfCampaigns),
            id => id.parse().ok().map(Self::Of),
        }
    }

    fn value(self) -> String {
        match self {
            Self::Any => String::new(),
            Self::Global => "global".to_owned(),
            Self::OfCampaigns => "campaign".to_owned(),
            Self::Of(id) => id.to_string(),
        }
    }

    const fn campaign(self) -> Option<CampaignId> {
        match self {
            Self::Of(id) => Some(id),
            _ => None,
        }
    }
}

impl Filter {
    fn is_on(&self) -> bool {
        !self.q.is_empty() || self.scope != Scope::Any
    }

    /// The filter as the beginning of a query.
    fn query(&self) -> String {
        let fields = [("q", self.q.clone()), ("scope", self.scope.value())];
        let set = fields.into_iter().filter(|(_, text)| !text.is_empty());
        set.map(|(key, text)| format!("{key}={}&", encoded(&text))).collect()
    }
}

pub(super) async fn show(State(state): State<ApiState>, visit: Visit, mut query: Query) -> Answer {
    let filter = Filter {
        q: query.q().unwrap_or_default(),
        scope: query.one("scope", Scope::parse).unwrap_or_default(),
    };
    let after = query.cursor();
    query.finish()?;
    Ok(page(&list(&state, &visit, filter, after, Draft::default()).await?))
}

async fn list(
    state: &ApiState,
    visit: &Visit,
    filter: Filter,
    after: Option<Cursor>,
    form: Draft,
) -> Result<DncPage, Trouble> {
    let paged = after.is_some();
    let query = DncQuery {
        q: Some(digits(&filter.q)).filter(|digits| !digits.is_empty()),
        of_campaigns: match filter.scope {
            Scope::Global => Some(false),
            Scope::OfCampaigns => Some(true),
            Scope::Any | Scope::Of(_) => None,
        },
        campaigns: filter.scope.campaign().into_iter().collect(),
        after,
        limit: ROWS,
    };
    // Letters are in no number.
    let none = query.q.is_none() && !filter.q.is_empty();
    let found = match none {
        true => Page { items: Vec::new(), next: None },
        false => state.store().dnc(&query).await?,
    };
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
    let mut scopes = vec![
        Choice::new("global", "every campaign", filter.scope == Scope::Global),
        Choice::new("campaign", "one campaign only", filter.scope == Scope::OfCampaigns),
    ];
    scopes.extend(campaign_choices(state, filter.scope.campaign()).await?);
    let first = filter.query();
    Ok(DncPage {
        shell: visit.shell(state, "Do not call", "/dnc"),
        entries,
        next: found.next.map(|cursor| format!("/dnc?{first}cursor={cursor}")),
        first: format!("/dnc?{first}"),
        paged,
        scopes,
        filter,
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
    let (parsed, too_long) = (PhoneNumber::parse(typed, &Region::US), too_long(reason));
    match parsed {
        Ok(phone) if too_long.is_none() => {
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
            Ok(done(back, said(&added)))
        }
        parsed => {
            let wrong =
                "This is not a phone number that can be dialled. Write it with its country code.";
            let draft = Draft {
                phone: typed.to_owned(),
                reason: reason.to_owned(),
                campaign: scope.campaign(),
                wrong: parsed.is_err().then(|| wrong.to_owned()),
                wrong_reason: too_long,
            };
            let page = list(&state, &visit, Filter::default(), None, draft).await?;
            Ok(page_with(StatusCode::UNPROCESSABLE_ENTITY, &page))
        }
    }
}

/// What is said to somebody whose reason is too long.
fn too_long(reason: &str) -> Option<String> {
    (reason.chars().count() > MAX_REASON_CHARS)
        .then(|| format!("The reason is longer than {MAX_REASON_CHARS} characters."))
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
    reason: String,
    wrong: Option<String>,
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
    Ok(page(&remove_page(&state, &visit, (phone, scope), "", None).await?))
}

async fn remove_page(
    state: &ApiState,
    visit: &Visit,
    (phone, scope): (PhoneNumber, DncScope),
    reason: &str,
    wrong: Option<String>,
) -> Result<RemovePage, Trouble> {
    Ok(RemovePage {
        shell: visit.shell(state, "Remove a number", "/dnc"),
        phone: phone.to_string(),
        scope: scope_value(scope),
        campaign: campaign_name(state, scope).await?,
        reason: reason.to_owned(),
        wrong,
    })
}

pub(super) async fn remove(State(state): State<ApiState>, visit: Visit, form: Form) -> Answer {
    visit.require(Role::Admin)?;
    let phone: PhoneNumber = form.read("phone").ok_or_else(Problem::not_found)?;
    let scope = read_scope(form.text("scope"))?;
    let reason = form.text("reason");
    let wrong = match reason {
        "" => Some("Say why it is removed.".to_owned()),
        reason => too_long(reason),
    };
    if wrong.is_some() {
        let page = remove_page(&state, &visit, (phone, scope), reason, wrong).await?;
        return Ok(page_with(StatusCode::UNPROCESSABLE_ENTITY, &page));
    }
    state.store().remove_dnc(visit.by(), phone, scope, reason).await?;
    state.wake();
    Ok(done("/dnc", format!("{phone} is off the list.")))
}
