//! People who sign in: invited by a link that works once, given a role, disabled.

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use callcore::actor::{Actor, Role};
use callcore::id::UserId;
use callcore::port::{ActError, Cursor, Refused, User, UserChange, UserView};

use super::super::ROWS;
use super::super::form::{Choice, Form};
use super::super::frame::{Answer, NavItem, Shell, Trouble, Visit, done, page, page_with};
use super::super::when::When;
use super::super::words::Word;
use super::{roles, tabs, wall, whole};
use crate::api::users::invite::{MAX_NAME_CHARS, is_user_name};
use crate::problem::Problem;
use crate::query::Query;
use crate::request::Id;
use crate::sign_in::{invitation_link, new_invitation};
use crate::state::ApiState;

const PATH: &str = "/settings/users";

#[derive(Template)]
#[template(path = "settings/users.html")]
struct UsersPage {
    shell: Shell,
    tabs: Vec<NavItem>,
    users: Vec<UserRow>,
    next: Option<String>,
    paged: bool,
    name: String,
    roles: Vec<Choice>,
    wrong: Option<String>,
}

#[derive(Template)]
#[template(path = "settings/user.html")]
struct UserPage {
    shell: Shell,
    tabs: Vec<NavItem>,
    user: UserRow,
    roles: Vec<Choice>,
    /// Whether it is the viewer.
    is_me: bool,
}

#[derive(Template)]
#[template(path = "settings/link.html")]
struct LinkPage {
    shell: Shell,
    tabs: Vec<NavItem>,
    name: String,
    link: String,
    until: Option<When>,
}

struct UserRow {
    id: UserId,
    name: String,
    role: Role,
    state: Word,
    disabled: bool,
    invited_until: Option<When>,
}

fn row(state: &ApiState, visit: &Visit, view: &UserView) -> UserRow {
    let user = &view.user;
    let (label, tone) = match (user.disabled, &user.password_hash, view.invited_until) {
        (true, ..) => ("disabled", "bad"),
        (false, Some(_), _) => ("signs in", "good"),
        (false, None, Some(until)) if until > state.wall_now() => ("invited", "warm"),
        (false, None, Some(_)) => ("invitation ended", "mute"),
        (false, None, None) => ("by link only", "mute"),
    };
    UserRow {
        id: user.id,
        name: user.name.clone(),
        role: user.role,
        state: Word { label, tone },
        disabled: user.disabled,
        invited_until: view
            .invited_until
            .filter(|until| *until > state.wall_now())
            .map(|until| wall(state, visit, until)),
    }
}

pub(in crate::pages) async fn show(
    State(state): State<ApiState>,
    visit: Visit,
    mut query: Query,
) -> Answer {
    visit.require(Role::Admin)?;
    let after = query.cursor();
    query.finish()?;
    let draft = (String::new(), Role::Viewer, None);
    Ok(page(&users_page(&state, &visit, after, draft).await?))
}

async fn users_page(
    state: &ApiState,
    visit: &Visit,
    after: Option<Cursor>,
    (name, role, wrong): (String, Role, Option<String>),
) -> Result<UsersPage, Trouble> {
    let paged = after.is_some();
    let users = state.store().users(after, ROWS).await?;
    Ok(UsersPage {
        shell: visit.shell(state, "Users", "/settings"),
        tabs: tabs(visit, PATH),
        users: users.items.iter().map(|view| row(state, visit, view)).collect(),
        next: users.next.map(|cursor| format!("{PATH}?cursor={cursor}")),
        paged,
        name,
        roles: roles(role),
        wrong,
    })
}

pub(in crate::pages) async fn invite(
    State(state): State<ApiState>,
    visit: Visit,
    headers: HeaderMap,
    form: Form,
) -> Answer {
    visit.require(Role::Admin)?;
    let name = form.text("name").to_owned();
    let role = Role::parse(form.text("role")).ok_or_else(Problem::not_found)?;
    let refuse = async |status: StatusCode, wrong: String| -> Answer {
        let draft = (name.clone(), role, Some(wrong));
        Ok(page_with(status, &users_page(&state, &visit, None, draft).await?))
    };
    if !is_user_name(&name) {
        let rule = format!(
            "A user name has 1 to {MAX_NAME_CHARS} small letters a to z, digits, and . _ - @ +."
        );
        return refuse(StatusCode::UNPROCESSABLE_ENTITY, rule).await;
    }
    let (secret, invitation) = new_invitation(&state);
    let user = User {
        id: UserId::new(visit.now, state.entropy()),
        name: name.clone(),
        role,
        password_hash: None,
        disabled: false,
    };
    match state.store().invite_user(visit.by(), user, invitation).await {
        Ok(view) => Ok(link_page(&state, &visit, &headers, &view, &secret)),
        Err(ActError::Refused(Refused::NameTaken)) => {
            let taken = "Somebody has this name already: choose another, or open that user to change the role.";
            refuse(StatusCode::CONFLICT, taken.to_owned()).await
        }
        Err(error) => Err(error.into()),
    }
}

/// The link, which is nowhere else than on this page.
fn link_page(
    state: &ApiState,
    visit: &Visit,
    headers: &HeaderMap,
    view: &UserView,
    secret: &str,
) -> Response {
    page(&LinkPage {
        shell: visit.shell(state, "Invitation", "/settings"),
        tabs: tabs(visit, PATH),
        name: view.user.name.clone(),
        link: whole(invitation_link(state, secret), headers),
        until: view.invited_until.map(|until| wall(state, visit, until)),
    })
}

async fn existing(state: &ApiState, id: UserId) -> Result<UserView, Trouble> {
    Ok(state.store().user_view(id).await?.ok_or_else(Problem::not_found)?)
}

pub(in crate::pages) async fn one(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<UserId>,
    query: Query,
) -> Answer {
    visit.require(Role::Admin)?;
    query.finish()?;
    let view = existing(&state, id).await?;
    Ok(page(&user_page(&state, &visit, &view)))
}

fn user_page(state: &ApiState, visit: &Visit, view: &UserView) -> UserPage {
    let user = row(state, visit, view);
    UserPage {
        shell: visit.shell(state, user.name.clone(), "/settings"),
        tabs: tabs(visit, PATH),
        roles: roles(user.role),
        is_me: visit.principal.actor == Actor::User(user.name.clone()),
        user,
    }
}

/// Another role, or disabled, or enabled again.
pub(in crate::pages) async fn change(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<UserId>,
    form: Form,
) -> Answer {
    visit.require(Role::Admin)?;
    let role = match form.some("role") {
        Some(role) => Some(Role::parse(role).ok_or_else(Problem::not_found)?),
        None => None,
    };
    let disabled = form.some("disabled").map(|it| it == "true");
    let change = UserChange { role, disabled, invitation: None };
    let changed = changed(&state, &visit, id, change).await;
    let name = |view: &UserView| view.user.name.clone();
    match changed {
        Ok(view) => {
            let said = match (disabled, role) {
                (Some(true), _) => {
                    format!("{} is disabled and signed out everywhere.", name(&view))
                }
                (Some(false), _) => format!("{} may sign in again.", name(&view)),
                (None, Some(role)) => format!("{} is now {}.", name(&view), role.as_str()),
                (None, None) => "Nothing was changed.".to_owned(),
            };
            Ok(done(&format!("{PATH}/{id}"), said))
        }
        Err(ActError::Refused(Refused::LastAdmin)) => {
            let view = existing(&state, id).await?;
            let mut page = user_page(&state, &visit, &view);
            page.shell = page.shell.with_trouble(
                "This is the last admin who can sign in, so nothing was changed. Make somebody else an admin first.",
            );
            Ok(page_with(StatusCode::CONFLICT, &page))
        }
        Err(error) => Err(error.into()),
    }
}

pub(in crate::pages) async fn invite_again(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<UserId>,
    headers: HeaderMap,
    _: Form,
) -> Answer {
    visit.require(Role::Admin)?;
    let (secret, invitation) = new_invitation(&state);
    let change = UserChange { invitation: Some(invitation), ..UserChange::default() };
    let view = changed(&state, &visit, id, change).await?;
    Ok(link_page(&state, &visit, &headers, &view, &secret))
}

async fn changed(
    state: &ApiState,
    visit: &Visit,
    id: UserId,
    change: UserChange,
) -> Result<UserView, ActError> {
    let changed = state.store().change_user(visit.by(), id, change).await;
    // Also after a failure: it may have been done.
    state.known_tokens().forget();
    changed
}
