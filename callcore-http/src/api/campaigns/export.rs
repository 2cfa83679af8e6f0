//! `GET /api/campaigns/{id}/export`: all clients as CSV, a page of rows at a time.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use callcore::export::ClientExport;
use callcore::id::CampaignId;
use callcore::port::{AuditEntry, By, ExportRow, StoreError};
use futures_util::stream;
use serde_json::json;

use super::existing;
use crate::auth::Viewer;
use crate::problem::Problem;
use crate::query::Query;
use crate::request::Id;
use crate::state::ApiState;

/// Rows read at once: what a reader who is slow keeps in memory.
const PAGE: u32 = 200;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Viewer(principal): Viewer,
    Id(id): Id<CampaignId>,
    mut query: Query,
) -> Result<Response, Problem> {
    let tags = query.texts("tag");
    query.finish()?;
    existing(&state, id).await?;
    let export = ClientExport::new(&state.store().imports(id).await?);
    let first = state.store().export_clients(id, None, PAGE).await?;
    let entry = AuditEntry {
        action: "campaign.export",
        object: id.to_string(),
        old: None,
        new: (!tags.is_empty()).then(|| json!({"tags": tags})),
    };
    state.store().append_audit(By::new(&principal.actor, state.now()), entry).await?;
    let pages = Pages { state, id, export, tags, rows: Some(first), header: true };
    let body = Body::from_stream(stream::try_unfold(pages, Pages::next));
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"clients-{id}.csv\"")),
    ];
    Ok((headers, body).into_response())
}

struct Pages {
    state: ApiState,
    id: CampaignId,
    export: ClientExport,
    tags: Vec<String>,
    /// Read, and not yet handed out; none after the last.
    rows: Option<Vec<ExportRow>>,
    header: bool,
}

impl Pages {
    /// The text of the next page. A store that fails now breaks the answer off, so that half a list
    /// does not look like a whole one.
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, StoreError> {
        let Some(rows) = self.rows.take() else { return Ok(None) };
        let mut text = if self.header { self.export.header() } else { String::new() };
        self.header = false;
        for row in rows.iter().filter(|row| self.wants(row)) {
            text.push_str(&self.export.row(row));
        }
        if let Some(last) = rows.last() {
            let next = self.state.store().export_clients(self.id, Some(last.place), PAGE).await;
            let next = next.inspect_err(|error| tracing::error!(%error, "an export broke off"))?;
            self.rows = (!next.is_empty()).then_some(next);
        }
        Ok(Some((text.into(), self)))
    }

    fn wants(&self, row: &ExportRow) -> bool {
        self.tags.is_empty() || self.tags.iter().any(|tag| row.client.tags.contains(tag))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use crate::testing::World;

    #[tokio::test]
    async fn every_client_is_exported_with_its_columns_and_the_read_is_audited() {
        let world = World::new();
        let id = world.loaded(1_201).await;
        let answer = world.get(&format!("/api/campaigns/{id}/export")).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.headers["content-type"].to_str().unwrap().starts_with("text/csv"));
        let text = answer.text();
        assert!(text.starts_with("Name,Phone,Tags,callcore_client_id,callcore_phone,status"));
        assert_eq!(text.lines().count(), 1_202);
        assert!(world.audited("campaign.export").await);
    }

    #[tokio::test]
    async fn a_tag_lets_only_its_clients_pass() {
        let world = World::new();
        let id = world.loaded(4).await;
        let text = world.get(&format!("/api/campaigns/{id}/export?tag=even")).await.text();
        assert_eq!(text.lines().count(), 3);
        let nowhere = "/api/campaigns/0199aaaa-0000-7000-8000-000000000000/export";
        assert_eq!(world.get(nowhere).await.status, StatusCode::NOT_FOUND);
    }
}
