//! Every page there is, on an empty server and on one with a campaign that has been calling.

use std::path::Path;
use std::time::Instant;

use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::browser::{Browser, Script, server, server_with};
use crate::harness::{Api, PATIENCE, Server, answer};

const CRON_SECRET: &str = "a-secret-for-tests-only";

/// A page to look at.
#[derive(Debug, Clone)]
pub(crate) struct Sight {
    /// What its picture is called.
    pub(crate) name: String,
    pub(crate) path: String,
}

/// A server, somebody who is signed in as admin, and what they can look at.
pub(crate) struct Tour {
    pub(crate) browser: Browser,
    pub(crate) sights: Vec<Sight>,
    _server: Server,
}

impl Tour {
    /// A server on which nothing has happened.
    pub(crate) async fn empty(directory: &Path) -> Self {
        let server = server(directory);
        let browser = Browser::signed_in(&server, "admin", Script::On).await;
        let draft = server.api().post("/api/campaigns", &settings("Draft")).await;
        let mut sights = everywhere("empty");
        let campaign = format!("/campaigns/{}", id(&draft));
        sights.extend(setup("empty", &campaign));
        sights.push(sight("empty", "campaign-delete", format!("{campaign}/delete")));
        sights.push(sight("empty", "campaign", campaign));
        sights.push(sight("empty", "not-found", "/no-such-page".to_owned()));
        Self { browser, sights, _server: server }
    }

    /// A server whose demo campaign has been calling for a while.
    pub(crate) async fn full(directory: &Path) -> Self {
        let settings = [
            ("CALLCORE_DEMO", "on"),
            ("CALLCORE_SIM_SPEED", "600"),
            // Nobody listens there: mails wait.
            ("RESEND_BASE_URL", "http://127.0.0.1:9"),
            ("RESEND_API_KEY", "re_test"),
            ("CALLCORE_MAIL_FROM", "calls@example.com"),
            ("CALLCORE_MAIL_TO", "team@example.com"),
            ("CRON_SECRET", CRON_SECRET),
        ];
        let server = server_with(directory, &settings);
        let browser = Browser::signed_in(&server, "admin", Script::On).await;
        let api = server.api();
        for number in ["+12125550147", "+13035550188"] {
            let entry =
                json!({"phone": number, "reason": "asked at the counter", "scope": "global"});
            api.post("/api/dnc", &entry).await;
        }
        let start = Instant::now();
        let talked = loop {
            let answered = api.get("/api/calls/history?outcome=answered&limit=20").await;
            if answered["items"].as_array().is_some_and(|calls| calls.len() > 12) {
                break answered["items"][0].clone();
            }
            assert!(start.elapsed() < PATIENCE, "nobody answers");
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        };
        let summary = api.of(CRON_SECRET).request("POST", "/api/cron/daily-summary");
        assert_eq!(answer(summary).await.status, 200);
        let campaign = text(&talked, "campaign_id");
        api.post(&format!("/api/campaigns/{campaign}/pause"), &json!({})).await;
        let upcoming = api.get("/api/calls/upcoming").await;
        let (ended, next) = (id(&talked), id(&upcoming["items"][0]));
        let import = import(&api, &campaign).await;
        let campaign = format!("/campaigns/{campaign}");
        let client = format!("{campaign}/clients/{}", text(&talked, "client_id"));
        let mut sights = everywhere("full");
        sights.extend(setup("full", &campaign));
        sights.extend([
            sight("full", "campaign-stop", format!("{campaign}/stop")),
            sight("full", "campaign-changes", format!("{campaign}/changes")),
            sight("full", "imports", format!("{campaign}/imports")),
            sight("full", "import-undo", format!("{import}/undo")),
            sight("full", "import", import),
            sight("full", "campaign", campaign),
            sight("full", "client-erase", format!("{client}/erase")),
            sight("full", "client", client),
            sight("full", "call-ended", format!("/calls/{ended}")),
            sight("full", "call-to-come", format!("/calls/{next}")),
            sight("full", "upcoming-skip", format!("/calls/upcoming/skip?id={next}")),
            sight("full", "upcoming-reschedule", format!("/calls/upcoming/reschedule?id={next}")),
            sight("full", "dnc-imported", dnc_import(&api).await),
            sight("full", "user", user(&api).await),
            sight("full", "invitation", invitation(&api).await),
            sight("full", "invitation-over", "/invitation?link=used".to_owned()),
            sight("full", "sign-in", "/sign-in".to_owned()),
            sight("full", "sign-in-over", "/sign-in?link=used".to_owned()),
            sight("full", "dnc-remove", "/dnc/remove?phone=%2B12125550147&scope=".to_owned()),
        ]);
        Self { browser, sights, _server: server }
    }
}

/// The settings of a campaign that may call at any time.
pub(crate) fn settings(name: &str) -> Value {
    let day = json!([["00:00", "24:00"]]);
    json!({
        "name": name,
        "hours": {"mon": day, "tue": day, "wed": day, "thu": day, "fri": day, "sat": day, "sun": day},
        "time_zone": "America/New_York",
        "default_region": "US",
    })
}

/// The pages that need nothing to be there.
fn everywhere(group: &str) -> Vec<Sight> {
    let paths = [
        "/dashboard",
        "/campaigns",
        "/campaigns/new",
        "/calls/upcoming",
        "/calls/history",
        "/dnc",
        "/dnc/import",
        "/audit",
        "/settings",
        "/settings/mail",
        "/settings/audio",
        "/settings/password",
        "/settings/users",
        "/settings/tokens",
        "/stop-all",
    ];
    paths.map(|path| sight(group, path.trim_start_matches('/'), path.to_owned())).into()
}

/// The pages on which a campaign is set up.
fn setup(group: &str, campaign: &str) -> Vec<Sight> {
    let steps = ["list", "hours", "rules", "script", "call-backs", "test", "start"];
    let page = |step| sight(group, &format!("setup-{step}"), format!("{campaign}/setup/{step}"));
    steps.map(page).into()
}

/// A page of an import with refused rows.
async fn import(api: &Api, campaign: &str) -> String {
    let list = "Name,Phone\nAda,212-555-0123\nGrace,12\n,\nAda,212-555-0123\n";
    let report = api.imported(campaign, list.as_bytes().to_vec()).await;
    format!("/campaigns/{campaign}/imports/{}", id(&report))
}

/// A page of an import of numbers with refused rows.
async fn dnc_import(api: &Api) -> String {
    let part = Part::bytes("Phone,Reason\n2125550148,asked by mail\nn/a,\n".as_bytes());
    let form = Form::new().part("file", part.file_name("numbers.csv"));
    let form = form.text("max_rejected_percent", "60");
    let report = answer(api.request("POST", "/api/dnc/import").multipart(form)).await;
    format!("/dnc/imports/{}", id(&report.json))
}

/// Where somebody who was invited chooses a password.
async fn invitation(api: &Api) -> String {
    let user = api.post("/api/users", &json!({"name": "bob@example.com", "role": "viewer"})).await;
    let link = text(&user["invitation"], "link");
    format!("/invitation?link={}", link.split_once("link=").unwrap().1)
}

/// A page of somebody who was invited; there is a token, too.
async fn user(api: &Api) -> String {
    let token = json!({"name": "Reporting", "role": "viewer"});
    api.post("/api/tokens", &token).await;
    let user = api.post("/api/users", &json!({"name": "ana", "role": "operator"})).await;
    format!("/settings/users/{}", id(&user))
}

fn sight(group: &str, name: &str, path: String) -> Sight {
    Sight { name: format!("{group}-{}", name.replace('/', "-")), path }
}

fn id(value: &Value) -> String {
    text(value, "id")
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_else(|| panic!("no {key}: {value}")).to_owned()
}
