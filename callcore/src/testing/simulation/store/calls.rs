//! What people and agents do with calls.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::FaultyStore;
use crate::call::{AgentResult, CallEvent, Intent, Review, Skip};
use crate::engine::Facts;
use crate::id::CallId;
use crate::port::{
    ActError, Acted, By, CallAct, CallQuery, CallView, Calls, NewCall, NewTestCall, Page, Refused,
    SkipThen, StoreError,
};

impl FaultyStore {
    fn wished(&self, id: CallId, intent: Intent) {
        self.stage.lock().judge.wished(id, intent);
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Calls for FaultyStore {
    async fn call(&self, id: CallId) -> Result<Option<CallView>, StoreError> {
        self.commit("call", self.inner.call(id)).await
    }

    async fn calls(&self, ids: &[CallId]) -> Result<Vec<CallView>, StoreError> {
        self.inner.calls(ids).await
    }

    async fn inbound_call(&self, carrier_call_id: &str) -> Result<Option<CallId>, StoreError> {
        self.inner.inbound_call(carrier_call_id).await
    }

    async fn events(&self, id: CallId) -> Result<Vec<CallEvent>, StoreError> {
        self.inner.events(id).await
    }

    async fn facts(&self, id: CallId) -> Result<Option<Facts>, StoreError> {
        self.commit("facts", self.inner.facts(id)).await
    }

    async fn history(&self, query: &CallQuery) -> Result<Page<CallView>, StoreError> {
        self.inner.history(query).await
    }

    async fn upcoming(&self, query: &CallQuery) -> Result<Page<CallView>, StoreError> {
        self.inner.upcoming(query).await
    }

    async fn call_now(&self, by: By<'_>, id: CallId) -> Result<CallView, ActError> {
        self.commit("call_now", async {
            let view = self.inner.call_now(by, id).await?;
            self.wished(id, Intent::Person);
            Ok(view)
        })
        .await
    }

    async fn skip(
        &self,
        by: By<'_>,
        id: CallId,
        skip: Skip,
        then: SkipThen,
    ) -> Result<CallView, ActError> {
        self.commit("skip", async {
            let view = self.inner.skip(by, id, skip, then).await?;
            if let SkipThen::Next(next) = then {
                self.wished(next.id, Intent::Rescheduled);
            }
            Ok(view)
        })
        .await
    }

    async fn reschedule(
        &self,
        by: By<'_>,
        id: CallId,
        due_at: DateTime<Utc>,
    ) -> Result<CallView, ActError> {
        self.commit("reschedule", async {
            let view = self.inner.reschedule(by, id, due_at).await?;
            self.wished(id, Intent::Rescheduled);
            Ok(view)
        })
        .await
    }

    async fn retry(&self, by: By<'_>, id: CallId, new: NewCall) -> Result<CallView, ActError> {
        self.commit("retry", async {
            let view = self.inner.retry(by, id, new).await?;
            self.wished(new.id, Intent::Person);
            Ok(view)
        })
        .await
    }

    async fn test_call(&self, by: By<'_>, new: NewTestCall) -> Result<CallView, ActError> {
        self.commit("test_call", async {
            let view = self.inner.test_call(by, new).await?;
            self.wished(new.id, Intent::Test);
            Ok(view)
        })
        .await
    }

    async fn report_result(
        &self,
        by: By<'_>,
        id: CallId,
        result: &AgentResult,
    ) -> Result<CallView, ActError> {
        self.commit("report_result", async {
            let view = self.inner.report_result(by, id, result).await?;
            let mut stage = self.stage.lock();
            stage.stats.results += 1;
            for event in result.events(view.call.began()) {
                stage.judge.recorded(id, &event, true);
            }
            drop(stage);
            Ok(view)
        })
        .await
    }

    async fn add_note(&self, by: By<'_>, id: CallId, text: &str) -> Result<CallView, ActError> {
        self.commit("add_note", self.inner.add_note(by, id, text)).await
    }

    async fn review(
        &self,
        by: By<'_>,
        id: CallId,
        review: Review,
        disposition: Option<Option<String>>,
    ) -> Result<CallView, ActError> {
        self.commit("review", self.inner.review(by, id, review, disposition)).await
    }

    async fn change_calls(
        &self,
        by: By<'_>,
        acts: &[(CallId, Result<CallAct, Refused>)],
    ) -> Result<Vec<Acted>, ActError> {
        self.commit("change_calls", async {
            let acted = self.inner.change_calls(by, acts).await?;
            for ((id, act), acted) in acts.iter().zip(&acted) {
                if matches!((act, &acted.done), (Ok(CallAct::Reschedule(_)), Ok(_))) {
                    self.wished(*id, Intent::Rescheduled);
                }
            }
            Ok(acted)
        })
        .await
    }
}
