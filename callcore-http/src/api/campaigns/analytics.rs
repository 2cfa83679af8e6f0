//! `GET /api/campaigns/{id}/analytics`: the numbers, in all and over time.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::analytics::{Bucket, over_time};
use callcore::id::CampaignId;

use super::existing;
use crate::auth::Viewer;
use crate::dto::{self, AnalyticsDto};
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
    let bucket = query.one("bucket", |text| match text {
        "hour" => Some(Bucket::Hour),
        "day" => Some(Bucket::Day),
        _ => None,
    });
    let zone = query.zone(state.zone());
    query.finish()?;
    let bucket = bucket.unwrap_or(Bucket::Day);
    let view = existing(&state, id).await?;
    let rows = state.store().tallies(Some(id), None, None).await?;
    let word = match bucket {
        Bucket::Hour => "hour",
        Bucket::Day => "day",
    };
    let dto = AnalyticsDto::new(&view, word, zone.name(), &over_time(&rows, bucket, &zone));
    Ok(dto::json(StatusCode::OK, &dto))
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use serde_json::json;

    use crate::testing::World;

    #[tokio::test]
    async fn the_numbers_over_time_add_up_to_those_in_all() {
        let world = World::new();
        let id = world.loaded(2).await;
        world.post(&format!("/api/campaigns/{id}/start"), json!({})).await;
        world.answer_all().await;
        let answer = world.get(&format!("/api/campaigns/{id}/analytics?bucket=hour")).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.json["attempted"], 2);
        assert_eq!(answer.json["success_rate"], 1.0);
        assert_eq!(answer.json["average_duration_seconds"], 30.0);
        assert_eq!(answer.json["progress_percent"], 100.0);
        let over_time = answer.json["over_time"].as_array().unwrap();
        assert_eq!(over_time.iter().filter_map(|it| it["attempted"].as_u64()).sum::<u64>(), 2);
    }

    #[tokio::test]
    async fn an_unknown_bucket_and_zone_are_named() {
        let world = World::new();
        let id = world.draft().await;
        let path = format!("/api/campaigns/{id}/analytics?bucket=week&zone=Mars");
        let answer = world.get(&path).await;
        assert_eq!(
            (answer.status, answer.fields()),
            (StatusCode::BAD_REQUEST, vec!["bucket", "zone"])
        );
        let nowhere = "/api/campaigns/0199aaaa-0000-7000-8000-000000000000/analytics";
        assert_eq!(world.get(nowhere).await.status, StatusCode::NOT_FOUND);
    }
}
