//! Settings, run states and counters.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::call::{AnsweredBy, CallStatus, Ending, EventKind, Outcome};
use crate::campaign::{InvalidTransition, RunState, Transition};
use crate::client::ClientStatus;
use crate::dnc::DncScope;
use crate::id::{CampaignId, ImportId};
use crate::import::DuplicatePolicy;
use crate::port::{BeginImport, Refused, Store};
use crate::testing::fixtures::{Scene, refused, settings};
use crate::testing::recount;

const HOUR: TimeDelta = TimeDelta::hours(1);

pub async fn c1_settings_are_versioned_and_stale_changes_refused(store: &dyn Store) {
    let scene = Scene::new(store);
    let id = scene.draft(json!({"name": "One"})).await;
    let view = scene.campaign(id).await.campaign;
    assert_eq!((view.settings_version, view.state), (1, RunState::Draft));
    assert_eq!(*view.settings, *settings(&json!({"name": "One"})), "settings read back whole");
    assert_eq!((view.created_at, view.started_at, view.ended_at), (scene.now(), None, None));
    let two = settings(&json!({"name": "Two", "priority": -3}));
    let view = store.change_settings(scene.by(), id, 1, two.clone()).await.expect("changed");
    assert_eq!((view.campaign.settings_version, &view.campaign.settings), (2, &two));
    let stale = store.change_settings(scene.by(), id, 1, settings(&json!({"name": "Late"}))).await;
    assert_eq!(refused(stale), Refused::Stale { current: 2 });
    assert_eq!(scene.campaign(id).await, view, "the stale change did nothing");
    let nobody = CampaignId::new(scene.now(), scene.entropy());
    let change = store.change_settings(scene.by(), nobody, 1, two).await;
    assert_eq!(refused(change), Refused::NotFound);
    assert_eq!(store.campaign(nobody).await.expect("read"), None);
}

pub async fn c7_every_version_of_the_settings_stays_readable(store: &dyn Store) {
    let scene = Scene::new(store);
    let id = scene.draft(json!({"name": "One"})).await;
    let two = settings(&json!({"name": "Two"}));
    store.change_settings(scene.by(), id, 1, two.clone()).await.expect("changed");
    let version = async |version| store.settings(id, version).await.expect("read");
    assert_eq!(version(1).await, Some(settings(&json!({"name": "One"}))));
    assert_eq!(version(2).await, Some(two));
    assert_eq!((version(0).await, version(3).await), (None, None));
}

pub async fn c1_a_live_call_keeps_the_settings_it_ran_under(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, seed) = scene.running_one(Value::Null).await;
    scene.dial_due().await;
    let keyless = settings(&json!({"script": {"steps": [{"say": "Hello."}]}}));
    store.change_settings(scene.by(), campaign, 1, keyless).await.expect("changed");
    scene.hear(seed.call, [EventKind::Answered, EventKind::Key { digit: '1', press: 0 }]).await;
    assert!(scene.call(seed.call).await.tags.contains("confirmed"), "the script it heard counts");
    assert_eq!(scene.call(seed.call).await.call.settings_version, 1);
}

pub async fn c2_run_states_change_as_they_may_and_no_other_way(store: &dyn Store) {
    let scene = Scene::new(store);
    let all = [Transition::Start, Transition::Pause, Transition::Resume, Transition::Stop];
    for path in [
        &[][..],
        &[Transition::Start],
        &[Transition::Start, Transition::Pause],
        &[Transition::Start, Transition::Stop],
    ] {
        for next in all {
            let id = scene.draft(Value::Null).await;
            scene.import(id, &[scene.number()]).await;
            for step in path {
                scene.change(id, *step).await;
            }
            let from = scene.campaign(id).await.campaign.state;
            let result = store.change_state(scene.by(), id, next).await;
            match from.after(next) {
                Ok(state) => assert_eq!(result.expect("allowed").campaign.state, state),
                Err(InvalidTransition { from, transition }) => {
                    let wanted = InvalidTransition { from, transition };
                    assert_eq!(refused(result), Refused::Transition(wanted));
                    assert_eq!(scene.campaign(id).await.campaign.state, from);
                }
            }
        }
    }
    let nobody = CampaignId::new(scene.now(), scene.entropy());
    let change = store.change_state(scene.by(), nobody, Transition::Start).await;
    assert_eq!(refused(change), Refused::NotFound);
    scene.check().await;
}

pub async fn c2_a_campaign_without_clients_does_not_start(store: &dyn Store) {
    let scene = Scene::new(store);
    let id = scene.draft(Value::Null).await;
    let start = store.change_state(scene.by(), id, Transition::Start).await;
    assert_eq!(refused(start), Refused::NoClients);
    assert_eq!(scene.campaign(id).await.campaign.state, RunState::Draft);
    scene.import(id, &[scene.number()]).await;
    scene.advance(HOUR);
    let view = scene.change(id, Transition::Start).await;
    assert_eq!(view.campaign.started_at, Some(scene.now()));
}

pub async fn c2_stop_cancels_what_is_scheduled_with_history_rows(store: &dyn Store) {
    let scene = Scene::new(store);
    let (id, seeds) = scene.running(Value::Null, 4).await;
    scene.dial_due().await;
    scene.end(seeds[0].call, Ending::Busy).await;
    scene.answer(seeds[1].call, AnsweredBy::Human).await;
    let others = scene.import(id, &[scene.number(), scene.number()]).await;
    let claimed = scene.claim(1).await;
    let view = scene.change(id, Transition::Stop).await;
    assert_eq!(
        (view.campaign.state, view.campaign.ended_at),
        (RunState::Stopped, Some(scene.now()))
    );
    assert!(scene.upcoming(id).await.is_empty());
    assert!(store.facts(claimed[0].call).await.expect("read").is_none(), "claimed ones too");
    for seed in &others {
        let call = scene.call(seed.call).await.call;
        assert_eq!((call.status(), call.outcome()), (CallStatus::Ended, Some(Outcome::Canceled)));
        assert_eq!(
            (call.end_reason(), call.ended_at()),
            (Some("campaign_stopped"), Some(scene.now()))
        );
        assert_eq!(scene.status(seed.client).await, ClientStatus::Skipped);
    }
    assert_eq!(
        scene.status(seeds[1].client).await,
        ClientStatus::Reached,
        "who was reached stays so"
    );
    let canceled = |outcome| outcome == Some(Outcome::Canceled);
    let rows = scene.history(id).await;
    assert_eq!(rows.iter().filter(|row| canceled(row.call.outcome())).count(), 3);
    scene.check().await;
    // Calls in progress end, and nothing follows from them.
    scene.end(seeds[2].call, Ending::NoAnswer).await;
    scene.answer(seeds[3].call, AnsweredBy::Machine).await;
    assert!(scene.client(seeds[2].client).await.client.standing.next_call.is_none());
    assert_eq!(scene.campaign(id).await.campaign.state, RunState::Stopped);
    scene.check().await;
}

pub async fn c4_a_finished_campaign_that_gets_a_client_runs_again(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, seed) = scene.running_one(Value::Null).await;
    scene.dial_due().await;
    scene.answer(seed.call, AnsweredBy::Human).await;
    assert_eq!(scene.campaign(campaign).await.campaign.state, RunState::Finished);
    let blocked = scene.number();
    scene.block(blocked, DncScope::Global).await;
    scene.import(campaign, &[blocked]).await;
    let state = scene.campaign(campaign).await.campaign.state;
    assert_eq!(state, RunState::Finished, "somebody who may not be called changes nothing");
    let new = scene.import(campaign, &[scene.number()]).await;
    let view = scene.campaign(campaign).await.campaign;
    assert_eq!((view.state, view.ended_at), (RunState::Running, None));
    assert_eq!(scene.dial_due().await, [new[0].call]);
    scene.check().await;
}

pub async fn c4_a_stopped_campaign_takes_no_clients(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, _) = scene.running_one(Value::Null).await;
    let import = scene.begin_import(campaign).await;
    scene.change(campaign, Transition::Stop).await;
    let rows = [scene.new_client(scene.number(), 2)];
    let added = store.add_clients(scene.by(), import, &rows).await;
    assert_eq!(refused(added), Refused::Campaign(RunState::Stopped));
    assert_eq!(store.client(rows[0].id).await.expect("read"), None, "nothing of the batch is in");
    let new = BeginImport {
        id: ImportId::new(scene.now(), scene.entropy()),
        campaign,
        file_name: String::new(),
        columns: Vec::new(),
        duplicates: DuplicatePolicy::default(),
    };
    let begun = store.begin_import(scene.by(), new).await;
    assert_eq!(refused(begun), Refused::Campaign(RunState::Stopped));
    scene.check().await;
}

pub async fn c5_counters_equal_a_recount_after_every_step_of_a_day(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, seeds) = scene.running(Value::Null, 12).await;
    scene.check().await;
    scene.dial_due().await;
    scene.check().await;
    for (index, seed) in seeds.iter().enumerate() {
        match index % 6 {
            0 => scene.answer(seed.call, AnsweredBy::Human).await,
            1 => scene.answer(seed.call, AnsweredBy::Machine).await,
            2 => scene.end(seed.call, Ending::Busy).await,
            3 => scene.end(seed.call, Ending::NoAnswer).await,
            4 => {
                let reason = "invalid".to_owned();
                scene.end(seed.call, Ending::Failed { reason, permanent: true }).await;
            }
            _ => drop(scene.hear(seed.call, [EventKind::Unclear]).await),
        }
        scene.advance(TimeDelta::minutes(7));
        scene.check().await;
    }
    let progress = scene.campaign(campaign).await.progress;
    assert_eq!((progress.totals.attempted(), progress.totals.answered()), (10, 2));
    assert_eq!((progress.totals.talk_seconds, progress.live), (60, 2));
    let quarters: BTreeSet<_> = store
        .tallies(Some(campaign), None, None)
        .await
        .expect("tallies")
        .into_iter()
        .map(|row| row.quarter)
        .collect();
    let (first, last) = (quarters.first().expect("some"), quarters.last().expect("some"));
    assert!(quarters.len() > 2 && quarters.iter().all(|at| at.timestamp() % 900 == 0));
    let part = store.tallies(Some(campaign), Some(*first), Some(*last)).await.expect("tallies");
    assert!(part.iter().any(|row| row.quarter == *first), "from is inclusive");
    assert!(part.iter().all(|row| row.quarter < *last), "to is exclusive");
    for _ in 0..3 {
        scene.advance(TimeDelta::hours(25));
        for call in scene.dial_due().await {
            scene.end(call, Ending::NoAnswer).await;
        }
        scene.check().await;
    }
}

pub async fn c6_a_campaign_finishes_with_its_last_client(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, seeds) = scene.running(Value::Null, 2).await;
    scene.dial_due().await;
    scene.answer(seeds[0].call, AnsweredBy::Human).await;
    assert_eq!(scene.campaign(campaign).await.campaign.state, RunState::Running);
    scene.answer(seeds[1].call, AnsweredBy::Human).await;
    let view = scene.campaign(campaign).await;
    assert_eq!(
        (view.campaign.state, view.campaign.ended_at),
        (RunState::Finished, Some(scene.now()))
    );
    assert_eq!(view.progress.final_count(), 2);
    let notices = store.notices(10).await.expect("notices");
    let finished = crate::port::NoticeKind::CampaignFinished(campaign);
    assert!(notices.iter().any(|notice| notice.kind == finished), "people hear of it");
    scene.check().await;
}

pub async fn c6_a_campaign_of_people_on_dnc_lists_finishes_when_it_starts(store: &dyn Store) {
    let scene = Scene::new(store);
    let phone = scene.number();
    scene.block(phone, DncScope::Global).await;
    let (campaign, _) = scene.running_with(Value::Null, &[phone]).await;
    assert_eq!(scene.campaign(campaign).await.campaign.state, RunState::Finished);
    scene.check().await;
}

pub async fn c6_a_campaign_that_ended_while_paused_finishes_when_it_goes_on(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, seed) = scene.running_one(Value::Null).await;
    scene.dial_due().await;
    scene.change(campaign, Transition::Pause).await;
    scene.answer(seed.call, AnsweredBy::Human).await;
    assert_eq!(scene.campaign(campaign).await.campaign.state, RunState::Paused);
    let view = scene.change(campaign, Transition::Resume).await;
    assert_eq!(view.campaign.state, RunState::Finished);
    scene.check().await;
}

pub async fn c5_campaigns_come_newest_first_and_by_state(store: &dyn Store) {
    let scene = Scene::new(store);
    let mut all = Vec::new();
    for index in 0..9 {
        // Two of one instant: the id tells them apart.
        scene.advance(TimeDelta::seconds(index % 2));
        all.push((scene.now(), scene.draft(Value::Null).await));
    }
    all.sort_by(|a, b| b.cmp(a));
    let wanted: Vec<CampaignId> = all.into_iter().map(|(_, id)| id).collect();
    let listed = recount::campaigns(store).await;
    assert_eq!(listed.iter().map(|view| view.campaign.id).collect::<Vec<_>>(), wanted);
    let (running, _) = scene.running_one(Value::Null).await;
    let page = store.campaigns(&[RunState::Running], None, 10).await.expect("read");
    assert_eq!(page.items.len(), 1);
    assert_eq!((page.items[0].campaign.id, page.next), (running, None));
    let either = [RunState::Running, RunState::Draft];
    assert_eq!(store.campaigns(&either, None, 20).await.expect("read").items.len(), 10);
}
