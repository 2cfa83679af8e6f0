//! `POST /api/clients/{id}/dnc`: puts a client's number on the list.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::dnc::DncScope;
use callcore::id::ClientId;
use callcore::port::{Effect, Refused};

use crate::act::{Act, Early};
use crate::api::dnc::{entry, reason};
use crate::auth::Operator;
use crate::problem::Problem;
use crate::request::{Change, Id};
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Operator(principal): Operator,
    Id(id): Id<ClientId>,
    change: Change,
) -> Result<Response, Early> {
    let act = Act::begin(&state, principal, &change, StatusCode::CREATED).await?;
    let mut fields = change.fields()?;
    let reason = reason(&mut fields);
    let scope: Option<String> = fields.optional("scope");
    if !matches!(scope.as_deref(), None | Some("global" | "campaign")) {
        fields.refuse("scope", "invalid", "must be global or campaign");
    }
    fields.finish()?;
    let view = state.store().client(id).await?.ok_or_else(Problem::not_found)?;
    let phone = view.client.phone.ok_or(Refused::Erased)?;
    let scope = match scope.as_deref() {
        Some("campaign") => DncScope::Campaign(view.client.campaign),
        _ => DncScope::Global,
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
    async fn a_clients_number_is_listed_everywhere_or_in_its_campaign() {
        let world = World::new();
        let id = world.loaded(2).await;
        let clients = world.get(&format!("/api/campaigns/{id}/clients")).await.json;
        let path =
            |n: usize| format!("/api/clients/{}/dnc", clients["items"][n]["id"].as_str().unwrap());
        let answer = world.post(&path(0), json!({"reason": "asked by mail"})).await;
        assert_eq!(answer.status, StatusCode::CREATED);
        assert_eq!(
            (&answer.json["scope"], &answer.json["phone"]),
            (&json!("global"), &clients["items"][0]["phone"])
        );
        assert_eq!(answer.json["canceled"].as_array().unwrap().len(), 1);
        let answer = world.post(&path(1), json!({"scope": "campaign"})).await;
        assert_eq!(answer.json["campaign_id"], id.as_str());
        let bad = world.post(&path(1), json!({"scope": "x", "phone": "+12125550100"})).await;
        assert_eq!((bad.status, bad.fields()), (StatusCode::BAD_REQUEST, vec!["scope", "phone"]));
        let nowhere = "/api/clients/0199aaaa-0000-7000-8000-000000000000/dnc";
        assert_eq!(world.post(nowhere, json!({})).await.status, StatusCode::NOT_FOUND);
        let send = || {
            let request = world.request("POST", &path(0)).header("idempotency-key", "c");
            request.json(json!({})).send()
        };
        let (first, again) = (send().await, send().await);
        assert_eq!((first.status, &first.json), (again.status, &again.json));
    }
}
