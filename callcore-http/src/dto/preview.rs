use std::collections::BTreeMap;

use callcore::client::ClientStatus;
use callcore::engine::Heard;
use callcore::port::CampaignView;
use callcore::preview::{Outlook, SECONDS_A_CALL};
use callcore::script::Rendered;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use super::instant;

/// What would happen if the campaign started now.
#[derive(Debug, Serialize)]
pub(crate) struct PreviewDto {
    campaign_id: String,
    state: &'static str,
    as_of: String,
    clients: u64,
    would_call: u64,
    would_skip: u64,
    skipped_by_reason: BTreeMap<&'static str, u64>,
    in_progress: u64,
    done_by_status: BTreeMap<&'static str, u64>,
    first_due_at: Option<String>,
    last_due_at: Option<String>,
    estimate: EstimateDto,
    zones: Vec<ZonesDto>,
    missing_fields: Vec<MissingDto>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<HeardByDto>,
}

/// On what the last due time rests.
#[derive(Debug, Serialize)]
struct EstimateDto {
    calls_per_second: f64,
    seconds_a_call: u32,
}

#[derive(Debug, Serialize)]
struct ZonesDto {
    zones: Vec<String>,
    clients: u64,
    first_due_at: String,
}

#[derive(Debug, Serialize)]
struct MissingDto {
    field: String,
    clients: u64,
    has_default: bool,
}

/// The script as one client would hear it, and what the rules say of the client now.
#[derive(Debug, Serialize)]
pub(crate) struct HeardByDto {
    pub(crate) client_id: String,
    pub(crate) would_call: bool,
    pub(crate) reason: Option<&'static str>,
    pub(crate) due_at: Option<String>,
    pub(crate) steps: Vec<Value>,
    pub(crate) voicemail_message: Option<Value>,
    pub(crate) decision: Vec<Heard>,
}

/// A step as the settings write it, filled in.
pub(crate) fn rendered(step: &Rendered) -> Value {
    match step {
        Rendered::Say { text, language } => json!({"say": text, "language": language}),
        Rendered::Play(audio) => json!({"play": audio}),
        Rendered::Connect { url, params } => json!({"connect": {"url": url, "params": params}}),
        Rendered::Transfer(number) => json!({"transfer": number}),
        Rendered::Record(record) => json!({"record": record}),
    }
}

/// A voicemail's message as the settings write it, filled in.
pub(crate) fn message(message: &Rendered) -> Value {
    match message {
        Rendered::Say { text, .. } => json!(text),
        other => rendered(other),
    }
}

/// The statuses of clients that are left alone, whatever the rules say now, and the reason's word.
/// The other final ones have had their calls.
fn left_alone(status: ClientStatus) -> bool {
    use ClientStatus as S;
    matches!(status, S::OnDnc | S::OptedOut | S::Inactive | S::NoConsent | S::Skipped)
}

impl PreviewDto {
    pub(crate) fn new(
        view: &CampaignView,
        now: DateTime<Utc>,
        outlook: Outlook,
        client: Option<HeardByDto>,
    ) -> Self {
        let mut skipped: BTreeMap<&'static str, u64> =
            outlook.left_out.iter().map(|(reason, count)| (reason.as_str(), *count)).collect();
        let (mut done, mut in_progress) = (BTreeMap::new(), 0);
        for (status, count) in &view.progress.clients {
            match status {
                ClientStatus::InProgress => in_progress = *count,
                status if left_alone(*status) => {
                    *skipped.entry(status.as_str()).or_default() += count;
                }
                status if status.is_final() => {
                    done.insert(status.as_str(), *count);
                }
                _ => {}
            }
        }
        let zones = outlook.zones.into_iter().map(|(zones, there)| ZonesDto {
            zones,
            clients: there.clients,
            first_due_at: instant(there.first_due_at),
        });
        let mut zones: Vec<ZonesDto> = zones.collect();
        zones.sort_by_key(|there| std::cmp::Reverse(there.clients));
        let missing = outlook.missing.into_iter().map(|(field, missing)| MissingDto {
            field,
            clients: missing.clients,
            has_default: missing.has_default,
        });
        Self {
            campaign_id: view.campaign.id.to_string(),
            state: view.campaign.state.as_str(),
            as_of: instant(now),
            clients: view.progress.client_count(),
            would_call: outlook.called,
            would_skip: skipped.values().sum(),
            skipped_by_reason: skipped,
            in_progress,
            done_by_status: done,
            first_due_at: outlook.first_due_at.map(instant),
            last_due_at: outlook.last_due_at.map(instant),
            estimate: EstimateDto {
                calls_per_second: outlook.calls_per_second,
                seconds_a_call: SECONDS_A_CALL,
            },
            zones,
            missing_fields: missing.collect(),
            client,
        }
    }
}
