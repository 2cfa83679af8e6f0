//! The campaigns' side.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::call::{AnsweredBy, CallStatus, Ending, EventKind, Outcome};
use crate::campaign::{InvalidTransition, RunState, Transition};
use crate::client::{ClientStatus, Consent};
use crate::dnc::DncScope;
use crate::id::{CampaignId, ClientId, ImportId};
use crate::import::ImportReport;
use crate::port::{
    ActError, Added, BeginImport, ClientQuery, ImportStatus, NewClient, Refused, Store,
};
use crate::testing::fixtures::{Scene, settings};
use crate::testing::recount;

const HOUR: TimeDelta = TimeDelta::hours(1);

fn refused<T: std::fmt::Debug>(result: Result<T, ActError>) -> Refused {
    match result {
        Err(ActError::Refused(refused)) => refused,
        other => panic!("it is refused: {other:?}"),
    }
}

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

pub async fn c3_each_row_is_answered_in_order_and_duplicates_name_their_line(store: &dyn Store) {
    let scene = Scene::new(store);
    let campaign = scene.draft(Value::Null).await;
    let phones = [scene.number(), scene.number(), scene.number()];
    let import = scene.begin_import(campaign).await;
    let rows = [
        scene.new_client(phones[0], 2),
        scene.new_client(phones[1], 5),
        scene.new_client(phones[0], 9),
    ];
    let taken = Added::Accepted { on_dnc: false };
    let added = store.add_clients(scene.by(), import, &rows).await.expect("added");
    assert_eq!(added, [taken, taken, Added::Duplicate { of_line: Some(2) }]);
    let rows = [scene.new_client(phones[1], 11), scene.new_client(phones[2], 12)];
    let added = store.add_clients(scene.by(), import, &rows).await.expect("added");
    assert_eq!(added, [Added::Duplicate { of_line: Some(5) }, taken], "earlier batches count");
    let second = scene.begin_import(campaign).await;
    let rows = [scene.new_client(phones[2], 3), scene.new_client(phones[0], 4)];
    let added = store.add_clients(scene.by(), second, &rows).await.expect("added");
    let lines = [12, 2].map(|line| Added::Duplicate { of_line: Some(line) });
    assert_eq!(added, lines, "earlier files count");
    let other = scene.draft(Value::Null).await;
    assert_eq!(scene.import(other, &phones).await.len(), 3, "another campaign may have them");
    assert_eq!(scene.campaign(campaign).await.progress.client_count(), 3);
    scene.check().await;
}

pub async fn c3_a_taken_client_is_kept_whole_and_has_one_scheduled_call(store: &dyn Store) {
    let scene = Scene::new(store);
    let campaign = scene.draft(Value::Null).await;
    let import = scene.begin_import(campaign).await;
    let new = NewClient {
        name: "Zoë \"Z\" O'Neill, Jr.\n#2".to_owned(),
        external_id: Some("A-1".to_owned()),
        email: Some("zoe@example.com".to_owned()),
        zones: vec![crate::client::ClientZone {
            zone: "America/Los_Angeles".parse().expect("a zone"),
            source: crate::client::ZoneSource::Number,
        }],
        fields: vec!["=1+1".to_owned(), String::new()],
        tags: BTreeSet::from(["vip".to_owned(), "Überfällig".to_owned()]),
        note: Some("Speaks Portuguese".to_owned()),
        consent: Some(Consent {
            basis: "form".to_owned(),
            at: Some(scene.now() - HOUR),
            source: "clients.csv".to_owned(),
            evidence: None,
        }),
        person_key: Some("P1".to_owned()),
        debt_key: Some("D1".to_owned()),
        due_at: scene.now() + HOUR,
        ..scene.new_client(scene.number(), 2)
    };
    store.add_clients(scene.by(), import, std::slice::from_ref(&new)).await.expect("added");
    let client = scene.client(new.id).await.client;
    assert_eq!((client.campaign, client.import, client.line), (campaign, import, 2));
    assert_eq!((client.phone, client.name), (new.phone, new.name));
    assert_eq!((client.external_id, client.email), (new.external_id, new.email));
    assert_eq!((client.zones, client.fields, client.tags), (new.zones, new.fields, new.tags));
    assert_eq!(client.notes.len(), 1);
    assert_eq!(
        (client.notes[0].text.as_str(), client.notes[0].at),
        ("Speaks Portuguese", scene.now())
    );
    assert_eq!((client.consent, client.active), (new.consent, true));
    assert_eq!((client.person_key, client.debt_key), (new.person_key, new.debt_key));
    let next = client.standing.next_call.expect("a call to come");
    assert_eq!((next.call, next.due_at), (new.call, new.due_at));
    assert_eq!(client.standing.status, ClientStatus::Pending);
    let call = scene.call(new.call).await.call;
    assert_eq!((call.attempt, call.due_at, call.status()), (1, new.due_at, CallStatus::Scheduled));
    assert_eq!(
        (call.campaign, call.client, call.phone),
        (Some(campaign), Some(new.id), Some(new.phone))
    );
    scene.check().await;
}

pub async fn c3_a_client_on_a_dnc_list_is_taken_and_has_no_call(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, other) = (scene.draft(Value::Null).await, scene.draft(Value::Null).await);
    let phones = [scene.number(), scene.number(), scene.number(), scene.number()];
    scene.block(phones[0], DncScope::Global).await;
    scene.block(phones[1], DncScope::Campaign(campaign)).await;
    scene.block(phones[2], DncScope::Campaign(other)).await;
    let import = scene.begin_import(campaign).await;
    let rows: Vec<NewClient> =
        phones.iter().zip(2..).map(|(phone, line)| scene.new_client(*phone, line)).collect();
    let added = store.add_clients(scene.by(), import, &rows).await.expect("added");
    let wanted = [true, true, false, false].map(|on_dnc| Added::Accepted { on_dnc });
    assert_eq!(added, wanted);
    for row in &rows[..2] {
        let view = scene.client(row.id).await;
        assert!(view.on_dnc);
        assert_eq!(view.client.standing.status, ClientStatus::OnDnc);
        assert_eq!(view.client.standing.next_call, None);
        assert!(store.call(row.call).await.expect("read").is_none(), "no call was made");
    }
    assert!(!scene.client(rows[2].id).await.on_dnc, "another campaign's entry says nothing here");
    scene.check().await;
}

pub async fn c3_an_import_takes_rows_while_it_runs_and_keeps_its_report(store: &dyn Store) {
    let scene = Scene::new(store);
    let campaign = scene.draft(Value::Null).await;
    let import = scene.begin_import(campaign).await;
    let begun = store.import(import).await.expect("read").expect("it is there");
    assert_eq!((begun.campaign, begun.status), (campaign, ImportStatus::Running));
    assert_eq!((begun.file_name.as_str(), begun.columns.len()), ("clients.csv", 2));
    assert_eq!(begun.report, ImportReport::default());
    let report = ImportReport {
        rows_read: 3,
        accepted: 2,
        duplicates: 1,
        duplicate_of: vec![crate::import::Duplicate { line: 4, of_line: Some(2) }],
        ..ImportReport::default()
    };
    let so_far = store.report_import(scene.by(), import, ImportStatus::Running, &report).await;
    assert_eq!(so_far.expect("reported").report, report);
    let rows = [scene.new_client(scene.number(), 2)];
    store.add_clients(scene.by(), import, &rows).await.expect("it still runs");
    let done = store.report_import(scene.by(), import, ImportStatus::Done, &report).await;
    assert_eq!(done.expect("reported").status, ImportStatus::Done);
    let rows = [scene.new_client(scene.number(), 3)];
    refused(store.add_clients(scene.by(), import, &rows).await);
    let nobody = ImportId::new(scene.now(), scene.entropy());
    let result = store.report_import(scene.by(), nobody, ImportStatus::Done, &report).await;
    assert_eq!(refused(result), Refused::NotFound);
    assert_eq!(store.import(nobody).await.expect("read"), None);
    scene.advance(HOUR);
    let second = scene.begin_import(campaign).await;
    assert_eq!(store.fail_running_imports(scene.by()).await.expect("failed"), 1);
    let imports = store.imports(campaign).await.expect("read");
    let states: Vec<_> = imports.iter().map(|import| (import.id, import.status)).collect();
    assert_eq!(states, [(import, ImportStatus::Done), (second, ImportStatus::Failed)]);
    assert_eq!(imports[0].report, report, "the oldest first, each with its report");
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

fn query(campaign: CampaignId) -> ClientQuery {
    ClientQuery { campaign, q: None, statuses: vec![], tags: vec![], after: None, limit: 100 }
}

pub async fn c3_clients_are_found_by_part_of_name_or_number(store: &dyn Store) {
    let scene = Scene::new(store);
    let campaign = scene.draft(Value::Null).await;
    let import = scene.begin_import(campaign).await;
    let mut rows: Vec<NewClient> = (0..4)
        .map(|n| scene.new_client(crate::testing::fixtures::number(n * 100), n + 2))
        .collect();
    for (row, name) in rows.iter_mut().zip(["Ada Lovelace", "Grace Hopper", "Zoë Adams", "50%_\\"])
    {
        name.clone_into(&mut row.name);
    }
    rows[1].tags.insert("vip".to_owned());
    store.add_clients(scene.by(), import, &rows).await.expect("added");
    let found = async |q: &str| -> Vec<ClientId> {
        let query = ClientQuery { q: Some(q.to_owned()), ..query(campaign) };
        let page = store.clients(&query).await.expect("read");
        page.items.into_iter().map(|view| view.client.id).collect()
    };
    let ids: Vec<ClientId> = rows.iter().map(|row| row.id).collect();
    assert_eq!(found("ada").await, [ids[0], ids[2]], "any part of a name, whatever its case");
    assert_eq!(found("ad").await, [ids[0]], "under three characters only its beginning");
    assert_eq!(found("Zoë").await, [ids[2]]);
    assert_eq!(found("lace").await, [ids[0]]);
    assert_eq!(found("5550100").await, ids, "part of a number");
    assert_eq!(found("+1213").await, [ids[1]]);
    assert_eq!(found("213").await, [ids[1]]);
    assert_eq!(found("12").await, ids[..2], "under three digits only its beginning");
    assert_eq!(found("0%_").await, [ids[3]], "nothing in a search is a wildcard");
    assert!(found("%").await.is_empty() && found("___").await.is_empty());
    assert!(found("\"").await.is_empty() && found("a*").await.is_empty());
    assert!(found("ada OR grace").await.is_empty(), "nor an operator");
    let tagged = ClientQuery { tags: vec!["vip".to_owned(), "x".to_owned()], ..query(campaign) };
    assert_eq!(store.clients(&tagged).await.expect("read").items[0].client.id, ids[1]);
    let pending = ClientQuery { statuses: vec![ClientStatus::Pending], ..query(campaign) };
    assert_eq!(store.clients(&pending).await.expect("read").items.len(), 4);
    let reached = ClientQuery { statuses: vec![ClientStatus::Reached], ..query(campaign) };
    assert!(store.clients(&reached).await.expect("read").items.is_empty());
}

pub async fn c3_pages_of_clients_neither_repeat_nor_lose_while_rows_arrive(store: &dyn Store) {
    let scene = Scene::new(store);
    let campaign = scene.draft(Value::Null).await;
    let phones: Vec<_> = (0..10).map(|_| scene.number()).collect();
    let mut wanted: Vec<ClientId> =
        scene.import(campaign, &phones).await.iter().map(|seed| seed.client).collect();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = ClientQuery { after, limit: 3, ..query(campaign) };
        let page = store.clients(&page).await.expect("read");
        seen.extend(page.items.iter().map(|view| view.client.id));
        if wanted.len() < 16 {
            wanted.extend(scene.import(campaign, &[scene.number()]).await.iter().map(|s| s.client));
        }
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(seen[..10], wanted[..10], "in the order they came in");
    assert_eq!(seen, wanted[..seen.len()], "those that came meanwhile follow");
}

pub async fn c3_the_export_has_every_client_in_the_order_they_came_in(store: &dyn Store) {
    let scene = Scene::new(store);
    let campaign = scene.draft(Value::Null).await;
    let other = scene.draft(Value::Null).await;
    let mut wanted = Vec::new();
    for _ in 0..3 {
        let phones: Vec<_> = (0..4).map(|_| scene.number()).collect();
        wanted.extend(scene.import(campaign, &phones).await);
        scene.import(other, &[scene.number()]).await;
    }
    scene.block(wanted[5].phone, DncScope::Campaign(campaign)).await;
    let (mut rows, mut after) = (Vec::new(), None);
    loop {
        let part = store.export_clients(campaign, after, 5).await.expect("read");
        let Some(last) = part.last() else { break };
        after = Some(last.place);
        rows.extend(part);
    }
    let ids: Vec<ClientId> = rows.iter().map(|row| row.client.id).collect();
    assert_eq!(ids, wanted.iter().map(|seed| seed.client).collect::<Vec<_>>());
    let on_dnc: Vec<usize> =
        rows.iter().enumerate().filter(|(_, row)| row.on_dnc).map(|(index, _)| index).collect();
    assert_eq!(on_dnc, [5]);
    let listed = recount::clients(store, campaign).await;
    let listed: Vec<_> = listed.into_iter().map(|view| view.client).collect();
    assert_eq!(rows.into_iter().map(|row| row.client).collect::<Vec<_>>(), listed);
}
