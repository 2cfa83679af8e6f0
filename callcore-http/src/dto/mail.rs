use callcore::port::{MailState, MailedNotice, Notice, NoticeKind, QueuedMail};
use serde::Serialize;
use serde_json::{Value, json};

use super::instant;

/// A mail, without its words.
#[derive(Debug, Serialize)]
pub(crate) struct MailDto {
    id: String,
    kind: String,
    subject: String,
    receivers: u32,
    state: &'static str,
    reason: Option<String>,
    attempts: u32,
    queued_at: String,
    next_try_at: Option<String>,
    settled_at: Option<String>,
}

impl From<&QueuedMail> for MailDto {
    fn from(mail: &QueuedMail) -> Self {
        let waits = mail.state == MailState::Waiting;
        Self {
            id: mail.id.to_string(),
            kind: mail.kind.clone(),
            subject: mail.subject.clone(),
            receivers: mail.receivers,
            state: mail.state.as_str(),
            reason: mail.reason.clone(),
            attempts: mail.attempts,
            queued_at: instant(mail.queued_at),
            next_try_at: waits.then(|| instant(mail.at)),
            settled_at: (!waits).then(|| instant(mail.at)),
        }
    }
}

/// A notice with what became of its mail.
#[derive(Debug, Serialize)]
pub(crate) struct MailedNoticeDto {
    #[serde(flatten)]
    notice: Value,
    state: &'static str,
    reason: Option<String>,
    mail: Option<MailDto>,
}

impl MailedNoticeDto {
    /// Shows a notice where mails are, or are not, sent.
    pub(crate) fn new(mailed: &MailedNotice, sends_mail: bool) -> Self {
        let kind = mailed.notice.kind.word();
        let (state, reason) = match &mailed.mail {
            Some(mail) if mail.state == MailState::Waiting => ("not_sent", mail.reason.clone()),
            Some(mail) => (mail.state.as_str(), mail.reason.clone()),
            None if !NoticeKind::is_mailed(kind) => ("not_sent", Some("only_shown".to_owned())),
            None if sends_mail => ("not_sent", Some("gathering".to_owned())),
            None => ("not_sent", Some("no_mail_settings".to_owned())),
        };
        let mail = mailed.mail.as_ref().map(MailDto::from);
        Self { notice: notice(&mailed.notice), state, reason, mail }
    }
}

/// A notice.
pub(crate) fn notice(notice: &Notice) -> Value {
    let (object, id) = match notice.kind {
        NoticeKind::CampaignFinished(id) | NoticeKind::BreakerTripped(id) => {
            ("campaign_id", id.to_string())
        }
        NoticeKind::InboundCall(id) | NoticeKind::MessageLeft(id) | NoticeKind::CallGivenUp(id) => {
            ("call_id", id.to_string())
        }
        NoticeKind::SpendReached(day)
        | NoticeKind::MailFailing(day)
        | NoticeKind::MailRunsShort(day) => ("day", day.0.to_string()),
    };
    let (id_of_notice, at, kind) = (notice.id.to_string(), instant(notice.at), notice.kind.word());
    json!({"id": id_of_notice, "at": at, "kind": kind, object: id})
}
