//! `GET /api/campaigns/{id}/clients`: clients in the order they came in.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::client::ClientStatus;
use callcore::id::CampaignId;
use callcore::port::{ClientQuery, SortKey};

use crate::api::campaigns::existing;
use crate::auth::Viewer;
use crate::dto::{self, ClientDto, ListDto};
use crate::problem::Problem;
use crate::query::Query;
use crate::request::Id;
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Viewer(_): Viewer,
    Id(campaign): Id<CampaignId>,
    mut query: Query,
) -> Result<Response, Problem> {
    let wanted = ClientQuery {
        campaign,
        q: query.q(),
        statuses: query.many("status", ClientStatus::parse),
        tags: query.texts("tag"),
        limit: query.limit(),
        after: query.cursor_by(|key| matches!(key, SortKey::Number(_))),
    };
    query.finish()?;
    existing(&state, campaign).await?;
    let page = state.store().clients(&wanted).await?;
    let imports = state.store().imports(campaign).await?;
    let columns: BTreeMap<_, _> = imports.iter().map(|it| (it.id, &*it.columns)).collect();
    let list = ListDto::of(&page, |view| {
        ClientDto::new(view, columns.get(&view.client.import).copied().unwrap_or_default())
    });
    Ok(dto::json(StatusCode::OK, &list))
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use crate::testing::World;

    #[tokio::test]
    async fn clients_are_found_by_name_number_status_and_tag() {
        let world = World::new();
        let id = world.loaded(4).await;
        let count = async |query: &str| {
            let answer = world.get(&format!("/api/campaigns/{id}/clients?{query}")).await;
            answer.json["items"].as_array().unwrap().len()
        };
        assert_eq!(count("").await, 4);
        assert_eq!(count("q=client%201").await, 1);
        assert_eq!(count("tag=even").await, 2);
        assert_eq!(count("status=pending&status=reached").await, 4);
        assert_eq!(count("status=reached").await, 0);
        let answer = world.get(&format!("/api/campaigns/{id}/clients?status=gone")).await;
        assert_eq!((answer.status, answer.fields()), (StatusCode::BAD_REQUEST, vec!["status"]));
    }
}
