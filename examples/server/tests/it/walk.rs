//! Every route of the table, asked by everybody: what is let in, what is found, what is done once.

use callcore_http::{ROUTES, Route};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Server, answer, client};
use crate::samples::{
    SETTINGS, Stage, body, is_a_schedulers, is_an_agents, is_ones_own, to_nobody,
};

/// Pages, with nobody's ids in them.
const PAGES: [&str; 32] = [
    "/",
    "/dashboard",
    "/campaigns",
    "/campaigns/new",
    "/campaigns/{id}",
    "/campaigns/{id}/stop",
    "/campaigns/{id}/imports/{id}",
    "/campaigns/{id}/clients/{id}",
    "/calls/history",
    "/calls/upcoming",
    "/calls/{id}",
    "/dnc",
    "/dnc/remove",
    "/audit",
    "/settings",
    "/settings/mail",
    "/settings/audio",
    "/settings/password",
    "/settings/users",
    "/settings/users/{id}",
    "/settings/tokens",
    "/dnc/import",
    "/dnc/imports/{id}",
    "/stop-all",
    "/calls/upcoming/skip",
    "/calls/upcoming/reschedule",
    "/campaigns/{id}/setup",
    "/campaigns/{id}/setup/start",
    "/campaigns/{id}/changes",
    "/campaigns/{id}/imports",
    "/campaigns/{id}/clients/{id}/erase",
    "/no-such-page",
];

#[tokio::test]
async fn no_route_answers_strangers_or_a_wrong_token() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &SETTINGS);
    let api = server.api();
    let unheard_of = format!("cc_{}", "A".repeat(43));
    let strangers = [
        ("nobody", api.of_a_stranger()),
        ("a wrong token", api.of("a-token-nobody-has")),
        ("a token that was never made", api.of(&unheard_of)),
        ("an empty token", api.of("")),
    ];
    let metrics = Route { method: "GET", path: "/metrics", role: None };
    for Route { method, path, .. } in ROUTES.iter().chain([&metrics]) {
        for (who, api) in &strangers {
            let bare = api.request(method, &to_nobody(path));
            let mut requests = vec![bare, api.request(method, &to_nobody(path)).json(&json!({}))];
            if let Some(body) = body(method, path) {
                requests.push(body.put_into(api.request(method, &to_nobody(path))));
            }
            for request in requests {
                let answer = answer(request).await;
                assert_eq!(answer.told(), (401, "not_signed_in"), "{method} {path}: {who}");
                let asks = answer.headers.contains_key("www-authenticate");
                assert!(asks, "{method} {path}: {who}");
            }
        }
    }
}

#[tokio::test]
async fn pages_send_strangers_to_the_door() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &SETTINGS);
    let door = async |cookie: &str, path: &str| {
        let request = client().get(format!("{}{}", server.url(), to_nobody(path)));
        let answer = answer(request.header("accept", "text/html").header("cookie", cookie)).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{path}");
        let to = answer.headers["location"].to_str().unwrap();
        assert!(to.starts_with("/sign-in"), "{path}: {to}");
    };
    for path in PAGES {
        door("", path).await;
        door("callcore_session=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", path).await;
    }
    for path in ["/sign-out", "/campaigns", "/calls/{id}/skip", "/dnc", "/campaigns/{id}/import"] {
        let request = client().post(format!("{}{}", server.url(), to_nobody(path)));
        assert_eq!(answer(request).await.status, StatusCode::SEE_OTHER, "{path}");
    }
}

#[tokio::test]
async fn every_route_takes_its_role() {
    let stage = Stage::new().await;
    let people = [
        ("viewer", stage.with_role("viewer").await),
        ("operator", stage.with_role("operator").await),
        ("admin", stage.with_role("admin").await),
    ];
    for Route { method, path, role } in ROUTES {
        let Some(least) = role else { continue };
        let least = people.iter().position(|(role, _)| *role == least.as_str()).unwrap();
        for (index, (who, api)) in people.iter().enumerate() {
            if *path == "/api/events" && index >= least {
                continue;
            }
            let mut request = api.request(method, &to_nobody(path)).header("if-match", "99");
            if let Some(body) = body(method, path).filter(|_| path.contains('{')) {
                request = body.put_into(request);
            }
            let answer = answer(request).await;
            if index < least {
                assert_eq!(answer.told(), (403, "forbidden"), "{method} {path}: {who}");
            } else {
                let status = answer.status.as_u16();
                assert!(status != 401 && status != 403, "{method} {path}: {who}: {status}");
            }
        }
    }
}

#[tokio::test]
async fn an_id_nobody_has_is_not_found() {
    let stage = Stage::new().await;
    for Route { method, path, role } in ROUTES {
        if !path.contains('{') || role.is_none() {
            continue;
        }
        let mut request = stage.api.request(method, &to_nobody(path)).header("if-match", "1");
        if let Some(body) = body(method, path) {
            request = body.put_into(request);
        }
        let answer = answer(request).await;
        assert_eq!(answer.told(), (404, "not_found"), "{method} {path}: {}", answer.text);
    }
}

/// What is shown once: an answer that is given again has null there.
fn without_secrets(answer: &Value) -> Value {
    let mut answer = answer.clone();
    if let Some(link) = answer.pointer_mut("/invitation/link") {
        *link = Value::Null;
    }
    if let Some(secret) = answer.get_mut("secret") {
        *secret = Value::Null;
    }
    answer
}

#[tokio::test]
async fn a_replayed_key_gets_the_first_answer_and_another_body_none() {
    let stage = Stage::new().await;
    let has_key = |path| !is_a_schedulers(path) && !is_an_agents(path) && !is_ones_own(path);
    let posts = ROUTES.iter().filter(|it| it.method == "POST" && has_key(it.path));
    for Route { method, path, .. } in posts {
        let Some((path, body)) = stage.sample(method, path).await else {
            panic!("{method} {path} has no sample: give it one in samples.rs");
        };
        let send = async |body: &crate::samples::Body| {
            let request = stage.api.request(method, &path).header("idempotency-key", "a key");
            answer(body.put_into(request)).await
        };
        let first = send(&body).await;
        assert!(first.status.is_success(), "{path}: the sample is no good one: {}", first.text);
        let again = send(&body).await;
        assert_eq!(again.status, first.status, "{path}: {}", again.text);
        if first.json.is_null() {
            assert_eq!(again.text, first.text, "{path}");
        } else {
            assert_eq!(again.json, without_secrets(&first.json), "{path}");
        }
        let other = send(&body.other()).await;
        assert_eq!(other.told(), (422, "idempotency_key_reused"), "{path}: {}", other.text);
    }
}

#[tokio::test]
async fn every_route_that_changes_something_has_a_sample() {
    for Route { method, path, .. } in ROUTES {
        let changes = matches!(*method, "POST" | "PATCH" | "PUT") && !is_a_schedulers(path);
        assert!(
            !changes || body(method, path).is_some(),
            "{method} {path} has no sample: give it one in samples.rs"
        );
    }
}
