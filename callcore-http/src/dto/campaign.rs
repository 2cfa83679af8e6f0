use std::collections::BTreeMap;

use callcore::port::CampaignView;
use serde::Serialize;
use serde_json::Value;

use super::{NumbersDto, instant};

/// A campaign and how far it is.
#[derive(Debug, Serialize)]
pub(crate) struct CampaignDto {
    id: String,
    name: String,
    state: &'static str,
    settings_version: u32,
    settings: Value,
    created_at: String,
    created_by: String,
    started_at: Option<String>,
    ended_at: Option<String>,
    paused_at: Option<String>,
    paused_by: Option<String>,
    /// Why the campaign paused itself.
    pause_reason: Option<String>,
    clients: u64,
    clients_by_status: BTreeMap<&'static str, u64>,
    progress_percent: f64,
    calls_in_progress: u64,
    #[serde(flatten)]
    numbers: NumbersDto,
}

impl From<&CampaignView> for CampaignDto {
    fn from(view: &CampaignView) -> Self {
        let (campaign, progress) = (&view.campaign, &view.progress);
        let by_status = progress.clients.iter();
        Self {
            id: campaign.id.to_string(),
            name: campaign.settings.name.clone(),
            state: campaign.state.as_str(),
            settings_version: campaign.settings_version,
            settings: campaign.settings.to_json(),
            created_at: instant(campaign.created_at),
            created_by: campaign.created_by.to_string(),
            started_at: campaign.started_at.map(instant),
            ended_at: campaign.ended_at.map(instant),
            paused_at: campaign.pause.as_ref().map(|pause| instant(pause.at)),
            paused_by: campaign.pause.as_ref().map(|pause| pause.by.to_string()),
            pause_reason: campaign.pause.as_ref().and_then(|pause| pause.reason.clone()),
            clients: progress.client_count(),
            clients_by_status: by_status.map(|(status, n)| (status.as_str(), *n)).collect(),
            progress_percent: progress.percent(),
            calls_in_progress: progress.live,
            numbers: (&progress.totals).into(),
        }
    }
}
