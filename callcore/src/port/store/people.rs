use std::fmt;

use chrono::{DateTime, Utc};

use crate::actor::{Actor, Role};
use crate::id::{TokenId, UserId};

/// Somebody who may sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The id.
    pub id: UserId,
    /// The name, unique.
    pub name: String,
    /// What the user may do.
    pub role: Role,
    /// The password's hash in PHC form; none for a user who only signs in by link.
    pub password_hash: Option<String>,
    /// Whether the user may not sign in. A user is never deleted: audit rows name them.
    pub disabled: bool,
}

/// A user, and whether they are asked to choose a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserView {
    /// The user.
    pub user: User,
    /// When their invitation ends, on the wall clock; none if none is open.
    pub invited_until: Option<DateTime<Utc>>,
}

/// A signed-in user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Who.
    pub user: User,
    /// Until when, on the wall clock.
    pub expires: DateTime<Utc>,
}

/// A link under which somebody chooses a password, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invitation {
    /// SHA-256 of its secret.
    pub secret: [u8; 32],
    /// When it ends, on the wall clock.
    pub expires: DateTime<Utc>,
}

/// A password in the place of another.
#[derive(Clone, PartialEq, Eq)]
pub struct NewPassword {
    /// The hash of the one it replaces.
    pub known: String,
    /// Its own hash, in PHC form.
    pub hash: String,
    /// SHA-256 of the secret of the session that stays; none if none does.
    pub keep: Option<[u8; 32]>,
}

impl fmt::Debug for NewPassword {
    /// Leaves the hashes out: they don't belong in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewPassword").finish_non_exhaustive()
    }
}

/// What changes of a user; what is none stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UserChange {
    /// What the user may do from now on.
    pub role: Option<Role>,
    /// Whether the user may not sign in.
    pub disabled: Option<bool>,
    /// A link in place of the one there was.
    pub invitation: Option<Invitation>,
}

/// A secret that lets a program in, under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The id.
    pub id: TokenId,
    /// The name, unique among the tokens there are.
    pub name: String,
    /// What it may do: never more than whoever made it may now.
    pub role: Role,
    /// Who made it.
    pub created_by: Actor,
    /// When it was made, on the wall clock.
    pub created_at: DateTime<Utc>,
    /// When it ends, on the wall clock; none if it doesn't by itself.
    pub expires: Option<DateTime<Utc>>,
    /// When it was last used, on the wall clock, to some minutes.
    pub last_used: Option<DateTime<Utc>>,
}

/// A token to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// Its id.
    pub id: TokenId,
    /// Its name.
    pub name: String,
    /// SHA-256 of its secret.
    pub secret: [u8; 32],
    /// What it may do.
    pub role: Role,
    /// When it is made, on the wall clock.
    pub created_at: DateTime<Utc>,
    /// When it ends, on the wall clock; none if it doesn't by itself.
    pub expires: Option<DateTime<Utc>>,
}
