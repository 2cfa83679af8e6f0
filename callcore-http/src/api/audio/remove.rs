//! `DELETE /api/audio/{id}`: an audio that no campaign needs any more.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::id::AudioId;
use callcore::port::Effect;

use crate::act::{Act, Early};
use crate::auth::Admin;
use crate::request::{Change, Id};
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Admin(principal): Admin,
    Id(id): Id<AudioId>,
    change: Change,
) -> Result<Response, Early> {
    let act = Act::begin(&state, principal, &change, StatusCode::NO_CONTENT).await?;
    change.fields()?.finish()?;
    let removed = state.store().remove_audio(act.by(), id).await;
    act.finish(removed.map(|()| Effect::AudioRemoved)).await
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use serde_json::json;

    use crate::testing::{World, settings};

    #[tokio::test]
    async fn an_audio_goes_once_no_campaign_plays_it() {
        let world = World::new();
        let audio = world.audio("Offer").await;
        let path = format!("/api/audio/{audio}");
        let mut document = settings();
        document["script"] = json!({"steps": [{"play": audio}]});
        let campaign = world.post("/api/campaigns", document.clone()).await;
        assert_eq!(campaign.status, StatusCode::CREATED, "{}", campaign.text());
        let refused = world.delete(&path).await;
        assert_eq!((refused.status, refused.code()), (StatusCode::CONFLICT, "audio_in_use"));
        assert_eq!(refused.json["campaign_id"], campaign.json["id"]);
        document["script"] = json!({"steps": []});
        let id = campaign.json["id"].as_str().unwrap();
        let request = world.request("PATCH", &format!("/api/campaigns/{id}"));
        let changed = request.header("if-match", "\"1\"").json(document).send().await;
        assert_eq!(changed.status, StatusCode::OK, "{}", changed.text());
        assert_eq!(world.delete(&path).await.status, StatusCode::NO_CONTENT);
        assert_eq!(world.delete(&path).await.status, StatusCode::NOT_FOUND);
        assert!(world.audited("audio.remove").await);
    }
}
