//! Numbers, dates and kinds in words.

use chrono::{DateTime, NaiveDate, Utc};

use crate::time::Zone;

/// A count with its thousands apart.
pub(crate) fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share from 0 to 1 as a percentage; a dash where there is none.
pub(crate) fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "–".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

/// Mean seconds as minutes and seconds; a dash where there are none.
pub(crate) fn mean_duration(seconds: Option<f64>) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a mean of durations is neither negative nor huge"
    )]
    seconds.map_or_else(
        || "–".to_owned(),
        |mean| {
            let seconds = mean.round() as u64;
            format!("{}:{:02}", seconds / 60, seconds % 60)
        },
    )
}

/// A date in words: `Monday, 23 November 2026`.
pub(crate) fn date(date: NaiveDate) -> String {
    date.format("%A, %-d %B %Y").to_string()
}

/// What the wall clock shows: `18:00`.
pub(crate) fn clock(at: DateTime<Utc>, zone: &Zone) -> String {
    zone.local(at).format("%H:%M").to_string()
}

/// An instant as the wall clock shows it: `23 Nov 18:00`.
pub(crate) fn instant(at: DateTime<Utc>, zone: &Zone) -> String {
    zone.local(at).format("%-d %b %H:%M").to_string()
}

/// So many notices of a kind, in words. A kind that has none of its own is told by its word.
pub(crate) fn told(word: &str, many: u64) -> String {
    let (one, several) = match word {
        "campaign_finished" => ("A campaign is finished", "campaigns are finished"),
        "inbound_call" => ("A call came in", "calls came in"),
        "message_left" => ("A caller left a message", "callers left a message"),
        "call_given_up" => ("The fate of a call stayed unknown", "calls whose fate stayed unknown"),
        "mail_failing" => ("Mails do not go out", "days on which mails did not go out"),
        "mail_runs_short" => {
            ("Most of this month's mails are used up", "months in which mails ran short")
        }
        other => return format!("{}: {}", kind_in_words(other), count(many)),
    };
    if many == 1 { one.to_owned() } else { format!("{} {several}", count(many)) }
}

/// A kind's word as people read it: `campaign_paused` is `Campaign paused`.
pub(crate) fn kind_in_words(word: &str) -> String {
    let text = word.replace('_', " ");
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// A name as one short line: what could break a line, hide or turn letters is left out.
pub(crate) fn one_line(text: &str) -> String {
    let is_shown = |c: &char| {
        !c.is_control()
            && !matches!(
                *c,
                '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            )
    };
    text.chars().filter(is_shown).take(100).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_at_a_glance() {
        assert_eq!([count(0), count(999), count(1_234_567)], ["0", "999", "1,234,567"]);
        assert_eq!([percent(Some(0.3333)), percent(None)], ["33.3 %", "–"]);
        assert_eq!([mean_duration(Some(75.4)), mean_duration(None)], ["1:15", "–"]);
    }

    #[test]
    fn a_kind_without_words_of_its_own_is_told_all_the_same() {
        assert_eq!(told("campaign_paused", 2), "Campaign paused: 2");
        assert_eq!(told("inbound_call", 2), "2 calls came in");
        assert_eq!(told("message_left", 1), "A caller left a message");
    }
}
