//! `GET /api/campaigns/{id}/analytics`: the numbers, in all and over time.
//!
//! Without a tag they come from counters, whatever the number of calls. With one they are counted from
//! the rows of the clients that have it: that costs as much as those have calls.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::analytics::{Bucket, Totals, over_time};
use callcore::id::CampaignId;
use callcore::port::CampaignProgress;

use super::existing;
use crate::auth::Viewer;
use crate::dto::{self, AnalyticsDto};
use crate::problem::Problem;
use crate::query::{Instants, Query};
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
    let Instants { from, to } = query.instants(&zone);
    let tags = query.texts("tag");
    query.finish()?;
    let bucket = bucket.unwrap_or(Bucket::Day);
    let view = existing(&state, id).await?;
    let (progress, rows) = if tags.is_empty() {
        (view.progress, state.store().tallies(Some(id), from, to).await?)
    } else {
        let tagged = state.store().tagged(id, &tags, from, to).await?;
        (
            CampaignProgress { clients: tagged.clients, ..CampaignProgress::default() },
            tagged.tallies,
        )
    };
    let dto = AnalyticsDto::new(
        id,
        &progress,
        &Totals::of(&rows),
        (bucket, zone.name(), &over_time(&rows, bucket, &zone)),
    );
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
    async fn a_stretch_of_time_and_a_tag_leave_the_rest_out() {
        let world = World::new();
        let id = world.loaded(5).await;
        world.post(&format!("/api/campaigns/{id}/start"), json!({})).await;
        world.answer_all().await;
        let asked = async |query: &str| {
            let answer = world.get(&format!("/api/campaigns/{id}/analytics?{query}")).await;
            assert_eq!(answer.status, StatusCode::OK, "{query}: {}", answer.text());
            answer.json
        };
        let even = asked("tag=even").await;
        assert_eq!((&even["attempted"], &even["clients"]), (&json!(3), &json!(3)));
        assert_eq!(even["clients_by_status"], json!({"reached": 3}));
        assert_eq!(even["over_time"][0]["attempted"], 3);
        let none = asked("tag=odd").await;
        assert_eq!((&none["attempted"], &none["success_rate"]), (&json!(0), &json!(null)));
        assert_eq!((&none["progress_percent"], &none["over_time"]), (&json!(0.0), &json!([])));
        // They ended at 15:00 in UTC, which is ten in the morning in New York.
        for (range, count) in [
            ("from=2026-11-23&to=2026-11-23", 5),
            ("to=2026-11-22", 0),
            ("from=2026-11-23T15:00:00Z&to=2026-11-23T15:00:01Z", 5),
            ("from=2026-11-23T14:00:00Z&to=2026-11-23T15:00:00Z", 0),
            ("from=2026-11-23&zone=Pacific/Kiritimati&to=2026-11-23", 0),
            ("from=2026-11-24&zone=Pacific/Kiritimati&tag=even&tag=odd", 3),
        ] {
            assert_eq!(asked(range).await["attempted"], count, "{range}");
        }
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
