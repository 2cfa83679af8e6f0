//! What fills a template's places: the columns of the uploaded list, and what every client has.

use crate::phone::PhoneNumber;

/// Fields that every client has, whatever the list's columns are.
pub const STANDARD_FIELDS: [&str; 7] =
    ["name", "first_name", "last_name", "phone", "email", "external_id", "campaign"];

/// Everything a template's places are filled from.
#[derive(Debug, Clone, Copy)]
pub struct ClientFields<'a> {
    /// What the person is called.
    pub name: &'a str,
    /// The number that is dialled.
    pub phone: Option<PhoneNumber>,
    /// Where the person reads mail.
    pub email: Option<&'a str>,
    /// The uploader's own id.
    pub external_id: Option<&'a str>,
    /// The campaign's name.
    pub campaign: &'a str,
    /// The uploaded columns and their cells.
    pub columns: &'a [(String, String)],
}

impl ClientFields<'_> {
    /// A field by its name, in whatever case and spelling: `First Name` is `first_name`. A column
    /// of the list counts before what callcore made of it, unless it is blank.
    #[must_use]
    pub fn value(&self, wanted: &str) -> Option<String> {
        let wanted = field_key(wanted);
        let mut cells = self.columns.iter().filter(|(column, _)| field_key(column) == wanted);
        let cell = cells.find(|(_, cell)| !cell.trim().is_empty());
        cell.map(|(_, cell)| cell.clone()).or_else(|| self.standard(&wanted))
    }

    fn standard(&self, wanted: &str) -> Option<String> {
        let mut words = self.name.split_whitespace();
        let text = match wanted {
            "name" => Some(self.name.to_owned()),
            "first_name" => words.next().map(str::to_owned),
            // A single word is a given name.
            "last_name" => words.nth(1).and(self.name.split_whitespace().last()).map(str::to_owned),
            "phone" => self.phone.map(|phone| phone.to_string()),
            "email" => self.email.map(str::to_owned),
            "external_id" => self.external_id.map(str::to_owned),
            "campaign" => Some(self.campaign.to_owned()),
            _ => None,
        };
        text.filter(|text| !text.trim().is_empty())
    }
}

/// A field's or column's name as names are compared.
#[must_use]
pub fn field_key(name: &str) -> String {
    name.trim().to_lowercase().replace([' ', '-', '.'], "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(columns: &[(String, String)]) -> ClientFields<'_> {
        ClientFields {
            name: "Ada King Lovelace",
            phone: "+12125550123".parse().ok(),
            email: Some("ada@example.com"),
            external_id: None,
            campaign: "Renewals",
            columns,
        }
    }

    #[test]
    fn every_client_has_the_standard_fields() {
        let value = |name| fields(&[]).value(name).unwrap_or_default();
        let values = STANDARD_FIELDS.map(value);
        let expected = ["Ada King Lovelace", "Ada", "Lovelace", "+12125550123", "ada@example.com"];
        assert_eq!(values[..5], expected);
        assert_eq!(values[5..], ["", "Renewals"]);
        let one_word = ClientFields { name: "Ada", ..fields(&[]) };
        assert_eq!((one_word.value("last_name"), one_word.value("city")), (None, None));
    }

    #[test]
    fn a_column_is_found_in_whatever_spelling_and_counts_first_unless_it_is_blank() {
        let cell = |column: &str, cell: &str| (column.to_owned(), cell.to_owned());
        let columns =
            [cell("First Name", "Augusta"), cell("E-Mail", " "), cell("Renewal.Date", "May 1")];
        let fields = fields(&columns);
        for name in ["First Name", "first_name", " FIRST-NAME "] {
            assert_eq!(fields.value(name).as_deref(), Some("Augusta"), "{name}");
        }
        assert_eq!(fields.value("renewal date").as_deref(), Some("May 1"));
        assert_eq!(fields.value("email").as_deref(), Some("ada@example.com"));
        assert_eq!(fields.value("e mail"), None, "blank is absent");
    }
}
