//! The URLs that Twilio calls, below the public address: what each is about.

use std::fmt;
use std::str::FromStr;

use callcore::id::CallId;

/// What a URL is about. Those of our own dials carry the call's id, so that a call whose creation was
/// never answered is found through them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hook {
    /// What the call is to do, asked once it is answered.
    Voice(CallId),
    /// What to do when that could not be fetched or carried out.
    Fallback(CallId),
    /// How the call goes on.
    Status(CallId),
    /// What answered, heard while the call goes on.
    Detection(CallId),
    /// A key was pressed.
    Key(CallId),
    /// A transfer or an agent ended.
    After(CallId),
    /// A recording is ready.
    Recording(CallId),
    /// What was said, as it is said.
    Transcript(CallId),
    /// Somebody rings in.
    Inbound(Inbound),
}

/// What a URL of an inbound call is about; the carrier's id for the call is in the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inbound {
    /// It rings: what is it to hear?
    Voice,
    /// What to do when that could not be fetched or carried out.
    Fallback,
    /// How it goes on.
    Status,
    /// A key was pressed.
    Key,
    /// A transfer or an agent ended.
    After,
    /// A recording is ready.
    Recording,
    /// What was said, as it is said.
    Transcript,
}

impl Hook {
    const fn word(self) -> &'static str {
        match self {
            Self::Voice(_) | Self::Inbound(Inbound::Voice) => "voice",
            Self::Fallback(_) | Self::Inbound(Inbound::Fallback) => "fallback",
            Self::Status(_) | Self::Inbound(Inbound::Status) => "status",
            Self::Detection(_) => "detection",
            Self::Key(_) | Self::Inbound(Inbound::Key) => "key",
            Self::After(_) | Self::Inbound(Inbound::After) => "after",
            Self::Recording(_) | Self::Inbound(Inbound::Recording) => "recording",
            Self::Transcript(_) | Self::Inbound(Inbound::Transcript) => "transcript",
        }
    }

    /// The call of ours it is about.
    pub(crate) const fn call(self) -> Option<CallId> {
        match self {
            Self::Voice(call)
            | Self::Fallback(call)
            | Self::Status(call)
            | Self::Detection(call)
            | Self::Key(call)
            | Self::After(call)
            | Self::Recording(call)
            | Self::Transcript(call) => Some(call),
            Self::Inbound(_) => None,
        }
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.call() {
            Some(call) => write!(f, "calls/{call}/{}", self.word()),
            None => write!(f, "inbound/{}", self.word()),
        }
    }
}

/// The path is none of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoHook;

impl FromStr for Hook {
    type Err = NoHook;

    fn from_str(path: &str) -> Result<Self, NoHook> {
        if let Some(word) = path.strip_prefix("inbound/") {
            let inbound = match word {
                "voice" => Inbound::Voice,
                "fallback" => Inbound::Fallback,
                "status" => Inbound::Status,
                "key" => Inbound::Key,
                "after" => Inbound::After,
                "recording" => Inbound::Recording,
                "transcript" => Inbound::Transcript,
                _ => return Err(NoHook),
            };
            return Ok(Self::Inbound(inbound));
        }
        let rest = path.strip_prefix("calls/").ok_or(NoHook)?;
        let (call, word) = rest.split_once('/').ok_or(NoHook)?;
        let call: CallId = call.parse().map_err(|_| NoHook)?;
        Ok(match word {
            "voice" => Self::Voice(call),
            "fallback" => Self::Fallback(call),
            "status" => Self::Status(call),
            "detection" => Self::Detection(call),
            "key" => Self::Key(call),
            "after" => Self::After(call),
            "recording" => Self::Recording(call),
            "transcript" => Self::Transcript(call),
            _ => return Err(NoHook),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_reads_back_as_what_it_was_made_for() {
        let call: CallId = "0199aaaa-0000-7000-8000-000000000001".parse().unwrap();
        let ours = [
            Hook::Voice,
            Hook::Fallback,
            Hook::Status,
            Hook::Detection,
            Hook::Key,
            Hook::After,
            Hook::Recording,
            Hook::Transcript,
        ];
        let inbound = [
            Inbound::Voice,
            Inbound::Fallback,
            Inbound::Status,
            Inbound::Key,
            Inbound::After,
            Inbound::Recording,
            Inbound::Transcript,
        ];
        let hooks = ours.iter().map(|hook| hook(call)).chain(inbound.map(Hook::Inbound));
        for hook in hooks {
            assert_eq!(hook.to_string().parse(), Ok(hook));
        }
        for path in ["", "calls", "calls/x/voice", "inbound/detection", "calls//voice"] {
            assert_eq!(path.parse::<Hook>(), Err(NoHook), "{path}");
        }
    }
}
