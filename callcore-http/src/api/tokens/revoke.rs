//! `DELETE /api/tokens/{id}`: ends a token for good. Its name is free again.

use axum::extract::State;
use axum::http::StatusCode;
use callcore::id::TokenId;
use callcore::port::By;

use crate::auth::Admin;
use crate::problem::Problem;
use crate::query::Query;
use crate::request::Id;
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Admin(principal): Admin,
    Id(id): Id<TokenId>,
    query: Query,
) -> Result<StatusCode, Problem> {
    query.finish()?;
    let by = By::new(&principal.actor, state.now());
    let revoked = state.store().revoke_token(by, id).await;
    // Also after a failure: it may have been done.
    state.known_tokens().forget();
    revoked?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use serde_json::json;

    use crate::testing::World;

    #[tokio::test]
    async fn a_revoked_token_is_out_at_once() {
        let world = World::new();
        let made = world.post("/api/tokens", json!({"name": "x", "role": "viewer"})).await;
        let secret = made.json["secret"].as_str().unwrap();
        let look = || {
            let request = world.request("GET", "/api/dashboard").anonymous();
            request.header("authorization", &format!("Bearer {secret}")).send()
        };
        assert_eq!(look().await.status, StatusCode::OK);
        let path = format!("/api/tokens/{}", made.json["id"].as_str().unwrap());
        assert_eq!(world.delete(&path).await.status, StatusCode::NO_CONTENT);
        assert_eq!(look().await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(world.delete(&path).await.status, StatusCode::NOT_FOUND);
        assert!(world.audited("token.revoke").await);
        let again = world.post("/api/tokens", json!({"name": "x", "role": "viewer"})).await;
        assert_eq!(again.status, StatusCode::CREATED);
    }
}
