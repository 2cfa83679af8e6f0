//! `GET /api/dashboard`: what goes on now.
//!
//! It costs the same at ten thousand and at ten million calls: counters, and of each list as many
//! rows as are shown.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::analytics::Totals;
use callcore::campaign::RunState;
use callcore::id::{CallId, CampaignId};
use callcore::port::{
    AccountView, Attention, CallQuery, CallView, CampaignView, Notice, NoticeKind, Rejects,
    StoreError,
};
use chrono::TimeDelta;
use serde_json::{Value, json};

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
/// How many of each kind of thing that needs attention are shown, and one more to tell that there are.
const LISTED: u32 = 10;
/// For how long an import's refused rows are pointed at.
const REJECTS_FOR: TimeDelta = TimeDelta::days(7);
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
    /// What somebody should look at.
    pub(crate) attention: Attention,
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
            attention: store.attention(now - REJECTS_FOR, LISTED).await?,
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
        "attention": dashboard.needs().iter().map(Need::json).collect::<Vec<_>>(),
        "simulated": state.carrier().is_simulated(),
    });
    Ok(dto::json(StatusCode::OK, &body))
}

/// Something that somebody should look at.
#[derive(Debug)]
pub(crate) enum Need<'a> {
    /// The switch that stops all dialling is thrown.
    AllStopped,
    /// A campaign whose dials fail paused itself, for a reason.
    PausedItself(&'a CampaignView, &'a str),
    /// Calls nobody knows the fate of.
    UnknownCalls(&'a [CallId]),
    /// So many clients of a campaign need follow-up.
    ClientsToFollowUp(CampaignId, u64),
    /// Calls that somebody marked for follow-up.
    CallsToFollowUp(&'a [CallId]),
    /// An import refused rows.
    Rejects(&'a Rejects),
    /// Something was heard of.
    Heard(&'a Notice),
}

impl Dashboard {
    /// What somebody should look at: what is open first, then what was heard of.
    pub(crate) fn needs(&self) -> Vec<Need<'_>> {
        let open = &self.attention;
        let mut needs = Vec::new();
        if self.account.stopped.is_some() {
            needs.push(Need::AllStopped);
        }
        for view in &self.campaigns {
            let reason = view.campaign.pause.as_ref().and_then(|pause| pause.reason.as_ref());
            needs.extend(reason.map(|reason| Need::PausedItself(view, reason)));
        }
        if !open.unknown_calls.is_empty() {
            needs.push(Need::UnknownCalls(&open.unknown_calls));
        }
        let clients = open.clients_to_follow_up.iter();
        needs.extend(clients.map(|(campaign, count)| Need::ClientsToFollowUp(*campaign, *count)));
        if !open.calls_to_follow_up.is_empty() {
            needs.push(Need::CallsToFollowUp(&open.calls_to_follow_up));
        }
        needs.extend(open.rejects.iter().map(Need::Rejects));
        needs.extend(self.notices.iter().map(Need::Heard));
        needs
    }
}

impl Need<'_> {
    /// Where to go.
    pub(crate) fn link(&self) -> String {
        match self {
            Self::AllStopped => "/settings".to_owned(),
            Self::PausedItself(view, _) => format!("/campaigns/{}", view.campaign.id),
            Self::UnknownCalls(calls) => {
                calls.first().map(|first| format!("/calls/{first}")).unwrap_or_default()
            }
            Self::ClientsToFollowUp(campaign, _) => {
                format!("/campaigns/{campaign}?status=needs_follow_up#clients")
            }
            Self::CallsToFollowUp(_) => "/calls/history?review=needs_follow_up".to_owned(),
            Self::Rejects(rejects) => {
                format!("/campaigns/{}/imports/{}", rejects.campaign, rejects.import)
            }
            Self::Heard(notice) => match notice.kind {
                NoticeKind::CampaignFinished(id) | NoticeKind::BreakerTripped(id) => {
                    format!("/campaigns/{id}")
                }
                NoticeKind::InboundCall(id)
                | NoticeKind::MessageLeft(id)
                | NoticeKind::CallGivenUp(id) => {
                    format!("/calls/{id}")
                }
                NoticeKind::SpendReached(_) => "/calls/upcoming".to_owned(),
                NoticeKind::MailFailing(_) | NoticeKind::MailRunsShort(_) => "/settings".to_owned(),
            },
        }
    }

    /// It has a kind, an object or a count, and where to go; there may be more kinds than a reader
    /// knows.
    fn json(&self) -> Value {
        let mut json = match self {
            Self::AllStopped => json!({"kind": "all_dialling_stopped"}),
            Self::PausedItself(view, reason) => json!({
                "kind": "campaign_paused_itself",
                "campaign_id": view.campaign.id,
                "reason": reason,
            }),
            Self::UnknownCalls(calls) => {
                json!({"kind": "unknown_calls", "count": calls.len(), "call_ids": calls})
            }
            Self::ClientsToFollowUp(campaign, count) => json!({
                "kind": "clients_need_follow_up",
                "count": count,
                "campaign_id": campaign,
            }),
            Self::CallsToFollowUp(calls) => {
                json!({"kind": "calls_need_follow_up", "count": calls.len(), "call_ids": calls})
            }
            Self::Rejects(rejects) => json!({
                "kind": "import_has_rejects",
                "count": rejects.rows,
                "import_id": rejects.import,
                "campaign_id": rejects.campaign,
            }),
            Self::Heard(notice) => dto::notice(notice),
        };
        json["link"] = self.link().into();
        json
    }
}

#[cfg(test)]
mod tests {
    use callcore::actor::Actor;
    use callcore::call::{EventKind, Report};
    use callcore::engine::{Command, decide};
    use callcore::port::{By, ClaimRequest};
    use chrono::TimeDelta;
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
        assert_eq!(after.json["attention"][0]["link"], format!("/campaigns/{id}"));
    }

    #[tokio::test]
    async fn what_nobody_has_seen_to_is_named_with_where_to_go() {
        let world = World::new();
        let id = world.loaded(2).await;
        world.upload(&id, b"Name,Phone\nNobody,\nSomebody,12\n").await;
        world.post(&format!("/api/campaigns/{id}/start"), json!({})).await;
        let (store, now) = (world.state.store(), world.state.now());
        let by = By::new(&Actor::System, now);
        // Begun, and never placed.
        let lease_for = TimeDelta::minutes(1);
        let claim = ClaimRequest { now, wall: now, lease_for, limit: 1 };
        for facts in store.claim_due(claim).await.unwrap() {
            let Command::Dial(permit) = decide(facts, now) else { panic!() };
            store.begin(by, now, &[*permit]).await.unwrap();
        }
        let hear = async |kind: EventKind| {
            let live = store.live(10).await.unwrap();
            let reports = live.iter().map(|open| Report::ours(open.call, now, kind.clone()));
            store.record(by, &reports.collect::<Vec<_>>()).await.unwrap();
        };
        let item = async |kind: &str| {
            let dashboard = world.get("/api/dashboard").await.json;
            let items = dashboard["attention"].as_array().unwrap().clone();
            items.into_iter().find(|item| item["kind"] == kind).unwrap_or_default()
        };
        let rejects = item("import_has_rejects").await;
        assert_eq!((&rejects["count"], &rejects["campaign_id"]), (&json!(2), &json!(id)));
        assert!(
            rejects["link"].as_str().unwrap().starts_with(&format!("/campaigns/{id}/imports/"))
        );
        hear(EventKind::Unclear).await;
        let unknown = item("unknown_calls").await;
        assert_eq!(unknown["count"], 1);
        assert_eq!(unknown["link"], format!("/calls/{}", unknown["call_ids"][0].as_str().unwrap()));
        hear(EventKind::GivenUp).await;
        let follow_up = item("clients_need_follow_up").await;
        assert_eq!((&follow_up["count"], &follow_up["campaign_id"]), (&json!(1), &json!(id)));
        assert!(item("unknown_calls").await.is_null());
    }
}
