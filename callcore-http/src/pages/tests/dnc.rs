use axum::http::StatusCode;
use callcore::actor::Role;
use serde_json::json;

use super::{Person, to};
use crate::testing::{Answer, World, form};

async fn send(person: &Person<'_>, parts: &[(&str, &[u8])]) -> Answer {
    let mut all: Vec<(&str, &[u8])> = vec![("csrf", person.csrf.as_bytes())];
    all.extend(parts);
    let (media_type, body) = form(&all);
    let request = person.world.request("POST", "/dnc/import").anonymous();
    let request = request.header("cookie", &person.cookie).header("host", super::HOST);
    let request = request.header("origin", &format!("https://{}", super::HOST));
    request.header("content-type", &media_type).body(body).send().await
}

#[tokio::test]
async fn entries_are_found_by_digits_and_scope_and_paged() {
    let world = World::new();
    let campaign = world.draft().await;
    for last in 0..60 {
        world.post("/api/dnc", json!({"phone": format!("+121255501{last:02}")})).await;
        world.clock.advance(chrono::TimeDelta::seconds(1));
    }
    let own = json!({"phone": "+13035550188", "scope": "campaign", "campaign_id": campaign});
    world.post("/api/dnc", own).await;
    let viewer = Person::new(&world, Role::Viewer).await;
    let count = async |query: &str| {
        let page = viewer.read(&format!("/dnc?{query}")).await;
        (page.matches("data-label=\"Phone\"").count(), page)
    };
    assert_eq!(count("q=303-555").await.0, 1);
    assert_eq!(count("scope=campaign").await.0, 1);
    assert_eq!(count(&format!("scope={campaign}")).await.0, 1);
    assert!(count("scope=global&q=3035550188").await.1.contains("No number on the list matches"));
    let (rows, page) = count("scope=global").await;
    assert_eq!(rows, 50);
    let (before, _) = page.split_once("\">Older entries").unwrap();
    let next = before.rsplit_once("href=\"").unwrap().1.replace("&#38;", "&").replace("&amp;", "&");
    let rest = viewer.read(&next).await;
    assert_eq!(rest.matches("data-label=\"Phone\"").count(), 10);
    assert!(rest.contains("href=\"/dnc?scope=global&#38;\">Back to the newest"), "{rest}");
    assert!(!rest.contains("Remove…") && !rest.contains("/dnc/import"), "a viewer only reads");
}

#[tokio::test]
async fn a_list_is_looked_at_first_and_then_put_on_the_list() {
    let world = World::new();
    world.loaded(2).await;
    let operator = Person::new(&world, Role::Operator).await;
    let list: (&str, &[u8]) = ("file", b"Phone,Reason\n2125550100,asked by mail\nn/a,\n");
    let percent: (&str, &[u8]) = ("max_rejected_percent", b"50");
    let looked = send(&operator, &[list, percent, ("dry_run", b"true")]).await;
    assert_eq!(looked.status, StatusCode::OK, "{}", looked.text());
    let page = looked.text();
    assert!(page.contains("Nothing was changed") && page.contains("n/a"), "{page}");
    assert!(page.contains("<dt>New numbers</dt><dd>1</dd>"), "{page}");
    assert_eq!(world.get("/api/dnc").await.json["items"], json!([]));

    let imported = send(&operator, &[list, percent, ("reason", b"a registry")]).await;
    assert_eq!(imported.status, StatusCode::SEE_OTHER, "{}", imported.text());
    let report = operator.read(to(&imported)).await;
    assert!(report.contains("<dt>Added</dt><dd>1</dd>"), "{report}");
    assert!(report.contains("<dt>Scheduled calls cancelled</dt><dd>1</dd>"), "{report}");
    assert!(report.contains("for every campaign") && report.contains("operator"), "{report}");
    assert!(operator.read("/dnc").await.contains("asked by mail"));
    assert!(world.audited("dnc.import").await);
}

#[tokio::test]
async fn a_list_with_too_many_bad_rows_says_so_before_and_after() {
    let world = World::new();
    let operator = Person::new(&world, Role::Operator).await;
    let list: (&str, &[u8]) = ("file", b"Phone\n2125550100\nn/a\n");
    let looked = send(&operator, &[list, ("dry_run", b"true")]).await;
    assert!(looked.text().contains("refused as a whole"), "{}", looked.text());
    let imported = send(&operator, &[list]).await;
    let report = operator.read(to(&imported)).await;
    assert!(report.contains("role=\"alert\"") && report.contains("nothing was added"), "{report}");
}

#[tokio::test]
async fn a_list_that_can_not_be_read_keeps_what_was_filled_in() {
    let world = World::new();
    let campaign = world.draft().await;
    let operator = Person::new(&world, Role::Operator).await;
    let parts: [(&str, &[u8]); 4] = [
        ("file", b"Phone\n2125550100\n"),
        ("scope", campaign.as_bytes()),
        ("reason", b"<spring>"),
        ("default_region", b"XX"),
    ];
    let answer = send(&operator, &parts).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let page = answer.text();
    assert!(page.contains("country with phone numbers"), "{page}");
    assert!(page.contains("value=\"&#60;spring&#62;\"") && page.contains("value=\"XX\""), "{page}");
    assert!(page.contains(&format!("<option value=\"{campaign}\" selected>")), "{page}");
    let column = [("file", &b"Phone\n2125550100\n"[..]), ("column", b"Number")];
    let answer = send(&operator, &column).await;
    assert!(answer.text().contains("Number"), "{}", answer.text());
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_removal_wants_a_reason_and_keeps_what_was_typed() {
    let world = World::new();
    world.post("/api/dnc", json!({"phone": "+12125550100"})).await;
    let admin = Person::new(&world, Role::Admin).await;
    let entry = [("phone", "+12125550100"), ("scope", "")];
    let bare = admin.post("/dnc/remove", &entry).await;
    assert_eq!(bare.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(bare.text().contains("Say why it is removed."));
    let long = "x".repeat(1_001);
    let wordy = admin.post("/dnc/remove", &[entry[0], entry[1], ("reason", &long)]).await;
    assert!(wordy.text().contains("longer than 1000") && wordy.text().contains(&long));
    assert_eq!(world.get("/api/dnc").await.json["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_viewer_imports_nothing() {
    let world = World::new();
    let viewer = Person::new(&world, Role::Viewer).await;
    assert_eq!(viewer.open("/dnc/import").await.status, StatusCode::FORBIDDEN);
    let answer = send(&viewer, &[("file", b"2125550100\n")]).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn letters_find_no_number() {
    let world = World::new();
    world.post("/api/dnc", json!({"phone": "+12125550101"})).await;
    let viewer = Person::new(&world, Role::Viewer).await;
    assert!(viewer.read("/dnc?q=%28212%29+555").await.contains("+12125550101"));
    let page = viewer.read("/dnc?q=Ada").await;
    assert!(page.contains("No number on the list matches") && !page.contains("+12125550101"));
}
