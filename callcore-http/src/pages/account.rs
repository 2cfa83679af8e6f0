//! What holds over all campaigns: pausing every one, stopping all dialling, and resuming it.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use callcore::actor::Role;
use callcore::campaign::FieldError;
use callcore::text;

use super::form::{Errors, Form};
use super::frame::{Answer, Shell, Visit, done, page, page_with};
use super::when::counted;
use crate::state::ApiState;

#[derive(Template)]
#[template(path = "stop_all.html")]
struct StopPage {
    shell: Shell,
    live: String,
    has_live: bool,
    reason: String,
    hang_up: bool,
    errors: Errors,
}

/// Pauses every campaign that runs.
pub(super) async fn pause_all(State(state): State<ApiState>, visit: Visit, _: Form) -> Answer {
    visit.require(Role::Operator)?;
    let paused = state.store().pause_all(visit.by()).await?;
    state.wake();
    let said = match paused.len() as u64 {
        0 => "No campaign was running.".to_owned(),
        some => format!(
            "{} paused. Calls in progress go on to their end; resume each campaign on its own page.",
            counted(some, "campaign is", "campaigns are")
        ),
    };
    Ok(done("/dashboard", said))
}

/// Says what stopping all dialling will do, and asks.
pub(super) async fn confirm_stop(State(state): State<ApiState>, visit: Visit) -> Answer {
    visit.require(Role::Operator)?;
    let asked = stop_page(&state, &visit, (String::new(), false), Errors::default()).await?;
    Ok(page(&asked))
}

async fn stop_page(
    state: &ApiState,
    visit: &Visit,
    (reason, hang_up): (String, bool),
    errors: Errors,
) -> Result<StopPage, super::frame::Trouble> {
    let live = state.store().account().await?.live;
    Ok(StopPage {
        shell: visit.shell(state, "Stop all dialling", "/dashboard"),
        live: counted(live, "call is", "calls are"),
        has_live: live > 0,
        reason,
        hang_up,
        errors,
    })
}

/// Stops all dialling.
pub(super) async fn stop(State(state): State<ApiState>, visit: Visit, form: Form) -> Answer {
    visit.require(Role::Operator)?;
    let hang_up = form.some("hang_up").is_some();
    let reason = match text::line(form.text("reason"), text::MAX_LABEL) {
        Ok(reason) => Some(reason).filter(|reason| !reason.is_empty()),
        Err(error) => {
            let errors = Errors(vec![FieldError::new("reason", error.code(), error.to_string())]);
            let typed = (form.text("reason").to_owned(), hang_up);
            let mut again = stop_page(&state, &visit, typed, errors).await?;
            again.shell = again
                .shell
                .with_trouble("Dialling was not stopped: mend the reason, or leave it out.");
            return Ok(page_with(StatusCode::UNPROCESSABLE_ENTITY, &again));
        }
    };
    let stopped = state.desk().stop_all(visit.by(), reason, hang_up).await?;
    state.wake();
    let in_flight = stopped.in_flight.len() as u64;
    let said = match (in_flight, hang_up) {
        (0, _) => "All dialling is stopped.".to_owned(),
        (_, true) => format!(
            "All dialling is stopped, and the carrier was asked to hang up {}.",
            counted(in_flight, "call", "calls")
        ),
        (_, false) => format!(
            "All dialling is stopped. {} still going on.",
            counted(in_flight, "call is", "calls are")
        ),
    };
    Ok(done("/dashboard", said))
}

/// Puts the switch back.
pub(super) async fn resume(State(state): State<ApiState>, visit: Visit, _: Form) -> Answer {
    visit.require(Role::Admin)?;
    state.store().resume_all(visit.by()).await?;
    state.wake();
    Ok(done("/dashboard", "Dialling goes on. Campaigns that people paused stay paused."))
}
