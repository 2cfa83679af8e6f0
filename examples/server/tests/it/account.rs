//! The account as a whole: its settings and its switches.

use serde_json::json;

use crate::harness::{Server, TOKEN, answer};
use crate::job::any_hour;

const SETTINGS: [(&str, &str); 3] = [
    ("CALLCORE_API_TOKEN", TOKEN),
    ("CALLCORE_TIME_ZONE", "America/New_York"),
    ("CALLCORE_SIM_SPEED", "1"),
];

#[tokio::test]
async fn settings_are_changed_by_version_and_outlive_the_server() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &SETTINGS);
    let api = server.api();
    let path = "/api/settings";
    let first = api.get(path).await;
    assert_eq!((&first["settings_version"], &first["stopped"]), (&json!(1), &json!(null)));
    assert_eq!(first["time_zone"], "America/New_York", "the server's, unless set");

    let change = json!({"calls_at_once": 5, "mail": {"to": ["team@example.com"]}});
    let bare = api.ask("PATCH", path, &change).await;
    assert_eq!(bare.told(), (428, "if_match_required"));
    let patch = |version: &str| api.request("PATCH", path).header("if-match", version);
    let wrong = json!({"calls_at_once": 0, "mail": {"to": ["nobody"]}, "colour": "red"});
    let bad = answer(patch("1").json(&wrong)).await;
    assert_eq!(bad.told(), (400, "invalid_fields"));
    assert_eq!(bad.fields(), ["calls_at_once", "mail.to[0]", "colour"]);
    let out_of_range = answer(patch("1").json(&json!({"calls_at_once": 0}))).await;
    assert_eq!(out_of_range.told(), (422, "invalid_fields"));
    let changed = answer(patch("\"1\"").json(&change)).await;
    assert_eq!(
        (changed.status.as_u16(), &changed.headers["etag"]),
        (200, &"\"2\"".parse().unwrap())
    );
    let stale = answer(patch("1").json(&change)).await;
    assert_eq!(stale.told(), (412, "stale"));
    drop(server);

    let server = Server::start(directory.path(), &SETTINGS);
    let kept = server.api().get(path).await;
    assert_eq!(
        (&kept["settings_version"], &kept["settings"]["calls_at_once"]),
        (&json!(2), &json!(5))
    );
    assert_eq!(kept["settings"]["mail"]["to"], json!(["team@example.com"]));
}

#[tokio::test]
async fn all_dialling_stays_stopped_over_a_restart_until_somebody_resumes() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &SETTINGS);
    let api = server.api();
    let bad = api.ask("POST", "/api/stop-all", &json!({"hang_up": 1, "why": "x"})).await;
    assert_eq!((bad.told(), bad.fields()), ((400, "invalid_fields"), vec!["hang_up", "why"]));
    let stop = json!({"reason": "a wrong list"});
    let stopped = api.ask_once("stop", "/api/stop-all", &stop).await;
    let again = api.ask_once("stop", "/api/stop-all", &stop).await;
    assert_eq!((stopped.status.as_u16(), &stopped.text), (200, &again.text));
    assert_eq!(stopped.json["in_flight"], json!([]));
    let other = api.ask_once("stop", "/api/stop-all", &json!({"hang_up": true})).await;
    assert_eq!(other.told(), (422, "idempotency_key_reused"));

    let campaign = api.post("/api/campaigns", &any_hour("Stopped", 5)).await;
    let id = campaign["id"].as_str().unwrap().to_owned();
    let list = b"name,phone\nAda,+12125550101\nBo,+12125550102\n".to_vec();
    assert_eq!(api.imported(&id, list).await["accepted"], 2);
    api.post(&format!("/api/campaigns/{id}/start"), &json!({})).await;
    let calls = api.get("/api/calls/upcoming").await;
    let call = calls["items"][0]["id"].as_str().unwrap().to_owned();
    // Whoever wants a call at once hears that there is none, and nothing waits for the restart.
    let client = calls["items"][0]["client_id"].as_str().unwrap();
    for (path, body) in [
        (format!("/api/calls/{call}/call-now"), json!({})),
        (format!("/api/clients/{client}/call-now"), json!({})),
        (format!("/api/campaigns/{id}/test-call"), json!({"phone": "+12125550190"})),
    ] {
        let refused = api.ask("POST", &path, &body).await;
        assert_eq!(refused.told(), (409, "all_dialling_stopped"), "{path}");
    }
    drop(server);

    let server = Server::start(directory.path(), &SETTINGS);
    let api = server.api();
    let account = api.get("/api/settings").await;
    assert_eq!(account["stopped"]["reason"], "a wrong list");
    assert_eq!(api.get("/api/dashboard").await["account"]["stopped"], account["stopped"]);
    assert_eq!(api.get("/api/calls/upcoming").await["items"].as_array().unwrap().len(), 2);
    let bad = api.ask("POST", "/api/resume-all", &json!({"campaigns": []})).await;
    assert_eq!((bad.told(), bad.fields()), ((400, "invalid_fields"), vec!["campaigns"]));
    let resumed = api.ask_once("go", "/api/resume-all", &json!({})).await;
    let again = api.ask_once("go", "/api/resume-all", &json!({})).await;
    assert_eq!((resumed.status.as_u16(), &resumed.text), (200, &again.text));
    assert_eq!(resumed.json["stopped"], json!(null));
    // What waited is dialled now.
    let start = std::time::Instant::now();
    while !api.get("/api/calls/upcoming").await["items"].as_array().unwrap().is_empty() {
        assert!(start.elapsed() < crate::harness::PATIENCE, "nobody is called");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn every_running_campaign_is_paused_at_once_and_named() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &SETTINGS);
    let api = server.api();
    let path = "/api/campaigns/pause-all";
    api.post("/api/stop-all", &json!({})).await;
    let campaign = api.post("/api/campaigns", &any_hour("Paused", 5)).await;
    let id = campaign["id"].as_str().unwrap().to_owned();
    api.imported(&id, b"name,phone\nAda,+12125550101\n".to_vec()).await;
    api.post(&format!("/api/campaigns/{id}/start"), &json!({})).await;
    let bad = api.ask("POST", path, &json!({"why": 1})).await;
    assert_eq!((bad.told(), bad.fields()), ((400, "invalid_fields"), vec!["why"]));
    let paused = api.ask_once("pause", path, &json!({})).await;
    let again = api.ask_once("pause", path, &json!({})).await;
    assert_eq!((paused.status.as_u16(), &paused.text), (200, &again.text));
    let of = &paused.json["paused"];
    assert_eq!(of.as_array().unwrap().len(), 1);
    assert_eq!((&of[0]["id"], &of[0]["state"]), (&json!(id), &json!("paused")));
    assert_eq!(api.post(path, &json!({})).await, json!({"paused": []}));
    let resumed = api.post(&format!("/api/campaigns/{id}/resume"), &json!({})).await;
    assert_eq!((&resumed["state"], &resumed["paused_by"]), (&json!("running"), &json!(null)));
}
