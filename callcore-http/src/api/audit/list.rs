//! `GET /api/audit`: who did what, newest first. Rows hold old and new values, numbers and notes among
//! them, so only admins read them.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::port::AuditQuery;

use super::filters;
use crate::auth::Admin;
use crate::dto::{self, AuditDto, ListDto};
use crate::problem::Problem;
use crate::query::Query;
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Admin(_): Admin,
    mut query: Query,
) -> Result<Response, Problem> {
    let filters = filters(&mut query, &state);
    let (limit, after) = (query.limit(), query.cursor());
    query.finish()?;
    let page = state.store().audit(&AuditQuery { limit, after, ..filters }).await?;
    Ok(dto::json(StatusCode::OK, &ListDto::of(&page, |row| AuditDto::from(row))))
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use callcore::actor::Role;
    use serde_json::json;

    use crate::testing::World;

    #[tokio::test]
    async fn what_was_done_is_found_by_who_what_and_when() {
        let world = World::new();
        let id = world.draft().await;
        world.clock.advance(chrono::TimeDelta::days(1));
        let entry = json!({"phone": "+12125550100", "reason": "asked"});
        let request = world.request("POST", "/api/dnc").role(Role::Operator);
        request.json(entry).send().await;
        let rows = async |query: &str| {
            let answer = world.get(&format!("/api/audit?{query}")).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
            answer.json["items"].as_array().unwrap().clone()
        };
        let all = rows("").await;
        assert_eq!(all.len(), 2);
        assert_eq!(
            (&all[0]["action"], &all[0]["actor"]),
            (&json!("dnc.add"), &json!("token:operator"))
        );
        assert_eq!(all[0]["new"]["reason"], "asked");
        for (query, expected) in [
            ("actor=token:operator", &all[..1]),
            ("actor=token:operator&actor=token:admin", &all),
            ("action=campaign.create", &all[1..]),
            (&*format!("object={id}"), &all[1..]),
            ("actor=user:ana", &[]),
            ("to=2026-11-23", &all[1..]),
            ("from=2026-11-24", &all[..1]),
        ] {
            assert_eq!(rows(query).await, expected, "{query}");
        }
        let first = world.get("/api/audit?limit=1").await;
        let cursor = first.json["next_cursor"].as_str().unwrap();
        assert_eq!(rows(&format!("cursor={cursor}")).await, &all[1..]);
    }

    #[tokio::test]
    async fn bad_filters_are_named_at_once() {
        let world = World::new();
        let bad = world.get("/api/audit?actor=ana&from=x&limit=0&who=me").await;
        assert_eq!(bad.status, StatusCode::BAD_REQUEST);
        assert_eq!(bad.fields(), ["from", "actor", "limit", "who"]);
        let many = "object=x&".repeat(21);
        assert_eq!(world.get(&format!("/api/audit?{many}")).await.fields(), ["object"]);
    }
}
