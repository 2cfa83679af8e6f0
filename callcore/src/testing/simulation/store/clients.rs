//! What people change about clients.

use async_trait::async_trait;

use super::FaultyStore;
use crate::engine::Facts;
use crate::id::ClientId;
use crate::phone::PhoneNumber;
use crate::port::{
    ActError, By, CallView, Campaigns, ClientChange, ClientDetail, Clients, NewCall, StoreError,
};

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Clients for FaultyStore {
    async fn change_client(
        &self,
        by: By<'_>,
        id: ClientId,
        change: &ClientChange,
    ) -> Result<ClientDetail, ActError> {
        self.commit("change_client", async {
            let before = self.inner.client(id).await?;
            let detail = self.inner.change_client(by, id, change).await?;
            let mut stage = self.stage.lock();
            let waited = before.and_then(|view| view.client.standing.next_call);
            let waits = detail.view.client.standing.next_call;
            stage.judge.client_changed(
                id,
                change,
                waited.map(|it| it.call),
                waits.map(|it| it.call),
            );
            drop(stage);
            Ok(detail)
        })
        .await
    }

    async fn call_client(
        &self,
        by: By<'_>,
        id: ClientId,
        new: NewCall,
    ) -> Result<CallView, ActError> {
        self.commit("call_client", async {
            let view = self.inner.call_client(by, id, new).await?;
            self.stage.lock().judge.wished(view.call.id, crate::call::Intent::Person);
            Ok(view)
        })
        .await
    }

    async fn client_facts(&self, id: ClientId) -> Result<Option<Facts>, StoreError> {
        self.inner.client_facts(id).await
    }

    async fn open_calls(&self, phone: PhoneNumber) -> Result<Vec<CallView>, StoreError> {
        self.inner.open_calls(phone).await
    }
}
