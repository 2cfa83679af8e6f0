//! `GET /api/clients/{id}/history`: every call of a client's number, inbound ones and those of other
//! campaigns included: what is under way or to come, and what ended, the latest first.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::client::Client;
use callcore::id::ClientId;
use callcore::port::{CallQuery, CallSort, CallView, Page, StoreError};

use super::existing;
use crate::auth::Viewer;
use crate::dto::{self, TimelineCall, TimelineDto};
use crate::problem::Problem;
use crate::query::Query;
use crate::request::Id;
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Viewer(_): Viewer,
    Id(id): Id<ClientId>,
    mut query: Query,
) -> Result<Response, Problem> {
    let (order, after) = query.call_order(&[CallSort::Date]);
    let limit = query.limit();
    query.finish()?;
    let client = existing(&state, id).await?.client;
    let wanted = CallQuery { order, after, limit, ..CallQuery::default() };
    let (open, page) = timeline(&state, &client, wanted).await?;
    let carrier = state.carrier().kind();
    let show = |view| TimelineCall::new(view, client.campaign, carrier);
    let timeline = TimelineDto {
        upcoming: open.iter().map(show).collect(),
        items: page.items.iter().map(show).collect(),
        next_cursor: page.next.map(|cursor| cursor.to_string()),
    };
    Ok(dto::json(StatusCode::OK, &timeline))
}

/// What is under way or to come for a client's number, and what ended, from where `wanted` goes on.
pub(crate) async fn timeline(
    state: &ApiState,
    client: &Client,
    wanted: CallQuery,
) -> Result<(Vec<CallView>, Page<CallView>), StoreError> {
    let wanted = CallQuery {
        phone: client.phone,
        // Whoever was erased has no number any more; what is left are the client's own calls.
        client: client.phone.is_none().then_some(client.id),
        ..wanted
    };
    let page = state.store().history(&wanted).await?;
    // What has not ended comes with the first page, whole: it is few.
    let open = match client.phone {
        Some(phone) if wanted.after.is_none() => state.store().open_calls(phone).await?,
        _ => Vec::new(),
    };
    Ok((open, page))
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use serde_json::json;

    use crate::testing::World;

    #[tokio::test]
    async fn a_timeline_has_the_calls_of_every_campaign_and_marks_them() {
        let world = World::new();
        let call = world.talked().await;
        let first = world.get(&format!("/api/calls/{call}")).await.json;
        let other = world.loaded(1).await;
        let client = world.client(&other).await;
        let path = format!("/api/clients/{client}/history");
        let answer = world.get(&path).await;
        assert_eq!(answer.status, StatusCode::OK);
        let (upcoming, items) = (&answer.json["upcoming"], &answer.json["items"]);
        assert_eq!(
            (upcoming[0]["client_id"].as_str(), items[0]["id"].as_str()),
            (Some(&*client), Some(&*call))
        );
        assert_eq!(
            (&upcoming[0]["other_campaign"], &items[0]["other_campaign"]),
            (&json!(false), &json!(true))
        );
        assert_eq!(items[0]["campaign_id"], first["campaign_id"]);
        assert!(items[0]["transcript"].is_null(), "what was said is read with the call itself");
        world.post(&format!("/api/calls/{call}/retry"), json!({})).await;
        world.answer_all().await;
        let page = world.get(&format!("{path}?limit=1")).await.json;
        let cursor = page["next_cursor"].as_str().unwrap();
        let rest = world.get(&format!("{path}?limit=1&cursor={cursor}")).await.json;
        assert_ne!(page["items"][0]["id"], rest["items"][0]["id"]);
        assert_eq!(rest["upcoming"], json!([]), "only with the first page");
    }

    #[tokio::test]
    async fn bad_keys_are_named_and_an_unknown_client_has_no_timeline() {
        let world = World::new();
        let campaign = world.loaded(1).await;
        let path = format!("/api/clients/{}/history", world.client(&campaign).await);
        let bad = world.get(&format!("{path}?sort=name&cursor=x&limit=0&q=a")).await;
        assert_eq!(bad.fields(), ["sort", "cursor", "limit", "q"]);
        let nowhere = "/api/clients/0199aaaa-0000-7000-8000-000000000000/history";
        assert_eq!(world.get(nowhere).await.status, StatusCode::NOT_FOUND);
    }
}
