//! `GET /api/campaigns`: campaigns, newest first.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::campaign::RunState;

use crate::auth::Viewer;
use crate::dto::{self, CampaignDto, ListDto};
use crate::problem::Problem;
use crate::query::Query;
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Viewer(_): Viewer,
    mut query: Query,
) -> Result<Response, Problem> {
    let states = query.many("state", RunState::parse);
    let (limit, after) = (query.limit(), query.cursor());
    query.finish()?;
    let page = state.store().campaigns(&states, after, limit).await?;
    Ok(dto::json(StatusCode::OK, &ListDto::of(&page, |view| CampaignDto::from(view))))
}
