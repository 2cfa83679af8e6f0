//! `GET /api/settings`: the account's settings, and what holds it back.

use axum::extract::State;
use axum::response::Response;

use super::tagged;
use crate::auth::Viewer;
use crate::problem::Problem;
use crate::query::Query;
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Viewer(_): Viewer,
    query: Query,
) -> Result<Response, Problem> {
    query.finish()?;
    Ok(tagged(&state.store().account().await?))
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
        let mail = json!({"to": [], "summary_at": null, "details": null});
        assert_eq!((&settings["time_zone"], &settings["mail"]), (&json!(null), &mail));
    }
}
