//! The queue of calls to come.

mod many;

use askama::Template;
use axum::extract::{OriginalUri, State};
use callcore::port::CallQuery;

use super::ROWS;
use super::frame::{Answer, Shell, Visit, page};
use super::list::{Options, continued};
use super::rows::{CallRow, campaigns_among};
use crate::query::Query;
use crate::state::ApiState;

pub(super) use many::{choose_time, confirm_skip, reschedule, skip_all};

#[derive(Template)]
#[template(path = "upcoming.html")]
struct UpcomingPage {
    shell: Shell,
    live: bool,
    q: String,
    campaigns: Options,
    on: bool,
    calls: Vec<CallRow>,
    back: String,
    paged: bool,
    first: String,
    next: Option<String>,
}

pub(super) async fn show(
    State(state): State<ApiState>,
    visit: Visit,
    OriginalUri(uri): OriginalUri,
    mut query: Query,
) -> Answer {
    let campaigns = query.many("campaign", |text| text.parse().ok());
    let (q, after) = (query.q(), query.cursor());
    query.finish()?;
    let wanted = CallQuery { q, campaigns, after, limit: ROWS, ..CallQuery::default() };
    let list = state.store().upcoming(&wanted).await?;
    let live = wanted.after.is_none();
    let shell = visit.shell(&state, "Upcoming calls", "/calls/upcoming");
    Ok(page(&UpcomingPage {
        shell: if live { shell.live() } else { shell },
        live,
        on: wanted.q.is_some() || !wanted.campaigns.is_empty(),
        q: wanted.q.unwrap_or_default(),
        campaigns: Options { choices: campaigns_among(&state, &wanted.campaigns).await? },
        calls: CallRow::all(&list.items, &visit),
        back: uri.path_and_query().map_or_else(String::new, ToString::to_string),
        paged: wanted.after.is_some(),
        first: continued(&uri, None),
        next: list.next.map(|cursor| continued(&uri, Some(cursor))),
    }))
}
