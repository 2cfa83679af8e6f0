//! One campaign: how far it is, what came of its calls, and who is on its list.

pub(super) mod changes;
pub(super) mod run;

use askama::Template;
use axum::extract::State;
use callcore::actor::Role;
use callcore::analytics::Bucket;
use callcore::campaign::{RunState, Transition};
use callcore::client::ClientStatus;
use callcore::id::{CallId, CampaignId, ClientId};
use callcore::port::{CampaignView, ClientQuery, ClientView, SortKey};
use callcore::rules::hours::NextAllowed;

use super::ROWS;
use super::charts::{Bars, Donut};
use super::form::Choice;
use super::frame::{Answer, Shell, Trouble, Visit, encoded, page};
use super::import::{ImportRow, import_rows};
use super::rows::{CallRow, CampaignRow, live_calls, shown};
use super::setup::Setup;
use super::setup::list::ACCEPT;
use super::when::When;
use super::words::{self, Word};
use crate::problem::Problem;
use crate::query::Query;
use crate::request::Id;
use crate::state::ApiState;

const LIVE: usize = 8;

/// How many tags of a client a list shows.
const TAGS: usize = 4;

#[derive(Template)]
#[template(path = "campaign.html")]
struct CampaignPage {
    shell: Shell,
    it: CampaignRow,
    can: Can,
    empty: bool,
    draft: bool,
    setup: Setup,
    upload: bool,
    accept: &'static str,
    donut: Option<Donut>,
    bars: Option<Bars>,
    live: Vec<CallRow>,
    quiet: Option<String>,
    settings: Vec<(&'static str, String)>,
    imports: Vec<ImportRow>,
    filter: Filter,
    clients: Vec<ClientRow>,
    first: Option<String>,
    next: Option<String>,
}

/// What the run state allows.
struct Can {
    start: bool,
    pause: bool,
    resume: bool,
    stop: bool,
}

struct Filter {
    q: String,
    tag: String,
    statuses: Vec<Choice>,
    on: bool,
    /// Where the same numbers are shown by hour, and by day.
    by_hour: String,
    by_day: String,
    /// How calls are shown over time, for the form of the filter to keep it.
    by: &'static str,
    /// Where the clients with the tag can be had as a file.
    export: String,
}

struct ClientRow {
    id: ClientId,
    name: String,
    phone: String,
    status: Word,
    attempts: u32,
    last_outcome: &'static str,
    tags: Vec<String>,
    more_tags: usize,
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
    let bucket = query.one("by", |text| match text {
        "hour" => Some(Bucket::Hour),
        "day" => Some(Bucket::Day),
        _ => None,
    });
    let (q, tag) = (query.q(), query.text("tag"));
    let after = query.cursor_by(|key| matches!(key, SortKey::Number(_)));
    query.finish()?;
    let view = existing(&state, id).await?;
    let paged = after.is_some();
    let clients = ClientQuery {
        campaign: id,
        q: q.clone(),
        statuses: status.into_iter().collect(),
        tags: tag.iter().cloned().collect(),
        after,
        limit: ROWS,
    };
    let clients = store.clients(&clients).await?;
    let (q, tag) = (q.unwrap_or_default(), tag.unwrap_or_default());
    let status_word = status.map_or("", ClientStatus::as_str);
    let filter = format!("q={}&tag={}&status={status_word}", encoded(&q), encoded(&tag));
    let by = match bucket {
        Some(Bucket::Hour) => "hour",
        Some(Bucket::Day) => "day",
        None => "",
    };
    let here = format!("/campaigns/{id}?{filter}");
    let imports = import_rows(&state, id).await?;
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
        draft: campaign.state == RunState::Draft,
        setup: Setup::around(&state, &visit, &view, None),
        upload: is_operator && campaign.state.takes_clients(),
        accept: ACCEPT,
        donut: Donut::of(&view.progress.totals),
        bars: Bars::of(&store.tallies(Some(id), None, None).await?, &visit.zone, bucket),
        live: live_calls(&state, &visit, Some(id), LIVE).await?,
        quiet: quiet(&view, &visit),
        settings: changes::short(words::settings(&campaign.settings)),
        imports,
        first: paged.then(|| format!("{here}&by={by}#clients")),
        next: clients.next.map(|cursor| format!("{here}&by={by}&cursor={cursor}#clients")),
        filter: Filter {
            on: status.is_some() || !q.is_empty() || !tag.is_empty(),
            statuses: ClientStatus::ALL
                .map(|it| Choice::new(it.as_str(), words::client(it).label, Some(it) == status))
                .into(),
            by_hour: format!("{here}&by=hour#h-time"),
            by_day: format!("{here}&by=day#h-time"),
            by,
            export: format!("/api/campaigns/{id}/export?tag={}", encoded(&tag)),
            q,
            tag,
        },
        clients: clients.items.iter().map(|view| client_row(view, &visit)).collect(),
        it: CampaignRow::of(&view, &visit),
    }))
}

/// Whether somebody may ask for a call of a campaign in this state.
pub(super) const fn dials(state: RunState) -> bool {
    !matches!(state, RunState::Draft | RunState::Stopped)
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

fn client_row(view: &ClientView, visit: &Visit) -> ClientRow {
    let (client, standing) = (&view.client, &view.client.standing);
    ClientRow {
        id: client.id,
        name: shown(&client.name),
        phone: client.phone.map_or_else(|| "erased".to_owned(), |phone| phone.to_string()),
        status: words::client(standing.status),
        attempts: standing.attempts,
        last_outcome: standing.last_outcome.map_or("", |it| words::outcome(it).label),
        tags: client.tags.iter().take(TAGS).map(|tag| shown(tag)).collect(),
        more_tags: client.tags.len().saturating_sub(TAGS),
        next: standing.next_call.map(|it| NextCall { id: it.call, at: visit.when(it.due_at) }),
    }
}
