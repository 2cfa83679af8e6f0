//! Test calls: a campaign's script on a person's own number.

use callcore::call::{Call, Intent};
use callcore::port::{By, CallView, Effect, NewTestCall, Refused};
use serde_json::json;

use super::fail::Fail;
use super::open::SqliteStore;
use super::read;
use super::row::CallRow;

impl SqliteStore {
    pub(super) async fn add_test_call(
        &self,
        by: By<'_>,
        new: NewTestCall,
    ) -> Result<CallView, Fail> {
        let mut work = self.write().await?;
        work.enter(by).await?;
        work.load_campaigns([new.campaign]).await?;
        let state = work.campaign(new.campaign)?.state;
        if !Intent::Test.dials_while(state) {
            return Err(Refused::Campaign(state).into());
        }
        if let Some(sample) = new.sample {
            let is_there: bool = sqlx::query_scalar(
                "select exists (select 1 from clients where id = ?1 and campaign = ?2)",
            )
            .bind(sample.uuid())
            .bind(new.campaign.uuid())
            .fetch_one(work.conn())
            .await?;
            if !is_there {
                return Err(Refused::NotFound.into());
            }
        }
        work.load_dnc(&[new.phone].into()).await?;
        if work.on_dnc(new.phone, new.campaign).is_some() {
            return Err(Refused::OnDnc.into());
        }
        work.not_stopped().await?;
        let number = (new.campaign, new.phone);
        let call = Call::test(new.id, number, new.sample, by.actor.clone(), by.now);
        work.add_call(CallRow::new(call));
        let body = json!({"campaign": new.campaign, "client": new.sample});
        work.audit(by, "call.test", new.id.to_string(), None, Some(body)).await?;
        work.flush().await?;
        let settings = work.settings;
        let view = read::call_view(work.conn(), settings, new.id).await?;
        let view = view.ok_or(Refused::NotFound)?;
        work.leave(by, &Effect::Call(Box::new(view.clone()))).await?;
        work.commit().await?;
        Ok(view)
    }
}
