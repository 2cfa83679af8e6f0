//! What somebody who watches asks: the audit log, whether anything changed, and how much there is.

use chrono::TimeDelta;
use serde_json::Value;

use super::access::user;
use crate::actor::{Actor, Role};
use crate::call::{Ending, EventKind};
use crate::campaign::Transition;
use crate::dnc::DncScope;
use crate::import::ImportReport;
use crate::port::{AuditEntry, AuditQuery, AuditRow, By, Gauges, ImportStatus, Store};
use crate::testing::fixtures::{Scene, person};

pub async fn a3_audit_rows_are_found_by_who_what_and_when(store: &dyn Store) {
    let scene = Scene::new(store);
    let token = Actor::Token("crm".to_owned());
    let start = scene.now();
    for index in 0..12_u32 {
        scene.advance(TimeDelta::seconds(i64::from(index % 3)));
        let actor = if index % 4 == 0 { &token } else { &person() };
        let action = ["call.skip", "call.retry", "dnc.add"][index as usize % 3];
        let entry =
            AuditEntry { action, object: format!("object {}", index % 5), old: None, new: None };
        store.append_audit(By::new(actor, scene.now()), entry).await.expect("appended");
    }
    let all = store.audit(&AuditQuery::newest(100)).await.expect("read").items;
    assert_eq!(all.len(), 12);
    let words =
        |words: &[&str]| -> Vec<String> { words.iter().map(|word| (*word).to_owned()).collect() };
    let query = |actors: &[&Actor], objects: &[&str], actions: &[&str]| AuditQuery {
        actors: actors.iter().map(|actor| (*actor).clone()).collect(),
        objects: words(objects),
        actions: words(actions),
        ..AuditQuery::newest(2)
    };
    let middle = start + TimeDelta::seconds(5);
    let queries = [
        query(&[], &[], &[]),
        query(&[&token], &[], &[]),
        query(&[&token, &person()], &[], &[]),
        query(&[], &["object 1", "object 3", "object 1"], &[]),
        query(&[&token], &["object 3"], &[]),
        query(&[], &[], &["call.skip", "dnc.add"]),
        query(&[&person()], &["object 0", "object 2"], &["call.retry"]),
        query(&[], &["nothing"], &[]),
        AuditQuery { from: Some(middle), ..query(&[], &[], &[]) },
        AuditQuery { to: Some(middle), ..query(&[&person()], &[], &["dnc.add"]) },
    ];
    for query in queries {
        let wanted = |row: &&AuditRow| {
            (query.actors.is_empty() || query.actors.contains(&row.actor))
                && (query.objects.is_empty() || query.objects.contains(&row.object))
                && (query.actions.is_empty() || query.actions.contains(&row.action))
                && query.from.is_none_or(|from| from <= row.at)
                && query.to.is_none_or(|to| row.at < to)
        };
        let expected: Vec<&AuditRow> = all.iter().filter(wanted).collect();
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = store.audit(&AuditQuery { after, ..query.clone() }).await.expect("read");
            assert!(page.items.len() <= 2);
            found.extend(page.items);
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{query:?}");
    }
}

pub async fn a9_the_version_moves_with_every_change_and_rests_without(store: &dyn Store) {
    let scene = Scene::new(store);
    let version = async || store.change_version().await.expect("read");
    let mut last = version().await;
    let mut moved = async |what: &str| {
        let now = version().await;
        assert_ne!(now, last, "{what}");
        assert_eq!(version().await, now, "nothing happened since {what}");
        last = now;
    };
    let campaign = scene.draft(Value::Null).await;
    moved("a draft").await;
    let seeds = scene.import(campaign, &[scene.number(), scene.number()]).await;
    moved("an import").await;
    scene.change(campaign, Transition::Start).await;
    moved("a start").await;
    let begun = scene.dial_due().await;
    assert_eq!(begun.len(), 2);
    moved("two dials").await;
    scene.hear(seeds[0].call, [EventKind::Ringing]).await;
    moved("a ring").await;
    scene.end(seeds[0].call, Ending::Busy).await;
    moved("an end").await;
    store.add_dnc(scene.by(), scene.dnc_entry(seeds[1].phone, DncScope::Global)).await.expect("in");
    moved("a DNC entry").await;
    user(&scene, "ana", Role::Viewer).await;
    moved("a user").await;
    // Looking is no change.
    store.campaigns(&[], None, 10).await.expect("read");
    store.live(10).await.expect("read");
    assert_eq!(version().await, last);
}

pub async fn a10_gauges_agree_with_the_lists(store: &dyn Store) {
    let scene = Scene::new(store);
    let gauges = async || store.gauges(scene.now()).await.expect("read");
    assert_eq!(gauges().await, Gauges::default());
    let (running, seeds) = scene.running(Value::Null, 3).await;
    let draft = scene.draft(Value::Null).await;
    scene.import(draft, &[scene.number()]).await;
    let import = scene.begin_import(draft).await;
    let before = gauges().await;
    assert_eq!((before.due, before.live), (3, 0), "a draft's are not due");
    scene.dial_due().await;
    scene.hear(seeds[0].call, [EventKind::Ringing]).await;
    scene.hear(seeds[1].call, [EventKind::Ringing]).await;
    scene.end(seeds[1].call, Ending::Busy).await;
    let now = gauges().await;
    assert_eq!((now.due, now.live, now.doubtful), (0, 2, 1), "of one nothing was heard");
    assert_eq!(now.totals, scene.campaign(running).await.progress.totals);
    store
        .report_import(scene.by(), import, ImportStatus::Done, &ImportReport::default())
        .await
        .expect("reported");
    assert_eq!(gauges().await.imports + 1, before.imports);
}
