use callcore::id::CampaignId;
use callcore::import::ImportReport;
use callcore::port::{Import, ImportStatus, Undone};
use serde::Serialize;

/// An import and its report. A dry run is none, and so it has no id.
#[derive(Debug, Serialize)]
pub(crate) struct ImportDto {
    id: Option<String>,
    campaign_id: String,
    status: &'static str,
    file_name: String,
    #[serde(skip_serializing_if = "is_false")]
    dry_run: bool,
    #[serde(flatten)]
    report: ImportReport,
}

impl ImportDto {
    /// What an import would come to.
    pub(crate) fn dry_run(
        campaign: CampaignId,
        file_name: &str,
        status: ImportStatus,
        report: ImportReport,
    ) -> Self {
        Self {
            id: None,
            campaign_id: campaign.to_string(),
            status: status.as_str(),
            file_name: file_name.to_owned(),
            dry_run: true,
            report,
        }
    }
}

impl From<&Import> for ImportDto {
    fn from(import: &Import) -> Self {
        Self {
            id: Some(import.id.to_string()),
            campaign_id: import.campaign.to_string(),
            status: import.status.as_str(),
            file_name: import.file_name.clone(),
            dry_run: false,
            report: import.report.clone(),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// An import that was taken back.
#[derive(Debug, Serialize)]
pub(crate) struct UndoneDto {
    #[serde(flatten)]
    import: ImportDto,
    removed: u64,
    kept: u64,
    detail: String,
}

impl From<&Undone> for UndoneDto {
    fn from(undone: &Undone) -> Self {
        let updated = undone.import.report.updated;
        let stays = match updated {
            0 => String::new(),
            _ => format!("; the {updated} rows that updated clients are not taken back"),
        };
        let (removed, kept) = (undone.removed, undone.kept);
        Self {
            import: ImportDto::from(&undone.import),
            removed,
            kept,
            detail: format!("{removed} clients removed, {kept} kept that were called{stays}"),
        }
    }
}
