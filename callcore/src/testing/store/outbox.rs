//! What people are told by mail, and what became of it.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use futures_util::future::join;
use serde_json::Value;

use crate::analytics::Totals;
use crate::call::{AnsweredBy, CallRef, Ending, EventKind, InboundRing, Report};
use crate::id::{CallId, MailId};
use crate::phone::PhoneNumber;
use crate::port::{
    Body, ClaimedMail, MailFate, MailSettlement, MailState, NewMail, NoticeDay, NoticeGroup,
    NoticeKind, QueuedMail, Store, TakenNotices,
};
use crate::testing::fixtures::{LEASE, Scene, ended};

const MINUTE: TimeDelta = TimeDelta::minutes(1);

fn mail(scene: &Scene<'_>, key: &str) -> NewMail {
    NewMail {
        id: MailId::new(scene.now(), scene.entropy()),
        key: key.to_owned(),
        kind: "daily_summary".to_owned(),
        to: vec!["ada@example.com".to_owned(), "ops@example.com".to_owned()],
        subject: "Calls".to_owned(),
        body: Body { text: format!("text of {key}"), html: format!("<p>{key}</p>") },
        bare: None,
        people: Vec::new(),
        queued_at: scene.wall(),
        notices: None,
    }
}

async fn queue(scene: &Scene<'_>, new: NewMail) -> Option<(QueuedMail, bool)> {
    scene.store.queue_mail(scene.by(), new).await.expect("queued")
}

async fn claim(scene: &Scene<'_>) -> Vec<ClaimedMail> {
    scene.store.claim_mails(scene.wall(), LEASE, 10).await.expect("claimed")
}

async fn settle(scene: &Scene<'_>, claimed: &ClaimedMail, fate: MailFate) -> bool {
    let (mail, epoch) = (claimed.mail.id, claimed.epoch);
    let settlement = MailSettlement { mail, epoch, fate, notices: Vec::new() };
    let settled = scene.store.settle_mail(scene.by(), scene.wall(), &settlement).await;
    settled.expect("settled")
}

fn wait(until: DateTime<Utc>, doubt_since: Option<DateTime<Utc>>) -> MailFate {
    MailFate::Wait { until, reason: "busy".to_owned(), doubt_since, tried: true }
}

/// Somebody calls in; the call goes on.
async fn rings(scene: &Scene<'_>, carrier_call_id: &str, from: Option<PhoneNumber>) -> CallId {
    let new_id = CallId::new(scene.now(), scene.entropy());
    let ring = InboundRing { carrier_call_id: carrier_call_id.to_owned(), from, new_id };
    let event = crate::call::CallEvent { at: scene.now(), kind: EventKind::Ringing };
    scene.record(vec![Report { call: CallRef::Inbound(ring), event }]).await;
    new_id
}

async fn groups(scene: &Scene<'_>) -> Vec<NoticeGroup> {
    scene.store.unmailed(scene.now(), 2).await.expect("read")
}

fn of_group(scene: &Scene<'_>, group: &NoticeGroup, key: &str) -> NewMail {
    let through = group.last[0].id;
    let notices = Some(TakenNotices { count: group.count, through });
    NewMail { kind: group.word.to_owned(), notices, ..mail(scene, key) }
}

pub async fn o1_notices_of_a_kind_are_one_mail_and_in_no_other(store: &dyn Store) {
    let scene = Scene::new(store);
    for index in 0..3 {
        rings(&scene, &format!("IN-{index}"), None).await;
        scene.advance(MINUTE);
    }
    let young = store.unmailed(scene.now() - MINUTE * 4, 2).await.expect("read");
    assert_eq!(young, [], "the first is not old enough");
    let found = groups(&scene).await;
    assert_eq!(found.len(), 1);
    let group = &found[0];
    assert_eq!((group.word, group.count, group.last.len()), ("inbound_call", 3, 2));
    assert!(group.last[0].at > group.last[1].at && group.first.at < group.last[1].at);
    // One more comes while the mail is written: it is for the next.
    rings(&scene, "IN-3", None).await;
    let (one, two) = join(
        queue(&scene, of_group(&scene, group, "one")),
        queue(&scene, of_group(&scene, group, "two")),
    )
    .await;
    assert!(one.is_some() != two.is_some(), "one of two writers takes them: {one:?} {two:?}");
    assert_eq!(groups(&scene).await, [], "the others gather while a mail of the kind waits");
    let notices = store.mailed_notices(None, 10).await.expect("read").items;
    let (mailed, free): (Vec<_>, Vec<_>) = notices.iter().partition(|it| it.mail.is_some());
    assert_eq!((mailed.len(), free.len()), (3, 1));
    assert!(mailed.iter().all(|it| it.mail == one.clone().or(two.clone()).map(|it| it.0)));
    let claimed = claim(&scene).await.remove(0);
    assert!(settle(&scene, &claimed, MailFate::Sent).await);
    let found = groups(&scene).await;
    assert_eq!((found[0].count, found[0].first.kind), (1, free[0].notice.kind));
}

pub async fn o1_that_mails_fail_is_not_mailed(store: &dyn Store) {
    let scene = Scene::new(store);
    queue(&scene, mail(&scene, "one")).await;
    let claimed = claim(&scene).await.remove(0);
    let day = NoticeDay(scene.wall().date_naive());
    let settlement = MailSettlement {
        mail: claimed.mail.id,
        epoch: claimed.epoch,
        fate: MailFate::Failed { reason: "bad_address".to_owned() },
        notices: vec![NoticeKind::MailFailing(day), NoticeKind::MailRunsShort(day)],
    };
    assert!(store.settle_mail(scene.by(), scene.wall(), &settlement).await.expect("settled"));
    let notices = store.notices(10).await.expect("read");
    assert_eq!(notices.len(), 2, "{notices:?}");
    assert!(notices.iter().any(|it| it.kind == NoticeKind::MailFailing(day)));
    let words: Vec<&str> = groups(&scene).await.iter().map(|group| group.word).collect();
    assert_eq!(words, ["mail_runs_short"]);
}

pub async fn o2_a_key_is_queued_once(store: &dyn Store) {
    let scene = Scene::new(store);
    let (first, is_new) = queue(&scene, mail(&scene, "summary")).await.expect("queued");
    assert!(is_new);
    assert_eq!((first.state, first.receivers, first.attempts), (MailState::Waiting, 2, 0));
    let again = queue(&scene, mail(&scene, "summary")).await;
    assert_eq!(again, Some((first.clone(), false)));
    let claimed = claim(&scene).await;
    assert_eq!(claimed.len(), 1);
    assert!(settle(&scene, &claimed[0], MailFate::Sent).await);
    let again = queue(&scene, mail(&scene, "summary")).await.expect("known");
    assert_eq!((again.0.state, again.1), (MailState::Sent, false), "not even after it was sent");
    assert_eq!(store.mail("summary").await.expect("read").map(|mail| mail.id), Some(first.id));
    assert_eq!(store.mail("another").await.expect("read"), None);
    let (one, two) =
        join(queue(&scene, mail(&scene, "race")), queue(&scene, mail(&scene, "race"))).await;
    assert!(one.expect("queued").1 != two.expect("queued").1, "one of two at once");
}

pub async fn o3_a_mail_is_held_by_one_worker_until_its_lease_ends(store: &dyn Store) {
    let scene = Scene::new(store);
    queue(&scene, mail(&scene, "one")).await;
    let (a, b) = join(claim(&scene), claim(&scene)).await;
    assert_eq!(a.len() + b.len(), 1, "one of two claimers gets it");
    let first = a.into_iter().chain(b).next().expect("claimed");
    assert_eq!((first.mail.attempts, first.doubt_since), (1, None));
    assert_eq!(first.to, ["ada@example.com", "ops@example.com"]);
    let died_at = scene.wall();
    scene.advance_wall(LEASE);
    let second = claim(&scene).await.remove(0);
    assert!(second.epoch > first.epoch);
    assert_eq!((second.mail.attempts, second.doubt_since), (2, Some(died_at)));
    assert_eq!((&second.body, &second.mail.key), (&first.body, &first.mail.key), "as it was");
    assert!(!settle(&scene, &first, MailFate::Sent).await, "whoever lost it settles nothing");
    assert_eq!(store.mail("one").await.expect("read").expect("kept").state, MailState::Waiting);
    let later = scene.wall() + MINUTE;
    assert!(settle(&scene, &second, wait(later, None)).await);
    assert!(claim(&scene).await.is_empty(), "it waits");
    scene.advance_wall(MINUTE);
    let third = claim(&scene).await.remove(0);
    assert_eq!(third.doubt_since, None, "the doubt was taken away");
    assert_eq!(third.mail.reason.as_deref(), Some("busy"));
    let untried = MailFate::Wait {
        until: scene.wall(),
        reason: "held".to_owned(),
        doubt_since: third.doubt_since,
        tried: false,
    };
    assert!(settle(&scene, &third, untried).await);
    assert_eq!(claim(&scene).await[0].mail.attempts, 3, "an attempt that was none is not counted");
}

pub async fn o3_leases_of_the_dead_can_be_ended_at_once(store: &dyn Store) {
    let scene = Scene::new(store);
    queue(&scene, mail(&scene, "one")).await;
    let first = claim(&scene).await.remove(0);
    assert_eq!(store.release_mails().await.expect("released"), 1);
    assert_eq!(store.release_mails().await.expect("released"), 0);
    let second = claim(&scene).await.remove(0);
    assert_eq!(second.doubt_since, Some(scene.wall()), "it may have been sent");
    assert!(!settle(&scene, &first, MailFate::Sent).await);
}

/// How many mails wait, and how many were given up, by the gauges.
async fn counted(scene: &Scene<'_>) -> (u64, u64) {
    let gauges = scene.store.gauges(scene.now()).await.expect("read");
    (gauges.mails_waiting, gauges.mails_failed)
}

pub async fn o4_a_settled_mail_is_never_claimed_again(store: &dyn Store) {
    let scene = Scene::new(store);
    for (key, fate, state) in [
        ("sent", MailFate::Sent, MailState::Sent),
        ("failed", MailFate::Failed { reason: "bad".to_owned() }, MailState::Failed),
    ] {
        queue(&scene, mail(&scene, key)).await;
        assert_eq!(counted(&scene).await, (1, 0));
        let claimed = claim(&scene).await.remove(0);
        assert!(settle(&scene, &claimed, fate.clone()).await);
        assert!(!settle(&scene, &claimed, fate).await, "nor settled twice");
        let kept = store.mail(key).await.expect("read").expect("kept");
        assert_eq!((kept.state, kept.at), (state, scene.wall()));
        scene.advance(TimeDelta::days(40));
        assert!(claim(&scene).await.is_empty(), "{key}");
    }
    assert_eq!(counted(&scene).await, (0, 1));
    let mails = store.mails(None, 10).await.expect("read").items;
    assert!(mails.is_sorted_by(|a, b| (a.queued_at, a.id) > (b.queued_at, b.id)));
    let page = store.mails(None, 1).await.expect("read");
    let rest = store.mails(page.next, 1).await.expect("read");
    assert_eq!([page.items, rest.items].concat(), mails);
    assert_eq!(rest.next, None);
}

pub async fn o5_what_was_sent_is_counted_by_day(store: &dyn Store) {
    let scene = Scene::new(store);
    let today = scene.wall().date_naive();
    let sent =
        async |from: NaiveDate, to: NaiveDate| store.mails_sent(from, to).await.expect("counted");
    queue(&scene, mail(&scene, "one")).await;
    queue(&scene, mail(&scene, "two")).await;
    let claimed = claim(&scene).await;
    assert!(settle(&scene, &claimed[0], MailFate::Sent).await);
    assert!(settle(&scene, &claimed[1], wait(scene.wall(), None)).await);
    assert_eq!(sent(today, today).await, 2, "each receiver is one, and what waits is none");
    scene.advance(TimeDelta::days(1));
    let claimed = claim(&scene).await;
    assert!(settle(&scene, &claimed[0], MailFate::Sent).await);
    let tomorrow = today.succ_opt().expect("a day");
    assert_eq!((sent(tomorrow, tomorrow).await, sent(today, tomorrow).await), (2, 4));
    assert_eq!(sent(NaiveDate::default(), today.pred_opt().expect("a day")).await, 0);
}

pub async fn o6_an_erased_person_is_in_no_mail(store: &dyn Store) {
    let scene = Scene::new(store);
    let (ada, bob) = (scene.number(), scene.number());
    let about = |key: &str, people: &[PhoneNumber]| NewMail {
        people: people.to_vec(),
        bare: Some(Body { text: "bare".to_owned(), html: "<p>bare</p>".to_owned() }),
        ..mail(&scene, key)
    };
    queue(&scene, about("tried", &[ada, bob])).await;
    let claimed = claim(&scene).await.remove(0);
    assert!(settle(&scene, &claimed, wait(scene.wall() + MINUTE, Some(scene.wall()))).await);
    queue(&scene, about("fresh", &[ada])).await;
    queue(&scene, about("other", &[bob])).await;
    assert_eq!(store.erase_mails(scene.by(), ada).await.expect("erased"), 2);
    assert_eq!(store.erase_mails(scene.by(), ada).await.expect("erased"), 0);
    let tried = store.mail("tried").await.expect("read").expect("kept");
    assert_eq!((tried.state, tried.reason.as_deref()), (MailState::Failed, Some("erased")));
    let left = claim(&scene).await;
    let text = |key: &str| {
        left.iter().find(|it| it.mail.key == key).map(|it| (&*it.body.text, &*it.body.html))
    };
    assert_eq!(text("fresh"), Some(("bare", "<p>bare</p>")));
    assert_eq!(text("other"), Some(("text of other", "<p>other</p>")));
    assert_eq!(left.len(), 2);
}

pub async fn o6_a_mail_that_is_being_sent_is_given_up_when_its_person_is_erased(store: &dyn Store) {
    let scene = Scene::new(store);
    let ada = scene.number();
    queue(&scene, NewMail { people: vec![ada], ..mail(&scene, "one") }).await;
    let claimed = claim(&scene).await.remove(0);
    assert_eq!(store.erase_mails(scene.by(), ada).await.expect("erased"), 1);
    assert!(!settle(&scene, &claimed, wait(scene.wall(), None)).await);
    scene.advance_wall(LEASE);
    assert!(claim(&scene).await.is_empty());
}

pub async fn o6_whoever_is_erased_everywhere_is_in_no_mail_either(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seed) = scene.running_one(Value::Null).await;
    let bare = Body { text: "bare".to_owned(), html: "<p>bare</p>".to_owned() };
    let people = vec![seed.phone];
    queue(&scene, NewMail { people, bare: Some(bare.clone()), ..mail(&scene, "one") }).await;
    store.erase(scene.by(), seed.client, "asked").await.expect("erased");
    assert_eq!(claim(&scene).await[0].body, bare);
}

pub async fn o7_a_day_counts_what_analytics_count(store: &dyn Store) {
    let scene = Scene::new(store);
    let midnight = scene.now();
    let (campaign, seeds) = scene.running(Value::Null, 3).await;
    let (other, _) = scene.running(Value::Null, 1).await;
    scene.dial_due().await;
    scene.answer(seeds[0].call, AnsweredBy::Human).await;
    scene.end(seeds[1].call, Ending::Busy).await;
    let inbound = rings(&scene, "IN-1", Some(seeds[0].phone)).await;
    let ring = InboundRing {
        carrier_call_id: "IN-1".to_owned(),
        from: Some(seeds[0].phone),
        new_id: inbound,
    };
    let event = crate::call::CallEvent { at: scene.now(), kind: ended(Ending::Completed, 9) };
    scene.record(vec![Report { call: CallRef::Inbound(ring), event }]).await;
    scene.hear(seeds[2].call, [EventKind::Unclear, EventKind::GivenUp]).await;
    let end = scene.now() + TimeDelta::minutes(15);
    let day = store.day(midnight, end).await.expect("counted");
    let tallies = store.tallies(None, Some(midnight), Some(end)).await.expect("counted");
    assert_eq!(day.totals(), Totals::of(&tallies));
    assert_eq!(day.campaigns.len(), 1, "{other} had no call that ended");
    let tallies = store.tallies(Some(campaign), Some(midnight), Some(end)).await.expect("counted");
    assert_eq!((day.campaigns[0].id, &day.campaigns[0].totals), (campaign, &Totals::of(&tallies)));
    assert_eq!(day.campaigns[0].name, "Renewals");
    assert_eq!((day.inbound, day.follow_ups), (1, 1));
    assert_eq!(day.notices.get("inbound_call"), Some(&1));
    assert_eq!(day.notices.get("call_given_up"), Some(&1));
    assert!(day.finished.is_empty());
    let after = store.day(end, end + TimeDelta::days(1)).await.expect("counted");
    assert_eq!(after, crate::port::Day::default());
    scene.check().await;
}

pub async fn o7_a_campaign_that_finished_in_the_day_is_named(store: &dyn Store) {
    let scene = Scene::new(store);
    let midnight = scene.now();
    let (campaign, seed) = scene.running_one(Value::Null).await;
    scene.dial_due().await;
    scene.answer(seed.call, AnsweredBy::Human).await;
    let day = store.day(midnight, scene.now() + MINUTE).await.expect("counted");
    assert_eq!(day.finished, [(campaign, "Renewals".to_owned())]);
}
