//! `POST /api/imports/{id}/undo`: takes an import back.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::id::ImportId;
use callcore::port::{By, Effect};

use crate::act::{Act, Early};
use crate::auth::Operator;
use crate::request::{Change, Id, internal};
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Operator(principal): Operator,
    Id(id): Id<ImportId>,
    change: Change,
) -> Result<Response, Early> {
    let actor = principal.actor.clone();
    let act = match Act::begin(&state, principal, &change, StatusCode::OK).await {
        Ok(act) => act,
        Err(early) => {
            // What the first request was kept from removing goes before its answer is repeated.
            if matches!(early, Early::Replay(_)) {
                state.store().finish_undos(By::new(&actor, state.now())).await?;
            }
            return Err(early);
        }
    };
    let mut fields = change.fields()?;
    let partial = fields.optional("partial").unwrap_or(false);
    fields.finish()?;
    // A task of its own, so that a reader who goes away does not stop it half-way.
    let undoing = tokio::spawn(async move {
        let undone = state.store().undo_import(act.by(), id, partial).await;
        act.finish(undone.map(|undone| Effect::Undone(Box::new(undone)))).await
    });
    undoing.await.map_err(|error| internal(&error))?
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use serde_json::json;

    use crate::testing::World;

    #[tokio::test]
    async fn an_import_is_taken_back_with_its_clients() {
        let world = World::new();
        let id = world.draft().await;
        let report = world.upload(&id, b"Phone\n2125550100\n2125550101\nx\n").await.json;
        let path = format!("/api/imports/{}/undo", report["id"].as_str().unwrap());
        let send = || world.request("POST", &path).header("idempotency-key", "u").send();
        let undone = send().await;
        assert_eq!(undone.status, StatusCode::OK);
        assert_eq!(undone.json["status"], "undone");
        assert_eq!((&undone.json["removed"], &undone.json["kept"]), (&json!(2), &json!(0)));
        assert_eq!(undone.json["rejections"][0]["value"], "");
        assert_eq!(send().await.json, undone.json, "the same answer for the same request");
        let campaign = world.get(&format!("/api/campaigns/{id}")).await.json;
        assert_eq!((&campaign["clients"], &campaign["state"]), (&json!(0), &json!("draft")));
        assert!(world.audited("import.undo").await);
    }

    #[tokio::test]
    async fn who_was_called_stays_and_only_if_that_was_allowed() {
        let world = World::new();
        let id = world.loaded(1).await;
        let list = b"Phone\n2125550150\n2125550151\n";
        world.upload(&id, list).await;
        world.post(&format!("/api/campaigns/{id}/start"), json!({})).await;
        world.answer_all().await;
        let update = b"Phone,Name\n2125550150,Ada\n2125550152,Bob\n";
        let parts = [("file", &update[..]), ("on_duplicate", b"update")];
        let report = world.upload_parts(&id, &parts).await.json;
        let second = format!("/api/imports/{}/undo", report["id"].as_str().unwrap());
        let undone = world.post(&second, json!({})).await.json;
        assert_eq!((&undone["removed"], &undone["kept"]), (&json!(1), &json!(0)));
        assert!(undone["detail"].as_str().unwrap().contains("1 rows that updated"), "{undone}");
        let imports = world.get(&format!("/api/campaigns/{id}/imports")).await.json;
        let of_list = |item: &&serde_json::Value| item["accepted"] == 2;
        let first = imports["items"].as_array().unwrap().iter().find(of_list).unwrap();
        let path = format!("/api/imports/{}/undo", first["id"].as_str().unwrap());
        let refused = world.post(&path, json!({})).await;
        assert_eq!((refused.status, refused.code()), (StatusCode::CONFLICT, "clients_called"));
        assert_eq!((&refused.json["called"], &refused.json["uncalled"]), (&json!(2), &json!(0)));
        let kept = world.post(&path, json!({"partial": true})).await.json;
        assert_eq!((&kept["removed"], &kept["kept"]), (&json!(0), &json!(2)));
        let state = &world.get(&format!("/api/campaigns/{id}")).await.json["state"];
        assert_eq!(state, "finished", "all who are left were reached");
    }

    #[tokio::test]
    async fn bad_bodies_and_unknown_imports_are_refused() {
        let world = World::new();
        let nowhere = "/api/imports/0199aaaa-0000-7000-8000-000000000000/undo";
        assert_eq!(world.post(nowhere, json!({})).await.status, StatusCode::NOT_FOUND);
        let bad = world.post(nowhere, json!({"partial": "yes", "all": true})).await;
        assert_eq!((bad.status, bad.fields()), (StatusCode::BAD_REQUEST, vec!["partial", "all"]));
        let wrong = world.request("POST", nowhere).header("content-type", "text/csv");
        let wrong = wrong.body(b"x".to_vec()).send().await;
        assert_eq!(wrong.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
}
