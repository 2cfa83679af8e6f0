//! `POST /api/stop-all`: stops all dialling at once, over all campaigns and for people too. Calls in
//! progress go on, unless `{"hang_up": true}` ends them; `in_flight` names them.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::port::Effect;
use callcore::text;

use crate::act::{Act, Early};
use crate::auth::Operator;
use crate::problem::Problem;
use crate::request::Change;
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Operator(principal): Operator,
    change: Change,
) -> Result<Response, Early> {
    let act = Act::begin(&state, principal, &change, StatusCode::OK).await?;
    let (reason, hang_up) = read(&change)?;
    let stopped = state.desk().stop_all(act.by(), reason, hang_up).await;
    act.finish(stopped.map(|stopped| Effect::Stopped(Box::new(stopped)))).await
}

fn read(change: &Change) -> Result<(Option<String>, bool), Problem> {
    let mut fields = change.fields()?;
    let reason: Option<String> = fields.optional("reason");
    let reason = match text::line(&reason.unwrap_or_default(), text::MAX_LABEL) {
        Ok(reason) => Some(reason).filter(|reason| !reason.is_empty()),
        Err(error) => {
            fields.refuse("reason", error.code(), error.to_string());
            None
        }
    };
    let hang_up = fields.optional("hang_up").unwrap_or(false);
    fields.finish()?;
    Ok((reason, hang_up))
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use callcore::actor::Role;
    use serde_json::json;

    use crate::testing::World;

    #[tokio::test]
    async fn nothing_is_dialled_until_somebody_resumes() {
        let world = World::new();
        let id = world.loaded(2).await;
        world.post(&format!("/api/campaigns/{id}/start"), json!({})).await;
        let stop = world.request("POST", "/api/stop-all").role(Role::Operator);
        let stopped = stop.json(json!({"reason": "a wrong list"})).send().await;
        assert_eq!(stopped.status, StatusCode::OK);
        assert_eq!(stopped.json["in_flight"], json!([]));
        let call = world.calls().await.remove(0);
        world.post(&format!("/api/calls/{call}/call-now"), json!({})).await;
        world.dial_all().await;
        let account = world.get("/api/settings").await.json;
        assert_eq!(account["calls_in_progress"], 0);
        assert_eq!(account["stopped"]["by"], "token:operator");
        assert_eq!(account["stopped"]["reason"], "a wrong list");
        assert_eq!(
            world.get("/api/dashboard").await.json["account"]["stopped"],
            account["stopped"]
        );
        let again = world.post("/api/stop-all", json!({"reason": "another"})).await;
        assert_eq!(again.json["stopped"], account["stopped"], "whoever stopped first is shown");

        let resumed = world.post("/api/resume-all", json!({})).await;
        assert_eq!((resumed.status, &resumed.json["stopped"]), (StatusCode::OK, &json!(null)));
        world.dial_all().await;
        assert_eq!(world.get("/api/settings").await.json["calls_in_progress"], 2);
        assert!(world.audited("account.stop").await && world.audited("account.resume").await);
    }

    #[tokio::test]
    async fn calls_in_progress_are_hung_up_only_on_request() {
        let world = World::new();
        let id = world.loaded(2).await;
        world.post(&format!("/api/campaigns/{id}/start"), json!({})).await;
        world.dial_all().await;
        let stopped = world.post("/api/stop-all", json!({})).await;
        assert_eq!(stopped.json["in_flight"].as_array().unwrap().len(), 2);
        assert!(world.hung_up().is_empty());
        let stopped = world.post("/api/stop-all", json!({"hang_up": true})).await;
        let mut hung_up = world.hung_up();
        hung_up.sort();
        assert_eq!(stopped.json["in_flight"], json!(hung_up));
    }

    #[tokio::test]
    async fn bad_fields_are_named_and_a_retried_stop_is_answered_as_the_first_was() {
        let world = World::new();
        let bad = json!({"reason": "a\u{202e}b", "hang_up": "yes", "now": 1});
        let answer = world.post("/api/stop-all", bad).await;
        assert_eq!(
            (answer.status, answer.fields()),
            (StatusCode::BAD_REQUEST, vec!["reason", "hang_up", "now"])
        );
        assert_eq!(world.get("/api/settings").await.json["stopped"], json!(null));
        let send = || world.request("POST", "/api/stop-all").header("idempotency-key", "k").send();
        let (first, again) = (send().await, send().await);
        assert_eq!((first.status, &first.json), (StatusCode::OK, &again.json));
        world.post("/api/resume-all", json!({})).await;
        send().await;
        assert_eq!(
            world.get("/api/settings").await.json["stopped"],
            json!(null),
            "answered, not done"
        );
    }
}
