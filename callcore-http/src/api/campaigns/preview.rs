//! `GET /api/campaigns/{id}/preview`: what would happen if the campaign started now.
//!
//! It asks the rules about every call to come, a thousand clients at a time: memory stays flat, no read
//! of the store is long, and the whole costs one pass over the campaign's clients. It changes nothing.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::campaign::{RunState, Settings};
use callcore::client::Client;
use callcore::engine::{Foreseen, explain, foresee};
use callcore::id::{CampaignId, ClientId};
use callcore::port::{CampaignView, StoreError};
use callcore::preview::{Outlook, Preview};
use callcore::script::phrases::{Spoken, announcement};
use callcore::script::{ClientFields, DEFAULT_LANGUAGE, Rendered, Script, Template};
use chrono::{DateTime, Utc};

use super::existing;
use crate::auth::Viewer;
use crate::dto::{self, HeardByDto, PreviewDto};
use crate::problem::Problem;
use crate::query::Query;
use crate::request::Id;
use crate::state::ApiState;

/// How many clients are looked at in one read.
const PART: u32 = 1_000;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Viewer(_): Viewer,
    Id(id): Id<CampaignId>,
    mut query: Query,
) -> Result<Response, Problem> {
    let client: Option<ClientId> = query.one("client_id", |text| text.parse().ok());
    query.finish()?;
    let view = existing(&state, id).await?;
    let client = match client {
        Some(client) => Some(heard_by(&state, &view, client).await?),
        None => None,
    };
    let now = state.now();
    let outlook = outlook(&state, &view, now).await?;
    Ok(dto::json(StatusCode::OK, &PreviewDto::new(&view, now, outlook, client)))
}

/// What would happen if the campaign started at an instant.
pub(crate) async fn outlook(
    state: &ApiState,
    view: &CampaignView,
    now: DateTime<Utc>,
) -> Result<Outlook, StoreError> {
    let mut preview = Preview::new(&view.campaign.settings, now);
    let mut after = None;
    loop {
        let part = state.store().waiting(view.campaign.id, after, PART).await?;
        for facts in part.facts {
            preview.add(facts);
        }
        after = part.next;
        if after.is_none() {
            return Ok(preview.outlook());
        }
        // The rules take their time over a thousand clients; others want to be served.
        tokio::task::yield_now().await;
    }
}

/// What a client hears.
pub(crate) struct Hearing {
    pub(crate) steps: Vec<Rendered>,
    pub(crate) voicemail_message: Option<Rendered>,
}

/// A script and a voicemail's message as a client would hear them, with what the engine says of its
/// own: how to opt out.
pub(crate) async fn hearing(
    state: &ApiState,
    settings: &Settings,
    script: &Script,
    client: &Client,
) -> Result<Hearing, StoreError> {
    let import = state.store().import(client.import).await?;
    let columns = import.map(|import| import.columns).unwrap_or_default();
    let columns: Vec<(String, String)> =
        columns.into_iter().zip(client.fields.iter().cloned()).collect();
    let fields = ClientFields {
        name: &client.name,
        phone: client.phone,
        email: client.email.as_deref(),
        external_id: client.external_id.as_deref(),
        campaign: &settings.name,
        columns: &columns,
    };
    let fill = |text: &Template| text.fill(|name| fields.value(name));
    let message = settings.voicemail.message.as_ref();
    let language = settings.script.language();
    let voicemail_message = message.map(|message| message.rendered(language, &fill));
    let language = script.language().or(language).unwrap_or(DEFAULT_LANGUAGE);
    let mut steps = script.rendered(|name| fields.value(name));
    if let Some(Spoken { text, language }) = announcement(&script.keys, &steps, language) {
        let is_heard = |step: &Rendered| matches!(step, Rendered::Say { .. } | Rendered::Play(_));
        let at = steps.iter().position(|step| !is_heard(step)).unwrap_or(steps.len());
        steps.insert(at, Rendered::Say { text, language });
    }
    Ok(Hearing { steps, voicemail_message })
}

/// The script as a client would hear it, and what the rules say of its call.
async fn heard_by(
    state: &ApiState,
    view: &CampaignView,
    id: ClientId,
) -> Result<HeardByDto, Problem> {
    let client = state.store().client(id).await?.map(|view| view.client);
    let client = client.filter(|client| client.campaign == view.campaign.id);
    let client = client.ok_or_else(Problem::not_found)?;
    let settings = &view.campaign.settings;
    let Hearing { steps, voicemail_message } =
        hearing(state, settings, &settings.script, &client).await?;
    let mut heard = HeardByDto {
        client_id: id.to_string(),
        would_call: false,
        reason: Some(client.standing.status.as_str()),
        due_at: None,
        steps: steps.iter().map(dto::rendered).collect(),
        voicemail_message: voicemail_message.as_ref().map(dto::message),
        decision: Vec::new(),
    };
    let facts = match client.standing.next_call {
        Some(next) => state.store().facts(next.call).await?,
        None => None,
    };
    if let Some(mut facts) = facts {
        facts.run_state = RunState::Running;
        heard.decision = explain(&facts, state.now()).1;
        let from = facts.due_at.max(state.now());
        match foresee(&mut facts, from) {
            Foreseen::Dial { at, .. } => {
                (heard.would_call, heard.reason) = (true, None);
                heard.due_at = Some(dto::instant(at));
            }
            Foreseen::Retire(reason) => heard.reason = Some(reason.as_str()),
        }
    }
    Ok(heard)
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use chrono::TimeDelta;
    use serde_json::{Value, json};

    use crate::testing::{World, settings};

    /// A campaign with settings and a list, and its preview.
    async fn previewed(world: &World, changes: Value, list: &[u8]) -> (String, Value) {
        let mut document = settings();
        for (field, value) in changes.as_object().unwrap() {
            document[field] = value.clone();
        }
        let draft = world.post("/api/campaigns", document).await;
        assert_eq!(draft.status, StatusCode::CREATED, "{}", draft.text());
        let id = draft.json["id"].as_str().unwrap().to_owned();
        let report = world.upload(&id, list).await;
        assert_eq!(report.json["rejected"], 0, "{}", report.text());
        let preview = world.get(&format!("/api/campaigns/{id}/preview")).await;
        assert_eq!(preview.status, StatusCode::OK, "{}", preview.text());
        (id, preview.json)
    }

    const LIST: &[u8] = b"Name,Phone,City,Consent,Time zone\n\
        Ada,+12125550100,Rome,written,America/New_York\n\
        Bob,+12125550101,,written,America/Los_Angeles\n\
        Cyd,+12125550102,Oslo,,America/New_York\n\
        Dee,+12125550103,Bonn,written,America/New_York\n";

    #[tokio::test]
    async fn what_a_preview_says_is_what_happens_on_starting() {
        let world = World::new();
        world.post("/api/dnc", json!({"phone": "+12125550103"})).await;
        let script = json!({"steps": [{"say": "Hello {{name}} of {{city|somewhere}}."}]});
        let changes = json!({"consent_required": true, "zone_policy": "client", "script": script});
        let (id, preview) = previewed(&world, changes, LIST).await;
        assert_eq!((&preview["clients"], &preview["would_call"]), (&json!(4), &json!(2)));
        assert_eq!(preview["skipped_by_reason"], json!({"no_consent": 1, "on_dnc": 1}));
        assert_eq!(preview["would_skip"], 2);
        assert_eq!(preview["first_due_at"], "2026-11-23T15:00:00Z");
        // Nine in the morning in Los Angeles.
        assert_eq!(preview["last_due_at"], "2026-11-23T17:00:00Z");
        let zones = json!([
            {"zones": ["America/Los_Angeles"], "clients": 1, "first_due_at": "2026-11-23T17:00:00Z"},
            {"zones": ["America/New_York"], "clients": 1, "first_due_at": "2026-11-23T15:00:00Z"},
        ]);
        assert_eq!(preview["zones"], zones);
        let missing = json!([{"field": "city", "clients": 1, "has_default": true}]);
        assert_eq!(preview["missing_fields"], missing);
        assert_eq!(world.get(&format!("/api/campaigns/{id}")).await.json["state"], "draft");

        world.post(&format!("/api/campaigns/{id}/start"), json!({})).await;
        let dialled = async || {
            world.answer_all().await;
            let campaign = world.get(&format!("/api/campaigns/{id}")).await.json;
            campaign["attempted"].as_u64().unwrap()
        };
        assert_eq!(dialled().await, 1);
        world.clock.advance(TimeDelta::hours(2) - TimeDelta::seconds(1));
        assert_eq!(dialled().await, 1);
        world.clock.advance(TimeDelta::seconds(1));
        assert_eq!(dialled().await, 2);
        let campaign = world.get(&format!("/api/campaigns/{id}")).await.json;
        let statuses = json!({"no_consent": 1, "on_dnc": 1, "reached": 2});
        assert_eq!(campaign["clients_by_status"], statuses);
        let after = world.get(&format!("/api/campaigns/{id}/preview")).await.json;
        assert_eq!(
            (&after["would_call"], &after["done_by_status"]),
            (&json!(0), &json!({"reached": 2}))
        );
        assert!(after["last_due_at"].is_null());
    }

    #[tokio::test]
    async fn the_last_one_is_due_as_hours_and_pace_have_it() {
        let world = World::new();
        let mut list = "Phone\n".to_owned();
        for index in 0..100 {
            list.push_str(&format!("+121255501{index:02}\n"));
        }
        // Six a minute from ten to half past, then again from nine on the next day.
        let open = json!([["09:00", "10:10"]]);
        let changes = json!({
            "hours": {"mon": open, "tue": open},
            "pacing": {"max_concurrent": 6, "calls_per_second": 100},
        });
        let (_, preview) = previewed(&world, changes, list.as_bytes()).await;
        assert_eq!(preview["estimate"]["calls_per_second"], 0.1);
        assert_eq!(preview["first_due_at"], "2026-11-23T15:00:00Z");
        assert_eq!(preview["last_due_at"], "2026-11-24T14:06:30Z", "sixty, then forty");
    }

    #[tokio::test]
    async fn a_days_budget_and_a_stop_of_all_dialling_put_nobody_out() {
        let world = World::new();
        let changes = json!({"budget": {"calls_per_day": 2}});
        let (id, preview) = previewed(&world, changes, LIST).await;
        assert_eq!((&preview["would_call"], &preview["would_skip"]), (&json!(4), &json!(0)));
        assert_eq!(preview["first_due_at"], "2026-11-23T15:00:00Z");
        let last = preview["last_due_at"].as_str().unwrap();
        assert!(last.starts_with("2026-11-24T14:00:"), "two a day, from nine on: {last}");
        assert_eq!(world.post("/api/stop-all", json!({})).await.status, StatusCode::OK);
        let stopped = world.get(&format!("/api/campaigns/{id}/preview")).await.json;
        assert_eq!(stopped["would_call"], 4, "{stopped}");
    }

    #[tokio::test]
    async fn a_client_hears_its_own_texts() {
        let world = World::new();
        let script = json!({"steps": [{"say": "Hello {{name}} of {{city|somewhere}}."}]});
        let (id, _) = previewed(&world, json!({"script": script}), LIST).await;
        let clients = world.get(&format!("/api/campaigns/{id}/clients")).await.json;
        let bob = clients["items"][1]["id"].as_str().unwrap().to_owned();
        let asked = async |campaign: &str, client: &str| {
            world.get(&format!("/api/campaigns/{campaign}/preview?client_id={client}")).await
        };
        let heard = asked(&id, &bob).await.json["client"].clone();
        assert_eq!(heard["steps"][0]["say"], "Hello Bob of somewhere.");
        assert_eq!((&heard["would_call"], &heard["reason"]), (&json!(true), &json!(null)));
        assert_eq!(heard["due_at"], "2026-11-23T15:00:00Z");
        assert!(!heard["decision"].as_array().unwrap().is_empty());
        let other = world.draft().await;
        assert_eq!(asked(&other, &bob).await.status, StatusCode::NOT_FOUND, "another campaign's");
        let bad = asked(&id, "x").await;
        assert_eq!((bad.status, bad.fields()), (StatusCode::BAD_REQUEST, vec!["client_id"]));
        let nowhere = "0199aaaa-0000-7000-8000-000000000000";
        assert_eq!(asked(nowhere, &bob).await.status, StatusCode::NOT_FOUND);
        assert_eq!(asked(&id, nowhere).await.status, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn what_the_engine_says_by_itself_is_heard_in_the_preview_too() {
        let world = World::new();
        let heard = async |steps: Value| {
            let script = json!({"steps": steps, "keys": {"9": "opt_out"}});
            let (id, _) = previewed(&world, json!({"script": script}), LIST).await;
            let clients = world.get(&format!("/api/campaigns/{id}/clients")).await.json;
            let client = clients["items"][0]["id"].as_str().unwrap();
            let path = format!("/api/campaigns/{id}/preview?client_id={client}");
            world.get(&path).await.json["client"]["steps"].clone()
        };
        let hello = json!({"say": "Hello.", "language": "en-US"});
        let words = "To stop these calls, press nine at any time.";
        let announced = json!({"say": words, "language": "en-US"});
        assert_eq!(heard(json!([hello])).await, json!([hello, announced]));
        let transfer = json!({"transfer": "+12125550100"});
        let before = heard(json!([hello, transfer])).await;
        assert_eq!(before, json!([hello, announced, transfer]));
        let own = json!({"say": "Press 9 to stop these calls.", "language": "en-US"});
        assert_eq!(heard(json!([own])).await, json!([own]));
    }
}
