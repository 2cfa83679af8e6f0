use chrono::SecondsFormat;
use serde_json::Value;

use super::csv_row::csv_row;
use crate::port::AuditRow;

/// The columns of the audit log's export.
pub const AUDIT_COLUMNS: [&str; 7] = ["id", "at", "actor", "action", "object", "old", "new"];

/// The first line of the audit log's export.
#[must_use]
pub fn audit_header() -> String {
    csv_row(AUDIT_COLUMNS)
}

/// A row of the audit log as a line of CSV; old and new values are JSON.
#[must_use]
pub fn audit_row(row: &AuditRow) -> String {
    let value = |value: &Option<Value>| value.as_ref().map(Value::to_string).unwrap_or_default();
    csv_row([
        row.id.to_string(),
        row.at.to_rfc3339_opts(SecondsFormat::AutoSi, true),
        row.actor.to_string(),
        row.action.clone(),
        row.object.clone(),
        value(&row.old),
        value(&row.new),
    ])
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::actor::Actor;
    use crate::id::AuditId;

    #[test]
    fn a_row_is_told_whole_and_runs_in_no_spreadsheet() {
        let row = AuditRow {
            id: AuditId::from_uuid(Uuid::from_u128(7)),
            actor: Actor::User("ana".to_owned()),
            at: "2026-11-23T15:00:00.5Z".parse().unwrap(),
            action: "dnc.add".to_owned(),
            object: "=HYPERLINK(\"x\")".to_owned(),
            old: None,
            new: Some(json!({"reason": "asked, twice"})),
        };
        assert_eq!(audit_header(), "id,at,actor,action,object,old,new\r\n");
        assert_eq!(
            audit_row(&row),
            "00000000-0000-0000-0000-000000000007,2026-11-23T15:00:00.500Z,user:ana,dnc.add,\
             \"'=HYPERLINK(\"\"x\"\")\",,\"{\"\"reason\"\":\"\"asked, twice\"\"}\"\r\n"
        );
    }
}
