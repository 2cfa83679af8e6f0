//! What every mutating method owes: its audit row and its idempotency record.

use std::sync::Arc;

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::actor::{Actor, Role};
use crate::call::{Review, Skip, SkipReason};
use crate::campaign::Transition;
use crate::dnc::DncScope;
use crate::id::{CallId, CampaignId, TokenId, UserId};
use crate::import::ImportReport;
use crate::port::{
    ActError, AuditEntry, AuditQuery, By, CallAct, ClientChange, Effect, Idempotency, ImportStatus,
    Invitation, NewCampaign, NewPassword, NewToken, Refused, SavedReply, SkipThen, Store, User,
    UserChange,
};
use crate::testing::fixtures::{Scene, person, settings};

/// Asserts that a person's mutation wrote at least one audit row, and all of them are the person's.
async fn audited(scene: &Scene<'_>, known: &mut usize, what: &str) {
    let rows = scene.store.audit(&AuditQuery::newest(200)).await.expect("audit rows").items;
    assert!(rows.len() > *known, "{what} writes an audit row");
    for row in &rows[..rows.len() - *known] {
        assert_eq!((&row.actor, row.at), (&person(), scene.now()), "{what}: who and when");
        assert!(row.action.contains('.'), "{what}: an action is object.verb: {}", row.action);
    }
    *known = rows.len();
    // Rows of one instant have no order among themselves.
    scene.advance(TimeDelta::seconds(1));
}

pub async fn b1_people_leave_audit_rows_and_the_system_none(store: &dyn Store) {
    let scene = Scene::new(store);
    let operator = person();
    let by = || By::new(&operator, scene.now());
    let mut known = 0;
    let id = CampaignId::new(scene.now(), scene.entropy());
    let new = NewCampaign { id, settings: settings(&Value::Null) };
    store.create_campaign(by(), new).await.expect("created");
    audited(&scene, &mut known, "create_campaign").await;
    store.change_settings(by(), id, 1, settings(&json!({"name": "Other"}))).await.expect("changed");
    audited(&scene, &mut known, "change_settings").await;
    // Adding the rows of a file is the import's doing; one row for the import is enough.
    let import = scene.begin_import(id).await;
    let clients: Vec<_> = (2..7).map(|line| scene.new_client(scene.number(), line)).collect();
    store.add_clients(scene.by(), import, &clients).await.expect("added");
    store
        .report_import(scene.by(), import, ImportStatus::Done, &ImportReport::default())
        .await
        .expect("reported");
    store.change_state(by(), id, Transition::Start).await.expect("started");
    audited(&scene, &mut known, "start").await;
    store.call_now(by(), clients[0].call).await.expect("now");
    audited(&scene, &mut known, "call_now").await;
    let skip = Skip { reason: SkipReason::WrongNumber, note: None };
    store.skip(by(), clients[1].call, skip, SkipThen::End).await.expect("skipped");
    audited(&scene, &mut known, "skip").await;
    store.reschedule(by(), clients[2].call, scene.now()).await.expect("moved");
    audited(&scene, &mut known, "reschedule").await;
    store.retry(by(), clients[1].call, scene.new_call(scene.now())).await.expect("again");
    audited(&scene, &mut known, "retry").await;
    store.call_client(by(), clients[4].id, scene.new_call(scene.now())).await.expect("called");
    audited(&scene, &mut known, "call_client").await;
    store.add_note(by(), clients[1].call, "noted").await.expect("noted");
    audited(&scene, &mut known, "add_note").await;
    store.review(by(), clients[1].call, Review::Reviewed, None).await.expect("reviewed");
    audited(&scene, &mut known, "review").await;
    let acts = [(clients[2].call, Ok(CallAct::Reschedule(scene.now())))];
    store.change_calls(by(), &acts).await.expect("moved");
    audited(&scene, &mut known, "change_calls").await;
    let resumed = CallId::new(scene.now(), scene.entropy());
    let off = ClientChange { active: Some(false), ..ClientChange::new(resumed) };
    store.change_client(by(), clients[0].id, &off).await.expect("changed");
    audited(&scene, &mut known, "change_client").await;
    let entry = scene.dnc_entry(clients[3].phone, DncScope::Global);
    store.add_dnc(by(), entry).await.expect("blocked");
    audited(&scene, &mut known, "add_dnc").await;
    store
        .remove_dnc(by(), clients[3].phone, DncScope::Global, "a mistake")
        .await
        .expect("unblocked");
    audited(&scene, &mut known, "remove_dnc").await;
    let user = User {
        id: UserId::new(scene.now(), scene.entropy()),
        name: "viewer".to_owned(),
        role: Role::Viewer,
        password_hash: None,
        disabled: false,
    };
    store.save_user(by(), user.clone()).await.expect("saved");
    audited(&scene, &mut known, "save_user").await;
    let invitation = Invitation { secret: [1; 32], expires: scene.wall() + TimeDelta::days(1) };
    let id_of_user = UserId::new(scene.now(), scene.entropy());
    let user = User { id: id_of_user, name: "invited".to_owned(), ..user };
    store.invite_user(by(), user, invitation).await.expect("invited");
    audited(&scene, &mut known, "invite_user").await;
    store.accept_invitation(by(), [1; 32], "hash".to_owned(), scene.wall()).await.expect("in");
    audited(&scene, &mut known, "accept_invitation").await;
    let new = NewPassword { known: "hash".to_owned(), hash: "other".to_owned(), keep: None };
    store.change_password(by(), id_of_user, new).await.expect("changed");
    audited(&scene, &mut known, "change_password").await;
    let change = UserChange { disabled: Some(true), ..UserChange::default() };
    store.change_user(by(), id_of_user, change).await.expect("changed");
    audited(&scene, &mut known, "change_user").await;
    let token = new_token(&scene, "crm");
    store.add_token(by(), token.clone()).await.expect("made");
    audited(&scene, &mut known, "add_token").await;
    store.revoke_token(by(), token.id).await.expect("revoked");
    audited(&scene, &mut known, "revoke_token").await;
    let entry = AuditEntry {
        action: "recording.read",
        object: clients[0].call.to_string(),
        old: None,
        new: None,
    };
    store.append_audit(by(), entry).await.expect("appended");
    audited(&scene, &mut known, "append_audit").await;
    for transition in [Transition::Pause, Transition::Resume, Transition::Stop] {
        store.change_state(by(), id, transition).await.expect("changed");
        audited(&scene, &mut known, transition.as_str()).await;
    }
    let token = Actor::Token("crm".to_owned());
    let new = NewCampaign {
        id: CampaignId::new(scene.now(), scene.entropy()),
        settings: settings(&Value::Null),
    };
    store.create_campaign(By::new(&token, scene.now()), new).await.expect("created");
    let rows = store.audit(&AuditQuery::newest(200)).await.expect("audit rows").items;
    assert_eq!((rows.len(), &rows[0].actor), (known + 1, &token), "tokens leave rows too");
    scene.running_one(Value::Null).await;
    scene.dial_due().await;
    let rows = store.audit(&AuditQuery::newest(200)).await.expect("audit rows").items;
    assert_eq!(rows.len(), known + 1, "the system leaves none");
    scene.check().await;
}

fn new_token(scene: &Scene<'_>, name: &str) -> NewToken {
    NewToken {
        id: TokenId::new(scene.now(), scene.entropy()),
        name: name.to_owned(),
        secret: [2; 32],
        role: Role::Viewer,
        created_at: scene.wall(),
        expires: None,
    }
}

pub async fn b1_a_refused_request_leaves_no_audit_row(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, _) = scene.running_one(Value::Null).await;
    let operator = person();
    let by = By::new(&operator, scene.now());
    store.change_state(by, campaign, Transition::Start).await.expect_err("it runs already");
    store.change_settings(by, campaign, 7, settings(&Value::Null)).await.expect_err("stale");
    assert!(store.audit(&AuditQuery::newest(10)).await.expect("audit rows").items.is_empty());
}

fn record(scene: &Scene<'_>, key: &str) -> Idempotency {
    Idempotency {
        scope: "user:operator POST /api/campaigns".to_owned(),
        key: key.to_owned(),
        body_hash: [7; 32],
        wall: scene.wall(),
        reply: Arc::new(|effect| {
            let body = match effect {
                Effect::Campaign(view) => view.campaign.settings.name.clone(),
                _ => "another effect".to_owned(),
            };
            SavedReply { status: 201, body }
        }),
    }
}

pub async fn b2_the_reply_is_stored_with_its_effect(store: &dyn Store) {
    let scene = Scene::new(store);
    let (operator, record) = (person(), record(&scene, "first"));
    let by = By { actor: &operator, now: scene.now(), idempotency: Some(&record) };
    let new = NewCampaign {
        id: CampaignId::new(scene.now(), scene.entropy()),
        settings: settings(&json!({"name": "Once"})),
    };
    store.create_campaign(by, new).await.expect("created");
    let saved = store.saved_reply(&record.scope, "first", scene.wall()).await.expect("read");
    let reply = SavedReply { status: 201, body: "Once".to_owned() };
    assert_eq!(saved, Some(([7; 32], reply)));
    for (scope, key) in [(record.scope.as_str(), "second"), ("another scope", "first")] {
        assert_eq!(store.saved_reply(scope, key, scene.wall()).await.expect("read"), None);
    }
    let later = scene.wall() + TimeDelta::hours(25);
    assert_eq!(store.saved_reply(&record.scope, "first", later).await.expect("read"), None);
}

pub async fn b2_a_second_request_under_a_key_changes_nothing(store: &dyn Store) {
    let scene = Scene::new(store);
    let (campaign, seeds) = scene.running(Value::Null, 2).await;
    let (operator, record) = (person(), record(&scene, "once"));
    let by = By { actor: &operator, now: scene.now(), idempotency: Some(&record) };
    store.call_now(by, seeds[0].call).await.expect("the first goes through");
    let (before, rows) = (snapshot(&scene, campaign).await, audit_len(store).await);
    let in_progress = |result: Result<(), ActError>, what: &str| {
        assert!(
            matches!(result, Err(ActError::Refused(Refused::InProgress))),
            "{what}: {result:?}"
        );
    };
    let call = seeds[1].call;
    in_progress(store.call_now(by, call).await.map(drop), "call_now");
    in_progress(store.reschedule(by, call, scene.now()).await.map(drop), "reschedule");
    let skip = Skip { reason: SkipReason::BadTiming, note: None };
    in_progress(store.skip(by, call, skip, SkipThen::End).await.map(drop), "skip");
    let new = scene.new_call(scene.now());
    in_progress(store.retry(by, call, new).await.map(drop), "retry");
    let called = store.call_client(by, seeds[1].client, scene.new_call(scene.now())).await;
    in_progress(called.map(drop), "call_client");
    in_progress(store.add_note(by, call, "noted").await.map(drop), "add_note");
    let reviewed = store.review(by, call, Review::Reviewed, None).await;
    in_progress(reviewed.map(drop), "review");
    let acts = [(call, Ok(CallAct::Reschedule(scene.now())))];
    in_progress(store.change_calls(by, &acts).await.map(drop), "change_calls");
    let off = ClientChange { active: Some(false), ..ClientChange::new(new.id) };
    let changed = store.change_client(by, seeds[1].client, &off).await;
    in_progress(changed.map(drop), "change_client");
    let entry = scene.dnc_entry(seeds[1].phone, DncScope::Global);
    in_progress(store.add_dnc(by, entry).await.map(drop), "add_dnc");
    let removed = store.remove_dnc(by, seeds[1].phone, DncScope::Global, "").await;
    in_progress(removed, "remove_dnc");
    let new = NewCampaign {
        id: CampaignId::new(scene.now(), scene.entropy()),
        settings: settings(&Value::Null),
    };
    in_progress(store.create_campaign(by, new).await.map(drop), "create_campaign");
    let changed = store.change_settings(by, campaign, 1, settings(&Value::Null)).await;
    in_progress(changed.map(drop), "change_settings");
    in_progress(store.change_state(by, campaign, Transition::Stop).await.map(drop), "stop");
    let user = User {
        id: UserId::new(scene.now(), scene.entropy()),
        name: "invited".to_owned(),
        role: Role::Viewer,
        password_hash: None,
        disabled: false,
    };
    let invitation = Invitation { secret: [1; 32], expires: scene.wall() + TimeDelta::days(1) };
    let invited = store.invite_user(by, user.clone(), invitation).await;
    in_progress(invited.map(drop), "invite_user");
    let changed = store.change_user(by, user.id, UserChange::default()).await;
    in_progress(changed.map(drop), "change_user");
    let hash = "hash".to_owned();
    let accepted = store.accept_invitation(by, [1; 32], hash, scene.wall()).await;
    in_progress(accepted.map(drop), "accept_invitation");
    let new = NewPassword { known: "hash".to_owned(), hash: "other".to_owned(), keep: None };
    in_progress(store.change_password(by, user.id, new).await.map(drop), "change_password");
    let token = new_token(&scene, "crm");
    in_progress(store.add_token(by, token.clone()).await.map(drop), "add_token");
    in_progress(store.revoke_token(by, token.id).await, "revoke_token");
    assert_eq!(snapshot(&scene, campaign).await, before, "nothing at all was done");
    assert_eq!(audit_len(store).await, rows, "no audit row either");
    assert_eq!(store.campaigns(&[], None, 10).await.expect("read").items.len(), 1);
    scene.check().await;
}

pub async fn b2_of_two_requests_at_once_under_a_key_one_is_done(store: &dyn Store) {
    let scene = Scene::new(store);
    let (operator, record) = (person(), record(&scene, "race"));
    let by = By { actor: &operator, now: scene.now(), idempotency: Some(&record) };
    let new = || NewCampaign {
        id: CampaignId::new(scene.now(), scene.entropy()),
        settings: settings(&Value::Null),
    };
    let (one, two) = futures_util::future::join(
        store.create_campaign(by, new()),
        store.create_campaign(by, new()),
    )
    .await;
    assert!(one.is_ok() != two.is_ok(), "one of them: {one:?} {two:?}");
    assert_eq!(store.campaigns(&[], None, 10).await.expect("read").items.len(), 1);
}

pub async fn b2_a_refused_request_leaves_its_key_free(store: &dyn Store) {
    let scene = Scene::new(store);
    let campaign = scene.draft(Value::Null).await;
    let (operator, record) = (person(), record(&scene, "again"));
    let by = By { actor: &operator, now: scene.now(), idempotency: Some(&record) };
    let refused = store.change_state(by, campaign, Transition::Start).await;
    assert!(matches!(refused, Err(ActError::Refused(Refused::NoClients))), "{refused:?}");
    assert_eq!(
        store.saved_reply(&record.scope, &record.key, scene.wall()).await.expect("read"),
        None
    );
    scene.import(campaign, &[scene.number()]).await;
    store.change_state(by, campaign, Transition::Start).await.expect("the key is free");
}

async fn snapshot(
    scene: &Scene<'_>,
    campaign: CampaignId,
) -> (crate::port::CampaignView, Vec<crate::port::CallView>) {
    (scene.campaign(campaign).await, scene.upcoming(campaign).await)
}

async fn audit_len(store: &dyn Store) -> usize {
    store.audit(&AuditQuery::newest(200)).await.expect("audit rows").items.len()
}
