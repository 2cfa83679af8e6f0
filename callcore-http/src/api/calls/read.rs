//! `GET /api/calls/{id}`: a call with its events, what was said, and why it is, or was, dialled.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::engine::explain;
use callcore::id::CallId;

use super::{audit_read, existing};
use crate::auth::Viewer;
use crate::dto::{self, CallDetail};
use crate::problem::Problem;
use crate::query::Query;
use crate::request::Id;
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Viewer(principal): Viewer,
    Id(id): Id<CallId>,
    query: Query,
) -> Result<Response, Problem> {
    query.finish()?;
    let view = existing(&state, id).await?;
    let events = state.store().events(id).await?;
    let decision = match state.store().facts(id).await? {
        Some(facts) => explain(&facts, state.now()).1,
        None => view.call.decision.clone(),
    };
    if !view.call.progress.transcript.is_empty() {
        audit_read(&state, &principal, id, "transcript.read").await?;
    }
    let detail = CallDetail::new(&view, state.carrier().kind(), &events, decision);
    Ok(dto::json(StatusCode::OK, &detail))
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use serde_json::json;

    use crate::testing::World;

    #[tokio::test]
    async fn a_scheduled_call_says_what_the_rules_say_now() {
        let world = World::new();
        world.loaded(1).await;
        let call = world.calls().await.remove(0);
        let answer = world.get(&format!("/api/calls/{call}")).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.json["status"], "scheduled");
        let decision = answer.json["decision"].as_array().unwrap();
        let run_state = decision.iter().find(|heard| heard["rule"] == "run_state").unwrap();
        assert_eq!(run_state["words"], "the campaign is draft");
    }

    #[tokio::test]
    async fn an_ended_call_has_its_events_its_words_and_an_audit_row() {
        let world = World::new();
        let call = world.talked().await;
        let answer = world.get(&format!("/api/calls/{call}")).await;
        assert_eq!(
            (&answer.json["status"], &answer.json["outcome"]),
            (&json!("ended"), &json!("answered"))
        );
        assert_eq!(answer.json["duration_seconds"], 30);
        assert_eq!(answer.json["transcript"][0]["text"], "Hello.");
        assert_eq!(answer.json["has_recording"], true);
        let kinds: Vec<&str> = answer.json["events"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|it| it["kind"].as_str())
            .collect();
        assert!(kinds.contains(&"answered") && kinds.contains(&"recorded"), "{kinds:?}");
        assert!(!answer.text().contains("RECORDING"), "the carrier's reference is not shown");
        assert!(!answer.json["decision"].as_array().unwrap().is_empty());
        assert!(world.audited("transcript.read").await);
        let nowhere = "/api/calls/0199aaaa-0000-7000-8000-000000000000";
        assert_eq!(world.get(nowhere).await.status, StatusCode::NOT_FOUND);
    }
}
