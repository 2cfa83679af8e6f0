use std::sync::Arc;

use async_trait::async_trait;

use super::{MemoryStore, State};
use crate::account::{AccountSettings, Stopped};
use crate::port::{Account, AccountView, ActError, By, Effect, Refused, StoreError};
use crate::time::Zone;

/// What audit rows about the account name as their object.
const OBJECT: &str = "account";

#[derive(Debug)]
pub(super) struct AccountRow {
    version: u32,
    settings: Arc<AccountSettings>,
    server_zone: Zone,
    stopped: Option<Stopped>,
}

impl AccountRow {
    pub(super) fn new() -> Self {
        Self {
            version: 1,
            settings: Arc::new(AccountSettings::default()),
            server_zone: Zone::utc(),
            stopped: None,
        }
    }
}

#[async_trait]
impl Account for MemoryStore {
    async fn account(&self) -> Result<AccountView, StoreError> {
        Ok(self.lock().account_view())
    }

    async fn change_account(
        &self,
        by: By<'_>,
        version: u32,
        settings: Arc<AccountSettings>,
    ) -> Result<AccountView, ActError> {
        let mut state = self.lock();
        state.enter(by)?;
        let current = state.account.version;
        if current != version {
            return Err(Refused::Stale { current }.into());
        }
        let (old, new) = (state.account.settings.to_json(), settings.to_json());
        state.account.version += 1;
        state.account.settings = settings;
        state.write_audit(by, "account.change", OBJECT, Some(old), Some(new));
        Ok(state.account_changed(by))
    }

    async fn keep_server_zone(&self, zone: &Zone) -> Result<(), StoreError> {
        self.lock().account.server_zone = zone.clone();
        Ok(())
    }
}

impl State {
    fn account_view(&self) -> AccountView {
        AccountView {
            settings_version: self.account.version,
            settings: self.account.settings.clone(),
            server_zone: self.account.server_zone.clone(),
            stopped: self.account.stopped.clone(),
        }
    }

    fn account_changed(&mut self, by: By<'_>) -> AccountView {
        let view = self.account_view();
        self.leave(by, &Effect::Account(Box::new(view.clone())));
        view
    }
}
