//! Who does something: a person, a token, the system or the carrier.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Who did something, as audit rows and pages name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Actor {
    /// A person who signed in, by user name.
    User(String),
    /// A token, by name.
    Token(String),
    /// callcore itself, following the campaign's rules.
    System,
    /// The person on the phone.
    Client,
    /// The voice agent that talked to the person.
    Agent,
}

/// The text names no actor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an actor: {0:?}")]
pub struct ActorError(String);

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(f, "user:{name}"),
            Self::Token(name) => write!(f, "token:{name}"),
            Self::System => f.write_str("system"),
            Self::Client => f.write_str("client"),
            Self::Agent => f.write_str("agent"),
        }
    }
}

impl FromStr for Actor {
    type Err = ActorError;

    fn from_str(text: &str) -> Result<Self, ActorError> {
        match text.split_once(':') {
            Some(("user", name)) => Ok(Self::User(name.to_owned())),
            Some(("token", name)) => Ok(Self::Token(name.to_owned())),
            None if text == "system" => Ok(Self::System),
            None if text == "client" => Ok(Self::Client),
            None if text == "agent" => Ok(Self::Agent),
            _ => Err(ActorError(text.to_owned())),
        }
    }
}

impl From<Actor> for String {
    fn from(actor: Actor) -> Self {
        actor.to_string()
    }
}

impl TryFrom<String> for Actor {
    type Error = ActorError;

    fn try_from(text: String) -> Result<Self, ActorError> {
        text.parse()
    }
}

/// What somebody who signed in may do; each role may do what the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Also calls, reviews, edits clients, adds to DNC.
    Operator,
    /// Also settings, users, DNC removal, erasing.
    Admin,
}

impl Role {
    /// The word stores, JSON and pages use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Viewer, Self::Operator, Self::Admin].into_iter().find(|role| role.as_str() == text)
    }
}
