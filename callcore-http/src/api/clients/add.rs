//! `POST /api/campaigns/{id}/clients`: clients as JSON.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use callcore::id::CampaignId;
use callcore::import::{Dedupe, DuplicatePolicy, JsonClients, OnDuplicate};
use serde_json::{Value, json};

use crate::act::{Act, Early};
use crate::api::campaigns::existing;
use crate::api::imports::{replayed, take, takes_clients};
use crate::auth::Operator;
use crate::importing::List;
use crate::problem::Problem;
use crate::request::{Change, Fields, Id};
use crate::state::ApiState;

/// The largest body, in bytes: as many clients as may be sent, each with some KiB of fields.
const MAX_BODY: usize = 8 * 1024 * 1024;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Operator(principal): Operator,
    Id(id): Id<CampaignId>,
    request: Request,
) -> Result<Response, Early> {
    let change = Change::read(request, &state, MAX_BODY).await?;
    let campaign = existing(&state, id).await?;
    let taken = match Act::begin(&state, principal, &change, StatusCode::ACCEPTED).await {
        Ok(act) => {
            takes_clients(&campaign)?;
            let asked = Asked::read(change.json()?)?;
            let region = &campaign.campaign.settings.default_region;
            let clients = JsonClients::read(&asked.clients, region).map_err(Problem::fields)?;
            let list = List::of_json(clients, asked.duplicates);
            take(&state, act, &campaign, list, asked.dry_run).await
        }
        Err(early) => Err(early),
    };
    match taken {
        Ok(answer) => Ok(answer),
        Err(early) => replayed(&state, early).await,
    }
}

struct Asked {
    clients: Vec<Value>,
    duplicates: DuplicatePolicy,
    dry_run: bool,
}

impl Asked {
    /// Reads the body: an object, or the clients alone.
    fn read(body: Value) -> Result<Self, Problem> {
        let body = if body.is_array() { json!({"clients": body}) } else { body };
        let mut fields = Fields::of(body)?;
        let clients = fields.required::<Vec<Value>>("clients");
        let dry_run = fields.optional("dry_run").unwrap_or(false);
        let mut duplicates = DuplicatePolicy::default();
        if let Some(word) = fields.optional::<String>("dedupe") {
            match Dedupe::parse(&word) {
                Some(dedupe) => duplicates.dedupe = dedupe,
                None => fields.refuse("dedupe", "invalid", "must be phone or phone_and_name"),
            }
        }
        if let Some(word) = fields.optional::<String>("on_duplicate") {
            match OnDuplicate::parse(&word) {
                Some(on_duplicate) => duplicates.on_duplicate = on_duplicate,
                None => fields.refuse("on_duplicate", "invalid", "must be skip or update"),
            }
        }
        fields.finish()?;
        Ok(Self { clients: clients.unwrap_or_default(), duplicates, dry_run })
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use serde_json::{Value, json};

    use crate::testing::World;

    fn clients() -> Value {
        json!([
            {"name": "Ada", "phone": "+12125550100", "external_id": "A", "tags": ["vip"],
             "fields": {"city": "Rome", "balance": 3.5}, "notes": "first",
             "consent": {"basis": "form", "source": "site"}},
            {"name": "Bob", "phone": "212-555-0101", "time_zone": "Mars/Base"},
            {"name": "Cy", "phone": "911"},
            {"name": "Ada", "phone": "+12125550199", "external_id": "A"},
            {"phone": "+12125550102", "email": "d@example.com"},
        ])
    }

    #[tokio::test]
    async fn clients_come_in_with_the_same_report_as_a_file() {
        let world = World::new();
        let id = world.draft().await;
        let path = format!("/api/campaigns/{id}/clients");
        let answer = world.post(&path, json!({"clients": clients()})).await;
        assert_eq!((answer.status, &answer.json["status"]), (StatusCode::OK, &json!("done")));
        let report = &answer.json;
        let counts = ["rows_read", "accepted", "duplicates", "rejected"].map(|key| &report[key]);
        assert_eq!(counts, [&json!(5), &json!(2), &json!(1), &json!(2)], "{report}");
        assert_eq!(report["duplicate_of"], json!([{"line": 3, "of_line": 0}]));
        let places: Vec<_> = report["rejections"].as_array().unwrap().iter().collect();
        assert_eq!((&places[0]["line"], &places[0]["column"]), (&json!(1), &json!("time_zone")));
        assert_eq!((&places[1]["line"], &places[1]["code"]), (&json!(2), &json!("invalid_phone")));
        let listed = world.get(&path).await.json;
        let ada = &listed["items"][0];
        assert_eq!((&ada["external_id"], &ada["fields"]["city"]), (&json!("A"), &json!("Rome")));
        assert_eq!(
            ada["consent"],
            json!({"basis": "form", "at": null, "source": "site", "evidence": null})
        );
        assert_eq!(ada["notes"][0]["text"], "first");
        let rejects = format!("/api/imports/{}/rejects.csv", report["id"].as_str().unwrap());
        assert!(world.get(&rejects).await.text().contains("Mars/Base"));
    }

    #[tokio::test]
    async fn the_same_external_id_again_is_skipped_or_updates() {
        let world = World::new();
        let id = world.draft().await;
        let path = format!("/api/campaigns/{id}/clients");
        let ada = |city: &str| json!([{"phone": "+12125550100", "external_id": "A", "fields": {"city": city}}]);
        world.post(&path, ada("Rome")).await;
        let skipped = world.post(&path, json!({"clients": ada("Oslo")})).await.json;
        assert_eq!(skipped["duplicates"], 1);
        let updated = json!({"clients": ada("Oslo"), "on_duplicate": "update"});
        let dry = json!({"clients": ada("Oslo"), "on_duplicate": "update", "dry_run": true});
        assert_eq!(world.post(&path, dry).await.json["updated"], 1);
        let city = |listed: Value| listed["items"][0]["fields"]["city"].clone();
        assert_eq!(city(world.get(&path).await.json), "Rome");
        assert_eq!(world.post(&path, updated).await.json["updated"], 1);
        assert_eq!(city(world.get(&path).await.json), "Oslo");
        let other = json!({"on_duplicate": "update",
            "clients": [{"phone": "+12125550101", "external_id": "A"}]});
        let refused = world.post(&path, other).await.json;
        assert_eq!(refused["rejected_by_code"], json!({"external_id_taken": 1}));
    }

    #[tokio::test]
    async fn a_retried_request_is_one_import_and_gets_its_report() {
        let world = World::new();
        let id = world.draft().await;
        let path = format!("/api/campaigns/{id}/clients");
        let send = |body: Value| {
            world.request("POST", &path).header("idempotency-key", "c").json(body).send()
        };
        let (first, again) = (send(clients()).await, send(clients()).await);
        assert_eq!((first.status, &first.json), (StatusCode::OK, &again.json));
        let other = json!([{"phone": "+12125550108"}]);
        assert_eq!(send(other).await.code(), "idempotency_key_reused");
        let imports = world.get(&format!("/api/campaigns/{id}/imports")).await.json;
        assert_eq!(imports["items"].as_array().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn every_bad_part_is_named_and_nothing_begins() {
        let world = World::new();
        let id = world.draft().await;
        let path = format!("/api/campaigns/{id}/clients");
        let bad = |body: Value| world.post(&path, body);
        let answer = bad(json!({"clients": {}, "dedupe": "x", "on_duplicate": 1, "more": 0})).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(answer.fields(), ["clients", "dedupe", "on_duplicate", "more"]);
        let answer = bad(json!([{"phone": 1, "fone": 2}, "x"])).await;
        assert_eq!(answer.fields(), ["clients[0].phone", "clients[0].fone", "clients[1]"]);
        assert_eq!(bad(json!([])).await.status, StatusCode::UNPROCESSABLE_ENTITY);
        let many = Value::from(vec![json!({"phone": "+12125550100"}); 1_001]);
        assert_eq!(bad(many).await.fields(), ["clients"]);
        assert_eq!(bad(json!({})).await.fields(), ["clients"]);
        let large = json!([{"phone": "+12125550100", "notes": "x".repeat(9 * 1024 * 1024)}]);
        assert_eq!(bad(large).await.status, StatusCode::PAYLOAD_TOO_LARGE);
        let imports = world.get(&format!("/api/campaigns/{id}/imports")).await.json;
        assert_eq!(imports["items"], json!([]));
        let nowhere = "/api/campaigns/0199aaaa-0000-7000-8000-000000000000/clients";
        assert_eq!(world.post(nowhere, clients()).await.status, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn a_stopped_campaign_takes_none() {
        let world = World::new();
        let id = world.loaded(1).await;
        for act in ["start", "stop"] {
            world.post(&format!("/api/campaigns/{id}/{act}"), json!({})).await;
        }
        let answer = world.post(&format!("/api/campaigns/{id}/clients"), clients()).await;
        assert_eq!((answer.status, answer.code()), (StatusCode::CONFLICT, "campaign_state"));
    }
}
