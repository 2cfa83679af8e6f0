//! Users, invitations and tokens.

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join;

use super::access::user;
use crate::actor::{Actor, Role};
use crate::id::{TokenId, UserId};
use crate::port::{
    ActError, AuditQuery, By, Cursor, Invitation, NewPassword, NewToken, Refused, Store, Token,
    User, UserChange, UserView,
};
use crate::testing::fixtures::Scene;

const MINUTE: TimeDelta = TimeDelta::minutes(1);
const DISABLED: UserChange = UserChange { role: None, disabled: Some(true), invitation: None };
const ENABLED: UserChange = UserChange { role: None, disabled: Some(false), invitation: None };

const fn to(role: Role) -> UserChange {
    UserChange { role: Some(role), disabled: None, invitation: None }
}

fn invitation(scene: &Scene<'_>, secret: u8) -> Invitation {
    Invitation { secret: [secret; 32], expires: scene.wall() + MINUTE }
}

async fn invite(scene: &Scene<'_>, name: &str, secret: u8) -> Result<UserView, ActError> {
    let user = User {
        id: UserId::new(scene.now(), scene.entropy()),
        name: name.to_owned(),
        role: Role::Operator,
        password_hash: None,
        disabled: false,
    };
    scene.store.invite_user(scene.by(), user, invitation(scene, secret)).await
}

async fn accept(scene: &Scene<'_>, secret: u8, hash: &str) -> Option<User> {
    let ana = Actor::User("ana".to_owned());
    let by = By::new(&ana, scene.now());
    let accepted =
        scene.store.accept_invitation(by, [secret; 32], hash.to_owned(), scene.wall()).await;
    match accepted {
        Ok(view) => Some(view.user),
        Err(error) => {
            assert!(matches!(error, ActError::Refused(Refused::NotFound)), "{error:?}");
            None
        }
    }
}

fn new_token(scene: &Scene<'_>, name: &str, secret: u8, role: Role) -> NewToken {
    NewToken {
        id: TokenId::new(scene.now(), scene.entropy()),
        name: name.to_owned(),
        secret: [secret; 32],
        role,
        created_at: scene.wall(),
        expires: None,
    }
}

async fn token(scene: &Scene<'_>, secret: u8) -> Option<Token> {
    scene.store.token([secret; 32], scene.wall()).await.expect("read")
}

pub async fn a6_an_invitation_is_accepted_once_and_ends_other_sessions(store: &dyn Store) {
    let scene = Scene::new(store);
    let view = invite(&scene, "ana", 1).await.expect("invited");
    assert_eq!(view.invited_until, Some(scene.wall() + MINUTE));
    assert_eq!(store.user_view(view.user.id).await.expect("read"), Some(view.clone()));
    assert_eq!(store.invited([1; 32], scene.wall()).await.expect("read"), Some(view.user.clone()));
    assert!(!store.link_is_good([1; 32], scene.wall()).await.expect("read"), "signs nobody in");
    assert_eq!(store.redeem_link([1; 32], scene.wall()).await.expect("asked"), None);
    store.add_session([7; 32], view.user.id, scene.wall() + MINUTE).await.expect("added");
    let (one, two) = join(accept(&scene, 1, "first"), accept(&scene, 1, "second")).await;
    assert!(one.is_some() != two.is_some(), "one of two at once");
    let known = store.user("ana").await.expect("read").expect("is there");
    assert_eq!(one.or(two), Some(known));
    assert_eq!(store.session([7; 32], scene.wall()).await.expect("read"), None);
    assert_eq!(store.invited([1; 32], scene.wall()).await.expect("read"), None);
    let view = store.user_view(view.user.id).await.expect("read").expect("is there");
    assert_eq!(view.invited_until, None);
    let rows = store.audit(&AuditQuery::newest(10)).await.expect("read").items;
    let told: Vec<_> = rows.iter().map(|row| (row.actor.to_string(), &*row.action)).collect();
    assert_eq!(told, [("user:ana".to_owned(), "user.accept")]);
}

pub async fn a6_an_invitation_that_ended_or_was_replaced_is_none(store: &dyn Store) {
    let scene = Scene::new(store);
    let view = invite(&scene, "ana", 1).await.expect("invited");
    let change = UserChange { invitation: Some(invitation(&scene, 2)), ..UserChange::default() };
    store.change_user(scene.by(), view.user.id, change).await.expect("changed");
    assert_eq!(accept(&scene, 1, "hash").await, None, "a newer one was given out");
    assert!(store.invited([2; 32], scene.wall()).await.expect("read").is_some());
    scene.advance_wall(MINUTE);
    assert_eq!(store.invited([2; 32], scene.wall()).await.expect("read"), None);
    assert_eq!(accept(&scene, 2, "hash").await, None);
    let known = store.user("ana").await.expect("read").expect("is there");
    assert_eq!(known.password_hash, None);
    let taken = invite(&scene, "ana", 3).await;
    assert!(matches!(taken, Err(ActError::Refused(Refused::NameTaken))), "{taken:?}");
}

pub async fn a6_users_come_in_pages_in_the_order_they_came(store: &dyn Store) {
    let scene = Scene::new(store);
    let mut names = Vec::new();
    for index in 0..5 {
        scene.advance(MINUTE);
        let name = format!("user {index}");
        invite(&scene, &name, index).await.expect("invited");
        names.push(name);
    }
    let (mut seen, mut after): (Vec<String>, Option<Cursor>) = (Vec::new(), None);
    loop {
        let page = store.users(after, 2).await.expect("read");
        assert!(page.items.len() <= 2);
        seen.extend(page.items.into_iter().map(|view| view.user.name));
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, names);
}

pub async fn a7_a_disabled_user_has_no_way_in(store: &dyn Store) {
    let scene = Scene::new(store);
    user(&scene, "admin", Role::Admin).await;
    let ana = user(&scene, "ana", Role::Admin).await;
    let until = scene.wall() + MINUTE;
    store.add_session([1; 32], ana.id, until).await.expect("added");
    store.add_link([2; 32], ana.id, until).await.expect("added");
    let change = UserChange { invitation: Some(invitation(&scene, 3)), ..UserChange::default() };
    store.change_user(scene.by(), ana.id, change).await.expect("invited");
    let hers = Actor::User("ana".to_owned());
    let by = By::new(&hers, scene.now());
    store.add_token(by, new_token(&scene, "crm", 4, Role::Viewer)).await.expect("made");
    let made_by_hers = Actor::Token("crm".to_owned());
    let by = By::new(&made_by_hers, scene.now());
    store.add_token(by, new_token(&scene, "crm again", 5, Role::Viewer)).await.expect("made");
    let others = scene.by();
    store.add_token(others, new_token(&scene, "other", 6, Role::Viewer)).await.expect("made");
    let view = store.change_user(scene.by(), ana.id, DISABLED).await.expect("disabled");
    assert!(view.user.disabled && view.invited_until.is_none());
    let no_way_in = async || {
        assert_eq!(store.session([1; 32], scene.wall()).await.expect("read"), None);
        assert!(!store.link_is_good([2; 32], scene.wall()).await.expect("read"));
        assert_eq!(store.redeem_link([2; 32], scene.wall()).await.expect("asked"), None);
        assert_eq!(accept(&scene, 3, "hash").await, None);
        assert_eq!((token(&scene, 4).await, token(&scene, 5).await), (None, None));
    };
    no_way_in().await;
    assert!(token(&scene, 6).await.is_some(), "somebody else's");
    // Who checked a password just before is too late as well.
    store.add_session([8; 32], ana.id, until).await.expect("added");
    assert_eq!(store.session([8; 32], scene.wall()).await.expect("read"), None);
    let change = UserChange { invitation: Some(invitation(&scene, 9)), ..UserChange::default() };
    let refused = store.change_user(scene.by(), ana.id, change).await;
    assert!(matches!(refused, Err(ActError::Refused(Refused::UserDisabled))), "{refused:?}");
    store.change_user(scene.by(), ana.id, ENABLED).await.expect("enabled");
    no_way_in().await;
}

pub async fn a7_the_last_enabled_admin_stays(store: &dyn Store) {
    let scene = Scene::new(store);
    let first = user(&scene, "first", Role::Admin).await;
    let second = user(&scene, "second", Role::Operator).await;
    let last = |refused: Result<UserView, ActError>| {
        assert!(matches!(refused, Err(ActError::Refused(Refused::LastAdmin))), "{refused:?}");
    };
    for change in [DISABLED, to(Role::Operator), to(Role::Viewer)] {
        last(store.change_user(scene.by(), first.id, change).await);
    }
    store.change_user(scene.by(), second.id, to(Role::Admin)).await.expect("promoted");
    let (one, two) = join(
        store.change_user(scene.by(), first.id, to(Role::Viewer)),
        store.change_user(scene.by(), second.id, DISABLED),
    )
    .await;
    assert!(one.is_ok() != two.is_ok(), "one of two at once");
    let nobody = UserId::new(scene.now(), scene.entropy());
    let refused = store.change_user(scene.by(), nobody, DISABLED).await;
    assert!(matches!(refused, Err(ActError::Refused(Refused::NotFound))), "{refused:?}");
}

pub async fn a8_a_token_lets_in_until_it_ends_or_is_revoked(store: &dyn Store) {
    let scene = Scene::new(store);
    let until: DateTime<Utc> = scene.wall() + MINUTE;
    let brief = NewToken { expires: Some(until), ..new_token(&scene, "brief", 1, Role::Viewer) };
    let brief = store.add_token(scene.by(), brief).await.expect("made");
    let long = new_token(&scene, "long", 2, Role::Operator);
    let long = store.add_token(scene.by(), long).await.expect("made");
    assert_eq!(token(&scene, 1).await, Some(brief.clone()));
    assert_eq!(token(&scene, 2).await, Some(long.clone()));
    assert_eq!(token(&scene, 3).await, None);
    let taken = store.add_token(scene.by(), new_token(&scene, "long", 4, Role::Viewer)).await;
    assert!(matches!(taken, Err(ActError::Refused(Refused::NameTaken))), "{taken:?}");
    store.token_used(long.id, until).await.expect("noted");
    store.token_used(long.id, scene.wall()).await.expect("noted");
    let used = Token { last_used: Some(until), ..long.clone() };
    assert_eq!(token(&scene, 2).await, Some(used.clone()), "what was used stays used");
    let listed = store.tokens(None, 10).await.expect("read").items;
    assert_eq!(listed.len(), 2);
    assert!(listed.contains(&brief) && listed.contains(&used));
    let mut paged = store.tokens(None, 1).await.expect("read");
    let rest = store.tokens(paged.next, 1).await.expect("read");
    paged.items.extend(rest.items);
    assert_eq!((paged.items, rest.next), (listed, None));
    scene.advance_wall(MINUTE);
    assert_eq!(token(&scene, 1).await, None, "it ended");
    store.revoke_token(scene.by(), long.id).await.expect("revoked");
    assert_eq!(token(&scene, 2).await, None);
    let gone = store.revoke_token(scene.by(), long.id).await;
    assert!(matches!(gone, Err(ActError::Refused(Refused::NotFound))), "{gone:?}");
    let again = new_token(&scene, "long", 5, Role::Viewer);
    store.add_token(scene.by(), again).await.expect("the name is free");
}

pub async fn a8_a_token_may_no_more_than_its_owner_may_now(store: &dyn Store) {
    let scene = Scene::new(store);
    user(&scene, "admin", Role::Admin).await;
    let ana = user(&scene, "ana", Role::Admin).await;
    let hers = Actor::User("ana".to_owned());
    let by = By::new(&hers, scene.now());
    store.add_token(by, new_token(&scene, "crm", 1, Role::Admin)).await.expect("made");
    let role = async || token(&scene, 1).await.expect("lets in").role;
    assert_eq!(role().await, Role::Admin);
    for given in [Role::Viewer, Role::Operator, Role::Admin] {
        store.change_user(scene.by(), ana.id, to(given)).await.expect("changed");
        assert_eq!(role().await, given);
        assert_eq!(store.tokens(None, 1).await.expect("read").items[0].role, given);
    }
}

/// A user who has a password.
async fn with_password(scene: &Scene<'_>, hash: &str) -> User {
    invite(scene, "ana", 1).await.expect("invited");
    accept(scene, 1, hash).await.expect("accepted")
}

pub async fn a11_another_password_ends_every_session_and_link_but_the_one_it_was_asked_from(
    store: &dyn Store,
) {
    let scene = Scene::new(store);
    let ana = with_password(&scene, "first").await;
    let bob = user(&scene, "bob", Role::Viewer).await;
    let ends = scene.wall() + MINUTE;
    for (secret, id) in [(7, ana.id), (8, ana.id), (9, bob.id)] {
        store.add_session([secret; 32], id, ends).await.expect("added");
        store.add_link([secret + 10; 32], id, ends).await.expect("added");
    }
    let open = UserChange { invitation: Some(invitation(&scene, 3)), ..UserChange::default() };
    store.change_user(scene.by(), ana.id, open).await.expect("invited");
    scene.advance(TimeDelta::seconds(1));
    let actor = Actor::User("ana".to_owned());
    let by = By::new(&actor, scene.now());
    let new =
        NewPassword { known: "first".to_owned(), hash: "second".to_owned(), keep: Some([8; 32]) };
    let view = store.change_password(by, ana.id, new).await.expect("changed");
    let known = store.user("ana").await.expect("read").expect("is there");
    assert_eq!((known.password_hash.as_deref(), &view.user), (Some("second"), &known));
    assert_eq!((known.role, view.invited_until), (ana.role, None));
    for (secret, stays) in [(7, false), (8, true), (9, true)] {
        let session = store.session([secret; 32], scene.wall()).await.expect("read");
        assert_eq!(session.is_some(), stays, "session {secret}");
    }
    for (secret, stays) in [(17, false), (18, false), (19, true)] {
        let good = store.link_is_good([secret; 32], scene.wall()).await.expect("read");
        assert_eq!(good, stays, "link {secret}");
    }
    assert_eq!(store.invited([3; 32], scene.wall()).await.expect("read"), None);
    let rows = store.audit(&AuditQuery::newest(1)).await.expect("read").items;
    assert_eq!((&*rows[0].action, &rows[0].actor), ("user.password", &actor));
    let told = format!("{rows:?}");
    assert!(!told.contains("first") && !told.contains("second"), "{told}");
}

pub async fn a11_a_password_that_is_another_one_by_now_is_not_replaced(store: &dyn Store) {
    let scene = Scene::new(store);
    let ana = with_password(&scene, "first").await;
    store.add_session([7; 32], ana.id, scene.wall() + MINUTE).await.expect("added");
    let change = async |id: UserId, known: &str, hash: &str| {
        let new = NewPassword { known: known.to_owned(), hash: hash.to_owned(), keep: None };
        match store.change_password(scene.by(), id, new).await {
            Ok(_) => None,
            Err(ActError::Refused(refused)) => Some(refused),
            Err(error) => panic!("{error:?}"),
        }
    };
    assert_eq!(change(ana.id, "guess", "mine").await, Some(Refused::WrongPassword));
    assert!(store.session([7; 32], scene.wall()).await.expect("read").is_some(), "nothing ended");
    let both = join(change(ana.id, "first", "one"), change(ana.id, "first", "two")).await;
    assert!(matches!(
        both,
        (None, Some(Refused::WrongPassword)) | (Some(Refused::WrongPassword), None)
    ));
    let linked = user(&scene, "bob", Role::Viewer).await;
    assert_eq!(linked.password_hash, None, "who has none has none to replace");
    assert_eq!(change(linked.id, "", "mine").await, Some(Refused::WrongPassword));
    let nobody = UserId::new(scene.now(), scene.entropy());
    assert_eq!(change(nobody, "first", "mine").await, Some(Refused::NotFound));
    store.change_user(scene.by(), ana.id, DISABLED).await.expect("disabled");
    assert_eq!(change(ana.id, "one", "mine").await, Some(Refused::UserDisabled));
}
