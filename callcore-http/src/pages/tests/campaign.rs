//! The page of a campaign, its uploads and its changes.

use axum::http::StatusCode;
use callcore::actor::Role;
use serde_json::json;

use super::{Person, to};
use crate::testing::World;

#[tokio::test]
async fn clients_are_found_by_tag_and_paged_without_losing_the_filter() {
    let world = World::new();
    let id = world.loaded(130).await;
    let viewer = Person::new(&world, Role::Viewer).await;
    let path = format!("/campaigns/{id}");
    let first = viewer.read(&format!("{path}?tag=even&by=day")).await;
    assert_eq!(first.matches("class=\"name lead\"").count(), 50);
    assert!(first.contains("<span class=\"tag\"><bdi>even</bdi></span>"));
    assert!(first.contains(&format!("/api{path}/export?tag=even")), "{first}");
    let (_, rest) = first.rsplit_once("href=\"/campaigns/").unwrap();
    assert!(!rest.is_empty());
    let (_, rest) = first.split_once("<nav class=\"pager\"").unwrap();
    let (_, rest) = rest.split_once("href=\"").unwrap();
    let next = rest.split('"').next().unwrap().replace("&#38;", "&");
    let second = viewer.read(next.split('#').next().unwrap()).await;
    assert_eq!(second.matches("class=\"name lead\"").count(), 15);
    assert!(second.contains("From the first on") && second.contains("value=\"even\""));
    let none = viewer.read(&format!("{path}?tag=odd")).await;
    assert!(none.contains("No client matches"), "{none}");
}

#[tokio::test]
async fn calls_over_time_are_counted_by_hour_or_by_day_with_a_table() {
    let world = World::new();
    let id = world.loaded(2).await;
    world.post(&format!("/api/campaigns/{id}/start"), json!({})).await;
    world.answer_all().await;
    let viewer = Person::new(&world, Role::Viewer).await;
    let by_hour = viewer.read(&format!("/campaigns/{id}?by=hour")).await;
    assert!(by_hour.contains("Mon 23 Nov, 15:00</td><td class=\"num\">2"), "{by_hour}");
    let by_day = viewer.read(&format!("/campaigns/{id}?by=day")).await;
    assert!(by_day.contains("<td>Mon 23 Nov</td><td class=\"num\">2"), "{by_day}");
    assert_eq!(
        viewer.open(&format!("/campaigns/{id}?by=week")).await.status,
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn who_changed_what_stands_there_in_words() {
    let world = World::new();
    let id = world.draft().await;
    let admin = Person::new(&world, Role::Admin).await;
    let path = format!("/api/campaigns/{id}");
    let change = world.request("PATCH", &path).header("if-match", "1");
    change.json(json!({"name": "Spring", "budget": {"calls_per_day": 5}})).send().await;
    let fields = [("version", "2"), ("name", "Summer"), ("default_region", "GB")];
    let renamed = admin.post(&format!("/campaigns/{id}/setup/name"), &fields).await;
    assert!(admin.follow(&renamed).await.contains("The settings are saved"));
    let viewer = Person::new(&world, Role::Viewer).await;
    let page = viewer.read(&format!("/campaigns/{id}/changes")).await;
    for words in [
        "version 3",
        "<bdi>admin</bdi></strong> changed the settings",
        "<bdi>admin (token)</bdi></strong> created the draft",
        "<bdi>Spring</bdi></td><td class=\"lines\" data-label=\"After\"><bdi>Summer</bdi>",
        "at most 5 dials a day",
        "<bdi>GB</bdi>",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(!page.contains("data-label=\"Setting\">Hours"), "only what differs: {page}");
    assert!(viewer.read(&format!("/campaigns/{id}")).await.contains("/changes\">version 3"));
}

#[tokio::test]
async fn an_upload_is_taken_back_and_those_who_were_called_only_on_purpose_kept() {
    let world = World::new();
    let id = world.draft().await;
    let operator = Person::new(&world, Role::Operator).await;
    let first = operator.upload(&id, &[("file", b"Name,Phone\nAda,2125550100\n")]).await;
    let asked = operator.read(&format!("{}/undo", to(&first))).await;
    assert!(asked.contains("brought 1 person"), "{asked}");
    let undone = operator.post(&format!("{}/undo", to(&first)), &[]).await;
    assert!(operator.follow(&undone).await.contains("1 person is gone again"));
    assert!(operator.read(to(&first)).await.contains("was taken back"));
    let second = operator.upload(&id, &[("file", b"Name,Phone\nAda,2125550100\n")]).await;
    world.post(&format!("/api/campaigns/{id}/start"), json!({})).await;
    world.answer_all().await;
    let third = operator.upload(&id, &[("file", b"Name,Phone\nBob,2125550101\n")]).await;
    let path = format!("{}/undo", to(&second));
    let refused = operator.post(&path, &[]).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.text().contains("1 person of it was called"), "{}", refused.text());
    let kept = operator.post(&path, &[("partial", "yes")]).await;
    assert!(operator.follow(&kept).await.contains("1 person who was called stay"));
    let list = operator.read(&format!("/campaigns/{id}/imports")).await;
    assert_eq!(list.matches("list.csv").count(), 3);
    assert!(list.contains("taken back") && list.contains(to(&third)), "{list}");
    let viewer = Person::new(&world, Role::Viewer).await;
    assert!(!viewer.read(to(&third)).await.contains("Take it back"));
    assert_eq!(
        viewer.post(&format!("{}/undo", to(&third)), &[]).await.status,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn names_from_right_to_left_and_very_long_ones_stand_by_themselves() {
    let world = World::new();
    let id = world.draft().await;
    let (hebrew, long) = ("שלום עולם", "x".repeat(300));
    let list = format!("Name,Phone\n{hebrew},2125550100\n{long},2125550101\n");
    world.upload(&id, list.as_bytes()).await;
    let viewer = Person::new(&world, Role::Viewer).await;
    let page = viewer.read(&format!("/campaigns/{id}")).await;
    assert!(page.contains(&format!("<bdi>{hebrew}</bdi>")), "{page}");
    assert!(!page.contains(&long) && page.contains(&format!("{}…", "x".repeat(80))));
}
