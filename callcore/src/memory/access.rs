use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::campaigns::page;
use super::{MemoryStore, State, TokenRow};
use crate::actor::{Actor, Role};
use crate::analytics::Totals;
use crate::call::{CallStatus, Direction};
use crate::campaign::RunState;
use crate::id::{TokenId, UserId};
use crate::port::{
    Access, ActError, AuditEntry, AuditQuery, AuditRow, By, Cursor, Effect, Gauges, ImportStatus,
    Invitation, MailState, NewPassword, NewToken, Notice, Page, Refused, SavedReply, Session,
    StoreError, Token, User, UserChange, UserView,
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
        state.put_user(user.clone());
        let new = json!({"name": user.name, "role": user.role});
        state.write_audit(by, "user.save", user.id, old, Some(new));
        state.at(by.now);
        Ok(user)
    }

    async fn user(&self, name: &str) -> Result<Option<User>, StoreError> {
        Ok(self.lock().users.values().find(|user| user.name == name).cloned())
    }

    async fn user_view(&self, id: UserId) -> Result<Option<UserView>, StoreError> {
        Ok(self.lock().user_view(id))
    }

    async fn users(&self, after: Option<Cursor>, limit: u32) -> Result<Page<UserView>, StoreError> {
        let state = self.lock();
        let later = |id: &UserId| after.as_ref().is_none_or(|after| id.uuid() > after.id);
        let ids: Vec<UserId> = state.users.keys().copied().filter(later).collect();
        let key = |id: &UserId| Cursor::at(DateTime::UNIX_EPOCH, id.uuid());
        Ok(page(ids, limit, key).map(|id| state.user_view(id)))
    }

    async fn invite_user(
        &self,
        by: By<'_>,
        user: User,
        invitation: Invitation,
    ) -> Result<UserView, ActError> {
        let mut state = self.lock();
        state.enter(by)?;
        if state.users.values().any(|known| known.name == user.name) {
            return Err(Refused::NameTaken.into());
        }
        let view = UserView { user: user.clone(), invited_until: Some(invitation.expires) };
        let new = json!({"name": user.name, "role": user.role});
        state.invitations.insert(user.id, invitation);
        state.write_audit(by, "user.invite", user.id, None, Some(new));
        state.users.insert(user.id, user);
        state.leave(by, &Effect::User(Box::new(view.clone())));
        Ok(view)
    }

    async fn change_user(
        &self,
        by: By<'_>,
        id: UserId,
        change: UserChange,
    ) -> Result<UserView, ActError> {
        let mut state = self.lock();
        state.enter(by)?;
        let old = state.users.get(&id).cloned().ok_or(Refused::NotFound)?;
        let user = User {
            role: change.role.unwrap_or(old.role),
            disabled: change.disabled.unwrap_or(old.disabled),
            ..old.clone()
        };
        let is_admin = |user: &User| user.role == Role::Admin && !user.disabled;
        let others = state.users.values().any(|other| other.id != id && is_admin(other));
        if is_admin(&old) && !is_admin(&user) && !others {
            return Err(Refused::LastAdmin.into());
        }
        if user.disabled && change.invitation.is_some() {
            return Err(Refused::UserDisabled.into());
        }
        state.put_user(user.clone());
        state.invitations.extend(change.invitation.map(|invitation| (id, invitation)));
        let told = |user: &User| json!({"role": user.role, "disabled": user.disabled});
        let mut new = told(&user);
        if change.invitation.is_some() {
            new["invited"] = json!(true);
        }
        state.write_audit(by, "user.change", id, Some(told(&old)), Some(new));
        let view = state.user_view(id).ok_or(Refused::NotFound)?;
        state.leave(by, &Effect::User(Box::new(view.clone())));
        Ok(view)
    }

    async fn invited(
        &self,
        secret: [u8; 32],
        wall: DateTime<Utc>,
    ) -> Result<Option<User>, StoreError> {
        Ok(self.lock().invited(secret, wall))
    }

    async fn accept_invitation(
        &self,
        by: By<'_>,
        secret: [u8; 32],
        password_hash: String,
        wall: DateTime<Utc>,
    ) -> Result<UserView, ActError> {
        let mut state = self.lock();
        state.enter(by)?;
        let user = state.invited(secret, wall).ok_or(Refused::NotFound)?;
        state.invitations.remove(&user.id);
        state.sessions.retain(|_, (owner, _)| *owner != user.id);
        let user = User { password_hash: Some(password_hash), ..user };
        state.users.insert(user.id, user.clone());
        state.write_audit(by, "user.accept", user.id, None, None);
        let view = UserView { user, invited_until: None };
        state.leave(by, &Effect::User(Box::new(view.clone())));
        Ok(view)
    }

    async fn change_password(
        &self,
        by: By<'_>,
        id: UserId,
        new: NewPassword,
    ) -> Result<UserView, ActError> {
        let mut state = self.lock();
        state.enter(by)?;
        let user = state.users.get_mut(&id).ok_or(Refused::NotFound)?;
        if user.disabled {
            return Err(Refused::UserDisabled.into());
        }
        if user.password_hash.as_deref() != Some(&new.known) {
            return Err(Refused::WrongPassword.into());
        }
        user.password_hash = Some(new.hash);
        state.sessions.retain(|secret, (owner, _)| *owner != id || new.keep == Some(*secret));
        state.links.retain(|_, (owner, _)| *owner != id);
        state.invitations.remove(&id);
        state.write_audit(by, "user.password", id, None, None);
        let view = state.user_view(id).ok_or(Refused::NotFound)?;
        state.leave(by, &Effect::User(Box::new(view.clone())));
        Ok(view)
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
        let user = link.and_then(|(user, _)| state.users.get(&user).cloned());
        Ok(user.filter(|user| !user.disabled))
    }

    async fn link_is_good(
        &self,
        secret: [u8; 32],
        wall: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let state = self.lock();
        let user = state.links.get(&secret).filter(|(_, expires)| wall < *expires);
        let user = user.and_then(|(user, _)| state.users.get(user));
        Ok(user.is_some_and(|user| !user.disabled))
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
            let user = state.users.get(user).filter(|user| !user.disabled)?.clone();
            Some(Session { user, expires: *expires })
        }))
    }

    async fn end_session(&self, secret: [u8; 32]) -> Result<(), StoreError> {
        self.lock().sessions.remove(&secret);
        Ok(())
    }

    async fn add_token(&self, by: By<'_>, new: NewToken) -> Result<Token, ActError> {
        let mut state = self.lock();
        state.enter(by)?;
        if state.tokens.values().any(|row| row.token.name == new.name) {
            return Err(Refused::NameTaken.into());
        }
        let owner = state.owner_of(by.actor);
        let token = Token {
            id: new.id,
            name: new.name,
            role: new.role,
            created_by: by.actor.clone(),
            created_at: new.created_at,
            expires: new.expires,
            last_used: None,
        };
        let told = json!({"name": token.name, "role": token.role, "expires_at": token.expires});
        state.write_audit(by, "token.create", token.id, None, Some(told));
        let row = TokenRow { token: token.clone(), secret: new.secret, owner };
        let token = state.bounded(&row).unwrap_or(token);
        state.tokens.insert(token.id, row);
        state.leave(by, &Effect::Token(Box::new(token.clone())));
        Ok(token)
    }

    async fn token(
        &self,
        secret: [u8; 32],
        wall: DateTime<Utc>,
    ) -> Result<Option<Token>, StoreError> {
        let state = self.lock();
        let row = state.tokens.values().find(|row| row.secret == secret);
        let good = row.filter(|row| row.token.expires.is_none_or(|expires| wall < expires));
        Ok(good.and_then(|row| state.bounded(row)))
    }

    async fn tokens(&self, after: Option<Cursor>, limit: u32) -> Result<Page<Token>, StoreError> {
        let state = self.lock();
        let key = |row: &TokenRow| Cursor::at(row.token.created_at, row.token.id.uuid());
        let older = |row: &&TokenRow| after.as_ref().is_none_or(|after| key(row) < *after);
        let mut rows: Vec<&TokenRow> = state.tokens.values().filter(older).collect();
        rows.sort_unstable_by_key(|row| std::cmp::Reverse((row.token.created_at, row.token.id)));
        Ok(page(rows, limit, |row| key(row)).map(|row| state.bounded(row)))
    }

    async fn token_used(&self, id: TokenId, wall: DateTime<Utc>) -> Result<(), StoreError> {
        if let Some(row) = self.lock().tokens.get_mut(&id) {
            row.token.last_used = row.token.last_used.max(Some(wall));
        }
        Ok(())
    }

    async fn revoke_token(&self, by: By<'_>, id: TokenId) -> Result<(), ActError> {
        let mut state = self.lock();
        state.enter(by)?;
        let row = state.tokens.remove(&id).ok_or(Refused::NotFound)?;
        let old = json!({"name": row.token.name, "role": row.token.role});
        state.write_audit(by, "token.revoke", id, Some(old), None);
        state.at(by.now);
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

    async fn audit(&self, query: &AuditQuery) -> Result<Page<AuditRow>, StoreError> {
        let state = self.lock();
        let key = |row: &AuditRow| Cursor::at(row.at, row.id.uuid());
        let wanted = |row: &&AuditRow| {
            (query.actors.is_empty() || query.actors.contains(&row.actor))
                && (query.objects.is_empty() || query.objects.contains(&row.object))
                && (query.actions.is_empty() || query.actions.contains(&row.action))
                && query.from.is_none_or(|from| from <= row.at)
                && query.to.is_none_or(|to| row.at < to)
                && query.after.as_ref().is_none_or(|after| key(row) < *after)
        };
        let mut rows: Vec<&AuditRow> = state.audit.iter().filter(wanted).collect();
        rows.sort_unstable_by_key(|row| std::cmp::Reverse((row.at, row.id)));
        Ok(page(rows, query.limit, |row| key(row)).map(|row| Some(row.clone())))
    }

    async fn notices(&self, limit: u32) -> Result<Vec<Notice>, StoreError> {
        let state = self.lock();
        Ok(state.notices.iter().rev().take(limit as usize).cloned().collect())
    }

    async fn change_version(&self) -> Result<u64, StoreError> {
        Ok(self.lock().version)
    }

    async fn gauges(&self, now: DateTime<Utc>) -> Result<Gauges, StoreError> {
        let state = self.lock();
        let mut totals = Totals::default();
        for row in state.campaigns.values() {
            for (outcome, calls) in &row.totals.outcomes {
                totals.add(*outcome, *calls, 0);
            }
            totals.talk_seconds += row.totals.talk_seconds;
        }
        let running = |row: &&super::CampaignRow| row.campaign.state == RunState::Running;
        let due = state.campaigns.values().filter(running).flat_map(|row| &row.due);
        let due = due.filter(|(_, at, _)| *at <= now).take(Gauges::MOST_DUE as usize);
        let live = state.live.iter().filter_map(|id| state.calls.get(id));
        let doubtful = |row: &&super::CallRow| {
            row.call.direction == Direction::Outbound
                && (row.events.is_empty() || row.call.status() == CallStatus::Unknown)
        };
        let running = |import: &&crate::port::Import| import.status == ImportStatus::Running;
        Ok(Gauges {
            totals,
            due: due.count() as u64,
            live: state.live.len() as u64,
            doubtful: live.filter(doubtful).count() as u64,
            imports: state.imports.values().filter(running).count() as u64,
            mails_waiting: state.mails_in(MailState::Waiting),
            mails_failed: state.mails_in(MailState::Failed),
        })
    }
}

impl State {
    /// Stores a user. One who is disabled loses every way in.
    fn put_user(&mut self, user: User) {
        if user.disabled {
            self.sessions.retain(|_, (owner, _)| *owner != user.id);
            self.links.retain(|_, (owner, _)| *owner != user.id);
            self.invitations.remove(&user.id);
            self.tokens.retain(|_, row| row.owner != Some(user.id));
        }
        self.users.insert(user.id, user);
    }

    fn user_view(&self, id: UserId) -> Option<UserView> {
        let user = self.users.get(&id)?.clone();
        let invited_until = self.invitations.get(&id).map(|invitation| invitation.expires);
        Some(UserView { user, invited_until })
    }

    fn invited(&self, secret: [u8; 32], wall: DateTime<Utc>) -> Option<User> {
        let mut open = self.invitations.iter();
        let (id, _) = open.find(|(_, it)| it.secret == secret && wall < it.expires)?;
        self.users.get(id).cloned()
    }

    /// The user on whose behalf somebody acts.
    fn owner_of(&self, actor: &Actor) -> Option<UserId> {
        match actor {
            Actor::User(name) => {
                self.users.values().find(|user| user.name == *name).map(|user| user.id)
            }
            Actor::Token(name) => {
                self.tokens.values().find(|row| row.token.name == *name).and_then(|row| row.owner)
            }
            Actor::Agent | Actor::System | Actor::Client => None,
        }
    }

    /// A token with what it may do now; none if its owner may nothing.
    fn bounded(&self, row: &TokenRow) -> Option<Token> {
        let mut token = row.token.clone();
        if let Some(owner) = row.owner {
            let owner = self.users.get(&owner).filter(|owner| !owner.disabled)?;
            token.role = token.role.min(owner.role);
        }
        Some(token)
    }
}
