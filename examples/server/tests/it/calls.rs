//! What people do with calls and clients, over HTTP.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Api, PATIENCE, Server, TOKEN};
use crate::job::{any_hour, finished, started};

const SETTINGS: [(&str, &str); 3] =
    [("CALLCORE_API_TOKEN", TOKEN), ("CALLCORE_SIM_SPEED", "5000"), ("CALLCORE_SIM_SEED", "7")];
const NOBODY: &str = "0199aaaa-0000-7000-8000-000000000000";
const LIST: &[u8] = b"name,phone,tags\nAda,+12125550100,vip\nbob,+12125550101,\n\
    \xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d,+12125550102,vip\nZoe,+12125550103,\n";

/// A draft with the list: its id, its clients and their calls, in the list's order.
async fn draft(api: &Api) -> (String, Vec<String>, Vec<String>) {
    let campaign = api.post("/api/campaigns", &any_hour("Renewals", 4)).await;
    let id = campaign["id"].as_str().unwrap().to_owned();
    api.imported(&id, LIST.to_vec()).await;
    let list = api.get(&format!("/api/campaigns/{id}/clients")).await;
    let clients = list["items"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let ids = clients.iter().map(|it| text(&it["id"])).collect();
    let calls = clients.iter().map(|it| text(&it["next_call"]["id"])).collect();
    (id, ids, calls)
}

fn ids(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().unwrap();
    items.iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect()
}

/// A call once it has ended.
async fn ended(api: &Api, call: &str) -> Value {
    let start = Instant::now();
    loop {
        let view = api.get(&format!("/api/calls/{call}")).await;
        if view["status"] == "ended" {
            return view;
        }
        assert!(start.elapsed() < PATIENCE, "the call does not end: {view}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_history_is_sorted_searched_and_paged() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &SETTINGS);
    let api = server.api();
    let (id, _) = started(&api, &any_hour("Renewals", 4), LIST.to_vec()).await;
    finished(&api, &id).await;
    let whole = api.get("/api/calls/history?limit=200").await;
    let count = whole["items"].as_array().unwrap().len();
    assert!(count >= 4, "{whole}");
    for sort in ["date", "-date", "name", "-name", "duration", "-duration"] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("/api/calls/history?sort={sort}&limit=3&campaign={id}{cursor}");
            let page = api.get(&path).await;
            seen.extend(ids(&page));
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(seen.len(), count, "{sort}");
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), count, "{sort}: each once");
    }
    let names = api.get("/api/calls/history?sort=name&limit=1").await;
    assert_eq!(names["items"][0]["name"], "Ada");
    let cursor = names["next_cursor"].as_str().unwrap();
    let other = format!("/api/calls/history?sort=duration&cursor={cursor}");
    assert_eq!(api.ask("GET", &other, &Value::Null).await.fields(), ["cursor"]);
    for (query, found) in [("q=zo", "Zoe"), ("q=5550101", "bob"), ("tag=vip&q=ada", "Ada")] {
        let page = api.get(&format!("/api/calls/history?{query}")).await;
        let items = page["items"].as_array().unwrap();
        assert!(!items.is_empty() && items.iter().all(|it| it["name"] == found), "{query}: {page}");
    }
    let bad = "/api/calls/history?sort=phone&outcome=great&review=x&direction=up&from=soon&page=2";
    let bad = api.ask("GET", bad, &Value::Null).await;
    assert_eq!(bad.status, 400);
    assert_eq!(bad.fields(), ["from", "sort", "outcome", "review", "direction", "page"]);
    // Calls to come are sorted by their date alone.
    let upcoming = api.ask("GET", "/api/calls/upcoming?sort=name", &Value::Null).await;
    assert_eq!((upcoming.told(), upcoming.fields()), ((400, "invalid_fields"), vec!["sort"]));
}

#[tokio::test]
async fn a_person_calls_and_calls_again() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &SETTINGS);
    let api = server.api();
    let (_, clients, calls) = draft(&api).await;
    let now = |client: &str| format!("/api/clients/{client}/call-now");
    let told = api.ask("POST", &now(&clients[0]), &json!({})).await;
    assert_eq!(told.told(), (409, "campaign_state"));
    let call = api.ask("POST", &format!("/api/calls/{}/call-now", calls[0]), &json!({})).await;
    assert_eq!(call.told(), (409, "campaign_state"));
    let (id, _) = started(&api, &any_hour("Another", 4), LIST.to_vec()).await;
    finished(&api, &id).await;
    let client = api.get(&format!("/api/campaigns/{id}/clients?limit=1")).await["items"][0].clone();
    let client = client["id"].as_str().unwrap();
    let first = api.ask_once("now", &now(client), &json!({})).await;
    assert_eq!(first.status, 202, "{}", first.text);
    let twin = api.ask_once("now", &now(client), &json!({})).await;
    assert_eq!(twin.json, first.json, "a repeated request calls once");
    let call = first.json["id"].as_str().unwrap();
    let over = ended(&api, call).await;
    assert!(over["attempt"].as_u64().unwrap() > 1, "{over}");
    let hours = api.ask("POST", &now(client), &json!({"override_hours": true})).await;
    assert_eq!((hours.status.as_u16(), hours.fields()), (400, vec!["override_hours"]));
    let gone = api.ask("POST", &now(NOBODY), &json!({})).await;
    assert_eq!(gone.told(), (404, "not_found"));
    api.ask("PATCH", &format!("/api/clients/{client}"), &json!({"active": false})).await;
    assert_eq!(api.ask("POST", &now(client), &json!({})).await.told(), (409, "inactive"));
    let retry = format!("/api/calls/{call}/retry");
    assert_eq!(api.ask("POST", &retry, &json!({})).await.told(), (409, "inactive"));
    api.ask("PATCH", &format!("/api/clients/{client}"), &json!({"active": true})).await;
}

#[tokio::test]
async fn many_calls_are_changed_and_each_has_its_result() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &SETTINGS);
    let api = server.api();
    let (_, _, calls) = draft(&api).await;
    let skip = json!({
        "action": "skip", "reason": "other", "note": "moved", "ids": [calls[0], NOBODY, calls[1]]
    });
    let first = api.ask_once("b", "/api/calls/bulk", &skip).await;
    assert_eq!(first.status, 200, "{}", first.text);
    let statuses: Vec<_> = first.json["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["status"].as_u64().unwrap())
        .collect();
    assert_eq!(statuses, [200, 404, 200]);
    assert_eq!(api.ask_once("b", "/api/calls/bulk", &skip).await.json, first.json);
    let other = json!({"action": "skip", "reason": "duplicate", "ids": [calls[2]]});
    let reused = api.ask_once("b", "/api/calls/bulk", &other).await;
    assert_eq!(reused.told(), (422, "idempotency_key_reused"));
    let review = json!({"action": "review", "status": "reviewed", "ids": [calls[0], calls[2]]});
    let review = api.ask("POST", "/api/calls/bulk", &review).await;
    assert_eq!(review.json["results"][1]["code"], "call_state");
    let shift = json!({"action": "reschedule", "shift_seconds": 3600, "ids": [calls[2], calls[3]]});
    let shift = api.ask("POST", "/api/calls/bulk", &shift).await;
    assert_eq!(shift.json["done"], 2, "{}", shift.text);
    let tag = json!({"action": "tag", "tags": ["call back"], "ids": calls});
    let tag = api.ask("POST", "/api/calls/bulk", &tag).await;
    assert_eq!((tag.status.as_u16(), &tag.json["done"]), (200, &json!(4)));
    let found = api.get("/api/calls/history?tag=call%20back").await;
    assert_eq!(found["items"].as_array().unwrap().len(), 2);
    let bad = json!({"action": "review", "ids": ["x"], "status": "fine", "more": 1});
    let bad = api.ask("POST", "/api/calls/bulk", &bad).await;
    assert_eq!((bad.status.as_u16(), bad.fields()), (400, vec!["ids.0", "status", "more"]));
}

#[tokio::test]
async fn a_client_is_changed_explained_and_told_with_its_calls() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &SETTINGS);
    let api = server.api();
    let (_, clients, calls) = draft(&api).await;
    let (_, others, _) = draft(&api).await;
    let path = format!("/api/clients/{}", clients[0]);
    let change = json!({
        "notes": "asked for\nthe evening", "tags": ["late", "vip"], "time_zone": "America/Denver",
        "consent": {"basis": "signed", "source": "web form", "at": null, "evidence": null},
    });
    let changed = api.ask("PATCH", &path, &change).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    assert_eq!(changed.json["notes"][0]["text"], "asked for\nthe evening");
    assert_eq!(changed.json["zones"][0], json!({"zone": "America/Denver", "source": "person"}));
    assert_eq!(changed.json["consent"]["basis"], "signed");
    let other = api.get(&format!("/api/clients/{}", others[0])).await;
    assert_eq!(other["notes"], json!([]), "the same number in another campaign is another client");
    let note = format!("/api/calls/{}/notes", calls[0]);
    assert_eq!(api.ask("PATCH", &note, &json!({"notes": "שלום"})).await.status, 200);
    let review = format!("/api/calls/{}/review", calls[0]);
    let early = api.ask("PATCH", &review, &json!({"status": "reviewed"})).await;
    assert_eq!(early.told(), (409, "call_state"));
    api.post(&format!("/api/calls/{}/skip", calls[0]), &json!({"reason": "bad_timing"})).await;
    let label = json!({"status": "needs_follow_up", "disposition": "call back"});
    let reviewed = api.ask("PATCH", &review, &label).await;
    assert_eq!(reviewed.json["disposition"], "call back");
    assert_eq!(reviewed.json["notes"][0]["text"], "שלום");
    let explained = api.get(&format!("{path}/explain")).await;
    assert_eq!(explained["status"], "skipped");
    assert_eq!(explained["words"], "no call is to come: a person took it out of the queue");
    let timeline = api.get(&format!("{path}/history")).await;
    assert_eq!(timeline["items"][0]["id"], calls[0].as_str());
    assert_eq!(timeline["upcoming"][0]["other_campaign"], true);
    let bad =
        json!({"notes": "a\u{202e}b", "tags": [""], "active": 1, "time_zone": "Mars", "age": 9});
    let bad = api.ask("PATCH", &path, &bad).await;
    assert_eq!(bad.status, 400);
    assert_eq!(bad.fields(), ["time_zone", "notes", "tags.0", "active", "age"]);
    for (method, path) in [
        ("PATCH", format!("/api/clients/{NOBODY}")),
        ("PATCH", format!("/api/calls/{NOBODY}/notes")),
    ] {
        let answer = api.ask(method, &path, &json!({"notes": "x"})).await;
        assert_eq!(answer.told(), (404, "not_found"), "{method} {path}");
    }
    for path in ["explain", "history"] {
        let path = format!("/api/clients/{NOBODY}/{path}");
        assert_eq!(api.ask("GET", &path, &Value::Null).await.told(), (404, "not_found"), "{path}");
    }
}
