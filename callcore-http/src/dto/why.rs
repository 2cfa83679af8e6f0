use callcore::engine::{Heard, Verdict, Why};
use callcore::port::ClientView;
use serde::Serialize;

use super::client::NextCallDto;
use super::instant;

/// Why a client is, or is not, called.
#[derive(Debug, Serialize)]
pub(crate) struct WhyDto {
    client_id: String,
    campaign_id: String,
    status: &'static str,
    next_call: Option<NextCallDto>,
    /// What the rules say of a dial now.
    answer: &'static str,
    /// The rule that puts it off, or the reason why never.
    because: Option<&'static str>,
    next_allowed: Option<String>,
    words: String,
    rules: Vec<Heard>,
}

impl WhyDto {
    pub(crate) fn new(view: &ClientView, why: Why) -> Self {
        let standing = &view.client.standing;
        let (answer, because) = match why.verdict {
            Verdict::Dial { .. } => ("dial", None),
            Verdict::Defer(defer) => ("not_now", Some(defer.why.as_str())),
            Verdict::Retire(reason) => ("never", Some(reason.as_str())),
        };
        Self {
            client_id: view.client.id.to_string(),
            campaign_id: view.client.campaign.to_string(),
            status: standing.status.as_str(),
            next_call: standing.next_call.as_ref().map(NextCallDto::from),
            answer,
            because,
            next_allowed: why.next_allowed.map(instant),
            words: why.words,
            rules: why.heard,
        }
    }
}
