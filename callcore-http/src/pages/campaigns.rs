//! The list of campaigns.

use askama::Template;
use axum::extract::State;
use callcore::campaign::RunState;

use super::ROWS;
use super::form::Choice;
use super::frame::{Answer, Shell, Visit, page};
use super::rows::CampaignRow;
use super::words;
use crate::query::Query;
use crate::state::ApiState;

#[derive(Template)]
#[template(path = "campaigns.html")]
struct CampaignsPage {
    shell: Shell,
    campaigns: Vec<CampaignRow>,
    states: Vec<Choice>,
    filtered: bool,
    next: Option<String>,
}

pub(super) async fn show(State(state): State<ApiState>, visit: Visit, mut query: Query) -> Answer {
    let after = query.cursor();
    let chosen = query.one("state", RunState::parse);
    query.finish()?;
    let filtered = chosen.is_some() || after.is_some();
    let states: Vec<RunState> = chosen.into_iter().collect();
    let list = state.store().campaigns(&states, after, ROWS).await?;
    let word = chosen.map_or("", RunState::as_str);
    let choice =
        |it: RunState| Choice::new(it.as_str(), words::run_state(it).label, chosen == Some(it));
    Ok(page(&CampaignsPage {
        shell: visit.shell(&state, "Campaigns", "/campaigns").live(),
        campaigns: list.items.iter().map(|view| CampaignRow::of(view, &visit)).collect(),
        states: RunState::ALL.map(choice).into(),
        filtered,
        next: list.next.map(|cursor| format!("/campaigns?state={word}&cursor={cursor}")),
    }))
}
