//! `GET /api/mails`: mails and what became of them, newest first.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::auth::Viewer;
use crate::dto::{self, ListDto, MailDto};
use crate::problem::Problem;
use crate::query::Query;
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Viewer(_): Viewer,
    query: Query,
) -> Result<Response, Problem> {
    let (after, limit) = query.only_paging()?;
    let page = state.store().mails(after, limit).await?;
    Ok(dto::json(StatusCode::OK, &ListDto::of(&page, |mail| MailDto::from(mail))))
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use crate::testing::World;

    #[tokio::test]
    async fn mails_are_listed_in_parts() {
        let world = World::with_mail();
        for _ in 0..3 {
            world.summary().await;
            world.clock.advance(chrono::TimeDelta::minutes(1));
        }
        let page = world.get("/api/mails?limit=2").await;
        assert_eq!(page.json["items"].as_array().unwrap().len(), 2);
        let cursor = page.json["next_cursor"].as_str().unwrap();
        let rest = world.get(&format!("/api/mails?limit=2&cursor={cursor}")).await;
        assert_eq!(rest.json["items"].as_array().unwrap().len(), 1);
        let newest = &page.json["items"][0];
        assert!(newest["queued_at"].as_str() > rest.json["items"][0]["queued_at"].as_str());
        assert_eq!((newest["receivers"].as_u64(), newest["attempts"].as_u64()), (Some(1), Some(1)));
        let bad = world.get("/api/mails?state=sent&limit=0").await;
        assert_eq!((bad.status, bad.fields()), (StatusCode::BAD_REQUEST, vec!["limit", "state"]));
    }
}
