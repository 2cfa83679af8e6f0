//! Erasing a person: the page that asks first, and the act.

use askama::Template;
use axum::extract::State;
use callcore::actor::Role;

use super::Found;
use crate::api::clients::erase::everywhere;
use crate::api::dnc::MAX_REASON_CHARS;
use crate::pages::form::Form;
use crate::pages::frame::{Answer, Shell, Visit, done, page};
use crate::pages::rows::shown;
use crate::pages::when::counted;
use crate::problem::Problem;
use crate::state::ApiState;

#[derive(Template)]
#[template(path = "erase.html")]
struct ErasePage {
    shell: Shell,
    base: String,
    name: String,
    phone: String,
}

pub(in crate::pages) async fn confirm(
    State(state): State<ApiState>,
    visit: Visit,
    found: Found,
) -> Answer {
    visit.require(Role::Admin)?;
    let client = &found.view.client;
    // Whoever was erased can't be erased again.
    let phone = client.phone.ok_or_else(Problem::not_found)?;
    Ok(page(&ErasePage {
        shell: visit.shell(&state, "Erase a person", "/campaigns"),
        base: found.base(),
        name: shown(&client.name),
        phone: phone.to_string(),
    }))
}

pub(in crate::pages) async fn erase(
    State(state): State<ApiState>,
    visit: Visit,
    found: Found,
    form: Form,
) -> Answer {
    visit.require(Role::Admin)?;
    let reason = form.text("reason");
    if reason.chars().count() > MAX_REASON_CHARS {
        let message = format!("at most {MAX_REASON_CHARS} characters");
        return Err(Problem::field("reason", "too_long", message).into());
    }
    let erased = everywhere(&state, visit.by(), found.view.client.id, reason).await?;
    let (clients, calls) = (u64::from(erased.clients), u64::from(erased.calls));
    let said = format!(
        "The person is erased: {} and {}.",
        counted(clients, "row", "rows"),
        counted(calls, "call", "calls")
    );
    Ok(done(&found.base(), said))
}
