//! The queue: what is seen of a call to come, and what is done to one or many.

use axum::http::StatusCode;
use callcore::actor::Role;
use callcore::call::{Outcome, SkipReason};
use callcore::port::{CallQuery, CallView};
use serde_json::json;

use super::Person;
use crate::testing::World;

/// A world with a queue, and its calls.
async fn queue(clients: usize) -> (World, Vec<String>) {
    let world = World::new();
    let campaign = world.loaded(clients).await;
    world.post(&format!("/api/campaigns/{campaign}/start"), json!({})).await;
    let calls = world.calls().await;
    (world, calls)
}

async fn call(world: &World, id: &str) -> CallView {
    world.state.store().call(id.parse().unwrap()).await.unwrap().unwrap()
}

async fn due(world: &World, id: &str) -> String {
    call(world, id).await.call.due_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

#[tokio::test]
async fn a_row_shows_both_clocks_and_leads_to_what_can_be_done() {
    let (world, calls) = queue(2).await;
    let operator = Person::new(&world, Role::Operator).await;
    let page = operator.read("/calls/upcoming").await;
    assert!(page.contains("today 15:00") && page.contains("Mon 10:00 America/New_York"), "{page}");
    for part in ["/call-now\"", "href=\"/calls/upcoming/skip?id=", "name=\"id\" value=\""] {
        assert!(page.matches(part).count() == 2, "{part}: {page}");
    }
    let found = operator.read("/calls/upcoming?q=Client+1&campaign=").await;
    assert!(found.contains(&calls[1]) && !found.contains(&calls[0]), "{found}");
    let viewer = Person::new(&world, Role::Viewer).await;
    let page = viewer.read("/calls/upcoming").await;
    assert!(!page.contains("type=\"checkbox\"") && !page.contains("Call now"), "{page}");
}

#[tokio::test]
async fn ticked_calls_are_skipped_with_a_reason_after_the_page_has_asked() {
    let (world, calls) = queue(3).await;
    let operator = Person::new(&world, Role::Operator).await;
    let back = "%2Fcalls%2Fupcoming%3Fq%3DClient";
    let path = format!("/calls/upcoming/skip?id={}&id={}&back={back}", calls[0], calls[1]);
    let asked = operator.read(&path).await;
    assert!(asked.contains("Skip 2 calls?") && asked.contains("Client 1"), "{asked}");
    let both = [("id", &*calls[0]), ("id", &*calls[1]), ("back", "/calls/upcoming?q=Client")];
    let post = async |more: &[(&'static str, &'static str)]| {
        operator.post("/calls/upcoming/skip", &[&both[..], more].concat()).await
    };
    let bare = post(&[("reason", "")]).await;
    assert_eq!(bare.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(bare.text().contains("Choose a reason"), "{}", bare.text());
    let wordless = post(&[("reason", "other"), ("note", " ")]).await;
    assert!(wordless.text().contains("Say in the note why"), "{}", wordless.text());
    assert!(wordless.text().contains("value=\"other\" selected"), "what was chosen is kept");
    let long = "x".repeat(10_001).leak();
    let long = post(&[("reason", "duplicate"), ("note", long)]).await;
    assert!(long.text().contains("at most 10000 characters"), "{}", long.text());

    let skipped = post(&[("reason", "already_handled"), ("note", "paid")]).await;
    assert_eq!(super::to(&skipped), "/calls/upcoming?q=Client");
    assert!(operator.follow(&skipped).await.contains("2 calls are skipped."));
    for id in &calls[..2] {
        let view = call(&world, id).await;
        assert_eq!(view.call.outcome(), Some(Outcome::Skipped));
        assert_eq!(view.call.end_reason(), Some(SkipReason::AlreadyHandled.as_str()));
    }
}

#[tokio::test]
async fn where_nothing_that_waits_is_ticked_the_queue_itself_says_so() {
    let (world, calls) = queue(2).await;
    let operator = Person::new(&world, Role::Operator).await;
    let one = [("id", &*calls[0]), ("reason", "duplicate")];
    operator.post("/calls/upcoming/skip", &one).await;
    let over = format!("id={}&", calls[0]);
    for (ticked, said) in
        [("", "Tick at least one call first."), (&*over, "These calls are not scheduled any more.")]
    {
        for act in ["skip", "reschedule"] {
            let path =
                format!("/calls/upcoming/{act}?{ticked}back=%2Fcalls%2Fupcoming%3Fq%3DClient");
            let answer = operator.open(&path).await;
            assert_eq!(super::to(&answer), "/calls/upcoming?q=Client", "{path}");
            let page = operator.follow(&answer).await;
            let alert = format!("role=\"alert\"><p>{said}</p>");
            assert!(page.contains(&alert) && page.contains("Client 1"), "{path}: {page}");
        }
    }
    let away = operator.open("/calls/upcoming/skip?back=%2F%2Fevil.example").await;
    assert_eq!(super::to(&away), "/calls/upcoming");
}

#[tokio::test]
async fn one_call_is_skipped_for_good_or_until_the_next_attempt() {
    let (world, calls) = queue(1).await;
    let operator = Person::new(&world, Role::Operator).await;
    let asked = operator.read(&format!("/calls/upcoming/skip?id={}", calls[0])).await;
    assert!(asked.contains("Skip this call?") && asked.contains("name=\"then\""), "{asked}");
    let fields = [("id", &*calls[0]), ("reason", "bad_timing"), ("then", "next_attempt")];
    let skipped = operator.post("/calls/upcoming/skip", &fields).await;
    assert!(operator.follow(&skipped).await.contains("The call is skipped"));
    let next = world.calls().await;
    assert!(next.len() == 1 && next != calls, "another call is to come: {next:?}");
    let gone = operator.post("/calls/upcoming/skip", &fields).await;
    assert!(operator.follow(&gone).await.contains("not scheduled any more"));
}

#[tokio::test]
async fn what_was_not_skipped_is_named() {
    let (world, calls) = queue(2).await;
    let operator = Person::new(&world, Role::Operator).await;
    let one = [("id", &*calls[0]), ("reason", "duplicate")];
    operator.post("/calls/upcoming/skip", &one).await;
    let both = [("id", &*calls[0]), ("id", &*calls[1]), ("reason", "duplicate")];
    let page = operator.follow(&operator.post("/calls/upcoming/skip", &both).await).await;
    let said = "1 call is skipped. Not done: Client 0: the call is over.";
    assert!(page.contains(said), "{page}");
}

#[tokio::test]
async fn only_times_that_all_ticked_calls_allow_are_offered_and_each_is_taken() {
    let (world, calls) = queue(2).await;
    let operator = Person::new(&world, Role::Operator).await;
    let path = format!("/calls/upcoming/reschedule?id={}&id={}", calls[0], calls[1]);
    let page = operator.read(&path).await;
    let offered: Vec<&str> = page
        .split("<option value=\"")
        .filter_map(|part| part.split('"').next())
        .filter(|value| value.starts_with("2026-"))
        .collect();
    // Nine to five in New York, on five days of a week; today from ten on.
    assert_eq!(offered.len(), 14 + 4 * 16 + 2, "{offered:?}");
    assert_eq!(offered[0], "2026-11-23T15:00:00Z");
    assert!(page.contains("label=\"Today, Monday 23 November\""), "{page}");
    for to in [offered[0], offered[20], offered[offered.len() - 1]] {
        let fields = [("id", &*calls[0]), ("id", &*calls[1]), ("to", to)];
        let moved = operator.post("/calls/upcoming/reschedule", &fields).await;
        assert!(operator.follow(&moved).await.contains("2 calls are moved."), "{to}");
        assert_eq!(
            (due(&world, &calls[0]).await, due(&world, &calls[1]).await),
            (to.into(), to.into())
        );
    }
}

#[tokio::test]
async fn calls_are_moved_by_a_stretch_each_as_its_own_hours_allow() {
    let (world, calls) = queue(2).await;
    let operator = Person::new(&world, Role::Operator).await;
    let late = [("id", &*calls[1]), ("to", "2026-11-23T21:30:00Z")];
    operator.post("/calls/upcoming/reschedule", &late).await;
    let fields = [("id", &*calls[0]), ("id", &*calls[1]), ("to", "+3600")];
    let moved = operator.post("/calls/upcoming/reschedule", &fields).await;
    let page = operator.follow(&moved).await;
    assert!(page.contains("1 call is moved. Not done: Client 1: the calling hours"), "{page}");
    assert!(page.contains("the next time they allow is Tue 24 Nov 14:00"), "{page}");
    assert_eq!(due(&world, &calls[0]).await, "2026-11-23T16:00:00Z");
    assert_eq!(due(&world, &calls[1]).await, "2026-11-23T21:30:00Z");
}

#[tokio::test]
async fn a_time_that_is_not_allowed_any_more_is_refused_in_a_sentence() {
    let (world, calls) = queue(1).await;
    let operator = Person::new(&world, Role::Operator).await;
    let post = async |to: &str| {
        let fields = [("id", &*calls[0]), ("to", to)];
        operator.post("/calls/upcoming/reschedule", &fields).await
    };
    for (to, said) in [
        ("2026-11-23T23:30:00Z", "The calling hours of this person don&#39;t allow that"),
        ("2026-11-23T10:00:00Z", "That time is over"),
        ("", "Choose a day and a time"),
    ] {
        let answer = post(to).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{to}");
        assert!(answer.text().contains(said), "{to}: {}", answer.text());
    }
}

#[tokio::test]
async fn calling_now_from_the_queue_leads_back_to_it() {
    let (world, calls) = queue(1).await;
    let operator = Person::new(&world, Role::Operator).await;
    let fields = [("back", "/calls/upcoming?q=Client")];
    let called = operator.post(&format!("/calls/{}/call-now", calls[0]), &fields).await;
    assert_eq!(super::to(&called), "/calls/upcoming?q=Client");
    let away = [("back", "//evil.example")];
    let called = operator.post(&format!("/calls/{}/call-now", calls[0]), &away).await;
    assert_eq!(super::to(&called), format!("/calls/{}", calls[0]));
    let upcoming = CallQuery { limit: 9, ..CallQuery::default() };
    let upcoming = world.state.store().upcoming(&upcoming).await.unwrap().items;
    assert!(upcoming[0].call.intent.is_wish());
}

#[tokio::test]
async fn who_moves_or_skips_one_call_comes_back_to_the_same_part_of_the_queue() {
    let (world, calls) = queue(2).await;
    let operator = Person::new(&world, Role::Operator).await;
    for act in ["skip", "reschedule"] {
        let path = format!("/calls/upcoming/{act}?id={}", calls[0]);
        let request = world.request("GET", &path).anonymous().header("host", super::HOST);
        let from = format!("https://{}/calls/upcoming?q=Client", super::HOST);
        let request = request.header("cookie", &operator.cookie).header("referer", &from);
        let page = request.send().await.text();
        let back = "name=\"back\" value=\"/calls/upcoming?q=Client\"";
        assert!(page.contains(back), "{page}");
    }
}

#[tokio::test]
async fn a_call_that_is_not_to_come_any_more_is_told_in_words() {
    let world = World::new();
    let id = world.talked().await;
    let operator = Person::new(&world, Role::Operator).await;
    let fields = [("reason", "duplicate")];
    let page = operator.post(&format!("/calls/{id}/skip"), &fields).await.text();
    assert!(page.contains("The call is over."), "{page}");
}
