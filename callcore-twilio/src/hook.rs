//! The URLs that Twilio calls, below the public address: what each is about.

use std::fmt;
use std::str::FromStr;

use callcore::id::CallId;
use url::Url;

/// The word under which Twilio's webhooks come in: `/webhooks/twilio/...`.
pub(crate) const PROVIDER: &str = "twilio";

/// What the URL of a key is told of under, if it was not one that was waited for.
pub(crate) const MESSAGE: &str = "message";

/// What a URL is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hook {
    /// Which call.
    pub(crate) at: Address,
    /// What of it.
    pub(crate) what: What,
}

/// Which call a URL is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Address {
    /// One of our own dials. The id is in each of its URLs, so that a call whose creation was never
    /// answered is found through them.
    Ours(CallId),
    /// A call that rings in; the carrier's id for it is in the request.
    Inbound,
}

/// What of a call a URL is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// What the call is to do, asked once it is answered, or when it rings in.
    Voice,
    /// What to do when that could not be fetched or carried out.
    Fallback,
    /// How the call goes on.
    Status,
    /// What answered, heard while the call goes on.
    Detection,
    /// What a machine hears that was found while the call went on.
    Machine,
    /// A key was pressed, or a message was left.
    Key,
    /// A transfer or an agent ended.
    After,
    /// A recording is ready.
    Recording,
    /// What was said, as it is said.
    Transcript,
}

impl What {
    const ALL: [Self; 9] = [
        Self::Voice,
        Self::Fallback,
        Self::Status,
        Self::Detection,
        Self::Machine,
        Self::Key,
        Self::After,
        Self::Recording,
        Self::Transcript,
    ];

    const fn word(self) -> &'static str {
        match self {
            Self::Voice => "voice",
            Self::Fallback => "fallback",
            Self::Status => "status",
            Self::Detection => "detection",
            Self::Machine => "machine",
            Self::Key => "key",
            Self::After => "after",
            Self::Recording => "recording",
            Self::Transcript => "transcript",
        }
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Address::Ours(call) => write!(f, "calls/{call}/{}", self.what.word()),
            Address::Inbound => write!(f, "inbound/{}", self.what.word()),
        }
    }
}

/// The path is none of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoHook;

impl FromStr for Hook {
    type Err = NoHook;

    fn from_str(path: &str) -> Result<Self, NoHook> {
        let (at, word) = match path.strip_prefix("inbound/") {
            Some(word) => (Address::Inbound, word),
            None => {
                let rest = path.strip_prefix("calls/").ok_or(NoHook)?;
                let (call, word) = rest.split_once('/').ok_or(NoHook)?;
                (Address::Ours(call.parse().map_err(|_| NoHook)?), word)
            }
        };
        let what = What::ALL.into_iter().find(|what| what.word() == word).ok_or(NoHook)?;
        Ok(Self { at, what })
    }
}

/// Writes the URLs.
#[derive(Debug, Clone)]
pub(crate) struct Hooks {
    /// Where this service is reached, with a slash at the end.
    public: String,
}

impl Hooks {
    pub(crate) fn new(public: &Url) -> Self {
        Self { public: public.to_string() }
    }

    /// The URL of a hook.
    pub(crate) fn url(&self, at: Address, what: What) -> String {
        format!("{}webhooks/{PROVIDER}/{}", self.public, Hook { at, what })
    }

    /// A path and query that came in, as the URL that Twilio was given.
    pub(crate) fn called(&self, path: &str, query: &str) -> String {
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}webhooks/{PROVIDER}/{path}{mark}{query}", self.public)
    }

    /// The path of a URL of ours below the webhooks, and its query.
    pub(crate) fn below<'a>(&self, url: &'a str) -> Option<(&'a str, &'a str)> {
        let rest = url.strip_prefix(&self.public)?;
        let rest = rest.strip_prefix("webhooks/")?.strip_prefix(PROVIDER)?.strip_prefix('/')?;
        Some(rest.split_once('?').unwrap_or((rest, "")))
    }

    /// Where a key goes that is pressed while a step is heard. Which keys opt out stands in it: it
    /// has to be known also when the store that keeps the script is away.
    pub(crate) fn key(&self, at: Address, step: usize, presses: u32, opt_out: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("step", &step.to_string()).append_pair("presses", &presses.to_string());
        if !opt_out.is_empty() {
            query.append_pair("opt_out", opt_out);
        }
        format!("{}?{}", self.url(at, What::Key), query.finish())
    }

    /// Where a message goes that was recorded in a step. A key may end it, so that it goes where keys
    /// do.
    pub(crate) fn message(&self, at: Address, step: usize, presses: u32, opt_out: &str) -> String {
        format!("{}&of={MESSAGE}", self.key(at, step, presses, opt_out))
    }

    /// Where a call goes on after something ended.
    pub(crate) fn after(&self, at: Address, ended: &str) -> String {
        format!("{}?of={ended}", self.url(at, What::After))
    }

    /// Where the agent of a call reports its result.
    pub(crate) fn result(&self, call: CallId) -> String {
        format!("{}api/calls/{call}/result", self.public)
    }

    /// Where an audio is fetched.
    pub(crate) fn media(&self, token: &str) -> String {
        format!("{}media/{token}", self.public)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_reads_back_as_what_it_was_made_for() {
        let call: CallId = "0199aaaa-0000-7000-8000-000000000001".parse().unwrap();
        let hooks = Hooks::new(&Url::parse("https://c.example/voice/").unwrap());
        for what in What::ALL {
            for at in [Address::Ours(call), Address::Inbound] {
                let hook = Hook { at, what };
                assert_eq!(hook.to_string().parse(), Ok(hook));
                let url = hooks.url(at, what);
                let (path, query) = hooks.below(&url).unwrap();
                assert_eq!((path.parse(), query), (Ok(hook), ""));
                assert_eq!(hooks.called(path, query), url);
            }
        }
        for path in ["", "calls", "calls/x/voice", "inbound/", "calls//voice"] {
            assert_eq!(path.parse::<Hook>(), Err(NoHook), "{path}");
        }
        assert_eq!(hooks.below("https://other.example/webhooks/twilio/inbound/voice"), None);
    }

    #[test]
    fn a_keys_url_says_which_keys_opt_out() {
        let hooks = Hooks::new(&Url::parse("https://c.example/").unwrap());
        assert_eq!(
            hooks.key(Address::Inbound, 2, 1, "#9"),
            "https://c.example/webhooks/twilio/inbound/key?step=2&presses=1&opt_out=%239"
        );
        assert_eq!(
            hooks.message(Address::Inbound, 2, 1, ""),
            "https://c.example/webhooks/twilio/inbound/key?step=2&presses=1&of=message"
        );
    }
}
