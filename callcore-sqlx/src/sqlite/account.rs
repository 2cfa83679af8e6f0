use std::sync::Arc;

use async_trait::async_trait;
use callcore::account::{AccountSettings, Stopped};
use callcore::port::{Account, AccountView, ActError, By, Effect, Refused, StoreError};
use callcore::time::Zone;
use sqlx::{Row, SqliteConnection};

use super::fail::Fail;
use super::open::SqliteStore;
use super::row::{actor, document, instant};
use super::work::Work;

/// What audit rows about the account name as their object.
const OBJECT: &str = "account";

#[async_trait]
impl Account for SqliteStore {
    async fn account(&self) -> Result<AccountView, StoreError> {
        let read = async {
            let mut conn = self.read().await?;
            account_view(&mut conn).await
        };
        read.await.map_err(|fail: Fail| fail.store("account"))
    }

    async fn change_account(
        &self,
        by: By<'_>,
        version: u32,
        settings: Arc<AccountSettings>,
    ) -> Result<AccountView, ActError> {
        let changed = self.change_account_version(by, version, &settings).await;
        changed.map_err(|fail| fail.act("change_account"))
    }

    async fn keep_server_zone(&self, zone: &Zone) -> Result<(), StoreError> {
        let keep = async {
            let mut work = self.write().await?;
            sqlx::query("update account set server_zone = ?1")
                .bind(zone.name())
                .execute(work.conn())
                .await?;
            work.commit().await
        };
        keep.await.map_err(|fail: Fail| fail.store("keep_server_zone"))
    }
}

impl SqliteStore {
    async fn change_account_version(
        &self,
        by: By<'_>,
        version: u32,
        settings: &AccountSettings,
    ) -> Result<AccountView, Fail> {
        let mut work = self.write().await?;
        work.enter(by).await?;
        let account = account_view(work.conn()).await?;
        let current = account.settings_version;
        if current != version {
            return Err(Refused::Stale { current }.into());
        }
        let (old, new) = (account.settings.to_json(), settings.to_json());
        sqlx::query("insert into account_settings (version, document) values (?1, ?2)")
            .bind(current + 1)
            .bind(new.to_string())
            .execute(work.conn())
            .await?;
        sqlx::query("update account set settings_version = ?1")
            .bind(current + 1)
            .execute(work.conn())
            .await?;
        work.audit(by, "account.change", OBJECT.to_owned(), Some(old), Some(new)).await?;
        work.account_changed(by).await
    }
}

impl Work<'_> {
    /// Ends a change of the account: the view as it now is, the saved answer, the commit.
    async fn account_changed(mut self, by: By<'_>) -> Result<AccountView, Fail> {
        self.flush().await?;
        let view = account_view(self.conn()).await?;
        self.leave(by, &Effect::Account(Box::new(view.clone()))).await?;
        self.commit().await?;
        Ok(view)
    }
}

/// The account as it is.
pub(super) async fn account_view(conn: &mut SqliteConnection) -> Result<AccountView, Fail> {
    let row = sqlx::query(
        "select account.*, document from account
         join account_settings on account_settings.version = account.settings_version",
    )
    .fetch_one(conn)
    .await?;
    let settings = document(row.try_get("document")?, "account settings")?;
    let settings = AccountSettings::from_json(&settings);
    let zone: &str = row.try_get("server_zone")?;
    let stopped_at: Option<i64> = row.try_get("stopped_at")?;
    let stopped_by: Option<&str> = row.try_get("stopped_by")?;
    let stopped = match (stopped_at, stopped_by) {
        (Some(at), Some(by)) => {
            let reason = row.try_get("stop_reason")?;
            Some(Stopped { at: instant(at)?, by: actor(by)?, reason })
        }
        _ => None,
    };
    Ok(AccountView {
        settings_version: row.try_get("settings_version")?,
        settings: Arc::new(settings.map_err(|_| Fail::Corrupt("account settings"))?),
        server_zone: zone.parse().map_err(|_| Fail::Corrupt("time zone"))?,
        stopped,
    })
}
