//! What mails say: counts and links, and people's names and numbers only where that is wanted.

mod page;
mod words;

use crate::id::{CallId, CampaignId};
use crate::phone::PhoneNumber;
use crate::port::{Body, Notice, NoticeGroup, NoticeKind};
use crate::time::Zone;

pub(crate) use page::Page;
pub(crate) use words::{clock, count, date, kind_in_words, mean_duration, one_line, percent};

/// Where the pages are that mails link to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Links(String);

impl Links {
    /// Links to the pages at an address such as `https://calls.example.com`.
    #[must_use]
    pub fn new(base: &str) -> Self {
        Self(base.trim_end_matches('/').to_owned())
    }

    /// A page by its path.
    #[must_use]
    pub fn page(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    pub(crate) fn call(&self, id: CallId) -> String {
        self.page(&format!("/calls/{id}"))
    }

    pub(crate) fn campaign(&self, id: CampaignId) -> String {
        self.page(&format!("/campaigns/{id}"))
    }
}

/// What is known of a notice's object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// What the campaign or the person is called.
    pub name: Option<String>,
    /// The person's number.
    pub phone: Option<PhoneNumber>,
}

/// A mail's subject and words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// One line, without anybody's name or number.
    pub subject: String,
    /// Its words.
    pub body: Body,
}

/// The mail about a group of notices. `details` has what is known of each notice shown, or nothing
/// where mails have counts and links only.
#[must_use]
pub fn notices(group: &NoticeGroup, details: &[About], links: &Links, zone: &Zone) -> Written {
    let subject = words::told(group.word, group.count);
    let mut page = Page::new(&subject);
    page.heading(&subject, &since(group, zone));
    for (index, notice) in group.last.iter().enumerate() {
        let about = details.get(index).map(who).unwrap_or_default();
        let at = words::instant(notice.at, zone);
        let label = if about.is_empty() { at } else { format!("{at}, {about}") };
        page.link(&label, &link(notice, links));
    }
    let shown = group.last.len() as u64;
    if group.count > shown {
        page.note(&format!("and {} more.", count(group.count - shown)));
    }
    page.footer("Dashboard", &links.page("/dashboard"));
    Written { body: page.finish(), subject }
}

fn since(group: &NoticeGroup, zone: &Zone) -> String {
    let newest = group.last.first().map_or(group.first.at, |notice| notice.at);
    let (from, to) = (words::instant(group.first.at, zone), words::instant(newest, zone));
    if from == to { format!("{from} ({zone})") } else { format!("{from} to {to} ({zone})") }
}

fn who(about: &About) -> String {
    let name = about.name.as_deref().map(words::one_line).unwrap_or_default();
    let phone = about.phone.map(|phone| phone.to_string()).unwrap_or_default();
    let parts = [name, phone];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}

fn link(notice: &Notice, links: &Links) -> String {
    match notice.kind {
        NoticeKind::CampaignFinished(id) => links.campaign(id),
        NoticeKind::InboundCall(id) | NoticeKind::MessageLeft(id) | NoticeKind::CallGivenUp(id) => {
            links.call(id)
        }
        _ => links.page("/dashboard"),
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;
    use crate::id::NoticeId;
    use crate::time::SeededEntropy;

    fn group(count: u64, shown: u64) -> NoticeGroup {
        let entropy = SeededEntropy::new(1);
        let at: DateTime<Utc> = "2026-11-23T14:05:00Z".parse().unwrap();
        let notice = |index: u64| Notice {
            id: NoticeId::new(at, &entropy),
            at: at + chrono::TimeDelta::minutes(index.cast_signed()),
            kind: NoticeKind::InboundCall(CallId::new(at, &entropy)),
        };
        let last: Vec<Notice> = (0..shown).rev().map(notice).collect();
        NoticeGroup { word: "inbound_call", count, first: last[last.len() - 1].clone(), last }
    }

    fn about(name: &str) -> About {
        About { name: Some(name.to_owned()), phone: "+12125550123".parse().ok() }
    }

    #[test]
    fn without_details_there_are_counts_and_links_only() {
        let group = group(5, 2);
        let links = Links::new("https://calls.example.com/");
        let mail = notices(&group, &[], &links, &Zone::utc());
        assert_eq!(mail.subject, "5 calls came in");
        for words in [&mail.body.text, &mail.body.html] {
            for notice in &group.last {
                let NoticeKind::InboundCall(id) = notice.kind else { unreachable!() };
                assert!(words.contains(&format!("https://calls.example.com/calls/{id}")));
            }
            assert!(words.contains("and 3 more."), "{words}");
            assert!(words.contains("14:05"), "{words}");
        }
    }

    #[test]
    fn a_name_in_a_mail_is_text_whatever_it_holds() {
        let name = "<img src=x onerror=alert(1)> \r\nBcc: \u{202e}all";
        let links = Links::new("http://127.0.0.1:3000");
        let mail = notices(&group(1, 1), &[about(name)], &links, &Zone::utc());
        assert_eq!(mail.subject, "A call came in");
        assert!(!mail.body.html.contains("<img"), "{}", mail.body.html);
        assert!(mail.body.html.contains("&lt;img src=x"), "{}", mail.body.html);
        assert!(mail.body.text.contains("+12125550123"));
        for words in [&mail.body.text, &mail.body.html] {
            assert!(!words.contains('\u{202e}') && !words.contains("\nBcc"), "{words}");
        }
    }
}
