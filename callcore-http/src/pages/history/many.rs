//! What is done to the calls that were ticked in the history.

use axum::extract::State;
use callcore::actor::Role;
use serde_json::json;

use crate::api::calls::{bulk, export};
use crate::pages::call::incomplete;
use crate::pages::form::Form;
use crate::pages::frame::{Answer, Visit, done};
use crate::pages::list::{ids, outcome_of};
use crate::request::Fields;
use crate::state::ApiState;

pub(in crate::pages) async fn many(
    State(state): State<ApiState>,
    visit: Visit,
    form: Form,
) -> Answer {
    let act = form.text("act");
    if act != "export" {
        visit.require(Role::Operator)?;
    }
    if form.all("id").is_empty() {
        let back = form.back("/calls/history");
        return Err(incomplete("tick at least one call first").told_on(back));
    }
    let tag = form.text("tag");
    let (document, said) = match act {
        "export" => {
            let fields = Fields::of(json!({"ids": ids(&form)}))?;
            return Ok(export::picked(state, &visit.principal, fields).await?);
        }
        "tag" if tag.is_empty() => return Err(incomplete("write the tag first")),
        "tag" => (json!({"tags": [tag]}), ("call has the tag", "calls have the tag")),
        "reviewed" => (json!({"status": act}), ("call is reviewed", "calls are reviewed")),
        "needs_follow_up" => {
            (json!({"status": act}), ("call needs follow-up", "calls need follow-up"))
        }
        "unreviewed" => (json!({"status": act}), ("call is unreviewed", "calls are unreviewed")),
        _ => return Err(incomplete("choose what is to be done with the calls")),
    };
    let mut document = document;
    document["action"] = json!(if act == "tag" { "tag" } else { "review" });
    document["ids"] = ids(&form);
    let (calls, wanted) = bulk::wanted(Fields::of(document)?, visit.now)?;
    let acted = state.desk().change_calls(visit.by(), &calls, &wanted).await?;
    state.wake();
    let said = outcome_of(&state, &visit, &acted, said).await?;
    Ok(done(&form.back("/calls/history"), said))
}
