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
