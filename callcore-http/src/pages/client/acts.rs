//! What people change about one client, and what they ask to be done. What fails is said on the
//! client's page, with what was typed.

use axum::extract::State;
use callcore::actor::Role;
use callcore::client::ZoneSource;
use callcore::id::CallId;
use chrono::{NaiveDate, SecondsFormat};
use serde_json::{Value, json};

use super::{ConsentDraft, Found, Tried, again};
use crate::api::clients::change;
use crate::pages::call::incomplete;
use crate::pages::form::Form;
use crate::pages::frame::{Answer, Trouble, Visit, done};
use crate::request::Fields;
use crate::state::ApiState;

/// Changes what the document says, or shows the client again with what went wrong.
async fn put(
    state: &ApiState,
    visit: &Visit,
    found: &Found,
    document: Result<Value, Trouble>,
    tried: Tried,
    said: &str,
) -> Answer {
    let changed = async {
        let resumed = CallId::new(visit.now, state.entropy());
        let wanted = change::wanted(Fields::of(document?)?, visit.now, resumed)?;
        let id = found.view.client.id;
        Ok::<_, Trouble>(state.store().change_client(visit.by(), id, &wanted).await?)
    };
    match changed.await {
        Ok(_) => {
            state.wake();
            Ok(done(&found.base(), said))
        }
        Err(trouble) => again(state, visit, found, Tried { trouble: Some(trouble), ..tried }).await,
    }
}

pub(in crate::pages) async fn note(
    State(state): State<ApiState>,
    visit: Visit,
    found: Found,
    form: Form,
) -> Answer {
    visit.require(Role::Operator)?;
    let note = form.raw("text").to_owned();
    let document = match note.trim() {
        "" => Err(incomplete("write something first")),
        _ => Ok(json!({"notes": note})),
    };
    let tried = Tried { note, ..Tried::default() };
    put(&state, &visit, &found, document, tried, "The note is added.").await
}

/// Adds the tag that was typed, or takes off the one whose button was pressed.
pub(in crate::pages) async fn tags(
    State(state): State<ApiState>,
    visit: Visit,
    found: Found,
    form: Form,
) -> Answer {
    visit.require(Role::Operator)?;
    let tag = form.text("tag").to_owned();
    let (document, said) = match form.given("remove") {
        Some(gone) => (Ok(json!({"remove_tags": [gone]})), format!("The tag “{gone}” is off.")),
        None if tag.is_empty() => (Err(incomplete("write the tag first")), String::new()),
        None => (Ok(json!({"add_tags": [tag]})), format!("The tag “{tag}” is on.")),
    };
    let tried = Tried { tag, ..Tried::default() };
    put(&state, &visit, &found, document, tried, &said).await
}

pub(in crate::pages) async fn active(
    State(state): State<ApiState>,
    visit: Visit,
    found: Found,
    form: Form,
) -> Answer {
    visit.require(Role::Operator)?;
    let (active, said) = match form.text("active") {
        "on" => (true, "This person may be called again; a call that is still owed is scheduled."),
        _ => (false, "This person is switched off; what was scheduled is cancelled."),
    };
    let document = Ok(json!({"active": active}));
    put(&state, &visit, &found, document, Tried::default(), said).await
}

pub(in crate::pages) async fn zone(
    State(state): State<ApiState>,
    visit: Visit,
    found: Found,
    form: Form,
) -> Answer {
    visit.require(Role::Operator)?;
    let zone = form.text("zone").to_owned();
    let told = found.view.client.zones.iter().any(|it| it.source == ZoneSource::Person);
    let (document, said) = match &*zone {
        "" if !told => {
            (Err(incomplete("write the zone first, such as Europe/Berlin")), String::new())
        }
        "" => {
            let said = "What the file and the number say counts again.";
            (Ok(json!({"time_zone": null})), said.to_owned())
        }
        zone => (Ok(json!({"time_zone": zone})), format!("This person is called by {zone}.")),
    };
    let tried = Tried { zone, ..Tried::default() };
    put(&state, &visit, &found, document, tried, &said).await
}

pub(in crate::pages) async fn consent(
    State(state): State<ApiState>,
    visit: Visit,
    found: Found,
    form: Form,
) -> Answer {
    visit.require(Role::Operator)?;
    let draft = ConsentDraft {
        basis: form.text("basis").to_owned(),
        source: form.text("source").to_owned(),
        date: form.text("date").to_owned(),
        evidence: form.raw("evidence").to_owned(),
    };
    if form.text("do") == "withdraw" {
        let said = "The consent is withdrawn.";
        let document = Ok(json!({"consent": null}));
        return put(&state, &visit, &found, document, Tried::default(), said).await;
    }
    let document = document_of(&draft, &found, &visit);
    let tried = Tried { consent: Some(draft), ..Tried::default() };
    put(&state, &visit, &found, document, tried, "The consent is recorded.").await
}

fn document_of(draft: &ConsentDraft, found: &Found, visit: &Visit) -> Result<Value, Trouble> {
    if draft.basis.is_empty() || draft.source.is_empty() {
        return Err(incomplete("say on what the consent rests, and where it was recorded"));
    }
    let at = match &*draft.date {
        "" => None,
        date => {
            let date: NaiveDate =
                date.parse().map_err(|_| incomplete("the date is not one: write 2026-12-31"))?;
            // Who only mends the words keeps the hour that is known.
            let known = found.view.client.consent.as_ref().and_then(|it| it.at);
            let known = known.filter(|at| visit.zone.date(*at) == date);
            Some(known.unwrap_or_else(|| visit.zone.start_of(date)))
        }
    };
    let at = at.map(|at| at.to_rfc3339_opts(SecondsFormat::AutoSi, true));
    let evidence = Some(&draft.evidence).filter(|text| !text.trim().is_empty());
    Ok(json!({"consent": {
        "basis": draft.basis, "source": draft.source, "at": at, "evidence": evidence,
    }}))
}

pub(in crate::pages) async fn call_now(
    State(state): State<ApiState>,
    visit: Visit,
    found: Found,
    _: Form,
) -> Answer {
    visit.require(Role::Operator)?;
    match state.desk().call_client(visit.by(), found.view.client.id).await {
        Ok(_) => {
            state.wake();
            Ok(done(&found.base(), "The call goes out as soon as a line is free."))
        }
        Err(error) => {
            let tried = Tried { trouble: Some(error.into()), ..Tried::default() };
            again(&state, &visit, &found, tried).await
        }
    }
}
