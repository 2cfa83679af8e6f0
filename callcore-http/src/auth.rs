//! Who asks: bearer tokens, session cookies, and what each role may do.

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum_extra::extract::CookieJar;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use callcore::actor::{Actor, Role};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::problem::Problem;
use crate::state::ApiState;

/// The session cookie's name.
pub(crate) const COOKIE: &str = "callcore_session";

/// The header that carries the CSRF token of requests made by scripts; forms have a field instead.
pub const CSRF_HEADER: &str = "x-csrf-token";

/// Somebody who may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Who.
    pub actor: Actor,
    /// What they may do.
    pub role: Role,
    csrf: Option<String>,
}

impl Principal {
    /// Somebody the embedding application, or a token, vouches for.
    #[must_use]
    pub const fn new(actor: Actor, role: Role) -> Self {
        Self { actor, role, csrf: None }
    }

    /// Checks that a role is held.
    ///
    /// # Errors
    ///
    /// A 403 if it is not.
    pub fn require(&self, role: Role) -> Result<(), Problem> {
        if self.role >= role {
            return Ok(());
        }
        let detail = format!("this takes the role {}", role.as_str());
        Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", detail))
    }

    /// The CSRF token that forms of this session carry; empty where no cookie let the person in,
    /// for then no other site can make requests in their name.
    #[must_use]
    pub fn csrf_token(&self) -> &str {
        self.csrf.as_deref().unwrap_or_default()
    }

    /// Checks the token a form or header brought.
    ///
    /// # Errors
    ///
    /// A 403 if it is not this session's.
    pub fn check_csrf(&self, token: Option<&str>) -> Result<(), Problem> {
        let Some(csrf) = &self.csrf else { return Ok(()) };
        let token = token.unwrap_or_default();
        if bool::from(csrf.as_bytes().ct_eq(token.as_bytes())) {
            return Ok(());
        }
        let detail = "the form is not from this session; load the page again";
        Err(Problem::new(StatusCode::FORBIDDEN, "csrf", detail))
    }
}

/// Finds out who asks: by what a layer of the application put there, a bearer token, or a session.
/// An unsafe request with a session must come from our own pages by its origin; its CSRF token is
/// checked by [`Principal::check_csrf`], for only the handler knows where it is.
///
/// # Errors
///
/// A 401 if nobody is signed in, a 403 if the request comes from another site, and what the store
/// says.
pub async fn authenticate(state: &ApiState, parts: &Parts) -> Result<Principal, Problem> {
    if let Some(principal) = parts.extensions.get::<Principal>() {
        return Ok(principal.clone());
    }
    if let Some(value) = parts.headers.get(header::AUTHORIZATION) {
        let Some(secret) = bearer(value.as_bytes()) else { return Err(not_signed_in()) };
        let principal = match state.token(secret) {
            Some(principal) => Some(principal),
            None => state.known_tokens().principal(state, secret).await?,
        };
        return principal.ok_or_else(not_signed_in);
    }
    let Some(secret) = session_secret(&parts.headers) else { return Err(not_signed_in()) };
    let session = state.store().session(digest(&secret), state.wall_now()).await?;
    let Some(session) = session else { return Err(not_signed_in()) };
    if !is_safe(&parts.method) {
        check_origin(state, &parts.headers)?;
    }
    Ok(Principal {
        actor: Actor::User(session.user.name),
        role: session.user.role,
        csrf: Some(csrf_of(&secret)),
    })
}

/// The layer around the API: whoever passes it is known, and their principal is in the request's
/// extensions.
pub(crate) async fn guard(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let principal = authenticate(&state, &parts).await.and_then(|principal| {
        if !is_safe(&parts.method) {
            let token = parts.headers.get(CSRF_HEADER).and_then(|token| token.to_str().ok());
            principal.check_csrf(token)?;
        }
        Ok(principal)
    });
    match principal {
        Ok(principal) => {
            parts.extensions.insert(principal);
            next.run(Request::from_parts(parts, body)).await
        }
        Err(problem) => problem.into_response(),
    }
}

impl FromRequestParts<ApiState> for Principal {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        authenticate(state, parts).await
    }
}

macro_rules! at_least {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name(pub Principal);

        impl FromRequestParts<ApiState> for $name {
            type Rejection = Problem;

            async fn from_request_parts(
                parts: &mut Parts,
                state: &ApiState,
            ) -> Result<Self, Problem> {
                let principal = authenticate(state, parts).await?;
                principal.require(Role::$name)?;
                Ok(Self(principal))
            }
        }
    )*};
}

at_least! {
    /// Somebody who may read.
    Viewer
    /// Somebody who may call.
    Operator
    /// Somebody who may do everything.
    Admin
}

/// SHA-256 of a secret: what stores and the state keep of it.
pub(crate) fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// The secret in the session cookie.
pub(crate) fn session_secret(headers: &HeaderMap) -> Option<String> {
    CookieJar::from_headers(headers).get(COOKIE).map(|cookie| cookie.value().to_owned())
}

/// The CSRF token of a session: it follows from the session's secret, and does not tell it.
pub(crate) fn csrf_of(secret: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(b"callcore csrf ");
    hash.update(secret.as_bytes());
    URL_SAFE_NO_PAD.encode(hash.finalize())
}

pub(crate) fn bearer(value: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(value).ok()?;
    let (scheme, secret) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim())
}

fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Browsers say where an unsafe request comes from. One that doesn't is no browser of ours.
pub(crate) fn check_origin(state: &ApiState, headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let ours = match (text("sec-fetch-site"), text("origin")) {
        (Some("same-origin"), _) => true,
        (_, Some(origin)) => {
            let host = origin.split_once("://").map(|(_, host)| host);
            state.has_origin(origin) || (host.is_some() && host == text("host"))
        }
        _ => false,
    };
    if ours {
        return Ok(());
    }
    let detail = "the request does not come from these pages";
    Err(Problem::new(StatusCode::FORBIDDEN, "foreign_origin", detail))
}

pub(crate) fn not_signed_in() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "not_signed_in", "sign in, or send a bearer token")
}

#[cfg(test)]
mod tests {
    use callcore::actor::Role;
    use serde_json::json;

    use super::*;
    use crate::api::{ROUTES, Route};
    use crate::sign_in;
    use crate::testing::World;

    #[tokio::test]
    async fn every_route_takes_its_role_and_none_takes_strangers() {
        let world = World::new();
        for Route { method, path, role: least } in ROUTES {
            let path = &path.replace(['{', '}'], "");
            let stranger = world.request(method, path).anonymous().send().await;
            assert_eq!(stranger.status, StatusCode::UNAUTHORIZED, "{method} {path}");
            for role in [Role::Viewer, Role::Operator, Role::Admin] {
                let answer = world.request(method, path).role(role).send().await;
                let forbidden = answer.status == StatusCode::FORBIDDEN;
                assert_eq!(
                    forbidden,
                    least.is_some_and(|least| role < least),
                    "{method} {path} {role:?}"
                );
                assert_ne!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
                // Where a role is no key, nobody's role lets in.
                let is_stranger = answer.status == StatusCode::UNAUTHORIZED;
                assert_eq!(is_stranger, least.is_none(), "{method} {path} {role:?}");
            }
        }
    }

    #[tokio::test]
    async fn strangers_do_not_learn_which_paths_exist() {
        let world = World::new();
        for path in ["/api/nothing", "/nothing", "/api/campaigns/x/y/z"] {
            let stranger = world.request("GET", path).anonymous().send().await;
            assert_eq!(stranger.status, StatusCode::UNAUTHORIZED, "{path}");
            assert_eq!(world.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
        }
        for path in ["/api/campaigns", "/api/dashboard"] {
            let wrong = world.request("PUT", path).send().await;
            assert_eq!(wrong.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
            assert!(wrong.headers.contains_key("allow"), "{path}");
            let stranger = world.request("PUT", path).anonymous().send().await;
            assert_eq!(stranger.status, StatusCode::UNAUTHORIZED, "{path}");
        }
    }

    #[tokio::test]
    async fn a_wrong_token_is_no_token() {
        let world = World::new();
        for value in ["Bearer nobody", "Bearer ", "Basic YWRtaW4=", "admin"] {
            let request = world.request("GET", "/api/dashboard").anonymous();
            let answer = request.header("authorization", value).send().await;
            assert_eq!((answer.status, answer.code()), (StatusCode::UNAUTHORIZED, "not_signed_in"));
            assert!(answer.headers.contains_key("www-authenticate"));
        }
    }

    #[tokio::test]
    async fn a_session_needs_its_csrf_token_and_our_origin_to_change_anything() {
        let world = World::new();
        world.user("ada", Role::Operator, Some("correct horse")).await;
        let password = "correct horse".to_owned();
        let signed_in =
            sign_in::with_password(&world.state, "ada", password, None).await.unwrap().unwrap();
        let cookie = format!("{COOKIE}={}", signed_in.cookie.value());
        let csrf = csrf_of(signed_in.cookie.value());
        let ask = |method: &str, path: &str, headers: &[(&str, &str)]| {
            let mut request = world.request(method, path).anonymous().header("cookie", &cookie);
            for (name, value) in headers {
                request = request.header(name, value);
            }
            request.json(json!({"phone": "+12125550100"})).send()
        };
        assert_eq!(ask("GET", "/api/dnc", &[]).await.status, StatusCode::OK);
        let ours = ("origin", "http://127.0.0.1:3000");
        let host = ("host", "127.0.0.1:3000");
        let token = (CSRF_HEADER, &*csrf);
        for (headers, status, code) in [
            (&[ours, host][..], StatusCode::FORBIDDEN, "csrf"),
            (&[ours, host, (CSRF_HEADER, "guess")], StatusCode::FORBIDDEN, "csrf"),
            (&[token, host], StatusCode::FORBIDDEN, "foreign_origin"),
            (
                &[token, host, ("origin", "https://evil.example")],
                StatusCode::FORBIDDEN,
                "foreign_origin",
            ),
            (&[token, host, ("origin", "null")], StatusCode::FORBIDDEN, "foreign_origin"),
            (&[token, host, ours], StatusCode::CREATED, ""),
            (&[token, ("sec-fetch-site", "same-origin")], StatusCode::CREATED, ""),
        ] {
            let answer = ask("POST", "/api/dnc", headers).await;
            assert_eq!((answer.status, answer.code()), (status, code), "{headers:?}");
        }
    }

    #[tokio::test]
    async fn an_application_may_bring_its_own_sign_in() {
        use axum::body::Body;
        use tower::ServiceExt;
        let world = World::new();
        let mut request = Request::builder().uri("/api/dashboard").body(Body::empty()).unwrap();
        let principal = Principal::new(Actor::User("ada".to_owned()), Role::Viewer);
        request.extensions_mut().insert(principal);
        let response = world.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }
}
