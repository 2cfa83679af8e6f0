//! What tests of the router share: a world with a store in memory, a carrier that takes every call,
//! and clocks that stand still at ten in the morning in New York.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use callcore::actor::{Actor, Role};
use callcore::call::{AnsweredBy, Ending, EventKind, Report, Speaker};
use callcore::driver::Driver;
use callcore::engine::Ticket;
use callcore::id::{CallId, UserId};
use callcore::mail::Links;
use callcore::mailer::{MailLimits, MailSettings, Mailer};
use callcore::memory::MemoryStore;
use callcore::port::{
    Access, Audio, AuditQuery, By, Campaigns, ClientQuery, Dispatch, Found, OpenCall, Placement,
    Telephony, TelephonyError, User,
};
use callcore::port::{Mail, Notifier, NotifyError};
use callcore::time::{ManualClock, SeededEntropy};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::state::{ApiState, Ports};
use crate::{router, sign_in};

pub(crate) struct World {
    pub(crate) state: ApiState,
    pub(crate) router: Router,
    pub(crate) clock: Arc<ManualClock>,
    store: Arc<MemoryStore>,
    carrier: Arc<Carrier>,
    wakes: Arc<AtomicUsize>,
    post: Arc<Post>,
}

/// What lets a scheduler in.
pub(crate) const CRON_SECRET: &str = "a secret for the scheduler";

/// Settings that are open on weekdays in New York.
pub(crate) fn settings() -> Value {
    let open = json!([["09:00", "17:00"]]);
    json!({
        "name": "Renewals", "time_zone": "America/New_York", "zone_policy": "campaign",
        "hours": {"mon": open, "tue": open, "wed": open, "thu": open, "fri": open},
        "pacing": {"max_concurrent": 100, "calls_per_second": 100},
        "script": {"steps": [{"say": "Hello."}]},
    })
}

/// The smallest WAV there is, but for a few samples.
pub(crate) fn wav() -> Vec<u8> {
    let mut file = b"RIFF\x2c\x00\x00\x00WAVEfmt \x10\x00\x00\x00".to_vec();
    file.extend([1, 0, 1, 0, 0x40, 0x1f, 0, 0, 0x80, 0x3e, 0, 0, 2, 0, 16, 0]);
    file.extend(b"data\x08\x00\x00\x00\x00\x00\x01\x00\x02\x00\x03\x00");
    file
}

/// A multipart form: its media type and its body.
pub(crate) fn form(parts: &[(&str, &[u8])]) -> (String, Vec<u8>) {
    let mut body = Vec::new();
    for (name, bytes) in parts {
        // So browsers send a field for a file in which none was chosen.
        let file = match *name {
            "file" if bytes.is_empty() => "; filename=\"\"",
            "file" => "; filename=\"list.csv\"",
            _ => "",
        };
        let head = format!("--b\r\ncontent-disposition: form-data; name=\"{name}\"{file}\r\n\r\n");
        body.extend(head.as_bytes());
        body.extend(*bytes);
        body.extend(b"\r\n");
    }
    body.extend(b"--b--\r\n");
    ("multipart/form-data; boundary=b".to_owned(), body)
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|state| state)
    }

    /// A world in which a scheduler has no secret.
    pub(crate) fn without_cron() -> Self {
        Self::build(|state| state, None, false)
    }

    /// A world that sends mails.
    pub(crate) fn with_mail() -> Self {
        Self::build(|state| state, Some(CRON_SECRET), true)
    }

    pub(crate) fn with(change: impl FnOnce(ApiState) -> ApiState) -> Self {
        Self::build(change, Some(CRON_SECRET), false)
    }

    fn build(
        change: impl FnOnce(ApiState) -> ApiState,
        cron: Option<&str>,
        sends_mail: bool,
    ) -> Self {
        let clock = Arc::new(ManualClock::new("2026-11-23T15:00:00Z".parse().unwrap()));
        let (store, carrier) = (Arc::new(MemoryStore::default()), Arc::new(Carrier::default()));
        let wakes = Arc::new(AtomicUsize::new(0));
        let ports = Ports {
            store: store.clone(),
            carrier: carrier.clone(),
            clock: clock.clone(),
            wall: clock.clone(),
            entropy: Arc::new(SeededEntropy::new(7)),
        };
        let counted = wakes.clone();
        let mut state = ApiState::new(ports).with_wake(move || {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        for role in [Role::Viewer, Role::Operator, Role::Admin] {
            state = state.with_token(role.as_str(), role.as_str(), role);
        }
        let post = Arc::new(Post::default());
        let entropy = Arc::new(SeededEntropy::new(8));
        if let Some(secret) = cron {
            let (clock, wall) = (clock.clone(), clock.clone());
            let driver = Driver::new(store.clone(), carrier.clone(), clock, wall);
            state = state.with_cron(secret, Arc::new(driver));
        }
        if sends_mail {
            let settings = MailSettings {
                to: vec!["ops@example.com".parse().unwrap()],
                details: false,
                links: Links::new("http://127.0.0.1:3000"),
                zone: callcore::time::Zone::utc(),
                summary_at: None,
                limits: MailLimits::default(),
            };
            let (clock, wall, post) = (clock.clone(), clock.clone(), post.clone());
            let mailer = Mailer::new(store.clone(), post, clock, wall, entropy, settings);
            state = state.with_mailer(Arc::new(mailer));
        }
        let state = change(state);
        let router = router(state.clone());
        Self { state, router, clock, store, carrier, wakes, post }
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> Asked {
        let request = Request::builder().method(method).uri(path);
        Asked { router: self.router.clone(), request, role: Some(Role::Admin), body: Vec::new() }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.request("GET", path).send().await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.request("POST", path).json(body).send().await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.request("PATCH", path).json(body).send().await
    }

    /// The first client of a campaign.
    pub(crate) async fn client(&self, campaign: &str) -> String {
        let list = self.get(&format!("/api/campaigns/{campaign}/clients?limit=1")).await;
        list.json["items"][0]["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.request("DELETE", path).send().await
    }

    pub(crate) async fn upload(&self, campaign: &str, file: &[u8]) -> Answer {
        self.upload_parts(campaign, &[("file", file)]).await
    }

    pub(crate) async fn upload_parts(&self, campaign: &str, parts: &[(&str, &[u8])]) -> Answer {
        let (media_type, body) = form(parts);
        let request = self.request("POST", &format!("/api/campaigns/{campaign}/import"));
        request.header("content-type", &media_type).body(body).send().await
    }

    /// An uploaded audio.
    pub(crate) async fn audio(&self, name: &str) -> String {
        let (media_type, body) = form(&[("name", name.as_bytes()), ("file", &wav())]);
        let request = self.request("POST", "/api/audio").header("content-type", &media_type);
        let answer = request.body(body).send().await;
        answer.json["id"].as_str().unwrap().to_owned()
    }

    /// A campaign without clients.
    pub(crate) async fn draft(&self) -> String {
        let answer = self.post("/api/campaigns", settings()).await;
        answer.json["id"].as_str().unwrap().to_owned()
    }

    /// A campaign with clients that was not started; every second client has the tag `even`.
    pub(crate) async fn loaded(&self, clients: usize) -> String {
        const AREAS: [u32; 13] = [212, 201, 202, 203, 205, 206, 207, 208, 209, 210, 213, 214, 215];
        let campaign = self.draft().await;
        let mut list = "Name,Phone,Tags\n".to_owned();
        for index in 0..clients {
            let (area, last) = (AREAS[index / 100], index % 100);
            let tag = if index % 2 == 0 { "even" } else { "" };
            list.push_str(&format!("Client {index},+1{area}55501{last:02},{tag}\n"));
        }
        let report = self.upload(&campaign, list.as_bytes()).await;
        assert_eq!(report.json["accepted"], clients, "{}", report.text());
        campaign
    }

    /// The calls to come of every campaign.
    pub(crate) async fn calls(&self) -> Vec<String> {
        let mut calls = Vec::new();
        for view in self.store.campaigns(&[], None, 200).await.unwrap().items {
            let query = ClientQuery {
                campaign: view.campaign.id,
                q: None,
                statuses: Vec::new(),
                tags: Vec::new(),
                after: None,
                limit: 200,
            };
            let clients = self.store.clients(&query).await.unwrap().items;
            let next = clients.iter().filter_map(|view| view.client.standing.next_call);
            calls.extend(next.map(|next| next.call.to_string()));
        }
        calls
    }

    /// Dials every call that is due.
    pub(crate) async fn dial_all(&self) {
        let (store, carrier) = (self.store.clone(), self.carrier.clone());
        let driver = Driver::new(store, carrier, self.clock.clone(), self.clock.clone());
        while driver.tick().await.unwrap().placed > 0 {}
    }

    /// Dials every call that is due, and a person answers each.
    pub(crate) async fn answer_all(&self) {
        self.dial_all().await;
        let now = self.state.now();
        let mut reports = Vec::new();
        for open in self.store.live(1_000).await.unwrap() {
            let said = EventKind::Line {
                index: 0,
                speaker: Speaker::Agent,
                offset_seconds: 0,
                text: "Hello.".to_owned(),
            };
            let events = [
                EventKind::Answered,
                EventKind::Detected { by: AnsweredBy::Human },
                said,
                EventKind::Recorded { reference: "RECORDING".to_owned() },
                EventKind::Ended { ending: Ending::Completed, talk_seconds: 30 },
            ];
            reports.extend(events.map(|kind| Report::ours(open.call, now, kind)));
        }
        self.store.record(By::new(&Actor::System, now), &reports).await.unwrap();
    }

    /// A call that a person answered, with a transcript and a recording.
    pub(crate) async fn talked(&self) -> String {
        let campaign = self.loaded(1).await;
        let call = self.calls().await.remove(0);
        self.post(&format!("/api/campaigns/{campaign}/start"), json!({})).await;
        self.answer_all().await;
        call
    }

    /// The subjects of the mails that were sent.
    pub(crate) fn mails(&self) -> Vec<String> {
        self.post.0.lock().unwrap().clone()
    }

    /// Sends the summary of the day so far.
    pub(crate) async fn summary(&self) -> Answer {
        self.scheduled("/api/cron/daily-summary").await
    }

    /// Does what a scheduler has done.
    pub(crate) async fn tick(&self) -> Answer {
        self.scheduled("/api/cron/tick").await
    }

    async fn scheduled(&self, path: &str) -> Answer {
        let request = self.request("GET", path).anonymous();
        request.header("authorization", &format!("Bearer {CRON_SECRET}")).send().await
    }

    /// Whether the audit log has a row of an action.
    pub(crate) async fn audited(&self, action: &str) -> bool {
        let rows = self.store.audit(&AuditQuery::newest(1_000)).await.unwrap().items;
        rows.iter().any(|row| row.action == action && row.actor != Actor::System)
    }

    pub(crate) fn hung_up(&self) -> Vec<String> {
        self.carrier.hung_up.lock().unwrap().clone()
    }

    pub(crate) fn carrier_away(&self) {
        self.carrier.away.store(true, Ordering::Relaxed);
    }

    pub(crate) fn wakes(&self) -> usize {
        self.wakes.load(Ordering::Relaxed)
    }

    /// Somebody who may sign in.
    pub(crate) async fn user(&self, name: &str, role: Role, password: Option<&str>) -> User {
        let user = User {
            id: UserId::new(self.state.now(), self.state.entropy()),
            name: name.to_owned(),
            role,
            password_hash: password
                .map(|it| sign_in::hash_password(it, self.state.entropy()).unwrap()),
            disabled: false,
        };
        let by = By::new(&Actor::System, self.state.now());
        self.store.save_user(by, user).await.unwrap()
    }
}

/// A request to be sent.
pub(crate) struct Asked {
    router: Router,
    request: axum::http::request::Builder,
    role: Option<Role>,
    body: Vec<u8>,
}

impl Asked {
    pub(crate) fn role(mut self, role: Role) -> Self {
        self.role = Some(role);
        self
    }

    pub(crate) fn anonymous(mut self) -> Self {
        self.role = None;
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    pub(crate) fn json(self, body: Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string().into_bytes())
    }

    pub(crate) fn body(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self
    }

    pub(crate) async fn send(self) -> Answer {
        let mut request = self.request;
        if let Some(role) = self.role {
            request = request.header("authorization", format!("Bearer {}", role.as_str()));
        }
        let request = request.body(Body::from(self.body)).unwrap();
        let response = self.router.oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        // Events never end.
        let endless = parts.headers.get("content-type").is_some_and(|it| it == "text/event-stream");
        let body = if endless { Body::empty() } else { body };
        let bytes = body.collect().await.unwrap().to_bytes().to_vec();
        let json = serde_json::from_slice(&bytes).unwrap_or_default();
        Answer { status: parts.status, headers: parts.headers, bytes, json }
    }
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) json: Value,
    bytes: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// A problem's code; empty if the answer is none.
    pub(crate) fn code(&self) -> &str {
        self.json["code"].as_str().unwrap_or_default()
    }

    /// The fields a problem names.
    pub(crate) fn fields(&self) -> Vec<&str> {
        let errors = self.json["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        errors.iter().filter_map(|error| error["field"].as_str()).collect()
    }
}

/// A carrier that takes every call and says nothing more.
#[derive(Debug, Default)]
struct Carrier {
    hung_up: Mutex<Vec<String>>,
    away: AtomicBool,
}

#[async_trait]
impl Telephony for Carrier {
    fn kind(&self) -> &'static str {
        "fake"
    }

    fn is_simulated(&self) -> bool {
        true
    }

    async fn place_call(&self, ticket: Ticket) -> Placement {
        Placement::Placed { carrier_call_id: ticket.call().to_string() }
    }

    async fn hang_up(&self, call: CallId, _: Option<&str>) -> Result<(), TelephonyError> {
        self.hung_up.lock().unwrap().push(call.to_string());
        Ok(())
    }

    async fn find_call(&self, _: &OpenCall) -> Result<Found, TelephonyError> {
        Ok(Found::Nothing)
    }

    async fn check(&self) -> Result<(), TelephonyError> {
        Ok(())
    }

    async fn recording(&self, reference: &str) -> Result<Option<Audio>, TelephonyError> {
        if self.away.load(Ordering::Relaxed) {
            return Err(TelephonyError::new("fetch a recording"));
        }
        let audio = Audio { content_type: "audio/wav".to_owned(), bytes: b"0123456789".to_vec() };
        Ok((reference == "RECORDING").then_some(audio))
    }

    async fn delete_recording(&self, _: &str) -> Result<(), TelephonyError> {
        match self.away.load(Ordering::Relaxed) {
            true => Err(TelephonyError::new("delete a recording")),
            false => Ok(()),
        }
    }
}

/// A way for mails that takes every one.
#[derive(Debug, Default)]
struct Post(Mutex<Vec<String>>);

#[async_trait]
impl Notifier for Post {
    fn kind(&self) -> &'static str {
        "fake"
    }

    async fn send(&self, mail: &Mail) -> Result<(), NotifyError> {
        self.0.lock().unwrap().push(mail.subject.clone());
        Ok(())
    }
}
