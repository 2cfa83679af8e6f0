//! What a column holds, by its name.

/// What a client's field a column can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Phone,
    Name,
    FirstName,
    LastName,
    TimeZone,
    Tags,
    Notes,
    Email,
    ExternalId,
    Consent,
    /// Of lists of numbers not to call: the area code apart from the rest.
    Area,
    Reason,
    /// Whether a row adds a number or takes it off.
    Change,
}

/// The column that holds `field`, if one is named like it and is not among `taken`.
///
/// The names are tried best first, so that `Mobile` wins over an earlier `Number`.
pub(super) fn guess(headers: &[String], field: Field, taken: &[usize]) -> Option<usize> {
    let names: Vec<String> = headers.iter().map(|header| normal(header)).collect();
    let free = |index: &usize| !taken.contains(index);
    let exact = names_of(field)
        .split('|')
        .find_map(|wanted| (0..names.len()).filter(free).find(|&index| names[index] == wanted));
    exact.or_else(|| match field {
        Field::Phone => {
            (0..names.len()).filter(free).find(|&index| speaks_of_phones(&names[index]))
        }
        _ => None,
    })
}

/// The column called `name`: so spelled, or else but for case, accents and punctuation.
pub(super) fn named(headers: &[String], name: &str) -> Option<usize> {
    let wanted = normal(name);
    headers.iter().position(|header| header == name).or_else(|| {
        headers.iter().position(|header| header.trim() == name.trim() || normal(header) == wanted)
    })
}

/// Normal names, best first, with a bar between.
fn names_of(field: Field) -> &'static str {
    match field {
        Field::Phone => {
            "phone|phone number|phone no|mobile|mobile no|mobile number|mobile phone|\
            mobile phone number|cell|cell phone|cell number|cell phone number|cellphone|\
            telephone|telephone number|telephone no|tel|tel no|tel number|phonenumber|\
            mobilenumber|e164|msisdn|contact number|contact phone|phone 1|primary phone|\
            main phone|telefono|telefono movil|movil|celular|numero de telefono|telefon|\
            telefonnummer|mobil|mobilnummer|handy|handynummer|rufnummer|telefone|telemovel|\
            numero de telefone|mobile telephone|portable|numero de telephone|cellulare|\
            numero di telefono|telefoon|telefoonnummer|mobiel|puhelin|puhelinnumero|\
            telefonszam|telefon numarasi|numer telefonu|telefonni cislo|телефон|\
            номер телефона|電話番号|电话|手机|home phone|work phone|number|numero|nummer"
        }
        Field::Name => {
            "name|full name|fullname|customer name|client name|contact name|customer|client|\
            contact|lead|lead name|patient|patient name|member|nombre completo|nombre|\
            nom complet|nome completo|nome|kunde|kundenname|vollstandiger name|naam|cliente|\
            имя|姓名|氏名"
        }
        Field::FirstName => {
            "first name|firstname|first|given name|givenname|forename|vorname|prenom|\
            primer nombre|primeiro nome|voornaam|fornamn|fornavn"
        }
        Field::LastName => {
            "last name|lastname|last|surname|family name|familyname|nachname|familienname|\
            nom de famille|nom|apellido|apellidos|sobrenome|cognome|achternaam|efternamn|\
            etternavn|efternavn"
        }
        Field::TimeZone => {
            "time zone|timezone|tz|time zone name|iana time zone|zeitzone|zona horaria|\
            huso horario|fuseau horaire|fuso horario|tijdzone"
        }
        Field::Tags => "tags|tag|labels|label|etiquetas|etiketten|schlagworte|etiquettes",
        Field::Notes => {
            "notes|note|comments|comment|remarks|remark|notas|notizen|bemerkung|bemerkungen|\
            kommentar|comentarios|observaciones|observacoes|commentaires|remarques|opmerkingen"
        }
        Field::Email => {
            "email|e mail|email address|e mail address|mail|correo|correo electronico|courriel|\
            e mail adresse|emailadresse"
        }
        Field::ExternalId => {
            "external id|externalid|customer id|client id|contact id|record id|crm id|\
            customer number|reference|ref|kundennummer|id"
        }
        Field::Area => "area code|areacode|area|npa",
        Field::Reason => {
            "reason|cause|note|notes|comment|comments|remark|remarks|motivo|motif|grund|razon"
        }
        Field::Change => {
            "change|action|change type|add delete|a d|operation|transaction|transaction type"
        }
        Field::Consent => {
            "consent|consent basis|consent given|opt in|optin|opted in|consentimiento|\
            consentement|consentimento|einwilligung|toestemming"
        }
    }
}

/// For `Phone 1 - Value`, `Teléfono (casa)`; not for `Phone type` and other company of a number.
fn speaks_of_phones(name: &str) -> bool {
    const PHONES: &str = "\
        phone|phones|mobile|cell|cellphone|telephone|tel|telefono|telefon|telefone|movil|\
        celular|handy|telefonnummer|phonenumber|msisdn";
    const COMPANY: &str = "\
        type|label|ext|extension|country|code|carrier|provider|model|fax|verified|valid|\
        consent|opt|ok|notes|note|zone|date|status|count";
    let has = |words: &str| name.split(' ').any(|word| words.split('|').any(|known| known == word));
    has(PHONES) && !has(COMPANY)
}

/// A name's letters and digits: no case, no accents, one space for anything between.
fn normal(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for letter in name.chars().flat_map(char::to_lowercase) {
        match letter {
            letter if letter.is_alphanumeric() => out.push(plain(letter)),
            // Marks on the letter before it, and what can't be seen.
            '\u{300}'..='\u{36f}' | '\u{feff}' | '\u{200b}'..='\u{200f}' => {}
            _ if out.ends_with(' ') => {}
            _ => out.push(' '),
        }
    }
    out.trim().to_owned()
}

const fn plain(letter: char) -> char {
    match letter {
        'à'..='å' | 'ā' | 'ą' => 'a',
        'ç' | 'ć' | 'č' => 'c',
        'è'..='ë' | 'ē' | 'ę' | 'ě' => 'e',
        'ì'..='ï' | 'ī' | 'ı' => 'i',
        'ñ' | 'ń' | 'ň' => 'n',
        'ò'..='ö' | 'ø' | 'ō' => 'o',
        'ś' | 'š' => 's',
        'ù'..='ü' | 'ū' | 'ů' => 'u',
        'ý' | 'ÿ' => 'y',
        'ź' | 'ż' | 'ž' => 'z',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phone_of(headers: &[&str]) -> Option<usize> {
        let headers: Vec<String> = headers.iter().map(|name| (*name).to_owned()).collect();
        guess(&headers, Field::Phone, &[])
    }

    #[test]
    fn the_phone_column_is_found_as_people_name_it() {
        for name in [
            "Phone",
            "PHONE NUMBER",
            "phone_number",
            "Mobile No.",
            "cell",
            "Tel.",
            "Tel #",
            "Número de teléfono",
            "NÚMERO",
            "Téléphone",
            "Telefon-Nr.",
            "Phone 1 - Value",
            "Customer Phone",
            "\u{feff}Phone",
        ] {
            assert_eq!(phone_of(&["Customer", name]), Some(1), "{name}");
        }
    }

    #[test]
    fn what_keeps_a_phone_number_company_is_not_taken_for_it() {
        assert_eq!(phone_of(&["Phone 1 - Type", "Phone 1 - Value"]), Some(1));
        assert_eq!(phone_of(&["Phone time zone", "Fax", "Phone notes", "Age"]), None);
        assert_eq!(phone_of(&["Number", "Home phone", "Mobile"]), Some(2));
    }

    #[test]
    fn a_name_is_found_in_any_spelling_and_the_exact_one_first() {
        let headers = ["phone".to_owned(), "Phone".to_owned(), String::new()];
        assert_eq!(named(&headers, "Phone"), Some(1));
        assert_eq!(named(&headers, " PHONE"), Some(0));
        assert_eq!(named(&headers, "Telephone"), None);
    }
}
