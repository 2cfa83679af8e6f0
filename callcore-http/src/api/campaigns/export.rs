//! `GET /api/campaigns/{id}/export`: all clients as CSV, in the order they came in.

use axum::extract::State;
use axum::response::Response;
use callcore::export::ClientExport;
use callcore::id::CampaignId;
use callcore::port::{AuditEntry, By, ExportRow, StoreError};
use serde_json::json;

use super::existing;
use crate::auth::Viewer;
use crate::download::{self, PAGE};
use crate::problem::Problem;
use crate::query::Query;
use crate::request::Id;
use crate::state::ApiState;

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
    let entry = AuditEntry {
        action: "campaign.export",
        object: id.to_string(),
        old: None,
        new: (!tags.is_empty()).then(|| json!({"tags": tags})),
    };
    state.store().append_audit(By::new(&principal.actor, state.now()), entry).await?;
    let header = export.header();
    let pages = Pages { state, id, export, tags, after: None };
    Ok(download::csv(&format!("clients-{id}.csv"), header, pages).await?)
}

struct Pages {
    state: ApiState,
    id: CampaignId,
    export: ClientExport,
    tags: Vec<String>,
    /// The place of the last row read.
    after: Option<u64>,
}

impl download::Pages for Pages {
    async fn next(&mut self) -> Result<Option<String>, StoreError> {
        let rows = self.state.store().export_clients(self.id, self.after, PAGE).await?;
        let Some(last) = rows.last() else { return Ok(None) };
        self.after = Some(last.place);
        let wanted = rows.iter().filter(|row| self.wants(row));
        Ok(Some(wanted.filter_map(|row| self.export.row(row)).collect()))
    }
}

impl Pages {
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
