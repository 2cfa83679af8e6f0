//! `GET /api/audio/{id}`: the bytes of an audio, in whole or in part.

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use callcore::id::AudioId;

use crate::auth::Viewer;
use crate::problem::Problem;
use crate::query::Query;
use crate::ranged::ranged;
use crate::request::Id;
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Viewer(_): Viewer,
    Id(id): Id<AudioId>,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    query.finish()?;
    let audio = state.store().audio(id).await?.ok_or_else(Problem::not_found)?;
    let bytes = state.store().audio_bytes(id).await?.ok_or_else(Problem::not_found)?;
    Ok(ranged(audio.format.media_type(), bytes, headers.get(header::RANGE)))
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use crate::testing::World;

    #[tokio::test]
    async fn an_audio_is_heard_in_whole_and_in_part() {
        let world = World::new();
        let id = world.audio("Offer").await;
        let path = format!("/api/audio/{id}");
        let whole = world.get(&path).await;
        assert_eq!(whole.status, StatusCode::OK);
        assert_eq!(
            (&whole.headers["content-type"], &whole.text()[..4]),
            (&"audio/wav".parse().unwrap(), "RIFF")
        );
        let part = world.request("GET", &path).header("range", "bytes=8-11").send().await;
        assert_eq!((part.status, &*part.text()), (StatusCode::PARTIAL_CONTENT, "WAVE"));
        let nowhere = "/api/audio/0199aaaa-0000-7000-8000-000000000000";
        assert_eq!(world.get(nowhere).await.status, StatusCode::NOT_FOUND);
    }
}
