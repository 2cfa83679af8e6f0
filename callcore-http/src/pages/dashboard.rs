//! The dashboard: what runs, what ended, what comes, and what somebody has to look at.

use askama::Template;
use axum::extract::State;
use callcore::analytics::Totals;
use callcore::campaign::RunState;
use callcore::port::{CallQuery, Notice, NoticeKind, StoreError};
use chrono::TimeDelta;

use super::frame::{Answer, Shell, Visit, page};
use super::rows::{CallRow, CampaignRow, live_calls, shown};
use super::when::{When, count, mean_duration, percent};
use crate::state::ApiState;

const ACTIVE: u32 = 12;
const RECENT: u32 = 12;
const DUE: u32 = 8;
const LIVE: usize = 8;
const NOTICES: u32 = 8;

#[derive(Template)]
#[template(path = "dashboard.html")]
struct DashboardPage {
    shell: Shell,
    today: Today,
    nothing_yet: bool,
    campaigns: Vec<CampaignRow>,
    recent: Vec<CallRow>,
    notices: Vec<NoticeRow>,
    live: Vec<CallRow>,
    live_count: String,
    live_more: u64,
    due: Vec<CallRow>,
}

struct Today {
    attempted: String,
    answered: String,
    rate: String,
    talk: String,
}

struct NoticeRow {
    href: String,
    text: String,
    at: When,
}

pub(super) async fn show(State(state): State<ApiState>, visit: Visit) -> Answer {
    let store = state.store();
    // "Today" is the server's zone, the same for everybody who looks.
    let midnight = state.zone().start_of(state.zone().date(visit.now));
    let today = Totals::of(&store.tallies(None, Some(midnight), None).await?);
    let active = store.campaigns(&[RunState::Running, RunState::Paused], None, ACTIVE).await?.items;
    let nothing_yet = active.is_empty() && store.campaigns(&[], None, 1).await?.items.is_empty();
    let recent = store.history(&CallQuery { limit: RECENT, ..CallQuery::default() }).await?;
    let hour =
        CallQuery { to: Some(visit.now + TimeDelta::hours(1)), limit: DUE, ..CallQuery::default() };
    let due = store.upcoming(&hour).await?;
    let live = live_calls(&state, &visit, None, LIVE).await?;
    let live_count: u64 = active.iter().map(|view| view.progress.live).sum();
    // Calls of a campaign that is no longer active may still be talking.
    let live_count = live_count.max(live.len() as u64);
    Ok(page(&DashboardPage {
        shell: visit.shell(&state, "Dashboard", "/dashboard").live(),
        today: Today {
            attempted: count(today.attempted()),
            answered: count(today.answered()),
            rate: percent(today.success_rate()),
            talk: mean_duration(today.average_duration_seconds()),
        },
        nothing_yet,
        campaigns: active.iter().map(|view| CampaignRow::of(view, &visit)).collect(),
        recent: CallRow::all(&recent.items, &visit),
        notices: notices(&state, &visit).await?,
        live_count: count(live_count),
        live_more: live_count - live.len() as u64,
        live,
        due: CallRow::all(&due.items, &visit),
    }))
}

async fn notices(state: &ApiState, visit: &Visit) -> Result<Vec<NoticeRow>, StoreError> {
    let mut rows = Vec::new();
    for notice in state.store().notices(NOTICES).await? {
        let (href, text) = told(state, &notice).await?;
        rows.push(NoticeRow { href, text, at: visit.when(notice.at) });
    }
    Ok(rows)
}

async fn told(state: &ApiState, notice: &Notice) -> Result<(String, String), StoreError> {
    Ok(match notice.kind {
        NoticeKind::CampaignFinished(id) => {
            let view = state.store().campaign(id).await?;
            let name = view.map(|view| shown(&view.campaign.settings.name)).unwrap_or_default();
            (format!("/campaigns/{id}"), format!("{name} is finished"))
        }
        NoticeKind::InboundCall(id) => {
            let name = state.store().call(id).await?.and_then(|view| view.client_name);
            let who = name.map_or_else(|| "Somebody".to_owned(), |name| shown(&name));
            (format!("/calls/{id}"), format!("{who} called back"))
        }
        NoticeKind::CallGivenUp(id) => {
            let name = state.store().call(id).await?.and_then(|view| view.client_name);
            let who = name.map(|name| shown(&name)).unwrap_or_default();
            (format!("/calls/{id}"), format!("The fate of a call to {who} stayed unknown"))
        }
        NoticeKind::BreakerTripped(id) => {
            let view = state.store().campaign(id).await?;
            let name = view.map(|view| shown(&view.campaign.settings.name)).unwrap_or_default();
            (format!("/campaigns/{id}"), format!("{name} paused itself: too many dials failed"))
        }
        NoticeKind::SpendReached(_) => {
            let text = "The day's money is used up: calls wait for tomorrow";
            ("/calls/upcoming".to_owned(), text.to_owned())
        }
        NoticeKind::MailFailing(_) => ("/dashboard".to_owned(), "Mails do not go out".to_owned()),
        NoticeKind::MailRunsShort(_) => {
            ("/dashboard".to_owned(), "Most of this month's mails are used up".to_owned())
        }
    })
}
