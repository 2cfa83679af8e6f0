//! The breaker: what it looks back on.

use callcore::actor::Actor;
use callcore::call::Outcome;
use callcore::campaign::{Pause, RunState};
use callcore::id::CampaignId;
use callcore::port::NoticeKind;
use chrono::{DateTime, Utc};
use sqlx::Row;
use uuid::Uuid;

use super::fail::Fail;
use super::row::micros;
use super::work::Work;

impl Work<'_> {
    /// A dial of a campaign turned out to have failed: perhaps one too many.
    pub(super) async fn check_breaker(
        &mut self,
        id: CampaignId,
        now: DateTime<Utc>,
    ) -> Result<(), Fail> {
        let Some(campaign) = self.campaigns.get(&id) else { return Ok(()) };
        let Some(breaker) = campaign.settings.breaker else { return Ok(()) };
        if campaign.state != RunState::Running {
            return Ok(());
        }
        let since = campaign.counted_from;
        // What this unit of work ended is looked back on too.
        self.flush_calls().await?;
        let ends = self.last_ends(id, since, breaker.of_last()).await?;
        if breaker.trips(ends) {
            self.halt(id, now, breaker.reason());
        }
        Ok(())
    }

    /// A running campaign pauses itself.
    pub(super) fn halt(&mut self, id: CampaignId, now: DateTime<Utc>, reason: String) {
        let campaign = self.campaigns.get_mut(&id);
        let Some(campaign) = campaign.filter(|it| it.state == RunState::Running) else { return };
        campaign.state = RunState::Paused;
        campaign.pause = Some(Pause { at: now, by: Actor::System, reason: Some(reason) });
        campaign.changed = true;
        self.notify(now, NoticeKind::BreakerTripped(id));
    }

    /// How the last dials of a campaign ended, the latest first.
    async fn last_ends(
        &mut self,
        id: CampaignId,
        since: DateTime<Utc>,
        most: u32,
    ) -> Result<Vec<Outcome>, Fail> {
        // Each outcome by itself, as the index has them. Read together by time, calls that were
        // cancelled in bulk could lie between the dials by the hundred thousand.
        let mut ends: Vec<(i64, Uuid, Outcome)> = Vec::new();
        for outcome in Outcome::ALL.iter().filter(|outcome| outcome.attempted()) {
            let rows = sqlx::query(
                "select ended_at, id from history
                 where campaign = ?1 and outcome = ?2 and ended_at > ?3
                     and begun_at is not null and intent <> 'test'
                 order by ended_at desc, id desc limit ?4",
            )
            .bind(id.uuid())
            .bind(outcome.as_str())
            .bind(micros(since))
            .bind(most)
            .fetch_all(self.conn())
            .await?;
            for row in rows {
                ends.push((row.try_get("ended_at")?, row.try_get("id")?, *outcome));
            }
        }
        ends.sort_unstable_by(|a, b| b.cmp(a));
        Ok(ends.into_iter().map(|(.., outcome)| outcome).collect())
    }
}
