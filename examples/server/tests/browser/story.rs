//! The whole story, as a person lives it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::browser::{Browser, PASSWORD, Script, labelled, server_with};
use crate::harness::{PATIENCE, Server};

/// A list as Excel damages it, and what is to be made of it.
const LIST: &str = "../../callcore/tests/data/clients-excel.csv";
const EXPECTED: &str = "../../callcore/tests/data/clients-excel.expected.json";

#[tokio::test]
#[ignore = "needs Chromium and its driver"]
async fn the_whole_story_with_script() {
    story(Script::On).await;
}

#[tokio::test]
#[ignore = "needs Chromium and its driver"]
async fn the_whole_story_without_script() {
    story(Script::Off).await;
}

/// Somebody at a browser, on a server of their own.
struct Person {
    browser: Browser,
    server: Server,
    script: Script,
    /// The campaign's page.
    campaign: String,
}

async fn story(script: Script) {
    let directory = tempfile::tempdir().unwrap();
    let settings = [("CALLCORE_SIM_SPEED", "60")];
    let server = server_with(directory.path(), &settings);
    let browser = Browser::signed_in(&server, "admin", script).await;
    let mut person = Person { browser, server, script, campaign: String::new() };
    person.uploads_and_mends().await;
    person.opens_the_week().await;
    person.sets_up_and_starts().await;
    person.watches_and_listens().await;
    person.reviews_and_tags().await;
    person.works_the_queue().await;
    person.lists_a_number().await;
    person.calls_again_and_pauses().await;
    person.exports_and_compares().await;
}

impl Person {
    /// Looks again and again: with script the page does that by itself.
    async fn waits_for(&self, text: &str) {
        let start = Instant::now();
        while !self.browser.text().await.contains(text) {
            assert!(start.elapsed() < PATIENCE, "{text}: {}", self.browser.text().await);
            if self.script == Script::Off {
                self.browser.page.refresh().await.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    /// What the API says, as far as this is about what pages show.
    async fn told(&self, path: &str) -> Value {
        self.server.api().get(path).await
    }

    fn id(&self) -> &str {
        self.campaign.rsplit('/').next().unwrap()
    }

    async fn uploads_and_mends(&mut self) {
        let browser = &self.browser;
        browser.follow("Create a campaign").await;
        browser.fill("Name", "Renewals").await;
        let list = Path::new(env!("CARGO_MANIFEST_DIR")).join(LIST).canonicalize().unwrap();
        browser.attach("The list", &list).await;
        browser.press("Create the draft").await;
        browser.sees("Which column holds what?").await;
        let path = browser.path().await;
        self.campaign = path.split("/setup").next().unwrap().to_owned();

        // A wrong mapping is told; the right one goes on.
        browser.choose("Phone number", "Amount").await;
        browser.press("See what would come in").await;
        browser.sees("None of its rows would bring anybody in").await;
        browser.follow("Back to the columns").await;
        browser.choose("Phone number", "Mobile No.").await;
        browser.choose("Whole name", "Customer").await;
        browser.press("See what would come in").await;
        let expected =
            std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(EXPECTED));
        let expected: Value = serde_json::from_str(&expected.unwrap()).unwrap();
        let expected = &expected["clients-excel.csv"];
        browser.sees(&format!("Rows read\n{}", expected["rows"])).await;
        browser.sees(&format!("Would be added\n{}", expected["accepted"])).await;
        browser.sees(&format!("In already\n{}", expected["duplicate"])).await;
        let refused: u64 =
            expected["rejected"].as_object().unwrap().values().map(|it| it.as_u64().unwrap()).sum();
        browser.sees(&format!("Refused\n{refused}")).await;
    }

    async fn opens_the_week(&self) {
        let browser = &self.browser;
        // The list waits meanwhile.
        browser.goto(&format!("{}/setup/hours", self.campaign)).await;
        for (label, time) in
            [("Monday, window 1, from", "1200AM"), ("Monday, window 1, to", "1200AM")]
        {
            browser.find(&labelled(label)).await.send_keys(time).await.unwrap();
        }
        browser.press("Monday's times for every day").await;
        browser
            .until("every day is set", async || {
                let sunday = browser.find(&labelled("Sunday, window 1, to")).await;
                sunday.prop("value").await.unwrap().as_deref() == Some("00:00")
            })
            .await;
        browser.press("Save and go on").await;
        browser.sees("When nobody is reached").await;
        browser.goto(&format!("{}/setup/report", self.campaign)).await;
        browser.press("Add 420 people").await;
        browser.sees("Upload report").await;
    }

    async fn sets_up_and_starts(&self) {
        let browser = &self.browser;
        browser.goto(&format!("{}/setup/rules", self.campaign)).await;
        browser.fill("Calls at once, at most", "4").await;
        browser.fill("Dials a second, at most", "12").await;
        browser.press("Save and go on").await;
        browser.fill("Text", "Hello {{first_name|there}}, this is Acme. Press 9 to opt out.").await;
        browser.press("Save and go on").await;
        browser
            .until("the script is saved", async || !browser.path().await.ends_with("/script"))
            .await;
        self.records().await;
        browser.goto(&format!("{}/setup/start", self.campaign)).await;
        browser.sees("Will be called").await;
        browser.sees("of 420 on the list").await;
        browser.press("Start calling").await;
        browser.sees("running").await;
    }

    /// Calls are recorded and written down; no page has a switch for that yet.
    async fn records(&self) {
        let path = format!("/api/campaigns/{}", self.id());
        let campaign = self.told(&path).await;
        let mut script = campaign["settings"]["script"].clone();
        script["notice"] = json!("This call is recorded.");
        let change = json!({"recording": true, "transcription": true, "script": script});
        let version = campaign["settings_version"].to_string();
        let request = self.server.api().request("PATCH", &path).header("if-match", version);
        let changed = crate::harness::answer(request.json(&change)).await;
        assert_eq!(changed.status.as_u16(), 200, "{}", changed.text);
    }

    async fn watches_and_listens(&self) {
        let browser = &self.browser;
        browser.goto(&self.campaign).await;
        self.waits_for("answered").await;
        // Who hangs up at once has heard nothing.
        let longest = "outcome=answered&sort=-duration";
        let start = Instant::now();
        let path = format!("/api/calls/history?{longest}&limit=1");
        while self.told(&path).await["items"][0]["duration_seconds"].as_u64() < Some(20) {
            assert!(start.elapsed() < PATIENCE, "nobody stays on the line");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        browser.goto(&format!("/calls/history?{longest}")).await;
        self.waits_for("answered").await;
        browser.click("//tbody//a[contains(@class, 'unfold')]").await;
        browser.sees("Transcript").await;
        browser.sees("this is Acme").await;
        // With script the call unfolds in its row, without it has its own page.
        let unfolded = browser.path().await.contains("/calls/history");
        assert_eq!(unfolded, self.script == Script::On);
        let audio = "//audio[contains(@src, '/recording')]";
        browser.find(audio).await;
        if self.script == Script::On {
            let load = "const done = arguments[0], audio = document.querySelector('audio');
                audio.addEventListener('loadedmetadata', () => done(audio.duration));
                audio.addEventListener('error', () => done('error'));
                audio.preload = 'auto'; audio.load();";
            let heard = browser.page.execute_async(load, Vec::new()).await.unwrap();
            assert!(heard.as_f64().is_some_and(|seconds| seconds > 0.0), "{heard}");
        }
        let source = browser.find(audio).await.attr("src").await.unwrap().unwrap();
        let heard = crate::harness::answer(self.server.api().request("GET", &source)).await;
        assert_eq!((heard.status.as_u16(), &heard.text[..4]), (200, "RIFF"));
    }

    async fn reviews_and_tags(&self) {
        let browser = &self.browser;
        let answered = self.told("/api/calls/history?outcome=answered&limit=1").await;
        let call = answered["items"][0]["id"].as_str().unwrap().to_owned();
        browser.goto(&format!("/calls/{call}")).await;
        browser.fill("Label", "wants a form").await;
        browser.click("//button[@name='status' and @value='reviewed']").await;
        browser.sees("reviewed").await;
        browser.fill("New tag", "hot lead").await;
        browser.press("Add tag").await;
        browser.sees("hot lead").await;
        browser.fill("New note", "Sends it on Friday.").await;
        browser.press("Add note").await;
        browser.sees("Sends it on Friday.").await;
        let call = self.told(&format!("/api/calls/{call}")).await;
        assert_eq!(
            (&call["review"], &call["disposition"]),
            (&json!("reviewed"), &json!("wants a form"))
        );
        assert_eq!(call["tags"], json!(["hot lead"]));
    }

    /// The last call of the queue, which is not due while somebody looks at it.
    async fn last_scheduled(&self) -> Value {
        let upcoming = self.told("/api/calls/upcoming?limit=200&sort=-date").await;
        upcoming["items"][0].clone()
    }

    async fn works_the_queue(&self) {
        let browser = &self.browser;
        browser.goto(&self.campaign).await;
        browser.press("Pause").await;
        browser.sees("paused").await;

        let moved = self.last_scheduled().await["id"].as_str().unwrap().to_owned();
        let before = self.told(&format!("/api/calls/{moved}")).await["due_at"].clone();
        browser.goto(&format!("/calls/{moved}")).await;
        browser.click("(//select[@name='due']//option)[last()]").await;
        browser.press("Reschedule").await;
        self.shows_flash().await;
        assert_ne!(self.told(&format!("/api/calls/{moved}")).await["due_at"], before);

        browser.goto(&format!("/calls/{moved}")).await;
        browser.find("//select[@name='reason']").await.select_by_value("other").await.unwrap();
        browser.find("//input[@name='note']").await.send_keys("moved to Spain").await.unwrap();
        browser.press("Skip").await;
        self.shows_flash().await;
        let skipped = self.told(&format!("/api/calls/{moved}")).await;
        assert_eq!(skipped["outcome"], "skipped");
        assert_eq!(skipped["skip"]["note"], "moved to Spain");
    }

    async fn shows_flash(&self) {
        self.browser.find("//*[contains(@class, 'flash') and @role='status']").await;
    }

    async fn lists_a_number(&self) {
        let browser = &self.browser;
        let next = self.last_scheduled().await;
        let (call, phone) = (next["id"].as_str().unwrap(), next["phone"].as_str().unwrap());
        browser.goto("/dnc").await;
        browser.fill("Phone number", phone).await;
        browser.fill("Reason", "asked by mail").await;
        browser.press("Add").await;
        browser.sees("is on the Do-Not-Call list").await;
        browser.sees("cancelled").await;
        browser.sees("asked by mail").await;
        browser.goto(&format!("/calls/upcoming?q={}", phone.trim_start_matches('+'))).await;
        browser.sees("No scheduled call matches").await;
        assert_eq!(self.told(&format!("/api/calls/{call}")).await["outcome"], "canceled");
    }

    async fn calls_again_and_pauses(&self) {
        let browser = &self.browser;
        let skipped = self.told("/api/calls/history?outcome=skipped").await;
        browser.goto(&format!("/calls/{}", skipped["items"][0]["id"].as_str().unwrap())).await;
        browser.press("Call again").await;
        self.shows_flash().await;
        browser.goto(&self.campaign).await;
        browser.press("Resume").await;
        browser.sees("running").await;
        browser.goto("/dashboard").await;
        browser.press("Pause all campaigns").await;
        browser.sees("paused").await;
        assert_eq!(self.told(&format!("/api/campaigns/{}", self.id())).await["state"], "paused");
    }

    async fn exports_and_compares(&self) {
        let browser = &self.browser;
        // Calls in progress end by themselves.
        let start = Instant::now();
        while self.told("/api/settings").await["calls_in_progress"] != 0 {
            assert!(start.elapsed() < PATIENCE, "calls go on");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        browser.goto(&self.campaign).await;
        browser.click("//a[contains(@href, '/export')]").await;
        let file = self.download().await;
        let mut reader = csv::Reader::from_path(file).unwrap();
        let headers = reader.headers().unwrap().clone();
        let column = |name: &str| headers.iter().position(|it| it == name).unwrap();
        let (name, phone, status) =
            (column("Customer"), column("callcore_phone"), column("status"));
        assert_eq!(headers.get(1), Some("Mobile No."), "the file's columns stand as they were");
        let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!(rows.len(), 420);
        let reached = rows.iter().filter(|row| &row[status] == "reached").count();
        browser.goto(&format!("{}?status=reached", self.campaign)).await;
        let listed = browser.count("//*[@id='client-list']//tbody/tr").await;
        assert_eq!(listed, reached.min(50), "the page lists whom the file has");
        let page = browser.text().await;
        for row in rows.iter().filter(|row| &row[status] == "reached").take(50) {
            assert!(reached > 50 || page.contains(&row[phone]), "{}: {page}", &row[name]);
        }
    }

    async fn download(&self) -> PathBuf {
        let start = Instant::now();
        loop {
            let files = std::fs::read_dir(self.browser.downloads()).unwrap();
            let mut files = files.map(|file| file.unwrap().path());
            if let Some(file) = files.find(|file| file.extension().is_some_and(|it| it == "csv")) {
                return file;
            }
            assert!(start.elapsed() < PATIENCE, "nothing is downloaded");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// What each role may open, and what its pages offer.
#[tokio::test]
#[ignore = "needs Chromium and its driver"]
async fn each_role_sees_only_what_it_may_do() {
    let directory = tempfile::tempdir().unwrap();
    let server = server_with(directory.path(), &[]);
    let api = server.api();
    let mut settings = crate::sights::settings("Renewals");
    settings["script"] = json!({"steps": [{"say": "Hello."}]});
    let draft = api.post("/api/campaigns", &settings).await;
    let campaign = format!("/campaigns/{}", draft["id"].as_str().unwrap());
    api.imported(draft["id"].as_str().unwrap(), b"Name,Phone\nAda,212-555-0123\n".to_vec()).await;
    let may = |operator: bool, words: &'static str, path: String| (operator, words, path);
    for role in ["viewer", "operator"] {
        let user = api.post("/api/users", &json!({"name": role, "role": role})).await;
        let link = user["invitation"]["link"].as_str().unwrap();
        let (_, secret) = link.split_once("link=").unwrap();
        let accept = json!({"link": secret, "password": PASSWORD});
        let accepted = api.of_a_stranger().ask("POST", "/api/invitations/accept", &accept).await;
        assert_eq!(accepted.status.as_u16(), 200);
        let browser = Browser::signed_in(&server, role, Script::On).await;
        for page in ["Audit"] {
            assert_eq!(browser.count(&format!("//nav//a[.='{page}']")).await, 0, "{role}");
        }
        for (operator, words, path) in [
            may(true, "Start calling", format!("{campaign}/setup/start")),
            may(true, "Import a list…", "/dnc".to_owned()),
            may(true, "Add", "/dnc".to_owned()),
            may(true, "Upload", "/settings/audio".to_owned()),
            may(false, "Save", "/settings".to_owned()),
            may(false, "Users", "/settings".to_owned()),
            may(false, "Create a campaign", "/dashboard".to_owned()),
        ] {
            browser.goto(&path).await;
            browser.find("//h1").await;
            let there = browser
                .count(&format!("//main//*[self::a or self::button][normalize-space(.)='{words}']"))
                .await;
            let expected = usize::from(operator && role == "operator");
            assert_eq!(there, expected, "{role}: {words} on {path}");
        }
        for path in ["/audit", "/settings/users", "/settings/tokens"] {
            browser.goto(path).await;
            browser.sees("Your role does not allow this").await;
        }
    }
}
