//! What people hear and do in calls, on the real server: scripts, keys, agents, callers, test calls.

use std::time::{Duration, Instant};

use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::harness::{Answer, Api, PATIENCE, Server, TOKEN, answer};
use crate::job::{any_hour, finished, started};

const NOBODY: &str = "0199aaaa-0000-7000-8000-000000000000";

fn settings() -> [(&'static str, &'static str); 3] {
    [("CALLCORE_API_TOKEN", TOKEN), ("CALLCORE_SIM_SPEED", "5000"), ("CALLCORE_SIM_SEED", "7")]
}

fn wav() -> Vec<u8> {
    let mut file = b"RIFF\x2c\x00\x00\x00WAVEfmt \x10\x00\x00\x00".to_vec();
    file.extend([1, 0, 1, 0, 0x40, 0x1f, 0, 0, 0x80, 0x3e, 0, 0, 2, 0, 16, 0]);
    file.extend(b"data\x08\x00\x00\x00\x00\x00\x01\x00\x02\x00\x03\x00");
    file
}

/// People with fictional numbers, a hundred in each area.
fn people(areas: &[u32]) -> Vec<u8> {
    let mut list = "Name,Phone,City\n".to_owned();
    for area in areas {
        for last in 0..100 {
            list.push_str(&format!("Client {last},+1{area}55501{last:02},Rome\n"));
        }
    }
    list.into_bytes()
}

async fn upload(api: &Api, key: &str, name: &str, file: Vec<u8>) -> Answer {
    let part = Part::bytes(file).file_name("offer.wav");
    let form = Form::new().part("file", part).text("name", name.to_owned());
    answer(api.request("POST", "/api/audio").header("idempotency-key", key).multipart(form)).await
}

/// Waits until something is there.
async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "{what} does not come");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn history(api: &Api, filter: &str) -> Vec<Value> {
    let page = api.get(&format!("/api/calls/history?limit=200&{filter}")).await;
    page["items"].as_array().unwrap().clone()
}

fn said(call: &Value) -> Vec<&str> {
    let lines = call["transcript"].as_array().map(Vec::as_slice).unwrap_or_default();
    lines.iter().filter_map(|line| line["text"].as_str()).collect()
}

async fn read(api: &Api, call: &Value) -> Value {
    api.get(&format!("/api/calls/{}", call["id"].as_str().unwrap())).await
}

#[tokio::test]
async fn audio_is_uploaded_heard_and_removed() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &settings());
    let api = server.api();
    let first = upload(&api, "u", "Offer", wav()).await;
    assert_eq!(first.status, 201, "{}", first.text);
    assert_eq!(upload(&api, "u", "Offer", wav()).await.json, first.json);
    let other = upload(&api, "u", "Other", wav()).await;
    assert_eq!(other.told(), (422, "idempotency_key_reused"));
    assert_eq!(upload(&api, "n", "Page", b"<html>".to_vec()).await.fields(), ["file"]);
    assert_eq!(api.get("/api/audio").await["items"], json!([first.json]));
    let path = format!("/api/audio/{}", first.json["id"].as_str().unwrap());
    let part = answer(api.request("GET", &path).header("range", "bytes=8-11")).await;
    assert_eq!((part.status.as_u16(), &*part.text), (206, "WAVE"));
    let nowhere = format!("/api/audio/{NOBODY}");
    for method in ["GET", "DELETE"] {
        assert_eq!(answer(api.request(method, &nowhere)).await.told(), (404, "not_found"));
    }
    let mut campaign = any_hour("Playing", 1);
    campaign["script"] =
        json!({"notice": "Recorded.", "steps": [{"say": "Hi."}, {"play": NOBODY}]});
    let refused = api.ask("POST", "/api/campaigns", &campaign).await;
    assert_eq!((refused.status.as_u16(), refused.fields()), (422, vec!["script.steps[1].play"]));
    campaign["script"] = json!({"notice": "Recorded.", "steps": [{"play": first.json["id"]}]});
    api.post("/api/campaigns", &campaign).await;
    assert_eq!(answer(api.request("DELETE", &path)).await.told(), (409, "audio_in_use"));
    // Nobody fetches it by guessing.
    let stranger = api.of_a_stranger();
    for token in ["x", NOBODY, &"00".repeat(40)] {
        let fetched = answer(stranger.request("GET", &format!("/media/{token}"))).await;
        assert_eq!(fetched.told(), (404, "not_found"));
    }
}

#[tokio::test]
async fn the_settings_that_the_guide_shows_are_taken_as_they_stand() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &settings());
    let api = server.api();
    let audio = upload(&api, "u", "Offer", wav()).await.json["id"].as_str().unwrap().to_owned();
    let guide = include_str!("../../../../docs/settings.md");
    let (_, shown) = guide.split_once("```json\n").unwrap();
    let (shown, _) = shown.split_once("```").unwrap();
    let shown = shown.replace("0199aaaa-0000-7000-8000-000000000000", &audio);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let made = api.post("/api/campaigns", &shown).await;
    let known = made["settings"].as_object().unwrap_or_else(|| panic!("{made}"));
    for (field, value) in known {
        assert!(shown.get(field).is_some(), "the guide leaves out {field}");
        assert_eq!(value, &shown[field], "{field}");
    }
}

#[tokio::test]
async fn people_hear_the_script_press_keys_and_call_back() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &settings());
    let api = server.api();
    let audio = upload(&api, "u", "Offer", wav()).await.json["id"].as_str().unwrap().to_owned();
    let message = upload(&api, "v", "Message", wav()).await.json["id"].clone();
    let mut campaign = any_hour("Scripted", 200);
    campaign["script"] = json!({
        "notice": "Recorded.",
        "steps": [{"say": "Hello {{name}} of {{City}}."}, {"play": audio}],
        "keys": {"1": {"tag": "confirmed"}, "0": {"transfer": "+12125550100"}, "9": "opt_out"},
    });
    campaign["voicemail"] = json!({"policy": "leave_message", "message": {"play": message}});
    campaign["inbound"] = json!({
        "notice": "Recorded.",
        "steps": [{"say": "Thank you for calling {{campaign}} back."}],
    });
    let (id, _) =
        started(&api, &campaign, people(&[212, 303, 415, 617, 201, 202, 203, 205, 206, 207])).await;
    let done = finished(&api, &id).await;

    let answered =
        history(&api, &format!("campaign={id}&outcome=answered&direction=outbound")).await;
    let call = read(&api, &answered[0]).await;
    let heard = said(&call);
    assert!(heard.contains(&"[audio Offer]"), "{call}");
    assert!(
        heard.iter().any(|line| line.starts_with("Hello Client ") && line.ends_with("of Rome."))
    );
    let handed_on = answered.iter().find(|call| call["end_reason"] == "transferred");
    assert!(handed_on.is_some(), "somebody pressed 0");
    assert!(answered.iter().any(|call| call["tags"][0] == "confirmed"), "somebody pressed 1");
    let opted_out = history(&api, &format!("campaign={id}&outcome=opted_out")).await;
    let dnc = api.get("/api/dnc?limit=200").await;
    for call in &opted_out {
        let listed = dnc["items"].as_array().unwrap().iter();
        assert!(listed.filter(|entry| entry["phone"] == call["phone"]).count() == 1, "{call}");
    }
    assert!(!opted_out.is_empty(), "somebody pressed 9");
    let voicemail = history(&api, &format!("campaign={id}&outcome=voicemail")).await;
    let mut left = 0;
    for call in voicemail.iter().take(20) {
        left += usize::from(said(&read(&api, call).await).contains(&"[audio Message]"));
    }
    assert!(left > 10, "machines were left a message");

    let inbound = eventually("a call back", async || {
        history(&api, &format!("campaign={id}&direction=inbound")).await.pop()
    })
    .await;
    let inbound = read(&api, &inbound).await;
    assert!(said(&inbound).contains(&"Thank you for calling Scripted back."), "{inbound}");
    assert!(!inbound["client_id"].is_null() && inbound["test"] == false);
    assert_eq!(inbound["campaign_name"], "Scripted");

    test_calls_count_nowhere(&api, &id, &done).await;
}

/// A test call on a finished campaign, which stays as it is.
async fn test_calls_count_nowhere(api: &Api, id: &str, done: &Value) {
    let path = format!("/api/campaigns/{id}/test-call");
    let client = api.get(&format!("/api/campaigns/{id}/clients?limit=1")).await["items"][0].clone();
    let body = json!({"phone": "+12125550199", "client_id": client["id"]});
    let made = api.ask_once("t", &path, &body).await;
    assert_eq!(made.status, 202, "{}", made.text);
    assert_eq!(api.ask_once("t", &path, &body).await.json["id"], made.json["id"]);
    assert_eq!(made.json["test"], true);
    let call = eventually("the test call's end", async || {
        let call = read(api, &made.json).await;
        (call["status"] == "ended").then_some(call)
    })
    .await;
    assert!(call["client_id"].is_null());
    assert!(history(api, &format!("campaign={id}")).await.iter().any(|it| it["id"] == call["id"]));
    let after = api.get(&format!("/api/campaigns/{id}")).await;
    for count in ["state", "attempted", "answered", "clients_by_status", "calls_in_progress"] {
        assert_eq!(after[count], done[count], "{count}");
    }
    let wrong = api.ask("POST", &path, &json!({"phone": "911", "client_id": NOBODY})).await;
    assert_eq!((wrong.status.as_u16(), wrong.fields()), (422, vec!["phone"]));
    let nowhere = format!("/api/campaigns/{NOBODY}/test-call");
    let nowhere = api.ask("POST", &nowhere, &json!({"phone": "+12125550199"})).await;
    assert_eq!(nowhere.told(), (404, "not_found"));
    api.post("/api/dnc", &json!({"phone": "+12125550198"})).await;
    let listed = api.ask("POST", &path, &json!({"phone": "+12125550198"})).await;
    assert_eq!(listed.told(), (422, "on_dnc"));
}

#[tokio::test]
async fn callers_leave_messages_and_people_are_handed_over_at_the_end_of_a_script() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &settings());
    let api = server.api();
    let mut campaign = any_hour("Messages", 200);
    let inbound = json!({
        "notice": "Recorded.",
        "steps": [{"say": "After the beep, please."}, {"record": {"max_seconds": 30}}, {"say": "Thanks."}],
    });
    campaign["script"] = inbound.clone();
    let refused = api.ask("POST", "/api/campaigns", &campaign).await;
    assert_eq!((refused.status.as_u16(), refused.fields()), (422, vec!["script.steps[1].record"]));
    campaign["script"] = json!({
        "notice": "Recorded.",
        "steps": [{"say": "Hello {{name}}."}, {"transfer": "+12125550100"}],
        "keys": {"9": "opt_out"},
    });
    campaign["inbound"] = inbound.clone();
    // A message is kept whether calls are recorded or not.
    (campaign["recording"], campaign["transcription"]) = (json!(false), json!(true));
    let (id, _) = started(&api, &campaign, people(&[212, 303, 415, 617])).await;
    let kept = api.get(&format!("/api/campaigns/{id}")).await["settings"].clone();
    let max = &kept["inbound"]["steps"][1]["record"]["max_seconds"];
    let to = &kept["script"]["steps"][1]["transfer"];
    assert_eq!((max, to), (&json!(30), &json!("+12125550100")), "{kept}");
    let client = api.get(&format!("/api/campaigns/{id}/clients?limit=1")).await["items"][0].clone();
    let preview =
        format!("/api/campaigns/{id}/preview?client_id={}", client["id"].as_str().unwrap());
    let heard = api.get(&preview).await["client"]["steps"].clone();
    assert_eq!(heard[3], json!({"transfer": "+12125550100"}), "{heard}");
    finished(&api, &id).await;
    let filter = format!("campaign={id}&outcome=answered&direction=outbound");
    let answered = history(&api, &filter).await.into_iter();
    let handed_over = answered.filter(|it| it["end_reason"] == "transferred");
    assert!(handed_over.count() > 20, "whoever stays is handed over");

    let told = eventually("a message", async || {
        let inbox = api.get("/api/notices?limit=200").await;
        inbox["items"].as_array()?.iter().find(|it| it["kind"] == "message_left").cloned()
    })
    .await;
    let path = format!("/api/calls/{}", told["call_id"].as_str().unwrap());
    let call = api.get(&path).await;
    assert_eq!((&call["direction"], &call["has_recording"]), (&json!("inbound"), &json!(true)));
    let asked = said(&call).iter().position(|line| *line == "After the beep, please.").unwrap();
    assert_eq!(said(&call)[asked + 2..], ["Thanks."], "{call}");
    let recording = format!("{path}/recording");
    let part = answer(api.request("GET", &recording).header("range", "bytes=8-11")).await;
    assert_eq!((part.status.as_u16(), &*part.text), (206, "WAVE"));
    let person =
        format!("/api/clients/{}/personal-data?reason=asked", call["client_id"].as_str().unwrap());
    let erased = answer(api.request("DELETE", &person)).await;
    assert!(erased.status.is_success(), "{}", erased.text);
    assert_eq!(answer(api.request("GET", &recording)).await.status, 404);
}

fn with_agent(name: &str) -> Value {
    let mut campaign = any_hour(name, 200);
    campaign["script"] = json!({
        "notice": "Recorded.",
        "steps": [
            {"say": "Hello {{name}}."},
            {"connect": {"url": "wss://agent.example", "params": {"city": "{{City}}"}}}
        ],
    });
    campaign
}

/// What the agents of a campaign reported is in its calls, and what they heard is in force.
async fn agents_reported(api: &Api, id: &str) {
    finished(api, id).await;
    let reported = eventually("an agent's result", async || {
        let calls = history(api, &format!("campaign={id}")).await;
        let labelled: Vec<Value> =
            calls.into_iter().filter(|call| !call["disposition"].is_null()).collect();
        (labelled.len() > 20).then_some(labelled)
    })
    .await;
    let call = read(api, &reported[0]).await;
    assert!(call["tags"].as_array().unwrap().contains(&call["disposition"]), "{call}");
    assert!(said(&call).len() > 3, "script and agent are one conversation: {call}");
    let offsets: Vec<u64> = call["transcript"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["offset_seconds"].as_u64().unwrap())
        .collect();
    assert!(offsets.is_sorted(), "{offsets:?}");
    let path = format!("/api/calls/{}/result", call["id"].as_str().unwrap());
    for token in [TOKEN, "x", &"00".repeat(40)] {
        let refused = api.of(token).ask("POST", &path, &json!({"opt_out": true})).await;
        assert_eq!(refused.told(), (401, "not_signed_in"));
    }
    let opted_out = history(api, &format!("campaign={id}&outcome=opted_out")).await;
    for call in &opted_out {
        let phone = call["phone"].as_str().unwrap().trim_start_matches('+');
        assert_eq!(api.get(&format!("/api/dnc?q={phone}")).await["items"][0]["source"], "opt_out");
    }
}

#[tokio::test]
async fn agents_talk_to_people_and_report_with_their_calls_tokens() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &settings());
    let api = server.api();
    let (id, _) = started(&api, &with_agent("Agents"), people(&[212, 303, 415])).await;
    agents_reported(&api, &id).await;
}

#[tokio::test]
async fn agents_of_a_carrier_in_its_own_process_report_too() {
    const SECRET: &str = "a secret of server and carrier";
    let directory = tempfile::tempdir().unwrap();
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server_url = format!("http://{address}");
    let carrier = Server::carrier(
        directory.path(),
        &[
            ("CALLCORE_SIM_CARRIER_SECRET", SECRET),
            ("CALLCORE_SIM_CARRIER_SERVER_URL", &server_url),
            ("CALLCORE_SIM_CARRIER_LOG", "dials.jsonl"),
            ("CALLCORE_SIM_SEED", "7"),
        ],
    );
    let settings = [
        ("CALLCORE_API_TOKEN", TOKEN),
        ("CALLCORE_SIM_SPEED", "5000"),
        ("CALLCORE_SIM_CARRIER_URL", carrier.url()),
        ("CALLCORE_SIM_CARRIER_SECRET", SECRET),
    ];
    let server = Server::start_on(directory.path(), &address.to_string(), &settings);
    let api = server.api();
    let (id, _) = started(&api, &with_agent("Agents"), people(&[212, 303])).await;
    agents_reported(&api, &id).await;
}
