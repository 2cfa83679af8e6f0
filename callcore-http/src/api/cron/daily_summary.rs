//! `GET`, `POST /api/cron/daily-summary`: the day so far, by mail, now.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::actor::{Actor, Role};
use callcore::port::Effect;

use super::{Scheduler, send_mails};
use crate::act::{Act, Early};
use crate::auth::Principal;
use crate::problem::Problem;
use crate::request::Change;
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    _: Scheduler,
    change: Change,
) -> Result<Response, Early> {
    let Some(mailer) = state.mailer() else {
        let detail = "there are no mail settings, so that no summary can be sent";
        return Err(Problem::new(StatusCode::CONFLICT, "no_mail_settings", detail).into());
    };
    let principal = Principal::new(Actor::Token("cron".to_owned()), Role::Admin);
    let act = Act::begin(&state, principal, &change, StatusCode::OK).await?;
    change.fields()?.finish()?;
    let queued = mailer.summary_now(act.by()).await;
    let answer = act.finish(queued.map(|(_, mail)| Effect::Mail(Box::new(mail)))).await?;
    send_mails(mailer.clone()).await;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use crate::testing::{Answer, CRON_SECRET, World};

    async fn ask(world: &World, method: &str, key: &str) -> Answer {
        let request = world.request(method, "/api/cron/daily-summary").anonymous();
        let bearer = format!("Bearer {CRON_SECRET}");
        let request = request.header("authorization", &bearer);
        request.header("idempotency-key", key).send().await
    }

    #[tokio::test]
    async fn a_summary_wanted_now_is_sent_now() {
        let world = World::with_mail();
        let answer = ask(&world, "POST", "once").await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        assert_eq!(answer.json["kind"], "daily_summary");
        assert_eq!(world.mails(), ["Mon 23 Nov: 0 calls, – reached"]);
        let again = ask(&world, "POST", "once").await;
        assert_eq!(again.text(), answer.text(), "a repeated request gets the first one's answer");
        world.clock.advance(chrono::TimeDelta::minutes(1));
        assert_eq!(ask(&world, "POST", "once").await.text(), answer.text());
        assert_eq!(world.mails().len(), 1);
        ask(&world, "GET", "twice").await;
        assert_eq!(world.mails().len(), 2);
        let mails = world.get("/api/mails").await;
        assert_eq!(mails.json["items"][0]["state"], "sent");
        assert!(world.audited("mail.queue").await);
    }

    #[tokio::test]
    async fn without_mail_settings_it_says_so() {
        let world = World::new();
        let answer = ask(&world, "GET", "any").await;
        assert_eq!((answer.status, answer.code()), (StatusCode::CONFLICT, "no_mail_settings"));
    }
}
