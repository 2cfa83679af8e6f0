use async_trait::async_trait;
use callcore::analytics::Totals;
use callcore::call::Outcome;
use callcore::id::{CampaignId, MailId};
use callcore::phone::PhoneNumber;
use callcore::port::{
    ActError, Body, By, CampaignDay, ClaimedMail, Cursor, Day, Effect, MailFate, MailSettlement,
    MailState, MailedNotice, NewMail, NoticeGroup, NoticeKind, Outbox, Page, QueuedMail,
    StoreError,
};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde_json::json;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};

use super::access::notice_of;
use super::fail::Fail;
use super::open::SqliteStore;
use super::row::{digits, document, instant, micros, word};
use super::search::{cut, push_place};
use super::work::Work;

#[async_trait]
impl Outbox for SqliteStore {
    async fn unmailed(
        &self,
        until: DateTime<Utc>,
        shown: u32,
    ) -> Result<Vec<NoticeGroup>, StoreError> {
        let read = async {
            let mut conn = self.read().await?;
            let mut groups = Vec::new();
            for kind in NoticeKind::WORDS.iter().filter(|kind| NoticeKind::is_mailed(kind)) {
                groups.extend(group(&mut conn, kind, until, shown.max(1)).await?);
            }
            Ok(groups)
        };
        read.await.map_err(|fail: Fail| fail.store("unmailed"))
    }

    async fn queue_mail(
        &self,
        by: By<'_>,
        new: NewMail,
    ) -> Result<Option<(QueuedMail, bool)>, ActError> {
        self.put_mail(by, new).await.map_err(|fail| fail.act("queue_mail"))
    }

    async fn claim_mails(
        &self,
        wall: DateTime<Utc>,
        lease_for: TimeDelta,
        limit: u32,
    ) -> Result<Vec<ClaimedMail>, StoreError> {
        let claim = self.lease_mails(wall, lease_for, limit);
        claim.await.map_err(|fail| fail.store("claim_mails"))
    }

    async fn settle_mail(
        &self,
        by: By<'_>,
        wall: DateTime<Utc>,
        settlement: &MailSettlement,
    ) -> Result<bool, StoreError> {
        let settle = self.settle_one(by, wall, settlement);
        settle.await.map_err(|fail| fail.store("settle_mail"))
    }

    async fn release_mails(&self) -> Result<u64, StoreError> {
        let release = async {
            let mut work = self.write().await?;
            let sql = "update mails set lease_until = null
                 where state = 'waiting' and lease_until is not null";
            let released = sqlx::query(sql).execute(work.conn()).await?.rows_affected();
            work.commit().await?;
            Ok(released)
        };
        release.await.map_err(|fail: Fail| fail.store("release_mails"))
    }

    async fn mails_sent(&self, from: NaiveDate, to: NaiveDate) -> Result<u64, StoreError> {
        let read = async {
            let mut conn = self.read().await?;
            let sent: i64 = sqlx::query_scalar(
                "select coalesce(sum(mails), 0) from mails_sent where day >= ?1 and day <= ?2",
            )
            .bind(from.to_string())
            .bind(to.to_string())
            .fetch_one(&mut *conn)
            .await?;
            Ok(sent.cast_unsigned())
        };
        read.await.map_err(|fail: Fail| fail.store("mails_sent"))
    }

    async fn erase_mails(&self, by: By<'_>, phone: PhoneNumber) -> Result<u64, StoreError> {
        let erase = async {
            let mut work = self.write().await?;
            work.at(by.now);
            let erased = work.erase_mails(phone).await?;
            work.commit().await?;
            Ok(erased)
        };
        erase.await.map_err(|fail: Fail| fail.store("erase_mails"))
    }

    async fn mails(
        &self,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<Page<QueuedMail>, StoreError> {
        let read = async {
            let mut sql = QueryBuilder::<Sqlite>::new("select * from mails where true");
            if let Some(after) = after {
                push_place(&mut sql, "(queued_at, id) <", &after);
            }
            sql.push(" order by queued_at desc, id desc limit ").push_bind(i64::from(limit) + 1);
            let mut conn = self.read().await?;
            let rows = sql.build().fetch_all(&mut *conn).await?;
            let mails = rows.iter().map(mail_of).collect::<Result<Vec<_>, _>>()?;
            Ok(cut(mails, limit, |mail| Cursor::at(mail.queued_at, mail.id.uuid())))
        };
        read.await.map_err(|fail: Fail| fail.store("mails"))
    }

    async fn mail(&self, key: &str) -> Result<Option<QueuedMail>, StoreError> {
        let read = async {
            let mut conn = self.read().await?;
            by_key(&mut conn, key).await
        };
        read.await.map_err(|fail: Fail| fail.store("mail"))
    }

    async fn mailed_notices(
        &self,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<Page<MailedNotice>, StoreError> {
        self.notices_page(after, limit).await.map_err(|fail| fail.store("mailed_notices"))
    }

    async fn day(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Result<Day, StoreError> {
        self.whole_day(micros(from), micros(to)).await.map_err(|fail| fail.store("day"))
    }
}

/// What is to be one mail of a kind, unless a mail of it waits or its first notice is too young.
async fn group(
    conn: &mut SqliteConnection,
    kind: &'static str,
    until: DateTime<Utc>,
    shown: u32,
) -> Result<Option<NoticeGroup>, Fail> {
    let first = sqlx::query(
        "select * from outbox where mail is null and kind = ?1
             and not exists (select 1 from mails where kind = ?1 and state = 'waiting')
         order by place limit 1",
    )
    .bind(kind)
    .fetch_optional(&mut *conn)
    .await?;
    let Some(first) = first.as_ref().map(notice_of).transpose()? else { return Ok(None) };
    if first.at > until {
        return Ok(None);
    }
    let count: i64 =
        sqlx::query_scalar("select count(*) from outbox where mail is null and kind = ?1")
            .bind(kind)
            .fetch_one(&mut *conn)
            .await?;
    let last = sqlx::query(
        "select * from outbox where mail is null and kind = ?1 order by place desc limit ?2",
    )
    .bind(kind)
    .bind(shown)
    .fetch_all(&mut *conn)
    .await?;
    let last = last.iter().map(notice_of).collect::<Result<Vec<_>, _>>()?;
    Ok(Some(NoticeGroup { word: kind, count: count.cast_unsigned(), first, last }))
}

async fn by_key(conn: &mut SqliteConnection, key: &str) -> Result<Option<QueuedMail>, Fail> {
    let row = sqlx::query("select * from mails where key = ?1").bind(key).fetch_optional(conn);
    row.await?.as_ref().map(mail_of).transpose()
}

impl SqliteStore {
    async fn put_mail(&self, by: By<'_>, new: NewMail) -> Result<Option<(QueuedMail, bool)>, Fail> {
        let mut work = self.write().await?;
        work.enter(by).await?;
        if let Some(mail) = by_key(work.conn(), &new.key).await? {
            return Ok(Some((mail, false)));
        }
        if !work.take_notices(&new).await? {
            return Ok(None);
        }
        let mail = work.insert_mail(&new).await?;
        work.audit(by, "mail.queue", mail.id.to_string(), None, None).await?;
        work.leave(by, &Effect::Mail(Box::new(mail.clone()))).await?;
        work.commit().await?;
        Ok(Some((mail, true)))
    }

    async fn lease_mails(
        &self,
        wall: DateTime<Utc>,
        lease_for: TimeDelta,
        limit: u32,
    ) -> Result<Vec<ClaimedMail>, Fail> {
        const DUE: &str = "select *, doubt_since as doubted from mails where state = 'waiting'
             and at <= ?1 and (lease_until is null or lease_until <= ?1)
             order by at, id limit ?2";
        // Most looks find nothing, and a look must not take a turn from a writer.
        let mut conn = self.read().await?;
        let due = sqlx::query(DUE).bind(micros(wall)).bind(limit).fetch_optional(&mut *conn);
        if due.await?.is_none() {
            return Ok(Vec::new());
        }
        drop(conn);
        let mut work = self.write().await?;
        let due = sqlx::query(DUE).bind(micros(wall)).bind(limit).fetch_all(work.conn()).await?;
        let mut claimed = Vec::new();
        for before in &due {
            let doubted: Option<i64> = before.try_get("doubted")?;
            // Whoever dies now may have sent it.
            let row = sqlx::query(
                "update mails set epoch = epoch + 1, attempts = attempts + 1, lease_until = ?2,
                     doubt_since = coalesce(doubt_since, ?3)
                 where id = ?1 returning *",
            )
            .bind(before.try_get::<uuid::Uuid, _>("id")?)
            .bind(micros(wall + lease_for))
            .bind(micros(wall))
            .fetch_one(work.conn())
            .await?;
            claimed.push(ClaimedMail {
                mail: mail_of(&row)?,
                epoch: row.try_get::<i64, _>("epoch")?.cast_unsigned(),
                to: document(row.try_get("receivers")?, "receivers")?,
                body: Body { text: row.try_get("text")?, html: row.try_get("html")? },
                doubt_since: doubted.map(instant).transpose()?,
            });
        }
        work.commit().await?;
        Ok(claimed)
    }

    async fn settle_one(
        &self,
        by: By<'_>,
        wall: DateTime<Utc>,
        settlement: &MailSettlement,
    ) -> Result<bool, Fail> {
        let mut work = self.write().await?;
        work.at(by.now);
        let receivers: Option<i64> = sqlx::query_scalar(
            "select receiver_count from mails where id = ?1 and epoch = ?2 and state = 'waiting'",
        )
        .bind(settlement.mail.uuid())
        .bind(settlement.epoch.cast_signed())
        .fetch_optional(work.conn())
        .await?;
        let Some(receivers) = receivers else { return Ok(false) };
        match &settlement.fate {
            MailFate::Sent => {
                work.end_mail(settlement.mail, MailState::Sent, None, Some(wall)).await?;
                sqlx::query(
                    "insert into mails_sent (day, mails) values (?1, ?2)
                     on conflict do update set mails = mails + excluded.mails",
                )
                .bind(wall.date_naive().to_string())
                .bind(receivers)
                .execute(work.conn())
                .await?;
            }
            MailFate::Wait { until, reason, doubt_since, tried } => {
                sqlx::query(
                    "update mails set at = ?2, reason = ?3, doubt_since = ?4, lease_until = null,
                         attempts = attempts - ?5 where id = ?1",
                )
                .bind(settlement.mail.uuid())
                .bind(micros(*until))
                .bind(reason)
                .bind(doubt_since.map(micros))
                .bind(!tried)
                .execute(work.conn())
                .await?;
            }
            MailFate::Failed { reason } => {
                let (mail, reason) = (settlement.mail, Some(reason.as_str()));
                work.end_mail(mail, MailState::Failed, reason, Some(wall)).await?;
            }
        }
        for kind in &settlement.notices {
            work.notify(by.now, *kind);
        }
        work.commit().await?;
        Ok(true)
    }

    async fn notices_page(
        &self,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<Page<MailedNotice>, Fail> {
        let mut sql = QueryBuilder::<Sqlite>::new("select * from outbox where true");
        if let Some(after) = after {
            push_place(&mut sql, "(at, id) <", &after);
        }
        sql.push(" order by at desc, id desc limit ").push_bind(i64::from(limit) + 1);
        let mut conn = self.read().await?;
        let rows = sql.build().fetch_all(&mut *conn).await?;
        let mut notices = Vec::new();
        for row in &rows {
            let id: Option<uuid::Uuid> = row.try_get("mail")?;
            let mail = match id {
                Some(id) => {
                    let mail = sqlx::query("select * from mails where id = ?1").bind(id);
                    let row = mail.fetch_optional(&mut *conn).await?;
                    row.as_ref().map(mail_of).transpose()?
                }
                None => None,
            };
            notices.push(MailedNotice { notice: notice_of(row)?, mail });
        }
        Ok(cut(notices, limit, |it| Cursor::at(it.notice.at, it.notice.id.uuid())))
    }

    async fn whole_day(&self, from: i64, to: i64) -> Result<Day, Fail> {
        let mut conn = self.read().await?;
        let mut day =
            Day { campaigns: campaign_days(&mut conn, from, to).await?, ..Day::default() };
        let finished = sqlx::query(
            "select id, document ->> 'name' as name from campaigns
             join campaign_settings on campaign = id and version = settings_version
             where ended_at >= ?1 and ended_at < ?2 and state = 'finished' order by id",
        )
        .bind(from)
        .bind(to)
        .fetch_all(&mut *conn)
        .await?;
        for row in finished {
            day.finished.push((CampaignId::from_uuid(row.try_get("id")?), row.try_get("name")?));
        }
        let calls = sqlx::query(
            "select count(*) filter (where direction = 'inbound') as inbound,
                count(*) filter (where review = 'needs_follow_up'
                    or (direction = 'outbound' and end_reason = 'unknown')) as follow_ups
             from history where ended_at >= ?1 and ended_at < ?2 and intent <> 'test'",
        )
        .bind(from)
        .bind(to)
        .fetch_one(&mut *conn)
        .await?;
        day.inbound = calls.try_get::<i64, _>("inbound")?.cast_unsigned();
        day.follow_ups = calls.try_get::<i64, _>("follow_ups")?.cast_unsigned();
        let notices = sqlx::query(
            "select kind, object, count(*) as notices from outbox
             where at >= ?1 and at < ?2 group by kind",
        )
        .bind(from)
        .bind(to)
        .fetch_all(&mut *conn)
        .await?;
        for row in notices {
            let kind = NoticeKind::parse(row.try_get("kind")?, row.try_get("object")?);
            let count = row.try_get::<i64, _>("notices")?.cast_unsigned();
            day.notices.insert(kind.ok_or(Fail::Corrupt("notice"))?.word(), count);
        }
        Ok(day)
    }
}

async fn campaign_days(
    conn: &mut SqliteConnection,
    from: i64,
    to: i64,
) -> Result<Vec<CampaignDay>, Fail> {
    let rows = sqlx::query(
        "select added.*, document ->> 'name' as name from (
             select campaign, outcome, sum(calls) as calls, sum(talk_seconds) as talk_seconds
             from tallies where quarter >= ?1 and quarter < ?2 group by campaign, outcome
         ) as added
         join campaigns on campaigns.id = added.campaign
         join campaign_settings on campaign_settings.campaign = campaigns.id
             and version = settings_version
         where calls > 0 order by added.campaign",
    )
    .bind(from)
    .bind(to)
    .fetch_all(conn)
    .await?;
    let mut days: Vec<CampaignDay> = Vec::new();
    for row in rows {
        let id = CampaignId::from_uuid(row.try_get("campaign")?);
        let outcome = word(row.try_get("outcome")?, Outcome::parse, "outcome")?;
        let calls = row.try_get::<i64, _>("calls")?.cast_unsigned();
        let talk_seconds = row.try_get::<i64, _>("talk_seconds")?.cast_unsigned();
        if days.last().is_none_or(|day| day.id != id) {
            let (name, totals) = (row.try_get("name")?, Totals::default());
            days.push(CampaignDay { id, name, totals });
        }
        if let Some(day) = days.last_mut() {
            day.totals.add(outcome, calls, talk_seconds);
        }
    }
    Ok(days)
}

impl Work<'_> {
    /// Puts the notices a mail was made from into it; false if they are others by now.
    async fn take_notices(&mut self, new: &NewMail) -> Result<bool, Fail> {
        let Some(notices) = new.notices else { return Ok(true) };
        let taken = sqlx::query(
            "update outbox set mail = ?1
             where mail is null and kind = ?2
                 and place <= (select place from outbox where id = ?3)
                 and not exists (select 1 from mails where kind = ?2 and state = 'waiting')",
        )
        .bind(new.id.uuid())
        .bind(&new.kind)
        .bind(notices.through.uuid())
        .execute(self.conn())
        .await?;
        Ok(taken.rows_affected() == notices.count)
    }

    async fn insert_mail(&mut self, new: &NewMail) -> Result<QueuedMail, Fail> {
        let bare = new.bare.as_ref();
        let row = sqlx::query(
            "insert into mails (id, key, kind, receivers, receiver_count, subject, text, html,
                 bare_text, bare_html, state, queued_at, at)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 'waiting', ?11, ?11) returning *",
        )
        .bind(new.id.uuid())
        .bind(&new.key)
        .bind(&new.kind)
        .bind(json!(new.to).to_string())
        .bind(u32::try_from(new.to.len()).unwrap_or(u32::MAX))
        .bind(&new.subject)
        .bind(&new.body.text)
        .bind(&new.body.html)
        .bind(bare.map(|bare| &bare.text))
        .bind(bare.map(|bare| &bare.html))
        .bind(micros(new.queued_at))
        .fetch_one(self.conn())
        .await?;
        for phone in &new.people {
            sqlx::query("insert or ignore into mail_people (phone, mail) values (?1, ?2)")
                .bind(digits(*phone))
                .bind(new.id.uuid())
                .execute(self.conn())
                .await?;
        }
        mail_of(&row)
    }

    /// Ends a mail, and forgets its words; without an instant it keeps the one it has.
    async fn end_mail(
        &mut self,
        id: MailId,
        state: MailState,
        reason: Option<&str>,
        at: Option<DateTime<Utc>>,
    ) -> Result<(), Fail> {
        sqlx::query(
            "update mails set state = ?2, reason = ?3, at = coalesce(?4, at), text = null,
                 html = null, bare_text = null, bare_html = null, lease_until = null
             where id = ?1",
        )
        .bind(id.uuid())
        .bind(state.as_str())
        .bind(reason)
        .bind(at.map(micros))
        .execute(self.conn())
        .await?;
        self.forget_people(id).await
    }

    async fn forget_people(&mut self, mail: MailId) -> Result<(), Fail> {
        let forget = sqlx::query("delete from mail_people where mail = ?1").bind(mail.uuid());
        forget.execute(self.conn()).await?;
        Ok(())
    }

    /// Takes a person out of every mail that waits; part of whatever else erases them.
    pub(super) async fn erase_mails(&mut self, phone: PhoneNumber) -> Result<u64, Fail> {
        let rows = sqlx::query(
            "select id, doubt_since is null as unsent from mails
             where id in (select mail from mail_people where phone = ?1)",
        )
        .bind(digits(phone))
        .fetch_all(self.conn())
        .await?;
        for row in &rows {
            let mail = MailId::from_uuid(row.try_get("id")?);
            if row.try_get("unsent")? {
                sqlx::query(
                    "update mails set text = coalesce(bare_text, ''),
                         html = coalesce(bare_html, ''), bare_text = null, bare_html = null
                     where id = ?1",
                )
                .bind(mail.uuid())
                .execute(self.conn())
                .await?;
                self.forget_people(mail).await?;
            } else {
                self.end_mail(mail, MailState::Failed, Some("erased"), None).await?;
            }
        }
        Ok(rows.len() as u64)
    }
}

fn mail_of(row: &SqliteRow) -> Result<QueuedMail, Fail> {
    Ok(QueuedMail {
        id: MailId::from_uuid(row.try_get("id")?),
        key: row.try_get("key")?,
        kind: row.try_get("kind")?,
        subject: row.try_get("subject")?,
        receivers: row.try_get("receiver_count")?,
        state: word(row.try_get("state")?, MailState::parse, "mail state")?,
        reason: row.try_get("reason")?,
        attempts: row.try_get("attempts")?,
        queued_at: instant(row.try_get("queued_at")?)?,
        at: instant(row.try_get("at")?)?,
    })
}
