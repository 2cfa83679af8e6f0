use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::MemoryStore;
use super::campaigns::page;
use crate::id::UserId;
use crate::port::{
    Access, ActError, AuditEntry, AuditRow, By, Cursor, Effect, Notice, Page, SavedReply, Session,
    StoreError, User,
};

#[async_trait]
impl Access for MemoryStore {
    async fn fact(&self, name: &str) -> Result<Option<String>, StoreError> {
        Ok(self.lock().facts.get(name).cloned())
    }

    async fn put_fact(&self, name: &str, value: &str) -> Result<String, StoreError> {
        let mut state = self.lock();
        Ok(state.facts.entry(name.to_owned()).or_insert_with(|| value.to_owned()).clone())
    }

    async fn save_user(&self, by: By<'_>, user: User) -> Result<User, ActError> {
        let mut state = self.lock();
        state.enter(by)?;
        let known = state.users.values().find(|known| known.name == user.name).cloned();
        let old = known.as_ref().map(|known| json!({"role": known.role}));
        let user = User { id: known.map_or(user.id, |known| known.id), ..user };
        state.users.insert(user.id, user.clone());
        let new = json!({"name": user.name, "role": user.role});
        state.write_audit(by, "user.save", user.id, old, Some(new));
        state.at(by.now);
        Ok(user)
    }

    async fn user(&self, name: &str) -> Result<Option<User>, StoreError> {
        Ok(self.lock().users.values().find(|user| user.name == name).cloned())
    }

    async fn add_link(
        &self,
        secret: [u8; 32],
        user: UserId,
        expires: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.lock().links.insert(secret, (user, expires));
        Ok(())
    }

    async fn redeem_link(
        &self,
        secret: [u8; 32],
        wall: DateTime<Utc>,
    ) -> Result<Option<User>, StoreError> {
        let mut state = self.lock();
        let link = state.links.remove(&secret).filter(|(_, expires)| wall < *expires);
        Ok(link.and_then(|(user, _)| state.users.get(&user).cloned()))
    }

    async fn link_is_good(
        &self,
        secret: [u8; 32],
        wall: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        Ok(self.lock().links.get(&secret).is_some_and(|(_, expires)| wall < *expires))
    }

    async fn add_session(
        &self,
        secret: [u8; 32],
        user: UserId,
        expires: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.lock().sessions.insert(secret, (user, expires));
        Ok(())
    }

    async fn session(
        &self,
        secret: [u8; 32],
        wall: DateTime<Utc>,
    ) -> Result<Option<Session>, StoreError> {
        let state = self.lock();
        let session = state.sessions.get(&secret).filter(|(_, expires)| wall < *expires);
        Ok(session.and_then(|(user, expires)| {
            let user = state.users.get(user)?.clone();
            Some(Session { user, expires: *expires })
        }))
    }

    async fn end_session(&self, secret: [u8; 32]) -> Result<(), StoreError> {
        self.lock().sessions.remove(&secret);
        Ok(())
    }

    async fn saved_reply(
        &self,
        scope: &str,
        key: &str,
        wall: DateTime<Utc>,
    ) -> Result<Option<([u8; 32], SavedReply)>, StoreError> {
        let state = self.lock();
        let saved = state.replies.get(&(scope.to_owned(), key.to_owned()));
        let fresh = saved.filter(|(at, ..)| wall - *at < TimeDelta::hours(24));
        Ok(fresh.map(|(_, hash, reply)| (*hash, reply.clone())))
    }

    async fn append_audit(&self, by: By<'_>, entry: AuditEntry) -> Result<(), ActError> {
        let mut state = self.lock();
        state.enter(by)?;
        state.write_audit(by, entry.action, entry.object, entry.old, entry.new);
        state.leave(by, &Effect::Read);
        Ok(())
    }

    async fn audit(&self, after: Option<Cursor>, limit: u32) -> Result<Page<AuditRow>, StoreError> {
        let state = self.lock();
        let key = |row: &AuditRow| Cursor::at(row.at, row.id.uuid());
        let before = |row: &&AuditRow| after.as_ref().is_none_or(|after| key(row) < *after);
        let mut rows: Vec<&AuditRow> = state.audit.iter().filter(before).collect();
        rows.sort_unstable_by_key(|row| std::cmp::Reverse((row.at, row.id)));
        Ok(page(rows, limit, |row| key(row)).map(|row| Some(row.clone())))
    }

    async fn notices(&self, limit: u32) -> Result<Vec<Notice>, StoreError> {
        let state = self.lock();
        Ok(state.notices.iter().rev().take(limit as usize).cloned().collect())
    }
}
