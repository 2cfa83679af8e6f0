//! `GET /api/settings`: the account's settings, and what holds it back.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::shown;
use crate::auth::Viewer;
use crate::dto;
use crate::problem::Problem;
use crate::query::Query;
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Viewer(_): Viewer,
    query: Query,
) -> Result<Response, Problem> {
    query.finish()?;
    let account = state.store().account().await?;
    let body = shown(&state, &account).await?;
    Ok(dto::tagged(dto::json(StatusCode::OK, &body), account.settings_version))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::World;

    #[tokio::test]
    async fn an_account_begins_with_defaults_in_the_servers_zone() {
        let world = World::new();
        let zone = "America/New_York".parse().unwrap();
        world.state.store().keep_server_zone(&zone).await.unwrap();
        let answer = world.get("/api/settings").await;
        assert_eq!(answer.headers["etag"], "\"1\"");
        assert_eq!(answer.json["settings_version"], 1);
        assert_eq!(answer.json["time_zone"], "America/New_York");
        assert_eq!(answer.json["stopped"], json!(null));
        let settings = &answer.json["settings"];
        for limit in ["calls_per_second", "calls_at_once", "spend_per_day", "retention_days"] {
            assert_eq!(settings[limit], json!(null), "{limit}");
        }
        assert_eq!(answer.json["spend_today"], json!(null));
        let mail = json!({"to": [], "summary_at": null, "details": null});
        assert_eq!((&settings["time_zone"], &settings["mail"]), (&json!(null), &mail));
    }

    #[tokio::test]
    async fn what_the_day_has_cost_is_shown() {
        let world = World::new();
        let spend =
            json!({"spend_per_day": {"amount": "1", "per_call": "0.1", "per_minute": "0.02"}});
        let change = world.request("PATCH", "/api/settings").header("if-match", "1").json(spend);
        change.send().await;
        let id = world.loaded(4).await;
        world.post(&format!("/api/campaigns/{id}/start"), json!({})).await;
        world.dial_all().await;
        let day = world.get("/api/settings").await.json["spend_today"].clone();
        // Two dials may cost 0.40 each; the third one's most might pass the amount.
        assert_eq!(day["reserved"], "0.80");
        assert_eq!((&day["spent"], &day["reached"]), (&json!("0.00"), &json!(false)));
        assert_eq!(day["day_ends_at"], "2026-11-24T00:00:00Z");
        world.answer_all().await;
        let day = world.get("/api/settings").await.json["spend_today"].clone();
        assert_eq!((&day["spent"], &day["reserved"]), (&json!("0.24"), &json!("0.00")));
    }
}
