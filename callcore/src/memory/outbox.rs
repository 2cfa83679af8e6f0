use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::campaigns::page;
use super::{MemoryStore, State};
use crate::analytics::Totals;
use crate::call::{Direction, Review};
use crate::campaign::RunState;
use crate::id::MailId;
use crate::phone::PhoneNumber;
use crate::port::{
    ActError, Body, By, CampaignDay, ClaimedMail, Cursor, Day, Effect, MailFate, MailSettlement,
    MailState, MailedNotice, NewMail, Notice, NoticeGroup, NoticeKind, Outbox, Page, QueuedMail,
    StoreError,
};

#[derive(Debug)]
pub(super) struct MailRow {
    mail: QueuedMail,
    to: Vec<String>,
    body: Body,
    bare: Option<Body>,
    people: BTreeSet<PhoneNumber>,
    epoch: u64,
    lease_until: Option<DateTime<Utc>>,
    doubt_since: Option<DateTime<Utc>>,
}

impl MailRow {
    fn new(new: NewMail) -> Self {
        Self {
            mail: QueuedMail {
                id: new.id,
                key: new.key,
                kind: new.kind,
                subject: new.subject,
                receivers: u32::try_from(new.to.len()).unwrap_or(u32::MAX),
                state: MailState::Waiting,
                reason: None,
                attempts: 0,
                queued_at: new.queued_at,
                at: new.queued_at,
            },
            to: new.to,
            body: new.body,
            bare: new.bare,
            people: new.people.into_iter().collect(),
            epoch: 0,
            lease_until: None,
            doubt_since: None,
        }
    }

    /// Ends it, and forgets its words.
    fn end(&mut self, state: MailState, reason: Option<String>, wall: DateTime<Utc>) {
        (self.mail.state, self.mail.reason, self.mail.at) = (state, reason, wall);
        (self.body, self.bare, self.lease_until) = (Body::default(), None, None);
        self.people.clear();
    }
}

impl State {
    /// Notices of a kind that go into no mail, in the order they came.
    fn unmailed_of(&self, word: &str) -> Vec<&Notice> {
        let free =
            |notice: &&Notice| notice.kind.word() == word && !self.noticed.contains_key(&notice.id);
        self.notices.iter().filter(free).collect()
    }

    fn waits(&self, kind: &str) -> bool {
        let waits = |row: &MailRow| row.mail.state == MailState::Waiting && row.mail.kind == kind;
        self.mails.values().any(waits)
    }

    pub(super) fn mails_in(&self, state: MailState) -> u64 {
        self.mails.values().filter(|row| row.mail.state == state).count() as u64
    }

    /// Takes a person out of every mail that waits.
    pub(super) fn erase_mails(&mut self, phone: PhoneNumber) -> u64 {
        let mut erased = 0;
        for row in self.mails.values_mut().filter(|row| row.people.contains(&phone)) {
            erased += 1;
            if row.doubt_since.is_none() {
                row.body = row.bare.take().unwrap_or_default();
                row.people.clear();
            } else {
                let at = row.mail.at;
                row.end(MailState::Failed, Some("erased".to_owned()), at);
            }
        }
        erased
    }
}

#[async_trait]
impl Outbox for MemoryStore {
    async fn unmailed(
        &self,
        until: DateTime<Utc>,
        shown: u32,
    ) -> Result<Vec<NoticeGroup>, StoreError> {
        let state = self.lock();
        let group = |word: &&'static str| {
            let notices = state.unmailed_of(word);
            let first = notices.first().copied().filter(|first| first.at <= until)?.clone();
            let last = notices.iter().rev().take(shown.max(1) as usize);
            let last = last.map(|notice| (*notice).clone()).collect();
            Some(NoticeGroup { word, count: notices.len() as u64, first, last })
        };
        let words = NoticeKind::WORDS.iter().filter(|word| NoticeKind::is_mailed(word));
        Ok(words.filter(|word| !state.waits(word)).filter_map(group).collect())
    }

    async fn queue_mail(
        &self,
        by: By<'_>,
        new: NewMail,
    ) -> Result<Option<(QueuedMail, bool)>, ActError> {
        let mut state = self.lock();
        state.enter(by)?;
        if let Some(row) = state.mails.values().find(|row| row.mail.key == new.key) {
            return Ok(Some((row.mail.clone(), false)));
        }
        let mut taken = Vec::new();
        if let Some(notices) = new.notices {
            let free = state.unmailed_of(&new.kind);
            let through = free.iter().position(|notice| notice.id == notices.through);
            taken.extend(free.iter().take(through.map_or(0, |at| at + 1)).map(|it| it.id));
            if taken.len() as u64 != notices.count || state.waits(&new.kind) {
                return Ok(None);
            }
        }
        let row = MailRow::new(new);
        let mail = row.mail.clone();
        for notice in taken {
            state.noticed.insert(notice, mail.id);
        }
        state.mails.insert(mail.id, row);
        state.write_audit(by, "mail.queue", mail.id, None, None);
        state.leave(by, &Effect::Mail(Box::new(mail.clone())));
        Ok(Some((mail, true)))
    }

    async fn claim_mails(
        &self,
        wall: DateTime<Utc>,
        lease_for: TimeDelta,
        limit: u32,
    ) -> Result<Vec<ClaimedMail>, StoreError> {
        let mut state = self.lock();
        let due = |row: &&mut MailRow| {
            row.mail.state == MailState::Waiting
                && row.mail.at <= wall
                && row.lease_until.is_none_or(|until| until <= wall)
        };
        let mut due: Vec<&mut MailRow> = state.mails.values_mut().filter(due).collect();
        due.sort_unstable_by_key(|row| (row.mail.at, row.mail.id));
        let claim = |row: &mut MailRow| {
            row.epoch += 1;
            row.lease_until = Some(wall + lease_for);
            row.mail.attempts += 1;
            let doubt_since = row.doubt_since;
            // Whoever dies now may have sent it.
            row.doubt_since = doubt_since.or(Some(wall));
            let (mail, to) = (row.mail.clone(), row.to.clone());
            ClaimedMail { mail, epoch: row.epoch, to, body: row.body.clone(), doubt_since }
        };
        Ok(due.into_iter().take(limit as usize).map(claim).collect())
    }

    async fn settle_mail(
        &self,
        by: By<'_>,
        wall: DateTime<Utc>,
        settlement: &MailSettlement,
    ) -> Result<bool, StoreError> {
        let mut state = self.lock();
        let held = |row: &&mut MailRow| {
            row.epoch == settlement.epoch && row.mail.state == MailState::Waiting
        };
        let Some(row) = state.mails.get_mut(&settlement.mail).filter(held) else {
            return Ok(false);
        };
        let receivers = u64::from(row.mail.receivers);
        match &settlement.fate {
            MailFate::Sent => {
                row.end(MailState::Sent, None, wall);
                *state.sent.entry(wall.date_naive()).or_default() += receivers;
            }
            MailFate::Wait { until, reason, doubt_since, tried } => {
                (row.mail.at, row.mail.reason) = (*until, Some(reason.clone()));
                (row.lease_until, row.doubt_since) = (None, *doubt_since);
                row.mail.attempts -= u32::from(!tried);
            }
            MailFate::Failed { reason } => {
                row.end(MailState::Failed, Some(reason.clone()), wall);
            }
        }
        for kind in &settlement.notices {
            state.notify(by.now, *kind);
        }
        state.at(by.now);
        Ok(true)
    }

    async fn release_mails(&self) -> Result<u64, StoreError> {
        let mut state = self.lock();
        let leases = state.mails.values_mut().filter_map(|row| row.lease_until.take());
        Ok(leases.count() as u64)
    }

    async fn mails_sent(&self, from: NaiveDate, to: NaiveDate) -> Result<u64, StoreError> {
        let state = self.lock();
        let days = state.sent.iter().filter(|(day, _)| (from..=to).contains(*day));
        Ok(days.map(|(_, mails)| mails).sum())
    }

    async fn erase_mails(&self, by: By<'_>, phone: PhoneNumber) -> Result<u64, StoreError> {
        let mut state = self.lock();
        let erased = state.erase_mails(phone);
        state.at(by.now);
        Ok(erased)
    }

    async fn mails(
        &self,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<Page<QueuedMail>, StoreError> {
        let state = self.lock();
        let key = |mail: &QueuedMail| Cursor::at(mail.queued_at, mail.id.uuid());
        let mut mails: Vec<&QueuedMail> = state.mails.values().map(|row| &row.mail).collect();
        mails.retain(|mail| after.as_ref().is_none_or(|after| key(mail) < *after));
        mails.sort_unstable_by_key(|mail| std::cmp::Reverse((mail.queued_at, mail.id)));
        Ok(page(mails, limit, |mail| key(mail)).map(|mail| Some(mail.clone())))
    }

    async fn mail(&self, key: &str) -> Result<Option<QueuedMail>, StoreError> {
        let state = self.lock();
        let row = state.mails.values().find(|row| row.mail.key == key);
        Ok(row.map(|row| row.mail.clone()))
    }

    async fn mailed_notices(
        &self,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<Page<MailedNotice>, StoreError> {
        let state = self.lock();
        let key = |notice: &Notice| Cursor::at(notice.at, notice.id.uuid());
        let mut notices: Vec<&Notice> = state.notices.iter().collect();
        notices.retain(|notice| after.as_ref().is_none_or(|after| key(notice) < *after));
        notices.sort_unstable_by_key(|notice| std::cmp::Reverse((notice.at, notice.id)));
        let mail_of = |notice: &Notice| -> Option<QueuedMail> {
            let id: &MailId = state.noticed.get(&notice.id)?;
            Some(state.mails.get(id)?.mail.clone())
        };
        let shown =
            |notice: &Notice| MailedNotice { mail: mail_of(notice), notice: notice.clone() };
        Ok(page(notices, limit, |notice| key(notice)).map(|notice| Some(shown(notice))))
    }

    async fn day(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Result<Day, StoreError> {
        let state = self.lock();
        let mut day = Day::default();
        let within = |at: DateTime<Utc>| from <= at && at < to;
        for row in state.campaigns.values() {
            let (id, name) = (row.campaign.id, row.campaign.settings.name.clone());
            let mut totals = Totals::default();
            for ((campaign, quarter, outcome), (calls, talk_seconds)) in &state.tallies {
                if *campaign == id && within(*quarter) {
                    totals.add(*outcome, *calls, *talk_seconds);
                }
            }
            if row.campaign.state == RunState::Finished && row.campaign.ended_at.is_some_and(within)
            {
                day.finished.push((id, name.clone()));
            }
            if !totals.outcomes.is_empty() {
                day.campaigns.push(CampaignDay { id, name, totals });
            }
        }
        for row in state.calls.values() {
            let call = &row.call;
            if call.is_test() || !call.ended_at().is_some_and(within) {
                continue;
            }
            day.inbound += u64::from(call.direction == Direction::Inbound);
            let is_unknown =
                call.direction == Direction::Outbound && call.end_reason() == Some("unknown");
            day.follow_ups += u64::from(call.review == Review::NeedsFollowUp || is_unknown);
        }
        for notice in state.notices.iter().filter(|notice| within(notice.at)) {
            *day.notices.entry(notice.kind.word()).or_default() += 1;
        }
        Ok(day)
    }
}
