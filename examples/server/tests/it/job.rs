use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Api, PATIENCE, Server, TOKEN};

const LIST: &[u8] = include_bytes!("../../../../callcore/tests/data/clients.csv");

/// Settings of a campaign that may call at any hour and tries again soon.
pub(crate) fn any_hour(name: &str, max_concurrent: u32) -> Value {
    let day = json!([["00:00", "24:00"]]);
    json!({
        "name": name,
        "hours": {"mon": day, "tue": day, "wed": day, "thu": day, "fri": day, "sat": day, "sun": day},
        "zone_policy": "campaign",
        "retry": {"connect": ["PT2H"], "voicemail": ["PT2H"], "max_attempts": 3},
        "pacing": {"max_concurrent": max_concurrent, "calls_per_second": 1000},
        "recording": true,
        "transcription": true,
        "script": {
            "notice": "This call is recorded.",
            "steps": [{"say": "Hello {{name|there}}."}],
            "keys": {"1": {"tag": "confirmed"}, "9": "opt_out"}
        }
    })
}

/// A campaign with the list, started.
pub(crate) async fn started(api: &Api, settings: &Value, list: Vec<u8>) -> (String, Value) {
    let campaign = api.post("/api/campaigns", settings).await;
    let id = campaign["id"].as_str().unwrap().to_owned();
    let report = api.imported(&id, list).await;
    assert_eq!(report["status"], "done", "{report}");
    let running = api.post(&format!("/api/campaigns/{id}/start"), &json!({})).await;
    assert_eq!(running["state"], "running");
    (id, report)
}

/// The campaign, once it has finished.
pub(crate) async fn finished(api: &Api, id: &str) -> Value {
    let start = Instant::now();
    loop {
        let campaign = api.get(&format!("/api/campaigns/{id}")).await;
        if campaign["state"] == "finished" {
            return campaign;
        }
        assert!(start.elapsed() < PATIENCE, "the campaign does not finish: {campaign}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Holds what a finished campaign shows against a recount of its export and its history.
pub(crate) async fn assert_counts_agree(api: &Api, id: &str, accepted: u64) {
    let campaign = finished(api, id).await;
    let export = api.text(&format!("/api/campaigns/{id}/export")).await;
    let mut reader = csv::Reader::from_reader(export.as_bytes());
    let headers = reader.headers().unwrap().clone();
    let column = |name| headers.iter().position(|header| header == name).unwrap();
    let (status, attempts) = (column("status"), column("attempts"));
    let (mut by_status, mut dials) = (BTreeMap::<String, u64>::new(), 0);
    for row in reader.records() {
        let row = row.unwrap();
        *by_status.entry(row[status].to_owned()).or_default() += 1;
        dials += row[attempts].parse::<u64>().unwrap();
    }
    assert_eq!(by_status.values().sum::<u64>(), accepted);
    let shown: BTreeMap<String, u64> =
        serde_json::from_value(campaign["clients_by_status"].clone()).unwrap();
    assert_eq!(shown, by_status);
    assert_eq!(campaign["progress_percent"], 100.0);

    let analytics = api.get(&format!("/api/campaigns/{id}/analytics")).await;
    let mut outcomes = BTreeMap::<String, u64>::new();
    for outcome in ended_calls(api, id).await.into_values() {
        *outcomes.entry(outcome).or_default() += 1;
    }
    let shown: BTreeMap<String, u64> =
        serde_json::from_value(analytics["outcomes"].clone()).unwrap();
    let shown: BTreeMap<String, u64> = shown.into_iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(shown, outcomes);
    let counted = |name: &str| outcomes.get(name).copied().unwrap_or_default();
    let attempted = outcomes.values().sum::<u64>() - counted("skipped") - counted("canceled");
    assert_eq!(analytics["attempted"], attempted);
    assert_eq!(dials, attempted, "every dial of the export ended once");
}

/// How each dial of a campaign ended; calls that rang in are nobody's attempt.
pub(crate) async fn ended_calls(api: &Api, campaign: &str) -> BTreeMap<String, String> {
    let mut outcomes = BTreeMap::new();
    let mut cursor = String::new();
    loop {
        let path =
            format!("/api/calls/history?campaign={campaign}&direction=outbound&limit=200{cursor}");
        let page = api.get(&path).await;
        for call in page["items"].as_array().unwrap() {
            let text = |field: &str| call[field].as_str().unwrap().to_owned();
            let ended_twice = outcomes.insert(text("id"), text("outcome"));
            assert!(ended_twice.is_none(), "twice in the history: {call}");
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return outcomes,
        }
    }
}

#[tokio::test]
async fn a_list_goes_in_people_are_called_and_results_come_out() {
    let directory = tempfile::tempdir().unwrap();
    let settings =
        [("CALLCORE_API_TOKEN", TOKEN), ("CALLCORE_SIM_SPEED", "5000"), ("CALLCORE_SIM_SEED", "7")];
    let server = Server::start(directory.path(), &settings);
    let api = server.api();
    let (id, report) = started(&api, &any_hour("Renewals", 200), LIST.to_vec()).await;
    assert_eq!(report["rows_read"], 2000);
    let count = |field: &str| report[field].as_u64().unwrap();
    let accepted = count("accepted");
    assert_eq!(accepted + count("duplicates") + count("rejected"), 2000);

    assert_counts_agree(&api, &id, accepted).await;

    let campaign = finished(&api, &id).await;
    let reached = campaign["clients_by_status"]["reached"].as_u64().unwrap();
    assert!(reached > accepted / 4, "{campaign}");
    let dashboard = api.get("/api/dashboard").await;
    assert!(dashboard["active_campaigns"].as_array().unwrap().is_empty(), "{dashboard}");
}
