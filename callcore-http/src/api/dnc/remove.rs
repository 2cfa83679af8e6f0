//! `DELETE /api/dnc/{phone}`: takes a number off the list of one scope.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use callcore::dnc::DncScope;
use callcore::id::CampaignId;
use callcore::port::By;

use super::{MAX_REASON_CHARS, number};
use crate::auth::Admin;
use crate::problem::Problem;
use crate::query::Query;
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Admin(principal): Admin,
    path: Result<Path<String>, axum::extract::rejection::PathRejection>,
    mut query: Query,
) -> Result<StatusCode, Problem> {
    let phone = path.ok().and_then(|Path(text)| number(&text)).ok_or_else(Problem::not_found)?;
    let campaign: Option<CampaignId> = query.one("campaign_id", |text| text.parse().ok());
    let scope = query.text("scope");
    let reason = query.text("reason").unwrap_or_default();
    if reason.chars().count() > MAX_REASON_CHARS {
        query.refuse("reason", format!("at most {MAX_REASON_CHARS} characters"));
    }
    let scope = match (scope.as_deref().unwrap_or("global"), campaign) {
        ("global", None) => DncScope::Global,
        ("campaign", Some(id)) => DncScope::Campaign(id),
        ("global" | "campaign", _) => {
            query.refuse("campaign_id", "goes with the scope campaign, and only with it");
            DncScope::Global
        }
        _ => {
            query.refuse("scope", "must be global or campaign");
            DncScope::Global
        }
    };
    query.finish()?;
    let by = By::new(&principal.actor, state.now());
    state.store().remove_dnc(by, phone, scope, &reason).await?;
    state.wake();
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use callcore::actor::Role;
    use serde_json::json;

    use crate::testing::World;

    #[tokio::test]
    async fn an_entry_is_taken_off_its_own_scope_only() {
        let world = World::new();
        let id = world.draft().await;
        world.post("/api/dnc", json!({"phone": "+12125550101"})).await;
        let scoped = format!("/api/dnc/12125550101?scope=campaign&campaign_id={id}");
        assert_eq!(world.delete(&scoped).await.status, StatusCode::NOT_FOUND);
        let gone = world.delete("/api/dnc/%2B12125550101?reason=by%20mistake").await;
        assert_eq!(gone.status, StatusCode::NO_CONTENT);
        assert_eq!(world.delete("/api/dnc/12125550101").await.status, StatusCode::NOT_FOUND);
        assert!(world.audited("dnc.remove").await);
    }

    #[tokio::test]
    async fn only_an_admin_takes_numbers_off() {
        let world = World::new();
        let answer = world.request("DELETE", "/api/dnc/12125550101").role(Role::Operator);
        assert_eq!(answer.send().await.status, StatusCode::FORBIDDEN);
        let answer = world.delete("/api/dnc/12125550101?scope=campaign").await;
        assert_eq!(answer.fields(), ["campaign_id"]);
        assert_eq!(world.delete("/api/dnc/nobody").await.status, StatusCode::NOT_FOUND);
    }
}
