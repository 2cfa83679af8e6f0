//! Every route of the table, asked by everybody: what is let in, and what is not.

use callcore_http::{ROUTES, Route};
use serde_json::json;

use crate::harness::{Server, TOKEN, answer};
use crate::job::any_hour;

const SETTINGS: [(&str, &str); 2] =
    [("CALLCORE_API_TOKEN", TOKEN), ("CRON_SECRET", "the-schedulers-own-secret")];
/// Well-formed, and nobody's.
const NOBODY: &str = "0199aaaa-0000-7000-8000-000000000000";

/// A path that leads to a thing nobody has.
fn to_nobody(path: &str) -> String {
    let part = |part: &str| match part {
        "{phone}" => "12125550199".to_owned(),
        place if place.starts_with('{') => NOBODY.to_owned(),
        other => other.to_owned(),
    };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn no_route_answers_strangers_or_a_wrong_token() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &SETTINGS);
    let api = server.api();
    let strangers = [
        ("nobody", api.of_a_stranger()),
        ("a wrong token", api.of("a-token-nobody-has")),
        ("an empty token", api.of("")),
    ];
    for Route { method, path, .. } in ROUTES {
        for (who, api) in &strangers {
            for request in [
                api.request(method, &to_nobody(path)),
                api.request(method, &to_nobody(path)).json(&json!({})),
            ] {
                let answer = answer(request).await;
                assert_eq!(answer.told(), (401, "not_signed_in"), "{method} {path}: {who}");
                let asks = answer.headers.contains_key("www-authenticate");
                assert!(asks, "{method} {path}: {who}");
            }
        }
    }
}

#[tokio::test]
async fn a_replayed_key_gets_the_first_answer_and_another_body_none() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &SETTINGS);
    let api = server.api();
    let (path, settings) = ("/api/campaigns", any_hour("Once", 1));
    let first = api.ask_once("a key", path, &settings).await;
    let again = api.ask_once("a key", path, &settings).await;
    assert_eq!((first.status, &first.text), (again.status, &again.text));
    let other = api.ask_once("a key", path, &any_hour("Twice", 1)).await;
    assert_eq!(other.told(), (422, "idempotency_key_reused"));
    let bad = api.ask("POST", path, &json!({"name": "No hours"})).await;
    assert_eq!(bad.fields(), ["hours"]);
}
