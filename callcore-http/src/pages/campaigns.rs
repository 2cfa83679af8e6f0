//! The list of campaigns.

use askama::Template;
use axum::extract::State;

use super::ROWS;
use super::frame::{Answer, Shell, Visit, page};
use super::rows::CampaignRow;
use crate::query::Query;
use crate::state::ApiState;

#[derive(Template)]
#[template(path = "campaigns.html")]
struct CampaignsPage {
    shell: Shell,
    campaigns: Vec<CampaignRow>,
    next: Option<String>,
}

pub(super) async fn show(State(state): State<ApiState>, visit: Visit, mut query: Query) -> Answer {
    let after = query.cursor();
    query.finish()?;
    let list = state.store().campaigns(&[], after, ROWS).await?;
    Ok(page(&CampaignsPage {
        shell: visit.shell(&state, "Campaigns", "/campaigns").live(),
        campaigns: list.items.iter().map(|view| CampaignRow::of(view, &visit)).collect(),
        next: list.next.map(|cursor| format!("/campaigns?cursor={cursor}")),
    }))
}
