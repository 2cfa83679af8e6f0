//! The mailer: notices into mails, mails to people. It neither sleeps nor spawns.
//!
//! [`Mailer::pass`] may die at any await and loses nothing: a mail whose fate was not stored is
//! claimed again when its lease ends, and goes out under the same key as the same mail.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, TimeDelta, Utc};

use crate::account::SummaryAt;
use crate::actor::Actor;
use crate::id::MailId;
use crate::mail::{About, Links, Written, notices};
use crate::phone::PhoneNumber;
use crate::port::{
    ActError, By, ClaimedMail, Mail, MailAddress, MailFate, MailSettlement, NewMail, Notice,
    NoticeDay, NoticeGroup, NoticeKind, Notifier, NotifyError, NotifyErrorKind, QueuedMail, Store,
    StoreError, TakenNotices,
};
use crate::summary::{Summary, day_of, is_due};
use crate::time::{Clock, Entropy, Zone};

/// The kind of a summary's mail.
pub const DAILY_SUMMARY: &str = "daily_summary";

/// Notices of a kind that come within so long of the first, on the campaign clock, are one mail.
const GATHER: TimeDelta = TimeDelta::minutes(5);
/// How many notices a mail names one by one.
const NAMED: u32 = 20;
/// How long a claimed mail is held, on the wall clock: longer than any route takes to answer.
const LEASE: TimeDelta = TimeDelta::minutes(2);
/// How many mails one pass sends.
const BATCH: u32 = 20;
/// How long the first wait after a failure is; it doubles.
const FIRST_WAIT: TimeDelta = TimeDelta::seconds(30);
/// The longest wait between two attempts.
const LONGEST_WAIT: TimeDelta = TimeDelta::hours(1);
/// Routes know a key for a day: later than this a mail that may have been sent could be sent twice.
const KEY_HOLDS: TimeDelta = TimeDelta::hours(23);
/// For so many days gone by a summary that was missed is made up for.
const LOOKS_BACK: usize = 2;
/// A summary that could not be sent for so long is of no use.
const SUMMARY_KEEPS: TimeDelta = TimeDelta::hours(24);
/// After so many attempts in vain people are told on the pages.
const TELL_AFTER: u32 = 3;

/// What mails are sent, and to whom.
#[derive(Debug, Clone)]
pub struct MailSettings {
    /// Who gets them.
    pub to: Vec<MailAddress>,
    /// Whether people's names and numbers may stand in them.
    pub details: bool,
    /// Where the pages are.
    pub links: Links,
    /// The zone of "today" and of the summary's hour.
    pub zone: Zone,
    /// When the daily summary goes out; none ends it.
    pub summary_at: Option<NaiveTime>,
    /// How many mails may be sent.
    pub limits: MailLimits,
}

/// How many mails may be sent in a day and in a month of the wall clock in UTC, each receiver as
/// one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MailLimits {
    /// In a day.
    pub per_day: Option<u32>,
    /// In a month.
    pub per_month: Option<u32>,
}

/// What a pass did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pass {
    /// Mails written.
    pub queued: u32,
    /// Mails sent.
    pub sent: u32,
    /// Mails that were tried in vain, or given up.
    pub failed: u32,
}

/// Writes mails and sends them.
pub struct Mailer {
    store: Arc<dyn Store>,
    notifier: Arc<dyn Notifier>,
    clock: Arc<dyn Clock>,
    wall: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    settings: MailSettings,
    /// The day on which it was last asked whether an earlier day's summary was missed: days gone by
    /// don't change.
    looked_back: Mutex<Option<NaiveDate>>,
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailer").field("notifier", &self.notifier).finish_non_exhaustive()
    }
}

impl Mailer {
    /// A mailer. `clock` is the campaign clock, by which days and notices go; `wall` the one by which
    /// mails wait.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        notifier: Arc<dyn Notifier>,
        clock: Arc<dyn Clock>,
        wall: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        settings: MailSettings,
    ) -> Self {
        let looked_back = Mutex::default();
        Self { store, notifier, clock, wall, entropy, settings, looked_back }
    }

    /// The settings in force: the account's own, where it has any, before the server's.
    async fn in_force(&self) -> Result<MailSettings, StoreError> {
        let account = self.store.account().await?.settings;
        let own: Vec<MailAddress> =
            account.mail.to.iter().filter_map(|address| address.parse().ok()).collect();
        let server = &self.settings;
        Ok(MailSettings {
            to: if own.is_empty() { server.to.clone() } else { own },
            details: account.mail.details.unwrap_or(server.details),
            links: server.links.clone(),
            zone: account.time_zone.clone().unwrap_or_else(|| server.zone.clone()),
            summary_at: match account.mail.summary_at {
                None => server.summary_at,
                Some(SummaryAt::Off) => None,
                Some(SummaryAt::At(at)) => Some(at),
            },
            limits: server.limits,
        })
    }

    /// Writes the mails that are due, the day's summary among them, and sends those that wait.
    ///
    /// # Errors
    ///
    /// The store failed. What the route does is no error of a pass: it is stored with its mail.
    pub async fn pass(&self) -> Result<Pass, StoreError> {
        self.pass_while(&|| true).await
    }

    /// The same, but no further mail is begun once `goes_on` says no: a mail under way is not cut
    /// off, for then nobody would know its fate.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub async fn pass_while(
        &self,
        goes_on: &(dyn Fn() -> bool + Send + Sync),
    ) -> Result<Pass, StoreError> {
        let settings = self.in_force().await?;
        let missed = u32::from(self.make_up(&settings).await?);
        let queued = missed + u32::from(self.summarise(&settings).await?);
        let mut pass = Pass { queued, ..Pass::default() };
        for group in self.store.unmailed(self.clock.now() - GATHER, NAMED).await? {
            pass.queued += u32::from(self.tell(group, &settings).await?);
        }
        for _ in 0..BATCH {
            if !goes_on() {
                break;
            }
            let claimed = self.store.claim_mails(self.wall.now(), LEASE, 1).await?;
            let Some(mail) = claimed.into_iter().next() else { break };
            match self.send(mail).await? {
                Fared::Sent => pass.sent += 1,
                Fared::InVain => pass.failed += 1,
                Fared::Held => {}
            }
        }
        Ok(pass)
    }

    /// Queues the summary of the day so far, for whoever wants it now. Once the day's hour has come
    /// it is the day's own, which goes out once; else it is one more, at most one a minute of the
    /// wall clock.
    ///
    /// # Errors
    ///
    /// The store failed, or the idempotency key is taken.
    pub async fn summary_now(&self, by: By<'_>) -> Result<(NaiveDate, QueuedMail), ActError> {
        let settings = self.in_force().await?;
        let (date, ..) = day_of(by.now, &settings.zone);
        let mut key = summary_key(date);
        let is_out = self.store.mail(&key).await?.is_some();
        let is_due = settings.summary_at.is_some_and(|at| is_due(by.now, at, &settings.zone));
        if is_out || !is_due {
            key = format!("{key}/{}", self.wall.now().format("%Y-%m-%dT%H:%M"));
        }
        let written = self.summary(by.now, by.now, &settings).await?.write(&settings.links);
        let (mail, _) = self.queue_summary(by, key, written, &settings).await?;
        Ok((date, mail))
    }

    /// Queues the day's summary if its hour has come and it was not queued before.
    async fn summarise(&self, settings: &MailSettings) -> Result<bool, StoreError> {
        let Some(at) = settings.summary_at else { return Ok(false) };
        let (now, zone) = (self.clock.now(), &settings.zone);
        let key = summary_key(zone.date(now));
        if !is_due(now, at, zone) || self.store.mail(&key).await?.is_some() {
            return Ok(false);
        }
        let written = self.summary(now, now, settings).await?.write(&settings.links);
        let by = By::new(&Actor::System, now);
        let queued = self.queue_summary(by, key, written, settings).await;
        Ok(queued.map_err(store_error)?.1)
    }

    /// Queues the summary of the last day on which something happened, if nobody was there to do so
    /// between its hour and midnight.
    async fn make_up(&self, settings: &MailSettings) -> Result<bool, StoreError> {
        if settings.summary_at.is_none() {
            return Ok(false);
        }
        let now = self.clock.now();
        let (today, begins, _) = day_of(now, &settings.zone);
        if *self.looked_back.lock().unwrap_or_else(PoisonError::into_inner) == Some(today) {
            return Ok(false);
        }
        let mut queued = false;
        let mut ends = begins;
        for _ in 0..LOOKS_BACK {
            let within = ends - TimeDelta::seconds(1);
            let key = summary_key(settings.zone.date(within));
            if self.store.mail(&key).await?.is_some() {
                break;
            }
            let summary = self.summary(within, ends, settings).await?;
            if !summary.day.is_empty() {
                let by = By::new(&Actor::System, now);
                let written = summary.write(&settings.links);
                let done = self.queue_summary(by, key, written, settings).await;
                queued = done.map_err(store_error)?.1;
                break;
            }
            ends = day_of(within, &settings.zone).1;
        }
        *self.looked_back.lock().unwrap_or_else(PoisonError::into_inner) = Some(today);
        Ok(queued)
    }

    /// What the day of an instant brought until another.
    async fn summary(
        &self,
        within: DateTime<Utc>,
        until: DateTime<Utc>,
        settings: &MailSettings,
    ) -> Result<Summary, StoreError> {
        let zone = settings.zone.clone();
        let (date, from, to) = day_of(within, &zone);
        Ok(Summary { date, until, zone, day: self.store.day(from, to).await? })
    }

    async fn queue_summary(
        &self,
        by: By<'_>,
        key: String,
        written: Written,
        settings: &MailSettings,
    ) -> Result<(QueuedMail, bool), ActError> {
        let queued =
            self.store.queue_mail(by, self.mail(key, DAILY_SUMMARY, written, settings)).await?;
        // A mail without notices is either queued now or was before.
        queued
            .ok_or_else(|| StoreError::new(crate::port::StoreErrorKind::Other, "queue_mail").into())
    }

    /// Queues the mail about a group of notices; false if another worker was quicker.
    async fn tell(&self, group: NoticeGroup, settings: &MailSettings) -> Result<bool, StoreError> {
        let (links, zone) = (&settings.links, &settings.zone);
        let Some(newest) = group.last.first() else { return Ok(false) };
        let taken = TakenNotices { count: group.count, through: newest.id };
        let key = format!("notices/{}", group.first.id);
        let bare = notices(&group, &[], links, zone);
        let mut new = self.mail(key, group.word, bare, settings);
        new.notices = Some(taken);
        if settings.details {
            let mut details = Vec::new();
            for notice in &group.last {
                details.push(self.about(notice).await?);
            }
            let body = notices(&group, &details, links, zone).body;
            new.people =
                details.iter().filter_map(|about| about.phone).collect::<Vec<PhoneNumber>>();
            new.bare = Some(std::mem::replace(&mut new.body, body));
        }
        let by = By::new(&Actor::System, self.clock.now());
        let queued = self.store.queue_mail(by, new).await.map_err(store_error)?;
        Ok(queued.is_some_and(|(_, is_new)| is_new))
    }

    async fn about(&self, notice: &Notice) -> Result<About, StoreError> {
        Ok(match notice.kind {
            NoticeKind::CampaignFinished(id) => {
                let view = self.store.campaign(id).await?;
                let name = view.map(|view| view.campaign.settings.name.clone());
                About { name, phone: None }
            }
            NoticeKind::InboundCall(id)
            | NoticeKind::MessageLeft(id)
            | NoticeKind::CallGivenUp(id) => {
                let view = self.store.call(id).await?;
                view.map_or_else(About::default, |view| About {
                    name: view.client_name,
                    phone: view.call.phone,
                })
            }
            _ => About::default(),
        })
    }

    fn mail(&self, key: String, kind: &str, written: Written, settings: &MailSettings) -> NewMail {
        let queued_at = self.wall.now();
        NewMail {
            id: MailId::new(queued_at, &*self.entropy),
            key,
            kind: kind.to_owned(),
            to: settings.to.iter().map(ToString::to_string).collect(),
            subject: written.subject,
            body: written.body,
            bare: None,
            people: Vec::new(),
            queued_at,
            notices: None,
        }
    }

    async fn send(&self, claimed: ClaimedMail) -> Result<Fared, StoreError> {
        let wall = self.wall.now();
        if let Some(reason) = self.is_too_late(&claimed, wall) {
            return self.settle(&claimed, MailFate::Failed { reason }, Fared::InVain).await;
        }
        if let Some(reason) = self.limit_reached(claimed.mail.receivers, wall).await? {
            let fate = MailFate::Wait {
                until: wall + LONGEST_WAIT,
                reason: reason.to_owned(),
                doubt_since: claimed.doubt_since,
                tried: false,
            };
            return self.settle(&claimed, fate, Fared::Held).await;
        }
        let mail = Mail {
            to: claimed.to.iter().filter_map(|address| address.parse().ok()).collect(),
            subject: claimed.mail.subject.clone(),
            text: claimed.body.text.clone(),
            html: claimed.body.html.clone(),
            // Of the mail alone: several servers may send through one account.
            key: format!("callcore-{}", claimed.mail.id),
        };
        match self.notifier.send(&mail).await {
            Ok(()) => self.settle(&claimed, MailFate::Sent, Fared::Sent).await,
            Err(error) => {
                let fate = self.after(&claimed, &error, wall);
                self.settle(&claimed, fate, Fared::InVain).await
            }
        }
    }

    /// Why a mail is not tried any more.
    fn is_too_late(&self, claimed: &ClaimedMail, wall: DateTime<Utc>) -> Option<String> {
        if claimed.doubt_since.is_some_and(|since| wall - since >= KEY_HOLDS) {
            return Some("unknown".to_owned());
        }
        let is_summary = claimed.mail.kind == DAILY_SUMMARY;
        let is_old = is_summary && wall - claimed.mail.queued_at >= SUMMARY_KEEPS;
        is_old.then(|| claimed.mail.reason.clone().unwrap_or_else(|| "too_late".to_owned()))
    }

    /// The limit that so many more mails would break.
    async fn limit_reached(
        &self,
        more: u32,
        wall: DateTime<Utc>,
    ) -> Result<Option<&'static str>, StoreError> {
        let limits = self.settings.limits;
        let today = wall.date_naive();
        for (limit, from, reason) in [
            (limits.per_month, month_of(today), "monthly_limit"),
            (limits.per_day, today, "daily_limit"),
        ] {
            let Some(limit) = limit else { continue };
            if self.store.mails_sent(from, today).await? + u64::from(more) > u64::from(limit) {
                return Ok(Some(reason));
            }
        }
        Ok(None)
    }

    fn after(&self, claimed: &ClaimedMail, error: &NotifyError, wall: DateTime<Utc>) -> MailFate {
        let reason = error.reason().to_owned();
        let wait = match error.kind() {
            NotifyErrorKind::Refused => return MailFate::Failed { reason },
            NotifyErrorKind::Misconfigured
            | NotifyErrorKind::DailyQuota
            | NotifyErrorKind::MonthlyQuota => LONGEST_WAIT,
            _ => self.backoff(claimed.mail.attempts),
        };
        let wait = error.wait().map_or(wait, |asked| wait.max(asked).min(LONGEST_WAIT));
        let in_doubt = error.kind() == NotifyErrorKind::Unknown;
        let doubt_since = claimed.doubt_since.or_else(|| in_doubt.then_some(wall));
        MailFate::Wait { until: wall + wait, reason, doubt_since, tried: true }
    }

    /// Doubles with every attempt, and is spread so that mails that failed together part.
    fn backoff(&self, attempts: u32) -> TimeDelta {
        let wait = FIRST_WAIT * 2_i32.pow(attempts.saturating_sub(1).min(10));
        let wait = wait.min(LONGEST_WAIT);
        let mut random = [0];
        self.entropy.fill(&mut random);
        wait * 3 / 4 + wait / 2 * i32::from(random[0]) / 256
    }

    async fn settle(
        &self,
        claimed: &ClaimedMail,
        fate: MailFate,
        fared: Fared,
    ) -> Result<Fared, StoreError> {
        let wall = self.wall.now();
        let notices = self.follow(claimed, &fate, wall).await?;
        let (mail, epoch) = (claimed.mail.id, claimed.epoch);
        let settlement = MailSettlement { mail, epoch, fate, notices };
        let by = By::new(&Actor::System, self.clock.now());
        self.store.settle_mail(by, wall, &settlement).await?;
        Ok(fared)
    }

    /// What people should hear about mails.
    async fn follow(
        &self,
        claimed: &ClaimedMail,
        fate: &MailFate,
        wall: DateTime<Utc>,
    ) -> Result<Vec<NoticeKind>, StoreError> {
        let today = wall.date_naive();
        let failing = match fate {
            MailFate::Sent => false,
            MailFate::Failed { .. } => true,
            MailFate::Wait { until, tried, .. } => {
                !tried || *until - wall >= LONGEST_WAIT || claimed.mail.attempts >= TELL_AFTER
            }
        };
        let mut notices = Vec::new();
        if failing {
            notices.push(NoticeKind::MailFailing(NoticeDay(today)));
        }
        if let (MailFate::Sent, Some(limit)) = (fate, self.settings.limits.per_month) {
            let month = month_of(today);
            let sent = self.store.mails_sent(month, today).await?;
            if (sent + u64::from(claimed.mail.receivers)) * 5 >= u64::from(limit) * 4 {
                notices.push(NoticeKind::MailRunsShort(NoticeDay(month)));
            }
        }
        Ok(notices)
    }
}

enum Fared {
    Sent,
    InVain,
    Held,
}

fn summary_key(date: NaiveDate) -> String {
    format!("summary/{date}")
}

fn month_of(date: NaiveDate) -> NaiveDate {
    date.with_day(1).unwrap_or(date)
}

/// What the system does has no idempotency key that could be taken.
fn store_error(error: ActError) -> StoreError {
    match error {
        ActError::Store(error) => error,
        ActError::Refused(refused) => {
            StoreError::new(crate::port::StoreErrorKind::Other, "queue_mail").because(refused)
        }
    }
}

#[cfg(test)]
mod tests;
