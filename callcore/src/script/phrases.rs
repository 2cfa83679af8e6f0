//! The engine's own words in a call: what is said beside the script, in the script's language.
//!
//! A recorded message has to say how to opt out (47 CFR 64.1200(b)(3)): [`announcement`] is said
//! where a script has such a key and does not name it itself.

use super::{Key, KeyAction, Rendered};

/// Words of the engine's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phrase {
    /// To somebody whose opt-out is stored: the call is over.
    OptedOut,
    /// To somebody who was to be handed to a person whom nobody reached.
    NobodyThere,
    /// To somebody who calls back and for whom there is no script.
    CalledBack,
    /// To somebody who pressed a key after the last step.
    Goodbye,
}

/// Words, and the language of the voice that says them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spoken {
    /// The words.
    pub text: String,
    /// Their language as a BCP 47 tag.
    pub language: String,
}

/// A phrase in a language; in English, with an English voice, where the engine does not speak it.
#[must_use]
pub fn phrase(phrase: Phrase, language: &str) -> Spoken {
    let words = |words: &Words| {
        let text = match phrase {
            Phrase::OptedOut => words.opted_out,
            Phrase::NobodyThere => words.nobody_there,
            Phrase::CalledBack => words.called_back,
            Phrase::Goodbye => words.goodbye,
        };
        text.to_owned()
    };
    spoken(language, words)
}

/// That a key ends these calls, where the script has such a key and no text of it names it; in
/// `language`, as [`phrase`] is.
#[must_use]
pub fn announcement<'a>(
    keys: impl IntoIterator<Item = (&'a Key, &'a KeyAction)>,
    steps: &[Rendered],
    language: &str,
) -> Option<Spoken> {
    let (key, _) = keys.into_iter().find(|(_, action)| **action == KeyAction::OptOut)?;
    let is_named = |step: &Rendered| match step {
        Rendered::Say { text, language } => names(text, language, *key),
        // What an audio says is not known; whoever recorded it knows the key.
        Rendered::Play(_) => true,
        Rendered::Connect { .. } | Rendered::Transfer(_) | Rendered::Record(_) => false,
    };
    if steps.iter().any(is_named) {
        return None;
    }
    let place = place(*key);
    Some(spoken(language, |words| words.announcement.replace("{key}", words.keys[place])))
}

/// Whether a text says to press a key, by its sign or in words: as what is pressed, or as one more
/// that is, for a nine may also be an hour. In doubt it does not: what is announced twice does less
/// harm than what is not announced. In a language that is not spoken here the sign is enough.
#[must_use]
pub fn names(text: &str, language: &str, key: Key) -> bool {
    let own = words_of(language);
    let text = text.to_lowercase();
    text.split(['.', '!', '?', ';', '\n']).any(|sentence| {
        let named = |words: &Words| says_to_press(sentence, words, key);
        named(&ENGLISH) || own.map_or_else(|| has_sign(sentence, key), named)
    })
}

/// Words that may stand before one more key: "1 to confirm, or the 9 to stop".
const JOINING: [&str; 14] =
    ["or", "and", "o", "u", "y", "e", "ed", "ou", "et", "oder", "und", "of", "en", "ni"];
/// Words that may stand between those and the key.
const ARTICLES: [&str; 14] = [
    "the", "el", "la", "il", "lo", "le", "a", "die", "den", "der", "de", "het", "number", "número",
];

/// Whether a sentence in lower case tells to press a key.
fn says_to_press(sentence: &str, words: &Words, key: Key) -> bool {
    let presses = |part: &str| words.press.iter().any(|stem| part.starts_with(stem));
    if !sentence.split(|c| !is_part(c)).any(presses) {
        return false;
    }
    let is_said = |part: &str, digits: &str| digits.split(' ').any(|word| word == part);
    let is_sign = |part: &str| part.chars().count() == 1 && Key::try_from(part.to_owned()).is_ok();
    let is_key = |part: &str| is_sign(part) || words.digits.iter().any(|it| is_said(part, it));
    let is_wanted =
        |part: &str| is_said(part, words.digits[place(key)]) || part.chars().eq([key.digit()]);
    // What is pressed is the first key after a word for pressing, or right before it.
    let mut pressing = false;
    for (index, clause) in sentence.split([',', ':', '(']).enumerate() {
        // Whoever lists keys begins with them: "1 to confirm, 9 to stop".
        let (mut one_more, mut last) = (index > 0, "");
        for part in clause.split(|c| !is_part(c)).filter(|part| !part.is_empty()) {
            if presses(part) {
                if is_wanted(last) {
                    return true;
                }
                (pressing, one_more) = (true, false);
            } else if is_key(part) {
                if is_wanted(part) && (pressing || one_more) {
                    return true;
                }
                (pressing, one_more) = (false, false);
            } else if JOINING.contains(&part) {
                // "Between 8 and 9" is no list of keys.
                one_more = !is_key(last);
            } else {
                one_more = one_more && ARTICLES.contains(&part);
            }
            last = part;
        }
    }
    false
}

fn has_sign(sentence: &str, key: Key) -> bool {
    sentence.split(|c| !is_part(c)).any(|part| part.chars().eq([key.digit()]))
}

fn is_part(c: char) -> bool {
    c.is_alphanumeric() || c == '*' || c == '#'
}

fn spoken(language: &str, text: impl Fn(&Words) -> String) -> Spoken {
    match words_of(language) {
        Some(words) => Spoken { text: text(words), language: language.to_owned() },
        None => Spoken { text: text(&ENGLISH), language: super::DEFAULT_LANGUAGE.to_owned() },
    }
}

/// The words of the language of a BCP 47 tag, or of its country.
fn words_of(language: &str) -> Option<&'static Words> {
    let tag = language.to_lowercase().replace('_', "-");
    let is_of = |words: &&Words| {
        tag.strip_prefix(words.tag).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    SPOKEN.iter().copied().find(is_of)
}

/// Where a key stands in each language's lists: `0` to `9`, `*`, `#`.
fn place(key: Key) -> usize {
    match key.digit() {
        '*' => 10,
        '#' => 11,
        digit => digit.to_digit(10).map_or(11, |digit| digit as usize),
    }
}

/// What is said in a language.
struct Words {
    tag: &'static str,
    announcement: &'static str,
    opted_out: &'static str,
    nobody_there: &'static str,
    called_back: &'static str,
    goodbye: &'static str,
    /// The keys as the announcement names them.
    keys: [&'static str; 12],
    /// The keys as scripts name them, in one word each, in lower case.
    digits: [&'static str; 12],
    /// How words for pressing a key begin, in lower case.
    press: &'static [&'static str],
}

/// The languages that are spoken; that of a country stands before the language itself.
static SPOKEN: [&Words; 8] =
    [&ENGLISH, &SPANISH, &FRENCH, &GERMAN, &ITALIAN, &EUROPEAN_PORTUGUESE, &PORTUGUESE, &DUTCH];

static ENGLISH: Words = Words {
    tag: "en",
    announcement: "To stop these calls, press {key} at any time.",
    opted_out: "You will not be called again. Goodbye.",
    nobody_there: "Nobody can take your call right now. Please try again later.",
    called_back: "Thank you for calling back. Goodbye.",
    goodbye: "Thank you. Goodbye.",
    keys: [
        "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "star",
        "pound",
    ],
    digits: [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "star asterisk",
        "pound hash",
    ],
    press: &["press", "push", "dial", "hit", "tap", "touch", "key", "button", "choose", "select"],
};

static SPANISH: Words = Words {
    tag: "es",
    announcement: "Para dejar de recibir estas llamadas, pulse {key} en cualquier momento.",
    opted_out: "No volveremos a llamarle. Adiós.",
    nobody_there: "En este momento nadie puede atender su llamada. Por favor, inténtelo de nuevo \
                   más tarde.",
    called_back: "Gracias por devolver la llamada. Adiós.",
    goodbye: "Gracias. Adiós.",
    keys: [
        "el cero",
        "el uno",
        "el dos",
        "el tres",
        "el cuatro",
        "el cinco",
        "el seis",
        "el siete",
        "el ocho",
        "el nueve",
        "el asterisco",
        "la almohadilla",
    ],
    digits: [
        "cero",
        "uno",
        "dos",
        "tres",
        "cuatro",
        "cinco",
        "seis",
        "siete",
        "ocho",
        "nueve",
        "asterisco estrella",
        "almohadilla numeral gato",
    ],
    press: &["puls", "presion", "oprim", "marc", "marqu", "tecl", "apriet", "digit", "eli"],
};

static FRENCH: Words = Words {
    tag: "fr",
    announcement: "Pour ne plus recevoir ces appels, appuyez sur {key} à tout moment.",
    opted_out: "Nous ne vous appellerons plus. Au revoir.",
    nobody_there: "Personne ne peut prendre votre appel pour le moment. Veuillez réessayer plus \
                   tard.",
    called_back: "Merci de nous avoir rappelés. Au revoir.",
    goodbye: "Merci. Au revoir.",
    keys: [
        "la touche zéro",
        "la touche un",
        "la touche deux",
        "la touche trois",
        "la touche quatre",
        "la touche cinq",
        "la touche six",
        "la touche sept",
        "la touche huit",
        "la touche neuf",
        "la touche étoile",
        "la touche dièse",
    ],
    digits: [
        "zéro",
        "un",
        "deux",
        "trois",
        "quatre",
        "cinq",
        "six",
        "sept",
        "huit",
        "neuf",
        "étoile astérisque",
        "dièse",
    ],
    press: &["appuy", "tap", "touche", "compos", "press", "faites", "sélectionn", "choisi"],
};

static GERMAN: Words = Words {
    tag: "de",
    announcement: "Wenn Sie nicht mehr angerufen werden möchten, drücken Sie jederzeit {key}.",
    opted_out: "Sie werden nicht mehr angerufen. Auf Wiederhören.",
    nobody_there: "Im Moment kann niemand Ihren Anruf entgegennehmen. Bitte versuchen Sie es \
                   später noch einmal.",
    called_back: "Vielen Dank für Ihren Rückruf. Auf Wiederhören.",
    goodbye: "Vielen Dank. Auf Wiederhören.",
    keys: [
        "die Null",
        "die Eins",
        "die Zwei",
        "die Drei",
        "die Vier",
        "die Fünf",
        "die Sechs",
        "die Sieben",
        "die Acht",
        "die Neun",
        "die Sterntaste",
        "die Rautetaste",
    ],
    digits: [
        "null",
        "eins",
        "zwei zwo",
        "drei",
        "vier",
        "fünf",
        "sechs",
        "sieben",
        "acht",
        "neun",
        "sterntaste stern sternchen",
        "rautetaste raute",
    ],
    press: &["drück", "taste", "wähl", "tipp"],
};

static ITALIAN: Words = Words {
    tag: "it",
    announcement: "Per non ricevere più queste chiamate, prema {key} in qualsiasi momento.",
    opted_out: "Non la chiameremo più. Arrivederci.",
    nobody_there: "Al momento nessuno può rispondere alla sua chiamata. La preghiamo di riprovare \
                   più tardi.",
    called_back: "Grazie per aver richiamato. Arrivederci.",
    goodbye: "Grazie. Arrivederci.",
    keys: [
        "il tasto zero",
        "il tasto uno",
        "il tasto due",
        "il tasto tre",
        "il tasto quattro",
        "il tasto cinque",
        "il tasto sei",
        "il tasto sette",
        "il tasto otto",
        "il tasto nove",
        "il tasto asterisco",
        "il tasto cancelletto",
    ],
    digits: [
        "zero",
        "uno",
        "due",
        "tre",
        "quattro",
        "cinque",
        "sei",
        "sette",
        "otto",
        "nove",
        "asterisco stella",
        "cancelletto",
    ],
    press: &["prem", "digit", "tast", "selezion", "compon", "schiacc", "scel", "scegl"],
};

static EUROPEAN_PORTUGUESE: Words = Words {
    tag: "pt-pt",
    announcement: "Para deixar de receber estas chamadas, prima {key} a qualquer momento.",
    opted_out: "Não lhe voltaremos a ligar. Adeus.",
    nobody_there: "De momento, ninguém pode atender a sua chamada. Por favor, tente mais tarde.",
    called_back: "Obrigado por devolver a chamada. Adeus.",
    goodbye: "Obrigado. Adeus.",
    keys: [
        "a tecla zero",
        "a tecla um",
        "a tecla dois",
        "a tecla três",
        "a tecla quatro",
        "a tecla cinco",
        "a tecla seis",
        "a tecla sete",
        "a tecla oito",
        "a tecla nove",
        "a tecla asterisco",
        "a tecla cardinal",
    ],
    digits: PORTUGUESE_DIGITS,
    press: PORTUGUESE_PRESS,
};

static PORTUGUESE: Words = Words {
    tag: "pt",
    announcement: "Para não receber mais estas ligações, pressione {key} a qualquer momento.",
    opted_out: "Você não receberá mais ligações nossas. Até logo.",
    nobody_there: "No momento, ninguém pode atender a sua ligação. Por favor, tente novamente mais \
                   tarde.",
    called_back: "Obrigado por retornar a ligação. Até logo.",
    goodbye: "Obrigado. Até logo.",
    keys: [
        "a tecla zero",
        "a tecla um",
        "a tecla dois",
        "a tecla três",
        "a tecla quatro",
        "a tecla cinco",
        "a tecla seis",
        "a tecla sete",
        "a tecla oito",
        "a tecla nove",
        "a tecla asterisco",
        "a tecla jogo da velha",
    ],
    digits: PORTUGUESE_DIGITS,
    press: PORTUGUESE_PRESS,
};

const PORTUGUESE_DIGITS: [&str; 12] = [
    "zero",
    "um",
    "dois",
    "três",
    "quatro",
    "cinco",
    "seis",
    "sete",
    "oito",
    "nove",
    "asterisco estrela",
    "cardinal cerquilha velha sustenido",
];
const PORTUGUESE_PRESS: &[&str] = &[
    "prim", "prem", "press", "tecl", "digit", "apert", "marqu", "marc", "disc", "disqu", "escolh",
];

static DUTCH: Words = Words {
    tag: "nl",
    announcement: "Wilt u deze telefoontjes niet meer ontvangen, druk dan op elk moment op {key}.",
    opted_out: "U wordt niet meer gebeld. Tot ziens.",
    nobody_there: "Op dit moment kan niemand uw oproep aannemen. Probeer het later opnieuw.",
    called_back: "Bedankt voor het terugbellen. Tot ziens.",
    goodbye: "Dank u wel. Tot ziens.",
    keys: [
        "de nul",
        "de één",
        "de twee",
        "de drie",
        "de vier",
        "de vijf",
        "de zes",
        "de zeven",
        "de acht",
        "de negen",
        "het sterretje",
        "het hekje",
    ],
    digits: [
        "nul",
        "één een",
        "twee",
        "drie",
        "vier",
        "vijf",
        "zes",
        "zeven",
        "acht",
        "negen",
        "sterretje ster",
        "hekje",
    ],
    press: &["druk", "toets", "tik", "kies"],
};

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const PHRASES: [Phrase; 4] =
        [Phrase::OptedOut, Phrase::NobodyThere, Phrase::CalledBack, Phrase::Goodbye];

    fn key(digit: char) -> Key {
        Key::try_from(digit).unwrap()
    }

    fn said(text: &str, language: &str) -> Rendered {
        Rendered::Say { text: text.to_owned(), language: language.to_owned() }
    }

    fn announced(digit: char, text: &str, language: &str) -> Option<Spoken> {
        let keys = BTreeMap::from([(key('1'), KeyAction::Tag("yes".to_owned()))]);
        let keys: BTreeMap<_, _> =
            keys.into_iter().chain([(key(digit), KeyAction::OptOut)]).collect();
        announcement(&keys, &[said(text, language)], language)
    }

    #[test]
    fn every_language_says_each_phrase_and_no_two_alike() {
        let tags = ["en-US", "es-MX", "fr-CA", "de-DE", "it-IT", "pt-BR", "pt-PT", "nl-NL"];
        for wanted in PHRASES {
            let mut texts = Vec::new();
            for tag in tags {
                let spoken = phrase(wanted, tag);
                assert_eq!(spoken.language, tag, "a voice of the script's own language");
                assert!(!spoken.text.contains("  "), "{}", spoken.text);
                texts.push(spoken.text);
            }
            texts.sort_unstable();
            texts.dedup();
            assert_eq!(texts.len(), tags.len(), "{texts:?}");
        }
        assert_eq!(phrase(Phrase::Goodbye, "DE_at").text, "Vielen Dank. Auf Wiederhören.");
        assert_eq!(phrase(Phrase::Goodbye, "pt").text, "Obrigado. Até logo.");
    }

    #[test]
    fn where_no_words_are_known_an_english_voice_says_english_ones() {
        for tag in ["sv-SE", "ja-JP", "deu", "", "x"] {
            let spoken = phrase(Phrase::OptedOut, tag);
            assert_eq!(&*spoken.text, "You will not be called again. Goodbye.", "{tag}");
            assert_eq!(spoken.language, "en-US", "{tag}");
        }
        let spoken = announced('9', "Hej, det är Ada.", "sv-SE").unwrap();
        let text = "To stop these calls, press nine at any time.".to_owned();
        assert_eq!(spoken, Spoken { text, language: "en-US".to_owned() });
        assert_eq!(announced('9', "Tryck på 9 för att slippa.", "sv-SE"), None);
    }

    #[test]
    fn the_key_is_announced_in_the_scripts_language() {
        for (language, wanted) in [
            ("en-GB", "To stop these calls, press nine at any time."),
            ("es-ES", "Para dejar de recibir estas llamadas, pulse el nueve en cualquier momento."),
            (
                "fr-FR",
                "Pour ne plus recevoir ces appels, appuyez sur la touche neuf à tout moment.",
            ),
            (
                "de-DE",
                "Wenn Sie nicht mehr angerufen werden möchten, drücken Sie jederzeit die Neun.",
            ),
        ] {
            let spoken = announced('9', "Ada Lovelace.", language).unwrap();
            assert_eq!((&*spoken.text, &*spoken.language), (wanted, language));
        }
        let keys = BTreeMap::from([(key('1'), KeyAction::Tag("yes".to_owned()))]);
        assert_eq!(announcement(&keys, &[], "en-US"), None, "there is no such key");
    }

    #[test]
    fn what_is_announced_names_its_key_in_every_language() {
        for words in SPOKEN {
            for digit in "0123456789*#".chars() {
                let spoken = announced(digit, "Ada.", words.tag).unwrap();
                assert!(!spoken.text.contains('{'), "{}", spoken.text);
                assert!(names(&spoken.text, words.tag, key(digit)), "{}", spoken.text);
                let other = if digit == '5' { '6' } else { '5' };
                assert!(!names(&spoken.text, words.tag, key(other)), "{}", spoken.text);
            }
        }
    }

    #[test]
    fn a_script_that_names_the_key_says_it_itself() {
        for (language, text) in [
            ("en-US", "Press NINE, and we stop calling."),
            ("en-US", "To stop: press 9."),
            ("es-MX", "Si no quiere más llamadas, oprima el número nueve."),
            ("fr-FR", "Tapez 9 pour ne plus être appelé."),
            ("de-DE", "Drücken Sie die Neun, wenn Sie keine Anrufe mehr möchten."),
            ("it-IT", "Digiti nove per non ricevere altre chiamate."),
            ("pt-BR", "Para sair da lista, aperte a tecla nove."),
            ("nl-NL", "Toets negen om niet meer gebeld te worden."),
            ("de-DE", "Press nine to stop."),
            ("en-US", "Press 1 to confirm, 9 to stop these calls."),
            ("en-US", "Press 1 to confirm or the 9 to stop these calls."),
            ("es-ES", "Pulse 1 para confirmar y el 9 para no recibir más llamadas."),
            ("de-DE", "Drücken Sie 1 zur Bestätigung oder die 9, um keine Anrufe zu erhalten."),
            ("de-DE", "Zum Abmelden bitte 9 drücken."),
        ] {
            assert_eq!(announced('9', text, language), None, "{text}");
        }
    }

    #[test]
    fn a_number_that_is_no_key_announces_nothing() {
        for (language, text) in [
            ("en-US", "Your appointment is at 9 tomorrow. Press one to confirm."),
            ("en-US", "No one pressed anything. It is one o'clock."),
            ("nl-NL", "Dit is een bericht voor u."),
            ("fr-FR", "Vous avez un rendez-vous à neuf heures."),
            ("de-DE", "Ihr Termin ist um neun. Drücken Sie die Eins zur Bestätigung."),
            ("pt-BR", "Este é um aviso."),
            ("en-US", "Press 1 to confirm your appointment at 9 tomorrow."),
            ("en-US", "Press 1 to confirm your visit between 8 and 9 tomorrow."),
            ("en-US", "Your visit is at 9, press 1 to confirm."),
            ("en-US", "Press 1 to confirm, at 9 we open."),
            ("de-DE", "Drücken Sie die 1, um Ihren Termin um 9 Uhr zu bestätigen."),
            ("es-ES", "Pulse uno para confirmar su cita de las nueve."),
        ] {
            let digit = if language == "nl-NL" || language == "pt-BR" { '1' } else { '9' };
            let keys = BTreeMap::from([(key(digit), KeyAction::OptOut)]);
            assert!(announcement(&keys, &[said(text, language)], language).is_some(), "{text}");
        }
    }
}
