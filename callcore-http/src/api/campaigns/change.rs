//! `PATCH /api/campaigns/{id}`: puts changed settings in force, in any run state. The body is a JSON
//! Merge Patch: what it does not name stays, at every depth, and `null` gives a field its default.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use callcore::campaign::Settings;
use callcore::id::CampaignId;
use callcore::port::{By, CampaignView, Refused};
use serde_json::Value;

use super::{check_audio, existing, tagged};
use crate::auth::Admin;
use crate::problem::Problem;
use crate::request::{Change, Id};
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Admin(principal): Admin,
    Id(id): Id<CampaignId>,
    change: Change,
) -> Result<Response, Problem> {
    let view = existing(&state, id).await?;
    let version = change.settings_version()?;
    let current = view.campaign.settings_version;
    if version != current {
        return Err(Refused::Stale { current }.into());
    }
    let document = change.over(view.campaign.settings.to_json())?;
    let by = By::new(&principal.actor, state.now());
    Ok(tagged(&put_in_force(&state, by, &view, &document).await?))
}

/// Puts a whole document in force in place of the settings a campaign has.
pub(crate) async fn put_in_force(
    state: &ApiState,
    by: By<'_>,
    view: &CampaignView,
    document: &Value,
) -> Result<CampaignView, Problem> {
    let (campaign, old) = (&view.campaign, &view.campaign.settings);
    let settings = Settings::from_json(document)?;
    // No new version of the same: calls that are claimed need not be decided again.
    if settings == **old {
        return Ok(view.clone());
    }
    // A campaign that is over may still get another name.
    if settings.hours != old.hours || settings.time_zone != old.time_zone {
        settings.opens_after(by.now)?;
    }
    check_audio(state, &settings).await?;
    let (id, version) = (campaign.id, campaign.settings_version);
    let changed = state.store().change_settings(by, id, version, Arc::new(settings)).await?;
    state.wake();
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use serde_json::{Value, json};

    use crate::testing::World;

    #[tokio::test]
    async fn a_change_is_a_new_version_and_keeps_what_it_does_not_name() {
        let world = World::new();
        let id = world.draft().await;
        let path = format!("/api/campaigns/{id}");
        let changed = world
            .request("PATCH", &path)
            .header("if-match", "\"1\"")
            .json(json!({"pacing": {"max_concurrent": 3}}))
            .send()
            .await;
        assert_eq!(changed.status, StatusCode::OK);
        assert_eq!(changed.headers["etag"], "\"2\"");
        assert_eq!(changed.json["settings"]["pacing"]["max_concurrent"], 3);
        assert_eq!(changed.json["settings"]["name"], "Renewals");
    }

    #[tokio::test]
    async fn a_change_merges_into_what_stands_and_takes_lists_whole() {
        let world = World::new();
        let path = format!("/api/campaigns/{}", world.draft().await);
        let patch = async |version: u32, change: Value| {
            let request = world.request("PATCH", &path).header("if-match", &version.to_string());
            let answer = request.json(change).send().await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
            answer.json["settings"].clone()
        };
        let first = json!({
            "hours": {"mon": [["09:00", "17:00"]], "sat": [["10:00", "12:00"]]},
            "pacing": {"max_concurrent": 3, "calls_per_second": 4},
            "retry": {"connect": ["PT1H", "PT2H"], "max_attempts": 6},
            "script": {"steps": [{"say": "Hello."}], "keys": {"1": {"tag": "yes"}, "9": "opt_out"}},
        });
        patch(1, first).await;
        let second = json!({
            "hours": {"mon": [["10:00", "16:00"]], "sat": null},
            "pacing": {"calls_per_second": 2},
            "retry": {"connect": ["PT3H"]},
            "script": {"keys": {"1": null, "2": {"tag": "no"}}},
        });
        let settings = patch(2, second).await;
        assert_eq!(settings["pacing"], json!({"max_concurrent": 3, "calls_per_second": 2}));
        assert_eq!(settings["retry"]["connect"], json!(["PT3H"]));
        assert_eq!(settings["retry"]["max_attempts"], 6);
        assert_eq!(settings["hours"]["mon"], json!([["10:00", "16:00"]]));
        assert!(settings["hours"].get("sat").is_none_or(Value::is_null), "{}", settings["hours"]);
        assert_eq!(settings["script"]["keys"], json!({"2": {"tag": "no"}, "9": "opt_out"}));
        assert_eq!(settings["script"]["steps"].as_array().map(Vec::len), Some(1));
        // Here null is no default: it switches the breaker off.
        assert!(settings["breaker"].is_object());
        let off = patch(3, json!({"breaker": null})).await;
        assert_eq!(off["breaker"], json!(null));
        let reset = patch(4, json!({"pacing": {"max_concurrent": null}})).await;
        assert_eq!(reset["pacing"], json!({"max_concurrent": 10, "calls_per_second": 2}));
    }

    #[tokio::test]
    async fn a_change_of_an_older_version_is_stale() {
        let world = World::new();
        let path = format!("/api/campaigns/{}", world.draft().await);
        for status in [StatusCode::OK, StatusCode::PRECONDITION_FAILED] {
            let request = world.request("PATCH", &path).header("if-match", "1");
            let answer = request.json(json!({"priority": 1})).send().await;
            assert_eq!(answer.status, status);
        }
        let same = world.request("PATCH", &path).header("if-match", "2");
        let same = same.json(json!({"priority": 1})).send().await;
        assert_eq!((same.status, &same.json["settings_version"]), (StatusCode::OK, &json!(2)));
        let bare = world.request("PATCH", &path).json(json!({"priority": 1})).send().await;
        assert_eq!(bare.code(), "if_match_required");
    }

    #[tokio::test]
    async fn a_bad_change_names_every_field_and_changes_nothing() {
        let world = World::new();
        let path = format!("/api/campaigns/{}", world.draft().await);
        let document = json!({"retry": {"max_attempts": 10_000}, "presets": []});
        let request = world.request("PATCH", &path).header("if-match", "1");
        let answer = request.json(document).send().await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(answer.fields(), ["retry.max_attempts", "presets"]);
        assert_eq!(world.get(&path).await.json["settings_version"], 1);
    }
}
