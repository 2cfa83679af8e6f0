//! `GET /api/campaigns/{id}`: a campaign with its progress.

use axum::extract::State;
use axum::response::Response;
use callcore::id::CampaignId;

use super::{existing, tagged};
use crate::auth::Viewer;
use crate::problem::Problem;
use crate::query::Query;
use crate::request::Id;
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Viewer(_): Viewer,
    Id(id): Id<CampaignId>,
    query: Query,
) -> Result<Response, Problem> {
    query.finish()?;
    Ok(tagged(&existing(&state, id).await?))
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use crate::testing::World;

    #[tokio::test]
    async fn a_campaign_is_read_with_its_version_as_entity_tag() {
        let world = World::new();
        let id = world.draft().await;
        let answer = world.get(&format!("/api/campaigns/{id}")).await;
        assert_eq!(answer.json["id"], id);
        assert_eq!(answer.headers["etag"], "\"1\"");
    }

    #[tokio::test]
    async fn what_names_no_campaign_is_not_found() {
        let world = World::new();
        for id in ["x", "0199aaaa-0000-7000-8000-000000000000", "%ff", "%00"] {
            let answer = world.get(&format!("/api/campaigns/{id}")).await;
            assert_eq!(
                (answer.status, answer.code()),
                (StatusCode::NOT_FOUND, "not_found"),
                "{id}"
            );
        }
    }
}
