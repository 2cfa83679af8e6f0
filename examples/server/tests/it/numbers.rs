//! The numbers and the files of a campaign, from the real server on its simulated carrier.

use std::collections::BTreeMap;

use callcore::runtime::SystemClock;
use callcore::time::Clock;
use chrono::Timelike;
use csv::StringRecord;
use serde_json::{Value, json};

use crate::harness::{Api, Server, TOKEN};
use crate::job::{any_hour, finished};

const NOWHERE: &str = "0199aaaa-0000-7000-8000-000000000000";
/// So many that every outcome comes about: one answered call in 66 is an opt-out.
const CLIENTS: usize = 900;

/// A list with cells that spreadsheets, parsers and people stumble over; every second client has the
/// tag `even`.
fn list() -> Vec<u8> {
    const AREAS: [u32; 9] = [212, 201, 202, 203, 205, 206, 207, 208, 209];
    let mut list = "Name,Phone,Tags,Note,Note,,\"'=Sum\"\r\n".to_owned();
    for index in 0..CLIENTS {
        let (area, last) = (AREAS[index / 100], index % 100);
        let tag = if index % 2 == 0 { "even" } else { "" };
        let nasty = ["'=1+1", "'-5", "'tis", "a;\"\"b\"\"", "two\nlines", "zwölf 🎉"][index % 6];
        let row = format!(
            "Client {index},+1{area}55501{last:02},{tag},\"{nasty}\",\"'@x\",\"'\t\",{index}\r\n"
        );
        list.push_str(&row);
    }
    list.into_bytes()
}

/// A zone in which it is about one in the morning, so that the calls of a few hours are of one day.
fn zone_of_early_morning() -> String {
    let hour = i64::from(SystemClock.now().hour());
    let east = (1 - hour + 36).rem_euclid(24) - 12;
    // The names count the other way round.
    if east > 0 { format!("Etc/GMT-{east}") } else { format!("Etc/GMT+{}", -east) }
}

fn rows(text: &str) -> (StringRecord, Vec<StringRecord>) {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let headers = reader.headers().unwrap().clone();
    (headers, reader.records().map(Result::unwrap).collect())
}

fn column(headers: &StringRecord, name: &str) -> usize {
    (0..headers.len()).rev().find(|at| &headers[*at] == name).unwrap()
}

/// What the history's file comes to: how many dials ended in which way, and the talk of those that
/// reached a person.
fn recounted(text: &str) -> (BTreeMap<String, u64>, u64) {
    let (headers, rows) = rows(text);
    let at = |name: &str| column(&headers, name);
    let (mut outcomes, mut talk) = (BTreeMap::new(), 0);
    for row in rows.iter().filter(|row| &row[at("direction")] == "outbound") {
        *outcomes.entry(row[at("outcome")].to_owned()).or_default() += 1;
        if ["answered", "opted_out"].contains(&&row[at("outcome")]) {
            talk += row[at("duration_seconds")].parse::<u64>().unwrap();
        }
    }
    (outcomes, talk)
}

fn numbers_of(json: &Value) -> BTreeMap<&str, &Value> {
    ["attempted", "answered", "success_rate", "average_duration_seconds", "outcomes"]
        .into_iter()
        .map(|name| (name, &json[name]))
        .collect()
}

/// Holds numbers as they are shown against a history's file.
fn assert_recount(shown: &Value, history: &str) {
    let (outcomes, talk) = recounted(history);
    let kept: BTreeMap<String, u64> = serde_json::from_value(shown["outcomes"].clone()).unwrap();
    let kept: BTreeMap<String, u64> = kept.into_iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(kept, outcomes);
    let of = |name: &str| outcomes.get(name).copied().unwrap_or_default();
    let answered = of("answered") + of("opted_out");
    let attempted = outcomes.values().sum::<u64>() - of("skipped") - of("canceled");
    assert_eq!((&shown["attempted"], &shown["answered"]), (&json!(attempted), &json!(answered)));
    let mean = shown["average_duration_seconds"].as_f64().unwrap();
    assert!((mean * answered as f64 - talk as f64).abs() < 0.01, "{mean} of {answered}: {talk}");
}

/// Everything that tells of a campaign, read while nothing changed.
struct Told {
    analytics: Value,
    tagged: Value,
    campaign: Value,
    dashboard: Value,
    clients: String,
    history: String,
    history_of_tag: String,
    subject: String,
}

async fn told(api: &Api, cron: &Api, id: &str) -> Told {
    loop {
        let analytics = api.get(&format!("/api/campaigns/{id}/analytics?bucket=hour")).await;
        let summary = cron.ask("POST", "/api/cron/daily-summary", &json!({})).await;
        assert_eq!(summary.status, 200, "{}", summary.text);
        let told = Told {
            tagged: api.get(&format!("/api/campaigns/{id}/analytics?tag=even")).await,
            campaign: api.get(&format!("/api/campaigns/{id}")).await,
            dashboard: api.get("/api/dashboard").await,
            clients: api.text(&format!("/api/campaigns/{id}/export")).await,
            history: api.text(&format!("/api/calls/export?campaign={id}&sort=date")).await,
            history_of_tag: api.text(&format!("/api/calls/export?campaign={id}&tag=even")).await,
            subject: summary.json["subject"].as_str().unwrap().to_owned(),
            analytics,
        };
        // The carrier may have corrected itself meanwhile.
        let again = api.get(&format!("/api/campaigns/{id}/analytics?bucket=hour")).await;
        let state = &told.campaign["state"];
        if again == told.analytics && state == "finished" {
            return told;
        }
    }
}

#[tokio::test]
async fn every_number_is_the_same_wherever_it_is_shown_and_files_come_in_again() {
    let directory = tempfile::tempdir().unwrap();
    let zone = zone_of_early_morning();
    let settings = [
        ("CALLCORE_API_TOKEN", TOKEN),
        ("CALLCORE_SIM_SPEED", "3000"),
        ("CALLCORE_SIM_SEED", "11"),
        ("CALLCORE_TIME_ZONE", &*zone),
        ("CRON_SECRET", "a-secret-of-the-scheduler"),
        // Nobody listens there: the mail is made, and waits.
        ("RESEND_API_KEY", "re_test"),
        ("RESEND_BASE_URL", "http://127.0.0.1:9"),
        ("CALLCORE_MAIL_FROM", "calls@example.com"),
        ("CALLCORE_MAIL_TO", "boss@example.com"),
        ("CALLCORE_SUMMARY_AT", "off"),
    ];
    let server = Server::start(directory.path(), &settings);
    let api = server.api();
    let cron = api.of("a-secret-of-the-scheduler");
    let draft = api.post("/api/campaigns", &any_hour("Numbers", 100)).await;
    let id = draft["id"].as_str().unwrap().to_owned();
    api.post("/api/dnc", &json!({"phone": "+12125550107", "reason": "asked"})).await;
    let report = api.imported(&id, list()).await;
    assert_eq!(report["accepted"], CLIENTS, "{report}");
    let clients = api.get(&format!("/api/campaigns/{id}/clients?limit=1")).await;
    let first = &clients["items"][0];
    let call = first["next_call"]["id"].as_str().unwrap();
    api.post(&format!("/api/calls/{call}/skip"), &json!({"reason": "duplicate"})).await;

    let preview = api.get(&format!("/api/campaigns/{id}/preview")).await;
    assert_eq!(preview["would_call"], CLIENTS - 2, "{preview}");
    assert_eq!(preview["skipped_by_reason"], json!({"on_dnc": 1, "skipped": 1}));
    assert_eq!(api.get(&format!("/api/campaigns/{id}")).await["state"], "draft");

    api.post(&format!("/api/campaigns/{id}/start"), &json!({})).await;
    finished(&api, &id).await;
    let told = told(&api, &cron, &id).await;

    // Whoever was to be called was, and nobody else.
    let (headers, exported) = rows(&told.clients);
    let at = |name: &str| column(&headers, name);
    let count = |row: &StringRecord| row[at("attempts")].parse::<u64>().unwrap();
    let called = exported.iter().filter(|row| count(row) > 0).count();
    assert_eq!((exported.len(), called), (CLIENTS, CLIENTS - 2));

    assert_recount(&told.analytics, &told.history);
    assert_recount(&told.tagged, &told.history_of_tag);
    let numbers = numbers_of(&told.analytics);
    assert_eq!(numbers_of(&told.campaign), numbers);
    assert_eq!(numbers_of(&told.dashboard["today"]), numbers, "{}", told.dashboard);
    assert!(
        told.subject.replace(',', "").contains(&format!(": {} calls ", numbers["attempted"])),
        "{}",
        told.subject
    );
    let dials: u64 = exported.iter().map(count).sum();
    assert_eq!(&json!(dials), numbers["attempted"]);
    let hours = told.analytics["over_time"].as_array().unwrap();
    let sum: u64 = hours.iter().map(|hour| hour["attempted"].as_u64().unwrap()).sum();
    assert_eq!(&json!(sum), numbers["attempted"]);
    let mut statuses: BTreeMap<&str, u64> = BTreeMap::new();
    for row in &exported {
        *statuses.entry(&row[at("status")]).or_default() += 1;
    }
    assert_eq!(told.campaign["clients_by_status"], json!(statuses));
    assert_eq!(told.analytics["progress_percent"], 100.0);
    for outcome in ["answered", "voicemail", "no_answer", "opted_out", "skipped"] {
        assert!(told.analytics["outcomes"][outcome].as_u64().unwrap() > 0, "{outcome}");
    }

    // The uploaded columns are the file's, byte for byte as a parser reads them.
    let uploaded = String::from_utf8(list()).unwrap();
    let (uploaded_headers, uploaded_rows) = rows(&uploaded);
    let width = uploaded_headers.len();
    let cells = |row: &StringRecord| row.iter().take(width).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(cells(&headers), cells(&uploaded_headers));
    assert!(exported.iter().map(cells).eq(uploaded_rows.iter().map(cells)));

    // What was exported comes in again.
    let copy = api.post("/api/campaigns", &any_hour("Copy", 1)).await;
    let copy = copy["id"].as_str().unwrap();
    let report = api.imported(copy, told.clients.clone().into_bytes()).await;
    assert_eq!(
        (&report["accepted"], &report["rejected"]),
        (&json!(CLIENTS), &json!(0)),
        "{report}"
    );
    let (_, again) = rows(&api.text(&format!("/api/campaigns/{copy}/export")).await);
    assert!(again.iter().map(cells).eq(uploaded_rows.iter().map(cells)));

    chosen_calls(&api, &told.history).await;
    refusals(&api, &id).await;
    let even = api.text(&format!("/api/campaigns/{id}/export?tag=even")).await;
    assert_eq!(rows(&even).1.len(), CLIENTS / 2);
}

async fn chosen_calls(api: &Api, history: &str) {
    let ids: Vec<String> =
        rows(history).1.iter().take(3).map(|row| row[0].to_owned()).rev().collect();
    let body = json!({"ids": ids});
    let chosen = api.ask_once("chosen", "/api/calls/export", &body).await;
    assert_eq!(chosen.status, 200, "{}", chosen.text);
    let got: Vec<String> = rows(&chosen.text).1.iter().map(|row| row[0].to_owned()).collect();
    assert_eq!(got, ids, "in the order asked for");
    assert_eq!(api.ask_once("chosen", "/api/calls/export", &body).await.text, chosen.text);
    let other = api.ask_once("chosen", "/api/calls/export", &json!({"ids": [ids[0]]})).await;
    assert_eq!(other.told(), (422, "idempotency_key_reused"));
    let unknown = api.ask("POST", "/api/calls/export", &json!({"ids": [ids[0], NOWHERE]})).await;
    assert_eq!((unknown.status.as_u16(), unknown.fields()), (422, vec!["ids[1]"]));
    let bad = api.ask("POST", "/api/calls/export", &json!({"ids": ["x", 1]})).await;
    assert_eq!((bad.status.as_u16(), bad.fields()), (400, vec!["ids[0]", "ids[1]"]));
}

async fn refusals(api: &Api, id: &str) {
    for (path, fields) in [
        ("/api/campaigns/{id}/analytics?bucket=week&tag=a&from=soon", &["bucket", "from"][..]),
        ("/api/campaigns/{id}/preview?client_id=x&page=1", &["client_id", "page"]),
        ("/api/campaigns/{id}/export?colour=red", &["colour"]),
        ("/api/calls/export?cursor=a&outcome=great", &["cursor", "outcome"]),
        ("/api/dashboard?page=1", &["page"]),
    ] {
        let path = path.replace("{id}", id);
        let answer = api.ask("GET", &path, &Value::Null).await;
        assert_eq!((answer.status.as_u16(), answer.fields()), (400, fields.to_vec()), "{path}");
    }
    for path in ["analytics", "preview", "export"] {
        let path = format!("/api/campaigns/{NOWHERE}/{path}");
        assert_eq!(api.ask("GET", &path, &Value::Null).await.told(), (404, "not_found"), "{path}");
    }
    let path = format!("/api/calls/{NOWHERE}/transcript.txt");
    assert_eq!(api.ask("GET", &path, &Value::Null).await.told(), (404, "not_found"));
}
