//! `GET /api/calls/history`: calls that ended, skips included.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::call::{Direction, Outcome, Review};
use callcore::port::{CallQuery, CallSort};
use callcore::time::Zone;

use crate::auth::Viewer;
use crate::dto::{self, CallDto, ListDto};
use crate::problem::Problem;
use crate::query::{Instants, Query};
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Viewer(_): Viewer,
    mut query: Query,
) -> Result<Response, Problem> {
    let wanted = wanted(&mut query, state.zone());
    query.finish()?;
    let page = state.store().history(&wanted).await?;
    let carrier = state.carrier().kind();
    let list = ListDto::of(&page, |view| CallDto::brief(view, carrier));
    Ok(dto::json(StatusCode::OK, &list))
}

/// What a history's query asks for; bad keys are named when the query is finished. Dates are of
/// `zone`, if the query names no other.
pub(crate) fn wanted(query: &mut Query, zone: &Zone) -> CallQuery {
    let zone = query.zone(zone);
    let Instants { from, to } = query.instants(&zone);
    let sorts = [CallSort::Date, CallSort::Name, CallSort::Duration];
    let (order, after) = query.call_order(&sorts);
    CallQuery {
        q: query.q(),
        campaigns: query.many("campaign", |text| text.parse().ok()),
        outcomes: query.many("outcome", Outcome::parse),
        reviews: query.many("review", Review::parse),
        directions: query.many("direction", Direction::parse),
        from,
        to,
        tags: query.texts("tag"),
        order,
        after,
        limit: query.limit(),
        ..CallQuery::default()
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use crate::testing::World;

    #[tokio::test]
    async fn ended_calls_are_found_by_what_they_are() {
        let world = World::new();
        world.talked().await;
        let count = async |query: &str| {
            let answer = world.get(&format!("/api/calls/history?{query}")).await;
            assert_eq!(answer.status, StatusCode::OK, "{query}: {}", answer.text());
            answer.json["items"].as_array().unwrap().len()
        };
        assert_eq!(count("").await, 1);
        assert_eq!(count("outcome=answered&outcome=busy").await, 1);
        assert_eq!(count("outcome=busy").await, 0);
        assert_eq!(count("direction=inbound").await, 0);
        assert_eq!(count("q=Client&review=unreviewed&sort=date").await, 1);
        assert_eq!(count("from=2026-11-23&to=2026-11-23").await, 1);
        assert_eq!(count("to=2026-11-22").await, 0);
    }

    #[tokio::test]
    async fn lists_show_no_transcript_and_name_every_bad_key() {
        let world = World::new();
        world.talked().await;
        let answer = world.get("/api/calls/history").await;
        assert!(answer.json["items"][0]["transcript"].is_null());
        let path = "/api/calls/history?sort=phone&outcome=great&campaign=x&from=soon&page=2";
        let bad = world.get(path).await;
        assert_eq!(bad.status, StatusCode::BAD_REQUEST);
        let nul = world.get("/api/calls/history?q=a%00b").await;
        assert_eq!((nul.status, nul.fields()), (StatusCode::BAD_REQUEST, vec!["q"]));
        assert_eq!(bad.fields(), ["from", "sort", "campaign", "outcome", "page"]);
    }
}
