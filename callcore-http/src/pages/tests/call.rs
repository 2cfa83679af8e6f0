//! One call: reviewed, noted, tagged, called again, by those who may.

use axum::http::StatusCode;
use callcore::actor::Role;
use callcore::call::Review;
use callcore::port::CallView;

use super::Person;
use crate::testing::World;

async fn call(world: &World, id: &str) -> CallView {
    world.state.store().call(id.parse().unwrap()).await.unwrap().unwrap()
}

#[tokio::test]
async fn an_ended_call_is_reviewed_with_a_label_noted_and_tagged() {
    let world = World::new();
    let id = world.talked().await;
    let operator = Person::new(&world, Role::Operator).await;
    let path = format!("/calls/{id}");
    let post = async |act: &str, fields: &[(&str, &str)]| {
        operator.post(&format!("{path}/{act}"), fields).await
    };
    let done = post("review", &[("status", "needs_follow_up"), ("label", " wants a form ")]).await;
    let page = operator.follow(&done).await;
    assert!(page.contains("The call needs follow-up.") && page.contains("wants a form"), "{page}");
    let view = call(&world, &id).await.call;
    assert_eq!((view.review, &*view.disposition.unwrap()), (Review::NeedsFollowUp, "wants a form"));
    post("review", &[("status", "reviewed"), ("label", "")]).await;
    assert_eq!(call(&world, &id).await.call.disposition, None);
    let odd = post("review", &[("status", "fine"), ("label", "kept")]).await;
    assert_eq!(odd.status, StatusCode::BAD_REQUEST);
    assert!(odd.text().contains("value=\"kept\""), "{}", odd.text());

    let note = format!("{}\nשלום <b>", "note & ".repeat(1_000));
    let page = operator.follow(&post("note", &[("text", &note)]).await).await;
    assert!(page.contains("שלום &#60;b&#62;") && page.contains("The note is added."), "{page}");
    assert_eq!(call(&world, &id).await.call.notes[0].text, note);
    let bare = post("note", &[("text", "  ")]).await;
    assert_eq!(bare.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(bare.text().contains("Write something first."), "{}", bare.text());
    let long = "y".repeat(10_001);
    let long = post("note", &[("text", &long)]).await;
    assert!(long.text().contains("yyy</textarea>"), "what was written is kept");

    let page = operator.follow(&post("tag", &[("tag", "vip")]).await).await;
    assert!(page.contains("The client has the tag “vip”."), "{page}");
    assert!(call(&world, &id).await.tags.contains("vip"));
}

#[tokio::test]
async fn a_client_is_called_again_at_once_or_at_an_allowed_time() {
    let world = World::new();
    let id = world.talked().await;
    let operator = Person::new(&world, Role::Operator).await;
    let page = operator.read(&format!("/calls/{id}")).await;
    assert!(page.contains("<option value=\"2026-11-24T14:00:00Z\">14:00 (there 09:00)"), "{page}");
    let path = format!("/calls/{id}/retry");
    let again = operator.post(&path, &[("due", "2026-11-24T14:00:00Z")]).await;
    let page = operator.follow(&again).await;
    assert!(page.contains("is called again Tue 24 Nov 14:00."), "{page}");
    let twice = operator.post(&path, &[("due", "")]).await;
    assert_eq!(twice.status, StatusCode::CONFLICT);
    assert!(twice.text().contains("already has a call to come"), "{}", twice.text());
}

#[tokio::test]
async fn long_notes_go_over_several_pages_and_none_is_lost() {
    let world = World::new();
    let id = world.talked().await;
    let operator = Person::new(&world, Role::Operator).await;
    for n in 0..4 {
        let text = format!("note {n} {}", "&".repeat(9_000));
        operator.post(&format!("/calls/{id}/note"), &[("text", &text)]).await;
    }
    let mut path = format!("/calls/{id}");
    for n in (0..4).rev() {
        let page = operator.read(&path).await;
        assert!(page.contains(&format!("note {n} ")), "{n}");
        assert!(page.len() < super::LARGEST_PAGE, "{}", page.len());
        assert_eq!(page.contains("Older notes"), n > 0);
        path = format!("/calls/{id}?notes={n}");
    }
}

#[tokio::test]
async fn a_viewer_reads_a_call_and_changes_nothing() {
    let world = World::new();
    let id = world.talked().await;
    let viewer = Person::new(&world, Role::Viewer).await;
    let page = viewer.read(&format!("/calls/{id}")).await;
    assert!(page.contains("transcript.txt") && page.contains("<audio"), "{page}");
    let (_, content) = page.split_once("<main").unwrap();
    assert!(!content.contains("<form") && !content.contains("<button"), "{content}");
    for act in ["review", "note", "tag", "retry", "skip", "reschedule", "call-now"] {
        let answer = viewer.post(&format!("/calls/{id}/{act}"), &[("status", "reviewed")]).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{act}");
    }
    assert_eq!(call(&world, &id).await.call.review, Review::Unreviewed);
}

#[tokio::test]
async fn what_answers_a_form_says_where_it_is_and_where_forms_go_nothing_is_opened() {
    let world = World::new();
    let id = world.talked().await;
    let operator = Person::new(&world, Role::Operator).await;
    let path = format!("/calls/{id}/note");
    let bare = operator.post(&path, &[("text", " ")]).await.text();
    assert!(bare.contains(&format!("<main id=\"main\" data-at=\"/calls/{id}\">")), "{bare}");
    assert!(!operator.read(&format!("/calls/{id}")).await.contains("data-at"));
    let request = world.request("GET", &path).anonymous().header("accept", "text/html");
    let opened = request.header("cookie", &operator.cookie).send().await;
    assert_eq!(opened.status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(opened.text().contains("only takes what a form sends"), "{}", opened.text());
    let stranger = world.request("GET", &path).anonymous().header("accept", "text/html");
    assert_eq!(stranger.send().await.headers["location"], "/sign-in");
}
