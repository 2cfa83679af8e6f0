use std::collections::VecDeque;
use std::sync::Mutex;

use async_trait::async_trait;
use serde_json::Value;

use super::*;
use crate::call::{AnsweredBy, CallRef, EventKind, InboundRing, Report};
use crate::id::CallId;
use crate::memory::MemoryStore;
use crate::port::{MailState, Outbox};
use crate::testing::fixtures::{Scene, monday};
use crate::time::{ManualClock, SeededEntropy};

#[derive(Debug, Default)]
struct Route {
    answers: Mutex<VecDeque<NotifyErrorKind>>,
    taken: Mutex<Vec<Mail>>,
}

impl Route {
    fn fails(&self, kinds: &[NotifyErrorKind]) {
        self.answers.lock().unwrap().extend(kinds);
    }

    fn taken(&self) -> Vec<Mail> {
        self.taken.lock().unwrap().clone()
    }

    fn subjects(&self) -> Vec<String> {
        self.taken().into_iter().map(|mail| mail.subject).collect()
    }
}

#[async_trait]
impl Notifier for Route {
    fn kind(&self) -> &'static str {
        "test"
    }

    async fn send(&self, mail: &Mail) -> Result<(), NotifyError> {
        let kind = self.answers.lock().unwrap().pop_front();
        if kind.is_none() || kind == Some(NotifyErrorKind::Unknown) {
            self.taken.lock().unwrap().push(mail.clone());
        }
        kind.map_or(Ok(()), |kind| Err(NotifyError::new(kind, "scripted")))
    }
}

struct World {
    store: Arc<MemoryStore>,
    route: Arc<Route>,
    clock: Arc<ManualClock>,
    mailer: Mailer,
}

fn settings() -> MailSettings {
    MailSettings {
        to: MailAddress::list("ada@example.com, ops@example.com").unwrap(),
        details: false,
        links: Links::new("https://calls.example.com"),
        zone: "America/New_York".parse().unwrap(),
        summary_at: None,
        limits: MailLimits::default(),
    }
}

impl World {
    fn new(settings: MailSettings) -> Self {
        Self::over(Arc::new(MemoryStore::default()), settings)
    }

    fn over(store: Arc<MemoryStore>, settings: MailSettings) -> Self {
        let (route, clock) = (Arc::new(Route::default()), Arc::new(ManualClock::new(monday())));
        let mailer = Mailer::new(
            store.clone(),
            route.clone(),
            clock.clone(),
            clock.clone(),
            Arc::new(SeededEntropy::new(1)),
            settings,
        );
        Self { store, route, clock, mailer }
    }

    async fn rings(&self, carrier_call_id: &str) -> CallId {
        let now = self.clock.now();
        let new_id = CallId::new(now, &*self.mailer.entropy);
        let from = "+12125550123".parse().ok();
        let ring = InboundRing { carrier_call_id: carrier_call_id.to_owned(), from, new_id };
        let event = crate::call::CallEvent { at: now, kind: EventKind::Ringing };
        let report = Report { call: CallRef::Inbound(ring), event };
        let by = By::new(&Actor::System, now);
        crate::port::Dispatch::record(&*self.store, by, &[report]).await.unwrap();
        new_id
    }

    async fn pass(&self) -> Pass {
        self.mailer.pass().await.unwrap()
    }

    async fn only_mail(&self) -> QueuedMail {
        let mut mails = self.store.mails(None, 10).await.unwrap().items;
        assert_eq!(mails.len(), 1, "{mails:?}");
        mails.remove(0)
    }

    fn local(&self, text: &str) {
        let zone = &self.mailer.settings.zone;
        let civil: chrono::NaiveDateTime = text.parse().unwrap();
        let guess = civil.and_utc();
        let offset = TimeDelta::seconds(i64::from(zone.offset_seconds(guess)));
        self.clock.advance_to(guess - offset);
    }
}

#[tokio::test]
async fn notices_of_five_minutes_are_one_mail_with_counts_and_links_only() {
    let world = World::new(settings());
    let first = world.rings("IN-1").await;
    assert_eq!(world.pass().await, Pass::default(), "it waits for others");
    world.clock.advance(TimeDelta::minutes(3));
    let second = world.rings("IN-2").await;
    world.clock.advance(TimeDelta::minutes(2));
    assert_eq!(world.pass().await, Pass { queued: 1, sent: 1, failed: 0 });
    assert_eq!(world.route.subjects(), ["2 calls came in"]);
    let mail = world.route.taken().remove(0);
    for call in [first, second] {
        assert!(mail.text.contains(&format!("https://calls.example.com/calls/{call}")));
    }
    assert!(!mail.text.contains("5550123") && !mail.html.contains("5550123"));
    world.clock.advance(TimeDelta::days(1));
    assert_eq!(world.pass().await, Pass::default(), "nothing is told twice");
}

#[tokio::test]
async fn details_stand_in_a_mail_where_they_are_wanted_and_not_after_an_erasure() {
    let world = World::new(MailSettings { details: true, ..settings() });
    world.rings("IN-1").await;
    world.clock.advance(GATHER);
    world.route.fails(&[NotifyErrorKind::Temporary]);
    world.pass().await;
    let by = By::new(&Actor::System, world.clock.now());
    let phone = "+12125550123".parse().unwrap();
    assert_eq!(world.store.erase_mails(by, phone).await.unwrap(), 1);
    world.clock.advance(LONGEST_WAIT);
    world.pass().await;
    let erased = world.route.taken().remove(0);
    assert!(!erased.text.contains("5550123") && !erased.html.contains("5550123"));

    let world = World::new(MailSettings { details: true, ..settings() });
    world.rings("IN-1").await;
    world.clock.advance(GATHER);
    world.pass().await;
    let mail = world.route.taken().remove(0);
    assert!(mail.text.contains("+12125550123") && !mail.subject.contains("5550123"));
}

#[tokio::test]
async fn a_mailer_that_died_between_sending_and_marking_sends_the_same_mail_again() {
    let world = World::new(settings());
    world.rings("IN-1").await;
    world.clock.advance(GATHER);
    world.route.fails(&[NotifyErrorKind::Unknown]);
    // The pass ends where the route does not answer any more, and the next finds its lease.
    let claimed = {
        let group = world.store.unmailed(monday(), 5).await.unwrap().remove(0);
        world.mailer.tell(group, &settings()).await.unwrap();
        world.store.claim_mails(world.clock.now(), LEASE, 1).await.unwrap()
    };
    let mail = Mail {
        to: world.mailer.settings.to.clone(),
        subject: claimed[0].mail.subject.clone(),
        text: claimed[0].body.text.clone(),
        html: claimed[0].body.html.clone(),
        key: format!("callcore-{}", claimed[0].mail.id),
    };
    world.route.send(&mail).await.unwrap_err();
    assert_eq!(world.pass().await, Pass::default(), "its lease holds");
    world.clock.advance(LEASE);
    assert_eq!(world.pass().await.sent, 1);
    let taken = world.route.taken();
    assert_eq!((taken.len(), &taken[0]), (2, &taken[1]), "word for word, under the same key");
}

#[tokio::test]
async fn each_kind_of_failure_has_its_own_end() {
    use NotifyErrorKind as Kind;
    for (kind, state, least, most) in [
        (Kind::Refused, MailState::Failed, 0, 0),
        (Kind::Misconfigured, MailState::Waiting, 3600, 3600),
        (Kind::DailyQuota, MailState::Waiting, 3600, 3600),
        (Kind::MonthlyQuota, MailState::Waiting, 3600, 3600),
        (Kind::RateLimited, MailState::Waiting, 22, 38),
        (Kind::Temporary, MailState::Waiting, 22, 38),
        (Kind::Unknown, MailState::Waiting, 22, 38),
    ] {
        let world = World::new(settings());
        world.rings("IN-1").await;
        world.clock.advance(GATHER);
        world.route.fails(&[kind]);
        assert_eq!(world.pass().await.failed, 1);
        let mail = world.only_mail().await;
        assert_eq!((mail.state, mail.reason.as_deref()), (state, Some("scripted")), "{kind:?}");
        let wait = (mail.at - world.clock.now()).num_seconds();
        assert!((least..=most).contains(&wait), "{kind:?}: {wait}");
        let told = world.store.day(monday(), monday() + TimeDelta::days(1)).await.unwrap();
        let is_told = told.notices.contains_key("mail_failing");
        assert_eq!(is_told, least != 22, "{kind:?}: what may pass by itself is not told at once");
    }
}

#[tokio::test]
async fn a_mail_in_doubt_is_given_up_before_its_key_is_forgotten() {
    let world = World::new(settings());
    world.rings("IN-1").await;
    world.clock.advance(GATHER);
    world.route.fails(&[NotifyErrorKind::Unknown; 100]);
    let mut tries = 0;
    while world
        .store
        .mails(None, 1)
        .await
        .unwrap()
        .items
        .first()
        .is_none_or(|mail| mail.state == MailState::Waiting)
    {
        world.pass().await;
        world.clock.advance(TimeDelta::minutes(1));
        tries += 1;
        assert!(tries < 60 * 25, "it is given up within a day");
    }
    assert_eq!(world.only_mail().await.reason.as_deref(), Some("unknown"));
}

#[tokio::test]
async fn at_the_months_limit_mails_are_held_and_at_four_fifths_people_are_warned() {
    let limits = MailLimits { per_day: None, per_month: Some(10) };
    let world = World::new(MailSettings { limits, ..settings() });
    let mut warned_at = None;
    for index in 0..6 {
        world.rings(&format!("IN-{index}")).await;
        world.clock.advance(GATHER);
        world.pass().await;
        let notices = crate::port::Access::notices(&*world.store, 100).await.unwrap();
        let is_warned = notices.iter().any(|it| it.kind.word() == "mail_runs_short");
        if is_warned && warned_at.is_none() {
            warned_at = Some(world.route.taken().len());
        }
    }
    assert_eq!(warned_at, Some(4), "8 of 10: each mail has two receivers");
    assert_eq!(world.route.taken().len(), 5);
    let held = world.store.mails(None, 1).await.unwrap().items.remove(0);
    assert_eq!((held.state, held.attempts), (MailState::Waiting, 0));
    assert_eq!(held.reason.as_deref(), Some("monthly_limit"));
    // Monday is the second: the next month has begun 30 days later.
    world.clock.advance(TimeDelta::days(30));
    world.pass().await;
    assert!(world.route.taken().len() > 5, "the new month's are free");
}

#[tokio::test]
async fn the_summary_goes_out_once_a_day_at_its_hour_over_restarts() {
    let at = MailSettings { summary_at: NaiveTime::from_hms_opt(18, 0, 0), ..settings() };
    let world = World::new(at.clone());
    world.local("2026-03-02T17:59:59");
    world.pass().await;
    assert!(world.route.taken().is_empty());
    world.local("2026-03-02T18:00:00");
    assert_eq!(world.pass().await, Pass { queued: 1, sent: 1, failed: 0 });
    world.local("2026-03-02T23:59:00");
    world.pass().await;
    assert_eq!(world.route.taken().len(), 1);
    // Off at the hour: sent late the same day, and not for days gone by.
    let restarted = World::over(world.store.clone(), at);
    restarted.local("2026-03-05T22:30:00");
    restarted.pass().await;
    restarted.pass().await;
    assert_eq!(restarted.route.subjects(), ["Thu 5 Mar: 0 calls, – reached"]);
}

/// A world in which somebody called at an instant, before any mail was written.
async fn with_a_call_in(at: &MailSettings, local: &str) -> World {
    let world = World::new(at.clone());
    world.local(local);
    let call = world.rings(&format!("IN-{local}")).await;
    let kind = EventKind::Ended { ending: crate::call::Ending::Completed, talk_seconds: 9 };
    let by = By::new(&Actor::System, world.clock.now());
    let report = Report::ours(call, world.clock.now(), kind);
    crate::port::Dispatch::record(&*world.store, by, &[report]).await.unwrap();
    world
}

#[tokio::test]
async fn a_day_whose_summary_was_missed_is_told_of_once_at_the_next_start() {
    let at = MailSettings { summary_at: NaiveTime::from_hms_opt(18, 0, 0), ..settings() };
    let before = with_a_call_in(&at, "2026-03-02T15:00:00").await;
    // Down from five in the afternoon on.
    for (start, subjects) in [
        ("2026-03-03T09:00:00", &["Mon 2 Mar: 0 calls, – reached"][..]),
        ("2026-03-03T19:00:00", &["Tue 3 Mar: 0 calls, – reached"]),
        ("2026-03-04T09:00:00", &[]),
    ] {
        let world = World::over(before.store.clone(), at.clone());
        world.local(start);
        world.pass().await;
        world.pass().await;
        let told = world.route.subjects();
        let told: Vec<&str> =
            told.iter().map(String::as_str).filter(|it| it.contains(" Mar: ")).collect();
        assert_eq!(told, subjects, "{start}");
    }
}

#[tokio::test]
async fn a_missed_day_is_told_of_as_a_whole() {
    let at = MailSettings { summary_at: NaiveTime::from_hms_opt(18, 0, 0), ..settings() };
    let before = with_a_call_in(&at, "2026-03-02T15:00:00").await;
    let world = World::over(before.store.clone(), at);
    world.local("2026-03-03T09:00:00");
    world.pass().await;
    let mails = world.route.taken();
    let mail = mails.iter().find(|mail| mail.subject.starts_with("Mon 2 Mar")).unwrap();
    let day = "Monday, 2 March 2026, the whole day (America/New_York)";
    assert!(
        mail.text.contains(day) && mail.text.contains("Calls that came in: 1"),
        "{}",
        mail.text
    );
}

#[tokio::test]
async fn of_missed_days_only_the_last_is_told_of_and_none_that_is_long_gone_or_was_empty() {
    let at = MailSettings { summary_at: NaiveTime::from_hms_opt(18, 0, 0), ..settings() };
    for (start, subjects) in [
        // Nothing happened on Tuesday.
        ("2026-03-04T09:00:00", &["Mon 2 Mar: 0 calls, – reached"][..]),
        ("2026-03-05T09:00:00", &[]),
    ] {
        let before = with_a_call_in(&at, "2026-03-02T15:00:00").await;
        let world = World::over(before.store.clone(), at.clone());
        world.local(start);
        world.pass().await;
        let told = world.route.subjects();
        let told: Vec<&str> =
            told.iter().map(String::as_str).filter(|it| it.contains(" Mar: ")).collect();
        assert_eq!(told, subjects, "{start}");
    }
    let before = with_a_call_in(&at, "2026-03-02T15:00:00").await;
    before.local("2026-03-03T15:00:00");
    before.rings("IN-Tuesday").await;
    let world = World::over(before.store.clone(), at);
    world.local("2026-03-04T09:00:00");
    world.pass().await;
    let told = world.route.subjects();
    assert!(told.contains(&"Tue 3 Mar: 0 calls, – reached".to_owned()), "{told:?}");
    assert!(!told.iter().any(|it| it.starts_with("Mon 2 Mar")), "{told:?}");
}

#[tokio::test]
async fn an_hour_the_clock_skips_or_shows_twice_brings_one_summary() {
    let at = |hour| NaiveTime::from_hms_opt(hour, 30, 0);
    let world = World::new(MailSettings { summary_at: at(2), ..settings() });
    // In New York the clock goes from 02:00 to 03:00.
    world.clock.advance_to("2026-03-08T06:59:00Z".parse().unwrap());
    world.pass().await;
    assert!(world.route.taken().is_empty());
    world.clock.advance_to("2026-03-08T07:00:00Z".parse().unwrap());
    world.pass().await;
    assert_eq!(world.route.taken().len(), 1);
    let world = World::new(MailSettings { summary_at: at(1), ..settings() });
    // And from 02:00 back to 01:00.
    world.clock.advance_to("2026-11-01T04:00:00Z".parse().unwrap());
    for _ in 0..5 {
        world.clock.advance(TimeDelta::minutes(31));
        world.pass().await;
    }
    assert_eq!(world.route.taken().len(), 1);
}

#[tokio::test]
async fn a_summary_wanted_now_is_the_days_own_once_its_hour_has_come() {
    let at = MailSettings { summary_at: NaiveTime::from_hms_opt(18, 0, 0), ..settings() };
    let world = World::new(at);
    let now = async || {
        let by = By::new(&Actor::System, world.clock.now());
        world.mailer.summary_now(by).await.unwrap().1.key
    };
    world.local("2026-03-03T10:00:00");
    let early = now().await;
    assert_eq!(now().await, early, "one a minute");
    world.pass().await;
    world.local("2026-03-03T18:00:00");
    assert_eq!(now().await, "summary/2026-03-03");
    world.pass().await;
    world.pass().await;
    assert_eq!(world.route.taken().len(), 2, "the loop sends no other");
    assert_ne!(now().await, "summary/2026-03-03", "one more, as it is wanted");
}

#[tokio::test]
async fn the_summary_has_the_numbers_of_analytics() {
    let store = Arc::new(MemoryStore::default());
    let scene = Scene::new(&*store);
    let (_, seeds) = scene.running(Value::Null, 3).await;
    scene.dial_due().await;
    scene.answer(seeds[0].call, AnsweredBy::Human).await;
    scene.end(seeds[1].call, crate::call::Ending::Busy).await;
    let world = World::over(store.clone(), MailSettings { zone: Zone::utc(), ..settings() });
    world.clock.advance_to(scene.now());
    let by = By::new(&Actor::System, world.clock.now());
    world.mailer.summary_now(by).await.unwrap();
    world.pass().await;
    let tallies = crate::port::Campaigns::tallies(&*store, None, None, None).await.unwrap();
    let totals = crate::analytics::Totals::of(&tallies);
    assert_eq!((totals.attempted(), totals.answered()), (2, 1));
    let mail = world.route.taken().remove(0);
    for line in [
        "Calls completed: 2",
        "People reached: 1",
        "Success rate: 50.0 %",
        "Average duration: 0:30",
        "Renewals: calls 2, reached 1, rate 50.0 %, average 0:30",
    ] {
        assert!(mail.text.contains(line), "{line}: {}", mail.text);
    }
    for hidden in ["Client 2", &seeds[0].phone.to_string()[1..]] {
        assert!(!mail.text.contains(hidden) && !mail.html.contains(hidden), "{hidden}");
    }
}

#[tokio::test]
async fn the_accounts_own_settings_come_before_the_servers() {
    let world = World::new(settings());
    let own = serde_json::json!({
        "time_zone": "Asia/Tokyo",
        "mail": {"to": ["own@example.com"], "summary_at": "00:10", "details": true},
    });
    let own = Arc::new(crate::account::AccountSettings::from_json(&own).unwrap());
    let by = By::new(&Actor::System, world.clock.now());
    crate::port::Account::change_account(&*world.store, by, 1, own).await.unwrap();
    // In Tokyo it is ten past midnight.
    world.clock.advance_to("2026-03-02T15:10:00Z".parse().unwrap());
    world.pass().await;
    let mail = world.route.taken().remove(0);
    assert_eq!(mail.to, MailAddress::list("own@example.com").unwrap());
    assert!(mail.text.contains("Tuesday, 3 March 2026, until 00:10 (Asia/Tokyo)"), "{}", mail.text);
}
