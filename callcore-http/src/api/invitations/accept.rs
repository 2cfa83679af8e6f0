//! `POST /api/invitations/accept`: whoever was invited chooses a password. The link is what lets in:
//! without a good one this is as closed as everything else.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::actor::{Actor, Role};
use callcore::port::Effect;

use crate::act::{Act, Early};
use crate::auth::{Principal, digest, not_signed_in};
use crate::request::Change;
use crate::sign_in;
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    change: Change,
) -> Result<Response, Early> {
    // A stranger is told nothing about the shape of the request.
    let mut fields = change.fields().map_err(|_| not_signed_in())?;
    let link: String = fields.optional("link").unwrap_or_default();
    let secret = sign_in::secret_of(&link);
    let invited = sign_in::invited(&state, secret).await?;
    let principal = match &invited {
        Some(user) => Principal::new(Actor::User(user.name.clone()), user.role),
        None => Principal::new(Actor::Client, Role::Viewer),
    };
    // Whoever repeats the request has used the link up, and is known by it all the same.
    let link = digest(secret).map(|byte| format!("{byte:02x}")).concat();
    let scope = format!("invitation:{link} {} {}", change.method, change.path);
    let (headers, body) = (&change.headers, &change.body);
    let act = Act::under(&state, principal, scope, headers, body, StatusCode::OK).await?;
    let Some(user) = invited else { return Err(not_signed_in().into()) };
    let password: String = fields.required("password").unwrap_or_default();
    if !fields.is_refused("password")
        && let Err(rule) = sign_in::check_new_password(&user.name, &password)
    {
        fields.refuse("password", "weak", rule);
    }
    fields.finish()?;
    let hash = sign_in::hash_in_turn(&state, password).await?;
    let store = state.store();
    let accepted = store.accept_invitation(act.by(), digest(secret), hash, state.wall_now()).await;
    act.finish(accepted.map(|view| Effect::User(Box::new(view)))).await
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use callcore::actor::Role;
    use serde_json::{Value, json};

    use crate::sign_in;
    use crate::testing::{Answer, World};

    const PATH: &str = "/api/invitations/accept";

    async fn invited(world: &World) -> String {
        let answer = world.post("/api/users", json!({"name": "ana", "role": "viewer"})).await;
        answer.json["invitation"]["link"].as_str().unwrap().to_owned()
    }

    async fn accept(world: &World, body: Value) -> Answer {
        world.request("POST", PATH).anonymous().json(body).send().await
    }

    #[tokio::test]
    async fn whoever_was_invited_chooses_a_password_once() {
        let world = World::new();
        let link = invited(&world).await;
        let body = json!({"link": link, "password": "correct horse"});
        let answer = accept(&world, body.clone()).await;
        assert_eq!((answer.status, &answer.json["name"]), (StatusCode::OK, &json!("ana")));
        assert_eq!(answer.json["has_password"], true);
        let password = "correct horse".to_owned();
        let signed_in = sign_in::with_password(&world.state, "ana", password, None).await.unwrap();
        assert_eq!(signed_in.unwrap().user.role, Role::Viewer);
        let again = accept(&world, body).await;
        assert_eq!((again.status, again.code()), (StatusCode::UNAUTHORIZED, "not_signed_in"));
        assert!(world.audited("user.accept").await);
    }

    #[tokio::test]
    async fn a_retried_acceptance_is_answered_as_the_first_was() {
        let world = World::new();
        let link = invited(&world).await;
        let send = |password: &str| {
            let request = world.request("POST", PATH).anonymous().header("idempotency-key", "k");
            request.json(json!({"link": link, "password": password})).send()
        };
        let (first, again) = (send("correct horse").await, send("correct horse").await);
        assert_eq!((first.status, &first.json), (StatusCode::OK, &again.json));
        assert_eq!(send("battery staple").await.code(), "idempotency_key_reused");
    }

    #[tokio::test]
    async fn a_weak_password_is_refused_and_the_link_stays_good() {
        let world = World::new();
        let link = invited(&world).await;
        for password in ["short", "", &*"x".repeat(1_001)] {
            let answer = accept(&world, json!({"link": link, "password": password})).await;
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{password}");
            assert_eq!(answer.fields(), ["password"]);
        }
        let answer = accept(&world, json!({"link": link, "name": "ana"})).await;
        assert_eq!(answer.fields(), ["password", "name"]);
        let body = json!({"link": link, "password": "correct horse"});
        assert_eq!(accept(&world, body).await.status, StatusCode::OK);
    }

    #[tokio::test]
    async fn an_invitation_ends_after_three_days() {
        let world = World::new();
        let link = invited(&world).await;
        world.clock.advance(sign_in::INVITATION_LIFE);
        let answer = accept(&world, json!({"link": link, "password": "correct horse"})).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }

    #[tokio::test]
    async fn a_stranger_learns_nothing_here() {
        let world = World::new();
        for body in [json!({}), json!([]), json!({"link": 1}), json!({"link": "x", "y": 1})] {
            let answer = accept(&world, body).await;
            assert_eq!((answer.status, answer.code()), (StatusCode::UNAUTHORIZED, "not_signed_in"));
        }
    }
}
