//! `GET /api/audit/export`: the audit log as CSV with the list's filters, a page of rows at a time. The
//! export itself stands in the log, and not in itself.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use callcore::export::{audit_header, audit_row};
use callcore::port::{AuditEntry, AuditQuery, AuditRow, By, Page, StoreError};
use futures_util::stream;
use serde_json::{Value, json};

use super::filters;
use crate::auth::Admin;
use crate::dto;
use crate::problem::Problem;
use crate::query::Query;
use crate::state::ApiState;

/// Rows read at once: what a reader who is slow keeps in memory.
const PAGE: u32 = 200;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Admin(principal): Admin,
    mut query: Query,
) -> Result<Response, Problem> {
    let wanted = AuditQuery { limit: PAGE, ..filters(&mut query, &state) };
    query.finish()?;
    let first = state.store().audit(&wanted).await?;
    let new = Some(told(&wanted));
    let entry = AuditEntry { action: "audit.export", object: "audit".to_owned(), old: None, new };
    state.store().append_audit(By::new(&principal.actor, state.now()), entry).await?;
    let pages = Pages { state, wanted, page: Some(first), header: true };
    let body = Body::from_stream(stream::try_unfold(pages, Pages::next));
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"audit.csv\""),
    ];
    Ok((headers, body).into_response())
}

/// What was asked for, as the log keeps it.
fn told(query: &AuditQuery) -> Value {
    json!({
        "actor": query.actors,
        "object": query.objects,
        "action": query.actions,
        "from": query.from.map(dto::instant),
        "to": query.to.map(dto::instant),
    })
}

struct Pages {
    state: ApiState,
    wanted: AuditQuery,
    /// Read, and not yet handed out; none after the last.
    page: Option<Page<AuditRow>>,
    header: bool,
}

impl Pages {
    /// The text of the next page. A store that fails now breaks the answer off, so that half a log
    /// does not look like a whole one.
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, StoreError> {
        let Some(page) = self.page.take() else { return Ok(None) };
        let mut text = if self.header { audit_header() } else { String::new() };
        self.header = false;
        text.extend(page.items.iter().map(audit_row));
        if page.next.is_some() {
            self.wanted.after = page.next;
            let next = self.state.store().audit(&self.wanted).await;
            self.page =
                Some(next.inspect_err(|error| tracing::error!(%error, "an export broke off"))?);
        }
        Ok(Some((text.into(), self)))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use crate::testing::World;

    #[tokio::test]
    async fn the_whole_log_is_exported_and_the_export_is_in_it() {
        let world = World::new();
        for _ in 0..250 {
            world.draft().await;
        }
        let answer = world.get("/api/audit/export?action=campaign.create").await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.headers["content-type"].to_str().unwrap().starts_with("text/csv"));
        let text = answer.text();
        assert!(text.starts_with("id,at,actor,action,object,old,new\r\n"), "{text}");
        assert_eq!(text.lines().count(), 251);
        let rows = world.get("/api/audit?action=audit.export").await;
        assert_eq!(rows.json["items"][0]["new"]["action"][0], "campaign.create");
        assert_eq!(world.get("/api/audit/export?limit=5").await.fields(), ["limit"]);
    }
}
