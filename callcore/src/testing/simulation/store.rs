//! A store that fails: before a commit, or after it, so that the caller can't know; and one that
//! lets others go first on both sides of each commit. What was committed, it tells the judge.

mod access;
mod account;
mod calls;
mod campaigns;
mod clients;
mod dnc;
mod imports;
mod media;
mod numbers;
mod outbox;
mod privacy;

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

use super::evidence::opts_out;
use super::stage::Stage;
use super::world::read;
use crate::call::{CallRef, Report};
use crate::campaign::RunState;
use crate::engine::{Facts, Permit, Settlement};
use crate::id::CampaignId;
use crate::memory::MemoryStore;
use crate::port::{
    By, Calls, Campaigns, ClaimRequest, Dispatch, OpenCall, Recorded, Refusals, StoreError,
    StoreErrorKind, TakeBack,
};

pub(super) struct FaultyStore {
    inner: Arc<MemoryStore>,
    stage: Arc<Stage>,
}

impl fmt::Debug for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyStore").finish_non_exhaustive()
    }
}

impl FaultyStore {
    pub(super) const fn new(inner: Arc<MemoryStore>, stage: Arc<Stage>) -> Self {
        Self { inner, stage }
    }

    /// One commit, with all that may befall it.
    async fn commit<T, E>(
        &self,
        operation: &'static str,
        act: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, E>
    where
        T: Send,
        E: From<StoreError> + Send,
    {
        self.stage.pause().await;
        self.fails(operation, "before", true)?;
        let done = act.await;
        self.stage.pause().await;
        self.fails(operation, "after", done.is_ok())?;
        done
    }

    fn fails(&self, operation: &'static str, when: &str, can: bool) -> Result<(), StoreError> {
        let mut stage = self.stage.lock();
        let per_mille = stage.troubles.store;
        if !can || !stage.dice.chance(per_mille) {
            return Ok(());
        }
        stage.stats.failed_commits += 1;
        stage.trace(self.stage.now(), format_args!("the store fails {when} {operation}"));
        Err(StoreError::new(StoreErrorKind::Unavailable, operation))
    }

    /// Tells the judge which events came in; the campaigns they are about.
    fn recorded(&self, reports: &[Report], answers: &[Recorded]) -> BTreeSet<CampaignId> {
        let mut stage = self.stage.lock();
        for (report, answer) in reports.iter().zip(answers) {
            let id = match &report.call {
                CallRef::Ours(id) => *id,
                CallRef::Inbound(ring) => {
                    if opts_out(&report.event.kind) {
                        stage.judge.not_held(ring.from);
                    }
                    let call = answer.call().unwrap_or(ring.new_id);
                    let view = read(self.inner.call(call)).flatten();
                    let stranger = view.is_none_or(|view| view.call.campaign.is_none());
                    stage.judge.rang_in(ring, &report.event, stranger);
                    continue;
                }
            };
            stage.stats.events += 1;
            let name = stage.judge.name(id);
            stage.judge.recorded(id, &report.event, *answer != Recorded::NoSuchCall);
            let event = &report.event;
            stage.trace(
                self.stage.now(),
                format_args!("record call {name}: {:?} at {}", event.kind, event.at),
            );
        }
        stage.judge.campaigns_of(reports)
    }

    async fn took_back(&self, calls: &[TakeBack]) -> Result<(), StoreError> {
        for back in calls {
            let view = self.inner.call(back.call).await?;
            let waits = view.as_ref().is_none_or(|view| view.call.begun_at.is_none());
            let mut stage = self.stage.lock();
            let name = stage.judge.name(back.call);
            let now = self.stage.now();
            let phone = view.as_ref().and_then(|view| view.call.phone);
            stage.stats.held_back +=
                u64::from(phone.is_some_and(|phone| stage.judge.is_held(phone)));
            stage.trace(now, format_args!("call {name} is given back (waits again: {waits})"));
            if waits {
                stage.stats.taken_back += 1;
                stage.judge.taken_back(back.call, back.lease.epoch);
            }
        }
        Ok(())
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Dispatch for FaultyStore {
    async fn server_time(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        let wall = self.stage.wall();
        let mut stage = self.stage.lock();
        let per_mille = stage.troubles.store / 4;
        let skewed = stage.dice.chance(per_mille);
        Ok(Some(if skewed { wall + TimeDelta::seconds(3) } else { wall }))
    }

    async fn claim_due(&self, request: ClaimRequest) -> Result<Vec<Facts>, StoreError> {
        self.commit("claim_due", async {
            let facts = self.inner.claim_due(request).await?;
            let mut stage = self.stage.lock();
            for facts in &facts {
                stage.stats.claims += 1;
                let name = stage.judge.name(facts.call);
                stage.judge.claimed(facts.call, facts.lease.epoch);
                let epoch = facts.lease.epoch;
                stage
                    .trace(self.stage.now(), format_args!("call {name} is claimed, epoch {epoch}"));
            }
            drop(stage);
            Ok(facts)
        })
        .await
    }

    async fn begin(
        &self,
        by: By<'_>,
        wall: DateTime<Utc>,
        permits: &[Permit],
    ) -> Result<Refusals, StoreError> {
        self.commit("begin", async {
            let answers = self.inner.begin(by, wall, permits).await?;
            let mut stage = self.stage.lock();
            for (permit, answer) in permits.iter().zip(&answers) {
                let name = stage.judge.name(permit.call());
                stage.trace(self.stage.now(), format_args!("begin call {name}: {answer:?}"));
                if answer.is_ok() {
                    stage.stats.begun += 1;
                    stage.judge.begun(permit, by.now, wall);
                } else {
                    stage.stats.refused_begins += 1;
                }
            }
            drop(stage);
            Ok(answers)
        })
        .await
    }

    async fn take_back(&self, by: By<'_>, calls: &[TakeBack]) -> Result<(), StoreError> {
        self.commit("take_back", async {
            self.inner.take_back(by, calls).await?;
            self.took_back(calls).await
        })
        .await
    }

    async fn halt_campaign(
        &self,
        by: By<'_>,
        id: CampaignId,
        reason: &str,
    ) -> Result<(), StoreError> {
        self.stage.lock().judge.halting(id);
        self.commit("halt_campaign", async {
            self.inner.halt_campaign(by, id, reason).await?;
            // One that an opt-out elsewhere finished meanwhile has nothing left to pause.
            let view = self.inner.campaign(id).await?;
            if view.is_some_and(|view| view.campaign.state != RunState::Finished) {
                self.stage.lock().judge.halted(id);
            }
            Ok(())
        })
        .await
    }

    async fn settle(&self, by: By<'_>, settlements: &[Settlement]) -> Result<(), StoreError> {
        self.commit("settle", async {
            self.inner.settle(by, settlements).await?;
            let mut stage = self.stage.lock();
            for settled in settlements {
                let name = stage.judge.name(settled.call);
                let verdict = settled.verdict;
                stage.trace(self.stage.now(), format_args!("settle call {name}: {verdict:?}"));
            }
            drop(stage);
            Ok(())
        })
        .await
    }

    async fn record(&self, by: By<'_>, reports: &[Report]) -> Result<Vec<Recorded>, StoreError> {
        let wish = reports.iter().any(|report| opts_out(&report.event.kind));
        if wish && self.stage.refuses_opt_outs() {
            self.stage.pause().await;
            return Err(StoreError::new(StoreErrorKind::Unavailable, "record"));
        }
        self.commit("record", async {
            let answers = self.inner.record(by, reports).await?;
            for id in self.recorded(reports, &answers) {
                let Some(view) = self.inner.campaign(id).await? else { continue };
                self.stage.lock().judge.heard_of(id, view.campaign.state);
            }
            Ok(answers)
        })
        .await
    }

    async fn next_due(&self, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.commit("next_due", self.inner.next_due(now)).await
    }

    async fn unsettled(
        &self,
        now: DateTime<Utc>,
        wall: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<OpenCall>, StoreError> {
        self.commit("unsettled", self.inner.unsettled(now, wall, limit)).await
    }

    async fn hang_ups(&self, wall: DateTime<Utc>, limit: u32) -> Result<Vec<OpenCall>, StoreError> {
        self.commit("hang_ups", self.inner.hang_ups(wall, limit)).await
    }

    async fn live(&self, limit: u32) -> Result<Vec<OpenCall>, StoreError> {
        self.inner.live(limit).await
    }

    async fn latest_instant(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.inner.latest_instant().await
    }
}
