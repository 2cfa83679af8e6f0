use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{ClientRow, MemoryStore, State, is_waiting};
use crate::call::{Call, CallStatus, Outcome, Review};
use crate::client::ClientStatus;
use crate::engine::Tally;
use crate::id::{CampaignId, ImportId};
use crate::port::{
    Attention, Import, ImportStatus, Numbers, Rejects, StoreError, Tagged, TallyRow, Waiting,
};

#[async_trait]
impl Numbers for MemoryStore {
    async fn tagged(
        &self,
        campaign: CampaignId,
        tags: &[String],
        from: Option<DateTime<Utc>>,
        to: Option<DateTime<Utc>>,
    ) -> Result<Tagged, StoreError> {
        let state = self.lock();
        let mut clients: BTreeMap<ClientStatus, u64> = BTreeMap::new();
        let mut calls = Vec::new();
        let has_one = |row: &&ClientRow| tags.iter().any(|tag| row.client.tags.contains(tag));
        for row in state.rows_of(campaign).into_iter().filter(has_one) {
            *clients.entry(row.client.standing.status).or_default() += 1;
            calls.extend(row.calls.iter().map(|call| &state.calls[call].call));
        }
        Ok(Tagged { clients, tallies: counted(calls, from, to) })
    }

    async fn attention(&self, since: DateTime<Utc>, limit: u32) -> Result<Attention, StoreError> {
        let state = self.lock();
        let limit = limit as usize;
        let follow_up = |id: &CampaignId| {
            let count = state.campaigns[id].clients.get(&ClientStatus::NeedsFollowUp)?;
            (*count > 0).then_some((*id, *count))
        };
        let marked = state.ended.iter().rev().map(|(_, id)| *id);
        let marked = marked.filter(|id| state.calls[id].call.review == Review::NeedsFollowUp);
        let unknown = |call: &Call| call.status() == CallStatus::Unknown;
        let mut unknown: Vec<_> = state
            .live
            .iter()
            .filter(|id| unknown(&state.calls[*id].call))
            .map(|id| (state.calls[id].call.began(), *id))
            .collect();
        unknown.sort_unstable();
        let since = ImportId::earliest(since);
        let ended = |import: &&Import| {
            let ended = matches!(import.status, ImportStatus::Done | ImportStatus::Failed);
            ended && import.id >= since && import.report.rejected > 0
        };
        let rejects = state.imports.values().rev().filter(ended).map(|import| Rejects {
            import: import.id,
            campaign: import.campaign,
            rows: import.report.rejected,
        });
        Ok(Attention {
            clients_to_follow_up: state
                .campaigns
                .keys()
                .rev()
                .filter_map(follow_up)
                .take(limit)
                .collect(),
            calls_to_follow_up: marked.take(limit).collect(),
            unknown_calls: unknown.into_iter().map(|(_, id)| id).take(limit).collect(),
            rejects: rejects.take(limit).collect(),
        })
    }

    async fn waiting(
        &self,
        campaign: CampaignId,
        after: Option<u64>,
        limit: u32,
    ) -> Result<Waiting, StoreError> {
        let state = self.lock();
        let rows = state.rows_of(campaign).into_iter();
        let rows = rows.filter(|row| after.is_none_or(|after| row.place > after));
        let rows: Vec<&ClientRow> = rows.take(limit as usize).collect();
        let next = rows.last().filter(|_| rows.len() == limit as usize).map(|row| row.place);
        let now = state.latest.unwrap_or(DateTime::UNIX_EPOCH);
        let account = Arc::new(state.account_facts(now));
        let calls = rows.iter().flat_map(|row| &row.calls);
        let waiting = calls.filter(|call| is_waiting(&state.calls[*call].call));
        Ok(Waiting {
            facts: waiting
                .filter_map(|call| state.facts_of(&state.calls[call], &account, now))
                .collect(),
            next,
        })
    }
}

impl State {
    /// A campaign's clients in the order they came in.
    fn rows_of(&self, campaign: CampaignId) -> Vec<&ClientRow> {
        let rows = self.clients.values().filter(|row| row.client.campaign == campaign);
        let mut rows: Vec<&ClientRow> = rows.collect();
        rows.sort_unstable_by_key(|row| row.place);
        rows
    }

    /// Counters as the rows give them.
    pub(super) fn recounted(
        &self,
        campaign: Option<CampaignId>,
        from: Option<DateTime<Utc>>,
        to: Option<DateTime<Utc>>,
    ) -> Vec<TallyRow> {
        let ended = self.ended.iter().map(|(_, id)| &self.calls[id].call);
        let wanted = |call: &&Call| campaign.is_none() || call.campaign == campaign;
        counted(ended.filter(wanted), from, to)
    }
}

fn counted<'a>(
    calls: impl IntoIterator<Item = &'a Call>,
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
) -> Vec<TallyRow> {
    let mut cells: BTreeMap<(DateTime<Utc>, Outcome), (u64, u64)> = BTreeMap::new();
    for call in calls {
        let (Some(tally), Some(at)) = (Tally::of(call), call.ended_at()) else { continue };
        if from.is_none_or(|from| at >= from) && to.is_none_or(|to| at < to) {
            let cell = cells.entry((tally.quarter, tally.outcome)).or_default();
            *cell = (cell.0 + 1, cell.1 + u64::from(tally.talk_seconds));
        }
    }
    let row = |((quarter, outcome), (calls, talk_seconds))| TallyRow {
        quarter,
        outcome,
        calls,
        talk_seconds,
    };
    cells.into_iter().map(row).collect()
}
