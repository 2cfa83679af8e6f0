//! What a call does, as TwiML: its script from a step on, its keys, its endings.

use std::fmt;
use std::str::FromStr;

use callcore::call::{AnsweredBy, Direction};
use callcore::campaign::VoicemailPolicy;
use callcore::performance::Performance;
use callcore::phone::PhoneNumber;
use callcore::script::phrases::{self, Phrase};
use callcore::script::{Key, KeyAction, Rendered};

use crate::hook::{Address, Hooks, What};
use crate::twiml::{
    Connect, ConnectKind, Dial, Gather, Play, Prompt, Record, Response, Say, Transcribe, Verb,
};

/// How long a key may still be pressed after the last step, in seconds.
const LAST_CHANCE: u32 = 5;
/// How long a transfer may ring, in seconds.
const TRANSFER_RING: u32 = 30;
/// How long the caller waits until the same is asked again, in seconds.
const HOLD: u32 = 2;
/// The most characters that Twilio's strictest voices say at once (error 13521).
const MAX_SAY: usize = 2_900;
/// What a transfer's end is told under, and an agent's.
pub(crate) const TRANSFER: &str = "transfer";
pub(crate) const AGENT: &str = "agent";
/// What stands in a cue where no key was pressed.
const NO_KEY: char = '-';
/// The name of the parameter in which an agent gets the token for its call's result.
pub const RESULT_TOKEN: &str = "callcore_result_token";
/// The name of the parameter in which an agent gets the URL it reports that result to, an opt-out
/// before all.
pub const RESULT_URL: &str = "callcore_result_url";
/// The name of the parameter in which an agent gets the call's id.
pub const CALL_ID: &str = "callcore_call_id";

/// Where in a call a document is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cue {
    /// It was answered.
    Start {
        /// What detection said, if it spoke.
        by: Option<AnsweredBy>,
        /// The number of ours in the call, if it is one we dialled.
        ours: Option<PhoneNumber>,
    },
    /// A key was pressed while a step was heard; so many were pressed before.
    Pressed {
        key: Key,
        step: usize,
        presses: u32,
        /// The number of ours in the call, if it is one we dialled.
        ours: Option<PhoneNumber>,
    },
    /// A message was recorded in a step, and maybe ended with a key.
    Message { key: Option<Key>, step: usize, presses: u32 },
    /// A transfer ended; whether somebody was reached.
    Transferred(bool),
    /// An agent ended.
    AgentDone,
    /// Detection spoke while the call goes on.
    Detected(AnsweredBy),
}

impl fmt::Display for Cue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start { by, ours } => {
                f.write_str("start")?;
                by.map_or(Ok(()), |by| write!(f, " {}", by.as_str()))?;
                ours.map_or(Ok(()), |ours| write!(f, " {ours}"))
            }
            Self::Pressed { key, step, presses, ours } => {
                write!(f, "pressed {} {step} {presses}", key.digit())?;
                ours.map_or(Ok(()), |ours| write!(f, " {ours}"))
            }
            Self::Message { key, step, presses } => {
                write!(f, "message {} {step} {presses}", key.map_or(NO_KEY, Key::digit))
            }
            Self::Transferred(reached) => write!(f, "transferred {reached}"),
            Self::AgentDone => f.write_str("agent_done"),
            Self::Detected(by) => write!(f, "detected {}", by.as_str()),
        }
    }
}

impl FromStr for Cue {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let words: Vec<&str> = text.split(' ').collect();
        match words[..] {
            ["start", ref said @ ..] => {
                let (mut by, mut ours) = (None, None);
                for word in said {
                    match word.parse() {
                        Ok(number) => ours = Some(number),
                        Err(_) => by = Some(verdict(word)?),
                    }
                }
                Ok(Self::Start { by, ours })
            }
            ["pressed", key, step, presses, ref ours @ ..] => {
                let key = Key::try_from(key.to_owned()).map_err(drop)?;
                let step = step.parse().map_err(drop)?;
                let presses = presses.parse().map_err(drop)?;
                let ours = ours.first().and_then(|ours| ours.parse().ok());
                Ok(Self::Pressed { key, step, presses, ours })
            }
            ["message", key, step, presses] => {
                let no_key = key.chars().eq([NO_KEY]);
                let key = if no_key { None } else { Some(Key::try_from(key.to_owned())) };
                Ok(Self::Message {
                    key: key.transpose().map_err(drop)?,
                    step: step.parse().map_err(drop)?,
                    presses: presses.parse().map_err(drop)?,
                })
            }
            ["transferred", reached] => Ok(Self::Transferred(reached.parse().map_err(drop)?)),
            ["agent_done"] => Ok(Self::AgentDone),
            ["detected", by] => verdict(by).map(Self::Detected),
            _ => Err(()),
        }
    }
}

fn verdict(word: &str) -> Result<AnsweredBy, ()> {
    let all = [AnsweredBy::Unknown, AnsweredBy::Fax, AnsweredBy::Machine, AnsweredBy::Human];
    all.into_iter().find(|by| by.as_str() == word).ok_or(())
}

/// Where in its script a call goes on.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// The first step.
    from: usize,
    /// How many keys were pressed so far.
    presses: u32,
    /// The number of ours in the call, if it is one we dialled.
    ours: Option<PhoneNumber>,
}

/// What documents are written with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stage<'a> {
    /// Where Twilio is sent.
    pub(crate) hooks: &'a Hooks,
    /// How agents are spoken to.
    pub(crate) agents: ConnectKind,
    /// How long a call may last, in seconds.
    pub(crate) talk_seconds: u32,
}

impl Stage<'_> {
    /// What a call does at a cue.
    pub(crate) fn document(self, cue: Cue, call: &Performance, at: Address) -> Response {
        if call.opted_out && !matches!(cue, Cue::Pressed { .. } | Cue::Message { key: Some(_), .. })
        {
            return Response::new([Verb::Hangup]);
        }
        match cue {
            Cue::Start { by: Some(AnsweredBy::Machine), .. } => self.machine(call),
            Cue::Start { by: Some(AnsweredBy::Fax), .. } => Response::new([Verb::Hangup]),
            Cue::Start { ours, .. } => self.script(call, at, Place { from: 0, presses: 0, ours }),
            Cue::Pressed { key, step, presses, ours } => match call.keys.get(&key) {
                Some(KeyAction::OptOut) => last_words(Phrase::OptedOut, call),
                Some(KeyAction::Transfer(to)) => Response::new([self.transfer(at, *to, ours)]),
                // The label is on the client; what was not heard yet follows.
                Some(KeyAction::Tag(_)) if step >= call.steps.len() => {
                    last_words(Phrase::Goodbye, call)
                }
                Some(KeyAction::Tag(_)) => {
                    // Before an agent, a transfer or a message only the announcement was heard.
                    let from = step + usize::from(is_heard(&call.steps[step]));
                    self.script(call, at, Place { from, presses: presses + 1, ours })
                }
                // A key that does nothing: the step again.
                None => {
                    let from = step.min(call.steps.len());
                    self.script(call, at, Place { from, presses: presses + 1, ours })
                }
            },
            Cue::Message { key, step, presses } => match key.and_then(|key| call.keys.get(&key)) {
                Some(KeyAction::OptOut) => last_words(Phrase::OptedOut, call),
                Some(KeyAction::Transfer(to)) => Response::new([self.transfer(at, *to, None)]),
                // Whatever ended the message, what stands after it is heard.
                Some(KeyAction::Tag(_)) | None => {
                    let presses = presses + u32::from(key.is_some());
                    self.script(call, at, Place { from: step + 1, presses, ours: None })
                }
            },
            Cue::Transferred(true) | Cue::AgentDone => Response::new([Verb::Hangup]),
            Cue::Transferred(false) => last_words(Phrase::NobodyThere, call),
            Cue::Detected(_) => self.machine(call),
        }
    }

    /// The script from a step on. Where keys do something, each step is heard while they are waited
    /// for, so that whoever presses one is heard at any time and the rest goes on afterwards.
    fn script(self, call: &Performance, at: Address, place: Place) -> Response {
        let Place { from, presses, ours } = place;
        let mut verbs = Vec::new();
        if call.steps.is_empty() && call.direction == Direction::Inbound {
            verbs.push(Verb::Say(own_words(Phrase::CalledBack, call)));
        }
        let opt_out = &opt_out_keys(call);
        let gather = |step: usize, prompts, timeout_seconds| {
            Verb::Gather(Gather {
                prompts,
                action: self.hooks.key(at, step, presses, opt_out),
                timeout_seconds,
            })
        };
        // It was heard before a message that was left.
        let is_left = call.steps.iter().take(from).any(|it| matches!(it, Rendered::Record(_)));
        let mut announcement = self.announcement(call).filter(|_| !is_left);
        for (index, step) in call.steps.iter().enumerate().skip(from) {
            if !is_heard(step) {
                verbs.extend(announcement.take().map(|say| gather(index, vec![say], 1)));
            }
            let prompts = match step {
                Rendered::Say { .. } | Rendered::Play(_) => self.heard(call, step),
                // Nothing is heard after an agent, nor after a transfer.
                Rendered::Connect { url, params } => {
                    verbs.push(self.agent(call, at, url, params));
                    return Response::new(verbs);
                }
                Rendered::Transfer(to) => {
                    verbs.push(self.transfer(at, *to, ours));
                    return Response::new(verbs);
                }
                // What stands after it is in this document too: whoever says nothing hears it here.
                Rendered::Record(record) => {
                    verbs.push(Verb::Record(Record {
                        action: self.hooks.message(at, index, presses, opt_out),
                        status_url: self.hooks.url(at, What::Recording),
                        max_seconds: record.max_seconds,
                    }));
                    continue;
                }
            };
            if call.keys.is_empty() {
                verbs.extend(prompts.into_iter().map(Verb::from));
            } else {
                verbs.push(gather(index, prompts, 1));
            }
        }
        if !call.keys.is_empty() {
            let last = call.steps.len();
            let prompts = announcement.into_iter().collect();
            verbs.push(gather(last, prompts, LAST_CHANCE));
        }
        verbs.push(Verb::Hangup);
        Response::new(verbs)
    }

    /// That a key ends these calls, unless the script says so itself.
    fn announcement(self, call: &Performance) -> Option<Prompt> {
        let spoken = phrases::announcement(&call.keys, &call.steps, &call.language)?;
        Some(Prompt::Say(Say::new(spoken.text, spoken.language)))
    }

    /// What a machine hears: the message, if one is left.
    fn machine(self, call: &Performance) -> Response {
        let message = call.voicemail_message.as_ref();
        let message = message.filter(|_| call.voicemail == VoicemailPolicy::LeaveMessage);
        let heard = message.map(|message| self.heard(call, message)).unwrap_or_default();
        Response::new(heard.into_iter().map(Verb::from).chain([Verb::Hangup]))
    }

    /// A text or an audio, as it is heard.
    fn heard(self, call: &Performance, step: &Rendered) -> Vec<Prompt> {
        match step {
            Rendered::Say { text, language } => said(text, language),
            Rendered::Play(audio) => {
                let url = call.audio.get(audio).map(|token| self.hooks.media(token));
                url.map(|url| Prompt::Play(Play { url })).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    fn transfer(self, at: Address, to: PhoneNumber, ours: Option<PhoneNumber>) -> Verb {
        Verb::Dial(Dial {
            to,
            // Without one of ours the other side sees whoever called in.
            caller_id: ours,
            action: self.hooks.after(at, TRANSFER),
            ring_seconds: TRANSFER_RING,
            talk_seconds: self.talk_seconds,
        })
    }

    fn agent(
        self,
        call: &Performance,
        at: Address,
        url: &str,
        params: &std::collections::BTreeMap<String, String>,
    ) -> Verb {
        let mut parameters: Vec<(String, String)> =
            params.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        parameters.push((CALL_ID.to_owned(), call.call.to_string()));
        if let Some(token) = call.result_token.clone() {
            parameters.push((RESULT_TOKEN.to_owned(), token));
            parameters.push((RESULT_URL.to_owned(), self.hooks.result(call.call)));
        }
        Verb::Connect(Connect {
            kind: self.agents,
            url: url.to_owned(),
            parameters,
            action: self.hooks.after(at, AGENT),
        })
    }

    /// The same request again soon: the caller hears nothing of it.
    pub(crate) fn hold(url: String) -> Response {
        Response::new([Verb::Pause { seconds: HOLD }, Verb::Redirect { url }])
    }

    /// That what is said is written down from here on.
    pub(crate) fn transcribing(self, at: Address, response: Response, language: &str) -> Response {
        response.after(Verb::Transcribe(Transcribe {
            status_url: self.hooks.url(at, What::Transcript),
            language: language.to_owned(),
        }))
    }
}

/// Whether a step is only heard: nothing else begins with it.
const fn is_heard(step: &Rendered) -> bool {
    matches!(step, Rendered::Say { .. } | Rendered::Play(_))
}

fn last_words(phrase: Phrase, call: &Performance) -> Response {
    Response::new([Verb::Say(own_words(phrase, call)), Verb::Hangup])
}

fn own_words(phrase: Phrase, call: &Performance) -> Say {
    let spoken = phrases::phrase(phrase, &call.language);
    Say::new(spoken.text, spoken.language)
}

fn opt_out_keys(call: &Performance) -> String {
    let keys = call.keys.iter().filter(|(_, action)| **action == KeyAction::OptOut);
    keys.map(|(key, _)| key.digit()).collect()
}

/// A text in parts that every voice takes, cut between sentences or words where there is a place.
fn said(text: &str, language: &str) -> Vec<Prompt> {
    let (mut rest, mut parts) = (text, Vec::new());
    while rest.len() > MAX_SAY {
        let limit = (0..=MAX_SAY).rev().find(|at| rest.is_char_boundary(*at)).unwrap_or(0);
        let head = &rest[..limit];
        let at = head.rfind(['.', '!', '?', '。']).or_else(|| head.rfind(' ')).unwrap_or(0);
        let at = at + rest[at..].chars().next().map_or(0, char::len_utf8);
        // A text without any place to cut is cut where it must be.
        let at = if at <= 1 { limit } else { at };
        parts.push(&rest[..at]);
        rest = &rest[at..];
    }
    parts.push(rest);
    let parts = parts.into_iter().map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| Prompt::Say(Say::new(part, language))).collect()
}
