//! Numbers not to call, and erasing people.

use reqwest::StatusCode;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::harness::{Answer, Api, Server, TOKEN, answer};
use crate::job::any_hour;

const SETTINGS: [(&str, &str); 1] = [("CALLCORE_API_TOKEN", TOKEN)];
const NOBODY: &str = "0199aaaa-0000-7000-8000-000000000000";

/// A list of two in a draft; the clients.
async fn two_clients(api: &Api) -> (String, Vec<Value>) {
    let campaign = api.post("/api/campaigns", &any_hour("Numbers", 1)).await;
    let id = campaign["id"].as_str().unwrap().to_owned();
    let list = b"Name,Phone\nZebulon Quist,+12125550100\nAda,+12125550101\n".to_vec();
    api.imported(&id, list).await;
    let clients = api.get(&format!("/api/campaigns/{id}/clients")).await;
    (id, clients["items"].as_array().unwrap().clone())
}

async fn send_list(api: &Api, key: &str, file: &[u8], fields: &[(&str, &str)]) -> Answer {
    let part = Part::bytes(file.to_vec()).file_name("list.csv").mime_str("text/csv").unwrap();
    let mut form = Form::new().part("file", part);
    for (name, value) in fields {
        form = form.text((*name).to_owned(), (*value).to_owned());
    }
    let request = api.request("POST", "/api/dnc/import").header("idempotency-key", key);
    answer(request.multipart(form)).await
}

#[tokio::test]
async fn a_number_is_listed_found_and_taken_off_again() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &SETTINGS);
    let (api, entry) = (server.api(), json!({"phone": "+12125550100", "reason": "asked"}));
    two_clients(&api).await;
    let first = api.ask_once("once", "/api/dnc", &entry).await;
    assert_eq!(first.status, StatusCode::CREATED);
    assert_eq!(first.json["canceled"].as_array().unwrap().len(), 1);
    let again = api.ask_once("once", "/api/dnc", &entry).await;
    assert_eq!((again.status, &again.json), (first.status, &first.json));
    assert_eq!(api.get("/api/dnc?q=5550100&scope=global").await["items"][0]["reason"], "asked");
    let bad = api.ask("POST", "/api/dnc", &json!({"phone": "911", "scope": "x"})).await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST);
    let none = json!({});
    for (path, status) in [
        ("/api/dnc/12125550100?reason=mistake", StatusCode::NO_CONTENT),
        ("/api/dnc/%2B12125550100", StatusCode::NOT_FOUND),
        ("/api/dnc/nobody", StatusCode::NOT_FOUND),
        ("/api/dnc/12125550100?scope=campaign", StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(api.ask("DELETE", path, &none).await.status, status, "{path}");
    }
}

#[tokio::test]
async fn a_registrys_list_is_in_force_and_half_of_one_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &SETTINGS);
    let api = server.api();
    two_clients(&api).await;
    let registry = b"212,5550100\r\n212,5550101\r\n212,5550102\r\n";
    let dry = send_list(&api, "dry", registry, &[("dry_run", "true")]).await;
    assert_eq!((dry.status, &dry.json["accepted"]), (StatusCode::OK, &json!(3)));
    assert_eq!(api.get("/api/dnc").await["items"], json!([]));
    let done = send_list(&api, "list", registry, &[("reason", "national registry")]).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.json);
    assert_eq!((&done.json["accepted"], &done.json["canceled"]), (&json!(3), &json!(2)));
    let again = send_list(&api, "list", registry, &[("reason", "national registry")]).await;
    assert_eq!(again.json, done.json);
    let path = format!("/api/dnc/imports/{}", done.json["id"].as_str().unwrap());
    assert_eq!(api.get(&path).await, done.json);
    let half = send_list(&api, "half", b"2125550103\nx\ny\n", &[]).await;
    assert_eq!(half.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(half.json["code"], "too_many_rejected");
    assert_eq!(api.get("/api/dnc?q=5550103").await["items"], json!([]));
    let nowhere = [("scope", "campaign"), ("campaign_id", NOBODY)];
    let nowhere = send_list(&api, "nowhere", registry, &nowhere).await;
    assert_eq!(nowhere.status, StatusCode::NOT_FOUND);
    let bad = send_list(&api, "bad", registry, &[("dry_run", "maybe"), ("x", "y")]).await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST);
    let unknown = format!("/api/dnc/imports/{NOBODY}");
    assert_eq!(api.ask("GET", &unknown, &json!({})).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_client_is_listed_and_then_erased_everywhere() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &SETTINGS);
    let api = server.api();
    let (campaign, clients) = two_clients(&api).await;
    let path = |what: &str| format!("/api/clients/{}/{what}", clients[0]["id"].as_str().unwrap());
    let listed = api.ask_once("l", &path("dnc"), &json!({"reason": "asked"})).await;
    assert_eq!((listed.status, &listed.json["scope"]), (StatusCode::CREATED, &json!("global")));
    let again = api.ask_once("l", &path("dnc"), &json!({"reason": "asked"})).await;
    assert_eq!(again.json, listed.json);
    let erase = format!("{}?reason=asked", path("personal-data"));
    let erased = api.ask("DELETE", &erase, &json!({})).await;
    assert_eq!((erased.status, &erased.json["clients"]), (StatusCode::OK, &json!(1)));
    let export = api.text(&format!("/api/campaigns/{campaign}/export")).await;
    assert!(!export.contains("Quist") && !export.contains("5550100"), "{export}");
    assert!(export.contains("Ada"));
    assert_eq!(api.get("/api/dnc?q=5550100").await["items"].as_array().unwrap().len(), 1);
    let again = api.ask("DELETE", &erase, &json!({})).await;
    assert_eq!((again.status, &again.json["clients"]), (StatusCode::OK, &json!(0)));
    let late = api.ask("POST", &path("dnc"), &json!({})).await;
    assert_eq!((late.status, &late.json["code"]), (StatusCode::CONFLICT, &json!("erased")));
    for (method, what) in [("POST", "dnc"), ("DELETE", "personal-data")] {
        let path = format!("/api/clients/{NOBODY}/{what}");
        assert_eq!(api.ask(method, &path, &json!({})).await.status, StatusCode::NOT_FOUND);
    }
}
