//! Stretches of time as a form has them: a number and its unit.

use callcore::campaign::FieldError;

use super::super::form::{Choice, Form};

const UNITS: [(&str, &str, u32); 4] = [
    ("days", "days", 86_400),
    ("hours", "hours", 3_600),
    ("minutes", "minutes", 60),
    ("seconds", "seconds", 1),
];

/// A number and its unit, as somebody wrote them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wait {
    pub(super) number: String,
    unit: String,
}

impl Wait {
    /// Nothing yet.
    pub(super) fn none(unit: &str) -> Self {
        Self { number: String::new(), unit: unit.to_owned() }
    }

    /// In its largest whole unit; a day is shown in hours, as rules are told.
    pub(super) fn of(seconds: u32) -> Self {
        let whole = |(unit, _, size): &&(&str, &str, u32)| {
            seconds.is_multiple_of(*size) && (*unit != "days" || seconds > *size)
        };
        let (unit, _, size) = UNITS.iter().find(whole).unwrap_or(&UNITS[3]);
        Self { number: (seconds / size).to_string(), unit: (*unit).to_owned() }
    }

    pub(super) fn read(form: &Form, name: &str) -> Self {
        let unit = form.text(&format!("{name}_unit")).to_owned();
        Self { number: form.text(&format!("{name}_number")).to_owned(), unit }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.number.is_empty()
    }

    pub(super) fn units(&self) -> Vec<Choice> {
        let choice =
            |(unit, label, _): &(&str, &str, u32)| Choice::new(unit, *label, *unit == self.unit);
        UNITS.iter().map(choice).collect()
    }

    /// As settings write it.
    pub(super) fn iso(&self, field: &str, errors: &mut Vec<FieldError>) -> String {
        let number = self.number.parse::<u32>().unwrap_or_default();
        if number == 0 {
            errors.push(FieldError::new(field, "invalid", "must be a whole number from 1"));
        }
        match &*self.unit {
            "days" => format!("P{number}D"),
            "minutes" => format!("PT{number}M"),
            "seconds" => format!("PT{number}S"),
            _ => format!("PT{number}H"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_reads_back_in_its_largest_whole_unit() {
        for (seconds, number, iso) in [
            (604_800, "7", "P7D"),
            (86_400, "24", "PT24H"),
            (14_400, "4", "PT4H"),
            (5_400, "90", "PT90M"),
            (61, "61", "PT61S"),
        ] {
            let wait = Wait::of(seconds);
            assert_eq!(wait.number, number);
            assert_eq!(wait.iso("x", &mut Vec::new()), iso);
        }
        let mut errors = Vec::new();
        Wait::none("hours").iso("x", &mut errors);
        assert_eq!(errors[0].field, "x");
    }
}
