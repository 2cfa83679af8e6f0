//! What voice agents report of their calls.

use std::collections::BTreeMap;

use callcore::call::{AgentResult, Report};
use callcore::id::CallId;
use callcore::port::{By, CallView, Effect, Refused};

use super::fail::Fail;
use super::open::SqliteStore;
use super::read;
use super::row::Table;

impl SqliteStore {
    pub(super) async fn record_result(
        &self,
        by: By<'_>,
        id: CallId,
        result: &AgentResult,
    ) -> Result<CallView, Fail> {
        let mut work = self.write().await?;
        work.enter(by).await?;
        work.load_calls([id]).await?;
        let call = &work.calls.get(&id).ok_or(Refused::NotFound)?.call;
        if Table::of(call) == Table::Due || call.retired.is_some() {
            return Err(Refused::Call(call.status()).into());
        }
        let (began, client) = (call.began(), call.client);
        work.load_clients(client).await?;
        let mut rings = BTreeMap::new();
        for event in result.events(began) {
            let report = Report::ours(id, event.at, event.kind);
            work.record_one(by.now, &report, &mut rings).await?;
        }
        work.flush().await?;
        let settings = work.settings;
        let view = read::call_view(work.conn(), settings, id).await?.ok_or(Refused::NotFound)?;
        work.leave(by, &Effect::Result(Box::new(view.clone()))).await?;
        work.commit().await?;
        Ok(view)
    }
}
