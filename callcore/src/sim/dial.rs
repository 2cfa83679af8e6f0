//! What the carrier is asked to dial, and what it plays.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::carrier::limit;
use crate::call::AgentResult;
use crate::campaign::{Settings, VoicemailPolicy};
use crate::engine::{RING_LIMIT, TALK_LIMIT, Ticket};
use crate::id::{AudioId, CallId};
use crate::phone::PhoneNumber;
use crate::script::{
    DEFAULT_LANGUAGE, Key, KeyAction, Message, Record, Rendered, Script, Template, phrases,
};

/// What the carrier is asked to dial, and what it plays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimDial {
    /// The call; every event hands it back.
    pub call: CallId,
    /// The number.
    pub to: PhoneNumber,
    /// Which number of dial it is for the client, from 1.
    pub attempt: u32,
    /// What is said to a person, in order; audio as `[audio NAME]`.
    pub lines: Vec<String>,
    /// The language of what the carrier says of its own, as a BCP 47 tag.
    #[serde(default)]
    pub language: String,
    /// That a key ends these calls, where no line says so.
    #[serde(default)]
    pub announcement: Option<String>,
    /// What keys do.
    pub keys: BTreeMap<Key, KeyAction>,
    /// The voice agent that talks to the person after that.
    #[serde(default)]
    pub agent: Option<SimAgent>,
    /// The number that the person is handed to after that.
    #[serde(default)]
    pub transfer: Option<PhoneNumber>,
    /// What whoever calls back hears and may press.
    #[serde(default)]
    pub inbound: Option<SimInbound>,
    /// What is said to a machine; none hangs up.
    pub voicemail_message: Option<String>,
    /// Whether the call is recorded.
    #[serde(default)]
    pub recorded: bool,
    /// Whether what is said is written down.
    #[serde(default)]
    pub transcribed: bool,
    /// How long it may ring.
    pub ring_limit_seconds: u32,
    /// How long it may last once answered.
    pub talk_limit_seconds: u32,
}

/// A voice agent as the script names it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimAgent {
    /// Where it listens.
    pub url: String,
    /// What it is told about the call.
    pub params: BTreeMap<String, String>,
    /// With which it reports the call's result.
    pub token: Option<String>,
}

impl fmt::Debug for SimAgent {
    /// Leaves out the token, and what the agent is told about the person.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimAgent").field("url", &self.url).finish_non_exhaustive()
    }
}

/// What somebody who calls in hears and may press.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimInbound {
    /// What is said, in order.
    pub lines: Vec<String>,
    /// What keys do.
    pub keys: BTreeMap<Key, KeyAction>,
    /// The message that the caller may leave.
    #[serde(default)]
    pub record: Option<SimRecord>,
    /// The number that the caller is handed to after all that.
    #[serde(default)]
    pub transfer: Option<PhoneNumber>,
}

/// A message that somebody who calls in may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimRecord {
    /// How many of the lines are said before it.
    pub after_lines: usize,
    /// How long it may be.
    pub max_seconds: u32,
}

/// What a voice agent sends once its call is over.
#[derive(Clone, PartialEq, Eq)]
pub struct AgentPost {
    /// The call.
    pub call: CallId,
    /// What lets it in.
    pub token: Option<String>,
    /// What it reports.
    pub result: AgentResult,
}

impl fmt::Debug for AgentPost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentPost").field("call", &self.call).finish_non_exhaustive()
    }
}

/// A campaign's settings with all that their scripts need to be played.
pub(super) struct Playing<'a> {
    pub(super) settings: &'a Settings,
    pub(super) fill: &'a dyn Fn(&Template) -> String,
    pub(super) audio: &'a dyn Fn(AudioId) -> Option<String>,
    pub(super) token: Option<&'a str>,
}

impl SimDial {
    /// A first dial that says nothing, recorded and written down, within callcore's limits.
    #[must_use]
    pub fn new(call: CallId, to: PhoneNumber) -> Self {
        Self {
            call,
            to,
            attempt: 1,
            lines: Vec::new(),
            language: DEFAULT_LANGUAGE.to_owned(),
            announcement: None,
            keys: BTreeMap::new(),
            agent: None,
            transfer: None,
            inbound: None,
            voicemail_message: None,
            recorded: true,
            transcribed: true,
            ring_limit_seconds: limit(RING_LIMIT.num_seconds()),
            talk_limit_seconds: limit(TALK_LIMIT.num_seconds()),
        }
    }

    /// What a ticket asks for.
    #[must_use]
    pub fn of(ticket: &Ticket) -> Self {
        let playing = Playing {
            settings: ticket.settings(),
            fill: &|template| ticket.fill(template),
            audio: &|audio| ticket.audio_name(audio).map(str::to_owned),
            token: ticket.result_token(),
        };
        Self {
            attempt: ticket.attempt(),
            ring_limit_seconds: limit(ticket.ring_limit_seconds()),
            talk_limit_seconds: limit(ticket.talk_limit_seconds()),
            ..Self::new(ticket.call(), ticket.to()).playing(&playing)
        }
    }

    /// The dial with what its settings have played.
    pub(super) fn playing(self, playing: &Playing<'_>) -> Self {
        let settings = playing.settings;
        let leaves_message = settings.voicemail.policy == VoicemailPolicy::LeaveMessage;
        let message = settings.voicemail.message.as_ref().filter(|_| leaves_message);
        let script = &settings.script;
        let language = script.language().unwrap_or(DEFAULT_LANGUAGE).to_owned();
        let Played { lines, agent, transfer, .. } = playing.script(script);
        let steps: Vec<Rendered> = script.heard().map(|step| step.rendered(playing.fill)).collect();
        let announcement = phrases::announcement(&script.keys, &steps, &language);
        let inbound = settings.inbound.as_ref().map(|script| {
            let Played { mut lines, agent, record, transfer } = playing.script(script);
            // Nobody hands out a token for a call that nobody dialled: the agent only talks.
            lines.extend(agent.map(|_| "You are talking to our agent.".to_owned()));
            SimInbound { lines, keys: script.keys.clone(), record, transfer }
        });
        Self {
            lines,
            language,
            announcement: announcement.map(|spoken| spoken.text),
            keys: settings.script.keys.clone(),
            agent,
            transfer,
            inbound,
            voicemail_message: message.and_then(|message| playing.line(message)),
            recorded: settings.recording.channels().is_some(),
            transcribed: settings.transcription,
            ..self
        }
    }
}

/// What a script comes to.
#[derive(Default)]
struct Played {
    lines: Vec<String>,
    agent: Option<SimAgent>,
    record: Option<SimRecord>,
    transfer: Option<PhoneNumber>,
}

impl Playing<'_> {
    fn played(&self, audio: AudioId) -> Option<String> {
        (self.audio)(audio).map(|name| format!("[audio {name}]"))
    }

    /// What a voicemail hears.
    fn line(&self, message: &Message) -> Option<String> {
        match message {
            Message::Say(text) => Some((self.fill)(text)),
            Message::Play { play } => self.played(*play),
        }
    }

    fn script(&self, script: &Script) -> Played {
        let mut played = Played::default();
        for step in script.heard() {
            match step.rendered(self.fill) {
                Rendered::Say { text, .. } => played.lines.push(text),
                Rendered::Play(audio) => played.lines.extend(self.played(audio)),
                Rendered::Connect { url, params } => {
                    let token = self.token.map(str::to_owned);
                    played.agent = Some(SimAgent { url, params, token });
                }
                Rendered::Transfer(number) => played.transfer = Some(number),
                Rendered::Record(Record { max_seconds }) => {
                    let after_lines = played.lines.len();
                    played.record = Some(SimRecord { after_lines, max_seconds });
                }
            }
        }
        played
    }
}
