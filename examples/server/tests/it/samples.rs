//! A good request for each route that changes something, and the things it is about.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use callcore::runtime::SystemClock;
use callcore::time::Clock;
use reqwest::RequestBuilder;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::harness::{Api, PATIENCE, Server, TOKEN};
use crate::job::any_hour;

pub(crate) const SETTINGS: [(&str, &str); 2] =
    [("CALLCORE_API_TOKEN", TOKEN), ("CRON_SECRET", "the-schedulers-own-secret")];

/// Well-formed, and nobody's.
pub(crate) const NOBODY: &str = "0199aaaa-0000-7000-8000-000000000000";

/// A WAV of eight samples: 8,000 of a byte each second, on one channel.
const WAV: &str = "RIFF\x2c\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\
                   \x08\0data\x08\0\0\0AAAAAAAA";

/// What a request brings.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    /// JSON.
    Json(Value),
    /// A file in a form.
    File(String),
}

impl Body {
    pub(crate) fn put_into(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::Json(json) => request.json(json),
            Self::File(text) => {
                let part = Part::text(text.clone()).file_name("list.csv");
                request.multipart(Form::new().part("file", part.mime_str("text/csv").unwrap()))
            }
        }
    }

    /// A body that is not this one.
    pub(crate) fn other(&self) -> Self {
        match self {
            Self::Json(json) => {
                let mut json = json.clone();
                match json.get_mut("ids").and_then(Value::as_array_mut) {
                    Some(ids) => ids.push(json!(NOBODY)),
                    None => json["another"] = json!(true),
                }
                Self::Json(json)
            }
            Self::File(text) => Self::File(format!("{text}\n")),
        }
    }
}

/// Whether a route is a scheduler's, whose turns are safe to repeat and take no key.
pub(crate) fn is_a_schedulers(path: &str) -> bool {
    path.starts_with("/api/cron/")
}

/// Whether a route lets in by a call's own token only: `script.rs` has its requests.
pub(crate) fn is_an_agents(path: &str) -> bool {
    path == "/api/calls/{id}/result"
}

/// Whether a route is a person's own, who has to be signed in: its handler's tests have its requests.
pub(crate) fn is_ones_own(path: &str) -> bool {
    path.starts_with("/api/me/")
}

/// What a good request sends, whatever things it is about; none for a route nobody thought of yet.
pub(crate) fn body(method: &str, path: &str) -> Option<Body> {
    let list = "phone,name\n2125550111,Ada\n2125550112,Bob\n";
    let name = || format!("n{}", next());
    Some(match (method, path) {
        ("POST", "/api/campaigns") => Body::Json(any_hour("Sample", 1)),
        ("PATCH", "/api/campaigns/{id}") => Body::Json(json!({"name": "Another name"})),
        ("POST", "/api/campaigns/{id}/start" | "/api/campaigns/{id}/pause")
        | ("POST", "/api/campaigns/{id}/resume" | "/api/campaigns/{id}/stop")
        | ("POST", "/api/campaigns/pause-all" | "/api/stop-all" | "/api/resume-all")
        | ("POST", "/api/calls/{id}/call-now" | "/api/calls/{id}/retry") => Body::Json(json!({})),
        ("POST", "/api/campaigns/{id}/import") => Body::File(list.to_owned()),
        ("POST", "/api/calls/{id}/skip") => Body::Json(json!({"reason": "bad_timing"})),
        ("POST", "/api/calls/{id}/reschedule") => {
            let tomorrow = SystemClock.now() + chrono::TimeDelta::days(1);
            Body::Json(json!({"due_at": tomorrow.to_rfc3339()}))
        }
        ("POST", "/api/calls/export") => Body::Json(json!({"ids": [NOBODY]})),
        ("POST", "/api/calls/bulk") => {
            Body::Json(json!({"action": "tag", "ids": [NOBODY], "tags": ["warm"]}))
        }
        ("PATCH", "/api/calls/{id}/notes") => Body::Json(json!({"notes": "asks for a quote"})),
        ("PATCH", "/api/calls/{id}/review") => Body::Json(json!({"status": "reviewed"})),
        ("POST", "/api/calls/{id}/result") => Body::Json(json!({"disposition": "interested"})),
        ("POST", "/api/campaigns/{id}/test-call") => Body::Json(json!({"phone": "+12125550190"})),
        ("POST", "/api/campaigns/{id}/clients") => {
            Body::Json(json!({"clients": [{"name": "Ada", "phone": "2125550111"}]}))
        }
        ("PATCH", "/api/clients/{id}") => Body::Json(json!({"notes": "prefers mornings"})),
        ("POST", "/api/clients/{id}/call-now" | "/api/imports/{id}/undo") => Body::Json(json!({})),
        ("POST", "/api/clients/{id}/dnc") => Body::Json(json!({"reason": "asked"})),
        ("POST", "/api/dnc/import") => Body::File("2125550170\n2125550171\n".to_owned()),
        ("POST", "/api/audio") => Body::File(WAV.to_owned()),
        ("POST", "/api/dnc") => Body::Json(json!({"phone": "+12125550150", "reason": "asked"})),
        ("POST", "/api/users") => Body::Json(json!({"name": name(), "role": "viewer"})),
        ("PATCH", "/api/users/{id}") => Body::Json(json!({"role": "operator"})),
        ("POST", "/api/invitations/accept") => Body::Json(json!({"password": "correct horse"})),
        ("POST", "/api/me/password") => {
            Body::Json(json!({"current": "correct horse", "new": "battery staple"}))
        }
        ("POST", "/api/tokens") => Body::Json(json!({"name": name(), "role": "viewer"})),
        ("PATCH", "/api/settings") => Body::Json(json!({"calls_per_second": 5})),
        _ => return None,
    })
}

/// Another number each time, for names that may be there once.
fn next() -> usize {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A server with things in it to change.
pub(crate) struct Stage {
    pub(crate) api: Api,
    _server: Server,
    /// Scheduled calls of a paused campaign that nobody touched yet.
    calls: RefCell<Vec<String>>,
    _directory: tempfile::TempDir,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let server = Server::start(directory.path(), &SETTINGS);
        let api = server.api();
        let stage = Self { api, _server: server, calls: RefCell::default(), _directory: directory };
        let campaign = stage.campaign("Paused", 80).await;
        stage.run(&campaign, "start").await;
        stage.run(&campaign, "pause").await;
        stage.quiet(&campaign).await;
        let path = format!("/api/calls/upcoming?campaign={campaign}&limit=200");
        let upcoming = stage.api.get(&path).await;
        let calls = upcoming["items"].as_array().unwrap().iter();
        // Those that are due first may have been claimed before the pause.
        let calls = calls.skip(10).map(|call| call["id"].as_str().unwrap().to_owned());
        stage.calls.borrow_mut().extend(calls);
        stage
    }

    /// Somebody with a role.
    pub(crate) async fn with_role(&self, role: &str) -> Api {
        let token = json!({"name": role, "role": role});
        let token = self.api.post("/api/tokens", &token).await;
        self.api.of(token["secret"].as_str().unwrap())
    }

    /// A draft with so many clients.
    async fn campaign(&self, name: &str, clients: usize) -> String {
        let campaign = self.api.post("/api/campaigns", &any_hour(name, 1)).await;
        let id = campaign["id"].as_str().unwrap().to_owned();
        let rows = (0..clients).map(|row| format!("21255501{row:02},Client {row}\n"));
        let list: String = ["phone,name\n".to_owned()].into_iter().chain(rows).collect();
        self.api.imported(&id, list.into_bytes()).await;
        id
    }

    /// Waits until no call of a paused campaign goes on: what happens to it would be taken for what
    /// a test did.
    async fn quiet(&self, campaign: &str) {
        let start = Instant::now();
        let path = format!("/api/campaigns/{campaign}");
        while self.api.get(&path).await["calls_in_progress"] != 0 {
            assert!(start.elapsed() < PATIENCE, "a call does not end");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until a call has ended.
    pub(crate) async fn call_ends(&self, call: &str) {
        let start = Instant::now();
        let path = format!("/api/calls/{call}");
        while self.api.get(&path).await["status"] != "ended" {
            assert!(start.elapsed() < PATIENCE, "a call does not end");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn run(&self, campaign: &str, verb: &str) {
        self.api.post(&format!("/api/campaigns/{campaign}/{verb}"), &json!({})).await;
    }

    fn call(&self) -> String {
        self.calls.borrow_mut().pop().expect("a call nobody touched yet")
    }

    async fn user(&self) -> Value {
        let Some(Body::Json(user)) = body("POST", "/api/users") else { panic!("it is there") };
        self.api.post("/api/users", &user).await
    }

    /// A good request of a route: the whole path, to something it may be done to, and the body.
    pub(crate) async fn sample(&self, method: &str, path: &str) -> Option<(String, Body)> {
        let mut body = body(method, path)?;
        let id = match path {
            "/api/campaigns/{id}" | "/api/campaigns/{id}/import" => self.campaign("A", 0).await,
            "/api/campaigns/{id}/test-call" | "/api/campaigns/{id}/clients" => {
                self.campaign("A", 0).await
            }
            "/api/imports/{id}/undo" => {
                let campaign = self.campaign("A", 0).await;
                let list = "phone,name\n2125550111,Ada\n".to_owned().into_bytes();
                self.api.imported(&campaign, list).await["id"].as_str().unwrap().to_owned()
            }
            path if path.starts_with("/api/clients/{id}") => {
                let call = self.api.get(&format!("/api/calls/{}", self.call())).await;
                call["client_id"].as_str().unwrap().to_owned()
            }
            "/api/campaigns/{id}/start" => self.campaign("A", 1).await,
            "/api/campaigns/{id}/pause" | "/api/campaigns/{id}/stop" => {
                // One client at a time is dialled: it does not finish meanwhile.
                let id = self.campaign("A", 50).await;
                self.run(&id, "start").await;
                id
            }
            "/api/campaigns/{id}/resume" => {
                let id = self.campaign("A", 50).await;
                self.run(&id, "start").await;
                self.run(&id, "pause").await;
                id
            }
            "/api/calls/{id}/retry" => {
                let id = self.call();
                let skip = json!({"reason": "bad_timing"});
                self.api.post(&format!("/api/calls/{id}/skip"), &skip).await;
                id
            }
            path if path.starts_with("/api/calls/{id}") => self.call(),
            "/api/users/{id}" => self.user().await["id"].as_str().unwrap().to_owned(),
            _ => String::new(),
        };
        if let Body::Json(json) = &mut body {
            match path {
                // What resumes resumes only what was stopped.
                "/api/resume-all" => drop(self.api.post("/api/stop-all", &json!({})).await),
                "/api/invitations/accept" => {
                    json["link"] = self.user().await["invitation"]["link"].clone();
                }
                "/api/calls/export" | "/api/calls/bulk" => json["ids"] = json!([self.call()]),
                _ => {}
            }
        }
        Some((path.replace("{id}", &id), body))
    }
}

/// A path that leads to a thing nobody has.
pub(crate) fn to_nobody(path: &str) -> String {
    with_ids(path, NOBODY)
}

/// A path with something in place of its ids.
pub(crate) fn with_ids(path: &str, id: &str) -> String {
    let part = |part: &str| match part {
        "{phone}" if id == NOBODY => "12125550199".to_owned(),
        place if place.starts_with('{') => id.to_owned(),
        other => other.to_owned(),
    };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}
