//! `GET /api/calls/{id}/recording`: the audio, fetched from the carrier and handed on in whole or
//! in part. The carrier's own address for it never leaves the server.

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use callcore::id::CallId;

use super::{audit_read, existing};
use crate::auth::Viewer;
use crate::problem::Problem;
use crate::query::Query;
use crate::ranged::ranged;
use crate::request::Id;
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Viewer(principal): Viewer,
    Id(id): Id<CallId>,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    query.finish()?;
    let view = existing(&state, id).await?;
    let reference = view.call.progress.recording.ok_or_else(Problem::not_found)?;
    let audio = state.carrier().recording(&reference).await?.ok_or_else(Problem::not_found)?;
    audit_read(&state, &principal, id, "recording.read").await?;
    Ok(ranged(&audio.content_type, audio.bytes, headers.get(header::RANGE)))
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use crate::testing::World;

    #[tokio::test]
    async fn a_recording_is_handed_on_in_whole_and_in_part() {
        let world = World::new();
        let call = world.talked().await;
        let path = format!("/api/calls/{call}/recording");
        let whole = world.get(&path).await;
        assert_eq!((whole.status, whole.text().as_str()), (StatusCode::OK, "0123456789"));
        assert_eq!(whole.headers["accept-ranges"], "bytes");
        assert_eq!(whole.headers["content-type"], "audio/wav");
        let part = world.request("GET", &path).header("range", "bytes=2-4").send().await;
        assert_eq!((part.status, part.text().as_str()), (StatusCode::PARTIAL_CONTENT, "234"));
        assert_eq!(part.headers["content-range"], "bytes 2-4/10");
        let beyond = world.request("GET", &path).header("range", "bytes=99-").send().await;
        assert_eq!(beyond.status, StatusCode::RANGE_NOT_SATISFIABLE);
        assert_eq!(beyond.headers["content-range"], "bytes */10");
        assert!(world.audited("recording.read").await);
    }

    #[tokio::test]
    async fn a_call_without_a_recording_has_none_and_a_carrier_away_is_a_503() {
        let world = World::new();
        world.loaded(1).await;
        let call = world.calls().await.remove(0);
        let path = format!("/api/calls/{call}/recording");
        assert_eq!(world.get(&path).await.status, StatusCode::NOT_FOUND);
        let world = World::new();
        let call = world.talked().await;
        world.carrier_away();
        let answer = world.get(&format!("/api/calls/{call}/recording")).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.headers.contains_key("retry-after"));
    }
}
