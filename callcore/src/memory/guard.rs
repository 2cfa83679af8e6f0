use std::ops::{Deref, DerefMut};
use std::sync::MutexGuard;

use super::State;

/// The one lock. Whoever reaches through it for a change is taken to have made one: a version too
/// many costs a watcher one look, a version too few would cost it the news.
pub(super) struct Guard<'a>(pub(super) MutexGuard<'a, State>);

impl Deref for Guard<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.0
    }
}

impl DerefMut for Guard<'_> {
    fn deref_mut(&mut self) -> &mut State {
        self.0.version += 1;
        &mut self.0
    }
}
