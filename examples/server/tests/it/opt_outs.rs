//! Somebody opts out while the database is away.

use std::path::Path;

use callcore_twilio::signature::{Signed, Signer};
use callcore_twilio::testing::{Dialled, FakeTwilio, Fate};
use serde_json::json;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection};

use crate::harness::{Answer, answer, client};
use crate::job::any_hour;
use crate::twilio::{Settings, free_address, running, until};

const STOPS: &str = "+12125550101";
const GOES_ON: &str = "+12125550102";
const FORM: &str = "application/x-www-form-urlencoded";

/// Keeps every writer of the database waiting until it is dropped.
async fn away(directory: &Path) -> SqliteConnection {
    let url = format!("sqlite://{}", directory.join("callcore.db").display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe("begin exclusive")).execute(&mut connection).await.unwrap();
    connection
}

/// What Twilio tells of a call, below its own path.
async fn told(fake: &FakeTwilio, address: &str, call: &Dialled, what: &str, more: &str) -> Answer {
    let url = format!("http://{address}/webhooks/twilio/calls/{}/{what}", call.call().unwrap());
    let to = call.to.replace('+', "%2B");
    let body = format!("CallSid={}&From=%2B12125550100&To={to}&{more}", call.sid);
    let signed = Signed { url: &url, is_get: false, content_type: FORM, body: body.as_bytes() };
    let signature = Signer::new([fake.token().into()]).sign(signed).unwrap();
    let request = client().post(&url).header("content-type", FORM);
    answer(request.header("x-twilio-signature", signature).body(body)).await
}

async fn opts_out_while_the_database_is_away(is_killed: bool) {
    let fake = FakeTwilio::start().await.unwrap();
    fake.usual_fate(Fate::Silent);
    let (directory, address) = (tempfile::tempdir().unwrap(), free_address());
    let settings = Settings::new(&fake, &address);
    let server = settings.start(directory.path(), &address);
    let dials = |to: &str| fake.dials().into_iter().filter(|it| it.to == to).collect::<Vec<_>>();
    // Both are dialled in vain, and due again soon.
    let mut campaign = any_hour("Renewals", 50);
    campaign["retry"] = json!({"connect": ["PT8S"], "voicemail": [], "max_attempts": 2});
    running(&server.api(), &campaign, 2).await;
    until("both are dialled", async || (fake.dials().len() == 2).then_some(())).await;
    let (stops, goes_on) = (dials(STOPS).remove(0), dials(GOES_ON).remove(0));
    for call in [&stops, &goes_on] {
        let answer = told(&fake, &address, call, "status", "CallStatus=no-answer").await;
        assert!(answer.status.is_success(), "{}", answer.text);
    }

    let journal = directory.path().join("callcore.db.opt-outs");
    let lines = || std::fs::read_to_string(&journal).unwrap().lines().count();
    let database = away(directory.path()).await;
    let key = "key?step=0&presses=0&opt_out=9";
    let press = told(&fake, &address, &stops, key, "CallStatus=in-progress&Digits=9").await;
    assert_eq!(press.status, 200, "{}", press.text);
    assert!(press.text.contains("<Redirect") && press.text.contains("<Pause"), "{}", press.text);
    assert!(!press.text.contains("not be called again"), "it is not true yet: {}", press.text);
    assert_eq!(lines(), 1);
    let server = if is_killed {
        server.kill();
        database.close().await.unwrap();
        settings.start(directory.path(), &address)
    } else {
        database.close().await.unwrap();
        server
    };
    until("who did not opt out is dialled again", async || {
        (dials(GOES_ON).len() == 2).then_some(())
    })
    .await;
    let api = server.api();
    until("it is stored", async || {
        let listed = api.get("/api/dnc").await;
        (listed["items"][0]["phone"] == STOPS && lines() == 0).then_some(())
    })
    .await;
    let upcoming = api.get("/api/calls/upcoming").await;
    let is_due = |call: &serde_json::Value| call["phone"] == STOPS;
    assert!(!upcoming["items"].as_array().unwrap().iter().any(is_due), "{upcoming}");
    assert_eq!(dials(STOPS).len(), 1, "dialled after the opt-out");
    // Whoever still waits in the call hears it now.
    let again = told(&fake, &address, &stops, key, "CallStatus=in-progress&Digits=9").await;
    assert!(again.text.contains("You will not be called again."), "{}", again.text);
}

#[tokio::test]
async fn who_opts_out_while_the_database_is_away_is_never_dialled_again() {
    opts_out_while_the_database_is_away(false).await;
}

#[tokio::test]
async fn an_opt_out_outlives_a_kill_while_the_database_is_away() {
    opts_out_while_the_database_is_away(true).await;
}

/// What lets the voice agent of a call report its result, out of the document that the carrier got.
fn agents_token(document: &str) -> String {
    let name = format!("name=\"{}\" value=\"", callcore_twilio::RESULT_TOKEN);
    let (_, rest) = document.split_once(&name).unwrap_or_else(|| panic!("{document}"));
    rest.split('"').next().unwrap().to_owned()
}

async fn tells_an_agent_while_the_database_is_away(is_killed: bool) {
    let fake = FakeTwilio::start().await.unwrap();
    fake.usual_fate(Fate::Silent);
    let (directory, address) = (tempfile::tempdir().unwrap(), free_address());
    let settings = Settings::new(&fake, &address);
    let server = settings.start(directory.path(), &address);
    let dials = |to: &str| fake.dials().into_iter().filter(|it| it.to == to).collect::<Vec<_>>();
    // Both are taken for machines, and due again soon.
    let mut campaign = any_hour("Renewals", 50);
    campaign["retry"] = json!({"connect": [], "voicemail": ["PT8S"], "max_attempts": 2});
    campaign["script"]["steps"] = json!([{"connect": {"url": "wss://agent.example/talk"}}]);
    running(&server.api(), &campaign, 2).await;
    until("both are dialled", async || (fake.dials().len() == 2).then_some(())).await;
    let (stops, goes_on) = (dials(STOPS).remove(0), dials(GOES_ON).remove(0));
    let mut token = String::new();
    for call in [&goes_on, &stops] {
        let document = told(&fake, &address, call, "voice", "CallStatus=in-progress").await;
        token = agents_token(&document.text);
        let ended = "CallStatus=completed&CallDuration=9&AnsweredBy=machine_start";
        let answer = told(&fake, &address, call, "status", ended).await;
        assert!(answer.status.is_success(), "{}", answer.text);
    }
    let digits = STOPS.trim_start_matches('+');
    assert!(
        !token.contains(digits)
            && !token.contains(&format!("{:x}", digits.parse::<u64>().unwrap()))
    );

    let journal = directory.path().join("callcore.db.opt-outs");
    let lines = || std::fs::read_to_string(&journal).unwrap().lines().count();
    let report = async |token: &str, body: serde_json::Value| {
        let url = format!("http://{address}/api/calls/{}/result", stops.call().unwrap());
        answer(client().post(url).bearer_auth(token).json(&body)).await
    };
    let wish = json!({"opt_out": true, "disposition": "declined"});
    let database = away(directory.path()).await;
    let refused = report(&token, json!({"disposition": "declined"})).await;
    assert!(refused.status.is_server_error() && refused.json["opt_out_held"].is_null());
    let stranger = report(&token.replace(['0', '1'], "2"), wish.clone()).await;
    assert_eq!((stranger.status.as_u16(), lines()), (401, 0), "{}", stranger.text);
    for _ in 0..2 {
        let held = report(&token, wish.clone()).await;
        assert_eq!(held.told(), (503, "unavailable"), "{}", held.text);
        assert_eq!(held.json["opt_out_held"], true, "{}", held.text);
        assert!(held.headers.contains_key("retry-after"));
        assert_eq!(lines(), 1, "one wish, however often it is said");
    }
    let server = if is_killed {
        server.kill();
        database.close().await.unwrap();
        settings.start(directory.path(), &address)
    } else {
        database.close().await.unwrap();
        server
    };
    until("who did not opt out is dialled again", async || {
        (dials(GOES_ON).len() == 2).then_some(())
    })
    .await;
    let api = server.api();
    until("it is stored", async || {
        let listed = api.get("/api/dnc").await;
        (listed["items"][0]["phone"] == STOPS && lines() == 0).then_some(())
    })
    .await;
    assert_eq!(dials(STOPS).len(), 1, "dialled after the opt-out");
    let stored = report(&token, wish).await;
    assert_eq!((stored.status.as_u16(), &stored.json["opted_out"]), (200, &json!(true)));
    assert_eq!(stored.json["disposition"], "declined", "the rest of the report is stored now");
}

#[tokio::test]
async fn what_an_agent_was_told_while_the_database_is_away_holds() {
    tells_an_agent_while_the_database_is_away(false).await;
}

#[tokio::test]
async fn what_an_agent_was_told_outlives_a_kill() {
    tells_an_agent_while_the_database_is_away(true).await;
}
