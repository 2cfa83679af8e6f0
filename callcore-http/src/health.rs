//! Whether the application is alive, and whether it can work.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use chrono::TimeDelta;
use serde_json::json;

use crate::dto;
use crate::problem::Problem;
use crate::state::ApiState;

/// How far the wall clock may be off the store's: what a dispatcher bears too.
const MAX_SKEW: TimeDelta = TimeDelta::seconds(2);

pub(crate) fn routes() -> Router<ApiState> {
    Router::new().route("/healthz", get(alive)).route("/readyz", get(ready))
}

async fn alive() -> Response {
    dto::json(StatusCode::OK, &json!({"status": "alive"}))
}

async fn ready(State(state): State<ApiState>) -> Response {
    let not = |code, detail: &str| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).into_response()
    };
    if state.is_draining() {
        return not("draining", "the server is about to end");
    }
    match state.store().server_time().await {
        Err(error) => Problem::from(error).into_response(),
        Ok(Some(time)) if (time - state.wall_now()).abs() > MAX_SKEW => {
            not("clock_skew", "the server's clock and the store's are more than two seconds apart")
        }
        Ok(_) => dto::json(StatusCode::OK, &json!({"status": "ready"})),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use crate::testing::World;

    #[tokio::test]
    async fn health_is_told_to_everybody() {
        let world = World::new();
        for path in ["/healthz", "/readyz"] {
            let answer = world.request("GET", path).anonymous().send().await;
            assert_eq!(answer.status, StatusCode::OK, "{path}");
        }
    }

    #[tokio::test]
    async fn who_is_about_to_end_is_alive_and_not_ready() {
        let world = World::with(|state| state.with_draining(|| true));
        assert_eq!(world.get("/healthz").await.status, StatusCode::OK);
        let answer = world.get("/readyz").await;
        assert_eq!((answer.status, answer.code()), (StatusCode::SERVICE_UNAVAILABLE, "draining"));
    }
}
