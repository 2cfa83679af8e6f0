//! `PATCH /api/clients/{id}`: what people change about a client. A note is added to those there are;
//! every other field that is sent replaces the one there is, and `null` takes a zone or consent away.
//! `add_tags` and `remove_tags` leave the other tags as they are by then, whoever changed them.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::client::Consent;
use callcore::id::{CallId, ClientId};
use callcore::port::{ClientChange, Effect};
use callcore::text::{MAX_LABEL, MAX_NOTE};
use callcore::time::Zone;
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::tags;
use crate::act::{Act, Early};
use crate::auth::Operator;
use crate::problem::Problem;
use crate::request::{Change, Fields, Id};
use crate::state::ApiState;

/// The longest text that says where a proof is, in characters.
const MAX_EVIDENCE: usize = 2_000;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Operator(principal): Operator,
    Id(id): Id<ClientId>,
    change: Change,
) -> Result<Response, Early> {
    let act = Act::begin(&state, principal, &change, StatusCode::OK).await?;
    let resumed = CallId::new(act.now(), state.entropy());
    let wanted = wanted(change.fields()?, act.now(), resumed)?;
    let changed = state.store().change_client(act.by(), id, &wanted).await;
    act.finish(changed.map(|detail| Effect::Client(Box::new(detail)))).await
}

/// What is to be changed; `resumed` is the id of a call that may be owed again after it.
pub(crate) fn wanted(
    mut fields: Fields,
    now: DateTime<Utc>,
    resumed: CallId,
) -> Result<ClientChange, Problem> {
    let zone: Option<Option<String>> = fields.nullable("time_zone");
    let time_zone = zone.map(|name| {
        name.and_then(|name| {
            let zone: Option<Zone> = name.parse().ok();
            if zone.is_none() {
                fields.refuse("time_zone", "invalid", "must be an IANA time zone");
            }
            zone
        })
    });
    let consent: Option<Option<Map<String, Value>>> = fields.nullable("consent");
    let wanted = ClientChange {
        note: fields.lines("notes", MAX_NOTE),
        tags: tags(&mut fields, "tags"),
        add_tags: tags(&mut fields, "add_tags").unwrap_or_default(),
        // What comes off needs to follow no rules.
        remove_tags: fields.optional("remove_tags").unwrap_or_default(),
        active: fields.optional("active"),
        time_zone,
        consent: consent.map(|object| {
            let object = object?;
            fields.object("consent", object, |fields| consent_of(fields, now))
        }),
        resumed,
    };
    for tag in wanted.add_tags.intersection(&wanted.remove_tags) {
        fields.refuse("remove_tags", "invalid", format!("{tag:?} is in add_tags, too"));
    }
    fields.finish()?;
    if wanted == ClientChange::new(resumed) {
        return Err(Problem::field("", "required", "says nothing that is to be changed"));
    }
    Ok(wanted)
}

fn consent_of(fields: &mut Fields, now: DateTime<Utc>) -> Option<Consent> {
    let mut needed = |field: &str| {
        let text = fields.line(field, MAX_LABEL);
        if text.is_none() && !fields.is_refused(field) {
            fields.refuse(field, "required", "is required");
        }
        text
    };
    let (basis, source) = (needed("basis"), needed("source"));
    let at: Option<DateTime<Utc>> = fields.optional("at");
    if at.is_some_and(|at| at > now) {
        fields.refuse("at", "future", "is still to come");
    }
    let evidence = fields.lines("evidence", MAX_EVIDENCE);
    Some(Consent { basis: basis?, at, source: source?, evidence })
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use serde_json::{Value, json};

    use crate::testing::World;

    async fn world_with_client() -> (World, String, String) {
        let world = World::new();
        let campaign = world.loaded(1).await;
        let path = format!("/api/clients/{}", world.client(&campaign).await);
        (world, campaign, path)
    }

    #[tokio::test]
    async fn each_field_changes_alone_and_notes_are_added() {
        let (world, _, path) = world_with_client().await;
        let first = world.patch(&path, json!({"notes": "  called\r\nback "})).await;
        assert_eq!(first.status, StatusCode::OK);
        let note =
            json!({"text": "called\nback", "by": "token:admin", "at": "2026-11-23T15:00:00Z"});
        assert_eq!(first.json["notes"], json!([note]));
        assert_eq!(first.json["tags"], json!(["even"]));
        let second =
            world.patch(&path, json!({"notes": "again", "tags": [" vip ", "vip", "VIP"]})).await;
        assert_eq!(second.json["notes"][1]["text"], "again");
        assert_eq!(second.json["tags"], json!(["VIP", "vip"]));
        let bare = world.patch(&path, json!({"tags": []})).await;
        assert_eq!(
            (&bare.json["tags"], bare.json["notes"].as_array().unwrap().len()),
            (&json!([]), 2)
        );
        assert_eq!(world.get(&path).await.json, bare.json);
        assert!(world.audited("client.change").await);
        let key = || {
            world
                .request("PATCH", &path)
                .header("idempotency-key", "n")
                .json(json!({"notes": "once"}))
        };
        let (one, twin) = (key().send().await, key().send().await);
        assert_eq!((one.status, &one.json), (StatusCode::OK, &twin.json));
        assert_eq!(world.get(&path).await.json["notes"].as_array().unwrap().len(), 3);
    }

    #[tokio::test]
    async fn a_tag_is_added_or_taken_off_beside_those_that_others_changed() {
        let (world, _, path) = world_with_client().await;
        world.patch(&path, json!({"tags": ["even", "old"]})).await;
        world.patch(&path, json!({"add_tags": [" vip "]})).await;
        let both = world.patch(&path, json!({"add_tags": ["late"], "remove_tags": ["even"]})).await;
        assert_eq!(both.json["tags"], json!(["late", "old", "vip"]));
        let clash = json!({"add_tags": ["a"], "remove_tags": ["a", "b"]});
        let clash = world.patch(&path, clash).await;
        assert_eq!(clash.fields(), ["remove_tags"]);
        let all: Vec<String> = (0..50).map(|n| n.to_string()).collect();
        world.patch(&path, json!({"tags": all})).await;
        let more = world.patch(&path, json!({"add_tags": ["one more"]})).await;
        assert_eq!((more.status.as_u16(), more.code()), (422, "too_many_tags"));
    }

    #[tokio::test]
    async fn switching_a_client_off_cancels_its_call_and_on_brings_it_back() {
        let (world, campaign, path) = world_with_client().await;
        world.post(&format!("/api/campaigns/{campaign}/start"), json!({})).await;
        let off = world.patch(&path, json!({"active": false})).await.json;
        assert_eq!((&off["active"], &off["status"]), (&json!(false), &json!("inactive")));
        assert_eq!(off["next_call"], Value::Null);
        let history = world.get("/api/calls/history").await.json;
        assert_eq!(history["items"][0]["outcome"], "canceled");
        assert_eq!(history["items"][0]["end_reason"], "inactive");
        let on = world.patch(&path, json!({"active": true})).await.json;
        assert_eq!(on["status"], "pending");
        assert_eq!(on["next_call"]["due_at"], "2026-11-23T15:00:00Z");
    }

    #[tokio::test]
    async fn a_zone_is_a_persons_word_and_can_be_taken_back() {
        let (world, _, path) = world_with_client().await;
        let told = world.patch(&path, json!({"time_zone": "America/Denver"})).await.json;
        assert_eq!(told["zones"][0], json!({"zone": "America/Denver", "source": "person"}));
        let back = world.patch(&path, json!({"time_zone": null})).await.json;
        assert_ne!(back["zones"][0]["source"], "person");
    }

    #[tokio::test]
    async fn consent_is_recorded_whole_and_withdrawn() {
        let (world, _, path) = world_with_client().await;
        let consent = json!({
            "basis": "signed", "source": "web form", "at": "2026-11-01T09:00:00Z", "evidence": "form 7"
        });
        let given = world.patch(&path, json!({"consent": consent})).await;
        assert_eq!(given.json["consent"], consent);
        let withdrawn = world.patch(&path, json!({"consent": null})).await;
        assert_eq!(withdrawn.json["consent"], Value::Null);
    }

    #[tokio::test]
    async fn every_bad_field_is_named_at_once_and_nothing_changes() {
        let (world, _, path) = world_with_client().await;
        let before = world.get(&path).await.json;
        let bad = json!({
            "notes": "a\u{7}b", "tags": ["ok", "x\u{202e}y", " "], "active": "yes",
            "time_zone": "Mars/Olympus", "consent": {"basis": "", "at": "soon", "by": "me"},
            "name": "Eve",
        });
        let answer = world.patch(&path, bad).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(
            answer.fields(),
            [
                "time_zone",
                "notes",
                "tags.1",
                "tags.2",
                "active",
                "consent.basis",
                "consent.source",
                "consent.at",
                "consent.by",
                "name"
            ]
        );
        assert_eq!(world.patch(&path, json!({})).await.status, StatusCode::BAD_REQUEST);
        let many: Vec<String> = (0..51).map(|n| n.to_string()).collect();
        let long = "x".repeat(10_001);
        let rules = world.patch(&path, json!({"tags": many, "notes": long})).await;
        assert_eq!(
            (rules.status, rules.fields()),
            (StatusCode::UNPROCESSABLE_ENTITY, vec!["notes", "tags"])
        );
        assert_eq!(world.get(&path).await.json, before);
        let nowhere = "/api/clients/0199aaaa-0000-7000-8000-000000000000";
        let gone = world.patch(nowhere, json!({"active": true})).await;
        assert_eq!(gone.status, StatusCode::NOT_FOUND);
    }
}
