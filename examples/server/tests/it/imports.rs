//! Bringing clients in and taking them out again: lists, workbooks, JSON.

use reqwest::multipart::{Form, Part};
use rust_xlsxwriter::{ExcelDateTime, Format, Workbook};
use serde_json::{Value, json};

use crate::harness::{Answer, Api, Server, TOKEN, answer};
use crate::job::{any_hour, finished};

const SETTINGS: [(&str, &str); 2] = [("CALLCORE_API_TOKEN", TOKEN), ("CALLCORE_SIM_SPEED", "5000")];
const NOBODY: &str = "0199aaaa-0000-7000-8000-000000000000";

/// A draft in a server of its own.
struct Desk {
    server: Server,
    api: Api,
    campaign: String,
    _directory: tempfile::TempDir,
}

impl Desk {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let server = Server::start(directory.path(), &SETTINGS);
        let api = server.api();
        let campaign = draft(&api).await;
        Self { server, api, campaign, _directory: directory }
    }

    fn path(&self, what: &str) -> String {
        format!("/api/campaigns/{}/{what}", self.campaign)
    }

    /// Uploads a file with the form's other fields.
    async fn send(&self, file: &[u8], fields: &[(&str, &str)]) -> Answer {
        self.send_as("", file, fields).await
    }

    /// The same under an idempotency key, unless it is empty.
    async fn send_as(&self, key: &str, file: &[u8], fields: &[(&str, &str)]) -> Answer {
        let mut form = Form::new();
        for (name, value) in fields {
            form = form.text((*name).to_owned(), (*value).to_owned());
        }
        let form = form.part("file", Part::bytes(file.to_vec()).file_name("clients"));
        let request = self.api.request("POST", &self.path("import"));
        let request = if key.is_empty() { request } else { request.header("idempotency-key", key) };
        answer(request.multipart(form)).await
    }

    async fn clients(&self) -> Vec<Value> {
        let page = self.api.get(&self.path("clients")).await;
        page["items"].as_array().unwrap().clone()
    }

    /// All that an import could change.
    async fn state(&self) -> [Value; 3] {
        [
            self.api.get(&self.path("clients")).await,
            self.api.get(&self.path("imports")).await,
            self.api.get(&format!("/api/campaigns/{}", self.campaign)).await,
        ]
    }
}

async fn draft(api: &Api) -> String {
    let campaign = api.post("/api/campaigns", &any_hour("Imports", 5)).await;
    campaign["id"].as_str().unwrap().to_owned()
}

/// Its counts of rows read, accepted, updated, duplicates, on DNC and rejected.
fn counts(report: &Value) -> [u64; 6] {
    ["rows_read", "accepted", "updated", "duplicates", "on_dnc", "rejected"]
        .map(|key| report[key].as_u64().unwrap_or_else(|| panic!("{key}: {report}")))
}

fn id(report: &Value) -> &str {
    report["id"].as_str().unwrap()
}

const LIST: &[u8] =
    b"Name,Phone,City\nAda,2125550100,Rome\nBob,2125550101,Oslo\nBob,2125550101,Oslo\n\
    Cy,n/a,Bern\nDee,2125550102,\"Aix, \"\"x\"\"\"\n";

#[tokio::test]
async fn a_dry_run_tells_what_an_import_then_does_and_changes_nothing() {
    let desk = Desk::new().await;
    desk.api.post("/api/dnc", &json!({"phone": "+12125550102"})).await;
    desk.send(b"Name,Phone\nAda,2125550100\n", &[]).await;
    let before = desk.state().await;
    let dry = desk.send(LIST, &[("dry_run", "true")]).await;
    assert_eq!(dry.told(), (200, ""));
    assert_eq!((&dry.json["id"], &dry.json["dry_run"]), (&Value::Null, &json!(true)));
    assert_eq!(counts(&dry.json), [5, 2, 0, 2, 1, 1]);
    assert_eq!(desk.state().await, before);
    let done = desk.send(LIST, &[]).await.json;
    for key in ["rows_read", "accepted", "duplicates", "duplicate_of", "rejections", "time_zones"] {
        assert_eq!(dry.json[key], done[key], "{key}");
    }
    assert_eq!(desk.clients().await.len(), 3);
}

#[tokio::test]
async fn refused_rows_are_downloaded_mended_and_uploaded_again() {
    let desk = Desk::new().await;
    let list = b"Who,Mobile,Note,Time zone\n=Ada,555-01,\"a,b\",\nBob,2125550101,x,Mars/Base\nCy,2125550102,y,\n";
    let report = desk.send(list, &[]).await.json;
    assert_eq!(counts(&report), [3, 1, 0, 0, 0, 2]);
    let path = format!("/api/imports/{}/rejects.csv", id(&report));
    let rejects = desk.api.text(&path).await;
    assert!(rejects.starts_with("callcore_line,callcore_reason,Who,Mobile,Note,Time zone\r\n"));
    assert!(rejects.contains("\"'=Ada\",555-01,\"a,b\","), "{rejects}");
    let unmended = desk.send(rejects.as_bytes(), &[]).await.json;
    assert_eq!(counts(&unmended), [2, 0, 0, 0, 0, 2]);
    let mended = rejects.replace("555-01", "212-555-0100").replace("Mars/Base", "Europe/Oslo");
    let report = desk.send(mended.as_bytes(), &[]).await.json;
    assert_eq!(counts(&report), [2, 2, 0, 0, 0, 0]);
    let ada = &desk.clients().await[1];
    assert_eq!(ada["fields"]["Who"], "=Ada", "the quote that kept it from being run is gone");
    assert_eq!(ada["fields"]["Note"], "a,b");
    assert_eq!(ada["fields"]["callcore_reason"], Value::Null);
    let unknown = format!("/api/imports/{NOBODY}/rejects.csv");
    assert_eq!(desk.api.ask("GET", &unknown, &json!({})).await.told().0, 404);
}

#[tokio::test]
async fn an_import_is_taken_back_whole_or_but_for_those_who_were_called() {
    let desk = Desk::new().await;
    let first = desk.send(b"Phone\n2125550100\n2125550101\nx\n", &[]).await.json;
    let undo = format!("/api/imports/{}/undo", id(&first));
    let undone = desk.api.ask_once("u", &undo, &json!({})).await;
    assert_eq!(undone.told(), (200, ""));
    assert_eq!((&undone.json["status"], &undone.json["removed"]), (&json!("undone"), &json!(2)));
    assert_eq!(desk.api.ask_once("u", &undo, &json!({})).await.json, undone.json);
    let other = desk.api.ask_once("u", &undo, &json!({"partial": true})).await;
    assert_eq!(other.told(), (422, "idempotency_key_reused"));
    assert_eq!(desk.clients().await, Vec::<Value>::new());
    let rejects = desk.api.text(&format!("/api/imports/{}/rejects.csv", id(&first))).await;
    assert_eq!(rejects.lines().count(), 1, "only the columns: {rejects}");

    let called = desk.send(b"Phone\n2125550110\n2125550111\n", &[]).await.json;
    desk.api.post(&desk.path("start"), &json!({})).await;
    finished(&desk.api, &desk.campaign).await;
    let undo = format!("/api/imports/{}/undo", id(&called));
    let refused = desk.api.ask("POST", &undo, &json!({})).await;
    assert_eq!(refused.told().0, 409, "{}", refused.text);
    assert_eq!((&refused.json["called"], &refused.json["uncalled"]), (&json!(2), &json!(0)));
    let partly = desk.api.ask("POST", &undo, &json!({"partial": true})).await;
    assert_eq!((&partly.json["removed"], &partly.json["kept"]), (&json!(0), &json!(2)));
    assert_eq!(desk.clients().await.len(), 2);
    let odd = desk.api.ask("POST", &undo, &json!({"partial": "yes", "x": 1})).await;
    assert_eq!((odd.told().0, odd.fields()), (400, vec!["partial", "x"]));
    let unknown = format!("/api/imports/{NOBODY}/undo");
    assert_eq!(desk.api.ask("POST", &unknown, &json!({})).await.told().0, 404);
}

#[tokio::test]
async fn duplicates_are_skipped_told_apart_or_followed() {
    let desk = Desk::new().await;
    let home = b"Name,Phone,City\nAda,2125550100,Rome\nBob,2125550100,Oslo\nada,2125550100,Bern\n";
    assert_eq!(counts(&desk.send(home, &[]).await.json), [3, 1, 0, 2, 0, 0]);
    let by_name = ("dedupe", "phone_and_name");
    let report = desk.send(home, &[by_name]).await.json;
    assert_eq!(counts(&report), [3, 1, 0, 2, 0, 0]);
    let first = json!([{"line": 2, "of_line": 2}, {"line": 4, "of_line": 2}]);
    assert_eq!(report["duplicate_of"], first);
    let moved = b"Name,Phone,City\nBOB,2125550100,Paris\n";
    let update = ("on_duplicate", "update");
    assert_eq!(counts(&desk.send(moved, &[by_name, update]).await.json), [1, 0, 1, 0, 0, 0]);
    let cities: Vec<Value> =
        desk.clients().await.iter().map(|it| it["fields"]["City"].clone()).collect();
    assert_eq!(cities, [json!("Rome"), json!("Paris")]);
    let odd = desk.send(moved, &[("dedupe", "name"), ("on_duplicate", "replace")]).await;
    assert_eq!((odd.told().0, odd.fields()), (400, vec!["dedupe", "on_duplicate"]));
}

#[tokio::test]
async fn clients_as_json_come_in_once_and_what_is_wrong_is_told_by_place() {
    let desk = Desk::new().await;
    let path = desk.path("clients");
    let clients = json!({"clients": [
        {"name": "Ada", "phone": "+12125550100", "external_id": "A", "fields": {"City": "Rome"}},
        {"name": "Bob", "phone": "911"},
        {"phone": "+12125550199", "external_id": "A"},
    ]});
    let mut dry = clients.clone();
    dry["dry_run"] = json!(true);
    assert_eq!(counts(&desk.api.ask("POST", &path, &dry).await.json), [3, 1, 0, 1, 0, 1]);
    assert_eq!(desk.clients().await, Vec::<Value>::new());
    let first = desk.api.ask_once("c", &path, &clients).await;
    assert_eq!(counts(&first.json), [3, 1, 0, 1, 0, 1]);
    assert_eq!(desk.api.ask_once("c", &path, &clients).await.json, first.json);
    assert_eq!(desk.api.ask_once("c", &path, &dry).await.told(), (422, "idempotency_key_reused"));
    let rejects = desk.api.text(&format!("/api/imports/{}/rejects.csv", id(&first.json))).await;
    assert!(rejects.contains("911"), "{rejects}");
    let update = json!({"on_duplicate": "update", "clients": [
        {"phone": "+12125550100", "external_id": "A", "fields": {"City": "Oslo"}}]});
    assert_eq!(counts(&desk.api.ask("POST", &path, &update).await.json), [1, 0, 1, 0, 0, 0]);
    assert_eq!(desk.clients().await[0]["fields"]["City"], "Oslo");
    let odd = json!({"clients": [{"phone": 1, "fone": "x"}, 7], "dry_run": true});
    let odd = desk.api.ask("POST", &path, &odd).await;
    assert_eq!(odd.told().0, 400);
    assert_eq!(odd.fields(), ["clients[0].phone", "clients[0].fone", "clients[1]"]);
    let unknown = format!("/api/campaigns/{NOBODY}/clients");
    assert_eq!(desk.api.ask("POST", &unknown, &clients).await.told().0, 404);
}

#[tokio::test]
async fn a_draft_is_deleted_with_all_that_came_in() {
    let desk = Desk::new().await;
    let report = desk.send(LIST, &[]).await.json;
    let client = desk.clients().await[0]["id"].as_str().unwrap().to_owned();
    let campaign = format!("/api/campaigns/{}", desk.campaign);
    assert_eq!(desk.api.ask("DELETE", &campaign, &json!({})).await.told().0, 204);
    for gone in
        [&campaign, &format!("/api/clients/{client}"), &format!("/api/imports/{}", id(&report))]
    {
        assert_eq!(desk.api.ask("GET", gone, &json!({})).await.told().0, 404, "{gone}");
    }
    assert_eq!(desk.api.ask("DELETE", &campaign, &json!({})).await.told().0, 404);
    let other = draft(&desk.api).await;
    desk.api.imported(&other, b"Phone\n2125550100\n".to_vec()).await;
    desk.api.post(&format!("/api/campaigns/{other}/start"), &json!({})).await;
    let begun = desk.api.ask("DELETE", &format!("/api/campaigns/{other}"), &json!({})).await;
    assert_eq!(begun.told(), (409, "campaign_state"));
}

/// Clients as a spreadsheet program writes them, below a title if there is one.
fn workbook(title: &str) -> Vec<u8> {
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    sheet.write(0, 0, title).unwrap();
    for (column, name) in (0..).zip(["Name", "Phone", "Due", "Share", "Zip"]) {
        sheet.write(2, column, name).unwrap();
    }
    let of = |code: &str| Format::new().set_num_format(code);
    let due = ExcelDateTime::parse_from_str("2026-01-31").unwrap();
    sheet.write(3, 0, "Ada").unwrap().write(3, 1, 12_125_550_100_f64).unwrap();
    sheet.write_with_format(3, 2, &due, &of("dd/mm/yyyy")).unwrap();
    sheet.write_with_format(3, 3, 0.5, &of("0%")).unwrap();
    sheet.write_with_format(3, 4, 2139, &of("00000")).unwrap();
    sheet.write(5, 0, "Bob").unwrap().write(5, 1, "n/a").unwrap();
    sheet.write(6, 0, "=Cy").unwrap().write(6, 1, "(212) 555-0102").unwrap();
    workbook.add_worksheet().write(0, 0, "Phone").unwrap();
    workbook.save_to_buffer().unwrap()
}

/// A CSV as a spreadsheet program saves it, cell by cell.
fn saved_as_workbook(csv: &str) -> Vec<u8> {
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    let records = csv::ReaderBuilder::new().has_headers(false).from_reader(csv.as_bytes());
    for (row, record) in (0..).zip(records.into_records()) {
        for (column, cell) in (0..).zip(record.unwrap().iter()) {
            sheet.write_string(row, column, cell).unwrap();
        }
    }
    workbook.save_to_buffer().unwrap()
}

#[tokio::test]
async fn a_workbook_goes_the_way_of_a_list() {
    let desk = Desk::new().await;
    let list = workbook("");
    let dry = desk.send(&list, &[("dry_run", "true")]).await;
    assert_eq!(dry.told(), (200, ""), "{}", dry.text);
    assert_eq!(counts(&dry.json), [3, 2, 0, 0, 0, 1]);
    assert_eq!(desk.clients().await, Vec::<Value>::new());
    let report = desk.send_as("w", &list, &[]).await.json;
    assert_eq!(counts(&report), [3, 2, 0, 0, 0, 1]);
    assert_eq!(report["rejections"][0]["line"], 6, "the sheet's row");
    assert_eq!(desk.send_as("w", &list, &[]).await.json, report);
    let other = desk.send_as("w", &workbook("x"), &[]).await;
    assert_eq!(other.told(), (422, "idempotency_key_reused"));
    let ada = &desk.clients().await[0];
    let fields = json!({"Name": "Ada", "Phone": "12125550100", "Due": "2026-01-31",
        "Share": "50%", "Zip": "02139"});
    assert_eq!((&ada["phone"], &ada["fields"]), (&json!("+12125550100"), &fields));
    let rejects = desk.api.text(&format!("/api/imports/{}/rejects.csv", id(&report))).await;
    let mended = saved_as_workbook(&rejects.replace("n/a", "2125550101"));
    assert_eq!(counts(&desk.send(&mended, &[]).await.json), [1, 1, 0, 0, 0, 0]);
    let mapping = ("mapping", r#"{"phone": "Phone", "name": "Zip"}"#);
    let update = ("on_duplicate", "update");
    assert_eq!(counts(&desk.send(&list, &[mapping, update]).await.json), [3, 0, 2, 0, 0, 1]);
    assert_eq!(desk.clients().await[0]["name"], "02139");
}

#[tokio::test]
async fn an_export_that_was_saved_as_a_workbook_is_the_same_list_again() {
    let mut desk = Desk::new().await;
    let list = b"Name,Phone,Note\n'=Ada,+12125550100,\"a,\nb\"\nBob,2125550101,'tis\n";
    desk.send(list, &[]).await;
    let export = desk.api.text(&desk.path("export")).await;
    let kept = |clients: Vec<Value>| -> Vec<Value> {
        let of = |client: &Value| {
            json!([
                client["phone"],
                client["name"],
                client["fields"]["Name"],
                client["fields"]["Note"]
            ])
        };
        clients.iter().map(of).collect()
    };
    let first = kept(desk.clients().await);
    desk.campaign = draft(&desk.api).await;
    let report = desk.send(&saved_as_workbook(&export), &[]).await.json;
    assert_eq!(counts(&report), [2, 2, 0, 0, 0, 0]);
    assert_eq!(kept(desk.clients().await), first);
}

#[tokio::test]
async fn a_workbook_that_can_not_be_read_is_refused_with_what_to_do() {
    let desk = Desk::new().await;
    let whole = workbook("");
    let nothing = Workbook::new().save_to_buffer().unwrap();
    let cases: [(&str, &[u8], &str); 5] = [
        ("no_phone_column", &workbook("Clients of Acme"), "clients of acme"),
        ("empty_file", &nothing, "empty"),
        ("damaged_workbook", &whole[..whole.len() / 2], "as csv"),
        ("not_text", b"PK\x03\x04 is no workbook", "csv"),
        ("not_text", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 is an old one", "password"),
    ];
    for (code, file, word) in cases {
        let refused = desk.send(file, &[]).await;
        let is_zip = refused.told() == (422, "damaged_workbook") && code == "not_text";
        assert!(refused.told() == (422, code) || is_zip, "{code}: {}", refused.text);
        assert_eq!(refused.fields(), ["file"]);
        assert!(refused.text.to_lowercase().contains(word), "{}", refused.text);
    }
    assert_eq!(desk.api.get(&desk.path("imports")).await["items"], json!([]));
}

#[tokio::test]
async fn a_bad_upload_is_told_by_field_and_begins_nothing() {
    let desk = Desk::new().await;
    let before = desk.state().await;
    let import = desk.path("import");
    let raw = |path: &str, media_type: &str, body: Vec<u8>| {
        answer(desk.api.request("POST", path).header("content-type", media_type).body(body))
    };
    let form = "multipart/form-data; boundary=b";
    let part = |head: &str, body: &[u8]| {
        let head = format!("--b\r\ncontent-disposition: form-data; {head}\r\n\r\n");
        [head.as_bytes(), body, b"\r\n--b--\r\n"].concat()
    };
    let list = part("name=\"file\"", b"Phone\n2125550100\n");
    for (media_type, body, status, code, fields) in [
        ("text/csv", b"Phone\n2125550100\n".to_vec(), 415, "unsupported_media_type", vec![]),
        ("application/json", b"{}".to_vec(), 415, "unsupported_media_type", vec![]),
        ("multipart/form-data", list.clone(), 400, "malformed_form", vec![]),
        ("multipart/form-data; boundary=c", list.clone(), 400, "", vec![]),
        (form, list[..list.len() - 12].to_vec(), 400, "broken_off", vec![]),
        (form, part("name=\"mapping\"", b"{}"), 400, "invalid_fields", vec!["file"]),
        (form, part("name=\"fyle\"", b"x"), 400, "invalid_fields", vec!["fyle", "file"]),
        (form, part("name=\"dry_run\"", b"\xff\xfe"), 400, "malformed_form", vec![]),
        (form, part("name=\"dry_run\"", &vec![b'x'; 100_000]), 413, "", vec![]),
        (
            form,
            part("name=\"mapping\"", "[".repeat(5_000).as_bytes()),
            400,
            "",
            vec!["mapping", "file"],
        ),
    ] {
        let refused = raw(&import, media_type, body).await;
        assert_eq!(refused.told().0, status, "{media_type}: {}", refused.text);
        assert!(code.is_empty() || refused.told().1 == code, "{}", refused.text);
        assert_eq!(refused.fields(), fields, "{}", refused.text);
    }
    let (clients, json) = (desk.path("clients"), "application/json");
    let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth)).into_bytes();
    let deep = [b"{\"clients\": ", &nested(200)[..], b"}"].concat();
    for (media_type, body, status) in [
        ("text/csv", b"Phone\n".to_vec(), 415),
        (json, b"[{\"phone\": \"\xff\"}]".to_vec(), 400),
        (json, b"[{\"phone\": \"+12125550100\"".to_vec(), 400),
        (json, deep, 400),
        (json, nested(100), 400),
        (json, b"7".to_vec(), 400),
        (json, format!("[\"{}\"]", "x".repeat(9 * 1024 * 1024)).into_bytes(), 413),
    ] {
        let refused = raw(&clients, media_type, body).await;
        assert_eq!(refused.told().0, status, "{}", refused.text);
        assert!(!refused.told().1.is_empty(), "it is a problem: {}", refused.text);
    }
    assert_eq!(desk.state().await, before);
    assert!(desk.server.api().get("/readyz").await.is_object());
}

#[tokio::test]
async fn what_came_in_before_a_campaign_was_stopped_is_still_told_under_its_key() {
    let desk = Desk::new().await;
    let (clients, body) = (desk.path("clients"), json!([{"phone": "+12125550100"}]));
    let by_json = desk.api.ask_once("k", &clients, &body).await;
    let by_file = desk.send_as("k", LIST, &[]).await;
    for act in ["start", "stop"] {
        desk.api.post(&desk.path(act), &json!({})).await;
    }
    assert_eq!(desk.api.ask_once("k", &clients, &body).await.json, by_json.json);
    assert_eq!(desk.send_as("k", LIST, &[]).await.json, by_file.json);
    assert_eq!(desk.api.ask("POST", &clients, &body).await.told(), (409, "campaign_state"));
    assert_eq!(desk.send(LIST, &[]).await.told(), (409, "campaign_state"));
}
