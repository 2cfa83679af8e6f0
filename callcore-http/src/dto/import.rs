use callcore::import::ImportReport;
use callcore::port::Import;
use serde::Serialize;

/// An import and its report.
#[derive(Debug, Serialize)]
pub(crate) struct ImportDto {
    id: String,
    campaign_id: String,
    status: &'static str,
    file_name: String,
    #[serde(flatten)]
    report: ImportReport,
}

impl From<&Import> for ImportDto {
    fn from(import: &Import) -> Self {
        Self {
            id: import.id.to_string(),
            campaign_id: import.campaign.to_string(),
            status: import.status.as_str(),
            file_name: import.file_name.clone(),
            report: import.report.clone(),
        }
    }
}
