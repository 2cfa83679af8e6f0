use std::time::{Duration, Instant};

use reqwest::header::{COOKIE, ORIGIN, SET_COOKIE};
use reqwest::{Client, Response};
use serde_json::Value;

use crate::harness::{PATIENCE, Server, client};

const LINK: &str = "sign in once, within 15 minutes: ";

async fn redeem(client: &Client, server: &Server, link: &str) -> Response {
    let (_, secret) = link.split_once("link=").unwrap();
    let form = format!("link={secret}");
    client
        .post(format!("{}/sign-in", server.url()))
        .header("content-type", "application/x-www-form-urlencoded")
        .header(ORIGIN, server.url())
        .body(form)
        .send()
        .await
        .unwrap()
}

fn session(answer: &Response) -> Option<String> {
    let cookie = answer.headers().get(SET_COOKIE)?.to_str().unwrap();
    cookie.split(';').next().map(str::to_owned)
}

async fn campaigns(client: &Client, server: &Server, session: &str) -> Value {
    let request = client.get(format!("{}/api/campaigns", server.url())).header(COOKIE, session);
    request.send().await.unwrap().error_for_status().unwrap().json().await.unwrap()
}

#[tokio::test]
async fn a_first_start_prints_a_link_that_signs_in_once_and_shows_a_demo() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::start(directory.path(), &[]);
    let link = server.line_after(LINK);
    assert!(link.starts_with(server.url()), "{link}");
    assert!(directory.path().join("callcore.db").exists());
    let client = client();

    // Whoever only opens the link, such as a mail scanner, does not use it up.
    for _ in 0..2 {
        let page = client.get(&link).send().await.unwrap();
        assert_eq!(page.status(), 200);
        assert!(page.text().await.unwrap().contains("<button"));
    }
    let answer = redeem(&client, &server, &link).await;
    let session = session(&answer).expect("the link signs in");
    assert!(self::session(&redeem(&client, &server, &link).await).is_none(), "it does so once");

    let start = Instant::now();
    loop {
        let list = campaigns(&client, &server, &session).await;
        let demo = &list["items"][0];
        assert_eq!((&demo["state"], &demo["clients"]), (&"running".into(), &480.into()));
        if demo["calls_in_progress"].as_u64() > Some(2) {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "nothing happens: {demo}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let dashboard = client.get(format!("{}/dashboard", server.url())).header(COOKIE, &session);
    let dashboard = dashboard.send().await.unwrap().text().await.unwrap();
    assert!(dashboard.contains("Appointment reminders"), "{dashboard}");
}

#[tokio::test]
async fn a_restart_prints_a_new_link_and_makes_no_second_demo() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::start(directory.path(), &[]);
    let first = server.line_after(LINK);
    server.kill();
    let mut server = Server::start(directory.path(), &[]);
    let second = server.line_after(LINK);
    assert_ne!(first.split_once("link="), second.split_once("link="));
    let client = client();
    let session = session(&redeem(&client, &server, &second).await).unwrap();
    let list = campaigns(&client, &server, &session).await;
    assert_eq!(list["items"].as_array().unwrap().len(), 1, "{list}");
}

#[tokio::test]
async fn the_password_of_the_settings_signs_admin_in() {
    let directory = tempfile::tempdir().unwrap();
    let settings = [("CALLCORE_ADMIN_PASSWORD", "correct horse")];
    let server = Server::start(directory.path(), &settings);
    let client = client();
    let sign_in = |password: &'static str| {
        let request = client
            .post(format!("{}/sign-in", server.url()))
            .header("content-type", "application/x-www-form-urlencoded")
            .header(ORIGIN, server.url())
            .body(format!("name=admin&password={password}"));
        async move { session(&request.send().await.unwrap()) }
    };
    assert!(sign_in("wrong+horse").await.is_none());
    let session = sign_in("correct+horse").await.unwrap();
    // A token or a password means that somebody has plans of their own: no demo.
    assert_eq!(campaigns(&client, &server, &session).await["items"], serde_json::json!([]));
}

#[tokio::test]
async fn where_people_come_by_https_the_session_stays_there() {
    for (url, is_secure) in
        [("http://calls.example.com", false), ("https://calls.example.com", true)]
    {
        let directory = tempfile::tempdir().unwrap();
        let settings = [("CALLCORE_ADMIN_PASSWORD", "correct horse"), ("CALLCORE_PUBLIC_URL", url)];
        let server = Server::start(directory.path(), &settings);
        let request = client()
            .post(format!("{}/sign-in", server.url()))
            .header("content-type", "application/x-www-form-urlencoded")
            .header(ORIGIN, url)
            .body("name=admin&password=correct+horse");
        let response = request.send().await.unwrap();
        let cookie = response.headers()["set-cookie"].to_str().unwrap();
        assert_eq!(cookie.contains("; Secure"), is_secure, "{url}");
    }
}

#[tokio::test]
async fn nothing_but_health_answers_strangers() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    let client = client();
    let status = async |path: &str| {
        client.get(format!("{}{path}", server.url())).send().await.unwrap().status().as_u16()
    };
    assert_eq!(status("/healthz").await, 200);
    assert_eq!(status("/readyz").await, 200);
    for path in ["/api/campaigns", "/api/calls/history", "/api/dashboard", "/api/dnc"] {
        assert_eq!(status(path).await, 401, "{path}");
    }
    for path in ["/", "/dashboard", "/campaigns", "/calls/history"] {
        assert_ne!(status(path).await, 200, "{path}");
    }
}
