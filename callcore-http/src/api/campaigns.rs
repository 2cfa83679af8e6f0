pub(crate) mod analytics;
pub(crate) mod change;
pub(crate) mod create;
pub(crate) mod export;
pub(crate) mod list;
pub(crate) mod pause_all;
pub(crate) mod read;
pub(crate) mod run;

use axum::http::StatusCode;
use axum::response::Response;
use callcore::id::CampaignId;
use callcore::port::CampaignView;

use crate::dto::{self, CampaignDto};
use crate::problem::Problem;
use crate::state::ApiState;

/// A campaign, or a 404.
pub(crate) async fn existing(state: &ApiState, id: CampaignId) -> Result<CampaignView, Problem> {
    state.store().campaign(id).await?.ok_or_else(Problem::not_found)
}

/// A campaign with the version of its settings as its entity tag.
fn tagged(view: &CampaignView) -> Response {
    dto::tagged(dto::json(StatusCode::OK, &CampaignDto::from(view)), view.campaign.settings_version)
}
