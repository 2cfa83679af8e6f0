use async_trait::async_trait;
use callcore::audio::{Audio, AudioFormat};
use callcore::campaign::Settings;
use callcore::id::{AudioId, CampaignId};
use callcore::port::{ActError, By, Cursor, Effect, Media, NewAudio, Page, Refused, StoreError};
use serde_json::json;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};
use uuid::Uuid;

use super::fail::Fail;
use super::open::SqliteStore;
use super::read::actor_of;
use super::row::{instant, micros, word};
use super::search::{cut, push_place};
use super::work::Work;

const COLUMNS: &str = "id, name, format, size, created_at, created_by";

#[async_trait]
impl Media for SqliteStore {
    async fn add_audio(&self, by: By<'_>, new: NewAudio) -> Result<Audio, ActError> {
        self.keep_audio(by, new).await.map_err(|fail| fail.act("add_audio"))
    }

    async fn audio(&self, id: AudioId) -> Result<Option<Audio>, StoreError> {
        let read = async {
            let mut conn = self.read().await?;
            audio(&mut conn, id).await
        };
        read.await.map_err(|fail: Fail| fail.store("audio"))
    }

    async fn audio_bytes(&self, id: AudioId) -> Result<Option<Vec<u8>>, StoreError> {
        let read = async {
            let mut conn = self.read().await?;
            let bytes = sqlx::query_scalar("select bytes from audio where id = ?1")
                .bind(id.uuid())
                .fetch_optional(&mut *conn)
                .await?;
            Ok(bytes)
        };
        read.await.map_err(|fail: Fail| fail.store("audio_bytes"))
    }

    async fn audios(&self, after: Option<Cursor>, limit: u32) -> Result<Page<Audio>, StoreError> {
        self.audio_page(after, limit).await.map_err(|fail| fail.store("audios"))
    }

    async fn remove_audio(&self, by: By<'_>, id: AudioId) -> Result<(), ActError> {
        self.drop_audio(by, id).await.map_err(|fail| fail.act("remove_audio"))
    }
}

impl SqliteStore {
    async fn keep_audio(&self, by: By<'_>, new: NewAudio) -> Result<Audio, Fail> {
        let mut work = self.write().await?;
        work.enter(by).await?;
        let audio = Audio {
            id: new.id,
            name: new.name,
            format: new.format,
            size: new.bytes.len() as u64,
            created_at: by.now,
            created_by: by.actor.clone(),
        };
        sqlx::query(
            "insert into audio (id, name, format, size, created_at, created_by, bytes)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )
        .bind(audio.id.uuid())
        .bind(&audio.name)
        .bind(audio.format.as_str())
        .bind(audio.size.cast_signed())
        .bind(micros(audio.created_at))
        .bind(audio.created_by.to_string())
        .bind(new.bytes)
        .execute(work.conn())
        .await?;
        let body = json!({"name": audio.name, "size": audio.size});
        work.audit(by, "audio.add", audio.id.to_string(), None, Some(body)).await?;
        work.leave(by, &Effect::Audio(Box::new(audio.clone()))).await?;
        work.commit().await?;
        Ok(audio)
    }

    async fn audio_page(&self, after: Option<Cursor>, limit: u32) -> Result<Page<Audio>, Fail> {
        let mut sql = QueryBuilder::<Sqlite>::new("select ");
        sql.push(COLUMNS).push(" from audio where true");
        if let Some(after) = after {
            push_place(&mut sql, "(created_at, id) <", &after);
        }
        sql.push(" order by created_at desc, id desc limit ").push_bind(i64::from(limit) + 1);
        let mut conn = self.read().await?;
        let rows = sql.build().fetch_all(&mut *conn).await?;
        let rows = rows.iter().map(audio_of).collect::<Result<Vec<_>, _>>()?;
        Ok(cut(rows, limit, |audio| Cursor::at(audio.created_at, audio.id.uuid())))
    }

    async fn drop_audio(&self, by: By<'_>, id: AudioId) -> Result<(), Fail> {
        let mut work = self.write().await?;
        work.enter(by).await?;
        let old = audio(work.conn(), id).await?.ok_or(Refused::NotFound)?;
        // Audio is seldom removed: looking at every campaign that is not over is cheap enough.
        let open: Vec<Uuid> = sqlx::query_scalar(
            "select id from campaigns where state not in ('finished', 'stopped') order by id",
        )
        .fetch_all(work.conn())
        .await?;
        for campaign in open.into_iter().map(CampaignId::from_uuid) {
            work.load_campaigns([campaign]).await?;
            let settings = &work.campaign(campaign)?.settings;
            if settings.audio().any(|(_, audio)| audio == id) {
                return Err(Refused::AudioInUse(campaign).into());
            }
        }
        sqlx::query("delete from audio where id = ?1").bind(id.uuid()).execute(work.conn()).await?;
        let old = json!({"name": old.name, "size": old.size});
        work.audit(by, "audio.remove", id.to_string(), Some(old), None).await?;
        work.leave(by, &Effect::AudioRemoved).await?;
        work.commit().await
    }
}

impl Work<'_> {
    /// Refuses settings that play an audio which is not there.
    pub(super) async fn check_audio(&mut self, settings: &Settings) -> Result<(), Fail> {
        for (_, id) in settings.audio() {
            if audio(self.conn(), id).await?.is_none() {
                return Err(Refused::UnknownAudio(id).into());
            }
        }
        Ok(())
    }
}

async fn audio(conn: &mut SqliteConnection, id: AudioId) -> Result<Option<Audio>, Fail> {
    let mut sql = QueryBuilder::<Sqlite>::new("select ");
    sql.push(COLUMNS).push(" from audio where id = ").push_bind(id.uuid());
    let row = sql.build().fetch_optional(conn).await?;
    row.as_ref().map(audio_of).transpose()
}

fn audio_of(row: &SqliteRow) -> Result<Audio, Fail> {
    Ok(Audio {
        id: AudioId::from_uuid(row.try_get("id")?),
        name: row.try_get("name")?,
        format: word(row.try_get("format")?, AudioFormat::parse, "audio format")?,
        size: row.try_get::<i64, _>("size")?.cast_unsigned(),
        created_at: instant(row.try_get("created_at")?)?,
        created_by: actor_of(row, "created_by")?,
    })
}
