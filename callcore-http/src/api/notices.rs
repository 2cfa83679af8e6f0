//! `GET /api/notices`: what people should hear about, and whether they were told, newest first.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::auth::Viewer;
use crate::dto::{self, ListDto, MailedNoticeDto};
use crate::problem::Problem;
use crate::query::Query;
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Viewer(_): Viewer,
    query: Query,
) -> Result<Response, Problem> {
    let (after, limit) = query.only_paging()?;
    let page = state.store().mailed_notices(after, limit).await?;
    let sends_mail = state.mailer().is_some();
    let list = ListDto::of(&page, |notice| MailedNoticeDto::new(notice, sends_mail));
    Ok(dto::json(StatusCode::OK, &list))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::World;

    #[tokio::test]
    async fn without_mail_settings_notices_are_kept_and_shown_as_not_sent() {
        let world = World::new();
        let id = world.loaded(1).await;
        world.post(&format!("/api/campaigns/{id}/start"), json!({})).await;
        world.answer_all().await;
        let list = world.get("/api/notices").await;
        let notice = &list.json["items"][0];
        assert_eq!(
            (&notice["kind"], &notice["campaign_id"]),
            (&json!("campaign_finished"), &json!(id))
        );
        assert_eq!(
            (&notice["state"], &notice["reason"]),
            (&json!("not_sent"), &json!("no_mail_settings"))
        );
        assert_eq!((&notice["mail"], &list.json["next_cursor"]), (&json!(null), &json!(null)));
        assert_eq!(world.get("/api/notices?cursor=x&y=1").await.fields(), ["cursor", "y"]);
    }

    #[tokio::test]
    async fn a_notice_gathers_and_is_sent() {
        let world = World::with_mail();
        let id = world.loaded(1).await;
        world.post(&format!("/api/campaigns/{id}/start"), json!({})).await;
        world.answer_all().await;
        let state = async || world.get("/api/notices").await.json["items"][0].clone();
        assert_eq!(state().await["reason"], "gathering");
        world.clock.advance(chrono::TimeDelta::minutes(5));
        world.tick().await;
        assert_eq!(world.mails(), ["A campaign is finished"]);
        let sent = state().await;
        assert_eq!((&sent["state"], &sent["mail"]["attempts"]), (&json!("sent"), &json!(1)));
    }
}
