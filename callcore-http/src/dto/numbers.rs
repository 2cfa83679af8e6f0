use std::collections::BTreeMap;

use callcore::analytics::Totals;
use callcore::call::Outcome;
use callcore::port::CampaignView;
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
        view: &CampaignView,
        bucket: &'static str,
        time_zone: &str,
        over_time: &[(DateTime<Utc>, Totals)],
    ) -> Self {
        let bucket_of = |(start, totals): &(DateTime<Utc>, Totals)| BucketDto {
            start: instant(*start),
            numbers: totals.into(),
        };
        Self {
            campaign_id: view.campaign.id.to_string(),
            progress_percent: view.progress.percent(),
            clients: view.progress.client_count(),
            numbers: (&view.progress.totals).into(),
            bucket,
            time_zone: time_zone.to_owned(),
            over_time: over_time.iter().map(bucket_of).collect(),
        }
    }
}
