//! What one call plays: its script filled in, with what it hands on for others to come back with.
//!
//! A carrier that asks what to do once the call is answered gets it from here. It is read from the
//! store each time, so that a call outlives the process that dialled it.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};

use crate::call::{AnsweredBy, CallRef, Direction};
use crate::campaign::{Settings, VoicemailPolicy};
use crate::engine::{Person, fill};
use crate::id::{AudioId, CallId, ClientId};
use crate::phone::PhoneNumber;
use crate::port::{CallView, Store, StoreError};
use crate::script::{DEFAULT_LANGUAGE, Key, KeyAction, Rendered, Script, Template};
use crate::seal::Sealer;

/// What one call plays.
#[derive(Clone, PartialEq, Eq)]
pub struct Performance {
    /// The call.
    pub call: CallId,
    /// The carrier's id for it, once it said one.
    pub carrier_call_id: Option<String>,
    /// Who rang whom.
    pub direction: Direction,
    /// The other party's number; a withheld caller ID is none.
    pub phone: Option<PhoneNumber>,
    /// What is heard, in order. Audio that was deleted since the script was written is left out.
    pub steps: Vec<Rendered>,
    /// The language of what the engine says of its own, as a BCP 47 tag: that of the script's first
    /// text, or of the campaign's.
    pub language: String,
    /// What keys do.
    pub keys: BTreeMap<Key, KeyAction>,
    /// What happens when a machine answers.
    pub voicemail: VoicemailPolicy,
    /// What a machine hears after the beep, if the campaign leaves messages.
    pub voicemail_message: Option<Rendered>,
    /// What lets a carrier fetch each audio under `/media/` for a while.
    pub audio: BTreeMap<AudioId, String>,
    /// What lets the voice agent that the script connects to report this call's result; none
    /// without such a step.
    pub result_token: Option<String>,
    /// Whether the carrier writes down what is said.
    pub transcribed: bool,
    /// What answered, as far as it is known; whoever pressed a key is a person.
    pub answered_by: Option<AnsweredBy>,
    /// Whether the person asked, in this call, not to be called again.
    pub opted_out: bool,
}

impl fmt::Debug for Performance {
    /// Leaves out what is said about the person, and the tokens: whoever has them may use them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Performance").field("call", &self.call).finish_non_exhaustive()
    }
}

impl Performance {
    /// What a call plays at an instant of the wall clock; none if the store knows no such call. A
    /// stranger who rings in hears nothing: no campaign has a script for them.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub async fn of(
        store: &dyn Store,
        call: &CallRef,
        wall: DateTime<Utc>,
        sealer: Option<&Sealer>,
    ) -> Result<Option<Self>, StoreError> {
        let id = match call {
            CallRef::Ours(id) => Some(*id),
            CallRef::Inbound(ring) => store.inbound_call(&ring.carrier_call_id).await?,
        };
        let Some(id) = id else { return Ok(None) };
        match store.call(id).await? {
            Some(view) => Self::read(store, view, wall, sealer).await.map(Some),
            None => Ok(None),
        }
    }

    async fn read(
        store: &dyn Store,
        view: CallView,
        wall: DateTime<Utc>,
        sealer: Option<&Sealer>,
    ) -> Result<Self, StoreError> {
        let call = view.call;
        let mut performance = Self {
            call: call.id,
            carrier_call_id: call.progress.carrier_call_id.clone(),
            direction: call.direction,
            phone: call.phone,
            steps: Vec::new(),
            language: DEFAULT_LANGUAGE.to_owned(),
            keys: BTreeMap::new(),
            voicemail: VoicemailPolicy::default(),
            voicemail_message: None,
            audio: BTreeMap::new(),
            result_token: None,
            transcribed: false,
            answered_by: call.progress.answered_by,
            opted_out: call.progress.opted_out_at.is_some(),
        };
        let Some(campaign) = call.campaign else { return Ok(performance) };
        let Some(settings) = store.settings(campaign, call.settings_version).await? else {
            return Ok(performance);
        };
        let person = match call.client.or(call.sample) {
            Some(client) => person(store, client).await?,
            None => Person::default(),
        };
        let is_client = call.client.is_some();
        let fill = |template: &Template| match call.phone {
            Some(phone) => fill(template, &person, phone, &settings.name, is_client),
            None => template.fill(|_| None),
        };
        let script = match call.direction {
            Direction::Outbound => Some(&settings.script),
            Direction::Inbound => settings.inbound.as_ref(),
        };
        let language = script.and_then(Script::language).or(settings.script.language());
        language.unwrap_or(DEFAULT_LANGUAGE).clone_into(&mut performance.language);
        let audio = audio_names(store, &settings).await?;
        let is_there = |step: &Rendered| step.audio().is_none_or(|it| audio.contains_key(&it));
        if let Some(script) = script {
            let steps = script.heard().map(|step| step.rendered(&fill));
            performance.steps = steps.filter(is_there).collect();
            performance.keys.clone_from(&script.keys);
        }
        performance.transcribed = settings.transcription;
        performance.voicemail = settings.voicemail.policy;
        let leaves = settings.voicemail.policy == VoicemailPolicy::LeaveMessage;
        let message = settings.voicemail.message.as_ref().filter(|_| leaves);
        let language = settings.script.language();
        let message = message.map(|message| message.rendered(language, &fill));
        performance.voicemail_message = message.filter(is_there);
        if let Some(sealer) = sealer {
            let connects = |step: &Rendered| matches!(step, Rendered::Connect { .. });
            let agent = performance.steps.iter().any(connects);
            performance.result_token = agent.then(|| sealer.result(call.id, call.phone, wall));
            let seal = |id: &AudioId| (*id, sealer.audio(*id, wall));
            performance.audio = audio.keys().map(seal).collect();
        }
        Ok(performance)
    }
}

/// What the places of a script are filled from for a client.
pub(crate) async fn person(store: &dyn Store, client: ClientId) -> Result<Person, StoreError> {
    let Some(view) = store.client(client).await? else { return Ok(Person::default()) };
    let client = view.client;
    let columns = store.import(client.import).await?.map(|import| import.columns);
    Ok(Person {
        name: client.name,
        email: client.email,
        external_id: client.external_id,
        columns: columns.unwrap_or_default().into_iter().zip(client.fields).collect(),
    })
}

/// The audio of a campaign's scripts that is still there, by name.
pub(crate) async fn audio_names(
    store: &dyn Store,
    settings: &Settings,
) -> Result<BTreeMap<AudioId, String>, StoreError> {
    let mut names = BTreeMap::new();
    for (_, id) in settings.audio() {
        names.extend(store.audio(id).await?.map(|audio| (id, audio.name)));
    }
    Ok(names)
}
