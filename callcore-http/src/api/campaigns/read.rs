//! `GET /api/campaigns/{id}`: a campaign with its progress.

use axum::extract::State;
use axum::response::Response;
use callcore::id::CampaignId;

use super::{existing, tagged};
use crate::auth::Viewer;
use crate::problem::Problem;
use crate::request::Id;
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Viewer(_): Viewer,
    Id(id): Id<CampaignId>,
) -> Result<Response, Problem> {
    Ok(tagged(&existing(&state, id).await?))
}
