//! `POST /api/audio`: a WAV or MP3 that scripts may play.

use axum::extract::multipart::Field;
use axum::extract::{FromRequest, Multipart, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use callcore::audio::{AudioFormat, MAX_BYTES};
use callcore::campaign::FieldError;
use callcore::id::AudioId;
use callcore::port::{Effect, NewAudio};
use chrono::{DateTime, Utc};

use crate::act::{Act, Early};
use crate::auth::Operator;
use crate::problem::Problem;
use crate::query::Query;
use crate::request::{path_of, too_large_body};
use crate::state::ApiState;
use crate::upload::{MAX_ERRORS, broken, check_media_type, one_at_a_time, text, unreadable};

/// The longest name of an audio, in characters.
const MAX_NAME_CHARS: usize = 200;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Operator(principal): Operator,
    query: Query,
    request: Request,
) -> Result<Response, Early> {
    query.finish()?;
    let (parts, body) = request.into_parts();
    let scope = format!("{} {} {}", principal.actor, parts.method, path_of(&parts));
    let headers = parts.headers.clone();
    let sent = receive(&state, Request::from_parts(parts, body)).await?;
    let print = [sent.name.as_bytes(), b"\0", &sent.bytes].concat();
    let act = Act::under(&state, principal, scope, &headers, &print, StatusCode::CREATED).await?;
    drop(print);
    let new = sent.audio(&state, act.now());
    let added = state.store().add_audio(act.by(), new).await;
    act.finish(added.map(|audio| Effect::Audio(Box::new(audio)))).await
}

/// An audio that was sent.
#[derive(Debug)]
pub(crate) struct Sent {
    name: String,
    format: AudioFormat,
    bytes: Vec<u8>,
}

impl Sent {
    /// Looks at what is called so, or else like its file.
    pub(crate) fn new(
        name: Option<&str>,
        (file_name, bytes): (String, Vec<u8>),
    ) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        let name = name.map(str::trim).filter(|name| !name.is_empty()).unwrap_or(&file_name);
        if name.chars().count() > MAX_NAME_CHARS || name.chars().any(char::is_control) {
            let words = format!("at most {MAX_NAME_CHARS} characters, none of them a control");
            errors.push(FieldError::new("name", "bad_name", words));
        }
        let format = AudioFormat::of(&bytes);
        if format.is_none() {
            errors.push(FieldError::new("file", "not_audio", "is neither WAV nor MP3"));
        }
        match format {
            Some(format) if errors.is_empty() => Ok(Self { name: name.to_owned(), format, bytes }),
            _ => Err(errors),
        }
    }

    /// The audio that it becomes.
    pub(crate) fn audio(self, state: &ApiState, now: DateTime<Utc>) -> NewAudio {
        let Self { name, format, bytes } = self;
        NewAudio { id: AudioId::new(now, state.entropy()), name, format, bytes }
    }
}

async fn receive(state: &ApiState, request: Request) -> Result<Sent, Problem> {
    check_media_type(request.headers())?;
    let request = request.map(one_at_a_time);
    let mut form =
        Multipart::from_request(request, state).await.map_err(|_| unreadable("no boundary"))?;
    let (mut file, mut name, mut errors) = (None, None, Vec::new());
    while let Some(field) = form.next_field().await.map_err(|error| broken(&error))? {
        match field.name().unwrap_or_default() {
            "file" if file.is_none() => file = Some(read(field).await?),
            "name" if name.is_none() => name = Some(text(field).await?),
            again @ ("file" | "name") => {
                errors.push(FieldError::new(again, "invalid", "may be there only once"));
            }
            other => errors.push(FieldError::new(other, "unknown_field", "is not known here")),
        }
        if errors.len() > MAX_ERRORS {
            return Err(Problem::fields(errors));
        }
    }
    let Some((file_name, bytes)) = file else {
        errors.push(FieldError::new("file", "required", "is required"));
        return Err(Problem::fields(errors));
    };
    match Sent::new(name.as_deref(), (file_name, bytes)) {
        Ok(sent) if errors.is_empty() => Ok(sent),
        Ok(_) => Err(Problem::fields(errors)),
        Err(more) => Err(Problem::fields(errors.into_iter().chain(more).collect())),
    }
}

/// The file with what it is called.
pub(crate) async fn read(mut field: Field<'_>) -> Result<(String, Vec<u8>), Problem> {
    let name: String = field.file_name().unwrap_or_default().to_owned();
    let name: String = name.chars().filter(|c| !c.is_control()).take(MAX_NAME_CHARS).collect();
    let name = if name.trim().is_empty() { "audio".to_owned() } else { name };
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(|error| broken(&error))? {
        if bytes.len() + chunk.len() > MAX_BYTES {
            return Err(too_large_body().with("max_bytes", MAX_BYTES));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok((name, bytes))
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use callcore::actor::Role;
    use callcore::audio::MAX_BYTES;
    use serde_json::json;

    use crate::testing::{Answer, World, form, wav};

    async fn sent(world: &World, parts: &[(&str, &[u8])]) -> Answer {
        let (media_type, body) = form(parts);
        let request = world.request("POST", "/api/audio").role(Role::Operator);
        request.header("content-type", &media_type).body(body).send().await
    }

    #[tokio::test]
    async fn a_wav_is_kept_under_its_name_or_that_of_its_file() {
        let world = World::new();
        let named = sent(&world, &[("name", b"Offer"), ("file", &wav())]).await;
        assert_eq!(named.status, StatusCode::CREATED, "{}", named.text());
        assert_eq!(
            (&named.json["name"], &named.json["media_type"], &named.json["size_bytes"]),
            (&json!("Offer"), &json!("audio/wav"), &json!(wav().len()))
        );
        assert_eq!(named.json["created_by"], "token:operator");
        assert_eq!(sent(&world, &[("file", &wav())]).await.json["name"], "list.csv");
        assert!(world.audited("audio.add").await);
    }

    #[tokio::test]
    async fn what_is_no_audio_or_no_form_is_refused_by_what_it_is() {
        let world = World::new();
        let page = sent(&world, &[("file", b"<html>"), ("name", b"a\x07"), ("x", b"y")]).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST);
        assert_eq!(page.fields(), ["x", "name", "file"]);
        let page = sent(&world, &[("file", b"<html>")]).await;
        assert_eq!((page.status, page.fields()), (StatusCode::UNPROCESSABLE_ENTITY, vec!["file"]));
        assert_eq!(sent(&world, &[("name", b"Offer")]).await.fields(), ["file"]);
        let twice = sent(&world, &[("file", &wav()), ("file", &wav())]).await;
        assert_eq!(twice.fields(), ["file"]);
        let large = [wav(), vec![0; MAX_BYTES]].concat();
        assert_eq!(sent(&world, &[("file", &large)]).await.status, StatusCode::PAYLOAD_TOO_LARGE);
        let json = world.post("/api/audio", json!({})).await;
        assert_eq!(json.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        assert!(world.get("/api/audio").await.json["items"].as_array().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_retried_upload_is_one_audio() {
        let world = World::new();
        let send = |name: &[u8]| {
            let (media_type, body) = form(&[("file", &wav()), ("name", name)]);
            let request = world.request("POST", "/api/audio").header("idempotency-key", "a");
            request.header("content-type", &media_type).body(body).send()
        };
        let (first, again) = (send(b"Offer").await, send(b"Offer").await);
        assert_eq!((first.status, &first.json), (StatusCode::CREATED, &again.json));
        assert_eq!(send(b"Other").await.code(), "idempotency_key_reused");
        assert_eq!(world.get("/api/audio").await.json["items"].as_array().unwrap().len(), 1);
    }
}
