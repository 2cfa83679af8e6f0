//! Who may do what, what was done, and watching it live.

use std::time::Instant;

use reqwest::header::{COOKIE, ORIGIN, SET_COOKIE};
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};

use crate::harness::{Answer, Api, PATIENCE, Server, answer, client};
use crate::job::any_hour;
use crate::samples::{NOBODY, SETTINGS};

fn server() -> (tempfile::TempDir, Server) {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &SETTINGS);
    (directory, server)
}

fn form(server: &Server, path: &str, body: String) -> RequestBuilder {
    let request = client().post(format!("{}{path}", server.url())).header(ORIGIN, server.url());
    request.header("content-type", "application/x-www-form-urlencoded").body(body)
}

fn cookie(answer: &Answer) -> String {
    let cookie = answer.headers[SET_COOKIE].to_str().unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

async fn invited(api: &Api, name: &str, role: &str) -> (String, String) {
    let user = api.post("/api/users", &json!({"name": name, "role": role})).await;
    let link = user["invitation"]["link"].as_str().unwrap();
    (user["id"].as_str().unwrap().to_owned(), link.split_once("link=").unwrap().1.to_owned())
}

#[tokio::test]
async fn somebody_is_invited_chooses_a_password_and_is_shut_out_again() {
    let (_directory, server) = server();
    let api = server.api();
    let (id, link) = invited(&api, "ana", "operator").await;
    // Opening the page uses nothing up.
    let page = api.of_a_stranger().text(&format!("/invitation?link={link}")).await;
    assert!(page.contains("ana") && page.contains("At least 10 characters"), "{page}");
    let short = form(&server, "/invitation", format!("link={link}&password=short&again=short"));
    assert_eq!(answer(short).await.status, 422);
    let twice = format!("link={link}&password=correct+horse&again=correct+house");
    assert_eq!(answer(form(&server, "/invitation", twice)).await.status, 422);
    let good = format!("link={link}&password=correct+horse&again=correct+horse");
    let entered = answer(form(&server, "/invitation", good.clone())).await;
    assert_eq!(entered.status, 303);
    let cookie = cookie(&entered);
    assert_eq!(answer(form(&server, "/invitation", good)).await.status, 410);
    let look = async || {
        answer(api.of_a_stranger().request("GET", "/api/campaigns").header(COOKIE, &cookie)).await
    };
    assert_eq!(look().await.status, 200);
    let user = format!("/api/users/{id}");
    assert_eq!(api.get(&user).await["has_password"], true);
    let disabled = api.ask("PATCH", &user, &json!({"disabled": true})).await;
    assert_eq!(disabled.json["disabled"], true, "{}", disabled.text);
    assert_eq!(look().await.status, 401);
    let sign_in = form(&server, "/sign-in", "name=ana&password=correct+horse".to_owned());
    assert_eq!(answer(sign_in).await.status, 401);
}

#[tokio::test]
async fn an_invitation_is_accepted_by_programs_too() {
    let (_directory, server) = server();
    let (api, path) = (server.api(), "/api/invitations/accept");
    let (_, link) = invited(&api, "ana", "viewer").await;
    let stranger = api.of_a_stranger();
    let weak = stranger.ask("POST", path, &json!({"link": link, "password": "ana"})).await;
    assert_eq!((weak.status.as_u16(), weak.fields()), (422, vec!["password"]));
    let body = json!({"link": link, "password": "correct horse"});
    let first = stranger.ask_once("k", path, &body).await;
    let again = stranger.ask_once("k", path, &body).await;
    assert_eq!((first.status.as_u16(), &first.text), (200, &again.text));
    assert_eq!(stranger.ask("POST", path, &body).await.told(), (401, "not_signed_in"));
}

#[tokio::test]
async fn the_last_admin_stays_and_names_are_taken_once() {
    let (_directory, server) = server();
    let api = server.api();
    let users = api.get("/api/users").await;
    assert_eq!(users["items"][0]["name"], "admin");
    let admin = format!("/api/users/{}", users["items"][0]["id"].as_str().unwrap());
    for change in [json!({"disabled": true}), json!({"role": "viewer"})] {
        assert_eq!(api.ask("PATCH", &admin, &change).await.told(), (409, "last_admin"));
    }
    let again = api.ask("POST", "/api/users", &json!({"name": "admin", "role": "admin"})).await;
    assert_eq!(again.told(), (409, "name_taken"));
    let bad = api.ask("POST", "/api/users", &json!({"name": "\u{202e}ana", "role": "king"})).await;
    assert_eq!(bad.fields(), ["name", "role"]);
    let nobody = format!("/api/users/{NOBODY}");
    assert_eq!(api.ask("PATCH", &nobody, &json!({})).await.told(), (404, "not_found"));
}

#[tokio::test]
async fn a_token_is_made_used_and_revoked() {
    let (_directory, server) = server();
    let api = server.api();
    let token = json!({"name": "CRM", "role": "viewer"});
    let made = api.ask_once("k", "/api/tokens", &token).await;
    let again = api.ask_once("k", "/api/tokens", &token).await;
    assert_eq!((made.status.as_u16(), &again.json["secret"]), (201, &Value::Null));
    let program = api.of(made.json["secret"].as_str().unwrap());
    program.get("/api/campaigns").await;
    let refused = program.ask("POST", "/api/tokens", &json!({"name": "x", "role": "admin"})).await;
    assert_eq!(refused.told(), (403, "forbidden"));
    assert!(api.get("/api/tokens").await["items"][0]["last_used_at"].is_string());
    let path = format!("/api/tokens/{}", made.json["id"].as_str().unwrap());
    assert_eq!(answer(api.request("DELETE", &path)).await.status, 204);
    let shut = answer(program.request("GET", "/api/campaigns")).await;
    assert_eq!(shut.told(), (401, "not_signed_in"));
    assert_eq!(answer(api.request("DELETE", &path)).await.told(), (404, "not_found"));
    let taken = json!({"name": "CALLCORE_API_TOKEN", "role": "viewer"});
    assert_eq!(api.ask("POST", "/api/tokens", &taken).await.told(), (409, "name_taken"));
}

#[tokio::test]
async fn passwords_are_not_guessed_at_will() {
    let (_directory, server) = server();
    let guess = async |name: &str| {
        let guess = format!("name={name}&password=guess");
        answer(form(&server, "/sign-in", guess)).await
    };
    // Whether anybody has the name makes no difference.
    for name in ["admin", "nobody"] {
        for _ in 0..10 {
            assert_eq!(guess(name).await.status, 401, "{name}");
        }
        let enough = guess(name).await;
        assert_eq!(enough.status, 429, "{name}");
        let wait: u64 = enough.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=901).contains(&wait), "{wait}");
    }
}

#[tokio::test]
async fn what_was_done_is_found_and_exported() {
    let (_directory, server) = server();
    let api = server.api();
    let campaign = api.post("/api/campaigns", &any_hour("=1+1", 1)).await;
    let id = campaign["id"].as_str().unwrap();
    let found = api.get(&format!("/api/audit?object={id}&action=campaign.create")).await;
    assert_eq!(found["items"].as_array().unwrap().len(), 1, "{found}");
    assert_eq!(found["items"][0]["actor"], "token:CALLCORE_API_TOKEN");
    let export = api.text("/api/audit/export?action=campaign.create").await;
    let mut reader = csv::Reader::from_reader(export.as_bytes());
    assert_eq!(
        reader.headers().unwrap().iter().collect::<Vec<_>>().join(","),
        "id,at,actor,action,object,old,new"
    );
    assert_eq!(&reader.records().next().unwrap().unwrap()[4], id);
    let exports = api.get("/api/audit?action=audit.export").await;
    assert_eq!(exports["items"].as_array().unwrap().len(), 1, "{exports}");
    let bad = answer(api.request("GET", "/api/audit?actor=ana&from=soon")).await;
    assert_eq!(bad.fields(), ["from", "actor"]);
}

#[tokio::test]
async fn metrics_are_counted_for_who_may_read() {
    let (_directory, server) = server();
    let text = server.api().text("/metrics").await;
    for series in ["callcore_calls_due 0", "callcore_halted 0", "callcore_event_listeners 0"] {
        assert!(text.lines().any(|line| line == series), "{series}: {text}");
    }
    assert!(text.contains("\ncallcore_ticks_total "), "{text}");
}

/// Reads events until one holds a text.
async fn hear(line: &mut Response, heard: &mut String, text: &str) {
    let start = Instant::now();
    while !heard.contains(text) {
        assert!(start.elapsed() < PATIENCE, "{text} is not told: {heard}");
        let bytes = line.chunk().await.unwrap().expect("the line is open");
        heard.push_str(std::str::from_utf8(&bytes).unwrap());
    }
}

#[tokio::test]
async fn every_listener_hears_what_changes_and_a_drain_ends_the_line() {
    let (_directory, server) = server();
    let api = server.api();
    let listen = async |id: &str| {
        let request = api.request("GET", "/api/events").header("last-event-id", id);
        (request.send().await.unwrap(), String::new())
    };
    let (mut one, mut heard_by_one) = listen("").await;
    let (mut two, mut heard_by_two) = listen("12").await;
    hear(&mut one, &mut heard_by_one, "event: snapshot").await;
    hear(&mut two, &mut heard_by_two, "event: snapshot").await;
    api.post("/api/campaigns", &any_hour("Heard of", 1)).await;
    hear(&mut one, &mut heard_by_one, "Heard of").await;
    hear(&mut two, &mut heard_by_two, "Heard of").await;
    let (mut late, mut heard_late) = listen("").await;
    hear(&mut late, &mut heard_late, "Heard of").await;
    assert!(heard_late.contains("event: snapshot"), "{heard_late}");
    server.terminate();
    while one.chunk().await.is_ok_and(|bytes| bytes.is_some()) {}
    assert_eq!(server.wait().code(), Some(0));
}
