//! `GET /api/users/{id}`: a user.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::id::UserId;

use crate::auth::Admin;
use crate::dto::{self, UserDto};
use crate::problem::Problem;
use crate::query::Query;
use crate::request::Id;
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Admin(_): Admin,
    Id(id): Id<UserId>,
    query: Query,
) -> Result<Response, Problem> {
    query.finish()?;
    let view = state.store().user_view(id).await?.ok_or_else(Problem::not_found)?;
    Ok(dto::json(StatusCode::OK, &UserDto::from(&view)))
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use callcore::actor::Role;

    use crate::testing::World;

    #[tokio::test]
    async fn a_user_is_read_without_the_passwords_hash() {
        let world = World::new();
        let user = world.user("ana", Role::Viewer, Some("correct horse")).await;
        let answer = world.get(&format!("/api/users/{}", user.id)).await;
        assert_eq!((&*answer.json["name"].to_string(), answer.status), ("\"ana\"", StatusCode::OK));
        assert_eq!(answer.json["has_password"], true);
        assert!(!answer.text().contains("argon2"));
        let nobody = "/api/users/0199aaaa-0000-7000-8000-000000000000";
        assert_eq!(world.get(nobody).await.status, StatusCode::NOT_FOUND);
    }
}
