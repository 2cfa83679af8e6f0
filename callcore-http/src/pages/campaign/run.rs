//! Starting, pausing, resuming and stopping a campaign, and deleting a draft.

use askama::Template;
use axum::extract::State;
use callcore::actor::Role;
use callcore::campaign::{RunState, Transition};
use callcore::id::CampaignId;
use callcore::port::Refused;

use super::super::form::Form;
use super::super::frame::{Answer, Shell, Visit, done, page};
use super::super::rows::shown;
use super::super::when::counted;
use super::existing;
use crate::request::Id;
use crate::state::ApiState;

pub(in super::super) async fn start(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CampaignId>,
    _: Form,
) -> Answer {
    change(&state, &visit, id, Transition::Start, "The campaign runs.").await
}

pub(in super::super) async fn pause(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CampaignId>,
    _: Form,
) -> Answer {
    let said = "The campaign is paused. Calls in progress go on to their end.";
    change(&state, &visit, id, Transition::Pause, said).await
}

pub(in super::super) async fn resume(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CampaignId>,
    _: Form,
) -> Answer {
    change(&state, &visit, id, Transition::Resume, "The campaign runs again.").await
}

pub(in super::super) async fn stop(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CampaignId>,
    _: Form,
) -> Answer {
    let said = "The campaign is stopped. What was scheduled is cancelled.";
    change(&state, &visit, id, Transition::Stop, said).await
}

async fn change(
    state: &ApiState,
    visit: &Visit,
    id: CampaignId,
    transition: Transition,
    said: &str,
) -> Answer {
    visit.require(Role::Operator)?;
    state.store().change_state(visit.by(), id, transition).await?;
    state.wake();
    Ok(done(&format!("/campaigns/{id}"), said))
}

#[derive(Template)]
#[template(path = "campaign_stop.html")]
struct StopPage {
    shell: Shell,
    id: CampaignId,
    name: String,
    open: String,
}

/// Asks before it is too late: a stopped campaign can't be resumed.
pub(in super::super) async fn confirm_stop(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CampaignId>,
) -> Answer {
    visit.require(Role::Operator)?;
    let view = existing(&state, id).await?;
    view.campaign.state.after(Transition::Stop).map_err(Refused::from)?;
    let open = view.progress.client_count() - view.progress.final_count();
    Ok(page(&StopPage {
        shell: visit.shell(&state, "Stop a campaign", "/campaigns"),
        id,
        name: shown(&view.campaign.settings.name),
        open: counted(open, "client is", "clients are"),
    }))
}

#[derive(Template)]
#[template(path = "campaign_delete.html")]
struct DeletePage {
    shell: Shell,
    id: CampaignId,
    name: String,
    clients: String,
}

/// Asks before a draft goes, which can't be undone.
pub(in super::super) async fn confirm_delete(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CampaignId>,
) -> Answer {
    visit.require(Role::Admin)?;
    let view = existing(&state, id).await?;
    if view.campaign.state != RunState::Draft {
        return Err(Refused::Campaign(view.campaign.state).into());
    }
    Ok(page(&DeletePage {
        shell: visit.shell(&state, "Delete a draft", "/campaigns"),
        id,
        name: shown(&view.campaign.settings.name),
        clients: counted(view.progress.client_count(), "person goes", "people go"),
    }))
}

/// Deletes a draft.
pub(in super::super) async fn delete(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CampaignId>,
    _: Form,
) -> Answer {
    visit.require(Role::Admin)?;
    state.store().delete_campaign(visit.by(), id).await?;
    state.waiting_lists().forget(id);
    Ok(done("/campaigns", "The draft is deleted."))
}
