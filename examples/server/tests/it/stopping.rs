use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::harness::{Api, PATIENCE, Server, TOKEN, run};
use crate::job::{any_hour, assert_counts_agree, started};

const LIST: &[u8] = include_bytes!("../../../../callcore/tests/data/clients.csv");
const SETTINGS: [(&str, &str); 2] = [("CALLCORE_API_TOKEN", TOKEN), ("CALLCORE_SIM_SPEED", "600")];

async fn until_calls_end(api: &Api, id: &str, enough: u64) -> Value {
    let start = Instant::now();
    loop {
        let campaign = api.get(&format!("/api/campaigns/{id}")).await;
        if campaign["attempted"].as_u64().unwrap() >= enough {
            return campaign;
        }
        assert!(start.elapsed() < PATIENCE, "nobody is called: {campaign}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn sigterm_drains_and_a_restart_goes_on_with_everything() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &SETTINGS);
    let list = LIST.split_inclusive(|byte| *byte == b'\n').take(301).collect::<Vec<_>>().concat();
    let (id, report) = started(&server.api(), &any_hour("Restarted", 20), list).await;
    let before = until_calls_end(&server.api(), &id, 30).await;
    assert_eq!(before["state"], "running", "{before}");
    server.terminate();
    assert_eq!(server.wait().code(), Some(0));

    // Faster, so that the retries that are hours away come soon.
    let settings = [SETTINGS[0], ("CALLCORE_SIM_SPEED", "5000")];
    let server = Server::start(directory.path(), &settings);
    let api = server.api();
    let after = api.get(&format!("/api/campaigns/{id}")).await;
    assert!(after["attempted"].as_u64() >= before["attempted"].as_u64(), "{after}");
    assert_counts_agree(&api, &id, report["accepted"].as_u64().unwrap()).await;
}

#[tokio::test]
async fn a_second_server_keeps_off_a_database_that_is_served() {
    let directory = tempfile::tempdir().unwrap();
    let first = Server::start(directory.path(), &SETTINGS);
    let (code, said) = run(directory.path(), &["--bind", "127.0.0.1:0"], &SETTINGS);
    assert_ne!(code, Some(0));
    assert!(said.contains("another callcore server uses"), "{said}");
    first.kill();
    // The lock goes with the process, however it went.
    Server::start(directory.path(), &SETTINGS);
}

#[tokio::test]
async fn the_campaign_clock_does_not_go_back_at_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &SETTINGS);
    let created = |api: Api| async move {
        let campaign = api.post("/api/campaigns", &any_hour("Clock", 1)).await;
        let at = campaign["created_at"].as_str().unwrap().to_owned();
        at.parse::<chrono::DateTime<chrono::Utc>>().unwrap()
    };
    let first = created(server.api()).await;
    // At 600 campaign seconds a second, the clock is now ahead of the wall.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let second = created(server.api()).await;
    assert!(first < second);
    server.kill();
    let server = Server::start(directory.path(), &SETTINGS);
    assert!(created(server.api()).await >= second);
}

#[tokio::test]
async fn a_second_signal_ends_a_drain_that_waits_for_a_request() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &SETTINGS);
    let campaign = server.api().post("/api/campaigns", &any_hour("Stalled", 1)).await;
    let address = server.url().strip_prefix("http://").unwrap();
    let mut stalled = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "POST /api/campaigns/{}/import HTTP/1.1\r\nhost: {address}\r\n\
         authorization: Bearer {TOKEN}\r\ncontent-length: 100\r\n\
         content-type: multipart/form-data; boundary=part\r\n\r\n--part",
        campaign["id"].as_str().unwrap()
    );
    stalled.write_all(request.as_bytes()).await.unwrap();
    // A request that is answered after the stalled one was sent: the server has both.
    server.api().get("/api/campaigns").await;
    server.terminate();
    let start = Instant::now();
    // It drains once it takes no new connections.
    while TcpStream::connect(address).await.is_ok() {
        assert!(start.elapsed() < PATIENCE, "the server does not drain");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    server.terminate();
    assert_eq!(server.wait().code(), Some(130));
}
