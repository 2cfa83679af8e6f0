//! The server on Twilio, played by a fake on the loopback.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use callcore_twilio::testing::{Beep, FakeTwilio, Fate, Trouble};
use serde_json::{Value, json};

use crate::harness::{Api, PATIENCE, Server, TOKEN, answer, command, run};
use crate::job::any_hour;

const FROM: &str = "+12125550100";

/// A server's settings, with the address on which Twilio reaches it.
pub(crate) struct Settings(Vec<(&'static str, String)>);

impl Settings {
    pub(crate) fn new(fake: &FakeTwilio, address: &str) -> Self {
        Self(vec![
            ("CALLCORE_API_TOKEN", TOKEN.to_owned()),
            ("CALLCORE_PUBLIC_URL", format!("http://{address}")),
            ("TWILIO_ACCOUNT_SID", FakeTwilio::ACCOUNT.to_owned()),
            ("TWILIO_AUTH_TOKEN", fake.token()),
            ("TWILIO_FROM", FROM.to_owned()),
            ("TWILIO_API_BASE_URL", fake.url()),
            ("RUST_LOG", "error".to_owned()),
        ])
    }

    pub(crate) fn start(&self, directory: &Path, address: &str) -> Server {
        Server::start_on(directory, address, &self.borrowed())
    }

    fn borrowed(&self) -> Vec<(&str, &str)> {
        self.0.iter().map(|(name, value)| (*name, &**value)).collect()
    }
}

pub(crate) fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// A campaign that runs, of fictional numbers.
pub(crate) async fn running(api: &Api, settings: &Value, clients: u32) -> String {
    let account = api.get("/api/settings").await;
    if account["settings"]["calls_per_second"] == 1 {
        let version = account["settings_version"].to_string();
        let faster = api.request("PATCH", "/api/settings").header("if-match", version);
        let faster = answer(faster.json(&json!({"calls_per_second": 1000}))).await;
        assert_eq!(faster.status, 200, "{}", faster.text);
    }
    let campaign = api.post("/api/campaigns", settings).await;
    let id = campaign["id"].as_str().unwrap().to_owned();
    let rows = (0..clients).map(|n| format!("Client {n},+1212555{:04}\n", 101 + n));
    let list = format!("Name,Phone\n{}", rows.collect::<String>());
    api.imported(&id, list.into_bytes()).await;
    api.post(&format!("/api/campaigns/{id}/start"), &json!({})).await;
    id
}

async fn history(api: &Api) -> BTreeMap<String, Value> {
    let list = api.get("/api/calls/history?limit=200").await;
    let items = list["items"].as_array().unwrap().iter();
    items
        .map(|call| (call["phone"].as_str().unwrap_or_default().to_owned(), call.clone()))
        .collect()
}

/// Waits until something is so.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_list_is_called_through_twilio_and_every_fate_is_told() {
    let fake = FakeTwilio::start().await.unwrap();
    for (number, fate) in [
        ("+12125550101", Fate::Person { presses: None }),
        ("+12125550102", Fate::Person { presses: Some('9') }),
        ("+12125550103", Fate::Machine),
        ("+12125550104", Fate::Busy),
        ("+12125550105", Fate::NoAnswer),
        ("+12125550106", Fate::Failed(404)),
    ] {
        fake.fate(number, fate);
    }
    let (directory, address) = (tempfile::tempdir().unwrap(), free_address());
    let settings = Settings::new(&fake, &address);
    let server = settings.start(directory.path(), &address);
    let api = server.api();
    let account = api.get("/api/settings").await;
    let pace = &account["settings"]["calls_per_second"];
    assert_eq!(*pace, 1, "what Twilio starts, until somebody says otherwise");
    let mut campaign = any_hour("Real", 50);
    campaign["recording"] = json!(true);
    campaign["script"] = json!({
        "notice": "This call is recorded.",
        "steps": [{"say": "Hello {{first_name|there}}."}],
        "keys": {"9": "opt_out"}
    });
    running(&api, &campaign, 6).await;
    let ended = until("every call ends", async || {
        let ended = history(&api).await;
        let told = ended.values().filter(|call| call["outcome"] != "failed").count();
        (ended.len() == 6 && told >= 5).then_some(ended)
    })
    .await;
    let outcome = |n: u32| ended[&format!("+1212555{:04}", 100 + n)]["outcome"].as_str().unwrap();
    assert_eq!(
        [1, 2, 3, 4, 5, 6].map(outcome),
        ["answered", "opted_out", "voicemail", "busy", "no_answer", "failed"]
    );
    let listed = api.get("/api/dnc").await;
    assert_eq!(listed["items"][0]["phone"], "+12125550102");
    assert_eq!(ended["+12125550106"]["end_reason"], "sip_404");

    let dials = fake.dials();
    assert!(dials.iter().all(|dial| dial.field("From") == Some(FROM)));
    let heard = |to: &str| dials.iter().find(|dial| dial.to == to).unwrap().heard.clone();
    assert_eq!(heard("+12125550101")[..2], ["This call is recorded.", "Hello Client."]);
    assert_eq!(heard("+12125550102").last().unwrap(), "You will not be called again. Goodbye.");

    let call = ended["+12125550101"]["id"].as_str().unwrap();
    let audio = api.request("GET", &format!("/api/calls/{call}/recording")).send().await.unwrap();
    assert_eq!(audio.status(), 200);
    assert_eq!(audio.headers()["content-type"], "audio/x-wav");

    // Whoever calls back is known.
    let public = format!("http://{address}");
    fake.ring_in(&public, "+12125550105", FROM, None).await;
    until("the call back stands in the history", async || {
        let calls = api.get("/api/calls/history?direction=inbound").await;
        let call = calls["items"].as_array().unwrap().first().cloned()?;
        (call["phone"] == "+12125550105" && call["client_id"].is_string()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_caller_leaves_a_message_at_twilio_and_a_person_is_handed_over() {
    const SALES: &str = "+12125550199";
    let fake = FakeTwilio::start().await.unwrap();
    let (directory, address) = (tempfile::tempdir().unwrap(), free_address());
    let settings = Settings::new(&fake, &address);
    let server = settings.start(directory.path(), &address);
    let api = server.api();
    let mut campaign = any_hour("Handed over", 50);
    (campaign["recording"], campaign["transcription"]) = (json!(false), json!(false));
    campaign["script"] = json!({
        "steps": [{"say": "Hello."}, {"transfer": SALES}], "keys": {"9": "opt_out"}
    });
    campaign["inbound"] = json!({
        "steps": [{"say": "After the beep, please."}, {"record": {}}, {"say": "Thanks."}],
        "keys": {"9": "opt_out"},
    });
    running(&api, &campaign, 1).await;
    let call = until("the call ends", async || {
        let calls = history(&api).await.into_values();
        calls.into_iter().find(|call| call["end_reason"] == "transferred")
    })
    .await;
    assert_eq!(call["outcome"], "answered");
    let announced = "To stop these calls, press nine at any time.";
    let dialled = format!("dial {SALES} from {FROM}");
    assert_eq!(fake.dials()[0].heard, ["Hello.", announced, &dialled]);

    let public = format!("http://{address}");
    let caller = "+12125550101";
    let heard = fake.ring_in(&public, caller, FROM, None).await;
    assert_eq!(heard, ["After the beep, please.", announced, "record 120", "Thanks."]);
    let left = until("the message is there", async || {
        let calls = api.get("/api/calls/history?direction=inbound").await;
        let call = calls["items"].as_array().unwrap().first().cloned()?;
        (call["has_recording"] == true).then_some(call)
    })
    .await;
    let recording = format!("/api/calls/{}/recording", left["id"].as_str().unwrap());
    let part = answer(api.request("GET", &recording).header("range", "bytes=8-11")).await;
    assert_eq!((part.status.as_u16(), &*part.text), (206, "WAVE"));
    fake.after_the_beep(Beep::Presses('9'));
    let heard = fake.ring_in(&public, caller, FROM, None).await;
    assert_eq!(heard.last().unwrap(), "You will not be called again. Goodbye.");
    let listed = api.get("/api/dnc").await;
    assert_eq!(listed["items"][0]["phone"], caller);
}

#[tokio::test]
async fn a_refused_account_pauses_the_campaign_and_spends_nobodys_attempt() {
    let fake = FakeTwilio::start().await.unwrap();
    fake.always(Trouble::RefusesAccount);
    let (directory, address) = (tempfile::tempdir().unwrap(), free_address());
    let settings = Settings::new(&fake, &address);
    let server = settings.start(directory.path(), &address);
    let api = server.api();
    let id = running(&api, &any_hour("Refused", 50), 3).await;
    let path = format!("/api/campaigns/{id}");
    let campaign = until("it pauses itself", async || {
        let campaign = api.get(&path).await;
        (campaign["state"] == "paused").then_some(campaign)
    })
    .await;
    let why = campaign["pause_reason"].as_str().unwrap_or_default();
    assert!(why.contains("twilio_20003"), "{campaign}");
    assert_eq!(campaign["attempted"], 0);
    fake.always(Trouble::None);
    api.post(&format!("{path}/resume"), &json!({})).await;
    until("all are called", async || {
        let ended = history(&api).await;
        (ended.len() == 3).then_some(())
    })
    .await;
    assert_eq!(fake.dials().len(), 3);
}

#[tokio::test]
async fn whatever_twilio_answers_and_whenever_it_is_killed_nobody_is_dialled_twice() {
    const CLIENTS: u32 = 90;
    let fake = FakeTwilio::start().await.unwrap();
    let (directory, address) = (tempfile::tempdir().unwrap(), free_address());
    let settings = Settings::new(&fake, &address);
    let mut server = settings.start(directory.path(), &address);
    let mut campaign = any_hour("Killed", 50);
    // Lost answers count as failed dials, and here there are many.
    campaign["breaker"] = Value::Null;
    running(&server.api(), &campaign, CLIENTS).await;
    let troubles = [
        Trouble::LosesAnswer,
        Trouble::None,
        Trouble::LosesRequest,
        Trouble::FailsAfterwards,
        Trouble::Redirects,
        Trouble::Truncates,
        Trouble::TooMany,
        Trouble::AnswersNonsense,
    ];
    for kill in 0..12_u64 {
        for trouble in troubles {
            fake.trouble(trouble);
            fake.trouble(Trouble::None);
        }
        tokio::time::sleep(Duration::from_millis(150 + kill * 37 % 400)).await;
        server.kill();
        server = settings.start(directory.path(), &address);
    }
    fake.always(Trouble::None);
    let dials = fake.dials();
    let calls: BTreeSet<&str> = dials.iter().filter_map(|dial| dial.call()).collect();
    assert_eq!(calls.len(), dials.len(), "a call id was dialled twice");
    assert!(dials.len() > 20, "the kills struck a campaign that dialled: {}", dials.len());
}

// The fake has to answer while this thread waits for the process.
#[tokio::test(flavor = "multi_thread")]
async fn check_says_whether_campaigns_could_run() {
    let fake = FakeTwilio::start().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings::new(&fake, "calls.example.com");
    let checked = command(directory.path(), &["check"], &settings.borrowed()).output().unwrap();
    let said = String::from_utf8(checked.stdout).unwrap();
    assert!(checked.status.success(), "{said}");
    assert!(said.contains("Campaigns could run."), "{said}");
    assert!(said.contains("http://calls.example.com/webhooks/twilio/inbound/voice"), "{said}");
    let (code, _) = run(directory.path(), &["check", "--countries", "CA"], &settings.borrowed());
    assert_eq!(code, Some(1), "the fake's account may not call Canada");
    let (code, said) = run(directory.path(), &[], &[("TWILIO_FROM", FROM)]);
    assert_eq!(code, Some(2));
    for missing in ["TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "CALLCORE_PUBLIC_URL"] {
        assert!(said.contains(missing), "{said}");
    }
}
