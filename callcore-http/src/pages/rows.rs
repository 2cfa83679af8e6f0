//! Rows of lists, as several pages show them.

use std::collections::BTreeSet;

use callcore::call::{CallStatus, Direction, Review};
use callcore::id::{CallId, CampaignId};
use callcore::port::{CallView, CampaignView, StoreError};

use super::charts::Progress;
use super::form::Choice;
use super::frame::Visit;
use super::locale::Locale;
use super::when::{When, count, duration, mean_duration, percent};
use super::words::{self, Word};
use crate::state::ApiState;

/// The longest name a list shows, in characters.
const MAX_NAME: usize = 80;

/// How many campaigns a filter offers.
const FILTER_CAMPAIGNS: u32 = 100;

/// A name as a list shows it.
pub(super) fn shown(name: &str) -> String {
    let name = name.trim();
    match name.char_indices().nth(MAX_NAME) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None if name.is_empty() => "no name".to_owned(),
        None => name.to_owned(),
    }
}

/// A call in a list.
#[derive(Debug)]
pub(super) struct CallRow {
    pub(super) id: CallId,
    pub(super) name: String,
    pub(super) phone: String,
    pub(super) campaign: String,
    /// Where its client's page is.
    pub(super) client: Option<String>,
    pub(super) direction: &'static str,
    pub(super) attempt: u32,
    pub(super) date: When,
    pub(super) due: When,
    pub(super) client_time: String,
    pub(super) duration: String,
    pub(super) status: Word,
    pub(super) outcome: Word,
    pub(super) review: Word,
    pub(super) reviewable: bool,
    pub(super) scheduled: bool,
    pub(super) ended: bool,
    pub(super) has_recording: bool,
}

impl CallRow {
    pub(super) fn of(view: &CallView, visit: &Visit) -> Self {
        let call = &view.call;
        let status = words::status(call.status());
        let name = view.client_name.as_deref().filter(|name| !name.trim().is_empty());
        let name = match (name, call.direction) {
            (Some(name), _) => shown(name),
            (None, _) if call.is_test() => "a test call".to_owned(),
            (None, Direction::Inbound) => "a caller we don't know".to_owned(),
            // Only erasing takes the number of a call that was made.
            (None, Direction::Outbound) if call.phone.is_none() => "an erased person".to_owned(),
            (None, Direction::Outbound) => shown(""),
        };
        let no_phone = match call.direction {
            Direction::Inbound => "withheld",
            Direction::Outbound => "erased",
        };
        let talk = u64::from(call.progress.talk_seconds);
        Self {
            id: call.id,
            name,
            phone: call.phone.map_or_else(|| no_phone.to_owned(), |phone| phone.to_string()),
            campaign: view.campaign_name.as_deref().map(shown).unwrap_or_default(),
            client: call
                .campaign
                .zip(call.client)
                .map(|(campaign, client)| format!("/campaigns/{campaign}/clients/{client}")),
            // A list that has test calls says so: they are in no count.
            direction: if call.is_test() { "test" } else { words::direction(call.direction) },
            attempt: call.attempt,
            date: visit.when(call.date()),
            due: visit.when(call.due_at),
            client_time: client_time(view),
            duration: if talk > 0 { duration(talk) } else { String::new() },
            status,
            outcome: call.outcome().map_or(status, words::outcome),
            review: words::reviewed(call.review),
            reviewable: call.status() == CallStatus::Ended && call.review != Review::Reviewed,
            scheduled: call.status() == CallStatus::Scheduled,
            ended: call.status() == CallStatus::Ended,
            has_recording: call.progress.recording.is_some(),
        }
    }

    pub(super) fn all(views: &[CallView], visit: &Visit) -> Vec<Self> {
        views.iter().map(|view| Self::of(view, visit)).collect()
    }
}

/// What the client's clock shows when a call is due; of several it may live by, the first and the
/// last.
fn client_time(view: &CallView) -> String {
    let (due_at, format) = (view.call.due_at, Locale::here().day_and_clock());
    if let Some(zone) = view.client_zone() {
        return format!("{} {}", zone.local(due_at).format(format), zone.name());
    }
    let clocks: BTreeSet<_> = view.client_zones.iter().map(|it| it.zone.local(due_at)).collect();
    match (clocks.first(), clocks.last()) {
        (Some(first), Some(last)) if first == last => {
            format!("{} {} zones", first.format(format), view.client_zones.len())
        }
        (Some(first), Some(last)) => {
            let (first, last) = (first.format(format), last.format(format));
            format!("{first} to {last}, {} zones", view.client_zones.len())
        }
        _ => String::new(),
    }
}

/// The calls that are being made right now, at most so many, newest last.
pub(super) async fn live_calls(
    state: &ApiState,
    visit: &Visit,
    campaign: Option<CampaignId>,
    most: usize,
) -> Result<Vec<CallRow>, StoreError> {
    let mut rows = Vec::new();
    // Twice as many as are shown: some may be another campaign's, or end meanwhile.
    for open in state.store().live(24).await? {
        if rows.len() == most {
            break;
        }
        let Some(view) = state.store().call(open.call).await? else { continue };
        if view.call.is_live() && campaign.is_none_or(|id| view.call.campaign == Some(id)) {
            rows.push(CallRow::of(&view, visit));
        }
    }
    Ok(rows)
}

/// A campaign in a list, with its numbers.
#[derive(Debug)]
pub(super) struct CampaignRow {
    pub(super) id: CampaignId,
    pub(super) name: String,
    pub(super) state: Word,
    pub(super) version: u32,
    pub(super) progress: Progress,
    pub(super) percent: String,
    pub(super) clients: String,
    pub(super) done: String,
    pub(super) attempted: String,
    pub(super) answered: String,
    pub(super) rate: String,
    pub(super) talk: String,
    pub(super) live: String,
    pub(super) created: When,
}

impl CampaignRow {
    pub(super) fn of(view: &CampaignView, visit: &Visit) -> Self {
        let (campaign, progress) = (&view.campaign, &view.progress);
        Self {
            id: campaign.id,
            name: shown(&campaign.settings.name),
            state: words::run_state(campaign.state),
            version: campaign.settings_version,
            progress: Progress::of(progress),
            percent: format!("{:.0} %", progress.percent().floor()),
            clients: count(progress.client_count()),
            done: count(progress.final_count()),
            attempted: count(progress.totals.attempted()),
            answered: count(progress.totals.answered()),
            rate: percent(progress.totals.success_rate()),
            talk: mean_duration(progress.totals.average_duration_seconds()),
            live: count(progress.live),
            created: visit.when(campaign.created_at),
        }
    }
}

/// The campaigns a filter offers.
pub(super) async fn campaign_choices(
    state: &ApiState,
    chosen: Option<CampaignId>,
) -> Result<Vec<Choice>, StoreError> {
    campaigns_among(state, chosen.as_slice()).await
}

/// The campaigns a filter offers that may have several.
pub(super) async fn campaigns_among(
    state: &ApiState,
    chosen: &[CampaignId],
) -> Result<Vec<Choice>, StoreError> {
    let page = state.store().campaigns(&[], None, FILTER_CAMPAIGNS).await?;
    let choice = |view: &CampaignView| {
        let campaign = &view.campaign;
        let name = shown(&campaign.settings.name);
        Choice::new(campaign.id, name, chosen.contains(&campaign.id))
    };
    let mut choices: Vec<Choice> = page.items.iter().map(choice).collect();
    for id in chosen {
        let is_there = choices.iter().any(|choice| choice.value == id.to_string());
        if !is_there && let Some(view) = state.store().campaign(*id).await? {
            choices.push(choice(&view));
        }
    }
    Ok(choices)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_cut_between_characters() {
        assert_eq!(shown("  "), "no name");
        assert_eq!(shown(" Ada "), "Ada");
        let long = "é".repeat(200);
        assert_eq!(shown(&long).chars().count(), MAX_NAME + 1);
    }
}
