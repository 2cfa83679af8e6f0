//! `GET`, `POST /api/cron/tick`: works until nothing is due or the time is over.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::driver::Driver;
use callcore::port::StoreError;
use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio::time::Instant;

use super::{Scheduler, send_mails};
use crate::dto;
use crate::problem::Problem;
use crate::query::Query;
use crate::state::ApiState;

/// How long it works if it isn't said, in seconds.
const DEFAULT_SECONDS: u64 = 50;
/// How long it may be told to work.
const MAX_SECONDS: u64 = 900;
/// How long it waits for calls that are due and may not be dialled yet, such as for their pace.
const BREATH: Duration = Duration::from_millis(100);

/// What was done.
#[derive(Debug, Default, Serialize)]
struct Done {
    claimed: u64,
    placed: u64,
    settled: u64,
    next_due_at: Option<String>,
}

pub(crate) async fn handle(
    State(state): State<ApiState>,
    scheduler: Scheduler,
    mut query: Query,
) -> Result<Response, Problem> {
    let seconds = query.text("max_seconds").map(|text| text.parse());
    let seconds = seconds.map(|it| it.ok().filter(|seconds| (1..=MAX_SECONDS).contains(seconds)));
    if seconds == Some(None) {
        query.refuse("max_seconds", format!("must be from 1 to {MAX_SECONDS}"));
    }
    query.finish()?;
    let until = Instant::now() + Duration::from_secs(seconds.flatten().unwrap_or(DEFAULT_SECONDS));
    // A tick that is cut off loses its tickets, so whoever hangs up does not end the work.
    let work = tokio::spawn(work(state, scheduler.driver, until));
    let done = work.await.map_err(|_| Problem::internal())??;
    Ok(dto::json(StatusCode::OK, &done))
}

async fn work(state: ApiState, driver: Arc<Driver>, until: Instant) -> Result<Done, StoreError> {
    let mut done = Done::default();
    driver.sweep().await?;
    // Before the dials, so that a long list keeps no mail waiting.
    if let Some(mailer) = state.mailer() {
        send_mails(mailer.clone()).await;
    }
    retain(&state, &driver, until).await?;
    while !state.is_draining() {
        let tick = driver.tick().await?;
        done.claimed += u64::from(tick.claimed);
        done.placed += u64::from(tick.placed);
        done.settled += u64::from(tick.settled);
        done.next_due_at = tick.next_due_at.map(dto::instant);
        if tick.halted.is_some() || Instant::now() >= until {
            break;
        }
        if tick.claimed > 0 {
            continue;
        }
        if !tick.next_due_at.is_some_and(|at| is_due(at, state.now())) {
            break;
        }
        tokio::time::sleep_until(until.min(Instant::now() + BREATH)).await;
    }
    Ok(done)
}

/// Keeps nothing longer than the account allows; what is left when half of the time is over is the
/// next tick's.
async fn retain(state: &ApiState, driver: &Driver, until: Instant) -> Result<(), StoreError> {
    let half = Instant::now() + until.duration_since(Instant::now()) / 2;
    while driver.retain().await?.more && Instant::now() < half && !state.is_draining() {}
    Ok(())
}

fn is_due(at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    at <= now
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use serde_json::json;

    use crate::testing::{CRON_SECRET, World};

    const TICK: &str = "/api/cron/tick";

    #[tokio::test]
    async fn a_tick_works_until_nothing_is_due() {
        let world = World::new();
        let campaign = world.loaded(120).await;
        world.post(&format!("/api/campaigns/{campaign}/start"), json!({})).await;
        let bearer = format!("Bearer {CRON_SECRET}");
        for (method, placed) in [("GET", 100), ("POST", 0)] {
            let request = world.request(method, TICK).anonymous();
            let answer = request.header("authorization", &bearer).send().await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
            assert_eq!(answer.json["placed"], placed, "the campaign has 100 slots");
            assert_eq!(answer.json["claimed"], placed);
            assert_eq!(answer.headers["cache-control"], "no-store");
            let fields: Vec<&str> =
                answer.json.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(fields, ["claimed", "placed", "settled", "next_due_at"]);
        }
    }

    #[tokio::test]
    async fn a_tick_keeps_nothing_longer_than_allowed() {
        let world = World::new();
        let call = world.talked().await;
        let settings = json!({"retention_days": 30});
        let change = world.request("PATCH", "/api/settings").header("if-match", "1");
        assert_eq!(change.json(settings).send().await.status, StatusCode::OK);
        let transcript = format!("/api/calls/{call}/transcript.txt");
        world.tick().await;
        assert!(world.get(&transcript).await.text().contains("Hello."));
        world.clock.advance(chrono::TimeDelta::days(31));
        world.tick().await;
        assert!(!world.get(&transcript).await.text().contains("Hello."));
    }

    #[tokio::test]
    async fn only_the_secret_lets_in_and_head_changes_nothing() {
        let world = World::new();
        let bearer = format!("Bearer {CRON_SECRET}");
        for path in [TICK, "/api/cron/daily-summary"] {
            let admin = world.request("GET", path).send().await;
            assert_eq!(admin.status, StatusCode::UNAUTHORIZED, "{path}");
            let head = world.request("HEAD", path).anonymous();
            let head = head.header("authorization", &bearer).send().await;
            assert_eq!(head.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
            assert_eq!(head.headers["allow"], "GET, POST");
            let twice = world.request("GET", path).header("authorization", &bearer);
            assert_eq!(twice.send().await.status, StatusCode::UNAUTHORIZED, "two at once");
        }
        let elsewhere = world.request("GET", "/api/dashboard").anonymous();
        let elsewhere = elsewhere.header("authorization", &bearer).send().await;
        assert_eq!(elsewhere.status, StatusCode::UNAUTHORIZED, "it opens nothing else");
    }

    #[tokio::test]
    async fn without_a_secret_there_is_no_such_thing() {
        let world = World::without_cron();
        for path in [TICK, "/api/cron/daily-summary"] {
            for method in ["GET", "POST", "HEAD"] {
                let answer = world.request(method, path).send().await;
                assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}");
            }
        }
    }

    #[tokio::test]
    async fn the_time_is_a_number_of_seconds() {
        let world = World::new();
        for bad in ["0", "901", "x", "-1", "1.5"] {
            let request = world.request("GET", &format!("{TICK}?max_seconds={bad}&x=1"));
            let bearer = format!("Bearer {CRON_SECRET}");
            let answer = request.anonymous().header("authorization", &bearer).send().await;
            assert_eq!(answer.fields(), ["max_seconds", "x"], "{bad}");
        }
    }
}
