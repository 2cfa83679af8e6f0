//! One campaign: how far it is, what came of its calls, who is on its list, and its run state.

use askama::Template;
use axum::extract::State;
use callcore::actor::Role;
use callcore::campaign::{RunState, Transition};
use callcore::client::ClientStatus;
use callcore::id::{CallId, CampaignId, ClientId, ImportId};
use callcore::port::{CampaignView, ClientQuery, ClientView, Import, ImportStatus};
use callcore::rules::hours::NextAllowed;

use super::ROWS;
use super::charts::{Bars, Donut};
use super::form::{Choice, Form};
use super::frame::{Answer, Shell, Trouble, Visit, done, encoded, page};
use super::import::MAPPING_FIELDS;
use super::rows::{CallRow, CampaignRow, live_calls, shown};
use super::when::{When, count, counted};
use super::words::{self, Word};
use crate::problem::Problem;
use crate::query::Query;
use crate::request::Id;
use crate::state::ApiState;

const LIVE: usize = 8;

/// How many imports are listed, the latest.
const IMPORTS: usize = 8;

#[derive(Template)]
#[template(path = "campaign.html")]
struct CampaignPage {
    shell: Shell,
    it: CampaignRow,
    can: Can,
    empty: bool,
    upload: bool,
    mapping_fields: &'static [MappingField],
    donut: Option<Donut>,
    bars: Option<Bars>,
    live: Vec<CallRow>,
    quiet: Option<String>,
    settings: Vec<(&'static str, String)>,
    imports: Vec<ImportRow>,
    filter: Filter,
    clients: Vec<ClientRow>,
    next: Option<String>,
}

/// A field that a column can be named for.
#[derive(Debug)]
pub(super) struct MappingField {
    pub(super) key: &'static str,
    pub(super) label: &'static str,
}

/// What the run state allows.
struct Can {
    start: bool,
    pause: bool,
    resume: bool,
    stop: bool,
}

struct ImportRow {
    id: ImportId,
    file_name: String,
    summary: String,
}

struct Filter {
    q: String,
    statuses: Vec<Choice>,
    on: bool,
}

struct ClientRow {
    id: ClientId,
    name: String,
    phone: String,
    status: Word,
    attempts: u32,
    last_outcome: &'static str,
    next: Option<NextCall>,
}

/// A link to the call to come.
pub(super) struct NextCall {
    pub(super) id: CallId,
    pub(super) at: When,
}

pub(super) async fn show(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CampaignId>,
    mut query: Query,
) -> Answer {
    let store = state.store();
    let status = query.one("status", ClientStatus::parse);
    let (q, after) = (query.q(), query.cursor());
    query.finish()?;
    let view = existing(&state, id).await?;
    let clients = ClientQuery {
        campaign: id,
        q: q.clone(),
        statuses: status.into_iter().collect(),
        tags: Vec::new(),
        after,
        limit: ROWS,
    };
    let clients = store.clients(&clients).await?;
    let next = clients.next.map(|cursor| {
        let status = status.map_or("", ClientStatus::as_str);
        let q = encoded(q.as_deref().unwrap_or_default());
        format!("/campaigns/{id}?q={q}&status={status}&cursor={cursor}#clients")
    });
    let imports = store.imports(id).await?;
    let campaign = &view.campaign;
    let is_operator = visit.principal.role >= Role::Operator;
    Ok(page(&CampaignPage {
        shell: visit.shell(&state, &campaign.settings.name, "/campaigns").live(),
        can: Can {
            start: campaign.state.after(Transition::Start).is_ok(),
            pause: campaign.state.after(Transition::Pause).is_ok(),
            resume: campaign.state.after(Transition::Resume).is_ok(),
            stop: campaign.state.after(Transition::Stop).is_ok(),
        },
        empty: view.progress.client_count() == 0 && imports.is_empty(),
        upload: is_operator && campaign.state.takes_clients(),
        mapping_fields: &MAPPING_FIELDS,
        donut: Donut::of(&view.progress.totals),
        bars: Bars::of(&store.tallies(Some(id), None, None).await?, &visit.zone),
        live: live_calls(&state, &visit, Some(id), LIVE).await?,
        quiet: quiet(&view, &visit),
        settings: words::settings(&campaign.settings),
        imports: imports.iter().rev().take(IMPORTS).map(import_row).collect(),
        filter: Filter {
            on: q.is_some() || status.is_some(),
            q: q.unwrap_or_default(),
            statuses: ClientStatus::ALL
                .map(|it| Choice::new(it.as_str(), words::client(it).label, Some(it) == status))
                .into(),
        },
        clients: clients.items.iter().map(|view| client_row(view, &visit)).collect(),
        next,
        it: CampaignRow::of(&view, &visit),
    }))
}

pub(super) async fn existing(state: &ApiState, id: CampaignId) -> Result<CampaignView, Trouble> {
    Ok(state.store().campaign(id).await?.ok_or_else(Problem::not_found)?)
}

/// Why nobody is called right now, where the campaign itself says it.
fn quiet(view: &CampaignView, visit: &Visit) -> Option<String> {
    let settings = &view.campaign.settings;
    match view.campaign.state {
        RunState::Draft => Some("The campaign has not been started.".to_owned()),
        RunState::Paused => {
            let reason = view.campaign.pause.as_ref().and_then(|pause| pause.reason.as_ref());
            Some(reason.map_or_else(
                || "The campaign is paused.".to_owned(),
                |reason| format!("The campaign paused itself: {reason}."),
            ))
        }
        RunState::Stopped | RunState::Finished => None,
        RunState::Running => {
            let zone = std::slice::from_ref(&settings.time_zone);
            match settings.hours.next_allowed(visit.now, zone) {
                NextAllowed::At(at) if at > visit.now => Some(format!(
                    "In {} the hours open next: {}.",
                    settings.time_zone,
                    visit.when(at).short
                )),
                NextAllowed::Never => Some("The calling hours never open again.".to_owned()),
                NextAllowed::At(_) => None,
            }
        }
    }
}

fn import_row(import: &Import) -> ImportRow {
    let report = &import.report;
    let accepted = format!("{} added", count(report.accepted));
    let summary = match import.status {
        ImportStatus::Running => format!("{accepted} so far"),
        ImportStatus::Failed => format!("{accepted}, broken off"),
        ImportStatus::Undone => "taken back".to_owned(),
        ImportStatus::Done if report.rejected > 0 => {
            format!("{accepted}, {} refused", count(report.rejected))
        }
        ImportStatus::Done => accepted,
    };
    ImportRow { id: import.id, file_name: shown(&import.file_name), summary }
}

fn client_row(view: &ClientView, visit: &Visit) -> ClientRow {
    let (client, standing) = (&view.client, &view.client.standing);
    ClientRow {
        id: client.id,
        name: shown(&client.name),
        phone: client.phone.map_or_else(|| "erased".to_owned(), |phone| phone.to_string()),
        status: words::client(standing.status),
        attempts: standing.attempts,
        last_outcome: standing.last_outcome.map_or("", |it| words::outcome(it).label),
        next: standing.next_call.map(|it| NextCall { id: it.call, at: visit.when(it.due_at) }),
    }
}

pub(super) async fn start(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CampaignId>,
    _: Form,
) -> Answer {
    change(&state, &visit, id, Transition::Start, "The campaign runs.").await
}

pub(super) async fn pause(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CampaignId>,
    _: Form,
) -> Answer {
    let said = "The campaign is paused. Calls in progress go on to their end.";
    change(&state, &visit, id, Transition::Pause, said).await
}

pub(super) async fn resume(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CampaignId>,
    _: Form,
) -> Answer {
    change(&state, &visit, id, Transition::Resume, "The campaign runs again.").await
}

pub(super) async fn stop(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CampaignId>,
    _: Form,
) -> Answer {
    let said = "The campaign is stopped. What was scheduled is cancelled.";
    change(&state, &visit, id, Transition::Stop, said).await
}

async fn change(
    state: &ApiState,
    visit: &Visit,
    id: CampaignId,
    transition: Transition,
    said: &str,
) -> Answer {
    visit.require(Role::Operator)?;
    state.store().change_state(visit.by(), id, transition).await?;
    state.wake();
    Ok(done(&format!("/campaigns/{id}"), said))
}

#[derive(Template)]
#[template(path = "campaign_stop.html")]
struct StopPage {
    shell: Shell,
    id: CampaignId,
    name: String,
    open: String,
}

/// Asks before it is too late: a stopped campaign can't be resumed.
pub(super) async fn confirm_stop(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CampaignId>,
) -> Answer {
    visit.require(Role::Operator)?;
    let view = existing(&state, id).await?;
    let open = view.progress.client_count() - view.progress.final_count();
    Ok(page(&StopPage {
        shell: visit.shell(&state, "Stop a campaign", "/campaigns"),
        id,
        name: shown(&view.campaign.settings.name),
        open: counted(open, "client is", "clients are"),
    }))
}
