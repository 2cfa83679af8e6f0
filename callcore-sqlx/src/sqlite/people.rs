//! Users, and the invitations under which they choose a password.

use callcore::actor::Role;
use callcore::id::UserId;
use callcore::port::{
    By, Cursor, Effect, Invitation, NewPassword, Page, Refused, User, UserChange, UserView,
};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use uuid::Uuid;

use super::fail::Fail;
use super::open::SqliteStore;
use super::row::{instant, micros, word};
use super::search::cut;
use super::work::Work;

const VIEWS: &str = "select users.*, sign_in_links.expires as invited_until from users
    left join sign_in_links on user = users.id and purpose = 'invitation'";

impl SqliteStore {
    pub(super) async fn put_user(&self, by: By<'_>, user: User) -> Result<User, Fail> {
        let mut work = self.write().await?;
        work.enter(by).await?;
        let old: Option<String> = sqlx::query_scalar("select role from users where name = ?1")
            .bind(&user.name)
            .fetch_optional(work.conn())
            .await?;
        let row = sqlx::query(
            "insert into users (id, name, role, password_hash, disabled) values (?1, ?2, ?3, ?4, ?5)
             on conflict (name) do update set role = excluded.role,
                 password_hash = excluded.password_hash, disabled = excluded.disabled
             returning *",
        )
        .bind(user.id.uuid())
        .bind(&user.name)
        .bind(user.role.as_str())
        .bind(&user.password_hash)
        .bind(user.disabled)
        .fetch_one(work.conn())
        .await?;
        let user = user_of(&row)?;
        if user.disabled {
            work.shut_out(user.id).await?;
        }
        let old = old.map(|role| json!({"role": role}));
        let new = json!({"name": user.name, "role": user.role});
        work.audit(by, "user.save", user.id.to_string(), old, Some(new)).await?;
        work.commit().await?;
        Ok(user)
    }

    pub(super) async fn user_page(
        &self,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<Page<UserView>, Fail> {
        let sql = format!("{VIEWS} where users.id > ?1 order by users.id limit ?2");
        let mut conn = self.read().await?;
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(after.map_or(Uuid::nil(), |after| after.id))
            .bind(i64::from(limit) + 1)
            .fetch_all(&mut *conn)
            .await?;
        let views = rows.iter().map(view_of).collect::<Result<Vec<_>, _>>()?;
        let key = |view: &UserView| Cursor::at(DateTime::UNIX_EPOCH, view.user.id.uuid());
        Ok(cut(views, limit, key))
    }

    pub(super) async fn invite(
        &self,
        by: By<'_>,
        user: User,
        invitation: Invitation,
    ) -> Result<UserView, Fail> {
        let mut work = self.write().await?;
        work.enter(by).await?;
        let added = sqlx::query(
            "insert into users (id, name, role, password_hash, disabled) values (?1, ?2, ?3, ?4, ?5)
             on conflict (name) do nothing",
        )
        .bind(user.id.uuid())
        .bind(&user.name)
        .bind(user.role.as_str())
        .bind(&user.password_hash)
        .bind(user.disabled)
        .execute(work.conn())
        .await?;
        if added.rows_affected() == 0 {
            return Err(Refused::NameTaken.into());
        }
        work.put_invitation(user.id, invitation).await?;
        let new = json!({"name": user.name, "role": user.role});
        work.audit(by, "user.invite", user.id.to_string(), None, Some(new)).await?;
        let view = UserView { user, invited_until: Some(invitation.expires) };
        work.leave(by, &Effect::User(Box::new(view.clone()))).await?;
        work.commit().await?;
        Ok(view)
    }

    pub(super) async fn alter_user(
        &self,
        by: By<'_>,
        id: UserId,
        change: UserChange,
    ) -> Result<UserView, Fail> {
        let mut work = self.write().await?;
        work.enter(by).await?;
        let old = view(work.conn(), id).await?.ok_or(Refused::NotFound)?.user;
        let role = change.role.unwrap_or(old.role);
        let disabled = change.disabled.unwrap_or(old.disabled);
        let is_admin = |role, disabled: bool| role == Role::Admin && !disabled;
        if is_admin(old.role, old.disabled) && !is_admin(role, disabled) {
            let others: bool = sqlx::query_scalar(
                "select exists (select 1 from users
                     where role = 'admin' and disabled = 0 and id <> ?1)",
            )
            .bind(id.uuid())
            .fetch_one(work.conn())
            .await?;
            if !others {
                return Err(Refused::LastAdmin.into());
            }
        }
        if disabled && change.invitation.is_some() {
            return Err(Refused::UserDisabled.into());
        }
        sqlx::query("update users set role = ?2, disabled = ?3 where id = ?1")
            .bind(id.uuid())
            .bind(role.as_str())
            .bind(disabled)
            .execute(work.conn())
            .await?;
        if disabled {
            work.shut_out(id).await?;
        }
        let mut new = told(role, disabled);
        if let Some(invitation) = change.invitation {
            work.put_invitation(id, invitation).await?;
            new["invited"] = json!(true);
        }
        let old = told(old.role, old.disabled);
        work.audit(by, "user.change", id.to_string(), Some(old), Some(new)).await?;
        let view = view(work.conn(), id).await?.ok_or(Refused::NotFound)?;
        work.leave(by, &Effect::User(Box::new(view.clone()))).await?;
        work.commit().await?;
        Ok(view)
    }

    pub(super) async fn accept(
        &self,
        by: By<'_>,
        secret: [u8; 32],
        password_hash: String,
        wall: DateTime<Utc>,
    ) -> Result<UserView, Fail> {
        let mut work = self.write().await?;
        work.enter(by).await?;
        let user = invited(work.conn(), secret, wall).await?.ok_or(Refused::NotFound)?;
        let row = sqlx::query("update users set password_hash = ?2 where id = ?1 returning *")
            .bind(user.id.uuid())
            .bind(password_hash)
            .fetch_one(work.conn())
            .await?;
        for sql in [
            "delete from sign_in_links where user = ?1 and purpose = 'invitation'",
            "delete from sessions where user = ?1",
        ] {
            sqlx::query(sql).bind(user.id.uuid()).execute(work.conn()).await?;
        }
        work.audit(by, "user.accept", user.id.to_string(), None, None).await?;
        let view = UserView { user: user_of(&row)?, invited_until: None };
        work.leave(by, &Effect::User(Box::new(view.clone()))).await?;
        work.commit().await?;
        Ok(view)
    }

    pub(super) async fn replace_password(
        &self,
        by: By<'_>,
        id: UserId,
        new: NewPassword,
    ) -> Result<UserView, Fail> {
        let mut work = self.write().await?;
        work.enter(by).await?;
        let user = view(work.conn(), id).await?.ok_or(Refused::NotFound)?.user;
        if user.disabled {
            return Err(Refused::UserDisabled.into());
        }
        if user.password_hash.as_deref() != Some(&new.known) {
            return Err(Refused::WrongPassword.into());
        }
        sqlx::query("update users set password_hash = ?2 where id = ?1")
            .bind(id.uuid())
            .bind(new.hash)
            .execute(work.conn())
            .await?;
        sqlx::query("delete from sign_in_links where user = ?1")
            .bind(id.uuid())
            .execute(work.conn())
            .await?;
        sqlx::query("delete from sessions where user = ?1 and secret is not ?2")
            .bind(id.uuid())
            .bind(new.keep.as_ref().map(|secret| &secret[..]))
            .execute(work.conn())
            .await?;
        work.audit(by, "user.password", id.to_string(), None, None).await?;
        let view = view(work.conn(), id).await?.ok_or(Refused::NotFound)?;
        work.leave(by, &Effect::User(Box::new(view.clone()))).await?;
        work.commit().await?;
        Ok(view)
    }
}

impl Work<'_> {
    /// Takes every way in from a user.
    async fn shut_out(&mut self, id: UserId) -> Result<(), Fail> {
        for sql in [
            "delete from sessions where user = ?1",
            "delete from sign_in_links where user = ?1",
            "delete from tokens where owner = ?1",
        ] {
            sqlx::query(sql).bind(id.uuid()).execute(self.conn()).await?;
        }
        Ok(())
    }

    async fn put_invitation(&mut self, user: UserId, it: Invitation) -> Result<(), Fail> {
        sqlx::query("delete from sign_in_links where user = ?1 and purpose = 'invitation'")
            .bind(user.uuid())
            .execute(self.conn())
            .await?;
        sqlx::query(
            "insert into sign_in_links (secret, user, expires, purpose)
             values (?1, ?2, ?3, 'invitation')",
        )
        .bind(&it.secret[..])
        .bind(user.uuid())
        .bind(micros(it.expires))
        .execute(self.conn())
        .await?;
        Ok(())
    }
}

pub(super) async fn view(
    conn: &mut SqliteConnection,
    id: UserId,
) -> Result<Option<UserView>, Fail> {
    let sql = format!("{VIEWS} where users.id = ?1");
    let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id.uuid()).fetch_optional(conn).await?;
    row.as_ref().map(view_of).transpose()
}

/// Whom an invitation is for, if it could be accepted.
pub(super) async fn invited(
    conn: &mut SqliteConnection,
    secret: [u8; 32],
    wall: DateTime<Utc>,
) -> Result<Option<User>, Fail> {
    let row = sqlx::query(
        "select users.* from sign_in_links join users on users.id = user
         where secret = ?1 and purpose = 'invitation' and expires > ?2",
    )
    .bind(&secret[..])
    .bind(micros(wall))
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(user_of).transpose()
}

fn told(role: Role, disabled: bool) -> Value {
    json!({"role": role, "disabled": disabled})
}

fn view_of(row: &SqliteRow) -> Result<UserView, Fail> {
    let invited_until: Option<i64> = row.try_get("invited_until")?;
    Ok(UserView { user: user_of(row)?, invited_until: invited_until.map(instant).transpose()? })
}

pub(super) fn user_of(row: &SqliteRow) -> Result<User, Fail> {
    Ok(User {
        id: UserId::from_uuid(row.try_get("id")?),
        name: row.try_get("name")?,
        role: word(row.try_get("role")?, Role::parse, "role")?,
        password_hash: row.try_get("password_hash")?,
        disabled: row.try_get("disabled")?,
    })
}
