//! `DELETE /api/clients/{id}/personal-data`: erases the person behind a client everywhere.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::id::ClientId;
use callcore::port::{ActError, By, Erased};

use crate::api::dnc::MAX_REASON_CHARS;
use crate::auth::Admin;
use crate::dto::{self, ErasedDto};
use crate::problem::Problem;
use crate::query::Query;
use crate::request::Id;
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Admin(principal): Admin,
    Id(id): Id<ClientId>,
    mut query: Query,
) -> Result<Response, Problem> {
    let reason = query.text("reason").unwrap_or_default();
    if reason.chars().count() > MAX_REASON_CHARS {
        query.refuse("reason", format!("at most {MAX_REASON_CHARS} characters"));
    }
    query.finish()?;
    let by = By::new(&principal.actor, state.now());
    let erased = everywhere(&state, by, id, reason.trim()).await?;
    Ok(dto::json(StatusCode::OK, &ErasedDto::from(&erased)))
}

/// Erases a person, also from lists that wait to be imported: whichever of them the person may be in.
pub(crate) async fn everywhere(
    state: &ApiState,
    by: By<'_>,
    id: ClientId,
    reason: &str,
) -> Result<Erased, ActError> {
    let erased = state.desk().erase(by, id, reason).await?;
    #[cfg(feature = "pages")]
    state.waiting_lists().forget_all();
    state.wake();
    Ok(erased)
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use callcore::actor::Role;
    use serde_json::json;

    use crate::testing::World;

    #[tokio::test]
    async fn a_person_is_gone_everywhere_and_its_call_is_hung_up() {
        let world = World::new();
        let id = world.loaded(2).await;
        world.post(&format!("/api/campaigns/{id}/start"), json!({})).await;
        world.dial_all().await;
        let list = format!("/api/campaigns/{id}/clients");
        let before = world.get(&list).await.json;
        let (client, phone) = (&before["items"][0]["id"], &before["items"][0]["phone"]);
        let path = format!("/api/clients/{}/personal-data", client.as_str().unwrap());
        let answer = world.delete(&format!("{path}?reason=asked%20for")).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!((&answer.json["clients"], &answer.json["calls"]), (&json!(1), &json!(1)));
        assert_eq!(world.hung_up(), [answer.json["in_flight"][0].as_str().unwrap()]);
        assert!(world.audited("client.erase").await);
        let after = world.get(&format!("/api/clients/{}", client.as_str().unwrap())).await;
        assert_eq!((&after.json["phone"], &after.json["name"]), (&json!(null), &json!("")));
        assert!(after.json["erased_at"].is_string());
        assert!(!world.get(&list).await.json.to_string().contains(phone.as_str().unwrap()));
        let again = world.delete(&path).await;
        assert_eq!((again.status, &again.json["calls"]), (StatusCode::OK, &json!(0)));
        let listed = world.post(&path.replace("personal-data", "dnc"), json!({})).await;
        assert_eq!((listed.status, listed.code()), (StatusCode::CONFLICT, "erased"));
    }

    #[tokio::test]
    async fn only_an_admin_erases_and_only_who_is_there() {
        let world = World::new();
        let nowhere = "/api/clients/0199aaaa-0000-7000-8000-000000000000/personal-data";
        let answer = world.request("DELETE", nowhere).role(Role::Operator).send().await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert_eq!(world.delete(nowhere).await.status, StatusCode::NOT_FOUND);
        let long = format!("{nowhere}?reason={}&why=x", "x".repeat(1_001));
        assert_eq!(world.delete(&long).await.fields(), ["reason", "why"]);
    }
}
