//! `POST /api/me/password`: somebody who is signed in chooses another password, and says the one they
//! have. Every other session of theirs ends, and so do links that would let them in.

use axum::extract::State;
use axum::http::{Extensions, StatusCode};
use axum::response::Response;
use callcore::actor::Actor;
use callcore::port::{ActError, Effect, Refused};

use crate::act::{Act, Early};
use crate::auth::Viewer;
use crate::problem::Problem;
use crate::request::Change;
use crate::sign_in::{self, Unconfirmed};
use crate::state::ApiState;
use crate::throttle::Source;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Viewer(principal): Viewer,
    extensions: Extensions,
    change: Change,
) -> Result<Response, Early> {
    let actor = principal.actor.clone();
    let act = Act::begin(&state, principal, &change, StatusCode::OK).await?;
    let mut fields = change.fields()?;
    let current: String = fields.required("current").unwrap_or_default();
    let new: String = fields.required("new").unwrap_or_default();
    let name = match &actor {
        Actor::User(name) => name,
        _ => "",
    };
    if !fields.is_refused("new")
        && let Err(rule) = sign_in::check_new_password(name, &new)
    {
        fields.refuse("new", "weak", rule);
    }
    fields.finish()?;
    let source = Source::of(&extensions);
    let confirmed = match sign_in::confirm(&state, &actor, current, source.as_ref()).await {
        Ok(confirmed) => confirmed,
        Err(Unconfirmed::Wrong) => return Err(wrong().into()),
        Err(Unconfirmed::NoPassword) => return Err(no_password().into()),
        Err(Unconfirmed::Problem(problem)) => return Err(problem.into()),
    };
    let new = sign_in::replacement(&state, &change.headers, &confirmed, new).await?;
    match state.store().change_password(act.by(), confirmed.user.id, new).await {
        // Somebody else, or another page of theirs, was quicker.
        Err(ActError::Refused(Refused::WrongPassword)) => Err(wrong().into()),
        changed => act.finish(changed.map(|view| Effect::User(Box::new(view)))).await,
    }
}

fn wrong() -> Problem {
    Problem::of_field("wrong_password", "current", "is not your password".to_owned())
}

fn no_password() -> Problem {
    let detail = "only a user who has a password can change it; an admin's invitation gives one";
    Problem::new(StatusCode::CONFLICT, "no_password", detail)
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use callcore::actor::Role;
    use callcore::port::AuditQuery;
    use serde_json::{Value, json};

    use crate::auth::{COOKIE, CSRF_HEADER, csrf_of};
    use crate::sign_in;
    use crate::testing::{Answer, World};

    const PATH: &str = "/api/me/password";
    const FIRST: &str = "correct horse";
    const SECOND: &str = "battery staple";

    /// The secret of a new session.
    async fn enter(world: &World, password: &str) -> Option<String> {
        let entered = sign_in::with_password(&world.state, "ada", password.to_owned(), None).await;
        entered.unwrap().map(|signed_in| signed_in.cookie.value().to_owned())
    }

    async fn change(world: &World, session: &str, key: Option<&str>, body: Value) -> Answer {
        let request = world.request("POST", PATH).anonymous();
        let request = request.header("cookie", &format!("{COOKIE}={session}"));
        let request = request.header("sec-fetch-site", "same-origin");
        let request = request.header(CSRF_HEADER, &csrf_of(session));
        let request = match key {
            Some(key) => request.header("idempotency-key", key),
            None => request,
        };
        request.json(body).send().await
    }

    async fn is_in(world: &World, session: &str) -> bool {
        let request = world.request("GET", "/api/dashboard").anonymous();
        let request = request.header("cookie", &format!("{COOKIE}={session}"));
        request.send().await.status == StatusCode::OK
    }

    #[tokio::test]
    async fn the_new_password_lets_in_the_old_one_no_more_and_other_sessions_end() {
        let world = World::new();
        world.user("ada", Role::Viewer, Some(FIRST)).await;
        let (mine, other) =
            (enter(&world, FIRST).await.unwrap(), enter(&world, FIRST).await.unwrap());
        let body = json!({"current": FIRST, "new": SECOND});
        let answer = change(&world, &mine, Some("k"), body.clone()).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        assert_eq!(
            (&answer.json["name"], &answer.json["has_password"]),
            (&json!("ada"), &json!(true))
        );
        assert!(!answer.text().contains("argon2"), "{}", answer.text());
        assert!(is_in(&world, &mine).await && !is_in(&world, &other).await);
        assert!(enter(&world, FIRST).await.is_none() && enter(&world, SECOND).await.is_some());
        let again = change(&world, &mine, Some("k"), body).await;
        assert_eq!(again.json, answer.json, "a repeated request gets the first one's answer");
        assert!(world.audited("user.password").await);
        let rows = world.state.store().audit(&AuditQuery::newest(9)).await.unwrap().items;
        let rows = format!("{rows:?}");
        assert!(
            !rows.contains(FIRST) && !rows.contains(SECOND) && !rows.contains("argon2"),
            "{rows}"
        );
    }

    #[tokio::test]
    async fn a_wrong_current_password_changes_nothing_and_is_counted_as_a_guess() {
        let world = World::new();
        world.user("ada", Role::Viewer, Some(FIRST)).await;
        let mine = enter(&world, FIRST).await.unwrap();
        for _ in 0..10 {
            let wrong =
                change(&world, &mine, None, json!({"current": "guess", "new": SECOND})).await;
            assert_eq!((wrong.status.as_u16(), wrong.code()), (422, "wrong_password"));
            assert_eq!(wrong.fields(), ["current"]);
        }
        let right = change(&world, &mine, None, json!({"current": FIRST, "new": SECOND})).await;
        assert_eq!((right.status.as_u16(), right.code()), (429, "too_many_attempts"));
        assert!(right.headers.contains_key("retry-after"));
        world.clock.advance(chrono::TimeDelta::minutes(15));
        let right = change(&world, &mine, None, json!({"current": FIRST, "new": SECOND})).await;
        assert_eq!(right.status, StatusCode::OK, "{}", right.text());
    }

    #[tokio::test]
    async fn the_rules_are_those_of_an_invitation_and_every_bad_field_is_named() {
        let world = World::new();
        world.user("ada", Role::Viewer, Some(FIRST)).await;
        let mine = enter(&world, FIRST).await.unwrap();
        for weak in ["short", "aaaaaaaaaaaa", &*"x".repeat(1_001)] {
            let answer = change(&world, &mine, None, json!({"current": FIRST, "new": weak})).await;
            assert_eq!(answer.status.as_u16(), 422, "{weak}");
            assert_eq!(answer.fields(), ["new"]);
        }
        let bad = change(&world, &mine, None, json!({"new": 1, "again": SECOND})).await;
        assert_eq!(bad.fields(), ["current", "new", "again"]);
        assert!(enter(&world, FIRST).await.is_some());
    }

    #[tokio::test]
    async fn who_has_no_password_is_told_so() {
        let world = World::new();
        let user = world.user("ada", Role::Admin, None).await;
        let link = sign_in::issue_link(&world.state, user.id).await.unwrap();
        let signed_in = sign_in::redeem_link(&world.state, &link).await.unwrap().unwrap();
        let body = json!({"current": "", "new": SECOND});
        let by_link = change(&world, signed_in.cookie.value(), None, body.clone()).await;
        assert_eq!((by_link.status.as_u16(), by_link.code()), (409, "no_password"));
        let by_token = world.post(PATH, body).await;
        assert_eq!((by_token.status.as_u16(), by_token.code()), (409, "no_password"));
    }
}
