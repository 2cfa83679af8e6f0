//! `POST /api/campaigns/{id}/test-call`: the real script on a number of one's own.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::id::{CampaignId, ClientId};
use callcore::phone::PhoneNumber;
use callcore::port::{ActError, Effect, Refused};

use super::existing;
use crate::act::{Act, Early};
use crate::auth::Operator;
use crate::problem::Problem;
use crate::request::{Change, Id};
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Operator(principal): Operator,
    Id(id): Id<CampaignId>,
    change: Change,
) -> Result<Response, Early> {
    let act = Act::begin(&state, principal, &change, StatusCode::ACCEPTED).await?;
    let campaign = existing(&state, id).await?;
    let mut fields = change.fields()?;
    let phone: Option<String> = fields.required("phone");
    let phone = phone.and_then(|text| {
        let phone = PhoneNumber::parse(&text, &campaign.campaign.settings.default_region).ok();
        if phone.is_none() {
            fields.refuse("phone", "invalid_phone", "is no phone number that could be dialled");
        }
        phone
    });
    let sample: Option<ClientId> = fields.optional("client_id");
    fields.finish()?;
    // A field that is missing is refused above.
    let Some(phone) = phone else { return Err(Problem::internal().into()) };
    match state.desk().test_call(act.by(), id, phone, sample).await {
        Err(ActError::Refused(Refused::NotFound)) if sample.is_some() => {
            let words = "is no client of this campaign".to_owned();
            Err(Problem::of_field("unknown_client", "client_id", words).into())
        }
        made => act.finish(made.map(|view| Effect::Call(Box::new(view)))).await,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use serde_json::json;

    use crate::testing::World;

    #[tokio::test]
    async fn a_draft_is_tried_out_and_nothing_counts() {
        let world = World::new();
        let id = world.loaded(1).await;
        let path = format!("/api/campaigns/{id}/test-call");
        let body = json!({"phone": "(212) 555-0177"});
        let send = || {
            let request = world.request("POST", &path).header("idempotency-key", "t");
            request.json(body.clone()).send()
        };
        let (first, again) = (send().await, send().await);
        assert_eq!(first.status, StatusCode::ACCEPTED, "{}", first.text());
        assert_eq!(first.json, again.json);
        assert_eq!(
            (&first.json["test"], &first.json["phone"], &first.json["client_id"]),
            (&json!(true), &json!("+12125550177"), &json!(null))
        );
        world.answer_all().await;
        let call = world.get(&format!("/api/calls/{}", first.json["id"].as_str().unwrap())).await;
        assert_eq!((&call.json["outcome"], &call.json["test"]), (&json!("answered"), &json!(true)));
        let history = world.get("/api/calls/history").await.json;
        assert_eq!(history["items"][0]["test"], true);
        let campaign = world.get(&format!("/api/campaigns/{id}")).await.json;
        assert_eq!((&campaign["attempted"], &campaign["state"]), (&json!(0), &json!("draft")));
        assert!(world.audited("call.test").await);
    }

    #[tokio::test]
    async fn what_is_wrong_is_refused_by_name() {
        let world = World::new();
        let id = world.loaded(1).await;
        let path = format!("/api/campaigns/{id}/test-call");
        let bad =
            world.post(&path, json!({"phone": "911", "client_id": "x", "hours": "any"})).await;
        assert_eq!(bad.status, StatusCode::BAD_REQUEST);
        assert_eq!(bad.fields(), ["phone", "client_id", "hours"]);
        assert_eq!(world.post(&path, json!({})).await.fields(), ["phone"]);
        let no_phone = world.post(&path, json!({"phone": "nobody"})).await;
        assert_eq!(no_phone.status, StatusCode::UNPROCESSABLE_ENTITY);
        let client = "0199aaaa-0000-7000-8000-000000000000";
        let unknown = json!({"phone": "+12125550177", "client_id": client});
        let unknown = world.post(&path, unknown).await;
        assert_eq!(
            (unknown.status, unknown.fields()),
            (StatusCode::UNPROCESSABLE_ENTITY, vec!["client_id"])
        );
        world.post("/api/dnc", json!({"phone": "+12125550177"})).await;
        let listed = world.post(&path, json!({"phone": "+12125550177"})).await;
        assert_eq!((listed.status, listed.code()), (StatusCode::UNPROCESSABLE_ENTITY, "on_dnc"));
        world.post(&format!("/api/campaigns/{id}/start"), json!({})).await;
        world.post(&format!("/api/campaigns/{id}/stop"), json!({})).await;
        let stopped = world.post(&path, json!({"phone": "+12125550178"})).await;
        assert_eq!((stopped.status, stopped.code()), (StatusCode::CONFLICT, "campaign_state"));
        let nowhere = format!("/api/campaigns/{client}/test-call");
        let nowhere = world.post(&nowhere, json!({"phone": "+12125550178"})).await;
        assert_eq!(nowhere.status, StatusCode::NOT_FOUND);
    }
}
