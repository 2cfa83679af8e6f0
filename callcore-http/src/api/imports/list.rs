//! `GET /api/campaigns/{id}/imports`: the imports of a campaign, newest first.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::id::CampaignId;
use callcore::port::SortKey;

use crate::api::campaigns::existing;
use crate::auth::Viewer;
use crate::dto::{self, ImportDto, ListDto};
use crate::problem::Problem;
use crate::query::Query;
use crate::request::Id;
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Viewer(_): Viewer,
    Id(id): Id<CampaignId>,
    mut query: Query,
) -> Result<Response, Problem> {
    let limit = query.limit();
    let after = query.cursor_by(|key| matches!(key, SortKey::Number(_)));
    query.finish()?;
    existing(&state, id).await?;
    let page = state.store().import_page(id, after, limit).await?;
    Ok(dto::json(StatusCode::OK, &ListDto::of(&page, |import| ImportDto::from(import))))
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use crate::testing::World;

    #[tokio::test]
    async fn pages_of_imports_join_and_those_of_nothing_are_none() {
        let world = World::new();
        let id = world.draft().await;
        let mut wanted = Vec::new();
        for list in ["Phone\n2125550100\n", "Phone\n2125550101\n", "Phone\n2125550102\n"] {
            let report = world.upload(&id, list.as_bytes()).await.json;
            wanted.push(report["id"].as_str().unwrap().to_owned());
        }
        let path = format!("/api/campaigns/{id}/imports");
        let first = world.get(&format!("{path}?limit=2")).await.json;
        let cursor = first["next_cursor"].as_str().unwrap();
        let rest = world.get(&format!("{path}?limit=2&cursor={cursor}")).await.json;
        let items = [&first["items"], &rest["items"]].map(|items| items.as_array().unwrap());
        let mut seen: Vec<&str> =
            items.into_iter().flatten().map(|item| item["id"].as_str().unwrap()).collect();
        seen.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(seen, wanted);
        let nowhere = "/api/campaigns/0199aaaa-0000-7000-8000-000000000000/imports";
        assert_eq!(world.get(nowhere).await.status, StatusCode::NOT_FOUND);
        assert_eq!(world.get(&format!("{path}?sort=x")).await.fields(), ["sort"]);
    }
}
