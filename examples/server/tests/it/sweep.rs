//! Requests that make no sense, to every route: nothing but a refusal, and nothing is changed.

use callcore_http::{ROUTES, Route};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Answer, Api, answer};
use crate::samples::{Body, Stage, body, to_nobody, with_ids};

/// What a refused request must leave as it was.
const STATE: [&str; 9] = [
    "/api/campaigns?limit=200",
    "/api/calls/upcoming?limit=200",
    "/api/calls/history?limit=200",
    "/api/dnc?limit=200",
    "/api/users?limit=200",
    "/api/settings",
    "/api/audit?limit=200",
    "/api/imports/{import}",
    "/api/campaigns/{id}/clients?limit=200",
];

/// Things to be changed that nobody dials: a draft with clients and a DNC entry.
struct Things {
    stage: Stage,
    campaign: String,
    client: String,
    call: String,
    import: String,
}

impl Things {
    async fn new() -> Self {
        let stage = Stage::new().await;
        let campaign = stage.api.post("/api/campaigns", &crate::job::any_hour("Draft", 1)).await;
        let campaign = campaign["id"].as_str().unwrap().to_owned();
        let report = stage.api.imported(&campaign, b"phone,name\n2125550123,Ada\n".to_vec()).await;
        let clients = stage.api.get(&format!("/api/campaigns/{campaign}/clients")).await;
        let client = &clients["items"][0];
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Self {
            campaign,
            client: text(&client["id"]),
            call: text(&client["next_call"]["id"]),
            import: text(&report["id"]),
            stage,
        }
    }

    /// A path to a thing there is, of the kind the path wants.
    fn path(&self, path: &str) -> String {
        let id = match path.split('/').nth(2).unwrap_or_default() {
            "campaigns" => &self.campaign,
            "clients" => &self.client,
            "calls" => &self.call,
            "imports" => &self.import,
            _ => return to_nobody(path),
        };
        with_ids(path, id)
    }

    /// All of it but the test calls: of one that was taken more is told after its end.
    async fn state(&self) -> Vec<Value> {
        let mut state = Vec::new();
        for path in STATE {
            let path = path.replace("{id}", &self.campaign).replace("{import}", &self.import);
            let mut document = self.stage.api.get(&path).await;
            if let Some(items) = document.get_mut("items").and_then(Value::as_array_mut) {
                items.retain(|item| item["test"] != true);
            }
            state.push(document);
        }
        state
    }
}

fn refused(answer: &Answer, what: &str) {
    assert!(answer.status.is_client_error(), "{what}: {} {}", answer.status, answer.text);
    // Whatever was wrong is told as a problem, not by the framework.
    assert_eq!(answer.json["status"], answer.status.as_u16(), "{what}: {}", answer.text);
}

/// Sends bytes as they are.
async fn raw(api: &Api, (method, path): (&str, &str), media_type: &str, bytes: Vec<u8>) -> Answer {
    let request = api.request(method, path).header("if-match", "1");
    answer(request.header("content-type", media_type).body(bytes)).await
}

fn json_routes() -> impl Iterator<Item = (&'static str, &'static str, Value)> {
    ROUTES.iter().filter_map(|Route { method, path, .. }| match body(method, path) {
        Some(Body::Json(json)) => Some((*method, *path, json)),
        _ => None,
    })
}

#[tokio::test]
async fn what_is_no_json_object_is_refused_everywhere() {
    let things = Things::new().await;
    let api = &things.stage.api;
    let before = things.state().await;
    let deep = |open: &str, close: &str| [open.repeat(200), close.repeat(200)].concat();
    let bodies: Vec<Vec<u8>> = vec![
        b"[]".to_vec(),
        b"[{}]".to_vec(),
        b"null".to_vec(),
        b"1".to_vec(),
        b"\"text\"".to_vec(),
        b"{".to_vec(),
        b"{}{}".to_vec(),
        b"{\"a\": 1e999}".to_vec(),
        b"{\"a\": NaN}".to_vec(),
        b"{\"a\": \"\xff\xfe\"}".to_vec(),
        b"{\"a\": \"\\ud800\"}".to_vec(),
        b"{\"no_such_field\": 1}".to_vec(),
        b"{\"a\\u0000b\": 1}".to_vec(),
        deep("[", "]").into_bytes(),
        deep("{\"a\":", "}").into_bytes(),
        format!("{{\"a\": {}}}", deep("[", "]")).into_bytes(),
        vec![b' '; 2 * 1024 * 1024],
        format!("{{\"a\": \"{}\"}}", "x".repeat(2 * 1024 * 1024)).into_bytes(),
    ];
    for (method, path, sample) in json_routes() {
        let at = (method, &*things.path(path));
        // Clients may come as they are, without an object around them.
        let takes_lists = path.ends_with("/clients");
        for bytes in bodies.iter().filter(|bytes| !takes_lists || bytes[0] != b'[') {
            let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
            let answer = raw(api, at, "application/json", bytes.clone()).await;
            refused(&answer, &format!("{method} {path} {shown}"));
        }
        for media_type in ["text/plain", "application/x-www-form-urlencoded", "application/xml"] {
            let answer = raw(api, at, media_type, sample.to_string().into_bytes()).await;
            refused(&answer, &format!("{method} {path} as {media_type}"));
        }
        assert_eq!(things.state().await, before, "{method} {path} changed something");
    }
}

#[tokio::test]
async fn a_field_of_the_wrong_kind_is_refused_or_was_none() {
    let things = Things::new().await;
    let api = &things.stage.api;
    let values = [
        json!([]),
        json!({}),
        json!([[1]]),
        json!({"a": {"b": []}}),
        json!(true),
        json!(-1),
        json!(1e300),
        json!(u64::MAX),
        json!(""),
        json!("\u{0}"),
        json!("a\u{0}b"),
        json!("\u{7}\u{1b}[31m"),
        json!("\u{202e}drow\u{202c} \u{200f}"),
        json!("x".repeat(100_000)),
        json!("9999-99-99T99:99:99Z"),
        json!("-262143-01-01T00:00:00Z"),
        json!("+262142-12-31T23:59:59Z"),
        json!([null]),
        json!([things.call, things.campaign, "x"]),
        json!(things.client),
    ];
    for (method, path, sample) in json_routes() {
        let whole = things.path(path);
        let fields = sample.as_object().unwrap().keys().cloned();
        let fields: Vec<String> = fields.chain(OTHER_FIELDS.map(str::to_owned)).collect();
        let mut before = things.state().await;
        for field in &fields {
            for value in &values {
                let mut sample = sample.clone();
                sample[field] = value.clone();
                let request = api.request(method, &whole).header("if-match", "1");
                let answer = answer(request.json(&sample)).await;
                let what = format!("{method} {path} {field} = {value:.60}");
                let status = answer.status;
                assert!(!status.is_server_error(), "{what}: {status} {}", answer.text);
                if status.is_success() {
                    before = Vec::new();
                    if path.ends_with("/test-call") {
                        things.stage.call_ends(answer.json["id"].as_str().unwrap()).await;
                    }
                } else {
                    refused(&answer, &what);
                }
            }
            // What was taken was as good as any; what was refused has to leave no trace.
            let after = things.state().await;
            if !before.is_empty() {
                for (place, (was, is)) in STATE.iter().zip(before.iter().zip(&after)) {
                    assert_eq!(is, was, "{method} {path} {field}: {place}");
                }
            }
            before = after;
        }
    }
}

/// Fields that some route takes and no sample has.
const OTHER_FIELDS: [&str; 24] = [
    "action",
    "active",
    "campaign_id",
    "client_id",
    "consent",
    "disabled",
    "due_at",
    "expires_at",
    "ids",
    "invite",
    "name",
    "note",
    "notes",
    "override_hours",
    "phone",
    "reason",
    "role",
    "scope",
    "script",
    "settings",
    "status",
    "tags",
    "then",
    "time_zone",
];

#[tokio::test]
async fn a_query_that_makes_no_sense_is_refused_everywhere() {
    let things = Things::new().await;
    let api = &things.stage.api;
    let long = format!("q={}", "x".repeat(5_000));
    let many = "limit=1&".repeat(1_000);
    let queries = [
        "no_such_key=1",
        "limit=0",
        "limit=-1",
        "limit=201",
        "limit=99999999999999999999",
        "limit=1e3",
        "limit=1&limit=2",
        "cursor=zzz",
        "cursor=.",
        "cursor=ffffffffffffffffffff.00000000000000000000000000000000",
        "cursor=7fffffffffffffff.00000000000000000000000000000000",
        "cursor=n1.%00",
        "sort=sideways",
        "from=yesterday",
        "from=99999-01-01",
        "from=2026-11-24&to=2026-11-23",
        "q=a%00b",
        "%00=1",
        "%ff=%fe",
        "campaign=x",
        "zone=Nowhere/Land",
        &long,
        &many,
    ];
    let asks = ROUTES.iter().filter(|it| it.method == "GET" && it.role.is_some());
    for Route { method, path, .. } in asks {
        for query in queries {
            let whole = format!("{}?{query}", things.path(path));
            let answer = answer(api.request(method, &whole)).await;
            refused(&answer, &format!("{method} {path}?{query:.60}"));
        }
    }
    let metrics = answer(api.request("GET", "/metrics?x=1")).await;
    assert_eq!(metrics.status, StatusCode::BAD_REQUEST);
    // Odd places of lists are places all the same.
    for list in ["/api/campaigns", "/api/calls/history", "/api/calls/upcoming", "/api/dnc"] {
        for micros in ["0", "8000000000000000", "ffffffffffffffff", "1"] {
            let path = format!("{list}?cursor={micros}.00000000000000000000000000000000");
            let answer = answer(api.request("GET", &path)).await;
            assert!(!answer.status.is_server_error(), "{path}: {}", answer.text);
        }
    }
    for stretch in ["to=-9999-01-01", "from=-262143-01-01", "to=%2B262142-12-31"] {
        for list in ["/api/calls/history", "/api/calls/export", "/api/audit", "/api/audit/export"] {
            let answer = answer(api.request("GET", &format!("{list}?{stretch}"))).await;
            assert!(!answer.status.is_server_error(), "{list} {stretch}: {}", answer.text);
        }
    }
}

#[tokio::test]
async fn ids_that_are_none_and_ids_of_other_things_are_not_found() {
    let things = Things::new().await;
    let api = &things.stage.api;
    let before = things.state().await;
    let long = "a".repeat(5_000);
    let ids = [
        "x",
        "%00",
        "%ff",
        "..%2f..",
        "-1",
        "%F0%9F%98%80",
        &long,
        "'or'1'='1",
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
    ];
    let others = [&things.campaign, &things.client, &things.call, &things.import];
    for Route { method, path, role } in ROUTES {
        if !path.contains('{') || role.is_none() {
            continue;
        }
        let own = things.path(path);
        let of_others = others.iter().map(|id| with_ids(path, id)).filter(|path| *path != own);
        for whole in ids.iter().map(|id| with_ids(path, id)).chain(of_others) {
            let mut request = api.request(method, &whole).header("if-match", "1");
            if let Some(body) = body(method, path) {
                request = body.put_into(request);
            }
            let answer = answer(request).await;
            let what = format!("{method} {whole:.120}");
            assert_eq!(answer.told(), (404, "not_found"), "{what}: {}", answer.text);
        }
    }
    assert_eq!(things.state().await, before);
}

#[tokio::test]
async fn odd_headers_are_refused_or_don_t_matter() {
    let things = Things::new().await;
    let api = &things.stage.api;
    let before = things.state().await;
    let long = "k".repeat(256);
    for (method, path, _) in json_routes().filter(|(method, ..)| *method == "POST") {
        for key in ["", &long, "\u{e4}"] {
            let request = api.request(method, &things.path(path)).header("idempotency-key", key);
            let answer = answer(request.json(&json!({"no_such_field": 1}))).await;
            refused(&answer, &format!("{method} {path} under {key:.10}"));
        }
    }
    for path in ["/api/campaigns/{id}", "/api/settings"] {
        for version in ["", "x", "-1", "\"\"", "99999999999999999999", "*", "1, 2"] {
            let request = api.request("PATCH", &things.path(path)).header("if-match", version);
            refused(&answer(request.json(&json!({}))).await, &format!("{path} {version}"));
        }
    }
    assert_eq!(things.state().await, before);
}
