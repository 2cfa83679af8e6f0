//! Who may use the store, and what was done.

use chrono::TimeDelta;
use futures_util::future::join;
use serde_json::{Value, json};

use crate::actor::{Actor, Role};
use crate::id::UserId;
use crate::port::{AuditEntry, AuditQuery, AuditRow, By, Store, User};
use crate::testing::fixtures::{Scene, person};

const MINUTE: TimeDelta = TimeDelta::minutes(1);

pub(super) async fn user(scene: &Scene<'_>, name: &str, role: Role) -> User {
    let user = User {
        id: UserId::new(scene.now(), scene.entropy()),
        name: name.to_owned(),
        role,
        password_hash: None,
        disabled: false,
    };
    scene.store.save_user(scene.by(), user).await.expect("saved")
}

pub async fn a1_a_link_is_redeemed_once(store: &dyn Store) {
    let scene = Scene::new(store);
    let admin = user(&scene, "admin", Role::Admin).await;
    let (secret, until) = ([1; 32], scene.wall() + MINUTE * 15);
    store.add_link(secret, admin.id, until).await.expect("added");
    for _ in 0..2 {
        let good = store.link_is_good(secret, scene.wall()).await.expect("read");
        assert!(good, "looking does not use it up");
    }
    assert!(!store.link_is_good([2; 32], scene.wall()).await.expect("read"));
    assert_eq!(store.redeem_link([2; 32], scene.wall()).await.expect("redeemed"), None);
    let (one, two) =
        join(store.redeem_link(secret, scene.wall()), store.redeem_link(secret, scene.wall()))
            .await;
    let redeemed: Vec<User> =
        [one, two].into_iter().filter_map(|user| user.expect("redeemed")).collect();
    assert_eq!(redeemed, [admin], "one of two at once");
    assert!(!store.link_is_good(secret, scene.wall()).await.expect("read"));
    assert_eq!(store.redeem_link(secret, scene.wall()).await.expect("redeemed"), None);
}

pub async fn a1_a_link_that_ended_is_no_link(store: &dyn Store) {
    let scene = Scene::new(store);
    let admin = user(&scene, "admin", Role::Admin).await;
    let until = scene.wall() + MINUTE * 15;
    store.add_link([1; 32], admin.id, until).await.expect("added");
    assert!(store.link_is_good([1; 32], until - MINUTE).await.expect("read"));
    assert!(!store.link_is_good([1; 32], until).await.expect("read"));
    assert_eq!(store.redeem_link([1; 32], until).await.expect("redeemed"), None);
}

pub async fn a2_a_session_ends_by_itself_and_by_sign_out(store: &dyn Store) {
    let scene = Scene::new(store);
    let operator = user(&scene, "operator", Role::Operator).await;
    let until = scene.wall() + MINUTE;
    for secret in [[1; 32], [2; 32]] {
        store.add_session(secret, operator.id, until).await.expect("added");
    }
    let session = store.session([1; 32], scene.wall()).await.expect("read").expect("signed in");
    assert_eq!((session.user, session.expires), (operator, until));
    store.end_session([1; 32]).await.expect("ended");
    assert_eq!(store.session([1; 32], scene.wall()).await.expect("read"), None);
    assert!(store.session([2; 32], scene.wall()).await.expect("read").is_some(), "another one");
    assert_eq!(store.session([2; 32], until).await.expect("read"), None, "it ended by itself");
    assert_eq!(store.session([3; 32], scene.wall()).await.expect("read"), None);
    store.end_session([3; 32]).await.expect("nothing to end");
}

pub async fn a2_a_session_has_its_users_present_role(store: &dyn Store) {
    let scene = Scene::new(store);
    let first = user(&scene, "ana", Role::Viewer).await;
    store.add_session([1; 32], first.id, scene.wall() + MINUTE).await.expect("added");
    let again = user(&scene, "ana", Role::Operator).await;
    assert_eq!((again.id, again.role), (first.id, Role::Operator), "a name is one user");
    assert_eq!(store.user("ana").await.expect("read"), Some(again.clone()));
    assert_eq!(store.user("nobody").await.expect("read"), None);
    let session = store.session([1; 32], scene.wall()).await.expect("read").expect("signed in");
    assert_eq!(session.user, again);
}

pub async fn a3_audit_rows_are_only_added_and_come_newest_first(store: &dyn Store) {
    let scene = Scene::new(store);
    let operator = person();
    let mut seen: Vec<AuditRow> = Vec::new();
    for index in 0..10 {
        scene.advance(TimeDelta::seconds(index % 2));
        let entry = AuditEntry {
            action: "transcript.read",
            object: format!("call {index}"),
            old: (index == 3).then(|| json!({"status": "unreviewed"})),
            new: (index == 3).then(|| json!({"status": "reviewed", "n": [1, null]})),
        };
        store.append_audit(By::new(&operator, scene.now()), entry).await.expect("appended");
        let rows = store.audit(&AuditQuery::newest(100)).await.expect("read").items;
        assert_eq!(rows.len(), seen.len() + 1);
        assert!(seen.iter().all(|row| rows.contains(row)), "earlier rows stay as they were");
        seen = rows;
    }
    assert!(seen.is_sorted_by(|a, b| (a.at, a.id) > (b.at, b.id)));
    let third = seen.iter().find(|row| row.object == "call 3").expect("kept");
    assert_eq!((&third.actor, third.action.as_str()), (&operator, "transcript.read"));
    assert_eq!(third.old, Some(json!({"status": "unreviewed"})));
    assert_eq!(third.new, Some(json!({"status": "reviewed", "n": [1, null]})));
    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let page = store.audit(&AuditQuery { after, ..AuditQuery::newest(3) }).await.expect("read");
        paged.extend(page.items);
        // What arrives meanwhile is newer.
        scene.advance(MINUTE);
        let entry = AuditEntry { action: "x.y", object: String::new(), old: None, new: None };
        store.append_audit(By::new(&operator, scene.now()), entry).await.expect("appended");
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(paged, seen);
}

pub async fn a4_a_store_tells_no_secret(store: &dyn Store) {
    let scene = Scene::new(store);
    let admin = user(&scene, "admin", Role::Admin).await;
    let secret = *b"0123456789abcdef0123456789abcdef";
    store.add_link(secret, admin.id, scene.wall() + MINUTE).await.expect("added");
    store.add_session(secret, admin.id, scene.wall() + MINUTE).await.expect("added");
    let (_, seed) = scene.running_one(Value::Null).await;
    let shown = format!("{store:?}");
    for hidden in ["0123456789abcdef", "48, 49, 50, 51, 52", &seed.phone.to_string()[1..]] {
        assert!(!shown.contains(hidden), "Debug output shows {hidden}");
    }
}

pub async fn a5_a_fact_keeps_its_first_value(store: &dyn Store) {
    let scene = Scene::new(store);
    assert_eq!(store.fact("carrier").await.expect("read"), None);
    let (one, two) =
        join(store.put_fact("carrier", "simulated"), store.put_fact("carrier", "real")).await;
    let (one, two) = (one.expect("put"), two.expect("put"));
    assert_eq!(one, two, "two processes that start at once agree");
    assert_eq!(store.put_fact("carrier", "third").await.expect("put"), one);
    assert_eq!(store.fact("carrier").await.expect("read"), Some(one));
    assert_eq!(store.fact("origin").await.expect("read"), None);
    scene.check().await;
}

pub async fn a3_the_systems_own_reads_leave_no_row(store: &dyn Store) {
    let scene = Scene::new(store);
    let entry = AuditEntry { action: "x.y", object: String::new(), old: None, new: None };
    store.append_audit(By::new(&Actor::System, scene.now()), entry).await.expect("ignored");
    assert!(store.audit(&AuditQuery::newest(10)).await.expect("read").items.is_empty());
}
