//! Mail from outside: a server, a far side that plays Resend, and what arrives there.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::harness::{Api, PATIENCE, Server, TOKEN, answer};
use crate::job::{any_hour, finished, started};

const CRON_SECRET: &str = "the-schedulers-own-secret";
const LIST: &[u8] = b"Name,Phone\nAda Lovelace,+12125550101\nBob Byron,+12125550102\n";

#[derive(Default)]
struct Far {
    mails: Mutex<Vec<(String, Value)>>,
    /// Takes mails and says nothing.
    mute: std::sync::atomic::AtomicBool,
}

impl Far {
    fn mails(&self) -> Vec<(String, Value)> {
        self.mails.lock().unwrap().clone()
    }

    fn mute(&self, mute: bool) {
        self.mute.store(mute, std::sync::atomic::Ordering::SeqCst);
    }

    /// The first mail whose subject has some words, once it is there.
    async fn mail(&self, words: &str) -> (String, Value) {
        let start = Instant::now();
        loop {
            let mails = self.mails();
            let of_words =
                |(_, mail): &&(String, Value)| mail["subject"].as_str().unwrap().contains(words);
            if let Some(mail) = mails.iter().find(of_words) {
                return mail.clone();
            }
            assert!(start.elapsed() < PATIENCE, "no mail has {words:?}: {mails:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn take(State(far): State<Arc<Far>>, headers: HeaderMap, request: Request) -> Response {
    assert_eq!((request.method().as_str(), request.uri().path()), ("POST", "/emails"));
    assert_eq!(headers["authorization"], "Bearer re_secret");
    let key = headers["idempotency-key"].to_str().unwrap().to_owned();
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
    far.mails.lock().unwrap().push((key, serde_json::from_slice(&body).unwrap()));
    if far.mute.load(std::sync::atomic::Ordering::SeqCst) {
        std::future::pending::<()>().await;
    }
    json!({"id": "49a3999c-0ce1-4ea6-ab68-afcd6dc2e794"}).to_string().into_response()
}

async fn far() -> (Arc<Far>, String) {
    let far = Arc::<Far>::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(take).with_state(Arc::clone(&far));
    tokio::spawn(axum::serve(listener, router).into_future());
    (far, url)
}

fn server(directory: &Path, url: &str, more: &[(&str, &str)]) -> Server {
    let settings = [
        ("CALLCORE_API_TOKEN", TOKEN),
        ("CALLCORE_SIM_SPEED", "3600"),
        ("CALLCORE_SIM_SEED", "7"),
        ("RESEND_API_KEY", "re_secret"),
        ("RESEND_BASE_URL", url),
        ("CALLCORE_MAIL_FROM", "Acme Calls <calls@example.com>"),
        ("CALLCORE_MAIL_TO", "ops@example.com"),
        ("CALLCORE_PUBLIC_URL", "https://calls.example.com"),
        ("CRON_SECRET", CRON_SECRET),
    ];
    Server::start(directory, &[&settings[..], more].concat())
}

/// What is kept about the newest notice of a kind.
async fn notice(api: &Api, kind: &str) -> Value {
    let start = Instant::now();
    loop {
        let list = api.get("/api/notices").await;
        let notices = list["items"].as_array().unwrap();
        if let Some(notice) =
            notices.iter().find(|it| it["kind"] == kind && it["state"] != "not_sent")
        {
            return notice.clone();
        }
        assert!(start.elapsed() < PATIENCE, "{list}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn people_hear_of_a_campaigns_end_by_mail_with_counts_and_links_only() {
    let (far, url) = far().await;
    let directory = tempfile::tempdir().unwrap();
    let server = server(directory.path(), &url, &[("CALLCORE_SUMMARY_AT", "off")]);
    let api = server.api();
    let (id, _) = started(&api, &any_hour("Renewals", 10), LIST.to_vec()).await;
    finished(&api, &id).await;
    let (_, mail) = far.mail("A campaign is finished").await;
    assert_eq!(mail["from"], "Acme Calls <calls@example.com>");
    assert_eq!(mail["to"], json!(["ops@example.com"]));
    for words in [mail["text"].as_str().unwrap(), mail["html"].as_str().unwrap()] {
        assert!(words.contains(&format!("https://calls.example.com/campaigns/{id}")), "{words}");
        for hidden in ["Ada", "Byron", "5550101", "5550102"] {
            assert!(!words.contains(hidden), "{hidden}: {words}");
        }
    }
    let told = notice(&api, "campaign_finished").await;
    assert_eq!((&told["state"], &told["mail"]["attempts"]), (&json!("sent"), &json!(1)));
    assert_eq!(told["campaign_id"], id);
}

#[tokio::test]
async fn names_stand_in_mails_only_where_they_are_wanted() {
    let (far, url) = far().await;
    let directory = tempfile::tempdir().unwrap();
    let details = ("CALLCORE_MAIL_DETAILS", "on");
    let server = server(directory.path(), &url, &[("CALLCORE_SUMMARY_AT", "off"), details]);
    let api = server.api();
    let (id, _) = started(&api, &any_hour("Renewals & more", 10), LIST.to_vec()).await;
    finished(&api, &id).await;
    let (_, mail) = far.mail("A campaign is finished").await;
    assert!(mail["text"].as_str().unwrap().contains("Renewals & more"), "{mail}");
    assert!(mail["html"].as_str().unwrap().contains("Renewals &amp; more"), "{mail}");
}

/// Clients of whom some miss the call and ring back.
fn many() -> Vec<u8> {
    let people = (0..400).map(|n| {
        let area = [212, 303, 415, 617][n / 100];
        format!("Person {n:03},+1{area}55501{:02}\n", n % 100)
    });
    std::iter::once("Name,Phone\n".to_owned()).chain(people).collect::<String>().into_bytes()
}

#[tokio::test]
async fn people_hear_of_a_call_that_came_in() {
    for details in ["off", "on"] {
        let (far, url) = far().await;
        let directory = tempfile::tempdir().unwrap();
        let settings = [("CALLCORE_SUMMARY_AT", "off"), ("CALLCORE_MAIL_DETAILS", details)];
        let server = server(directory.path(), &url, &settings);
        let api = server.api();
        started(&api, &any_hour("Renewals", 200), many()).await;
        let (_, mail) = far.mail(" came in").await;
        let told = notice(&api, "inbound_call").await;
        let call = api.get(&format!("/api/calls/{}", told["call_id"].as_str().unwrap())).await;
        assert_eq!(
            (&call["direction"], &call["campaign_name"]),
            (&json!("inbound"), &json!("Renewals"))
        );
        for words in [mail["text"].as_str().unwrap(), mail["html"].as_str().unwrap()] {
            assert!(words.contains("https://calls.example.com/calls/"), "{words}");
            for hidden in ["Person ", "55501"] {
                assert_eq!(words.contains(hidden), details == "on", "{hidden}: {words}");
            }
        }
    }
}

#[tokio::test]
async fn a_mail_that_does_not_pass_is_counted_and_shown() {
    let directory = tempfile::tempdir().unwrap();
    // Nobody listens there.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server =
        server(directory.path(), &format!("http://{closed}"), &[("CALLCORE_SUMMARY_AT", "off")]);
    let api = server.api();
    assert!(api.text("/metrics").await.contains("\ncallcore_mails{state=\"waiting\"} 0\n"));
    let sent = answer(api.of(CRON_SECRET).request("POST", "/api/cron/daily-summary")).await;
    assert_eq!(sent.status, 200, "{}", sent.text);
    let metrics = api.text("/metrics").await;
    assert!(metrics.contains("\ncallcore_mails{state=\"waiting\"} 1\n"), "{metrics}");
    assert!(metrics.contains("\ncallcore_mails{state=\"failed\"} 0\n"), "{metrics}");
}

#[tokio::test]
async fn the_summary_comes_at_its_hour_and_whenever_it_is_wanted() {
    let (far, url) = far().await;
    let directory = tempfile::tempdir().unwrap();
    // A day lasts 24 seconds, so that an hour comes by soon.
    let server = server(directory.path(), &url, &[("CALLCORE_SUMMARY_AT", "18:00")]);
    let api = server.api();
    let (id, _) = started(&api, &any_hour("Renewals", 10), LIST.to_vec()).await;
    let (key, mail) = far.mail(" calls, ").await;
    assert!(key.starts_with("callcore-"));
    let text = mail["text"].as_str().unwrap();
    assert!(text.contains("Daily summary") && text.contains("(UTC)"), "{text}");
    finished(&api, &id).await;

    let cron = api.of(CRON_SECRET);
    let before = far.mails().len();
    let sent = answer(cron.request("POST", "/api/cron/daily-summary")).await;
    assert_eq!(sent.status, 200, "{}", sent.text);
    assert!(far.mails().len() > before, "it was sent before it was answered");
    let kinds = api.get("/api/mails").await;
    assert!(kinds["items"].as_array().unwrap().iter().any(|it| it["kind"] == "daily_summary"));
}

#[tokio::test]
async fn a_server_killed_between_sending_and_marking_sends_the_same_mail_again() {
    let (far, url) = far().await;
    far.mute(true);
    let directory = tempfile::tempdir().unwrap();
    let off = [("CALLCORE_SUMMARY_AT", "off")];
    let first = server(directory.path(), &url, &off);
    let (id, _) = started(&first.api(), &any_hour("Renewals", 10), LIST.to_vec()).await;
    finished(&first.api(), &id).await;
    let sent = far.mail("A campaign is finished").await;
    first.kill();
    far.mute(false);
    let second = server(directory.path(), &url, &off);
    let told = notice(&second.api(), "campaign_finished").await;
    assert_eq!((&told["state"], &told["mail"]["attempts"]), (&json!("sent"), &json!(2)));
    let of_campaign: Vec<_> = far.mails().into_iter().filter(|(key, _)| *key == sent.0).collect();
    assert_eq!(of_campaign, [sent.clone(), sent], "word for word, under the same key");
}

#[tokio::test]
async fn a_scheduler_drives_the_calls_with_its_secret_alone() {
    let (_, url) = far().await;
    let directory = tempfile::tempdir().unwrap();
    let server = server(directory.path(), &url, &[("CALLCORE_SUMMARY_AT", "off")]);
    let api = server.api();
    started(&api, &any_hour("Renewals", 10), LIST.to_vec()).await;
    let cron = api.of(CRON_SECRET);
    for method in ["GET", "POST"] {
        let done = answer(cron.request(method, "/api/cron/tick?max_seconds=1")).await;
        assert_eq!(done.status, 200, "{}", done.text);
        let done: Value = serde_json::from_str(&done.text).unwrap();
        let fields: Vec<&String> = done.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["claimed", "placed", "settled", "next_due_at"]);
    }
    for (who, method, status) in [
        (&cron, "HEAD", 405),
        (&api, "GET", 401),
        (&api, "POST", 401),
        (&api.of_a_stranger(), "GET", 401),
    ] {
        let refused = answer(who.request(method, "/api/cron/tick")).await;
        assert_eq!(refused.status, status, "{method}: {}", refused.text);
    }
    let bad = answer(cron.request("GET", "/api/cron/tick?max_seconds=soon")).await;
    assert_eq!(bad.status, 400);
    let elsewhere = answer(cron.request("GET", "/api/notices")).await;
    assert_eq!(elsewhere.status, 401, "the secret opens nothing else");
}

#[tokio::test]
async fn without_settings_notices_are_kept_and_there_is_nothing_for_schedulers() {
    let directory = tempfile::tempdir().unwrap();
    let settings =
        [("CALLCORE_API_TOKEN", TOKEN), ("CALLCORE_SIM_SPEED", "3600"), ("CALLCORE_SIM_SEED", "7")];
    let server = Server::start(directory.path(), &settings);
    let api = server.api();
    let (id, _) = started(&api, &any_hour("Renewals", 10), LIST.to_vec()).await;
    finished(&api, &id).await;
    let list = api.get("/api/notices").await;
    let kept = &list["items"].as_array().unwrap()[0];
    assert_eq!((&kept["state"], &kept["reason"]), (&json!("not_sent"), &json!("no_mail_settings")));
    for path in ["/api/cron/tick", "/api/cron/daily-summary"] {
        let nothing = answer(api.request("GET", path)).await;
        assert_eq!(nothing.status, 404, "{path}");
    }
}
