//! `GET /api/calls/{id}/transcript.txt`: what was said, as text.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use callcore::export::transcript;
use callcore::id::CallId;

use super::{audit_read, existing};
use crate::auth::Viewer;
use crate::problem::Problem;
use crate::query::Query;
use crate::request::Id;
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Viewer(principal): Viewer,
    Id(id): Id<CallId>,
    mut query: Query,
) -> Result<Response, Problem> {
    let zone = query.zone(state.zone());
    query.finish()?;
    let view = existing(&state, id).await?;
    let text = transcript(&view, &zone).ok_or_else(Problem::not_found)?;
    audit_read(&state, &principal, id, "transcript.read").await?;
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("inline; filename=\"transcript-{id}.txt\"")),
    ];
    Ok((headers, text).into_response())
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use crate::testing::World;

    #[tokio::test]
    async fn a_transcript_is_text_with_a_header_and_is_audited() {
        let world = World::new();
        let call = world.talked().await;
        let answer = world.get(&format!("/api/calls/{call}/transcript.txt")).await;
        assert_eq!(answer.status, StatusCode::OK);
        let text = answer.text();
        assert!(text.starts_with("Campaign: Renewals\nName: Client 0\nDate: "), "{text}");
        assert!(text.ends_with("\n\n[00:00] Agent: Hello.\n"), "{text}");
        assert!(world.audited("transcript.read").await);
    }

    #[tokio::test]
    async fn a_call_in_which_nothing_was_said_has_none() {
        let world = World::new();
        world.loaded(1).await;
        let call = world.calls().await.remove(0);
        let answer = world.get(&format!("/api/calls/{call}/transcript.txt")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
    }
}
