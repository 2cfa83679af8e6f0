//! The rules: who may be called when, as pure functions. Data in, verdict out.
//!
//! [`hours`] says at which instants a client may be called, [`retry`] when to call again after a
//! dial ended, [`caps`] how many attempts a stretch of time may hold, [`cool_downs`] how long a
//! number is left alone, [`breaker`] when a campaign pauses itself. Every rule only tightens
//! what the others allow. `now` is always an argument.
//!
//! What people send is read as a *document* (the JSON shape, any value that fits its types) and
//! turned into the rule itself, which can't be wrong. That step reports every bad field at once,
//! each under its path, as [`Refused`].

mod duration;

pub mod breaker;
pub mod caps;
pub mod cool_downs;
pub mod hours;
pub mod retry;

pub use duration::{DurationError, IsoDuration};

use std::fmt;

/// One field of a document that breaks a rule; its `Display` is for the person who sent it.
pub trait FieldError: std::error::Error {
    /// The path of the field in the campaign's settings, such as `hours.mon[0]`.
    fn field(&self) -> String;

    /// A stable word for programs to branch on.
    fn code(&self) -> &'static str;
}

/// Why a document was refused: every bad field, in the document's order. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused<E>(Vec<E>);

impl<E> Refused<E> {
    /// The bad fields.
    #[must_use]
    pub fn errors(&self) -> &[E] {
        &self.0
    }

    /// `value` if nothing was wrong with it.
    fn unless<T>(errors: Vec<E>, value: T) -> Result<T, Self> {
        if errors.is_empty() { Ok(value) } else { Err(Self(errors)) }
    }
}

impl<E> IntoIterator for Refused<E> {
    type Item = E;
    type IntoIter = std::vec::IntoIter<E>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<E: fmt::Display> fmt::Display for Refused<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl<E: std::error::Error> std::error::Error for Refused<E> {}

/// The start of what was sent, for an error message that stays readable whatever that was.
fn excerpt(text: &str) -> String {
    text.chars().take(24).collect()
}
