//! The pages as a browser meets them.

mod audit;
mod call;
mod campaign;
mod client;
mod dashboard;
mod dnc;
mod history;
mod kept;
mod settings;
mod setup;
mod upcoming;

use axum::http::{StatusCode, header};
use callcore::actor::Role;
use callcore::port::{CallQuery, ClientQuery};
use serde_json::json;

use crate::sign_in;
use crate::testing::{Answer, World, form};

const HOST: &str = "calls.example.com";
const LARGEST_PAGE: usize = 100_000;

/// Somebody with a browser.
struct Person<'a> {
    world: &'a World,
    cookie: String,
    csrf: String,
}

impl<'a> Person<'a> {
    async fn new(world: &'a World, role: Role) -> Self {
        let user = world.user(role.as_str(), role, None).await;
        let link = sign_in::issue_link(&world.state, user.id).await.unwrap();
        let signed_in = sign_in::redeem_link(&world.state, &link).await.unwrap().unwrap();
        let cookie = format!("{}={}", signed_in.cookie.name(), signed_in.cookie.value());
        let mut person = Self { world, cookie, csrf: String::new() };
        let page = person.open("/dashboard").await.text();
        let (_, rest) = page.split_once("name=\"csrf\" value=\"").unwrap();
        person.csrf = rest.split('"').next().unwrap().to_owned();
        person
    }

    async fn open(&self, path: &str) -> Answer {
        let request = self.world.request("GET", path).anonymous();
        request.header("cookie", &self.cookie).send().await
    }

    /// A page that is there.
    async fn read(&self, path: &str) -> String {
        let answer = self.open(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
        answer.text()
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.post_with(path, &self.csrf, fields).await
    }

    async fn post_with(&self, path: &str, csrf: &str, fields: &[(&str, &str)]) -> Answer {
        let mut body = format!("csrf={csrf}");
        for (name, value) in fields {
            body.push_str(&format!("&{name}={}", super::frame::encoded(value)));
        }
        let request = self.world.request("POST", path).anonymous().header("cookie", &self.cookie);
        let request = request.header("origin", &format!("https://{HOST}")).header("host", HOST);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        request.body(body.into_bytes()).send().await
    }

    async fn upload(&self, campaign: &str, parts: &[(&str, &[u8])]) -> Answer {
        self.send(&format!("/campaigns/{campaign}/import"), parts).await
    }

    /// Posts a form with a file in it.
    async fn send(&self, path: &str, parts: &[(&str, &[u8])]) -> Answer {
        let mut all: Vec<(&str, &[u8])> = vec![("csrf", self.csrf.as_bytes())];
        all.extend(parts);
        let (media_type, body) = form(&all);
        let request = self.world.request("POST", path).anonymous().header("cookie", &self.cookie);
        let request = request.header("origin", &format!("https://{HOST}")).header("host", HOST);
        request.header("content-type", &media_type).body(body).send().await
    }

    /// Follows a redirect to the page that says what was done.
    async fn follow(&self, answer: &Answer) -> String {
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
        let set: Vec<&str> = answer
            .headers
            .get_all(header::SET_COOKIE)
            .iter()
            .map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap())
            .collect();
        let cookie = format!("{}; {}", self.cookie, set.join("; "));
        let request = self.world.request("GET", to(answer)).anonymous();
        request.header("cookie", &cookie).send().await.text()
    }
}

fn to(answer: &Answer) -> &str {
    answer.headers[header::LOCATION].to_str().unwrap()
}

/// Every page that can be opened without anything in the database.
const EMPTY_PAGES: [(&str, &str); 5] = [
    ("/dashboard", "Create a campaign"),
    ("/campaigns", "Create a campaign"),
    ("/calls/history", "No call has ended yet"),
    ("/calls/upcoming", "The queue is empty"),
    ("/dnc", "The list is empty"),
];

async fn client_path(world: &World, campaign: &str) -> String {
    let query = ClientQuery {
        campaign: campaign.parse().unwrap(),
        q: None,
        statuses: Vec::new(),
        tags: Vec::new(),
        after: None,
        limit: 1,
    };
    let clients = world.state.store().clients(&query).await.unwrap();
    format!("/campaigns/{campaign}/clients/{}", clients.items[0].client.id)
}

#[tokio::test]
async fn every_empty_page_says_what_to_do_next_and_that_the_carrier_is_simulated() {
    let world = World::new();
    let admin = Person::new(&world, Role::Admin).await;
    for (path, next) in EMPTY_PAGES {
        let page = admin.read(path).await;
        assert!(page.contains(next), "{path}: {page}");
        assert!(page.contains("Simulated carrier"), "{path}");
    }
    assert!(admin.read("/campaigns/new").await.contains("Simulated carrier"));
}

#[tokio::test]
async fn no_page_has_script_or_style_in_itself_and_the_policy_forbids_both() {
    let world = World::new();
    let call = world.talked().await;
    let admin = Person::new(&world, Role::Admin).await;
    for path in ["/dashboard", "/campaigns/new", "/calls/history", &format!("/calls/{call}")] {
        let answer = admin.open(path).await;
        let policy = answer.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none';"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        let page = answer.text();
        assert!(!page.contains("style=") && !page.contains("<style"), "{path}");
        assert!(!page.contains(" onclick") && page.matches("<script").count() == 1, "{path}");
        assert!(!page.contains("http://") && !page.contains("https://"), "{path}");
    }
}

#[tokio::test]
async fn a_stranger_is_sent_to_the_door_and_back_again() {
    let world = World::new();
    for (path, _) in EMPTY_PAGES {
        let answer = world.request("GET", path).anonymous().send().await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        assert!(to(&answer).starts_with("/sign-in?next=%2F"), "{}", to(&answer));
    }
    let posted = world.request("POST", "/dnc").anonymous().send().await;
    assert_eq!(to(&posted), "/sign-in");
    // Whose session ended while they wrote comes back to the form.
    let request = world.request("POST", "/dnc").anonymous().header("host", HOST);
    let request = request.header("referer", &format!("https://{HOST}/dnc?q=212"));
    assert_eq!(to(&request.send().await), "/sign-in?next=%2Fdnc%3Fq%3D212");
    let request = world.request("POST", "/dnc").anonymous().header("host", HOST);
    let request = request.header("cookie", "callcore_session=over");
    let request = request.header("referer", &format!("https://{HOST}/dnc?q=212"));
    let door = to(&request.send().await).to_owned();
    assert_eq!(door, "/sign-in?next=%2Fdnc%3Fq%3D212&unsent");
    let page = world.request("GET", &door).anonymous().send().await.text();
    assert!(page.contains("what you just sent was not taken"), "{page}");
    assert!(page.contains("name=\"next\" value=\"/dnc?q=212\""), "{page}");
    world.user("ada", Role::Admin, Some("correct horse")).await;
    let knock = async |body: &str| {
        let request = world.request("POST", "/sign-in").anonymous().header("host", HOST);
        let request = request.header("origin", &format!("https://{HOST}"));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        request.body(body.as_bytes().to_vec()).send().await
    };
    let wrong = knock("name=ada&password=wrong&next=%2Fdnc").await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    assert!(wrong.text().contains("value=\"ada\""), "what was typed is kept");
    let right = knock("name=ada&password=correct+horse&next=%2Fdnc").await;
    assert_eq!((right.status, to(&right)), (StatusCode::SEE_OTHER, "/dnc"));
    for elsewhere in [
        "%2F%2Fevil.example",
        "https%3A%2F%2Fevil.example",
        "%2F%5Cevil.example",
        "%2F%09%2Fevil.example",
        "%2F%0D%0A%2Fevil.example",
    ] {
        let answer = knock(&format!("name=ada&password=correct+horse&next={elsewhere}")).await;
        assert_eq!(to(&answer), "/dashboard", "{elsewhere}");
    }
}

#[tokio::test]
async fn a_link_is_redeemed_by_its_button_and_only_from_our_own_page() {
    let world = World::new();
    let user = world.user("ada", Role::Admin, None).await;
    let link = sign_in::issue_link(&world.state, user.id).await.unwrap();
    let path = format!("/sign-in?link={link}");
    for _ in 0..2 {
        let page = world.request("GET", &path).anonymous().send().await;
        assert!(page.text().contains("<button"), "opening it does not use it up");
    }
    let redeem = |origin: &'static str| {
        let request = world.request("POST", "/sign-in").anonymous().header("host", HOST);
        let request = request.header("origin", origin);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        request.body(format!("link={link}").into_bytes()).send()
    };
    assert_eq!(redeem("https://evil.example").await.status, StatusCode::FORBIDDEN);
    let answer = redeem("https://calls.example.com").await;
    assert_eq!((answer.status, to(&answer)), (StatusCode::SEE_OTHER, "/dashboard"));
    assert!(answer.headers.contains_key(header::SET_COOKIE));
    assert_eq!(redeem("https://calls.example.com").await.status, StatusCode::GONE);
    let over = world.request("GET", &path).anonymous().send().await;
    assert_eq!(over.status, StatusCode::GONE);
    let mangled = world.request("GET", &format!("{path}&link=twice")).anonymous().send().await;
    assert!(mangled.text().contains("<html"), "{}", mangled.text());
}

#[tokio::test]
async fn signing_out_ends_the_session() {
    let world = World::new();
    let person = Person::new(&world, Role::Viewer).await;
    let answer = person.post("/sign-out", &[]).await;
    assert_eq!(to(&answer), "/sign-in");
    assert_eq!(person.open("/dashboard").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn no_form_works_without_the_sessions_token() {
    let world = World::new();
    let campaign = world.loaded(1).await;
    let call = world.calls().await.remove(0);
    let admin = Person::new(&world, Role::Admin).await;
    let paths = [
        "/sign-out".to_owned(),
        format!("/campaigns/{campaign}/start"),
        format!("/campaigns/{campaign}/pause"),
        format!("/campaigns/{campaign}/resume"),
        format!("/campaigns/{campaign}/stop"),
        format!("/campaigns/{campaign}/delete"),
        format!("/campaigns/{campaign}/setup/name"),
        format!("/campaigns/{campaign}/setup/columns"),
        format!("/campaigns/{campaign}/setup/report"),
        format!("/campaigns/{campaign}/setup/discard"),
        format!("/campaigns/{campaign}/setup/hours"),
        format!("/campaigns/{campaign}/setup/rules"),
        format!("/campaigns/{campaign}/setup/test"),
        "/pause-all".to_owned(),
        "/stop-all".to_owned(),
        "/resume-all".to_owned(),
        format!("/calls/{call}/call-now"),
        format!("/calls/{call}/skip"),
        format!("/calls/{call}/reschedule"),
        format!("/calls/{call}/retry"),
        "/dnc".to_owned(),
        "/dnc/remove".to_owned(),
    ];
    for path in paths {
        for token in ["", "wrong"] {
            let answer = admin.post_with(&path, token, &[("phone", "+12125550100")]).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
        }
    }
    let forged = Person { world: &world, cookie: admin.cookie.clone(), csrf: "wrong".to_owned() };
    let list: (&str, &[u8]) = ("file", b"Phone\n2125550155\n");
    for path in ["import", "setup/list", "setup/script", "setup/call-backs"] {
        let upload = forged.send(&format!("/campaigns/{campaign}/{path}"), &[list]).await;
        assert_eq!(upload.status, StatusCode::FORBIDDEN, "{path}");
    }
    let fields: [(&str, &[u8]); 3] = [("name", b"x"), ("default_region", b"US"), list];
    assert_eq!(forged.send("/campaigns", &fields).await.status, StatusCode::FORBIDDEN);
    assert!(
        world
            .state
            .store()
            .dnc(&callcore::port::DncQuery { limit: 9, ..Default::default() })
            .await
            .unwrap()
            .items
            .is_empty()
    );
}

#[tokio::test]
async fn a_viewer_sees_no_buttons_and_can_press_none() {
    let world = World::new();
    let campaign = world.loaded(2).await;
    let call = world.calls().await.remove(0);
    let viewer = Person::new(&world, Role::Viewer).await;
    let operator = Person::new(&world, Role::Operator).await;
    let page = viewer.read(&format!("/campaigns/{campaign}")).await;
    assert!(!page.contains("Go on with the draft") && !page.contains("type=\"file\""));
    let page = viewer.read(&format!("/campaigns/{campaign}/setup/start")).await;
    assert!(!page.contains("Start calling") && page.contains("Will be called"), "{page}");
    assert!(!viewer.read(&format!("/calls/{call}")).await.contains("Call now"));
    for path in [
        format!("/campaigns/{campaign}/start"),
        format!("/campaigns/{campaign}/stop"),
        format!("/campaigns/{campaign}/setup/columns"),
        format!("/campaigns/{campaign}/setup/report"),
        format!("/campaigns/{campaign}/setup/discard"),
        format!("/campaigns/{campaign}/setup/test"),
        "/pause-all".to_owned(),
        "/stop-all".to_owned(),
        "/resume-all".to_owned(),
        format!("/calls/{call}/call-now"),
        format!("/calls/{call}/skip"),
        format!("/calls/{call}/reschedule"),
        format!("/calls/{call}/retry"),
        "/dnc".to_owned(),
    ] {
        let answer = viewer.post(&path, &[("phone", "+12125550100")]).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
        assert!(answer.text().contains("Your role does not allow this"), "{path}");
    }
    for path in [
        "/campaigns".to_owned(),
        "/dnc/remove".to_owned(),
        "/resume-all".to_owned(),
        format!("/campaigns/{campaign}/delete"),
        format!("/campaigns/{campaign}/setup/name"),
        format!("/campaigns/{campaign}/setup/hours"),
        format!("/campaigns/{campaign}/setup/rules"),
        format!("/campaigns/{campaign}/setup/script"),
        format!("/campaigns/{campaign}/setup/call-backs"),
    ] {
        let answer = operator.post(&path, &[("phone", "+12125550100")]).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
    }
    for (step, least) in [("hours", "admin"), ("rules", "admin"), ("list", "operator")] {
        let path = format!("/campaigns/{campaign}/setup/{step}");
        assert_eq!(viewer.open(&path).await.status, StatusCode::FORBIDDEN, "{path}");
        let is_open = operator.open(&path).await.status == StatusCode::OK;
        assert_eq!(is_open, least == "operator", "{path}");
    }
    assert_eq!(operator.open("/campaigns/new").await.status, StatusCode::FORBIDDEN);
    for path in ["import", "setup/list"] {
        let path = format!("/campaigns/{campaign}/{path}");
        let upload = viewer.send(&path, &[("file", b"Phone\n2125550155\n")]).await;
        assert_eq!(upload.status, StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn what_people_are_called_never_becomes_markup() {
    let world = World::new();
    let campaign = world.draft().await;
    let evil = "<script>alert(1)</script>";
    let list = format!(
        "Name,Phone,{evil},Tags,Notes\n{evil},2125550100,{evil},{evil},{evil}\n{evil},{evil},,,\n"
    );
    let admin = Person::new(&world, Role::Admin).await;
    let file = admin.upload(&campaign, &[("file", list.as_bytes())]).await;
    let report = to(&file).to_owned();
    world.post(&format!("/api/campaigns/{campaign}/start"), json!({})).await;
    let call = world.calls().await.remove(0);
    let scheduled = admin.read("/calls/upcoming").await;
    assert!(scheduled.contains("&#60;script&#62;"));
    world.answer_all().await;
    let client = client_path(&world, &campaign).await;
    let pages = [
        "/dashboard".to_owned(),
        format!("/campaigns/{campaign}"),
        "/calls/history".to_owned(),
        format!("/calls/{call}"),
        report,
        client,
        format!("/calls/history?q={}", super::frame::encoded(evil)),
    ];
    for path in pages {
        let page = admin.read(&path).await;
        assert!(page.contains("&#60;script&#62;"), "{path} shows the name");
        assert_eq!(page.matches("<script").count(), 1, "{path}");
    }
}

#[tokio::test]
async fn a_call_shows_its_transcript_player_decision_and_events_and_is_audited() {
    let world = World::new();
    let call = world.talked().await;
    let viewer = Person::new(&world, Role::Viewer).await;
    let history = viewer.read("/calls/history").await;
    assert!(history.contains(&format!("href=\"/calls/{call}\"")), "the row links to the call");
    assert!(!world.audited("transcript.read").await);
    let page = viewer.read(&format!("/calls/{call}")).await;
    for part in [
        "id=\"call-detail\"",
        &format!("src=\"/api/calls/{call}/recording\""),
        "Hello.",
        "Why it was dialled",
        "a person is on the line",
        "hung up",
        "0:30",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(world.audited("transcript.read").await);
    assert!(!page.contains("data-live"), "an ended call is not asked for again and again");
}

#[tokio::test]
async fn a_scheduled_call_is_called_moved_or_skipped() {
    let world = World::new();
    let campaign = world.loaded(3).await;
    world.post(&format!("/api/campaigns/{campaign}/start"), json!({})).await;
    let calls = world.calls().await;
    let operator = Person::new(&world, Role::Operator).await;
    let page = operator.read(&format!("/calls/{}", calls[0])).await;
    assert!(page.contains("What the rules say right now") && page.contains("Call now"), "{page}");

    let now = operator.post(&format!("/calls/{}/call-now", calls[0]), &[]).await;
    assert!(operator.follow(&now).await.contains("The call goes out"));

    // It is Monday 15:00 in UTC, 10:00 in New York, where the hours are 9 to 17.
    let path = format!("/calls/{}/reschedule", calls[1]);
    let late = operator.post(&path, &[("due", "2026-11-23T23:30:00Z")]).await;
    assert_eq!(late.status, StatusCode::UNPROCESSABLE_ENTITY);
    let page = late.text();
    assert!(page.contains("the next time they allow is Tue 24 Nov 14:00"), "{page}");
    assert!(page.contains("value=\"2026-11-23T20:30:00Z\""), "the hours allow it: {page}");
    assert!(!page.contains("value=\"2026-11-23T23:30:00Z\""), "the hours don't: {page}");
    let past = operator.post(&path, &[("due", "2026-11-23T09:30:00Z")]).await;
    assert!(past.text().contains("That time is over"));
    let none = operator.post(&path, &[("due", "soon")]).await;
    assert!(none.text().contains("Choose a day and a time"));
    let moved = operator.post(&path, &[("due", "2026-11-23T20:30:00Z")]).await;
    assert!(operator.follow(&moved).await.contains("moved to today 20:30"));

    let path = format!("/calls/{}/skip", calls[2]);
    let wordless = operator.post(&path, &[("reason", "other"), ("then", "end")]).await;
    assert_eq!(wordless.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wordless.text().contains("Say in the note why"));
    let fields = [("reason", "other"), ("note", "moved away"), ("then", "end")];
    let skipped = operator.post(&path, &fields).await;
    assert!(operator.follow(&skipped).await.contains("The call is skipped"));
    let page = operator.read(&format!("/calls/{}", calls[2])).await;
    assert!(page.contains("moved away") && page.contains("skipped"), "{page}");
    let twice = operator.post(&path, &fields).await;
    assert_eq!(twice.status, StatusCode::CONFLICT);
    assert!(twice.text().contains("The call is over."), "{}", twice.text());

    let again = operator.post(&format!("/calls/{}/retry", calls[2]), &[]).await;
    assert!(operator.follow(&again).await.contains("is called again"));
    let query = CallQuery { limit: 10, ..CallQuery::default() };
    let upcoming = world.state.store().upcoming(&query).await.unwrap();
    assert_eq!(upcoming.items.len(), 3);
}

#[tokio::test]
async fn times_stand_in_the_viewers_zone() {
    let world = World::new();
    let call = world.talked().await;
    let viewer = Person::new(&world, Role::Viewer).await;
    let request = world.request("GET", &format!("/calls/{call}")).anonymous();
    let cookie = format!("{}; callcore_zone=Asia%2FTokyo", viewer.cookie);
    let page = request.header("cookie", &cookie).send().await.text();
    assert!(page.contains("Tuesday 24 November 2026, 00:00:00 (Asia/Tokyo)"), "{page}");
}

#[tokio::test]
async fn history_is_filtered_and_paged_without_losing_the_filter() {
    let world = World::new();
    let campaign = world.loaded(60).await;
    world.post(&format!("/api/campaigns/{campaign}/start"), json!({})).await;
    world.answer_all().await;
    let viewer = Person::new(&world, Role::Viewer).await;
    let first = viewer.read("/calls/history?q=&outcome=answered&campaign=").await;
    assert_eq!(first.matches("data-unfold").count(), 50);
    assert!(first.contains("value=\"answered\" selected"), "{first}");
    let (before, _) = first.split_once("\">Older calls").unwrap();
    let (_, href) = before.rsplit_once("href=\"/calls/history?").unwrap();
    let href = href.replace("&#38;", "&");
    assert!(href.contains("outcome=answered"), "{href}");
    let second = viewer.read(&format!("/calls/history?{href}")).await;
    assert_eq!(second.matches("data-unfold").count(), 10);
    let none = viewer.read("/calls/history?outcome=busy").await;
    assert!(none.contains("No call matches"));
    let bad = viewer.open("/calls/history?from=yesterday").await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST);
    assert!(bad.text().contains("<main"), "trouble is a page: {}", bad.text());
}

#[tokio::test]
async fn numbers_go_on_the_list_and_off_again() {
    let world = World::new();
    let campaign = world.loaded(1).await;
    world.post(&format!("/api/campaigns/{campaign}/start"), json!({})).await;
    let admin = Person::new(&world, Role::Admin).await;
    let wrong = admin.post("/dnc", &[("phone", "555-01"), ("reason", "asked")]).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    let page = wrong.text();
    assert!(page.contains("id=\"e-phone\"") && page.contains("value=\"555-01\""), "{page}");
    let back = client_path(&world, &campaign).await;
    let fields = [("phone", "+12125550100"), ("reason", "asked"), ("back", &*back)];
    let added = admin.post("/dnc", &fields).await;
    assert_eq!(to(&added), back);
    let page = admin.follow(&added).await;
    assert!(page.contains("1 scheduled call is cancelled"), "{page}");
    let away = admin.post("/dnc", &[("phone", "+12125550101"), ("back", "//evil.example")]).await;
    assert_eq!(to(&away), "/dnc");
    let list = admin.read("/dnc?q=5550100").await;
    assert!(list.contains("+12125550100") && !list.contains("+12125550101"), "{list}");
    let asked = admin.read("/dnc/remove?phone=%2B12125550100&scope=").await;
    assert!(asked.contains("by every campaign"), "{asked}");
    let fields = [("phone", "+12125550100"), ("scope", ""), ("reason", "by mistake")];
    let removed = admin.post("/dnc/remove", &fields).await;
    assert!(admin.follow(&removed).await.contains("is off the list"));
    assert_eq!(admin.post("/dnc/remove", &fields).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_is_not_there_is_a_page_that_says_so() {
    let world = World::new();
    let admin = Person::new(&world, Role::Admin).await;
    let nowhere = "0199aaaa-0000-7000-8000-000000000000";
    for path in [
        format!("/campaigns/{nowhere}"),
        "/campaigns/x".to_owned(),
        format!("/campaigns/{nowhere}/clients/{nowhere}"),
        format!("/campaigns/{nowhere}/imports/{nowhere}"),
        format!("/calls/{nowhere}"),
        "/calls/x".to_owned(),
    ] {
        let answer = admin.open(&path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        let page = answer.text();
        assert!(page.contains("There is no such thing here") && page.contains("<nav"), "{path}");
    }
}

#[tokio::test]
async fn a_path_that_leads_nowhere_is_a_page_for_browsers_and_a_problem_for_programs() {
    let world = World::new();
    let viewer = Person::new(&world, Role::Viewer).await;
    let ask = |cookie: &str, accept: &'static str| {
        let request = world.request("GET", "/nowhere").anonymous().header("cookie", cookie);
        request.header("accept", accept).send()
    };
    let page = ask(&viewer.cookie, "text/html,*/*").await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert!(page.headers.contains_key(header::CONTENT_SECURITY_POLICY));
    assert!(page.text().contains("There is no such thing here"));
    assert_eq!(ask("", "text/html").await.status, StatusCode::SEE_OTHER);
    assert_eq!(ask(&viewer.cookie, "application/json").await.code(), "not_found");
}

#[tokio::test]
async fn no_page_is_larger_than_its_bound_however_long_lists_and_texts_are() {
    let world = World::new();
    let campaign = world.draft().await;
    let long = "Æ&<".repeat(60);
    let mut list = "Name,Phone,Time zone,Notes".to_owned();
    for column in 0..80 {
        list.push_str(&format!(",Column {column}"));
    }
    list.push('\n');
    for row in 0..160 {
        let (area, last) = ([212, 201][row / 100], row % 100);
        list.push_str(&format!("{long} {row},+1{area}55501{last:02},,{}", "note & ".repeat(1_000)));
        list.push_str(&",cell & cell".repeat(80));
        list.push('\n');
    }
    for row in 0..150 {
        list.push_str(&format!("{long},{long}{row},,\n"));
    }
    let admin = Person::new(&world, Role::Admin).await;
    let uploaded = admin.upload(&campaign, &[("file", list.as_bytes())]).await;
    let report = to(&uploaded).to_owned();
    world.post(&format!("/api/campaigns/{campaign}/start"), json!({})).await;
    let upcoming = admin.read("/calls/upcoming").await;
    assert!(upcoming.matches("data-unfold").count() == 50);
    assert!(upcoming.len() < LARGEST_PAGE, "upcoming: {}", upcoming.len());
    let live = world.dial_all();
    live.await;
    for path in ["/dashboard".to_owned(), format!("/campaigns/{campaign}")] {
        let page = admin.read(&path).await;
        assert!(page.len() < LARGEST_PAGE, "{path}: {}", page.len());
    }
    world.answer_all().await;
    let client = client_path(&world, &campaign).await;
    let paths = [
        "/dashboard".to_owned(),
        format!("/campaigns/{campaign}"),
        "/calls/history".to_owned(),
        report,
        client,
    ];
    for path in paths {
        let page = admin.read(&path).await;
        assert!(page.len() < LARGEST_PAGE, "{path}: {}", page.len());
    }
}

#[tokio::test]
async fn assets_are_kept_by_browsers_until_they_change() {
    let world = World::new();
    let door = world.request("GET", "/sign-in").anonymous().send().await.text();
    for (before, most) in [("src=\"/assets/", 15_000), ("stylesheet\" href=\"/assets/", 40_000)] {
        let (_, rest) = door.split_once(before).unwrap();
        let path = format!("/assets/{}", rest.split('"').next().unwrap());
        let asset = world.request("GET", &path).anonymous().send().await;
        assert_eq!(asset.status, StatusCode::OK);
        assert!(asset.text().len() < most, "{path}");
        let caching = asset.headers[header::CACHE_CONTROL].to_str().unwrap();
        assert!(caching.contains("immutable"), "{caching}");
        let etag = asset.headers[header::ETAG].to_str().unwrap();
        let again = world.request("GET", &path).anonymous().header("if-none-match", etag);
        assert_eq!(again.send().await.status, StatusCode::NOT_MODIFIED);
    }
    let old = world.request("GET", "/assets/000000000000/app.css").anonymous().send().await;
    assert_eq!(old.headers[header::CACHE_CONTROL], "no-cache");
    let none = world.request("GET", "/assets/000000000000/app.exe").anonymous().send().await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn times_and_numbers_are_written_as_the_viewers_language_does() {
    let world = World::new();
    let id = world.loaded(1).await;
    world.post(&format!("/api/campaigns/{id}/start"), json!({})).await;
    let viewer = Person::new(&world, Role::Viewer).await;
    let read = async |language: &str| {
        let request = world.request("GET", "/dashboard").anonymous();
        let request = request.header("cookie", &viewer.cookie);
        request.header("accept-language", language).send().await.text()
    };
    let (american, german) = (read("en-US,en;q=0.9").await, read("de-DE,de;q=0.9").await);
    assert!(american.contains("\u{a0}AM") || american.contains("\u{a0}PM"), "{american}");
    assert!(!german.contains("\u{a0}AM") && !german.contains("\u{a0}PM"), "{german}");
}
