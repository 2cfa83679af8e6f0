//! What an account can do, asked before anybody is dialled.

use std::collections::{BTreeMap, BTreeSet};

use callcore::phone::PhoneNumber;
use serde::Deserialize;

use crate::api::ApiError;
use crate::hook::{Address, What};
use crate::telephony::Twilio;

/// What Twilio says of an account and of the numbers to call from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// `active`, `suspended` or `closed`.
    pub status: String,
    /// Whether it is a trial: it reaches verified numbers only, two at once.
    pub is_trial: bool,
    /// The numbers to call from, each with what is known of it.
    pub callers: Vec<Caller>,
    /// The numbers that a trial reaches.
    pub verified: BTreeSet<PhoneNumber>,
    /// By country, whether the account may call there; none where Twilio did not say.
    pub countries: BTreeMap<String, Option<bool>>,
}

/// A number to call from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The number.
    pub number: PhoneNumber,
    /// Whose it is.
    pub owner: Owner,
}

/// Whose a number to call from is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The account's own, and it takes calls.
    Account {
        /// Whether whoever calls it back reaches this service.
        answered_here: bool,
        /// Whether this service is also asked when that failed, and told when the call ends.
        is_told_all: bool,
    },
    /// The account's own, for messages only.
    NoVoice,
    /// Somebody's who let the account show it.
    Verified,
    /// Nobody's that the account knows: Twilio would refuse it (21210).
    Unknown,
}

/// Why the account could not be asked.
#[derive(Debug, thiserror::Error)]
#[error("Twilio could not be asked about {what}")]
pub struct InspectError {
    what: &'static str,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl Inspection {
    /// What keeps campaigns from running, in sentences; empty if nothing does.
    #[must_use]
    pub fn obstacles(&self) -> Vec<String> {
        let mut obstacles = Vec::new();
        if self.status != "active" {
            obstacles
                .push(format!("The account is {}: Twilio takes no calls from it.", self.status));
        }
        for caller in &self.callers {
            match caller.owner {
                Owner::Unknown => obstacles.push(format!(
                    "{} is neither a number of the account nor a verified caller ID: Twilio refuses \
                     calls from it.",
                    caller.number
                )),
                Owner::NoVoice => {
                    obstacles.push(format!("{} is for messages only: it can't call.", caller.number));
                }
                Owner::Account { .. } | Owner::Verified => {}
            }
        }
        for (country, may) in &self.countries {
            if *may == Some(false) {
                obstacles.push(format!(
                    "The account may not call {country}: allow it under Voice, Geo permissions."
                ));
            }
        }
        obstacles
    }

    /// What a person should know although calls can be made.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.is_trial {
            let verified = self.verified.len();
            warnings.push(format!(
                "This is a trial account: only its verified numbers ring ({verified}), and 2 at once."
            ));
        }
        for caller in &self.callers {
            match caller.owner {
                Owner::Account { answered_here: false, .. } => warnings.push(format!(
                    "Whoever calls {} back does not reach this server: set its voice URL, see below.",
                    caller.number
                )),
                Owner::Account { answered_here: true, is_told_all: false } => {
                    warnings.push(format!(
                        "{} has not all of its addresses, see below: without the second a caller is \
                         cut off when this server is away for a moment, without the third nobody \
                         hears that a call ended.",
                        caller.number
                    ));
                }
                Owner::Verified => warnings.push(format!(
                    "{} is a verified caller ID: calls back go to its owner, not to this server.",
                    caller.number
                )),
                Owner::Account { answered_here: true, is_told_all: true }
                | Owner::NoVoice
                | Owner::Unknown => {}
            }
        }
        for (country, may) in &self.countries {
            if may.is_none() {
                warnings.push(format!("Twilio did not say whether {country} may be called."));
            }
        }
        warnings
    }
}

impl Twilio {
    /// Asks about the account, the numbers to call from, and the countries to be called, by their
    /// two letters. Nobody is dialled.
    ///
    /// # Errors
    ///
    /// Twilio does not answer, or not to these credentials.
    pub async fn inspect(&self, countries: &[&str]) -> Result<Inspection, InspectError> {
        let failed = |what| move |error: ApiError| InspectError { what, source: error.into() };
        let api = self.api();
        let account = api.account().await.map_err(failed("the account"))?;
        let owned: Owned = api
            .get("IncomingPhoneNumbers.json?PageSize=1000")
            .await
            .map_err(failed("its numbers"))?;
        let verified: Verified = api
            .get("OutgoingCallerIds.json?PageSize=1000")
            .await
            .map_err(failed("its verified caller IDs"))?;
        let verified: BTreeSet<PhoneNumber> = verified
            .outgoing_caller_ids
            .iter()
            .filter_map(|it| it.phone_number.as_deref()?.parse().ok())
            .collect();
        let [voice, fallback, status] = self.number_urls().map(|(_, url)| url);
        let is = |set: &Option<String>, url: &String| set.as_ref() == Some(url);
        let owner = |number: PhoneNumber| {
            let text = number.to_string();
            let mut own = owned.incoming_phone_numbers.iter();
            match own.find(|it| it.phone_number.as_deref() == Some(&*text)) {
                Some(own) if !own.capabilities.voice => Owner::NoVoice,
                Some(own) => Owner::Account {
                    answered_here: is(&own.voice_url, &voice),
                    is_told_all: is(&own.voice_fallback_url, &fallback)
                        && is(&own.status_callback, &status),
                },
                None if verified.contains(&number) => Owner::Verified,
                None => Owner::Unknown,
            }
        };
        let callers = self
            .caller_ids()
            .iter()
            .map(|number| Caller { number: *number, owner: owner(*number) });
        let callers = callers.collect();
        let mut permissions = BTreeMap::new();
        for country in countries {
            // Not every account or key may read these; calls may be made all the same.
            let may = api.may_call(country).await.ok();
            permissions.insert((*country).to_owned(), may);
        }
        Ok(Inspection {
            status: account.status.unwrap_or_else(|| "in an unknown state".to_owned()),
            is_trial: account.kind.as_deref() == Some("Trial"),
            callers,
            verified,
            countries: permissions,
        })
    }

    /// What to set at each number for calls back: the voice URL, its fallback, and the status
    /// callback, all by POST.
    #[must_use]
    pub fn number_urls(&self) -> [(&'static str, String); 3] {
        [
            ("A call comes in", What::Voice),
            ("Primary handler fails", What::Fallback),
            ("Call status changes", What::Status),
        ]
        .map(|(name, what)| (name, self.hooks().url(Address::Inbound, what)))
    }
}

#[derive(Deserialize)]
struct Owned {
    #[serde(default)]
    incoming_phone_numbers: Vec<OwnedNumber>,
}

#[derive(Deserialize)]
struct OwnedNumber {
    #[serde(default)]
    phone_number: Option<String>,
    #[serde(default)]
    voice_url: Option<String>,
    #[serde(default)]
    voice_fallback_url: Option<String>,
    #[serde(default)]
    status_callback: Option<String>,
    #[serde(default)]
    capabilities: Capabilities,
}

#[derive(Deserialize, Default)]
struct Capabilities {
    #[serde(default)]
    voice: bool,
}

#[derive(Deserialize)]
struct Verified {
    #[serde(default)]
    outgoing_caller_ids: Vec<VerifiedNumber>,
}

#[derive(Deserialize)]
struct VerifiedNumber {
    #[serde(default)]
    phone_number: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inspection(owner: Owner) -> Inspection {
        Inspection {
            status: "active".to_owned(),
            is_trial: false,
            callers: vec![Caller { number: "+12125550100".parse().unwrap(), owner }],
            verified: BTreeSet::new(),
            countries: BTreeMap::from([("US".to_owned(), Some(true))]),
        }
    }

    #[test]
    fn what_keeps_a_campaign_from_running_is_told_from_what_is_good_to_know() {
        let good = inspection(Owner::Account { answered_here: true, is_told_all: true });
        assert_eq!((good.obstacles(), good.warnings()), (vec![], vec![]));
        for (answered_here, is_told_all) in [(false, false), (false, true), (true, false)] {
            let deaf = inspection(Owner::Account { answered_here, is_told_all });
            assert_eq!((deaf.obstacles().len(), deaf.warnings().len()), (0, 1));
        }
        for owner in [Owner::Unknown, Owner::NoVoice] {
            assert_eq!(inspection(owner).obstacles().len(), 1);
        }
        let trial = Inspection { is_trial: true, ..good.clone() };
        assert!(trial.warnings()[0].contains("verified"));
        let barred = Inspection {
            status: "suspended".to_owned(),
            countries: BTreeMap::from([("CA".to_owned(), Some(false)), ("MX".to_owned(), None)]),
            ..good
        };
        assert_eq!((barred.obstacles().len(), barred.warnings().len()), (2, 1));
    }
}
