//! `POST /api/campaigns/{id}/import`: clients from an uploaded list.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use callcore::id::CampaignId;

use super::{replayed, take, takes_clients};
use crate::act::{Act, Early, IDEMPOTENCY_KEY};
use crate::api::campaigns::existing;
use crate::auth::Operator;
use crate::importing::List;
use crate::query::Query;
use crate::request::{Id, path_of};
use crate::state::ApiState;
use crate::upload::{OPTIONS, receive};

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Operator(principal): Operator,
    Id(id): Id<CampaignId>,
    query: Query,
    request: Request,
) -> Result<Response, Early> {
    query.finish()?;
    let campaign = existing(&state, id).await?;
    // Without a key there is nothing to tell again, and no reason to take the whole file.
    if !request.headers().contains_key(IDEMPOTENCY_KEY) {
        takes_clients(&campaign)?;
    }
    let (parts, body) = request.into_parts();
    let scope = format!("{} {} {}", principal.actor, parts.method, path_of(&parts));
    let headers = parts.headers.clone();
    let upload = receive(&state, Request::from_parts(parts, body), &OPTIONS, &[]).await?;
    let print = &upload.fingerprint;
    let act = Act::under(&state, principal, scope, &headers, print, StatusCode::ACCEPTED).await;
    let taken = match act {
        Ok(act) => {
            takes_clients(&campaign)?;
            let dry_run = upload.dry_run;
            let list = List::open(upload, &campaign.campaign.settings).await?;
            take(&state, act, &campaign, list, dry_run).await
        }
        Err(early) => Err(early),
    };
    match taken {
        Ok(answer) => Ok(answer),
        Err(early) => replayed(&state, early).await,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::http::StatusCode;
    use serde_json::json;

    use crate::testing::{Answer, World, form};

    async fn sent(world: &World, parts: &[(&str, &[u8])]) -> Answer {
        let id = world.draft().await;
        world.upload_parts(&id, parts).await
    }

    #[tokio::test]
    async fn a_list_comes_in_with_its_report() {
        let world = World::new();
        let list = "Name,Phone,Time zone\nAda,2125550100,\nBob,n/a,\nCy,2125550101,Mars/Olympus\n\
                    Dee,212-555-0100,\nEd,,\n";
        let answer = sent(&world, &[("file", list.as_bytes())]).await;
        assert_eq!(answer.status, StatusCode::OK);
        let report = &answer.json;
        assert_eq!(report["status"], "done");
        assert_eq!(
            (&report["rows_read"], &report["accepted"], &report["duplicates"], &report["rejected"]),
            (&json!(5), &json!(1), &json!(1), &json!(3))
        );
        assert_eq!(
            report["rejected_by_code"],
            json!({"invalid_phone": 1, "invalid_time_zone": 1, "missing_phone": 1})
        );
        assert_eq!(report["duplicate_of"], json!([{"line": 5, "of_line": 2}]));
    }

    #[tokio::test]
    async fn a_mapping_overrules_the_columns_names_wherever_it_stands_in_the_form() {
        let world = World::new();
        let file: (&str, &[u8]) = ("file", b"Who,A,B\nAda,2125550100,2125550101\n");
        let mapping: (&str, &[u8]) = ("mapping", br#"{"phone": "B", "name": "Who"}"#);
        for parts in [[file, mapping], [mapping, file]] {
            assert_eq!(sent(&world, &parts).await.json["accepted"], 1);
        }
        let unknown = sent(&world, &[file, ("mapping", br#"{"phone": "C"}"#)]).await;
        assert_eq!((unknown.code(), unknown.fields()), ("unknown_column", vec!["mapping.phone"]));
        let bad: (&str, &[u8]) = ("mapping", br#"{"phone": "C", "name": "D", "tags": "A"}"#);
        let unknown = sent(&world, &[file, bad]).await;
        assert_eq!(unknown.fields(), ["mapping.phone", "mapping.name"]);
        let bad: (&str, &[u8]) = ("mapping", br#"{"fone": "A", "tags": 1}"#);
        let malformed = sent(&world, &[bad, file]).await;
        assert_eq!(malformed.status, StatusCode::BAD_REQUEST);
        assert_eq!(malformed.fields(), ["mapping.fone", "mapping.tags"]);
    }

    #[tokio::test]
    async fn what_is_no_list_gets_a_clear_answer_and_begins_nothing() {
        let world = World::new();
        let mut binary = vec![0x7f, b'E', b'L', b'F'];
        binary.extend((0..5_000_u32).map(|byte| byte.wrapping_mul(37).to_le_bytes()[0]));
        let cases: [(&[u8], &str); 6] = [
            (b"Name,City\nAda,Rome\n", "no_phone_column"),
            (b"", "empty_file"),
            (b"\n\n", "empty_file"),
            (&binary, "not_text"),
            (b"Ada,2125550100\n", "no_header"),
            (&b"x".repeat(3 * 1024 * 1024), "row_too_long"),
        ];
        for (file, code) in cases {
            let answer = sent(&world, &[("file", file)]).await;
            assert_eq!((answer.status, answer.code()), (StatusCode::UNPROCESSABLE_ENTITY, code));
            assert_eq!(answer.fields(), ["file"]);
        }
    }

    #[cfg(not(feature = "xlsx"))]
    #[tokio::test]
    async fn a_workbook_is_answered_with_how_to_make_a_list_of_it() {
        let world = World::new();
        let answer = sent(&world, &[("file", b"PK\x03\x04\x14\0\x06\0")]).await;
        assert_eq!((answer.status, answer.code()), (StatusCode::UNPROCESSABLE_ENTITY, "not_text"));
        assert!(answer.text().contains("an Excel workbook"), "{}", answer.text());
        assert!(answer.text().contains("save it as CSV"), "{}", answer.text());
    }

    #[tokio::test]
    async fn a_list_that_breaks_in_its_middle_keeps_what_stands_before() {
        let world = World::new();
        let mut list = b"Phone\n2125550100\n".to_vec();
        list.extend(b"\"".iter().chain(b"y".repeat(2 * 1024 * 1024).iter()));
        let answer = sent(&world, &[("file", &list)]).await;
        assert_eq!(
            (answer.status, answer.code()),
            (StatusCode::UNPROCESSABLE_ENTITY, "row_too_long")
        );
        let import = answer.json["import"]["id"].as_str().unwrap();
        let report = world.get(&format!("/api/imports/{import}")).await.json;
        assert_eq!((&report["status"], &report["accepted"]), (&json!("failed"), &json!(1)));
        assert_eq!(report["failure"]["code"], "row_too_long");
    }

    #[tokio::test]
    async fn a_nul_costs_its_row_and_no_other() {
        let world = World::new();
        let list = b"Name,Phone\nA\0da,2125550100\nBob,2125550101\n";
        let report = sent(&world, &[("file", list)]).await.json;
        assert_eq!(report["accepted"], 1);
        assert_eq!(report["rejected_by_code"], json!({"nul_character": 1}));
    }

    #[tokio::test]
    async fn fields_that_are_not_known_are_refused_by_name_and_all_at_once() {
        let world = World::new();
        let parts: [(&str, &[u8]); 6] = [
            ("dry_run", b"yes"),
            ("dedupe", b"name"),
            ("on_duplicate", b"replace"),
            ("mapping", b"{"),
            ("dedup", b"phone"),
            ("dry_run", b"true"),
        ];
        let answer = sent(&world, &parts).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(
            answer.fields(),
            ["dry_run", "dedupe", "on_duplicate", "mapping", "dedup", "dry_run", "file"]
        );
    }

    #[tokio::test]
    async fn media_types_sizes_and_states_are_checked() {
        let world = World::with(|state| state.with_max_upload(100));
        let id = world.draft().await;
        let path = format!("/api/campaigns/{id}/import");
        let json = world.post(&path, json!({})).await;
        assert_eq!(json.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        let large = world.upload(&id, &[b'x'; 101]).await;
        assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
        let (media_type, body) = form(&[("file", b"Phone\n2125550100\n")]);
        let cut = body[..body.len() - 30].to_vec();
        let cut = world.request("POST", &path).header("content-type", &media_type).body(cut);
        assert_eq!(cut.send().await.code(), "broken_off");
        assert_eq!(world.upload("nowhere", b"Phone\n").await.status, StatusCode::NOT_FOUND);
        world.upload(&id, b"Phone\n2125550100\n").await;
        world.post(&format!("/api/campaigns/{id}/start"), json!({})).await;
        world.post(&format!("/api/campaigns/{id}/stop"), json!({})).await;
        let stopped = world.upload(&id, b"Phone\n2125550100\n").await;
        assert_eq!((stopped.status, stopped.code()), (StatusCode::CONFLICT, "campaign_state"));
    }

    #[tokio::test]
    async fn a_retried_upload_is_one_import() {
        let world = World::new();
        let path = format!("/api/campaigns/{}/import", world.draft().await);
        let send = |file: &[u8]| {
            let (media_type, body) = form(&[("file", file)]);
            let request = world.request("POST", &path).header("idempotency-key", "up");
            request.header("content-type", &media_type).body(body).send()
        };
        let first = send(b"Phone\n2125550100\n").await;
        let again = send(b"Phone\n2125550100\n").await;
        assert_eq!((first.status, &first.json), (StatusCode::OK, &again.json));
        assert_eq!(again.json["accepted"], 1);
        assert_eq!(send(b"Phone\n2125550101\n").await.code(), "idempotency_key_reused");
    }

    #[tokio::test]
    async fn a_long_import_goes_on_after_its_answer() {
        let world = World::with(|state| state.with_import_patience(Duration::ZERO));
        let id = world.draft().await;
        let answer = world.upload(&id, b"Phone\n2125550100\n").await;
        assert_eq!(answer.status, StatusCode::ACCEPTED);
        assert_eq!(answer.json["status"], "running");
        let path = format!("/api/imports/{}", answer.json["id"].as_str().unwrap());
        while world.get(&path).await.json["status"] == "running" {
            tokio::task::yield_now().await;
        }
        assert_eq!(world.get(&path).await.json["accepted"], 1);
    }

    #[tokio::test]
    async fn a_dry_run_reports_the_whole_and_changes_nothing() {
        let world = World::new();
        let id = world.draft().await;
        world.upload(&id, b"Name,Phone\nAda,2125550100\n").await;
        world.post("/api/dnc", json!({"phone": "+12125550101"})).await;
        let list =
            b"Name,Phone\nAda,2125550100\nBob,2125550101\nBob,2125550101\nCy,x\nDee,2125550102\n";
        let dry = [("file", &list[..]), ("dry_run", b"true")];
        let before = world.get(&format!("/api/campaigns/{id}/clients")).await.text();
        let told = world.upload_parts(&id, &dry).await;
        assert_eq!((told.status, &told.json["id"]), (StatusCode::OK, &json!(null)));
        assert_eq!((&told.json["dry_run"], &told.json["status"]), (&json!(true), &json!("done")));
        assert_eq!(world.get(&format!("/api/campaigns/{id}/clients")).await.text(), before);
        let imports = world.get(&format!("/api/campaigns/{id}/imports")).await;
        assert_eq!(imports.json["items"].as_array().unwrap().len(), 1);
        let mut done = world.upload(&id, list).await.json;
        let mut told = told.json;
        for report in [&mut told, &mut done] {
            report.as_object_mut().unwrap().retain(|key, _| key != "id" && key != "dry_run");
        }
        assert_eq!(told, done, "it is what the import then comes to");
        assert_eq!(
            done["duplicate_of"],
            json!([{"line": 2, "of_line": 2}, {"line": 4, "of_line": 3}])
        );
        assert_eq!((&done["accepted"], &done["on_dnc"]), (&json!(2), &json!(1)));
    }

    #[tokio::test]
    async fn a_dry_run_of_an_update_tells_what_would_be_updated() {
        let world = World::new();
        let id = world.draft().await;
        world.upload(&id, b"Name,Phone,External id\nAda,2125550100,A\n").await;
        let list =
            b"Name,Phone,External id\nAda B,2125550100,B\nBob,2125550101,B\nCy,2125550102,A\n";
        let mapping: (&str, &[u8]) = ("mapping", br#"{"external_id": "External id"}"#);
        let update: (&str, &[u8]) = ("on_duplicate", b"update");
        let dry: (&str, &[u8]) = ("dry_run", b"true");
        for parts in
            [vec![("file", &list[..]), mapping, update, dry], vec![("file", list), mapping, update]]
        {
            let report = world.upload_parts(&id, &parts).await.json;
            let counts = ["accepted", "updated", "duplicates", "rejected"].map(|key| &report[key]);
            assert_eq!(counts, [&json!(1), &json!(1), &json!(0), &json!(1)], "{report}");
            assert_eq!(report["rejections"][0]["code"], "external_id_taken");
        }
    }

    #[tokio::test]
    async fn a_household_comes_in_whole_and_an_update_follows_the_row() {
        let world = World::new();
        let id = world.draft().await;
        let list =
            b"Name,Phone,City\nAda,2125550100,Rome\nBob,2125550100,Oslo\nada,2125550100,Bern\n";
        let by_name: (&str, &[u8]) = ("dedupe", b"phone_and_name");
        let report = world.upload_parts(&id, &[("file", list), by_name]).await.json;
        assert_eq!((&report["accepted"], &report["duplicates"]), (&json!(2), &json!(1)));
        world.clock.advance(chrono::TimeDelta::seconds(1));
        let list = b"Phone,Town,Name,Tags\n2125550100,Paris,BOB,vip\n";
        let update: (&str, &[u8]) = ("on_duplicate", b"update");
        let report = world.upload_parts(&id, &[by_name, ("file", list), update]).await.json;
        assert_eq!((&report["updated"], &report["rows_read"]), (&json!(1), &json!(1)));
        let clients = world.get(&format!("/api/campaigns/{id}/clients")).await.json;
        assert_eq!(clients["items"][0]["fields"]["City"], "Rome");
        let bob = &clients["items"][1];
        assert_eq!((&bob["name"], &bob["tags"]), (&json!("BOB"), &json!(["vip"])));
        assert_eq!(
            bob["fields"],
            json!({"Phone": "2125550100", "Town": "Paris", "Name": "BOB", "Tags": "vip"})
        );
        let export = world.get(&format!("/api/campaigns/{id}/export")).await.text();
        assert!(export.starts_with("Name,Phone,City,Town,Tags,"), "{export}");
        assert!(export.contains("BOB,2125550100,,Paris,vip,"), "{export}");
    }

    #[tokio::test]
    async fn what_misleads_is_taken_out_of_cells_and_told() {
        let world = World::new();
        let list = "Name,Phone,Note\nA\u{202e}da,2125550100,a\u{7}b\nBob,2125550101,x\n";
        let id = world.draft().await;
        let report = world.upload(&id, list.as_bytes()).await.json;
        assert_eq!((&report["accepted"], &report["cleaned"]), (&json!(2), &json!(2)));
        let first = json!([{"line": 2, "column": "Name"}, {"line": 2, "column": "Note"}]);
        assert_eq!(report["cleanings"], first);
        let clients = world.get(&format!("/api/campaigns/{id}/clients")).await.json;
        assert_eq!(clients["items"][0]["name"], "Ada");
        assert_eq!(clients["items"][0]["fields"]["Note"], "ab");
    }
}
