/// One row of CSV (RFC 4180, with CRLF), its cells defused.
pub(super) fn csv_row<S: AsRef<str>>(cells: impl IntoIterator<Item = S>) -> String {
    let mut row = String::new();
    for (index, cell) in cells.into_iter().enumerate() {
        if index > 0 {
            row.push(',');
        }
        push(&mut row, cell.as_ref());
    }
    row.push_str("\r\n");
    row
}

fn push(row: &mut String, cell: &str) {
    let defuse = if is_formula(cell) { "'" } else { "" };
    if !defuse.is_empty() || cell.contains([',', '"', '\r', '\n', ';', '\t', '|', '\'']) {
        row.push('"');
        row.push_str(defuse);
        row.push_str(&cell.replace('"', "\"\""));
        row.push('"');
    } else {
        row.push_str(cell);
    }
}

/// Whether a spreadsheet would run the cell. A phone number of digits alone only looks like it.
fn is_formula(cell: &str) -> bool {
    let starts = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    starts && !is_e164(cell)
}

fn is_e164(cell: &str) -> bool {
    cell.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
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
