//! Named tokens.

use callcore::actor::{Actor, Role};
use callcore::id::TokenId;
use callcore::port::{By, Cursor, Effect, NewToken, Page, Refused, Token};
use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};
use uuid::Uuid;

use super::fail::Fail;
use super::open::SqliteStore;
use super::row::{actor, instant, micros, word};
use super::search::{cut, push_place};
use super::work::Work;

/// Tokens with what their owner may now.
const TOKENS: &str = "select tokens.*, users.role as owner_role from tokens
    left join users on users.id = owner";

impl SqliteStore {
    pub(super) async fn put_token(&self, by: By<'_>, new: NewToken) -> Result<Token, Fail> {
        let mut work = self.write().await?;
        work.enter(by).await?;
        let owner = work.owner_of(by.actor).await?;
        let added = sqlx::query(
            "insert into tokens (id, name, secret, role, owner, created_by, created_at, expires)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) on conflict (name) do nothing",
        )
        .bind(new.id.uuid())
        .bind(&new.name)
        .bind(&new.secret[..])
        .bind(new.role.as_str())
        .bind(owner)
        .bind(by.actor.to_string())
        .bind(micros(new.created_at))
        .bind(new.expires.map(micros))
        .execute(work.conn())
        .await?;
        if added.rows_affected() == 0 {
            return Err(Refused::NameTaken.into());
        }
        let told = json!({"name": new.name, "role": new.role, "expires_at": new.expires});
        work.audit(by, "token.create", new.id.to_string(), None, Some(told)).await?;
        let row = sqlx::query(sqlx::AssertSqlSafe(format!("{TOKENS} where tokens.id = ?1")))
            .bind(new.id.uuid())
            .fetch_one(work.conn())
            .await?;
        let token = token_of(&row)?;
        work.leave(by, &Effect::Token(Box::new(token.clone()))).await?;
        work.commit().await?;
        Ok(token)
    }

    pub(super) async fn token_of_secret(
        &self,
        secret: [u8; 32],
        wall: DateTime<Utc>,
    ) -> Result<Option<Token>, Fail> {
        let sql = format!("{TOKENS} where secret = ?1 and (expires is null or expires > ?2)");
        let mut conn = self.read().await?;
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(&secret[..])
            .bind(micros(wall))
            .fetch_optional(&mut *conn)
            .await?;
        row.as_ref().map(token_of).transpose()
    }

    pub(super) async fn token_page(
        &self,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<Page<Token>, Fail> {
        let mut sql = QueryBuilder::<Sqlite>::new(TOKENS);
        sql.push(" where true");
        if let Some(after) = &after {
            push_place(&mut sql, "(created_at, tokens.id) <", after);
        }
        sql.push(" order by created_at desc, tokens.id desc limit ");
        sql.push_bind(i64::from(limit) + 1);
        let mut conn = self.read().await?;
        let rows = sql.build().fetch_all(&mut *conn).await?;
        let tokens = rows.iter().map(token_of).collect::<Result<Vec<_>, _>>()?;
        Ok(cut(tokens, limit, |token| Cursor::at(token.created_at, token.id.uuid())))
    }

    pub(super) async fn use_token(&self, id: TokenId, wall: DateTime<Utc>) -> Result<(), Fail> {
        let mut work = self.write().await?;
        sqlx::query("update tokens set last_used = max(coalesce(last_used, ?2), ?2) where id = ?1")
            .bind(id.uuid())
            .bind(micros(wall))
            .execute(work.conn())
            .await?;
        work.commit().await
    }

    pub(super) async fn drop_token(&self, by: By<'_>, id: TokenId) -> Result<(), Fail> {
        let mut work = self.write().await?;
        work.enter(by).await?;
        let row = sqlx::query("delete from tokens where id = ?1 returning name, role")
            .bind(id.uuid())
            .fetch_optional(work.conn())
            .await?
            .ok_or(Refused::NotFound)?;
        let (name, role): (String, String) = (row.try_get("name")?, row.try_get("role")?);
        let old = json!({"name": name, "role": role});
        work.audit(by, "token.revoke", id.to_string(), Some(old), None).await?;
        work.commit().await
    }
}

impl Work<'_> {
    /// The user on whose behalf somebody acts.
    async fn owner_of(&mut self, actor: &Actor) -> Result<Option<Uuid>, Fail> {
        let (sql, name) = match actor {
            Actor::User(name) => ("select id from users where name = ?1", name),
            Actor::Token(name) => ("select owner from tokens where name = ?1", name),
            Actor::Agent | Actor::System | Actor::Client => return Ok(None),
        };
        let owner: Option<Option<Uuid>> =
            sqlx::query_scalar(sql).bind(name).fetch_optional(self.conn()).await?;
        Ok(owner.flatten())
    }
}

fn token_of(row: &SqliteRow) -> Result<Token, Fail> {
    let given = word(row.try_get("role")?, Role::parse, "role")?;
    let owner: Option<&str> = row.try_get("owner_role")?;
    let most = owner.map(|role| word(role, Role::parse, "role")).transpose()?;
    let (expires, last_used): (Option<i64>, Option<i64>) =
        (row.try_get("expires")?, row.try_get("last_used")?);
    Ok(Token {
        id: TokenId::from_uuid(row.try_get("id")?),
        name: row.try_get("name")?,
        role: most.map_or(given, |most| given.min(most)),
        created_by: actor(row.try_get("created_by")?)?,
        created_at: instant(row.try_get("created_at")?)?,
        expires: expires.map(instant).transpose()?,
        last_used: last_used.map(instant).transpose()?,
    })
}
