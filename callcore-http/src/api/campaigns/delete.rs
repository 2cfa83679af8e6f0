//! `DELETE /api/campaigns/{id}`: removes a draft with its clients.

use axum::extract::State;
use axum::http::StatusCode;
use callcore::id::CampaignId;
use callcore::port::By;

use crate::auth::Admin;
use crate::problem::Problem;
use crate::query::Query;
use crate::request::Id;
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Admin(principal): Admin,
    Id(id): Id<CampaignId>,
    query: Query,
) -> Result<StatusCode, Problem> {
    query.finish()?;
    let by = By::new(&principal.actor, state.now());
    state.store().delete_campaign(by, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use callcore::actor::Role;
    use serde_json::json;

    use crate::testing::World;

    #[tokio::test]
    async fn a_draft_goes_with_its_clients_and_once() {
        let world = World::new();
        let id = world.loaded(3).await;
        let path = format!("/api/campaigns/{id}");
        let clients = world.get(&format!("{path}/clients")).await.json;
        let client = clients["items"][0]["id"].as_str().unwrap();
        let operator = world.request("DELETE", &path).role(Role::Operator).send().await;
        assert_eq!(operator.status, StatusCode::FORBIDDEN);
        assert_eq!(world.delete(&path).await.status, StatusCode::NO_CONTENT);
        assert!(world.audited("campaign.delete").await);
        for gone in [path.clone(), format!("/api/clients/{client}")] {
            assert_eq!(world.get(&gone).await.status, StatusCode::NOT_FOUND);
        }
        assert_eq!(world.delete(&path).await.status, StatusCode::NOT_FOUND);
        assert_eq!(world.get("/api/campaigns").await.json["items"], json!([]));
    }

    #[tokio::test]
    async fn what_was_started_is_not_deleted() {
        let world = World::new();
        let id = world.loaded(1).await;
        world.post(&format!("/api/campaigns/{id}/start"), json!({})).await;
        let refused = world.delete(&format!("/api/campaigns/{id}")).await;
        assert_eq!((refused.status, refused.code()), (StatusCode::CONFLICT, "campaign_state"));
        assert_eq!(refused.json["state"], "running");
    }
}
