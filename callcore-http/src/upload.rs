//! A list that is uploaded: kept in a nameless temporary file, because its settings may come after
//! it in the form, and because the import goes on when the request was answered.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::Arc;
use std::task::Poll;

use axum::body::Body;
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::{HeaderMap, StatusCode, header};
use callcore::campaign::FieldError;
use callcore::import::{Dedupe, DuplicatePolicy, Mapping, OnDuplicate};
use futures_util::{StreamExt, stream};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;

use crate::problem::Problem;
use crate::request::{broken_off, internal, too_large_body};
use crate::state::ApiState;

/// The largest field of the form beside the file, in bytes.
const MAX_TEXT: usize = 64 * 1024;

/// How many bad fields are named: a form may have any number of them.
pub(crate) const MAX_ERRORS: usize = 20;

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
    /// What is done with rows about people who are in already.
    pub(crate) duplicates: DuplicatePolicy,
    /// Whether only the report is wanted.
    pub(crate) dry_run: bool,
    /// The same for the same list with the same options, whatever the form's boundaries.
    pub(crate) fingerprint: Vec<u8>,
    /// The form's other fields that were allowed.
    pub(crate) others: BTreeMap<String, String>,
}

/// Reads a file from its start, whatever others read of it at the same time.
#[derive(Debug)]
pub(crate) struct Reader {
    file: Arc<std::fs::File>,
    at: u64,
}

impl Reader {
    pub(crate) fn new(file: impl Into<Arc<std::fs::File>>) -> Self {
        Self { file: file.into(), at: 0 }
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        #[cfg(unix)]
        let len = std::os::unix::fs::FileExt::read_at(&*self.file, buffer, self.at)?;
        #[cfg(windows)]
        let len = std::os::windows::fs::FileExt::seek_read(&*self.file, buffer, self.at)?;
        self.at += len as u64;
        Ok(len)
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let len = || self.file.metadata().map(|it| it.len());
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => len()?.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}

impl Write for Reader {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        #[cfg(unix)]
        let len = std::os::unix::fs::FileExt::write_at(&*self.file, bytes, self.at)?;
        #[cfg(windows)]
        let len = std::os::windows::fs::FileExt::seek_write(&*self.file, bytes, self.at)?;
        self.at += len as u64;
        Ok(len)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The options of a list of clients.
pub(crate) const OPTIONS: [&str; 4] = ["mapping", "dry_run", "dedupe", "on_duplicate"];

/// Reads a form with the parts `file`, the given ones of [`OPTIONS`], and those of `others`.
pub(crate) async fn receive(
    state: &ApiState,
    request: Request,
    options: &[&str],
    others: &[&str],
) -> Result<Upload, Problem> {
    check_media_type(request.headers())?;
    let request = request.map(one_at_a_time);
    let mut form =
        Multipart::from_request(request, state).await.map_err(|_| unreadable("no boundary"))?;
    let mut parts = Parts::default();
    while let Some(field) = form.next_field().await.map_err(|error| broken(&error))? {
        parts.take(field, (options, others), state.max_upload()).await?;
        if parts.errors.len() > MAX_ERRORS {
            return Err(Problem::fields(parts.errors));
        }
    }
    parts.finish().await
}

#[derive(Default)]
struct Parts {
    file: Option<(tokio::fs::File, String)>,
    hash: Sha256,
    mapping: Mapping,
    duplicates: DuplicatePolicy,
    dry_run: bool,
    /// The options as they were sent, each once.
    options: BTreeMap<&'static str, String>,
    others: BTreeMap<String, String>,
    errors: Vec<FieldError>,
}

impl Parts {
    async fn take(
        &mut self,
        field: Field<'_>,
        (options, others): (&[&str], &[&str]),
        max: u64,
    ) -> Result<(), Problem> {
        let name = field.name().unwrap_or_default().to_owned();
        let mut known = OPTIONS.into_iter().filter(|option| options.contains(option));
        if let Some(option) = known.find(|option| *option == name) {
            let text = text(field).await?;
            self.option(option, text);
            return Ok(());
        }
        match &*name {
            "file" if self.file.is_none() => self.keep(field, max).await,
            "file" => {
                self.refuse("file", "invalid", "may be there only once");
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

    fn option(&mut self, name: &'static str, text: String) {
        if self.options.contains_key(name) {
            return self.refuse(name, "invalid", "may be there only once");
        }
        match name {
            "mapping" => match Mapping::parse(&text) {
                Ok(mapping) => self.mapping = mapping,
                Err(errors) => self.errors.extend(errors),
            },
            "dry_run" => match &*text {
                "true" | "false" => self.dry_run = text == "true",
                _ => self.refuse(name, "invalid", "must be true or false"),
            },
            "dedupe" => match Dedupe::parse(&text) {
                Some(dedupe) => self.duplicates.dedupe = dedupe,
                None => self.refuse(name, "invalid", "must be phone or phone_and_name"),
            },
            _ => match OnDuplicate::parse(&text) {
                Some(on_duplicate) => self.duplicates.on_duplicate = on_duplicate,
                None => self.refuse(name, "invalid", "must be skip or update"),
            },
        }
        self.options.insert(name, text);
    }

    /// Writes the file down as it comes.
    async fn keep(&mut self, mut field: Field<'_>, max: u64) -> Result<(), Problem> {
        let name: String = field.file_name().unwrap_or_default().to_owned();
        let name = name.chars().filter(|c| !misleads(*c)).take(MAX_NAME_CHARS).collect();
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
        for (name, text) in &self.options {
            fingerprint.extend(format!("\0{name}\0{text}").as_bytes());
        }
        Ok(Upload {
            file,
            name,
            mapping: self.mapping,
            duplicates: self.duplicates,
            dry_run: self.dry_run,
            fingerprint,
            others: self.others,
        })
    }
}

/// Whether a character has no place in a file's name: it can't be seen, or turns what follows.
fn misleads(character: char) -> bool {
    let turns = matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || character.is_control()
}

/// The body with a rest after each of its frames: the form's reader takes all that is ready before it
/// hands anything on, and what comes faster than it is written down would pile up in memory.
pub(crate) fn one_at_a_time(body: Body) -> Body {
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

pub(crate) async fn text(mut field: Field<'_>) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(|error| broken(&error))? {
        if bytes.len() + chunk.len() > MAX_TEXT {
            return Err(too_large_body());
        }
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes).map_err(|_| unreadable("a field is no UTF-8"))
}

pub(crate) fn check_media_type(headers: &HeaderMap) -> Result<(), Problem> {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let essence = media_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("multipart/form-data") {
        return Ok(());
    }
    let detail = "send the list as multipart/form-data, in the field file";
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail))
}

pub(crate) fn broken(error: &MultipartError) -> Problem {
    match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => too_large_body(),
        _ => broken_off(),
    }
}

pub(crate) fn unreadable(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "malformed_form", detail)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::testing::World;

    #[tokio::test]
    async fn a_form_of_endless_fields_is_not_read_to_its_end() {
        let world = World::new();
        let part = |n| format!("--b\r\ncontent-disposition: form-data; name=\"f{n}\"\r\n\r\nx\r\n");
        let frames = stream::iter(0_u64..).map(part);
        let request = Request::post("/")
            .header(header::CONTENT_TYPE, "multipart/form-data; boundary=b")
            .body(Body::from_stream(frames.map(Ok::<_, std::io::Error>)))
            .unwrap();
        let problem = receive(&world.state, request, &OPTIONS, &[]).await.unwrap_err();
        assert_eq!(problem.status(), StatusCode::BAD_REQUEST);
        assert!(problem.errors().len() <= MAX_ERRORS + 1);
    }

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
        let problem = receive(&world.state, request, &OPTIONS, &[]).await.unwrap_err();
        assert_eq!(problem.status(), StatusCode::PAYLOAD_TOO_LARGE);
        let sent = sent.load(Ordering::Relaxed);
        assert!(sent < 10_000 + 5 * FRAME, "{sent} bytes were taken");
    }
}
