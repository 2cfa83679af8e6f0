//! A list that is uploaded: kept in a nameless temporary file, because its settings may come after
//! it in the form, and because the import goes on when the request was answered.

use std::collections::BTreeMap;
use std::io::Seek;
use std::task::Poll;

use axum::body::Body;
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::{HeaderMap, StatusCode, header};
use callcore::campaign::FieldError;
use callcore::import::Mapping;
use futures_util::{StreamExt, stream};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;

use crate::problem::Problem;
use crate::request::{broken_off, internal, too_large_body};
use crate::state::ApiState;

/// The largest field of the form beside the file, in bytes.
const MAX_TEXT: usize = 64 * 1024;

/// The longest file name that is kept, in characters.
const MAX_NAME_CHARS: usize = 200;

/// An uploaded list.
#[derive(Debug)]
pub(crate) struct Upload {
    /// The bytes, from their start.
    pub(crate) file: std::fs::File,
    /// What the file is called.
    pub(crate) name: String,
    /// The columns the person named.
    pub(crate) mapping: Mapping,
    /// The same for the same list with the same mapping, whatever the form's boundaries.
    pub(crate) fingerprint: Vec<u8>,
    /// The form's other fields that were allowed.
    pub(crate) others: BTreeMap<String, String>,
}

/// Reads a form with the parts `file` and `mapping`, and those of `others`.
pub(crate) async fn receive(
    state: &ApiState,
    request: Request,
    others: &[&str],
) -> Result<Upload, Problem> {
    check_media_type(request.headers())?;
    let request = request.map(one_at_a_time);
    let mut form =
        Multipart::from_request(request, state).await.map_err(|_| unreadable("no boundary"))?;
    let mut parts = Parts::default();
    while let Some(field) = form.next_field().await.map_err(|error| broken(&error))? {
        parts.take(field, others, state.max_upload()).await?;
    }
    parts.finish().await
}

#[derive(Default)]
struct Parts {
    file: Option<(tokio::fs::File, String)>,
    hash: Sha256,
    mapping: Option<Mapping>,
    mapping_text: String,
    others: BTreeMap<String, String>,
    errors: Vec<FieldError>,
}

impl Parts {
    async fn take(&mut self, field: Field<'_>, others: &[&str], max: u64) -> Result<(), Problem> {
        let name = field.name().unwrap_or_default().to_owned();
        match &*name {
            "file" if self.file.is_none() => self.keep(field, max).await,
            "mapping" if self.mapping.is_none() => {
                self.mapping_text = text(field).await?;
                match serde_json::from_str(&self.mapping_text) {
                    Ok(mapping) => self.mapping = Some(mapping),
                    Err(error) => self.refuse("mapping", "invalid", &error.to_string()),
                }
                Ok(())
            }
            "file" | "mapping" => {
                self.refuse(&name, "invalid", "may be there only once");
                Ok(())
            }
            _ if others.contains(&&*name) => {
                self.others.insert(name, text(field).await?);
                Ok(())
            }
            _ => {
                self.refuse(&name, "unknown_field", "is not known here");
                Ok(())
            }
        }
    }

    /// Writes the file down as it comes.
    async fn keep(&mut self, mut field: Field<'_>, max: u64) -> Result<(), Problem> {
        let name: String = field.file_name().unwrap_or_default().to_owned();
        let name = name.chars().filter(|c| !c.is_control()).take(MAX_NAME_CHARS).collect();
        let kept = tokio::task::spawn_blocking(tempfile::tempfile).await;
        let kept = kept.map_err(|error| internal(&error))?.map_err(|error| internal(&error))?;
        let mut kept = tokio::fs::File::from_std(kept);
        let mut len = 0;
        while let Some(chunk) = field.chunk().await.map_err(|error| broken(&error))? {
            len += chunk.len() as u64;
            if len > max {
                return Err(too_large_body().with("max_bytes", max));
            }
            self.hash.update(&chunk);
            kept.write_all(&chunk).await.map_err(|error| internal(&error))?;
        }
        kept.flush().await.map_err(|error| internal(&error))?;
        self.file = Some((kept, name));
        Ok(())
    }

    fn refuse(&mut self, field: &str, code: &str, message: &str) {
        self.errors.push(FieldError::new(field, code, message));
    }

    async fn finish(mut self) -> Result<Upload, Problem> {
        if self.file.is_none() && !self.errors.iter().any(|error| error.field == "file") {
            self.refuse("file", "required", "is required");
        }
        let (Some((file, name)), true) = (self.file, self.errors.is_empty()) else {
            return Err(Problem::fields(self.errors));
        };
        let mut file = file.into_std().await;
        file.rewind().map_err(|error| internal(&error))?;
        let mut fingerprint = self.hash.finalize().to_vec();
        fingerprint.extend_from_slice(self.mapping_text.as_bytes());
        Ok(Upload {
            file,
            name,
            mapping: self.mapping.unwrap_or_default(),
            fingerprint,
            others: self.others,
        })
    }
}

/// The body with a rest after each of its frames: the form's reader takes all that is ready before it
/// hands anything on, and what comes faster than it is written down would pile up in memory.
fn one_at_a_time(body: Body) -> Body {
    let mut frames = body.into_data_stream();
    let mut rest = false;
    Body::from_stream(stream::poll_fn(move |context| {
        if std::mem::take(&mut rest) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let frame = frames.poll_next_unpin(context);
        rest = frame.is_ready();
        frame
    }))
}

async fn text(mut field: Field<'_>) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(|error| broken(&error))? {
        if bytes.len() + chunk.len() > MAX_TEXT {
            return Err(too_large_body());
        }
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes).map_err(|_| unreadable("a field is no UTF-8"))
}

fn check_media_type(headers: &HeaderMap) -> Result<(), Problem> {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let essence = media_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("multipart/form-data") {
        return Ok(());
    }
    let detail = "send the list as multipart/form-data, in the field file";
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail))
}

fn broken(error: &MultipartError) -> Problem {
    match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => too_large_body(),
        _ => broken_off(),
    }
}

fn unreadable(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "malformed_form", detail)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::testing::World;

    #[tokio::test]
    async fn a_sender_that_is_always_ready_is_not_read_ahead_of() {
        const FRAME: usize = 1_000;
        let world = World::with(|state| state.with_max_upload(10_000));
        let sent = Arc::new(AtomicUsize::new(0));
        let count = sent.clone();
        let head = "--b\r\ncontent-disposition: form-data; name=\"file\"\r\n\r\n";
        let endless = stream::repeat_with(move || {
            count.fetch_add(FRAME, Ordering::Relaxed);
            vec![b'x'; FRAME]
        });
        let frames = stream::iter([head.as_bytes().to_vec()]).chain(endless);
        let request = Request::post("/")
            .header(header::CONTENT_TYPE, "multipart/form-data; boundary=b")
            .body(Body::from_stream(frames.map(Ok::<_, std::io::Error>)))
            .unwrap();
        let problem = receive(&world.state, request, &[]).await.unwrap_err();
        assert_eq!(problem.status(), StatusCode::PAYLOAD_TOO_LARGE);
        let sent = sent.load(Ordering::Relaxed);
        assert!(sent < 10_000 + 5 * FRAME, "{sent} bytes were taken");
    }
}
