//! `PATCH /api/settings`: puts changed settings of the account in force. The body is a JSON Merge
//! Patch: what it does not name stays, at every depth, and `null` gives a field its default.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::account::AccountSettings;
use callcore::port::{By, Refused};

use super::shown;
use crate::auth::Admin;
use crate::dto;
use crate::problem::Problem;
use crate::request::Change;
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Admin(principal): Admin,
    change: Change,
) -> Result<Response, Problem> {
    let account = state.store().account().await?;
    let version = change.settings_version()?;
    let current = account.settings_version;
    if version != current {
        return Err(Refused::Stale { current }.into());
    }
    let settings = AccountSettings::from_json(&change.over(account.settings.to_json())?)?;
    if settings == *account.settings {
        let body = shown(&state, &account).await?;
        return Ok(dto::tagged(dto::json(StatusCode::OK, &body), version));
    }
    let by = By::new(&principal.actor, state.now());
    let changed = state.store().change_account(by, version, Arc::new(settings)).await?;
    state.wake();
    let body = shown(&state, &changed).await?;
    Ok(dto::tagged(dto::json(StatusCode::OK, &body), changed.settings_version))
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use serde_json::{Value, json};

    use crate::testing::World;

    const PATH: &str = "/api/settings";

    #[tokio::test]
    async fn a_change_is_a_new_version_and_keeps_what_it_does_not_name() {
        let world = World::new();
        let first = json!({"calls_per_second": 5, "mail": {"to": ["a@example.com"]}});
        let first = world.request("PATCH", PATH).header("if-match", "\"1\"").json(first);
        assert_eq!(first.send().await.status, StatusCode::OK);
        let second = json!({"time_zone": "Europe/Berlin", "calls_per_second": null});
        let second = world.request("PATCH", PATH).header("if-match", "2").json(second);
        let changed = second.send().await;
        assert_eq!(changed.headers["etag"], "\"3\"");
        assert_eq!(changed.json["settings"]["calls_per_second"], json!(null));
        assert_eq!(changed.json["settings"]["mail"]["to"], json!(["a@example.com"]));
        assert_eq!(changed.json["time_zone"], "Europe/Berlin");
        assert_eq!(world.get(PATH).await.json, changed.json);
        assert!(world.audited("account.change").await);
        assert_eq!(world.wakes(), 2);
    }

    #[tokio::test]
    async fn a_change_within_mail_or_money_keeps_the_rest_of_it() {
        let world = World::new();
        let patch = async |version: &str, change: Value| {
            let request = world.request("PATCH", PATH).header("if-match", version);
            let answer = request.json(change).send().await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
            answer.json["settings"].clone()
        };
        let spend = json!({"amount": "25", "per_call": "0.01", "per_minute": "0.014"});
        let mail = json!({"to": ["a@example.com", "b@example.com"], "summary_at": "18:30"});
        patch("1", json!({"spend_per_day": spend, "mail": mail})).await;
        let change = json!({"spend_per_day": {"amount": "30"}, "mail": {"to": ["c@example.com"]}});
        let settings = patch("2", change).await;
        assert_eq!(settings["spend_per_day"]["per_call"], "0.01");
        assert_eq!(settings["spend_per_day"]["amount"], "30.00");
        assert_eq!(settings["mail"]["to"], json!(["c@example.com"]));
        assert_eq!(settings["mail"]["summary_at"], "18:30");
        let settings = patch("3", json!({"spend_per_day": null})).await;
        assert_eq!(settings["spend_per_day"], Value::Null);
    }

    #[tokio::test]
    async fn a_change_of_an_older_version_is_stale() {
        let world = World::new();
        for status in [StatusCode::OK, StatusCode::PRECONDITION_FAILED] {
            let request = world.request("PATCH", PATH).header("if-match", "1");
            let answer = request.json(json!({"retention_days": 30})).send().await;
            assert_eq!(answer.status, status);
        }
        let same = world.request("PATCH", PATH).header("if-match", "2").json(json!({}));
        assert_eq!(same.send().await.json["settings_version"], 2);
        let bare = world.request("PATCH", PATH).json(json!({"retention_days": 1})).send().await;
        assert_eq!(
            (bare.status, bare.code()),
            (StatusCode::PRECONDITION_REQUIRED, "if_match_required")
        );
    }

    #[tokio::test]
    async fn a_bad_change_names_every_field_and_changes_nothing() {
        let world = World::new();
        let document = json!({"calls_at_once": 0, "mail": {"to": ["nobody"]}, "colour": "red"});
        let request = world.request("PATCH", PATH).header("if-match", "1");
        let answer = request.json(document).send().await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(answer.fields(), ["calls_at_once", "mail.to[0]", "colour"]);
        let request = world.request("PATCH", PATH).header("if-match", "1");
        let answer = request.json(json!({"calls_at_once": 0})).send().await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        let request = world.request("PATCH", PATH).header("if-match", "1");
        assert_eq!(request.json(json!([1])).send().await.status, StatusCode::BAD_REQUEST);
        assert_eq!(world.get(PATH).await.json["settings_version"], 1);
    }
}
