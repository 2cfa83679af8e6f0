use async_trait::async_trait;
use callcore::id::{NoticeId, TokenId, UserId};
use callcore::port::{
    Access, ActError, AuditEntry, AuditQuery, AuditRow, By, Cursor, Effect, Gauges, Invitation,
    NewPassword, NewToken, Notice, NoticeKind, Page, SavedReply, Session, StoreError, Token, User,
    UserChange, UserView,
};
use chrono::{DateTime, Utc};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::fail::Fail;
use super::open::SqliteStore;
use super::people::{self, user_of};
use super::row::{instant, micros};
use super::work::KEPT;

#[async_trait]
impl Access for SqliteStore {
    async fn fact(&self, name: &str) -> Result<Option<String>, StoreError> {
        let read = async {
            let mut conn = self.read().await?;
            let value = sqlx::query_scalar("select value from facts where name = ?1")
                .bind(name)
                .fetch_optional(&mut *conn)
                .await?;
            Ok(value)
        };
        read.await.map_err(|fail: Fail| fail.store("fact"))
    }

    async fn put_fact(&self, name: &str, value: &str) -> Result<String, StoreError> {
        self.keep_fact(name, value).await.map_err(|fail| fail.store("put_fact"))
    }

    async fn save_user(&self, by: By<'_>, user: User) -> Result<User, ActError> {
        self.put_user(by, user).await.map_err(|fail| fail.act("save_user"))
    }

    async fn user(&self, name: &str) -> Result<Option<User>, StoreError> {
        let read = async {
            let mut conn = self.read().await?;
            let row = sqlx::query("select * from users where name = ?1")
                .bind(name)
                .fetch_optional(&mut *conn)
                .await?;
            row.as_ref().map(user_of).transpose()
        };
        read.await.map_err(|fail: Fail| fail.store("user"))
    }

    async fn user_view(&self, id: UserId) -> Result<Option<UserView>, StoreError> {
        let read = async {
            let mut conn = self.read().await?;
            people::view(&mut conn, id).await
        };
        read.await.map_err(|fail: Fail| fail.store("user_view"))
    }

    async fn users(&self, after: Option<Cursor>, limit: u32) -> Result<Page<UserView>, StoreError> {
        self.user_page(after, limit).await.map_err(|fail| fail.store("users"))
    }

    async fn invite_user(
        &self,
        by: By<'_>,
        user: User,
        invitation: Invitation,
    ) -> Result<UserView, ActError> {
        self.invite(by, user, invitation).await.map_err(|fail| fail.act("invite_user"))
    }

    async fn change_user(
        &self,
        by: By<'_>,
        id: UserId,
        change: UserChange,
    ) -> Result<UserView, ActError> {
        self.alter_user(by, id, change).await.map_err(|fail| fail.act("change_user"))
    }

    async fn invited(
        &self,
        secret: [u8; 32],
        wall: DateTime<Utc>,
    ) -> Result<Option<User>, StoreError> {
        let read = async {
            let mut conn = self.read().await?;
            people::invited(&mut conn, secret, wall).await
        };
        read.await.map_err(|fail: Fail| fail.store("invited"))
    }

    async fn accept_invitation(
        &self,
        by: By<'_>,
        secret: [u8; 32],
        password_hash: String,
        wall: DateTime<Utc>,
    ) -> Result<UserView, ActError> {
        let accepted = self.accept(by, secret, password_hash, wall).await;
        accepted.map_err(|fail| fail.act("accept_invitation"))
    }

    async fn change_password(
        &self,
        by: By<'_>,
        id: UserId,
        new: NewPassword,
    ) -> Result<UserView, ActError> {
        self.replace_password(by, id, new).await.map_err(|fail| fail.act("change_password"))
    }

    async fn add_link(
        &self,
        secret: [u8; 32],
        user: UserId,
        expires: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let sql =
            "insert or replace into sign_in_links (secret, user, expires) values (?1, ?2, ?3)";
        self.keep_secret(sql, secret, user, expires).await.map_err(|fail| fail.store("add_link"))
    }

    async fn redeem_link(
        &self,
        secret: [u8; 32],
        wall: DateTime<Utc>,
    ) -> Result<Option<User>, StoreError> {
        self.redeem(secret, wall).await.map_err(|fail| fail.store("redeem_link"))
    }

    async fn link_is_good(
        &self,
        secret: [u8; 32],
        wall: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let read = async {
            let mut conn = self.read().await?;
            let good = sqlx::query_scalar(
                "select exists (select 1 from sign_in_links join users on users.id = user
                     where secret = ?1 and purpose = 'sign_in' and expires > ?2 and disabled = 0)",
            )
            .bind(&secret[..])
            .bind(micros(wall))
            .fetch_one(&mut *conn)
            .await?;
            Ok(good)
        };
        read.await.map_err(|fail: Fail| fail.store("link_is_good"))
    }

    async fn add_session(
        &self,
        secret: [u8; 32],
        user: UserId,
        expires: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let sql = "insert or replace into sessions (secret, user, expires) values (?1, ?2, ?3)";
        self.keep_secret(sql, secret, user, expires).await.map_err(|fail| fail.store("add_session"))
    }

    async fn session(
        &self,
        secret: [u8; 32],
        wall: DateTime<Utc>,
    ) -> Result<Option<Session>, StoreError> {
        let read = async {
            let mut conn = self.read().await?;
            let row = sqlx::query(
                "select users.*, expires from sessions join users on users.id = sessions.user
                 where secret = ?1 and expires > ?2 and disabled = 0",
            )
            .bind(&secret[..])
            .bind(micros(wall))
            .fetch_optional(&mut *conn)
            .await?;
            let Some(row) = row else { return Ok(None) };
            let expires = instant(row.try_get("expires")?)?;
            Ok(Some(Session { user: user_of(&row)?, expires }))
        };
        read.await.map_err(|fail: Fail| fail.store("session"))
    }

    async fn end_session(&self, secret: [u8; 32]) -> Result<(), StoreError> {
        let end = async {
            let mut work = self.write().await?;
            sqlx::query("delete from sessions where secret = ?1")
                .bind(&secret[..])
                .execute(work.conn())
                .await?;
            work.commit().await
        };
        end.await.map_err(|fail: Fail| fail.store("end_session"))
    }

    async fn add_token(&self, by: By<'_>, new: NewToken) -> Result<Token, ActError> {
        self.put_token(by, new).await.map_err(|fail| fail.act("add_token"))
    }

    async fn token(
        &self,
        secret: [u8; 32],
        wall: DateTime<Utc>,
    ) -> Result<Option<Token>, StoreError> {
        self.token_of_secret(secret, wall).await.map_err(|fail| fail.store("token"))
    }

    async fn tokens(&self, after: Option<Cursor>, limit: u32) -> Result<Page<Token>, StoreError> {
        self.token_page(after, limit).await.map_err(|fail| fail.store("tokens"))
    }

    async fn token_used(&self, id: TokenId, wall: DateTime<Utc>) -> Result<(), StoreError> {
        self.use_token(id, wall).await.map_err(|fail| fail.store("token_used"))
    }

    async fn revoke_token(&self, by: By<'_>, id: TokenId) -> Result<(), ActError> {
        self.drop_token(by, id).await.map_err(|fail| fail.act("revoke_token"))
    }

    async fn saved_reply(
        &self,
        scope: &str,
        key: &str,
        wall: DateTime<Utc>,
    ) -> Result<Option<([u8; 32], SavedReply)>, StoreError> {
        self.reply(scope, key, wall).await.map_err(|fail| fail.store("saved_reply"))
    }

    async fn append_audit(&self, by: By<'_>, entry: AuditEntry) -> Result<(), ActError> {
        let append = async {
            let mut work = self.write().await?;
            work.enter(by).await?;
            work.audit(by, entry.action, entry.object, entry.old, entry.new).await?;
            work.leave(by, &Effect::Read).await?;
            work.commit().await
        };
        append.await.map_err(|fail: Fail| fail.act("append_audit"))
    }

    async fn audit(&self, query: &AuditQuery) -> Result<Page<AuditRow>, StoreError> {
        self.audit_page(query).await.map_err(|fail| fail.store("audit"))
    }

    async fn change_version(&self) -> Result<u64, StoreError> {
        self.data_version().await.map_err(|fail| fail.store("change_version"))
    }

    async fn gauges(&self, now: DateTime<Utc>) -> Result<Gauges, StoreError> {
        self.count_all(now).await.map_err(|fail| fail.store("gauges"))
    }

    async fn notices(&self, limit: u32) -> Result<Vec<Notice>, StoreError> {
        let read = async {
            let mut conn = self.read().await?;
            let rows = sqlx::query("select * from outbox order by place desc limit ?1")
                .bind(limit)
                .fetch_all(&mut *conn)
                .await?;
            rows.iter().map(notice_of).collect::<Result<Vec<_>, Fail>>()
        };
        read.await.map_err(|fail: Fail| fail.store("notices"))
    }
}

impl SqliteStore {
    async fn keep_fact(&self, name: &str, value: &str) -> Result<String, Fail> {
        let mut work = self.write().await?;
        sqlx::query("insert or ignore into facts (name, value) values (?1, ?2)")
            .bind(name)
            .bind(value)
            .execute(work.conn())
            .await?;
        let kept = sqlx::query_scalar("select value from facts where name = ?1")
            .bind(name)
            .fetch_one(work.conn())
            .await?;
        work.commit().await?;
        Ok(kept)
    }

    async fn keep_secret(
        &self,
        sql: &'static str,
        secret: [u8; 32],
        user: UserId,
        expires: DateTime<Utc>,
    ) -> Result<(), Fail> {
        let mut work = self.write().await?;
        sqlx::query(sql)
            .bind(&secret[..])
            .bind(user.uuid())
            .bind(micros(expires))
            .execute(work.conn())
            .await?;
        work.commit().await
    }

    async fn redeem(&self, secret: [u8; 32], wall: DateTime<Utc>) -> Result<Option<User>, Fail> {
        let mut work = self.write().await?;
        let row = sqlx::query(
            "delete from sign_in_links where secret = ?1 and purpose = 'sign_in'
             returning user, expires",
        )
        .bind(&secret[..])
        .fetch_optional(work.conn())
        .await?;
        let user = match row {
            Some(row) if row.try_get::<i64, _>("expires")? > micros(wall) => {
                let user: Uuid = row.try_get("user")?;
                let row = sqlx::query("select * from users where id = ?1 and disabled = 0")
                    .bind(user)
                    .fetch_optional(work.conn())
                    .await?;
                row.as_ref().map(user_of).transpose()?
            }
            _ => None,
        };
        // Sign-ins are rare: the right moment to forget what ended.
        for sql in [
            "delete from sign_in_links where expires <= ?1",
            "delete from sessions where expires <= ?1",
        ] {
            sqlx::query(sql).bind(micros(wall)).execute(work.conn()).await?;
        }
        work.commit().await?;
        Ok(user)
    }

    async fn reply(
        &self,
        scope: &str,
        key: &str,
        wall: DateTime<Utc>,
    ) -> Result<Option<([u8; 32], SavedReply)>, Fail> {
        let mut conn = self.read().await?;
        let row = sqlx::query(
            "select body_hash, status, body from idempotency
             where scope = ?1 and key = ?2 and wall > ?3",
        )
        .bind(scope)
        .bind(key)
        .bind(micros(wall - KEPT))
        .fetch_optional(&mut *conn)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let hash: &[u8] = row.try_get("body_hash")?;
        let hash = hash.try_into().map_err(|_| Fail::Corrupt("hash"))?;
        Ok(Some((hash, SavedReply { status: row.try_get("status")?, body: row.try_get("body")? })))
    }
}

pub(super) fn notice_of(row: &SqliteRow) -> Result<Notice, Fail> {
    let kind = NoticeKind::parse(row.try_get("kind")?, row.try_get("object")?);
    Ok(Notice {
        id: NoticeId::from_uuid(row.try_get("id")?),
        at: instant(row.try_get("at")?)?,
        kind: kind.ok_or(Fail::Corrupt("notice"))?,
    })
}
