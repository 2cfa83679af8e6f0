//! `GET /api/dashboard`: what goes on now.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::analytics::Totals;
use callcore::campaign::RunState;
use callcore::port::{AccountView, CallQuery, CallView, CampaignView, Notice, StoreError};
use chrono::TimeDelta;
use serde_json::json;

use super::settings;
use crate::auth::Viewer;
use crate::dto::{self, CallDto, CampaignDto, NumbersDto};
use crate::problem::Problem;
use crate::query::Query;
use crate::state::ApiState;

/// How many campaigns are shown.
const CAMPAIGNS: u32 = 50;
/// How many calls, and how many notices, are shown of each kind.
const SHOWN: u32 = 10;
/// How far ahead due calls are shown.
const AHEAD: TimeDelta = TimeDelta::hours(1);

/// What goes on now; the page and the JSON show the same.
#[derive(Debug)]
pub(crate) struct Dashboard {
    /// The account: whether all dialling is stopped, and what the day has cost.
    pub(crate) account: AccountView,
    /// Running and paused campaigns, newest first.
    pub(crate) campaigns: Vec<CampaignView>,
    /// Outbound calls that ended today, in the server's zone.
    pub(crate) today: Totals,
    /// The calls that ended last.
    pub(crate) recent: Vec<CallView>,
    /// The calls that are due first, within the hour.
    pub(crate) due: Vec<CallView>,
    /// Whether more are due within the hour.
    pub(crate) more_due: bool,
    /// What people should hear about, newest first.
    pub(crate) notices: Vec<Notice>,
}

impl Dashboard {
    /// Reads it.
    pub(crate) async fn read(state: &ApiState) -> Result<Self, StoreError> {
        let (store, now) = (state.store(), state.now());
        let midnight = state.zone().start_of(state.zone().date(now));
        let active = [RunState::Running, RunState::Paused];
        let recent = CallQuery { limit: SHOWN, ..CallQuery::default() };
        let due = CallQuery { to: Some(now + AHEAD), limit: SHOWN, ..CallQuery::default() };
        let due = store.upcoming(&due).await?;
        Ok(Self {
            account: store.account().await?,
            campaigns: store.campaigns(&active, None, CAMPAIGNS).await?.items,
            today: Totals::of(&store.tallies(None, Some(midnight), None).await?),
            recent: store.history(&recent).await?.items,
            more_due: due.next.is_some(),
            due: due.items,
            notices: store.notices(SHOWN).await?,
        })
    }
}

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Viewer(_): Viewer,
    query: Query,
) -> Result<Response, Problem> {
    query.finish()?;
    let dashboard = Dashboard::read(&state).await?;
    let carrier = state.carrier().kind();
    let calls = |calls: &[CallView]| -> Vec<CallDto> {
        calls.iter().map(|view| CallDto::brief(view, carrier)).collect()
    };
    let campaigns: Vec<CampaignDto> = dashboard.campaigns.iter().map(CampaignDto::from).collect();
    let account = settings::shown(&state, &dashboard.account).await?;
    let body = json!({
        "account": account,
        "active_campaigns": campaigns,
        "today": NumbersDto::from(&dashboard.today),
        "time_zone": state.zone().name(),
        "recent_calls": calls(&dashboard.recent),
        "due_within_hour": {"calls": calls(&dashboard.due), "more": dashboard.more_due},
        "attention": dashboard.notices.iter().map(dto::notice).collect::<Vec<_>>(),
        "simulated": state.carrier().is_simulated(),
    });
    Ok(dto::json(StatusCode::OK, &body))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::World;

    #[tokio::test]
    async fn dashboard_analytics_and_export_agree() {
        let world = World::new();
        let id = world.loaded(2).await;
        world.post(&format!("/api/campaigns/{id}/start"), json!({})).await;
        let before = world.get("/api/dashboard").await;
        assert_eq!(before.json["active_campaigns"][0]["id"], id);
        assert_eq!(before.json["due_within_hour"]["calls"].as_array().unwrap().len(), 2);
        world.answer_all().await;
        let after = world.get("/api/dashboard").await;
        let analytics = world.get(&format!("/api/campaigns/{id}/analytics")).await;
        for number in ["attempted", "answered", "success_rate", "average_duration_seconds"] {
            assert_eq!(after.json["today"][number], analytics.json[number], "{number}");
        }
        let export = world.get(&format!("/api/campaigns/{id}/export")).await.text();
        let answered = export.lines().filter(|line| line.contains(",reached,answered,")).count();
        assert_eq!(after.json["today"]["answered"], answered);
        assert_eq!(after.json["recent_calls"].as_array().unwrap().len(), 2);
        assert_eq!(after.json["active_campaigns"], json!([]), "it finished");
        assert_eq!(after.json["attention"][0]["kind"], "campaign_finished");
        assert_eq!(after.json["attention"][0]["campaign_id"], id);
    }
}
