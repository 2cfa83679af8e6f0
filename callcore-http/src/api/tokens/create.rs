//! `POST /api/tokens`: makes a named token.
//!
//! The secret is shown in this answer only; the store keeps its SHA-256. A request that is replayed
//! under its idempotency key is answered as before, but with `null` for the secret: revoke the token
//! then, and make another.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::actor::Role;
use callcore::id::TokenId;
use callcore::port::{ActError, Effect, NewToken, Refused};
use callcore::text;
use chrono::{DateTime, Utc};
use serde_json::json;

use crate::act::{Act, Early};
use crate::auth::{Admin, digest};
use crate::request::Change;
use crate::sign_in;
use crate::state::ApiState;

/// The longest name, in characters.
pub(crate) const MAX_NAME_CHARS: usize = 100;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Admin(principal): Admin,
    change: Change,
) -> Result<Response, Early> {
    let (most, wall) = (principal.role, state.wall_now());
    let act = Act::begin(&state, principal, &change, StatusCode::CREATED).await?;
    let mut fields = change.fields()?;
    let name = fields.required::<String>("name").map(|name| text::line(&name, MAX_NAME_CHARS));
    let name = match name {
        Some(Ok(name)) if name.is_empty() => {
            fields.refuse("name", "required", "is required");
            name
        }
        Some(Ok(name)) => name,
        Some(Err(error)) => {
            fields.refuse("name", error.code(), error.to_string());
            String::new()
        }
        None => String::new(),
    };
    let role: Option<Role> = fields.required("role");
    if role.is_some_and(|role| role > most) {
        fields.refuse("role", "exceeds", format!("you are {} yourself", most.as_str()));
    }
    let expires: Option<DateTime<Utc>> = fields.optional("expires_at");
    if expires.is_some_and(|expires| expires <= wall) {
        fields.refuse("expires_at", "past", "is over");
    }
    fields.finish()?;
    // The application's own tokens are in no store, and audit rows must tell who is who.
    if state.has_token_named(&name) {
        return Err(ActError::from(Refused::NameTaken).into());
    }
    let secret = sign_in::new_token(state.entropy());
    let new = NewToken {
        id: TokenId::new(act.now(), state.entropy()),
        name,
        secret: digest(&secret),
        role: role.unwrap_or(Role::Viewer),
        created_at: wall,
        expires,
    };
    let made = state.store().add_token(act.by(), new).await;
    let effect = made.map(|token| Effect::Token(Box::new(token)));
    act.finish_showing(effect, |token| token["secret"] = json!(secret)).await
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use callcore::actor::Role;
    use serde_json::{Value, json};

    use crate::testing::{Answer, World};

    async fn with(world: &World, secret: &str) -> Answer {
        let request = world.request("GET", "/api/dashboard").anonymous();
        request.header("authorization", &format!("Bearer {secret}")).send().await
    }

    fn secret(answer: &Answer) -> String {
        answer.json["secret"].as_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn a_token_lets_in_with_its_role_and_is_shown_once() {
        let world = World::new();
        let answer = world.post("/api/tokens", json!({"name": "CRM", "role": "viewer"})).await;
        assert_eq!(answer.status, StatusCode::CREATED);
        assert_eq!(answer.json["created_by"], "token:admin");
        assert_eq!(answer.json["expires_at"], json!(null));
        let secret = secret(&answer);
        assert!(secret.starts_with("cc_") && secret.len() == 46, "256 bits");
        assert_eq!(with(&world, &secret).await.status, StatusCode::OK);
        let request = world.request("POST", "/api/campaigns").anonymous();
        let request = request.header("authorization", &format!("Bearer {secret}"));
        assert_eq!(request.json(json!({})).send().await.status, StatusCode::FORBIDDEN);
        for wrong in ["cc_", &secret[..45], &format!("{secret}x"), &secret.replace("cc_", "cd_")] {
            assert_eq!(with(&world, wrong).await.status, StatusCode::UNAUTHORIZED, "{wrong}");
        }
        let listed = world.get("/api/tokens").await;
        assert!(!listed.text().contains(&secret[3..]));
        assert_eq!(listed.json["items"][0]["last_used_at"], "2026-11-23T15:00:00Z");
        assert!(world.audited("token.create").await);
    }

    #[tokio::test]
    async fn a_token_ends_when_it_was_to() {
        let world = World::new();
        let body = json!({"name": "x", "role": "viewer", "expires_at": "2026-11-23T15:00:01Z"});
        let secret = secret(&world.post("/api/tokens", body).await);
        assert_eq!(with(&world, &secret).await.status, StatusCode::OK);
        world.clock.advance(chrono::TimeDelta::seconds(1));
        assert_eq!(with(&world, &secret).await.status, StatusCode::UNAUTHORIZED);
    }

    #[tokio::test]
    async fn a_token_goes_down_with_its_maker() {
        let world = World::new();
        world.user("root", Role::Admin, None).await;
        let ana = world.user("ana", Role::Admin, None).await;
        let mut request = axum::http::Request::builder()
            .method("POST")
            .uri("/api/tokens")
            .header("content-type", "application/json")
            .body(axum::body::Body::from(json!({"name": "x", "role": "admin"}).to_string()))
            .unwrap();
        let hers = callcore::actor::Actor::User("ana".to_owned());
        request.extensions_mut().insert(crate::Principal::new(hers, Role::Admin));
        let response = tower::ServiceExt::oneshot(world.router.clone(), request).await.unwrap();
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        let secret = serde_json::from_slice::<Value>(&body).unwrap()["secret"].clone();
        let secret = secret.as_str().unwrap();
        let users = async || {
            let request = world.request("GET", "/api/users").anonymous();
            request.header("authorization", &format!("Bearer {secret}")).send().await.status
        };
        assert_eq!(users().await, StatusCode::OK);
        let change = |body: Value| {
            world.request("PATCH", &format!("/api/users/{}", ana.id)).json(body).send()
        };
        change(json!({"role": "operator"})).await;
        assert_eq!(users().await, StatusCode::FORBIDDEN);
        change(json!({"disabled": true})).await;
        assert_eq!(users().await, StatusCode::UNAUTHORIZED);
    }

    #[tokio::test]
    async fn a_replay_says_the_same_without_the_secret() {
        let world = World::new();
        let send = || {
            let request = world.request("POST", "/api/tokens").header("idempotency-key", "k");
            request.json(json!({"name": "x", "role": "viewer"})).send()
        };
        let (first, again) = (send().await, send().await);
        assert_eq!(again.status, StatusCode::CREATED);
        assert_eq!((&first.json["id"], &again.json["secret"]), (&again.json["id"], &json!(null)));
        for name in ["x", "admin"] {
            let taken = world.post("/api/tokens", json!({"name": name, "role": "viewer"})).await;
            assert_eq!((taken.status, taken.code()), (StatusCode::CONFLICT, "name_taken"));
        }
    }

    #[tokio::test]
    async fn every_bad_field_is_named_at_once() {
        let world = World::new();
        for name in ["", " ", "a\u{202e}b", "a\tb", &*"x".repeat(101)] {
            let body = json!({"name": name, "role": "root", "expires_at": "soon", "x": 1});
            let answer = world.post("/api/tokens", body).await;
            assert_eq!(answer.fields(), ["name", "role", "expires_at", "x"], "{name:?}");
        }
        let body = json!({"name": "x", "role": "viewer", "expires_at": "2026-11-23T15:00:00Z"});
        let past = world.post("/api/tokens", body).await;
        assert_eq!(past.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(past.fields(), ["expires_at"]);
    }
}
