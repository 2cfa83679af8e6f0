//! `POST /api/users`: creates somebody who chooses a password under a link that works once.
//!
//! The link is a secret and stored nowhere: a request that is replayed under its idempotency key is
//! answered as before, but with `null` for the link. `PATCH` with `invite` makes a new one.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::actor::Role;
use callcore::id::UserId;
use callcore::port::{Effect, User};

use super::show_link;
use crate::act::{Act, Early};
use crate::auth::Admin;
use crate::request::Change;
use crate::sign_in;
use crate::state::ApiState;

/// The longest user name, in characters.
pub(crate) const MAX_NAME_CHARS: usize = 64;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Admin(principal): Admin,
    change: Change,
) -> Result<Response, Early> {
    let act = Act::begin(&state, principal, &change, StatusCode::CREATED).await?;
    let mut fields = change.fields()?;
    let name: String = fields.required("name").unwrap_or_default();
    if !fields.is_refused("name") && !is_user_name(&name) {
        let rule = format!("1 to {MAX_NAME_CHARS} of a-z, 0-9 and . _ - @ +");
        fields.refuse("name", "invalid", rule);
    }
    let role: Option<Role> = fields.required("role");
    fields.finish()?;
    let (secret, invitation) = sign_in::new_invitation(&state);
    let user = User {
        id: UserId::new(act.now(), state.entropy()),
        name,
        role: role.unwrap_or(Role::Viewer),
        password_hash: None,
        disabled: false,
    };
    let invited = state.store().invite_user(act.by(), user, invitation).await;
    let effect = invited.map(|view| Effect::User(Box::new(view)));
    act.finish_showing(effect, |user| show_link(&state, user, &secret)).await
}

/// Whether a text is a name to sign in with: such that no two look the same.
pub(crate) fn is_user_name(name: &str) -> bool {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-@+".contains(c);
    (1..=MAX_NAME_CHARS).contains(&name.len()) && name.chars().all(good)
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use serde_json::json;

    use crate::testing::World;

    #[tokio::test]
    async fn whoever_is_invited_has_a_link_that_is_shown_once() {
        let world = World::new();
        let body = json!({"name": "ana", "role": "operator"});
        let answer = world.post("/api/users", body).await;
        assert_eq!(answer.status, StatusCode::CREATED);
        assert_eq!(
            (&answer.json["name"], &answer.json["role"]),
            (&json!("ana"), &json!("operator"))
        );
        assert_eq!(answer.json["has_password"], false);
        let link = answer.json["invitation"]["link"].as_str().unwrap();
        assert!(link.starts_with("/invitation?link="), "{link}");
        assert_eq!(answer.json["invitation"]["expires_at"], "2026-11-26T15:00:00Z");
        let path = format!("/api/users/{}", answer.json["id"].as_str().unwrap());
        let read = world.get(&path).await;
        assert_eq!(read.json["invitation"]["expires_at"], "2026-11-26T15:00:00Z");
        assert_eq!(read.json["invitation"]["link"], json!(null));
        assert!(world.audited("user.invite").await);
    }

    #[tokio::test]
    async fn a_link_leads_to_where_the_application_is() {
        let world = World::with(|state| state.with_origin("https://calls.example.com/"));
        let answer = world.post("/api/users", json!({"name": "ana", "role": "viewer"})).await;
        let link = answer.json["invitation"]["link"].as_str().unwrap();
        assert!(link.starts_with("https://calls.example.com/invitation?link="), "{link}");
    }

    #[tokio::test]
    async fn a_replay_says_the_same_without_the_link() {
        let world = World::new();
        let send = || {
            let request = world.request("POST", "/api/users").header("idempotency-key", "k");
            request.json(json!({"name": "ana", "role": "viewer"})).send()
        };
        let (first, again) = (send().await, send().await);
        assert_eq!((first.status, again.status), (StatusCode::CREATED, StatusCode::CREATED));
        let mut expected = first.json.clone();
        expected["invitation"]["link"] = json!(null);
        assert_eq!(again.json, expected);
        assert_ne!(first.json, expected);
        let taken = world.post("/api/users", json!({"name": "ana", "role": "viewer"})).await;
        assert_eq!((taken.status, taken.code()), (StatusCode::CONFLICT, "name_taken"));
    }

    #[tokio::test]
    async fn every_bad_field_is_named_at_once() {
        let world = World::new();
        for name in ["", "Ana", "a b", "\u{202e}ana", "\u{0430}na", &*"a".repeat(65)] {
            let body = json!({"name": name, "role": "owner", "colour": "red"});
            let answer = world.post("/api/users", body).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{name}");
            assert_eq!(answer.fields(), ["name", "role", "colour"], "{name}");
        }
        assert_eq!(world.post("/api/users", json!({})).await.fields(), ["name", "role"]);
    }
}
