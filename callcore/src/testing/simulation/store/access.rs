//! Who may do what, and what was done.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::FaultyStore;
use crate::id::{TokenId, UserId};
use crate::port::{
    Access, ActError, AuditEntry, AuditQuery, AuditRow, By, Cursor, Gauges, Invitation,
    NewPassword, NewToken, Notice, Page, SavedReply, Session, StoreError, Token, User, UserChange,
    UserView,
};

/// Nobody signs in while a simulation runs: these pass through.
#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Access for FaultyStore {
    async fn fact(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.inner.fact(name).await
    }

    async fn put_fact(&self, name: &str, value: &str) -> Result<String, StoreError> {
        self.inner.put_fact(name, value).await
    }

    async fn save_user(&self, by: By<'_>, user: User) -> Result<User, ActError> {
        self.inner.save_user(by, user).await
    }

    async fn user(&self, name: &str) -> Result<Option<User>, StoreError> {
        self.inner.user(name).await
    }

    async fn user_view(&self, id: UserId) -> Result<Option<UserView>, StoreError> {
        self.inner.user_view(id).await
    }

    async fn users(&self, after: Option<Cursor>, limit: u32) -> Result<Page<UserView>, StoreError> {
        self.inner.users(after, limit).await
    }

    async fn invite_user(
        &self,
        by: By<'_>,
        user: User,
        invitation: Invitation,
    ) -> Result<UserView, ActError> {
        self.inner.invite_user(by, user, invitation).await
    }

    async fn change_user(
        &self,
        by: By<'_>,
        id: UserId,
        change: UserChange,
    ) -> Result<UserView, ActError> {
        self.inner.change_user(by, id, change).await
    }

    async fn invited(
        &self,
        secret: [u8; 32],
        wall: DateTime<Utc>,
    ) -> Result<Option<User>, StoreError> {
        self.inner.invited(secret, wall).await
    }

    async fn accept_invitation(
        &self,
        by: By<'_>,
        secret: [u8; 32],
        password_hash: String,
        wall: DateTime<Utc>,
    ) -> Result<UserView, ActError> {
        self.inner.accept_invitation(by, secret, password_hash, wall).await
    }

    async fn change_password(
        &self,
        by: By<'_>,
        id: UserId,
        new: NewPassword,
    ) -> Result<UserView, ActError> {
        self.inner.change_password(by, id, new).await
    }

    async fn add_link(
        &self,
        secret: [u8; 32],
        user: UserId,
        expires: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.inner.add_link(secret, user, expires).await
    }

    async fn redeem_link(
        &self,
        secret: [u8; 32],
        wall: DateTime<Utc>,
    ) -> Result<Option<User>, StoreError> {
        self.inner.redeem_link(secret, wall).await
    }

    async fn link_is_good(
        &self,
        secret: [u8; 32],
        wall: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        self.inner.link_is_good(secret, wall).await
    }

    async fn add_session(
        &self,
        secret: [u8; 32],
        user: UserId,
        expires: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.inner.add_session(secret, user, expires).await
    }

    async fn session(
        &self,
        secret: [u8; 32],
        wall: DateTime<Utc>,
    ) -> Result<Option<Session>, StoreError> {
        self.inner.session(secret, wall).await
    }

    async fn end_session(&self, secret: [u8; 32]) -> Result<(), StoreError> {
        self.inner.end_session(secret).await
    }

    async fn add_token(&self, by: By<'_>, new: NewToken) -> Result<Token, ActError> {
        self.inner.add_token(by, new).await
    }

    async fn token(
        &self,
        secret: [u8; 32],
        wall: DateTime<Utc>,
    ) -> Result<Option<Token>, StoreError> {
        self.inner.token(secret, wall).await
    }

    async fn tokens(&self, after: Option<Cursor>, limit: u32) -> Result<Page<Token>, StoreError> {
        self.inner.tokens(after, limit).await
    }

    async fn token_used(&self, id: TokenId, wall: DateTime<Utc>) -> Result<(), StoreError> {
        self.inner.token_used(id, wall).await
    }

    async fn revoke_token(&self, by: By<'_>, id: TokenId) -> Result<(), ActError> {
        self.inner.revoke_token(by, id).await
    }

    async fn saved_reply(
        &self,
        scope: &str,
        key: &str,
        wall: DateTime<Utc>,
    ) -> Result<Option<([u8; 32], SavedReply)>, StoreError> {
        self.inner.saved_reply(scope, key, wall).await
    }

    async fn append_audit(&self, by: By<'_>, entry: AuditEntry) -> Result<(), ActError> {
        self.inner.append_audit(by, entry).await
    }

    async fn audit(&self, query: &AuditQuery) -> Result<Page<AuditRow>, StoreError> {
        self.inner.audit(query).await
    }

    async fn notices(&self, limit: u32) -> Result<Vec<Notice>, StoreError> {
        self.inner.notices(limit).await
    }

    async fn change_version(&self) -> Result<u64, StoreError> {
        self.inner.change_version().await
    }

    async fn gauges(&self, now: DateTime<Utc>) -> Result<Gauges, StoreError> {
        self.inner.gauges(now).await
    }
}
