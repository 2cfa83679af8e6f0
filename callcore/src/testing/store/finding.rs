//! How lists are sorted and searched.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use serde_json::Value;

use crate::call::{Ending, EventKind};
use crate::campaign::Transition;
use crate::id::CallId;
use crate::port::{CallOrder, CallQuery, CallSort, CallView, NewClient, Store, name_order};
use crate::testing::fixtures::{Scene, ended};

fn ids(views: &[CallView]) -> Vec<CallId> {
    views.iter().map(|view| view.call.id).collect()
}

pub async fn l2_a_history_is_sorted_by_name_and_by_duration(store: &dyn Store) {
    let scene = Scene::new(store);
    let campaign = scene.draft(Value::Null).await;
    let import = scene.begin_import(campaign).await;
    let names = ["zoë", "Ada", "ada", "Émile", "", "李", "Zoe", "ada b"];
    let clients = (2..).zip(names).map(|(line, name)| NewClient {
        name: name.to_owned(),
        ..scene.new_client(scene.number(), line)
    });
    let clients: Vec<NewClient> = clients.collect();
    store.add_clients(scene.by(), import, &clients).await.expect("added");
    scene.change(campaign, Transition::Start).await;
    let (mut by_name, mut by_duration) = (Vec::new(), Vec::new());
    for (index, call) in (0_u32..).zip(scene.dial_due().await) {
        let client = clients.iter().find(|client| client.call == call).expect("one of them");
        let talk = [7, 30, 7, 0][index as usize % 4];
        scene.hear(call, [EventKind::Answered, ended(Ending::Completed, talk)]).await;
        by_name.push((name_order(&client.name), call));
        by_duration.push((talk, call));
        scene.advance(TimeDelta::seconds(1));
    }
    by_name.sort();
    by_duration.sort();
    let by_name: Vec<CallId> = by_name.into_iter().map(|(_, call)| call).collect();
    let by_duration: Vec<CallId> = by_duration.into_iter().map(|(_, call)| call).collect();
    for (by, wanted) in [(CallSort::Name, by_name), (CallSort::Duration, by_duration)] {
        for descending in [false, true] {
            for campaigns in [vec![], vec![campaign]] {
                let order = Some(CallOrder { by, descending });
                let query = CallQuery { order, campaigns, limit: 3, ..CallQuery::default() };
                let (mut seen, mut after) = (Vec::new(), None);
                loop {
                    let query = CallQuery { after, ..query.clone() };
                    let page = store.history(&query).await.expect("read");
                    seen.extend(ids(&page.items));
                    match page.next {
                        Some(next) => after = Some(next),
                        None => break,
                    }
                }
                let mut wanted = wanted.clone();
                if descending {
                    wanted.reverse();
                }
                assert_eq!(seen, wanted, "{order:?}");
            }
        }
    }
}

pub async fn l2_a_late_event_moves_a_call_in_the_order_of_durations(store: &dyn Store) {
    let scene = Scene::new(store);
    let (_, seeds) = scene.running(Value::Null, 2).await;
    scene.dial_due().await;
    scene.hear(seeds[0].call, [EventKind::Answered, ended(Ending::Completed, 5)]).await;
    scene.hear(seeds[1].call, [EventKind::Answered, ended(Ending::Completed, 9)]).await;
    let order = Some(CallOrder { by: CallSort::Duration, descending: true });
    let query = CallQuery { order, limit: 10, ..CallQuery::default() };
    let page = store.history(&query).await.expect("read");
    assert_eq!(ids(&page.items), [seeds[1].call, seeds[0].call]);
    scene.hear(seeds[0].call, [ended(Ending::Completed, 60)]).await;
    let page = store.history(&query).await.expect("read");
    assert_eq!(ids(&page.items), [seeds[0].call, seeds[1].call]);
}

pub async fn l2_calls_are_found_by_tag_and_by_number(store: &dyn Store) {
    let scene = Scene::new(store);
    let (one, other) = (scene.draft(Value::Null).await, scene.draft(Value::Null).await);
    let shared = scene.number();
    for (campaign, tags) in [(one, vec!["vip", "late"]), (other, vec!["late"])] {
        let import = scene.begin_import(campaign).await;
        let tags: BTreeSet<String> = tags.into_iter().map(Into::into).collect();
        let clients = [
            NewClient { tags, ..scene.new_client(shared, 2) },
            scene.new_client(scene.number(), 3),
        ];
        store.add_clients(scene.by(), import, &clients).await.expect("added");
        scene.change(campaign, Transition::Start).await;
        for call in scene.dial_due().await {
            scene.hear(call, [EventKind::Answered, ended(Ending::Completed, 5)]).await;
        }
    }
    let found = async |query: CallQuery| {
        let page = store.history(&CallQuery { limit: 10, ..query }).await.expect("read");
        page.items.iter().map(|view| view.call.campaign.expect("a campaign")).collect::<Vec<_>>()
    };
    let tagged = async |tags: &[&str], q: Option<&str>| {
        let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        found(CallQuery { tags, q: q.map(str::to_owned), ..CallQuery::default() }).await
    };
    assert_eq!(tagged(&["vip"], None).await, [one]);
    assert_eq!(tagged(&["late"], None).await, [other, one]);
    assert_eq!(tagged(&["vip", "late", "gone"], None).await, [other, one]);
    assert_eq!(tagged(&["late"], Some(&shared.to_string())).await, [other, one]);
    assert!(tagged(&["late"], Some("nobody")).await.is_empty());
    assert!(tagged(&["VIP"], None).await.is_empty(), "tags are told apart by their exact text");
    let number = CallQuery { phone: Some(shared), ..CallQuery::default() };
    assert_eq!(found(number).await, [other, one]);
}
