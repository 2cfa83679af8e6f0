use crate::formula::defused;

/// One row of CSV (RFC 4180, with CRLF), its cells defused.
pub(super) fn csv_row<S: AsRef<str>>(cells: impl IntoIterator<Item = S>) -> String {
    let mut row = String::new();
    for (index, cell) in cells.into_iter().enumerate() {
        if index > 0 {
            row.push(',');
        }
        push(&mut row, &defused(cell.as_ref()));
    }
    row.push_str("\r\n");
    row
}

/// Signs that some reader may take for the end of a cell, for a quote, or for the mark of an
/// encoding.
const TO_QUOTE: [char; 9] = [',', '"', '\r', '\n', ';', '\t', '|', '\'', '\u{feff}'];

fn push(row: &mut String, cell: &str) {
    if cell.contains(TO_QUOTE) {
        row.push('"');
        row.push_str(&cell.replace('"', "\"\""));
        row.push('"');
    } else {
        row.push_str(cell);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_spreadsheet_would_run_gets_one_quote_and_a_number_none() {
        let cells = ["=1+1", "+12125550123", "+1-2", "-5", "@x", "\tx", "plain", "it's", "+1"];
        assert_eq!(
            csv_row(cells),
            "\"'=1+1\",+12125550123,\"'+1-2\",\"'-5\",\"'@x\",\"'\tx\",plain,\"it's\",\"'+1\"\r\n"
        );
    }

    #[test]
    fn quotes_and_line_breaks_stay_in_their_cell() {
        assert_eq!(csv_row(["a\"b", "c\r\nd", ""]), "\"a\"\"b\",\"c\r\nd\",\r\n");
    }
}
