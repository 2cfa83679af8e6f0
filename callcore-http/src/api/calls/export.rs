//! `GET` and `POST /api/calls/export`: calls as CSV, with what was said. The first takes the filters
//! of the history, the second ids.

use std::collections::{BTreeSet, VecDeque};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::campaign::FieldError;
use callcore::export::CallExport;
use callcore::id::CallId;
use callcore::port::{ActError, AuditEntry, By, CallOrder, CallQuery, StoreError};
use chrono::TimeDelta;
use serde_json::{Value, json};

use super::history;
use crate::act::{Act, Early};
use crate::auth::Viewer;
use crate::download::{self, PAGE};
use crate::problem::Problem;
use crate::query::Query;
use crate::request::{Change, Fields};
use crate::state::ApiState;

/// How many calls may be chosen by their ids.
const MAX_IDS: usize = 1_000;

/// Every ended call that the filters let pass.
pub(crate) async fn filtered(
    State(state): State<ApiState>,
    Viewer(principal): Viewer,
    mut query: Query,
) -> Result<Response, Problem> {
    for key in ["limit", "cursor"] {
        if !query.texts(key).is_empty() {
            query.refuse(key, "an export has no pages");
        }
    }
    let used = query.keys();
    let wanted = history::wanted(&mut query, state.zone());
    query.finish()?;
    let wanted = bounded(&state, wanted).await?;
    // Not what was searched for: it may be a number, and the log outlives the person's data.
    audit(&state, By::new(&principal.actor, state.now()), json!({"filters": used})).await?;
    let pages = Filtered { state, next: Some(CallQuery { limit: PAGE, ..wanted }) };
    Ok(download::csv("calls.csv", CallExport::header(), pages).await?)
}

/// Calls end while an export runs. Whoever reads the newest first leaves them behind; in any other
/// order the walk ends at the call that was the newest when it began.
async fn bounded(state: &ApiState, wanted: CallQuery) -> Result<CallQuery, StoreError> {
    if wanted.order.is_none_or(|order| order == CallOrder::NEWEST_FIRST) {
        return Ok(wanted);
    }
    let newest = CallQuery { order: None, limit: 1, ..wanted.clone() };
    let newest = state.store().history(&newest).await?.items.pop();
    let to = newest.map(|view| view.call.date() + TimeDelta::microseconds(1));
    Ok(CallQuery { to: to.or(wanted.to), ..wanted })
}

struct Filtered {
    state: ApiState,
    /// What is read next; none after the last page.
    next: Option<CallQuery>,
}

impl download::Pages for Filtered {
    async fn next(&mut self) -> Result<Option<String>, StoreError> {
        let Some(query) = self.next.take() else { return Ok(None) };
        let page = self.state.store().history(&query).await?;
        self.next = page.next.map(|after| CallQuery { after: Some(after), ..query });
        Ok(Some(page.items.iter().map(CallExport::row).collect()))
    }
}

/// The calls of the ids in the body, in their order, each once.
pub(crate) async fn chosen(
    State(state): State<ApiState>,
    Viewer(principal): Viewer,
    change: Change,
) -> Result<Response, Early> {
    let mut fields = change.fields()?;
    let ids = ids(&mut fields);
    fields.finish()?;
    let by = principal.actor.clone();
    let act = match Act::begin(&state, principal, &change, StatusCode::OK).await {
        Ok(act) => Some(act),
        // The same request again is one more look at the same calls.
        Err(Early::Replay(_)) => None,
        Err(early) => return Err(early),
    };
    all_known(&state, &ids).await?;
    let what = json!({"calls": ids});
    match &act {
        None => audit(&state, By::new(&by, state.now()), what).await?,
        Some(act) => match audit(&state, act.by(), what.clone()).await {
            Ok(()) => {}
            Err(error) => match act.refused(error).await {
                Early::Replay(_) => audit(&state, By::new(&by, state.now()), what).await?,
                early => return Err(early),
            },
        },
    }
    Ok(file(state, ids).await?)
}

/// The same for somebody who asks for it on a page.
#[cfg(feature = "pages")]
pub(crate) async fn picked(
    state: ApiState,
    principal: &crate::auth::Principal,
    mut fields: Fields,
) -> Result<Response, Problem> {
    let ids = ids(&mut fields);
    fields.finish()?;
    all_known(&state, &ids).await?;
    audit(&state, By::new(&principal.actor, state.now()), json!({"calls": ids})).await?;
    Ok(file(state, ids).await?)
}

async fn file(state: ApiState, ids: Vec<CallId>) -> Result<Response, StoreError> {
    let pages = Chosen { state, left: ids.into() };
    download::csv("calls.csv", CallExport::header(), pages).await
}

/// The ids under `ids`; each that is none is named by its place.
fn ids(fields: &mut Fields) -> Vec<CallId> {
    let texts: Vec<Value> = fields.required("ids").unwrap_or_default();
    if texts.is_empty() && !fields.is_refused("ids") {
        fields.refuse("ids", "invalid", "name at least one call");
    }
    if texts.len() > MAX_IDS {
        fields.refuse("ids", "too_many", format!("at most {MAX_IDS}"));
        return Vec::new();
    }
    let (mut ids, mut seen) = (Vec::new(), BTreeSet::new());
    for (place, text) in texts.iter().enumerate() {
        match text.as_str().and_then(|text| text.parse().ok()) {
            Some(id) if seen.insert(id) => ids.push(id),
            Some(_) => {}
            None => fields.refuse(&format!("ids[{place}]"), "invalid", "is no id of a call"),
        }
    }
    ids
}

/// Names every id that is no call's.
async fn all_known(state: &ApiState, ids: &[CallId]) -> Result<(), Problem> {
    let mut unknown = Vec::new();
    for (page, ids) in ids.chunks(PAGE as usize).enumerate() {
        let known: BTreeSet<CallId> =
            state.store().calls(ids).await?.into_iter().map(|view| view.call.id).collect();
        let missing = ids.iter().enumerate().filter(|(_, id)| !known.contains(id));
        unknown.extend(missing.map(|(place, id)| {
            let place = page * PAGE as usize + place;
            FieldError::new(
                format!("ids[{place}]"),
                "unknown_call",
                format!("there is no call {id}"),
            )
        }));
    }
    if unknown.is_empty() { Ok(()) } else { Err(Problem::fields(unknown)) }
}

struct Chosen {
    state: ApiState,
    left: VecDeque<CallId>,
}

impl download::Pages for Chosen {
    async fn next(&mut self) -> Result<Option<String>, StoreError> {
        let page: Vec<CallId> = self.left.drain(..self.left.len().min(PAGE as usize)).collect();
        if page.is_empty() {
            return Ok(None);
        }
        let views = self.state.store().calls(&page).await?;
        Ok(Some(views.iter().map(CallExport::row).collect()))
    }
}

async fn audit(state: &ApiState, by: By<'_>, what: Value) -> Result<(), ActError> {
    let entry = AuditEntry {
        action: "calls.export",
        object: "calls".to_owned(),
        old: None,
        new: Some(what),
    };
    state.store().append_audit(by, entry).await
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use serde_json::json;

    use crate::testing::World;

    /// A world in which three calls ended.
    async fn ended() -> (World, Vec<String>) {
        let world = World::new();
        let campaign = world.loaded(3).await;
        let calls = world.calls().await;
        world.post(&format!("/api/campaigns/{campaign}/start"), json!({})).await;
        world.answer_all().await;
        (world, calls)
    }

    fn rows(text: &str) -> Vec<csv::StringRecord> {
        csv::Reader::from_reader(text.as_bytes()).records().map(Result::unwrap).collect()
    }

    #[tokio::test]
    async fn a_history_is_exported_with_its_filters_and_what_was_said() {
        let (world, _) = ended().await;
        let answer = world.get("/api/calls/export").await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.headers["content-type"].to_str().unwrap().starts_with("text/csv"));
        let all = rows(&answer.text());
        assert_eq!((all.len(), &all[0][7], &all[0][13]), (3, "answered", "[00:00] Agent: Hello."));
        assert!(world.audited("calls.export").await);
        for (query, count) in [("outcome=busy", 0), ("q=client%201", 1), ("sort=date", 3)] {
            let text = world.get(&format!("/api/calls/export?{query}")).await.text();
            assert_eq!(rows(&text).len(), count, "{query}");
        }
        let bad = world.get("/api/calls/export?limit=5&outcome=great&colour=red").await;
        assert_eq!(bad.status, StatusCode::BAD_REQUEST);
        assert_eq!(bad.fields(), ["limit", "outcome", "colour"]);
    }

    #[tokio::test]
    async fn chosen_calls_come_in_the_order_given_each_once() {
        let (world, calls) = ended().await;
        let ids = [&calls[2], &calls[0], &calls[2]];
        let answer = world.post("/api/calls/export", json!({"ids": ids})).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        let got: Vec<String> = rows(&answer.text()).iter().map(|row| row[0].to_owned()).collect();
        assert_eq!(got, [calls[2].clone(), calls[0].clone()]);
        assert!(world.audited("calls.export").await);
    }

    #[tokio::test]
    async fn ids_that_are_no_calls_are_named() {
        let (world, calls) = ended().await;
        let nowhere = "0199aaaa-0000-7000-8000-000000000000";
        let unknown = world.post("/api/calls/export", json!({"ids": [calls[0], nowhere]})).await;
        assert_eq!(unknown.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(unknown.fields(), ["ids[1]"]);
        assert!(unknown.text().contains(nowhere));
        let bad = world.post("/api/calls/export", json!({"ids": [1, "x"], "colour": 1})).await;
        assert_eq!(bad.status, StatusCode::BAD_REQUEST);
        assert_eq!(bad.fields(), ["ids[0]", "ids[1]", "colour"]);
        for body in [json!({}), json!({"ids": []}), json!({"ids": "all"})] {
            let answer = world.post("/api/calls/export", body).await;
            assert_eq!((answer.status, answer.fields()), (StatusCode::BAD_REQUEST, vec!["ids"]));
        }
        let many = world.post("/api/calls/export", json!({"ids": vec![nowhere; 1_001]})).await;
        assert_eq!(many.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(!world.audited("calls.export").await, "nothing was read");
    }

    #[tokio::test]
    async fn a_repeated_request_gets_the_same_file_and_another_body_none() {
        let (world, calls) = ended().await;
        let send = async |body| {
            let request = world.request("POST", "/api/calls/export");
            request.header("idempotency-key", "k").json(body).send().await
        };
        let first = send(json!({"ids": [calls[1]]})).await;
        let again = send(json!({"ids": [calls[1]]})).await;
        assert_eq!((again.status, again.text()), (StatusCode::OK, first.text()));
        let other = send(json!({"ids": [calls[0]]})).await;
        assert_eq!(
            (other.status, other.code()),
            (StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused")
        );
    }
}
