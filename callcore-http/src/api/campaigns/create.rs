//! `POST /api/campaigns`: creates a draft.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::campaign::Settings;
use callcore::id::CampaignId;
use callcore::port::{Effect, NewCampaign};

use super::check_audio;
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
    check_audio(&state, &settings).await?;
    let id = CampaignId::new(act.now(), state.entropy());
    let new = NewCampaign { id, settings: Arc::new(settings) };
    let created = state.store().create_campaign(act.by(), new).await;
    act.finish(created.map(|view| Effect::Campaign(Box::new(view)))).await
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use serde_json::json;

    use crate::testing::{World, settings};

    #[tokio::test]
    async fn a_new_campaign_is_a_draft_with_every_default() {
        let world = World::new();
        let answer = world.post("/api/campaigns", settings()).await;
        assert_eq!(answer.status, StatusCode::CREATED);
        assert_eq!(answer.json["state"], "draft");
        assert_eq!(answer.json["success_rate"], json!(null));
        assert_eq!(answer.json["settings"]["retry"]["max_attempts"], 4);
    }

    #[tokio::test]
    async fn bad_settings_are_refused_with_every_fields_name() {
        let world = World::new();
        let refused = |document| world.post("/api/campaigns", document);
        assert_eq!(refused(json!({"name": "x"})).await.fields(), ["hours"]);
        let never =
            json!({"name": "x", "hours": {"mon": [["09:00", "17:00"]]}, "end_on": "2020-01-01"});
        let never = refused(never).await;
        assert_eq!(
            (never.status, never.fields()),
            (StatusCode::UNPROCESSABLE_ENTITY, vec!["hours"])
        );
        let greedy = json!({"name": "x", "hours": {"mon": [["09:00", "17:00"]]}, "retry": {"max_attempts": 10_000}});
        let greedy = refused(greedy).await;
        assert_eq!(greedy.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(greedy.fields(), ["retry.max_attempts"]);
    }

    #[tokio::test]
    async fn every_bad_part_of_a_script_is_named() {
        let world = World::new();
        let mut document = settings();
        let nowhere = "0199aaaa-0000-7000-8000-000000000000";
        document["script"] = json!({"steps": [{"say": "Hi."}, {"say": "{{"}, {"play": "x"}]});
        document["inbound"] = json!({"keys": {"1": {"transfer": "911"}}});
        document["voicemail"] = json!({"policy": "leave_message", "message": "}}"});
        let refused = world.post("/api/campaigns", document.clone()).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text());
        let mut fields = refused.fields();
        fields.sort_unstable();
        assert_eq!(
            fields,
            [
                "inbound.keys.1.transfer",
                "script.steps[1].say",
                "script.steps[2].play",
                "voicemail.message"
            ]
        );
        let steps = json!({"steps": [{"say": "Hi."}, {"say": "Ho."}, {"play": nowhere}]});
        (document["script"], document["inbound"]) = (steps, json!({"steps": [{"play": nowhere}]}));
        document["voicemail"] = json!({"policy": "leave_message", "message": {"play": nowhere}});
        let refused = world.post("/api/campaigns", document).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        let fields = ["script.steps[2].play", "inbound.steps[0].play", "voicemail.message.play"];
        assert_eq!(refused.fields(), fields);
    }

    #[tokio::test]
    async fn a_retried_request_creates_one_campaign_and_gets_one_answer() {
        let world = World::new();
        let send = |document| {
            world.request("POST", "/api/campaigns").header("idempotency-key", "k1").json(document)
        };
        let first = send(settings()).send().await;
        let again = send(settings()).send().await;
        assert_eq!((first.status, &first.json), (again.status, &again.json));
        assert_eq!(world.get("/api/campaigns").await.json["items"].as_array().unwrap().len(), 1);
        let other = send(json!({"name": "Other"})).send().await;
        assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(other.code(), "idempotency_key_reused");
    }

    #[tokio::test]
    async fn what_is_no_json_is_refused_by_what_it_is() {
        let world = World::new();
        let send = |media_type: &str, body: &str| {
            let request = world.request("POST", "/api/campaigns");
            request.header("content-type", media_type).body(body.as_bytes().to_vec()).send()
        };
        assert_eq!(send("text/csv", "{}").await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        assert_eq!(send("application/json", "{").await.code(), "malformed_json");
        assert_eq!(send("application/json", &"[".repeat(100_000)).await.code(), "malformed_json");
        let large = format!("\"{}\"", "x".repeat(2 * 1024 * 1024));
        assert_eq!(send("application/json", &large).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    }
}
