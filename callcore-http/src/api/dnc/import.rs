//! `POST /api/dnc/import`: a whole list of numbers, from a spreadsheet, a dialler or a registry.

use std::collections::BTreeMap;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use callcore::campaign::FieldError;
use callcore::dnc::DncScope;
use callcore::id::CampaignId;
use callcore::phone::Region;
use callcore::port::SavedReply;
use serde_json::{Value, json};

use super::MAX_REASON_CHARS;
use super::read_import::answer;
use crate::act::{Act, Early};
use crate::auth::Operator;
use crate::dnc_importing::{List, dry_run, import};
use crate::dto;
use crate::problem::Problem;
use crate::query::Query;
use crate::request::path_of;
use crate::state::ApiState;
use crate::upload::{Upload, receive};

/// The form's fields beside the file and the mapping.
pub(crate) const FIELDS: [&str; 6] =
    ["scope", "campaign_id", "reason", "default_region", "dry_run", "max_rejected_percent"];

/// Of so many refused rows in a hundred a list is as it was meant: titles, sums, a typing error.
pub(crate) const MAX_REJECTED_PERCENT: u8 = 10;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Operator(principal): Operator,
    query: Query,
    request: Request,
) -> Result<Response, Early> {
    query.finish()?;
    let (parts, body) = request.into_parts();
    let scope = format!("{} {} {}", principal.actor, parts.method, path_of(&parts));
    let headers = parts.headers.clone();
    let upload = receive(&state, Request::from_parts(parts, body), &["mapping"], &FIELDS).await?;
    let mut print = upload.fingerprint.clone();
    print.extend(json!(upload.others).to_string().bytes());
    let (list, is_dry) = list_of(upload)?;
    if let DncScope::Campaign(id) = list.scope {
        state.store().campaign(id).await?.ok_or_else(Problem::not_found)?;
    }
    if is_dry {
        let report = dry_run(&state, list).await?;
        let mut body = json!(report);
        body["id"] = Value::Null;
        body["status"] = json!("done");
        body["dry_run"] = json!(true);
        return Ok(dto::json(StatusCode::OK, &body));
    }
    let act = Act::under(&state, principal, scope, &headers, &print, StatusCode::ACCEPTED).await;
    let imported = match act {
        Ok(act) => import(&state, act, list).await,
        Err(early) => Err(early),
    };
    match imported {
        Ok(imported) => Ok(answer(&imported)?),
        Err(Early::Replay(reply)) => Ok(replay(&state, &reply).await?),
        Err(early) => Err(early),
    }
}

/// The import of the first request, as far as it is now.
async fn replay(state: &ApiState, reply: &SavedReply) -> Result<Response, Problem> {
    let body: Value = serde_json::from_str(&reply.body).unwrap_or_default();
    let id = body["id"].as_str().and_then(|id| id.parse().ok()).ok_or_else(Problem::not_found)?;
    let import = state.store().dnc_import(id).await?.ok_or_else(Problem::not_found)?;
    answer(&import)
}

/// The list a form describes, and whether it is only to be looked at.
pub(crate) fn list_of(upload: Upload) -> Result<(List, bool), Problem> {
    let mut form = Form { texts: upload.others, errors: Vec::new() };
    let campaign: Option<CampaignId> = form.take("campaign_id", "must be an id");
    let has_campaign = campaign.is_some() || form.is_refused("campaign_id");
    let scope = match (form.text("scope").as_deref().unwrap_or("global"), campaign) {
        ("global", None) if !has_campaign => DncScope::Global,
        ("campaign", Some(id)) => DncScope::Campaign(id),
        ("campaign", None) if has_campaign => DncScope::Global,
        ("global" | "campaign", _) => {
            form.refuse("campaign_id", "goes with the scope campaign, and only with it");
            DncScope::Global
        }
        _ => {
            form.refuse("scope", "must be global or campaign");
            DncScope::Global
        }
    };
    let reason = form.text("reason").unwrap_or_default();
    if reason.chars().count() > MAX_REASON_CHARS {
        form.refuse("reason", &format!("at most {MAX_REASON_CHARS} characters"));
    }
    if reason.contains('\0') {
        form.refuse("reason", "holds a NUL character");
    }
    let region = form.take("default_region", "must be a country with phone numbers, such as US");
    let is_dry = form.take("dry_run", "must be true or false").unwrap_or(false);
    let percent = form.take("max_rejected_percent", "must be from 0 to 100");
    if percent.is_some_and(|percent: u8| percent > 100) {
        form.refuse("max_rejected_percent", "must be from 0 to 100");
    }
    if !form.errors.is_empty() {
        return Err(Problem::fields(form.errors));
    }
    let list = List {
        file: upload.file,
        name: upload.name,
        mapping: upload.mapping,
        region: region.unwrap_or(Region::US),
        scope,
        reason: reason.trim().to_owned(),
        max_rejected_percent: percent.unwrap_or(MAX_REJECTED_PERCENT),
    };
    Ok((list, is_dry))
}

struct Form {
    texts: BTreeMap<String, String>,
    errors: Vec<FieldError>,
}

impl Form {
    /// A field's text; an empty one is none.
    fn text(&mut self, field: &str) -> Option<String> {
        self.texts.remove(field).filter(|text| !text.trim().is_empty())
    }

    fn take<T: std::str::FromStr>(&mut self, field: &str, must: &str) -> Option<T> {
        let text = self.text(field)?;
        let value = text.trim().parse().ok();
        if value.is_none() {
            self.refuse(field, must);
        }
        value
    }

    fn refuse(&mut self, field: &str, message: &str) {
        self.errors.push(FieldError::new(field, "invalid", message));
    }

    fn is_refused(&self, field: &str) -> bool {
        self.errors.iter().any(|error| error.field == field)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::http::StatusCode;
    use callcore::actor::Role;
    use serde_json::json;

    use crate::testing::{Answer, World, form};

    const PATH: &str = "/api/dnc/import";

    async fn sent(world: &World, parts: &[(&str, &[u8])]) -> Answer {
        let (media_type, body) = form(parts);
        let request = world.request("POST", PATH).header("content-type", &media_type);
        request.body(body).send().await
    }

    #[tokio::test]
    async fn a_list_is_in_force_with_its_report_and_one_audit_row() {
        let world = World::new();
        world.loaded(3).await;
        world.post("/api/dnc", json!({"phone": "+12125550102"})).await;
        let list = b"Phone,Reason\n2125550100,asked by mail\n(212) 555-0102,\n2125550100,\nn/a,\n";
        let parts: [(&str, &[u8]); 3] =
            [("file", list), ("reason", b"spring cleaning"), ("max_rejected_percent", b"30")];
        let answer = sent(&world, &parts).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.json);
        let report = &answer.json;
        assert_eq!((&report["status"], &report["scope"]), (&json!("done"), &json!("global")));
        for (field, count) in
            [("rows_read", 4), ("accepted", 1), ("duplicates", 2), ("rejected", 1), ("canceled", 1)]
        {
            assert_eq!(report[field], count, "{field}");
        }
        assert_eq!(report["rejected_by_code"], json!({"invalid_phone": 1}));
        let rejection = &report["rejections"][0];
        assert_eq!((&rejection["line"], &rejection["value"]), (&json!(5), &json!("n/a")));
        let path = format!("/api/dnc/imports/{}", report["id"].as_str().unwrap());
        assert_eq!(&world.get(&path).await.json, report);
        let entry = &world.get("/api/dnc?q=5550100").await.json["items"][0];
        assert_eq!(
            (&entry["reason"], &entry["source"]),
            (&json!("asked by mail"), &json!("import"))
        );
        assert!(world.audited("dnc.import").await);
    }

    #[tokio::test]
    async fn a_call_that_has_begun_is_named_and_hung_up() {
        let world = World::new();
        let id = world.loaded(1).await;
        world.post(&format!("/api/campaigns/{id}/start"), json!({})).await;
        world.dial_all().await;
        let parts: [(&str, &[u8]); 3] =
            [("file", b"212,5550100\n"), ("scope", b"campaign"), ("campaign_id", id.as_bytes())];
        let answer = sent(&world, &parts).await;
        let call = answer.json["in_flight"][0].as_str().unwrap();
        assert_eq!(world.hung_up(), [call]);
        assert_eq!(answer.json["campaign_id"], id.as_str());
    }

    #[tokio::test]
    async fn a_list_with_too_many_bad_rows_is_refused_whole_unless_told_otherwise() {
        let world = World::new();
        let list = b"Phone\n2125550100\n5550101\nn/a\n2125550103\n";
        let answer = sent(&world, &[("file", list)]).await;
        assert_eq!(
            (answer.status, answer.code()),
            (StatusCode::UNPROCESSABLE_ENTITY, "too_many_rejected")
        );
        assert_eq!(answer.json["import"]["rejected"], 2);
        assert_eq!(answer.json["import"]["accepted"], 0);
        assert_eq!(world.get("/api/dnc").await.json["items"], json!([]), "no half of it is in");
        let told = sent(&world, &[("file", list), ("max_rejected_percent", b"50")]).await;
        assert_eq!((told.status, &told.json["accepted"]), (StatusCode::OK, &json!(2)));
    }

    #[tokio::test]
    async fn a_dry_run_says_what_it_would_do_and_does_nothing() {
        let world = World::new();
        world.post("/api/dnc", json!({"phone": "+12125550102"})).await;
        let list = b"2125550100\n2125550100\n2125550102\n2125550103\n";
        let answer = sent(&world, &[("file", list), ("dry_run", b"true")]).await;
        assert_eq!((&answer.json["accepted"], &answer.json["duplicates"]), (&json!(2), &json!(2)));
        assert_eq!((&answer.json["id"], answer.status), (&json!(null), StatusCode::OK));
        assert_eq!(world.get("/api/dnc").await.json["items"].as_array().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn every_bad_field_is_named_at_once() {
        let world = World::new();
        let parts: [(&str, &[u8]); 6] = [
            ("file", b"2125550100\n"),
            ("scope", b"somewhere"),
            ("campaign_id", b"x"),
            ("default_region", b"QQ"),
            ("dry_run", b"perhaps"),
            ("max_rejected_percent", b"101"),
        ];
        let answer = sent(&world, &parts).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        let wanted = ["campaign_id", "scope", "default_region", "dry_run", "max_rejected_percent"];
        assert_eq!(answer.fields(), wanted);
        let unknown = sent(&world, &[("file", b"2125550100\n"), ("until", b"2027")]).await;
        assert_eq!(unknown.fields(), ["until"]);
        let nowhere = "0199aaaa-0000-7000-8000-000000000000";
        let parts: [(&str, &[u8]); 3] = [
            ("file", b"2125550100\n"),
            ("scope", b"campaign"),
            ("campaign_id", nowhere.as_bytes()),
        ];
        assert_eq!(sent(&world, &parts).await.status, StatusCode::NOT_FOUND);
        for (file, code) in [(&b""[..], "empty_file"), (b"Name\nAda\n", "no_phone_column")] {
            let answer = sent(&world, &[("file", file)]).await;
            assert_eq!((answer.status, answer.code()), (StatusCode::UNPROCESSABLE_ENTITY, code));
        }
        let json = world.post(PATH, json!({})).await;
        assert_eq!(json.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }

    #[tokio::test]
    async fn a_retried_list_is_one_import_and_another_one_is_refused() {
        let world = World::new();
        let send = |file: &[u8], reason: &[u8]| {
            let (media_type, body) = form(&[("file", file), ("reason", reason)]);
            let request = world.request("POST", PATH).header("idempotency-key", "list");
            request.header("content-type", &media_type).body(body).send()
        };
        let first = send(b"2125550100\n", b"a").await;
        let again = send(b"2125550100\n", b"a").await;
        assert_eq!((first.status, &first.json), (StatusCode::OK, &again.json));
        assert_eq!(again.json["accepted"], 1);
        assert_eq!(send(b"2125550100\n", b"b").await.code(), "idempotency_key_reused");
    }

    #[tokio::test]
    async fn a_long_list_goes_on_after_its_answer() {
        let world = World::with(|state| state.with_import_patience(Duration::ZERO));
        let answer = sent(&world, &[("file", b"2125550100\n")]).await;
        assert_eq!(
            (answer.status, &answer.json["status"]),
            (StatusCode::ACCEPTED, &json!("running"))
        );
        let path = format!("/api/dnc/imports/{}", answer.json["id"].as_str().unwrap());
        while world.get(&path).await.json["status"] == "running" {
            tokio::task::yield_now().await;
        }
        assert_eq!(world.get(&path).await.json["accepted"], 1);
        let nowhere = "/api/dnc/imports/0199aaaa-0000-7000-8000-000000000000";
        assert_eq!(world.get(nowhere).await.status, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn a_viewer_brings_no_list() {
        let world = World::new();
        let (media_type, body) = form(&[("file", b"2125550100\n")]);
        let request = world.request("POST", PATH).role(Role::Viewer);
        let answer = request.header("content-type", &media_type).body(body).send().await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
    }
}
