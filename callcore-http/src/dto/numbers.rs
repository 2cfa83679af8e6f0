use std::collections::BTreeMap;

use callcore::analytics::{Bucket, Totals};
use callcore::call::Outcome;
use callcore::id::CampaignId;
use callcore::port::CampaignProgress;
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::instant;

/// The numbers of ended outbound calls, wherever they are shown.
#[derive(Debug, Serialize)]
pub(crate) struct NumbersDto {
    attempted: u64,
    answered: u64,
    success_rate: Option<f64>,
    average_duration_seconds: Option<f64>,
    outcomes: BTreeMap<&'static str, u64>,
}

impl From<&Totals> for NumbersDto {
    fn from(totals: &Totals) -> Self {
        let count = |outcome: &Outcome| totals.outcomes.get(outcome).copied().unwrap_or_default();
        Self {
            attempted: totals.attempted(),
            answered: totals.answered(),
            success_rate: totals.success_rate(),
            average_duration_seconds: totals.average_duration_seconds(),
            outcomes: Outcome::ALL.iter().map(|it| (it.as_str(), count(it))).collect(),
        }
    }
}

/// A campaign's numbers, in all and over time.
#[derive(Debug, Serialize)]
pub(crate) struct AnalyticsDto {
    campaign_id: String,
    progress_percent: f64,
    clients: u64,
    clients_by_status: BTreeMap<&'static str, u64>,
    #[serde(flatten)]
    numbers: NumbersDto,
    bucket: &'static str,
    time_zone: String,
    over_time: Vec<BucketDto>,
}

/// One stretch of a chart.
#[derive(Debug, Serialize)]
pub(crate) struct BucketDto {
    start: String,
    #[serde(flatten)]
    numbers: NumbersDto,
}

impl AnalyticsDto {
    pub(crate) fn new(
        campaign: CampaignId,
        progress: &CampaignProgress,
        totals: &Totals,
        (bucket, time_zone, over_time): (Bucket, &str, &[(DateTime<Utc>, Totals)]),
    ) -> Self {
        let bucket_of = |(start, totals): &(DateTime<Utc>, Totals)| BucketDto {
            start: instant(*start),
            numbers: totals.into(),
        };
        let by_status = progress.clients.iter();
        Self {
            campaign_id: campaign.to_string(),
            progress_percent: progress.percent(),
            clients: progress.client_count(),
            clients_by_status: by_status.map(|(status, n)| (status.as_str(), *n)).collect(),
            numbers: totals.into(),
            bucket: match bucket {
                Bucket::Hour => "hour",
                Bucket::Day => "day",
            },
            time_zone: time_zone.to_owned(),
            over_time: over_time.iter().map(bucket_of).collect(),
        }
    }
}
