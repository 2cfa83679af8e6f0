//! `GET /api/calls/{id}/recording`: the audio, fetched from the carrier and handed on in whole or
//! in part. The carrier's own address for it never leaves the server.

use std::ops::RangeInclusive;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use callcore::id::CallId;
use callcore::port::Audio;

use super::{audit_read, existing};
use crate::auth::Viewer;
use crate::problem::Problem;
use crate::query::Query;
use crate::request::Id;
use crate::state::ApiState;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Viewer(principal): Viewer,
    Id(id): Id<CallId>,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    query.finish()?;
    let view = existing(&state, id).await?;
    let reference = view.call.progress.recording.ok_or_else(Problem::not_found)?;
    let audio = state.carrier().recording(&reference).await?.ok_or_else(Problem::not_found)?;
    audit_read(&state, &principal, id, "recording.read").await?;
    Ok(answer(audio, headers.get(header::RANGE)))
}

fn answer(audio: Audio, range: Option<&HeaderValue>) -> Response {
    let len = audio.bytes.len();
    let bytes = Bytes::from(audio.bytes);
    let wanted = range.and_then(|range| range.to_str().ok()).map(|range| part(range, len));
    let mut response = match wanted {
        Some(Part::Of(part)) => {
            let range = format!("bytes {}-{}/{len}", part.start(), part.end());
            let headers = [(header::CONTENT_RANGE, range)];
            (StatusCode::PARTIAL_CONTENT, headers, bytes.slice(part)).into_response()
        }
        Some(Part::Beyond) => {
            let problem = Problem::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                "range_not_satisfiable",
                "the recording has no such bytes",
            );
            let headers = [(header::CONTENT_RANGE, format!("bytes */{len}"))];
            return (headers, problem).into_response();
        }
        Some(Part::Whole) | None => (StatusCode::OK, bytes).into_response(),
    };
    // What a carrier names as something a browser would run is handed on as bytes.
    let media_type = HeaderValue::from_str(&audio.content_type)
        .ok()
        .filter(|_| audio.content_type.starts_with("audio/"))
        .unwrap_or(HeaderValue::from_static("application/octet-stream"));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, media_type);
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    response
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    /// The header asks for nothing that is understood, or for several parts: it may be ignored
    /// (RFC 9110, 14.2).
    Whole,
    Of(RangeInclusive<usize>),
    Beyond,
}

fn part(range: &str, len: usize) -> Part {
    let read = || {
        let (start, end) = range.strip_prefix("bytes=")?.trim().split_once('-')?;
        let number = |text: &str| {
            let text = text.trim();
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            // More digits than a length can have lie beyond it.
            digits.then(|| text.parse::<usize>().unwrap_or(usize::MAX))
        };
        Some(match (start.trim(), end.trim()) {
            ("", last) => match number(last)? {
                0 => Part::Beyond,
                _ if len == 0 => Part::Beyond,
                last => Part::Of(len.saturating_sub(last)..=len - 1),
            },
            (start, end) => {
                let start = number(start)?;
                let end = if end.is_empty() { usize::MAX } else { number(end)? };
                if end < start {
                    return None;
                }
                if start >= len { Part::Beyond } else { Part::Of(start..=end.min(len - 1)) }
            }
        })
    };
    read().unwrap_or(Part::Whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::World;

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        for (range, expected) in [
            ("bytes=0-3", Part::Of(0..=3)),
            ("bytes=4-", Part::Of(4..=9)),
            ("bytes=-3", Part::Of(7..=9)),
            ("bytes=-30", Part::Of(0..=9)),
            ("bytes=2-99999999999999999999999", Part::Of(2..=9)),
            ("bytes=10-", Part::Beyond),
            ("bytes=-0", Part::Beyond),
            ("bytes=3-2", Part::Whole),
            ("bytes=0-1,3-4", Part::Whole),
            ("bytes=-", Part::Whole),
            ("lines=1-2", Part::Whole),
        ] {
            assert_eq!(part(range, 10), expected, "{range}");
        }
        assert_eq!(part("bytes=0-", 0), Part::Beyond);
        assert_eq!(part("bytes=-1", 0), Part::Beyond);
    }

    #[tokio::test]
    async fn a_recording_is_handed_on_in_whole_and_in_part() {
        let world = World::new();
        let call = world.talked().await;
        let path = format!("/api/calls/{call}/recording");
        let whole = world.get(&path).await;
        assert_eq!((whole.status, whole.text().as_str()), (StatusCode::OK, "0123456789"));
        assert_eq!(whole.headers["accept-ranges"], "bytes");
        assert_eq!(whole.headers["content-type"], "audio/wav");
        let part = world.request("GET", &path).header("range", "bytes=2-4").send().await;
        assert_eq!((part.status, part.text().as_str()), (StatusCode::PARTIAL_CONTENT, "234"));
        assert_eq!(part.headers["content-range"], "bytes 2-4/10");
        let beyond = world.request("GET", &path).header("range", "bytes=99-").send().await;
        assert_eq!(beyond.status, StatusCode::RANGE_NOT_SATISFIABLE);
        assert_eq!(beyond.headers["content-range"], "bytes */10");
        assert!(world.audited("recording.read").await);
    }

    #[tokio::test]
    async fn a_call_without_a_recording_has_none_and_a_carrier_away_is_a_503() {
        let world = World::new();
        world.loaded(1).await;
        let call = world.calls().await.remove(0);
        let path = format!("/api/calls/{call}/recording");
        assert_eq!(world.get(&path).await.status, StatusCode::NOT_FOUND);
        let world = World::new();
        let call = world.talked().await;
        world.carrier_away();
        let answer = world.get(&format!("/api/calls/{call}/recording")).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.headers.contains_key("retry-after"));
    }
}
