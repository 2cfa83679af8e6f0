//! Signing in and out: one-time links, passwords, sessions.
//!
//! Pages and applications build their forms on these. Secrets have 256 bits and are kept as
//! SHA-256; a session gets a new secret whenever somebody signs in.

use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Argon2, PasswordHash};
use axum::http::HeaderMap;
use axum_extra::extract::cookie::{Cookie, SameSite};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use callcore::actor::Actor;
use callcore::id::UserId;
use callcore::port::{ActError, By, Invitation, NewPassword, Refused, StoreError, User};
use callcore::time::Entropy;
use chrono::TimeDelta;

use crate::auth::{COOKIE, digest, session_secret};
use crate::problem::Problem;
use crate::request::internal;
use crate::state::ApiState;
use crate::throttle::Source;

/// How long a sign-in link is good.
pub const LINK_LIFE: TimeDelta = TimeDelta::minutes(15);

/// How long an invitation is good.
pub const INVITATION_LIFE: TimeDelta = TimeDelta::days(3);

/// How long a session lasts.
pub const SESSION_LIFE: TimeDelta = TimeDelta::days(7);

/// The longest password that is looked at, in bytes.
const MAX_PASSWORD: usize = 1_000;

/// The shortest password that somebody may choose, in characters.
pub const MIN_PASSWORD_CHARS: usize = 10;

/// What a token's secret begins with, so that one that leaked is known for what it is.
pub(crate) const TOKEN_PREFIX: &str = "cc_";

/// How long the random part of a secret is: 256 bits.
pub(crate) const SECRET_CHARS: usize = 43;

/// Somebody who just signed in.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// Who.
    pub user: User,
    /// The cookie to set.
    pub cookie: Cookie<'static>,
}

/// Makes a sign-in link's secret, good for one use within [`LINK_LIFE`].
///
/// # Errors
///
/// The store failed.
pub async fn issue_link(state: &ApiState, user: UserId) -> Result<String, StoreError> {
    let secret = new_secret(state.entropy());
    let expires = state.wall_now() + LINK_LIFE;
    state.store().add_link(digest(&secret), user, expires).await?;
    Ok(secret)
}

/// Whether a link could be redeemed. Asking does not use it up, so that a mail scanner that opens
/// it does no harm.
///
/// # Errors
///
/// The store failed.
pub async fn link_is_good(state: &ApiState, secret: &str) -> Result<bool, StoreError> {
    state.store().link_is_good(digest(secret), state.wall_now()).await
}

/// Redeems a link's secret; none if it was used or has ended.
///
/// # Errors
///
/// The store failed.
pub async fn redeem_link(state: &ApiState, secret: &str) -> Result<Option<SignedIn>, StoreError> {
    match state.store().redeem_link(digest(secret), state.wall_now()).await? {
        Some(user) => open_session(state, user).await.map(Some),
        None => Ok(None),
    }
}

/// Signs in by name and password; none if they don't belong together. A name nobody has takes as
/// long as a wrong password, and so does somebody who is disabled.
///
/// # Errors
///
/// A 429 if the name, or the place the request comes from, guessed too often; or the store failed.
pub async fn with_password(
    state: &ApiState,
    name: &str,
    password: String,
    source: Option<&Source>,
) -> Result<Option<SignedIn>, Problem> {
    state.throttle().admit(name, source, state.wall_now()).map_err(too_many_guesses)?;
    let user = state.store().user(name).await?.filter(|user| !user.disabled);
    let known = user.as_ref().and_then(|user| user.password_hash.clone());
    let right = check_password(state, password, known).await?;
    match user {
        Some(user) if right => {
            state.throttle().forgive(name, source);
            Ok(Some(open_session(state, user).await?))
        }
        _ => Ok(None),
    }
}

/// Somebody who is signed in and knows their password, which they may change.
#[derive(Debug)]
pub(crate) struct Confirmed {
    pub(crate) user: User,
    /// The hash of the password.
    pub(crate) hash: String,
}

/// Why somebody who is signed in may not change their password.
#[derive(Debug)]
pub(crate) enum Unconfirmed {
    /// They have none: an application or a token let them in, or they only came by link.
    NoPassword,
    /// They don't know it.
    Wrong,
    Problem(Problem),
}

impl<E: Into<Problem>> From<E> for Unconfirmed {
    fn from(error: E) -> Self {
        Self::Problem(error.into())
    }
}

/// Asks somebody who is signed in for their password. Guesses count as those at the door do: a
/// session that was stolen must not tell what the password is.
pub(crate) async fn confirm(
    state: &ApiState,
    actor: &Actor,
    password: String,
    source: Option<&Source>,
) -> Result<Confirmed, Unconfirmed> {
    let Actor::User(name) = actor else { return Err(Unconfirmed::NoPassword) };
    let user = state.store().user(name).await?.filter(|user| !user.disabled);
    let Some(user) = user else { return Err(Unconfirmed::NoPassword) };
    let Some(hash) = user.password_hash.clone() else { return Err(Unconfirmed::NoPassword) };
    state.throttle().admit(name, source, state.wall_now()).map_err(too_many_guesses)?;
    if !check_password(state, password, Some(hash.clone())).await? {
        return Err(Unconfirmed::Wrong);
    }
    state.throttle().forgive(name, source);
    Ok(Confirmed { user, hash })
}

/// What becomes of a password that was confirmed and checked: the session of the request stays,
/// every other one ends.
pub(crate) async fn replacement(
    state: &ApiState,
    headers: &HeaderMap,
    confirmed: &Confirmed,
    password: String,
) -> Result<NewPassword, Problem> {
    let keep = session_secret(headers).map(|secret| digest(&secret));
    let hash = hash_in_turn(state, password).await?;
    Ok(NewPassword { known: confirmed.hash.clone(), hash, keep })
}

fn too_many_guesses(wait: TimeDelta) -> Problem {
    // Rounded up: who comes back at the last second is not sent away again.
    let seconds = wait.num_seconds().unsigned_abs() + 1;
    let detail = "too many attempts to sign in; wait, or ask an admin for a link";
    Problem::too_many("too_many_attempts", detail, seconds)
}

/// The secret of an invitation, good for one use within [`INVITATION_LIFE`], and what the store
/// keeps of it.
#[must_use]
pub fn new_invitation(state: &ApiState) -> (String, Invitation) {
    let secret = new_secret(state.entropy());
    let expires = state.wall_now() + INVITATION_LIFE;
    let invitation = Invitation { secret: digest(&secret), expires };
    (secret, invitation)
}

/// Where somebody accepts an invitation: whole where the application's origin is known, else the
/// path within it.
#[must_use]
pub fn invitation_link(state: &ApiState, secret: &str) -> String {
    state.address_of(&format!("/invitation?link={secret}"))
}

/// The secret in a link, or the secret itself.
pub(crate) fn secret_of(link: &str) -> &str {
    link.rsplit_once("link=").map_or(link, |(_, secret)| secret)
}

/// Whom an invitation is for; none if it was used, replaced, or has ended. Asking does not use it
/// up.
///
/// # Errors
///
/// The store failed.
pub async fn invited(state: &ApiState, secret: &str) -> Result<Option<User>, StoreError> {
    state.store().invited(digest(secret), state.wall_now()).await
}

/// Checks a password somebody chooses. The only rules are those that keep guessing hopeless.
///
/// # Errors
///
/// The rule it breaks, in words.
pub fn check_new_password(name: &str, password: &str) -> Result<(), String> {
    if password.chars().count() < MIN_PASSWORD_CHARS {
        return Err(format!("at least {MIN_PASSWORD_CHARS} characters"));
    }
    if password.len() > MAX_PASSWORD {
        return Err(format!("at most {MAX_PASSWORD} bytes"));
    }
    if password.to_lowercase() == name.to_lowercase() {
        return Err("must not be the user name".to_owned());
    }
    let mut chars = password.chars();
    let first = chars.next();
    if chars.all(|c| Some(c) == first) {
        return Err("must not be one character over and over".to_owned());
    }
    Ok(())
}

/// Gives somebody who was invited a password and signs them in; none if the invitation was used,
/// replaced, or has ended. The password was checked before.
///
/// # Errors
///
/// The store failed.
pub async fn accept_invitation(
    state: &ApiState,
    secret: &str,
    password: String,
) -> Result<Option<SignedIn>, Problem> {
    let Some(user) = invited(state, secret).await? else { return Ok(None) };
    let hash = hash_in_turn(state, password).await?;
    let actor = Actor::User(user.name);
    let by = By::new(&actor, state.now());
    let accepted =
        state.store().accept_invitation(by, digest(secret), hash, state.wall_now()).await;
    match accepted {
        Ok(view) => Ok(Some(open_session(state, view.user).await?)),
        Err(ActError::Refused(Refused::NotFound)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A password's hash, made when it is its turn: each takes 19 MiB.
pub(crate) async fn hash_in_turn(state: &ApiState, password: String) -> Result<String, Problem> {
    let permit = state.password_checks().acquire_owned().await;
    let permit = permit.map_err(|error| internal(&error))?;
    let mut salt = [0; 16];
    state.entropy().fill(&mut salt);
    let hashed = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        hash_with(&password, &salt)
    });
    // Nothing but its length keeps a password from being hashed, and that was checked.
    hashed.await.map_err(|error| internal(&error))?.ok_or_else(Problem::internal)
}

/// Ends the session of a request, if it has one, and returns the cookie that clears the browser's.
///
/// # Errors
///
/// The store failed.
pub async fn sign_out(
    state: &ApiState,
    headers: &HeaderMap,
) -> Result<Cookie<'static>, StoreError> {
    if let Some(secret) = session_secret(headers) {
        state.store().end_session(digest(&secret)).await?;
    }
    let mut cookie = cookie(state, String::new());
    cookie.make_removal();
    Ok(cookie)
}

/// A password's hash, in PHC form (Argon2id), for [`User::password_hash`]. It takes some 20 ms of
/// one core and 19 MiB; none if the password is longer than 1,000 bytes.
#[must_use]
pub fn hash_password(password: &str, entropy: &dyn Entropy) -> Option<String> {
    let mut salt = [0; 16];
    entropy.fill(&mut salt);
    hash_with(password, &salt)
}

async fn open_session(state: &ApiState, user: User) -> Result<SignedIn, StoreError> {
    let secret = new_secret(state.entropy());
    let expires = state.wall_now() + SESSION_LIFE;
    state.store().add_session(digest(&secret), user.id, expires).await?;
    Ok(SignedIn { user, cookie: cookie(state, secret) })
}

fn cookie(state: &ApiState, value: String) -> Cookie<'static> {
    Cookie::build((COOKIE, value))
        .path("/")
        .http_only(true)
        .secure(state.secure_cookies())
        .same_site(SameSite::Lax)
        .build()
}

async fn check_password(
    state: &ApiState,
    password: String,
    known: Option<String>,
) -> Result<bool, Problem> {
    let permit = state.password_checks().acquire_owned().await;
    let permit = permit.map_err(|error| internal(&error))?;
    let checked = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        if password.len() > MAX_PASSWORD {
            return false;
        }
        match known {
            Some(hash) => Argon2::default().verify_password(password.as_bytes(), &*hash).is_ok(),
            None => {
                // Only for the time it takes.
                drop(hash_with(&password, &[0; 16]));
                false
            }
        }
    });
    checked.await.map_err(|error| internal(&error))
}

fn hash_with(password: &str, salt: &[u8]) -> Option<String> {
    if password.len() > MAX_PASSWORD {
        return None;
    }
    let hash: PasswordHash =
        Argon2::default().hash_password_with_salt(password.as_bytes(), salt).ok()?;
    Some(hash.to_string())
}

/// The secret of a new token.
pub(crate) fn new_token(entropy: &dyn Entropy) -> String {
    format!("{TOKEN_PREFIX}{}", new_secret(entropy))
}

fn new_secret(entropy: &dyn Entropy) -> String {
    let mut bytes = [0; 32];
    entropy.fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use axum::http::header::COOKIE as COOKIE_HEADER;
    use callcore::actor::Role;

    use super::*;
    use crate::testing::World;

    fn with_cookie(cookie: &Cookie<'_>) -> HeaderMap {
        let value = HeaderValue::from_str(&format!("{COOKIE}={}", cookie.value())).unwrap();
        [(COOKIE_HEADER, value)].into_iter().collect()
    }

    async fn status(world: &World, cookie: &Cookie<'_>) -> u16 {
        let request = world.request("GET", "/api/dashboard").anonymous();
        let value = format!("{COOKIE}={}", cookie.value());
        request.header("cookie", &value).send().await.status.as_u16()
    }

    #[tokio::test]
    async fn a_link_is_redeemed_once_and_looking_at_it_uses_nothing_up() {
        let world = World::new();
        let user = world.user("ada", Role::Admin, None).await;
        let secret = issue_link(&world.state, user.id).await.unwrap();
        assert!(link_is_good(&world.state, &secret).await.unwrap());
        assert!(link_is_good(&world.state, &secret).await.unwrap());
        let signed_in = redeem_link(&world.state, &secret).await.unwrap().unwrap();
        assert_eq!(status(&world, &signed_in.cookie).await, 200);
        assert!(redeem_link(&world.state, &secret).await.unwrap().is_none());
        assert!(!link_is_good(&world.state, &secret).await.unwrap());
    }

    #[tokio::test]
    async fn a_link_ends_after_a_quarter_of_an_hour_and_a_session_after_a_week() {
        let world = World::new();
        let user = world.user("ada", Role::Admin, None).await;
        let late = issue_link(&world.state, user.id).await.unwrap();
        let good = issue_link(&world.state, user.id).await.unwrap();
        let signed_in = redeem_link(&world.state, &good).await.unwrap().unwrap();
        world.clock.advance(LINK_LIFE);
        assert!(redeem_link(&world.state, &late).await.unwrap().is_none());
        assert_eq!(status(&world, &signed_in.cookie).await, 200);
        world.clock.advance(SESSION_LIFE);
        assert_eq!(status(&world, &signed_in.cookie).await, 401);
    }

    #[tokio::test]
    async fn whoever_signs_out_is_out() {
        let world = World::new();
        let user = world.user("ada", Role::Viewer, None).await;
        let secret = issue_link(&world.state, user.id).await.unwrap();
        let signed_in = redeem_link(&world.state, &secret).await.unwrap().unwrap();
        let cleared = sign_out(&world.state, &with_cookie(&signed_in.cookie)).await.unwrap();
        assert_eq!(cleared.value(), "");
        assert_eq!(status(&world, &signed_in.cookie).await, 401);
    }

    #[tokio::test]
    async fn only_the_right_password_signs_in() {
        let world = World::new();
        world.user("ada", Role::Admin, Some("correct horse")).await;
        world.user("bob", Role::Admin, None).await;
        for (name, password, right) in [
            ("ada", "correct horse", true),
            ("ada", "wrong", false),
            ("ada", "", false),
            ("bob", "", false),
            ("nobody", "correct horse", false),
        ] {
            let signed_in =
                with_password(&world.state, name, password.to_owned(), None).await.unwrap();
            assert_eq!(signed_in.is_some(), right, "{name} {password}");
        }
        let long = "x".repeat(MAX_PASSWORD + 1);
        assert!(with_password(&world.state, "ada", long.clone(), None).await.unwrap().is_none());
        assert!(hash_password(&long, world.state.entropy()).is_none());
    }

    #[tokio::test]
    async fn a_cookie_is_for_this_site_and_not_for_scripts() {
        let world = World::with(crate::ApiState::with_secure_cookies);
        let user = world.user("ada", Role::Viewer, None).await;
        let secret = issue_link(&world.state, user.id).await.unwrap();
        let cookie = redeem_link(&world.state, &secret).await.unwrap().unwrap().cookie;
        assert_eq!(cookie.http_only(), Some(true));
        assert_eq!(cookie.secure(), Some(true));
        assert_eq!(cookie.same_site(), Some(SameSite::Lax));
        assert!(cookie.value().len() >= 43, "256 bits");
    }
}
