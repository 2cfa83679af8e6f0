pub(crate) mod analytics;
pub(crate) mod change;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod export;
pub(crate) mod list;
pub(crate) mod pause_all;
pub(crate) mod preview;
pub(crate) mod read;
pub(crate) mod run;
pub(crate) mod test_call;

use axum::http::StatusCode;
use axum::response::Response;
use callcore::campaign::{FieldError, Settings};
use callcore::id::CampaignId;
use callcore::port::CampaignView;

use crate::dto::{self, CampaignDto};
use crate::problem::Problem;
use crate::state::ApiState;

/// A campaign, or a 404.
pub(crate) async fn existing(state: &ApiState, id: CampaignId) -> Result<CampaignView, Problem> {
    state.store().campaign(id).await?.ok_or_else(Problem::not_found)
}

/// Refuses settings that play an audio which is not there, each step under its own field.
async fn check_audio(state: &ApiState, settings: &Settings) -> Result<(), Problem> {
    let mut errors = Vec::new();
    for (field, audio) in settings.audio() {
        if state.store().audio(audio).await?.is_none() {
            let words = "is no audio that was uploaded";
            errors.push(FieldError::new(field, "unknown_audio", words));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Problem::fields(errors)) }
}

/// A campaign with the version of its settings as its entity tag.
fn tagged(view: &CampaignView) -> Response {
    dto::tagged(dto::json(StatusCode::OK, &CampaignDto::from(view)), view.campaign.settings_version)
}
