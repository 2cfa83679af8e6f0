//! CSV files as answers, a page of rows at a time: memory stays flat, and no read of the store lasts
//! longer than a page.

use std::future::Future;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use callcore::port::StoreError;
use futures_util::stream;

/// Rows read at once: what a reader who is slow keeps in memory.
pub(crate) const PAGE: u32 = 200;

/// A walk over rows.
pub(crate) trait Pages: Send + 'static {
    /// The text of the next rows, which may be empty; none after the last.
    fn next(&mut self) -> impl Future<Output = Result<Option<String>, StoreError>> + Send;
}

/// A file of `header` and rows. The first page is read before the answer begins; if the store fails
/// later, the connection breaks off, so that half a list does not look like a whole one.
pub(crate) async fn csv(
    file_name: &str,
    header: String,
    mut pages: impl Pages,
) -> Result<Response, StoreError> {
    let first = pages.next().await?;
    let pages = first.is_some().then_some(pages);
    let text = header + &first.unwrap_or_default();
    let body = stream::try_unfold((Some(text), pages), async |(text, mut pages)| {
        if let Some(text) = text {
            return Ok::<_, StoreError>(Some((Bytes::from(text), (None, pages))));
        }
        while let Some(walk) = &mut pages {
            let next = walk.next().await;
            match next.inspect_err(|error| tracing::error!(%error, "an export broke off"))? {
                // Nothing of a page may be wanted; an empty chunk would end the body.
                Some(text) if text.is_empty() => {}
                Some(text) => return Ok(Some((text.into(), (None, pages)))),
                None => pages = None,
            }
        }
        Ok(None)
    });
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{file_name}\"")),
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}

#[cfg(test)]
mod tests {
    use callcore::port::StoreErrorKind;
    use http_body_util::BodyExt;

    use super::*;

    struct Script(Vec<Result<Option<&'static str>, StoreError>>);

    impl Pages for Script {
        async fn next(&mut self) -> Result<Option<String>, StoreError> {
            self.0.remove(0).map(|text| text.map(str::to_owned))
        }
    }

    fn failure() -> StoreError {
        StoreError::new(StoreErrorKind::Unavailable, "export")
    }

    #[tokio::test]
    async fn pages_without_rows_end_nothing() {
        let pages = Script(vec![Ok(Some("")), Ok(Some("")), Ok(Some("a\n")), Ok(None)]);
        let answer = csv("x.csv", "h\n".to_owned(), pages).await.unwrap();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(bytes, "h\na\n");
        let none = csv("x.csv", "h\n".to_owned(), Script(vec![Ok(None)])).await.unwrap();
        assert_eq!(none.into_body().collect().await.unwrap().to_bytes(), "h\n");
    }

    #[tokio::test]
    async fn a_store_that_fails_at_once_gives_no_file_and_one_that_fails_later_breaks_it_off() {
        let at_once = csv("x.csv", String::new(), Script(vec![Err(failure())])).await;
        assert!(at_once.is_err());
        let pages = Script(vec![Ok(Some("a\n")), Err(failure())]);
        let later = csv("x.csv", String::new(), pages).await.unwrap();
        assert!(later.into_body().collect().await.is_err());
    }
}
