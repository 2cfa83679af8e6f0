//! `GET /api/dnc`: entries, newest first.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::port::DncQuery;

use crate::auth::Viewer;
use crate::dto::{self, DncDto, ListDto};
use crate::problem::Problem;
use crate::query::Query;
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Viewer(_): Viewer,
    mut query: Query,
) -> Result<Response, Problem> {
    let scopes = query.many("scope", |text| match text {
        "global" => Some(false),
        "campaign" => Some(true),
        _ => None,
    });
    let first = scopes.first().copied();
    let wanted = DncQuery {
        q: query.q(),
        // Both of them are no bound.
        of_campaigns: first.filter(|first| scopes.iter().all(|scope| scope == first)),
        campaigns: query.many("campaign", |text| text.parse().ok()),
        after: query.cursor(),
        limit: query.limit(),
    };
    query.finish()?;
    let page = state.store().dnc(&wanted).await?;
    Ok(dto::json(StatusCode::OK, &ListDto::of(&page, |entry| DncDto::from(entry))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::World;

    #[tokio::test]
    async fn entries_are_found_by_number_and_scope() {
        let world = World::new();
        let campaign = world.draft().await;
        world.post("/api/dnc", json!({"phone": "+12125550101"})).await;
        let entry = json!({"phone": "+12125550102", "scope": "campaign", "campaign_id": campaign});
        world.post("/api/dnc", entry).await;
        let found = async |query: &str| {
            let answer = world.get(&format!("/api/dnc?{query}")).await;
            answer.json["items"].as_array().unwrap().len()
        };
        assert_eq!(found("").await, 2);
        assert_eq!(found("q=5550101").await, 1);
        assert_eq!(found("scope=global").await, 1);
        assert_eq!(found("scope=global&scope=campaign").await, 2);
        assert_eq!(found(&format!("campaign={campaign}")).await, 1);
        assert_eq!(found(&format!("campaign={campaign}&campaign={campaign}")).await, 1);
        assert_eq!(found("q=Ada").await, 0, "a name is no number");
        let bad = world.get("/api/dnc?scope=nowhere&campaign=x").await;
        assert_eq!(bad.fields(), ["scope", "campaign"]);
    }
}
