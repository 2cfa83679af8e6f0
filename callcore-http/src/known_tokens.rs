//! The tokens that were asked for a moment ago, so that a busy program costs the store one look a
//! while.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use callcore::actor::Actor;
use callcore::port::{StoreError, Token};
use chrono::{DateTime, TimeDelta, Utc};

use crate::auth::{Principal, digest};
use crate::sign_in::{SECRET_CHARS, TOKEN_PREFIX};
use crate::state::ApiState;

/// How long a look at the store is good, on the wall clock: what another node revoked lets in for no
/// longer.
const GOOD_FOR: TimeDelta = TimeDelta::seconds(2);

/// How exactly it is known when a token was last used.
const USED_TO: TimeDelta = TimeDelta::minutes(10);

/// How many are remembered.
const REMEMBERED: usize = 1_000;

#[derive(Debug, Default)]
pub(crate) struct KnownTokens(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    tokens: BTreeMap<[u8; 32], (Token, DateTime<Utc>)>,
    /// How often everything was forgotten: what was read before the last time is not kept.
    forgotten: u64,
}

impl KnownTokens {
    /// Whom a secret lets in.
    pub(crate) async fn principal(
        &self,
        state: &ApiState,
        secret: &str,
    ) -> Result<Option<Principal>, StoreError> {
        // What can't be one of ours is not looked up.
        let random = secret.strip_prefix(TOKEN_PREFIX);
        if random.is_none_or(|random| random.len() != SECRET_CHARS) {
            return Ok(None);
        }
        let (key, wall) = (digest(secret), state.wall_now());
        let token = match self.known(key, wall) {
            Some(token) => Some(token),
            None => self.look_up(state, key, wall).await?,
        };
        Ok(token.map(|token| Principal::new(Actor::Token(token.name), token.role)))
    }

    /// Forgets everything: somebody's rights changed.
    pub(crate) fn forget(&self) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.tokens.clear();
        known.forgotten += 1;
    }

    fn known(&self, key: [u8; 32], wall: DateTime<Utc>) -> Option<Token> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (token, at) = known.tokens.get(&key)?;
        let fresh = (wall - *at).abs() < GOOD_FOR;
        let lives = token.expires.is_none_or(|expires| wall < expires);
        (fresh && lives).then(|| token.clone())
    }

    async fn look_up(
        &self,
        state: &ApiState,
        key: [u8; 32],
        wall: DateTime<Utc>,
    ) -> Result<Option<Token>, StoreError> {
        let before = self.0.lock().unwrap_or_else(PoisonError::into_inner).forgotten;
        let Some(token) = state.store().token(key, wall).await? else { return Ok(None) };
        if token.last_used.is_none_or(|used| wall - used >= USED_TO) {
            // A note that fails is no reason to keep anybody out.
            if let Err(error) = state.store().token_used(token.id, wall).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "a token's use is lost");
            }
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.forgotten == before {
            if known.tokens.len() >= REMEMBERED {
                known.tokens.clear();
            }
            known.tokens.insert(key, (token.clone(), wall));
        }
        Ok(Some(token))
    }
}
