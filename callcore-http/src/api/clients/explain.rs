//! `GET /api/clients/{id}/explain`: what every rule says of a dial to a client now, and why it has a
//! call to come or none.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::engine::why;
use callcore::id::ClientId;
use callcore::port::Refused;

use super::existing;
use crate::auth::Viewer;
use crate::dto::{self, WhyDto};
use crate::problem::Problem;
use crate::query::Query;
use crate::request::Id;
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Viewer(_): Viewer,
    Id(id): Id<ClientId>,
    query: Query,
) -> Result<Response, Problem> {
    query.finish()?;
    let view = existing(&state, id).await?;
    let facts = state.store().client_facts(id).await?.ok_or(Refused::Erased)?;
    let why = why(&facts, &view.client.standing, state.now());
    Ok(dto::json(StatusCode::OK, &WhyDto::new(&view, why)))
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use serde_json::{Value, json};

    use crate::testing::World;

    fn rule<'a>(answer: &'a Value, name: &str) -> &'a Value {
        let rules = answer["rules"].as_array().unwrap();
        rules.iter().find(|heard| heard["rule"] == name).unwrap()
    }

    #[tokio::test]
    async fn a_client_with_a_call_to_come_is_explained_rule_by_rule() {
        let world = World::new();
        let campaign = world.loaded(1).await;
        let path = format!("/api/clients/{}/explain", world.client(&campaign).await);
        let draft = world.get(&path).await;
        assert_eq!((draft.status, &draft.json["answer"]), (StatusCode::OK, &json!("not_now")));
        assert_eq!(draft.json["because"], "run_state");
        world.post(&format!("/api/campaigns/{campaign}/start"), json!({})).await;
        let answer = world.get(&path).await.json;
        assert_eq!((&answer["answer"], &answer["because"]), (&json!("dial"), &Value::Null));
        assert_eq!(answer["next_allowed"], "2026-11-23T15:00:00Z");
        assert_eq!(answer["words"], "a call is due, and the rules allow it now");
        for name in [
            "run_state",
            "dnc",
            "active",
            "consent",
            "max_attempts",
            "number_free",
            "caps",
            "zone",
            "hours",
        ] {
            assert_eq!(rule(&answer, name)["passed"], true, "{name}");
        }
        assert_eq!(rule(&answer, "max_attempts")["words"], "0 of 4 dials made");
    }

    #[tokio::test]
    async fn a_client_without_one_says_why_not() {
        let world = World::new();
        let call = world.talked().await;
        let client = world.get(&format!("/api/calls/{call}")).await.json["client_id"].clone();
        let client = client.as_str().unwrap().to_owned();
        let path = format!("/api/clients/{client}/explain");
        let answer = world.get(&path).await.json;
        assert_eq!((&answer["status"], &answer["next_call"]), (&json!("reached"), &Value::Null));
        assert_eq!(answer["words"], "no call is to come: somebody answered");
        world.patch(&format!("/api/clients/{client}"), json!({"active": false})).await;
        let answer = world.get(&path).await.json;
        assert_eq!((&answer["answer"], &answer["because"]), (&json!("never"), &json!("inactive")));
        assert_eq!(answer["next_allowed"], Value::Null);
        assert_eq!(rule(&answer, "active")["words"], "the client is switched off");
        assert_eq!(world.get("/api/clients/nobody/explain").await.status, StatusCode::NOT_FOUND);
    }
}
