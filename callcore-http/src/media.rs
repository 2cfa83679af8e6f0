//! Audio of scripts as carriers fetch it: without credentials, under an address that can't be guessed
//! and that ends.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use axum::routing::get;

use crate::problem::Problem;
use crate::ranged::ranged;
use crate::state::ApiState;

pub(crate) fn routes() -> Router<ApiState> {
    Router::new().route("/media/{token}", get(fetch))
}

async fn fetch(
    State(state): State<ApiState>,
    Path(token): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    // One answer for every wrong token: there is nothing to be learnt from trying.
    let opened = state.sealer().await?.audio_of(&token, state.wall_now());
    let id = opened.map_err(|_| Problem::not_found())?;
    let audio = state.store().audio(id).await?.ok_or_else(Problem::not_found)?;
    let bytes = state.store().audio_bytes(id).await?.ok_or_else(Problem::not_found)?;
    Ok(ranged(audio.format.media_type(), bytes, headers.get(header::RANGE)))
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use callcore::id::CallId;
    use callcore::seal::AUDIO_LIFE;
    use callcore::time::SeededEntropy;

    use crate::testing::World;

    #[tokio::test]
    async fn an_audio_is_fetched_with_its_token_until_that_ends() {
        let world = World::new();
        let audio = world.audio("Offer").await;
        let sealer = world.state.sealer().await.unwrap().clone();
        let token = sealer.audio(audio.parse().unwrap(), world.state.wall_now());
        let get = |token: &str| world.request("GET", &format!("/media/{token}")).anonymous().send();
        let fetched = get(&token).await;
        assert_eq!((fetched.status, &fetched.text()[..4]), (StatusCode::OK, "RIFF"));
        assert_eq!(fetched.headers["content-type"], "audio/wav");
        let call = CallId::new(world.state.now(), &SeededEntropy::new(1));
        let of_call = sealer.result(call, None, world.state.wall_now());
        for wrong in ["x", &token[1..], &of_call, &audio] {
            assert_eq!(get(wrong).await.status, StatusCode::NOT_FOUND, "{wrong}");
        }
        world.clock.advance(AUDIO_LIFE);
        assert_eq!(get(&token).await.status, StatusCode::NOT_FOUND);
    }
}
