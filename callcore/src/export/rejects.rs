use super::csv_row::csv_row;
use crate::import::{OURS, Reject};

/// The refused rows of an import as CSV: the line and the reason, then the file's own columns as
/// they were. Mended, the file can be uploaded as it is; the first two columns are ignored then.
///
/// Ours come first, because a row may have more cells than there are columns.
#[derive(Debug, Clone)]
pub struct RejectExport;

impl RejectExport {
    /// The row of column names; `columns` are those of the file.
    #[must_use]
    pub fn header(columns: &[String]) -> String {
        csv_row(OURS.into_iter().chain(columns.iter().map(String::as_str)))
    }

    /// A refused row.
    #[must_use]
    pub fn row(reject: &Reject) -> String {
        let rejection = &reject.rejection;
        let reason = format!("{}: {}", rejection.column, rejection.message);
        let ours = [rejection.line.to_string(), reason];
        csv_row(ours.iter().chain(&reject.cells))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::{ImportReport, Importer, Mapping, Parsed};
    use crate::phone::Region;

    fn rejected(file: &str) -> (Vec<String>, Vec<Reject>) {
        let importer = Importer::new(file.as_bytes(), Region::US, &Mapping::default()).unwrap();
        let columns = importer.columns().to_vec();
        let rejects = importer.filter_map(|parsed| match parsed.unwrap() {
            Parsed::Rejected(reject) => Some(reject),
            Parsed::Accepted(_) | Parsed::Duplicate(..) => None,
        });
        (columns, rejects.collect())
    }

    fn export(file: &str) -> String {
        let (columns, rejects) = rejected(file);
        let rows: String = rejects.iter().map(RejectExport::row).collect();
        RejectExport::header(&columns) + &rows
    }

    const FILE: &str = "'=Formula,Phone,Note,Note,\n\
        '=1+1,555-01,'tis,\"a,b\n\"\"c\"\"\",x\n\
        -5,,\"\u{202e}x\",'@z,\n\
        1,2125550123,,,,extra\n\
        ''=2,+1212555012345678,,,\n";

    #[test]
    fn refused_rows_come_back_as_they_were_with_line_and_reason() {
        assert_eq!(
            export(FILE),
            "callcore_line,callcore_reason,\"'=Formula\",Phone,Note,Note,\r\n\
             2,Phone: not a valid phone number,\"'=1+1\",555-01,\"'tis\",\"a,b\n\"\"c\"\"\",x\r\n\
             4,Phone: no phone number,\"'-5\",,\u{202e}x,\"'@z\",\r\n\
             5,\"column 6: the row has 6 cells, but there are 5 columns\",1,2125550123,,,,extra\r\n\
             6,Phone: not a valid phone number,\"''=2\",\"'+1212555012345678\",,,\r\n"
        );
    }

    #[test]
    fn uploading_them_again_refuses_the_same_rows_and_takes_those_that_were_mended() {
        let (columns, first) = rejected(FILE);
        let (again, second) = rejected(&export(FILE));
        assert_eq!(again, columns, "our columns are not among them");
        let cells = |rejects: &[Reject]| -> Vec<Vec<String>> {
            rejects.iter().map(|reject| reject.cells.clone()).collect()
        };
        assert_eq!(cells(&second), cells(&first));
        let mended = export(FILE).replace("555-01,", "212-555-0101,").replace(",,extra", ",extra");
        let importer = Importer::new(mended.as_bytes(), Region::US, &Mapping::default()).unwrap();
        let (mut report, mut rows) = (ImportReport::default(), Vec::new());
        for parsed in importer {
            match parsed.unwrap() {
                Parsed::Accepted(row) => rows.push(row),
                Parsed::Rejected(reject) => report.count_rejected(reject.rejection),
                Parsed::Duplicate(..) => panic!("nobody is in it twice"),
            }
        }
        assert_eq!((rows.len(), report.rejected), (2, 2));
        assert_eq!(rows[0].fields, ["=1+1", "212-555-0101", "'tis", "a,b\n\"c\"", "x"]);
        assert_eq!(rows[1].fields, ["1", "2125550123", "", "", "extra"]);
    }
}
