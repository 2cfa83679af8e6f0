//! Mails and what they are about.

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::FaultyStore;
use crate::phone::PhoneNumber;
use crate::port::{
    ActError, By, ClaimedMail, Cursor, Day, MailSettlement, MailedNotice, NewMail, NoticeGroup,
    Outbox, Page, QueuedMail, StoreError,
};

/// Mails are no part of what the simulation judges: they go through as they are.
#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Outbox for FaultyStore {
    async fn unmailed(
        &self,
        until: DateTime<Utc>,
        shown: u32,
    ) -> Result<Vec<NoticeGroup>, StoreError> {
        self.inner.unmailed(until, shown).await
    }

    async fn queue_mail(
        &self,
        by: By<'_>,
        new: NewMail,
    ) -> Result<Option<(QueuedMail, bool)>, ActError> {
        self.inner.queue_mail(by, new).await
    }

    async fn claim_mails(
        &self,
        wall: DateTime<Utc>,
        lease_for: TimeDelta,
        limit: u32,
    ) -> Result<Vec<ClaimedMail>, StoreError> {
        self.inner.claim_mails(wall, lease_for, limit).await
    }

    async fn settle_mail(
        &self,
        by: By<'_>,
        wall: DateTime<Utc>,
        settlement: &MailSettlement,
    ) -> Result<bool, StoreError> {
        self.inner.settle_mail(by, wall, settlement).await
    }

    async fn release_mails(&self) -> Result<u64, StoreError> {
        self.inner.release_mails().await
    }

    async fn mails_sent(&self, from: NaiveDate, to: NaiveDate) -> Result<u64, StoreError> {
        self.inner.mails_sent(from, to).await
    }

    async fn erase_mails(&self, by: By<'_>, phone: PhoneNumber) -> Result<u64, StoreError> {
        self.inner.erase_mails(by, phone).await
    }

    async fn mails(
        &self,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<Page<QueuedMail>, StoreError> {
        self.inner.mails(after, limit).await
    }

    async fn mail(&self, key: &str) -> Result<Option<QueuedMail>, StoreError> {
        self.inner.mail(key).await
    }

    async fn mailed_notices(
        &self,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<Page<MailedNotice>, StoreError> {
        self.inner.mailed_notices(after, limit).await
    }

    async fn day(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Result<Day, StoreError> {
        self.inner.day(from, to).await
    }
}
