//! Bytes in whole or in part, as their reader asks (RFC 9110, section 14).

use std::ops::RangeInclusive;

use axum::body::Bytes;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::problem::Problem;

/// The answer with what a `Range` header asks for.
pub(crate) fn ranged(media_type: &str, bytes: Vec<u8>, range: Option<&HeaderValue>) -> Response {
    let len = bytes.len();
    let bytes = Bytes::from(bytes);
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
                "there are no such bytes",
            );
            let headers = [(header::CONTENT_RANGE, format!("bytes */{len}"))];
            return (headers, problem).into_response();
        }
        Some(Part::Whole) | None => (StatusCode::OK, bytes).into_response(),
    };
    // What somebody names as something a browser would run is handed on as bytes.
    let media_type = HeaderValue::from_str(media_type)
        .ok()
        .filter(|_| media_type.starts_with("audio/"))
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
}
