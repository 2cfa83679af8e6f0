//! `POST /api/dnc`: puts a number on the list, in force before the next dial.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::dnc::DncScope;
use callcore::id::CampaignId;
use callcore::port::Effect;

use super::{entry, number, reason};
use crate::act::{Act, Early};
use crate::auth::Operator;
use crate::problem::Problem;
use crate::request::Change;
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Operator(principal): Operator,
    change: Change,
) -> Result<Response, Early> {
    let act = Act::begin(&state, principal, &change, StatusCode::CREATED).await?;
    let mut fields = change.fields()?;
    let phone = fields.required::<String>("phone").and_then(|text| {
        let phone = number(&text);
        if phone.is_none() {
            fields.refuse("phone", "invalid", "is not a number in E.164, such as +12125550123");
        }
        phone
    });
    let reason = reason(&mut fields);
    let scope: Option<String> = fields.optional("scope");
    let campaign: Option<CampaignId> = fields.optional("campaign_id");
    let scope = match (scope.as_deref().unwrap_or("global"), campaign) {
        ("global", None) => Some(DncScope::Global),
        ("campaign", Some(id)) => Some(DncScope::Campaign(id)),
        ("campaign", None) if fields.is_refused("campaign_id") => None,
        ("campaign", None) => {
            fields.refuse("campaign_id", "required", "is required with this scope");
            None
        }
        ("global", Some(_)) => {
            fields.refuse("campaign_id", "invalid", "belongs to the scope campaign");
            None
        }
        _ => {
            fields.refuse("scope", "invalid", "must be global or campaign");
            None
        }
    };
    fields.finish()?;
    // `finish` has refused whatever left one of them out.
    let (Some(phone), Some(scope)) = (phone, scope) else {
        return Err(Problem::not_found().into());
    };
    let entry = entry(&act, phone, scope, reason);
    let added = state.desk().add_dnc(act.by(), entry).await;
    act.finish(added.map(Effect::DncAdded)).await
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use serde_json::json;

    use crate::testing::World;

    #[tokio::test]
    async fn an_id_that_is_none_is_told_once() {
        let world = World::new();
        let body = json!({"phone": "+12125550100", "scope": "campaign", "campaign_id": "x"});
        assert_eq!(world.post("/api/dnc", body).await.fields(), ["campaign_id"]);
    }

    #[tokio::test]
    async fn a_number_on_the_list_loses_its_scheduled_calls() {
        let world = World::new();
        let id = world.loaded(2).await;
        let entry = json!({"phone": "1 (212) 555-0100", "reason": "asked by mail"});
        let answer = world.post("/api/dnc", entry).await;
        assert_eq!(answer.status, StatusCode::CREATED);
        assert_eq!(answer.json["phone"], "+12125550100");
        assert_eq!(answer.json["scope"], "global");
        assert_eq!(answer.json["canceled"].as_array().unwrap().len(), 1);
        assert_eq!(answer.json["in_flight"], json!([]));
        let clients = world.get(&format!("/api/campaigns/{id}/clients?status=on_dnc")).await;
        assert_eq!(clients.json["items"].as_array().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_call_that_has_begun_is_named_and_hung_up() {
        let world = World::new();
        let id = world.loaded(1).await;
        world.post(&format!("/api/campaigns/{id}/start"), json!({})).await;
        world.dial_all().await;
        let answer = world.post("/api/dnc", json!({"phone": "+12125550100"})).await;
        let call = answer.json["in_flight"][0].as_str().unwrap();
        assert_eq!(world.hung_up(), [call]);
    }

    #[tokio::test]
    async fn every_bad_field_is_named_at_once() {
        let world = World::new();
        let entry = json!({"phone": "911", "scope": "campaign", "until": "2027"});
        let answer = world.post("/api/dnc", entry).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(answer.fields(), ["phone", "campaign_id", "until"]);
        let nowhere = json!({"phone": "+12125550100", "scope": "campaign",
            "campaign_id": "0199aaaa-0000-7000-8000-000000000000"});
        assert_eq!(world.post("/api/dnc", nowhere).await.status, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn a_retried_entry_gets_the_first_answer() {
        let world = World::new();
        let send = || {
            let request = world.request("POST", "/api/dnc").header("idempotency-key", "d");
            request.json(json!({"phone": "+12125550100"})).send()
        };
        let (first, again) = (send().await, send().await);
        assert_eq!((first.status, &first.json), (again.status, &again.json));
    }
}
