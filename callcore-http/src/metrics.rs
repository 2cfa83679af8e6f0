//! `GET /metrics`: what a monitoring system watches, in the text format of Prometheus. It takes the
//! role viewer, as everything that counts calls does.

use std::fmt::Display;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use callcore::call::Outcome;
use callcore::port::Gauges;
use callcore::runtime::Health;

use crate::auth::Viewer;
use crate::problem::{Problem, store_errors};
use crate::query::Query;
use crate::state::ApiState;

pub(crate) fn routes() -> Router<ApiState> {
    Router::new().route("/metrics", get(handle))
}

async fn handle(
    State(state): State<ApiState>,
    Viewer(_): Viewer,
    query: Query,
) -> Result<Response, Problem> {
    query.finish()?;
    let gauges = state.store().gauges(state.now()).await?;
    let stopped = state.store().account().await?.stopped.is_some();
    let mut text = Exposition::default();
    text.of_the_store(&gauges, stopped);
    if let Some(health) = state.loops() {
        text.of_the_loops(&health);
    }
    text.of_this_process(&state);
    let media_type = "text/plain; version=0.0.4; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, media_type)], text.0).into_response())
}

#[derive(Debug, Default)]
struct Exposition(String);

impl Exposition {
    /// What the whole database holds, whichever process asks.
    fn of_the_store(&mut self, gauges: &Gauges, stopped: bool) {
        let name = "callcore_calls_ended";
        self.head(
            name,
            "gauge",
            "Outbound calls that ended. Late evidence may correct an outcome.",
        );
        for outcome in Outcome::ALL {
            let calls = gauges.totals.outcomes.get(outcome).copied().unwrap_or_default();
            self.line(&format!("{name}{{outcome=\"{}\"}}", outcome.as_str()), calls);
        }
        let talk = gauges.totals.talk_seconds;
        self.gauge("callcore_talk_seconds", "Seconds of talk of the calls that ended.", talk);
        let most = format!("Calls that are due, counted up to {}.", Gauges::MOST_DUE);
        self.gauge("callcore_calls_due", &most, gauges.due);
        self.gauge("callcore_calls_in_flight", "Calls begun and not ended.", gauges.live);
        let doubt = "Calls in flight whose fate nobody knows, or of which nothing was heard.";
        self.gauge("callcore_calls_unknown", doubt, gauges.doubtful);
        self.gauge("callcore_imports_running", "Imports that run.", gauges.imports);
        let mails = "callcore_mails";
        self.head(mails, "gauge", "Mails that wait to be sent, or were given up.");
        self.line(&format!("{mails}{{state=\"waiting\"}}"), gauges.mails_waiting);
        self.line(&format!("{mails}{{state=\"failed\"}}"), gauges.mails_failed);
        let help = "1 while somebody has stopped all dialling.";
        self.gauge("callcore_stopped_all", help, u8::from(stopped));
    }

    /// How this process dispatches.
    fn of_the_loops(&mut self, health: &Health) {
        self.counter("callcore_ticks_total", "Ticks of the dispatcher.", health.ticks);
        let failed = "Ticks that the store failed.";
        self.counter("callcore_ticks_failed_total", failed, health.failed_ticks);
        let halted = u8::from(health.halted.is_some());
        self.gauge("callcore_halted", "1 while nothing is dispatched for safety's sake.", halted);
        let ready = u8::from(health.is_ready());
        self.gauge("callcore_dispatching", "1 while calls are dispatched.", ready);
    }

    fn of_this_process(&mut self, state: &ApiState) {
        let errors = "Requests the store could not serve.";
        self.counter("callcore_store_errors_total", errors, store_errors());
        let events = state.webhook_events().load(Ordering::Relaxed);
        self.counter("callcore_webhook_events_total", "Events that webhooks brought.", events);
        let listeners = state.feed().listeners();
        self.gauge("callcore_event_listeners", "Listeners to server-sent events.", listeners);
        let draining = u8::from(state.is_draining());
        self.gauge("callcore_draining", "1 while the server is about to end.", draining);
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, "gauge", help);
        self.line(name, value);
    }

    fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, "counter", help);
        self.line(name, value);
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.0.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    fn line(&mut self, series: &str, value: impl Display) {
        self.0.push_str(&format!("{series} {value}\n"));
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use serde_json::json;

    use crate::testing::World;

    #[tokio::test]
    async fn what_goes_on_is_counted_as_the_pages_count_it() {
        let world = World::new();
        let id = world.loaded(3).await;
        world.post(&format!("/api/campaigns/{id}/start"), json!({})).await;
        let text = world.get("/metrics").await.text();
        assert!(text.contains("\ncallcore_calls_due 3\n"), "{text}");
        world.dial_all().await;
        let text = world.get("/metrics").await.text();
        assert!(text.contains("\ncallcore_calls_in_flight 3\n"), "{text}");
        assert!(text.contains("\ncallcore_calls_due 0\n"), "{text}");
        world.answer_all().await;
        let text = world.get("/metrics").await.text();
        assert!(text.contains("\ncallcore_calls_ended{outcome=\"answered\"} 3\n"), "{text}");
        assert!(text.contains("\ncallcore_talk_seconds 90\n"), "{text}");
    }

    #[tokio::test]
    async fn every_series_has_its_help_and_its_type_once() {
        let health = || callcore::runtime::Health {
            ticked_at: None,
            store_answers: true,
            halted: None,
            draining: false,
            ticks: 7,
            failed_ticks: 1,
        };
        let world = World::with(|state| state.with_loops(health));
        let answer = world.get("/metrics").await;
        assert!(answer.headers["content-type"].to_str().unwrap().contains("version=0.0.4"));
        let text = answer.text();
        assert!(text.contains("callcore_ticks_total 7\n"), "{text}");
        let (mut named, mut name) = (std::collections::BTreeSet::new(), "");
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                name = help.split(' ').next().unwrap();
                assert!(named.insert(name), "{name} twice");
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                assert!(kind.starts_with(name), "{line}");
                assert_eq!(kind.ends_with(" counter"), name.ends_with("_total"), "{line}");
            } else {
                let (series, value) = line.rsplit_once(' ').unwrap();
                assert!(series.starts_with(name) && value.parse::<f64>().is_ok(), "{line}");
            }
        }
    }

    #[tokio::test]
    async fn strangers_count_nothing() {
        let world = World::new();
        let stranger = world.request("GET", "/metrics").anonymous().send().await;
        assert_eq!(stranger.status, StatusCode::UNAUTHORIZED);
        assert_eq!(world.get("/metrics?x=1").await.fields(), ["x"]);
    }
}
