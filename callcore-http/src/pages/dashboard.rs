//! The dashboard: what runs, what ended, what comes, and what somebody has to look at.

use askama::Template;
use axum::extract::State;
use callcore::actor::Role;
use callcore::campaign::RunState;
use callcore::id::{CallId, CampaignId};
use callcore::port::{Notice, NoticeKind, StoreError};

use super::frame::{Answer, Shell, Visit, page};
use super::rows::{CallRow, CampaignRow, live_calls, shown};
use super::when::{When, count, counted, mean_duration, percent};
use super::words;
use crate::api::dashboard::{Dashboard, Need};
use crate::state::ApiState;

const LIVE: usize = 8;

/// How many campaigns are shown.
const ACTIVE: usize = 12;

#[derive(Template)]
#[template(path = "dashboard.html")]
struct DashboardPage {
    shell: Shell,
    today: Today,
    nothing_yet: bool,
    stopped: Option<Stopped>,
    /// Whether there is anything that could be paused.
    running: bool,
    campaigns: Vec<CampaignRow>,
    more_campaigns: usize,
    recent: Vec<CallRow>,
    needs: Vec<NeedRow>,
    live: Vec<CallRow>,
    live_count: String,
    live_more: u64,
    due: Vec<CallRow>,
    more_due: bool,
}

struct Today {
    zone: String,
    attempted: String,
    answered: String,
    rate: String,
    talk: String,
}

/// All dialling was stopped.
pub(super) struct Stopped {
    pub(super) by: String,
    pub(super) at: When,
    pub(super) reason: Option<String>,
}

struct NeedRow {
    href: String,
    text: String,
    at: Option<When>,
    /// Whether it waits for somebody, and is not only told.
    open: bool,
}

pub(super) async fn show(State(state): State<ApiState>, visit: Visit) -> Answer {
    let dashboard = Dashboard::read(&state).await?;
    let active = &dashboard.campaigns;
    let nothing_yet =
        active.is_empty() && state.store().campaigns(&[], None, 1).await?.items.is_empty();
    let live = live_calls(&state, &visit, None, LIVE).await?;
    // Inbound calls are shown beside those the account counts.
    let live_count = dashboard.account.live.max(live.len() as u64);
    let running = active.iter().any(|view| view.campaign.state == RunState::Running);
    let stopped = dashboard.account.stopped.as_ref().map(|stopped| Stopped {
        by: words::actor(&stopped.by),
        at: visit.when(stopped.at),
        reason: stopped.reason.clone(),
    });
    let (today, zone) = (&dashboard.today, state.zone().name());
    Ok(page(&DashboardPage {
        shell: visit.shell(&state, "Dashboard", "/dashboard").live(),
        today: Today {
            zone: if zone == visit.zone.name() { String::new() } else { zone.to_owned() },
            attempted: count(today.attempted()),
            answered: count(today.answered()),
            rate: percent(today.success_rate()),
            talk: mean_duration(today.average_duration_seconds()),
        },
        nothing_yet,
        stopped,
        running: running && visit.principal.role >= Role::Operator,
        campaigns: active.iter().take(ACTIVE).map(|view| CampaignRow::of(view, &visit)).collect(),
        more_campaigns: active.len().saturating_sub(ACTIVE),
        recent: CallRow::all(&dashboard.recent, &visit),
        needs: needs(&state, &visit, &dashboard).await?,
        live_count: count(live_count),
        live_more: live_count - live.len() as u64,
        live,
        due: CallRow::all(&dashboard.due, &visit),
        more_due: dashboard.more_due,
    }))
}

async fn needs(
    state: &ApiState,
    visit: &Visit,
    dashboard: &Dashboard,
) -> Result<Vec<NeedRow>, StoreError> {
    let mut rows = Vec::new();
    for need in dashboard.needs() {
        let (text, at) = match &need {
            // The banner says so, with what can be done.
            Need::AllStopped => continue,
            Need::PausedItself(view, reason) => {
                let name = isolated(&view.campaign.settings.name);
                let at = view.campaign.pause.as_ref().map(|pause| visit.when(pause.at));
                (format!("{name} paused itself: {reason}"), at)
            }
            Need::UnknownCalls(calls) => {
                let calls = counted(calls.len() as u64, "call", "calls");
                (format!("Nobody knows yet what became of {calls}"), None)
            }
            Need::ClientsToFollowUp(id, clients) => {
                let name = campaign_name(state, *id).await?;
                let clients = counted(*clients, "person needs", "people need");
                (format!("{clients} follow-up in {name}"), None)
            }
            Need::CallsToFollowUp(calls) => {
                let calls = counted(calls.len() as u64, "call is", "calls are");
                (format!("{calls} marked for follow-up"), None)
            }
            Need::Rejects(rejects) => {
                let name = campaign_name(state, rejects.campaign).await?;
                let rows = counted(rejects.rows, "row was", "rows were");
                (format!("{rows} refused of a list for {name}"), None)
            }
            Need::Heard(notice) => (told(state, notice).await?, Some(visit.when(notice.at))),
        };
        let open = !matches!(need, Need::Heard(_));
        rows.push(NeedRow { href: need.link(), text, at, open });
    }
    Ok(rows)
}

async fn told(state: &ApiState, notice: &Notice) -> Result<String, StoreError> {
    Ok(match notice.kind {
        NoticeKind::CampaignFinished(id) => {
            format!("{} is finished", campaign_name(state, id).await?)
        }
        NoticeKind::InboundCall(id) => {
            let name = client_name(state, id).await?;
            format!("{} called back", name.unwrap_or_else(|| "Somebody".to_owned()))
        }
        NoticeKind::MessageLeft(id) => {
            let name = client_name(state, id).await?;
            format!("{} left a message", name.unwrap_or_else(|| "Somebody".to_owned()))
        }
        NoticeKind::CallGivenUp(id) => {
            let name = client_name(state, id).await?;
            let name = name.unwrap_or_else(|| "somebody".to_owned());
            format!("What became of a call to {name} stayed unknown")
        }
        NoticeKind::BreakerTripped(id) => {
            format!("{} paused itself: too many dials failed", campaign_name(state, id).await?)
        }
        NoticeKind::SpendReached(_) => {
            "The day's money is used up: calls wait for tomorrow".to_owned()
        }
        NoticeKind::MailFailing(_) => "Mails do not go out".to_owned(),
        NoticeKind::MailRunsShort(_) => "Most of this month's mails are used up".to_owned(),
    })
}

async fn campaign_name(state: &ApiState, id: CampaignId) -> Result<String, StoreError> {
    let view = state.store().campaign(id).await?;
    Ok(view.map_or_else(
        || "a campaign that is gone".to_owned(),
        |view| isolated(&view.campaign.settings.name),
    ))
}

async fn client_name(state: &ApiState, call: CallId) -> Result<Option<String>, StoreError> {
    Ok(state
        .store()
        .call(call)
        .await?
        .and_then(|view| view.client_name)
        .map(|name| isolated(&name)))
}

/// A name within a sentence: whichever direction it has, the sentence keeps its own.
fn isolated(name: &str) -> String {
    format!("\u{2068}{}\u{2069}", shown(name))
}
