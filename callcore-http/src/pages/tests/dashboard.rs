//! The dashboard and what holds over all campaigns.

use axum::http::StatusCode;
use callcore::actor::Role;
use serde_json::json;

use super::Person;
use crate::testing::World;

#[tokio::test]
async fn everything_is_stopped_after_a_question_and_an_admin_resumes() {
    let world = World::new();
    let id = world.loaded(2).await;
    world.post(&format!("/api/campaigns/{id}/start"), json!({})).await;
    world.dial_all().await;
    let operator = Person::new(&world, Role::Operator).await;
    assert!(operator.read("/dashboard").await.contains("href=\"/stop-all\""));
    let asked = operator.read("/stop-all").await;
    assert!(asked.contains("nobody is dialled") && asked.contains("2 calls are in progress"));
    let bad = operator.post("/stop-all", &[("reason", "a\u{202e}b")]).await;
    assert_eq!(bad.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(bad.text().contains("id=\"e-reason\""), "{}", bad.text());
    assert_eq!(world.get("/api/settings").await.json["stopped"], json!(null));
    let stop = [("reason", "a wrong list"), ("hang_up", "yes")];
    let stopped = operator.post("/stop-all", &stop).await;
    let page = operator.follow(&stopped).await;
    assert!(page.contains("asked to hang up 2 calls"), "{page}");
    assert!(page.contains("All dialling is stopped</strong> by <bdi>operator</bdi>"), "{page}");
    assert!(page.contains("<bdi>a wrong list</bdi>") && page.contains("An admin can resume"));
    assert!(!page.contains("Stop everything") && !page.contains("/resume-all"), "{page}");
    assert_eq!(world.hung_up().len(), 2);
    let start = operator.read(&format!("/campaigns/{id}/setup/start")).await;
    assert!(start.contains("All dialling is stopped at the moment"), "{start}");
    let admin = Person::new(&world, Role::Admin).await;
    assert!(admin.read("/dashboard").await.contains("action=\"/resume-all\""));
    let resumed = admin.post("/resume-all", &[]).await;
    assert!(admin.follow(&resumed).await.contains("Dialling goes on"));
    assert_eq!(world.get("/api/settings").await.json["stopped"], json!(null));
}

#[tokio::test]
async fn every_running_campaign_is_paused_at_once() {
    let world = World::new();
    let operator = Person::new(&world, Role::Operator).await;
    let none = operator.post("/pause-all", &[]).await;
    assert!(operator.follow(&none).await.contains("No campaign was running"));
    for _ in 0..2 {
        let id = world.loaded(1).await;
        world.post(&format!("/api/campaigns/{id}/start"), json!({})).await;
    }
    assert!(operator.read("/dashboard").await.contains("Pause all campaigns"));
    let viewer = Person::new(&world, Role::Viewer).await;
    assert!(!viewer.read("/dashboard").await.contains("Pause all campaigns"));
    let paused = operator.post("/pause-all", &[]).await;
    let page = operator.follow(&paused).await;
    assert!(page.contains("2 campaigns are paused") && !page.contains("Pause all campaigns"));
    let running = world.get("/api/campaigns?state=running").await.json;
    assert_eq!(running["items"], json!([]));
    let list = viewer.read("/campaigns?state=running").await;
    assert!(list.contains("No campaign is in this state"), "{list}");
}

#[tokio::test]
async fn what_needs_attention_on_the_page_is_what_the_api_says() {
    let world = World::new();
    let id = world.loaded(2).await;
    world.upload(&id, b"Name,Phone\nNobody,\nSomebody,12\n").await;
    world.post(&format!("/api/campaigns/{id}/start"), json!({})).await;
    world.answer_all().await;
    let viewer = Person::new(&world, Role::Viewer).await;
    let page = viewer.read("/dashboard").await;
    let said = world.get("/api/dashboard").await.json;
    let needs = said["attention"].as_array().unwrap();
    assert_eq!(needs.len(), 2);
    for need in needs {
        let link = need["link"].as_str().unwrap();
        assert!(page.contains(&format!("href=\"{link}\"")), "{link}: {page}");
    }
    assert!(page.contains("2 rows were refused of a list for \u{2068}Renewals\u{2069}"), "{page}");
    assert!(page.contains("\u{2068}Renewals\u{2069} is finished"), "{page}");
}
