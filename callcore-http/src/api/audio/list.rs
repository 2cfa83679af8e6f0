//! `GET /api/audio`: the audio that scripts may play, newest first.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::auth::Viewer;
use crate::dto::{self, AudioDto, ListDto};
use crate::problem::Problem;
use crate::query::Query;
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Viewer(_): Viewer,
    query: Query,
) -> Result<Response, Problem> {
    let (after, limit) = query.only_paging()?;
    let page = state.store().audios(after, limit).await?;
    Ok(dto::json(StatusCode::OK, &ListDto::of(&page, |audio| AudioDto::from(audio))))
}

#[cfg(test)]
mod tests {
    use crate::testing::World;

    #[tokio::test]
    async fn the_newest_comes_first_and_pages_go_on() {
        let world = World::new();
        for name in ["one", "two", "three"] {
            world.audio(name).await;
            world.clock.advance(chrono::TimeDelta::seconds(1));
        }
        let first = world.get("/api/audio?limit=2").await.json;
        let names = |page: &serde_json::Value| -> Vec<String> {
            let items = page["items"].as_array().unwrap();
            items.iter().map(|audio| audio["name"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(names(&first), ["three", "two"]);
        let cursor = first["next_cursor"].as_str().unwrap();
        let rest = world.get(&format!("/api/audio?limit=2&cursor={cursor}")).await.json;
        assert_eq!(names(&rest), ["one"]);
        assert!(rest["next_cursor"].is_null());
        assert_eq!(world.get("/api/audio?limit=0&colour=red").await.fields(), ["limit", "colour"]);
    }
}
