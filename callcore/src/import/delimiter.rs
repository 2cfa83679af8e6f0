//! Which sign stands between cells.

use super::Mapping;
use super::mapping::Layout;

/// How many records tell.
const SAMPLE: usize = 20;

/// The delimiter of a file that starts with `start`: comma, semicolon, tab or bar, or what a
/// `sep=` line says.
///
/// The best one is the one under which the columns make sense, then the one that cuts rows into
/// as many cells as there are column names, then the one that cuts them finest.
pub(super) fn find(start: &str, mapping: &Mapping) -> u8 {
    if let Some(named) = named(start) {
        return named;
    }
    let mut best = (b',', Score::default());
    for delimiter in [b',', b';', b'\t', b'|'] {
        let score = Score::of(start, delimiter, mapping);
        if score > best.1 {
            best = (delimiter, score);
        }
    }
    best.0
}

fn named(start: &str) -> Option<u8> {
    let line = start.lines().next()?.trim_matches('"');
    match line.as_bytes() {
        [s, e, p, b'=', sign] if [*s, *e, *p].eq_ignore_ascii_case(b"sep") => {
            Some(*sign).filter(|sign| sign.is_ascii() && !sign.is_ascii_alphanumeric())
        }
        _ => None,
    }
}

/// Compared from the first field to the last.
#[derive(Default, PartialEq, PartialOrd)]
struct Score {
    columns_make_sense: bool,
    cuts: bool,
    even_share: f32,
    columns: usize,
}

impl Score {
    fn of(start: &str, delimiter: u8, mapping: &Mapping) -> Self {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .from_reader(start.as_bytes());
        let mut records = reader.records().filter_map(Result::ok);
        let Some(header) = records.next() else { return Self::default() };
        let names: Vec<String> = header.iter().map(str::to_owned).collect();
        let (mut even, mut all) = (0_u8, 0_u8);
        for record in records.take(SAMPLE) {
            all += 1;
            even += u8::from(record.len() == header.len());
        }
        Self {
            columns_make_sense: Layout::new(&names, mapping).is_ok(),
            cuts: names.len() > 1,
            even_share: f32::from(even) / f32::from(all.max(1)),
            columns: names.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delimiter_is_found_whatever_stands_in_quotes() {
        for (start, delimiter) in [
            ("Phone,Name\n2125550123,Ada\n", b','),
            ("Phone;Name\n2125550123;\"a, b, c, d\"\n", b';'),
            ("Phone\tName\n2125550123\tLovelace, Ada; x\n", b'\t'),
            ("Phone|Name\r2125550123|Lovelace, Ada\r", b'|'),
            ("\"Name, title\";Phone\n\"Ada, Dr\";2125550123\n", b';'),
            ("Phone\n2125550123\n", b','),
            ("Phone;Amount\n2125550123;1,50\n2125550124;2,50\n", b';'),
            ("sep=;\r\nPhone;A,B,C\r\n", b';'),
            ("", b','),
        ] {
            assert_eq!(find(start, &Mapping::default()), delimiter, "{start:?}");
        }
    }
}
