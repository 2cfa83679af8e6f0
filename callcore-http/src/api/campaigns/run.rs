//! `POST /api/campaigns/{id}/start`, `/pause`, `/resume`, `/stop`: the run state.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::campaign::Transition;
use callcore::id::CampaignId;
use callcore::port::Effect;

use crate::act::{Act, Early};
use crate::auth::{Operator, Principal};
use crate::request::{Change, Id};
use crate::state::ApiState;

macro_rules! transitions {
    ($($name:ident = $transition:ident)*) => {$(
        pub(crate) async fn $name(
            State(state): State<ApiState>,
            Operator(principal): Operator,
            Id(id): Id<CampaignId>,
            change: Change,
        ) -> Result<Response, Early> {
            handle(state, principal, id, change, Transition::$transition).await
        }
    )*};
}

transitions! {
    start = Start
    pause = Pause
    resume = Resume
    stop = Stop
}

async fn handle(
    state: ApiState,
    principal: Principal,
    id: CampaignId,
    change: Change,
    transition: Transition,
) -> Result<Response, Early> {
    let act = Act::begin(&state, principal, &change, StatusCode::OK).await?;
    change.fields()?.finish()?;
    let changed = state.store().change_state(act.by(), id, transition).await;
    act.finish(changed.map(|view| Effect::Campaign(Box::new(view)))).await
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use serde_json::json;

    use crate::testing::World;

    #[tokio::test]
    async fn a_campaign_starts_pauses_resumes_and_stops() {
        let world = World::new();
        let id = world.loaded(1).await;
        for (verb, state) in
            [("start", "running"), ("pause", "paused"), ("resume", "running"), ("stop", "stopped")]
        {
            let answer = world.post(&format!("/api/campaigns/{id}/{verb}"), json!({})).await;
            assert_eq!((answer.status, &answer.json["state"]), (StatusCode::OK, &json!(state)));
        }
        assert_eq!(world.wakes(), 6, "created, imported and four transitions");
    }

    #[tokio::test]
    async fn what_the_state_does_not_allow_is_a_conflict() {
        let world = World::new();
        let empty = world.draft().await;
        let answer = world.post(&format!("/api/campaigns/{empty}/start"), json!({})).await;
        assert_eq!((answer.status, answer.code()), (StatusCode::CONFLICT, "no_clients"));
        let answer = world.post(&format!("/api/campaigns/{empty}/pause"), json!({})).await;
        assert_eq!((answer.status, answer.code()), (StatusCode::CONFLICT, "invalid_transition"));
        assert_eq!(answer.json["state"], "draft");
        let nowhere = "/api/campaigns/0199aaaa-0000-7000-8000-000000000000/stop";
        assert_eq!(world.post(nowhere, json!({})).await.status, StatusCode::NOT_FOUND);
        let answer = world.post(&format!("/api/campaigns/{empty}/start"), json!({"now": 1})).await;
        assert_eq!((answer.status, answer.fields()), (StatusCode::BAD_REQUEST, vec!["now"]));
    }

    #[tokio::test]
    async fn a_retried_start_is_answered_as_the_first_was() {
        let world = World::new();
        let path = format!("/api/campaigns/{}/start", world.loaded(1).await);
        let send = || world.request("POST", &path).header("idempotency-key", "go").send();
        let (first, again) = (send().await, send().await);
        assert_eq!((first.status, &first.json), (StatusCode::OK, &again.json));
        assert_eq!(world.post(&path, json!({})).await.status, StatusCode::CONFLICT);
    }
}
