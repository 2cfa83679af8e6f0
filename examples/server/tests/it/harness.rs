//! Starts servers and talks to them.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use reqwest::header::HeaderMap;
use reqwest::multipart::{Form, Part};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;

/// How long anything may take before a test gives up on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
pub(crate) const TOKEN: &str = "a-token-for-tests-only";

/// A server or a carrier that runs; it is killed when this is dropped.
pub(crate) struct Server {
    child: Child,
    url: String,
    lines: Receiver<String>,
}

impl Server {
    /// Starts a server in a directory, on a free port, and waits until it listens.
    pub(crate) fn start(directory: &Path, settings: &[(&str, &str)]) -> Self {
        Self::start_on(directory, "127.0.0.1:0", settings)
    }

    /// The same on a given address.
    pub(crate) fn start_on(directory: &Path, bind: &str, settings: &[(&str, &str)]) -> Self {
        Self::spawn(directory, &["--bind", bind], settings, "callcore is at ")
    }

    /// Starts a simulated carrier's process on a free port.
    pub(crate) fn carrier(directory: &Path, settings: &[(&str, &str)]) -> Self {
        let arguments = ["sim-carrier", "--bind", "127.0.0.1:0"];
        Self::spawn(directory, &arguments, settings, "the carrier is at ")
    }

    fn spawn(directory: &Path, arguments: &[&str], settings: &[(&str, &str)], mark: &str) -> Self {
        let mut child = command(directory, arguments, settings).spawn().unwrap();
        let lines = lines_of(child.stdout.take().unwrap());
        let mut process = Self { child, url: String::new(), lines };
        process.url = process.line_after(mark);
        process
    }

    /// Waits for a line of its output that has `mark`, and returns what follows.
    pub(crate) fn line_after(&mut self, mark: &str) -> String {
        loop {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else {
                let status = self.child.try_wait().unwrap();
                panic!("the server did not print {mark:?}; it ended: {status:?}");
            };
            if let Some((_, rest)) = line.split_once(mark) {
                return rest.trim().to_owned();
            }
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn api(&self) -> Api {
        Api { http: client(), url: self.url.clone(), token: Some(TOKEN.to_owned()) }
    }

    /// SIGTERM; the shell has `kill` wherever there is one.
    pub(crate) fn terminate(&self) {
        let kill = format!("kill -TERM {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Waits until it has ended by itself.
    pub(crate) fn wait(mut self) -> ExitStatus {
        wait(&mut self.child)
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// A figure of `/proc/PID/status` that is in kB, in bytes.
    pub(crate) fn memory(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        let number = line.split_whitespace().nth(1).unwrap();
        number.parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Runs the binary until it ends: its exit code and what it said on standard error.
pub(crate) fn run(
    directory: &Path,
    arguments: &[&str],
    settings: &[(&str, &str)],
) -> (Option<i32>, String) {
    let mut child = command(directory, arguments, settings).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let said = std::thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).unwrap();
        text
    });
    let status = wait(&mut child);
    (status.code(), said.join().unwrap())
}

/// The binary, with nothing of this process's environment.
pub(crate) fn command(directory: &Path, arguments: &[&str], settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_callcore-server"));
    command
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .env("RUST_LOG", "warn")
        .envs(settings.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    command
}

/// Lines as they come; the pipe is read to its end, so that nobody blocks on it.
pub(crate) fn lines_of(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            // Nobody listens any more: the pipe is still read.
            drop(sender.send(line));
        }
    });
    lines
}

fn wait(child: &mut Child) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(start.elapsed() < PATIENCE, "the process does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// An HTTP client that follows no redirects.
pub(crate) fn client() -> reqwest::Client {
    drop(rustls::crypto::ring::default_provider().install_default());
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    let client = client.tls_certs_only(Vec::<reqwest::Certificate>::new());
    client.timeout(PATIENCE).build().unwrap()
}

/// The API, with the token of the tests or somebody else's.
pub(crate) struct Api {
    http: reqwest::Client,
    url: String,
    token: Option<String>,
}

impl Api {
    /// The API as somebody else sees it, by their bearer token.
    pub(crate) fn of(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.of_a_stranger() }
    }

    /// The API as somebody without credentials sees it.
    pub(crate) fn of_a_stranger(&self) -> Self {
        Self { http: self.http.clone(), url: self.url.clone(), token: None }
    }

    /// A request to be filled in and sent by [`answer`], whatever comes of it.
    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.http.request(method, format!("{}{path}", self.url));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends JSON, whatever comes of it.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: &Value) -> Answer {
        answer(self.request(method, path).json(body)).await
    }

    /// Sends JSON under an idempotency key, whatever comes of it.
    pub(crate) async fn ask_once(&self, key: &str, path: &str, body: &Value) -> Answer {
        answer(self.request("POST", path).header("idempotency-key", key).json(body)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, text) = self.send(Method::GET, path, None).await;
        assert_eq!(status, StatusCode::OK, "GET {path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    pub(crate) async fn text(&self, path: &str) -> String {
        let (status, text) = self.send(Method::GET, path, None).await;
        assert_eq!(status, StatusCode::OK, "GET {path}: {text}");
        text
    }

    /// Posts JSON, which has to succeed.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Value {
        let (status, text) = self.send(Method::POST, path, Some(body)).await;
        assert!(status.is_success(), "POST {path}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Uploads a file; the report, or the problem.
    pub(crate) async fn upload(&self, campaign: &str, file: Vec<u8>) -> (StatusCode, Value) {
        let part = Part::bytes(file).file_name("clients.csv").mime_str("text/csv").unwrap();
        let request = self.request("POST", &format!("/api/campaigns/{campaign}/import"));
        let answer = request.multipart(Form::new().part("file", part)).send().await.unwrap();
        let status = answer.status();
        (status, answer.json().await.unwrap())
    }

    /// The report of an import, once it is done.
    pub(crate) async fn imported(&self, campaign: &str, file: Vec<u8>) -> Value {
        let (status, mut report) = self.upload(campaign, file).await;
        assert!(status.is_success(), "{status}: {report}");
        let start = Instant::now();
        while report["status"] == "running" {
            assert!(start.elapsed() < PATIENCE, "the import does not end: {report}");
            tokio::time::sleep(Duration::from_millis(50)).await;
            report = self.get(&format!("/api/imports/{}", report["id"].as_str().unwrap())).await;
        }
        report
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> (StatusCode, String) {
        let request = self.request(method.as_str(), path);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let answer = request.send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }
}

/// Sends a request and reads the whole answer.
pub(crate) async fn answer(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let text = String::from_utf8_lossy(&response.bytes().await.unwrap()).into_owned();
    let json = serde_json::from_str(&text).unwrap_or_default();
    Answer { status, headers, text, json }
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    /// Null if the body is no JSON.
    pub(crate) json: Value,
}

impl Answer {
    /// Its status and its problem's code; no code if it is no problem.
    pub(crate) fn told(&self) -> (u16, &str) {
        (self.status.as_u16(), self.json["code"].as_str().unwrap_or_default())
    }

    /// The fields its problem names.
    pub(crate) fn fields(&self) -> Vec<&str> {
        let errors = self.json["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        errors.iter().filter_map(|error| error["field"].as_str()).collect()
    }
}
