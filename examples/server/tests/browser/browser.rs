//! Chromium with a person in front of it, who finds things by the words on them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use fantoccini::elements::Element;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{PATIENCE, Server, TOKEN, client, lines_of};

/// The password of `admin` on a server of [`server`].
pub(crate) const PASSWORD: &str = "correct horse";

/// A server in a directory, without a demo.
pub(crate) fn server(directory: &Path) -> Server {
    server_with(directory, &[])
}

/// The same with more settings.
pub(crate) fn server_with(directory: &Path, settings: &[(&str, &str)]) -> Server {
    let mut all = vec![
        ("CALLCORE_ADMIN_PASSWORD", PASSWORD),
        ("CALLCORE_API_TOKEN", TOKEN),
        ("CALLCORE_SIM_SEED", "7"),
    ];
    all.extend(settings);
    Server::start(directory, &all)
}

/// How long a page may take to show what is waited for.
const SOON: Duration = Duration::from_secs(45);

/// Whether pages may run script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Script {
    On,
    Off,
}

/// A browser; it is closed when this is dropped.
pub(crate) struct Browser {
    pub(crate) page: Client,
    session: String,
    home: String,
    driver: Driver,
}

impl Browser {
    /// Opens a browser that has `home` before all paths.
    pub(crate) async fn open(home: &str, script: Script) -> Self {
        let driver = Driver::start();
        let capabilities = json!({
            "goog:chromeOptions": {
                "args": arguments(),
                "prefs": {
                    // 2 blocks, 1 allows.
                    "profile.managed_default_content_settings.javascript":
                        if script == Script::Off { 2 } else { 1 },
                    "download.default_directory": driver.downloads.path(),
                },
            },
        });
        let Value::Object(capabilities) = capabilities else { unreachable!("it is an object") };
        let mut builder = ClientBuilder::new(HttpConnector::new());
        let page = builder.capabilities(capabilities).connect(&driver.url).await.unwrap();
        let session = page.session_id().await.unwrap().unwrap();
        Self { page, session, home: home.to_owned(), driver }
    }

    /// Opens a browser and signs in with a name and a password.
    pub(crate) async fn signed_in(server: &Server, name: &str, script: Script) -> Self {
        let browser = Self::open(server.url(), script).await;
        browser.goto("/sign-in").await;
        browser.fill("User name", name).await;
        browser.fill("Password", PASSWORD).await;
        browser.press("Sign in").await;
        browser.sees("Dashboard").await;
        browser
    }

    /// Goes to a path of the server.
    pub(crate) async fn goto(&self, path: &str) {
        self.page.goto(&format!("{}{path}", self.home)).await.unwrap();
    }

    /// The path, query and fragment in the address bar.
    pub(crate) async fn path(&self) -> String {
        let url = self.page.current_url().await.unwrap();
        url.as_str().strip_prefix(&self.home).unwrap_or(url.as_str()).to_owned()
    }

    /// All the text that shows.
    pub(crate) async fn text(&self) -> String {
        // A page that is just being left has no body.
        match self.page.find(Locator::Css("body")).await {
            Ok(body) => body.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    /// Waits until a text shows.
    pub(crate) async fn sees(&self, text: &str) {
        self.until(&format!("{text:?} shows"), async || self.text().await.contains(text)).await;
    }

    /// Waits for something; the page's text is in the complaint if it does not come.
    pub(crate) async fn until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        let start = Instant::now();
        while !is_so().await {
            if start.elapsed() > SOON {
                panic!("{}: not so after long: {what}\n{}", self.path().await, self.text().await);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The first element that shows, waiting for it.
    pub(crate) async fn find(&self, xpath: &str) -> Element {
        let start = Instant::now();
        loop {
            for element in self.page.find_all(Locator::XPath(xpath)).await.unwrap_or_default() {
                if element.is_displayed().await.unwrap_or(false) {
                    return element;
                }
            }
            if start.elapsed() > SOON {
                panic!("{}: there is no {xpath}\n{}", self.path().await, self.text().await);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Presses a button by the words on it.
    pub(crate) async fn press(&self, words: &str) {
        let xpath = format!("//button[normalize-space(.)={}]", quoted(words));
        self.click(&xpath).await;
    }

    /// Follows a link by its words.
    pub(crate) async fn follow(&self, words: &str) {
        let xpath = format!("//a[normalize-space(.)={}]", quoted(words));
        self.click(&xpath).await;
    }

    /// Clicks what shows; a page that is updated at that moment is tried again.
    pub(crate) async fn click(&self, xpath: &str) {
        let start = Instant::now();
        while let Err(error) = self.find(xpath).await.click().await {
            assert!(start.elapsed() < SOON, "{xpath} can't be clicked: {error}");
        }
    }

    /// Writes into a field by its label, in place of what was there.
    pub(crate) async fn fill(&self, label: &str, text: &str) {
        let field = self.find(&labelled(label)).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// How many elements there are, whether they show or not.
    pub(crate) async fn count(&self, xpath: &str) -> usize {
        self.page.find_all(Locator::XPath(xpath)).await.unwrap().len()
    }

    /// Chooses files for a field by its label.
    pub(crate) async fn attach(&self, label: &str, file: &Path) {
        let field = self.find(&labelled(label)).await;
        field.send_keys(file.to_str().unwrap()).await.unwrap();
    }

    /// Chooses an entry of a select by its label.
    pub(crate) async fn choose(&self, label: &str, entry: &str) {
        self.find(&labelled(label)).await.select_by_label(entry).await.unwrap();
    }

    /// Where downloads arrive.
    pub(crate) fn downloads(&self) -> &Path {
        self.driver.downloads.path()
    }

    /// Runs script, whether the page itself may or not.
    pub(crate) async fn ask(&self, script: &str) -> Value {
        self.page.execute(script, Vec::new()).await.unwrap()
    }

    /// A command of Chromium's developer tools.
    pub(crate) async fn tool(&self, command: &str, parameters: Value) {
        let url = format!("{}/session/{}/goog/cdp/execute", self.driver.url, self.session);
        let body = json!({"cmd": command, "params": parameters});
        let answer = client().post(url).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{command}: {}", answer.text().await.unwrap());
    }

    /// A screen of a width and height, in a theme (`light` or `dark`).
    pub(crate) async fn screen(&self, width: u32, height: u32, theme: &str) {
        let metrics =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.tool("Emulation.setDeviceMetricsOverride", metrics).await;
        self.tool("Emulation.setScrollbarsHidden", json!({"hidden": true})).await;
        let features = json!([{"name": "prefers-color-scheme", "value": theme}]);
        self.tool("Emulation.setEmulatedMedia", json!({"features": features})).await;
    }
}

/// Text as XPath writes it.
pub(crate) fn quoted(text: &str) -> String {
    let quote = if text.contains('"') { '\'' } else { '"' };
    format!("{quote}{text}{quote}")
}

/// The field a label is for; a hint in the label does not count.
pub(crate) fn labelled(label: &str) -> String {
    let label = quoted(label);
    format!(
        "//*[@id=//label[normalize-space(text())={label} or normalize-space(.)={label}]/@for] \
         | //label[normalize-space(text()[last()])={label} or normalize-space(.)={label}]//input \
         | //*[@aria-label={label}]"
    )
}

fn arguments() -> Vec<&'static str> {
    let mut arguments = vec![
        "--headless=new",
        "--lang=en-US",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--window-size=1280,900",
    ];
    // Chromium's sandbox refuses root.
    if std::fs::metadata("/proc/self").is_ok_and(|it| it.uid() == 0) {
        arguments.push("--no-sandbox");
    }
    arguments
}

/// A chromedriver of one test's own.
struct Driver {
    process: Child,
    url: String,
    downloads: TempDir,
    // The pipe is read for as long as the process writes to it.
    _lines: Receiver<String>,
}

impl Driver {
    fn start() -> Self {
        let program = std::env::var_os("CHROMEDRIVER").unwrap_or_else(|| "chromedriver".into());
        let mut process = Command::new(&program)
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", program.display()));
        let lines = lines_of(process.stdout.take().unwrap());
        let port = loop {
            let line = lines.recv_timeout(PATIENCE).expect("chromedriver says its port");
            if let Some((_, port)) = line.split_once("successfully on port ") {
                break port.trim_end_matches('.').to_owned();
            }
        };
        let downloads = tempfile::tempdir().unwrap();
        Self { process, url: format!("http://127.0.0.1:{port}"), downloads, _lines: lines }
    }

    /// Asks it to close its browsers: they outlive a driver that is killed.
    fn shut_down(&self) -> std::io::Result<()> {
        let address = self.url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(stream, "GET /shutdown HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
        stream.read_to_end(&mut Vec::new())?;
        Ok(())
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        drop(self.shut_down());
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
