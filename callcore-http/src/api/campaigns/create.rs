//! `POST /api/campaigns`: creates a draft.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::campaign::Settings;
use callcore::id::CampaignId;
use callcore::port::{Effect, NewCampaign};

use crate::act::{Act, Early};
use crate::auth::Admin;
use crate::request::Change;
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Admin(principal): Admin,
    change: Change,
) -> Result<Response, Early> {
    let act = Act::begin(&state, principal, &change, StatusCode::CREATED).await?;
    let settings = Settings::from_json(&change.json()?)?;
    settings.opens_after(act.now())?;
    let id = CampaignId::new(act.now(), state.entropy());
    let new = NewCampaign { id, settings: Arc::new(settings) };
    let created = state.store().create_campaign(act.by(), new).await;
    act.finish(created.map(|view| Effect::Campaign(Box::new(view)))).await
}
