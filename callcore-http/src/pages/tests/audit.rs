use axum::http::StatusCode;
use callcore::actor::Role;
use serde_json::json;

use super::Person;
use crate::testing::World;

#[tokio::test]
async fn what_was_done_is_found_by_who_what_and_when() {
    let world = World::new();
    let id = world.draft().await;
    let admin = Person::new(&world, Role::Admin).await;
    world.clock.advance(chrono::TimeDelta::days(1));
    admin.post("/dnc", &[("phone", "+1 212 555 0100"), ("reason", "asked <b>twice</b>")]).await;
    let all = admin.read("/audit").await;
    assert!(all.contains("created a campaign") && all.contains("put a number on Do-Not-Call"));
    assert!(all.contains("asked &#60;b&#62;twice&#60;/b&#62;"), "{all}");
    assert!(all.contains(&format!("href=\"/campaigns/{id}\"")), "a campaign is a link");
    for (query, there, not_there) in [
        (
            "actor=admin&object=%2B12125550100",
            "put a number",
            "<td class=\"name lead\" data-label=\"Did what\">created",
        ),
        (
            "actor=token:admin",
            "data-label=\"Did what\">created a campaign",
            "data-label=\"Did what\">put",
        ),
        (
            "action=campaign.create",
            "data-label=\"Did what\">created a campaign",
            "data-label=\"Did what\">put",
        ),
        (
            "to=2026-11-23",
            "data-label=\"Did what\">created a campaign",
            "data-label=\"Did what\">put",
        ),
        ("from=2026-11-24", "data-label=\"Did what\">put", "data-label=\"Did what\">created"),
    ] {
        let page = admin.read(&format!("/audit?{query}")).await;
        assert!(page.contains(there) && !page.contains(not_there), "{query}: {page}");
    }
    let page = admin.read("/audit?actor=admin&from=2026-11-24&to=2026-11-24").await;
    assert!(page.contains("value=\"2026-11-24\""), "the filter stands there: {page}");
    assert!(
        page.contains("/api/audit/export?actor=user%3Aadmin&#38;actor=token%3Aadmin"),
        "{page}"
    );
    assert!(admin.read("/audit?actor=nobody").await.contains("Nothing matches"));
}

#[tokio::test]
async fn a_change_shows_what_was_and_what_became_of_it() {
    let world = World::new();
    let change = json!({"calls_per_second": 5});
    world.request("PATCH", "/api/settings").header("if-match", "1").json(change).send().await;
    let page = Person::new(&world, Role::Admin).await.read("/audit?action=account.change").await;
    assert!(page.contains("1 value"), "{page}");
    assert!(
        page.contains("<td>calls per second</td><td><bdi></bdi></td><td><bdi>5</bdi></td>"),
        "{page}"
    );
}

#[tokio::test]
async fn pages_of_the_log_join_and_stay_small() {
    let world = World::new();
    for _ in 0..70 {
        world.draft().await;
    }
    let admin = Person::new(&world, Role::Admin).await;
    let (mut path, mut rows, mut pages) = ("/audit?action=campaign.create".to_owned(), 0, 0);
    loop {
        let page = admin.read(&path).await;
        assert!(page.len() < super::LARGEST_PAGE, "{}", page.len());
        rows += page.matches("data-label=\"Did what\"").count();
        pages += 1;
        let Some((before, _)) = page.split_once("\">Older</a>") else { break };
        path = before.rsplit_once("href=\"").unwrap().1.replace("&#38;", "&").replace("&amp;", "&");
    }
    assert_eq!((rows, pages), (70, 3));
}

#[tokio::test]
async fn only_admins_read_the_log() {
    let world = World::new();
    for role in [Role::Viewer, Role::Operator] {
        let person = Person::new(&world, role).await;
        assert_eq!(person.open("/audit").await.status, StatusCode::FORBIDDEN);
        assert!(!person.read("/dashboard").await.contains("href=\"/audit\""));
    }
}
