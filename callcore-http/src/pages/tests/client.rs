//! One client: what is known, and what people change about it.

use axum::http::StatusCode;
use callcore::actor::{Actor, Role};
use callcore::call::{CallEvent, CallRef, EventKind, InboundRing, Outcome, Report};
use callcore::client::ClientStatus;
use callcore::id::CallId;
use callcore::port::{By, ClientView};
use serde_json::json;

use super::Person;
use crate::testing::World;

/// A world with a running campaign of one client, and the client's page.
async fn one() -> (World, String) {
    let world = World::new();
    let campaign = world.loaded(1).await;
    world.post(&format!("/api/campaigns/{campaign}/start"), json!({})).await;
    let path = super::client_path(&world, &campaign).await;
    (world, path)
}

async fn client(world: &World, path: &str) -> ClientView {
    let id = path.rsplit('/').next().unwrap().parse().unwrap();
    world.state.store().client(id).await.unwrap().unwrap()
}

#[tokio::test]
async fn the_next_call_is_explained_and_what_can_be_done_with_it_is_offered() {
    let (world, path) = one().await;
    let operator = Person::new(&world, Role::Operator).await;
    let page = operator.read(&path).await;
    for part in [
        "A call is due, and the rules allow it now.",
        "It is the first dial of the campaign&#39;s plan.",
        "As far as is known, they allow a dial now.",
        "open in America/New_York",
        "There it is Mon 10:00 America/New_York then.",
        "Call now",
        "<option value=\"2026-11-24T14:00:00Z\">",
        "Skip because",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let call = client(&world, &path).await.client.standing.next_call.unwrap().call;
    let fields = [("due", "2026-11-24T14:00:00Z"), ("back", &*path)];
    let moved = operator.post(&format!("/calls/{call}/reschedule"), &fields).await;
    assert_eq!(super::to(&moved), path);
    let page = operator.follow(&moved).await;
    assert!(page.contains("A call is due at Tue 24 Nov 14:00"), "{page}");
    assert!(page.contains("A person chose that time."), "{page}");
    assert!(page.contains("they allow a dial Tue 24 Nov 14:00"), "{page}");
}

#[tokio::test]
async fn notes_and_tags_are_added_and_tags_taken_off() {
    let (world, path) = one().await;
    let operator = Person::new(&world, Role::Operator).await;
    let post = async |act: &str, fields: &[(&str, &str)]| {
        operator.post(&format!("{path}/{act}"), fields).await
    };
    let page = operator.follow(&post("note", &[("text", "asks for\nMs. Smith")]).await).await;
    assert!(page.contains("asks for\nMs. Smith"), "{page}");
    post("note", &[("text", "second")]).await;
    let notes = client(&world, &path).await.client.notes;
    assert_eq!((notes.len(), &*notes[0].text), (2, "asks for\nMs. Smith"));
    let page = operator.follow(&post("tags", &[("tag", "דחוף")]).await).await;
    assert!(page.contains("The tag “דחוף” is on."), "{page}");
    post("tags", &[("remove", "even")]).await;
    let tags = client(&world, &path).await.client.tags;
    assert_eq!(tags.into_iter().collect::<Vec<_>>(), ["דחוף"]);
    let long = "t".repeat(51);
    let long = post("tags", &[("tag", &long)]).await;
    assert!(long.text().contains("Tag: at most 50 characters."), "{}", long.text());
    assert!(long.text().contains("ttt\""), "what was typed is kept");
}

#[tokio::test]
async fn a_client_is_switched_off_and_on_again() {
    let (world, path) = one().await;
    let operator = Person::new(&world, Role::Operator).await;
    let active = format!("{path}/active");
    let page = operator.follow(&operator.post(&active, &[("active", "off")]).await).await;
    assert!(page.contains("what was scheduled is cancelled") && page.contains("Switch on"));
    let view = client(&world, &path).await.client;
    assert_eq!((view.active, view.standing.next_call), (false, None));
    let called = operator.post(&format!("{path}/call-now"), &[]).await;
    assert_eq!(called.status, StatusCode::CONFLICT);
    assert!(called.text().contains("The client is switched off."), "{}", called.text());
    operator.post(&active, &[("active", "on")]).await;
    assert!(client(&world, &path).await.client.standing.next_call.is_some());
}

#[tokio::test]
async fn a_zone_that_a_person_tells_takes_the_place_of_what_was_known() {
    let (world, path) = one().await;
    let operator = Person::new(&world, Role::Operator).await;
    let zone = format!("{path}/zone");
    let page = operator.read(&path).await;
    assert!(page.contains("America/New_York") && page.contains("from the number"), "{page}");
    let wrong = operator.post(&zone, &[("zone", "Mars/Olympus")]).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    assert!(wrong.text().contains("must be an IANA time zone"), "{}", wrong.text());
    assert!(wrong.text().contains("value=\"Mars/Olympus\""), "what was typed is kept");
    let told = operator.post(&zone, &[("zone", "Europe/Berlin")]).await;
    let page = operator.follow(&told).await;
    assert!(page.contains("Europe/Berlin") && page.contains("told by a person"), "{page}");
    operator.post(&zone, &[("zone", "")]).await;
    assert_eq!(client(&world, &path).await.client.zones.len(), 1);
    let nothing = operator.post(&zone, &[("zone", "")]).await;
    assert_eq!(nothing.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_consent_is_recorded_changed_and_withdrawn() {
    let (world, path) = one().await;
    let operator = Person::new(&world, Role::Operator).await;
    let post =
        async |fields: &[(&str, &str)]| operator.post(&format!("{path}/consent"), fields).await;
    let bare = post(&[("basis", "form 7"), ("do", "save")]).await;
    assert_eq!(bare.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(bare.text().contains("value=\"form 7\"") && bare.text().contains("<details open>"));
    let future = [("basis", "form 7"), ("source", "web"), ("date", "2026-11-24")];
    assert!(post(&future).await.text().contains("is still to come"));
    let fields = [("basis", "form 7"), ("source", "web"), ("date", "2026-11-20"), ("evidence", "")];
    let page = operator.follow(&post(&fields).await).await;
    assert!(page.contains("The consent is recorded.") && page.contains("form 7"), "{page}");
    let consent = client(&world, &path).await.client.consent.unwrap();
    assert_eq!(consent.at, Some("2026-11-20T00:00:00Z".parse().unwrap()));
    let page = operator.follow(&post(&[("do", "withdraw")]).await).await;
    assert!(page.contains("The consent is withdrawn.") && page.contains("None is recorded."));
    assert_eq!(client(&world, &path).await.client.consent, None);
}

#[tokio::test]
async fn the_timeline_has_both_directions_and_marks_other_campaigns() {
    let (world, path) = one().await;
    world.answer_all().await;
    let other = world.loaded(1).await;
    world.post(&format!("/api/campaigns/{other}/start"), json!({})).await;
    let now = world.state.now();
    let ring = InboundRing {
        carrier_call_id: "IN1".to_owned(),
        from: Some("+12125550100".parse().unwrap()),
        new_id: CallId::new(now, world.state.entropy()),
    };
    let event = CallEvent { at: now, kind: EventKind::Ringing };
    let report = Report { call: CallRef::Inbound(ring), event };
    world.state.store().record(By::new(&Actor::System, now), &[report]).await.unwrap();
    let viewer = Person::new(&world, Role::Viewer).await;
    let page = viewer.read(&path).await;
    let (_, calls) = page.split_once("id=\"calls\"").unwrap();
    assert_eq!(calls.matches("data-unfold").count(), 3, "{calls}");
    assert!(calls.contains(">inbound<") && calls.contains(">other<"), "{calls}");
    let (_, content) = page.split_once("<main").unwrap();
    assert!(!content.contains("<form") && !content.contains("<button"), "{content}");
}

#[tokio::test]
async fn a_client_without_a_call_to_come_is_called_again() {
    let (world, path) = one().await;
    world.answer_all().await;
    let operator = Person::new(&world, Role::Operator).await;
    let page = operator.read(&path).await;
    assert!(page.contains("No call is to come: somebody answered."), "{page}");
    let page = operator.follow(&operator.post(&format!("{path}/call-now"), &[]).await).await;
    assert!(page.contains("The call goes out as soon as a line is free."), "{page}");
    assert!(page.contains("operator asked for it."), "{page}");
    let standing = client(&world, &path).await.client.standing;
    assert_eq!(standing.last_outcome, Some(Outcome::Answered));
    assert!(standing.next_call.is_some());
}

#[tokio::test]
async fn an_admin_erases_a_person_after_the_page_has_said_what_it_does() {
    let (world, path) = one().await;
    let admin = Person::new(&world, Role::Admin).await;
    assert!(admin.read(&path).await.contains("Erase this person…"));
    let erase = format!("{path}/erase");
    let asked = admin.read(&erase).await;
    assert!(asked.contains("This can't be undone.") && asked.contains("+12125550100"));
    let done = admin.post(&erase, &[("reason", "asked for it")]).await;
    let page = admin.follow(&done).await;
    assert!(page.contains("The person is erased: 1 row and 1 call."), "{page}");
    let (_, content) = page.split_once("</nav>").unwrap();
    assert!(!content.contains("+12125550100") && !content.contains("Client 0"), "{content}");
    assert!(client(&world, &path).await.client.erased.is_some());
    assert_eq!(admin.open(&erase).await.status, StatusCode::NOT_FOUND);
    let note = admin.post(&format!("{path}/note"), &[("text", "x")]).await;
    assert_eq!(note.status, StatusCode::CONFLICT);
    assert!(note.text().contains("The person was erased."), "{}", note.text());
}

#[tokio::test]
async fn who_may_not_change_a_client_sees_no_control_and_can_press_none() {
    let (world, path) = one().await;
    let (viewer, operator) =
        (Person::new(&world, Role::Viewer).await, Person::new(&world, Role::Operator).await);
    for act in ["note", "tags", "active", "zone", "consent", "call-now", "erase"] {
        let fields = [("text", "x"), ("tag", "x"), ("active", "off"), ("zone", "Europe/Berlin")];
        let answer = viewer.post(&format!("{path}/{act}"), &fields).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{act}");
    }
    let page = operator.read(&path).await;
    assert!(page.contains("Add note") && !page.contains("Erase this person"), "{page}");
    let erase = format!("{path}/erase");
    assert_eq!(operator.open(&erase).await.status, StatusCode::FORBIDDEN);
    assert_eq!(operator.post(&erase, &[]).await.status, StatusCode::FORBIDDEN);
    let view = client(&world, &path).await.client;
    assert_eq!((view.active, view.standing.status), (true, ClientStatus::Pending));
    let elsewhere = world.draft().await;
    let id = path.rsplit('/').next().unwrap();
    let answer = operator.open(&format!("/campaigns/{elsewhere}/clients/{id}")).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_consent_that_says_too_little_stays_open_with_what_was_written() {
    let (world, path) = one().await;
    let operator = Person::new(&world, Role::Operator).await;
    let fields = [("basis", ""), ("source", "paper form 7"), ("do", "save")];
    let page = operator.post(&format!("{path}/consent"), &fields).await.text();
    assert!(page.contains("<details open><summary>Record a consent"), "{page}");
    assert!(page.contains("value=\"paper form 7\""), "{page}");
    assert!(page.contains(&format!("data-at=\"{path}\"")), "{page}");
}

#[tokio::test]
async fn nothing_is_offered_that_can_only_be_refused() {
    let world = World::new();
    let id = world.talked().await;
    let operator = Person::new(&world, Role::Operator).await;
    let page = operator.read(&format!("/calls/{id}")).await;
    assert!(page.contains(">Call again</button>") && page.contains(">Add note</button>"), "{page}");
    let (_, rest) = page.split_once("href=\"/campaigns/").unwrap();
    let path = format!("/campaigns/{}", rest.split('"').next().unwrap());
    let campaign = path.split("/clients").next().unwrap();
    assert!(operator.read(&path).await.contains(">Call now</button>"));

    let client = world.client(campaign.strip_prefix("/campaigns/").unwrap()).await;
    // One more person, or the campaign would be over.
    let more = json!([{"name": "Zoe", "phone": "+12125550188"}]);
    world.post(&format!("/api{campaign}/clients"), json!({"clients": more})).await;
    let stopped = world.post(&format!("/api{campaign}/stop"), json!({})).await;
    assert_eq!(stopped.status, StatusCode::OK, "{}", stopped.text());
    assert!(!operator.read(&path).await.contains(">Call now</button>"));
    assert!(!operator.read(&format!("/calls/{id}")).await.contains(">Call again</button>"));
    let again = operator.open(&format!("{campaign}/stop")).await;
    assert_eq!(again.status, StatusCode::CONFLICT, "what is stopped is not asked about");

    world.delete(&format!("/api/clients/{client}/personal-data?reason=asked")).await;
    let page = operator.read(&format!("/calls/{id}")).await;
    assert!(!page.contains(">Add note</button>") && !page.contains(">Add tag</button>"), "{page}");
    assert!(page.contains("<h1><bdi>an erased person</bdi></h1>"), "{page}");
}
