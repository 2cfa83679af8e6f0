use callcore::port::{AuditRow, Token, UserView};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use super::instant;

/// Somebody who may sign in.
#[derive(Debug, Serialize)]
pub(crate) struct UserDto {
    id: String,
    name: String,
    role: &'static str,
    disabled: bool,
    has_password: bool,
    invitation: Option<InvitationDto>,
}

/// An open invitation. Its link is shown once, in the answer that made it.
#[derive(Debug, Serialize)]
struct InvitationDto {
    link: Option<String>,
    expires_at: String,
}

impl From<&UserView> for UserDto {
    fn from(view: &UserView) -> Self {
        let invitation =
            |until: DateTime<Utc>| InvitationDto { link: None, expires_at: instant(until) };
        Self {
            id: view.user.id.to_string(),
            name: view.user.name.clone(),
            role: view.user.role.as_str(),
            disabled: view.user.disabled,
            has_password: view.user.password_hash.is_some(),
            invitation: view.invited_until.map(invitation),
        }
    }
}

/// A named token.
#[derive(Debug, Serialize)]
pub(crate) struct TokenDto {
    id: String,
    name: String,
    role: &'static str,
    created_by: String,
    created_at: String,
    expires_at: Option<String>,
    last_used_at: Option<String>,
    /// Shown once, in the answer that made it.
    secret: Option<String>,
}

impl From<&Token> for TokenDto {
    fn from(token: &Token) -> Self {
        Self {
            id: token.id.to_string(),
            name: token.name.clone(),
            role: token.role.as_str(),
            created_by: token.created_by.to_string(),
            created_at: instant(token.created_at),
            expires_at: token.expires.map(instant),
            last_used_at: token.last_used.map(instant),
            secret: None,
        }
    }
}

/// A row of the audit log.
#[derive(Debug, Serialize)]
pub(crate) struct AuditDto {
    id: String,
    at: String,
    actor: String,
    action: String,
    object: String,
    old: Option<Value>,
    new: Option<Value>,
}

impl From<&AuditRow> for AuditDto {
    fn from(row: &AuditRow) -> Self {
        Self {
            id: row.id.to_string(),
            at: instant(row.at),
            actor: row.actor.to_string(),
            action: row.action.clone(),
            object: row.object.clone(),
            old: row.old.clone(),
            new: row.new.clone(),
        }
    }
}
