//! Tokens that let programs in: a secret shown once, a role, an end.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use callcore::actor::Role;
use callcore::id::TokenId;
use callcore::port::{ActError, Cursor, NewToken, Refused, Token};
use callcore::text;
use chrono::{DateTime, NaiveDate, Utc};

use super::super::ROWS;
use super::super::form::{Choice, Form};
use super::super::frame::{Answer, NavItem, Shell, Trouble, Visit, done, page, page_with};
use super::super::when::When;
use super::super::words::actor;
use super::{roles, tabs, wall};
use crate::api::tokens::create::MAX_NAME_CHARS;
use crate::auth::digest;
use crate::problem::Problem;
use crate::query::Query;
use crate::request::Id;
use crate::sign_in::new_token;
use crate::state::ApiState;

const PATH: &str = "/settings/tokens";

#[derive(Template)]
#[template(path = "settings/tokens.html")]
struct TokensPage {
    shell: Shell,
    tabs: Vec<NavItem>,
    tokens: Vec<TokenRow>,
    next: Option<String>,
    paged: bool,
    draft: Draft,
    roles: Vec<Choice>,
}

#[derive(Template)]
#[template(path = "settings/secret.html")]
struct SecretPage {
    shell: Shell,
    tabs: Vec<NavItem>,
    token: TokenRow,
    secret: String,
}

struct TokenRow {
    id: TokenId,
    name: String,
    role: &'static str,
    made_by: String,
    made: When,
    ends: Option<When>,
    is_over: bool,
    used: Option<When>,
}

/// What somebody filled in, and what is wrong with it.
struct Draft {
    name: String,
    role: Role,
    ends_on: String,
    wrong_name: Option<String>,
    wrong_end: Option<&'static str>,
}

fn row(state: &ApiState, visit: &Visit, token: &Token) -> TokenRow {
    TokenRow {
        id: token.id,
        name: token.name.clone(),
        role: token.role.as_str(),
        made_by: actor(&token.created_by),
        made: wall(state, visit, token.created_at),
        ends: token.expires.map(|at| wall(state, visit, at)),
        is_over: token.expires.is_some_and(|at| at <= state.wall_now()),
        used: token.last_used.map(|at| wall(state, visit, at)),
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
    let draft = Draft {
        name: String::new(),
        role: Role::Viewer,
        ends_on: String::new(),
        wrong_name: None,
        wrong_end: None,
    };
    Ok(page(&tokens_page(&state, &visit, after, draft).await?))
}

async fn tokens_page(
    state: &ApiState,
    visit: &Visit,
    after: Option<Cursor>,
    draft: Draft,
) -> Result<TokensPage, Trouble> {
    let paged = after.is_some();
    let tokens = state.store().tokens(after, ROWS).await?;
    Ok(TokensPage {
        shell: visit.shell(state, "Tokens", "/settings"),
        tabs: tabs(visit, PATH),
        tokens: tokens.items.iter().map(|token| row(state, visit, token)).collect(),
        next: tokens.next.map(|cursor| format!("{PATH}?cursor={cursor}")),
        paged,
        roles: roles(draft.role),
        draft,
    })
}

/// Makes a token and shows its secret: the store keeps only its SHA-256.
pub(in crate::pages) async fn create(
    State(state): State<ApiState>,
    visit: Visit,
    form: Form,
) -> Answer {
    visit.require(Role::Admin)?;
    let role = Role::parse(form.text("role")).ok_or_else(Problem::not_found)?;
    let mut draft = Draft {
        name: form.text("name").to_owned(),
        role,
        ends_on: form.text("ends_on").to_owned(),
        wrong_name: None,
        wrong_end: None,
    };
    let name = match text::line(&draft.name, MAX_NAME_CHARS) {
        Ok(name) if !name.is_empty() => name,
        Ok(name) => {
            draft.wrong_name = Some("Give it a name, such as that of the program.".to_owned());
            name
        }
        Err(error) => {
            draft.wrong_name = Some(format!("The name won't do: {error}."));
            String::new()
        }
    };
    let expires = ends(&visit, &draft.ends_on);
    match expires {
        Err(()) => draft.wrong_end = Some("This is no date."),
        Ok(Some(at)) if at <= state.wall_now() => draft.wrong_end = Some("This day is over."),
        Ok(_) => {}
    }
    let bad = draft.wrong_name.is_some() || draft.wrong_end.is_some();
    let made = match expires {
        Ok(expires) if !bad && !state.has_token_named(&name) => {
            let secret = new_token(state.entropy());
            let new = NewToken {
                id: TokenId::new(visit.now, state.entropy()),
                name,
                secret: digest(&secret),
                role,
                created_at: state.wall_now(),
                expires,
            };
            state.store().add_token(visit.by(), new).await.map(|token| (token, secret))
        }
        _ => Err(Refused::NameTaken.into()),
    };
    match made {
        Ok((token, secret)) => Ok(page(&SecretPage {
            shell: visit.shell(&state, "New token", "/settings"),
            tabs: tabs(&visit, PATH),
            token: row(&state, &visit, &token),
            secret,
        })),
        Err(ActError::Refused(Refused::NameTaken)) => {
            if !bad {
                let taken = "There is a token of this name: choose another, or revoke that one.";
                draft.wrong_name = Some(taken.to_owned());
            }
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            Ok(page_with(status, &tokens_page(&state, &visit, None, draft).await?))
        }
        Err(error) => Err(error.into()),
    }
}

/// The end of a day on the viewer's wall clock.
fn ends(visit: &Visit, date: &str) -> Result<Option<DateTime<Utc>>, ()> {
    if date.is_empty() {
        return Ok(None);
    }
    let day = date.parse::<NaiveDate>().ok().and_then(|date| date.succ_opt()).ok_or(())?;
    Ok(Some(visit.zone.start_of(day)))
}

pub(in crate::pages) async fn revoke(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<TokenId>,
    _: Form,
) -> Answer {
    visit.require(Role::Admin)?;
    let revoked = state.store().revoke_token(visit.by(), id).await;
    // Also after a failure: it may have been done.
    state.known_tokens().forget();
    revoked?;
    Ok(done(PATH, "The token is revoked: it lets nobody in any more."))
}
