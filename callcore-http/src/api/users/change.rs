//! `PATCH /api/users/{id}`: another role, disabled or enabled again, or a new invitation, with which
//! somebody who forgot their password chooses another.
//!
//! Disabling ends the user's sessions, links and tokens at once. Nobody is deleted: audit rows name
//! them.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::id::UserId;
use callcore::port::{By, UserChange};
use serde_json::json;

use super::show_link;
use crate::auth::Admin;
use crate::dto::{self, UserDto};
use crate::problem::Problem;
use crate::request::{Change, Id};
use crate::sign_in;
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Admin(principal): Admin,
    Id(id): Id<UserId>,
    change: Change,
) -> Result<Response, Problem> {
    let mut fields = change.fields()?;
    let (role, disabled) = (fields.optional("role"), fields.optional("disabled"));
    let invite: Option<bool> = fields.optional("invite");
    if invite == Some(true) && disabled == Some(true) {
        fields.refuse("invite", "invalid", "somebody who is disabled can't be invited");
    }
    fields.finish()?;
    let invited = (invite == Some(true)).then(|| sign_in::new_invitation(&state));
    let invitation = invited.as_ref().map(|(_, invitation)| *invitation);
    let by = By::new(&principal.actor, state.now());
    let change = UserChange { role, disabled, invitation };
    let changed = state.store().change_user(by, id, change).await;
    // Also after a failure: it may have been done.
    state.known_tokens().forget();
    let mut body = json!(UserDto::from(&changed?));
    if let Some((secret, _)) = &invited {
        show_link(&state, &mut body, secret);
    }
    Ok(dto::json(StatusCode::OK, &body))
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use callcore::actor::Role;
    use serde_json::{Value, json};

    use crate::auth::COOKIE;
    use crate::sign_in;
    use crate::testing::{Answer, World};

    async fn change(world: &World, id: impl std::fmt::Display, body: Value) -> Answer {
        world.request("PATCH", &format!("/api/users/{id}")).json(body).send().await
    }

    #[tokio::test]
    async fn a_disabled_user_is_out_at_once() {
        let world = World::new();
        world.user("root", Role::Admin, None).await;
        let ana = world.user("ana", Role::Operator, Some("correct horse")).await;
        let password = || "correct horse".to_owned();
        let sign_in = || sign_in::with_password(&world.state, "ana", password(), None);
        let session = sign_in().await.unwrap().unwrap();
        let cookie = format!("{COOKIE}={}", session.cookie.value());
        let look = || {
            let request = world.request("GET", "/api/dashboard").anonymous();
            request.header("cookie", &cookie).send()
        };
        assert_eq!(look().await.status, StatusCode::OK);
        let answer = change(&world, ana.id, json!({"disabled": true})).await;
        assert_eq!((answer.status, &answer.json["disabled"]), (StatusCode::OK, &json!(true)));
        assert_eq!(look().await.status, StatusCode::UNAUTHORIZED);
        assert!(sign_in().await.unwrap().is_none());
        let invited = change(&world, ana.id, json!({"invite": true})).await;
        assert_eq!((invited.status, invited.code()), (StatusCode::CONFLICT, "user_disabled"));
        change(&world, ana.id, json!({"disabled": false})).await;
        assert_eq!(look().await.status, StatusCode::UNAUTHORIZED, "sessions don't come back");
        assert!(sign_in().await.unwrap().is_some());
        assert!(world.audited("user.change").await);
    }

    #[tokio::test]
    async fn the_last_admin_stays() {
        let world = World::new();
        let root = world.user("root", Role::Admin, None).await;
        for body in [json!({"role": "viewer"}), json!({"disabled": true})] {
            let answer = change(&world, root.id, body).await;
            assert_eq!((answer.status, answer.code()), (StatusCode::CONFLICT, "last_admin"));
        }
        world.user("ana", Role::Admin, None).await;
        let answer = change(&world, root.id, json!({"role": "viewer"})).await;
        assert_eq!((answer.status, &answer.json["role"]), (StatusCode::OK, &json!("viewer")));
    }

    #[tokio::test]
    async fn a_new_invitation_takes_the_place_of_the_old_one() {
        let world = World::new();
        let invited = world.post("/api/users", json!({"name": "ana", "role": "viewer"})).await;
        let link = |answer: &Answer| {
            let link = answer.json["invitation"]["link"].as_str().unwrap();
            link.split_once("link=").unwrap().1.to_owned()
        };
        let id = invited.json["id"].as_str().unwrap();
        let again = change(&world, id, json!({"invite": true})).await;
        let (old, new) = (link(&invited), link(&again));
        assert!(sign_in::invited(&world.state, &old).await.unwrap().is_none());
        assert!(sign_in::invited(&world.state, &new).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn bad_changes_are_told_by_field() {
        let world = World::new();
        let root = world.user("root", Role::Admin, None).await;
        let body = json!({"role": 1, "disabled": "no", "invite": 2, "name": "x"});
        let answer = change(&world, root.id, body).await;
        assert_eq!(answer.fields(), ["role", "disabled", "invite", "name"]);
        let both = change(&world, root.id, json!({"disabled": true, "invite": true})).await;
        assert_eq!(both.fields(), ["invite"]);
        let nobody = "0199aaaa-0000-7000-8000-000000000000";
        assert_eq!(change(&world, nobody, json!({})).await.status, StatusCode::NOT_FOUND);
    }
}
