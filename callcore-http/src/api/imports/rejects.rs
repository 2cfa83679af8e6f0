//! `GET /api/imports/{id}/rejects.csv`: the refused rows as they were, to be mended and uploaded again.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use callcore::export::RejectExport;
use callcore::id::ImportId;
use callcore::import::Reject;
use callcore::port::{AuditEntry, By, StoreError};
use futures_util::stream;

use crate::auth::Viewer;
use crate::problem::Problem;
use crate::query::Query;
use crate::request::Id;
use crate::state::ApiState;

/// Rows read at once: what a reader who is slow keeps in memory. Each may be a MiB long.
const PAGE: u32 = 20;

pub(crate) async fn handle(
    State(state): State<ApiState>,
    Viewer(principal): Viewer,
    Id(id): Id<ImportId>,
    query: Query,
) -> Result<Response, Problem> {
    query.finish()?;
    let import = state.store().import(id).await?.ok_or_else(Problem::not_found)?;
    let first = state.store().rejects(id, None, PAGE).await?;
    let entry =
        AuditEntry { action: "import.rejects", object: id.to_string(), old: None, new: None };
    state.store().append_audit(By::new(&principal.actor, state.now()), entry).await?;
    let header = RejectExport::header(&import.columns);
    let pages = Pages { state, id, header: Some(header), rows: Some(first) };
    let body = Body::from_stream(stream::try_unfold(pages, Pages::next));
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"rejects-{id}.csv\"")),
    ];
    Ok((headers, body).into_response())
}

struct Pages {
    state: ApiState,
    id: ImportId,
    header: Option<String>,
    /// Read, and not yet handed out; none after the last.
    rows: Option<Vec<(u64, Reject)>>,
}

impl Pages {
    /// The text of the next page. A store that fails now breaks the answer off, so that half a list
    /// does not look like a whole one.
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, StoreError> {
        let Some(rows) = self.rows.take() else { return Ok(None) };
        let mut text = self.header.take().unwrap_or_default();
        text.extend(rows.iter().map(|(_, reject)| RejectExport::row(reject)));
        if let Some((place, _)) = rows.last() {
            let next = self.state.store().rejects(self.id, Some(*place), PAGE).await;
            let next = next.inspect_err(|error| tracing::error!(%error, "an export broke off"))?;
            self.rows = (!next.is_empty()).then_some(next);
        }
        Ok(Some((text.into(), self)))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use serde_json::json;

    use crate::testing::World;

    #[tokio::test]
    async fn every_refused_row_comes_back_and_goes_in_once_it_is_mended() {
        let world = World::new();
        let id = world.draft().await;
        let mut list = "Name,Phone,'=Sum\n".to_owned();
        for row in 0..250 {
            list.push_str(&format!("Client {row},55501{row:03},'=A{row}\n"));
        }
        let report = world.upload(&id, list.as_bytes()).await.json;
        assert_eq!(report["rejections"].as_array().unwrap().len(), 100);
        let path = format!("/api/imports/{}/rejects.csv", report["id"].as_str().unwrap());
        let answer = world.get(&path).await;
        assert!(answer.headers["content-type"].to_str().unwrap().starts_with("text/csv"));
        let text = answer.text();
        assert_eq!(text.lines().count(), 251);
        assert!(text.starts_with("callcore_line,callcore_reason,Name,Phone,\"'=Sum\"\r\n2,"));
        let mended = text.replace(",55501", ",2125501");
        let report = world.upload(&id, mended.as_bytes()).await.json;
        assert_eq!(
            (&report["accepted"], &report["rejected"]),
            (&json!(250), &json!(0)),
            "{report}"
        );
        let clients = world.get(&format!("/api/campaigns/{id}/clients?limit=1")).await.json;
        assert_eq!(
            clients["items"][0]["fields"],
            json!({"Name": "Client 0", "Phone": "2125501000", "=Sum": "=A0"})
        );
        assert!(world.audited("import.rejects").await);
        let nowhere = "/api/imports/0199aaaa-0000-7000-8000-000000000000/rejects.csv";
        assert_eq!(world.get(nowhere).await.status, StatusCode::NOT_FOUND);
    }
}
