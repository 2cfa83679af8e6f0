//! The history: how it is sorted, filtered, reviewed and exported.

use axum::http::StatusCode;
use callcore::actor::Role;
use callcore::call::Review;
use serde_json::json;

use super::Person;
use crate::testing::World;

async fn ended(clients: usize) -> (World, Vec<String>) {
    let world = World::new();
    let campaign = world.loaded(clients).await;
    let calls = world.calls().await;
    world.post(&format!("/api/campaigns/{campaign}/start"), json!({})).await;
    world.answer_all().await;
    (world, calls)
}

async fn review(world: &World, id: &str) -> Review {
    world.state.store().call(id.parse().unwrap()).await.unwrap().unwrap().call.review
}

/// The addresses of the links to a text.
fn links<'a>(page: &'a str, text: &str) -> Vec<String> {
    let is = |link: &&'a str| link.split_once('>').is_some_and(|(_, it)| it.starts_with(text));
    let links = page.split("<a ").filter(is);
    let href =
        |link: &str| link.split("href=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    links.map(|link| href(link).replace("&#38;", "&")).collect()
}

#[tokio::test]
async fn headers_sort_and_a_second_click_turns_the_order() {
    let (world, _) = ended(3).await;
    let viewer = Person::new(&world, Role::Viewer).await;
    let names = |page: &str| -> Vec<usize> {
        let at = |name: &str| page.find(&format!(">{name}</bdi>")).unwrap();
        [at("Client 0"), at("Client 1"), at("Client 2")].to_vec()
    };
    let page = viewer.read("/calls/history?q=Client").await;
    assert!(page.contains("aria-sort=\"descending\""), "{page}");
    let by_name = links(&page, "Name").remove(0);
    assert_eq!(by_name, "/calls/history?q=Client&sort=name");
    let page = viewer.read(&by_name).await;
    assert!(names(&page).is_sorted(), "{page}");
    let turned = links(&page, "Name ↑").remove(0);
    assert_eq!(turned, "/calls/history?q=Client&sort=-name");
    let page = viewer.read(&turned).await;
    assert!(names(&page).iter().rev().is_sorted(), "{page}");
    assert_eq!(links(&page, "Duration").remove(0), "/calls/history?q=Client&sort=-duration");
    assert_eq!(viewer.open("/calls/history?sort=phone").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn pages_of_any_order_follow_each_other() {
    let (world, _) = ended(60).await;
    let viewer = Person::new(&world, Role::Viewer).await;
    for sort in ["-date", "date", "name", "-name", "duration", "-duration"] {
        let first = viewer.read(&format!("/calls/history?sort={sort}")).await;
        let next = first.split("aria-label=\"More calls\"").nth(1).unwrap();
        let next = next.split("href=\"").nth(1).unwrap().split('"').next().unwrap();
        let second = viewer.read(&next.replace("&#38;", "&")).await;
        assert_eq!(second.matches("data-unfold").count(), 10, "{sort}");
    }
}

#[tokio::test]
async fn every_filter_of_the_api_stands_in_the_form_and_is_kept() {
    let (world, _) = ended(4).await;
    let viewer = Person::new(&world, Role::Viewer).await;
    let rows = |page: &str| page.matches("data-unfold").count();
    let page = viewer.read("/calls/history?tag=even&direction=outbound&review=unreviewed").await;
    assert_eq!(rows(&page), 2);
    for kept in ["value=\"even\"", "value=\"outbound\" selected", "value=\"unreviewed\" selected"] {
        assert!(page.contains(kept), "{kept}: {page}");
    }
    assert_eq!(rows(&viewer.read("/calls/history?tag=odd").await), 0);
    assert_eq!(rows(&viewer.read("/calls/history?from=2026-11-23&to=2026-11-23").await), 4);
    let day = viewer.read("/calls/history?from=2026-11-23T10:00:00Z&to=2026-11-24T00:00:00Z").await;
    assert_eq!(day.matches("value=\"2026-11-23\"").count(), 2, "instants show as days: {day}");
    let several = viewer.read("/calls/history?outcome=answered&outcome=busy").await;
    assert_eq!(rows(&several), 4);
    assert!(several.contains("name=\"outcome\" multiple"), "none of both is lost: {several}");
}

#[tokio::test]
async fn a_call_is_reviewed_from_its_row_and_ticked_ones_together() {
    let (world, calls) = ended(3).await;
    let operator = Person::new(&world, Role::Operator).await;
    let page = operator.read("/calls/history?outcome=answered").await;
    assert!(page.contains(&format!("formaction=\"/calls/{}/review\"", calls[0])), "{page}");
    let fields = [("status", "reviewed"), ("back", "/calls/history?outcome=answered")];
    let done = operator.post(&format!("/calls/{}/review", calls[0]), &fields).await;
    assert_eq!(super::to(&done), "/calls/history?outcome=answered");
    let page = operator.follow(&done).await;
    assert!(page.contains("The call is reviewed."), "{page}");
    assert!(!page.contains(&format!("formaction=\"/calls/{}/review\"", calls[0])), "{page}");
    assert_eq!(review(&world, &calls[0]).await, Review::Reviewed);

    let both = |act: &'static str| [("id", &*calls[1]), ("id", &*calls[2]), ("act", act)];
    let done = operator.post("/calls/history/many", &both("needs_follow_up")).await;
    assert!(operator.follow(&done).await.contains("2 calls need follow-up."));
    assert_eq!(review(&world, &calls[2]).await, Review::NeedsFollowUp);
    operator.post("/calls/history/many", &both("reviewed")).await;
    assert_eq!(review(&world, &calls[1]).await, Review::Reviewed);
    let fields = [&both("tag")[..], &[("tag", "vip")]].concat();
    let done = operator.post("/calls/history/many", &fields).await;
    assert!(operator.follow(&done).await.contains("2 calls have the tag."));
    assert_eq!(operator.read("/calls/history?tag=vip").await.matches("data-unfold").count(), 2);
    let fields = [("id", &*calls[1]), ("act", "tag")];
    let answer = operator.post("/calls/history/many", &fields).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer.text().contains("Write the tag first."), "{}", answer.text());
}

#[tokio::test]
async fn without_a_tick_the_list_itself_says_so() {
    let (world, _) = ended(1).await;
    let operator = Person::new(&world, Role::Operator).await;
    for act in ["reviewed", "tag", "export"] {
        let fields = [("act", act), ("back", "/calls/history?q=Client")];
        let answer = operator.post("/calls/history/many", &fields).await;
        assert_eq!(super::to(&answer), "/calls/history?q=Client", "{act}");
        let page = operator.follow(&answer).await;
        let said = "role=\"alert\"><p>Tick at least one call first.</p>";
        assert!(page.contains(said) && page.contains("Call history</h1>"), "{page}");
        assert!(!page.contains("role=\"status\"><p>"), "nothing was done: {page}");
    }
    let away = [("act", "reviewed"), ("back", "//evil.example")];
    let answer = operator.post("/calls/history/many", &away).await;
    assert_eq!(super::to(&answer), "/calls/history");
}

#[tokio::test]
async fn ticked_calls_and_the_whole_filter_are_exported() {
    let (world, calls) = ended(3).await;
    let viewer = Person::new(&world, Role::Viewer).await;
    let page = viewer.read("/calls/history?q=Client+1&sort=name").await;
    let whole = links(&page, "Export all that match").remove(0);
    assert_eq!(whole, "/api/calls/export?q=Client+1&sort=name&zone=UTC");
    let file = viewer.open(&whole).await.text();
    assert!(file.contains("Client 1") && !file.contains("Client 0"), "{file}");
    let fields = [("id", &*calls[2]), ("id", &*calls[0]), ("act", "export")];
    let file = viewer.post("/calls/history/many", &fields).await;
    assert_eq!(file.status, StatusCode::OK);
    assert!(file.headers["content-disposition"].to_str().unwrap().starts_with("attachment"));
    let text = file.text();
    assert!(text.contains("Client 2") && text.contains("Client 0") && !text.contains("Client 1"));
    assert!(world.audited("calls.export").await);
    let refused = [("id", &*calls[0]), ("act", "reviewed")];
    let refused = viewer.post("/calls/history/many", &refused).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(!page.contains("value=\"reviewed\">Mark reviewed"), "a viewer can't: {page}");
}
