use axum::http::StatusCode;
use callcore::actor::Role;
use serde_json::json;

use super::{Person, to};
use crate::sign_in;
use crate::testing::{Answer, World, form, wav};

/// The value of the field of a page that has an id.
fn value(page: &str, id: &str) -> String {
    let (_, field) =
        page.split_once(&format!("id=\"{id}\"")).unwrap_or_else(|| panic!("{id}: {page}"));
    let (_, value) = field.split_once("value=\"").unwrap();
    value.split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn limits_are_changed_and_shown() {
    let world = World::new();
    let admin = Person::new(&world, Role::Admin).await;
    let fields = [
        ("version", "1"),
        ("calls_per_second", "5"),
        ("calls_at_once", ""),
        ("retention_days", "90"),
        ("time_zone", "Europe/Berlin"),
        ("amount", "25"),
        ("per_call", "0.01"),
        ("per_minute", "0.014"),
    ];
    let saved = admin.post("/settings", &fields).await;
    assert!(admin.follow(&saved).await.contains("saved and in force"));
    let page = admin.read("/settings").await;
    assert_eq!(
        (value(&page, "calls_per_second"), value(&page, "amount")),
        ("5".into(), "25.00".into())
    );
    assert!(page.contains("0.00 of 25.00"), "{page}");
    let settings = &world.get("/api/settings").await.json["settings"];
    assert_eq!(settings["calls_at_once"], json!(null));
    assert_eq!(
        (&settings["retention_days"], &settings["time_zone"]),
        (&json!(90), &json!("Europe/Berlin"))
    );
    assert!(Person::new(&world, Role::Viewer).await.read("/settings").await.contains("25.00"));
}

#[tokio::test]
async fn bad_limits_are_told_at_their_fields_and_nothing_typed_is_lost() {
    let world = World::new();
    let admin = Person::new(&world, Role::Admin).await;
    let fields = [
        ("version", "1"),
        ("calls_per_second", "many"),
        ("calls_at_once", "0"),
        ("time_zone", "Mars/Olympus"),
        ("amount", "25"),
        ("per_call", ""),
        ("retention_days", "30"),
    ];
    let answer = admin.post("/settings", &fields).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let page = answer.text();
    for field in ["calls_per_second", "calls_at_once", "time_zone", "spend_per_day.per_call"] {
        assert!(page.contains(&format!("id=\"e-{field}\"")), "{field}: {page}");
    }
    assert_eq!(value(&page, "calls_per_second"), "many");
    assert_eq!(value(&page, "retention_days"), "30");
    assert_eq!(world.get("/api/settings").await.json["settings_version"], 1);
}

#[tokio::test]
async fn settings_somebody_else_changed_are_not_overwritten_unseen() {
    let world = World::new();
    let admin = Person::new(&world, Role::Admin).await;
    let first = [("version", "1"), ("calls_per_second", "5")];
    admin.post("/settings", &first).await;
    let second = [("version", "1"), ("calls_per_second", "7")];
    let stale = admin.post("/settings", &second).await;
    assert_eq!(stale.status, StatusCode::PRECONDITION_FAILED);
    let page = stale.text();
    assert!(page.contains("Somebody else changed the settings"), "{page}");
    assert_eq!(value(&page, "calls_per_second"), "7");
    assert!(page.contains("name=\"version\" value=\"2\""), "saving again replaces theirs");
}

#[tokio::test]
async fn mail_settings_and_the_limits_keep_out_of_each_others_way() {
    let world = World::new();
    let admin = Person::new(&world, Role::Admin).await;
    admin.post("/settings", &[("version", "1"), ("calls_per_second", "5")]).await;
    let bad = [("version", "2"), ("to", "a@example.com\nnobody"), ("summary", "at"), ("at", "")];
    let answer = admin.post("/settings/mail", &bad).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let page = answer.text();
    assert!(page.contains("a@example.com\nnobody</textarea>"), "{page}");
    assert!(page.contains("id=\"e-to\"") && page.contains("id=\"e-mail.summary_at\""), "{page}");
    let good = [
        ("version", "2"),
        ("to", "a@example.com, b@example.com"),
        ("summary", "at"),
        ("at", "18:30"),
        ("details", "off"),
    ];
    assert_eq!(to(&admin.post("/settings/mail", &good).await), "/settings/mail");
    let settings = &world.get("/api/settings").await.json["settings"];
    let mail =
        json!({"to": ["a@example.com", "b@example.com"], "summary_at": "18:30", "details": false});
    assert_eq!((&settings["mail"], &settings["calls_per_second"]), (&mail, &json!(5)));
    assert_eq!(value(&admin.read("/settings/mail").await, "at"), "18:30");
}

#[tokio::test]
async fn a_summary_is_sent_now_and_its_mail_is_listed() {
    let world = World::with_mail();
    let admin = Person::new(&world, Role::Admin).await;
    let sent = admin.post("/settings/mail/summary", &[]).await;
    assert!(admin.follow(&sent).await.contains("The summary was sent to 1 receiver."));
    assert_eq!(world.mails().len(), 1);
    let page = admin.read("/settings/mail").await;
    assert!(page.contains(&world.mails()[0]), "{page}");
    assert!(page.contains("<span class=\"pill good\">sent</span>"), "{page}");
}

#[tokio::test]
async fn without_a_way_for_mails_the_page_says_what_to_do_and_offers_no_sending() {
    let world = World::new();
    let admin = Person::new(&world, Role::Admin).await;
    let page = admin.read("/settings/mail").await;
    assert!(page.contains("SMTP_URL") && !page.contains("/settings/mail/summary"), "{page}");
    let answer = admin.post("/settings/mail/summary", &[]).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert!(answer.text().contains("no mail settings"));
}

#[tokio::test]
async fn somebody_is_invited_by_a_link_shown_once() {
    let world = World::new();
    let admin = Person::new(&world, Role::Admin).await;
    let answer = admin.post("/settings/users", &[("name", "ana"), ("role", "operator")]).await;
    assert_eq!(answer.status, StatusCode::OK);
    let link = value(&answer.text(), "link");
    assert!(link.starts_with(&format!("https://{}/invitation?link=", super::HOST)), "{link}");
    let (_, secret) = link.split_once("link=").unwrap();
    let invited = sign_in::invited(&world.state, secret).await.unwrap().unwrap();
    assert_eq!((&*invited.name, invited.role), ("ana", Role::Operator));
    let list = admin.read("/settings/users").await;
    assert!(list.contains(">ana<") && list.contains("invited") && !list.contains(secret), "{list}");

    let taken = admin.post("/settings/users", &[("name", "ana"), ("role", "viewer")]).await;
    assert_eq!(taken.status, StatusCode::CONFLICT);
    assert!(taken.text().contains("Somebody has this name already"));
    let bad = admin.post("/settings/users", &[("name", "Ana B"), ("role", "viewer")]).await;
    assert_eq!(bad.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(value(&bad.text(), "name"), "Ana B", "what was typed is kept");
}

#[tokio::test]
async fn a_user_gets_another_role_another_link_and_is_disabled() {
    let world = World::new();
    let admin = Person::new(&world, Role::Admin).await;
    let ana = world.user("ana", Role::Viewer, Some("correct horse")).await;
    let path = format!("/settings/users/{}", ana.id);
    let changed = admin.post(&path, &[("role", "operator")]).await;
    assert!(admin.follow(&changed).await.contains("ana is now operator."));
    let link = admin.post(&format!("{path}/invite"), &[]).await;
    assert!(value(&link.text(), "link").contains("/invitation?link="));
    let disabled = admin.post(&path, &[("disabled", "true")]).await;
    let page = admin.follow(&disabled).await;
    assert!(
        page.contains("signed out everywhere") && page.contains("Let ana sign in again"),
        "{page}"
    );
    assert_eq!(admin.post(&format!("{path}/invite"), &[]).await.status, StatusCode::CONFLICT);
    let enabled = admin.post(&path, &[("disabled", "false")]).await;
    assert!(admin.follow(&enabled).await.contains("ana may sign in again."));
    assert!(world.audited("user.change").await);
}

#[tokio::test]
async fn the_last_admin_stays_and_is_told_why() {
    let world = World::new();
    let admin = Person::new(&world, Role::Admin).await;
    let id = world.get("/api/users").await.json["items"][0]["id"].as_str().unwrap().to_owned();
    for change in [("disabled", "true"), ("role", "viewer")] {
        let answer = admin.post(&format!("/settings/users/{id}"), &[change]).await;
        assert_eq!(answer.status, StatusCode::CONFLICT);
        assert!(answer.text().contains("last admin who can sign in"), "{}", answer.text());
    }
}

#[tokio::test]
async fn a_token_is_shown_once_lets_in_and_is_revoked() {
    let world = World::new();
    let admin = Person::new(&world, Role::Admin).await;
    let fields = [("name", "CRM"), ("role", "viewer"), ("ends_on", "2026-12-31")];
    let made = admin.post("/settings/tokens", &fields).await;
    assert_eq!(made.status, StatusCode::OK);
    let secret = value(&made.text(), "secret");
    let look = || {
        let request = world.request("GET", "/api/dashboard").anonymous();
        request.header("authorization", &format!("Bearer {secret}")).send()
    };
    assert_eq!(look().await.status, StatusCode::OK);
    let list = admin.read("/settings/tokens").await;
    assert!(list.contains("CRM") && !list.contains(&secret[3..]), "{list}");
    let id = world.get("/api/tokens").await.json["items"][0]["id"].as_str().unwrap().to_owned();
    let revoked = admin.post(&format!("/settings/tokens/{id}/revoke"), &[]).await;
    assert!(admin.follow(&revoked).await.contains("lets nobody in any more"));
    assert_eq!(look().await.status, StatusCode::UNAUTHORIZED);
    assert!(admin.read("/settings/tokens").await.contains("There is no token"));
}

#[tokio::test]
async fn a_token_that_can_not_be_is_told_at_its_fields() {
    let world = World::new();
    let admin = Person::new(&world, Role::Admin).await;
    let fields = [("name", " "), ("role", "operator"), ("ends_on", "2026-11-22")];
    let answer = admin.post("/settings/tokens", &fields).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let page = answer.text();
    assert!(page.contains("Give it a name") && page.contains("This day is over."), "{page}");
    assert!(page.contains("<option value=\"operator\" selected>"), "{page}");
    // The application's own token has this name.
    let taken = admin.post("/settings/tokens", &[("name", "admin"), ("role", "viewer")]).await;
    assert!(taken.text().contains("There is a token of this name"), "{}", taken.text());
}

#[tokio::test]
async fn everybody_changes_their_own_password_and_is_out_elsewhere() {
    let world = World::new();
    let elsewhere = Person::new(&world, Role::Viewer).await;
    let page = elsewhere.read("/settings/password").await;
    assert!(page.contains("You have no password here") && !page.contains("<input id=\"current\""));
    world.user("viewer", Role::Viewer, Some("correct horse")).await;
    let password = "correct horse".to_owned();
    let entered = sign_in::with_password(&world.state, "viewer", password, None).await;
    let entered = entered.unwrap().unwrap();
    let here = Person {
        cookie: format!("{}={}", entered.cookie.name(), entered.cookie.value()),
        csrf: crate::auth::csrf_of(entered.cookie.value()),
        ..Person::new(&world, Role::Operator).await
    };
    let page = here.read("/settings").await;
    assert!(page.contains("href=\"/settings/password\""), "{page}");
    let page = here.read("/settings/password").await;
    for part in ["autocomplete=\"current-password\"", "autocomplete=\"new-password\""] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let post = async |current: &str, new: &str, again: &str| {
        let fields = [("current", current), ("password", new), ("again", again)];
        here.post("/settings/password", &fields).await
    };
    for (current, new, again, said) in [
        ("guess", "battery staple", "battery staple", "The current password is not the one"),
        ("correct horse", "short", "short", "at least 10 characters"),
        ("correct horse", "battery staple", "battery stable", "are not the same"),
    ] {
        let answer = post(current, new, again).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{said}");
        let page = answer.text();
        assert!(page.contains(said), "{said}: {page}");
        for secret in ["guess", "correct horse", "battery"] {
            assert!(!page.contains(secret), "no password stands in a page: {page}");
        }
    }
    let done = post("correct horse", "battery staple", "battery staple").await;
    assert!(here.follow(&done).await.contains("Your password is changed."));
    assert_eq!(elsewhere.open("/dashboard").await.status, StatusCode::SEE_OTHER, "it is out");
    assert_eq!(here.open("/dashboard").await.status, StatusCode::OK, "it is not");
    let password = "battery staple".to_owned();
    let again = sign_in::with_password(&world.state, "viewer", password, None).await.unwrap();
    assert!(again.is_some());
    let foreign = here.post_with("/settings/password", "guess", &[]).await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn guesses_at_the_current_password_are_counted_as_those_at_the_door() {
    let world = World::new();
    world.user("viewer", Role::Viewer, Some("correct horse")).await;
    let password = "correct horse".to_owned();
    let entered = sign_in::with_password(&world.state, "viewer", password, None).await;
    let entered = entered.unwrap().unwrap();
    let here = Person {
        cookie: format!("{}={}", entered.cookie.name(), entered.cookie.value()),
        csrf: crate::auth::csrf_of(entered.cookie.value()),
        ..Person::new(&world, Role::Operator).await
    };
    let new = ("battery staple", "battery staple");
    let post = async |current: &str| {
        let fields = [("current", current), ("password", new.0), ("again", new.1)];
        here.post("/settings/password", &fields).await
    };
    for _ in 0..10 {
        assert_eq!(post("guess").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    let rests = post("correct horse").await;
    assert_eq!(rests.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(rests.text().contains("too many attempts"), "{}", rests.text());
}

#[tokio::test]
async fn each_role_sees_its_settings_and_can_do_no_more() {
    let world = World::new();
    let viewer = Person::new(&world, Role::Viewer).await;
    let operator = Person::new(&world, Role::Operator).await;
    for person in [&viewer, &operator] {
        for path in ["/settings", "/settings/mail"] {
            let page = person.read(path).await;
            assert!(!page.contains("name=\"version\""), "{path}: {page}");
            assert!(!page.contains("/settings/users") && !page.contains("/settings/tokens"));
        }
        for path in ["/settings/users", "/settings/tokens"] {
            assert_eq!(person.open(path).await.status, StatusCode::FORBIDDEN, "{path}");
        }
        let nobody = "0199aaaa-0000-7000-8000-000000000000";
        for path in [
            "/settings",
            "/settings/mail",
            "/settings/mail/summary",
            "/settings/users",
            &format!("/settings/users/{nobody}"),
            &format!("/settings/users/{nobody}/invite"),
            "/settings/tokens",
            &format!("/settings/tokens/{nobody}/revoke"),
        ] {
            let answer = person.post(path, &[("role", "viewer"), ("name", "x")]).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
        }
    }
    assert!(!viewer.read("/settings").await.contains("/stop-all"));
    assert!(operator.read("/settings").await.contains("/stop-all"));
}

async fn send_audio(person: &Person<'_>, parts: &[(&str, &[u8])]) -> Answer {
    let mut all: Vec<(&str, &[u8])> = vec![("csrf", person.csrf.as_bytes())];
    all.extend(parts);
    let (media_type, body) = form(&all);
    let request = person.world.request("POST", "/settings/audio").anonymous();
    let request = request.header("cookie", &person.cookie).header("host", super::HOST);
    let request = request.header("origin", &format!("https://{}", super::HOST));
    request.header("content-type", &media_type).body(body).send().await
}

#[tokio::test]
async fn audio_is_uploaded_heard_and_deleted_by_those_who_may() {
    let world = World::new();
    let admin = Person::new(&world, Role::Admin).await;
    let operator = Person::new(&world, Role::Operator).await;
    let viewer = Person::new(&world, Role::Viewer).await;
    assert!(operator.read("/settings/audio").await.contains("There is no audio yet"));
    let wav = wav();
    let sent = send_audio(&operator, &[("name", b"Offer"), ("file", &wav)]).await;
    assert!(operator.follow(&sent).await.contains("scripts can play it"));
    let id = world.get("/api/audio").await.json["items"][0]["id"].as_str().unwrap().to_owned();
    let page = viewer.read("/settings/audio").await;
    assert!(page.contains("Offer") && page.contains(&format!("src=\"/api/audio/{id}\"")), "{page}");
    assert!(!page.contains("type=\"file\"") && !page.contains("Delete…"), "{page}");
    assert_eq!(send_audio(&viewer, &[("file", &wav)]).await.status, StatusCode::FORBIDDEN);
    let path = format!("/settings/audio/{id}/delete");
    assert_eq!(operator.post(&path, &[]).await.status, StatusCode::FORBIDDEN);

    let bad = send_audio(&operator, &[("name", b"Page"), ("file", b"<html>")]).await;
    assert_eq!(bad.status, StatusCode::UNPROCESSABLE_ENTITY);
    let page = bad.text();
    assert!(page.contains("neither WAV nor MP3") && value(&page, "name") == "Page", "{page}");

    let mut document = crate::testing::settings();
    document["script"] = json!({"steps": [{"play": id}]});
    world.post("/api/campaigns", document).await;
    let used = admin.post(&path, &[]).await;
    assert_eq!(used.status, StatusCode::CONFLICT);
    assert!(used.text().contains("The campaign “Renewals” plays it"), "{}", used.text());
    let other = world.audio("Other").await;
    let gone = admin.post(&format!("/settings/audio/{other}/delete"), &[]).await;
    assert!(admin.follow(&gone).await.contains("The audio is deleted."));
}
